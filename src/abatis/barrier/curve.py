"""Curves around a plan: value and bound against money or something else, and what one unit more buys."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from abatis.barrier.crew import Crew, count_threads
from abatis.barrier.explain import add_limit
from abatis.barrier.network import Network, build_network
from abatis.barrier.solve import Search, gap_of
from abatis.model.plan import Problem

ROUNDING = 1e-9
LATER_SHARE = 0.4
SLICES = 40
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class CurvePoint:
    """The best plan found at one limit (a budget, or an amount of something else), and what no plan beats.

    `chosen` is None and `value_h` -inf when no plan was found; `bound_h` is -inf when none exists.
    """

    limit: float
    chosen: np.ndarray | None
    cost_eur: float
    value_h: float
    bound_h: float


@dataclass(frozen=True)
class Slope:
    """What one unit more buys between two limits of a curve: hours, as found, and at least and at most."""

    from_limit: float
    to_limit: float
    found_h: float
    low_h: float
    high_h: float


def trace_curve(
    problem: Problem,
    budgets_eur: Sequence[float],
    gap: float = 0.01,
    time_limit_s: float = 300.0,
    seed: int = 1,
    progress: Progress | None = None,
    network: Network | None = None,
) -> tuple[CurvePoint, ...]:
    """Trace value and bound against the budget.

    Parameters
    ----------
    problem : the problem.
    budgets_eur : budgets, in any order.
    gap : gap at which each search stops.
    time_limit_s, seed : limit of all searches together, and their seed.
    progress : called with a stage in words and the share done.
    network : the compressed network of the problem, when one is at hand.

    Returns
    -------
    One point per different budget, the smallest first; values and bounds never fall with the budget.

    Formula: v_i = max(v_1 .. v_i), u_i = min(u_i .. u_n). In words: a plan for less money is a plan for more,
    and what no plan can beat with more money it cannot beat with less. Each search starts from the plan of
    the budget below; time that it leaves over goes to the budgets above, then in turns to the widest gap.
    """
    budgets = sorted({float(one) for one in budgets_eur})
    tasks = [(problem, budget) for budget in budgets]
    network = build_network(problem) if network is None else network
    stage = "searching along the budgets"
    return _trace(tasks, budgets, network, gap, time_limit_s, seed, stage, progress)


def trace_front(
    problem: Problem,
    budget_eur: float,
    amounts: np.ndarray,
    limits: Sequence[float],
    gap: float = 0.01,
    time_limit_s: float = 300.0,
    seed: int = 1,
    progress: Progress | None = None,
    network: Network | None = None,
    free: CurvePoint | None = None,
) -> tuple[CurvePoint, ...]:
    """Trace value and bound against the most of something else that the plan may use, under one budget.

    Parameters
    ----------
    problem, budget_eur : the problem and the budget of every plan on the front.
    amounts : what each option uses, float64[O], for example its land take in m2.
    limits : the most that the chosen options may use together, in any order.
    gap, time_limit_s, seed, progress, network : as in `trace_curve`.
    free : plan and bound under the budget without the limit, when known: its bound holds for every limit, and
        limits that its plan keeps need no search.

    Returns
    -------
    One point per different limit, the smallest first; see `trace_curve`.
    """
    every = sorted({float(one) for one in limits})
    needed = math.inf
    if free is not None and free.chosen is not None:
        needed = math.fsum(amounts[free.chosen]) * (1 - ROUNDING)
    ladder = [limit for limit in every if limit < needed]
    tasks = [(limit_amount(problem, amounts, limit), budget_eur) for limit in ladder]
    network = build_network(problem) if network is None else network
    stage = "searching along the civil limits"
    points = _trace(tasks, ladder, network, gap, time_limit_s, seed, stage, progress)
    if free is None:
        return points
    if points and points[-1].value_h > free.value_h:
        free = replace(points[-1], bound_h=max(free.bound_h, points[-1].value_h))
    bound_h = free.bound_h
    return (
        *(replace(one, bound_h=min(one.bound_h, bound_h)) for one in points),
        *(replace(free, limit=limit) for limit in every if limit >= needed),
    )


def limit_amount(problem: Problem, amounts: np.ndarray, limit: float) -> Problem:
    """Return the problem with a limit on what the chosen options use together.

    Parameters
    ----------
    problem : the problem.
    amounts : what each option uses, float64[O], at least 0.
    limit : the most that the chosen options may use together.

    In words: an option that alone uses more than the limit is ruled out by a rule of its own, so that no
    share of it enters a bound.
    """
    used = np.flatnonzero(amounts > 0).astype(np.int32)
    scale = max(1.0, float(amounts.max(initial=0.0)))
    limited = add_limit(problem, "civil limit", used, amounts[used] / scale, limit / scale)
    over = np.flatnonzero(amounts > limit * (1 + ROUNDING)).astype(np.int32)
    if not len(over):
        return limited
    return add_limit(limited, "more than the civil limit alone", over, np.ones(len(over)), 0.0)


def _trace(
    tasks: Sequence[tuple[Problem, float]],
    limits: Sequence[float],
    network: Network,
    gap: float,
    time_limit_s: float,
    seed: int,
    stage: str,
    progress: Progress | None,
) -> tuple[CurvePoint, ...]:
    """Solve problems of which each allows all that the ones before allow, and carry plans and bounds over."""
    deadline = time.monotonic() + time_limit_s

    def report(points: Sequence[CurvePoint]) -> None:
        if progress is not None:
            progress(stage, sum(_is_close(one, gap) for one in points) / len(tasks))

    with Crew(count_threads()) as crew:
        ladder = [
            _Rung(Search(problem, budget_eur, gap, seed, network, crew), limit)
            for (problem, budget_eur), limit in zip(tasks, limits, strict=True)
        ]
        points: tuple[CurvePoint, ...] = ()
        report(points)
        first_until = deadline - LATER_SHARE * time_limit_s
        for place, rung in enumerate(ladder):
            left_s = max(0.0, first_until - time.monotonic()) / (len(ladder) - place)
            rung.run(time.monotonic() + left_s, ladder[place - 1].find_plan() if place else None)
            points = _carry([one.look() for one in ladder[: place + 1]])
            report(points)
        while time.monotonic() < deadline:
            open_ones = [
                at for at, one in enumerate(points) if ladder[at].is_open and not _is_close(one, gap)
            ]
            if not open_ones:
                break
            place = max(open_ones, key=lambda at: (_gap_of(points[at]), at))
            ladder[place].run(min(deadline, time.monotonic() + time_limit_s / SLICES), points[place].chosen)
            points = _carry([one.look() for one in ladder])
            report(points)
        points = _carry([one.look(trim=True) for one in ladder])
    if progress is not None:
        progress(stage, 1.0)
    return points


class _Rung:
    """The search at one limit of a curve."""

    def __init__(self, search: Search, limit: float) -> None:
        self.search, self.limit = search, limit

    @property
    def is_open(self) -> bool:
        """True while more time may help."""
        return self.search.status == "time_limit"

    def run(self, deadline: float, start: np.ndarray | None) -> None:
        """Search on until a deadline, with a plan that is allowed here to begin with."""
        if start is not None:
            self.search.offer(start)
        if self.search.run(deadline, _ignore) == "interrupted":
            raise KeyboardInterrupt

    def find_plan(self) -> np.ndarray | None:
        """The best plan so far, int32[n]."""
        choice = self.search.incumbent.choice
        return None if choice is None else np.flatnonzero(choice > 0.5).astype(np.int32)

    def look(self, trim: bool = False) -> CurvePoint:
        """What is known at this limit alone; `trim` gives back options that cost money and buy no time."""
        if trim and self.find_plan() is not None:
            self.search.describe()
        chosen = self.find_plan()
        if chosen is None:
            bound_h = -math.inf if self.search.status == "gap" else math.inf
            return CurvePoint(self.limit, None, math.nan, -math.inf, bound_h)
        cost_eur = float(self.search.network.problem.option_cost_eur[chosen].sum())
        return CurvePoint(self.limit, chosen, cost_eur, self.search.value_h, self.search.bound_h)


def _ignore(_value_h: float, _bound_h: float) -> None:
    """Progress of one search inside a curve is not told."""


def _carry(found: Sequence[CurvePoint]) -> tuple[CurvePoint, ...]:
    """Carry plans up the ladder and bounds down."""
    points: list[CurvePoint] = []
    for point in found:
        if points and points[-1].value_h > point.value_h:
            before = points[-1]
            point = replace(point, chosen=before.chosen, cost_eur=before.cost_eur, value_h=before.value_h)
        points.append(replace(point, bound_h=max(point.bound_h, point.value_h)))
    for place in range(len(points) - 2, -1, -1):
        bound_h = min(points[place].bound_h, points[place + 1].bound_h)
        points[place] = replace(points[place], bound_h=bound_h)
    return tuple(points)


def _gap_of(point: CurvePoint) -> float:
    return math.inf if point.chosen is None else gap_of(point.value_h, point.bound_h)


def _is_close(point: CurvePoint, gap: float) -> bool:
    """Say whether a point is proven to a gap, or proven to have no plan."""
    return point.bound_h == -math.inf or _gap_of(point) <= gap


def measure_slopes(points: Sequence[CurvePoint], unit: float = 1e6) -> tuple[Slope, ...]:
    """Say what one more unit (a million EUR) buys between neighbours of a curve.

    Formula: found = (v_b - v_a) / (b - a) x unit; at least max(0, v_b - u_a), at most u_b - v_a, likewise. In
    words: the hours that the step adds, spread evenly; the true best plans lie between value and bound.
    Steps from a limit without a plan are left out.

    Examples
    --------
    >>> nothing = np.empty(0, np.int32)
    >>> a, b = CurvePoint(0.0, nothing, 0.0, 4.0, 4.0), CurvePoint(2e6, nothing, 2e6, 5.0, 5.5)
    >>> slope = measure_slopes((a, b))[0]
    >>> slope.found_h, slope.low_h, slope.high_h
    (0.5, 0.5, 0.75)
    """
    slopes = []
    for a, b in itertools.pairwise(points):
        if a.chosen is None or b.chosen is None:
            continue
        per = unit / (b.limit - a.limit)
        slopes.append(
            Slope(
                from_limit=a.limit,
                to_limit=b.limit,
                found_h=(b.value_h - a.value_h) * per,
                low_h=max(0.0, b.value_h - a.bound_h) * per,
                high_h=(b.bound_h - a.value_h) * per,
            )
        )
    return tuple(slopes)
