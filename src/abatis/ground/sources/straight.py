"""Rasters that lie straight on degrees are read without warping: the same pixels, several times as fast."""

from __future__ import annotations

import numpy as np
import rasterio
from affine import Affine
from numba import njit
from rasterio.enums import MaskFlags
from rasterio.windows import Window

# A finer raster would be read in full only to leave most of it out; warping uses its overviews.
FINEST = 4.0
SMALL_KINDS = ("uint8", "int8", "uint16", "int16")


def read_straight(
    opened: rasterio.DatasetReader, transform: Affine, rows: int, columns: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Read what a window in degrees needs of a raster in degrees, north up.

    Parameters
    ----------
    opened : the raster.
    transform, rows, columns : the window (EPSG:4326), north up.

    Returns
    -------
    The raster's pixels, and where the window's centres lie among them, y f8[rows], x f8[columns], in pixels;
    None for a raster that must be warped: another CRS, turned, much finer, or with a mask of its own.
    """
    own = opened.transform
    masked = opened.mask_flag_enums[0]
    plain = masked == [MaskFlags.all_valid] or masked == [MaskFlags.nodata]
    straight = own.b == own.d == 0 and own.a > 0 > own.e
    if not plain or not straight or opened.crs is None or opened.crs.to_epsg() != 4326:
        return None
    if transform.a > FINEST * own.a or transform.e < FINEST * own.e:
        return None
    x = (transform.c + (np.arange(columns) + 0.5) * transform.a - own.c) / own.a
    y = (transform.f + (np.arange(rows) + 0.5) * transform.e - own.f) / own.e
    # One pixel more on each side: interpolation looks at the neighbours.
    left, top = max(0, int(np.floor(x[0])) - 1), max(0, int(np.floor(y[0])) - 1)
    right, bottom = min(opened.width, int(x[-1]) + 2), min(opened.height, int(y[-1]) + 2)
    if right <= left or bottom <= top:
        return np.zeros((0, 0), opened.dtypes[0]), y, x
    values = opened.read(1, window=Window(left, top, right - left, bottom - top))
    return values, y - top, x - left


def pick_classes(
    values: np.ndarray,
    y: np.ndarray,
    x: np.ndarray,
    nodata: float | None,
    words: dict[int, int],
    out: np.ndarray,
    nothing: int,
) -> None:
    """Write the word of the pixel under each centre into `out` uint8 where it holds `nothing`.

    Parameters
    ----------
    values, y, x : as `read_straight` gives them; whole numbers of at most 16 bits.
    nodata : code that says nothing, or None.
    words : code -> index of its word.
    out, nothing : uint8[rows, columns], and the number that says that nothing is known yet.
    """
    low = np.iinfo(values.dtype).min
    table = np.full(np.iinfo(values.dtype).max - low + 1, nothing, np.uint8)
    for code, word in words.items():
        if low <= code < low + len(table) and code != nodata:
            table[code - low] = word
    _pick(values, np.floor(y).astype(np.int64), np.floor(x).astype(np.int64), table, low, nothing, out)


@njit(cache=True, nogil=True)
def _pick(
    values: np.ndarray,
    y: np.ndarray,
    x: np.ndarray,
    table: np.ndarray,
    low: int,
    nothing: int,
    out: np.ndarray,
) -> None:
    rows, columns = values.shape
    for i in range(len(y)):
        if y[i] < 0 or y[i] >= rows:
            continue
        for j in range(len(x)):
            if 0 <= x[j] < columns and out[i, j] == nothing:
                out[i, j] = table[np.int64(values[y[i], x[j]]) - low]


@njit(cache=True, nogil=True)
def interpolate(values: np.ndarray, y: np.ndarray, x: np.ndarray, nodata: float, out: np.ndarray) -> None:
    """Write the bilinear mean of the four pixels around each centre into `out` f4 where it is NaN.

    In words: pixels without data are left out of the mean; centres on such pixels or outside the raster stay
    NaN, as in GDAL.
    """
    rows, columns = values.shape
    left, aside = np.empty(len(x), np.int64), np.empty(len(x))
    for j in range(len(x)):
        left[j] = int(np.floor(x[j] - 0.5))
        aside[j] = x[j] - 0.5 - left[j]
    for i in range(len(y)):
        if y[i] < 0 or y[i] >= rows:
            continue
        top = int(np.floor(y[i] - 0.5))
        down = y[i] - 0.5 - top
        upper, lower = max(top, 0), min(top + 1, rows - 1)
        for j in range(len(x)):
            if x[j] < 0 or x[j] >= columns or not np.isnan(out[i, j]):
                continue
            under = float(values[int(y[i]), int(x[j])])
            if under == nodata or not np.isfinite(under):
                continue
            west, east = max(left[j], 0), min(left[j] + 1, columns - 1)
            total, weight = 0.0, 0.0
            for k in range(4):
                value = float(values[upper if k < 2 else lower, west if k % 2 == 0 else east])
                share = (1.0 - down if k < 2 else down) * (1.0 - aside[j] if k % 2 == 0 else aside[j])
                if value != nodata and np.isfinite(value):
                    total += share * value
                    weight += share
            if weight > 1e-5:
                out[i, j] = total / weight
