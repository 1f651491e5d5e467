"""The register of emission notices: who announces where and when, read and checked whole.

A notice says that something may be emitted in an area and a period, so that civil users can be asked and told
beforehand. It never says what is emitted: files with parameters of an emitter are refused.
"""

from __future__ import annotations

import csv
import json
import math
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pandas as pd
import shapely
from pyproj import Geod
from shapely.geometry.base import BaseGeometry

from abatis.ground.sources.polygons import check_polygon, read_polygon
from abatis.model.errors import Fault, InputError
from abatis.model.fields import empty_table, fields_of, read_table
from abatis.model.study import Study

TABLE = "tables/notices.csv"
SCOPE = "abatis keeps no parameters of emitters"
PRIVACY = "abatis keeps no personal data"
_GEOD = Geod(ellps="WGS84")
_EMITTER = re.compile(
    r"power|watt|(?:^|_)(?:k|m)?w(?:$|_)|db[mwi]?(?:$|_)|erp(?:$|_)|freq|hertz|hz(?:$|_)|band|channel|waveform"
    r"|modulat|pulse|(?:^|_)prf|duty|polari[sz]|antenna|(?:^|_)gain|beam|azimuth|emitter|transmit|jam|spoof"
    r"|signal|hopp?ing|wavelength|technique"
)
_AMOUNT = re.compile(r"\d[\d.,]*\s*(?:[kMGT]?Hz|[kM]?W|dB[mWi]?)\b")
_PERSONAL = re.compile(r"[\w.+-]+@[\w-]+\.\w+|\+\d[\d ()-]{7,}\d")


@dataclass(frozen=True)
class Notice:
    """One emission notice: an outline in EPSG:4326 from `starts` to `ends`, by whom and why."""

    key: str
    name: str
    outline: BaseGeometry
    starts: datetime
    ends: datetime
    kind: str
    author: str
    reason: str
    source: str
    tag: str

    @property
    def area_km2(self) -> float:
        """Area of the outline on the ellipsoid."""
        return measure_area_km2(self.outline)


@dataclass(frozen=True)
class Overlap:
    """Two notices that share ground and time."""

    first: str
    second: str
    area_km2: float
    starts: datetime
    ends: datetime


def read_notices(study: Study, path: Path | None = None) -> tuple[Notice, ...]:
    """Read the notices of a study, or those of a file.

    Parameters
    ----------
    study : its tables/notices.csv is read when no file is given; none when it has no such table. Files named
        in the column area lie in its sources/.
    path : a .csv with the same columns (files named in it lie beside it), or a .geojson whose features carry
        them as properties, without area.

    Raises
    ------
    InputError : all faults at once: unknown columns, parameters of emitters, dates that are none or in wrong
        order, outlines that are none, cross themselves or are not in degrees, keys that stand twice.
    """
    if path is None:
        path = study.folder / TABLE
        if not path.exists():
            return ()
        frame, faults = _read_lines(path, TABLE)
        notices, wrong = check_notices(frame, TABLE, study.folder / "sources")
    elif path.suffix in (".geojson", ".json"):
        frame, faults = _read_features(path)
        notices, wrong = check_notices(frame, path.name, path.parent)
        # The first feature is number 1, the first line of a table is line 2.
        wrong = [replace(one, row=one.row - 1 if one.row else None) for one in wrong]
    else:
        frame, faults = _read_lines(path, path.name)
        notices, wrong = check_notices(frame, path.name, path.parent)
    if faults or wrong:
        raise InputError(list(dict.fromkeys([*faults, *wrong])))
    return notices


def check_notices(frame: pd.DataFrame, file: str, folder: Path) -> tuple[tuple[Notice, ...], list[Fault]]:
    """Turn rows into notices and list everything that is wrong with them.

    Parameters
    ----------
    frame : table notices, each value read; its index is the line number.
    file : how the file is named in faults.
    folder : where the files named in the column area lie.
    """
    notices, faults = [], []
    first: dict[str, int] = {}
    for number, row in frame.iterrows():
        line, wrong = int(str(number)), []
        key = str(row["notice"])
        if key and key in first:
            wrong.append(("notice", f"'{key}' stands in row {first[key]} already", "delete or rename one"))
        first.setdefault(key, line)
        wrong += _check_texts(row)
        starts, ends = (_read_moment(row, column, wrong) for column in ("starts", "ends"))
        if starts and ends and ends <= starts:
            wrong.append(("ends", f"is {row['ends']}, not after {row['starts']}", "order the two"))
        outline = None
        if row["area"]:
            try:
                outline = read_outline(str(row["area"]), folder)
            except ValueError as error:
                remedy = "give simple outlines (WKT or a .geojson file) in EPSG:4326"
                wrong.append(("area", str(error), remedy))
        faults += [Fault(problem, file, line, column, remedy) for column, problem, remedy in wrong]
        if not wrong and outline is not None and starts and ends:
            texts = {name: str(row[name]) for name in ("kind", "author", "reason", "source", "tag")}
            notices.append(Notice(key, str(row["name"]), outline, starts, ends, **texts))
    return tuple(notices), faults


def _check_texts(row: pd.Series) -> list[tuple[str, str, str]]:
    """Column, problem and remedy of words that have no place in a notice."""
    wrong = []
    for column in ("notice", "name", "kind", "author", "reason"):
        text = str(row[column])
        if found := _AMOUNT.search(text):
            wrong.append((column, f"holds '{found[0]}': {SCOPE}", "say in words what it is for"))
        if found := _PERSONAL.search(text):
            wrong.append((column, f"holds '{found[0]}': {PRIVACY}", "name an institution instead"))
    return wrong


def _read_moment(row: pd.Series, column: str, wrong: list[tuple[str, str, str]]) -> datetime | None:
    text = str(row[column])
    if not text:
        return None
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            return datetime.combine(date.fromisoformat(text), time.max if column == "ends" else time.min)
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}", text):
            return datetime.fromisoformat(text)
    except ValueError:
        pass
    wrong.append((column, f"is '{text}', no moment", "write YYYY-MM-DD or YYYY-MM-DDTHH:MM"))
    return None


def read_outline(text: str, folder: Path) -> BaseGeometry:
    """Read the outline of a notice: WKT, or the polygons of a GeoJSON file in a folder.

    Raises
    ------
    ValueError : it is no polygon in degrees, has no area, or crosses itself.

    Examples
    --------
    >>> read_outline("POLYGON ((25 55, 26 55, 26 56, 25 55))", Path()).area
    0.5
    >>> read_outline("POLYGON ((25 55, 26 56, 26 55, 25 56, 25 55))", Path())
    Traceback (most recent call last):
    ValueError: crosses itself or touches itself: Self-intersection[25.5 55.5]
    """
    if text.endswith((".geojson", ".json")):
        outline = _read_file_outline(folder / text)
        check_polygon(outline)
    else:
        outline = read_polygon(text)
    if outline.area <= 0:
        raise ValueError("has no area")
    return shapely.force_2d(outline)


def _read_file_outline(path: Path) -> BaseGeometry:
    try:
        found = shapely.from_geojson(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"file '{path.name}' does not exist") from error
    except (UnicodeDecodeError, shapely.errors.ShapelyError) as error:
        raise ValueError(f"file '{path.name}' is no GeoJSON") from error
    parts = list(shapely.get_parts(found)) if found.geom_type == "GeometryCollection" else [found]
    broken = [one for one in parts if not one.is_valid]
    if broken:
        return broken[0]
    polygons = [one for one in parts if one.geom_type in ("Polygon", "MultiPolygon")]
    if len(polygons) != len(parts):
        raise ValueError(f"file '{path.name}' holds other shapes than polygons")
    return shapely.union_all(polygons)


def measure_area_km2(outline: BaseGeometry) -> float:
    """Return the area of an outline in degrees on the WGS 84 ellipsoid, km2.

    Examples
    --------
    >>> round(measure_area_km2(shapely.box(25.0, 55.0, 26.0, 56.0)))
    7035
    """
    return abs(float(_GEOD.geometry_area_perimeter(shapely.orient_polygons(outline))[0])) / 1e6


def find_overlaps(notices: Sequence[Notice]) -> tuple[Overlap, ...]:
    """List the pairs of notices that share ground and time, in the order of the register.

    In words: two periods overlap when each begins before the other ends.
    """
    found = []
    for place, first in enumerate(notices):
        for second in notices[place + 1 :]:
            starts, ends = max(first.starts, second.starts), min(first.ends, second.ends)
            if starts >= ends or not first.outline.intersects(second.outline):
                continue
            shared = first.outline.intersection(second.outline)
            polygons = [one for one in shapely.get_parts(shared) if one.area > 0]
            area_km2 = math.fsum(measure_area_km2(one) for one in polygons)
            if area_km2 > 0:
                found.append(Overlap(first.key, second.key, area_km2, starts, ends))
    return tuple(found)


def _read_lines(path: Path, shown: str) -> tuple[pd.DataFrame, list[Fault]]:
    frame, faults = read_table(path, "notices", shown)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = [cell.strip() for cell in next(csv.reader(file), [])]
    except (OSError, UnicodeDecodeError, csv.Error):
        return frame, faults
    return frame, _name_emitters(faults, header, shown, 1)


def _name_emitters(faults: list[Fault], header: Sequence[str], shown: str, row: int) -> list[Fault]:
    """Say of columns that speak of an emitter why they are refused, in place of calling them unknown."""
    known = {field.column for field in fields_of("notices")}
    unknown = [one for one in dict.fromkeys(header) if one not in known]
    refused = [one for one in unknown if _EMITTER.search(_make_plain(one)) or _EMITTER.search(one.lower())]
    kept = [one for one in faults if not ("unknown column" in one.problem and one.column in refused)]
    reason = f"is refused: {SCOPE}; a notice says only where, when, by whom and why"
    return [Fault(reason, shown, row, one, "delete the column") for one in refused] + kept


def _make_plain(name: str) -> str:
    """Write powerW and `Power (W)` as power_w.

    Examples
    --------
    >>> _make_plain("powerW"), _make_plain("Centre-Frequency (MHz)")
    ('power_w', 'centre_frequency_mhz_')
    """
    return re.sub(r"\W+", "_", re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower())


def _read_features(path: Path) -> tuple[pd.DataFrame, list[Fault]]:
    shown = path.name
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        features = content["features"]
        rows = [_read_feature(one) for one in features]
    except OSError:
        return empty_table("notices"), [Fault("does not exist", shown, remedy="check the path")]
    except (ValueError, KeyError, TypeError, AttributeError, shapely.errors.ShapelyError) as error:
        text = f"cannot be read: {error}"
        return empty_table("notices"), [Fault(text, shown, remedy="give a GeoJSON FeatureCollection")]
    header = list(dict.fromkeys(key for row in rows for key in row))
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "notices.csv"
        with table.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, header, restval="")
            writer.writeheader()
            writer.writerows(rows)
        frame, faults = _read_lines(table, shown)
    return frame, [replace(one, row=one.row - 1 or None if one.row else None) for one in faults]


def _read_feature(feature: Mapping[str, Any]) -> dict[str, str]:
    row = {
        str(key): "" if value is None else str(value).replace("\n", " ")
        for key, value in feature["properties"].items()
    }
    geometry = feature.get("geometry")
    if geometry:
        row["area"] = shapely.to_wkt(shapely.from_geojson(json.dumps(geometry)), rounding_precision=-1)
    return row
