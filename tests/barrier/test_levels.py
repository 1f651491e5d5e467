"""Levels of approaches that share a front bind each other: no plan lets one wait without the other."""

import numpy as np
from tests.barrier.problems import make_problem, value_of

from abatis.barrier.levels import Box, Levels
from abatis.barrier.network import build_network
from abatis.barrier.solve import make_levels


def make_pairs(seed):
    """A problem and its levels."""
    problem = make_problem(seed, nodes=10, sites=6, approaches=3)
    network = build_network(problem)
    return problem, make_levels(network, np.array([graph.before_h for graph in network.graphs]))


def test_no_plan_breaks_what_arrivals_owe_each_other():
    found = 0
    for seed in range(80):
        problem, levels = make_pairs(seed)
        found += len(levels.onward)
        random = np.random.default_rng(seed)
        for _ in range(12):
            sites = np.flatnonzero(random.random(len(problem.site_keys)) < 0.5)
            chosen = [int(random.choice(np.flatnonzero(problem.option_site == site))) for site in sites]
            _, times = value_of(problem, chosen)
            for k, j, hours in levels.onward:
                assert times[j] <= times[k] + hours + 1e-9
    assert found > 20


def test_other_fronts_and_vehicles_are_never_bound():
    for seed in range(80):
        problem, levels = make_pairs(seed)
        for k, j, _ in levels.onward:
            assert problem.approach_group[k] == problem.approach_group[j]
            assert set(problem.approach_sources[k]) <= set(problem.approach_sources[j])


def test_a_box_without_time_left_is_empty():
    two = np.array([1.0, 1.0])
    levels = Levels(((0,), (1,)), two, 0 * two, 9 * two, ((0, 1, 2.0),))
    assert levels.tighten(Box(np.array([0.0, 8.0]), np.array([5.0, 9.0]), ())).is_empty
    assert not levels.tighten(Box(np.array([0.0, 7.0]), np.array([5.0, 9.0]), ())).is_empty
