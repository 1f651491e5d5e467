"""Measures held in stock: another budget line pays them, and a plan may lay only what that line buys."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from abatis.barrier.options import SiteOption, list_stocked
from abatis.model.plan import Rule
from abatis.model.study import Study


def count_stock_km(study: Study, measure: str) -> float:
    """Count the belt-kilometres of a measure that a plan may lay.

    Parameters
    ----------
    study : its tables stocks, belts, budget and measures, its years and indexation.
    measure : a measure of stocks.csv.

    Formula: km = held + sum over years of share x amount / years / (unit cost x index_y) - km of belts.csv.
    In words: what is held already, and what the line buys when it is spent evenly, without the belts that the
    study's author has placed already. Life and delivery are looked at by `abatis stock`.
    """
    table = study.tables["stocks"]
    row = table[table["measure"] == measure].iloc[0]
    budget = study.tables["budget"].set_index("line")
    unit = study.tables["measures"].set_index("measure")["unit_cost_eur"]
    years = study.first_year + np.arange(study.programme_years)
    index = (1.0 + study.indexation) ** (years - study.base_year).astype(float)
    yearly_eur = float(row["line_share"]) * float(budget["amount_eur"][row["line"]]) / len(years)
    price = float(unit[measure])
    bought = math.inf if price <= 0 else math.fsum(yearly_eur / (price * one) for one in index)
    belts = study.tables["belts"]
    own = belts[(belts["measure"] == measure) & belts["length_km"].notna()]
    return max(0.0, float(row["held_km"]) + bought - math.fsum(own["length_km"]))


def limit_stocks(study: Study, options: Sequence[SiteOption]) -> list[Rule]:
    """State one rule per stock that options use: no plan lays more kilometres than its line buys.

    Parameters
    ----------
    study : see `count_stock_km`.
    options : the options of all sites.

    In words: a belt whose length stands in belts.csv is counted there, whether a plan closes its site or not.
    """
    belts = study.tables["belts"]
    placed = {
        (str(row["site"]), str(row["measure"]))
        for _, row in belts[belts["length_km"].notna()].iterrows()
        if row["site"]
    }
    rules = []
    stocked, stocks = list_stocked(study), study.tables["stocks"]
    for measure, line in zip(stocks["measure"], stocks["line"], strict=True):
        if measure not in stocked:
            continue
        km = {
            row: units
            for row, option in enumerate(options)
            for key, units in option.quantities
            if key == measure and (option.site, key) not in placed
        }
        limit_km = count_stock_km(study, str(measure))
        if not km or math.isinf(limit_km):
            continue
        name = f"No more {measure} than line {line} buys as stock, {limit_km:,.1f} km"
        factors = np.array(list(km.values()), np.float64)
        rules.append(Rule(f"stock_{measure}", name, np.array(list(km), np.int32), factors, limit_km))
    return rules
