"""The best plan so far: every offer is priced exactly before it is taken."""

from __future__ import annotations

import numpy as np

from abatis.barrier.levels import Levels
from abatis.barrier.network import Network, RouteFinder
from abatis.barrier.programme import StaticRows

# What adding up some hundred costs may differ by, as a share of them.
SUMMED = 1e-12


class Incumbent:
    """The best plan so far; offers are priced exactly before they are taken."""

    def __init__(self, network: Network, levels: Levels, static: StaticRows) -> None:
        self.network = network
        self.levels = levels
        self.static = static
        self.finder = RouteFinder(network)
        self.choice: np.ndarray | None = None
        self.value_h = -np.inf

    def keeps_rules(self, choice: np.ndarray) -> bool:
        """Say whether budget, rules and one option per site are kept (hours asked by rules apart)."""
        sites = self.network.problem.option_site[choice > 0.5]
        if len(set(sites.tolist())) != len(sites):
            return False
        for options, coefficients, limit in zip(
            self.static.options, self.static.coefficients, self.static.limits, strict=True
        ):
            inside = np.flatnonzero(choice[options])
            amounts = coefficients[inside] * choice[options[inside]]
            if not float(amounts.sum()) <= limit + SUMMED * (abs(limit) + float(np.abs(amounts).sum())):
                return False
        return True

    def measure_levels(self, choice: np.ndarray) -> np.ndarray:
        """Arrival time of every level under a whole choice, exact."""
        self.finder.set_choice(choice)
        times = [self.finder.measure_time_h(k) for k in range(self.network.problem.approach_count)]
        level_h = np.full(len(self.levels.weight), np.inf)
        for approach, members in enumerate(self.levels.of_approach):
            for level in members:
                level_h[level] = min(level_h[level], times[approach])
        return level_h

    def offer(self, choice: np.ndarray) -> bool:
        """Take a choice when it keeps the rules and is worth more than the present one."""
        return self._take(choice, self.value_h + 1e-12 * self.levels.span_h)

    def offer_cheaper(self, choice: np.ndarray) -> bool:
        """Take a choice, cheaper than the present one, when it keeps the rules and is worth as much."""
        return self._take(choice, np.nextafter(self.value_h, -np.inf))

    def _take(self, choice: np.ndarray, above_h: float) -> bool:
        if not self.keeps_rules(choice):
            return False
        level_h = self.measure_levels(choice)
        value_h = float(self.levels.weight @ level_h)
        if value_h <= above_h or (level_h < self.levels.low_h - self.levels.tolerance_h).any():
            return False
        self.value_h, self.choice = value_h, choice.copy()
        return True
