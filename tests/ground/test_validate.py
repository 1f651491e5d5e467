"""The table of `abatis validate` on ground small enough to check by eye, and on meshes made wrong on purpose.

Home H is 24.0 to 24.2 E, hostile X 24.2 to 24.4 E, both 55.0 to 55.1 N; of X the mesh keeps 4 km. 0.2 degrees
of longitude are 12.79 km, 0.1 degrees of latitude 11.13 km.
"""

from __future__ import annotations

from dataclasses import fields, replace

import geopandas as gpd
import h3.api.basic_int as h3
import numpy as np
import pytest
import shapely

from abatis.ground.build import build_mesh
from abatis.ground.comparison import Comparison, compare_numbers
from abatis.ground.fidelity import validate_mesh
from abatis.ground.lengths import HEXAGON_FACTOR
from abatis.ground.raster_times import compare_times, draw_windows, place_cells
from abatis.ground.raster_window import WindowReader, price_window
from abatis.ground.sources import Area
from abatis.ground.truth import burn, read_truth
from abatis.model.mesh import Mesh
from abatis.model.words import COVER_WORDS

DEGREE_KM = 63.92  # along the parallel of 55.05 N
USE = ("tracked", "dry")
PLACES = (
    "place,name,lon,lat,population,kind,country,source,tag\n"
    "town,Town,24.16,55.05,0,town,H,s,G\nvillage,Village,24.06,55.05,0,village,H,s,G\n"
)


def silent(stage: str, share: float) -> None:
    assert 0 <= share <= 1, stage


def make_layer(geometry, **columns) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(columns, geometry=geometry, crs="EPSG:4326")


@pytest.fixture
def layers():
    """Forest in the west of H, a main road along 55.05 N, a local one north of it twice, people, a river."""
    return {
        "landcover_areas": (
            make_layer([shapely.box(23.9, 54.9, 24.5, 55.2)], code=["grass"]),
            {"class_column": "code"},
        ),
        "forest": (
            make_layer([shapely.box(24.0, 55.0, 24.05, 55.1)], code=["open_forest"]),
            {"class_column": "code"},
        ),
        "roads": (
            make_layer(
                [
                    shapely.LineString([(24.02, 55.05), (24.18, 55.05)]),
                    shapely.LineString([(24.03, 55.075), (24.18, 55.075)]),
                    shapely.LineString([(24.18, 55.075), (24.03, 55.075)]),
                ],
                code=["main", "local", "local"],
            ),
            {"class_column": "code"},
        ),
        "population": (
            make_layer([shapely.box(24.08, 55.03, 24.12, 55.05)], people=[4000]),
            {"value_column": "people"},
        ),
        "rivers": (
            make_layer([shapely.LineString([(24.11, 54.95), (24.11, 55.15)])], name=["Upe"], wide=[20.0]),
            {"name_column": "name", "value_column": "wide"},
        ),
    }


@pytest.fixture
def built(make_study, layers):
    study = make_study(layers, places=PLACES)
    return study, build_mesh(study)


def validate(study, mesh, windows: int = 0) -> dict[tuple[str, str], Comparison]:
    return {(row.check, row.subject): row for row in validate_mesh(study, mesh, silent, windows)}


def list_missed(rows: dict[tuple[str, str], Comparison]) -> set[tuple[str, str]]:
    return {key for key, row in rows.items() if not row.fits}


def test_a_true_mesh_fits(built):
    rows = validate(*built)
    assert list_missed(rows) == set()
    # 11 km of border are fewer than 30 cells of resolution 8: too few to compare.
    assert {row.check for row in rows.values()} == {
        "area", "cover", "people", "roads covered", "roads on edges", "rivers covered", "rivers on edges",
    }  # fmt: skip


def test_sources_are_those_drawn(built):
    rows = validate(*built)
    home = 0.2 * DEGREE_KM * 11.134
    assert rows["area", "H"].source == pytest.approx(home, rel=1e-3)
    assert rows["area", "X"].source == pytest.approx(4.0 * 11.134, rel=0.01)
    assert rows["people", "all ground"].source == pytest.approx(4000)
    assert rows["people", "H"].mesh == pytest.approx(4000, rel=1e-4)
    assert rows["cover", "open forest"].source == pytest.approx(home / 4, rel=0.06)
    assert rows["roads covered", "main, all ground"].source == pytest.approx(0.16 * DEGREE_KM, rel=1e-3)
    # Drawn there and back, it is one road.
    assert rows["roads covered", "local, all ground"].source == pytest.approx(0.15 * DEGREE_KM, rel=2e-3)
    assert "1 lines drawn twice" in rows["roads covered", "local, all ground"].note
    assert rows["rivers covered", "all"].source == pytest.approx(11.13, rel=2e-3)


def test_mesh_numbers_are_those_of_the_mesh(built):
    study, mesh = built
    rows = validate(study, mesh)
    assert rows["area", "X"].mesh == pytest.approx(float(mesh.area_km2[mesh.country == 1].sum()))
    main = mesh.road_class == 1
    assert rows["roads on edges", "main, all ground"].mesh == pytest.approx(
        float(mesh.road_m[main].sum()) / 1000
    )
    wet = float(mesh.length_m[mesh.river_m > 0].sum()) / 1000
    assert rows["rivers on edges", "all"].mesh == pytest.approx(wet / HEXAGON_FACTOR)
    between = mesh.country[mesh.edge_a] != mesh.country[mesh.edge_b]
    sides = float(mesh.length_m[between].sum()) / 1000
    assert sides / HEXAGON_FACTOR == pytest.approx(11.13, rel=0.12)


def test_a_straight_border_is_seen_in_its_length(make_study):
    study = make_study(resolution=9)
    row = validate(study, build_mesh(study))["border", "H - X"]
    assert row.source == pytest.approx(11.13, rel=0.03)
    assert row.fits
    assert "all bends 11 km" in row.note


def test_doubled_people_are_caught(built):
    study, mesh = built
    rows = validate(study, replace(mesh, population=2 * mesh.population))
    assert list_missed(rows) == {("people", "all ground"), ("people", "H")}
    assert rows["people", "H"].difference_percent == pytest.approx(100, abs=0.1)


def test_a_lost_road_class_is_caught(built):
    study, mesh = built
    lost = np.where(mesh.road_class == 1, -1, mesh.road_class).astype(np.int8)
    rows = validate(study, replace(mesh, road_class=lost))
    assert list_missed(rows) == {
        ("roads covered", "main, all ground"),
        ("roads on edges", "main, all ground"),
    }
    assert rows["roads on edges", "main, all ground"].difference_percent == pytest.approx(-100)


def test_halved_road_lengths_are_caught(built):
    study, mesh = built
    rows = validate(study, replace(mesh, road_m=mesh.road_m / 2))
    assert ("roads on edges", "main, all ground") in list_missed(rows)
    assert ("roads covered", "main, all ground") not in list_missed(rows)


def test_dropped_cells_of_a_country_are_caught(built):
    study, mesh = built
    rows = validate(study, keep_cells(mesh, mesh.country == 0))
    missed = list_missed(rows)
    assert ("area", "X") in missed
    assert ("area", "H") not in missed
    assert rows["area", "X"].difference_percent == pytest.approx(-100)


def test_swapped_cover_is_caught(built):
    study, mesh = built
    swapped = np.array(mesh.cover)
    grass, forest = COVER_WORDS.index("grass"), COVER_WORDS.index("open_forest")
    swapped[:, [grass, forest]] = swapped[:, [forest, grass]]
    missed = list_missed(validate(study, replace(mesh, cover=swapped)))
    assert missed == {("cover", "grass"), ("cover", "open forest")}


def test_lost_rivers_are_caught(built):
    study, mesh = built
    missed = list_missed(validate(study, replace(mesh, river_m=0 * mesh.river_m)))
    assert missed == {("rivers covered", "all"), ("rivers on edges", "all")}


def test_a_moved_border_is_caught(make_study):
    """The comb that every second column of cells makes is far longer than the border."""
    study = make_study(resolution=9)
    mesh = build_mesh(study)
    comb = np.where((mesh.lon > 24.15) & (np.round(mesh.lat / 0.008) % 2 == 0), 1, mesh.country)
    assert ("border", "H - X") in list_missed(validate(study, replace(mesh, country=comb.astype(np.int8))))


def keep_cells(mesh: Mesh, keep: np.ndarray) -> Mesh:
    """The mesh without some of its cells."""
    edges = keep[mesh.edge_a] & keep[mesh.edge_b]
    row, number = np.cumsum(keep) - 1, np.cumsum(edges) - 1
    values = {}
    for field in fields(mesh):
        value = getattr(mesh, field.name)
        if isinstance(value, np.ndarray):
            value = value[keep] if len(value) == mesh.cell_count else value[edges]
            if field.name in ("edge_a", "edge_b"):
                value = row[value].astype(np.int32)
        values[field.name] = value
    for name, kept, new in (("neighbor", keep, row), ("edge", edges, number)):
        old = values[name]
        values[name] = np.where((old >= 0) & kept[old], new[old], -1).astype(np.int32)
    return Mesh(**values)


class TestTimes:
    """Times on plain grass, 30 km/h x 0.7 = 21 km/h; the two places lie 0.1 degrees = 6.39 km apart."""

    @pytest.fixture
    def plain(self, make_study):
        def make(**extra):
            grass = make_layer([shapely.box(23.9, 54.9, 24.5, 55.2)], code=["grass"])
            layers = {"landcover_areas": (grass, {"class_column": "code"}), **extra}
            study = make_study(layers, places=PLACES, resolution=9)
            mesh = build_mesh(study)
            return study, mesh, read_truth(study, mesh, silent)

        return make

    def search(self, study, mesh, truth) -> float:
        from abatis.ground._raster import search_raster

        cells = np.array([find_row(mesh, 24.06, 55.05), find_row(mesh, 24.16, 55.05)])
        with WindowReader(study, truth, mesh) as reader:
            window = reader.read(Area(24.02, 55.02, 24.19, 55.08), 20.0)
        hours, toll, road = price_window(study, truth, mesh, window, USE)
        one, other = place_cells(mesh, window, cells, hours, toll, road)
        return float(search_raster(hours, *one.tolist(), 32, other[None], toll)[tuple(other)])

    def test_straight_line_over_plain_ground(self, plain):
        found = self.search(*plain())
        assert found == pytest.approx(0.1 * DEGREE_KM / 21, rel=0.06)

    def test_a_river_costs_its_crossing(self, plain):
        dry = self.search(*plain())
        line = shapely.LineString([(24.113, 54.95), (24.107, 55.15)])
        river = make_layer([line], name=["Upe"], wide=[20.0])
        wet = self.search(*plain(rivers=(river, {"name_column": "name", "value_column": "wide"})))
        # tables/crossings.csv: tracked, 10 to 30 m: 0.25 h.
        assert wet - dry == pytest.approx(0.25, abs=0.01)

    def test_a_road_bridges_a_river_that_closes_all_else(self, plain):
        line = shapely.LineString([(24.113, 54.95), (24.107, 55.15)])
        river = make_layer([line], name=["Upe"], wide=[55.0])
        columns = {"name_column": "name", "value_column": "wide"}
        assert np.isinf(self.search(*plain(rivers=(river, columns))))
        road = make_layer([shapely.LineString([(24.05, 55.05), (24.17, 55.05)])], code=["main"])
        bridged = self.search(*plain(rivers=(river, columns), roads=(road, {"class_column": "code"})))
        # tables/speeds.csv: tracked on main roads 36 km/h.
        assert bridged == pytest.approx(0.1 * DEGREE_KM / 36, rel=0.06)

    def test_a_bridge_layer_without_a_bridge_there_closes_the_road(self, plain):
        line = shapely.LineString([(24.113, 54.95), (24.107, 55.15)])
        river = (
            make_layer([line], name=["Upe"], wide=[55.0]),
            {"name_column": "name", "value_column": "wide"},
        )
        road = make_layer([shapely.LineString([(24.05, 55.05), (24.17, 55.05)])], code=["main"])
        roads = (road, {"class_column": "code"})
        away = (make_layer([shapely.Point(24.11, 55.09)], name=["Tiltas"]), {"name_column": "name"})
        there = (make_layer([shapely.Point(24.11, 55.05)], name=["Tiltas"]), {"name_column": "name"})
        assert np.isinf(self.search(*plain(rivers=river, roads=roads, bridges=away)))
        assert np.isfinite(self.search(*plain(rivers=river, roads=roads, bridges=there)))

    def test_mesh_and_raster_agree(self, plain):
        study, mesh, truth = plain()
        rows = {(r.check, r.subject): r for r in compare_times(study, truth, mesh, 2, lambda share: None)}
        median = rows["times", "tracked, dry, median"]
        assert median.fits
        assert 0.1 < median.source < 1.0
        assert rows["ways", "tracked, dry"].mesh == rows["ways", "tracked, dry"].source > 10

    def test_slow_edges_are_caught(self, plain):
        study, mesh, truth = plain()
        slow = replace(mesh, distance_m=2 * mesh.distance_m)
        truth = replace(truth, spacing_m=float(mesh.distance_m.mean()))
        rows = {(r.check, r.subject): r for r in compare_times(study, truth, slow, 2, lambda share: None)}
        assert not rows["times", "tracked, dry, median"].fits
        assert rows["times", "tracked, dry, median"].difference_percent == pytest.approx(100, abs=10)

    def test_closed_edges_are_caught(self, plain):
        """A wall of closed edges that the sources do not know: pairs on its two sides lose their way."""
        study, mesh, truth = plain()
        west = mesh.lon < 24.11
        wall = west[mesh.edge_a] != west[mesh.edge_b]
        walled = replace(mesh, gap_m=np.where(wall, 0, mesh.gap_m).astype(np.float32))
        rows = {(r.check, r.subject): r for r in compare_times(study, truth, walled, 2, lambda share: None)}
        assert not rows["ways", "tracked, dry"].fits
        assert rows["ways", "tracked, dry"].mesh < rows["ways", "tracked, dry"].source

    def test_windows_follow_the_seed(self, plain):
        study, mesh, truth = plain()
        time_h = np.ones(mesh.edge_count)

        def draw(seed: int) -> list[list[int]]:
            blocks = draw_windows(study, truth, mesh, 3, time_h, np.random.default_rng(seed))
            return [block.tolist() for block in blocks]

        assert draw(1) == draw(1)
        assert draw(1) != draw(2)
        assert len(draw(1)) == 3

    def test_ground_too_small_for_a_window_says_nothing(self, make_study):
        borders = make_layer(
            [shapely.box(24.0, 55.0, 24.03, 55.02), shapely.box(24.03, 55.0, 24.06, 55.02)],
            country=["H", "X"],
        )
        study = make_study(borders=borders, places=PLACES.replace("24.16,55.05", "24.01,55.01"))
        mesh = build_mesh(study)
        truth = read_truth(study, mesh, silent)
        assert compare_times(study, truth, mesh, 2, lambda share: None) == []


def find_row(mesh: Mesh, lon: float, lat: float) -> int:
    return int(np.searchsorted(mesh.cells, np.uint64(h3.latlng_to_cell(lat, lon, 9))))


def test_people_of_places_and_of_a_raster(make_study, tmp_path):
    import rasterio

    study = make_study()
    mesh = build_mesh(study)
    rows = validate(study, mesh)
    assert rows["people", "H"].source == 1000
    assert rows["people", "H"].fits
    path = tmp_path / "people.tif"
    values = np.zeros((40, 90), np.float32)
    values[20, 20] = 500  # 24.10 E, 55.05 N
    values[20, 80] = 70  # 24.40 E, on ground of X that the mesh does not keep
    transform = rasterio.Affine(0.005, 0, 23.9975, 0, -0.005, 55.1525)
    with rasterio.open(
        path, "w", driver="GTiff", width=90, height=40, count=1, dtype="float32", crs="EPSG:4326",
        transform=transform,
    ) as file:  # fmt: skip
        file.write(values, 1)
    study = make_study({"population": (str(path), {})})
    rows = validate(study, build_mesh(study))
    assert rows["people", "all ground"].source == 500
    assert rows["people", "all ground"].fits
    assert rows["people", "all ground"].note == "sum of pixels"


def test_zones_are_cut_at_the_border(make_study):
    """A zone across the border of H and X, a third of it in X."""
    zone = make_layer([shapely.box(24.18, 55.03, 24.21, 55.06)], people=[900])
    study = make_study({"population": (zone, {"value_column": "people"})})
    rows = validate(study, build_mesh(study))
    assert rows["people", "H"].source == pytest.approx(600, rel=1e-6)
    assert rows["people", "X"].source == pytest.approx(300, rel=1e-6)
    assert rows["people", "H"].fits


def test_difference_of_nothing():
    assert compare_numbers("c", "s", "u", (0.0, 0.0), 1.0).fits
    assert not compare_numbers("c", "s", "u", (1.0, 0.0), 1.0).fits
    assert compare_numbers("c", "s", "u", (80.0, 100.0), (-20.5, 5.0)).fits


def test_burning_is_cut_at_the_strip_without_a_trace(make_study):
    """A polygon over several strips gives the same pixels in one piece and in strips."""
    study = make_study()
    truth = read_truth(study, build_mesh(study), silent)
    shape = np.array([shapely.Point(24.1, 55.05).buffer(0.03)])
    whole = np.zeros(truth.country.shape, np.uint8)
    burn(whole, truth.grid, 0, shape, np.array([7]))
    strips = np.zeros_like(whole)
    for row0 in range(0, len(strips), 13):
        burn(strips[row0 : row0 + 13], truth.grid, row0, shape, np.array([7]))
    assert whole.any()
    assert np.array_equal(whole, strips)
