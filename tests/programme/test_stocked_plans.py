"""Reserve belts of a plan are paid once: by the locked line that holds their stock, not the planned one."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.programme.book_reader import Book

from abatis.barrier.sites import site_study
from abatis.barrier.stocked import count_stock_km
from abatis.model.plan import read_plan
from abatis.model.study import hash_study, read_study
from abatis.programme.drawn_works import date_schedule
from abatis.programme.risk import prepare_case, run_draws
from abatis.programme.terms import read_terms
from abatis.show.programme import ProgrammeSettings, make_programme
from abatis.show.report.programme import write_programme_files
from abatis.show.stock import compute_stock


@pytest.fixture(scope="module")
def sited(stock_study):
    study, mesh = stock_study
    return study, mesh, site_study(study, mesh)


def test_a_belt_is_paid_by_its_own_line_alone(stock_folder, sited):
    study, _, siting = sited
    plan = read_plan(stock_folder / "plans" / "base")
    options = {(one.site, one.option): one for one in siting.options}
    chosen = [options[one.site, one.option] for one in plan.options]
    km = sum(dict(one.quantities).get("reserve", 0.0) for one in chosen)
    blocks = sum(dict(one.quantities).get("block", 0.0) for one in chosen)
    block_eur = float(study.tables["measures"].set_index("measure")["unit_cost_eur"]["block"])
    assert km > 0 and blocks > 0
    assert plan.cost_eur == pytest.approx(blocks * block_eur)
    terms = read_terms(study, plan, siting)
    assert terms.cost_eur.sum() == pytest.approx(plan.cost_eur, abs=0.005)
    found = compute_stock(stock_folder, "base", None, "covering", lambda *_: None)
    assert found.stocks[0].terms.need_km == pytest.approx(km)
    assert found.stocks[0].terms.line == "mines"
    assert found.stocks[0].spent_eur.sum() == pytest.approx(km * 100e3, rel=0.5)


def test_no_plan_lays_more_than_the_line_buys(stock_folder, sited):
    siting = sited[2]
    rule = next(one for one in siting.problem.rules if one.key == "stock_reserve")
    assert rule.limit == pytest.approx(sum(5e5 / (100e3 * 1.02**year) for year in range(1, 11)))
    for row, factor in zip(rule.options, rule.coefficients, strict=True):
        assert dict(siting.options[row].quantities)["reserve"] == factor
    plan = read_plan(stock_folder / "plans" / "base")
    chosen = {(one.site, one.option) for one in plan.options}
    used = [(siting.options[row].site, siting.options[row].option) in chosen for row in rule.options]
    assert 0 < rule.coefficients[np.array(used)].sum() <= rule.limit


def test_belts_of_the_author_take_their_part(sited):
    study = sited[0]
    before = count_stock_km(study, "reserve")
    site = sited[2].sites[0].key
    row = {"belt": "a", "name": "A", "measure": "reserve", "site": site, "lon": np.nan, "lat": np.nan}
    row |= {"length_km": 3.0, "delay_h": np.nan, "notice_h": np.nan, "source": "t", "tag": "G"}
    tables = {**study.tables, "belts": pd.DataFrame([row], index=[2])}
    more = replace(study, tables=tables)
    assert count_stock_km(more, "reserve") == pytest.approx(before - 3.0)
    rules = site_study(more, sited[1]).problem.rules
    rule = next(one for one in rules if one.key == "stock_reserve")
    placed = [number for number, one in enumerate(sited[2].options) if one.site == site]
    assert not set(placed) & set(rule.options.tolist())


def test_a_changed_stock_makes_such_a_plan_stale_and_no_other(stock_folder, tmp_path):
    own = Path(shutil.copytree(stock_folder, tmp_path / "own"))
    before = hash_study(read_study(own))
    table = own / "tables" / "stocks.csv"
    table.write_text(table.read_text("utf-8").replace("test,G", "another test,G"), "utf-8")
    assert hash_study(read_study(own)) != before
    options = own / "tables" / "options.csv"
    options.write_text(options.read_text("utf-8").replace("reserve", "ditch"), "utf-8")
    without = hash_study(read_study(own))
    table.write_text(table.read_text("utf-8").replace("another", "a third"), "utf-8")
    assert hash_study(read_study(own)) == without


@pytest.fixture(scope="module")
def programme(stock_folder):
    return make_programme(stock_folder, ProgrammeSettings(time_limit_s=2.0), lambda *_: None)


def fix_inputs(study, but=""):
    """The study with every drawn input at its likely value, but the unit cost of one measure."""
    measures = study.tables["measures"].copy()
    for side in ("low", "high"):
        measures[f"delay_{side}_h"] = measures["delay_h"]
        sure = measures["measure"] != but
        measures.loc[sure, f"unit_cost_{side}_eur"] = measures.loc[sure, "unit_cost_eur"]
    likely = {"price_level": 1, "slip_years": 0, "land_years": 0, "failure": 0, "left_share": 1}
    rows = [{"risk": k, "low": v, "mode": v, "high": v, "source": "t", "tag": "G"} for k, v in likely.items()]
    risks = pd.DataFrame(rows, index=range(2, 2 + len(rows))).astype({"low": float, "mode": float})
    return replace(
        study, tables={**study.tables, "measures": measures, "risks": risks.astype({"high": float})}
    )


def test_draws_pay_no_belt_either(programme, sited):
    """Belts may cost half or twice as much: with no other spread every draw pays the schedule to the cent."""
    terms, schedule, siting = programme.terms, programme.schedule, programme.siting
    dated = date_schedule("base", terms, schedule)
    study = fix_inputs(programme.study, "reserve")
    case = prepare_case(study, sited[1], siting, [dated], terms.years, index=terms.index)
    assert "reserve" in case.works.measures
    outcome = run_draws(case, 1, 9)
    planned = study.tables["budget"].set_index("line")["planned"].astype(bool)
    paid = schedule.nominal_eur[planned.loc[list(schedule.lines)].to_numpy()].sum(axis=0)
    assert paid.sum() > 1e5
    assert np.array_equal(np.round(outcome.spend_eur[0, :, :-1] - paid, 4), np.zeros((9, len(paid))))
    assert not outcome.spend_eur[0, :, -1].any()
    np.testing.assert_allclose(outcome.hours[0], np.broadcast_to(schedule.held_h.T, outcome.hours[0].shape))
    without = {**study.tables, "stocks": study.tables["stocks"].iloc[:0]}
    charged = prepare_case(replace(study, tables=without), sited[1], siting, [dated], terms.years)
    assert np.ptp(run_draws(charged, 1, 9).cost_eur) > 1e5


def test_workbook_and_schedule_agree_when_a_plan_holds_belts(programme):
    _, workbook = write_programme_files(programme)
    book = Book(workbook.read_bytes())
    assert book.value("Checks", 2, book.depth["Checks"]) == "all agree"
