"""Least times over a raster with moves in 8, 16 or 32 directions: the yardstick of the fidelity benchmark."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numba import njit

REACH = {8: 1, 16: 2, 32: 3}


def list_moves(directions: int) -> list[tuple[int, int]]:
    """Return the moves (rows, columns) to the nearest pixel in each of 8, 16 or 32 directions."""
    reach = REACH[directions]
    steps = range(-reach, reach + 1)
    return [(i, j) for i in steps for j in steps if math.gcd(i, j) == 1]


def cut_moves(moves: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut each move into its pixels.

    Returns
    -------
    start int64[M + 1], pixel int64[P, 2] (row, column from the start pixel), length f8[P] in pixels: move m
    passes through pixel[start[m]:start[m + 1]], each for that length.

    Examples
    --------
    >>> start, pixel, length = cut_moves([(1, 2)])
    >>> pixel.tolist(), [round(float(one), 3) for one in length]
    ([[0, 0], [0, 1], [1, 1], [1, 2]], [0.559, 0.559, 0.559, 0.559])
    """
    start, pixel, length = [0], [], []
    for rows, columns in moves:
        cuts = {0.0, 1.0}
        for count in (abs(rows), abs(columns)):
            cuts |= {(k + 0.5) / count for k in range(count)}
        ordered = sorted(cuts)
        for low, high in pairwise(ordered):
            if high - low < 1e-9:
                continue
            middle = (low + high) / 2
            pixel.append((math.floor(rows * middle + 0.5), math.floor(columns * middle + 0.5)))
            length.append((high - low) * math.hypot(rows, columns))
        start.append(len(pixel))
    return np.array(start), np.array(pixel), np.array(length)


@njit(cache=True)
def _search(
    hours: np.ndarray,
    row0: int,
    column0: int,
    moves: np.ndarray,
    start: np.ndarray,
    pixel: np.ndarray,
    length: np.ndarray,
    wanted: np.ndarray,
    times: np.ndarray,
) -> None:
    """Fill `times` from one pixel (Dijkstra with a binary heap; a pixel may lie in it more than once)."""
    rows, columns = hours.shape
    keys = np.empty(1 << 20, np.float64)
    where = np.empty(1 << 20, np.int64)
    keys[0], where[0], size = 0.0, row0 * columns + column0, 1
    times[row0, column0] = 0.0
    left = wanted.sum()
    while size:
        now, at = keys[0], where[0]
        size -= 1
        key, value, hole = keys[size], where[size], 0
        while True:
            child = 2 * hole + 1
            if child >= size:
                break
            if child + 1 < size and keys[child + 1] < keys[child]:
                child += 1
            if keys[child] >= key:
                break
            keys[hole], where[hole] = keys[child], where[child]
            hole = child
        keys[hole], where[hole] = key, value
        row, column = at // columns, at % columns
        if now > times[row, column]:
            continue
        if wanted[row, column]:
            wanted[row, column] = False
            left -= 1
            if left == 0:
                return
        for move in range(len(moves)):
            to_row, to_column = row + moves[move, 0], column + moves[move, 1]
            if to_row < 0 or to_column < 0 or to_row >= rows or to_column >= columns:
                continue
            if times[to_row, to_column] <= now:
                continue
            then = now
            for k in range(start[move], start[move + 1]):
                cost = hours[row + pixel[k, 0], column + pixel[k, 1]]
                if cost < 0:
                    then = np.inf
                    break
                then += cost * length[k]
            if then >= times[to_row, to_column]:
                continue
            times[to_row, to_column] = then
            if size == len(keys):
                keys = np.concatenate((keys, np.empty_like(keys)))
                where = np.concatenate((where, np.empty_like(where)))
            hole = size
            size += 1
            while hole and keys[(hole - 1) // 2] > then:
                keys[hole], where[hole] = keys[(hole - 1) // 2], where[(hole - 1) // 2]
                hole = (hole - 1) // 2
            keys[hole], where[hole] = then, to_row * columns + to_column


def search_raster(
    hours: np.ndarray, row: int, column: int, directions: int, targets: np.ndarray | None = None
) -> np.ndarray:
    """Least hours from one pixel to all others, f8[rows, columns], inf where there is no way.

    Parameters
    ----------
    hours : f8[rows, columns], hours to cross a pixel along its side; negative where closed.
    row, column : the start.
    directions : 8, 16 or 32.
    targets : pixels int64[n, 2] (row, column) after the last of which the search ends; elsewhere the hours
        are then upper limits only.

    Formula: a move costs the sum over the pixels it passes of hours x length inside, from centre to centre.
    In words: with 8 directions this is what skimage's MCP_Geometric does (which has no more); a long move
    is closed where any pixel under it is, so nothing leaks through thin walls. Straight ways on even ground
    are at most 8.2, 2.7 and 1.3 % too long with 8, 16 and 32 directions.
    """
    moves = list_moves(directions)
    wanted = np.zeros(hours.shape, dtype=np.bool_)
    if targets is not None:
        wanted[targets[:, 0], targets[:, 1]] = True
    times = np.full(hours.shape, np.inf)
    _search(hours, row, column, np.array(moves), *cut_moves(moves), wanted, times)
    return times
