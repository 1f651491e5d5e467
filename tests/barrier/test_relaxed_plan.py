"""The start of a large study: paths that prove the programme's value, a rounded plan, the same proof."""

import time
from dataclasses import replace

import numpy as np
import pytest
from tests.barrier.problems import brute_force, limit_rule, make_problem

from abatis.barrier import solve
from abatis.barrier.certificate import check_certificate
from abatis.barrier.crew import Crew
from abatis.barrier.flows import FlowProgramme
from abatis.barrier.network import build_network
from abatis.barrier.proof import make_certificate
from abatis.barrier.relaxed_plan import MONEY_SHARE, RelaxedPlan
from abatis.barrier.search import PlanSearch


def prepare(problem, budget_eur):
    return solve.Search(problem, budget_eur, 0.0, 1, build_network(problem), Crew(1))


def soon():
    return time.monotonic() + 60.0


def make_programme(search):
    return FlowProgramme(search.network, search.levels, search.static)


@pytest.mark.parametrize("objective", ["sum", "minimum"])
def test_paths_of_the_flow_prove_the_value_of_the_programme(objective):
    tight = 0
    for seed in range(10):
        problem = make_problem(seed, nodes=14, sites=10, approaches=3, objective=objective)
        search = prepare(problem, 1.0)
        programme = make_programme(search)
        model = programme.potentials.make_relaxation(1.0)
        model.run()
        best_h = -model.getObjectiveValue()
        paths = programme.find_paths(soon())
        assert {level for _, level in paths} == set(range(len(search.levels.weight)))
        for route, _ in paths:
            check_route(search.network.graphs[route.approach], list(route.arcs))
        search.tree.start_from(paths)
        search.tree.run(time.monotonic() - 1.0, lambda point, node: None, lambda value_h, bound_h: None)
        root = search.tree.nodes[0]
        assert brute_force(problem, 1.0) - 1e-9 <= root.bound_h <= best_h + 1e-5
        tight += root.bound_h < search.levels.weight @ search.levels.high_h - 1e-3
    assert tight >= 1


def check_route(graph, arcs):
    """An unbroken way from front to objective."""
    tail = np.repeat(np.arange(len(graph.nodes)), np.diff(graph.start))
    assert tail[arcs[0]] == graph.source
    assert graph.head[arcs[-1]] == graph.target
    assert (graph.head[arcs[:-1]] == tail[arcs[1:]]).all()


def test_a_small_share_of_the_flow_is_cut_into_its_paths():
    search = prepare(make_problem(2, nodes=14, sites=10, approaches=3), 12.0)
    programme = make_programme(search)
    flow = programme.solve(1.0, soon())
    assert flow.demand == pytest.approx(search.levels.weight, abs=1e-6)
    half = replace(flow, demand=0.5 * flow.demand)
    assert 0 < len(programme.cut_flow(half)) <= len(programme.cut_flow(flow))
    assert programme.cut_flow(replace(flow, arc_flow=np.zeros_like(flow.arc_flow))) == []


@pytest.mark.parametrize("seed", range(5))
def test_shares_keep_their_part_of_the_money_and_rounding_keeps_the_budget(seed):
    problem = make_problem(seed, nodes=14, sites=10, approaches=3)
    search = prepare(problem, 12.0)
    moves = PlanSearch(search.incumbent, seed)
    relaxed = RelaxedPlan(make_programme(search))
    choice = relaxed.seek(moves, soon())
    shares = relaxed.programme.solve(MONEY_SHARE, soon()).shares
    assert shares.min() >= 0.0
    assert shares.max() <= 1.0
    assert shares @ problem.option_cost_eur <= MONEY_SHARE * 12.0 * (1 + 1e-6)
    nothing_h = solve.measure_times(search.network, np.zeros(problem.option_count)) @ search.levels.weight
    assert (shares > 1e-6).any() == (brute_force(problem, 12.0) > nothing_h)
    assert set(np.unique(choice)) <= {0.0, 1.0}
    assert choice @ problem.option_cost_eur <= 12.0 * (1 + 1e-9)
    value_h = solve.measure_times(search.network, choice) @ search.levels.weight
    assert moves.incumbent.value_h == pytest.approx(value_h)


def test_a_programme_that_was_ended_leaves_the_plan_to_the_moves():
    search = prepare(make_problem(1, nodes=14, sites=10, approaches=3), 12.0)
    programme = make_programme(search)
    programme.cancel()
    assert programme.solve(1.0, soon()) is None
    assert programme.find_paths(soon()) == []
    relaxed = RelaxedPlan(programme)
    assert relaxed.seek(PlanSearch(search.incumbent, 1), soon()) is not None


def test_no_time_no_paths():
    programme = make_programme(prepare(make_problem(1), 12.0))
    assert programme.find_paths(time.monotonic() - 1.0) == []


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("seed", range(4))
def test_a_study_treated_as_large_gets_the_same_proven_value(seed, threads, monkeypatch):
    monkeypatch.setattr(solve, "LARGE_ARCS", 0)
    problem = make_problem(seed, approaches=2, rules=(limit_rule([0, 1, 2], [1, 1, 1], 2),))
    solution = solve.solve_problem(problem, 12.0, gap=0.0, time_limit_s=60.0, threads=threads)
    assert all(len(edges) == 2 for edges in solution.grid)
    assert solution.value_h == pytest.approx(brute_force(problem, 12.0), abs=1e-6)
    assert solution.status == "optimal"
    assert check_certificate(problem, make_certificate(solution)) == []


@pytest.mark.parametrize("objective", ["sum", "minimum"])
def test_rules_that_lock_a_site_in_are_kept(objective, monkeypatch):
    monkeypatch.setattr(solve, "LARGE_ARCS", 0)
    problem = make_problem(3, approaches=2, objective=objective, rules=(limit_rule([0], [-1], -1),))
    solution = solve.solve_problem(problem, 15.0, gap=0.0, time_limit_s=60.0)
    assert 0 in solution.chosen.tolist()
    assert solution.value_h == pytest.approx(brute_force(problem, 15.0), abs=1e-6)


def test_hours_asked_for_an_approach_are_kept(monkeypatch):
    monkeypatch.setattr(solve, "LARGE_ARCS", 0)
    problem = make_problem(2, nodes=14, sites=10, approaches=2)
    free = solve.solve_problem(problem, 12.0, gap=0.0, time_limit_s=60.0)
    asked = {0: float(free.after_h[0])}
    bound = replace(problem, least_hours=asked, least_hours_names={0: "hours of the first"})
    kept = solve.solve_problem(bound, 12.0, gap=0.0, time_limit_s=60.0)
    assert kept.after_h[0] >= asked[0] - 1e-9
    assert kept.value_h == pytest.approx(free.value_h)
