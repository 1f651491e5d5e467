"""Disclosure: which figures of money and quantity are told, which are not, by country and budget line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from abatis.programme.ledger.records import KINDS, body_columns, may_stay_undisclosed
from abatis.programme.ledger.states import TAG_RANK, KindTable

# Nobody discloses a placeholder, and a weak source is no disclosure.
TOLD_RANK = TAG_RANK["D"]
EVENT_KINDS = ("delivery", "hazard", "incident", "statement")


@dataclass(frozen=True)
class Disclosure:
    """How much is disclosed in a country and budget line; `line` is '' for all lines together.

    `told` figures were found or derived, `weak` ones stand only in weak sources or are placeholders,
    `undisclosed` ones were asked or owed and not told. `share` = told / (told + weak + undisclosed), None
    where no figure was asked.
    """

    country: str
    line: str
    told: int
    weak: int
    undisclosed: int
    share: float | None
    records: tuple[int, ...]


@dataclass(frozen=True)
class Undisclosed:
    """One figure that is not disclosed, or of which only weak sources speak (`weak`)."""

    country: str
    line: str
    kind: str
    key: str
    name: str
    column: str
    caption: str
    weak: bool
    since: str
    source: str
    tag: str
    records: tuple[int, ...]


@dataclass
class _Count:
    told: int = 0
    weak: int = 0
    undisclosed: int = 0

    def __post_init__(self) -> None:
        self.seqs: list[np.ndarray] = []


def score_disclosure(
    tables: Mapping[str, KindTable],
) -> tuple[tuple[Disclosure, ...], tuple[Undisclosed, ...]]:
    """Score how much of the money and the quantities is disclosed, and list what is not.

    Parameters
    ----------
    tables : records of every kind, weak ones among them (`tabulate_kind`).

    Returns
    -------
    Rows by country and line, each country's own total before its lines, and the list of what is not told.

    Formula: share = told / (told + weak + not disclosed), over the columns of money and quantity.
    In words: of every thing and every figure the last saying counts: a number with a sound source is told;
    a number from a weak source, or a placeholder, is not; nor is `not disclosed`. A column that nobody
    filled was never asked and is not counted. Deliveries, hazards, incidents and statements count each.
    """
    counts: dict[tuple[str, str], _Count] = defaultdict(_Count)
    missing: list[Undisclosed] = []
    for kind in KINDS:
        if kind in tables and len(tables[kind]):
            missing += _count_kind(tables[kind], counts)
    rows = [
        Disclosure(
            country=country,
            line=line,
            told=one.told,
            weak=one.weak,
            undisclosed=one.undisclosed,
            share=share_told(one.told, one.weak, one.undisclosed),
            records=tuple(np.unique(np.concatenate(one.seqs)).tolist()) if one.seqs else (),
        )
        for (country, line), one in sorted(counts.items())
    ]
    missing.sort(key=lambda one: (one.country, one.line, one.kind, one.key, one.column))
    return tuple(rows), tuple(missing)


def share_told(told: int, weak: int, undisclosed: int) -> float | None:
    """Return the share of figures that are told; None where none was asked.

    Examples
    --------
    >>> share_told(3, 0, 1), share_told(0, 0, 0)
    (0.75, None)
    """
    asked = told + weak + undisclosed
    return told / asked if asked else None


def _count_kind(table: KindTable, counts: dict[tuple[str, str], _Count]) -> list[Undisclosed]:
    """Count the figures of one kind; return those that are not told."""
    country, line = table.read_texts("country"), table.read_texts("line")
    missing = []
    for column in body_columns(table.kind):
        if not may_stay_undisclosed(column):
            continue
        value, hidden = table.read_numbers(column.column)
        said = ~np.isnan(value) | hidden
        rows = np.flatnonzero(said) if table.kind in EVENT_KINDS else _find_soundest(table, said, hidden)
        weak = ~hidden[rows] & (table.rank[rows] < TOLD_RANK)
        groups: dict[tuple[str, str], list[int]] = defaultdict(list)
        for place, row in enumerate(rows.tolist()):
            groups[country[row], line[row]].append(place)
        for (where, of_line), places in groups.items():
            unsaid, faint = int(hidden[rows[places]].sum()), int(weak[places].sum())
            for name in {of_line or "-", ""}:
                one = counts[where, name]
                one.undisclosed += unsaid
                one.weak += faint
                one.told += len(places) - unsaid - faint
                one.seqs.append(table.seq[rows[places]])
        for row, faint in zip(rows.tolist(), weak.tolist(), strict=True):
            if hidden[row] or faint:
                missing.append(_name_missing(table, row, column.column, column.caption, bool(faint)))
    return missing


def _find_soundest(table: KindTable, said: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Row of every key that says a figure last: one that is told or refused before one that is only weak."""
    sound = table.find_last(said & (hidden | (table.rank >= TOLD_RANK)))
    rows = np.where(sound >= 0, sound, table.find_last(said))
    found: np.ndarray = rows[rows >= 0]
    return found


def _name_missing(table: KindTable, row: int, column: str, caption: str, weak: bool) -> Undisclosed:
    record = table.records[row]
    body = record.body
    return Undisclosed(
        country=str(body.get("country") or ""),
        line=str(body.get("line") or "-"),
        kind=table.kind,
        key=record.key,
        name=str(body.get("name") or ""),
        column=column,
        caption=caption,
        weak=weak,
        since=record.on,
        source=record.source,
        tag=record.tag,
        records=(record.seq,),
    )
