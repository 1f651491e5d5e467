"""Bounds year by year: the most that could hold at the end of a year, whatever the other years hold."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from abatis.model.plan import Rule
from abatis.programme.layer_search import LayerSearch
from abatis.programme.layers import Layer, join_layers
from abatis.programme.limits import lay_out_fixed
from abatis.programme.terms import NEVER, Terms
from abatis.programme.timeline import Timeline


class YearBound:
    """The most that one year could hold: a proven bound, and the options that the best set found has.

    `columns` are the options that may be finished by then; `wanted` bool[n] the best set found; `plain` says
    that no work holds anyway, so that years with the same columns can share routes.
    """

    def __init__(
        self,
        year: int,
        columns: np.ndarray,
        count: int,
        ends_h: tuple[float, float],
        search: LayerSearch | None,
    ) -> None:
        self.year = year
        self.columns = columns
        self.wanted = np.zeros(count, bool)
        self.value_h, self.bound_h = ends_h
        self.search = search
        self.plain = False
        self._known: dict[int, int] = {}

    @property
    def is_settled(self) -> bool:
        """True when more time would not lower the bound."""
        return self.search is None or self.search.is_settled

    def find_set(self, seconds: float) -> None:
        """Look for a good set of options for this year alone."""
        if self.search is not None:
            self.search.find_choice(time.monotonic() + seconds)
            self._read_search()

    def offer(self, built: np.ndarray) -> None:
        """Offer the options that a schedule has finished by then, bool[n]: the bound need not go below."""
        if self.search is not None:
            self.search.offer(built[self.columns])
            self._read_search()

    def prove(self, others: Sequence[YearBound], seconds: float) -> None:
        """Lower the bound for some seconds; routes found for other years are used."""
        if self.search is None or seconds <= 0:
            return
        for other in others:
            alike = self.plain and other.plain and np.array_equal(other.columns, self.columns)
            if alike and other is not self and other.search is not None:
                self._known[other.year] = self.search.share_routes(
                    other.search, self._known.get(other.year, 0)
                )
        self.search.prove(time.monotonic() + seconds)
        self._read_search()

    def _read_search(self) -> None:
        if self.search is not None and self.search.incumbent.choice is not None:
            self.value_h = self.search.value_h
            self.bound_h = min(self.bound_h, self.search.bound_h)
            self.wanted[:] = False
            self.wanted[self.columns[self.search.choice]] = True


def bound_year(timeline: Timeline, year: int, gap: float, seed: int) -> YearBound:
    """Set up the bound of one year; `YearBound.prove` lowers it.

    Parameters
    ----------
    timeline : the plan's network and terms.
    year : row of the year.
    gap : gap to prove for this year.
    seed : of the search.

    In words: what is finished by the end of a year was paid from the money up to then, in prices of the years
    up to then; it was built within the capacity up to then; and nothing precedes what must come first. Every
    schedule keeps this in every year, so no year can hold more than its bound, and no schedule more than the
    sum of the bounds.
    """
    terms = timeline.terms
    first_age = year - (terms.spans.years - 1)
    columns = np.flatnonzero((first_age >= 0) & ~terms.is_fixed)
    fixed_finish = np.where(terms.is_fixed, terms.fixed_finish, NEVER)
    base_h = timeline.sum_delays(fixed_finish, year)
    added = terms.growth[columns, :, first_age[columns]]
    layer = Layer(1.0, base_h, added)
    money = np.array([limit_purchases(terms, fund, year) for fund in range(terms.cost_eur.shape[1])])
    cost = terms.cost_eur[columns]
    single = len(money) == 1
    rules = [] if single else [_cap(f"fund {f}", cost[:, f], float(money[f])) for f in range(len(money))]
    rules += _limit_capacities(terms, columns, year) + _limit_orders(terms, columns, year)
    problem, network = join_layers(timeline, [layer], columns, cost.sum(axis=1), rules)
    low = np.array([graph.before_h for graph in network.graphs])
    high = np.array([graph.slowest_h for graph in network.graphs])
    weigh = timeline.value_years(np.stack([low, high], axis=1))
    count = terms.option_count
    if not len(columns):
        return YearBound(year, columns, count, (float(weigh[0]), float(weigh[0])), None)
    budget = max(0.0, float(money[0])) if single else None
    search = LayerSearch(problem, network, [1.0], gap, seed, budget)
    bound = YearBound(year, columns, count, (float(weigh[0]), float(weigh[1])), search)
    bound.plain = not base_h.any()
    return bound


def limit_purchases(terms: Terms, fund: int, year: int) -> float:
    """Most that a fund can buy up to a year, in base-year prices (EUR).

    Formula: sum over years t <= y of money_t max_{t <= u <= y} s^(u - t) / index_u, with s the carry-over
    share; money that fixed works owe is taken off at its least. In words: every euro is spent in the year,
    from its own on, in which it buys most.
    """
    owed = np.where(terms.paid, 0.0, terms.cost_eur[:, fund])[:, None] * lay_out_fixed(terms) * terms.index
    money = terms.fund_eur[fund] - owed.sum(axis=0)
    total = 0.0
    for t in range(year + 1):
        later, earlier = np.arange(t, year + 1), np.arange(t + 1)
        if money[t] >= 0:
            total += money[t] * float((terms.carry_over ** (later - t) / terms.index[later]).max())
        else:
            with np.errstate(divide="ignore"):
                total += money[t] * float(
                    (terms.carry_over ** -(t - earlier).astype(float) / terms.index[earlier]).min()
                )
    return total


def _cap(name: str, coefficients: np.ndarray, limit: float) -> Rule:
    """A rule over the columns, scaled by its limit."""
    used = np.flatnonzero(coefficients)
    scale = max(1.0, abs(limit))
    return Rule(name, name, used.astype(np.int32), coefficients[used] / scale, max(0.0, limit) / scale)


def _limit_capacities(terms: Terms, columns: np.ndarray, year: int) -> list[Rule]:
    done = lay_out_fixed(terms)[:, : year + 1].sum(axis=1)
    return [
        _cap(one.name, one.units[columns], one.limit * (year + 1) - float(one.units @ done))
        for one in terms.capacities
        if one.units[columns].any()
    ]


def _limit_orders(terms: Terms, columns: np.ndarray, year: int) -> list[Rule]:
    place = np.full(terms.option_count, -1)
    place[columns] = np.arange(len(columns))
    rules = []
    for order in terms.orders:
        weight = 1.0 / len(order.before)
        met = weight * float((terms.fixed_finish[order.before] <= year).sum())
        before = place[order.before]
        before = before[before >= 0]
        for option in place[order.after]:
            if option >= 0:
                members = np.append(option, before).astype(np.int32)
                values = np.append(1.0, np.full(len(before), -weight))
                rules.append(Rule(order.name, order.name, members, values, met))
    return rules
