"""Placement: the best `count` of many places to serve sites from, with a bound proven by multipliers."""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import highspy
import numpy as np

from abatis.programme.choice import (
    ROUND,
    Choice,
    assign_sites,
    drop_dominated,
    improve_choice,
    is_whole,
    keep_places,
    measure_cost,
    merge_sites,
    open_greedily,
)

INFINITE = highspy.kHighsInf
WHOLE = 1e-7
MOST_ROUNDS = 60


@dataclass(frozen=True)
class Placement:
    """The places `chosen` int64[], and per site the place that serves it int64[S], -1 where none does.

    `value` is the weighted cost; no choice costs less than `bound`; `status` is optimal or time_limit.
    """

    chosen: np.ndarray
    served_by: np.ndarray
    value: float
    bound: float
    status: str
    nodes: int
    seconds: float


def place_best(choice: Choice, time_limit_s: float = 60.0) -> Placement:
    """Choose the places that serve the sites at the least weighted cost, and prove it.

    Parameters
    ----------
    choice : places, sites and limits. Maximal covering is the case of cost 0 where a place reaches a site in
        time and cap 1; the p-median is the case of hours as costs.
    time_limit_s : seconds after which the best found is returned with its bound.

    Formula, for any multipliers u <= cap of the sites and v >= 0 of the money: no choice costs less than
    sum w_s u_s - v money + min over choices y of sum_d y_d (v price_d - sum_s w_s max(0, u_s - cost_ds)).
    In words: places are opened one by one and exchanged until nothing improves. A linear programme, in which
    rows are added that a fractional choice breaks, gives multipliers; the formula makes a bound of them
    without trust in the programme's rounding. Places whose use would push the bound above the best found are
    settled, the others are tried open and closed (branch and bound).

    Source: Lagrangean bound of Cornuejols, Fisher, Nemhauser (1977); rows of the Benders form as in
    Duran-Mateluna, Ales, Elloumi (2023); exchange of Teitz and Bart (1968).

    Examples
    --------
    Two sites, three places, one may be opened: the middle one serves both at 2 each.

    >>> cost = np.array([[0.0, 9.0], [2.0, 2.0], [9.0, 0.0]])
    >>> free = Choice(cost, np.full(2, 9.0), np.ones(2), np.zeros(3, bool), np.ones(3), 1)
    >>> best = place_best(free)
    >>> best.chosen.tolist(), best.value, best.bound, best.status
    ([1], 4.0, 4.0, 'optimal')
    """
    start_s = time.perf_counter()
    kept = drop_dominated(choice)
    small, floor = merge_sites(keep_places(choice, kept))
    if small.cost.size == 0:
        best, bound, status, nodes = np.flatnonzero(choice.must), math.inf, "optimal", 0
    else:
        search = _Search(small, improve_choice(small, open_greedily(small)), start_s + time_limit_s)
        bound = search.run() + floor
        best, nodes = kept[search.best], search.nodes
        status = "optimal" if bound - floor >= search.value - search.slack else "time_limit"
    value = measure_cost(choice, best)
    return Placement(
        chosen=np.sort(best),
        served_by=assign_sites(choice, best),
        value=value,
        bound=value if status == "optimal" else min(value, bound),
        status=status,
        nodes=nodes,
        seconds=time.perf_counter() - start_s,
    )


class _Search:
    """Branch and bound over the places; `best` and `value` are the best found."""

    def __init__(self, choice: Choice, chosen: np.ndarray, deadline_s: float) -> None:
        self.choice = choice
        self.cost = np.minimum(choice.cost, choice.cap)
        self.best = chosen
        self.value = measure_cost(choice, chosen)
        self.deadline_s = deadline_s
        self.nodes = 0
        whole = is_whole(choice)
        # With whole costs and weights a bound just above value - 1 proves the value.
        self.slack = 1.0 - 1e-6 if whole else ROUND * max(1.0, self.value)
        self.programme = _Programme(choice, self.cost)

    def run(self) -> float:
        """Search until the best is proven or time is up; returns the proven bound."""
        count = len(self.choice.must)
        lower, upper = self.choice.must.astype(float), np.ones(count)
        queue: list[tuple[float, int, np.ndarray, np.ndarray]] = [(-math.inf, 0, lower, upper)]
        tickets = 1
        while queue:
            bound, _, lower, upper = queue[0]
            if bound >= self.value - self.slack:
                return self.value
            if time.perf_counter() > self.deadline_s and self.nodes:
                return bound
            heapq.heappop(queue)
            self.nodes += 1
            for child in self._split(bound, lower, upper):
                heapq.heappush(queue, (child[0], tickets, child[1], child[2]))
                tickets += 1
        return self.value

    def _split(
        self, inherited: float, lower: np.ndarray, upper: np.ndarray
    ) -> list[tuple[float, np.ndarray, np.ndarray]]:
        """Bound a node and return its children that may hold something better."""
        own_bound, point, drift = self.programme.bound_node(
            lower, upper, lambda b: b >= self.value - self.slack, self.deadline_s
        )
        bound = max(own_bound, inherited)
        if bound >= self.value - self.slack:
            return []
        self._try_point(point, lower)
        lower, upper = self._settle(own_bound, drift, lower, upper)
        if bound >= self.value - self.slack:
            return []
        free = np.flatnonzero(upper - lower > 0.5)
        if free.size == 0 or lower.sum() >= self.choice.count:
            self._take(np.flatnonzero(lower > 0.5))
            return []
        spread = np.minimum(point[free], 1.0 - point[free])
        place = free[int(np.argmax(spread * (1.0 + np.abs(drift[free]) / (1.0 + np.abs(drift).max()))))]
        opened, closed = lower.copy(), upper.copy()
        opened[place] = 1.0
        closed[place] = 0.0
        children = [(bound, lower, closed)]
        price = self.choice.priced
        if price[opened > 0.5].sum() <= self.choice.money * (1 + ROUND):
            children.append((bound, opened, upper))
        return children

    def _try_point(self, point: np.ndarray, lower: np.ndarray) -> None:
        """Round a fractional choice: the largest shares that the limits allow; exchange at the first node."""
        price = self.choice.priced
        chosen: list[int] = np.flatnonzero(self.choice.must | (lower > 0.5)).tolist()
        left = self.choice.money - price[chosen].sum()
        for place in np.argsort(-point, kind="stable"):
            if len(chosen) >= self.choice.count or point[place] <= WHOLE:
                break
            if place not in chosen and price[place] <= left:
                chosen.append(int(place))
                left -= price[place]
        found = np.array(sorted(chosen), np.int64)
        if self.nodes <= 20 or self.nodes % 20 == 0:
            found = improve_choice(self.choice, found)
        self._take(found)

    def _take(self, chosen: np.ndarray) -> None:
        value = measure_cost(self.choice, chosen)
        if value < self.value and len(chosen) <= self.choice.count:
            self.best, self.value = chosen, value
            if self.slack < 0.5:
                self.slack = ROUND * max(1.0, value)

    def _settle(
        self, bound: float, drift: np.ndarray, lower: np.ndarray, upper: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Open or close for good the places whose other state would push the bound above the best found.

        `bound` and `drift` must belong to the same multipliers; a parent's bound does not go with this drift.
        """
        free = upper - lower > 0.5
        left = self.choice.count - int((lower > 0.5).sum())
        ordered = np.sort(np.minimum(drift[free], 0.0))
        if left <= 0 or ordered.size == 0:
            return lower, upper
        last = ordered[min(left, ordered.size) - 1] if left <= ordered.size else 0.0
        following = ordered[left] if left < ordered.size else 0.0
        goal = self.value - self.slack
        closed = free & (bound + drift - last >= goal) & (drift > last)
        opened = free & (bound - drift + following >= goal) & (drift < following)
        return np.where(opened, 1.0, lower), np.where(closed, 0.0, upper)


class _Programme:
    """The linear programme min sum w theta over shares y of places, with rows added where y breaks them."""

    def __init__(self, choice: Choice, cost: np.ndarray) -> None:
        self.choice = choice
        self.cost = cost
        self.places, self.sites = cost.shape
        self.order = np.argsort(cost, axis=0, kind="stable").T.copy()
        self.sorted = np.take_along_axis(cost.T, self.order, axis=1)
        self.least = self.sorted[:, 0].copy() if self.places else choice.cap
        self.row_site: list[np.ndarray] = []
        self.row_level: list[np.ndarray] = []
        self.seen: set[tuple[int, float]] = set()
        self.has_money = math.isfinite(choice.money)
        self.model = self._start_model()

    def _start_model(self) -> highspy.Highs:
        model = highspy.Highs()
        for name, value in (("output_flag", False), ("parallel", "off"), ("threads", 1)):
            model.setOptionValue(name, value)
        model.addVars(self.places, np.zeros(self.places), np.ones(self.places))
        model.addVars(self.sites, self.least, np.full(self.sites, INFINITE))
        columns = np.arange(self.places, self.places + self.sites, dtype=np.int32)
        model.changeColsCost(self.sites, columns, self.choice.weight)
        places = np.arange(self.places, dtype=np.int32)
        model.addRow(-INFINITE, float(self.choice.count), self.places, places, np.ones(self.places))
        if self.has_money:
            scale = max(1.0, self.choice.money)
            priced = np.flatnonzero(self.choice.priced > 0).astype(np.int32)
            limit = self.choice.money / scale
            model.addRow(-INFINITE, limit, priced.size, priced, self.choice.priced[priced] / scale)
        self.fixed_rows = 1 + self.has_money
        return model

    def bound_node(
        self, lower: np.ndarray, upper: np.ndarray, is_enough: Callable[[float], bool], deadline_s: float
    ) -> tuple[float, np.ndarray, np.ndarray]:
        """Bound of a box of shares, the shares, and `drift` float64[D]: what a place adds to the bound."""
        columns = np.arange(self.places, dtype=np.int32)
        self.model.changeColsBounds(self.places, columns, lower, upper)
        best, point, drift = -math.inf, lower.copy(), np.zeros(self.places)
        for _ in range(MOST_ROUNDS):
            self.model.run()
            if self.model.getModelStatus() != highspy.HighsModelStatus.kOptimal:
                # Only the money row can make a box empty.
                return math.inf, point, drift
            solution = self.model.getSolution()
            values = np.asarray(solution.col_value)
            point = np.clip(values[: self.places], lower, upper)
            bound, trial = self._prove(np.asarray(solution.row_dual), lower, upper)
            if bound > best:
                best, drift = bound, trial
            if is_enough(best) or time.perf_counter() > deadline_s:
                break
            if not self._add_rows(point, values[self.places :]):
                break
        return best, point, drift

    def _prove(self, dual: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> tuple[float, np.ndarray]:
        """Turn multipliers into a bound by the formula of `place_best`."""
        choice = self.choice
        site = np.concatenate(self.row_site) if self.row_site else np.empty(0, np.int64)
        level = np.concatenate(self.row_level) if self.row_level else np.empty(0)
        share = np.maximum(dual[self.fixed_rows :], 0.0)
        held = np.bincount(site, share, self.sites)
        share = share * np.minimum(1.0, choice.weight / np.maximum(held, 1e-300))[site]
        held = np.bincount(site, share, self.sites)
        u = np.bincount(site, share * level, self.sites) + (choice.weight - held) * self.least
        u = np.minimum(u / choice.weight, choice.cap)
        drift = -(np.maximum(0.0, u - self.cost) @ choice.weight)
        base = float(choice.weight @ u)
        if self.has_money:
            scale = max(1.0, choice.money)
            v = max(0.0, -float(dual[1])) / scale
            drift = drift + v * choice.priced
            base -= v * choice.money
        opened = lower > 0.5
        free = (upper > 0.5) & ~opened
        left = choice.count - int(opened.sum())
        ordered = np.sort(drift[free])[: max(0, left)]
        return base + float(drift[opened].sum()) + float(np.minimum(ordered, 0.0).sum()), drift

    def _add_rows(self, point: np.ndarray, theta: np.ndarray) -> bool:
        """Add, per site, the row that the shares break most; says whether there was one."""
        filled = np.cumsum(point[self.order], axis=1)
        reached = filled >= 1.0 - 1e-9
        place = np.where(reached.any(axis=1), reached.argmax(axis=1), self.places)
        rows = np.arange(self.sites)
        padded = np.column_stack([self.sorted, self.choice.cap])
        level = padded[rows, place]
        gap = np.where(np.arange(self.places) < place[:, None], level[:, None] - self.sorted, 0.0)
        value = level - (gap * point[self.order]).sum(axis=1)
        broken = np.flatnonzero(value > theta + 1e-7 * np.maximum(1.0, np.abs(value)))
        added = False
        starts, index, entry, limits, sites, levels = [], [], [], [], [], []
        size = 0
        for site in broken:
            key = (int(site), float(level[site]))
            if key in self.seen:
                continue
            self.seen.add(key)
            used = gap[site] > 0
            starts.append(size)
            index.append(np.append(self.order[site][used], self.places + site))
            entry.append(np.append(gap[site][used], 1.0))
            size += int(used.sum()) + 1
            limits.append(level[site])
            sites.append(site)
            levels.append(level[site])
            added = True
        if added:
            self.model.addRows(
                len(starts),
                np.array(limits, float),
                np.full(len(starts), INFINITE),
                size,
                np.array(starts, np.int32),
                np.concatenate(index).astype(np.int32),
                np.concatenate(entry).astype(float),
            )
            self.row_site.append(np.array(sites, np.int64))
            self.row_level.append(np.array(levels, float))
        return added
