"""Rules of access from solving to verifying: the rows that stand beside a plan and go into its problem."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from abatis.barrier.planning import Verdict, verify_plan
from abatis.barrier.sites import Siting
from abatis.model.errors import Fault, InputError
from abatis.model.mesh import Mesh
from abatis.model.plan import Plan
from abatis.model.study import Study
from abatis.people.access_ground import prepare_access
from abatis.people.access_rules import (
    FILE,
    TABLE,
    AccessJudge,
    AccessRow,
    add_access_rows,
    check_access_rows,
    list_access_rules,
    read_access_rows,
)

CHANGED = f"the rows of {FILE} may have been changed, or belong to another plan"


def verify_ruled_plan(plan_folder: Path) -> Verdict:
    """Re-check a kept plan as `verify_plan` does, and its rules of access with it.

    Parameters
    ----------
    plan_folder : STUDY/plans/NAME with plan.json, certificate.json, and access_rows.json where the study
        has rules of access.

    In words: every row is proven anew from the study's roads, no place of the plan breaks a rule, and the
    certificate must fit the problem with exactly these rows.

    Raises
    ------
    InputError : when files are missing or unreadable.
    """
    ruled = (plan_folder / FILE).is_file()

    def state_rows(study: Study, mesh: Mesh, siting: Siting, plan: Plan) -> tuple[Siting, list[str]]:
        judge, rows, reasons = _read_judged_rows(study, mesh, siting, plan_folder)
        if judge is None or reasons:
            return siting, reasons
        chosen = [judge.row_of.get((one.site, one.option), -1) for one in plan.options]
        reasons = check_access_rows(judge, rows, [row for row in chosen if row >= 0])
        return (siting if reasons else _add_rows(siting, rows)), reasons

    verdict = verify_plan(plan_folder, state_rows)
    if ruled and any("made for another problem" in reason for reason in verdict.reasons):
        return replace(verdict, reasons=(*verdict.reasons, CHANGED))
    return verdict


def rule_siting(
    study: Study, mesh: Mesh, siting: Siting, plan_folder: Path
) -> tuple[Siting, AccessJudge | None]:
    """Return the siting with the rows beside a plan in its problem, and the judge of the study's rules.

    Parameters
    ----------
    siting : from `site_study`; it comes back as it is, with None, where the study has no rules of access.

    Raises
    ------
    InputError : the rows are missing, damaged, for other rules, or do not follow from the rules.
    """
    judge, rows, reasons = _read_judged_rows(study, mesh, siting, plan_folder)
    if judge is not None and not reasons:
        reasons = check_access_rows(judge, rows, [])
    if reasons:
        path = str(plan_folder / FILE)
        raise InputError([Fault(reason, path, remedy="solve the study again") for reason in reasons])
    return (siting, None) if judge is None else (_add_rows(siting, rows), judge)


def keeps_rules(judge: AccessJudge, options: Iterable[int]) -> bool:
    """Say whether a set of options (rows) keeps every rule of access."""
    chosen = list(options)
    return not any(len(judge.find_broken(rule, chosen)) for rule in judge.rules)


def _add_rows(siting: Siting, rows: Sequence[AccessRow]) -> Siting:
    return replace(siting, problem=add_access_rows(siting.problem, siting, rows))


def _read_judged_rows(
    study: Study, mesh: Mesh, siting: Siting, plan_folder: Path
) -> tuple[AccessJudge | None, tuple[AccessRow, ...], list[str]]:
    """Return the judge of the study's rules or None, the rows of a plan, and what speaks against them."""
    rules = list_access_rules(study)
    there = (plan_folder / FILE).is_file()
    written, rows = read_access_rows(plan_folder)
    if not rules:
        return None, (), [f"{FILE} is there, but the study has no rules of access"] if there else []
    if not there:
        return None, (), [f"{FILE} is missing, and the study has rules of access"]
    if written != rules:
        return None, (), [f"{FILE} was written for other rules than tables/{TABLE}.csv"]
    return AccessJudge(study, mesh, siting, rules, prepare_access(study, mesh)), rows, []
