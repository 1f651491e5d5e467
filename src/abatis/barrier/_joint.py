"""Compiled search of the joint line: least walks over a graph whose arcs carry a weight and a tie breaker."""

from __future__ import annotations

import numpy as np
from numba import njit

FAR = np.int64(1) << 62


@njit(cache=True)
def _push(
    mains: np.ndarray, ties: np.ndarray, items: np.ndarray, size: int, main: int, tie: int, item: int
) -> int:
    place = size
    while place > 0:
        above = (place - 1) >> 2
        if mains[above] < main or (mains[above] == main and ties[above] <= tie):
            break
        mains[place], ties[place], items[place] = mains[above], ties[above], items[above]
        place = above
    mains[place], ties[place], items[place] = main, tie, item
    return size + 1


@njit(cache=True)
def _pop(mains: np.ndarray, ties: np.ndarray, items: np.ndarray, size: int) -> int:
    size -= 1
    main, tie, item = mains[size], ties[size], items[size]
    place = 0
    while True:
        child = 4 * place + 1
        if child >= size:
            break
        least = child
        for one in range(child + 1, min(child + 4, size)):
            if mains[one] < mains[least] or (mains[one] == mains[least] and ties[one] < ties[least]):
                least = one
        if mains[least] > main or (mains[least] == main and ties[least] >= tie):
            break
        mains[place], ties[place], items[place] = mains[least], ties[least], items[least]
        place = least
    mains[place], ties[place], items[place] = main, tie, item
    return size


@njit(cache=True)
def link_nodes(nodes: int, tail: np.ndarray, head: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort arcs by end: `first` int64[V + 1], `end` int32[2A] and `arc` int32[2A] of every node's slots."""
    first = np.zeros(nodes + 1, np.int64)
    for arc in range(len(tail)):
        first[tail[arc] + 1] += 1
        first[head[arc] + 1] += 1
    for node in range(nodes):
        first[node + 1] += first[node]
    place = first[:-1].copy()
    end = np.empty(2 * len(tail), np.int32)
    number = np.empty(2 * len(tail), np.int32)
    for arc in range(len(tail)):
        for here, there in ((tail[arc], head[arc]), (head[arc], tail[arc])):
            end[place[here]] = there
            number[place[here]] = arc
            place[here] += 1
    return first, end, number


@njit(cache=True)
def search_chains(
    first: np.ndarray,
    end: np.ndarray,
    arc: np.ndarray,
    main: np.ndarray,
    tie: np.ndarray,
    start: int,
    goal: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Least (weight, tie) from `start` to the nodes of `goal` bool[V], pairs compared in that order.

    `main`, `tie` int64[A] per arc, a negative weight closes it. Stops when all goals are settled. Returns
    both sums per node (FAR where unreached), the arc it was reached by (-1 none) and the node before it.
    """
    nodes = len(first) - 1
    best = np.full(nodes, FAR, np.int64)
    best_tie = np.full(nodes, FAR, np.int64)
    reached_by = np.full(nodes, -1, np.int32)
    before = np.full(nodes, -1, np.int32)
    mains = np.empty(len(end) + 2, np.int64)
    ties = np.empty(len(end) + 2, np.int64)
    items = np.empty(len(end) + 2, np.int32)
    open_goals = goal.sum()
    best[start], best_tie[start] = 0, 0
    size = _push(mains, ties, items, 0, 0, 0, start)
    while size > 0 and open_goals > 0:
        weight, extra, node = mains[0], ties[0], items[0]
        size = _pop(mains, ties, items, size)
        if weight != best[node] or extra != best_tie[node]:
            continue
        if goal[node]:
            open_goals -= 1
        for slot in range(first[node], first[node + 1]):
            here = arc[slot]
            if main[here] < 0:
                continue
            other = end[slot]
            reach, reach_tie = weight + main[here], extra + tie[here]
            if reach < best[other] or (reach == best[other] and reach_tie < best_tie[other]):
                best[other], best_tie[other] = reach, reach_tie
                reached_by[other], before[other] = here, node
                size = _push(mains, ties, items, size, reach, reach_tie, other)
    return best, best_tie, reached_by, before
