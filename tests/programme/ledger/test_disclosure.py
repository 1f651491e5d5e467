"""Disclosure: what is told, what is only weakly told, what is not disclosed."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.programme.ledger.status_cases import Book, find


def test_three_of_four_figures_are_told():
    book = Book()
    book.add("budget", "a", "2025", stage="approved", amount_eur=1.0)
    book.add("budget", "b", "2025", stage="spent", amount_eur="not disclosed")
    book.work("w", "2025", stage="started", planned_eur=5.0, done=0.5)
    status = book.assess("2026-01-01")
    row = find(status.disclosure, country="LT", line="x")
    assert (row.told, row.weak, row.undisclosed, row.share) == (3, 0, 1, 0.75)
    assert row.records == (1, 2, 3)
    assert find(status.disclosure, country="LT", line="").share == 0.75
    missing = find(status.not_disclosed, key="b")
    assert (missing.column, missing.weak, missing.records) == ("amount_eur", False, (2,))


def test_a_column_that_nobody_filled_was_never_asked():
    book = Book()
    book.work("w", "2025", stage="started")
    assert book.assess("2026-01-01").disclosure == ()


def test_a_weak_source_and_a_placeholder_disclose_nothing():
    book = Book()
    book.add("budget", "weak", "2025", stage="approved", amount_eur=1.0, tag="F-")
    book.add("budget", "guess", "2025", stage="approved", amount_eur=1.0, tag="G")
    book.add("budget", "derived", "2025", stage="approved", amount_eur=1.0, tag="D")
    status = book.assess("2026-01-01")
    row = find(status.disclosure, line="x")
    assert (row.told, row.weak, row.undisclosed, row.share) == (1, 2, 0, 1 / 3)
    assert [one.key for one in status.not_disclosed] == ["guess", "weak"]


def test_what_was_told_once_is_told_even_when_a_weak_source_speaks_later():
    book = Book()
    book.add("budget", "a", "2025", stage="approved", amount_eur=1.0)
    book.add("budget", "a", "2026", stage="approved", amount_eur=2.0, tag="F-")
    row = find(book.assess("2026-06-01").disclosure, line="x")
    assert (row.told, row.weak) == (1, 0)


def test_a_figure_that_is_no_longer_told_is_not_disclosed():
    book = Book()
    book.work("w", "2025", stage="started", spent_eur=1.0)
    book.work("w", "2026", stage="started", spent_eur="not disclosed")
    status = book.assess("2026-06-01")
    assert find(status.disclosure, line="x").share == 0.0
    assert find(status.earned, level="work").ac_eur is None


def test_every_statement_counts():
    book = Book()
    for number, value in enumerate((1.0, "not disclosed", 3.0)):
        book.add(
            "statement", "asked", f"2025-0{number + 1}", speaker="s", topic="length", wording="w", value=value
        )
    row = find(book.assess("2026-06-01").disclosure, line="x")
    assert (row.told, row.undisclosed) == (2, 1)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([1.0, 2.5, "not disclosed"]), min_size=1, max_size=20))
def test_the_share_counts_figures_and_hiding_one_never_raises_it(values):
    def score(amounts):
        book = Book()
        for number, amount in enumerate(amounts):
            book.add("budget", f"b{number}", "2025", stage="approved", amount_eur=amount)
        return find(book.assess("2026-01-01").disclosure, line="x").share

    assert score(values) == sum(one != "not disclosed" for one in values) / len(values)
    assert score([*values[1:], "not disclosed"]) <= score(values)
