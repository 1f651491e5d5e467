"""Write the study of the Suwalki-Kaliningrad region: python recipes/suwalki/prepare.py DATA STUDY."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import geopandas as gpd
import pandas as pd
import shapely

RECIPE = Path(__file__).resolve().parent
sys.path.insert(0, str(RECIPE.parent))

from study_folder import copy_recipe, read_request, tell_next  # noqa: E402

NATURAL_EARTH = "natural_earth_19_29.5E_53_60N.gpkg"
ROADS = "etisplus_main_roads_baltic.gpkg"
FILES = (
    NATURAL_EARTH,
    ROADS,
    "dem_srtm3_suwalki_19_24E_53_56N.tif",
    "dem_lithuania_grid_300x300.tif",
    "lithuania_municipalities_osm2014.geojson",
)
# West, south, east, north. Alytus lies at 24.05 E, so the box reaches a little beyond the fine elevation.
BOX = (19.0, 53.0, 24.2, 56.0)
KEPT_COUNTRIES = ("LTU", "RUS", "BLR", "POL", "LVA")
# Node numbers of the road file: Sovetsk - Panemune, Gusev - Kybartai, Suwalki - Kalvarija.
BORDER_LINKS = ((117271, 117270), (124551, 117172), (201027, 201028))


def main() -> None:
    """Copy what can be used as it is; derive borders, sea, rivers with widths, border links and towns."""
    request = read_request(FILES)
    copy_recipe(RECIPE, request, FILES)
    earth = request.data / NATURAL_EARTH
    sources = request.study / "sources"
    clip_countries(earth).to_file(sources / "borders.gpkg", driver="GPKG")
    outline_sea(earth).to_file(sources / "sea.gpkg", driver="GPKG")
    link_roads(request.data / ROADS).to_file(sources / "border_links.gpkg", driver="GPKG")
    widen_rivers(earth).to_file(sources / "rivers.gpkg", driver="GPKG")
    add_places(earth, request.study / "tables" / "places.csv")
    tell_next(request.study)


def clip_countries(earth: Path) -> gpd.GeoDataFrame:
    """Clip the countries to the box: home ends where the data ends, not where Lithuania does."""
    countries = gpd.read_file(earth, layer="admin0_countries_10m")
    countries = countries[countries["adm0_a3"].isin(KEPT_COUNTRIES)][["adm0_a3", "name", "geometry"]]
    clipped = countries.clip(shapely.box(*BOX), keep_geom_type=True)
    return clipped.sort_values("adm0_a3", ignore_index=True)


def outline_sea(earth: Path) -> gpd.GeoDataFrame:
    """Take what no country covers as sea; without it the ground beyond the coast would count as fields."""
    countries = gpd.read_file(earth, layer="admin0_countries_10m")
    west, south, east, north = BOX
    around = shapely.box(west, south, east + 1.0, north + 1.0)
    sea = shapely.difference(around, countries.geometry.union_all())
    return gpd.GeoDataFrame({"name": ["Baltic Sea and lagoons"]}, geometry=[sea], crs=countries.crs)


def link_roads(roads: Path) -> gpd.GeoDataFrame:
    """Draw the links across borders that the road file lacks, straight between two of its nodes."""
    nodes = gpd.read_file(roads, layer="nodes").set_index("node_id").geometry
    lines = [shapely.LineString([nodes[one], nodes[other]]) for one, other in BORDER_LINKS]
    return gpd.GeoDataFrame({"link": range(1, len(lines) + 1)}, geometry=lines, crs=nodes.crs)


def widen_rivers(earth: Path) -> gpd.GeoDataFrame:
    """Join both river layers and give the known rivers a width; Natural Earth has none."""
    parts = [gpd.read_file(earth, layer=layer) for layer in ("rivers_10m", "rivers_europe_10m")]
    rivers = pd.concat([part[["name", "featurecla", "geometry"]] for part in parts], ignore_index=True)
    rivers = rivers[rivers["featurecla"] == "River"].clip(shapely.box(*BOX), keep_geom_type=True)
    widths = pd.read_csv(RECIPE / "river_widths.csv").set_index("name")["width_m"]
    return rivers.assign(width_m=rivers["name"].map(widths)).sort_index()


def add_places(earth: Path, path: Path) -> None:
    """Add the populated places in the box to the recipe's own towns, unless one of these is within 10 km."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        header = list(reader.fieldnames or ())
        rows = list(reader)
    own = gpd.GeoSeries(
        gpd.points_from_xy([row["lon"] for row in rows], [row["lat"] for row in rows]), crs=4326
    )
    towns = (
        gpd.read_file(earth, layer="populated_places_10m").clip(shapely.box(*BOX)).sort_values("nameascii")
    )
    near = own.to_crs(3346).union_all().buffer(10_000.0)
    for _, town in towns[~towns.to_crs(3346).within(near)].iterrows():
        rows.append(
            {
                "place": str(town["nameascii"]).lower().replace(" ", "_"),
                "name": town["name"],
                "lon": f"{town.geometry.x:.5f}",
                "lat": f"{town.geometry.y:.5f}",
                "population": str(int(town["pop_max"])),
                "kind": "city" if town["pop_max"] >= 100_000 else "town",
                "country": town["iso_a2"],
                "source": "Natural Earth populated places 1:10m (pop_max: the wider town)",
                "tag": "F",
            }
        )
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, header, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
