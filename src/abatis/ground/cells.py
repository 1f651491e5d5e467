"""What lies in the cells of the mesh: country, cover, ground and people, from the pixels counted."""

from __future__ import annotations

from typing import Any

import h3.api.numpy_int as h3
import numpy as np
import shapely

from abatis.ground.bearing import note_bearing
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
from abatis.ground.gaps import EdgeGeometry
from abatis.ground.hexgrid import HexGrid, label_points
from abatis.ground.layers import Layers
from abatis.ground.outline import Ground, measure_border
from abatis.ground.sources import Area
from abatis.ground.sources.rasters import iterate_raster_points, read_population_points
from abatis.model.facilities import Facilities
from abatis.model.study import Study
from abatis.model.words import COVER_WORDS, FACILITY_WORDS, SLOPE_WORDS, SOIL_WORDS

SMALLEST_PERCENT = 0.05
NEAR_TIE_SHARE = 0.25
G_PER_KG_IN_PERCENT = 10.0


def describe_cells(
    study: Study,
    ground: Ground,
    layers: Layers,
    grid: HexGrid,
    geometry: EdgeGeometry,
    counts: CellCounts,
    notes: list[str],
) -> dict[str, Any]:
    """Return the mesh's cell columns; what is assumed goes into `notes`."""
    cover = compute_shares(counts.cover, COVER_WORDS.index(DEFAULT_COVER))
    soil = compute_shares(counts.soil, SOIL_WORDS.index(DEFAULT_SOIL))
    clay = _average_clay(layers, grid, geometry)
    notes += note_bearing(study, cover, soil, clay)
    _note_unknown(study, counts, notes)
    people = _settle_people(study, layers, grid, geometry, counts, cover, notes)
    country = _settle_countries(ground, grid, counts)
    hostile = np.isin(country, np.arange(len(study.home), len(study.home) + len(study.hostile)))
    return {
        "country": country,
        "area_km2": geometry.area_km2.astype(np.float32),
        "cover": cover,
        "slope": compute_shares(counts.slope, SLOPE_WORDS.index(DEFAULT_SLOPE)),
        "soil": soil,
        "elevation_m": _average_height(counts),
        "population": people.astype(np.float32),
        "protected": (counts.protected[:, 1] / np.maximum(counts.pixels[:, 0], 1)).astype(np.float32),
        "border_km": measure_border(study, ground, grid, hostile),
        "clay_percent": clay,
    }


def _average_height(counts: CellCounts) -> np.ndarray:
    """Mean height of each cell in m, f4[N], NaN where no pixel has one."""
    known = counts.height_count > 0
    mean = counts.height_sum / np.where(known, counts.height_count, 1)
    return np.where(known, mean, np.nan).astype(np.float32)


def _settle_countries(ground: Ground, grid: HexGrid, counts: CellCounts) -> np.ndarray:
    """Country of each cell, int8[N]: the one with most pixels; near-ties by area, cells without by distance.

    In words: pixels of two studies need not lie on each other, and a cell that a border halves could then
    change its country from one study to the next. Its area on each side does not.
    """
    total = counts.country.sum(axis=1)
    country = np.where(total > 0, counts.country.argmax(axis=1), -1).astype(np.int8)
    if counts.country.shape[1] > 1:
        ranked = np.sort(counts.country, axis=1)
        halved = np.flatnonzero(
            (ranked[:, -2] > 0) & (ranked[:, -1] - ranked[:, -2].astype(np.int64) < NEAR_TIE_SHARE * total)
        )
        outlines = shapely.polygons([h3.cell_to_boundary(int(cell)) for cell in grid.cells[halved]])
        outlines = shapely.transform(outlines, lambda points: points[:, ::-1])
        areas = [shapely.area(shapely.intersection(outlines, shape)) for shape in ground.shapes]
        country[halved] = np.argmax(areas, axis=0)
    lost = np.flatnonzero(country < 0)
    if lost.size:
        centres = shapely.points(grid.lon[lost], grid.lat[lost])
        near = np.stack([shapely.distance(centres, shape) for shape in ground.shapes], axis=1)
        country[lost] = near.argmin(axis=1)
    return country


def _average_clay(layers: Layers, grid: HexGrid, geometry: EdgeGeometry) -> np.ndarray:
    """Mean clay content of each cell in %, f4[N], NaN where the rasters say nothing (0 is nothing)."""
    total, count = np.zeros(len(grid.cells)), np.zeros(len(grid.cells))
    area = Area(grid.lon.min(), grid.lat.min(), grid.lon.max(), grid.lat.max()).grow(0.05)
    spacing_m = float(np.sqrt(geometry.area_km2.mean())) * 1000 / 4
    for lon, lat, values, _ in iterate_raster_points(layers.rasters["clay"], area, spacing_m):
        rows = label_points(grid, lon, lat)
        inside = rows >= 0
        total += np.bincount(rows[inside], weights=values[inside], minlength=len(total))
        count += np.bincount(rows[inside], minlength=len(count))
    mean = total / np.maximum(count, 1) / G_PER_KG_IN_PERCENT
    return np.where(count > 0, mean, np.nan).astype(np.float32)


def place_facilities(layers: Layers, grid: HexGrid, notes: list[str]) -> Facilities:
    """Return the facilities that stand in cells of the mesh; protected works are counted in `notes`."""
    layer = layers.vectors["facilities"]
    if not layer.count:
        return Facilities.empty()
    lon, lat = shapely.get_x(layer.geometry), shapely.get_y(layer.geometry)
    cell = label_points(grid, lon, lat)
    rows = np.flatnonzero(cell >= 0)
    sources = layer.attributes.get("osm_id", np.full(layer.count, ""))
    found = Facilities(
        np.array([FACILITY_WORDS.index(layer.words[row]) for row in rows], np.int8),
        tuple(str(layer.names[row]) for row in rows),
        tuple(f"{layer.files[row]} {sources[row]}".strip() for row in rows),
        lon[rows],
        lat[rows],
        cell[rows].astype(np.int32),
    )
    works = found.mask_protected()
    if works.any():
        notes.append(
            f"dams, dykes or nuclear power stations stand in {len(set(found.cell[works].tolist()))} cells: "
            "works protected by Additional Protocol I, article 56; no site goes into a cell with a dam or "
            "nuclear station, dykes are only listed (mesh/facilities.parquet)"
        )
    return found


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
    layers: Layers,
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
