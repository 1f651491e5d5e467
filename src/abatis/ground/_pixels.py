"""Compiled kernels on the working pixels: burning polygons, counting per cell, sampling edges."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def _rows_of(y0: float, y1: float, first: int, last: int) -> tuple[int, int]:
    """Rows whose centre line a segment crosses (half-open, so a shared corner counts once)."""
    low, high = (y0, y1) if y0 < y1 else (y1, y0)
    return max(first, int(np.ceil(low - 0.5))), min(last, int(np.ceil(high - 0.5)) - 1)


@njit(cache=True)
def burn_shapes(
    out: np.ndarray,
    row0: int,
    x: np.ndarray,
    y: np.ndarray,
    ring_start: np.ndarray,
    shape_start: np.ndarray,
    row_low: np.ndarray,
    row_high: np.ndarray,
    values: np.ndarray,
) -> None:
    """Write each shape's value into the pixels whose centre lies inside it (even-odd rule), in order.

    `x`, `y` are pixel units of the whole grid; `out` holds the rows from `row0` on.
    """
    rows, columns = out.shape
    for shape in range(len(values)):
        first = max(row_low[shape], row0)
        last = min(row_high[shape], row0 + rows - 1)
        if first > last:
            continue
        start = np.zeros(last - first + 2, np.int64)
        for ring in range(shape_start[shape], shape_start[shape + 1]):
            for k in range(ring_start[ring], ring_start[ring + 1] - 1):
                low, high = _rows_of(y[k], y[k + 1], first, last)
                for row in range(low, high + 1):
                    start[row - first + 1] += 1
        for row in range(last - first + 1):
            start[row + 1] += start[row]
        cut = np.empty(start[-1])
        fill = start[:-1].copy()
        for ring in range(shape_start[shape], shape_start[shape + 1]):
            for k in range(ring_start[ring], ring_start[ring + 1] - 1):
                low, high = _rows_of(y[k], y[k + 1], first, last)
                for row in range(low, high + 1):
                    share = (row + 0.5 - y[k]) / (y[k + 1] - y[k])
                    cut[fill[row - first]] = x[k] + share * (x[k + 1] - x[k])
                    fill[row - first] += 1
        for row in range(last - first + 1):
            line = np.sort(cut[start[row] : start[row + 1]])
            for pair in range(0, len(line) - 1, 2):
                left = max(0, int(np.ceil(line[pair] - 0.5)))
                right = min(columns, int(np.ceil(line[pair + 1] - 0.5)))
                for column in range(left, right):
                    out[first + row - row0, column] = values[shape]


@njit(cache=True)
def classify_slope(
    height: np.ndarray, east_m: np.ndarray, north_m: float, limits: np.ndarray, unknown: int, out: np.ndarray
) -> None:
    """Write the slope class of each row of `out`; `height` has one more row above and below."""
    rows, columns = out.shape
    for i in range(rows):
        for j in range(columns):
            west, east = max(0, j - 1), min(columns - 1, j + 1)
            dx = (height[i + 1, east] - height[i + 1, west]) / (max(1, east - west) * east_m[i])
            dy = (height[i, j] - height[i + 2, j]) / (2.0 * north_m)
            percent = 100.0 * np.sqrt(dx * dx + dy * dy)
            if np.isnan(percent):
                out[i, j] = unknown
                continue
            word = 0
            while word < len(limits) and percent >= limits[word]:
                word += 1
            out[i, j] = word


@njit(cache=True)
def count_classes(labels: np.ndarray, classes: np.ndarray, counts: np.ndarray) -> None:
    """Add the pixels of each class to the cell they lie in; classes beyond the table are left out."""
    most = counts.shape[1]
    for i in range(labels.shape[0]):
        for j in range(labels.shape[1]):
            cell = labels[i, j]
            word = classes[i, j]
            if cell >= 0 and 0 <= word < most:
                counts[cell, word] += 1


@njit(cache=True)
def sum_heights(labels: np.ndarray, height: np.ndarray, total: np.ndarray, count: np.ndarray) -> None:
    """Add known elevations to the cell they lie in."""
    for i in range(labels.shape[0]):
        for j in range(labels.shape[1]):
            cell = labels[i, j]
            if cell >= 0 and not np.isnan(height[i, j]):
                total[cell] += height[i, j]
                count[cell] += 1


@njit(cache=True)
def sample_edges(
    ends: np.ndarray, samples: int, passable: np.ndarray, row0: int, passed: np.ndarray, seen: np.ndarray
) -> None:
    """Count the passable samples along each edge's boundary that fall on the rows held.

    `ends` f8[E, 4]: x0, y0, x1, y1 of the boundary in pixel units of the whole grid.
    """
    rows, columns = passable.shape
    for edge in range(len(ends)):
        x0, y0, x1, y1 = ends[edge]
        if max(y0, y1) < row0 or min(y0, y1) >= row0 + rows:
            continue
        for k in range(samples):
            share = (k + 0.5) / samples
            row = int(np.floor(y0 + share * (y1 - y0))) - row0
            column = int(np.floor(x0 + share * (x1 - x0)))
            if 0 <= row < rows and 0 <= column < columns:
                seen[edge] += 1
                passed[edge] += passable[row, column]
