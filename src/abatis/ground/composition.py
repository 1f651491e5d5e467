"""Composition of cells: shares of cover, slope and soil, elevation, people, protected share, country."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely
from scipy.spatial import cKDTree

from abatis.ground.hexgrid import HexGrid, label_points
from abatis.ground.pixels import metres_per_degree
from abatis.ground.sources.vectors import VectorLayer
from abatis.model.words import COVER_WORDS, SLOPE_WORDS, SOIL_WORDS

DEFAULT_COVER = "cropland"
DEFAULT_SLOPE = "0-10"
DEFAULT_SOIL = "mineral"
TOWN_DENSITY_PER_KM2 = 2_000.0
BUILT_UP = COVER_WORDS.index("built_up")


@dataclass
class CellCounts:
    """Pixels counted per cell (N cells): cover [N, 9], slope [N, 5], soil [N, 4], country [N, C], ...

    `zone`, `zone_cell`, `zone_pixels` int64[Z] are pixels per population polygon and cell (-1: outside the
    mesh); `unknown_cover` pixels that no cover layer says anything about; `stateless_cover` those of them
    outside all borders.
    """

    cover: np.ndarray
    slope: np.ndarray
    soil: np.ndarray
    country: np.ndarray
    pixels: np.ndarray
    protected: np.ndarray
    height_sum: np.ndarray
    height_count: np.ndarray
    zone: np.ndarray
    zone_cell: np.ndarray
    zone_pixels: np.ndarray
    unknown_cover: int = 0
    stateless_cover: int = 0

    @classmethod
    def start(cls, cells: int, countries: int) -> CellCounts:
        """Return counts of zero."""
        return cls(
            np.zeros((cells, len(COVER_WORDS)), np.int32),
            np.zeros((cells, len(SLOPE_WORDS)), np.int32),
            np.zeros((cells, len(SOIL_WORDS)), np.int32),
            np.zeros((cells, countries), np.int32),
            np.zeros((cells, 1), np.int32),
            np.zeros((cells, 2), np.int32),
            np.zeros(cells),
            np.zeros(cells, np.int32),
            zone=np.zeros(0, np.int64),
            zone_cell=np.zeros(0, np.int64),
            zone_pixels=np.zeros(0, np.int64),
        )

    def put(self, rows: np.ndarray, part: CellCounts) -> None:
        """Take over the counts of some cells but not the zones; each cell is counted in one part only."""
        for name in PER_CELL:
            getattr(self, name)[rows] = getattr(part, name)
        self.unknown_cover += part.unknown_cover
        self.stateless_cover += part.stateless_cover

    def list_zones(self, rows: np.ndarray) -> np.ndarray:
        """Return int64[Z, 3]: zone, cell, pixels, with the cells' numbers replaced by `rows`, -1 kept."""
        cell = np.where(self.zone_cell < 0, -1, rows[np.maximum(self.zone_cell, 0)])
        return np.column_stack([self.zone, cell, self.zone_pixels])

    def put_zones(self, parts: list[np.ndarray]) -> None:
        """Take over the zones of all parts, in an order that does not depend on theirs."""
        pairs = np.concatenate([np.zeros((0, 3), np.int64), *parts])
        pairs = pairs[np.lexsort((pairs[:, 2], pairs[:, 1], pairs[:, 0]))]
        self.zone, self.zone_cell, self.zone_pixels = np.ascontiguousarray(pairs.T)


PER_CELL = ("cover", "slope", "soil", "country", "pixels", "protected", "height_sum", "height_count")


def compute_shares(counts: np.ndarray, default: int) -> np.ndarray:
    """Return shares f4[N, K] that sum to 1; cells that nothing is known of get the default class.

    Examples
    --------
    >>> compute_shares(np.array([[1, 3], [0, 0]]), 0).tolist()
    [[0.25, 0.75], [1.0, 0.0]]
    """
    total = counts.sum(axis=1)
    shares = counts / np.maximum(total, 1)[:, None]
    shares[total == 0, default] = 1.0
    return np.asarray(shares, np.float32)


def spread_zones(counts: CellCounts, layer: VectorLayer, grid: HexGrid) -> np.ndarray:
    """Share the people of polygons among cells by area.

    Parameters
    ----------
    counts : pixels counted per pair of polygon and cell (-1: outside the mesh).
    layer : polygons with persons in `values`.
    grid : the mesh's cells.

    Returns
    -------
    persons f8[N].

    Formula: persons(cell) = sum over polygons of value x pixels(polygon, cell) / pixels(polygon).
    In words: a polygon too small for a pixel puts its people into the cell of its inner point.
    """
    people = np.zeros(len(grid.cells))
    total = np.zeros(layer.count, np.int64)
    np.add.at(total, counts.zone, counts.zone_pixels)
    inside = counts.zone_cell >= 0
    zone, cell, count = (part[inside] for part in (counts.zone, counts.zone_cell, counts.zone_pixels))
    np.add.at(people, cell, layer.values[zone] * count / total[zone])
    small = np.flatnonzero(total == 0)
    if small.size:
        inner = shapely.point_on_surface(layer.geometry[small])
        rows = label_points(grid, shapely.get_x(inner), shapely.get_y(inner))
        np.add.at(people, rows[rows >= 0], layer.values[small][rows >= 0])
    return people


def add_points(grid: HexGrid, lon: np.ndarray, lat: np.ndarray, persons: np.ndarray) -> np.ndarray:
    """Return persons f8[N]: the sum of the points in each cell; points outside the mesh are left out."""
    rows = label_points(grid, lon, lat)
    inside = rows >= 0
    return np.bincount(rows[inside], weights=persons[inside], minlength=len(grid.cells))


def settle_places(
    places: pd.DataFrame, grid: HexGrid, cover: np.ndarray, area_km2: np.ndarray
) -> tuple[np.ndarray, int]:
    """Put the people of places into the built-up ground around them.

    Parameters
    ----------
    places : lon, lat, population.
    grid : the mesh's cells.
    cover, area_km2 : composition and area of the cells.

    Returns
    -------
    persons f8[N], and how many places had no built-up ground and were put into one cell.

    Formula: radius = sqrt(persons / 2000 per km2 / pi), at least one cell; persons go to cells by built-up
    area.
    In words: a town spreads over the built-up cells within the circle that 2000 persons per km2 would fill.
    """
    people = np.zeros(len(grid.cells))
    east_m, north_m = metres_per_degree(float(grid.lat.mean()))
    scale = np.array([float(east_m), float(north_m)])
    tree = cKDTree(np.column_stack([grid.lon, grid.lat]) * scale)
    built = cover[:, BUILT_UP].astype(np.float64) * area_km2
    rows = label_points(grid, places["lon"].to_numpy(float), places["lat"].to_numpy(float))
    single = 0
    least_m = float(np.sqrt(area_km2.mean() / np.pi)) * 1000
    for row, lon, lat, persons in zip(rows, places["lon"], places["lat"], places["population"], strict=True):
        if row < 0 or not persons > 0:
            continue
        radius_m = max(least_m, float(np.sqrt(persons / TOWN_DENSITY_PER_KM2 / np.pi)) * 1000)
        near = np.array(sorted(tree.query_ball_point(np.array([lon, lat]) * scale, radius_m)), dtype=np.int64)
        weight = built[near] if near.size else np.zeros(0)
        if weight.sum() > 0:
            people[near] += persons * weight / weight.sum()
        else:
            people[row] += persons
            single += 1
    return people, single
