"""The view of the programme: the kept schedule, to the cent, and never a search while somebody waits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from abatis.programme.kept import read_schedule
from abatis.show.cli import main


@pytest.fixture(scope="module")
def schedule(viewed_folder: Path):
    kept = read_schedule(viewed_folder / "plans" / "base")
    assert kept is not None
    return kept.schedule


def test_money_by_line_and_year_is_that_of_the_schedule(viewed_folder: Path, schedule, make_client):
    answer = make_client(viewed_folder).get("/api/programme?plan=base").json()
    assert answer["made"] is True
    cash = answer["charts"]["cash"]
    assert cash["x"]["values"] == schedule.years.tolist()
    for row, one in enumerate(cash["series"]):
        assert [1e6 * eur for eur in one["values"]] == pytest.approx(schedule.nominal_eur[row].tolist())
        assert one["trace"][0] == f"programme:base:year:{schedule.years[0]}:{one['key']}"
    rows = answer["tables"]["years"]["rows"]
    assert [row["held_h"] for row in rows] == pytest.approx(schedule.value_h.tolist())
    curve = {one["key"]: one["values"] for one in answer["charts"]["s_curve"]["series"]}
    assert curve["spent"] == sorted(curve["spent"])
    assert curve["spent"][-1] <= curve["money"][-1] + 1e-6
    hours = {one["key"]: one for one in answer["charts"]["hours"]["series"]}
    assert hours["held_h"]["values"] == pytest.approx([schedule.before_h, *schedule.value_h.tolist()])
    assert len(hours["held_h"]["trace"]) == len(hours["held_h"]["values"])
    assert all(
        low <= high for low, high in zip(hours["band"]["low"][1:], hours["band"]["high"][1:], strict=True)
    )


def test_the_year_slider_knows_what_stands_when(viewed_folder: Path, schedule, make_client):
    answer = make_client(viewed_folder).get("/api/programme").json()
    sites = [one["properties"] for one in answer["features"]["sites"]["features"]]
    assert len(sites) == len(schedule.option_keys)
    for year in schedule.years.tolist():
        standing = sum(one["finish_year"] is not None and one["finish_year"] <= year for one in sites)
        assert standing == int(((schedule.finish_year >= 0) & (schedule.finish_year <= year)).sum())
    rows = answer["tables"]["starts"]["rows"]
    starts = [row["start_year"] for row in rows if row["start_year"] is not None]
    assert starts == sorted(starts)
    spans = answer["charts"]["works"]["spans"]
    assert spans
    assert all(one["begin"] <= one["work"] <= one["end"] for one in spans)


def test_bands_stand_only_beside_their_own_schedule(viewed_folder: Path, make_client, tmp_path):
    folder = Path(shutil.copytree(viewed_folder, tmp_path / "study"))
    client = make_client(folder)
    whole = client.get("/api/programme").json()
    assert {"risk", "risk_years"} <= set(whole["tables"])
    path = folder / "plans" / "base" / "risk.json"
    kept = json.loads(path.read_text("utf-8"))
    kept["tables"]["plans"][0]["mark"] = "of another schedule"
    path.write_text(json.dumps(kept), "utf-8")
    other = client.get("/api/programme").json()
    assert "risk" not in other["tables"]
    assert [one["key"] for one in other["charts"]["hours"]["series"]] == ["held_h", "at_most_h"]
    assert any("another schedule" in note for note in other["notes"])


def test_no_schedule_no_search(solved_folder: Path, viewed_folder: Path, make_client, tmp_path):
    missing = make_client(solved_folder).get("/api/programme").json()
    assert (missing["made"], missing["job"]) == (False, "programme")
    assert not (solved_folder / "plans" / "base" / "schedule.json").exists()
    folder = Path(shutil.copytree(viewed_folder, tmp_path / "study"))
    client = make_client(folder)
    assert client.get("/api/programme").json()["made"] is True
    rows = "".join(f"sites,{year},{300_000 + year - 2026},test,G\n" for year in range(2026, 2036))
    rows = rows.replace("300009", "299964")
    (folder / "tables" / "budget_years.csv").write_text("line,year,amount_eur,source,tag\n" + rows, "utf-8")
    outdated = client.get("/api/programme").json()
    assert (outdated["made"], outdated["job"]) == (False, "programme")
    settings = folder / "study.toml"
    settings.write_text(settings.read_text("utf-8").replace("seed = 1", "seed = 7"), "utf-8")
    stale = client.get("/api/programme").json()
    assert (stale["made"], stale["job"]) == (False, "solve")


def test_a_new_schedule_is_shown_at_once(viewed_folder: Path, make_client, tmp_path):
    folder = Path(shutil.copytree(viewed_folder, tmp_path / "study"))
    (folder / "plans" / "base" / "schedule.json").unlink()
    client = make_client(folder)
    assert client.get("/api/programme").json()["made"] is False
    assert main(["programme", str(folder)]) == 0
    first = client.get("/api/programme")
    assert first.json()["made"] is True
    again = client.get("/api/programme", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
