"""Compare plans, or splits of the money over works, reserve belts and sensors, under the same draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from abatis.barrier.network import RouteFinder, build_network
from abatis.barrier.observed import LEFT_WHEN_UNWATCHED
from abatis.barrier.sites import Siting
from abatis.barrier.solve import Solution, solve_problem
from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.mesh import Mesh
from abatis.model.plan import Problem, Rule
from abatis.model.study import Study
from abatis.programme.drawn_works import (
    DatedPlan,
    Works,
    collect_works,
    restrict_problem,
    spread_years,
)
from abatis.programme.outlook import Band, find_band, sum_value
from abatis.programme.risk import Outcome, RiskCase

WATCH_EUR_PER_KM = 130_000.0
"""Integrated surveillance, about EUR 130,000 per km in 2021 (F: tricksfast.com copy of BNS)."""


@dataclass(frozen=True)
class Difference:
    """Plan against the first plan, draw by draw: hours of the last year, mean hours over the years, euros.

    `better_share` is the share of draws in which the plan holds longer in the last year.
    """

    plan: str
    against: str
    last_h: Band
    mean_h: Band
    cost_eur: Band
    better_share: float


@dataclass(frozen=True)
class Split:
    """One way to divide money: EUR for each family of measures, and EUR to watch sites.

    `families` maps a family (for example ditches, mines) to its measures, `money_eur` a family to its EUR; a
    measure of no family cannot be bought.
    """

    name: str
    families: Mapping[str, tuple[str, ...]]
    money_eur: Mapping[str, float]
    watch_eur: float
    watch_eur_per_km: float = WATCH_EUR_PER_KM


@dataclass(frozen=True)
class SplitPlan:
    """The plan that a split buys, with the bound of its search and what watching costs."""

    plan: DatedPlan
    value_h: float
    bound_h: float
    gap: float
    watch_cost_eur: float


def compare_outcomes(case: RiskCase, outcome: Outcome) -> tuple[Difference, ...]:
    """Compare every plan of a case with its first one, in pairs of the same draw.

    In words: both plans live through the same prices, delays and luck, so what they share falls out of the
    difference.
    """
    value = sum_value(case, outcome.hours)
    cost = outcome.cost_eur
    found = []
    for row in range(1, len(case.plans)):
        last = value[row, :, -1] - value[0, :, -1]
        found.append(
            Difference(
                case.plans[row].name,
                case.plans[0].name,
                find_band(last),
                find_band((value[row] - value[0]).mean(axis=1)),
                find_band(cost[row] - cost[0]),
                float(np.mean(last > 0)),
            )
        )
    return tuple(found)


def tell_difference(differences: Sequence[Difference]) -> str:
    """Say in a sentence which difference matters: the largest that keeps its sign from P10 to P90.

    Examples
    --------
    >>> sure = Difference("B", "A", Band(0.2, 0.4, 0.6), Band(0.1, 0.2, 0.3), Band(-1e6, 0, 1e6), 0.95)
    >>> tell_difference([sure])
    'What matters: B holds 0.40 h longer than A (P10 0.20, P90 0.60; longer in 95 % of the draws).'
    >>> tell_difference([Difference("B", "A", Band(-0.2, 0.1, 0.6), Band(0, 0, 0), Band(-5, 0, 5), 0.6)])
    'No difference keeps its sign from P10 to P90: the draws do not tell these plans apart.'
    """
    hours = [one for one in differences if one.last_h.p10 > 0 or one.last_h.p90 < 0]
    if hours:
        best = max(hours, key=lambda one: abs(one.last_h.p50))
        ends = sorted((abs(best.last_h.p10), abs(best.last_h.p90)))
        longer = best.last_h.p50 > 0
        share = best.better_share if longer else 1 - best.better_share
        words = ("longer", "longer") if longer else ("shorter", "not longer")
        return (
            f"What matters: {best.plan} holds {abs(best.last_h.p50):.2f} h {words[0]} than {best.against} "
            f"(P10 {ends[0]:.2f}, P90 {ends[1]:.2f}; {words[1]} in {100 * share:.0f} % of the draws)."
        )
    money = [one for one in differences if one.cost_eur.p10 > 0 or one.cost_eur.p90 < 0]
    if money:
        best = max(money, key=lambda one: abs(one.cost_eur.p50))
        ends = sorted((abs(best.cost_eur.p10), abs(best.cost_eur.p90)))
        return (
            f"Hours do not tell the plans apart. What matters: {best.plan} costs "
            f"{abs(best.cost_eur.p50) / 1e6:.1f} MEUR {'more' if best.cost_eur.p50 > 0 else 'less'} than "
            f"{best.against} (P10 {ends[0] / 1e6:.1f}, P90 {ends[1] / 1e6:.1f})."
        )
    return "No difference keeps its sign from P10 to P90: the draws do not tell these plans apart."


def plan_split(
    study: Study,
    mesh: Mesh,
    siting: Siting,
    split: Split,
    years: np.ndarray,
    gap: float = 0.02,
    time_limit_s: float = 60.0,
    seed: int = 1,
) -> SplitPlan:
    """Find what a split of the money buys: a plan of works, then the sites to watch.

    Parameters
    ----------
    study, mesh, siting : the study, its mesh and its sites.
    split : who gets how much.
    years : calendar years; works follow each other at an even spend.
    gap, time_limit_s, seed : of the search.

    In words: works are chosen for the most hours as if all were watched, each family within its own money
    (value and bound are of this step); then money to watch goes to the site on a present fastest way whose
    lost delay weighs most per euro, again and again. The second step is a rule of thumb without a bound.

    Raises
    ------
    InputError : families with unknown measures or without money, negative money.
    """
    _check_split(study, split)
    problem = siting.problem
    cost = {family: _cost_family(study, siting, keys) for family, keys in split.families.items()}
    outside = np.flatnonzero(problem.option_cost_eur > sum(cost.values()) + 1.0)
    options = np.arange(problem.option_count, dtype=np.int32)
    rules = [
        Rule(f"money_{family}", f"money of {family}", options[used], cost[family][used], money)
        for family, money in split.money_eur.items()
        if (used := cost[family] > 0).any()
    ]
    if len(outside):
        names = Rule(
            "money_none", "measures that no family pays", options[outside], np.ones(len(outside)), 0.0
        )
        rules.append(names)
    ruled = replace(problem, rules=(*problem.rules, *rules))
    solution = solve_problem(ruled, float(sum(split.money_eur.values())), gap, time_limit_s, seed)
    watched, watch_eur = _choose_watched(study, mesh, siting, solution, split)
    finish = spread_years(problem.option_cost_eur[solution.chosen], years)
    total = float(sum(split.money_eur.values()))
    plan = DatedPlan(
        split.name, np.asarray(solution.chosen, np.int64), finish, finish, total, np.empty(0), watched
    )
    return SplitPlan(plan, solution.value_h, solution.bound_h, solution.gap, watch_eur)


def _check_split(study: Study, split: Split) -> None:
    known = list(study.tables["measures"]["measure"])
    faults = [
        Fault(f"split '{split.name}' names measure '{key}'", column=family, remedy=nearest_word(key, known))
        for family, keys in split.families.items()
        for key in keys
        if key not in known
    ]
    faults += [
        Fault(
            f"split '{split.name}' gives no money to '{family}'", column=family, remedy="give EUR, 0 for none"
        )
        for family in split.families
        if family not in split.money_eur
    ]
    faults += [
        Fault(
            f"split '{split.name}' gives {money:g} EUR to '{family}'", column=family, remedy="give at least 0"
        )
        for family, money in (*split.money_eur.items(), ("watch", split.watch_eur))
        if not money >= 0 or (family != "watch" and family not in split.families)
    ]
    if faults:
        raise InputError(faults)


def _cost_family(study: Study, siting: Siting, keys: tuple[str, ...]) -> np.ndarray:
    """EUR that each option spends on some measures, float64[options]."""
    table = study.tables["measures"]
    unit = dict(zip(table["measure"], table["unit_cost_eur"].astype(float), strict=True))
    return np.array([sum(unit[k] * n for k, n in one.quantities if k in keys) for one in siting.options])


def _choose_watched(
    study: Study, mesh: Mesh, siting: Siting, solution: Solution, split: Split
) -> tuple[np.ndarray, float]:
    """Return bool[n], the options watched, and what that costs."""
    chosen = np.asarray(solution.chosen, np.int64)
    works = collect_works(study, mesh, siting, chosen)
    place = works.find_rows(chosen)
    length_km = {site.key: float(mesh.length_m[site.edges].sum()) / 1000 for site in siting.sites}
    price = np.array([length_km[key] for key in works.site_keys]) * split.watch_eur_per_km
    watched = np.zeros(len(works.options), bool)
    if split.watch_eur <= 0 or not len(chosen):
        return watched[place], 0.0
    finder = _prepare_routes(study, siting.problem, works)
    left = split.watch_eur
    while True:
        loss = _weigh_losses(siting.problem, finder, watched)
        loss[watched | (price > left)] = 0.0
        if not loss.any():
            break
        best = int(np.argmax(loss / price))
        watched[best] = True
        left -= float(price[best])
    for option in np.argsort(price, kind="stable"):
        if not watched[option] and price[option] <= left:
            watched[option] = True
            left -= float(price[option])
    return watched[place], split.watch_eur - left


def _prepare_routes(study: Study, problem: Problem, works: Works) -> RouteFinder:
    """Compress the ground for the works with their likely delays."""
    table = study.tables["measures"]
    likely = dict(zip(table["measure"], table["delay_h"].astype(float), strict=True))
    pair_h = np.array([likely[works.measures[m]] for m in works.pair_measure])
    return RouteFinder(build_network(restrict_problem(problem, works, pair_h)))


def _weigh_losses(problem: Problem, finder: RouteFinder, watched: np.ndarray) -> np.ndarray:
    """Weighted hours that each unwatched option loses on the present fastest ways, float64[O]."""
    network = finder.network
    finder.set_choice(np.where(watched, 1.0, LEFT_WHEN_UNWATCHED))
    loss = np.zeros(len(watched))
    for k in range(problem.approach_count):
        _, route = finder.find_route(k)
        for c in route.candidates if route else ():
            part = slice(network.candidate_start[c], network.candidate_start[c + 1])
            lost = network.candidate_delay_h[part] * (1 - LEFT_WHEN_UNWATCHED) * problem.approach_weight[k]
            np.add.at(loss, network.candidate_option[part], lost)
    loss[watched] = 0.0
    return loss
