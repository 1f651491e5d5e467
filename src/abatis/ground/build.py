"""From sources to mesh: reads all layers, lays the cells, counts, and notes what was missing or assumed."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h3.api.numpy_int as h3
import numpy as np
import shapely

from abatis.ground import _pixels as kernel
from abatis.ground.bridges import Bridges, find_crossings, place_bridges
from abatis.ground.composition import (
    DEFAULT_COVER,
    DEFAULT_SLOPE,
    DEFAULT_SOIL,
    CellCounts,
    add_points,
    compute_shares,
    settle_places,
    spread_zones,
)
from abatis.ground.gaps import SAMPLES, EdgeGeometry, compute_gaps, find_ends_in_pixels, find_joined
from abatis.ground.hexgrid import HexGrid, build_hexgrid, cover_polygon, label_window
from abatis.ground.outline import Ground, measure_border, read_ground
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
from abatis.ground.rivers import RiverLines, compute_river_widths, split_rivers
from abatis.ground.roads import (
    Road,
    RoadStretches,
    burn_roads,
    choose_stretches,
    join_roads,
    locate_along,
)
from abatis.ground.sources import Area, Findings, bound_places
from abatis.ground.sources.osm import forget_file
from abatis.ground.sources.rasters import (
    RasterFile,
    RasterReader,
    list_rasters,
    read_population_points,
)
from abatis.ground.sources.vectors import VectorLayer, empty_layer, read_vector_layer
from abatis.ground.speeds import find_closed_rivers, find_passable, find_speeds, list_uses
from abatis.model.errors import SizeError
from abatis.model.mesh import Mesh, freeze_mesh
from abatis.model.study import Study, hash_mesh_inputs
from abatis.model.words import COVER_WORDS, ROAD_WORDS, SLOPE_WORDS, SOIL_WORDS

Progress = Callable[[str, float], None]
MOST_CELLS = 3_000_000
DEFAULT_ROAD = "main"
DEFAULT_FOREST = "open_forest"
SMALLEST_PERCENT = 0.05
# Fitted to builds of the embedded example on two busy cores: 21,479 cells 5.0 s 504 MiB; 150,405 cells 10.0 s
# 569 MiB, with pixels of 40 m 37 s 597 MiB; 1,052,873 cells 42 s 1,243 MiB.
FIXED_MIB, CELL_KIB, PIXEL_MIB = 500.0, 0.75, 1 / 8 / 2**20
FIXED_MINUTES, CELL_MINUTES, PIXEL_MINUTES = 0.03, 5.8e-7, 4.5e-9
COVER_LAYERS = (
    ("landcover_areas", DEFAULT_COVER),
    ("forest", DEFAULT_FOREST),
    ("wetland", "wetland"),
    ("built_up", "built_up"),
    ("water", "water"),
)


@dataclass(frozen=True)
class SizePrediction:
    """What building will take: `cells`, `edges`, `memory_mib`, `minutes` (two cores)."""

    cells: int
    edges: int
    memory_mib: float
    minutes: float


@dataclass(frozen=True)
class _Layers:
    """All layers as read."""

    vectors: dict[str, VectorLayer]
    rasters: dict[str, list[RasterFile]]


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
    layers = _read_layers(study, ground.area if ground else bound_places(study), findings, tell)
    forget_file()
    findings.raise_faults()
    assert ground is not None
    _predict(study, ground)
    tell("laying cells", 0.3)
    cells = cover_polygon(ground.outline, study.resolution)
    grid = build_hexgrid(cells)
    geometry = EdgeGeometry(grid)
    notes = findings.notes + _note_missing(study, layers)
    spacing_m = float(geometry.distance_m.mean())
    tell("rivers and roads", 0.4)
    rivers, river_m = _lay_rivers(layers, grid, geometry, spacing_m, notes)
    roads = join_roads(layers.vectors["roads"], DEFAULT_ROAD)
    stretches = burn_roads(roads, grid, geometry.neighbor, geometry.edge, spacing_m)
    counted = _count_pixels(study, ground, layers, grid, geometry, rivers, roads, stretches, tell)
    tell("people, gaps and bridges", 0.9)
    bridges = _lay_bridges(study, layers, roads, stretches, rivers, counted.water_m, spacing_m, notes)
    edges = _describe_edges(study, stretches, bridges)
    cell_columns = _describe_cells(study, ground, layers, grid, geometry, counted.counts, notes)
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


def _read_layers(study: Study, area: Area, findings: Findings, tell: Progress) -> _Layers:
    names = [name for name in dict.fromkeys(study.sources["layer"]) if name != "borders"]
    vectors: dict[str, VectorLayer] = {
        name: empty_layer(name)
        for name in (
            *(layer for layer, _ in COVER_LAYERS),
            "rivers",
            "roads",
            "bridges",
            "places",
            "population",
            "protected",
            "soil",
        )
    }
    rasters: dict[str, list[RasterFile]] = {
        name: [] for name in ("elevation", "landcover", "soil", "population")
    }
    for step, name in enumerate(names):
        tell(f"reading {name}", 0.05 + 0.25 * step / len(names))
        if name not in ("elevation", "landcover"):
            vectors[name] = read_vector_layer(study, name, area, findings)
        if name in rasters:
            rasters[name] = list_rasters(study, name, area, findings)
    _check_values(study, vectors, findings)
    return _Layers(vectors, rasters)


def _check_values(study: Study, vectors: dict[str, VectorLayer], findings: Findings) -> None:
    """Ask for the attributes without which a layer says nothing."""
    for layer, column, what in (
        ("population", "value_column", "persons"),
        ("landcover_areas", "class_column", "cover"),
        ("soil", "class_column", "soil"),
    ):
        for number, row in study.source_rows(layer).iterrows():
            name = str(row["file"]).rsplit("/", 1)[-1]
            if vectors[layer].count and name in set(vectors[layer].files) and not row[column]:
                findings.add_fault(
                    f"names no attribute with the {what}",
                    name,
                    int(str(number)),
                    column,
                    f"name the attribute that holds the {what}",
                )


def _note_missing(study: Study, layers: _Layers) -> list[str]:
    """Say in words which optional layers are missing and what is assumed instead."""
    present = set(study.sources["layer"])
    meaning = {
        "elevation": f"no elevation: all ground is taken as {DEFAULT_SLOPE} % slope at 0 m",
        "soil": f"no soil: all ground is taken as {DEFAULT_SOIL}",
        "water": "no lakes: water is known from land cover and wide rivers only",
        "rivers": "no rivers: no river slows or closes any edge",
        "roads": "no roads: all movement is cross-country",
        "bridges": "no bridges: every road is taken to cross every river on a bridge",
        "protected": "no protected areas: no ground is taken as protected",
        "population": "no population layer: people of places are put into built-up ground around them",
    }
    notes = [text for layer, text in meaning.items() if layer not in present]
    if not present & {"landcover", "landcover_areas"}:
        notes.append(f"no land cover: ground without another layer is taken as {DEFAULT_COVER}")
    if layers.vectors["forest"].count and not np.all(layers.vectors["forest"].words != ""):
        notes.append(f"forest without a class is taken as {DEFAULT_FOREST}")
    if layers.vectors["roads"].count and not np.all(layers.vectors["roads"].words != ""):
        notes.append(f"roads without a class are taken as {DEFAULT_ROAD}")
    if study.tables["crossings"].empty and "rivers" in present:
        notes.append("no rows in tables/crossings.csv: rivers are crossed at no cost")
    return notes


def _lay_rivers(
    layers: _Layers,
    grid: HexGrid,
    geometry: EdgeGeometry,
    spacing_m: float,
    notes: list[str],
) -> tuple[RiverLines, np.ndarray]:
    lines, unknown = split_rivers(layers.vectors["rivers"])
    if unknown:
        notes.append(f"{unknown} rivers without a width are taken as 20 m wide")
    river_m = compute_river_widths(
        lines, grid, geometry.neighbor, geometry.edge, geometry.edge_a, geometry.edge_b, spacing_m
    )
    return lines, river_m


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
    layers: _Layers,
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
    study: Study, ground: Ground, layers: _Layers, grid: PixelGrid, rivers: RiverLines, stack: ExitStack
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


def _lay_bridges(
    study: Study,
    layers: _Layers,
    roads: list[Road],
    stretches: RoadStretches,
    rivers: RiverLines,
    water_m: np.ndarray,
    spacing_m: float,
    notes: list[str],
) -> Bridges:
    layer = layers.vectors["bridges"]
    crossings = find_crossings(roads, stretches, rivers)
    bridges = place_bridges(
        stretches, crossings, water_m, layer if layer.count else None, spacing_m, study.pixel_m
    )
    if bridges.assumed:
        notes.append(f"{bridges.assumed} road crossings of water are taken to have a bridge or culvert")
    if bridges.closed:
        notes.append(
            f"{bridges.closed} road crossings of rivers wider than 40 m have no bridge near them in the "
            "bridge layer: the road is not continued over them"
        )
    return bridges


@dataclass(frozen=True)
class _EdgeRoads:
    """The road kept on each edge that has one, and the names used."""

    edge: np.ndarray
    road_class: np.ndarray
    road_m: np.ndarray
    bridge_m: np.ndarray
    road: tuple[str, ...]
    bridge: tuple[str, ...]

    def fill(self, edges: int) -> dict[str, Any]:
        """Return the mesh's road columns for all edges."""
        columns: dict[str, Any] = {}
        for name, kind, nothing in (
            ("road_class", np.int8, -1),
            ("road_m", np.float32, 0),
            ("bridge_m", np.float32, 0),
        ):
            column = np.full(edges, nothing, kind)
            column[self.edge] = getattr(self, name)
            columns[name] = column
        for name, texts in (("road", self.road), ("bridge", self.bridge)):
            known = sorted({text for text in texts if text})
            index = {text: place for place, text in enumerate(known)}
            column = np.full(edges, -1, np.int32)
            column[self.edge] = [index.get(text, -1) for text in texts]
            columns[f"{name}_name"] = column
            columns[f"{name}_names"] = tuple(known)
        return columns


def _describe_edges(study: Study, stretches: RoadStretches, bridges: Bridges) -> _EdgeRoads:
    speed = np.max(
        [find_speeds(study, vehicle, season, "road", ROAD_WORDS) for vehicle, season in list_uses(study)],
        axis=0,
    )
    chosen = choose_stretches(stretches, bridges.usable, speed)
    return _EdgeRoads(
        stretches.edge[chosen],
        stretches.word[chosen],
        np.maximum(stretches.length_m[chosen], 1.0),
        bridges.bridge_m[chosen],
        tuple(stretches.name[row] for row in chosen),
        tuple(bridges.name[row] for row in chosen),
    )


def _describe_cells(
    study: Study,
    ground: Ground,
    layers: _Layers,
    grid: HexGrid,
    geometry: EdgeGeometry,
    counts: CellCounts,
    notes: list[str],
) -> dict[str, Any]:
    cover = compute_shares(counts.cover, COVER_WORDS.index(DEFAULT_COVER))
    _note_unknown(study, counts, notes)
    people = _settle_people(study, layers, grid, geometry, counts, cover, notes)
    country = np.where(counts.country.sum(axis=1) > 0, counts.country.argmax(axis=1), -1).astype(np.int8)
    lost = np.flatnonzero(country < 0)
    if lost.size:
        centres = shapely.points(grid.lon[lost], grid.lat[lost])
        near = np.stack([shapely.distance(centres, shape) for shape in ground.shapes], axis=1)
        country[lost] = near.argmin(axis=1)
    hostile = np.isin(country, np.arange(len(study.home), len(study.home) + len(study.hostile)))
    return {
        "country": country,
        "area_km2": geometry.area_km2.astype(np.float32),
        "cover": cover,
        "slope": compute_shares(counts.slope, SLOPE_WORDS.index(DEFAULT_SLOPE)),
        "soil": compute_shares(counts.soil, SOIL_WORDS.index(DEFAULT_SOIL)),
        "elevation_m": (counts.height_sum / np.maximum(counts.height_count, 1)).astype(np.float32),
        "population": people.astype(np.float32),
        "protected": (counts.protected[:, 1] / np.maximum(counts.pixels[:, 0], 1)).astype(np.float32),
        "border_km": measure_border(study, ground, grid, hostile),
    }


def _note_unknown(study: Study, counts: CellCounts, notes: list[str]) -> None:
    """Say how much ground lies beyond the layers that are there; shares below 0.05 % go unsaid."""
    present = set(study.sources["layer"])
    pixels = max(1, int(counts.pixels.sum()))
    stateless = 100 * counts.stateless_cover / pixels
    unknown = 100 * counts.unknown_cover / pixels - stateless
    flat = 100 - 100 * int(counts.height_count.sum()) / pixels
    if unknown >= SMALLEST_PERCENT and present & {"landcover", "landcover_areas"}:
        notes.append(f"cover of {unknown:.1f} % of the ground is unknown and taken as {DEFAULT_COVER}")
    if stateless >= SMALLEST_PERCENT:
        notes.append(
            f"{stateless:.1f} % of the ground lies outside all borders and in no cover layer: it is taken as "
            f"{DEFAULT_COVER}; where it is sea, add the sea to the layer water"
        )
    if "elevation" in present and flat >= SMALLEST_PERCENT:
        notes.append(f"elevation of {flat:.1f} % of the ground is unknown: taken as {DEFAULT_SLOPE} % slope")


def _settle_people(
    study: Study,
    layers: _Layers,
    grid: HexGrid,
    geometry: EdgeGeometry,
    counts: CellCounts,
    cover: np.ndarray,
    notes: list[str],
) -> np.ndarray:
    zones, rasters = layers.vectors["population"], layers.rasters["population"]
    if zones.count or rasters:
        people = spread_zones(counts, zones, grid) if zones.count else np.zeros(len(grid.cells))
        if rasters:
            spacing_m = float(np.sqrt(geometry.area_km2.mean())) * 1000 / 4
            area = Area(grid.lon.min(), grid.lat.min(), grid.lon.max(), grid.lat.max()).grow(0.05)
            people = people + add_points(grid, *read_population_points(rasters, area, spacing_m))
        return people
    people, single = settle_places(study.tables["places"], grid, cover, geometry.area_km2)
    if single:
        notes.append(
            f"{single} places have no built-up ground around them: their people are put into one cell"
        )
    return people
