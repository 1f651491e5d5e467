"""The study and its base map over HTTP, and a study whose files change under the server."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import pytest
import shapely.geometry
from tests.show.app.clients import add_user

from abatis.model.mesh import read_mesh
from abatis.model.study import read_study
from abatis.show.app.loaded import MOST_OF_MANY, Keeper, LoadedStudy, stamp_files

MOST_BASE_BYTES = 3_000_000


@pytest.fixture(scope="module")
def folder(solved_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(solved_folder, tmp_path_factory.mktemp("served") / "study"))


def test_the_study_says_what_it_is(make_client, folder):
    answer = make_client(folder).get("/api/study").json()
    study, mesh = read_study(folder), read_mesh(folder)
    assert (answer["name"], answer["title"]) == (study.name, study.title)
    assert answer["cell_count"] == mesh.cell_count
    west, south, east, north = answer["bounds"]
    assert west < east and south < north
    assert west == pytest.approx(mesh.lon.min(), abs=1e-5)
    rows = study.tables["approaches"]
    assert [one["key"] for one in answer["approaches"]] == list(rows["approach"])
    assert sum(one["weight"] for one in answer["approaches"]) == pytest.approx(1.0)
    pairs = {(one["vehicle"], one["season"]) for one in answer["pairs"]}
    assert set(zip(rows["vehicle"], rows["season"], strict=True)) <= pairs
    assert [one["name"] for one in answer["plans"]] == ["base"]


def test_every_number_has_a_unit_and_every_source_a_tag(make_client, folder):
    answer = make_client(folder).get("/api/study").json()
    assert answer["quantities"] and answer["sources"]
    for one in answer["quantities"]:
        assert one["meaning"] and (one["tag"] in answer["tags"] or not one["source"])
        assert one["unit"] or one["key"] == "cover"
    for one in answer["sources"]:
        assert one["source"] and one["tag"] in answer["tags"] and "/" not in one["file"]


def test_the_base_map_is_drawn_from_the_sources(make_client, folder):
    client = make_client(folder)
    answer = client.get("/api/base")
    assert len(answer.content) < MOST_BASE_BYTES
    layers = answer.json()
    assert set(layers) == {"land", "water", "forests", "rivers", "borders", "roads", "places"}
    west, south, east, north = client.get("/api/study").json()["bounds"]
    wide = shapely.box(west - 2, south - 2, east + 2, north + 2)
    for name, layer in layers.items():
        assert layer["type"] == "FeatureCollection"
        for feature in layer["features"]:
            shape = shapely.geometry.shape(feature["geometry"])
            assert shape.is_empty or shape.intersects(wide), name
    study = read_study(folder)
    assert {one["properties"]["country"] for one in layers["land"]["features"]} >= set(study.home)
    names = [one["properties"]["name"] for one in layers["places"]["features"]]
    assert names == list(study.tables["places"]["name"])


def test_an_answer_is_not_sent_twice(make_client, folder):
    client = make_client(folder)
    first = client.get("/api/base")
    again = client.get("/api/base", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304 and not again.content


def test_the_public_sees_neither_plans_nor_approaches(make_client, study_copy):
    add_user(study_copy, "one", "viewer")
    client = make_client(study_copy, public=True)
    answer = client.get("/api/study")
    assert answer.status_code == 200
    assert answer.json()["plans"] == [] and answer.json()["approaches"] == []
    assert client.get("/api/base").status_code == 200
    for path in (
        "/api/ground/cells.arrow",
        "/api/plans/base",
        "/api/plans/base/sites",
        "/api/compare?a=base&b=base",
    ):
        assert client.get(path).status_code == 401


def test_a_changed_file_is_read_again(study_copy):
    loaded = LoadedStudy(study_copy)
    before = loaded.snapshot()
    assert loaded.snapshot() is before
    assert loaded.read_plan("base").stale == ""
    table = study_copy / "tables" / "budget.csv"
    table.write_text(table.read_text().replace("3000000", "3000001"))
    after = loaded.snapshot()
    assert after is not before and after.version != before.version
    assert float(after.study.tables["budget"]["amount_eur"].max()) == 3000001
    assert "another state of the study" in loaded.read_plan("base").stale
    with pytest.raises(ValueError, match="another state"):
        loaded.require_plan("base")


def test_a_broken_file_is_told_and_the_last_state_stays(make_client, study_copy):
    client = make_client(study_copy)
    first = client.get("/api/study").json()
    assert first["faults"] == []
    table = study_copy / "tables" / "approaches.csv"
    good = table.read_text()
    table.write_text(good.replace("tracked", "flying"))
    broken = client.get("/api/study").json()
    assert "flying" in json.dumps(broken["faults"])
    assert broken["approaches"] == first["approaches"]
    saved = client.put("/api/plans/mine", json={"against": "base", "choices": {}})
    assert saved.status_code == 400 and not (study_copy / "plans" / "mine").exists()
    table.write_text(good)
    mended = client.get("/api/study").json()
    assert mended["faults"] == [] and mended["version"] != broken["version"]


def test_the_stamp_sees_every_input(study_copy):
    names = {name.split("/")[0] for name, _, _ in stamp_files(study_copy)}
    assert names == {"study.toml", "tables", "sources", "mesh"}


def test_of_many_things_only_the_newest_are_kept():
    keeper = Keeper()
    assert keeper.get("network", lambda: "once") == "once"
    for number in range(MOST_OF_MANY + 1):
        keeper.get(("choice", number), partial(int, number))
    assert keeper.peek(("choice", 0)) is None
    assert (keeper.peek(("choice", 1)), keeper.peek("network")) == (1, "once")
    assert keeper.get(("choice", 0), lambda: "made anew") == "made anew"
    with pytest.raises(ZeroDivisionError):
        keeper.get("wrong", lambda: 1 / 0)
    assert (keeper.get("wrong", lambda: "right"), len(keeper._turns)) == ("right", 0)


def test_memory_is_counted(study_copy):
    loaded = LoadedStudy(study_copy)
    held = loaded.count_bytes()
    assert held["mesh"] > 1e5 and held["network"] == 0
    _ = loaded.snapshot().network
    assert loaded.count_bytes()["network"] > 0
