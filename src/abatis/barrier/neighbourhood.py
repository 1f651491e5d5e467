"""Search for plans with arrival times near those of the best plan, by a small mixed-integer programme."""

from __future__ import annotations

import time
from dataclasses import dataclass

import highspy
import numpy as np

from abatis.barrier.crew import Crew, Job
from abatis.barrier.incumbent import Incumbent
from abatis.barrier.potentials import Potentials

REACH = 0.03
LEAST_GAIN = 5e-4
CLOSE = 3e-3
MOST_ROWS = 16_000
MOST_OPTIONS = 2_500
LONGEST_S = 10.0
EFFORT = 0.08
PATIENCE = 8
FIRST_STEPS = 500
LEAST_SPREAD = 0.2


class LevelNeighbourhood:
    """Looks for better plans in boxes of arrival times round those of the best plan.

    In words: most good plans give nearly the times of the best plan known, but by other sites. In a narrow
    box of times the programme over potentials is so tight that its first linear programme with cuts mostly
    settles it, so only that first node is searched.
    """

    def __init__(self, incumbent: Incumbent, seed: int, crew: Crew | None = None) -> None:
        self.incumbent = incumbent
        self.random = np.random.default_rng(seed)
        self.crew = crew
        self._steps = 0
        self._due_steps = 0
        self._last_steps = FIRST_STEPS
        self._job: Job[Nearby] | None = None
        self._potentials: Potentials | None = None
        self.usable = incumbent.network.problem.option_count <= MOST_OPTIONS

    def improve(self, steps: int, deadline: float) -> None:
        """Search boxes until one holds nothing better, unless `EFFORT` of all simplex steps was spent here.

        `steps` are the simplex steps that the rest of the search has taken. Counting steps instead of seconds
        keeps the search the same on every machine. With a crew one box is searched beside the rest, and its
        plan is taken once the rest has taken `PATIENCE` times the steps of the box before.
        """
        if self._job is not None:
            if steps < self._due_steps:
                return
            self.take()
        while self.usable and self._steps <= EFFORT * steps and time.monotonic() < deadline:
            work = self._make_work(deadline)
            if work is None:
                return
            if self.crew is not None:
                self._job = self.crew.start(work.run, work.cancel)
                self._due_steps = steps + PATIENCE * self._last_steps
                return
            if not self._offer(work.run()):
                return

    def take(self) -> None:
        """Wait for the box being searched, if there is one, and offer its plan."""
        job, self._job = self._job, None
        if job is not None:
            self._offer(job.get())

    def _offer(self, answer: Nearby) -> bool:
        self._last_steps = answer.steps
        self._steps += answer.steps
        return answer.choice is not None and self.incumbent.offer(answer.choice)

    def _make_work(self, deadline: float) -> NearbyWork | None:
        """Draw a box round the times of the best plan and set up its programme; None when there is no use."""
        best = self.incumbent
        if best.choice is None or best.value_h <= 0:
            self.usable = False
            return None
        if self._potentials is None:
            self._potentials = Potentials(best.network, best.levels, best.static)
        levels, level_h = best.levels, best.measure_levels(best.choice)
        spread = self.random.uniform(LEAST_SPREAD, 1.0, (2, len(level_h)))
        low_h = np.maximum(level_h * (1.0 - REACH * spread[0]), levels.low_h)
        high_h = np.maximum(np.minimum(level_h * (1.0 + REACH * spread[1]), levels.high_h), low_h)
        model = self._potentials.make_programme(low_h, high_h, best.value_h * (1.0 + LEAST_GAIN))
        if model.getNumRow() > MOST_ROWS:
            self.usable = False
            return None
        first = self._potentials.node_count
        return NearbyWork(model, slice(first, first + best.network.problem.option_count), deadline)


@dataclass(frozen=True)
class Nearby:
    """What a box near the best plan held: a choice of options, if any, and the simplex steps it took."""

    choice: np.ndarray | None
    steps: int


class NearbyWork:
    """The first node of one small mixed-integer programme; `columns` are its options."""

    def __init__(self, model: highspy.Highs, columns: slice, deadline: float) -> None:
        self.model = model
        self.columns = columns
        self.deadline = deadline

    def run(self) -> Nearby:
        """Search the box."""
        model = self.model
        model.setOptionValue("mip_max_nodes", 1)
        model.setOptionValue("mip_rel_gap", CLOSE)
        model.setOptionValue("time_limit", min(LONGEST_S, max(0.01, self.deadline - time.monotonic())))
        model.HandleUserInterrupt = True
        model.run()
        steps = max(0, model.getInfo().simplex_iteration_count)
        if model.getInfo().primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
            return Nearby(None, steps)
        return Nearby(np.round(np.asarray(model.getSolution().col_value)[self.columns]), steps)

    def cancel(self) -> None:
        """Ask a search under way to end soon."""
        self.model.cancelSolve()
