"""Kernels for walks that pay for turns and pass through places, and for several walks that share no edge."""

from __future__ import annotations

import numpy as np
from numba import njit

from abatis.barrier._dual import FAR
from abatis.barrier._heap import pop_heap, push_heap

NO_HAND = 2


@njit(cache=True)
def search_walks(
    to: np.ndarray,
    via: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    weight: np.ndarray,
    turn: int,
    places: np.ndarray,
    masks: int,
    barred: np.ndarray,
    start: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Least weights from corner `start` to every state, with parent state and edge crossed per state.

    A state is (corner x 10 + way) x `masks` + mask: `way` = slot walked in by x 3 + hand of the last turn (0
    left, 1 right, 2 none), or 9 at the start and after a rim edge; `mask` holds the places passed. `places`
    int64[E] are the bits an edge adds; `turn` is the weight of two turns to the same hand in a row; `barred`
    int64[E] has a bit per mask in which the edge may not be walked. Nobody turns back on the spot.
    """
    states = len(to) * 10 * masks
    distance = np.full(states, FAR, np.int64)
    parent = np.full(states, -1, np.int32)
    crossed = np.full(states, -1, np.int32)
    keys = np.empty(len(to) + 64, np.int64)
    items = np.empty(len(to) + 64, np.int32)
    first = (start * 10 + 9) * masks
    distance[first] = 0
    size = push_heap(keys, items, 0, 0, first)
    while size > 0:
        key = keys[0]
        state = items[0]
        size = pop_heap(keys, items, size)
        if key > distance[state]:
            continue
        mask = state % masks
        way = (state // masks) % 10
        corner = state // (masks * 10)
        for slot in range(3):
            end = to[corner, slot]
            if end < 0 or (way < 9 and way // 3 == slot):
                continue
            edge = via[corner, slot]
            reach = key
            after = mask
            next_way = 9
            if edge >= 0:
                if weight[edge] < 0 or (barred[edge] >> mask) & 1:
                    continue
                reach += weight[edge]
                after |= places[edge]
                hand = NO_HAND
                if way < 9:
                    hand = 0 if left[corner, slot] == right[corner, way // 3] else 1
                    if hand == way % 3:
                        reach += turn
                back = 0
                while via[end, back] != edge:
                    back += 1
                next_way = back * 3 + hand
            other = (end * 10 + next_way) * masks + after
            if reach < distance[other]:
                distance[other] = reach
                parent[other] = state
                crossed[other] = edge
                if size == len(keys):
                    more = np.empty(2 * size, np.int64)
                    more[:size] = keys
                    keys = more
                    more_items = np.empty(2 * size, np.int32)
                    more_items[:size] = items
                    items = more_items
                size = push_heap(keys, items, size, reach, other)
    return distance, parent, crossed


@njit(cache=True)
def follow_walk(
    parent: np.ndarray, crossed: np.ndarray, state: int, masks: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the edges of the walk to `state`, last first, and the mask each was walked in."""
    edges = []
    layers = []
    while parent[state] >= 0:
        if crossed[state] >= 0:
            edges.append(crossed[state])
            layers.append(np.int32(parent[state] % masks))
        state = parent[state]
    return np.array(edges, dtype=np.int32), np.array(layers, dtype=np.int32)


@njit(cache=True)
def send_unit(
    to: np.ndarray,
    via: np.ndarray,
    left: np.ndarray,
    weight: np.ndarray,
    edge_a: np.ndarray,
    shared: np.ndarray,
    flow: np.ndarray,
    supply: np.ndarray,
    price: np.ndarray,
) -> bool:
    """Send one more unit at least weight; changes `flow` int32[E], `supply` int32[C], `price` int64[C].

    `flow` counts walks with `edge_a` on the left hand, less those the other way; at most one either way
    unless the edge is `shared` bool[E]. `price` keeps all reduced weights at 0 or more (Johnson). Returns
    False when no unit can be sent.
    """
    count = len(to)
    distance = np.full(count, FAR, np.int64)
    parent = np.full(count, -1, np.int32)
    keys = np.empty(count + 64, np.int64)
    items = np.empty(count + 64, np.int32)
    size = 0
    for corner in range(count):
        if supply[corner] > 0:
            # All starts hang on one point of price 0 by steps without weight, so no start's price is above 0.
            distance[corner] = -price[corner]
            size = push_heap(keys, items, size, distance[corner], corner)
    last = -1
    best = FAR
    while size > 0:
        key = keys[0]
        corner = items[0]
        size = pop_heap(keys, items, size)
        if key > distance[corner]:
            continue
        if supply[corner] < 0 and key + price[corner] < best:
            best = key + price[corner]
            last = corner
        for slot in range(3):
            end = to[corner, slot]
            if end < 0:
                continue
            edge = via[corner, slot]
            cost = np.int64(0)
            if edge >= 0:
                if weight[edge] < 0:
                    continue
                ahead = flow[edge] if left[corner, slot] == edge_a[edge] else -flow[edge]
                if ahead < 0:
                    cost = -weight[edge]
                elif ahead == 0 or shared[edge]:
                    cost = weight[edge]
                else:
                    continue
            reach = key + cost + price[corner] - price[end]
            if reach < distance[end]:
                distance[end] = reach
                parent[end] = corner * 3 + slot
                if size == len(keys):
                    more = np.empty(2 * size, np.int64)
                    more[:size] = keys
                    keys = more
                    more_items = np.empty(2 * size, np.int32)
                    more_items[:size] = items
                    items = more_items
                size = push_heap(keys, items, size, reach, end)
    if last < 0:
        return False
    for corner in range(count):
        if distance[corner] < FAR:
            price[corner] += distance[corner]
    here = last
    while parent[here] >= 0:
        corner = parent[here] // 3
        slot = parent[here] % 3
        edge = via[corner, slot]
        if edge >= 0:
            flow[edge] += 1 if left[corner, slot] == edge_a[edge] else -1
        here = corner
    supply[here] -= 1
    supply[last] += 1
    return True


@njit(cache=True)
def level_cells(
    neighbor: np.ndarray, edge: np.ndarray, edge_a: np.ndarray, flow: np.ndarray, start: int
) -> np.ndarray:
    """Return int32[N]: how many lines lie between cell `start` and each cell (-9999 where none leads)."""
    level = np.full(len(neighbor), -9999, np.int32)
    stack = np.empty(len(neighbor), np.int32)
    level[start] = 0
    stack[0] = start
    height = 1
    while height > 0:
        height -= 1
        cell = stack[height]
        for side in range(6):
            other = neighbor[cell, side]
            if other >= 0 and level[other] == -9999:
                row = edge[cell, side]
                level[other] = level[cell] + (flow[row] if edge_a[row] == cell else -flow[row])
                stack[height] = other
                height += 1
    return level
