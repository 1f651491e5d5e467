"""Map layers as GeoJSON: shapes in EPSG:4326, rounded to about a metre."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import shapely
from shapely.geometry.base import BaseGeometry

from abatis.show.app.answers.tables import plain_value
from abatis.show.app.answers.views import FeaturesAnswer

DIGITS = 5


def make_feature(shape: BaseGeometry, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Turn a shape with its properties into a feature.

    Examples
    --------
    >>> make_feature(shapely.Point(25.1234567, 54.7), {"name": "a"})["geometry"]
    {'type': 'Point', 'coordinates': (25.12346, 54.7)}
    """
    rounded = shapely.transform(shape, lambda lonlat: np.round(lonlat, DIGITS))
    return {
        "type": "Feature",
        "geometry": shapely.geometry.mapping(rounded),
        "properties": plain_value(dict(properties)),
    }


def make_point(lon: float, lat: float, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Make a feature of one point; `lon`, `lat` in degrees."""
    return make_feature(shapely.Point(lon, lat), properties)


def collect(features: Iterable[dict[str, Any]]) -> FeaturesAnswer:
    """Collect features into a layer."""
    return FeaturesAnswer(features=list(features))


def collect_frame(frame: gpd.GeoDataFrame) -> FeaturesAnswer:
    """Turn a frame in EPSG:4326 into a layer, one feature for each row with a shape."""
    columns = [name for name in frame.columns if name != frame.geometry.name]
    rows = frame[columns].to_dict("records")
    return collect(
        make_feature(shape, {str(key): value for key, value in row.items()})
        for row, shape in zip(rows, frame.geometry, strict=True)
        if shape is not None and not shape.is_empty
    )


def read_layers(path: Path) -> dict[str, gpd.GeoDataFrame]:
    """Read every layer with shapes of a GeoPackage, by name."""
    names = [str(name) for name, kind in pyogrio.list_layers(path) if kind is not None]
    return {name: gpd.read_file(path, layer=name) for name in names}
