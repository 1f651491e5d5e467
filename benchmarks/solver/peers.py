"""The two peers: the whole dual model in HiGHS, and the textbook loop of path cuts around HiGHS."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import highspy
import numpy as np
from scipy.sparse import coo_array

from abatis.barrier.network import RouteFinder, build_network
from abatis.barrier.paths import PathPool
from abatis.model.plan import Problem, find_grain

THREADS = 2
INFINITE = highspy.kHighsInf
CLOSE = 1e-6


@dataclass(frozen=True)
class Answer:
    """What a solver found: chosen options, value and bound in hours, seconds, nodes or rounds, closed."""

    chosen: tuple[int, ...]
    value_h: float
    bound_h: float
    seconds: float
    nodes: int
    closed: bool


@contextmanager
def _own_threads() -> Iterator[None]:
    """Let HiGHS start `THREADS` threads, and forget them afterwards: it keeps one number for the process."""
    highspy.Highs.resetGlobalScheduler(True)
    try:
        yield
    finally:
        highspy.Highs.resetGlobalScheduler(True)


@_own_threads()
def solve_whole_model(problem: Problem, budget: float, time_limit_s: float, gap: float = 0.0) -> Answer:
    """Solve the dual model as one mixed-integer programme in HiGHS.

    Formula: max sum_k w_k z_k with z_k <= p_k(target), p_k(source) = 0 and, for every edge e = (i, j) and
    mode, p_k(j) - p_k(i) <= hours + sum_o d_oe x_o; budget, rules, at most one option per site, x whole. In
    words: the potentials p are arrival times at the nodes; no constant stands in for "infinitely slow".
    Potentials stay below the arrival time with every barrier built, which every plan allows.
    """
    started = time.monotonic()
    _check_kind(problem)
    model = _open_highs(time_limit_s, gap, problem)
    options = problem.option_count
    nodes, approaches = problem.node_count, problem.approach_count
    slowest = [graph.slowest_h for graph in build_network(problem).graphs]
    upper = np.concatenate([np.ones(options), np.repeat(slowest, nodes), slowest])
    lower = np.zeros(len(upper))
    for k, sources in enumerate(problem.approach_sources):
        upper[options + k * nodes + sources] = 0.0
    costs = np.concatenate([np.zeros(options + approaches * nodes), problem.approach_weight])
    rows, columns, values, limits = _list_dual_rows(problem, budget)
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(costs), len(limits)
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = costs, lower, upper
    lp.row_lower_, lp.row_upper_ = np.full(len(limits), -INFINITE), limits
    lp.sense_ = highspy.ObjSense.kMaximize
    matrix = coo_array((values, (rows, columns)), shape=(len(limits), len(costs))).tocsr()
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_, lp.a_matrix_.index_ = matrix.indptr, matrix.indices
    lp.a_matrix_.value_ = matrix.data
    whole, real = highspy.HighsVarType.kInteger, highspy.HighsVarType.kContinuous
    lp.integrality_ = [whole] * options + [real] * (len(costs) - options)
    model.passModel(lp)
    model.run()
    info = model.getInfo()
    point = np.asarray(model.getSolution().col_value)[:options]
    found = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    chosen = tuple(np.flatnonzero(point > 0.5).tolist()) if found else ()
    value_h = _price(problem, chosen)
    bound_h = _round_down(problem, min(info.mip_dual_bound, float(problem.approach_weight @ slowest)))
    closed = model.getModelStatus() == highspy.HighsModelStatus.kOptimal
    nodes_seen = max(0, int(info.mip_node_count))
    return Answer(chosen, value_h, bound_h, time.monotonic() - started, nodes_seen, closed)


@_own_threads()
def solve_path_cuts(problem: Problem, budget: float, time_limit_s: float, gap: float = 0.0) -> Answer:
    """Solve by the textbook loop: a master programme, and one path cut per approach and round.

    Formula: master max sum_k w_k z_k with z_k <= t(P) + sum_o d_o(P) x_o for the paths P found so far. In
    words: the master guesses a plan from the ways it knows; the fastest way under that plan becomes its next
    cut. The best plan so far starts every master.
    """
    started = time.monotonic()
    _check_kind(problem)
    network = build_network(problem)
    pool, finder = PathPool(network), RouteFinder(network)
    model = _make_master(problem, budget, [graph.slowest_h for graph in network.graphs], gap)
    options, weight = problem.option_count, problem.approach_weight
    best, best_value = np.zeros(options), -math.inf
    bound, rounds, closed = float(weight @ [g.slowest_h for g in network.graphs]), 0, False
    choice = best.copy()
    while True:
        times = _add_cuts(model, pool, finder, choice)
        if float(weight @ times) > best_value:
            best, best_value, best_times = choice.copy(), float(weight @ times), times
        if _round_down(problem, bound) - best_value <= max(CLOSE, gap * best_value):
            closed = True
            break
        left_s = time_limit_s - (time.monotonic() - started)
        if left_s <= 0:
            break
        model.setOptionValue("time_limit", model.getRunTime() + left_s)
        warm = highspy.HighsSolution()
        warm.col_value = np.concatenate([best, best_times]).tolist()
        model.setSolution(warm)
        model.run()
        rounds += 1
        info = model.getInfo()
        bound = min(bound, info.mip_dual_bound)
        if model.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            break
        choice = np.round(np.asarray(model.getSolution().col_value)[:options])
    chosen = tuple(np.flatnonzero(best > 0.5).tolist())
    seconds = time.monotonic() - started
    return Answer(chosen, _price(problem, chosen), _round_down(problem, bound), seconds, rounds, closed)


def _open_highs(time_limit_s: float, gap: float, problem: Problem) -> highspy.Highs:
    """HiGHS on `THREADS` threads; with whole-number times it may stop when no value fits in between."""
    model = highspy.Highs()
    settings = {
        "output_flag": False,
        "threads": THREADS,
        "time_limit": float(time_limit_s),
        "mip_rel_gap": gap,
        "mip_abs_gap": max(CLOSE, _find_step(problem) * 0.999),
        "mip_feasibility_tolerance": 1e-9,
        "primal_feasibility_tolerance": 1e-9,
    }
    for name, value in settings.items():
        model.setOptionValue(name, value)
    return model


def _find_step(problem: Problem) -> float:
    """Least difference between two values of plans, 0 when unknown."""
    weight = problem.approach_weight
    return find_grain(problem) * float(weight[0]) if np.ptp(weight) == 0 else 0.0


def _round_down(problem: Problem, bound_h: float) -> float:
    step = _find_step(problem)
    return math.floor(bound_h / step + CLOSE) * step if step and math.isfinite(bound_h) else bound_h


def _check_kind(problem: Problem) -> None:
    if problem.objective != "sum" or problem.least_hours:
        raise ValueError("the peers solve weighted sums without least hours only")


def _price(problem: Problem, chosen: tuple[int, ...]) -> float:
    """Value of a plan by shortest ways."""
    finder = RouteFinder(build_network(problem))
    choice = np.zeros(problem.option_count)
    choice[list(chosen)] = 1.0
    finder.set_choice(choice)
    times = [finder.measure_time_h(k) for k in range(problem.approach_count)]
    return float(problem.approach_weight @ times)


class _Rows:
    """Sparse rows a x <= b, gathered block by block."""

    def __init__(self) -> None:
        self.rows: list[np.ndarray] = []
        self.columns: list[np.ndarray] = []
        self.values: list[np.ndarray] = []
        self.limits: list[np.ndarray] = []
        self.count = 0

    def add(self, rows: np.ndarray, columns: np.ndarray, values: np.ndarray, limits: np.ndarray) -> None:
        """Add a block; `rows` count from 0 within the block."""
        self.rows.append(rows + self.count)
        self.columns.append(columns)
        self.values.append(values)
        self.limits.append(limits)
        self.count += len(limits)

    def join(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """All blocks as (rows, columns, values, limits)."""
        parts = (self.rows, self.columns, self.values, self.limits)
        rows, columns, values, limits = (np.concatenate(part) for part in parts)
        return rows, columns, values, limits


def _list_dual_rows(problem: Problem, budget: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rows = _list_static_rows(problem, budget)
    options, nodes = problem.option_count, problem.node_count
    owner = np.repeat(np.arange(options), np.diff(problem.option_start))
    first_level = options + problem.approach_count * nodes
    for k in range(problem.approach_count):
        base, group = options + k * nodes, problem.approach_group[k]
        for table, delays in (
            (problem.open_h, problem.option_open_h),
            (problem.road_h, problem.option_road_h),
        ):
            hours = table[group]
            used = np.flatnonzero(np.isfinite(hours))
            if not len(used):
                continue
            place = np.full(len(hours), -1)
            place[used] = np.arange(len(used))
            touching = (place[problem.option_edge] >= 0) & (delays > 0)
            touched = place[problem.option_edge[touching]]
            row = np.arange(len(used))
            for tail, head in (
                (problem.tail, problem.head),
                *(() if problem.directed else ((problem.head, problem.tail),)),
            ):
                rows.add(
                    np.concatenate([row, row, touched]),
                    np.concatenate([base + head[used], base + tail[used], owner[touching]]),
                    np.concatenate([np.ones(len(used)), -np.ones(len(used)), -delays[touching]]),
                    hours[used],
                )
        goals = problem.approach_targets[k]
        row = np.arange(len(goals))
        rows.add(
            np.concatenate([row, row]),
            np.concatenate([np.full(len(goals), first_level + k), base + goals]),
            np.concatenate([np.ones(len(goals)), -np.ones(len(goals))]),
            np.zeros(len(goals)),
        )
    return rows.join()


def _list_static_rows(problem: Problem, budget: float) -> _Rows:
    """Budget, rules, and at most one option per site."""
    rows = _Rows()
    options = problem.option_count
    scale = max(1.0, float(problem.option_cost_eur.max(initial=0.0)))
    first = np.zeros(options, int)
    rows.add(first, np.arange(options), problem.option_cost_eur / scale, np.array([budget / scale]))
    for rule in problem.rules:
        zeros = np.zeros(len(rule.options), int)
        rows.add(zeros, rule.options, rule.coefficients, np.array([rule.limit]))
    sizes = np.bincount(problem.option_site, minlength=len(problem.site_keys))
    for site in np.flatnonzero(sizes > 1):
        members = np.flatnonzero(problem.option_site == site)
        rows.add(np.zeros(len(members), int), members, np.ones(len(members)), np.ones(1))
    return rows


def _make_master(problem: Problem, budget: float, slowest: list[float], gap: float) -> highspy.Highs:
    model = _open_highs(INFINITE, gap, problem)
    options, levels = problem.option_count, problem.approach_count
    columns = np.arange(options + levels, dtype=np.int32)
    model.addVars(len(columns), np.zeros(len(columns)), np.concatenate([np.ones(options), slowest]))
    costs = np.concatenate([np.zeros(options), problem.approach_weight])
    model.changeColsCost(len(columns), columns, costs)
    kinds = np.full(options, highspy.HighsVarType.kInteger)
    model.changeColsIntegrality(options, columns[:options], kinds)
    model.changeObjectiveSense(highspy.ObjSense.kMaximize)
    rows, row_columns, values, limits = _list_static_rows(problem, budget).join()
    for row, limit in enumerate(limits):
        inside = rows == row
        index = row_columns[inside].astype(np.int32)
        model.addRow(-INFINITE, float(limit), len(index), index, values[inside].astype(float))
    return model


def _add_cuts(model: highspy.Highs, pool: PathPool, finder: RouteFinder, choice: np.ndarray) -> np.ndarray:
    """Add the cut of every approach's fastest way under a plan; returns the arrival times."""
    finder.set_choice(choice)
    options = len(choice)
    times = np.zeros(len(pool.network.graphs))
    for k in range(len(times)):
        times[k], route = finder.find_route(k)
        known = len(pool)
        path = known if route is None else pool.add_route(route, k)
        if path < known or len(pool) == known:
            continue  # the model has this cut already
        part = slice(pool.start[path], pool.start[path + 1])
        index = np.append(pool.option[part], options + k).astype(np.int32)
        values = np.append(-pool.delay_h[part], 1.0)
        model.addRow(-INFINITE, float(pool.base_h[path]), len(index), index, values)
    return times
