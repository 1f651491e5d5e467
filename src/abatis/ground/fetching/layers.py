"""The two tables of open data: the layers and their addresses (layers.csv), countries (regions.csv)."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True)
class OpenLayer:
    """One layer of open data: how its files are cut and named, their address, licence and usual size.

    `by` says how it is cut: `tile` (squares of `degrees`, named by their south-west corner), `region`
    (rows of regions.csv), `country` (home countries) or `once`. `sparse` layers have no file where there is
    no land; files of a layer that `changes` are renewed at the same address.
    """

    layer: str
    title: str
    kind: str
    by: str
    degrees: int
    address: str
    file: str
    format: str
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
            kind=row["kind"],
            by=row["by"],
            degrees=int(row["degrees"] or 0),
            address=row["address"],
            file=row["file"],
            format=row["format"],
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


def find_regions(code: str) -> tuple[Region, ...]:
    """Find the extracts of a country by its code of two or three letters or its name.

    Examples
    --------
    >>> [one.region for one in find_regions("LTU")], find_regions("Atlantis")
    (['europe/lithuania'], ())
    """
    return tuple(one for one in read_regions() if code.lower() in {word.lower() for word in one.codes})


def _read_rows(name: str) -> list[dict[str, str]]:
    text = resources.files("abatis.ground.fetching").joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
