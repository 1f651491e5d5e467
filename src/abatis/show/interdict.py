"""Solve a textbook interdiction instance from an arc list, and show the answer with its proof."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from abatis.barrier.certificate import check_certificate
from abatis.barrier.planning import count_parts, read_certificate
from abatis.barrier.proof import make_certificate
from abatis.barrier.solve import Progress, gap_of, solve_problem
from abatis.barrier.textbook import Arcs, find_unit, read_arcs, round_bound
from abatis.model.errors import Fault, InputError
from abatis.model.storage import write_text_whole
from abatis.show.tables import Column, Table


@dataclass(frozen=True)
class InterdictSettings:
    """How an arc list is solved: names of source and sink, budget in resource units, seconds, gap, seed.

    `budget` None stands for one that was left out, which is a fault.
    """

    source: str
    sink: str
    budget: float | None
    time_limit_s: float
    gap: float
    seed: int


@dataclass(frozen=True)
class Interdiction:
    """The answer: value of the best plan, proven bound, arcs chosen, and what a second check of them says.

    `reasons` is empty when the certificate holds; `certificate` is the file it was written to, or None.
    """

    value: float
    bound: float
    gap: float
    status: str
    chosen: tuple[dict[str, Any], ...]
    spent: float
    seconds: float
    certificate: Path | None
    reasons: tuple[str, ...]


def interdict_arcs(
    path: Path, settings: InterdictSettings, certificate: Path | None, progress: Progress | None = None
) -> Interdiction:
    """Read an arc list, choose the arcs to interdict, and check the answer again without the solver.

    Parameters
    ----------
    path : CSV file with columns `tail,head,cost,delay,resource` (or `cost_1..cost_k`).
    settings : source, sink, budget and how to search.
    certificate : file to write the certificate to, or None; its times are counted in its `unit`.
    progress : called with (value, bound, seconds).

    Raises
    ------
    InputError : faults of the file or of the settings.
    """
    arcs, budget = _read_checked(path, settings, certificate)
    unit = find_unit(arcs)
    problem = arcs.make_problem(unit)

    def report(value: float, bound: float, seconds: float) -> None:
        if progress is not None:
            progress(value * unit, bound * unit, seconds)

    solution = solve_problem(problem, budget, settings.gap, settings.time_limit_s, settings.seed, report)
    values = {**make_certificate(solution), "unit": unit}
    reasons = tuple(check_certificate(problem, values))
    if certificate is not None:
        write_text_whole(certificate, json.dumps(values, sort_keys=True) + "\n")
    bound = round_bound(problem, solution.value_h, solution.bound_h)
    gap = gap_of(solution.value_h, bound)
    return Interdiction(
        value=_shorten(solution.value_h * unit),
        bound=_shorten(bound * unit),
        gap=gap,
        status="optimal" if gap == 0.0 else solution.status,
        chosen=_list_chosen(arcs, [int(a) for a in problem.option_edge[solution.chosen]]),
        spent=solution.cost_eur,
        seconds=solution.seconds,
        certificate=certificate,
        reasons=reasons,
    )


def check_interdiction(
    path: Path, source: str, sink: str, budget: float | None, certificate: Path
) -> dict[str, Any]:
    """Check a kept certificate against its arc list again, without the solver.

    Parameters
    ----------
    path, source, sink : the arc list and the names of its two ends.
    budget : the resource that the plan was to keep to, or None to take the certificate's word for it.
    certificate : file that `--certificate` wrote.

    Returns
    -------
    JSON values `certificate, holds, value, bound, budget, chosen, paths, leaves, reasons`; value, bound and
    chosen arcs are None unless it holds.

    Raises
    ------
    InputError : a faulty arc list, or a file that is no certificate.
    """
    arcs = read_arcs(path, source, sink)
    values = read_certificate(certificate)
    unit = find_unit(arcs)
    problem = arcs.make_problem(unit)
    reasons = check_certificate(problem, values)
    if not reasons and values.get("unit") != unit:
        reasons.append(f"it counts in units of {values.get('unit')}, the arc list in units of {unit:g}")
    if not reasons and budget is not None and values["budget_eur"] != budget:
        reasons.append(f"it was made for a budget of {values['budget_eur']:g}, not {budget:g}")
    answer: dict[str, Any] = dict.fromkeys(("value", "bound", "budget", "chosen"))
    if not reasons:
        bound = round_bound(problem, values["value_h"], values["bound_h"])
        chosen = _list_chosen(arcs, [int(problem.option_edge[option]) for option in values["chosen"]])
        answer = {"value": _shorten(values["value_h"] * unit), "bound": _shorten(bound * unit)}
        answer |= {"budget": values["budget_eur"], "chosen": list(chosen)}
    paths, leaves = count_parts(values)
    kept = {"certificate": str(certificate), "holds": not reasons}
    return {**kept, **answer, "paths": paths, "leaves": leaves, "reasons": reasons}


def _shorten(value: float) -> float:
    """A value without the rounding error of its unit: 0.3, not 0.30000000000000004."""
    return float(f"{value:.15g}")


def _list_chosen(arcs: Arcs, chosen: list[int]) -> tuple[dict[str, Any], ...]:
    """Names of the chosen arcs in the order of the file; `arc` counts its arcs from 1."""
    return tuple(
        {
            "tail": arcs.nodes[arcs.tail[arc]],
            "head": arcs.nodes[arcs.head[arc]],
            "arc": arc + 1,
            "delay": float(arcs.delay_h[arc]),
            "resource": float(arcs.resource[arc]),
        }
        for arc in sorted(chosen)
    )


def _read_checked(path: Path, settings: InterdictSettings, certificate: Path | None) -> tuple[Arcs, float]:
    """Read the arcs and the budget, or name every fault of settings and file together."""
    faults = _list_faults(settings, certificate)
    try:
        arcs = read_arcs(path, settings.source, settings.sink)
    except InputError as error:
        raise InputError([*faults, *error.faults]) from error
    if faults or settings.budget is None:
        raise InputError(faults)
    return arcs, settings.budget


def _list_faults(settings: InterdictSettings, certificate: Path | None) -> list[Fault]:
    faults = [
        Fault(f"is {value:g}", column=name, remedy="give a number, at least 0")
        for name, value in (
            ("--budget", settings.budget),
            ("--time-limit", settings.time_limit_s),
            ("--gap", settings.gap),
        )
        if value is not None and not (math.isfinite(value) and value >= 0)
    ]
    if settings.budget is None:
        faults.insert(0, Fault("is missing", column="--budget", remedy="say how much may be used up"))
    if settings.seed < 0:
        faults.append(Fault(f"is {settings.seed}", column="--seed", remedy="give a number, at least 0"))
    if certificate is not None and not certificate.parent.is_dir():
        faults.append(Fault("has no such folder", str(certificate), remedy="make the folder first"))
    return faults


def describe_interdiction(answer: Interdiction) -> dict[str, Any]:
    """The answer as JSON values: value, bound, gap, chosen arcs, seconds, certificate and its check."""
    return {
        "value": answer.value,
        "bound": answer.bound,
        "gap": answer.gap,
        "status": answer.status,
        "chosen": list(answer.chosen),
        "spent": answer.spent,
        "seconds": answer.seconds,
        "certificate": None if answer.certificate is None else str(answer.certificate),
        "verified": not answer.reasons,
        "reasons": list(answer.reasons),
    }


def tabulate_interdiction(answer: Interdiction) -> dict[str, Table]:
    """The answer as tables for people."""
    columns = (
        Column("tail", "tail"),
        Column("head", "head"),
        Column("arc", "arc of the file", ",.0f"),
        Column("delay", "delay", ",.10g"),
        Column("resource", "resource", ",.10g"),
    )
    rows = (
        {"what": "value of the best plan", "shown": f"{answer.value:,.12g}"},
        {"what": "no plan is worth more than", "shown": f"{answer.bound:,.12g}"},
        {"what": "gap [%]", "shown": f"{100 * answer.gap:.4g}"},
        {"what": "status", "shown": answer.status},
        {"what": "resource used", "shown": f"{answer.spent:,.12g}"},
        {"what": "seconds", "shown": f"{answer.seconds:.2f}"},
        {"what": "certificate holds", "shown": "no" if answer.reasons else "yes"},
        {"what": "certificate", "shown": "-" if answer.certificate is None else str(answer.certificate)},
    )
    return {
        "chosen": Table("Arcs to interdict", columns, answer.chosen),
        "answer": Table("Answer", (Column("what", "what"), Column("shown", "value", "s")), rows),
    }
