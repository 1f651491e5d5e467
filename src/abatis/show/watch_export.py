"""The folder watch/ of a study: posts, border and seen cells as tables, GeoPackage and map."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import shapely

from abatis.ground.hexgrid import build_hexgrid, find_corners
from abatis.model.storage import write_folder_whole, write_text_whole
from abatis.model.study import hash_study
from abatis.model.watched import WATCH_FOLDER, Watched, write_watched
from abatis.show.basemap import prepare_base_map
from abatis.show.beside import pack_tables
from abatis.show.layer_styles import FIXED_TIME, write_layer_styles
from abatis.show.report.watch import build_watch_page
from abatis.show.styles import grade_cells, make_line, make_marker, write_rules, write_style
from abatis.show.tables import Table, clean_json
from abatis.show.watch import Progress, WatchResults, assign_fronts
from abatis.show.watch_air_maps import draw_air_map, draw_share_map
from abatis.show.watch_answer import WatchAnswer
from abatis.show.watch_maps import draw_watch_map
from abatis.watch.catalogue import hash_watch_tables

SEEN_CLASSES = (
    (1.0, 1.5, "#a1dab4", "seen by one"),
    (1.5, 2.5, "#41b6c4", "seen by two"),
    (2.5, 1e6, "#225ea8", "seen by three or more"),
)
TREE_CLASSES = (
    (0.0, 1.0, "#fee6ce", "under 1 ha"),
    (1.0, 10.0, "#fdae6b", "1 to 10 ha"),
    (10.0, 1e6, "#e6550d", "over 10 ha"),
)
STYLES = {
    "seen_cells": grade_cells("seen_by", SEEN_CLASSES, "Cells by how many posts see them with the plan."),
    "border_km": write_style(
        write_rules(
            [
                ('"seen_by" = 0', "not seen", make_line("0", "#b2182b", 0.7)),
                ('"seen_by" > 0', "seen with the plan", make_line("1", "#1b7837", 0.9)),
            ]
        ),
        note="Border with hostile ground in pieces of a kilometre.",
    ),
    "posts": write_style(
        write_rules(
            [
                ("\"state\" = 'stands'", "stands", make_marker("0", "triangle", "#444444", 2.6)),
                ("\"state\" = 'renewed'", "renewed", make_marker("1", "triangle", "#d55e00", 2.6)),
                ("\"state\" = 'lost'", "lost", make_marker("2", "cross", "#b2182b", 2.6)),
                ("\"state\" = 'new'", "new", make_marker("3", "triangle", "#0072b2", 3.0)),
            ]
        ),
        note="Posts that stand and posts of the plan.",
    ),
    "air_ways": write_style(
        write_rules(
            [
                ('"height_m" <= 50', "least-seen way up to 50 m", make_line("0", "#7f0000", 0.5)),
                ('"height_m" > 50', "least-seen way above 50 m", make_line("1", "#fc8d59", 0.9)),
            ]
        ),
        note="Ways of low flights on which they are noticed least, by front, objective and height.",
    ),
    "trees": grade_cells("clearing_ha", TREE_CLASSES, "Kept trees in sight lines by cell, hectares."),
}
KINDS = {
    "seen_cells": "Polygon", "border_km": "LineString", "posts": "Point", "air_ways": "LineString",
    "trees": "Polygon",
}  # fmt: skip
MAIN_LAYERS = ("seen_cells", "border_km", "posts")


def write_watch(answer: WatchAnswer, tables: dict[str, Table], report: bool, progress: Progress) -> Path:
    """Write STUDY/watch (STUDY/watch_low_air for that target) whole or not at all; returns the folder.

    Files: `watch.json` (all tables and the study's fingerprint), `posts.csv`, `border.csv`, `seen.parquet`
    (seen by how many, and detection, by cell with the plan), `watch.gpkg`, `coverage.png`, and with `report`
    the page `report.html`; without it an earlier page is dropped. The solver reads `seen.parquet` to know
    which barriers are watched, so it is written for targets on the ground only.
    """
    results = answer.results
    on_ground = results.settings.target != "low_air"
    folder = results.study.folder / (WATCH_FOLDER if on_ground else f"{WATCH_FOLDER}_low_air")
    planned = results.plan.planned
    with write_folder_whole(folder, ("report.html",)) as part:
        progress("writing the watch", 0.0)
        kept = {
            "study_hash": hash_study(results.study),
            "tables_hash": hash_watch_tables(results.study),
            "target": results.settings.target,
            "plan": results.settings.plan,
            **pack_tables(tables),
        }
        text = json.dumps(clean_json(kept), indent=1, ensure_ascii=False) + "\n"
        write_text_whole(part / "watch.json", text)
        write_text_whole(part / "posts.csv", _format_rows(list(tables["posts"].rows)))
        write_text_whole(part / "border.csv", _format_rows(list_border_rows(results)))
        if on_ground:
            write_watched(part, results.mesh, Watched(planned.seen_by, planned.detection))
        write_watch_geopackage(part / "watch.gpkg", answer, tables["posts"])
        progress("map of the watch", 0.5)
        base = prepare_base_map(results.study, results.mesh)
        coverage = draw_watch_map(results, base)
        (part / "coverage.png").write_bytes(coverage.png)
        if report:
            maps = [draw_share_map(answer, base), coverage, draw_air_map(answer, base)]
            page = build_watch_page(answer, tables, [one for one in maps if one is not None])
            write_text_whole(part / "report.html", page)
    progress("writing the watch", 1.0)
    return folder


def list_border_rows(results: WatchResults) -> list[dict[str, object]]:
    """One row for each kilometre of border: place, front, weight, and by how many posts it is seen."""
    pieces, plan = results.pieces, results.plan
    fronts = assign_fronts(results.study, results.mesh, pieces)
    return [
        {
            "piece": number + 1,
            "front": fronts[number],
            "lon": round(float(pieces.lon[number]), 5),
            "lat": round(float(pieces.lat[number]), 5),
            "length_km": round(float(pieces.length_km[number]), 4),
            "weight": round(float(results.border_weight[number]), 8),
            "seen_today_by": int(plan.today.border_by[number]),
            "left_alone_by": int(plan.left_alone.border_by[number]),
            "seen_by": int(plan.planned.border_by[number]),
        }
        for number in range(pieces.count)
    ]


def write_watch_geopackage(path: Path, answer: WatchAnswer, posts: Table) -> None:
    """Write the layers of the watch with their QGIS styles; same results, same bytes.

    In words: `seen_cells`, `border_km` and `posts`; `air_ways`, the least-seen ways of low flights; `trees`,
    cells with kept trees in sight lines. The last two are left out when there are none.
    """
    results = answer.results
    layers = {
        "seen_cells": _list_cells(results),
        "border_km": _list_border(results),
        "posts": _list_posts(posts),
        "air_ways": _list_air_ways(answer),
        "trees": _list_trees(answer),
    }
    layers = {name: frame for name, frame in layers.items() if len(frame) or name in MAIN_LAYERS}
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": FIXED_TIME})
    try:
        for name, frame in layers.items():
            pyogrio.write_dataframe(
                frame, path, layer=name, driver="GPKG", geometry_type=KINDS[name], append=path.exists(),
                use_arrow=True,
            )  # fmt: skip
        write_layer_styles(path, STYLES, layers)
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})


def _list_cells(results: WatchResults) -> gpd.GeoDataFrame:
    mesh, plan = results.mesh, results.plan
    rows = np.flatnonzero((plan.planned.seen_by > 0) | (plan.today.seen_by > 0) | (results.cell_weight > 0))
    corners, cell_corner = find_corners(build_hexgrid(np.asarray(mesh.cells)), np.asarray(mesh.neighbor))
    return gpd.GeoDataFrame(
        {
            "h3": [f"{int(cell):x}" for cell in mesh.cells[rows]],
            "seen_today_by": plan.today.seen_by[rows],
            "left_alone_by": plan.left_alone.seen_by[rows],
            "seen_by": plan.planned.seen_by[rows],
            "detection": np.round(plan.planned.detection[rows], 4),
            "weight": results.cell_weight[rows],
        },
        geometry=shapely.polygons(corners[cell_corner[rows]]),
        crs=4326,
    )


def _list_air_ways(answer: WatchAnswer) -> gpd.GeoDataFrame:
    """Least-seen ways by front, objective and height."""
    mesh, rows, lines = answer.results.mesh, [], []
    for one in answer.picture.corridors:
        if one.corridor is None or len(one.corridor.cells) < 2:
            continue
        cells = one.corridor.cells
        lines.append(shapely.LineString(np.column_stack([mesh.lon[cells], mesh.lat[cells]])))
        rows.append(
            {
                "front": one.front,
                "objective": one.objective,
                "height_m": one.height_m,
                "chance": round(one.corridor.chance, 6),
                "single_chance": round(one.corridor.single_chance, 6),
                "length_km": round(one.corridor.length_m / 1000, 3),
            }
        )
    return gpd.GeoDataFrame(_stack(rows), geometry=lines, crs=4326)


def _list_trees(answer: WatchAnswer) -> gpd.GeoDataFrame:
    """Cells with kept trees in sight lines."""
    mesh = answer.results.mesh
    found = answer.conflict.cells if answer.conflict is not None else ()
    corners, cell_corner = find_corners(build_hexgrid(np.asarray(mesh.cells)), np.asarray(mesh.neighbor))
    rows = [
        {
            "h3": f"{int(mesh.cells[one.cell]):x}",
            "clearing_ha": round(one.clearing_ha, 4),
            "reasons": ", ".join(one.reasons),
        }
        for one in found
    ]
    shapes = [shapely.Polygon(corners[cell_corner[one.cell]]) for one in found]
    return gpd.GeoDataFrame(_stack(rows), geometry=shapes, crs=4326)


def _list_border(results: WatchResults) -> gpd.GeoDataFrame:
    lines = gpd.GeoSeries(list(results.pieces.shapes), crs=results.ground.grid.crs).to_crs(4326)
    return gpd.GeoDataFrame(_stack(list_border_rows(results)), geometry=lines.to_numpy(), crs=4326)


def _list_posts(posts: Table) -> gpd.GeoDataFrame:
    columns = _stack([dict(row) for row in posts.rows])
    if not columns:
        columns = {"state": [], "lon": [], "lat": []}
    points = gpd.points_from_xy(columns["lon"], columns["lat"])
    return gpd.GeoDataFrame(columns, geometry=points, crs=4326)


def _stack(rows: Sequence[Mapping[str, object]]) -> dict[str, list[object]]:
    return {key: [row[key] for row in rows] for key in (rows[0] if rows else ())}


def _format_rows(rows: Sequence[Mapping[str, object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if rows:
        writer.writerow(list(rows[0]))
        writer.writerows(["" if value is None else value for value in row.values()] for row in rows)
    return text.getvalue()
