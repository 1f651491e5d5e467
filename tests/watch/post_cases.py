"""Small grounds, sensors and choices for the tests of posts."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from pyproj import CRS

from abatis.watch.border import SAMPLES, BorderPieces
from abatis.watch.catalogue import Sensor
from abatis.watch.ground_raster import WatchGrid, WatchGround
from abatis.watch.posts import PostOptions
from abatis.watch.seen import Outlook, SeenCells, SeenPoints, join_points

PIXEL_M = 100.0


def make_sensor(
    key="camera", kind="camera_tower", mast_m=10.0, reach_m=1_000.0, cost=100.0, **more
) -> Sensor:
    values = {
        "cost_low_eur": cost, "cost_eur": cost, "cost_high_eur": cost, "upkeep_eur_per_year": 1.0,
        "life_years": 10.0, "range_m": {"vehicle": reach_m}, "detection_probability": 0.8,
        "false_alarms_per_day": 1.0, "weather_factor": 0.5, "source": "test", "tag": "G",
    } | more  # fmt: skip
    return Sensor(key, key, kind, mast_m, **values)


def make_ground(elevation, cell, canopy=None, water=None) -> WatchGround:
    """Ground from heights (None for none) and rows of cells, by hand."""
    cell = np.asarray(cell, np.int32)
    grid = WatchGrid(CRS.from_epsg(3346), 500_000.0, 6_000_000.0, PIXEL_M, *cell.shape)
    counted = cell >= 0
    if water is not None:
        counted &= ~np.asarray(water, bool)
    pixels = np.bincount(cell[counted], minlength=int(cell.max()) + 1)
    heights = None if elevation is None else np.asarray(elevation, np.float32)
    canopy = np.zeros(cell.shape) if canopy is None else canopy
    return WatchGround(grid, heights, np.asarray(canopy, np.float32), cell, counted, pixels, ())


def make_pieces(pixels) -> BorderPieces:
    """Pieces of border whose ten samples lie in given pixels: a list of lists of (row, column)."""
    row = np.array([[one[0] for one in piece] for piece in pixels], np.int64).reshape(-1, SAMPLES)
    column = np.array([[one[1] for one in piece] for piece in pixels], np.int64).reshape(-1, SAMPLES)
    nothing = np.zeros(len(pixels))
    return BorderPieces(np.ones(len(pixels)), nothing, nothing, np.full(len(pixels), None), row, column)


def make_choice(seed: int, options: int = 9, points: int = 25, places: int = 5):
    """A random choice: options with rivals, what they see (cells only), and weights."""
    random = np.random.default_rng(seed)
    place = random.integers(0, places, options).astype(np.int32)
    kinds = random.choice(["camera_tower", "ground_radar"], options)
    cost = random.integers(1, 9, options).astype(float)
    post = np.full(options, -1, np.int32)
    post[0] = 0
    fixed = post >= 0
    cost[fixed] = 0.0
    sensors = tuple(make_sensor(f"s{n}", str(kind), cost=cost[n]) for n, kind in enumerate(kinds))
    outlooks = tuple(Outlook(0, 0, one) for one in sensors)
    lists = [np.flatnonzero(random.random(points) < 0.3).astype(np.int32) for _ in range(options)]
    cells = join_points(lists)
    none = join_points([np.zeros(0, np.int32)] * options)
    weight = random.integers(1, 10, points).astype(float)
    return (
        PostOptions(place, sensors, post, cost, fixed, outlooks),
        SeenCells("vehicle", cells, none, 0),
        weight,
    )


def try_all(
    options: PostOptions, cells: SeenPoints, weight: np.ndarray, budget_eur: float, times: int
) -> float:
    """Most weight that any allowed choice covers, by trying every one of them."""
    free = np.flatnonzero(~options.fixed).tolist()
    sees = np.zeros((options.count, len(weight)), int)
    for one in range(options.count):
        sees[one, cells.take(one)] = 1
    best = -1.0
    for size in range(len(free) + 1):
        for some in combinations(free, size):
            owners = [(options.place[o], options.sensor[o].kind) for o in some if options.post[o] < 0]
            if len(set(owners)) < len(owners) or options.cost_eur[list(some)].sum() > budget_eur:
                continue
            taken = [*np.flatnonzero(options.fixed).tolist(), *some]
            best = max(best, float(weight[sees[taken].sum(axis=0) >= times].sum()))
    return best
