"""Lines of sight on elevation rasters: what one post sees, and how many of many posts see each place.

Method. A place is seen when the straight line from the post's eye to the target's top passes over every point
of the profile between the two cell centres. The profile is taken where the line crosses rows (or columns, if
it runs more east-west than north-south), linear between the two neighbouring centres. Heights are lowered by

    drop = (1 - refraction) d^2 / (2 R),  R = 6,378,137 m

In words: the Earth curves away under the line, and air bends light and radar back by the share `refraction`.

Tracing each line by itself costs thousands of steps for each place. Instead the lines of one quadrant are put
into wedges, each at most one cell wide at the last ring. Swept outwards, a wedge carries the least and the
most horizon that any line in it can have: at each ring the profile inside a wedge is linear but for at most
one cell centre, so the heights at its two sides and at that centre bound it. A place above the most is seen,
one below the least is hidden; the few in between (0.01 to 0.6 % on real relief) are settled by their own
exact line, which looks only at blocks of 32 rings whose most could hide them. Groups of wedges in which even
the highest place of a block stays below the least horizon are passed over. So the result is that of exact
lines.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numba
import numpy as np

from abatis.model.errors import Fault, InputError, SizeError
from abatis.watch._exact_sight import trace_lines
from abatis.watch._sight import (
    HIDDEN,
    MOST_RINGS,
    OUTSIDE,
    VISIBLE,
    Place,
    Reach,
    Relief,
    count_posts,
    find_tile_most,
    mark_outside,
    sweep_post,
)

__all__ = ["HIDDEN", "OUTSIDE", "VISIBLE", "Post", "View", "compute_viewshed", "count_views", "trace_cells"]

EARTH_RADIUS_M = 6_378_137.0
REFRACTION = 1.0 / 7.0
VOID_M = -10_000.0
FANS_PER_QUADRANT = 8
WINDOWS_PER_THREAD = 8
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Post:
    """A post in the centre of a cell, its eye `height_m` above the ground there, not above trees or roofs."""

    row: int
    column: int
    height_m: float


@dataclass(frozen=True)
class View:
    """What is looked for and how far.

    Parameters
    ----------
    target_height_m : height of targets above the ground, m.
    range_m : distance up to which is looked, m; infinite: to the edge of the raster.
    refraction : share of the Earth's curvature that refraction takes back; 1/7 for light, 1 for a flat Earth.
    from_deg, to_deg : sector looked at, clockwise from grid north; the whole circle when 360 apart.
    """

    target_height_m: float
    range_m: float = math.inf
    refraction: float = REFRACTION
    from_deg: float = 0.0
    to_deg: float = 360.0

    @property
    def whole(self) -> bool:
        """Whether the sector is the whole circle."""
        return self.to_deg - self.from_deg == 360.0

    def list_faults(self) -> list[Fault]:
        """Name what is wrong with the settings; an empty list when all is well."""
        faults = []
        if not (math.isfinite(self.target_height_m) and self.target_height_m >= 0):
            faults.append(
                _tell("target height", self.target_height_m, "at least 0", "give metres above ground")
            )
        if not self.range_m > 0:
            faults.append(_tell("range", self.range_m, "more than 0", "give metres, or none for no limit"))
        if not -1 <= self.refraction <= 1:
            faults.append(
                _tell("refraction", self.refraction, "-1 to 1", "1/7 for light, 1 for a flat Earth")
            )
        if not (math.isfinite(self.from_deg) and math.isfinite(self.to_deg)):
            faults.append(_tell("sector", f"{self.from_deg} to {self.to_deg}", "two numbers", "give degrees"))
        elif not self.whole and (self.to_deg - self.from_deg) % 360.0 == 0:
            faults.append(
                _tell("sector", f"{self.from_deg} to {self.to_deg}", "wider than 0", "0 360 is all")
            )
        return faults


def compute_viewshed(relief: Relief, post: Post, view: View) -> np.ndarray:
    """Compute what one post sees: uint8[rows, columns] of VISIBLE 255, HIDDEN 0, OUTSIDE 1 (range, sector).

    Parameters
    ----------
    relief : heights in metres on a metric grid, see `build_relief`.
    post : cell and height of the eye.
    view : target height, range, refraction, sector.

    In words: see the head of this module. Memory beside input and result: the blocks of 32 rings at work and
    the bounds of the wedges, less than one byte for each place of a raster of some million cells.

    Raises
    ------
    InputError : a post outside the raster, on a void, below ground; a setting out of bounds.
    SizeError : more than 32,767 cells from the post to the edge or the range.

    Examples
    --------
    A wall of 10 m, two cells from a post of 2 m: behind it nothing on the ground is seen, a mast of 30 m is.

    >>> height = np.zeros((1, 6), np.float32); height[0, 2] = 10
    >>> relief = build_relief(height, 100.0, 100.0)
    >>> compute_viewshed(relief, Post(0, 0, 2.0), View(0.0))
    array([[255, 255, 255, 0, 0, 0]], dtype=uint8)
    >>> compute_viewshed(relief, Post(0, 0, 2.0), View(30.0, range_m=400.0))
    array([[255, 255, 255, 255, 255, 1]], dtype=uint8)
    """
    seen = np.zeros(relief.surface.shape, np.uint8)
    sweep_view(relief, post, view, seen)
    return seen


def sweep_view(relief: Relief, post: Post, view: View, seen: np.ndarray) -> int:
    """Compute a viewshed into `seen` uint8[rows, columns], which must be all HIDDEN; it may lie in a file.

    Returns how many places were settled by their own sight line. Otherwise as `compute_viewshed`.
    """
    check_posts(relief, [post], view)
    place = Place(post.row, post.column, float(relief.ground[post.row, post.column]) + post.height_m)
    unsure = sweep_post(relief, place, _make_reach(view), FANS_PER_QUADRANT, seen, (0, 0))
    if not view.whole or math.isfinite(view.range_m):
        mark_outside(seen, (0, 0), place, relief, view.range_m, _make_sector(view), int(OUTSIDE))
    return int(unsure)


def count_views(
    relief: Relief,
    posts: Sequence[Post],
    view: View,
    progress: Progress | None = None,
    counts: np.ndarray | None = None,
) -> np.ndarray:
    """Count how many posts see each place: uint32[rows, columns], exact.

    Parameters
    ----------
    relief, view : as for `compute_viewshed`.
    posts : cells and heights of the eyes; a post named twice counts twice.
    progress : callback (stage, share done).
    counts : uint32[rows, columns] to add to, which may lie in a file; a new one when left out.

    In words: each thread sweeps whole posts, each in a window as large as the range, and the windows are
    added in turn. Where a window for each thread would take more than two bytes per place of the raster, all
    threads work on one post at a time.

    Raises
    ------
    InputError, SizeError : as for `compute_viewshed`, for all posts at once.

    Examples
    --------
    >>> relief = build_relief(np.zeros((1, 5), np.float32), 100.0, 100.0)
    >>> count_views(relief, [Post(0, 0, 2.0), Post(0, 4, 2.0)], View(0.0, range_m=200.0))
    array([[1, 1, 2, 1, 1]], dtype=uint32)
    """
    check_posts(relief, posts, view)
    counts = np.zeros(relief.surface.shape, np.uint32) if counts is None else counts
    rows, columns = relief.surface.shape
    # One cell more than the range on each side, so that no rounding leads out of a window.
    height = min(rows, 2 * int(min(view.range_m / relief.height_m, rows)) + 3)
    width = min(columns, 2 * int(min(view.range_m / relief.width_m, columns)) + 3)
    threads = min(numba.get_num_threads(), max(len(posts), 1))
    size = min(2 * rows * columns // (height * width), WINDOWS_PER_THREAD * threads)
    if size < threads:
        _count_one_by_one(relief, posts, view, counts, progress)
        return counts
    windows = np.empty((size, height, width), np.uint8)
    places = np.array([(post.row, post.column) for post in posts], np.int64).reshape(-1, 2)
    eyes_m = relief.ground[places[:, 0], places[:, 1]] + np.array([post.height_m for post in posts])
    reach, sector = _make_reach(view), _make_sector(view)
    for first in range(0, len(posts), size):
        some = slice(first, min(first + size, len(posts)))
        count_posts(relief, places[some], eyes_m[some], reach, sector, view.whole, windows, counts)
        if progress is not None:
            progress("count views", some.stop / len(posts))
    return counts


def _count_one_by_one(
    relief: Relief, posts: Sequence[Post], view: View, counts: np.ndarray, progress: Progress | None
) -> None:
    seen = np.empty(counts.shape, np.uint8)
    for index, post in enumerate(posts):
        seen[:] = HIDDEN
        sweep_view(relief, post, view, seen)
        counts += seen == VISIBLE
        if progress is not None:
            progress("count views", (index + 1) / len(posts))


def trace_cells(relief: Relief, post: Post, view: View, cells: np.ndarray) -> np.ndarray:
    """Say for some cells whether the post sees them, each by its own sight line: bool[n]; without range.

    Parameters
    ----------
    relief, post, view : as for `compute_viewshed`.
    cells : int64[n, 2], rows and columns.

    In words: the plain definition at the head of this module, step by step; the tests and the benchmark
    compare the fast answer with it.

    Examples
    --------
    >>> height = np.zeros((1, 6), np.float32); height[0, 2] = 10
    >>> relief = build_relief(height, 100.0, 100.0)
    >>> trace_cells(relief, Post(0, 0, 2.0), View(0.0), np.array([[0, 2], [0, 3]]))
    array([ True, False])
    """
    check_posts(relief, [post], view)
    eye_m = float(relief.ground[post.row, post.column]) + post.height_m
    sizes = (relief.width_m, relief.height_m)
    found = trace_lines(
        relief.surface, relief.ground, (post.row, post.column, eye_m), np.asarray(cells, np.int64), sizes,
        float(view.target_height_m), _make_reach(view).curve_per_m,
    )  # fmt: skip
    return np.asarray(found)


def build_relief(
    ground: np.ndarray,
    width_m: float,
    height_m: float,
    cover: np.ndarray | None = None,
    surface: np.ndarray | None = None,
) -> Relief:
    """Put heights together: the ground, and the surface of trees and buildings on it that hides.

    Parameters
    ----------
    ground : float32[rows, columns], metres, row 0 in the north; NaN where unknown (a void).
    width_m, height_m : size of a cell east-west and north-south, m.
    cover : height of trees and buildings above ground, m, same shape, at least 0; none when left out.
    surface : float32 array that ground + cover is written into, cover itself if it may be lost; a new one
        when left out.

    In words: sight lines run over ground + cover, but the mast stands on the ground and so do targets; a
    target lower than the cover in its own cell is hidden. A void counts as ground 10 km below the sea: it
    hides nothing.

    Raises
    ------
    InputError : shapes differ, cover is negative, nothing is known.

    Examples
    --------
    >>> relief = build_relief(np.zeros((1, 3)), 50.0, 50.0, np.array([[20.0, 0.0, 12.0]]))
    >>> relief.surface
    array([[20., 0., 12.]], dtype=float32)
    >>> compute_viewshed(relief, Post(0, 0, 25.0), View(2.0))
    array([[255, 255, 0]], dtype=uint8)
    """
    faults = []
    if ground.ndim != 2 or not ground.size:
        faults.append(Fault(f"elevation has the shape {ground.shape}", remedy="give rows and columns"))
    if not (width_m > 0 and height_m > 0):
        faults.append(Fault(f"cells of {width_m} x {height_m} m", remedy="give sizes above 0"))
    heights = ground if ground.dtype == np.float32 else ground.astype(np.float32)
    if cover is not None and cover.shape != ground.shape:
        faults.append(
            Fault(
                f"cover has the shape {cover.shape}, elevation {ground.shape}", remedy="align the two first"
            )
        )
    elif cover is not None and cover.size and not float(np.min(cover)) >= 0:
        faults.append(
            Fault("cover is below 0 or unknown in places", remedy="give metres above ground, 0 for none")
        )
    if faults:
        raise InputError(faults)
    tile_most = find_tile_most(heights)
    if np.isnan(tile_most).any():
        heights = np.where(np.isnan(heights), np.float32(VOID_M), heights)
        tile_most = find_tile_most(heights)
    if float(np.max(tile_most)) <= VOID_M:
        raise InputError(
            [Fault("elevation is void everywhere", remedy="give a raster with heights in metres")]
        )
    if cover is None:
        return Relief(heights, heights, tile_most, False, float(width_m), float(height_m))
    surface = np.add(heights, cover, out=surface, dtype=np.float32)
    return Relief(surface, heights, find_tile_most(surface), True, float(width_m), float(height_m))


def check_posts(relief: Relief, posts: Sequence[Post], view: View) -> None:
    """Raise InputError with all faults of posts and settings, SizeError when the raster is too wide."""
    faults = view.list_faults()
    rows, columns = relief.surface.shape
    for number, post in enumerate(posts, 1):
        name = f"post {number}" if len(posts) > 1 else "post"
        if not (0 <= post.row < rows and 0 <= post.column < columns):
            remedy = f"rows are 0 to {rows - 1}, columns 0 to {columns - 1}"
            faults.append(
                Fault(f"row {post.row}, column {post.column} is outside the raster", name, None, "", remedy)
            )
        elif relief.ground[post.row, post.column] <= VOID_M:
            faults.append(
                Fault("stands where the height is unknown", name, None, "", "move it or fill the void first")
            )
        if not (math.isfinite(post.height_m) and post.height_m >= 0):
            faults.append(
                Fault(f"is {-post.height_m} m below ground", name, None, "observer height", "give at least 0")
            )
    if faults:
        raise InputError(faults)
    far = max((max(p.row, rows - 1 - p.row, p.column, columns - 1 - p.column) for p in posts), default=0)
    cells = min(far, view.range_m / min(relief.width_m, relief.height_m))
    if cells > MOST_RINGS:
        raise SizeError(
            f"{cells:.0f} cells outwards from the post, at most {MOST_RINGS} can be swept: shorten the range"
        )


def _tell(name: str, value: object, wanted: str, remedy: str) -> Fault:
    return Fault(f"is {value} but must be {wanted}", "", None, name, remedy)


def _make_reach(view: View) -> Reach:
    curve_per_m = (1.0 - view.refraction) / (2.0 * EARTH_RADIUS_M)
    return Reach(float(view.target_height_m), float(view.range_m), curve_per_m)


def _make_sector(view: View) -> tuple[float, float, float, float, bool]:
    first, last = math.radians(view.from_deg), math.radians(view.to_deg)
    wide = view.whole or (view.to_deg - view.from_deg) % 360.0 > 180.0
    return math.sin(first), math.cos(first), math.sin(last), math.cos(last), wide
