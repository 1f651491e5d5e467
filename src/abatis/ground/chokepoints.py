"""Chokepoints: the cells and bridges that most shortest routes from a front to an objective need."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from abatis.ground import _betweenness as kernel
from abatis.ground.avenues import mark_near
from abatis.ground.travel import LEAST_TIME_H, check_cells, compute_times
from abatis.model.errors import Fault, InputError
from abatis.model.mesh import Mesh

TIME_STEP_H = 2.0**-30
"""Times are rounded to this step (3.4 microseconds): sums of them are then exact, and so are ties."""

SHARE_GRAIN = 1e-9
SAME_SHARE = 0.05


@dataclass(frozen=True)
class Betweenness:
    """Shares of shortest routes: `cell` float64[N], `edge` float64[E], both 0 to 1."""

    cell: np.ndarray
    edge: np.ndarray


@dataclass(frozen=True)
class Chokepoint:
    """A place that many routes need: a cell, or the edge of a bridge (`edge` is -1 for a cell)."""

    cell: int
    edge: int
    share: float


def compute_betweenness(mesh: Mesh, time_h: np.ndarray, sources: np.ndarray, target: int) -> Betweenness:
    """Return the share of shortest routes from the sources to the target through every cell and edge.

    Parameters
    ----------
    time_h : float64[E], hours per edge; inf closes an edge.
    sources : rows of the cells of the front; those without a way are left out.
    target : row of the objective's cell.

    Formula: share(x) = mean over sources s of routes(s, target, through x) / routes(s, target), where
    routes() counts the shortest routes.
    In words: every front cell counts the same; where several ways tie for the shortest, each of them counts
    the same. A route passes its first and last cell, so the objective has share 1. Exact: edge times are
    rounded to `TIME_STEP_H` first, so all sums and ties are exact; routes are counted as integers (with 53
    binary digits when there are more than 2^53). After the search the work is O(N).

    Raises
    ------
    InputError : cells outside the mesh, times that are not positive, or no way at all.
    """
    sources = np.unique(check_cells(sources, mesh.cell_count, "sources"))
    time_h = round_times(time_h)
    times = compute_times(mesh, time_h, np.array([target]))
    starts = sources[np.isfinite(times[sources])]
    if starts.size == 0:
        raise InputError([Fault("no way leads from the sources to the target", column="target")])
    order = np.empty(mesh.cell_count, np.int32)
    mantissa = np.empty(mesh.cell_count)
    exponent = np.empty(mesh.cell_count, np.int64)
    ways = (mesh.neighbor, mesh.edge, time_h, times)
    count = kernel.count_routes(*ways, order, mantissa, exponent)
    found = Betweenness(np.zeros(mesh.cell_count), np.zeros(mesh.edge_count))
    found.cell[starts] = 1.0 / starts.size
    kernel.carry_shares(*ways, order[:count], mantissa, exponent, found.cell, found.edge)
    return found


def round_times(time_h: np.ndarray) -> np.ndarray:
    """Return the times as multiples of `TIME_STEP_H`, so that sums of them carry no rounding.

    Examples
    --------
    >>> sixth = round_times(np.array([0.1, 0.2, 0.3]))
    >>> bool(abs(sixth[0] - 0.1) < TIME_STEP_H), bool((sixth / TIME_STEP_H % 1 == 0).all())
    (True, True)
    """
    steps = np.asarray(time_h, dtype=np.float64) / TIME_STEP_H
    return np.maximum(np.round(steps), np.ceil(LEAST_TIME_H / TIME_STEP_H)) * TIME_STEP_H


def add_betweenness(found: Sequence[Betweenness], weights: Sequence[float]) -> Betweenness:
    """Return the mean of shares over approaches by their weights.

    Examples
    --------
    >>> one, two = (Betweenness(np.array([value]), np.array([value])) for value in (1.0, 0.2))
    >>> add_betweenness([one, two], [3.0, 1.0]).cell.tolist()
    [0.8]
    """
    parts = np.asarray(weights, dtype=np.float64) / math.fsum(weights)
    cell = sum((part * one.cell for part, one in zip(parts, found, strict=True)), np.zeros(1))
    edge = sum((part * one.edge for part, one in zip(parts, found, strict=True)), np.zeros(1))
    return Betweenness(np.asarray(cell), np.asarray(edge))


def pick_chokepoints(
    mesh: Mesh,
    share: Betweenness,
    ends: np.ndarray,
    cells: int,
    bridges: int,
    apart_km: float = 5.0,
) -> tuple[Chokepoint, ...]:
    """Pick the cells and the bridges with the highest shares.

    Parameters
    ----------
    share : shares over all approaches.
    ends : rows of the front cells and objectives; no cell within `apart_km` of them is picked.
    cells, bridges : how many of each at most.
    apart_km : no two picked cells lie within it of each other; bridges may.

    In words: beside an objective or a front everything is needed by those who go there, which says nothing
    about the ground between. A picked cell stands for its stretch, the cells joined to it by cells whose
    shares lie within `SAME_SHARE` of its own; of cells with the same share, the one with the narrowest ways
    in and out is picked, then the lowest row.
    """
    near_ends = mark_near(mesh, np.unique(ends), apart_km)
    free = ~near_ends & (share.cell > SHARE_GRAIN)
    rows = np.flatnonzero(free)
    width = np.where(mesh.edge >= 0, mesh.gap_m[mesh.edge], 0.0).sum(axis=1)
    order = rows[np.lexsort((rows, width[rows], -np.round(share.cell[rows], 9)))]
    picked: list[Chokepoint] = []
    for cell in order.tolist():
        if len(picked) == cells:
            break
        if free[cell]:
            picked.append(Chokepoint(cell, -1, float(share.cell[cell])))
            free &= ~mark_near(mesh, np.array([cell]), apart_km)
            free[_list_stretch(mesh, share.cell, cell)] = False
    crossed = np.flatnonzero((mesh.bridge_m > 0) & (share.edge > SHARE_GRAIN))
    for edge in crossed[np.lexsort((crossed, -np.round(share.edge[crossed], 9)))][:bridges].tolist():
        picked.append(Chokepoint(int(mesh.edge_a[edge]), edge, float(share.edge[edge])))
    return tuple(picked)


def _list_stretch(mesh: Mesh, share: np.ndarray, cell: int) -> list[int]:
    """Return the cells joined to a cell by cells with nearly its share."""
    low, high = (1.0 - SAME_SHARE) * share[cell], (1.0 + SAME_SHARE) * share[cell]
    found, waiting = {cell}, [cell]
    while waiting:
        for other in mesh.neighbor[waiting.pop()].tolist():
            if other >= 0 and other not in found and low <= share[other] <= high:
                found.add(other)
                waiting.append(other)
    return sorted(found)
