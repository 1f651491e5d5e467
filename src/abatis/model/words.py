"""The fixed vocabularies of abatis; every table and every array follows their order."""

from __future__ import annotations

COVER_WORDS = (
    "cropland",
    "grass",
    "shrub",
    "open_forest",
    "dense_forest",
    "wetland",
    "built_up",
    "bare",
    "water",
)
SLOPE_WORDS = ("0-10", "10-20", "20-30", "30-45", "over-45")
SLOPE_LIMITS_PERCENT = (10.0, 20.0, 30.0, 45.0)
SOIL_WORDS = ("mineral", "sand", "clay", "peat")
ROAD_WORDS = ("motorway", "main", "regional", "local", "track")
SURFACE_WORDS = ("paved", "gravel", "soft")
STRUCTURE_WORDS = ("bridge", "tunnel", "ford", "ferry")
FACILITY_WORDS = (
    "crossing",
    "dam",
    "dyke",
    "nuclear_station",
    "power_station",
    "airport",
    "hospital",
    "school",
    "port",
)
PROTECTED_WORKS = ("dam", "dyke", "nuclear_station")
SEASONS = ("dry", "mud", "frozen", "thaw")
TAG_MEANINGS = {
    "F": "found in public text",
    "F-": "found in weak or partisan text only",
    "D": "derived from found figures",
    "G": "placeholder, to be replaced by the study's author",
}
