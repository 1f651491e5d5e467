"""The linear programme over sites and blocks of groups, and the bound that its multipliers prove."""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np

from abatis.watch._covering import Pieces, find_cuts, measure_support

INFINITE = highspy.kHighsInf
SCALE = 1e4
ROUNDING = 1e-12
LEAST_CUT = 1e-7
PROBE_STEPS = 30
MOST_STEPS = 200_000
MOST_BLOCKS = 2000
IDLE_ROUNDS = 30
ENDED = (
    highspy.HighsModelStatus.kOptimal,
    highspy.HighsModelStatus.kTimeLimit,
    highspy.HighsModelStatus.kIterationLimit,
)


@dataclass(frozen=True)
class Bounding:
    """What one linear programme says: a fractional choice, a proven bound, and what flips take off.

    `slope` float64[n]: the bound falls by at least `slope[j]` when site j is left out (if positive), or by
    -`slope[j]` when it is chosen (if negative).
    """

    choice: np.ndarray
    bound: float
    slope: np.ndarray


class Master:
    """One HiGHS model: sites, one column of covered weight for each block of groups, budget, and tangents.

    Weights are scaled so that all groups together weigh `SCALE`. Cuts hold everywhere, so they are kept from
    node to node; those that were slack for long are taken out when there are many.
    """

    def __init__(self, pieces: Pieces, cost: np.ndarray, budget: float) -> None:
        self.total = float(pieces.weight.sum())
        self.unit = self.total / SCALE
        self.pieces = pieces._replace(weight=pieces.weight / self.unit)
        self.sites = len(cost)
        money = max(budget, float(cost.max()))
        self.cost, self.budget = cost / money, budget / money
        self.block_start = cut_blocks(self.pieces.weight, min(MOST_BLOCKS, max(self.sites, 8)))
        self.blocks = len(self.block_start) - 1
        self.block_weight = np.add.reduceat(self.pieces.weight, self.block_start[:-1])
        self._entries = measure_support(self.pieces, self.block_start)
        self._least = LEAST_CUT * max(1.0, SCALE / self.blocks / 100.0)
        self._clear_cuts()
        self._model = highspy.Highs()
        settings = (("output_flag", False), ("parallel", "off"), ("presolve", "off"), ("threads", 1))
        for name, value in settings:
            self._model.setOptionValue(name, value)
        self._model.setOptionValue("simplex_iteration_limit", MOST_STEPS)
        count = self.sites + self.blocks
        self._model.addVars(count, np.zeros(count), np.append(np.ones(self.sites), self.block_weight))
        theta = np.arange(self.sites, count, dtype=np.int32)
        self._model.changeColsCost(self.blocks, theta, np.ones(self.blocks))
        self._model.changeObjectiveSense(highspy.ObjSense.kMaximize)
        columns = np.arange(self.sites, dtype=np.int32)
        self._model.addRow(-INFINITE, self.budget, self.sites, columns, self.cost)
        self._lower, self._upper = np.zeros(self.sites), np.ones(self.sites)
        self.filled = self.block_weight.copy()

    def _clear_cuts(self) -> None:
        self._block = np.empty(0, np.int32)
        self._constant = np.empty(0)
        self._length = np.empty(0, np.int64)
        self._site = np.empty(0, np.int32)
        self._coefficient = np.empty(0)
        self._idle = np.empty(0, np.int32)

    def set_box(self, lower: np.ndarray, upper: np.ndarray) -> None:
        """Fix sites in or out: `lower` and `upper` are 0 or 1 for each."""
        self._lower, self._upper = lower.astype(float), upper.astype(float)
        columns = np.arange(self.sites, dtype=np.int32)
        self._model.changeColsBounds(self.sites, columns, self._lower, self._upper)

    def add_cuts(self, choice: np.ndarray) -> tuple[int, float]:
        """Add tangents at a choice where the last optimum exceeds them; return how many, and the weight."""
        block, constant, start, site, coefficient, whole = find_cuts(
            self.pieces, self.block_start, choice, self.filled, self._least, self._entries
        )
        if len(block):
            length = np.diff(start)
            size = len(site) + len(block)
            first = start[:-1] + np.arange(len(block))
            inner = np.repeat(first - start[:-1], length) + np.arange(len(site))
            indices, values = np.empty(size, np.int32), np.empty(size)
            indices[inner], values[inner] = site, -coefficient
            indices[first + length], values[first + length] = self.sites + block, 1.0
            free = np.full(len(block), -INFINITE)
            self._model.addRows(len(block), free, constant, size, first.astype(np.int32), indices, values)
            self._block = np.append(self._block, block)
            self._constant = np.append(self._constant, constant)
            self._length = np.append(self._length, length)
            self._site = np.append(self._site, site)
            self._coefficient = np.append(self._coefficient, coefficient)
            self._idle = np.append(self._idle, np.zeros(len(block), np.int32))
        return len(block), whole * self.unit

    def drop_idle(self) -> None:
        """Take out cuts that were slack in many programmes, once there are too many cuts."""
        if len(self._block) <= 4 * (self.sites + self.blocks):
            return
        out = self._idle > IDLE_ROUNDS
        if 2 * int(out.sum()) < len(out):
            return
        rows = (1 + np.flatnonzero(out)).astype(np.int32)
        self._model.deleteRows(len(rows), rows)
        entries = np.repeat(~out, self._length)
        self._site, self._coefficient = self._site[entries], self._coefficient[entries]
        self._block, self._constant = self._block[~out], self._constant[~out]
        self._length, self._idle = self._length[~out], self._idle[~out]

    def solve(self, seconds: float) -> Bounding:
        """Solve over the present box; the bound is proven even where a limit of time or steps stopped it.

        Raises
        ------
        RuntimeError : when HiGHS neither solves a programme that has a solution nor runs into a limit.
        """
        model = self._model
        model.setOptionValue("time_limit", model.getRunTime() + max(0.05, seconds))
        model.run()
        status = model.getModelStatus()
        if status not in (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kTimeLimit):
            model.clearSolver()
            model.run()
            status = model.getModelStatus()
        if status not in ENDED:
            raise RuntimeError(f"linear programme ended as {status}")
        solution = model.getSolution()
        point, dual = np.asarray(solution.col_value), np.asarray(solution.row_dual)
        if len(point) != self.sites + self.blocks or len(dual) != 1 + len(self._block):
            point, dual = np.append(self._lower, self.block_weight), np.zeros(1 + len(self._block))
        dual = np.where(np.isfinite(dual), np.maximum(dual, 0.0), 0.0)
        self._idle = np.where(dual[1:] > 0.0, 0, self._idle + 1).astype(np.int32)
        self.filled = point[self.sites :]
        bound, slope = self._bound_box(dual[0], dual[1:])
        return Bounding(np.clip(point[: self.sites], self._lower, self._upper), bound, slope)

    def _bound_box(self, price: float, multipliers: np.ndarray) -> tuple[float, np.ndarray]:
        """Bound the weight of every plan in the box by weak duality.

        Formula: price x budget + sum of multipliers x constants + sum over sites of the larger of slope x
        lower and slope x upper + what blocks keep uncovered by multipliers. In words: pay every row its
        multiplier, then let every site and block choose freely.
        """
        rate = np.repeat(multipliers, self._length) * self._coefficient
        slope = np.bincount(self._site, rate, minlength=self.sites) - price * self.cost
        rest = 1.0 - np.bincount(self._block, multipliers, minlength=self.blocks)
        free = np.maximum(slope * self._lower, slope * self._upper)
        terms = (
            price * self.budget,
            float(multipliers @ self._constant),
            float(np.maximum(rest * self.block_weight, 0.0).sum()),
            float(free.sum()),
        )
        size = abs(terms[0]) + abs(terms[1]) + terms[2] + float(np.abs(slope).sum())
        return (sum(terms) + ROUNDING * size) * self.unit, slope * self.unit

    def probe_site(self, site: int) -> tuple[float, float]:
        """Estimate what leaving a site out and choosing it take off the optimum, in few steps each."""
        model = self._model
        basis, before = model.getBasis(), model.getObjectiveValue()
        model.setOptionValue("simplex_iteration_limit", PROBE_STEPS)
        losses = []
        for value in (0.0, 1.0):
            model.changeColBounds(site, value, value)
            model.run()
            losses.append(max(0.0, before - model.getObjectiveValue()) * self.unit)
            model.changeColBounds(site, self._lower[site], self._upper[site])
            model.setBasis(basis)
        model.setOptionValue("simplex_iteration_limit", MOST_STEPS)
        return losses[0], losses[1]


def cut_blocks(weight: np.ndarray, most: int) -> np.ndarray:
    """Cut a row of groups into at most `most` blocks of about equal weight; return their starts, and the end.

    Examples
    --------
    >>> cut_blocks(np.array([1.0, 1.0, 2.0, 4.0]), 2)
    array([0, 3, 4])
    """
    reach = np.cumsum(weight)
    number = np.minimum((most * (reach - weight) / reach[-1]).astype(np.int64), most - 1)
    return np.append(np.flatnonzero(np.diff(number, prepend=-1)), len(weight))
