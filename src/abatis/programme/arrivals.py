"""Exact arrival times of drawn plans: on compressed graphs, or on the mesh when speeds are drawn too."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from abatis.barrier.compression import ApproachGraph
from abatis.barrier.network import build_network
from abatis.ground.speeds import compute_edge_times
from abatis.model.mesh import Mesh
from abatis.model.plan import Problem
from abatis.model.study import Study
from abatis.model.words import SEASONS
from abatis.programme import _kernels as kernel
from abatis.programme.drawn_works import Works, restrict_problem

OWN_SEASON = -1


class Arrivals(Protocol):
    """Measures arrival times of D draws."""

    def measure(
        self,
        values: np.ndarray,
        seasons: np.ndarray | None,
        pair_delay_h: np.ndarray,
        pair_year: np.ndarray,
    ) -> np.ndarray:
        """Return hours float64[plans, D, Y, K].

        Parameters
        ----------
        values : drawn inputs [D, Q].
        seasons : drawn season [D], None when every approach keeps its own.
        pair_delay_h : drawn delays, per plan [plans, D, P].
        pair_year : first year row in which a work holds, per plan [plans, D, P]; Y when never.
        """
        ...


@dataclass(frozen=True)
class GraphTimes:
    """Arrival times where only the works change: one compressed graph per approach and season.

    `graphs` by (approach, season row, -1 for its own). Edges that no work touches never change between
    draws, so the compression, made with the longest delay any draw can give, is exact for every draw.
    """

    years: int
    approaches: int
    graphs: dict[tuple[int, int], ApproachGraph]
    entry_start: np.ndarray
    entry_pair: np.ndarray
    entry_growth: np.ndarray
    growth: np.ndarray

    def measure(
        self,
        values: np.ndarray,
        seasons: np.ndarray | None,
        pair_delay_h: np.ndarray,
        pair_year: np.ndarray,
    ) -> np.ndarray:
        """Return hours float64[plans, D, Y, K]; see `Arrivals`."""
        plans, draws = pair_year.shape[0], len(values)
        hours = np.empty((plans, self.approaches, draws, self.years))
        for (approach, season), graph in self.graphs.items():
            rows = np.arange(draws) if seasons is None else np.flatnonzero(seasons == season)
            for plan in range(plans):
                kernel.measure_years(
                    graph.start, graph.head, graph.base_h, graph.candidate, graph.guide_h, graph.source,
                    graph.target, self.entry_start, self.entry_pair, self.entry_growth, rows,
                    pair_delay_h[plan], pair_year[plan], self.growth, hours[plan, approach],
                )  # fmt: skip
        return np.ascontiguousarray(hours.transpose(0, 2, 3, 1))


def prepare_graphs(
    study: Study,
    mesh: Mesh,
    problem: Problem,
    works: Works,
    longest_delay_h: np.ndarray,
    seasons: tuple[str, ...],
    years: int,
) -> GraphTimes:
    """Compress the ground once for all draws.

    Parameters
    ----------
    problem : the problem of the study.
    works : what the plans build.
    longest_delay_h : greatest delay any draw can give each pair, hours [P].
    seasons : seasons that may be drawn; empty when approaches keep their own.
    years : number of years.
    """
    spread, keys = spread_seasons(study, mesh, problem, seasons)
    network = build_network(restrict_problem(spread, works, longest_delay_h))
    owner = np.repeat(np.arange(len(works.options)), np.diff(works.start))
    pair_of: dict[tuple[int, int, int], int] = {}
    for option, edge, opened, road in zip(owner, works.edge, works.edge_open, works.edge_road, strict=True):
        pair_of[int(option), int(edge), 0] = int(opened)
        pair_of[int(option), int(edge), 1] = int(road)
    of_candidate = np.repeat(np.arange(len(network.candidate_edge)), np.diff(network.candidate_start))
    mode = np.asarray(network.candidate_mode, np.int64)[of_candidate]
    pairs = [
        pair_of[int(option), int(network.candidate_edge[c]), int(on_road)]
        for c, option, on_road in zip(of_candidate, network.candidate_option, mode, strict=True)
    ]
    entry_pair = np.array(pairs, np.int64)
    count = works.pair_growth.shape[1]
    return GraphTimes(
        years,
        problem.approach_count,
        dict(zip(keys, network.graphs, strict=True)),
        np.asarray(network.candidate_start, np.int64),
        entry_pair,
        entry_pair + count * mode,
        works.pair_growth.reshape(2 * count, -1),
    )


def spread_seasons(
    study: Study, mesh: Mesh, problem: Problem, seasons: tuple[str, ...]
) -> tuple[Problem, list[tuple[int, int]]]:
    """Give every approach a twin in each season; return the problem and (approach, season row) of each.

    With no seasons the problem stays as it is and the season row is -1: its own.
    """
    if not seasons:
        return problem, [(k, OWN_SEASON) for k in range(problem.approach_count)]
    table = study.tables["approaches"]
    uses = [(str(v), s) for v in table["vehicle"] for s in seasons]
    groups = sorted(set(uses))
    times = [compute_edge_times(study, mesh, vehicle, season) for vehicle, season in groups]
    rows = np.repeat(np.arange(problem.approach_count), len(seasons))
    spread = replace(
        problem,
        open_h=np.array([one.open_h for one in times]),
        road_h=np.array([one.road_h for one in times]),
        approach_keys=tuple(
            f"{problem.approach_keys[k]}_{use[1]}" for k, use in zip(rows, uses, strict=True)
        ),
        approach_names=tuple(problem.approach_names[k] for k in rows),
        approach_group=np.array([groups.index(use) for use in uses], np.int32),
        approach_weight=problem.approach_weight[rows] / len(seasons),
        approach_sources=tuple(problem.approach_sources[k] for k in rows),
        approach_targets=tuple(problem.approach_targets[k] for k in rows),
    )
    return spread, [(int(k), SEASONS.index(use[1])) for k, use in zip(rows, uses, strict=True)]
