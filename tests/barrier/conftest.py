"""Small meshes on real H3 cells, every array set by hand."""

import dataclasses
from pathlib import Path

import h3.api.basic_int as h3
import numpy as np
import pandas as pd
import pytest

from abatis.model.fields import empty_table
from abatis.model.mesh import Mesh, freeze_mesh
from abatis.model.study import Study
from abatis.model.words import COVER_WORDS


def build_mesh(cells: list[int], gap_m: float = 100.0) -> Mesh:
    """Build a mesh of home ground: every edge 400 m long with one gap, no road."""
    cells = sorted(cells)
    row = {cell: number for number, cell in enumerate(cells)}
    center = np.array([h3.cell_to_latlng(cell) for cell in cells])
    neighbor = np.full((len(cells), 6), -1, np.int32)
    for number, cell in enumerate(cells):
        ring = [one for one in h3.grid_disk(cell, 1) if one != cell]
        around = np.array([h3.cell_to_latlng(one) for one in ring]) - center[number]
        angle = np.arctan2(around[:, 0], around[:, 1] * np.cos(np.radians(center[number, 0])))
        neighbor[number] = [row.get(ring[place], -1) for place in np.argsort(angle)]
    return fill_mesh(np.array(cells, np.uint64), center[:, ::-1], neighbor, gap_m)


def fill_mesh(cells: np.ndarray, lonlat: np.ndarray, neighbor: np.ndarray, gap_m: float = 100.0) -> Mesh:
    count = len(cells)
    first, side = np.nonzero(neighbor > np.arange(count)[:, None])
    second = neighbor[first, side]
    edge = np.full((count, 6), -1, np.int32)
    edge[first, side] = np.arange(len(first))
    for back in range(6):
        match = neighbor[second, back] == first
        edge[second[match], back] = np.flatnonzero(match)
    edges = len(first)
    cover = np.zeros((count, len(COVER_WORDS)), np.float32)
    cover[:, COVER_WORDS.index("grass")] = 1.0
    flat = {"slope": (count, 5), "soil": (count, 4)}
    return freeze_mesh(
        Mesh(
            cells=cells,
            lon=lonlat[:, 0].copy(),
            lat=lonlat[:, 1].copy(),
            country=np.zeros(count, np.int8),
            area_km2=np.full(count, 0.7, np.float32),
            cover=cover,
            **{key: np.eye(1, shape[1], dtype=np.float32).repeat(count, 0) for key, shape in flat.items()},
            elevation_m=np.zeros(count, np.float32),
            population=np.zeros(count, np.float32),
            protected=np.zeros(count, np.float32),
            border_km=np.zeros(count, np.float32),
            clay_percent=np.full(count, np.nan, np.float32),
            neighbor=neighbor,
            edge=edge,
            edge_a=first.astype(np.int32),
            edge_b=second.astype(np.int32),
            length_m=np.full(edges, 400.0, np.float32),
            distance_m=np.full(edges, 800.0, np.float32),
            gap_m=np.full(edges, gap_m, np.float32),
            road_class=np.full(edges, -1, np.int8),
            road_m=np.zeros(edges, np.float32),
            surface=np.full(edges, -1, np.int8),
            structure=np.full(edges, -1, np.int8),
            max_weight_t=np.full(edges, np.inf, np.float32),
            bridge_m=np.zeros(edges, np.float32),
            river_m=np.zeros(edges, np.float32),
            road_name=np.full(edges, -1, np.int32),
            bridge_name=np.full(edges, -1, np.int32),
            country_codes=("HH", "XX", "AA"),
            road_names=("104", "A4"),
            bridge_names=("Long bridge",),
            assumptions=(),
            study_hash="",
        )
    )


def change_mesh(mesh: Mesh, **arrays: object) -> Mesh:
    return freeze_mesh(dataclasses.replace(mesh, **arrays))


def make_table(table: str, rows: list[dict[str, object]]) -> pd.DataFrame:
    """Make a table as `read_table` would, with neutral values for what is not given."""
    frame = empty_table(table)
    records = []
    for row in rows:
        blank = {
            c: 0.0 if frame[c].dtype == float else False if frame[c].dtype == bool else "" for c in frame
        }
        records.append(blank | {"source": "test", "tag": "G"} | row)
    index = pd.Index(range(2, 2 + len(rows)), name="row")
    return pd.DataFrame(records, columns=frame.columns, index=index) if rows else frame


def make_study(tables: dict[str, list[dict[str, object]]], **settings: object) -> Study:
    names = [
        "places",
        "fronts",
        "approaches",
        "vehicles",
        "speeds",
        "soils",
        "crossings",
        "measures",
        "options",
        "budget",
        "rules",
        "facts",
        "classes",
        "stocks",
        "belts",
    ]
    values = {
        "folder": Path(),
        "name": "test",
        "title": "Test",
        "schematic": True,
        "home": ("HH",),
        "hostile": ("XX",),
        "resolution": 8,
        "strip_km": 5.0,
        "pixel_m": 100.0,
        "base_year": 2025,
        "seed": 1,
        "outer_km": (2.0,),
        "longest_site_km": 2.0,
        "crossing_sites": 3,
        "avoid_protected": False,
        "objective": "sum",
        "gap": 0.01,
        "time_limit_s": 10.0,
    }
    frames = {name: make_table(name, tables.get(name, [])) for name in names}
    return Study(**(values | settings), tables=frames, sources=empty_table("sources"))


MEASURES = [
    {
        "measure": "ditch",
        "name": "Ditch",
        "unit": "km",
        "unit_cost_low_eur": 60e3,
        "unit_cost_eur": 200e3,
        "unit_cost_high_eur": 400e3,
        "delay_h": 3.0,
        "lead_months": 6.0,
        "life_years": 12.0,
        "land_take_m2": 5000.0,
        "removal_cost_eur": 50e3,
        "reversibility": "medium",
    },
    {
        "measure": "block",
        "name": "Road block",
        "unit": "site",
        "unit_cost_low_eur": 10e3,
        "unit_cost_eur": 30e3,
        "unit_cost_high_eur": 60e3,
        "delay_h": 2.0,
        "lead_months": 2.0,
        "life_years": 20.0,
        "land_take_m2": 100.0,
        "removal_cost_eur": 8e3,
        "reversibility": "high",
    },
    {
        "measure": "bridge",
        "name": "Prepared bridge",
        "unit": "bridge",
        "unit_cost_low_eur": 50e3,
        "unit_cost_eur": 150e3,
        "unit_cost_high_eur": 500e3,
        "delay_h": 12.0,
        "lead_months": 9.0,
        "life_years": 20.0,
        "land_take_m2": 0.0,
        "removal_cost_eur": 20e3,
        "reversibility": "high",
    },
]
OPTIONS = [
    {
        "option": "full",
        "name": "Ditch with blocks",
        "open_measure": "ditch",
        "road_measure": "block",
        "bridge_measure": "bridge",
        "sites": "any",
        "cover": (),
    },
    {
        "option": "roads",
        "name": "Road blocks only",
        "road_measure": "block",
        "bridge_measure": "bridge",
        "sites": "any",
        "cover": (),
    },
    {
        "option": "felling",
        "name": "Felled trees",
        "open_measure": "ditch",
        "road_measure": "block",
        "sites": "line",
        "cover": ("dense_forest",),
    },
]


class Bench:
    """What tests build with, gathered in one fixture."""

    build_mesh = staticmethod(build_mesh)
    fill_mesh = staticmethod(fill_mesh)
    change_mesh = staticmethod(change_mesh)
    make_study = staticmethod(make_study)
    measures = MEASURES
    options = OPTIONS


@pytest.fixture(scope="session")
def bench() -> type[Bench]:
    return Bench
