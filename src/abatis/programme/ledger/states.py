"""What the ledger says on a day: which records count, and the last that was said of each thing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np

from abatis.people.dates import parse_span
from abatis.programme.ledger.records import NOT_DISCLOSED, Record, write_canonical

WEAK = "F-"
# How well a record is founded: of two that speak of the same thing on the same day the better one counts.
TAG_RANK = {"F-": 0, "G": 1, "D": 2, "F": 3}
STATE_KINDS = ("budget", "contract", "work", "milestone")
NO_DAY = 0
_NO_SPAN = (NO_DAY, NO_DAY)


@dataclass(frozen=True)
class Contradiction:
    """Two or more records of the same day that say different things of the same thing; none corrects another."""

    kind: str
    key: str
    column: str
    on: str
    values: tuple[str, ...]
    records: tuple[int, ...]


class Calendar:
    """First and last day that a date may mean, as numbers of days; each text is read once."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, int]] = {"": _NO_SPAN}

    def find(self, text: str) -> tuple[int, int]:
        """Return first and last day of a date as ordinals, (0, 0) for an empty one."""
        span = self._known.get(text)
        if span is None:
            first, last = parse_span(text)
            span = self._known[text] = (first.toordinal(), last.toordinal())
        return span


def write_day(ordinal: float) -> str | None:
    """Write a day that is given as a number; None for no day.

    Examples
    --------
    >>> write_day(date(2026, 2, 20).toordinal()), write_day(NO_DAY)
    ('2026-02-20', None)
    """
    return date.fromordinal(int(ordinal)).isoformat() if ordinal > NO_DAY else None


def select_current(
    records: Iterable[Record], day: date | None = None, public: bool = False, calendar: Calendar | None = None
) -> list[Record]:
    """Select the records that count on a day.

    Parameters
    ----------
    records : all records of the ledger, in any order.
    day : the day asked for; all records count when None.
    public : true for what the public may see.
    calendar : of dates that were read already.

    In words: a record that another one corrects no longer counts, and one that takes a record back puts
    nothing in its place. A record counts from the first day that its date may mean. A restricted correction
    of a public record leaves the public with neither: what is known to be wrong is not shown.

    Examples
    --------
    >>> def record(seq, corrects, on):
    ...     return Record(seq, "", "audit", "work", "w", corrects, on, {}, "x", "F", "public", "", "")
    >>> three = [record(1, None, "2025"), record(2, 1, "2025"), record(3, None, "2026-05")]
    >>> [one.seq for one in select_current(three, date(2026, 4, 30))]
    [2]
    """
    every = records if isinstance(records, list) else list(records)
    known = calendar or Calendar()
    corrected = {one.corrects for one in every if one.corrects is not None}
    limit = day.toordinal() if day is not None else None
    return [
        one
        for one in every
        if one.seq not in corrected
        and not one.body.get("withdrawn")
        and (not public or one.access == "public")
        and (limit is None or known.find(one.on)[0] <= limit)
    ]


@dataclass(frozen=True)
class KindTable:
    """Records of one kind as columns, each key together, in it from the oldest to the newest.

    `seq`, `first_day`, `last_day` int64[n]; `rank` int64[n], see TAG_RANK; `keys` g words; the rows of key k
    are `starts[k]` to `starts[k + 1]` (int64[g + 1]); `group` int64[n] is the key of each row.
    """

    kind: str
    records: Sequence[Record]
    seq: np.ndarray
    first_day: np.ndarray
    last_day: np.ndarray
    rank: np.ndarray
    keys: tuple[str, ...]
    group: np.ndarray
    starts: np.ndarray
    calendar: Calendar
    _kept: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.seq)

    def read_raw(self, column: str) -> list[Any]:
        """Return a column of the body as it stands, None where it was not given."""
        return [one.body.get(column) for one in self.records]

    def read_numbers(self, column: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of a column float64[n], NaN where there is none, and bool[n]: not disclosed."""
        kept = self._kept.get(("numbers", column))
        if kept is None:
            raw = self.read_raw(column)
            value = np.array(
                [one if one is not None and one != NOT_DISCLOSED else np.nan for one in raw], np.float64
            )
            hidden = np.isnan(value)
            hidden[hidden] = [raw[row] is not None for row in np.flatnonzero(hidden)]
            kept = self._kept["numbers", column] = (value, hidden)
        numbers: tuple[np.ndarray, np.ndarray] = kept
        return numbers

    def read_texts(self, column: str) -> np.ndarray:
        """Return the texts of a column object[n], '' where there is none."""
        kept = self._kept.get(("texts", column))
        if kept is None:
            kept = np.empty(len(self), object)
            kept[:] = [one.body.get(column) or "" for one in self.records]
            self._kept["texts", column] = kept
        texts: np.ndarray = kept
        return texts

    def read_days(self, column: str) -> tuple[np.ndarray, np.ndarray]:
        """Return first and last day that the dates of a column may mean, int64[n] each, 0 where none is."""
        find = self.calendar.find
        spans = np.array([find(one) for one in self.read_texts(column)], np.int64).reshape(-1, 2)
        return spans[:, 0], spans[:, 1]

    def find_last(self, present: np.ndarray) -> np.ndarray:
        """Return for every key the last row that is present, int64[g], -1 where none is."""
        if not len(self):
            return np.zeros(0, np.int64)
        rows = np.where(present, np.arange(len(self)), -1)
        found: np.ndarray = np.maximum.reduceat(rows, self.starts[:-1])
        return found

    def find_first(self, present: np.ndarray) -> np.ndarray:
        """Return for every key the first row that is present, int64[g], -1 where none is."""
        if not len(self):
            return np.zeros(0, np.int64)
        rows = np.where(present, np.arange(len(self)), len(self))
        found = np.minimum.reduceat(rows, self.starts[:-1])
        return np.where(found == len(self), -1, found)


@dataclass(frozen=True)
class SaidNumber:
    """The last number said of each key: NaN where none is, `hidden` where it is not disclosed; its row."""

    value: np.ndarray
    hidden: np.ndarray
    row: np.ndarray


def say_number(table: KindTable, column: str) -> SaidNumber:
    """Return what was said last of a column, for every key.

    In words: what a later record leaves empty stays as it was said before; `not disclosed` is a saying too.
    """
    value, hidden = table.read_numbers(column)
    row = table.find_last(~np.isnan(value) | hidden)
    said = np.where(row >= 0, value[row], np.nan) if len(table) else np.zeros(0)
    unsaid = (row >= 0) & hidden[row] if len(table) else np.zeros(0, bool)
    return SaidNumber(said, unsaid, row)


def say_text(table: KindTable, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the last text said of a column for every key, object[g] ('' for none), and its row int64[g]."""
    texts = table.read_texts(column)
    row = table.find_last(texts != "")
    said = np.empty(len(row), object)
    said[:] = [texts[one] if one >= 0 else "" for one in row]
    return said, row


def say_day(table: KindTable, column: str, last: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the last date said of a column for every key as days int64[g] (0 for none), and its row.

    `last` takes the last day that the date may mean, else the first.
    """
    days = table.read_days(column)[1 if last else 0]
    row = table.find_last(days > NO_DAY)
    return (np.where(row >= 0, days[row], NO_DAY) if len(table) else row), row


def say_first_day(table: KindTable, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the first date said of a column for every key, at its latest, int64[g], and its row."""
    days = table.read_days(column)[1]
    row = table.find_first(days > NO_DAY)
    return (np.where(row >= 0, days[row], NO_DAY) if len(table) else row), row


def tabulate_kind(
    records: Sequence[Record], kind: str, calendar: Calendar, weak: bool = False
) -> KindTable:
    """Put the records of one kind into columns.

    Parameters
    ----------
    records : the records that count (`select_current`).
    kind : the kind.
    calendar : of dates that were read already.
    weak : false leaves out what is only weakly founded (tag F-): it is never taken as a fact.

    In words: rows of a key stand in the order of their dates; of one day, the better founded comes last and
    so counts; of equals, the order of what they say, so that the order of import never matters.
    """
    chosen = [one for one in records if one.kind == kind and (weak or one.tag != WEAK)]
    find, rank = calendar.find, TAG_RANK
    spans = np.array([find(one.on) for one in chosen], np.int64).reshape(-1, 2)
    names = sorted({one.key for one in chosen})
    code_of = {name: code for code, name in enumerate(names)}
    code = np.array([code_of[one.key] for one in chosen], np.int64)
    ranks = np.array([rank[one.tag] for one in chosen], np.int64)
    order = np.lexsort((ranks, spans[:, 1], code))
    same = np.ones(max(0, len(order) - 1), bool)
    for part in (code, spans[:, 1], ranks):
        same &= part[order][1:] == part[order][:-1]
    _order_equals(chosen, order, same)
    group = code[order]
    counts = np.bincount(group, minlength=len(names))
    return KindTable(
        kind=kind,
        records=[chosen[one] for one in order],
        seq=np.array([chosen[one].seq for one in order], np.int64),
        first_day=spans[order, 0],
        last_day=spans[order, 1],
        rank=ranks[order],
        keys=tuple(names),
        group=group,
        starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        calendar=calendar,
    )


def _order_equals(records: Sequence[Record], order: np.ndarray, same: np.ndarray) -> None:
    """Order rows that agree in key, day and rank by what they say; `order` is changed in place."""
    row = 0
    while row < len(same):
        if not same[row]:
            row += 1
            continue
        end = row
        while end < len(same) and same[end]:
            end += 1
        run = sorted(order[row : end + 1], key=lambda one: _write_saying(records[one]))
        order[row : end + 1] = run
        row = end + 1


def _write_saying(record: Record) -> str:
    return write_canonical([record.body, record.source, record.access])


def find_contradictions(table: KindTable) -> tuple[Contradiction, ...]:
    """List what records of one key and one day say differently.

    In words: both stand until one corrects the other; `tabulate_kind` says which one counts meanwhile.
    """
    if table.kind not in STATE_KINDS or len(table) < 2:
        return ()
    together = (table.group[1:] == table.group[:-1]) & (table.last_day[1:] == table.last_day[:-1])
    found = []
    for row in np.flatnonzero(together):
        first, second = table.records[row], table.records[row + 1]
        for column in sorted(set(first.body) & set(second.body)):
            values = (first.body[column], second.body[column])
            if column != "note" and values[0] != values[1]:
                texts = (str(values[0]), str(values[1]))
                seqs = (first.seq, second.seq)
                found.append(Contradiction(table.kind, first.key, column, second.on, texts, seqs))
    return tuple(found)


def collect_records(table: KindTable, rows: Sequence[np.ndarray]) -> list[tuple[int, ...]]:
    """Return for every key the numbers of the records in its rows, sorted; rows of -1 are passed over.

    Parameters
    ----------
    rows : arrays int64[g], as `find_last` gives them.
    """
    if not len(table):
        return []
    picked = np.stack(rows, axis=1)
    seqs = np.sort(np.where(picked >= 0, table.seq[picked], 0), axis=1)
    seqs[:, 1:][seqs[:, 1:] == seqs[:, :-1]] = 0
    flat, counts = seqs[seqs > 0].tolist(), (seqs > 0).sum(axis=1)
    ends = np.concatenate([[0], np.cumsum(counts)]).tolist()
    return [tuple(flat[start:end]) for start, end in pairwise(ends)]


def find_weakest(table: KindTable, rows: Sequence[np.ndarray]) -> list[str]:
    """Return for every key the weakest tag among its rows, '' where all are -1."""
    names = {rank: tag for tag, rank in TAG_RANK.items()}
    picked = np.stack(rows, axis=1)
    ranks = np.where(picked >= 0, table.rank[picked], 9).min(axis=1) if len(table) else np.zeros(0, int)
    return [names.get(int(one), "") for one in ranks]
