"""Who and what lies near the works of a plan: households within a distance, and farms that a site splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import h3.api.basic_int as h3
import numpy as np
import shapely
from pyproj import Transformer
from shapely.geometry.base import BaseGeometry

from abatis.model.mesh import Mesh
from abatis.model.words import COVER_WORDS
from abatis.people.land_terms import LandLayer
from abatis.people.site_works import M2_PER_HA, SiteWork

PARCELS, CELLS = "parcels", "cropland_cells"
FARM_WORDS = {
    PARCELS: "farm parcels of which at least two parts are left",
    CELLS: "cells of cropland cut off from a cropland neighbour; not farms: the study has no parcels",
}
_CROPLAND = COVER_WORDS.index("cropland")


@dataclass(frozen=True)
class People:
    """Persons near the works: in all (each once) and by site, float64[S]."""

    total: float
    by_site: np.ndarray


@dataclass(frozen=True)
class Farms:
    """Farms split: how many, what one is (`basis` parcels or cropland_cells), km of work through cropland."""

    basis: str
    count: int
    by_site: np.ndarray
    cropland_km: float


@dataclass(frozen=True)
class Ground:
    """Works of each site as shapes in metres on an equal-area plane about the middle of the mesh."""

    transformer: Transformer
    lines: tuple[BaseGeometry, ...]
    points: tuple[BaseGeometry, ...]


def draw_works(mesh: Mesh, works: Sequence[SiteWork]) -> Ground:
    """Draw open works as the boundaries of cells they close, works at roads as points between two cells."""
    middle = f"+proj=laea +lat_0={mesh.lat.mean():.6f} +lon_0={mesh.lon.mean():.6f} +units=m"
    transformer = Transformer.from_crs("EPSG:4326", middle, always_xy=True)
    lines, points = [], []
    for work in works:
        segments = [_find_boundary(mesh, int(edge)) for edge in work.open_edges]
        lines.append(_project(transformer, shapely.MultiLineString(segments)))
        a, b = mesh.edge_a[work.point_edges], mesh.edge_b[work.point_edges]
        middles = np.column_stack([(mesh.lon[a] + mesh.lon[b]) / 2, (mesh.lat[a] + mesh.lat[b]) / 2])
        points.append(_project(transformer, shapely.MultiPoint(middles)))
    return Ground(transformer, tuple(lines), tuple(points))


def count_people_near(mesh: Mesh, home: np.ndarray, ground: Ground, near_m: float) -> People:
    """Count the persons within some metres of the works, each person once.

    Formula: persons = sum over home cells of population x (area of the cell within the distance / its area).
    In words: people are taken as spread evenly over their cell.
    """
    x, y = ground.transformer.transform(mesh.lon, mesh.lat)
    reach = [shapely.union(a, b).buffer(near_m) for a, b in zip(ground.lines, ground.points, strict=True)]
    lived = np.flatnonzero(home & (mesh.population > 0))
    if not len(lived) or not reach:
        return People(0.0, np.zeros(len(reach)))
    # A cell of the greatest area is no wider than this from centre to corner, also when it is stretched.
    radius_m = 0.75 * float(np.sqrt(mesh.area_km2[lived].max())) * 1000.0
    tree = shapely.STRtree(shapely.points(x[lived], y[lived]))
    by_site = np.zeros(len(reach))
    shapes: dict[int, BaseGeometry] = {}
    covered: dict[int, list[BaseGeometry]] = {}
    for number, area in enumerate(reach):
        for cell in lived[np.sort(tree.query(area, predicate="dwithin", distance=radius_m))].tolist():
            if cell not in shapes:
                shapes[cell] = _project(ground.transformer, _find_outline(mesh, cell))
            part = shapely.intersection(shapes[cell], area)
            if part.area > 0:
                by_site[number] += mesh.population[cell] * part.area / shapes[cell].area
                covered.setdefault(cell, []).append(part)
    total = sum(
        float(mesh.population[cell]) * (shapely.union_all(parts).area if len(parts) > 1 else parts[0].area)
        / shapes[cell].area
        for cell, parts in covered.items()
    )  # fmt: skip
    return People(total, by_site)


def count_farms(
    mesh: Mesh,
    home: np.ndarray,
    works: Sequence[SiteWork],
    ground: Ground,
    parcels: LandLayer | None,
    part_ha: float,
    cropland_share: float,
) -> Farms:
    """Count the farms that open works split.

    Parameters
    ----------
    mesh, home, works, ground : N cells, bool[N], works and their shapes.
    parcels : outlines of farm parcels, or None.
    part_ha : least size of a part that counts. cropland_share : from this share on a cell is cropland.

    In words: with parcels, those of which at least two parts of `part_ha` are left when the work is cut out;
    each counts once. Without, home cells of cropland that a work parts from a neighbour of cropland: a
    measure of how much farmland is cut, not a number of farms.
    """
    crop = home & (mesh.cover[:, _CROPLAND] >= cropland_share)
    by_site = np.zeros(len(works))
    cells: set[int] = set()
    km = 0.0
    for number, work in enumerate(works):
        a, b = mesh.edge_a[work.open_edges], mesh.edge_b[work.open_edges]
        both = crop[a] & crop[b]
        parted = np.unique(np.concatenate([a[both], b[both]]))
        by_site[number] = len(parted)
        cells |= set(parted.tolist())
        km += float(mesh.gap_m[work.open_edges[both]].sum(dtype=np.float64)) / 1000.0
    if parcels is None:
        return Farms(CELLS, len(cells), by_site, km)
    shapes = np.array([_project(ground.transformer, one) for one in parcels.shapes], object)
    tree = shapely.STRtree(shapes)
    split: set[int] = set()
    for number, line in enumerate(ground.lines):
        knife = line.buffer(1.0)
        mine = [
            int(place)
            for place in tree.query(line, predicate="intersects")
            if _count_parts(shapes[place].difference(knife), part_ha) > _count_parts(shapes[place], part_ha)
        ]
        by_site[number] = len(mine)
        split |= set(mine)
    return Farms(PARCELS, len(split), by_site, km)


def _count_parts(shape: BaseGeometry, part_ha: float) -> int:
    return sum(part.area >= part_ha * M2_PER_HA for part in shapely.get_parts(shape))


def _find_boundary(mesh: Mesh, edge: int) -> list[tuple[float, float]]:
    pair = h3.cells_to_directed_edge(int(mesh.cells[mesh.edge_a[edge]]), int(mesh.cells[mesh.edge_b[edge]]))
    return [(lon, lat) for lat, lon in h3.directed_edge_to_boundary(pair)]


def _find_outline(mesh: Mesh, cell: int) -> BaseGeometry:
    return shapely.Polygon([(lon, lat) for lat, lon in h3.cell_to_boundary(int(mesh.cells[cell]))])


def _project(transformer: Transformer, shape: BaseGeometry) -> BaseGeometry:
    def move(points: np.ndarray) -> np.ndarray:
        return np.column_stack(transformer.transform(points[:, 0], points[:, 1]))

    return shapely.transform(shape, move)
