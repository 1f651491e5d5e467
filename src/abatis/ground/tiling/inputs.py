"""One tile as a parcel: all that counting it needs, so that any process on any machine can do it."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import abatis
from abatis.ground.gaps import EdgeGeometry, find_ends_in_pixels
from abatis.ground.hexgrid import HexGrid, take_cells
from abatis.ground.pixels import PixelWindow, list_ranges
from abatis.ground.tiling.squares import Groups, Squares
from abatis.ground.tiling.stack import PixelStack, TileLayers
from abatis.ground.tiling.stretches import StretchLines

# Raised whenever the same parcel would be counted otherwise.
FORMAT = 1


@dataclass(frozen=True)
class TileInput:
    """A tile to be counted.

    `core` are its own pixels, `window` those read; `cells` holds its own cells first (`own` of them), then
    those around; `centre` f8[M, 2] and `ends` f8[E, 4] are in pixels of the whole grid; `edge_a`, `edge_b`
    are rows of `cells`; `passable` bool[9, 5]: cover x slope; `reach` is the radius of a cell in pixels.
    """

    number: int
    core: PixelWindow
    window: PixelWindow
    layers: TileLayers
    cells: HexGrid
    own: int
    countries: int
    centre: np.ndarray
    edge_a: np.ndarray
    edge_b: np.ndarray
    ends: np.ndarray
    reach: float
    passable: np.ndarray
    stretches: StretchLines


@dataclass(frozen=True)
class TileRows:
    """Where a tile's answers belong in the mesh: its own cells, the cells of its labels, edges, stretches."""

    own: np.ndarray
    cells: np.ndarray
    edges: np.ndarray
    stretches: np.ndarray


class TileCutter:
    """Cuts a study's ground into tiles."""

    def __init__(
        self,
        squares: Squares,
        stack: PixelStack,
        cells: HexGrid,
        geometry: EdgeGeometry,
        lines: StretchLines,
        passable: np.ndarray,
        countries: int,
        reach: float,
    ) -> None:
        self.squares, self.stack, self.cells, self.geometry = squares, stack, cells, geometry
        self._lines, self._passable, self._countries, self._reach = lines, passable, countries, reach
        self._ends = find_ends_in_pixels(geometry, squares.grid)
        self._stretches = _spread_stretches(squares, lines)
        self._local = np.full(len(cells.cells), -1, np.int32)

    def list_tiles(self) -> list[int]:
        """Return the squares on which there is anything to count."""
        squares = self.squares
        used = np.diff(squares.cells.start) + np.diff(self._stretches.start) > 0
        if self.stack.zones is not None:
            for square in np.flatnonzero(~used).tolist():
                used[square] = len(self.stack.zones.cut(squares.find_core(square)).values) > 0
        return [int(square) for square in np.flatnonzero(used)]

    def find_rows(self, square: int) -> TileRows:
        """Say where the answers of a tile belong."""
        own = self.squares.cells.list_rows(square)
        around = self.squares.cells.list_all(self.squares.list_around(square))
        window = self.squares.find_core(square).grow(self.squares.halo, self.squares.grid)
        x, y = self.squares.centre[around].T
        near = (x >= window.column0) & (x <= window.column0 + window.columns)
        near &= (y >= window.row0) & (y <= window.row0 + window.rows)
        return TileRows(
            own,
            np.concatenate([own, np.sort(around[near])]),
            self.squares.edges.list_rows(square),
            self._stretches.list_rows(square),
        )

    def cut(self, square: int, rows: TileRows) -> TileInput:
        """Make the parcel of one tile."""
        core = self.squares.find_core(square)
        window = core.grow(self.squares.halo, self.squares.grid)
        self._local[rows.cells] = np.arange(len(rows.cells), dtype=np.int32)
        edge_a = self._local[self.geometry.edge_a[rows.edges]]
        edge_b = self._local[self.geometry.edge_b[rows.edges]]
        self._local[rows.cells] = -1
        assert edge_b.min(initial=0) >= 0, "the halo is too narrow for an edge"
        return TileInput(
            square, core, window, self.stack.cut(window), take_cells(self.cells, rows.cells), len(rows.own),
            self._countries, self.squares.centre[rows.cells], edge_a, edge_b, self._ends[rows.edges],
            self._reach, self._passable, self._lines.take(rows.stretches),
        )  # fmt: skip


def _spread_stretches(squares: Squares, lines: StretchLines) -> Groups:
    """List with each square the stretches that may have samples in it; one may stand with several."""
    count = len(lines.count)
    if count == 0:
        return Groups(np.zeros(0, np.int64), np.zeros(squares.count + 1, np.int64))
    limits = lines.find_limits()
    first, last = squares.locate(limits[:, 0], limits[:, 2]), squares.locate(limits[:, 1], limits[:, 3])
    across = squares.across
    down, wide = last // across - first // across + 1, last % across - first % across + 1
    row = np.repeat(np.arange(count), down * wide)
    step = list_ranges(np.zeros(count, np.int64), down * wide)
    square = first[row] + step // wide[row] * across + step % wide[row]
    order = np.argsort(square, kind="stable")
    return Groups(row[order], np.searchsorted(square[order], np.arange(squares.count + 1)))


def hash_tile(tile: TileInput) -> str:
    """Return the SHA-256 over all a tile's answer depends on; rasters by name, size and time of change."""
    digest = hashlib.sha256(f"{abatis.__version__} {FORMAT}".encode())
    digest.update(pickle.dumps(tile, protocol=5))
    layers = tile.layers
    for raster in (*layers.landcover, *layers.elevation, *layers.soil_rasters):
        told = Path(raster.path).stat()
        digest.update(f"{raster.path} {told.st_size} {told.st_mtime_ns}".encode())
    return digest.hexdigest()
