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
    room_h: np.ndarray,
    rest_h: np.ndarray,
    distance: np.ndarray,
    parent: np.ndarray,
    stamp: np.ndarray,
    taint: np.ndarray,
    round_: int,
    keys: np.ndarray,
    items: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the end nodes whose shortest candidate-free way from `seeds` passes no other end node.

    Parameters: CSR graph without candidate arcs (`start`, `head`, `time_h`), `end_of` int32[n] (number of an
    end node, -1 for others), `seeds` at distance 0, `own` the seed's end number (-1 for none); places where
    hours + `rest_h` float64[n, K] exceed `room_h` float64[K] for each of K approaches are never visited;
    scratch arrays. `parent[node]` receives the arc used.

    Returns end numbers reached and their hours.

    In words: Dijkstra in which a label is tainted once its way has passed an end node; the search stops when
    no untainted label is open, because everything beyond is reached through an end node already found. An end
    node no time away from the one where the search began taints nothing: in a ring of such nodes each would
    hide the others.
    """
    found = np.empty(64, np.int32)
    hours = np.empty(64, np.float64)
    count = 0
    size = 0
    clean = 0
    from_end = own >= 0 and len(seeds) == 1 and end_of[seeds[0]] == own
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
        if end >= 0 and end != own:
            if not dirty:
                if count == len(found):
                    found = np.append(found, np.empty(count, np.int32))
                    hours = np.append(hours, np.empty(count, np.float64))
                found[count] = end
                hours[count] = reached
                count += 1
            dirty = dirty or reached > 0.0 or not from_end
        for arc in range(start[node], start[node + 1]):
            other = head[arc]
            total = reached + time_h[arc]
            if stamp[other] == round_ and (taint[other] >= 2 or total > distance[other]):
                continue
            if not _is_within(total, rest_h[other], room_h):
                continue
            if stamp[other] != round_:
                stamp[other] = round_
                taint[other] = 1 if dirty else 0
                if not dirty:
                    clean += 1
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
    return found[:count], hours[:count]


@njit(cache=True, nogil=True)
def _is_within(hours: float, rest_h: np.ndarray, room_h: np.ndarray) -> bool:
    """Say whether any approach has room for some hours and the rest of the way from there."""
    within = False
    for approach in range(len(room_h)):
        within = within or hours + rest_h[approach] <= room_h[approach]
    return within


@njit(cache=True, nogil=True)
def collect_all_legs(
    start: np.ndarray,
    head: np.ndarray,
    time_h: np.ndarray,
    end_of: np.ndarray,
    seed_start: np.ndarray,
    seed_node: np.ndarray,
    room_h: np.ndarray,
    rest_h: np.ndarray,
    first: int,
    last: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Legs from the seeds `first` to `last` to end nodes: numbers of seeds and end nodes, and hours.

    Seed s starts at the nodes of its slice of `seed_node`, with the room float64[K] of `room_h`; end nodes
    come first among the seeds. The others are as in `collect_legs`.
    """
    nodes = len(start) - 1
    distance = np.empty(nodes)
    parent = np.empty(nodes, np.int64)
    stamp = np.full(nodes, -1, np.int64)
    taint = np.zeros(nodes, np.int8)
    keys = np.empty(len(head) + len(seed_node) + 16)
    items = np.empty(len(keys), np.int32)
    tails = np.empty(1024, np.int32)
    heads = np.empty(1024, np.int32)
    hours = np.empty(1024)
    count = 0
    for own in range(first, last):
        found, way = collect_legs(
            start,
            head,
            time_h,
            end_of,
            seed_node[seed_start[own] : seed_start[own + 1]],
            own,
            room_h[own],
            rest_h,
            distance,
            parent,
            stamp,
            taint,
            own,
            keys,
            items,
        )
        need = count + len(found)
        if need > len(tails):
            room = max(need, 2 * len(tails)) - len(tails)
            tails = np.append(tails, np.empty(room, np.int32))
            heads = np.append(heads, np.empty(room, np.int32))
            hours = np.append(hours, np.empty(room))
        tails[count:need] = own
        heads[count:need] = found
        hours[count:need] = way
        count = need
    return tails[:count], heads[:count], hours[:count]


@njit(cache=True, nogil=True)
def spread_times(
    start: np.ndarray,
    head: np.ndarray,
    time_h: np.ndarray,
    seeds: np.ndarray,
    seed_h: np.ndarray,
    goals: np.ndarray,
    most_h: float,
    distance: np.ndarray,
) -> float:
    """Least hours from seeds, each with hours of its own, into `distance`; inf beyond `most_h`.

    With `goals` it ends at the first of them and returns its hours (inf when none is reached).
    """
    keys = np.empty(len(head) + len(seeds) + 16)
    items = np.empty(len(keys), np.int32)
    is_goal = np.zeros(len(start) - 1, np.bool_)
    is_goal[goals] = True
    distance[:] = np.inf
    size = 0
    for place in range(len(seeds)):
        if seed_h[place] <= most_h and seed_h[place] < distance[seeds[place]]:
            distance[seeds[place]] = seed_h[place]
            size = push_heap(keys, items, size, seed_h[place], seeds[place])
    while size > 0:
        reached = keys[0]
        node = items[0]
        size = pop_heap(keys, items, size)
        if reached > distance[node]:
            continue
        if is_goal[node]:
            return float(reached)
        for arc in range(start[node], start[node + 1]):
            total = reached + time_h[arc]
            if total < distance[head[arc]] and total <= most_h:
                distance[head[arc]] = total
                size = push_heap(keys, items, size, total, head[arc])
    return np.inf


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
