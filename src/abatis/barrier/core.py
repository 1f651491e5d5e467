"""Search for plans among few options: those that the linear programmes of the tree ask for."""

from __future__ import annotations

import numpy as np

from abatis.barrier.crew import Crew
from abatis.barrier.incumbent import Incumbent
from abatis.barrier.network import build_network, keep_candidates
from abatis.barrier.programme import Relaxation, make_static_rows
from abatis.barrier.search import PlanSearch
from abatis.model.plan import Problem

OPTIONS_A_CHOSEN = 6
LEAST_SHARE = 0.01
LARGEST_SHARE = 0.25
EDGES_AN_ARC = 2


class CoreSearch:
    """Searches near the best plan among the options that programmes hold most of, the core.

    In words: of thousands of sites a few hundred matter. A linear programme names them without knowing which
    of them go together; a search among them alone has shorter routes to look at and fewer ways to go wrong.
    """

    def __init__(self, whole: Incumbent, budget_eur: float, seed: int, crew: Crew) -> None:
        self._network, self._problem, self._levels = whole.network, whole.network.problem, whole.levels
        self._budget_eur, self._seed, self._crew = budget_eur, seed, crew
        self._wanted = np.zeros(self._problem.option_count)
        self._kept = _find_demanded(self._problem)
        self._points, self._chosen_at = 0, 0
        self._options = np.empty(0, np.int64)
        self._moves: PlanSearch | None = None

    @property
    def is_found(self) -> bool:
        """True once there are few options to search among."""
        return self._moves is not None

    def note(self, point: Relaxation) -> None:
        """Take in the point of a programme, unless it only shows that its box holds no plan."""
        if point.slack <= LEAST_SHARE:
            self._wanted += point.choice
            self._points += 1

    def seek(self, best: np.ndarray, work: float, deadline: float) -> np.ndarray | None:
        """Search for `work` entries of routes and arcs from the best plan; returns the best choice, if any.

        The core is chosen anew whenever the number of points has doubled.
        """
        if self._points >= max(1, 2 * self._chosen_at):
            self._choose_core(best)
        if self._moves is None:
            return None
        chosen = best[self._options]
        if chosen.sum() == best.sum():
            self._moves.incumbent.offer(chosen)
        found = self._moves.improve(work / self._moves.size, deadline)
        return None if found is None else self._widen(found)

    def _choose_core(self, best: np.ndarray) -> None:
        """Keep the options of which the points hold most, up to `OPTIONS_A_CHOSEN` for each chosen one.

        In words: compressing anew pays where the ground has few edges between those that may change.
        """
        self._chosen_at = self._points
        most = OPTIONS_A_CHOSEN * int(best.sum())
        ranked = np.argsort(-self._wanted, kind="stable")[:most]
        kept = self._kept | (best > 0.5)
        kept[ranked[self._wanted[ranked] > LEAST_SHARE]] = True
        options = np.flatnonzero(kept)
        if not 0 < len(options) <= LARGEST_SHARE * len(kept) or np.array_equal(options, self._options):
            return
        self._options = options
        network = keep_candidates(self._network, options)
        if len(self._problem.tail) <= EDGES_AN_ARC * sum(len(graph.head) for graph in network.graphs):
            network = build_network(network.problem, Crew(1))
        static = make_static_rows(network.problem, self._budget_eur)
        self._moves = PlanSearch(Incumbent(network, self._levels, static), self._seed, self._crew)

    def _widen(self, choice: np.ndarray) -> np.ndarray:
        whole = np.zeros(self._problem.option_count)
        whole[self._options] = choice
        return whole


def _find_demanded(problem: Problem) -> np.ndarray:
    """Options, bool[O], that help to keep a rule."""
    demanded = np.zeros(problem.option_count, bool)
    for rule in problem.rules:
        demanded[rule.options[rule.coefficients < 0]] = True
    return demanded
