"""Arrival times at the end of every year under a schedule, exact."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from abatis.barrier.network import Network, RouteFinder, build_network
from abatis.model.plan import Problem, keep_options
from abatis.programme.terms import NEVER, Terms


@dataclass(frozen=True)
class Timeline:
    """The compressed network of a plan's options, and when each of its delays holds.

    `network.problem` has the n options of the terms, each at a site of its own. Entry e of the network's
    candidates belongs to option `network.candidate_option[e]`; `mode` int8[entries] says open ground or road.
    """

    network: Network
    terms: Terms
    owner: np.ndarray
    mode: np.ndarray

    @property
    def approach_count(self) -> int:
        """Number of approaches."""
        return len(self.network.graphs)

    def share_effects(self, finish: np.ndarray, year: int) -> np.ndarray:
        """Share of its delay that every option has at the end of a year, float64[n, 2]."""
        age = year - finish
        share = np.zeros((len(finish), 2))
        built = np.flatnonzero((finish != NEVER) & (age >= 0))
        last = self.terms.growth.shape[2] - 1
        share[built] = self.terms.growth[built, :, np.minimum(age[built], last)]
        return share

    def sum_delays(self, finish: np.ndarray, year: int) -> np.ndarray:
        """Hours of delay on every candidate at the end of a year, float64[C]."""
        share = self.share_effects(finish, year)[self.network.candidate_option, self.mode]
        delay_h = self.network.candidate_delay_h * share
        return np.bincount(self.owner, delay_h, minlength=len(self.network.candidate_edge))

    def measure(self, start: np.ndarray) -> np.ndarray:
        """Arrival times at the end of every year, hours float64[K, Y], for start rows int64[n]."""
        finder = RouteFinder(self.network)
        finish = self.terms.find_finish(start)
        held = np.empty((self.approach_count, self.terms.year_count))
        before: np.ndarray | None = None
        for year in range(self.terms.year_count):
            extra_h = self.sum_delays(finish, year)
            if before is not None and np.array_equal(extra_h, before):
                held[:, year] = held[:, year - 1]
                continue
            finder.extra_h[: len(extra_h)] = extra_h
            held[:, year] = [finder.measure_time_h(k) for k in range(self.approach_count)]
            before = extra_h
        return held

    def value_years(self, held_h: np.ndarray) -> np.ndarray:
        """Value of every year, hours float64[Y]: the weighted sum of arrival times, or the least of them."""
        problem = self.network.problem
        if problem.objective == "minimum":
            least: np.ndarray = held_h.min(axis=0)
            return least
        total: np.ndarray = problem.approach_weight @ held_h
        return total


def make_timeline(problem: Problem, terms: Terms) -> Timeline:
    """Compress a problem to the options of a plan and prepare their delays by year.

    Parameters
    ----------
    problem : the study's problem; `terms.options` are rows of its options.
    terms : when works hold and how they grow.
    """
    network = build_network(restrict_options(problem, terms.options))
    owner = np.repeat(np.arange(len(network.candidate_edge)), np.diff(network.candidate_start))
    return Timeline(network, terms, owner, network.candidate_mode[owner].astype(np.int64))


def restrict_options(problem: Problem, options: np.ndarray) -> Problem:
    """Return the problem with some of its options only, each at a site of its own, without rules.

    In words: the options of a plan are settled; only their years are open, and at most one stands at a site.
    """
    free = replace(problem, rules=(), least_hours={}, least_hours_names={})
    return replace(
        keep_options(free, options),
        site_keys=tuple(problem.site_keys[problem.option_site[o]] for o in options),
        site_names=tuple(problem.site_names[problem.option_site[o]] for o in options),
        option_site=np.arange(len(options), dtype=np.int32),
    )
