"""Elevation and cover rasters for lines of sight, in memory or, when too large, in scratch files."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import RasterioError
from rasterio.windows import Window

from abatis.model.errors import Fault, InputError, UnitError
from abatis.model.storage import write_whole
from abatis.watch._sight import Relief
from abatis.watch.sight import VOID_M, Post, build_relief

BLOCK_CELLS = 4_194_304
SHARE_OF_MEMORY = 0.5
BYTES_PER_CELL = 9
OUTSIDE_COUNT = 4_294_967_295


@dataclass(frozen=True)
class Terrain:
    """A raster of heights as read: relief, place on the map, and where its scratch files lie.

    `transform` from (column, row) to map; `crs` reference system; `voids` places whose height is unknown;
    `scratch` folder of the scratch files, None when all is in memory.
    """

    path: Path
    relief: Relief
    transform: rasterio.Affine
    crs: rasterio.CRS
    voids: int
    scratch: Path | None


def read_terrain(
    path: Path, cover: Path | None = None, scratch: Path | None = None, most_bytes: int | None = None
) -> Terrain:
    """Read an elevation raster, and the height of trees and buildings on the same grid.

    Parameters
    ----------
    path : raster of heights in metres, one band, north up, in a projected system in metres.
    cover : raster of heights of trees and buildings above ground on the same grid; its voids count as 0.
    scratch : folder for scratch files; the system's when None.
    most_bytes : memory to use; half of the free memory when None. A raster that needs more, at nine bytes a
        cell, is copied strip by strip into scratch files that vanish when the process ends.

    Raises
    ------
    InputError : a file that cannot be read, several bands, a turned grid, no reference system, another grid.
    UnitError : a geographic raster, or one in feet.
    """
    limit = most_bytes if most_bytes is not None else find_free_memory() * SHARE_OF_MEMORY
    with ExitStack() as stack:
        source = _open(path, stack)
        other = _open(cover, stack) if cover else None
        _check_grid(source, path)
        if other is not None and cover is not None:
            _check_same(source, other, cover)
        rows, columns = source.shape
        on_disk = rows * columns * BYTES_PER_CELL > limit
        folder = Path(scratch or tempfile.gettempdir()) if on_disk else None
        ground = make_array((rows, columns), np.float32, folder)
        voids = _fill(source, ground, VOID_M)
        transform, crs = source.transform, source.crs
        if other is None or cover is None:
            relief = _build(path, ground, transform, None)
        else:
            heights = make_array((rows, columns), np.float32, folder)
            _fill(other, heights, 0.0)
            relief = _build(path, ground, transform, heights)
    return Terrain(path, relief, transform, crs, voids, folder)


def find_free_memory() -> int:
    """Bytes of memory that are free now; 4 GiB where the system does not tell."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 4 << 30


def make_array(shape: tuple[int, int], kind: type[np.generic], folder: Path | None) -> np.ndarray:
    """Make an array of zeros in memory, or in a nameless file in `folder` that vanishes with it."""
    if folder is None:
        return np.zeros(shape, kind)
    with tempfile.TemporaryFile(dir=folder) as handle:
        return np.memmap(handle, kind, "w+", shape=shape)


def locate_posts(terrain: Terrain, points: Sequence[tuple[float, float]], height_m: float) -> list[Post]:
    """Find the cells of some points.

    Parameters
    ----------
    terrain : as read.
    points : x and y on the map, in the raster's system.
    height_m : height of every eye above ground, m.

    Raises
    ------
    InputError : every point outside the raster or where the height is unknown; a height below 0.
    """
    rows, columns = terrain.relief.surface.shape
    west, north = terrain.transform.c, terrain.transform.f
    east, south = terrain.transform @ (columns, rows)
    posts, faults = [], []
    for number, (x, y) in enumerate(points, 1):
        name = f"post {number}" if len(points) > 1 else "post"
        if not (west <= x < east and south < y <= north):
            reach = f"x {west:.0f} to {east:.0f}, y {south:.0f} to {north:.0f} in {terrain.crs.to_string()}"
            faults.append(
                Fault(f"x {x:g}, y {y:g} is outside the raster", name, None, "", f"it covers {reach}")
            )
            continue
        column, row = ~terrain.transform @ (x, y)
        post = Post(min(math.floor(row), rows - 1), min(math.floor(column), columns - 1), height_m)
        if terrain.relief.ground[post.row, post.column] <= VOID_M:
            faults.append(
                Fault(f"x {x:g}, y {y:g} has no height", name, None, "", "move it or fill the void first")
            )
        posts.append(post)
    if not (math.isfinite(height_m) and height_m >= 0):
        faults.append(
            Fault(f"is {height_m:g} m: below ground", "", None, "observer height", "give metres above ground")
        )
    if faults:
        raise InputError(faults)
    return posts


def write_marks(path: Path, terrain: Terrain, marks: np.ndarray, nodata: int) -> None:
    """Write a result as a tiled GeoTIFF on the grid of the raster.

    Parameters
    ----------
    path : file to write, whole or not at all.
    terrain : raster that the result belongs to.
    marks : uint8 or uint32[rows, columns].
    nodata : value that says "not looked at".
    """
    rows, columns = marks.shape
    with (
        write_whole(path) as part,
        rasterio.open(
            part, "w", driver="GTiff", width=columns, height=rows, count=1, dtype=marks.dtype.name,
            crs=terrain.crs, transform=terrain.transform, nodata=nodata, tiled=True, compress="deflate",
            zlevel=1, bigtiff="if_safer",
        ) as target,
    ):  # fmt: skip
        for window in list_strips(rows, columns):
            target.write(marks[window.row_off : window.row_off + window.height], 1, window=window)


def blank_voids(terrain: Terrain, marks: np.ndarray, nodata: int) -> None:
    """Put `nodata` on every place of a result whose height is unknown."""
    for window in list_strips(*marks.shape):
        strip = slice(window.row_off, window.row_off + window.height)
        marks[strip][terrain.relief.ground[strip] <= VOID_M] = nodata


def list_strips(rows: int, columns: int) -> list[Window]:
    """Cut a raster into strips of whole rows, a multiple of 256 high, of some million cells.

    Examples
    --------
    >>> [strip.height for strip in list_strips(600, 16_384)]
    [256, 256, 88]
    """
    high = max(256, BLOCK_CELLS // columns // 256 * 256)
    return [Window(0, row, columns, min(high, rows - row)) for row in range(0, rows, high)]


def _open(path: Path, stack: ExitStack) -> rasterio.DatasetReader:
    try:
        return stack.enter_context(rasterio.open(path))
    except RasterioError as error:
        raise InputError(
            [Fault(f"cannot be read as a raster: {error}", str(path), remedy="give a GeoTIFF")]
        ) from error


def _check_grid(source: rasterio.DatasetReader, path: Path) -> None:
    name, faults = str(path), []
    if source.count != 1:
        faults.append(Fault(f"has {source.count} bands", name, remedy="give one band of heights in metres"))
    grid = source.transform
    if grid.b or grid.d or grid.a <= 0 or grid.e >= 0:
        faults.append(
            Fault("its grid is turned or does not run north to south", name, remedy="warp it first")
        )
    if source.crs is None:
        faults.append(Fault("has no reference system", name, remedy="set one that is projected, in metres"))
    if faults:
        raise InputError(faults)
    if not source.crs.is_projected:
        raise UnitError(
            [
                Fault(
                    "is in degrees, not in metres",
                    name,
                    remedy="warp it to a projected one such as EPSG:3346",
                )
            ]
        )
    if abs(source.crs.linear_units_factor[1] - 1.0) > 1e-9:
        unit = source.crs.linear_units
        raise UnitError([Fault(f"is in {unit}, not in metres", name, remedy="warp it to a system in metres")])


def _check_same(source: rasterio.DatasetReader, other: rasterio.DatasetReader, path: Path) -> None:
    close = source.transform.almost_equals(other.transform, 1e-6 * source.transform.a)
    if other.shape != source.shape or other.crs != source.crs or not close or other.count != 1:
        raise InputError(
            [
                Fault(
                    f"its grid ({other.shape[0]} x {other.shape[1]}, {other.count} bands) is another one",
                    str(path),
                    remedy="warp it to the same system, corner, cell size and shape",
                )
            ]
        )


def _fill(source: rasterio.DatasetReader, out: np.ndarray, void: float) -> int:
    """Copy a band strip by strip; unknown places become `void`. Returns how many there are."""
    voids = 0
    for window in list_strips(*source.shape):
        strip = source.read(1, window=window, masked=True)
        heights = np.asarray(strip.data, np.float32)
        unknown = np.ma.getmaskarray(strip) | ~np.isfinite(heights)
        heights[unknown] = void
        out[window.row_off : window.row_off + window.height] = heights
        voids += int(unknown.sum())
    return voids


def _build(path: Path, ground: np.ndarray, transform: rasterio.Affine, cover: np.ndarray | None) -> Relief:
    try:
        return build_relief(ground, transform.a, -transform.e, cover, cover)
    except InputError as error:
        raise InputError(
            [Fault(one.problem, str(path), remedy=one.remedy) for one in error.faults]
        ) from error
