"""Plan against actual by budget line and year, and what was stated of each line."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.programme.ledger.status_cases import Book, find


def plan(book, key, on, amount, first=None, last=None, stage="approved", **more):
    return book.add(
        "budget", key, on, stage=stage, amount_eur=amount, first_year=first, last_year=last, **more
    )


def test_the_plan_of_a_year_is_the_amount_for_the_fewest_years():
    book = Book()
    plan(book, "whole", "2024-03-05", 300.0, 2024, 2028)
    plan(book, "year", "2025", 45.0, 2025, 2025)
    rows = book.assess("2026-01-01").lines
    assert find(rows, year=None).planned_eur == 300.0
    assert [find(rows, year=year).planned_eur for year in range(2024, 2029)] == [60.0, 45.0, 60.0, 60.0, 60.0]
    assert find(rows, year=2025).records == (2,)


def test_the_latest_amount_for_the_same_years_counts_and_all_are_listed():
    book = Book()
    plan(book, "june", "2021-06", 15.0, stage="announced")
    plan(book, "july", "2021-07", 41.0, stage="announced")
    plan(book, "august", "2021-08", 152.0, stage="announced")
    status = book.assess("2026-01-01")
    assert find(status.lines, year=None).planned_eur == 152.0
    assert [(row.key, row.amount_eur, row.used) for row in status.readings] == [
        ("june", 15.0, False),
        ("july", 41.0, False),
        ("august", 152.0, True),
    ]
    assert find(book.assess("2021-07-31").lines, year=None).planned_eur == 41.0


def test_a_weak_reading_is_listed_and_never_used():
    book = Book()
    plan(book, "sound", "2025", 100.0)
    plan(book, "weak", "2026", 999.0, tag="F-")
    status = book.assess("2026-06-01")
    assert find(status.lines, year=None).planned_eur == 100.0
    assert find(status.readings, key="weak").used is False
    assert find(status.readings, key="weak").tag == "F-"


def test_amounts_for_years_that_do_not_meet_add_up():
    book = Book()
    plan(book, "one", "2025", 40.0, 2025, 2025)
    plan(book, "two", "2025", 50.0, 2026, 2026)
    assert find(book.assess("2026-06-01").lines, year=None).planned_eur == 90.0


def test_only_one_end_of_the_years_spreads_nothing():
    book = Book()
    plan(book, "to_2035", "2026", 812.0, None, 2035)
    status = book.assess("2026-06-01")
    assert [(row.year, row.planned_eur) for row in status.lines] == [(None, 812.0)]
    assert status.readings[0].years == "to 2035"


def test_contracts_count_when_signed_and_by_what_a_change_adds():
    book = Book()
    book.add("contract", "c", "2025-03", stage="tendered", amount_eur=900.0)
    book.add("contract", "c", "2025-06", stage="signed", amount_eur=100.0)
    book.add("contract", "c", "2026-02", stage="changed", amount_eur=130.0)
    book.add("contract", "d", "2026-03", stage="signed", amount_eur=50.0)
    book.add("contract", "d", "2026-05", stage="cancelled", amount_eur=50.0)
    rows = book.assess("2026-06-01").lines
    assert find(rows, year=2025).contracted_eur == 100.0
    assert find(rows, year=2026).contracted_eur == 30.0
    assert find(rows, year=None).contracted_eur == 130.0
    assert find(rows, year=2025).grounds["contracted_eur"] == (2,)


def test_spending_is_the_outturn_where_it_was_told_and_else_works_and_contracts():
    book = Book()
    book.work("w", "2024-12-31", stage="started", spent_eur=10.0)
    book.work("w", "2025-12-31", stage="started", spent_eur=25.0)
    book.add("contract", "of_work", "2025-05", stage="signed", amount_eur=9.0, paid_eur=9.0, work="w")
    book.add("contract", "alone", "2025-05", stage="signed", amount_eur=4.0, paid_eur=4.0)
    rows = book.assess("2026-06-01").lines
    assert find(rows, year=2024).spent_eur == 10.0
    assert find(rows, year=2025).spent_eur == 15.0 + 4.0
    assert find(rows, year=2025).spent_basis == "works and contracts"
    plan(book, "outturn", "2025-12-31", 77.0, 2025, 2025, stage="spent")
    rows = book.assess("2026-06-01").lines
    assert (find(rows, year=2025).spent_eur, find(rows, year=2025).spent_basis) == (77.0, "outturn")
    assert find(rows, year=2024).spent_eur == 10.0


def test_what_is_not_disclosed_is_said_and_never_a_zero():
    book = Book()
    plan(book, "p", "2024", 100.0, 2024, 2024)
    plan(book, "s", "2025-02", "not disclosed", 2024, 2024, stage="spent")
    row = find(book.assess("2026-01-01").lines, year=2024)
    assert (row.spent_eur, row.left_eur, row.spent_share) == (None, None, None)
    assert row.undisclosed == ("spent_eur",)
    assert row.grounds["spent_eur"] == (2,)


def test_spending_that_is_told_in_part_says_so():
    book = Book()
    book.work("a", "2025-12-31", stage="started", spent_eur=10.0)
    book.work("b", "2025-12-31", stage="started", spent_eur="not disclosed")
    row = find(book.assess("2026-01-01").lines, year=2025)
    assert (row.spent_eur, row.undisclosed) == (10.0, ("spent_eur",))


def test_deliveries_of_one_thing_add_up():
    book = Book()
    for on in ("2025-03-01", "2025-09-01", "2026-01-01"):
        book.add("delivery", "d", on, quantity=5.0, amount_eur=100.0)
    rows = book.assess("2026-06-01").lines
    assert [find(rows, year=year).delivered_eur for year in (2025, 2026, None)] == [200.0, 100.0, 300.0]


def test_lines_of_different_countries_are_kept_apart():
    book = Book()
    plan(book, "lt", "2025", 1.0, country="LT")
    plan(book, "lv", "2025", 2.0, country="LV")
    assert [(row.country, row.planned_eur) for row in book.assess("2026-01-01").lines] == [
        ("LT", 1.0),
        ("LV", 2.0),
    ]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(2020, 2029), st.integers(0, 10**9)), min_size=1, max_size=12))
def test_the_years_of_spending_add_up_to_the_line(told):
    book = Book()
    for number, (year, cents) in enumerate(told):
        book.work(f"w{number % 3}", f"{year}-06-{number + 1:02d}", stage="started", spent_eur=cents / 100)
    rows = book.assess("2030-01-01").lines
    whole = find(rows, year=None).spent_eur
    years = [row.spent_eur for row in rows if row.year is not None]
    assert sum(years) == pytest.approx(whole, abs=0.02 * len(told))
    assert whole == pytest.approx(find(book.assess("2030-01-01").earned, level="total").ac_eur, abs=0.01)
