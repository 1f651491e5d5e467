"""Files are written whole or not at all: a temporary name first, then a rename."""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from abatis.model.errors import Fault, InputError


@contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it on success, delete it otherwise.

    Parameters
    ----------
    path : file to be written; its folder is made when missing.

    Raises
    ------
    InputError : when the folder cannot be written or the disk is full; an earlier file stays as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".part-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise InputError([_describe_write_fault(path, error)]) from error
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise InputError([_describe_write_fault(path, error)]) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def write_folder_whole(folder: Path) -> Iterator[Path]:
    """Give a temporary folder beside `folder`; put it in its place on success, delete it otherwise.

    In words: results that belong together change together. An earlier folder of that name stays untouched
    until everything new is written, and is then replaced.

    Raises
    ------
    InputError : when the place cannot be written or the disk is full; the earlier folder stays as it was.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".part-", dir=folder.parent))
    except OSError as error:
        raise InputError([_describe_write_fault(folder, error)]) from error
    try:
        yield temporary
        temporary.chmod(0o755)
        _swap_folders(temporary, folder)
    except OSError as error:
        raise InputError([_describe_write_fault(folder, error)]) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _swap_folders(new: Path, folder: Path) -> None:
    """Put `new` in the place of `folder`; files that only the old folder has are kept."""
    if not folder.exists():
        new.replace(folder)
        return
    for path in sorted(folder.iterdir()):
        if not (new / path.name).exists():
            shutil.copytree(path, new / path.name) if path.is_dir() else shutil.copy2(path, new / path.name)
    if _exchange(new, folder):
        # What was `folder` is now the temporary one, and is deleted.
        return
    old = new.with_name(new.name + "-old")
    folder.replace(old)
    new.replace(folder)
    shutil.rmtree(old, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step, where the system can: killed at any moment, one of them is there."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):
        return False
    here, swap = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux
    return bool(rename(here, os.fsencode(one), here, os.fsencode(other), swap) == 0)


def write_text_whole(path: Path, text: str) -> None:
    """Write text (UTF-8, line feeds as given) whole or not at all."""
    with write_whole(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def _describe_write_fault(path: Path, error: OSError) -> Fault:
    reason = error.strerror or str(error)
    return Fault(
        f"cannot be written: {reason.lower()}",
        file=str(path),
        remedy="check free space and the rights of the folder; earlier results were kept",
    )
