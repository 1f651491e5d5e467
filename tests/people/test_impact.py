"""Impact on a ring of six cells that can be checked by eye.

    city(0) --e0-- 1 --e1-- town(2)
      |e5                     |e2
      5  --e4-- 4 --e3-- village(3)      roads on e0 (10 min), e1 (10), e2 (10), e3 (30), e4 (30), e5 (30)
"""  # fmt: skip

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from abatis.ground.travel import EdgeTimes
from abatis.model.fields import empty_table
from abatis.model.mesh import Mesh
from abatis.model.words import COVER_WORDS
from abatis.people import impact
from abatis.people.impact import assess_impact, choose_civil_vehicle

MINUTES = np.array([10.0, 10.0, 10.0, 30.0, 30.0, 30.0])
ENDS = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (0, 5)]


@pytest.fixture
def mesh() -> Mesh:
    neighbor, edge = np.full((6, 6), -1, np.int32), np.full((6, 6), -1, np.int32)
    for number, (a, b) in enumerate(ENDS):
        for one, other, side in ((a, b, 0), (b, a, 3)):
            side = side if neighbor[one, side] < 0 else side + 1
            neighbor[one, side], edge[one, side] = other, number
    cover = np.zeros((6, len(COVER_WORDS)))
    cover[:, COVER_WORDS.index("cropland")] = 1.0
    cover[1] = 0.0
    cover[1, COVER_WORDS.index("grass")] = 1.0
    lon = np.array([0.0, 0.1, 0.2, 0.2, 0.1, 0.0])
    ones = np.ones(6)
    return Mesh(
        cells=np.arange(6, dtype=np.uint64), lon=lon, lat=np.array([0.1, 0.1, 0.1, 0.0, 0.0, 0.0]),
        country=np.array([0, 0, 0, 0, 1, 0], np.int8), area_km2=ones, cover=cover, slope=np.zeros((6, 5)),
        soil=np.zeros((6, 4)), elevation_m=ones, population=np.array([0.0, 10.0, 20.0, 40.0, 80.0, 160.0]),
        protected=np.array([0.0, 0.0, 0.5, 0.0, 0.0, 0.0]), border_km=ones, clay_percent=np.nan * ones,
        neighbor=neighbor, edge=edge,
        edge_a=np.array([a for a, _ in ENDS]), edge_b=np.array([b for _, b in ENDS]), length_m=500.0 * ones,
        distance_m=1000.0 * ones, gap_m=500.0 * ones, road_class=np.zeros(6, np.int8), road_m=1000.0 * ones,
        surface=np.full(6, -1), structure=np.full(6, -1), max_weight_t=np.inf * ones,
        bridge_m=0.0 * ones, river_m=0.0 * ones, road_name=np.full(6, -1), bridge_name=np.full(6, -1),
        country_codes=("HOME", "OTHER"), road_names=(), bridge_names=(), assumptions=(), study_hash="",
    )  # fmt: skip


@pytest.fixture
def study():
    places = pd.DataFrame(
        [
            ("city", "City", 0.0, 0.1, 60000, "town", "HOME"),
            ("town", "Town", 0.2, 0.1, 900, "town", "HOME"),
            ("village", "Village", 0.2, 0.0, 50, "village", "HOME"),
            ("far", "Far", 0.5, 0.5, 7, "village", "HOME"),
            ("abroad", "Abroad", 0.1, 0.0, 70000, "city", "OTHER"),
            ("port", "Port", 0.2, 0.0, 99, "port", "HOME"),
        ],
        columns=["place", "name", "lon", "lat", "population", "kind", "country"],
    )  # fmt: skip
    speeds = pd.DataFrame(
        [
            ("slow", "road", "motorway", 40.0),
            ("fast", "road", "motorway", 90.0),
            ("slow", "base", "open", 99.0),
        ],
        columns=["vehicle", "factor", "word", "mode"],
    )
    vehicles = pd.DataFrame({"vehicle": ["slow", "fast"]})
    return SimpleNamespace(
        home=("HOME",), folder=Path(), tables={"places": places, "speeds": speeds, "vehicles": vehicles}
    )


def make_choice(*edge_lists: list[int]):
    sites = tuple(
        SimpleNamespace(key=f"s{index}", edges=np.array(edges)) for index, edges in enumerate(edge_lists)
    )
    options = tuple(SimpleNamespace(site=site.key, option="o", land_take_m2=20_000.0) for site in sites)
    plan = SimpleNamespace(options=tuple(SimpleNamespace(site=site.key, option="o") for site in sites))
    return SimpleNamespace(sites=sites, options=options), plan


@pytest.fixture(autouse=True)
def known_times(monkeypatch):
    asked = []

    def give_times(study, mesh, vehicle, season):
        asked.append((vehicle, season))
        return EdgeTimes(open_h=np.full(6, 0.001), road_h=MINUTES / 60.0)

    monkeypatch.setattr(impact, "compute_edge_times", give_times)
    return asked


def test_no_site_touches_nobody(study, mesh, known_times):
    found = assess_impact(study, mesh, *make_choice())
    assert (found.people_near, found.land_total_ha, found.protected_ha) == (0.0, 0.0, 0.0)
    assert (found.places_cut_off, found.places_longer) == ((), ())
    assert known_times == [("fast", "dry")]
    assert {one.place: round(60 * one.before_h) for one in found.access} == {
        "city": 0,
        "town": 20,
        "village": 30,
    }


def test_people_beside_a_site_are_counted_once_and_only_at_home(study, mesh):
    found = assess_impact(study, mesh, *make_choice([1], [2, 3]))
    # Cells 1 and 2 at the first site, 2, 3 and 4 at the second; cell 4 lies abroad.
    assert [one.people_near for one in found.sites] == [30.0, 60.0]
    assert found.people_near == 10.0 + 20.0 + 40.0


def test_land_is_shared_as_the_ground_beside_the_site(study, mesh):
    found = assess_impact(study, mesh, *make_choice([1]))
    # Two hectares on the side between grass (cell 1) and half-protected cropland (cell 2).
    assert found.land_take_ha["grass"] == pytest.approx(1.0)
    assert found.land_take_ha["cropland"] == pytest.approx(1.0)
    assert found.land_total_ha == pytest.approx(2.0)
    assert found.protected_ha == pytest.approx(0.5)


def test_one_way_shut_makes_the_other_way_count(study, mesh):
    found = assess_impact(study, mesh, *make_choice([1]))
    after = {one.place: round(60 * one.after_h) for one in found.access}
    assert after == {"city": 0, "town": 100, "village": 90}
    assert [one.place for one in found.places_longer] == ["town", "village"]
    assert found.places_cut_off == ()


def test_both_ways_shut_cut_off(study, mesh):
    found = assess_impact(study, mesh, *make_choice([1], [4]))
    assert [one.place for one in found.places_cut_off] == ["town", "village"]
    assert found.places_longer == ()


def test_places_without_a_road_and_cities_abroad_are_left_out(study, mesh):
    found = assess_impact(study, mesh, *make_choice([1]))
    assert found.no_road == ("Far",)
    assert found.cities == ("City",)
    assert "port" not in {one.place for one in found.access}


def test_without_a_city_nothing_is_said_about_access(study, mesh):
    study.tables["places"]["population"] = 100
    found = assess_impact(study, mesh, *make_choice([1]))
    assert found.access == ()
    assert len(found.no_road) == 4


def test_civil_vehicle_is_the_fastest_on_motorways(study):
    assert choose_civil_vehicle(study) == "fast"
    assert {"vehicle", "factor", "word", "mode"} <= set(empty_table("speeds").columns)
