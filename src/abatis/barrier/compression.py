"""Exact compression of a problem to the end nodes of its candidate edges, one graph per approach.

In words: a way between two candidates never changes, so its least time is kept instead of it. Approaches of
one vehicle and season move alike; they share the search for these ways, and each takes those it may use.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial

import numpy as np

from abatis.barrier._paths import collect_all_legs, spread_times
from abatis.barrier.crew import Crew
from abatis.model.plan import Problem

ROUNDING = 1e-9
SEEDS_A_JOB = 200
NO_NODES = np.empty(0, np.int32)
Arcs = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class ApproachGraph:
    """The compressed graph of one approach: n nodes, of which one is its front and one its objective.

    CSR arcs `start`, `head`, `base_h`; `candidate[arc]` is the candidate whose delay is added (-1 none);
    `edge[arc]` is the problem edge of the arc (-1 for a leg, a way free of candidates). `nodes` holds the
    problem node of each node (-1 for the joined front or objective). `guide_h` is the undelayed time to the
    objective; `before_h` and `slowest_h` bracket the arrival time of every plan. `onward_h` float64[K] is the
    time from the objective to that of every other approach with the longest delays, inf where a mover of this
    approach is none of the other: another vehicle or season, or a front that the other does not have.
    """

    start: np.ndarray
    head: np.ndarray
    base_h: np.ndarray
    candidate: np.ndarray
    edge: np.ndarray
    nodes: np.ndarray
    source: int
    target: int
    guide_h: np.ndarray
    before_h: float
    slowest_h: float
    onward_h: np.ndarray


def make_arcs(problem: Problem, time_h: np.ndarray, backward: bool = False) -> Arcs:
    """CSR arcs (start, head, hours, edge) of the edges with finite `time_h`, both ways unless directed."""
    usable = np.flatnonzero(np.isfinite(time_h))
    tail, head = problem.tail[usable], problem.head[usable]
    if backward:
        tail, head = head, tail
    edge = usable
    if not problem.directed:
        tail, head = np.concatenate([tail, head]), np.concatenate([head, tail])
        edge = np.concatenate([usable, usable])
    order = np.argsort(tail, kind="stable")
    start = np.zeros(problem.node_count + 1, np.int64)
    np.cumsum(np.bincount(tail, minlength=problem.node_count), out=start[1:])
    return start, head[order].astype(np.int32), time_h[edge[order]].astype(np.float64), edge[order]


class _GroupArcs:
    """CSR arcs of one vehicle-season group: undelayed, with the longest delays, and without candidates."""

    def __init__(self, problem: Problem, group: int, longest_h: np.ndarray) -> None:
        self.problem = problem
        self.open_h, self.road_h = problem.open_h[group], problem.road_h[group]
        least_h = np.minimum(self.open_h, self.road_h)
        slow_h = np.minimum(self.open_h + longest_h[0], self.road_h + longest_h[1])
        free_h = least_h.copy()
        free_h[problem.option_edge] = np.inf
        self.forward = make_arcs(problem, least_h)
        self.backward = make_arcs(problem, least_h, backward=True) if problem.directed else self.forward
        self.slow = make_arcs(problem, slow_h)
        self.free = make_arcs(problem, free_h)
        self.free_backward = make_arcs(problem, free_h, backward=True) if problem.directed else self.free

    def measure(self, arcs: Arcs, seeds: np.ndarray, seed_h: np.ndarray, most_h: float) -> np.ndarray:
        """Least hours from seeds to every node, float64[N], inf beyond `most_h`."""
        distance = np.empty(self.problem.node_count)
        spread_times(*arcs[:3], np.asarray(seeds, np.int32), seed_h, NO_NODES, most_h, distance)
        return distance

    def measure_to(self, arcs: Arcs, seeds: np.ndarray, goals: np.ndarray, most_h: float = np.inf) -> float:
        """Least hours from the nearest seed to the nearest goal (inf where there is no way, or beyond)."""
        distance, none = np.empty(self.problem.node_count), np.zeros(len(seeds))
        ends = (np.asarray(seeds, np.int32), none, np.asarray(goals, np.int32))
        return float(spread_times(*arcs[:3], *ends, most_h, distance))


@dataclass(frozen=True)
class _Reach:
    """Undelayed hours of one approach from its front to every node and on to its objective, float64[N] each.

    `slowest_h` is the arrival with every barrier built, `direct_h` that past all candidates. What lies on no
    way within `limit_h` is of no use; hours beyond it are inf.
    """

    from_front_h: np.ndarray
    to_goal_h: np.ndarray
    slowest_h: float
    direct_h: float
    onward_h: np.ndarray

    @property
    def limit_h(self) -> float:
        """Longest way of use, with room for rounding."""
        return _limit(self.slowest_h)

    def find_touched(self, problem: Problem) -> np.ndarray:
        """Edges with options, both ends of which lie on a way of use."""
        kept = self.from_front_h + self.to_goal_h <= self.limit_h
        every = np.unique(problem.option_edge)
        touched: np.ndarray = every[kept[problem.tail[every]] & kept[problem.head[every]]]
        return touched


@dataclass(frozen=True)
class _Legs:
    """Ways free of candidates of a group's K approaches: `hours` from `tail` to `head`.

    Both are numbers in `ends`, then those of the K joined fronts, then those of the K joined objectives.
    """

    approach_count: int
    ends: np.ndarray
    tail: np.ndarray
    head: np.ndarray
    hours: np.ndarray


def compress(
    problem: Problem, owner: np.ndarray, longest_h: np.ndarray, crew: Crew
) -> tuple[ApproachGraph, ...]:
    """Compress a problem for each of its approaches.

    Parameters
    ----------
    problem : the problem, N nodes and E edges.
    owner : int64[2, E], number of the candidate of a mode and an edge, -1 for none.
    longest_h : float64[2, E], longest delay that a choice puts on it.
    crew : threads that share the searches.

    Returns
    -------
    One graph per approach; least times on it are those on the problem's graph for every choice.
    """
    everyone, group_of = range(problem.approach_count), problem.approach_group
    arcs = [_GroupArcs(problem, group, longest_h) for group in range(len(problem.open_h))]
    reaches = crew.run([partial(_measure_reach, problem, k, arcs[group_of[k]]) for k in everyone])
    touched = [reach.find_touched(problem) for reach in reaches]
    graphs: dict[int, ApproachGraph] = {}
    for group in np.unique(group_of):
        members = np.flatnonzero(group_of == group)
        edges = np.unique(np.concatenate([touched[k] for k in members]))
        legs = _find_legs(problem, arcs[group], edges, members, [reaches[k] for k in members], crew)
        for place, k in enumerate(members.tolist()):
            graphs[k] = _assemble(problem, k, arcs[group], legs, place, reaches[k], touched[k], owner)
    return tuple(graphs[k] for k in everyone)


def _measure_reach(problem: Problem, approach: int, arcs: _GroupArcs) -> _Reach:
    fronts, goals = problem.approach_sources[approach], problem.approach_targets[approach]
    slowest_h = arcs.measure_to(arcs.slow, fronts, goals)
    limit_h = _limit(slowest_h)
    return _Reach(
        from_front_h=arcs.measure(arcs.forward, fronts, np.zeros(len(fronts)), limit_h),
        to_goal_h=arcs.measure(arcs.backward, goals, np.zeros(len(goals)), limit_h),
        slowest_h=slowest_h,
        direct_h=arcs.measure_to(arcs.free, fronts, goals, limit_h),
        onward_h=_measure_onward(problem, approach, arcs),
    )


def _limit(slowest_h: float) -> float:
    return slowest_h * (1 + ROUNDING) + ROUNDING


def _find_legs(
    problem: Problem,
    arcs: _GroupArcs,
    edges: np.ndarray,
    members: np.ndarray,
    reaches: list[_Reach],
    crew: Crew,
) -> _Legs:
    """Search from end nodes of `edges` and fronts onward, and from objectives back, while any has time left.

    In words: a way from an end node is followed only where another end node may still be reached from it in
    time to go on to the objective.
    """
    ends = np.unique(np.concatenate([problem.tail[edges], problem.head[edges]])).astype(np.int32)
    end_of = np.full(problem.node_count, -1, np.int32)
    end_of[ends] = np.arange(len(ends), dtype=np.int32)
    joined = [problem.approach_sources[k] for k in members] + [problem.approach_targets[k] for k in members]
    sizes = np.append(np.ones(len(ends), np.int64), [len(nodes) for nodes in joined])
    seed_start, seed_node = np.append(0, np.cumsum(sizes)), np.concatenate([ends, *joined]).astype(np.int32)
    room_h = _measure_room(ends, reaches)
    rests = [partial(arcs.measure, arcs.free_backward, ends, r.to_goal_h[ends], r.limit_h) for r in reaches]
    rest_h = np.stack(crew.run(rests), axis=1)
    before_h = np.stack([reach.from_front_h for reach in reaches], axis=1)
    last = len(ends) + len(members)
    cuts = [*range(0, last, SEEDS_A_JOB), last]
    search = partial(collect_all_legs, *arcs.free[:3], end_of, seed_start, seed_node, room_h, rest_h)
    jobs = [partial(search, *pair) for pair in itertools.pairwise(cuts)]
    search = partial(
        collect_all_legs, *arcs.free_backward[:3], end_of, seed_start, seed_node, room_h, before_h
    )
    *onward, (goal, end, goal_h) = crew.run([*jobs, partial(search, last, len(room_h))])
    tail, head, hours = (np.concatenate(parts) for parts in zip(*onward, (end, goal, goal_h), strict=True))
    return _Legs(len(members), ends, tail, head, hours)


def _measure_room(ends: np.ndarray, reaches: list[_Reach]) -> np.ndarray:
    """Hours float64[S, K] that every approach has left at end nodes; joined nodes are of one approach."""
    at_ends = np.full((len(ends), len(reaches)), -np.inf)
    at_joined = np.full((len(reaches), len(reaches)), -np.inf)
    for place, reach in enumerate(reaches):
        before_h = reach.from_front_h[ends]
        reached = np.isfinite(before_h)
        at_ends[reached, place] = reach.limit_h - before_h[reached]
        at_joined[place, place] = reach.limit_h
    return np.vstack([at_ends, at_joined, at_joined])


def _measure_onward(problem: Problem, approach: int, arcs: _GroupArcs) -> np.ndarray:
    """Slowest hours from an objective of one node to the others that movers of the approach may go to."""
    onward_h = np.full(problem.approach_count, np.inf)
    if len(problem.approach_targets[approach]) != 1:
        return onward_h
    fronts = set(problem.approach_sources[approach].tolist())
    others = [
        other
        for other in np.flatnonzero(problem.approach_group == problem.approach_group[approach])
        if other != approach and fronts <= set(problem.approach_sources[other].tolist())
    ]
    if others:
        start = problem.approach_targets[approach]
        onward_h[others] = [arcs.measure_to(arcs.slow, start, problem.approach_targets[k]) for k in others]
    return onward_h


def _select_legs(legs: _Legs, place: int, reach: _Reach) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Select what is of use to the approach at a place of its group.

    Returns the end nodes, and tails, heads and hours of the legs, numbered among them; the front follows,
    then the objective.
    """
    count = len(legs.ends)
    before_h, after_h = reach.from_front_h[legs.ends], reach.to_goal_h[legs.ends]
    useful = np.flatnonzero(before_h + after_h <= reach.limit_h)
    front, target = len(useful), len(useful) + 1
    joined = np.zeros(2 * legs.approach_count)
    before_h, after_h = np.append(before_h, joined), np.append(after_h, joined)
    number = np.full(len(before_h), -1, np.int64)
    number[useful] = np.arange(len(useful))
    number[[count + place, count + legs.approach_count + place]] = front, target
    kept = (number[legs.tail] >= 0) & (number[legs.head] >= 0)
    kept &= before_h[legs.tail] + legs.hours + after_h[legs.head] <= reach.limit_h
    tail, head, hours = number[legs.tail[kept]], number[legs.head[kept]], legs.hours[kept]
    if np.isfinite(reach.direct_h):
        tail, head, hours = np.append(tail, front), np.append(head, target), np.append(hours, reach.direct_h)
    return legs.ends[useful], (tail, head, hours)


def _assemble(
    problem: Problem,
    approach: int,
    arcs: _GroupArcs,
    legs: _Legs,
    place: int,
    reach: _Reach,
    touched: np.ndarray,
    owner: np.ndarray,
) -> ApproachGraph:
    """Join legs and candidate edges to the graph: end nodes first, then the front, then the objective."""
    ends, leg = _select_legs(legs, place, reach)
    none = np.full(len(leg[0]), -1, np.int64)
    parts: list[tuple[np.ndarray, ...]] = [(*leg, none, none)]
    nodes = np.append(ends.astype(np.int64), [-1, -1])
    number = np.full(problem.node_count, -1, np.int64)
    number[ends] = np.arange(len(ends))
    for mode, hours in enumerate((arcs.open_h, arcs.road_h)):
        usable = touched[np.isfinite(hours[touched])]
        tail, head = number[problem.tail[usable]], number[problem.head[usable]]
        parts.append((tail, head, hours[usable], owner[mode, usable], usable))
        if not problem.directed:
            parts.append((head, tail, hours[usable], owner[mode, usable], usable))
    tail, head, base_h, candidate, edge = (np.concatenate([part[i] for part in parts]) for i in range(5))
    order = np.lexsort((base_h, head, tail))
    start = np.zeros(len(nodes) + 1, np.int64)
    np.cumsum(np.bincount(tail.astype(np.int64), minlength=len(nodes)), out=start[1:])
    before_h = float(reach.to_goal_h[problem.approach_sources[approach]].min())
    guide = np.append(reach.to_goal_h[ends], [before_h, 0.0])
    return ApproachGraph(
        start=start,
        head=head[order].astype(np.int32),
        base_h=base_h[order].astype(np.float64),
        candidate=candidate[order].astype(np.int64),
        edge=edge[order].astype(np.int64),
        nodes=nodes,
        source=len(ends),
        target=len(ends) + 1,
        guide_h=guide,
        before_h=before_h,
        slowest_h=reach.slowest_h,
        onward_h=reach.onward_h,
    )
