"""Outlook: what the draws say - bands by year, whether the budget holds, uplift from published overruns."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np

from abatis.programme.risk import Outcome, RiskCase

SHARES = (0.1, 0.5, 0.9)
WORST_SHARE = 0.1
UPLIFT_SHARES = (0.5, 0.8)


@dataclass(frozen=True)
class Band:
    """P10, P50 and P90 of one figure: a tenth of the draws lies below p10, a tenth above p90."""

    p10: float
    p50: float
    p90: float


@dataclass(frozen=True)
class YearOutlook:
    """One year: hours held, euros spent in it and up to it, and the chance that the money so far suffices."""

    year: int
    held_h: Band
    spent_eur: Band
    spent_so_far_eur: Band
    budget_holds: float | None


@dataclass(frozen=True)
class Case:
    """One published overrun: final over first figure, with its source and tag."""

    case: str
    ratio: float
    wording: str
    source: str
    tag: str


@dataclass(frozen=True)
class PlanOutlook:
    """What the draws say about one plan.

    `budget_holds` share of draws whose total cost stays within the budget; `mean_h` and `worst_tenth_h` of
    the last year's hours; `approaches` P10, P50, P90 hours per approach in the last year; `late_eur` falls
    after the last year.
    """

    plan: str
    draws: int
    years: tuple[YearOutlook, ...]
    cost_eur: Band
    late_eur: Band
    budget_eur: float
    budget_holds: float
    mean_h: float
    worst_tenth_h: float
    approaches: dict[str, Band]


def find_band(values: np.ndarray) -> Band:
    """Return P10, P50 and P90 of some draws; each is one of the drawn values.

    Examples
    --------
    >>> find_band(np.arange(1.0, 11.0))
    Band(p10=1.0, p50=5.0, p90=9.0)
    """
    return Band(*(float(one) for one in np.quantile(values, SHARES, method="inverted_cdf")))


def compute_worst_mean(values: np.ndarray, share: float = WORST_SHARE) -> float:
    """Return the mean of the worst (least) share of the draws, CVaR.

    Formula: max over e of e - mean(max(e - v, 0)) / share. In words: the mean of the worst tenth; where the
    share is not a whole number of draws, the last one counts in part.

    Examples
    --------
    >>> compute_worst_mean(np.array([4.0, 1.0, 3.0, 2.0]), 0.5)
    1.5
    """
    ordered = np.sort(values)
    wanted = share * len(ordered)
    weight = np.clip(wanted - np.arange(len(ordered)), 0.0, 1.0)
    used = weight > 0
    return float((ordered[used] * weight[used]).sum() / wanted)


def sum_value(case: RiskCase, hours: np.ndarray) -> np.ndarray:
    """Return the value of each plan, draw and year [plans, D, Y]: weighted sum, or the least, of hours."""
    if case.objective == "minimum":
        return np.asarray(hours.min(axis=-1))
    # Added up one by one: a matrix product could round differently for other block sizes.
    total = np.zeros(hours.shape[:-1])
    for k, weight in enumerate(case.weight):
        if weight > 0:
            total += weight * hours[..., k]
    return total


def describe_outcome(case: RiskCase, outcome: Outcome) -> tuple[PlanOutlook, ...]:
    """Describe what the draws say about every plan.

    In words: money not spent may be carried over, so the budget of a year holds when all that was spent up
    to its end stays within all that was given up to its end.
    """
    value = sum_value(case, outcome.hours)
    found = []
    for row, plan in enumerate(case.plans):
        spend = outcome.spend_eur[row]
        so_far = np.cumsum(spend[:, :-1], axis=1)
        cost = spend.sum(axis=1)
        years = []
        for place, year in enumerate(case.years):
            holds = None
            if len(plan.budget_eur):
                holds = float(np.mean(so_far[:, place] <= plan.budget_eur[: place + 1].sum() + 0.005))
            held, spent, total = (
                find_band(one) for one in (value[row, :, place], spend[:, place], so_far[:, place])
            )
            years.append(YearOutlook(int(year), held, spent, total, holds))
        last = value[row, :, -1]
        found.append(
            PlanOutlook(
                plan.name,
                len(cost),
                tuple(years),
                find_band(cost),
                find_band(spend[:, -1]),
                plan.total_budget_eur,
                float(np.mean(cost <= plan.total_budget_eur + 0.005)),
                float(last.mean()),
                compute_worst_mean(last),
                {key: find_band(outcome.hours[row, :, -1, k]) for k, key in enumerate(case.approach_keys)},
            )
        )
    return tuple(found)


def read_reference_class() -> tuple[Case, ...]:
    """Read the published overruns that abatis carries (reference_class.csv), each with source and tag."""
    text = resources.files("abatis.programme").joinpath("reference_class.csv").read_text(encoding="utf-8")
    return tuple(
        Case(row["case"], float(row["ratio"]), row["wording"], row["source"], row["tag"])
        for row in csv.DictReader(text.splitlines())
    )


def compute_uplift(ratios: Sequence[float], share: float) -> float:
    """Return the factor on a first figure that would have covered this share of the reference class.

    Parameters
    ----------
    ratios : final over first figure of each case.
    share : 0.5 for an even chance, 0.8 for a careful budget.

    In words: the outside view; not what this plan says of itself, but how others like it ended. Source:
    Flyvbjerg 2006, From Nobel Prize to project management: getting risks right.

    Examples
    --------
    >>> compute_uplift([1.2, 1.3, 2.0, 10.0], 0.5)
    1.3
    """
    return float(np.quantile(np.asarray(ratios, float), share, method="inverted_cdf"))
