"""Schedules: best on small cases by trying all, every limit kept, bounds that hold, money to the cent."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.programme.schedule_cases import draw_case, keeps_terms, make_problem, try_all, value_schedule

from abatis.model.errors import InfeasibleError, InputError
from abatis.model.plan import Plan
from abatis.programme import schedule as schedule_module
from abatis.programme.kept import Asked, find_schedule
from abatis.programme.limits import make_limits
from abatis.programme.schedule import solve_schedule, spend_money
from abatis.programme.spans import Capacity, Lot, Order
from abatis.programme.terms import NEVER, make_terms


def rows_of(answer, terms):
    """Start rows as the bookkeeper of the cases reads them."""
    return np.where(answer.start_year < 0, NEVER, answer.start_year - terms.years[0])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10_000))
def test_small_schedules_are_the_best_of_all(seed):
    problem, terms = draw_case(seed)
    answer = solve_schedule(problem, terms, gap=0.0, time_limit_s=20.0)
    start = rows_of(answer, terms)
    assert keeps_terms(terms, start)
    assert answer.objective == pytest.approx(value_schedule(problem, terms, start, {}), rel=1e-9)
    best = try_all(problem, terms)
    assert answer.objective == pytest.approx(best, rel=1e-7)
    assert answer.bound >= best * (1 - 1e-9)
    assert answer.exact


@pytest.mark.parametrize("seed", range(12))
def test_bounds_by_year_hold_without_the_joint_proof(seed, monkeypatch):
    """What large cases rest on: windows keep the terms, and the sum of yearly bounds is never passed."""
    monkeypatch.setattr(schedule_module, "SMALL_COLUMNS", 0)
    problem, terms = draw_case(seed)
    answer = solve_schedule(problem, terms, gap=0.0, time_limit_s=1.5)
    best = try_all(problem, terms)
    assert keeps_terms(terms, rows_of(answer, terms))
    assert answer.objective <= best * (1 + 1e-9)
    assert answer.bound >= best * (1 - 1e-9)
    assert answer.objective >= best * 0.97


def plain_case(money=(10.0, 10.0, 10.0), **settings):
    problem = make_problem(8, sites=4)
    options = np.unique(problem.option_site, return_index=True)[1]
    return problem, make_terms(options, np.array([6.0, 7.0, 8.0, 9.0]), np.array(money), None, **settings)


def test_more_money_and_more_carry_over_never_hold_less():
    values = []
    for factor, carry in ((0.5, 0.0), (0.5, 1.0), (1.0, 1.0), (3.0, 1.0)):
        problem, terms = plain_case(tuple(factor * np.array([5.0, 10.0, 10.0])), carry_over=carry)
        values.append(solve_schedule(problem, terms, gap=0.0).objective)
    assert values == sorted(values)
    assert len(set(values)) == 4


def test_scaling_money_scales_only_money():
    problem, terms = plain_case()
    scaled = replace(
        terms,
        cost_eur=terms.cost_eur * 1e6,
        funding=replace(terms.funding, money_eur=terms.funding.money_eur * 1e6),
    )
    small, large = solve_schedule(problem, terms, gap=0.0), solve_schedule(problem, scaled, gap=0.0)
    assert small.start_year.tolist() == large.start_year.tolist()
    assert large.objective == pytest.approx(small.objective, rel=1e-12)
    assert large.spend_eur == pytest.approx(small.spend_eur * 1e6)


def test_payments_add_up_to_the_cent():
    problem, terms = plain_case((4e6, 4e6, 4e6), indexation=0.03)
    terms = replace(terms, cost_eur=np.array([[1234567.89], [100.01], [0.02], [765432.11]]))
    answer = solve_schedule(problem, terms, gap=0.0)
    built = answer.start_year >= 0
    assert built.all()
    assert round(answer.spend_eur.sum() * 100) == round(terms.cost_eur[built].sum() * 100)
    nominal = np.round(answer.spend_eur * terms.index, 2)
    assert np.array_equal(answer.nominal_eur, nominal)


def test_two_lines_of_a_fund_pay_one_after_the_other_and_locked_lines_spend_what_they_have():
    _, terms = plain_case()
    line = terms.funding.lines[0]
    lines = (replace(line, key="a"), replace(line, key="b"), replace(line, key="locked", planned=False))
    money = np.array([[2.0, 2.0, 2.0], [8.0, 8.0, 8.0], [5.0, 0.0, 1.0]])
    terms = replace(terms, funding=replace(terms.funding, lines=lines, money_eur=money, funds=((0, 1),)))
    start = np.array([0, 1, 2, NEVER])
    base, nominal = spend_money(terms, start)
    assert nominal[:2].sum(axis=0).tolist() == [6.0, 7.0, 8.0]
    assert nominal[0].tolist() == [2.0, 2.0, 2.0]
    assert nominal[2].tolist() == [5.0, 0.0, 1.0]
    assert np.array_equal(base, nominal)


def test_fixed_works_keep_their_years_and_take_their_money():
    problem, terms = plain_case((10.0, 10.0, 10.0))
    fixed = np.array([-2, 1, NEVER, NEVER])
    given_terms = replace(terms, fixed_start=fixed, fixed_finish=np.array([-1, 1, NEVER, NEVER]))
    answer = solve_schedule(problem, given_terms, gap=0.0)
    assert answer.start_year[:2].tolist() == [-2, 1]
    assert answer.finish_year[:2].tolist() == [-1, 1]
    free_eur = terms.cost_eur[2:, 0][answer.start_year[2:] >= 0].sum()
    assert answer.spend_eur.sum() == pytest.approx(7.0 + free_eur)
    assert answer.value_h[0] >= answer.before_h
    first = np.array([0, 0, 0, NEVER])
    with pytest.raises(InfeasibleError, match="money of planned up to 0"):
        solve_schedule(problem, replace(terms, fixed_start=first, fixed_finish=first))


def test_each_limit_binds():
    problem, terms = plain_case((100.0, 0.0, 0.0))
    free = solve_schedule(problem, terms, gap=0.0)
    assert (free.start_year == 0).all()
    ones = np.ones(4)
    slow = solve_schedule(problem, replace(terms, capacities=(Capacity("crews", ones, 2.0),)), gap=0.0)
    assert np.bincount(slow.start_year, minlength=3).tolist() == [2, 2, 0]
    order = (Order("0 first", 2, np.array([0]), np.array([1, 2, 3])),)
    after = solve_schedule(problem, replace(terms, orders=order), gap=0.0)
    assert after.start_year[0] == 0
    assert (after.start_year[1:] == 1).all()
    lots = replace(terms, lots=(Lot("kit", ones, 3.0),), capacities=(Capacity("crews", ones, 3.0),))
    ordered = solve_schedule(problem, lots, gap=0.0)
    assert sorted(ordered.start_year.tolist()) == [-1, 0, 0, 0]
    assert set(make_limits(lots).kinds) == {"capacity", "lot"}


def test_growth_holds_back_hours_and_never_adds_any():
    problem, terms = plain_case((100.0, 0.0, 0.0))
    slow = replace(terms, growth=np.tile(np.array([0.0, 0.02, 1.0]), (4, 2, 1)))
    full, grown = solve_schedule(problem, terms, gap=0.0), solve_schedule(problem, slow, gap=0.0)
    assert grown.value_h[0] == pytest.approx(grown.before_h)
    assert grown.value_h[1] < full.value_h[1]
    assert grown.value_h[2] == pytest.approx(full.value_h[2])


def test_same_seed_same_schedule_and_empty_plan():
    problem, terms = draw_case(8)
    first, second = (solve_schedule(problem, terms, gap=0.0, seed=3) for _ in range(2))
    assert first.start_year.tolist() == second.start_year.tolist()
    assert first.held_h.tobytes() == second.held_h.tobytes()
    empty = make_terms(np.empty(0, np.int64), np.empty(0), np.array([1.0, 1.0]))
    with pytest.raises(InputError, match="no options"):
        solve_schedule(problem, empty)


def test_a_kept_schedule_is_made_anew_when_posts_see_other_cells(tmp_path):
    problem, terms = plain_case()
    plan = Plan(
        "base", "", "sum", "optimal", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, (), (), "study", 1, 0.0, "", "old watch"
    )  # fmt: skip
    asked = Asked(None, 0.0, 20.0, 1)
    first = find_schedule(tmp_path, plan, problem, terms, asked)
    assert find_schedule(tmp_path, plan, problem, terms, asked).seconds == first.seconds
    longer = replace(problem, open_h=problem.open_h + 1.0, road_h=problem.road_h + 1.0)
    later = find_schedule(tmp_path, replace(plan, watch_hash="new watch"), longer, terms, asked)
    assert later.value_h[-1] == solve_schedule(longer, terms, gap=0.0).value_h[-1] > first.value_h[-1]
