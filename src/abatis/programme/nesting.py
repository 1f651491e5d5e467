"""Sets of options for every year, each inside the next: good schedules of large plans start from them."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from abatis.barrier.crew import Crew
from abatis.programme.terms import Terms
from abatis.programme.timeline import Timeline
from abatis.programme.yearly_bounds import YearBound, bound_year

CLOSE = 2e-3
EXACT = 1e-9
FIRST_SHARE = 0.3
MOVES_SHARE = 0.4
NEARBY_SHARE = 0.7


def nest_sets(
    timeline: Timeline,
    yearly: Sequence[YearBound],
    first: int,
    seed: int,
    seconds: float,
    crew: Crew | None = None,
) -> np.ndarray:
    """Choose what stands at the end of every year, bool[Y, n], each year inside the next.

    Parameters
    ----------
    timeline : the plan's network and terms.
    yearly : the years alone; the best set of the first year chosen is taken from there.
    first : row of the year that is chosen first, without regard for the others.
    seed : of the searches.
    seconds : time for all of them.
    crew : threads of the searches.

    In words: one year takes the best set that its money buys. The years before choose within that set, the
    years after add to it; of every stretch of years left the middle one is next. Works stay, so this is all
    that ties the years to each other, beside the limits, which `order_starts` looks after.
    """
    terms = timeline.terms
    count, years = terms.option_count, terms.year_count
    sets = np.zeros((years + 2, count), bool)
    sets[-1] = True
    stretches, middle, rank = [(-1, years)], first, 0
    until = time.monotonic() + seconds
    while stretches:
        before, after = stretches.pop(0)
        middle = middle if rank == 0 else (before + after) // 2
        left = max(0.0, until - time.monotonic())
        share = FIRST_SHARE if rank == 0 else 1.0 / max(1, years - rank)
        inner, outer = sets[before + 1], sets[after + 1]
        one = yearly[middle]
        if rank:
            one = bound_year(timeline, middle, CLOSE, seed, (inner, outer), crew)
            one.offer(yearly[middle].wanted & outer)
        sets[middle + 1] = inner | _choose_set(one, share * left)
        stretches += [one for one in ((before, middle), (middle, after)) if one[1] - one[0] > 1]
        rank += 1
    return sets[1:-1]


def _choose_set(one: YearBound, seconds: float) -> np.ndarray:
    """The best set found for a year in some seconds, bool[n]: moves, times near the best, then the tree."""
    if one.search is None:
        return one.wanted
    begun = time.monotonic()
    one.search.find_choice(begun + MOVES_SHARE * seconds)
    one.read_search()
    if one.value_h < one.bound_h * (1.0 - EXACT):
        one.search.search_nearby(begun + NEARBY_SHARE * seconds)
        one.search.run(begun + seconds)
        one.read_search()
    return one.wanted


def order_starts(terms: Terms, sets: np.ndarray) -> list[int]:
    """Order options by the first year whose set has them, cheap ones first among equals; others last.

    Examples
    --------
    >>> from abatis.programme.terms import make_terms
    >>> terms = make_terms(np.arange(3), np.array([5.0, 7.0, 6.0]), np.array([6.0, 6.0]))
    >>> order_starts(terms, np.array([[False, True, False], [True, True, True]]))
    [1, 0, 2]
    """
    rank = np.where(sets.any(axis=0), sets.argmax(axis=0), len(sets))
    order: list[int] = np.lexsort((terms.cost_eur.sum(axis=1), rank)).tolist()
    return order
