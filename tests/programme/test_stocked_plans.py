"""Reserve belts of a plan are paid once: by the locked line that holds their stock, not the planned one."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from abatis.barrier.sites import site_study
from abatis.barrier.stocked import count_stock_km
from abatis.model.plan import read_plan
from abatis.model.study import hash_study, read_study
from abatis.programme.drawn_works import date_schedule
from abatis.programme.kept import read_schedule
from abatis.programme.risk import prepare_case, run_draws
from abatis.programme.terms import read_terms
from abatis.show.cli import main
from abatis.show.stock import compute_stock
from abatis.show.workflow import load_study


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
def sure(stock_folder, tmp_path_factory):
    """The study without any spread but for the price of belts, its plan scheduled."""
    own = Path(shutil.copytree(stock_folder, tmp_path_factory.mktemp("sure") / "own"))
    table = own / "tables" / "measures.csv"
    frame = pd.read_csv(table, dtype=str, keep_default_na=False)
    for figure in ("unit_cost_{}eur", "delay_{}h"):
        for side in ("low_", "high_"):
            sure = frame["measure"] != ("reserve" if "cost" in figure else "")
            frame.loc[sure, figure.format(side)] = frame.loc[sure, figure.format("")]
    frame.to_csv(table, index=False)
    rows = ("price_level,1,1,1", "slip_years,0,0,0", "land_years,0,0,0", "failure,0,0,0", "left_share,1,1,1")
    text = "risk,low,mode,high,source,tag\n" + "".join(f"{row},test,G\n" for row in rows)
    (own / "tables" / "risks.csv").write_text(text, "utf-8")
    assert main(["solve", str(own), "--time-limit", "5"]) == 0
    assert main(["programme", str(own), "--time-limit", "2"]) == 0
    return own


def test_draws_pay_no_belt_either(sure, capsys):
    """Belts may cost half or twice as much: without other spread every draw pays the schedule to the cent."""
    plan = read_plan(sure / "plans" / "base")
    assert sum(dict(one.quantities).get("reserve", 0.0) for one in plan.options) > 0
    capsys.readouterr()
    assert main(["programme", str(sure), "--time-limit", "2", "--json"]) == 0
    shown = [year["total_eur"] for year in json.loads(capsys.readouterr().out)["years"]]
    assert main(["risk", str(sure), "--draws", "9", "--workers", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    drawn = told["years_base"]
    for part in ("p10", "p50", "p90"):
        assert [round(row[f"spent_{part}_eur"], 6) for row in drawn] == shown
    total = round(sum(shown), 2)
    assert total > 0
    row = told["plans"][0]
    assert round(row["cost_p10_eur"], 4) == round(row["cost_p90_eur"], 4) == total


def test_draws_that_pay_the_belts_themselves_spread(sure):
    """The same draws on a study without stock pay the belts, so the test above can fail."""
    study, mesh = load_study(sure)
    siting = site_study(study, mesh)
    plan = read_plan(sure / "plans" / "base")
    schedule = read_schedule(sure / "plans" / "base").schedule
    dated = date_schedule("base", read_terms(study, plan, siting), schedule)
    bare = replace(study, tables={**study.tables, "stocks": study.tables["stocks"].iloc[:0]})
    spread = [
        np.ptp(run_draws(prepare_case(one, mesh, siting, [dated], schedule.years), 1, 9).cost_eur)
        for one in (study, bare)
    ]
    assert spread[0] == pytest.approx(0, abs=1e-6)
    assert spread[1] > 1e5


def test_workbook_and_schedule_agree_when_a_plan_holds_belts(stock_folder):
    from tests.programme.book_reader import Book

    from abatis.show.programme import ProgrammeSettings, make_programme
    from abatis.show.report.programme import write_programme_files

    found = make_programme(stock_folder, ProgrammeSettings(time_limit_s=2.0), lambda *_: None)
    _, workbook = write_programme_files(found)
    book = Book(workbook.read_bytes())
    assert book.value("Checks", 2, book.depth["Checks"]) == "all agree"
