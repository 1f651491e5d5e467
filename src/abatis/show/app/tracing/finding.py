"""Finding the number that an id names, and what the public may trace of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from abatis.model.errors import InputError
from abatis.people.treaties import read_register
from abatis.show.app.answers.tables import plain_value
from abatis.show.app.answers.trace import InputAnswer, TraceAnswer, split_id, trace_id
from abatis.show.app.loaded import KeptPlan, LoadedStudy
from abatis.show.app.public import may_trace
from abatis.show.app.tracing.numbers import (
    Ground,
    point_at_record,
    trace_figure,
    trace_plan,
    trace_programme,
    trace_record,
)
from abatis.show.app.tracing.tables import trace_law, trace_layer, trace_setting, trace_table
from abatis.show.app.tracing.words import find_words
from abatis.show.app.views.answering import Asked, check_plan, find_view, mark_status
from abatis.show.app.views.kept import stamp_files
from abatis.show.app.views.ledger import LedgerSnapshot, assess, list_rows, name_row
from abatis.show.app.views.ledger_words import find_section
from abatis.show.app.views.people import read_people
from abatis.show.app.views.programme import open_programme
from abatis.show.civil_figures import join_tags
from abatis.show.programme import Programme

MOST_RECORDS = 200


def find_trace(
    study: LoadedStudy, ledger: LedgerSnapshot | None, of: str, public: bool
) -> TraceAnswer | None:
    """Return what an id names; None where there is no such number, or where it is not for the public.

    Parameters
    ----------
    study : the study. ledger : its records, None where it has none. of : the id. public : for the public.

    Raises
    ------
    InputError : faults of the study's tables that the number rests on.
    """
    parts = split_id(of)
    if public and not may_trace(parts):
        return None
    ground = Ground(study.snapshot(), ledger, public)
    found = _find(study, ground, parts)
    if found is None:
        return None
    if not public:
        return found
    kept = [one for one in found.inputs if not one.of or may_trace(split_id(one.of))]
    return found.model_copy(update={"inputs": kept})


def _find(study: LoadedStudy, ground: Ground, parts: Sequence[str]) -> TraceAnswer | None:
    kind, rest = parts[0], parts[1:]
    if kind == "table":
        return trace_table(ground.study, rest)
    if kind == "setting" and len(rest) == 1:
        return trace_setting(ground.study, rest[0])
    if kind == "source" and len(rest) == 1:
        return trace_layer(ground.study, rest[0])
    if kind == "law" and len(rest) == 2:
        register = ground.now.keeper.get("register", lambda: read_register(ground.study))
        return trace_law(ground.study, register, rest[0], rest[1])
    if kind == "record" and len(rest) == 1 and rest[0].isdecimal() and len(rest[0]) < 16:
        return trace_record(ground, int(rest[0]))
    if kind == "ledger" and len(rest) == 5:
        return _trace_status(study, ground, rest)
    if kind in ("plan", "programme", "people") and len(rest) > 1:
        return _trace_of_plan(study, ground, kind, rest)
    return None


def _trace_of_plan(study: LoadedStudy, ground: Ground, kind: str, rest: Sequence[str]) -> TraceAnswer | None:
    kept = _read_plan(study, rest[0])
    if kept is None:
        return None
    if kind == "plan":
        return trace_plan(ground, kept.plan, rest[1:])
    if kind == "people":
        asked = Asked(study, ground.now, kept, kept.plan.name)
        view = find_view("people", asked, lambda: check_plan(asked) or read_people(study.folder, asked.name))
        rows = view.tables["figures"].rows if view.made and rest[1] == "figure" and len(rest) == 3 else []
        figure = next((row for row in rows if row["key"] == rest[-1]), None)
        return trace_figure(ground, kept.plan.name, figure) if figure is not None else None
    programme = _open_programme(study, ground, kept)
    return trace_programme(ground, programme, rest[1:]) if programme is not None else None


def _open_programme(study: LoadedStudy, ground: Ground, kept: KeptPlan) -> Programme | None:
    """The programme of a plan, opened once for each state of its schedule."""
    if kept.stale:
        return None
    place = study.folder / "plans" / kept.plan.name
    key = ("programme", kept.plan.name, kept.version, stamp_files([place / "schedule.json"]))
    now = ground.now
    found = now.keeper.get(key, lambda: open_programme(now.study, now.siting, kept.plan))
    return None if isinstance(found, str) else found


def _read_plan(study: LoadedStudy, name: str) -> KeptPlan | None:
    if name not in study.list_plans():
        return None
    try:
        return study.read_plan(name)
    except InputError:
        return None


def _trace_status(study: LoadedStudy, ground: Ground, rest: Sequence[str]) -> TraceAnswer | None:
    """Trace a figure of the monitor: day, plan ('' for none), table, row, column."""
    section = find_section(rest[2])
    if section is None or ground.ledger is None:
        return None
    try:
        day = date.fromisoformat(rest[0])
    except ValueError:
        return None
    plan = "" if ground.public else rest[1]
    if plan and plan not in study.list_plans():
        return None
    status = assess(ground.ledger, ground.study, mark_status(study, plan), plan, day, ground.public)
    row = next((one for one in list_rows(status, section) if name_row(section, one) == rest[3]), None)
    column = next((one for one in section.columns if one.key == rest[4] and one.format), None)
    if row is None or column is None:
        return None
    words = find_words(section.part, column.key)
    inputs = [] if ground.public else _point_at_schedule(status.plan, row, column.key)
    seqs = list(row.get("grounds", {}).get(column.key) or row["records"])
    records = [
        one for seq in seqs[:MOST_RECORDS] if (one := ground.ledger.find(seq, ground.public)) is not None
    ]
    return TraceAnswer(
        of=trace_id("ledger", *rest),
        what=f"{rest[3].replace('|', ' ').strip()}: {words.what if words else column.caption}, {status.day}",
        value=plain_value(row[column.key]),
        unit=words.unit if words else str(row.get("unit") or ""),
        formula=words.formula if words else section.note or f"read from the records: {column.caption}",
        source="; ".join(dict.fromkeys(one.source for one in records))[:2000],
        tag=str(
            row.get("tag") or row.get("tags") or (join_tags(one.tag for one in records) if records else "")
        ),
        records=[one.seq for one in records],
        inputs=[*(point_at_record(one) for one in records), *inputs],
    )


def _point_at_schedule(plan: str, row: Mapping[str, Any], column: str) -> list[InputAnswer]:
    """Where the plan of a line is the schedule of a plan, the figure of that schedule."""
    if column != "planned_eur" or row.get("basis") != "schedule" or not plan:
        return []
    year, line = row["year"], row["line"]
    parts = ("line", line, "nominal_eur") if year is None else ("year", year, line)
    what = f"schedule of plan {plan}, {line}" + (f", {year}" if year is not None else "")
    return [InputAnswer(of=trace_id("programme", plan, *parts), what=what, value=row[column], unit="EUR")]
