"""Land cover of 100 km x 100 km at 10 m counted per cell, beside exactextract and labels from h3ronpy."""

from __future__ import annotations

import resource
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from rasterio.windows import Window

from _national import CLASSES, EAST_KM, MIDDLE, NORTH_KM, write_clouds
from abatis.ground.gaps import EdgeGeometry
from abatis.ground.hexgrid import HexGrid, build_hexgrid, cover_polygon
from abatis.ground.layers import Layers
from abatis.ground.outline import Ground
from abatis.ground.pixels import PixelGrid
from abatis.ground.rivers import RiverLines
from abatis.ground.roads import RoadStretches
from abatis.ground.sources import Area
from abatis.ground.sources.rasters import RasterFile
from abatis.ground.sources.vectors import empty_layer
from abatis.ground.tiling.counting import TileResult, count_tile
from abatis.ground.tiling.inputs import TileCutter, TileInput
from abatis.ground.tiling.run import TileRun
from abatis.ground.tiling.squares import cut_squares
from abatis.ground.tiling.stack import stack_pixels
from abatis.ground.tiling.stretches import lay_stretches
from abatis.model.words import COVER_WORDS

HALF_KM, RESOLUTION = 50.0, 9
# Side in pixels of the part that the peers count; their rate does not depend on it.
PART = 2000


def _prepare(path: Path) -> tuple[HexGrid, TileCutter]:
    """Cut the ground of a raster into tiles that know its land cover only."""
    with rasterio.open(path) as raster:
        own, rows, columns = raster.transform, raster.height, raster.width
    grid = PixelGrid(own.c, own.f, own.a, -own.e, rows, columns)
    box = shapely.box(own.c, own.f + rows * own.e, own.c + columns * own.a, own.f)
    cells = build_hexgrid(cover_polygon(box, RESOLUTION))
    geometry = EdgeGeometry(cells)
    nothing = ("landcover_areas", "forest", "wetland", "built_up", "water", "soil", "protected", "population")
    words = {code: word for code, word, _ in CLASSES}
    rasters = {"landcover": [RasterFile(path, words)], "elevation": [], "soil": []}
    layers = Layers(vectors={name: empty_layer(name) for name in nothing}, rasters=rasters)
    ground = Ground(("HOME",), np.array([box]), box, Area(*box.bounds), 0.0)
    rivers = RiverLines(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0))
    whole = np.zeros(0, np.int64)
    stretches = RoadStretches(
        whole, np.zeros(0), whole, np.zeros(0), np.zeros(0), whole, (), np.zeros(0, bool)
    )
    reach = 0.577 * float(geometry.distance_m.mean()) / 10
    cutter = TileCutter(
        cut_squares(grid, cells, geometry, reach), stack_pixels(ground, layers, grid, rivers, 10), cells,
        geometry, lay_stretches([], stretches, grid, 10), np.ones((9, 5), bool), 1, reach,
    )  # fmt: skip
    return cells, cutter


def _drop_edges(tile: TileInput) -> TileInput:
    """Composition alone: the tile without its edges."""
    none = np.zeros(0, np.int32)
    return replace(tile, edge_a=none, edge_b=none, ends=np.zeros((0, 4)))


class _Threads:
    """Counts compositions only, in two threads: the kernels let go of the interpreter."""

    def count(self, tiles: Iterable[TileInput]) -> Iterator[TileResult]:
        """Count tiles without their edges; the edges' answers are filled with nothing."""
        with ThreadPoolExecutor(2) as pool:
            waiting: deque[tuple[int, Future[TileResult]]] = deque()
            for tile in tiles:
                waiting.append((len(tile.ends), pool.submit(count_tile, _drop_edges(tile))))
                if len(waiting) > 3:
                    yield self._fill(*waiting.popleft())
            while waiting:
                yield self._fill(*waiting.popleft())

    def _fill(self, edges: int, answer: Future[TileResult]) -> TileResult:
        none = np.zeros(edges, np.int32)
        return replace(answer.result(), passed=none, seen=none, joined=none.astype(bool))


def _count_by_h3ronpy(path: Path, cells: HexGrid, window: Window) -> tuple[np.ndarray, float]:
    """Counts per cell and word int64[N, 9] of the pixels of a window, each labelled by h3ronpy."""
    from h3ronpy.vector import coordinates_to_cells

    start = time.perf_counter()
    with rasterio.open(path) as raster:
        values, own = raster.read(1, window=window), raster.window_transform(window)
    lon = own.c + (np.arange(values.shape[1]) + 0.5) * own.a
    lat = own.f + (np.arange(values.shape[0]) + 0.5) * own.e
    x, y = np.meshgrid(lon, lat)
    label = coordinates_to_cells(y.ravel(), x.ravel(), np.full(x.size, RESOLUTION, np.uint8))
    label = np.asarray(label).astype(np.uint64)
    place = np.minimum(np.searchsorted(cells.cells, label), len(cells.cells) - 1)
    known = cells.cells[place] == label
    word = np.zeros(256, np.int64)
    for code, name, _ in CLASSES:
        word[code] = COVER_WORDS.index(name)
    pairs = place[known] * len(COVER_WORDS) + word[values.ravel()[known]]
    counts = np.bincount(pairs, minlength=len(cells.cells) * len(COVER_WORDS)).reshape(-1, len(COVER_WORDS))
    return counts, time.perf_counter() - start


def _share_by_exactextract(path: Path, cutter: TileCutter, rows: np.ndarray) -> tuple[np.ndarray, float]:
    """Shares of the words f8[R, 9] in some cells by exactextract."""
    from exactextract import exact_extract

    geometry = cutter.geometry
    shapes = shapely.polygons(geometry.corners[geometry.cell_corner[rows]])
    frame = gpd.GeoDataFrame({"id": np.arange(len(rows))}, geometry=shapes, crs="EPSG:4326")
    start = time.perf_counter()
    found = exact_extract(
        str(path),
        frame,
        ["unique", "frac"],
        output="pandas",
        include_cols=["id"],
        strategy="raster-sequential",
    )
    seconds = time.perf_counter() - start
    shares = np.zeros((len(rows), len(COVER_WORDS)))
    index = {code: COVER_WORDS.index(name) for code, name, _ in CLASSES}
    for row, codes, parts in zip(found["id"], found["unique"], found["frac"], strict=True):
        shares[int(row), [index[int(code)] for code in codes]] = parts
    return shares, seconds


def run() -> list[dict[str, Any]]:
    """Compare rates and counts."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "cover.tif"
        pixels = write_clouds(path, HALF_KM, 10, 1, "classes")
        cells, cutter = _prepare(path)
        seconds = []
        for _ in range(4):
            start, before_s = time.perf_counter(), time.process_time()
            counting = TileRun(cutter, 1, 0, None, lambda share: None)
            cover = counting.count(_Threads()).counts.cover
            seconds.append(time.perf_counter() - start)
            core_s = time.process_time() - before_s
        peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        # The first pass compiles.
        ours = pixels / float(np.median(seconds[1:])) / 1e6
        return [
            *_compare(path, cells, cutter, cover, ours, pixels / core_s / 1e6),
            _describe_memory(peak_gib),
        ]


def _compare(
    path: Path, cells: HexGrid, cutter: TileCutter, cover: np.ndarray, ours: float, core: float
) -> list[dict[str, Any]]:
    middle = round(HALF_KM * 100) - PART // 2
    window = Window(middle, middle, PART, PART)
    counts, h3_s = _count_by_h3ronpy(path, cells, window)
    # Cells whose pixels all lie in the window: those as full there as in the whole raster.
    x_km, y_km = (cells.lon - MIDDLE[0]) * EAST_KM, (cells.lat - MIDDLE[1]) * NORTH_KM
    reach_km = PART / 200 - 0.5
    inner = np.flatnonzero((np.abs(x_km) < reach_km) & (np.abs(y_km) < reach_km))
    differ = int((counts[inner] != cover[inner]).any(axis=1).sum())
    shares, extract_s = _share_by_exactextract(path, cutter, inner)
    mean = cover[inner] / cover[inner].sum(axis=1, keepdims=True)
    away = 100 * float(np.abs(shares - mean).max())
    rates = (
        ("h3ronpy, every pixel labelled", PART**2 / h3_s / 1e6, f"{differ} of {len(inner):,} cells differ"),
        (
            "exactextract",
            float(cover[inner].sum()) / extract_s / 1e6,
            f"shares differ by up to {away:.2f} points",
        ),
    )
    how = "two threads, median of 3, reading from the file counted"
    first = {
        "name": "composition, two cores", "ours": ours, "peer": None, "ratio": None, "goal": "ours >= 40",
        "unit": "million pixels/s",
        "note": f"100 million pixels into {len(cells.cells):,} cells; {how}; {core:.0f} million per second "
        "of processor time",
    }  # fmt: skip
    others = [
        {
            "name": f"composition against {name}", "ours": ours, "peer": peer, "ratio": ours / peer,
            "goal": "ratio >= 10", "unit": "million pixels/s", "note": told,
        }
        for name, peer, told in rates
    ]  # fmt: skip
    return [first, *others]


def _describe_memory(peak_gib: float) -> dict[str, Any]:
    return {
        "name": "composition, memory", "ours": peak_gib, "peer": None, "ratio": None, "goal": "ours <= 1",
        "unit": "GiB",
        "note": "most resident memory of the process, all libraries and the mesh's tables included",
    }  # fmt: skip


if __name__ == "__main__":
    import json

    for row in run():
        print(json.dumps(row))
