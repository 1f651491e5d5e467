"""What it takes to close edges and what closing them does: cheapest ways, delays, arrival times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from abatis.barrier.options import Way, measure_work, read_ways
from abatis.ground.fronts import find_front_cells, find_objective_cell
from abatis.ground.speeds import compute_edge_times
from abatis.ground.travel import EdgeTimes, compute_times
from abatis.model.errors import Fault, InputError
from abatis.model.mesh import Mesh
from abatis.model.study import Study
from abatis.model.words import COVER_WORDS

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Closures:
    """The cheapest way to close each edge: its row in `ways` int16[E] (-1 none), `cost_eur` float64[E].

    `open_h`, `road_h` float64[E]: hours it adds to crossing the edge across country and by road; inf where no
    way closes the edge, 0 where nature does.
    """

    ways: tuple[Way, ...]
    way: np.ndarray
    cost_eur: np.ndarray
    open_h: np.ndarray
    road_h: np.ndarray


@dataclass(frozen=True)
class Run:
    """One approach ready to be timed: `sources` and `targets` int32[], edge times, weight share."""

    key: str
    name: str
    weight: float
    times: EdgeTimes
    sources: np.ndarray
    targets: np.ndarray


def choose_closures(study: Study, mesh: Mesh) -> Closures:
    """Choose for every edge the cheapest option that closes it, as `compute_closing_cost` does.

    Formula: cost = min over options of gap_m / 1000 x unit cost of the open measure + that of the road or
    bridge measure; delays are those of the measures so chosen.
    In words: of two options that cost the same the earlier row of tables/options.csv is taken.
    """
    edges = np.arange(mesh.edge_count)
    ways = read_ways(study)
    natural = (mesh.gap_m == 0) & (mesh.road_class < 0)
    best = np.where(natural, 0.0, np.inf)
    chosen = np.full(mesh.edge_count, -1, np.int16)
    open_h, road_h = np.where(natural, 0.0, np.inf), np.where(natural, 0.0, np.inf)
    for number, way in enumerate(ways):
        if way.sites == "crossing":
            continue
        work = measure_work(mesh, edges, way)
        cost, delay_open, delay_road = np.zeros((3, mesh.edge_count))
        for amount, measure, delay in (
            (work.open_km, way.open, delay_open),
            (work.road, way.road, delay_road),
            (work.bridge, way.bridge, delay_road),
        ):
            used = amount > 0
            cost[used] += np.inf if measure is None else amount[used] * measure.unit_cost_eur
            delay[used] = 0.0 if measure is None else measure.delay_h
        if way.cover:
            cost[share_cover(mesh, way.cover) < 0.5] = np.inf
        better = cost < best
        best[better], chosen[better] = cost[better], number
        open_h[better], road_h[better] = delay_open[better], delay_road[better]
    return Closures(ways, chosen, best, open_h, road_h)


def share_cover(mesh: Mesh, words: tuple[str, ...]) -> np.ndarray:
    """Return float64[E], the mean share of some cover words in the two cells of each edge."""
    columns = [COVER_WORDS.index(word) for word in words]
    share = mesh.cover[:, columns].sum(axis=1, dtype=np.float64)
    return np.asarray((share[mesh.edge_a] + share[mesh.edge_b]) / 2.0)


def list_runs(study: Study, mesh: Mesh) -> tuple[Run, ...]:
    """Return every approach of the study with its cells and edge times.

    Raises
    ------
    InputError : fronts or objectives outside the mesh, all at once.
    """
    approaches = study.tables["approaches"]
    pairs = approaches[["vehicle", "season"]].drop_duplicates()
    times = {(v, s): compute_edge_times(study, mesh, v, s) for v, s in pairs.itertuples(index=False)}
    runs, faults = [], dict[Fault, None]()
    for _, row in approaches.iterrows():
        try:
            sources = np.asarray(find_front_cells(study, mesh, row["front"]), np.int32)
            target = np.array([find_objective_cell(study, mesh, row["objective"])], np.int32)
        except InputError as error:
            faults |= dict.fromkeys(error.faults)
            continue
        weight = float(row["weight"]) / float(approaches["weight"].sum())
        pair = times[row["vehicle"], row["season"]]
        runs.append(Run(str(row["approach"]), str(row["name"]), weight, pair, sources, target))
    if faults:
        raise InputError(list(faults))
    return tuple(runs)


def delay_times(run: Run, closures: Closures, closed: np.ndarray) -> np.ndarray:
    """Return float64[E], hours per edge of an approach when the edges `closed` bool[E] are closed.

    Formula: min(open_h + delay of the open measure, road_h + delay of the road or bridge measure).
    """
    slow = np.minimum(
        run.times.open_h[closed] + closures.open_h[closed], run.times.road_h[closed] + closures.road_h[closed]
    )
    hours = run.times.time_h.copy()
    hours[closed] = slow
    return hours


def time_arrival(mesh: Mesh, run: Run, time_h: np.ndarray) -> float:
    """Least hours of an approach from its front to its objective, for hours per edge float64[E]."""
    return float(compute_times(mesh, time_h, run.targets)[run.sources].min())
