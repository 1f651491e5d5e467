"""Least times over a raster with moves in 8, 16 or 32 directions: the yardstick of travel times."""

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
    toll: np.ndarray,
    origin: int,
    move: np.ndarray,
    start: np.ndarray,
    pixel: np.ndarray,
    length: np.ndarray,
    wanted: np.ndarray,
    times: np.ndarray,
) -> None:
    """Fill `times` from one pixel (Dijkstra with a binary heap; a pixel may lie in it more than once).

    All pixels lie in one row after the other with a closed rim, so that no move leaves the raster; `move` and
    `pixel` are steps in that row.
    """
    keys = np.empty(1 << 20, np.float64)
    where = np.empty(1 << 20, np.int64)
    keys[0], where[0], size = 0.0, origin, 1
    times[origin] = 0.0
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
        if now > times[at]:
            continue
        if wanted[at]:
            wanted[at] = False
            left -= 1
            if left == 0:
                return
        for index in range(len(move)):
            to = at + move[index]
            best = times[to]
            if best <= now or hours[to] < 0:
                continue
            then, bank = now, toll[at]
            for k in range(start[index], start[index + 1]):
                passed = at + pixel[k]
                cost = hours[passed]
                if cost < 0:
                    then = np.inf
                    break
                then += cost * length[k] + 0.5 * abs(toll[passed] - bank)
                bank = toll[passed]
                if then >= best:
                    break
            if then >= best:
                continue
            times[to] = then
            if size == len(keys):
                keys = np.concatenate((keys, np.empty_like(keys)))
                where = np.concatenate((where, np.empty_like(where)))
            hole = size
            size += 1
            while hole and keys[(hole - 1) // 2] > then:
                keys[hole], where[hole] = keys[(hole - 1) // 2], where[(hole - 1) // 2]
                hole = (hole - 1) // 2
            keys[hole], where[hole] = then, to


def search_raster(
    hours: np.ndarray,
    row: int,
    column: int,
    directions: int,
    targets: np.ndarray | None = None,
    toll: np.ndarray | None = None,
) -> np.ndarray:
    """Least hours from one pixel to all others, f8[rows, columns], inf where there is no way.

    Parameters
    ----------
    hours : f8[rows, columns], hours to cross a pixel along its side; negative where closed.
    row, column : the start.
    directions : 8, 16 or 32.
    targets : pixels int64[n, 2] (row, column) after the last of which the search ends; elsewhere the hours
        are then upper limits only.
    toll : f8[rows, columns], hours paid once to cross a line of pixels (a river), 0 elsewhere.

    Formula: a move costs the sum over the pixels it passes of hours x length inside, from centre to centre,
    and half the difference of toll between each two of them.
    In words: with 8 directions and no toll this is what skimage's MCP_Geometric does (which has no more); a
    long move is closed where any pixel under it is, so nothing leaks through thin walls. Half a toll is paid
    when a line is entered, half when it is left, however thick the line is. Straight ways on even ground are
    at most 8.2, 2.7 and 1.3 % too long with 8, 16 and 32 directions.

    Examples
    --------
    Five pixels of one hour in a row, a river of two hours on the third: 4 h of driving and the crossing.

    >>> river = np.array([[0.0, 0.0, 2.0, 0.0, 0.0]])
    >>> float(search_raster(np.ones((1, 5)), 0, 0, 32, toll=river)[0, 4])
    6.0
    """
    moves = np.array(list_moves(directions))
    start, pixel, length = cut_moves(list_moves(directions))
    rim = REACH[directions]
    closed = np.pad(hours, rim, constant_values=-1.0)
    paid = np.zeros(closed.shape) if toll is None else np.pad(toll, rim)
    wanted = np.zeros(closed.shape, dtype=np.bool_)
    if targets is not None:
        wanted[targets[:, 0] + rim, targets[:, 1] + rim] = True
    times = np.full(closed.shape, np.inf)
    wide = closed.shape[1]
    _search(
        closed.ravel(),
        paid.ravel(),
        (row + rim) * wide + column + rim,
        moves @ np.array([wide, 1]),
        start,
        pixel @ np.array([wide, 1]),
        length,
        wanted.ravel(),
        times.ravel(),
    )
    return times[rim:-rim, rim:-rim]
