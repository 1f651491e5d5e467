"""Search for good plans: fill along the fastest routes, round relaxations, aim at better arrival times."""

from __future__ import annotations

import math

import numpy as np

from abatis.barrier._fill import LEAST_GAIN_H, JoinedGraphs, OptionTable, fill, make_scratch
from abatis.barrier.crew import Crew
from abatis.barrier.incumbent import SUMMED, Incumbent
from abatis.barrier.targets import TargetSearch
from abatis.model.plan import find_grain

LEAST_POINT = 0.05
SOME_OPTIONS = 500
ARCS_AN_OPTION = 250


class PlanSearch:
    """Fills plans greedily, rounds the fractional choice of a relaxation, and searches around the best plan.

    A search that runs beside others needs an `incumbent` of its own, and a crew that says when all is over.
    `size` is how many entries of routes and arcs of graphs are looked at for one unit of effort.
    """

    def __init__(self, incumbent: Incumbent, seed: int, crew: Crew | None = None) -> None:
        self.incumbent = incumbent
        self.crew = Crew(1) if crew is None else crew
        self.problem = incumbent.network.problem
        self._locked = self._locked_choice() > 0.5
        self._graphs = _join_graphs(incumbent)
        self._table = _table_options(incumbent, self._locked)
        self._crosses = _find_crossings(incumbent)
        options = int(self._crosses.any(axis=0).sum())
        self.size = math.sqrt(SOME_OPTIONS * (options + len(self._graphs.head) / ARCS_AN_OPTION))
        self._targets = TargetSearch(
            incumbent, find_grain(self.problem), self._graphs, self._table, np.random.default_rng(seed)
        )

    @property
    def idle_effort(self) -> float:
        """Effort of `improve` since the best plan became better."""
        return self._targets.idle_work / self.size

    def start(self) -> None:
        """Offer the empty plan (with locks) and a greedy fill."""
        empty = self._locked_choice()
        self.incumbent.offer(empty)
        self.incumbent.offer(self._fill(empty, self._all_alike()))

    def improve(self, effort: float, deadline: float) -> np.ndarray | None:
        """Search around the best plan; returns the best choice.

        Formula: effort x root of (`SOME_OPTIONS` x (options that count + arcs / `ARCS_AN_OPTION`)) entries of
        routes and arcs are looked at. In words: larger problems are searched longer, but not in proportion;
        and work instead of seconds keeps the search the same on every machine.
        """
        start = self._locked_choice()
        if self.incumbent.choice is None:
            start = self._fill(start, self._all_alike())
            self.incumbent.offer(start)
        if not self._is_topped():
            self._targets.improve(start, int(effort * self.size), self.crew, deadline)
        return self.incumbent.choice

    def seek(
        self, best: np.ndarray | None, point: np.ndarray | None, effort: float, deadline: float
    ) -> np.ndarray | None:
        """Search around `best` or a relaxation's point, rounded; returns the best choice."""
        if best is not None:
            self.incumbent.offer(best)
        if point is not None:
            self.round_point(point, deadline)
        return self.improve(effort, deadline)

    def _all_alike(self) -> np.ndarray:
        return np.ones(self.problem.option_count)

    def _is_topped(self) -> bool:
        """Say whether the best plan is as good as building everything: no move can help then."""
        levels = self.incumbent.levels
        return self.incumbent.value_h >= float(levels.weight @ levels.high_h) * (1.0 - 1e-12)

    def round_point(self, point: np.ndarray, deadline: float) -> None:
        """Take the options of a relaxation's point, the fullest first, while rules allow; then refill.

        In words: a relaxation spreads money thinly; what it holds most of is mostly right, and options that
        turn out to delay nothing are given back before the rest of the money is spent along the routes.
        """
        choice = self._locked_choice()
        table = self._table
        usage = table.rules @ choice
        taken = np.zeros(table.site_count, bool)
        taken[table.site[choice > 0.5]] = True
        for option in np.argsort(-point, kind="stable"):
            if point[option] < LEAST_POINT:
                break
            after = usage + table.rules[:, option]
            if not taken[table.site[option]] and (after <= np.maximum(table.limits, usage)).all():
                choice[option], usage = 1.0, after
                taken[table.site[option]] = True
        if not self.crew.is_over(deadline):
            self.incumbent.offer(self._fill(self._drop_idle(choice), point))

    def trim(self) -> None:
        """Give back options, the dearest first, whose loss costs no time at all."""
        best = self.incumbent.choice
        if best is None:
            return
        for option in self._dearest_first(best):
            choice = self.incumbent.choice.copy()  # type: ignore[union-attr]
            choice[option] = 0.0
            self.incumbent.offer_cheaper(choice)

    def _dearest_first(self, choice: np.ndarray) -> np.ndarray:
        chosen = np.flatnonzero((choice > 0.5) & ~self._locked)
        order = np.argsort(-self.problem.option_cost_eur[chosen], kind="stable")
        dearest: np.ndarray = chosen[order]
        return dearest

    def _drop_idle(self, choice: np.ndarray) -> np.ndarray:
        """Give back, the dearest first, options whose loss makes no approach faster."""
        finder = self.incumbent.finder
        finder.set_choice(choice)
        order = list(range(self.problem.approach_count))
        time_h = [finder.measure_time_h(k) for k in order]
        for option in self._dearest_first(choice):
            choice[option] = 0.0
            finder.set_choice(choice)
            for place, k in enumerate(order):
                if self._crosses[k, option] and finder.measure_time_h(k) < time_h[k] - LEAST_GAIN_H:
                    choice[option] = 1.0
                    order.insert(0, order.pop(place))  # the next option is mostly missed by the same approach
                    break
        return choice

    def _locked_choice(self) -> np.ndarray:
        """The cheapest option of every site that a rule locks in."""
        choice = np.zeros(self.problem.option_count)
        for rule in self.problem.rules:
            if rule.limit < 0 and len(rule.options) and not choice[rule.options].any():
                choice[rule.options[np.argmin(self.problem.option_cost_eur[rule.options])]] = 1.0
        return choice

    def _fill(self, choice: np.ndarray, prior: np.ndarray) -> np.ndarray:
        """Add options along the fastest routes while rules allow; `prior` says how much each is wanted."""
        scratch = make_scratch(self._graphs, self._table)
        minimum = self.problem.objective == "minimum"
        return fill(choice, prior, minimum, self._graphs, self._table, scratch)


def _join_graphs(incumbent: Incumbent) -> JoinedGraphs:
    graphs = incumbent.network.graphs
    levels = incumbent.levels
    counts = [len(graph.nodes) for graph in graphs]
    arc_start = np.append(0, np.cumsum([len(graph.head) for graph in graphs]))
    tails = [np.repeat(np.arange(n), np.diff(g.start)) for n, g in zip(counts, graphs, strict=True)]
    return JoinedGraphs(
        start=np.concatenate([graph.start + first for graph, first in zip(graphs, arc_start, strict=False)]),
        head=np.concatenate([graph.head for graph in graphs]),
        base_h=np.concatenate([graph.base_h for graph in graphs]),
        candidate=np.concatenate([graph.candidate for graph in graphs]),
        tail=np.concatenate(tails),
        guide_h=np.concatenate([np.append(graph.guide_h, np.inf) for graph in graphs]),
        node_start=np.append(0, np.cumsum([count + 1 for count in counts])),
        source=np.array([graph.source for graph in graphs]),
        target=np.array([graph.target for graph in graphs]),
        weight=np.array([max(levels.weight[list(m)].max(), 1e-6) for m in levels.of_approach]),
    )


def _find_crossings(incumbent: Incumbent) -> np.ndarray:
    """Say for every approach, bool[K, O], whether an option delays an arc of its graph at all."""
    network = incumbent.network
    crosses = np.zeros((len(network.graphs), network.problem.option_count), bool)
    owner = np.repeat(np.arange(len(network.candidate_edge)), np.diff(network.candidate_start))
    for approach, graph in enumerate(network.graphs):
        present = np.isin(owner, graph.candidate[graph.candidate >= 0])
        crosses[approach, network.candidate_option[present]] = True
    return crosses


def _table_options(incumbent: Incumbent, locked: np.ndarray) -> OptionTable:
    network, static = incumbent.network, incumbent.static
    problem = network.problem
    owner = np.repeat(np.arange(len(network.candidate_edge)), np.diff(network.candidate_start))
    order = np.argsort(network.candidate_option, kind="stable")
    counts = np.bincount(network.candidate_option, minlength=problem.option_count)
    rules = np.zeros((len(static.names), problem.option_count))
    for row, (options, coefficients) in enumerate(zip(static.options, static.coefficients, strict=True)):
        np.add.at(rules[row], options, coefficients)
    most = np.array([np.abs(one).max(initial=0.0) for one in static.coefficients])
    return OptionTable(
        candidate_start=network.candidate_start,
        candidate_option=network.candidate_option.astype(np.int32),
        candidate_delay_h=network.candidate_delay_h,
        entry_start=np.append(0, np.cumsum(counts)),
        entry_candidate=owner[order],
        entry_delay_h=network.candidate_delay_h[order],
        site=problem.option_site.astype(np.int64),
        cost=problem.option_cost_eur / max(1.0, float(problem.option_cost_eur.max(initial=1.0))),
        rules=rules,
        limits=static.limits + SUMMED * (np.abs(static.limits) + most),
        locked=locked,
        site_count=len(problem.site_keys),
    )
