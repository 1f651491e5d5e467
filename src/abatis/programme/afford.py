"""Affordability: programme against defence budget and GDP, EU money, upkeep and renewal, duties after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from abatis.barrier.options import list_stocked
from abatis.barrier.sites import Siting
from abatis.model.plan import Plan
from abatis.model.study import Study
from abatis.programme.clearing import Liability, list_liabilities
from abatis.programme.schedule import Schedule
from abatis.programme.terms import Terms

MILLION = 1e6


@dataclass(frozen=True)
class EconomyYear:
    """One year of the programme against the economy; nominal EUR, shares 0 to 1, None where no row says.

    `defence_share` is the programme over the expected defence budget, with the share over the larger
    (`defence_share_low`) and the smaller one (`defence_share_high`).
    """

    year: int
    programme_eur: float
    defence_eur: float | None
    defence_share_low: float | None
    defence_share: float | None
    defence_share_high: float | None
    gdp_share: float | None
    tag: str


@dataclass(frozen=True)
class TailYear:
    """Upkeep and renewal of what stands in one year, EUR in base-year prices and nominal."""

    year: int
    in_programme: bool
    upkeep_eur: float
    renewal_eur: float
    nominal_eur: float


@dataclass(frozen=True)
class Affordability:
    """What the programme asks of the country; `notes` say what could not be counted.

    `eu_certain_eur` and `eu_hoped_eur` are EU money of budget lines; `grant_eur` the part that is not paid
    back.
    """

    economy: tuple[EconomyYear, ...]
    total_eur: float
    eu_certain_eur: float
    eu_hoped_eur: float
    grant_eur: float
    tail: tuple[TailYear, ...]
    liabilities: tuple[Liability, ...]
    notes: tuple[str, ...]

    @property
    def eu_share(self) -> float:
        """EU money, certain and hoped for, over the programme."""
        return (self.eu_certain_eur + self.eu_hoped_eur) / self.total_eur if self.total_eur else 0.0


def weigh_affordability(
    study: Study, siting: Siting, terms: Terms, schedule: Schedule, plan: Plan | None = None
) -> Affordability:
    """Set a scheduled programme against the economy and against what comes after it.

    Parameters
    ----------
    study : its tables economy, eu_money, upkeep, liabilities and measures.
    siting : the options of the study.
    terms, schedule : the programme.
    plan : the plan; its reserve belts have to be cleared one day (`clearing.list_liabilities`).

    Formula: upkeep_y = sum over options finished before y of units x unit cost x yearly share; renewal_y =
    units x unit cost of measures whose age is a whole multiple of their life in y; share = spending of all
    lines / (GDP x defence share). Prices are those of the base year; nominal ones rise by the index.
    In words: what was built has to be kept, replaced at the end of its life, and one day removed. Measures in
    stock are left out: their renewal stands with the stock.
    """
    notes: list[str] = []
    eu = study.tables["eu_money"]
    amount = eu["amount_eur"].to_numpy(float)
    certain = eu["certain"].to_numpy(bool)
    return Affordability(
        economy=_compare_economy(study, schedule, notes),
        total_eur=float(np.round(schedule.nominal_eur.sum(), 2)),
        eu_certain_eur=float(amount[certain].sum()),
        eu_hoped_eur=float(amount[~certain].sum()),
        grant_eur=float(amount[(eu["kind"] == "grant").to_numpy(bool)].sum()),
        tail=_count_tail(study, siting, terms, schedule, notes),
        liabilities=list_liabilities(study, siting, terms, schedule, plan, notes),
        notes=tuple(notes),
    )


def _compare_economy(study: Study, schedule: Schedule, notes: list[str]) -> tuple[EconomyYear, ...]:
    table = study.tables["economy"].set_index("year")
    rows = []
    for place, year in enumerate(schedule.years.tolist()):
        spent = float(np.round(schedule.nominal_eur[:, place].sum(), 2))
        if year not in table.index:
            rows.append(EconomyYear(year, spent, None, None, None, None, None, ""))
            continue
        row = table.loc[year]
        gdp = float(row["gdp_eur"])
        budgets = [gdp * float(row[f"defence_{part}share"]) for part in ("high_", "", "low_")]
        low, likely, high = (spent / budget if budget else None for budget in budgets)
        rows.append(EconomyYear(year, spent, budgets[1], low, likely, high, spent / gdp, str(row["tag"])))
    missing = [str(row.year) for row in rows if row.gdp_share is None]
    if missing:
        notes.append(f"economy.csv has no row for {', '.join(missing)}: no shares for these years")
    return tuple(rows)


def _count_tail(
    study: Study, siting: Siting, terms: Terms, schedule: Schedule, notes: list[str]
) -> tuple[TailYear, ...]:
    """Upkeep and renewal of the scheduled options by year, to the end of the tail."""
    measures = study.tables["measures"].set_index("measure")
    share_of = dict(
        zip(study.tables["upkeep"]["measure"], study.tables["upkeep"]["yearly_share"], strict=True)
    )
    first, last = int(schedule.years[0]), int(schedule.years[-1])
    years = np.arange(first, last + study.tail_years + 1)
    upkeep, renewal = np.zeros((2, len(years)))
    unknown: dict[str, None] = {}
    stocked = list_stocked(study)
    for row, finish in zip(terms.options.tolist(), schedule.finish_year.tolist(), strict=True):
        if finish < 0:
            continue
        for measure, units in siting.options[row].quantities:
            if measure in stocked:
                continue
            price = units * float(measures.loc[measure, "unit_cost_eur"])
            if measure not in share_of:
                unknown[measure] = None
            age = years - finish
            upkeep += np.where(age > 0, price * share_of.get(measure, 0.0), 0.0)
            life = float(measures.loc[measure, "life_years"])
            if life > 0:
                renewal += np.where(
                    (age > 0) & (np.floor(age / life) > np.floor((age - 1) / life)), price, 0.0
                )
    if unknown:
        notes.append(f"upkeep.csv has no row for {', '.join(unknown)}: their upkeep is counted as 0")
    index = (1.0 + study.indexation) ** (years - study.base_year).astype(float)
    return tuple(
        TailYear(
            int(year),
            bool(year <= last),
            float(np.round(kept, 2)),
            float(np.round(renewed, 2)),
            float(np.round((kept + renewed) * factor, 2)),
        )
        for year, kept, renewed, factor in zip(years, upkeep, renewal, index, strict=True)
    )
