"""Base map: what all maps of a study share: projection, pixels, edges and background layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from pyproj import Transformer
from shapely import LineString, MultiLineString
from shapely.ops import substring

from abatis.ground.hexgrid import HexGrid, build_hexgrid, find_corners, label_points
from abatis.ground.sources import Area, Findings
from abatis.ground.sources.osm import OsmFiles
from abatis.ground.sources.vectors import read_vector_layer
from abatis.model.mesh import Mesh
from abatis.model.study import Study

PIXELS_ACROSS = 1200
MARGIN_SHARE = 0.02


@dataclass(frozen=True)
class BaseMap:
    """What all maps of one study share; coordinates are kilometres on a local equal-area projection.

    `extent_km` (west, east, south, north); `pixel_cell` int32[rows, columns], row of the cell under each
    pixel, -1 outside; `edge_km` float64[E, 2, 2] ends of every edge; `lands` country code and
    polygon; `home_borders` the lines where home meets another country, `borders` those where any other two
    countries meet.
    """

    study: Study
    mesh: Mesh
    grid: HexGrid
    transformer: Transformer
    extent_km: tuple[float, float, float, float]
    pixel_cell: np.ndarray
    edge_km: np.ndarray
    lands: tuple[tuple[str, shapely.Geometry], ...]
    home_borders: tuple[shapely.Geometry, ...]
    borders: tuple[shapely.Geometry, ...]
    layers: dict[str, np.ndarray]
    classes: dict[str, np.ndarray]

    def project(self, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
        """Return float64[M, 2] kilometres east and north of the map's centre."""
        east, north = self.transformer.transform(lon, lat)
        return np.column_stack([np.atleast_1d(east), np.atleast_1d(north)]) / 1000.0


def prepare_base_map(study: Study, mesh: Mesh) -> BaseMap:
    """Prepare what all maps share: projection, pixels, edges and background layers.

    Parameters
    ----------
    study, mesh : the study and its mesh.

    In words: a Lambert azimuthal equal-area projection is laid at the middle of the home country, so that a
    kilometre is the same in all directions within a per mille on a country's width; every pixel learns once
    which cell it lies in.
    """
    home = mesh.mask_countries(study.home)
    inside = home if home.any() else np.ones(mesh.cell_count, dtype=bool)
    center = (
        float(mesh.lon[inside].min() + mesh.lon[inside].max()) / 2,
        float(mesh.lat[inside].min() + mesh.lat[inside].max()) / 2,
    )
    local = f"+proj=laea +lon_0={center[0]:.4f} +lat_0={center[1]:.4f} +datum=WGS84 +units=m"
    transformer = Transformer.from_crs("EPSG:4326", local, always_xy=True)
    grid = build_hexgrid(np.asarray(mesh.cells))
    east, north = transformer.transform(mesh.lon, mesh.lat)
    extent = _choose_extent(np.asarray(east) / 1000.0, np.asarray(north) / 1000.0)
    corner_lonlat, cell_corner = find_corners(grid, np.asarray(mesh.neighbor))
    corner_km = np.column_stack(transformer.transform(corner_lonlat[:, 0], corner_lonlat[:, 1])) / 1000.0
    lands, layers, classes = _read_background(study, mesh, transformer, extent)
    home_borders, borders = find_common_borders(lands, study.home, (extent[1] - extent[0]) / 900.0)
    return BaseMap(
        study=study,
        mesh=mesh,
        grid=grid,
        transformer=transformer,
        extent_km=extent,
        pixel_cell=_label_pixels(grid, transformer, extent),
        edge_km=corner_km[locate_edge_corners(mesh, cell_corner)],
        lands=lands,
        home_borders=home_borders,
        borders=borders,
        layers=layers,
        classes=classes,
    )


def locate_edge_corners(mesh: Mesh, cell_corner: np.ndarray) -> np.ndarray:
    """Return int32[E, 2], the two corner ids of every edge of the mesh.

    In words: corner k of a cell lies between its neighbours k and k + 1, so the edge to neighbour k runs from
    corner k - 1 to corner k.
    """
    found = np.zeros((mesh.edge_count, 2), dtype=np.int64)
    for side in range(6):
        rows = np.flatnonzero(mesh.edge[:, side] >= 0)
        edges = mesh.edge[rows, side]
        found[edges, 0] = cell_corner[rows, (side - 1) % 6]
        found[edges, 1] = cell_corner[rows, side]
    return found


def _choose_extent(east_km: np.ndarray, north_km: np.ndarray) -> tuple[float, float, float, float]:
    margin = MARGIN_SHARE * max(np.ptp(east_km), np.ptp(north_km)) + 1.0
    west, east = float(east_km.min()) - margin, float(east_km.max()) + margin
    south, north = float(north_km.min()) - margin, float(north_km.max()) + margin
    return limit_extent(west, east, south, north)


def limit_extent(west: float, east: float, south: float, north: float) -> tuple[float, float, float, float]:
    """Widen a very tall or very flat extent so that the figure stays readable (height 0.55..1.2 widths)."""
    width, height = east - west, north - south
    if height > 1.2 * width:
        extra = (height / 1.2 - width) / 2
        west, east = west - extra, east + extra
    elif height < 0.55 * width:
        extra = (0.55 * width - height) / 2
        south, north = south - extra, north + extra
    return west, east, south, north


def _label_pixels(
    grid: HexGrid, transformer: Transformer, extent: tuple[float, float, float, float]
) -> np.ndarray:
    west, east, south, north = extent
    columns = PIXELS_ACROSS
    rows = max(1, round(columns * (north - south) / (east - west)))
    x = west + (np.arange(columns) + 0.5) * (east - west) / columns
    y = north - (np.arange(rows) + 0.5) * (north - south) / rows
    grid_x, grid_y = np.meshgrid(x * 1000.0, y * 1000.0)
    lon, lat = transformer.transform(grid_x.ravel(), grid_y.ravel(), direction="INVERSE")
    return np.asarray(label_points(grid, np.asarray(lon), np.asarray(lat))).reshape(rows, columns)


def _read_background(
    study: Study, mesh: Mesh, transformer: Transformer, extent: tuple[float, float, float, float]
) -> tuple[tuple[tuple[str, shapely.Geometry], ...], dict[str, np.ndarray], dict[str, np.ndarray]]:
    window = shapely.box(extent[0], extent[2], extent[1], extent[3]).buffer(5.0)
    area = Area(
        float(mesh.lon.min()), float(mesh.lat.min()), float(mesh.lon.max()), float(mesh.lat.max())
    ).grow(0.5)
    findings, osm = Findings(), OsmFiles()
    layers: dict[str, np.ndarray] = {}
    classes: dict[str, np.ndarray] = {}
    for name in ("borders", "water", "forest", "rivers", "roads"):
        layer = read_vector_layer(study, name, area, findings, osm)
        shapes = shapely.force_2d(layer.geometry)
        words = layer.words
        if len(shapes):
            shapes = shapely.transform(
                shapes, lambda xy: np.column_stack(transformer.transform(xy[:, 0], xy[:, 1])) / 1000.0
            )
            shapes = shapely.simplify(shapes, 0.12)
            keep = shapely.intersects(shapely.envelope(shapes), window)
            shapes, words = shapes[keep], words[keep]
        layers[name] = shapes
        classes[name] = words
    findings.raise_faults()
    lands = tuple(zip(classes["borders"].tolist(), layers["borders"], strict=True))
    return lands, layers, classes


def find_common_borders(
    lands: Sequence[tuple[str, shapely.Geometry]], home: Sequence[str], near_km: float
) -> tuple[tuple[shapely.Geometry, ...], tuple[shapely.Geometry, ...]]:
    """Return the lines where home meets another country, and those where any other two countries meet.

    In words: countries meet where their rims are within `near_km` of each other, at least 0.25 km, as rims
    are simplified for drawing. The rest of a rim is coast, or where the data ends; it is not drawn.
    """
    near_km = max(near_km, 0.25)
    at_home: list[shapely.Geometry] = []
    elsewhere: list[shapely.Geometry] = []
    for index, (code, shape) in enumerate(lands):
        for other_code, other in lands[index + 1 :]:
            if code == other_code or shapely.distance(shape, other) > near_km:
                continue
            line = shapely.intersection(
                shapely.boundary(shape), shapely.buffer(shapely.boundary(other), near_km, cap_style="flat")
            )
            kind = at_home if (code in home) != (other_code in home) else elsewhere
            kind.append(_trim_line(line, near_km))
    return tuple(at_home), tuple(elsewhere)


def _trim_line(shape: shapely.Geometry, near_km: float) -> shapely.Geometry:
    """Join the pieces of a line, cut off the ends that turn away along a coast, drop what is short."""
    parts = [part for part in shapely.get_parts(shape) if isinstance(part, LineString)]
    kept = []
    for part in shapely.get_parts(shapely.line_merge(MultiLineString(parts))):
        if part.length <= 3 * near_km:
            continue
        trimmed = part if part.is_closed else substring(part, near_km, part.length - near_km)
        if isinstance(trimmed, LineString):
            kept.append(trimmed)
    return MultiLineString(kept)
