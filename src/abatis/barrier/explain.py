"""Around a plan: why each site, and other plans nearly as good."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from abatis.barrier.explain_rules import find_broken, list_rules, search_plan
from abatis.barrier.incumbent import Incumbent
from abatis.barrier.network import Network, RouteFinder, build_network, sum_longest_delays
from abatis.barrier.programme import make_static_rows
from abatis.barrier.search import PlanSearch
from abatis.barrier.solve import make_levels, measure_times
from abatis.model.errors import Fault, InputError
from abatis.model.plan import Problem, Rule

LEAST_LIMIT_S = 0.05
MOST_SHARES = 4
REFILL_EFFORT = 5_000.0
REFILL_SHARE = 0.4
LEAST_REFILL_S = 0.1
LEAST_LOSS_H = 5e-5
ROUNDING = 1e-9
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


class _Pricer:
    """Exact arrival times and value of choices on one problem."""

    def __init__(self, problem: Problem, network: Network | None = None) -> None:
        self.problem = problem
        self.network = build_network(problem) if network is None else network
        self._finder = RouteFinder(self.network)

    def measure(self, choice: np.ndarray) -> tuple[float, np.ndarray]:
        """Value and arrival times of a choice float64[O]."""
        after_h = measure_times(self.network, choice)
        return self._weigh(after_h), after_h

    def measure_ceiling_h(self, site: int) -> float:
        """Value with the longest delays of every site but one: no plan without that site is worth more."""
        ours = self.problem.option_site[self.network.candidate_option] == site
        delay_h = np.where(ours, 0.0, self.network.candidate_delay_h)
        longest_h = sum_longest_delays(replace(self.network, candidate_delay_h=delay_h))
        self._finder.extra_h[: len(longest_h)] = longest_h
        count = self.problem.approach_count
        return self._weigh(np.array([self._finder.measure_time_h(k) for k in range(count)]))

    def _weigh(self, after_h: np.ndarray) -> float:
        if self.problem.objective == "minimum":
            return float(after_h.min())
        return float(self.problem.approach_weight @ after_h)


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
    network: Network | None = None,
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
    time_limit_s : limit of all searches together: quick moves for every site, then whole searches with a
        bound, the site that is hardest to replace first. What it does not reach keeps a wider bracket.
    seed : seed of the searches.
    progress : called with a stage in words and the share done.
    network : the compressed network of the problem, when one is at hand.

    Returns
    -------
    The ratings, the greatest replacement loss (at most) first.

    Raises
    ------
    InputError : a key that is no chosen site.

    Formula: removal loss(s) = v(P) - v(P without s); replacement loss(s) = v(P) - max {v(Q): Q keeps budget
    and rules and does not close s}. In words: first the site is left out and nothing else changes; then its
    money may be spent anywhere else. The second loss is known between the best plan found and a proven bound:
    the plan's own, that of a search without the site, or the value with every other site built. A plan found
    for one site counts for every other site it leaves open. Source: replacement cost in reserve selection,
    Cabeza and Moilanen (2006).
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
    pricer = _Pricer(problem, network)
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
                replacement_low_h=value_h - max(search.bound_without(site), best_h),
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
        self._bounds_h: dict[int, float] = {}
        self._pricer = pricer
        self._deadline = deadline
        self._seed = seed
        self._report = progress or (lambda _words, _share: None)
        self._plans: list[tuple[float, np.ndarray]] = []

    def find_best_without(self, site: int) -> tuple[float, np.ndarray]:
        """Best value and plan known that leaves a site open; -inf when there is none."""
        fit = [one for one in self._plans if site not in self.problem.option_site[one[1]]]
        return max(fit, key=lambda one: one[0], default=(-math.inf, np.empty(0, np.int32)))

    def bound_without(self, site: int) -> float:
        """What no plan that leaves a site open is worth more than."""
        if site not in self._bounds_h:
            self._bounds_h[site] = min(self.bound_h, self._pricer.measure_ceiling_h(site) * (1 + ROUNDING))
        return self._bounds_h[site]

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
            site = int(self.problem.option_site[option])
            if self.bound_without(site) <= self.find_best_without(site)[0] + LEAST_LOSS_H:
                continue
            closed = lock_out(self.problem, site)
            # Rules change nothing on the ground: the network stays.
            network = replace(self._pricer.network, problem=closed)
            levels = make_levels(network, before_h)
            best = Incumbent(network, levels, make_static_rows(closed, self.budget_eur))
            best.offer(_as_choice(closed, chosen[chosen != option]))
            PlanSearch(best, self._seed).improve(REFILL_EFFORT, share)
            if best.choice is not None:
                self._plans.append((best.value_h, np.flatnonzero(best.choice > 0.5).astype(np.int32)))
        self._report("spending the money of each site elsewhere", 1.0)

    def solve(self, removal_loss_h: dict[int, float], sharpness: float) -> None:
        """Search whole plans without each site, with a bound, as far as the time goes.

        The site that is hardest to replace comes first: its bracket is widest, and it matters most.
        """
        site_of = self.problem.option_site
        value_h = max((value for value, _ in self._plans), default=0.0)
        order = sorted(removal_loss_h, key=lambda o: (self.find_best_without(int(site_of[o]))[0], o))
        for place, option in enumerate(order):
            self._report("searching plans without each site", place / len(order))
            site = int(site_of[option])
            best_h, plan = self.find_best_without(site)
            near_h = max(sharpness * removal_loss_h[option], 1e-9)
            left_s = self._deadline - time.monotonic()
            if left_s < LEAST_LIMIT_S or self.bound_without(site) - best_h <= near_h:
                continue
            answer = search_plan(
                lock_out(self.problem, site),
                self.budget_eur,
                near_h / abs(value_h) if value_h and sharpness else 0.0,
                max(LEAST_LIMIT_S, left_s / min(MOST_SHARES, len(order) - place)),
                self._seed,
                network=self._pricer.network,
                start=plan,
            )
            if answer.solution is not None:
                self._plans.append((answer.solution.value_h, answer.solution.chosen))
                self._bounds_h[site] = min(self.bound_without(site), answer.solution.bound_h)
            elif answer.proven:
                self._bounds_h[site] = -math.inf
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
    network: Network | None = None,
) -> tuple[Alternative, ...]:
    """Find plans nearly as good that share as few sites as possible with the plan and with each other.

    Parameters
    ----------
    problem, chosen, budget_eur : the problem, the options int32 its plan chooses, and its budget.
    count : how many alternatives at most.
    loss_share : an alternative is worth at least (1 - loss_share) x the value of the plan.
    time_limit_s, seed : limit of all searches together, and their seed.
    progress : called with a stage in words and the share done.
    network : the compressed network of the problem, when one is at hand.

    Formula: min m subject to v(Q) >= (1 - loss share) v(P) and |sites(Q) and sites(P_i)| <= m for the plan
    and every alternative before. In words: the number of sites in common is halved as long as a plan that
    good exists; each question is one search that ends once it knows, so "no plan shares fewer" can be proven.
    Source: modelling to generate alternatives, Brill, Chang and Hopkins (1982).
    """
    pricer = _Pricer(problem, network)
    value_h, _ = pricer.measure(_as_choice(problem, chosen))
    deadline = time.monotonic() + time_limit_s
    plans = [np.asarray(chosen, np.int32)]
    found: list[Alternative] = []
    for place in range(count):
        if progress is not None:
            progress("searching other plans", place / count)
        left_s = (deadline - time.monotonic()) / (count - place)
        best = _find_far_plan(pricer.network, budget_eur, plans, value_h, loss_share, left_s, seed)
        if best is None:
            break
        found.append(best)
        plans.append(best.chosen)
    if progress is not None:
        progress("searching other plans", 1.0)
    return tuple(found)


def _find_far_plan(
    network: Network,
    budget_eur: float,
    plans: list[np.ndarray],
    value_h: float,
    loss_share: float,
    time_limit_s: float,
    seed: int,
) -> Alternative | None:
    """Plan with the fewest sites in common with any of `plans`, by halving; None when none differs."""
    deadline, problem = time.monotonic() + time_limit_s, network.problem
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
            lambda value_h, bound_h: value_h >= floor_h or bound_h < floor_h, network,
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
