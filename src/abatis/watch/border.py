"""The border with hostile ground, cut into pieces of one kilometre."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import shapely
from pyproj import Transformer
from shapely import LineString, MultiLineString
from shapely.ops import substring

from abatis.ground.outline import Ground
from abatis.model.study import Study
from abatis.watch.ground_raster import WatchGrid, move_shapes

NEAR_M = 300.0
PIECE_M = 1_000.0
SAMPLES = 10


@dataclass(frozen=True)
class BorderPieces:
    """Pieces of the border (B of about a kilometre): `length_km`, `lon`, `lat` of their middles float64[B].

    `shapes` their lines on the grid's map [B]; `row`, `column` int64[B, 10], pixels of ten points along each
    (-1 outside the grid).
    """

    length_km: np.ndarray
    lon: np.ndarray
    lat: np.ndarray
    shapes: np.ndarray
    row: np.ndarray
    column: np.ndarray

    @property
    def count(self) -> int:
        """Number of pieces."""
        return len(self.length_km)


def cut_border(study: Study, ground: Ground, grid: WatchGrid) -> BorderPieces:
    """Cut the border between home and hostile countries into pieces of about one kilometre.

    Parameters
    ----------
    study, ground : home and hostile countries and their polygons.
    grid : the pixels that posts look over.

    In words: the border is the rim of home that lies within 300 m of a hostile country, since polygons of
    different sources do not fit exactly. Each run of it is cut into equal pieces of one kilometre or the
    nearest possible length; runs shorter than half a kilometre are left out.
    """
    count = len(study.home)
    hostile = slice(count, count + len(study.hostile))
    home_rim = shapely.boundary(shapely.union_all(move_shapes(ground.shapes[:count], grid.crs)))
    other = shapely.union_all(move_shapes(ground.shapes[hostile], grid.crs))
    near = shapely.buffer(shapely.boundary(other), NEAR_M, cap_style="flat")
    pieces: list[shapely.Geometry] = []
    for run in _join_runs(shapely.intersection(home_rim, near)):
        # Beyond its end the rim turns away, and is still near for a while.
        spare_m = 0.0 if run.is_closed else NEAR_M
        if run.length - 2 * spare_m >= PIECE_M / 2:
            pieces += cut_line(run, spare_m)
    return _sample_pieces(pieces, grid)


def cut_line(line: LineString, spare_m: float) -> list[shapely.Geometry]:
    """Cut a line without `spare_m` at both ends into equal parts of about a kilometre.

    Examples
    --------
    >>> [part.length for part in cut_line(LineString([(0, 0), (0, 1500), (500, 1500)]), 0.0)]
    [1000.0, 1000.0]
    >>> [part.length for part in cut_line(LineString([(0, 0), (0, 1700)]), 300.0)]
    [1100.0]
    """
    length_m = line.length - 2 * spare_m
    limits = np.linspace(spare_m, spare_m + length_m, max(1, round(length_m / PIECE_M)) + 1)
    return [substring(line, start, stop) for start, stop in pairwise(limits)]


def _join_runs(shape: shapely.Geometry) -> list[LineString]:
    parts = [part for part in shapely.get_parts(shape) if isinstance(part, LineString) and part.length > 0]
    merged = shapely.line_merge(MultiLineString(parts))
    return [part for part in shapely.get_parts(merged) if isinstance(part, LineString)]


def _sample_pieces(pieces: list[shapely.Geometry], grid: WatchGrid) -> BorderPieces:
    shapes = np.empty(len(pieces), dtype=object)
    shapes[:] = pieces
    along = (np.arange(SAMPLES) + 0.5) / SAMPLES
    points = shapely.line_interpolate_point(shapes[:, None], along[None, :], normalized=True)
    x, y = shapely.get_x(points), shapely.get_y(points)
    row = np.floor((grid.north - y) / grid.pixel_m).astype(np.int64)
    column = np.floor((x - grid.west) / grid.pixel_m).astype(np.int64)
    outside = (row < 0) | (column < 0) | (row >= grid.rows) | (column >= grid.columns)
    row[outside] = column[outside] = -1
    middle = shapely.line_interpolate_point(shapes, 0.5, normalized=True)
    to_degrees = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    lon, lat = to_degrees.transform(shapely.get_x(middle), shapely.get_y(middle))
    length_km = shapely.length(shapes) / 1000.0
    return BorderPieces(length_km, np.asarray(lon), np.asarray(lat), shapes, row, column)
