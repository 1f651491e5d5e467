"""A certificate holds for its plan and for nothing else."""

import copy
import dataclasses

import pytest
from tests.barrier.problems import make_problem

from abatis.barrier.certificate import check_certificate
from abatis.barrier.proof import make_certificate
from abatis.barrier.solve import solve_problem
from abatis.model.plan import hash_problem


@pytest.fixture(scope="module")
def proven():
    problem = make_problem(11, nodes=16, sites=12, approaches=3)
    return problem, make_certificate(solve_problem(problem, 15.0, gap=0.0))


def find_node(certificate, fits):
    return next(node for node in certificate["nodes"] if fits(node))


def test_an_honest_certificate_holds(proven):
    problem, certificate = proven
    kinds = {node["split"][0] for node in certificate["nodes"] if "split" in node}
    assert kinds == {"level", "option"}, "the case should need a tree"
    assert find_node(certificate, lambda node: node.get("rows")), "the case should need cuts"
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


def change_the_weights(certificate):
    certificate["levels"]["weight"][0] *= 0.5


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
        (turn_back, "has a child before itself"),
        (forget_half_of_a_split, "is damaged"),
        (split_two_levels_at_once, "is damaged"),
        (cover_two_sites_as_one, "is damaged"),
        (give_no_number, "the bound lies below the value"),
        (weigh_without_number, "is damaged"),
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
    assert any("leaf 2 only proves" in reason for reason in reasons), reasons
