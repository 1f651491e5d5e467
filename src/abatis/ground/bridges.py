"""Where roads cross water: bridges from the bridge layer, or assumed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from scipy.spatial import cKDTree

from abatis.ground.pixels import metres_per_degree
from abatis.ground.rivers import RiverLines
from abatis.ground.roads import Road, RoadStretches, locate_along, measure_along
from abatis.ground.sources.vectors import VectorLayer

WIDE_RIVER_M = 40.0
REACH_CELLS = 1.5


@dataclass(frozen=True)
class Crossings:
    """Places where a stretch crosses a river: `stretch` int64[X]; `lon`, `lat`, `width_m` f8[X]."""

    stretch: np.ndarray
    lon: np.ndarray
    lat: np.ndarray
    width_m: np.ndarray


@dataclass(frozen=True)
class Bridges:
    """What the crossings mean for the stretches (K): `bridge_m` f8[K]; `name` (K texts); `usable` bool[K].

    `assumed` counts crossings where a bridge was assumed, `closed` those of wide rivers without a bridge.
    """

    bridge_m: np.ndarray
    name: tuple[str, ...]
    usable: np.ndarray
    assumed: int
    closed: int


def find_crossings(roads: list[Road], stretches: RoadStretches, rivers: RiverLines) -> Crossings:
    """Find where road stretches cross rivers.

    In words: a stretch crosses a river when the lines meet an odd number of times; the place is where they
    meet first, the width the widest there.
    """
    nothing = Crossings(np.array([], np.int64), np.array([]), np.array([]), np.array([]))
    if not roads or len(rivers.ends) == 0:
        return nothing
    counts = np.array([len(road.points) - 1 for road in roads])
    road_of = np.repeat(np.arange(len(roads)), counts)
    pieces = np.concatenate([np.column_stack([road.points[:-1], road.points[1:]]) for road in roads])
    start_m = np.concatenate([measure_along(road.points)[:-1] for road in roads])
    long_m = np.concatenate([np.diff(measure_along(road.points)) for road in roads])
    tree = shapely.STRtree(np.asarray(shapely.linestrings(rivers.ends.reshape(-1, 2, 2))))
    piece, river = tree.query(shapely.linestrings(pieces.reshape(-1, 2, 2)), predicate="intersects")
    share = _cut_share(pieces[piece], rivers.ends[river])
    inside = np.isfinite(share)
    piece, river, share = piece[inside], river[inside], share[inside]
    place_m = start_m[piece] + share * long_m[piece]
    by_road: dict[int, list[int]] = {}
    for index, road in enumerate(stretches.road.tolist()):
        by_road.setdefault(road, []).append(index)
    met: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for road, place, one in zip(road_of[piece].tolist(), place_m.tolist(), river.tolist(), strict=True):
        for index in by_road.get(road, []):
            if stretches.start_m[index] <= place < stretches.stop_m[index]:
                met.setdefault((index, int(rivers.river[one])), []).append((place, rivers.width_m[one]))
    found = []
    for (index, _), places in sorted(met.items()):
        if len(places) % 2 == 1:
            place = min(places)[0]
            lon, lat = locate_along(roads[int(stretches.road[index])], np.array([place]))
            found.append((index, float(lon[0]), float(lat[0]), max(width for _, width in places)))
    if not found:
        return nothing
    stretch, lon, lat, width = (np.array(column) for column in zip(*found, strict=True))
    return Crossings(stretch.astype(np.int64), lon, lat, width)


def _cut_share(pieces: np.ndarray, rivers: np.ndarray) -> np.ndarray:
    """Where on each road piece the river piece cuts it, as a share of its length (NaN when it does not).

    In words: two pieces cross when the ends of each lie on different sides of the other; an end on the line
    itself counts as right of it, so that a road through a river's own vertex crosses once and a touch never.
    """
    px, py, qx, qy = pieces.T
    ax, ay, bx, by = rivers.T
    left = [
        (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) > 0
        for x0, y0, x1, y1, x, y in (
            (px, py, qx, qy, ax, ay),
            (px, py, qx, qy, bx, by),
            (ax, ay, bx, by, px, py),
            (ax, ay, bx, by, qx, qy),
        )
    ]
    crosses = (left[0] != left[1]) & (left[2] != left[3])
    below = (qx - px) * (by - ay) - (qy - py) * (bx - ax)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = ((ax - px) * (by - ay) - (ay - py) * (bx - ax)) / below
    return np.where(crosses, np.clip(share, 0.0, 1.0), np.nan)


def place_bridges(
    stretches: RoadStretches,
    crossings: Crossings,
    water_m: np.ndarray,
    bridges: VectorLayer | None,
    spacing_m: float,
    pixel_m: float,
) -> Bridges:
    """Give each crossing its bridge, or close the stretch.

    Parameters
    ----------
    stretches : road stretches [K].
    crossings : where they cross rivers.
    water_m : length of each stretch over water cover [K], metres.
    bridges : bridge points (`values` lengths in metres), or None when the study has no such layer.
    spacing_m : distance between neighbouring centres; a bridge serves crossings within 1.5 of it.
    pixel_m : size of the working pixels; shorter stretches over water are below what pixels can show.

    In words: with a bridge layer, rivers wider than 40 m need a bridge near the crossing, else the road is
    not continued over them; narrower rivers, and all rivers without such a layer, get a bridge by assumption.
    A road drawn over water cover has a bridge or causeway by assumption.
    """
    count = len(stretches.edge)
    bridge_m, usable = np.zeros(count), np.ones(count, dtype=bool)
    name = [""] * count
    nearest, distance_m = _find_nearest(crossings, bridges)
    assumed = closed = 0
    for row, stretch in enumerate(crossings.stretch.tolist()):
        width = float(max(crossings.width_m[row], 1.0))
        if bridges is not None and distance_m[row] <= REACH_CELLS * spacing_m:
            own = int(nearest[row])
            length = float(bridges.values[own])
            bridge_m[stretch] = max(bridge_m[stretch], length if length > 0 else width)
            name[stretch] = str(bridges.names[own])
        elif bridges is not None and width > WIDE_RIVER_M:
            usable[stretch] = False
            closed += 1
        else:
            bridge_m[stretch] = max(bridge_m[stretch], width)
            assumed += 1
    over = (water_m > 1.5 * pixel_m) & (bridge_m == 0) & usable
    bridge_m[over] = water_m[over]
    return Bridges(bridge_m, tuple(name), usable, assumed + int(over.sum()), closed)


def _find_nearest(crossings: Crossings, bridges: VectorLayer | None) -> tuple[np.ndarray, np.ndarray]:
    count = len(crossings.stretch)
    if bridges is None or count == 0:
        return np.zeros(count, np.int64), np.full(count, np.inf)
    east_m, north_m = metres_per_degree(float(crossings.lat.mean()))
    scale = np.array([float(east_m), float(north_m)])
    points = np.column_stack([shapely.get_x(bridges.geometry), shapely.get_y(bridges.geometry)])
    distance, nearest = cKDTree(points * scale).query(np.column_stack([crossings.lon, crossings.lat]) * scale)
    return nearest, distance
