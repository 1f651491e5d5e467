"""Compiled kernels on the working pixels: burning polygons, counting per cell, sampling edges."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def _rows_of(y0: float, y1: float, first: int, last: int) -> tuple[int, int]:
    """Rows whose centre line a segment crosses (half-open, so a shared corner counts once)."""
    low, high = (y0, y1) if y0 < y1 else (y1, y0)
    return max(first, int(np.ceil(low - 0.5))), min(last, int(np.ceil(high - 0.5)) - 1)


@njit(cache=True, nogil=True)
def burn_pieces(
    out: np.ndarray, row0: int, column0: int, pieces: np.ndarray, start: np.ndarray, values: np.ndarray
) -> None:
    """Write each shape's value into the pixels whose centre lies inside it (even-odd rule), in order.

    `pieces` f8[S, 4]: x0, y0, x1, y1 in pixel units of the whole grid; those of shape k stand from start[k]
    to start[k + 1]; `out` holds the pixels from `row0`, `column0` on.
    """
    rows, columns = out.shape
    for shape in range(len(values)):
        own = pieces[start[shape] : start[shape + 1]]
        count = np.zeros(rows + 1, np.int64)
        for k in range(len(own)):
            low, high = _rows_of(own[k, 1], own[k, 3], row0, row0 + rows - 1)
            for row in range(low, high + 1):
                count[row - row0 + 1] += 1
        for row in range(rows):
            count[row + 1] += count[row]
        cut = np.empty(count[-1])
        fill = count[:-1].copy()
        for k in range(len(own)):
            x0, y0, x1, y1 = own[k]
            low, high = _rows_of(y0, y1, row0, row0 + rows - 1)
            for row in range(low, high + 1):
                cut[fill[row - row0]] = x0 + (row + 0.5 - y0) / (y1 - y0) * (x1 - x0)
                fill[row - row0] += 1
        for row in range(rows):
            if count[row] == count[row + 1]:
                continue
            line = np.sort(cut[count[row] : count[row + 1]])
            for pair in range(0, len(line) - 1, 2):
                left = max(0, int(np.ceil(line[pair] - 0.5)) - column0)
                right = min(columns, int(np.ceil(line[pair + 1] - 0.5)) - column0)
                for column in range(left, right):
                    out[row, column] = values[shape]


@njit(cache=True, nogil=True)
def classify_slope(
    height: np.ndarray,
    east_m: np.ndarray,
    north_m: np.ndarray,
    limits: np.ndarray,
    unknown: int,
    out: np.ndarray,
) -> None:
    """Write the slope class of every pixel; `height` has one more pixel on every side.

    `east_m`, `north_m` f8[rows]: metres from a pixel to the next.
    """
    rows, columns = out.shape
    for i in range(rows):
        across, down = 0.5 / east_m[i], 0.5 / north_m[i]
        for j in range(columns):
            dx = (height[i + 1, j + 2] - height[i + 1, j]) * across
            dy = (height[i, j + 1] - height[i + 2, j + 1]) * down
            percent = 100.0 * np.sqrt(dx * dx + dy * dy)
            if np.isnan(percent):
                out[i, j] = unknown
                continue
            word = 0
            while word < len(limits) and percent >= limits[word]:
                word += 1
            out[i, j] = word


@njit(cache=True, nogil=True)
def count_classes(labels: np.ndarray, classes: np.ndarray, counts: np.ndarray) -> None:
    """Add the pixels of each class to their cell; cells and classes beyond the table are left out."""
    cells, most = counts.shape
    for i in range(labels.shape[0]):
        for j in range(labels.shape[1]):
            cell = labels[i, j]
            word = classes[i, j]
            if 0 <= cell < cells and 0 <= word < most:
                counts[cell, word] += 1


@njit(cache=True, nogil=True)
def count_cover(
    labels: np.ndarray,
    cover: np.ndarray,
    country: np.ndarray,
    unknown: int,
    default: int,
    cover_counts: np.ndarray,
    country_counts: np.ndarray,
    pixels: np.ndarray,
) -> tuple[int, int]:
    """Turn unknown cover into the default and add cover, country and pixels to their cells.

    `pixels` int32[N, 1]; labels beyond the tables are left out. Returns how many pixels of cells had no
    cover, and how many of those no country either.
    """
    cells, countries = country_counts.shape
    lost, stateless = 0, 0
    for i in range(labels.shape[0]):
        start, columns = 0, labels.shape[1]
        while start < columns:
            # Neighbouring pixels are mostly alike: a run of them is added at once.
            cell, word, code = labels[i, start], cover[i, start], country[i, start]
            stop = start + 1
            while (
                stop < columns
                and labels[i, stop] == cell
                and cover[i, stop] == word
                and country[i, stop] == code
            ):
                stop += 1
            inside = 0 <= cell < cells
            if word == unknown:
                for j in range(start, stop):
                    cover[i, j] = default
                if inside:
                    lost += stop - start
                    stateless += stop - start if code == unknown else 0
                word = default
            if inside:
                cover_counts[cell, word] += stop - start
                pixels[cell, 0] += stop - start
                if code < countries:
                    country_counts[cell, code] += stop - start
            start = stop
    return lost, stateless


@njit(cache=True, nogil=True)
def sum_heights(labels: np.ndarray, height: np.ndarray, total: np.ndarray, count: np.ndarray) -> None:
    """Add known elevations to the cell they lie in."""
    for i in range(labels.shape[0]):
        for j in range(labels.shape[1]):
            cell = labels[i, j]
            if 0 <= cell < len(total) and not np.isnan(height[i, j]):
                total[cell] += height[i, j]
                count[cell] += 1


@njit(cache=True, nogil=True)
def sample_edges(
    ends: np.ndarray,
    samples: int,
    passable: np.ndarray,
    cover: np.ndarray,
    slope: np.ndarray,
    row0: int,
    column0: int,
    passed: np.ndarray,
    seen: np.ndarray,
) -> None:
    """Count the samples along each edge's boundary and those of them on passable ground.

    `ends` f8[E, 4]: x0, y0, x1, y1 of the boundary in pixel units of the whole grid; `passable` bool[cover,
    slope]; `cover`, `slope` are the pixels from `row0`, `column0` on; where the slope is not known, also
    where `slope` is empty, the ground is taken as level.
    """
    rows, columns = cover.shape
    for edge in range(len(ends)):
        x0, y0, x1, y1 = ends[edge]
        for k in range(samples):
            share = (k + 0.5) / samples
            row = int(np.floor(y0 + share * (y1 - y0))) - row0
            column = int(np.floor(x0 + share * (x1 - x0))) - column0
            if 0 <= row < rows and 0 <= column < columns:
                steep = slope[row, column] if slope.size else 0
                seen[edge] += 1
                passed[edge] += passable[cover[row, column], steep if steep < passable.shape[1] else 0]
