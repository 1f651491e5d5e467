"""The study and its plans in words and numbers, each number with unit, source and tag."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from abatis.barrier.options import SiteOption, list_stocked
from abatis.model.errors import InputError
from abatis.model.mesh import Mesh
from abatis.model.plan import BY_HAND, Plan
from abatis.model.study import Study
from abatis.model.words import COVER_WORDS, SEASONS, TAG_MEANINGS
from abatis.show.app.answers.plans import MeasureUse, PlanAnswer, PlanApproach, PlanOption
from abatis.show.app.answers.study import (
    ApproachAnswer,
    PairAnswer,
    PlaceAnswer,
    PlanLine,
    Quantity,
    SourceAnswer,
    StudyAnswer,
    WordAnswer,
)
from abatis.show.app.answers.tables import answer_table
from abatis.show.app.answers.trace import trace_cells
from abatis.show.app.ground_layers import weakest_tag
from abatis.show.app.loaded import KeptPlan, LoadedStudy, Snapshot
from abatis.show.app.saved import read_saved
from abatis.show.tables import Column, Table

SCHEMATIC = "Drawn by hand to show how abatis works; not a survey of the ground."
SEASON_NAMES = {"dry": "dry", "mud": "autumn mud", "frozen": "frozen", "thaw": "spring thaw"}
PROOFS = {
    "optimal": "Proven best; the certificate beside the plan says so, and abatis verify checks it.",
    "gap": "No plan within budget and rules is worth more than the bound; the certificate proves it.",
    BY_HAND: "Made by hand: nothing is proven of it. Only the solver writes a certificate.",
}
STOPPED = "The search was ended early; the bound that it had proven by then holds."


def to_hours(value: float) -> float | None:
    """Return hours as JSON holds them: None for never.

    Examples
    --------
    >>> to_hours(1.5), to_hours(math.inf)
    (1.5, None)
    """
    return float(value) if math.isfinite(value) else None


def describe_study(loaded: LoadedStudy) -> StudyAnswer:
    """Describe the study and list its plans."""
    now = loaded.snapshot()
    study, mesh = now.study, now.mesh
    names = dict(zip(study.tables["vehicles"]["vehicle"], study.tables["vehicles"]["name"], strict=True))
    pairs = now.list_pairs()
    return StudyAnswer(
        name=study.name,
        title=study.title,
        schematic=study.schematic,
        note=SCHEMATIC if study.schematic else "",
        home=list(study.home),
        hostile=list(study.hostile),
        countries=list(mesh.country_codes),
        resolution=study.resolution,
        cell_count=mesh.cell_count,
        bounds=find_bounds(mesh),
        version=now.version,
        seasons=[WordAnswer(key=one, name=SEASON_NAMES[one]) for one in SEASONS],
        vehicles=[WordAnswer(key=str(key), name=str(name)) for key, name in names.items()],
        pairs=[PairAnswer(vehicle=vehicle, season=season) for vehicle, season in pairs],
        approaches=list_approaches(study),
        plans=list_plans(loaded),
        objective=study.objective,
        classes=list(COVER_WORDS),
        tags=dict(TAG_MEANINGS),
        sources=list_sources(study),
        quantities=list_quantities(study),
        faults=list(now.faults),
    )


def find_bounds(mesh: Mesh) -> tuple[float, float, float, float]:
    """Return west, south, east, north of the cells' centres, degrees."""
    values = (mesh.lon.min(), mesh.lat.min(), mesh.lon.max(), mesh.lat.max())
    west, south, east, north = (round(float(one), 5) for one in values)
    return west, south, east, north


def list_approaches(study: Study) -> list[ApproachAnswer]:
    """List the approaches; weights add up to 1."""
    rows = study.tables["approaches"]
    total = float(rows["weight"].sum())
    found = []
    for _, row in rows.iterrows():
        place = study.find_row("places", str(row["objective"]))
        found.append(
            ApproachAnswer(
                key=row["approach"],
                name=row["name"],
                front=row["front"],
                vehicle=row["vehicle"],
                season=row["season"],
                weight=float(row["weight"]) / total,
                objective=PlaceAnswer(
                    key=place["place"], name=place["name"], lon=float(place["lon"]), lat=float(place["lat"])
                ),
                source=row["source"],
                tag=row["tag"],
            )
        )
    return found


def list_sources(study: Study) -> list[SourceAnswer]:
    """List the sources of the study, without addresses of files on this machine."""
    return [
        SourceAnswer(
            layer=str(row["layer"]),
            file=Path(str(row["file"])).name,
            licence=str(row["licence"]),
            date=str(row["date"]),
            source=str(row["source"]),
            tag=str(row["tag"]),
            attribution=str(row["attribution"]),
        )
        for _, row in study.sources.iterrows()
    ]


def list_quantities(study: Study) -> list[Quantity]:
    """Say what the numbers of the ground and of plans are."""
    tables = study.tables
    hours = weakest_tag([*tables["speeds"]["tag"], *tables["measures"]["tag"]])
    origin = {str(row["layer"]): row for _, row in study.sources.iterrows()}

    def name_source(layer: str) -> tuple[str, str]:
        row = origin.get(layer)
        return ("", "") if row is None else (str(row["source"]), str(row["tag"]))

    timed = "computed over the mesh from tables/speeds.csv and tables/measures.csv"
    priced = "quantity x unit cost of tables/measures.csv, prices of the base year"
    cover = next((layer for layer in ("landcover", "landcover_areas", "forest") if layer in origin), "")
    found = [
        ("population", "population", "persons", "people who live in the cell", *name_source("population")),
        (
            "border_km",
            "distance to the border",
            "km",
            "to the nearest hostile ground",
            *name_source("borders"),
        ),
        ("elevation_m", "height", "m", "mean height of the cell", *name_source("elevation")),
        ("protected", "protected nature", "%", "share of the cell", *name_source("protected")),
        ("cover", "land cover", "", "what covers most of the cell", *name_source(cover)),
        ("hours", "time", "h", "least time over the mesh", timed, hours),
        (
            "before_h",
            "arrival without barriers",
            "h",
            "least time from the front to the objective",
            timed,
            hours,
        ),
        ("after_h", "arrival with the plan", "h", "the same with the plan's barriers", timed, hours),
        ("value_h", "value", "h", "weighted sum of arrivals, or the least of them", timed, hours),
        ("bound_h", "no plan can give more", "h", "proven by the certificate", "certificate.json", "D"),
        ("cost_eur", "cost", "EUR", "of all measures", priced, weakest_tag(tables["measures"]["tag"])),
        ("budget_eur", "budget", "EUR", "planned budget lines", *_name_budget(study)),
    ]
    if not found[0][4]:
        places = tables["places"]
        found[0] = (
            *found[0][:4],
            "tables/places.csv, spread over built-up ground",
            weakest_tag(places["tag"]),
        )
    words = ("key", "caption", "unit", "meaning", "source", "tag")
    return [Quantity(**dict(zip(words, one, strict=True))) for one in found]


def _name_budget(study: Study) -> tuple[str, str]:
    lines = study.tables["budget"]
    lines = lines[lines["planned"]]
    return "; ".join(dict.fromkeys(map(str, lines["source"]))), weakest_tag(lines["tag"])


def list_plans(loaded: LoadedStudy) -> list[PlanLine]:
    """List the plans that can be read."""
    lines = []
    for name in loaded.list_plans():
        try:
            lines.append(describe_line(loaded, loaded.read_plan(name)))
        except InputError:
            continue
    return lines


def describe_line(loaded: LoadedStudy, kept: KeptPlan) -> PlanLine:
    """Describe a plan in one line."""
    return PlanLine(**_describe_plan(loaded, kept))


def _describe_plan(loaded: LoadedStudy, kept: KeptPlan) -> dict[str, Any]:
    plan = kept.plan
    folder = loaded.folder / "plans" / kept.name
    saved = read_saved(folder) if plan.status == BY_HAND else None
    proven = plan.status != BY_HAND
    return {
        "name": kept.name,
        "title": saved.title if saved and saved.title else plan.title,
        "status": plan.status,
        "value_h": to_hours(plan.value_h),
        "before_h": to_hours(plan.before_h),
        "bound_h": to_hours(plan.bound_h) if proven else None,
        "gap": to_hours(plan.gap) if proven else None,
        "proven": proven,
        "cost_eur": plan.cost_eur,
        "budget_eur": plan.budget_eur,
        "sites": len(plan.options),
        "version": kept.version,
        "made_by": saved.by if saved else "solver",
        "made_at": saved.at if saved else tell_time(folder / "plan.json"),
        "stale": kept.stale,
    }


def tell_time(path: Path) -> str:
    """Return when a file was written, UTC, to the second."""
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")


def describe_plan(loaded: LoadedStudy, kept: KeptPlan, broken: list[str], rules: list[str]) -> PlanAnswer:
    """Describe a plan in full.

    Parameters
    ----------
    loaded, kept : the study and the plan.
    broken, rules : names of the rules it breaks, and of all rules.
    """
    now, plan = loaded.snapshot(), kept.plan
    options = list_plan_options(now, plan) if not kept.stale else []
    return PlanAnswer(
        **_describe_plan(loaded, kept),
        objective=plan.objective,
        proof=PROOFS.get(plan.status, STOPPED),
        seed=plan.seed,
        seconds=plan.seconds,
        made_with=plan.version,
        watch=describe_watch(plan),
        approaches=[
            PlanApproach(
                key=one.id,
                name=one.name,
                weight=one.weight,
                before_h=to_hours(one.before_h),
                after_h=to_hours(one.after_h),
            )
            for one in plan.approaches
        ],
        options=options,
        rules=rules,
        broken_rules=broken,
        tables={
            "approaches": answer_table(
                tabulate_approaches(plan),
                traces=[
                    trace_cells(
                        "plan", plan.name, "approach", one.id, columns=("weight", "before_h", "after_h")
                    )
                    for one in plan.approaches
                ],
            ),
            "options": answer_table(
                tabulate_options(options),
                traces=[
                    trace_cells(
                        "plan", plan.name, "option", f"{one.site}/{one.option}", columns=("cost_eur",)
                    )
                    for one in options
                ],
            ),
        },
        quantities=list_quantities(now.study),
    )


def describe_watch(plan: Plan) -> str:
    """Say how barriers that nobody sees are counted in a plan."""
    if plan.watch_hash:
        return "Barriers that no post sees keep only a share of their delay (watch result)."
    return "Every barrier counts in full, whether a post sees it or not (no watch result)."


def list_plan_options(now: Snapshot, plan: Plan) -> list[PlanOption]:
    """List the chosen options with their measures."""
    found = []
    for row in now.find_rows(plan):
        option = now.siting.options[row]
        site = int(now.problem.option_site[row])
        found.append(
            PlanOption(
                site=option.site,
                option=option.option,
                label=now.labels[option.site],
                place=now.problem.site_names[site],
                name=option.name,
                cost_eur=option.cost_eur,
                measures=list_measures(now.study, option),
            )
        )
    return found


def list_measures(study: Study, option: SiteOption) -> list[MeasureUse]:
    """List the measures of an option, each with its price and where the price comes from."""
    stocked = list_stocked(study)
    found = []
    for key, quantity in option.quantities:
        row = study.find_row("measures", key)
        found.append(
            MeasureUse(
                measure=key,
                name=str(row["name"]),
                quantity=quantity,
                unit=str(row["unit"]),
                unit_cost_eur=float(row["unit_cost_eur"]),
                paid=key not in stocked,
                source=str(row["source"]),
                tag=str(row["tag"]),
            )
        )
    return found


def tabulate_approaches(plan: Plan) -> Table:
    """Tabulate arrival times without and with a plan."""
    rows = tuple(
        {
            "approach": one.id,
            "name": one.name,
            "weight": one.weight,
            "before_h": one.before_h,
            "after_h": one.after_h,
            "gained_h": one.after_h - one.before_h if np.isfinite(one.before_h) else None,
        }
        for one in plan.approaches
    )
    columns = (
        Column("name", "approach"),
        Column("weight", "weight [share]", ".2f"),
        Column("before_h", "before [h]", ".2f"),
        Column("after_h", "with the plan [h]", ".2f"),
        Column("gained_h", "gained [h]", "+.2f"),
    )
    return Table("Arrival times", columns, rows)


def tabulate_options(options: list[PlanOption]) -> Table:
    """Tabulate the chosen options."""
    columns = (
        Column("label", "site"),
        Column("place", "place"),
        Column("name", "option"),
        Column("cost_eur", "cost [EUR]", ",.0f"),
    )
    rows = tuple(
        {"site": one.site, "option": one.option, "label": one.label, "place": one.place,
         "name": one.name, "cost_eur": one.cost_eur}
        for one in options
    )  # fmt: skip
    return Table("Chosen sites", columns, rows)
