"""What must be cleared one day: area, price, teams, years, who owns the duty, and in which order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import shapely
from shapely.geometry.base import BaseGeometry

from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.law_kinds import MINE_RESERVE
from abatis.model.mesh import Mesh
from abatis.model.study import Study
from abatis.people.hazards import Hazard, count_people, read_hazards
from abatis.people.law import list_duties
from abatis.people.treaties import merge_own_rows, read_packaged, read_register

if TYPE_CHECKING:
    from abatis.barrier.sites import Site, Siting
    from abatis.model.plan import Plan

FIND, BELT = "find", "belt"
NEAR_KM = (1.0, 5.0)
TEAMS = "team_"
LIMITS = (
    (
        "A reserve belt is counted as if all of it were laid: area = length x land taken per km of its "
        "measure (both set by the study's author). Whether anything is laid is not known here; while it lies "
        "in a depot there is nothing to clear."
    ),
    (
        "Cost = area x 0.15 / 1 / 4 EUR per m2 unless the study says otherwise. The low price comes from "
        "lightly contaminated fields with machines and does not fit a marked military belt. Of suspected "
        "areas 15-20 % needed real clearance elsewhere (cccv.info); here all of the area counts."
    ),
    (
        "People are those of cells whose centre lies within the distance; cells are some hundred metres to "
        "two kilometres wide, so 1 km is coarse. For a belt the distance is from the middles of its site's "
        "cell boundaries, or from its own middle where it has no site."
    ),
)


@dataclass(frozen=True)
class Range:
    """Low, likely and high value of one figure."""

    low: float
    mode: float
    high: float

    def times(self, factor: float) -> Range:
        """Return all three times a factor."""
        return Range(self.low * factor, self.mode * factor, self.high * factor)

    def __add__(self, other: Range) -> Range:
        """Add two ranges value by value: lows with lows, highs with highs."""
        return Range(self.low + other.low, self.mode + other.mode, self.high + other.high)


@dataclass(frozen=True)
class Term:
    """One figure of clearing with unit, source and tag."""

    key: str
    value: Range
    unit: str
    meaning: str
    source: str
    tag: str


@dataclass(frozen=True)
class Duty:
    """Ground to be cleared: a find of past wars or a reserve belt, and what is known about it.

    `kind` find or belt; `points` are people who gain, blocked uses counted as people; `near` persons within
    1 and 5 km, None without a mesh; `measure` closes a belt, empty for a find.
    """

    key: str
    name: str
    kind: str
    state: str
    area_m2: float
    owner: str
    beneficiaries: float
    blocked_use: tuple[str, ...]
    points: float
    near: tuple[float, ...] | None
    tag: str
    measure: str = ""


@dataclass(frozen=True)
class Job:
    """One duty in the order of work: when its ground is released and what it costs.

    `start_year`, `release_year` calendar years; `cost` EUR at base-year prices; `present` the same discounted
    to the base year, spread over the years of its work by the time spent in each.
    """

    duty: Duty
    place: int
    start_year: int
    release_year: int
    cost: Range
    present: Range


@dataclass(frozen=True)
class Liability:
    """All duties in order, what they cost together, and with which capacity that was counted."""

    jobs: tuple[Job, ...]
    cost: Range
    present: Range
    teams: int
    team: str
    start_year: int
    within_years: int
    left_out: tuple[str, ...]
    limits: tuple[str, ...]


def read_terms(study: Study | None = None) -> dict[str, Term]:
    """Read prices, teams and weights; the study's own clearance_terms.csv goes before the packaged ones.

    Raises
    ------
    InputError : the study names a term that does not exist; a new kind of team starts with team_.
    """
    frame = read_packaged("clearance_terms")
    if study is not None and not study.tables["clearance_terms"].empty:
        own = study.tables["clearance_terms"]
        known = set(frame["term"])
        faults = [
            Fault(
                f"'{term}' is an unknown term",
                "tables/clearance_terms.csv",
                int(str(number)),
                "term",
                nearest_word(term, sorted(known)),
            )
            for number, term in own["term"].items()
            if term not in known and not str(term).startswith(TEAMS)
        ]
        if faults:
            raise InputError(faults)
        frame = merge_own_rows(frame, own, "clearance_terms")
    return {
        str(row["term"]): Term(
            str(row["term"]),
            Range(float(row["low"]), float(row["mode"]), float(row["high"])),
            str(row["unit"]),
            str(row["meaning"]),
            str(row["source"]),
            str(row["tag"]),
        )
        for _, row in frame.iterrows()
    }


def count_points(beneficiaries: float, blocked_use: Sequence[str], terms: Mapping[str, Term]) -> float:
    """Return beneficiaries plus what each blocked use counts for, persons.

    Examples
    --------
    >>> count_points(40.0, ("school", "farm"), read_terms())
    590.0
    """
    return beneficiaries + math.fsum(terms[f"use_{use}"].value.mode for use in blocked_use)


def list_finds(hazards: Sequence[Hazard], terms: Mapping[str, Term], mesh: Mesh | None) -> list[Duty]:
    """List the open areas of the hazard register as duties; what remains of each is what counts."""
    near = partial(_count_near, mesh)
    return [
        Duty(
            key=one.key,
            name=one.name,
            kind=BELT if one.origin == "reserve_belt" else FIND,
            state=one.state,
            area_m2=one.account.remaining_m2,
            owner=one.owner,
            beneficiaries=one.beneficiaries,
            blocked_use=one.blocked_use,
            points=count_points(one.beneficiaries, one.blocked_use, terms),
            near=near(one.outline if one.outline is not None else shapely.Point(one.lon, one.lat)),
            tag=one.tag,
        )
        for one in hazards
        if one.status == "open" and one.account.remaining_m2 > 0
    ]


def _count_near(mesh: Mesh | None, shape: BaseGeometry | None) -> tuple[float, ...] | None:
    if mesh is None or shape is None:
        return None
    return count_people(mesh.lon, mesh.lat, mesh.population, shape, NEAR_KM)


def list_belts(
    study: Study,
    laid: set[str],
    day: date,
    mesh: Mesh | None,
    siting: Siting | None = None,
    plan: Plan | None = None,
) -> tuple[list[Duty], list[str]]:
    """List the reserve belts as duties, and those that could not be counted, with the reason.

    Parameters
    ----------
    study : belts.csv, and land_take_m2 per km of the measures whose law_kind is mine_reserve.
    laid : belts that the hazard register holds already; they are not counted twice.
    day : the day whose law says who owns the duty.
    mesh : for the people near; may be missing.
    siting, plan : a plan's own belts; a row of belts.csv for the same site and measure replaces the length.

    area = length_km x land_take_m2 of the measure (its unit is km).
    """
    measures = study.tables["measures"]
    reserve = measures[measures["law_kind"] == MINE_RESERVE].set_index("measure")
    lengths, left_out = _collect_lengths(study, set(reserve.index), mesh, siting, plan)
    owner = name_owner(study, day)
    duties = []
    for key, (name, measure, length_km, place, tag) in lengths.items():
        if key in laid:
            continue
        area_m2 = length_km * float(reserve["land_take_m2"][measure])
        near = _count_near(mesh, place)
        people = near[0] if near is not None else 0.0
        duties.append(
            Duty(
                key, name, BELT, " ".join(study.home), area_m2, owner, people, (), people, near, tag, measure
            )
        )
    return [one for one in duties if one.area_m2 > 0], left_out


def name_owner(study: Study, day: date) -> str:
    """Name who must clear what a state lays, with the treaty and article that say so on a day."""
    known = set(read_register(study)["state"])
    parts = []
    for state in study.home:
        if state not in known:
            parts.append(f"state {state} (its treaties are not known)")
            continue
        rulings = list_duties(study, state, (MINE_RESERVE,), day)
        owning = [f"{one.instrument} art. {one.article}" for one in rulings if one.duty == "own"]
        parts.append(f"state {state}" + (f" ({', '.join(owning)})" if owning else ""))
    return "; ".join(parts)


def _collect_lengths(
    study: Study, reserve: set[str], mesh: Mesh | None, siting: Siting | None, plan: Plan | None
) -> tuple[dict[str, tuple[str, str, float, BaseGeometry | None, str]], list[str]]:
    """Name, measure, km, place and tag of every belt by key, and what was left out and why."""
    sites = {site.key: site for site in siting.sites} if siting is not None else {}
    planned = _collect_planned(siting, plan, reserve)
    found: dict[str, tuple[str, str, float, BaseGeometry | None, str]] = {}
    left_out = []
    for _, row in study.tables["belts"].iterrows():
        pair = (str(row["site"]), str(row["measure"]))
        if pair[1] not in reserve:
            left_out.append(f"{row['belt']}: measure {pair[1]} is not of the law_kind {MINE_RESERVE}")
            continue
        length_km = planned.pop(pair, math.nan)
        if not math.isnan(row["length_km"]):
            length_km = float(row["length_km"])
        if math.isnan(length_km):
            left_out.append(f"{row['belt']}: no length in belts.csv, and no plan that lays it")
            continue
        site = sites.get(pair[0])
        place: BaseGeometry | None = None
        if not math.isnan(row["lon"]):
            place = shapely.Point(float(row["lon"]), float(row["lat"]))
        elif site is not None:
            place = _place_site(mesh, site)
        found[str(row["belt"])] = (str(row["name"]), pair[1], length_km, place, str(row["tag"]))
    tags = study.tables["measures"].set_index("measure")["tag"]
    for (key, measure), length_km in planned.items():
        site = sites[key]
        found[key] = (site.name, measure, length_km, _place_site(mesh, site), str(tags[measure]))
    return found, left_out


def _place_site(mesh: Mesh | None, site: Site) -> BaseGeometry | None:
    """Return the middles of the boundaries that a site closes; None without a mesh."""
    if mesh is None:
        return None
    a, b = mesh.edge_a[site.edges], mesh.edge_b[site.edges]
    return shapely.MultiPoint(
        np.column_stack([(mesh.lon[a] + mesh.lon[b]) / 2, (mesh.lat[a] + mesh.lat[b]) / 2])
    )


def _collect_planned(
    siting: Siting | None, plan: Plan | None, reserve: set[str]
) -> dict[tuple[str, str], float]:
    """Kilometres by site and measure that a plan's options lay in reserve."""
    if siting is None or plan is None:
        return {}
    options = {(one.site, one.option): one for one in siting.options}
    lengths: dict[tuple[str, str], float] = {}
    for chosen in plan.options:
        for measure, units in options[chosen.site, chosen.option].quantities:
            if measure in reserve:
                lengths[chosen.site, measure] = lengths.get((chosen.site, measure), 0.0) + units
    return lengths


def order_duties(duties: Sequence[Duty]) -> tuple[Duty, ...]:
    """Put duties in the order in which people wait least.

    In words: most points per square metre first (Smith's rule). With one pool of teams no other order gives a
    smaller sum of points x waiting time. Finds come before belts, which may never be laid; equal ones by key.

    Source: W. E. Smith, Various optimizers for single-stage production, 1956.
    """
    return tuple(
        sorted(duties, key=lambda one: (one.kind == BELT, -one.points / one.area_m2, one.area_m2, one.key))
    )


def count_teams(area_m2: float, rate_m2_per_year: float, years: float) -> int:
    """Return how many teams clear an area within so many years.

    teams = ceil(area / (rate x years)).

    Examples
    --------
    A million square metres, 48,000 a year and team, ten years: 2.08 teams do not do.

    >>> count_teams(1_000_000.0, 48_000.0, 10.0)
    3
    """
    if area_m2 <= 0:
        return 0
    return max(1, math.ceil(area_m2 / (rate_m2_per_year * years) - 1e-9))


def find_rates(terms: Mapping[str, Term], team: str) -> Range:
    """Return what one team of a kind clears in a year, m2: rate a day x days a year.

    Raises
    ------
    InputError : there is no such kind of team, or it clears nothing.

    Examples
    --------
    >>> find_rates(read_terms(), "manual")
    Range(low=12000.0, mode=48000.0, high=100000.0)
    """
    kinds = {key.removeprefix(TEAMS): one for key, one in terms.items() if key.startswith(TEAMS)}
    if team not in kinds:
        fault = Fault(f"there is no team '{team}'", column="--team", remedy=nearest_word(team, sorted(kinds)))
        raise InputError([fault])
    rate, days = kinds[team].value, terms["working_days"].value
    found = Range(rate.low * days.low, rate.mode * days.mode, rate.high * days.high)
    if found.low <= 0:
        fault = Fault(f"team '{team}' clears nothing", "tables/clearance_terms.csv", column="low")
        raise InputError([fault])
    return found


def schedule_jobs(
    duties: Sequence[Duty],
    m2_per_year: float,
    start_year: int,
    price: Range,
    discount: Range,
    base_year: int,
) -> tuple[Job, ...]:
    """Work through duties one after the other, and say when each is released and what it costs.

    Parameters
    ----------
    duties : in the order of work.
    m2_per_year : of all teams together.
    start_year : calendar year in which the work begins, on its first day.
    price : EUR per m2. discount : share per year. base_year : year of the prices.

    cost = area x price; present = cost x sum over years y of share_y x (1 + discount)^-(y - base_year).

    In words: share_y is the part of the job's own time that falls into year y. The low present value goes
    with the low price and the high discount, the high one with the high price and the low discount.
    """
    jobs = []
    done_m2 = 0.0
    for place, duty in enumerate(duties, start=1):
        begin, end = done_m2 / m2_per_year, (done_m2 + duty.area_m2) / m2_per_year
        done_m2 += duty.area_m2
        first, last = math.floor(begin + 1e-9), max(math.ceil(end - 1e-9) - 1, math.floor(begin + 1e-9))
        years = np.arange(first, last + 1)
        share = np.clip(np.minimum(end, years + 1) - np.maximum(begin, years), 0.0, None) / (end - begin)
        weight = [
            float(share @ (1.0 + rate) ** -(start_year + years - base_year).astype(float))
            for rate in (discount.high, discount.mode, discount.low)
        ]
        cost = price.times(duty.area_m2)
        present = Range(cost.low * weight[0], cost.mode * weight[1], cost.high * weight[2])
        jobs.append(Job(duty, place, start_year + first, start_year + last, cost, present))
    return tuple(jobs)


@dataclass(frozen=True)
class Capacity:
    """How many teams clear a group of duties within the years asked for, at the three rates."""

    group: str
    team: str
    area_m2: float
    years: int
    teams_low: int
    teams_mode: int
    teams_high: int


def plan_capacity(
    duties: Sequence[Duty], terms: Mapping[str, Term], within_years: int
) -> tuple[Capacity, ...]:
    """Say for every kind of team how many would do; `teams_low` is at the best rate."""
    groups = {
        "finds": math.fsum(one.area_m2 for one in duties if one.kind == FIND),
        "belts": math.fsum(one.area_m2 for one in duties if one.kind == BELT),
        "all": math.fsum(one.area_m2 for one in duties),
    }
    found = []
    for key in terms:
        if not key.startswith(TEAMS):
            continue
        rates = find_rates(terms, key.removeprefix(TEAMS))
        for group, area in groups.items():
            low, mode, high = (
                count_teams(area, rate, within_years) for rate in (rates.high, rates.mode, rates.low)
            )
            found.append(Capacity(group, key.removeprefix(TEAMS), area, within_years, low, mode, high))
    return tuple(found)


@dataclass(frozen=True)
class ClearanceSettings:
    """How the work is counted: the register's day, kind and number of teams, first year, years allowed."""

    day: date | None = None
    team: str = "manual"
    teams: int | None = None
    start_year: int | None = None
    within_years: int = 10


def assess_liability(
    study: Study,
    mesh: Mesh | None = None,
    siting: Siting | None = None,
    plan: Plan | None = None,
    settings: ClearanceSettings | None = None,
) -> tuple[Liability, tuple[Capacity, ...], tuple[Hazard, ...]]:
    """Assess what must be cleared, at what price, by when, and with how many teams.

    Parameters
    ----------
    study : its hazard register, belts and terms.
    mesh : for the people near; may be missing.
    siting, plan : a plan whose belts count too.
    settings : kind and number of teams; as many as clear everything in time at the likely rate when left out.

    Raises
    ------
    InputError : every fault of the register or of the terms.
    """
    settings = settings or ClearanceSettings()
    terms = read_terms(study)
    hazards = read_hazards(study, settings.day)
    laid = {one.belt for one in hazards if one.belt}
    day = settings.day or date(study.first_year, 1, 1)
    belts, left_out = list_belts(study, laid, day, mesh, siting, plan)
    duties = order_duties([*list_finds(hazards, terms, mesh), *belts])
    rates = find_rates(terms, settings.team)
    area_m2 = math.fsum(one.area_m2 for one in duties)
    teams = settings.teams or count_teams(area_m2, rates.mode, settings.within_years)
    start = settings.start_year or study.first_year
    price, discount = terms["price"].value, terms["discount"].value
    jobs = schedule_jobs(duties, max(teams, 1) * rates.mode, start, price, discount, study.base_year)
    nothing = Range(0.0, 0.0, 0.0)
    liability = Liability(
        jobs=jobs,
        cost=sum((job.cost for job in jobs), nothing),
        present=sum((job.present for job in jobs), nothing),
        teams=teams,
        team=settings.team,
        start_year=start,
        within_years=settings.within_years,
        left_out=tuple(left_out),
        limits=LIMITS,
    )
    return liability, plan_capacity(duties, terms, settings.within_years), hazards


def list_terms(study: Study) -> pd.DataFrame:
    """List the figures used, as a table with unit, source and tag."""
    return pd.DataFrame(
        [
            (one.key, one.value.low, one.value.mode, one.value.high, one.unit, one.source, one.tag)
            for one in read_terms(study).values()
        ],
        columns=["term", "low", "mode", "high", "unit", "source", "tag"],
    )
