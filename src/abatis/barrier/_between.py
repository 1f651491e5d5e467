"""Kernel for a path between two corners of a dual graph: two searches that meet, over rows of buckets."""

from __future__ import annotations

import numpy as np
from numba import njit

from abatis.barrier._dual import FAR

MOST_BUCKETS = 1 << 18
BUCKETS_PER_EDGE = 8


@njit(cache=True)
def choose_width(weight: np.ndarray) -> tuple[int, int]:
    """Return how many bits of a weight one bucket spans, and the number of buckets (a power of two)."""
    total = 0.0
    heaviest = np.int64(1)
    count = 1
    for one in weight:
        if one > 0:
            total += one
            count += 1
            heaviest = max(heaviest, one)
    shift = 0
    while (total / count / BUCKETS_PER_EDGE) >= 2.0 ** (shift + 1):
        shift += 1
    while (heaviest >> shift) + 2 > MOST_BUCKETS:
        shift += 1
    buckets = 4
    while buckets < (heaviest >> shift) + 2:
        buckets *= 2
    return shift, buckets


@njit(cache=True)
def search_between(
    to: np.ndarray, via: np.ndarray, weight: np.ndarray, first: int, second: int
) -> tuple[int, np.ndarray]:
    """Least path between two corners, searched from both ends: its weight and the mesh edges crossed.

    Each search keeps what it has reached in a circle of buckets of equal width (Dial 1969); inside a bucket
    corners are taken in turn and taken again when they are reached more lightly. All corners in buckets that
    were emptied are final; so when the two open buckets begin at weights that add up to the best meeting
    found, no path is lighter (Pohl 1971).
    """
    count = len(to)
    shift, buckets = choose_width(weight)
    wrap = buckets - 1
    distance = np.full((2, count), FAR, np.int64)
    parent = np.full((2, count), -1, np.int32)
    head = np.full((2, buckets), -1, np.int32)
    tail = np.full((2, buckets), -1, np.int32)
    behind = np.empty(8 * count + 16, np.int32)
    item = np.empty(8 * count + 16, np.int32)
    reached = np.empty(8 * count + 16, np.int64)
    row = np.zeros(2, np.int64)
    waiting = np.ones(2, np.int64)
    used = 0
    for way, start in ((0, first), (1, second)):
        distance[way, start] = 0
        behind[used], item[used], reached[used] = -1, start, 0
        head[way, 0] = tail[way, 0] = used
        used += 1
    best = FAR if first != second else np.int64(0)
    meet = first if first == second else -1
    while waiting[0] > 0 and waiting[1] > 0:
        for way in range(2):
            while head[way, row[way] & wrap] < 0:
                row[way] += 1
        if (row[0] << shift) + (row[1] << shift) >= best:
            break
        way = 0 if row[0] <= row[1] else 1
        place = row[way] & wrap
        while head[way, place] >= 0:
            entry = head[way, place]
            head[way, place] = behind[entry]
            waiting[way] -= 1
            corner = item[entry]
            key = reached[entry]
            if key > distance[way, corner]:
                continue
            for slot in range(3):
                end = to[corner, slot]
                if end < 0:
                    continue
                edge = via[corner, slot]
                reach = key
                if edge >= 0:
                    if weight[edge] < 0:
                        continue
                    reach += weight[edge]
                if reach >= distance[way, end]:
                    continue
                distance[way, end] = reach
                parent[way, end] = corner * 3 + slot
                if reach + distance[1 - way, end] < best:
                    best = reach + distance[1 - way, end]
                    meet = end
                if used == len(item):
                    behind, item, reached = _double(behind), _double(item), _double(reached)
                behind[used], item[used], reached[used] = -1, end, reach
                ahead = (reach >> shift) & wrap
                if head[way, ahead] < 0:
                    head[way, ahead] = used
                else:
                    behind[tail[way, ahead]] = used
                tail[way, ahead] = used
                used += 1
                waiting[way] += 1
    edges = [np.int32(-1)]
    if meet >= 0:
        for way in range(2):
            here = meet
            while parent[way, here] >= 0:
                corner = parent[way, here] // 3
                edges.append(via[corner, parent[way, here] % 3])
                here = corner
    crossed = np.array(edges, dtype=np.int32)
    return int(best), crossed[crossed >= 0]


@njit(cache=True)
def _double(values: np.ndarray) -> np.ndarray:
    more = np.empty(2 * len(values), values.dtype)
    more[: len(values)] = values
    return more
