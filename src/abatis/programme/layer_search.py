"""Search over layers of years: the solver's own parts, with one level per approach and year."""

from __future__ import annotations

import time
from collections.abc import Sequence

import highspy
import numpy as np

from abatis.barrier.crew import Crew
from abatis.barrier.incumbent import Incumbent
from abatis.barrier.levels import Levels, list_onward
from abatis.barrier.neighbourhood import LevelNeighbourhood
from abatis.barrier.network import Network
from abatis.barrier.potentials import Potentials
from abatis.barrier.programme import Relaxation, StaticRows, make_static_rows
from abatis.barrier.search import PlanSearch
from abatis.barrier.tree import TreeSearch
from abatis.model.plan import Problem, find_grain

FIRST_EFFORT = 20_000.0
NODE_EFFORT = 500.0
ROUND_EVERY = 32
FIRST_NEARBY = 100
STEP_SHARE = 0.6
ROUNDING = 1e-9
TOLERANCE = 2e-7
NO_LIMIT = 2**60


class LayerSearch:
    """One problem over columns (option, start year); `run` may be called again to go on.

    `value_h` and `bound_h` are weighted by the layers' weights; `choice` is the best choice of columns.
    """

    def __init__(
        self,
        problem: Problem,
        network: Network,
        weights: Sequence[float],
        gap: float,
        seed: int,
        budget: float | None = None,
        crew: Crew | None = None,
    ) -> None:
        self.levels = make_layer_levels(network, weights)
        total = float(problem.option_cost_eur.sum())
        static: StaticRows = make_static_rows(problem, max(1.0, 2.0 * total) if budget is None else budget)
        self.incumbent = Incumbent(network, self.levels, static)
        self._search = PlanSearch(self.incumbent, seed)
        self._nearby = LevelNeighbourhood(self.incumbent, seed)
        self.tree = TreeSearch(network, self.levels, static, self.incumbent, gap, find_grain(problem), crew)
        self._top_h = float(self.levels.weight @ self.levels.high_h)
        self._started = False

    @property
    def value_h(self) -> float:
        """Value of the best choice."""
        return self.incumbent.value_h

    @property
    def bound_h(self) -> float:
        """No choice is worth more."""
        proven = self.tree.bound_h if self.tree.nodes else self._top_h
        return max(proven + ROUNDING * abs(proven), self.value_h)

    @property
    def choice(self) -> np.ndarray:
        """Columns chosen, bool[columns]."""
        best = self.incumbent.choice
        size = self.incumbent.network.problem.option_count
        return np.zeros(size, bool) if best is None else best > 0.5

    @property
    def is_settled(self) -> bool:
        """True when the gap asked is proven."""
        return self.tree.is_settled(self.bound_h * (1 - 2 * ROUNDING))

    def offer(self, choice: np.ndarray) -> None:
        """Offer a choice of columns to begin with, bool[columns]."""
        self.incumbent.offer(choice.astype(float))

    def find_choice(self, deadline: float) -> None:
        """Look for a good choice without proving anything, once."""
        if not self._started:
            self._search.start()
            self._search.improve(FIRST_EFFORT, deadline)
            self._started = True

    def search_nearby(self, deadline: float) -> None:
        """Look for better choices with times near those of the best until none is found, proving nothing."""
        self._nearby.improve(NO_LIMIT, deadline)

    def run(self, deadline: float) -> None:
        """Search until the gap is proven or the deadline (monotonic seconds) has passed."""
        self.find_choice(deadline)
        if self.incumbent.choice is None or time.monotonic() > deadline:
            return
        self.tree.run(deadline, lambda point, node: self._improve(point, node, deadline), lambda *_: None)

    def prove(self, deadline: float) -> None:
        """Lower the bound until the gap is proven or the deadline has passed; seek no other choices.

        In words: the goal comes nearer by steps, so that no box is proven much better than the worst one.
        """
        goal, asked, bound_h = self.tree.goal, self.tree.goal.gap, np.inf
        while time.monotonic() < deadline and not self.is_settled:
            value_h, before_h, bound_h = abs(self.value_h), bound_h, self.bound_h
            if 0 < value_h < np.inf and bound_h < before_h:
                goal.gap = max(asked, STEP_SHARE * (bound_h - self.value_h) / value_h)
            is_last = goal.gap <= asked
            try:
                status = self.tree.run(deadline, lambda *_: None, lambda *_: None)
            finally:
                goal.gap = asked
            if status != "gap" or is_last:
                return

    def solve_programme(self, seconds: float) -> float:
        """Solve the whole mixed-integer programme over arrival times, for small cases; returns its bound.

        In words: a handful of options is settled faster by one programme than by splitting arrival times.
        HiGHS keeps rows to a tolerance, so its bound is raised by `TOLERANCE` of itself.
        """
        levels = self.levels
        potentials = Potentials(self.incumbent.network, levels, self.incumbent.static)
        least_h = self.value_h if np.isfinite(self.value_h) else float(levels.weight @ levels.low_h)
        model = potentials.make_programme(levels.low_h, levels.high_h, least_h * (1.0 - TOLERANCE))
        for name, value in (("mip_rel_gap", 0.0), ("mip_abs_gap", 0.0), ("time_limit", max(0.01, seconds))):
            model.setOptionValue(name, value)
        model.run()
        info = model.getInfo()
        if info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible:
            point = np.asarray(model.getSolution().col_value)[potentials.node_count :]
            self.incumbent.offer(np.round(point[: self.incumbent.network.problem.option_count]))
        bound_h = float(info.mip_dual_bound) * (1.0 + TOLERANCE)
        return max(bound_h, self.value_h) if np.isfinite(bound_h) else self.bound_h

    def share_routes(self, other: LayerSearch, known: int) -> int:
        """Take over the routes that another search found after its first `known`; returns how many it has.

        Both must have the same columns and the same ground, so that a route of one is a route of the other.
        """
        pool = other.tree.pool
        for path in range(known, len(pool)):
            self.tree.pool.add_route(pool.routes[path], int(pool.level[path]))
        return len(pool)

    def _improve(self, point: Relaxation, node: int, deadline: float) -> None:
        if node % ROUND_EVERY == 0 or node & (node - 1) == 0:
            self._search.round_point(point.choice, deadline)
            self._search.improve(NODE_EFFORT, deadline)
        if node >= FIRST_NEARBY:
            self._nearby.improve(self.tree.steps, deadline)


def make_layer_levels(network: Network, weights: Sequence[float]) -> Levels:
    """Levels of a layered network: one per approach and layer, or one per layer for the minimum."""
    problem = network.problem
    before = np.array([graph.before_h for graph in network.graphs])
    slowest = np.maximum([graph.slowest_h for graph in network.graphs], before)
    if problem.objective != "minimum":
        members = tuple((k,) for k in range(len(before)))
        onward = list_onward(np.array([graph.onward_h for graph in network.graphs]), before, slowest)
        return Levels(members, problem.approach_weight.astype(float), before, slowest, onward)
    layers = len(weights)
    each = len(before) // layers
    return Levels(
        tuple((k // each,) for k in range(len(before))),
        np.array(weights, float),
        before.reshape(layers, each).min(axis=1),
        slowest.reshape(layers, each).min(axis=1),
    )
