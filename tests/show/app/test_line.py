"""The view of the line: what it shows agrees with `abatis line` and with the plan."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import shapely

from abatis.barrier.lines import find_echelon_sets
from abatis.barrier.sites import site_study
from abatis.model.plan import read_plan
from abatis.show.app.views.line import find_open_stretches
from abatis.show.cli import main
from abatis.show.results import find_option_rows
from abatis.show.workflow import load_study


@pytest.fixture(scope="module")
def solved(solved_folder: Path):
    study, mesh = load_study(solved_folder)
    return study, mesh, site_study(study, mesh), read_plan(solved_folder / "plans" / "base")


def test_tables_are_those_of_the_command(solved_folder: Path, make_client, capsys):
    assert main(["line", str(solved_folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    # The page tells it elsewhere: every figure carries its own tag.
    del told["placeholders"]
    answer = make_client(solved_folder).get("/api/line").json()
    assert answer["made"] is True
    for key, rows in told.items():
        table = answer["tables"][key]
        for said, shown in zip(rows, table["rows"], strict=True):
            known = {name: value for name, value in said.items() if value is not None}
            assert {name: shown[name] for name in known} == known
            assert {shown[name] for name in said.keys() - known.keys()} <= {None, "never"}
        assert [one["key"] for one in table["columns"]]
    assert {one["properties"]["line"] for one in answer["features"]["lines"]["features"]} == {
        row["line"] for row in told["lines"]
    }
    bars = answer["charts"]["works"]
    assert bars["y"]["unit"] == "MEUR"
    whole = sum(sum(one["values"]) for one in bars["series"])
    assert whole == pytest.approx(sum(row["cost_eur"] for row in told["measures"]) / 1e6)


def test_open_stretches_are_the_open_edges_without_an_option(solved):
    """Counted again edge by edge: length of open edges of all lines that no chosen option stands on."""
    study, mesh, siting, plan = solved
    lines = [line for one in find_echelon_sets(study, mesh) for line in one]
    problem, closed = siting.problem, set()
    for row in find_option_rows(siting, plan):
        part = slice(int(problem.option_start[row]), int(problem.option_start[row + 1]))
        closed |= set(problem.option_edge[part].tolist())
    open_m = sum(
        float(mesh.length_m[edge])
        for line in lines
        for edge in line.edges.tolist()
        if edge not in closed and (mesh.gap_m[edge] > 0 or mesh.road_class[edge] >= 0)
    )
    stretches = find_open_stretches(mesh, siting, plan, lines)
    assert stretches
    assert sum(one.length_km for one in stretches) == pytest.approx(open_m / 1000.0)
    for one in stretches:
        assert len(one.shape.coords) >= 2
    gaps = [one.gap_m for one in stretches]
    assert gaps == sorted(gaps, reverse=True)


def test_a_plan_with_more_sites_leaves_less_open(solved):
    study, mesh, siting, plan = solved
    lines = [line for one in find_echelon_sets(study, mesh) for line in one]
    empty = find_open_stretches(mesh, siting, replace(plan, options=()), lines)
    built = find_open_stretches(mesh, siting, plan, lines)
    assert sum(one.length_km for one in built) < sum(one.length_km for one in empty)
    natural = sum(line.closed_by_nature * line.length_km for line in lines)
    whole = sum(line.length_km for line in lines)
    assert sum(one.length_km for one in empty) == pytest.approx(whole - natural, rel=1e-6)


def test_a_plan_of_another_state_shows_no_leaks(study_copy: Path, make_client):
    settings = study_copy / "study.toml"
    settings.write_text(settings.read_text("utf-8").replace("seed = 1", "seed = 2"), "utf-8")
    answer = make_client(study_copy).get("/api/line").json()
    assert answer["made"] is True
    assert "leaks" not in answer["features"]
    assert any("another state" in note for note in answer["notes"])


def test_the_joint_line_is_shown_from_its_file(study_copy: Path, make_client):
    client = make_client(study_copy)
    told = client.get("/api/line").json()
    assert "joint_points" not in told["tables"]
    assert "abatis joint" in told["notes"][0]
    point = gpd.GeoDataFrame(
        {"between": ["HOME - NEXT"], "place": ["Bordertown"]}, geometry=[shapely.Point(24.1, 55.1)], crs=4326
    )
    lines = gpd.GeoDataFrame(
        {"line": ["joint"], "country": [""], "cost_eur": [5.0]},
        geometry=[shapely.MultiLineString([[(24, 55), (24.1, 55.1)]])],
        crs=4326,
    )
    seams = lines.rename(columns={"line": "between"}).assign(km=1.5, open_km=0.5, hours=np.inf, place="x")
    path = study_copy / "joint.gpkg"
    for name, frame in (("lines", lines), ("seams", seams), ("joint_points", point)):
        pyogrio.write_dataframe(frame, path, layer=name, driver="GPKG", append=path.exists())
    kept = {
        "countries": [{"id": "HOME", "alone_eur": 9.0, "joint_eur": 4.0, "shapley_eur": 6.0}],
        **dict.fromkeys(("alone_eur", "mending_eur", "joint_eur", "saving_eur"), 5.0),
    }
    (study_copy / "joint.json").write_text(json.dumps(kept), "utf-8")
    shown = client.get("/api/line").json()
    assert shown["tables"]["joint_countries"]["rows"][0]["shapley_eur"] == 6.0
    assert len(shown["tables"]["joint_totals"]["rows"]) == 4
    assert shown["tables"]["joint_points"]["rows"] == [
        {"between": "HOME - NEXT", "place": "Bordertown", "lon": 24.1, "lat": 55.1}
    ]
    assert shown["tables"]["joint_seams"]["rows"][0]["hours"] == "never"
    assert len(shown["features"]["joint_lines"]["features"]) == 1


def test_an_unknown_plan_is_refused(solved_folder: Path, make_client):
    answer = make_client(solved_folder).get("/api/line?plan=nothing")
    assert answer.status_code == 400
    assert "nothing" in answer.json()["faults"][0]["what"]
