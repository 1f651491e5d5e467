"""Shapes that somebody drew: read from a file in any CRS and laid on the mesh."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, GeometryError

from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.mesh import Mesh

LONGEST_STEP_M = 500.0
LONGEST_STEP_DEG = 0.005
_READ_ERRORS = (
    DataSourceError,
    DataLayerError,
    FeatureError,
    GeometryError,
    OSError,
    RuntimeError,
    ValueError,
)


def read_shapes(path: Path, layer: str = "") -> np.ndarray:
    """Read the shapes of one file as shapely objects in EPSG:4326; see `read_frame`."""
    return bring_shapes(read_frame(path, layer))


def bring_shapes(frame: gpd.GeoDataFrame) -> np.ndarray:
    """Bring shapes to longitude and latitude, as shapely objects.

    In words: they are first cut into steps of at most 500 m, so that a line that is straight in its own CRS
    stays where it was drawn.
    """
    step = LONGEST_STEP_DEG if frame.crs.is_geographic else LONGEST_STEP_M
    fine = gpd.GeoSeries(shapely.segmentize(np.asarray(frame.geometry.array), step), crs=frame.crs)
    return np.asarray(fine.to_crs("EPSG:4326").array)


def read_frame(path: Path, layer: str = "") -> gpd.GeoDataFrame:
    """Read the shapes of one file in their own CRS, without empty ones.

    Parameters
    ----------
    path : GeoJSON, GeoPackage, Shapefile or another vector file.
    layer : which layer of the file; may be left out when there is only one.

    Raises
    ------
    InputError : no such file or layer, a damaged file, no CRS, no shapes.
    """
    shown = path.name
    if not path.is_file():
        raise InputError([Fault("file does not exist", str(path), remedy="check its name and folder")])
    try:
        names = [str(name) for name, kind in pyogrio.list_layers(path) if kind is not None]
        wanted = layer or ("lines" if "lines" in names else names[0] if len(names) == 1 else "")
        if wanted not in names:
            problem = f"has no layer '{layer}'" if layer else f"has {len(names)} layers and none is named"
            raise InputError([Fault(problem, shown, remedy=nearest_word(layer, names))])
        frame = pyogrio.read_dataframe(path, layer=wanted, force_2d=True)
    except InputError:
        raise
    except _READ_ERRORS as error:
        raise InputError(
            [Fault(f"cannot be read: {error}", shown, remedy="write it again; it may be damaged")]
        ) from error
    if not isinstance(frame, gpd.GeoDataFrame) or frame.geometry.is_empty.all():
        raise InputError([Fault("has no shapes", shown, remedy="draw at least one")])
    if frame.crs is None:
        raise InputError(
            [Fault("has no CRS", shown, remedy="write the CRS into the file, for example EPSG:4326")]
        )
    return frame[~frame.geometry.isna() & ~frame.geometry.is_empty]


def cross_edges(mesh: Mesh, lines: np.ndarray) -> np.ndarray:
    """Return bool[E]: edges whose way from centre to centre meets one of some lines (lon/lat)."""
    found = np.zeros(mesh.edge_count, bool)
    for line in lines:
        found[list_crossed(mesh, line)] = True
    return found


def list_crossed(mesh: Mesh, line: shapely.Geometry) -> np.ndarray:
    """Return int64[], the rows of the edges whose way from centre to centre meets one line (lon/lat)."""
    west, south, east, north = shapely.bounds(line)
    a, b = mesh.edge_a, mesh.edge_b
    near = np.flatnonzero(
        (np.minimum(mesh.lon[a], mesh.lon[b]) <= east)
        & (np.maximum(mesh.lon[a], mesh.lon[b]) >= west)
        & (np.minimum(mesh.lat[a], mesh.lat[b]) <= north)
        & (np.maximum(mesh.lat[a], mesh.lat[b]) >= south)
    )
    ends = np.stack([np.stack([mesh.lon[end[near]], mesh.lat[end[near]]], axis=1) for end in (a, b)], axis=1)
    parts = shapely.get_parts(line)
    steps = [
        np.asarray(shapely.linestrings(np.stack([shape[:-1], shape[1:]], axis=1)), object)
        for shape in (shapely.get_coordinates(part) for part in parts)
        if len(shape) > 1
    ]
    if not steps or not len(near):
        return np.empty(0, np.int64)
    tree = shapely.STRtree(np.asarray(shapely.linestrings(ends), object))
    _, hit = tree.query(np.concatenate(steps), predicate="intersects")
    return np.asarray(near[np.unique(hit)])


def cover_cells(mesh: Mesh, shapes: np.ndarray) -> np.ndarray:
    """Return bool[N]: cells whose centre lies in one of some areas (lon/lat)."""
    found = np.zeros(mesh.cell_count, bool)
    for shape in shapes:
        west, south, east, north = shapely.bounds(shape)
        near = np.flatnonzero(
            (mesh.lon >= west) & (mesh.lon <= east) & (mesh.lat >= south) & (mesh.lat <= north)
        )
        shapely.prepare(shape)
        found[near[shapely.contains_xy(shape, mesh.lon[near], mesh.lat[near])]] = True
    return found
