"""All layers of the whole area: what the Lithuanian example holds, and what is drawn around it."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import shapely

from abatis.examples.baltic.borders import LITHUANIA, NAMES, assemble_countries, draw_sea, list_arcs
from abatis.examples.baltic.drawing import (
    Path2,
    Position,
    draw_oval,
    measure_km,
    read_drawn,
    read_path,
    wind_line,
)
from abatis.examples.baltic.woods import strew_woods

LAYERS = ("water", "forest", "wetland", "built_up", "rivers", "roads", "bridges", "protected")
RIVER_WINDING, ROAD_WINDING, SHORE_WINDING, LINE_STEP_KM = 0.14, 0.11, 0.12, 3.0
# People per km2 of built-up ground; towns below the least number are too small for a hexagon.
TOWN_PEOPLE_KM2, LEAST_TOWN = 2000.0, 2500.0
# Rivers up to this width are bridged wherever a road meets them; wider ones only where a bridge is listed.
BRIDGED_WIDTH_M = 40.0
BRIDGE_REACH_KM = 3.0
_SAME_BRIDGE_KM = 1.5


@dataclass(frozen=True)
class Feature:
    """One thing on the map: `properties` and `geometry` (EPSG:4326)."""

    properties: Mapping[str, Any]
    geometry: shapely.Geometry


@cache
def list_places() -> tuple[Mapping[str, str], ...]:
    """Return all places of the area as rows: those of the Lithuanian example first."""
    with (LITHUANIA / "tables" / "places.csv").open(encoding="utf-8", newline="") as file:
        known = list(csv.DictReader(file))
    added = [
        {**row, "source": "written for abatis from general knowledge", "tag": "G"}
        for row in read_drawn("places")
    ]
    return (*known, *added)


@cache
def list_features(layer: str) -> tuple[Feature, ...]:
    """Return the features of one layer for the whole area.

    Parameters
    ----------
    layer : a name of `LAYERS`, or "borders".

    Examples
    --------
    >>> [feature.properties["country"] for feature in list_features("borders")]
    ['BY', 'EE', 'LT', 'LV', 'PL', 'RU']
    """
    if layer == "borders":
        return tuple(
            Feature({"country": code, "name": NAMES[code]}, shape)
            for code, shape in assemble_countries().items()
        )
    return (*_read_lithuanian(layer), *_draw_layer(layer))


def _read_lithuanian(layer: str) -> list[Feature]:
    text = (LITHUANIA / "sources" / f"{layer}.geojson").read_text(encoding="utf-8")
    return [
        Feature(feature["properties"], shapely.from_geojson(json.dumps(feature["geometry"])))
        for feature in json.loads(text)["features"]
    ]


def _draw_layer(layer: str) -> list[Feature]:
    if layer == "rivers":
        return _draw_rivers()
    if layer == "roads":
        return _draw_roads()
    if layer == "bridges":
        return _lay_bridges()
    areas = _draw_areas(layer)
    if layer == "water":
        areas += [
            Feature(
                {"name": row["name"]},
                shapely.Polygon(wind_line(read_path(row["path"]), row["lake"], SHORE_WINDING, LINE_STEP_KM)),
            )
            for row in read_drawn("lakes")
        ]
        areas.append(Feature({"name": "Baltic Sea"}, draw_sea()))
    if layer == "forest":
        words = {"name": "", "class": "dense_forest"}
        areas += [Feature(words, shapely.Polygon(oval)) for oval in strew_woods()]
    return areas + (_draw_towns() if layer == "built_up" else [])


def _draw_areas(layer: str) -> list[Feature]:
    key = {"forest": "class", "protected": "kind"}.get(layer)
    features = []
    for row in read_drawn("areas"):
        if row["layer"] != layer:
            continue
        oval = draw_oval(
            (float(row["lon"]), float(row["lat"])),
            float(row["length_km"]),
            float(row["width_km"]),
            float(row["bearing_deg"]),
            layer + row["name"],
        )
        words = {key: row["class"]} if key else {}
        features.append(Feature({"name": row["name"], **words}, shapely.Polygon(oval)))
    return features


def _draw_towns() -> list[Feature]:
    features = []
    for row in read_drawn("places"):
        people = float(row["population"])
        if people >= LEAST_TOWN:
            wide_km = 2 * math.sqrt(people / TOWN_PEOPLE_KM2 / math.pi)
            oval = draw_oval((float(row["lon"]), float(row["lat"])), wide_km, wide_km, 0, row["place"])
            features.append(Feature({"name": row["name"]}, shapely.Polygon(oval)))
    return features


def _draw_rivers() -> list[Feature]:
    features = []
    for row in read_drawn("rivers"):
        if row["path"].startswith("arc:"):
            path: Path2 = list_arcs()[row["path"].removeprefix("arc:")]
        else:
            path = wind_line(read_path(row["path"]), row["river"], RIVER_WINDING, LINE_STEP_KM)
        features.append(
            Feature({"name": row["name"], "width_m": float(row["width_m"])}, shapely.LineString(path))
        )
    return features


def _draw_roads() -> list[Feature]:
    places: dict[str, Position] = {
        row["place"]: (float(row["lon"]), float(row["lat"])) for row in list_places()
    }
    features = []
    for row in read_drawn("roads"):
        path = wind_line(read_path(row["route"], places), row["number"], ROAD_WINDING, LINE_STEP_KM)
        words = {"number": row["number"], "class": row["class"], "name": row["name"]}
        features.append(Feature(words, shapely.LineString(path)))
    return features


@dataclass(frozen=True)
class Crossing:
    """A place where a road meets a river."""

    road: str
    river: str
    width_m: float
    place: Position


@cache
def find_crossings() -> tuple[Crossing, ...]:
    """Find where drawn roads meet rivers, and Lithuanian roads meet drawn rivers."""
    rivers, roads = list_features("rivers"), list_features("roads")
    drawn = {id(feature.geometry) for feature in (*_drawn_of("rivers"), *_drawn_of("roads"))}
    tree = shapely.STRtree([feature.geometry for feature in rivers])
    found = []
    for road in roads:
        for number in sorted(tree.query(road.geometry, predicate="intersects").tolist()):
            river = rivers[number]
            if id(road.geometry) not in drawn and id(river.geometry) not in drawn:
                continue
            shared = shapely.intersection(road.geometry, river.geometry)
            name, width_m = str(river.properties["name"]), float(river.properties["width_m"])
            found += [
                Crossing(str(road.properties["number"]), name, width_m, (float(lon), float(lat)))
                for lon, lat in shapely.get_coordinates(shapely.centroid(shapely.get_parts(shared)))
            ]
    return tuple(found)


def _drawn_of(layer: str) -> tuple[Feature, ...]:
    return list_features(layer)[len(_read_lithuanian(layer)) :]


def _lay_bridges() -> list[Feature]:
    """Put a bridge on every crossing of a narrow river, and on those of wide rivers where one is listed."""
    listed = [
        ((float(row["lon"]), float(row["lat"])), row["river"], float(row["length_m"]), row["name"])
        for row in read_drawn("bridges")
    ]
    features: list[Feature] = []
    laid: list[tuple[str, str, Position]] = []
    for crossing in find_crossings():
        name, length_m = f"{crossing.river} bridge, {crossing.road}", crossing.width_m
        if crossing.width_m > BRIDGED_WIDTH_M:
            near = [
                (measure_km(crossing.place, place), label, long_m)
                for place, river, long_m, label in listed
                if river == crossing.river
            ]
            if not near or min(near)[0] > BRIDGE_REACH_KM:
                continue
            _, name, length_m = min(near)
        same = (crossing.road, crossing.river)
        if any(
            same == (road, river) and measure_km(place, crossing.place) < _SAME_BRIDGE_KM
            for road, river, place in laid
        ):
            continue
        laid.append((*same, crossing.place))
        words = {"name": name, "length_m": length_m, "river": crossing.river, "road": crossing.road}
        features.append(Feature(words, shapely.Point(*(round(value, 4) for value in crossing.place))))
    return features


def select_features(layer: str, zone: shapely.Geometry) -> list[Feature]:
    """Return the features of a layer that touch a zone (EPSG:4326); they stay whole."""
    features = list_features(layer)
    touched = shapely.intersects(zone, np.array([feature.geometry for feature in features]))
    return [feature for feature, touches in zip(features, touched, strict=True) if touches]


def write_features(features: list[Feature]) -> str:
    """Write features as the text of a GeoJSON file, one per line."""
    lines = [
        json.dumps(
            {
                "type": "Feature",
                "properties": dict(feature.properties),
                "geometry": json.loads(shapely.to_geojson(feature.geometry)),
            },
            ensure_ascii=False,
            separators=(",", ":"),
        )
        for feature in features
    ]
    return '{"type":"FeatureCollection","features":[\n' + ",\n".join(lines) + "\n]}\n"
