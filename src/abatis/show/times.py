"""Arrival times and avenues of a study without barriers, as tables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from abatis.ground.avenues import find_avenues
from abatis.ground.fronts import find_front_cells, find_objective_cell
from abatis.ground.overlay_tiles import find_parents
from abatis.ground.speeds import compute_edge_times, find_closed_rivers, find_passable
from abatis.ground.travel import compute_times
from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.mesh import Mesh
from abatis.model.study import Study, check_speed_cover
from abatis.model.words import COVER_WORDS, SEASONS
from abatis.show.avenues import name_roads
from abatis.show.results import Progress
from abatis.show.tables import Column, Table


def check_times(study: Study, mesh: Mesh, approach: str, season: str, tiles: int | None) -> None:
    """Check what is asked of the command `times`.

    Parameters
    ----------
    study, mesh : the study and its mesh.
    approach : key of one approach, or empty for all.
    season : season that all approaches are moved to, or empty.
    tiles : H3 resolution of tiles, or None.

    Raises
    ------
    InputError : every fault, each with its option.
    """
    faults: list[Fault] = []
    keys = list(study.tables["approaches"]["approach"])
    if approach and approach not in keys:
        remedy = nearest_word(approach, keys)
        faults.append(Fault(f"there is no approach '{approach}'", column="--approach", remedy=remedy))
    try:
        if season:
            change_season(study, season)
    except InputError as error:
        faults += error.faults
    try:
        if tiles is not None:
            find_parents(mesh.cells[:1], tiles)
    except InputError as error:
        faults += [replace(fault, column="--tiles") for fault in error.faults]
    if faults:
        raise InputError(faults)


def change_season(study: Study, season: str) -> Study:
    """Return the study with all approaches moved to one season.

    Parameters
    ----------
    study : the study.
    season : dry, mud, frozen or thaw.

    Raises
    ------
    InputError : the season is unknown, or speeds of a vehicle are missing in it.
    """
    if season not in SEASONS:
        raise InputError(
            [Fault(f"there is no season '{season}'", column="--season", remedy=nearest_word(season, SEASONS))]
        )
    approaches = study.tables["approaches"].assign(season=season)
    tables = {**study.tables, "approaches": approaches}
    faults = check_speed_cover(tables)
    if faults:
        raise InputError(faults)
    return replace(study, tables=tables)


def tabulate_limits(study: Study, mesh: Mesh, moved: Study) -> Table | None:
    """Say what the mesh cannot show of another season, or return None when it shows all.

    Parameters
    ----------
    study, mesh : the study and its mesh, built for the seasons of its approaches.
    moved : the study in the other season.

    In words: ground and rivers that no approach of the study passes are closed when the mesh is built.
    """
    rows = []
    opened = find_passable(moved) & ~find_passable(study)
    words = [word for word, one in zip(COVER_WORDS, opened.any(axis=1), strict=True) if one]
    if words:
        rows.append({"limit": f"{', '.join(words)} can be passed in this season but is closed in the mesh"})
    river_m = mesh.river_m.astype(np.float64)
    if np.any(find_closed_rivers(study, river_m) & ~find_closed_rivers(moved, river_m)):
        rows.append({"limit": "rivers that can be crossed in this season are closed in the mesh"})
    if not rows:
        return None
    rows.append(
        {"limit": "give an approach of this season and build again; times may be too long until then"}
    )
    return Table("What this mesh cannot show", (Column("limit", ""),), tuple(rows))


def tabulate_times(study: Study, mesh: Mesh, approach: str, progress: Progress) -> Table:
    """Tabulate the least hours of every approach (or one) at low, likely and high speeds.

    Parameters
    ----------
    study, mesh : the study and its mesh.
    approach : key of one approach, or empty for all.
    progress : callback (stage, share done).
    """
    rows = []
    chosen = _select(study, approach)
    for index, row in enumerate(chosen):
        progress("arrival times", index / len(chosen))
        front = find_front_cells(study, mesh, row["front"])
        target = np.array([find_objective_cell(study, mesh, row["objective"])], dtype=np.int32)
        hours = {}
        for level in ("high", "mode", "low"):
            times = compute_edge_times(study, mesh, row["vehicle"], row["season"], level=level)
            hours[level] = float(compute_times(mesh, times.time_h, target)[front].min())
        rows.append(
            {
                "approach": row["approach"],
                "name": row["name"],
                "vehicle": row["vehicle"],
                "season": row["season"],
                "hours": hours["mode"],
                "hours_high_speed": hours["high"],
                "hours_low_speed": hours["low"],
            }
        )
    progress("arrival times", 1.0)
    columns = (
        Column("approach", "key"),
        Column("name", "approach"),
        Column("vehicle", "vehicle"),
        Column("season", "season"),
        Column("hours", "least time [h]", ".2f"),
        Column("hours_high_speed", "at high speeds [h]", ".2f"),
        Column("hours_low_speed", "at low speeds [h]", ".2f"),
    )
    return Table("Arrival times without barriers", columns, tuple(rows))


def tabulate_avenues(study: Study, mesh: Mesh, approach: str, count: int, progress: Progress) -> Table:
    """Tabulate up to `count` well-separated fast routes of every approach (or one)."""
    rows: list[dict[str, Any]] = []
    chosen = _select(study, approach)
    for index, row in enumerate(chosen):
        progress("avenues", index / len(chosen))
        times = compute_edge_times(study, mesh, row["vehicle"], row["season"])
        front = np.asarray(find_front_cells(study, mesh, row["front"]), dtype=np.int32)
        target = find_objective_cell(study, mesh, row["objective"])
        avenues = find_avenues(mesh, times.time_h, front, target, count)
        for number, avenue in enumerate(avenues, start=1):
            start = int(avenue.cells[0])
            rows.append(
                {
                    "approach": row["approach"],
                    "avenue": number,
                    "hours": float(avenue.time_h),
                    "start_lon": round(float(mesh.lon[start]), 3),
                    "start_lat": round(float(mesh.lat[start]), 3),
                    "roads": name_roads(mesh, np.asarray(avenue.cells)),
                }
            )
    progress("avenues", 1.0)
    columns = (
        Column("approach", "approach"),
        Column("avenue", "avenue", ".0f"),
        Column("hours", "time [h]", ".2f"),
        Column("start_lon", "start, longitude [deg]", ".3f"),
        Column("start_lat", "start, latitude [deg]", ".3f"),
        Column("roads", "roads used most"),
    )
    return Table("Avenues without barriers", columns, tuple(rows))


def _select(study: Study, approach: str) -> list[Any]:
    rows = [row for _, row in study.tables["approaches"].iterrows()]
    return [row for row in rows if not approach or row["approach"] == approach]
