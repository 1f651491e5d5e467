"""What a box excludes must be so: no plan worth more than the best one has it, and the checker agrees."""

import dataclasses
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.barrier.problems import make_problem

from abatis.barrier.bands import make_grid
from abatis.barrier.boxes import BoxWorker, Goal
from abatis.barrier.branching import OptionBranching
from abatis.barrier.certificate import check_certificate
from abatis.barrier.crew import Crew
from abatis.barrier.exclusion import Exclusion, find_factor
from abatis.barrier.incumbent import Incumbent
from abatis.barrier.levels import Box, Levels
from abatis.barrier.network import build_network
from abatis.barrier.paths import PathPool
from abatis.barrier.programme import NodeProgramme, make_static_rows
from abatis.barrier.proof import make_certificate
from abatis.barrier.solve import make_levels, measure_times, solve_problem
from abatis.barrier.textbook import make_textbook_problem

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from solver.families import make_wood


def list_plans(problem, budget_eur):
    """All plans of one-option sites that cost 1 each within the budget, as bool[O]."""
    for size in range(int(budget_eur) + 1):
        for options in itertools.combinations(range(problem.option_count), size):
            choice = np.zeros(problem.option_count, bool)
            choice[list(options)] = True
            yield choice


def bound_test(problem, budget_eur, least_h):
    """The node of the test whether any plan reaches some hours, when no plan is known but the empty one."""
    network = build_network(problem)
    levels = make_levels(network, np.array([graph.before_h for graph in network.graphs]))
    static = make_static_rows(problem, budget_eur)
    incumbent = Incumbent(network, levels, static)
    incumbent.offer(np.zeros(problem.option_count))
    programme = NodeProgramme(problem, levels, static, make_grid(levels, incumbent.value_h))
    branching, goal = OptionBranching(problem.option_count), Goal(incumbent, 0.0, 1.0)
    worker = BoxWorker(programme, PathPool(network), branching, goal, Crew(1))
    return worker.bound_node(Box(np.array([least_h]), levels.high_h, ()), np.empty(0, np.int64), np.inf)


def test_no_plan_that_reaches_the_hours_has_what_is_excluded():
    excluded = plans = 0
    for seed in range(8):
        instance = make_wood(4, 4, 10, 20, 1, 2, seed)
        problem, network = instance.problem, build_network(instance.problem)
        known = list(list_plans(problem, instance.budget))
        times_h = np.array([measure_times(network, choice.astype(float))[0] for choice in known])
        for least_h in range(int(times_h.min()) + 1, int(times_h.max()) + 2):
            node = bound_test(problem, instance.budget, float(least_h))
            reached = [known[place] for place in np.flatnonzero(times_h >= least_h - 1e-9)]
            assert not reached or node.bound_h >= least_h
            for one in node.exclusions:
                assert one.bound_h == -np.inf
                excluded += len(one.options)
                plans += len(reached)
                for choice in reached:
                    assert not choice[one.options].any() if one.value else choice[one.options[0]]
    assert excluded >= 100 and plans >= 30


def test_exclusions_are_found_and_prove_the_bound():
    found = 0
    for seed in (5, 13, 16, 21):
        problem = make_problem(seed, nodes=20, sites=20, approaches=3)
        solution = solve_problem(problem, 15.0, gap=0.0)
        found += sum(len(node.exclusions) for node in solution.nodes)
        assert solution.status == "optimal"
        assert check_certificate(problem, make_certificate(solution)) == []
    assert found >= 5


def test_money_for_one_way_of_two_gains_nothing():
    """Two ways of 5 h; one option of 3 h on each costs 1, and the budget is 1: nothing can be gained."""
    problem = make_textbook_problem([0, 0], [1, 1], [5, 5], [3, 3], [1, 1], 0, 1)
    solution = solve_problem(problem, 1.0, gap=0.0)
    assert (solution.value_h, solution.status) == (5.0, "optimal")
    assert check_certificate(problem, make_certificate(solution)) == []


def test_an_excluded_option_is_closed_and_one_that_must_be_is_chosen():
    problem = make_problem(0, nodes=9, sites=6, approaches=1)
    box = Box(np.zeros(1), np.ones(1), ())
    nothing = (np.empty(0, np.int64), np.zeros(1), np.zeros(0), -np.inf)
    site = problem.option_site
    closed = Exclusion(1, np.array([0, 2], np.int32), *nothing).apply(box)
    lower, upper = closed.limit_options(problem)
    assert np.flatnonzero(upper == 0).tolist() == [0, 2] and not lower.any()
    lower, upper = Exclusion(0, np.array([1], np.int32), *nothing).apply(box).limit_options(problem)
    assert lower[1] == upper[1] == 1.0
    assert not upper[(site == site[1]) & (np.arange(len(site)) != 1)].any()


def test_multipliers_are_raised_until_they_outweigh_the_box():
    """From 10 h to 30 h, short by 4 h: five times 4 h is the width, and a little more is asked for."""
    levels = Levels(((0,),), np.ones(1), np.array([0.0]), np.array([40.0]))
    box = Box(np.array([10.0]), np.array([30.0]), ())
    assert find_factor(levels, box, 4.0) == pytest.approx(5.01)
    assert find_factor(levels, dataclasses.replace(box, high_h=box.low_h), 4.0) == 1.0
