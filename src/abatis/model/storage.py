"""Files are written whole or not at all: a temporary name first, then a rename."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from abatis.model.errors import Fault, InputError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


@contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it on success, delete it otherwise.

    Parameters
    ----------
    path : file to be written; its folder is made when missing.

    Raises
    ------
    InputError : when the folder cannot be written or the disk is full; an earlier file stays as it was.
        Other faults of what is done meanwhile are passed on as they are.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".part-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise InputError([_describe_write_fault(path, error)]) from error
    temporary = Path(name)
    try:
        with _tell_write_faults(path, temporary):
            yield temporary
        try:
            temporary.chmod(0o644)
            temporary.replace(path)
        except OSError as error:
            raise InputError([_describe_write_fault(path, error)]) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def write_folder_whole(folder: Path, outdated: Collection[str] = ()) -> Iterator[Path]:
    """Give a temporary folder beside `folder`; put it in its place on success, delete it otherwise.

    Parameters
    ----------
    folder : folder to be written; the one above it is made when missing.
    outdated : names in an earlier folder that speak of its earlier state and are not carried over.

    In words: results that belong together change together. An earlier folder of that name stays untouched
    until everything new is written, and is then replaced; other files in it are carried over.

    Raises
    ------
    InputError : when the place cannot be written or the disk is full; the earlier folder stays as it was.
        Other faults of what is done meanwhile are passed on as they are.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".part-", dir=folder.parent))
    except OSError as error:
        raise InputError([_describe_write_fault(folder, error)]) from error
    try:
        with _tell_write_faults(folder, temporary):
            yield temporary
        try:
            temporary.chmod(0o755)
            _swap_folders(temporary, folder, outdated)
        except OSError as error:
            raise InputError([_describe_write_fault(folder, error)]) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _tell_write_faults(place: Path, temporary: Path) -> Iterator[None]:
    """Name `place` where `temporary` cannot be written or the disk is full; pass other faults on.

    The body may also read files that have nothing to do with what is written.
    """
    try:
        yield
    except OSError as error:
        names = [Path(os.fsdecode(one)) for one in (error.filename, error.filename2) if _is_path(one)]
        if error.errno not in FULL and not any(one.is_relative_to(temporary) for one in names):
            raise
        raise InputError([_describe_write_fault(place, error)]) from error


def _is_path(name: object) -> bool:
    """Say whether an error names a file; it may also hold the number of an open one, or nothing."""
    return isinstance(name, str | bytes | os.PathLike)


def _swap_folders(new: Path, folder: Path, outdated: Collection[str]) -> None:
    """Put `new` in the place of `folder`; files that only the old folder has are kept, but `outdated`."""
    if not folder.exists():
        new.replace(folder)
        return
    for path in sorted(folder.iterdir()):
        if path.name not in outdated and not (new / path.name).exists():
            shutil.copytree(path, new / path.name) if path.is_dir() else shutil.copy2(path, new / path.name)
    if _exchange(new, folder):
        # What was `folder` is now the temporary one, and is deleted.
        return
    old = new.with_name(new.name + "-old")
    folder.replace(old)
    try:
        new.replace(folder)
    except OSError:
        old.replace(folder)
        raise
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
