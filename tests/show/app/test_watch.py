"""The view of the watch: the kept result and nothing else; what is missing or outdated is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import geopandas as gpd
import pytest
import shapely


def test_what_is_kept_is_shown_with_captions(viewed_folder: Path, make_client):
    kept = json.loads((viewed_folder / "watch" / "watch.json").read_text("utf-8"))
    answer = make_client(viewed_folder).get("/api/watch").json()
    assert answer["made"] is True
    assert set(answer["tables"]) == set(kept["tables"])
    for key, rows in kept["tables"].items():
        shown = answer["tables"][key]
        columns = [one["key"] for one in shown["columns"]]
        assert [[row.get(one) for one in columns] for row in shown["rows"]] == [
            [row.get(one) for one in columns] for row in rows
        ]
    captions = {one["caption"] for one in answer["tables"]["border"]["columns"]}
    assert "with the plan [km]" in captions
    border = answer["charts"]["border"]
    by_key = {one["key"]: one["values"] for one in border["series"]}
    assert by_key["plan_km"] == [row["plan_km"] for row in kept["tables"]["border"]]
    assert border["y"]["unit"] == "km"


def test_seen_areas_cover_the_seen_cells(viewed_folder: Path, make_client):
    answer = make_client(viewed_folder).get("/api/watch").json()
    cells = gpd.read_file(viewed_folder / "watch" / "watch.gpkg", layer="seen_cells")
    seen = cells[cells["seen_by"] > 0]
    areas = answer["features"]["seen_areas"]["features"]
    assert sum(one["properties"]["cells"] for one in areas) == len(seen)
    whole = sum(shapely.from_geojson(json.dumps(one["geometry"])).area for one in areas)
    assert whole == pytest.approx(shapely.area(seen.geometry.to_numpy()).sum(), rel=1e-3)
    posts = answer["features"]["posts"]["features"]
    assert len(posts) == len(answer["tables"]["posts"]["rows"])


def test_missing_and_outdated_results_name_the_job(
    viewed_folder: Path, solved_folder: Path, make_client, tmp_path
):
    missing = make_client(solved_folder).get("/api/watch").json()
    assert (missing["made"], missing["job"], missing["tables"]) == (False, "watch", {})
    folder = Path(shutil.copytree(viewed_folder, tmp_path / "study"))
    client = make_client(folder)
    assert client.get("/api/watch").json()["made"] is True
    sensors = folder / "tables" / "sensors.csv"
    text = sensors.read_text("utf-8")
    sensors.write_text(text.replace("placeholder", "guess"), "utf-8")
    outdated = client.get("/api/watch").json()
    assert (outdated["made"], outdated["job"]) == (False, "watch")
    assert "another state" in outdated["why"]
    sensors.write_text(text, "utf-8")
    assert client.get("/api/watch").json()["made"] is True
    (folder / "watch" / "watch.json").write_text("{", "utf-8")
    assert "damaged" in client.get("/api/watch").json()["why"]
