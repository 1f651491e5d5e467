"""Answers of the ledger: records, pages of them, and what an import did."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from abatis.programme.ledger.records import Record
from abatis.show.app.answers.tables import TableAnswer, plain_value


class RecordAnswer(BaseModel):
    """One record of the ledger; `body` holds the columns of its kind, `not disclosed` where told so.

    `hash` seals the record and all before it. The public is told neither hash: who knows a record but for
    one hidden column could try values until the hash fits.
    """

    seq: int
    recorded_at: str
    author: str
    kind: str
    key: str
    corrects: int | None
    corrected_by: int | None = None
    on: str
    body: dict[str, Any]
    source: str
    tag: str
    access: str
    previous_hash: str
    hash: str


class RecordsAnswer(BaseModel):
    """One page of records, newest first; `total` counts what was asked for, `kinds` all of each kind."""

    total: int
    page: int
    pages: int
    kinds: dict[str, int]
    records: list[RecordAnswer]


class HistoryAnswer(BaseModel):
    """One record with all that was recorded of the same thing, oldest first; `table` lays it out."""

    record: RecordAnswer
    history: list[RecordAnswer] = Field(default_factory=list)
    table: TableAnswer


class RepeatedAnswer(BaseModel):
    """A row that says what a record says already."""

    file: str
    row: int | None
    seq: int


class ImportAnswer(BaseModel):
    """What an import did, or would do: rows read, new ones by kind, numbers of the new records."""

    dry_run: bool
    rows: int
    new: dict[str, int]
    added: list[int]
    repeated: list[RepeatedAnswer]


def answer_record(record: Record, corrected_by: int | None = None, public: bool = False) -> RecordAnswer:
    """Turn a record into its answer; for the public without hashes."""
    plain = {**record._asdict(), "body": plain_value(dict(record.body))}
    if public:
        plain |= {"previous_hash": "", "hash": ""}
    return RecordAnswer(**plain, corrected_by=corrected_by)
