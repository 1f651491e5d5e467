"""Reserve belts and their stock: exact on small cases, money to the cent, faults, and the command."""

import csv
import itertools
import json
import math
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abatis.barrier.sites import site_study
from abatis.model.plan import read_plan
from abatis.model.study import hash_study, read_study
from abatis.programme.belts import read_belts
from abatis.programme.stock import buy_stock, make_stock_terms, read_stocks
from abatis.show.app.saved import hash_plan
from abatis.show.beside import RESULTS, mark_basis
from abatis.show.cli import main
from abatis.show.report.programme import write_programme_files


def simulate(terms, orders, cent=0.0):
    """Stock at each year's end and money left, year by year, in plain words; None when money runs out.

    `cent` may be missing in each year: what abatis pays is rounded.
    """
    wait = len(terms.profile) - 1
    stock, purse, left = [], 0.0, []
    for year in range(len(terms.years)):
        good = terms.held_km if year < terms.held_life_years else 0.0
        for ordered, km in enumerate(orders):
            arrives = ordered + wait
            if arrives <= year < arrives + terms.life_years:
                good += km
        paid = sum(
            orders[year - offset] * share for offset, share in enumerate(terms.profile) if year - offset >= 0
        )
        purse = (
            purse * terms.carry_over + terms.money_eur[year] - paid * terms.unit_cost_eur * terms.index[year]
        )
        if purse < -1e-9 - cent * (year + 1):
            return None
        stock.append(good)
        left.append(purse)
    return stock, left


def measure_value(terms, orders, cent=0.0):
    found = simulate(terms, orders, cent)
    if found is None:
        return -math.inf
    return sum(w * min(terms.need_km, km) for w, km in zip(terms.weight, found[0], strict=True))


@st.composite
def small_terms(draw):
    years = draw(st.integers(2, 4))
    least = float(draw(st.integers(0, 3)))
    return make_stock_terms(
        need_km=float(draw(st.integers(1, 5))),
        money_eur=np.array(draw(st.lists(st.integers(0, 4), min_size=years, max_size=years)), float),
        life_years=draw(st.integers(1, 4)),
        delivery_years=draw(st.integers(1, 2)),
        least_km=least,
        most_km=draw(st.sampled_from([math.inf, max(2.0, least)])),
        carry_over=draw(st.sampled_from([1.0, 0.5, 0.0])),
        indexation=draw(st.sampled_from([0.0, 0.1])),
        held_km=2.0,
        held_life_years=draw(st.integers(1, 2)),
    )


@settings(max_examples=80, deadline=None)
@given(small_terms())
def test_no_plan_of_half_kilometres_is_better(terms):
    plan = buy_stock(terms)
    top = min(terms.most_km, max(terms.need_km, terms.least_km))
    steps = [0.0, *(s for s in np.arange(0.5, top + 0.1, 0.5) if s >= terms.least_km)]
    wait = len(terms.profile) - 1
    free = len(terms.years) - wait
    best = max(
        measure_value(terms, [*orders, *[0.0] * wait]) for orders in itertools.product(steps, repeat=free)
    )
    assert measure_value(terms, plan.ordered_km, 0.006) >= best - 0.003 * len(terms.years) * (
        1 + terms.least_km
    )


@settings(max_examples=200, deadline=None)
@given(small_terms())
def test_what_is_shown_keeps_every_limit(terms):
    plan = buy_stock(terms)
    found = simulate(terms, plan.ordered_km, cent=0.006)
    assert found is not None
    stock, left = found
    assert np.allclose(plan.stock_km, stock, atol=1e-9)
    assert np.allclose(plan.left_eur, left, atol=0.006 * len(stock))
    assert np.allclose(plan.short_km, np.maximum(0.0, terms.need_km - np.array(stock)), atol=1e-9)
    ordered = plan.ordered_km[plan.ordered_km > 0]
    assert (ordered >= terms.least_km - 1e-9).all()
    assert (ordered <= terms.most_km + 1e-9).all()
    assert not plan.ordered_km[len(terms.years) - (len(terms.profile) - 1) :].any()
    opening = terms.held_km + np.cumsum(plan.delivered_km - plan.expired_km)
    assert np.allclose(opening, plan.stock_km)


def test_money_waits_for_what_lasts():
    """Money without carry-over must be spent in its year; with it, it waits: by hand."""
    kept = buy_stock(make_stock_terms(10.0, np.full(4, 3.0)))
    assert kept.ordered_km.tolist() == [3.0, 3.0, 3.0, 1.0]
    assert kept.left_eur.tolist() == [0.0, 0.0, 0.0, 2.0]
    lost = buy_stock(make_stock_terms(10.0, np.full(4, 3.0), carry_over=0.0))
    assert lost.stock_km.tolist() == [3.0, 6.0, 9.0, 10.0]
    lots = buy_stock(make_stock_terms(10.0, np.full(4, 3.0), least_km=5.0))
    assert lots.ordered_km.tolist() == [0.0, 6.0, 0.0, 5.0]
    late = buy_stock(make_stock_terms(4.0, np.full(4, 3.0), delivery_years=2))
    assert late.stock_km[0] == 0.0
    assert late.stock_km.tolist()[1:] == [4.0, 4.0, 4.0]


def test_old_stock_is_replaced_and_the_tail_listed():
    terms = make_stock_terms(
        4.0, np.full(5, 4.0), life_years=3, indexation=0.1, held_km=4.0, held_life_years=2
    )
    plan = buy_stock(terms, tail_years=7)
    assert plan.expired_km.tolist() == [0.0, 0.0, 4.0, 0.0, 0.0]
    assert plan.short_km.tolist() == [0.0] * 5
    due = dict(zip(plan.renewal_years.tolist(), plan.renewal_km.tolist(), strict=True))
    assert sum(due.values()) > 0
    for year, km, eur in zip(plan.renewal_years, plan.renewal_km, plan.renewal_eur, strict=True):
        assert eur == pytest.approx(km * 1.1**year, abs=0.01)


@settings(max_examples=60, deadline=None)
@given(small_terms(), st.integers(0, 3))
def test_more_money_never_holds_less(terms, year):
    money = terms.money_eur.copy()
    money[year % len(money)] += 2.0
    more = replace(terms, money_eur=money)
    before = measure_value(terms, buy_stock(terms).ordered_km, 0.006)
    after = measure_value(more, buy_stock(more).ordered_km, 0.006)
    assert after >= before - 0.003 * len(money) * (1 + terms.least_km)


def test_a_year_closes_to_the_cent():
    terms = make_stock_terms(
        33.3, np.full(6, 1_234_567.89), unit_cost_eur=98_765.43, indexation=0.023, delivery_years=2
    )
    plan = buy_stock(terms)
    total = math.fsum(plan.spent_eur) + plan.left_eur[-1]
    assert total == pytest.approx(math.fsum(terms.money_eur), abs=1e-6)
    assert (plan.left_eur >= 0).all()


def read_all(study, mesh, **changes):
    study = replace(study, **changes)
    siting = site_study(study, mesh)
    faults = []
    belts = read_belts(study, mesh, siting, read_plan(study.folder / "plans" / "base"), faults)
    stocks = read_stocks(study, belts, faults)
    return siting, belts, stocks, faults


def change_table(study, table, **values):
    frame = study.tables[table].copy()
    for column, value in values.items():
        frame[column] = value
    return {**study.tables, table: frame}


def make_belts(study, rows):
    blank = dict.fromkeys(("lon", "lat", "length_km", "delay_h", "notice_h"), math.nan)
    records = [
        {"name": "Belt", "measure": "reserve", "site": "", **blank, "source": "t", "tag": "G", **row}
        for row in rows
    ]
    frame = pd.DataFrame(records, columns=study.tables["belts"].columns)
    frame.index = pd.Index(range(2, 2 + len(rows)), name="row")
    return {**study.tables, "belts": frame}


def test_belts_of_the_plan_and_of_the_author(stock_study):
    study, mesh = stock_study
    siting, belts, stocks, faults = read_all(study, mesh)
    assert faults == []
    plan = read_plan(study.folder / "plans" / "base")
    options = {(one.site, one.option): one for one in siting.options}
    lengths = {
        one.site: dict(options[one.site, one.option].quantities).get("reserve", 0.0) for one in plan.options
    }
    assert {belt.site: belt.length_km for belt in belts} == {key: km for key, km in lengths.items() if km}
    assert {belt.delay_h for belt in belts} == {2.0}
    assert {belt.notice_h for belt in belts} == {0.3}
    assert stocks[0].need_km == pytest.approx(sum(lengths.values()), abs=1e-9)
    for belt in belts:
        site = next(one for one in siting.sites if one.key == belt.site)
        touched = set(mesh.edge_a[site.edges].tolist()) | set(mesh.edge_b[site.edges].tolist())
        assert set(belt.cells.tolist()) <= touched
    cell = int(np.flatnonzero(mesh.mask_countries(study.home))[0])
    own = {"belt": "own", "lon": mesh.lon[cell], "lat": mesh.lat[cell], "length_km": 3.0, "delay_h": 5.0}
    changed = {"belt": "mine", "site": belts[0].site, "notice_h": 7.0, "length_km": 1.5}
    tables = make_belts(study, [own, changed])
    _, more, needs, faults = read_all(study, mesh, tables=tables)
    assert faults == []
    by_key = {belt.key: belt for belt in more}
    assert len(more) == len(belts) + 1
    assert (by_key["own"].length_km, by_key["own"].delay_h, by_key["own"].notice_h) == (3.0, 5.0, 0.3)
    assert by_key["own"].cells.tolist() == [cell]
    assert (by_key["mine"].length_km, by_key["mine"].notice_h, by_key["mine"].delay_h) == (1.5, 7.0, 2.0)
    assert needs[0].need_km == pytest.approx(stocks[0].need_km + 3.0 + 1.5 - belts[0].length_km, abs=1e-9)


def test_faults_of_belts_come_all_at_once(stock_study):
    study, mesh = stock_study
    other = int(np.flatnonzero(~mesh.mask_countries(study.home))[0])
    rows = [
        {"belt": "a", "site": "nowhere", "length_km": 1.0},
        {"belt": "b", "length_km": 1.0},
        {"belt": "c", "lon": 0.0, "lat": 0.0, "length_km": 1.0},
        {"belt": "d", "lon": mesh.lon[other], "lat": mesh.lat[other]},
        {"belt": "e", "site": "nowhere", "lon": 1.0, "lat": 1.0, "length_km": 1.0, "measure": "ditch"},
    ]
    _, _, _, faults = read_all(study, mesh, tables=make_belts(study, rows))
    assert sorted((fault.row, fault.column) for fault in faults) == [
        (2, "site"), (3, "site"), (4, "lon"), (5, "length_km"), (5, "lon"), (6, "measure"), (6, "site"),
    ]  # fmt: skip


def test_faults_of_stocks_come_all_at_once(stock_study):
    study, mesh = stock_study
    tables = change_table(study, "stocks", line="sites", line_share=1.5, held_km=3.0, most_km_per_year=1.0)
    measures = tables["measures"].copy()
    row = measures["measure"] == "reserve"
    measures.loc[row, "life_years"] = 0.5
    measures.loc[row, "lead_months"] = 130.0
    lots = pd.DataFrame(
        [["reserve", 1000.0, 6.0, "t", "G"]], columns=study.tables["lots"].columns, index=pd.Index([2])
    )
    payer = pd.DataFrame(
        [["mines", "reserve", "t", "G"]],
        columns=study.tables["budget_measures"].columns,
        index=pd.Index([2]),
    )
    tables = {**tables, "measures": measures, "lots": lots, "budget_measures": payer}
    _, _, _, faults = read_all(study, mesh, tables=tables)
    words = [fault.problem for fault in faults]
    for part in (
        "is planned: its money is spent on sites already",
        "line 'mines' pays measure 'reserve'",
        "add up to 1.5",
        "good for less than a year",
        "good at no year's end",
        "take 12 years, past the last, 2035",
        "more than its line has",
        "more than can be ordered in a year",
    ):
        assert sum(part in one for one in words) == 1, part
    assert len(words) == 8


def call(capsys, *arguments):
    capsys.readouterr()
    code = main([str(one) for one in arguments])
    answer = capsys.readouterr()
    return code, answer.out, answer.err


def test_command_says_late_sites_first(stock_folder, capsys):
    code, out, _ = call(capsys, "stock", stock_folder, "--plan", "base", "--json")
    assert code == 0
    answer = json.loads(out)
    assert next(iter(answer)) == "reach"
    late = [row["late"] for row in answer["reach"]]
    assert late == sorted(late, reverse=True)
    assert len(answer["depots"]) <= 2
    assert sum(not belt["in_time"] for belt in answer["belts"]) == late[1]
    km = sum(belt["length_km"] for belt in answer["belts"])
    assert answer["stock"][0]["need_km"] == pytest.approx(km, abs=1e-9)
    assert len(answer["stock"]) == 10
    spent = math.fsum(row["spent_eur"] for row in answer["stock"])
    money = math.fsum(row["money_eur"] for row in answer["stock"])
    assert spent + answer["stock"][-1]["left_eur"] == pytest.approx(money, abs=0.005)
    assert call(capsys, "stock", stock_folder, "--json")[1] == out
    code, plain, _ = call(capsys, "stock", stock_folder)
    assert code == 0
    assert "reserve sites not reached in time" in plain.splitlines()[1]
    code, _, _ = call(capsys, "stock", stock_folder, "--variant", "median", "--depots", 3)
    assert code == 0


def test_command_names_every_fault(stock_folder, tmp_path, capsys):
    folder = shutil.copytree(stock_folder, tmp_path / "copy")
    table = folder / "tables" / "depots.csv"
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    rows[1]["lon"] = "0"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    code, out, err = call(capsys, "stock", folder, "--depots", 40)
    assert (code, out) == (1, "")
    assert "outside the mesh" in err
    assert "asks for 40 depots but tables/depots.csv has 4 places" in err
    settings_file = folder / "study.toml"
    text = settings_file.read_text(encoding="utf-8")
    settings_file.write_text(text.replace("notice_h = 0.3", "notice_h = 0"), encoding="utf-8")
    code, _, err = call(capsys, "stock", folder)
    assert code == 1
    assert "programme.notice_h: is 0 but must be at least 0.1" in err


def test_command_without_belts_says_so(stock_folder, tmp_path, capsys):
    folder = shutil.copytree(stock_folder, tmp_path / "copy")
    (folder / "tables" / "stocks.csv").unlink()
    code, _, err = call(capsys, "stock", folder)
    assert code == 1
    assert "was made from another state of the study" in err
    plan = folder / "plans" / "base" / "plan.json"
    state = hash_study(read_study(folder))
    plan.write_text(json.dumps({**json.loads(plan.read_text("utf-8")), "study_hash": state}), "utf-8")
    code, _, err = call(capsys, "stock", folder)
    assert code == 1
    assert "there is no reserve belt" in err


def test_stock_of_another_plan_or_other_tables_is_not_shown(
    stock_folder, stock_study, tmp_path, capsys, monkeypatch
):
    """The page asks for what `abatis stock` kept; the workbook and the page's text are tested elsewhere."""
    study, plan = stock_study[0], read_plan(stock_folder / "plans" / "base")
    folder = shutil.copytree(stock_folder, tmp_path / "copy")
    assert call(capsys, "stock", folder)[0] == 0
    told = []

    def keep(_programme, _risk, stock, missing):
        told.append((stock is not None, missing[1]))
        return ""

    page = "abatis.show.report.programme."
    monkeypatch.setattr(f"{page}build_programme_page", keep)
    monkeypatch.setattr(f"{page}build_workbook", lambda _given: b"")
    monkeypatch.setattr(f"{page}read_risk", lambda _programme: (None, ""))
    fewer = {**study.tables, "depots": study.tables["depots"].iloc[1:]}
    cases = (
        (study, plan),
        (study, replace(plan, budget_eur=plan.budget_eur + 1)),
        (study, replace(plan, options=plan.options[1:])),
        (replace(study, tables=fewer), plan),
    )
    rest = dict.fromkeys(("siting", "terms", "schedule", "affordability"))
    rest["plan_hash"] = hash_plan(folder / "plans" / "base")
    for one_study, one_plan in cases:
        one = replace(one_study, folder=folder)
        write_programme_files(SimpleNamespace(study=one, plan=one_plan, **rest))
    assert [there for there, _ in told] == [True, False, False, False]
    assert all("another state of the study or plan: run abatis stock again" in why for _, why in told[1:])


def test_robust_plans_rest_on_plan_and_risks(stock_folder, stock_study):
    study, plan = stock_study[0], read_plan(stock_folder / "plans" / "base")
    risky = pd.DataFrame([{"risk": "failure", "mode": 0.5}])
    marks = [
        mark_basis("robust", study, plan),
        mark_basis("robust", study, replace(plan, options=plan.options[1:])),
        mark_basis("robust", study, replace(plan, budget_eur=1.0)),
        mark_basis("robust", study, replace(plan, watch_hash="other")),
        mark_basis("robust", replace(study, tables={**study.tables, "risks": risky}), plan),
    ]
    assert len(set(marks)) == len(marks)
    other = {**study.tables, "depots": study.tables["depots"].iloc[1:]}
    assert mark_basis("robust", replace(study, tables=other), plan) == marks[0]
    assert {"stock.json", "robust.json"} <= set(RESULTS)
