"""Affordability: programme against defence budget and GDP, EU money, upkeep and renewal, duties after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from abatis.barrier.sites import Siting
from abatis.model.study import Study
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
class Liability:
    """A duty that outlives the programme, low, expected and high EUR in base-year prices."""

    key: str
    name: str
    low_eur: float
    amount_eur: float
    high_eur: float
    source: str
    tag: str


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


def weigh_affordability(study: Study, siting: Siting, terms: Terms, schedule: Schedule) -> Affordability:
    """Set a scheduled programme against the economy and against what comes after it.

    Parameters
    ----------
    study : its tables economy, eu_money, upkeep, liabilities and measures.
    siting : the options of the study.
    terms, schedule : the programme.

    Formula: upkeep_y = sum over options finished before y of units x unit cost x yearly share; renewal_y =
    units x unit cost of measures whose age is a whole multiple of their life in y; share = spending of all
    lines / (GDP x defence share). Prices are those of the base year; nominal ones rise by the index.
    In words: what was built has to be kept, replaced at the end of its life, and one day removed.
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
        liabilities=_list_liabilities(study, siting, terms, schedule, notes),
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
    for row, finish in zip(terms.options.tolist(), schedule.finish_year.tolist(), strict=True):
        if finish < 0:
            continue
        for measure, units in siting.options[row].quantities:
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


def _list_liabilities(
    study: Study, siting: Siting, terms: Terms, schedule: Schedule, notes: list[str]
) -> tuple[Liability, ...]:
    """Removal of what is built, and the duties of liabilities.csv."""
    built = terms.options[schedule.finish_year >= 0]
    removal = float(sum(siting.options[row].removal_cost_eur for row in built))
    found = [
        Liability(
            "removal",
            "Removal of what is built, civil use restored",
            removal,
            removal,
            removal,
            "sum over built options of units x removal_cost_eur (measures.csv)",
            _worst_tag(study, siting, built),
        )
    ]
    table = study.tables["liabilities"]
    found += [
        Liability(
            str(row["liability"]),
            str(row["name"]),
            float(row["low_eur"]),
            float(row["amount_eur"]),
            float(row["high_eur"]),
            str(row["source"]),
            str(row["tag"]),
        )
        for _, row in table.iterrows()
    ]
    if table.empty:
        notes.append("liabilities.csv is empty: clearance duties are not counted yet")
    return tuple(found)


def _worst_tag(study: Study, siting: Siting, built: np.ndarray) -> str:
    """Weakest tag of the measures that are built."""
    tags = dict(zip(study.tables["measures"]["measure"], study.tables["measures"]["tag"], strict=True))
    used = {tags[measure] for row in built for measure, _ in siting.options[row].quantities}
    return max(used, key=("F", "D", "F-", "G").index, default="")
