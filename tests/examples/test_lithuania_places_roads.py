"""Places, roads, bridges and built-up areas of the embedded example, checked on their own and together."""

from __future__ import annotations

import csv
import heapq
import json
import math
import re
from collections import Counter, defaultdict
from pathlib import Path

import geopandas as gpd
import pytest
from shapely.geometry import LineString, MultiLineString, Point, Polygon, shape
from shapely.ops import unary_union

import abatis.model

EXAMPLE = Path(abatis.model.__file__).resolve().parents[1] / "examples" / "lithuania"
Position = tuple[float, float]

# km between town centres by the usual road; general knowledge (road signs and atlases), rounded.
KNOWN_DISTANCES_KM = [
    ("vilnius", "kaunas", 102),
    ("vilnius", "klaipeda", 308),
    ("kaunas", "klaipeda", 212),
    ("vilnius", "panevezys", 136),
    ("kaunas", "marijampole", 57),
    ("vilnius", "alytus", 104),
    ("vilnius", "druskininkai", 128),
    ("siauliai", "panevezys", 79),
    ("vilnius", "utena", 97),
    ("kaunas", "siauliai", 141),
    ("marijampole", "kalvarija", 18),
    ("panemune", "taurage", 32),
    ("kaunas", "alytus", 68),
    ("kaunas", "panevezys", 110),
    ("vilnius", "ukmerge", 73),
    ("kaunas", "ukmerge", 71),
    ("siauliai", "palanga", 147),
    ("klaipeda", "palanga", 28),
    ("klaipeda", "silute", 52),
    ("siauliai", "telsiai", 72),
    ("siauliai", "joniskis", 40),
    ("panevezys", "pasvalys", 38),
    ("panevezys", "birzai", 66),
    ("panevezys", "rokiskis", 92),
    ("utena", "zarasai", 49),
    ("vilnius", "moletai", 64),
    ("vilnius", "varena", 82),
    ("vilnius", "salcininkai", 47),
    ("vilnius", "trakai", 28),
    ("kaunas", "kedainiai", 52),
    ("kaunas", "jurbarkas", 86),
    ("marijampole", "kybartai", 43),
    ("siauliai", "kelme", 43),
    ("siauliai", "taurage", 111),
    ("vilnius", "marijampole", 138),
    ("vilnius", "svencionys", 84),
    ("plunge", "telsiai", 29),
    ("mazeikiai", "telsiai", 42),
    ("kupiskis", "panevezys", 47),
    ("alytus", "lazdijai", 43),
    ("vilnius", "siauliai", 214),
    ("siauliai", "jelgava", 90),
    ("panevezys", "bauska", 88),
    ("marijampole", "suwalki", 60),
    ("ashmyany", "vilnius", 55),
    ("lida", "salcininkai", 52),
    ("grodno", "druskininkai", 45),
    ("kybartai", "chernyakhovsk", 69),
    ("daugavpils", "zarasai", 27),
]

# Two places on opposite banks of a river; general knowledge.
OPPOSITE_BANKS = [
    ("Nemunas", "jurbarkas", "sakiai"),
    ("Nemunas", "smalininkai", "sudargas"),
    ("Nemunas", "vilkija", "lekeciai"),
    ("Nemunas", "seredzius", "lekeciai"),
    ("Nemunas", "veliuona", "sakiai"),
    ("Nemunas", "raudone", "gelgaudiskis"),
    ("Nemunas", "kulautuva", "zapyskis"),
    ("Nemunas", "raudondvaris", "garliava"),
    ("Nemunas", "kaunas", "garliava"),
    ("Nemunas", "pagegiai", "sovetsk"),
    ("Nemunas", "panemune", "sovetsk"),
    ("Nemunas", "vilkyskiai", "neman"),
    ("Nemunas", "prienai", "birstonas"),
    ("Nemunas", "balbieriskis", "jieznas"),
    ("Nemunas", "alytus", "daugai"),
    ("Nemunas", "seirijai", "daugai"),
    ("Nemunas", "merkine", "leipalingis"),
    ("Nemunas", "druskininkai", "leipalingis"),
    ("Nemunas", "rumsiskes", "garliava"),
    ("Neris", "vilnius", "santaros_hospital"),
    ("Neris", "vilnius", "nemencine"),
    ("Neris", "kernave", "vievis"),
    ("Neris", "jonava", "kaisiadorys"),
    ("Neris", "karmelava", "domeikava"),
    ("Neris", "kaunas_airport", "domeikava"),
    ("Neris", "pabrade", "lavoriskes"),
    ("Neris", "smarhon", "svir"),
    ("Šventoji", "ukmerge", "sirvintos"),
    ("Šventoji", "kavarskas", "alanta"),
    ("Nevėžis", "kedainiai", "josvainiai"),
    ("Nevėžis", "raudondvaris", "domeikava"),
    ("Daugava", "daugavpils", "medumi"),
    ("Daugava", "livani", "ilukste"),
    ("Atmata", "rusne", "silute"),
]
# Two places on the same bank; general knowledge.
SAME_BANK = [
    ("Nemunas", "alytus", "prienai"),
    ("Nemunas", "merkine", "druskininkai"),
    ("Nemunas", "merkine", "varena"),
    ("Nemunas", "jurbarkas", "pagegiai"),
    ("Nemunas", "sakiai", "marijampole"),
    ("Nemunas", "jieznas", "daugai"),
    ("Neris", "kaisiadorys", "vilnius"),
    ("Neris", "kernave", "sirvintos"),
    ("Neris", "ukmerge", "jonava"),
]


def measure_km(a: Position, b: Position) -> float:
    mean = math.radians((a[1] + b[1]) / 2)
    return math.hypot((a[0] - b[0]) * 111.32 * math.cos(mean), (a[1] - b[1]) * 111.2)


def read_features(name: str) -> list[tuple[dict[str, object], object]]:
    path = EXAMPLE / "sources" / name
    if not path.exists():
        pytest.skip(f"{name} is not there yet: the checks against it are left out")
    features = json.loads(path.read_text(encoding="utf-8"))["features"]
    return [(feature["properties"], shape(feature["geometry"])) for feature in features]


@pytest.fixture(scope="module")
def places() -> dict[str, dict[str, str]]:
    with (EXAMPLE / "tables" / "places.csv").open(encoding="utf-8", newline="") as file:
        return {row["place"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def positions(places: dict[str, dict[str, str]]) -> dict[str, Position]:
    return {key: (float(row["lon"]), float(row["lat"])) for key, row in places.items()}


@pytest.fixture(scope="module")
def roads() -> list[tuple[dict[str, object], LineString]]:
    return read_features("roads.geojson")  # type: ignore[return-value]


@pytest.fixture(scope="module")
def network(roads: list[tuple[dict[str, object], LineString]]) -> dict[Position, dict[Position, float]]:
    links: dict[Position, dict[Position, float]] = defaultdict(dict)
    for _, line in roads:
        for a, b in zip(line.coords, line.coords[1:], strict=False):
            links[a][b] = links[b][a] = measure_km(a, b)
    return dict(links)


@pytest.fixture(scope="module")
def countries() -> dict[str, Polygon]:
    return {str(row["country"]): area for row, area in read_features("borders.geojson")}  # type: ignore[misc]


@pytest.fixture(scope="module")
def rivers() -> list[tuple[dict[str, object], LineString]]:
    return read_features("rivers.geojson")  # type: ignore[return-value]


@pytest.fixture(scope="module")
def bridges() -> list[tuple[dict[str, object], Point]]:
    return read_features("bridges.geojson")  # type: ignore[return-value]


def find_shortest_km(links: dict[Position, dict[Position, float]], start: Position, end: Position) -> float:
    heap = [(0.0, start)]
    done: set[Position] = set()
    while heap:
        so_far, here = heapq.heappop(heap)
        if here == end:
            return so_far
        if here in done:
            continue
        done.add(here)
        for there, step in links[here].items():
            if there not in done:
                heapq.heappush(heap, (so_far + step, there))
    return math.inf


def find_distance_to_line_km(position: Position, line: object) -> float:
    x, y = position
    scale = math.cos(math.radians(y))
    parts = line.geoms if isinstance(line, MultiLineString) else [line]
    local = [
        LineString([((u - x) * 111.32 * scale, (v - y) * 111.2) for u, v in part.coords])
        for part in parts  # type: ignore[union-attr]
    ]
    return min(part.distance(Point(0, 0)) for part in local)


def list_points(geometry: object) -> list[Position]:
    if geometry.is_empty:  # type: ignore[attr-defined]
        return []
    parts = getattr(geometry, "geoms", [geometry])
    return [(part.centroid.x, part.centroid.y) for part in parts]


# ---- places


def test_places_are_many_and_keyed_once() -> None:
    with (EXAMPLE / "tables" / "places.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    keys = [row["place"] for row in rows]
    assert [key for key, count in Counter(keys).items() if count > 1] == []
    assert [key for key in keys if not re.fullmatch(r"[a-z][a-z0-9_]*", key)] == []
    inhabited = [row for row in rows if row["country"] == "LT" and int(row["population"]) > 0]
    assert len(inhabited) >= 150
    kinds = Counter(row["kind"] for row in rows if row["country"] == "LT")
    assert kinds["airport"] == 4 and kinds["port"] == 1
    assert kinds["crossing"] >= 12 and kinds["hospital"] >= 7
    assert {row["country"] for row in rows} == {"LT", "LV", "PL", "BY", "RU"}


def test_places_have_the_columns_of_the_field_table() -> None:
    fields = Path(abatis.model.__file__).with_name("fields.csv")
    with fields.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["table"] == "places"]
    with (EXAMPLE / "tables" / "places.csv").open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        assert reader.fieldnames == [row["column"] for row in rows]
        kinds = next(set(row["choices"].split()) for row in rows if row["column"] == "kind")
        assert {row["kind"] for row in reader} <= kinds


def test_population_adds_up_to_most_of_the_towns(places: dict[str, dict[str, str]]) -> None:
    # 2021 census: 2.81 million people, about two thirds in towns; general knowledge.
    total = sum(int(row["population"]) for row in places.values() if row["country"] == "LT")
    assert 1_800_000 < total < 2_200_000


def test_every_place_lies_in_its_country(
    places: dict[str, dict[str, str]], positions: dict[str, Position], countries: dict[str, Polygon]
) -> None:
    wrong = [
        key
        for key, row in places.items()
        if row["kind"] != "crossing" and not countries[row["country"]].contains(Point(positions[key]))
    ]
    assert wrong == []


def test_crossings_lie_at_a_hostile_border(
    places: dict[str, dict[str, str]], positions: dict[str, Position], countries: dict[str, Polygon]
) -> None:
    hostile = unary_union([countries["BY"], countries["RU"]])
    shared_border = countries["LT"].boundary.intersection(hostile.buffer(0.001))
    far = {
        key: round(find_distance_to_line_km(positions[key], shared_border), 1)
        for key, row in places.items()
        if row["kind"] == "crossing"
    }
    assert {key: km for key, km in far.items() if km > 3} == {}


def count_river_crossings(
    river: str,
    start: Position,
    end: Position,
    rivers: list[tuple[dict[str, object], LineString]],
) -> int:
    course = unary_union([line for row, line in rivers if row["name"] == river])
    assert not course.is_empty, river
    return len(list_points(LineString([start, end]).intersection(course)))


@pytest.mark.parametrize(("river", "one", "other"), OPPOSITE_BANKS)
def test_places_on_opposite_banks_have_the_river_between_them(
    river: str,
    one: str,
    other: str,
    positions: dict[str, Position],
    rivers: list[tuple[dict[str, object], LineString]],
) -> None:
    assert count_river_crossings(river, positions[one], positions[other], rivers) % 2 == 1


@pytest.mark.parametrize(("river", "one", "other"), SAME_BANK)
def test_places_on_one_bank_are_not_parted_by_the_river(
    river: str,
    one: str,
    other: str,
    positions: dict[str, Position],
    rivers: list[tuple[dict[str, object], LineString]],
) -> None:
    assert count_river_crossings(river, positions[one], positions[other], rivers) % 2 == 0


# ---- roads


def test_roads_have_their_classes_and_all_main_roads(
    roads: list[tuple[dict[str, object], LineString]],
) -> None:
    assert {row["class"] for row, _ in roads} == {"motorway", "main", "regional", "local"}
    numbers = {row["number"] for row, _ in roads}
    assert {f"A{n}" for n in range(1, 19)} <= numbers
    assert len([n for n in numbers if re.fullmatch(r"1\d\d|2[0-3]\d", str(n))]) >= 90
    assert all(line.is_simple or line.is_ring for row, line in roads if row["class"] == "motorway")


def test_roads_have_a_vertex_at_least_every_eight_km(
    roads: list[tuple[dict[str, object], LineString]],
) -> None:
    longest = max(
        measure_km(a, b) for _, line in roads for a, b in zip(line.coords, line.coords[1:], strict=False)
    )
    assert longest < 8.2


def test_network_is_connected_apart_from_the_spit(network: dict[Position, dict[Position, float]]) -> None:
    left = set(network)
    parts = []
    while left:
        stack = [left.pop()]
        part = set(stack)
        while stack:
            for there in network[stack.pop()]:
                if there in left:
                    left.discard(there)
                    part.add(there)
                    stack.append(there)
        parts.append(part)
    parts.sort(key=len)
    assert len(parts) == 2
    # The spit of Neringa hangs on a ferry and on the Kaliningrad side only.
    assert all(x < 21.15 for x, _ in parts[0])


def test_every_place_lies_within_two_km_of_a_road(
    positions: dict[str, Position], roads: list[tuple[dict[str, object], LineString]]
) -> None:
    far = {}
    for key, position in positions.items():
        close = [line for _, line in roads if line.distance(Point(position)) < 0.05]
        distance = min((find_distance_to_line_km(position, line) for line in close), default=math.inf)
        if distance > 2:
            far[key] = round(distance, 1)
    assert far == {}


def test_most_towns_are_vertices_of_the_network(
    places: dict[str, dict[str, str]],
    positions: dict[str, Position],
    network: dict[Position, dict[Position, float]],
) -> None:
    towns = [key for key, row in places.items() if int(row["population"]) >= 3000]
    assert [key for key in towns if positions[key] not in network] == []


@pytest.mark.parametrize(("start", "end", "known_km"), KNOWN_DISTANCES_KM)
def test_road_distance_is_within_a_tenth_of_the_known_one(
    start: str,
    end: str,
    known_km: float,
    positions: dict[str, Position],
    network: dict[Position, dict[Position, float]],
) -> None:
    found = find_shortest_km(network, positions[start], positions[end])
    assert found == pytest.approx(known_km, rel=0.10)


def test_roads_cross_hostile_borders_only_at_crossings(
    places: dict[str, dict[str, str]],
    positions: dict[str, Position],
    roads: list[tuple[dict[str, object], LineString]],
    countries: dict[str, Polygon],
) -> None:
    crossings = [positions[key] for key, row in places.items() if row["kind"] == "crossing"]
    stray = []
    for code in ("BY", "RU"):
        border = countries["LT"].boundary.intersection(countries[code].buffer(0.0001))
        for row, line in roads:
            for point in list_points(line.intersection(border)):
                nearest = min(measure_km(point, crossing) for crossing in crossings)
                if nearest > 3:
                    stray.append((row["number"], round(point[0], 3), round(point[1], 3), round(nearest, 1)))
    assert stray == []


def test_roads_keep_out_of_lakes(roads: list[tuple[dict[str, object], LineString]]) -> None:
    wet = []
    for lake, area in read_features("water.geojson"):
        for row, line in roads:
            inside = line.intersection(area)
            parts = getattr(inside, "geoms", [inside])
            length = sum(
                measure_km(a, b)
                for part in parts
                if isinstance(part, LineString)
                for a, b in zip(part.coords, part.coords[1:], strict=False)
            )
            if length > 0.5:
                wet.append((row["number"], lake.get("name"), round(length, 1)))
    assert wet == []


# ---- bridges


def test_bridges_lie_on_their_roads(
    bridges: list[tuple[dict[str, object], Point]], roads: list[tuple[dict[str, object], LineString]]
) -> None:
    names = [str(row["name"]) for row, _ in bridges]
    assert len(names) == len(set(names)) >= 100
    assert all(10 <= int(str(row["length_m"])) <= 1500 for row, _ in bridges)
    off = []
    for row, point in bridges:
        own = [line for road, line in roads if road["number"] == row["road"]]
        if min(find_distance_to_line_km((point.x, point.y), line) for line in own) > 0.3:
            off.append(row["name"])
    assert off == []


def test_every_crossing_of_a_large_river_has_a_bridge(
    bridges: list[tuple[dict[str, object], Point]],
    roads: list[tuple[dict[str, object], LineString]],
    rivers: list[tuple[dict[str, object], LineString]],
) -> None:
    missing = []
    count = 0
    for river, course in rivers:
        if float(str(river["width_m"])) < 40:
            continue
        spans = [(b.x, b.y) for row, b in bridges if row["river"] == river["name"]]
        for row, line in roads:
            for point in list_points(line.intersection(course)):
                count += 1
                if min((measure_km(point, span) for span in spans), default=math.inf) > 2:
                    missing.append((river["name"], row["number"], round(point[0], 3), round(point[1], 3)))
    assert count >= 30
    assert missing == []


@pytest.mark.parametrize(
    "part",
    [
        "Druskininkai",
        "Merkinė",
        "Alytus",
        "Alytus Kaniūkai",
        "Prienai",
        "Aleksotas",
        "Panemunė bridge",
        "Lampėdžiai",
        "Kleboniškis",
        "Jonava",
        "Jurbarkas",
        "Queen Louise",
        "Rusnė",
        "Nemenčinė",
        "Vilnius",
        "Ukmergė",
        "Tauragė",
    ],
)
def test_well_known_bridges_are_there(part: str, bridges: list[tuple[dict[str, object], Point]]) -> None:
    assert any(part in str(row["name"]) for row, _ in bridges)


# ---- built-up areas


def test_built_up_areas_fit_their_towns(
    places: dict[str, dict[str, str]], positions: dict[str, Position], countries: dict[str, Polygon]
) -> None:
    areas = {str(row["name"]): area for row, area in read_features("built_up.geojson")}
    towns = {key: row for key, row in places.items() if int(row["population"]) > 3000}
    assert set(areas) == {row["name"] for row in towns.values()}
    faults = []
    for key, row in towns.items():
        area = areas[row["name"]]
        assert isinstance(area, Polygon)
        x, y = positions[key]
        hectares = area.area * 111.32 * 111.2 * math.cos(math.radians(y)) * 100
        persons_per_hectare = int(row["population"]) / hectares
        if not area.is_valid or not 12 <= persons_per_hectare <= 60:
            faults.append((key, "shape or density", round(persons_per_hectare)))
        if area.distance(Point(x, y)) * 90 > 1:
            faults.append((key, "away from its town", 0))
        if area.difference(countries[row["country"]].buffer(0.003)).area > 0.02 * area.area:
            faults.append((key, "in the wrong country", 0))
    assert faults == []


# ---- real data, where it is at hand


def test_towns_agree_with_natural_earth(shared_data: Path, positions: dict[str, Position]) -> None:
    table = gpd.read_file(shared_data / "natural_earth_19_29.5E_53_60N.gpkg", layer="populated_places_10m")
    keys = {"Hrodna": "grodno", "Liepaga": "liepaja"}
    # Natural Earth puts Kaunas in the northern suburbs, on the far side of the Neris.
    allowed = {"kaunas": 7.0}
    off = {}
    seen = 0
    for name, point in zip(table["nameascii"], table.geometry, strict=True):
        key = keys.get(name, name.lower())
        if key in positions:
            seen += 1
            distance = measure_km(positions[key], (point.x, point.y))
            if distance > allowed.get(key, 3.0):
                off[key] = round(distance, 1)
    assert seen >= 12
    assert off == {}


def test_long_main_road_links_agree_with_european_data(
    shared_data: Path, network: dict[Position, dict[Position, float]]
) -> None:
    edges = gpd.read_file(shared_data / "etisplus_main_roads_baltic.gpkg", layer="edges")
    found_km, known_km = [], []
    edges = edges[edges.country == "LT"]
    for line, known in zip(edges.geometry, edges.distance_km, strict=True):
        start, end = line.coords[0], line.coords[-1]
        if measure_km(start, end) < 20:
            continue
        near_start = min(network, key=lambda vertex: measure_km(vertex, start))
        near_end = min(network, key=lambda vertex: measure_km(vertex, end))
        found_km.append(find_shortest_km(network, near_start, near_end))
        known_km.append(float(known))
    assert len(found_km) >= 20
    assert sum(found_km) == pytest.approx(sum(known_km), rel=0.12)
    assert all(0.8 < a / b < 1.3 for a, b in zip(found_km, known_km, strict=True))
