"""A certificate holds for its plan and for nothing else."""

import copy
import dataclasses
import json

import numpy as np
import pytest
from tests.barrier.problems import make_problem

from abatis.barrier.certificate import check_certificate
from abatis.barrier.proof import make_certificate
from abatis.barrier.solve import solve_problem
from abatis.barrier.textbook import make_textbook_problem
from abatis.model.plan import hash_problem


@pytest.fixture(scope="module")
def proven():
    problem = make_problem(5, nodes=20, sites=20, approaches=3)
    return problem, make_certificate(solve_problem(problem, 15.0, gap=0.0))


def find_node(certificate, fits):
    return next(node for node in certificate["nodes"] if fits(node))


def test_an_honest_certificate_holds(proven):
    problem, certificate = proven
    kinds = {node["split"][0] for node in certificate["nodes"] if "split" in node}
    assert kinds == {"level", "option"}, "the case should need a tree"
    assert find_node(certificate, lambda node: node.get("rows")), "the case should need cuts"
    assert find_node(certificate, lambda node: node.get("excluded")), "the case should exclude options"
    assert check_certificate(problem, certificate) == []


def change_value(certificate):
    certificate["value_h"] += 0.1


def lower_bound(certificate):
    certificate["bound_h"] -= 0.01


def drop_cuts(certificate):
    for node in certificate["nodes"]:
        node["rows"] = []


def cut_a_branch(certificate):
    certificate["nodes"][0] = {}


def move_a_site(certificate):
    certificate["chosen"] = [0, *certificate["chosen"][1:]]


def choose_twice_at_a_site(certificate):
    certificate["chosen"].append(certificate["chosen"][0])


def cut_the_budget(certificate):
    certificate["budget_eur"] = 1.0


def shorten_a_path(certificate):
    certificate["paths"][0][2] = certificate["paths"][0][2][:-1]


def squeeze_the_root(certificate):
    certificate["levels"]["high_h"] = [0.9 * hours for hours in certificate["levels"]["high_h"]]


def bind_two_levels_too_tightly(certificate):
    certificate["levels"]["onward"].append([0, 1, 1e-6])


def bind_a_level_that_is_none(certificate):
    certificate["levels"]["onward"].append([0, 99, 1.0])


def count_in_other_steps(certificate):
    for row in certificate["rows"]:
        row[3] = 0.7 * row[3] if row[3] else 0.1


def swap_the_level_of_a_path(certificate):
    path = next(path for path in certificate["paths"] if path[0] == 0)
    path[1] = 1


def forget_half_of_a_split(certificate):
    node = find_node(certificate, lambda node: "split" in node)
    node["children"] = node["children"][:1]


def split_two_levels_at_once(certificate):
    find_node(certificate, lambda node: node.get("split", [""])[0] == "level")["split"][1] = [0, 1]


def turn_back(certificate):
    find_node(certificate, lambda node: "split" in node)["children"][0] = 0


def cover_two_sites_as_one(certificate):
    for row in certificate["rows"]:
        row[2] = [row[2] or [0]]


def narrow_the_grid(certificate):
    certificate["grid"][0] = certificate["grid"][0][1:]


def give_no_number(certificate):
    certificate["bound_h"] = float("nan")


def weigh_without_number(certificate):
    for node in certificate["nodes"]:
        if "static" in node:
            node["static"] = [float("inf")] * len(node["static"])


def exclude_what_is_chosen(certificate):
    find_node(certificate, lambda node: "excluded" in node)["excluded"][0][0] += certificate["chosen"]


def exclude_without_a_proof(certificate):
    find_node(certificate, lambda node: "excluded" in node)["excluded"][0][1:] = [[], []]


def exclude_no_option(certificate):
    find_node(certificate, lambda node: "excluded" in node)["excluded"][0][0].append(10_000)


def change_the_weights(certificate):
    certificate["levels"]["weight"][0] *= 0.5


def share_a_child(certificate):
    node = find_node(certificate, lambda node: "split" in node)
    node["children"] = [node["children"][0]] * 2


def choose_by_decimals(certificate):
    certificate["chosen"] = [float(option) for option in certificate["chosen"]]


def choose_by_truth(certificate):
    certificate["chosen"] = [True]


def name_an_approach_from_behind(certificate):
    certificate["paths"][0][0] = -1


def bind_a_level_from_behind(certificate):
    certificate["levels"]["onward"].append([-1, 1, 1e9])


def take_a_row_from_behind(certificate):
    find_node(certificate, lambda node: node.get("rows"))["rows"][0][0] = -1


def lose_a_part(certificate):
    del certificate["levels"]["low_h"]


@pytest.mark.parametrize(
    ("tamper", "reason"),
    [
        (change_value, "the value is"),
        (lower_bound, "only proves"),
        (drop_cuts, "only proves"),
        (cut_a_branch, "only proves"),
        (move_a_site, "the value is"),
        (choose_twice_at_a_site, "two options are chosen at one site"),
        (cut_the_budget, "more than the budget"),
        (shorten_a_path, "is not a way of approach"),
        (swap_the_level_of_a_path, "belongs to another level"),
        (squeeze_the_root, "leaves out possible times"),
        (bind_two_levels_too_tightly, "may come more than 1e-06 h after"),
        (bind_a_level_that_is_none, "is damaged"),
        (count_in_other_steps, "only proves"),
        (narrow_the_grid, "the grid does not span"),
        (change_the_weights, "the weights are not the study's"),
        (turn_back, "is damaged: KeyError: 0"),
        (forget_half_of_a_split, "is damaged"),
        (split_two_levels_at_once, "is damaged"),
        (cover_two_sites_as_one, "is damaged"),
        (give_no_number, "the bound lies below the value"),
        (weigh_without_number, "is damaged"),
        (exclude_what_is_chosen, "only proves"),
        (exclude_without_a_proof, "only proves"),
        (exclude_no_option, "is no index"),
        (share_a_child, "is damaged: KeyError"),
        (choose_by_decimals, "is no index"),
        (choose_by_truth, "True is no index"),
        (name_an_approach_from_behind, "-1 is no index"),
        (bind_a_level_from_behind, "-1 is no index"),
        (take_a_row_from_behind, "-1 is no index"),
        (lose_a_part, "is damaged: KeyError: 'low_h'"),
    ],
)
def test_a_tampered_certificate_fails_with_its_reason(proven, tamper, reason):
    problem, honest = proven
    certificate = copy.deepcopy(honest)
    tamper(certificate)
    reasons = check_certificate(problem, certificate)
    assert any(reason in one for one in reasons), reasons


def test_another_problem_is_noticed(proven):
    _, certificate = proven
    other = make_problem(12, nodes=16, sites=9, approaches=2)
    assert "another problem" in check_certificate(other, certificate)[0]


def test_a_wrong_cost_is_noticed(proven):
    """Options that have become dearer since: another problem by its hash, and too dear if that is forged."""
    problem, honest = proven
    dearer = dataclasses.replace(problem, option_cost_eur=problem.option_cost_eur * 2)
    assert "another problem" in check_certificate(dearer, honest)[0]
    forged = {**honest, "problem": hash_problem(dearer)}
    assert any("more than the budget" in reason for reason in check_certificate(dearer, forged))


def test_no_step_between_whole_hours_is_left_out():
    """Whole hours: the halves of a split at 3.5 h meet at 4 h, so a forged split can not jump over 4 h."""
    problem = make_problem(0, nodes=6, sites=4, approaches=1, whole_numbers=True)
    solution = solve_problem(problem, 9.0, gap=0.0)
    certificate = make_certificate(solution)
    levels, value = certificate["levels"], certificate["value_h"]
    # The forged tree says: at most value - 0.5, or from value + 0.5 on, where nothing is.
    levels["high_h"] = [value + 0.25]
    certificate |= {"grid": [[levels["low_h"][0], value + 0.25]], "paths": [], "bound_h": value - 0.5}
    certificate["nodes"] = [{"split": ["level", 0, value - 0.5], "children": [1, 2]}, {}, {}]
    reasons = check_certificate(problem, certificate)
    assert any("node 2 only proves" in reason for reason in reasons), reasons


def prove(problem, budget):
    """The certificate of a problem in hours, and its levels, to be forged."""
    certificate = make_certificate(solve_problem(problem, budget, gap=0.0))
    assert check_certificate(problem, certificate) == []
    certificate = json.loads(json.dumps(certificate)) | {"paths": [], "rows": [], "nodes": [{}]}
    return certificate, certificate["levels"]


@pytest.mark.parametrize(("value", "wrong"), [(-1000.0, "node 2 only"), (1000.0, "node 1 only")])
def test_a_split_outside_the_box_proves_nothing(value, wrong):
    """Two ways of 2 h and 3 h, 5 h more on each: the best is 7 h, and the forger says 2 h."""
    problem = make_textbook_problem([0, 0], [1, 1], [2, 3], [5, 5], [1, 1], 0, 1)
    forged, _ = prove(problem, 2.0)
    forged |= {"chosen": [], "value_h": 2.0, "bound_h": 2.0}
    forged["nodes"] = [{"split": ["level", 0, value], "children": [1, 2]}, {}, {}]
    reasons = check_certificate(problem, forged)
    assert any(wrong in reason for reason in reasons), reasons


def test_a_low_end_just_above_the_times_proves_nothing():
    """Within rounding of the true low, but a floor from there, times 1e9, would rule out honest plans."""
    problem = make_textbook_problem([0, 0], [1, 1], [[10, 100], [100, 10]], [20, 50], [1, 1], 0, 1)
    forged, levels = prove(problem, 1.0)
    low = 10 * (1 + 9.9e-10)
    levels |= {"low_h": [low, 10.0], "high_h": [30.0, 60.0], "onward": []}
    forged |= {"grid": [[low, 30.0], [10.0, 60.0]], "chosen": [0], "value_h": 20.0, "bound_h": 20.1}
    forged |= {"paths": [[0, 0, [0]], [1, 1, [2]]], "rows": [[0, -1, [], 0.0], [1, 0, [], 0.0]]}
    forged["nodes"] = [{"static": [25.0], "rows": [[0, 25.0 / (low - 10.0)], [1, 0.5]]}]
    before = copy.deepcopy(forged)
    reasons = check_certificate(problem, forged)
    assert any("only proves" in reason for reason in reasons), reasons
    assert forged == before, "the checker must leave the certificate as it is"


def test_onward_hours_a_rounding_too_short_are_refused():
    """From the goal of the first to that of the second it takes 1,000 h, not 1e-9 of that less."""
    problem = make_onward_problem()
    forged, levels = prove(problem, 1.0)
    hours = levels["onward"][0][2]
    assert hours > 1000.0
    levels["onward"] = [[0, 1, 1000 * (1 - 9.9e-10)]]
    reasons = check_certificate(problem, forged)
    assert any("may come more than 999.999" in reason for reason in reasons), reasons


def make_onward_problem():
    """Front 0; goal 1 past a site, 10 h; goal 2 only by way of 1, 1,000 h; goal 3 past a site, 10 h."""
    return dataclasses.replace(
        make_textbook_problem([0, 1, 0], [1, 2, 3], [10.0, 1000.0, 10.0], [5.0, 0.0, 50.0], [1, 0, 1], 0, 1),
        approach_keys=("a", "b", "c"),
        approach_names=("a", "b", "c"),
        approach_group=np.zeros(3, np.int32),
        approach_weight=np.ones(3),
        approach_sources=(np.array([0], np.int32),) * 3,
        approach_targets=tuple(np.array([goal], np.int32) for goal in (1, 2, 3)),
    )


def test_hours_in_small_units_are_proven_as_well():
    """Hours of a ten-thousandth: valid certificates hold, and a false value is still seen."""
    problem = make_problem(11, nodes=16, sites=12, approaches=3)
    words = ("open_h", "road_h", "option_open_h", "option_road_h")
    small = dataclasses.replace(problem, **{word: 1e-4 * getattr(problem, word) for word in words})
    certificate = make_certificate(solve_problem(small, 15.0, gap=0.0))
    assert check_certificate(small, certificate) == []
    certificate["value_h"] += 5e-10
    assert any("the value is" in reason for reason in check_certificate(small, certificate))
