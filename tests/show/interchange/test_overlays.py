"""NVG: the part we write keeps to our own schema and carries the plan, all of it as planned."""

from __future__ import annotations

import csv
import dataclasses
import io
import xml.etree.ElementTree as ElementTree
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shapely
import xmlschema

from abatis.barrier.options import measure_work, read_ways
from abatis.show.export import list_layers
from abatis.show.interchange.nvg import NAMESPACE, list_graphics, read_codes, write_nvg

NAME = f"{{{NAMESPACE}}}"
OURS = xmlschema.XMLSchema(Path(__file__).with_name("nvg_subset.xsd"))


def read_told(element):
    return dict(line.split(": ", 1) for line in element.find(f"{NAME}textInfo").text.splitlines())


def read_points(element):
    if element.tag == f"{NAME}point":
        return np.array([[float(element.get("x")), float(element.get("y"))]])
    return np.array([[float(one) for one in pair.split(",")] for pair in element.get("points").split()])


@pytest.fixture(scope="session")
def groups(exported):
    """Graphics of the written file by group."""
    whole = ElementTree.parse(exported / "base.nvg").getroot()[0]
    return {part.get("uri").removeprefix("urn:abatis:"): list(part) for part in whole}


def test_file_keeps_to_our_schema(exported):
    OURS.validate(exported / "base.nvg")


def test_our_schema_refuses_what_we_never_write(exported, tmp_path):
    text = (exported / "base.nvg").read_text("utf-8")
    point = text.index("points=")
    for wrong in (
        text.replace('version="2.0.2"', 'version="1.4.0"'),
        text.replace("app6d:1003251", "app6d:1003250", 1),
        text.replace("<polyline", "<polygon", 1).replace("</polyline>", "</polygon>", 1),
        text[: point + 8] + "200;55 " + text[point + 8 :],
        text.replace(NAMESPACE, "http://tide.act.nato.int/schemas/2009/10/nvg"),
    ):
        assert wrong != text
        (tmp_path / "wrong.nvg").write_text(wrong, "utf-8")
        assert not OURS.is_valid(tmp_path / "wrong.nvg")


def test_symbols_are_those_of_the_table_and_all_planned(groups):
    codes = set(read_codes().values())
    text = (resources.files("abatis.show.interchange") / "nvg_codes.csv").read_text("utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert all(row["source"] and row["tag"] == "F-" and "checked" in row["source"] for row in rows)
    for members in groups.values():
        for one in members:
            standard, code = one.get("symbol").split(":")
            assert standard == "app6d"
            assert len(code) == 20
            assert code in codes
            assert code[6] == "1"


def test_closing_lines_are_those_of_the_study(groups, results):
    lines = list_layers(results)["lines"]
    drawn = [shapely.LineString(read_points(one)) for one in groups["closing_line"]]
    wanted = [part for shape in lines.geometry for part in shape.geoms]
    assert len(drawn) == len(wanted) > 0
    for ours, theirs in zip(drawn, wanted, strict=True):
        assert shapely.equals_exact(ours, theirs, 1e-7)


def test_chosen_sites_carry_cents_hours_and_places(groups, results):
    cents, hours = {}, {}
    for group in ("obstacle", "road_block", "bridge"):
        for one in groups.get(group, []):
            told = read_told(one)
            cents[told["site"]] = round(100 * float(told["cost_eur"]))
            hours[told["site"]] = float(told["delay_open_h"]), float(told["delay_road_h"])
    assert cents == {one.site: round(100 * one.cost_eur) for one in results.plan.options}
    options = {one.site.key: one.option for one in results.chosen}
    assert hours == {key: (one.delay_open_h, one.delay_road_h) for key, one in options.items()}


def test_roads_and_open_ground_of_each_site_are_all_drawn(groups, results):
    """Counted anew from the mesh: one point per road closed, and lines as long as the open edges."""
    ways = {way.key: way for way in read_ways(results.study)}
    sites = list_layers(results)["sites"].set_index("site")
    roads = lines = 0
    for one in results.chosen:
        way = ways[one.option.option]
        work = measure_work(results.mesh, np.asarray(one.site.edges), way)
        wanted = int(work.road.sum()) if way.road else 0
        shape = sites.geometry[one.site.key]
        found = [g for g in groups.get("road_block", []) if read_told(g)["site"] == one.site.key]
        assert len(found) == wanted
        assert all(shape.distance(shapely.Point(read_points(g)[0])) < 1e-6 for g in found)
        roads += wanted
        drawn = [g for g in groups["obstacle"] if read_told(g)["site"] == one.site.key]
        length = sum(shapely.LineString(read_points(g)).length for g in drawn)
        edges = np.flatnonzero(work.open_km > 0) if way.open else []
        assert length == pytest.approx(sum(shape.geoms[edge].length for edge in edges), rel=1e-5)
        lines += len(drawn)
    assert roads > 0
    assert lines > 0


def add_belts(results, rows):
    """The same results with rows in belts.csv and a measure held in stock."""
    tables = dict(results.study.tables)
    measures = tables["measures"]
    stock = measures.iloc[[0]].assign(
        measure="belt", law_kind="mine_reserve", unit="km", delay_h=4.0, tag="G"
    )
    tables["measures"] = pd.concat([measures, stock], ignore_index=True)
    line = str(tables["budget"]["line"].iloc[0])
    empty = {name: pd.Series([""]) for name in tables["stocks"].columns}
    tables["stocks"] = pd.DataFrame({**empty, "measure": ["belt"], "line": [line]})
    tables["belts"] = pd.DataFrame(rows).assign(
        measure="belt", source="test", tag="G", delay_h=6.5, notice_h=2.0
    )
    return dataclasses.replace(results, study=dataclasses.replace(results.study, tables=tables))


def test_reserve_belts_are_planned_lines_and_nothing_else(results, tmp_path):
    site = results.chosen[0].site
    home = int(np.flatnonzero(results.mesh.mask_countries(results.study.home))[0])
    lon, lat = float(results.mesh.lon[home]), float(results.mesh.lat[home])
    rows = [
        {
            "belt": "b1",
            "name": "Belt <one>",
            "site": site.key,
            "lon": np.nan,
            "lat": np.nan,
            "length_km": 3.0,
        },
        {"belt": "b2", "name": "Belt two", "site": "", "lon": lon, "lat": lat, "length_km": 5.0},
    ]
    graphics, left_out = list_graphics(add_belts(results, rows))
    assert left_out == ("reserve belts with a position but no course: b2",)
    write_nvg(tmp_path / "a.nvg", graphics, "belts & lines")
    OURS.validate(tmp_path / "a.nvg")
    root = ElementTree.parse(tmp_path / "a.nvg").getroot()
    belts = [one for one in root.iter() if (one.get("uri") or "").startswith("urn:abatis:belt:")]
    assert belts
    assert {one.tag for one in belts} == {f"{NAME}polyline"}
    assert {one.get("symbol") for one in belts} == {"app6d:10032510002901000000"}
    assert {one.get("label") for one in belts} == {"Belt <one>"}
    told = read_told(belts[0])
    assert (told["length_km"], told["delay_h"], told["notice_h"], told["tag"]) == ("3.0", "6.5", "2.0", "G")
    drawn = sum(shapely.LineString(read_points(one)).length for one in belts)
    assert drawn == pytest.approx(
        list_layers(results)["sites"].set_index("site").geometry[site.key].length, rel=1e-5
    )
