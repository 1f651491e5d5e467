"""From a solution to a plan that can be kept, and back: a kept plan checked again."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from abatis import __version__
from abatis.barrier.arrivals import measure_arrivals
from abatis.barrier.certificate import check_certificate
from abatis.barrier.levels import Levels
from abatis.barrier.sites import Siting, site_study
from abatis.barrier.solve import ROUNDING, Solution, gap_of
from abatis.model.errors import Fault, InputError
from abatis.model.mesh import Mesh, read_mesh
from abatis.model.plan import ApproachResult, ChosenOption, Plan, Problem, add_delays, parse_object, read_plan
from abatis.model.study import Study, hash_mesh_inputs, hash_study, read_study
from abatis.model.watched import check_watch_result, hash_watched

CLOSE = 1e-9
STATUSES = ("optimal", "gap", "time_limit", "interrupted", "rounding")
OTHER_MESH = "the mesh was built from another state of the study: abatis build makes it anew"
# Returns the siting with rules of a room above in its problem, and every reason why they do not hold.
StateRules = Callable[[Study, Mesh, Siting, Plan], tuple[Siting, list[str]]]


@dataclass(frozen=True)
class Verdict:
    """Outcome of a verification: what was checked, and every reason why it does not hold."""

    folder: Path
    reasons: tuple[str, ...]
    paths: int
    leaves: int

    @property
    def holds(self) -> bool:
        """True when nothing speaks against the plan."""
        return not self.reasons


def make_plan(study: Study, siting: Siting, solution: Solution, name: str, seed: int) -> Plan:
    """Write a solution down as a plan.

    Parameters
    ----------
    study : the study the problem was built from.
    siting : its lines, sites and options; `siting.problem` is the one that was solved.
    solution : the solver's answer.
    name : name of the plan (its folder under plans/).
    seed : the seed that was used.
    """
    problem = solution.problem
    options = list_chosen(problem, siting, solution.chosen)
    approaches = list_arrivals(problem, solution.before_h, solution.after_h)
    before = [one.before_h for one in approaches]
    weighted = sum(one.weight * one.before_h for one in approaches)
    return Plan(
        name=name,
        title=study.title,
        objective=problem.objective,
        status=solution.status,
        value_h=solution.value_h,
        before_h=min(before) if problem.objective == "minimum" else weighted,
        bound_h=solution.bound_h,
        gap=solution.gap,
        cost_eur=solution.cost_eur,
        budget_eur=solution.budget_eur,
        approaches=approaches,
        options=options,
        study_hash=hash_study(study),
        seed=seed,
        seconds=round(solution.seconds, 3),
        version=__version__,
        watch_hash=hash_watched(study.folder),
    )


def find_study_folder(plan_folder: Path) -> Path:
    """Return the study a plan folder belongs to: STUDY/plans/NAME.

    Raises
    ------
    InputError : when the folder does not lie inside a study.
    """
    folder = plan_folder.resolve().parent.parent
    if not (folder / "study.toml").is_file():
        raise InputError(
            [Fault("does not lie in STUDY/plans/NAME", str(plan_folder), remedy="name the plan's own folder")]
        )
    return folder


def verify_plan(plan_folder: Path, state_rules: StateRules | None = None) -> Verdict:
    """Re-check a kept plan from the study's own files, without the solver.

    Parameters
    ----------
    plan_folder : STUDY/plans/NAME with plan.json and certificate.json.
    state_rules : adds the rules that a room above put into the problem; none when left out.

    Returns
    -------
    The verdict; `reasons` is empty when plan, certificate and study agree.

    Raises
    ------
    InputError : when files are missing or unreadable.
    """
    plan = read_plan(plan_folder)
    certificate = read_certificate(plan_folder / "certificate.json")
    study = read_study(find_study_folder(plan_folder))
    reasons = []
    if plan.study_hash != hash_study(study):
        reasons.append("the study's tables have changed since the plan was made")
    other_watch = check_watch_result(study.folder, plan.watch_hash)
    if other_watch is not None:
        # Its certificate was written for other delays; what it says of these means nothing.
        return Verdict(plan_folder, (*reasons, other_watch), *count_parts(certificate))
    mesh = read_mesh(study.folder)
    if mesh.study_hash != hash_mesh_inputs(study):
        # Places of the study need not lie in such a mesh.
        return Verdict(plan_folder, (*reasons, OTHER_MESH), *count_parts(certificate))
    siting = site_study(study, mesh)
    if state_rules is not None:
        siting, broken = state_rules(study, mesh, siting, plan)
        if broken:
            # Without these rules the problem is another one; what the certificate says of it means nothing.
            return Verdict(plan_folder, (*reasons, *broken), *count_parts(certificate))
    reasons += check_certificate(siting.problem, certificate)
    if not reasons:
        reasons += _compare_plan(plan, siting, certificate)
        reasons += _compare_table(plan, plan_folder / "options.csv")
    return Verdict(plan_folder, tuple(reasons), *count_parts(certificate))


def count_parts(certificate: Mapping[str, Any]) -> tuple[int, int]:
    """Paths and leaves of a certificate; 0 for what a damaged one lacks."""
    paths, nodes = certificate.get("paths"), certificate.get("nodes")
    leaves = (
        [one for one in nodes if isinstance(one, dict) and "split" not in one]
        if isinstance(nodes, list)
        else []
    )
    return len(paths) if isinstance(paths, list) else 0, len(leaves)


def read_certificate(path: Path) -> dict[str, Any]:
    """Read a certificate file.

    Raises
    ------
    InputError : it is missing, damaged, or holds something else.
    """
    try:
        return parse_object(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError([Fault("is missing", str(path), remedy="solve again")]) from error
    except (RecursionError, ValueError) as error:
        raise InputError([Fault(f"is damaged: {error}", str(path), remedy="solve again")]) from error


def _compare_plan(plan: Plan, siting: Siting, certificate: Mapping[str, Any]) -> list[str]:
    """What plan.json says must be what the certificate proves, and what follows from it."""
    problem = siting.problem
    reasons = []
    for word in ("value_h", "bound_h", "budget_eur"):
        if getattr(plan, word) != certificate[word]:
            reasons.append(
                f"plan.json says {word} {getattr(plan, word)}, the certificate {certificate[word]}"
            )
    proven = sorted(list_chosen(problem, siting, certificate["chosen"]), key=str)
    written = sorted(plan.options, key=str)
    if written != proven:
        different = [one.site for one in written if one not in proven] or [one.site for one in proven]
        reasons.append(f"plan.json and the certificate differ in the options chosen, first at {different[0]}")
    if not _is_close(sum(one.cost_eur for one in proven), plan.cost_eur):
        reasons.append("the costs of the options in plan.json do not add up to its cost")
    if not _is_close(gap_of(plan.value_h, plan.bound_h), plan.gap):
        reasons.append("the gap in plan.json does not follow from its value and bound")
    before_h, after_h = (
        measure_arrivals(problem, *add_delays(problem, rows)) for rows in ((), certificate["chosen"])
    )
    reasons += _compare_arrivals(plan, problem, np.array(before_h), np.array(after_h))
    return reasons + _compare_status(plan, _measure_spare(problem, np.array(before_h), plan.bound_h))


def _is_close(one: float, other: float) -> bool:
    """Say whether two numbers are one but for rounding; what is no number is close to nothing."""
    return one == other or abs(one - other) <= CLOSE * max(abs(one), abs(other)) < math.inf


def _compare_arrivals(plan: Plan, problem: Problem, before_h: np.ndarray, after_h: np.ndarray) -> list[str]:
    """Objective, approaches and their hours without and with the plan must be those of the study."""
    if plan.objective != problem.objective:
        return [f"plan.json names the objective {plan.objective}, the study {problem.objective}"]
    proven = list_arrivals(problem, before_h, after_h)
    if [(one.id, one.name, one.weight) for one in plan.approaches] != [
        (one.id, one.name, one.weight) for one in proven
    ]:
        return ["plan.json and the study differ in the approaches, their names or weights"]
    reasons = [
        f"approach '{one.id}' takes {getattr(true, word):.9f} h, not {getattr(one, word):.9f} h ({word})"
        for one, true in zip(plan.approaches, proven, strict=True)
        for word in ("before_h", "after_h")
        if not _is_close(getattr(one, word), getattr(true, word))
    ]
    value_h = float(before_h.min() if problem.objective == "minimum" else problem.approach_weight @ before_h)
    if not _is_close(value_h, plan.before_h):
        reasons.append(f"the value without the plan is {value_h:.9f} h, not {plan.before_h:.9f} h")
    return reasons


def _compare_status(plan: Plan, spare_h: float) -> list[str]:
    """A plan is called optimal when value and bound differ by no more than the solver's rounding."""
    if plan.status not in STATUSES:
        return [f"plan.json names a status '{plan.status}' that a proven plan can not have"]
    if plan.status == "optimal" and not plan.bound_h - plan.value_h <= spare_h * (1 + CLOSE):
        return ["plan.json calls the plan optimal, but its bound lies above its value"]
    if plan.status != "optimal" and plan.bound_h - plan.value_h <= spare_h * (1 - CLOSE):
        return [f"plan.json gives the status '{plan.status}', but the plan is proven optimal"]
    return []


def _measure_spare(problem: Problem, before_h: np.ndarray, bound_h: float) -> float:
    """Hours between value and bound that are rounding only, for the levels of the whole problem."""
    most = add_delays(problem, range(problem.option_count), longest=True)
    low, high = before_h, np.array(measure_arrivals(problem, *most))
    weight = problem.approach_weight
    if problem.objective == "minimum":
        weight, low, high = np.ones(1), low.min(keepdims=True), high.min(keepdims=True)
    else:
        low = np.maximum(low, [problem.least_hours.get(k, 0.0) for k in range(len(low))])
    levels = Levels((), weight, low, np.maximum(high, low))
    return 2.0 * levels.tolerance_h + 2.0 * ROUNDING * abs(bound_h)


def _compare_table(plan: Plan, path: Path) -> list[str]:
    """Rows of options.csv, where it is there, must be the options of plan.json."""
    if not path.is_file():
        return []
    try:
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline=""), strict=True))
    except (csv.Error, ValueError) as error:
        return [f"options.csv is damaged: {error}"]
    wanted = [[one.site, one.option, one.name, f"{one.cost_eur:.2f}"] for one in plan.options]
    differ = rows != [["site", "option", "name", "cost_eur"], *wanted]
    return ["options.csv and plan.json differ in the options"] * differ


def list_chosen(problem: Problem, siting: Siting, rows: Iterable[int]) -> tuple[ChosenOption, ...]:
    """Describe chosen options, rows of the problem, as a plan holds them."""
    return tuple(
        ChosenOption(
            site=problem.site_keys[problem.option_site[row]],
            option=siting.options[row].option,
            name=problem.site_names[problem.option_site[row]],
            cost_eur=float(problem.option_cost_eur[row]),
        )
        for row in rows
    )


def list_arrivals(problem: Problem, before_h: np.ndarray, after_h: np.ndarray) -> tuple[ApproachResult, ...]:
    """Describe arrival times without and with a plan, hours float64[K], as a plan holds them."""
    return tuple(
        ApproachResult(
            id=problem.approach_keys[k],
            name=problem.approach_names[k],
            weight=float(problem.approach_weight[k]),
            before_h=float(before_h[k]),
            after_h=float(after_h[k]),
        )
        for k in range(problem.approach_count)
    )
