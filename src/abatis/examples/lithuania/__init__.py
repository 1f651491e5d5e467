"""Lithuania, schematic: a whole study written from general knowledge and public programme figures."""

from __future__ import annotations

import shutil
import tempfile
import tomllib
from pathlib import Path

from abatis.examples.lithuania.relief import write_relief
from abatis.model.errors import Fault, InputError

NAME = "lithuania"
PIXEL_DEG = 0.005
_HERE = Path(__file__).parent
_PARTS = ("tables", "sources", "ledger")


def write_example(folder: Path | str) -> Path:
    """Write the example as a study folder, with its synthetic relief.

    Parameters
    ----------
    folder : folder to write; new, empty, or holding an unchanged earlier copy of this example (its mesh,
        plans and reports stay).

    Returns
    -------
    The study folder.

    Raises
    ------
    InputError : the folder is a file or holds anything else, a table or source of the earlier copy was
        edited, or the folder cannot be written; nothing is changed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     study = write_example(place + "/lt")
    ...     (study / "sources" / "elevation.tif").is_file()
    True
    """
    folder = Path(folder)
    _check_target(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".part-", dir=folder) as temporary:
            _write_parts(Path(temporary))
            for path in sorted(Path(temporary).rglob("*")):
                if path.is_file():
                    target = folder / path.relative_to(temporary)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    path.replace(target)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(
            [
                Fault(
                    f"cannot be written: {reason}",
                    file=str(folder),
                    remedy="check free space and the rights of the folder",
                )
            ]
        ) from error
    return folder


def is_example(folder: Path) -> bool:
    """Say whether a folder holds an earlier copy of this example: its `study.toml` bears the name."""
    try:
        settings = tomllib.loads((folder / "study.toml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return False
    return settings.get("name") == NAME and settings.get("schematic") is True


def _check_target(folder: Path) -> None:
    remedy = "choose a new or empty folder"
    if folder.exists() and not folder.is_dir():
        raise InputError([Fault("is a file, not a folder", file=str(folder), remedy=remedy)])
    if folder.is_dir() and any(folder.iterdir()) and not is_example(folder):
        raise InputError([Fault("holds other files", file=str(folder), remedy=remedy)])
    edited = [path for path in _list_packaged() if _was_edited(path, folder / path.relative_to(_HERE))]
    if edited:
        raise InputError(
            [
                Fault(
                    "differs from the packaged example and would be lost",
                    file=str(folder / path.relative_to(_HERE)),
                    remedy="choose a new folder, or delete the file to take the packaged one",
                )
                for path in edited
            ]
        )


def _list_packaged() -> list[Path]:
    """Every file of the example that is copied as it stands."""
    files = [path for part in _PARTS for path in sorted((_HERE / part).iterdir()) if path.is_file()]
    return [*files, _HERE / "study.toml"]


def _was_edited(packaged: Path, copied: Path) -> bool:
    return copied.is_file() and copied.read_bytes() != packaged.read_bytes()


def _write_parts(folder: Path) -> None:
    """Copy everything that is packaged, then shape the relief."""
    for path in _list_packaged():
        target = folder / path.relative_to(_HERE)
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)
    write_relief(_HERE / "sources" / "spot_heights.csv", folder / "sources" / "elevation.tif", PIXEL_DEG)
