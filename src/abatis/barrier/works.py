"""What a line asks for: cost by measure, work by municipality, and its weakest places."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import shapely

from abatis.barrier.closures import Closures
from abatis.barrier.line_graph import Line
from abatis.barrier.options import EARTH_RADIUS_KM, Way, measure_work
from abatis.barrier.sites import TOWN_KINDS
from abatis.ground.sources import Area, Findings
from abatis.ground.sources.vectors import read_vector_layer
from abatis.model.mesh import Mesh
from abatis.model.study import Study

MOST_WEAK_PLACES = 5


@dataclass(frozen=True)
class Work:
    """How much of one measure a line (or its part in one area) asks for, and what that costs."""

    line: str
    area: str
    measure: str
    units: float
    cost_eur: float


@dataclass(frozen=True)
class WeakPlace:
    """An edge of a line that holds a short time or is cheap to close: where, how, gap, hours and EUR."""

    line: str
    edge: int
    mode: str
    gap_m: float
    delay_h: float
    cost_eur: float
    lon: float
    lat: float


def locate_edges(mesh: Mesh, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return longitude and latitude of the middle of some edges, float64[] each."""
    a, b = mesh.edge_a[edges], mesh.edge_b[edges]
    return (mesh.lon[a] + mesh.lon[b]) / 2.0, (mesh.lat[a] + mesh.lat[b]) / 2.0


def name_modes(mesh: Mesh, edges: np.ndarray) -> list[str]:
    """Say how some edges are crossed: bridge, road or open."""
    road = mesh.road_class[edges] >= 0
    bridge = road & (mesh.bridge_m[edges] > 0)
    return [str(word) for word in np.where(bridge, "bridge", np.where(road, "road", "open"))]


def list_works(
    mesh: Mesh, closures: Closures, line: Line, share: np.ndarray, area: np.ndarray | None = None
) -> tuple[Work, ...]:
    """List how much of each measure a line asks for, per area when areas are given.

    Parameters
    ----------
    mesh, closures : the mesh and the cheapest way to close each edge.
    line : the line.
    share : float64[E], share of the work that is left to do (1; less where something stands already).
    area : names of the area of each edge of `line.edges`; one area '' when not given.

    Formula: units = sum over edges of share x amount; cost = units x unit cost. The costs of all rows add up
    to the line's cost.
    """
    edges = line.edges
    names = np.full(len(edges), "", object) if area is None else area
    totals: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for number, way in enumerate(closures.ways):
        mine = closures.way[edges] == number
        for name in sorted(set(names[mine].tolist())):
            picked = edges[mine & (names == name)]
            for measure, units, unit_eur in _sum_way(mesh, picked, way, share[picked]):
                entry = totals[name, measure]
                entry[0] += units
                entry[1] += units * unit_eur
    return tuple(
        Work(line.key, name, measure, units, cost_eur)
        for (name, measure), (units, cost_eur) in sorted(totals.items())
        if units > 0
    )


def _sum_way(mesh: Mesh, edges: np.ndarray, way: Way, share: np.ndarray) -> list[tuple[str, float, float]]:
    work = measure_work(mesh, edges, way)
    return [
        (measure.key, float((amount * share).sum()), measure.unit_cost_eur)
        for amount, measure in ((work.open_km, way.open), (work.road, way.road), (work.bridge, way.bridge))
        if measure is not None
    ]


def find_weak_places(
    mesh: Mesh, closures: Closures, line: Line, count: int = MOST_WEAK_PLACES
) -> tuple[WeakPlace, ...]:
    """Find the places of a line that hold the shortest time; of equal ones the cheapest to close.

    Formula: hours = min over the modes an edge can be crossed in of the delay of the measure that closes it.
    In words: ground that nature closes is no weak place; every edge is listed once.
    """
    built = line.edges[(mesh.gap_m[line.edges] > 0) | (mesh.road_class[line.edges] >= 0)]
    open_h = np.where(mesh.gap_m[built] > 0, closures.open_h[built], np.inf)
    road_h = np.where(mesh.road_class[built] >= 0, closures.road_h[built], np.inf)
    hours = np.minimum(open_h, road_h)
    order = built[np.lexsort((built, closures.cost_eur[built], hours))][:count]
    delay = dict(zip(built.tolist(), hours.tolist(), strict=True))
    lon, lat = locate_edges(mesh, order)
    return tuple(
        WeakPlace(
            line.key,
            int(edge),
            mode,
            float(mesh.gap_m[edge]),
            float(delay[int(edge)]),
            float(closures.cost_eur[edge]),
            float(x),
            float(y),
        )
        for edge, mode, x, y in zip(order, name_modes(mesh, order), lon, lat, strict=True)
    )


def name_areas(study: Study, mesh: Mesh, edges: np.ndarray) -> tuple[np.ndarray, str]:
    """Name the municipality of each edge, or where the study has none its country and nearest town.

    Returns
    -------
    Names (object[]), and what they are: 'municipality' or 'nearest town'.

    Raises
    ------
    InputError : the layer municipalities has faults.
    """
    lon, lat = locate_edges(mesh, edges)
    if len(study.source_rows("municipalities")):
        findings = Findings()
        area = Area(mesh.lon.min(), mesh.lat.min(), mesh.lon.max(), mesh.lat.max())
        layer = read_vector_layer(study, "municipalities", area, findings)
        findings.raise_faults()
        names = np.full(len(edges), "outside every municipality", object)
        points, shapes = shapely.STRtree(layer.geometry).query(shapely.points(lon, lat), predicate="within")
        names[points] = layer.names[shapes]
        return names, "municipality"
    places = study.tables["places"]
    places = places[places["kind"].isin(TOWN_KINDS)]
    names = np.array([mesh.country_codes[one] for one in mesh.country[mesh.edge_a[edges]]], object)
    if len(places):
        x, y = places["lon"].to_numpy(float), places["lat"].to_numpy(float)
        scale = np.cos(np.radians(lat))[:, None]
        away = np.hypot((lon[:, None] - x) * scale, lat[:, None] - y) * np.pi / 180.0 * EARTH_RADIUS_KM
        near = places["name"].to_numpy(object)[np.argmin(away, axis=1)]
        names = np.array([f"{code}, near {place}" for code, place in zip(names, near, strict=True)], object)
    return names, "nearest town"
