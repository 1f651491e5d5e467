"""Compiled what-if queries: the arrival time after edges change, from the present plan's two fields.

Names: `from_h` is the time from the front, `to_h` the time to the objective, both float64[N]; a cell's tree
route is its least-time route along a field's forest. A cell is *cut off* in a field when its tree route uses
a slower edge; every other cell's time in that field is still exact.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from abatis.ground._search import lift, take

# A bound that is smaller by rounding alone is no reason to search.
ROUNDING = 1.0 - 1e-13


@njit(cache=True)
def list_cut(
    changed: np.ndarray,
    edge: np.ndarray,
    edge_a: np.ndarray,
    edge_b: np.ndarray,
    slot: np.ndarray,
    enter: np.ndarray,
    leave: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the largest subtrees behind the changed edges: roots, first and last numbers, rising."""
    roots = np.empty(2 * changed.size, np.int64)
    starts = np.empty(2 * changed.size, np.int64)
    count = 0
    for e in changed:
        for cell in (edge_a[e], edge_b[e]):
            if slot[cell] >= 0 and edge[cell, slot[cell]] == e:
                roots[count] = cell
                starts[count] = enter[cell]
                count += 1
    order = np.argsort(starts[:count])
    kept_roots = np.empty(count, np.int64)
    kept_starts = np.empty(count, np.int64)
    kept_stops = np.empty(count, np.int64)
    kept = 0
    for i in order:
        if kept > 0 and starts[i] < kept_stops[kept - 1]:
            continue
        kept_roots[kept] = roots[i]
        kept_starts[kept] = starts[i]
        kept_stops[kept] = leave[roots[i]]
        kept += 1
    return kept_roots[:kept], kept_starts[:kept], kept_stops[:kept]


@njit(cache=True, inline="always")
def find_cut(starts: np.ndarray, stops: np.ndarray, number: int) -> int:
    """Return which of the disjoint ranges holds a number, or -1."""
    low = 0
    high = starts.size
    while low < high:
        middle = (low + high) >> 1
        if starts[middle] <= number:
            low = middle + 1
        else:
            high = middle
    return low - 1 if low > 0 and number < stops[low - 1] else -1


@njit(cache=True)
def _search_cut(
    neighbor: np.ndarray,
    edge: np.ndarray,
    time_h: np.ndarray,
    from_h: np.ndarray,
    starts: np.ndarray,
    stops: np.ndarray,
    enter_t: np.ndarray,
    starts_f: np.ndarray,
    stops_f: np.ndarray,
    enter_f: np.ndarray,
    cost: np.ndarray,
    key: np.ndarray,
    heap: np.ndarray,
    place: np.ndarray,
    size: int,
    best: float,
    touched: np.ndarray,
    touched_count: int,
) -> tuple[float, int, np.ndarray, int]:
    """Search the cells cut off on both sides; return the best time, cells handled and the cells touched."""
    handled = 0
    while size > 0 and key[heap[0]] < best:
        cell = take(heap, place, key, size)
        size -= 1
        handled += 1
        for k in range(6):
            other = neighbor[cell, k]
            if other < 0:
                continue
            left = cost[cell] + time_h[edge[cell, k]]
            total = from_h[other] + left
            if total >= best:
                continue
            if find_cut(starts_f, stops_f, enter_f[other]) < 0:
                best = total
            elif left < cost[other] and find_cut(starts, stops, enter_t[other]) >= 0:
                if cost[other] == math.inf:
                    if touched_count == touched.size:
                        touched = np.concatenate((touched, touched))
                    touched[touched_count] = other
                    touched_count += 1
                cost[other] = left
                key[other] = total
                size = lift(heap, place, key, size, other)
    return best, handled, touched, touched_count


@njit(cache=True)
def query_longer(
    neighbor: np.ndarray,
    edge: np.ndarray,
    edge_a: np.ndarray,
    edge_b: np.ndarray,
    time_h: np.ndarray,
    changed: np.ndarray,
    front: np.ndarray,
    from_h: np.ndarray,
    slot_f: np.ndarray,
    enter_f: np.ndarray,
    leave_f: np.ndarray,
    to_h: np.ndarray,
    slot_t: np.ndarray,
    enter_t: np.ndarray,
    leave_t: np.ndarray,
    cost: np.ndarray,
    key: np.ndarray,
    heap: np.ndarray,
    place: np.ndarray,
) -> tuple[float, int]:
    """Return the arrival time after the changed edges became slower, and the cells handled.

    `front` is sorted by `to_h`; `time_h` holds the new times. `cost` must be inf and `place` -1 everywhere;
    both are left so. Walks once round the cells cut off from the objective: where the walk passes an edge
    from a cell whose time from the front still holds, the sum is a candidate; cells cut off on both sides are
    searched.
    """
    roots, starts, stops = list_cut(changed, edge, edge_a, edge_b, slot_t, enter_t, leave_t)
    best = math.inf
    for cell in front:
        if find_cut(starts, stops, enter_t[cell]) < 0:
            best = to_h[cell]
            break
    if roots.size == 0 or find_cut(starts, stops, enter_t[front[0]]) < 0:
        return best, 0
    _, starts_f, stops_f = list_cut(changed, edge, edge_a, edge_b, slot_f, enter_f, leave_f)
    walked = np.zeros(roots.size, np.bool_)
    handled = 0
    size = 0
    touched = np.empty(64, np.int32)
    touched_count = 0
    for i in range(roots.size):
        if walked[i]:
            continue
        first = roots[i]
        cell = int(first)
        k = int(slot_t[first])
        while True:
            other = neighbor[cell, k]
            handled += 1
            if other >= 0:
                if slot_t[cell] == k:
                    index = find_cut(starts, stops, enter_t[cell])
                    if roots[index] == cell:
                        walked[index] = True
                left = time_h[edge[cell, k]] + to_h[other]
                total = from_h[cell] + left
                if total < best:
                    if find_cut(starts_f, stops_f, enter_f[cell]) < 0:
                        best = total
                    elif left < cost[cell]:
                        if cost[cell] == math.inf:
                            if touched_count == touched.size:
                                touched = np.concatenate((touched, touched))
                            touched[touched_count] = cell
                            touched_count += 1
                        cost[cell] = left
                        key[cell] = total
                        size = lift(heap, place, key, size, cell)
            turned = k + 1 if k < 5 else 0
            onward = neighbor[cell, turned]
            if onward >= 0 and find_cut(starts, stops, enter_t[onward]) >= 0:
                for back in range(6):
                    if neighbor[onward, back] == cell:
                        k = back + 1 if back < 5 else 0
                        break
                cell = int(onward)
            else:
                k = turned
            if cell == first and k == slot_t[first]:
                break
    best, searched, touched, touched_count = _search_cut(
        neighbor,
        edge,
        time_h,
        from_h,
        starts,
        stops,
        enter_t,
        starts_f,
        stops_f,
        enter_f,
        cost,
        key,
        heap,
        place,
        size,
        best,
        touched,
        touched_count,
    )
    handled += searched
    for i in range(touched_count):
        cost[touched[i]] = math.inf
        place[touched[i]] = -1
    return best, handled


@njit(cache=True, inline="always")
def _bound_apart(a: int, b: int, from_h: np.ndarray, to_h: np.ndarray) -> float:
    """Return a lower bound of the time between two cells: fields change no faster than time passes."""
    if a == b:
        return 0.0
    bound = 0.0
    if from_h[a] < math.inf and from_h[b] < math.inf:
        bound = abs(from_h[a] - from_h[b])
    elif from_h[a] < math.inf or from_h[b] < math.inf:
        return math.inf
    if to_h[a] < math.inf and to_h[b] < math.inf:
        bound = max(bound, abs(to_h[a] - to_h[b]))
    elif to_h[a] < math.inf or to_h[b] < math.inf:
        return math.inf
    return bound


@njit(cache=True)
def bound_left(
    changed: np.ndarray,
    edge_a: np.ndarray,
    edge_b: np.ndarray,
    time_h: np.ndarray,
    from_h: np.ndarray,
    to_h: np.ndarray,
    room_h: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bound the time from each end of each faster edge, over that edge and any others, to the objective.

    Returns near, far int64[2 K] (cells before and after the edge) and left float64[2 K] (hours), a lower
    bound where it is below `room_h` and otherwise some number of at least `room_h`.
    """
    m = 2 * changed.size
    near = np.empty(m, np.int64)
    far = np.empty(m, np.int64)
    left = np.empty(m)
    over = np.empty(m)
    for i in range(changed.size):
        e = changed[i]
        near[2 * i], far[2 * i] = edge_a[e], edge_b[e]
        near[2 * i + 1], far[2 * i + 1] = edge_b[e], edge_a[e]
        over[2 * i] = over[2 * i + 1] = time_h[e]
        left[2 * i] = time_h[e] + to_h[far[2 * i]]
        left[2 * i + 1] = time_h[e] + to_h[far[2 * i + 1]]
    done = np.zeros(m, np.bool_)
    for _ in range(m):
        least = math.inf
        pick = -1
        for i in range(m):
            if not done[i] and left[i] < least:
                least = left[i]
                pick = i
        if pick < 0 or least >= room_h:
            break
        done[pick] = True
        for i in range(m):
            if not done[i] and least + over[i] < left[i]:
                total = over[i] + least + _bound_apart(far[i], near[pick], from_h, to_h)
                left[i] = min(left[i], total)
    return near, far, left


@njit(cache=True)
def list_useful(
    changed: np.ndarray,
    edge_a: np.ndarray,
    edge_b: np.ndarray,
    time_h: np.ndarray,
    from_h: np.ndarray,
    to_h: np.ndarray,
    best: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """List the faster edges, in the direction used, over which a way may take less than `best`.

    Returns near, far int64[M], the edge's time over float64[M] and left float64[M], the bound from near
    onwards.
    """
    least_from = math.inf
    least_to = math.inf
    for e in changed:
        least_from = min(least_from, from_h[edge_a[e]], from_h[edge_b[e]])
        least_to = min(least_to, to_h[edge_a[e]], to_h[edge_b[e]])
    near, far, left = bound_left(changed, edge_a, edge_b, time_h, from_h, to_h, best - least_from)
    _, _, behind = bound_left(changed, edge_a, edge_b, time_h, to_h, from_h, best - least_to)
    over = np.empty(near.size)
    kept = 0
    for i in range(near.size):
        hours = time_h[changed[i >> 1]]
        # `behind` of the opposite direction bounds the time from the front over this edge.
        if behind[i ^ 1] + left[i] - hours < best * ROUNDING:
            near[kept], far[kept], over[kept], left[kept] = near[i], far[i], hours, left[i]
            kept += 1
    return near[:kept], far[:kept], over[:kept], left[:kept]


@njit(cache=True)
def query_shorter(
    neighbor: np.ndarray,
    edge: np.ndarray,
    edge_a: np.ndarray,
    edge_b: np.ndarray,
    time_h: np.ndarray,
    changed: np.ndarray,
    arrival_h: float,
    from_h: np.ndarray,
    to_h: np.ndarray,
    cost: np.ndarray,
    key: np.ndarray,
    heap: np.ndarray,
    place: np.ndarray,
) -> tuple[float, int]:
    """Return the arrival time after the changed edges became faster, and the cells handled.

    `time_h` holds the new times, `arrival_h` the present arrival time. A way over exactly one faster edge
    costs the sum of the two fields and that edge; a way over several is bounded from below, and only where
    the bound leaves room are the cells that improve searched.
    """
    best = arrival_h
    for e in changed:
        a, b = edge_a[e], edge_b[e]
        best = min(best, time_h[e] + min(from_h[a] + to_h[b], from_h[b] + to_h[a]))
    near, far, over, left = list_useful(changed, edge_a, edge_b, time_h, from_h, to_h, best)
    size = 0
    handled = 0
    touched = np.empty(64, np.int32)
    count = 0
    room = ROUNDING
    for i in range(near.size):
        if from_h[near[i]] + left[i] >= best * room:
            continue
        total = from_h[near[i]] + over[i]
        cell = far[i]
        if total < from_h[cell] and total < cost[cell]:
            if cost[cell] == math.inf:
                if count == touched.size:
                    touched = np.concatenate((touched, touched))
                touched[count] = cell
                count += 1
            cost[cell] = total
            key[cell] = total + _bound_rest(cell, near, left, from_h, to_h)
            if key[cell] < best * room:
                size = lift(heap, place, key, size, cell)
    while size > 0 and key[heap[0]] < best * room:
        cell = take(heap, place, key, size)
        size -= 1
        handled += 1
        for k in range(6):
            other = neighbor[cell, k]
            if other < 0:
                continue
            total = cost[cell] + time_h[edge[cell, k]]
            best = min(best, total + to_h[other])
            if total < from_h[other] and total < cost[other]:
                if cost[other] == math.inf:
                    if count == touched.size:
                        touched = np.concatenate((touched, touched))
                    touched[count] = other
                    count += 1
                cost[other] = total
                key[other] = total + _bound_rest(other, near, left, from_h, to_h)
                if key[other] < best * room:
                    size = lift(heap, place, key, size, other)
    for i in range(count):
        cost[touched[i]] = math.inf
        place[touched[i]] = -1
    return best, handled


@njit(cache=True)
def _bound_rest(cell: int, near: np.ndarray, left: np.ndarray, from_h: np.ndarray, to_h: np.ndarray) -> float:
    """Bound the time from a cell over at least one more faster edge to the objective."""
    best = math.inf
    for i in range(near.size):
        if left[i] < best:
            best = min(best, left[i] + _bound_apart(cell, near[i], from_h, to_h))
    return best


@njit(cache=True)
def query_mixed(
    neighbor: np.ndarray,
    edge: np.ndarray,
    edge_a: np.ndarray,
    edge_b: np.ndarray,
    time_h: np.ndarray,
    slower: np.ndarray,
    faster: np.ndarray,
    most_h: float,
    most_cells: int,
    front: np.ndarray,
    from_h: np.ndarray,
    slot_f: np.ndarray,
    enter_f: np.ndarray,
    leave_f: np.ndarray,
    to_h: np.ndarray,
    slot_t: np.ndarray,
    enter_t: np.ndarray,
    leave_t: np.ndarray,
    cost: np.ndarray,
    key: np.ndarray,
    heap: np.ndarray,
    place: np.ndarray,
) -> tuple[float, int]:
    """Return the arrival time when some edges became faster and others slower, and the cells handled.

    `time_h` holds the new times; `most_h` is the arrival time with the slower edges alone, an upper bound; so
    is a way over one faster edge between cells that are not cut off. If no other way can beat the best of
    these, it stands; otherwise A* from the front, guided by the bounds, settles it, or gives up (nan) after
    `most_cells` cells.
    """
    best = most_h
    _, starts_f, stops_f = list_cut(slower, edge, edge_a, edge_b, slot_f, enter_f, leave_f)
    _, starts_t, stops_t = list_cut(slower, edge, edge_a, edge_b, slot_t, enter_t, leave_t)
    for e in faster:
        for a, b in ((edge_a[e], edge_b[e]), (edge_b[e], edge_a[e])):
            total = from_h[a] + time_h[e] + to_h[b]
            near_holds = find_cut(starts_f, stops_f, enter_f[a]) < 0
            if near_holds and find_cut(starts_t, stops_t, enter_t[b]) < 0:
                best = min(best, total)
    near, _, _, left = list_useful(faster, edge_a, edge_b, time_h, from_h, to_h, best)
    if near.size == 0:
        return best, 0
    size = 0
    handled = 0
    touched = np.empty(64, np.int32)
    count = 0
    for cell in front:
        key[cell] = min(to_h[cell], _bound_rest(cell, near, left, from_h, to_h))
        if key[cell] < best:
            if count == touched.size:
                touched = np.concatenate((touched, touched))
            touched[count] = cell
            count += 1
            cost[cell] = 0.0
            size = lift(heap, place, key, size, cell)
    while size > 0 and key[heap[0]] < best:
        cell = take(heap, place, key, size)
        size -= 1
        handled += 1
        if handled > most_cells:
            best = math.nan
            break
        if to_h[cell] == 0.0:
            best = min(best, cost[cell])
            continue
        for k in range(6):
            other = neighbor[cell, k]
            if other < 0:
                continue
            total = cost[cell] + time_h[edge[cell, k]]
            if total < cost[other] and total < best:
                ahead = total + min(to_h[other], _bound_rest(other, near, left, from_h, to_h))
                if ahead >= best:
                    continue
                if cost[other] == math.inf:
                    if count == touched.size:
                        touched = np.concatenate((touched, touched))
                    touched[count] = other
                    count += 1
                cost[other] = total
                key[other] = ahead
                size = lift(heap, place, key, size, other)
    for i in range(count):
        cost[touched[i]] = math.inf
        place[touched[i]] = -1
    return best, handled
