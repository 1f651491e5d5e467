"""Watched: which cells of the mesh the posts of a study see, kept in STUDY/watch/seen.parquet."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from abatis.model.errors import Fault, InputError
from abatis.model.mesh import Mesh

SEEN_FILE = "seen.parquet"
WATCH_FOLDER = "watch"
LEAST_DETECTION = 0.5


@dataclass(frozen=True)
class Watched:
    """What posts see of a mesh of N cells.

    `seen_by` int32[N], number of posts that see a cell; `detection` float64[N], probability that at least one
    of them detects a mover there.
    """

    seen_by: np.ndarray
    detection: np.ndarray

    def mark_cells(self, least: float = LEAST_DETECTION) -> np.ndarray:
        """Return bool[N], cells that some post sees and where detection is at least this probable."""
        return np.asarray((self.seen_by > 0) & (self.detection >= least))


def write_watched(folder: Path, mesh: Mesh, watched: Watched) -> None:
    """Write `seen.parquet` into a watch folder: one row per cell of the mesh.

    Parameters
    ----------
    folder : the folder watch/ of a study, or the temporary one that takes its place.
    mesh : the mesh; its study hash is kept beside the rows.

    Raises
    ------
    InputError : arrays of another length, counts below 0, or probabilities outside 0 to 1.
    """
    count = mesh.cell_count
    faults = [
        Fault(f"has shape {array.shape}, the mesh has {count} cells", column=name)
        for name, array in (("seen_by", watched.seen_by), ("detection", watched.detection))
        if array.shape != (count,)
    ]
    if (watched.seen_by < 0).any():
        faults.append(Fault("holds counts below 0", column="seen_by"))
    if not ((watched.detection >= 0) & (watched.detection <= 1)).all():
        faults.append(Fault("holds values outside 0 to 1", column="detection"))
    if faults:
        raise InputError(faults)
    table = pa.table(
        {
            "h3": np.ascontiguousarray(mesh.cells),
            "seen_by": watched.seen_by.astype(np.int32),
            "detection": watched.detection.astype(np.float64),
        }
    )
    table = table.replace_schema_metadata({"study_hash": mesh.study_hash})
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / SEEN_FILE, compression="zstd")


def hash_watched(study_folder: Path) -> str:
    """Return the SHA-256 of which cells the posts of a study see; '' where it has no watch result.

    In words: only what the solver counts with goes in, so a new map of the same posts keeps every plan valid.

    Raises
    ------
    InputError : the file is damaged.
    """
    path = study_folder / WATCH_FOLDER / SEEN_FILE
    if not path.is_file():
        return ""
    cells, watched, _ = _read_file(path, study_folder)
    return hashlib.sha256(cells[watched.mark_cells()].astype("<u8").tobytes()).hexdigest()


def check_watch_result(study_folder: Path, watch_hash: str) -> str | None:
    """Say in words how the watch result of a study differs from that of a plan; None when it does not.

    Parameters
    ----------
    study_folder : folder of the study.
    watch_hash : of the plan.
    """
    now = hash_watched(study_folder)
    if now == watch_hash:
        return None
    if not watch_hash:
        told = "barriers that nobody sees now keep only a share of their delay"
        return f"was made before the watch result in watch/: {told}"
    if not now:
        return "rests on a watch result that is gone: the folder watch/ was deleted"
    return "was made before the watch result in watch/: posts now see other cells than when it was made"


def read_watched(study_folder: Path, mesh: Mesh) -> Watched | None:
    """Read what the posts of a study see; None where the study has no watch result.

    Parameters
    ----------
    study_folder : folder of the study.
    mesh : its mesh.

    Raises
    ------
    InputError : the file is damaged or belongs to another mesh.
    """
    path = study_folder / WATCH_FOLDER / SEEN_FILE
    if not path.is_file():
        return None
    cells, watched, made_from = _read_file(path, study_folder)
    if made_from != mesh.study_hash or not np.array_equal(cells, mesh.cells):
        remedy = f"run: abatis watch {study_folder}"
        raise InputError([Fault("was made for another mesh", str(path), remedy=remedy)])
    return watched


def _read_file(path: Path, study_folder: Path) -> tuple[np.ndarray, Watched, str]:
    """Cells, what is seen of them, and the hash of the mesh that the file was made for."""
    try:
        table = pq.read_table(path)
        cells, seen_by, detection = (table[name].to_numpy() for name in ("h3", "seen_by", "detection"))
        made_from = (table.schema.metadata or {}).get(b"study_hash", b"").decode()
    except (OSError, KeyError, pa.ArrowException) as error:
        remedy = f"run: abatis watch {study_folder}"
        raise InputError([Fault(f"is damaged: {error}", str(path), remedy=remedy)]) from error
    return cells, Watched(seen_by.astype(np.int32), detection.astype(np.float64)), made_from
