"""Writing one national study: settings and tables of the country, layers of its ground and of the strip."""

from __future__ import annotations

import csv
import io
import shutil
import tomllib
from pathlib import Path

import shapely

from abatis.examples.baltic.borders import LITHUANIA, surround
from abatis.examples.baltic.drawing import DRAWN, read_drawn
from abatis.examples.baltic.layers import (
    LAYERS,
    list_places,
    select_features,
    write_features,
)
from abatis.examples.lithuania.relief import write_relief

# Values that must be the same in all countries, or their lines could not be joined.
SHARED_TABLES = ("vehicles", "speeds", "soils", "crossings", "measures", "options")
OWN_TABLES = ("fronts", "approaches", "budget", "facts", "rules")
PIXEL_DEG = 0.005
_EDGE_KM = 10.0


def write_study(package: Path, folder: Path, elevation: Path) -> None:
    """Write one study.

    Parameters
    ----------
    package : folder of the country in this package; that of the Lithuanian example for Lithuania.
    folder : study folder to write; it exists.
    elevation : the relief of the whole area.
    """
    settings = tomllib.loads((package / "study.toml").read_text(encoding="utf-8"))
    zone = surround(settings["home"][0], float(settings["strip_km"]) + _EDGE_KM)
    shutil.copyfile(package / "study.toml", folder / "study.toml")
    tables, sources = folder / "tables", folder / "sources"
    tables.mkdir()
    sources.mkdir()
    if package == LITHUANIA:
        for path in sorted((LITHUANIA / "tables").glob("*.csv")):
            shutil.copyfile(path, tables / path.name)
    else:
        _write_tables(package, tables, zone)
    for layer in ("borders", *LAYERS):
        text = write_features(select_features(layer, zone))
        (sources / f"{layer}.geojson").write_text(text, encoding="utf-8")
    shutil.copyfile(elevation, sources / "elevation.tif")
    shutil.copyfile(LITHUANIA / "sources" / "sources.csv", sources / "sources.csv")


def _write_tables(package: Path, tables: Path, zone: shapely.Geometry) -> None:
    for name in SHARED_TABLES:
        shutil.copyfile(LITHUANIA / "tables" / f"{name}.csv", tables / f"{name}.csv")
    for name in OWN_TABLES:
        shutil.copyfile(package / "tables" / f"{name}.csv", tables / f"{name}.csv")
    known = (LITHUANIA / "tables" / "classes.csv").read_text(encoding="utf-8")
    (tables / "classes.csv").write_text(known.rstrip("\n") + "\nborders,EE,EE\n", encoding="utf-8")
    rows = [row for row in list_places() if shapely.contains_xy(zone, float(row["lon"]), float(row["lat"]))]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    (tables / "places.csv").write_text(text.getvalue(), encoding="utf-8")


def write_elevation(target: Path) -> None:
    """Write the synthetic relief of the whole area, through the spot heights of both drawings.

    In words: where the Lithuanian example has a spot height within about 20 km, its own counts.
    """
    with (LITHUANIA / "sources" / "spot_heights.csv").open(encoding="utf-8", newline="") as file:
        known = list(csv.DictReader(file))
    ground = shapely.buffer(
        shapely.MultiPoint([(float(row["lon"]), float(row["lat"])) for row in known]), 0.2
    )
    added = [
        row
        for row in read_drawn("spot_heights")
        if not shapely.contains_xy(ground, float(row["lon"]), float(row["lat"]))
    ]
    joined = target.with_suffix(".csv")
    with joined.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["lon", "lat", "elevation_m", "name"], lineterminator="\n")
        writer.writeheader()
        writer.writerows([*known, *added])
    write_relief(joined, target, PIXEL_DEG)
    joined.unlink()


def list_packages() -> dict[str, Path]:
    """Return the packaged folder of each country's settings and tables, north to south."""
    here = DRAWN.parent
    return {
        "estonia": here / "estonia",
        "latvia": here / "latvia",
        "lithuania": LITHUANIA,
        "poland_ne": here / "poland_ne",
    }
