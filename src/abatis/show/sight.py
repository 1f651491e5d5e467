"""What `abatis sight` does: read a raster, compute what posts see, write it on the raster's own grid."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import RasterioError

from abatis.model.errors import Fault, InputError
from abatis.show.tables import Column, Table
from abatis.watch.rasters import (
    OUTSIDE_COUNT,
    Terrain,
    blank_voids,
    list_strips,
    locate_posts,
    make_array,
    read_terrain,
    write_marks,
)
from abatis.watch.sight import HIDDEN, OUTSIDE, VISIBLE, Progress, View, count_views, sweep_view

COLUMNS = (Column("what", "what"), Column("value", "value", ",.10g"))


@dataclass(frozen=True)
class SightSettings:
    """What is looked at: elevation `raster`, GeoTIFF `out` to write, height of eyes, `view`, posts, `cover`.

    One post stands at `x`, `y` on the map; or `posts` is a file of many, and those that see a place are
    counted. `cover` is the height of trees and buildings on the same grid, or None.
    """

    raster: Path
    out: Path
    observer_height_m: float
    view: View
    x: float | None = None
    y: float | None = None
    posts: Path | None = None
    cover: Path | None = None


def map_sight(settings: SightSettings, progress: Progress) -> Table:
    """Write what posts see and return its summary.

    Parameters
    ----------
    settings : what is looked at. The result is 255 seen, 0 not, nodata 1; or counts for a file of posts.
    progress : callback (stage, share done).

    Raises
    ------
    InputError, SizeError : every fault of the settings; see `abatis.watch`.
    """
    points, view, counted = _read_checked(settings), settings.view, settings.posts is not None
    progress("read", 0.0)
    terrain = read_terrain(settings.raster, settings.cover)
    posts = locate_posts(terrain, points, settings.observer_height_m)
    progress("sight", 0.0)
    if counted:
        marks = make_array(terrain.relief.surface.shape, np.uint32, terrain.scratch)
        count_views(terrain.relief, posts, view, progress, marks)
        nodata = OUTSIDE_COUNT
    else:
        marks = make_array(terrain.relief.surface.shape, np.uint8, terrain.scratch)
        sweep_view(terrain.relief, posts[0], view, marks)
        nodata = int(OUTSIDE)
    blank_voids(terrain, marks, nodata)
    progress("write", 0.9)
    write_marks(settings.out, terrain, marks, nodata)
    return _summarize(terrain, marks, counted, len(posts))


def _read_checked(settings: SightSettings) -> list[tuple[float, float]]:
    """Return x and y of the posts, or name every fault of the settings with its option."""
    faults = [fault for path in (settings.raster, settings.cover) if path for fault in _try_raster(path)]
    height_m = settings.observer_height_m
    if not (math.isfinite(height_m) and height_m >= 0):
        remedy = "give metres above ground, at least 0"
        faults.append(Fault(f"is {height_m:g}", column="--observer-height", remedy=remedy))
    faults += [
        replace(fault, column=f"--{fault.column.replace(' ', '-')}") for fault in settings.view.list_faults()
    ]
    if settings.out.suffix.lower() not in (".tif", ".tiff"):
        faults.append(Fault("is not a GeoTIFF", str(settings.out), remedy="give a name that ends in .tif"))
    points: list[tuple[float, float]] = []
    given = settings.x is not None, settings.y is not None
    if given not in ((True, True), (False, False)) or any(given) == (settings.posts is not None):
        faults.append(Fault("give --x and --y, or --posts", remedy="one post, or a file of posts"))
    elif settings.posts is None:
        points = [(float(settings.x or 0.0), float(settings.y or 0.0))]
    else:
        try:
            points = read_points(settings.posts)
        except InputError as error:
            faults += error.faults
    if faults:
        raise InputError(faults)
    return points


def _try_raster(path: Path) -> list[Fault]:
    """Say whether a raster can be opened at all, before any other fault ends the work."""
    try:
        with rasterio.open(path):
            return []
    except RasterioError as error:
        return [Fault(f"cannot be read as a raster: {error}", str(path), remedy="give a GeoTIFF")]


def read_points(path: Path) -> list[tuple[float, float]]:
    """Read posts from a CSV file with the columns x and y.

    Raises
    ------
    InputError : no such file, columns missing, none in it, or every value that is not a number.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle, strict=True)
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError([Fault(f"cannot be read: {error}", str(path), remedy="give a CSV file")]) from error
    if not rows or not {"x", "y"} <= set(rows[0][1]):
        raise InputError(
            [Fault("holds no posts", str(path), remedy="give the columns x and y, one post a row")]
        )
    points, faults = [], []
    for number, row in rows:
        pair = []
        for name in ("x", "y"):
            try:
                value = float(row[name] or "")
            except ValueError:
                value = math.nan
            if not math.isfinite(value):
                faults.append(Fault(f"is {row[name]!r}", str(path), number, name, "give metres on the map"))
            pair.append(value)
        points.append((pair[0], pair[1]))
    if faults:
        raise InputError(faults)
    return points


def _summarize(terrain: Terrain, marks: np.ndarray, counted: bool, posts: int) -> Table:
    seen = looked = twice = most = 0
    for window in list_strips(*marks.shape):
        strip = marks[window.row_off : window.row_off + window.height]
        if counted:
            strip = np.where(strip == OUTSIDE_COUNT, 0, strip)
            seen += int((strip > 0).sum())
            twice += int((strip > 1).sum())
            most = max(most, int(strip.max()))
        else:
            seen += int((strip == VISIBLE).sum())
            looked += int(((strip == VISIBLE) | (strip == HIDDEN)).sum())
    cell_km2 = terrain.relief.width_m * terrain.relief.height_m / 1e6
    rows = [{"what": "posts", "value": posts}, {"what": "seen [km2]", "value": round(seen * cell_km2, 3)}]
    if counted:
        rows.append({"what": "seen by two or more [km2]", "value": round(twice * cell_km2, 3)})
        rows.append({"what": "most posts that see one place", "value": most})
    else:
        rows.append({"what": "in range [km2]", "value": round(looked * cell_km2, 3)})
        rows.append({"what": "share seen", "value": round(seen / max(looked, 1), 6)})
    rows.append({"what": "cells without height", "value": terrain.voids})
    return Table(f"Sight on {terrain.path.name}", COLUMNS, tuple(rows), "a cell without height hides nothing")
