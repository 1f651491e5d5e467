"""What civil life lies in the area of an emission notice: airports, ports, hospitals, ways, farms, people."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely
from shapely.geometry.base import BaseGeometry

from abatis.ground.gaps import measure_m
from abatis.ground.hexgrid import build_hexgrid, find_corners
from abatis.ground.pixels import metres_per_degree
from abatis.ground.travel import compute_times, find_route
from abatis.model.facilities import Facilities
from abatis.model.mesh import Mesh
from abatis.model.words import COVER_WORDS, FACILITY_WORDS
from abatis.watch.notices import Notice

CIVIL_KINDS = ("airport", "port", "hospital")
NEAR_KM = 10.0
ROAD_M = 3000.0
SAME_M = 2000.0
HECTARES = 100.0
SETTLED = ("city", "town", "village")


@dataclass(frozen=True)
class Touched:
    """One airport, port or hospital in the area or near it; `distance_km` to the outline, 0 inside."""

    kind: str
    name: str
    lon: float
    lat: float
    distance_km: float
    source: str

    @property
    def inside(self) -> bool:
        """Whether it lies in the area."""
        return self.distance_km == 0.0


@dataclass(frozen=True)
class CountryShare:
    """Ground (km2), people and cropland (ha) of one country in the area."""

    country: str
    area_km2: float
    people: float
    cropland_ha: float


@dataclass(frozen=True)
class AmbulanceWay:
    """One place whose way to the nearest hospital by road leads through the area."""

    place: str
    name: str
    population: float
    hours: float


@dataclass(frozen=True)
class NoticeEffect:
    """What one notice touches.

    `covered_share` share of its area that lies in the mesh; `ways` is None where hospitals or road times are
    not known; `without_way` places with no road to a hospital in the data.
    """

    notice: Notice
    covered_share: float
    countries: tuple[CountryShare, ...]
    touched: tuple[Touched, ...]
    ways: tuple[AmbulanceWay, ...] | None
    without_way: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def people(self) -> float:
        """People who live in the area."""
        return math.fsum(one.people for one in self.countries)

    @property
    def cropland_ha(self) -> float:
        """Cropland in the area: where farm machines steer by satellite positions."""
        return math.fsum(one.cropland_ha for one in self.countries)

    def count(self, kind: str) -> int:
        """Number of airports, ports or hospitals inside."""
        return sum(one.inside and one.kind == kind for one in self.touched)


def assess_notice(
    mesh: Mesh,
    facilities: Facilities,
    places: pd.DataFrame,
    notice: Notice,
    road_h: np.ndarray | None = None,
    near_km: float = NEAR_KM,
) -> NoticeEffect:
    """Say what civil life an emission in the area of a notice would touch.

    Parameters
    ----------
    mesh : cells with people, land cover and country.
    facilities : points of airports, ports and hospitals.
    places : table places; those of kind airport, port or hospital count too, settlements have ways.
    notice : from `read_notices`.
    road_h : float64[E], hours per edge by road, for the ways to hospitals; left out when None.
    near_km : facilities this near to the outline are listed as well.

    people = sum over cells of people x share of the cell's hexagon inside the outline; cropland likewise.
    In words: what a cell holds is taken as spread evenly over it. A way to hospital counts when it leads
    through a cell that the area touches. A facility of both tables, same kind, within 2 km, counts once.
    """
    shares = find_cell_shares(mesh, notice.outline)
    ground_km2 = shares * mesh.area_km2
    cropland = mesh.cover[:, COVER_WORDS.index("cropland")]
    countries = []
    for index, code in enumerate(mesh.country_codes):
        own = (mesh.country == index) & (shares > 0)
        if own.any():
            countries.append(
                CountryShare(
                    code,
                    math.fsum(ground_km2[own]),
                    math.fsum(shares[own] * mesh.population[own]),
                    math.fsum(ground_km2[own] * cropland[own]) * HECTARES,
                )
            )
    covered = min(1.0, math.fsum(ground_km2) / notice.area_km2)
    points = list_civil_points(facilities, places)
    touched = _find_touched(points, notice.outline, near_km)
    ways, without, notes = _find_ways(mesh, places, points, shares > 0, road_h)
    if covered < 0.995:
        notes += (f"{1 - covered:.0%} of the area lies outside the ground of the study: not counted",)
    if not points:
        notes += ("the study has no airports, ports or hospitals: none can be named",)
    return NoticeEffect(notice, covered, tuple(countries), touched, ways, without, notes)


def find_cell_shares(mesh: Mesh, outline: BaseGeometry) -> np.ndarray:
    """Return float64[N], the share of each cell's hexagon that lies inside an outline (EPSG:4326).

    In words: hexagons are cut with the outline in degrees; within one cell a degree is the same length
    everywhere to some parts in ten thousand, so shares are those of areas.
    """
    shares = np.zeros(mesh.cell_count)
    corners, cell_corner = find_corners(build_hexgrid(np.asarray(mesh.cells)), mesh.neighbor)
    x, y = corners[cell_corner, 0], corners[cell_corner, 1]
    west, south, east, north = outline.bounds
    near = (x.max(axis=1) >= west) & (x.min(axis=1) <= east)
    near &= (y.max(axis=1) >= south) & (y.min(axis=1) <= north)
    rows = np.flatnonzero(near)
    if not rows.size:
        return shares
    hexagons = np.asarray(shapely.polygons(np.stack([x[rows], y[rows]], axis=-1)), dtype=object)
    shapely.prepare(outline)
    within = shapely.contains_properly(outline, hexagons)
    shares[rows[within]] = 1.0
    cut = ~within & shapely.intersects(outline, hexagons)
    parts = shapely.area(shapely.intersection(hexagons[cut], outline))
    shares[rows[cut]] = np.minimum(parts / shapely.area(hexagons[cut]), 1.0)
    return shares


def list_civil_points(facilities: Facilities, places: pd.DataFrame) -> tuple[Touched, ...]:
    """List airports, ports and hospitals of facilities and places, each once; distances are 0."""
    found = []
    for number, kind in enumerate(facilities.kind.tolist()):
        word = FACILITY_WORDS[kind]
        if word in CIVIL_KINDS:
            lon, lat = float(facilities.lon[number]), float(facilities.lat[number])
            name = facilities.name[number] or f"{word} without a name"
            found.append(Touched(word, name, lon, lat, 0.0, facilities.source[number]))
    known = len(found)
    for _, row in places[places["kind"].isin(CIVIL_KINDS)].iterrows():
        lon, lat = float(row["lon"]), float(row["lat"])
        near = [one for one in found[:known] if one.kind == row["kind"]]
        if any(_measure(one.lon, one.lat, lon, lat) <= SAME_M for one in near):
            continue
        found.append(Touched(str(row["kind"]), str(row["name"]), lon, lat, 0.0, str(row["source"])))
    return tuple(found)


def _measure(lon0: float, lat0: float, lon1: float, lat1: float) -> float:
    return float(measure_m(*(np.array([one]) for one in (lon0, lat0, lon1, lat1)))[0])


def _find_touched(points: tuple[Touched, ...], outline: BaseGeometry, near_km: float) -> tuple[Touched, ...]:
    """Those inside or near, ordered by kind and distance."""
    found = []
    for one in points:
        distance_km = _measure_to(outline, one.lon, one.lat)
        if distance_km <= near_km:
            found.append(Touched(one.kind, one.name, one.lon, one.lat, distance_km, one.source))
    return tuple(sorted(found, key=lambda one: (CIVIL_KINDS.index(one.kind), one.distance_km, one.name)))


def _measure_to(outline: BaseGeometry, lon: float, lat: float) -> float:
    """Distance of a point to an outline in km, 0 inside; the ground is flat around the point."""
    east, north = (float(one) for one in metres_per_degree(np.asarray(lat)))

    def flatten(xy: np.ndarray) -> np.ndarray:
        return np.column_stack([(xy[:, 0] - lon) * east, (xy[:, 1] - lat) * north])

    flat = shapely.transform(outline, flatten)
    return float(shapely.distance(flat, shapely.Point(0.0, 0.0))) / 1000.0


def _find_ways(
    mesh: Mesh,
    places: pd.DataFrame,
    points: tuple[Touched, ...],
    touched: np.ndarray,
    road_h: np.ndarray | None,
) -> tuple[tuple[AmbulanceWay, ...] | None, tuple[str, ...], tuple[str, ...]]:
    """Places whose least-time way to a hospital leads through touched cells; those without a way; notes."""
    hospitals = [one for one in points if one.kind == "hospital"]
    if road_h is None or not hospitals:
        why = "road times were not computed" if hospitals else "the study has no hospitals"
        return None, (), (f"ways to hospitals are not known: {why}",)
    settled = places[places["kind"].isin(SETTLED)]
    has_road = np.zeros(mesh.cell_count, bool)
    used = np.isfinite(road_h)
    has_road[mesh.edge_a[used]] = has_road[mesh.edge_b[used]] = True
    ends = {_find_road_cell(mesh, has_road, one.lon, one.lat) for one in hospitals} - {-1}
    if not ends:
        return None, (), ("ways to hospitals are not known: no road of the study leads to one",)
    times = compute_times(mesh, road_h, np.array(sorted(ends), np.int32))
    ways, without = [], []
    for _, row in settled.iterrows():
        cell = _find_road_cell(mesh, has_road, float(row["lon"]), float(row["lat"]))
        if cell < 0 or not np.isfinite(times[cell]):
            without.append(str(row["name"]))
        elif touched[find_route(mesh, road_h, times, cell)].any():
            population = float(row["population"])
            ways.append(AmbulanceWay(str(row["place"]), str(row["name"]), population, float(times[cell])))
    return tuple(ways), tuple(without), ()


def _find_road_cell(mesh: Mesh, has_road: np.ndarray, lon: float, lat: float) -> int:
    """Nearest cell with a road within 3 km, -1 when there is none."""
    rows = np.flatnonzero(has_road & (np.abs(mesh.lat - lat) < 0.05) & (np.abs(mesh.lon - lon) < 0.2))
    if not rows.size:
        return -1
    count = rows.size
    far = measure_m(np.full(count, lon), np.full(count, lat), mesh.lon[rows], mesh.lat[rows])
    return int(rows[far.argmin()]) if far.min() <= ROAD_M else -1


def sum_ways(effect: NoticeEffect) -> float | None:
    """Return the people of all places whose way to hospital leads through the area; None when not known."""
    return None if effect.ways is None else math.fsum(one.population for one in effect.ways)


def describe_effect(effect: NoticeEffect) -> Mapping[str, object]:
    """Lay out the sums of one notice as one row of a table."""
    notice = effect.notice
    return {
        "notice": notice.key,
        "name": notice.name,
        "kind": notice.kind,
        "author": notice.author,
        "reason": notice.reason,
        "starts": notice.starts.isoformat(timespec="minutes"),
        "ends": notice.ends.isoformat(timespec="minutes"),
        "area_km2": notice.area_km2,
        "covered_share": effect.covered_share,
        "people": effect.people,
        "cropland_ha": effect.cropland_ha,
        "airports": effect.count("airport"),
        "ports": effect.count("port"),
        "hospitals": effect.count("hospital"),
        "ways_to_hospital": None if effect.ways is None else len(effect.ways),
        "people_on_ways": sum_ways(effect),
        "tag": notice.tag,
        "source": notice.source,
        "notes": list(effect.notes),
    }
