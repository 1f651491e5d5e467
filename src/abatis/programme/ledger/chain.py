"""The hash chain of the ledger: every record seals the one before it, and every writing is sealed again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Any, NamedTuple

from abatis.programme.ledger.records import FIRST_HASH, Record, write_canonical

MOST_PROBLEMS = 100
# A row as it stands in the database: a record with its body as text, and the hash of its content.
Row = Sequence[Any]


class Seal(NamedTuple):
    """One writing to the ledger: who added which records from where, and the hash of the last of them."""

    seal: int
    first_seq: int
    last_seq: int
    sealed_at: str
    author: str
    origin: str
    origin_hash: str
    head_hash: str
    previous_hash: str
    hash: str


@dataclass(frozen=True)
class ChainProblem:
    """One thing that is wrong with the chain; `seq` is the record it was seen at, or None."""

    seq: int | None
    text: str


@dataclass(frozen=True)
class ChainReport:
    """What the check of the whole chain found.

    `head_hash` and `count` are what an auditor keeps: a ledger that was cut short or written anew no longer
    holds that hash at that record.
    """

    count: int
    head_hash: str
    seals: int
    problems: tuple[ChainProblem, ...]
    problem_count: int

    @property
    def sound(self) -> bool:
        """True when nothing is wrong."""
        return self.problem_count == 0


def write_hashed_text(record: Record, body: str) -> str:
    """Write what the hash of a record is taken of: canonical JSON of all attributes but the hash.

    Parameters
    ----------
    record : its own body is not looked at.
    body : the body as canonical JSON.

    Examples
    --------
    >>> one = Record(1, "2026-01-02T00:00:00Z", "audit", "statement", "a", None, "2025", {}, "x", "F",
    ...              "public", FIRST_HASH, "")
    >>> write_hashed_text(one, "{}").partition(',"corrects"')[0]
    '{"access":"public","author":"audit","body":{}'
    """
    text = encode_basestring
    corrects = "null" if record.corrects is None else f"{record.corrects:d}"
    return (
        f'{{"access":{text(record.access)},"author":{text(record.author)},"body":{body},'
        f'"corrects":{corrects},"key":{text(record.key)},"kind":{text(record.kind)},"on":{text(record.on)},'
        f'"previous_hash":{text(record.previous_hash)},"recorded_at":{text(record.recorded_at)},'
        f'"seq":{record.seq:d},"source":{text(record.source)},"tag":{text(record.tag)}}}'
    )


def write_content_text(record: Record, body: str) -> str:
    """Write what the hash of the content is taken of: what is said, whoever recorded it and when."""
    text = encode_basestring
    corrects = "null" if record.corrects is None else f"{record.corrects:d}"
    return (
        f'{{"access":{text(record.access)},"body":{body},"corrects":{corrects},"key":{text(record.key)},'
        f'"kind":{text(record.kind)},"on":{text(record.on)},"source":{text(record.source)},'
        f'"tag":{text(record.tag)}}}'
    )


def hash_text(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8, in hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def seal_record(record: Record, body: str) -> Record:
    """Return the record with its hash.

    hash = SHA-256(canonical JSON of all other attributes). In words: the hash of the record before is one of
    them, so a change anywhere changes every hash that follows.
    """
    return record._replace(hash=hash_text(write_hashed_text(record, body)))


def hash_seal(seal: Seal) -> str:
    """Return the hash of a seal: SHA-256 of the canonical JSON of its other attributes."""
    said = seal._asdict()
    del said["hash"]
    return hash_text(write_canonical(said))


class ChainChecker:
    """Checks records one after the other, so that a ledger need not fit into memory.

    In words: numbers rise by one, each hash is that of what the row says, and each record names the hash of
    the one before it. Seals are checked likewise, and each must find its last record with the hash it had.
    """

    def __init__(self) -> None:
        self.count = 0
        self.head_hash = FIRST_HASH
        self.problems: list[ChainProblem] = []
        self.problem_count = 0
        self._expected = 1
        self._sealed: dict[int, str] = {}
        self._last_sealed = 0
        self._seals = 0

    def report(self) -> ChainReport:
        """Return what was found."""
        return ChainReport(self.count, self.head_hash, self._seals, tuple(self.problems), self.problem_count)

    def add_problem(self, seq: int | None, text: str) -> None:
        """Note one thing that is wrong; of very many only the first are kept."""
        self.problem_count += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(ChainProblem(seq, text))

    def check_seals(self, seals: Iterable[Seal]) -> None:
        """Check the seals, before the records."""
        previous = FIRST_HASH
        for number, seal in enumerate(seals, start=1):
            self._seals = number
            if seal.seal != number:
                self.add_problem(seal.first_seq, f"seal {number} is missing: the next is {seal.seal}")
                self._add_more_seals(seals)
                return
            if _hash_or_none(seal) != seal.hash:
                self.add_problem(seal.last_seq, f"seal {number} was changed")
            elif seal.previous_hash != previous:
                self.add_problem(seal.last_seq, f"seal {number} does not follow on seal {number - 1}")
            elif seal.first_seq != self._last_sealed + 1 or seal.last_seq < seal.first_seq:
                self.add_problem(seal.first_seq, f"seal {number} does not begin after seal {number - 1}")
            self._sealed[seal.last_seq] = seal.head_hash
            self._last_sealed = seal.last_seq
            previous = seal.hash

    def _add_more_seals(self, seals: Iterable[Seal]) -> None:
        for seal in seals:
            self._sealed[seal.last_seq] = seal.head_hash
            self._last_sealed = seal.last_seq

    def check_rows(self, rows: Iterable[Row]) -> None:
        """Check the next rows, in the order of their numbers."""
        for row in rows:
            *values, content = row
            record = Record._make(values)
            self._check_row(record, str(record.body), content)

    def _check_row(self, record: Record, body: str, content: str) -> None:
        seq = record.seq
        if type(seq) is not int:
            self.add_problem(self._expected, f"record {self._expected} has the number {seq!r}")
            return
        if seq != self._expected:
            missing = f"record {self._expected}"
            if seq > self._expected + 1:
                missing = f"records {self._expected} to {seq - 1}"
            self.add_problem(self._expected, f"{missing} missing: the next is {seq}")
        try:
            hashed = hash_text(write_hashed_text(record, body))
            same_content = hash_text(write_content_text(record, body)) == content
        except (TypeError, ValueError):
            hashed, same_content = "", False
        if hashed != record.hash:
            self.add_problem(seq, f"record {seq} was changed: its hash is not that of what it says")
        elif not same_content:
            self.add_problem(seq, f"record {seq}: the hash of its content was changed")
        elif seq == self._expected and record.previous_hash != self.head_hash:
            text = f"record {seq} does not follow on record {seq - 1}: one of them was written anew"
            self.add_problem(seq, text)
        sealed = self._sealed.pop(seq, None)
        if sealed is not None and sealed != record.hash:
            self.add_problem(seq, f"record {seq} is not the one that was sealed")
        self._expected = seq + 1
        self.head_hash = record.hash
        self.count += 1

    def finish(self) -> None:
        """Check the end: as many records as were sealed, neither fewer nor more."""
        last = self._expected - 1
        if last < self._last_sealed:
            sealed = self._last_sealed
            text = f"the ledger ends at record {last}, but record {sealed} was sealed: its tail was cut"
            self.add_problem(last + 1, text)
        elif last > self._last_sealed:
            self.add_problem(self._last_sealed + 1, f"records after {self._last_sealed} were never sealed")


def _hash_or_none(seal: Seal) -> str | None:
    try:
        return hash_seal(seal)
    except (TypeError, ValueError):
        return None
