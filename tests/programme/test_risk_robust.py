"""Robust plans against every choice of small problems, by plain searches."""

import importlib.util
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from abatis.model.errors import InfeasibleError, InputError
from abatis.programme.outlook import compute_worst_mean
from abatis.programme.robust import RobustSettings, make_scenarios, solve_robust

_FILE = Path(__file__).resolve().parents[1] / "barrier" / "problems.py"
_SPEC = importlib.util.spec_from_file_location("risk_problems", _FILE)
problems = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(problems)

SCENARIOS = 4


def draw_scenarios(problem, seed):
    """Delays of each scenario: the problem's, each entry shrunk or stretched, some gone."""
    random = np.random.default_rng(seed)
    shape = (SCENARIOS, len(problem.option_edge))
    factor = random.uniform(0.2, 2.0, shape) * (random.random(shape) > 0.2)
    return problem.option_open_h * factor, problem.option_road_h * factor


def score_all(problem, opened, road, budget_eur, weight, share):
    """The best score over every allowed choice, or None."""
    choices = problems.list_choices(problem)
    fit = choices @ problem.option_cost_eur <= budget_eur + 1e-9
    for rule in problem.rules:
        fit &= choices[:, rule.options] @ rule.coefficients <= rule.limit + 1e-9
    values = []
    for s in range(len(opened)):
        times = problems.measure_choices(
            replace(problem, option_open_h=opened[s], option_road_h=road[s]), choices[fit]
        )
        for k, hours in problem.least_hours.items():
            times[times[:, k] < hours - 1e-9] = -np.inf
        values.append(
            times.min(axis=1) if problem.objective == "minimum" else times @ problem.approach_weight
        )
    values = np.array(values)
    kept = np.isfinite(values).all(axis=0)
    scores = [
        (1 - weight) * values[:, c].mean() + weight * compute_worst_mean(values[:, c], share)
        for c in np.flatnonzero(kept)
    ]
    return max(scores) if scores else None


@pytest.mark.parametrize("seed", range(30))
def test_robust_plan_is_the_best_of_all(seed):
    problem, budget = problems.draw_study(seed)
    opened, road = draw_scenarios(problem, seed)
    weight, share = (0.0, 0.5, 1.0)[seed % 3], (0.25, 0.4)[seed % 2]
    settings = RobustSettings(weight, share, gap=0.0, time_limit_s=30.0)
    best = score_all(problem, opened, road, budget, weight, share)
    if best is None:
        with pytest.raises(InfeasibleError):
            solve_robust(problem, opened, road, budget, settings)
        return
    answer = solve_robust(problem, opened, road, budget, settings)
    assert answer.score_h == pytest.approx(best, rel=1e-6, abs=1e-6)
    assert answer.bound_h >= best - 1e-6
    assert answer.gap <= 1e-4
    assert answer.cost_eur <= budget
    assert answer.score_h == pytest.approx((1 - weight) * answer.mean_h + weight * answer.worst_h)


def test_the_bound_holds_when_time_runs_out():
    problem, _ = problems.draw_study(12)
    opened, road = draw_scenarios(problem, 12)
    answer = solve_robust(problem, opened, road, 12.0, RobustSettings(time_limit_s=0.0))
    assert answer.bound_h >= score_all(problem, opened, road, 12.0, 0.5, 0.1) - 1e-6


def test_a_plan_to_begin_with_is_never_lost():
    problem, _ = problems.draw_study(12)
    opened, road = draw_scenarios(problem, 12)
    full = solve_robust(problem, opened, road, 12.0, RobustSettings(gap=0.0))
    begun = solve_robust(problem, opened, road, 12.0, RobustSettings(time_limit_s=0.0), start=[full.chosen])
    assert begun.score_h >= full.score_h - 1e-9


def test_minding_the_worst_share_raises_it():
    """Best on average and best in the worst share are two plans; each wins at its own."""
    for seed in range(40):
        problem, _ = problems.draw_study(seed)
        if problem.rules or problem.least_hours:
            continue
        opened, road = draw_scenarios(problem, seed)
        mean, worst = (
            solve_robust(problem, opened, road, 9.0, RobustSettings(weight, 0.25, gap=0.0))
            for weight in (0.0, 1.0)
        )
        assert mean.mean_h >= worst.mean_h - 1e-6
        assert worst.worst_h >= mean.worst_h - 1e-6


def test_faults_are_named_together():
    problem, _ = problems.draw_study(2)
    opened, road = draw_scenarios(problem, 2)
    with pytest.raises(InputError) as caught:
        solve_robust(problem, opened, road[:, 1:], -1.0, RobustSettings(worst_weight=2, worst_share=0))
    assert {one.column for one in caught.value.faults} == {
        "scenario_road_h", "worst_weight", "worst_share", "budget",
    }  # fmt: skip
    with pytest.raises(InputError):
        solve_robust(problem, opened[:0], road[:0], 1.0)
    with pytest.raises(InputError, match="budget: is inf"):
        solve_robust(problem, opened, road, math.inf)


def test_scenarios_of_a_study(tmp_path):
    from abatis.barrier.sites import site_study
    from abatis.show.cli import main
    from abatis.show.workflow import load_study

    folder = tmp_path / "study"
    assert main(["new", str(folder)]) == 0
    assert main(["build", str(folder)]) == 0
    study, mesh = load_study(folder)
    siting = site_study(study, mesh)
    problem, opened, road = make_scenarios(study, mesh, siting, 1, 8)
    assert opened.shape == (8, len(problem.option_edge))
    own = siting.problem
    assert (problem.option_edge == own.option_edge).all()
    assert problem.option_open_h == pytest.approx(own.option_open_h)
    assert problem.option_road_h == pytest.approx(own.option_road_h)
    answer = solve_robust(problem, opened, road, 2e7, RobustSettings(time_limit_s=10))
    assert answer.score_h > 0 and answer.bound_h >= answer.score_h
    assert len(answer.scenario_h) == 8
