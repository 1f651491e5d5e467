"""The workbook of a plan: its formulas give the plan's own figures, to the cent."""

from __future__ import annotations

import dataclasses

import openpyxl
import pytest
from tests.programme.book_reader import Book

from abatis.show.interchange.workbook import write_workbook


@pytest.fixture(scope="session")
def book(exported):
    return Book((exported / "base.xlsx").read_bytes())


def find_row(book, sheet, words):
    return next(row for row in range(1, 200) if book.value(sheet, 1, row) == words)


def test_sums_are_formulas_and_give_the_plan(book, results):
    plan = results.plan
    row = find_row(book, "Sites", "sum")
    assert book.sheets["Sites"].cell(row, 7).data_type == "f"
    assert round(100 * book.value("Sites", 7, row)) == round(100 * plan.cost_eur) > 0
    cents = {book.value("Sites", 2, at): round(100 * book.value("Sites", 7, at)) for at in range(3, row)}
    assert cents == {one.site: round(100 * one.cost_eur) for one in plan.options}
    row = find_row(book, "Approaches", "value")
    assert book.sheets["Approaches"].cell(row, 5).data_type == "f"
    assert book.value("Approaches", 4, row) == pytest.approx(plan.before_h, abs=1e-9)
    assert book.value("Approaches", 5, row) == pytest.approx(plan.value_h, abs=1e-9)
    hours = {book.value("Approaches", 1, at): book.value("Approaches", 5, at) for at in range(3, row)}
    assert hours == pytest.approx({one.id: one.after_h for one in plan.approaches}, rel=1e-14)


def test_checks_hold_and_can_fail(book, results, tmp_path):
    assert [book.value("Checks", 4, row) for row in (3, 4, 5)] == ["yes"] * 3
    assert book.value("Checks", 2, find_row(book, "Checks", "cost is within it")) == "yes"
    plan = results.plan
    wrong = dataclasses.replace(
        plan, value_h=plan.value_h + 0.01, cost_eur=plan.cost_eur + 0.01, budget_eur=1.0
    )
    wrong = dataclasses.replace(wrong, options=plan.options[:-1])
    write_workbook(tmp_path / "a.xlsx", dataclasses.replace(results, plan=wrong), False)
    other = Book((tmp_path / "a.xlsx").read_bytes())
    assert [other.value("Checks", 4, row) for row in (3, 4, 5)] == ["no"] * 3
    assert other.value("Checks", 2, find_row(other, "Checks", "cost is within it")) == "no"


def test_least_hours_are_a_minimum(results, tmp_path):
    plan = dataclasses.replace(results.plan, objective="minimum")
    write_workbook(tmp_path / "a.xlsx", dataclasses.replace(results, plan=plan), False)
    book = Book((tmp_path / "a.xlsx").read_bytes())
    row = find_row(book, "Approaches", "value")
    least = min(one.after_h for one in plan.approaches)
    assert book.value("Approaches", 5, row) == pytest.approx(least, rel=1e-14)


def test_quantities_and_budget_add_up(book, results):
    row = find_row(book, "Quantities", "sum")
    unit = results.study.tables["measures"].set_index("measure")["unit_cost_eur"]
    wanted = sum(
        round(unit[key] * units, 2) for one in results.chosen for key, units in one.option.quantities
    )
    assert book.value("Quantities", 7, row) == pytest.approx(wanted, abs=0.005)
    lines = results.study.tables["budget"]
    assert book.value("Budget", 4, find_row(book, "Budget", "sum")) == pytest.approx(
        lines["amount_eur"].sum()
    )
    planned = lines["amount_eur"][lines["planned"]].sum()
    assert book.value("Budget", 4, find_row(book, "Budget", "planned here")) == pytest.approx(planned)


def test_a_plan_without_sites_has_a_workbook_too(results, tmp_path):
    plan = dataclasses.replace(results.plan, options=(), cost_eur=0.0)
    write_workbook(tmp_path / "a.xlsx", dataclasses.replace(results, plan=plan, chosen=()), False)
    book = Book((tmp_path / "a.xlsx").read_bytes())
    assert book.value("Checks", 4, 4) == "yes"
    assert book.value("Checks", 4, 5) == "yes"


def test_texts_of_the_study_never_become_formulas(results, tmp_path):
    plan = dataclasses.replace(results.plan, title="=1+1")
    chosen = tuple(
        dataclasses.replace(one, site=dataclasses.replace(one.site, name='=HYPERLINK("http://x")'))
        for one in results.chosen
    )
    write_workbook(tmp_path / "a.xlsx", dataclasses.replace(results, plan=plan, chosen=chosen), False)
    sheets = openpyxl.load_workbook(tmp_path / "a.xlsx")
    assert sheets["Sites"].cell(3, 3).value == '=HYPERLINK("http://x")'
    assert sheets["Sites"].cell(3, 3).data_type == "s"


def test_gdal_reads_the_figures(exported, results, ogrinfo):
    told = ogrinfo(exported / "base.xlsx", "Sites")
    for one in results.chosen:
        assert one.site.key in told
        assert f"= {one.option.cost_eur:.0f}" in told
