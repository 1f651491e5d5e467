"""KML 2.2: lines and points of a plan for globes; hexagons are left to the other formats."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely

from abatis.model.storage import write_whole
from abatis.show.interchange.layers import HEXAGON_LAYERS, clean_value, list_records

NAMESPACE = "http://www.opengis.net/kml/2.2"
TITLES = {
    "lines": "Closing lines",
    "sites": "Sites",
    "routes": "Routes",
    "avenues": "Avenues",
    "shared_stretches": "Shared stretches",
    "chokepoints": "Chokepoints",
    "places": "Places",
    "facilities": "Facilities",
}
NAME_COLUMNS = ("label", "name", "line", "approach", "place")


@dataclass(frozen=True)
class Look:
    """How features look that have `value` in `column` (any, when `column` is empty)."""

    key: str
    column: str
    value: object
    color: str
    width: float


LOOKS: dict[str, tuple[Look, ...]] = {
    "lines": (Look("line", "", None, "#777777", 1),),
    "sites": (
        Look("site_chosen", "chosen", True, "#d55e00", 4),
        Look("site_open", "chosen", False, "#999999", 2),
    ),
    "routes": (
        Look("route_before", "state", "before", "#0072b2", 3),
        Look("route_after", "state", "after", "#d55e00", 2),
    ),
    "avenues": (
        Look("avenue_before", "state", "before", "#6baed6", 2),
        Look("avenue_after", "state", "after", "#d55e00", 2),
    ),
    "shared_stretches": (Look("shared_stretch", "", None, "#aa4499", 5),),
    "chokepoints": (Look("chokepoint", "", None, "#a3240f", 1),),
    "places": (Look("place", "", None, "#444444", 1),),
    "facilities": (Look("facility", "", None, "#666666", 1),),
}


def write_kml(path: Path, layers: Mapping[str, gpd.GeoDataFrame], title: str, note: str) -> None:
    """Write the lines and points of a plan, whole or not at all.

    Parameters
    ----------
    path : file to write.
    layers : frames by name, EPSG:4326; layers of hexagons are passed over.
    title, note : name and description of the document.

    In words: a schema and a folder for each layer; every column is typed data of its placemark, and what is
    missing is not written. No picture or address outside the file is named. Names are text, never markup.

    Raises
    ------
    InputError : when the file cannot be written.

    Source: OGC 07-147r2, KML 2.2.
    """
    ElementTree.register_namespace("", NAMESPACE)
    shown = {name: frame for name, frame in layers.items() if name not in HEXAGON_LAYERS}
    root = ElementTree.Element(_tag("kml"))
    document = _add(root, "Document", id="abatis")
    _add(document, "name", clean_value(title))
    _add(document, "description", clean_value(note))
    for name in shown:
        for look in LOOKS[name]:
            _add_style(document, look)
    for name, frame in shown.items():
        _add_schema(document, name, frame)
    for name, frame in shown.items():
        _add_folder(document, name, frame)
    ElementTree.indent(root, " ")
    with write_whole(path) as temporary:
        ElementTree.ElementTree(root).write(temporary, encoding="utf-8", xml_declaration=True)


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def _add(parent: ElementTree.Element, tag: str, text: str = "", /, **attributes: str) -> ElementTree.Element:
    added = ElementTree.SubElement(parent, _tag(tag), attributes)
    if text:
        added.text = text
    return added


def _add_style(document: ElementTree.Element, look: Look) -> None:
    red, green, blue = look.color[1:3], look.color[3:5], look.color[5:7]
    style = _add(document, "Style", id=look.key)
    icon = _add(style, "IconStyle")
    _add(icon, "color", f"ff{blue}{green}{red}")
    _add(icon, "scale", "0.7")
    line = _add(style, "LineStyle")
    _add(line, "color", f"ff{blue}{green}{red}")
    _add(line, "width", f"{look.width:g}")


def _add_schema(document: ElementTree.Element, name: str, frame: gpd.GeoDataFrame) -> None:
    schema = _add(document, "Schema", name=name, id=f"schema_{name}")
    for column in frame.columns:
        if column != frame.geometry.name:
            _add(schema, "SimpleField", type=_name_type(frame[column]), name=column)


def _name_type(column: Any) -> str:
    kinds = {"b": "bool", "i": "int", "u": "int", "f": "double"}
    return kinds.get(getattr(column.dtype, "kind", "O"), "string")


def _add_folder(document: ElementTree.Element, name: str, frame: gpd.GeoDataFrame) -> None:
    folder = _add(document, "Folder", id=f"layer_{name}")
    _add(folder, "name", TITLES[name])
    for number, (record, shape) in enumerate(zip(list_records(frame), frame.geometry, strict=True), 1):
        placemark = _add(folder, "Placemark", id=f"{name}_{number}")
        _add(placemark, "name", _name_feature(record, name, number))
        _add(placemark, "styleUrl", f"#{_choose_look(name, record).key}")
        data = _add(_add(placemark, "ExtendedData"), "SchemaData", schemaUrl=f"#schema_{name}")
        for column, value in record.items():
            if value is not None:
                _add(data, "SimpleData", _write_value(value), name=column)
        _add_shape(placemark, shape)


def _name_feature(record: Mapping[str, Any], layer: str, number: int) -> str:
    words = [str(record[column]) for column in NAME_COLUMNS if record.get(column)]
    return " ".join(dict.fromkeys(words[:2])) or f"{layer} {number}"


def _choose_look(layer: str, record: Mapping[str, Any]) -> Look:
    looks = LOOKS[layer]
    return next((one for one in looks if not one.column or record.get(one.column) == one.value), looks[0])


def _write_value(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return repr(value) if isinstance(value, float) else str(value)


def _add_shape(parent: ElementTree.Element, shape: shapely.Geometry) -> None:
    if isinstance(shape, shapely.MultiLineString):
        several = _add(parent, "MultiGeometry")
        for part in shape.geoms:
            _add_shape(several, part)
        return
    kind = "Point" if isinstance(shape, shapely.Point) else "LineString"
    one = _add(parent, kind)
    if kind == "LineString":
        _add(one, "tessellate", "1")
    _add(one, "coordinates", write_points(shapely.get_coordinates(shape), ",", " "))


def write_points(points: np.ndarray, between: str, after: str) -> str:
    """Write points as text, longitude first, 7 decimals at most.

    Parameters
    ----------
    points : float64[P, 2], longitude and latitude in degrees.
    between, after : what stands between the numbers of a point, and between points.

    Examples
    --------
    >>> write_points(np.array([[24.5, 55.25], [25.0, 55.1234567]]), ",", " ")
    '24.5,55.25 25.0,55.1234567'
    """
    return after.join(f"{round(float(x), 7)!r}{between}{round(float(y), 7)!r}" for x, y in points)
