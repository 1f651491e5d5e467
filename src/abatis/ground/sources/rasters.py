"""Raster layers: checked once, then read window by window on the working grid."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import pandas as pd
import rasterio
import rasterio.warp
import shapely
from affine import Affine
from pyproj import CRS
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window, from_bounds

from abatis.ground.sources import Area, Findings, check_place, transform_bounds, translate_codes
from abatis.ground.sources.straight import SMALL_KINDS, interpolate, pick_classes, read_straight
from abatis.ground.sources.vectors import RASTER_SUFFIXES
from abatis.model.study import Study

BLOCK_PIXELS = 2048
SHOWN_HOLES = 3


@dataclass(frozen=True)
class RasterFile:
    """One raster that passed all checks; `words` translates its codes to class words."""

    path: Path
    words: dict[int, str]


def list_rasters(
    study: Study, layer: str, area: Area, findings: Findings, glance: bool = False
) -> list[RasterFile]:
    """Check the rasters of one layer.

    Parameters
    ----------
    study : the study.
    layer : elevation, landcover, soil, clay or population.
    area : ground that will be read, degrees.
    findings : faults are added here; nothing is raised.
    glance : read one window of each raster only, in the middle of the ground; enough to say that it opens.

    Returns
    -------
    The rasters that can be read, in the order of sources.csv.

    In words: opened, placed and, for classes, every code that occurs on the ground is translated.
    """
    found = []
    for index, row in study.source_rows(layer).iterrows():
        number = int(str(index))
        path = Path(row["file"])
        raster = path.suffix.lower() in RASTER_SUFFIXES
        if not raster and layer in ("elevation", "landcover", "clay"):
            findings.add_fault(
                f"is not a raster but layer {layer} holds rasters",
                path.name,
                number,
                "file",
                "give a GeoTIFF; polygons of land cover belong to landcover_areas",
            )
        elif raster:
            checked = _check_raster(study, layer, row, number, area, findings, glance)
            if checked is not None:
                found.append(checked)
    if len(found) > 1:
        _note_holes(layer, found, area, findings)
    return found


def _note_holes(layer: str, rasters: list[RasterFile], area: Area, findings: Findings) -> None:
    """Say where the tiles of a layer leave ground uncovered between them.

    In words: a tile is missing in the middle where the box around all tiles, cut to the study's ground, is
    not covered; slits thinner than a few pixels are rounding of tile borders.
    """
    boxes, thin = [], 0.0
    for one in rasters:
        with rasterio.open(one.path) as raster:
            box = transform_bounds(raster.bounds, CRS.from_user_input(raster.crs))
            if box is not None:
                boxes.append(shapely.box(*box))
                thin = max(thin, 3 * (box[2] - box[0]) / raster.width, 3 * (box[3] - box[1]) / raster.height)
    if not boxes:
        return
    covered = shapely.union_all(boxes)
    asked = shapely.intersection(shapely.box(*covered.bounds), shapely.box(*area.bounds))
    holes = shapely.buffer(shapely.difference(asked, covered), -thin, join_style="mitre")
    parts = [part for part in shapely.get_parts(holes) if not shapely.is_empty(part)]
    if not parts:
        return
    shown = []
    for part in parts[:SHOWN_HOLES]:
        west, south, east, north = shapely.buffer(part, thin, join_style="mitre").bounds
        shown.append(f"{west:.2f} to {east:.2f} E {south:.2f} to {north:.2f} N")
    more = f" and {len(parts) - SHOWN_HOLES} more" if len(parts) > SHOWN_HOLES else ""
    findings.notes.append(
        f"the {len(rasters)} files of layer {layer} leave ground between them uncovered "
        f"({'; '.join(shown)}{more}): it is treated as unknown; fetch the missing tiles"
    )


def _check_raster(
    study: Study, layer: str, row: pd.Series, number: int, area: Area, findings: Findings, glance: bool
) -> RasterFile | None:
    path = Path(row["file"])
    try:
        with rasterio.open(path) as raster:
            if raster.crs is None:
                findings.add_fault(
                    "has no CRS", path.name, number, "file", "write the CRS into the file, e.g. EPSG:4326"
                )
                return None
            crs = CRS.from_user_input(raster.crs)
            if not check_place(raster.bounds, crs, area, path.name, number, findings):
                return None
            windows = _iterate_windows(raster, area)
            if glance:
                windows = windows[len(windows) // 2 :][:1]
            if layer in ("elevation", "population", "clay"):
                low, high = _find_range(raster, windows)
                if low <= high or not glance:
                    _check_numbers(low, high, layer, path.name, number, findings)
                return RasterFile(path, {})
            codes = _list_codes(raster, windows)
    except (rasterio.errors.RasterioError, OSError) as error:
        findings.add_fault(
            f"cannot be read: {error}", path.name, number, "file", "fetch the file again; it may be damaged"
        )
        return None
    table = translate_codes(study, layer, [str(code) for code in codes], path.name, number, findings)
    return RasterFile(path, {int(code): word for code, word in table.items()})


def _iterate_windows(raster: rasterio.DatasetReader, area: Area) -> list[Window]:
    """Cut the part of a raster that lies on the area into windows of bounded size."""
    box = rasterio.warp.transform_bounds("EPSG:4326", raster.crs, *area.bounds, densify_pts=21)
    window = from_bounds(*box, transform=raster.transform).round_offsets().round_lengths()
    top, left = max(0, int(window.row_off)), max(0, int(window.col_off))
    bottom = min(raster.height, int(window.row_off + window.height) + 1)
    right = min(raster.width, int(window.col_off + window.width) + 1)
    return [
        Window(column, row, min(BLOCK_PIXELS, right - column), min(BLOCK_PIXELS, bottom - row))
        for row in range(top, bottom, BLOCK_PIXELS)
        for column in range(left, right, BLOCK_PIXELS)
    ]


def _list_codes(raster: rasterio.DatasetReader, windows: list[Window]) -> list[int]:
    codes: set[int] = set()
    for window in windows:
        values = raster.read(1, window=window, masked=True)
        codes |= {int(value) for value in np.unique(values.compressed())}
    return sorted(codes)


def _find_range(raster: rasterio.DatasetReader, windows: list[Window]) -> tuple[float, float]:
    """Return the least and the greatest number of a raster; the least is the greater when it has none."""
    low, high = np.inf, -np.inf
    for window in windows:
        values = raster.read(1, window=window, masked=True).compressed()
        values = values[np.isfinite(values)]
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    return low, high


def _check_numbers(low: float, high: float, layer: str, shown: str, number: int, findings: Findings) -> None:
    if low > high:
        findings.add_fault("holds only nodata on the study's ground", shown, number, "file", "check the file")
    elif layer == "elevation" and (low < -500 or high > 9000):
        findings.add_fault(
            f"has elevations from {low:g} to {high:g} m",
            shown,
            number,
            "file",
            "set the nodata value of the file, or give metres",
        )
    elif layer == "clay" and (low < 0 or high > 1000):
        findings.add_fault(
            f"has clay contents from {low:g} to {high:g} g/kg",
            shown,
            number,
            "file",
            "set the nodata value of the file, or give g/kg",
        )
    elif layer == "clay" and high <= 100:
        findings.notes.append(
            f"clay contents of {shown} reach only {high:g}: read in g/kg; multiply by 10 if they "
            "are in percent"
        )
    elif layer == "population" and low < 0:
        findings.add_fault(
            f"has the negative population {low:g}", shown, number, "file", "set the nodata value of the file"
        )


class RasterReader:
    """Rasters of one layer read on windows of the working grid (EPSG:4326), later files filling holes.

    Classes are taken from the nearest pixel; numbers are averaged where the raster is finer than the grid
    and interpolated where it is coarser.
    """

    def __init__(self, rasters: list[RasterFile], word_order: tuple[str, ...], pixel_deg: float) -> None:
        self._rasters = rasters
        self._order = {word: index for index, word in enumerate(word_order)}
        self._pixel_deg = pixel_deg
        self._stack = ExitStack()

    def __enter__(self) -> RasterReader:
        self._open = [self._stack.enter_context(rasterio.open(one.path)) for one in self._rasters]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def read_classes(self, transform: Affine, rows: int, columns: int, nothing: int) -> np.ndarray:
        """Return uint8[rows, columns] word indices, `nothing` where no raster says anything."""
        out = np.full((rows, columns), nothing, dtype=np.uint8)
        for raster, opened in zip(self._rasters, self._open, strict=True):
            small = opened.dtypes[0] in SMALL_KINDS
            if small and (straight := read_straight(opened, transform, rows, columns)):
                words = {code: self._order.get(word, nothing) for code, word in raster.words.items()}
                pick_classes(*straight, opened.nodata, words, out, nothing)
                continue
            values, known = _warp_window(opened, transform, rows, columns, Resampling.nearest)
            codes = np.array(sorted(raster.words), dtype=np.int64)
            index = np.array(
                [self._order.get(raster.words[int(code)], nothing) for code in codes], dtype=np.uint8
            )
            if codes.size == 0:
                continue
            place = np.clip(np.searchsorted(codes, values.astype(np.int64)), 0, len(codes) - 1)
            hit = known & (codes[place] == values) & (out == nothing)
            out[hit] = index[place[hit]]
        return out

    def read_numbers(self, transform: Affine, rows: int, columns: int) -> np.ndarray:
        """Return float32[rows, columns], NaN where no raster says anything."""
        out = np.full((rows, columns), np.nan, dtype=np.float32)
        for opened in self._open:
            box = transform_bounds(opened.bounds, CRS.from_user_input(opened.crs))
            step = abs(box[3] - box[1]) / opened.height if box else self._pixel_deg
            method = Resampling.average if step < 0.75 * self._pixel_deg else Resampling.bilinear
            coarse = method == Resampling.bilinear
            if coarse and (straight := read_straight(opened, transform, rows, columns)):
                nodata = np.nan if opened.nodata is None else float(opened.nodata)
                interpolate(*straight, nodata, out)
                continue
            values, known = _warp_window(opened, transform, rows, columns, method)
            hit = known & np.isnan(out)
            out[hit] = values[hit]
        return out


def _warp_window(
    opened: rasterio.DatasetReader, transform: Affine, rows: int, columns: int, method: Resampling
) -> tuple[np.ndarray, np.ndarray]:
    numbers = method != Resampling.nearest
    nodata = -3.0e38 if numbers else None
    options = {
        "crs": "EPSG:4326",
        "transform": transform,
        "width": columns,
        "height": rows,
        "resampling": method,
    }
    if numbers:
        options |= {"dtype": "float32", "nodata": nodata}
        with WarpedVRT(opened, **options) as warped:
            values = warped.read(1)
        return values, (values > -1.0e38) & np.isfinite(values)
    with WarpedVRT(opened, add_alpha=opened.nodata is None, **options) as warped:
        values = warped.read(1)
        known = warped.dataset_mask() > 0
    return values, known


def read_population_points(
    rasters: list[RasterFile], area: Area, spacing_m: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the people of population rasters as points: lon f8[M], lat f8[M], persons f8[M].

    Parameters
    ----------
    rasters : checked population rasters; each pixel holds persons.
    area : ground to read, degrees.
    spacing_m : pixels wider than this are split into equal parts.

    In words: the persons of a pixel are shared equally by a square of points inside it, so totals stay.
    """
    lon, lat, people = [], [], []
    for east, north, values, parts in iterate_raster_points(rasters, area, spacing_m):
        lon.append(east)
        lat.append(north)
        people.append(values / parts**2)
    if not lon:
        nothing = np.array([], dtype=np.float64)
        return nothing, nothing, nothing
    return np.concatenate(lon), np.concatenate(lat), np.concatenate(people)


def iterate_raster_points(
    rasters: list[RasterFile], area: Area, spacing_m: float
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, int]]:
    """Yield the pixels above 0 of rasters window by window: lon, lat, value f8[M], and parts.

    Parameters
    ----------
    rasters : checked rasters.
    area : ground to read, degrees.
    spacing_m : pixels wider than this stand as a square of `parts` x `parts` points, each with their value.
    """
    for one in rasters:
        with rasterio.open(one.path) as raster:
            crs = CRS.from_user_input(raster.crs)
            box = transform_bounds(raster.bounds, crs)
            height_m = (box[3] - box[1]) / raster.height * 111_320 if box else spacing_m
            parts = max(1, int(np.ceil(height_m / spacing_m)))
            inner = (np.arange(parts) + 0.5) / parts
            for window in _iterate_windows(raster, area):
                values = raster.read(1, window=window, masked=True).filled(0).astype(np.float64)
                values[~np.isfinite(values)] = 0
                row, column = np.nonzero(values > 0)
                if row.size == 0:
                    continue
                x = (column[:, None, None] + window.col_off + inner[None, None, :]) + np.zeros((1, parts, 1))
                y = (row[:, None, None] + window.row_off + inner[None, :, None]) + np.zeros((1, 1, parts))
                east, north = _apply(raster, x, y)
                east, north = rasterio.warp.transform(raster.crs, "EPSG:4326", east, north)
                yield np.asarray(east), np.asarray(north), np.repeat(values[row, column], parts**2), parts


def _apply(raster: rasterio.DatasetReader, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    transform = raster.transform
    flat_x, flat_y = x.ravel(), y.ravel()
    return (
        transform.a * flat_x + transform.b * flat_y + transform.c,
        transform.d * flat_x + transform.e * flat_y + transform.f,
    )
