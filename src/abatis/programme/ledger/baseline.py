"""What was planned: the schedule kept beside a plan, as days and money of sites and budget lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from abatis.model.plan import read_plan
from abatis.model.study import Study
from abatis.programme.kept import read_schedule


@dataclass(frozen=True)
class PlannedWork:
    """A site of the schedule: first and last day of its work, its cost in prices of its first year."""

    start_day: int
    finish_day: int
    planned_eur: float


@dataclass(frozen=True)
class Baseline:
    """The schedule that actuals are held against: `spend_eur` float64[L, Y] is nominal, by line and year."""

    name: str
    country: str
    years: tuple[int, ...]
    lines: tuple[str, ...]
    spend_eur: np.ndarray
    sites: Mapping[str, PlannedWork]


def read_baseline(study: Study, name: str) -> Baseline | None:
    """Read the schedule kept beside a plan; None where the plan has none.

    Parameters
    ----------
    study : its first home country is the one that the schedule speaks of.
    name : name of the plan.

    In words: a site's work lasts from 1 January of its first year to 31 December of its last; its cost is
    that of the plan times (1 + indexation)^(first year - base year). Sites that never start are left out.
    """
    place = study.folder / "plans" / Path(name).name
    kept = read_schedule(place)
    if kept is None:
        return None
    cost = {f"{one.site}/{one.option}": one.cost_eur for one in read_plan(place).options}
    schedule = kept.schedule
    sites = {}
    for key, start, finish in zip(
        schedule.option_keys, schedule.start_year.tolist(), schedule.finish_year.tolist(), strict=True
    ):
        if start < 0 or key not in cost:
            continue
        price = round(cost[key] * (1.0 + study.indexation) ** (start - study.base_year), 2)
        days = date(start, 1, 1).toordinal(), date(max(start, finish), 12, 31).toordinal()
        sites[key.rpartition("/")[0]] = PlannedWork(*days, price)
    return Baseline(
        name=name,
        country=study.home[0],
        years=tuple(int(year) for year in schedule.years),
        lines=schedule.lines,
        spend_eur=schedule.nominal_eur,
        sites=sites,
    )
