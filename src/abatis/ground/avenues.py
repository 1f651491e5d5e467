"""Avenues of approach: fast routes that keep apart, where they run together, how long and how far apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from abatis.ground import _betweenness as kernel
from abatis.ground import _search as search
from abatis.ground.travel import HEX_DETOUR, EdgeTimes, check_cells, check_times, compute_times, list_edges
from abatis.model.errors import Fault, InputError
from abatis.model.mesh import Mesh

EARTH_RADIUS_KM = 6371.0088


@dataclass(frozen=True)
class Avenue:
    """A fast route: `cells` int32[] from front to objective, its true `time_h`, and `apart`.

    `apart` is the share of its cells that lie farther than the asked separation from every avenue found
    before it (1 for the first).
    """

    cells: np.ndarray
    time_h: float
    apart: float


@dataclass(frozen=True)
class Stretch:
    """A run of `cells` int32[] that the avenues numbered in `avenues` (from 0, at least two) all drive."""

    cells: np.ndarray
    avenues: tuple[int, ...]


def find_avenues(
    mesh: Mesh,
    time_h: np.ndarray,
    sources: np.ndarray,
    target: int,
    count: int,
    penalty: float = 0.5,
    separation_km: float = 5.0,
    least_apart: float = 0.5,
    guide_h: np.ndarray | None = None,
) -> list[Avenue]:
    """Find up to `count` fast routes from the sources to the target that keep apart from each other.

    Parameters
    ----------
    penalty : share by which edges within the separation of a found route become slower before the next
        search.
    separation_km : distance that counts as apart, measured over cells, not only those that can be passed.
    least_apart : a route is kept when at least this share of its cells is apart from every route kept.
    guide_h : float64[N], what `compute_times` returns for these times and this target, where it is known.

    In words: take the fastest route, make its surroundings slower, search again; each route is reported with
    its true time. The first avenue is the least-time route; the others are good, not proven best (penalty
    method). Fewer than `count` come back where the ground holds no more. Sorted by true time.

    Raises
    ------
    InputError : a penalty, separation or count that is not positive, cells outside the mesh, or no way at
        all.
    """
    _check_positive(penalty=penalty, separation_km=separation_km, count=count)
    sources, time_h, guide_h = _prepare(mesh, time_h, sources, target, guide_h)
    slowed = time_h.copy()
    near_any = np.zeros(mesh.cell_count, np.bool_)
    came = np.empty(mesh.cell_count, np.int8)
    found: list[Avenue] = []
    for _ in range(8 * count):
        _, last, _ = search.search_to(mesh.neighbor, mesh.edge, slowed, sources, guide_h, came)
        cells = search.trace_back(mesh.neighbor, came, last)
        apart = float(1.0 - near_any[cells].mean()) if found else 1.0
        near = mark_near(mesh, cells, separation_km)
        if apart >= least_apart or not found:
            found.append(Avenue(cells, float(time_h[list_edges(mesh, cells)].sum()), apart))
            near_any |= near
        if len(found) == count:
            break
        kernel.slow_down(mesh.edge, near, 1.0 + penalty, slowed)
    return sorted(found, key=lambda avenue: avenue.time_h)


def find_separate_avenues(
    mesh: Mesh,
    time_h: np.ndarray,
    sources: np.ndarray,
    target: int,
    count: int,
    separation_km: float = 5.0,
    meeting_km: float = 10.0,
) -> list[Avenue]:
    """Find up to `count` fast routes that share no cell and keep the separation until they meet.

    Parameters
    ----------
    separation_km : no cell of one route lies within it of a cell of another, outside the meeting ground.
    meeting_km : radius of the meeting ground around the target, where all routes have to come together.

    In words: take the fastest route, close its surroundings outside the meeting ground, search again. Each
    route is the fastest that the ones before it leave; together they need not be the best set. Fewer than
    `count` come back where no further way is left.

    Raises
    ------
    InputError : as `find_avenues`.
    """
    _check_positive(separation_km=separation_km, meeting_km=meeting_km, count=count)
    sources, time_h, guide_h = _prepare(mesh, time_h, sources, target, None)
    meeting = mark_near(mesh, np.array([target]), meeting_km)
    left = time_h.copy()
    closed = np.zeros(mesh.cell_count, np.bool_)
    came = np.empty(mesh.cell_count, np.int8)
    found: list[Avenue] = []
    for _ in range(count):
        starts = sources[~closed[sources]]
        if starts.size == 0:
            break
        _, last, _ = search.search_to(mesh.neighbor, mesh.edge, left, starts, guide_h, came)
        if last < 0:
            break
        cells = search.trace_back(mesh.neighbor, came, last)
        found.append(Avenue(cells, float(time_h[list_edges(mesh, cells)].sum()), 1.0))
        outside = cells[~meeting[cells]]
        if outside.size == 0:
            break
        closed |= mark_near(mesh, outside, separation_km) & ~meeting
        left[closed[mesh.edge_a] | closed[mesh.edge_b]] = np.inf
    return sorted(found, key=lambda avenue: avenue.time_h)


def mark_near(mesh: Mesh, cells: np.ndarray, distance_km: float) -> np.ndarray:
    """Return bool[N], the cells within a distance of some cells, measured over the mesh.

    In words: chains of cells zigzag, so the distance over them is divided by `HEX_DETOUR`; passable or not
    plays no part.
    """
    limit_m = 1000.0 * distance_km * HEX_DETOUR
    return np.asarray(kernel.mark_within(mesh.neighbor, mesh.edge, mesh.distance_m, cells, limit_m))


def find_shared_stretches(mesh: Mesh, routes: Sequence[np.ndarray]) -> tuple[Stretch, ...]:
    """Find where routes run together: the longest runs of cells over whose edges the same routes pass.

    Parameters
    ----------
    routes : cells int32[] of each route, none passing a cell twice.

    In words: an edge belongs to the routes that drive it; successive edges with the same routes, at least
    two, make one stretch. A cell in which routes only cross is no stretch. In the order of the first route
    that drives them.

    Raises
    ------
    InputError : successive cells of a route that are not neighbours.
    """
    users: dict[int, list[int]] = {}
    edges = [list_edges(mesh, route).tolist() if len(route) > 1 else [] for route in routes]
    for number, route_edges in enumerate(edges):
        for edge in route_edges:
            users.setdefault(edge, []).append(number)
    found = []
    for number, (route, route_edges) in enumerate(zip(routes, edges, strict=True)):
        first = 0
        for place in range(1, len(route_edges) + 1):
            together = users[route_edges[first]]
            if place < len(route_edges) and users[route_edges[place]] == together:
                continue
            if len(together) > 1 and together[0] == number:
                found.append(Stretch(np.asarray(route[first : place + 1]), tuple(together)))
            first = place
    return tuple(found)


def measure_route_km(mesh: Mesh, times: EdgeTimes, cells: np.ndarray) -> float:
    """Return the length of a route in km: the road where it drives one, else the way over the mesh.

    In words: on a road its true length counts; off it the distance between centres, divided by `HEX_DETOUR`
    because chains of cells zigzag.
    """
    if len(cells) < 2:
        return 0.0
    edges = list_edges(mesh, cells)
    by_road = times.road_h[edges] <= times.open_h[edges]
    metres = np.where(by_road, mesh.road_m[edges], mesh.distance_m[edges] / HEX_DETOUR)
    return float(metres.sum(dtype=np.float64)) / 1000.0


def measure_displacement_km(mesh: Mesh, before: np.ndarray, after: np.ndarray) -> float:
    """Return how far a route moves: the greatest distance in km of a cell of `after` from `before`.

    Parameters
    ----------
    before, after : cells of the two routes, at least one each.

    Formula: max over cells a of `after` of min over cells b of `before` of distance(a, b).
    In words: 0 where the new route keeps to the old one; leaving out a part of the old one counts nothing.
    """
    new, old = after[~np.isin(after, before)], before
    if new.size == 0:
        return 0.0
    new_lon, new_lat = np.radians(mesh.lon[new])[:, None], np.radians(mesh.lat[new])[:, None]
    old_lon, old_lat = np.radians(mesh.lon[old])[None, :], np.radians(mesh.lat[old])[None, :]
    half = np.sin((new_lat - old_lat) / 2) ** 2
    half = half + np.cos(new_lat) * np.cos(old_lat) * np.sin((new_lon - old_lon) / 2) ** 2
    return float(2.0 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(half.min(axis=1).max())))


def _prepare(
    mesh: Mesh, time_h: np.ndarray, sources: np.ndarray, target: int, guide_h: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Check what a search for avenues starts from, and add the times to the target."""
    sources = check_cells(sources, mesh.cell_count, "sources")
    time_h = np.ascontiguousarray(time_h, dtype=np.float64)
    if guide_h is None:
        guide_h = compute_times(mesh, time_h, np.array([target]))
    else:
        check_times(time_h)
    if not np.isfinite(guide_h[sources]).any():
        raise InputError([Fault("no way leads from the sources to the target", column="target")])
    return sources, time_h, guide_h


def _check_positive(**values: float) -> None:
    faults = [
        Fault(f"is {value}", column=name, remedy="give a positive number")
        for name, value in values.items()
        if not (value > 0 and math.isfinite(value))
    ]
    if faults:
        raise InputError(faults)
