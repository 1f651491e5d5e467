"""Clearance as tables: the hazard register, what it costs, in which order, and how many teams it takes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from abatis.barrier.sites import Siting, site_study
from abatis.model.errors import Fault, InputError
from abatis.model.mesh import Mesh, read_mesh
from abatis.model.plan import Plan, read_plan
from abatis.model.study import Study, hash_mesh_inputs, read_study
from abatis.people.clearance import (
    BELT,
    FIND,
    Capacity,
    ClearanceSettings,
    Liability,
    Range,
    assess_liability,
    find_rates,
    list_terms,
    read_terms,
)
from abatis.people.hazard_files import export_hazards, import_hazards
from abatis.people.hazards import Hazard, read_hazards
from abatis.people.law import check_programme_measures, read_law_rules
from abatis.people.treaties import read_register
from abatis.show.law import read_day
from abatis.show.results import Progress
from abatis.show.tables import Column, Table


@dataclass(frozen=True)
class Clearance:
    """What was found: duties in order, teams needed, and the register behind them."""

    liability: Liability
    capacity: tuple[Capacity, ...]
    hazards: tuple[Hazard, ...]
    terms: list[Any]
    notes: tuple[str, ...]


def choose_day(folder: Path, date_text: str, team: str, plan_name: str) -> date | None:
    """Read the day of the register as it was typed; None, as it stands, when none is given.

    Parameters
    ----------
    folder : study folder. date_text : the day. team, plan_name : what else is asked for.

    Raises
    ------
    InputError : no day of the calendar, no such kind of team, no such plan: all of them at once.
    """
    faults: list[Fault] = []
    day: date | None = None
    try:
        day = read_day(date_text) if date_text else None
    except InputError as error:
        faults += error.faults
    try:
        find_rates(read_terms(read_study(folder)), team)
    except InputError as error:
        faults += error.faults
    # Without a mesh there is no plan to look for: that is told later.
    if plan_name and (folder / "mesh").is_dir():
        try:
            read_plan(folder / "plans" / plan_name)
        except InputError as error:
            faults += error.faults
    if faults:
        raise InputError(faults)
    return day


def compute_clearance(
    folder: Path, settings: ClearanceSettings, plan_name: str, progress: Progress
) -> Clearance:
    """Count what a study, and a plan of it, leave to be cleared.

    Parameters
    ----------
    folder : study folder. settings : how it is counted. plan_name : empty for no plan.
    progress : called with the stage in words and the share done.

    Raises
    ------
    InputError : every fault of study, register, terms or plan.
    """
    study = read_study(folder)
    mesh = _find_mesh(study, needed=bool(plan_name))
    siting: Siting | None = None
    plan: Plan | None = None
    if plan_name and mesh is not None:
        plan = read_plan(folder / "plans" / plan_name)
        siting = site_study(study, mesh, progress)
    progress("clearance", 0.0)
    found = assess_clearance(study, mesh, siting, plan, settings)
    progress("clearance", 1.0)
    return found


def assess_clearance(
    study: Study,
    mesh: Mesh | None = None,
    siting: Siting | None = None,
    plan: Plan | None = None,
    settings: ClearanceSettings | None = None,
) -> Clearance:
    """Count what must be cleared, with terms and notes; parameters and errors as in `assess_liability`."""
    liability, capacity, hazards = assess_liability(study, mesh, siting, plan, settings)
    notes = [*liability.limits]
    if mesh is None:
        notes.append(
            "People near are not counted: there is no mesh of this state of the study (abatis build)."
        )
    notes += [f"Left out: {one}." for one in liability.left_out]
    return Clearance(liability, capacity, hazards, list_terms(study).to_dict("records"), tuple(notes))


def check_civil_tables(study: Study) -> None:
    """Check register, rules, terms and hazards of a study, and that no option would be unlawful.

    Raises
    ------
    InputError : every fault of all of them at once.
    """
    faults: list[Fault] = []
    for read in (read_register, read_law_rules, read_terms, read_hazards):
        try:
            read(study)
        except InputError as error:
            faults += error.faults
    faults = faults or check_programme_measures(study)
    if faults:
        raise InputError(faults)


def _find_mesh(study: Study, needed: bool) -> Mesh | None:
    """Read the mesh when it is there and of this state; a plan needs one."""
    remedy = f"run: abatis build {study.folder}"
    if not needed and not (study.folder / "mesh").is_dir():
        return None
    mesh = read_mesh(study.folder)
    if mesh.study_hash == hash_mesh_inputs(study):
        return mesh
    if needed:
        fault = Fault("was built from another state of the study", str(study.folder / "mesh"), remedy=remedy)
        raise InputError([fault])
    return None


def move_hazards(folder: Path, source: Path | None, target: Path | None) -> Table:
    """Import or export the hazard register and say how many rows went through.

    Raises
    ------
    InputError : every fault; an import that fails changes nothing.
    """
    rows = []
    if source is not None:
        rows += [
            ("read", table, count) for table, count in import_hazards(read_study(folder), source).items()
        ]
    if target is not None:
        found = export_hazards(read_study(folder), target)
        rows += [("written", table, count) for table, count in found.items()]
    columns = (Column("what", "what"), Column("table", "table"), Column("rows", "rows", ",.0f"))
    return Table(
        "Hazard register",
        columns,
        tuple({"what": what, "table": table, "rows": count} for what, table, count in rows),
    )


def describe_clearance(found: Clearance) -> dict[str, Any]:
    """Return the answer as JSON carries it."""
    jobs = found.liability.jobs
    return {
        "liability_eur": asdict(found.liability.cost),
        "discounted_eur": asdict(found.liability.present),
        "finds_eur": asdict(_sum_costs(found.liability, FIND)),
        "belts_eur": asdict(_sum_costs(found.liability, BELT)),
        "teams": {
            "kind": found.liability.team,
            "count": found.liability.teams,
            "start_year": found.liability.start_year,
            "within_years": found.liability.within_years,
            "last_release_year": jobs[-1].release_year if jobs else None,
        },
        "duties": list(_list_jobs(found.liability)),
        "hazards": list(_list_areas(found.hazards)),
        "capacity": [asdict(one) for one in found.capacity],
        "terms": found.terms,
        "notes": list(found.notes),
    }


def _sum_costs(liability: Liability, kind: str) -> Range:
    return sum((job.cost for job in liability.jobs if job.duty.kind == kind), Range(0.0, 0.0, 0.0))


def tabulate_clearance(found: Clearance) -> dict[str, Table]:
    """Return the answer as tables for people."""
    return {
        "totals": _tabulate_totals(found.liability),
        "duties": _tabulate_jobs(found),
        "hazards": _tabulate_areas(found.hazards),
        "capacity": _tabulate_capacity(found.capacity),
    }


def _tabulate_totals(liability: Liability) -> Table:
    parts = (
        ("finds of past wars", _sum_costs(liability, FIND)),
        ("reserve belts, if laid", _sum_costs(liability, BELT)),
        ("together", liability.cost),
        ("together, discounted", liability.present),
    )
    rows = tuple({"what": what, **asdict(cost)} for what, cost in parts)
    columns = (
        Column("what", "what"),
        Column("low", "low [EUR]", ",.0f"),
        Column("mode", "likely [EUR]", ",.0f"),
        Column("high", "high [EUR]", ",.0f"),
    )
    last = f", last release {liability.jobs[-1].release_year}" if liability.jobs else ""
    note = f"{liability.teams} teams ({liability.team}) from {liability.start_year} on{last}."
    return Table("What must be cleared one day", columns, rows, note)


def _list_jobs(liability: Liability) -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "place": job.place,
            "duty": job.duty.key,
            "name": job.duty.name,
            "kind": job.duty.kind,
            "state": job.duty.state,
            "owner": job.duty.owner,
            "area_m2": job.duty.area_m2,
            "low": job.cost.low,
            "mode": job.cost.mode,
            "high": job.cost.high,
            "discounted_mode": job.present.mode,
            "start_year": job.start_year,
            "release_year": job.release_year,
            "points": job.duty.points,
            "beneficiaries": job.duty.beneficiaries,
            "blocked_use": job.duty.blocked_use,
            "people_1_km": job.duty.near[0] if job.duty.near else None,
            "people_5_km": job.duty.near[1] if job.duty.near else None,
            "tag": job.duty.tag,
        }
        for job in liability.jobs
    )


def _tabulate_jobs(found: Clearance) -> Table:
    columns = (
        Column("place", "order", ".0f"),
        Column("name", "area"),
        Column("kind", "kind"),
        Column("owner", "who owns the duty"),
        Column("area_m2", "area [m2]", ",.0f"),
        Column("low", "low [EUR]", ",.0f"),
        Column("mode", "likely [EUR]", ",.0f"),
        Column("high", "high [EUR]", ",.0f"),
        Column("release_year", "released", ".0f"),
        Column("people_1_km", "people in 1 km", ",.0f"),
        Column("people_5_km", "in 5 km", ",.0f"),
        Column("tag", "tag"),
    )
    return Table(
        "In the order in which people wait least",
        columns,
        _list_jobs(found.liability),
        "\n".join(found.notes),
    )


def _list_areas(hazards: tuple[Hazard, ...]) -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "hazard": one.key,
            "name": one.name,
            "state": one.state,
            "kind": one.kind,
            "status": one.status,
            "area_m2": one.account.area_m2,
            "cancelled_m2": one.account.cancelled_m2,
            "reduced_m2": one.account.reduced_m2,
            "cleared_m2": one.account.cleared_m2,
            "remaining_m2": one.account.remaining_m2,
            "owner": one.owner,
            "record": one.record,
            "marked": one.marked,
            "tag": one.tag,
        }
        for one in hazards
    )


def _tabulate_areas(hazards: tuple[Hazard, ...]) -> Table:
    columns = (
        Column("hazard", "hazard"),
        Column("name", "name"),
        Column("kind", "kind"),
        Column("status", "status"),
        Column("area_m2", "area [m2]", ",.0f"),
        Column("cancelled_m2", "cancelled", ",.0f"),
        Column("reduced_m2", "reduced", ",.0f"),
        Column("cleared_m2", "cleared", ",.0f"),
        Column("remaining_m2", "remaining", ",.0f"),
        Column("tag", "tag"),
    )
    return Table("Hazard register", columns, _list_areas(hazards))


def _tabulate_capacity(capacity: tuple[Capacity, ...]) -> Table:
    years = capacity[0].years if capacity else 0
    columns = (
        Column("team", "kind of team"),
        Column("group", "for"),
        Column("area_m2", "area [m2]", ",.0f"),
        Column("teams_low", "teams, best rate", ",.0f"),
        Column("teams_mode", "likely rate", ",.0f"),
        Column("teams_high", "worst rate", ",.0f"),
    )
    return Table(f"Teams to clear within {years} years", columns, tuple(asdict(one) for one in capacity))
