"""`abatis split`: several splits of the money, or several plans, side by side under the same draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from abatis.barrier.sites import Siting, forget_watch, site_study
from abatis.model.errors import Fault, InputError
from abatis.model.study import Study
from abatis.people.law import require_lawful
from abatis.programme.outlook import PlanOutlook, describe_outcome
from abatis.programme.risk import Progress, RiskCase, prepare_case, run_draws
from abatis.programme.split import (
    WATCH_EUR_PER_KM,
    Difference,
    Split,
    SplitPlan,
    compare_outcomes,
    plan_split,
    tell_difference,
)
from abatis.programme.split_table import WATCH, mark_splits, read_splits, widen_study
from abatis.show.beside import keep_rows
from abatis.show.risk import RiskSettings, list_draw_faults, list_plan_faults, tabulate_risk
from abatis.show.tables import Column, Table
from abatis.show.workflow import load_study

WORD = "split"


@dataclass(frozen=True)
class SplitSettings:
    """What is compared: plans of the study, or its splits when none is named; draws, processes, seconds.

    `seed` is that of the study when None.
    """

    plans: tuple[str, ...] = ()
    draws: int = 300
    workers: int = 1
    gap: float = 0.02
    time_limit_s: float = 60.0
    seed: int | None = None


def compare_splits(folder: Path, settings: SplitSettings, progress: Progress) -> dict[str, Table]:
    """Compare splits of the money, or plans, and keep the tables as plans/split.json.

    Parameters
    ----------
    folder : study folder with a mesh; with plans when plans are named.
    settings : what is compared.
    progress : callback (stage, share done).

    In words: the first split or plan leads; all live through the same draws, and the first table row says
    which difference matters.

    Raises
    ------
    InputError : fewer than two plans or splits, bad settings, a measure that would be unlawful (the rule is
        named), and all faults of the tables.
    """
    _check_settings(folder, settings)
    study, mesh = load_study(folder)
    if settings.plans:
        require_lawful(study)
        asked = RiskSettings(
            settings.plans, settings.draws, settings.workers, False, "pert", 0, settings.seed
        )
        drawn = tabulate_risk(folder, asked, progress)
        tables = _arrange_plans(drawn)
    else:
        splits = read_splits(study)
        wide = widen_study(study)
        require_lawful(wide)
        # A split buys its own watch: what posts see today is left out.
        siting = forget_watch(wide, mesh, site_study(wide, mesh, progress))
        years = study.first_year + np.arange(study.programme_years)
        seed = study.seed if settings.seed is None else settings.seed
        limit_s = settings.time_limit_s / len(splits)
        bought = []
        for number, split in enumerate(splits):
            progress("what each split buys", number / len(splits))
            bought.append(plan_split(wide, mesh, siting, split, years, settings.gap, limit_s, seed))
        index = (1.0 + study.indexation) ** (years - study.base_year).astype(float)
        plans = [one.plan for one in bought]
        case = prepare_case(wide, mesh, siting, plans, years, index=index)
        outcome = run_draws(case, seed, settings.draws, settings.workers, progress=progress)
        differences = compare_outcomes(case, outcome)
        outlooks = describe_outcome(case, outcome)
        tables = _arrange_splits(study, siting, splits, bought, outlooks, differences, case)
    place = study.folder / "plans"
    place.mkdir(exist_ok=True)
    keep_rows(place, WORD, mark_splits(study), tables)
    return tables


def _check_settings(folder: Path, settings: SplitSettings) -> None:
    faults = list_draw_faults(settings.draws, settings.workers, settings.seed)
    faults += list_plan_faults(folder, settings.plans, "--plans")
    faults += [
        Fault(f"plan '{name}' stands twice", column="--plans", remedy="name every plan once")
        for name in sorted(set(settings.plans))
        if settings.plans.count(name) > 1
    ]
    if len(settings.plans) == 1:
        text = f"names one plan, '{settings.plans[0]}'"
        faults.append(Fault(text, column="--plans", remedy="name two or more: --plans A,B"))
    if not 0 <= settings.gap <= 1:
        faults.append(Fault(f"is {settings.gap:g}", column="--gap", remedy="give a share, 0 to 1"))
    if not settings.time_limit_s >= 0:
        faults.append(Fault(f"is {settings.time_limit_s:g}", column="--time-limit", remedy="give s"))
    if faults:
        raise InputError(faults)


def _arrange_plans(drawn: dict[str, Table]) -> dict[str, Table]:
    """Tables of plans compared: the same as for splits, without money by family."""
    notes = [str(row["note"]) for row in drawn["notes"].rows]
    names = [str(row["plan"]) for row in drawn["plans"].rows]
    years = [
        {"split": name, **{key: value for key, value in row.items() if key in YEAR_KEYS}}
        for name in names
        for row in drawn[f"years_{name}"].rows
    ]
    plans = drawn["plans"]
    return {
        "answer": _table_answer(notes[0]),
        "plans": Table(plans.title, plans.columns, plans.rows),
        "differences": drawn["differences"],
        "years": _table_years(years),
        "notes": _table_notes(notes[1:]),
    }


def _arrange_splits(
    study: Study,
    siting: Siting,
    splits: Sequence[Split],
    bought: Sequence[SplitPlan],
    outlooks: Sequence[PlanOutlook],
    differences: Sequence[Difference],
    case: RiskCase,
) -> dict[str, Table]:
    years = [
        {
            "split": one.plan,
            "year": year.year,
            **{f"held_{part}_h": getattr(year.held_h, part) for part in ("p10", "p50", "p90")},
        }
        for one in outlooks
        for year in one.years
    ]
    return {
        "answer": _table_answer(tell_difference(_name_differences(study, differences))),
        "plans": _table_splits(study, splits, bought, outlooks),
        "differences": _table_differences(study, differences),
        "years": _table_years(years),
        "money": _table_money(study, splits),
        "notes": _table_notes(_list_notes(study, siting, splits, bought, case)),
    }


YEAR_KEYS = ("year", "held_p10_h", "held_p50_h", "held_p90_h")


def _table_answer(sentence: str) -> Table:
    return Table("Which difference matters", (Column("answer", "answer"),), ({"answer": sentence},))


def _table_splits(
    study: Study, splits: Sequence[Split], bought: Sequence[SplitPlan], outlooks: Sequence[PlanOutlook]
) -> Table:
    names = _name_splits(study)
    rows = []
    for split, found, one in zip(splits, bought, outlooks, strict=True):
        watched = found.plan.watched
        rows.append(
            {
                "plan": split.name,
                "name": str(names[split.name]),
                "budget_eur": float(sum(split.money_eur.values())) + split.watch_eur,
                "works": len(found.plan.options),
                "watched": int(watched.sum()),
                "watch_cost_eur": found.watch_cost_eur,
                "value_h": found.value_h,
                "bound_h": found.bound_h,
                "held_p10_h": one.years[-1].held_h.p10,
                "held_p50_h": one.years[-1].held_h.p50,
                "held_p90_h": one.years[-1].held_h.p90,
                "worst_tenth_h": one.worst_tenth_h,
                "cost_p10_eur": one.cost_eur.p10,
                "cost_p50_eur": one.cost_eur.p50,
                "cost_p90_eur": one.cost_eur.p90,
            }
        )
    columns = (
        Column("name", "split"),
        Column("budget_eur", "money [EUR]", ",.0f"),
        Column("works", "works", ",.0f"),
        Column("watched", "of them watched", ",.0f"),
        Column("watch_cost_eur", "watching costs [EUR]", ",.0f"),
        Column("value_h", "likely, all watched [h]", ".2f"),
        Column("bound_h", "at most [h]", ".2f"),
        Column("held_p10_h", "end P10 [h]", ".2f"),
        Column("held_p50_h", "end P50 [h]", ".2f"),
        Column("held_p90_h", "end P90 [h]", ".2f"),
        Column("worst_tenth_h", "worst tenth [h]", ".2f"),
        Column("cost_p50_eur", "works cost P50 [EUR, nominal]", ",.0f"),
    )
    return Table(f"Splits of the money, {outlooks[0].draws} draws", columns, tuple(rows))


def _name_splits(study: Study) -> dict[str, str]:
    table = study.tables["splits"]
    return dict(zip(table["split"], table["name"], strict=True))


def _name_differences(study: Study, differences: Sequence[Difference]) -> list[Difference]:
    """Differences with the names that people read in place of keys."""
    names = _name_splits(study)
    return [replace(one, plan=names[one.plan], against=names[one.against]) for one in differences]


def _table_differences(study: Study, differences: Sequence[Difference]) -> Table:
    parts, names = ("p10", "p50", "p90"), _name_splits(study)
    columns = (
        Column("name", "split"),
        Column("against_name", "against"),
        *(Column(f"last_h_{part}", f"held at the end {part.upper()} [h]", "+.2f") for part in parts),
        *(Column(f"cost_eur_{part}", f"cost {part.upper()} [EUR]", "+,.0f") for part in parts),
        Column("better_share", "share of draws it holds longer", ".2f"),
    )
    rows = tuple(
        {"plan": one.plan, "name": names[one.plan], "against": one.against}
        | {"against_name": names[one.against], "better_share": one.better_share}
        | {
            f"{key}_{part}": getattr(getattr(one, key), part)
            for key in ("last_h", "mean_h", "cost_eur")
            for part in parts
        }
        for one in differences
    )
    return Table("Differences, draw by draw", columns, rows)


def _table_years(rows: Sequence[dict[str, object]]) -> Table:
    columns = (
        Column("split", "split or plan"),
        Column("year", "year", ".0f"),
        *(Column(f"held_{part}_h", f"held {part.upper()} [h]", ".2f") for part in ("p10", "p50", "p90")),
    )
    return Table("Hours by year", columns, tuple(rows))


def _table_money(study: Study, splits: Sequence[Split]) -> Table:
    """Money by family, one row per split, as it stands in splits.csv."""
    table = study.tables["splits"]
    names = dict(zip(table["split"], table["name"], strict=True))
    families = [*splits[0].families, WATCH]
    rows = []
    for split in splits:
        money = {**split.money_eur, WATCH: split.watch_eur}
        of_split = table[table["split"] == split.name]
        rows.append(
            {
                "split": split.name,
                "name": str(names[split.name]),
                **money,
                "total_eur": float(sum(money.values())),
                "tags": " ".join(dict.fromkeys(of_split["tag"])),
                "source": "; ".join(dict.fromkeys(of_split["source"])),
            }
        )
    columns = (
        Column("name", "split"),
        *(Column(one, f"{one} [EUR]", ",.0f") for one in families),
        Column("total_eur", "all [EUR]", ",.0f"),
        Column("tags", "tags"),
        Column("source", "source"),
    )
    told = "; ".join(f"{family}: {' '.join(keys)}" for family, keys in splits[0].families.items())
    return Table("Money by family, prices of the base year", columns, tuple(rows), told)


def _list_notes(
    study: Study, siting: Siting, splits: Sequence[Split], bought: Sequence[SplitPlan], case: RiskCase
) -> list[str]:
    table = study.tables["splits"]
    totals = {sum(one.money_eur.values()) + one.watch_eur for one in splits}
    notes = []
    if len(totals) > 1:
        notes.append("The splits do not have the same money: see the table of money")
    for split, found in zip(splits, bought, strict=True):
        given = sum(split.money_eur.values())
        spent = float(siting.problem.option_cost_eur[found.plan.options].sum())
        if spent < 0.9 * given:
            notes.append(
                f"{split.name}: works use EUR {spent / 1e6:,.1f} million of {given / 1e6:,.1f}; the "
                "search found no more of them that add hours"
            )
    drawn = [one for one in case.inputs.quantities if one.low < one.high]
    placeholders = sum(one.tag == "G" for one in drawn)
    rests = int((table["tag"] == "G").sum())
    notes += [
        (
            f"{placeholders} of {len(drawn)} drawn inputs and {rests} of {len(table)} rows of splits.csv "
            "rest on placeholders (tag G)"
        ),
        "Works follow each other at an even spend over the years; each family stays within its own money",
        "The works of a split have a bound; which sites are watched is chosen by a rule of thumb",
        (
            f"Watching costs EUR {WATCH_EUR_PER_KM:,.0f} per km of site (a price of 2021, F); a barrier that "
            "nobody watches keeps the drawn left_share of its delay"
        ),
        *case.inputs.notes,
    ]
    return notes


def _table_notes(notes: Sequence[str]) -> Table:
    return Table("Notes", (Column("note", ""),), tuple({"note": one} for one in notes))
