"""The linear programme of one box of levels, and the bound that its multipliers prove."""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np

from abatis.barrier.paths import BoxRows
from abatis.model.plan import Problem

INFINITE = highspy.kHighsInf
SLACK_COST = 100.0
SAFETY = 4e-12


@dataclass(frozen=True)
class Levels:
    """The level variables: approaches that share one, their weights, and the box known at the root.

    With a weighted sum every approach has its own level; with the minimum all share one; an approach that a
    rule asks for hours has its own level of weight 0 as well.
    """

    of_approach: tuple[tuple[int, ...], ...]
    weight: np.ndarray
    low_h: np.ndarray
    high_h: np.ndarray


@dataclass(frozen=True)
class StaticRows:
    """The rows that hold in every box: budget first, then rules, as a x <= limit over the options."""

    names: tuple[str, ...]
    options: tuple[np.ndarray, ...]
    coefficients: tuple[np.ndarray, ...]
    limits: np.ndarray


@dataclass(frozen=True)
class Box:
    """A part of the search space: levels between `low_h` and `high_h`, some options fixed to 0 or 1."""

    low_h: np.ndarray
    high_h: np.ndarray
    fixed: tuple[tuple[int, int], ...]

    def levels_key(self) -> bytes:
        """Bytes that are equal when two boxes have the same levels."""
        return self.low_h.tobytes() + self.high_h.tobytes()

    def split(self, kind: str, item: int, value: float, grain_h: float) -> tuple[Box, Box]:
        """Split at a level (up to `value`, and from the next possible level on) or at an option (0 and 1)."""
        if kind == "option":
            return (
                Box(self.low_h, self.high_h, (*self.fixed, (item, 0))),
                Box(self.low_h, self.high_h, (*self.fixed, (item, 1))),
            )
        low_h, high_h = self.low_h.copy(), self.high_h.copy()
        high_h[item] = value
        low_h[item] = value + grain_h
        return Box(self.low_h, high_h, self.fixed), Box(low_h, self.high_h, self.fixed)

    def limit_options(self, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper limit of every option; choosing one closes the others of its site."""
        lower, upper = np.zeros(problem.option_count), np.ones(problem.option_count)
        for option, value in self.fixed:
            if value:
                upper[problem.option_site == problem.option_site[option]] = 0.0
                upper[option] = lower[option] = 1.0
            else:
                upper[option] = 0.0
        return lower, upper


@dataclass(frozen=True)
class Relaxation:
    """Answer of one linear programme: the point, the slack used, and the multipliers of the rows."""

    choice: np.ndarray
    level_h: np.ndarray
    slack: float
    static_multipliers: np.ndarray
    row_multipliers: np.ndarray
    value_h: float


def make_static_rows(problem: Problem, budget_eur: float) -> StaticRows:
    """Collect budget and rules; money is scaled by the budget so that coefficients stay near one."""
    scale = max(1.0, budget_eur)
    paid = np.flatnonzero(problem.option_cost_eur > 0)
    names = ["budget"] + [rule.key for rule in problem.rules]
    options = [paid] + [rule.options for rule in problem.rules]
    coefficients = [problem.option_cost_eur[paid] / scale] + [rule.coefficients for rule in problem.rules]
    limits = [budget_eur / scale] + [rule.limit for rule in problem.rules]
    return StaticRows(tuple(names), tuple(options), tuple(coefficients), np.array(limits))


class NodeProgramme:
    """One HiGHS model whose bounds and path rows change from box to box.

    Rows that a box may break (budget, rules, floors) share one slack column that costs `SLACK_COST` hours per
    unit, so that every programme has a solution and multipliers; the bound drawn from them ignores the slack.
    """

    def __init__(self, problem: Problem, levels: Levels, static: StaticRows) -> None:
        self.problem = problem
        self.levels = levels
        self.static = static
        self.option_count = problem.option_count
        self._slack = problem.option_count + len(levels.weight)
        self._model = highspy.Highs()
        for name, value in (("output_flag", False), ("threads", 1), ("presolve", "off")):
            self._model.setOptionValue(name, value)
        columns = self._slack + 1
        self._model.addVars(columns, np.zeros(columns), np.append(np.ones(columns - 1), INFINITE))
        costs = np.concatenate([np.zeros(self.option_count), levels.weight, [-SLACK_COST]])
        self._model.changeColsCost(columns, np.arange(columns, dtype=np.int32), costs)
        self._model.changeObjectiveSense(highspy.ObjSense.kMaximize)
        for options, coefficients, limit in zip(
            static.options, static.coefficients, static.limits, strict=True
        ):
            self._add_static_row(np.append(options, self._slack), np.append(coefficients, -1.0), float(limit))
        sites, sizes = np.unique(problem.option_site, return_counts=True)
        crowded = sites[sizes > 1]
        for site in crowded:
            members = np.flatnonzero(problem.option_site == site)
            self._add_static_row(members, np.ones(len(members)), 1.0)
        self._base_rows = len(static.names) + len(crowded)
        self._path_rows = 0

    def _add_static_row(self, columns: np.ndarray, coefficients: np.ndarray, limit: float) -> None:
        self._model.addRow(
            -INFINITE, limit, len(columns), columns.astype(np.int32), coefficients.astype(float)
        )

    def set_box(self, box: Box, keep_rows: bool) -> None:
        """Take the bounds of a box; path rows stay only when its levels are those they were derived for."""
        if self._path_rows and not keep_rows:
            first = self._base_rows
            self._model.deleteRows(self._path_rows, np.arange(first, first + self._path_rows, dtype=np.int32))
            self._path_rows = 0
        lower, upper = box.limit_options(self.problem)
        lower = np.append(lower, box.low_h)
        upper = np.append(upper, box.high_h)
        columns = len(lower)
        self._model.changeColsBounds(columns, np.arange(columns, dtype=np.int32), lower, upper)

    def add_rows(self, rows: BoxRows) -> None:
        """Add path rows; `top` rows hold their level, all rows the slack."""
        if not len(rows):
            return
        count = np.diff(rows.starts)
        extra = 1 + rows.tops.astype(np.int64)
        starts = rows.starts[:-1] + np.append(0, np.cumsum(extra)[:-1])
        size = int(count.sum() + extra.sum())
        indices, values = np.empty(size, np.int32), np.empty(size)
        inner = np.repeat(starts - rows.starts[:-1], count) + np.arange(len(rows.options))
        indices[inner], values[inner] = rows.options, -rows.coefficients
        last = starts + count + extra - 1
        indices[last], values[last] = self._slack, -1.0
        level = last[rows.tops] - 1
        indices[level], values[level] = self.option_count + rows.levels[rows.tops], 1.0
        upper = np.where(rows.tops, rows.constants, -rows.constants)
        self._model.addRows(
            len(rows), np.full(len(rows), -INFINITE), upper, size, starts.astype(np.int32), indices, values
        )
        self._path_rows += len(rows)

    def solve(self) -> Relaxation:
        """Solve and return the point, the non-negative multipliers and the value.

        Raises
        ------
        RuntimeError : when HiGHS gives no optimum although slack makes every box solvable.
        """
        self._model.run()
        status = self._model.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            self._model.clearSolver()
            self._model.run()
            status = self._model.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise RuntimeError(f"linear programme ended as {status}")
        solution = self._model.getSolution()
        point = np.asarray(solution.col_value)
        duals = np.maximum(np.asarray(solution.row_dual), 0.0)
        return Relaxation(
            choice=np.clip(point[: self.option_count], 0.0, 1.0),
            level_h=point[self.option_count : self._slack],
            slack=float(point[self._slack]),
            static_multipliers=duals[: len(self.static.names)],
            row_multipliers=duals[self._base_rows :],
            value_h=float(self._model.getObjectiveValue()),
        )


def bound_box(
    problem: Problem,
    levels: Levels,
    static: StaticRows,
    box: Box,
    rows: BoxRows,
    static_multipliers: np.ndarray,
    row_multipliers: np.ndarray,
) -> float:
    """Bound the value of every plan in a box from multipliers of its rows (weak duality).

    Formula: sum(m_r b_r) + sum over levels of max over [lo, hi] of (w - m) z + sum over sites of the largest
    gain of one allowed option. In words: pay each row its multiplier, then let every level and every site
    choose freely what is best for it; no plan that keeps the rows can be worth more. Rounded upwards by
    `SAFETY` times the size of the terms.
    """
    gain = np.zeros(problem.option_count)
    level_gain = levels.weight.copy()
    total = float(static.limits @ static_multipliers)
    for options, coefficients, multiplier in zip(
        static.options, static.coefficients, static_multipliers, strict=True
    ):
        gain[options] -= multiplier * coefficients
    np.add.at(gain, rows.options, np.repeat(row_multipliers, np.diff(rows.starts)) * rows.coefficients)
    np.subtract.at(level_gain, rows.levels[rows.tops], row_multipliers[rows.tops])
    total += float(np.where(rows.tops, row_multipliers, -row_multipliers) @ rows.constants)
    total += float(np.where(level_gain > 0, level_gain * box.high_h, level_gain * box.low_h).sum())
    lower, upper = box.limit_options(problem)
    best = np.zeros(len(problem.site_keys))
    np.maximum.at(best, problem.option_site, np.where(upper > 0, gain, 0.0))
    forced = lower > 0
    best[problem.option_site[forced]] = gain[forced]
    bound = total + float(best.sum())
    size = float(row_multipliers @ (rows.reach_h + box.high_h[rows.levels])) + float(np.abs(best).sum())
    return bound + SAFETY * (abs(bound) + 2.0 * size + float(levels.weight @ box.high_h))
