"""Search for good plans: drop some options, refill along the routes that are then fastest."""

from __future__ import annotations

import numpy as np

from abatis.barrier.network import Route
from abatis.barrier.tree import Incumbent

GREED = 3.0
PRIOR_FLOOR = 0.03


class PlanSearch:
    """Drop-and-refill around the incumbent; steered by the fractional choice of the last relaxation."""

    def __init__(self, incumbent: Incumbent, seed: int) -> None:
        self.incumbent = incumbent
        self.problem = incumbent.network.problem
        self.finder = incumbent.finder
        self.random = np.random.default_rng(seed)
        self._entries = _list_entries(incumbent)

    def start(self, moves: int) -> None:
        """Offer the empty plan (with locks), then a greedy fill, then `moves` moves."""
        empty = self._locked_choice()
        self.incumbent.offer(empty)
        flat = np.ones(self.problem.option_count)
        self.incumbent.offer(self._refill(empty.copy(), flat, greedy=True))
        self.improve(flat, moves)

    def improve(self, prior: np.ndarray, moves: int) -> None:
        """Make `moves` drop-and-refill moves; `prior` float64[O] says how likely an option is wanted."""
        if self.incumbent.choice is None:
            self.incumbent.offer(self._refill(self._locked_choice(), prior, greedy=True))
        for _ in range(moves):
            if self.incumbent.choice is None:
                return
            choice = self._drop(self.incumbent.choice.copy())
            self.incumbent.offer(self._refill(choice, prior, greedy=False))

    def _locked_choice(self) -> np.ndarray:
        """The cheapest option of every site that a rule locks in."""
        choice = np.zeros(self.problem.option_count)
        for rule in self.problem.rules:
            if rule.limit < 0 and len(rule.options) and not choice[rule.options].any():
                choice[rule.options[np.argmin(self.problem.option_cost_eur[rule.options])]] = 1.0
        return choice

    def _drop(self, choice: np.ndarray) -> np.ndarray:
        chosen = np.flatnonzero(choice > 0.5)
        if not len(chosen):
            return choice
        count = int(self.random.integers(1, max(2, len(chosen) // 3) + 1))
        if self.random.random() < 0.5:
            first = int(self.random.integers(len(chosen)))
            dropped = chosen[first : first + count]
        else:
            dropped = self.random.choice(chosen, size=min(count, len(chosen)), replace=False)
        choice[dropped] = 0.0
        locked = self._locked_choice()
        return np.maximum(choice, locked) if locked.any() else choice

    def _refill(self, choice: np.ndarray, prior: np.ndarray, greedy: bool) -> np.ndarray:
        problem, levels = self.problem, self.incumbent.levels
        weight = np.array([max(levels.weight[list(m)].max(), 1e-6) for m in levels.of_approach])
        routes = self._find_routes(choice, [None] * problem.approach_count, None)
        score = np.full(problem.option_count, -1.0)
        while True:
            gain = np.zeros(problem.option_count)
            for approach in self._pressing(routes):
                found = routes[approach]
                if found is not None:
                    for candidate in found[1].candidates:
                        options, delays = self._entries[candidate]
                        gain[options] += weight[approach] * delays
            gain *= (PRIOR_FLOOR + prior) / np.maximum(problem.option_cost_eur, 1.0)
            score[:] = gain
            added = self._pick(choice, score, greedy)
            if added is None:
                return choice
            choice[added] = 1.0
            routes = self._find_routes(choice, routes, added)

    def _pressing(self, routes: list[tuple[float, Route] | None]) -> list[int]:
        """Approaches worth slowing now: all with a weighted sum, the earliest with the minimum."""
        known = [k for k, found in enumerate(routes) if found is not None]
        if self.problem.objective == "sum" or not known:
            return known
        return [min(known, key=lambda k: routes[k][0])]  # type: ignore[index]

    def _pick(self, choice: np.ndarray, score: np.ndarray, greedy: bool) -> int | None:
        problem = self.problem
        taken = np.isin(problem.option_site, problem.option_site[choice > 0.5])
        score[taken] = 0.0
        open_to = np.flatnonzero(score > 0)
        while len(open_to):
            power = score[open_to] ** GREED
            if greedy:
                place = int(np.argmax(power))
            else:
                total = power.sum()
                place = int(self.random.choice(len(open_to), p=power / total)) if total > 0 else 0
            option = int(open_to[place])
            choice[option] = 1.0
            allowed = self.incumbent.keeps_rules(choice)
            choice[option] = 0.0
            if allowed:
                return option
            open_to = np.delete(open_to, place)
        return None

    def _find_routes(
        self, choice: np.ndarray, routes: list[tuple[float, Route] | None], added: int | None
    ) -> list[tuple[float, Route] | None]:
        """Routes under a choice; after adding one option only routes that cross it are found again."""
        self.finder.set_choice(choice)
        fresh: list[tuple[float, Route] | None] = []
        for approach in range(self.problem.approach_count):
            known = routes[approach]
            if added is not None and (known is None or not self._crosses(known[1], added)):
                fresh.append(known)
                continue
            time_h, route = self.finder.find_route(approach)
            fresh.append(None if route is None else (time_h, route))
        return fresh

    def _crosses(self, route: Route, option: int) -> bool:
        return any(option in self._entries[candidate][0] for candidate in route.candidates)


def _list_entries(incumbent: Incumbent) -> list[tuple[np.ndarray, np.ndarray]]:
    network = incumbent.network
    parts = zip(network.candidate_start[:-1], network.candidate_start[1:], strict=True)
    return [(network.candidate_option[a:b], network.candidate_delay_h[a:b]) for a, b in parts]
