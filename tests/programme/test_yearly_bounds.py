"""Bounds of single years: never below what any schedule holds, by themselves or carried between years."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from tests.programme.schedule_cases import draw_case, keeps_terms, value_schedule

from abatis.barrier.textbook import make_textbook_problem
from abatis.programme.nesting import nest_sets, order_starts
from abatis.programme.spans import Capacity
from abatis.programme.terms import NEVER, make_terms
from abatis.programme.timeline import make_timeline
from abatis.programme.yearly_bounds import bound_year, limit_purchases


def list_best(problem, terms):
    """The most that any schedule holds in each year, by trying all."""
    best = np.full(terms.year_count, -np.inf)
    alone = [replace(terms, weight=one) for one in np.eye(terms.year_count)]
    known = {}
    for start in itertools.product([*range(terms.year_count), NEVER], repeat=terms.option_count):
        if keeps_terms(terms, start):
            values = [value_schedule(problem, one, start, known) for one in alone]
            best = np.maximum(best, values)
    return best


def draw_tight_case(seed):
    """Three ways side by side with two options each, and little money; some with growth or crews."""
    random = np.random.default_rng(seed)
    tail, head = np.array([0, 1, 0, 2, 0, 3]), np.array([1, 4, 2, 4, 3, 4])
    hours, delay = random.uniform(1.0, 1.5, 6), random.uniform(0.3, 2.0, 6)
    cost = random.uniform(1.0, 3.0, 6)
    problem = make_textbook_problem(tail, head, hours, delay, cost, 0, 4)
    money = random.uniform(0.1, 0.3, 3) * cost.sum()
    terms = make_terms(np.arange(6), cost, money, None, 0.05, 0.03, float(random.choice([1.0, 0.5])))
    if seed % 3 == 0:
        terms = replace(terms, growth=np.sort(random.uniform(0.3, 1, (6, 2, 3)), axis=2))
    if seed % 2:
        terms = replace(terms, capacities=(Capacity("crews", np.ones(6), 2.0),))
    return problem, terms


def prove_years(problem, terms, seconds, order):
    """Bounds of all years, each proven for some seconds in the order given."""
    timeline = make_timeline(problem, terms)
    yearly = [bound_year(timeline, year, 0.0, 1) for year in range(terms.year_count)]
    for year in order:
        yearly[year].find_set(1.0)
        yearly[year].prove(yearly, seconds)
    return yearly


@pytest.mark.parametrize("seed", range(160))
def test_bounds_from_later_years_hold(seed):
    """Settled and unsettled trees alike: every fourth case stops long before its proof."""
    problem, terms = draw_tight_case(seed) if seed >= 40 else draw_case(seed)
    best = list_best(problem, terms)
    yearly = prove_years(problem, terms, 1.0 if seed % 4 else 1e-4, range(terms.year_count))
    for one in yearly:
        assert one.bound_h >= best[one.year] * (1 - 1e-9)
        for later in yearly[one.year :]:
            assert later.bound_earlier(one) >= best[one.year] * (1 - 1e-9)
            if later is not one:
                assert one.bound_earlier(later) == np.inf


def test_bounds_from_later_years_tell_more_than_those_years():
    """Less money takes its price off: not every carried bound is just that of the later year."""
    lower = 0
    for seed in range(20):
        problem, terms = draw_tight_case(seed)
        yearly = prove_years(problem, terms, 1.0, range(terms.year_count))
        last = yearly[-1]
        lower += any(last.bound_earlier(one) < last.bound_h - 1e-6 for one in yearly[:-1])
    assert lower >= 5


@pytest.mark.parametrize("seed", range(15))
def test_routes_are_shared_only_where_they_name_every_delay(seed):
    """An effect that is nothing in its first year: routes found then do not know its later delay."""
    problem, terms = draw_tight_case(seed)
    growth = np.ones((6, 2, 3))
    growth[np.random.default_rng(seed).permutation(6)[:2], :, 0] = 0.0
    terms = replace(terms, growth=growth, capacities=())
    best = list_best(problem, terms)
    yearly = prove_years(problem, terms, 1.0, range(terms.year_count))
    for one in yearly:
        assert one.bound_earlier(one) >= best[one.year] * (1 - 1e-9), "what the tree alone proves"
    assert not yearly[1]._has_ground_of(yearly[0])
    assert yearly[2]._has_ground_of(yearly[1])


@pytest.mark.parametrize("seed", range(12))
def test_nested_sets_lie_inside_each_other_and_within_the_money(seed):
    problem, terms = draw_case(seed)
    timeline = make_timeline(problem, terms)
    yearly = prove_years(problem, terms, 0.0, range(terms.year_count))
    for first in range(terms.year_count):
        sets = nest_sets(timeline, yearly, first, 1, 1.0)
        assert (sets[:-1] <= sets[1:]).all()
        for year, built in enumerate(sets):
            most = limit_purchases(terms, 0, year)
            assert terms.cost_eur[built, 0].sum() <= max(0.0, most) * (1 + 1e-9)
        order = order_starts(terms, sets)
        assert sorted(order) == list(range(terms.option_count))


def test_the_year_chosen_first_takes_its_best_set():
    problem, terms = draw_case(0)
    timeline = make_timeline(problem, terms)
    yearly = prove_years(problem, terms, 2.0, range(terms.year_count))
    for first in range(terms.year_count):
        sets = nest_sets(timeline, yearly, first, 1, 2.0)
        held = bound_year(timeline, first, 0.0, 1, (sets[first], sets[first]))
        assert held.search is None
        assert held.value_h == pytest.approx(yearly[first].value_h, rel=1e-9)
