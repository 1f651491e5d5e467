"""Viewsheds on real relief against gdal_viewshed and GRASS r.viewshed, and against exact sight lines.

The relief is the SRTM file of ../shared/data warped to 60 m in EPSG:3346, 4,500 x 5,000 cells; sea at 0 m.
gdal_viewshed (Debian's gdal-bin) and grass (grass-core) are peers where they are installed.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.warp import Resampling, reproject

from abatis.watch.sight import VISIBLE, Post, View, build_relief, compute_viewshed, count_views, trace_cells

SOURCE = Path(__file__).resolve().parents[2] / "shared" / "data" / "dem_srtm3_suwalki_19_24E_53_56N.tif"
ROWS, COLUMNS, CELL_M = 5000, 4500, 60.0
GRID = from_origin(200_460.0, 6_195_840.0, CELL_M, CELL_M)
POST = Post(2500, 2250, 30.0)
TARGET_M = 2.0
POSTS, RADIUS_CELLS, PEER_POSTS = 10_000, 400, 20


def run() -> list[dict[str, Any]]:
    """Measure one viewshed without limit and to 30 km, its error and memory, and counts over many posts."""
    if not SOURCE.is_file():
        return [
            _row("viewshed", None, None, None, "", "s", f"{SOURCE.name} is missing: nothing was measured")
        ]
    with tempfile.TemporaryDirectory() as folder:
        path = make_relief(Path(folder))
        with rasterio.open(path) as source:
            heights = source.read(1)
        relief = build_relief(heights, CELL_M, CELL_M)
        rows = _measure_single(relief, path)
        rows.append(_measure_range(relief, path))
        rows.append(_measure_memory(heights, Path(folder)))
        rows.append(_measure_counts(relief, path))
    return rows


def make_relief(folder: Path) -> Path:
    """Warp the real raster and return the file."""
    heights = np.full((ROWS, COLUMNS), -32768, np.float32)
    with rasterio.open(SOURCE) as source:
        reproject(
            rasterio.band(source, 1), heights, dst_transform=GRID, dst_crs="EPSG:3346", dst_nodata=-32768,
            resampling=Resampling.bilinear,
        )  # fmt: skip
    heights[heights == -32768] = 0
    path = folder / "relief.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=COLUMNS, height=ROWS, count=1, dtype="float32", crs="EPSG:3346",
        transform=GRID,
    ) as target:  # fmt: skip
        target.write(heights, 1)
    return path


def _row(
    name: str, ours: float | None, peer: float | None, ratio: float | None, goal: str, unit: str, note: str
) -> dict[str, Any]:
    return {
        "name": name, "ours": ours, "peer": peer, "ratio": ratio, "goal": goal, "unit": unit, "note": note
    }  # fmt: skip


def _time(work: Any, repeats: int) -> tuple[float, float]:
    """Median wall and median processor seconds after one warm call."""
    work()
    wall, used = [], []
    for _ in range(repeats):
        start, begun = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - start)
        used.append(time.process_time() - begun)
    return statistics.median(wall), statistics.median(used)


def _call_gdal(path: Path, post: Post, range_m: float) -> tuple[np.ndarray, float, float]:
    """What gdal_viewshed sees, its own user seconds, and wall seconds."""
    out = path.with_name("gdal.tif")
    x, y = GRID @ (post.column + 0.5, post.row + 0.5)
    asked = [
        "gdal_viewshed",
        "-q",
        "-ox",
        str(x),
        "-oy",
        str(y),
        "-oz",
        str(post.height_m),
        "-tz",
        str(TARGET_M),
    ]
    asked += ["-md", str(range_m), "-cc", str(6 / 7), str(path), str(out)]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime, time.perf_counter()
    subprocess.run(asked, check=True, capture_output=True)
    wall = time.perf_counter() - start
    user = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    with rasterio.open(out) as written:
        return written.read(1) == VISIBLE, user, wall


def _measure_single(relief: Any, path: Path) -> list[dict[str, Any]]:
    view = View(TARGET_M)
    wall, used = _time(lambda: compute_viewshed(relief, POST, view), 9)
    seen = compute_viewshed(relief, POST, view) == VISIBLE
    cells = np.argwhere(np.ones(seen.shape, bool))
    start = time.perf_counter()
    exact = trace_cells(relief, POST, view, cells).reshape(seen.shape)
    traced = time.perf_counter() - start
    ours = 100 * float((seen != exact).mean())
    note = f"{ROWS * COLUMNS} cells, {100 * seen.mean():.2f} % seen; two threads; processor {used:.3f} s"
    goals = ("ratio >= 2", "ours <= 0.1")
    name, error = "one viewshed, no limit of range", "cells that differ from exact sight lines"
    if shutil.which("gdal_viewshed") is None:
        note += "; gdal_viewshed is not installed"
        return [
            _row(name, wall, None, None, goals[0], "s", note),
            _row(error, ours, None, None, goals[1], "%", f"all cells; exact lines took {traced:.1f} s"),
        ]
    runs = [_call_gdal(path, POST, 0.0) for _ in range(5)]
    user, peer_wall = (statistics.median(one[k] for one in runs) for k in (1, 2))
    peer = runs[0][0]
    differ = 100 * float((peer != exact).mean())
    shared = float((peer & exact).sum() / (peer | exact).sum())
    return [
        _row(name, wall, user, user / wall, goals[0], "s", f"{note}; peer: user, wall {peer_wall:.2f} s"),
        _row(
            error, ours, differ, None, goals[1], "%",
            f"all cells; exact lines took {traced:.1f} s; gdal_viewshed: of all seen {100 * shared:.1f} % "
            f"is seen by both; {int((peer & ~exact).sum())} more, {int((~peer & exact).sum())} fewer cells",
        ),
    ]  # fmt: skip


def _measure_range(relief: Any, path: Path) -> dict[str, Any]:
    wall, used = _time(lambda: compute_viewshed(relief, POST, View(TARGET_M, 30_000.0)), 9)
    name, note = "one viewshed, 30 km", f"whole raster written; processor {used:.3f} s"
    if shutil.which("grass") is None:
        return _row(name, wall, None, None, "ratio >= 20", "s", f"{note}; GRASS is not installed")
    x, y = GRID @ (POST.column + 0.5, POST.row + 0.5)
    script = (
        f"r.in.gdal -o --q input={path} output=relief && g.region raster=relief && date +start=%s.%N && "
        f"r.viewshed --q -c -r -b input=relief output=seen coordinates={x},{y} "
        f"observer_elevation={POST.height_m} target_elevation={TARGET_M} "
        f"max_distance=30000 memory=4000 refraction_coeff={1 / 7} && date +stop=%s.%N"
    )
    asked = ["grass", "--tmp-location", "EPSG:3346", "--exec", "sh", "-c", script]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    start, stop = (re.search(rf"{word}=([\d.]+)", answer.stdout) for word in ("start", "stop"))
    if start is None or stop is None:
        return _row(
            name, wall, None, None, "ratio >= 20", "s", f"{note}; GRASS failed: {answer.stderr[-200:]}"
        )
    peer = float(stop[1]) - float(start[1])
    note += "; peer r.viewshed -c -r -b, wall of the module alone, one run, all in memory"
    return _row(name, wall, peer, peer / wall, "ratio >= 20", "s", note)


def _measure_memory(heights: np.ndarray, folder: Path) -> dict[str, Any]:
    """Growth of the resident size of a fresh process while it sweeps, input and result already in place."""
    np.save(folder / "relief.npy", heights)
    program = (
        "import re, numpy as np\n"
        "from abatis.watch.sight import Post, View, build_relief, sweep_view\n"
        "status = lambda: open('/proc/self/status').read()\n"
        "def size(word): return 1024 * int(re.search(word + r':\\s+(\\d+)', status())[1])\n"
        f"small = build_relief(np.zeros((50, 50), np.float32), 60.0, 60.0)\n"
        f"sweep_view(small, Post(9, 9, 3.0), View(2.0), np.zeros((50, 50), np.uint8))\n"
        f"relief = build_relief(np.load({str(folder / 'relief.npy')!r}), 60.0, 60.0)\n"
        "seen = np.ones(relief.surface.shape, np.uint8); seen[:] = 0\n"
        "open('/proc/self/clear_refs', 'w').write('5')\n"
        f"before = size('VmRSS'); sweep_view(relief, Post({POST.row}, {POST.column}, {POST.height_m}), "
        f"View({TARGET_M}), seen)\n"
        "print((size('VmHWM') - before) / seen.size)\n"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    used = float(answer.stdout)
    note = "growth of the resident size of a fresh process, input (4 bytes) and result (1 byte) left out"
    return _row("memory of one viewshed", used, None, None, "ours <= 8", "bytes/cell", note)


def _measure_counts(relief: Any, path: Path) -> dict[str, Any]:
    random = np.random.default_rng(1)
    places = zip(
        random.integers(0, ROWS, POSTS).tolist(), random.integers(0, COLUMNS, POSTS).tolist(), strict=True
    )
    posts = [Post(row, column, 30.0) for row, column in places]
    range_m = RADIUS_CELLS * CELL_M
    view = View(TARGET_M, range_m)
    count_views(relief, posts[:4], view)
    start, begun = time.perf_counter(), time.process_time()
    counts = count_views(relief, posts, view)
    wall, used = (time.perf_counter() - start) / POSTS, (time.process_time() - begun) / POSTS
    note = (
        f"{POSTS} posts of {RADIUS_CELLS} cells, per post, on {os.cpu_count()} threads, processor "
        f"{1000 * used:.2f} ms; most posts that see one place: {int(counts.max())}"
    )
    name, goal = "count over many posts, per post", "ratio >= 10"
    if shutil.which("gdal_viewshed") is None:
        return _row(name, 1000 * wall, None, None, goal, "ms", f"{note}; gdal_viewshed is not installed")
    runs = [_call_gdal(path, post, range_m) for post in posts[:PEER_POSTS]]
    user, peer = (statistics.median(one[k] for one in runs) for k in (1, 2))
    note += f"; peer: loop over gdal_viewshed, median wall of {PEER_POSTS}, user {1000 * user:.0f} ms"
    return _row(name, 1000 * wall, 1000 * peer, peer / wall, goal, "ms", note)


if __name__ == "__main__":
    for row in run():
        print(json.dumps(row))
