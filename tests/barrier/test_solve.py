"""The solver against brute force, its laws, and its manners."""

import dataclasses
import os
import signal
import sys
import threading
import time
from pathlib import Path

import highspy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.barrier.problems import brute_force, draw_study, limit_rule, make_problem, value_of

from abatis.barrier.certificate import check_certificate
from abatis.barrier.crew import Crew
from abatis.barrier.network import build_network
from abatis.barrier.proof import make_certificate
from abatis.barrier.solve import Search, measure_times, solve_problem
from abatis.model.errors import InfeasibleError, InputError
from abatis.model.plan import Problem

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from solver.families import make_wood


def chain_problem() -> Problem:
    """Two ways from 0 to 3: over 1 (2 h) and over 2 (3 h); one site on each."""
    problem = make_problem(0, nodes=4, sites=2, approaches=1)
    return dataclasses.replace(
        problem,
        tail=np.array([0, 1, 0, 2], np.int32),
        head=np.array([1, 3, 2, 3], np.int32),
        open_h=np.array([[1.0, 1.0, 1.0, 2.0]]),
        road_h=np.full((1, 4), np.inf),
        approach_group=np.zeros(1, np.int32),
        approach_weight=np.ones(1),
        approach_sources=(np.array([0], np.int32),),
        approach_targets=(np.array([3], np.int32),),
        option_keys=("first", "second"),
        option_site=np.array([0, 1], np.int32),
        option_cost_eur=np.array([10.0, 5.0]),
        option_start=np.array([0, 1, 2]),
        option_edge=np.array([0, 2], np.int32),
        option_open_h=np.array([4.0, 4.0]),
        option_road_h=np.zeros(2),
    )


@pytest.mark.parametrize(("budget", "value"), [(0, 2.0), (5, 2.0), (10, 3.0), (15, 6.0)])
def test_two_ways_by_hand(budget, value):
    """Closing the fast way buys one hour, as the other way is one hour longer; closing both buys four."""
    solution = solve_problem(chain_problem(), budget, gap=0.0)
    assert solution.value_h == pytest.approx(value, abs=1e-12)
    assert solution.bound_h == pytest.approx(value, rel=1e-7)
    assert solution.status == "optimal"


def test_a_road_beside_open_ground_buys_nothing():
    """Closing the road alone leaves the field: the two modes make that visible."""
    problem = dataclasses.replace(
        chain_problem(),
        road_h=np.array([[0.5, np.inf, np.inf, np.inf]]),
        option_open_h=np.array([0.0, 0.0]),
        option_road_h=np.array([9.0, 9.0]),
    )
    solution = solve_problem(problem, 100.0, gap=0.0)
    assert solution.before_h == pytest.approx([1.5])
    assert solution.value_h == pytest.approx(2.0)


@pytest.mark.parametrize("first", range(0, 1000, 50))
def test_equal_to_brute_force(first):
    """A thousand studies with options, limits, locks and both objectives: always the value of trying all.

    Crossings delay both modes apart, several options share a site, several edges too; every plan and every
    bound is checked again from its certificate.
    """
    differing = []
    for seed in range(first, first + 50):
        problem, budget = draw_study(seed)
        best = brute_force(problem, budget)
        try:
            solution = solve_problem(problem, budget, gap=0.0, time_limit_s=20.0)
        except InfeasibleError:
            if best is not None:
                differing.append((seed, best, "no plan"))
            continue
        reasons = check_certificate(problem, make_certificate(solution))
        close = best is not None and (solution.value_h, solution.bound_h) == (
            pytest.approx(best, rel=1e-9),
            pytest.approx(best, rel=1e-6),
        )
        if not close or reasons:
            differing.append((seed, best, solution.value_h, solution.bound_h, reasons))
    assert differing == []


def test_the_drawn_studies_have_what_they_should():
    """Enough of every kind among the thousand: several options, rules, least hours, no plan at all."""
    drawn = [draw_study(seed) for seed in range(1000)]
    problems = [problem for problem, _ in drawn]
    rules = [rule.key for problem in problems for rule in problem.rules]
    assert min(rules.count(key) for key in ("limit", "few", "lock in", "lock out")) >= 100
    assert sum(bool(problem.least_hours) for problem in problems) >= 150
    assert sum(problem.objective == "minimum" for problem in problems) == 250
    assert sum(problem.option_count > len(problem.site_keys) for problem in problems) >= 800
    assert sum(problem.directed for problem in problems) >= 100
    assert 20 <= sum(brute_force(*one) is None for one in drawn) <= 300


@given(seed=st.integers(0, 10**6), data=st.data())
@settings(max_examples=40, deadline=None)
def test_compression_is_exact(seed, data):
    """Times on the compressed network equal plain Dijkstra on the whole graph for any choice."""
    problem = make_problem(seed, nodes=14, sites=5, approaches=3, directed=bool(seed % 2))
    network = build_network(problem)
    picks = data.draw(st.lists(st.integers(0, problem.option_count - 1), unique=True))
    picks = list({problem.option_site[o]: o for o in picks}.values())
    choice = np.zeros(problem.option_count)
    choice[picks] = 1.0
    assert measure_times(network, choice) == pytest.approx(value_of(problem, picks)[1], rel=1e-12)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_more_budget_never_worsens_a_plan_and_money_scales_only_money(seed):
    """Two laws that hold whatever the study."""
    problem = make_problem(seed, sites=5)
    poor, rich = (solve_problem(problem, budget, gap=0.0).value_h for budget in (6.0, 12.0))
    assert rich >= poor - 1e-9
    dear = dataclasses.replace(problem, option_cost_eur=problem.option_cost_eur * 1000)
    assert solve_problem(dear, 6000.0, gap=0.0).value_h == pytest.approx(poor, rel=1e-9)


def test_same_seed_same_plan():
    """The plan and its certificate are the same, run after run."""
    problem = make_problem(5, nodes=20, sites=10, approaches=3)
    first, second = (make_certificate(solve_problem(problem, 15.0, gap=0.0, seed=3)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("time_limit_s", [0.02, 0.05, 0.1, 0.2, 0.4])
def test_any_time_limit_gives_a_plan_and_a_bound_that_verify(time_limit_s):
    """Wherever the clock stops the search, plan, bound and certificate fit together."""
    problem = make_problem(8, nodes=60, sites=40, approaches=4)
    solution = solve_problem(problem, 30.0, gap=0.0, time_limit_s=time_limit_s)
    assert solution.bound_h >= solution.value_h
    assert check_certificate(problem, make_certificate(solution)) == []


def test_time_limit_and_interruption_return_the_best_plan_with_its_bound():
    """Stopping early is an honest answer: a plan, a bound above it, a certificate that holds."""
    problem = make_problem(8, nodes=40, sites=24, approaches=3)
    limited = solve_problem(problem, 40.0, gap=0.0, time_limit_s=0.0)
    assert limited.bound_h >= limited.value_h
    assert check_certificate(problem, make_certificate(limited)) == []

    def interrupt(value_h, bound_h, seconds):
        raise KeyboardInterrupt

    stopped = solve_problem(problem, 40.0, gap=0.0, progress=interrupt)
    assert stopped.status in ("interrupted", "optimal")
    assert check_certificate(problem, make_certificate(stopped)) == []


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_at_any_moment_gives_a_plan_and_a_bound_that_verify(threads):
    """No exception falls into compiled code: the search is told, and ends at its next look at the clock."""
    grid = make_wood(20, 20, 100, 200, 1, 10, 0)
    network = build_network(grid.problem)
    for moment in range(15):
        timer = threading.Timer(0.02 * moment, os.kill, [os.getpid(), signal.SIGINT])
        with Crew(threads) as crew, crew.heed_interrupts():
            timer.start()
            search = Search(grid.problem, grid.budget, 0.0, 1, network, crew)
            assert search.run(time.monotonic() + 60.0, lambda *_: None) == "interrupted"
            solution = search.describe()
        assert solution.bound_h > solution.value_h
        assert check_certificate(grid.problem, make_certificate(solution)) == []


def test_contradictory_locks_are_named():
    """Two locks that cost more than the budget: the answer is their names, not a plan."""
    problem = make_problem(2, rules=[limit_rule([0], [-1], -1, "one"), limit_rule([4], [-1], -1, "two")])
    with pytest.raises(InfeasibleError, match=r"rule one.*rule two") as caught:
        solve_problem(problem, 0.5, gap=0.0)
    assert caught.value.exit_code == 2


def test_unreachable_objectives_and_negative_budgets_are_faults():
    """Named faults instead of infinite hours."""
    problem = chain_problem()
    cut_off = dataclasses.replace(problem, open_h=np.array([[1.0, np.inf, 1.0, np.inf]]))
    with pytest.raises(InputError, match="'a0' cannot reach its objective"):
        solve_problem(cut_off, 10.0)
    with pytest.raises(InputError, match="at least 0"):
        solve_problem(problem, -1.0)


def draw_lanes(seed: int) -> Problem:
    """Lanes side by side from 0 to the last node, a site on each edge; of two vehicles the first counts."""
    random = np.random.default_rng(seed)
    width = int(random.integers(2, 4))
    last = 1 + 2 * width
    edges = [(0, 1 + lane) for lane in range(width)] + [(1 + lane, 1 + width + lane) for lane in range(width)]
    edges += [(1 + width + lane, last) for lane in range(width)]
    edges += [(first + lane, first + lane + 1) for first in (1, 1 + width) for lane in range(width - 1)]
    count = len(edges)
    hours = random.uniform(1.0, 3.0, count)
    ends = (np.array([0], np.int32),) * 2, (np.array([last], np.int32),) * 2
    return dataclasses.replace(
        make_problem(0, nodes=last + 1, sites=count, approaches=2),
        node_count=last + 1,
        tail=np.array([tail for tail, _ in edges], np.int32),
        head=np.array([head for _, head in edges], np.int32),
        open_h=np.stack([hours, hours * random.uniform(0.7, 1.3, count)]),
        road_h=np.full((2, count), np.inf),
        approach_group=np.array([0, 1], np.int32),
        approach_weight=np.array([0.5, 0.5]),
        approach_sources=ends[0],
        approach_targets=ends[1],
        site_keys=tuple(f"s{site}" for site in range(count)),
        site_names=tuple(f"s{site}" for site in range(count)),
        option_keys=("o",) * count,
        option_site=np.arange(count, dtype=np.int32),
        option_cost_eur=random.integers(1, 4, count).astype(float),
        option_start=np.arange(count + 1),
        option_edge=np.arange(count, dtype=np.int32),
        option_open_h=random.uniform(1.0, 3.0, count),
        option_road_h=np.zeros(count),
        rules=(),
        objective="minimum",
    )


@pytest.mark.parametrize("seed", range(12))
def test_vehicles_on_the_same_ground_keep_paths_of_their_own(seed):
    problem = draw_lanes(seed)
    solution = solve_problem(problem, 4.0, gap=0.0)
    assert check_certificate(problem, make_certificate(solution)) == []
    assert solution.value_h == pytest.approx(brute_force(problem, 4.0))


def test_certificate_takes_the_way_that_no_option_delays():
    """Open ground and road take as long; the option delays the road alone and buys nothing."""
    problem = dataclasses.replace(
        chain_problem(),
        road_h=np.array([[1.0, 1.0, 1.0, 2.0]]),
        option_open_h=np.array([0.0, 4.0]),
        option_road_h=np.array([4.0, 4.0]),
    )
    solution = solve_problem(problem, 100.0, gap=0.0)
    assert solution.value_h == pytest.approx(2.0)
    assert check_certificate(problem, make_certificate(solution)) == []


@pytest.mark.parametrize(
    ("cost", "budget", "value"), [(1e9 + 1, 1e9, 2.0), (1e-10, 0.0, 2.0), (1e9, 1e9, 3.0)]
)
def test_no_plan_costs_more_than_its_budget(cost, budget, value):
    problem = dataclasses.replace(chain_problem(), option_cost_eur=np.array([cost, cost]))
    solution = solve_problem(problem, budget, gap=0.0, time_limit_s=2.0)
    assert solution.value_h == pytest.approx(value)
    assert problem.option_cost_eur[solution.chosen].sum() <= budget


def test_told_gap_is_never_above_the_one_asked():
    for seed in range(5):
        for asked in (0.01, 0.1):
            solution = solve_problem(make_problem(seed), 5.0, gap=asked)
            assert solution.status in ("optimal", "gap") and solution.gap <= asked


def test_linear_programme_that_fails_is_solved_anew(monkeypatch):
    """Rows of very small room have made the solver keep a wrong answer; a new one is right."""
    answers = iter([highspy.HighsModelStatus.kUnbounded])
    real = highspy.Highs.getModelStatus
    monkeypatch.setattr(highspy.Highs, "getModelStatus", lambda model: next(answers, None) or real(model))
    solution = solve_problem(chain_problem(), 15.0, gap=0.0)
    assert solution.value_h == pytest.approx(6.0) and solution.status == "optimal"
