"""Money: the budget lines, the named budget in use, its years, and which lines pay which measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from abatis.model.errors import Fault, nearest_word
from abatis.model.study import Study

CENT = 0.005


@dataclass(frozen=True)
class Line:
    """One budget line over the whole programme, nominal EUR; locked lines are not `planned` by abatis."""

    key: str
    name: str
    planned: bool
    amount_eur: float
    source: str
    tag: str


@dataclass(frozen=True)
class Funding:
    """Lines, their money float64[L, Y] (nominal EUR), and funds: the lines that pay the same measures.

    `funds[f]` holds line numbers; `fund_of[measure]` the fund that pays a measure; `budget` is the name of
    the reading in use.
    """

    budget: str
    lines: tuple[Line, ...]
    money_eur: np.ndarray
    funds: tuple[tuple[int, ...], ...]
    fund_of: dict[str, int]


def read_funding(
    study: Study, years: np.ndarray, measures: Sequence[str], named_budget: str | None
) -> tuple[Funding, list[Fault]]:
    """Read who pays what in which year.

    Parameters
    ----------
    study : its tables budget, budgets, budget_years and budget_measures.
    years : int64[Y], calendar years of the programme.
    measures : keys of the measures that the plan uses; each must be paid by exactly one fund.
    named_budget : a budget of budgets.csv, None for the amounts of budget.csv.

    Returns
    -------
    The funding, and every fault found (the funding is of use only without faults).

    In words: a line without rows in budget_years.csv is spread evenly over the years, to the cent. A measure
    that budget_measures.csv does not name is paid by the planned lines that name no measure, the first line
    of the table first.
    """
    name, amounts, faults = _choose_amounts(study, named_budget)
    lines = tuple(
        Line(
            str(row["line"]),
            str(row["name"]),
            bool(row["planned"]),
            *amounts.get(str(row["line"]), (float(row["amount_eur"]), str(row["source"]), str(row["tag"]))),
        )
        for _, row in study.tables["budget"].iterrows()
    )
    money = np.array([_spread_line(study, line, years, faults) for line in lines]).reshape(-1, len(years))
    funds, fund_of = _assign_measures(study, lines, measures, faults)
    return Funding(name, lines, money, funds, fund_of), faults


def _choose_amounts(
    study: Study, named_budget: str | None
) -> tuple[str, dict[str, tuple[float, str, str]], list[Fault]]:
    """Amounts, sources and tags by line of the named budget; it must speak of every line."""
    if named_budget is None:
        return "budget.csv", {}, []
    budgets = study.tables["budgets"]
    rows = budgets[budgets["budget"] == named_budget]
    if rows.empty:
        remedy = nearest_word(named_budget, dict.fromkeys(budgets["budget"]))
        return (
            named_budget,
            {},
            [Fault(f"has no budget '{named_budget}'", "tables/budgets.csv", None, "budget", remedy)],
        )
    missing = [line for line in study.tables["budget"]["line"] if line not in set(rows["line"])]
    faults = [
        Fault(
            f"budget '{named_budget}' does not say what line '{line}' has",
            "tables/budgets.csv",
            int(rows.index[-1]),
            "line",
            "add a row for it, 0 EUR when it has none",
        )
        for line in missing
    ]
    amounts = {
        str(row["line"]): (float(row["amount_eur"]), str(row["source"]), str(row["tag"]))
        for _, row in rows.iterrows()
    }
    return named_budget, amounts, faults


def _spread_line(study: Study, line: Line, years: np.ndarray, faults: list[Fault]) -> np.ndarray:
    """Money of a line by year: its rows of budget_years.csv, or even parts to the cent."""
    table = study.tables["budget_years"]
    rows = table[table["line"] == line.key]
    if rows.empty:
        return spread_evenly(line.amount_eur, len(years))
    place = "tables/budget_years.csv"
    given = {int(row["year"]): float(row["amount_eur"]) for _, row in rows.iterrows()}
    span = f"{years[0]} to {years[-1]}"
    for row, year in rows["year"].items():
        if not years[0] <= year <= years[-1]:
            faults.append(
                Fault(
                    f"{int(year)} lies outside the programme, {span}",
                    place,
                    int(str(row)),
                    "year",
                    "delete the row",
                )
            )
    faults += [
        Fault(
            f"line '{line.key}' has no money for {year}",
            place,
            int(rows.index[-1]),
            "year",
            "add a row for the year, 0 EUR when there is none",
        )
        for year in years.tolist()
        if year not in given
    ]
    total = sum(given.values())
    if abs(total - line.amount_eur) > CENT:
        faults.append(
            Fault(
                f"the years of line '{line.key}' add up to {total:,.2f} EUR, "
                f"but the line has {line.amount_eur:,.2f}",
                place,
                int(rows.index[0]),
                "amount_eur",
                "make them agree",
            )
        )
    return np.array([given.get(year, 0.0) for year in years.tolist()])


def spread_evenly(amount_eur: float, parts: int) -> np.ndarray:
    """Divide an amount into equal parts to the cent; the last part takes what rounding leaves.

    Examples
    --------
    >>> spread_evenly(100.0, 3).tolist()
    [33.33, 33.33, 33.34]
    """
    money = np.full(parts, np.round(amount_eur / parts, 2))
    money[-1] = np.round(amount_eur - money[:-1].sum(), 2)
    return money


def _assign_measures(
    study: Study, lines: Sequence[Line], measures: Sequence[str], faults: list[Fault]
) -> tuple[tuple[tuple[int, ...], ...], dict[str, int]]:
    """Group lines to funds; a measure that two lines pay, or none, is a fault."""
    place = "tables/budget_measures.csv"
    table = study.tables["budget_measures"]
    number = {line.key: index for index, line in enumerate(lines)}
    payer: dict[str, int] = {}
    for row, record in table.iterrows():
        measure, line = str(record["measure"]), number.get(str(record["line"]), -1)
        if payer.setdefault(measure, line) != line:
            first = lines[payer[measure]].key
            text = f"measure '{measure}' is paid by line '{first}' already: the lines overlap"
            faults.append(Fault(text, place, int(str(row)), "measure", "name every measure under one line"))
    named = set(payer.values())
    rest = tuple(index for index, line in enumerate(lines) if line.planned and index not in named)
    funds: list[tuple[int, ...]] = [rest] if rest else []
    funds += [(index,) for index in sorted(named)]
    of_line = {index: fund for fund, members in enumerate(funds) for index in members}
    fund_of = {}
    for measure in measures:
        if measure in payer:
            fund_of[measure] = of_line[payer[measure]]
        elif rest:
            fund_of[measure] = 0
        else:
            text = f"measure '{measure}' of the plan is paid by no line"
            faults.append(
                Fault(text, place, None, "measure", "add a row, or a planned line that names no measure")
            )
    return tuple(funds), fund_of


def list_readings(study: Study) -> list[dict[str, object]]:
    """List the named budgets side by side: amount of every line, their sum, sources and tags."""
    budgets: pd.DataFrame = study.tables["budgets"]
    shown = []
    for key in dict.fromkeys(budgets["budget"]):
        rows = budgets[budgets["budget"] == key]
        shown.append(
            {
                "budget": key,
                "name": str(rows["name"].iloc[0]),
                "lines": {str(r["line"]): float(r["amount_eur"]) for _, r in rows.iterrows()},
                "total_eur": float(rows["amount_eur"].sum()),
                "tags": " ".join(dict.fromkeys(rows["tag"])),
                "sources": "; ".join(dict.fromkeys(rows["source"])),
            }
        )
    return shown
