"""Arrival times of a problem by plain Dijkstra, and along given ways: what every answer is checked by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from abatis.model.plan import Problem


class Graph:
    """The edges of a problem in the order that Dijkstra wants, both ways where they have both."""

    def __init__(self, problem: Problem) -> None:
        tail, head = problem.tail, problem.head
        if not problem.directed:
            tail, head = np.append(tail, head), np.append(head, tail)
        order = np.argsort(tail, kind="stable")
        self._problem = problem
        self._edge, self._head = order % max(1, len(problem.tail)), head[order]
        self._start = np.append(0, np.cumsum(np.bincount(tail, minlength=problem.node_count)))

    def join(self, hours: np.ndarray) -> csr_array:
        """Graph of the places with hours float64[E]; of edges between the same two the faster wins."""
        count = self._problem.node_count
        return csr_array((hours[self._edge], self._head, self._start), shape=(count, count))

    def measure_hours(self, group: int, sources: Any, delays: Any) -> Any:
        """Hours float64[N] from the nearest source, delays float64[E] added on open ground and on roads."""
        open_h, road_h = self._problem.open_h[group] + delays[0], self._problem.road_h[group] + delays[1]
        return dijkstra(self.join(np.minimum(open_h, road_h)), indices=sources, min_only=True)


def measure_arrivals(problem: Problem, *delays: np.ndarray) -> list[float]:
    """Arrival time of every approach, hours, with delays float64[E] added on open ground and on roads."""
    ways = zip(problem.approach_group, problem.approach_sources, problem.approach_targets, strict=True)
    graph = Graph(problem)
    return [float(graph.measure_hours(group, fronts, delays)[goals].min()) for group, fronts, goals in ways]


def follow_way(
    problem: Problem,
    approach: int,
    steps: Sequence[int],
    entries: Mapping[int, Sequence[tuple[int, float, float]]],
) -> tuple[float, dict[int, float]]:
    """Hours of a way of an approach, and the delay of every option on it; infinite when it is no way.

    `steps` are `edge * 2 + mode`, `entries` what `list_delays` says of the edges. In words: a way starts at
    the front, each edge goes on where the one before ended, and it ends at the objective.
    """
    ends = set(problem.approach_sources[approach].tolist())
    group, hours, delays = problem.approach_group[approach], [0.0], dict[int, float]()
    for edge, mode in (divmod(step, 2) for step in steps):
        pair = int(problem.tail[edge]), int(problem.head[edge])
        ends = {b for a, b in (pair, pair[::-1])[: 1 if problem.directed else 2] if a in ends}
        hours.append(float((problem.road_h if mode else problem.open_h)[group, edge]))
        for option, *delay in entries.get(edge, []):
            delays[option] = delays.get(option, 0.0) + delay[mode]
    is_way = bool(ends & set(problem.approach_targets[approach].tolist()))
    return math.fsum(hours) if is_way else math.inf, delays
