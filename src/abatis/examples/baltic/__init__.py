"""The Baltic Defence Line and the Suwalki Gap, schematic: four national studies on one drawing.

Estonia, Latvia, Lithuania and north-east Poland share one set of border lines, so their meshes have the same
hexagons along common borders. Finland is a neighbour of Estonia across the sea only: no ground joins the two.
"""

from __future__ import annotations

import tempfile
import tomllib
from pathlib import Path

from abatis.examples.baltic.studies import list_packages, write_elevation, write_study
from abatis.model.errors import Fault, InputError


def write_baltic(folder: Path | str) -> tuple[Path, ...]:
    """Write the four national studies, each as a folder of its own.

    Parameters
    ----------
    folder : folder to write; new, empty, or holding an unchanged earlier copy (meshes, plans and reports
        stay).

    Returns
    -------
    The study folders from north to south: estonia, latvia, lithuania, poland_ne.

    Raises
    ------
    InputError : the folder is a file or holds anything else, a table or source of an earlier copy was
        edited, or the folder cannot be written; nothing is changed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     [study.name for study in write_baltic(place + "/baltic")]
    ['estonia', 'latvia', 'lithuania', 'poland_ne']
    """
    folder = Path(folder)
    _check_folder(folder)
    names = list_packages()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".part-", dir=folder) as temporary:
            fresh = Path(temporary)
            write_elevation(fresh / "elevation.tif")
            for name, package in names.items():
                (fresh / name).mkdir()
                write_study(package, fresh / name, fresh / "elevation.tif")
            _move_studies(fresh, folder)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        remedy = "check free space and the rights of the folder"
        raise InputError([Fault(f"cannot be written: {reason}", str(folder), remedy=remedy)]) from error
    return tuple(folder / name for name in names)


def _check_folder(folder: Path) -> None:
    remedy = "choose a new or empty folder"
    if folder.exists() and not folder.is_dir():
        raise InputError([Fault("is a file, not a folder", str(folder), remedy=remedy)])
    if not folder.is_dir():
        return
    names = list_packages()
    faults = [
        Fault("holds another study", str(folder / name), remedy=remedy)
        for name in names
        if (folder / name).exists() and not _is_own(folder / name, name)
    ]
    if any(folder.iterdir()) and not any((folder / name).exists() for name in names):
        faults.append(Fault("holds other files", str(folder), remedy=remedy))
    if faults:
        raise InputError(faults)


def _is_own(study: Path, name: str) -> bool:
    try:
        settings = tomllib.loads((study / "study.toml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return False
    return settings.get("name") == name and settings.get("schematic") is True


def _move_studies(fresh: Path, folder: Path) -> None:
    """Move all files into place, or none where one was edited."""
    files = [path for name in list_packages() for path in sorted((fresh / name).rglob("*")) if path.is_file()]
    pairs = [(path, folder / path.relative_to(fresh)) for path in files]
    edited = [
        target
        for path, target in pairs
        if target.is_file() and path.suffix != ".tif" and target.read_bytes() != path.read_bytes()
    ]
    if edited:
        remedy = "choose a new folder, or delete the file to take the packaged one"
        what = "differs from the packaged example and would be lost"
        raise InputError([Fault(what, str(target), remedy=remedy) for target in edited])
    for path, target in pairs:
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
