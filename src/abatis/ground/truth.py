"""The sources as the yardstick of a mesh: read as the mesh's builder reads them, counted in another way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import rasterio.features
import shapely
from pyproj import Geod
from rasterio import Affine

from abatis.ground.gaps import measure_m
from abatis.ground.layers import Layers, Progress, read_layers
from abatis.ground.outline import Ground, read_ground
from abatis.ground.pixels import PixelGrid, metres_per_degree, plan_grid
from abatis.ground.sources import Findings
from abatis.model.mesh import Mesh
from abatis.model.study import Study

MOST_PIXELS = 16_000_000
LARGEST_PIXEL_M = 50.0
FINER = 0.7
TILE_PIXELS = 4_000_000
OUTSIDE = 255
GEOD = Geod(ellps="WGS84")


@dataclass(frozen=True)
class Truth:
    """Sources of a mesh: `ground`, `layers`, and a grid of pixels with the country of each.

    `shapes` are the countries cut to the ground of the mesh; `country` uint8[rows, columns], `OUTSIDE` where
    the mesh has no ground; `spacing_m` is the mean distance between centres of neighbouring cells.
    """

    ground: Ground
    layers: Layers
    shapes: np.ndarray
    grid: PixelGrid
    country: np.ndarray
    spacing_m: float

    def find_country(self, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
        """Return the index of the country at each point, int64[P], -1 outside the ground of the mesh."""
        x, y = self.grid.to_pixels(lon, lat)
        column, row = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
        inside = (row >= 0) & (column >= 0) & (row < self.grid.rows) & (column < self.grid.columns)
        found = np.full(len(lon), -1, np.int64)
        found[inside] = self.country[row[inside], column[inside]]
        found[found == OUTSIDE] = -1
        return found


def read_truth(study: Study, mesh: Mesh, progress: Progress) -> Truth:
    """Read the sources of a study and lay a grid of pixels over its ground.

    Parameters
    ----------
    study, mesh : the study and its mesh.
    progress : callback (stage, share done).

    Raises
    ------
    InputError : faults of the sources.

    In words: the pixels are 0.7 times the study's working pixels or 50 m, but never more than 16 million, so
    that memory stays bounded; on a country they are then a regular sample of about one point per hectare.
    """
    findings = Findings()
    ground = read_ground(study, findings)
    findings.raise_faults()
    assert ground is not None
    layers = read_layers(study, ground.area, findings, progress)
    findings.raise_faults()
    shapes = np.array([cut_polygons(shape, ground.outline) for shape in ground.shapes])
    grid = plan_grid(ground.area, _choose_pixel(ground, study.pixel_m))
    country = np.full((grid.rows, grid.columns), OUTSIDE, np.uint8)
    burn(country, grid, 0, shapes, np.arange(len(shapes)))
    return Truth(ground, layers, shapes, grid, country, float(mesh.distance_m.mean()))


def _choose_pixel(ground: Ground, pixel_m: float) -> float:
    area = ground.area
    east_m, north_m = metres_per_degree((area.south + area.north) / 2)
    box_m2 = float((area.east - area.west) * east_m * (area.north - area.south) * north_m)
    return float(max(min(FINER * pixel_m, LARGEST_PIXEL_M), np.sqrt(box_m2 / MOST_PIXELS)))


def cut_polygons(shape: shapely.Geometry, outline: shapely.Geometry) -> shapely.Geometry:
    """Return the part of a polygon inside another, without the points and lines where they only touch."""
    parts = shapely.get_parts(shapely.intersection(shape, outline))
    return shapely.MultiPolygon([part for part in parts if shapely.get_dimensions(part) == 2])


def iterate_strips(grid: PixelGrid) -> Iterator[tuple[int, int]]:
    """Yield first row and rows of strips of a grid, each of at most 4 million pixels."""
    high = max(1, TILE_PIXELS // grid.columns)
    for row0 in range(0, grid.rows, high):
        yield row0, min(high, grid.rows - row0)


def place_strip(grid: PixelGrid, row0: int) -> Affine:
    """Return the affine transform of a strip that starts at row `row0`."""
    return Affine(grid.dlon, 0.0, grid.west, 0.0, -grid.dlat, grid.north - row0 * grid.dlat)


def burn(
    out: np.ndarray,
    grid: PixelGrid,
    row0: int,
    geometry: np.ndarray,
    values: np.ndarray,
    all_touched: bool = False,
) -> None:
    """Burn shapes into a strip of a grid, later ones over earlier ones.

    Parameters
    ----------
    out : [rows, columns], written in place.
    grid, row0 : the grid and the strip's first row.
    geometry, values : shapes in degrees and the number burnt for each [F].
    all_touched : true for every pixel that a shape touches, false for those whose centre it holds.

    In words: GDAL's own burning, not the one that the mesh is counted with. Shapes are cut at the strip, two
    pixels beyond it, so that pieces of lines made by the cut fall outside.
    """
    west, east = grid.west - 2 * grid.dlon, grid.west + (grid.columns + 2) * grid.dlon
    north = grid.north - (row0 - 2) * grid.dlat
    south = north - (len(out) + 4) * grid.dlat
    left, low, right, high = shapely.bounds(geometry).T
    near = np.flatnonzero((left <= east) & (right >= west) & (low <= north) & (high >= south))
    if near.size == 0:
        return
    cut = shapely.clip_by_rect(geometry[near], west, south, east, north)
    kept = ~shapely.is_empty(cut)
    pairs = list(zip(cut[kept], values[near][kept].tolist(), strict=True))
    if pairs:
        rasterio.features.rasterize(
            pairs, out=out, transform=place_strip(grid, row0), all_touched=all_touched
        )


def measure_area_km2(shape: shapely.Geometry) -> float:
    """Return the geodesic area of a polygon in degrees; its sides are straight in degrees.

    Examples
    --------
    >>> round(measure_area_km2(shapely.box(24.0, 55.0, 24.1, 55.1)), 2)
    71.15
    """
    area, _ = GEOD.geometry_area_perimeter(shapely.segmentize(shape, 0.01))
    return abs(float(area)) / 1e6


def measure_lines_km(lines: shapely.Geometry) -> float:
    """Return the length of lines in degrees.

    Examples
    --------
    >>> round(measure_lines_km(shapely.LineString([(24.0, 55.0), (24.0, 55.1)])), 2)
    11.13
    """
    points, owner = shapely.get_coordinates(shapely.get_parts(lines), return_index=True)
    same = owner[1:] == owner[:-1]
    pieces = measure_m(points[:-1, 0], points[:-1, 1], points[1:, 0], points[1:, 1])
    return float(pieces[same].sum()) / 1000


def smooth_lines(lines: shapely.Geometry, tolerance_m: float) -> shapely.Geometry:
    """Return lines or polygons without their bends smaller than a tolerance (Douglas and Peucker 1973).

    Examples
    --------
    >>> line = shapely.LineString([(24.0, 55.0), (24.01, 55.001), (24.02, 55.0)])
    >>> len(smooth_lines(line, 200.0).coords), len(smooth_lines(line, 50.0).coords)
    (2, 3)
    """
    _, south, _, north = shapely.bounds(lines)
    east_m, north_m = metres_per_degree((south + north) / 2)
    scale = np.array([float(east_m), float(north_m)])
    flat = shapely.simplify(shapely.transform(lines, lambda points: points * scale), tolerance_m)
    return shapely.transform(flat, lambda points: points / scale)
