"""The view of people: kept beside the plan, the same numbers as `abatis people`, by area and on the map."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import pytest
import shapely

from abatis.barrier.sites import site_study
from abatis.model.plan import read_plan
from abatis.show.app.views.areas import OUTSIDE, count_areas, read_areas
from abatis.show.app.views.people import FILE
from abatis.show.civil import compute_account
from abatis.show.cli import main
from abatis.show.workflow import load_study


@pytest.fixture(scope="module")
def told(viewed_folder: Path):
    study, mesh = load_study(viewed_folder)
    plan = read_plan(viewed_folder / "plans" / "base")
    siting = site_study(study, mesh)
    return study, mesh, siting, plan, compute_account(study, mesh, siting, plan)


def test_figures_are_those_of_the_command(viewed_folder: Path, make_client, capsys):
    assert main(["people", str(viewed_folder), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    answer = make_client(viewed_folder).get("/api/people?plan=base").json()
    assert answer["made"] is True
    rows = {row["key"]: row for row in answer["tables"]["figures"]["rows"]}
    assert len(rows) == len(said["figures"])
    for one in said["figures"]:
        value = rows[one["key"]]["value"]
        assert value == one["value"] if one["value"] is not None else value in (None, "never")
        assert rows[one["key"]]["_trace"]["shown"] == f"people:base:figure:{one['key']}"
    assert [row["place"] for row in answer["tables"]["cut_off"]["rows"]] == [
        row["place"] for row in said["cut_off"]
    ]


def test_areas_add_up_to_the_plan(told):
    study, mesh, siting, plan, account = told
    table = count_areas(study, read_areas(study, mesh), siting, plan, account)
    assert "nearest town" in table.title
    rows = table.rows
    assert sum(row["persons"] for row in rows) == sum(one.persons for one in account.access.places)
    assert sum(row["sites"] for row in rows) == len(plan.options) > 0
    assert sum(row["cost_eur"] for row in rows) == pytest.approx(plan.cost_eur)
    assert sum(row["land_take_ha"] for row in rows) == pytest.approx(account.impact.land_total_ha)
    cut_off = account.figures["people_cut_off_closed"].value
    assert sum(row["cut_off_closed"] for row in rows) == pytest.approx(cut_off)


def test_municipalities_are_used_where_the_study_has_them(told, tmp_path):
    """Two halves of the country: what stands east of the middle counts in the east."""
    study, mesh, siting, plan, account = told
    west, south, east, north = mesh.lon.min(), mesh.lat.min(), mesh.lon.max(), mesh.lat.max()
    middle = float(sorted(one.lon for one in siting.sites)[len(siting.sites) // 2])
    frame = gpd.GeoDataFrame(
        {"name": ["West", "East"]},
        geometry=[
            shapely.box(west - 1, south - 1, middle, north + 1),
            shapely.box(middle, south - 1, east + 1, north + 1),
        ],
        crs=4326,
    )
    frame.to_file(tmp_path / "municipalities.geojson", driver="GeoJSON")
    row = dict.fromkeys(study.sources.columns, "")
    row |= {
        "layer": "municipalities",
        "file": str(tmp_path / "municipalities.geojson"),
        "name_column": "name",
    }
    sources = study.sources.copy()
    sources.loc[int(sources.index.max()) + 1] = row
    halved = replace(study, sources=sources)
    areas = read_areas(halved, mesh)
    assert areas.kind == "municipality"
    table = count_areas(halved, areas, siting, plan, account)
    rows = {one["area"]: one for one in table.rows}
    where = {site.key: site for site in siting.sites}
    eastern = [one for one in plan.options if where[one.site].lon > middle]
    assert 0 < len(eastern) < len(plan.options)
    assert rows["East"]["sites"] == len(eastern)
    assert rows["East"]["cost_eur"] == pytest.approx(sum(one.cost_eur for one in eastern))
    assert areas.name_points([west - 5], [south]) == [OUTSIDE]


def test_hours_on_the_map_are_those_of_the_account(told, viewed_folder: Path, make_client):
    account = told[4]
    answer = make_client(viewed_folder).get("/api/people").json()
    points = {one["properties"]["place"]: one for one in answer["features"]["places"]["features"]}
    assert set(points) == {one.place for one in account.access.places}
    for one in account.access.places:
        shown = points[one.place]["properties"]
        for aim, hours in one.hours.items():
            told_h = shown[f"{aim}_closed_h"]
            assert told_h == (
                "never" if hours.closed_h == float("inf") else pytest.approx(hours.closed_h, abs=1e-3)
            )


def test_nothing_is_computed_in_silence(solved_folder: Path, viewed_folder: Path, make_client, tmp_path):
    client = make_client(solved_folder)
    missing = client.get("/api/people").json()
    assert (missing["made"], missing["job"], missing["tables"]) == (False, "people", {})
    assert not (solved_folder / "plans" / "base" / FILE).exists()
    folder = Path(shutil.copytree(viewed_folder, tmp_path / "study"))
    client = make_client(folder)
    assert client.get("/api/people").json()["made"] is True
    terms = folder / "tables" / "treaties.csv"
    terms.write_text(
        "state,instrument,status,vote,notice,effect,conflict_from,conflict_until,note,source,tag\n", "utf-8"
    )
    outdated = client.get("/api/people").json()
    assert (outdated["made"], outdated["job"]) == (False, "people")
    assert "another state" in outdated["why"]
