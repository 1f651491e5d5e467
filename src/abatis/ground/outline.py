"""The ground of a mesh: home, and its neighbours within the strip; distance to hostile ground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from pyproj import CRS, Transformer
from scipy.spatial import cKDTree

from abatis.ground.gaps import measure_m
from abatis.ground.hexgrid import HexGrid
from abatis.ground.sources import Area, Findings, bound_places
from abatis.ground.sources.vectors import read_vector_layer
from abatis.model.errors import Fault
from abatis.model.study import Study


@dataclass(frozen=True)
class Ground:
    """Countries and the ground of the mesh: `outline` (EPSG:4326) of all cells, `area` read around it."""

    codes: tuple[str, ...]
    shapes: np.ndarray
    outline: shapely.Geometry
    area: Area
    area_km2: float


def read_ground(study: Study, findings: Findings) -> Ground | None:
    """Read the borders and find the ground of the mesh: home, and other countries within the strip."""
    layer = read_vector_layer(study, "borders", bound_places(study), findings)
    rows = study.source_rows("borders")
    for number, row in rows.iterrows():
        if not row["class_column"]:
            findings.add_fault(
                "names no attribute with the country codes",
                str(row["file"]).rsplit("/", 1)[-1],
                int(str(number)),
                "class_column",
                "name the attribute that holds the country code",
            )
    if findings.faults:
        return None
    found = set(layer.words)
    for column, codes in (("home", study.home), ("hostile", study.hostile)):
        findings.faults += [
            Fault(
                f"country '{code}' has no polygon in the borders",
                "study.toml",
                column=column,
                remedy=f"the borders hold: {', '.join(sorted(found))}",
            )
            for code in codes
            if code not in found
        ]
    if findings.faults:
        return None
    others = sorted(found - set(study.home) - set(study.hostile))
    codes = (*study.home, *study.hostile, *others)
    shapes = np.array([shapely.union_all(layer.geometry[layer.words == code]) for code in codes])
    return _outline_ground(study, codes, shapes)


def _outline_ground(study: Study, codes: tuple[str, ...], shapes: np.ndarray) -> Ground:
    home = shapely.union_all(shapes[: len(study.home)])
    middle = shapely.centroid(shapely.envelope(home))
    lon, lat = float(shapely.get_x(middle)), float(shapely.get_y(middle))
    plane = CRS.from_proj4(f"+proj=laea +lat_0={lat:.4f} +lon_0={lon:.4f} +ellps=WGS84 +units=m")
    to_plane = Transformer.from_crs("EPSG:4326", plane, always_xy=True)
    to_degrees = Transformer.from_crs(plane, "EPSG:4326", always_xy=True)
    flat = shapely.simplify(_move(home, to_plane), 20.0)
    strip = _move(shapely.buffer(flat, study.strip_km * 1000.0, quad_segs=16), to_degrees)
    known = shapely.union_all(shapes)
    outline = shapely.union(home, shapely.intersection(strip, known))
    polygons = [part for part in shapely.get_parts(outline) if shapely.get_dimensions(part) == 2]
    outline = shapely.multipolygons(polygons)
    area = Area(*(float(value) for value in outline.bounds)).grow(0.05)
    return Ground(codes, shapes, outline, area, float(shapely.area(_move(outline, to_plane))) / 1e6)


def _move(geometry: shapely.Geometry, transformer: Transformer) -> shapely.Geometry:
    return shapely.transform(
        geometry, lambda points: np.column_stack(transformer.transform(points[:, 0], points[:, 1]))
    )


def measure_border(study: Study, ground: Ground, grid: HexGrid, hostile: np.ndarray) -> np.ndarray:
    """Distance of each cell's centre to hostile ground in km, f4[N], 0 in hostile cells."""
    first = len(study.home)
    outline = shapely.boundary(shapely.union_all(ground.shapes[first : first + len(study.hostile)]))
    near = shapely.clip_by_rect(outline, *ground.area.grow(1.0).bounds)
    points = shapely.get_coordinates(shapely.segmentize(near if not near.is_empty else outline, 0.001))
    tree = cKDTree(_to_sphere(points[:, 0], points[:, 1]))
    _, nearest = tree.query(_to_sphere(grid.lon, grid.lat), workers=-1)
    metres = measure_m(grid.lon, grid.lat, points[nearest, 0], points[nearest, 1])
    return np.where(hostile, 0.0, metres / 1000).astype(np.float32)


def _to_sphere(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    east, north = np.radians(lon), np.radians(lat)
    return np.column_stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)])
