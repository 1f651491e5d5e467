"""What `abatis stock` shows: late belts first, then depots, belts, and stock by year."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from abatis.barrier.sites import site_study
from abatis.model.errors import Fault, InputError
from abatis.model.plan import Plan, read_plan
from abatis.model.study import Study
from abatis.people.law import require_lawful
from abatis.programme.belts import PLACE as BELTS
from abatis.programme.belts import Belt, read_belts
from abatis.programme.depots import (
    DepotPlan,
    Depots,
    Progress,
    Reach,
    check_heads,
    measure_reach,
    open_roads,
    read_depots,
    site_depots,
)
from abatis.programme.stock import StockPlan, buy_stock, read_stocks
from abatis.show.results import check_same_study
from abatis.show.tables import Column, Table
from abatis.show.workflow import load_study

VARIANTS = ("covering", "median")


@dataclass(frozen=True)
class StockResults:
    """Everything that was computed for one plan: belts, places, hours, where stock lies, what is bought."""

    study: Study
    plan: Plan
    belts: tuple[Belt, ...]
    depots: Depots
    reach: Reach
    siting: DepotPlan
    stocks: tuple[StockPlan, ...]


def compute_stock(
    folder: Path, plan_name: str, count: int | None, variant: str, progress: Progress
) -> StockResults:
    """Read a study and its plan, site depots and buy stock.

    Parameters
    ----------
    folder : study folder with a mesh.
    plan_name : plan whose options count.
    count : most depots in all; that of study.toml when None.
    variant : covering or median.
    progress : callback (stage, share done).

    Raises
    ------
    InputError : a measure that would be unlawful in a year of the programme (the rule is named); a plan that
        is missing or of another state of the study; all faults of belts, stocks, places and roads at once.
    """
    if variant not in VARIANTS:
        raise InputError([Fault(f"is '{variant}'", column="--variant", remedy="write covering or median")])
    study, mesh = load_study(folder)
    require_lawful(study)
    plan = read_plan(folder / "plans" / plan_name)
    check_same_study(study, plan)
    siting = site_study(study, mesh, progress)
    faults: list[Fault] = []
    belts = read_belts(study, mesh, siting, plan, faults)
    stocks = read_stocks(study, belts, faults)
    roads = open_roads(study, mesh, faults)
    wanted = study.depot_count if count is None else count
    depots = read_depots(study, mesh, roads, wanted, faults)
    if not belts and not faults:
        text = (
            f"there is no reserve belt: no option of plan '{plan_name}' uses a measure of tables/stocks.csv"
        )
        faults.append(
            Fault(text, BELTS, remedy="add rows to belts.csv, or close a site by a reserve measure")
        )
    if faults:
        raise InputError(list(dict.fromkeys(faults)))
    reach = measure_reach(mesh, roads, depots, belts, study.access_km, progress)
    progress("choosing depots", 0.0)
    chosen = site_depots(
        depots,
        reach,
        int(depots.existing.sum()) if wanted is None else wanted,
        math.inf if study.depots_eur is None else study.depots_eur,
        variant,
        study.time_limit_s,
    )
    progress("buying stock", 0.0)
    bought = tuple(buy_stock(terms, study.tail_years) for terms in stocks)
    return StockResults(study, plan, belts, depots, reach, chosen, bought)


def tabulate_stock(results: StockResults) -> dict[str, Table]:
    """Tables of the results; the first row of the first is how many belts cannot be reached in time."""
    tables = {
        "reach": tabulate_reach(results),
        "depots": tabulate_depots(results),
        "belts": tabulate_belts(results),
        "stock": tabulate_years(results),
    }
    renewal = tabulate_renewal(results)
    if renewal.rows:
        tables["renewal"] = renewal
    return tables


def tabulate_reach(results: StockResults) -> Table:
    """Belts not reached in time from the depots in use, from the best choice, and from all places."""
    siting, belts = results.siting, results.belts
    existing = int(results.depots.existing.sum())
    new = len(siting.chosen) - existing
    cases = (
        ("with the depots in use", existing, siting.late_now),
        (f"with {len(siting.chosen)} depots, {new} of them new", len(siting.chosen), siting.late),
        (f"with all {results.depots.count} places", results.depots.count, siting.late_all),
    )
    rows = tuple(
        {
            "case": words,
            "depots": count,
            "late": len(late),
            "late_km": round(math.fsum(belts[one].length_km for one in late), 3),
            "late_delay_h": round(math.fsum(belts[one].delay_h for one in late), 3),
            "share": len(late) / len(belts),
        }
        for words, count, late in cases
    )
    columns = (
        Column("case", "case"),
        Column("depots", "depots", ".0f"),
        Column("late", "reserve sites not reached in time", ".0f"),
        Column("late_km", "their length [km]", ",.1f"),
        Column("late_delay_h", "their delay [h]", ",.1f"),
        Column("share", "share", ".0%"),
    )
    return Table(
        f"{len(belts)} reserve sites by road within their notice", columns, rows, _note_reach(results)
    )


def _note_reach(results: StockResults) -> str:
    siting, found = results.siting, results.siting.placement
    if siting.variant == "covering":
        least = math.ceil(found.bound - 1e-6)
        words = f"no choice of {siting.count} depots leaves fewer than {least} sites late"
    else:
        words = f"all hours together {found.value:,.2f}, at least {found.bound:,.2f}"
    parts = [
        f"{words} ({'proven best' if found.status == 'optimal' else 'time was up'}, {found.seconds:.1f} s)"
    ]
    if siting.fewest is not None and siting.fewest < siting.count:
        parts.append(
            f"{siting.fewest} depots are enough for that (proven), the others make room and shorten the ways"
        )
    kept = float(siting.stored_km.sum())
    total = math.fsum(belt.length_km for belt in results.belts)
    parts.append(f"capacities hold {kept:,.1f} of {total:,.1f} km in time")
    parts += check_heads(results.study, results.belts, results.reach)
    placeholders = sum(belt.tag == "G" for belt in results.belts)
    if placeholders:
        parts.append(f"{placeholders} of the {len(results.belts)} sites rest on placeholders [G]")
    return "; ".join(parts)


def tabulate_depots(results: StockResults) -> Table:
    """List the chosen depots: which belts each serves, and how much it holds."""
    depots, siting = results.depots, results.siting
    in_time = results.reach.in_time
    rows = []
    for place in siting.chosen.tolist():
        served = np.flatnonzero(siting.serves == place)
        late = served[~in_time[place, served]]
        hours = results.reach.hours[place, served]
        rows.append(
            {
                "depot": depots.keys[place],
                "name": depots.names[place],
                "existing": bool(depots.existing[place]),
                "cost_eur": 0.0 if depots.existing[place] else float(depots.cost_eur[place]),
                "sites": len(served),
                "late": len(late),
                "longest_h": float(hours.max()) if served.size else None,
                "stored_km": float(siting.stored_km[place]),
                "capacity_km": float(depots.capacity_km[place]),
                "tag": depots.tags[place],
            }
        )
    columns = (
        Column("depot", "depot"),
        Column("name", "name"),
        Column("existing", "in use"),
        Column("cost_eur", "to open [EUR]", ",.0f"),
        Column("sites", "nearest for sites", ".0f"),
        Column("late", "late", ".0f"),
        Column("longest_h", "longest way [h]", ".2f"),
        Column("stored_km", "belt held [km]", ",.1f"),
        Column("capacity_km", "room [km]", ",.1f"),
        Column("tag", "tag"),
    )
    total = math.fsum(row["cost_eur"] for row in rows)
    text = f"new depots cost {total:,.2f} EUR at prices of {results.study.base_year}"
    return Table("Parks and depots", columns, tuple(rows), text)


def tabulate_belts(results: StockResults) -> Table:
    """List the belts with the depot nearest by road and whether it is in time."""
    rows = []
    for number, belt in enumerate(results.belts):
        place = int(results.siting.serves[number])
        hours = results.reach.hours[place, number] if place >= 0 else math.inf
        rows.append(
            {
                "belt": belt.key,
                "name": belt.name,
                "measure": belt.measure,
                "length_km": belt.length_km,
                "delay_h": belt.delay_h,
                "notice_h": belt.notice_h,
                "depot": results.depots.keys[place] if place >= 0 else "",
                "hours": float(hours),
                "in_time": bool(hours <= belt.notice_h),
                "lon": belt.lon,
                "lat": belt.lat,
                "tag": belt.tag,
            }
        )
    columns = (
        Column("belt", "site"),
        Column("name", "name"),
        Column("measure", "measure"),
        Column("length_km", "length [km]", ",.1f"),
        Column("delay_h", "delay [h]", ".1f"),
        Column("notice_h", "notice [h]", ".1f"),
        Column("depot", "nearest depot"),
        Column("hours", "by road [h]", ".2f"),
        Column("in_time", "in time"),
        Column("tag", "tag"),
    )
    note = "length, delay and notice are the study author's; hours count to the nearest road head"
    return Table("Reserve sites", columns, tuple(rows), note)


def tabulate_years(results: StockResults) -> Table:
    """Stock by year: ordered, good, missing, and the money of its line."""
    rows = tuple(
        {
            "measure": plan.terms.measure,
            "line": plan.terms.line,
            "year": int(year),
            "need_km": plan.terms.need_km,
            "ordered_km": float(plan.ordered_km[place]),
            "expired_km": float(plan.expired_km[place]),
            "stock_km": float(plan.stock_km[place]),
            "short_km": float(plan.short_km[place]),
            "money_eur": round(float(plan.terms.money_eur[place]), 2),
            "spent_eur": float(plan.spent_eur[place]),
            "left_eur": float(plan.left_eur[place]),
        }
        for plan in results.stocks
        for place, year in enumerate(plan.terms.years)
    )
    note = "; ".join(
        f"{one.terms.name}: {math.fsum(one.spent_eur):,.2f} EUR nominal, {one.terms.unit_cost_eur:,.0f} EUR "
        f"per km at base-year prices, good for {one.terms.life_years} years [{one.terms.tag}]"
        for one in results.stocks
    )
    return Table("Stock by year", STOCK_COLUMNS, rows, note)


def tabulate_renewal(results: StockResults) -> Table:
    """Stock that goes out of life after the programme and what its renewal costs; no line pays it."""
    rows = tuple(
        {"measure": plan.terms.measure, "year": int(year), "renewal_km": float(km), "renewal_eur": float(eur)}
        for plan in results.stocks
        for year, km, eur in zip(plan.renewal_years, plan.renewal_km, plan.renewal_eur, strict=True)
        if km > 0
    )
    total = math.fsum(float(plan.renewal_eur.sum()) for plan in results.stocks)
    note = f"{total:,.2f} EUR nominal that no line of the programme holds"
    return Table("Renewal after the programme", RENEWAL_COLUMNS, rows, note)


STOCK_COLUMNS = (
    Column("measure", "measure"),
    Column("line", "line"),
    Column("year", "year", ".0f"),
    Column("need_km", "need [km]", ",.1f"),
    Column("ordered_km", "ordered [km]", ",.3f"),
    Column("expired_km", "out of life [km]", ",.1f"),
    Column("stock_km", "in stock [km]", ",.3f"),
    Column("short_km", "missing [km]", ",.3f"),
    Column("money_eur", "its share of the line [EUR, nominal]", ",.2f"),
    Column("spent_eur", "spent [EUR, nominal]", ",.2f"),
    Column("left_eur", "left of its share of the line [EUR]", ",.2f"),
)
RENEWAL_COLUMNS = (
    Column("measure", "measure"),
    Column("year", "year", ".0f"),
    Column("renewal_km", "out of life [km]", ",.3f"),
    Column("renewal_eur", "replacement [EUR, nominal]", ",.2f"),
)
