"""Everything that maps, files and the report show of one plan, computed once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from abatis.barrier.options import SiteOption
from abatis.barrier.sites import Site, Siting
from abatis.ground.bearing import Level
from abatis.ground.speeds import compute_edge_times
from abatis.ground.travel import EdgeTimes, compute_times, find_route
from abatis.model.errors import Fault, InputError
from abatis.model.mesh import Mesh
from abatis.model.plan import Plan, Problem
from abatis.model.study import Study, hash_study
from abatis.model.watched import check_watch_result
from abatis.people.impact import Impact, assess_impact
from abatis.show.avenues import AvenueFindings, AvenueSettings, compute_findings

Progress = Callable[[str, float], None]
LEVELS: tuple[Level, ...] = ("high", "low")


@dataclass(frozen=True)
class ApproachFields:
    """One approach: hours from every cell to its objective and the fastest route, before and with the plan.

    `before_h`, `after_h` float64[N]; `route_before`, `route_after` rows of cells from front to objective.
    """

    key: str
    before_h: np.ndarray
    after_h: np.ndarray
    route_before: np.ndarray
    route_after: np.ndarray


@dataclass(frozen=True)
class ChosenSite:
    """One chosen site with its option and the label it carries on every map and in every table."""

    label: str
    site: Site
    option: SiteOption


@dataclass(frozen=True)
class Results:
    """A plan with all that is shown about it.

    `border_before_h`, `border_after_h` float64[N]: hours from the nearest front with the vehicle and season
    named in `group`; `labels` maps every site key to its label; `ceiling_h` is what no plan at these sites
    can pass, whatever it costs; `avenues` are the avenues, chokepoints and effects of sites.
    """

    study: Study
    mesh: Mesh
    siting: Siting
    plan: Plan
    impact: Impact
    group: tuple[str, str]
    border_before_h: np.ndarray
    border_after_h: np.ndarray
    approaches: tuple[ApproachFields, ...]
    chosen: tuple[ChosenSite, ...]
    labels: dict[str, str]
    ceiling_h: float
    avenues: AvenueFindings


def compute_results(
    study: Study, mesh: Mesh, siting: Siting, plan: Plan, progress: Progress | None = None
) -> Results:
    """Compute times, routes, labels and impact of a plan.

    Parameters
    ----------
    study, mesh, siting, plan : the chain up to the plan.
    progress : callback (stage, share done).

    Raises
    ------
    InputError : when the plan was made from another state of the study, or holds a site that is not there.
    """
    check_same_study(study, plan)
    problem = siting.problem
    chosen_rows = find_option_rows(siting, plan)
    fields = []
    for index in range(problem.approach_count):
        if progress is not None:
            progress("routes and times", index / (problem.approach_count + 1))
        fields.append(_compute_approach(mesh, problem, index, chosen_rows))
    leading = int(np.argmax(problem.approach_weight))
    group = int(problem.approach_group[leading])
    sources = np.unique(np.concatenate([np.asarray(one) for one in problem.approach_sources])).astype(
        np.int32
    )
    modes = (problem.open_h[group], problem.road_h[group])
    before = compute_times(mesh, time_edges(problem, *modes, ()), sources)
    after = compute_times(mesh, time_edges(problem, *modes, chosen_rows), sources)
    impact = assess_impact(study, mesh, siting, plan)
    if progress is not None:
        progress("routes and times", 1.0)
    row = study.find_row("approaches", problem.approach_keys[leading])
    labels = label_sites(siting)
    sites = {site.key: site for site in siting.sites}
    return Results(
        study=study,
        mesh=mesh,
        siting=siting,
        plan=plan,
        impact=impact,
        group=(str(row["vehicle"]), str(row["season"])),
        border_before_h=before,
        border_after_h=after,
        approaches=tuple(fields),
        chosen=tuple(
            ChosenSite(labels[siting.options[row].site], sites[siting.options[row].site], siting.options[row])
            for row in chosen_rows
        ),
        labels=labels,
        ceiling_h=compute_ceiling(mesh, problem),
        avenues=compute_findings(mesh, problem, chosen_rows, AvenueSettings(), progress),
    )


def check_same_study(study: Study, plan: Plan) -> None:
    """Refuse a plan that was made from another state of the study.

    Raises
    ------
    InputError : when the hashes differ, or when posts see other cells than when the plan was made.
    """
    check_same_tables(study, plan)
    other_watch = check_watch_result(study.folder, plan.watch_hash)
    if other_watch is not None:
        remedy = f"solve again with: abatis solve {study.folder} --name {plan.name}"
        fault = Fault(other_watch, f"plans/{plan.name}/plan.json", column="watch_hash", remedy=remedy)
        raise InputError([fault])


def check_same_tables(study: Study, plan: Plan) -> None:
    """Refuse a plan that was made from other tables or settings, whatever posts see.

    Raises
    ------
    InputError : when the hashes differ.
    """
    if hash_study(study) != plan.study_hash:
        raise InputError(
            [
                Fault(
                    "was made from another state of the study: its tables or settings were changed since",
                    f"plans/{plan.name}/plan.json",
                    column="study_hash",
                    remedy=f"solve again with: abatis solve {study.folder} --name {plan.name}",
                )
            ]
        )


def find_option_rows(siting: Siting, plan: Plan) -> tuple[int, ...]:
    """Return the rows in `siting.options` of the plan's options, in the order of the sites.

    Raises
    ------
    InputError : when the plan names an option that the study does not have.
    """
    rows = {(option.site, option.option): row for row, option in enumerate(siting.options)}
    missing = [one for one in plan.options if (one.site, one.option) not in rows]
    if missing:
        raise InputError(
            [
                Fault(
                    f"site '{one.site}' has no option '{one.option}' in this study",
                    f"plans/{plan.name}/plan.json",
                    remedy="solve the study again",
                )
                for one in missing
            ]
        )
    return tuple(sorted(rows[one.site, one.option] for one in plan.options))


def time_edges(
    problem: Problem, open_h: np.ndarray, road_h: np.ndarray, chosen: tuple[int, ...]
) -> np.ndarray:
    """Return the hours to cross each edge, float64[E], with the options chosen.

    time = min(open + sum of open delays, road + sum of road delays)

    In words: every chosen option adds its delays to the edges of its site; the quicker mode is taken.
    """
    open_h = np.array(open_h, dtype=np.float64)
    road_h = np.array(road_h, dtype=np.float64)
    for option in chosen:
        part = slice(int(problem.option_start[option]), int(problem.option_start[option + 1]))
        np.add.at(open_h, problem.option_edge[part], problem.option_open_h[part])
        np.add.at(road_h, problem.option_edge[part], problem.option_road_h[part])
    return np.minimum(open_h, road_h)


def compute_ceiling(mesh: Mesh, problem: Problem) -> float:
    """Return the hours that no plan at these sites can pass, whatever its cost and its rules.

    ceiling = value when every site adds, edge by edge, the longest delay among its options

    In words: delays only lengthen times, so a plan with at most one option at each site stays below.
    """
    site = np.repeat(problem.option_site, np.diff(problem.option_start)).astype(np.int64)
    edge_count = problem.open_h.shape[1]
    pairs, place = np.unique(site * edge_count + problem.option_edge, return_inverse=True)
    added = []
    for delay_h in (problem.option_open_h, problem.option_road_h):
        longest_h = np.zeros(len(pairs))
        np.maximum.at(longest_h, place, delay_h)
        added.append(np.bincount(pairs % edge_count, weights=longest_h, minlength=edge_count))
    arrival_h = []
    for index in range(problem.approach_count):
        group = int(problem.approach_group[index])
        time_h = np.minimum(problem.open_h[group] + added[0], problem.road_h[group] + added[1])
        times = compute_times(mesh, time_h, np.asarray(problem.approach_targets[index], dtype=np.int32))
        arrival_h.append(float(times[np.asarray(problem.approach_sources[index])].min()))
    if problem.objective == "minimum":
        return min(arrival_h)
    return float(problem.approach_weight @ np.array(arrival_h) / problem.approach_weight.sum())


def label_sites(siting: Siting) -> dict[str, str]:
    """Give every site a short label, its number from west to east in its echelon: 1-01, 2-05; X-03 crossings.

    In words: the label depends on all sites of the study, not on the plan, so it is the same in every plan.
    """
    labels: dict[str, str] = {}
    groups: dict[str, list[Site]] = {}
    for site in siting.sites:
        groups.setdefault("X" if site.kind == "crossing" else str(site.echelon), []).append(site)
    for prefix, sites in groups.items():
        digits = max(2, len(str(len(sites))))
        ordered = sorted(sites, key=lambda site: (site.lon, site.lat, site.key))
        labels |= {site.key: f"{prefix}-{number:0{digits}d}" for number, site in enumerate(ordered, start=1)}
    return labels


def _compute_approach(mesh: Mesh, problem: Problem, index: int, chosen: tuple[int, ...]) -> ApproachFields:
    group = int(problem.approach_group[index])
    targets = np.asarray(problem.approach_targets[index], dtype=np.int32)
    sources = np.asarray(problem.approach_sources[index], dtype=np.int64)
    found = []
    for rows in ((), chosen):
        time_h = time_edges(problem, problem.open_h[group], problem.road_h[group], rows)
        times = compute_times(mesh, time_h, targets)
        start = int(sources[np.argmin(times[sources])])
        reachable = bool(np.isfinite(times[start]))
        route = (
            np.asarray(find_route(mesh, time_h, times, start)) if reachable else np.empty(0, dtype=np.int32)
        )
        found.append((times, route))
    (before_h, route_before), (after_h, route_after) = found
    return ApproachFields(problem.approach_keys[index], before_h, after_h, route_before, route_after)


@dataclass(frozen=True)
class SpeedRange:
    """Hours of one approach when all speeds are at their high or low values, before and with the plan."""

    approach: str
    before_fast_h: float
    before_slow_h: float
    after_fast_h: float
    after_slow_h: float


def compute_ranges(results: Results, progress: Progress | None = None) -> tuple[SpeedRange, ...]:
    """Compute arrival times at the high and the low speeds of tables/speeds.csv, with the plan unchanged.

    In words: every speed moves to its high (then its low) value at once; delays stay. It shows how much rests
    on speeds; it is not a confidence range.
    """
    study, mesh, problem = results.study, results.mesh, results.siting.problem
    chosen = find_option_rows(results.siting, results.plan)
    edge_times: dict[tuple[str, str, Level], EdgeTimes] = {}
    ranges = []
    for index, key in enumerate(problem.approach_keys):
        if progress is not None:
            progress("ranges", index / problem.approach_count)
        row = study.find_row("approaches", key)
        group = (str(row["vehicle"]), str(row["season"]))
        hours = []
        for rows in ((), chosen):
            for level in LEVELS:
                if (*group, level) not in edge_times:
                    edge_times[*group, level] = compute_edge_times(study, mesh, *group, level=level)
                times = edge_times[*group, level]
                time_h = time_edges(problem, times.open_h, times.road_h, rows)
                targets = np.asarray(problem.approach_targets[index], dtype=np.int32)
                sources = np.asarray(problem.approach_sources[index])
                hours.append(float(compute_times(mesh, time_h, targets)[sources].min()))
        ranges.append(SpeedRange(key, *hours))
    if progress is not None:
        progress("ranges", 1.0)
    return tuple(ranges)
