"""The table of fields (`fields.csv`): one line per column, driving reading, checking, help and captions."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import pandas as pd

from abatis.model.errors import Fault, nearest_word

KEYED_TABLES = {
    "places": ("place",),
    "fronts": ("front",),
    "approaches": ("approach",),
    "vehicles": ("vehicle",),
    "speeds": ("vehicle", "season", "factor", "word"),
    "soils": ("ground", "season"),
    "crossings": ("vehicle", "season", "from_m"),
    "measures": ("measure",),
    "options": ("option",),
    "budget": ("line",),
    "rules": ("rule",),
    "line_terms": ("term",),
    "budgets": ("budget", "line"),
    "budget_years": ("line", "year"),
    "budget_measures": ("line", "measure"),
    "regions": ("region",),
    "capacities": ("region", "measure"),
    "lots": ("measure",),
    "order_rules": ("before", "after"),
    "effects": ("measure", "years_after"),
    "economy": ("year",),
    "eu_money": ("line", "name"),
    "upkeep": ("measure",),
    "liabilities": ("liability",),
    "stocks": ("measure",),
    "belts": ("belt",),
    "depots": ("depot",),
    "fixed_works": ("site", "measure"),
    "splits": ("split", "family"),
    "split_options": ("option",),
    "treaties": ("state", "instrument", "event"),
    "law_rules": ("rule",),
    "clearance_terms": ("term",),
    "hazards": ("hazard",),
    "hazard_activities": ("activity",),
    "hazard_releases": ("release",),
    "sensors": ("sensor",),
    "posts": ("post",),
    "watch_terms": ("term",),
    "notices": ("notice",),
    "facts": ("fact",),
    "classes": ("layer", "code"),
}
Cell = str | float | int | bool | tuple[str, ...] | tuple[float, ...] | None
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_DATE = re.compile(r"\d{4}(-\d{2}){0,2}")


@dataclass(frozen=True)
class Field:
    """One column of one table: its type, unit, bounds, default and meaning.

    `default` is `required` (must be given), `-` (may be empty) or the value taken when it is empty.
    """

    table: str
    column: str
    type: str
    unit: str
    minimum: float
    maximum: float
    default: str
    choices: tuple[str, ...]
    meaning: str

    @property
    def reference(self) -> tuple[str, str] | None:
        """Table and column this field refers to, or None."""
        if not self.type.startswith("reference"):
            return None
        table, column = self.type.split()[1].split(".")
        return table, column

    @property
    def caption(self) -> str:
        """Column and unit as shown above a table column."""
        return self.column.replace("_", " ") + (f" [{self.unit}]" if self.unit else "")


@cache
def read_fields() -> tuple[Field, ...]:
    """Read the packaged table of fields."""
    text = resources.files("abatis.model").joinpath("fields.csv").read_text(encoding="utf-8")
    return tuple(
        Field(
            table=row["table"],
            column=row["column"],
            type=row["type"],
            unit=row["unit"],
            minimum=float(row["minimum"] or "-inf"),
            maximum=float(row["maximum"] or "inf"),
            default=row["default"],
            choices=tuple(row["choices"].split()),
            meaning=row["meaning"],
        )
        for row in csv.DictReader(text.splitlines())
    )


@cache
def fields_of(table: str) -> tuple[Field, ...]:
    """Return the fields of one table, in the order of its columns.

    Examples
    --------
    >>> [field.column for field in fields_of("fronts")][:3]
    ['front', 'name', 'countries']
    """
    found = tuple(field for field in read_fields() if field.table == table)
    if not found:
        raise KeyError(f"no table {table!r}")
    return found


def table_names() -> tuple[str, ...]:
    """Return the names of all tables in the order of the field table."""
    return tuple(dict.fromkeys(field.table for field in read_fields()))


def parse_value(field: Field, text: str) -> tuple[Cell, str, str]:
    """Read one value as its field says.

    Parameters
    ----------
    field : the field.
    text : the value as it stands in the file, stripped.

    Returns
    -------
    value : the value, or None when it is empty (allowed) or wrong.
    problem : what is wrong, empty when nothing is.
    remedy : how to mend it.

    Examples
    --------
    >>> population = [f for f in fields_of("places") if f.column == "population"][0]
    >>> parse_value(population, "1200")
    (1200.0, '', '')
    >>> parse_value(population, "-1")[1]
    'is -1 but must be at least 0'
    """
    if text == "":
        if field.default == "required":
            return None, "is missing", f"give the {field.meaning}"
        if field.default == "-":
            return ((), "", "") if field.type in ("words", "numbers") else (None, "", "")
        text = field.default
    if text == "-" and field.default == "-":
        return None, "", ""
    kind = field.type.split()[0]
    if kind in ("number", "integer", "numbers"):
        return _parse_numbers(field, kind, text)
    if kind == "boolean":
        value = {"true": True, "false": False}.get(text.lower())
        return value, "" if value is not None else f"is '{text}'", "write true or false"
    if kind in ("choice", "tag"):
        if text in field.choices:
            return text, "", ""
        return None, f"has the unknown word '{text}'", nearest_word(text, field.choices)
    if kind == "words":
        words = tuple(text.split())
        wrong = [word for word in words if not _WORD.fullmatch(word)]
        return words, f"has the unusable word '{wrong[0]}'" if wrong else "", "words are split by spaces"
    if kind == "date":
        good = bool(_DATE.fullmatch(text))
        return text, "" if good else f"is '{text}', not a date", "write YYYY, YYYY-MM or YYYY-MM-DD"
    if kind == "word" and not _WORD.fullmatch(text):
        return None, f"is '{text}', not a key", "use letters, digits, _ . and -"
    return text, "", ""


def _parse_numbers(field: Field, kind: str, text: str) -> tuple[Cell, str, str]:
    unit = f"a number in {field.unit}" if field.unit else "a number"
    values = []
    for part in text.split() if kind == "numbers" else [text]:
        try:
            value = float(part)
        except ValueError:
            hint = "use a point, not a comma" if "," in part else f"give {unit}"
            return None, f"is '{part}', not a number", hint
        if not math.isfinite(value):
            return None, f"is {part}", f"give {unit}"
        if kind == "integer" and value != int(value):
            return None, f"is {part}, not a whole number", f"give {unit}"
        if value < field.minimum:
            return None, f"is {part} but must be at least {field.minimum:g}", f"give {unit}"
        if value > field.maximum:
            return None, f"is {part} but must be at most {field.maximum:g}", f"give {unit}"
        values.append(value)
    if kind == "numbers":
        return tuple(values), "", ""
    return int(values[0]) if kind == "integer" else values[0], "", ""


def read_table(path: Path, table: str, name: str | None = None) -> tuple[pd.DataFrame, list[Fault]]:
    """Read a CSV table and check every value against the table of fields.

    Parameters
    ----------
    path : CSV file, UTF-8, comma separated, header in the first line.
    table : name of the table in `fields.csv`.
    name : how the file is named in faults; the path when not given.

    Returns
    -------
    frame : one column per field, one row per good line; empty numbers are NaN, empty texts are ''.
    faults : everything that is wrong, in the order of the file.
    """
    shown = name or str(path)
    fields = fields_of(table)
    columns = [field.column for field in fields]
    try:
        lines, unread = _read_lines(path.read_text(encoding="utf-8-sig"), shown)
    except FileNotFoundError:
        return empty_table(table), [
            Fault("is missing", shown, remedy=f"write it with the columns {','.join(columns)}")
        ]
    except (OSError, UnicodeDecodeError) as error:
        return empty_table(table), [
            Fault(f"cannot be read: {error}", shown, remedy="save it as CSV in UTF-8")
        ]
    if unread:
        return empty_table(table), unread
    if not lines:
        return empty_table(table), [Fault("is empty", shown, remedy=f"give the columns {','.join(columns)}")]
    header = [cell.strip() for cell in lines[0][1]]
    faults = _check_header(header, fields, shown)
    records: list[dict[str, Cell]] = []
    numbers: list[int] = []
    for number, line in lines[1:]:
        if not any(cell.strip() for cell in line):
            continue
        if len(line) != len(header):
            faults.append(
                Fault(
                    f"has {len(line)} values under {len(header)} columns",
                    shown,
                    number,
                    remedy="quote values that hold a comma",
                )
            )
            continue
        given = dict(zip(header, (cell.strip() for cell in line), strict=True))
        record, wrong = _read_record(fields, given, shown, number)
        faults += wrong
        records.append(record)
        numbers.append(number)
    faults += _check_keys(table, records, numbers, shown)
    return _frame_records(fields, records, numbers), faults


def _read_lines(text: str, shown: str) -> tuple[list[tuple[int, list[str]]], list[Fault]]:
    """Cells of each row with the line it begins in; a quotation mark out of place is a fault."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines: list[tuple[int, list[str]]] = []
    begin = 1
    try:
        for cells in reader:
            lines.append((begin, cells))
            begin = reader.line_num + 1
    except csv.Error as error:
        remedy = "close the quotation mark that opens in this row; write one inside a quoted value twice"
        return lines, [Fault(f"cannot be read: {error}", shown, begin, remedy=remedy)]
    return lines, []


def _check_header(header: Sequence[str], fields: Sequence[Field], shown: str) -> list[Fault]:
    columns = [field.column for field in fields]
    faults = [
        Fault(f"has the unknown column '{cell}'", shown, 1, cell, nearest_word(cell, columns))
        for cell in header
        if cell not in columns
    ]
    faults += [
        Fault("column is missing", shown, 1, field.column, field.meaning)
        for field in fields
        if field.default == "required" and field.column not in header
    ]
    faults += [
        Fault("column stands twice", shown, 1, cell, "delete one")
        for cell in dict.fromkeys(header)
        if header.count(cell) > 1
    ]
    return faults


def _read_record(
    fields: Iterable[Field], given: dict[str, str], shown: str, number: int
) -> tuple[dict[str, Cell], list[Fault]]:
    record: dict[str, Cell] = {}
    faults = []
    for field in fields:
        if field.column not in given and field.default == "required":
            record[field.column] = None
            continue
        value, problem, remedy = parse_value(field, given.get(field.column, ""))
        record[field.column] = value
        if problem:
            faults.append(Fault(problem, shown, number, field.column, remedy))
    return record, faults


def _check_keys(
    table: str, records: Sequence[dict[str, Cell]], numbers: Sequence[int], shown: str
) -> list[Fault]:
    key_columns = KEYED_TABLES.get(table, ())
    first: dict[tuple[Cell, ...], int] = {}
    faults = []
    for record, number in zip(records, numbers, strict=True):
        key = tuple(record.get(column) for column in key_columns)
        if not key or any(part is None for part in key):
            continue
        if key in first:
            words = " ".join(str(part) for part in key)
            faults.append(
                Fault(
                    f"'{words}' stands in row {first[key]} already",
                    shown,
                    number,
                    key_columns[0],
                    "delete or rename one",
                )
            )
        else:
            first[key] = number
    return faults


def empty_table(table: str) -> pd.DataFrame:
    """Return a table without rows and with all its columns."""
    return _frame_records(fields_of(table), [], [])


def _frame_records(
    fields: Sequence[Field], records: Sequence[dict[str, Cell]], numbers: Sequence[int]
) -> pd.DataFrame:
    data: dict[str, pd.Series] = {}
    for field in fields:
        values = [record.get(field.column) for record in records]
        if field.type in ("number", "integer"):
            data[field.column] = pd.Series([math.nan if v is None else v for v in values], dtype="float64")
        elif field.type == "boolean":
            data[field.column] = pd.Series([bool(v) for v in values], dtype="bool")
        elif field.type in ("words", "numbers"):
            data[field.column] = pd.Series([() if v is None else v for v in values], dtype="object")
        else:
            data[field.column] = pd.Series(["" if v is None else v for v in values], dtype="object")
    frame = pd.DataFrame(data)
    frame.index = pd.Index(list(numbers), name="row", dtype="int64")
    return frame
