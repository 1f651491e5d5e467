"""Search for good plans: drop some options, refill along the routes that are then fastest."""

from __future__ import annotations

import time

import numpy as np

from abatis.barrier.incumbent import Incumbent
from abatis.barrier.network import Route

GREED = 3.0
PRIOR_FLOOR = 0.03
LEAST_GAIN_H = 1e-9


class PlanSearch:
    """Drop-and-refill around the incumbent; steered by the fractional choice of the last relaxation."""

    def __init__(self, incumbent: Incumbent, seed: int) -> None:
        self.incumbent = incumbent
        self.problem = incumbent.network.problem
        self.finder = incumbent.finder
        self.random = np.random.default_rng(seed)
        self._entries = _list_entries(incumbent)
        levels = incumbent.levels
        self._weight = [max(levels.weight[list(members)].max(), 1e-6) for members in levels.of_approach]

    def start(self, moves: int, deadline: float) -> None:
        """Offer the empty plan (with locks), a greedy fill, and up to `moves` moves before the deadline."""
        empty = self._locked_choice()
        self.incumbent.offer(empty)
        flat = np.ones(self.problem.option_count)
        self.incumbent.offer(self._refill(empty.copy(), flat, greedy=True))
        self.improve(flat, moves, deadline)

    def improve(self, prior: np.ndarray, moves: int, deadline: float) -> None:
        """Make up to `moves` moves; `prior` float64[O] says how likely an option is wanted."""
        if self.incumbent.choice is None:
            self.incumbent.offer(self._refill(self._locked_choice(), prior, greedy=True))
        for _ in range(moves):
            if self.incumbent.choice is None or time.monotonic() > deadline:
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
        """Add options, or better ones in place of chosen ones, along the fastest routes while money lasts."""
        problem = self.problem
        routes = self._find_routes(choice, [None] * problem.approach_count, None)
        replaced = np.zeros(problem.option_count, bool)
        while True:
            present = self._present_options(choice)
            gain = np.where(replaced, 0.0, self._sum_gains(routes, present))
            replaced_cost = np.where(present >= 0, problem.option_cost_eur[present], 0.0)
            extra_cost = problem.option_cost_eur - replaced_cost
            score = gain * (PRIOR_FLOOR + prior) / np.maximum(extra_cost, 1.0)
            added = self._pick(choice, score, present, greedy)
            if added is None:
                return choice
            if present[added] >= 0:
                choice[present[added]] = 0.0
                replaced[present[added]] = True
            choice[added] = 1.0
            routes = self._find_routes(choice, routes, added)

    def trim(self) -> None:
        """Give back options, the dearest first, whose loss costs no time at all."""
        best = self.incumbent.choice
        if best is None:
            return
        chosen = np.flatnonzero(best > 0.5)
        for option in chosen[np.argsort(-self.problem.option_cost_eur[chosen], kind="stable")]:
            choice = self.incumbent.choice.copy()  # type: ignore[union-attr]
            choice[option] = 0.0
            self.incumbent.offer_cheaper(choice)

    def _present_options(self, choice: np.ndarray) -> np.ndarray:
        """For every option, the option now chosen at its site (-1 none)."""
        problem = self.problem
        at_site = np.full(len(problem.site_keys), -1, np.int64)
        chosen = np.flatnonzero(choice > 0.5)
        at_site[problem.option_site[chosen]] = chosen
        present: np.ndarray = at_site[problem.option_site]
        return present

    def _sum_gains(self, routes: list[tuple[float, Route] | None], present: np.ndarray) -> np.ndarray:
        """Weighted hours every option would add to the present routes, less what its site adds already."""
        weight = self._weight
        delay = np.zeros(self.problem.option_count)
        for approach in self._pressing(routes):
            found = routes[approach]
            if found is None:
                continue
            for candidate in found[1].candidates:
                options, delays = self._entries[candidate]
                delay[options] += weight[approach] * delays
        gain = delay - np.where(present >= 0, delay[present], 0.0)
        gain[gain < LEAST_GAIN_H] = 0.0
        return gain

    def _pressing(self, routes: list[tuple[float, Route] | None]) -> list[int]:
        """Approaches worth slowing now: all with a weighted sum, the earliest with the minimum."""
        known = [k for k, found in enumerate(routes) if found is not None]
        if self.problem.objective == "sum" or not known:
            return known
        return [min(known, key=lambda k: routes[k][0])]  # type: ignore[index]

    def _pick(self, choice: np.ndarray, score: np.ndarray, present: np.ndarray, greedy: bool) -> int | None:
        open_to = np.flatnonzero(score > 0)
        power = (score[open_to] / max(score.max(initial=0.0), 1e-300)) ** GREED
        while len(open_to):
            if greedy or power.sum() <= 0:
                place = int(np.argmax(power))
            else:
                place = int(self.random.choice(len(open_to), p=power / power.sum()))
            option = int(open_to[place])
            if self._is_allowed(choice, option, int(present[option])):
                return option
            open_to, power = np.delete(open_to, place), np.delete(power, place)
        return None

    def _is_allowed(self, choice: np.ndarray, option: int, replaced: int) -> bool:
        choice[option] = 1.0
        if replaced >= 0:
            choice[replaced] = 0.0
        allowed = self.incumbent.keeps_rules(choice)
        choice[option] = 0.0
        if replaced >= 0:
            choice[replaced] = 1.0
        return allowed

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
