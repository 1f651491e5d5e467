"""The command `avenues`: from a study folder and the name of a plan to tables."""

from __future__ import annotations

from pathlib import Path

from abatis.barrier.sites import site_study
from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.plan import read_plan
from abatis.show.avenue_tables import tabulate_findings
from abatis.show.avenues import AvenueSettings, Progress, compute_findings, state_approaches
from abatis.show.results import check_same_study, find_option_rows
from abatis.show.tables import Table
from abatis.show.workflow import load_study


def list_avenues(
    folder: Path, plan_name: str, settings: AvenueSettings, progress: Progress
) -> dict[str, Table]:
    """Find avenues, shared stretches and chokepoints of a study, and with a plan the effects of its sites.

    Parameters
    ----------
    folder : study folder.
    plan_name : plan in its folder plans/; empty for the ground without barriers alone.
    settings : what is looked for.
    progress : callback (stage, share done).

    Raises
    ------
    InputError : no such plan or approach, a plan of another state of the study.
    """
    study, mesh = load_study(folder)
    if not plan_name:
        findings = compute_findings(mesh, state_approaches(study, mesh), None, settings, progress)
        return tabulate_findings(study, mesh, findings, None)
    plan_folder = folder / "plans" / plan_name
    if not plan_folder.is_dir():
        known = sorted(path.name for path in (folder / "plans").glob("*") if path.is_dir())
        raise InputError(
            [Fault(f"there is no plan '{plan_name}'", column="--plan", remedy=nearest_word(plan_name, known))]
        )
    plan = read_plan(plan_folder)
    check_same_study(study, plan)
    siting = site_study(study, mesh, progress)
    rows = find_option_rows(siting, plan)
    findings = compute_findings(mesh, siting.problem, rows, settings, progress)
    return tabulate_findings(study, mesh, findings, siting)
