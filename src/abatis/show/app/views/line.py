"""The view of the line: echelons, works and weak places, where a plan leaves them open, joint points."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely

from abatis.barrier.line_graph import Line
from abatis.barrier.lines import find_echelon_sets, join_lines
from abatis.barrier.sites import Siting, describe_place
from abatis.model.mesh import Mesh
from abatis.model.plan import Plan
from abatis.model.study import Study
from abatis.show.app.answers.tables import answer_table
from abatis.show.app.answers.views import AxisAnswer, ChartAnswer, FeaturesAnswer, SeriesAnswer, ViewAnswer
from abatis.show.app.views.shapes import collect, collect_frame, make_feature, make_point, read_layers
from abatis.show.line import tabulate_depth, tabulate_lines, tabulate_works
from abatis.show.results import Progress, find_option_rows
from abatis.show.tables import Column, Table

JOINT_FILE = "joint.gpkg"
JOINT_LAYERS = {"lines": "joint_lines", "seams": "joint_seams", "joint_points": "joint_points"}
JOINT_ANSWER = "joint.json"
JOINT_TOTALS = {
    "alone_eur": "all lines alone",
    "mending_eur": "mending their seams, as cheaply as can be",
    "joint_eur": "joint line",
    "saving_eur": "saving",
}
MOST_LEAKS = 100


@dataclass(frozen=True)
class OpenStretch:
    """A part of a line that a plan leaves open: where, how long, its gap in metres, and roads across."""

    line: str
    length_km: float
    gap_m: float
    roads: int
    lon: float
    lat: float
    shape: shapely.LineString


def make_line_view(
    study: Study, mesh: Mesh, siting: Siting, plan: Plan | None, progress: Progress
) -> ViewAnswer:
    """Make the view of the line.

    Parameters
    ----------
    study, mesh, siting : the study in memory.
    plan : whose leaks are shown; None for none.
    progress : callback (stage, share done).

    Raises
    ------
    InputError, InfeasibleError : see `find_echelon_sets`.
    """
    sets = find_echelon_sets(study, mesh)
    lines = [line for one in sets for line in one]
    tables = {"lines": tabulate_lines(mesh, lines), **tabulate_works(study, mesh, sets)}
    tables["depth"] = tabulate_depth(study, mesh, [join_lines(one) for one in sets], progress)
    features = {"lines": _draw_lines(sets), "weakest": _draw_weakest(tables["weakest"])}
    if plan is not None:
        stretches = find_open_stretches(mesh, siting, plan, lines)
        tables["plan_leaks"] = tabulate_stretches(study, plan, lines, stretches)
        features["leaks"] = collect(_draw_stretch(one) for one in stretches)
    joint, notes = read_joint(study.folder)
    answer = ViewAnswer(
        made=True,
        notes=notes,
        tables={key: answer_table(table) for key, table in tables.items()},
        features=features | joint,
        charts={
            "works": chart_works(study, tables["measures"], lines),
            "depth": chart_depth(tables["depth"]),
        },
    )
    found = tabulate_joint_layers(joint) | (tabulate_joint_costs(study.folder) if joint else {})
    answer.tables |= {key: answer_table(table) for key, table in found.items()}
    return answer


def _draw_lines(sets: Sequence[Sequence[Line]]) -> FeaturesAnswer:
    return collect(
        make_feature(
            shapely.MultiLineString([shapely.LineString(part) for part in line.polylines]),
            {
                "line": line.key,
                "name": line.name,
                "echelon": number,
                "length_km": round(line.length_km, 3),
                "cost_eur": round(line.cost_eur, 2),
                "closed_by_nature": round(line.closed_by_nature, 4),
            },
        )
        for number, lines in enumerate(sets, start=1)
        for line in lines
        if line.polylines
    )


def _draw_weakest(weakest: Table) -> FeaturesAnswer:
    return collect(make_point(row["lon"], row["lat"], row) for row in weakest.rows)


def find_open_stretches(
    mesh: Mesh, siting: Siting, plan: Plan, lines: Sequence[Line]
) -> tuple[OpenStretch, ...]:
    """Find the parts of lines that a plan leaves open, widest gap first.

    Formula: an edge is open when its gap is over 0 m or a road crosses it, and no chosen option stands on it.
    In words: open edges side by side are one stretch. What a chosen option delays counts as closed, however
    short the delay.
    """
    problem = siting.problem
    built = np.zeros(mesh.edge_count, bool)
    for row in find_option_rows(siting, plan):
        built[problem.option_edge[problem.option_start[row] : problem.option_start[row + 1]]] = True
    passable = (mesh.gap_m > 0) | (mesh.road_class >= 0)
    found = []
    for line in lines:
        for chain, corners in zip(line.chains, line.polylines, strict=True):
            is_open = passable[chain] & ~built[chain]
            cuts = np.flatnonzero(np.diff(is_open.astype(np.int8))) + 1
            starts, ends = np.r_[0, cuts], np.r_[cuts, len(chain)]
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
                if len(chain) and is_open[start]:
                    found.append(_measure_stretch(mesh, line.key, chain[start:end], corners[start : end + 1]))
    return tuple(sorted(found, key=lambda one: (-one.gap_m, one.line, one.lon, one.lat)))


def _measure_stretch(mesh: Mesh, line: str, edges: np.ndarray, corners: np.ndarray) -> OpenStretch:
    middle = corners[len(corners) // 2]
    return OpenStretch(
        line=line,
        length_km=float(mesh.length_m[edges].sum()) / 1000.0,
        gap_m=float(mesh.gap_m[edges].sum()),
        roads=int((mesh.road_class[edges] >= 0).sum()),
        lon=float(middle[0]),
        lat=float(middle[1]),
        shape=shapely.LineString(corners),
    )


def _draw_stretch(one: OpenStretch) -> dict[str, Any]:
    return make_feature(
        one.shape,
        {
            "line": one.line,
            "length_km": round(one.length_km, 3),
            "gap_m": round(one.gap_m, 1),
            "roads": one.roads,
        },
    )


def tabulate_stretches(
    study: Study, plan: Plan, lines: Sequence[Line], stretches: Sequence[OpenStretch]
) -> Table:
    """Tabulate the widest parts of the lines that a plan leaves open."""
    rows = tuple(
        {
            "line": one.line,
            "place": describe_place(study, one.lon, one.lat),
            "length_km": round(one.length_km, 3),
            "gap_m": round(one.gap_m, 1),
            "roads": one.roads,
            "lon": round(one.lon, 5),
            "lat": round(one.lat, 5),
        }
        for one in stretches[:MOST_LEAKS]
    )
    columns = (
        Column("line", "line"),
        Column("place", "place"),
        Column("length_km", "length [km]", ",.2f"),
        Column("gap_m", "open ground [m]", ",.0f"),
        Column("roads", "roads across", ",.0f"),
        Column("lon", "longitude [deg]", ".4f"),
        Column("lat", "latitude [deg]", ".4f"),
    )
    whole = sum(one.length_km for one in stretches)
    note = (
        f"{len(stretches)} stretches, {whole:,.1f} km in all, of {len(lines)} lines are neither closed by "
        "nature nor by an option of the plan; a plan need not close a line to delay"
    )
    if len(stretches) > MOST_LEAKS:
        note += f"; the widest {MOST_LEAKS} are listed, all are on the map"
    return Table(f"Where the lines stay open with plan {plan.name}", columns, rows, note)


def read_joint(folder: Path) -> tuple[dict[str, FeaturesAnswer], list[str]]:
    """Read the joint line that `abatis joint --geopackage` wrote as joint.gpkg; and what to say about it."""
    path = folder / JOINT_FILE
    if not path.is_file():
        told = f"no joint line with neighbours: abatis joint STUDY NEIGHBOUR --geopackage STUDY/{JOINT_FILE}"
        return {}, [told]
    mesh = folder / "mesh" / "cells.parquet"
    if mesh.is_file() and mesh.stat().st_mtime > path.stat().st_mtime:
        return {}, [f"{JOINT_FILE} is older than the mesh and is not shown: run abatis joint again"]
    try:
        layers = read_layers(path)
    except (OSError, pyogrio.errors.DataSourceError):
        return {}, [f"{JOINT_FILE} is damaged: run abatis joint again"]
    return {
        JOINT_LAYERS[name]: collect_frame(frame) for name, frame in layers.items() if name in JOINT_LAYERS
    }, []


def tabulate_joint_layers(layers: dict[str, FeaturesAnswer]) -> dict[str, Table]:
    """Tabulate joint points and seams of the layers of a joint line."""
    if not {"joint_points", "joint_seams"} <= set(layers):
        return {}
    points = [
        {
            **one["properties"],
            "lon": one["geometry"]["coordinates"][0],
            "lat": one["geometry"]["coordinates"][1],
        }
        for one in layers["joint_points"].features
    ]
    return {
        "joint_points": Table(
            "Joint points: where the joint line crosses borders",
            (
                Column("between", "between"),
                Column("place", "nearest place"),
                Column("lon", "longitude [deg]", ".4f"),
                Column("lat", "latitude [deg]", ".4f"),
            ),
            tuple(points),
        ),
        "joint_seams": Table(
            "Seams: where the lines alone miss each other",
            (
                Column("between", "between"),
                Column("place", "near"),
                Column("km", "along the border [km]", ",.1f"),
                Column("open_km", "of it open [km]", ",.1f"),
                Column("hours", "an approach gains [h]", ".2f"),
            ),
            tuple(one["properties"] for one in layers["joint_seams"].features),
        ),
    }


def tabulate_joint_costs(folder: Path) -> dict[str, Table]:
    """Tabulate what the joint line costs each country: joint.json, written by `abatis joint --json`."""
    try:
        kept = json.loads((folder / JOINT_ANSWER).read_text(encoding="utf-8"))
        countries = tuple(dict(row) for row in kept["countries"])
        totals = tuple({"what": words, "eur": float(kept[key])} for key, words in JOINT_TOTALS.items())
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    columns = (
        Column("id", "country"),
        Column("alone_eur", "alone [EUR]", ",.0f"),
        Column("joint_eur", "of the joint line [EUR]", ",.0f"),
        Column("shapley_eur", "fair share [EUR]", ",.0f"),
        Column("shapley_minus_alone_eur", "fair share against alone [EUR]", "+,.0f"),
    )
    note = "fair share: Shapley value"
    return {
        "joint_countries": Table("Cost of each country's ground", columns, countries, note),
        "joint_totals": Table("Together", (Column("what", "what"), Column("eur", "EUR", ",.0f")), totals),
    }


def chart_works(study: Study, measures: Table, lines: Sequence[Line]) -> ChartAnswer:
    """Chart the cost of every line by measure, stacked."""
    names = study.tables["measures"].set_index("measure")["name"]
    keys = [line.key for line in lines]
    cost: dict[str, dict[str, float]] = {}
    for row in measures.rows:
        of_line = cost.setdefault(str(row["measure"]), {})
        of_line[str(row["line"])] = of_line.get(str(row["line"]), 0.0) + float(row["cost_eur"]) / 1e6
    return ChartAnswer(
        title="Cost of the lines by measure",
        x=AxisAnswer(caption="line", values=[line.name for line in lines]),
        y=AxisAnswer(caption="cost", unit="MEUR"),
        series=[
            SeriesAnswer(
                key=measure,
                name=str(names.get(measure, measure)),
                kind="bar",
                stack="cost",
                values=[of_line.get(key, 0.0) for key in keys],
            )
            for measure, of_line in cost.items()
        ],
    )


def chart_depth(depth: Table) -> ChartAnswer:
    """Chart the hours that each echelon buys alone and adds to those before it."""

    def hours(key: str) -> list[float | str | None]:
        return [float(row[key]) if np.isfinite(row[key]) else "never" for row in depth.rows]

    return ChartAnswer(
        title=depth.title,
        x=AxisAnswer(caption="echelon", values=[str(row["name"]) for row in depth.rows]),
        y=AxisAnswer(caption="hours", unit="h"),
        series=[
            SeriesAnswer(key="alone_h", name="buys alone", kind="bar", values=hours("alone_h")),
            SeriesAnswer(key="added_h", name="adds to those before", kind="bar", values=hours("added_h")),
            SeriesAnswer(key="left_h", name="left if it falls", kind="bar", values=hours("left_h")),
        ],
    )
