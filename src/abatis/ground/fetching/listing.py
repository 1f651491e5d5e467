"""Rows of sources.csv and classes.csv for fetched files; what the user wrote there stays as it stands."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from abatis.model.errors import Fault, InputError
from abatis.model.fields import fields_of
from abatis.model.storage import write_text_whole


def put_source_row(path: Path, values: Mapping[str, str]) -> None:
    """Add the row of a file to sources.csv, or renew its checksum, dates and address.

    Parameters
    ----------
    path : sources.csv; made when missing.
    values : column -> text; `layer` and `file` say which row it is.

    Raises
    ------
    InputError : the file cannot be read or written.

    In words: lines of other files keep every byte, except that new columns add empty values at their end; of
    a row that is there already only checksum, dates, address and attribution change.
    """
    columns = [field.column for field in fields_of("sources")]
    mark, lines, ending = _read_lines(path, "sources/sources.csv")
    if not lines:
        lines = [",".join(columns)]
    header = [cell.strip() for cell in next(csv.reader([lines[0]]))]
    missing = [column for column in columns if column not in header and values.get(column)]
    if missing:
        lines = [_extend_line(lines[0], missing), *(_pad_line(line, len(missing)) for line in lines[1:])]
        header += missing
    renewed = ("sha256", "date", "fetched", "address", "attribution")
    for number, line in enumerate(lines[1:], start=1):
        cells = next(csv.reader([line]), [])
        row = dict(zip(header, (cell.strip() for cell in cells), strict=False))
        if row.get("layer") == values["layer"] and row.get("file") == values["file"]:
            changed = {column: values.get(column, "") for column in renewed}
            lines[number] = _format_line([changed.get(c) or row.get(c, "") for c in header])
            break
    else:
        lines.append(_format_line([values.get(column, "") for column in header]))
    write_text_whole(path, mark + ending.join([*lines, ""]))


def append_rows(path: Path, table: str, rows: Sequence[Mapping[str, str]]) -> None:
    """Add rows at the end of a table of the study; lines that are there keep every byte.

    Parameters
    ----------
    path : the CSV file; made when missing.
    table : name of the table in fields.csv.
    rows : column -> text.

    Raises
    ------
    InputError : the file cannot be read or written.
    """
    mark, lines, ending = _read_lines(path, f"tables/{path.name}")
    if not lines:
        lines = [",".join(field.column for field in fields_of(table))]
    header = [cell.strip() for cell in next(csv.reader([lines[0]]))]
    lines += [_format_line([row.get(column, "") for column in header]) for row in rows]
    write_text_whole(path, mark + ending.join([*lines, ""]))


def _read_lines(path: Path, shown: str) -> tuple[str, list[str], str]:
    """Byte order mark, lines and line ending of a file; nothing when it is missing."""
    try:
        text = path.read_bytes().decode("utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            [Fault(f"cannot be read: {error}", shown, remedy="save it as CSV in UTF-8")]
        ) from error
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    ending = "\r\n" if "\r\n" in text else "\n"
    # Not splitlines: it also ends a line at a form feed or U+2028 inside a cell.
    lines = text.removeprefix(mark).split(ending)
    while lines and not lines[-1].strip():
        lines.pop()
    return mark, lines, ending


def _extend_line(line: str, cells: list[str]) -> str:
    return line + "," + ",".join(cells)


def _pad_line(line: str, count: int) -> str:
    return line + "," * count if line.strip() else line


def _format_line(cells: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()
