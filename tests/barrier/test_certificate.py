"""A certificate holds for its plan and for nothing else."""

import copy

import pytest
from tests.barrier.problems import make_problem

from abatis.barrier.certificate import check_certificate
from abatis.barrier.proof import make_certificate
from abatis.barrier.solve import solve_problem


@pytest.fixture(scope="module")
def proven():
    problem = make_problem(11, nodes=16, sites=9, approaches=2)
    return problem, make_certificate(solve_problem(problem, 12.0, gap=0.0))


def test_an_honest_certificate_holds(proven):
    problem, certificate = proven
    assert any("split" in node for node in certificate["nodes"]), "the case should need a tree"
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
    certificate["chosen"] = [0, *[o for o in certificate["chosen"] if o > 1][1:]]


def cut_the_budget(certificate):
    certificate["budget_eur"] = 1.0


def shorten_a_path(certificate):
    certificate["paths"][0][2] = certificate["paths"][0][2][:-1]


def squeeze_the_root(certificate):
    certificate["levels"]["high_h"] = [0.9 * hours for hours in certificate["levels"]["high_h"]]


@pytest.mark.parametrize(
    ("tamper", "reason"),
    [
        (change_value, "the value is"),
        (lower_bound, "only proves"),
        (drop_cuts, "only proves"),
        (cut_a_branch, "only proves"),
        (move_a_site, "the value is"),
        (cut_the_budget, "more than the budget"),
        (shorten_a_path, "is not a way of approach"),
        (squeeze_the_root, "leaves out possible times"),
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
