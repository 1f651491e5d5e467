"""Limits of a schedule as linear rows over (option, start year): money, capacity, lots and order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix, csc_matrix, csr_matrix, vstack

from abatis.model.errors import InfeasibleError
from abatis.programme.terms import NEVER, Terms

SLACK = 1e-9


@dataclass(frozen=True)
class Limits:
    """Rows sum of coefficient x [option starts in year] <= limit.

    Column o * Y + t stands for option o started in year row t; `rows` csr[R, n * Y]; `columns` the same by
    column; `kinds` gives money, capacity, lot or order per row; `names` say in words what binds.
    `possible` bool[n, Y] are the starts that finish within the years. Fixed works are already taken off.
    """

    rows: csr_matrix
    columns: csc_matrix
    limit: np.ndarray
    kinds: tuple[str, ...]
    names: tuple[str, ...]
    possible: np.ndarray

    def keeps(self, start: np.ndarray) -> bool:
        """Say whether a schedule of the free options (int64[n], NEVER for not built) keeps every row."""
        return bool((self.measure_use(start) <= self.limit + self.spare).all())

    def measure_use(self, start: np.ndarray) -> np.ndarray:
        """Left side of every row, float64[R]."""
        chosen = np.flatnonzero(start != NEVER)
        vector = np.zeros(self.rows.shape[1])
        vector[chosen * self.possible.shape[1] + start[chosen]] = 1.0
        use: np.ndarray = self.rows @ vector
        return use

    @property
    def spare(self) -> np.ndarray:
        """Rounding allowed on each row."""
        return SLACK * np.maximum(1.0, np.abs(self.limit))


def lay_out_payments(terms: Terms) -> np.ndarray:
    """Share of each option's money and work that falls into year y when it starts in t, float64[n, Y, Y]."""
    count, years = terms.option_count, terms.year_count
    shares = np.zeros((count, years, years))
    for offset in range(terms.spans.profile.shape[1]):
        for start in range(years - offset):
            shares[:, start, start + offset] = terms.spans.profile[:, offset]
    return shares


def lay_out_fixed(terms: Terms) -> np.ndarray:
    """Share of the money and work of fixed options by year, float64[n, Y]; even from start to finish."""
    share = np.zeros((terms.option_count, terms.year_count))
    for option in np.flatnonzero(terms.is_fixed):
        first, last = int(terms.fixed_start[option]), int(terms.fixed_finish[option])
        share[option, max(0, first) : max(0, last + 1)] = 1.0 / (last - first + 1)
    return share


def make_limits(terms: Terms) -> Limits:
    """Write down every limit of the terms.

    Formula, money of a fund: sum over years tau <= y of s^(y - tau) (spent_tau - money_tau) <= 0, with s the
    carry-over share and spent_tau nominal. Capacity: units worked on in a year <= limit. Lots: for every
    option started in t, least - units of all started in t <= 0. Order: for each option `a` of a rule with set
    B and each t, [a started by t] - share of B finished before t <= 0.
    In words: unspent money moves on by its share; orders of one year are one lot.

    Raises
    ------
    InfeasibleError : what is built or contracted already breaks money or capacity.
    """
    count, years = terms.option_count, terms.year_count
    share, done = lay_out_payments(terms), lay_out_fixed(terms)
    finish = np.arange(years)[None, :] + terms.spans.years[:, None] - 1
    possible = (finish < years) & ~terms.is_fixed[:, None]
    blocks: list[tuple[str, str, np.ndarray, float]] = []
    for fund, money in enumerate(terms.fund_eur):
        _add_money(blocks, terms, fund, money, share, done)
    for capacity in terms.capacities:
        for year in range(years):
            used = float(capacity.units @ done[:, year])
            name = f"{capacity.name}, {terms.years[year]}"
            blocks.append(
                ("capacity", name, capacity.units[:, None] * share[:, :, year], capacity.limit - used)
            )
    rows = [
        (kind, name, csr_matrix((matrix * possible).reshape(1, -1)), b) for kind, name, matrix, b in blocks
    ]
    _check_fixed(blocks)
    rows += _list_lots(terms, possible) + _list_orders(terms, possible)
    kept = [one for one in rows if one[2].nnz and one[2].data.clip(min=0.0).sum() > one[3] - SLACK]
    matrix = _stack([one[2] for one in kept], count * years)
    return Limits(
        rows=matrix,
        columns=matrix.tocsc(),
        limit=np.array([one[3] for one in kept]),
        kinds=tuple(one[0] for one in kept),
        names=tuple(one[1] for one in kept),
        possible=possible,
    )


def _check_fixed(blocks: list[tuple[str, str, np.ndarray, float]]) -> None:
    """Raise when built and contracted works alone break money or capacity."""
    broken = [name for _, name, _, limit in blocks if limit < -SLACK]
    if broken:
        raise InfeasibleError("works built or contracted already break: " + "; ".join(broken), broken)


def _stack(rows: list[csr_matrix], width: int) -> csr_matrix:
    return csr_matrix(vstack(rows)) if rows else csr_matrix((0, width))


def _add_money(
    blocks: list[tuple[str, str, np.ndarray, float]],
    terms: Terms,
    fund: int,
    money: np.ndarray,
    share: np.ndarray,
    done: np.ndarray,
) -> None:
    """Rows of one fund; money is scaled by all of it so that coefficients stay near one."""
    scale = max(1.0, float(money.sum()))
    cost = terms.cost_eur[:, fund] / scale
    nominal = share * terms.index
    owed = (np.where(terms.paid, 0.0, cost)[:, None] * done * terms.index).sum(axis=0)
    lines = ", ".join(terms.funding.lines[line].key for line in terms.funding.funds[fund])
    for year in range(terms.year_count):
        fade = np.where(np.arange(terms.year_count) <= year, 1.0, 0.0)
        fade[: year + 1] *= terms.carry_over ** np.arange(year, -1, -1)
        limit = float(fade @ (money / scale - owed))
        blocks.append(
            ("money", f"money of {lines} up to {terms.years[year]}", cost[:, None] * (nominal @ fade), limit)
        )


def _list_lots(terms: Terms, possible: np.ndarray) -> list[tuple[str, str, csr_matrix, float]]:
    count, years = possible.shape
    rows = []
    for lot in terms.lots:
        members = np.flatnonzero(lot.units > 0)
        for year in range(years):
            fixed = float(lot.units[terms.fixed_start == year].sum())
            able = members[possible[members, year]]
            for option in able:
                if lot.units[option] + fixed >= lot.least:
                    continue
                values = -lot.units[able] / lot.least
                values[able == option] += 1.0
                columns = able * years + year
                matrix = coo_matrix((values, (np.zeros(len(able), int), columns)), (1, count * years))
                name = f"lot of {lot.least:g} {lot.name}, {terms.years[year]}"
                rows.append(("lot", name, csr_matrix(matrix), fixed / lot.least))
    return rows


def _list_orders(terms: Terms, possible: np.ndarray) -> list[tuple[str, str, csr_matrix, float]]:
    count, years = possible.shape
    rows = []
    for order in terms.orders:
        weight = 1.0 / len(order.before)
        fixed = terms.fixed_finish[order.before]
        for option in order.after[~terms.is_fixed[order.after]]:
            for year in range(years):
                dense = np.zeros((count, years))
                dense[option, : year + 1] = possible[option, : year + 1]
                for one in order.before[~terms.is_fixed[order.before]]:
                    last = year - int(terms.spans.years[one])
                    if last >= 0:
                        dense[one, : last + 1] -= weight * possible[one, : last + 1]
                met = weight * float((fixed < year).sum())
                rows.append(("order", order.name, csr_matrix(dense.reshape(1, -1)), met))
    return rows
