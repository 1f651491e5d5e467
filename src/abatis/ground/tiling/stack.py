"""All layers of a study that lie on the working pixels, and what one window needs of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import rasterio
import shapely
from pyproj import CRS

from abatis.ground import _pixels as kernel
from abatis.ground.composition import DEFAULT_SOIL
from abatis.ground.layers import COVER_LAYERS, Layers
from abatis.ground.outline import Ground
from abatis.ground.pixels import (
    UNKNOWN,
    WATER,
    PixelGrid,
    PixelShapes,
    PixelWindow,
    ShapePieces,
    metres_per_degree,
    prepare_cover,
    prepare_shapes,
)
from abatis.ground.rivers import RiverLines
from abatis.ground.sources import Area, transform_bounds
from abatis.ground.sources.rasters import RasterFile, RasterReader
from abatis.model.words import COVER_WORDS, SLOPE_LIMITS_PERCENT, SOIL_WORDS

MARGIN_DEG = 0.01


@dataclass(frozen=True)
class PixelTile:
    """A window of the grid with all layers; `UNKNOWN` (255) where a layer says nothing.

    `country` uint8 (index of the country codes), `cover`, `slope`, `soil` uint8, `protected` uint8 0/1,
    `elevation_m` float32 (NaN unknown), `zone` int32 (population polygon, -1 none); None for absent layers.
    """

    country: np.ndarray
    cover: np.ndarray
    slope: np.ndarray | None
    soil: np.ndarray | None
    protected: np.ndarray | None
    elevation_m: np.ndarray | None
    zone: np.ndarray | None


@dataclass(frozen=True)
class TileLayers:
    """What one window needs of all layers: pieces of shapes and the rasters that reach it.

    `cover` are burnt in order over the land-cover raster; other shapes are None when the layer is absent.
    """

    grid: PixelGrid
    country: ShapePieces
    cover: tuple[ShapePieces, ...]
    soil: ShapePieces | None
    protected: ShapePieces | None
    zones: ShapePieces | None
    landcover: tuple[RasterFile, ...]
    elevation: tuple[RasterFile, ...]
    soil_rasters: tuple[RasterFile, ...]
    has_elevation: bool
    has_soil: bool

    def read(self, window: PixelWindow) -> PixelTile:
        """Read the rasters of a window and burn the shapes over them."""
        country = np.full((window.rows, window.columns), UNKNOWN, np.uint8)
        self.country.burn(country, window.row0, window.column0)
        cover = self._read_classes(self.landcover, COVER_WORDS, window)
        for shapes in self.cover:
            shapes.burn(cover, window.row0, window.column0)
        slope, elevation = self._read_relief(window)
        soil = _burn_optional(self.soil, window, np.uint8, UNKNOWN)
        if self.has_soil:
            raster = self._read_classes(self.soil_rasters, SOIL_WORDS, window)
            soil = raster if soil is None else np.where(soil == UNKNOWN, raster, soil)
        protected = _burn_optional(self.protected, window, np.uint8, 0)
        zone = _burn_optional(self.zones, window, np.int32, -1)
        return PixelTile(country, cover, slope, soil, protected, elevation, zone)

    def _read_classes(
        self, rasters: tuple[RasterFile, ...], words: tuple[str, ...], window: PixelWindow
    ) -> np.ndarray:
        if not rasters:
            return np.full((window.rows, window.columns), UNKNOWN, np.uint8)
        transform = self.grid.transform(window.row0, window.column0)
        with RasterReader(list(rasters), words, self.grid.dlat) as reader:
            return reader.read_classes(transform, window.rows, window.columns, UNKNOWN)

    def _read_relief(self, window: PixelWindow) -> tuple[np.ndarray | None, np.ndarray | None]:
        if not self.has_elevation:
            return None, None
        grid, shape = self.grid, (window.rows, window.columns)
        slope = np.full(shape, UNKNOWN, np.uint8)
        if not self.elevation:
            return slope, np.full(shape, np.nan, np.float32)
        transform = grid.transform(window.row0 - 1, window.column0 - 1)
        with RasterReader(list(self.elevation), (), grid.dlat) as reader:
            height = reader.read_numbers(transform, window.rows + 2, window.columns + 2)
        east_m, north_m = metres_per_degree(grid.place_centres(window)[1])
        limits = np.array(SLOPE_LIMITS_PERCENT)
        kernel.classify_slope(height, east_m * grid.dlon, north_m * grid.dlat, limits, UNKNOWN, slope)
        return slope, height[1:-1, 1:-1]


def _burn_optional(
    shapes: ShapePieces | None, window: PixelWindow, kind: type[np.generic], nothing: int
) -> np.ndarray | None:
    if shapes is None:
        return None
    out = np.full((window.rows, window.columns), nothing, kind)
    shapes.burn(out, window.row0, window.column0)
    return out


@dataclass(frozen=True)
class PixelStack:
    """All layers of the study in pixel units; `cut` gives what one window needs of them."""

    grid: PixelGrid
    country: PixelShapes
    cover: tuple[PixelShapes, ...]
    soil: PixelShapes | None
    protected: PixelShapes | None
    zones: PixelShapes | None
    landcover: tuple[tuple[RasterFile, Area | None], ...]
    elevation: tuple[tuple[RasterFile, Area | None], ...]
    soil_rasters: tuple[tuple[RasterFile, Area | None], ...]

    def cut(self, window: PixelWindow) -> TileLayers:
        """Return what a window needs of every layer."""
        grid = self.grid
        box = (
            grid.west + window.column0 * grid.dlon - MARGIN_DEG,
            grid.north - (window.row0 + window.rows) * grid.dlat - MARGIN_DEG,
            grid.west + (window.column0 + window.columns) * grid.dlon + MARGIN_DEG,
            grid.north - window.row0 * grid.dlat + MARGIN_DEG,
        )

        def near(rasters: tuple[tuple[RasterFile, Area | None], ...]) -> tuple[RasterFile, ...]:
            return tuple(one for one, area in rasters if area is None or area.overlaps(box))

        def cut(shapes: PixelShapes | None) -> ShapePieces | None:
            return None if shapes is None else shapes.cut(window)

        return TileLayers(
            grid, self.country.cut(window), tuple(shapes.cut(window) for shapes in self.cover),
            cut(self.soil), cut(self.protected), cut(self.zones), near(self.landcover), near(self.elevation),
            near(self.soil_rasters), bool(self.elevation), bool(self.soil_rasters),
        )  # fmt: skip


def stack_pixels(
    ground: Ground, layers: Layers, grid: PixelGrid, rivers: RiverLines, pixel_m: float
) -> PixelStack:
    """Bring all layers of a study to pixel units; rivers at least a pixel wide become water."""
    vectors = layers.vectors
    cover = [prepare_cover(grid, vectors[name], word) for name, word in COVER_LAYERS if vectors[name].count]
    wide = _widen_rivers(grid, rivers, pixel_m)
    if wide is not None:
        cover.append(wide)

    def shape(name: str, values: np.ndarray) -> PixelShapes | None:
        return prepare_shapes(grid, vectors[name].geometry, values) if vectors[name].count else None

    soil = np.array([SOIL_WORDS.index(word or DEFAULT_SOIL) for word in vectors["soil"].words], np.int64)
    return PixelStack(
        grid,
        prepare_shapes(grid, ground.shapes, np.arange(len(ground.codes))),
        tuple(cover),
        shape("soil", soil),
        shape("protected", np.ones(vectors["protected"].count, np.int64)),
        shape("population", np.arange(vectors["population"].count)),
        *(_place_rasters(layers.rasters[name]) for name in ("landcover", "elevation", "soil")),
    )


def _place_rasters(rasters: list[RasterFile]) -> tuple[tuple[RasterFile, Area | None], ...]:
    """Name with each raster the box in degrees that it lies in, None where that is not known."""
    placed = []
    for one in rasters:
        with rasterio.open(one.path) as opened:
            box = transform_bounds(opened.bounds, CRS.from_user_input(opened.crs))
        # A worker may run in another folder.
        placed.append((replace(one, path=one.path.resolve()), Area(*box) if box else None))
    return tuple(placed)


def _widen_rivers(grid: PixelGrid, rivers: RiverLines, pixel_m: float) -> PixelShapes | None:
    """Turn rivers at least one pixel wide into water polygons."""
    wide = rivers.width_m >= pixel_m
    if not wide.any():
        return None
    x0, y0 = grid.to_pixels(rivers.ends[wide, 0], rivers.ends[wide, 1])
    x1, y1 = grid.to_pixels(rivers.ends[wide, 2], rivers.ends[wide, 3])
    lines = shapely.linestrings(np.stack([np.column_stack([x0, y0]), np.column_stack([x1, y1])], axis=1))
    banks = shapely.buffer(lines, rivers.width_m[wide] / pixel_m / 2, quad_segs=2)
    degrees = shapely.transform(
        banks,
        lambda points: np.column_stack(
            [grid.west + points[:, 0] * grid.dlon, grid.north - points[:, 1] * grid.dlat]
        ),
    )
    return prepare_shapes(grid, degrees, np.full(len(degrees), WATER))
