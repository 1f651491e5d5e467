"""The low air picture: who would notice a flight at 30, 50, 100 or 300 m, and where it is noticed least.

Planning level: a sensor is a range, a chance to notice within one look, and stated factors. Radars and
cameras look along sight lines over an elevation raster; acoustic and radio nets are ranges. Misses of sensors
and of looks are taken as independent, which flatters the picture: sensors share clutter and weather. So every
corridor is also told with a single look for each post.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from abatis.model.errors import Fault, InputError
from abatis.watch._low_air import FAR, search_ways
from abatis.watch.catalogue import RADAR_KINDS, WatchTerms
from abatis.watch.ground_raster import WatchGround
from abatis.watch.seen import Outlook, look_from, make_relief
from abatis.watch.sight import VISIBLE, View

HEIGHTS_M = (30.0, 50.0, 100.0, 300.0)
LOOK_M = 1000.0
OPEN_BELOW = 0.1
SUREST = 1.0 - 1e-9
# One unit of cost is 2^-32 of a natural logarithm, one of length a millimetre: whole sums are exact.
COST_UNITS = 4_294_967_296.0
LENGTH_UNITS = 1000.0
BATCH = 32
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Looks:
    """Cells that each sensor looks at: rows `cell`[start[k]:start[k+1]] of sensor k and its `chance` there.

    `start` int64[K+1]; `cell` int32[]; `chance` float64[] in one look. `by_range` counts the sensors that
    should look along sight lines but had no elevation raster.
    """

    start: np.ndarray
    cell: np.ndarray
    chance: np.ndarray
    by_range: int = 0

    @property
    def count(self) -> int:
        """Number of sensors."""
        return len(self.start) - 1

    def take(self, sensor: int) -> tuple[np.ndarray, np.ndarray]:
        """Return cells and chances of one sensor."""
        part = slice(int(self.start[sensor]), int(self.start[sensor + 1]))
        return self.cell[part], self.chance[part]


@dataclass(frozen=True)
class AirGraph:
    """Cells and the ways between them.

    `neighbor` int32[N, 6] (-1 none); `step_m` float64[N, 6], length from centre to centre;
    `barred` bool[N]: cells that a corridor may not enter.
    """

    neighbor: np.ndarray
    step_m: np.ndarray
    barred: np.ndarray


@dataclass(frozen=True)
class Corridor:
    """A least-seen way: rows `cells` int32[] from the border to the objective, `length_m`.

    `chance` to be noticed at least once; `single_chance` the same when no post has more than one look, its
    best; `gap` first and last place in `cells` of the longest open stretch, `gap_m` long (None, 0: none).
    """

    cells: np.ndarray
    length_m: float
    chance: float
    single_chance: float
    gap: tuple[int, int] | None
    gap_m: float


def find_looks(
    ground: WatchGround,
    outlooks: Sequence[Outlook],
    height_m: float,
    terms: WatchTerms,
    progress: Progress | None = None,
) -> Looks:
    """Find the cells that sensors look at in one height above ground, and the chance to notice there.

    Parameters
    ----------
    ground : pixels with heights, canopy and cells.
    outlooks : sensors at places; each must have a range for low air.
    height_m : height of flights above the ground, m.
    terms : refraction of light and radar.
    progress : callback (stage, share done).

    chance = chance of the sensor (weather included) x share of the cell's pixels that are seen.
    In words: a cell half hidden by a hill is noticed half as often. Cameras and radars look along exact sight
    lines, acoustic and radio nets by range alone, as in `find_seen`; but every share counts, however small.
    No sensor is taken as surer than 1 - 1e-9. Range is the distance on the map, not the slant to the height.

    Raises
    ------
    InputError : a height below 0; sensors without a range for low air; all at once.
    """
    _check_looks(outlooks, height_m)
    cells = [np.empty(0, np.int32)] * len(outlooks)
    chances = [np.empty(0)] * len(outlooks)
    relief, by_height, done = make_relief(ground), ground.elevation is not None, 0
    for batch in _list_batches(outlooks):
        first = outlooks[batch[0]]
        sensor = first.sensor
        refraction = terms["refraction_radar" if sensor.kind in RADAR_KINDS else "refraction_camera"].value
        view = View(height_m, sensor.range_m["low_air"], refraction, first.from_deg, first.to_deg)
        pixels = np.array([(outlooks[one].row, outlooks[one].column) for one in batch], np.int64)
        by_sight = sensor.needs_sight and by_height
        corners, windows = look_from(relief, pixels, sensor.mast_height_m, view, by_sight)
        for one, (top, left), window in zip(batch, corners, windows, strict=True):
            part = np.s_[top : top + window.shape[0], left : left + window.shape[1]]
            hit = ground.cell[part][(window == VISIBLE) & ground.counted[part]]
            cells[one], pixels_seen = np.unique(hit, return_counts=True)
            chances[one] = pixels_seen / ground.cell_pixels[cells[one]]
            chances[one] *= min(outlooks[one].sensor.chance, SUREST)
        done += len(batch)
        if progress is not None:
            progress("look at the low air", done / len(outlooks))
    start = np.cumsum([0, *(one.size for one in cells)]).astype(np.int64)
    by_range = 0 if by_height else sum(one.sensor.needs_sight for one in outlooks)
    joined = np.concatenate([np.empty(0, np.int32), *cells]).astype(np.int32)
    return Looks(start, joined, np.concatenate([np.empty(0), *chances]), by_range)


def _list_batches(outlooks: Sequence[Outlook]) -> list[list[int]]:
    """Outlooks of alike sensors and the same sector, some at a time: they are swept together."""
    groups: dict[tuple[str | float, ...], list[int]] = {}
    for number, one in enumerate(outlooks):
        sensor = one.sensor
        alike = (sensor.kind, sensor.mast_height_m, sensor.range_m["low_air"], one.from_deg, one.to_deg)
        groups.setdefault(alike, []).append(number)
    return [
        group[first : first + BATCH] for group in groups.values() for first in range(0, len(group), BATCH)
    ]


def _check_looks(outlooks: Sequence[Outlook], height_m: float) -> None:
    faults = [
        Fault(f"sensor '{key}' finds nothing in low air", "tables/sensors.csv", column="range_low_air_m")
        for key in dict.fromkeys(one.sensor.key for one in outlooks if "low_air" not in one.sensor.range_m)
    ]
    if not (math.isfinite(height_m) and height_m >= 0):
        problem = f"is {height_m:g} m but must be at least 0"
        faults.append(Fault(problem, column="height", remedy="give metres above ground"))
    if faults:
        raise InputError(faults)


def compute_detection(count: int, looks: Looks, used: Sequence[int] | None = None) -> np.ndarray:
    """Return float64[N], the chance that at least one sensor notices a flight over each cell in one look.

    Parameters
    ----------
    count : number of cells N.
    looks : from `find_looks`.
    used : sensors that count; all when None.

    detection = 1 - product over sensors of (1 - chance). In words: it goes unseen when all miss, each on its
    own.

    Examples
    --------
    Two sensors of 0.5 over cell 0, one of them over cell 1 too:

    >>> looks = Looks(np.array([0, 2, 3]), np.array([0, 1, 0]), np.array([0.5, 0.5, 0.5]))
    >>> compute_detection(3, looks)
    array([0.75, 0.5 , 0.  ])
    """
    miss = np.ones(count)
    for sensor in range(looks.count) if used is None else used:
        cell, chance = looks.take(sensor)
        miss[cell] *= 1.0 - chance
    return 1.0 - miss


def find_corridors(
    graph: AirGraph, detection: np.ndarray, sources: np.ndarray, targets: Sequence[int], looks: Looks,
    look_m: float = LOOK_M, open_below: float = OPEN_BELOW,
) -> tuple[Corridor | None, ...]:  # fmt: skip
    """Find for each target the way from the sources on which a flight is least likely to be noticed.

    Parameters
    ----------
    graph : cells and steps between neighbours.
    detection : float64[N], chance to be noticed over a cell in one look, from `compute_detection`.
    sources : rows of cells where ways begin (hostile cells at the border).
    targets : rows of cells where they end.
    looks : for the chance with one look per post.
    look_m : length of the way that one look takes, m.
    open_below : a cell with less detection than this is open.

    cost of a step from a to b = length / look_m x (h(a) + h(b)) / 2 with h = -log(1 - detection);
    chance = 1 - exp(-cost of the way).
    In words: the chance to pass unseen is the product over the way's cells of the chance that all sensors
    miss, each cell counted by the length of the way in it: over cells of 1 km with looks of 1 km, once per
    cell. The least sum of costs is the greatest such product. Equal ways: the shortest. Cells are taken as
    independent looks. No sensor is taken as surer than 1 - 1e-9, so a way is always found where cells join.

    Returns
    -------
    One corridor per target, None where no way leads there.

    Examples
    --------
    A chain of three cells 1 km apart; only the middle one is watched: half before and half after it.

    >>> graph = AirGraph(np.array([[1, -1, -1, -1, -1, -1], [2, -1, -1, 0, -1, -1], [-1, -1, -1, 1, -1, -1]]),
    ...                  np.full((3, 6), 1000.0), np.zeros(3, bool))
    >>> looks = Looks(np.array([0, 1]), np.array([1]), np.array([0.75]))
    >>> found = find_corridors(graph, compute_detection(3, looks), np.array([0]), [2], looks)[0]
    >>> found.cells.tolist(), round(found.chance, 6), found.single_chance, found.length_m
    ([0, 1, 2], 0.75, 0.75, 2000.0)
    """
    cost, run, before = search_least(graph, find_weight(detection), sources, -1, look_m)
    found: list[Corridor | None] = []
    for target in targets:
        if cost[target] == FAR:
            found.append(None)
            continue
        cells = trace_back(before, int(target))
        single = measure_single(len(detection), looks, cells, share_way(graph, cells) / look_m)
        gap, gap_m = _find_gap(cells, run, detection, open_below)
        chance = 0.0 - math.expm1(-float(cost[target]) / COST_UNITS)
        found.append(Corridor(cells, float(run[target]) / LENGTH_UNITS, chance, single, gap, gap_m))
    return tuple(found)


def find_weight(detection: np.ndarray) -> np.ndarray:
    """Return float64[N], -log(1 - detection), the cost of one look; at most that of detection 1 - 1e-9."""
    return np.asarray(-np.log1p(-np.minimum(detection, SUREST)))


def search_least(
    graph: AirGraph, weight: np.ndarray, sources: np.ndarray, target: int, look_m: float = LOOK_M
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return cost and length int64[N] (whole units) and the cell before int32[N] of the least ways.

    Parameters
    ----------
    graph, sources, look_m : as for `find_corridors`.
    weight : float64[N], from `find_weight`.
    target : the search ends there; -1 to reach all cells.
    """
    neighbor = np.ascontiguousarray(graph.neighbor, np.int32)
    count = len(weight)
    cost, run, before = np.empty(count, np.int64), np.empty(count, np.int64), np.empty(count, np.int32)
    starts, step_m = np.asarray(sources, np.int64), np.ascontiguousarray(graph.step_m, np.float64)
    units = float(COST_UNITS), float(LENGTH_UNITS)
    search_ways(
        neighbor, step_m, np.asarray(weight), float(look_m), units, starts, np.asarray(graph.barred), target,
        cost, run, before,
    )  # fmt: skip
    return cost, run, before


def trace_back(before: np.ndarray, target: int) -> np.ndarray:
    """Return int32[], the cells of the way to a target, from its source."""
    cells = [target]
    while before[cells[-1]] >= 0:
        cells.append(int(before[cells[-1]]))
    return np.array(cells[::-1], np.int32)


def share_way(graph: AirGraph, cells: np.ndarray) -> np.ndarray:
    """Return float64[n], metres of a way in each of its cells: half of the step before and of that after.

    Examples
    --------
    >>> graph = AirGraph(np.array([[1, -1, -1, -1, -1, -1], [-1, -1, -1, 0, -1, -1]]), np.full((2, 6), 900.0),
    ...                  np.zeros(2, bool))
    >>> share_way(graph, np.array([0, 1]))
    array([450., 450.])
    """
    sides = (graph.neighbor[cells[:-1]] == cells[1:, None]).argmax(axis=1)
    halves = graph.step_m[cells[:-1], sides] / 2.0
    return np.concatenate([halves, [0.0]]) + np.concatenate([[0.0], halves])


def measure_single(count: int, looks: Looks, cells: np.ndarray, parts: np.ndarray) -> float:
    """Return the chance to be noticed on a way when no sensor has more than one look, its best one.

    Parameters
    ----------
    count : number of cells of the mesh.
    looks : as for `find_corridors`.
    cells, parts : a way's cells, and the looks (length / look_m) that it stays in each.

    1 - exp(-sum over sensors of min(sum of parts x h, greatest h)), h = -log(1 - chance of the sensor).
    In words: all looks of one sensor fail together, sensors fail each on its own.

    Examples
    --------
    >>> looks = Looks(np.array([0, 2]), np.array([0, 1]), np.array([0.5, 0.8]))
    >>> round(measure_single(3, looks, np.array([0, 1, 2]), np.array([0.5, 1.0, 0.5])), 9)
    0.8
    """
    part = np.zeros(count)
    part[cells] = parts
    total = 0.0
    for sensor in range(looks.count):
        cell, chance = looks.take(sensor)
        weight = find_weight(chance)
        most = float(np.max(weight[part[cell] > 0], initial=0.0))
        total += min(float(part[cell] @ weight), most)
    return 0.0 - math.expm1(-total)


def _find_gap(
    cells: np.ndarray, run: np.ndarray, detection: np.ndarray, open_below: float
) -> tuple[tuple[int, int] | None, float]:
    """Longest stretch of a way over open cells: places of its first and last cell, and its length."""
    best: tuple[int, int] | None = None
    best_m, first = -1.0, None
    for place, cell in enumerate(cells):
        if detection[cell] >= open_below:
            first = None
            continue
        first = place if first is None else first
        long_m = float(run[cell] - run[cells[first]]) / LENGTH_UNITS
        if long_m > best_m:
            best, best_m = (first, place), long_m
    return best, max(best_m, 0.0)
