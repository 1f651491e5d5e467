"""What the ledger says on a day: which records count, and the last that was said of each thing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from operator import itemgetter
from typing import Any

import numpy as np

from abatis.people.dates import parse_span
from abatis.programme.ledger.records import NOT_DISCLOSED, Record, write_canonical

WEAK = "F-"
# How well a record is founded: of two that speak of the same thing on the same day the better one counts.
TAG_RANK = {"F-": 0, "G": 1, "D": 2, "F": 3}
STATE_KINDS = ("budget", "contract", "work", "milestone")
ENDED_STAGES = frozenset(("finished", "reached", "completed"))
NO_DAY = 0
# A ledger has very many records: getters of a column are several times faster than attributes.
_SEQ, _KIND, _KEY, _CORRECTS, _ON, _BODY, _TAG = (
    itemgetter(Record._fields.index(name)) for name in ("seq", "kind", "key", "corrects", "on", "body", "tag")
)


@dataclass(frozen=True)
class Contradiction:
    """Records of one day that say different things of the same thing; none corrects another."""

    kind: str
    key: str
    column: str
    on: str
    values: tuple[str, ...]
    records: tuple[int, ...]


class Calendar:
    """First and last day that a date may mean, as numbers of days; each text is read once."""

    def __init__(self) -> None:
        self._first: dict[str, int] = {"": NO_DAY}
        self._last: dict[str, int] = {"": NO_DAY}

    def find(self, text: str) -> tuple[int, int]:
        """Return first and last day of a date as ordinals, (0, 0) for an empty one."""
        if text not in self._first:
            first, last = parse_span(text)
            self._first[text], self._last[text] = first.toordinal(), last.toordinal()
        return self._first[text], self._last[text]

    def find_all(self, texts: Sequence[str]) -> np.ndarray:
        """Return first and last day of many dates, int64[n, 2]."""
        for text in set(texts).difference(self._first):
            self.find(text)
        spans = np.empty((len(texts), 2), np.int64)
        spans[:, 0] = np.fromiter(map(self._first.__getitem__, texts), np.int64, len(texts))
        spans[:, 1] = np.fromiter(map(self._last.__getitem__, texts), np.int64, len(texts))
        return spans


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
    corrected = set(map(_CORRECTS, every)) - {None}
    if public:
        every = [one for one in every if one.access == "public"]
    if day is not None:
        limit = day.toordinal()
        begun = {text for text in set(map(_ON, every)) if known.find(text)[0] <= limit}
        every = [one for one in every if one.on in begun]
    return [one for one in every if one.seq not in corrected and "withdrawn" not in one.body]


@dataclass(frozen=True)
class Sheet:
    """Bodies that give the same columns, and the rows int64[k] that they are of."""

    names: tuple[str, ...]
    bodies: Sequence[Mapping[str, Any]]
    rows: np.ndarray

    def read(self, column: str) -> np.ndarray:
        """Return the values of a column object[k]."""
        values = np.empty(len(self.bodies), object)
        values[:] = list(map(itemgetter(column), self.bodies))
        return values


@dataclass(frozen=True)
class Cells:
    """The values of the bodies of many records; only what was given takes room."""

    sheets: tuple[Sheet, ...]

    def find(self, column: str) -> tuple[np.ndarray, np.ndarray]:
        """Return rows int64[k] and values object[k] of one column."""
        giving = [one for one in self.sheets if column in one.names]
        if not giving:
            return np.zeros(0, np.int64), np.zeros(0, object)
        values = [one.read(column) for one in giving]
        return np.concatenate([one.rows for one in giving]), np.concatenate(values)

    def keep_rows(self, kept: np.ndarray) -> Cells:
        """Return the values of the rows that are kept (bool[n]), numbered anew."""
        number = np.cumsum(kept) - 1
        sheets = []
        for one in self.sheets:
            here = np.flatnonzero(kept[one.rows])
            bodies = [one.bodies[row] for row in here.tolist()]
            sheets.append(Sheet(one.names, bodies, number[one.rows[here]]))
        return Cells(tuple(sheets))


def lay_out_cells(bodies: Sequence[Mapping[str, Any]]) -> Cells:
    """Lay the values of bodies side by side, those that give the same columns together.

    Examples
    --------
    >>> cells = lay_out_cells([{"done": 0.5}, {"stage": "planned"}, {"done": 1.0}])
    >>> [part.tolist() for part in cells.find("done")]
    [[0, 2], [0.5, 1.0]]
    """
    shapes: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for row, names in enumerate(map(tuple, bodies)):
        shapes[names].append(row)
    return Cells(
        tuple(
            Sheet(names, [bodies[row] for row in rows], np.array(rows, np.int64))
            for names, rows in shapes.items()
        )
    )


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
    cells: Cells
    calendar: Calendar
    _kept: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.seq)

    def read_numbers(self, column: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of a column float64[n], NaN where there is none, and bool[n]: not disclosed."""
        kept = self._kept.get(("numbers", column))
        if kept is None:
            rows, values = self.cells.find(column)
            unsaid = values == NOT_DISCLOSED
            value, hidden = np.full(len(self), np.nan), np.zeros(len(self), bool)
            value[rows[~unsaid]] = values[~unsaid].astype(np.float64)
            hidden[rows[unsaid]] = True
            kept = self._kept["numbers", column] = (value, hidden)
        numbers: tuple[np.ndarray, np.ndarray] = kept
        return numbers

    def read_texts(self, column: str) -> np.ndarray:
        """Return the texts of a column object[n], '' where there is none."""
        kept = self._kept.get(("texts", column))
        if kept is None:
            rows, values = self.cells.find(column)
            kept = np.full(len(self), "", object)
            kept[rows] = values
            self._kept["texts", column] = kept
        texts: np.ndarray = kept
        return texts

    def read_days(self, column: str) -> tuple[np.ndarray, np.ndarray]:
        """Return first and last day that the dates of a column may mean, int64[n] each, 0 where none is."""
        kept = self._kept.get(("days", column))
        if kept is None:
            rows, values = self.cells.find(column)
            spans = np.zeros((len(self), 2), np.int64)
            spans[rows] = self.calendar.find_all(values.tolist())
            kept = self._kept["days", column] = (spans[:, 0], spans[:, 1])
        days: tuple[np.ndarray, np.ndarray] = kept
        return days

    def has(self, column: str) -> np.ndarray:
        """True where a column was given, bool[n]."""
        given = np.zeros(len(self), bool)
        for sheet in self.cells.sheets:
            if column in sheet.names:
                given[sheet.rows] = True
        return given

    def keep_rows(self, kept: np.ndarray) -> KindTable:
        """Return the table of the rows that are kept (bool[n]); keys without any row are left out."""
        counts = np.bincount(self.group[kept], minlength=len(self.keys))
        here = np.flatnonzero(counts > 0)
        number = np.cumsum(counts > 0) - 1
        return KindTable(
            kind=self.kind,
            records=[self.records[row] for row in np.flatnonzero(kept).tolist()],
            seq=self.seq[kept],
            first_day=self.first_day[kept],
            last_day=self.last_day[kept],
            rank=self.rank[kept],
            keys=tuple(self.keys[one] for one in here.tolist()),
            group=number[self.group[kept]],
            starts=np.concatenate([[0], np.cumsum(counts[here])]).astype(np.int64),
            cells=self.cells.keep_rows(kept),
            calendar=self.calendar,
        )

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
    kept = table._kept.get(("said", column))
    if kept is None:
        texts, row = table.read_texts(column), table.find_last(table.has(column))
        said = np.full(len(row), "", object)
        said[row >= 0] = texts[row[row >= 0]]
        kept = table._kept["said", column] = (said, row)
    found: tuple[np.ndarray, np.ndarray] = kept
    return found


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


def tabulate_kind(records: Sequence[Record], kind: str, calendar: Calendar) -> KindTable:
    """Put the records of one kind into columns.

    Parameters
    ----------
    records : the records that count (`select_current`); those of other kinds are passed over.
    kind : the kind.
    calendar : of dates that were read already.

    In words: rows of a key stand in the order of their dates; of one day, the better founded comes last and
    so counts; of equals, the order of what they say, so that the order of import never matters.
    """
    chosen = [one for one in records if one.kind == kind]
    count = len(chosen)
    spans = calendar.find_all(list(map(_ON, chosen)))
    words = list(map(_KEY, chosen))
    names = sorted(set(words))
    number = {name: code for code, name in enumerate(names)}
    code = np.fromiter(map(number.__getitem__, words), np.int64, count)
    ranks = np.fromiter(map(TAG_RANK.__getitem__, map(_TAG, chosen)), np.int64, count)
    order = np.lexsort((ranks, spans[:, 1], code))
    same = np.ones(max(0, count - 1), bool)
    for part in (code, spans[:, 1], ranks):
        same &= part[order][1:] == part[order][:-1]
    _order_equals(chosen, order, same)
    ordered = list(map(chosen.__getitem__, order.tolist()))
    return KindTable(
        kind=kind,
        records=ordered,
        seq=np.fromiter(map(_SEQ, ordered), np.int64, count),
        first_day=spans[order, 0],
        last_day=spans[order, 1],
        rank=ranks[order],
        keys=tuple(names),
        group=code[order],
        starts=np.concatenate([[0], np.cumsum(np.bincount(code, minlength=len(names)))]).astype(np.int64),
        cells=lay_out_cells(list(map(_BODY, ordered))),
        calendar=calendar,
    )


def drop_weak(table: KindTable) -> KindTable:
    """Return the table without what is only weakly founded (tag F-): it is never taken as a fact."""
    sound = table.rank > TAG_RANK[WEAK]
    return table if sound.all() else table.keep_rows(sound)


def _order_equals(records: Sequence[Record], order: np.ndarray, same: np.ndarray) -> None:
    """Order rows that agree in key, day and rank by what they say; `order` is changed in place."""
    rows = np.flatnonzero(same)
    for run in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1) if len(rows) else []:
        first, last = int(run[0]), int(run[-1]) + 2
        said = sorted(order[first:last].tolist(), key=lambda one: _write_saying(records[one]))
        order[first:last] = said


def _write_saying(record: Record) -> str:
    return write_canonical([record.body, record.source, record.access])


def find_end(table: KindTable) -> np.ndarray:
    """Return for every key the row that says first that it ended, int64[g], -1 where it goes on.

    Parameters
    ----------
    table : records of works, milestones or contracts.

    In words: records after it, such as a last payment, do not move the end. What was taken up again ended
    with the first record that says so since then.
    """
    if not len(table):
        return np.zeros(0, np.int64)
    ended = np.fromiter(map(ENDED_STAGES.__contains__, table.read_texts("stage")), bool, len(table))
    last_open = table.find_last(table.has("stage") & ~ended)
    return table.find_first(ended & (np.arange(len(table)) > last_open[table.group]))


def find_contradictions(table: KindTable) -> tuple[Contradiction, ...]:
    """List what records of one key and one day say differently.

    In words: of each column every saying is compared with the one before it, whatever records without that
    column stand between them. Both stand until one corrects the other; `tabulate_kind` says which one counts
    meanwhile.
    """
    if table.kind not in STATE_KINDS or len(table) < 2:
        return ()
    together = (table.group[1:] == table.group[:-1]) & (table.last_day[1:] == table.last_day[:-1])
    crowded = np.append(together, False) | np.append(False, together)
    rows = np.flatnonzero(crowded)
    # Number of the key and day that each crowded row belongs to.
    day = np.append(0, np.cumsum(~together))[rows]
    cells = table.cells.keep_rows(crowded)
    pairs = []
    for column in {name for sheet in cells.sheets if len(sheet.rows) for name in sheet.names} - {"note"}:
        place, value = cells.find(column)
        order = np.argsort(place)
        place, value = place[order], value[order]
        unlike = (day[place][1:] == day[place][:-1]) & (value[1:] != value[:-1])
        pairs += [
            (int(rows[place[one + 1]]), column, int(rows[place[one]])) for one in np.flatnonzero(unlike)
        ]
    return tuple(_contradict(table, column, before, row) for row, column, before in sorted(pairs))


def _contradict(table: KindTable, column: str, before: int, row: int) -> Contradiction:
    first, second = table.records[before], table.records[row]
    texts = str(first.body[column]), str(second.body[column])
    return Contradiction(table.kind, first.key, column, second.on, texts, (first.seq, second.seq))


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
    if not len(table):
        return []
    names = {rank: tag for tag, rank in TAG_RANK.items()}
    picked = np.stack(rows, axis=1)
    ranks = np.where(picked >= 0, table.rank[picked], len(names)).min(axis=1)
    return [names.get(one, "") for one in ranks.tolist()]
