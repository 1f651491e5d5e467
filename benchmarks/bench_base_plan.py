"""What-if in the base plan of the embedded example: every site switched on or off, all approaches."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from abatis.barrier.certificate import add_delays
from abatis.barrier.sites import site_study
from abatis.barrier.solve import solve_problem
from abatis.examples.lithuania import write_example
from abatis.ground import _search as search
from abatis.ground.build import build_mesh
from abatis.ground.whatif import WhatIf, prepare_whatif, prepare_workspace
from abatis.model.plan import Problem
from abatis.model.study import read_study

BUDGET_EUR = 40e6


def run() -> list[dict[str, Any]]:
    """Measure the questions of site switches against full one-to-all runs."""
    with tempfile.TemporaryDirectory() as folder:
        study = read_study(write_example(Path(folder) / "lithuania"))
        mesh = build_mesh(study, None)
        problem = site_study(study, mesh, None).problem
    chosen = solve_problem(problem, BUDGET_EUR, gap=1.0, time_limit_s=20.0).chosen.tolist()
    workspace = prepare_workspace(mesh)
    present = [_time_edges(problem, k, chosen) for k in range(problem.approach_count)]
    plans = [
        prepare_whatif(
            mesh, hours, problem.approach_sources[k], int(problem.approach_targets[k][0]), workspace
        )
        for k, hours in enumerate(present)
    ]
    taken = set(problem.option_site[chosen].tolist())
    ours, full, worst = [], [], 0.0
    for site in range(len(problem.site_keys)):
        options = np.flatnonzero(problem.option_site == site).tolist()
        trial = [o for o in chosen if o not in options] if site in taken else [*chosen, options[0]]
        answers, seconds = _ask(problem, plans, options, trial)
        expected, again = _run_fully(mesh, problem, trial)
        ours.append(seconds)
        full.append(again)
        worst = max(worst, *(abs(a / b - 1) for a, b in zip(answers, expected, strict=True)))
    mine, other = float(np.median(ours)), float(np.median(full))
    return [
        {
            "name": f"what-if in the base plan, {mesh.cell_count} cells, {len(plans)} approaches",
            "ours": 1e3 * mine, "peer": 1e3 * other, "ratio": other / mine, "goal": "ratio >= 20",
            "unit": "ms",
            "note": f"median of all {len(ours)} sites, {len(taken)} of them built; mean ratio "
            f"{np.sum(full) / np.sum(ours):.0f}, slowest question {1e3 * max(ours):.1f} ms; largest "
            f"relative difference {worst:.1e}; "
            f"{plans[0].count_bytes() / mesh.cell_count:.0f} bytes per cell, approach",
        }
    ]  # fmt: skip


def _time_edges(problem: Problem, approach: int, chosen: list[int]) -> np.ndarray:
    """Crossing time of every edge for one approach under a plan."""
    group = problem.approach_group[approach]
    open_h, road_h = add_delays(problem, chosen)
    hours: np.ndarray = np.minimum(problem.open_h[group] + open_h, problem.road_h[group] + road_h)
    return hours


def _ask(
    problem: Problem, plans: list[WhatIf], options: list[int], trial: list[int]
) -> tuple[list[float], float]:
    """Arrival times when only the edges of one site change; only the questions are timed."""
    parts = [problem.option_edge[problem.option_start[o] : problem.option_start[o + 1]] for o in options]
    edges = np.unique(np.concatenate(parts))
    new = [_time_edges(problem, k, trial)[edges] for k in range(len(plans))]
    start = time.perf_counter()
    answers = [plan.query(edges, hours) for plan, hours in zip(plans, new, strict=True)]
    return answers, time.perf_counter() - start


def _run_fully(mesh: Any, problem: Problem, trial: list[int]) -> tuple[list[float], float]:
    """The same by one-to-all searches over the whole mesh."""
    times = np.empty(mesh.cell_count)
    expected, seconds = [], 0.0
    for k in range(problem.approach_count):
        hours = _time_edges(problem, k, trial)
        slot_h = search.gather_times(mesh.edge, hours)
        width = search.find_bucket_width(hours)
        start = time.perf_counter()
        search.search_all(mesh.neighbor, slot_h, problem.approach_targets[k][:1], np.inf, width, times)
        seconds += time.perf_counter() - start
        expected.append(float(times[problem.approach_sources[k]].min()))
    return expected, seconds


if __name__ == "__main__":
    for row in run():
        print(json.dumps(row))
