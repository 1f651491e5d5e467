"""The low air picture of a small study, and its tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from abatis.show.low_air import list_air_candidates, picture_study, tabulate_low_air
from abatis.show.workflow import load_study
from abatis.watch.candidates import list_candidates
from abatis.watch.catalogue import read_catalogue
from abatis.watch.ground_raster import lay_ground, read_watch_sources
from abatis.watch.low_air_study import choose_air_settings, find_border_gap
from abatis.watch.masts import TallPoints

SENSORS = """\
sensor,name,kind,mast_height_m,cost_low_eur,cost_eur,cost_high_eur,upkeep_eur_per_year,life_years,range_low_air_m,\
detection_probability,false_alarms_per_day,weather_factor,source,tag
net,Acoustic node,acoustic,5,1,15000,20000,10,7,4000,0.8,4,0.9,test,G
"""


@pytest.fixture
def scene(study_copy):
    (study_copy / "tables" / "sensors.csv").write_text(SENSORS, encoding="utf-8")
    study, mesh = load_study(study_copy)
    catalogue = read_catalogue(study)
    sources = read_watch_sources(study, lambda _stage, _share: None)
    ground = lay_ground(study, mesh, sources, catalogue.terms, lambda _stage, _share: None)
    nothing = np.zeros(0)
    tall = TallPoints(nothing, nothing, np.array([], dtype=object))
    roads = sources.layers.vectors["roads"].geometry
    places = list_candidates(study, mesh, ground, catalogue.posts, roads, tall, catalogue.terms)
    return study, mesh, ground, catalogue, places


def test_open_air_is_closed_by_sensors(scene):
    study, mesh, ground, catalogue, places = scene
    settings = replace(choose_air_settings(catalogue.terms), heights_m=(30.0, 100.0), least_chance=0.6)
    picture = picture_study(study, mesh, ground, catalogue, places, [], settings=settings)
    assert [one.mean_detection for one in picture.covers] == [0.0, 0.0]
    assert [one.open_share for one in picture.covers] == [1.0, 1.0]
    pairs = set(study.tables["approaches"][["front", "objective"]].itertuples(index=False, name=None))
    assert len(picture.corridors) == 2 * len(pairs)
    assert all(one.corridor.chance == 0.0 for one in picture.corridors)
    # Everything is open, so the longest open stretch is the whole way.
    assert all(one.corridor.gap_m == pytest.approx(one.corridor.length_m) for one in picture.corridors)
    assert picture.closed.height_m == 30.0
    assert picture.closing.before == 0.0
    candidates = list_air_candidates(study, catalogue, places, [])
    tables = tabulate_low_air(study, picture, candidates)
    assert set(tables) == {"low_air", "corridors", "closing"}
    assert len(tables["closing"].rows) == len(picture.closing.steps) > 0
    # With the kept sensors as posts the same way has the chance that was told.
    planned = [candidates.outlooks[one] for one in picture.closing.kept]
    after = picture_study(study, mesh, ground, catalogue, places, planned, closing=False, settings=settings)
    same = [
        one
        for one in after.corridors
        if (one.front, one.objective, one.height_m)
        == (picture.closed.front, picture.closed.objective, picture.closed.height_m)
    ]
    assert same[0].corridor.chance == pytest.approx(picture.closing.chance, abs=1e-6)
    assert after.false_alarms_per_day == 4.0 * len(planned)
    assert after.closing is None
    assert len(list_air_candidates(study, catalogue, places, planned).names) == len(candidates.names) - len(
        planned
    )


def test_border_gap_is_the_widest_group(scene):
    _, mesh, _, _, _ = scene
    first = int(np.flatnonzero((mesh.neighbor >= 0).all(axis=1))[0])
    pair = [first, int(mesh.neighbor[first, 0])]
    far = int(np.argmax(np.hypot(mesh.lon - mesh.lon[first], mesh.lat - mesh.lat[first])))
    cells, width_m = find_border_gap(mesh, np.array([*pair, far]))
    assert cells.tolist() == sorted(pair)
    step = float(mesh.distance_m[mesh.edge[first, 0]])
    size = np.sqrt(mesh.area_km2[cells].mean() * 1e6)
    assert width_m == pytest.approx(step + size, rel=1e-3)
    assert find_border_gap(mesh, np.array([], int)) == (pytest.approx(np.empty(0)), 0.0)
