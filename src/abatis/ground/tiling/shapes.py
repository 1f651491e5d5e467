"""Geometry columns of GeoParquet (well-known binary) written straight from arrays."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa

LINE, POLYGON = 2, 3


def describe_geometry(kind: str) -> str:
    """Return the "geo" note of a GeoParquet file whose column `geometry` holds one kind of shape."""
    column = {"encoding": "WKB", "geometry_types": [kind]}
    return json.dumps({"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}})


def write_lines(ends: np.ndarray) -> pa.Array:
    """Return straight lines as well-known binary.

    Parameters
    ----------
    ends : f8[E, 4], lon, lat, lon, lat.

    Examples
    --------
    >>> import shapely
    >>> print(shapely.from_wkb(write_lines(np.array([[24.0, 55.0, 25.0, 56.0]]))[0].as_py()))
    LINESTRING (24 55, 25 56)
    """
    kind = np.dtype([("order", "u1"), ("kind", "<u4"), ("count", "<u4"), ("points", "<f8", (4,))])
    rows = np.zeros(len(ends), kind)
    rows["order"], rows["kind"], rows["count"], rows["points"] = 1, LINE, 2, ends
    return _wrap(rows)


def write_polygons(corners: np.ndarray) -> pa.Array:
    """Return closed rings as well-known binary.

    Parameters
    ----------
    corners : f8[N, K, 2], lon, lat of K corners, counter-clockwise.
    """
    count, corner_count = corners.shape[:2]
    closed = np.concatenate([corners, corners[:, :1]], axis=1).reshape(count, 2 * corner_count + 2)
    kind = np.dtype(
        [
            ("order", "u1"),
            ("kind", "<u4"),
            ("rings", "<u4"),
            ("count", "<u4"),
            ("points", "<f8", (closed.shape[1],)),
        ]
    )
    rows = np.zeros(count, kind)
    rows["order"], rows["kind"], rows["rings"], rows["count"] = 1, POLYGON, 1, corner_count + 1
    rows["points"] = closed
    return _wrap(rows)


def _wrap(rows: np.ndarray) -> pa.Array:
    offsets = (np.arange(len(rows) + 1) * rows.dtype.itemsize).astype(np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(rows).tobytes())]
    return pa.Array.from_buffers(pa.binary(), len(rows), buffers)
