"""Which square of pixels owns which cells and edges, and how much ground around it it has to see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from abatis.ground.gaps import EdgeGeometry
from abatis.ground.hexgrid import HexGrid
from abatis.ground.pixels import PixelGrid, PixelWindow, list_ranges

TILE_SIDE = 2048


@dataclass(frozen=True)
class Groups:
    """Rows sorted by the square they belong to: `rows` int64[M], those of square s from start[s] on."""

    rows: np.ndarray
    start: np.ndarray

    def list_rows(self, square: int) -> np.ndarray:
        """Return the rows of one square, rising."""
        return np.asarray(self.rows[self.start[square] : self.start[square + 1]])

    def list_all(self, squares: np.ndarray) -> np.ndarray:
        """Return the rows of several squares."""
        return np.asarray(self.rows[list_ranges(self.start[squares], self.start[squares + 1])])


def group_rows(square: np.ndarray, squares: int) -> Groups:
    """Sort rows by their square.

    Examples
    --------
    >>> group_rows(np.array([1, 0, 1]), 3).list_rows(1).tolist()
    [0, 2]
    """
    order = np.argsort(square, kind="stable")
    return Groups(order, np.searchsorted(square[order], np.arange(squares + 1)))


@dataclass(frozen=True)
class Squares:
    """The grid cut into squares of `side` pixels; a cell belongs to the square that holds its centre.

    `down`, `across` say how many squares there are; `centre` f8[N, 2] are the cells' centres (x, y in
    pixels); `cells` and `edges` are grouped by square, an edge goes with its first cell; `halo` pixels
    around a square hold all that its cells and edges need.
    """

    grid: PixelGrid
    side: int
    down: int
    across: int
    centre: np.ndarray
    cells: Groups
    edges: Groups
    halo: int

    @property
    def count(self) -> int:
        """Number of squares."""
        return self.down * self.across

    def find_core(self, square: int) -> PixelWindow:
        """Return the square's own pixels."""
        row0, column0 = (square // self.across) * self.side, (square % self.across) * self.side
        return PixelWindow(
            row0, column0, min(self.side, self.grid.rows - row0), min(self.side, self.grid.columns - column0)
        )

    def list_around(self, square: int) -> np.ndarray:
        """Return the squares that touch one, without itself."""
        row, column = divmod(square, self.across)
        near = [
            i * self.across + j
            for i in range(max(0, row - 1), min(self.down, row + 2))
            for j in range(max(0, column - 1), min(self.across, column + 2))
        ]
        return np.array([one for one in near if one != square], np.int64)

    def locate(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return int64[M], the square of each place; places outside the grid go to the nearest."""
        row = np.clip(np.floor(y).astype(np.int64) // self.side, 0, self.down - 1)
        column = np.clip(np.floor(x).astype(np.int64) // self.side, 0, self.across - 1)
        return np.asarray(row * self.across + column)


def cut_squares(grid: PixelGrid, cells: HexGrid, geometry: EdgeGeometry, reach: float) -> Squares:
    """Cut the grid into squares and give them the cells and edges.

    Parameters
    ----------
    grid : the pixels.
    cells, geometry : the mesh's cells and edges.
    reach : radius of a cell in pixels.

    In words: squares of pixels read 1.12 times the pixels of a mesh at resolution 9 and 10 m; parent hexagons
    would read 1.4 to 1.6 times, for their boxes overlap. A square's cells see one cell further than itself.
    """
    side = max(TILE_SIDE, 8 * int(np.ceil(reach)))
    x, y = grid.to_pixels(cells.lon, cells.lat)
    a, b = geometry.edge_a, geometry.edge_b
    step = max(float(np.abs(x[a] - x[b]).max(initial=0)), float(np.abs(y[a] - y[b]).max(initial=0)))
    empty = Groups(np.zeros(0, np.int64), np.zeros(1, np.int64))
    squares = Squares(
        grid, side, -(-grid.rows // side), -(-grid.columns // side), np.column_stack([x, y]), empty, empty,
        int(np.ceil(step + reach)) + 4,
    )  # fmt: skip
    own = squares.locate(x, y)
    return Squares(
        grid, side, squares.down, squares.across, squares.centre, group_rows(own, squares.count),
        group_rows(own[a], squares.count), squares.halo,
    )  # fmt: skip
