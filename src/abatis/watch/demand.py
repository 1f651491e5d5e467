"""What is worth seeing: cells and kilometres of border, weighted by the approaches that may pass them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from abatis.ground.fronts import find_front_cells, find_objective_cell
from abatis.ground.speeds import compute_edge_times
from abatis.ground.travel import compute_times
from abatis.model.errors import Fault, InputError
from abatis.model.mesh import Mesh
from abatis.model.study import Study
from abatis.watch.border import BorderPieces

KM_PER_DEGREE = 111.32
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Demand:
    """Weights of A approaches: `cell` float64[A, N] and `border` float64[A, B].

    Each row of an approach that has any sums to the approach's weight; `keys`, `names` of the approaches.
    """

    keys: tuple[str, ...]
    names: tuple[str, ...]
    weight: np.ndarray
    cell: np.ndarray
    border: np.ndarray


def weigh_places(
    study: Study, mesh: Mesh, pieces: BorderPieces, tolerance: float, progress: Progress
) -> Demand:
    """Weigh cells of home ground and pieces of the border by the approaches.

    Parameters
    ----------
    study, mesh : approaches, vehicles, speeds.
    pieces : pieces of the border.
    tolerance : routes slower than the fastest by this share or more do not count.
    progress : callback (stage, share done).

    Formula: near(c) = max(0, 1 - (F(c) + R(c) - F*) / (tolerance F*)), cell weight ~ near(c) R(c) / F*,
    with F(c) hours from the front to c, R(c) from c to the objective, F* hours of the fastest route; for
    border cells near(s) = max(0, 1 - (R(s) - F*) / (tolerance F*)).
    In words: a cell counts by how little longer the best route over it is, and by the share of the way that
    is still ahead: seen early is worth more. A kilometre of border counts by the fastest route that starts at
    the front cell next to it. Both are scaled so that every approach keeps its own weight.

    Raises
    ------
    InputError : every approach that cannot reach its objective, or starts at no front.
    """
    table = study.tables["approaches"]
    home = mesh.mask_countries(study.home)
    cell = np.zeros((len(table), mesh.cell_count))
    border = np.zeros((len(table), pieces.count))
    known: dict[tuple[str, str], np.ndarray] = {}
    faults: list[Fault] = []
    for number, (row, approach) in enumerate(table.iterrows()):
        progress("routes of the approaches", number / len(table))
        group = (str(approach["vehicle"]), str(approach["season"]))
        if group not in known:
            known[group] = compute_edge_times(study, mesh, *group).time_h
        sources = find_front_cells(study, mesh, str(approach["front"]))
        target = find_objective_cell(study, mesh, str(approach["objective"]))
        rest_h = compute_times(mesh, known[group], np.array([target]))
        best_h = float(rest_h[sources].min())
        if not math.isfinite(best_h):
            text = f"approach '{approach['approach']}' cannot reach its objective"
            remedy = "check front, objective, vehicle and season"
            faults.append(Fault(text, "tables/approaches.csv", int(str(row)), "approach", remedy))
            continue
        past_h = compute_times(mesh, known[group], sources)
        near = measure_nearness(past_h + rest_h, best_h, tolerance)
        with np.errstate(invalid="ignore"):
            ahead = np.where(near > 0, np.minimum(rest_h / max(best_h, 1e-9), 1.0), 0.0)
        cell[number] = scale_row(np.where(home, near * ahead, 0.0), float(approach["weight"]))
        starts = measure_nearness(rest_h[sources], best_h, tolerance)
        shares = _spread_starts(mesh, sources, starts, pieces)
        border[number] = scale_row(shares * pieces.length_km, float(approach["weight"]))
    if faults:
        raise InputError(faults)
    progress("routes of the approaches", 1.0)
    weight = table["weight"].to_numpy(float)
    return Demand(tuple(table["approach"]), tuple(table["name"]), weight, cell, border)


def measure_nearness(route_h: np.ndarray, best_h: float, tolerance: float) -> np.ndarray:
    """How near routes come to the fastest: 1 the fastest, 0 slower by `tolerance` or more; float64[].

    Examples
    --------
    >>> measure_nearness(np.array([4.0, 4.5, 5.0, np.inf]), 4.0, 0.25).tolist()
    [1.0, 0.5, 0.0, 0.0]
    """
    slack_h = tolerance * max(best_h, 1e-9)
    return np.asarray(np.clip(1.0 - (route_h - best_h) / slack_h, 0.0, 1.0))


def scale_row(values: np.ndarray, total: float) -> np.ndarray:
    """Scale values so that they sum to `total`; all zero when there is nothing to scale.

    Examples
    --------
    >>> scale_row(np.array([1.0, 3.0]), 2.0).tolist()
    [0.5, 1.5]
    """
    found = float(values.sum())
    return np.asarray(values * (total / found) if found > 0 else np.zeros_like(values))


def _spread_starts(mesh: Mesh, sources: np.ndarray, starts: np.ndarray, pieces: BorderPieces) -> np.ndarray:
    """Nearness of the front cell next to each piece, float64[B]; 0 where the front is not near."""
    if pieces.count == 0:
        return np.zeros(0)
    east = math.cos(math.radians(float(np.mean(mesh.lat[sources]))))
    front = np.column_stack([mesh.lon[sources] * east, mesh.lat[sources]]) * KM_PER_DEGREE
    middle = np.column_stack([pieces.lon * east, pieces.lat]) * KM_PER_DEGREE
    away_km, nearest = cKDTree(front).query(middle)
    reach_km = 2.0 * math.sqrt(float(np.max(mesh.area_km2[sources])))
    return np.where(away_km <= reach_km, starts[nearest], 0.0)
