"""Areas, cover, protected nature and people of a mesh, held against the sources."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import rasterio
import rasterio.transform
import rasterio.warp
import shapely

from abatis.ground.comparison import Comparison, compare_numbers
from abatis.ground.composition import DEFAULT_COVER
from abatis.ground.hexgrid import build_hexgrid, label_window
from abatis.ground.layers import COVER_LAYERS
from abatis.ground.pixels import UNKNOWN, PixelGrid, metres_per_degree
from abatis.ground.rivers import split_rivers
from abatis.ground.sources.rasters import RasterReader
from abatis.ground.truth import (
    Truth,
    burn,
    iterate_strips,
    measure_area_km2,
    measure_lines_km,
    place_strip,
    smooth_lines,
)
from abatis.model.mesh import Mesh
from abatis.model.study import Study
from abatis.model.words import COVER_WORDS

LEAST_AREA_PERCENT = 0.2
LEAST_COVER_PERCENT = 1.0
LEAST_PEOPLE_PERCENT = 1.0
RIM_REACH = 0.6
RIM_SHARE = 0.28
"""Error of the area of one cell on a border, in squares of the spacing: 0.29 (a share counted as 0 or 1)
times 0.87 (area of a cell) times 1.1 (root of 4 / pi cells per spacing)."""


def compare_areas(truth: Truth, mesh: Mesh) -> list[Comparison]:
    """Compare the area of each country in the mesh with its polygon's geodesic area.

    Formula: limit = 100 x 3 x 0.28 sqrt(L s^3) / A, at least 0.2 %; L border, s spacing of cells, A area.
    In words: a cell on the border counts wholly for one side; over L / s cells such errors add up like
    random ones, and three times their standard deviation is allowed.
    """
    rows = []
    for index, code in enumerate(truth.ground.codes):
        source = measure_area_km2(truth.shapes[index])
        own = float(mesh.area_km2[mesh.mask_countries((code,))].sum(dtype=np.float64))
        if source == 0 and own == 0:
            continue
        limit = max(LEAST_AREA_PERCENT, measure_rim_percent(truth, truth.shapes[index], source))
        rows.append(
            compare_numbers("area", code, "km2", (own, source), limit, "geodesic area of its polygon")
        )
    return rows


def measure_rim_percent(truth: Truth, shape: shapely.Geometry, area_km2: float) -> float:
    """Three standard deviations of an area counted in whole cells, in percent of it."""
    if area_km2 <= 0:
        return 0.0
    spacing_km = truth.spacing_m / 1000
    border_km = measure_lines_km(shapely.boundary(smooth_lines(shape, truth.spacing_m / 2)))
    return float(100 * 3 * RIM_SHARE * np.sqrt(border_km * spacing_km**3) / area_km2)


def compare_cover(study: Study, truth: Truth, mesh: Mesh) -> list[Comparison]:
    """Compare the area of every cover class, and of protected nature, with pixels of the sources.

    Formula: limit = 100 x 3 sqrt(A p^2) / A, at least 1 %; A area of the class, p the larger of the working
    pixels' size and the validation's.
    In words: both count pixels, but on different grids and not with the same code; a class of many patches
    smaller than a pixel is counted like a lottery. Counted is what lies in the cells of the mesh, also the
    ground beyond the borders that cells on the rim reach over.
    """
    source, protected, assumed = _count_cover(study, truth, mesh)
    own = mesh.cover.astype(np.float64).T @ mesh.area_km2.astype(np.float64)
    names = [(word.replace("_", " "), own[index], source[index]) for index, word in enumerate(COVER_WORDS)]
    if truth.layers.vectors["protected"].count:
        nature = mesh.protected.astype(np.float64) @ mesh.area_km2.astype(np.float64)
        names.append(("protected nature", float(nature), protected))
    east_m = float(np.sqrt(measure_pixels_km2(truth.grid, truth.grid.rows // 2, 1)[0])) * 1000
    pixel_km = max(study.pixel_m, east_m) / 1000
    rows = []
    for name, ours, theirs in names:
        if ours == 0 and theirs == 0:
            continue
        limit = max(LEAST_COVER_PERCENT, 300 * pixel_km / float(np.sqrt(max(theirs, 1e-9))))
        note = "pixels of the sources in the cells"
        if name == DEFAULT_COVER and assumed > 0:
            note += f"; {assumed:,.0f} km2 of it is ground that no layer knows"
        rows.append(compare_numbers("cover", name, "km2", (float(ours), float(theirs)), limit, note))
    return rows


def _count_cover(study: Study, truth: Truth, mesh: Mesh) -> tuple[np.ndarray, float, float]:
    """Area in km2 of each cover class f8[9], of protected nature, and of ground no cover layer knows."""
    grid, vectors = truth.grid, truth.layers.vectors
    hexgrid = build_hexgrid(mesh.cells)
    area = np.zeros(len(COVER_WORDS) + 1)
    nature = 0.0
    with ExitStack() as stack:
        reader = open_cover(truth, grid, stack)
        wide = widen_rivers(truth, study.pixel_m)
        for row0, rows in iterate_strips(grid):
            label = np.empty((rows, grid.columns), np.int32)
            north = grid.north - row0 * grid.dlat
            label_window(hexgrid, grid.west, north, grid.dlon, grid.dlat, rows, grid.columns, label)
            inside = label >= 0
            cover = read_cover(truth, grid, row0, rows, reader, wide)
            cover[cover == UNKNOWN] = len(COVER_WORDS)
            weight = np.broadcast_to(measure_pixels_km2(grid, row0, rows)[:, None], cover.shape)[inside]
            area += np.bincount(cover[inside], weights=weight, minlength=len(area))
            protected = np.zeros(cover.shape, np.uint8)
            burn(protected, grid, row0, vectors["protected"].geometry, np.ones(vectors["protected"].count))
            nature += float(weight @ protected[inside])
    assumed = float(area[-1])
    area[COVER_WORDS.index(DEFAULT_COVER)] += assumed
    return area[:-1], nature, assumed


def measure_pixels_km2(grid: PixelGrid, row0: int, rows: int) -> np.ndarray:
    """Area of a pixel in each row of a tile, km2, f8[rows]."""
    lat = grid.north - (row0 + np.arange(rows) + 0.5) * grid.dlat
    east_m, north_m = metres_per_degree(lat)
    return np.asarray(east_m * grid.dlon * north_m * grid.dlat / 1e6)


def open_cover(truth: Truth, grid: PixelGrid, stack: ExitStack) -> RasterReader | None:
    """Open the land-cover rasters of a study, None when it has none."""
    rasters = truth.layers.rasters["landcover"]
    return stack.enter_context(RasterReader(rasters, COVER_WORDS, grid.dlat)) if rasters else None


def read_cover(
    truth: Truth, grid: PixelGrid, row0: int, rows: int, reader: RasterReader | None, wide: np.ndarray
) -> np.ndarray:
    """Return the cover of a tile, uint8[rows, columns], `UNKNOWN` where no layer says anything.

    In words: the raster first, then polygons in the order in which the mesh takes them, wide rivers last.
    """
    if reader is None:
        cover = np.full((rows, grid.columns), UNKNOWN, np.uint8)
    else:
        cover = reader.read_classes(place_strip(grid, row0), rows, grid.columns, UNKNOWN)
    for name, default in COVER_LAYERS:
        layer = truth.layers.vectors[name]
        words = np.array([COVER_WORDS.index(word or default) for word in layer.words], np.uint8)
        burn(cover, grid, row0, layer.geometry, words)
    burn(cover, grid, row0, wide, np.full(len(wide), COVER_WORDS.index("water"), np.uint8))
    return cover


def widen_rivers(truth: Truth, pixel_m: float) -> np.ndarray:
    """Return the water of rivers at least one working pixel wide as polygons in degrees."""
    lines, _ = split_rivers(truth.layers.vectors["rivers"])
    keep = lines.width_m >= pixel_m
    if not keep.any():
        return np.array([], dtype=object)
    ends = lines.ends[keep].reshape(-1, 2, 2)
    east_m, north_m = metres_per_degree(float(ends[:, :, 1].mean()))
    scale = np.array([float(east_m), float(north_m)])
    banks = shapely.buffer(shapely.linestrings(ends * scale), lines.width_m[keep] / 2, quad_segs=2)
    return np.asarray(shapely.transform(banks, lambda points: points / scale))


def compare_people(study: Study, truth: Truth, mesh: Mesh) -> list[Comparison]:
    """Compare the people of the mesh, in all and by country, with zones, rasters or places.

    Formula: limit = 100 x 3 x 0.5 sqrt(sum of p_i^2) / sum of all, at least 1 %; p_i people of those zones,
    pixels or places that lie within 0.6 spacings of the country's rim (farther in, their cell is
    in the mesh).
    In words: what lies on the rim may fall to either side of it.
    """
    what, people, place, rim = _list_people(study, truth)
    codes = truth.ground.codes
    rows = []
    for index in (-1, *range(len(codes))):
        name = "all ground" if index < 0 else codes[index]
        chosen = place >= 0 if index < 0 else place == index
        own = float(
            mesh.population.sum(dtype=np.float64)
            if index < 0
            else mesh.population[mesh.mask_countries((codes[index],))].sum(dtype=np.float64)
        )
        source = float(people[chosen].sum())
        if source == 0 and own == 0:
            continue
        near = chosen & (rim[:, 0] if index < 0 else rim[:, 1])
        doubt = 100 * 1.5 * float(np.sqrt((people[near] ** 2).sum())) / max(source, 1.0)
        limit = max(LEAST_PEOPLE_PERCENT, doubt)
        rows.append(compare_numbers("people", name, "persons", (own, source), limit, what))
    return rows


def _list_people(study: Study, truth: Truth) -> tuple[str, np.ndarray, np.ndarray, np.ndarray]:
    """People f8[P], their country (-1 outside), and whether they live at the outer and at any rim [P, 2]."""
    zones, rasters = truth.layers.vectors["population"], truth.layers.rasters["population"]
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    names = []
    if zones.count:
        names.append("zones cut at the borders")
        parts.append(_cut_zones(truth))
    for one in rasters:
        names.append("sum of pixels")
        parts.append(_sum_raster(truth, one.path))
    if not parts:
        names.append("people of places")
        table = study.tables["places"]
        lon, lat = table["lon"].to_numpy(float), table["lat"].to_numpy(float)
        people = table["population"].to_numpy(float)
        parts.append((people, truth.find_country(lon, lat), _find_rim(truth, lon, lat)))
    people, place, rim = (np.concatenate(column) for column in zip(*parts, strict=True))
    return ", ".join(dict.fromkeys(names)), people, place, rim


def _cut_zones(truth: Truth) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut every zone at the borders and share its people by area."""
    zones = truth.layers.vectors["population"]
    whole = shapely.area(zones.geometry)
    people, place, rim = [], [], []
    inner = shapely.point_on_surface(zones.geometry)
    near = _find_rim(truth, shapely.get_x(inner), shapely.get_y(inner))
    for index, shape in enumerate(truth.shapes):
        shapely.prepare(shape)
        within = shapely.contains_properly(shape, zones.geometry)
        cut = np.flatnonzero(~within & shapely.intersects(shape, zones.geometry))
        part = within.astype(np.float64)
        part[cut] = shapely.area(shapely.intersection(zones.geometry[cut], shape)) / whole[cut]
        held = np.flatnonzero(part > 0)
        people.append(np.nan_to_num(zones.values[held]) * part[held])
        place.append(np.full(len(held), index))
        rim.append(near[held])
    return np.concatenate(people), np.concatenate(place), np.concatenate(rim)


def _sum_raster(truth: Truth, path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Take every pixel with people at its centre, block by block."""
    people, place, rim = [np.zeros(0)], [np.zeros(0, np.int64)], [np.zeros((0, 2), bool)]
    with rasterio.open(path) as raster:
        for _, window in raster.block_windows(1):
            values = raster.read(1, window=window, masked=True).filled(0).astype(np.float64)
            row, column = np.nonzero(np.isfinite(values) & (values > 0))
            if row.size == 0:
                continue
            x, y = rasterio.transform.xy(raster.transform, window.row_off + row, window.col_off + column)
            lon, lat = (np.asarray(one) for one in rasterio.warp.transform(raster.crs, "EPSG:4326", x, y))
            found = truth.find_country(lon, lat)
            held = found >= 0
            people.append(values[row, column][held])
            place.append(found[held])
            rim.append(_find_rim(truth, lon[held], lat[held]))
    return np.concatenate(people), np.concatenate(place), np.concatenate(rim)


def _find_rim(truth: Truth, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Say of points whether the rim of the ground, and any border, is near, bool[P, 2]."""
    own = truth.find_country(lon, lat)
    rim = np.zeros((len(lon), 2), dtype=bool)
    for turn in range(6):
        east_m, north_m = metres_per_degree(lat)
        away = RIM_REACH * truth.spacing_m
        there = truth.find_country(
            lon + away * np.cos(turn * np.pi / 3) / east_m, lat + away * np.sin(turn * np.pi / 3) / north_m
        )
        rim[:, 0] |= (there < 0) != (own < 0)
        rim[:, 1] |= there != own
    return rim
