"""GeoParquet files: what they say about themselves, and their features on the area."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

SUFFIXES = (".parquet", ".geoparquet")
READ_ERRORS = (OSError, ValueError, KeyError, pa.ArrowException)


def is_geoparquet(path: Path) -> bool:
    """Say whether a file is GeoParquet by its name."""
    return path.suffix.lower() in SUFFIXES


def inspect_geoparquet(path: Path) -> dict[str, Any]:
    """Return fields, crs, features and total_bounds of a GeoParquet file.

    Parameters
    ----------
    path : the file.

    Raises
    ------
    ValueError : it has no geometry in the sense of GeoParquet.
    OSError, pyarrow.ArrowException : it is damaged.
    """
    schema = pq.read_schema(path)
    told = (schema.metadata or {}).get(b"geo")
    if told is None:
        raise ValueError("it has no GeoParquet metadata (key geo)")
    main = str(json.loads(told)["primary_column"])
    frame = gpd.read_parquet(path, columns=[main])
    return {
        "fields": [name for name in schema.names if name != main],
        "crs": frame.crs,
        "features": len(frame),
        "total_bounds": frame.total_bounds,
    }


def load_geoparquet(
    path: Path, columns: list[str], box: tuple[float, float, float, float] | None
) -> gpd.GeoDataFrame:
    """Return the features whose bounds meet a box (in the file's CRS; all without one), flat.

    Parameters
    ----------
    path : the file.
    columns : attributes wanted.
    box : west, south, east, north.
    """
    told = json.loads(pq.read_schema(path).metadata[b"geo"])
    frame = gpd.read_parquet(path, columns=[*columns, str(told["primary_column"])])
    frame = frame.set_geometry(shapely.force_2d(np.asarray(frame.geometry.array)), crs=frame.crs)
    if box is None:
        return frame
    bounds = shapely.bounds(np.asarray(frame.geometry.array))
    west, south, east, north = box
    meets = (
        (bounds[:, 0] <= east) & (bounds[:, 2] >= west) & (bounds[:, 1] <= north) & (bounds[:, 3] >= south)
    )
    return frame[meets].reset_index(drop=True)
