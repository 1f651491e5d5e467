"""Woods strewn by chance between the named forests, so that each country has about its share of forest."""

from __future__ import annotations

import math
import random
from functools import cache

import shapely

from abatis.examples.baltic.borders import assemble_countries, surround
from abatis.examples.baltic.drawing import KM_PER_DEG, Path2, draw_oval

# Share of places on the net that carry a wood; chosen so that Estonia and Latvia come to about half forest.
WOODED = {"EE": 0.95, "LV": 0.95, "RU": 0.9, "BY": 0.6, "PL": 0.5}
NET_KM = 7.0
LONG_KM, WIDE_KM = (4.5, 9.0), (3.0, 6.0)
# So far around Lithuania its own example draws the woods.
DRAWN_KM = 30.0
_SEED = 20251122


@cache
def strew_woods() -> tuple[Path2, ...]:
    """Return ovals of woods on the ground where the Lithuanian example draws no woods, EPSG:4326.

    In words: a net of points 7 km apart, each shifted by chance; by chance again it carries a wood or not.

    Examples
    --------
    >>> len(strew_woods()) > 1000
    True
    """
    drawn = surround("LT", DRAWN_KM)
    chance = random.Random(_SEED)
    woods = []
    for country, share in WOODED.items():
        ground = shapely.difference(assemble_countries()[country], drawn)
        shapely.prepare(ground)
        west, south, east, north = ground.bounds
        row_deg = NET_KM / KM_PER_DEG
        for row in range(math.ceil((north - south) / row_deg)):
            lat = south + row * row_deg
            column_deg = row_deg / math.cos(math.radians(lat))
            for column in range(math.ceil((east - west) / column_deg)):
                # All draws are made for every point: a change of one border leaves other woods in place.
                shift_lon, shift_lat, luck = chance.random(), chance.random(), chance.random()
                long_km, wide_km = chance.uniform(*LONG_KM), chance.uniform(*WIDE_KM)
                bearing_deg = chance.uniform(0, 180)
                center = (west + (column + shift_lon) * column_deg, lat + shift_lat * row_deg)
                if luck < share and shapely.contains_xy(ground, *center):
                    name = f"{country}-{row}-{column}"
                    woods.append(draw_oval(center, long_km, wide_km, bearing_deg, name, 0.2))
    return tuple(woods)
