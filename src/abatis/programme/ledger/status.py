"""The state of the real programme on a day: everything the monitor shows, and the records it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date
from typing import Any

from abatis.model.study import Study
from abatis.programme.ledger.actuals import LineActual, Reading, compare_lines
from abatis.programme.ledger.alerts import Alert, raise_alerts
from abatis.programme.ledger.context import Context, read_context
from abatis.programme.ledger.delays import Delay, DelayCause, list_delays, sum_causes
from abatis.programme.ledger.disclosure import Disclosure, Undisclosed, score_disclosure
from abatis.programme.ledger.earned import Earned, earn_value, measure_works
from abatis.programme.ledger.gauges import Measured
from abatis.programme.ledger.records import KINDS, Record
from abatis.programme.ledger.renewals import Renewal, list_renewals
from abatis.programme.ledger.settings import read_settings
from abatis.programme.ledger.states import (
    Calendar,
    Contradiction,
    drop_weak,
    find_contradictions,
    select_current,
    tabulate_kind,
)
from abatis.programme.ledger.store import Ledger, pause_collection


@dataclass(frozen=True)
class Statement:
    """What somebody said, as a saying and not as a fact; a weak one says so by its tag F-."""

    key: str
    country: str
    line: str
    speaker: str
    topic: str
    wording: str
    value: float | None
    disclosed: bool
    unit: str
    about: str
    on: str
    source: str
    tag: str
    records: tuple[int, ...]


@dataclass(frozen=True)
class Status:
    """The state of the programme on a day; every row names its records.

    `record_count` are the records that count (current, up to the day, and public where only the public's are
    asked for), `all_count` all that the ledger holds.
    """

    day: str
    public: bool
    plan: str
    record_count: int
    all_count: int
    lines: tuple[LineActual, ...]
    readings: tuple[Reading, ...]
    earned: tuple[Earned, ...]
    delays: tuple[Delay, ...]
    delays_by_cause: tuple[DelayCause, ...]
    disclosure: tuple[Disclosure, ...]
    not_disclosed: tuple[Undisclosed, ...]
    renewals: tuple[Renewal, ...]
    alerts: tuple[Alert, ...]
    contradictions: tuple[Contradiction, ...]
    statements: tuple[Statement, ...]

    def list_rows(self, section: str) -> list[dict[str, Any]]:
        """Return the rows of a section as plain dictionaries, for tables and JSON."""
        return [asdict(one) for one in getattr(self, section)]

    def describe(self) -> dict[str, Any]:
        """Return the whole status as one object for JSON."""
        shown: dict[str, Any] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            shown[one.name] = self.list_rows(one.name) if isinstance(value, tuple) else value
        return shown


def assess_ledger(
    records: Iterable[Record],
    day: date,
    context: Context | None = None,
    public: bool = False,
) -> Status:
    """Assess the state of the programme on a day.

    Parameters
    ----------
    records : all records of the ledger, corrected ones among them, in any order.
    day : the day asked for; records of later events do not count.
    context : what the study says beside the ledger (`read_context`); nothing when None.
    public : true for what the public may see: restricted records count nowhere, nor do the schedule, the
        joint line, stock and the hazard register of the study.

    In words: plan against actual by budget line and year; earned value by work, line, country and in total;
    delays by cause; disclosure; renewals; alerts. What is weakly founded (tag F-) is listed,
    never counted.
    """
    with pause_collection():
        return _assess(records, day, context or Context(), public)


def _assess(records: Iterable[Record], day: date, context: Context, public: bool) -> Status:
    settings = context.settings or read_settings()
    every = records if isinstance(records, list) else list(records)
    calendar = Calendar()
    current = select_current(every, day, public, calendar)
    known = context.for_public() if public else context
    by_kind: dict[str, list[Record]] = {kind: [] for kind in KINDS}
    for one in current:
        by_kind[one.kind].append(one)
    weak = {kind: tabulate_kind(rows, kind, calendar) for kind, rows in by_kind.items()}
    tables = {kind: drop_weak(table) for kind, table in weak.items()}
    works = measure_works(tables["work"], day, known.baseline)
    earned = earn_value(works, day)
    lines, readings = compare_lines(tables, weak["budget"], known.baseline)
    delays = list_delays(tables, day)
    disclosure, undisclosed = score_disclosure(weak)
    renewals = list_renewals(
        tables, day, settings.lives, settings.terms["calendar_years"], known.changes, known.stocks
    )
    contradictions = tuple(one for table in tables.values() for one in find_contradictions(table))
    seen = Measured(
        tables, works, earned, lines, delays, undisclosed, renewals, contradictions, known, day,
        settings.terms["recent_days"],
    )  # fmt: skip
    return Status(
        day=day.isoformat(),
        public=public,
        plan=known.baseline.name if known.baseline is not None else "",
        record_count=len(current),
        all_count=len(current) if public else len(every),
        lines=lines,
        readings=readings,
        earned=earned,
        delays=delays,
        delays_by_cause=sum_causes(delays),
        disclosure=disclosure,
        not_disclosed=undisclosed,
        renewals=renewals,
        alerts=raise_alerts(seen, settings.rules, public),
        contradictions=contradictions,
        statements=tuple(_read_statement(one) for one in weak["statement"].records),
    )


def read_status(
    study: Study, ledger: Ledger, day: date, plan: str | None = "base", public: bool = False
) -> Status:
    """Read all records of a study's ledger and assess the state of its programme on a day.

    Parameters
    ----------
    ledger : of the study. study, day, plan, public : see `assess_study`.

    Raises
    ------
    InputError : see `read_context`.
    LedgerError : the database cannot be reached.
    """
    with pause_collection():
        return assess_study(study, ledger.read(current=False), day, plan, public)


def assess_study(
    study: Study, records: Iterable[Record], day: date, plan: str | None = "base", public: bool = False
) -> Status:
    """Assess the state of a study's programme on a day, with its plan, law, terms and own alert rules.

    Parameters
    ----------
    study : where schedule, treaty register, hazard register, stock and own rules come from.
    records : all records of its ledger.
    day, public : see `assess_ledger`.
    plan : name of the plan whose schedule actuals are held against; None for none.

    Raises
    ------
    InputError : see `read_context`.
    """
    return assess_ledger(records, day, read_context(study, day, plan), public)


def _read_statement(record: Record) -> Statement:
    body: Mapping[str, Any] = record.body
    value = body.get("value")
    return Statement(
        key=record.key,
        country=str(body.get("country") or ""),
        line=str(body.get("line") or ""),
        speaker=str(body.get("speaker") or ""),
        topic=str(body.get("topic") or ""),
        wording=str(body.get("wording") or ""),
        value=float(value) if isinstance(value, int | float) else None,
        disclosed=value is None or isinstance(value, int | float),
        unit=str(body.get("unit") or ""),
        about=str(body.get("about") or ""),
        on=record.on,
        source=record.source,
        tag=record.tag,
        records=(record.seq,),
    )
