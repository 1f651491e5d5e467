"""Files are written whole or not at all: a temporary name first, then a rename."""

from __future__ import annotations

import os
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
