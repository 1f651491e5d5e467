"""Gauges: the figures that alert rules compare, for every subject of the ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from abatis.programme.ledger.actuals import LineActual
from abatis.programme.ledger.context import Context
from abatis.programme.ledger.delays import Delay
from abatis.programme.ledger.disclosure import Undisclosed
from abatis.programme.ledger.earned import Earned, Works
from abatis.programme.ledger.renewals import Renewal
from abatis.programme.ledger.states import (
    NO_DAY,
    Contradiction,
    KindTable,
    collect_records,
    find_weakest,
    say_day,
    say_number,
    say_text,
    write_day,
)

CATEGORIES = ("milestone", "land", "law", "seam")
SPOKEN_EVENTS = ("effect", "left", "joined", "suspended", "contested")


@dataclass(frozen=True)
class Subject:
    """What an alert is about."""

    key: str
    name: str
    country: str
    line: str
    since: str
    tag: str
    records: tuple[int, ...]


@dataclass(frozen=True)
class Gauge:
    """One figure of every subject of a kind: `values` float64[n] (NaN where not known), and who they are."""

    unit: str
    values: np.ndarray
    describe: Callable[[int], Subject]


@dataclass(frozen=True)
class Measured:
    """All that the gauges are read from."""

    tables: Mapping[str, KindTable]
    works: Works
    earned: Sequence[Earned]
    lines: Sequence[LineActual]
    delays: Sequence[Delay]
    undisclosed: Sequence[Undisclosed]
    renewals: Sequence[Renewal]
    contradictions: Sequence[Contradiction]
    context: Context
    day: date
    recent_days: float


Gauges = dict[tuple[str, str], Gauge]


def read_gauges(seen: Measured) -> Gauges:
    """Read every gauge; the keys are those of FIGURES (`settings.py`)."""
    return {
        **_gauge_works(seen),
        **_gauge_lines(seen),
        **_gauge_contracts(seen),
        **_gauge_deliveries(seen),
        **_gauge_milestones(seen),
        **_gauge_seams(seen),
        **_gauge_treaties(seen),
        **_gauge_measures(seen),
        **_gauge_hazards(seen),
        **_gauge_incidents(seen),
        **_gauge_rest(seen),
        **_gauge_sites(seen),
    }


def _list_gauge(unit: str, found: Sequence[tuple[float, Subject]]) -> Gauge:
    return Gauge(unit, np.array([value for value, _ in found], float), lambda row: found[row][1])


def _gauge_works(seen: Measured) -> Gauges:
    works, now = seen.works, seen.day.toordinal()

    def describe(row: int, since: int) -> Subject:
        return Subject(
            works.keys[row],
            str(works.name[row] or works.keys[row]),
            str(works.country[row]),
            str(works.line[row]),
            write_day(since) or "",
            works.tag[row],
            works.records[row],
        )

    open_ = works.live & (works.stage != "finished")
    waiting = (works.stage == "planned") & (works.planned_start > NO_DAY)
    begin = np.where(waiting, now - works.planned_start, np.nan)
    rows = [one for one in seen.earned if one.level == "work"]
    index = {key: row for row, key in enumerate(works.keys)}
    forecast = np.full(len(works.keys), np.nan)
    for one in rows:
        row = index[one.key]
        if one.forecast_eur is not None and one.forecast_plan_eur and works.share[row] > 0 and open_[row]:
            forecast[row] = one.forecast_eur / one.forecast_plan_eur - 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        cost = np.where(works.live & (works.bac_eur > 0), works.ac_eur / works.bac_eur - 1.0, np.nan)
    silent = np.where(works.stage == "started", now - works.last_on, np.nan)
    return {
        ("work", "days_late"): _gauge_delays(seen, "work", ahead=False),
        ("work", "days_put_off"): _gauge_delays(seen, "work", ahead=True),
        ("work", "start_days_late"): Gauge(
            "days", begin, lambda row: describe(row, works.planned_start[row])
        ),
        ("work", "cost_over_share"): Gauge("share", cost, lambda row: describe(row, works.last_on[row])),
        ("work", "forecast_over_share"): Gauge(
            "share", forecast, lambda row: describe(row, works.last_on[row])
        ),
        ("work", "silent_days"): Gauge("days", silent, lambda row: describe(row, works.last_on[row])),
    }


def _gauge_delays(seen: Measured, kind: str, ahead: bool, keys: set[str] | None = None) -> Gauge:
    """Days that open things of a kind are late; with `ahead` of those put off to a day still to come."""
    today = seen.day.isoformat()
    found = [
        (float(one.days), _describe_delay(one))
        for one in seen.delays
        if one.kind == kind and not one.ended and (keys is None or one.key in keys)
        if (one.until > today) is ahead
    ]
    return _list_gauge("days", found)


def _describe_delay(one: Delay) -> Subject:
    return Subject(one.key, one.name or one.key, one.country, one.line, one.due, one.tag, one.records)


def _gauge_lines(seen: Measured) -> Gauges:
    gauges: Gauges = {}
    for figure, column in (("spent_over_share", "spent_eur"), ("contracted_over_share", "contracted_eur")):
        found = []
        for one in seen.lines:
            amount, planned = getattr(one, column), one.planned_eur
            if one.year is None and amount is not None and planned:
                seqs = tuple(sorted({*one.grounds.get("planned_eur", ()), *one.grounds.get(column, ())}))
                name = f"{one.country} {one.line}".strip()
                subject = Subject(f"{one.country}/{one.line}", name, one.country, one.line, "", one.tag, seqs)
                found.append((amount / planned - 1.0, subject))
        gauges["line", figure] = _list_gauge("share", found)
    return gauges


def _describe_state(table: KindTable, rows: Sequence[np.ndarray]) -> Callable[[int, int], Subject]:
    """A describer of the keys of a table: (key, day since when) -> subject."""
    records, tags = collect_records(table, rows), find_weakest(table, rows)
    texts = {name: say_text(table, name)[0] for name in ("name", "country", "line")}

    def describe(one: int, since: int) -> Subject:
        return Subject(
            table.keys[one],
            str(texts["name"][one] or table.keys[one]),
            str(texts["country"][one]),
            str(texts["line"][one]),
            write_day(since) or "",
            tags[one],
            records[one],
        )

    return describe


def _gauge_contracts(seen: Measured) -> Gauges:
    table, now = seen.tables["contract"], seen.day.toordinal()
    if not len(table):
        return {}
    stage, stage_row = say_text(table, "stage")
    due, due_row = say_day(table, "due", last=True)
    describe = _describe_state(table, [stage_row, due_row])
    running = np.isin(stage, ("signed", "changed")) & (due > NO_DAY)
    last_on = table.last_day[table.starts[1:] - 1]
    failed = np.where(stage == "failed", 1.0, np.nan)
    return {
        ("contract", "days_past_due"): Gauge(
            "days", np.where(running, now - due, np.nan), lambda row: describe(row, due[row])
        ),
        ("contract", "failed_tender"): Gauge("tenders", failed, lambda row: describe(row, last_on[row])),
    }


def _gauge_deliveries(seen: Measured) -> Gauges:
    """What lacks of an order after its due date, as a share of it; nothing where a part is not disclosed."""
    table = seen.tables["delivery"]
    if not len(table):
        return {}
    ordered, (due, due_row) = say_number(table, "ordered"), say_day(table, "due", last=True)
    quantity, hidden = table.read_numbers("quantity")
    came = np.add.reduceat(np.nan_to_num(quantity), table.starts[:-1])
    unsaid = np.maximum.reduceat(hidden, table.starts[:-1])
    over = (due > NO_DAY) & (due < seen.day.toordinal()) & ~unsaid
    with np.errstate(divide="ignore", invalid="ignore"):
        short = np.where(over & (ordered.value > 0), 1.0 - came / ordered.value, np.nan)
    describe = _describe_state(table, [ordered.row, due_row, table.starts[1:] - 1])
    return {("delivery", "short_share"): Gauge("share", short, lambda row: describe(row, due[row]))}


def _gauge_milestones(seen: Measured) -> Gauges:
    table, now = seen.tables["milestone"], seen.day.toordinal()
    if not len(table):
        return {}
    stage, stage_row = say_text(table, "stage")
    category, category_row = say_text(table, "category")
    due, due_row = say_day(table, "due", last=True)
    describe = _describe_state(table, [stage_row, category_row, due_row])
    subject = np.array([one if one in CATEGORIES else CATEGORIES[0] for one in category], object)
    waiting = np.isin(stage, ("planned", "missed")) & (due > NO_DAY)
    gauges: Gauges = {}
    for name in CATEGORIES:
        of_kind = subject == name
        past = np.where(of_kind & waiting, now - due, np.nan)
        keys = {table.keys[row] for row in np.flatnonzero(of_kind)}
        gauges[name, "days_past_due"] = Gauge("days", past, lambda row: describe(row, due[row]))
        gauges[name, "days_late"] = _gauge_delays(seen, "milestone", False, keys)
        gauges[name, "days_put_off"] = _gauge_delays(seen, "milestone", True, keys)
    return gauges


def _gauge_seams(seen: Measured) -> Gauges:
    found = [
        (
            one.open_km,
            Subject("-".join(one.between), " - ".join(one.between), one.between[0], "", "", "D", ()),
        )
        for one in seen.context.seams
    ]
    return {("joint_seam", "open_km"): _list_gauge("km", found)}


def _gauge_treaties(seen: Measured) -> Gauges:
    """Effects that passed without a record that says so, and changes that lie ahead."""
    table, now = seen.tables["treaty_event"], seen.day.toordinal()
    days: list[int] = table.last_day.tolist()
    spoken: dict[tuple[str, str], int] = {}
    for record, on in zip(table.records, days, strict=True):
        if record.body.get("event") in SPOKEN_EVENTS:
            named = str(record.body.get("country")), str(record.body.get("instrument"))
            spoken[named] = max(on, spoken.get(named, NO_DAY))
    effect = table.read_days("effect")[1]
    passed = []
    for row, record in enumerate(table.records):
        body = record.body
        named = str(body.get("country")), str(body.get("instrument"))
        # What was said before does not answer it: a state that leaves has joined long ago.
        silent = spoken.get(named, NO_DAY) < days[row]
        if body.get("event") in ("vote", "notice") and NO_DAY < effect[row] <= now and silent:
            name = str(body.get("name") or f"{named[0]} {named[1]}")
            since = write_day(effect[row]) or ""
            subject = Subject(record.key, name, named[0], "", since, record.tag, (record.seq,))
            passed.append((float(now - effect[row]), subject))
    ahead = [
        (float(one.days_left), _describe_renewal(one))
        for one in seen.renewals
        if one.kind == "treaty" and one.days_left is not None and one.days_left >= 0
    ]
    return {
        ("treaty", "days_without_effect"): _list_gauge("days", passed),
        ("treaty_change", "days_left"): _list_gauge("days", ahead),
    }


def _describe_renewal(one: Renewal) -> Subject:
    name = f"{one.country} {one.name}" if one.kind == "treaty" else one.name
    return Subject(one.key, name, one.country, one.line, one.due or "", one.tag, one.records)


def _gauge_measures(seen: Measured) -> Gauges:
    """Works that are not cancelled and whose measure is unlawful in their country on the day."""
    works, found = seen.works, []
    for row in np.flatnonzero(works.live).tolist():
        ruling = seen.context.unlawful.get((works.country[row], works.measure[row]))
        if ruling is not None:
            name = f"{works.name[row] or works.keys[row]} ({works.measure[row]}: {ruling})"
            subject = Subject(
                works.keys[row],
                name,
                works.country[row],
                works.line[row],
                "",
                works.tag[row],
                works.records[row],
            )
            found.append((1.0, subject))
    return {("measure", "works"): _list_gauge("works", found)}


def _gauge_hazards(seen: Measured) -> Gauges:
    """Open hazardous areas and the duties of the law that nothing in the ledger or register answers."""
    table = seen.tables["hazard"]
    found = [
        (
            float(len(one.missing)),
            Subject(one.key, f"{one.name}: {', '.join(one.missing)}", one.country, "", "", one.tag, ()),
        )
        for one in seen.context.hazards
    ]
    reported = _find_reports(seen)
    for key in range(len(table.keys)):
        rows = range(int(table.starts[key]), int(table.starts[key + 1]))
        records = [table.records[row] for row in rows]
        last, events = records[-1], {str(one.body.get("event")) for one in records}
        country = str(last.body.get("country"))
        if last.body.get("event") in ("closed", "handed_over", "cancelled"):
            continue
        duties = seen.context.duties.get(country, {})
        missing = ["record"] * ("record" in duties and not events & {"recorded", "confirmed"})
        missing += [f"report ({one})" for one in duties.get("report", ()) if (country, one) not in reported]
        if missing:
            name = f"{last.body.get('name') or last.key}: {', '.join(missing)}"
            seqs = tuple(sorted(one.seq for one in records))
            subject = Subject(last.key, name, country, "", records[0].on, last.tag, seqs)
            found.append((float(len(missing)), subject))
    return {("hazard", "duties_missing"): _list_gauge("duties", found)}


def _find_reports(seen: Measured) -> set[tuple[str, str]]:
    """States and treaties for which the ledger holds a report of the last `recent_days`."""
    table = seen.tables["treaty_event"]
    first = seen.day.toordinal() - seen.recent_days
    return {
        (str(one.body.get("country")), str(one.body.get("instrument")))
        for one, day in zip(table.records, table.last_day.tolist(), strict=True)
        if one.body.get("event") == "report" and day >= first
    }


def _gauge_incidents(seen: Measured) -> Gauges:
    table, found = seen.tables["incident"], []
    numbers = [table.read_numbers(name)[0] for name in ("killed", "injured")]
    harmed = np.nan_to_num(np.stack(numbers)).sum(axis=0) if len(table) else np.zeros(0)
    first = seen.day.toordinal() - seen.recent_days
    for row in np.flatnonzero((harmed > 0) & (table.last_day >= first)).tolist():
        record = table.records[row]
        name, country = str(record.body.get("name")), str(record.body.get("country"))
        subject = Subject(record.key, name, country, "", record.on, record.tag, (record.seq,))
        found.append((float(harmed[row]), subject))
    return {("incident", "casualties"): _list_gauge("persons", found)}


def _gauge_rest(seen: Measured) -> Gauges:
    """Renewals, contradictions, and what is not disclosed."""
    renewals = [
        (float(one.days_left), _describe_renewal(one))
        for one in seen.renewals
        if one.days_left is not None and one.kind in ("equipment", "work", "stock", "review")
    ]
    contradictions = [
        (
            float(len(one.records)),
            Subject(one.key, f"{one.kind} {one.key}, {one.column}", "", "", one.on, "D", one.records),
        )
        for one in seen.contradictions
    ]
    gauges = {
        ("renewal", "days_left"): _list_gauge("days", renewals),
        ("contradiction", "records"): _list_gauge("records", contradictions),
    }
    for figure, weak in (("undisclosed", False), ("weak", True)):
        groups: dict[tuple[str, str], list[Undisclosed]] = defaultdict(list)
        for one in seen.undisclosed:
            if one.weak is weak:
                groups[one.country, one.line].append(one)
        gauges["disclosure", figure] = _list_gauge(
            "figures",
            [(float(len(every)), _describe_silence(where, every)) for where, every in groups.items()],
        )
    return gauges


def _describe_silence(where: tuple[str, str], every: Sequence[Undisclosed]) -> Subject:
    country, line = where
    seqs = tuple(sorted({seq for one in every for seq in one.records}))
    return Subject(f"{country}/{line}", f"{country} {line}".strip(" -"), country, line, "", "D", seqs)


def _gauge_sites(seen: Measured) -> Gauges:
    """Sites that the schedule has begun and of which the ledger holds no work."""
    baseline, found = seen.context.baseline, []
    if baseline is not None:
        recorded = set(seen.tables["work"].read_texts("site").tolist())
        now = seen.day.toordinal()
        for site, planned in baseline.sites.items():
            if site not in recorded and planned.start_day <= now:
                since = write_day(planned.start_day) or ""
                found.append(
                    (
                        float(now - planned.start_day),
                        Subject(site, f"site {site}", baseline.country, "", since, "D", ()),
                    )
                )
    return {("planned_site", "days_without_record"): _list_gauge("days", found)}
