"""From a country's code to a mesh and a plan: new, fetch, check, build, solve; files named as real ones."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from fetch_cases import OpenServer, list_paths, make_sites, make_tif, pack_zip, read_rows
from osm_cases import Scene

from abatis.ground.fetching.layers import read_classes, read_open_layers
from abatis.model.mesh import read_mesh
from abatis.model.study import read_study
from abatis.model.words import COVER_WORDS, SOIL_WORDS
from abatis.show.cli import main

HOME, OTHER = (25.15, 54.6, 25.4, 54.75), (25.4, 54.6, 25.6, 54.75)
CROPLAND, FOREST, WATER = 40, 10, 80
PEOPLE_PER_PIXEL = 3.0


def draw_extract(path: Path, west: float, south: float, east: float, north: float) -> bytes:
    """A road over a river on a bridge, a lake and a bog, as an extract of one country."""
    scene, middle = Scene(), (south + north) / 2
    river = (west + east) / 2
    scene.way(1, [(west, middle), (river - 0.002, middle)], highway="primary", ref="A3")
    scene.way(
        2, [(river - 0.002, middle), (river + 0.002, middle)], highway="primary", ref="A3", bridge="yes"
    )
    scene.way(3, [(river + 0.002, middle), (east, middle)], highway="primary", ref="A3")
    scene.way(
        4, [(river, south), (river, middle), (river, north)], waterway="river", width="25", name="Vilnia"
    )
    scene.box(5, west + 0.02, south + 0.02, west + 0.04, south + 0.04, natural="water")
    scene.box(6, west + 0.05, north - 0.04, west + 0.08, north - 0.01, natural="wetland", wetland="bog")
    return scene.write(path).read_bytes()


def serve_country(server: OpenServer, folder: Path, place: Path) -> None:
    """Serve every file that the study of Lithuania asks for; ground west of 25 E stays dark: it is sea."""
    shapes = [shapely.box(*HOME), shapely.box(*OTHER), shapely.box(21.0, 54.4, 21.5, 54.6)]
    names = {"CNTR_ID": ["LT", "BY", "RU"], "NAME_ENGL": ["Lithuania", "Belarus", "Russia"]}
    borders = gpd.GeoDataFrame(names, geometry=shapes, crs="EPSG:4326")
    address = read_open_layers()["borders"].address
    server.files["/" + address.split("://")[1]] = borders.to_json().encode()
    assert main(["fetch", str(folder), "--layer", "borders", "--mirror", server.address, "--yes"]) == 0
    served = {}
    for name, path in list_paths(folder, server).items():
        if "DEM" in name:
            height = np.tile(np.linspace(100, 160, 400, dtype=np.float32), (400, 1))
            served[path] = make_tif(place, (25, 54, 26, 55), values=height)
        elif "WorldCover" in name:
            cover = np.full((600, 600), CROPLAND, np.uint8)
            cover[:, 300:] = FOREST
            served[path] = make_tif(place, (24, 54, 27, 57), values=cover, nodata=0)
        elif "GHS_POP" in name:
            people = np.full((1200, 1200), PEOPLE_PER_PIXEL)
            body = make_tif(place, (19.9921, 49.0996, 29.9921, 59.0996), values=people, nodata=-200)
            served[path] = pack_zip(**{name.replace(".tif", "__tif"): body})
        elif "wrb" in name:
            histosols = next(row.code for row in read_classes("soil") if row.source.startswith("Histosols"))
            soil = np.full((80, 80), int(histosols), np.uint8)
            served[path] = make_tif(place, (24, 54, 26, 56), values=soil, nodata=255)
        elif "clay" in name:
            served[path] = make_tif(
                place, (24, 54, 26, 56), values=np.full((80, 80), 120, np.int16), nodata=-32768
            )
        elif name.startswith("natura"):
            served[path] = make_sites(LT0001=shapely.box(25.2, 54.62, 25.24, 54.64))
        elif name.endswith(".pbf"):
            box = HOME if "lithuania" in name else OTHER
            served[path] = draw_extract(place / "one.osm.pbf", *box)
    server.files |= served


@pytest.fixture
def country(tmp_path, server, capsys) -> Path:
    folder = tmp_path / "lt"
    assert main(["new", str(folder), "--country", "LT", "--hostile", "BY"]) == 0
    assert f"abatis fetch {folder}" in capsys.readouterr().err
    settings = folder / "study.toml"
    settings.write_text(settings.read_text().replace('mirror = ""', f'mirror = "{server.address}"'))
    serve_country(server, folder, tmp_path)
    return folder


def test_a_country_becomes_a_mesh(country, server, capsys):
    capsys.readouterr()
    assert main(["fetch", str(country), "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {row["layer"] for row in told["layers"]} == {
        "osm", "elevation", "landcover", "population", "soil", "clay", "protected"
    }  # fmt: skip
    assert main(["fetch", str(country), "--yes"]) == 0
    assert main(["check", str(country)]) == 0
    capsys.readouterr()
    assert main(["build", str(country), "--json"]) == 0
    mesh, study = read_mesh(country), read_study(country)
    home = mesh.mask_countries(("LT",))
    ground = (HOME[2] - HOME[0]) * (HOME[3] - HOME[1]) * 111.3**2 * np.cos(np.radians(54.675))
    assert abs(mesh.area_km2[home].sum() / ground - 1) < 0.1
    # What the files said is what the mesh knows.
    cover = mesh.cover.mean(axis=0)
    assert cover[COVER_WORDS.index("cropland")] > 0.3 and cover[COVER_WORDS.index("open_forest")] > 0.1
    assert cover[COVER_WORDS.index("wetland")] > 0.001 and cover[COVER_WORDS.index("water")] > 0.001
    assert mesh.soil[:, SOIL_WORDS.index("peat")].min() > 0.99
    assert 100 < mesh.elevation_m.min() < mesh.elevation_m.max() < 160
    pixels = ground / (10 / 1200) ** 2 / 111.3**2 / np.cos(np.radians(54.675))
    assert abs(mesh.population[home].sum() / (PEOPLE_PER_PIXEL * pixels) - 1) < 0.1
    assert 0 < mesh.protected.mean() < 0.2
    assert (mesh.road_m > 0).any() and (mesh.bridge_m > 0).any() and mesh.river_m.max() == 25
    # Everything that came is listed with licence and words to show.
    rows = read_rows(country)
    assert len(rows) == 9 and all(
        row["licence"] and row["attribution"] and row["address"] for row in rows.values()
    )
    assert set(study.tables["classes"]["layer"]) == {"landcover", "soil"}


def test_a_country_becomes_a_plan_with_its_licences(country, capsys):
    settings = country / "study.toml"
    settings.write_text(settings.read_text().replace("outer_km = [5, 20, 50]", "outer_km = [4, 8]"))
    assert main(["fetch", str(country), "--yes"]) == 0
    assert main(["build", str(country)]) == 0
    assert main(["solve", str(country), "--time-limit", "5"]) == 0
    report = (country / "plans" / "base" / "report.html").read_text()
    assert "ODbL-1.0" in report and "CC-BY-4.0" in report


def test_new_country_in_words(tmp_path, capsys):
    assert main(["new", str(tmp_path / "a"), "--country", "Lithuana"]) == 1
    assert "did you mean 'Lithuania'" in capsys.readouterr().err
    assert main(["new", str(tmp_path / "a"), "--country", "CZ"]) == 1
    assert "--hostile" in capsys.readouterr().err
    assert main(["new", str(tmp_path / "a"), "--country", "LT", "--hostile", "LT"]) == 1
    assert main(["new", str(tmp_path / "a"), "--hostile", "BY"]) == 1
    assert main(["new", str(tmp_path / "a"), "--example", "lithuania", "--country", "LT"]) == 1
    assert not (tmp_path / "a").exists()
    capsys.readouterr()
    assert main(["new", str(tmp_path / "a"), "--country", "estonia"]) == 0
    assert main(["new", str(tmp_path / "a"), "--country", "estonia"]) == 1
    assert "not empty" in capsys.readouterr().err


@pytest.mark.parametrize("code", ["EE", "LV", "LT", "PL", "FI", "NO", "UA"])
def test_every_country_with_a_hostile_neighbour_starts_without_faults(tmp_path, code, capsys):
    assert main(["new", str(tmp_path / code), "--country", code]) == 0
    capsys.readouterr()
    assert main(["fetch", str(tmp_path / code), "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert sum(row["files"] for row in told["layers"]) == len(told["files"]) > 20
    assert any("no borders yet" in note["text"] for note in told["notes"])
