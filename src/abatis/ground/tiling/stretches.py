"""Places along road stretches, one per pixel length: how much of a road is drawn over water."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from abatis.ground.pixels import WATER, PixelGrid, PixelWindow, list_ranges
from abatis.ground.roads import Road, RoadStretches, measure_roads


@dataclass(frozen=True)
class StretchLines:
    """Stretches on lines whose points carry one rising measure: `x`, `y`, `measure_m` f8[P] (pixels, metres).

    `start_m`, `length_m` f8[K] in that measure; `count` int64[K], samples of each stretch.
    """

    x: np.ndarray
    y: np.ndarray
    measure_m: np.ndarray
    start_m: np.ndarray
    length_m: np.ndarray
    count: np.ndarray

    def find_limits(self) -> np.ndarray:
        """Return f8[K, 4]: least and largest x, then y, that the samples of each stretch can have."""
        first, stop = self._find_points(slice(None))
        stop = np.maximum(stop, first + 1)
        limits = np.empty((len(first), 4))
        for column, places in ((0, self.x), (2, self.y)):
            limits[:, column] = _reduce(np.minimum, places, first, stop)
            limits[:, column + 1] = _reduce(np.maximum, places, first, stop)
        return limits

    def _find_points(self, rows: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray]:
        """Return for each stretch the range of points that it runs over, one beyond on both sides."""
        start_m = self.start_m[rows]
        first = np.searchsorted(self.measure_m, start_m, side="right") - 1
        stop = np.searchsorted(self.measure_m, start_m + self.length_m[rows], side="left") + 1
        return np.maximum(first, 0), np.minimum(stop, len(self.measure_m))

    def take(self, rows: np.ndarray) -> StretchLines:
        """Return some of the stretches with the points they need."""
        point = np.sort(list_ranges(*self._find_points(rows)))
        point = point[np.diff(point, prepend=-1) > 0]
        return StretchLines(
            self.x[point], self.y[point], self.measure_m[point], self.start_m[rows], self.length_m[rows],
            self.count[rows],
        )  # fmt: skip

    def count_wet(
        self, cover: np.ndarray, window: PixelWindow, core: PixelWindow, grid: PixelGrid
    ) -> np.ndarray:
        """Return int32[K]: samples of each stretch that lie on water in the core.

        Parameters
        ----------
        cover : words of the pixels of the window, uint8[rows, columns].
        core : the pixels whose samples are counted; every sample of a road lies in the core of one square.
        """
        if len(self.count) == 0:
            return np.zeros(0, np.int32)
        owner = np.repeat(np.arange(len(self.count)), self.count)
        first = np.repeat(np.cumsum(self.count) - self.count, self.count)
        share = (np.arange(len(owner)) - first + 0.5) / self.count[owner]
        place = self.start_m[owner] + share * self.length_m[owner]
        x, y = (np.interp(place, self.measure_m, line) for line in (self.x, self.y))
        column = np.clip(np.floor(x).astype(np.int64), 0, grid.columns - 1)
        row = np.clip(np.floor(y).astype(np.int64), 0, grid.rows - 1)
        inside = (row >= core.row0) & (row < core.row0 + core.rows)
        inside &= (column >= core.column0) & (column < core.column0 + core.columns)
        row, column, owner = row[inside] - window.row0, column[inside] - window.column0, owner[inside]
        return np.bincount(owner[cover[row, column] == WATER], minlength=len(self.count)).astype(np.int32)


def _reduce(take: np.ufunc, values: np.ndarray, first: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Reduce each range of values; ranges may overlap."""
    pairs = np.column_stack([first, stop]).ravel()
    return np.asarray(take.reduceat(np.append(values, values[-1:]), pairs)[::2])


def lay_stretches(
    roads: list[Road], stretches: RoadStretches, grid: PixelGrid, pixel_m: float
) -> StretchLines:
    """Bring the road stretches to pixel units, all roads one after the other on one measure."""
    points = np.concatenate([np.zeros((0, 2)), *(road.points for road in roads)])
    first = np.cumsum([0, *(len(road.points) for road in roads)])
    along = measure_roads(points, first)
    # A metre between roads keeps the measure rising.
    base = np.cumsum(np.append(0.0, along[first[1:] - 1] + 1.0))[: len(roads)]
    x, y = grid.to_pixels(points[:, 0], points[:, 1])
    start_m = base[stretches.road] + np.minimum(stretches.start_m, stretches.stop_m)
    length_m = np.abs(stretches.length_m)
    count = np.maximum(1, np.ceil(length_m / pixel_m)).astype(np.int64)
    return StretchLines(x, y, along + np.repeat(base, np.diff(first)), start_m, length_m, count)
