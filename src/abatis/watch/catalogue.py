"""Sensors, the posts that stand, and the figures of the watch: read and checked whole."""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import pandas as pd

from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.fields import empty_table, read_table
from abatis.model.study import Study

SENSORS, POSTS, TERMS = "tables/sensors.csv", "tables/posts.csv", "tables/watch_terms.csv"
TARGETS = ("person", "vehicle", "low_air")
KINDS = ("camera_tower", "ground_radar", "acoustic", "rf_detection", "low_air_radar")
SIGHT_KINDS = ("camera_tower", "ground_radar", "low_air_radar")
RADAR_KINDS = ("ground_radar", "low_air_radar")


@dataclass(frozen=True)
class WatchTerm:
    """One figure of the watch with unit, source and tag."""

    key: str
    value: float
    unit: str
    meaning: str
    source: str
    tag: str


WatchTerms = Mapping[str, WatchTerm]


@dataclass(frozen=True)
class Sensor:
    """One sensor of the catalogue; prices at base-year prices, one mast with its sensor.

    `range_m` holds metres by target class (TARGETS), only those that it finds.
    """

    key: str
    name: str
    kind: str
    mast_height_m: float
    cost_low_eur: float
    cost_eur: float
    cost_high_eur: float
    upkeep_eur_per_year: float
    life_years: float
    range_m: Mapping[str, float]
    detection_probability: float
    false_alarms_per_day: float
    weather_factor: float
    source: str
    tag: str

    @property
    def chance(self) -> float:
        """Probability to find a target in range and in sight, over the year's weather."""
        return self.detection_probability * self.weather_factor

    @property
    def needs_sight(self) -> bool:
        """Whether ground and trees hide targets from it; sound and radio are taken by range alone."""
        return self.kind in SIGHT_KINDS


@dataclass(frozen=True)
class StandingPost:
    """One post that stands; `renewal_year` is the year from which it is lost unless it is renewed.

    `from_deg`, `to_deg` its sector clockwise from north, 0 to 360 all round; `row` its line in posts.csv.
    """

    key: str
    name: str
    lon: float
    lat: float
    sensor: Sensor
    from_deg: float
    to_deg: float
    built_year: int
    renewal_year: int
    renewal_paid: bool
    row: int
    source: str
    tag: str

    def ages_by(self, last_year: int) -> bool:
        """Whether it is lost by the end of a year unless somebody pays for its renewal."""
        return self.renewal_year <= last_year and not self.renewal_paid


@dataclass(frozen=True)
class Sensors:
    """The catalogue: sensors in the order of the table."""

    items: tuple[Sensor, ...]

    def find(self, key: str) -> Sensor | None:
        """Return the sensor with a key, None when there is none."""
        return next((one for one in self.items if one.key == key), None)

    def list_for(self, target: str) -> tuple[Sensor, ...]:
        """Sensors that find a target class, in the order of the table."""
        return tuple(one for one in self.items if target in one.range_m)


@dataclass(frozen=True)
class Posts:
    """The posts that stand, in the order of the table."""

    items: tuple[StandingPost, ...]


@dataclass(frozen=True)
class Catalogue:
    """All tables of the watch."""

    sensors: Sensors
    posts: Posts
    terms: WatchTerms


def read_catalogue(study: Study) -> Catalogue:
    """Read all tables of the watch.

    Raises
    ------
    InputError : all faults of all of them at once.
    """
    faults: list[Fault] = []
    sensors = _collect_sensors(study, faults)
    posts = _collect_posts(study, sensors, faults)
    terms = _collect_terms(study, faults)
    _raise(faults)
    return Catalogue(sensors, posts, terms)


def read_terms(study: Study | None = None) -> WatchTerms:
    """Read the figures of the watch; rows of the study's watch_terms.csv go before the packaged ones.

    Raises
    ------
    InputError : a term that does not exist, a share outside 0 to 1, a height below 0.

    Examples
    --------
    >>> read_terms()["refraction_radar"].value
    0.25
    """
    faults: list[Fault] = []
    terms = _collect_terms(study, faults)
    _raise(faults)
    return terms


def hash_watch_tables(study: Study) -> str:
    """Return the SHA-256 over the tables of the watch, which a plan's fingerprint leaves out."""
    digest = hashlib.sha256()
    for name in (SENSORS, POSTS, TERMS):
        path = study.folder / name
        if path.exists():
            digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _raise(faults: Sequence[Fault]) -> None:
    if faults:
        raise InputError(list(dict.fromkeys(faults)))


def _read_own(study: Study, table: str, faults: list[Fault]) -> pd.DataFrame:
    """Read a table of the watch, empty when the study has none."""
    path = study.folder / "tables" / f"{table}.csv"
    if not path.exists():
        return empty_table(table)
    frame, wrong = read_table(path, table, f"tables/{table}.csv")
    faults += wrong
    return frame


def _collect_sensors(study: Study, faults: list[Fault]) -> Sensors:
    if not (study.folder / SENSORS).exists():
        remedy = "see its columns with: abatis fields sensors; the packaged example has one"
        faults.append(Fault("is missing: the watch needs sensors", SENSORS, remedy=remedy))
        return Sensors(())
    frame = _read_own(study, "sensors", faults)
    if frame.empty and not faults:
        faults.append(Fault("has no sensor", SENSORS, remedy="add at least one"))
    items = []
    for index, row in frame.iterrows():
        line = int(str(index))
        ranges = {name: float(row[f"range_{name}_m"]) for name in TARGETS}
        known = {name: metres for name, metres in ranges.items() if math.isfinite(metres)}
        if not known:
            remedy = "give a range for a person, a vehicle or low air"
            faults.append(Fault("finds nothing: no range is given", SENSORS, line, "range_vehicle_m", remedy))
        if row["cost_low_eur"] > row["cost_eur"] or row["cost_eur"] > row["cost_high_eur"]:
            remedy = "order the three values"
            faults.append(Fault("low, likely and high do not rise", SENSORS, line, "cost_eur", remedy))
        items.append(
            Sensor(
                str(row["sensor"]), str(row["name"]), str(row["kind"]), float(row["mast_height_m"]),
                float(row["cost_low_eur"]), float(row["cost_eur"]), float(row["cost_high_eur"]),
                float(row["upkeep_eur_per_year"]), float(row["life_years"]), known,
                float(row["detection_probability"]), float(row["false_alarms_per_day"]),
                float(row["weather_factor"]), str(row["source"]), str(row["tag"]),
            )
        )  # fmt: skip
    return Sensors(tuple(items))


def _collect_posts(study: Study, sensors: Sensors, faults: list[Fault]) -> Posts:
    items = []
    for index, row in _read_own(study, "posts", faults).iterrows():
        line, sensor = int(str(index)), sensors.find(str(row["sensor"]))
        if sensor is None:
            if row["sensor"]:
                remedy = nearest_word(str(row["sensor"]), [one.key for one in sensors.items])
                faults.append(Fault(f"'{row['sensor']}' is not in {SENSORS}", POSTS, line, "sensor", remedy))
            continue
        sector = _read_sector(row, line, faults)
        if pd.isna(row["built_year"]) or pd.isna(row["lon"]) or pd.isna(row["lat"]):
            continue
        built = int(row["built_year"])
        renewal = row["renewal_year"]
        year = built + math.ceil(sensor.life_years) if pd.isna(renewal) else int(renewal)
        if year < built:
            text = f"is {year}, before it was built in {built}"
            faults.append(Fault(text, POSTS, line, "renewal_year", "give the year in which it ends its life"))
        items.append(
            StandingPost(
                str(row["post"]), str(row["name"]), float(row["lon"]), float(row["lat"]), sensor,
                *sector, built, year, bool(row["renewal_paid"]), line, str(row["source"]), str(row["tag"]),
            )
        )  # fmt: skip
    return Posts(tuple(items))


def _read_sector(row: pd.Series, line: int, faults: list[Fault]) -> tuple[float, float]:
    """Directions of a sector; the second one is at most 360 degrees beyond the first."""
    first, last = float(row["from_deg"]), float(row["to_deg"])
    if math.isnan(first) and math.isnan(last):
        return 0.0, 360.0
    if math.isnan(first) or math.isnan(last):
        faults.append(Fault("is half a sector", POSTS, line, "from_deg", "give both directions, or none"))
        return 0.0, 360.0
    if first == last:
        faults.append(Fault("is an empty sector", POSTS, line, "to_deg", "leave both empty for all round"))
    return first, last


def _collect_terms(study: Study | None, faults: list[Fault]) -> WatchTerms:
    text = resources.files("abatis.watch").joinpath("watch_terms.csv").read_text(encoding="utf-8")
    terms = {
        row["term"]: WatchTerm(
            row["term"], float(row["value"]), row["unit"], row["meaning"], row["source"], row["tag"]
        )
        for row in csv.DictReader(text.splitlines())
    }
    if study is None:
        return terms
    packaged = dict(terms)
    for index, row in _read_own(study, "watch_terms", faults).iterrows():
        line, key = int(str(index)), str(row["term"])
        if key not in packaged:
            faults.append(
                Fault(f"there is no term '{key}'", TERMS, line, "term", nearest_word(key, packaged))
            )
            continue
        value, unit = float(row["value"]), packaged[key].unit
        least, most = _bound(key, unit)
        if row["unit"] != unit:
            faults.append(Fault(f"is '{row['unit']}'", TERMS, line, "unit", f"this term is in {unit}"))
        if not least <= value <= most:
            wanted = f"give {least:g} to {most:g}" if math.isfinite(most) else f"give at least {least:g}"
            faults.append(Fault(f"is {value:g}", TERMS, line, "value", wanted))
        terms[key] = WatchTerm(key, value, unit, str(row["meaning"]), str(row["source"]), str(row["tag"]))
    return terms


def _bound(key: str, unit: str) -> tuple[float, float]:
    if key.startswith("refraction_"):
        return -1.0, 1.0
    if key in ("seen_share", "route_tolerance"):
        return 0.01, 1.0
    if unit in ("share", "yes or no"):
        return 0.0, 1.0
    if key == "air_look_m":
        return 1.0, math.inf
    return (0.1 if unit == "km" else 0.0), math.inf
