"""Kernels for one ring on a dual graph that was cut open."""

from __future__ import annotations

import numpy as np
from numba import njit

from abatis.barrier._dual import FAR
from abatis.barrier._heap import pop_heap, push_heap


@njit(cache=True)
def list_faces(neighbor: np.ndarray, corner: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells on the left and right hand of each dual edge, int32[C, 3], in `build_dual`'s order.

    -1 stands for what lies outside of the ground.
    """
    left = np.full((count, 3), -1, np.int32)
    right = np.full((count, 3), -1, np.int32)
    used = np.zeros(count, np.int8)
    for cell in range(len(neighbor)):
        for side in range(6):
            other = neighbor[cell, side]
            first, second = corner[cell, (side + 5) % 6], corner[cell, side]
            if first < 0 or second < 0 or (other >= 0 and cell > other):
                continue
            left[first, used[first]] = cell
            right[first, used[first]] = other
            used[first] += 1
            left[second, used[second]] = other
            right[second, used[second]] = cell
            used[second] += 1
    return left, right


@njit(cache=True)
def mark_corners(corner: np.ndarray, cells: np.ndarray, count: int) -> np.ndarray:
    """Return bool[C]: corners of the cells marked in `cells` bool[N]."""
    marked = np.zeros(count, np.bool_)
    for cell in range(len(corner)):
        if cells[cell]:
            for side in range(6):
                if corner[cell, side] >= 0:
                    marked[corner[cell, side]] = True
    return marked


@njit(cache=True)
def search_shortest(
    to: np.ndarray, via: np.ndarray, weight: np.ndarray, start: np.ndarray, goal: np.ndarray
) -> tuple[int, np.ndarray, np.ndarray]:
    """Return the first of the corners `goal` reached from the corners `start`, parents and distances."""
    distance = np.full(len(to), FAR, np.int64)
    parent = np.full(len(to), -1, np.int32)
    keys = np.empty(4 * len(to) + 4, np.int64)
    items = np.empty(4 * len(to) + 4, np.int32)
    size = 0
    for corner in range(len(to)):
        if start[corner]:
            distance[corner] = 0
            size = push_heap(keys, items, size, 0, corner)
    while size > 0:
        key = keys[0]
        corner = items[0]
        size = pop_heap(keys, items, size)
        if key > distance[corner]:
            continue
        if goal[corner]:
            return corner, parent, distance
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
            if reach < distance[end]:
                distance[end] = reach
                parent[end] = corner
                size = push_heap(keys, items, size, reach, end)
    return -1, parent, distance


@njit(cache=True)
def search_region(
    to: np.ndarray,
    via: np.ndarray,
    weight: np.ndarray,
    stamp: np.ndarray,
    task: int,
    start: int,
    goal: int,
    distance: np.ndarray,
    keys: np.ndarray,
    items: np.ndarray,
    touched: np.ndarray,
    parent: np.ndarray,
) -> tuple[int, np.ndarray, np.ndarray]:
    """Least path between two corners over corners with `stamp` equal to `task`: weight, corners, edges.

    `distance` is FAR everywhere before and after; `keys`, `items`, `touched` and `parent` are room to work.
    """
    used = 1
    touched[0] = start
    distance[start] = 0
    parent[start] = -1
    size = push_heap(keys, items, 0, 0, start)
    found = FAR
    while size > 0:
        key = keys[0]
        corner = items[0]
        size = pop_heap(keys, items, size)
        if key > distance[corner]:
            continue
        if corner == goal:
            found = key
            break
        for slot in range(3):
            end = to[corner, slot]
            if end < 0 or stamp[end] != task:
                continue
            edge = via[corner, slot]
            reach = key
            if edge >= 0:
                if weight[edge] < 0:
                    continue
                reach += weight[edge]
            if reach < distance[end]:
                if distance[end] == FAR:
                    touched[used] = end
                    used += 1
                distance[end] = reach
                parent[end] = corner * 3 + slot
                size = push_heap(keys, items, size, reach, end)
    corners = [goal]
    edges = [np.int32(-1)]
    if found < FAR:
        here = goal
        while parent[here] >= 0:
            corner = parent[here] // 3
            edges.append(via[corner, parent[here] % 3])
            corners.append(corner)
            here = corner
    for one in range(used):
        distance[touched[one]] = FAR
    return int(found), np.array(corners, dtype=np.int32), np.array(edges, dtype=np.int32)


@njit(cache=True)
def flood_region(
    to: np.ndarray, via: np.ndarray, weight: np.ndarray, stamp: np.ndarray, task: int, seeds: np.ndarray
) -> np.ndarray:
    """Return int32[], corners stamped `task` that are joined to `seeds` by usable edges; stamps them -1."""
    found = np.empty(len(to), np.int32)
    size = 0
    for seed in seeds:
        if stamp[seed] == task:
            stamp[seed] = -1
            found[size] = seed
            size += 1
    head = 0
    while head < size:
        corner = found[head]
        head += 1
        for slot in range(3):
            end = to[corner, slot]
            if end < 0 or stamp[end] != task:
                continue
            edge = via[corner, slot]
            if edge >= 0 and weight[edge] < 0:
                continue
            stamp[end] = -1
            found[size] = end
            size += 1
    return found[:size].copy()
