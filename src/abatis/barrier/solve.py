"""Choose options within budget and rules: a plan, a proven bound, and what the certificate needs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from abatis.barrier.boxes import Node
from abatis.barrier.crew import Crew, Job, count_threads
from abatis.barrier.incumbent import Incumbent
from abatis.barrier.levels import Levels, list_onward
from abatis.barrier.neighbourhood import LevelNeighbourhood
from abatis.barrier.network import Network, RouteFinder, build_network
from abatis.barrier.paths import PathPool
from abatis.barrier.programme import Relaxation, StaticRows, make_static_rows
from abatis.barrier.search import PlanSearch
from abatis.barrier.tree import Seek, TreeSearch
from abatis.model.errors import Fault, InfeasibleError, InputError
from abatis.model.plan import Problem, find_grain

FIRST_MOVES = 100
MORE_MOVES = 900
NODE_MOVES = 32
MOVE_EVERY = 32
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
    if budget_eur < 0:
        raise InputError([Fault(f"is {budget_eur:g}", column="budget", remedy="give EUR, at least 0")])
    started = time.monotonic()
    deadline = started + time_limit_s
    with Crew(count_threads(threads)) as crew:
        network = build_network(problem, crew) if network is None else replace(network, problem=problem)
        before_h = np.array([graph.before_h for graph in network.graphs])
        _check_reachable(problem, before_h)
        levels = make_levels(network, before_h)
        static = make_static_rows(problem, budget_eur)
        incumbent = Incumbent(network, levels, static)
        tree = TreeSearch(network, levels, static, incumbent, gap, find_grain(problem), crew)
        search = PlanSearch(Incumbent(network, levels, static), seed, crew)
        nearby = LevelNeighbourhood(incumbent, seed, crew)
        status = _search(tree, search, nearby, start, started, deadline, progress)
    PlanSearch(incumbent, seed).trim()
    if incumbent.choice is None:
        raise explain_infeasible(problem, status)
    proven_h = tree.bound_h if tree.nodes else float(levels.weight @ levels.high_h)
    bound_h = max(proven_h + ROUNDING * abs(proven_h), incumbent.value_h)
    return Solution(
        problem=problem,
        network=network,
        levels=levels,
        static=static,
        budget_eur=budget_eur,
        chosen=np.flatnonzero(incumbent.choice > 0.5).astype(np.int32),
        before_h=before_h,
        after_h=measure_times(network, incumbent.choice),
        value_h=incumbent.value_h,
        bound_h=bound_h,
        status="optimal" if bound_h - incumbent.value_h <= _spare_h(levels, bound_h) else status,
        seconds=time.monotonic() - started,
        nodes=tuple(tree.nodes),
        pool=tree.pool,
        grid=tree.grid,
    )


def _search(
    tree: TreeSearch,
    search: PlanSearch,
    nearby: LevelNeighbourhood,
    start: np.ndarray | None,
    started: float,
    deadline: float,
    progress: Progress | None,
) -> str:
    """Search for plans and bounds until the gap is proven, the time is up, or the user ends it."""
    best, problem, crew = tree.incumbent, tree.network.problem, tree.crew
    first: list[Job[np.ndarray | None]] = []

    def improve(point: Relaxation, node: int) -> Seek | None:
        while first:
            _offer(best, first.pop().get())
        if node >= FIRST_NEARBY:
            nearby.improve(tree.steps, deadline)
        if node % MOVE_EVERY == 0 or node & (node - 1) == 0:
            return partial(search.seek, best.choice, point.choice, NODE_MOVES, deadline)
        return None

    def report(value: float, bound: float) -> None:
        if progress is not None:
            progress(value, bound, time.monotonic() - started)

    status = "interrupted"
    with _until_interrupted():
        if start is not None:
            search.incumbent.offer(np.isin(np.arange(problem.option_count), start).astype(float))
        search.start(FIRST_MOVES, deadline)
        _offer(best, search.incumbent.choice)
        first.append(crew.start(partial(search.go_on, MORE_MOVES, deadline)))
        status = tree.run(deadline, improve, report)
        if first and tree.bound_h - best.value_h > _spare_h(tree.levels, tree.bound_h):
            _offer(best, first.pop().get())
        if status == "time_limit":
            nearby.take()
    if status in ("time_limit", "interrupted"):
        if search.incumbent.choice is None:
            search.start(0, deadline)
        _offer(best, search.incumbent.choice)
    return status


@contextlib.contextmanager
def _until_interrupted() -> Iterator[None]:
    """Leave the block quietly at Ctrl-C, also where compiled code turned it into a SystemError."""
    try:
        yield
    except KeyboardInterrupt:
        pass
    except SystemError as error:
        reason: BaseException | None = error
        while isinstance(reason, SystemError):
            reason = reason.__cause__ or reason.__context__
        if not isinstance(reason, KeyboardInterrupt):
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
