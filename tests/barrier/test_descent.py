"""One level in whole steps: where the tests lie, and that one test settles a wide box."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from abatis.barrier.boxes import Node
from abatis.barrier.certificate import check_certificate
from abatis.barrier.descent import Descent
from abatis.barrier.levels import Box, Levels
from abatis.barrier.proof import make_certificate
from abatis.barrier.solve import solve_problem

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from solver.families import make_wood


def make_box(low_h, high_h):
    return Box(np.array([low_h]), np.array([high_h]), ())


def test_tests_go_down_in_doubling_steps_and_at_most_halfway():
    levels = Levels(((0,),), np.array([1.0]), np.array([0.0]), np.array([100.0]))
    descent = Descent(SimpleNamespace(levels=levels, grain_h=1.0))
    asked = []

    def rule_out_above_40(box):
        asked.append(float(box.low_h[0]))
        return Node(box, -np.inf if box.low_h[0] > 40 else 100.0)

    splits, high_h = [], 100.0
    while high_h >= 10.0:
        kind, level, high_h = descent.choose_split(make_box(10.0, high_h), rule_out_above_40)
        assert (kind, level) == ("level", 0)
        splits.append(high_h)
    assert asked[:4] == [10.0, 55.0, 32.0, 43.0]
    # Above 40 the programme alone is enough; tests at 40, 38, 34 and 26, halfway at 17 and 13, then at 10.
    assert splits == [40.0, 39.0, 37.0, 33.0, 25.0, 16.0, 12.0, 9.0]


def test_a_programme_that_rules_out_all_above_the_best_plan_settles_the_whole_range():
    levels = Levels(((0,),), np.array([1.0]), np.array([0.0]), np.array([100.0]))
    descent = Descent(SimpleNamespace(levels=levels, grain_h=1.0))
    asked = []

    def rule_out_all(box):
        asked.append((float(box.low_h[0]), float(box.high_h[0])))
        return Node(box, -np.inf)

    assert descent.choose_split(make_box(10.0, 100.0), rule_out_all) == ("level", 0, 9.0)
    assert asked == [(10.0, 100.0)]


def test_a_programme_that_rules_nothing_out_is_tested_from_the_top():
    levels = Levels(((0,),), np.array([1.0]), np.array([0.0]), np.array([9.0]))
    descent = Descent(SimpleNamespace(levels=levels, grain_h=1.0))
    split = descent.choose_split(make_box(4.0, 9.0), lambda box: Node(box, 9.0))
    assert split == ("level", 0, 8.0)


def test_one_test_settles_a_box_of_many_hours_and_the_certificate_says_so():
    instance = make_wood(10, 10, 100, 200, 1, 5, 0)
    solution = solve_problem(instance.problem, instance.budget, gap=0.0, time_limit_s=60.0)
    leaves = [node for node in solution.nodes if node.children is None and node.bound_h == -np.inf]
    width_h = [float(node.box.high_h[0] - node.box.low_h[0]) for node in leaves if not node.box.is_empty]
    assert solution.status == "optimal" and max(width_h) > 50.0
    assert check_certificate(instance.problem, make_certificate(solution)) == []
