"""Around the plan, against exhaustive search: replacement values, alternatives, curves, rules to drop."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from tests.barrier.problems import limit_rule, make_problem, value_of

from abatis.barrier.curve import measure_slopes, trace_curve, trace_front
from abatis.barrier.explain import SiteRating, find_alternatives, lock_out, rate_sites
from abatis.barrier.explain_rules import (
    explain_conflict,
    find_broken,
    find_smallest_relaxation,
    list_rules,
    search_plan,
)
from abatis.barrier.network import build_network
from abatis.barrier.solve import solve_problem
from abatis.model.errors import InfeasibleError, InputError

CLOSE = 1e-6


def list_choices(problem):
    """Every choice with at most one option per site: options, cost, value, rules broken apart from money."""
    by_site = [[None, *np.flatnonzero(problem.option_site == s)] for s in range(len(problem.site_keys))]
    for picks in itertools.product(*by_site):
        chosen = [int(o) for o in picks if o is not None]
        choice = np.zeros(problem.option_count)
        choice[chosen] = 1
        value, times = value_of(problem, chosen)
        cost = float(problem.option_cost_eur[chosen].sum())
        yield chosen, cost, value, find_broken(problem, math.inf, choice, times)


def best_of(problem, budget, keep=lambda chosen: True):
    fit = [v for c, cost, v, broken in list_choices(problem) if cost <= budget and not broken and keep(c)]
    return max(fit, default=-math.inf)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("objective", ["sum", "minimum"])
def test_site_ratings_equal_exhaustive_search(seed, objective):
    problem = make_problem(seed, objective=objective)
    solution = solve_problem(problem, 12.0, gap=0.0)
    ratings = rate_sites(problem, solution.chosen, 12.0, solution.bound_h, sharpness=0.0)
    assert {one.site for one in ratings} == {
        problem.site_keys[s] for s in problem.option_site[solution.chosen]
    }
    for one in ratings:
        site = problem.site_keys.index(one.site)
        left = [o for o in solution.chosen if problem.option_site[o] != site]
        removal = solution.value_h - value_of(problem, left)[0]
        best = best_of(problem, 12.0, lambda chosen, s=site: s not in problem.option_site[chosen])
        assert one.removal_loss_h == pytest.approx(removal, abs=CLOSE)
        assert one.replacement_high_h == pytest.approx(solution.value_h - best, abs=CLOSE)
        assert one.replacement_low_h <= one.replacement_high_h + CLOSE
        assert one.replacement_low_h == pytest.approx(one.replacement_high_h, abs=CLOSE)
        assert -CLOSE <= one.replacement_high_h <= one.removal_loss_h + CLOSE
        assert not one.broken
    losses = [one.replacement_high_h for one in ratings]
    assert losses == sorted(losses, reverse=True)


def test_without_time_the_bracket_still_holds():
    problem = make_problem(3)
    solution = solve_problem(problem, 12.0, gap=0.0)
    for one in rate_sites(problem, solution.chosen, 12.0, solution.bound_h, time_limit_s=0.0):
        site = problem.site_keys.index(one.site)
        best = best_of(problem, 12.0, lambda chosen, s=site: s not in problem.option_site[chosen])
        assert one.replacement_low_h - CLOSE <= solution.value_h - best <= one.replacement_high_h + CLOSE


def test_a_locked_site_cannot_be_replaced_and_its_rule_is_named():
    problem = make_problem(5)
    options = np.flatnonzero(problem.option_site == 2)
    problem = replace(problem, rules=(limit_rule(options, -np.ones(len(options)), -1, "gate"),))
    solution = solve_problem(problem, 30.0, gap=0.0)
    (rating,) = rate_sites(problem, solution.chosen, 30.0, solution.bound_h, sites=["s2"])
    assert rating.broken == ("rule gate",)
    assert rating.replacement_low_h == rating.replacement_high_h == math.inf
    assert "rule gate" in rating.describe()
    assert rating.describe().endswith("no plan that keeps the rules can do without it.")


def test_a_site_that_is_not_chosen_is_a_fault():
    problem = make_problem(1)
    with pytest.raises(InputError, match="'s9' is not chosen"):
        rate_sites(problem, np.empty(0, np.int32), 5.0, sites=["s9"])


def rating(removal, low, high, broken=()):
    return SiteRating("a", "A", "ditch", 1.0, removal, low, high, broken, ()).describe()


def test_words_of_a_rating():
    assert rating(0.5, 0.1, 0.3) == (
        "Without it the plan loses 0.50 h; "
        "the money spent elsewhere wins back at least 0.20 h, at most 0.40 h."
    )
    assert rating(0.05, 0.05, 0.05) == (
        "Without it the plan loses 3.0 minutes; the money spent elsewhere wins back 0.0 minutes."
    )
    assert rating(0.5, -0.2, -0.1) == (
        "Without it the plan loses 0.50 h; a plan without it is 0.10 h better."
    )
    assert rating(0.5, -0.2, 0.3).endswith(
        "wins back at least 0.20 h (a plan better than this one is not ruled out)."
    )
    assert rating(0.0, 0.0, 0.0).startswith("Without it the plan loses no time;")
    assert rating(0.5, 0.1, math.inf).endswith("no plan without it was found in the time given.")


@pytest.mark.parametrize("seed", range(8))
def test_first_alternative_shares_the_fewest_sites(seed):
    problem = make_problem(seed, sites=7)
    solution = solve_problem(problem, 14.0, gap=0.0)
    floor = 0.9 * solution.value_h
    closed = set(problem.option_site[solution.chosen].tolist())
    fewest = min(
        (
            len(closed & set(problem.option_site[chosen].tolist()))
            for chosen, cost, value, _ in list_choices(problem)
            if cost <= 14 and value >= floor and not closed <= set(problem.option_site[chosen].tolist())
        ),
        default=None,
    )
    others = find_alternatives(problem, solution.chosen, 14.0, count=2, loss_share=0.1)
    if fewest is None:
        assert others == ()
        return
    assert others[0].proven
    assert others[0].most_shared == fewest
    plans = [solution.chosen]
    for one in others:
        value, _ = value_of(problem, one.chosen)
        assert one.value_h == pytest.approx(value) and value >= floor
        assert one.loss_h == pytest.approx(solution.value_h - value)
        assert one.cost_eur == problem.option_cost_eur[one.chosen].sum() <= 14
        sites = set(problem.option_site[one.chosen].tolist())
        shared = [len(sites & set(problem.option_site[plan].tolist())) for plan in plans]
        assert max(shared) == one.most_shared
        assert one.shared_share == pytest.approx(shared[0] / max(1, len(sites)))
        plans.append(one.chosen)


@pytest.mark.parametrize("seed", range(8))
def test_curve_equals_exhaustive_search(seed):
    problem = make_problem(seed)
    budgets = [9.0, 0.0, 3.0, 20.0, 6.0, 9.0]
    points = trace_curve(problem, budgets, gap=0.0)
    assert [one.limit for one in points] == [0.0, 3.0, 6.0, 9.0, 20.0]
    for one in points:
        assert one.value_h == pytest.approx(best_of(problem, one.limit), abs=CLOSE)
        assert one.bound_h == pytest.approx(one.value_h, abs=CLOSE)
        assert value_of(problem, one.chosen)[0] == pytest.approx(one.value_h)
        assert one.cost_eur == problem.option_cost_eur[one.chosen].sum() <= one.limit
    for slope, (a, b) in zip(measure_slopes(points, 1.0), itertools.pairwise(points), strict=True):
        exact = (b.value_h - a.value_h) / (b.limit - a.limit)
        assert slope.low_h - CLOSE <= exact <= slope.high_h + CLOSE
        assert slope.found_h == pytest.approx(exact)


@pytest.mark.parametrize("time_limit_s", [0.0, 0.2])
def test_curve_rises_even_when_searches_are_cut_short(time_limit_s):
    problem = make_problem(4, nodes=30, sites=20)
    points = trace_curve(problem, range(0, 60, 6), gap=0.0, time_limit_s=time_limit_s)
    for a, b in itertools.pairwise(points):
        assert b.value_h >= a.value_h
        assert b.bound_h >= a.bound_h
    for one in points:
        assert one.bound_h >= one.value_h
        assert one.cost_eur <= one.limit
        exact = solve_problem(problem, one.limit, gap=0.0, time_limit_s=20)
        assert one.value_h <= exact.bound_h + CLOSE
        assert one.bound_h >= exact.value_h - CLOSE


def test_budgets_too_small_for_the_rules_have_no_plan():
    problem = make_problem(5)
    options = np.flatnonzero(problem.option_site == 2)
    least = problem.option_cost_eur[options].min()
    problem = replace(problem, rules=(limit_rule(options, -np.ones(len(options)), -1, "gate"),))
    none, some = trace_curve(problem, [least - 0.5, least], gap=0.0)
    assert none.chosen is None and none.value_h == none.bound_h == -math.inf
    assert some.value_h == pytest.approx(best_of(problem, least), abs=CLOSE)
    assert measure_slopes((none, some)) == ()


@pytest.mark.parametrize("seed", range(5))
def test_front_against_another_amount_equals_exhaustive_search(seed):
    problem = make_problem(seed)
    land = np.random.default_rng(seed).integers(0, 4000, problem.option_count).astype(float)
    limits = [0.0, 2000.0, 5000.0]
    for one in trace_front(problem, 15.0, land, limits, gap=0.0):
        best = best_of(problem, 15.0, lambda chosen, m=one.limit: land[chosen].sum() <= m)
        assert one.value_h == pytest.approx(best, abs=CLOSE)
        assert land[one.chosen].sum() <= one.limit + CLOSE


@pytest.mark.parametrize("seed", range(5))
def test_front_with_the_free_plan_at_hand(seed):
    """The plan without a limit answers the limits it keeps, and its bound holds for the others."""
    problem = make_problem(seed)
    land = np.random.default_rng(seed).integers(1, 4000, problem.option_count).astype(float)
    (free,) = trace_curve(problem, [15.0], gap=0.0)
    most = land[free.chosen].sum()
    points = trace_front(problem, 15.0, land, [0.0, most / 2, most, 2 * most], gap=0.0, free=free)
    assert [one.limit for one in points] == [0.0, most / 2, most, 2 * most]
    assert points[-1].chosen is points[-2].chosen is free.chosen
    for one in points:
        best = best_of(problem, 15.0, lambda chosen, m=one.limit: land[chosen].sum() <= m)
        assert one.value_h == pytest.approx(best, abs=CLOSE)
        assert one.value_h <= one.bound_h <= free.bound_h + CLOSE
    hasty = trace_front(problem, 15.0, land, [0.0, most / 2], time_limit_s=0.0, free=free)
    assert max(one.bound_h for one in hasty) <= free.bound_h


def make_strict(seed):
    """A problem whose rules often contradict each other and the budget."""
    random = np.random.default_rng(seed)
    problem = make_problem(seed, sites=5)
    sites = [np.flatnonzero(problem.option_site == s) for s in range(5)]
    rules = [limit_rule(sites[s], -np.ones(len(sites[s])), -1, f"in{s}") for s in random.permutation(5)[:2]]
    rules += [limit_rule(sites[s], np.ones(len(sites[s])), 0, f"out{s}") for s in random.permutation(5)[:2]]
    rules.append(limit_rule(range(problem.option_count), np.ones(problem.option_count), 1, "few"))
    least = {k: float(random.uniform(3, 9)) for k in range(int(random.integers(0, 3)))}
    names = {k: f"at least {hours} h for a{k}" for k, hours in least.items()}
    return replace(problem, rules=tuple(rules), least_hours=least, least_hours_names=names)


@pytest.mark.parametrize("seed", range(30))
def test_smallest_relaxations_equal_exhaustive_search(seed):
    problem, budget = make_strict(seed), 4.0
    plans = [
        (cost, broken | ({0} if cost > budget else set())) for _, cost, _, broken in list_choices(problem)
    ]
    size = min(len(broken) for _, broken in plans)
    conflict = find_smallest_relaxation(problem, budget)
    if size == 0:
        assert conflict.sets == () and conflict.proven
        return
    rules = list_rules(problem, budget)
    smallest = {tuple(rules[n][0] for n in sorted(broken)) for _, broken in plans if len(broken) == size}
    assert set(conflict.sets) == smallest
    assert conflict.proven
    first = next((one for one in conflict.sets if "budget" in one), None)
    if first is None:
        assert conflict.missing_low_eur is None and conflict.missing_high_eur is None
        return
    needed = min(cost for cost, broken in plans if {rules[n][0] for n in broken} <= set(first)) - budget
    assert conflict.missing_low_eur <= needed <= conflict.missing_high_eur
    assert conflict.missing_high_eur == needed


def test_the_error_names_the_rules_and_the_money():
    problem = make_problem(5)
    options = np.flatnonzero(problem.option_site == 2)
    least = problem.option_cost_eur[options].min()
    problem = replace(problem, rules=(limit_rule(options, -np.ones(len(options)), -1, "gate"),))
    error = explain_conflict(problem, least - 1)
    assert isinstance(error, InfeasibleError)
    assert error.rules == (f"the budget of EUR {least - 1:,.0f}", "rule gate")
    assert "EUR 1 more is enough" in str(error)
    assert error.proven
    assert str(error).startswith("No plan keeps all rules.")


def test_an_unproven_conflict_says_so():
    """Least hours that no quick look settles, and no time: none was found, which is not that none exists."""
    problem = make_problem(3, sites=8)
    ceiling = value_of(problem, range(problem.option_count))[1]
    asked = {0: 0.5 * (value_of(problem, [])[1][0] + ceiling[0])}
    problem = replace(problem, least_hours=asked, least_hours_names={0: "more hours"})
    error = explain_conflict(problem, 3.0, time_limit_s=0.0)
    assert not error.proven
    assert error.exit_code == 2
    assert str(error).startswith("No plan that keeps all rules was found in the time given; one may exist.")


def test_ceiling_without_a_site_bounds_every_plan_without_it():
    """The bound that needs no search holds for every plan, and is met when money is no matter."""
    problem = make_problem(6, sites=6)
    everything = float(problem.option_cost_eur.sum())
    solution = solve_problem(problem, everything, gap=0.0)
    for one in rate_sites(problem, solution.chosen, everything, solution.bound_h, time_limit_s=0.0):
        site = problem.site_keys.index(one.site)
        best = best_of(problem, everything, lambda chosen, s=site: s not in problem.option_site[chosen])
        assert one.replacement_low_h <= solution.value_h - best + CLOSE


def test_a_given_network_changes_nothing():
    """Compressed once for all questions: the same answers as when each compresses anew."""
    problem = make_problem(4, sites=7)
    network = build_network(problem)
    solution = solve_problem(problem, 12.0, gap=0.0)
    land = np.arange(problem.option_count, dtype=float)
    for ask in (
        lambda n: [(p.limit, p.value_h) for p in trace_curve(problem, [3.0, 9.0], 0.0, network=n)],
        lambda n: [
            (p.limit, p.value_h) for p in trace_front(problem, 12.0, land, [2.0, 9.0], 0.0, network=n)
        ],
        lambda n: [
            (r.site, r.replacement_high_h)
            for r in rate_sites(problem, solution.chosen, 12.0, solution.bound_h, network=n)
        ],
        lambda n: [
            (a.most_shared, a.proven) for a in find_alternatives(problem, solution.chosen, 12.0, network=n)
        ],
    ):
        assert ask(network) == ask(None)


def test_without_time_nothing_is_claimed_to_be_proven():
    problem, budget = make_strict(0), 4.0
    conflict = find_smallest_relaxation(problem, budget, time_limit_s=0.0)
    assert conflict.sets and not conflict.proven
    assert "did not suffice" in conflict.message


def test_a_stopped_search_keeps_its_plan_and_a_user_s_stop_goes_on():
    problem = make_problem(0, nodes=20, sites=40, approaches=3)
    answer = search_plan(problem, 60.0, 0.0, 20.0, 1, lambda value_h, _: math.isfinite(value_h))
    assert answer.solution is not None
    assert answer.solution.status == "interrupted"

    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search_plan(problem, 60.0, 0.0, 20.0, 1, interrupt)


def test_locking_out_leaves_the_given_problem_alone():
    problem = make_problem(1)
    assert len(lock_out(problem, 0).rules) == 1
    assert problem.rules == ()
