"""Compiled kernels of water over the mesh: filling, steepest way down, and what lies upstream."""

from __future__ import annotations

import heapq

import numba
import numpy as np


@numba.njit(cache=True)
def route_water(
    neighbor: np.ndarray, distance_m: np.ndarray, level_m: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fill hollows and say where each cell drains to.

    `neighbor` int32[N, 6], `distance_m` float64[N, 6], `level_m` float64[N]; returns receiver int32[N] (-1 at
    the rim), order int32[N] (downstream first) and the filled level float64[N].
    """
    count = len(level_m)
    filled = level_m.copy()
    receiver = np.full(count, -1, np.int32)
    order = np.empty(count, np.int32)
    seen = np.zeros(count, np.bool_)
    heap = [(0.0, -1)]
    heap.pop()
    for cell in range(count):
        if _is_rim(neighbor, cell):
            seen[cell] = True
            heapq.heappush(heap, (filled[cell], np.int64(cell)))  # type: ignore[misc]
    done = 0
    while len(heap) > 0:
        level, cell = heapq.heappop(heap)
        order[done] = cell
        done += 1
        # Over filled ground water goes back the way the flood came; on a slope, down the steepest side.
        steepest = 0.0
        if receiver[cell] >= 0:
            for side in range(6):
                near = neighbor[cell, side]
                if near >= 0 and filled[near] < level and seen[near]:
                    slope = (level - filled[near]) / distance_m[cell, side]
                    if slope > steepest:
                        steepest = slope
                        receiver[cell] = near
        for side in range(6):
            near = neighbor[cell, side]
            if near >= 0 and not seen[near]:
                seen[near] = True
                filled[near] = max(filled[near], level)
                receiver[near] = cell
                heapq.heappush(heap, (filled[near], np.int64(near)))  # type: ignore[misc]
    return receiver, order[:done], filled


@numba.njit(cache=True)
def _is_rim(neighbor: np.ndarray, cell: int) -> bool:
    return bool((neighbor[cell] < 0).any())


@numba.njit(cache=True)
def add_upstream(receiver: np.ndarray, order: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Area of each cell and of all cells that drain through it, float64[N]."""
    total = area.copy()
    for place in range(len(order) - 1, -1, -1):
        cell = order[place]
        if receiver[cell] >= 0:
            total[receiver[cell]] += total[cell]
    return total


@numba.njit(cache=True)
def mark_upstream(receiver: np.ndarray, order: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Cells that are marked in `start` bool[N] or drain through such a cell, bool[N]."""
    marked = start.copy()
    for place in range(len(order)):
        cell = order[place]
        if not marked[cell] and receiver[cell] >= 0 and marked[receiver[cell]]:
            marked[cell] = True
    return marked
