"""Write the study of Tartu County: python recipes/tartu/prepare.py DATA STUDY."""

from __future__ import annotations

import sys
from pathlib import Path

import geopandas as gpd
import shapely

RECIPE = Path(__file__).resolve().parent
sys.path.insert(0, str(RECIPE.parent))

from study_folder import copy_recipe, read_request, tell_next  # noqa: E402

COUNTY = "tartu_county_estonia.gpkg"
FILES = (COUNTY, "dem_30m_porijogi_estonia.tif")
# Easting in EPSG:3301. The ground east of it plays the side that movement comes from: no real border.
DIVIDE_M = 686_000.0
FAR_M = 1e7


def main() -> None:
    """Copy the data and draw the test division."""
    request = read_request(FILES)
    copy_recipe(RECIPE, request, FILES)
    borders = request.study / "sources" / "borders.geojson"
    divide_ground(request.data / COUNTY).to_file(borders, driver="GeoJSON")
    tell_next(request.study)


def divide_ground(county: Path) -> gpd.GeoDataFrame:
    """Cut the ground that land cover is known of by a north-south line; a schematic division for tests."""
    cover = gpd.read_file(county, layer="corine_2012", columns=[])
    # A metre out and back closes the hairline cracks between neighbouring polygons.
    ground = cover.geometry.buffer(1.0).union_all().buffer(-1.0)
    home = shapely.clip_by_rect(ground, 0.0, 0.0, DIVIDE_M, FAR_M)
    east = shapely.clip_by_rect(ground, DIVIDE_M, 0.0, FAR_M, FAR_M)
    parts = gpd.GeoDataFrame({"country": ["EE", "XX"]}, geometry=[home, east], crs=cover.crs)
    return parts.to_crs("EPSG:4326")


if __name__ == "__main__":
    main()
