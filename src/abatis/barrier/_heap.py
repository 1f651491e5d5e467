"""A queue for the searches of this room: a heap with four children per node, keys and items in two arrays."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def push_heap(keys: np.ndarray, items: np.ndarray, size: int, key: float, item: int) -> int:
    """Add (key, item) to a heap of `size` entries; returns the new size."""
    place = size
    while place > 0:
        above = (place - 1) >> 2
        if keys[above] <= key:
            break
        keys[place] = keys[above]
        items[place] = items[above]
        place = above
    keys[place] = key
    items[place] = item
    return size + 1


@njit(cache=True, nogil=True)
def pop_heap(keys: np.ndarray, items: np.ndarray, size: int) -> int:
    """Remove the least entry; the caller reads keys[0], items[0] first. Returns the new size."""
    size -= 1
    key = keys[size]
    item = items[size]
    place = 0
    while True:
        child = 4 * place + 1
        if child >= size:
            break
        least = child
        for one in range(child + 1, min(child + 4, size)):
            if keys[one] < keys[least]:
                least = one
        if keys[least] >= key:
            break
        keys[place] = keys[least]
        items[place] = items[least]
        place = least
    keys[place] = key
    items[place] = item
    return size
