"""Search for plans with arrival times near those of the best plan, by a small mixed-integer programme."""

from __future__ import annotations

import time

import highspy
import numpy as np

from abatis.barrier.incumbent import Incumbent
from abatis.barrier.potentials import Potentials

REACH = 0.03
LEAST_GAIN = 5e-4
CLOSE = 3e-3
MOST_ROWS = 16_000
MOST_OPTIONS = 2_500
LONGEST_S = 10.0
EFFORT = 0.08
LEAST_SPREAD = 0.2


class LevelNeighbourhood:
    """Looks for better plans in boxes of arrival times round those of the best plan.

    In words: most good plans give nearly the times of the best plan known, but by other sites. In a narrow
    box of times the programme over potentials is so tight that its first linear programme with cuts mostly
    settles it, so only that first node is searched.
    """

    def __init__(self, incumbent: Incumbent, seed: int) -> None:
        self.incumbent = incumbent
        self.random = np.random.default_rng(seed)
        self._steps = 0
        self._potentials: Potentials | None = None
        self.usable = incumbent.network.problem.option_count <= MOST_OPTIONS

    def improve(self, steps: int, deadline: float) -> None:
        """Search boxes until one holds nothing better, unless `EFFORT` of all simplex steps was spent here.

        `steps` are the simplex steps that the rest of the search has taken. Counting steps instead of seconds
        keeps the search the same on every machine.
        """
        while self.usable and self._steps <= EFFORT * steps and time.monotonic() < deadline:
            if not self._search_box(deadline):
                return

    def _search_box(self, deadline: float) -> bool:
        best = self.incumbent
        if best.choice is None or best.value_h <= 0:
            self.usable = False
            return False
        if self._potentials is None:
            self._potentials = Potentials(best.network, best.levels, best.static)
        levels, level_h = best.levels, best.measure_levels(best.choice)
        spread = self.random.uniform(LEAST_SPREAD, 1.0, (2, len(level_h)))
        low_h = np.maximum(level_h * (1.0 - REACH * spread[0]), levels.low_h)
        high_h = np.maximum(np.minimum(level_h * (1.0 + REACH * spread[1]), levels.high_h), low_h)
        model = self._potentials.make_programme(low_h, high_h, best.value_h * (1.0 + LEAST_GAIN))
        if model.getNumRow() > MOST_ROWS:
            self.usable = False
            return False
        model.setOptionValue("mip_max_nodes", 1)
        model.setOptionValue("mip_rel_gap", CLOSE)
        model.setOptionValue("time_limit", min(LONGEST_S, max(0.01, deadline - time.monotonic())))
        model.run()
        self._steps += max(0, model.getInfo().simplex_iteration_count)
        if model.getInfo().primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
            return False
        first = self._potentials.node_count
        point = np.asarray(model.getSolution().col_value)
        return best.offer(np.round(point[first : first + best.network.problem.option_count]))
