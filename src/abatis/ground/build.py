"""From sources to mesh: reads all layers, lays the cells, counts, and notes what was missing or assumed."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h3.api.numpy_int as h3
import numpy as np

from abatis.ground.cells import describe_cells, place_facilities
from abatis.ground.edges import describe_edges, lay_bridges, lay_rivers
from abatis.ground.gaps import EdgeGeometry, compute_gaps
from abatis.ground.hexgrid import HexGrid, build_hexgrid, cover_polygon
from abatis.ground.layers import DEFAULT_ROAD, Layers, note_missing, read_layers
from abatis.ground.outline import Ground, read_ground
from abatis.ground.pixels import PixelGrid, plan_grid
from abatis.ground.rivers import RiverLines
from abatis.ground.roads import Road, RoadStretches, burn_roads, join_roads, mark_stretches
from abatis.ground.sources import Findings, bound_places
from abatis.ground.speeds import find_closed_rivers, find_passable
from abatis.ground.tiling.crew import Crew, Single
from abatis.ground.tiling.inputs import TileCutter
from abatis.ground.tiling.run import Counted, TileRun
from abatis.ground.tiling.squares import cut_squares
from abatis.ground.tiling.stack import stack_pixels
from abatis.ground.tiling.store import TileStore
from abatis.ground.tiling.stretches import StretchLines, lay_stretches
from abatis.model.errors import SizeError
from abatis.model.mesh import Mesh, freeze_mesh
from abatis.model.study import Study, hash_mesh_inputs

Progress = Callable[[str, float], None]
MOST_CELLS = 3_000_000
# Fitted to builds of the embedded example by one process: 21,479 cells, 14 M pixels 2.7 s 460 MiB; 150,405
# cells 4.9 s 527 MiB, with 90 M pixels 7.2 s 509 MiB; 1,052,873 cells 18.6 s 1,246 MiB, with 362 M pixels
# 31 s 1,249 MiB.
FIXED_MIB, CELL_KIB = 440.0, 0.78
FIXED_MINUTES, CELL_MINUTES, PIXEL_MINUTES = 0.038, 2.5e-7, 6.2e-10


@dataclass(frozen=True)
class SizePrediction:
    """What building will take: `cells`, `edges`, `memory_mib`, `minutes` (one process)."""

    cells: int
    edges: int
    memory_mib: float
    minutes: float


@dataclass(frozen=True)
class _Laid:
    """What is laid before pixels are counted: cells, edges, rivers, roads and their stretches, pixels."""

    grid: HexGrid
    geometry: EdgeGeometry
    spacing_m: float
    rivers: RiverLines
    river_m: np.ndarray
    roads: list[Road]
    stretches: RoadStretches
    pixels: PixelGrid
    lines: StretchLines


def predict_size(study: Study, ground: Ground | None = None) -> SizePrediction:
    """Say how large the mesh will be and what building it takes, without building it.

    Parameters
    ----------
    study : the study; only its borders are read.
    ground : its ground where that is known already.

    Raises
    ------
    InputError : faults of the borders.
    SizeError : more than 3 million cells, or more memory than the machine has free; says what to lower.

    Formula: cells = ground of the mesh in km2 / area of a cell at its middle; edges = 3 x cells;
    memory = 440 MiB + 0.78 KiB per cell; minutes = 0.038 + 2.5e-7 per cell + 6.2e-10 per pixel.
    In words: the numbers were fitted to builds of the embedded example by one process (up to 5 % off the
    memory measured and 19 % off the time, compiled kernels at hand). Pixels are counted tile by tile, so
    they take time but no more memory. A dense net of roads takes about 1 KiB more per line between two
    junctions, each further worker 400 MiB.
    """
    if ground is None:
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
    memory_mib = FIXED_MIB + cells * CELL_KIB / 1024
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


def build_mesh(
    study: Study,
    progress: Progress | None = None,
    crew: Crew | None = None,
    store: TileStore | None = None,
) -> Mesh:
    """Build the mesh of a study from its sources.

    Parameters
    ----------
    study : the study.
    progress : called with the stage in words and the share done, 0 to 1.
    crew : who counts the tiles; this process when left out.
    store : where finished tiles are kept; a build that was interrupted goes on from them.

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
    findings.raise_faults()
    assert ground is not None
    _predict(study, ground)
    notes = findings.notes + note_missing(study, layers)
    laid = _lay_ground(study, ground, layers, notes, tell)
    counted = _count_tiles(study, ground, layers, laid, crew or Single(), store, tell)
    tell("people, gaps and bridges", 0.9)
    mesh = _settle_mesh(study, ground, layers, laid, counted, notes)
    tell("mesh built", 1.0)
    return mesh


def _lay_ground(study: Study, ground: Ground, layers: Layers, notes: list[str], tell: Progress) -> _Laid:
    tell("laying cells", 0.3)
    grid = build_hexgrid(cover_polygon(ground.outline, study.resolution))
    geometry = EdgeGeometry(grid)
    spacing_m = float(geometry.distance_m.mean())
    tell("rivers and roads", 0.4)
    rivers, river_m = lay_rivers(layers, grid, geometry, spacing_m, notes)
    roads = join_roads(layers.vectors["roads"], DEFAULT_ROAD)
    stretches = burn_roads(roads, grid, geometry.neighbor, geometry.edge, spacing_m)
    pixels = plan_grid(ground.area, study.pixel_m)
    lines = lay_stretches(roads, stretches, pixels, study.pixel_m)
    return _Laid(grid, geometry, spacing_m, rivers, river_m, roads, stretches, pixels, lines)


def _count_tiles(
    study: Study,
    ground: Ground,
    layers: Layers,
    laid: _Laid,
    crew: Crew,
    store: TileStore | None,
    tell: Progress,
) -> Counted:
    reach = 0.577 * laid.spacing_m / study.pixel_m
    stack = stack_pixels(ground, layers, laid.pixels, laid.rivers, study.pixel_m)
    squares = cut_squares(laid.pixels, laid.grid, laid.geometry, reach)
    countries = len(ground.codes)
    cutter = TileCutter(
        squares, stack, laid.grid, laid.geometry, laid.lines, find_passable(study), countries, reach
    )
    counting = TileRun(
        cutter, countries, len(laid.stretches.edge), store,
        lambda share: tell("counting pixels", 0.45 + 0.45 * share),
    )  # fmt: skip
    return counting.count(crew)


def _settle_mesh(
    study: Study, ground: Ground, layers: Layers, laid: _Laid, counted: Counted, notes: list[str]
) -> Mesh:
    grid, geometry, roads, stretches = laid.grid, laid.geometry, laid.roads, laid.stretches
    water_m = counted.wet * (laid.lines.length_m / laid.lines.count)
    marks = mark_stretches(roads, stretches, layers.vectors["roads"])
    bridges = lay_bridges(study, layers, roads, stretches, marks, laid.rivers, water_m, laid.spacing_m, notes)
    edges = describe_edges(study, stretches, marks, bridges, notes)
    facilities = place_facilities(layers, grid, notes)
    cell_columns = describe_cells(study, ground, layers, grid, geometry, counted.counts, notes)
    closed = find_closed_rivers(study, laid.river_m) | ~counted.joined
    gap_m = compute_gaps(geometry.length_m, counted.passed, counted.seen, closed)
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
            river_m=laid.river_m.astype(np.float32),
            **cell_columns,
            **edges.fill(len(geometry.edge_a)),
            country_codes=ground.codes,
            assumptions=tuple(notes),
            study_hash=hash_mesh_inputs(study),
            facilities=facilities,
        )
    )
