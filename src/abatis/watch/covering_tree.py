"""Branch and bound over sites: bounds from the linear programme with tangents, plans by drop and refill."""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable

import numpy as np

from abatis.watch._covering import (
    Pieces,
    Standing,
    count_covered,
    fill_plan,
    flip_site,
    improve_plan,
    make_standing,
)
from abatis.watch.covering_master import Bounding, Master

Report = Callable[[float, float], None]
Node = tuple[float, int, int, np.ndarray, np.ndarray]
WHOLE = 1e-6
FIRST_WORK, NODE_WORK = 4_000_000, 400_000
WORK_PER_ENTRY = 400
RELIABLE = 1
MOST_PROBES = 4
LEAST_STEP = 0.1
CLOSE = 1e-9


class Incumbent:
    """The best plan so far and the moves that better it."""

    def __init__(self, pieces: Pieces, cost: np.ndarray, budget: float, seed: int) -> None:
        self.pieces, self.cost, self.budget = pieces, cost, budget
        self.chosen = np.zeros(len(cost), bool)
        self.value = 0.0
        # Any odd multiplier spreads small seeds over 64 bits; the generator only must not start at zero.
        self._state = np.array([(2 * seed + 1) * 0x9E3779B97F4A7C15 % 2**64], np.uint64)
        self._power = 0.0 if np.ptp(cost) == 0 else 1.0
        self._near = 0.5 if (pieces.need == 2).any() else 0.0
        self._least = CLOSE * float(pieces.weight.sum())
        self._all, self._none = np.ones(len(cost), bool), np.ones(len(cost))

    def offer(self, chosen: np.ndarray) -> bool:
        """Take a plan within the budget if it is better."""
        value = float(count_covered(self.pieces, chosen))
        if value <= self.value or float(self.cost @ chosen) > self.budget:
            return False
        self.value, self.chosen = value, chosen.copy()
        return True

    def round_choice(self, choice: np.ndarray, work: int) -> bool:
        """Fill a plan led by a fractional choice, better it by moves, and offer it."""
        better = False
        for power in {0.0, self._power}:
            at = make_standing(self.pieces)
            added = np.empty(len(self.cost) + 1, np.int32)
            likely = choice > WHOLE
            for allowed, lure in ((likely, choice), (self._all, self._none)):
                fill_plan(
                    self.pieces, at, self.cost, self.budget, allowed, lure, power, self._near, added
                )  # fmt: skip
            better |= self._polish(at, power, work)
        return better

    def improve(self, work: int) -> bool:
        """Better the best plan by moves."""
        at = make_standing(self.pieces)
        for site in np.flatnonzero(self.chosen):
            flip_site(self.pieces, at, self.cost, int(site))
        return self._polish(at, self._power, work)

    def _polish(self, at: Standing, power: float, work: int) -> bool:
        work = min(work, WORK_PER_ENTRY * len(self.pieces.site))
        improve_plan(
            self.pieces, at, self.cost, self.budget, self._state, power, self._near, self._least, work
        )  # fmt: skip
        return self.offer(at.chosen)


class CoverTree:
    """Best-first search; `closed` is the largest bound of what was cut off, so that the bound always holds.

    Parameters
    ----------
    base : weight covered by what is taken already; the gap is relative to all covered weight.
    gap : a box is cut off when its bound exceeds the best plan by at most this share.
    grain : all weights are multiples of it, 0 if of none; bounds are rounded down to it.
    """

    def __init__(self, incumbent: Incumbent, base: float, gap: float, grain: float) -> None:
        self.incumbent = incumbent
        self.base, self.gap, self.grain = base, gap, grain
        self.nodes = 0
        self.closed = 0.0
        self._sites = len(incumbent.cost)
        self._total = float(incumbent.pieces.weight.sum())
        start = (-self._total, 0, 0, np.zeros(self._sites, bool), np.ones(self._sites, bool))
        self._open: list[Node] = [start]
        self._active = 0.0
        self._stopped = False
        self._made = 0
        self._loss = np.zeros((2, self._sites))
        self._times = np.zeros((2, self._sites), np.int64)

    @property
    def bound(self) -> float:
        """No plan covers more than this."""
        waiting = -self._open[0][0] if self._open else 0.0
        return max(self.incumbent.value, self.closed, waiting, self._active)

    def _round_down(self, bound: float) -> float:
        bound = min(bound, self._total)
        return math.floor(bound / self.grain + WHOLE) * self.grain if self.grain else bound

    def _is_closed(self, bound: float) -> bool:
        value = self.incumbent.value
        return bound - value <= max(self.gap, 0.0 if self.grain else CLOSE) * (self.base + value)

    def _close(self, bound: float) -> None:
        self.closed = max(self.closed, bound)

    def stop(self) -> None:
        """End the search soon; it says "interrupted" then."""
        self._stopped = True

    def _count_seconds(self, deadline: float) -> float:
        """Seconds left; none after `stop`."""
        return 0.0 if self._stopped else deadline - time.monotonic()

    def run(self, deadline: float, report: Report) -> str:
        """Search until all is closed or time is up; return "optimal", "time limit" or "interrupted"."""
        self.incumbent.round_choice(np.zeros(self._sites), FIRST_WORK)
        if self._is_closed(self._total):
            self._close(self._total)
            self._open.clear()
            return "optimal"
        self._master = Master(self.incumbent.pieces, self.incumbent.cost, self.incumbent.budget)
        self._master.add_cuts(np.zeros(self._sites))
        self._master.add_cuts(self.incumbent.chosen.astype(float))
        while self._open:
            if self._count_seconds(deadline) <= 0:
                return "interrupted" if self._stopped else "time limit"
            node = self._open[0]
            self._active = -node[0]
            heapq.heappop(self._open)
            if self._is_closed(self._active):
                self._close(self._active)
                self._open.clear()
            else:
                self._settle(node, deadline)
            self._active = 0.0
            report(self.incumbent.value, self.bound)
        return "optimal"

    def _settle(self, node: Node, deadline: float) -> None:
        """Bound one box and split it, or close it."""
        self.nodes += 1
        *_, lower, upper = node
        lower, upper = lower.copy(), upper.copy()
        if not self._shrink_by_money(lower, upper):
            return
        found = self._bound_box(lower, upper, deadline)
        if found is None:
            return
        bounding, bound = found
        site = self._pick_site(bounding, lower, upper)
        if site < 0:
            # Everything is decided: the plan was offered, and nothing else is in the box.
            self.incumbent.offer(lower)
            return
        self._master.drop_idle()
        for value in (True, False) if bounding.choice[site] >= 0.5 else (False, True):
            low, high = lower.copy(), upper.copy()
            low[site] = high[site] = value
            self._made += 1
            heapq.heappush(self._open, (-bound, -self.nodes, self._made, low, high))

    def _shrink_by_money(self, lower: np.ndarray, upper: np.ndarray) -> bool:
        """Leave out sites that the money left cannot pay; false when the sites fixed in cost too much."""
        left = self.incumbent.budget - float(self.incumbent.cost @ lower)
        upper &= lower | (self.incumbent.cost <= left)
        return left >= 0

    def _bound_box(
        self, lower: np.ndarray, upper: np.ndarray, deadline: float
    ) -> tuple[Bounding, float] | None:
        """Add cuts until the box is closed (None) or cutting on is worth less than splitting."""
        master = self._master
        master.set_box(lower, upper)
        before, rounds = math.inf, 0
        while True:
            seconds = self._count_seconds(deadline)
            bounding = master.solve(seconds)
            bound = min(self._round_down(bounding.bound), self._active)
            if self._is_closed(bound):
                self._close(bound)
                return None
            if self._fix_sites(bounding, lower, upper):
                if not self._shrink_by_money(lower, upper):
                    return None
                master.set_box(lower, upper)
            self._active = bound
            if seconds <= 0:
                return bounding, bound
            self._try_plans(bounding.choice, rounds)
            choice = bounding.choice
            near_whole = bool((np.abs(choice - np.round(choice)) < WHOLE).all())
            cuts, _ = master.add_cuts(np.round(choice) if near_whole else choice)
            rounds += 1
            step = (before - bound) / max(bound - self.incumbent.value, 1e-300)
            if not cuts or (self.nodes > 1 and not near_whole and rounds > 1 and step < LEAST_STEP):
                return bounding, bound
            before = bound

    def _try_plans(self, choice: np.ndarray, rounds: int) -> None:
        if np.abs(choice - np.round(choice)).max() < WHOLE:
            self.incumbent.offer(choice > 0.5)
        if rounds == 0 and (self.nodes & (self.nodes - 1) == 0 or self.nodes % 20 == 0):
            self.incumbent.round_choice(choice, NODE_WORK)

    def _fix_sites(self, bounding: Bounding, lower: np.ndarray, upper: np.ndarray) -> bool:
        """Decide sites whose other value is not worth looking at; what is cut off counts in the bound."""
        free = upper & ~lower
        rest = np.minimum(bounding.bound - np.abs(bounding.slope), self._total)
        value = self.incumbent.value
        room = max(self.gap, 0.0 if self.grain else CLOSE) * (self.base + value)
        if self.grain:
            rest = np.floor(rest / self.grain + WHOLE) * self.grain
        settled = free & (rest - value <= room) & (bounding.slope != 0)
        if not settled.any():
            return False
        self._close(float(rest[settled].max()))
        lower |= settled & (bounding.slope > 0)
        upper &= ~(settled & (bounding.slope < 0))
        return True

    def _pick_site(self, bounding: Bounding, lower: np.ndarray, upper: np.ndarray) -> int:
        """The site to split on, by what it took off before or takes off in a trial; -1 if none is left."""
        free = np.flatnonzero(upper & ~lower)
        if not len(free):
            return -1
        part = bounding.choice[free]
        split = free[(part > WHOLE) & (part < 1 - WHOLE)]
        if not len(split):
            return int(free[0])
        score = self._score(split, bounding.choice[split])
        order = split[np.argsort(-score, kind="stable")]
        new = [j for j in order[: 2 * MOST_PROBES] if self._times[:, j].min() < RELIABLE][:MOST_PROBES]
        for site in new:
            down, up = self._master.probe_site(int(site))
            share = float(bounding.choice[site])
            self._loss[0, site] += down / share
            self._loss[1, site] += up / (1 - share)
            self._times[:, site] += 1
        score = self._score(split, bounding.choice[split])
        return int(split[np.argmax(score)])

    def _score(self, sites: np.ndarray, part: np.ndarray) -> np.ndarray:
        """Product of the losses expected on both sides; sites without a record take the others' mean."""
        times = self._times[:, sites]
        known = self._times.sum(axis=1)
        mean = self._loss.sum(axis=1) / np.maximum(known, 1)
        mean = np.where(known > 0, mean, 1.0)
        rate = np.where(times > 0, self._loss[:, sites] / np.maximum(times, 1), mean[:, None])
        tiny = 1e-6 * self._total / self._sites
        score: np.ndarray = np.maximum(rate[0] * part, tiny) * np.maximum(rate[1] * (1 - part), tiny)
        return score
