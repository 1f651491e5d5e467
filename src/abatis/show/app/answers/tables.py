"""The answer that carries one table: the very rows that the command line and the report show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
from pydantic import BaseModel

from abatis.show.tables import Table

NEVER = "never"
TRACE = "_trace"


class ColumnAnswer(BaseModel):
    """One column: its key in the rows, its caption with unit, how its numbers are written ('' for text)."""

    key: str
    caption: str
    format: str = ""


class TableAnswer(BaseModel):
    """One titled table. Infinite hours are the word ``never``, missing numbers null.

    A row may hold ``_trace``: for some of its columns, what to ask ``/api/trace?of=`` for.
    """

    title: str
    columns: list[ColumnAnswer]
    rows: list[dict[str, Any]]
    note: str = ""
    source: str = ""


def plain_value(value: Any) -> Any:
    """Turn a value into what JSON holds: infinity becomes ``never``, a missing number null.

    Parameters
    ----------
    value : number, text, bool, date, None, or lists and mappings of these.

    Examples
    --------
    >>> plain_value({"hours": (1.5, float("inf"), float("nan")), "cells": np.int64(3)})
    {'hours': [1.5, 'never', None], 'cells': 3}
    """
    if isinstance(value, Mapping):
        return {str(key): plain_value(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset | np.ndarray):
        return [plain_value(one) for one in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        number = float(value)
        if math.isnan(number):
            return None
        return NEVER if math.isinf(number) else number
    if isinstance(value, date):
        return value.isoformat()
    return value if value is None else str(value)


def answer_table(
    table: Table, source: str = "", traces: Sequence[Mapping[str, str]] | None = None
) -> TableAnswer:
    """Turn a table into its answer.

    Parameters
    ----------
    table : as the command line shows it.
    source : where its figures come from, '' when the rows say so themselves.
    traces : one mapping per row, from the key of a column to an id of ``/api/trace``; None for no traces.

    Raises
    ------
    ValueError : when there are not as many traces as rows.

    Examples
    --------
    >>> from abatis.show.tables import Column
    >>> table = Table("Times", (Column("h", "time [h]", ".1f"),), ({"h": float("inf")},))
    >>> answer_table(table, traces=[{"h": "plan:base:value_h"}]).rows
    [{'h': 'never', '_trace': {'h': 'plan:base:value_h'}}]
    """
    rows: list[dict[str, Any]] = [plain_value(dict(row)) for row in table.rows]
    if traces is not None:
        for row, trace in zip(rows, traces, strict=True):
            if trace:
                row[TRACE] = dict(trace)
    columns = [ColumnAnswer(key=one.key, caption=one.caption, format=one.format) for one in table.columns]
    return TableAnswer(title=table.title, columns=columns, rows=rows, note=table.note, source=source)


def answer_tables(tables: Mapping[str, Table]) -> dict[str, TableAnswer]:
    """Turn several tables into their answers, without traces."""
    return {key: answer_table(table) for key, table in tables.items()}
