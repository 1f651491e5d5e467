"""Compiled search for least-seen ways: whole numbers, so that equal ways are equal and ties are real."""

from __future__ import annotations

from heapq import heappop, heappush

import numpy as np
from numba import njit

FAR = np.iinfo(np.int64).max


@njit(cache=True)
def search_ways(
    neighbor: np.ndarray, step_m: np.ndarray, weight: np.ndarray, look_m: float, units: tuple[float, float],
    sources: np.ndarray, barred: np.ndarray, target: int, cost: np.ndarray, run: np.ndarray,
    before: np.ndarray,
) -> None:  # fmt: skip
    """Fill cost, run (length) int64[N] and before int32[N] of the least way from the sources to every cell.

    Least in cost, then in length, then in the row of the cell left first. `step_m` float64[N, 6] metres to
    each neighbour, `weight` float64[N] cost of one look, `units` of cost and length in one;
    `barred` bool[N] may not be entered; the search ends at `target` (-1: at the last cell).
    """
    cost[:], run[:], before[:] = FAR, FAR, -1
    done = np.zeros(cost.size, np.bool_)
    heap = [(np.int64(0), np.int64(0), np.int32(0))]
    heap.pop()
    for one in sources:
        cost[one], run[one] = 0, 0
        heappush(heap, (np.int64(0), np.int64(0), np.int32(one)))
    while heap:
        _, _, cell = heappop(heap)
        if done[cell]:
            continue
        done[cell] = True
        if cell == target:
            return
        for side in range(6):
            near = neighbor[cell, side]
            if near < 0 or done[near] or barred[near]:
                continue
            mean = (weight[cell] + weight[near]) / 2.0
            spent = cost[cell] + np.int64(np.rint(mean * step_m[cell, side] / look_m * units[0]))
            gone = run[cell] + np.int64(np.rint(step_m[cell, side] * units[1]))
            if spent < cost[near] or (spent == cost[near] and gone < run[near]):
                cost[near], run[near], before[near] = spent, gone, cell
                heappush(heap, (spent, gone, np.int32(near)))
