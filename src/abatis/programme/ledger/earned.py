"""Earned value: what should have been done by a day, what was done, what it cost, and where that leads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain

import numpy as np

from abatis.programme.ledger.baseline import Baseline, PlannedWork
from abatis.programme.ledger.states import (
    NO_DAY,
    KindTable,
    SaidNumber,
    collect_records,
    find_end,
    find_weakest,
    say_day,
    say_number,
    say_text,
    write_day,
)

LEVELS = ("work", "line", "country", "total")
# A forecast past this day says only that the pace so far leads nowhere.
LAST_DAY = date(2200, 12, 31).toordinal()
COMPARED = (("spi_ev", "spi_pv"), ("cpi_ev", "cpi_ac"))
TAGS = ("F", "D", "G", "F-")


@dataclass(frozen=True)
class Works:
    """Every work of the ledger on a day, one row per key.

    Money float64[g] with NaN where it is not known; `share` float64[g], the part done; days int64[g], 0
    where none is known; `ended_on` the day of the record that first says that the work ended; `hidden`
    bool[g, 3]: planned, spent or done is not disclosed.
    """

    keys: tuple[str, ...]
    name: np.ndarray
    country: np.ndarray
    line: np.ndarray
    measure: np.ndarray
    stage: np.ndarray
    planned_start: np.ndarray
    planned_finish: np.ndarray
    start: np.ndarray
    finish: np.ndarray
    bac_eur: np.ndarray
    pv_eur: np.ndarray
    ev_eur: np.ndarray
    ac_eur: np.ndarray
    share: np.ndarray
    hidden: np.ndarray
    last_on: np.ndarray
    ended_on: np.ndarray
    cause: np.ndarray
    from_schedule: np.ndarray
    tag: tuple[str, ...]
    records: tuple[tuple[int, ...], ...]

    @property
    def live(self) -> np.ndarray:
        """Works that are not cancelled, bool[g]."""
        alive: np.ndarray = self.stage != "cancelled"
        return alive


@dataclass(frozen=True)
class Earned:
    """Earned value of one work, or of all works of a line, a country or the ledger.

    Money in EUR, None where it is not known; a sum is over the works that are known, never counting an
    unknown one as 0. `sv_eur` and `spi` compare the `spi_works` whose plan and progress are both known,
    `cv_eur` and `cpi` the `cpi_works` whose progress and cost are; forecasts are of the works that have one,
    whose plan is `forecast_plan_eur`. `told_on` is the day of the last record;
    `undisclosed` counts works of which a figure is not disclosed.
    """

    level: str
    key: str
    name: str
    country: str
    line: str
    works: int
    bac_eur: float | None
    pv_eur: float | None
    ev_eur: float | None
    ac_eur: float | None
    sv_eur: float | None
    cv_eur: float | None
    spi: float | None
    cpi: float | None
    done_share: float | None
    forecast_eur: float | None
    forecast_low_eur: float | None
    forecast_high_eur: float | None
    forecast_plan_eur: float | None
    planned_finish: str | None
    forecast_finish: str | None
    told_finish: str | None
    told_on: str | None
    spi_works: int
    cpi_works: int
    undisclosed: int
    basis: str
    tag: str
    records: tuple[int, ...]


def share_elapsed(start: np.ndarray, finish: np.ndarray, day: int) -> np.ndarray:
    """Return the part of a span of days that is over at the end of a day.

    Parameters
    ----------
    start, finish : first and last day as ordinals int64[g].
    day : the day asked for.

    Formula: (day - start + 1) / (finish - start + 1), not below 0 and not above 1.
    In words: work is planned evenly over its days; a day counts when it is over.

    Examples
    --------
    >>> ten = np.array([1]), np.array([10])
    >>> [float(share_elapsed(*ten, day)[0]) for day in (0, 5, 10, 11)]
    [0.0, 0.5, 1.0, 1.0]
    """
    return np.clip((day - start + 1) / np.maximum(finish - start + 1, 1), 0.0, 1.0)


def measure_works(table: KindTable, day: date, baseline: Baseline | None = None) -> Works:
    """Measure every work on a day.

    Parameters
    ----------
    table : records of the kind work (`tabulate_kind`).
    day : the day asked for.
    baseline : the schedule; a work whose site is in it is planned as the schedule says.

    Formula: PV = BAC x share of the planned days that are over; EV = BAC x share done; AC = spent so far.
    In words: PV (planned value) is what should have been done by the day, EV (earned value) what was done,
    both in the prices of the plan; AC (actual cost) is what was paid for it. BAC (budget at completion) is
    the planned cost. The share done is 1 for a finished work; else what the ledger says; else the quantity
    done over the quantity planned; else 0 for a work that has not begun: one that is to begin later, or of
    which a record after its planned first day says that it still waits. Else it is not known, and never
    counts as 0.
    """
    planned, spent = say_number(table, "planned_eur"), say_number(table, "spent_eur")
    stage, stage_row = say_text(table, "stage")
    days = {
        name: say_day(table, name, last=name.endswith("finish"))
        for name in ("planned_start", "planned_finish", "start", "finish")
    }
    planned_start, planned_finish = days["planned_start"][0].copy(), days["planned_finish"][0].copy()
    bac = planned.value.copy()
    site, _ = say_text(table, "site")
    from_schedule = _lay_schedule(baseline, site, planned_start, planned_finish, bac)
    last_on, end_row = table.last_day[table.starts[1:] - 1], find_end(table)
    waiting = (stage == "planned") & (planned_start > NO_DAY)
    waiting &= (planned_start > day.toordinal()) | (last_on >= planned_start)
    done, done_row = _find_share(table, stage, stage_row, waiting)
    dated = (planned_start > NO_DAY) & (planned_finish >= planned_start)
    over = share_elapsed(planned_start, planned_finish, day.toordinal())
    rows = [planned.row, spent.row, stage_row, done_row, *(row for _, row in days.values())]
    texts = {name: say_text(table, name)[0] for name in ("name", "country", "line", "measure", "delay_cause")}
    return Works(
        keys=table.keys,
        name=texts["name"],
        country=texts["country"],
        line=texts["line"],
        measure=texts["measure"],
        stage=stage,
        planned_start=planned_start,
        planned_finish=planned_finish,
        start=days["start"][0],
        finish=days["finish"][0],
        bac_eur=bac,
        pv_eur=np.where(dated, bac * over, np.nan),
        ev_eur=bac * done.value,
        ac_eur=spent.value,
        share=done.value,
        hidden=np.stack([planned.hidden, spent.hidden, done.hidden], axis=1),
        last_on=last_on,
        ended_on=np.where(end_row >= 0, table.last_day[end_row], NO_DAY),
        cause=texts["delay_cause"],
        from_schedule=from_schedule,
        tag=tuple(find_weakest(table, rows)),
        records=tuple(collect_records(table, rows)),
    )


def _find_share(
    table: KindTable, stage: np.ndarray, stage_row: np.ndarray, waiting: np.ndarray
) -> tuple[SaidNumber, np.ndarray]:
    """Share done of every key, and the row that says it; `waiting` works have surely not begun."""
    done = say_number(table, "done")
    quantity, whole = say_number(table, "quantity"), say_number(table, "planned_quantity")
    finished = stage == "finished"
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        part = np.where(whole.value > 0, np.minimum(quantity.value / whole.value, 1.0), np.nan)
    unsaid = done.row < 0
    value = np.where(unsaid & ~np.isnan(part), part, done.value)
    value = np.where(np.isnan(value) & waiting & unsaid, 0.0, value)
    value = np.where(finished, 1.0, value)
    row = np.where(unsaid & ~np.isnan(part), quantity.row, done.row)
    row = np.where(finished | ((row < 0) & waiting), stage_row, row)
    hidden = np.isnan(value) & (done.hidden | quantity.hidden | whole.hidden)
    return SaidNumber(value, hidden, row), row


def _lay_schedule(
    baseline: Baseline | None, site: np.ndarray, start: np.ndarray, finish: np.ndarray, bac: np.ndarray
) -> np.ndarray:
    """Plan the works whose site is in the schedule as it says; arrays are changed in place."""
    planned: Mapping[str, PlannedWork] = baseline.sites if baseline is not None else {}
    taken = np.array([one in planned for one in site], bool)
    for row in np.flatnonzero(taken):
        one = planned[site[row]]
        start[row], finish[row] = one.start_day, one.finish_day
        if np.isnan(bac[row]):
            bac[row] = one.planned_eur
    return taken


def forecast_cost(
    bac: np.ndarray, pv: np.ndarray, ev: np.ndarray, ac: np.ndarray, finished: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Forecast the cost at completion.

    Parameters
    ----------
    bac, pv, ev, ac : float64[g], NaN where not known.
    finished : bool[g].

    Returns
    -------
    likely, low, high float64[g], NaN where not known.

    Formula: likely = BAC / CPI with CPI = EV / AC; low and high are the least and most of it, of
    AC + BAC - EV, and of AC + (BAC - EV) / (CPI x SPI) with SPI = EV / PV.
    In words: the rest costs as much more than planned as the part done did; or as planned; or late work
    costs more still. Before anything is done the rest is taken as planned. A finished work costs what it
    cost.

    Examples
    --------
    >>> one = [np.array([value]) for value in (100.0, 50.0, 40.0, 50.0)]
    >>> [round(float(part[0]), 2) for part in forecast_cost(*one, np.array([False]))]
    [125.0, 110.0, 143.75]
    """
    begun = (ev > 0) & (ac > 0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        by_pace = np.where(begun, bac * ac / ev, ac + bac - ev)
        late = np.where(begun & (pv > 0), ac + (bac - ev) * (ac / ev) * (pv / ev), by_pace)
    as_planned = ac + bac - ev
    likely = np.where(finished, ac, by_pace)
    # A work whose plan has not begun (PV = 0) has no pace against the plan.
    three = np.stack([by_pace, as_planned, late])
    low = np.where(finished, ac, three.min(axis=0))
    high = np.where(finished, ac, three.max(axis=0))
    # So little was done that its price leads nowhere.
    lost = ~np.isfinite(high)
    return tuple(np.where(lost, np.nan, one) for one in (likely, low, high))  # type: ignore[return-value]


def forecast_finish(works: Works, day: date) -> np.ndarray:
    """Forecast the last day of every work, int64[g]; 0 where no pace is known.

    Formula: first day in fact + (days since then) / (share done) - 1; a finished work has its own last day,
    or that of the first record that says so. In words: the rest takes as long as the pace so far says. A work
    without progress cannot end before its planned duration from tomorrow on. A pace that leads past 2200 is
    no forecast.
    """
    now = day.toordinal()
    share, begun = works.share, np.where(works.start > NO_DAY, works.start, works.planned_start)
    begun = np.where((begun > NO_DAY) & (begun <= now), begun, NO_DAY)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        length = np.ceil((now - begun + 1) / share - 1e-9)
    paced = np.where((begun > NO_DAY) & (share > 0), begun + length - 1, np.nan)
    dated = (works.planned_start > NO_DAY) & (works.planned_finish >= works.planned_start)
    duration = works.planned_finish - works.planned_start + 1
    waiting = np.where(dated & (share == 0), np.maximum(works.planned_finish, now + duration), np.nan)
    found = np.where(np.isnan(paced), waiting, paced)
    finished = works.stage == "finished"
    found = np.where(finished, np.where(works.finish > NO_DAY, works.finish, works.ended_on), found)
    bad = np.isnan(found) | (found > LAST_DAY) | ~works.live
    return np.where(bad, NO_DAY, np.nan_to_num(found)).astype(np.int64)


def earn_value(works: Works, day: date) -> tuple[Earned, ...]:
    """Return earned value of every work, line, country and of all together, cancelled works left out.

    Parameters
    ----------
    works : `measure_works`.
    day : the day they were measured on.

    Formula: SV = EV - PV, CV = EV - AC, SPI = EV / PV, CPI = EV / AC; of several works each is formed from
    the sums. In words: below 1 the work is late (SPI) or dear (CPI). A sum holds only works of which both
    figures are known; how many are left out stands beside it.
    """
    finish = forecast_finish(works, day)
    costs = forecast_cost(works.bac_eur, works.pv_eur, works.ev_eur, works.ac_eur, works.stage == "finished")
    live = np.flatnonzero(works.live)
    rows = []
    pairs = _name_groups(works, live)
    for level in LEVELS:
        names, of_row = pairs[level]
        rows += _sum_level(level, names, of_row, works, live, finish, costs)
    return tuple(rows)


def _name_groups(works: Works, live: np.ndarray) -> dict[str, tuple[list[tuple[str, ...]], np.ndarray]]:
    """Names and the group of each live work, by level."""
    country, line = works.country[live].tolist(), works.line[live].tolist()
    keys = [works.keys[row] for row in live]
    groups = {
        "work": list(zip(keys, country, line, strict=True)),
        "line": [(f"{one}/{two or '-'}", one, two) for one, two in zip(country, line, strict=True)],
        "country": [(one, one, "") for one in country],
        "total": [("total", "", "")] * len(keys),
    }
    found: dict[str, tuple[list[tuple[str, ...]], np.ndarray]] = {}
    for level, of_row in groups.items():
        names: list[tuple[str, ...]] = sorted(set(of_row))
        number = {name: index for index, name in enumerate(names)}
        found[level] = names, np.array([number[one] for one in of_row], np.int64)
    return found


def _sum_level(
    level: str,
    names: Sequence[tuple[str, ...]],
    of_row: np.ndarray,
    works: Works,
    live: np.ndarray,
    finish: np.ndarray,
    costs: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> list[Earned]:
    """Earned value of every group of a level; `of_row` int64[k] is the group of each live work."""
    count = len(names)
    sums = _sum_money(works, live, costs, of_row, count)
    counts = _count_works(works, live, of_row, count)
    days = _find_last_days(works, live, finish, of_row, count)
    members = _list_members(of_row, count)
    rows = []
    for group, (key, country, line) in enumerate(names):
        rows_of = live[members[group]].tolist()
        pairs = [(sums[ev][group], sums[other][group]) for ev, other in COMPARED]
        rows.append(
            Earned(
                level=level,
                key=key,
                name=works.name[rows_of[0]] if level == "work" else "",
                country=country,
                line=line,
                works=counts["works"][group],
                bac_eur=sums["bac"][group],
                pv_eur=sums["pv"][group],
                ev_eur=sums["ev"][group],
                ac_eur=sums["ac"][group],
                sv_eur=_subtract(*pairs[0]),
                cv_eur=_subtract(*pairs[1]),
                spi=_divide(*pairs[0]),
                cpi=_divide(*pairs[1]),
                done_share=_share_done(level, works, rows_of[0], sums["ev"][group], sums["whole"][group]),
                forecast_eur=sums["likely"][group],
                forecast_low_eur=sums["low"][group],
                forecast_high_eur=sums["high"][group],
                forecast_plan_eur=sums["plan"][group],
                planned_finish=days["planned"][group],
                forecast_finish=days["forecast"][group],
                told_finish=days["told"][group],
                told_on=days["told_on"][group],
                spi_works=counts["spi"][group],
                cpi_works=counts["cpi"][group],
                undisclosed=counts["hidden"][group],
                basis=_name_basis(counts["scheduled"][group], counts["works"][group]),
                tag=_find_weakest_tag(works, rows_of),
                records=_join_records(works, rows_of),
            )
        )
    return rows


def _sum_money(
    works: Works,
    live: np.ndarray,
    costs: tuple[np.ndarray, np.ndarray, np.ndarray],
    of_row: np.ndarray,
    count: int,
) -> dict[str, list[float | None]]:
    """Sums of money of every group over the works of which it is known; None where it is known of none."""

    def add(values: np.ndarray, known: np.ndarray) -> list[float | None]:
        sums = np.round(np.bincount(of_row, np.where(known, values, 0.0), count), 2).tolist()
        some = np.bincount(of_row, known, count).tolist()
        return [one if many else None for one, many in zip(sums, some, strict=True)]

    bac, pv, ev, ac = (one[live] for one in (works.bac_eur, works.pv_eur, works.ev_eur, works.ac_eur))
    likely, low, high = (one[live] for one in costs)
    progress, cost, ahead = ~np.isnan(pv + ev), ~np.isnan(ev + ac), ~np.isnan(likely)
    return {
        "bac": add(bac, ~np.isnan(bac)), "pv": add(pv, ~np.isnan(pv)), "ev": add(ev, ~np.isnan(ev)),
        "ac": add(ac, ~np.isnan(ac)), "whole": add(bac, ~np.isnan(ev)), "plan": add(bac, ahead),
        "likely": add(likely, ahead), "low": add(low, ahead), "high": add(high, ahead),
        "spi_ev": add(ev, progress), "spi_pv": add(pv, progress), "cpi_ev": add(ev, cost),
        "cpi_ac": add(ac, cost),
    }  # fmt: skip


def _count_works(works: Works, live: np.ndarray, of_row: np.ndarray, count: int) -> dict[str, list[int]]:
    """Works of every group: all, those compared in SPI and CPI, not disclosed, and from the schedule."""
    marked = {
        "works": np.ones(len(live), bool),
        "spi": ~np.isnan(works.pv_eur + works.ev_eur)[live],
        "cpi": ~np.isnan(works.ev_eur + works.ac_eur)[live],
        "hidden": works.hidden[live].any(axis=1),
        "scheduled": works.from_schedule[live],
    }
    return {name: np.bincount(of_row, one, count).astype(int).tolist() for name, one in marked.items()}


def _find_last_days(
    works: Works, live: np.ndarray, finish: np.ndarray, of_row: np.ndarray, count: int
) -> dict[str, list[str | None]]:
    """Last day of every group: planned, forecast, told by the owner, and of its last record."""
    told = np.where(works.stage[live] == "finished", NO_DAY, works.finish[live])
    whole = np.bincount(of_row, finish[live] == NO_DAY, count) == 0
    days = {
        "planned": _last_of(works.planned_finish[live], of_row, count),
        # A group ends when all of its works have ended.
        "forecast": np.where(whole, _last_of(finish[live], of_row, count), NO_DAY),
        "told": _last_of(told, of_row, count),
        "told_on": _last_of(works.last_on[live], of_row, count),
    }
    return {name: list(map(write_day, one.tolist())) for name, one in days.items()}


def _last_of(days: np.ndarray, of_row: np.ndarray, count: int) -> np.ndarray:
    found = np.zeros(count, np.int64)
    np.maximum.at(found, of_row, days)
    return found


def _list_members(of_row: np.ndarray, count: int) -> list[np.ndarray]:
    order = np.argsort(of_row, kind="stable")
    return np.split(order, np.cumsum(np.bincount(of_row, minlength=count))[:-1]) if count else []


def _join_records(works: Works, rows: Sequence[int]) -> tuple[int, ...]:
    if len(rows) == 1:
        return works.records[rows[0]]
    every = np.fromiter(chain.from_iterable(works.records[row] for row in rows), np.int64)
    return tuple(np.unique(every).tolist())


def _find_weakest_tag(works: Works, rows: Sequence[int]) -> str:
    if len(rows) == 1:
        return works.tag[rows[0]]
    return max({works.tag[row] for row in rows}, key=TAGS.index)


def _share_done(level: str, works: Works, row: int, ev: float | None, whole: float | None) -> float | None:
    if level == "work":
        share = works.share[row]
        return None if np.isnan(share) else float(share)
    return _divide(ev, whole)


def _name_basis(scheduled: int, count: int) -> str:
    if not scheduled:
        return "ledger"
    return "schedule" if scheduled == count else "schedule and ledger"


def _subtract(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else round(one - other, 2)


def _divide(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other is not None and other > 0 else None
