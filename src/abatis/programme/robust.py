"""Robust plans: the options best on average and in the worst tenth of the scenarios, with a bound."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import highspy
import numpy as np

from abatis.barrier.network import RouteFinder, build_network
from abatis.barrier.sites import Siting
from abatis.model.errors import Fault, InfeasibleError, InputError
from abatis.model.mesh import Mesh
from abatis.model.plan import Problem
from abatis.model.study import Study
from abatis.programme.drawn_works import collect_works, restrict_problem
from abatis.programme.draws import collect_inputs
from abatis.programme.outlook import WORST_SHARE, compute_worst_mean
from abatis.programme.risk import draw_delays, draw_worlds

ROUNDING = 1e-7
LINEAR_SHARE = 0.4
Progress = Callable[[float, float, float], None]


@dataclass(frozen=True)
class RobustSettings:
    """What is asked: weight of the worst share against the mean, that share, gap, seconds.

    `worst_weight` 0 asks for the best mean, 1 for the best worst share alone.
    """

    worst_weight: float = 0.5
    worst_share: float = WORST_SHARE
    gap: float = 0.01
    time_limit_s: float = 60.0


@dataclass(frozen=True)
class RobustPlan:
    """The answer: options int64[n], its score and parts, and what no plan can exceed on these scenarios.

    `score_h` = (1 - weight) x `mean_h` + weight x `worst_h`; `scenario_h` float64[S]; `gap` = (bound_h -
    score_h) / score_h.
    """

    chosen: np.ndarray
    score_h: float
    mean_h: float
    worst_h: float
    scenario_h: np.ndarray
    bound_h: float
    gap: float
    cost_eur: float
    paths: int
    rounds: int
    seconds: float


def solve_robust(
    problem: Problem,
    scenario_open_h: np.ndarray,
    scenario_road_h: np.ndarray,
    budget_eur: float,
    settings: RobustSettings | None = None,
    start: Sequence[np.ndarray] = (),
    progress: Progress | None = None,
) -> RobustPlan:
    """Choose options for the best mean and worst share over scenarios of delays.

    Parameters
    ----------
    problem : sites, options, rules and approaches; its own delays are not used.
    scenario_open_h, scenario_road_h : delays in each scenario float64[S, entries], entries as in
        `problem.option_edge`.
    budget_eur : money for the options at the problem's costs.
    settings : what is asked.
    start : plans int[n] to begin with, for example the plan for likely delays.
    progress : called with (score_h, bound_h, seconds).

    Formula: max (1 - w) mean_s V_s + w (e - sum_s max(e - V_s, 0) / (a S)), V_s = sum_k w_k z_ks, and for
    every path P of approach k in scenario s: z_ks <= t(P) + sum_{o on P} min(d_os, u_ks - t(P)) x_o.
    In words: sample average approximation; every scenario has arrival times of its own, the plan is one for
    all. Paths are added when a plan or a part of one breaks them; each mixed-integer programme bounds every
    plan, so the bound holds whenever the search stops. It holds for these scenarios, not for all worlds.
    Source: Rockafellar and Uryasev 2000 (CVaR); Israeli and Wood 2002 (paths).

    Raises
    ------
    InputError : no scenario, arrays of another shape, weights or shares out of range, a negative budget.
    InfeasibleError : no plan keeps budget and rules.
    """
    settings = settings or RobustSettings()
    _check(problem, scenario_open_h, scenario_road_h, budget_eur, settings)
    return _RobustSearch(problem, scenario_open_h, scenario_road_h, budget_eur, settings).run(start, progress)


def _check(
    problem: Problem, opened: np.ndarray, road: np.ndarray, budget_eur: float, settings: RobustSettings
) -> None:
    shape = (len(opened), len(problem.option_edge))
    faults = [
        Fault(f"has shape {array.shape}, not {shape}", column=name)
        for name, array in (("scenario_open_h", opened), ("scenario_road_h", road))
        if array.shape != shape or not shape[0]
    ]
    if not 0 <= settings.worst_weight <= 1:
        faults.append(Fault(f"is {settings.worst_weight:g}", column="worst_weight", remedy="give 0 to 1"))
    if not 0 < settings.worst_share <= 1:
        faults.append(Fault(f"is {settings.worst_share:g}", column="worst_share", remedy="give above 0 to 1"))
    if not (math.isfinite(budget_eur) and budget_eur >= 0):
        faults.append(Fault(f"is {budget_eur:g}", column="budget", remedy="give EUR, at least 0"))
    if faults:
        raise InputError(faults)


class _Scenarios:
    """A problem under several scenarios of delays, compressed once for all: its times and scores."""

    def __init__(
        self, problem: Problem, opened: np.ndarray, road: np.ndarray, settings: RobustSettings
    ) -> None:
        self.problem, self.settings = problem, settings
        self.scenarios, self.approaches = len(opened), problem.approach_count
        longest = _take_longest(problem, opened.max(axis=0), road.max(axis=0))
        self.network = build_network(longest)
        self.finder = RouteFinder(self.network)
        self.entry_option = self.network.candidate_option
        self.owner = np.repeat(
            np.arange(len(self.network.candidate_edge)), np.diff(self.network.candidate_start)
        )
        self.delay_h = self._spread_delays(opened, road)

    def _spread_delays(self, opened: np.ndarray, road: np.ndarray) -> np.ndarray:
        """Delay of each network entry in each scenario, float64[S, entries]."""
        problem, network = self.problem, self.network
        option = np.repeat(np.arange(problem.option_count), np.diff(problem.option_start))
        place = {
            (int(o), int(e)): n for n, (o, e) in enumerate(zip(option, problem.option_edge, strict=True))
        }
        rows = [
            place[int(o), int(network.candidate_edge[c])]
            for o, c in zip(self.entry_option, self.owner, strict=True)
        ]
        on_road = network.candidate_mode[self.owner] == 1
        return np.where(on_road, road[:, rows], opened[:, rows])

    def _set(self, scenario: int, choice: np.ndarray) -> None:
        weight = self.delay_h[scenario] * choice[self.entry_option]
        self.finder.extra_h[: len(self.network.candidate_edge)] = np.bincount(
            self.owner, weight, minlength=len(self.network.candidate_edge)
        )

    def measure(self, choice: np.ndarray, relaxed: bool = False) -> np.ndarray:
        """Hours [S, K] under a choice; `relaxed` adds all options of a site, a bound for every plan."""
        hours = np.empty((self.scenarios, self.approaches))
        for s in range(self.scenarios):
            self._set(s, choice)
            for k in range(self.approaches):
                hours[s, k] = self.finder.measure_time_h(k)
        if relaxed and not np.isfinite(hours).all():
            row = int(np.argwhere(~np.isfinite(hours))[0][1])
            raise InputError(
                [Fault(f"approach '{self.problem.approach_keys[row]}' has no way to its objective")]
            )
        return hours

    def score(self, hours: np.ndarray) -> tuple[float, float, float, np.ndarray]:
        """Score, mean, worst share, and the value of each scenario."""
        value = (
            hours.min(axis=1) if self.problem.objective == "minimum" else hours @ self.problem.approach_weight
        )
        mean, worst = float(value.mean()), compute_worst_mean(value, self.settings.worst_share)
        weight = self.settings.worst_weight
        return (1 - weight) * mean + weight * worst, mean, worst, value


class _RobustSearch(_Scenarios):
    """Lazy paths over scenarios: columns are options x, times z[s, k], values V[s], e, shortfalls y[s]."""

    def __init__(
        self,
        problem: Problem,
        opened: np.ndarray,
        road: np.ndarray,
        budget_eur: float,
        settings: RobustSettings,
    ) -> None:
        super().__init__(problem, opened, road, settings)
        self.budget_eur = budget_eur
        self.seen: set[tuple[int, int, tuple[int, ...], float]] = set()
        self.best: tuple[float, np.ndarray] = (-np.inf, np.empty(0, np.int64))
        self.bound_h = np.inf
        self.rounds = 0
        self.latest_h = self.measure(np.ones(problem.option_count), relaxed=True)
        self._build_model()

    def _build_model(self) -> None:
        problem, settings = self.problem, self.settings
        options, s_count, k_count = problem.option_count, self.scenarios, self.approaches
        self.time_column = options
        self.value_column = options + s_count * k_count
        self.tail_column = self.value_column + s_count
        inf = highspy.kHighsInf
        model = highspy.Highs()
        model.setOptionValue("output_flag", False)
        model.setOptionValue("threads", 1)
        model.setOptionValue("mip_rel_gap", settings.gap / 2)
        model.changeObjectiveSense(highspy.ObjSense.kMaximize)
        model.addVars(options, np.zeros(options), np.ones(options))
        model.addVars(s_count * k_count, np.zeros(s_count * k_count), self.latest_h.ravel())
        model.addVars(s_count, np.full(s_count, -inf), np.full(s_count, inf))
        model.addVars(1 + s_count, np.append(-inf, np.zeros(s_count)), np.full(1 + s_count, inf))
        weight = settings.worst_weight
        for s in range(s_count):
            model.changeColCost(self.value_column + s, (1 - weight) / s_count)
            model.changeColCost(self.tail_column + 1 + s, -weight / (settings.worst_share * s_count))
        model.changeColCost(self.tail_column, weight)
        self.model = model
        self._add_row(np.arange(options), problem.option_cost_eur / 1e6, self.budget_eur / 1e6)
        for site in np.unique(problem.option_site):
            rows = np.flatnonzero(problem.option_site == site)
            self._add_row(rows, np.ones(len(rows)), 1.0)
        for rule in problem.rules:
            self._add_row(rule.options, rule.coefficients, rule.limit)
        for s in range(s_count):
            times = self.time_column + s * k_count + np.arange(k_count)
            value = self.value_column + s
            if problem.objective == "minimum":
                for one in times:
                    self._add_row(np.array([value, one]), np.array([1.0, -1.0]), 0.0)
            else:
                self._add_row(np.append(value, times), np.append(1.0, -problem.approach_weight), 0.0)
            tail = np.array([self.tail_column, value, self.tail_column + 1 + s])
            self._add_row(tail, np.array([1.0, -1.0, -1.0]), 0.0)
        for k, hours in problem.least_hours.items():
            for s in range(s_count):
                column = self.time_column + s * k_count + k
                self.model.changeColBounds(column, float(hours), float(self.latest_h[s, k]))

    def _add_row(self, columns: np.ndarray, factors: np.ndarray, limit: float) -> None:
        self.model.addRow(
            -highspy.kHighsInf,
            float(limit),
            len(columns),
            np.asarray(columns, np.int32),
            np.asarray(factors, float),
        )

    def _separate(self, choice: np.ndarray, times: np.ndarray) -> int:
        """Add the paths that these times break; return how many."""
        added = 0
        for s in range(self.scenarios):
            self._set(s, choice)
            for k in range(self.approaches):
                length, route = self.finder.find_route(k)
                if route is None or times[s, k] <= length + ROUNDING * max(1.0, length):
                    continue
                key = (s, k, route.candidates, round(route.base_h, 9))
                if key not in self.seen:
                    self.seen.add(key)
                    self._add_path(s, k, route.base_h, route.candidates)
                    added += 1
        return added

    def _add_path(self, s: int, k: int, base_h: float, candidates: tuple[int, ...]) -> None:
        """Add z <= base + sum of min(delay, latest - base) x: no plan is later than the latest time."""
        total: dict[int, float] = {}
        for c in candidates:
            for entry in range(self.network.candidate_start[c], self.network.candidate_start[c + 1]):
                option = int(self.entry_option[entry])
                total[option] = total.get(option, 0.0) + float(self.delay_h[s, entry])
        room = max(0.0, float(self.latest_h[s, k]) - base_h)
        columns = np.append(self.time_column + s * self.approaches + k, list(total)).astype(np.int32)
        factors = np.append(1.0, [-min(one, room) for one in total.values()])
        self._add_row(columns, factors, base_h)

    def _read(self) -> tuple[np.ndarray, np.ndarray]:
        solution = np.asarray(self.model.getSolution().col_value)
        times = solution[self.time_column : self.value_column].reshape(self.scenarios, self.approaches)
        return solution[: self.problem.option_count], times

    def _try(self, chosen: np.ndarray) -> None:
        """Keep a plan that holds budget and rules and is better than the best so far."""
        problem = self.problem
        choice = np.zeros(problem.option_count)
        choice[chosen] = 1.0
        if problem.option_cost_eur[chosen].sum() > self.budget_eur * (1 + 1e-12):
            return
        if len(np.unique(problem.option_site[chosen])) < len(chosen) or any(
            float(choice[rule.options] @ rule.coefficients) > rule.limit + ROUNDING for rule in problem.rules
        ):
            return
        hours = self.measure(choice)
        late = (hours[:, k].min() < least - ROUNDING for k, least in problem.least_hours.items())
        score = self.score(hours)[0]
        if not any(late) and score > self.best[0]:
            self.best = (score, np.sort(chosen))

    def _fill(self, wish: np.ndarray) -> np.ndarray:
        """Round a fractional plan: the most wished options first while money lasts, one per site."""
        cost, site = self.problem.option_cost_eur, self.problem.option_site
        chosen: list[int] = []
        left, taken = self.budget_eur, set()
        for option in np.lexsort((cost, -np.round(wish, 6))):
            if wish[option] > 0.05 and cost[option] <= left and int(site[option]) not in taken:
                chosen.append(int(option))
                taken.add(int(site[option]))
                left -= float(cost[option])
        return np.array(chosen, np.int64)

    def _is_done(self) -> bool:
        score = self.best[0]
        return bool(np.isfinite(score) and self.bound_h - score <= self.settings.gap * abs(score) + ROUNDING)

    def run(self, start: Sequence[np.ndarray], progress: Progress | None) -> RobustPlan:
        began = time.monotonic()
        limit_s = self.settings.time_limit_s
        for plan in (*start, np.empty(0, np.int64)):
            self._try(np.asarray(plan, np.int64))
        report = progress or (lambda _score, _bound, _seconds: None)
        whole = False
        while not self._is_done():
            spent = time.monotonic() - began
            if self.rounds and spent > limit_s:
                break
            # Paths come cheap from the linear programme; whole options only once it has nothing to add.
            if not whole and spent > LINEAR_SHARE * limit_s and self.rounds:
                whole = True
            if whole:
                self._ask_whole()
            self.model.setOptionValue("time_limit", self.model.getRunTime() + max(1.0, limit_s - spent))
            self.model.run()
            self.rounds += 1
            if not self._read_bound(whole):
                break
            choice, times = self._read()
            if whole:
                choice = np.round(choice)
            self._try(np.flatnonzero(choice > 0.5) if whole else self._fill(choice))
            added = self._separate(choice, times)
            report(self.best[0], self.bound_h, time.monotonic() - began)
            if not added:
                if whole:
                    break
                whole = True
        return self._finish(time.monotonic() - began)

    def _ask_whole(self) -> None:
        count = self.problem.option_count
        kinds = np.full(count, 1, np.uint8)
        self.model.changeColsIntegrality(count, np.arange(count, dtype=np.int32), kinds)

    def _read_bound(self, whole: bool) -> bool:
        """Take the bound of the last run; False when it brought no plan to go on from."""
        status = self.model.getModelStatus()
        if status == highspy.HighsModelStatus.kInfeasible:
            raise InfeasibleError("No plan keeps the budget and the rules.", ())
        info = self.model.getInfo()
        if whole:
            self.bound_h = min(self.bound_h, float(info.mip_dual_bound))
            return bool(info.primal_solution_status == 2)
        if status != highspy.HighsModelStatus.kOptimal:
            return False
        self.bound_h = min(self.bound_h, float(info.objective_function_value))
        return True

    def _finish(self, seconds: float) -> RobustPlan:
        score, chosen = self.best
        if not np.isfinite(score):
            raise InfeasibleError("No plan that keeps the budget and the rules was found.", ())
        choice = np.zeros(self.problem.option_count)
        choice[chosen] = 1.0
        score, mean, worst, value = self.score(self.measure(choice))
        bound = max(self.bound_h, score)
        gap = (bound - score) / abs(score) if score else 0.0
        cost = float(self.problem.option_cost_eur[chosen].sum())
        return RobustPlan(
            chosen, score, mean, worst, value, bound, gap, cost, len(self.seen), self.rounds, seconds
        )


def score_plans(
    problem: Problem,
    scenario_open_h: np.ndarray,
    scenario_road_h: np.ndarray,
    plans: Sequence[np.ndarray],
    worst_share: float = WORST_SHARE,
) -> tuple[tuple[float, float], ...]:
    """Score given plans over scenarios: mean, and mean of the worst share, hours of each plan.

    Parameters
    ----------
    problem, scenario_open_h, scenario_road_h : see `solve_robust`.
    plans : rows of options, int64[n] each.
    worst_share : share of the scenarios that counts as the worst.

    In words: exact arrival times; a plan is tried honestly on scenarios that it was not chosen on.
    """
    settings = RobustSettings(worst_share=worst_share)
    scenarios = _Scenarios(problem, scenario_open_h, scenario_road_h, settings)
    scores = []
    for chosen in plans:
        choice = np.zeros(problem.option_count)
        choice[chosen] = 1.0
        _, mean, worst, _ = scenarios.score(scenarios.measure(choice))
        scores.append((mean, worst))
    return tuple(scores)


def make_scenarios(
    study: Study, mesh: Mesh, siting: Siting, seed: int, count: int
) -> tuple[Problem, np.ndarray, np.ndarray]:
    """Draw scenarios of delays for every option of a study.

    Parameters
    ----------
    study, mesh, siting : the study, its mesh and its sites.
    seed : seed of the draws; draw d here is draw d of `risk.run_draws`.
    count : S scenarios.

    Returns
    -------
    problem : the siting's problem with entries as in the arrays.
    open_h, road_h : delays float64[S, entries].

    In words: delay and failure are drawn, effects are fully grown; every approach keeps its season and the
    ground its likely speeds.
    """
    inputs = collect_inputs(study)
    works = collect_works(study, mesh, siting, np.arange(siting.problem.option_count))
    worlds = draw_worlds(inputs, works, seed, 0, count)
    watched = np.ones((1, len(works.options)), bool)
    pair_h = draw_delays(inputs, works, worlds, watched)[0]
    padded = np.column_stack([pair_h, np.zeros(count)])
    likely = {one.key: one.mode for one in inputs.quantities}
    pair_likely = np.array([likely[f"delay:{works.measures[m]}"] for m in works.pair_measure])
    own = siting.problem
    problem = replace(
        restrict_problem(own, works, pair_likely),
        rules=own.rules,
        least_hours=own.least_hours,
        least_hours_names=own.least_hours_names,
    )
    return problem, padded[:, works.edge_open], padded[:, works.edge_road]


def _take_longest(problem: Problem, opened: np.ndarray, road: np.ndarray) -> Problem:
    """The problem with the longest delay of any scenario on every entry: its compression holds for all."""
    return replace(problem, option_open_h=opened, option_road_h=road)
