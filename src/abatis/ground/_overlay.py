"""Compiled parts of the overlay: the inside of one tile, and the graph of the cells that tiles share.

Times are multiples of one small unit and totals stay below 2^53 units, so every sum is exact and no result
depends on the order of additions; ``overlay.py`` says why that makes tiles and the plain search agree.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from abatis.ground._search import NOWHERE, _link, _put_back, _unlink, lift, take

BUCKETS = 2048


@njit(cache=True, nogil=True)
def link_edges(count: int, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return neighbor, edge int32[count, 6] (-1 where none); neighbor[0, 0] is -2 if a cell has over six."""
    neighbor = np.full((count, 6), -1, np.int32)
    edge = np.full((count, 6), -1, np.int32)
    degree = np.zeros(count, np.int8)
    for e in range(a.size):
        for here, there in ((a[e], b[e]), (b[e], a[e])):
            if degree[here] == 6:
                neighbor[0, 0] = -2
                return neighbor, edge
            neighbor[here, degree[here]] = there
            edge[here, degree[here]] = e
            degree[here] += 1
    return neighbor, edge


@njit(cache=True, nogil=True)
def _settle(
    neighbor: np.ndarray,
    slot_h: np.ndarray,
    scale: float,
    turn: int,
    waiting: int,
    times: np.ndarray,
    link: np.ndarray,
    ends: np.ndarray,
) -> None:
    """Carry the times of the waiting cells on until nothing improves: the buckets of `_search.search_all`."""
    while waiting > 0:
        slot = turn & (BUCKETS - 1)
        cell = ends[slot, 0]
        while cell >= 0:
            _unlink(cell, ends, link)
            here = np.uint64(cell)
            base = times[here]
            if np.int64(base * scale) > turn:
                _link(cell, BUCKETS, ends, link)
                cell = ends[slot, 0]
                continue
            waiting -= 1
            for k in range(np.uint64(6)):
                total = base + slot_h[here, k]
                if total == math.inf:
                    continue
                other = neighbor[here, k]
                there = np.uint64(other)
                if total < times[there]:
                    times[there] = total
                    if link[there, 1] == NOWHERE:
                        waiting += 1
                    else:
                        _unlink(other, ends, link)
                    _link(other, int(total * scale) & (BUCKETS - 1), ends, link)
            cell = ends[slot, 0]
        _put_back(slot, BUCKETS, ends, link)
        turn += 1


@njit(cache=True, nogil=True)
def search_tile(
    neighbor: np.ndarray, slot_h: np.ndarray, seeds: np.ndarray, seed_h: np.ndarray, width_h: float
) -> np.ndarray:
    """Return float64[n], the least time to every cell of a tile whose seeds are reached at `seed_h`."""
    n = neighbor.shape[0]
    times = np.full(n, math.inf)
    link = np.full((n, 2), NOWHERE, np.int32)
    ends = np.full((BUCKETS + 1, 2), -1, np.int32)
    scale = 1.0 / width_h
    least = math.inf
    for i in range(seeds.size):
        times[seeds[i]] = min(times[seeds[i]], seed_h[i])
        least = min(least, seed_h[i])
    if least == math.inf:
        return times
    waiting = 0
    for cell in seeds:
        if times[cell] < math.inf and link[cell, 1] == NOWHERE:
            _link(cell, int(times[cell] * scale) & (BUCKETS - 1), ends, link)
            waiting += 1
    _settle(neighbor, slot_h, scale, int(least * scale), waiting, times, link, ends)
    return times


@njit(cache=True, nogil=True)
def measure_rim(neighbor: np.ndarray, slot_h: np.ndarray, rim: np.ndarray, width_h: float) -> np.ndarray:
    """Return float64[K, K], least times between the rim cells on ways inside the tile."""
    n = neighbor.shape[0]
    link = np.full((n, 2), NOWHERE, np.int32)
    ends = np.full((BUCKETS + 1, 2), -1, np.int32)
    times = np.empty(n)
    out = np.empty((rim.size, rim.size))
    for i in range(rim.size):
        times[:] = math.inf
        times[rim[i]] = 0.0
        _link(rim[i], 0, ends, link)
        _settle(neighbor, slot_h, 1.0 / width_h, 0, 1, times, link, ends)
        for j in range(rim.size):
            out[i, j] = times[rim[j]]
    return out


@njit(cache=True, nogil=True)
def list_arcs(least_h: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return start int64[K + 1], head int32[A], time float64[A]: the least times that no two others make up.

    `least_h` float64[K, K] is symmetric; its diagonal is overwritten.
    """
    k = least_h.shape[0]
    needed = np.zeros((k, k), np.bool_)
    best = np.empty(k)
    for i in range(k):
        least_h[i, i] = math.inf
    for i in range(k):
        best[:] = math.inf
        for via in range(k):
            first = least_h[i, via]
            if first < math.inf:
                row = least_h[via]
                for j in range(i + 1, k):
                    best[j] = min(best[j], first + row[j])
        for j in range(i + 1, k):
            if least_h[i, j] < best[j]:
                needed[i, j] = True
                needed[j, i] = True
    start = np.zeros(k + 1, np.int64)
    total = needed.sum()
    head = np.empty(total, np.int32)
    arc_h = np.empty(total)
    count = 0
    for i in range(k):
        for j in range(k):
            if needed[i, j]:
                head[count] = j
                arc_h[count] = least_h[i, j]
                count += 1
        start[i + 1] = count
    return start, head, arc_h


@njit(cache=True)
def search_shared(
    vertex_start: np.ndarray,
    vertex_row: np.ndarray,
    row_start: np.ndarray,
    row_stop: np.ndarray,
    head: np.ndarray,
    arc_h: np.ndarray,
    seed_h: np.ndarray,
) -> np.ndarray:
    """Return float64[S], the least time to every shared cell, given those from sources in their own tiles."""
    count = seed_h.size
    times = seed_h.copy()
    heap = np.empty(count, np.int32)
    place = np.full(count, -1, np.int32)
    size = 0
    for v in range(count):
        if times[v] < math.inf:
            size = lift(heap, place, times, size, v)
    _spread(vertex_start, vertex_row, row_start, row_stop, head, arc_h, times, heap, place, size)
    return times


@njit(cache=True)
def _spread(
    vertex_start: np.ndarray,
    vertex_row: np.ndarray,
    row_start: np.ndarray,
    row_stop: np.ndarray,
    head: np.ndarray,
    arc_h: np.ndarray,
    times: np.ndarray,
    heap: np.ndarray,
    place: np.ndarray,
    size: int,
) -> None:
    """Carry the times of the cells in the heap on along the arcs (Dijkstra 1959)."""
    while size > 0:
        v = take(heap, place, times, size)
        size -= 1
        base = times[v]
        for r in range(vertex_start[v], vertex_start[v + 1]):
            row = vertex_row[r]
            for i in range(row_start[row], row_stop[row]):
                total = base + arc_h[i]
                other = head[i]
                if total < times[other]:
                    times[other] = total
                    size = lift(heap, place, times, size, other)


@njit(cache=True)
def repair_shared(
    vertex_start: np.ndarray,
    vertex_row: np.ndarray,
    row_start: np.ndarray,
    row_stop: np.ndarray,
    head: np.ndarray,
    arc_h: np.ndarray,
    seed_h: np.ndarray,
    suspects: np.ndarray,
    most: int,
    times: np.ndarray,
) -> int:
    """Mend the times of the shared cells after arcs or seeds at the suspects changed; count those lost.

    With more than `most` lost it gives up at once and leaves the times as they were.

    First, from the nearest on, every suspect that no seed and no sound neighbour accounts for loses its time,
    and whoever had its time from it becomes a suspect; sums are exact, so "had its time from" is an equality.
    Then those without a time, and the first suspects that got faster, are searched as usual.
    """
    count = times.size
    heap = np.empty(count, np.int32)
    place = np.full(count, -1, np.int32)
    lost = np.zeros(count, np.bool_)
    gone = np.empty(count, np.int32)
    gone_count = 0
    size = 0
    for v in suspects:
        if times[v] < math.inf:
            size = lift(heap, place, times, size, v)
    while size > 0:
        v = take(heap, place, times, size)
        size -= 1
        mine = times[v]
        sound = seed_h[v] <= mine
        for r in range(vertex_start[v], vertex_start[v + 1]):
            if sound:
                break
            row = vertex_row[r]
            for i in range(row_start[row], row_stop[row]):
                other = head[i]
                if times[other] + arc_h[i] <= mine and not lost[other]:
                    sound = True
                    break
        if sound:
            continue
        if gone_count == most:
            return most + 1
        lost[v] = True
        gone[gone_count] = v
        gone_count += 1
        for r in range(vertex_start[v], vertex_start[v + 1]):
            row = vertex_row[r]
            for i in range(row_start[row], row_stop[row]):
                other = head[i]
                if times[other] == mine + arc_h[i] and not lost[other]:
                    size = lift(heap, place, times, size, other)
    for v in gone[:gone_count]:
        times[v] = math.inf
    for group in (gone[:gone_count], suspects):
        for v in group:
            best = min(times[v], seed_h[v])
            for r in range(vertex_start[v], vertex_start[v + 1]):
                row = vertex_row[r]
                for i in range(row_start[row], row_stop[row]):
                    best = min(best, times[head[i]] + arc_h[i])
            if best < times[v]:
                times[v] = best
                size = lift(heap, place, times, size, v)
    _spread(vertex_start, vertex_row, row_start, row_stop, head, arc_h, times, heap, place, size)
    return gone_count
