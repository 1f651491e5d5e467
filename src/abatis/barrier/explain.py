"""Around a plan: why each site, other plans nearly as good, what more money buys."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from abatis.barrier.explain_rules import find_broken, list_rules, search_plan
from abatis.barrier.incumbent import Incumbent
from abatis.barrier.network import build_network
from abatis.barrier.programme import make_static_rows
from abatis.barrier.search import PlanSearch
from abatis.barrier.solve import make_levels, measure_times
from abatis.model.errors import Fault, InputError
from abatis.model.plan import Problem, Rule

LEAST_LIMIT_S = 0.05
REFILL_MOVES = 100
REFILL_SHARE = 0.7
LEAST_REFILL_S = 0.5
LEAST_LOSS_H = 5e-5
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class SiteRating:
    """What one chosen site is worth to a plan.

    `removal_loss_h`: hours lost when it alone is left out. `replacement_low_h`, `replacement_high_h`: hours
    lost by the best plan without it under the same budget and rules, at least and at most (inf: no such plan
    exists; below 0: a plan without it is better). `broken` names rules that its mere removal breaks;
    `instead` the sites that the best plan found without it closes and the plan does not; `freed_eur` its
    cost.
    """

    site: str
    name: str
    option: str
    freed_eur: float
    removal_loss_h: float
    replacement_low_h: float
    replacement_high_h: float
    broken: tuple[str, ...]
    instead: tuple[str, ...]

    def describe(self) -> str:
        """Say in words what the site is worth.

        Examples
        --------
        >>> SiteRating("a", "A", "ditch", 1.0, 0.42, 0.12, 0.12, (), ("b",)).describe()
        'Without it the plan loses 0.42 h; the money spent elsewhere wins back 0.30 h.'
        """
        if self.removal_loss_h < LEAST_LOSS_H:
            text = "Without it the plan loses no time"
        else:
            text = f"Without it the plan loses {_write_hours(self.removal_loss_h)}"
        if self.broken:
            text += f" and breaks: {'; '.join(self.broken)}"
        return f"{text}; {self._describe_replacement()}."

    def _describe_replacement(self) -> str:
        if self.replacement_low_h == math.inf:
            return "no plan that keeps the rules can do without it"
        if self.replacement_high_h == math.inf:
            return "no plan without it was found in the time given"
        if self.replacement_high_h < -LEAST_LOSS_H:
            return f"a plan without it is {_write_hours(-self.replacement_high_h)} better"
        least = max(0.0, self.removal_loss_h - self.replacement_high_h)
        if self.replacement_low_h < -LEAST_LOSS_H:
            best = "a plan better than this one is not ruled out"
            return f"the money spent elsewhere wins back at least {_write_hours(least)} ({best})"
        most = max(least, self.removal_loss_h - max(0.0, self.replacement_low_h))
        if most - least < 0.005 or most - least < 0.02 * self.removal_loss_h:
            return f"the money spent elsewhere wins back {_write_hours(least)}"
        between = f"at least {_write_hours(least)}, at most {_write_hours(most)}"
        return f"the money spent elsewhere wins back {between}"


@dataclass(frozen=True)
class Alternative:
    """Another plan, nearly as good: it shares few sites with the plan and the alternatives before it.

    `shared_share`: share of its sites that the plan closes too. `most_shared`: most sites it has in common
    with any plan before it; `proven` says that no plan this good shares fewer.
    """

    chosen: np.ndarray
    value_h: float
    cost_eur: float
    loss_h: float
    shared_share: float
    most_shared: int
    proven: bool


@dataclass(frozen=True)
class CurvePoint:
    """The best plan found at one limit (a budget, or an amount of something else), and what no plan beats.

    `chosen` is None and `value_h` -inf when no plan was found; `bound_h` is -inf when none exists.
    """

    limit: float
    chosen: np.ndarray | None
    cost_eur: float
    value_h: float
    bound_h: float


@dataclass(frozen=True)
class Slope:
    """What one unit more buys between two limits of a curve: hours, as found, and at least and at most."""

    from_limit: float
    to_limit: float
    found_h: float
    low_h: float
    high_h: float


class _Pricer:
    """Exact arrival times and value of choices on one problem."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        started = time.monotonic()
        self.network = build_network(problem)
        self.build_s = time.monotonic() - started

    def measure(self, choice: np.ndarray) -> tuple[float, np.ndarray]:
        """Value and arrival times of a choice float64[O]."""
        after_h = measure_times(self.network, choice)
        if self.problem.objective == "minimum":
            return float(after_h.min()), after_h
        return float(self.problem.approach_weight @ after_h), after_h


def _write_hours(hours: float) -> str:
    return f"{hours:.2f} h" if hours >= 0.095 else f"{60 * hours:.1f} minutes"


def _as_choice(problem: Problem, chosen: np.ndarray) -> np.ndarray:
    choice = np.zeros(problem.option_count)
    choice[chosen] = 1.0
    return choice


def lock_out(problem: Problem, site: int) -> Problem:
    """Return the problem with one site (row of `site_keys`) closed to every option."""
    options = np.flatnonzero(problem.option_site == site).astype(np.int32)
    return add_limit(problem, f"without {problem.site_keys[site]}", options, np.ones(len(options)), 0.0)


def add_limit(problem: Problem, key: str, options: np.ndarray, amounts: np.ndarray, limit: float) -> Problem:
    """Return the problem with one more rule: the amounts of the chosen options sum to at most `limit`."""
    return replace(problem, rules=(*problem.rules, Rule(key, key, options, amounts, limit)))


def rate_sites(
    problem: Problem,
    chosen: np.ndarray,
    budget_eur: float,
    bound_h: float = math.inf,
    sites: Sequence[str] = (),
    sharpness: float = 0.1,
    time_limit_s: float = 60.0,
    seed: int = 1,
    progress: Progress | None = None,
) -> tuple[SiteRating, ...]:
    """Rate the chosen sites of a plan: what is lost without each, and what other sites win back.

    Parameters
    ----------
    problem : the problem the plan was made for.
    chosen : int32 rows of the options the plan chooses.
    budget_eur : the plan's budget.
    bound_h : proven bound on the value of any plan of the problem.
    sites : keys of the chosen sites to rate; all when empty.
    sharpness : a search for a replacement ends once its gap is this share of the removal loss.
    time_limit_s : limit of all searches together; most of it for quick moves, the rest for whole
        searches with a bound, the greatest removal loss first. What it does not reach keeps a wider bracket.
    seed : seed of the searches.
    progress : called with a stage in words and the share done.

    Returns
    -------
    The ratings, the greatest replacement loss (at most) first.

    Raises
    ------
    InputError : a key that is no chosen site.

    Formula: removal loss(s) = v(P) - v(P without s); replacement loss(s) = v(P) - max {v(Q): Q keeps budget
    and rules and does not close s}. In words: first the site is left out and nothing else changes; then its
    money may be spent anywhere else. The second loss is known between the best plan found and the proven
    bound. A plan found for one site counts for every other site it leaves open. Source: replacement cost in
    reserve selection, Cabeza and Moilanen (2006).
    """
    option_at = {problem.site_keys[problem.option_site[o]]: int(o) for o in chosen}
    faults = [
        Fault(f"site '{key}' is not chosen by the plan", column="--site", remedy="name a chosen site")
        for key in sites
        if key not in option_at
    ]
    if faults:
        raise InputError(faults)
    started = time.monotonic()
    pricer = _Pricer(problem)
    search = _ReplacementSearch(problem, budget_eur, bound_h, pricer, started + time_limit_s, seed, progress)
    chosen = np.asarray(chosen, np.int32)
    wanted = [option_at[key] for key in sites or option_at]
    removals = {option: search.remove(chosen, option) for option in wanted}
    order = sorted(wanted, key=lambda option: (-removals[option][0], option))
    search.refill(chosen, order)
    search.solve({option: removals[option][0] for option in order}, sharpness)
    value_h, _ = pricer.measure(_as_choice(problem, chosen))
    rules = list_rules(problem, budget_eur)
    ratings = []
    for option in order:
        site = int(problem.option_site[option])
        best_h, plan = search.find_best_without(site)
        own = {problem.site_keys[problem.option_site[o]] for o in plan} - set(option_at)
        loss_h, broken = removals[option]
        ratings.append(
            SiteRating(
                site=problem.site_keys[site],
                name=problem.site_names[site],
                option=problem.option_keys[option],
                freed_eur=float(problem.option_cost_eur[option]),
                removal_loss_h=loss_h,
                replacement_low_h=value_h - max(search.bounds_h.get(site, bound_h), best_h),
                replacement_high_h=value_h - best_h,
                broken=tuple(rules[number][1] for number in sorted(broken)),
                instead=tuple(sorted(own)),
            )
        )
    return tuple(sorted(ratings, key=lambda one: (-one.replacement_high_h, -one.removal_loss_h, one.site)))


class _ReplacementSearch:
    """Plans that leave a site open: by refilling the rest of the plan, then by searches with a bound."""

    def __init__(
        self,
        problem: Problem,
        budget_eur: float,
        bound_h: float,
        pricer: _Pricer,
        deadline: float,
        seed: int,
        progress: Progress | None,
    ) -> None:
        self.problem = problem
        self.budget_eur = budget_eur
        self.bound_h = bound_h
        self.bounds_h: dict[int, float] = {}
        self._pricer = pricer
        self._deadline = deadline
        self._seed = seed
        self._report = progress or (lambda _words, _share: None)
        self._plans: list[tuple[float, np.ndarray]] = []

    def find_best_without(self, site: int) -> tuple[float, np.ndarray]:
        """Best value and plan known that leaves a site open; -inf when there is none."""
        fit = [one for one in self._plans if site not in self.problem.option_site[one[1]]]
        return max(fit, key=lambda one: one[0], default=(-math.inf, np.empty(0, np.int32)))

    def remove(self, chosen: np.ndarray, option: int) -> tuple[float, set[int]]:
        """Hours lost without one option of a plan, and the rules that this breaks."""
        value_h, _ = self._pricer.measure(_as_choice(self.problem, chosen))
        rest = chosen[chosen != option]
        left_h, after_h = self._pricer.measure(_as_choice(self.problem, rest))
        broken = find_broken(self.problem, self.budget_eur, _as_choice(self.problem, rest), after_h)
        if not broken:
            self._plans.append((left_h, rest))
        return value_h - left_h, broken

    def refill(self, chosen: np.ndarray, order: Sequence[int]) -> None:
        """Spend the money of each option elsewhere: quick moves that start from the rest of the plan."""
        before_h = np.array([graph.before_h for graph in self._pricer.network.graphs])
        until = time.monotonic() + REFILL_SHARE * (self._deadline - time.monotonic())
        for place, option in enumerate(order):
            now = time.monotonic()
            if now > until:
                return
            share = now + max(LEAST_REFILL_S, (until - now) / (len(order) - place))
            self._report("spending the money of each site elsewhere", place / len(order))
            closed = lock_out(self.problem, int(self.problem.option_site[option]))
            # Rules change nothing on the ground: the network stays.
            network = replace(self._pricer.network, problem=closed)
            levels = make_levels(network, before_h)
            best = Incumbent(network, levels, make_static_rows(closed, self.budget_eur))
            best.offer(_as_choice(closed, chosen[chosen != option]))
            PlanSearch(best, self._seed).improve(np.ones(closed.option_count), REFILL_MOVES, share)
            if best.choice is not None:
                self._plans.append((best.value_h, np.flatnonzero(best.choice > 0.5).astype(np.int32)))
        self._report("spending the money of each site elsewhere", 1.0)

    def solve(self, removal_loss_h: dict[int, float], sharpness: float) -> None:
        """Search whole plans without each site, with a bound, as far as the time goes."""
        # A search that has no time left after its network is built would say nothing.
        least_s = max(LEAST_LIMIT_S, 2.0 * self._pricer.build_s)
        value_h = max((value for value, _ in self._plans), default=0.0)
        for place, (option, loss_h) in enumerate(removal_loss_h.items()):
            self._report("searching plans without each site", place / len(removal_loss_h))
            site = int(self.problem.option_site[option])
            left_s = self._deadline - time.monotonic()
            best_h, _ = self.find_best_without(site)
            near_h = max(sharpness * loss_h, 1e-9)
            if left_s < least_s or self.bound_h - best_h <= near_h:
                continue
            limit_s = min(left_s, max(3.0 * least_s, left_s / (len(removal_loss_h) - place)))
            gap = near_h / abs(value_h) if value_h and sharpness else 0.0
            answer = search_plan(lock_out(self.problem, site), self.budget_eur, gap, limit_s, self._seed)
            if answer.solution is not None:
                self._plans.append((answer.solution.value_h, answer.solution.chosen))
                self.bounds_h[site] = min(self.bound_h, answer.solution.bound_h)
            elif answer.proven:
                self.bounds_h[site] = -math.inf
        self._report("searching plans without each site", 1.0)


def find_alternatives(
    problem: Problem,
    chosen: np.ndarray,
    budget_eur: float,
    count: int = 3,
    loss_share: float = 0.02,
    time_limit_s: float = 60.0,
    seed: int = 1,
    progress: Progress | None = None,
) -> tuple[Alternative, ...]:
    """Find plans nearly as good that share as few sites as possible with the plan and with each other.

    Parameters
    ----------
    problem, chosen, budget_eur : the problem, the options int32 its plan chooses, and its budget.
    count : how many alternatives at most.
    loss_share : an alternative is worth at least (1 - loss_share) x the value of the plan.
    time_limit_s, seed : limit of all searches together, and their seed.
    progress : called with a stage in words and the share done.

    Formula: min m subject to v(Q) >= (1 - loss share) v(P) and |sites(Q) and sites(P_i)| <= m for the plan
    and every alternative before. In words: the number of sites in common is halved as long as a plan that
    good exists; each question is one search that ends once it knows, so "no plan shares fewer" can be proven.
    Source: modelling to generate alternatives, Brill, Chang and Hopkins (1982).
    """
    pricer = _Pricer(problem)
    value_h, _ = pricer.measure(_as_choice(problem, chosen))
    deadline = time.monotonic() + time_limit_s
    plans = [np.asarray(chosen, np.int32)]
    found: list[Alternative] = []
    for place in range(count):
        if progress is not None:
            progress("searching other plans", place / count)
        left_s = (deadline - time.monotonic()) / (count - place)
        best = _find_far_plan(problem, budget_eur, plans, value_h, loss_share, left_s, seed)
        if best is None:
            break
        found.append(best)
        plans.append(best.chosen)
    if progress is not None:
        progress("searching other plans", 1.0)
    return tuple(found)


def _find_far_plan(
    problem: Problem,
    budget_eur: float,
    plans: list[np.ndarray],
    value_h: float,
    loss_share: float,
    time_limit_s: float,
    seed: int,
) -> Alternative | None:
    """Plan with the fewest sites in common with any of `plans`, by halving; None when none differs."""
    deadline = time.monotonic() + time_limit_s
    floor_h = value_h - loss_share * abs(value_h)
    closed = [set(problem.option_site[plan].tolist()) for plan in plans]
    low, high = 0, max(len(sites) for sites in closed) - 1
    best: tuple[np.ndarray, float, float, int] | None = None
    proven = True
    while low <= high and time.monotonic() < deadline:
        most = (low + high) // 2 if best is not None else high
        far = problem
        for number, sites in enumerate(closed):
            options = np.flatnonzero(np.isin(problem.option_site, list(sites))).astype(np.int32)
            limit = float(min(most, len(sites) - 1))
            far = add_limit(far, f"other than plan {number}", options, np.ones(len(options)), limit)
        answer = search_plan(
            far, budget_eur, loss_share / 10, (deadline - time.monotonic()) / 2, seed,
            lambda value_h, bound_h: value_h >= floor_h or bound_h < floor_h,
        )  # fmt: skip
        solution = answer.solution
        if solution is not None and solution.value_h >= floor_h:
            sites = set(problem.option_site[solution.chosen].tolist())
            shared = max(len(sites & one) for one in closed)
            best = (solution.chosen, solution.value_h, solution.cost_eur, shared)
            high = shared - 1
        else:
            low = most + 1
            proven = proven and (answer.proven or (solution is not None and solution.bound_h < floor_h))
            if best is None:
                return None
    if best is None:
        return None
    options, found_h, cost_eur, shared = best
    sites = set(problem.option_site[options].tolist())
    share = len(sites & closed[0]) / max(1, len(sites))
    return Alternative(options, found_h, cost_eur, value_h - found_h, share, shared, proven and low > high)


def trace_curve(
    problem: Problem,
    budgets_eur: Sequence[float],
    gap: float = 0.01,
    time_limit_s: float = 300.0,
    seed: int = 1,
    progress: Progress | None = None,
) -> tuple[CurvePoint, ...]:
    """Trace value and bound against the budget.

    Parameters
    ----------
    problem : the problem.
    budgets_eur : budgets, in any order.
    gap : gap at which each search stops.
    time_limit_s, seed : limit of all searches together, and their seed.
    progress : called with a stage in words and the share done.

    Returns
    -------
    One point per different budget, the smallest first; values and bounds never fall with the budget.

    Formula: v_i = max(v_1 .. v_i), u_i = min(u_i .. u_n). In words: a plan for less money is a plan for more,
    and what no plan can beat with more money it cannot beat with less.
    """
    budgets = sorted({float(one) for one in budgets_eur})
    tasks = [(problem, budget) for budget in budgets]
    return _trace(tasks, budgets, gap, time_limit_s, seed, "searching along the budgets", progress)


def trace_front(
    problem: Problem,
    budget_eur: float,
    amounts: np.ndarray,
    limits: Sequence[float],
    gap: float = 0.01,
    time_limit_s: float = 300.0,
    seed: int = 1,
    progress: Progress | None = None,
) -> tuple[CurvePoint, ...]:
    """Trace value and bound against the most of something else that the plan may use, under one budget.

    Parameters
    ----------
    problem, budget_eur : the problem and the budget of every plan on the front.
    amounts : what each option uses, float64[O], for example its land take in m2.
    limits : the most that the chosen options may use together, in any order.
    gap, time_limit_s, seed, progress : as in `trace_curve`.

    Returns
    -------
    One point per different limit, the smallest first; see `trace_curve`.
    """
    used = np.flatnonzero(amounts > 0).astype(np.int32)
    scale = max(1.0, float(amounts.max(initial=0.0)))
    ladder = sorted({float(one) for one in limits})
    tasks = [
        (add_limit(problem, "civil limit", used, amounts[used] / scale, limit / scale), budget_eur)
        for limit in ladder
    ]
    return _trace(tasks, ladder, gap, time_limit_s, seed, "searching along the civil limits", progress)


def _trace(
    tasks: Sequence[tuple[Problem, float]],
    limits: Sequence[float],
    gap: float,
    time_limit_s: float,
    seed: int,
    stage: str,
    progress: Progress | None,
) -> tuple[CurvePoint, ...]:
    """Solve problems of which each allows all that the ones before allow, and carry plans and bounds over."""
    deadline = time.monotonic() + time_limit_s
    points: list[CurvePoint] = []
    for place, ((problem, budget_eur), limit) in enumerate(zip(tasks, limits, strict=True)):
        if progress is not None:
            progress(stage, place / len(tasks))
        left_s = max(0.0, deadline - time.monotonic()) / (len(tasks) - place)
        answer = search_plan(problem, budget_eur, gap, left_s, seed)
        solution = answer.solution
        point = CurvePoint(limit, None, math.nan, -math.inf, -math.inf if answer.proven else math.inf)
        if solution is not None:
            point = CurvePoint(limit, solution.chosen, solution.cost_eur, solution.value_h, solution.bound_h)
        if points and points[-1].value_h > point.value_h:
            before = points[-1]
            point = replace(point, chosen=before.chosen, cost_eur=before.cost_eur, value_h=before.value_h)
        points.append(replace(point, bound_h=max(point.bound_h, point.value_h)))
    for place in range(len(points) - 2, -1, -1):
        bound_h = min(points[place].bound_h, points[place + 1].bound_h)
        points[place] = replace(points[place], bound_h=bound_h)
    if progress is not None:
        progress(stage, 1.0)
    return tuple(points)


def measure_slopes(points: Sequence[CurvePoint], unit: float = 1e6) -> tuple[Slope, ...]:
    """Say what one more unit (a million EUR) buys between neighbours of a curve.

    Formula: found = (v_b - v_a) / (b - a) x unit; at least max(0, v_b - u_a), at most u_b - v_a, likewise. In
    words: the hours that the step adds, spread evenly; the true best plans lie between value and bound.
    Steps from a limit without a plan are left out.

    Examples
    --------
    >>> nothing = np.empty(0, np.int32)
    >>> a, b = CurvePoint(0.0, nothing, 0.0, 4.0, 4.0), CurvePoint(2e6, nothing, 2e6, 5.0, 5.5)
    >>> slope = measure_slopes((a, b))[0]
    >>> slope.found_h, slope.low_h, slope.high_h
    (0.5, 0.5, 0.75)
    """
    slopes = []
    for a, b in itertools.pairwise(points):
        if a.chosen is None or b.chosen is None:
            continue
        per = unit / (b.limit - a.limit)
        slopes.append(
            Slope(
                from_limit=a.limit,
                to_limit=b.limit,
                found_h=(b.value_h - a.value_h) * per,
                low_h=max(0.0, b.value_h - a.bound_h) * per,
                high_h=(b.bound_h - a.value_h) * per,
            )
        )
    return tuple(slopes)
