"""Compiled kernels of avenues: shares of shortest routes by exact counts, and cells near a route."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from abatis.ground._search import lift, take


@njit(cache=True)
def count_routes(
    neighbor: np.ndarray,
    edge: np.ndarray,
    time_h: np.ndarray,
    times: np.ndarray,
    order: np.ndarray,
    mantissa: np.ndarray,
    exponent: np.ndarray,
) -> int:
    """Count the shortest routes from every cell to the target, and list the cells nearest first.

    The number of routes of a cell is mantissa x 2^exponent: an exact integer up to 2^53, beyond that rounded
    once per addition. `order` int32[N] receives the reached cells so that the next cells of a route stand
    before it; the number of reached cells is returned. Every pair of neighbours is looked at twice: O(N).
    """
    n = neighbor.shape[0]
    open_ways = np.zeros(n, np.int8)
    mantissa[:] = 0.0
    exponent[:] = 0
    count = 0
    for cell in range(n):
        if times[cell] == 0.0:
            mantissa[cell] = 0.5
            exponent[cell] = 1
            order[count] = cell
            count += 1
        elif times[cell] < math.inf:
            for k in range(6):
                other = neighbor[cell, k]
                if other >= 0 and times[other] + time_h[edge[cell, k]] == times[cell]:
                    open_ways[cell] += 1
    place = 0
    while place < count:
        cell = order[place]
        place += 1
        for k in range(6):
            other = neighbor[cell, k]
            if other < 0 or times[other] == math.inf:
                continue
            if times[cell] + time_h[edge[cell, k]] != times[other]:
                continue
            top = max(exponent[cell], exponent[other]) if mantissa[other] > 0.0 else exponent[cell]
            total = math.ldexp(mantissa[cell], exponent[cell] - top)
            if mantissa[other] > 0.0:
                total += math.ldexp(mantissa[other], exponent[other] - top)
            part, shift = math.frexp(total)
            mantissa[other] = part
            exponent[other] = top + shift
            open_ways[other] -= 1
            if open_ways[other] == 0:
                order[count] = other
                count += 1
    return count


@njit(cache=True)
def carry_shares(
    neighbor: np.ndarray,
    edge: np.ndarray,
    time_h: np.ndarray,
    times: np.ndarray,
    order: np.ndarray,
    mantissa: np.ndarray,
    exponent: np.ndarray,
    cell_share: np.ndarray,
    edge_share: np.ndarray,
) -> None:
    """Carry the shares of the starting cells to the target; `order` lists the reached cells nearest first.

    `cell_share` holds 1 / number of starts in each start and receives the share of every cell; of what
    passes a cell, each next cell gets its part of the routes that lead on.
    """
    for place in range(order.size - 1, -1, -1):
        cell = order[place]
        if cell_share[cell] == 0.0 or times[cell] == 0.0:
            continue
        for k in range(6):
            other = neighbor[cell, k]
            if other < 0 or times[other] + time_h[edge[cell, k]] != times[cell]:
                continue
            ratio = mantissa[other] / mantissa[cell]
            share = cell_share[cell] * math.ldexp(ratio, exponent[other] - exponent[cell])
            cell_share[other] += share
            edge_share[edge[cell, k]] += share


@njit(cache=True)
def mark_within(
    neighbor: np.ndarray, edge: np.ndarray, distance_m: np.ndarray, sources: np.ndarray, limit_m: float
) -> np.ndarray:
    """Return bool[N], the cells that a chain of cells no longer than the limit joins to the sources."""
    n = neighbor.shape[0]
    near = np.zeros(n, np.bool_)
    away = np.full(n, math.inf)
    heap = np.empty(n, np.int32)
    place = np.full(n, -1, np.int32)
    size = 0
    for cell in sources:
        if away[cell] > 0.0:
            away[cell] = 0.0
            size = lift(heap, place, away, size, cell)
    while size > 0:
        cell = take(heap, place, away, size)
        size -= 1
        near[cell] = True
        for k in range(6):
            other = neighbor[cell, k]
            if other >= 0:
                total = away[cell] + max(distance_m[edge[cell, k]], 1.0)
                if total < away[other] and total <= limit_m:
                    away[other] = total
                    size = lift(heap, place, away, size, other)
    return near


@njit(cache=True)
def slow_down(edge: np.ndarray, near: np.ndarray, factor: float, time_h: np.ndarray) -> None:
    """Multiply the times of all edges with an end in the marked cells, each once."""
    done = np.zeros(time_h.size, np.bool_)
    for cell in range(near.size):
        if not near[cell]:
            continue
        for k in range(6):
            e = edge[cell, k]
            if e >= 0 and not done[e]:
                done[e] = True
                time_h[e] *= factor
