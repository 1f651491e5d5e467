"""Compiled kernels for the solver: exact compression, guided shortest paths, delays of candidate arcs."""

from __future__ import annotations

import numpy as np
from numba import njit

from abatis.barrier._heap import pop_heap, push_heap


@njit(cache=True, nogil=True)
def collect_legs(
    start: np.ndarray,
    head: np.ndarray,
    time_h: np.ndarray,
    end_of: np.ndarray,
    seeds: np.ndarray,
    own: int,
    spent_h: float,
    to_goal_h: np.ndarray,
    limit_h: float,
    distance: np.ndarray,
    parent: np.ndarray,
    stamp: np.ndarray,
    taint: np.ndarray,
    round_: int,
    keys: np.ndarray,
    items: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, float, int]:
    """Find the end nodes whose shortest candidate-free way from `seeds` passes no other end node.

    Parameters: CSR graph without candidate arcs (`start`, `head`, `time_h`), `end_of` int32[n] (number of an
    end node, -2 an objective, -1 neither), `seeds` at distance 0, `own` the seed's end number (-1 for a
    front); `spent_h` least hours from the front to the seed; places where spent_h + hours + `to_goal_h`
    exceeds `limit_h` are never visited; scratch arrays. `parent[node]` receives the arc used.

    Returns end numbers reached and their hours, hours to the objective (inf when not reached clean) and the
    objective node reached.

    In words: Dijkstra in which a label is tainted once its way has passed an end node; the search stops when
    no untainted label is open, because everything beyond is reached through an end node already found.
    """
    found = np.empty(64, np.int32)
    hours = np.empty(64, np.float64)
    count = 0
    size = 0
    clean = 0
    goal_h = np.inf
    goal = -1
    for seed in seeds:
        if stamp[seed] != round_:
            stamp[seed] = round_
            distance[seed] = 0.0
            parent[seed] = -1
            taint[seed] = 0
            clean += 1
            size = push_heap(keys, items, size, 0.0, seed)
    while size > 0 and clean > 0:
        reached = keys[0]
        node = items[0]
        size = pop_heap(keys, items, size)
        if reached != distance[node] or taint[node] >= 2:
            continue
        dirty = taint[node] == 1
        if not dirty:
            clean -= 1
        taint[node] += 2
        end = end_of[node]
        if end == -2 and not dirty and goal < 0:
            goal_h = reached
            goal = node
        if end >= 0 and end != own:
            if not dirty:
                if count == len(found):
                    found = np.append(found, np.empty(count, np.int32))
                    hours = np.append(hours, np.empty(count, np.float64))
                found[count] = end
                hours[count] = reached
                count += 1
            dirty = True
        for arc in range(start[node], start[node + 1]):
            other = head[arc]
            total = reached + time_h[arc]
            if not spent_h + total + to_goal_h[other] <= limit_h:
                continue
            if stamp[other] != round_:
                stamp[other] = round_
                taint[other] = 1 if dirty else 0
                if not dirty:
                    clean += 1
            elif taint[other] >= 2 or total > distance[other]:
                continue
            elif total == distance[other]:
                if dirty and taint[other] == 0:
                    taint[other] = 1
                    clean -= 1
                continue
            else:
                if taint[other] == 0 and dirty:
                    clean -= 1
                elif taint[other] == 1 and not dirty:
                    clean += 1
                taint[other] = 1 if dirty else 0
            distance[other] = total
            parent[other] = arc
            size = push_heap(keys, items, size, total, other)
    return found[:count], hours[:count], goal_h, goal


@njit(cache=True, nogil=True)
def collect_all_legs(
    start: np.ndarray,
    head: np.ndarray,
    time_h: np.ndarray,
    end_of: np.ndarray,
    ends: np.ndarray,
    fronts: np.ndarray,
    goals: np.ndarray,
    from_front_h: np.ndarray,
    to_goal_h: np.ndarray,
    limit_h: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Legs between end nodes, from the joined front and to the joined objective.

    Returns tails, heads and hours; end nodes are numbered as in `ends`, then the front, then the objective.
    An objective that is an end node itself is joined by a leg of 0 hours.
    """
    nodes = len(start) - 1
    distance = np.empty(nodes)
    parent = np.empty(nodes, np.int64)
    stamp = np.full(nodes, -1, np.int64)
    taint = np.zeros(nodes, np.int8)
    keys = np.empty(len(head) + len(fronts) + 16)
    items = np.empty(len(head) + len(fronts) + 16, np.int32)
    tails = np.empty(1024, np.int32)
    heads = np.empty(1024, np.int32)
    hours = np.empty(1024)
    count = 0
    single = np.empty(1, np.int32)
    marks = end_of.copy()
    for node in goals:
        if marks[node] == -1:
            marks[node] = -2
    for own in range(len(ends) + 1):
        if own < len(ends):
            single[0] = ends[own]
            seeds, spent, number = single, from_front_h[ends[own]], own
        else:
            seeds, spent, number = fronts, 0.0, -1
        found, way, goal_h, _ = collect_legs(
            start,
            head,
            time_h,
            marks,
            seeds,
            number,
            spent,
            to_goal_h,
            limit_h,
            distance,
            parent,
            stamp,
            taint,
            own,
            keys,
            items,
        )
        need = count + len(found) + 2
        if need > len(tails):
            room = max(need, 2 * len(tails)) - len(tails)
            tails = np.append(tails, np.empty(room, np.int32))
            heads = np.append(heads, np.empty(room, np.int32))
            hours = np.append(hours, np.empty(room))
        for index in range(len(found)):
            tails[count] = own
            heads[count] = found[index]
            hours[count] = way[index]
            count += 1
        if goal_h < np.inf:
            tails[count] = own
            heads[count] = len(ends) + 1
            hours[count] = goal_h
            count += 1
        if own < len(ends) and to_goal_h[ends[own]] == 0.0 and _holds(goals, ends[own]):
            tails[count] = own
            heads[count] = len(ends) + 1
            hours[count] = 0.0
            count += 1
    return tails[:count], heads[:count], hours[:count]


@njit(cache=True, nogil=True)
def _holds(values: np.ndarray, wanted: int) -> bool:
    found = False
    for value in values:
        found = found or value == wanted
    return found


@njit(cache=True, nogil=True)
def sum_delays(
    candidate_start: np.ndarray,
    candidate_option: np.ndarray,
    candidate_delay_h: np.ndarray,
    choice: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write the delay of every candidate arc under `choice` (float64[O], fractions allowed) into `out`."""
    for candidate in range(len(candidate_start) - 1):
        total = 0.0
        for entry in range(candidate_start[candidate], candidate_start[candidate + 1]):
            total += candidate_delay_h[entry] * choice[candidate_option[entry]]
        out[candidate] = total


@njit(cache=True, nogil=True)
def find_guided(
    start: np.ndarray,
    head: np.ndarray,
    base_h: np.ndarray,
    candidate: np.ndarray,
    extra_h: np.ndarray,
    guide_h: np.ndarray,
    source: int,
    target: int,
    distance: np.ndarray,
    parent: np.ndarray,
    keys: np.ndarray,
    items: np.ndarray,
) -> float:
    """Least hours from `source` to `target` by A* guided by `guide_h` (a lower bound that never overshoots).

    `parent` receives the arc by which each touched node was reached (-1 source, -2 untouched).
    """
    distance[:] = np.inf
    parent[:] = -2
    if not guide_h[source] < np.inf:
        return np.inf
    distance[source] = 0.0
    parent[source] = -1
    size = push_heap(keys, items, 0, guide_h[source], source)
    while size > 0:
        key = keys[0]
        node = items[0]
        size = pop_heap(keys, items, size)
        if node == target:
            return float(distance[target])
        reached = distance[node]
        if key > reached + guide_h[node]:
            continue
        for arc in range(start[node], start[node + 1]):
            other = head[arc]
            if not guide_h[other] < np.inf:
                continue
            step = base_h[arc]
            if candidate[arc] >= 0:
                step += extra_h[candidate[arc]]
            total = reached + step
            if total < distance[other]:
                distance[other] = total
                parent[other] = arc
                if size == len(keys):
                    keys = np.append(keys, np.empty(size, np.float64))
                    items = np.append(items, np.empty(size, np.int32))
                size = push_heap(keys, items, size, total + guide_h[other], other)
    return np.inf


@njit(cache=True, nogil=True)
def measure_all(
    start: np.ndarray,
    head: np.ndarray,
    base_h: np.ndarray,
    candidate: np.ndarray,
    extra_h: np.ndarray,
    seeds: np.ndarray,
    distance: np.ndarray,
    keys: np.ndarray,
    items: np.ndarray,
) -> None:
    """Least hours from the nearest seed to every node, plain Dijkstra, into `distance`."""
    distance[:] = np.inf
    size = 0
    for seed in seeds:
        distance[seed] = 0.0
        size = push_heap(keys, items, size, 0.0, seed)
    while size > 0:
        reached = keys[0]
        node = items[0]
        size = pop_heap(keys, items, size)
        if reached > distance[node]:
            continue
        for arc in range(start[node], start[node + 1]):
            other = head[arc]
            step = base_h[arc]
            if candidate[arc] >= 0:
                step += extra_h[candidate[arc]]
            total = reached + step
            if total < distance[other]:
                distance[other] = total
                size = push_heap(keys, items, size, total, other)
