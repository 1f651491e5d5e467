"""Roads on the mesh: each road burns the chain of edges it crosses, with its true length."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import shapely

from abatis.ground.gaps import measure_m
from abatis.ground.hexgrid import HexGrid, label_points
from abatis.ground.sources.vectors import VectorLayer
from abatis.model.words import ROAD_WORDS

SAMPLES_PER_CELL = 30
BISECTIONS = 12
LOOP_CELLS = 1.5


@dataclass(frozen=True)
class Road:
    """A road: `points` f8[P, 2] lon, lat; `names` of its P - 1 pieces; `word`, index of its class."""

    points: np.ndarray
    names: tuple[str, ...]
    word: int


@dataclass(frozen=True)
class RoadStretches:
    """Road stretches between two neighbouring cells (K stretches).

    `edge` int64[K]; `length_m` f8[K]; `road` int64[K], index of the road; `start_m`, `stop_m` f8[K], where
    on the
    road; `word` int64[K], class; `name` (K texts); `spur` bool[K], true for kinks beside the chain.
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
    pieces: list[tuple[np.ndarray, str, int]] = []
    for geometry, word, name in zip(layer.geometry, layer.words, layer.names, strict=True):
        for part in shapely.get_parts(geometry):
            points = shapely.get_coordinates(part)
            moved = np.any(np.diff(points, axis=0) != 0, axis=1)
            points = points[np.concatenate([[True], moved])]
            if len(points) > 1:
                pieces.append((points, name, ROAD_WORDS.index(word or default)))
    return _walk_pieces(pieces, _pair_ends(pieces))


def _pair_ends(pieces: list[tuple[np.ndarray, str, int]]) -> dict[tuple[int, int], tuple[int, int]]:
    """Pair piece ends (piece, 0 start or 1 stop) that continue each other."""
    nodes: dict[tuple[int, float, float], list[tuple[int, int]]] = defaultdict(list)
    for index, (points, _, word) in enumerate(pieces):
        for end, point in ((0, points[0]), (1, points[-1])):
            nodes[(word, round(float(point[0]), 6), round(float(point[1]), 6))].append((index, end))
    paired: dict[tuple[int, int], tuple[int, int]] = {}
    for ends in nodes.values():
        if len(ends) < 2:
            continue
        ways = [_find_heading(pieces[index][0], end) for index, end in ends]
        options = []
        for i in range(len(ends)):
            for j in range(i + 1, len(ends)):
                one, other = pieces[ends[i][0]][1], pieces[ends[j][0]][1]
                named = bool(one) and one == other
                turn = float(ways[i] @ ways[j])
                if ends[i][0] != ends[j][0] and (turn < 0 or len(ends) == 2 or named):
                    options.append((not named, turn, i, j))
        for _, _, i, j in sorted(options):
            if ends[i] not in paired and ends[j] not in paired:
                paired[ends[i]], paired[ends[j]] = ends[j], ends[i]
    return paired


def _find_heading(points: np.ndarray, end: int) -> np.ndarray:
    """Unit vector from an end of a piece into it."""
    origin, inner = (points[0], points[1]) if end == 0 else (points[-1], points[-2])
    way = (inner - origin) * np.array([np.cos(np.radians(origin[1])), 1.0])
    return np.asarray(way / max(float(np.hypot(*way)), 1e-15))


def _walk_pieces(
    pieces: list[tuple[np.ndarray, str, int]], paired: dict[tuple[int, int], tuple[int, int]]
) -> list[Road]:
    used = [False] * len(pieces)
    starts = [(i, end) for i in range(len(pieces)) for end in (0, 1) if (i, end) not in paired]
    starts += [(i, 0) for i in range(len(pieces))]
    roads = []
    for index, end in starts:
        if used[index]:
            continue
        points: list[np.ndarray] = []
        names: list[str] = []
        word = pieces[index][2]
        while True:
            used[index] = True
            own, name, _ = pieces[index]
            own = own if end == 0 else own[::-1]
            points.append(own if not points else own[1:])
            names += [name] * (len(own) - 1)
            follower = paired.get((index, 1 - end))
            if follower is None or used[follower[0]]:
                break
            index, end = follower
        roads.append(Road(np.concatenate(points), tuple(names), word))
    return roads


def measure_along(points: np.ndarray) -> np.ndarray:
    """Distance along a line from its start to each point, metres."""
    pieces = measure_m(points[:-1, 0], points[:-1, 1], points[1:, 0], points[1:, 1])
    return np.concatenate([[0.0], np.cumsum(pieces)])


@dataclass(frozen=True)
class _Runs:
    """Runs of one road in one cell: `cell` (-1 outside the mesh), `start_m`, `stop_m` along the road."""

    cell: list[int]
    start_m: list[float]
    stop_m: list[float]


def _find_runs(roads: list[Road], grid: HexGrid, spacing_m: float) -> list[_Runs]:
    """Cut every road at the cells' boundaries (found to about a centimetre by halving)."""
    step_m = spacing_m / SAMPLES_PER_CELL
    along = [measure_along(road.points) for road in roads]
    places = [
        np.union1d(line, np.linspace(0.0, line[-1], max(2, int(np.ceil(line[-1] / step_m)) + 1)))
        for line in along
    ]
    labels = np.split(
        _label_places(roads, along, places, grid), np.cumsum([len(place) for place in places])[:-1]
    )
    changes = [np.flatnonzero(label[1:] != label[:-1]) for label in labels]
    low = [place[change] for place, change in zip(places, changes, strict=True)]
    high = [place[change + 1] for place, change in zip(places, changes, strict=True)]
    left = np.concatenate([label[change] for label, change in zip(labels, changes, strict=True)])
    cuts = np.cumsum([len(change) for change in changes])[:-1]
    for _ in range(BISECTIONS):
        middle = [(a + b) / 2 for a, b in zip(low, high, strict=True)]
        stays = np.split(_label_places(roads, along, middle, grid) == left, cuts)
        low = [np.where(stay, m, a) for stay, m, a in zip(stays, middle, low, strict=True)]
        high = [np.where(stay, b, m) for stay, m, b in zip(stays, middle, high, strict=True)]
    found = []
    for line, label, change, a, b in zip(along, labels, changes, low, high, strict=True):
        border = ((a + b) / 2).tolist()
        cells = label[np.concatenate([change, [len(label) - 1]])].tolist()
        found.append(_Runs(cells, [0.0, *border], [*border, float(line[-1])]))
    return found


def _label_places(
    roads: list[Road], along: list[np.ndarray], places: list[np.ndarray], grid: HexGrid
) -> np.ndarray:
    lon = [np.interp(p, a, road.points[:, 0]) for p, a, road in zip(places, along, roads, strict=True)]
    lat = [np.interp(p, a, road.points[:, 1]) for p, a, road in zip(places, along, roads, strict=True)]
    return label_points(grid, np.concatenate(lon), np.concatenate(lat))


def _chain_runs(runs: _Runs, loop_m: float) -> list[tuple[int, int, float, float, bool]]:
    """Turn the runs of a road into steps (cell, next cell, from m, to m, spur).

    A road that leaves a cell and soon comes back stays one run of that cell; the cells of the kink become
    spurs.
    """
    steps: list[tuple[int, int, float, float, bool]] = []
    stack: list[list[float]] = []
    total = runs.stop_m[-1]
    for cell, start, stop in zip(runs.cell, runs.start_m, runs.stop_m, strict=True):
        if cell < 0:
            steps += _close_chain(stack, total)
            stack = []
            continue
        back = next(
            (
                k
                for k in range(len(stack) - 1, -1, -1)
                if stack[k][0] == cell and start - stack[k][2] <= loop_m
            ),
            None,
        )
        if back is None:
            stack.append([cell, start, stop])
            continue
        kink = [*stack[back:], [cell, start, stop]]
        for one, two in pairwise(kink):
            steps.append((int(one[0]), int(two[0]), (one[1] + one[2]) / 2, (two[1] + two[2]) / 2, True))
        stack[back][2] = stop
        del stack[back + 1 :]
    return steps + _close_chain(stack, total)


def _close_chain(stack: list[list[float]], total: float) -> list[tuple[int, int, float, float, bool]]:
    """Steps of one unbroken chain; where the road itself begins or ends, up to its very end."""
    steps = []
    for k in range(len(stack) - 1):
        one, two = stack[k], stack[k + 1]
        start = one[1] if k == 0 and one[1] == 0.0 else (one[1] + one[2]) / 2
        last = k + 1 == len(stack) - 1 and two[2] == total
        stop = two[2] if last else (two[1] + two[2]) / 2
        steps.append((int(one[0]), int(two[0]), start, stop, False))
    return steps


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
    steps: list[tuple[int, int, float, float, bool]] = []
    road_of: list[int] = []
    name: list[str] = []
    runs = _find_runs(roads, grid, spacing_m) if roads else []
    for index, (road, own) in enumerate(zip(roads, runs, strict=True)):
        along = measure_along(road.points)
        for step in _chain_runs(own, LOOP_CELLS * spacing_m):
            piece = int(np.searchsorted(along, (step[2] + step[3]) / 2)) - 1
            steps.append(step)
            road_of.append(index)
            name.append(road.names[min(max(piece, 0), len(road.names) - 1)])
    table = np.array(steps, dtype=np.float64).reshape(-1, 5)
    a, b = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64)
    hit = neighbor[a] == b[:, None]
    real = hit.any(axis=1)
    edge = cell_edge[a, hit.argmax(axis=1)].astype(np.int64)
    road_array = np.array(road_of, dtype=np.int64)
    word = np.array([road.word for road in roads], dtype=np.int64)[road_array]
    return RoadStretches(
        edge[real],
        (table[:, 3] - table[:, 2])[real],
        road_array[real],
        table[:, 2][real],
        table[:, 3][real],
        word[real],
        tuple(one for one, good in zip(name, real, strict=True) if good),
        table[:, 4][real] > 0,
    )


def choose_stretches(stretches: RoadStretches, usable: np.ndarray, speed_kmh: np.ndarray) -> np.ndarray:
    """Return int64[], the usable stretch kept on every edge that has one, by rising edge.

    Parameters
    ----------
    stretches : all stretches [K].
    usable : bool[K].
    speed_kmh : reference speed of each road class.

    In words: a stretch of a chain goes before a spur, then the fastest class is kept, then the longest
    stretch:
    the corner that a parallel road clips would be a shortcut for the traffic of both.
    """
    rows = np.flatnonzero(usable)
    order = np.lexsort(
        (
            rows,
            -stretches.length_m[rows],
            -speed_kmh[stretches.word[rows]],
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
