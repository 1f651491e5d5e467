"""Hours won against civil cost: the front with bounds, and the plan that keeps most hours for the least."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from abatis.barrier.curve import CurvePoint, limit_amount, trace_front
from abatis.barrier.explain_rules import find_broken, search_plan
from abatis.barrier.network import Network, build_network
from abatis.barrier.sites import Siting
from abatis.barrier.solve import measure_times, solve_problem
from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.law_kinds import MINE_RESERVE
from abatis.model.mesh import Mesh
from abatis.model.plan import Problem
from abatis.model.study import Study
from abatis.people.clearance import read_terms
from abatis.people.impact import M2_PER_HA, count_people_beside, measure_shares

PARTS = ("people", "land", "liability", "nature")
WEIGHTED = "weighted"
KEEP_SHARE = 0.95
ROUNDING = 1e-9
POINTS = 10
SHARP = 0.01
FRONT_TIME = 0.85
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class CivilPart:
    """One civil cost of plans: what each option takes, float64[O], with unit, formula and tag."""

    key: str
    name: str
    unit: str
    amounts: np.ndarray
    formula: str
    tag: str

    def measure(self, chosen: np.ndarray | None) -> float:
        """Amount of a plan, given as rows of its options; nan for no plan."""
        return math.nan if chosen is None else math.fsum(self.amounts[chosen])


@dataclass(frozen=True)
class BalancePoint:
    """The best plan found under one limit of civil cost, and what no plan under it can win.

    `amount` is what the plan takes; `won_h`, `bound_won_h` are hours above those without barriers; `gap` is
    that of the value, as everywhere. `chosen` is None where no plan keeps the rules.
    """

    limit: float
    amount: float
    cost_eur: float
    value_h: float
    bound_h: float
    won_h: float
    bound_won_h: float
    chosen: np.ndarray | None

    @property
    def gap(self) -> float:
        """(bound - value) / value of the plan's hours; inf without a plan."""
        if self.chosen is None or not self.value_h:
            return math.inf
        return (self.bound_h - self.value_h) / abs(self.value_h)


@dataclass(frozen=True)
class LeastPlan:
    """The plan found that keeps enough hours at the least civil cost, and what no such plan falls below.

    `target_h` is the value to reach, `amount` what the plan takes, `least_amount` a proven floor of that.
    """

    target_h: float
    amount: float
    least_amount: float
    value_h: float
    cost_eur: float
    chosen: np.ndarray | None


@dataclass(frozen=True)
class Balance:
    """Hours against one civil cost: points by limit, and the least plan that keeps `keep_share` of them."""

    part: CivilPart
    budget_eur: float
    before_h: float
    keep_share: float
    points: tuple[BalancePoint, ...]
    least: LeastPlan
    seconds: float


def list_parts(study: Study, mesh: Mesh, siting: Siting) -> tuple[CivilPart, ...]:
    """List what every option takes from people and nature, part by part.

    Parameters
    ----------
    study, mesh : the study and its mesh.
    siting : sites and options, O of them.

    Formulas: people = sum over chosen sites of home people in the cells beside the site; land = land take;
    nature = land take x protected share beside the site; liability = removal cost + km of reserve belts x
    their land take x price of clearing.

    In words: each part is a sum over sites, so that it can bind the solver. People beside two sites count
    twice here; who is cut off depends on all sites together and is measured on the finished plan instead.
    """
    sites = {site.key: site for site in siting.sites}
    home = mesh.mask_countries(study.home)
    people = {key: count_people_beside(mesh, home, site) for key, site in sites.items()}
    nature = {key: measure_shares(mesh, site)[1] for key, site in sites.items()}
    measures = study.tables["measures"]
    reserve = measures[measures["law_kind"] == MINE_RESERVE].set_index("measure")["land_take_m2"]
    price = read_terms(study)["price"]
    land_ha = np.array([one.land_take_m2 for one in siting.options]) / M2_PER_HA
    clearing_eur = [
        price.value.mode * sum(km * float(reserve[key]) for key, km in one.quantities if key in reserve.index)
        for one in siting.options
    ]
    removal_eur = np.array([one.removal_cost_eur for one in siting.options])
    of_site = [one.site for one in siting.options]
    return (
        CivilPart(
            "people", "people beside the sites", "persons", np.array([people[key] for key in of_site]),
            "sum over sites of home people in the cells beside the site", "D",
        ),
        CivilPart("land", "land taken", "ha", land_ha, "sum of units x land take of the measure", "G"),
        CivilPart(
            "liability", "removing and clearing what was built or laid", "EUR",
            removal_eur + np.array(clearing_eur),
            "removal cost of all works + area of reserve belts x likely price of clearing", "G",
        ),
        CivilPart(
            "nature", "protected land taken", "ha", land_ha * np.array([nature[key] for key in of_site]),
            "sum over sites of land taken x protected share of the cells beside the site", "D",
        ),
    )  # fmt: skip


def weigh_parts(
    parts: Sequence[CivilPart], chosen: np.ndarray, weights: Mapping[str, float] | None = None
) -> CivilPart:
    """Weigh parts into one civil cost, in shares of what a known plan takes.

    Parameters
    ----------
    parts : the parts.
    chosen : rows of the known plan's options.
    weights : by part key, at least 0; the same for all parts when left out.

    Formula: cost(o) = sum over parts p of w_p / sum w x amount_p(o) / amount_p(plan). In words: the known
    plan costs 1; a plan that costs 0.5 takes half as much, part by part on the mean. Parts that the known
    plan does not touch cannot be weighed and are left out.

    Raises
    ------
    InputError : unknown parts, negative weights, or nothing left to weigh.

    Examples
    --------
    >>> land = CivilPart("land", "land", "ha", np.array([1.0, 3.0]), "", "G")
    >>> people = CivilPart("people", "people", "persons", np.array([8.0, 0.0]), "", "D")
    >>> weigh_parts((land, people), np.array([0, 1]), {"land": 3, "people": 1}).amounts.tolist()
    [0.4375, 0.5625]
    """
    keys = [part.key for part in parts]
    weights = dict.fromkeys(keys, 1.0) if weights is None else dict(weights)
    faults = list_weight_faults(weights, keys)
    used = [part for part in parts if weights.get(part.key, 0.0) > 0 and part.measure(chosen) > 0]
    if not faults and not used:
        text = "leave nothing to weigh: the plan takes none of it"
        faults.append(Fault(text, column="--weights", remedy=f"weigh one of {', '.join(keys)}"))
    if faults:
        raise InputError(faults)
    total = math.fsum(weights[part.key] for part in used)
    shares = {part.key: weights[part.key] / total for part in used}
    amounts = sum(
        (shares[part.key] / part.measure(chosen) * part.amounts for part in used),
        np.zeros(len(parts[0].amounts)),
    )
    words = " + ".join(f"{shares[part.key]:.2f} x {part.key}" for part in used)
    return CivilPart(
        WEIGHTED,
        "weighted civil cost",
        "share of the plan's",
        amounts,
        f"{words}, each over the plan's own",
        "G",
    )


def list_weight_faults(weights: Mapping[str, float], keys: Sequence[str] = PARTS) -> list[Fault]:
    """List weights of unknown parts, and those that are negative or not finite.

    Examples
    --------
    >>> for fault in list_weight_faults({"lnad": 1.0, "people": -2.0}):
    ...     print(fault)
    --weights: 'lnad' is no civil cost (did you mean 'land'?)
    --weights: weight of people is -2 (give a number of at least 0)
    """
    faults = [
        Fault(f"'{key}' is no civil cost", column="--weights", remedy=nearest_word(key, keys))
        for key in weights
        if key not in keys
    ]
    faults += [
        Fault(f"weight of {key} is {weight:g}", column="--weights", remedy="give a number of at least 0")
        for key, weight in weights.items()
        if not (math.isfinite(weight) and weight >= 0)
    ]
    return faults


def list_search_faults(points: int, keep_share: float, gap: float, time_limit_s: float) -> list[Fault]:
    """List what is wrong with the settings of `trace_balance`, each with its option."""
    faults = []
    if points < 2:
        faults.append(Fault(f"is {points}", column="--points", remedy="give at least 2"))
    if not 0 < keep_share <= 1:
        faults.append(Fault(f"is {keep_share:g}", column="--keep", remedy="give a share above 0, at most 1"))
    if not 0 <= gap <= 1:
        faults.append(Fault(f"is {gap:g} but must be 0 to 1", column="--gap", remedy="give a share"))
    if not time_limit_s >= 0:
        text = f"is {time_limit_s:g} but must be at least 0"
        faults.append(Fault(text, column="--time-limit", remedy="give s"))
    return faults


def trace_balance(
    problem: Problem,
    budget_eur: float,
    part: CivilPart,
    points: int = POINTS,
    keep_share: float = KEEP_SHARE,
    gap: float = 0.02,
    time_limit_s: float = 300.0,
    seed: int = 1,
    progress: Progress | None = None,
    network: Network | None = None,
    free: CurvePoint | None = None,
) -> Balance:
    """Trace hours won against a civil cost, and find the least cost that keeps most of the hours.

    Parameters
    ----------
    problem, budget_eur : the problem and the money of every plan.
    part : the civil cost; its limit becomes one more rule of the solver.
    points : limits, spread evenly from none of it to what the plan without a limit takes.
    keep_share : share of the hours won that the least plan has to keep.
    gap, time_limit_s, seed, progress, network : as in `trace_front`; about 0.85 of the time is for the front.
    free : the plan without a limit and its bound, searched for when left out.

    Raises
    ------
    InputError : fewer than two points, a share or gap outside 0 to 1, a negative time.
    InfeasibleError : no plan keeps the rules even without a limit.
    """
    faults = list_search_faults(points, keep_share, gap, time_limit_s)
    if faults:
        raise InputError(faults)
    started = time.monotonic()
    network = build_network(problem) if network is None else network
    if free is None:
        free = _find_free(problem, budget_eur, gap, 0.2 * time_limit_s, seed, network)
    before_h = _weigh_times(problem, measure_times(network, np.zeros(problem.option_count)))
    most = part.measure(free.chosen)
    limits = [most * step / (points - 1) for step in range(points)]
    left_s = FRONT_TIME * (time_limit_s - (time.monotonic() - started))
    traced = trace_front(
        problem, budget_eur, part.amounts, limits, gap, left_s, seed, progress, network, free
    )  # fmt: skip
    target_h = before_h + keep_share * (traced[-1].value_h - before_h)
    least = find_least(
        problem, budget_eur, part, target_h, traced, time_limit_s - (time.monotonic() - started), seed,
        progress, network,
    )  # fmt: skip
    shown = tuple(_describe_point(one, part, before_h) for one in traced)
    return Balance(part, budget_eur, before_h, keep_share, shown, least, time.monotonic() - started)


def find_least(
    problem: Problem,
    budget_eur: float,
    part: CivilPart,
    target_h: float,
    known: Sequence[CurvePoint] = (),
    time_limit_s: float = 60.0,
    seed: int = 1,
    progress: Progress | None = None,
    network: Network | None = None,
    sharp: float = SHARP,
) -> LeastPlan:
    """Find the least civil cost with which a plan reaches a value, between a plan and a proof.

    Parameters
    ----------
    problem, budget_eur, part : as in `trace_balance`.
    target_h : the value to reach, hours.
    known : points of a front; each is a plan, or a proof, or both.
    time_limit_s, seed, progress, network : limits of all searches together, as elsewhere.
    sharp : the search ends when floor and plan differ by at most this share of the plan's amount.

    Formula: least = min {amount(x): value(x) >= target, cost within budget, rules}. In words: under a limit
    c, a plan that reaches the target shows least <= its amount; a proven bound below the target shows
    least > c. The interval between is halved; a search ends as soon as it shows one of the two. What it
    leaves open after its time stays open, and halving goes on to both sides of it.
    """
    network = build_network(problem) if network is None else network
    started = time.monotonic()
    aim_h = target_h - ROUNDING * max(1.0, abs(target_h))
    search = _Interval(part, aim_h)

    def learn(limit: float, chosen: np.ndarray | None, value_h: float, bound_h: float) -> None:
        if chosen is not None and value_h >= aim_h:
            chosen = lighten_plan(network, budget_eur, part, chosen, aim_h)
            choice = np.isin(np.arange(problem.option_count), chosen).astype(float)
            value_h = _weigh_times(problem, measure_times(network, choice))
        search.learn(limit, chosen, value_h, bound_h)

    for point in known:
        learn(point.limit, point.chosen, point.value_h, point.bound_h)
    while (limit := search.choose_limit(sharp)) is not None:
        left_s = time_limit_s - (time.monotonic() - started)
        if left_s <= 0.01 * time_limit_s:
            break
        if progress is not None:
            progress("searching for the least civil cost", 1.0 - left_s / time_limit_s)
        capped = limit_amount(problem, part.amounts, limit)
        answer = search_plan(
            capped, budget_eur, 0.0, max(left_s / 5, min(left_s, 1.0)), seed,
            lambda value_h, bound_h: value_h >= aim_h or bound_h < aim_h,
            network,
        )  # fmt: skip
        found = answer.solution
        if found is None:
            learn(limit, None, -math.inf, -math.inf if answer.proven else math.inf)
        else:
            learn(limit, found.chosen, found.value_h, found.bound_h)
    if progress is not None:
        progress("searching for the least civil cost", 1.0)
    chosen = search.chosen
    cost_eur = math.nan if chosen is None else float(problem.option_cost_eur[chosen].sum())
    return LeastPlan(target_h, search.high, search.floor, search.value_h, cost_eur, chosen)


class _Interval:
    """What is known of the least amount: above `low` by proof, at most `high` by a plan; what stays open."""

    def __init__(self, part: CivilPart, target_h: float) -> None:
        self.part, self.target_h = part, target_h
        self.low, self.high = -math.inf, math.inf
        self.chosen: np.ndarray | None = None
        self.value_h = -math.inf
        self._open: list[float] = []

    @property
    def floor(self) -> float:
        """No plan that reaches the target takes less."""
        return min(max(self.low, 0.0), self.high)

    def learn(self, limit: float, chosen: np.ndarray | None, value_h: float, bound_h: float) -> None:
        """Take in a plan and a bound under a limit."""
        if chosen is not None and value_h >= self.target_h:
            amount = self.part.measure(chosen)
            if amount < self.high:
                self.high, self.chosen, self.value_h = amount, chosen, value_h
        elif bound_h < self.target_h:
            self.low = max(self.low, limit)
        else:
            self._open.append(limit)
        self._open = [one for one in self._open if self.low < one < self.high]

    def choose_limit(self, sharp: float) -> float | None:
        """Return the middle of the wider part below or above what stays open; None when sharp enough."""
        high = min(self.high, math.fsum(self.part.amounts))
        if math.isinf(self.low) and math.isinf(self.high):
            return None if self._open else high
        if high - self.floor <= sharp * high:
            return None
        if math.isinf(self.low) and 0.0 not in self._open:
            return 0.0
        below = self.floor, min(self._open, default=high)
        above = max(self._open, default=high), high
        low, top = max(below, above, key=lambda ends: ends[1] - ends[0])
        return (low + top) / 2 if top - low > sharp * high / 2 else None


def lighten_plan(
    network: Network, budget_eur: float, part: CivilPart, chosen: np.ndarray, target_h: float
) -> np.ndarray:
    """Leave out or change options, the costliest first, while the plan still reaches a value.

    Parameters
    ----------
    network : the compressed network of the problem.
    budget_eur, part : the money and the civil cost.
    chosen : rows of a plan that keeps budget and rules.
    target_h : value it must still reach, hours.

    Returns
    -------
    Rows of a plan that keeps budget and rules, reaches the value and takes no more of the civil cost.
    """
    problem = network.problem
    choice = np.isin(np.arange(problem.option_count), chosen).astype(float)
    for option in sorted(chosen.tolist(), key=lambda one: (-part.amounts[one], one)):
        others = np.flatnonzero(problem.option_site == problem.option_site[option]).tolist()
        lighter = [one for one in others if part.amounts[one] < part.amounts[option]]
        for instead in (None, *sorted(lighter, key=lambda one: (part.amounts[one], one))):
            if part.amounts[option] <= 0:
                break
            tried = choice.copy()
            tried[option] = 0.0
            if instead is not None:
                tried[instead] = 1.0
            after_h = measure_times(network, tried)
            enough = _weigh_times(problem, after_h) >= target_h
            if enough and not find_broken(problem, budget_eur, tried, after_h):
                choice = tried
                break
    return np.flatnonzero(choice > 0.5).astype(np.int32)


def _weigh_times(problem: Problem, after_h: np.ndarray) -> float:
    if problem.objective == "minimum":
        return float(after_h.min())
    return float(problem.approach_weight @ after_h)


def _find_free(
    problem: Problem, budget_eur: float, gap: float, time_limit_s: float, seed: int, network: Network
) -> CurvePoint:
    found = solve_problem(problem, budget_eur, gap, time_limit_s, seed, network=network)
    if found.status == "interrupted":
        raise KeyboardInterrupt
    return CurvePoint(math.inf, found.chosen, found.cost_eur, found.value_h, found.bound_h)


def _describe_point(point: CurvePoint, part: CivilPart, before_h: float) -> BalancePoint:
    return BalancePoint(
        limit=point.limit,
        amount=part.measure(point.chosen),
        cost_eur=point.cost_eur,
        value_h=point.value_h,
        bound_h=point.bound_h,
        won_h=point.value_h - before_h,
        bound_won_h=point.bound_h - before_h,
        chosen=point.chosen,
    )
