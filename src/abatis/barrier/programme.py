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
PROBE_STEPS = 100
SAFETY = 4e-12
LEAST_SLACK = 1e-9
SLACK = 0
NO_LIMIT = 2**31 - 1


@dataclass(frozen=True)
class StaticRows:
    """The rows that hold in every box: budget first, then rules, as a x <= limit over the options."""

    names: tuple[str, ...]
    options: tuple[np.ndarray, ...]
    coefficients: tuple[np.ndarray, ...]
    limits: np.ndarray


@dataclass(frozen=True)
class Relaxation:
    """Answer of one linear programme: the point, the slack used, and the multipliers of the rows.

    `need` is what the point costs as a share of the budget; `budget_price` is what the objective pays for
    money where it asks for the cheapest plan, in the unit of the budget's multiplier.
    """

    choice: np.ndarray
    filled: np.ndarray
    slack: float
    static_multipliers: np.ndarray
    row_multipliers: np.ndarray
    value_h: float
    need: float
    budget_price: float = 0.0

    @property
    def priced_multipliers(self) -> np.ndarray:
        """Multipliers of budget and rules when the objective's own price counts as one on the budget."""
        priced = self.static_multipliers.copy()
        priced[0] += self.budget_price
        return priced


@dataclass(frozen=True)
class Probe:
    """What a half of a box loses, and the multipliers (budget and rules, path rows) where it is lost."""

    loss: float
    multipliers: tuple[np.ndarray, np.ndarray] | None = None


def make_static_rows(problem: Problem, budget_eur: float) -> StaticRows:
    """Collect budget and rules; money is scaled by the budget so that coefficients stay near one."""
    scale = max(1.0, budget_eur)
    paid = np.flatnonzero(problem.option_cost_eur > 0)
    names = ["budget"] + [rule.key for rule in problem.rules]
    options = [paid] + [rule.options for rule in problem.rules]
    coefficients = [problem.option_cost_eur[paid] / scale] + [rule.coefficients for rule in problem.rules]
    limits = [budget_eur / scale] + [rule.limit for rule in problem.rules]
    return StaticRows(tuple(names), tuple(options), tuple(coefficients), np.array(limits))


def _make_model() -> highspy.Highs:
    model = highspy.Highs()
    for name, value in (("output_flag", False), ("parallel", "off"), ("presolve", "off"), ("threads", 1)):
        model.setOptionValue(name, value)
    return model


class NodeProgramme:
    """One HiGHS model whose bounds and path rows change from box to box.

    Columns: slack, bands, then the options that a rule or a path row has named so far: the others would only
    cost. Rows that a box may break share the slack column that costs `SLACK_COST` per unit, so that every
    programme has a solution and multipliers; the bound drawn from them ignores the slack.
    """

    def __init__(self, problem: Problem, levels: Levels, static: StaticRows, grid: list[np.ndarray]) -> None:
        self.problem = problem
        self.levels = levels
        self.static = static
        self.grid = grid
        # Hours are counted in tenths of the span, so that any unit of time gives the same programme.
        self._unit_h = 0.1 * levels.span_h
        counts = np.array([len(edges) - 1 for edges in grid])
        self._bands = int(counts.sum())
        self._band_weight = np.repeat(levels.weight, counts)
        # Money counts as a share of the budget, as in the budget's row: far above the tolerances of HiGHS.
        self._thrift = np.zeros(problem.option_count)
        self._thrift[static.options[0]] = static.coefficients[0]
        self.steps = 0
        self._thrifty = False
        self._column = np.full(problem.option_count, -1, np.int32)
        self._members = np.empty(0, np.int64)
        self._lower, self._upper = np.zeros(problem.option_count), np.ones(problem.option_count)
        self._model = _make_model()
        self._model.addVars(
            self._bands + 1, np.zeros(self._bands + 1), np.append(INFINITE, np.ones(self._bands))
        )
        self._model.changeColCost(SLACK, -SLACK_COST)
        self._model.changeObjectiveSense(highspy.ObjSense.kMaximize)
        self._add_static_rows(counts)
        self._path_rows = 0
        self._row_scale = np.empty(0)
        self._offset_h = self._objective = 0.0

    def _add_static_rows(self, counts: np.ndarray) -> None:
        """Add budget, rules, one option per site, and the order of the bands; then the options of rules."""
        static, sites = self.static, self.problem.option_site
        for limit in static.limits:
            self._add_row(np.array([SLACK]), np.array([-1.0]), float(limit))
        crowded = np.flatnonzero(np.bincount(sites) > 1)
        self._site_row = np.full(len(self.problem.site_keys), -1, np.int32)
        self._site_row[crowded] = len(static.names) + np.arange(len(crowded))
        for _ in crowded:
            self._add_row(np.empty(0), np.empty(0), 1.0)
        first = 1 + np.append(0, np.cumsum(counts))
        for level in range(len(counts)):
            for band in range(first[level], first[level + 1] - 1):
                self._add_row(np.array([band + 1, band]), np.array([1.0, -1.0]), 0.0)
        self._base_rows = len(static.names) + len(crowded) + int((counts - 1).sum())
        for row, (options, coefficients) in enumerate(
            zip(static.options[1:], static.coefficients[1:], strict=True), start=1
        ):
            self._add_options(options)
            for option, coefficient in zip(options, coefficients, strict=True):
                self._model.changeCoeff(row, int(self._column[option]), float(coefficient))

    def _add_row(self, columns: np.ndarray, coefficients: np.ndarray, limit: float) -> None:
        self._model.addRow(
            -INFINITE, limit, len(columns), columns.astype(np.int32), coefficients.astype(float)
        )

    def _add_options(self, options: np.ndarray) -> None:
        """Give options that have no column yet theirs, with what they use of the budget and their site."""
        fresh = np.unique(options[self._column[options] < 0])
        if not len(fresh):
            return
        site_row = self._site_row[self.problem.option_site[fresh]]
        alone = site_row < 0
        starts = np.append(0, np.cumsum(np.where(alone, 1, 2)))
        rows, values = np.zeros(starts[-1], np.int32), np.ones(starts[-1])
        values[starts[:-1]] = self._thrift[fresh]
        rows[starts[:-1][~alone] + 1] = site_row[~alone]
        self._column[fresh] = 1 + self._bands + len(self._members) + np.arange(len(fresh))
        self._members = np.append(self._members, fresh)
        self._model.addCols(
            len(fresh),
            -self._thrift[fresh] if self._thrifty else np.zeros(len(fresh)),
            self._lower[fresh],
            self._upper[fresh],
            len(rows),
            starts[:-1].astype(np.int32),
            rows,
            values,
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
        self._lower, self._upper = box.limit_options(self.problem)
        counts = np.diff(bands.start)
        width = bands.b_h - bands.a_h
        below = (width <= 0) & (bands.b_h <= np.repeat(box.low_h, counts)) & self._is_below(bands)
        lower = np.concatenate([below.astype(float), self._lower[self._members]])
        upper = np.concatenate([((width > 0) | below).astype(float), self._upper[self._members]])
        index = 1 + np.arange(len(lower), dtype=np.int32)
        self._model.changeColsBounds(len(lower), index, lower, upper)
        self._model.changeColsCost(
            self._bands, index[: self._bands], self._band_weight * width / self._unit_h
        )
        self._set_thrift(not (width > 0).any())
        self._offset_h = float(self.levels.weight @ box.low_h)

    def _set_thrift(self, wanted: bool) -> None:
        """Let options cost a little in the objective, or nothing."""
        if wanted != self._thrifty:
            costs = -self._thrift[self._members] if wanted else np.zeros(len(self._members))
            self._model.changeColsCost(len(costs), self._column[self._members], costs)
        self._thrifty = wanted

    def _is_below(self, bands: Bands) -> np.ndarray:
        """True for bands that the grid places at or below the box's lower limit."""
        upper = np.concatenate([edges[1:] for edges in self.grid])
        return upper <= np.repeat(bands.low_h, np.diff(bands.start))

    def add_rows(self, rows: BoxRows) -> None:
        """Add path rows; band rows hold their band, all rows the slack."""
        if not len(rows):
            return
        self._add_options(rows.options)
        count = np.diff(rows.starts)
        starts = rows.starts[:-1] + 2 * np.arange(len(rows))
        size = int(count.sum()) + 2 * len(rows)
        indices, values = np.empty(size, np.int32), np.empty(size)
        inner = np.repeat(starts - rows.starts[:-1], count) + np.arange(len(rows.options))
        scale = rows.room_h
        indices[inner], values[inner] = (
            self._column[rows.options],
            -rows.coefficients / np.repeat(scale, count),
        )
        indices[starts + count] = 1 + rows.columns
        values[starts + count] = rows.fills / scale
        indices[starts + count + 1], values[starts + count + 1] = SLACK, -1.0
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

    def _run(self) -> None:
        self._model.run()
        self.steps += self._model.getInfo().simplex_iteration_count
        if self._model.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            # Even without its basis the solver may keep a wrong answer; a new one with these rows does not.
            programme = self._model.getLp()
            self._model = _make_model()
            self._model.passModel(programme)
            self._model.run()
        status = self._model.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise RuntimeError(f"linear programme ended as {status}")

    def measure_room(self, relaxation: Relaxation, least_h: float) -> float:
        """How much the objective of the present optimum may lose until no plan of the box matters.

        In words: down to the value of the best plan; where the cheapest plan is asked for, up to the budget.
        """
        if not self._thrifty:
            return (relaxation.value_h - least_h) / self._unit_h
        return float(self.static.limits[0]) - relaxation.need if self._thrift.any() else INFINITE

    def probe_option(self, option: int, room: float = INFINITE) -> tuple[Probe, Probe]:
        """Losses of the present optimum when an option is left out and when it is chosen (few steps each).

        A half that loses more than `room` comes with its multipliers. In words: how much worse each half of
        the box would be.
        """
        model, column = self._model, int(self._column[option])
        basis = model.getBasis()
        model.setOptionValue("simplex_iteration_limit", PROBE_STEPS)
        probes = []
        for value in (0.0, 1.0):
            model.changeColBounds(column, value, value)
            model.run()
            loss = max(0.0, self._objective - model.getObjectiveValue())
            probes.append(Probe(loss, self._price_multipliers() if loss > room else None))
            model.changeColBounds(column, self._lower[option], self._upper[option])
            model.setBasis(basis)
        model.setOptionValue("simplex_iteration_limit", NO_LIMIT)
        return probes[0], probes[1]

    @property
    def _budget_price(self) -> float:
        """What the objective pays for the budget, in the unit of the budget's multiplier."""
        return self._unit_h if self._thrifty else 0.0

    def _price_multipliers(self) -> tuple[np.ndarray, np.ndarray]:
        """Multipliers of the last run; the objective's own price counts as one on the budget."""
        static, paid = self._read_multipliers(self._model.getSolution())
        static[0] += self._budget_price
        return static, paid

    def _read_multipliers(self, solution: highspy.HighsSolution) -> tuple[np.ndarray, np.ndarray]:
        """Non-negative multipliers of budget and rules, and of the path rows."""
        duals = np.maximum(np.asarray(solution.row_dual), 0.0) * self._unit_h
        return duals[: len(self.static.names)], duals[self._base_rows :] / self._row_scale

    def solve(self) -> Relaxation:
        """Solve and return the point, the non-negative multipliers and the value.

        Raises
        ------
        RuntimeError : when HiGHS gives no optimum although slack makes every box solvable.
        """
        self._run()
        solution = self._model.getSolution()
        if self._thrifty and solution.col_value[SLACK] > LEAST_SLACK:
            self._set_thrift(False)
            self._run()
            solution = self._model.getSolution()
        self._objective = float(self._model.getObjectiveValue())
        point = np.asarray(solution.col_value)
        static_multipliers, row_multipliers = self._read_multipliers(solution)
        choice = np.zeros(self.problem.option_count)
        choice[self._members] = np.clip(point[1 + self._bands :], 0.0, 1.0)
        need = float(self._thrift @ choice)
        thrift = need if self._thrifty else 0.0
        return Relaxation(
            choice=choice,
            filled=np.clip(point[1 : 1 + self._bands], 0.0, 1.0),
            slack=float(point[SLACK]),
            static_multipliers=static_multipliers,
            row_multipliers=row_multipliers,
            value_h=(self._objective + thrift) * self._unit_h + self._offset_h,
            need=need,
            budget_price=self._budget_price,
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
) -> tuple[float, np.ndarray]:
    """Bound the value of every plan in a box, and of those with each option, from multipliers (weak duality).

    Returns
    -------
    The bound of the box in hours, and hours float64[O] that no plan with the option is worth more than.

    Formula: sum(m_r b_r) + w lo + sum over levels of the best prefix of bands of (w width - sum m fill) +
    sum over sites of the largest gain of one allowed option. In words: pay each row its multiplier, then let
    every level and every site choose freely what is best for it; no plan that keeps the rows can be worth
    more. Choosing an option takes its site's best gain away and gives its own. Rounded upwards by `SAFETY`
    times the size of the terms.
    """
    gain = np.zeros(problem.option_count)
    band_gain = np.repeat(levels.weight, np.diff(bands.start)) * (bands.b_h - bands.a_h)
    total = float(static.limits @ static_multipliers) + float(levels.weight @ box.low_h)
    size = float(np.abs(static.limits) @ static_multipliers) + float(row_multipliers @ rows.sizes)
    for options, coefficients, multiplier in zip(
        static.options, static.coefficients, static_multipliers, strict=True
    ):
        gain[options] -= multiplier * coefficients
        size += multiplier * float(np.abs(coefficients).sum())
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
    size += float(np.abs(best).sum())
    bound += SAFETY * (abs(bound) + 2.0 * size + float(levels.weight @ box.high_h))
    return bound, bound + gain - best[problem.option_site]
