"""Hours against civil cost as tables: the front with bounds, and the plan that keeps most hours for least."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from abatis.barrier.curve import CurvePoint
from abatis.barrier.network import build_network
from abatis.barrier.sites import Siting, site_study
from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.mesh import Mesh
from abatis.model.plan import ChosenOption, Plan, read_plan
from abatis.model.study import Study
from abatis.people.access import compute_access
from abatis.people.access_ground import AccessGround
from abatis.people.balance import (
    KEEP_SHARE,
    PARTS,
    POINTS,
    WEIGHTED,
    Balance,
    CivilPart,
    list_parts,
    list_search_faults,
    list_weight_faults,
    trace_balance,
    weigh_parts,
)
from abatis.people.law import require_lawful
from abatis.show.balance_tables import LEAST, PLAN_COLUMNS, keep_balance, lay_out_front, lay_out_least
from abatis.show.civil import prepare_civil_access
from abatis.show.results import Progress, check_same_study, find_option_rows
from abatis.show.tables import Table
from abatis.show.workflow import load_study

ALL = "all"


@dataclass(frozen=True)
class BalanceSettings:
    """What to trace: civil costs by key, or all; weights, points, share of the hours to keep, gap, time.

    `weights` are those of the weighted cost and None where none are given.
    """

    parts: tuple[str, ...] = (WEIGHTED,)
    weights: Mapping[str, float] | None = None
    points: int = POINTS
    keep_share: float = KEEP_SHARE
    gap: float = 0.02
    time_limit_s: float = 300.0


def read_weights(text: str) -> dict[str, float] | None:
    """Read weights written as part=number with commas between; None for an empty text.

    Raises
    ------
    InputError : every part of the text that is no weight of a civil cost.

    Examples
    --------
    >>> read_weights("people=2, land=0.5")
    {'people': 2.0, 'land': 0.5}
    """
    weights, faults = _parse_weights(text)
    faults += list_weight_faults(weights)
    if faults:
        raise InputError(faults)
    return weights or None


def choose_balance(
    parts: Sequence[str],
    weights: str = "",
    points: int = POINTS,
    keep_share: float = KEEP_SHARE,
    gap: float = BalanceSettings.gap,
    time_limit_s: float = BalanceSettings.time_limit_s,
) -> BalanceSettings:
    """Take the settings as they were typed.

    Parameters
    ----------
    parts : civil costs by key, or all; empty when nothing is to be traced.
    weights : text for `read_weights`. points, keep_share, gap, time_limit_s : as in `trace_balance`.

    Raises
    ------
    InputError : every setting out of its bounds, and weights without the weighted cost.

    Examples
    --------
    >>> choose_balance(["land"]).parts
    ('land',)
    """
    found, faults = _parse_weights(weights)
    settings = BalanceSettings(
        tuple(parts), found if weights else None, points, keep_share, gap, time_limit_s
    )
    faults += _list_faults(settings)
    if faults:
        raise InputError(faults)
    return settings


def _list_faults(settings: BalanceSettings) -> list[Fault]:
    keys = (*PARTS, WEIGHTED, ALL)
    faults = [
        Fault(f"'{key}' is no civil cost", column="--balance", remedy=nearest_word(key, keys))
        for key in dict.fromkeys(settings.parts)
        if key not in keys
    ]
    if settings.weights is not None:
        faults += list_weight_faults(settings.weights)
        if not {ALL, WEIGHTED} & set(settings.parts):
            text = "weighs only the weighted cost"
            faults.append(Fault(text, column="--weights", remedy="add --balance weighted"))
    return faults + list_search_faults(
        settings.points, settings.keep_share, settings.gap, settings.time_limit_s
    )


def _parse_weights(text: str) -> tuple[dict[str, float], list[Fault]]:
    weights: dict[str, float] = {}
    faults = []
    for one in filter(None, (part.strip() for part in text.split(","))):
        key, _, number = one.partition("=")
        try:
            weights[key.strip()] = float(number)
        except ValueError:
            faults.append(
                Fault(f"'{one}' is no weight", column="--weights", remedy="write such as people=2,land=1")
            )
    return weights, faults


def trace_study_balance(
    folder: Path, plan_name: str, settings: BalanceSettings, progress: Progress
) -> dict[str, Table]:
    """Trace hours against civil costs under the budget of a plan, and keep the answer beside the plan.

    Parameters
    ----------
    folder : study folder with a mesh. plan_name : the plan without a limit. settings : what to trace.
    progress : called with the stage in words and the share done.

    Returns
    -------
    A table per civil cost and the table `least`; also written to plans/NAME/balance.json for the report.

    Raises
    ------
    InputError : every fault of study, plan or settings.
    """
    faults = _list_faults(settings)
    if faults:
        raise InputError(faults)
    study, mesh = load_study(folder)
    require_lawful(study)
    plan = read_plan(folder / "plans" / plan_name)
    check_same_study(study, plan)
    siting = site_study(study, mesh, progress)
    rows = np.array(find_option_rows(siting, plan), np.int32)
    parts = _choose_parts(list_parts(study, mesh, siting), rows, settings)
    network = build_network(siting.problem)
    free = CurvePoint(math.inf, rows, plan.cost_eur, plan.value_h, plan.bound_h)
    found = [
        trace_balance(
            siting.problem, plan.budget_eur, part, settings.points, settings.keep_share, settings.gap,
            settings.time_limit_s / len(parts), plan.seed, progress, network, free,
        )
        for part in parts
    ]  # fmt: skip
    measure = _Measure(study, mesh, siting, plan, prepare_civil_access(study, mesh))
    tables = {one.part.key: measure.tabulate_front(one) for one in found}
    tables[LEAST] = measure.tabulate_least(found)
    keep_balance(folder / "plans" / plan_name, plan, tables)
    return tables


def _choose_parts(
    parts: Sequence[CivilPart], rows: np.ndarray, settings: BalanceSettings
) -> tuple[CivilPart, ...]:
    wanted = (*PARTS, WEIGHTED) if ALL in settings.parts else tuple(dict.fromkeys(settings.parts))
    known = {part.key: part for part in parts}
    if WEIGHTED in wanted:
        known[WEIGHTED] = weigh_parts(parts, rows, settings.weights)
    return tuple(known[key] for key in wanted)


@dataclass(frozen=True)
class _Measure:
    """Counts on finished plans what no solver row can: who is cut off."""

    study: Study
    mesh: Mesh
    siting: Siting
    plan: Plan
    ground: AccessGround

    def tabulate_front(self, found: Balance) -> Table:
        """Tabulate the points of a front with all civil amounts of each plan."""
        rows = tuple(
            {
                "name": found.part.name,
                "unit": found.part.unit,
                "formula": found.part.formula,
                "tag": found.part.tag,
                "budget_eur": found.budget_eur,
                "limit": point.limit,
                "amount": None if point.chosen is None else point.amount,
                "won_h": None if point.chosen is None else point.won_h,
                "bound_won_h": point.bound_won_h,
                "value_h": point.value_h,
                "bound_h": point.bound_h,
                "gap_percent": 100.0 * point.gap,
                **self._describe_plan(point.chosen),
            }
            for point in found.points
        )
        return lay_out_front(found.part.key, rows)

    def tabulate_least(self, found: Sequence[Balance]) -> Table:
        """Tabulate the plans that keep most of the hours at the least civil cost, with the proven floor."""
        rows = tuple(
            {
                "part": one.part.key,
                "name": one.part.name,
                "unit": one.part.unit,
                "keep_percent": 100.0 * one.keep_share,
                "free_amount": one.points[-1].amount,
                "amount": one.least.amount,
                "least_amount": one.least.least_amount,
                "target_h": one.least.target_h,
                "won_h": one.least.value_h - one.before_h,
                **self._describe_plan(one.least.chosen),
                "chosen": [
                    {"site": self.siting.options[o].site, "option": self.siting.options[o].option}
                    for o in (one.least.chosen if one.least.chosen is not None else ())
                ],
            }
            for one in found
        )
        return lay_out_least(rows)

    def _describe_plan(self, chosen: np.ndarray | None) -> dict[str, Any]:
        if chosen is None:
            return dict.fromkeys((column.key for column in PLAN_COLUMNS), None)
        options = [self.siting.options[o] for o in chosen]
        plan = replace(
            self.plan, options=tuple(ChosenOption(o.site, o.option, o.name, o.cost_eur) for o in options)
        )
        access = compute_access(self.study, self.mesh, self.siting, plan, self.ground)
        return {
            "cost_eur": math.fsum(one.cost_eur for one in options),
            "sites": len(options),
            "people_cut_off": sum(one.persons for one in access.list_places_cut_off()),
        }
