"""Compiled kernel: what many posts see, each in its own window, one post per thread."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from abatis.watch._sight import (
    HIDDEN,
    VISIBLE,
    Place,
    Reach,
    Relief,
    mark_outside,
    measure_fan,
    sweep_fan,
)


@njit(cache=True, parallel=True, nogil=True)
def see_windows(
    relief: Relief, places: np.ndarray, corners: np.ndarray, eye_m: float, reach: Reach,
    sector: tuple[float, float, float, float, bool], by_sight: bool, windows: np.ndarray,
) -> None:  # fmt: skip
    """Write what some posts see into `windows` uint8[posts, height, width]: VISIBLE, or another value if not.

    `places`, `corners` int64[posts, 2], row and column of the posts and of the upper left pixels of their
    windows, which lie inside the raster; `eye_m` above ground; without `by_sight` range and sector decide.
    """
    for p in prange(len(places)):
        row, column = places[p, 0], places[p, 1]
        place, origin = Place(row, column, relief.ground[row, column] + eye_m), (corners[p, 0], corners[p, 1])
        if by_sight:
            windows[p] = HIDDEN
            for quadrant in range(4):
                sweep_fan(relief, place, reach, measure_fan(quadrant, 0, 1, place, reach, relief),
                          windows[p], origin)  # fmt: skip
        else:
            windows[p] = VISIBLE
        windows[p, row - origin[0], column - origin[1]] = VISIBLE
        mark_outside(windows[p], origin, place, relief, reach.range_m, sector, int(HIDDEN))
