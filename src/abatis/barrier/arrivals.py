"""Arrival times of a problem by plain Dijkstra: what every answer is checked against."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse.csgraph import dijkstra

from abatis.model.plan import Problem, join_edges


def measure_hours(problem: Problem, group: int, sources: Any, delays: Any) -> Any:
    """Hours float64[N] from the nearest source by plain Dijkstra, delays (open, road) float64[E] added."""
    hours = np.minimum(problem.open_h[group] + delays[0], problem.road_h[group] + delays[1])
    return dijkstra(join_edges(problem, hours), indices=sources, min_only=True)


def measure_arrivals(problem: Problem, *delays: np.ndarray) -> list[float]:
    """Arrival time of every approach, hours, with delays float64[E] added on open ground and on roads."""
    ways = zip(problem.approach_group, problem.approach_sources, problem.approach_targets, strict=True)
    return [
        float(measure_hours(problem, group, fronts, delays)[goals].min()) for group, fronts, goals in ways
    ]
