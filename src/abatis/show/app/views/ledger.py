"""The view of the monitor: plan against actual on a day, and the records that every figure rests on."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from abatis.model.study import Study
from abatis.programme.ledger.actuals import FIGURES
from abatis.programme.ledger.context import read_context
from abatis.programme.ledger.earned import LEVELS
from abatis.programme.ledger.records import FIRST_HASH, KINDS, NOT_DISCLOSED, Record, redact_record
from abatis.programme.ledger.status import Status, assess_ledger
from abatis.programme.ledger.store import Ledger
from abatis.show.app.answers.tables import TableAnswer, answer_table
from abatis.show.app.answers.trace import trace_id
from abatis.show.app.answers.views import AxisAnswer, ChartAnswer, SeriesAnswer, ViewAnswer
from abatis.show.app.views.ledger_words import KEYS, SECTIONS, Section
from abatis.show.tables import Table

MOST_STATUSES = 32
MOST_ROWS = 500
SPLIT = "|"


@dataclass
class LedgerSnapshot:
    """All records of a ledger up to its head (number and hash), and the states computed from them."""

    head: tuple[int, str]
    records: list[Record]
    by_key: dict[tuple[str, str], list[Record]] = field(default_factory=dict)
    corrected_by: dict[int, int] = field(default_factory=dict)
    statuses: dict[tuple[object, ...], Status] = field(default_factory=dict)
    lists: dict[tuple[str, bool, bool], list[Record]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for one in self.records:
            self.by_key.setdefault((one.kind, one.key), []).append(one)
            if one.corrects is not None:
                self.corrected_by[one.corrects] = one.seq

    def find(self, seq: int, public: bool) -> Record | None:
        """Return a record by its number, for the public only what it may see of it."""
        # Numbers begin with 1 and leave none out; a damaged ledger may.
        place = seq - 1
        if 0 <= place < len(self.records) and self.records[place].seq == seq:
            found: Record | None = self.records[place]
        else:
            found = next((one for one in self.records if one.seq == seq), None)
        return redact_record(found) if public and found is not None else found

    def find_corrector(self, seq: int, public: bool) -> int | None:
        """Return the number of the record that corrects one; None where there is none, or none to be seen."""
        later = self.corrected_by.get(seq)
        return later if later is not None and self.find(later, public) is not None else None

    def select(self, kind: str, key: str, everything: bool, public: bool) -> list[Record]:
        """Return records of a kind and key ('' for all), newest first; `everything`: corrected ones too."""
        if key:
            kinds = (kind,) if kind else KINDS
            return self._filter(
                [one for of in kinds for one in self.by_key.get((of, key), [])], "", everything, public
            )
        asked = (kind, everything, public)
        if asked not in self.lists:
            self.lists[asked] = self._filter(self.records, kind, everything, public)
        return self.lists[asked]

    def _filter(self, rows: list[Record], kind: str, everything: bool, public: bool) -> list[Record]:
        found = [
            one
            for one in sorted(rows, key=lambda one: -one.seq)
            if (not kind or one.kind == kind)
            and (everything or (one.seq not in self.corrected_by and not one.withdrawn))
        ]
        if not public:
            return found
        return [shown for one in found if (shown := redact_record(one)) is not None]


_held: dict[str, LedgerSnapshot] = {}
_lock = threading.Lock()


def read_ledger(ledger: Ledger) -> LedgerSnapshot:
    """Return the records of a ledger, read again only when its head has moved.

    Raises
    ------
    LedgerError : the database cannot be reached.
    """
    head = ledger.read_head()
    with _lock:
        held = _held.get(ledger.place)
        if held is not None and held.head == head:
            return held
        records = _read_on(ledger, held)
        # A record may have been added since the head was read: what was read says how far it reaches.
        reached = (records[-1].seq, records[-1].hash) if records else (0, FIRST_HASH)
        found = LedgerSnapshot(reached, records)
        _held[ledger.place] = found
        return found


def _read_on(ledger: Ledger, held: LedgerSnapshot | None) -> list[Record]:
    """Records of a ledger: those held and what was added, or all when the held ones do not stand below."""
    if held is not None and held.records:
        last = held.records[-1]
        more = ledger.read(current=False, after=last.seq)
        if more and more[0].previous_hash == last.hash:
            return held.records + more
    return ledger.read(current=False)


def assess(
    snapshot: LedgerSnapshot, study: Study, version: str, plan: str, day: date, public: bool
) -> Status:
    """Return the state of the programme on a day, computed once for each state of ledger and study.

    Parameters
    ----------
    snapshot : the records. study, version : the study and what changes with its files.
    plan : whose schedule actuals are held against, '' for none. day : the day. public : for the public.
    """
    key = (version, plan, day, public)
    found = snapshot.statuses.get(key)
    if found is None:
        context = read_context(study, day, plan or None)
        found = assess_ledger(snapshot.records, day, context, public=public)
        with _lock:
            snapshot.statuses[key] = found
            while len(snapshot.statuses) > MOST_STATUSES:
                snapshot.statuses.pop(next(iter(snapshot.statuses)))
    return found


def make_monitor_view(status: Status) -> ViewAnswer:
    """Make the view of the monitor from the state on a day."""
    if not status.all_count:
        why = "The ledger holds no records: import some, here or with abatis ledger import FILE."
        return ViewAnswer(made=False, why=why)
    notes = [f"{status.record_count:,} records count on {status.day}."]
    if status.plan:
        notes.append(f"Actuals are held against the schedule of plan {status.plan}.")
    return ViewAnswer(
        made=True,
        notes=notes,
        tables={section.key: tabulate_section(status, section) for section in SECTIONS},
        charts={
            "plan_actual": chart_lines(status),
            "earned": chart_earned(status),
            "delays": chart_delays(status),
            "disclosure": chart_disclosure(status),
        },
    )


def list_rows(status: Status, section: Section) -> list[dict[str, Any]]:
    """Return the rows of a section, `not disclosed` where a figure is known to be kept back."""
    rows = status.list_rows(section.part)
    if section.part == "lines":
        rows = [row for row in rows if (row["year"] is None) == (section.key == "lines")]
        for row in rows:
            row |= {name: NOT_DISCLOSED for name in row["undisclosed"] if row.get(name) is None}
    if section.part == "earned":
        # Totals first: of very many works only the first are shown.
        rows.sort(key=lambda row: LEVELS.index(row["level"]), reverse=True)
    return rows


def name_row(section: Section, row: Mapping[str, Any]) -> str:
    """Return the key by which a row of a section is found again."""
    return SPLIT.join("" if row[name] is None else str(row[name]) for name in KEYS[section.part])


def tabulate_section(status: Status, section: Section) -> TableAnswer:
    """Tabulate a section; each figure can be traced to its records, which stand in the row as `records`."""
    rows = list_rows(status, section)
    numbers = [column.key for column in section.columns if column.format]
    traces, kept = [], []
    for row in rows[:MOST_ROWS]:
        name = name_row(section, row)
        traces.append(
            {
                key: trace_id("ledger", status.day, status.plan, section.key, name, key)
                for key in numbers
                if row.get(key) is not None
            }
        )
        shown = {column.key: row[column.key] for column in section.columns}
        kept.append(
            {**shown, **{key: row[key] for key in KEYS[section.part]}, "records": list(row["records"])}
        )
    note = section.note
    if len(rows) > MOST_ROWS:
        more = f"The first {MOST_ROWS} of {len(rows):,}; abatis ledger status --json lists all."
        note = f"{more} {note}".strip()
    return answer_table(Table(section.title, section.columns, tuple(kept), note), "ledger", traces)


def _scale(value: float | None) -> float | None:
    return None if value is None else value / 1e6


def chart_lines(status: Status) -> ChartAnswer:
    """Chart planned, contracted, spent and delivered money of every budget line."""
    rows = [one for one in status.lines if one.year is None]
    return ChartAnswer(
        title="Plan against actual by budget line",
        x=AxisAnswer(caption="country, line", values=[f"{one.country} {one.line}" for one in rows]),
        y=AxisAnswer(caption="money, nominal", unit="MEUR"),
        series=[
            SeriesAnswer(
                key=figure,
                name=figure.removesuffix("_eur"),
                kind="bar",
                values=[_scale(getattr(one, figure)) for one in rows],
                trace=[
                    trace_id("ledger", status.day, status.plan, "lines", f"{one.country}|{one.line}|", figure)
                    for one in rows
                ],
            )
            for figure in FIGURES
        ],
        note="A gap is a figure that is not known or not disclosed; it is never 0.",
    )


def chart_earned(status: Status) -> ChartAnswer:
    """Chart planned value, earned value and actual cost of every budget line with works."""
    rows = [one for one in status.earned if one.level in ("line", "total")]
    words = {"pv_eur": "planned value", "ev_eur": "earned value", "ac_eur": "actual cost"}
    return ChartAnswer(
        title=f"Earned value on {status.day}",
        x=AxisAnswer(caption="line", values=[one.name or one.key or "all works" for one in rows]),
        y=AxisAnswer(caption="money", unit="MEUR"),
        series=[
            SeriesAnswer(key=key, name=name, kind="bar", values=[_scale(getattr(one, key)) for one in rows])
            for key, name in words.items()
        ],
    )


def chart_delays(status: Status) -> ChartAnswer:
    """Chart days of delay by cause, stacked by country."""
    causes = list(dict.fromkeys(one.cause for one in status.delays_by_cause))
    days: dict[str, dict[str, float]] = defaultdict(dict)
    for one in status.delays_by_cause:
        days[one.country][one.cause] = float(one.days)
    return ChartAnswer(
        title="Delays by cause",
        x=AxisAnswer(caption="cause", values=list(causes)),
        y=AxisAnswer(caption="delay, all things together", unit="days"),
        series=[
            SeriesAnswer(
                key=country,
                name=country,
                kind="bar",
                stack="days",
                values=[of_cause.get(cause, 0.0) for cause in causes],
            )
            for country, of_cause in days.items()
        ],
    )


def chart_disclosure(status: Status) -> ChartAnswer:
    """Chart how many figures each country told, told weakly, or kept back."""
    rows = [one for one in status.disclosure if not one.line]
    words = {"told": "told", "weak": "weak sources only", "undisclosed": "not disclosed"}
    return ChartAnswer(
        title="Figures disclosed",
        x=AxisAnswer(caption="country", values=[one.country for one in rows]),
        y=AxisAnswer(caption="figures"),
        series=[
            SeriesAnswer(
                key=key,
                name=name,
                kind="bar",
                stack="figures",
                values=[float(getattr(one, key)) for one in rows],
            )
            for key, name in words.items()
        ],
    )


def count_kinds(records: Sequence[Record]) -> dict[str, int]:
    """Count records by kind, in the order of kinds."""
    found = dict.fromkeys(KINDS, 0)
    for one in records:
        found[one.kind] = found.get(one.kind, 0) + 1
    return found
