"""Files that a ledger is imported from: CSV and XLSX, read line by line, hostile ones refused."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from abatis.model.errors import Fault, InputError, SizeError

MOST_BYTES = 128 * 2**20
MOST_UNPACKED_BYTES = 512 * 2**20
MOST_STRING_BYTES = 128 * 2**20
MOST_ROWS = 500_000
MOST_COLUMNS = 200
_PROLOG_BYTES = 65536
_ERRORS = ("#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#N/A", "#NULL!", "#NUM!")
Line = tuple[int, list[str]]


@dataclass(frozen=True)
class Part:
    """One table of a file: its name (of the file or of the sheet), how faults name it, and its lines."""

    name: str
    shown: str
    lines: Iterator[Line]


def hash_source(path: Path) -> str:
    """Return the SHA-256 of a file; of a folder, that of the names and SHA-256 of its CSV files."""
    if path.is_dir():
        listed = "".join(f"{hash_source(file)}  {file.name}\n" for file in _list_folder(path))
        return hashlib.sha256(listed.encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def open_parts(path: Path) -> Iterator[Iterator[Part]]:
    """Open a CSV or XLSX file, or a folder of CSV files, and give its tables, one after the other.

    Raises
    ------
    InputError : it is no such file, is damaged, is not UTF-8, or holds what could run.
    SizeError : it, what it unpacks to, or its number of rows is too large.

    In words: nothing is read before the size is known, and a table is never in memory whole.
    """
    files = _list_folder(path) if path.is_dir() else [path]
    _check_files(path, files)
    if path.suffix.lower() == ".xlsx" and not path.is_dir():
        with _open_workbook(path) as book:
            yield (_read_sheet(sheet, path.name) for sheet in book.worksheets)
        return
    with ExitStack() as opened:
        yield iter([_open_text(file, path, opened) for file in files])


def _open_text(file: Path, asked: Path, opened: ExitStack) -> Part:
    shown = file.name if file == asked else f"{asked.name}/{file.name}"
    raw = opened.enter_context(file.open("rb"))
    _check_encoding(raw.read(4), shown)
    raw.seek(0)
    text = opened.enter_context(io.TextIOWrapper(raw, encoding="utf-8-sig", newline=""))
    return Part(file.stem, shown, _read_lines(text, file, shown))


def _list_folder(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() == ".csv")


def _check_files(asked: Path, files: Sequence[Path]) -> None:
    if not files:
        raise InputError([Fault("holds no .csv file", str(asked), remedy="give a file, or a folder of them")])
    for file in files:
        _check_file(file)
    size = sum(file.stat().st_size for file in files)
    if size > MOST_BYTES:
        raise SizeError(
            f"{asked.name} has {size / 2**20:,.0f} MB; at most {MOST_BYTES // 2**20} MB are imported "
            "at once: divide it into several files."
        )


def _check_file(path: Path) -> None:
    if path.suffix.lower() not in (".csv", ".xlsx"):
        remedy = "give a .csv or an .xlsx file"
        raise InputError([Fault("is no file that can be read", path.name, remedy=remedy)])
    if not path.is_file():
        problem = "is no plain file" if path.exists() else "does not exist"
        raise InputError([Fault(problem, str(path), remedy="check the path")])


def _check_encoding(start: bytes, shown: str) -> None:
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError([Fault("is UTF-16, not UTF-8", shown, remedy="save it as CSV in UTF-8")])
    if start.startswith(b"PK\x03\x04"):
        raise InputError([Fault("is a workbook named .csv", shown, remedy="name it .xlsx")])


def _read_lines(text: io.TextIOWrapper, path: Path, shown: str) -> Iterator[Line]:
    reader = csv.reader(text, strict=True)
    try:
        for line in reader:
            _check_extent(reader.line_num, line, shown)
            if any(cell.strip() for cell in line):
                yield reader.line_num, line
    except UnicodeDecodeError as error:
        row = _find_bad_line(path)
        fault = Fault("is not UTF-8", shown, row, remedy="save it as CSV in UTF-8")
        raise InputError([fault]) from error
    except csv.Error as error:
        remedy = "save it as CSV in UTF-8"
        raise InputError(
            [Fault(f"cannot be read: {error}", shown, reader.line_num, remedy=remedy)]
        ) from error


def _find_bad_line(path: Path) -> int | None:
    """Line of the first byte that is not UTF-8."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return None


def _check_extent(number: int, line: Sequence[object], shown: str) -> None:
    if number > MOST_ROWS + 1:
        raise SizeError(
            f"{shown} has more than {MOST_ROWS:,} rows: divide it into several files; nothing was recorded."
        )
    if len(line) > MOST_COLUMNS:
        fault = Fault(f"has {len(line)} columns", shown, number, remedy=f"give at most {MOST_COLUMNS}")
        raise InputError([fault])


@contextmanager
def _open_workbook(path: Path) -> Iterator[Any]:
    import openpyxl

    _check_archive(path)
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=False, keep_links=False)
    except Exception as error:
        fault = Fault(f"cannot be read: {_shorten(error)}", path.name, remedy="save it as .xlsx")
        raise InputError([fault]) from error
    try:
        yield book
    finally:
        book.close()


def _check_archive(path: Path) -> None:
    """Refuse archives that unpack to far more than they seem, and XML that defines words of its own."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            total = sum(member.file_size for member in members)
            strings = sum(m.file_size for m in members if m.filename.lower().endswith("sharedstrings.xml"))
            if total > MOST_UNPACKED_BYTES or strings > MOST_STRING_BYTES or len(members) > 10_000:
                raise SizeError(
                    f"{path.name} would unpack to {total / 2**20:,.0f} MB; at most "
                    f"{MOST_UNPACKED_BYTES // 2**20} MB are read: divide it, or save it as CSV."
                )
            for member in members:
                if member.filename.lower().endswith((".xml", ".rels", ".vml")):
                    with archive.open(member) as file:
                        _check_prolog(file.read(_PROLOG_BYTES), path.name)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        remedy = "save it as .xlsx, without password"
        raise InputError([Fault(f"is no workbook: {_shorten(error)}", path.name, remedy=remedy)]) from error


def _check_prolog(start: bytes, shown: str) -> None:
    plain = start.replace(b"\0", b"").upper()
    if b"<!DOCTYPE" in plain or b"<!ENTITY" in plain:
        text = "holds XML that defines words of its own"
        raise InputError([Fault(text, shown, remedy="save it anew as .xlsx")])


def _read_sheet(sheet: Any, file: str) -> Part:
    shown = f"{file} ({sheet.title})"
    return Part(str(sheet.title), shown, _read_cells(sheet, shown))


def _read_cells(sheet: Any, shown: str) -> Iterator[Line]:
    if not hasattr(sheet, "reset_dimensions"):
        raise InputError([Fault("is a chart, not a table", shown, remedy="leave it out")])
    # A sheet may say that it is as large as a sheet can be; only what it holds counts.
    sheet.reset_dimensions()
    try:
        for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
            _check_extent(number, row, shown)
            if any(cell is not None for cell in row):
                yield number, [write_cell(cell) for cell in row]
    except (InputError, SizeError):
        raise
    except Exception as error:
        fault = Fault(f"cannot be read: {_shorten(error)}", shown, remedy="save it as .xlsx")
        raise InputError([fault]) from error


def write_cell(value: object) -> str:
    """Write a cell of a workbook as a CSV file would hold it.

    Examples
    --------
    >>> write_cell(3.0), write_cell(date(2026, 2, 9)), write_cell(True), write_cell(None)
    ('3', '2026-02-09', 'true', '')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    # Arrays and tables of formulas come as objects; they are refused as formulas are.
    return (
        str(value) if isinstance(value, str | int | float | time | timedelta) else f"={type(value).__name__}"
    )


def find_cell_error(text: str) -> bool:
    """True when a cell holds an error of the workbook, such as a lost reference."""
    return text in _ERRORS


def _shorten(error: object) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
