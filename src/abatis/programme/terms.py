"""The terms of a programme: years, money, works, capacities, lots and order, read and checked whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from abatis.barrier.options import SiteOption, list_stocked
from abatis.barrier.sites import Siting
from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.plan import Plan
from abatis.model.study import Study
from abatis.programme.fixed import FixedWork, read_fixed_works
from abatis.programme.funding import Funding, read_funding
from abatis.programme.spans import (
    Capacity,
    Lot,
    Order,
    Spans,
    grow_effects,
    measure_spans,
    read_capacities,
    read_lots,
    read_orders,
    time_options,
)

NEVER = 1_000_000


@dataclass(frozen=True)
class Terms:
    """What the schedule has to keep: n options of a plan over Y years, F funds.

    `years` int64[Y]; `index` float64[Y], nominal over base-year prices; `weight` float64[Y], what an hour of
    each year counts; `options` int64[n], rows of the problem; `cost_eur` float64[n, F], base-year prices by
    fund, to the cent, without `paid_eur` float64[n, F], the part that was paid outside the programme;
    `growth` float64[n, 2, A], share of the delay on open ground and on roads by age;
    `fixed_start`, `fixed_finish` int64[n], year rows (may be negative), NEVER when free; `paid` bool[n].
    """

    years: np.ndarray
    base_year: int
    index: np.ndarray
    weight: np.ndarray
    carry_over: float
    funding: Funding
    options: np.ndarray
    option_keys: tuple[str, ...]
    sites: tuple[str, ...]
    cost_eur: np.ndarray
    spans: Spans
    growth: np.ndarray
    capacities: tuple[Capacity, ...]
    lots: tuple[Lot, ...]
    orders: tuple[Order, ...]
    fixed_start: np.ndarray
    fixed_finish: np.ndarray
    paid: np.ndarray
    paid_eur: np.ndarray

    @property
    def full_cost_eur(self) -> np.ndarray:
        """Cost of every option by fund, what was paid outside the programme included, float64[n, F]."""
        full: np.ndarray = np.round(self.cost_eur + self.paid_eur, 2)
        return full

    @property
    def option_count(self) -> int:
        """Number of options of the plan."""
        return len(self.options)

    @property
    def year_count(self) -> int:
        """Number of years."""
        return len(self.years)

    @property
    def fund_eur(self) -> np.ndarray:
        """Money of every fund by year, nominal EUR float64[F, Y]."""
        money = self.funding.money_eur
        return np.array([money[list(lines)].sum(axis=0) for lines in self.funding.funds]).reshape(
            -1, self.year_count
        )

    @property
    def is_fixed(self) -> np.ndarray:
        """Options built or contracted already, bool[n]."""
        fixed: np.ndarray = self.fixed_start != NEVER
        return fixed

    def find_finish(self, start: np.ndarray) -> np.ndarray:
        """Year row at whose end each option is finished, int64[n]; NEVER when it never starts."""
        finish = np.where(start == NEVER, NEVER, start + self.spans.years - 1)
        return np.where(self.is_fixed, self.fixed_finish, finish)


def read_terms(
    study: Study,
    plan: Plan,
    siting: Siting,
    fixed: Sequence[FixedWork] | None = None,
    named_budget: str | None = None,
) -> Terms:
    """Read the terms of a plan's programme from a study.

    Parameters
    ----------
    study : its settings programme.* and the tables of the programme.
    plan : the options chosen.
    siting : sites and options of the study; the plan must name options of it.
    fixed : options built or contracted already; those of fixed_works.csv when left out.
    named_budget : a budget of budgets.csv; that of the settings when left out.

    Raises
    ------
    InputError : all faults at once: a year without budget, overlapping lines, a measure nobody pays, lots
        larger than a line, lead times past the last year, circles of order rules, effects that fall, regions
        that overlap, options or sites that the study does not have.

    Formula: index_y = (1 + indexation)^(year - base year); weight_y = (1 + discount)^-(y - first year).
    In words: budgets are nominal, costs are in base-year prices; later hours count less.
    """
    faults: list[Fault] = []
    years = np.arange(study.first_year, study.first_year + study.programme_years)
    rows = _find_options(plan, siting, faults)
    options = [siting.options[row] for row in rows]
    sites = {site.key: site for site in siting.sites if site.key in {one.site for one in options}}
    paid_here = [drop_stock(one, list_stocked(study)) for one in options]
    measures = list(dict.fromkeys(measure for one in paid_here for measure, _ in one.quantities))
    funding, wrong = read_funding(study, years, measures, named_budget or study.named_budget)
    faults += wrong
    fund_eur = np.array([funding.money_eur[list(lines)].sum() for lines in funding.funds])
    spans = time_options(study, options, int(years[-1]), faults)
    works = read_fixed_works(study, options, faults) if fixed is None else tuple(fixed)
    cost_eur = _split_costs(study, paid_here, funding)
    start, finish, paid, paid_eur = _fix_works(options, years, works, cost_eur, faults)
    terms = Terms(
        years=years,
        base_year=study.base_year,
        index=(1.0 + study.indexation) ** (years - study.base_year).astype(float),
        weight=(1.0 + study.discount) ** -np.arange(len(years), dtype=float),
        carry_over=study.carry_over,
        funding=funding,
        options=np.array(rows, np.int64),
        option_keys=tuple(f"{one.site}/{one.option}" for one in options),
        sites=tuple(one.site for one in options),
        cost_eur=np.round(cost_eur - paid_eur, 2),
        spans=spans,
        growth=grow_effects(study, options, len(years), faults),
        capacities=read_capacities(study, options, sites, faults),
        lots=read_lots(study, paid_here, funding.fund_of, fund_eur, faults),
        orders=read_orders(study, options, [site.key for site in siting.sites], faults),
        fixed_start=start,
        fixed_finish=finish,
        paid=paid,
        paid_eur=paid_eur,
    )
    if faults:
        raise InputError(list(dict.fromkeys(faults)))
    return terms


def _find_options(plan: Plan, siting: Siting, faults: list[Fault]) -> list[int]:
    """Rows of the plan's options among those of the study."""
    known = {(one.site, one.option): row for row, one in enumerate(siting.options)}
    rows = []
    for one in plan.options:
        row = known.get((one.site, one.option))
        if row is None:
            faults.append(
                Fault(
                    f"names option '{one.option}' at site '{one.site}', which the study does not have",
                    f"plans/{plan.name}/plan.json",
                    remedy="solve the study again",
                )
            )
        else:
            rows.append(row)
    return sorted(rows)


def drop_stock(option: SiteOption, stocked: frozenset[str]) -> SiteOption:
    """Return an option without the measures that stand in stock: a locked line orders and pays them."""
    return replace(option, quantities=tuple(pair for pair in option.quantities if pair[0] not in stocked))


def _split_costs(study: Study, options: Sequence[SiteOption], funding: Funding) -> np.ndarray:
    """Cost of every option by fund, to the cent; the dearest measure takes what rounding leaves."""
    table = study.tables["measures"]
    unit = dict(zip(table["measure"], table["unit_cost_eur"], strict=True))
    cost = np.zeros((len(options), max(1, len(funding.funds))))
    for row, one in enumerate(options):
        parts = [(round(unit[measure] * units, 2), measure) for measure, units in one.quantities]
        if not parts:
            continue
        parts.sort()
        for part_eur, measure in parts:
            cost[row, funding.fund_of.get(measure, 0)] += part_eur
        fund = funding.fund_of.get(parts[-1][1], 0)
        cost[row, fund] = round(cost[row, fund] + one.cost_eur - cost[row].sum(), 2)
    return np.round(cost, 2)


def _fix_works(
    options: Sequence[SiteOption],
    years: np.ndarray,
    fixed: Sequence[FixedWork],
    cost_eur: np.ndarray,
    faults: list[Fault],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Year rows of what is built or contracted already, whether it is paid, and EUR paid by fund."""
    number = {one.site: row for row, one in enumerate(options)}
    start, finish = np.full((2, len(options)), NEVER, np.int64)
    paid, paid_eur = np.zeros(len(options), bool), np.zeros_like(cost_eur)
    for work in fixed:
        row = number.get(work.site)
        if row is None:
            text = f"site '{work.site}' is built or contracted but not in the plan"
            faults.append(Fault(text, "fixed works", None, "site", nearest_word(work.site, number)))
        elif work.finish_year < work.start_year:
            text = f"site '{work.site}' finishes in {work.finish_year}, before it starts in {work.start_year}"
            faults.append(Fault(text, "fixed works", None, "finish_year", "order the two years"))
        elif start[row] != NEVER:
            faults.append(
                Fault(f"site '{work.site}' stands twice", "fixed works", None, "site", "delete one")
            )
        else:
            start[row], finish[row] = work.start_year - years[0], work.finish_year - years[0]
            paid[row] = work.paid
            if work.paid_eur > 0:
                paid_eur[row] = _share_out(cost_eur[row], work.paid_eur)
                # Its rest has to be found in the years that are left.
                start[row] = max(0, start[row])
    return start, finish, paid, paid_eur


def _share_out(cost_eur: np.ndarray, amount_eur: float) -> np.ndarray:
    """Divide an amount over funds like a cost, to the cent; the dearest takes what rounding leaves."""
    parts: np.ndarray = np.round(cost_eur * (amount_eur / cost_eur.sum()), 2)
    dearest = int(np.argmax(cost_eur))
    parts[dearest] = np.round(parts[dearest] + amount_eur - parts.sum(), 2)
    return parts


def make_terms(
    options: np.ndarray,
    cost_eur: np.ndarray,
    money_eur: np.ndarray,
    span_years: np.ndarray | None = None,
    indexation: float = 0.0,
    discount: float = 0.0,
    carry_over: float = 1.0,
) -> Terms:
    """Make plain terms without a study: one planned line, no land, full effect at once.

    Parameters
    ----------
    options : rows of a problem int64[n].
    cost_eur : cost of each in base-year prices, float64[n].
    money_eur : money by year, float64[Y]; year 0 is the base year.
    span_years : years from start to finish int64[n]; all money is spent in the last; 1 when left out.
    indexation, discount, carry_over : shares per year.

    Examples
    --------
    >>> terms = make_terms(np.array([0, 1]), np.array([5.0, 7.0]), np.array([6.0, 6.0]))
    >>> terms.fund_eur.tolist(), terms.spans.years.tolist()
    ([[6.0, 6.0]], [1, 1])
    """
    from abatis.programme.funding import Line

    count, years = len(options), len(money_eur)
    span = np.ones(count, np.int64) if span_years is None else np.asarray(span_years, np.int64)
    spans = measure_spans(12.0 * (span - 1), np.full(count, 12.0))
    line = Line("planned", "planned line", True, float(money_eur.sum()), "made for a trial", "G")
    return Terms(
        years=np.arange(years),
        base_year=0,
        index=(1.0 + indexation) ** np.arange(years, dtype=float),
        weight=(1.0 + discount) ** -np.arange(years, dtype=float),
        carry_over=carry_over,
        funding=Funding("trial", (line,), np.array([money_eur], float), ((0,),), {}),
        options=np.asarray(options, np.int64),
        option_keys=tuple(f"o{one}" for one in options),
        sites=tuple(f"s{one}" for one in options),
        cost_eur=np.asarray(cost_eur, float)[:, None],
        spans=spans,
        growth=np.ones((count, 2, years)),
        capacities=(),
        lots=(),
        orders=(),
        fixed_start=np.full(count, NEVER, np.int64),
        fixed_finish=np.full(count, NEVER, np.int64),
        paid=np.zeros(count, bool),
        paid_eur=np.zeros((count, 1)),
    )
