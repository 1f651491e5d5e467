"""Around a plan in tables: why its sites, plans nearly as good, and the curve of hours against cost."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from abatis.barrier.curve import CurvePoint, measure_slopes, trace_curve, trace_front
from abatis.barrier.explain import find_alternatives, rate_sites
from abatis.barrier.network import Network, build_network
from abatis.barrier.planning import find_study_folder
from abatis.barrier.sites import Siting, site_study
from abatis.model.errors import Fault, InputError
from abatis.model.mesh import Mesh
from abatis.model.plan import Plan, read_plan
from abatis.model.storage import write_text_whole
from abatis.model.study import Study
from abatis.people.access_plan import keeps_rules, rule_siting
from abatis.people.access_rules import AccessJudge
from abatis.people.impact import count_people_beside
from abatis.people.law import require_lawful
from abatis.show.results import Progress, check_same_study, find_option_rows, label_sites
from abatis.show.ruled import RuledTracer, prepare_tracer
from abatis.show.tables import Column, Table
from abatis.show.workflow import choose_settings, load_study

MILLION = 1e6
CURVE_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
FRONT_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
SHARP = 0.1
CURVE_COLUMNS = (
    Column("budget_eur", "budget [EUR]", ",.0f"),
    Column("cost_eur", "cost [EUR]", ",.0f"),
    Column("land_take_m2", "land take [m2]", ",.0f"),
    Column("sites", "sites", ",.0f"),
    Column("value_h", "value [h]", ",.3f"),
    Column("bound_h", "at most [h]", ",.3f"),
    Column("gap_percent", "gap [%]", ",.2f"),
    Column("next_million_h", "next million buys [h]", ",.4f"),
    Column("next_million_low_h", "at least [h]", ",.4f"),
    Column("next_million_high_h", "at most [h]", ",.4f"),
    Column("on_front", "on the front"),
)
LAND_COLUMNS = (Column("land_limit_m2", "land take, at most [m2]", ",.0f"), *CURVE_COLUMNS[:7])
PEOPLE_COLUMNS = (
    Column("people_limit", "people near sites, at most", ",.0f"),
    Column("people_near", "people near sites", ",.0f"),
    *CURVE_COLUMNS[:7],
)
PEOPLE_NOTE = (
    "People near a site are those of the home cells on both sides of its closed edges, within about one cell "
    "of the work. Who lives near two sites counts twice."
)
REPLACEMENT_NOTE = (
    " Rules of access: replacements keep the rows found for this plan; a replacement may break a rule "
    "elsewhere, and then more is lost."
)


@dataclass(frozen=True)
class WhySettings:
    """What to explain of a plan: one site or all (empty), how many other plans, the hours they may lose."""

    site: str = ""
    alternatives: int = 3
    loss_share: float = 0.02
    time_limit_s: float = 120.0


def explain_plan(folder: Path, settings: WhySettings, progress: Progress) -> dict[str, Table]:
    """Rate the sites of a plan, and find other plans nearly as good.

    Parameters
    ----------
    folder : plan folder STUDY/plans/NAME.
    settings : what to explain; half the time goes to the sites, half to the other plans.
    progress : callback (stage, share done).

    Returns
    -------
    Table `sites`, and table `alternatives` unless one site was asked for or no alternative.

    Raises
    ------
    InputError : no plan, a plan of another state of the study, or a site it does not choose.
    """
    plan = read_plan(folder)
    study, mesh = load_study(find_study_folder(folder))
    check_same_study(study, plan)
    siting, judge = rule_siting(study, mesh, site_study(study, mesh, progress), folder)
    chosen = np.array(find_option_rows(siting, plan), np.int32)
    network = build_network(siting.problem)
    key = _find_site(siting, settings.site)
    both = not settings.site and settings.alternatives > 0
    limit_s = settings.time_limit_s / 2 if both else settings.time_limit_s
    ratings = rate_sites(
        siting.problem, chosen, plan.budget_eur, plan.bound_h, [key] if key else [],
        time_limit_s=limit_s, seed=plan.seed, progress=progress, network=network,
    )  # fmt: skip
    labels = label_sites(siting)
    rows = tuple(
        {
            "label": labels[one.site],
            **{word: getattr(one, word) for word in ("site", "name", "option")},
            "cost_eur": one.freed_eur,
            "removal_loss_h": one.removal_loss_h,
            "replacement_low_h": one.replacement_low_h,
            "replacement_high_h": one.replacement_high_h,
            "replaceable": one.replacement_low_h < math.inf,
            "broken": list(one.broken),
            "instead": [labels[site] for site in one.instead],
            "words": one.describe(),
        }
        for one in ratings
    )
    tables = {"sites": _tabulate_sites(plan, rows, judge)}
    if both:
        tables["alternatives"] = _tabulate_alternatives(
            siting, network, plan, chosen, settings, limit_s, progress, judge
        )
    return tables


def _find_site(siting: Siting, word: str) -> str:
    """Turn a label or a key of a site into its key; an unknown word stays and is refused later."""
    by_label = {label: key for key, label in label_sites(siting).items()}
    return by_label.get(word, word)


def _tabulate_sites(plan: Plan, rows: tuple[dict[str, Any], ...], judge: AccessJudge | None) -> Table:
    columns = (
        Column("label", "site"),
        Column("name", "place"),
        Column("cost_eur", "cost [EUR]", ",.0f"),
        Column("removal_loss_h", "lost without it [h]", ",.3f"),
        Column("replacement_low_h", "after replacing, at least [h]", ",.3f"),
        Column("replacement_high_h", "at most [h]", ",.3f"),
        Column("words", "in words"),
    )
    note = (
        "Lost without it: the site alone is left out. After replacing: its money may be spent anywhere else "
        f"within budget and rules. The losses of two sites do not add up. {_say_sharpness(rows)}"
    )
    note += REPLACEMENT_NOTE if judge is not None else ""
    return Table(f"Why the sites of plan {plan.name}", columns, rows, note)


def _say_sharpness(rows: Sequence[dict[str, Any]]) -> str:
    """Say how many sites have a narrow bracket, and where the time went."""
    sharp = sum(
        not row["replaceable"]
        or row["replacement_high_h"] - row["replacement_low_h"] <= max(SHARP * row["removal_loss_h"], 1e-6)
        for row in rows
    )
    if sharp == len(rows):
        return ""
    if len(rows) == 1:
        return f"It is not known to within {100 * SHARP:g} % of its loss: a longer --time-limit narrows it."
    return (
        f"{sharp} of {len(rows)} sites are known to within {100 * SHARP:g} % of their loss; the time went to "
        "those that are hardest to replace first, and a longer --time-limit narrows the others."
    )


def _tabulate_alternatives(
    siting: Siting,
    network: Network,
    plan: Plan,
    chosen: np.ndarray,
    settings: WhySettings,
    limit_s: float,
    progress: Progress,
    judge: AccessJudge | None,
) -> Table:
    found = find_alternatives(
        siting.problem, chosen, plan.budget_eur, settings.alternatives, settings.loss_share, limit_s,
        plan.seed, progress, network,
    )  # fmt: skip
    others = [one for one in found if judge is None or keeps_rules(judge, one.chosen.tolist())]
    labels = label_sites(siting)
    rows = tuple(
        {
            "plan": number,
            "value_h": one.value_h,
            "loss_h": one.loss_h,
            "cost_eur": one.cost_eur,
            "land_take_m2": measure_land(siting, one.chosen),
            "sites": len(one.chosen),
            "shared_percent": 100 * one.shared_share,
            "fewest_proven": one.proven,
            "chosen": [
                {"site": siting.options[o].site, "label": labels[siting.options[o].site],
                 "option": siting.options[o].option}
                for o in one.chosen
            ],
        }
        for number, one in enumerate(others, 1)
    )  # fmt: skip
    columns = (
        Column("plan", "alternative", ",.0f"),
        Column("value_h", "value [h]", ",.3f"),
        Column("loss_h", "less than the plan [h]", ",.3f"),
        Column("cost_eur", "cost [EUR]", ",.0f"),
        Column("land_take_m2", "land take [m2]", ",.0f"),
        Column("sites", "sites", ",.0f"),
        Column("shared_percent", "sites shared with the plan [%]", ",.0f"),
        Column("fewest_proven", "fewest proven"),
    )
    share = 100 * settings.loss_share
    note = (
        f"Plans that lose at most {share:g} % of the value and share as few sites as possible with the plan "
        "and with each other. --json lists their sites."
    )
    if judge is not None:
        note += f" Left out because they break rules of access: {len(found) - len(others)}."
    return Table("Other plans nearly as good", columns, rows, note)


def measure_land(siting: Siting, chosen: np.ndarray) -> float:
    """Land that some options take together, m2."""
    return math.fsum(siting.options[option].land_take_m2 for option in chosen)


@dataclass(frozen=True)
class CurveSettings:
    """What to trace: budgets in EUR (empty: shares of the planned one), which fronts too, gap, seconds."""

    budgets_eur: tuple[float, ...] = ()
    land: bool = False
    people: bool = False
    gap: float | None = None
    time_limit_s: float = 300.0
    seed: int | None = None


def read_budgets(text: str) -> tuple[float, ...]:
    """Read budgets written one behind the other with commas.

    Raises
    ------
    InputError : every part that is no amount of at least 0.

    Examples
    --------
    >>> read_budgets("20e6, 50e6")
    (20000000.0, 50000000.0)
    """
    budgets, faults = [], []
    for part in filter(None, (one.strip() for one in text.split(","))):
        try:
            amount = float(part)
        except ValueError:
            amount = math.nan
        if math.isfinite(amount) and amount >= 0:
            budgets.append(amount)
        else:
            remedy = "give EUR, at least 0, such as 20e6,50e6"
            faults.append(Fault(f"'{part}' is no budget", column="--budgets", remedy=remedy))
    if faults:
        raise InputError(faults)
    return tuple(budgets)


def trace_study(folder: Path, settings: CurveSettings, progress: Progress) -> dict[str, Table]:
    """Trace hours against budget, and against land take or people near sites when asked.

    Writes plans/curve.csv, plans/land.csv and plans/people.csv.

    Parameters
    ----------
    folder : study folder with a mesh.
    settings : what to trace; the time is shared out evenly.
    progress : callback (stage, share done).

    Returns
    -------
    Table `curve`, and tables `land` and `people` when asked for.

    Raises
    ------
    InputError : a faulty study or setting, or a measure that would be unlawful.
    """
    study, mesh = load_study(folder)
    require_lawful(study)
    chosen = choose_settings(study, "curve", None, settings.gap, settings.time_limit_s, settings.seed)
    planned_eur = chosen.budget_eur
    budgets = settings.budgets_eur or tuple(share * planned_eur for share in CURVE_SHARES)
    siting = site_study(study, mesh, progress)
    network = build_network(siting.problem)
    limit_s = settings.time_limit_s / (1 + settings.land + settings.people)
    tracer = prepare_tracer(study, mesh, siting)
    points = tracer.trace(
        lambda problem, seconds: trace_curve(
            problem, budgets, chosen.gap, seconds, chosen.seed, progress, network
        ),
        limit_s,
    )
    rows = _describe_curve(siting, points)
    tables = {"curve": Table("Hours against budget", CURVE_COLUMNS, rows, _say_next_million(rows))}
    _write_table(study, "curve.csv", CURVE_COLUMNS, rows)
    front = _Front(tracer, network, points[-1], max(budgets), chosen.gap, limit_s, chosen.seed, progress)
    with_budget = f"with a budget of EUR {max(budgets):,.0f}"
    if settings.land:
        land_m2 = np.array([option.land_take_m2 for option in siting.options])
        rows = front.trace(land_m2, "land_limit_m2")
        tables["land"] = Table(f"Hours against land take {with_budget}", LAND_COLUMNS, rows)
        _write_table(study, "land.csv", LAND_COLUMNS, rows)
    if settings.people:
        rows = front.trace(count_people(mesh, study, siting), "people_limit", "people_near")
        title = f"Hours against people near sites {with_budget}"
        tables["people"] = Table(title, PEOPLE_COLUMNS, rows, PEOPLE_NOTE)
        _write_table(study, "people.csv", PEOPLE_COLUMNS, rows)
    return tables


def count_people(mesh: Mesh, study: Study, siting: Siting) -> np.ndarray:
    """Count the people beside each option's site, float64[O]: those of the home cells along its edges."""
    home = mesh.mask_countries(study.home)
    near = {site.key: count_people_beside(mesh, home, site) for site in siting.sites}
    return np.array([near[option.site] for option in siting.options])


def _describe_point(siting: Siting, point: CurvePoint) -> dict[str, Any]:
    if point.chosen is None:
        bound_h = None if math.isinf(point.bound_h) else point.bound_h
        return {"value_h": None, "bound_h": bound_h, "on_front": False}
    spread = point.bound_h - point.value_h
    return {
        "cost_eur": point.cost_eur,
        "land_take_m2": measure_land(siting, point.chosen),
        "sites": len(point.chosen),
        "value_h": point.value_h,
        "bound_h": point.bound_h,
        "gap_percent": 100 * spread / abs(point.value_h) if point.value_h else 0.0,
        "chosen": [
            {"site": siting.options[o].site, "option": siting.options[o].option} for o in point.chosen
        ],
    }


def _describe_curve(siting: Siting, points: Sequence[CurvePoint]) -> tuple[dict[str, Any], ...]:
    slopes = {slope.from_limit: slope for slope in measure_slopes(points, MILLION)}
    rows = []
    for point in points:
        slope = slopes.get(point.limit)
        rows.append(
            {
                "budget_eur": point.limit,
                **_describe_point(siting, point),
                "next_million_h": slope.found_h if slope else None,
                "next_million_low_h": slope.low_h if slope else None,
                "next_million_high_h": slope.high_h if slope else None,
            }
        )
    return mark_front(rows)


def mark_front(rows: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Mark the plans that no other one beats: none is worth as much for no more money and land.

    Examples
    --------
    >>> plans = [{"value_h": 2.0, "cost_eur": 5.0, "land_take_m2": 9.0}]
    >>> plans += [{"value_h": 2.0, "cost_eur": 6.0, "land_take_m2": 9.0}]
    >>> [row["on_front"] for row in mark_front(plans)]
    [True, False]
    """

    def rank(row: dict[str, Any]) -> tuple[float, float, float]:
        return -row["value_h"], row["cost_eur"], row["land_take_m2"]

    known = [rank(row) for row in rows if row["value_h"] is not None]

    def is_beaten(one: tuple[float, float, float]) -> bool:
        return any(other != one and all(a <= b for a, b in zip(other, one, strict=True)) for other in known)

    return tuple({**row, "on_front": row["value_h"] is not None and not is_beaten(rank(row))} for row in rows)


def _say_next_million(rows: Sequence[dict[str, Any]]) -> str:
    """Say for the last step but one what a million more buys."""
    known = [row for row in rows if row["next_million_h"] is not None]
    if not known:
        return ""
    row = known[-1]
    low_min, high_min = 60 * row["next_million_low_h"], 60 * row["next_million_high_h"]
    return (
        f"From a budget of EUR {row['budget_eur']:,.0f} on, an extra million buys between {low_min:.1f} and "
        f"{high_min:.1f} minutes, spread evenly over the step."
    )


@dataclass(frozen=True)
class _Front:
    """Traces hours against something else that plans of one budget use; `free` is the plan without limit."""

    tracer: RuledTracer
    network: Network
    free: CurvePoint
    budget_eur: float
    gap: float
    limit_s: float
    seed: int
    progress: Progress

    def trace(self, amounts: np.ndarray, limit_key: str, amount_key: str = "") -> tuple[dict[str, Any], ...]:
        """Trace from none of the amounts float64[O] to what the free plan uses."""
        free = self.free.chosen
        most = math.fsum(amounts if free is None else amounts[free])
        limits = [share * most for share in FRONT_SHARES]
        points = self.tracer.trace(
            lambda problem, seconds: trace_front(
                problem, self.budget_eur, amounts, limits, self.gap, seconds, self.seed, self.progress,
                self.network, self.free,
            ),
            self.limit_s,
        )  # fmt: skip
        rows = []
        for point in points:
            row = {
                limit_key: point.limit,
                "budget_eur": self.budget_eur,
                **_describe_point(self.tracer.siting, point),
            }
            if amount_key and point.chosen is not None:
                row[amount_key] = math.fsum(amounts[point.chosen])
            rows.append(row)
        return tuple(rows)


def _write_table(study: Study, name: str, columns: Sequence[Column], rows: Sequence[dict[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.key for column in columns])
    writer.writerows([["" if row.get(c.key) is None else row[c.key] for c in columns] for row in rows])
    write_text_whole(study.folder / "plans" / name, text.getvalue())
