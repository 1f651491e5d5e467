"""A window of ground as a fine raster of the sources: hours per pixel for a vehicle in a season."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType

import numpy as np
import shapely

from abatis.ground.bridges import REACH_CELLS, WIDE_RIVER_M
from abatis.ground.composition import DEFAULT_COVER, DEFAULT_SOIL
from abatis.ground.hexgrid import build_hexgrid, label_window
from abatis.ground.inventory import open_cover, read_cover, widen_rivers
from abatis.ground.layers import DEFAULT_ROAD
from abatis.ground.pixels import UNKNOWN, PixelGrid, metres_per_degree, plan_grid
from abatis.ground.rivers import split_rivers
from abatis.ground.sources import Area
from abatis.ground.sources.rasters import RasterReader
from abatis.ground.sources.vectors import VectorLayer
from abatis.ground.speeds import (
    find_cover_factors,
    find_crossing_h,
    find_road_speeds,
    find_soil_factors,
    find_speed,
    find_speeds,
)
from abatis.ground.truth import Truth, burn, place_strip
from abatis.model.mesh import Mesh
from abatis.model.study import Study
from abatis.model.words import (
    COVER_WORDS,
    ROAD_WORDS,
    SLOPE_LIMITS_PERCENT,
    SLOPE_WORDS,
    SOIL_WORDS,
    STRUCTURE_WORDS,
    SURFACE_WORDS,
)

CROSSING_PIXELS = 3.0
STRIP_PIXELS = 2_000_000


@dataclass(frozen=True)
class RasterWindow:
    """A window: `grid`, and of each pixel the cell (-1 none), cover, slope and soil class [rows, columns].

    `roads` rows of the road layer and `rivers` rows of the river pieces that reach the window.
    """

    grid: PixelGrid
    cell: np.ndarray
    cover: np.ndarray
    slope: np.ndarray
    soil: np.ndarray
    roads: np.ndarray
    rivers: np.ndarray


class WindowReader:
    """Reads windows of the sources; rasters stay open between windows."""

    def __init__(self, study: Study, truth: Truth, mesh: Mesh) -> None:
        self._study = study
        self._truth = truth
        self._hexgrid = build_hexgrid(mesh.cells)
        self._wide = widen_rivers(truth, study.pixel_m)
        self._rivers, _ = split_rivers(truth.layers.vectors["rivers"])
        self._stack = ExitStack()

    def __enter__(self) -> WindowReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def read(self, area: Area, pixel_m: float) -> RasterWindow:
        """Read a window with pixels of a size; slopes are those of the study's working pixels."""
        grid, truth = plan_grid(area, pixel_m), self._truth
        cell = np.empty((grid.rows, grid.columns), np.int32)
        label_window(
            self._hexgrid, grid.west, grid.north, grid.dlon, grid.dlat, grid.rows, grid.columns, cell
        )
        with ExitStack() as stack:
            cover = read_cover(truth, grid, 0, grid.rows, open_cover(truth, grid, stack), self._wide)
        cover[cover == UNKNOWN] = COVER_WORDS.index(DEFAULT_COVER)
        ends = self._rivers.ends.reshape(-1, 2, 2)
        low, high = ends.min(axis=1, initial=np.inf), ends.max(axis=1, initial=-np.inf)
        west, south, east, north = area.bounds
        rivers = np.flatnonzero(
            (low[:, 0] <= east) & (high[:, 0] >= west) & (low[:, 1] <= north) & (high[:, 1] >= south)
        )
        bounds = shapely.bounds(truth.layers.vectors["roads"].geometry)
        roads = np.flatnonzero(
            (bounds[:, 0] <= east)
            & (bounds[:, 2] >= west)
            & (bounds[:, 1] <= north)
            & (bounds[:, 3] >= south)
        )
        return RasterWindow(
            grid, cell, cover, self._read_slope(area, grid), self._read_soil(grid), roads, rivers
        )

    def _read_soil(self, grid: PixelGrid) -> np.ndarray:
        layers = self._truth.layers
        shape = (grid.rows, grid.columns)
        soil = np.full(shape, UNKNOWN, np.uint8)
        if layers.rasters["soil"]:
            with RasterReader(layers.rasters["soil"], SOIL_WORDS, grid.dlat) as reader:
                soil = reader.read_classes(place_strip(grid, 0), *shape, UNKNOWN)
        layer = layers.vectors["soil"]
        words = np.array([SOIL_WORDS.index(word or DEFAULT_SOIL) for word in layer.words], np.uint8)
        burn(soil, grid, 0, layer.geometry, words)
        soil[soil == UNKNOWN] = SOIL_WORDS.index(DEFAULT_SOIL)
        return soil

    def _read_slope(self, area: Area, grid: PixelGrid) -> np.ndarray:
        """Slope class at the working pixels' scale, taken over to the window's pixels strip by strip."""
        out = np.zeros((grid.rows, grid.columns), np.uint8)
        rasters = self._truth.layers.rasters["elevation"]
        if not rasters:
            return out
        coarse = plan_grid(area, self._study.pixel_m)
        lat = grid.north - (np.arange(grid.rows) + 0.5) * grid.dlat
        lon = grid.west + (np.arange(grid.columns) + 0.5) * grid.dlon
        column = np.clip(((lon - coarse.west) / coarse.dlon).astype(int), 0, coarse.columns - 1)
        row = np.clip(((coarse.north - lat) / coarse.dlat).astype(int), 0, coarse.rows - 1)
        high = max(1, STRIP_PIXELS // coarse.columns)
        with RasterReader(rasters, (), coarse.dlat) as reader:
            for row0 in range(0, coarse.rows, high):
                rows = min(high, coarse.rows - row0)
                height = reader.read_numbers(place_strip(coarse, row0 - 1), rows + 2, coarse.columns)
                slope = _classify(height, coarse, row0)
                own = np.flatnonzero((row >= row0) & (row < row0 + rows))
                out[own] = slope[row[own] - row0][:, column]
        return out


def _classify(height: np.ndarray, grid: PixelGrid, row0: int) -> np.ndarray:
    """Slope class uint8[rows, columns] from heights with one more row on each side; 0 where unknown."""
    rows = len(height) - 2
    lat = grid.north - (row0 + np.arange(rows) + 0.5) * grid.dlat
    east_m, north_m = metres_per_degree(lat)
    fall = (height[:-2] - height[2:]) / (2 * north_m * grid.dlat)[:, None]
    across = np.gradient(height[1:-1], axis=1) / (east_m * grid.dlon)[:, None]
    percent = 100 * np.hypot(fall, across)
    return np.asarray(np.searchsorted(SLOPE_LIMITS_PERCENT, np.nan_to_num(percent), side="right"), np.uint8)


def price_window(
    study: Study, truth: Truth, mesh: Mesh, window: RasterWindow, use: tuple[str, str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return hours per pixel side f8 (-1 closed), hours per river crossing f8, and pixels with a road, bool.

    Parameters
    ----------
    study, truth, mesh, window : what is priced; of the mesh only the clay content of cells is used.
    use : vehicle and season.

    In words: every pixel that a road touches is road, so that a road bends with its line and not with the
    pixels; every pixel that a river's line touches is river. Where the two cross the road has a bridge, but
    not over rivers wider than 40 m when the study has a bridge layer without a bridge there.
    """
    grid = window.grid
    speed = _find_ground_speed(study, mesh, window, use)
    road_kmh = np.zeros(speed.shape)
    layer = truth.layers.vectors["roads"]
    own = _find_feature_speeds(study, layer, window.roads, use)
    order = np.argsort(own, kind="stable")
    order = order[own[order] > 0]
    burn(road_kmh, grid, 0, layer.geometry[window.roads[order]], own[order], all_touched=True)
    speed = np.maximum(speed, road_kmh)
    speed[window.cell < 0] = 0.0
    lat = grid.north - (np.arange(grid.rows) + 0.5) * grid.dlat
    east_m, north_m = metres_per_degree(lat)
    side_km = np.sqrt(east_m * grid.dlon * north_m * grid.dlat) / 1000
    with np.errstate(divide="ignore"):
        hours = np.where(speed > 0, side_km[:, None] / speed, -1.0)
    toll, closed = _find_toll(study, truth, window, use, road_kmh > 0)
    hours[closed] = -1.0
    return hours, toll, (road_kmh > 0) & (hours > 0)


def _find_ground_speed(study: Study, mesh: Mesh, window: RasterWindow, use: tuple[str, str]) -> np.ndarray:
    speed = np.full(window.cover.shape, find_speed(study, *use, "base", "open"))
    speed *= find_cover_factors(study, *use)[window.cover]
    speed *= find_speeds(study, *use, "slope", SLOPE_WORDS)[window.slope]
    soil = find_soil_factors(study, mesh, *use)
    speed *= soil[window.soil] if soil.ndim == 1 else soil[window.cell, window.soil]
    return np.asarray(speed)


def _find_feature_speeds(
    study: Study, layer: VectorLayer, rows: np.ndarray, use: tuple[str, str]
) -> np.ndarray:
    """Speed on each road feature in km/h, 0 where the vehicle may not pass."""
    nothing = np.full(layer.count, "", dtype=object)

    def number(name: str, words: tuple[str, ...]) -> np.ndarray:
        known = {word: index for index, word in enumerate(words)}
        given = layer.attributes.get(name, nothing)[rows]
        return np.array([known.get(word, -1) for word in given], np.int64)

    classes = np.array([ROAD_WORDS.index(word or DEFAULT_ROAD) for word in layer.words[rows]], np.int64)
    structure = number("structure", STRUCTURE_WORDS)
    structure[structure == STRUCTURE_WORDS.index("bridge")] = -1
    weight_t = layer.attributes.get("max_weight_t", np.full(layer.count, np.nan))[rows].astype(np.float64)
    weight_t = np.where(np.isnan(weight_t), np.inf, weight_t)
    return find_road_speeds(study, *use, classes, number("surface", SURFACE_WORDS), structure, weight_t)


def _find_toll(
    study: Study, truth: Truth, window: RasterWindow, use: tuple[str, str], road: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Hours to cross the river in each pixel, and where it cannot be crossed; bridges are left out."""
    grid = window.grid
    toll, closed = np.zeros(road.shape), np.zeros(road.shape, np.uint8)
    lines, _ = split_rivers(truth.layers.vectors["rivers"])
    ends, width = lines.ends[window.rivers].reshape(-1, 2, 2), lines.width_m[window.rivers]
    if not len(ends):
        return toll, closed > 0
    pieces = np.asarray(shapely.linestrings(ends))
    price = find_crossing_h(study, *use, width)
    order = np.argsort(price, kind="stable")
    finite = order[np.isfinite(price[order]) & (price[order] > 0)]
    burn(toll, grid, 0, pieces[finite], price[finite], all_touched=True)
    burn(closed, grid, 0, pieces[np.isinf(price)], np.ones(int(np.isinf(price).sum())), all_touched=True)
    bridge = _find_bridges(truth, window, pieces, width) & road
    toll[bridge] = 0.0
    closed[bridge] = 0
    return toll, closed > 0


def _find_bridges(truth: Truth, window: RasterWindow, pieces: np.ndarray, width_m: np.ndarray) -> np.ndarray:
    """Pixels around the places where a road may cross a river, bool[rows, columns]."""
    grid = window.grid
    near = np.zeros((grid.rows, grid.columns), np.uint8)
    roads = truth.layers.vectors["roads"].geometry[window.roads]
    river, line = shapely.STRtree(roads).query(pieces, predicate="intersects")
    places = shapely.intersection(pieces[river], roads[line])
    points, owner = shapely.get_coordinates(places, return_index=True)
    x, y = grid.to_pixels(points[:, 0], points[:, 1])
    served = np.ones(len(points), dtype=bool)
    bridges = truth.layers.vectors["bridges"]
    if bridges.count and len(points):
        reach = REACH_CELLS * truth.spacing_m
        east_m, north_m = metres_per_degree(float(points[:, 1].mean()))
        scale = np.array([float(east_m), float(north_m)])
        tree = shapely.STRtree(shapely.points(shapely.get_coordinates(bridges.geometry) * scale))
        hit, _ = tree.query(shapely.points(points * scale), predicate="dwithin", distance=reach)
        served = width_m[river[owner]] <= WIDE_RIVER_M
        served[hit] = True
    radius = CROSSING_PIXELS
    offset = np.arange(-int(radius), int(radius) + 1)
    down, right = (part.ravel() for part in np.meshgrid(offset, offset, indexing="ij"))
    disc = np.hypot(down, right) <= radius
    row = (np.floor(y[served]).astype(int)[:, None] + down[disc]).ravel()
    column = (np.floor(x[served]).astype(int)[:, None] + right[disc]).ravel()
    inside = (row >= 0) & (column >= 0) & (row < grid.rows) & (column < grid.columns)
    near[row[inside], column[inside]] = 1
    return near > 0
