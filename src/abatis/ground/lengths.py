"""Lengths of roads, rivers and borders of a mesh, held against the sources."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from abatis.ground.comparison import Comparison, compare_numbers
from abatis.ground.gaps import measure_m
from abatis.ground.hexgrid import HexGrid, build_hexgrid, label_points
from abatis.ground.layers import DEFAULT_ROAD
from abatis.ground.pixels import metres_per_degree
from abatis.ground.speeds import find_speeds, list_uses
from abatis.ground.truth import OUTSIDE, Truth, smooth_lines
from abatis.model.mesh import Mesh
from abatis.model.study import Study
from abatis.model.words import ROAD_WORDS

HEXAGON_FACTOR = 4 / np.pi
"""Mean length of a chain of hexagon sides over the straight line that it follows, 1.273.

Per spacing of centres a straight line crosses 2 to 2.31 links between neighbouring centres, depending on its
direction, 2 / sqrt 3 times 6 / pi on the mean; each link stands for one side of length spacing / sqrt 3. So
the chain is 1.155 to 1.333 times the line, 4 / pi on the mean.
"""

PIECES_PER_CELL = 10
FEATURES_AT_ONCE = 50_000
LEAST_CELLS = 30
ALONE_CELLS = 1.2
SLACK_CELLS = 5
COVERED_PERCENT = 5.0
BORDER_PERCENT = 10.0
DIRECTIONS = 12


@dataclass(frozen=True)
class LinePieces:
    """Lines cut into pieces: `cell` int32[P] (-1 outside the mesh), `country`, `word` int8[P], `km` f8[P]."""

    cell: np.ndarray
    country: np.ndarray
    word: np.ndarray
    km: np.ndarray


def cut_lines(truth: Truth, grid: HexGrid, geometry: np.ndarray, words: np.ndarray) -> LinePieces:
    """Cut lines into pieces of a tenth of a cell and find where each one's middle lies.

    Parameters
    ----------
    truth, grid : the sources and the mesh's cells.
    geometry : lines and multilines in degrees [F].
    words : class of each, int8[F].

    In words: only the ground of the mesh is kept.
    """
    parts: list[tuple[np.ndarray, ...]] = []
    step_m = truth.spacing_m / PIECES_PER_CELL
    for first in range(0, len(geometry), FEATURES_AT_ONCE):
        lines, feature = shapely.get_parts(geometry[first : first + FEATURES_AT_ONCE], return_index=True)
        points, owner = shapely.get_coordinates(lines, return_index=True)
        same = owner[1:] == owner[:-1]
        start, stop, word = points[:-1][same], points[1:][same], words[first + feature[owner[:-1][same]]]
        metres = measure_m(*start.T, *stop.T)
        count = np.maximum(1, np.ceil(metres / step_m).astype(np.int64))
        row = np.repeat(np.arange(len(count)), count)
        share = (np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count) + 0.5) / count[row]
        lon, lat = (start[row] + share[:, None] * (stop - start)[row]).T
        country = truth.find_country(lon, lat)
        held = country >= 0
        parts.append(
            (
                label_points(grid, lon[held], lat[held]),
                country[held].astype(np.int8),
                word[row][held].astype(np.int8),
                (metres / count)[row][held] / 1000,
            )
        )
    if not parts:
        nothing = np.array([], np.int8)
        return LinePieces(nothing.astype(np.int32), nothing, nothing, np.array([]))
    return LinePieces(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _measure_alone(pieces: LinePieces, cells: int, spacing_m: float) -> np.ndarray:
    """Say of each piece whether its cell holds no more line than one way through it, bool[P]."""
    held = pieces.cell >= 0
    total = np.bincount(pieces.cell[held], weights=pieces.km[held], minlength=cells)
    return np.asarray(held & (total[pieces.cell] <= ALONE_CELLS * spacing_m / 1000))


def drop_repeated(geometry: np.ndarray) -> np.ndarray:
    """Say which lines are the first of their course, bool[F]; the same line drawn backwards is a repetition.

    Examples
    --------
    >>> one = shapely.LineString([(24, 55), (25, 55)])
    >>> drop_repeated(np.array([one, shapely.reverse(one)])).tolist()
    [True, False]
    """
    _, first = np.unique(shapely.to_wkb(shapely.normalize(geometry)), return_index=True)
    keep = np.zeros(len(geometry), dtype=bool)
    keep[first] = True
    return keep


def compare_roads(study: Study, truth: Truth, mesh: Mesh) -> list[Comparison]:
    """Compare kilometres of road per class and country with the road layer, in two ways.

    Formula: limits = 5 % of the layer's kilometres or five cells, what is more; for roads on edges the lower
    limit starts at 95 % of the kilometres that lie in cells with a single road.
    In words: *covered* are the kilometres of the layer in cells that have an edge with a road at least as
    fast; nearly all should be. *On edges* are the mesh's own kilometres: it keeps one road per edge, so where
    roads run side by side they are fewer. A line drawn twice counts once.
    """
    layer = truth.layers.vectors["roads"]
    keep = drop_repeated(layer.geometry)
    words = np.array([ROAD_WORDS.index(word or DEFAULT_ROAD) for word in layer.words[keep]], np.int8)
    pieces = cut_lines(truth, build_hexgrid(mesh.cells), layer.geometry[keep], words)
    speed = np.max([find_speeds(study, *use, "road", ROAD_WORDS) for use in list_uses(study)], axis=0)
    best = np.full(mesh.cell_count, -np.inf)
    paved = np.flatnonzero(mesh.road_class >= 0)
    for end in (mesh.edge_a, mesh.edge_b):
        np.maximum.at(best, end[paved], speed[mesh.road_class[paved]])
    covered = (pieces.cell >= 0) & (best[pieces.cell] >= speed[pieces.word])
    alone = _measure_alone(pieces, mesh.cell_count, truth.spacing_m)
    shape = (len(ROAD_WORDS), len(truth.ground.codes))
    source, held, single = (_sum_km(pieces, chosen, shape) for chosen in (None, covered, alone))
    burnt = _sum_edges(truth, mesh, mesh.road_m, mesh.road_class, shape)
    repeated = layer.count - int(keep.sum())
    twice = f"; {repeated:,} lines drawn twice count once" if repeated else ""
    rows = []
    for index, word in enumerate(ROAD_WORDS):
        for name, chosen in _group_countries(truth, source[index], burnt[index]):
            subject = f"{word}, {name}"
            total, kept, one, own = (
                float(sums[index, chosen].sum()) for sums in (source, held, single, burnt)
            )
            slack = _find_slack(truth, total)
            rows.append(
                compare_numbers(
                    "roads covered", subject, "km", (kept, total), slack, f"the layer's km{twice}"
                )
            )
            limits = (100 * one / total - 100 if total else 0.0) - slack, slack
            note = f"one road per edge: {100 * one / max(total, 1e-9):.0f} % lie alone in their cells"
            rows.append(compare_numbers("roads on edges", subject, "km", (own, total), limits, note))
    return rows


def _find_slack(truth: Truth, total_km: float) -> float:
    """Percent of a length that five cells at the rim or at dead ends may take, at least 5 %."""
    return max(COVERED_PERCENT, 100 * SLACK_CELLS * truth.spacing_m / 1000 / max(total_km, 1e-9))


def _sum_km(pieces: LinePieces, chosen: np.ndarray | None, shape: tuple[int, int]) -> np.ndarray:
    """Kilometres per class and country, f8[shape]."""
    rows = slice(None) if chosen is None else chosen
    key = pieces.word[rows].astype(np.int64) * shape[1] + pieces.country[rows]
    return np.bincount(key, weights=pieces.km[rows], minlength=shape[0] * shape[1]).reshape(shape)


def _sum_edges(
    truth: Truth, mesh: Mesh, metres: np.ndarray, word: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """Kilometres on the mesh's edges per class and country, half for the country of each end, f8[shape]."""
    place = np.array([truth.ground.codes.index(code) for code in mesh.country_codes])[mesh.country]
    rows = np.flatnonzero(word >= 0)
    total = np.zeros(shape[0] * shape[1])
    for end in (mesh.edge_a, mesh.edge_b):
        key = word[rows].astype(np.int64) * shape[1] + place[end[rows]]
        total += np.bincount(key, weights=metres[rows] / 2000, minlength=len(total))
    return total.reshape(shape)


def _group_countries(
    truth: Truth, source_km: np.ndarray, mesh_km: np.ndarray
) -> list[tuple[str, np.ndarray]]:
    """Return countries with enough kilometres to compare one by one, and the rest together."""
    least = LEAST_CELLS * truth.spacing_m / 1000
    some = (source_km > 0) | (mesh_km > 0)
    large = np.maximum(source_km, mesh_km) >= least
    groups = [(code, np.array([index])) for index, code in enumerate(truth.ground.codes) if large[index]]
    rest = np.flatnonzero(some & ~large)
    if np.maximum(source_km, mesh_km)[rest].sum() >= 2 * SLACK_CELLS * truth.spacing_m / 1000:
        groups.append(("elsewhere" if groups else "all ground", rest))
    return groups


def compare_rivers(truth: Truth, mesh: Mesh) -> list[Comparison]:
    """Compare rivers with the edges that they close or slow.

    In words: *covered* are the kilometres of the layer in cells with an edge that a river crosses. The length
    of those edges, divided by 4 / pi, is that of the rivers without bends smaller than half a cell; where
    rivers run side by side it is less.
    """
    layer = truth.layers.vectors["rivers"]
    if not layer.count:
        return []
    grid = build_hexgrid(mesh.cells)
    pieces = cut_lines(truth, grid, layer.geometry, np.zeros(layer.count, np.int8))
    wet = np.zeros(mesh.cell_count, dtype=bool)
    crossed = mesh.river_m > 0
    wet[mesh.edge_a[crossed]] = wet[mesh.edge_b[crossed]] = True
    total = float(pieces.km.sum())
    covered = float(pieces.km[(pieces.cell >= 0) & wet[pieces.cell]].sum())
    alone = float(pieces.km[_measure_alone(pieces, mesh.cell_count, truth.spacing_m)].sum())
    merged = shapely.line_merge(shapely.MultiLineString(shapely.get_parts(layer.geometry).tolist()))
    lines = shapely.get_parts(smooth_lines(merged, truth.spacing_m / 2))
    straight = float(cut_lines(truth, grid, lines, np.zeros(len(lines), np.int8)).km.sum())
    own = float(mesh.length_m[crossed].sum(dtype=np.float64)) / 1000 / HEXAGON_FACTOR
    limits = (100 * alone / max(total, 1e-9) - 100 - BORDER_PERCENT, BORDER_PERCENT)
    slack = _find_slack(truth, total)
    return [
        compare_numbers("rivers covered", "all", "km", (covered, total), slack, "the layer's km"),
        compare_numbers(
            "rivers on edges",
            "all",
            "km",
            (own, straight),
            limits,
            f"sides over 4 / pi; with all bends {total:,.0f} km",
        ),
    ]


def compare_borders(truth: Truth, mesh: Mesh) -> list[Comparison]:
    """Compare the borders between countries with their polygons.

    Formula: mesh = sides between cells of the two countries / (4 / pi); source = (pi / 2) x mean over
    directions of area{p: p in one country, p + v in the other} / |v|, |v| = spacing of cells.
    In words: the source is the border's length seen at the scale of a cell, bends that come and go within
    one do not count (Cauchy and Crofton's formula with needles as long as the spacing). A chain of hexagon
    sides is 1.155 to 1.333 times the line that it follows, 4 / pi on the mean over all directions: a straight
    border may differ by -9.3 to +4.7 %; 10 % and one cell at the ends are allowed. The note gives the
    geodesic length with all bends.
    """
    codes = truth.ground.codes
    place = np.array([codes.index(code) for code in mesh.country_codes])[mesh.country]
    a, b = place[mesh.edge_a], place[mesh.edge_b]
    pair = np.minimum(a, b) * len(codes) + np.maximum(a, b)
    sides_km = np.bincount(pair, weights=mesh.length_m / 1000, minlength=len(codes) ** 2)
    seen_km = _measure_seen(truth)
    rows = []
    for first in range(len(codes)):
        for second in range(first + 1, len(codes)):
            own = float(sides_km[first * len(codes) + second]) / HEXAGON_FACTOR
            seen = float(seen_km[first, second])
            if max(own, seen) < LEAST_CELLS * truth.spacing_m / 1000:
                continue
            full = _measure_full(truth, first, second)
            name = f"{codes[first]} - {codes[second]}"
            note = f"sides over 4 / pi; geodesic with all bends {full:,.0f} km"
            limit = BORDER_PERCENT + 100 * truth.spacing_m / 1000 / max(seen, 1e-9)
            rows.append(compare_numbers("border", name, "km", (own, seen), limit, note))
    return rows


def _measure_seen(truth: Truth) -> np.ndarray:
    """Kilometres of border between each two countries as needles of a cell's length see it, f8[C, C]."""
    grid, count = truth.grid, len(truth.ground.codes)
    lat = grid.north - (np.arange(grid.rows) + 0.5) * grid.dlat
    east_m, north_m = metres_per_degree(lat)
    wide, high = east_m * grid.dlon, north_m * grid.dlat
    total = np.zeros((count, count))
    reach = truth.spacing_m / float(high.mean())
    for turn in range(DIRECTIONS):
        angle = np.pi * turn / DIRECTIONS
        right, down = round(reach * np.cos(angle)), round(reach * np.sin(angle))
        upper = truth.country[: grid.rows - down]
        lower = truth.country[down:]
        here = upper[:, : grid.columns - right] if right >= 0 else upper[:, -right:]
        there = lower[:, right:] if right >= 0 else lower[:, : grid.columns + right]
        row, column = np.nonzero((here != there) & (here != OUTSIDE) & (there != OUTSIDE))
        one, other = here[row, column].astype(np.int64), there[row, column].astype(np.int64)
        needle = np.hypot(right * wide[row], down * high[row])
        key = np.minimum(one, other) * count + np.maximum(one, other)
        km = wide[row] * high[row] / needle / 1000
        total += np.bincount(key, weights=km, minlength=count**2).reshape(count, count)
    return total * (np.pi / 2) / DIRECTIONS


def _measure_full(truth: Truth, first: int, second: int) -> float:
    """Kilometres of the border between two countries with all its bends."""
    shape, other = truth.shapes[first], truth.shapes[second]
    step_deg = truth.spacing_m / PIECES_PER_CELL / 111_320
    dense = shapely.get_parts(shapely.segmentize(shapely.boundary(shape), step_deg))
    points, owner = shapely.get_coordinates(dense, return_index=True)
    same = owner[1:] == owner[:-1]
    start, stop = points[:-1][same], points[1:][same]
    shapely.prepare(other)
    near = shapely.dwithin(other, shapely.points((start + stop) / 2), 2 * step_deg)
    return float(measure_m(*start[near].T, *stop[near].T).sum()) / 1000
