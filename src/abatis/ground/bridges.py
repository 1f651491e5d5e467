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
from abatis.model.words import STRUCTURE_WORDS

WIDE_RIVER_M = 40.0
REACH_CELLS = 1.5


@dataclass(frozen=True)
class Crossings:
    """Places where a stretch crosses a river.

    `stretch`, `feature` (of the road layer) int64[X]; `lon`, `lat`, `width_m` f8[X].
    """

    stretch: np.ndarray
    feature: np.ndarray
    lon: np.ndarray
    lat: np.ndarray
    width_m: np.ndarray


@dataclass(frozen=True)
class Bridges:
    """What the crossings mean for the stretches (K): `bridge_m` f8[K]; `name` (K texts); `usable` bool[K].

    `structure` int8[K] (index into STRUCTURE_WORDS, -1 none); `assumed` counts crossings where a bridge was
    assumed, `closed` those of wide rivers without a bridge.
    """

    bridge_m: np.ndarray
    name: tuple[str, ...]
    usable: np.ndarray
    structure: np.ndarray
    assumed: int
    closed: int


def find_crossings(roads: list[Road], stretches: RoadStretches, rivers: RiverLines) -> Crossings:
    """Find where road stretches cross rivers.

    In words: a stretch crosses a river when the lines meet an odd number of times; the place is where they
    meet first, the width the widest there.
    """
    nothing = Crossings(*(np.array([], kind) for kind in (np.int64, np.int64, float, float, float)))
    if not roads or len(rivers.ends) == 0:
        return nothing
    counts = np.array([len(road.points) - 1 for road in roads])
    road_of = np.repeat(np.arange(len(roads)), counts)
    feature = np.concatenate([road.feature for road in roads])
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
    met: dict[tuple[int, int], list[tuple[float, float, int]]] = {}
    for road, place, one, own in zip(
        road_of[piece].tolist(), place_m.tolist(), river.tolist(), feature[piece].tolist(), strict=True
    ):
        for index in by_road.get(road, []):
            if stretches.start_m[index] <= place < stretches.stop_m[index]:
                met.setdefault((index, int(rivers.river[one])), []).append((place, rivers.width_m[one], own))
    found = []
    for (index, _), places in sorted(met.items()):
        if len(places) % 2 == 1:
            place, _, own = min(places)
            lon, lat = locate_along(roads[int(stretches.road[index])], np.array([place]))
            widest = max(width for _, width, _ in places)
            found.append((index, own, float(lon[0]), float(lat[0]), widest))
    if not found:
        return nothing
    stretch, owner, lon, lat, width = (np.array(column) for column in zip(*found, strict=True))
    return Crossings(stretch.astype(np.int64), owner.astype(np.int64), lon, lat, width)


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
    told: np.ndarray,
    passing: np.ndarray,
    water_m: np.ndarray,
    bridges: VectorLayer | None,
    spacing_m: float,
    pixel_m: float,
) -> Bridges:
    """Give each crossing its bridge, ford, tunnel or ferry, or close the stretch.

    Parameters
    ----------
    stretches : road stretches [K].
    crossings : where they cross rivers.
    told : what the road's own data say it crosses on [X], a word or ''.
    passing : ferry, ford or tunnel on the stretch by the road's own data, int8[K], -1 for none.
    water_m : length of each stretch over water cover [K], metres.
    bridges : bridge points (`values` lengths in metres, `words` structures), or None when the study has no
        such layer.
    spacing_m : distance between neighbouring centres; a bridge serves crossings within 1.5 of it.
    pixel_m : size of the working pixels; shorter stretches over water are below what pixels can show.

    In words: the road's own data go first. Where they say nothing and there is a bridge layer, rivers wider
    than 40 m need a bridge near the crossing, else the road is not continued over them; narrower rivers, and
    all rivers without such a layer, get a bridge by assumption. A road drawn over water cover has a bridge or
    causeway by assumption. Fords, tunnels and ferries have no bridge.
    """
    count = len(stretches.edge)
    bridge_m, usable = np.zeros(count), np.ones(count, dtype=bool)
    structure = np.full(count, -1, np.int8)
    name = [""] * count
    near = _Nearest(crossings, bridges, REACH_CELLS * spacing_m)
    assumed = closed = 0
    for row, stretch in enumerate(crossings.stretch.tolist()):
        width = float(max(crossings.width_m[row], 1.0))
        own = near.any[row] if told[row] == "" else near.bridge[row] if told[row] == "bridge" else -1
        word = told[row] or (bridges.words[own] if bridges is not None and own >= 0 else "bridge")
        if word in STRUCTURE_WORDS[1:]:
            structure[stretch] = max(structure[stretch], STRUCTURE_WORDS.index(word))
            continue
        if own >= 0 and bridges is not None:
            length = float(bridges.values[own])
            bridge_m[stretch] = max(bridge_m[stretch], length if length > 0 else width)
            name[stretch] = str(bridges.names[own])
        elif bridges is not None and width > WIDE_RIVER_M and not told[row]:
            usable[stretch] = False
            closed += 1
        else:
            bridge_m[stretch] = max(bridge_m[stretch], width)
            assumed += not told[row]
    over = (water_m > 1.5 * pixel_m) & (bridge_m == 0) & (structure < 0) & (passing < 0) & usable
    bridge_m[over] = water_m[over]
    ferry = STRUCTURE_WORDS.index("ferry")
    others = np.where((passing == ferry) | (water_m > 1.5 * pixel_m), passing, -1)
    structure = np.maximum(np.maximum(structure, others), np.where(bridge_m > 0, 0, -1))
    return Bridges(
        bridge_m, tuple(name), usable, structure.astype(np.int8), assumed + int(over.sum()), closed
    )


class _Nearest:
    """Rows of the bridge layer nearest to each crossing, -1 beyond reach: any structure, and bridges only."""

    def __init__(self, crossings: Crossings, bridges: VectorLayer | None, reach_m: float) -> None:
        count = len(crossings.stretch)
        self.any = np.full(count, -1, np.int64)
        self.bridge = self.any.copy()
        if bridges is None or count == 0:
            return
        east_m, north_m = metres_per_degree(float(crossings.lat.mean()))
        scale = np.array([float(east_m), float(north_m)])
        points = np.column_stack([shapely.get_x(bridges.geometry), shapely.get_y(bridges.geometry)])
        places = np.column_stack([crossings.lon, crossings.lat]) * scale
        is_bridge = np.array([word not in STRUCTURE_WORDS[1:] for word in bridges.words], dtype=bool)
        for rows, out in ((np.arange(bridges.count), self.any), (np.flatnonzero(is_bridge), self.bridge)):
            if rows.size:
                distance, nearest = cKDTree(points[rows] * scale).query(places)
                out[:] = np.where(distance <= reach_m, rows[nearest % len(rows)], -1)
