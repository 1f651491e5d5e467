"""Plans among the few options that linear programmes ask for."""

import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.barrier.problems import draw_study, limit_rule, make_problem, value_of

from abatis.barrier.core import CoreSearch
from abatis.barrier.crew import Crew
from abatis.barrier.incumbent import Incumbent
from abatis.barrier.network import build_network, keep_candidates
from abatis.barrier.programme import Relaxation
from abatis.barrier.search import PlanSearch
from abatis.barrier.solve import Search, measure_times, solve_problem

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from solver.families import make_wood

WORK = 2e6


def point_at(choice, slack=0.0):
    """A programme's answer with this point."""
    nothing = np.empty(0)
    return Relaxation(np.asarray(choice, float), nothing, slack, nothing, nothing, 0.0, 0.0)


def prepare(problem, budget):
    """A search for plans that has its first one, and the core search beside it."""
    search = Search(problem, budget, 0.0, 1, build_network(problem), Crew(1))
    incumbent = Incumbent(search.network, search.levels, search.static)
    PlanSearch(incumbent, 1).start()
    return incumbent, CoreSearch(incumbent, budget, 1, Crew(1))


@settings(deadline=None)
@given(st.integers(0, 400), st.integers(0, 2**12 - 1))
def test_kept_options_delay_what_they_delayed(seed, drawn):
    """Times on the smaller network equal plain Dijkstra on the whole problem, whatever is chosen."""
    problem = draw_study(seed)[0]
    kept = np.array([o for o in range(problem.option_count) if drawn >> (o % 12) & 1], np.int64)
    network = keep_candidates(build_network(problem), kept)
    assert network.problem.option_keys == tuple(problem.option_keys[o] for o in kept)
    random = np.random.default_rng(seed)
    for _ in range(3):
        taken = {}
        for place in random.permutation(len(kept)):
            if random.random() < 0.5:
                taken.setdefault(problem.option_site[kept[place]], place)
        choice = np.zeros(len(kept))
        choice[list(taken.values())] = 1.0
        expected = value_of(problem, kept[choice > 0.5])[1]
        assert measure_times(network, choice) == pytest.approx(expected, rel=1e-12)


def test_rules_speak_of_the_options_left():
    rules = [limit_rule([0, 2, 3], [1.0, 5.0, 2.0], 4.0), limit_rule([1], [-1.0], -1.0, "lock in")]
    network = keep_candidates(build_network(make_problem(0, rules=rules)), np.array([1, 3, 4]))
    first, second = network.problem.rules
    assert (first.options.tolist(), first.coefficients.tolist(), first.limit) == ([1], [2.0], 4.0)
    assert (second.options.tolist(), second.coefficients.tolist(), second.limit) == ([0], [-1.0], -1.0)


@pytest.mark.parametrize("seed", range(4))
def test_it_puts_the_best_plan_together_from_points_that_hold_parts_of_it(seed):
    instance = make_wood(10, 10, 100, 200, 1, 5, seed)
    proven = solve_problem(instance.problem, instance.budget, gap=0.0)
    incumbent, core = prepare(instance.problem, instance.budget)
    random = np.random.default_rng(seed)
    for _ in range(3):
        point = 0.3 * (random.random(instance.problem.option_count) < 0.05)
        point[proven.chosen] = 0.4
        core.note(point_at(point))
    found = core.seek(incumbent.choice, WORK, time.monotonic() + 60.0)
    assert core.is_found
    incumbent.offer(found)
    assert incumbent.value_h == proven.value_h
    assert set(np.flatnonzero(found)) <= set(core._options.tolist())


def test_options_that_rules_demand_are_always_kept():
    problem = make_problem(3, nodes=40, sites=40, rules=[limit_rule([7], [-1.0], -1.0, "lock in")])
    incumbent, core = prepare(problem, 30.0)
    point = np.zeros(problem.option_count)
    point[[11, 12]] = 0.5
    core.note(point_at(point))
    found = core.seek(incumbent.choice, WORK, time.monotonic() + 60.0)
    assert found[7] == 1.0
    assert incumbent.keeps_rules(found)


def test_without_points_or_with_too_many_options_there_is_no_core():
    instance = make_wood(10, 10, 100, 200, 1, 5, 0)
    incumbent, core = prepare(instance.problem, instance.budget)
    assert core.seek(incumbent.choice, WORK, time.monotonic() + 60.0) is None
    everything = np.ones(instance.problem.option_count)
    core.note(point_at(everything, slack=0.5))
    assert core.seek(incumbent.choice, WORK, time.monotonic() + 60.0) is None
    small = make_problem(3)
    few, core = prepare(small, 6.0)
    core.note(point_at(np.ones(small.option_count)))
    assert core.seek(few.choice, WORK, time.monotonic() + 60.0) is None
    assert not core.is_found


def test_the_core_is_chosen_anew_when_its_points_have_doubled():
    instance = make_wood(10, 10, 100, 200, 1, 5, 0)
    incumbent, core = prepare(instance.problem, instance.budget)
    sizes = []
    for option in range(60, 68):
        point = np.zeros(instance.problem.option_count)
        point[option] = 1.0
        core.note(point_at(point))
        core.seek(incumbent.choice, 1.0, time.monotonic() + 60.0)
        sizes.append(len(core._options) - len(np.flatnonzero(incumbent.choice)))
    assert sizes == [1, 2, 2, 4, 4, 4, 4, 8]
