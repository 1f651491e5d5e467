"""Bands: the range of every level cut into steps, so that one programme sees a floor at every step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from abatis.barrier.levels import Levels

BAND_SHARE = 0.02
MOST_BANDS = 24


@dataclass(frozen=True)
class Bands:
    """The bands of all levels inside one box; a band outside the box has no width there.

    Bands of level l are `start[l]:start[l + 1]`, from `a_h` to `b_h`; `low_h` and `high_h` are the box.
    """

    start: np.ndarray
    a_h: np.ndarray
    b_h: np.ndarray
    low_h: np.ndarray
    high_h: np.ndarray


def make_grid(levels: Levels, value_h: float, most_bands: int = MOST_BANDS) -> list[np.ndarray]:
    """Cut the root range of every level into equal steps of about `BAND_SHARE` of the value (weighted).

    `value_h` is the value of the best plan known; when there is none, of the least any plan can have.
    """
    scale_h = value_h if np.isfinite(value_h) else float(levels.weight @ levels.low_h)
    step_h = max(BAND_SHARE * abs(scale_h), 1e-6 * levels.span_h)
    grid = []
    for low, high, weight in zip(levels.low_h, levels.high_h, levels.weight, strict=True):
        count = int(np.clip(np.ceil(weight * (high - low) / step_h), 1, most_bands))
        grid.append(np.linspace(low, high, count + 1))
    return grid


def cut_bands(grid: list[np.ndarray], low_h: np.ndarray, high_h: np.ndarray) -> Bands:
    """Cut the grid's bands to a box.

    Examples
    --------
    >>> bands = cut_bands([np.array([0.0, 2.0, 4.0, 6.0])], np.array([1.0]), np.array([4.0]))
    >>> bands.a_h.tolist(), bands.b_h.tolist()
    ([1.0, 2.0, 4.0], [2.0, 4.0, 4.0])
    """
    counts = [len(edges) - 1 for edges in grid]
    low, high = np.repeat(low_h, counts), np.repeat(high_h, counts)
    a_h = np.clip(np.concatenate([edges[:-1] for edges in grid]), low, high)
    b_h = np.clip(np.concatenate([edges[1:] for edges in grid]), low, high)
    return Bands(np.append(0, np.cumsum(counts)), a_h, b_h, low_h, high_h)
