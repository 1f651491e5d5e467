"""GeoPackage, GeoJSON, GeoParquet and KML: other programs read them, and read back the plan."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as parquet
import pyogrio
import pytest
import shapely
from fastkml import KML
from fastkml.validator import validate

from abatis.show.export import list_layers
from abatis.show.interchange.geojson import write_geojson
from abatis.show.interchange.kml import TITLES, write_kml

KML_NAME = "{http://www.opengis.net/kml/2.2}"


@pytest.fixture(scope="session")
def layers(results):
    return list_layers(results)


def read_layer(folder, form, name):
    if form == "gpkg":
        return gpd.read_file(folder / "base.gpkg", layer=name)
    if form == "geojson":
        return gpd.read_file(folder / "geojson" / f"{name}.geojson")
    if form == "geoparquet":
        return gpd.read_parquet(folder / "geoparquet" / f"{name}.parquet")
    return gpd.read_file(folder / "base.kml", layer=TITLES[name])


def same(found, wanted):
    """Equal texts, truth values and numbers, missing where missing."""
    if pd.api.types.is_bool_dtype(wanted):
        return list(found.astype(bool)) == list(wanted)
    if pd.api.types.is_numeric_dtype(wanted):
        return np.array_equal(found.astype(float), wanted.astype(float), equal_nan=True)
    return list(found.fillna("").astype(str)) == list(wanted.fillna("").astype(str))


@pytest.mark.parametrize("form", ["gpkg", "geojson", "geoparquet", "kml"])
def test_every_layer_comes_back_as_it_went(form, exported, layers):
    compared = 0
    for name, wanted in layers.items():
        if form == "kml" and name not in TITLES:
            continue
        found = read_layer(exported, form, name)
        assert found.crs.to_epsg() == 4326
        assert len(found) == len(wanted) > 0
        # KML has a `name` of its own, that of the placemark; the layer's stands in the same file, see below.
        columns = [one for one in wanted.columns if one not in ("geometry", "name" if form == "kml" else "")]
        for column in columns:
            assert same(found[column], wanted[column]), (name, column)
            compared += 1
        ours = shapely.normalize(wanted.geometry.to_numpy())
        theirs = shapely.normalize(shapely.force_2d(found.geometry.to_numpy()))
        theirs = [shapely.multilinestrings([one]) if a.geom_type != one.geom_type else one
                  for a, one in zip(ours, theirs, strict=True)]  # fmt: skip
        assert shapely.equals_exact(ours, theirs, 1e-7).all(), name
    assert compared > 25


@pytest.mark.parametrize("form", ["gpkg", "geojson", "geoparquet", "kml"])
def test_hours_and_cents_are_those_of_the_plan(form, exported, results):
    sites = read_layer(exported, form, "sites")
    chosen = sites[sites["chosen"].astype(bool)]
    cents = {one.site: round(100 * one.cost_eur) for one in results.plan.options}
    assert {row["site"]: round(100 * row["cost_eur"]) for _, row in chosen.iterrows()} == cents
    assert sum(cents.values()) == round(100 * results.plan.cost_eur) > 0
    routes = read_layer(exported, form, "routes")
    hours = {(row["approach"], row["state"]): row["hours"] for _, row in routes.iterrows()}
    assert hours == {
        (one.id, state): round(value, 4)
        for one in results.plan.approaches
        for state, value in (("before", one.before_h), ("after", one.after_h))
    }


def test_gdal_reads_every_file_and_counts_the_same(exported, layers, ogrinfo):
    def count(*words):
        return int(re.search(r"Feature Count: (\d+)", ogrinfo("-so", *words))[1])

    for name, frame in layers.items():
        assert count(exported / "base.gpkg", name) == len(frame)
        assert count(exported / "geojson" / f"{name}.geojson", name) == len(frame)
        if name in TITLES:
            assert count(exported / "base.kml", TITLES[name]) == len(frame)
    told = ogrinfo("-so", exported / "geojson" / "sites.geojson", "sites")
    assert "WGS 84" in told
    assert "cost_eur: Real" in told
    assert "chosen: Integer(Boolean)" in told


def test_qgis_styles_are_in_the_table_that_qgis_asks(exported, layers, ogrinfo):
    """The question that QGIS asks for the style of a layer, put by GDAL."""
    for name in layers:
        asked = (
            "SELECT styleQML FROM layer_styles WHERE f_table_schema='' AND f_table_name="
            f"'{name}' AND f_geometry_column='geom' ORDER BY CASE WHEN useAsDefault THEN 1 ELSE 2 END LIMIT 1"
        )
        answer = ogrinfo("-q", exported / "base.gpkg", "-dialect", "SQLITE", "-sql", asked)
        assert "<qgis version=" in answer


def test_geojson_keeps_to_its_rules(exported, layers):
    for name in layers:
        text = (exported / "geojson" / f"{name}.geojson").read_text("utf-8")
        assert "NaN" not in text
        assert "Infinity" not in text
        found = json.loads(text)
        assert list(found) == ["type", "title", "bbox", "features"]
        assert found["type"] == "FeatureCollection"
        shapes = shapely.from_geojson(text).geoms
        assert found["bbox"] == pytest.approx(shapely.total_bounds(list(shapes)))
        for shape in shapes:
            if isinstance(shape, shapely.Polygon):
                assert shape.exterior.is_ccw
                assert shape.exterior.is_closed
        numbers = re.findall(r"\d+\.(\d+)[,\]]", text.split('"coordinates":', 1)[1])
        assert all(len(one) <= 7 for one in numbers if "e" not in one)


def test_rings_are_turned_when_they_come_the_other_way(tmp_path):
    hole = [(1, 1), (1, 2), (2, 2), (2, 1)]
    wrong = shapely.Polygon([(0, 0), (0, 4), (4, 4), (4, 0)], [hole[::-1]])
    assert not wrong.exterior.is_ccw
    assert wrong.interiors[0].is_ccw
    write_geojson(tmp_path / "a.geojson", gpd.GeoDataFrame({"x": [1]}, geometry=[wrong], crs=4326), "a")
    written = shapely.from_geojson((tmp_path / "a.geojson").read_text()).geoms[0]
    assert written.exterior.is_ccw
    assert not written.interiors[0].is_ccw
    assert written.equals(wrong)


def test_geoparquet_says_what_it_is(exported, layers):
    for name in layers:
        path = exported / "geoparquet" / f"{name}.parquet"
        about = json.loads(parquet.read_schema(path).metadata[b"geo"])
        assert about["version"] == "1.1.0"
        column = about["columns"][about["primary_column"]]
        assert column["encoding"] == "WKB"
        assert column["crs"]["id"] == {"authority": "EPSG", "code": 4326}
        assert set(column["covering"]["bbox"]) == {"xmin", "ymin", "xmax", "ymax"}
        frame = gpd.read_parquet(path)
        assert column["bbox"] == pytest.approx(list(frame.total_bounds))
        assert set(column["geometry_types"]) == set(frame.geom_type)


def test_kml_keeps_to_the_schema_of_ogc(exported):
    """The schema is OGC's own, as the library fastkml ships it."""
    assert validate(file_to_validate=exported / "base.kml") is True
    assert KML.parse(exported / "base.kml").features


def test_kml_names_nothing_outside_the_file(exported):
    root = ElementTree.parse(exported / "base.kml").getroot()
    texts = [one.text or "" for one in root.iter()] + [v for one in root.iter() for v in one.attrib.values()]
    assert not [text for text in texts if "://" in text and "http" in text]
    styles = {one.get("id") for one in root.iter(f"{KML_NAME}Style")}
    asked = {one.text for one in root.iter(f"{KML_NAME}styleUrl")}
    assert asked
    assert asked <= {f"#{one}" for one in styles}
    schemas = {one.get("id"): {f.get("name") for f in one} for one in root.iter(f"{KML_NAME}Schema")}
    for data in root.iter(f"{KML_NAME}SchemaData"):
        assert {one.get("name") for one in data} <= schemas[data.get("schemaUrl")[1:]]


def test_names_with_markup_stay_names(tmp_path):
    ugly = "<b>A & B</b> \"x\" 'y' ]]> \x00\x07 ąžuolas"
    frame = gpd.GeoDataFrame(
        {"place": ["p"], "name": [ugly], "population": [np.nan]}, geometry=[shapely.Point(24, 55)], crs=4326
    )
    write_kml(tmp_path / "a.kml", {"places": frame}, ugly, ugly)
    assert validate(file_to_validate=tmp_path / "a.kml") is True
    clean = ugly.replace("\x00\x07", "")
    root = ElementTree.parse(tmp_path / "a.kml").getroot()
    mark = root.find(f".//{KML_NAME}Placemark")
    assert mark.find(f"{KML_NAME}name").text == f"{clean} p"
    data = {one.get("name"): one.text for one in mark.iter(f"{KML_NAME}SimpleData")}
    assert data == {"place": "p", "name": clean}
    write_geojson(tmp_path / "a.geojson", frame, ugly)
    assert json.loads((tmp_path / "a.geojson").read_text())["features"][0]["properties"] == {
        "place": "p", "name": clean, "population": None,
    }  # fmt: skip
    assert pyogrio.read_info(tmp_path / "a.kml")["features"] == 1
