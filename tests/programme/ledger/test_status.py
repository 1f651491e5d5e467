"""The whole status: corrections, order of import, what the public sees, records behind every figure."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.programme.ledger.status_cases import TEN_DAYS, Book, find

from abatis.programme.ledger.records import KINDS
from abatis.programme.ledger.states import select_current
from abatis.programme.ledger.status import assess_ledger

DAY = "2026-06-30"


def write_programme(book: Book) -> None:
    """A little of every kind."""
    book.add("budget", "b", "2025", stage="approved", amount_eur=1000.0, first_year=2025, last_year=2026)
    book.add("budget", "weak", "2026", stage="approved", amount_eur=5000.0, tag="F-")
    book.add(
        "budget", "s", "2026-02", stage="spent", amount_eur="not disclosed", first_year=2025, last_year=2025
    )
    book.work("w", "2025-12-01", stage="planned", planned_eur=400.0, name="Ditch", **TEN_DAYS)
    book.work("w", "2026-01-20", stage="started", done=0.5, spent_eur=300.0, delay_cause="land")
    book.work("v", "2026-02-01", stage="started", done="not disclosed", planned_eur=50.0, access="restricted")
    book.add("contract", "c", "2026-01", stage="signed", amount_eur=200.0, due="2026-03-01", country="LV")
    book.add("delivery", "d", "2026-02-01", quantity=5.0, ordered=9.0, due="2026-03-01", life_years=5.0)
    book.add("milestone", "m", "2026-01", name="Law", category="law", stage="planned", due="2026-03-01")
    book.add("hazard", "h", "2026-01", event="recorded", category="unknown", area_m2=900.0, line=None)
    book.add("incident", "i", "2026-01", name="Fire", category="fire", cost_eur=9.0, line=None)
    book.add("treaty_event", "t", "2026-01", instrument="PV", event="notice", effect="2027-01-01", line=None)
    book.add("statement", "q", "2026-01", speaker="audit", topic="result", wording="late", value=3.0)


def test_a_correction_takes_the_place_of_what_it_corrects():
    book = Book()
    wrong = book.work("w", "2026-01-05", stage="started", planned_eur=100.0, done=0.9, **TEN_DAYS)
    book.work("w", "2026-01-05", corrects=wrong, stage="started", planned_eur=100.0, done=0.2, **TEN_DAYS)
    status = book.assess("2026-01-05")
    row = find(status.earned, level="work")
    assert (row.ev_eur, row.records) == (20.0, (2,))
    assert status.contradictions == ()
    assert (status.record_count, status.all_count) == (1, 2)


def test_a_record_taken_back_leaves_nothing_in_its_place():
    book = Book()
    wrong = book.work("w", "2026-01-05", stage="started", planned_eur=100.0, done=0.9, **TEN_DAYS)
    book.work("w", "2026-01-05", corrects=wrong, stage="started", withdrawn=True)
    status = book.assess("2026-01-05")
    assert (status.earned, status.record_count) == ((), 0)


def test_a_correction_of_a_correction_counts():
    book = Book()
    for corrects, done in ((None, 0.1), (1, 0.2), (2, 0.3)):
        book.work("w", "2026-01-05", corrects=corrects, stage="started", planned_eur=100.0, done=done)
    assert find(book.assess("2026-01-05").earned, level="work").ev_eur == 30.0


def test_records_that_contradict_each_other_are_shown_and_the_better_one_counts():
    book = Book()
    book.work("w", "2026-01-05", stage="started", planned_eur=100.0, done=0.2, tag="D")
    book.work("w", "2026-01-05", stage="started", planned_eur=100.0, done=0.7, tag="F")
    book.work("w", "2026-01-05", stage="started", planned_eur=100.0, done=0.9, tag="G")
    status = book.assess("2026-01-05")
    assert find(status.earned, level="work").ev_eur == 70.0
    assert {(one.column, one.values) for one in status.contradictions} == {
        ("done", ("0.9", "0.2")),
        ("done", ("0.2", "0.7")),
    }


def test_a_record_without_the_column_hides_no_contradiction():
    book = Book()
    book.work("w", "2026-01-05", stage="planned", planned_eur=1.0, note="one", tag="G")
    book.work("w", "2026-01-05", stage="planned", note="two", tag="D")
    book.work("w", "2026-01-05", stage="planned", planned_eur=2.0, tag="F")
    # Another day and another thing contradict nothing.
    book.work("w", "2026-01-06", stage="started", planned_eur=3.0)
    book.work("v", "2026-01-06", stage="planned", planned_eur=4.0)
    (one,) = book.assess("2026-02-01").contradictions
    assert (one.key, one.column, one.on) == ("w", "planned_eur", "2026-01-05")
    assert (one.values, one.records) == (("1.0", "2.0"), (1, 3))


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_import_does_not_matter(draw):
    book = Book()
    write_programme(book)
    book.work("w", "2026-01-20", stage="started", done=0.6, spent_eur=310.0)
    book.work("w", "2026-03-20", stage="started", done=0.7, corrects=5)
    order = list(range(len(book.records)))
    draw.shuffle(order)
    number = {book.records[old].seq: new + 1 for new, old in enumerate(order)}
    shuffled = [
        book.records[old]._replace(
            seq=number[book.records[old].seq], corrects=number.get(book.records[old].corrects)
        )
        for old in order
    ]
    back = {new: old for old, new in number.items()}

    def restore(value):
        if isinstance(value, dict):
            return {
                key: sorted(back[one] for one in part) if key == "records" else restore(part)
                for key, part in value.items()
                if key != "grounds"
            }
        return [restore(one) for one in value] if isinstance(value, list | tuple) else value

    def keep(value):
        if isinstance(value, dict):
            return {
                key: sorted(part) if key == "records" else keep(part)
                for key, part in value.items()
                if key != "grounds"
            }
        return [keep(one) for one in value] if isinstance(value, list | tuple) else value

    day = date.fromisoformat(DAY)
    first, second = assess_ledger(book.records, day), assess_ledger(shuffled, day)
    assert restore(second.describe()) == keep(first.describe())


def test_every_row_names_records_that_the_ledger_holds():
    book = Book()
    write_programme(book)
    status = book.assess(DAY)
    known = {one.seq for one in book.records}
    for section in ("lines", "readings", "earned", "delays", "delays_by_cause", "disclosure", "not_disclosed",
                    "renewals", "alerts", "statements"):  # fmt: skip
        rows = getattr(status, section)
        assert rows, section
        for row in rows:
            assert row.records, (section, row)
            assert set(row.records) <= known
    for row in status.lines:
        for figure, seqs in row.grounds.items():
            assert set(seqs) <= set(row.records), figure


def test_the_whole_status_can_be_written_as_json():
    book = Book()
    write_programme(book)
    text = json.dumps(book.assess(DAY).describe())
    assert json.loads(text)["day"] == DAY


def test_the_public_status_is_that_of_a_ledger_without_restricted_records():
    book = Book()
    write_programme(book)
    book.work("secret", "2026-02-01", stage="started", planned_eur=7.0, done=0.5, spent_eur=9.0,
              access="restricted", name="Hidden work")  # fmt: skip
    everything, public = book.assess(DAY), book.assess(DAY, public=True)
    only = Book()
    only.records = [one for one in book.records if one.access == "public"]
    assert public == replace(only.assess(DAY, public=True), all_count=public.all_count)
    assert "Hidden work" not in json.dumps(public.describe())
    assert find(everything.earned, key="secret").ev_eur == 3.5
    assert [one.key for one in public.earned if one.level == "work"] == ["w"]
    restricted = {one.seq for one in book.records if one.access == "restricted"}
    for section in (
        "lines",
        "earned",
        "delays",
        "disclosure",
        "not_disclosed",
        "renewals",
        "alerts",
        "statements",
    ):
        for row in getattr(public, section):
            assert not set(row.records) & restricted


def test_a_restricted_correction_takes_a_wrong_public_record_from_the_public():
    book = Book()
    wrong = book.work("w", "2026-01-05", stage="started", planned_eur=100.0, done=0.9)
    book.work(
        "w", "2026-01-05", corrects=wrong, stage="started", planned_eur=100.0, done=0.2, access="restricted"
    )
    assert book.assess("2026-01-05", public=True).earned == ()


def test_the_future_does_not_count():
    book = Book()
    book.work("w", "2026-01-03", stage="started", planned_eur=100.0, done=0.2)
    book.work("w", "2026-01-04", stage="started", done=0.5)
    book.work("w", "2026-02", stage="started", done=0.8)
    ev = [
        find(book.assess(day).earned, level="work").ev_eur
        for day in ("2026-01-03", "2026-01-31", "2026-02-01")
    ]
    assert ev == [20.0, 50.0, 80.0]


def test_an_empty_ledger_has_an_empty_status():
    status = assess_ledger([], date(2026, 1, 1))
    assert (status.record_count, status.lines, status.earned, status.alerts) == (0, (), (), ())


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_that_says_only_what_it_must_is_no_trouble(kind):
    least = {
        "budget": {"stage": "approved", "amount_eur": "not disclosed"},
        "contract": {"stage": "signed", "amount_eur": "not disclosed"},
        "delivery": {"quantity": "not disclosed"},
        "work": {"stage": "started"},
        "milestone": {"name": "m", "stage": "planned", "due": "2027"},
        "hazard": {"event": "recorded", "category": "unknown", "area_m2": "not disclosed"},
        "incident": {"name": "i", "category": "other"},
        "treaty_event": {"instrument": "PV", "event": "vote"},
        "statement": {"speaker": "s", "topic": "result", "wording": "w"},
    }
    for on in ("2026", "2026-01", "2026-01-05"):
        book = Book()
        book.add(kind, "k", on, line=None, **least[kind])
        assert book.assess(DAY).record_count == 1


def test_records_of_the_day_itself_count_from_its_first_possible_day():
    book = Book()
    book.work("w", "2026-06", stage="started")
    assert select_current(book.records, date(2026, 5, 31)) == []
    assert len(select_current(book.records, date(2026, 6, 1))) == 1
