"""Duties after the programme: belts that are cleared, works that are removed, the author's own figures."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from abatis.barrier.sites import site_study
from abatis.model.plan import read_plan
from abatis.people.clearance import read_terms as read_clearance_terms
from abatis.programme.clearing import list_liabilities, sum_by_measure
from abatis.programme.terms import read_terms

LAND_M2 = 200_000.0


@pytest.fixture(scope="module")
def case(stock_folder, stock_study):
    """The stock study with land for its belts, and a schedule that never finishes the first work."""
    study, mesh = stock_study
    measures = study.tables["measures"].copy()
    measures.loc[measures["measure"] == "reserve", "land_take_m2"] = LAND_M2
    own = {"belt": "own", "name": "Own", "measure": "reserve", "site": "", "lon": 24.4, "lat": 55.0}
    own |= {"length_km": 2.5, "delay_h": np.nan, "notice_h": np.nan, "source": "t", "tag": "G"}
    belts = pd.DataFrame([own], index=[2])
    study = replace(study, tables={**study.tables, "measures": measures, "belts": belts})
    siting = site_study(study, mesh)
    plan = read_plan(stock_folder / "plans" / "base")
    terms = read_terms(study, plan, siting)
    finish = np.full(terms.option_count, 2030)
    finish[0] = -1
    return study, siting, plan, terms, SimpleNamespace(finish_year=finish)


def list_them(case, table=None):
    study, siting, plan, terms, schedule = case
    if table is not None:
        study = replace(study, tables={**study.tables, "liabilities": table})
    notes: list[str] = []
    return list_liabilities(study, siting, terms, schedule, plan, notes), notes


def test_belts_cost_their_area_times_the_price(case):
    study, siting, _, terms, schedule = case
    found, notes = list_them(case)
    price = read_clearance_terms(study)["price"].value
    km = {
        terms.sites[row]: dict(siting.options[option].quantities).get("reserve", 0.0)
        for row, option in enumerate(terms.options)
        if schedule.finish_year[row] >= 0
    }
    wanted = {f"clear_{site}": units for site, units in km.items() if units} | {"clear_own": 2.5}
    belts = {one.key: one for one in found if one.belt}
    assert set(belts) == set(wanted)
    assert len(wanted) > 1
    for key, units in wanted.items():
        area = units * LAND_M2
        figures = (belts[key].low_eur, belts[key].amount_eur, belts[key].high_eur)
        assert figures == pytest.approx((area * price.low, area * price.mode, area * price.high), abs=0.01)
        assert belts[key].tag == "G"
    assert notes == []
    (total,) = [one for one in sum_by_measure(found, {"reserve": "Reserve belt"}) if one.measure]
    assert total.amount_eur == pytest.approx(sum(wanted.values()) * LAND_M2 * price.mode, abs=0.05)


def test_removal_leaves_belts_out(case):
    study, siting, _, terms, schedule = case
    unit = study.tables["measures"].set_index("measure")["removal_cost_eur"]
    blocks = sum(
        dict(siting.options[option].quantities).get("block", 0.0)
        for row, option in enumerate(terms.options)
        if schedule.finish_year[row] >= 0
    )
    found, _ = list_them(case)
    assert found[0].key == "removal"
    assert found[0].amount_eur == pytest.approx(blocks * float(unit["block"]), abs=1.0)


def test_rows_of_the_table_replace_what_they_name(case):
    def row(key, amount):
        return {
            "liability": key, "name": key, "low_eur": amount, "amount_eur": amount, "high_eur": amount,
            "source": "t", "tag": "F",
        }  # fmt: skip

    plain, _ = list_them(case)
    table = pd.DataFrame([row("clear_own", 7.0), row("museum", 1.0)], index=[2, 3])
    found, notes = list_them(case, table)
    assert {one.key for one in found} == {one.key for one in plain} | {"museum"}
    assert next(one for one in found if one.key == "clear_own").amount_eur == 7.0
    assert notes == ["liabilities.csv replaces the computed figures of clear_own"]
    table = pd.DataFrame([row("clearance_reserve", 9.0), row("removal", 3.0)], index=[2, 3])
    found, _ = list_them(case, table)
    assert [(one.key, one.amount_eur) for one in found] == [("clearance_reserve", 9.0), ("removal", 3.0)]
