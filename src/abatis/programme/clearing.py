"""Duties that outlive the programme: removal of works, clearing of reserve belts, and the author's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from abatis.barrier.sites import Siting
from abatis.model.law_kinds import MINE_RESERVE
from abatis.model.plan import Plan
from abatis.model.study import Study
from abatis.people.clearance import BELT, assess_liability
from abatis.people.clearance import read_terms as read_clearance_terms
from abatis.programme.schedule import Schedule
from abatis.programme.terms import Terms

REMOVAL = "removal"


@dataclass(frozen=True)
class Liability:
    """A duty that outlives the programme, low, expected and high EUR in base-year prices.

    `measure` and `belt` are empty but for the clearing of a reserve belt; `basis` says where the figure comes
    from: works, belts or liabilities.csv.
    """

    key: str
    name: str
    low_eur: float
    amount_eur: float
    high_eur: float
    source: str
    tag: str
    measure: str = ""
    belt: str = ""
    basis: str = "liabilities.csv"


def list_liabilities(
    study: Study, siting: Siting, terms: Terms, schedule: Schedule, plan: Plan | None, notes: list[str]
) -> tuple[Liability, ...]:
    """List what has to be removed or cleared one day, and the duties of liabilities.csv.

    Parameters
    ----------
    study : its measures, belts, hazard register, clearance terms and liabilities.
    siting, terms, schedule : what is built.
    plan : its reserve belts count as far as they are built; only those of belts.csv when left out.
    notes : what could not be counted, or was replaced, is added.

    Formula: removal = sum over built options of units x removal cost, without reserve belts; clearing of a
    belt = length x land taken per km x price per m2, low, likely and high.
    In words: a row of liabilities.csv with the key `removal`, `clear_BELT` or `clearance_MEASURE` replaces
    the figure of that name (the last one all belts of a measure); any other row is a duty of its own.
    """
    found = [_sum_removal(study, siting, terms, schedule), *_list_belts(study, siting, terms, schedule, plan)]
    own = tuple(_read_own(study))
    given = {one.key for one in own}
    kept = [one for one in found if not given & {one.key, f"clearance_{one.measure}"}]
    if len(kept) < len(found):
        names = ", ".join(one.key for one in found if one not in kept)
        notes.append(f"liabilities.csv replaces the computed figures of {names}")
    return (*kept, *own)


def sum_by_measure(liabilities: Sequence[Liability], names: dict[str, str]) -> tuple[Liability, ...]:
    """Add up the belts of each measure; all other duties stay as they are.

    Parameters
    ----------
    liabilities : from `list_liabilities`.
    names : name of each measure.

    Examples
    --------
    >>> belt = Liability("clear_a", "A", 1.0, 2.0, 3.0, "s", "G", "R01", "a", "belts")
    >>> both = sum_by_measure([belt, replace(belt, key="clear_b", belt="b")], {"R01": "Belt"})
    >>> [(one.key, one.name, one.amount_eur) for one in both]
    [('clearance_R01', 'Clearing of 2 reserve belts: Belt', 4.0)]
    """
    rows: dict[str, list[Liability]] = {}
    for one in liabilities:
        rows.setdefault(f"clearance_{one.measure}" if one.belt else one.key, []).append(one)
    told = []
    for key, group in rows.items():
        first = group[0]
        if not first.belt:
            told.append(first)
            continue
        plural = "s" if len(group) > 1 else ""
        told.append(
            replace(
                first,
                key=key,
                name=f"Clearing of {len(group)} reserve belt{plural}: {names.get(first.measure, 'laid')}",
                low_eur=round(sum(one.low_eur for one in group), 2),
                amount_eur=round(sum(one.amount_eur for one in group), 2),
                high_eur=round(sum(one.high_eur for one in group), 2),
                belt="",
            )
        )
    return tuple(told)


def _sum_removal(study: Study, siting: Siting, terms: Terms, schedule: Schedule) -> Liability:
    """Removal of what is built; reserve belts are cleared, not removed, and stand on lines of their own."""
    table = study.tables["measures"]
    cleared = set(table["measure"][table["law_kind"] == MINE_RESERVE])
    unit = dict(zip(table["measure"], table["removal_cost_eur"].astype(float), strict=True))
    built = [siting.options[row] for row in terms.options[schedule.finish_year >= 0]]
    removal = 0.0
    for option in built:
        removal += option.removal_cost_eur
        removal -= sum(unit[measure] * units for measure, units in option.quantities if measure in cleared)
    amount = float(np.round(max(0.0, removal), 2))
    return Liability(
        REMOVAL,
        "Removal of what is built, civil use restored",
        amount,
        amount,
        amount,
        "sum over built options of units x removal_cost_eur (measures.csv)",
        _find_weakest(
            study, {measure for one in built for measure, _ in one.quantities if measure not in cleared}
        ),
        basis="works",
    )


def _find_weakest(study: Study, measures: set[str]) -> str:
    """Weakest tag of some measures."""
    tags = dict(zip(study.tables["measures"]["measure"], study.tables["measures"]["tag"], strict=True))
    return max((tags[measure] for measure in measures), key=("F", "D", "F-", "G").index, default="")


def _list_belts(
    study: Study, siting: Siting, terms: Terms, schedule: Schedule, plan: Plan | None
) -> list[Liability]:
    """Clearing of every reserve belt: those of belts.csv, and those of the plan that are built."""
    table = study.tables["measures"]
    if not (table["law_kind"] == MINE_RESERVE).any():
        return []
    built = {key for key, finish in zip(terms.option_keys, schedule.finish_year, strict=True) if finish >= 0}
    if plan is not None:
        kept = tuple(one for one in plan.options if f"{one.site}/{one.option}" in built)
        plan = replace(plan, options=kept)
    assessed, _, _ = assess_liability(study, None, siting, plan)
    price = read_clearance_terms(study)["price"]
    weakest = ("F", "D", "F-", "G").index
    return [
        Liability(
            key=f"clear_{job.duty.key}",
            name=f"Clearing of {job.duty.name}",
            low_eur=round(job.cost.low, 2),
            amount_eur=round(job.cost.mode, 2),
            high_eur=round(job.cost.high, 2),
            source=f"{job.duty.area_m2:,.0f} m2 x price per m2 ({price.source})",
            tag=max(job.duty.tag, price.tag, key=weakest),
            measure=job.duty.measure,
            belt=job.duty.key,
            basis="belts",
        )
        for job in assessed.jobs
        if job.duty.kind == BELT
    ]


def _read_own(study: Study) -> list[Liability]:
    return [
        Liability(
            str(row["liability"]),
            str(row["name"]),
            float(row["low_eur"]),
            float(row["amount_eur"]),
            float(row["high_eur"]),
            str(row["source"]),
            str(row["tag"]),
        )
        for _, row in study.tables["liabilities"].iterrows()
    ]
