"""Plans by swapping towards better arrival times: against brute force, and the books against plain sums."""

import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests.barrier.problems import brute_force, draw_study, limit_rule, make_problem

from abatis.barrier import solve, targets
from abatis.barrier._targets import BROKEN, CHOSEN, ROUTES, begin_target
from abatis.barrier.crew import Crew
from abatis.barrier.network import build_network

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from solver.families import make_geographic, make_wood

EFFORT = 5_000


def prepare(problem, budget_eur, seed=1):
    return solve.Search(problem, budget_eur, 0.0, seed, build_network(problem), Crew(1))


def improve(search, effort=EFFORT):
    """The search alone, from a greedy plan on."""
    moves = search._moves
    moves.start()
    moves.improve(effort, time.monotonic() + 60.0)
    return moves


def check_books(search):
    """What the compiled search keeps up to date is what plain sums give."""
    routes, swaps = search._routes, search._swaps
    count = routes.counts[ROUTES]
    linked = []
    for option, entry in enumerate(routes.first):
        while entry >= 0:
            assert routes.option[entry] == option
            linked.append(int(entry))
            entry = routes.following[entry]
    assert sorted(linked) == list(range(routes.start[count]))
    assert set(swaps.chosen[: routes.counts[CHOSEN]]) == set(np.flatnonzero(swaps.trial > 0.5))
    broken = set(routes.broken[: routes.counts[BROKEN]].tolist())
    for route in range(count):
        part = slice(routes.start[route], routes.start[route + 1])
        assert (routes.owner[part] == route).all()
        delayed_h = routes.delay_h[part] @ swaps.trial[routes.option[part]]
        assert routes.delayed_h[route] == pytest.approx(delayed_h, abs=1e-9)
        assert (route in broken) == (delayed_h < routes.need_h[route] - routes.room_h)
    usage = search._table.rules @ swaps.trial
    assert search.work == 0 or (usage <= search._table.limits).all()


@pytest.mark.parametrize("objective", ["sum", "minimum"])
def test_the_search_alone_finds_the_best_plans_of_small_studies(objective):
    found = 0
    for seed in range(20):
        problem = make_problem(seed, nodes=14, sites=10, approaches=3, objective=objective)
        moves = improve(prepare(problem, 5.0, seed))
        best_h = brute_force(problem, 5.0)
        assert moves.incumbent.value_h <= best_h + 1e-9
        found += moves.incumbent.value_h >= best_h - 1e-6
        check_books(moves._targets)
    assert found >= 18


def test_rules_are_kept():
    rules = [limit_rule([0], [-1], -1, "one"), limit_rule([1, 2, 3, 4], [1, 1, 1, 1], 1, "one of four")]
    begun = 0
    for seed in range(10):
        problem = make_problem(seed, nodes=14, sites=10, approaches=3, rules=rules)
        moves = improve(prepare(problem, 5.0, seed))
        best_h = brute_force(problem, 5.0)
        if moves.incumbent.choice is None:
            assert best_h is None
            continue
        choice = moves.incumbent.choice
        assert choice[0] == 1.0 and choice[1:5].sum() <= 1.0
        assert moves.incumbent.value_h <= best_h + 1e-9
        check_books(moves._targets)
        begun += moves._targets.work > 0
    assert begun >= 5


def test_hours_asked_by_a_rule_are_kept():
    possible = found = 0
    for seed in range(1, 241, 6):
        problem, budget_eur = draw_study(seed)
        if not problem.least_hours or brute_force(problem, budget_eur) is None:
            continue
        possible += 1
        moves = improve(prepare(problem, budget_eur, seed))
        if moves.incumbent.choice is not None:
            times_h = solve.measure_times(moves.incumbent.network, moves.incumbent.choice)
            assert all(times_h[k] >= hours - 1e-6 for k, hours in problem.least_hours.items())
            found += 1
    assert possible >= 4
    assert found == possible


def test_small_room_grows_and_forgets_without_losing_its_books(monkeypatch):
    instance = make_geographic(30, 40, 0.2, 1)
    plain = improve(prepare(instance.problem, instance.budget), 10 * EFFORT).incumbent.value_h
    monkeypatch.setattr(targets, "FIRST_ROUTES", 2)
    monkeypatch.setattr(targets, "FIRST_ENTRIES", 8)
    grown = improve(prepare(instance.problem, instance.budget), 10 * EFFORT)
    assert len(grown._targets._routes.option) > 8
    check_books(grown._targets)
    monkeypatch.setattr(targets, "MOST_ENTRIES", 256)
    forgetful = improve(prepare(instance.problem, instance.budget), 10 * EFFORT)
    assert len(forgetful._targets._routes.option) == 256
    check_books(forgetful._targets)
    proven = solve.solve_problem(instance.problem, instance.budget, gap=0.0)
    assert proven.status == "optimal"
    for value_h in (plain, grown.incumbent.value_h, forgetful.incumbent.value_h):
        assert 0.97 * proven.value_h <= value_h <= proven.value_h + 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_it_finds_proven_plans_of_published_grids(seed):
    instance = make_wood(10, 10, 100, 200, 1, 5, seed)
    proven = solve.solve_problem(instance.problem, instance.budget, gap=0.0)
    assert proven.status == "optimal"
    moves = improve(prepare(instance.problem, instance.budget), 10 * EFFORT)
    assert moves.incumbent.value_h == proven.value_h


def test_a_target_is_worth_more_than_the_best_plan():
    instance = make_geographic(30, 40, 0.2, 1)
    search = prepare(instance.problem, instance.budget)
    moves = improve(search, 10)
    levels, best = search.levels, moves.incumbent
    for _ in range(50):
        target_h = moves._targets._draw_target(moves.incumbent.choice)
        assert (target_h <= levels.high_h + 1e-12).all() and (target_h >= levels.low_h - 1e-12).all()
        assert levels.weight @ target_h > best.value_h * (1 + 0.1 * targets.GAIN)


def test_with_whole_hours_one_level_is_raised_by_one():
    instance = make_wood(7, 7, 10, 5, 1, 5, 0)
    moves = improve(prepare(instance.problem, instance.budget), 10)
    assert moves._targets._draw_target(moves.incumbent.choice) == pytest.approx(
        [moves.incumbent.value_h + 1.0]
    )


def test_the_same_seed_and_the_same_efforts_give_the_same_plan():
    instance = make_geographic(30, 40, 0.2, 2)
    choices = []
    for _ in range(2):
        moves = prepare(instance.problem, instance.budget)._moves
        moves.start()
        for _ in range(3):
            moves.improve(EFFORT, time.monotonic() + 60.0)
        choices.append(moves.incumbent.choice)
    assert (choices[0] == choices[1]).all()


def test_idle_effort_counts_from_the_last_better_plan():
    instance = make_wood(7, 7, 10, 5, 1, 5, 0)
    moves = improve(prepare(instance.problem, instance.budget))
    before = moves.idle_effort
    moves.improve(EFFORT, time.monotonic() + 60.0)
    assert moves.idle_effort == pytest.approx(before + EFFORT, rel=0.5)


def test_a_target_that_no_plan_reaches_is_given_up():
    problem = make_problem(0, nodes=4, sites=2, approaches=1)
    moves = improve(prepare(problem, 0.0))
    assert moves.incumbent.choice.sum() == 0.0
    assert moves.incumbent.value_h == pytest.approx(brute_force(problem, 0.0))


def test_random_studies_never_break_their_rules():
    for seed in range(20):
        problem, budget_eur = draw_study(seed)[:2]
        search = prepare(problem, budget_eur, seed)
        moves = improve(search, 2_000)
        if moves.incumbent.choice is not None:
            assert moves.incumbent.keeps_rules(moves.incumbent.choice)


def test_a_begin_counts_a_choice_anew():
    instance = make_geographic(30, 40, 0.2, 1)
    moves = improve(prepare(instance.problem, instance.budget))
    inner = moves._targets
    begin_target(
        moves.incumbent.choice,
        inner._draw_target(moves.incumbent.choice),
        inner._table,
        inner._scratch,
        inner._routes,
        inner._swaps,
    )
    assert (inner._swaps.trial == moves.incumbent.choice).all()
    check_books(inner)
