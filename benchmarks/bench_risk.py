"""Risk draws on the embedded study, eight approaches: ours against full runs with scipy's Dijkstra."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.csgraph import dijkstra

from abatis.barrier.sites import Siting, site_study
from abatis.barrier.solve import solve_problem
from abatis.ground.build import build_mesh
from abatis.model.mesh import Mesh
from abatis.model.plan import Problem
from abatis.model.study import Study, read_study
from abatis.programme.drawn_ground import GroundTimes
from abatis.programme.drawn_works import DatedPlan
from abatis.programme.risk import RiskCase, draw_delays, make_draws, prepare_case, run_draws, snap_delays
from abatis.programme.robust import RobustSettings, make_scenarios, solve_robust
from abatis.show.new import write_new_study

DRAWS, APPROACHES, SAMPLE, REPEATS = 1000, 8, 15, 5
YEAR = np.array([2035])
Case = tuple[Study, Mesh, Siting, DatedPlan]


def make_case(folder: Path) -> Case:
    """Build the embedded study with its first eight approaches and a plan for the counter-mobility line."""
    write_new_study(folder, "lithuania")
    study = read_study(folder)
    mesh = build_mesh(study)
    tables = dict(study.tables)
    tables["approaches"] = tables["approaches"].iloc[:APPROACHES]
    study = replace(study, tables=tables)
    siting = site_study(study, mesh)
    chosen = solve_problem(siting.problem, 112e6, 0.02, 15.0).chosen
    built = np.full(len(chosen), YEAR[0])
    watched = np.ones(len(chosen), bool)
    return study, mesh, siting, DatedPlan("base", chosen, built, built, 112e6, np.empty(0), watched)


def stop_lateness(case: RiskCase) -> RiskCase:
    """The case without lateness, so that every work stands in the one year that is measured."""
    quantities = tuple(
        replace(one, low=0.0, mode=0.0, high=0.0) if one.family in ("slip_years", "land_years") else one
        for one in case.inputs.quantities
    )
    return replace(case, inputs=replace(case.inputs, quantities=quantities))


def run_scipy(siting: Siting, mesh: Mesh, case: RiskCase, count: int) -> tuple[float, float, np.ndarray]:
    """Run some draws in full; return wall and CPU seconds per draw and the hours [count, K].

    The peer is scipy's search at its best: one graph is laid out once and only its times change; approaches
    of one vehicle, season and objective share a search. Edge times of drawn speeds come from our own kernel.
    """
    problem, works = siting.problem, case.works
    draws = make_draws(case, 1, 0, count)
    delay_h = draw_delays(case.inputs, works, draws, case.plan_watched)[0]
    # In the year of completion a measure has the first share of its growth.
    on_open, on_road = (snap_delays(delay_h * share[:, 0]) for share in works.pair_growth)
    none = np.zeros((count, 1))
    on_open, on_road = np.hstack([on_open, none]), np.hstack([on_road, none])
    ends = (np.append(mesh.edge_a, mesh.edge_b), np.append(mesh.edge_b, mesh.edge_a))
    number = np.tile(np.arange(1, mesh.edge_count + 1, dtype=float), 2)
    graph = sparse.csr_matrix((number, ends), shape=(mesh.cell_count,) * 2)
    edge_of = graph.data.astype(np.int64) - 1
    searches = list_searches(problem)
    hours = np.empty((count, problem.approach_count))
    wall, cpu = time.perf_counter(), time.process_time()
    for draw in range(count):
        open_delay = np.bincount(works.edge, on_open[draw, works.edge_open], minlength=mesh.edge_count)
        road_delay = np.bincount(works.edge, on_road[draw, works.edge_road], minlength=mesh.edge_count)
        for asked in searches:
            open_h, road_h = _find_times(case, problem, draws.values[draw], asked[0])
            graph.data = np.minimum(open_h + open_delay, road_h + road_delay)[edge_of]
            targets = problem.approach_targets[asked[0]]
            reached = dijkstra(graph, directed=True, indices=targets, min_only=True)
            for k in asked:
                hours[draw, k] = reached[problem.approach_sources[k]].min()
    return (time.perf_counter() - wall) / count, (time.process_time() - cpu) / count, hours


def list_searches(problem: Problem) -> list[list[int]]:
    """Approaches that one search from their objective answers."""
    found: dict[tuple[int, bytes], list[int]] = {}
    for k in range(problem.approach_count):
        key = (int(problem.approach_group[k]), np.asarray(problem.approach_targets[k]).tobytes())
        found.setdefault(key, []).append(k)
    return list(found.values())


def _find_times(
    case: RiskCase, problem: Problem, values: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    ground = case.arrivals
    if not isinstance(ground, GroundTimes):
        group = problem.approach_group[k]
        return problem.open_h[group], problem.road_h[group]
    use = ground.uses[ground.vehicles[k], ground.own_season[k]]
    slowness, road_h = ground.compute_ground(use, values)
    open_h = ground.distance_km / 2 * (slowness[ground.edge_a] + slowness[ground.edge_b])
    open_h = open_h / (6 / np.pi * (0.5 + (1 - np.cos(np.pi / 6)) / np.sqrt(3))) + use.crossing_h
    roads = np.full(len(open_h), np.inf)
    roads[ground.road_edge] = road_h
    return open_h, roads


class CountedThreads(ThreadPoolExecutor):
    """Threads that count the processor seconds of each."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self.seconds: dict[int, float] = {}

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Run one call and count its processor seconds."""
        return super().submit(self._count, fn, *args, **kwargs)

    def _count(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        begun = time.thread_time()
        try:
            return fn(*args, **kwargs)
        finally:
            mine = threading.get_ident()
            self.seconds[mine] = self.seconds.get(mine, 0.0) + time.thread_time() - begun


def time_draws(case: RiskCase, count: int, workers: int = 1) -> tuple[float, list[float], bytes, np.ndarray]:
    """Run our draws on threads; return seconds, processor seconds per worker, bytes, hours [count, K]."""
    with CountedThreads(workers) as pool:
        start = time.perf_counter()
        outcome = run_draws(case, 1, count, workers, pool)
        wall = time.perf_counter() - start
    return wall, sorted(pool.seconds.values()), outcome.hours.tobytes(), outcome.hours[0, :, 0]


def make_row(
    name: str, ours: float, peer: float | None, goal: str, note: str, unit: str = "s"
) -> dict[str, Any]:
    """One line of the table."""
    ratio = None if peer is None else round(peer / ours, 2)
    shown = None if peer is None else round(peer, 2)
    return {
        "name": name, "ours": round(ours, 2), "peer": shown, "ratio": ratio, "goal": goal, "unit": unit,
        "note": note,
    }  # fmt: skip


def run() -> list[dict[str, Any]]:
    """Measure draws of delay and cost, draws of speeds too, two workers, and a robust plan."""
    with tempfile.TemporaryDirectory() as temporary:
        made = make_case(Path(temporary) / "study")
        rows = []
        for with_speeds in (False, True):
            rows += measure_case(made, with_speeds, DRAWS)
        rows.append(_measure_robust(*made))
    return rows


def measure_case(made: Case, with_speeds: bool, draws: int) -> list[dict[str, Any]]:
    """Measure one kind of draws; figures of `draws` draws are stated for 1,000."""
    study, mesh, siting, plan = made
    name, least, most = ("speeds too", 4, 300) if with_speeds else ("delay and cost", 20, 60)
    # Compiled before the clock runs.
    run_draws(prepare_case(study, mesh, siting, [plan], YEAR, with_speeds), 1, 2)
    wall, cpu = time.perf_counter(), time.process_time()
    case = stop_lateness(prepare_case(study, mesh, siting, [plan], YEAR, with_speeds))
    laid_s, laid_cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    one_s, one_cpu_s, _, hours = time_draws(case, draws)
    sample = min(SAMPLE, draws)
    full_s, full_cpu_s, expected = run_scipy(siting, mesh, case, sample)
    worst = float(np.abs(hours[:sample] / expected - 1).max())
    scale = DRAWS / draws
    ours, ours_cpu = laid_s + scale * one_s, laid_cpu_s + scale * one_cpu_s[0]
    note = (
        f"{draws} draws, {APPROACHES} approaches, {mesh.cell_count} cells, {len(plan.options)} options; one "
        f"worker, {laid_s:.1f} s of it to lay out; peer: mean of {sample} full runs x {DRAWS}; in "
        f"processor seconds {ours_cpu:.1f} against {DRAWS * full_cpu_s:.0f}, "
        f"ratio {DRAWS * full_cpu_s / ours_cpu:.1f}; largest relative difference {worst:.1e}; "
        f"load {os.getloadavg()[0]:.1f}"
    )
    rows = [make_row(f"risk, {name}", ours, DRAWS * full_s, f"ratio >= {least}", note)]
    rows.append(make_row(f"risk, {name}, seconds", ours, None, f"ours <= {most}", ""))
    rows.append(_compare_workers(case, name, max(1, draws // REPEATS)))
    years = np.arange(2026, 2036)
    spread = replace(plan, finish_year=np.resize(years, len(plan.options)))
    spread = replace(spread, start_year=spread.finish_year)
    count = max(1, draws * (60 if with_speeds else 300) // 1000)
    ten_s = time_draws(prepare_case(study, mesh, siting, [spread], years, with_speeds), count)[0]
    row = make_row(f"risk, {name}, ten years", 1e3 * ten_s / count, None, "as small as possible",
                   f"per draw, mean of {count}", "ms")  # fmt: skip
    return [*rows, row]


def _compare_workers(case: RiskCase, name: str, draws: int) -> dict[str, Any]:
    """Run the same draws on one thread and on two, in turn; the row holds the run with the median ratio."""
    found = []
    for _ in range(REPEATS):
        one_s, one_cpu_s, one_bytes, _ = time_draws(case, draws)
        two_s, two_cpu_s, two_bytes, _ = time_draws(case, draws, 2)
        if two_bytes != one_bytes:
            raise AssertionError(f"{name}: two workers wrote other bytes than one")
        found.append((one_s / two_s, one_s, two_s, one_cpu_s[0], two_cpu_s))
    _, one_s, two_s, one_cpu, two_cpu_s = sorted(found)[REPEATS // 2]
    note = (
        f"{draws} draws on two threads, which need no start; median of {REPEATS}, ratios "
        f"{', '.join(f'{one[0]:.2f}' for one in found)}; same bytes; processor seconds of one worker "
        f"{one_cpu:.2f}, of each of two {' and '.join(f'{one:.2f}' for one in two_cpu_s)}; "
        f"load {os.getloadavg()[0]:.1f}"
    )
    return make_row(f"risk, {name}, two workers", two_s, one_s, "ratio >= 1.7", note)


def _measure_robust(study: Study, mesh: Mesh, siting: Siting, plan: DatedPlan) -> dict[str, Any]:
    problem, opened, road = make_scenarios(study, mesh, siting, 1, 10)
    answer = solve_robust(problem, opened, road, 112e6, RobustSettings(time_limit_s=40.0), [plan.options])
    nominal = solve_robust(problem, opened, road, 112e6, RobustSettings(time_limit_s=0.0), [plan.options])
    note = (
        f"10 scenarios, {problem.option_count} options, {answer.seconds:.0f} s: mean {answer.mean_h:.2f} h, "
        f"worst tenth {answer.worst_h:.2f} h (plan for likely delays {nominal.mean_h:.2f} and "
        f"{nominal.worst_h:.2f}); score {answer.score_h:.2f}, no plan over {answer.bound_h:.2f}; "
        f"{answer.paths} paths in {answer.rounds} rounds"
    )
    return make_row("robust plan, gap", 100 * answer.gap, None, "as small as possible", note, "%")


if __name__ == "__main__":
    for row in run():
        print(json.dumps(row))
