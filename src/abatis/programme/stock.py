"""Stock: belt-kilometres bought over the years within a locked budget line, their life and replacement."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from abatis.model.errors import Fault, nearest_word
from abatis.model.study import Study
from abatis.programme.belts import Belt
from abatis.programme.funding import Line, read_funding
from abatis.programme.spans import measure_spans

PLACE = "tables/stocks.csv"
METRE_KM = 0.001
CENT = 0.005


@dataclass(frozen=True)
class StockTerms:
    """What the buying of one reserve measure has to keep; Y years.

    `years` int64[Y]; `index` float64[Y], nominal over base-year prices; `weight` float64[Y], what a
    kilometre held in a year counts; `money_eur` float64[Y], nominal; `profile` float64[J], share of an order
    that is paid in its j-th year (it is in stock at the end of the last of them); `life_years`, at how many
    year ends it is good; `least_km` of all orders of a year together, `most_km` inf for no limit.
    """

    measure: str
    name: str
    line: str
    tag: str
    years: np.ndarray
    index: np.ndarray
    weight: np.ndarray
    need_km: float
    unit_cost_eur: float
    money_eur: np.ndarray
    carry_over: float
    profile: np.ndarray
    life_years: int
    held_km: float
    held_life_years: int
    least_km: float
    most_km: float


@dataclass(frozen=True)
class StockPlan:
    """What is ordered and held: all float64[Y], kilometres or nominal EUR.

    `stock_km` is good at the end of each year; `expired_km` went out of life during it; `short_km` is missing
    to the need; `renewal_km`, `renewal_eur` float64[T] say what falls due in each year after the programme
    when the last year's stock is kept up.
    """

    terms: StockTerms
    ordered_km: np.ndarray
    delivered_km: np.ndarray
    expired_km: np.ndarray
    stock_km: np.ndarray
    short_km: np.ndarray
    spent_eur: np.ndarray
    left_eur: np.ndarray
    renewal_years: np.ndarray
    renewal_km: np.ndarray
    renewal_eur: np.ndarray


def read_stocks(study: Study, belts: Sequence[Belt], faults: list[Fault]) -> tuple[StockTerms, ...]:
    """Read what every stock needs and may cost.

    Parameters
    ----------
    study : its tables stocks, measures, lots and the budget; its programme years.
    belts : all reserve belts; the need is the sum of their lengths.
    faults : every fault found is added; the result is of use only without faults.
    """
    table = study.tables["stocks"]
    years = study.first_year + np.arange(study.programme_years)
    funding, wrong = read_funding(study, years, [], study.named_budget)
    faults += wrong
    lines = {line.key: (number, line) for number, line in enumerate(funding.lines)}
    faults += _check_lines(study, {key: line for key, (_, line) in lines.items()})
    measures = study.tables["measures"].set_index("measure")
    lots = {str(one["measure"]): one for _, one in study.tables["lots"].iterrows()}
    terms = []
    for row, stock in table.iterrows():
        measure = measures.loc[stock["measure"]]
        lot = lots.get(str(stock["measure"]))
        wait, least = (0.0, 0.0) if lot is None else (lot["delivery_months"], lot["minimum_order_units"])
        spans = measure_spans(np.array([wait]), np.array([measure["lead_months"]], float))
        one = StockTerms(
            measure=str(stock["measure"]),
            name=str(measure["name"]),
            line=str(stock["line"]),
            tag=str(stock["tag"]),
            years=years,
            index=(1.0 + study.indexation) ** (years - study.base_year).astype(float),
            weight=(1.0 + study.discount) ** -np.arange(len(years), dtype=float),
            need_km=round(math.fsum(belt.length_km for belt in belts if belt.measure == stock["measure"]), 3),
            unit_cost_eur=float(measure["unit_cost_eur"]),
            money_eur=funding.money_eur[lines[stock["line"]][0]] * float(stock["line_share"]),
            carry_over=study.carry_over,
            profile=spans.profile[0],
            life_years=int(measure["life_years"]),
            held_km=float(stock["held_km"]),
            held_life_years=int(stock["held_life_years"]),
            least_km=float(least),
            most_km=math.inf if math.isnan(stock["most_km_per_year"]) else float(stock["most_km_per_year"]),
        )
        faults += _check_stock(study, one, str(measure["unit"]), int(str(row)))
        terms.append(one)
    return tuple(terms)


def _check_lines(study: Study, lines: dict[str, Line]) -> list[Fault]:
    """A stock is paid by a locked line, by one only, and a line is not shared out beyond itself."""
    faults = []
    payers = study.tables["budget_measures"].set_index("measure")["line"].to_dict()
    total: dict[str, float] = {}
    for row, stock in study.tables["stocks"].iterrows():
        line, measure, number = str(stock["line"]), str(stock["measure"]), int(str(row))
        total[line] = total.get(line, 0.0) + float(stock["line_share"])
        if lines[line].planned:
            text = f"line '{line}' is planned: its money is spent on sites already"
            locked = [key for key, one in lines.items() if not one.planned]
            faults.append(Fault(text, PLACE, number, "line", nearest_word(line, locked)))
        if payers.get(measure, line) != line:
            text = f"line '{payers[measure]}' pays measure '{measure}' in tables/budget_measures.csv"
            faults.append(Fault(text, PLACE, number, "line", "name the same line in both"))
        if total[line] > 1.0 + 1e-9:
            text = f"the shares of line '{line}' add up to {total[line]:g}"
            faults.append(Fault(text, PLACE, number, "line_share", "let them add up to 1 at most"))
    return faults


def _check_stock(study: Study, terms: StockTerms, unit: str, row: int) -> list[Fault]:
    faults = []
    measures = study.tables["measures"]
    of_measure = int(measures.index[measures["measure"] == terms.measure][0])
    lots = study.tables["lots"]
    of_lot = lots.index[lots["measure"] == terms.measure]
    if unit != "km":
        text = f"measure '{terms.measure}' is counted in {unit}"
        faults.append(Fault(text, PLACE, row, "measure", "a reserve belt is counted in km"))
    if terms.life_years < 1:
        text = f"stock of '{terms.measure}' is good for less than a year"
        faults.append(Fault(text, "tables/measures.csv", of_measure, "life_years", "give at least 1"))
    if terms.held_km > 0 and terms.held_life_years < 1:
        text = f"{terms.held_km:g} km are held that are good at no year's end"
        faults.append(Fault(text, PLACE, row, "held_life_years", "give years, or hold 0 km"))
    if len(terms.profile) > len(terms.years):
        text = (
            f"orders of '{terms.measure}' take {len(terms.profile)} years, past the last, {terms.years[-1]}"
        )
        remedy = "shorten it, or lengthen the programme"
        faults.append(Fault(text, "tables/measures.csv", of_measure, "lead_months", remedy))
    if terms.least_km > 0:
        price = terms.least_km * terms.unit_cost_eur
        if price > terms.money_eur.sum():
            text = f"a lot of {terms.least_km:g} km costs {price:,.0f} EUR, more than its line has"
            text += f" for it ({terms.money_eur.sum():,.0f})"
            faults.append(
                Fault(
                    text,
                    "tables/lots.csv",
                    int(of_lot[0]),
                    "minimum_order_units",
                    "lower it or raise the line",
                )
            )
        if terms.least_km > terms.most_km:
            text = (
                f"a lot of {terms.least_km:g} km is more than can be ordered in a year, {terms.most_km:g} km"
            )
            faults.append(Fault(text, PLACE, row, "most_km_per_year", "raise it or lower the lot"))
    return faults


def buy_stock(terms: StockTerms, tail_years: int = 0) -> StockPlan:
    """Buy so that most of the need is held over the years, for the least money that does so.

    Parameters
    ----------
    terms : what is needed, what it costs and when money comes.
    tail_years : years after the programme for which renewals are listed.

    Formula: max sum_y weight_y held_y, held_y <= need, held_y <= sum of orders alive at the end of y; money
    as in the schedule: for every y the sum over tau <= y of s^(y - tau) (spent_tau - money_tau) is at most 0,
    with s the carry-over share; a year's orders are 0 or least..most km. Then, among the best, the least
    spending.
    In words: exact, a mixed-integer programme of a few dozen columns (HiGHS). Orders are then rounded to
    whole metres that the money pays, and everything shown is computed from them.

    Examples
    --------
    Ten km needed, 3 EUR a year, 1 EUR per km, delivery within the year:

    >>> plan = buy_stock(make_stock_terms(10.0, np.full(4, 3.0)))
    >>> plan.ordered_km.tolist(), plan.short_km.tolist()
    ([3.0, 3.0, 3.0, 1.0], [7.0, 4.0, 1.0, 0.0])
    """
    orders = _solve_orders(terms) if terms.need_km > 0 else np.zeros(len(terms.years))
    # The running sum is cut to metres, so that nothing is lost in the end.
    whole = np.diff(np.floor(np.cumsum(orders) / METRE_KM + 0.01), prepend=0.0) * METRE_KM
    whole = np.where(
        (whole > METRE_KM / 2) & (whole < terms.least_km), terms.least_km, np.maximum(0.0, whole)
    )
    plan = lay_out_stock(terms, whole, tail_years)
    while (plan.left_eur < -CENT).any():
        # Rounding may have bought a metre more than the money pays.
        late = int(np.flatnonzero(plan.left_eur < -CENT)[0])
        last = int(np.flatnonzero(whole[: late + 1] > 0)[-1])
        less = whole[last] - METRE_KM
        whole[last] = 0.0 if less < terms.least_km else less
        plan = lay_out_stock(terms, whole, tail_years)
    return plan


def lay_out_stock(terms: StockTerms, ordered_km: np.ndarray, tail_years: int = 0) -> StockPlan:
    """Compute deliveries, life, stock and money of given orders, float64[Y] km; no solver in it."""
    years = len(terms.years)
    ordered = np.round(ordered_km, 3)
    wait = len(terms.profile) - 1
    delivered, expired = np.zeros((2, years + tail_years))
    delivered[wait:years] = ordered[: years - wait]
    renewal = np.zeros(tail_years)
    ends = [(year + terms.life_years, delivered[year]) for year in range(years) if delivered[year] > 0]
    ends += [(terms.held_life_years, terms.held_km)] if terms.held_km > 0 else []
    while ends:
        year, km = ends.pop()
        if year >= years + tail_years:
            continue
        if year < years:
            expired[year] += km
        else:
            renewal[year - years] += km
            ends.append((year + terms.life_years, km))
    stock = terms.held_km + np.cumsum(delivered[:years] - expired[:years])
    spent = lay_out_spending(terms, ordered)
    left = np.zeros(years)
    purse = 0.0
    for year in range(years):
        purse = purse * terms.carry_over + terms.money_eur[year] - spent[year]
        left[year] = purse
    after = terms.years[-1] + 1 + np.arange(tail_years)
    growth = terms.index[-1] * (terms.index[-1] / terms.index[-2] if years > 1 else 1.0) ** (
        after - terms.years[-1]
    )
    return StockPlan(
        terms=terms,
        ordered_km=ordered,
        delivered_km=delivered[:years],
        expired_km=expired[:years],
        stock_km=np.round(stock, 3),
        short_km=np.round(np.maximum(0.0, terms.need_km - stock), 3),
        spent_eur=spent,
        left_eur=np.round(left, 2),
        renewal_years=after,
        renewal_km=np.round(renewal, 3),
        renewal_eur=np.round(renewal * terms.unit_cost_eur * growth, 2),
    )


def lay_out_spending(terms: StockTerms, ordered_km: np.ndarray) -> np.ndarray:
    """Nominal EUR paid in each year for given orders, to the cent, float64[Y]."""
    years = len(terms.years)
    paid = np.zeros(years)
    for offset, share in enumerate(terms.profile):
        paid[offset:] += share * ordered_km[: years - offset]
    return np.asarray(np.round(paid * terms.unit_cost_eur * terms.index, 2))


def _solve_orders(terms: StockTerms) -> np.ndarray:
    """Kilometres ordered by year, float64[Y]: columns are orders, what is held of the need, lots."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    years, wait = len(terms.years), len(terms.profile) - 1
    one, none = np.eye(years), np.zeros((years, years))
    alive, spent = np.zeros((years, years)), np.zeros((years, years))
    for year in range(years - wait):
        alive[year + wait : year + wait + terms.life_years, year] = 1.0
        spent[year : year + wait + 1, year] = (
            terms.profile * terms.unit_cost_eur * terms.index[year:][: wait + 1]
        )
    held = np.where(np.arange(years) < terms.held_life_years, terms.held_km, 0.0)
    fade = np.tril(terms.carry_over ** np.maximum(0, np.subtract.outer(np.arange(years), np.arange(years))))
    scale = max(1.0, float(terms.money_eur.sum()))
    top = np.full(years, min(terms.most_km, max(terms.need_km, terms.least_km)))
    top[years - wait :] = 0.0
    rules = [
        LinearConstraint(np.hstack([-alive, one, none]), -np.inf, held),
        LinearConstraint(
            np.hstack([fade @ spent / scale, none, none]), -np.inf, fade @ terms.money_eur / scale
        ),
        LinearConstraint(np.hstack([one, none, -np.diag(top)]), -np.inf, 0.0),
        LinearConstraint(np.hstack([-one, none, terms.least_km * one]), -np.inf, 0.0),
    ]
    bounds = Bounds(0.0, np.concatenate([top, np.full(years, terms.need_km), np.ones(years)]))
    # Without a least order a lot may be any share: then it is a plain linear programme.
    whole = np.repeat([0, 0, int(terms.least_km > 0)], years)
    worth = np.concatenate([np.zeros(years), terms.weight / terms.need_km, np.zeros(years)])
    first = milp(-worth, integrality=whole, bounds=bounds, constraints=rules, options={"mip_rel_gap": 0.0})
    best = LinearConstraint(worth, -first.fun - 1e-9 * max(1.0, -first.fun), np.inf)
    price = np.concatenate([spent.sum(axis=0) / scale, np.zeros(2 * years)])
    second = milp(
        price, integrality=whole, bounds=bounds, constraints=[*rules, best], options={"mip_rel_gap": 0.0}
    )
    chosen = second if second.success else first
    return np.asarray(chosen.x[:years])


def make_stock_terms(
    need_km: float,
    money_eur: np.ndarray,
    unit_cost_eur: float = 1.0,
    life_years: int = 20,
    delivery_years: int = 1,
    least_km: float = 0.0,
    most_km: float = math.inf,
    carry_over: float = 1.0,
    indexation: float = 0.0,
    held_km: float = 0.0,
    held_life_years: int = 0,
) -> StockTerms:
    """Make plain terms without a study: an order is paid and delivered evenly over `delivery_years`.

    Examples
    --------
    >>> make_stock_terms(2.0, np.ones(3)).profile.tolist()
    [1.0]
    """
    years = np.arange(len(money_eur))
    return StockTerms(
        measure="belt",
        name="belt",
        line="line",
        tag="G",
        years=years,
        index=(1.0 + indexation) ** years.astype(float),
        weight=np.ones(len(years)),
        need_km=need_km,
        unit_cost_eur=unit_cost_eur,
        money_eur=np.asarray(money_eur, float),
        carry_over=carry_over,
        profile=np.full(delivery_years, 1.0 / delivery_years),
        life_years=life_years,
        held_km=held_km,
        held_life_years=held_life_years,
        least_km=least_km,
        most_km=most_km,
    )
