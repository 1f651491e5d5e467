"""The table of `abatis validate`, its file beside the mesh, and what the report shows of it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import abatis
from abatis.ground.comparison import Comparison
from abatis.ground.fidelity import validate_mesh
from abatis.model.errors import Fault, InputError
from abatis.model.mesh import Mesh
from abatis.model.storage import write_text_whole
from abatis.model.study import Study
from abatis.show.results import Progress
from abatis.show.tables import Column, Table, clean_json, format_value

VALIDATION_FILE = "validation.json"
COLUMNS = (
    Column("check", "compared"),
    Column("subject", "what"),
    Column("unit", "unit"),
    Column("mesh", "mesh", ",.10g"),
    Column("source", "source", ",.10g"),
    Column("difference_percent", "difference [%]", "+.2f"),
    Column("allowed", "allowed [%]"),
    Column("fits", "fits"),
    Column("note", "how"),
)
KEYS = (*(column.key for column in COLUMNS), "low_percent", "high_percent")


@dataclass(frozen=True)
class Validation:
    """The table of all comparisons, and a short one with a row for each kind."""

    rows: Table
    summary: Table


def validate_study(study: Study, mesh: Mesh, windows: int, progress: Progress) -> tuple[Validation, Path]:
    """Compare the mesh of a study with its sources and write `mesh/validation.json`.

    Parameters
    ----------
    study, mesh : the study and its mesh, as it stands on disk.
    windows : pieces of ground on which times are compared; 0 for none.
    progress : callback (stage, share done).

    Returns
    -------
    The tables, and the file written.

    Raises
    ------
    InputError : faults of the sources.
    """
    rows = [describe_row(one) for one in validate_mesh(study, mesh, progress, windows)]
    path = study.folder / "mesh" / VALIDATION_FILE
    found = {
        "version": abatis.__version__,
        "study_hash": mesh.study_hash,
        "mesh_hash": hash_mesh(study.folder),
        "fits": all(row["fits"] for row in rows),
        "rows": rows,
    }
    write_text_whole(path, json.dumps(clean_json(found), indent=1, ensure_ascii=False) + "\n")
    return tabulate_validation(study, rows), path


def describe_row(row: Comparison) -> dict[str, Any]:
    """Return one comparison as plain values under the keys of the table.

    In words: five digits are enough; a difference from nothing is None.
    """
    return {
        "check": row.check,
        "subject": row.subject,
        "unit": row.unit,
        "mesh": round_digits(row.mesh),
        "source": round_digits(row.source),
        "difference_percent": round(row.difference_percent, 3)
        if math.isfinite(row.difference_percent)
        else None,
        "allowed": f"{row.low_percent:+.1f} to {row.high_percent:+.1f}",
        "fits": row.fits,
        "note": row.note,
        "low_percent": round(row.low_percent, 3),
        "high_percent": round(row.high_percent, 3),
    }


def round_digits(value: float) -> float:
    """Round to five digits, but never away digits before the point.

    Examples
    --------
    >>> round_digits(149268.13), round_digits(0.8233912), round_digits(0.0)
    (149268.0, 0.82339, 0.0)
    """
    if value == 0 or not math.isfinite(value):
        return float(value)
    return round(float(value), max(0, 4 - math.floor(math.log10(abs(value)))))


def tabulate_validation(study: Study, rows: Sequence[dict[str, Any]]) -> Validation:
    """Return the tables of all comparisons."""
    missed = sum(not row["fits"] for row in rows)
    verdict = "all fit" if not missed else f"{missed} of {len(rows)} lie outside their limits"
    timed = any(row["check"] == "times" for row in rows)
    note = "" if timed else "Times were not compared: no window was asked for, or no way lies in one."
    table = Table(f"Mesh of {study.title} against its sources: {verdict}", COLUMNS, tuple(rows), note)
    return Validation(table, _summarize(rows))


def _size_difference(row: Mapping[str, Any]) -> float:
    """Size of a difference; None stands for a number that has no source at all."""
    difference = row["difference_percent"]
    return math.inf if difference is None else abs(float(difference))


def _summarize(rows: Sequence[dict[str, Any]]) -> Table:
    lines = []
    for check in dict.fromkeys(row["check"] for row in rows):
        own = [row for row in rows if row["check"] == check]
        worst = max(own, key=_size_difference)
        lines.append(
            {
                "check": check,
                "numbers": len(own),
                "missed": sum(not row["fits"] for row in own),
                "difference_percent": worst["difference_percent"],
                "subject": worst["subject"],
            }
        )
    columns = (
        Column("check", "compared"),
        Column("numbers", "numbers", ".0f"),
        Column("missed", "outside limits", ".0f"),
        Column("difference_percent", "largest difference [%]", "+.2f"),
        Column("subject", "of what"),
    )
    return Table("In short", columns, tuple(lines))


def raise_missed(validation: Validation, path: Path) -> None:
    """Refuse a mesh with a row outside its limits.

    Raises
    ------
    InputError : one fault for each such row.
    """
    faults = [
        Fault(
            f"{row['check']}, {row['subject']}: {format_value(row['difference_percent'], '+.2f')} % is not "
            f"within {row['allowed']} %",
            str(path),
            remedy="see docs/validation.md",
        )
        for row in validation.rows.rows
        if not row["fits"]
    ]
    if faults:
        raise InputError(faults)


def hash_mesh(folder: Path) -> str:
    """Return the SHA-256 over the cells and edges of a study's mesh as they stand on disk."""
    digest = hashlib.sha256()
    for name in ("cells", "edges"):
        with (folder / "mesh" / f"{name}.parquet").open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def read_validation(study: Study, mesh: Mesh) -> Validation | None:
    """Return the tables of `mesh/validation.json`, None where there is none for this very mesh.

    In words: a file of another study, of a mesh built since, or one that cannot be read is left out: what
    the report says must belong to the mesh it shows.
    """
    path = study.folder / "mesh" / VALIDATION_FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        fits = found["study_hash"] == mesh.study_hash and found["mesh_hash"] == hash_mesh(study.folder)
        rows = [{key: row[key] for key in KEYS} for row in found["rows"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return tabulate_validation(study, rows) if fits else None
