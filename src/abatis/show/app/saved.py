"""The note beside a plan made by hand: who, when, from what; and the lock under which plans change."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from abatis.model.errors import Fault, InputError
from abatis.model.storage import write_text_whole

FILE = "saved.json"
LOCK = ".lock"
_turn = threading.Lock()


@dataclass(frozen=True)
class Saved:
    """Who made a plan by hand and when (UTC), its title, and the plan and version it was changed from."""

    by: str
    at: str
    title: str
    against: str
    against_version: str


def read_saved(folder: Path) -> Saved | None:
    """Return the note beside a plan; None where there is none or it is damaged."""
    try:
        values = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return Saved(**{name: str(values[name]) for name in Saved.__dataclass_fields__})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_saved(folder: Path, saved: Saved) -> None:
    """Write the note into a plan folder."""
    write_text_whole(folder / FILE, json.dumps(asdict(saved), indent=1, sort_keys=True) + "\n")


@contextmanager
def lock_plans(study_folder: Path) -> Iterator[None]:
    """Let one writer at a time change the plans of a study: of all threads and all servers on this disk."""
    folder = study_folder / "plans"
    folder.mkdir(parents=True, exist_ok=True)
    with _turn:
        handle = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def hash_plan(folder: Path) -> str:
    """Return the SHA-256 of the plan in a folder: another byte, another hash; '' where there is none."""
    path = folder / "plan.json"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


@contextmanager
def lock_plan(study_folder: Path, folder: Path, read_hash: str) -> Iterator[None]:
    """Let one writer at a time put results beside a plan, and only beside the plan they were made from.

    Parameters
    ----------
    study_folder : the study.
    folder : folder of the plan.
    read_hash : `hash_plan` before the plan was read.

    Raises
    ------
    InputError : the plan was replaced or deleted since; nothing is written then.
    """
    with lock_plans(study_folder):
        if hash_plan(folder) != read_hash:
            text = "was replaced or deleted while its results were being made: they were not kept"
            fault = Fault(text, f"plans/{folder.resolve().name}/plan.json", remedy="ask for them again")
            raise InputError([fault])
        yield
