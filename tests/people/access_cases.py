"""Small road nets for the tests of access: cells on a line of nodes, roads with hours and classes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

from abatis.ground.travel import EdgeTimes
from abatis.model.facilities import Facilities
from abatis.model.mesh import Mesh
from abatis.model.words import ROAD_WORDS
from abatis.people import access_ground

PERSONS_PER_VEHICLE = 2.5
LOCAL_PERSONS_H = 600 * PERSONS_PER_VEHICLE
REGIONAL_PERSONS_H = 900 * PERSONS_PER_VEHICLE
MEASURE_NUMBERS = (
    "unit_cost_low_eur", "unit_cost_eur", "unit_cost_high_eur", "delay_h", "lead_months", "land_take_m2",
    "removal_cost_eur",
)  # fmt: skip


def make_mesh(count: int, roads: list[tuple], safe: list[int], hostile: list[int] = ()) -> Mesh:
    """Make a mesh of `count` cells 0.1 degrees apart; roads are (a, b, hours, class word[, bridge])."""
    neighbor, edge = np.full((count, 6), -1, np.int32), np.full((count, 6), -1, np.int32)
    used = np.zeros(count, int)
    roads = [(min(a, b), max(a, b), *rest) for a, b, *rest in roads]
    for number, (a, b, *_) in enumerate(roads):
        for one, other in ((a, b), (b, a)):
            neighbor[one, used[one]], edge[one, used[one]] = other, number
            used[one] += 1
    ones, edges = np.ones(count), np.ones(len(roads))
    border_km = 10.0 * ones
    border_km[list(safe)] = 60.0
    border_km[list(hostile)] = 0.0
    country = np.zeros(count, np.int8)
    country[list(hostile)] = 1
    return Mesh(
        cells=np.arange(count, dtype=np.uint64), lon=20 + 0.1 * np.arange(count), lat=55 * ones,
        country=country, area_km2=ones, cover=np.zeros((count, 9)), slope=np.zeros((count, 5)),
        soil=np.zeros((count, 4)), elevation_m=ones, population=0 * ones, protected=0 * ones,
        border_km=border_km, clay_percent=np.nan * ones, neighbor=neighbor, edge=edge,
        edge_a=np.array([one[0] for one in roads]), edge_b=np.array([one[1] for one in roads]),
        length_m=500 * edges, distance_m=1000 * edges, gap_m=500 * edges,
        road_class=np.array([ROAD_WORDS.index(one[3]) for one in roads], np.int8), road_m=1000 * edges,
        surface=np.full(len(roads), -1), structure=np.full(len(roads), -1), max_weight_t=np.inf * edges,
        bridge_m=np.array([50.0 if len(one) > 4 else 0.0 for one in roads]), river_m=0 * edges,
        road_name=np.full(len(roads), -1), bridge_name=np.full(len(roads), -1),
        country_codes=("HOME", "FOE"), road_names=(), bridge_names=(), assumptions=(), study_hash="",
        facilities=Facilities.empty(),
    )  # fmt: skip


def make_study(folder: Path, places: list[tuple], monkeypatch, roads: list[tuple]) -> SimpleNamespace:
    """Make a study of places (key, cell, persons, kind); its roads take the hours given."""
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame(
        [
            (key, key.title(), 20 + 0.1 * cell, 55.0, persons, kind, "HOME")
            for key, cell, persons, kind in places
        ],
        columns=["place", "name", "lon", "lat", "population", "kind", "country"],
    )  # fmt: skip
    frame.index = frame.index + 2
    measures = pd.DataFrame(
        [(key, kind, unit, *[1.0] * len(MEASURE_NUMBERS)) for key, kind, unit in (
            ("block", "obstacle", "site"), ("wall", "fence", "site"), ("fixture", "bridge_fixture", "bridge"),
        )],
        columns=["measure", "law_kind", "unit", *MEASURE_NUMBERS],
    )  # fmt: skip
    options = pd.DataFrame(
        [
            ("block", "Block", "", "block", "", "any", ()),
            ("wall", "Wall", "", "wall", "", "any", ()),
            ("bridge", "Bridge", "", "", "fixture", "any", ()),
        ],
        columns=["option", "name", "open_measure", "road_measure", "bridge_measure", "sites", "cover"],
    )
    hours = np.array([one[2] for one in roads], float)
    monkeypatch.setattr(
        access_ground, "compute_edge_times", lambda *_: EdgeTimes(np.full(len(hours), 9.0), hours)
    )
    monkeypatch.setattr(access_ground, "choose_civil_vehicle", lambda _study: "car")
    return SimpleNamespace(
        folder=folder, home=("HOME",), hostile=("FOE",), sources=pd.DataFrame({"layer": []}),
        tables={
            "places": frame, "measures": measures, "options": options,
            "approaches": pd.DataFrame({"objective": [places[0][0]]}),
        },
    )  # fmt: skip


def make_siting(sites: list[tuple[str, list[int], list[str]]], problem=None) -> SimpleNamespace:
    """Make sites (key, edges, options)."""
    return SimpleNamespace(
        sites=tuple(
            SimpleNamespace(key=key, name=key.title(), edges=np.array(edges, np.int32))
            for key, edges, _ in sites
        ),
        options=tuple(SimpleNamespace(site=key, option=one) for key, _, keys in sites for one in keys),
        problem=problem,
    )  # fmt: skip


def make_plan(siting: SimpleNamespace, *sites: str) -> SimpleNamespace:
    """Make a plan with the first option of each site named; all of them when none is."""
    first: dict[str, object] = {}
    for one in siting.options:
        if not sites or one.site in sites:
            first.setdefault(one.site, one)
    return SimpleNamespace(options=tuple(first.values()))
