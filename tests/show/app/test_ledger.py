"""The monitor over HTTP: records, state on a day, import by an auditor."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from tests.show.app.clients import add_user, log_in
from tests.show.app.ledger_rows import SECRET_EUR, SECRET_NOTE, write_ledger

from abatis.model.plan import read_plan
from abatis.programme.ledger.records import Draft
from abatis.programme.ledger.status import assess_ledger
from abatis.programme.ledger.store import open_ledger
from abatis.show.app.views.ledger import read_ledger

CSV = """kind,key,on,country,line,stage,first_year,last_year,amount_eur,source,tag,access
budget,n1,2026-05-01,HOME,sites,approved,2026,2027,500000,act,F,public
budget,n2,2026-05-02,HOME,sites,approved,2028,2029,not disclosed,act,F,restricted
"""


@pytest.fixture
def folder(study_copy: Path) -> Path:
    write_ledger(study_copy, read_plan(study_copy / "plans" / "base").options[0].site)
    return study_copy


def test_records_are_paged_newest_first(folder: Path, make_client):
    client = make_client(folder)
    current = client.get("/api/ledger/records").json()
    assert [one["seq"] for one in current["records"]] == [7, 6, 5, 4, 3, 2]
    assert (current["total"], current["page"], current["pages"]) == (6, 1, 1)
    everything = client.get("/api/ledger/records?all=true&kind=budget").json()
    assert [(one["seq"], one["corrected_by"]) for one in everything["records"]] == [
        (7, None),
        (2, None),
        (1, 7),
    ]
    assert everything["kinds"]["contract"] == 2
    history = client.get("/api/ledger/records/1").json()
    assert history["record"]["corrected_by"] == 7
    assert [one["seq"] for one in history["history"]] == [1, 7]
    assert {"what": "amount_eur", "value": 3_000_000} in history["table"]["rows"]
    assert client.get("/api/ledger/records/99").status_code == 404
    assert client.get("/api/ledger/records?kind=secret").status_code == 422


def test_a_record_added_between_head_and_records_counts_once(tmp_path: Path, monkeypatch):
    def add(key):
        body = {"country": "LT", "line": "x", "stage": "planned", "amount_eur": 1.0}
        ledger.append([Draft("budget", key, "2026-01-01", body, "act", "F", "public")], "Ministry")

    with open_ledger(tmp_path / "one.sqlite") as ledger:
        assert read_ledger(ledger).records == []
        add("a")
        head = ledger.read_head()
        add("b")
        with monkeypatch.context() as patch:
            patch.setattr(ledger, "read_head", lambda: head)
            found = read_ledger(ledger)
        assert ([one.seq for one in found.records], found.head) == ([1, 2], ledger.read_head())
        add("c")
        assert [one.seq for one in read_ledger(ledger).records] == [1, 2, 3]
        assert read_ledger(ledger) is read_ledger(ledger)


def test_the_state_on_a_day_is_that_of_the_programme_room(folder: Path, make_client):
    day = date(2026, 7, 1)
    answer = make_client(folder).get(f"/api/ledger/status?date={day}").json()
    with open_ledger(folder) as ledger:
        known = assess_ledger(ledger.read(current=False), day)
    shown = {(row["country"], row["line"]): row for row in answer["tables"]["lines"]["rows"]}
    for one in known.lines:
        if one.year is None:
            row = shown[one.country, one.line]
            assert row["contracted_eur"] == one.contracted_eur
            assert row["records"] == list(one.records)
    assert shown["HOME", "sites"]["planned_eur"] == 3_200_000
    assert shown["HOME", "sites"]["contracted_eur"] == 1_000_000 + SECRET_EUR
    assert shown["HOME", "other"]["planned_eur"] == "not disclosed"
    total = next(row for row in answer["tables"]["earned"]["rows"] if row["level"] == "total")
    assert total["ev_eur"] == pytest.approx(0.4 * 400_000)
    assert total["cpi"] == pytest.approx(160_000 / 250_000)
    assert answer["charts"]["plan_actual"]["y"]["unit"] == "MEUR"
    late = answer["tables"]["delays"]["rows"]
    assert any(row["key"] == "m1" and row["days"] == 108 for row in late)


def test_an_empty_ledger_says_so(solved_folder: Path, make_client):
    answer = make_client(solved_folder).get("/api/ledger/status").json()
    assert (answer["made"], answer["job"]) == (False, None)
    assert "no records" in answer["why"]
    assert not (solved_folder / "ledger.sqlite").exists()


def test_an_auditor_imports_all_or_nothing(folder: Path, make_client):
    for name, role in (("ada", "auditor"), ("paul", "planner"), ("vera", "viewer")):
        add_user(folder, name, role)
    client = make_client(folder)
    for name in ("paul", "vera"):
        log_in(client, name)
        assert client.post("/api/ledger/import", content=CSV).status_code == 403
    log_in(client, "ada")
    dry = client.post("/api/ledger/import?dry_run=true", content=CSV, headers={"Content-Type": "text/csv"})
    assert dry.json() == {"dry_run": True, "rows": 2, "new": {"budget": 2}, "added": [], "repeated": []}
    wrong = CSV.replace("500000", "much").replace("2028,2029", "2029,2028")
    refused = client.post("/api/ledger/import", content=wrong)
    assert refused.status_code == 400
    assert len(refused.json()["faults"]) >= 2
    assert all("records.csv" in fault["where"] for fault in refused.json()["faults"])
    assert client.get("/api/ledger/records?all=true").json()["total"] == 7
    done = client.post("/api/ledger/import", content=CSV).json()
    assert done["added"] == [8, 9]
    assert client.get("/api/ledger/records/8").json()["record"]["author"] == "ada"
    again = client.post("/api/ledger/import", content=CSV).json()
    assert (again["added"], [one["seq"] for one in again["repeated"]]) == ([], [8, 9])
    with open_ledger(folder) as ledger:
        assert ledger.verify().sound


def test_an_import_needs_the_token_and_a_body(folder: Path, make_client):
    client = make_client(folder)
    assert client.post("/api/ledger/import", content="").status_code == 400
    assert client.post("/api/ledger/import?form=xlsx", content=b"no workbook").status_code == 400
    client.headers["X-CSRF-Token"] = "wrong"
    assert client.post("/api/ledger/import", content=CSV).status_code == 403


def test_the_public_sees_public_records_alone(folder: Path, make_client):
    site = read_plan(folder / "plans" / "base").options[0].site
    add_user(folder, "ada", "auditor")
    client = make_client(folder, public=True)
    records = client.get("/api/ledger/records?all=true")
    assert [one["seq"] for one in records.json()["records"]] == [7, 6, 5, 3, 2, 1]
    assert site not in records.text
    assert {(one["hash"], one["previous_hash"]) for one in records.json()["records"]} == {("", "")}
    assert client.get("/api/ledger/records/4").status_code == 404
    status = client.get("/api/ledger/status?date=2026-07-01")
    row = next(one for one in status.json()["tables"]["lines"]["rows"] if one["line"] == "sites")
    assert row["contracted_eur"] == 1_000_000
    assert client.post("/api/ledger/import", content=CSV).status_code in (401, 403)
    log_in(client, "ada")
    whole = client.get("/api/ledger/records/4").json()
    assert whole["record"]["body"]["note"] == SECRET_NOTE
    assert whole["record"]["hash"]
