"""The problem as the solver moves on it: compressed to the end nodes of candidate edges, exactly."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from abatis.barrier._paths import (
    collect_all_legs,
    find_guided,
    measure_all,
    sum_delays,
)
from abatis.barrier.crew import Crew
from abatis.model.plan import Problem

ROUNDING = 1e-9


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


@dataclass(frozen=True)
class Network:
    """One graph per approach, and the candidates: pairs (edge, mode) that some option delays.

    Candidate c is edge `candidate_edge[c]` crossed in `candidate_mode[c]` (0 open, 1 road); its delay is the
    sum of `candidate_delay_h` x choice over the options of its slice of `candidate_option`.
    """

    problem: Problem
    graphs: tuple[ApproachGraph, ...]
    candidate_edge: np.ndarray
    candidate_mode: np.ndarray
    candidate_start: np.ndarray
    candidate_option: np.ndarray
    candidate_delay_h: np.ndarray


@dataclass(frozen=True)
class Route:
    """One way of an approach: hours without any delay, the arcs used, and the candidates crossed in order."""

    approach: int
    base_h: float
    arcs: tuple[int, ...]
    candidates: tuple[int, ...]


def build_network(problem: Problem, crew: Crew | None = None) -> Network:
    """Compress a problem to the end nodes of its candidate edges (exact).

    Parameters
    ----------
    problem : the problem, N nodes and E edges.
    crew : threads that share the approaches.

    Returns
    -------
    The network; for every choice with at most one option per site, least times on it equal least times on
    the problem's graph.

    In words: edges that no option touches never change, so only the least times between the ends of the
    edges that may change are kept, and of those only the ones that pass no third end node. A place that
    cannot lie on a fastest way under any plan, because even the undelayed way through it is slower than the
    arrival with every barrier built, is left out before.
    """
    edges, modes, start, options, delays = _list_candidates(problem)
    owner = np.full((2, len(problem.tail)), -1, np.int64)
    owner[modes, edges] = np.arange(len(edges))
    longest_h = np.zeros(owner.shape)
    longest_h[modes, edges] = _sum_longest(problem.option_site, start, options, delays)
    arcs = [_GroupArcs(problem, group, longest_h) for group in range(len(problem.open_h))]
    jobs = [
        partial(_compress_approach, problem, k, owner, arcs[problem.approach_group[k]])
        for k in range(problem.approach_count)
    ]
    graphs = tuple((Crew(1) if crew is None else crew).run(jobs))
    return Network(problem, graphs, edges, modes, start, options, delays)


def _list_candidates(problem: Problem) -> tuple[np.ndarray, ...]:
    """List the pairs (edge, mode) with a delay, and per pair its options and delays (CSR)."""
    owner = np.repeat(np.arange(problem.option_count, dtype=np.int32), np.diff(problem.option_start))
    edge = np.concatenate([problem.option_edge, problem.option_edge]).astype(np.int64)
    mode = np.repeat(np.array([0, 1], np.int64), len(problem.option_edge))
    delay = np.concatenate([problem.option_open_h, problem.option_road_h])
    option = np.concatenate([owner, owner])
    usable = np.concatenate(
        [
            np.isfinite(problem.open_h[:, problem.option_edge]).any(axis=0),
            np.isfinite(problem.road_h[:, problem.option_edge]).any(axis=0),
        ]
    )
    keep = usable & (delay > 0)
    edge, mode, delay, option = edge[keep], mode[keep], delay[keep], option[keep]
    order = np.lexsort((option, edge * 2 + mode))
    key = (edge * 2 + mode)[order]
    unique, first = np.unique(key, return_index=True)
    start = np.append(first, len(key)).astype(np.int64)
    return (
        (unique // 2).astype(np.int64),
        (unique % 2).astype(np.int8),
        start,
        option[order],
        delay[order].astype(np.float64),
    )


def _sum_longest(
    option_site: np.ndarray, start: np.ndarray, options: np.ndarray, delay_h: np.ndarray
) -> np.ndarray:
    """Longest delay [C] any allowed choice puts on a candidate: the longest option of each site, summed."""
    owner, site = np.repeat(np.arange(len(start) - 1), np.diff(start)), option_site[options]
    order = np.lexsort((-delay_h, site, owner))
    owner, site, delay_h = owner[order], site[order], delay_h[order]
    first = np.append(True, (owner[1:] != owner[:-1]) | (site[1:] != site[:-1]))[: len(owner)]
    return np.bincount(owner[first], delay_h[first], minlength=len(start) - 1)


def make_arcs(
    problem: Problem, time_h: np.ndarray, backward: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
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

    def measure(
        self, arcs: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray], seeds: np.ndarray
    ) -> np.ndarray:
        """Least hours from the nearest seed to every node (to the nearest seed on backward arcs)."""
        start, head, hours, _ = arcs
        distance = np.empty(self.problem.node_count)
        none = np.full(len(head), -1, np.int64)
        room = len(head) + len(seeds) + 16
        keys, items = np.empty(room), np.empty(room, np.int32)
        measure_all(start, head, hours, none, np.zeros(1), np.asarray(seeds, np.int32), distance, keys, items)
        return distance


def _compress_approach(problem: Problem, approach: int, owner: np.ndarray, arcs: _GroupArcs) -> ApproachGraph:
    fronts, goals = problem.approach_sources[approach], problem.approach_targets[approach]
    from_front = arcs.measure(arcs.forward, fronts)
    to_goal = arcs.measure(arcs.backward, goals)
    slowest_h = float(arcs.measure(arcs.slow, fronts)[goals].min())
    limit_h = slowest_h * (1 + ROUNDING) + ROUNDING
    kept = from_front + to_goal <= limit_h
    touched = np.unique(problem.option_edge)
    touched = touched[kept[problem.tail[touched]] & kept[problem.head[touched]]]
    ends = np.unique(np.concatenate([problem.tail[touched], problem.head[touched]])).astype(np.int32)
    end_of = np.full(problem.node_count, -1, np.int32)
    end_of[ends] = np.arange(len(ends), dtype=np.int32)
    start, head, time_h, _ = arcs.free
    seeds, aims = np.asarray(fronts, np.int32), np.asarray(goals, np.int32)
    legs = collect_all_legs(start, head, time_h, end_of, ends, seeds, aims, from_front, to_goal, limit_h)
    onward_h = _measure_onward(problem, approach, arcs)
    return _assemble(problem, arcs, ends, legs, touched, owner, to_goal, slowest_h, onward_h, fronts)


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
        slow_h = arcs.measure(arcs.slow, problem.approach_targets[approach])
        onward_h[others] = [slow_h[problem.approach_targets[other]].min() for other in others]
    return onward_h


def _assemble(
    problem: Problem,
    arcs: _GroupArcs,
    ends: np.ndarray,
    legs: tuple[np.ndarray, np.ndarray, np.ndarray],
    touched: np.ndarray,
    owner: np.ndarray,
    to_goal: np.ndarray,
    slowest_h: float,
    onward_h: np.ndarray,
    fronts: np.ndarray,
) -> ApproachGraph:
    """Join legs and candidate edges to the graph: end nodes first, then the front, then the objective."""
    none = np.full(len(legs[0]), -1, np.int64)
    parts: list[tuple[np.ndarray, ...]] = [(*legs, none, none)]
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
    before_h = float(to_goal[fronts].min())
    guide = np.append(to_goal[ends], [before_h, 0.0])
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
        slowest_h=slowest_h,
        onward_h=onward_h,
    )


def sum_longest_delays(network: Network) -> np.ndarray:
    """Longest delay of every candidate, hours float64[C]: the longest option of each of its sites, summed."""
    site = network.problem.option_site
    return _sum_longest(site, network.candidate_start, network.candidate_option, network.candidate_delay_h)


class RouteFinder:
    """Answers least times and routes on a network for one choice after another; holds only scratch arrays."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.extra_h = np.zeros(max(1, len(network.candidate_edge)))
        most = max(len(graph.start) for graph in network.graphs)
        room = max(len(graph.head) for graph in network.graphs) + 16
        self._distance = np.empty(most)
        self._parent = np.empty(most, np.int64)
        self._keys = np.empty(room)
        self._items = np.empty(room, np.int32)

    def set_choice(self, choice: np.ndarray) -> None:
        """Take the delays of `choice` float64[O] (fractions allowed)."""
        network = self.network
        sum_delays(
            network.candidate_start, network.candidate_option, network.candidate_delay_h, choice, self.extra_h
        )

    def measure_time_h(self, approach: int) -> float:
        """Least hours of one approach under the present choice (inf when there is no way)."""
        graph = self.network.graphs[approach]
        count = len(graph.nodes)
        return find_guided(
            graph.start,
            graph.head,
            graph.base_h,
            graph.candidate,
            self.extra_h,
            graph.guide_h,
            graph.source,
            graph.target,
            self._distance[:count],
            self._parent[:count],
            self._keys,
            self._items,
        )

    def find_route(self, approach: int) -> tuple[float, Route | None]:
        """Least hours and the route that takes them, under the present choice."""
        time_h = self.measure_time_h(approach)
        if not np.isfinite(time_h):
            return time_h, None
        graph = self.network.graphs[approach]
        arcs: list[int] = []
        node = graph.target
        while self._parent[node] != -1:
            arc = int(self._parent[node])
            arcs.append(arc)
            node = int(np.searchsorted(graph.start, arc, side="right") - 1)
        arcs.reverse()
        base_h = float(graph.base_h[arcs].sum())
        crossed = tuple(int(one) for one in graph.candidate[arcs] if one >= 0)
        return time_h, Route(approach, base_h, tuple(arcs), crossed)
