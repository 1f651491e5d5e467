"""From sources to mesh: reads all layers, lays the cells, counts, and notes what was missing or assumed."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import h3.api.numpy_int as h3
import numpy as np
import shapely

from abatis.ground import _pixels as kernel
from abatis.ground.cells import describe_cells
from abatis.ground.composition import (
    DEFAULT_SOIL,
    CellCounts,
)
from abatis.ground.edges import describe_edges, lay_bridges, lay_rivers
from abatis.ground.gaps import SAMPLES, EdgeGeometry, compute_gaps, find_ends_in_pixels, find_joined
from abatis.ground.hexgrid import HexGrid, build_hexgrid, cover_polygon, label_window
from abatis.ground.layers import COVER_LAYERS, DEFAULT_ROAD, Layers, note_missing, read_layers
from abatis.ground.outline import Ground, read_ground
from abatis.ground.pixels import (
    UNKNOWN,
    WATER,
    PixelGrid,
    PixelShapes,
    PixelStack,
    plan_grid,
    prepare_cover,
    prepare_shapes,
)
from abatis.ground.rivers import RiverLines
from abatis.ground.roads import (
    Road,
    RoadStretches,
    burn_roads,
    join_roads,
    locate_along,
)
from abatis.ground.sources import Findings, bound_places
from abatis.ground.sources.osm import forget_file
from abatis.ground.sources.rasters import (
    RasterReader,
)
from abatis.ground.speeds import find_closed_rivers, find_passable
from abatis.model.errors import SizeError
from abatis.model.mesh import Mesh, freeze_mesh
from abatis.model.study import Study, hash_mesh_inputs
from abatis.model.words import COVER_WORDS, SOIL_WORDS

Progress = Callable[[str, float], None]
MOST_CELLS = 3_000_000
# Fitted to builds of the embedded example on two busy cores: 21,479 cells 5.0 s 504 MiB; 150,405 cells 10.0 s
# 569 MiB, with pixels of 40 m 37 s 597 MiB; 1,052,873 cells 42 s 1,243 MiB.
FIXED_MIB, CELL_KIB, PIXEL_MIB = 500.0, 0.75, 1 / 8 / 2**20
FIXED_MINUTES, CELL_MINUTES, PIXEL_MINUTES = 0.03, 5.8e-7, 4.5e-9


@dataclass(frozen=True)
class SizePrediction:
    """What building will take: `cells`, `edges`, `memory_mib`, `minutes` (two cores)."""

    cells: int
    edges: int
    memory_mib: float
    minutes: float


def predict_size(study: Study) -> SizePrediction:
    """Say how large the mesh will be and what building it takes, without building it.

    Parameters
    ----------
    study : the study; only its borders are read.

    Raises
    ------
    InputError : faults of the borders.
    SizeError : more than 3 million cells, or more memory than the machine has free; says what to lower.

    Formula: cells = ground of the mesh in km2 / area of a cell at its middle; edges = 3 x cells;
    memory = 500 MiB + 0.75 KiB per cell + 1 bit per pixel;
    minutes = 0.03 + 5.8e-7 per cell + 4.5e-9 per pixel.
    In words: the numbers were fitted to builds of the embedded example (up to 7 % above the memory measured
    and 28 % above to 11 % below the time, compiled kernels at hand).
    """
    findings = Findings()
    ground = read_ground(study, findings)
    findings.raise_faults()
    assert ground is not None
    return _predict(study, ground)


def _predict(study: Study, ground: Ground) -> SizePrediction:
    area = ground.area
    middle = h3.latlng_to_cell((area.south + area.north) / 2, (area.west + area.east) / 2, study.resolution)
    cells = round(ground.area_km2 / h3.cell_area(middle, unit="km^2"))
    grid = plan_grid(area, study.pixel_m)
    pixels = grid.rows * grid.columns
    memory_mib = FIXED_MIB + cells * CELL_KIB / 1024 + pixels * PIXEL_MIB
    minutes = FIXED_MINUTES + cells * CELL_MINUTES + pixels * PIXEL_MINUTES
    lower = "lower resolution or strip_km in study.toml"
    if cells > MOST_CELLS:
        raise SizeError(f"the mesh would have {cells:,} cells, the limit is {MOST_CELLS:,}: {lower}")
    free_mib = _measure_free_mib()
    if memory_mib > free_mib:
        raise SizeError(
            f"building needs about {memory_mib:,.0f} MiB of memory, {free_mib:,.0f} MiB are free: {lower}"
        )
    return SizePrediction(cells, 3 * cells, memory_mib, minutes)


def _measure_free_mib() -> float:
    """Memory that can be used now, MiB; all of it where the system names no free part; inf where nothing."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(float(line.split()[1]) / 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**20
    except (AttributeError, ValueError, OSError):
        return float("inf")


def build_mesh(study: Study, progress: Progress | None = None) -> Mesh:
    """Build the mesh of a study from its sources.

    Parameters
    ----------
    study : the study.
    progress : called with the stage in words and the share done, 0 to 1.

    Returns
    -------
    The mesh; `assumptions` say in words what was missing and what was guessed, with counts.

    In words: borders give the cells; every other layer is brought to working pixels and counted per cell tile
    by tile; rivers, gaps, roads and bridges are laid on the edges. Same study, same bytes.

    Raises
    ------
    InputError : all faults of all layers at once.
    SizeError : the mesh would be too large.
    """
    tell = progress or (lambda stage, share: None)
    tell("reading borders", 0.0)
    findings = Findings()
    ground = read_ground(study, findings)
    layers = read_layers(study, ground.area if ground else bound_places(study), findings, tell)
    forget_file()
    findings.raise_faults()
    assert ground is not None
    _predict(study, ground)
    tell("laying cells", 0.3)
    cells = cover_polygon(ground.outline, study.resolution)
    grid = build_hexgrid(cells)
    geometry = EdgeGeometry(grid)
    notes = findings.notes + note_missing(study, layers)
    spacing_m = float(geometry.distance_m.mean())
    tell("rivers and roads", 0.4)
    rivers, river_m = lay_rivers(layers, grid, geometry, spacing_m, notes)
    roads = join_roads(layers.vectors["roads"], DEFAULT_ROAD)
    stretches = burn_roads(roads, grid, geometry.neighbor, geometry.edge, spacing_m)
    counted = _count_pixels(study, ground, layers, grid, geometry, rivers, roads, stretches, tell)
    tell("people, gaps and bridges", 0.9)
    bridges = lay_bridges(study, layers, roads, stretches, rivers, counted.water_m, spacing_m, notes)
    edges = describe_edges(study, stretches, bridges)
    cell_columns = describe_cells(study, ground, layers, grid, geometry, counted.counts, notes)
    joined = find_joined(
        counted.bits, plan_grid(ground.area, study.pixel_m), grid, geometry, 0.577 * spacing_m, study.pixel_m
    )
    closed = find_closed_rivers(study, river_m) | ~joined
    gap_m = compute_gaps(geometry.length_m, counted.passed, counted.seen, closed)
    tell("mesh built", 1.0)
    return freeze_mesh(
        Mesh(
            cells=grid.cells,
            lon=grid.lon,
            lat=grid.lat,
            neighbor=geometry.neighbor,
            edge=geometry.edge,
            edge_a=geometry.edge_a,
            edge_b=geometry.edge_b,
            length_m=geometry.length_m.astype(np.float32),
            distance_m=geometry.distance_m.astype(np.float32),
            gap_m=gap_m,
            river_m=river_m.astype(np.float32),
            **cell_columns,
            **edges.fill(len(geometry.edge_a)),
            country_codes=ground.codes,
            assumptions=tuple(notes),
            study_hash=hash_mesh_inputs(study),
        )
    )


@dataclass(frozen=True)
class _Counted:
    """What one pass over the pixels counted: per cell, per edge boundary, per road stretch."""

    counts: CellCounts
    passed: np.ndarray
    seen: np.ndarray
    water_m: np.ndarray
    bits: np.ndarray


def _count_pixels(
    study: Study,
    ground: Ground,
    layers: Layers,
    hexgrid: HexGrid,
    geometry: EdgeGeometry,
    rivers: RiverLines,
    roads: list[Road],
    stretches: RoadStretches,
    tell: Progress,
) -> _Counted:
    grid = plan_grid(ground.area, study.pixel_m)
    counts = CellCounts.start(len(hexgrid.cells), len(ground.codes))
    ends = find_ends_in_pixels(geometry, grid)
    passed, seen = np.zeros(len(ends), np.int32), np.zeros(len(ends), np.int32)
    passable = find_passable(study)
    samples = _sample_stretches(roads, stretches, grid, study.pixel_m)
    water_m = np.zeros(len(stretches.edge))
    dry = np.asarray(passable.any(axis=1))
    bits = []
    with ExitStack() as stack:
        pixels = _stack_pixels(study, ground, layers, grid, rivers, stack)
        for row0, rows in grid.iterate_tiles():
            tell("counting pixels", 0.45 + 0.45 * row0 / grid.rows)
            tile = pixels.read_tile(row0, rows)
            labels = np.empty((rows, grid.columns), np.int32)
            label_window(
                hexgrid,
                grid.west,
                grid.north - row0 * grid.dlat,
                grid.dlon,
                grid.dlat,
                rows,
                grid.columns,
                labels,
            )
            counts.add_tile(labels, tile)
            slope = tile.slope if tile.slope is not None else np.zeros_like(tile.cover)
            slope = np.where(slope == UNKNOWN, np.uint8(0), slope)
            kernel.sample_edges(ends, SAMPLES, passable[tile.cover, slope], row0, passed, seen)
            bits.append(np.packbits(dry[tile.cover], axis=1))
            column, row, owner, step_m = samples
            inside = (row >= row0) & (row < row0 + rows)
            wet = tile.cover[row[inside] - row0, column[inside]] == WATER
            water_m += np.bincount(owner[inside][wet], weights=step_m[inside][wet], minlength=len(water_m))
    return _Counted(counts, passed, seen, water_m, np.concatenate(bits))


def _sample_stretches(
    roads: list[Road], stretches: RoadStretches, grid: PixelGrid, pixel_m: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return column, row, stretch and metres of samples along all road stretches, one per pixel length."""
    count = np.maximum(1, np.ceil(np.abs(stretches.length_m) / pixel_m)).astype(np.int64)
    owner = np.repeat(np.arange(len(count)), count)
    start = np.repeat(np.cumsum(count) - count, count)
    share = (np.arange(len(owner)) - start + 0.5) / count[owner]
    place = stretches.start_m[owner] + share * stretches.length_m[owner]
    lon, lat = np.zeros(len(owner)), np.zeros(len(owner))
    road_of = stretches.road[owner]
    border = np.searchsorted(road_of, np.arange(len(roads) + 1))
    for index, road in enumerate(roads):
        own = slice(border[index], border[index + 1])
        lon[own], lat[own] = locate_along(road, place[own])
    x, y = grid.to_pixels(lon, lat)
    column = np.clip(np.floor(x).astype(np.int64), 0, grid.columns - 1)
    row = np.clip(np.floor(y).astype(np.int64), 0, grid.rows - 1)
    return column, row, owner, (stretches.length_m / count)[owner]


def _stack_pixels(
    study: Study, ground: Ground, layers: Layers, grid: PixelGrid, rivers: RiverLines, stack: ExitStack
) -> PixelStack:
    vectors = layers.vectors
    cover = [prepare_cover(grid, vectors[name], word) for name, word in COVER_LAYERS if vectors[name].count]
    wide = _widen_rivers(grid, rivers, study.pixel_m)
    if wide is not None:
        cover.append(wide)

    def open_rasters(name: str, words: tuple[str, ...]) -> RasterReader | None:
        if not layers.rasters[name]:
            return None
        return stack.enter_context(RasterReader(layers.rasters[name], words, grid.dlat))

    def shape(name: str, values: np.ndarray) -> PixelShapes | None:
        return prepare_shapes(grid, vectors[name].geometry, values) if vectors[name].count else None

    soil = np.array([SOIL_WORDS.index(word or DEFAULT_SOIL) for word in vectors["soil"].words], np.int64)
    return PixelStack(
        grid,
        prepare_shapes(grid, ground.shapes, np.arange(len(ground.codes))),
        tuple(cover),
        open_rasters("landcover", COVER_WORDS),
        open_rasters("elevation", ()),
        shape("soil", soil),
        open_rasters("soil", SOIL_WORDS),
        shape("protected", np.ones(vectors["protected"].count, np.int64)),
        shape("population", np.arange(vectors["population"].count)),
    )


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
