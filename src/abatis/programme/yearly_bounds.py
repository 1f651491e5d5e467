"""Bounds year by year: the most that could hold at the end of a year, whatever the other years hold."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from abatis.barrier.crew import Crew
from abatis.model.plan import Rule
from abatis.programme.layer_search import LayerSearch
from abatis.programme.layers import Layer, join_layers
from abatis.programme.limits import lay_out_fixed
from abatis.programme.terms import NEVER, Terms
from abatis.programme.timeline import Timeline

ROUNDING = 1e-9
SAME = 1e-12


class YearBound:
    """The most that one year could hold: a proven bound, and the options that the best set found has.

    `columns` are the options that may be finished by then; `wanted` bool[n] the best set found; `layer` what
    holds anyway and what the columns add; `room` the limit of every row of the search by its name, as written
    and before it was cut at 0 and scaled (see `_Room`).
    """

    def __init__(
        self,
        year: int,
        columns: np.ndarray,
        count: int,
        ends_h: tuple[float, float],
        search: LayerSearch | None,
        layer: Layer,
        room: _Room,
    ) -> None:
        self.year = year
        self.columns = columns
        self.wanted = np.zeros(count, bool)
        self.value_h, self.bound_h = ends_h
        self.search = search
        self.layer = layer
        self.room = room
        self.is_over = False
        self._known: dict[int, int] = {}

    @property
    def is_settled(self) -> bool:
        """True when more time would not lower the bound."""
        if self.search is None or self.is_over:
            return True
        return self.search.tree.is_settled(self.bound_h * (1 - 2 * ROUNDING))

    def find_set(self, seconds: float) -> None:
        """Look for a good set of options for this year alone."""
        if self.search is not None:
            self.search.find_choice(time.monotonic() + seconds)
            self.read_search()

    def offer(self, built: np.ndarray) -> None:
        """Offer the options that a schedule has finished by then, bool[n]: the bound need not go below."""
        if self.search is not None:
            self.search.offer(built[self.columns])
            self.read_search()

    def prove(self, others: Sequence[YearBound], seconds: float) -> None:
        """Lower the bound for some seconds; routes found for other years are used."""
        if self.search is None or seconds <= 0:
            return
        for other in others:
            if other is not self and other.search is not None and self._has_ground_of(other):
                self._known[other.year] = self.search.share_routes(
                    other.search, self._known.get(other.year, 0)
                )
        self.search.prove(time.monotonic() + seconds)
        self.read_search()

    def _has_ground_of(self, other: YearBound) -> bool:
        """Say whether routes of another year name every delay that this year has on them.

        In words: nothing holds anyway in either, the columns are the same, and what delays here delays there;
        a route found where a growing effect is still nothing would miss its delay.
        """
        return (
            not self.layer.base_h.any()
            and not other.layer.base_h.any()
            and np.array_equal(other.columns, self.columns)
            and not ((self.layer.added > 0) & (other.layer.added <= 0)).any()
        )

    def has_problem_of(self, other: YearBound) -> bool:
        """Say whether another year differs in the limits of money and capacity alone."""
        if self.search is None or other.search is None:
            return False
        own, its = self.search.tree.static, other.search.tree.static
        return (
            np.array_equal(self.columns, other.columns)
            and np.array_equal(self.layer.base_h, other.layer.base_h)
            and np.array_equal(self.layer.added, other.layer.added)
            and own.names == its.names
            and all(
                np.array_equal(own.options[row], its.options[row])
                and np.allclose(
                    own.coefficients[row] * self.room.find_scale(name),
                    its.coefficients[row] * other.room.find_scale(name),
                    rtol=SAME,
                    atol=0.0,
                )
                and (name in self.room.limit or own.limits[row] == its.limits[row])
                for row, name in enumerate(own.names)
            )
        )

    def limit_rows(self, other: YearBound) -> np.ndarray:
        """Limits of another year in the scale of this one's rows, float64[rows]; see `has_problem_of`."""
        if self.search is None:
            return np.empty(0)
        static = self.search.tree.static
        less = [self.room.find_less(name, other.room) for name in static.names]
        return np.asarray(static.limits - np.array(less))

    def bound_earlier(self, earlier: YearBound) -> float:
        """Bound an earlier year by the tree of this one, hours; infinite where that says nothing.

        Formula: max over leaves of the least, over the leaf and the nodes above it, of
        bound - sum_r m_r (limit_r - limit_r of the earlier year), with m the multipliers that prove the node.
        In words: effects never shrink, so what a set of options holds in an earlier year it holds at least in
        this one; and a proof by multipliers stays one when there is less money and capacity: every euro less
        takes its price off the bound.
        """
        if self.search is None or not self.search.tree.nodes or earlier.year > self.year:
            return np.inf
        tree = self.search.tree
        less = np.array([self.room.find_less(name, earlier.room) for name in tree.static.names])
        if (less < 0).any():
            return np.inf
        carried_h = np.full(len(tree.nodes), np.inf)
        bound_h = -np.inf
        for index, node in enumerate(tree.nodes):
            price_h = float(node.static_multipliers @ less) if len(node.static_multipliers) else 0.0
            carried_h[index] = min(carried_h[index], node.bound_h - price_h)
            for child in node.children or ():
                carried_h[child] = carried_h[index]
            bound_h = max([bound_h, *(one.bound_h for one in node.exclusions)])
            if node.children is None:
                bound_h = max(bound_h, carried_h[index])
        return float(bound_h + ROUNDING * abs(bound_h))

    def read_search(self) -> None:
        """Take over what the search has found."""
        if self.search is not None and self.search.incumbent.choice is not None:
            self.value_h = self.search.value_h
            self.bound_h = min(self.bound_h, self.search.bound_h)
            self.wanted[:] = False
            self.wanted[self.columns[self.search.choice]] = True


class _Room:
    """Limits of money and capacity by name, before scaling, and the scale of each."""

    def __init__(self) -> None:
        self.limit: dict[str, float] = {}
        self._scale: dict[str, float] = {}

    def add(self, name: str, limit: float) -> float:
        """Note a limit and return its scale."""
        self.limit[name] = max(0.0, limit)
        self._scale[name] = max(1.0, abs(limit))
        return self._scale[name]

    def find_scale(self, name: str) -> float:
        """What the coefficients and the limit of a row were divided by; 1 for rows written as they are."""
        return self._scale.get(name, 1.0)

    def find_less(self, name: str, other: _Room) -> float:
        """How much less of a limit another has, in the scale of this; 0 for rows that are the same."""
        if name not in self.limit or name not in other.limit:
            return 0.0
        return (self.limit[name] - other.limit[name]) / self._scale[name]


def bound_year(
    timeline: Timeline,
    year: int,
    gap: float,
    seed: int,
    between: tuple[np.ndarray, np.ndarray] | None = None,
    crew: Crew | None = None,
) -> YearBound:
    """Set up the bound of one year; `YearBound.prove` lowers it.

    Parameters
    ----------
    timeline : the plan's network and terms.
    year : row of the year.
    gap : gap to prove for this year.
    seed : of the search.
    between : sets of options bool[n]: only plans that hold all of the first and nothing outside the second.
    crew : threads of the search.

    In words: what is finished by the end of a year was paid from the money up to then, in prices of the years
    up to then; it was built within the capacity up to then; and nothing precedes what must come first. Every
    schedule keeps this in every year, so no year can hold more than its bound, and no schedule more than the
    sum of the bounds.
    """
    terms = timeline.terms
    count = terms.option_count
    inner, outer = (np.zeros(count, bool), np.ones(count, bool)) if between is None else between
    first_age = year - (terms.spans.years - 1)
    able = (first_age >= 0) & ~terms.is_fixed
    held = able & inner
    columns = np.flatnonzero(able & outer & ~inner)
    finish = np.where(terms.is_fixed, terms.fixed_finish, NEVER)
    finish[held] = terms.spans.years[held] - 1
    base_h = timeline.sum_delays(finish, year)
    layer = Layer(1.0, base_h, terms.growth[columns, :, first_age[columns]])
    room = _Room()
    cost = terms.cost_eur[columns]
    money = [
        limit_purchases(terms, fund, year) - float(terms.cost_eur[held, fund].sum())
        for fund in range(cost.shape[1])
    ]
    single = len(money) == 1
    rules = [] if single else [_cap(room, f"fund {f}", cost[:, f], money[f]) for f in range(len(money))]
    rules += _limit_capacities(room, terms, columns, held, year)
    rules += _limit_orders(terms, columns, held, year)
    problem, network = join_layers(timeline, [layer], columns, cost.sum(axis=1), rules)
    low = np.array([graph.before_h for graph in network.graphs])
    high = np.array([graph.slowest_h for graph in network.graphs])
    weigh = timeline.value_years(np.stack([low, high], axis=1))
    if not len(columns):
        return YearBound(year, columns, count, (float(weigh[0]), float(weigh[0])), None, layer, room)
    budget = max(0.0, money[0]) if single else None
    if single:
        room.add("budget", max(0.0, money[0]))
    search = LayerSearch(problem, network, [1.0], gap, seed, budget, crew)
    return YearBound(year, columns, count, (float(weigh[0]), float(weigh[1])), search, layer, room)


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


def _cap(room: _Room, name: str, coefficients: np.ndarray, limit: float) -> Rule:
    """A rule over the columns, scaled by its limit."""
    used = np.flatnonzero(coefficients)
    scale = room.add(name, limit)
    return Rule(name, name, used.astype(np.int32), coefficients[used] / scale, room.limit[name] / scale)


def _limit_capacities(
    room: _Room, terms: Terms, columns: np.ndarray, held: np.ndarray, year: int
) -> list[Rule]:
    done = lay_out_fixed(terms)[:, : year + 1].sum(axis=1) + held
    return [
        _cap(room, f"capacity {place}", one.units[columns], one.limit * (year + 1) - float(one.units @ done))
        for place, one in enumerate(terms.capacities)
        if one.units[columns].any()
    ]


def _limit_orders(terms: Terms, columns: np.ndarray, held: np.ndarray, year: int) -> list[Rule]:
    place = np.full(terms.option_count, -1)
    place[columns] = np.arange(len(columns))
    rules = []
    for order in terms.orders:
        weight = 1.0 / len(order.before)
        finished = (terms.fixed_finish[order.before] <= year) | held[order.before]
        met = weight * float(finished.sum())
        before = place[order.before]
        before = before[before >= 0]
        for option in place[order.after]:
            if option >= 0:
                members = np.append(option, before).astype(np.int32)
                values = np.append(1.0, np.full(len(before), -weight))
                rules.append(Rule(order.name, order.name, members, values, met))
    return rules
