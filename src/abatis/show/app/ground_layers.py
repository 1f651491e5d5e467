"""What the map shows of the ground: base map, cells, times, isochrones, avenues."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyarrow as pa
import shapely
from shapely import LineString, MultiLineString
from shapely.geometry.base import BaseGeometry

from abatis.barrier.sites import Siting
from abatis.ground.travel import compute_times
from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.plan import Plan
from abatis.model.words import COVER_WORDS
from abatis.show.app.answers.ground import AvenuesAnswer, IsochronesAnswer
from abatis.show.app.answers.study import BaseAnswer, Quantity
from abatis.show.app.answers.tables import answer_table, answer_tables
from abatis.show.app.answers.views import FeaturesAnswer
from abatis.show.app.loaded import Snapshot
from abatis.show.app.views.shapes import collect, collect_frame, make_feature, make_point, read_layers
from abatis.show.avenue_tables import tabulate_findings
from abatis.show.avenues import AvenueSettings, FoundAvenue, compute_findings, state_approaches
from abatis.show.basemap import BaseMap
from abatis.show.results import time_edges
from abatis.show.tables import Column, Table

ARROW = "application/vnd.apache.arrow.stream"
NO_WORD = 255
LINE_TOLERANCE_DEG = 0.004
AVENUE_LAYERS = ("avenues", "shared_stretches", "chokepoints", "needed_cells")
AVENUE_CAPTIONS = {
    "approach": ("approach", ""),
    "state": ("state", ""),
    "avenue": ("avenue", ".0f"),
    "hours": ("time [h]", ".2f"),
    "length_km": ("length [km]", ",.0f"),
    "apart_share": ("apart [share]", ".2f"),
    "roads": ("roads used most", ""),
    "label": ("label", ""),
    "kind": ("kind", ""),
    "share": ("shortest routes [share]", ".3f"),
    "share_after": ("with the plan [share]", ".3f"),
    "all_of": ("approaches that all need it", ".0f"),
    "lost_h": ("lost when shut [h]", ".3f"),
}


def draw_base(now: Snapshot) -> BaseAnswer:
    """Return the base map from the study's own sources, in degrees, simplified to about 120 m."""
    base = now.base_map
    layers = {name: _to_degrees(base, shapes) for name, shapes in base.layers.items()}
    borders = [(True, one) for one in base.home_borders] + [(False, one) for one in base.borders]
    lines = _to_degrees(base, np.array([shape for _, shape in borders], dtype=object))
    land = zip(base.classes["borders"].tolist(), layers["borders"], strict=True)
    return BaseAnswer(
        land=_collect([(shape, {"country": code, "home": code in now.study.home}) for code, shape in land]),
        water=_collect([(shape, {}) for shape in layers["water"]]),
        forests=_collect([(shape, {}) for shape in layers["forest"]]),
        rivers=_collect([(shape, {}) for shape in layers["rivers"]]),
        borders=_collect([(shape, {"home": home}) for (home, _), shape in zip(borders, lines, strict=True)]),
        roads=_collect(
            [
                (shape, {"class": str(word)})
                for shape, word in zip(layers["roads"], base.classes["roads"], strict=True)
            ]
        ),
        places=_list_places(now),
    )


def _to_degrees(base: BaseMap, shapes: np.ndarray) -> np.ndarray:
    def turn(km: np.ndarray) -> np.ndarray:
        lon, lat = base.transformer.transform(km[:, 0] * 1000.0, km[:, 1] * 1000.0, direction="INVERSE")
        return np.column_stack([lon, lat])

    return np.asarray(shapely.transform(shapes, turn))


def _collect(rows: Sequence[tuple[BaseGeometry, dict[str, object]]]) -> FeaturesAnswer:
    return collect(make_feature(shape, words) for shape, words in rows if not shapely.is_empty(shape))


def _list_places(now: Snapshot) -> FeaturesAnswer:
    places = now.study.tables["places"]
    wanted = ("place", "name", "population", "kind", "country", "source", "tag")
    aims = set(now.study.tables["approaches"]["objective"])
    return collect(
        make_point(
            float(row["lon"]),
            float(row["lat"]),
            {**{column: row[column] for column in wanted}, "objective": row["place"] in aims},
        )
        for _, row in places.iterrows()
    )


def write_arrow(columns: dict[str, np.ndarray | pa.Array], notes: dict[str, str]) -> bytes:
    """Return columns of one length as an Arrow IPC stream, notes in the schema's metadata."""
    table = pa.table(columns).replace_schema_metadata(notes)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def write_cells(now: Snapshot) -> bytes:
    """Return the cells of the mesh as an Arrow stream, rows in the order of the mesh.

    Columns: `cell_low`, `cell_high` (the two halves of the H3 index), `country` and `cover` (index into the
    lists in the metadata; 255 none), `population` (persons), `border_km`, `elevation_m` (null where
    unknown), `protected` (%).
    """
    mesh = now.mesh
    heights = np.clip(np.nan_to_num(mesh.elevation_m), -500, 9000)
    country = np.where(mesh.country >= 0, mesh.country, NO_WORD).astype(np.uint8)
    cover = np.where(mesh.cover.sum(axis=1) > 0, np.argmax(mesh.cover, axis=1), NO_WORD)
    return write_arrow(
        {
            "cell_low": (mesh.cells & np.uint64(0xFFFFFFFF)).astype(np.uint32),
            "cell_high": (mesh.cells >> np.uint64(32)).astype(np.uint32),
            "country": country,
            "cover": cover.astype(np.uint8),
            "population": np.round(mesh.population, 1).astype(np.float32),
            "border_km": np.round(mesh.border_km, 2).astype(np.float32),
            "elevation_m": pa.array(heights.astype(np.int16), mask=np.isnan(mesh.elevation_m)),
            "protected": np.round(100 * np.nan_to_num(mesh.protected)).astype(np.uint8),
        },
        {
            "country": " ".join(mesh.country_codes),
            "cover": " ".join(COVER_WORDS),
            "units": "population persons, border_km km, elevation_m m, protected %",
            "study": now.study.name,
            "version": now.version,
        },
    )


def time_cells(
    now: Snapshot, approach: str, vehicle: str, season: str, plan: Plan | None
) -> tuple[np.ndarray, str]:
    """Return hours of every cell float64[N], and from where to where they are.

    Parameters
    ----------
    approach : key: hours from every cell to its objective; empty: hours from the nearest front of any
        approach to every cell.
    vehicle, season : of the approach when empty; without an approach those of the weightiest one.
    plan : whose barriers stand; None for none.

    Raises
    ------
    InputError : an unknown approach, or a pair of vehicle and season without speeds.
    """
    rows = now.study.tables["approaches"]
    if approach and approach not in set(rows["approach"]):
        raise InputError([Fault(f"there is no approach '{approach}'", column="approach",
                                remedy=nearest_word(approach, rows["approach"]))])  # fmt: skip
    key = approach or str(rows["approach"].iloc[int(np.argmax(rows["weight"]))])
    row = now.study.find_row("approaches", key)
    pair = (vehicle or str(row["vehicle"]), season or str(row["season"]))
    if pair not in now.list_pairs():
        known = ", ".join(" ".join(one) for one in now.list_pairs())
        raise InputError([Fault(f"no speeds for {pair[0]} in {pair[1]}", column="vehicle", remedy=known)])
    problem, times = now.problem, now.edge_times(*pair)
    chosen = now.find_rows(plan) if plan is not None else ()
    time_h = time_edges(problem, times.open_h, times.road_h, chosen)
    if approach:
        index = problem.approach_keys.index(approach)
        ends = np.asarray(problem.approach_targets[index], dtype=np.int32)
        words = f"from each cell to the objective of '{row['name']}'"
    else:
        ends = np.unique(np.concatenate([np.asarray(one) for one in problem.approach_sources]))
        words = "from the nearest front to each cell"
    return compute_times(now.mesh, time_h, ends.astype(np.int32)), f"{words}, {pair[0]}, {pair[1]}"


def write_times(now: Snapshot, hours: np.ndarray, words: str, plan: str) -> bytes:
    """Return hours of the cells as an Arrow stream: column `hours` float32 (inf never), mesh order."""
    notes = {"unit": "h", "from_words": words, "plan": plan, "version": now.version}
    return write_arrow({"hours": hours.astype(np.float32)}, notes)


def describe_hours(now: Snapshot, words: str) -> Quantity:
    """Say what hours of cells are and what they rest on."""
    speeds = now.study.tables["speeds"]
    return Quantity(
        key="hours",
        caption="time",
        unit="h",
        meaning=f"least time {words}",
        source="computed from tables/speeds.csv, soils.csv and crossings.csv over the mesh",
        tag=weakest_tag(speeds["tag"]),
    )


def weakest_tag(tags: Iterable[str]) -> str:
    """Return the weakest of some tags: G before F- before D before F.

    Examples
    --------
    >>> weakest_tag(["F", "D"]), weakest_tag([])
    ('D', '')
    """
    order = ("G", "F-", "D", "F")
    held = set(tags)
    return next((tag for tag in order if tag in held), "")


def draw_isochrones(now: Snapshot, times: np.ndarray, hours: Sequence[float], words: str) -> IsochronesAnswer:
    """Draw the lines between cells within some hours and cells beyond, smoothed to about 400 m."""
    mesh, ends = now.mesh, now.edge_lonlat
    features = []
    for limit in hours:
        inside = times <= limit
        edges = np.flatnonzero(inside[mesh.edge_a] != inside[mesh.edge_b])
        if not edges.size:
            continue
        line = shapely.line_merge(MultiLineString(list(ends[edges])))
        smooth = shapely.simplify(line, LINE_TOLERANCE_DEG)
        features.append(make_feature(smooth, {"hours": float(limit), "cells": int(inside.sum())}))
    return IsochronesAnswer(features=features, from_words=words)


def read_plan_avenues(folder: Path, siting: Siting, plan: Plan) -> AvenuesAnswer:
    """Read the avenues that stand beside a plan in plan.gpkg; not made when that file shows another plan."""
    layers = read_plan_layers(folder, plan)
    if not layers:
        return AvenuesAnswer(made=False, job="report")
    names = dict(zip(siting.problem.approach_keys, siting.problem.approach_names, strict=True))
    tables = {}
    for key, title in (("avenues", "Avenues"), ("chokepoints", "Chokepoints")):
        if key not in layers:
            continue
        frame = layers[key]
        columns = tuple(Column(one, *AVENUE_CAPTIONS[one]) for one in frame.columns if one in AVENUE_CAPTIONS)
        rows = tuple(frame[[one.key for one in columns]].to_dict("records"))
        rows = tuple({**row, "name": names.get(row.get("approach", ""), "")} for row in rows)
        tables[key] = answer_table(Table(title, columns, rows), "plan.gpkg of the plan")
    features = {name: collect_frame(layers[name]) for name in AVENUE_LAYERS if name in layers}
    return AvenuesAnswer(made=True, features=features, tables=tables)


def read_plan_layers(folder: Path, plan: Plan) -> dict[str, gpd.GeoDataFrame]:
    """Return the layers of plan.gpkg by name; none where it is missing or shows other sites than the plan."""
    path = folder / "plan.gpkg"
    if not path.is_file():
        return {}
    layers = read_layers(path)
    sites = layers.get("sites")
    if sites is None:
        return {}
    shown = {
        (one["site"], round(float(one["cost_eur"]))) for one in sites[sites["chosen"]].to_dict("records")
    }
    if shown != {(one.site, round(one.cost_eur)) for one in plan.options}:
        return {}
    return dict(layers)


def find_avenues_now(now: Snapshot, approach: str) -> AvenuesAnswer:
    """Find the avenues before any barrier; a few seconds on a country."""
    findings = compute_findings(
        now.mesh, state_approaches(now.study, now.mesh), None, AvenueSettings(approach=approach)
    )
    mesh = now.mesh

    def draw(cells: np.ndarray) -> LineString:
        return LineString(np.column_stack([mesh.lon[cells], mesh.lat[cells]]))

    def describe(one: FoundAvenue) -> dict[str, object]:
        return {"approach": one.approach, "name": one.name, "avenue": one.number, "state": one.state,
                "hours": one.avenue.time_h, "length_km": one.length_km, "roads": one.roads}  # fmt: skip

    features = {
        "avenues": collect(
            make_feature(draw(one.avenue.cells), describe(one))
            for one in findings.avenues
            if len(one.avenue.cells) > 1
        ),
        "chokepoints": collect(
            make_point(
                float(mesh.lon[one.place.cell]),
                float(mesh.lat[one.place.cell]),
                {"label": one.label, "kind": "cell" if one.place.edge < 0 else "bridge",
                 "share": one.place.share, "all_of": one.all_of, "lost_h": one.lost_h},
            )
            for one in findings.chokepoints
        ),
    }  # fmt: skip
    tables = tabulate_findings(now.study, mesh, findings, None)
    return AvenuesAnswer(made=True, features=features, tables=answer_tables(tables))
