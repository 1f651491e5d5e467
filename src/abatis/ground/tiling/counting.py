"""Counting one tile: the same function in this process, in another one and on another machine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import rasterio

from abatis.ground import _pixels as kernel
from abatis.ground.composition import DEFAULT_COVER, CellCounts
from abatis.ground.gaps import SAMPLES, find_joined
from abatis.ground.hexgrid import label_centres
from abatis.ground.pixels import UNKNOWN, PixelWindow
from abatis.ground.tiling.inputs import TileInput
from abatis.ground.tiling.stack import PixelTile
from abatis.model.words import COVER_WORDS

RASTER_CACHE_MB = 128


@dataclass(frozen=True)
class TileResult:
    """What was counted on a tile.

    `counts` of its own cells (zone cells are rows of the tile's cells); per edge samples `passed`, `seen`
    int32[E] and `joined` bool[E]; per stretch `wet` int32[K] samples over water.
    """

    number: int
    counts: CellCounts
    passed: np.ndarray
    seen: np.ndarray
    joined: np.ndarray
    wet: np.ndarray


def count_tile(tile: TileInput) -> TileResult:
    """Count the pixels of one tile.

    In words: layers are read and burnt, every pixel is labelled with its cell, and classes are counted for
    the tile's own cells, edges and stretches.
    """
    window = tile.window
    with rasterio.Env(GDAL_CACHEMAX=RASTER_CACHE_MB):
        pixels = tile.layers.read(window)
    lon, lat = tile.layers.grid.place_centres(window)
    labels = np.empty((window.rows, window.columns), np.int32)
    label_centres(tile.cells, lon, lat, tile.layers.grid.dlon, labels)
    counts = CellCounts.start(tile.own, tile.countries)
    count_pixels(labels, pixels, counts)
    if pixels.zone is not None:
        _count_zones(labels, pixels.zone, tile, counts)
    passed, seen = np.zeros(len(tile.ends), np.int32), np.zeros(len(tile.ends), np.int32)
    slope = np.zeros((0, 0), np.uint8) if pixels.slope is None else pixels.slope
    place = (window.row0, window.column0)
    kernel.sample_edges(tile.ends, SAMPLES, tile.passable, pixels.cover, slope, *place, passed, seen)
    dry = np.asarray(tile.passable.any(axis=1))
    joined = find_joined(pixels.cover, dry, *place, tile.centre, tile.edge_a, tile.edge_b, tile.reach)
    wet = tile.stretches.count_wet(pixels.cover, window, tile.core, tile.layers.grid)
    return TileResult(tile.number, counts, passed, seen, joined, wet)


def count_pixels(labels: np.ndarray, pixels: PixelTile, counts: CellCounts) -> None:
    """Add the pixels of a tile to their cells; unknown cover becomes the default, in the tile itself."""
    counts.unknown_cover, counts.stateless_cover = kernel.count_cover(
        labels, pixels.cover, pixels.country, UNKNOWN, COVER_WORDS.index(DEFAULT_COVER), counts.cover,
        counts.country, counts.pixels,
    )  # fmt: skip
    if pixels.slope is not None:
        kernel.count_classes(labels, pixels.slope, counts.slope)
    if pixels.soil is not None:
        kernel.count_classes(labels, pixels.soil, counts.soil)
    if pixels.protected is not None:
        kernel.count_classes(labels, pixels.protected, counts.protected)
    if pixels.elevation_m is not None:
        kernel.sum_heights(labels, pixels.elevation_m, counts.height_sum, counts.height_count)


def _count_zones(labels: np.ndarray, zone: np.ndarray, tile: TileInput, counts: CellCounts) -> None:
    """Count pixels per zone and own cell, and per zone those of the core that lie in no cell (-1)."""
    outside = np.zeros(labels.shape, np.bool_)
    outside[_slice(tile.core, tile.window)] = True
    counted = (zone >= 0) & np.where(labels < 0, outside, labels < tile.own)
    pairs = (zone[counted].astype(np.int64) << 32) + labels[counted] + 1
    keys, counts.zone_pixels = np.unique(pairs, return_counts=True)
    counts.zone, counts.zone_cell = keys >> 32, (keys & 0xFFFFFFFF) - 1


def _slice(core: PixelWindow, window: PixelWindow) -> tuple[slice, slice]:
    row, column = core.row0 - window.row0, core.column0 - window.column0
    return slice(row, row + core.rows), slice(column, column + core.columns)
