"""Cells, times, isochrones and avenues over HTTP."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from abatis.ground.fronts import find_front_cells, find_objective_cell
from abatis.ground.speeds import compute_edge_times
from abatis.ground.travel import compute_times
from abatis.model.mesh import read_mesh
from abatis.model.plan import read_plan
from abatis.model.study import read_study
from abatis.model.words import COVER_WORDS


@pytest.fixture(scope="module")
def folder(solved_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(solved_folder, tmp_path_factory.mktemp("served") / "study"))


@pytest.fixture
def client(make_client, folder):
    return make_client(folder)


def read_arrow(answer) -> pa.Table:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/vnd.apache.arrow.stream"
    return pa.ipc.open_stream(io.BytesIO(answer.content)).read_all()


def test_cells_are_those_of_the_mesh(client, folder):
    answer = client.get("/api/ground/cells.arrow")
    table, mesh = read_arrow(answer), read_mesh(folder)
    low, high = (table[name].to_numpy().astype(np.uint64) for name in ("cell_low", "cell_high"))
    assert np.array_equal((high << np.uint64(32)) | low, mesh.cells)
    notes = table.schema.metadata
    codes = notes[b"country"].decode().split()
    country = table["country"].to_numpy()
    assert [codes[one] for one in country[:50]] == [mesh.country_codes[one] for one in mesh.country[:50]]
    assert notes[b"cover"].decode().split() == list(COVER_WORDS)
    assert np.array_equal(table["cover"].to_numpy(), np.argmax(mesh.cover, axis=1))
    assert table["population"].to_numpy().sum() == pytest.approx(mesh.population.sum(), rel=0.01)
    # 170,000 cells must stay below 8 MB on the wire, before compression.
    assert len(answer.content) / mesh.cell_count * 170_000 < 8e6


def test_times_of_an_approach_end_at_its_objective(client, folder):
    study, mesh = read_study(folder), read_mesh(folder)
    row = study.tables["approaches"].iloc[0]
    table = read_arrow(client.get(f"/api/ground/times.arrow?approach={row['approach']}"))
    edge_h = compute_edge_times(study, mesh, row["vehicle"], row["season"]).time_h
    aim = find_objective_cell(study, mesh, row["objective"])
    hours = table["hours"].to_numpy()
    assert np.array_equal(hours, compute_times(mesh, edge_h, np.array([aim])).astype(np.float32))
    assert "objective" in table.schema.metadata[b"from_words"].decode()
    front = find_front_cells(study, mesh, row["front"])
    plan = read_plan(folder / "plans" / "base")
    assert hours[front].min() == pytest.approx(plan.approaches[0].before_h, abs=1e-5)
    planned = read_arrow(client.get(f"/api/ground/times.arrow?approach={row['approach']}&plan=base"))
    slowed = planned["hours"].to_numpy()
    assert np.all(slowed >= hours)
    assert slowed[front].min() == pytest.approx(plan.approaches[0].after_h, abs=1e-5)


def test_times_without_an_approach_start_at_the_fronts(client, folder):
    study, mesh = read_study(folder), read_mesh(folder)
    table = read_arrow(client.get("/api/ground/times.arrow?vehicle=tracked&season=mud"))
    hours = table["hours"].to_numpy()
    fronts = {row["front"] for _, row in study.tables["approaches"].iterrows()}
    starts = np.concatenate([find_front_cells(study, mesh, front) for front in fronts])
    edge_h = compute_edge_times(study, mesh, "tracked", "mud").time_h
    assert np.array_equal(hours, compute_times(mesh, edge_h, np.unique(starts)).astype(np.float32))
    assert "nearest front" in table.schema.metadata[b"from_words"].decode()


@pytest.mark.parametrize(
    "query",
    [
        "approach=nowhere",
        "vehicle=flying",
        "season=winter",
        "plan=nowhere",
        "approach=%3Cb%3E",
        "plan=..%2Fx",
    ],
)
def test_wrong_questions_are_refused(client, query):
    answer = client.get(f"/api/ground/times.arrow?{query}")
    assert answer.status_code in (400, 404, 422)
    assert answer.json()["faults"][0]["what"]


def test_isochrones_part_near_from_far(client, folder):
    study, mesh = read_study(folder), read_mesh(folder)
    key = study.tables["approaches"]["approach"].iloc[0]
    hours = read_arrow(client.get(f"/api/ground/times.arrow?approach={key}"))["hours"].to_numpy()
    middle = float(np.median(hours[np.isfinite(hours)]))
    answer = client.get(f"/api/ground/isochrones?approach={key}&hours={middle:.3f}").json()
    (line,) = answer["features"]
    assert line["properties"]["hours"] == pytest.approx(middle, abs=1e-3)
    assert line["properties"]["cells"] == int((hours <= float(f"{middle:.3f}")).sum())
    shape = line["geometry"]
    parts = shape["coordinates"] if shape["type"] == "MultiLineString" else [shape["coordinates"]]
    points = np.concatenate([np.array(part) for part in parts])
    # Cells beside the line are near the limit: within one step from cell to cell of it.
    away = np.hypot(mesh.lon[:, None] - points[:, 0][::5], mesh.lat[:, None] - points[:, 1][::5]).argmin(
        axis=0
    )
    spread = np.abs(hours[away] - middle)
    assert np.median(spread[np.isfinite(spread)]) < 0.15
    assert answer["quantities"][0]["unit"] == "h" and answer["quantities"][0]["tag"]


@pytest.mark.parametrize("hours", ["", "a", "0", "-1", "nan", "inf", "1e9", ",".join(["1"] * 200)])
def test_isochrones_refuse_what_is_no_list_of_hours(client, hours):
    assert client.get("/api/ground/isochrones", params={"hours": hours}).status_code in (200, 400, 422)
    if hours not in (",".join(["1"] * 200),):
        assert client.get("/api/ground/isochrones", params={"hours": hours}).status_code != 200


def test_avenues_before_any_barrier(client, folder):
    answer = client.get("/api/ground/avenues").json()
    assert answer["made"] and answer["features"]["avenues"]["features"]
    hours = [one["properties"]["hours"] for one in answer["features"]["avenues"]["features"]]
    plan = read_plan(folder / "plans" / "base")
    assert min(hours) == pytest.approx(min(one.before_h for one in plan.approaches), abs=1e-4)
    assert answer["tables"]["avenues"]["rows"]


def test_avenues_of_a_plan_are_those_beside_it(client):
    answer = client.get("/api/ground/avenues?plan=base").json()
    assert answer["made"]
    states = {one["properties"]["state"] for one in answer["features"]["avenues"]["features"]}
    assert states == {"before", "after"}


def test_avenues_of_a_plan_that_were_not_made(make_client, study_copy):
    (study_copy / "plans" / "base" / "plan.gpkg").unlink()
    answer = make_client(study_copy).get("/api/ground/avenues?plan=base").json()
    assert answer == {"made": False, "job": "report", "features": {}, "tables": {}, "charts": {}}
