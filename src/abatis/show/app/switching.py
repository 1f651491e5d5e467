"""Sites switched on and off: arrival times, cost, broken rules, routes, and why a plan has a site."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import shapely

from abatis.barrier.explain_rules import find_broken, list_rules
from abatis.ground.travel import compute_times, find_route
from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.plan import BY_HAND
from abatis.show.app.answers.plans import (
    Arrival,
    ChangeAnswer,
    Choices,
    Replacement,
    RoutesAnswer,
    SwitchAnswer,
    WhyAnswer,
)
from abatis.show.app.answers.tables import answer_table
from abatis.show.app.describing import to_hours
from abatis.show.app.loaded import KeptPlan, Snapshot
from abatis.show.app.views.shapes import make_feature
from abatis.show.results import time_edges
from abatis.show.tables import Column, Table

MOST_FAULTS = 50
MOST_TRIED = 600
MOST_SHOWN = 5
LEAST_LOSS_H = 5e-5
STATES = ("before", "plan", "now")


@dataclass(frozen=True)
class Choice:
    """A set of options: rows, arrival times float64[K], value, cost, and names of the rules it breaks."""

    rows: tuple[int, ...]
    arrival_h: np.ndarray
    value_h: float
    cost_eur: float
    broken: tuple[str, ...]


def assess_choice(now: Snapshot, rows: tuple[int, ...], budget_eur: float) -> Choice:
    """Measure a set of options (rows): exact arrival times, the solver's cost, and every rule it breaks.

    In words: value, cost and rules come from the problem that the solver solves, so barriers that nobody
    sees count as weakened here too where the study has a watch result.
    """
    problem = now.problem
    arrival_h = now.measure(rows)
    choice = np.zeros(problem.option_count)
    choice[list(rows)] = 1.0
    known = list_rules(problem, budget_eur)
    broken = [known[number][1] for number in sorted(find_broken(problem, budget_eur, choice, arrival_h))]
    if now.judge is not None:
        for rule in now.judge.rules:
            places = now.judge.find_broken(rule, rows).tolist()
            broken += [f"{rule.name}: {now.judge.ground.places[place].name}" for place in places]
    cost_eur = float(problem.option_cost_eur[np.array(rows, np.intp)].sum())
    return Choice(rows, arrival_h, now.weigh(arrival_h), cost_eur, tuple(broken))


def assess_plan(now: Snapshot, kept: KeptPlan) -> Choice:
    """Measure a plan; kept until the plan or the study changes."""
    key = ("choice", kept.name, kept.version)
    return now.keeper.get(key, lambda: assess_choice(now, now.find_rows(kept.plan), kept.plan.budget_eur))


def assess_nothing(now: Snapshot) -> Choice:
    """Measure the ground without any barrier."""
    return now.keeper.get(("choice",), lambda: assess_choice(now, (), 0.0))


def list_rule_names(now: Snapshot, budget_eur: float) -> list[str]:
    """Return the names of all rules that a plan has to keep."""
    names = [name for _, name in list_rules(now.problem, budget_eur)]
    return names + ([rule.name for rule in now.judge.rules] if now.judge is not None else [])


def change_rows(now: Snapshot, rows: Sequence[int], choices: Mapping[str, str | None]) -> tuple[int, ...]:
    """Return the rows of a plan's options after some sites were changed.

    Parameters
    ----------
    rows : options of the plan.
    choices : per site (key or label) its option, or None to leave it open.

    Raises
    ------
    InputError : unknown sites or options, or a site named twice; all at once.
    """
    problem, siting = now.problem, now.siting
    site_row = now.keeper.get("site_row", lambda: {key: row for row, key in enumerate(problem.site_keys)})
    by_label = now.keeper.get("by_label", lambda: {label: key for key, label in now.labels.items()})
    chosen = {int(problem.option_site[row]): int(row) for row in rows}
    faults: list[Fault] = []
    seen: set[int] = set()
    for word, option in choices.items():
        key = word if word in site_row else by_label.get(word, "")
        if key not in site_row:
            faults.append(Fault(f"there is no site '{word[:80]}'", column="choices",
                                remedy="GET /api/plans/NAME/sites lists the sites"))  # fmt: skip
            continue
        site = site_row[key]
        if site in seen:
            faults.append(Fault(f"site '{word}' is named twice", column="choices", remedy="name it once"))
        seen.add(site)
        if option is None:
            chosen.pop(site, None)
            continue
        row = now.option_row.get((key, option))
        if row is None:
            fitting = [one.option for one in siting.options if one.site == key]
            faults.append(Fault(f"site '{word}' has no option '{option[:80]}'", column="choices",
                                remedy=nearest_word(option[:80], fitting)))  # fmt: skip
            continue
        chosen[site] = row
    if faults:
        raise InputError(faults[:MOST_FAULTS])
    return tuple(sorted(chosen.values()))


def list_arrivals(now: Snapshot, before: Choice, plan: Choice, changed: Choice) -> list[Arrival]:
    """List the arrival of every approach in three states."""
    problem = now.problem
    return [
        Arrival(
            approach=problem.approach_keys[index],
            name=problem.approach_names[index],
            weight=float(problem.approach_weight[index]),
            before_h=to_hours(before.arrival_h[index]),
            plan_h=to_hours(plan.arrival_h[index]),
            now_h=to_hours(changed.arrival_h[index]),
        )
        for index in range(problem.approach_count)
    ]


def list_changes(now: Snapshot, before: Sequence[int], after: Sequence[int]) -> list[ChangeAnswer]:
    """List the sites at which two sets of options differ."""
    problem, options = now.problem, now.siting.options
    old = {int(problem.option_site[row]): int(row) for row in before}
    new = {int(problem.option_site[row]): int(row) for row in after}
    found = []
    for site in sorted({*old, *new}):
        if old.get(site) == new.get(site):
            continue
        left, came = old.get(site), new.get(site)
        cost_eur = (options[came].cost_eur if came is not None else 0.0) - (
            options[left].cost_eur if left is not None else 0.0
        )
        key = problem.site_keys[site]
        found.append(
            ChangeAnswer(
                site=key,
                label=now.labels[key],
                before=options[left].option if left is not None else None,
                now=options[came].option if came is not None else None,
                cost_eur=cost_eur,
            )
        )
    return found


def switch_sites(now: Snapshot, kept: KeptPlan, choices: Choices) -> SwitchAnswer:
    """Answer what a plan is worth after some sites were switched on or off or given another option.

    Raises
    ------
    InputError : see `change_rows`.
    """
    started = time.perf_counter()
    before, plan = assess_nothing(now), assess_plan(now, kept)
    changed = assess_choice(now, change_rows(now, plan.rows, choices), kept.plan.budget_eur)
    same = changed.rows == plan.rows
    return SwitchAnswer(
        arrivals=list_arrivals(now, before, plan, changed),
        value_h=to_hours(changed.value_h),
        plan_value_h=to_hours(plan.value_h),
        before_value_h=to_hours(before.value_h),
        cost_eur=changed.cost_eur,
        plan_cost_eur=plan.cost_eur,
        budget_eur=kept.plan.budget_eur,
        sites=len(changed.rows),
        changes=list_changes(now, plan.rows, changed.rows),
        broken_rules=list(changed.broken),
        proven=same and kept.plan.status != BY_HAND,
        version=kept.version,
        server_ms=round(1000 * (time.perf_counter() - started), 3),
    )


def draw_routes(now: Snapshot, kept: KeptPlan, approach: str, choices: Choices) -> RoutesAnswer:
    """Draw the fastest route of one approach (or of all) without barriers, with the plan, and as changed.

    Raises
    ------
    InputError : an unknown approach; see `change_rows`.
    """
    problem = now.problem
    if approach and approach not in problem.approach_keys:
        remedy = nearest_word(approach, problem.approach_keys)
        raise InputError([Fault(f"there is no approach '{approach}'", column="approach", remedy=remedy)])
    plan = now.find_rows(kept.plan)
    rows = {"before": (), "plan": plan, "now": change_rows(now, plan, choices)}
    features = []
    for index, key in enumerate(problem.approach_keys):
        if approach not in ("", key):
            continue
        for state in STATES:
            make = partial(find_fastest, now, index, rows[state])
            # Routes of the plan are asked for again and again; those of a change hardly ever.
            hours, cells = now.keeper.get(("route", index, rows[state]), make) if state != "now" else make()
            if len(cells) < 2:
                continue
            line = shapely.LineString(np.column_stack([now.mesh.lon[cells], now.mesh.lat[cells]]))
            words = {"approach": key, "name": problem.approach_names[index], "state": state, "hours": hours}
            features.append(make_feature(line, words))
    return RoutesAnswer(features=features)


def find_fastest(now: Snapshot, index: int, rows: tuple[int, ...]) -> tuple[float, np.ndarray]:
    """Return hours and cells of the fastest route of an approach when some options (rows) are built."""
    problem, group = now.problem, int(now.problem.approach_group[index])
    time_h = time_edges(problem, problem.open_h[group], problem.road_h[group], rows)
    times = compute_times(now.mesh, time_h, np.asarray(problem.approach_targets[index], dtype=np.int32))
    sources = np.asarray(problem.approach_sources[index])
    start = int(sources[np.argmin(times[sources])])
    if not np.isfinite(times[start]):
        return float("inf"), np.empty(0, np.int32)
    return float(times[start]), np.asarray(find_route(now.mesh, time_h, times, start))


def explain_site(now: Snapshot, kept: KeptPlan, word: str, effect: str) -> WhyAnswer:
    """Say what a plan loses without one of its sites, and which single other site wins back most.

    Parameters
    ----------
    word : key or label of the site.
    effect : what the site does to the avenues, '' where it is not known.

    Raises
    ------
    InputError : the plan does not close that site.
    """
    # Hundreds of plans are tried below: on the whole mesh that would take many seconds.
    _ = now.network
    before, plan = assess_nothing(now), assess_plan(now, kept)
    key = {label: site for site, label in now.labels.items()}.get(word, word)
    options = now.siting.options
    row = next((one for one in plan.rows if options[one].site == key), None)
    if row is None:
        remedy = "name a site that the plan closes"
        raise InputError([Fault(f"the plan does not close '{word[:80]}'", column="site", remedy=remedy)])
    rest = tuple(one for one in plan.rows if one != row)
    without = assess_choice(now, rest, kept.plan.budget_eur)
    loss_h = plan.value_h - without.value_h
    found, tried = find_replacements(now, kept, plan, rest, key)
    words = _word_loss(loss_h, found)
    table = tabulate_replacements(now.labels[key], found, tried)
    return WhyAnswer(
        site=key,
        label=now.labels[key],
        place=now.problem.site_names[int(now.problem.option_site[row])],
        option=options[row].option,
        cost_eur=options[row].cost_eur,
        effect=effect,
        loss_h=to_hours(loss_h),
        arrivals=list_arrivals(now, before, plan, without),
        broken_rules=[name for name in without.broken if name not in plan.broken],
        replacements=found,
        tried=tried,
        words=words,
        table=answer_table(table),
    )


def find_replacements(
    now: Snapshot, kept: KeptPlan, plan: Choice, rest: tuple[int, ...], key: str
) -> tuple[list[Replacement], int]:
    """Return the best single options for the money that leaving out a site frees, and how many were tried.

    In words: every option of a site that the plan leaves open, if it fits what is left of the budget and
    breaks no rule that the plan keeps; the dearest first where there are very many.
    """
    problem, options = now.problem, now.siting.options
    budget_eur = kept.plan.budget_eur
    left_eur = budget_eur - float(problem.option_cost_eur[np.array(rest, np.intp)].sum())
    closed = {options[row].site for row in rest} | {key}
    fit = [n for n, one in enumerate(options) if one.site not in closed and one.cost_eur <= left_eur]
    fit = sorted(fit, key=lambda n: (-options[n].cost_eur, n))[:MOST_TRIED]
    worth = [(plan.value_h - now.weigh(now.measure(tuple(sorted((*rest, row))))), row) for row in fit]
    lost_h = plan.value_h - now.weigh(now.measure(rest))
    best: list[Replacement] = []
    for loss_h, row in sorted(worth):
        if len(best) == MOST_SHOWN or loss_h > lost_h - LEAST_LOSS_H:
            break
        one = options[row]
        if any(other.site == one.site for other in best):
            continue
        choice = assess_choice(now, tuple(sorted((*rest, row))), budget_eur)
        if not set(choice.broken) <= set(plan.broken):
            continue
        best.append(
            Replacement(
                site=one.site,
                label=now.labels[one.site],
                place=problem.site_names[int(problem.option_site[row])],
                option=one.option,
                cost_eur=one.cost_eur,
                loss_h=to_hours(loss_h),
            )
        )
    return best, len(fit)


def _word_loss(loss_h: float, found: Sequence[Replacement]) -> str:
    if not np.isfinite(loss_h):
        return "Without it a way is open that the plan closes for good."
    if loss_h < LEAST_LOSS_H:
        return "Without it the plan loses no time."
    text = f"Without it the plan loses {loss_h:.2f} h."
    if found and found[0].loss_h is not None:
        back = loss_h - found[0].loss_h
        if back >= LEAST_LOSS_H:
            return f"{text} The best other single site, {found[0].label}, wins back {back:.2f} h."
    return f"{text} No other single site for the same money wins any of it back."


def tabulate_replacements(label: str, found: Sequence[Replacement], tried: int) -> Table:
    """Tabulate what single sites win back."""
    columns = (
        Column("label", "instead"),
        Column("place", "place"),
        Column("option", "option"),
        Column("cost_eur", "cost [EUR]", ",.0f"),
        Column("loss_h", "still lost [h]", ",.3f"),
    )
    note = (
        f"{tried} options of other sites were tried, one at a time, with the money that {label} frees and "
        "what the budget leaves. The job 'why' searches whole plans and proves bounds."
    )
    return Table(f"Instead of {label}", columns, tuple(one.model_dump() for one in found), note)
