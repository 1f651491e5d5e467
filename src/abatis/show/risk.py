"""Tables of risk: bands by year, whether the budget holds, plans under the same draws, what to research."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from abatis.barrier.sites import Siting, site_study
from abatis.ground.tiling.cluster import Cluster
from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.plan import read_plan
from abatis.model.study import Study
from abatis.people.law import require_lawful
from abatis.programme.cluster import ClusterExecutor
from abatis.programme.drawn_works import DatedPlan, date_schedule
from abatis.programme.draws import SHAPES, Shape, list_seed_faults
from abatis.programme.kept import Asked, find_schedule, mark_draws, read_schedule
from abatis.programme.outlook import (
    UPLIFT_SHARES,
    PlanOutlook,
    compute_uplift,
    describe_outcome,
    read_reference_class,
)
from abatis.programme.risk import Outcome, Progress, RiskCase, prepare_case, run_draws
from abatis.programme.sensitivity import OUTPUTS, InputShare, rank_inputs, tell_first
from abatis.programme.split import Difference, compare_outcomes, tell_difference
from abatis.programme.terms import Terms, read_terms
from abatis.show.results import check_same_study
from abatis.show.tables import Column, Table
from abatis.show.workflow import load_study


@dataclass(frozen=True)
class _LaidOut:
    """A plan with its years, its terms, the mark of what its draws rest on, and notes."""

    plan: DatedPlan
    terms: Terms
    mark: str
    notes: list[str]


@dataclass(frozen=True)
class RiskSettings:
    """How risk is drawn: plans (the first leads), draws, workers, whether speeds are drawn, shape.

    `base_draws` of the sensitivity, 0 for none; `seed` that of the study when None; `cluster` true for Dask,
    `scheduler` the address of a running one, empty for a local cluster.
    """

    plans: tuple[str, ...]
    draws: int
    workers: int
    with_speeds: bool
    shape: str
    base_draws: int
    seed: int | None
    cluster: bool = False
    scheduler: str = ""


def tabulate_risk(folder: Path, settings: RiskSettings, progress: Progress) -> dict[str, Table]:
    """Draw the risk of one or several plans of a study and put it into tables.

    Parameters
    ----------
    folder : study folder with a mesh and plans.
    settings : what to draw.
    progress : callback (stage, share done).

    In words: each plan follows the schedule that `abatis programme` shows (schedule.json beside it, solved
    first when missing); draws slip and re-cost it, the same draws for every plan.

    Raises
    ------
    InputError : no draws or workers, an unknown shape, plans that are missing or stand twice, a measure that
        would be unlawful (the rule is named), and all faults of the study's tables.
    """
    _check_settings(folder, settings)
    study, mesh = load_study(folder)
    require_lawful(study)
    siting = site_study(study, mesh, progress)
    laid_out = [_lay_out(study, siting, name, progress) for name in settings.plans]
    dated, notes = [one.plan for one in laid_out], [note for one in laid_out for note in one.notes]
    terms = laid_out[0].terms
    progress("compressing the ground", 0.0)
    shape: Shape = "triangular" if settings.shape == "triangular" else "pert"
    case = prepare_case(study, mesh, siting, dated, terms.years, settings.with_speeds, shape, terms.index)
    seed = study.seed if settings.seed is None else settings.seed
    outcome = _run(case, seed, settings, progress)
    outlooks = describe_outcome(case, outcome)
    marks = [one.mark for one in laid_out]
    tables = {"plans": _table_plans(outlooks, marks), "uplift": _table_uplift(study, siting, dated)}
    tables |= {f"years_{one.plan}": _table_years(one) for one in outlooks}
    if len(dated) > 1:
        differences = compare_outcomes(case, outcome)
        tables["differences"] = _table_differences(differences)
        notes.insert(0, tell_difference(differences))
    if settings.base_draws:
        shares = rank_inputs(case, seed, settings.base_draws, 0, progress)
        tables["inputs"] = _table_inputs(shares)
        notes = [*(tell_first(shares, output) for output in OUTPUTS), *notes]
    tables["notes"] = Table(
        "Notes", (Column("note", ""),), tuple({"note": one} for one in _note(case, notes))
    )
    return tables


def list_plan_faults(folder: Path, names: Sequence[str], column: str) -> list[Fault]:
    """List every plan of an option that the study does not have.

    Parameters
    ----------
    folder : study folder. names : names of plans. column : the option that names them.
    """
    known = sorted(path.parent.name for path in (folder / "plans").glob("*/plan.json"))
    none = f"make a plan with: abatis solve {folder}"
    if not (folder / "study.toml").is_file():
        # Where there is no study, that is the fault to name.
        return []
    return [
        Fault(
            f"there is no plan '{name}'", column=column, remedy=nearest_word(name, known) if known else none
        )
        for name in dict.fromkeys(names)
        if name not in known
    ]


def list_draw_faults(draws: int, workers: int, seed: int | None) -> list[Fault]:
    """List what is wrong with the number of draws, who draws them, and their seed, each with its option."""
    faults = []
    if draws < 1:
        faults.append(Fault(f"is {draws}", column="--draws", remedy="ask for at least 1 draw"))
    if workers < 1:
        faults.append(Fault(f"is {workers}", column="--workers", remedy="ask for at least 1"))
    return faults + list_seed_faults(seed)


def _check_settings(folder: Path, settings: RiskSettings) -> None:
    faults = list_draw_faults(settings.draws, settings.workers, settings.seed)
    faults += list_plan_faults(folder, settings.plans[:1], "--plan")
    faults += list_plan_faults(folder, settings.plans[1:], "--against")
    faults += [
        Fault(f"plan '{name}' stands twice", column="--against", remedy="name every plan once")
        for name in sorted(set(settings.plans))
        if settings.plans.count(name) > 1
    ]
    if settings.shape not in SHAPES:
        known = nearest_word(settings.shape, SHAPES)
        faults.append(Fault(f"'{settings.shape}' is no shape", column="--shape", remedy=known or "pert"))
    if settings.scheduler and not settings.cluster:
        faults.append(Fault("needs --cluster", column="--scheduler", remedy="add --cluster"))
    if not settings.plans:
        faults.append(Fault("no plan is named", column="--plan"))
    if settings.base_draws == 1 or settings.base_draws < 0:
        faults.append(Fault(f"is {settings.base_draws}", column="--sensitivity", remedy="ask for 2 or more"))
    if faults:
        raise InputError(faults)


def _lay_out(study: Study, siting: Siting, name: str, progress: Progress) -> _LaidOut:
    """The plan with the schedule kept beside it; where none is kept, one is solved and kept."""
    place = study.folder / "plans" / name
    plan = read_plan(place)
    check_same_study(study, plan)
    kept = read_schedule(place)
    asked = Asked(None, study.gap, study.time_limit_s, study.seed) if kept is None else kept.asked
    terms = read_terms(study, plan, siting, asked.fixed, asked.named_budget)
    schedule = find_schedule(place, plan, siting.problem, terms, asked, True, progress)
    left_out = int((schedule.start_year < 0).sum())
    notes = [f"{name}: {left_out} options never start in its schedule"] if left_out else []
    return _LaidOut(date_schedule(name, terms, schedule), terms, mark_draws(study, schedule), notes)


def _run(case: RiskCase, seed: int, settings: RiskSettings, progress: Progress) -> Outcome:
    if not settings.cluster:
        return run_draws(case, seed, settings.draws, settings.workers, progress=progress)
    with Cluster(settings.scheduler, settings.workers) as cluster:
        executor = ClusterExecutor(cluster.client)
        return run_draws(case, seed, settings.draws, settings.workers, executor, progress)


def _table_plans(outlooks: Sequence[PlanOutlook], marks: Sequence[str]) -> Table:
    columns = (
        Column("plan", "plan"),
        Column("cost_p10_eur", "cost P10 [EUR]", ",.0f"),
        Column("cost_p50_eur", "P50 [EUR]", ",.0f"),
        Column("cost_p90_eur", "P90 [EUR]", ",.0f"),
        Column("budget_eur", "budget [EUR]", ",.0f"),
        Column("budget_holds", "chance it holds", ".2f"),
        Column("mean_h", "held at the end, mean [h]", ".2f"),
        Column("worst_tenth_h", "worst tenth [h]", ".2f"),
        Column("late_p50_eur", "after the last year P50 [EUR]", ",.0f"),
    )
    rows = tuple(
        {
            "plan": one.plan,
            "cost_p10_eur": one.cost_eur.p10,
            "cost_p50_eur": one.cost_eur.p50,
            "cost_p90_eur": one.cost_eur.p90,
            "budget_eur": one.budget_eur,
            "budget_holds": one.budget_holds,
            "mean_h": one.mean_h,
            "worst_tenth_h": one.worst_tenth_h,
            "late_p50_eur": one.late_eur.p50,
            "mark": mark,
        }
        for one, mark in zip(outlooks, marks, strict=True)
    )
    return Table(f"Risk, {outlooks[0].draws} draws (nominal euros)", columns, rows)


def _table_years(outlook: PlanOutlook) -> Table:
    columns = [Column("year", "year", ".0f")]
    for key, caption, style in (("held", "held [h]", ".2f"), ("spent", "spent [EUR]", ",.0f")):
        unit = "h" if key == "held" else "eur"
        columns += [
            Column(f"{key}_{part}_{unit}", f"{caption} {part.upper()}", style)
            for part in ("p10", "p50", "p90")
        ]
    columns.append(Column("budget_holds", "chance the money so far suffices", ".2f"))
    rows = tuple(
        {"year": one.year, "budget_holds": one.budget_holds}
        | {f"held_{part}_h": getattr(one.held_h, part) for part in ("p10", "p50", "p90")}
        | {f"spent_{part}_eur": getattr(one.spent_eur, part) for part in ("p10", "p50", "p90")}
        for one in outlook.years
    )
    return Table(f"{outlook.plan} by year", tuple(columns), rows)


def _table_uplift(study: Study, siting: Siting, plans: Sequence[DatedPlan]) -> Table:
    """The outside view: what the plans would cost if they ended like the published cases."""
    cases = read_reference_class()
    ratios = [one.ratio for one in cases]
    columns = (
        Column("plan", "plan"),
        Column("share", "share of the cases covered", ".1f"),
        Column("uplift", "factor", ".2f"),
        Column("cost_eur", f"likely cost x factor [EUR of {study.base_year}]", ",.0f"),
        Column("within_budget", "within the budget"),
    )
    rows = []
    for plan in plans:
        likely = float(siting.problem.option_cost_eur[plan.options].sum())
        for share in UPLIFT_SHARES:
            factor = compute_uplift(ratios, share)
            cost = likely * factor
            rows.append(
                {
                    "plan": plan.name,
                    "share": share,
                    "uplift": factor,
                    "cost_eur": cost,
                    "within_budget": bool(cost <= plan.total_budget_eur),
                }
            )
    told = "; ".join(f"{one.case} x{one.ratio:g} ({one.tag})" for one in cases)
    return Table("If it ended like published overruns", columns, tuple(rows), f"few and mixed cases: {told}")


def _table_differences(differences: Sequence[Difference]) -> Table:
    columns = [Column("plan", "plan"), Column("against", "against")]
    figures = (("last_h", "held at the end [h]", ".2f"), ("mean_h", "mean over the years [h]", ".2f"))
    for key, caption, style in (*figures, ("cost_eur", "cost [EUR]", ",.0f")):
        columns += [
            Column(f"{key}_{part}", f"{caption} {part.upper()}", style) for part in ("p10", "p50", "p90")
        ]
    columns.append(Column("better_share", "share of draws it holds longer", ".2f"))
    rows = tuple(
        {"plan": one.plan, "against": one.against, "better_share": one.better_share}
        | {
            f"{key}_{part}": getattr(getattr(one, key), part)
            for key in ("last_h", "mean_h", "cost_eur")
            for part in ("p10", "p50", "p90")
        }
        for one in differences
    )
    return Table("Differences, draw by draw", tuple(columns), rows)


def _table_inputs(shares: Sequence[InputShare]) -> Table:
    columns = (
        Column("output", "spread of"),
        Column("group", "input"),
        Column("first", "alone [share]", ".2f"),
        Column("first_error", "+-", ".2f"),
        Column("total", "with others [share]", ".2f"),
        Column("total_error", "+-", ".2f"),
        Column("tags", "tags"),
    )
    rows = tuple(
        {
            "output": one.output,
            "group": one.group,
            "first": one.first,
            "first_error": one.first_error,
            "total": one.total,
            "total_error": one.total_error,
            "tags": list(one.tags),
        }
        for one in shares
        if one.total > 0
    )
    return Table("Which input makes the spread (Sobol)", columns, rows)


def _note(case: RiskCase, notes: Sequence[str]) -> list[str]:
    placeholders = [one for one in case.inputs.quantities if one.tag == "G" and one.low < one.high]
    drawn = [one for one in case.inputs.quantities if one.low < one.high]
    told = f"{len(placeholders)} of {len(drawn)} drawn inputs rest on placeholders (tag G)"
    return [*notes, *case.inputs.notes, told]
