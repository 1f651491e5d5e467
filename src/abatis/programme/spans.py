"""Spans: how long each option takes, what it uses in which year, and how its effect grows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from abatis.barrier.options import SiteOption
from abatis.barrier.sites import Site
from abatis.model.errors import Fault, nearest_word
from abatis.model.study import Study

MONTHS = 12.0


@dataclass(frozen=True)
class Capacity:
    """What crews and plant can do: units of every option float64[n], at most `limit` of them in a year."""

    name: str
    units: np.ndarray
    limit: float


@dataclass(frozen=True)
class Lot:
    """Orders of a measure: units of every option float64[n]; those started in one year are 0 or `least`."""

    name: str
    units: np.ndarray
    least: float


@dataclass(frozen=True)
class Order:
    """A rule of order: all options `before` int64[] are finished before one of `after` int64[] starts."""

    name: str
    row: int
    before: np.ndarray
    after: np.ndarray


@dataclass(frozen=True)
class Spans:
    """Time of every option: months of waiting and of work, years int64[n], and `profile` float64[n, J].

    The work starts when land is acquired and the lot delivered; `profile[o, j]` is the share of money and
    work that falls into the j-th year after the start year. The effect holds at the end of year start +
    years - 1.
    """

    wait_months: np.ndarray
    lead_months: np.ndarray
    years: np.ndarray
    profile: np.ndarray


def measure_spans(wait_months: np.ndarray, lead_months: np.ndarray) -> Spans:
    """Lay waiting and work on calendar years, from 1 January of the start year.

    Formula: years = max(1, ceil((wait + lead) / 12)); profile_j = overlap of [wait, wait + lead] with
    [12 j, 12 (j + 1)] / lead. In words: money and crews are used evenly while the work lasts.

    Examples
    --------
    Twelve months for the land, then eighteen of work: three years; the first is waiting only.

    >>> spans = measure_spans(np.array([12.0]), np.array([18.0]))
    >>> spans.years.tolist(), np.round(spans.profile, 3).tolist()
    ([3], [[0.0, 0.667, 0.333]])
    """
    total = wait_months + lead_months
    years = np.maximum(1, np.ceil(total / MONTHS - 1e-9)).astype(np.int64)
    profile = np.zeros((len(years), int(years.max(initial=1))))
    for option, (wait, lead, count) in enumerate(zip(wait_months, lead_months, years, strict=True)):
        if lead <= 0:
            profile[option, count - 1] = 1.0
            continue
        edges = MONTHS * np.arange(count + 1)
        profile[option, :count] = np.maximum(
            0.0, np.minimum(edges[1:], wait + lead) - np.maximum(edges[:-1], wait)
        )
        profile[option] /= profile[option].sum()
    return Spans(wait_months, lead_months, years, profile)


def time_options(study: Study, options: Sequence[SiteOption], last_year: int, faults: list[Fault]) -> Spans:
    """Time every option: land and delivery run side by side, then the work.

    A lead time that ends after the last year, whenever it starts, is a fault of the measure.
    """
    delivery = {str(r["measure"]): float(r["delivery_months"]) for _, r in study.tables["lots"].iterrows()}
    wait = [
        max(
            [study.land_months if one.land_take_m2 > 0 else 0.0]
            + [delivery.get(measure, 0.0) for measure, _ in one.quantities]
        )
        for one in options
    ]
    lead = [one.lead_months for one in options]
    spans = measure_spans(np.array(wait, float), np.array(lead, float))
    measures = study.tables["measures"]
    lead_of = dict(zip(measures["measure"], measures["lead_months"], strict=True))
    late: dict[str, tuple[float, int]] = {}
    for option, count in zip(options, spans.years, strict=True):
        if count > study.programme_years:
            slowest = max(option.quantities, key=lambda pair: lead_of[pair[0]])[0]
            late[slowest] = max(late.get(slowest, (0.0, 0)), (option.lead_months, int(count)))
    for measure, (lead_months, count) in late.items():
        row = int(measures.index[measures["measure"] == measure][0])
        text = f"needs {count} years with land and delivery, past the last year {last_year}"
        faults.append(
            Fault(
                f"lead time of {lead_months:g} months {text}",
                "tables/measures.csv",
                row,
                "lead_months",
                "shorten it, lengthen the programme, or lock the option out and solve again",
            )
        )
    return spans


def grow_effects(study: Study, options: Sequence[SiteOption], years: int, faults: list[Fault]) -> np.ndarray:
    """Share of its delay that an option has at age a, float64[n, 2, ages]: on open ground and on roads.

    In words: the age counts from the end of the year of completion. Straight lines join the rows of
    effects.csv; before the first row the share grows from 0, after the last it stays. Roads and bridges of an
    option take the slower of their two measures.
    """
    table = study.tables["effects"]
    curves: dict[str, np.ndarray] = {}
    ages = np.arange(years + math.ceil(table["years_after"].max() if len(table) else 0), dtype=float)
    for measure in dict.fromkeys(table["measure"]):
        rows = table[table["measure"] == measure].sort_values("years_after")
        at, share = rows["years_after"].to_numpy(float), rows["share"].to_numpy(float)
        falls = np.flatnonzero(np.diff(share) < 0)
        faults += [
            Fault(
                f"share of '{measure}' falls with the years",
                "tables/effects.csv",
                int(rows.index[place + 1]),
                "share",
                "let it rise or stay",
            )
            for place in falls
        ]
        if at[0] > 0:
            at, share = np.append(0.0, at), np.append(0.0, share)
        curves[str(measure)] = np.interp(ages, at, share)
    ways = {str(row["option"]): row for _, row in study.tables["options"].iterrows()}
    growth = np.ones((len(options), 2, len(ages)))
    for number, option in enumerate(options):
        used = {measure for measure, _ in option.quantities}
        way = ways[option.option]
        for mode, columns in enumerate((("open_measure",), ("road_measure", "bridge_measure"))):
            for measure in {way[column] for column in columns} & used & set(curves):
                growth[number, mode] = np.minimum(growth[number, mode], curves[measure])
    return growth


def read_capacities(
    study: Study, options: Sequence[SiteOption], sites: Mapping[str, Site], faults: list[Fault]
) -> tuple[Capacity, ...]:
    """Read what crews and plant can do in a year, by region and measure."""
    region_of = _find_regions(study, sites, faults)
    capacities = []
    for _, row in study.tables["capacities"].iterrows():
        measure, region = str(row["measure"]), str(row["region"])
        units = np.array(
            [
                (1.0 if measure == "any" else dict(one.quantities).get(measure, 0.0))
                * (region == "any" or region_of.get(one.site) == region)
                for one in options
            ]
        )
        what = "sites" if measure == "any" else measure
        where = "in the country" if region == "any" else f"in {region}"
        capacities.append(Capacity(f"{what} a year {where}", units, float(row["units_per_year"])))
    return tuple(capacities)


def _find_regions(study: Study, sites: Mapping[str, Site], faults: list[Fault]) -> dict[str, str]:
    """Region that holds the middle of each site; two regions over one site are a fault."""
    regions = study.tables["regions"]
    found: dict[str, str] = {}
    clashes: dict[tuple[str, str], tuple[int, str]] = {}
    for row, region in regions.iterrows():
        for key, site in sites.items():
            inside = (
                region["west"] <= site.lon < region["east"] and region["south"] <= site.lat < region["north"]
            )
            if inside and key in found:
                clashes.setdefault((found[key], str(region["region"])), (int(str(row)), site.name))
            elif inside:
                found[key] = str(region["region"])
    for (first, second), (row, name) in clashes.items():
        text = f"regions '{first}' and '{second}' both hold the site {name}"
        faults.append(
            Fault(text, "tables/regions.csv", row, "region", "draw them so that they do not overlap")
        )
    for row, region in regions.iterrows():
        for low, high in (("west", "east"), ("south", "north")):
            if not region[low] < region[high]:
                text = f"{low} is not below {high}"
                faults.append(Fault(text, "tables/regions.csv", int(str(row)), high, "order the two"))
    return found


def read_lots(
    study: Study,
    options: Sequence[SiteOption],
    fund_of: Mapping[str, int],
    fund_eur: np.ndarray,
    faults: list[Fault],
) -> tuple[Lot, ...]:
    """Read the least orders; a lot dearer than the lines that pay it, or larger than the plan, is a fault."""
    measures = study.tables["measures"]
    cost_of = dict(zip(measures["measure"], measures["unit_cost_eur"], strict=True))
    lots = []
    for row, record in study.tables["lots"].iterrows():
        measure, least = str(record["measure"]), float(record["minimum_order_units"])
        units = np.array([dict(one.quantities).get(measure, 0.0) for one in options])
        if not units.any():
            continue
        price = least * cost_of[measure]
        paid = float(fund_eur[fund_of[measure]]) if measure in fund_of else math.inf
        if price > paid:
            text = (
                f"a lot of {least:g} {measure} costs {price:,.0f} EUR, more than its line has ({paid:,.0f})"
            )
            faults.append(
                Fault(
                    text,
                    "tables/lots.csv",
                    int(str(row)),
                    "minimum_order_units",
                    "lower it or raise the line",
                )
            )
        elif least > units.sum() * (1 + 1e-12):
            text = f"a lot of {least:g} {measure} is more than the {units.sum():g} units of the whole plan"
            faults.append(
                Fault(text, "tables/lots.csv", int(str(row)), "minimum_order_units", "lower it or plan more")
            )
        lots.append(Lot(measure, units, least))
    return tuple(lots)


def read_orders(
    study: Study, options: Sequence[SiteOption], site_keys: Sequence[str], faults: list[Fault]
) -> tuple[Order, ...]:
    """Read the rules of order; an unknown word or a circle of rules is a fault.

    In words: an option that holds both measures of a rule keeps their order inside its own work. Land always
    comes first: no rule is needed for it.
    """
    place = "tables/order_rules.csv"
    known = set(study.tables["measures"]["measure"]) | set(site_keys)
    measures = [{measure for measure, _ in one.quantities} | {one.site} for one in options]
    orders, arrows = [], []
    for row, record in study.tables["order_rules"].iterrows():
        words = str(record["before"]), str(record["after"])
        unknown = [
            Fault(
                f"'{word}' is neither a measure nor a site",
                place,
                int(str(row)),
                column,
                nearest_word(word, known),
            )
            for column, word in zip(("before", "after"), words, strict=True)
            if word not in known
        ]
        faults += unknown
        if unknown:
            continue
        arrows.append((int(str(row)), *words))
        first = np.array([words[0] in one and words[1] not in one for one in measures], bool)
        later = np.array([words[1] in one and words[0] not in one for one in measures], bool)
        if first.any() and later.any():
            name = f"{words[0]} before {words[1]}"
            orders.append(Order(name, int(str(row)), np.flatnonzero(first), np.flatnonzero(later)))
    circle = _find_circle([(row, {a}, {b}) for row, a, b in arrows]) or _find_circle(
        [(one.row, set(one.before.tolist()), set(one.after.tolist())) for one in orders]
    )
    if circle:
        rows = ", ".join(str(row) for row in circle)
        text = f"the rules of rows {rows} go round in a circle: none of them can start"
        faults.append(Fault(text, place, circle[0], "before", "delete one of them"))
    return tuple(orders)


def _find_circle(arrows: Sequence[tuple[int, set, set]]) -> list[int]:
    """Rows of arrows (row, from, to) that lie on circles, found by peeling off arrows that can be served."""
    left = list(arrows)
    while left:
        waiting = set().union(*(ends for _, _, ends in left))
        blocked = [one for one in left if one[1] & waiting]
        if len(blocked) == len(left):
            break
        left = blocked
    while left:
        needed = set().union(*(starts for _, starts, _ in left))
        useful = [one for one in left if one[2] & needed]
        if len(useful) == len(left):
            break
        left = useful
    return sorted(row for row, _, _ in left)
