"""Views kept on disk and in memory, each with the state of the study that it was made from."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import ValidationError

import abatis
from abatis.model.storage import write_text_whole
from abatis.show.app.answers.views import ViewAnswer
from abatis.show.app.loaded import Turns

MOST_KEPT = 64


def list_inputs(study_folder: Path, plan_name: str = "") -> list[Path]:
    """List the files that the views of a study rest on; with a plan, also the files of results beside it."""
    names = (
        "study.toml",
        "sources/sources.csv",
        "mesh/cells.parquet",
        "watch/seen.parquet",
        "joint.gpkg",
        "joint.json",
    )
    files = [study_folder / name for name in names]
    files += sorted((study_folder / "tables").glob("*.csv"))
    if plan_name:
        place = study_folder / "plans" / plan_name
        files += [place / name for name in ("plan.json", "schedule.json", "risk.json", "people_view.json")]
    return files


def stamp_files(files: Iterable[Path]) -> tuple[tuple[str, int, int], ...]:
    """Return name, time of change and size of the files that exist: another stamp, another state."""
    stamps = []
    for path in files:
        try:
            state = path.stat()
        except OSError:
            continue
        stamps.append((str(path), state.st_mtime_ns, state.st_size))
    return tuple(stamps)


def hash_inputs(study_folder: Path, plan_name: str = "") -> str:
    """Return the SHA-256 over settings, tables, list of sources and the plan, and the version of abatis.

    In words: a view that was kept under the same hash shows what would be computed again.
    """
    digest = hashlib.sha256(abatis.__version__.encode())
    files = [study_folder / "study.toml", study_folder / "sources" / "sources.csv"]
    files += sorted((study_folder / "tables").glob("*.csv"))
    if plan_name:
        files.append(study_folder / "plans" / plan_name / "plan.json")
    for path in files:
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    mesh = study_folder / "mesh" / "cells.parquet"
    if mesh.is_file():
        digest.update(str(mesh.stat().st_size).encode())
    return digest.hexdigest()


def keep_view(path: Path, mark: str, answer: ViewAnswer) -> None:
    """Write a view with the mark of the state it was made from, whole or not at all."""
    write_text_whole(path, mark + "\n" + answer.model_dump_json() + "\n")


def read_view(path: Path, mark: str) -> ViewAnswer | None:
    """Read a kept view; None where there is none, it is damaged, or of another state."""
    try:
        first, _, rest = path.read_text(encoding="utf-8").partition("\n")
        return ViewAnswer.model_validate_json(rest) if first == mark else None
    except (OSError, UnicodeDecodeError, ValidationError):
        return None


class ViewCache:
    """Keeps views in memory by key and state; a view is made once, others who ask meanwhile wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns = Turns()
        self._held: dict[tuple[object, ...], tuple[object, ViewAnswer]] = {}

    def get(self, key: tuple[object, ...], state: object, make: Callable[[], ViewAnswer]) -> ViewAnswer:
        """Return the view of a key, made anew when its state is another than before.

        Parameters
        ----------
        key : which view of which study and plan.
        state : what it rests on (`stamp_files`).
        make : makes it.
        """
        with self._turns.take(key):
            held = self._held.get(key)
            if held is None or held[0] != state:
                held = (state, make())
                with self._lock:
                    self._held[key] = held
                    while len(self._held) > MOST_KEPT:
                        self._held.pop(next(iter(self._held)))
            return held[1]


CACHE = ViewCache()
