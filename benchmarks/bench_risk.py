"""Risk draws on the embedded study, eight approaches: ours against full runs with scipy's Dijkstra."""

from __future__ import annotations

import json
import os
import tempfile
import time
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
from abatis.model.study import Study, read_study
from abatis.programme.drawn_ground import GroundTimes
from abatis.programme.drawn_works import DatedPlan
from abatis.programme.risk import RiskCase, draw_delays, make_draws, prepare_case, run_draws, snap_delays
from abatis.programme.robust import RobustSettings, make_scenarios, solve_robust
from abatis.show.new import write_new_study

DRAWS, APPROACHES, SAMPLE = 1000, 8, 15
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


def run_scipy(mesh: Mesh, siting: Siting, case: RiskCase, count: int) -> tuple[float, np.ndarray]:
    """Run some draws in full; return seconds per draw and the hours [count, K].

    Edge times of drawn speeds come from our own compiled kernel: the peer is scipy's search, not slow tables.
    """
    problem, works = siting.problem, case.works
    draws = make_draws(case, 1, 0, count)
    delay_h = draw_delays(case.inputs, works, draws, case.plan_watched)[0]
    # In the year of completion a measure has the first share of its growth.
    delay_h = snap_delays(delay_h * works.pair_growth[:, 0])
    padded = np.column_stack([delay_h, np.zeros(count)])
    hours = np.empty((count, problem.approach_count))
    start = time.perf_counter()
    for draw in range(count):
        open_delay = np.bincount(works.edge, padded[draw, works.edge_open], minlength=mesh.edge_count)
        road_delay = np.bincount(works.edge, padded[draw, works.edge_road], minlength=mesh.edge_count)
        for k in range(problem.approach_count):
            open_h, road_h = _find_times(case, problem, draws.values[draw], k)
            time_h = np.minimum(open_h + open_delay, road_h + road_delay)
            kept = np.isfinite(time_h)
            ends = (mesh.edge_a[kept], mesh.edge_b[kept])
            graph = sparse.csr_matrix((time_h[kept], ends), shape=(mesh.cell_count,) * 2)
            reached = dijkstra(graph, directed=False, indices=int(problem.approach_targets[k][0]))
            hours[draw, k] = reached[problem.approach_sources[k]].min()
    return (time.perf_counter() - start) / count, hours


def _find_times(case: RiskCase, problem: Any, values: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
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


def time_draws(case: RiskCase, count: int, workers: int = 1) -> tuple[float, np.ndarray]:
    """Run our draws; return seconds and the hours [count, K]."""
    start = time.perf_counter()
    outcome = run_draws(case, 1, count, workers)
    return time.perf_counter() - start, outcome.hours[0, :, 0]


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
        study, mesh, siting, plan = make_case(Path(temporary) / "study")
        rows = []
        for with_speeds, name, least, most in (
            (False, "delay and cost", 20, 60),
            (True, "speeds too", 4, 300),
        ):
            # Compiled before the clock runs.
            run_draws(prepare_case(study, mesh, siting, [plan], YEAR, with_speeds), 1, 2)
            start = time.perf_counter()
            case = stop_lateness(prepare_case(study, mesh, siting, [plan], YEAR, with_speeds))
            made = time.perf_counter() - start
            one, hours = time_draws(case, DRAWS)
            full, expected = run_scipy(mesh, siting, case, SAMPLE)
            worst = float(np.abs(hours[:SAMPLE] / expected - 1).max())
            note = (
                f"{DRAWS} draws, {APPROACHES} approaches, {mesh.cell_count} cells, {len(plan.options)} "
                f"options; one process, {made:.1f} s of it to lay out; peer: mean of {SAMPLE} full runs x "
                f"{DRAWS}; "
                f"largest relative difference {worst:.1e}; load {os.getloadavg()[0]:.1f}"
            )
            rows.append(make_row(f"risk, {name}", made + one, DRAWS * full, f"ratio >= {least}", note))
            rows.append(make_row(f"risk, {name}, seconds", made + one, None, f"ours <= {most}", ""))
            years = np.arange(2026, 2036)
            spread = replace(plan, finish_year=np.resize(years, len(plan.options)))
            spread = replace(spread, start_year=spread.finish_year)
            count = 60 if with_speeds else 300
            ten, _ = time_draws(prepare_case(study, mesh, siting, [spread], years, with_speeds), count)
            rows.append(make_row(f"risk, {name}, ten years", 1e3 * ten / count, None, "as small as possible",
                                 f"per draw, mean of {count}", "ms"))  # fmt: skip
        two, twice = time_draws(case, DRAWS, workers=2)
        same = "same bytes" if twice.tobytes() == hours.tobytes() else "DIFFERENT BYTES"
        note = (
            f"{DRAWS} draws of speeds, start of the processes included; {same}; load {os.getloadavg()[0]:.1f}"
        )
        rows.append(make_row("risk, two workers", two, one, "ratio >= 1.7", note))
        rows.append(_measure_robust(study, mesh, siting, plan))
    return rows


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
