"""Tables of the programme: money by line and year, hours held, what starts when, what the country pays."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from abatis.barrier.sites import Siting, site_study
from abatis.model.errors import Fault, InputError
from abatis.model.plan import Plan, read_plan
from abatis.model.storage import write_text_whole
from abatis.model.study import Study
from abatis.people.law import require_lawful
from abatis.programme.afford import Affordability, weigh_affordability
from abatis.programme.clearing import sum_by_measure
from abatis.programme.fixed import FixedWork
from abatis.programme.funding import list_readings
from abatis.programme.kept import Asked, find_schedule, mark_draws
from abatis.programme.schedule import Schedule
from abatis.programme.terms import Terms, read_terms
from abatis.show.app.saved import hash_plan, lock_plan
from abatis.show.beside import Rows, read_beside
from abatis.show.results import check_same_study
from abatis.show.tables import Column, Table, clean_json
from abatis.show.workflow import load_study

Progress = Callable[[str, float], None]
NEVER_SHOWN = 12


@dataclass(frozen=True)
class Programme:
    """A plan laid out over years with all that is shown about it.

    `plan_hash` is that of the plan's file when it was read; '' where nothing is to be written beside it.
    """

    study: Study
    plan: Plan
    plan_hash: str
    siting: Siting
    terms: Terms
    schedule: Schedule
    affordability: Affordability


@dataclass(frozen=True)
class ProgrammeSettings:
    """Which plan and named budget, and how long and how closely the schedule is searched."""

    plan: str = "base"
    named_budget: str | None = None
    gap: float | None = None
    time_limit_s: float | None = None


def make_programme(
    folder: Path, settings: ProgrammeSettings, progress: Progress, fixed: tuple[FixedWork, ...] | None = None
) -> Programme:
    """Lay a plan of a study out over the years and write programme.json beside it.

    In words: a schedule kept beside the plan (schedule.json) is shown again while nothing it rests on has
    changed; abatis risk draws the same one.

    Parameters
    ----------
    folder : study folder with a mesh and the plan.
    settings : plan, named budget, gap as a share, seconds.
    progress : called with the stage in words and the share done.
    fixed : works that are built or contracted already; those of fixed_works.csv when left out.

    Raises
    ------
    InputError : the plan is missing or of another state of the study, or was replaced meanwhile; a measure
        would be unlawful in a year of the programme (the rule is named); all faults of the tables.
    InfeasibleError : works built or contracted already break money or capacity.
    """
    _check_settings(settings)
    study, mesh = load_study(folder)
    require_lawful(study)
    place = study.folder / "plans" / settings.plan
    plan_hash = hash_plan(place)
    plan = read_plan(place)
    check_same_study(study, plan)
    siting = site_study(study, mesh, progress)
    terms = read_terms(study, plan, siting, fixed, settings.named_budget)
    asked = Asked(
        settings.named_budget,
        study.gap if settings.gap is None else settings.gap,
        study.time_limit_s if settings.time_limit_s is None else settings.time_limit_s,
        study.seed,
        fixed,
    )
    schedule = find_schedule(place, plan, siting.problem, terms, asked, progress=progress)
    found = Programme(
        study, plan, plan_hash, siting, terms, schedule,
        weigh_affordability(study, siting, terms, schedule, plan),
    )  # fmt: skip
    text = json.dumps(clean_json(describe_programme(found)), indent=1, ensure_ascii=False) + "\n"
    with lock_plan(study.folder, place, plan_hash):
        write_text_whole(place / "programme.json", text)
    return found


def _check_settings(settings: ProgrammeSettings) -> None:
    faults = []
    if settings.gap is not None and not 0 <= settings.gap <= 1:
        faults.append(Fault(f"is {settings.gap:g} but must be 0 to 1", column="--gap", remedy="give a share"))
    if settings.time_limit_s is not None and not settings.time_limit_s >= 0:
        text = f"is {settings.time_limit_s:g} but must be at least 0"
        faults.append(Fault(text, column="--time-limit", remedy="give s"))
    if faults:
        raise InputError(faults)


def describe_programme(programme: Programme) -> dict[str, Any]:
    """The programme as JSON values: per year money by line and hours held, totals, bound, what it rests on.

    `p10`, `p50` and `p90` (hours held, and nominal EUR spent in the year) stay empty until draws are made:
    abatis risk.
    """
    schedule, terms, problem = programme.schedule, programme.terms, programme.siting.problem
    bands = {one["year"]: one for one in read_bands(programme)}
    years = []
    for place, year in enumerate(schedule.years.tolist()):
        lines = schedule.nominal_eur[:, place]
        years.append(
            {
                "year": year,
                "planned_eur": dict(zip(schedule.lines, np.round(lines, 2).tolist(), strict=True)),
                "total_eur": round(float(lines.sum()), 2),
                "base_price_eur": round(float(schedule.spend_eur[:, place].sum()), 2),
                "held_h": float(schedule.value_h[place]),
                "at_most_h": float(schedule.bound_h[place]),
                "approaches_h": dict(
                    zip(problem.approach_keys, schedule.held_h[:, place].tolist(), strict=True)
                ),
                **{part: _take_band(bands.get(year), part) for part in ("p10", "p50", "p90")},
            }
        )
    return {
        "study": programme.study.name,
        "plan": programme.plan.name,
        "budget": terms.funding.budget,
        "budgets": list_readings(programme.study),
        "base_year": terms.base_year,
        "before_h": schedule.before_h,
        "years": years,
        "totals": _add_up(programme),
        "objective": schedule.objective,
        "bound": schedule.bound,
        "gap": schedule.gap,
        "gain_gap": schedule.gain_gap,
        "seconds": round(schedule.seconds, 3),
        "options": _list_starts(programme),
        "affordability": asdict(programme.affordability),
    }


def read_risk(programme: Programme) -> tuple[Rows | None, str]:
    """Tables of `abatis risk` beside the plan; None, and why, when missing or of another schedule."""
    place = programme.study.folder / "plans" / programme.plan.name
    rows, missing = read_beside(place, "risk", programme.plan.name, programme.plan.study_hash)
    if rows is None:
        return None, missing
    mark = mark_draws(programme.study, programme.schedule)
    of_plan = {one["plan"]: one.get("mark") for one in rows.get("plans", [])}
    if of_plan.get(programme.plan.name) != mark:
        return None, "risk.json follows another schedule or other risks: run abatis risk again"
    return rows, ""


def read_bands(programme: Programme) -> list[dict[str, Any]]:
    """Bands by year that `abatis risk` drew for this very schedule; empty when there are none."""
    return (read_risk(programme)[0] or {}).get(f"years_{programme.plan.name}", [])


def _take_band(band: dict[str, Any] | None, part: str) -> dict[str, float] | None:
    if band is None:
        return None
    return {"held_h": band[f"held_{part}_h"], "spent_eur": band[f"spent_{part}_eur"]}


def _add_up(programme: Programme) -> dict[str, Any]:
    schedule, terms = programme.schedule, programme.terms
    built = schedule.start_year >= 0
    return {
        "planned_eur": dict(
            zip(schedule.lines, np.round(schedule.nominal_eur.sum(axis=1), 2).tolist(), strict=True)
        ),
        "total_eur": round(float(schedule.nominal_eur.sum()), 2),
        "plan_cost_eur": programme.plan.cost_eur,
        "built_cost_eur": round(float(terms.full_cost_eur[built].sum()), 2),
        "options": len(built),
        "built": int(built.sum()),
    }


def _list_starts(programme: Programme) -> list[dict[str, Any]]:
    schedule, terms = programme.schedule, programme.terms
    return [
        {
            "site": terms.sites[row],
            "option": terms.option_keys[row].partition("/")[2],
            "start_year": int(start) if start >= 0 else None,
            "finish_year": int(finish) if finish >= 0 else None,
            "cost_eur": round(float(terms.full_cost_eur[row].sum()), 2),
            "is_fixed": bool(terms.is_fixed[row]),
        }
        for row, (start, finish) in enumerate(zip(schedule.start_year, schedule.finish_year, strict=True))
    ]


def tabulate_programme(programme: Programme) -> dict[str, Table]:
    """The programme as tables for people."""
    schedule = programme.schedule
    columns = [Column("year", "year", ".0f")]
    columns += [Column(line, f"{line} [MEUR]", ",.2f") for line in schedule.lines]
    columns += [
        Column("total", "all lines [MEUR]", ",.2f"),
        Column("held_h", "hours held", ",.2f"),
        Column("at_most_h", "at most [h]", ",.2f"),
        Column("starts", "start", ",.0f"),
        Column("finishes", "finish", ",.0f"),
    ]
    rows = []
    for place, year in enumerate(schedule.years.tolist()):
        money = schedule.nominal_eur[:, place] / 1e6
        rows.append(
            {
                "year": year,
                **dict(zip(schedule.lines, money.tolist(), strict=True)),
                "total": float(money.sum()),
                "held_h": float(schedule.value_h[place]),
                "at_most_h": float(schedule.bound_h[place]),
                "starts": int((schedule.start_year == year).sum()),
                "finishes": int((schedule.finish_year == year).sum()),
            }
        )
    locked = [line.key for line in programme.terms.funding.lines if not line.planned]
    note = (
        f"Nominal money of budget {programme.terms.funding.budget}; before the programme "
        f"{schedule.before_h:.2f} h."
    )
    if locked:
        note += (
            " Lines not planned here spend their money evenly unless "
            f"budget_years.csv says otherwise: {', '.join(locked)}."
        )
    title = f"Programme of plan {programme.plan.name}, {programme.study.title}"
    return {
        "years": Table(title, tuple(columns), tuple(rows), note),
        "answer": _tabulate_answer(programme),
        "budgets": _tabulate_readings(programme.study, schedule.lines),
        "economy": _tabulate_economy(programme.affordability),
        "after": _tabulate_after(programme),
    }


def _tabulate_answer(programme: Programme) -> Table:
    schedule, totals = programme.schedule, _add_up(programme)
    left_out = [
        key for key, start in zip(schedule.option_keys, schedule.start_year, strict=True) if start < 0
    ]
    shown = ", ".join(left_out[:NEVER_SHOWN]) + (" ..." if len(left_out) > NEVER_SHOWN else "")
    rows = (
        {"what": "options built / in the plan", "shown": f"{totals['built']} / {totals['options']}"},
        {"what": "built, base-year prices [EUR]", "shown": f"{totals['built_cost_eur']:,.2f}"},
        {"what": "plan, base-year prices [EUR]", "shown": f"{totals['plan_cost_eur']:,.2f}"},
        {"what": "all lines, nominal [EUR]", "shown": f"{totals['total_eur']:,.2f}"},
        {"what": "discounted hours held", "shown": f"{schedule.objective:,.3f}"},
        {"what": "no schedule can hold more than", "shown": f"{schedule.bound:,.3f}"},
        {"what": "gap [%]", "shown": f"{100 * schedule.gap:.2f}"},
        {"what": "gap of the hours added [%]", "shown": f"{100 * schedule.gain_gap:.2f}"},
        {"what": "not built within the years", "shown": shown or "-"},
        {"what": "seconds", "shown": f"{schedule.seconds:.1f}"},
    )
    return Table("Answer", (Column("what", "what"), Column("shown", "value", "s")), rows)


def _tabulate_readings(study: Study, lines: tuple[str, ...]) -> Table:
    columns = [Column("budget", "budget"), Column("name", "name")]
    columns += [Column(line, f"{line} [MEUR]", ",.1f") for line in lines]
    columns += [Column("total", "all lines [MEUR]", ",.1f"), Column("tags", "tags")]
    rows = []
    for one in list_readings(study):
        amounts = one["lines"]
        assert isinstance(amounts, dict)
        row = {line: amounts[line] / 1e6 if line in amounts else None for line in lines}
        total = sum(amounts.values()) / 1e6
        rows.append(
            {"budget": one["budget"], "name": one["name"], **row, "total": total, "tags": one["tags"]}
        )
    return Table("Readings of the public figures", tuple(columns), tuple(rows), "sources: tables/budgets.csv")


def _tabulate_economy(found: Affordability) -> Table:
    columns = (
        Column("year", "year", ".0f"),
        Column("programme", "programme [MEUR]", ",.2f"),
        Column("defence", "defence budget [MEUR]", ",.0f"),
        Column("share", "share of it [%]", ",.2f"),
        Column("low", "least [%]", ",.2f"),
        Column("high", "most [%]", ",.2f"),
        Column("gdp", "of GDP [%]", ",.3f"),
        Column("tag", "tag"),
    )

    def scale(value: float | None, factor: float) -> float | None:
        return None if value is None else value * factor

    rows = tuple(
        {
            "year": one.year,
            "programme": one.programme_eur / 1e6,
            "defence": scale(one.defence_eur, 1e-6),
            "share": scale(one.defence_share, 100),
            "low": scale(one.defence_share_low, 100),
            "high": scale(one.defence_share_high, 100),
            "gdp": scale(one.gdp_share, 100),
            "tag": one.tag,
        }
        for one in found.economy
    )
    return Table("Against defence budget and GDP", columns, rows, "; ".join(found.notes))


def _tabulate_after(programme: Programme) -> Table:
    found = programme.affordability
    measures = programme.study.tables["measures"]
    names = dict(zip(measures["measure"], measures["name"], strict=True))
    tail = [one for one in found.tail if not one.in_programme]
    rows = [
        {"what": "EU money, certain [EUR]", "shown": f"{found.eu_certain_eur:,.0f}"},
        {"what": "EU money, hoped for [EUR]", "shown": f"{found.eu_hoped_eur:,.0f}"},
        {"what": "EU share of all lines [%]", "shown": f"{100 * found.eu_share:.1f}"},
        {"what": "of it grants, not paid back [EUR]", "shown": f"{found.grant_eur:,.0f}"},
    ]
    if tail:
        span = f"{tail[0].year}-{tail[-1].year}"
        rows += [
            {
                "what": f"upkeep {span}, base-year prices [EUR]",
                "shown": f"{sum(t.upkeep_eur for t in tail):,.0f}",
            },
            {
                "what": f"renewal {span}, base-year prices [EUR]",
                "shown": f"{sum(t.renewal_eur for t in tail):,.0f}",
            },
            {"what": f"both {span}, nominal [EUR]", "shown": f"{sum(t.nominal_eur for t in tail):,.0f}"},
        ]
    rows += [
        {
            "what": f"{one.name} [EUR]",
            "shown": f"{one.amount_eur:,.0f}"
            + (f" ({one.low_eur:,.0f} to {one.high_eur:,.0f})" if one.high_eur > one.low_eur else "")
            + f" {one.tag}",
        }
        for one in sum_by_measure(found.liabilities, names)
    ]
    columns = (Column("what", "what"), Column("shown", "value", "s"))
    return Table("EU money, and what comes after", columns, tuple(rows))
