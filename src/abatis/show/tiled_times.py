"""Arrival times of a study through tiles: only the tiles that changed since the last time are redone."""

from __future__ import annotations

import numpy as np

from abatis.ground.fronts import find_front_cells, find_objective_cell
from abatis.ground.overlay import (
    Overlay,
    cut_tiles,
    fill_tiles,
    measure_tiles,
    open_overlay,
    search_overlay,
)
from abatis.ground.speeds import compute_edge_times
from abatis.model.mesh import Mesh
from abatis.model.study import Study
from abatis.show.results import Progress
from abatis.show.tables import Column, Table

FOLDER = "overlay"


def tabulate_tiled_times(
    study: Study, mesh: Mesh, approach: str, resolution: int, progress: Progress
) -> Table:
    """Tabulate the least hours of every approach (or one), computed tile by tile.

    Parameters
    ----------
    approach : key of one approach, or empty for all.
    resolution : H3 resolution of the tiles, coarser than the mesh.
    progress : callback (stage, share done).

    In words: each vehicle and season has its tiles in `overlay/VEHICLE-SEASON` of the study. Tiles whose
    edges take the same hours as before are kept as they are. The search runs over what the tiles share, and
    only the tiles that hold cells of the front are filled.
    """
    rows = []
    ready: dict[tuple[str, str], tuple[Overlay, int]] = {}
    chosen = [
        row for _, row in study.tables["approaches"].iterrows() if not approach or row["approach"] == approach
    ]
    for index, row in enumerate(chosen):
        progress("arrival times in tiles", index / len(chosen))
        key = (str(row["vehicle"]), str(row["season"]))
        if key not in ready:
            times = compute_edge_times(study, mesh, *key)
            folder = study.folder / FOLDER / "-".join(key)
            cut_tiles(mesh, times.time_h, folder, resolution)
            redone = measure_tiles(folder)
            ready[key] = (open_overlay(folder), redone)
        overlay, redone = ready[key]
        front = find_front_cells(study, mesh, row["front"])
        objective = find_objective_cell(study, mesh, row["objective"])
        hours, filled = _find_arrival(overlay, front, mesh.cells[[objective]])
        rows.append(
            {
                "approach": row["approach"],
                "name": row["name"],
                "vehicle": key[0],
                "season": key[1],
                "hours": hours,
                "tiles": overlay.tiles.size,
                "redone": redone,
                "filled": filled,
                "memory_mib": overlay.count_bytes() / 2**20,
            }
        )
    progress("arrival times in tiles", 1.0)
    columns = (
        Column("approach", "key"),
        Column("name", "approach"),
        Column("vehicle", "vehicle"),
        Column("season", "season"),
        Column("hours", "least time [h]", ".2f"),
        Column("tiles", "tiles", ",.0f"),
        Column("redone", "measured now", ",.0f"),
        Column("filled", "filled", ",.0f"),
        Column("memory_mib", "overlay [MiB]", ",.1f"),
    )
    return Table("Arrival times without barriers, in tiles", columns, tuple(rows))


def _find_arrival(overlay: Overlay, front: np.ndarray, objective: np.ndarray) -> tuple[float, int]:
    """Return the least hours between the front's rows and the objective, and the number of tiles filled."""
    reach = search_overlay(overlay, objective)
    held = np.searchsorted(overlay.first, front, side="right") - 1
    numbers = np.unique(held).tolist()
    least = np.inf
    for number, times in zip(numbers, fill_tiles(overlay, reach, numbers), strict=True):
        least = min(least, float(times[front[held == number] - overlay.first[number]].min()))
    return least, len(numbers)
