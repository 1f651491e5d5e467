"""The ground that posts look over: heights, trees and houses, cells of the mesh, on one metric grid."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import rasterio
import shapely
from pyproj import CRS, Transformer
from rasterio.enums import Resampling
from rasterio.features import rasterize
from rasterio.vrt import WarpedVRT

from abatis.ground.composition import DEFAULT_COVER
from abatis.ground.hexgrid import build_hexgrid, label_points
from abatis.ground.layers import COVER_LAYERS, Layers, read_layers
from abatis.ground.outline import Ground, read_ground
from abatis.ground.sources import Findings
from abatis.ground.sources.rasters import RasterFile
from abatis.model.errors import SizeError
from abatis.model.mesh import Mesh
from abatis.model.study import Study
from abatis.model.words import COVER_WORDS
from abatis.watch.catalogue import WatchTerms

MOST_PIXELS = 100_000_000
MARGIN_M = 2_000.0
LATTICE_STEP = 16
UNKNOWN = 255
WATER = COVER_WORDS.index("water")
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class WatchGrid:
    """A grid of square pixels north up: reference system in metres, `west` and `north` edges, m.

    Examples
    --------
    >>> grid = WatchGrid(CRS.from_epsg(3346), 500_000.0, 6_100_000.0, 100.0, 30, 20)
    >>> grid.locate(500_150.0, 6_099_980.0), grid.locate(500_150.0, 6_100_001.0)
    ((0, 1), None)
    """

    crs: CRS
    west: float
    north: float
    pixel_m: float
    rows: int
    columns: int

    @property
    def transform(self) -> rasterio.Affine:
        """From (column, row) to the map."""
        return rasterio.Affine(self.pixel_m, 0.0, self.west, 0.0, -self.pixel_m, self.north)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.columns

    def locate(self, x: float, y: float) -> tuple[int, int] | None:
        """Row and column of the pixel that holds a point of the map; None outside."""
        column, row = math.floor((x - self.west) / self.pixel_m), math.floor((self.north - y) / self.pixel_m)
        return (row, column) if 0 <= row < self.rows and 0 <= column < self.columns else None

    def place(self, row: np.ndarray, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Longitude and latitude of pixel centres, float64[P] each."""
        to_degrees = Transformer.from_crs(self.crs, "EPSG:4326", always_xy=True)
        x = self.west + (np.asarray(column) + 0.5) * self.pixel_m
        y = self.north - (np.asarray(row) + 0.5) * self.pixel_m
        lon, lat = to_degrees.transform(x, y)
        return np.asarray(lon), np.asarray(lat)


@dataclass(frozen=True)
class WatchGround:
    """Pixels that posts look over, all of the shape of the grid.

    `elevation` float32, m, NaN unknown; None when the study has no elevation. `canopy` float32, m above
    ground. `cell` int32, row of the mesh's cell, -1 outside. `counted` bool: pixels that say whether a cell
    is seen, its land, or all of it where it has none. `cell_pixels` int64[N], how many those are. `notes`
    say what was assumed.
    """

    grid: WatchGrid
    elevation: np.ndarray | None
    canopy: np.ndarray
    cell: np.ndarray
    counted: np.ndarray
    cell_pixels: np.ndarray
    notes: tuple[str, ...]


@dataclass(frozen=True)
class WatchSources:
    """Sources as read: countries and all layers, in EPSG:4326."""

    ground: Ground
    layers: Layers


def read_watch_sources(study: Study, progress: Progress) -> WatchSources:
    """Read borders and layers of a study.

    Raises
    ------
    InputError : all faults of the sources at once, such as an elevation raster without a reference system.
    """
    findings = Findings()
    ground = read_ground(study, findings)
    findings.raise_faults()
    assert ground is not None
    layers = read_layers(study, ground.area, findings, progress)
    findings.raise_faults()
    return WatchSources(ground, layers)


def lay_ground(
    study: Study, mesh: Mesh, sources: WatchSources, terms: WatchTerms, progress: Progress
) -> WatchGround:
    """Bring elevation, land cover and the cells of the mesh to one metric grid.

    Parameters
    ----------
    study, mesh : pixels are as large as the study's working pixels.
    sources : as read.
    terms : heights of trees and houses by land cover, canopy_added.
    progress : callback (stage, share done).

    In words: the grid is equal-area around the middle of the home country. Heights of rasters in degrees are
    warped to it: averaged where finer, interpolated where coarser. Trees and houses get the height of their
    land cover class; later layers lie on earlier ones as in the building of the mesh. What no raster covers
    is a void: nothing is seen there and it hides nothing.

    Raises
    ------
    SizeError : more than 100 million pixels.
    """
    grid = plan_watch_grid(study, mesh)
    notes = []
    progress("heights of the ground", 0.0)
    rasters = sources.layers.rasters["elevation"]
    elevation = warp_numbers(rasters, grid) if rasters else None
    progress("trees and houses", 0.3)
    classes = burn_cover(sources.layers, grid)
    heights = np.array([terms[f"canopy_{word}_m"].value for word in COVER_WORDS], np.float32)
    canopy = heights[classes]
    if elevation is None:
        notes.append("no elevation: posts see as far as their range, whatever lies between")
        canopy[:] = 0.0
    elif terms["canopy_added"].value == 0:
        notes.append("canopy_added is 0: the elevation is taken as a surface with its trees and houses")
        canopy[:] = 0.0
    progress("cells of the pixels", 0.6)
    cell = label_grid(mesh, grid)
    inside = cell >= 0
    land = inside & (classes != WATER)
    has_land = np.bincount(cell[land], minlength=mesh.cell_count) > 0
    counted = land | (inside & ~has_land[np.maximum(cell, 0)])
    pixels = np.bincount(cell[counted], minlength=mesh.cell_count)
    if elevation is not None:
        voids = int((np.isnan(elevation) & counted).sum())
        if voids:
            share = voids / max(int(counted.sum()), 1)
            notes.append(f"{share:.1%} of the ground has no elevation: it counts as not seen, hides nothing")
    progress("cells of the pixels", 1.0)
    return WatchGround(grid, elevation, canopy, cell, counted, pixels, tuple(notes))


def plan_watch_grid(study: Study, mesh: Mesh) -> WatchGrid:
    """Lay a metric grid over all cells of a mesh; equal-area around the middle of the home country."""
    home = mesh.mask_countries(study.home)
    inside = home if home.any() else np.ones(mesh.cell_count, bool)
    lon, lat = (float(values[inside].min() + values[inside].max()) / 2 for values in (mesh.lon, mesh.lat))
    crs = CRS.from_proj4(f"+proj=laea +lat_0={lat:.4f} +lon_0={lon:.4f} +ellps=WGS84 +units=m")
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(mesh.lon, mesh.lat)
    pixel_m = study.pixel_m
    west, north = (math.floor(v / pixel_m) * pixel_m for v in (np.min(x) - MARGIN_M, np.max(y) + MARGIN_M))
    rows = math.ceil((north - (np.min(y) - MARGIN_M)) / pixel_m)
    columns = math.ceil((np.max(x) + MARGIN_M - west) / pixel_m)
    if rows * columns > MOST_PIXELS:
        raise SizeError(
            f"the ground has {rows * columns / 1e6:.0f} million pixels of {pixel_m:g} m, at most "
            f"{MOST_PIXELS / 1e6:.0f} million can be looked over: raise pixel_m in study.toml"
        )
    return WatchGrid(crs, west, north, pixel_m, rows, columns)


def warp_numbers(rasters: list[RasterFile], grid: WatchGrid) -> np.ndarray:
    """Warp rasters of numbers to the grid, float32, NaN where unknown; later files fill holes."""
    out = np.full(grid.shape, np.nan, np.float32)
    for one in rasters:
        with rasterio.open(one.path) as opened:
            fine = _measure_pixel(opened) < 0.75 * grid.pixel_m
            method = Resampling.average if fine else Resampling.bilinear
            options = {"resampling": method, "dtype": "float32", "nodata": -3.0e38}
            with _warp(opened, grid, options) as warped:
                values = warped.read(1)
        hit = np.isnan(out) & np.isfinite(values) & (values > -1.0e38)
        out[hit] = values[hit]
    return out


def burn_cover(layers: Layers, grid: WatchGrid) -> np.ndarray:
    """Land cover of each pixel, uint8 index into COVER_WORDS; cropland where nothing is known."""
    out = np.full(grid.shape, UNKNOWN, np.uint8)
    for one in layers.rasters["landcover"]:
        table = np.full(256, UNKNOWN, np.uint8)
        for code, word in one.words.items():
            if 0 <= code < 256 and word in COVER_WORDS:
                table[code] = COVER_WORDS.index(word)
        with rasterio.open(one.path) as opened:
            bare = {"resampling": Resampling.nearest, "add_alpha": opened.nodata is None}
            with _warp(opened, grid, bare) as warped:
                values, known = warped.read(1), warped.dataset_mask() > 0
        found = table[np.clip(values, 0, 255).astype(np.uint8)]
        hit = known & (found != UNKNOWN) & (out == UNKNOWN)
        out[hit] = found[hit]
    out[out == UNKNOWN] = COVER_WORDS.index(DEFAULT_COVER)
    for name, default in COVER_LAYERS:
        layer = layers.vectors[name]
        if layer.count:
            shapes = move_shapes(layer.geometry, grid.crs)
            values = [COVER_WORDS.index(word or default) for word in layer.words]
            rasterize(zip(shapes, values, strict=True), out=out, transform=grid.transform)
    return out


def move_shapes(shapes: np.ndarray, crs: CRS) -> np.ndarray:
    """Bring shapes from degrees to a reference system in metres."""
    to_metres = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    moved = shapely.transform(
        shapely.force_2d(shapes), lambda xy: np.column_stack(to_metres.transform(xy[:, 0], xy[:, 1]))
    )
    return np.asarray(moved, dtype=object)


def label_grid(mesh: Mesh, grid: WatchGrid) -> np.ndarray:
    """Row of the mesh's cell under each pixel centre, int32[rows, columns], -1 outside.

    In words: longitude and latitude are computed at every sixteenth pixel and interpolated between, which
    moves a point by less than a metre.
    """
    high = np.append(np.arange(0, grid.rows, LATTICE_STEP), grid.rows - 1 + LATTICE_STEP)
    wide = np.append(np.arange(0, grid.columns, LATTICE_STEP), grid.columns - 1 + LATTICE_STEP)
    node_row, node_column = np.meshgrid(high, wide, indexing="ij")
    lon, lat = grid.place(node_row, node_column)
    hexes = build_hexgrid(np.asarray(mesh.cells))
    out = np.empty(grid.shape, np.int32)
    column = np.arange(grid.columns)
    left = column // LATTICE_STEP
    ahead = (column - wide[left]) / (wide[left + 1] - wide[left])
    for row in range(grid.rows):
        top = row // LATTICE_STEP
        down = (row - high[top]) / (high[top + 1] - high[top])
        places = []
        for node in (lon, lat):
            line = node[top] * (1.0 - down) + node[top + 1] * down
            places.append(line[left] * (1.0 - ahead) + line[left + 1] * ahead)
        out[row] = label_points(hexes, *places)
    return out


def _measure_pixel(opened: rasterio.DatasetReader) -> float:
    """Height of a pixel of a raster in metres."""
    step = abs(opened.transform.e)
    return step * 111_320.0 if opened.crs.is_geographic else step * opened.crs.linear_units_factor[1]


def _warp(opened: rasterio.DatasetReader, grid: WatchGrid, options: dict[str, object]) -> WarpedVRT:
    place = {"crs": grid.crs.to_wkt(), "transform": grid.transform}
    return WarpedVRT(opened, width=grid.columns, height=grid.rows, **place, **options)
