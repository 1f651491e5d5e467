"""Import into the ledger: every fault at once, all or nothing, and what stands already is told."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.fields import Cell, Field, parse_value
from abatis.programme.ledger.checking import check_together, check_value
from abatis.programme.ledger.records import (
    COMMON,
    KINDS,
    NOT_DISCLOSED,
    Draft,
    Record,
    columns_of,
    may_stay_undisclosed,
)
from abatis.programme.ledger.scope import refuse_column, refuse_text, show_plain
from abatis.programme.ledger.sheets import Part, find_cell_error, hash_source, open_parts
from abatis.programme.ledger.store import Ledger
from abatis.programme.ledger.writing import Place, check_author

MOST_FAULTS = 1000
_DISCLOSED = re.compile(r"not[ _]disclosed", re.IGNORECASE)


@dataclass(frozen=True)
class ImportReport:
    """What an import did, or would do when `dry_run` is true.

    `rows` were read; `added` holds the new records (empty in a dry run); `new` counts what was or would be
    added by kind; `repeated` maps the place (file and row) of what stands already to the record's number.
    """

    file: str
    dry_run: bool
    rows: int
    new: Mapping[str, int]
    added: tuple[Record, ...]
    repeated: Mapping[Place, int]


def import_records(ledger: Ledger, path: Path, author: str, dry_run: bool = False) -> ImportReport:
    """Read a CSV or XLSX file into the ledger, all of it or nothing.

    Parameters
    ----------
    ledger : where to.
    path : a .csv file with a column `kind` or named after a kind (`budget.csv`), a folder of such files, or
        an .xlsx file with a sheet for each kind.
    author : institution or office that records.
    dry_run : check everything and record nothing.

    Raises
    ------
    InputError : every fault, with file, row, column and remedy.
    SizeError : the file is too large.
    LedgerError : the database cannot be reached.

    In words: rows become drafts; drafts are checked each by itself, among each other, and against the ledger;
    only when nothing is wrong are they recorded, in one transaction. A row that says what a record says
    already is not recorded again, so the same file may be imported twice.
    """
    check_author(author)
    drafts, places, faults = read_drafts(path)
    if dry_run or faults:
        review = ledger.review(drafts, places)
        faults += review.faults
        if faults:
            raise InputError(_cut(sorted(faults, key=_order_faults(faults))))
        return _report(path, True, drafts, places, review.repeated, ())
    digest = hash_source(path)
    try:
        records = ledger.append(drafts, author, path.name, digest, places)
    except InputError as error:
        raise InputError(_cut(error.faults)) from error
    repeated = {} if len(records) == len(drafts) else ledger.review(drafts, places).repeated
    new = {record.seq for record in records}
    stood = {number: seq for number, seq in repeated.items() if seq not in new}
    return _report(path, False, drafts, places, stood, records)


def _report(
    path: Path,
    dry_run: bool,
    drafts: Sequence[Draft],
    places: Sequence[Place],
    repeated: Mapping[int, int],
    records: Sequence[Record],
) -> ImportReport:
    new = Counter(draft.kind for number, draft in enumerate(drafts) if number not in repeated)
    stood = {places[number]: seq for number, seq in repeated.items()}
    ordered = {kind: new[kind] for kind in KINDS if new[kind]}
    return ImportReport(path.name, dry_run, len(drafts), ordered, tuple(records), stood)


def read_drafts(path: Path) -> tuple[list[Draft], list[Place], list[Fault]]:
    """Read a file into drafts, each with its place in the file; and list every fault of every row.

    Raises
    ------
    InputError : the file cannot be read at all.
    SizeError : it is too large.
    """
    drafts: list[Draft] = []
    places: list[Place] = []
    faults: list[Fault] = []
    with open_parts(path) as parts:
        for part in parts:
            _read_part(part, drafts, places, faults)
    if not drafts and not faults:
        faults.append(Fault("holds no records", path.name, remedy="give a header and rows"))
    return drafts, places, faults


def _order_faults(faults: Sequence[Fault]) -> Callable[[Fault], tuple[int, int]]:
    """Order faults as the file has them: parts first, then rows."""
    files = list(dict.fromkeys(fault.file for fault in faults))
    return lambda fault: (files.index(fault.file), fault.row or 0)


def _cut(faults: Sequence[Fault]) -> list[Fault]:
    """Of very many faults the first thousand, and how many more there are."""
    if len(faults) <= MOST_FAULTS:
        return list(faults)
    more = f"and {len(faults) - MOST_FAULTS:,} or more other faults"
    return [*faults[:MOST_FAULTS], Fault(more, faults[0].file, remedy="mend these first")]


def _read_part(part: Part, drafts: list[Draft], places: list[Place], faults: list[Fault]) -> None:
    lines = iter(part.lines)
    first = next(lines, None)
    if first is None:
        return
    header = [cell.strip() for cell in first[1]]
    while header and not header[-1]:
        header.pop()
    kind = find_kind(part.name)
    wrong = _check_header(header, kind, part.shown, first[0])
    if wrong:
        faults += wrong
        return
    for number, line in lines:
        if any(cell.strip() for cell in line[len(header) :]) or len(line) < len(header) // 2:
            text = f"has {len(line)} values under {len(header)} columns"
            faults.append(Fault(text, part.shown, number, remedy="quote values that hold a comma"))
            continue
        row = {
            column: unicodedata.normalize("NFC", cell.strip())
            for column, cell in zip(header, line, strict=False)
            if cell.strip()
        }
        draft, wrong = make_draft(row, kind, part.shown, number)
        faults += wrong
        if draft is not None:
            drafts.append(draft)
            places.append((part.shown, number))
        elif len(faults) > 10 * MOST_FAULTS:
            # A file of nothing but faults would fill the memory with them.
            raise InputError(_cut(faults))


def find_kind(name: str) -> str:
    """Return the kind that a file or sheet is named after; empty when it is named after none.

    Examples
    --------
    >>> find_kind("budget"), find_kind("ledger_treaty_event"), find_kind("work_2026"), find_kind("all")
    ('budget', 'treaty_event', 'work', '')
    """
    plain = name.strip().lower().removeprefix("ledger_")
    return next((kind for kind in KINDS if plain == kind or plain.startswith(f"{kind}_")), "")


def _check_header(header: Sequence[str], kind: str, shown: str, row: int) -> list[Fault]:
    if len(header) == 1 and header[0].count(";") > 1:
        remedy = "save it with commas and decimal points, or as .xlsx"
        return [Fault("is divided by semicolons", shown, row, remedy=remedy)]
    if not kind and "kind" not in header:
        remedy = f"add a column kind, or name it after one of: {', '.join(KINDS)}"
        return [Fault("does not say which kind of records it holds", shown, row, "kind", remedy)]
    mixed = "kind" in header
    known = list(dict.fromkeys(f.column for one in (KINDS if mixed else (kind,)) for f in columns_of(one)))
    faults = []
    for cell in header:
        if cell not in known and cell != "kind":
            refused = refuse_column(cell)
            name = show_plain(cell)
            text, remedy = refused or (f"has the unknown column '{name}'", nearest_word(name, known))
            faults.append(Fault(text, shown, row, name, remedy))
    twice = [cell for cell in dict.fromkeys(header) if header.count(cell) > 1]
    faults += [Fault("column stands twice", shown, row, show_plain(cell), "delete one") for cell in twice]
    asked = [field for field in columns_of(kind or KINDS[0]) if not mixed or field.column in COMMON]
    missing = [field for field in asked if field.default == "required" and field.column not in header]
    faults += [Fault("column is missing", shown, row, field.column, field.meaning) for field in missing]
    return faults


def make_draft(
    row: Mapping[str, str], kind: str, shown: str = "", number: int | None = None
) -> tuple[Draft | None, list[Fault]]:
    """Turn the texts of one row into a draft.

    Parameters
    ----------
    row : column -> text, without the empty ones.
    kind : kind of the row when it has no column `kind`.
    shown, number : file and row as faults name them.

    Returns
    -------
    The draft, or None when a value is wrong; and every fault.

    Examples
    --------
    >>> row = {"key": "lt_total", "on": "2025-05-05", "country": "LT", "line": "total", "stage": "announced",
    ...        "amount_eur": "not disclosed", "source": "x", "tag": "F"}
    >>> make_draft(row, "budget")[0].body["amount_eur"]
    'not disclosed'
    """
    word = row.get("kind", kind)
    if word not in KINDS:
        text = f"has the unknown word '{show_plain(word)}'" if word else "is missing"
        return None, [Fault(text, shown, number, "kind", nearest_word(show_plain(word), KINDS))]
    fields = _fields_of(word)
    faults = [
        Fault(f"a {word} has no column '{column}'", shown, number, column, "leave it empty in this row")
        for column in row
        if column not in fields and column != "kind"
    ]
    values: dict[str, Cell] = {}
    for column, field in fields.items():
        value, problem, remedy = _parse(word, column, row.get(column, ""))
        if problem:
            faults.append(Fault(problem, shown, number, column, remedy))
        elif value is not None and value is not False:
            values[column] = value
            wrong = check_value(word, field, value)
            faults += [Fault(why, shown, number, name, cure) for name, why, cure in wrong]
    common = {column: values.pop(column, None) for column in COMMON}
    draft = Draft(kind=word, body=values, **common)  # type: ignore[arg-type]
    owed = check_together(draft, {fault.column for fault in faults})
    faults += [Fault(why, shown, number, name, cure) for name, why, cure in owed]
    return (None, faults) if faults else (draft, [])


@cache
def _fields_of(kind: str) -> Mapping[str, Field]:
    return {field.column: field for field in columns_of(kind)}


@lru_cache(maxsize=65536)
def _parse(kind: str, column: str, text: str) -> tuple[Cell, str, str]:
    field = _fields_of(kind)[column]
    refused = refuse_text(text) if text not in ("", "-") else None
    if refused:
        return None, *refused
    if find_cell_error(text):
        return None, f"is an error of the workbook: {text}", "mend the cell"
    if _DISCLOSED.fullmatch(text) and field.type.split()[0] in ("number", "integer"):
        if may_stay_undisclosed(field):
            return NOT_DISCLOSED, "", ""
        return None, "cannot be 'not disclosed'", f"give the {field.meaning}"
    return parse_value(field, text)


def list_columns(kinds: Iterable[str]) -> list[str]:
    """Return the columns of several kinds, each once, in a fitting order.

    Examples
    --------
    >>> list_columns(["treaty_event"])[:4]
    ['key', 'on', 'country', 'name']
    """
    return list(dict.fromkeys(field.column for kind in kinds for field in columns_of(kind)))
