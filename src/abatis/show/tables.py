"""Tables for people and machines: coloured on a terminal, plain when piped, JSON when asked."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from abatis.model.errors import Fault


@dataclass(frozen=True)
class Column:
    """One column of a table: its key in JSON, its caption with unit, and how its numbers are written."""

    key: str
    caption: str
    format: str = ""

    @property
    def is_number(self) -> bool:
        """True when values are right-aligned numbers."""
        return bool(self.format)


@dataclass(frozen=True)
class Table:
    """A titled table; every row maps column keys to raw values (JSON carries exactly these)."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Mapping[str, Any], ...]
    note: str = ""


def format_value(value: Any, style: str) -> str:
    """Write one value for people.

    Parameters
    ----------
    value : number, text, bool or None; infinity means unreachable.
    style : format specification such as ``.1f`` or ``,.0f``; empty for text.

    Examples
    --------
    >>> format_value(1234.56, ",.0f"), format_value(float("inf"), ".1f"), format_value(None, ".1f")
    ('1,235', 'never', '-')
    >>> format_value(True, "")
    'yes'
    """
    if value is None or (isinstance(value, float) and math.isnan(value)) or value == "":
        return "-"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | float | np.number):
        if math.isinf(float(value)):
            return "never"
        return format(float(value) if style else value, style)
    if isinstance(value, list | tuple):
        return " ".join(str(part) for part in value)
    return str(value)


def print_table(table: Table) -> None:
    """Print a table on standard output: boxes and colours on a terminal, aligned plain text when piped."""
    if sys.stdout.isatty():
        Console().print(_build_rich(table))
    else:
        sys.stdout.write(format_plain(table))


def _build_rich(table: Table) -> RichTable:
    rich = RichTable(
        title=escape(table.title), title_justify="left", title_style="bold", caption=escape(table.note)
    )
    for column in table.columns:
        rich.add_column(
            escape(column.caption), justify="right" if column.is_number else "left", overflow="fold"
        )
    for row in table.rows:
        rich.add_row(*(escape(format_value(row.get(column.key), column.format)) for column in table.columns))
    return rich


def format_plain(table: Table) -> str:
    """Write a table as plain aligned text without colour.

    Examples
    --------
    >>> columns = (Column("name", "name"), Column("h", "time [h]", ".1f"))
    >>> print(format_plain(Table("Times", columns, ({"name": "A to B", "h": 2.0},))), end="")
    Times
    name    time [h]
    A to B       2.0
    """
    grid = [[column.caption for column in table.columns]]
    grid += [
        [format_value(row.get(column.key), column.format) for column in table.columns] for row in table.rows
    ]
    widths = [max(len(line[index]) for line in grid) for index in range(len(table.columns))]
    lines = [table.title]
    for line in grid:
        cells = [
            cell.rjust(width) if column.is_number else cell.ljust(width)
            for cell, width, column in zip(line, widths, table.columns, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    if table.note:
        lines.append(table.note)
    return "\n".join(lines) + "\n"


def print_json(value: Any) -> None:
    """Print one JSON value on standard output; infinities and missing numbers become null."""
    sys.stdout.write(json.dumps(clean_json(value), indent=1, ensure_ascii=False) + "\n")


def clean_json(value: Any) -> Any:
    """Turn numpy values, tuples and non-finite numbers into what JSON can hold.

    Examples
    --------
    >>> clean_json({"hours": (1.5, float("inf")), "cells": np.int64(3)})
    {'hours': [1.5, None], 'cells': 3}
    """
    if isinstance(value, Mapping):
        return {str(key): clean_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [clean_json(one) for one in value]
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(float(value)) else None
    return value


def show_tables(tables: Mapping[str, Table], as_json: bool) -> None:
    """Print tables one below the other, or one JSON object with a list of rows per table."""
    if as_json:
        print_json({key: list(table.rows) for key, table in tables.items()})
        return
    for index, table in enumerate(tables.values()):
        if index:
            sys.stdout.write("\n")
        print_table(table)


def print_message(text: str, style: str = "") -> None:
    """Print one line for people on standard error, coloured on a terminal."""
    if sys.stderr.isatty():
        Console(stderr=True).print(escape(text), style=style or None, highlight=False)
    else:
        sys.stderr.write(text + "\n")


def print_faults(faults: Sequence[Fault]) -> None:
    """List every fault on standard error: where, what, remedy."""
    count = len(faults)
    print_message(f"{count} fault{'s' if count != 1 else ''} in the input:", "bold red")
    if sys.stderr.isatty():
        table = RichTable(show_lines=False)
        for caption in ("file", "row", "column", "problem", "remedy"):
            table.add_column(caption, justify="right" if caption == "row" else "left", overflow="fold")
        for fault in faults:
            row = str(fault.row) if fault.row else ""
            table.add_row(
                *(escape(one) for one in (fault.file, row, fault.column, fault.problem, fault.remedy))
            )
        Console(stderr=True).print(table)
        return
    for fault in faults:
        sys.stderr.write(f"  {fault}\n")
