"""The hazard register: hazardous areas, work on them, and the ground released, with its bookkeeping of area.

Fields follow the minimum data of IMAS 05.10 for areas, activities and releases, with two things left out on
purpose: places of devices and data about persons.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import shapely
from pyproj import Geod
from shapely.geometry.base import BaseGeometry

from abatis.ground.sources.polygons import read_polygon
from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.study import Study
from abatis.people.dates import parse_span
from abatis.people.treaties import check_dates, check_order, read_packaged

TABLES = ("hazards", "hazard_activities", "hazard_releases")
RELEASED_BY = {"cancelled": ("NTS",), "reduced": ("TS",), "cleared": ("clearance", "BAC")}
USES = ("housing", "school", "road", "water", "farm", "forest", "nature")
# Below this an outline gives away the place of a single device.
SMALLEST_M2 = 100.0
AREA_SHARE = 0.05
OUTSIDE_SHARE = 0.01
SCOPE = "abatis keeps no place of single devices"
PRIVACY = "abatis keeps no personal data"
_GEOD = Geod(ellps="WGS84")
_PERSONAL = re.compile(r"[\w.+-]+@[\w-]+\.\w+|\+\d[\d ()-]{7,}\d")
Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class AreaAccount:
    """The area of one hazard on a day and where it went, m2."""

    area_m2: float
    cancelled_m2: float = 0.0
    reduced_m2: float = 0.0
    cleared_m2: float = 0.0

    @property
    def remaining_m2(self) -> float:
        """Area that is still suspected or confirmed."""
        return max(0.0, self.area_m2 - self.cancelled_m2 - self.reduced_m2 - self.cleared_m2)


@dataclass(frozen=True)
class Hazard:
    """One hazardous area on a day: `kind` SHA or CHA, `status` open, closed or handed_over."""

    key: str
    name: str
    state: str
    kind: str
    status: str
    account: AreaAccount
    outline: BaseGeometry | None
    lon: float
    lat: float
    beneficiaries: float
    blocked_use: tuple[str, ...]
    origin: str
    belt: str
    owner: str
    record: bool
    marked: bool
    tag: str


def parse_outline(text: str) -> BaseGeometry:
    """Read the outline of an area.

    Raises
    ------
    ValueError : it is no polygon in degrees, crosses itself, or is too small to be an area.
    """
    outline = read_polygon(text)
    if measure_area(outline) < SMALLEST_M2:
        raise ValueError(f"is smaller than {SMALLEST_M2:g} m2: {SCOPE}")
    return outline


def measure_area(outline: BaseGeometry) -> float:
    """Return the area of an outline in degrees on the WGS 84 ellipsoid, m2.

    Examples
    --------
    >>> square = shapely.box(25.0, 55.0, 25.01, 55.01)
    >>> round(measure_area(square))
    712317
    """
    return abs(_GEOD.geometry_area_perimeter(shapely.orient_polygons(outline))[0])


def list_hazards(tables: Tables, day: date | None = None) -> tuple[Hazard, ...]:
    """List the hazardous areas as they stood at the end of a day; as they stand when no day is given.

    remaining = area - cancelled - reduced - cleared. In words: an area is suspected until the day it was
    confirmed, open until it was closed, and every release counts from its own day on. Areas recorded later
    than the day are left out.
    """
    outlines = _read_outlines(tables["hazards"])
    released = _read_areas(tables["hazard_releases"])
    releases = tables["hazard_releases"]
    areas = _read_areas(tables["hazards"])
    found = []
    for number, row in tables["hazards"].iterrows():
        if day is not None and parse_span(row["opened"])[0] > day:
            continue
        sums = dict.fromkeys(RELEASED_BY, 0.0)
        for line, release in releases[releases["hazard"] == row["hazard"]].iterrows():
            if day is None or parse_span(release["date"])[0] <= day:
                sums[release["kind"]] += released[line]
        account = AreaAccount(areas[number], sums["cancelled"], sums["reduced"], sums["cleared"])
        found.append(_make_hazard(row, account, outlines.get(number), day))
    return tuple(found)


def _make_hazard(
    row: pd.Series, account: AreaAccount, outline: BaseGeometry | None, day: date | None
) -> Hazard:
    def reached(column: str) -> bool:
        return bool(row[column]) and (day is None or parse_span(row[column])[0] <= day)

    kind = str(row["kind"])
    if kind == "CHA" and row["confirmed"] and not reached("confirmed"):
        kind = "SHA"
    status = "handed_over" if reached("handed_over") else "closed" if reached("closed") else "open"
    return Hazard(
        key=str(row["hazard"]),
        name=str(row["name"]),
        state=str(row["state"]),
        kind=kind,
        status=status,
        account=account,
        outline=outline,
        lon=float(row["benchmark_lon"]),
        lat=float(row["benchmark_lat"]),
        beneficiaries=float(row["beneficiaries"]),
        blocked_use=tuple(row["blocked_use"]),
        origin=str(row["origin"]),
        belt=str(row["belt"]),
        owner=str(row["owner"]),
        record=bool(row["record"]),
        marked=bool(row["marked"]),
        tag=str(row["tag"]),
    )


def _read_outlines(frame: pd.DataFrame) -> dict[object, BaseGeometry]:
    return {number: parse_outline(text) for number, text in frame["perimeter"].items() if text}


def _read_areas(frame: pd.DataFrame) -> dict[object, float]:
    """Area of every row, m2: as given, else that of its outline."""
    outlines = _read_outlines(frame)
    return {
        number: measure_area(outlines[number]) if math.isnan(area) else float(area)
        for number, area in frame["area_m2"].items()
    }


def read_hazards(study: Study, day: date | None = None) -> tuple[Hazard, ...]:
    """Read the hazard register of a study, whole or not at all.

    Raises
    ------
    InputError : every fault of its three tables.
    """
    tables = {table: study.tables[table] for table in TABLES}
    files = {table: f"tables/{table}.csv" for table in TABLES}
    faults = check_hazards(tables, files, list_states(study), set(study.tables["belts"]["belt"]))
    if faults:
        raise InputError(faults)
    return list_hazards(tables, day)


def list_states(study: Study) -> set[str]:
    """Country codes that a hazard may lie in: those of the study and of the treaty register."""
    return {*study.home, *study.hostile, *read_packaged("treaties")["state"]}


def check_hazards(tables: Tables, files: Mapping[str, str], states: set[str], belts: set[str]) -> list[Fault]:
    """List everything that is wrong between the rows of the hazard register.

    Parameters
    ----------
    tables : hazards, hazard_activities and hazard_releases, each value good in itself.
    files : how each table's file is named in faults.
    states : country codes that are known.
    belts : keys of reserve belts.
    """
    faults = []
    for table in TABLES:
        faults += _check_scope(tables[table], files[table])
        if table != "hazard_activities":
            faults += _check_outlines(tables[table], files[table])
    faults += _check_areas(tables["hazards"], files["hazards"], states, belts)
    faults += _check_activities(tables, files["hazard_activities"])
    faults += _check_releases(tables, files["hazard_releases"])
    # Sums and overlaps mean something only when every outline and date can be read.
    return faults or _check_books(tables, files)


def _check_scope(frame: pd.DataFrame, file: str) -> list[Fault]:
    """Refuse values that look like a person's address or telephone."""
    faults = []
    texts = [column for column in frame.columns if frame[column].dtype == object and column != "perimeter"]
    for number, row in frame.iterrows():
        for column in texts:
            found = _PERSONAL.search(row[column]) if isinstance(row[column], str) else None
            if found and column != "source":
                text = f"holds '{found[0]}': {PRIVACY}"
                faults.append(Fault(text, file, int(str(number)), column, "name an institution instead"))
    return faults


def _check_outlines(frame: pd.DataFrame, file: str) -> list[Fault]:
    faults = []
    for number, row in frame.iterrows():
        line = int(str(number))
        if not row["perimeter"]:
            if math.isnan(row["area_m2"]):
                text = "has neither an area nor an outline"
                faults.append(Fault(text, file, line, "area_m2", "give area_m2 or perimeter"))
            continue
        try:
            outline = parse_outline(row["perimeter"])
        except ValueError as error:
            remedy = "draw it anew as one simple outline in EPSG:4326"
            faults.append(Fault(str(error), file, line, "perimeter", remedy))
            continue
        measured = measure_area(outline)
        if not math.isnan(row["area_m2"]) and abs(row["area_m2"] - measured) > AREA_SHARE * measured:
            text = f"says {row['area_m2']:,.0f} m2, the outline {measured:,.0f} m2"
            faults.append(Fault(text, file, line, "area_m2", "correct one, or leave area_m2 empty"))
    return faults


def _check_areas(frame: pd.DataFrame, file: str, states: set[str], belts: set[str]) -> list[Fault]:
    faults = []
    for number, row in frame.iterrows():
        line = int(str(number))
        faults += check_dates(row, ("opened", "confirmed", "closed", "handed_over", "inspected"), file, line)
        faults += check_order(row, ("opened", "confirmed", "closed", "handed_over"), file, line)
        wrong = [*_find_wrong_words(row, states, belts), *_find_wrong_state(row)]
        faults += [Fault(problem, file, line, column, remedy) for column, problem, remedy in wrong]
    return faults


def _find_wrong_words(row: pd.Series, states: set[str], belts: set[str]) -> list[tuple[str, str, str]]:
    """Column, problem and remedy of words that nothing else knows."""
    wrong = []
    if row["state"] not in states:
        text = f"'{row['state']}' is an unknown state"
        wrong.append(("state", text, nearest_word(row["state"], sorted(states))))
    for word in row["blocked_use"]:
        if word not in USES:
            wrong.append(("blocked_use", f"has the unknown word '{word}'", nearest_word(word, USES)))
    if row["belt"] and row["belt"] not in belts:
        text = f"'{row['belt']}' is not in tables/belts.csv"
        wrong.append(("belt", text, nearest_word(row["belt"], belts)))
    if row["origin"] == "reserve_belt" and not row["belt"]:
        wrong.append(("belt", "is missing while the origin is a reserve belt", "name the belt"))
    return wrong


def _find_wrong_state(row: pd.Series) -> list[tuple[str, str, str]]:
    """Column, problem and remedy where kind, evidence, status and dates of an area disagree."""
    wrong = []
    if row["kind"] == "CHA" and row["evidence"] != "direct":
        wrong.append(("evidence", "a confirmed area without direct evidence", "write SHA, or direct"))
    if row["kind"] == "SHA" and (row["evidence"] == "direct" or row["confirmed"]):
        text = "a suspected area with direct evidence or a day of confirmation"
        wrong.append(("kind", text, "write CHA"))
    wanted = {"closed": ("closed",), "handed_over": ("closed", "handed_over")}.get(row["status"], ())
    for column in ("closed", "handed_over"):
        if bool(row[column]) != (column in wanted):
            given = f"is {row[column]}" if row[column] else "is missing"
            text = f"{given} while the status is {row['status']}"
            wrong.append((column, text, "let status and dates agree"))
    return wrong


def _check_activities(tables: Tables, file: str) -> list[Fault]:
    opened = tables["hazards"].set_index("hazard")["opened"].to_dict()
    faults = []
    for number, row in tables["hazard_activities"].iterrows():
        line = int(str(number))
        given = [not math.isnan(row[column]) for column in ("lon", "lat")]
        if row["kind"] == "EOD" and any(given):
            text = f"the place of a disposal is the place of a device: {SCOPE}"
            faults.append(Fault(text, file, line, "lon", "leave lon and lat empty"))
        elif row["kind"] != "EOD" and not all(given):
            faults.append(Fault("has no reference point", file, line, "lon", "give lon and lat"))
        faults += check_dates(row, ("start", "end"), file, line)
        started = pd.Series(
            {"opened": opened.get(row["hazard"], ""), "start": row["start"], "end": row["end"]}
        )
        after_survey = row["kind"] != "NTS"
        columns = ("opened", "start", "end") if after_survey else ("start", "end")
        faults += check_order(started, columns, file, line)
        if row["status"] == "completed" and not row["end"]:
            faults.append(
                Fault("is missing while the work is completed", file, line, "end", "give the last day")
            )
    return faults


def _check_releases(tables: Tables, file: str) -> list[Fault]:
    hazards = {row["hazard"]: row for _, row in tables["hazards"].iterrows()}
    activities = {row["activity"]: row for _, row in tables["hazard_activities"].iterrows()}
    faults = []
    for number, row in tables["hazard_releases"].iterrows():
        line = int(str(number))
        faults += check_dates(row, ("date",), file, line)
        if row["kind"] == "cleared" and math.isnan(row["depth_m"]):
            faults.append(Fault("is missing", file, line, "depth_m", "give the depth that was cleared"))
        activity, hazard = activities.get(row["activity"]), hazards.get(row["hazard"])
        if activity is None or hazard is None:
            continue
        if activity["hazard"] != row["hazard"]:
            text = f"'{row['activity']}' is work on '{activity['hazard']}', not on '{row['hazard']}'"
            faults.append(Fault(text, file, line, "activity", "name work on the same area"))
        allowed = RELEASED_BY[row["kind"]]
        if activity["kind"] not in allowed:
            text = f"ground is {row['kind']} by {' or '.join(allowed)}, not by {activity['kind']}"
            faults.append(Fault(text, file, line, "kind", "correct the kind or name the right activity"))
        if activity["status"] in ("planned", "suspended"):
            text = f"'{row['activity']}' is {activity['status']}: it releases nothing yet"
            faults.append(Fault(text, file, line, "activity", "correct its status"))
        for before, day in (("opened", hazard["opened"]), ("start", activity["start"])):
            faults += check_order(pd.Series({before: day, "date": row["date"]}), (before, "date"), file, line)
        faults += check_order(
            pd.Series({"date": row["date"], "closed": hazard["closed"]}), ("date", "closed"), file, line
        )
    return faults


def _check_books(tables: Tables, files: Mapping[str, str]) -> list[Fault]:
    """Releases lie inside their area, count no ground twice, and add up to what the status says."""
    outlines = _read_outlines(tables["hazards"])
    areas = _read_areas(tables["hazards"])
    released = _read_areas(tables["hazard_releases"])
    pieces = _read_outlines(tables["hazard_releases"])
    releases = tables["hazard_releases"]
    faults = []
    for number, row in tables["hazards"].iterrows():
        own = releases[releases["hazard"] == row["hazard"]]
        total = math.fsum(released[line] for line in own.index)
        if total > areas[number] * (1 + OUTSIDE_SHARE):
            text = f"{total:,.0f} m2 are released of '{row['hazard']}', which has {areas[number]:,.0f} m2"
            last = int(str(own.index[-1]))
            faults.append(Fault(text, files["hazard_releases"], last, "area_m2", "correct the areas"))
        elif row["status"] != "open" and total < areas[number] * (1 - OUTSIDE_SHARE):
            text = f"is {row['status']} while {areas[number] - total:,.0f} m2 remain"
            remedy = "release them, or write open"
            faults.append(Fault(text, files["hazards"], int(str(number)), "status", remedy))
        lines = [line for line in own.index if line in pieces]
        if number in outlines:
            faults += _check_inside(outlines[number], pieces, lines, files["hazard_releases"])
        faults += _check_overlaps(pieces, lines, files["hazard_releases"])
    return faults


def _check_inside(
    outline: BaseGeometry, pieces: Mapping[object, BaseGeometry], lines: Sequence[object], file: str
) -> list[Fault]:
    faults = []
    for line in lines:
        outside = pieces[line].difference(outline)
        if not outside.is_empty and outside.area > OUTSIDE_SHARE * pieces[line].area:
            text = f"{outside.area / pieces[line].area:.0%} of it lie outside the hazardous area"
            faults.append(Fault(text, file, int(str(line)), "perimeter", "cut it to the area"))
    return faults


def _check_overlaps(pieces: Mapping[object, BaseGeometry], lines: Sequence[object], file: str) -> list[Fault]:
    faults = []
    for place, line in enumerate(lines):
        for earlier in lines[:place]:
            shared = pieces[line].intersection(pieces[earlier]).area
            if shared > OUTSIDE_SHARE * min(pieces[line].area, pieces[earlier].area):
                text = f"releases ground that row {earlier} released already"
                faults.append(Fault(text, file, int(str(line)), "perimeter", "cut the overlap away"))
    return faults


def count_people(
    lon: np.ndarray, lat: np.ndarray, population: np.ndarray, shape: BaseGeometry, limits_km: Sequence[float]
) -> tuple[float, ...]:
    """Count the people of cells whose centre lies within each distance of an area.

    Parameters
    ----------
    lon, lat : float64[N], centres in EPSG:4326.
    population : persons per cell.
    shape : area or point in EPSG:4326.
    limits_km : distances; 0 inside.

    In words: degrees are turned into kilometres around the middle of the area (WGS 84, accurate to well under
    one percent within tens of kilometres); a cell counts whole or not at all, so 1 km is coarse where cells
    are about as wide.
    """
    middle = shape.centroid
    # Length of a degree on the ellipsoid at the latitude of the area, km.
    phi = math.radians(middle.y)
    north = 111.13209 - 0.56605 * math.cos(2 * phi) + 0.0012 * math.cos(4 * phi)
    east = 111.41513 * math.cos(phi) - 0.09455 * math.cos(3 * phi) + 0.00012 * math.cos(5 * phi)

    def flatten(points: np.ndarray) -> np.ndarray:
        return np.column_stack([(points[:, 0] - middle.x) * east, (points[:, 1] - middle.y) * north])

    flat = shapely.transform(shape, flatten)
    xy = flatten(np.column_stack([lon, lat]).astype(np.float64))
    west, south, right, top = flat.bounds
    far = max(limits_km)
    near = (xy[:, 0] >= west - far) & (xy[:, 0] <= right + far)
    near &= (xy[:, 1] >= south - far) & (xy[:, 1] <= top + far)
    distance = np.full(len(xy), np.inf)
    distance[near] = shapely.distance(shapely.points(xy[near]), flat)
    return tuple(float(population[distance <= limit].sum(dtype=np.float64)) for limit in limits_km)
