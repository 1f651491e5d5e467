"""Masts, towers and power lines of the OpenStreetMap files of a study."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import osmium
import shapely
from osmium.filter import KeyFilter, TagFilter

from abatis.ground.sources import Area
from abatis.ground.sources.osm import is_osm_file
from abatis.model.errors import Fault, InputError
from abatis.model.study import Study

TALL_TAGS = (
    ("man_made", "mast"),
    ("man_made", "tower"),
    ("man_made", "communications_tower"),
    ("man_made", "water_tower"),
)
POWER_TAGS = (("power", "line"), ("power", "minor_line"))


@dataclass(frozen=True)
class TallPoints:
    """Masts and towers `lon`, `lat` float64[M], and `power_lines` shapely lines [L]; EPSG:4326.

    `files` names the files they come from.
    """

    lon: np.ndarray = field(default_factory=lambda: np.zeros(0))
    lat: np.ndarray = field(default_factory=lambda: np.zeros(0))
    power_lines: np.ndarray = field(default_factory=lambda: np.array([], dtype=object))
    files: tuple[str, ...] = ()


def read_tall_points(study: Study, area: Area) -> TallPoints:
    """Read masts, towers and power lines from every OpenStreetMap file named in sources.csv.

    Parameters
    ----------
    study : the study; files of the layer borders are left out.
    area : what lies outside is left out.

    In words: OpenStreetMap keys man_made=mast, tower, communications_tower, water_tower (points and outlines)
    and power=line, minor_line. Whether a mast may carry a sensor is for its owner to say.

    Raises
    ------
    InputError : every file that cannot be read.
    """
    points: list[tuple[float, float]] = []
    lines: list[shapely.Geometry] = []
    faults, files = [], []
    for number, row in study.sources.iterrows():
        path = study.folder / "sources" / str(row["file"])
        if not is_osm_file(path) or row["layer"] == "borders" or path.name in files:
            continue
        files.append(path.name)
        try:
            _read_file(str(path), area, points, lines)
        except (RuntimeError, OSError, ValueError) as error:
            shown = f"sources/sources.csv ({path.name})"
            remedy = "fetch the file again; it is cut off or damaged"
            faults.append(Fault(f"cannot be read: {error}", shown, int(str(number)), "file", remedy))
    if faults:
        raise InputError(faults)
    places = np.array(points, np.float64).reshape(-1, 2)
    drawn = np.empty(len(lines), dtype=object)
    drawn[:] = lines
    return TallPoints(places[:, 0], places[:, 1], drawn, tuple(files))


def _read_file(
    path: str, area: Area, points: list[tuple[float, float]], lines: list[shapely.Geometry]
) -> None:
    kinds = osmium.osm.NODE | osmium.osm.WAY
    keys, tags = KeyFilter("man_made", "power"), TagFilter(*TALL_TAGS, *POWER_TAGS)
    reader = osmium.FileProcessor(path, kinds).with_locations().with_filter(keys).with_filter(tags)
    for thing in reader:
        if isinstance(thing, osmium.osm.Node):
            if any(thing.tags.get(key) == value for key, value in TALL_TAGS):
                _add_point(thing.location.lon, thing.location.lat, area, points)
            continue
        if not isinstance(thing, osmium.osm.Way):
            continue
        path_of = [(one.lon, one.lat) for one in thing.nodes if one.location.valid()]
        if len(path_of) < 2:
            continue
        if any(thing.tags.get(key) == value for key, value in POWER_TAGS):
            line = shapely.LineString(path_of)
            if area.overlaps(line.bounds):
                lines.append(line)
        elif thing.is_closed() and len(path_of) > 3:
            middle = shapely.Polygon(path_of).representative_point()
            _add_point(middle.x, middle.y, area, points)


def _add_point(lon: float, lat: float, area: Area, points: list[tuple[float, float]]) -> None:
    if area.overlaps((lon, lat, lon, lat)):
        points.append((lon, lat))
