"""Delays by cause, counted against the day first named."""

from __future__ import annotations

from tests.programme.ledger.status_cases import Book, find


def test_a_date_that_was_moved_does_not_hide_its_slip():
    book = Book()
    book.add("milestone", "m", "2024", name="Bunkers", stage="planned", due="2026-12-31")
    book.add(
        "milestone", "m", "2026-02", name="Bunkers", stage="planned", due="2027-12-31", delay_cause="design"
    )
    row = find(book.assess("2026-03-01").delays, key="m")
    assert (row.due, row.until, row.days, row.cause, row.ended) == (
        "2026-12-31",
        "2027-12-31",
        365,
        "design",
        False,
    )
    assert row.records == (1, 2)


def test_the_day_first_named_may_stand_in_the_same_record():
    book = Book()
    book.add(
        "milestone", "m", "2026-02", name="Bunkers", stage="planned", due="2027-12-31", first_due="2026-12-31"
    )
    assert find(book.assess("2026-03-01").delays, key="m").days == 365


def test_a_law_that_came_ten_months_late():
    book = Book()
    book.add("milestone", "law", "2025-10", name="Law", category="law", stage="reached", due="2024-12-31",
             reached="2025-10", delay_cause="law")  # fmt: skip
    row = find(book.assess("2026-03-01").delays, key="law")
    # Only the month is known: its last day counts.
    assert (row.until, row.days, row.ended) == ("2025-10-31", 304, True)


def test_an_open_work_is_late_until_the_day_asked_for():
    book = Book()
    book.work("w", "2025-12-01", stage="started", planned_finish="2025-12-31", planned_eur=7.0)
    assert book.assess("2025-12-31").delays == ()
    assert find(book.assess("2026-01-10").delays, key="w").days == 10
    book.work("w", "2026-01-20", stage="finished", finish="2026-01-15", delay_cause="land")
    row = find(book.assess("2026-03-01").delays, key="w")
    assert (row.days, row.ended, row.cause, row.planned_eur) == (15, True, "land", 7.0)


def test_a_late_contract_of_a_late_work_counts_once():
    book = Book()
    book.work("w", "2025-12-01", stage="started", planned_finish="2025-12-31")
    book.add("contract", "of_work", "2025-01", stage="signed", amount_eur=1.0, due="2025-12-31", work="w")
    book.add("contract", "alone", "2025-01", stage="signed", amount_eur=3.0, due="2025-12-31")
    causes = find(book.assess("2026-01-10").delays_by_cause, cause="not said")
    assert (causes.works, causes.contracts, causes.days, causes.mean_days) == (1, 1, 20, 10.0)
    assert causes.planned_eur == 3.0
    assert causes.records == (1, 3)


def test_a_payment_after_its_end_does_not_make_a_contract_late():
    book = Book()
    book.add("contract", "c", "2025-01", stage="signed", amount_eur=3.0, due="2025-12-31")
    book.add("contract", "c", "2025-12-20", stage="completed", amount_eur=3.0)
    book.add("contract", "c", "2026-03-15", stage="completed", amount_eur=3.0, paid_eur=3.0)
    assert book.assess("2026-04-01").delays == ()


def test_what_was_taken_up_again_ended_with_the_first_record_that_says_so_since():
    book = Book()
    book.add("contract", "c", "2025-01", stage="signed", amount_eur=3.0, due="2025-12-31")
    book.add("contract", "c", "2025-12-20", stage="completed", amount_eur=3.0)
    book.add("contract", "c", "2026-01-10", stage="changed", amount_eur=4.0)
    book.add("contract", "c", "2026-02-09", stage="completed", amount_eur=4.0)
    book.add("contract", "c", "2026-03-15", stage="completed", amount_eur=4.0, paid_eur=4.0)
    row = find(book.assess("2026-04-01").delays, key="c")
    assert (row.until, row.days, row.ended, row.records) == ("2026-02-09", 40, True, (1, 4, 5))
    # While it goes on it is late up to the day asked for.
    row = find(book.assess("2026-01-20").delays, key="c")
    assert (row.until, row.days, row.ended) == ("2026-01-20", 20, False)


def test_a_cancelled_thing_and_a_tender_are_not_late():
    book = Book()
    book.work("w", "2025-01-01", stage="cancelled", planned_finish="2025-01-31")
    book.add("contract", "c", "2025-01", stage="tendered", amount_eur=1.0, due="2025-01-31")
    assert book.assess("2026-01-10").delays == ()


def test_a_delivery_after_its_day_is_late_by_the_days_between():
    book = Book()
    book.add("delivery", "d", "2025-03-11", quantity=1.0, due="2025-03-01", delay_cause="supply")
    book.add("delivery", "d", "2025-02-11", quantity=1.0, due="2025-03-01")
    row = find(book.assess("2026-01-10").delays, kind="delivery")
    assert (row.days, row.cause, row.records) == (10, "supply", (1,))
