"""Earned value by hand: every number can be checked by eye."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.programme.ledger.status_cases import TEN_DAYS, Book, find

from abatis.programme.ledger.baseline import Baseline, PlannedWork
from abatis.programme.ledger.context import Context
from abatis.programme.ledger.earned import earn_value, forecast_cost, measure_works


def test_half_of_the_days_are_over_two_fifths_are_done_and_a_half_is_spent():
    book = Book()
    book.work("a", "2025-12-01", stage="planned", planned_eur=100.0, **TEN_DAYS)
    book.work("a", "2026-01-05", stage="started", start="2026-01-01", done=0.4, spent_eur=50.0)
    row = find(book.assess("2026-01-05").earned, level="work")
    assert (row.bac_eur, row.pv_eur, row.ev_eur, row.ac_eur) == (100.0, 50.0, 40.0, 50.0)
    assert (row.sv_eur, row.cv_eur, row.spi, row.cpi) == (-10.0, -10.0, 0.8, 0.8)
    assert (row.forecast_eur, row.forecast_low_eur, row.forecast_high_eur) == (125.0, 110.0, 143.75)
    # Five days for two fifths: 12.5 days for all, so the thirteenth is the last.
    assert (row.planned_finish, row.forecast_finish) == ("2026-01-10", "2026-01-13")
    assert row.records == (1, 2)


def test_sums_compare_only_works_of_which_both_figures_are_known():
    book = Book()
    book.work("a", "2026-01-05", stage="started", planned_eur=100.0, done=0.5, spent_eur=40.0, **TEN_DAYS)
    book.work(
        "b",
        "2026-01-05",
        stage="started",
        planned_eur=200.0,
        done=0.25,
        spent_eur="not disclosed",
        **TEN_DAYS,
    )
    book.work("c", "2026-01-05", stage="started", planned_eur=400.0, spent_eur=30.0, **TEN_DAYS)
    rows = book.assess("2026-01-05").earned
    total = find(rows, level="total")
    assert (total.bac_eur, total.pv_eur, total.ev_eur, total.ac_eur) == (700.0, 350.0, 100.0, 70.0)
    # EV of a and b is 50 + 50 against a PV of 50 + 100; cost is known with progress of a alone.
    assert (total.spi, total.spi_works, total.cpi, total.cpi_works) == (100 / 150, 2, 50 / 40, 1)
    assert (total.works, total.undisclosed) == (3, 1)
    assert find(rows, level="work", key="b").ac_eur is None
    assert find(rows, level="work", key="c").ev_eur is None
    assert find(rows, level="line").ev_eur == find(rows, level="country").ev_eur == 100.0


def test_not_disclosed_and_not_said_never_count_as_zero():
    book = Book()
    book.work("a", "2026-01-05", stage="started", planned_eur="not disclosed", done=0.5, **TEN_DAYS)
    row = find(book.assess("2026-01-05").earned, level="total")
    assert (row.bac_eur, row.pv_eur, row.ev_eur, row.ac_eur, row.spi, row.cpi) == (None,) * 6
    assert row.undisclosed == 1


def test_a_planned_work_is_known_to_have_done_nothing_only_while_a_record_says_so():
    book = Book()
    book.work(
        "later", "2025-12-01", stage="planned", planned_eur=10.0, planned_start="2027", planned_finish="2027"
    )
    book.work("silent", "2025-12-01", stage="planned", planned_eur=10.0, **TEN_DAYS)
    book.work("waiting", "2025-12-01", stage="planned", planned_eur=10.0, **TEN_DAYS)
    book.work("waiting", "2026-01-04", stage="planned")
    rows = book.assess("2026-01-05").earned
    assert find(rows, key="later").ev_eur == 0.0
    assert find(rows, key="silent").ev_eur is None
    assert find(rows, key="waiting").ev_eur == 0.0
    # Ten days from tomorrow on: a work that still waits cannot end before.
    assert find(rows, key="waiting").forecast_finish == "2026-01-15"


@pytest.mark.parametrize(
    ("body", "share"),
    [
        ({"stage": "finished"}, 1.0),
        ({"stage": "finished", "done": 0.9}, 1.0),
        ({"stage": "started", "done": 0.9, "quantity": 9.0, "planned_quantity": 600.0}, 0.9),
        ({"stage": "started", "quantity": 9.0, "planned_quantity": 600.0}, 0.015),
        ({"stage": "started", "quantity": 700.0, "planned_quantity": 600.0}, 1.0),
        ({"stage": "started", "quantity": "not disclosed", "planned_quantity": 600.0}, None),
        ({"stage": "started", "quantity": 5.0, "planned_quantity": 0.0}, None),
        ({"stage": "started"}, None),
    ],
)
def test_the_share_done_comes_from_the_stage_or_from_quantities(body, share):
    book = Book()
    book.work("a", "2026-01-05", planned_eur=1000.0, **body)
    row = find(book.assess("2026-01-05").earned, level="work")
    assert row.done_share == share
    assert row.ev_eur == (None if share is None else 1000.0 * share)


def test_a_cancelled_work_is_no_longer_planned_and_its_money_is_still_spent():
    book = Book()
    book.work("a", "2026-01-02", stage="started", planned_eur=100.0, done=0.1, spent_eur=20.0, **TEN_DAYS)
    book.work("a", "2026-01-05", stage="cancelled")
    status = book.assess("2026-01-05")
    assert status.earned == ()
    assert find(status.lines, year=None).spent_eur == 20.0


def test_a_finished_work_costs_what_it_cost_and_ended_when_it_ended():
    book = Book()
    book.work(
        "a",
        "2026-01-12",
        stage="finished",
        finish="2026-01-11",
        planned_eur=100.0,
        spent_eur=130.0,
        **TEN_DAYS,
    )
    row = find(book.assess("2026-03-01").earned, level="work")
    assert (row.spi, row.cpi, row.forecast_eur, row.forecast_finish) == (1.0, 100 / 130, 130.0, "2026-01-11")


def test_a_payment_after_its_end_moves_no_last_day():
    book = Book()
    book.work("a", "2026-01-12", stage="finished", planned_eur=100.0, spent_eur=90.0, **TEN_DAYS)
    book.work("a", "2026-02-20", stage="finished", spent_eur=100.0)
    row = find(book.assess("2026-03-01").earned, level="work")
    assert (row.forecast_finish, row.ac_eur) == ("2026-01-12", 100.0)


def test_what_a_later_record_leaves_empty_stays_as_it_was_said():
    book = Book()
    book.work("a", "2026-01-01", stage="planned", planned_eur=100.0, name="Ditch", **TEN_DAYS)
    book.work("a", "2026-01-03", stage="started", done=0.2, spent_eur=15.0)
    book.work("a", "2026-01-04", stage="started", done=0.3)
    row = find(book.assess("2026-01-05").earned, level="work")
    assert (row.name, row.ev_eur, row.ac_eur, row.told_on) == ("Ditch", 30.0, 15.0, "2026-01-04")
    assert row.records == (1, 2, 3)


def test_a_schedule_plans_the_works_whose_site_it_holds():
    site = PlannedWork(date(2026, 1, 1).toordinal(), date(2026, 1, 10).toordinal(), 500.0)
    baseline = Baseline("base", "LT", (2026,), ("x",), np.array([[500.0]]), {"s1": site})
    book = Book()
    book.work("a", "2026-01-05", stage="started", site="s1", done=0.5)
    book.work("b", "2026-01-05", stage="started", site="s2", done=0.5, planned_eur=10.0, **TEN_DAYS)
    status = book.assess("2026-01-04", context=Context(baseline=baseline))
    assert status.earned == ()
    status = book.assess("2026-01-05", context=Context(baseline=baseline))
    row = find(status.earned, key="a")
    assert (row.bac_eur, row.pv_eur, row.ev_eur, row.basis) == (500.0, 250.0, 250.0, "schedule")
    assert find(status.earned, key="b").basis == "ledger"
    assert find(status.earned, level="total").basis == "schedule and ledger"
    line = find(status.lines, line="x", year=2026)
    assert (line.planned_eur, line.basis) == (500.0, "schedule")
    # The public learns nothing of a schedule.
    hidden = book.assess("2026-01-05", context=Context(baseline=baseline), public=True)
    assert find(hidden.earned, key="a").pv_eur is None
    assert hidden.plan == ""


def test_before_anything_is_done_the_rest_is_taken_as_planned():
    parts = [np.array([value]) for value in (100.0, 0.0, 0.0, 5.0)]
    assert [part.tolist() for part in forecast_cost(*parts, np.array([False]))] == [[105.0]] * 3


def test_a_pace_that_leads_nowhere_is_no_forecast():
    book = Book()
    book.work("a", "2026-01-05", stage="started", planned_eur=1e6, done=5e-324, spent_eur=1.0, **TEN_DAYS)
    row = find(book.assess("2026-01-05").earned, level="work")
    assert (row.forecast_eur, row.forecast_high_eur, row.forecast_finish) == (None, None, None)


money = st.floats(1.0, 1e9)
shares = st.just(0.0) | st.floats(1e-6, 1.0)
spans = st.integers(0, 400)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(money, shares, money, spans, spans), min_size=1, max_size=8),
    st.integers(0, 900),
)
def test_earned_and_planned_value_never_exceed_the_plan(works, after):
    book = Book()
    first = date(2025, 1, 1).toordinal()
    for number, (planned, done, spent, start, length) in enumerate(works):
        days = [date.fromordinal(first + one).isoformat() for one in (start, start + length)]
        book.work(f"w{number}", "2025-01-01", stage="started", planned_eur=planned, done=done,
                  spent_eur=spent, planned_start=days[0], planned_finish=days[1])  # fmt: skip
    day = date.fromordinal(first + after)
    rows = earn_value(measure_works(book.table("work"), day), day)
    for row in rows:
        assert 0.0 <= row.ev_eur <= row.bac_eur + 0.01
        assert 0.0 <= row.pv_eur <= row.bac_eur + 0.01
        assert row.forecast_low_eur <= row.forecast_eur + 0.02
        assert row.forecast_eur <= row.forecast_high_eur + 0.02
    single = [row for row in rows if row.level == "work"]
    total = find(rows, level="total")
    for name in ("bac_eur", "pv_eur", "ev_eur", "ac_eur"):
        whole = sum(getattr(row, name) for row in single)
        assert getattr(total, name) == pytest.approx(whole, abs=0.01 * len(single))


@settings(max_examples=40, deadline=None)
@given(shares, shares)
def test_more_done_never_makes_a_work_later_or_dearer(one, other):
    less, more = sorted((one, other))
    rows = []
    for done in (less, more):
        book = Book()
        book.work("a", "2026-01-05", stage="started", start="2026-01-01", planned_eur=1e6, done=done,
                  spent_eur=1e5, **TEN_DAYS)  # fmt: skip
        rows.append(find(book.assess("2026-01-05").earned, level="work"))
    assert rows[0].spi <= rows[1].spi
    assert rows[0].cpi <= rows[1].cpi
    if less > 0 and None not in (rows[0].forecast_finish, rows[1].forecast_finish):
        assert rows[0].forecast_finish >= rows[1].forecast_finish
