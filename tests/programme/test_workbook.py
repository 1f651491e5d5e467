"""The workbook computes itself: its formulas agree with plan and schedule to the cent."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from tests.programme.book_reader import Book
from tests.programme.schedule_cases import make_problem

from abatis.programme.afford import Affordability, _count_tail
from abatis.programme.book_checks import BookInput
from abatis.programme.clearing import Liability
from abatis.programme.schedule import solve_schedule
from abatis.programme.spans import measure_spans
from abatis.programme.terms import NEVER, make_terms
from abatis.programme.workbook import build_workbook

UNITS = {"ditch": 10.01, "block": 333.33, "fixture": 1234.5}
PARTS = (
    (("ditch", 12345.679),),
    (("ditch", 2.0), ("block", 7.0)),
    (("block", 31.0), ("fixture", 55.5)),
    (("fixture", 80.0),),
)


def make_case(fixed=False, bridges_eur=1e5):
    """Two lines share a fund, one is locked; works of two years, odd cents, prices that rise."""
    problem = make_problem(8, sites=4)
    options = np.unique(problem.option_site, return_index=True)[1]
    cost = np.array([[sum(UNITS[m] * u for m, u in parts)] for parts in PARTS]).round(2)
    fund = np.array([[0, 0], [0, 0], [0, 0], [0, 0]], float)
    for row, parts in enumerate(PARTS):
        for measure, units in parts:
            fund[row, int(measure == "fixture")] += round(UNITS[measure] * units, 2)
        fund[row, int(parts[-1][0] == "fixture")] += cost[row, 0] - fund[row].sum()
    terms = make_terms(options, cost[:, 0], np.full(4, 1e5), None, 0.03, 0.02, 0.9)
    line = terms.funding.lines[0]
    names = (("a", True), ("b", True), ("bridges", True), ("locked", False))
    lines = tuple(replace(line, key=key, planned=planned) for key, planned in names)
    money = np.array([np.full(4, 40_000.55), np.full(4, 1e5), np.full(4, bridges_eur), [1.0, 2.25, 0.0, 3.0]])
    lines = tuple(replace(one, amount_eur=float(row.sum())) for one, row in zip(lines, money, strict=True))
    funding = replace(
        terms.funding,
        lines=lines,
        money_eur=money,
        funds=((0, 1), (2,)),
        fund_of={"ditch": 0, "block": 0, "fixture": 1},
    )
    terms = replace(
        terms,
        years=np.arange(2026, 2030),
        base_year=2025,
        index=1.03 ** np.arange(1, 5, dtype=float),
        funding=funding,
        cost_eur=fund.round(2),
        paid_eur=np.zeros_like(fund),
        spans=measure_spans(np.array([0.0, 6.0, 12.0, 0.0]), np.array([24.0, 12.0, 7.0, 0.0])),
        option_keys=tuple(f"s{row}/=way" for row in range(4)),
    )
    if fixed:
        never = np.full(2, NEVER)
        terms = replace(terms, fixed_start=np.r_[-1, 0, never], fixed_finish=np.r_[1, 1, never])
        terms = replace(terms, paid=np.array([False, True, False, False]))
    if fixed == "partly paid":
        before = np.zeros_like(fund)
        before[0, 0] = 23_580.11
        start = np.r_[0, terms.fixed_start[1:]]
        terms = replace(terms, cost_eur=(fund - before).round(2), paid_eur=before, fixed_start=start)
    schedule = solve_schedule(problem, terms, gap=0.0, time_limit_s=5.0)
    largest = int(options.max()) + 1
    ways = [SimpleNamespace(quantities=())] * largest
    for row, option in enumerate(options):
        ways[option] = SimpleNamespace(quantities=PARTS[row])
    measures = pd.DataFrame(
        [
            (key, key, "km", cost_eur, "test", "G", life)
            for (key, cost_eur), life in zip(UNITS.items(), (2.5, 0.0, 3.0), strict=True)
        ],
        columns=["measure", "name", "unit", "unit_cost_eur", "source", "tag", "life_years"],
    )
    economy = pd.DataFrame(
        [(2026, 1e9, 0.04, 0.05, 0.06, "test", "G")],
        columns=[
            "year",
            "gdp_eur",
            "defence_low_share",
            "defence_share",
            "defence_high_share",
            "source",
            "tag",
        ],
    )
    eu = pd.DataFrame(
        [("=fund", 1000.0, "loan", False, "test", "F")],
        columns=["name", "amount_eur", "kind", "certain", "source", "tag"],
    )
    upkeep = pd.DataFrame([("ditch", 0.04), ("fixture", 0.013)], columns=["measure", "yearly_share"])
    study = SimpleNamespace(
        tail_years=6,
        base_year=2025,
        name="trial",
        title="=1+1",
        indexation=0.03,
        discount=0.02,
        tables={
            "measures": measures,
            "economy": economy,
            "eu_money": eu,
            "upkeep": upkeep,
            "stocks": pd.DataFrame(columns=["measure", "line"]),
            "budget": pd.DataFrame([("a", True)], columns=["line", "planned"]),
        },
    )
    plan = SimpleNamespace(name="base", study_hash="x", cost_eur=float(cost.sum()))
    duty = Liability("removal", "Removal", 1.0, 2.0, 3.0, "test", "G")
    siting = SimpleNamespace(options=ways, problem=problem)
    tail = _count_tail(study, siting, terms, schedule, [])
    found = Affordability((), 0.0, 0.0, 0.0, 0.0, tail, (duty,), ())
    return BookInput(study, plan, siting, terms, schedule, found)


@pytest.fixture(scope="module", params=[False, True, "partly paid"], ids=["free", "fixed", "partly paid"])
def case(request):
    given = make_case(request.param)
    return given, Book(build_workbook(given))


def find_row(book, sheet, *words):
    for row in range(1, book.depth[sheet] + 1):
        if all(book.value(sheet, column, row) == word for column, word in enumerate(words, 1)):
            return row
    raise AssertionError(words)


def test_money_by_line_and_year_is_that_of_the_schedule_to_the_cent(case):
    given, book = case
    schedule = given.schedule
    assert (schedule.start_year != -1).sum() >= 3
    assert (schedule.nominal_eur.sum(axis=1) > 0).all()
    for what, figures in (
        ("spent, nominal", schedule.nominal_eur),
        ("spent, prices of the base year", schedule.spend_eur),
    ):
        for number, line in enumerate(schedule.lines):
            row = find_row(book, "Years", what, line)
            for place in range(4):
                found = book.value("Years", 4 + place, row)
                assert round(found * 100) == round(figures[number, place] * 100), (what, line, place)
        row = find_row(book, "Years", what, "all lines")
        assert round(book.value("Years", 8, row) * 100) == round(figures.sum() * 100)


def test_every_check_agrees(case):
    _, book = case
    said = [
        (book.value("Checks", 1, row), book.value("Checks", 5, row)) for row in range(3, book.depth["Checks"])
    ]
    assert [what for what, verdict in said if verdict != "yes"] == []
    assert len(said) > 4 * 8
    assert book.value("Checks", 2, book.depth["Checks"]) == "all agree"
    assert book.value("Read me", 1, book.depth["Read me"]) == "all agree"


def test_quantities_add_up_to_the_plan(case):
    given, book = case
    row = find_row(book, "Checks", "plan, base-year prices [EUR]")
    assert round(book.value("Checks", 2, row) * 100) == round(given.plan.cost_eur * 100)


def test_money_is_formulas_only_and_texts_never_are(case):
    _, book = case
    for sheet, first in (("Payments", 5), ("Years", 4)):
        for row in book.sheets[sheet].iter_rows(min_row=3, min_col=first):
            assert {cell.data_type for cell in row if cell.value is not None} <= {"f"}
    assert book.at("Works", "A3") == "s0/=way"
    assert "=1+1" in book.at("Read me", "A1")
    cells = [cell for sheet in book.sheets.values() for row in sheet.iter_rows() for cell in row]
    assert [c.value for c in cells if c.data_type == "f" and c.value in ("=1+1", "=fund")] == []


def test_a_changed_input_changes_the_money_and_fails_the_checks():
    given = make_case()
    book = Book(build_workbook(given))
    cell = next(c for c in book.sheets["Quantities"]["E"] if c.row == 3)
    cell.value += 1.0
    assert book.value("Checks", 2, book.depth["Checks"]) == "NOT ALL AGREE"
    row = find_row(book, "Checks", "plan, base-year prices [EUR]")
    assert book.value("Checks", 4, row) == pytest.approx(10.01, abs=1e-6)


def test_upkeep_and_renewal_are_those_of_affordability(case):
    given, book = case
    tail = given.affordability.tail
    assert len(tail) == 10
    assert min(sum(one.upkeep_eur for one in tail), sum(one.renewal_eur for one in tail)) > 0
    for row, one in enumerate(tail, 3):
        found = [book.value("After", column, row) for column in (1, 2, 3, 4)]
        assert found == pytest.approx([one.year, one.upkeep_eur, one.renewal_eur, one.nominal_eur], abs=0.004)


def test_works_that_never_start_cost_nothing_and_need_no_upkeep():
    given = make_case(bridges_eur=25e3)
    assert 0 < (given.schedule.start_year == -1).sum() < 4
    book = Book(build_workbook(given))
    assert book.value("Checks", 2, book.depth["Checks"]) == "all agree"
    row = 3 + int((given.schedule.start_year == -1).argmax())
    assert [book.value("Works", column, row) or "" for column in (3, 4)] == ["", ""]


def test_economy_is_divided_by_formula(case):
    given, book = case
    spent = given.schedule.nominal_eur[:, 0].sum()
    shares = [book.at("Economy", cell) for cell in ("H3", "I3", "J3", "K3")]
    assert shares == pytest.approx([spent / 5e7, spent / 6e7, spent / 4e7, spent / 1e9])
    row = find_row(book, "Economy", "share of all lines")
    assert book.value("Economy", 2, row) == pytest.approx(1000 / given.schedule.nominal_eur.sum())
