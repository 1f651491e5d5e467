"""What one writing to the ledger does inside its transaction: review, number, chain, insert, seal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from abatis.model.errors import Fault, InputError
from abatis.programme.ledger import schema
from abatis.programme.ledger.chain import Seal, hash_seal, hash_text, seal_record, write_content_text
from abatis.programme.ledger.checking import check_draft
from abatis.programme.ledger.records import FIRST_HASH, Draft, Record, write_canonical
from abatis.programme.ledger.scope import refuse_text

ASKED_AT_ONCE = 500
Place = tuple[str, int | None]


@dataclass(frozen=True)
class Review:
    """What recording drafts would do: which stand already (place in the list -> number), and faults."""

    repeated: Mapping[int, int]
    faults: tuple[Fault, ...]


@dataclass(frozen=True)
class Prepared:
    """Drafts ready to be recorded: each with its body as canonical text and the hash of its content."""

    drafts: Sequence[Draft]
    bodies: Sequence[str]
    contents: Sequence[str]
    places: Sequence[Place] | None

    def place_fault(self, number: int, column: str, problem: str, remedy: str) -> Fault:
        """Say where a draft came from."""
        file, row = self.places[number] if self.places else ("", number + 1)
        return Fault(problem, file, row, column, remedy)


def check_author(author: str) -> None:
    """Refuse an author that is empty or cannot be kept."""
    refused = ("is missing", "name who records") if not author.strip() else refuse_text(author)
    if refused:
        raise InputError([Fault(refused[0], column="author", remedy=refused[1])])


def prepare_drafts(drafts: Sequence[Draft], places: Sequence[Place] | None) -> tuple[Prepared, list[Fault]]:
    """Check every draft by itself and among the others, and write its canonical form.

    Returns
    -------
    The prepared drafts, to be used only when there are no faults; and every fault.
    """
    faults: list[Fault] = []
    for number, draft in enumerate(drafts):
        file, row = places[number] if places else ("", number + 1)
        faults += check_draft(draft, file, row)
    if faults:
        return Prepared(drafts, (), (), places), faults
    bodies = [write_canonical(draft.body) for draft in drafts]
    contents = [
        hash_text(write_content_text(_start_record(draft), body))
        for draft, body in zip(drafts, bodies, strict=True)
    ]
    prepared = Prepared(drafts, bodies, contents, places)
    return prepared, _find_doubles(prepared)


def _start_record(draft: Draft) -> Record:
    return Record(
        0, "", "", draft.kind, draft.key, draft.corrects, draft.on, draft.body, draft.source, draft.tag,
        draft.access, FIRST_HASH, "",
    )  # fmt: skip


def _find_doubles(prepared: Prepared) -> list[Fault]:
    first: dict[str, int] = {}
    faults = []
    for number, content in enumerate(prepared.contents):
        if content in first:
            place = prepared.places[first[content]][1] if prepared.places else first[content] + 1
            text = f"says the same as row {place}"
            faults.append(prepared.place_fault(number, "", text, "delete one of them"))
        else:
            first[content] = number
    return faults


def review_prepared(connection: sa.Connection | None, prepared: Prepared) -> Review:
    """Find drafts that stand already, and corrections that correct nothing.

    Parameters
    ----------
    connection : the ledger; None when there is none yet.
    """
    stand = _find_standing(connection, prepared.contents) if connection is not None else {}
    repeated = {
        number: stand[content] for number, content in enumerate(prepared.contents) if content in stand
    }
    asked = {
        number: draft.corrects
        for number, draft in enumerate(prepared.drafts)
        if draft.corrects is not None and number not in repeated
    }
    known = _find_corrected(connection, sorted(set(asked.values()))) if connection is not None else {}
    faults = []
    taken: dict[int, int] = {}
    for number, seq in asked.items():
        problem = _refuse_correction(prepared.drafts[number], seq, known, taken)
        if problem:
            faults.append(prepared.place_fault(number, "corrects", *problem))
        taken[seq] = number
    return Review(repeated, tuple(faults))


def _refuse_correction(
    draft: Draft, seq: int, known: Mapping[int, tuple[str, int | None]], taken: Mapping[int, int]
) -> tuple[str, str] | None:
    if seq not in known:
        return f"names record {seq}, which does not exist", "give the number that abatis ledger show prints"
    kind, corrected_by = known[seq]
    if kind != draft.kind:
        return f"names record {seq}, a {kind}", f"a {draft.kind} corrects a {draft.kind}"
    if corrected_by is not None:
        return f"names record {seq}, which {corrected_by} corrects already", f"correct {corrected_by}"
    if seq in taken:
        return f"names record {seq}, as another row does", "correct it once"
    return None


def _find_standing(connection: sa.Connection, contents: Sequence[str]) -> dict[str, int]:
    asked = sa.text("SELECT content, seq FROM ledger_records WHERE content IN :asked")
    return {row[0]: row[1] for row in _ask_in_parts(connection, asked, contents)}


def _find_corrected(connection: sa.Connection, seqs: Sequence[int]) -> dict[int, tuple[str, int | None]]:
    """Kind of each record, and the number of the one that corrects it."""
    asked = sa.text(
        "SELECT r.seq, r.kind, c.seq FROM ledger_records r "
        "LEFT JOIN ledger_records c ON c.corrects = r.seq WHERE r.seq IN :asked"
    )
    return {row[0]: (row[1], row[2]) for row in _ask_in_parts(connection, asked, seqs)}


def _ask_in_parts(connection: sa.Connection, asked: sa.TextClause, values: Sequence[Any]) -> Iterator[sa.Row]:
    bound = asked.bindparams(sa.bindparam("asked", expanding=True))
    for start in range(0, len(values), ASKED_AT_ONCE):
        yield from connection.execute(bound, {"asked": list(values[start : start + ASKED_AT_ONCE])})


def read_head(connection: sa.Connection) -> tuple[int, str]:
    """Return number and hash of the last record; 0 and zeros when there is none."""
    row = connection.execute(
        sa.text("SELECT seq, hash FROM ledger_records ORDER BY seq DESC LIMIT 1")
    ).one_or_none()
    return (0, FIRST_HASH) if row is None else (int(row[0]), str(row[1]))


def read_seals(connection: sa.Connection) -> list[Seal]:
    """Read all seals in order."""
    rows = connection.execute(sa.select(schema.seals).order_by(schema.seals.c.seal))
    return [Seal._make(row) for row in rows]


def insert_prepared(
    connection: sa.Connection,
    prepared: Prepared,
    skipped: Mapping[int, int],
    author: str,
    origin: tuple[str, str],
) -> list[Record]:
    """Number, chain and insert the drafts that do not stand already, and seal them."""
    seq, previous = read_head(connection)
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    records, rows = [], []
    for number, draft in enumerate(prepared.drafts):
        if number in skipped:
            continue
        seq += 1
        begun = _start_record(draft)._replace(seq=seq, recorded_at=now, author=author, previous_hash=previous)
        record = seal_record(begun, prepared.bodies[number])
        previous = record.hash
        records.append(record)
        rows.append((*record[:7], prepared.bodies[number], *record[8:], prepared.contents[number]))
    if rows:
        _insert_rows(connection, schema.records, rows)
        _insert_rows(connection, schema.seals, [_make_seal(connection, records, author, now, origin)])
    return records


def _make_seal(
    connection: sa.Connection, records: Sequence[Record], author: str, now: str, origin: tuple[str, str]
) -> Seal:
    last = connection.execute(
        sa.text("SELECT seal, hash FROM ledger_seals ORDER BY seal DESC LIMIT 1")
    ).one_or_none()
    number, previous = (0, FIRST_HASH) if last is None else last
    first, final = records[0], records[-1]
    seal = Seal(number + 1, first.seq, final.seq, now, author, *origin, final.hash, previous, "")
    return seal._replace(hash=hash_seal(seal))


def _insert_rows(connection: sa.Connection, table: sa.Table, rows: Sequence[Sequence[Any]]) -> None:
    """Insert many rows through the driver itself; through the mapper it takes several times longer."""
    names = ", ".join(column.name for column in table.columns)
    if connection.dialect.name == "postgresql":
        raw: Any = connection.connection.dbapi_connection
        with raw.cursor() as cursor, cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        return
    marks = ", ".join("?" for _ in table.columns)
    connection.exec_driver_sql(
        f"INSERT INTO {table.name} ({names}) VALUES ({marks})", [tuple(row) for row in rows]
    )
