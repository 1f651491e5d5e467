"""Bill: what a dated plan pays by option, fund and year, and what draws make of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from abatis.programme import _kernels as kernel
from abatis.programme.drawn_works import DatedPlan, Works


@dataclass(frozen=True)
class Bill:
    """Payments of the B options that a plan builds, H >= Y years.

    `rows` int64[B], rows of the works; `first`, `last` int64[B], building year rows; `stood` bool[B], built
    before the first year; `paid_eur` float64[B, F, H] in base-year prices; `share` float64[B, F, H], how what
    a draw adds is paid; `pairs` int64[Q], pairs (option, measure) of these options that the plan's lines pay,
    with `pair_row`, `pair_fund` and the `likely_eur` of a unit.
    """

    rows: np.ndarray
    first: np.ndarray
    last: np.ndarray
    stood: np.ndarray
    paid_eur: np.ndarray
    share: np.ndarray
    pairs: np.ndarray
    pair_row: np.ndarray
    pair_fund: np.ndarray
    likely_eur: np.ndarray

    def spend(
        self, works: Works, unit_eur: np.ndarray, late_years: np.ndarray, years: int, index: np.ndarray
    ) -> np.ndarray:
        """Return nominal EUR by draw and year, float64[D, Y + 1] (last: after the years), to the cent.

        Parameters
        ----------
        works : what the plans build.
        unit_eur : drawn cost of a unit of each measure, price level included, float64[D, M].
        late_years : int64[D, O].
        years : Y.
        index : prices over base-year prices, float64[Y + 1].
        """
        draws, funds = len(unit_eur), self.paid_eur.shape[1]
        extra = np.zeros((draws, len(self.rows), funds))
        for pair, row, fund, likely in zip(
            self.pairs, self.pair_row, self.pair_fund, self.likely_eur, strict=True
        ):
            drawn_eur = unit_eur[:, works.pair_measure[pair]]
            extra[:, row, fund] += works.pair_units[pair] * (drawn_eur - likely)
        late = np.where(self.stood, 0, late_years[:, self.rows])
        spent = np.zeros((draws, funds, years + 1))
        kernel.spread_money(self.first, self.last, late, self.paid_eur, self.share, extra, spent)
        # Fund by fund and to the cent, as the schedule does.
        return np.asarray(np.round(np.round(spent, 6) * index, 2).sum(axis=1))


def make_bill(
    works: Works,
    plan: DatedPlan,
    years: np.ndarray,
    unit_eur: np.ndarray,
    stocked: frozenset[str] = frozenset(),
) -> Bill:
    """Lay out what a plan pays.

    Parameters
    ----------
    works : what the plans build.
    plan : its payments, or none: then the likely cost is paid evenly from start to finish.
    years : calendar years int64[Y].
    unit_eur : likely cost of a unit of each measure, float64[M].
    stocked : measures that a locked line buys as stock; they cost this plan nothing, whatever they cost.

    In words: what a draw adds to the likely cost of an option is paid like that cost; where that is nothing,
    evenly. Works that are paid already cost nothing more.
    """
    order = np.argsort(plan.options, kind="stable")
    rows = works.find_rows(plan.options[order])
    start, finish = plan.start_year[order] - years[0], plan.finish_year[order] - years[0]
    place = np.full(len(works.options), -1)
    place[rows] = np.arange(len(rows))
    paid_here = np.array([key not in stocked for key in works.measures], bool)
    pairs = np.flatnonzero((place[works.pair_option] >= 0) & paid_here[works.pair_measure])
    pair_row = place[works.pair_option[pairs]]
    measures = works.pair_measure[pairs]
    fund = np.array([plan.fund_of.get(works.measures[m], 0) for m in measures], np.int64)
    funds = plan.paid_eur.shape[1] if plan.paid_eur.size else 1
    width = max([len(years), *(finish + 1).tolist()])
    likely = np.zeros((len(rows), funds))
    np.add.at(likely, (pair_row, fund), works.pair_units[pairs] * unit_eur[measures])
    first, last = np.maximum(start, 0), np.maximum(finish, 0)
    year = np.arange(width)
    even = ((year >= first[:, None]) & (year <= last[:, None])) / (last - first + 1)[:, None]
    paid = likely[:, :, None] * even[:, None, :]
    if plan.paid_eur.size:
        paid = np.zeros((len(rows), funds, width))
        paid[:, :, : plan.paid_eur.shape[2]] = plan.paid_eur[order]
    whole = np.where(likely > 0, likely, 1.0)[:, :, None]
    share = np.where(likely[:, :, None] > 0, paid / whole, even[:, None, :])
    return Bill(rows, first, last, finish < 0, paid, share, pairs, pair_row, fund, unit_eur[measures])
