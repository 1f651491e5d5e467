"""Roads on the mesh: each road burns the chain of edges it crosses, with its true length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely

from abatis.ground import _roads as kernel
from abatis.ground.gaps import measure_m
from abatis.ground.hexgrid import HexGrid
from abatis.ground.sources.vectors import VectorLayer
from abatis.model.words import ROAD_WORDS, STRUCTURE_WORDS, SURFACE_WORDS

SAMPLES_PER_CELL = 30
BISECTIONS = 12
LOOP_CELLS = 1.5
# Neighbouring centres are 0.75 to 1.3 of the mean apart within any country; what is left is for certainty.
LEAST_STEP = 0.6


@dataclass(frozen=True)
class Road:
    """A road: `points` f8[P, 2] lon, lat; `names` of its P - 1 pieces; `word`, index of its class.

    `feature` int64[P - 1] says which feature of the layer each piece comes from.
    """

    points: np.ndarray
    names: tuple[str, ...]
    word: int
    feature: np.ndarray


@dataclass(frozen=True)
class RoadStretches:
    """Road stretches between two neighbouring cells (K stretches).

    `edge` int64[K]; `length_m` f8[K]; `road` int64[K], index of the road; `start_m`, `stop_m` f8[K], where
    on the road; `word` int64[K], class; `name` (K texts); `spur` bool[K], true for kinks beside the chain.
    """

    edge: np.ndarray
    length_m: np.ndarray
    road: np.ndarray
    start_m: np.ndarray
    stop_m: np.ndarray
    word: np.ndarray
    name: tuple[str, ...]
    spur: np.ndarray


def join_roads(layer: VectorLayer, default: str) -> list[Road]:
    """Join features of one class that continue each other into long roads.

    Parameters
    ----------
    layer : road lines; `words` are classes.
    default : class of features without one.

    In words: at each end point features of one class are paired, first by equal name, then by the straightest
    way through; so a road is not cut where another one meets it.
    """
    points, first, owner = _list_features(layer)
    words = np.array([ROAD_WORDS.index(word or default) for word in layer.words.tolist()], np.int64)
    partner = _pair_ends(points, first, words[owner], pd.factorize(layer.names)[0][owner], layer.names[owner])
    walk, road_start = np.empty(len(owner), np.int64), np.empty(len(owner) + 1, np.int64)
    roads = kernel.walk_features(partner, walk, road_start)
    road_start = road_start[: roads + 1]
    order, piece = np.empty(len(points), np.int64), np.empty(len(points), np.int64)
    point_start = np.empty(roads + 1, np.int64)
    count = kernel.list_points(walk, road_start, first, order, piece, point_start)
    points, feature = points[order[:count]], owner[piece[:count]]
    names = layer.names[feature].tolist()
    joined = []
    for k, low, high in zip(range(roads), point_start[:-1].tolist(), point_start[1:].tolist(), strict=True):
        word = int(words[owner[walk[road_start[k]] >> 1]])
        joined.append(Road(points[low:high], tuple(names[low : high - 1]), word, feature[low : high - 1]))
    return joined


def _list_features(layer: VectorLayer) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the points f8[P, 2] of all lines, where each starts int64[L + 1], and its feature int64[L].

    Points that repeat the one before and lines of one point are left out.
    """
    lines, feature = shapely.get_parts(layer.geometry, return_index=True)
    points, line = shapely.get_coordinates(lines, return_index=True)
    kept = np.ones(len(points), dtype=bool)
    kept[1:] = np.any(points[1:] != points[:-1], axis=1) | (line[1:] != line[:-1])
    points, line = points[kept], line[kept]
    long = np.bincount(line, minlength=len(lines)) > 1
    points, line = points[long[line]], line[long[line]]
    first = np.searchsorted(line, np.append(np.flatnonzero(long), len(lines)))
    return points, first.astype(np.int64), feature[long].astype(np.int64)


def _pair_ends(
    points: np.ndarray, first: np.ndarray, word: np.ndarray, name: np.ndarray, text: np.ndarray
) -> np.ndarray:
    """Return int64[2 L], the end that continues each end (2 k starts, 2 k + 1 stops line k), or -1."""
    count = len(word)
    partner = np.full(2 * count, -1, np.int64)
    if count == 0:
        return partner
    end = np.column_stack([first[:-1], first[1:] - 1]).ravel()
    inner = np.column_stack([first[:-1] + 1, first[1:] - 2]).ravel()
    origin = points[end]
    way = points[inner] - origin
    way[:, 0] *= np.cos(np.radians(origin[:, 1]))
    way /= np.maximum(np.hypot(way[:, 0], way[:, 1]), 1e-15)[:, None]
    # Ends of one class meet where they agree to a millionth of a degree.
    east, north = np.rint((origin + np.array([180.0, 90.0])) * 1e6).astype(np.int64).T
    key = (np.repeat(word, 2) << 58) + (east << 28) + north
    order = np.argsort(key, kind="stable")
    node_start = np.flatnonzero(np.concatenate([[True], np.diff(key[order]) != 0, [True]]))
    kernel.pair_ends(order, node_start, way, np.where(text == "", -1, name), partner)
    return partner


def measure_along(points: np.ndarray) -> np.ndarray:
    """Distance along a line from its start to each point, metres."""
    pieces = measure_m(points[:-1, 0], points[:-1, 1], points[1:, 0], points[1:, 1])
    return np.concatenate([[0.0], np.cumsum(pieces)])


def measure_roads(points: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Distance of each point from the start of its road, metres; road k has the points from first[k] on."""
    along = np.zeros(len(points))
    if len(points):
        step_m = measure_m(points[:-1, 0], points[:-1, 1], points[1:, 0], points[1:, 1])
        kernel.sum_along(np.append(step_m, 0.0), first, along)
    return along


def burn_roads(
    roads: list[Road], grid: HexGrid, neighbor: np.ndarray, cell_edge: np.ndarray, spacing_m: float
) -> RoadStretches:
    """Lay roads over the mesh.

    Parameters
    ----------
    roads : joined roads.
    grid, neighbor, cell_edge : cells, their neighbours and edges.
    spacing_m : distance between neighbouring centres.

    Returns
    -------
    One stretch per step from a cell to the next; along a road the lengths sum to the road's true length.

    Formula: length = middle of the run in the next cell - middle of the run in this cell, along the road;
    the first and the last stretch reach to the road's ends.
    In words: a corner clipped by the road is a step of its own; a kink out of a cell and back within one and
    a half cell widths stays in the cell, and the cells it visits hang on it as spurs. Longer loops are
    walked step by step: keeping them would charge the loop to traffic that leaves where it begins.
    """
    f = grid.frames
    points = np.concatenate([np.zeros((0, 2)), *(road.points for road in roads)])
    first = np.cumsum([0, *(len(road.points) for road in roads)])
    table, road_of, point = kernel.step_roads(
        points, measure_roads(points, first), first, spacing_m / SAMPLES_PER_CELL, LEAST_STEP * spacing_m,
        BISECTIONS, LOOP_CELLS * spacing_m, f.normal, f.axis_a, f.axis_b, f.outward, f.reach,
        grid.extent, grid.coarse, grid.fine,
    )  # fmt: skip
    a, b = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64)
    hit = neighbor[a] == b[:, None]
    real = np.flatnonzero(hit.any(axis=1))
    edge = cell_edge[a[real], hit[real].argmax(axis=1)].astype(np.int64)
    table, road_of, point = table[real], road_of[real], point[real]
    word = np.array([road.word for road in roads], dtype=np.int64)[road_of]
    # One name for each piece; a road's last point begins none.
    names = [name for road in roads for name in (*road.names, "")]
    return RoadStretches(
        edge,
        table[:, 3] - table[:, 2],
        road_of,
        table[:, 2],
        table[:, 3],
        word,
        tuple(names[place] for place in point.tolist()),
        table[:, 4] > 0,
    )


def choose_stretches(stretches: RoadStretches, usable: np.ndarray, speed_kmh: np.ndarray) -> np.ndarray:
    """Return int64[], the usable stretch kept on every edge that has one, by rising edge.

    Parameters
    ----------
    stretches : all stretches [K].
    usable : bool[K].
    speed_kmh : reference speed on each stretch [K].

    In words: a stretch of a chain goes before a spur, then the fastest is kept, then the longest stretch:
    the corner that a parallel road clips would be a shortcut for the traffic of both.
    """
    rows = np.flatnonzero(usable)
    order = np.lexsort(
        (
            rows,
            -stretches.length_m[rows],
            -speed_kmh[rows],
            stretches.spur[rows],
            stretches.edge[rows],
        )
    )
    rows = rows[order]
    first = np.ones(len(rows), dtype=bool)
    first[1:] = stretches.edge[rows][1:] != stretches.edge[rows][:-1]
    return rows[first]


def locate_along(road: Road, place_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return lon, lat of places along a road (metres from its start)."""
    along = measure_along(road.points)
    return np.interp(place_m, along, road.points[:, 0]), np.interp(place_m, along, road.points[:, 1])


@dataclass(frozen=True)
class StretchMarks:
    """What the data say about road stretches (K).

    `surface` int8[K] (index into SURFACE_WORDS, -1 unknown), the surface of most of the length known;
    `max_weight_t` f8[K], the lowest weight limit on the way (inf none); `structure` int8[K] (index into
    STRUCTURE_WORDS, -1 none): a ferry, ford or tunnel on the way, in this order.
    """

    surface: np.ndarray
    max_weight_t: np.ndarray
    structure: np.ndarray


def mark_stretches(roads: list[Road], stretches: RoadStretches, layer: VectorLayer) -> StretchMarks:
    """Find surface, weight limit and structures of every stretch.

    Parameters
    ----------
    roads, stretches : joined roads and their stretches.
    layer : the layer they come from; `surface`, `max_weight_t`, `structure` are read from its attributes.

    In words: the pieces of all roads are laid end to end on one axis; a stretch is an interval of it.
    """
    count = len(stretches.edge)
    unknown = np.full(count, -1, np.int8)
    if not roads or not count or not layer.attributes:
        return StretchMarks(unknown, np.full(count, np.inf), unknown.copy())
    along = [measure_along(road.points) for road in roads]
    offset = np.concatenate([[0.0], np.cumsum([line[-1] + 1.0 for line in along])[:-1]])
    axis = np.concatenate([line + start for line, start in zip(along, offset, strict=True)])
    first_point = np.cumsum([0, *(len(line) for line in along[:-1])])
    # One piece starts at each point; the last point of a road starts the gap to the next.
    feature = np.full(len(axis), -1, np.int64)
    for start, road in zip(first_point.tolist(), roads, strict=True):
        feature[start : start + len(road.feature)] = road.feature
    low = offset[stretches.road] + np.minimum(stretches.start_m, stretches.stop_m)
    high = offset[stretches.road] + np.maximum(stretches.start_m, stretches.stop_m)
    begin = np.searchsorted(axis, low, side="right") - 1
    end = np.maximum(np.searchsorted(axis, high, side="left"), begin + 1)
    surface = _find_longest(axis, _number_words(layer, "surface", SURFACE_WORDS)[feature], low, high)
    limit = np.append(layer.attributes.get("max_weight_t", np.full(layer.count, np.nan)), np.nan)
    lowest = _reduce_ranges(np.minimum, np.where(np.isnan(limit), np.inf, limit)[feature], begin, end)
    kind = _number_words(layer, "structure", STRUCTURE_WORDS)
    # Bridges are known by the rivers they cross; a bridge over rails is none here.
    kind[kind == STRUCTURE_WORDS.index("bridge")] = -1
    structure = _reduce_ranges(np.maximum, kind[feature], begin, end)
    return StretchMarks(surface, lowest, structure.astype(np.int8))


def _number_words(layer: VectorLayer, attribute: str, words: tuple[str, ...]) -> np.ndarray:
    """Index of each feature's word, -1 for none; one more -1 at the end serves where there is no feature."""
    given = layer.attributes.get(attribute, np.full(layer.count, "", dtype=object))
    known = {word: index for index, word in enumerate(words)}
    return np.array([*(known.get(word, -1) for word in given), -1], np.int64)


def _find_longest(axis: np.ndarray, word: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return int8[K]: the word that holds most of the length between low and high, -1 when none is known."""
    long_m = np.diff(axis, append=axis[-1])
    share = np.empty((len(SURFACE_WORDS), len(low)))
    for index in range(len(SURFACE_WORDS)):
        done = np.concatenate([[0.0], np.cumsum(np.where(word == index, long_m, 0.0))[:-1]])
        share[index] = np.interp(high, axis, done) - np.interp(low, axis, done)
    return np.where(share.max(axis=0) > 0, share.argmax(axis=0), -1).astype(np.int8)


def _reduce_ranges(how: np.ufunc, values: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Reduce values[begin:end] for every pair (never empty)."""
    padded = np.append(values, values[-1])
    return np.asarray(how.reduceat(padded, np.column_stack([begin, end]).ravel())[::2])
