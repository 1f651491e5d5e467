"""Find paths with covers that a fractional plan breaks: the strong rows of the search (see `paths`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from abatis.barrier._covers import ALL_LONGEST, MOST_WAYS, list_ways, search_covers, trace_steps
from abatis.barrier.network import Network, Route

STEPS = 32
ARCS_A_LABEL = 20


class Early(NamedTuple):
    """An arrival at `time_h` that leaves `weight` of the plan open (below 1), in `STEPS`."""

    time_h: float
    weight: float


@dataclass(frozen=True)
class Cover:
    """A path and the options on it taken as built: `time_h` with them, `weight` of the plan beyond them.

    `options` names at most one option per site, by rising site.
    """

    time_h: float
    weight: float
    route: Route
    options: tuple[int, ...]


class CoverFinder:
    """Answers, for one fractional plan after another, the least time for every weight left open.

    In words: a plan that holds z >= b must put at least one whole option beyond the cover on every path that,
    even with the cover built, arrives before b. A fractional plan that puts less there is cut off. One search
    from the front finds the worst such path and cover for every b at once: each crossing is either open (no
    longer, at the plan's share of all options there) or built to some option (longer, at the share of the
    still longer ones), and shares are counted in `STEPS`.

    `looked` counts the work of all searches so far: every arc once, a label settled as `ARCS_A_LABEL` arcs.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self._way_start, self._way_delay_h, self._way_option, self._owner, self._longer = list_ways(
            network.candidate_start,
            network.candidate_option,
            network.candidate_delay_h,
            network.problem.option_site.astype(np.int64),
        )
        self.looked = 0
        self._way_weight = np.zeros(len(self._way_delay_h), np.int64)
        self._tails = [np.repeat(np.arange(len(g.nodes)), np.diff(g.start)) for g in network.graphs]
        most = max(len(graph.nodes) for graph in network.graphs)
        room = 4 * max(len(graph.head) for graph in network.graphs) + 16
        self._time_h = np.empty(most * STEPS)
        self._parent = np.empty(most * STEPS, np.int64)
        self._least = np.empty(most, np.int64)
        self._keys, self._items = np.empty(room), np.empty(room, np.int32)

    def set_choice(self, choice: np.ndarray) -> None:
        """Take a plan, float64[O] with shares between 0 and 1."""
        share = np.bincount(self._owner, choice[self._longer], minlength=len(self._way_weight))
        self._way_weight = np.rint(np.minimum(share, 1.0) * STEPS).astype(np.int64)

    def find_early(self, approach: int, limits: list[tuple[float, float]]) -> list[Early]:
        """Arrivals before an hour with less than a weight, for pairs (hour, weight).

        Sorted by rising time and falling weight (below 1); `trace_cover` tells path and cover of one.
        """
        steps = np.arange(STEPS) / STEPS
        limit_h = np.full(STEPS, -np.inf)
        for hour, weight in limits:
            np.maximum(limit_h, hour, out=limit_h, where=steps < weight)
        graph = self.network.graphs[approach]
        count = len(graph.nodes)
        settled = search_covers(
            graph.start,
            graph.head,
            graph.base_h,
            graph.candidate,
            self._way_start,
            self._way_delay_h,
            self._way_weight,
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
        self.looked += len(graph.head) + ARCS_A_LABEL * settled
        hours = self._time_h[graph.target * STEPS :][:STEPS]
        better = hours < np.append(np.inf, np.minimum.accumulate(hours)[:-1])
        return [Early(float(hours[w]), w / STEPS) for w in np.flatnonzero(better)[::-1].tolist()]

    def trace_cover(self, approach: int, early: Early) -> Cover:
        """Path and cover of an arrival that the last search, for this approach, found."""
        graph = self.network.graphs[approach]
        steps = trace_steps(
            graph.target * STEPS + round(early.weight * STEPS),
            STEPS,
            self._tails[approach],
            graph.candidate,
            self._way_start,
            self._way_weight,
            self._parent,
        )
        arcs = steps // MOST_WAYS
        crossed = graph.candidate[arcs]
        route = Route(
            approach,
            float(graph.base_h[arcs].sum()),
            tuple(arcs.tolist()),
            tuple(crossed[crossed >= 0].tolist()),
        )
        built: dict[int, tuple[float, int]] = {}
        for candidate, way in zip(crossed.tolist(), (steps % MOST_WAYS).tolist(), strict=True):
            if candidate >= 0 and way > 0:
                self._build(candidate, int(self._way_option[self._way_start[candidate] + way]), built)
        cover = tuple(built[site][1] for site in sorted(built))
        return Cover(early.time_h, early.weight, route, cover)

    def _build(self, candidate: int, option: int, built: dict[int, tuple[float, int]]) -> None:
        """Note an option as built at its site (or the longest of every site), where it delays more."""
        network = self.network
        for entry in range(network.candidate_start[candidate], network.candidate_start[candidate + 1]):
            one = int(network.candidate_option[entry])
            if option in (one, ALL_LONGEST):
                site = int(network.problem.option_site[one])
                built[site] = max(built.get(site, (0.0, -1)), (float(network.candidate_delay_h[entry]), one))
