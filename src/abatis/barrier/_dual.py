"""Dual graph of a mesh (vertices = corners of hexagons) and its compiled searches; kernels only.

Corner k of a cell lies between its neighbours k and k + 1 (counter-clockwise); side k lies between corners
k - 1 and k. Three cells meet at a corner, so a corner has three dual edges: one per side that ends there. A
side between two cells is crossed by their mesh edge; a side against nothing is rim (`via` -1) and free to
walk.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from abatis.barrier._heap import pop_heap, push_heap

FAR = np.int64(1) << 62


@njit(cache=True)
def find_side(neighbor: np.ndarray, cell: int, other: int) -> int:
    """Return the side of `cell` that faces `other`, or -1."""
    for side in range(6):
        if neighbor[cell, side] == other:
            return side
    return -1


@njit(cache=True)
def restrict_ground(
    neighbor: np.ndarray, edge: np.ndarray, ground: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return copies of `neighbor` and `edge` int32[N, 6] with -1 wherever a cell is off `ground` bool[N]."""
    cells = len(neighbor)
    near = np.full((cells, 6), -1, np.int32)
    over = np.full((cells, 6), -1, np.int32)
    for cell in range(cells):
        if not ground[cell]:
            continue
        for side in range(6):
            other = neighbor[cell, side]
            if other >= 0 and ground[other]:
                near[cell, side] = other
                over[cell, side] = edge[cell, side]
    return near, over


@njit(cache=True)
def weigh_edges(
    edge_a: np.ndarray,
    edge_b: np.ndarray,
    cost_eur: np.ndarray,
    length_m: np.ndarray,
    label: np.ndarray,
    ground: np.ndarray,
    cent: int,
    bits: int,
    step_m: float,
) -> tuple[np.ndarray, float, float]:
    """Return int64[E], cents above `bits` bits of length (-1: no line), dearest cost and longest edge."""
    weight = np.full(len(edge_a), -1, np.int64)
    dearest = 0.0
    longest = 0.0
    for row in range(len(edge_a)):
        a, b = edge_a[row], edge_b[row]
        longest = max(longest, float(length_m[row]))
        if not (ground[a] and ground[b]) or (label[a] == label[b] and label[a] > 0):
            continue
        if not np.isfinite(cost_eur[row]):
            continue
        dearest = max(dearest, cost_eur[row])
        steps = np.int64(np.rint(np.float64(length_m[row]) / step_m))
        weight[row] = (np.int64(np.rint(cost_eur[row] * cent)) << bits) + (steps if steps > 0 else 1)
    return weight, dearest, longest


@njit(cache=True)
def number_corners(neighbor: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, int]:
    """Return int32[N, 6] corner numbers shared between cells, and their count.

    A corner whose three cells have the same `label` int8[N] above 0 gets none (-1): no line comes there.
    """
    cells = len(neighbor)
    corner = np.full((cells, 6), -1, np.int32)
    count = 0
    for cell in range(cells):
        own = label[cell]
        for side in range(6):
            if corner[cell, side] >= 0:
                continue
            first, second = neighbor[cell, side], neighbor[cell, (side + 1) % 6]
            if own > 0 and first >= 0 and second >= 0 and label[first] == own and label[second] == own:
                continue
            corner[cell, side] = count
            if first >= 0:
                corner[first, (find_side(neighbor, first, cell) + 5) % 6] = count
            if second >= 0:
                corner[second, find_side(neighbor, second, cell)] = count
            count += 1
    return corner, count


@njit(cache=True)
def build_dual(
    neighbor: np.ndarray, edge: np.ndarray, corner: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return `to`, `via` int32[C, 3]: end corner (-1 none) and mesh edge (-1 rim) of each dual edge."""
    to = np.full((count, 3), -1, np.int32)
    via = np.full((count, 3), -1, np.int32)
    used = np.zeros(count, np.int8)
    for cell in range(len(neighbor)):
        for side in range(6):
            other = neighbor[cell, side]
            first, second = corner[cell, (side + 5) % 6], corner[cell, side]
            if first < 0 or second < 0 or (other >= 0 and cell > other):
                continue
            crossed = edge[cell, side] if other >= 0 else -1
            to[first, used[first]] = second
            via[first, used[first]] = crossed
            used[first] += 1
            to[second, used[second]] = first
            via[second, used[second]] = crossed
            used[second] += 1
    return to, via


@njit(cache=True)
def label_components(neighbor: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, int]:
    """Label connected cells of equal `group` int8[N] (0 = no label): int32[N], -1 none, and their count."""
    label = np.full(len(neighbor), -1, np.int32)
    stack = np.empty(len(neighbor), np.int32)
    count = 0
    for first in range(len(neighbor)):
        if group[first] == 0 or label[first] >= 0:
            continue
        label[first] = count
        stack[0] = first
        height = 1
        while height > 0:
            height -= 1
            cell = stack[height]
            for side in range(6):
                other = neighbor[cell, side]
                if other >= 0 and label[other] < 0 and group[other] == group[cell]:
                    label[other] = count
                    stack[height] = other
                    height += 1
        count += 1
    return label, count


@njit(cache=True)
def spread_cells(
    neighbor: np.ndarray, edge: np.ndarray, passable: np.ndarray, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return bool[N], cells reached from `start` bool[N] over `passable` bool[E] edges, and their parents."""
    reached = start.copy()
    parent = np.full(len(neighbor), -1, np.int32)
    queue = np.empty(len(neighbor), np.int32)
    tail = 0
    for cell in range(len(neighbor)):
        if start[cell]:
            queue[tail] = cell
            tail += 1
    head = 0
    while head < tail:
        cell = queue[head]
        head += 1
        for side in range(6):
            other = neighbor[cell, side]
            if other >= 0 and not reached[other] and passable[edge[cell, side]]:
                reached[other] = True
                parent[other] = cell
                queue[tail] = other
                tail += 1
    return reached, parent


@njit(cache=True)
def find_nearest(neighbor: np.ndarray, start: np.ndarray, goal: np.ndarray) -> tuple[int, np.ndarray]:
    """Return the first cell of `goal` bool[N] met when spreading from `start`, and all parents."""
    parent = np.full(len(neighbor), -1, np.int32)
    seen = start.copy()
    queue = np.empty(len(neighbor), np.int32)
    tail = 0
    for cell in range(len(neighbor)):
        if start[cell]:
            queue[tail] = cell
            tail += 1
    head = 0
    while head < tail:
        cell = queue[head]
        head += 1
        if goal[cell]:
            return cell, parent
        for side in range(6):
            other = neighbor[cell, side]
            if other >= 0 and not seen[other]:
                seen[other] = True
                parent[other] = cell
                queue[tail] = other
                tail += 1
    return -1, parent


@njit(cache=True)
def color_cells(neighbor: np.ndarray, edge: np.ndarray, cut: np.ndarray, start: int) -> np.ndarray:
    """Return int8[N]: 0 on the side of cell `start`, 1 across the edges of `cut` bool[E], -1 unreached."""
    color = np.full(len(neighbor), -1, np.int8)
    stack = np.empty(len(neighbor), np.int32)
    color[start] = 0
    stack[0] = start
    height = 1
    while height > 0:
        height -= 1
        cell = stack[height]
        for side in range(6):
            other = neighbor[cell, side]
            if other >= 0 and color[other] < 0:
                color[other] = color[cell] ^ np.int8(1 if cut[edge[cell, side]] else 0)
                stack[height] = other
                height += 1
    return color


@njit(cache=True)
def trace_rims(neighbor: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Walk every rim counter-clockwise: `cell`, `side` int32[R] in order and `start` int32[loops + 1]."""
    seen = np.zeros((len(neighbor), 6), np.bool_)
    total = 0
    for cell in range(len(neighbor)):
        if inside[cell]:
            for side in range(6):
                if neighbor[cell, side] < 0:
                    total += 1
    cells = np.empty(total, np.int32)
    sides = np.empty(total, np.int32)
    starts = [0]
    size = 0
    for first in range(len(neighbor)):
        if not inside[first]:
            continue
        for begin in range(6):
            if neighbor[first, begin] >= 0 or seen[first, begin]:
                continue
            cell, side = first, begin
            while not seen[cell, side]:
                seen[cell, side] = True
                cells[size] = cell
                sides[size] = side
                size += 1
                other = neighbor[cell, (side + 1) % 6]
                if other < 0:
                    side = (side + 1) % 6
                else:
                    side = (find_side(neighbor, other, cell) + 1) % 6
                    cell = other
            starts.append(size)
    return cells, sides, np.array(starts, dtype=np.int32)


@njit(cache=True)
def search_paths(
    to: np.ndarray,
    via: np.ndarray,
    weight: np.ndarray,
    signature: np.ndarray,
    bits: int,
    start: int,
    goal: np.ndarray,
    goals: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Least weights from corner `start` to every state (corner << bits | signature).

    `weight` int64[E], negative where an edge may not be used; `signature` int32[E] is added (xor) when the
    edge is crossed. Stops when every state of the corners marked in `goal` bool[C] (`goals` of them) is
    settled. Returns distance int64, parent state and edge int32 per state.
    """
    states = len(to) << bits
    mask = (1 << bits) - 1
    distance = np.full(states, FAR, np.int64)
    parent = np.full(states, -1, np.int32)
    crossed = np.full(states, -1, np.int32)
    keys = np.empty(3 * states + 4, np.int64)
    items = np.empty(3 * states + 4, np.int32)
    distance[start << bits] = 0
    size = push_heap(keys, items, 0, 0, start << bits)
    open_goals = goals << bits
    while size > 0:
        key = keys[0]
        state = items[0]
        size = pop_heap(keys, items, size)
        if key > distance[state]:
            continue
        corner = state >> bits
        if goal[corner]:
            open_goals -= 1
            if open_goals == 0:
                break
        for slot in range(3):
            end = to[corner, slot]
            if end < 0:
                continue
            edge = via[corner, slot]
            reach = key
            bit = state & mask
            if edge >= 0:
                if weight[edge] < 0:
                    continue
                reach += weight[edge]
                bit ^= signature[edge]
            other = (end << bits) | bit
            if reach < distance[other]:
                distance[other] = reach
                parent[other] = state
                crossed[other] = edge
                size = push_heap(keys, items, size, reach, other)
    return distance, parent, crossed


@njit(cache=True)
def search_rings(
    to: np.ndarray, via: np.ndarray, weight: np.ndarray, signature: np.ndarray, bits: int, starts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Least closed walk of every signature through a corner of `starts`: weight int64[2**bits] and its start.

    One search per start, no farther than half of the heaviest ring still wanted: the two halves of a ring are
    both found by the same search, because a walk back has the signature of the walk there.
    """
    states = len(to) << bits
    count = 1 << bits
    mask = count - 1
    best = np.full(count, FAR, np.int64)
    best[0] = 0
    best_start = np.full(count, -1, np.int32)
    distance = np.full(states, FAR, np.int64)
    touched = np.empty(states, np.int32)
    keys = np.empty(3 * states + 4, np.int64)
    items = np.empty(3 * states + 4, np.int32)
    for start in starts:
        distance[start << bits] = 0
        touched[0] = start << bits
        used = 1
        size = push_heap(keys, items, 0, 0, start << bits)
        while size > 0:
            key = keys[0]
            state = items[0]
            size = pop_heap(keys, items, size)
            if key > distance[state]:
                continue
            if 2 * key >= np.max(best):
                break
            corner = state >> bits
            for slot in range(3):
                end = to[corner, slot]
                if end < 0:
                    continue
                edge = via[corner, slot]
                reach = key
                bit = state & mask
                if edge >= 0:
                    if weight[edge] < 0:
                        continue
                    reach += weight[edge]
                    bit ^= signature[edge]
                for back in range(count):
                    whole = reach + distance[(end << bits) | back]
                    if whole < best[bit ^ back]:
                        best[bit ^ back] = whole
                        best_start[bit ^ back] = start
                other = (end << bits) | bit
                if reach < distance[other]:
                    if distance[other] == FAR:
                        touched[used] = other
                        used += 1
                    distance[other] = reach
                    size = push_heap(keys, items, size, reach, other)
        for one in range(used):
            distance[touched[one]] = FAR
    return best, best_start


@njit(cache=True)
def follow_path(parent: np.ndarray, crossed: np.ndarray, state: int) -> np.ndarray:
    """Return the mesh edges crossed on the way to `state`, last first."""
    edges = []
    while parent[state] >= 0:
        if crossed[state] >= 0:
            edges.append(crossed[state])
        state = parent[state]
    return np.array(edges, dtype=np.int32)
