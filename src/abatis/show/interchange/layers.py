"""The layers of a plan that leave the house: all of them, or what the public may see."""

from __future__ import annotations

import re
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from abatis.model.errors import Fault, InputError
from abatis.show.export import list_layers
from abatis.show.results import Results
from abatis.show.styles import LAYER_STYLES, grade_cells

# A list of what may be seen, not of what may not: a layer that is added later stays inside.
PUBLIC_COLUMNS: dict[str, tuple[str, ...]] = {
    "cells": ("h3", "country", "main_cover", "population", "protected_share", "border_km"),
    "places": ("place", "name", "kind", "population", "country", "source", "tag"),
}
BORDER_CLASSES = (
    (0.0, 5.0, "#4a4a4a", "to 5 km"),
    (5.0, 20.0, "#8a8a8a", "5 to 20 km"),
    (20.0, 50.0, "#bdbdbd", "20 to 50 km"),
    (50.0, 10_000.0, "#e3e3e3", "over 50 km"),
)
HEXAGON_LAYERS = ("cells", "needed_cells")
UNSEEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def choose_layers(results: Results, public: bool) -> dict[str, gpd.GeoDataFrame]:
    """Return the layers of a plan by name, EPSG:4326, coordinates to 7 decimals (about a centimetre).

    Parameters
    ----------
    results : the plan and all that was computed about it.
    public : only what the public may see: no line, site, option, route, avenue or chokepoint, and no hours.

    Raises
    ------
    InputError : when the study reaches over the 180th meridian, where exchange formats want shapes cut.
    """
    layers = list_layers(results)
    if public:
        layers = {
            name: layers[name][[*(one for one in columns if one in layers[name]), "geometry"]]
            for name, columns in PUBLIC_COLUMNS.items()
            if name in layers
        }
    layers = {name: _round_shapes(frame) for name, frame in layers.items()}
    if any(_is_wide(frame) for frame in layers.values()):
        fault = Fault(
            "reaches over the 180th meridian", remedy="export it from a GIS in a projection of yours"
        )
        raise InputError([fault])
    return layers


def choose_styles(public: bool) -> dict[str, str]:
    """Return the QGIS styles (QML) by layer; the public's hexagons show the distance from the border."""
    if not public:
        return dict(LAYER_STYLES)
    places = LAYER_STYLES["places"].replace('NOT "objective"', '"population" >= 0 OR "population" IS NULL')
    places = places.replace('"objective" OR ', "").replace('"objective"', "FALSE")
    cells = grade_cells("border_km", BORDER_CLASSES, "Distance from the border.")
    return {**LAYER_STYLES, "cells": cells, "places": places}


def list_records(frame: gpd.GeoDataFrame) -> list[dict[str, Any]]:
    """Return the rows of a layer without shapes, as plain values; None where there is nothing.

    Examples
    --------
    >>> frame = gpd.GeoDataFrame(
    ...     {"hours": [1.5, np.nan], "sites": np.array([2, 3])}, geometry=[shapely.Point(1, 2)] * 2
    ... )
    >>> list_records(frame)
    [{'hours': 1.5, 'sites': 2}, {'hours': None, 'sites': 3}]
    """
    names = [name for name in frame.columns if name != frame.geometry.name]
    columns = [[clean_value(one) for one in frame[name].tolist()] for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def clean_value(value: Any) -> Any:
    r"""Return a plain value: None for what is missing, and texts without letters that XML forbids.

    Examples
    --------
    >>> clean_value(float("nan")), clean_value("a\x00b"), clean_value(True)
    (None, 'ab', True)
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return UNSEEN.sub("", value)
    if isinstance(value, list | tuple):
        return " ".join(str(clean_value(one)) for one in value)
    if value is None or value is pd.NA or (isinstance(value, float) and not np.isfinite(value)):
        return None
    return value


def _round_shapes(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    shapes = shapely.transform(frame.geometry.to_numpy(), lambda points: np.round(points, 7))
    return frame.set_geometry(gpd.GeoSeries(shapes, index=frame.index, crs=4326))


def _is_wide(frame: gpd.GeoDataFrame) -> bool:
    if frame.empty:
        return False
    bounds = frame.bounds
    return bool(((bounds["maxx"] - bounds["minx"]) > 180).any())
