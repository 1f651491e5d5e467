"""Tracing into the study's own files: rows of tables, settings, layers, and the packaged treaty register."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from abatis.model.fields import KEYED_TABLES, fields_of, read_table, table_names
from abatis.model.study import Study
from abatis.people.treaties import read_instruments, read_packaged
from abatis.show.app.answers.tables import plain_value
from abatis.show.app.answers.trace import InputAnswer, TraceAnswer, trace_id
from abatis.show.civil_figures import join_tags

SPLIT = "|"
# Tables that come with abatis; a study's own rows stand in their place.
PACKAGED = ("treaties", "law_rules", "clearance_terms", "access_terms", "land_terms", "road_capacities")
MOST_INPUTS = 60
# The address of a ledger may hold a password.
HIDDEN_SETTINGS = ("ledger",)
# Columns that say what a row is called, in the order in which they are tried.
NAMES = ("name", "title", "wording")


def read_rows(study: Study, table: str) -> pd.DataFrame | None:
    """Return a table of a study by its name in fields.csv, or the packaged one that stands in for it.

    None where there is neither.
    """
    frame = study.tables.get(table)
    if frame is not None and (len(frame) or table not in PACKAGED):
        return frame
    path = study.folder / "tables" / f"{table}.csv"
    if table not in table_names() or table.startswith("ledger_"):
        return None
    if not path.is_file():
        return read_packaged(table) if table in PACKAGED else None
    frame, faults = read_table(path, table)
    return None if faults else frame


def name_file(study: Study, table: str) -> str:
    """Return the file that a table is read from."""
    own = study.folder / "tables" / f"{table}.csv"
    return f"tables/{table}.csv" if own.is_file() or table not in PACKAGED else f"abatis people/{table}.csv"


def key_of(table: str, row: pd.Series, line: object) -> str:
    """Return the key of a row: its key columns, or # and its line in the file where the table has none."""
    columns = KEYED_TABLES.get(table)
    if columns is None or any(column not in row for column in columns):
        return f"#{line}"
    return SPLIT.join(str(plain_value(row[column])) for column in columns)


def find_row(study: Study, table: str, key: str) -> pd.Series | None:
    """Return the row of a table with a key; None where there is none."""
    frame = read_rows(study, table)
    if frame is None:
        return None
    for line, row in frame.iterrows():
        if key_of(table, row, line) == key:
            return row
    return None


def point_at(study: Study, table: str, key: str, column: str, what: str = "") -> InputAnswer | None:
    """Return the input that one cell of a table is; None where the study has no such cell.

    Parameters
    ----------
    study : the study. table, key, column : the cell. what : words for it; made from the row when left out.
    """
    row = find_row(study, table, key)
    if row is None or column not in row:
        return None
    field = next((one for one in fields_of(table) if one.column == column), None)
    name = next((str(row[word]) for word in NAMES if word in row and str(row[word])), key)
    return InputAnswer(
        of=trace_id("table", table, key, column),
        what=what or f"{name}: {field.meaning if field is not None else column}",
        value=plain_value(row[column]),
        unit=field.unit if field is not None else "",
        tag=str(row["tag"]) if "tag" in row else "",
        file=name_file(study, table),
        key=key,
        column=column,
    )


def point_at_table(study: Study, table: str, why: str = "") -> InputAnswer | None:
    """Return the input that a whole table is; None where the study has none."""
    frame = read_rows(study, table)
    if frame is None or frame.empty:
        return None
    return InputAnswer(
        of=trace_id("table", table),
        what=why or f"table {table}, {len(frame)} rows",
        tag=join_tags(frame["tag"]) if "tag" in frame else "",
        file=name_file(study, table),
    )


def keep(found: Iterable[InputAnswer | None]) -> list[InputAnswer]:
    """Return the inputs that are there."""
    return [one for one in found if one is not None]


def trace_table(study: Study, parts: Sequence[str]) -> TraceAnswer | None:
    """Trace a cell (table, key, column), or a whole table."""
    if len(parts) == 1:
        return _trace_whole(study, parts[0])
    if len(parts) != 3:
        return None
    table, key, column = parts
    found, row = point_at(study, table, key, column), find_row(study, table, key)
    if found is None or row is None:
        return None
    return TraceAnswer(
        of=found.of,
        what=found.what,
        value=found.value,
        unit=found.unit,
        formula=f"given: {name_file(study, table)}, row {key}, column {column}",
        source=str(row["source"]) if "source" in row else "",
        tag=found.tag,
        inputs=keep(
            point_at(study, table, key, other)
            for other in (
                f"{column.removesuffix('_eur').removesuffix('_h')}_{end}"
                for end in ("low_eur", "high_eur", "low_h", "high_h")
            )
        ),
    )


def _trace_whole(study: Study, table: str) -> TraceAnswer | None:
    frame = read_rows(study, table)
    if frame is None:
        return None
    inputs: list[InputAnswer] = []
    sources: list[str] = []
    for line, row in frame.iterrows():
        if len(inputs) < MOST_INPUTS:
            key = key_of(table, row, line)
            column = next(
                (one.column for one in fields_of(table) if one.column not in (*NAMES, "source", "tag")), ""
            )
            shown = _value_column(table) or column
            found = point_at(study, table, key, shown)
            if found is not None:
                inputs.append(found)
        if "source" in row:
            sources.append(str(row["source"]))
    more = f"; the first {MOST_INPUTS} are listed" if len(frame) > MOST_INPUTS else ""
    return TraceAnswer(
        of=trace_id("table", table),
        what=f"table {table}",
        value=len(frame),
        unit="rows",
        formula=f"given: {name_file(study, table)}{more}",
        source="; ".join(list(dict.fromkeys(sources))[:8]),
        tag=join_tags(frame["tag"]) if "tag" in frame and len(frame) else "",
        inputs=inputs,
    )


def _value_column(table: str) -> str:
    """The first column of a table that holds numbers and is no key."""
    keys = KEYED_TABLES.get(table, ())
    for field in fields_of(table):
        if (
            field.type in ("number", "integer")
            and field.column not in keys
            and field.column not in ("lon", "lat")
        ):
            return field.column
    return ""


def trace_setting(study: Study, key: str) -> TraceAnswer | None:
    """Trace a setting of study.toml, given there or its default."""
    field = next((one for one in fields_of("study.toml") if one.column == key), None)
    if field is None or key in HIDDEN_SETTINGS:
        return None
    given: Any = tomllib.loads((study.folder / "study.toml").read_text(encoding="utf-8"))
    for part in key.split("."):
        given = given.get(part) if isinstance(given, dict) else None
    is_given = given is not None
    return TraceAnswer(
        of=trace_id("setting", key),
        what=field.meaning,
        value=plain_value(given) if is_given else field.default,
        unit=field.unit,
        formula=f"given: study.toml, {key}" if is_given else f"default of {key}; study.toml does not say",
        source="study.toml" if is_given else "model/fields.csv",
    )


def trace_layer(study: Study, layer: str) -> TraceAnswer | None:
    """Trace a layer of the study to its files, their sources, dates and licences."""
    rows = study.source_rows(layer)
    if rows.empty:
        return None
    inputs = [
        InputAnswer(
            of="",
            what=f"{Path(row['file']).name}, {row['date']}, {row['licence']}: {row['source']}",
            value=str(row["address"] or ""),
            tag=str(row["tag"]),
            file="sources/sources.csv",
            key=Path(row["file"]).name,
        )
        for _, row in rows.iterrows()
    ]
    return TraceAnswer(
        of=trace_id("source", layer),
        what=f"layer {layer}",
        value=len(rows),
        unit="files",
        formula="read from the files listed in sources/sources.csv",
        source="; ".join(dict.fromkeys(str(one) for one in rows["source"])),
        tag=join_tags(str(one) for one in rows["tag"]),
        inputs=inputs,
    )


def trace_law(study: Study, register: pd.DataFrame, state: str, instrument: str) -> TraceAnswer | None:
    """Trace the standing of a state to a treaty to the rows of the register (`read_register`)."""
    rows = register[(register["state"] == state) & (register["instrument"] == instrument)]
    treaty = read_instruments().get(instrument)
    if treaty is None or state not in {*register["state"], *study.home, *study.hostile}:
        return None
    if rows.empty:
        return TraceAnswer(
            of=trace_id("law", state, instrument),
            what=f"{state}: {treaty.name}",
            formula="the register holds no row for this state and treaty: its standing is not known",
            source="abatis people/treaties.csv",
            tag="G",
        )
    own = study.tables["treaties"]
    inputs = []
    for _, row in rows.iterrows():
        mine = not own.empty and bool(((own["state"] == state) & (own["instrument"] == instrument)).any())
        dates = ", ".join(
            f"{column} {row[column]}" for column in ("vote", "notice", "effect") if str(row.get(column) or "")
        )
        inputs.append(
            InputAnswer(
                of="",
                what=f"{row.get('event', '')} {dates}: {row['source']}".strip(),
                value=str(row.get("effect") or ""),
                tag=str(row["tag"]),
                file="tables/treaties.csv" if mine else "abatis people/treaties.csv",
                key=f"{state}|{instrument}|{row.get('event', '')}",
                column="effect",
            )
        )
    return TraceAnswer(
        of=trace_id("law", state, instrument),
        what=f"{state}: {treaty.name}",
        value=plain_value(rows.iloc[-1].get("effect")),
        unit="date",
        formula="the standing follows the events of the register in the order of their dates",
        source="; ".join(dict.fromkeys(str(one) for one in rows["source"])),
        tag=join_tags(str(one) for one in rows["tag"]),
        inputs=inputs,
    )
