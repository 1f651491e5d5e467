"""One tree for several years: its bounds are never below what a year can hold, and meet it in the end."""

import time
from dataclasses import replace

import numpy as np
import pytest
from tests.programme.schedule_cases import draw_case
from tests.programme.test_yearly_bounds import draw_tight_case, list_best

from abatis.barrier.crew import Crew
from abatis.programme.common_tree import join_years
from abatis.programme.timeline import make_timeline
from abatis.programme.yearly_bounds import bound_year


def join_case(problem, terms, crew=None):
    """Years of a case with a set each, and the trees that several of them share."""
    timeline = make_timeline(problem, terms)
    yearly = [bound_year(timeline, year, 0.0, 1, crew=crew) for year in range(terms.year_count)]
    for one in yearly:
        one.find_set(1.0)
    return yearly, join_years(yearly, terms.weight, 0.0, crew)


def list_best_alone(problem, terms):
    """The most that each year's own money, capacity and order allow, by trying all sets."""
    timeline = make_timeline(problem, terms)
    best = np.full(terms.year_count, -np.inf)
    for year in range(terms.year_count):
        incumbent = bound_year(timeline, year, 0.0, 1).search.incumbent
        for number in range(2**terms.option_count):
            choice = (number >> np.arange(terms.option_count)) & 1
            incumbent.offer(choice.astype(float))
        best[year] = incumbent.value_h
    return best


@pytest.mark.parametrize("seed", range(60))
def test_bounds_of_joined_years_hold(seed):
    """Against every schedule; every third case stops long before its proof."""
    problem, terms = draw_tight_case(seed) if seed % 2 else draw_case(seed)
    terms = replace(terms, growth=np.ones_like(terms.growth))
    best = list_best(problem, terms)
    yearly, joined = join_case(problem, terms)
    for group in joined:
        group.prove(1.0 if seed % 3 else 1e-3)
        for bound_h, one in zip(group.tree.bound_h, group.years, strict=True):
            assert bound_h >= best[one.year] * (1 - 1e-9)
    assert all(one.bound_h >= best[one.year] * (1 - 1e-9) for one in yearly)


@pytest.mark.parametrize("seed", range(12))
def test_joined_years_are_proven_to_their_best_sets(seed):
    problem, terms = draw_tight_case(seed)
    terms = replace(terms, growth=np.ones_like(terms.growth))
    best = list_best_alone(problem, terms)
    with Crew(2) as crew:
        yearly, joined = join_case(problem, terms, crew)
        assert [len(group.years) for group in joined] == [terms.year_count]
        joined[0].prove(60.0)
    assert all(one.is_settled for one in yearly)
    assert [one.bound_h for one in yearly] == pytest.approx(best, rel=1e-6)


def test_every_bound_of_a_box_holds_for_every_year():
    """Each box solved for one year: what its multipliers say of the other years is kept by all sets there."""
    told = 0
    for seed in range(12):
        problem, terms = draw_tight_case(seed)
        terms = replace(terms, growth=np.ones_like(terms.growth))
        best = list_best_alone(problem, terms)
        for year in range(terms.year_count):
            _, joined = join_case(problem, terms)
            tree = joined[0].tree
            top_h = tree.bound_h
            tree._choose_year = iter([year] * 4 + [None]).__next__
            tree.prove(time.monotonic() + 60.0)
            assert (tree.bound_h >= best * (1 - 1e-9)).all()
            others = np.arange(terms.year_count) != year
            told += int((tree.bound_h < top_h - 1e-6)[others].any())
    assert told >= 5


def test_a_year_with_other_effects_is_not_joined():
    """One option has half of its effect in its first year: the first year is not like the other two."""
    problem, terms = draw_tight_case(2)
    growth = np.ones((6, 2, 3))
    growth[0, :, 0] = 0.5
    _, joined = join_case(problem, replace(terms, growth=growth))
    assert [[one.year for one in group.years] for group in joined] == [[1, 2]]
