"""Find paths with covers that a fractional plan breaks: the strong rows of the search (see `paths`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from abatis.barrier._covers import search_covers, trace_cover
from abatis.barrier._paths import sum_delays
from abatis.barrier.network import Network, Route, sum_longest_delays

STEPS = 32


@dataclass(frozen=True)
class Cover:
    """A path and the sites on it taken as closed: `time_h` with them, `weight` of the plan on the others."""

    time_h: float
    weight: float
    route: Route
    sites: tuple[int, ...]


class CoverFinder:
    """Answers, for one fractional plan after another, the least time for every weight left open.

    In words: a plan that holds z >= b must put at least one whole option on the open sites of every path that,
    even with the other sites closed, arrives before b. A fractional plan that puts less there is cut off. One
    search from the front finds the worst such path and cover for every b at once: each crossing is either
    closed (longer, free) or open (no longer, at the plan's share there, counted in `STEPS`).
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        problem = network.problem
        self._weight = np.zeros(max(1, len(network.candidate_edge)), np.int64)
        self._share = np.zeros(len(self._weight))
        self._longest_h = np.append(sum_longest_delays(network), 0.0)
        self._entry_site = problem.option_site[network.candidate_option]
        self._tails = [np.repeat(np.arange(len(g.nodes)), np.diff(g.start)) for g in network.graphs]
        most = max(len(graph.nodes) for graph in network.graphs)
        room = 4 * max(len(graph.head) for graph in network.graphs) + 16
        self._time_h = np.empty(most * STEPS)
        self._parent = np.empty(most * STEPS, np.int64)
        self._least = np.empty(most, np.int64)
        self._keys, self._items = np.empty(room), np.empty(room, np.int32)

    def set_choice(self, choice: np.ndarray) -> None:
        """Take a plan, float64[O] with shares between 0 and 1."""
        network = self.network
        ones = np.ones(len(network.candidate_option))
        sum_delays(network.candidate_start, network.candidate_option, ones, choice, self._share)
        self._weight[:] = np.rint(np.minimum(self._share, 1.0) * STEPS)

    def find_covers(self, approach: int, limit_h: float) -> list[Cover]:
        """Paths and covers that arrive before `limit_h`, by rising time and falling weight (below 1)."""
        graph = self.network.graphs[approach]
        count = len(graph.nodes)
        search_covers(
            graph.start,
            graph.head,
            graph.base_h,
            graph.candidate,
            self._weight,
            self._longest_h,
            graph.guide_h,
            graph.source,
            graph.target,
            STEPS,
            limit_h,
            self._time_h[: count * STEPS],
            self._parent[: count * STEPS],
            self._least[:count],
            self._keys,
            self._items,
        )
        first = graph.target * STEPS
        hours = self._time_h[first : first + STEPS]
        better = hours < np.append(np.inf, np.minimum.accumulate(hours)[:-1])
        return [self._trace(approach, first, int(w)) for w in np.flatnonzero(better)[::-1]]

    def _trace(self, approach: int, first: int, weight: int) -> Cover:
        graph, network = self.network.graphs[approach], self.network
        steps = trace_cover(
            first + weight, STEPS, self._tails[approach], graph.candidate, self._weight, self._parent
        )
        arcs = steps // 2
        crossed = graph.candidate[arcs]
        sites: set[int] = set()
        for one in crossed[(steps % 2 == 1) & (crossed >= 0)]:
            part = slice(network.candidate_start[one], network.candidate_start[one + 1])
            sites.update(self._entry_site[part].tolist())
        route = Route(
            approach,
            float(graph.base_h[arcs].sum()),
            tuple(arcs.tolist()),
            tuple(crossed[crossed >= 0].tolist()),
        )
        return Cover(float(self._time_h[first + weight]), weight / STEPS, route, tuple(sorted(sites)))
