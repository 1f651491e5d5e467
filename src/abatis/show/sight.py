"""What `abatis sight` does: read a raster, compute what posts see, write it on the raster's own grid."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np

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


def map_sight(
    raster: Path,
    points: list[tuple[float, float]],
    observer_height_m: float,
    view: View,
    cover: Path | None,
    out: Path,
    counted: bool,
    progress: Progress,
) -> Table:
    """Write what posts see and return its summary.

    Parameters
    ----------
    raster, cover : elevation, and height of trees and buildings on the same grid or None.
    points : x and y of posts on the map.
    observer_height_m : height of the eyes above ground, m.
    view : target height, range, refraction, sector.
    out : GeoTIFF to write: 255 seen, 0 not, nodata 1; or counts when `counted`.
    counted : count the posts that see each place.
    progress : callback (stage, share done).

    Raises
    ------
    InputError, SizeError : see `abatis.watch`.
    """
    faults = view.list_faults()
    if faults:
        raise InputError(faults)
    if out.suffix.lower() not in (".tif", ".tiff"):
        raise InputError([Fault("is not a GeoTIFF", str(out), remedy="give a name that ends in .tif")])
    progress("read", 0.0)
    terrain = read_terrain(raster, cover)
    posts = locate_posts(terrain, points, observer_height_m)
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
    write_marks(out, terrain, marks, nodata)
    return _summarize(terrain, marks, counted, len(posts))


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
