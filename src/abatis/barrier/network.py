"""The problem as the solver moves on it: compressed to the end nodes of candidate edges, exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from abatis.barrier._paths import (
    collect_all_legs,
    collect_legs,
    find_guided,
    measure_all,
    sum_capped_delays,
    sum_delays,
)
from abatis.model.plan import Problem


@dataclass(frozen=True)
class Group:
    """The compressed graph of one vehicle-season group: n end nodes, then one virtual front per approach.

    CSR arcs `start`, `head`, `base_h`; `candidate[arc]` is the candidate whose delay is added (-1 none);
    `edge[arc]` is the problem edge of a candidate arc (-1 for a leg). `nodes` holds the problem node of each
    end node (-1 for virtual fronts).
    """

    start: np.ndarray
    head: np.ndarray
    base_h: np.ndarray
    candidate: np.ndarray
    edge: np.ndarray
    nodes: np.ndarray


@dataclass(frozen=True)
class Network:
    """All groups, and the candidates: pairs (edge, mode) that some option delays.

    Candidate c is edge `candidate_edge[c]` crossed in `candidate_mode[c]` (0 open, 1 road); its delay is the
    sum of `candidate_delay_h` x choice over the options of its slice. Approach k runs in group
    `group_of[k]` from node `source_of[k]` to node `target_of[k]`; `guide_h[k]` is the undelayed time to the
    objective from every node of the group.
    """

    problem: Problem
    groups: tuple[Group, ...]
    group_of: np.ndarray
    source_of: np.ndarray
    target_of: np.ndarray
    guide_h: tuple[np.ndarray, ...]
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


def build_network(problem: Problem) -> Network:
    """Compress a problem to the end nodes of its candidate edges (exact).

    Parameters
    ----------
    problem : the problem, N nodes and E edges.

    Returns
    -------
    The network; least times on it equal least times on the problem's graph for every choice of options.

    In words: edges that no option touches never change, so only the least times between the ends of the
    edges that may change are kept, and of those only the ones that pass no third end node.

    Source: shared design of abatis; the reduction keeps all shortest paths because any shortest path is a
    chain of candidate edges and of ways between end nodes that avoid candidate edges.
    """
    edges, modes, start, options, delays = _list_candidates(problem)
    candidate_edges = np.unique(problem.option_edge)
    groups: list[Group] = []
    source_of = np.zeros(problem.approach_count, np.int32)
    target_of = np.zeros(problem.approach_count, np.int32)
    for group in range(len(problem.open_h)):
        members = np.flatnonzero(problem.approach_group == group)
        built, sources, targets = _compress_group(problem, group, members, candidate_edges, edges, modes)
        groups.append(built)
        source_of[members] = sources
        target_of[members] = targets
    network = Network(
        problem=problem,
        groups=tuple(groups),
        group_of=problem.approach_group,
        source_of=source_of,
        target_of=target_of,
        guide_h=(),
        candidate_edge=edges,
        candidate_mode=modes,
        candidate_start=start,
        candidate_option=options,
        candidate_delay_h=delays,
    )
    guides = tuple(_measure_to_target(network, k) for k in range(problem.approach_count))
    object.__setattr__(network, "guide_h", guides)
    return network


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


def _compress_group(
    problem: Problem,
    group: int,
    members: np.ndarray,
    candidate_edges: np.ndarray,
    edges: np.ndarray,
    modes: np.ndarray,
) -> tuple[Group, list[int], list[int]]:
    open_h, road_h = problem.open_h[group], problem.road_h[group]
    free_h = np.minimum(open_h, road_h)
    free_h[candidate_edges] = np.inf
    start, head, time_h, _ = make_arcs(problem, free_h)
    targets = [problem.approach_targets[k] for k in members]
    ends = np.unique(
        np.concatenate([problem.tail[candidate_edges], problem.head[candidate_edges], *targets])
    ).astype(np.int32)
    end_of_node = np.full(problem.node_count, -1, np.int32)
    end_of_node[ends] = np.arange(len(ends), dtype=np.int32)
    tails, heads, hours = collect_all_legs(start, head, time_h, end_of_node, ends)
    parts: list[tuple[np.ndarray, ...]] = [
        (tails, heads, hours, np.full(len(tails), -1), np.full(len(tails), -1))
    ]
    parts += _candidate_arcs(problem, group, candidate_edges, edges, modes, end_of_node)
    sources, finals, count = [], [], len(ends)
    for k in members:
        found, way = _legs_from_front(start, head, time_h, end_of_node, problem.approach_sources[k])
        none = np.full(len(found), -1)
        parts.append((np.full(len(found), count), found, way, none, none))
        sources.append(count)
        count += 1
        goal = problem.approach_targets[k]
        if len(goal) > 1:
            own = end_of_node[goal]
            none = np.full(len(own), -1)
            parts.append((own, np.full(len(own), count), np.zeros(len(own)), none, none))
            finals.append(count)
            count += 1
        else:
            finals.append(int(end_of_node[goal[0]]))
    tail_all, head_all, base_all, candidate_all, edge_all = (
        np.concatenate([part[column] for part in parts]) for column in range(5)
    )
    order = np.lexsort((base_all, head_all, tail_all))
    starts = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(tail_all.astype(np.int64), minlength=count), out=starts[1:])
    nodes = np.full(count, -1, np.int64)
    nodes[: len(ends)] = ends
    built = Group(
        start=starts,
        head=head_all[order].astype(np.int32),
        base_h=base_all[order].astype(np.float64),
        candidate=candidate_all[order].astype(np.int64),
        edge=edge_all[order].astype(np.int64),
        nodes=nodes,
    )
    return built, sources, finals


def make_arcs(problem: Problem, time_h: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """CSR arcs (start, head, hours, edge) of the edges with finite `time_h`, both ways unless directed."""
    usable = np.flatnonzero(np.isfinite(time_h))
    tail, head = problem.tail[usable], problem.head[usable]
    edge = usable
    if not problem.directed:
        tail, head = np.concatenate([tail, head]), np.concatenate([head, tail])
        edge = np.concatenate([usable, usable])
    order = np.argsort(tail, kind="stable")
    start = np.zeros(problem.node_count + 1, np.int64)
    np.cumsum(np.bincount(tail, minlength=problem.node_count), out=start[1:])
    return start, head[order].astype(np.int32), time_h[edge[order]].astype(np.float64), edge[order]


def _candidate_arcs(
    problem: Problem,
    group: int,
    candidate_edges: np.ndarray,
    edges: np.ndarray,
    modes: np.ndarray,
    end_of_node: np.ndarray,
) -> list[tuple[np.ndarray, ...]]:
    """Arcs of the candidate edges, one per direction and usable mode; undelayed modes keep candidate -1."""
    index = {(int(e), int(m)): c for c, (e, m) in enumerate(zip(edges, modes, strict=True))}
    parts: list[tuple[np.ndarray, ...]] = []
    for mode, hours in enumerate((problem.open_h[group], problem.road_h[group])):
        usable = candidate_edges[np.isfinite(hours[candidate_edges])]
        owner = np.array([index.get((int(e), mode), -1) for e in usable], np.int64)
        tail, head = end_of_node[problem.tail[usable]], end_of_node[problem.head[usable]]
        parts.append((tail, head, hours[usable], owner, usable))
        if not problem.directed:
            parts.append((head, tail, hours[usable], owner, usable))
    return parts


def _legs_from_front(
    start: np.ndarray, head: np.ndarray, time_h: np.ndarray, end_of_node: np.ndarray, front: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    nodes = len(start) - 1
    found, hours = collect_legs(
        start,
        head,
        time_h,
        end_of_node,
        np.asarray(front, np.int32),
        -1,
        np.empty(nodes),
        np.empty(nodes, np.int64),
        np.full(nodes, -1, np.int64),
        np.zeros(nodes, np.int8),
        0,
        np.empty(nodes + 16),
        np.empty(nodes + 16, np.int32),
    )
    return found, hours


def _measure_to_target(network: Network, approach: int) -> np.ndarray:
    """Undelayed hours from every node of the approach's group to its objective (reverse search)."""
    group = network.groups[network.group_of[approach]]
    count = len(group.start) - 1
    tail = np.repeat(np.arange(count, dtype=np.int32), np.diff(group.start))
    order = np.argsort(group.head, kind="stable")
    start = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(group.head, minlength=count), out=start[1:])
    distance = np.empty(count)
    measure_all(
        start,
        tail[order],
        group.base_h[order],
        np.full(len(order), -1, np.int64),
        np.zeros(1),
        network.target_of[approach],
        distance,
        np.empty(len(order) + 16),
        np.empty(len(order) + 16, np.int32),
    )
    return distance


class RouteFinder:
    """Answers least times and routes on a network for one choice after another; holds only scratch arrays."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.extra_h = np.zeros(max(1, len(network.candidate_edge)))
        most = max(len(group.start) for group in network.groups)
        room = max(len(group.head) for group in network.groups) + 16
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

    def set_capped_choice(self, choice: np.ndarray, cap_h: float) -> None:
        """Take the delays of `choice`, each cut at `cap_h` hours."""
        network = self.network
        sum_capped_delays(
            network.candidate_start,
            network.candidate_option,
            network.candidate_delay_h,
            choice,
            cap_h,
            self.extra_h,
        )

    def measure_time_h(self, approach: int) -> float:
        """Least hours of one approach under the present choice (inf when there is no way)."""
        network = self.network
        group = network.groups[network.group_of[approach]]
        count = len(group.start) - 1
        return float(
            find_guided(
                group.start,
                group.head,
                group.base_h,
                group.candidate,
                self.extra_h,
                network.guide_h[approach],
                network.source_of[approach],
                network.target_of[approach],
                self._distance[:count],
                self._parent[:count],
                self._keys,
                self._items,
            )
        )

    def find_route(self, approach: int) -> tuple[float, Route | None]:
        """Least hours and the route that takes them, under the present choice."""
        time_h = self.measure_time_h(approach)
        if not np.isfinite(time_h):
            return time_h, None
        network = self.network
        group = network.groups[network.group_of[approach]]
        arcs: list[int] = []
        node = int(network.target_of[approach])
        while self._parent[node] != -1:
            arc = int(self._parent[node])
            arcs.append(arc)
            node = int(np.searchsorted(group.start, arc, side="right") - 1)
        arcs.reverse()
        base_h = float(sum(group.base_h[arc] for arc in arcs))
        crossed = tuple(int(group.candidate[arc]) for arc in arcs if group.candidate[arc] >= 0)
        return time_h, Route(approach, base_h, tuple(arcs), crossed)
