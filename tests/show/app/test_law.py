"""The view of the law: the same rows as `abatis law`, the year table, and changes with their days."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from abatis.show.app.views import law
from abatis.show.cli import main


def test_rows_are_those_of_the_command(solved_folder: Path, make_client, capsys):
    assert main(["law", str(solved_folder), "--date", "2026-06-01", "--state", "all", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    answer = make_client(solved_folder).get("/api/law?date=2026-06-01&states=all").json()
    for key, rows in said.items():
        shown = [
            {name: value for name, value in row.items() if name != "_trace"}
            for row in answer["tables"][key]["rows"]
        ]
        assert shown == rows
    register = answer["tables"]["register"]["rows"]
    assert register
    assert all(row["_trace"]["since"] == f"law:{row['state']}:{row['instrument']}" for row in register)


def test_the_day_changes_the_register(solved_folder: Path, make_client):
    """Lithuania left the convention on anti-personnel mines on 27 December 2025 (register, tag F)."""
    client = make_client(solved_folder)

    def status(day: str) -> str:
        rows = client.get(f"/api/law?date={day}&states=LT").json()["tables"]["register"]["rows"]
        return next(row["status"] for row in rows if row["instrument"] == "APMBC")

    assert status("2025-12-26") != status("2025-12-27")
    assert status("2025-12-27") == "left"
    changes = client.get("/api/law?states=LT").json()["tables"]["changes"]["rows"]
    assert any(
        (row["day"], row["instrument"], row["becomes"]) == ("2025-12-27", "APMBC", "left") for row in changes
    )


def test_every_year_of_the_programme_has_a_verdict(solved_folder: Path, make_client):
    table = make_client(solved_folder).get("/api/law").json()["tables"]["by_year"]
    years = [one["key"] for one in table["columns"] if one["key"].isdigit()]
    assert len(years) == 10
    assert table["rows"]
    assert all(row[year] for row in table["rows"] for year in years)


def test_each_kind_that_is_never_a_measure_has_its_row(solved_folder: Path, make_client):
    rows = make_client(solved_folder).get("/api/law").json()["tables"]["by_year"]["rows"]
    names = [row["name"] for row in rows if row["measure"] == "-"]
    assert names == ["anti personnel mine: never a measure", "cluster munition: never a measure"]


@pytest.mark.parametrize(("first", "last", "shown"), [
    ("lawful", "lawful", "lawful"),
    ("lawful", "lawful with duties", "lawful with duties"),
    ("lawful with duties", "lawful", "lawful with duties"),
    ("lawful with duties", "not known", "not known"),
    ("unlawful", "lawful with duties", "unlawful"),
    ("unlawful", "not known", "unlawful"),
])  # fmt: skip
def test_the_stricter_day_counts_for_the_year(monkeypatch, first, last, shown):
    def assess(study, day):
        verdict = first if day.month == 1 else last
        lawful = {"not known": None, "unlawful": False}.get(verdict, True)
        return (SimpleNamespace(state="LT", measure="belt", name="Belt", verdict=verdict, lawful=lawful),)

    monkeypatch.setattr(law, "assess_measures", assess)
    table = law.tabulate_years(SimpleNamespace(first_year=2026, programme_years=1))
    assert table.rows == ({"state": "LT", "measure": "belt", "name": "Belt", "2026": shown},)


@pytest.mark.parametrize("query", ["date=yesterday", "date=2026-02-30", "states=%3Cb%3E"])
def test_what_is_no_day_or_state_is_refused(solved_folder: Path, make_client, query):
    answer = make_client(solved_folder).get(f"/api/law?{query}")
    assert answer.status_code == 422
    assert answer.json()["faults"]
