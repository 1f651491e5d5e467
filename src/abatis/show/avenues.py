"""Avenues of a study or plan: routes, shared stretches, chokepoints, effects of sites; computed once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from abatis.barrier.effects import EffectLimits, SiteEffect, assess_effects
from abatis.barrier.sites import build_problem
from abatis.ground.avenues import (
    Avenue,
    find_avenues,
    find_separate_avenues,
    find_shared_stretches,
    measure_displacement_km,
    measure_route_km,
)
from abatis.ground.chokepoints import (
    Betweenness,
    Chokepoint,
    add_betweenness,
    compute_betweenness,
    pick_chokepoints,
)
from abatis.ground.travel import EdgeTimes, list_edges
from abatis.ground.whatif import prepare_whatif, prepare_workspace
from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.mesh import Mesh
from abatis.model.plan import Problem, add_delays
from abatis.model.study import Study

Progress = Callable[[str, float], None]
BEFORE, AFTER = "before", "after"
FULL_SHARE = 1.0 - 1e-9


@dataclass(frozen=True)
class AvenueSettings:
    """What is looked for: `limits` of effects, of which `avenues` and `corridor_km` also shape the avenues.

    `separate` asks for avenues that share no cell outside the meeting ground; `approach` is the key of one
    approach, empty for all; `cells` and `bridges` are how many chokepoints of each kind are listed.
    """

    limits: EffectLimits = field(default_factory=EffectLimits)
    separate: bool = False
    approach: str = ""
    cells: int = 15
    bridges: int = 15


@dataclass(frozen=True)
class FoundAvenue:
    """One avenue of an approach: its number by time, `state` before or after the plan, length and roads.

    `delay_h` and `moved_km` say what the plan does to the avenue of this number (None before the plan;
    `moved_km` of the best only).
    """

    approach: str
    name: str
    number: int
    state: str
    avenue: Avenue
    length_km: float
    roads: str
    delay_h: float | None
    moved_km: float | None


@dataclass(frozen=True)
class FoundStretch:
    """A stretch that avenues `numbers` of one approach share: cells, length, roads."""

    approach: str
    state: str
    numbers: tuple[int, ...]
    cells: np.ndarray
    length_km: float
    roads: str


@dataclass(frozen=True)
class FoundChokepoint:
    """A chokepoint with its label, its shares before and with the plan, and what shutting it costs.

    `all_of` is the number of approaches all of whose shortest routes pass; `lost_h` the weighted mean of the
    hours that arrival rises by when it is shut, without barriers (inf where an approach has no way left).
    """

    label: str
    place: Chokepoint
    share_after: float
    all_of: int
    lost_h: float


@dataclass(frozen=True)
class AvenueFindings:
    """All of it; `share` and `share_after` are over all approaches by weight, before and with the plan."""

    settings: AvenueSettings
    avenues: tuple[FoundAvenue, ...]
    stretches: tuple[FoundStretch, ...]
    share: Betweenness
    share_after: Betweenness
    chokepoints: tuple[FoundChokepoint, ...]
    effects: tuple[SiteEffect, ...]


def state_approaches(study: Study, mesh: Mesh) -> Problem:
    """Return the problem without sites and without rules: approaches and times are all that avenues need."""
    tables = {**study.tables, "rules": study.tables["rules"].iloc[:0]}
    return build_problem(replace(study, tables=tables), mesh, (), ())


def compute_findings(
    mesh: Mesh,
    problem: Problem,
    chosen: Sequence[int] | None,
    settings: AvenueSettings,
    progress: Progress | None = None,
) -> AvenueFindings:
    """Compute avenues, shared stretches, chokepoints and effects.

    Parameters
    ----------
    mesh, problem : the mesh and what is to be solved on it.
    chosen : rows of the options of a plan; None where there is no plan.
    settings : what is looked for.
    progress : callback (stage, share done).

    Raises
    ------
    InputError : no approach of that key, or one without any way.
    """
    report = progress or (lambda _stage, _share: None)
    rows = _select_approaches(problem, settings.approach)
    delays = add_delays(problem, chosen) if chosen is not None else None
    avenues: list[FoundAvenue] = []
    stretches: list[FoundStretch] = []
    shares: list[tuple[Betweenness, Betweenness]] = []
    for place, index in enumerate(rows):
        report("avenues", place / len(rows))
        found, shared, pair = _look_at_approach(mesh, problem, index, delays, settings)
        avenues += found
        stretches += shared
        shares.append(pair)
    weights = [float(problem.approach_weight[index]) for index in rows]
    share = add_betweenness([one for one, _ in shares], weights)
    share_after = add_betweenness([other for _, other in shares], weights)
    chokepoints = _find_chokepoints(mesh, problem, rows, shares, share, share_after, settings)
    report("avenues", 1.0)
    effects: tuple[SiteEffect, ...] = ()
    if chosen is not None:
        effects = assess_effects(mesh, _keep_approaches(problem, rows), chosen, settings.limits, progress)
    return AvenueFindings(
        settings, tuple(avenues), tuple(stretches), share, share_after, chokepoints, effects
    )


def _select_approaches(problem: Problem, key: str) -> list[int]:
    if key and key not in problem.approach_keys:
        remedy = nearest_word(key, problem.approach_keys)
        raise InputError([Fault(f"there is no approach '{key}'", column="--approach", remedy=remedy)])
    return [index for index, one in enumerate(problem.approach_keys) if key in ("", one)]


def _keep_approaches(problem: Problem, rows: Sequence[int]) -> Problem:
    return replace(
        problem,
        approach_keys=tuple(problem.approach_keys[row] for row in rows),
        approach_names=tuple(problem.approach_names[row] for row in rows),
        approach_group=problem.approach_group[list(rows)],
        approach_weight=problem.approach_weight[list(rows)],
        approach_sources=tuple(problem.approach_sources[row] for row in rows),
        approach_targets=tuple(problem.approach_targets[row] for row in rows),
    )


def _look_at_approach(
    mesh: Mesh,
    problem: Problem,
    index: int,
    delays: tuple[np.ndarray, np.ndarray] | None,
    settings: AvenueSettings,
) -> tuple[list[FoundAvenue], list[FoundStretch], tuple[Betweenness, Betweenness]]:
    """Return avenues, shared stretches and shares of one approach, before and with the plan."""
    group = int(problem.approach_group[index])
    front, target = _find_ends(problem, index)
    states = [(BEFORE, EdgeTimes(problem.open_h[group], problem.road_h[group]))]
    if delays is not None:
        states.append(
            (AFTER, EdgeTimes(problem.open_h[group] + delays[0], problem.road_h[group] + delays[1]))
        )
    avenues: list[FoundAvenue] = []
    stretches: list[FoundStretch] = []
    shares: list[Betweenness] = []
    first: list[Avenue] = []
    for state, times in states:
        routes = _search(mesh, times.time_h, front, target, settings)
        first = first or routes
        for number, one in enumerate(routes, start=1):
            late = state == AFTER and number <= len(first)
            avenues.append(
                FoundAvenue(
                    problem.approach_keys[index],
                    problem.approach_names[index],
                    number,
                    state,
                    one,
                    measure_route_km(mesh, times, one.cells),
                    name_roads(mesh, one.cells),
                    one.time_h - first[number - 1].time_h if late else None,
                    measure_displacement_km(mesh, first[0].cells, one.cells)
                    if late and number == 1
                    else None,
                )
            )
        for stretch in find_shared_stretches(mesh, [one.cells for one in routes]):
            stretches.append(
                FoundStretch(
                    problem.approach_keys[index],
                    state,
                    tuple(number + 1 for number in stretch.avenues),
                    stretch.cells,
                    measure_route_km(mesh, times, stretch.cells),
                    name_roads(mesh, stretch.cells),
                )
            )
        shares.append(compute_betweenness(mesh, times.time_h, front, target))
    return avenues, stretches, (shares[0], shares[-1])


def _find_ends(problem: Problem, index: int) -> tuple[np.ndarray, int]:
    front = np.unique(np.asarray(problem.approach_sources[index])).astype(np.int32)
    return front, int(problem.approach_targets[index][0])


def _search(
    mesh: Mesh, time_h: np.ndarray, front: np.ndarray, target: int, settings: AvenueSettings
) -> list[Avenue]:
    limits = settings.limits
    if settings.separate:
        return find_separate_avenues(
            mesh, time_h, front, target, limits.avenues, limits.corridor_km, 2 * limits.corridor_km
        )
    return find_avenues(mesh, time_h, front, target, limits.avenues, separation_km=limits.corridor_km)


def _find_chokepoints(
    mesh: Mesh,
    problem: Problem,
    rows: Sequence[int],
    shares: Sequence[tuple[Betweenness, Betweenness]],
    share: Betweenness,
    share_after: Betweenness,
    settings: AvenueSettings,
) -> tuple[FoundChokepoint, ...]:
    ends = [np.append(*_find_ends(problem, index)) for index in rows]
    picked = pick_chokepoints(
        mesh, share, np.concatenate(ends), settings.cells, settings.bridges, settings.limits.corridor_km
    )
    lost_h = _measure_losses(mesh, problem, rows, picked)
    count = {True: 0, False: 0}
    found = []
    for one, hours in zip(picked, lost_h.tolist(), strict=True):
        is_bridge = one.edge >= 0
        count[is_bridge] += 1
        values = [before.edge[one.edge] if is_bridge else before.cell[one.cell] for before, _ in shares]
        after = share_after.edge[one.edge] if is_bridge else share_after.cell[one.cell]
        label = f"{'B' if is_bridge else 'C'}-{count[is_bridge]:02d}"
        all_of = sum(bool(value >= FULL_SHARE) for value in values)
        found.append(FoundChokepoint(label, one, float(after), all_of, hours))
    return tuple(found)


def _measure_losses(
    mesh: Mesh, problem: Problem, rows: Sequence[int], picked: Sequence[Chokepoint]
) -> np.ndarray:
    """Return float64[], the weighted mean rise of arrival when each chokepoint alone is shut."""
    edges = [
        np.array([one.edge]) if one.edge >= 0 else mesh.edge[one.cell][mesh.edge[one.cell] >= 0]
        for one in picked
    ]
    workspace = prepare_workspace(mesh)
    lost_h = np.zeros(len(picked))
    total = sum(float(problem.approach_weight[index]) for index in rows)
    for index in rows:
        group = int(problem.approach_group[index])
        time_h = np.minimum(problem.open_h[group], problem.road_h[group])
        ready = prepare_whatif(mesh, time_h, *_find_ends(problem, index), workspace)
        for place, shut in enumerate(edges):
            arrival_h = ready.query(shut, np.full(shut.size, np.inf))
            lost_h[place] += float(problem.approach_weight[index]) / total * (arrival_h - ready.arrival_h)
    return lost_h


def name_roads(mesh: Mesh, cells: np.ndarray, most: int = 3) -> str:
    """Return the names of the roads that carry most of a route, the longest first."""
    if len(cells) < 2:
        return ""
    length_m: dict[str, float] = {}
    for edge in list_edges(mesh, cells):
        name = int(mesh.road_name[edge])
        if name >= 0:
            road = mesh.road_names[name]
            length_m[road] = length_m.get(road, 0.0) + float(mesh.road_m[edge])
    return " ".join(sorted(length_m, key=lambda name: -length_m[name])[:most])
