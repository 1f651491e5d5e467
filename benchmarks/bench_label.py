"""Labelling pixels with their H3 cell against one H3 call per pixel."""

from __future__ import annotations

import json
import time
from typing import Any

import h3.api.basic_int as h3_int
import numpy as np
import shapely

from abatis.ground.hexgrid import build_hexgrid, cover_polygon, find_corners, find_neighbors, label_window

ROWS, COLUMNS, CHECKED = 3000, 4000, 200_000


def run() -> list[dict[str, Any]]:
    """Measure labels per second at resolutions 8 and 9, and the preparation of a large set of cells."""
    rows = [_compare_labels(resolution) for resolution in (8, 9)]
    start = time.perf_counter()
    cells = cover_polygon(shapely.box(21.0, 53.9, 26.8, 56.45), 9)
    covered = time.perf_counter()
    grid = build_hexgrid(cells)
    built = time.perf_counter()
    neighbor = find_neighbors(grid)
    find_corners(grid, neighbor)
    stop = time.perf_counter()
    rows.append(
        {
            "name": f"prepare {len(cells)} cells", "ours": stop - start, "peer": None, "ratio": None,
            "goal": "ours <= 5", "unit": "s",
            "note": f"cover {covered - start:.2f} s, grid {built - covered:.2f} s, corners "
            f"{stop - built:.2f} s; "
            f"{(grid.fine.nbytes + grid.coarse.nbytes) / len(cells):.0f} bytes per cell for the tables",
        }
    )  # fmt: skip
    return rows


def _compare_labels(resolution: int) -> dict[str, Any]:
    grid = build_hexgrid(cover_polygon(shapely.box(23.5, 54.5, 24.5, 55.5), resolution))
    out = np.empty((ROWS, COLUMNS), np.int32)
    dlon, dlat = 1.2 / COLUMNS, 1.2 / ROWS
    label_window(grid, 23.4, 55.6, dlon, dlat, ROWS, COLUMNS, out)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        label_window(grid, 23.4, 55.6, dlon, dlat, ROWS, COLUMNS, out)
        seconds.append(time.perf_counter() - start)
    ours = ROWS * COLUMNS / float(np.median(seconds)) / 1e6
    random = np.random.default_rng(1)
    i, j = random.integers(0, ROWS, CHECKED), random.integers(0, COLUMNS, CHECKED)
    lon, lat = (23.4 + (j + 0.5) * dlon).tolist(), (55.6 - (i + 0.5) * dlat).tolist()
    start = time.perf_counter()
    asked = [h3_int.latlng_to_cell(y, x, resolution) for x, y in zip(lon, lat, strict=True)]
    peer = CHECKED / (time.perf_counter() - start) / 1e6
    cells = np.array(asked, dtype=np.uint64)
    place = np.minimum(np.searchsorted(grid.cells, cells), len(grid.cells) - 1)
    expected = np.where(grid.cells[place] == cells, place, -1)
    differ = int((expected != out[i, j]).sum())
    return {
        "name": f"label pixels, resolution {resolution}", "ours": ours, "peer": peer, "ratio": ours / peer,
        "goal": "ours >= 40", "unit": "million pixels/s",
        "note": f"one core, median of 5; peer h3.latlng_to_cell; {differ} of {CHECKED} labels differ",
    }  # fmt: skip


if __name__ == "__main__":
    for row in run():
        print(json.dumps(row))
