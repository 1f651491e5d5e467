"""The view of the watch: the kept result of `abatis watch` with its layers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import shapely

from abatis.model.errors import InputError
from abatis.model.plan import read_plan
from abatis.model.study import Study, hash_study
from abatis.model.watched import WATCH_FOLDER
from abatis.show.app.answers.tables import answer_table
from abatis.show.app.answers.views import (
    AxisAnswer,
    ChartAnswer,
    FeaturesAnswer,
    JobKind,
    SeriesAnswer,
    ViewAnswer,
    tell_missing,
)
from abatis.show.app.views.shapes import collect, collect_frame, make_feature, read_layers
from abatis.show.beside import unpack_tables
from abatis.show.tables import Table
from abatis.watch.catalogue import hash_watch_tables

SEEN_WORDS = {1: "seen by one", 2: "seen by two", 3: "seen by three or more"}
MOST_ROWS = 200
JOB: JobKind = "watch"


def read_watch(study: Study) -> ViewAnswer:
    """Read the watch result of a study: tables, layers and charts.

    In words: a result of another state of the study or of its posts and sensors is not shown.
    """
    folder = study.folder / WATCH_FOLDER
    try:
        kept = json.loads((folder / "watch.json").read_text(encoding="utf-8"))
        tables = unpack_tables(kept)
        states = kept["study_hash"], kept["tables_hash"]
    except FileNotFoundError:
        return tell_missing(JOB, "What posts see was not computed yet.")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return tell_missing(JOB, "The file watch/watch.json is damaged.")
    if states != (hash_study(study), hash_watch_tables(study)):
        return tell_missing(JOB, "The watch was computed from another state of the study.")
    return ViewAnswer(
        made=True,
        job=JOB,
        notes=_list_notes(study, kept),
        tables={key: answer_table(_trim(table)) for key, table in tables.items()},
        features=_read_features(folder / "watch.gpkg"),
        charts={"border": chart_border(tables["border"]), "warning": chart_warning(tables["warning"])},
    )


def _list_notes(study: Study, kept: Mapping[str, Any]) -> list[str]:
    notes = [f"target: {kept.get('target', '')}; plan: {kept.get('plan') or 'none'}"]
    name = str(kept.get("plan") or "")
    if name:
        try:
            plan = read_plan(study.folder / "plans" / name)
        except InputError:
            return [*notes, f"plan {name} is no longer there"]
        notes.append(f"plan {name} costs {plan.cost_eur:,.0f} EUR and holds {plan.value_h:.2f} h")
    return notes


def _trim(table: Table) -> Table:
    """Leave out lists of cells, which only the map needs, and the tail of long tables."""
    kept = {column.key for column in table.columns}
    rows = tuple(
        {key: value for key, value in row.items() if key in kept and key != "cells"}
        for row in table.rows[:MOST_ROWS]
    )
    columns = tuple(column for column in table.columns if column.key != "cells")
    note = table.note
    if len(table.rows) > MOST_ROWS:
        note = f"{note} The first {MOST_ROWS} of {len(table.rows)}; watch.json holds all.".strip()
    return Table(table.title, columns, rows, note)


def _read_features(path: Path) -> dict[str, FeaturesAnswer]:
    """Layers of watch.gpkg; seen cells are joined to areas by how many posts see them."""
    try:
        layers = read_layers(path)
    except (OSError, pyogrio.errors.DataSourceError):
        return {}
    found = {key: collect_frame(frame) for key, frame in layers.items() if key != "seen_cells"}
    if "seen_cells" in layers:
        found["seen_areas"] = join_seen(layers["seen_cells"])
    return found


def join_seen(cells: gpd.GeoDataFrame) -> FeaturesAnswer:
    """Join the cells that one, two, three or more posts see into one area each."""
    level = np.minimum(cells["seen_by"].to_numpy(int), max(SEEN_WORDS))
    shapes = cells.geometry.to_numpy()
    return collect(
        make_feature(
            shapely.coverage_union_all(shapes[level == number]),
            {"seen_by": number, "words": words, "cells": int((level == number).sum())},
        )
        for number, words in SEEN_WORDS.items()
        if (level == number).any()
    )


def _pick(rows: Sequence[Mapping[str, Any]], key: str) -> list[float | str | None]:
    return [None if row.get(key) is None else float(row[key]) for row in rows]


def chart_border(border: Table) -> ChartAnswer:
    """Chart kilometres of border seen by front: today, when nothing is done, with the plan."""
    words = {
        "length_km": "border",
        "today_km": "seen today",
        "left_km": "at the end, nothing done",
        "plan_km": "with the plan",
        "twice_km": "by two with the plan",
    }
    return _chart_by_name("Border seen", "front", ("border", "km"), border, words)


def chart_warning(warning: Table) -> ChartAnswer:
    """Chart hours of warning by approach: today, with posts, with posts and the plan's delays."""
    words = {
        "fast_today_h": "fast ways, today",
        "fast_posts_h": "fast ways, with posts",
        "fast_plan_h": "fast ways, with posts and plan",
        "warning_plan_h": "any way, with posts and plan",
    }
    note = "A way that nobody sees gives no warning: 0 h."
    return _chart_by_name("Warning of each approach", "approach", ("warning", "h"), warning, words, note)


def _chart_by_name(
    title: str, caption: str, figure: tuple[str, str], table: Table, words: Mapping[str, str], note: str = ""
) -> ChartAnswer:
    """Chart columns of a table as bars by its column `name`; `words` name them, `figure` has the unit."""
    return ChartAnswer(
        title=title,
        x=AxisAnswer(caption=caption, values=[str(row["name"]) for row in table.rows]),
        y=AxisAnswer(caption=figure[0], unit=figure[1]),
        series=[
            SeriesAnswer(key=key, name=name, kind="bar", values=_pick(table.rows, key))
            for key, name in words.items()
        ],
        note=note,
    )
