"""Compiled searches on a mesh: least times to all cells, to one cell, trees, and repair after a change.

All kernels take `neighbor` and `edge` int32[N, 6] (-1 where none) and one time per edge, float64[E] hours,
used in both directions; an edge that takes infinite time is closed. Times must be positive.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

BUCKETS = 16384
NOWHERE = -2


@njit(cache=True)
def find_bucket_width(time_h: np.ndarray) -> float:
    """Return a bucket width of half the harmonic mean of the finite times, which long delays hardly move."""
    total = 0.0
    count = 0
    for e in range(0, time_h.size, max(1, time_h.size // 20_000)):
        if time_h[e] < math.inf:
            total += 1.0 / time_h[e]
            count += 1
    return 0.5 * count / total if count else 1.0


@njit(cache=True)
def gather_times(edge: np.ndarray, time_h: np.ndarray) -> np.ndarray:
    """Return float64[N, 6], the time over each edge of each cell (inf where none), for `search_all`."""
    n = edge.shape[0]
    slot_h = np.empty((n, 6))
    for cell in range(n):
        for k in range(6):
            e = edge[cell, k]
            slot_h[cell, k] = time_h[np.uint64(e)] if e >= 0 else math.inf
    return slot_h


@njit(cache=True, inline="always")
def _link(cell: int, slot: int, ends: np.ndarray, link: np.ndarray) -> None:
    """Put a cell at the end of a bucket; the outer links of a list name its bucket as -3 - slot."""
    last = ends[np.uint64(slot), 1]
    link[np.uint64(cell), 0] = -3 - slot
    if last >= 0:
        link[np.uint64(last), 0] = cell
        link[np.uint64(cell), 1] = last
    else:
        ends[np.uint64(slot), 0] = cell
        link[np.uint64(cell), 1] = -3 - slot
    ends[np.uint64(slot), 1] = cell


@njit(cache=True, inline="always")
def _unlink(cell: int, ends: np.ndarray, link: np.ndarray) -> None:
    """Take a cell out of its bucket."""
    right = link[np.uint64(cell), 0]
    left = link[np.uint64(cell), 1]
    if left >= 0:
        link[np.uint64(left), 0] = right
    else:
        ends[np.uint64(-3 - left), 0] = max(right, -1)
    if right >= 0:
        link[np.uint64(right), 1] = left
    else:
        ends[np.uint64(-3 - right), 1] = max(left, -1)
    link[np.uint64(cell), 1] = NOWHERE


@njit(cache=True, inline="always")
def _put_back(slot: int, spare: int, ends: np.ndarray, link: np.ndarray) -> None:
    """Move the cells that were met a lap too early from the spare list to the emptied bucket."""
    first, last = ends[spare]
    if first >= 0:
        ends[slot] = ends[spare]
        link[first, 1] = -3 - slot
        link[last, 0] = -3 - slot
        ends[spare] = -1


@njit(cache=True)
def search_all(
    neighbor: np.ndarray,
    slot_h: np.ndarray,
    sources: np.ndarray,
    limit_h: float,
    width_h: float,
    times: np.ndarray,
) -> int:
    """Write the least time from the nearest source to every cell (inf beyond the limit).

    Returns the number of cells handled. A circular row of buckets holds the waiting cells as linked lists,
    first in first out. A cell that improves after it was handled waits again, so the result is the exact
    fixed point whatever the bucket width. Measured against a quaternary heap and against buckets of loose
    entries: 3 and 4 times faster on 1.2 million cells.
    """
    n = neighbor.shape[0]
    times[:] = math.inf
    link = np.full((n, 2), NOWHERE, np.int32)
    # One list more than buckets: cells met in their slot a lap too early.
    ends = np.full((BUCKETS + 1, 2), -1, np.int32)
    scale = 1.0 / width_h
    waiting = 0
    handled = 0
    for s in sources:
        if times[s] > 0.0:
            times[s] = 0.0
            _link(s, 0, ends, link)
            waiting += 1
    turn = 0
    while waiting > 0:
        slot = turn & (BUCKETS - 1)
        cell = ends[slot, 0]
        while cell >= 0:
            _unlink(cell, ends, link)
            # Unsigned row numbers spare the check for negative ones: this loop is the hottest of all.
            here = np.uint64(cell)
            base = times[here]
            if np.int64(base * scale) > turn:
                _link(cell, BUCKETS, ends, link)
                cell = ends[slot, 0]
                continue
            waiting -= 1
            handled += 1
            for k in range(np.uint64(6)):
                total = base + slot_h[here, k]
                if total == math.inf:
                    continue
                other = neighbor[here, k]
                there = np.uint64(other)
                if total < times[there] and total <= limit_h:
                    times[there] = total
                    if link[there, 1] == NOWHERE:
                        waiting += 1
                    else:
                        _unlink(other, ends, link)
                    _link(other, int(total * scale) & (BUCKETS - 1), ends, link)
            cell = ends[slot, 0]
        _put_back(slot, BUCKETS, ends, link)
        turn += 1
    return handled


@njit(cache=True, inline="always")
def lift(heap: np.ndarray, place: np.ndarray, key: np.ndarray, size: int, cell: int) -> int:
    """Put a cell into the quaternary heap, or move it up after its key fell; return the new size."""
    i = place[cell]
    if i < 0:
        i = size
        size += 1
    mine = key[cell]
    while i > 0:
        parent = (i - 1) >> 2
        above = heap[parent]
        if key[above] <= mine:
            break
        heap[i] = above
        place[above] = i
        i = parent
    heap[i] = cell
    place[cell] = i
    return size


@njit(cache=True, inline="always")
def take(heap: np.ndarray, place: np.ndarray, key: np.ndarray, size: int) -> int:
    """Take the cell of the least key off the heap of this size (the size then falls by one)."""
    top = heap[0]
    place[top] = -1
    size -= 1
    if size > 0:
        last = heap[size]
        mine = key[last]
        i = 0
        while True:
            child = 4 * i + 1
            if child >= size:
                break
            best = child
            for c in range(child + 1, min(child + 4, size)):
                if key[heap[c]] < key[heap[best]]:
                    best = c
            if key[heap[best]] >= mine:
                break
            heap[i] = heap[best]
            place[heap[i]] = i
            i = best
        heap[i] = last
        place[last] = i
    return int(top)


@njit(cache=True)
def search_to(
    neighbor: np.ndarray,
    edge: np.ndarray,
    time_h: np.ndarray,
    sources: np.ndarray,
    guide_h: np.ndarray,
    came: np.ndarray,
) -> tuple[float, int, int]:
    """Find the least time from the sources to the cells where the guide is 0 (A*).

    `guide_h` float64[N] must never exceed the true time left (inf only where the target cannot be reached).
    `came` int8[N] receives the place of the previous cell among the neighbours (-1 at a source). Returns the
    time (inf if there is no way), the cell reached (-1) and the cells handled.
    """
    n = neighbor.shape[0]
    passed = np.full(n, math.inf)
    key = np.empty(n)
    heap = np.empty(n, np.int32)
    place = np.full(n, -1, np.int32)
    size = 0
    handled = 0
    for s in sources:
        if passed[s] > 0.0 and guide_h[s] < math.inf:
            passed[s] = 0.0
            key[s] = guide_h[s]
            came[s] = -1
            size = lift(heap, place, key, size, s)
    while size > 0:
        cell = take(heap, place, key, size)
        size -= 1
        handled += 1
        if guide_h[cell] == 0.0:
            return passed[cell], cell, handled
        base = passed[cell]
        for k in range(6):
            other = neighbor[cell, k]
            if other < 0:
                continue
            total = base + time_h[edge[cell, k]]
            if total < passed[other] and guide_h[other] < math.inf:
                passed[other] = total
                key[other] = total + guide_h[other]
                for back in range(6):
                    if neighbor[other, back] == cell:
                        came[other] = back
                size = lift(heap, place, key, size, other)
    return math.inf, -1, handled


@njit(cache=True)
def trace_back(neighbor: np.ndarray, came: np.ndarray, last: int) -> np.ndarray:
    """Return int32[], the cells from a source to the last cell, in order."""
    count = 1
    cell = last
    while came[cell] >= 0:
        cell = neighbor[cell, came[cell]]
        count += 1
    out = np.empty(count, np.int32)
    cell = last
    for i in range(count - 1, -1, -1):
        out[i] = cell
        if came[cell] >= 0:
            cell = neighbor[cell, came[cell]]
    return out


@njit(cache=True)
def point_back(neighbor: np.ndarray, edge: np.ndarray, time_h: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return int8[N], the place of the next cell towards the source among the neighbours; -1 at a source."""
    n = neighbor.shape[0]
    slot = np.full(n, -1, np.int8)
    for cell in range(n):
        mine = times[cell]
        if mine == 0.0 or mine == math.inf:
            continue
        for k in range(6):
            other = neighbor[cell, k]
            if other >= 0 and times[other] < mine and times[other] + time_h[edge[cell, k]] == mine:
                slot[cell] = k
                break
    return slot


@njit(cache=True)
def number_tree(
    neighbor: np.ndarray, slot: np.ndarray, times: np.ndarray, enter: np.ndarray, leave: np.ndarray
) -> int:
    """Number the cells of the shortest-path forest so that each subtree is one range.

    All cells behind c have enter[c] <= enter < leave[c]. Cells that cannot be reached get -1. Returns the
    number of cells reached.
    """
    n = neighbor.shape[0]
    enter[:] = -1
    leave[:] = -1
    stack = np.empty(n, np.int32)
    order = np.empty(n, np.int32)
    count = 0
    for root in range(n):
        if times[root] != 0.0:
            continue
        stack[0] = root
        height = 1
        while height > 0:
            height -= 1
            cell = stack[height]
            enter[cell] = count
            order[count] = cell
            count += 1
            for k in range(6):
                other = neighbor[cell, k]
                if other >= 0 and slot[other] >= 0 and neighbor[other, slot[other]] == cell:
                    stack[height] = other
                    height += 1
    for i in range(count - 1, -1, -1):
        cell = order[i]
        leave[cell] = max(leave[cell], i + 1)
        if slot[cell] >= 0:
            parent = neighbor[cell, slot[cell]]
            leave[parent] = max(leave[parent], leave[cell])
    return count


@njit(cache=True)
def repair_shorter(
    neighbor: np.ndarray,
    edge: np.ndarray,
    time_h: np.ndarray,
    edge_a: np.ndarray,
    edge_b: np.ndarray,
    changed: np.ndarray,
    times: np.ndarray,
) -> int:
    """Mend a field after some edges became faster (`time_h` holds the new times); return cells handled."""
    n = neighbor.shape[0]
    heap = np.empty(n, np.int32)
    place = np.full(n, -1, np.int32)
    size = 0
    handled = 0
    for e in changed:
        a, b = edge_a[e], edge_b[e]
        if times[a] + time_h[e] < times[b]:
            times[b] = times[a] + time_h[e]
            size = lift(heap, place, times, size, b)
        elif times[b] + time_h[e] < times[a]:
            times[a] = times[b] + time_h[e]
            size = lift(heap, place, times, size, a)
    while size > 0:
        cell = take(heap, place, times, size)
        size -= 1
        handled += 1
        for k in range(6):
            other = neighbor[cell, k]
            if other >= 0:
                total = times[cell] + time_h[edge[cell, k]]
                if total < times[other]:
                    times[other] = total
                    size = lift(heap, place, times, size, other)
    return handled


@njit(cache=True)
def repair_longer(
    neighbor: np.ndarray, edge: np.ndarray, time_h: np.ndarray, affected: np.ndarray, times: np.ndarray
) -> int:
    """Mend a field after some edges became slower; `affected` bool[N] marks cells whose route used them."""
    n = neighbor.shape[0]
    heap = np.empty(n, np.int32)
    place = np.full(n, -1, np.int32)
    size = 0
    handled = 0
    for cell in range(n):
        if affected[cell]:
            times[cell] = math.inf
    for cell in range(n):
        if not affected[cell]:
            continue
        best = math.inf
        for k in range(6):
            other = neighbor[cell, k]
            if other >= 0 and not affected[other]:
                best = min(best, times[other] + time_h[edge[cell, k]])
        if best < math.inf:
            times[cell] = best
            size = lift(heap, place, times, size, cell)
    while size > 0:
        cell = take(heap, place, times, size)
        size -= 1
        handled += 1
        for k in range(6):
            other = neighbor[cell, k]
            if other >= 0:
                total = times[cell] + time_h[edge[cell, k]]
                if total < times[other]:
                    times[other] = total
                    size = lift(heap, place, times, size, other)
    return handled


@njit(cache=True)
def follow(neighbor: np.ndarray, slot: np.ndarray, start: int) -> np.ndarray:
    """Return int32[], the cells from `start` along the forest to its root."""
    count = 1
    cell = start
    while slot[cell] >= 0:
        cell = neighbor[cell, slot[cell]]
        count += 1
    out = np.empty(count, np.int32)
    cell = start
    for i in range(count):
        out[i] = cell
        if slot[cell] >= 0:
            cell = neighbor[cell, slot[cell]]
    return out


@njit(cache=True)
def mark_ranges(number: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """Return bool[N], true where a number falls in one of the disjoint, rising ranges."""
    out = np.zeros(number.size, np.bool_)
    for i in range(number.size):
        low = np.searchsorted(starts, number[i], side="right") - 1
        out[i] = low >= 0 and number[i] < stops[low]
    return out
