"""The renewal calendar: dates told, dates reckoned from a service life, dates of the law."""

from __future__ import annotations

from datetime import date

from tests.programme.ledger.status_cases import Book, find

from abatis.programme.ledger.context import Context
from abatis.programme.ledger.renewals import Change, Renewal


def test_a_date_told_goes_before_a_life_told_before_the_life_of_the_measure():
    book = Book()
    book.add("delivery", "told", "2024-02-29", measure="M18", life_years=5.0, renewal="2030-05-01")
    book.add("delivery", "life", "2024-02-29", measure="M18", life_years=5.0)
    book.add("delivery", "measure", "2024-02-29", measure="M18")
    book.add("delivery", "none", "2024-02-29")
    rows = book.assess("2026-01-01").renewals
    assert [(row.key, row.due, row.basis) for row in rows] == [
        ("life", "2029-02-28", "life told"),
        ("told", "2030-05-01", "told"),
        # 12 years, packaged as a placeholder.
        ("measure", "2036-02-29", "life of the measure"),
        ("none", None, "no date"),
    ]
    assert [row.tag for row in rows] == ["F", "F", "G", "F"]
    assert rows[0].days_left == (date(2029, 2, 28) - date(2026, 1, 1)).days


def test_the_calendar_looks_fifteen_years_ahead_and_keeps_what_is_overdue():
    book = Book()
    book.add("delivery", "far", "2025-06-01", life_years=17.0)
    book.add("delivery", "near", "2025-06-01", life_years=15.0)
    book.add("delivery", "overdue", "2015-06-01", life_years=5.0)
    rows = book.assess("2026-01-01").renewals
    assert [row.key for row in rows] == ["overdue", "near"]
    assert rows[0].days_left < 0


def test_deliveries_of_one_thing_that_end_together_stand_in_one_row():
    book = Book()
    for quantity in (3.0, 4.0):
        book.add("delivery", "d", "2024-01-01", quantity=quantity, unit="pieces", life_years=5.0)
    book.add("delivery", "d", "2024-02-01", quantity=5.0, unit="pieces", life_years=5.0)
    rows = book.assess("2026-01-01").renewals
    assert [(row.due, row.quantity, row.records) for row in rows] == [
        ("2029-01-01", 7.0, (1, 2)),
        ("2029-02-01", 5.0, (3,)),
    ]


def test_what_has_no_end_is_not_renewed():
    book = Book()
    book.add("delivery", "land", "2024-01-01", measure="M23")
    book.add("delivery", "for_ever", "2024-01-01", measure="M18", life_years=0.0)
    assert book.assess("2026-01-01").renewals == ()


def test_a_work_is_renewed_after_it_was_finished():
    book = Book()
    book.work("w", "2024-05-01", stage="started", life_years=5.0)
    assert book.assess("2026-01-01").renewals == ()
    book.work("w", "2024-12-01", stage="finished", finish="2024-11-15")
    assert find(book.assess("2026-01-01").renewals, key="w").due == "2029-11-15"


def test_a_payment_after_its_end_moves_no_renewal():
    book = Book()
    book.work("w", "2024-12-01", stage="finished", life_years=5.0)
    book.work("w", "2025-03-01", stage="finished", spent_eur=10.0)
    row = find(book.assess("2026-01-01").renewals, key="w")
    assert row.due == "2029-12-01" and book.records[0].seq in row.records


def test_dates_of_treaties_and_of_the_law():
    book = Book()
    book.add(
        "treaty_event",
        "notice",
        "2025-06-27",
        line=None,
        instrument="APMBC",
        event="notice",
        effect="2025-12-27",
    )
    book.add(
        "treaty_event",
        "review",
        "2025",
        line=None,
        instrument="AP2",
        event="review",
        effect="2027",
        name="Review",
    )
    book.add("milestone", "law", "2025", name="Law", category="law", stage="planned", due="2026-06")
    changes = (
        Change("LT", "APMBC", date(2025, 12, 27), "F"),
        Change("LT", "PV", date(2026, 3, 1), "G"),
    )
    rows = book.assess("2025-12-01", context=Context(changes=changes)).renewals
    assert [(row.due, row.kind, row.name, row.basis) for row in rows] == [
        ("2025-12-27", "treaty", "APMBC", "told"),
        ("2026-03-01", "treaty", "PV", "treaty register"),
        ("2026-06-30", "law", "Law", "told"),
        ("2027-12-31", "review", "Review", "told"),
    ]


def test_stock_expires():
    stock = Renewal(
        "2030-01-01", "stock", "R01", "R01", "LT", "mines", "R01", 4.0, "km", "life told", None, "G", ()
    )
    row = find(Book().assess("2026-01-01", context=Context(stocks=(stock,))).renewals, kind="stock")
    assert row.days_left == 1461
    assert Book().assess("2026-01-01", context=Context(stocks=(stock,)), public=True).renewals == ()
