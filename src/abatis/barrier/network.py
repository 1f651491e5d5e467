"""The problem as the solver moves on it: compressed to the end nodes of candidate edges, exactly."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from abatis.barrier._paths import find_guided, sum_delays
from abatis.barrier.compression import ApproachGraph, compress
from abatis.barrier.crew import Crew, count_threads
from abatis.model.plan import Problem, keep_options


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
    crew : threads that share the searches; by default as many as a search uses.

    Returns
    -------
    The network; for every choice with at most one option per site, least times on it equal least times on
    the problem's graph.

    In words: edges that no option touches never change, so only the least times between the ends of the
    edges that may change are kept, and of those only the ones that pass no third end node. A place that
    cannot lie on a fastest way under any plan, because even the undelayed way through it is slower than the
    arrival with every barrier built, is left out before (see `compression`).
    """
    if crew is None:
        with Crew(count_threads()) as own:
            return build_network(problem, own)
    edges, modes, start, options, delays = _list_candidates(problem)
    owner = np.full((2, len(problem.tail)), -1, np.int64)
    owner[modes, edges] = np.arange(len(edges))
    longest_h = np.zeros(owner.shape)
    longest_h[modes, edges] = _sum_longest(problem.option_site, start, options, delays)
    graphs = compress(problem, owner, longest_h, crew)
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


def sum_longest_delays(network: Network) -> np.ndarray:
    """Longest delay of every candidate, hours float64[C]: the longest option of each of its sites, summed."""
    site = network.problem.option_site
    return _sum_longest(site, network.candidate_start, network.candidate_option, network.candidate_delay_h)


def keep_candidates(network: Network, options: np.ndarray) -> Network:
    """Return the network with some of its options only, int[n] in rising order; rules speak of those left.

    In words: the others are never built, and what only they delay is an arc like any other.
    """
    entries = np.isin(network.candidate_option, options)
    owner = np.repeat(np.arange(len(network.candidate_edge)), np.diff(network.candidate_start))[entries]
    left, counts = np.unique(owner, return_counts=True)
    number = np.full(len(network.candidate_edge) + 1, -1)
    number[left] = np.arange(len(left))
    return Network(
        problem=keep_options(network.problem, options),
        graphs=tuple(
            replace(graph, candidate=number[graph.candidate].astype(graph.candidate.dtype))
            for graph in network.graphs
        ),
        candidate_edge=network.candidate_edge[left],
        candidate_mode=network.candidate_mode[left],
        candidate_start=np.append(0, np.cumsum(counts)),
        candidate_option=np.searchsorted(options, network.candidate_option[entries]).astype(
            network.candidate_option.dtype
        ),
        candidate_delay_h=network.candidate_delay_h[entries],
    )


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
