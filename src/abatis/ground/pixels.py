"""The working pixels: one grid of degrees for all layers, windows of it, and polygons in its units."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import shapely
from rasterio import Affine

from abatis.ground import _pixels as kernel
from abatis.ground.sources import Area
from abatis.ground.sources.vectors import VectorLayer
from abatis.model.words import COVER_WORDS

UNKNOWN = 255
EARTH_A_M = 6_378_137.0
EARTH_E2 = 0.006_694_379_990_14
WATER = COVER_WORDS.index("water")


def metres_per_degree(lat: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Return metres per degree of longitude and of latitude at a latitude (WGS84 ellipsoid).

    Formula: (pi / 180) N cos(lat) and (pi / 180) M, with N, M the radii of curvature.
    In words: exact for short lines; over 2 km the error is below one part in a million.

    Examples
    --------
    >>> east, north = metres_per_degree(55.0)
    >>> round(float(east)), round(float(north))
    (63994, 111324)
    """
    phi = np.radians(lat)
    root = 1.0 - EARTH_E2 * np.sin(phi) ** 2
    normal = EARTH_A_M / np.sqrt(root)
    meridian = EARTH_A_M * (1.0 - EARTH_E2) / root**1.5
    return np.radians(normal * np.cos(phi)), np.radians(meridian)


@dataclass(frozen=True)
class PixelGrid:
    """Grid of pixels in EPSG:4326: upper left corner and pixel size in degrees, rows from north to south."""

    west: float
    north: float
    dlon: float
    dlat: float
    rows: int
    columns: int

    def to_pixels(self, lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return x (columns) and y (rows) in pixel units."""
        return (lon - self.west) / self.dlon, (self.north - lat) / self.dlat

    def transform(self, row0: int, column0: int = 0) -> Affine:
        """Return the affine transform of the pixels from row `row0` and column `column0` on."""
        west, north = self.west + column0 * self.dlon, self.north - row0 * self.dlat
        return Affine(self.dlon, 0.0, west, 0.0, -self.dlat, north)

    def place_centres(self, window: PixelWindow) -> tuple[np.ndarray, np.ndarray]:
        """Return lon f8[columns] and lat f8[rows] of the pixel centres of a window, degrees."""
        columns = window.column0 + np.arange(window.columns)
        rows = window.row0 + np.arange(window.rows)
        return self.west + (columns + 0.5) * self.dlon, self.north - (rows + 0.5) * self.dlat


@dataclass(frozen=True)
class PixelWindow:
    """A part of the grid: first row and column, and how many there are.

    Examples
    --------
    >>> PixelWindow(0, 10, 20, 20).grow(3, PixelGrid(24.0, 55.0, 1e-3, 1e-3, 22, 100))
    PixelWindow(row0=0, column0=7, rows=22, columns=26)
    """

    row0: int
    column0: int
    rows: int
    columns: int

    def grow(self, pixels: int, grid: PixelGrid) -> PixelWindow:
        """Return the window grown on all sides, as far as the grid goes."""
        row0, column0 = max(0, self.row0 - pixels), max(0, self.column0 - pixels)
        row1 = min(grid.rows, self.row0 + self.rows + pixels)
        column1 = min(grid.columns, self.column0 + self.columns + pixels)
        return PixelWindow(row0, column0, row1 - row0, column1 - column0)


def plan_grid(area: Area, pixel_m: float) -> PixelGrid:
    """Lay a grid of about `pixel_m` metres over an area (square pixels at its middle latitude).

    Examples
    --------
    >>> grid = plan_grid(Area(24.0, 55.0, 24.1, 55.1), 100)
    >>> grid.rows, grid.columns
    (112, 64)
    """
    east_m, north_m = metres_per_degree((area.south + area.north) / 2)
    dlon, dlat = pixel_m / float(east_m), pixel_m / float(north_m)
    rows = math.ceil((area.north - area.south) / dlat)
    columns = math.ceil((area.east - area.west) / dlon)
    return PixelGrid(area.west, area.north, dlon, dlat, rows, columns)


@dataclass(frozen=True)
class ShapePieces:
    """Straight pieces of shapes, ready to be burnt: `pieces` f8[S, 4], `start` int64[F + 1], `values` [F]."""

    pieces: np.ndarray
    start: np.ndarray
    values: np.ndarray

    def burn(self, out: np.ndarray, row0: int, column0: int) -> None:
        """Write the values into the pixels from `row0`, `column0` on, later shapes over earlier ones."""
        kernel.burn_pieces(out, row0, column0, self.pieces, self.start, self.values)


@dataclass(frozen=True)
class PixelShapes:
    """Polygons in pixel units: flat coordinates, ring and shape starts, `limits` f8[F, 4], values.

    `limits` are the least and the largest x, then y, of each shape.
    """

    x: np.ndarray
    y: np.ndarray
    ring_start: np.ndarray
    shape_start: np.ndarray
    limits: np.ndarray
    values: np.ndarray

    def cut(self, window: PixelWindow) -> ShapePieces:
        """Return what a window needs: pieces beside its rows of the shapes that reach it."""
        left, right, top, bottom = self.limits.T
        row1, column1 = window.row0 + window.rows, window.column0 + window.columns
        near = np.flatnonzero(
            (right >= window.column0) & (left <= column1) & (bottom >= window.row0) & (top <= row1)
        )
        ring = list_ranges(self.shape_start[near], self.shape_start[near + 1])
        first, stop = self.ring_start[ring], self.ring_start[ring + 1] - 1
        k = list_ranges(first, stop)
        rings = self.shape_start[near + 1] - self.shape_start[near]
        owner = np.repeat(np.repeat(np.arange(len(near)), rings), stop - first)
        low, high = np.minimum(self.y[k], self.y[k + 1]), np.maximum(self.y[k], self.y[k + 1])
        kept = (high > window.row0) & (low < row1) & (low < high)
        k, owner = k[kept], owner[kept]
        pieces = np.column_stack([self.x[k], self.y[k], self.x[k + 1], self.y[k + 1]])
        start = np.searchsorted(owner, np.arange(len(near) + 1))
        return ShapePieces(pieces, start, self.values[near])


def list_ranges(start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Return int64[], the whole numbers from each start up to its stop, one range after the other.

    Examples
    --------
    >>> list_ranges(np.array([3, 7]), np.array([5, 8])).tolist()
    [3, 4, 7]
    """
    count = np.maximum(stop - start, 0)
    before = np.cumsum(count) - count
    return np.asarray(np.arange(count.sum()) + np.repeat(start - before, count), np.int64)


def prepare_shapes(grid: PixelGrid, geometry: np.ndarray, values: np.ndarray) -> PixelShapes:
    """Bring polygons to pixel units.

    Parameters
    ----------
    grid : the grid.
    geometry : shapely polygons and multipolygons in EPSG:4326 [F].
    values : number burnt for each [F].

    In words: rings are listed polygon by polygon; holes need no mark because the even-odd rule finds them.
    """
    parts, part_of = shapely.get_parts(geometry, return_index=True)
    polygons = shapely.get_dimensions(parts) == 2
    parts, part_of = parts[polygons], part_of[polygons]
    rings, ring_of = shapely.get_rings(parts, return_index=True)
    ring_of = part_of[ring_of]
    coordinates, point_of = shapely.get_coordinates(rings, return_index=True)
    x, y = grid.to_pixels(coordinates[:, 0], coordinates[:, 1])
    ring_start = np.searchsorted(point_of, np.arange(len(rings) + 1))
    shape_start = np.searchsorted(ring_of, np.arange(len(geometry) + 1))
    limits = np.tile([np.inf, -np.inf, np.inf, -np.inf], (len(geometry), 1))
    filled = np.flatnonzero(np.diff(shape_start) > 0)
    if filled.size:
        first = ring_start[shape_start[filled]]
        for column, places in ((0, x), (2, y)):
            limits[filled, column] = np.minimum.reduceat(places, first)
            limits[filled, column + 1] = np.maximum.reduceat(places, first)
    return PixelShapes(x, y, ring_start, shape_start, limits, np.asarray(values, np.int64))


def prepare_cover(grid: PixelGrid, layer: VectorLayer, default: str) -> PixelShapes:
    """Bring a layer of cover polygons to pixel units; features without a word get the default."""
    index = [COVER_WORDS.index(word or default) for word in layer.words]
    return prepare_shapes(grid, layer.geometry, np.array(index, np.int64))
