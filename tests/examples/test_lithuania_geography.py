"""Checks on the drawn geography of the Lithuanian example: borders, rivers and lakes.

The length of the border with Kaliningrad is measured over the whole line, from the meeting point with Poland
at Vistytis to the sea side of the Curonian Spit: land, rivers, lagoon and spit.
"""

from __future__ import annotations

import json
from collections import defaultdict
from importlib import resources
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from pyproj import Geod, Transformer
from shapely.geometry import LineString, MultiLineString, Point, Polygon, shape

GEOD = Geod(ellps="WGS84")
TO_METRES = Transformer.from_crs(4326, 3346, always_xy=True)
SOURCES = resources.files("abatis.examples") / "lithuania" / "sources"
NATURAL_EARTH = "natural_earth_19_29.5E_53_60N.gpkg"
NATURAL_EARTH_NAMES = {"BY": "Belarus", "LV": "Latvia", "PL": "Poland", "RU": "Russia"}
LAGOON = "Kuršių marios"

# Where a river ends: another river, a lake of the water layer, the sea, or the rim of the drawn strip.
MOUTHS = {
    "Nemunas": "Atmata", "Atmata": LAGOON, "Skirvytė": LAGOON, "Gilija (Matrosovka)": LAGOON,
    "Deimena (Deyma)": LAGOON, "Akmena-Danė": LAGOON, "Šventoji (pajūrio)": "sea",
    "Bartuva": "Liepājas ezers",
    "Minija": "Atmata", "Šyša": "Atmata", "Veiviržas": "Minija",
    "Neris": "Nemunas", "Merkys": "Nemunas", "Šešupė": "Nemunas", "Jūra": "Nemunas", "Dubysa": "Nemunas",
    "Mituva": "Nemunas", "Nevėžis": "Nemunas", "Verknė": "Nemunas", "Strėva": "Nemunas",
    "Baltoji Ančia": "Nemunas", "Czarna Hańcza": "Nemunas", "Gauja": "Nemunas",
    "Beržūna (Berezina)": "Nemunas",
    "Dzitva": "Nemunas", "Katra (Kotra)": "Nemunas", "Tilžė (Tylzha)": "Nemunas",
    "Akmena (Jūros)": "Jūra", "Šešuvis": "Jūra", "Šušvė": "Nevėžis",
    "Šventoji": "Neris", "Žeimena": "Neris", "Vilnia": "Neris", "Vokė": "Neris",
    "Ašmenka (Ashmyanka)": "Neris",
    "Srauta (Stracha)": "Neris", "Siesartis": "Šventoji", "Širvinta": "Šventoji", "Virinta": "Šventoji",
    "Lakaja": "Žeimena", "Kretuona": "Žeimena", "Šalčia": "Merkys", "Ūla": "Merkys",
    "Rausvė": "Šešupė", "Liepona": "Širvinta (Šešupės)", "Širvinta (Šešupės)": "Šešupė",
    "Mūša": "Lielupė", "Nemunėlis": "Lielupė", "Svētė": "Lielupė", "Lėvuo": "Mūša", "Tatula": "Mūša",
    "Kruoja": "Mūša", "Apaščia": "Nemunėlis", "Virvytė": "Venta", "Vadakstis": "Venta", "Dabikinė": "Venta",
    "Birvėta": "Dysna", "Laukesa": "Daugava",
    "Isrutis (Instruch)": "Prieglius (Pregolya)", "Angerapė (Angrapa)": "Prieglius (Pregolya)",
    "Pisa (Pissa)": "Angerapė (Angrapa)", "Kanał Augustowski": "Czarna Hańcza", "Marycha": "Czarna Hańcza",
    "Rospuda": "Necko",
    "Lielupė": "rim", "Venta": "rim", "Dysna": "rim", "Daugava": "rim", "Prieglius (Pregolya)": "rim",
    "Biebrza": "rim",
}  # fmt: skip

# River features that are the border over their whole length, with the two countries.
BORDER_RIVERS = {
    ("Nemunas", 300.0, "LT", "RU"),
    ("Nemunas", 250.0, "LT", "RU"),
    ("Skirvytė", 250.0, "LT", "RU"),
    ("Šešupė", 45.0, "LT", "RU"),
    ("Širvinta (Šešupės)", 15.0, "LT", "RU"),
    ("Nemunėlis", 35.0, "LT", "LV"),
    ("Vadakstis", 15.0, "LT", "LV"),
    ("Dysna", 25.0, "LT", "BY"),
}

# Lakes that lie in more than one country; every other lake lies in the country given by its own place.
BORDER_LAKES = {
    LAGOON: {"LT", "RU"},
    "Drūkšiai": {"LT", "BY"},
    "Vištytis": {"LT", "RU"},
    "Galadusys (Gaładuś)": {"LT", "PL"},
    "Richi (Ryču)": {"LV", "BY"},
}
FOREIGN_LAKES = {
    "PL": {"Wigry", "Hańcza", "Serwy", "Necko", "Sajno", "Białe Augustowskie"},
    "BY": {"Narach", "Svir", "Myastro", "Batorino", "Vishnevskoye", "Dryvyaty", "Snudy", "Strusta",
           "Boginskoye", "Nespish", "Voyso"},
    "LV": {"Liepājas ezers", "Papes ezers", "Sventes ezers", "Saukas ezers", "Drīdzis", "Višķu ezers",
           "Ārdavs", "Zebrus"},
    "RU": set(),
}  # fmt: skip


def read_features(name: str) -> list[tuple[dict[str, Any], Any]]:
    collection = json.loads((SOURCES / name).read_text(encoding="utf-8"))
    return [(item["properties"], shape(item["geometry"])) for item in collection["features"]]


@pytest.fixture(scope="module")
def countries() -> dict[str, Polygon]:
    return {properties["country"]: geometry for properties, geometry in read_features("borders.geojson")}


@pytest.fixture(scope="module")
def rivers() -> dict[str, list[tuple[float, LineString]]]:
    parts = defaultdict(list)
    for properties, geometry in read_features("rivers.geojson"):
        parts[properties["name"]].append((float(properties["width_m"]), geometry))
    return dict(parts)


@pytest.fixture(scope="module")
def lakes() -> dict[str, tuple[float, Polygon]]:
    return {
        properties["name"]: (properties["area_km2"], geometry)
        for properties, geometry in read_features("water.geojson")
    }


def measure_area_km2(polygon: Any) -> float:
    return abs(GEOD.geometry_area_perimeter(polygon)[0]) / 1e6


def list_edges(polygon: Polygon) -> set[frozenset[tuple[float, ...]]]:
    rings = [polygon.exterior, *polygon.interiors]
    return {frozenset(edge) for ring in rings for edge in pairwise(ring.coords)}


def list_shared_edges(first: Polygon, second: Polygon) -> MultiLineString:
    return MultiLineString([list(edge) for edge in list_edges(first) & list_edges(second)])


def measure_length_km(lines: Any) -> float:
    return GEOD.geometry_length(lines) / 1e3


def project(geometry: Any) -> Any:
    return shapely.transform(geometry, lambda c: np.column_stack(TO_METRES.transform(c[:, 0], c[:, 1])))


def measure_gaps_km(points_of: Any, target: Any) -> np.ndarray:
    """Distance of every vertex of one projected geometry to another, km."""
    points = shapely.points(shapely.get_coordinates(points_of))
    return np.asarray(shapely.distance(points, target)) / 1e3


# Files


@pytest.mark.parametrize("name", ["borders.geojson", "rivers.geojson", "water.geojson"])
def test_files_are_small_valid_and_in_the_area(name: str) -> None:
    text = (SOURCES / name).read_text(encoding="utf-8")
    assert len(text.encode()) < 150_000
    for properties, geometry in read_features(name):
        assert geometry.is_valid, properties
        assert geometry.is_simple, properties
        coordinates = shapely.get_coordinates(geometry)
        assert coordinates[:, 0].min() >= 19 and coordinates[:, 0].max() <= 28.5, properties
        assert coordinates[:, 1].min() >= 53 and coordinates[:, 1].max() <= 57.5, properties
        assert np.array_equal(coordinates, coordinates.round(4)), properties


# Borders


def test_countries_are_all_there(countries: dict[str, Polygon]) -> None:
    assert set(countries) == {"LT", "BY", "RU", "PL", "LV"}
    assert all(isinstance(polygon, Polygon) for polygon in countries.values())


def test_lithuania_has_its_area(countries: dict[str, Polygon]) -> None:
    assert measure_area_km2(countries["LT"]) == pytest.approx(65_300, rel=0.01)


@pytest.mark.parametrize(
    ("country", "least_km", "most_km"),
    [
        ("BY", 679 * 0.97, 679 * 1.03),
        ("RU", 255 * 0.97, 275 * 1.03),
        ("LV", 588 * 0.97, 588 * 1.03),
        ("PL", 104 * 0.97, 104 * 1.03),
    ],
)
def test_borders_have_their_length(
    countries: dict[str, Polygon], country: str, least_km: float, most_km: float
) -> None:
    length_km = measure_length_km(list_shared_edges(countries["LT"], countries[country]))
    assert least_km <= length_km <= most_km


def test_countries_leave_no_gap_and_do_not_overlap(countries: dict[str, Polygon]) -> None:
    for (first, a), (second, b) in combinations(countries.items(), 2):
        assert measure_area_km2(a.intersection(b)) <= 0.5, (first, second)
    union = shapely.union_all(list(countries.values()))
    assert isinstance(union, Polygon), "the countries do not hang together"
    assert len(union.interiors) == 0, "there is a hole between the countries"


def test_every_border_edge_of_lithuania_is_shared_or_coast(countries: dict[str, Polygon]) -> None:
    own = list_edges(countries["LT"])
    neighbors = [list_edges(polygon) for code, polygon in countries.items() if code != "LT"]
    owners = [sum(edge in edges for edges in neighbors) for edge in own]
    assert set(owners) == {0, 1}
    coast = MultiLineString([list(edge) for edge, count in zip(own, owners, strict=True) if not count])
    merged = shapely.line_merge(coast)
    assert isinstance(merged, LineString), "the coast is not one line, so some border edge is not shared"
    west, south, east, north = merged.bounds
    assert west > 20.9 and east < 21.15 and south > 55.2 and north < 56.1
    assert 85 < measure_length_km(merged) < 100


@pytest.mark.parametrize(("first", "second"), [("LV", "BY"), ("PL", "BY"), ("PL", "RU")])
def test_neighbors_share_their_own_borders(countries: dict[str, Polygon], first: str, second: str) -> None:
    shared = list_shared_edges(countries[first], countries[second])
    touching = countries[first].intersection(countries[second])
    assert measure_length_km(shared) > 50
    assert measure_length_km(shared) == pytest.approx(measure_length_km(touching), rel=1e-6)


def test_strip_reaches_sixty_kilometres(countries: dict[str, Polygon]) -> None:
    union = project(shapely.union_all(list(countries.values())))
    lithuania = project(countries["LT"])
    # 55 km beyond the border everything that is not drawn has to be the Baltic Sea.
    open_water = lithuania.buffer(55_000).difference(union.buffer(100))
    back = Transformer.from_crs(3346, 4326, always_xy=True)
    for part in getattr(open_water, "geoms", [open_water]):
        lon, lat = back.transform(part.representative_point().x, part.representative_point().y)
        assert lon < 21.1 and lat > 54.9, (lon, lat)


@pytest.mark.parametrize("country", ["BY", "LV", "PL", "RU"])
def test_land_borders_follow_natural_earth(
    countries: dict[str, Polygon],
    lakes: dict[str, tuple[float, Polygon]],
    shared_data: Path,
    country: str,
) -> None:
    geopandas = pytest.importorskip("geopandas")
    lines = geopandas.read_file(shared_data / NATURAL_EARTH, layer="boundary_lines_land_10m")
    pair = {"Lithuania", NATURAL_EARTH_NAMES[country]}
    wanted = [{a, b} == pair for a, b in zip(lines.adm0_left, lines.adm0_right, strict=True)]
    reference = project(shapely.union_all(lines.geometry[wanted].to_numpy()))
    own = list_shared_edges(countries["LT"], countries[country]).difference(
        lakes[LAGOON][1]
    )  # the line across the lagoon is not a land border
    assert measure_gaps_km(project(own), reference).max() <= 3.0
    whole = project(list_shared_edges(countries["LT"], countries[country]))
    assert measure_gaps_km(shapely.segmentize(reference, 300), whole).max() <= 3.0


def test_natural_earth_boundary_lies_near_the_drawn_one(
    countries: dict[str, Polygon], lakes: dict[str, tuple[float, Polygon]], shared_data: Path
) -> None:
    geopandas = pytest.importorskip("geopandas")
    table = geopandas.read_file(shared_data / NATURAL_EARTH, layer="admin0_countries_10m")
    country = table.geometry[table.adm0_a3 == "LTU"].iloc[0]
    # Natural Earth leaves the lagoon out of the country, the drawn polygon holds it: use its shore too.
    drawn = project(countries["LT"]).boundary.union(project(lakes[LAGOON][1]).boundary)
    reference = shapely.segmentize(project(country).boundary, 300)
    assert measure_gaps_km(reference, drawn).max() <= 3.0


# Rivers


def test_rivers_are_many_and_have_widths(rivers: dict[str, list[tuple[float, LineString]]]) -> None:
    assert len(rivers) >= 40
    assert set(rivers) == set(MOUTHS)
    assert all(5 <= width_m <= 500 for parts in rivers.values() for width_m, _ in parts)


def test_river_parts_follow_one_another_downstream(
    rivers: dict[str, list[tuple[float, LineString]]],
) -> None:
    for name, parts in rivers.items():
        for (_, upper), (_, lower) in pairwise(parts):
            assert upper.coords[-1] == lower.coords[0], name
        widths = [width_m for width_m, _ in parts]
        # Widths grow downstream; the Nemunas shrinks below its reservoir and where the Gilija leaves it.
        assert widths == sorted(widths) or name == "Nemunas", name


def test_rivers_have_fine_structure(rivers: dict[str, list[tuple[float, LineString]]]) -> None:
    for name, parts in rivers.items():
        for _, line in parts:
            steps = [GEOD.geometry_length(LineString(edge)) for edge in pairwise(line.coords)]
            assert max(steps) < 2_600, name


def test_rivers_reach_their_mouth(
    rivers: dict[str, list[tuple[float, LineString]]],
    lakes: dict[str, tuple[float, Polygon]],
    countries: dict[str, Polygon],
) -> None:
    rim = shapely.union_all(list(countries.values())).boundary
    for name, mouth in MOUTHS.items():
        if mouth in rivers:
            target: Any = shapely.union_all([line for _, line in rivers[mouth]])
        elif mouth in lakes:
            target = lakes[mouth][1]
        else:
            target = rim
        end = Point(rivers[name][-1][1].coords[-1])
        limit_km = 6.0 if mouth == "rim" else 1.5
        assert project(end).distance(project(target)) / 1e3 <= limit_km, (name, mouth)


def test_coastal_rivers_end_at_the_sea_and_not_at_the_inland_rim(countries: dict[str, Polygon]) -> None:
    coast = [river for river, mouth in MOUTHS.items() if mouth == "sea"]
    assert coast
    ends = {p["name"]: g.coords[-1] for p, g in read_features("rivers.geojson")}
    for name in coast:
        assert ends[name][0] < 21.12, name


@pytest.mark.parametrize(("name", "width_m", "first", "second"), sorted(BORDER_RIVERS))
def test_border_rivers_use_the_vertices_of_the_border(
    rivers: dict[str, list[tuple[float, LineString]]],
    countries: dict[str, Polygon],
    name: str,
    width_m: float,
    first: str,
    second: str,
) -> None:
    border = list_edges(countries[first]) & list_edges(countries[second])
    found = False
    for width, line in rivers[name]:
        edges = {frozenset(edge) for edge in pairwise(line.coords)}
        found = found or (width == width_m and edges <= border)
    assert found


# Lakes


def test_lakes_are_many_and_have_their_published_area(lakes: dict[str, tuple[float, Polygon]]) -> None:
    assert sum(area_km2 >= 4 for area_km2, _ in lakes.values()) >= 45
    for name, (area_km2, polygon) in lakes.items():
        assert measure_area_km2(polygon) == pytest.approx(area_km2, rel=0.1), name


def test_lakes_lie_in_the_right_country(
    lakes: dict[str, tuple[float, Polygon]], countries: dict[str, Polygon]
) -> None:
    home = {name: code for code, names in FOREIGN_LAKES.items() for name in names}
    for name, (_, polygon) in lakes.items():
        shares = {code: measure_area_km2(polygon.intersection(land)) for code, land in countries.items()}
        touched = {code for code, share in shares.items() if share > 0}
        assert touched == BORDER_LAKES.get(name, {home.get(name, "LT")}), name
        assert sum(shares.values()) == pytest.approx(measure_area_km2(polygon), abs=0.1), name


def test_lakes_do_not_overlap(lakes: dict[str, tuple[float, Polygon]]) -> None:
    for (first, (_, a)), (second, (_, b)) in combinations(lakes.items(), 2):
        assert not a.intersects(b), (first, second)


def test_lithuania_holds_its_part_of_the_border_lakes(
    lakes: dict[str, tuple[float, Polygon]], countries: dict[str, Polygon]
) -> None:
    # Lithuanian part, known values: lagoon about 413 km2, Druksiai about 36 km2, Vistytis below 1 km2.
    for name, low_km2, high_km2 in [(LAGOON, 370, 455), ("Drūkšiai", 29, 40), ("Vištytis", 0, 2)]:
        assert low_km2 <= measure_area_km2(lakes[name][1].intersection(countries["LT"])) <= high_km2, name


def test_big_lakes_lie_where_natural_earth_has_them(
    lakes: dict[str, tuple[float, Polygon]], shared_data: Path
) -> None:
    geopandas = pytest.importorskip("geopandas")
    layer = geopandas.read_file(shared_data / NATURAL_EARTH, layer="lakes_europe_10m")
    more = geopandas.read_file(shared_data / NATURAL_EARTH, layer="lakes_10m")
    reference = [project(geometry) for geometry in [*layer.geometry, *more.geometry]]
    for name in ["Kauno marios", "Drūkšiai", "Dysnai", "Dusia", "Narach", "Svir", "Wigry"]:
        center = project(lakes[name][1].centroid)
        assert min(center.distance(item.centroid) for item in reference) <= 2_500, name
