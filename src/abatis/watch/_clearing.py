"""Compiled tracing of sight lines that marks the trees standing in them."""

from __future__ import annotations

import math

import numpy as np
from numba import njit


@njit(cache=True)
def mark_lines(
    surface: np.ndarray, ground: np.ndarray, wood: np.ndarray, post: tuple[int, int, float],
    cells: np.ndarray, size_m: float, target_m: float, curve_per_m: float, marks: np.ndarray,
) -> None:  # fmt: skip
    """Mark the pixels of `wood` whose trees stand in the sight lines from a post to some pixels.

    The profile is that of viewsheds: where the line crosses rows (or columns), linear between two centres;
    where it stands above the line, the pixels of wood that it lies between are marked, and the pixel looked
    at when its own trees are higher than the target. `cells` int64[n, 2]; `marks` bool[rows, columns].
    """
    rows, columns = surface.shape
    for one in range(len(cells)):
        down, right = cells[one, 0] - post[0], cells[one, 1] - post[1]
        steps = max(abs(down), abs(right))
        if steps == 0:
            continue
        top_m = float(ground[cells[one, 0], cells[one, 1]]) + target_m
        if top_m < surface[cells[one, 0], cells[one, 1]] and wood[cells[one, 0], cells[one, 1]]:
            marks[cells[one, 0], cells[one, 1]] = True
        length_m = math.hypot(down * size_m, right * size_m)
        end = top_m - post[2] - curve_per_m * length_m**2
        for step in range(1, steps):
            y, x = post[0] + down * step / steps, post[1] + right * step / steps
            r0, c0 = math.floor(y), math.floor(x)
            if abs(down) == steps:
                r0 = post[0] + (step if down > 0 else -step)
                r1, c1, share = r0, min(c0 + 1, columns - 1), x - c0
            else:
                c0 = post[1] + (step if right > 0 else -step)
                r1, c1, share = min(r0 + 1, rows - 1), c0, y - r0
            distance_m = length_m * step / steps
            height = (1.0 - share) * surface[r0, c0] + share * surface[r1, c1] - post[2]
            if height - curve_per_m * distance_m**2 <= end * step / steps + 1e-6:
                continue
            if share < 1.0 and wood[r0, c0]:
                marks[r0, c0] = True
            if share > 0.0 and wood[r1, c1]:
                marks[r1, c1] = True
