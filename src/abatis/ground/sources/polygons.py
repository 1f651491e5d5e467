"""Areas that users write into tables as text: read and checked in one way."""

from __future__ import annotations

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry


def read_polygon(text: str) -> BaseGeometry:
    """Read an area from well-known text in EPSG:4326 (longitude, latitude).

    Raises
    ------
    ValueError : it is no polygon in degrees, or crosses itself.

    Examples
    --------
    >>> read_polygon("POLYGON ((25 55, 26 55, 26 56, 25 55))").area
    0.5
    >>> read_polygon("POINT (25 55)")
    Traceback (most recent call last):
    ValueError: is a Point, not a polygon
    """
    try:
        # A coordinate that is no number is told by the check below, not by a warning.
        with np.errstate(invalid="ignore"):
            outline = shapely.from_wkt(text)
    except shapely.errors.ShapelyError as error:
        raise ValueError("is no WKT polygon") from error
    check_polygon(outline)
    return outline


def check_polygon(outline: BaseGeometry) -> None:
    """Refuse what is no area in degrees.

    Raises
    ------
    ValueError : it is no polygon in degrees, or crosses itself.
    """
    if outline.geom_type not in ("Polygon", "MultiPolygon") or outline.is_empty:
        raise ValueError(f"is {'an empty' if outline.is_empty else 'a'} {outline.geom_type}, not a polygon")
    if not outline.is_valid:
        raise ValueError(f"crosses itself or touches itself: {shapely.is_valid_reason(outline)}")
    west, south, east, north = outline.bounds
    if not (west >= -180 and east <= 180 and south >= -90 and north <= 90):
        raise ValueError("is not in degrees (longitude, latitude)")
