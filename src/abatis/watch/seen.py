"""What each sensor at each place sees: cells of the mesh and kilometres of border."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from abatis.model.errors import Fault, InputError
from abatis.watch._seen import see_windows
from abatis.watch._sight import Reach, Relief
from abatis.watch.border import SAMPLES, BorderPieces
from abatis.watch.catalogue import RADAR_KINDS, Sensor, WatchTerms
from abatis.watch.ground_raster import WatchGround
from abatis.watch.sight import (
    EARTH_RADIUS_M,
    HIDDEN,
    VISIBLE,
    VOID_M,
    Post,
    View,
    build_relief,
    check_posts,
)

BATCH = 64

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Outlook:
    """One sensor at one place: pixel `row`, `column`, and its sector in degrees clockwise from north."""

    row: int
    column: int
    sensor: Sensor
    from_deg: float = 0.0
    to_deg: float = 360.0


@dataclass(frozen=True)
class SeenPoints:
    """Points seen by each of n outlooks: `point[start[k]:start[k + 1]]` int32 by outlook k, rising."""

    start: np.ndarray
    point: np.ndarray

    @property
    def count(self) -> int:
        """Number of outlooks."""
        return len(self.start) - 1

    def take(self, outlook: int) -> np.ndarray:
        """Points that one outlook sees, int32[]."""
        return np.asarray(self.point[self.start[outlook] : self.start[outlook + 1]])


@dataclass(frozen=True)
class SeenCells:
    """What n outlooks see of one target class: `cells` of the mesh and pieces of the `border`.

    `by_range` counts the outlooks that should need a line of sight but had no elevation.
    """

    target: str
    cells: SeenPoints
    border: SeenPoints
    by_range: int


def find_seen(
    ground: WatchGround,
    pieces: BorderPieces,
    outlooks: Sequence[Outlook],
    target: str,
    terms: WatchTerms,
    progress: Progress | None = None,
) -> SeenCells:
    """Find the cells and the pieces of border that every outlook sees.

    Parameters
    ----------
    ground : pixels with heights and cells.
    pieces : pieces of the border with their sample points.
    outlooks : sensors at places; each must find the target class.
    target : person, vehicle or low_air.
    terms : refraction of light and radar, height of the target, seen_share.
    progress : callback (stage, share done).

    Formula: a cell is seen when (pixels seen) / (pixels of its land) >= seen_share, a kilometre of border
    when that share of its ten sample points is seen.
    In words: cameras and radars look along exact sight lines over ground, trees and houses, up to their
    range; light is bent by k = 0.13 of the Earth's curvature, radar by a quarter. Sound and radio nets are
    taken by range alone, and so is every sensor when the study has no elevation (`by_range` says how many).
    Shares are counted by outlook: two that see a third of a cell each do not see it together.

    Raises
    ------
    InputError : an unknown target, or outlooks whose sensor does not find it.
    """
    _check_target(outlooks, target)
    report = progress or (lambda _stage, _share: None)
    least, by_height = terms["seen_share"].value, ground.elevation is not None
    relief = make_relief(ground)
    cells = [np.zeros(0, np.int32)] * len(outlooks)
    border = [np.zeros(0, np.int32)] * len(outlooks)
    done = 0
    for batch in _list_batches(outlooks):
        first = outlooks[batch[0]]
        view = make_view(first, target, terms)
        pixels = np.array([(outlooks[one].row, outlooks[one].column) for one in batch], np.int64)
        by_sight = first.sensor.needs_sight and by_height
        corners, windows = look_from(relief, pixels, first.sensor.mast_height_m, view, by_sight)
        for one, corner, window in zip(batch, corners, windows, strict=True):
            seen = window == VISIBLE
            cells[one] = _count_cells(ground, corner, seen, least)
            border[one] = _count_border(pieces, corner, seen, least)
        done += len(batch)
        report("what posts see", done / len(outlooks))
    blind = 0 if by_height else sum(one.sensor.needs_sight for one in outlooks)
    return SeenCells(target, join_points(cells), join_points(border), blind)


def measure_shares(
    ground: WatchGround, outlooks: Sequence[Outlook], target: str, terms: WatchTerms
) -> np.ndarray:
    """Measure for every cell the share of its land that at least one of some outlooks sees, float64[N].

    Parameters
    ----------
    ground, outlooks, target, terms : as for `find_seen`.

    Formula: share = pixels of the cell's land that any outlook sees / pixels of its land.
    In words: unlike the choice of posts, which asks every sensor for half of a cell on its own, this joins
    what all of them see. Cells without land have 0.

    Raises
    ------
    InputError : an unknown target, or outlooks whose sensor does not find it.
    """
    _check_target(outlooks, target)
    relief, by_height = make_relief(ground), ground.elevation is not None
    seen = np.zeros(ground.grid.shape, bool)
    for batch in _list_batches(outlooks):
        first = outlooks[batch[0]]
        pixels = np.array([(outlooks[one].row, outlooks[one].column) for one in batch], np.int64)
        view = make_view(first, target, terms)
        by_sight = first.sensor.needs_sight and by_height
        corners, windows = look_from(relief, pixels, first.sensor.mast_height_m, view, by_sight)
        for (top, left), window in zip(corners, windows, strict=True):
            seen[top : top + window.shape[0], left : left + window.shape[1]] |= window == VISIBLE
    hit = np.bincount(ground.cell[seen & ground.counted], minlength=len(ground.cell_pixels))
    return np.asarray(hit / np.maximum(ground.cell_pixels, 1))


def make_view(outlook: Outlook, target: str, terms: WatchTerms) -> View:
    """What an outlook looks for and how far."""
    radar = outlook.sensor.kind in RADAR_KINDS
    refraction = terms["refraction_radar" if radar else "refraction_camera"].value
    height_m = terms[f"height_{target}_m"].value
    return View(height_m, outlook.sensor.range_m[target], refraction, outlook.from_deg, outlook.to_deg)


def make_relief(ground: WatchGround) -> Relief:
    """Heights as sight lines need them; all zero when the study has no elevation."""
    pixel_m = ground.grid.pixel_m
    if ground.elevation is None:
        return build_relief(np.zeros(ground.grid.shape, np.float32), pixel_m, pixel_m)
    return build_relief(ground.elevation, pixel_m, pixel_m, ground.canopy)


def look_from(
    relief: Relief, pixels: np.ndarray, eye_m: float, view: View, by_sight: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Look from some posts: corners int64[k, 2] and windows uint8[k, height, width], VISIBLE where seen.

    Parameters
    ----------
    relief : heights.
    pixels : int64[k, 2], row and column of the posts.
    eye_m : height of the eyes above ground.
    view : target, range, refraction and sector, the same for all.
    by_sight : whether sight lines count; otherwise all pixels in range and sector are seen.

    In words: a window holds the range and one pixel more, moved inside the raster at its edge. A pixel
    without height is never seen along sight lines.

    Raises
    ------
    InputError : posts outside the raster or on a void, settings out of bounds.

    Examples
    --------
    >>> relief = build_relief(np.array([[0.0, 0.0, 50.0, 0.0, 0.0]]), 100.0, 100.0)
    >>> corners, windows = look_from(relief, np.array([[0, 0]]), 10.0, View(2.0, 300.0), True)
    >>> corners.tolist(), windows[0].tolist()
    ([[0, 0]], [[255, 255, 255, 0, 0]])
    >>> look_from(relief, np.array([[0, 0]]), 10.0, View(2.0, 300.0), False)[1][0].tolist()
    [[255, 255, 255, 255, 0]]
    """
    check_posts(relief, [Post(int(row), int(column), eye_m) for row, column in pixels], view)
    shape = np.array(relief.ground.shape)
    reach = math.ceil(min(view.range_m / relief.width_m, float(shape.max()))) + 1
    size = np.minimum(2 * reach + 1, shape)
    corners = np.clip(pixels - reach, 0, shape - size)
    windows = np.empty((len(pixels), *size), np.uint8)
    reach_of = Reach(
        float(view.target_height_m), float(view.range_m), (1.0 - view.refraction) / (2.0 * EARTH_RADIUS_M)
    )
    see_windows(relief, pixels, corners, float(eye_m), reach_of, _make_sector(view), by_sight, windows)
    if by_sight:
        for (top, left), window in zip(corners, windows, strict=True):
            part = relief.ground[top : top + size[0], left : left + size[1]]
            window[part <= VOID_M] = HIDDEN
    return corners, windows


def _make_sector(view: View) -> tuple[float, float, float, float, bool]:
    """Directions of a sector as the kernels take them: sines, cosines, wider than half a circle."""
    first, last = math.radians(view.from_deg), math.radians(view.to_deg)
    wide = view.whole or (view.to_deg - view.from_deg) % 360.0 > 180.0
    return math.sin(first), math.cos(first), math.sin(last), math.cos(last), wide


def _list_batches(outlooks: Sequence[Outlook]) -> list[list[int]]:
    """Outlooks of the same sensor and sector, some at a time."""
    groups: dict[tuple[str, float, float], list[int]] = {}
    for number, one in enumerate(outlooks):
        groups.setdefault((one.sensor.key, one.from_deg, one.to_deg), []).append(number)
    return [
        group[first : first + BATCH] for group in groups.values() for first in range(0, len(group), BATCH)
    ]


def count_seen_by(points: SeenPoints, alive: np.ndarray, count: int) -> np.ndarray:
    """Count by how many of some outlooks each point is seen, int32[count].

    Parameters
    ----------
    points : what n outlooks see.
    alive : bool[n], the outlooks that count.
    count : number of points.

    Examples
    --------
    >>> seen = SeenPoints(np.array([0, 2, 3]), np.array([0, 1, 1], np.int32))
    >>> count_seen_by(seen, np.array([True, True]), 3).tolist()
    [1, 2, 0]
    """
    entries = np.repeat(alive, np.diff(points.start))
    return np.bincount(points.point[entries], minlength=count).astype(np.int32)


def combine_chances(points: SeenPoints, alive: np.ndarray, chance: np.ndarray, count: int) -> np.ndarray:
    """Probability that at least one of some outlooks finds a target at each point, float64[count].

    Formula: 1 - product over outlooks that see the point of (1 - chance).
    In words: who crosses a cell that counts as seen comes into sight on the way, so its sensors have their
    full chance. Sensors miss independently of each other, which flatters them: fog is common to all.

    Examples
    --------
    >>> seen = SeenPoints(np.array([0, 2, 3]), np.array([0, 1, 1], np.int32))
    >>> combine_chances(seen, np.array([True, True]), np.array([0.5, 0.5]), 3).tolist()
    [0.5, 0.75, 0.0]
    """
    entries = np.repeat(alive, np.diff(points.start))
    each = np.repeat(chance, np.diff(points.start))[entries]
    missed = np.ones(count)
    np.multiply.at(missed, points.point[entries], 1.0 - each)
    return 1.0 - missed


def _check_target(outlooks: Sequence[Outlook], target: str) -> None:
    faults = [
        Fault(f"sensor '{key}' does not find {target}", "tables/sensors.csv", column=f"range_{target}_m")
        for key in dict.fromkeys(one.sensor.key for one in outlooks if target not in one.sensor.range_m)
    ]
    if faults:
        raise InputError(faults)


def _count_cells(ground: WatchGround, corner: np.ndarray, seen: np.ndarray, least: float) -> np.ndarray:
    window = np.s_[corner[0] : corner[0] + seen.shape[0], corner[1] : corner[1] + seen.shape[1]]
    hit = ground.cell[window][seen & ground.counted[window]]
    cells, pixels = np.unique(hit, return_counts=True)
    share = pixels / ground.cell_pixels[cells]
    return np.asarray(cells[share >= least], np.int32)


def _count_border(pieces: BorderPieces, corner: np.ndarray, seen: np.ndarray, least: float) -> np.ndarray:
    row, column = pieces.row - corner[0], pieces.column - corner[1]
    inside = (row >= 0) & (column >= 0) & (row < seen.shape[0]) & (column < seen.shape[1])
    inside &= pieces.row >= 0
    near = np.flatnonzero(inside.any(axis=1))
    hit = np.zeros((len(near), SAMPLES), bool)
    part = inside[near]
    hit[part] = seen[row[near][part], column[near][part]]
    return np.asarray(near[hit.mean(axis=1) >= least], np.int32)


def join_points(parts: Sequence[np.ndarray]) -> SeenPoints:
    """Put the points that each outlook sees, int32[] each, one after the other.

    Examples
    --------
    >>> join_points([np.array([4, 7]), np.array([], np.int32)]).start.tolist()
    [0, 2, 2]
    """
    start = np.zeros(len(parts) + 1, np.int64)
    start[1:] = np.cumsum([len(part) for part in parts])
    return SeenPoints(start, np.concatenate([np.zeros(0, np.int32), *parts]).astype(np.int32))
