"""The embedded example: tables, layers that are drawn by hand, relief, and the copy to a study folder."""

import csv
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import shapely
from shapely.geometry import shape
from shapely.ops import unary_union

from abatis.examples.lithuania import is_example, write_example
from abatis.examples.lithuania.relief import read_spot_heights, shape_relief, write_relief
from abatis.ground.bearing import find_ground_factor
from abatis.model.errors import InputError
from abatis.model.fields import fields_of, read_table
from abatis.model.study import OPTIONAL_TABLES, REQUIRED_TABLES, read_study
from abatis.model.words import COVER_WORDS, ROAD_WORDS, SEASONS, SLOPE_WORDS, SOIL_WORDS, SURFACE_WORDS

EXAMPLE = Path(__file__).parents[2] / "src/abatis/examples/lithuania"
TABLES = EXAMPLE / "tables"
SOURCES = EXAMPLE / "sources"
OWN_TABLES = tuple(
    table for table in REQUIRED_TABLES + OPTIONAL_TABLES if table not in ("places", "line_terms")
)
SPEED_WORDS = {
    "base": ("open",),
    "cover": COVER_WORDS,
    "slope": SLOPE_WORDS,
    "soil": SOIL_WORDS,
    "road": ROAD_WORDS,
    "surface": SURFACE_WORDS,
    "structure": ("ford", "ferry"),
}


def load_rows(table):
    with (TABLES / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def load_features(name):
    return json.loads((SOURCES / name).read_text(encoding="utf-8"))["features"]


def measure_km2(geometry):
    """Area on a sphere by the equal-area cylinder: x = R lon, y = R sin(lat)."""

    def flatten(lonlat):
        turned = np.radians(lonlat)
        return 6371.0 * np.column_stack([turned[:, 0], np.sin(turned[:, 1])])

    return shapely.transform(geometry, flatten).area


@pytest.fixture(scope="module")
def study_folder(tmp_path_factory):
    return write_example(tmp_path_factory.mktemp("example") / "lt")


@pytest.mark.parametrize("table", OWN_TABLES)
def test_table_has_the_columns_in_order_and_good_values(table):
    with (TABLES / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        header = next(csv.reader(file))
    assert header == [field.column for field in fields_of(table)]
    frame, faults = read_table(TABLES / f"{table}.csv", table)
    assert [str(fault) for fault in faults] == []
    assert len(frame) > 0


@pytest.mark.parametrize("table", [table for table in OWN_TABLES if table != "classes"])
def test_every_row_has_source_and_tag(table):
    for row in load_rows(table):
        assert len(row["source"]) > 5, row
        assert row["tag"] in ("F", "F-", "D", "G"), row


def test_source_list_names_every_layer_once_and_its_files():
    frame, faults = read_table(SOURCES / "sources.csv", "sources")
    assert [str(fault) for fault in faults] == []
    drawn = {"borders", "water", "forest", "wetland", "built_up", "rivers", "roads", "bridges", "protected"}
    assert set(frame["layer"]) == drawn | {"elevation"}
    assert len(frame) == len(drawn) + 1
    assert set(frame["tag"]) == {"G"}
    for layer, columns in {"forest": ["class", "name"], "protected": ["kind", "name"]}.items():
        row = frame[frame["layer"] == layer].iloc[0]
        assert [row["class_column"], row["name_column"]] == columns
        assert all(set(feature["properties"]) == set(columns) for feature in load_features(row["file"]))


def test_references_between_tables_hold():
    keys = {
        table: {row[column] for row in load_rows(table)}
        for table, column in [
            ("vehicles", "vehicle"),
            ("fronts", "front"),
            ("measures", "measure"),
            ("places", "place"),
        ]
    }
    for row in load_rows("approaches"):
        assert row["vehicle"] in keys["vehicles"]
        assert row["front"] in keys["fronts"]
        assert row["objective"] in keys["places"], row
    for table in ("speeds", "crossings"):
        assert {row["vehicle"] for row in load_rows(table)} <= keys["vehicles"] | {"any"}
    units = {row["measure"]: row["unit"] for row in load_rows("measures")}
    for row in load_rows("options"):
        for column, unit in (("open_measure", "km"), ("road_measure", "site"), ("bridge_measure", "bridge")):
            assert row[column] == "" or units[row[column]] == unit, row
        assert any(row[column] for column in ("open_measure", "road_measure", "bridge_measure"))
        assert set(row["cover"].split()) <= set(COVER_WORDS)


def test_ranges_rise():
    for row in load_rows("speeds"):
        assert float(row["low"]) <= float(row["mode"]) <= float(row["high"]), row
        if row["factor"] in ("cover", "slope", "soil"):
            assert float(row["high"]) <= 1, row
    for row in load_rows("measures"):
        for columns in (
            ("unit_cost_low_eur", "unit_cost_eur", "unit_cost_high_eur"),
            ("delay_low_h", "delay_h", "delay_high_h"),
        ):
            low, mode, high = (float(row[column]) for column in columns)
            assert low <= mode <= high, row


def test_every_ground_word_has_exactly_one_speed():
    rows = load_rows("speeds")
    vehicles = [row["vehicle"] for row in load_rows("vehicles")]
    assert {"tracked", "wheeled"} <= set(vehicles)
    asked = 0
    for vehicle, season in itertools.product(vehicles, SEASONS):
        for factor, words in SPEED_WORDS.items():
            for word in words:
                fitting = [
                    row
                    for row in rows
                    if (row["factor"], row["word"]) == (factor, word)
                    and row["vehicle"] in (vehicle, "any")
                    and row["season"] in (season, "any")
                ]
                assert len(fitting) == 1, (vehicle, season, factor, word, len(fitting))
                asked += 1
    assert asked == len(vehicles) * 4 * (1 + 9 + 5 + 4 + 5 + 3 + 2)
    assert {row["word"] for row in rows} == {word for words in SPEED_WORDS.values() for word in words}


def test_crossings_cover_every_width_once_and_wider_is_never_quicker():
    rows = load_rows("crossings")
    for vehicle, season in itertools.product(["tracked", "wheeled"], SEASONS):
        fitting = sorted(
            (float(row["from_m"]), float(row["to_m"]), float(row["crossing_h"] or math.inf))
            for row in rows
            if row["vehicle"] in (vehicle, "any") and row["season"] in (season, "any")
        )
        assert fitting[0][0] == 0
        assert fitting[-1][1] == 10000
        assert fitting[-1][2] == math.inf
        for before, after in itertools.pairwise(fitting):
            assert before[1] == after[0]
            assert before[2] < after[2]


def test_approaches_are_weighed_and_fronts_are_used():
    rows = load_rows("approaches")
    assert len(rows) >= 9
    assert sum(float(row["weight"]) for row in rows) == pytest.approx(1, abs=1e-9)
    assert {row["season"] for row in rows} == set(SEASONS)
    assert {row["front"] for row in rows} == {row["front"] for row in load_rows("fronts")}


def test_every_front_holds_hostile_ground_beside_lithuania():
    ground = {}
    for feature in load_features("borders.geojson"):
        ground.setdefault(feature["properties"]["country"], []).append(shape(feature["geometry"]))
    near = unary_union(ground["LT"]).buffer(0.2)
    for row in load_rows("fronts"):
        west, south, east, north = (
            float(row[side] or free)
            for side, free in (("west", -180), ("south", -90), ("east", 180), ("north", 90))
        )
        hostile = unary_union([part for code in row["countries"].split() for part in ground[code]])
        assert measure_km2(hostile & near & shapely.box(west, south, east, north)) > 500, row["front"]


def test_budget_is_the_published_split():
    rows = {row["line"]: row for row in load_rows("budget")}
    assert sum(float(row["amount_eur"]) for row in rows.values()) == 1092e6
    assert [line for line, row in rows.items() if row["planned"] == "true"] == ["counter_mobility"]
    assert float(rows["counter_mobility"]["amount_eur"]) == 112e6


def test_facts_show_contradictions_side_by_side():
    facts = {row["fact"]: row for row in load_rows("facts")}
    assert len(facts) >= 40
    for left, right in (
        ("total_2025", "total_2024"), ("mines_2024", "mines_2026"), ("parks_18", "parks_27"),
        ("border_kaliningrad_254", "border_kaliningrad_275"), ("echelons_widths", "echelons_edges"),
    ):  # fmt: skip
        assert facts[left]["subject"] == facts[right]["subject"]
        assert "differs" in facts[left]["wording"] + facts[right]["wording"]
    tags = {row["tag"] for row in facts.values()}
    assert tags == {"F", "F-", "D", "G"}


@pytest.mark.parametrize(
    ("name", "least"), [("forest.geojson", 60), ("wetland.geojson", 25), ("protected.geojson", 20)]
)
def test_polygons_are_valid_named_and_irregular(name, least):
    features = load_features(name)
    assert len(features) >= least
    names = [feature["properties"]["name"] for feature in features]
    assert len(set(names)) == len(names)
    for feature in features:
        polygon = shape(feature["geometry"])
        assert polygon.geom_type == "Polygon"
        assert polygon.is_valid
        assert 9 <= len(polygon.exterior.coords) - 1 <= 25, feature["properties"]
        assert 2 < measure_km2(polygon) < 3000, feature["properties"]
        west, south, east, north = polygon.bounds
        assert 20 < west < east < 28
        assert 53 < south < north < 57
        assert all(round(x, 4) == x and round(y, 4) == y for x, y in polygon.exterior.coords)
    if name == "forest.geojson":
        assert {feature["properties"]["class"] for feature in features} == {"dense_forest", "open_forest"}


def test_forests_cover_about_a_third_or_less_of_lithuania():
    lithuania = unary_union(
        [shape(f["geometry"]) for f in load_features("borders.geojson") if f["properties"]["country"] == "LT"]
    )
    forest = unary_union([shape(feature["geometry"]) for feature in load_features("forest.geojson")])
    wetland = unary_union([shape(feature["geometry"]) for feature in load_features("wetland.geojson")])
    area = measure_km2(lithuania)
    assert 60_000 < area < 70_000
    assert 0.18 < measure_km2(forest & lithuania) / area < 0.33
    assert 0.01 < measure_km2(wetland & lithuania) / area < 0.07


def test_relief_passes_near_every_spot_height(study_folder):
    import rasterio

    points, heights = read_spot_heights(SOURCES / "spot_heights.csv")
    assert len(heights) >= 120
    with rasterio.open(study_folder / "sources" / "elevation.tif") as raster:
        assert raster.crs.to_epsg() == 4326
        assert raster.dtypes == ("int16",)
        assert raster.nodata == -32768
        assert raster.tags()["tag"] == "G"
        found = np.array([value[0] for value in raster.sample(points)], dtype=float)
        surface = raster.read(1)
    error = np.abs(found - heights)
    assert np.median(error) <= 5
    assert error.max() <= 15
    assert surface.min() == 0
    assert surface.max() == heights.max()


def test_relief_is_the_same_every_time_and_rolls_more_on_high_ground():
    points = np.array([[24.0, 55.5], [25.0, 55.5], [24.0, 54.5], [25.0, 54.5]])
    lon, lat = np.arange(24.0, 25.0, 0.01), np.arange(55.5, 54.5, -0.01)
    low, low_again, high = (
        shape_relief(points, np.full(4, level), lon, lat) for level in (20.0, 20.0, 280.0)
    )
    assert np.array_equal(low, low_again)
    assert 0.5 < low.std() < 5
    assert high.std() > 5 * low.std()


def test_relief_names_every_bad_row(tmp_path):
    path = tmp_path / "spot.csv"
    path.write_text("lon,lat,elevation_m,name\n24,55,ten,a\n24,55,10,b\n25,,10,c\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        write_relief(path, tmp_path / "x.tif", 0.01)
    assert [fault.row for fault in caught.value.faults] == [2, 4]
    with pytest.raises(InputError, match=r"0\.5 degrees"):
        write_relief(SOURCES / "spot_heights.csv", tmp_path / "x.tif", 0.5)
    assert not (tmp_path / "x.tif").exists()


def test_example_becomes_a_study_that_is_read_without_a_fault(study_folder):
    study = read_study(study_folder)
    assert study.name == "lithuania"
    assert study.schematic
    assert study.home == ("LT",)
    assert study.hostile == ("BY", "RU")
    assert study.outer_km == (5, 20, 50)
    assert is_example(study_folder)


def test_example_goes_over_an_earlier_copy_but_never_over_edited_tables(tmp_path):
    folder = write_example(tmp_path / "lt")
    (folder / "plans").mkdir()
    (folder / "plans" / "mine.txt").write_text("kept", encoding="utf-8")
    write_example(folder)
    assert (folder / "plans" / "mine.txt").read_text(encoding="utf-8") == "kept"
    (folder / "tables" / "budget.csv").write_text("edited", encoding="utf-8")
    with pytest.raises(InputError, match=r"budget\.csv: differs from the packaged example"):
        write_example(folder)
    assert (folder / "tables" / "budget.csv").read_text(encoding="utf-8") == "edited"
    (folder / "tables" / "budget.csv").unlink()
    write_example(folder)
    assert (folder / "tables" / "budget.csv").read_bytes() == (TABLES / "budget.csv").read_bytes()
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_example_refuses_a_folder_with_other_files(tmp_path):
    (tmp_path / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(InputError, match="holds other files"):
        write_example(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]
    with pytest.raises(InputError, match="is a file"):
        write_example(tmp_path / "letter.txt")


def test_example_stays_small():
    size = sum(
        path.stat().st_size
        for path in EXAMPLE.rglob("*")
        if "__pycache__" not in path.parts and path.is_file()
    )
    assert size < 1_500_000


def test_soils_flip_the_tank_on_peat_but_not_in_frost(study_folder):
    """Drained bog bears 98 kPa, wet peat 24.5, a tank presses 87; hard clay never stops it in dry weather."""
    study = read_study(study_folder)
    unknown = np.array([np.nan])
    factor = {
        (ground, season): float(find_ground_factor(study, "tracked", season, ground, unknown)[0])
        for ground in ("peat", "clay")
        for season in SEASONS
    }
    assert 0 < factor["peat", "dry"] < 0.2
    assert factor["peat", "mud"] == factor["peat", "thaw"] == 0
    assert factor["peat", "frozen"] == factor["clay", "frozen"] == factor["clay", "dry"] == 1
    assert 0 < factor["clay", "thaw"] < factor["clay", "mud"] < 1
