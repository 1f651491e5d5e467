"""Choose options within budget and rules: a plan, a proven bound, and what the certificate needs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from abatis.barrier.boxes import Node
from abatis.barrier.core import CoreSearch
from abatis.barrier.crew import Crew, Job, count_threads
from abatis.barrier.flows import FlowProgramme
from abatis.barrier.incumbent import Incumbent
from abatis.barrier.levels import Levels, list_onward
from abatis.barrier.neighbourhood import LevelNeighbourhood
from abatis.barrier.network import Network, RouteFinder, build_network
from abatis.barrier.paths import PathPool
from abatis.barrier.programme import Relaxation, StaticRows, make_static_rows
from abatis.barrier.relaxed_plan import RelaxedPlan
from abatis.barrier.search import PlanSearch
from abatis.barrier.tree import Seek, TreeSearch
from abatis.model.errors import Fault, InfeasibleError, InputError, is_interrupt
from abatis.model.plan import Problem, find_grain

FIRST_EFFORT = 20.0
ROOT_EFFORT = 100.0
STEPPED_FIRST_EFFORT = 400.0
STEPPED_ROOT_EFFORT = 600.0
STEP_EFFORT = 2.0
LEAST_STEP_EFFORT = 0.1
IDLE_EFFORT = 150_000.0
LEAST_EFFORT = 1_000.0
LARGE_ARCS = 300_000
LARGE_LEAST_S = 55.0
WHOLE_SHARE = 0.3
CORE_SHARE = 2.0
ROUND_EVERY = 8
FIRST_NEARBY = 100
ROUNDING = 1e-9
Progress = Callable[[float, float, float], None]


@dataclass(frozen=True)
class Solution:
    """The answer of the solver: chosen options, times without and with them, bound and the tree behind it."""

    problem: Problem
    network: Network
    levels: Levels
    static: StaticRows
    budget_eur: float
    chosen: np.ndarray
    before_h: np.ndarray
    after_h: np.ndarray
    value_h: float
    bound_h: float
    status: str
    seconds: float
    nodes: tuple[Node, ...]
    pool: PathPool
    grid: list[np.ndarray]

    @property
    def cost_eur(self) -> float:
        """Cost of the chosen options."""
        return float(self.problem.option_cost_eur[self.chosen].sum())

    @property
    def gap(self) -> float:
        """(bound - value) / value; 0 when both are 0."""
        return gap_of(self.value_h, self.bound_h)


def gap_of(value_h: float, bound_h: float) -> float:
    """Return (bound - value) / value.

    Examples
    --------
    >>> gap_of(4.0, 5.0)
    0.25
    """
    spread = max(0.0, bound_h - value_h)
    return spread / abs(value_h) if value_h else (0.0 if spread == 0 else float("inf"))


def solve_problem(
    problem: Problem,
    budget_eur: float,
    gap: float = 0.01,
    time_limit_s: float = 60.0,
    seed: int = 1,
    progress: Progress | None = None,
    network: Network | None = None,
    start: np.ndarray | None = None,
    threads: int | None = None,
) -> Solution:
    """Choose at most one option per site within budget and rules for the largest value.

    Parameters
    ----------
    problem : sites, options and approaches on a graph.
    budget_eur : money that the chosen options may cost together.
    gap : stop when (bound - value) / value is proven to be at most this.
    time_limit_s : stop after this many seconds with the best plan and its bound.
    seed : seed of the plan search; same problem, gap and seed give the same plan unless time ran out.
    progress : called with (value_h, bound_h, seconds) now and then; KeyboardInterrupt inside it, or at any
        moment of the search, ends the search with the best plan so far.
    network : the compressed network of a problem with the same graph, approaches and options, when one is at
        hand (its compression depends on neither budget nor rules).
    start : options int[n] of a plan to begin with, ignored when it breaks budget or rules.
    threads : threads of the search (default: one per core, at most 2); the answer does not depend on them.

    Returns
    -------
    The solution; its bound holds for every plan that keeps budget and rules.

    Raises
    ------
    InputError : an approach cannot reach its objective at all, or the budget is negative.
    InfeasibleError : no plan keeps the rules.

    Formula: max sum_k w_k z_k with z_k <= t(P) + sum_{o on P} d_o x_o for every path P of approach k, at most
    one option per site, cost within budget, rules. In words: every approach takes its fastest way under the
    plan; the plan makes the fastest ways as slow as money allows. Source: Israeli and Wood (2002).
    """
    started = time.monotonic()
    with Crew(count_threads(threads)) as crew, crew.heed_interrupts():
        network = build_network(problem, crew) if network is None else network
        search = Search(problem, budget_eur, gap, seed, network, crew)
        if start is not None:
            search.offer(start)

        def report(value_h: float, bound_h: float) -> None:
            if progress is not None:
                progress(value_h, bound_h, time.monotonic() - started)

        search.run(started + time_limit_s, report)
        return search.describe()


class Search:
    """A search for plans and their bound that can be stopped and gone on with; see `solve_problem`.

    Searches may share a crew when they run in turn. `value_h` and `bound_h` are what is known by now.
    """

    def __init__(
        self, problem: Problem, budget_eur: float, gap: float, seed: int, network: Network, crew: Crew
    ) -> None:
        if budget_eur < 0:
            raise InputError([Fault(f"is {budget_eur:g}", column="budget", remedy="give EUR, at least 0")])
        self.network = replace(network, problem=problem)
        self.budget_eur, self.seed, self.crew = budget_eur, seed, crew
        self.before_h = np.array([graph.before_h for graph in network.graphs])
        _check_reachable(problem, self.before_h)
        self.levels = make_levels(self.network, self.before_h)
        self.static = make_static_rows(problem, budget_eur)
        self.incumbent = Incumbent(self.network, self.levels, self.static)
        grain_h = find_grain(problem)
        # The bound is padded by ROUNDING once more when it is told.
        told = max(0.0, gap - 2.0 * ROUNDING)
        self.tree = TreeSearch(self.network, self.levels, self.static, self.incumbent, told, grain_h, crew)
        self.status = ""
        self.seconds = 0.0
        self._moves = PlanSearch(Incumbent(self.network, self.levels, self.static), seed, crew)
        self._core = CoreSearch(self.incumbent, budget_eur, seed, crew)
        self._nearby = LevelNeighbourhood(self.incumbent, seed, crew)
        self._first: list[Job[np.ndarray | None]] = []
        self._arcs = sum(len(graph.head) for graph in network.graphs)
        self._steps_before, self._effort_left = 0, 0.0

    @property
    def value_h(self) -> float:
        """Value of the best plan found; -inf before there is one."""
        return self.incumbent.value_h

    @property
    def bound_h(self) -> float:
        """What no plan can be worth more than, rounding allowed for."""
        proven_h = self.tree.bound_h if self.tree.nodes else float(self.levels.weight @ self.levels.high_h)
        return max(proven_h + ROUNDING * abs(proven_h), self.incumbent.value_h)

    def offer(self, options: np.ndarray) -> None:
        """Offer a plan from elsewhere, options int[n]; it is ignored when it breaks budget or rules."""
        choice = np.isin(np.arange(self.network.problem.option_count), options).astype(float)
        self._moves.incumbent.offer(choice)
        if self.tree.nodes:
            self.incumbent.offer(choice)

    def run(self, deadline: float, report: Callable[[float, float], None]) -> str:
        """Search until the gap is proven, the deadline (monotonic seconds) passes, or the user ends it.

        Called again after the deadline, it goes on where it stopped. `report` gets (value_h, bound_h) now and
        then. Returns the status: `gap`, `rounding`, `time_limit` or `interrupted`.
        """
        begun = time.monotonic()
        best, moves = self.incumbent, self._moves
        self.status = "interrupted"
        with self.crew.heed_interrupts(), _until_interrupted():
            if not self.tree.nodes:
                moves.start()
                self._seek_first(deadline)
            self.status = self.tree.run(deadline, partial(self._improve, deadline), report)
            if self._first and self.tree.bound_h - best.value_h > _spare_h(self.levels, self.tree.bound_h):
                _offer(best, self._first.pop().get())
            if self.status == "time_limit":
                self._nearby.take()
            if self.status == "time_limit" and self.crew.is_interrupted:
                self.status = "interrupted"
        if self.status in ("time_limit", "interrupted"):
            if moves.incumbent.choice is None:
                moves.start()
            _offer(best, moves.incumbent.choice)
        self.seconds += time.monotonic() - begun
        return self.status

    def _seek_first(self, deadline: float) -> None:
        """Search for the plans to begin with.

        In words: with one level in whole steps a plan that is best already is proved by the first box, and
        the search goes on only where that fails; else it goes on beside the root.
        """
        if self.tree.goal.is_stepped:
            _offer(self.incumbent, self._moves.improve(STEPPED_FIRST_EFFORT, deadline))
            self._effort_left = STEPPED_ROOT_EFFORT
        else:
            _offer(self.incumbent, self._moves.improve(FIRST_EFFORT, deadline))
            self._first.append(self._start_moves(deadline))

    def _start_moves(self, deadline: float) -> Job[np.ndarray | None]:
        """Start the moves beside the root; on a large network linear programmes guide both."""
        if self._arcs < LARGE_ARCS or deadline - time.monotonic() < LARGE_LEAST_S:
            return self.crew.start(partial(self._moves.improve, ROOT_EFFORT, deadline))
        bound, plan = (FlowProgramme(self.network, self.levels, self.static) for _ in range(2))
        found = self.crew.start(partial(bound.find_paths, deadline), bound.cancel)
        moves = self.crew.start(partial(RelaxedPlan(plan).seek, self._moves, deadline), plan.cancel)
        self.tree.start_from(found.get())
        return moves

    def _improve(self, deadline: float, point: Relaxation, node: int) -> Seek | None:
        """Search for plans at a node of the tree; may return a job for the crew."""
        while self._first:
            _offer(self.incumbent, self._first.pop().get())
        if node >= FIRST_NEARBY:
            self._nearby.improve(self.tree.steps, deadline)
        self._core.note(point)
        effort = self._allow_effort()
        is_rounded = node % ROUND_EVERY == 0 or node & (node - 1) == 0
        if is_rounded or effort >= LEAST_EFFORT:
            return partial(
                self._seek_plans,
                self.incumbent.choice,
                point.choice if is_rounded else None,
                effort,
                deadline,
            )
        self._effort_left = effort
        return None

    def _seek_plans(
        self, best: np.ndarray | None, point: np.ndarray | None, effort: float, deadline: float
    ) -> np.ndarray | None:
        """Search among all options, and more among those of the core, where a step takes less time."""
        found = self._moves.seek(best, point, self._whole_share * effort, deadline)
        if found is not None:
            work = CORE_SHARE * effort * self._moves.size
            _offer(self._moves.incumbent, self._core.seek(found, work, deadline))
        return self._moves.incumbent.choice

    @property
    def _whole_share(self) -> float:
        """Share of the effort that goes to a search among all options."""
        return WHOLE_SHARE if self._core.is_found else 1.0

    def _allow_effort(self) -> float:
        """Effort that the plan search may spend now: by simplex steps, less the longer it has been idle."""
        steps, before = self.tree.steps, self._steps_before
        idle = max(1.0, self._moves.idle_effort / (self._whole_share * IDLE_EFFORT))
        rate = max(LEAST_STEP_EFFORT, STEP_EFFORT / idle)
        effort = self._effort_left + rate * (steps - before)
        self._steps_before, self._effort_left = steps, 0.0
        return effort

    def describe(self) -> Solution:
        """Return what is known by now.

        Raises
        ------
        InfeasibleError : no plan keeps the rules, or none was found in the time given.
        """
        PlanSearch(self.incumbent, self.seed).trim()
        choice = self.incumbent.choice
        if choice is None:
            raise explain_infeasible(self.network.problem, self.status)
        bound_h = self.bound_h
        is_closed = bound_h - self.incumbent.value_h <= _spare_h(self.levels, bound_h)
        return Solution(
            problem=self.network.problem,
            network=self.network,
            levels=self.levels,
            static=self.static,
            budget_eur=self.budget_eur,
            chosen=np.flatnonzero(choice > 0.5).astype(np.int32),
            before_h=self.before_h,
            after_h=measure_times(self.network, choice),
            value_h=self.incumbent.value_h,
            bound_h=bound_h,
            status="optimal" if is_closed else self.status,
            seconds=self.seconds,
            nodes=tuple(self.tree.nodes),
            pool=self.tree.pool,
            grid=self.tree.grid,
        )


@contextlib.contextmanager
def _until_interrupted() -> Iterator[None]:
    """Leave the block quietly at Ctrl-C, also where compiled code turned it into a SystemError."""
    try:
        yield
    except KeyboardInterrupt:
        pass
    except SystemError as error:
        if not is_interrupt(error):
            raise


def _offer(best: Incumbent, choice: np.ndarray | None) -> None:
    if choice is not None:
        best.offer(choice)


def _spare_h(levels: Levels, bound_h: float) -> float:
    """Hours between value and bound that are rounding only."""
    return 2.0 * levels.tolerance_h + 2.0 * ROUNDING * abs(bound_h)


def measure_times(network: Network, choice: np.ndarray) -> np.ndarray:
    """Arrival time of every approach, hours float64[K], under a choice float64[O]."""
    finder = RouteFinder(network)
    finder.set_choice(choice)
    return np.array([finder.measure_time_h(k) for k in range(network.problem.approach_count)])


def make_levels(network: Network, before_h: np.ndarray) -> Levels:
    """Set up the level variables and the box that holds for every plan.

    In words: no plan can make an approach faster than without barriers, nor slower than with the longest
    delay on every edge at once.
    """
    problem = network.problem
    slowest = np.array([graph.slowest_h for graph in network.graphs])
    count = problem.approach_count
    onward: tuple[tuple[int, int, float], ...] = ()
    if problem.objective == "minimum":
        members: list[tuple[int, ...]] = [(0,)] * count
        weight, low, high = [1.0], [float(before_h.min())], [float(slowest.min())]
    else:
        members = [(k,) for k in range(count)]
        onward = list_onward(np.array([graph.onward_h for graph in network.graphs]), before_h, slowest)
        weight = problem.approach_weight.tolist()
        low, high = before_h.tolist(), slowest.tolist()
    for approach, hours in problem.least_hours.items():
        if problem.objective == "minimum":
            members[approach] = (*members[approach], len(weight))
            weight.append(0.0)
            low.append(max(float(before_h[approach]), hours))
            high.append(float(slowest[approach]))
        else:
            low[approach] = max(low[approach], hours)
    return Levels(tuple(members), np.array(weight), np.array(low), np.maximum(high, low), onward)


def _check_reachable(problem: Problem, before_h: np.ndarray) -> None:
    faults = [
        Fault(
            f"approach '{problem.approach_keys[k]}' cannot reach its objective even without barriers",
            "tables/approaches.csv",
            remedy="check front, objective, vehicle and season",
        )
        for k in np.flatnonzero(~np.isfinite(before_h))
    ]
    if faults:
        raise InputError(faults)


def explain_infeasible(problem: Problem, status: str) -> InfeasibleError:
    """Name the rules that no plan keeps together (all that bind when no smaller set was proven)."""
    names = [rule.name for rule in problem.rules if rule.limit < 0]
    names += [problem.least_hours_names[k] for k in problem.least_hours]
    if status != "gap":
        text = "no plan that keeps all rules was found in the time given"
        return InfeasibleError(text, names, proven=False)
    return InfeasibleError("no plan keeps these rules within the budget: " + "; ".join(names), names)
