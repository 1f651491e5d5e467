"""Packaged tables of open data: layers, what their codes mean, countries with their extracts and towns."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True)
class OpenLayer:
    """One layer of open data: how its files are cut and named, their address, licence and usual size.

    `kinds` are the layers of sources.csv that its files serve. `by` says how it is cut: `tile` (squares of
    `degrees`; rows and columns are counted from `north0` and `west0`), `region` (rows of regions.csv),
    `country` or `once`. `sparse` layers have no file where there is no land; files of a layer that `changes`
    are renewed at the same address. Files of a layer with a `key` may repeat features of their neighbours:
    the attribute `key` tells them apart. Format `zip` holds one GeoTIFF.
    """

    layer: str
    title: str
    kinds: tuple[str, ...]
    by: str
    degrees: int
    west0: float
    north0: float
    address: str
    file: str
    format: str
    key: str
    checksum: str
    changes: bool
    sparse: bool
    default: bool
    login: bool
    size_mb: float
    date: str
    class_column: str
    name_column: str
    value_column: str
    source: str
    licence: str
    attribution: str
    tag: str

    @property
    def kind(self) -> str:
        """First layer of sources.csv that it serves."""
        return self.kinds[0]


@dataclass(frozen=True)
class ClassRow:
    """What one code of a data set means: `word` of abatis, with the source and tag of that choice."""

    code: str
    word: str
    source: str
    tag: str


@dataclass(frozen=True)
class Town:
    """A town to start a study with; the first of a country is its capital."""

    country: str
    place: str
    name: str
    lon: float
    lat: float
    population: int
    kind: str
    source: str
    tag: str


@dataclass(frozen=True)
class Region:
    """One extract of a country: codes, path at the publisher, a box in degrees and sizes in MB."""

    country: str
    iso3: str
    gisco: str
    name: str
    region: str
    west: float
    south: float
    east: float
    north: float
    osm_mb: float
    population_mb: float

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in degrees."""
        return self.west, self.south, self.east, self.north

    @property
    def codes(self) -> tuple[str, ...]:
        """Every word a study may use for the country."""
        return self.country, self.iso3, self.gisco, self.name


@cache
def read_open_layers() -> Mapping[str, OpenLayer]:
    """Read the packaged table of open layers.

    Examples
    --------
    >>> read_open_layers()["landcover"].degrees
    3
    """
    return {
        row["layer"]: OpenLayer(
            layer=row["layer"],
            title=row["title"],
            kinds=tuple(row["kinds"].split()),
            by=row["by"],
            degrees=int(row["degrees"] or 0),
            west0=float(row["west0"] or 0),
            north0=float(row["north0"] or 0),
            address=row["address"],
            file=row["file"],
            format=row["format"],
            key=row["key"],
            checksum=row["checksum"],
            changes=row["changes"] == "yes",
            sparse=row["sparse"] == "yes",
            default=row["default"] == "yes",
            login=row["login"] == "yes",
            size_mb=float(row["size_mb"] or 0),
            date=row["date"],
            class_column=row["class_column"],
            name_column=row["name_column"],
            value_column=row["value_column"],
            source=row["source"],
            licence=row["licence"],
            attribution=row["attribution"],
            tag=row["tag"],
        )
        for row in _read_rows("layers.csv")
    }


@cache
def read_regions() -> tuple[Region, ...]:
    """Read the packaged table of regions."""
    return tuple(
        Region(
            country=row["country"],
            iso3=row["iso3"],
            gisco=row["gisco"],
            name=row["name"],
            region=row["region"],
            west=float(row["west"]),
            south=float(row["south"]),
            east=float(row["east"]),
            north=float(row["north"]),
            osm_mb=float(row["osm_mb"]),
            population_mb=float(row["population_mb"]),
        )
        for row in _read_rows("regions.csv")
    )


def read_classes(layer: str) -> tuple[ClassRow, ...]:
    """Read what the codes of an open layer mean; nothing for a layer without codes.

    Examples
    --------
    >>> [(row.code, row.word) for row in read_classes("landcover")][-2:]
    [('95', 'wetland'), ('100', 'grass')]
    """
    return tuple(
        ClassRow(row["code"], row["word"], row["source"], row["tag"])
        for row in _read_rows("classes.csv")
        if row["data"] == layer
    )


def read_towns(country: str) -> tuple[Town, ...]:
    """Read the packaged towns of a country, the capital first.

    Examples
    --------
    >>> read_towns("EE")[0].name
    'Tallinn'
    """
    return tuple(
        Town(
            country=row["country"],
            place=row["place"],
            name=row["name"],
            lon=float(row["lon"]),
            lat=float(row["lat"]),
            population=int(row["population"]),
            kind=row["kind"],
            source=row["source"],
            tag=row["tag"],
        )
        for row in _read_rows("places.csv")
        if row["country"] == country
    )


def list_town_countries() -> tuple[str, ...]:
    """Return the codes of all countries with packaged towns."""
    return tuple(dict.fromkeys(row["country"] for row in _read_rows("places.csv")))


def find_hostile(country: str) -> tuple[str, ...]:
    """Return the neighbours that a new study of a country starts with as hostile; a choice to be checked.

    Examples
    --------
    >>> find_hostile("LT"), find_hostile("CZ")
    (('BY', 'RU'), ())
    """
    rows = [row["hostile"].split() for row in _read_rows("neighbours.csv") if row["country"] == country]
    return tuple(rows[0]) if rows else ()


def find_regions(code: str) -> tuple[Region, ...]:
    """Find the extracts of a country by its code of two or three letters or its name.

    Examples
    --------
    >>> [one.region for one in find_regions("LTU")], find_regions("Atlantis")
    (['europe/lithuania'], ())
    """
    return tuple(one for one in read_regions() if code.lower() in {word.lower() for word in one.codes})


@cache
def _read_rows(name: str) -> tuple[dict[str, str], ...]:
    text = resources.files("abatis.ground.fetching").joinpath(name).read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))
