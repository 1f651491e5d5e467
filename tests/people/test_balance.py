"""Hours against civil cost: every answer is checked by trying all plans of tiny problems."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "barrier"))

from problems import draw_study, limit_rule, list_choices, make_problem, measure_choices, value_of

from abatis.barrier.network import build_network
from abatis.barrier.solve import measure_times
from abatis.model.errors import InputError
from abatis.people.balance import (
    CivilPart,
    find_least,
    lighten_plan,
    trace_balance,
    weigh_parts,
)

CLOSE = 1e-6


def make_part(problem, seed: int, least: int = 0) -> CivilPart:
    amounts = np.random.default_rng(seed).integers(least, 40, problem.option_count).astype(float)
    return CivilPart("land", "land taken", "ha", amounts, "", "G")


def try_all(problem, budget_eur: float, amounts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values and civil amounts of every plan that keeps budget and rules."""
    choices = list_choices(problem)
    fit = choices @ problem.option_cost_eur <= budget_eur + 1e-9
    for rule in problem.rules:
        fit &= choices[:, rule.options] @ rule.coefficients <= rule.limit + 1e-9
    times = measure_choices(problem, choices[fit])
    values = times.min(axis=1) if problem.objective == "minimum" else times @ problem.approach_weight
    for k, hours in problem.least_hours.items():
        values = np.where(times[:, k] < hours - 1e-9, -np.inf, values)
    return values, choices[fit] @ amounts


@pytest.mark.parametrize("seed", range(8))
def test_front_and_least_plan_equal_trying_all_plans(seed):
    problem = make_problem(seed, objective="minimum" if seed % 3 == 1 else "sum")
    part = make_part(problem, seed)
    values, amounts = try_all(problem, 15.0, part.amounts)
    found = trace_balance(problem, 15.0, part, points=5, gap=0.0, time_limit_s=60.0)
    before_h = value_of(problem, [])[0]
    assert found.before_h == pytest.approx(before_h, abs=CLOSE)
    for point in found.points:
        best = values[amounts <= point.limit + 1e-9].max()
        assert point.value_h == pytest.approx(best, abs=CLOSE)
        assert point.value_h <= point.bound_h + CLOSE and point.gap <= 1e-6
        assert point.won_h == pytest.approx(best - before_h, abs=CLOSE)
        assert point.amount == part.amounts[point.chosen].sum() <= point.limit + CLOSE
        assert value_of(problem, point.chosen)[0] == pytest.approx(point.value_h, abs=CLOSE)
    target = before_h + 0.95 * (values.max() - before_h)
    least = amounts[values >= target - CLOSE].min()
    assert found.least.target_h == pytest.approx(target, abs=CLOSE)
    assert found.least.least_amount <= least + CLOSE <= found.least.amount + 2 * CLOSE
    assert found.least.amount - found.least.least_amount <= 0.01 * found.least.amount + CLOSE
    assert value_of(problem, found.least.chosen)[0] >= found.least.target_h - CLOSE


@pytest.mark.parametrize("seed", [0, 2, 3, 6, 9, 12, 18, 21, 24, 27, 30, 33, 36, 39])
def test_least_plan_keeps_rules_of_any_kind(seed):
    problem, budget_eur = draw_study(seed)
    part = make_part(problem, seed)
    values, amounts = try_all(problem, budget_eur, part.amounts)
    before_h = value_of(problem, [])[0]
    target = before_h + 0.6 * (values.max() - before_h)
    least = amounts[values >= target - 1e-9].min()
    found = find_least(problem, budget_eur, part, target)
    assert found.least_amount <= least + CLOSE <= found.amount + 2 * CLOSE
    assert found.amount == pytest.approx(least, rel=0.01, abs=CLOSE)


def test_no_plan_reaches_too_high_a_value_and_it_is_proven():
    problem = make_problem(3)
    part = make_part(problem, 3)
    found = find_least(problem, 15.0, part, 1e6)
    assert found.chosen is None and found.amount == math.inf
    assert found.least_amount == part.amounts.sum()


def test_without_time_the_interval_is_wide_but_true():
    problem = make_problem(4)
    part = make_part(problem, 4, least=1)
    values, amounts = try_all(problem, 15.0, part.amounts)
    target = float(np.sort(values)[-3])
    found = find_least(problem, 15.0, part, target, time_limit_s=0.0)
    assert found.least_amount == 0.0 and found.amount == math.inf
    found = trace_balance(problem, 15.0, part, points=3, time_limit_s=0.0)
    best = amounts[values >= found.least.target_h - 1e-9].min()
    assert found.least.least_amount <= best <= found.least.amount


def test_lighter_plan_drops_and_changes_options_and_keeps_a_locked_site():
    problem = make_problem(5)
    part = make_part(problem, 5, least=1)
    site = np.flatnonzero(problem.option_site == 2)
    locked = replace(problem, rules=(limit_rule(site, -np.ones(len(site)), -1, "gate"),))
    chosen = np.array([np.flatnonzero(problem.option_site == s)[0] for s in range(6)], np.int32)
    network = build_network(locked)
    light = lighten_plan(network, 1e9, part, chosen, -math.inf)
    assert light.tolist() == [site[np.argmin(part.amounts[site])]]
    value_h = value_of(problem, chosen)[0]
    light = lighten_plan(network, 1e9, part, chosen, value_h - 1e-9)
    choice = np.isin(np.arange(problem.option_count), light).astype(float)
    after_h = measure_times(network, choice)
    assert problem.approach_weight @ after_h >= value_h - 1e-9
    assert part.measure(light) <= part.measure(chosen)


def test_weights_of_the_known_plan_sum_to_one_and_faults_are_named():
    problem = make_problem(6)
    parts = (make_part(problem, 6, 1), replace(make_part(problem, 7, 1), key="people"))
    chosen = np.array([0, 2], np.int32)
    part = weigh_parts(parts, chosen, {"land": 3.0, "people": 1.0})
    assert part.measure(chosen) == pytest.approx(1.0)
    expected = 0.75 * parts[0].amounts / parts[0].measure(chosen)
    expected = expected + 0.25 * parts[1].amounts / parts[1].measure(chosen)
    assert part.amounts == pytest.approx(expected)
    with pytest.raises(InputError) as caught:
        weigh_parts(parts, chosen, {"lnad": 1.0, "people": -1.0})
    assert "land" in str(caught.value) and "-1" in str(caught.value)
    with pytest.raises(InputError, match="nothing to weigh"):
        weigh_parts(parts, np.array([], np.int32))


def test_settings_that_make_no_front_are_refused():
    problem = make_problem(1)
    with pytest.raises(InputError) as caught:
        trace_balance(
            problem, 15.0, make_part(problem, 1), points=1, keep_share=1.5, gap=math.nan, time_limit_s=-1
        )
    assert [one.column for one in caught.value.faults] == ["--points", "--keep", "--gap", "--time-limit"]
