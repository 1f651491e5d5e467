"""Results of one command kept beside a plan for the pages of another, with a mark of what they rest on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from abatis.model.plan import Plan, read_plan
from abatis.model.storage import write_text_whole
from abatis.model.study import Study
from abatis.show.tables import Column, Table, clean_json

Rows = dict[str, list[dict[str, Any]]]
RESULTS = (
    "plan.gpkg",
    "report.html",
    "curve.json",
    "why.json",
    "schedule.json",
    "programme.json",
    "programme.html",
    "programme.xlsx",
    "split.html",
    "risk.json",
    "stock.json",
    "robust.json",
    "people_view.json",
    "validation.json",
)
"""What is made from a plan and would belong to its earlier state."""
PROGRAMME_BASIS = {
    "stock": ("stocks", "belts", "depots", "lots", "budgets", "budget_years", "budget_measures"),
    "robust": ("risks", "risk_correlations", "effects"),
}
"""Tables of the programme that the results of a command rest on; the study's fingerprint leaves them out."""


def keep_beside(folder: Path, plan_name: str, word: str, tables: Mapping[str, Table]) -> None:
    """Write tables as `plans/NAME/WORD.json` of a study folder.

    Parameters
    ----------
    folder : study folder.
    plan_name : name of the plan.
    word : risk.
    tables : what the command shows.
    """
    place = folder / "plans" / plan_name
    keep_rows(place, word, read_plan(place).study_hash, tables)


def keep_rows(place: Path, word: str, state: str, tables: Mapping[str, Table]) -> None:
    """Write tables as `WORD.json` into a folder, with the state of the study they were computed from."""
    kept = {"study_hash": state, **pack_tables(tables)}
    write_text_whole(
        place / f"{word}.json", json.dumps(clean_json(kept), indent=1, ensure_ascii=False) + "\n"
    )


def mark_basis(word: str, study: Study, plan: Plan) -> str:
    """Return the mark of what stock.json or robust.json of a plan rests on.

    Parameters
    ----------
    word : stock or robust.
    study, plan : the study and the plan that the results were computed from.

    In words: another state of the study, of the cells that posts see, of budget and options of the plan, or
    of the tables in `PROGRAMME_BASIS` has another mark.
    """
    chosen = sorted((one.site, one.option) for one in plan.options)
    digest = hashlib.sha256(json.dumps([plan.study_hash, plan.watch_hash, plan.budget_eur, chosen]).encode())
    for table in PROGRAMME_BASIS[word]:
        digest.update(f"{table}\n{study.tables[table].to_csv(index=False)}".encode())
    return digest.hexdigest()


def read_beside(place: Path, word: str, plan_name: str, state: str) -> tuple[Rows | None, str]:
    """Read tables that stand beside a plan; None, and why, when they are missing or of another state.

    Parameters
    ----------
    place : folder of the plan.
    word : risk, stock or robust.
    plan_name : name of the plan.
    state : what the results have to rest on: `mark_basis`, or the plan's `study_hash` for risk.
    """
    if not (place / f"{word}.json").is_file():
        return None, f"not computed: abatis {word} STUDY --plan {plan_name} writes {word}.json"
    return read_rows(place, word, state)


def read_rows(place: Path, word: str, wanted: str) -> tuple[Rows | None, str]:
    """Read what `keep_rows` wrote for a state of the study; None, and why, when it cannot be used."""
    path = place / f"{word}.json"
    if not path.is_file():
        return None, f"not computed: abatis {word} STUDY writes {word}.json"
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        state, tables = kept["study_hash"], kept["tables"]
    except (OSError, ValueError, KeyError, TypeError):
        return None, f"{word}.json cannot be read: run abatis {word} again"
    if state != wanted:
        return None, f"{word}.json is of another state of the study or plan: run abatis {word} again"
    return tables, ""


def pack_tables(tables: Mapping[str, Table]) -> dict[str, Any]:
    """Lay tables out for a file: rows, notes, titles and columns, each by the key of the table.

    Examples
    --------
    >>> table = Table("Times", (Column("h", "time [h]", ".1f"),), ({"h": 2.0},), "by road")
    >>> unpack_tables(pack_tables({"times": table}))["times"] == table
    True
    """
    return {
        "tables": {key: list(table.rows) for key, table in tables.items()},
        "notes": {key: table.note for key, table in tables.items() if table.note},
        "titles": {key: table.title for key, table in tables.items()},
        "columns": {key: [asdict(one) for one in table.columns] for key, table in tables.items()},
    }


def unpack_tables(kept: Mapping[str, Any]) -> dict[str, Table]:
    """Read back what `pack_tables` laid out; files of earlier versions have no captions, so keys stand in."""
    titles, columns, notes = (kept.get(word, {}) for word in ("titles", "columns", "notes"))
    found = {}
    for key, rows in kept["tables"].items():
        plain = [{"key": one, "caption": one} for one in dict.fromkeys(name for row in rows for name in row)]
        laid = tuple(Column(**one) for one in columns.get(key, plain))
        found[key] = Table(titles.get(key, key), laid, tuple(rows), notes.get(key, ""))
    return found
