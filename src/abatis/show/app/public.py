"""What the public may see of a view: the rows of public.csv and nothing else."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from abatis.show.app.answers.tables import TRACE, TableAnswer
from abatis.show.app.answers.views import ViewAnswer

TABLE = Path(__file__).with_name("public.csv")
PARTS = ("table", "layer", "chart", "trace")
ALL = "*"


@dataclass(frozen=True)
class PublicPart:
    """A table, layer or chart of a view that the public may see, with the columns that stay; `*` for all.

    The part `trace` of the view `trace` opens ids of a kind: `key` is the kind (`table.NAME` for cells of a
    table), `columns` what of it.
    """

    view: str
    part: str
    key: str
    columns: tuple[str, ...]


@cache
def read_public() -> dict[tuple[str, str, str], PublicPart]:
    """Read public.csv by view, part and key.

    Raises
    ------
    ValueError : a row with an unknown part or without columns, or a part given twice.
    """
    found: dict[tuple[str, str, str], PublicPart] = {}
    with TABLE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            one = PublicPart(row["view"], row["part"], row["key"], tuple(row["columns"].split()))
            name = (one.view, one.part, one.key)
            if one.part not in PARTS or not one.columns or name in found:
                raise ValueError(f"public.csv: unknown part, no columns, or given twice: {row}")
            found[name] = one
    return found


def hide_restricted(view: str, answer: ViewAnswer) -> ViewAnswer:
    """Return what the public may see of a view.

    Parameters
    ----------
    view : name of the view, as in public.csv.
    answer : the whole view; it is not changed.

    In words: a part that public.csv does not name is left out, a column that it does not name too, so that
    what is added to a view later is restricted until somebody opens it. Of tables cut to some columns the
    note goes as well, since it may speak of the others; notes of the view are for those who may act on them.
    """
    public = read_public()
    tables = {}
    for key, table in answer.tables.items():
        part = public.get((view, "table", key))
        if part is not None:
            tables[key] = cut_table(table, part.columns)
    return ViewAnswer(
        made=answer.made,
        why="" if answer.made else "This is not there yet.",
        tables=tables,
        features={key: one for key, one in answer.features.items() if (view, "layer", key) in public},
        charts={key: one for key, one in answer.charts.items() if (view, "chart", key) in public},
    )


def cut_table(table: TableAnswer, columns: tuple[str, ...]) -> TableAnswer:
    """Return a table with some of its columns; keys that no column shows go as well.

    Examples
    --------
    >>> table = TableAnswer(title="T", columns=[], rows=[{"a": 1, "b": 2, "_trace": {"a": "x", "b": "y"}}])
    >>> cut_table(table, ("a",)).rows
    [{'a': 1, '_trace': {'a': 'x'}}]
    """
    shown = {one.key for one in table.columns}
    kept = shown if ALL in columns else set(columns)
    rows: list[dict[str, Any]] = []
    for row in table.rows:
        short = {key: value for key, value in row.items() if key in kept}
        trace = {key: of for key, of in row.get(TRACE, {}).items() if key in kept}
        rows.append({**short, TRACE: trace} if trace else short)
    return TableAnswer(
        title=table.title,
        columns=[one for one in table.columns if one.key in kept],
        rows=rows,
        note=table.note if ALL in columns else "",
        source=table.source,
    )


def may_trace(parts: Sequence[str]) -> bool:
    """Say whether the public may ask for a number by its id.

    Parameters
    ----------
    parts : of the id (`answers.trace.split_id`).

    Examples
    --------
    >>> may_trace(("plan", "base", "cost_eur")), may_trace(("plan", "base", "option", "e1-8a/x", "cost_eur"))
    (True, False)
    >>> may_trace(("table", "budget", "sites", "amount_eur")), may_trace(("table", "posts"))
    (True, False)
    """
    kind = f"table.{parts[1]}" if parts[0] == "table" and len(parts) > 1 else parts[0]
    found = read_public().get(("trace", "trace", kind))
    if found is None:
        return False
    return ALL in found.columns or (len(parts) == 3 and parts[2] in found.columns)
