"""The ledger as tables and files: what was imported, what stands, whether the chain holds."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.storage import write_whole
from abatis.programme.ledger.chain import ChainReport
from abatis.programme.ledger.importing import ImportReport, list_columns
from abatis.programme.ledger.records import COMMON, KINDS, Record, columns_of, redact_record, write_canonical
from abatis.programme.ledger.scope import begins_formula
from abatis.programme.ledger.store import Ledger
from abatis.show.tables import Column, Table

_HASH = re.compile(r"(\d{1,10}):([0-9a-f]{64})")
_AMOUNTS = ("amount_eur", "spent_eur", "paid_eur", "quantity", "done", "area_m2", "value", "cost_eur")
_WORDS = ("name", "wording", "stage", "event", "category", "instrument")


def require_ledger(ledger: Ledger) -> None:
    """Refuse to look at a ledger that does not exist.

    Raises
    ------
    InputError : there is none.
    """
    if not ledger.exists():
        remedy = "make one with: abatis ledger import FILE"
        raise InputError([Fault("is not there", ledger.place, remedy=remedy)])


def tabulate_import(report: ImportReport, head: tuple[int, str]) -> dict[str, Table]:
    """Lay out what an import did, or would do."""
    seqs = [record.seq for record in report.added]
    stood = list(report.repeated.values())
    row = {
        "file": report.file,
        "rows": report.rows,
        "new": sum(report.new.values()),
        "stood": len(stood),
        "first_seq": min(seqs, default=None),
        "last_seq": max(seqs, default=None),
        "dry_run": report.dry_run,
    }
    caption = "would be recorded" if report.dry_run else "recorded"
    columns = (
        Column("file", "file"),
        Column("rows", "rows", ",.0f"),
        Column("new", caption, ",.0f"),
        Column("stood", "stood already", ",.0f"),
        Column("first_seq", "first record", ".0f"),
        Column("last_seq", "last record", ".0f"),
    )
    note = f"Head of the ledger: {head[0]}:{head[1]}"
    kinds = tuple({"kind": kind, "rows": count} for kind, count in report.new.items())
    return {
        "import": Table(
            "Dry run: nothing was recorded" if report.dry_run else "Import", columns, (row,), note
        ),
        "kinds": Table("New by kind", (Column("kind", "kind"), Column("rows", caption, ",.0f")), kinds),
        "repeated": _tabulate_repeated(report),
    }


def _tabulate_repeated(report: ImportReport) -> Table:
    shown = sorted(report.repeated.items(), key=lambda item: item[1])
    rows = tuple({"file": place[0], "row": place[1], "seq": seq} for place, seq in shown[:20])
    columns = (Column("file", "file"), Column("row", "row", ".0f"), Column("seq", "says what record", ".0f"))
    more = f"and {len(shown) - 20:,} more" if len(shown) > 20 else ""
    return Table("Stood already and not recorded again", columns, rows, more)


def check_kind(word: str) -> str | None:
    """Return a kind by its name, or None for all kinds.

    Raises
    ------
    InputError : there is no such kind.
    """
    if word and word not in KINDS:
        text = f"has the unknown word '{word}'"
        raise InputError([Fault(text, column="--kind", remedy=nearest_word(word, KINDS))])
    return word or None


def list_records(ledger: Ledger, kind: str, key: str, everything: bool, last: int) -> Table:
    """List the latest records; with `everything`, those that were corrected too."""
    records = ledger.read(kind=check_kind(kind), key=key or None, current=not everything)
    table = tabulate_records(records[-last:])
    note = f"The last {last:,} of {len(records):,}; see more with --last." if len(records) > last else ""
    return replace(table, note=note)


def show_record(ledger: Ledger, seq: int) -> Table:
    """Show one record with everything it says.

    Raises
    ------
    InputError : there is none with this number.
    """
    record = ledger.find(seq)
    if record is None:
        count = ledger.count()
        fault = Fault(f"has no record {seq}", ledger.place, remedy=f"it has {count_records(count)}")
        raise InputError([fault])
    return tabulate_record(record, find_corrector(ledger, record))


def count_records(count: int) -> str:
    """Write how many records there are.

    Examples
    --------
    >>> count_records(1), count_records(1200), count_records(0)
    ('1 record', '1,200 records', '0 records')
    """
    return f"{count:,} record{'' if count == 1 else 's'}"


def tabulate_records(records: Sequence[Record]) -> Table:
    """Lay out records one below the other, each with its most telling values."""
    columns = (
        Column("seq", "record", ".0f"),
        Column("on", "on"),
        Column("kind", "kind"),
        Column("key", "key"),
        Column("country", "country"),
        Column("says", "says"),
        Column("figure", "figure"),
        Column("corrects", "corrects", ".0f"),
        Column("tag", "tag"),
        Column("access", "access"),
        Column("source", "source"),
    )
    return Table("Records", columns, tuple(_lay_out(record) for record in records))


def _lay_out(record: Record) -> dict[str, Any]:
    body = record.body
    figure = next((f"{name} {_write_figure(body[name])}" for name in _AMOUNTS if name in body), "")
    said = [str(body[name]) for name in _WORDS if name in body]
    return {
        **{
            name: getattr(record, name)
            for name in ("seq", "on", "kind", "key", "corrects", "tag", "access", "source")
        },
        "country": body.get("country", ""),
        "says": "withdrawn" if record.withdrawn else "; ".join(said)[:120],
        "figure": figure,
    }


def _write_figure(value: Any) -> str:
    return f"{value:,.12g}" if isinstance(value, int | float) else str(value)


def tabulate_record(record: Record, corrected_by: int | None) -> Table:
    """Lay out one record with everything it says."""
    rows = [{"what": name, "value": getattr(record, name)} for name in Record._fields if name != "body"]
    place = next(number for number, row in enumerate(rows) if row["what"] == "source")
    rows[place:place] = [{"what": name, "value": value} for name, value in record.body.items()]
    note = f"Corrected by record {corrected_by}." if corrected_by else ""
    return Table(
        f"Record {record.seq}", (Column("what", "what"), Column("value", "value")), tuple(rows), note
    )


def find_corrector(ledger: Ledger, record: Record) -> int | None:
    """Return the number of the record that corrects one, or None when it stands."""
    later = ledger.read(kind=record.kind, current=False, after=record.seq)
    return next((one.seq for one in later if one.corrects == record.seq), None)


def read_kept_head(text: str) -> tuple[int, str] | None:
    """Read a head that an auditor kept, NUMBER:HASH; None when none is given.

    Raises
    ------
    InputError : it is no such pair.

    Examples
    --------
    >>> read_kept_head("") is None
    True
    """
    if not text:
        return None
    found = _HASH.fullmatch(text.strip())
    if not found:
        remedy = "write NUMBER:HASH as abatis ledger verify printed it"
        raise InputError([Fault("is no head of a ledger", column="--head", remedy=remedy)])
    return int(found[1]), found[2]


def tabulate_verification(report: ChainReport) -> dict[str, Table]:
    """Lay out what the check of the chain found."""
    row = {
        "sound": report.sound,
        "records": report.count,
        "writings": report.seals,
        "problems": report.problem_count,
        "head": f"{report.count}:{report.head_hash}",
    }
    columns = (
        Column("sound", "sound"),
        Column("records", "records", ",.0f"),
        Column("writings", "writings", ",.0f"),
        Column("problems", "problems", ",.0f"),
        Column("head", "head"),
    )
    note = "Keep the head elsewhere: verify --head NUMBER:HASH tells later whether it still stands."
    tables = {"verify": Table("Chain of the ledger", columns, (row,), note)}
    if report.problems:
        found = tuple({"seq": one.seq, "problem": one.text} for one in report.problems)
        more = report.problem_count - len(found)
        tables["problems"] = Table(
            "Problems",
            (Column("seq", "record", ".0f"), Column("problem", "problem")),
            found,
            f"and {more:,} more" if more else "",
        )
    return tables


def export_records(ledger: Ledger, path: Path, kind: str | None, current: bool, public: bool) -> int:
    """Write records into a file: .csv and .xlsx can be imported again, .jsonl holds numbers and hashes too.

    Parameters
    ----------
    path : the file; replaced whole.
    kind : only this kind.
    current : only records that were not corrected.
    public : only what the public may see.

    Returns
    -------
    Number of records written.

    Raises
    ------
    InputError : the ending is none of the three, or the file cannot be written.
    """
    writers: dict[str, Callable[[Path, Sequence[Record]], None]] = {
        ".csv": _write_csv,
        ".xlsx": _write_workbook,
        ".jsonl": _write_lines,
    }
    if path.suffix.lower() not in writers:
        fault = Fault("is no file that can be written", path.name, remedy="name a .csv, .xlsx or .jsonl file")
        raise InputError([fault])
    records = ledger.read(kind=kind, current=current, access="public" if public else None)
    if public:
        records = [shown for record in records if (shown := redact_record(record)) is not None]
    with write_whole(path) as temporary:
        writers[path.suffix.lower()](temporary, records)
    return len(records)


def _write_csv(path: Path, records: Sequence[Record]) -> None:
    kinds = [kind for kind in KINDS if any(record.kind == kind for record in records)]
    columns = ["kind", *list_columns(kinds)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for record in records:
            row = _flatten(record)
            writer.writerow([_write_cell(row.get(column)) for column in columns])


def _write_workbook(path: Path, records: Sequence[Record]) -> None:
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    for kind in KINDS:
        own = [record for record in records if record.kind == kind]
        if not own:
            continue
        sheet = book.create_sheet(kind)
        columns = [field.column for field in columns_of(kind)]
        sheet.append(columns)
        for row in map(_flatten, own):
            sheet.append([_guard(row.get(column)) for column in columns])
    if not book.worksheets:
        book.create_sheet(KINDS[0]).append([field.column for field in columns_of(KINDS[0])])
    book.save(path)


def _write_lines(path: Path, records: Sequence[Record]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{write_canonical(record._asdict())}\n" for record in records)


def _flatten(record: Record) -> Mapping[str, Any]:
    return {"kind": record.kind, **{name: getattr(record, name) for name in COMMON}, **record.body}


def _write_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(_guard(value))


def _guard(value: Any) -> Any:
    """Put an apostrophe before text that a spreadsheet would run; the ledger itself refuses such text."""
    return f"'{value}" if isinstance(value, str) and begins_formula(value) else value
