"""Small ground, planes of hexagons, looks, and plain oracles for the low air picture."""

from __future__ import annotations

import heapq
import math

import numpy as np
from pyproj import CRS

from abatis.watch.catalogue import Sensor, read_terms
from abatis.watch.ground_raster import WatchGrid, WatchGround
from abatis.watch.low_air import AirGraph, Looks

TERMS = read_terms()
STEPS = [(1, 0), (0, 1), (-1, 1), (-1, 0), (0, -1), (1, -1)]


def make_sensor(kind: str = "low_air_radar", **changes) -> Sensor:
    """A sensor that notices low air at 3 km with a chance of 0.8."""
    values = {
        "key": "s", "name": "S", "kind": kind, "mast_height_m": 10.0, "cost_low_eur": 1.0, "cost_eur": 2.0,
        "cost_high_eur": 3.0, "upkeep_eur_per_year": 0.0, "life_years": 10.0, "range_m": {"low_air": 3000.0},
        "detection_probability": 1.0, "false_alarms_per_day": 1.0, "weather_factor": 0.8, "source": "test",
        "tag": "G",
    }  # fmt: skip
    return Sensor(**{**values, **changes})


def make_ground(height: np.ndarray, elevation: bool = True, canopy_m: float = 0.0) -> WatchGround:
    """Ground of 50 m pixels whose cells are squares of 10 x 10 pixels, numbered by rows."""
    rows, columns = height.shape
    grid = WatchGrid(CRS.from_epsg(3346), 500_000.0, 6_100_000.0, 50.0, rows, columns)
    y, x = np.mgrid[:rows, :columns]
    cell = (y // 10 * math.ceil(columns / 10) + x // 10).astype(np.int32)
    canopy = np.full(height.shape, canopy_m, np.float32)
    counted = np.ones(height.shape, bool)
    heights = height.astype(np.float32) if elevation else None
    return WatchGround(grid, heights, canopy, cell, counted, np.bincount(cell.ravel()), ())


def make_hilly(seed: int = 4) -> np.ndarray:
    y, x = np.mgrid[:150, :150]
    return 40 * np.sin(x / 13) * np.cos(y / 17) + np.random.default_rng(seed).normal(0, 3, x.shape)


def make_plane(wide: int, high: int, step_m: float = 1000.0) -> tuple[AirGraph, np.ndarray]:
    """A parallelogram of regular hexagons, and places (a, b) int64[N, 2]."""
    places = [(a, b) for b in range(high) for a in range(wide)]
    row_of = {place: row for row, place in enumerate(places)}
    neighbor = np.array([[row_of.get((a + p, b + q), -1) for p, q in STEPS] for a, b in places], np.int32)
    return AirGraph(neighbor, np.full(neighbor.shape, step_m), np.zeros(len(places), bool)), np.array(places)


def join_looks(parts: list[tuple[list[int], list[float]]]) -> Looks:
    """Looks from cells and chances of each sensor."""
    start = np.cumsum([0, *(len(cell) for cell, _ in parts)])
    cells = np.array([one for cell, _ in parts for one in cell], np.int32)
    chances = np.array([one for _, chance in parts for one in chance], np.float64)
    return Looks(start.astype(np.int64), cells, chances)


def draw_looks(count: int, sensors: int, random: np.random.Generator) -> Looks:
    """Sensors over random cells with random chances."""
    parts = []
    for _ in range(sensors):
        cell = random.choice(count, random.integers(1, max(2, count // 3)), replace=False)
        parts.append((sorted(cell.tolist()), random.uniform(0.1, 0.9, len(cell)).tolist()))
    return join_looks(parts)


def list_ways(graph: AirGraph, sources: list[int], target: int):
    """Every way without a repeated cell, by plain search in depth."""

    def go(way: list[int]):
        if way[-1] == target:
            yield list(way)
            return
        for near in graph.neighbor[way[-1]].tolist():
            if near >= 0 and near not in way and not graph.barred[near]:
                yield from go([*way, near])

    for source in sources:
        yield from go([source])


def miss_way(way: list[int], detection: np.ndarray, step_m: float = 1000.0, look_m: float = 1000.0) -> float:
    """Chance that a way stays unseen: product over cells of misses to the power of the way in them."""
    unseen = 1.0
    for place, cell in enumerate(way):
        halves = (place > 0) + (place < len(way) - 1)
        unseen *= (1.0 - detection[cell]) ** (halves * step_m / 2 / look_m)
    return unseen


def search_plainly(graph: AirGraph, detection: np.ndarray, sources: list[int], target: int) -> float:
    """Least cost by a textbook Dijkstra over floats."""
    weight = [-math.log(1.0 - one) for one in detection]
    best = dict.fromkeys(sources, 0.0)
    heap = [(0.0, one) for one in sources]
    while heap:
        spent, cell = heapq.heappop(heap)
        if cell == target:
            return spent
        if spent > best[cell]:
            continue
        for side, near in enumerate(graph.neighbor[cell].tolist()):
            if near < 0 or graph.barred[near]:
                continue
            total = spent + (weight[cell] + weight[near]) / 2 * graph.step_m[cell, side] / 1000.0
            if total < best.get(near, math.inf):
                best[near] = total
                heapq.heappush(heap, (total, near))
    return math.inf
