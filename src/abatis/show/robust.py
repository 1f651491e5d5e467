"""`abatis robust`: options that are best on average and in the worst tenth of scenarios, with a bound."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from abatis.barrier.sites import Siting, site_study
from abatis.model.errors import Fault, InputError
from abatis.model.plan import Plan, Problem, read_plan
from abatis.people.law import require_lawful
from abatis.programme.drawn_works import find_options
from abatis.programme.draws import list_seed_faults
from abatis.programme.outlook import WORST_SHARE
from abatis.programme.robust import RobustPlan, RobustSettings, make_scenarios, score_plans, solve_robust
from abatis.show.beside import keep_rows, mark_basis
from abatis.show.results import Progress, check_same_study
from abatis.show.risk import list_plan_faults
from abatis.show.tables import Column, Table
from abatis.show.workflow import choose_settings, load_study


@dataclass(frozen=True)
class RobustAsked:
    """What is asked: the plan to compare with, EUR, scenarios, weight and size of the worst share, search.

    None takes the value of the study.
    """

    plan: str = "base"
    budget_eur: float | None = None
    scenarios: int = 40
    worst_weight: float = 0.5
    worst_share: float = WORST_SHARE
    gap: float | None = None
    time_limit_s: float | None = None
    seed: int | None = None


@dataclass(frozen=True)
class _Answer:
    """One plan in the comparison: its options, what it was asked for, and the search when there was one."""

    key: str
    name: str
    weight: float | None
    options: np.ndarray
    found: RobustPlan | None


def seek_robust(folder: Path, asked: RobustAsked, progress: Progress) -> dict[str, Table]:
    """Find robust plans of a study, compare them with a plan, and keep the tables as robust.json beside it.

    Parameters
    ----------
    folder : study folder with a mesh and the plan.
    asked : what is asked.
    progress : callback (stage, share done).

    In words: options are chosen on some drawn scenarios of delay and failure; then all plans are measured on
    as many others that no plan was chosen on. Only the first figures have a bound.

    Raises
    ------
    InputError : bad settings, a plan that is missing or stale, a measure that would be unlawful (the rule is
        named), and all faults of the tables.
    InfeasibleError : no plan keeps budget and rules.
    """
    _check_asked(folder, asked)
    study, mesh = load_study(folder)
    require_lawful(study)
    chosen = choose_settings(study, "robust", asked.budget_eur, asked.gap, asked.time_limit_s, asked.seed)
    place = study.folder / "plans" / asked.plan
    plan = read_plan(place)
    check_same_study(study, plan)
    siting = site_study(study, mesh, progress)
    progress("drawing scenarios", 0.0)
    problem, opened, road = make_scenarios(study, mesh, siting, chosen.seed, 2 * asked.scenarios)
    count = asked.scenarios
    own = find_options(plan, siting.problem)
    answers = [_Answer("plan", f"plan {plan.name} (likely delays)", None, own, None)]
    start = [own] if _fits(problem, own, chosen.budget_eur) else []
    weights = tuple(dict.fromkeys((0.0, asked.worst_weight, 1.0)))
    for number, weight in enumerate(weights):
        progress("searching (at most the time limit)", number / len(weights))
        settings = RobustSettings(weight, asked.worst_share, chosen.gap, chosen.time_limit_s / len(weights))
        found = solve_robust(problem, opened[:count], road[:count], chosen.budget_eur, settings, start)
        start = [*start, found.chosen]
        answers.append(_Answer(f"weight_{weight:g}", _name(weight), weight, found.chosen, found))
    progress("measuring on other scenarios", 0.0)
    plans = [one.options for one in answers]
    scored = score_plans(problem, opened[:count], road[:count], plans, asked.worst_share)
    answers, inside = _share_answers(answers, scored)
    plans = [one.options for one in answers]
    outside = score_plans(problem, opened[count:], road[count:], plans, asked.worst_share)
    progress("measuring on other scenarios", 1.0)
    tables = _tabulate(siting, plan, answers, inside, outside, asked)
    keep_rows(place, "robust", mark_basis("robust", study, plan), tables)
    return tables


def _check_asked(folder: Path, asked: RobustAsked) -> None:
    faults = list_plan_faults(folder, [asked.plan], "--plan")
    if asked.budget_eur is not None and not (math.isfinite(asked.budget_eur) and asked.budget_eur >= 0):
        remedy = "give a finite number of EUR, at least 0"
        faults.append(Fault(f"is {asked.budget_eur:g}", column="--budget", remedy=remedy))
    if asked.scenarios < 2:
        faults.append(Fault(f"is {asked.scenarios}", column="--scenarios", remedy="ask for 2 or more"))
    if not 0 <= asked.worst_weight <= 1:
        faults.append(Fault(f"is {asked.worst_weight:g}", column="--worst-weight", remedy="give 0 to 1"))
    if not 0 < asked.worst_share <= 1:
        faults.append(Fault(f"is {asked.worst_share:g}", column="--worst-share", remedy="give above 0 to 1"))
    if asked.gap is not None and not 0 <= asked.gap <= 1:
        faults.append(Fault(f"is {asked.gap:g} but must be 0 to 1", column="--gap", remedy="give a share"))
    if asked.time_limit_s is not None and not asked.time_limit_s >= 0:
        text = f"is {asked.time_limit_s:g} but must be at least 0"
        faults.append(Fault(text, column="--time-limit", remedy="give s"))
    faults += list_seed_faults(asked.seed)
    if faults:
        raise InputError(faults)


def _fits(problem: Problem, options: np.ndarray, budget_eur: float) -> bool:
    """Say whether a plan keeps budget and rules, so that a search may begin with it."""
    choice = np.zeros(problem.option_count)
    choice[options] = 1.0
    kept = all(rule.coefficients @ choice[rule.options] <= rule.limit + 1e-9 for rule in problem.rules)
    return bool(problem.option_cost_eur @ choice <= budget_eur) and kept and not problem.least_hours


def _share_answers(
    answers: Sequence[_Answer], inside: Sequence[tuple[float, float]]
) -> tuple[list[_Answer], list[tuple[float, float]]]:
    """Give each question the best plan that any of the searches found; every bound still holds."""
    shared, scores = list(answers), list(inside)
    for number, one in enumerate(answers):
        if one.found is None or one.weight is None:
            continue
        weight = one.weight
        mixed = [
            (1 - weight) * mean + weight * worst if other.found else -np.inf
            for other, (mean, worst) in zip(answers, inside, strict=True)
        ]
        best = int(np.argmax(mixed))
        if mixed[best] > mixed[number]:
            score = mixed[best]
            gap = (one.found.bound_h - score) / abs(score) if score else 0.0
            found = replace(one.found, score_h=score, gap=max(0.0, gap), chosen=answers[best].options)
            shared[number] = replace(one, options=answers[best].options, found=found)
            scores[number] = inside[best]
    return shared, scores


def _name(weight: float) -> str:
    if weight == 0:
        return "best on average"
    if weight == 1:
        return "best in the worst share"
    return f"worst share counts {100 * weight:.0f} %"


def _tabulate(
    siting: Siting,
    plan: Plan,
    answers: Sequence[_Answer],
    inside: Sequence[tuple[float, float]],
    outside: Sequence[tuple[float, float]],
    asked: RobustAsked,
) -> dict[str, Table]:
    own = set(answers[0].options.tolist())
    rows = []
    for one, (mean, worst), (other_mean, other_worst) in zip(answers, inside, outside, strict=True):
        options = set(one.options.tolist())
        rows.append(
            {
                "answer": one.key,
                "name": one.name,
                "worst_weight": one.weight,
                "mean_h": mean,
                "worst_h": worst,
                "score_h": one.found.score_h if one.found else None,
                "bound_h": one.found.bound_h if one.found else None,
                "gap": one.found.gap if one.found else None,
                "cost_eur": float(siting.problem.option_cost_eur[one.options].sum()),
                "options": len(options),
                "shared": len(options & own),
                "other_mean_h": other_mean,
                "other_worst_h": other_worst,
            }
        )
    percent = f"{100 * asked.worst_share:g} %"
    columns = (
        Column("name", "plan"),
        Column("mean_h", "mean [h]", ".3f"),
        Column("worst_h", f"worst {percent} [h]", ".3f"),
        Column("score_h", "what was asked for [h]", ".3f"),
        Column("bound_h", "no plan scores more [h]", ".3f"),
        Column("gap", "gap [share]", ".3f"),
        Column("cost_eur", "cost [EUR]", ",.0f"),
        Column("options", "works", ".0f"),
        Column("shared", f"also in {plan.name}", ".0f"),
        Column("other_mean_h", "other scenarios: mean [h]", ".3f"),
        Column("other_worst_h", f"other scenarios: worst {percent} [h]", ".3f"),
    )
    title = f"Robust plans over {asked.scenarios} scenarios, measured again on {asked.scenarios} others"
    return {
        "answer": Table(
            "What it comes to", (Column("answer", "answer"),), ({"answer": tell_robust(rows, percent)},)
        ),
        "robust": Table(title, columns, tuple(rows)),
        "options": _table_options(siting, answers),
        "notes": Table("Notes", (Column("note", ""),), tuple({"note": one} for one in _list_notes(asked))),
    }


def tell_robust(rows: Sequence[Mapping[str, Any]], percent: str) -> str:
    """Say in a sentence what minding the worst share gains and costs on scenarios nobody chose on.

    Examples
    --------
    >>> rows = [
    ...     {"name": "plan base", "other_mean_h": 4.0, "other_worst_h": 2.0},
    ...     {"name": "best in the worst share", "other_mean_h": 3.9, "other_worst_h": 2.3},
    ... ]
    >>> print(tell_robust(rows, "10 %").replace(" than", chr(10) + "than"))
    On other scenarios best in the worst share holds 0.30 h more in the worst 10 %
    than plan base and 0.10 h less on average.
    """
    first = rows[0]
    best = max(rows[1:], key=lambda one: float(one["other_worst_h"]))
    worst = float(best["other_worst_h"]) - float(first["other_worst_h"])
    mean = float(best["other_mean_h"]) - float(first["other_mean_h"])
    if worst < 0.005:
        return f"On other scenarios no robust plan holds more in the worst {percent} than {first['name']}."
    turn = f"{abs(mean):.2f} h {'more' if mean >= 0 else 'less'} on average"
    return (
        f"On other scenarios {best['name']} holds {worst:.2f} h more in the worst {percent} than "
        f"{first['name']} and {turn}."
    )


def _table_options(siting: Siting, answers: Sequence[_Answer]) -> Table:
    """Options that some of the plans choose and others do not."""
    names = {site.key: site.name for site in siting.sites}
    sets = {one.key: set(one.options.tolist()) for one in answers}
    union = set().union(*sets.values())
    differing = sorted(row for row in union if not all(row in one for one in sets.values()))
    rows = tuple(
        {
            "site": siting.options[row].site,
            "name": names[siting.options[row].site],
            "option": siting.options[row].option,
            "cost_eur": siting.options[row].cost_eur,
            **{key: row in chosen for key, chosen in sets.items()},
        }
        for row in differing
    )
    columns = (
        Column("name", "site"),
        Column("option", "option"),
        Column("cost_eur", "cost [EUR]", ",.0f"),
        *(Column(one.key, one.name) for one in answers),
    )
    common = len(union) - len(differing)
    return Table(
        "Works in which the plans differ", columns, rows, f"{common} works stand in all of these plans"
    )


def _list_notes(asked: RobustAsked) -> list[str]:
    return [
        "Delay and failure are drawn; effects are fully grown, ground and prices are the likely ones",
        (
            "The bound holds for the scenarios that the plans were chosen on; other scenarios may rank plans "
            "otherwise, so all are measured again on scenarios that no plan was chosen on"
        ),
        (
            "What was asked for is a mix of the mean and of the mean of the worst "
            f"{100 * asked.worst_share:g} % of the scenarios"
        ),
    ]
