"""Rivers between the centres of neighbouring cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numba import njit

from abatis.ground.gaps import measure_m
from abatis.ground.hexgrid import HexGrid, label_points
from abatis.ground.sources.vectors import VectorLayer

ASSUMED_WIDTH_M = 20.0


@dataclass(frozen=True)
class RiverLines:
    """Straight pieces of rivers, by river: `ends` f8[S, 4] lon, lat; `river` int64[S]; `width_m` f8[S]."""

    ends: np.ndarray
    river: np.ndarray
    width_m: np.ndarray


def split_rivers(layer: VectorLayer) -> tuple[RiverLines, int]:
    """Cut rivers into straight pieces; features of one name are one river.

    Parameters
    ----------
    layer : river lines; `values` are widths in metres.

    Returns
    -------
    The pieces, and how many features had no width (20 m is assumed).

    In words: unnamed features that touch at their ends belong together too, else a centre line that passes
    through the joint would seem to cross twice.
    """
    groups = _group_rivers(layer)
    order = np.argsort(groups, kind="stable")
    width = np.where(np.isnan(layer.values), ASSUMED_WIDTH_M, layer.values)[order]
    parts, part_of = shapely.get_parts(layer.geometry[order], return_index=True)
    coordinates, point_of = shapely.get_coordinates(parts, return_index=True)
    same = point_of[:-1] == point_of[1:]
    ends = np.column_stack([coordinates[:-1], coordinates[1:]])[same]
    feature = part_of[point_of[:-1][same]]
    lines = RiverLines(ends, groups[order][feature], width[feature])
    return lines, int(np.isnan(layer.values).sum())


def _group_rivers(layer: VectorLayer) -> np.ndarray:
    """Number the rivers: one number per name, unnamed features by shared end points."""
    parent = list(range(layer.count))

    def find(one: int) -> int:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    first: dict[object, int] = {}
    for index, (geometry, name) in enumerate(zip(layer.geometry, layer.names, strict=True)):
        keys: list[object] = [name] if name else []
        if not name:
            for part in shapely.get_parts(geometry):
                points = shapely.get_coordinates(part)
                keys += [tuple(np.round(points[0], 7)), tuple(np.round(points[-1], 7))]
        for key in keys:
            other = first.setdefault(key, index)
            low, high = sorted((find(other), find(index)))
            parent[high] = low
    return np.array([find(index) for index in range(layer.count)], dtype=np.int64)


@njit(cache=True)
def _cross_edges(
    ends: np.ndarray,
    river: np.ndarray,
    width: np.ndarray,
    sample_of: np.ndarray,
    sample_cell: np.ndarray,
    neighbor: np.ndarray,
    cell_edge: np.ndarray,
    edge_a: np.ndarray,
    edge_b: np.ndarray,
    lon: np.ndarray,
    lat: np.ndarray,
    river_m: np.ndarray,
) -> None:
    """Write the widest river that crosses each centre line an odd number of times."""
    edges = len(edge_a)
    last_piece = np.full(edges, -1, np.int64)
    odd = np.zeros(edges, np.uint8)
    widest = np.zeros(edges)
    touched = np.empty(edges, np.int64)
    count = 0
    for sample in range(len(sample_of) + 1):
        piece = sample_of[sample] if sample < len(sample_of) else -1
        if sample > 0 and (piece < 0 or river[piece] != river[sample_of[sample - 1]]):
            for k in range(count):
                edge = touched[k]
                if odd[edge] == 1 and widest[edge] > river_m[edge]:
                    river_m[edge] = widest[edge]
                odd[edge] = 0
                widest[edge] = 0.0
            count = 0
        if piece < 0 or sample_cell[sample] < 0:
            continue
        px, py, qx, qy = ends[piece]
        centre = sample_cell[sample]
        for turn in range(-1, 6):
            cell = centre if turn < 0 else neighbor[centre, turn]
            if cell < 0:
                continue
            for k in range(6):
                edge = cell_edge[cell, k]
                if edge < 0 or last_piece[edge] == piece:
                    continue
                last_piece[edge] = piece
                ax, ay = lon[edge_a[edge]], lat[edge_a[edge]]
                bx, by = lon[edge_b[edge]], lat[edge_b[edge]]
                side_p = (bx - ax) * (py - ay) - (by - ay) * (px - ax) > 0
                side_q = (bx - ax) * (qy - ay) - (by - ay) * (qx - ax) > 0
                if side_p == side_q:
                    continue
                side_a = (qx - px) * (ay - py) - (qy - py) * (ax - px) > 0
                side_b = (qx - px) * (by - py) - (qy - py) * (bx - px) > 0
                if side_a == side_b:
                    continue
                if widest[edge] == 0.0:
                    touched[count] = edge
                    count += 1
                odd[edge] ^= 1
                widest[edge] = max(widest[edge], width[piece])


def compute_river_widths(
    lines: RiverLines,
    grid: HexGrid,
    neighbor: np.ndarray,
    cell_edge: np.ndarray,
    edge_a: np.ndarray,
    edge_b: np.ndarray,
    spacing_m: float,
) -> np.ndarray:
    """Return river_m f8[E]: width of the widest river between the two centres of each edge, 0 for none.

    Parameters
    ----------
    lines : pieces of rivers.
    grid, neighbor, cell_edge, edge_a, edge_b : cells and edges of the mesh.
    spacing_m : distance between neighbouring centres; pieces are looked at every third of it.

    In words: a river separates two cells when it crosses the straight line between their centres an odd
    number of
    times; a bend that comes and goes back does not. Every way across the river must use such an edge.
    """
    river_m = np.zeros(len(edge_a))
    if len(lines.ends) == 0:
        return river_m
    x0, y0, x1, y1 = lines.ends.T
    steps = np.maximum(1, np.ceil(measure_m(x0, y0, x1, y1) / (spacing_m / 3)).astype(np.int64))
    sample_of = np.repeat(np.arange(len(steps)), steps + 1)
    start = np.repeat(np.cumsum(steps + 1) - (steps + 1), steps + 1)
    share = (np.arange(len(sample_of)) - start) / steps[sample_of]
    lon = x0[sample_of] + share * (x1 - x0)[sample_of]
    lat = y0[sample_of] + share * (y1 - y0)[sample_of]
    # Pieces just outside the rim still touch centre lines of rim cells only when a sample falls inside.
    sample_cell = label_points(grid, lon, lat)
    _cross_edges(
        lines.ends, lines.river, np.maximum(lines.width_m, 1e-6), sample_of, sample_cell, neighbor, cell_edge,
        edge_a, edge_b, grid.lon, grid.lat, river_m,
    )  # fmt: skip
    return river_m
