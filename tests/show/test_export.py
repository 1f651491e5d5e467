"""plan.gpkg: layers, styles, the same bytes each time, written whole or not at all."""

from __future__ import annotations

import dataclasses
import errno
import sqlite3
import xml.etree.ElementTree as ElementTree

import geopandas as gpd
import h3
import numpy as np
import pytest

from abatis.model.errors import InputError
from abatis.model.facilities import Facilities
from abatis.model.words import FACILITY_WORDS
from abatis.show.export import write_geopackage

LAYERS = (
    "cells",
    "needed_cells",
    "avenues",
    "shared_stretches",
    "chokepoints",
    "lines",
    "sites",
    "routes",
    "places",
)


@pytest.fixture(scope="session")
def package(solved_folder):
    return solved_folder / "plans" / "base" / "plan.gpkg"


def test_all_layers_open_in_degrees(package):
    listed = gpd.list_layers(package).set_index("name")["geometry_type"].to_dict()
    assert set(LAYERS) <= set(listed)
    for name in LAYERS:
        frame = gpd.read_file(package, layer=name)
        assert len(frame) > 0
        assert frame.crs.to_epsg() == 4326
        assert frame.geometry.is_valid.all()


def test_cells_are_h3_hexagons_with_hours(package, results):
    cells = gpd.read_file(package, layer="cells")
    mesh = results.mesh
    home = np.flatnonzero(mesh.mask_countries(results.study.home))
    assert [int(text, 16) for text in cells["h3"]] == mesh.cells[home].tolist()
    assert set(cells["country"]) == {"HOME"}
    corners = np.array([(lon, lat) for lat, lon in h3.cell_to_boundary(cells["h3"][7])])
    drawn = np.array(cells.geometry[7].exterior.coords)[:-1]
    for corner in corners:
        assert np.hypot(*(drawn - corner).T).min() < 2e-4
    approach = results.approaches[0]
    for column, hours in (("before_h", approach.before_h), ("after_h", approach.after_h)):
        stored = cells[f"{approach.key}_{column}"].to_numpy()
        finite = np.isfinite(hours[home])
        assert stored[finite] == pytest.approx(hours[home][finite], abs=6e-5)
        assert np.isnan(stored[~finite]).all()
    gained = (cells["border_after_h"] - cells["border_before_h"]).to_numpy()
    assert cells["gained_h"].to_numpy() == pytest.approx(gained, abs=2e-4, nan_ok=True)


def test_sites_lines_and_routes_carry_the_plan(package, results):
    sites = gpd.read_file(package, layer="sites")
    chosen = sites[sites["chosen"].astype(bool)]
    assert set(chosen["site"]) == {one.site for one in results.plan.options}
    assert chosen["cost_eur"].sum() == pytest.approx(results.plan.cost_eur, abs=0.01 * len(chosen))
    assert (sites[~sites["chosen"].astype(bool)]["option"].fillna("") == "").all()
    assert set(sites["label"]) == set(results.labels.values())
    lines = gpd.read_file(package, layer="lines")
    metres = lines.to_crs("+proj=laea +lon_0=24.4 +lat_0=55").length / 1000.0
    assert metres.to_numpy() == pytest.approx(lines["length_km"].to_numpy(), rel=0.01)
    routes = gpd.read_file(package, layer="routes")
    hours = {(row["approach"], row["state"]): row["hours"] for _, row in routes.iterrows()}
    for one in results.plan.approaches:
        assert hours[one.id, "before"] == pytest.approx(one.before_h, abs=1e-4)
        assert hours[one.id, "after"] == pytest.approx(one.after_h, abs=1e-4)


def test_styles_are_inside_and_name_existing_columns(package):
    with sqlite3.connect(package) as connection:
        rows = connection.execute("SELECT f_table_name, styleQML, useAsDefault FROM layer_styles").fetchall()
        registered = connection.execute("SELECT data_type FROM gpkg_contents WHERE table_name='layer_styles'")
        assert registered.fetchone() == ("attributes",)
    connection.close()
    assert {name for name, _, _ in rows} == set(LAYERS)
    for name, style, default in rows:
        assert default == 1
        root = ElementTree.fromstring(style)
        renderer = root.find("renderer-v2")
        assert renderer is not None
        symbols = {symbol.get("name") for symbol in renderer.iter("symbol")}
        asked = {one.get("symbol") for one in renderer.iter() if one.get("symbol") is not None}
        assert symbols
        assert asked <= symbols
        columns = set(gpd.read_file(package, layer=name, rows=1).columns)
        if renderer.get("attr"):
            assert renderer.get("attr") in columns
        for rule in root.iter("rule"):
            for word in (rule.get("filter") or "").split('"')[1::2]:
                assert word in columns


def test_same_results_give_the_same_bytes(package, results, tmp_path):
    write_geopackage(tmp_path / "again.gpkg", results)
    assert (tmp_path / "again.gpkg").read_bytes() == package.read_bytes()


def test_failed_writing_keeps_the_earlier_file_and_leaves_nothing(results, tmp_path, monkeypatch):
    path = tmp_path / "plan.gpkg"
    path.write_text("earlier")

    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("abatis.show.export.write_layer_styles", refuse)
    with pytest.raises(InputError, match="no space left"):
        write_geopackage(path, results)
    assert [one.name for one in tmp_path.iterdir()] == ["plan.gpkg"]
    assert path.read_text() == "earlier"


def test_facilities_are_a_layer_of_their_own(results, tmp_path):
    mesh = results.mesh
    cells = np.array([0, 5], np.int32)
    dam, school = FACILITY_WORDS.index("dam"), FACILITY_WORDS.index("school")
    found = Facilities(
        np.array([dam, school], np.int8), ("Weir", ""), ("m.pbf way 1", "m.pbf way 2"),
        mesh.lon[cells].copy(), mesh.lat[cells].copy(), cells,
    )  # fmt: skip
    with_works = dataclasses.replace(results, mesh=dataclasses.replace(mesh, facilities=found))
    write_geopackage(tmp_path / "plan.gpkg", with_works)
    shown = gpd.read_file(tmp_path / "plan.gpkg", layer="facilities")
    assert shown["kind"].tolist() == ["dam", "school"]
    assert shown["protected_work"].tolist() == [True, False]
    assert shown.geometry.x.tolist() == pytest.approx(mesh.lon[cells])
    assert "facilities" not in set(gpd.list_layers(results.study.folder / "plans/base/plan.gpkg")["name"])
