"""The linear programme of one box of levels, and the bound that its multipliers prove."""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np

from abatis.barrier.bands import Bands
from abatis.barrier.levels import Box, Levels
from abatis.barrier.paths import BoxRows
from abatis.model.plan import Problem

INFINITE = highspy.kHighsInf
SLACK_COST = 100.0
PROBE_STEPS = 40
SAFETY = 4e-12
LEAST_SLACK = 1e-9


@dataclass(frozen=True)
class StaticRows:
    """The rows that hold in every box: budget first, then rules, as a x <= limit over the options."""

    names: tuple[str, ...]
    options: tuple[np.ndarray, ...]
    coefficients: tuple[np.ndarray, ...]
    limits: np.ndarray


@dataclass(frozen=True)
class Relaxation:
    """Answer of one linear programme: the point, the slack used, and the multipliers of the rows."""

    choice: np.ndarray
    filled: np.ndarray
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

    Columns: options, then bands, then slack. Rows that a box may break share the slack column that costs
    `SLACK_COST` per unit, so that every programme has a solution and multipliers; the bound drawn from
    them ignores the slack.
    """

    def __init__(self, problem: Problem, levels: Levels, static: StaticRows, grid: list[np.ndarray]) -> None:
        self.problem = problem
        self.levels = levels
        self.static = static
        self.grid = grid
        self.option_count = problem.option_count
        counts = np.array([len(edges) - 1 for edges in grid])
        self._band_weight = np.repeat(levels.weight, counts)
        self._slack = problem.option_count + int(counts.sum())
        self._model = highspy.Highs()
        for name, value in (("output_flag", False), ("parallel", "off"), ("presolve", "off")):
            self._model.setOptionValue(name, value)
        columns = self._slack + 1
        self._model.addVars(columns, np.zeros(columns), np.append(np.ones(columns - 1), INFINITE))
        self._model.changeColCost(self._slack, -SLACK_COST)
        # Hours are counted in tenths of the span, so that any unit of time gives the same programme.
        self._unit_h = 0.1 * levels.span_h
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
        first = self.option_count + np.append(0, np.cumsum(counts))
        for level in range(len(grid)):
            for band in range(first[level], first[level + 1] - 1):
                self._add_static_row(np.array([band + 1, band]), np.array([1.0, -1.0]), 0.0)
        self._base_rows = len(static.names) + len(crowded) + int((counts - 1).sum())
        self._path_rows = 0
        self._row_scale = np.empty(0)
        self._offset_h = 0.0
        self._thrift = problem.option_cost_eur / max(1.0, float(problem.option_cost_eur.sum()))

    def _add_static_row(self, columns: np.ndarray, coefficients: np.ndarray, limit: float) -> None:
        self._model.addRow(
            -INFINITE, limit, len(columns), columns.astype(np.int32), coefficients.astype(float)
        )

    def set_box(self, box: Box, bands: Bands, keep_rows: bool) -> None:
        """Take the bounds of a box; path rows stay only when its levels are those they were derived for.

        Bands below the box are full, bands above it empty; neither counts. A box without width asks for the
        cheapest plan instead of the best, so that its value says how near the budget it is.
        """
        if self._path_rows and not keep_rows:
            first = self._base_rows
            self._model.deleteRows(self._path_rows, np.arange(first, first + self._path_rows, dtype=np.int32))
            self._path_rows = 0
            self._row_scale = np.empty(0)
        lower, upper = box.limit_options(self.problem)
        counts = np.diff(bands.start)
        width = bands.b_h - bands.a_h
        below = (width <= 0) & (bands.b_h <= np.repeat(box.low_h, counts)) & self._is_below(bands)
        lower = np.concatenate([lower, below.astype(float)])
        upper = np.concatenate([upper, ((width > 0) | below).astype(float)])
        columns = len(lower)
        index = np.arange(columns, dtype=np.int32)
        self._model.changeColsBounds(columns, index, lower, upper)
        thrift = np.zeros(self.option_count) if (width > 0).any() else -self._thrift
        costs = np.append(thrift, self._band_weight * width / self._unit_h)
        self._set_costs(costs)
        self._offset_h = float(self.levels.weight @ box.low_h)

    def _is_below(self, bands: Bands) -> np.ndarray:
        """True for bands that the grid places at or below the box's lower limit."""
        upper = np.concatenate([edges[1:] for edges in self.grid])
        return upper <= np.repeat(bands.low_h, np.diff(bands.start))

    def add_rows(self, rows: BoxRows) -> None:
        """Add path rows; band rows hold their band, all rows the slack."""
        if not len(rows):
            return
        count = np.diff(rows.starts)
        starts = rows.starts[:-1] + 2 * np.arange(len(rows))
        size = int(count.sum()) + 2 * len(rows)
        indices, values = np.empty(size, np.int32), np.empty(size)
        inner = np.repeat(starts - rows.starts[:-1], count) + np.arange(len(rows.options))
        scale = rows.room_h
        indices[inner], values[inner] = rows.options, -rows.coefficients / np.repeat(scale, count)
        indices[starts + count] = self.option_count + rows.columns
        values[starts + count] = rows.fills / scale
        indices[starts + count + 1], values[starts + count + 1] = self._slack, -1.0
        self._model.addRows(
            len(rows),
            np.full(len(rows), -INFINITE),
            -rows.constants / scale,
            size,
            starts.astype(np.int32),
            indices,
            values,
        )
        self._path_rows += len(rows)
        self._row_scale = np.append(self._row_scale, scale)

    def _set_costs(self, costs: np.ndarray) -> None:
        self._costs = costs
        self._model.changeColsCost(len(costs), np.arange(len(costs), dtype=np.int32), costs)

    def _run(self) -> None:
        self._model.run()
        if self._model.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            self._model.clearSolver()
            self._model.run()
        status = self._model.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise RuntimeError(f"linear programme ended as {status}")

    def probe_option(self, option: int, lower: float, upper: float) -> tuple[float, float]:
        """Losses of the present optimum when an option is left out and when it is chosen (few steps each).

        `lower` and `upper` are the option's present limits. In words: how much worse each half would be.
        """
        model = self._model
        basis, before = model.getBasis(), model.getObjectiveValue()
        model.setOptionValue("simplex_iteration_limit", PROBE_STEPS)
        losses = []
        for value in (0.0, 1.0):
            model.changeColBounds(option, value, value)
            model.run()
            losses.append(max(0.0, before - model.getObjectiveValue()))
            model.changeColBounds(option, lower, upper)
            model.setBasis(basis)
        model.setOptionValue("simplex_iteration_limit", 2147483647)
        return losses[0], losses[1]

    def solve(self) -> Relaxation:
        """Solve and return the point, the non-negative multipliers and the value.

        Raises
        ------
        RuntimeError : when HiGHS gives no optimum although slack makes every box solvable.
        """
        self._run()
        solution = self._model.getSolution()
        if solution.col_value[self._slack] > LEAST_SLACK and (self._costs[: self.option_count] != 0).any():
            self._set_costs(np.append(np.zeros(self.option_count), self._costs[self.option_count :]))
            self._run()
            solution = self._model.getSolution()
        point = np.asarray(solution.col_value)
        duals = np.maximum(np.asarray(solution.row_dual), 0.0)
        thrift = float(self._costs[: self.option_count] @ point[: self.option_count])
        return Relaxation(
            choice=np.clip(point[: self.option_count], 0.0, 1.0),
            filled=np.clip(point[self.option_count : self._slack], 0.0, 1.0),
            slack=float(point[self._slack]),
            static_multipliers=duals[: len(self.static.names)] * self._unit_h,
            row_multipliers=duals[self._base_rows :] * self._unit_h / self._row_scale,
            value_h=(float(self._model.getObjectiveValue()) - thrift) * self._unit_h + self._offset_h,
        )


def bound_box(
    problem: Problem,
    levels: Levels,
    static: StaticRows,
    box: Box,
    bands: Bands,
    rows: BoxRows,
    static_multipliers: np.ndarray,
    row_multipliers: np.ndarray,
) -> float:
    """Bound the value of every plan in a box from multipliers of its rows (weak duality).

    Formula: sum(m_r b_r) + w lo + sum over levels of the best prefix of bands of (w width - sum m fill) +
    sum over sites of the largest gain of one allowed option. In words: pay each row its multiplier, then let
    every level and every site choose freely what is best for it; no plan that keeps the rows can be worth
    more. Rounded upwards by `SAFETY` times the size of the terms.
    """
    gain = np.zeros(problem.option_count)
    band_gain = np.repeat(levels.weight, np.diff(bands.start)) * (bands.b_h - bands.a_h)
    total = float(static.limits @ static_multipliers) + float(levels.weight @ box.low_h)
    for options, coefficients, multiplier in zip(
        static.options, static.coefficients, static_multipliers, strict=True
    ):
        gain[options] -= multiplier * coefficients
    np.add.at(gain, rows.options, np.repeat(row_multipliers, np.diff(rows.starts)) * rows.coefficients)
    np.subtract.at(band_gain, rows.columns, row_multipliers * rows.fills)
    total -= float(row_multipliers @ rows.constants)
    for first, last in zip(bands.start[:-1], bands.start[1:], strict=True):
        total += max(0.0, float(np.cumsum(band_gain[first:last]).max(initial=0.0)))
    lower, upper = box.limit_options(problem)
    best = np.zeros(len(problem.site_keys))
    np.maximum.at(best, problem.option_site, np.where(upper > 0, gain, 0.0))
    forced = lower > 0
    best[problem.option_site[forced]] = gain[forced]
    bound = total + float(best.sum())
    size = float(row_multipliers @ (rows.reach_h + box.high_h[rows.levels])) + float(np.abs(best).sum())
    return bound + SAFETY * (abs(bound) + 2.0 * size + float(levels.weight @ box.high_h))
