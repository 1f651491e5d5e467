"""The programme over potentials against brute force, and the search near the best plan."""

import time

import highspy
import numpy as np
import pytest
from tests.barrier.problems import brute_force, limit_rule, make_problem, value_of

from abatis.barrier.incumbent import Incumbent
from abatis.barrier.neighbourhood import LevelNeighbourhood
from abatis.barrier.network import build_network
from abatis.barrier.potentials import Potentials
from abatis.barrier.programme import make_static_rows
from abatis.barrier.solve import make_levels


def prepare(problem, budget_eur):
    network = build_network(problem)
    levels = make_levels(network, np.array([graph.before_h for graph in network.graphs]))
    return network, levels, make_static_rows(problem, budget_eur)


@pytest.mark.parametrize("objective", ["sum", "minimum"])
@pytest.mark.parametrize("seed", range(10))
def test_the_whole_box_holds_the_best_plan(seed, objective):
    rules = (limit_rule([0, 1, 2], [1, 1, 1], 2),)
    problem = make_problem(seed, approaches=3, objective=objective, rules=rules)
    network, levels, static = prepare(problem, 12.0)
    potentials = Potentials(network, levels, static)
    model = potentials.make_programme(levels.low_h, levels.high_h, -highspy.kHighsInf)
    model.run()
    assert model.getObjectiveValue() == pytest.approx(brute_force(problem, 12.0), abs=1e-6)


@pytest.mark.parametrize("seed", range(10))
def test_a_narrow_box_keeps_its_plans(seed):
    """Delays cut to what the box leaves room for must not cut off the plan that the box was drawn round."""
    problem = make_problem(seed, approaches=2)
    network, levels, static = prepare(problem, 15.0)
    chosen = np.flatnonzero(np.random.default_rng(seed).random(problem.option_count) < 0.4)
    chosen = [
        o for i, o in enumerate(chosen) if problem.option_site[o] not in problem.option_site[chosen[:i]]
    ]
    value, times = value_of(problem, chosen)
    static = make_static_rows(problem, float(problem.option_cost_eur[chosen].sum()))
    potentials = Potentials(network, levels, static)
    low_h, high_h = np.maximum(times - 0.05, levels.low_h), np.minimum(times + 0.05, levels.high_h)
    lower, upper = potentials.limit_times(low_h, high_h)
    assert (lower <= upper).all()
    model = potentials.make_programme(low_h, high_h, -highspy.kHighsInf)
    model.run()
    assert model.getObjectiveValue() >= value - 1e-6


def test_the_search_near_a_plan_only_improves_it_and_repeats():
    problem = make_problem(5, nodes=14, sites=10, approaches=3)
    network, levels, static = prepare(problem, 20.0)
    values = []
    for _ in range(2):
        incumbent = Incumbent(network, levels, static)
        incumbent.offer(np.zeros(problem.option_count))
        before = incumbent.value_h
        LevelNeighbourhood(incumbent, 1).improve(10**6, time.monotonic() + 20)
        assert incumbent.value_h >= before
        values.append(incumbent.value_h)
    assert values[0] == values[1]
    assert values[0] <= brute_force(problem, 20.0) + 1e-9
