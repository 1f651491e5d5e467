"""One set of border lines for the whole area; the countries are the faces between them."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from functools import cache
from itertools import pairwise
from pathlib import Path

import shapely

from abatis.examples.baltic.drawing import KM_PER_DEG, Path2, Position, read_drawn, read_path, wind_line

LITHUANIA = Path(__file__).parents[1] / "lithuania"
# How much a line of each kind winds: share of a stretch.
WINDING = {"border": 0.24, "river": 0.18, "coast": 0.08, "island": 0.08, "straight": 0.0, "rim": 0.0}
STEP_KM = 1.0
NAMES = {
    "BY": "Belarus",
    "EE": "Estonia",
    "LT": "Lithuania",
    "LV": "Latvia",
    "PL": "Poland, north-east",
    "RU": "Russia",
}
# West, south, east and north of the sea, degrees.
SEA_BOX = (19.6, 54.44, 29.0, 60.0)
# A point inside each face; the two faces of Russia are the Kaliningrad region and the mainland.
INSIDE = (
    ("LT", (24.0, 55.3)),
    ("LV", (25.0, 56.8)),
    ("EE", (25.5, 58.9)),
    ("EE", (22.5, 58.4)),
    ("EE", (22.6, 58.85)),
    ("RU", (21.5, 54.7)),
    ("RU", (28.6, 58.0)),
    ("BY", (25.5, 53.9)),
    ("PL", (22.5, 53.7)),
)


@cache
def list_arcs() -> dict[str, Path2]:
    """Return the drawn border, coast and rim lines by key, wound; points in degrees."""
    return {
        row["arc"]: wind_line(read_path(row["path"]), row["arc"], WINDING[row["kind"]], STEP_KM)
        for row in read_drawn("borders")
    }


@cache
def list_lithuanian_edges() -> tuple[tuple[Position, Position], ...]:
    """Return the edges of the Lithuanian example that are a border or a coast.

    In words: an edge of two countries is a border. An edge of one country is its coast or the rim where that
    drawing ends; the rim is left out, since this drawing goes on there.
    """
    owners: dict[frozenset[Position], set[str]] = defaultdict(set)
    for feature in json.loads((LITHUANIA / "sources" / "borders.geojson").read_text("utf-8"))["features"]:
        ring = [(float(lon), float(lat)) for lon, lat in feature["geometry"]["coordinates"][0]]
        for edge in pairwise(ring):
            owners[frozenset(edge)].add(feature["properties"]["country"])
    kept = []
    for points, countries in owners.items():
        first, second = sorted(points)
        if len(countries) > 1 or _is_coast(next(iter(countries)), first, second):
            kept.append((first, second))
    return tuple(sorted(kept))


def _is_coast(country: str, first: Position, second: Position) -> bool:
    if country == "LV":
        return max(first[0], second[0]) <= 21.07 and max(first[1], second[1]) <= 56.75
    if country == "RU":
        return min(first[1], second[1]) >= 54.96
    return country == "LT"


@cache
def assemble_countries() -> dict[str, shapely.Geometry]:
    """Assemble the countries from the lines, EPSG:4326; neighbours share every point of their border.

    Returns
    -------
    Country code -> polygon or polygons. Poland, Belarus and Russia end at the rim of the drawing.

    Raises
    ------
    ValueError : a line is broken, so that a country is no closed face or two are one.

    Examples
    --------
    >>> sorted(assemble_countries())
    ['BY', 'EE', 'LT', 'LV', 'PL', 'RU']
    """
    lines = [shapely.LineString(path) for path in (*list_lithuanian_edges(), *list_arcs().values())]
    faces = list(shapely.get_parts(shapely.polygonize(lines)))
    parts = defaultdict(list)
    for country, point in INSIDE:
        inside = [number for number, face in enumerate(faces) if shapely.contains_xy(face, *point)]
        if len(inside) != 1:
            raise ValueError(f"{len(inside)} faces hold {point} of {country}: a border line is broken")
        parts[country].append(faces.pop(inside[0]))
    if faces:
        raise ValueError(f"{len(faces)} faces belong to no country: {faces[0].representative_point()}")
    return {country: shapely.union_all(parts[country]) for country in sorted(parts)}


@cache
def draw_sea() -> shapely.Geometry:
    """Return the sea beside the countries, EPSG:4326: the box of the drawing without them, to its rims.

    Examples
    --------
    >>> bool(draw_sea().contains(shapely.Point(23.5, 57.6)))
    True
    """
    countries = shapely.union_all(list(assemble_countries().values()))
    parts = shapely.get_parts(shapely.difference(shapely.box(*SEA_BOX), countries))
    return max(parts, key=shapely.area)


def surround(country: str, reach_km: float) -> shapely.Geometry:
    """Return the zone within a distance of a country, EPSG:4326; a little too wide east and west."""
    shape = shapely.simplify(assemble_countries()[country], 0.01)
    middle = math.radians(float(shapely.bounds(shape)[3]))
    stretch = math.cos(middle)
    flat = shapely.transform(shape, lambda points: points * (stretch, 1.0))
    zone = shapely.buffer(flat, reach_km / KM_PER_DEG + 0.01)
    return shapely.transform(zone, lambda points: points / (stretch, 1.0))
