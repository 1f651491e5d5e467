"""Shelter of key roads on hexagons that can be checked by eye.

    city (0,0) == (1,0) == (2,0) == (3,0) == (4,0) town       == main road A1, 1.2 km a step
                              \\
                              (3,1) -- (4,2) village           -- the same road A1 after a fork
"""  # fmt: skip

from __future__ import annotations

import time
from types import SimpleNamespace

import geopandas
import h3.api.basic_int as h3
import numpy as np
import pandas as pd
import pytest
import shapely
from hex_cases import cover_with, find_edge, make_mesh
from people_cases import TRUST, write_table

from abatis.ground.travel import EdgeTimes
from abatis.model.errors import InputError
from abatis.people import shelter
from abatis.people.land_terms import read_growth
from abatis.people.road_sections import cut_sections
from abatis.people.shelter import account_shelter, describe_shelter, list_shelter, list_shelter_options

SPOTS = [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (3, 1), (4, 2)]
WAYS = [
    ((0, 0), (1, 0)),
    ((1, 0), (2, 0)),
    ((2, 0), (3, 0)),
    ((3, 0), (4, 0)),
    ((2, 0), (3, 1)),
    ((3, 1), (4, 2)),
]


@pytest.fixture
def roads():
    """Mesh, rows of spots and the edges of the six steps; (2, 0) and (3, 0) are dense forest."""
    mesh, at = make_mesh(SPOTS)
    edges = [find_edge(mesh, at, *pair) for pair in WAYS]
    road_class, road_m = np.full(mesh.edge_count, -1, np.int8), np.zeros(mesh.edge_count)
    road_name = np.full(mesh.edge_count, -1)
    road_class[edges], road_m[edges], road_name[edges] = 1, 1200.0, 0
    cover = cover_with(7, at, {(2, 0): "dense_forest", (3, 0): "dense_forest"})
    names = {"road_names": ("A1",), "cover": cover}
    mesh, at = make_mesh(SPOTS, road_class=road_class, road_m=road_m, road_name=road_name, **names)
    return mesh, at, edges


@pytest.fixture
def study(lithuania, roads, monkeypatch):
    mesh, at, _ = roads
    rows = [
        ("city", 60000, "city", (0, 0)), ("town", 900, "town", (4, 0)), ("village", 50, "village", (4, 2)),
        ("port", 5, "port", (4, 2)),
    ]  # fmt: skip
    places = pd.DataFrame(
        [
            (key, people, kind, "LT", mesh.lon[at[spot]], mesh.lat[at[spot]])
            for key, people, kind, spot in rows
        ],
        columns=["place", "population", "kind", "country", "lon", "lat"],
    )
    hours = np.where(mesh.road_m > 0, 0.25, np.inf)
    monkeypatch.setattr(shelter, "compute_edge_times", lambda *_: EdgeTimes(hours, hours))
    monkeypatch.setattr(shelter, "choose_civil_vehicle", lambda _: "any")
    settings = {name: getattr(lithuania, name) for name in ("home", "folder", "first_year", "outer_km")}
    tables = {**lithuania.tables, "places": places}
    sources = pd.DataFrame({"tag": ["F", "F"]})
    return SimpleNamespace(**settings, tables=tables, sources=sources, programme_years=10)


def test_cover_length_and_supply(study, roads):
    found = account_shelter(study, roads[0])
    assert found.length_km == pytest.approx(6 * 1.2)
    # Dense forest counts 0.9: steps with it on both sides 0.9, on one side 0.45.
    wholes, halves = 1, 3
    assert found.covered_km.mode == pytest.approx(1.2 * (0.9 * wholes + 0.45 * halves))
    assert found.bare_km == pytest.approx(7.2 - found.covered_km.mode)
    assert found.bare_range_km.low == pytest.approx(7.2 - found.covered_km.high)
    # Two ways over the first two steps, one over each of the other four.
    assert found.supply_km == pytest.approx(1.2 * (2 * 2 + 4))
    assert found.bare_supply_km == pytest.approx(1.2 * (2 * (1 + 0.55) + 0.1 + 0.55 + 0.55 + 1))


def test_chains_end_at_forks(roads):
    mesh, _, edges = roads
    sections = cut_sections(mesh, np.array(edges), 10.0)
    assert sorted(sorted(one.tolist()) for one in sections) == sorted(
        sorted(one) for one in (edges[:2], edges[2:4], edges[4:])
    )
    halves = cut_sections(mesh, np.array(edges[:4]), 2.5)
    assert [len(one) for one in halves] == [2, 2]
    assert sorted(np.concatenate(cut_sections(mesh, np.array(edges), 0.1)).tolist()) == sorted(edges)


def test_options_are_ranked_by_supply_way_per_euro(study, roads):
    found = account_shelter(study, roads[0])
    # 4.65 bare supply ways on 1.2 x 1.55 km: the trunk comes first; the forest arm has too little to plant.
    assert len(found.sections) == 3
    assert {one.section for one in found.options} == {one.key for one in found.sections if one.bare_km >= 1}
    trunk = next(one for one in found.sections if one.supply_ways == pytest.approx(2.0))
    assert found.options[0].section == trunk.key
    assert [one.rank for one in found.options] == list(range(1, len(found.options) + 1))
    value = [one.supply_km_per_meur for one in found.options]
    assert value == sorted(value, reverse=True)
    bare = 1.2 * 1.55
    screen = next(one for one in found.options if one.option == "screen" and one.section == trunk.key)
    # Ten years at three years' life: four rounds of 40,000 EUR per km.
    assert screen.cost_eur.mode == pytest.approx(bare * 40_000 * 4)
    assert screen.added_km.mode == pytest.approx(bare * 0.6)
    plant = next(one for one in found.options if one.option == "plant" and one.section == trunk.key)
    # Cells (0,0), (1,0) cropland, (2,0) forest: two thirds; 77 % of a strip of 1 ha per km is bought.
    assert plant.cost_eur.mode == pytest.approx(bare * (30_000 + 0.77 * 5500 * 2 / 3))
    # Nine tenths of the likely effect at 15 years, planted a year after the decision.
    assert plant.full_years == pytest.approx(16.0)
    assert plant.full_supply_km == pytest.approx(bare * 0.7 * 2)
    # Mean share over years 1 to 10: planted at 1, 0.1 at 6, then 0.08 a year.
    mean = np.mean([0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.18, 0.26, 0.34, 0.42])
    assert plant.added_supply_km == pytest.approx(plant.full_supply_km * mean)


def test_growth_by_year(study, roads):
    found = account_shelter(study, roads[0])
    years = dict(found.by_year)
    assert list(years) == list(range(study.first_year, study.first_year + 10))
    assert years[study.first_year].mode == pytest.approx(found.covered_km.mode)
    planted = sum(one.added_km.mode for one in found.options if one.option == "plant")
    assert years[study.first_year + 5].mode == pytest.approx(found.covered_km.mode + 0.1 * planted)
    assert all(one.low <= one.mode <= one.high <= found.length_km for one in years.values())


def test_tree_rows_of_the_study_count(study, roads):
    mesh, at, _ = roads
    a, b = at[0, 0], at[1, 0]
    before = account_shelter(study, mesh).covered_km.mode
    row = shapely.LineString([(mesh.lon[a], mesh.lat[a]), (mesh.lon[b], mesh.lat[b])])
    geopandas.GeoDataFrame(geometry=[shapely.segmentize(row, 1e-4)], crs=4326).to_file(
        study.folder / "sources" / "rows.gpkg"
    )
    write_table(study.folder, "land_layers", [{"layer": "tree_rows", "file": "rows.gpkg", **TRUST}])
    found = account_shelter(study, mesh)
    # Half of the row lies in each cell: beside 0.6 km of road in (0, 0), beside 1.2 km in (1, 0).
    half = h3.great_circle_distance(*(h3.cell_to_latlng(int(mesh.cells[one])) for one in (a, b))) / 2
    assert 0.3 < half < 0.6
    first, second = 0.7 * (half / 0.6 + half / 1.2) / 2, 0.7 * (half / 1.2) / 2
    assert found.covered_km.mode - before == pytest.approx(1.2 * (first + 0.55 * second), rel=2e-3)
    assert found.tree_rows == "test"


def test_bad_growth_is_refused(folder, lithuania):
    rows = [
        {"years": 2, "low": 0.2, "mode": 0.1, "high": 0.3, **TRUST},
        {"years": 5, "low": 0.1, "mode": 0.5, "high": 0.6, **TRUST},
    ]
    write_table(folder, "tree_growth", rows)
    with pytest.raises(InputError) as caught:
        read_growth(lithuania)
    text = str(caught.value)
    assert "do not rise" in text
    assert "row 3, low: falls with the years" in text
    assert "starts with 2 years" in text


def test_no_key_road_no_option(study, roads):
    mesh, _, _ = roads
    mesh, _ = make_mesh(SPOTS)
    found = account_shelter(study, mesh)
    assert (found.length_km, found.options, found.covered_share, found.supply_covered_share) == (0, (), 0, 0)


def test_rows_for_json(study, roads):
    found = account_shelter(study, roads[0])
    assert list_shelter(found)[0]["mode"] == found.length_km
    assert [row["tag"] for row in list_shelter(found)[:2]] == ["D", "G"]
    assert list_shelter_options(found, 1)[0]["road"] == "A1"
    assert describe_shelter(found, 1)["option_count"] == len(found.options)


@pytest.mark.slow
def test_lithuania(lithuania_built):
    study, mesh = lithuania_built
    account_shelter(study, mesh)
    start = time.process_time()
    found = account_shelter(study, mesh)
    assert time.process_time() - start < 5.0
    assert found.length_km > 300
    assert sum(one.length_km for one in found.sections) == pytest.approx(found.length_km)
    assert 0 < found.covered_km.low <= found.covered_km.mode <= found.covered_km.high < found.length_km
    assert max(one.length_km for one in found.sections) < 13.0
    assert found.supply_km > found.bare_supply_km > 0
