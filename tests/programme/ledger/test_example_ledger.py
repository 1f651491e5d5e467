"""The example ledger: public figures of four countries, as they were found and no better."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import pytest
from tests.programme.ledger.status_cases import find

import abatis.examples.lithuania
from abatis.model.study import hash_study, read_study
from abatis.programme.ledger.importing import import_records
from abatis.programme.ledger.records import KINDS, NOT_DISCLOSED
from abatis.programme.ledger.status import assess_ledger, assess_study, read_status
from abatis.programme.ledger.store import open_ledger
from abatis.show.example_ledger import import_example_ledger
from abatis.show.new import write_new_study

FILES = sorted((Path(abatis.examples.lithuania.__file__).parent / "ledger").glob("*.csv"))
DAY = date(2026, 11, 22)


@pytest.fixture(scope="module")
def study_folder(tmp_path_factory):
    return write_new_study(tmp_path_factory.mktemp("ledger") / "lt", "lithuania")


@pytest.fixture(scope="module")
def records(study_folder):
    with open_ledger(study_folder) as ledger:
        return ledger.read(current=False)


@pytest.fixture(scope="module")
def status(records):
    return assess_ledger(records, DAY)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_row_has_a_source_and_a_tag_and_is_public(path):
    assert path.stem in KINDS
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        assert len(row["source"]) > 2, row
        assert row["tag"] in ("F", "F-", "D", "G"), row
        assert row["access"] == "public", row


def test_a_new_example_holds_its_ledger_and_importing_again_adds_nothing(study_folder, records):
    rows = sum(len(path.read_text(encoding="utf-8").splitlines()) - 1 for path in FILES)
    assert len(records) == rows
    assert {one.body["country"] for one in records} == {"LT", "LV", "EE", "PL"}
    assert import_example_ledger(study_folder) == 0
    with open_ledger(study_folder) as ledger:
        assert ledger.count() == rows
        assert ledger.verify().sound


def test_the_ledger_is_no_part_of_what_a_plan_rests_on(study_folder):
    study = read_study(study_folder)
    before = hash_study(study)
    with open_ledger(study_folder) as ledger:
        kept = (study_folder / "ledger.sqlite").read_bytes()
        assert ledger.count() and kept
    (study_folder / "ledger" / "note.csv").write_text("changed", encoding="utf-8")
    assert hash_study(read_study(study_folder)) == before
    (study_folder / "ledger" / "note.csv").unlink()


@pytest.mark.parametrize(
    ("country", "line", "planned_eur"),
    [
        ("LT", "total", 1.1e9),
        ("LT", "mines", 812e6),
        ("LT", "counter_mobility", 112e6),
        ("LT", "first_package", 17.56e6),
        ("LT", "fence", 152e6),
        ("LV", "total", 303e6),
        ("EE", "bunkers", 60e6),
    ],
)
def test_plans_are_those_last_told(status, country, line, planned_eur):
    row = find(status.lines, country=country, line=line, year=None)
    assert (row.planned_eur, row.tag) == (planned_eur, "F")


def test_what_is_not_disclosed_stays_so(status):
    poland = find(status.lines, country="PL", line="total", year=2024)
    assert (poland.spent_eur, poland.undisclosed) == (None, ("spent_eur",))
    assert find(status.lines, country="LT", line="total", year=2025).undisclosed == ("spent_eur",)
    assert find(status.lines, country="LV", line="total", year=2024).spent_eur == 25e6
    score = {row.country: row.share for row in status.disclosure if row.line == ""}
    assert score["PL"] < score["LV"] < score["LT"] < score["EE"] == 1.0


def test_contradictions_stand_side_by_side(status):
    mines = [row.amount_eur for row in status.readings if (row.country, row.line) == ("LT", "mines")]
    assert mines == [500e6, 800e6, 812e6]
    parks = {row.value for row in status.statements if row.key.startswith("lt_parks_") and row.tag == "F"}
    assert parks == {18.0, 20.0, 27.0}
    border = {row.value for row in status.statements if row.key.startswith("lt_kaliningrad_")}
    assert border == {253.7, 255.0, 275.0}
    votes = {row.value for row in status.statements if row.key.startswith("lv_vote_")}
    assert votes == {66.0, 68.0}


def test_weak_sources_are_listed_and_never_counted(records, status):
    weak = {one.seq for one in records if one.tag == "F-"}
    assert len(weak) >= 10
    for section in ("lines", "earned", "delays", "renewals"):
        for row in getattr(status, section):
            assert not set(row.records) & weak
    told = {row.key: row.tag for row in status.statements}
    assert told["lt_mines_delivery"] == "F-"
    assert {seq for row in status.not_disclosed if row.weak for seq in row.records} & weak


def test_an_exit_is_dated_by_its_effect_and_not_by_its_vote(records):
    left = {
        (one.body["country"], one.body["instrument"]): one.on
        for one in records
        if one.kind == "treaty_event" and one.body["event"] == "left"
    }
    assert left == {
        ("LT", "APMBC"): "2025-12-27",
        ("LV", "APMBC"): "2025-12-27",
        ("EE", "APMBC"): "2025-12-27",
        ("PL", "APMBC"): "2026-02-20",
        ("LT", "CCM"): "2025-03-06",
    }


def test_the_study_adds_law_lives_and_terms(study_folder, records):
    status = assess_study(read_study(study_folder), records, DAY)
    blocks = [row for row in status.renewals if row.key == "lt_crossing_blocks"]
    # Twenty years from September 2025 lie beyond the calendar; without the study the life is not known.
    assert blocks == []
    assert status.plan == ""
    assert not [row for row in status.alerts if row.rule == "measure_unlawful"]


def test_dry_run_of_every_file_finds_no_fault(tmp_path):
    with open_ledger(tmp_path / "new.sqlite") as ledger:
        for path in FILES:
            report = import_records(ledger, path, "audit", dry_run=True)
            assert sum(report.new.values()) == report.rows
        assert ledger.count() == 0


def test_no_figure_is_called_not_disclosed_by_a_zero(records):
    for one in records:
        for name, value in one.body.items():
            assert value != 0 or name == "done", (one.key, name)
    assert [one for one in records if NOT_DISCLOSED in one.body.values()]


def test_reading_and_assessing_at_once_says_the_same(study_folder, records):
    study = read_study(study_folder)
    with open_ledger(study_folder) as ledger:
        assert read_status(study, ledger, DAY) == assess_study(study, records, DAY)
