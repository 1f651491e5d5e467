"""The exact answer, slowly: every sight line by itself. Checks the fast viewshed; shares no code with it."""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange


@njit(cache=True)
def trace_line(
    surface: np.ndarray, ground: np.ndarray, post: tuple[int, int, float], cell: tuple[int, int],
    sizes: tuple[float, float], target_m: float, curve_per_m: float,
) -> bool:  # fmt: skip
    """Say whether one cell's target is seen, by the profile along the straight line between the two centres.

    The profile is taken where the line crosses rows (or columns, if it runs more east-west than north-south),
    linear between the two neighbouring cell centres. Each height is lowered by curve x distance squared.
    `post` row, column, eye height; `sizes` cell width and height in metres.
    """
    down, right = cell[0] - post[0], cell[1] - post[1]
    steps = max(abs(down), abs(right))
    if steps == 0:
        return True
    top_m = float(ground[cell]) + target_m
    if top_m < float(surface[cell]):
        return False
    length_m = math.hypot(down * sizes[1], right * sizes[0])
    end = top_m - post[2] - curve_per_m * length_m**2
    for step in range(1, steps):
        y, x = post[0] + down * step / steps, post[1] + right * step / steps
        r0, c0 = math.floor(y), math.floor(x)
        r1, c1 = min(r0 + 1, surface.shape[0] - 1), min(c0 + 1, surface.shape[1] - 1)
        if abs(down) == steps:
            r0 = post[0] + (step if down > 0 else -step)
            share, h0, h1 = x - c0, float(surface[r0, c0]), float(surface[r0, c1])
        else:
            c0 = post[1] + (step if right > 0 else -step)
            share, h0, h1 = y - r0, float(surface[r0, c0]), float(surface[r1, c0])
        distance_m = length_m * step / steps
        height = (1.0 - share) * h0 + share * h1 - post[2] - curve_per_m * distance_m**2
        if height > end * step / steps + 1e-6:
            return False
    return True


@njit(cache=True, parallel=True)
def trace_lines(
    surface: np.ndarray, ground: np.ndarray, post: tuple[int, int, float], cells: np.ndarray,
    sizes: tuple[float, float], target_m: float, curve_per_m: float,
) -> np.ndarray:  # fmt: skip
    """Return for each of cells int64[n, 2] (row, column) whether its target is seen, bool[n]."""
    seen = np.empty(len(cells), np.bool_)
    for one in prange(len(cells)):
        cell = (cells[one, 0], cells[one, 1])
        seen[one] = trace_line(surface, ground, post, cell, sizes, target_m, curve_per_m)
    return seen
