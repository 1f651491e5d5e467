"""Synthetic relief: a smooth surface through known spot heights, with small rolling hills on the uplands."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from abatis.model.errors import Fault, InputError
from abatis.model.storage import write_whole

NODATA = -32768
_NODE_DEG = 0.05
_NEIGHBORS = 24
# Without smoothing a single summit or valley bottom would lift or sink the country for 30 km around it.
_SMOOTHING = 300.0
_BUMP_KM = 2.0
_KM_PER_DEG = 111.2
_WAVES = 24
_SEED = 20251121
_Floats = npt.NDArray[np.float64]


def write_relief(spot_heights_csv: Path, target_tif: Path, pixel_deg: float) -> None:
    """Write a synthetic elevation raster that passes near every spot height.

    Parameters
    ----------
    spot_heights_csv : file with the columns lon, lat (degrees, EPSG:4326), elevation_m, name; 4 rows or more.
    target_tif : GeoTIFF to write: int16 metres, EPSG:4326, nodata -32768.
    pixel_deg : width and height of a pixel in degrees, between 0.001 and 0.1.

    Raises
    ------
    InputError : a row that is no height, fewer than 4 rows, or a pixel size outside its bounds.

    Notes
    -----
    z(x) = s(x) + a(s(x)) d(x) w(x) + b(x), kept between 0 and the highest spot height.

    In words: `s` is a thin-plate surface through the nearest spot heights; `w` is a fixed sum of plane waves
    of 1.5 to 6 km length; its size `a` grows from 1 m at the coast to 22 m at 280 m height; `d` fades it
    out within two kilometres of a spot height; `b` lifts or lowers the ground around each spot height by what
    is still missing there.

    Source: the method is plain interpolation; the relief between spot heights is invented.
    """
    if not 0.001 <= pixel_deg <= 0.1:
        raise InputError(
            [Fault(f"pixel of {pixel_deg} degrees", remedy="give between 0.001 and 0.1 degrees")]
        )
    points, heights = read_spot_heights(spot_heights_csv)
    west, south = points.min(axis=0)
    east, north = points.max(axis=0)
    columns = math.ceil((east - west) / pixel_deg) + 1
    rows = math.ceil((north - south) / pixel_deg) + 1
    lon = west + pixel_deg * np.arange(columns)
    lat = north - pixel_deg * np.arange(rows)
    surface = shape_relief(points, heights, lon, lat)
    _write_raster(target_tif, surface, float(west), float(north), pixel_deg)


def read_spot_heights(path: Path) -> tuple[_Floats, _Floats]:
    """Read spot heights as points [n, 2] (lon, lat in degrees) and heights [n] (metres).

    Raises
    ------
    InputError : every row that is not three numbers; or fewer than 4 rows.
    """
    faults: list[Fault] = []
    values: list[tuple[float, float, float]] = []
    with path.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            try:
                values.append((float(row["lon"]), float(row["lat"]), float(row["elevation_m"])))
            except (KeyError, TypeError, ValueError):
                faults.append(
                    Fault("is not a spot height", path.name, number, remedy="give lon,lat,elevation_m,name")
                )
    if not faults and len(values) < 4:
        faults.append(Fault(f"has {len(values)} spot heights", path.name, remedy="give at least 4"))
    if faults:
        raise InputError(faults)
    table = np.array(values)
    return table[:, :2], table[:, 2]


def shape_relief(points: _Floats, heights: _Floats, lon: _Floats, lat: _Floats) -> _Floats:
    """Compute the heights of the synthetic relief on a regular grid.

    Parameters
    ----------
    points : lon and lat of the spot heights, degrees, [n, 2].
    heights : metres, [n].
    lon, lat : coordinates of the grid, degrees, [columns] rising and [rows] falling.

    Returns
    -------
    Heights in metres, [rows, columns], between 0 and the highest spot height.

    Examples
    --------
    >>> import numpy as np
    >>> points = np.array([[24.0, 55.0], [25.0, 55.0], [24.0, 54.0], [25.0, 54.0]])
    >>> flat = shape_relief(points, np.zeros(4), np.array([24.0, 24.5]), np.array([54.5, 54.0]))
    >>> bool(flat.max() < 5)
    True
    """
    scale = np.array([_KM_PER_DEG * math.cos(math.radians(float(lat.mean()))), _KM_PER_DEG])
    spots_km = points * scale
    surface = _smooth_surface(spots_km, heights, lon * scale[0], lat * scale[1])
    surface += _roll_hills(surface, spots_km, lon * scale[0], lat * scale[1])
    _meet_spots(surface, spots_km, heights, lon * scale[0], lat * scale[1])
    result: _Floats = np.clip(surface, 0.0, max(0.0, float(heights.max())))
    return result


def _smooth_surface(spots_km: _Floats, heights: _Floats, x_km: _Floats, y_km: _Floats) -> _Floats:
    """Thin-plate surface on a coarse grid, then linear between its nodes."""
    from scipy.interpolate import RBFInterpolator, RegularGridInterpolator

    step = _NODE_DEG * _KM_PER_DEG
    nodes_x = np.arange(x_km.min() - step, x_km.max() + 2 * step, step)
    nodes_y = np.arange(y_km.min() - step, y_km.max() + 2 * step, step)
    plate = RBFInterpolator(
        spots_km,
        heights,
        neighbors=min(_NEIGHBORS, len(heights)),
        kernel="thin_plate_spline",
        smoothing=_SMOOTHING,
    )
    grid_x, grid_y = np.meshgrid(nodes_x, nodes_y)
    nodes = plate(np.column_stack([grid_x.ravel(), grid_y.ravel()])).reshape(grid_x.shape)
    # A plate may swing beyond its spot heights; ground does not.
    nodes = np.clip(nodes, heights.min(), heights.max())
    blend = RegularGridInterpolator((nodes_y, nodes_x), nodes)
    wanted_y, wanted_x = np.meshgrid(y_km, x_km, indexing="ij")
    surface: _Floats = blend(np.column_stack([wanted_y.ravel(), wanted_x.ravel()]))
    return surface.reshape(len(y_km), len(x_km))


def _roll_hills(surface: _Floats, spots_km: _Floats, x_km: _Floats, y_km: _Floats) -> _Floats:
    """Sum of fixed plane waves, larger on high ground and faded out beside spot heights and on the sea."""
    from scipy.spatial import cKDTree

    random = np.random.default_rng(_SEED)
    length_km = random.uniform(1.5, 6.0, _WAVES)
    angle = random.uniform(0.0, math.pi, _WAVES)
    phase = random.uniform(0.0, 2 * math.pi, _WAVES)
    waves = np.zeros_like(surface)
    for length, turn, start in zip(length_km, angle, phase, strict=True):
        along_x = 2 * math.pi * math.cos(turn) / length * x_km
        along_y = 2 * math.pi * math.sin(turn) / length * y_km + start
        waves += np.sin(along_x[None, :] + along_y[:, None])
    waves /= math.sqrt(_WAVES / 2)
    size_m = np.interp(surface, [0.0, 2.0, 50.0, 150.0, 280.0], [0.0, 1.0, 3.0, 12.0, 22.0])
    grid_y, grid_x = np.meshgrid(y_km, x_km, indexing="ij")
    away_km, _ = cKDTree(spots_km).query(np.column_stack([grid_x.ravel(), grid_y.ravel()]))
    fade = 1.0 - np.exp(-((away_km.reshape(surface.shape) / _BUMP_KM) ** 2))
    hills: _Floats = size_m * waves * fade
    return hills


def _meet_spots(surface: _Floats, spots_km: _Floats, heights: _Floats, x_km: _Floats, y_km: _Floats) -> None:
    """Add a small bump at each spot height so that the surface meets it there."""
    from scipy.interpolate import RegularGridInterpolator

    read = RegularGridInterpolator((y_km[::-1], x_km), surface[::-1])
    inside_x = np.clip(spots_km[:, 0], x_km[0], x_km[-1])
    inside_y = np.clip(spots_km[:, 1], y_km[-1], y_km[0])
    missing = heights - read(np.column_stack([inside_y, inside_x]))
    distance = np.hypot(*(spots_km[:, None, :] - spots_km[None, :, :]).transpose(2, 0, 1))
    weight = np.linalg.solve(np.exp(-((distance / _BUMP_KM) ** 2)) + 1e-6 * np.eye(len(heights)), missing)
    reach = 3.5 * _BUMP_KM
    for (spot_x, spot_y), size in zip(spots_km, weight, strict=True):
        columns = np.flatnonzero(np.abs(x_km - spot_x) < reach)
        rows = np.flatnonzero(np.abs(y_km - spot_y) < reach)
        if columns.size == 0 or rows.size == 0:
            continue
        part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        square = (x_km[None, columns] - spot_x) ** 2 + (y_km[rows, None] - spot_y) ** 2
        surface[part] += size * np.exp(-square / _BUMP_KM**2)


def _write_raster(path: Path, surface: _Floats, west: float, north: float, pixel_deg: float) -> None:
    import rasterio
    from rasterio.transform import from_origin

    rows, columns = surface.shape
    with (
        write_whole(path) as temporary,
        rasterio.open(
            temporary,
            "w",
            driver="GTiff",
            width=columns,
            height=rows,
            count=1,
            dtype="int16",
            crs="EPSG:4326",
            transform=from_origin(west - pixel_deg / 2, north + pixel_deg / 2, pixel_deg, pixel_deg),
            nodata=NODATA,
            compress="deflate",
            predictor=2,
            tiled=True,
        ) as raster,
    ):
        raster.write(np.round(surface).astype(np.int16), 1)
        raster.update_tags(source="synthetic relief, written for abatis", tag="G")
