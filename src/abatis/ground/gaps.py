"""Geometry of edges and their trafficable width."""

from __future__ import annotations

import numpy as np
from numba import njit

from abatis.ground.hexgrid import HexGrid, find_corners, find_neighbors, number_edges
from abatis.ground.pixels import PixelGrid, metres_per_degree

SAMPLES = 13


class EdgeGeometry:
    """Cells' neighbours and the edges between them (N cells, E edges).

    `neighbor`, `edge` int32[N, 6]; `edge_a`, `edge_b` int32[E]; `ends` f8[E, 4] lon, lat of the two corners;
    `length_m`, `distance_m` f8[E]; `area_km2` f8[N]; `corners` f8[C, 2] lon, lat, `cell_corner` int32[N, 6].
    """

    def __init__(self, grid: HexGrid) -> None:
        self.neighbor = find_neighbors(grid)
        self.edge, self.edge_a, self.edge_b = number_edges(self.neighbor)
        corners, cell_corner = find_corners(grid, self.neighbor)
        self.corners, self.cell_corner = corners, cell_corner
        side = np.empty(len(self.edge_a), np.int64)
        for k in range(6):
            own = (self.edge[:, k] >= 0) & (self.neighbor[:, k] > np.arange(len(grid.cells)))
            side[self.edge[own, k]] = k
        first = corners[cell_corner[self.edge_a, (side + 5) % 6]]
        second = corners[cell_corner[self.edge_a, side]]
        self.ends = np.column_stack([first, second])
        self.length_m = measure_m(first[:, 0], first[:, 1], second[:, 0], second[:, 1])
        a, b = self.edge_a, self.edge_b
        self.distance_m = measure_m(grid.lon[a], grid.lat[a], grid.lon[b], grid.lat[b])
        self.area_km2 = _measure_cells(grid, corners[cell_corner])


def measure_m(lon0: np.ndarray, lat0: np.ndarray, lon1: np.ndarray, lat1: np.ndarray) -> np.ndarray:
    """Length of short lines in metres on the WGS84 ellipsoid.

    Formula: sqrt((e dlon)^2 + (n dlat)^2), e and n metres per degree at the middle latitude.
    In words: the ground is flat over the length of an edge; against the geodesic the error is below 1 mm
    per km.

    Examples
    --------
    >>> lon = np.array([24.0])
    >>> [round(float(d)) for d in measure_m(lon, np.array([55.0]), lon, np.array([55.01]))]
    [1113]
    """
    east_m, north_m = metres_per_degree((lat0 + lat1) / 2)
    return np.asarray(np.hypot(east_m * (lon1 - lon0), north_m * (lat1 - lat0)))


def _measure_cells(grid: HexGrid, corners: np.ndarray) -> np.ndarray:
    """Area of each cell in km2 from its corners f8[N, 6, 2] (shoelace in local metres)."""
    east_m, north_m = metres_per_degree(corners[:, :, 1].mean(axis=1))
    x = (corners[:, :, 0] - grid.lon[:, None]) * east_m[:, None]
    y = (corners[:, :, 1] - grid.lat[:, None]) * north_m[:, None]
    twice = x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y
    return np.asarray(np.abs(twice.sum(axis=1)) / 2e6)


def find_ends_in_pixels(geometry: EdgeGeometry, grid: PixelGrid) -> np.ndarray:
    """Return the corners of each edge in pixel units, f8[E, 4]: x0, y0, x1, y1."""
    x0, y0 = grid.to_pixels(geometry.ends[:, 0], geometry.ends[:, 1])
    x1, y1 = grid.to_pixels(geometry.ends[:, 2], geometry.ends[:, 3])
    return np.column_stack([x0, y0, x1, y1])


@njit(cache=True)
def _is_open(cover: np.ndarray, open_words: np.ndarray, row0: int, column0: int, x: float, y: float) -> bool:
    row, column = int(np.floor(y)) - row0, int(np.floor(x)) - column0
    if row < 0 or column < 0 or row >= cover.shape[0] or column >= cover.shape[1]:
        return False
    return bool(open_words[cover[row, column]])


@njit(cache=True)
def _is_leg_open(
    cover: np.ndarray,
    open_words: np.ndarray,
    row0: int,
    column0: int,
    x0: float,
    y0: float,
    x1: float,
    y1: float,
) -> bool:
    steps = int(np.ceil(2 * np.hypot(x1 - x0, y1 - y0))) + 1
    for k in range(steps + 1):
        share = k / steps
        if not _is_open(cover, open_words, row0, column0, x0 + share * (x1 - x0), y0 + share * (y1 - y0)):
            return False
    return True


@njit(cache=True, nogil=True)
def _move_to_open(
    cover: np.ndarray,
    open_words: np.ndarray,
    row0: int,
    column0: int,
    reach: float,
    x: np.ndarray,
    y: np.ndarray,
) -> None:
    """Move points on closed ground to the nearest open pixel within reach (pixels), or to -1."""
    most = int(np.ceil(reach))
    for cell in range(len(x)):
        x0, y0 = x[cell], y[cell]
        if _is_open(cover, open_words, row0, column0, x0, y0):
            continue
        best, x[cell], y[cell] = reach * reach, -1.0, -1.0
        for down in range(-most, most + 1):
            for right in range(-most, most + 1):
                x1, y1 = np.floor(x0) + right + 0.5, np.floor(y0) + down + 0.5
                apart = (x1 - x0) ** 2 + (y1 - y0) ** 2
                if apart < best and _is_open(cover, open_words, row0, column0, x1, y1):
                    best, x[cell], y[cell] = apart, x1, y1


@njit(cache=True)
def _is_flooded(
    cover: np.ndarray,
    open_words: np.ndarray,
    row0: int,
    column0: int,
    places: np.ndarray,
    ends: np.ndarray,
    reach: float,
) -> bool:
    """Walk open pixels, side by side, from `a` to `b` within reach of the two centres `ends` (x, y, x, y).

    `places` are xa, ya, xb, yb.
    """
    left = int(np.floor(min(ends[0], ends[2]) - reach)) - 1
    top = int(np.floor(min(ends[1], ends[3]) - reach)) - 1
    wide = int(np.ceil(max(ends[0], ends[2]) + reach)) + 2 - left
    high = int(np.ceil(max(ends[1], ends[3]) + reach)) + 2 - top
    seen = np.zeros((high, wide), np.bool_)
    stack = np.empty(high * wide, np.int64)
    start = (int(np.floor(places[1])) - top, int(np.floor(places[0])) - left)
    goal = (int(np.floor(places[3])) - top, int(np.floor(places[2])) - left)
    seen[start] = True
    stack[0], size = start[0] * wide + start[1], 1
    while size:
        size -= 1
        row, column = stack[size] // wide, stack[size] % wide
        if (row, column) == goal:
            return True
        for down, right in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            i, j = row + down, column + right
            if i < 0 or j < 0 or i >= high or j >= wide or seen[i, j]:
                continue
            x, y = left + j + 0.5, top + i + 0.5
            near = min(np.hypot(x - ends[0], y - ends[1]), np.hypot(x - ends[2], y - ends[3]))
            if near <= reach and _is_open(cover, open_words, row0, column0, x, y):
                seen[i, j] = True
                stack[size] = i * wide + j
                size += 1
    return False


@njit(cache=True, nogil=True)
def _join_centres(
    cover: np.ndarray,
    open_words: np.ndarray,
    row0: int,
    column0: int,
    edge_a: np.ndarray,
    edge_b: np.ndarray,
    centre: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    reach: float,
    joined: np.ndarray,
) -> None:
    ends, places = np.empty(4), np.empty(4)
    for edge in range(len(edge_a)):
        a, b = edge_a[edge], edge_b[edge]
        if x[a] < 0 or x[b] < 0:
            continue
        if _is_leg_open(cover, open_words, row0, column0, x[a], y[a], x[b], y[b]):
            joined[edge] = True
            continue
        ends[0], ends[1], ends[2], ends[3] = centre[a, 0], centre[a, 1], centre[b, 0], centre[b, 1]
        places[0], places[1], places[2], places[3] = x[a], y[a], x[b], y[b]
        joined[edge] = _is_flooded(cover, open_words, row0, column0, places, ends, reach + 1.0)


def find_joined(
    cover: np.ndarray,
    open_words: np.ndarray,
    row0: int,
    column0: int,
    centre: np.ndarray,
    edge_a: np.ndarray,
    edge_b: np.ndarray,
    reach: float,
) -> np.ndarray:
    """Return bool[E]: edges whose two centres are joined over open ground inside the two cells.

    Parameters
    ----------
    cover : words of the pixels, uint8[rows, columns], those from `row0`, `column0` of the grid on.
    open_words : true for words on which one can move, bool[9].
    row0, column0 : first row and column of `cover`.
    centre : the cells' centres, f8[N, 2] x, y in pixel units of the whole grid.
    edge_a, edge_b : the cells of each edge [E], rows of `centre`.
    reach : radius of a cell (centre to corner) in pixels; `cover` must reach that far around every centre.

    Formula: joined = a chain of open pixels, side by side, leads from centre a to centre b and stays within
    reach of the two centres. A centre on closed ground is moved to the nearest open pixel within reach; where
    there is none the cell's edges are not joined.
    In words: water that runs through the two cells from rim to rim separates their centres though most of the
    boundary between them is dry; a pond that one can pass on either side does not.

    Examples
    --------
    Two centres in one row of pixels; closed ground between them.

    >>> cover, centre = np.ones((9, 12), np.uint8), np.array([[3.5, 4.5], [8.5, 4.5]])
    >>> words, one, other = np.array([False, True]), np.array([0]), np.array([1])
    >>> find_joined(cover, words, 0, 0, centre, one, other, 3.0).tolist()
    [True]
    >>> cover[:, 6] = 0
    >>> find_joined(cover, words, 0, 0, centre, one, other, 3.0).tolist()
    [False]
    """
    x, y = centre[:, 0].copy(), centre[:, 1].copy()
    _move_to_open(cover, open_words, row0, column0, reach, x, y)
    joined = np.zeros(len(edge_a), dtype=bool)
    _join_centres(cover, open_words, row0, column0, edge_a, edge_b, centre, x, y, reach, joined)
    return joined


def compute_gaps(
    length_m: np.ndarray, passed: np.ndarray, seen: np.ndarray, closed: np.ndarray
) -> np.ndarray:
    """Trafficable width of each edge in metres, f4[E].

    Parameters
    ----------
    length_m : boundary length [E].
    passed, seen : samples on passable ground and all samples along the boundary [E].
    closed : true where water that nobody can cross separates the centres [E].

    Formula: gap_m = length_m x passed / seen, 0 where closed.

    Examples
    --------
    >>> length_m, passed, seen = np.array([500.0, 500.0]), np.array([6, 6]), np.array([12, 12])
    >>> compute_gaps(length_m, passed, seen, np.array([False, True])).tolist()
    [250.0, 0.0]
    """
    gap_m = length_m * passed / np.maximum(seen, 1)
    return np.where(closed, 0.0, gap_m).astype(np.float32)
