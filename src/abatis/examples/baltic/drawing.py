"""What is drawn by hand: tables of points, ovals and routes, and how they become lines and polygons."""

from __future__ import annotations

import csv
import math
import random
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

from abatis.model.errors import Fault, InputError

DRAWN = Path(__file__).parent / "drawn"
KM_PER_DEG = 111.2
OVAL_POINTS = 24
_DIGITS = 4

Position = tuple[float, float]
Path2 = tuple[Position, ...]


@cache
def read_drawn(name: str) -> tuple[Mapping[str, str], ...]:
    """Read one table of `drawn/` as rows of texts.

    Examples
    --------
    >>> read_drawn("lakes")[0]["lake"]
    'peipus'
    """
    with (DRAWN / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def read_path(text: str, places: Mapping[str, Position] | None = None) -> Path2:
    """Read a path: `lon/lat` pairs in degrees, or keys of places, with blanks between.

    Raises
    ------
    InputError : every word that is neither.

    Examples
    --------
    >>> read_path("24.1/56.9 riga", {"riga": (24.106, 56.949)})
    ((24.1, 56.9), (24.106, 56.949))
    """
    points, faults = [], []
    for word in text.split():
        lon, slash, lat = word.partition("/")
        if slash:
            points.append((float(lon), float(lat)))
        elif places is not None and word in places:
            points.append(places[word])
        else:
            faults.append(Fault(f"'{word}' is neither lon/lat nor a place", remedy="add it to places.csv"))
    if faults:
        raise InputError(faults)
    return tuple(points)


def measure_km(first: Position, second: Position) -> float:
    """Distance of two near points on a plane that touches the ground between them, km.

    Examples
    --------
    >>> round(measure_km((24.0, 56.0), (24.0, 57.0)), 1)
    111.2
    """
    squeeze = math.cos(math.radians((first[1] + second[1]) / 2))
    return KM_PER_DEG * math.hypot((second[0] - first[0]) * squeeze, second[1] - first[1])


def wind_line(path: Sequence[Position], name: str, share: float, step_km: float) -> Path2:
    """Let a coarse line wind; its own points stay where they are.

    Parameters
    ----------
    path : points in degrees.
    name : seed; the same name winds the same way.
    share : largest shift of a middle point to the side, as a share of the stretch, 0 to 0.3.
    step_km : stretches are halved until they are shorter, km.

    Formula: middle' = middle + u * share * length * normal, u even between -1 and 1.
    In words: the middle of each stretch is moved to the side by chance, then each half the same way.

    Examples
    --------
    >>> line = wind_line(((24.0, 56.0), (24.5, 56.0)), "x", 0.1, 5.0)
    >>> line[0], line[-1], len(line)
    ((24.0, 56.0), (24.5, 56.0), 9)
    """
    chance = random.Random(zlib.crc32(name.encode()))
    points = [path[0]]
    for first, second in pairwise(path):
        points += _wind_stretch(first, second, chance, share, step_km)
    return tuple((round(lon, _DIGITS), round(lat, _DIGITS)) for lon, lat in points)


def _wind_stretch(
    first: Position, second: Position, chance: random.Random, share: float, step_km: float
) -> list[Position]:
    if measure_km(first, second) <= step_km:
        return [second]
    squeeze = math.cos(math.radians((first[1] + second[1]) / 2))
    shift = chance.uniform(-share, share)
    middle = (
        (first[0] + second[0]) / 2 - shift * (second[1] - first[1]) / squeeze,
        (first[1] + second[1]) / 2 + shift * (second[0] - first[0]) * squeeze,
    )
    return [
        *_wind_stretch(first, middle, chance, share, step_km),
        *_wind_stretch(middle, second, chance, share, step_km),
    ]


def draw_oval(
    center: Position, length_km: float, width_km: float, bearing_deg: float, name: str, rough: float = 0.12
) -> Path2:
    """Draw a closed oval with an uneven rim.

    Parameters
    ----------
    center : degrees.
    length_km, width_km : axes of the oval, km.
    bearing_deg : direction of the long axis, degrees from north over east.
    name : seed of the rim.
    rough : largest change of the distance from the centre to a point of the rim, share.

    Examples
    --------
    >>> oval = draw_oval((25.0, 57.0), 10, 4, 0, "x")
    >>> oval[0] == oval[-1], round(max(lat for _, lat in oval) - min(lat for _, lat in oval), 2)
    (True, 0.09)
    """
    chance = random.Random(zlib.crc32(name.encode()))
    turn = math.radians(bearing_deg)
    squeeze = math.cos(math.radians(center[1]))
    points = []
    for number in range(OVAL_POINTS):
        angle = 2 * math.pi * number / OVAL_POINTS
        reach = 1 + chance.uniform(-rough, rough)
        along, across = reach * length_km / 2 * math.cos(angle), reach * width_km / 2 * math.sin(angle)
        east = along * math.sin(turn) + across * math.cos(turn)
        north = along * math.cos(turn) - across * math.sin(turn)
        lon, lat = center[0] + east / KM_PER_DEG / squeeze, center[1] + north / KM_PER_DEG
        points.append((round(lon, _DIGITS), round(lat, _DIGITS)))
    return (*points, points[0])
