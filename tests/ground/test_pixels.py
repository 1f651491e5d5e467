"""Working pixels: burning, slope, shares, people."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize

from abatis.ground.build import build_mesh
from abatis.ground.pixels import PixelGrid, PixelWindow, metres_per_degree, plan_grid, prepare_shapes
from abatis.ground.sources import Area
from abatis.model.words import COVER_WORDS


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 40), st.floats(0, 30)), min_size=3, max_size=9),
    st.integers(1, 17),
)
def test_burning_agrees_with_gdal_and_with_itself_in_tiles(points, height):
    shape = shapely.make_valid(shapely.Polygon(points))
    parts = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon" and part.area > 1e-6]
    if not parts:
        return
    grid = PixelGrid(0.0, 30.0, 1.0, 1.0, 30, 40)
    shapes = prepare_shapes(grid, np.array([shapely.multipolygons(parts)]), np.array([3]))
    whole = np.zeros((30, 40), np.uint8)
    shapes.cut(PixelWindow(0, 0, 30, 40)).burn(whole, 0, 0)
    tiled = np.zeros((30, 40), np.uint8)
    for row0 in range(0, 30, height):
        for column0 in range(0, 40, height):
            part = tiled[row0 : row0 + height, column0 : column0 + height]
            shapes.cut(PixelWindow(row0, column0, *part.shape)).burn(part, row0, column0)
    assert np.array_equal(whole, tiled)
    peer = rasterize([shapely.multipolygons(parts)], (30, 40), transform=grid.transform(0), default_value=3)
    y, x = np.nonzero(whole != peer)
    border = shapely.boundary(shapely.multipolygons(parts))
    assert np.all(shapely.distance(shapely.points(x + 0.5, 29.5 - y), border) < 1e-6)


def test_holes_stay_open():
    ring = shapely.Polygon(shapely.box(2, 2, 8, 8).exterior, [shapely.box(4, 4, 6, 6).exterior])
    out = np.zeros((10, 10), np.uint8)
    grid = PixelGrid(0.0, 10.0, 1.0, 1.0, 10, 10)
    prepare_shapes(grid, np.array([ring]), np.array([1])).cut(PixelWindow(0, 0, 10, 10)).burn(out, 0, 0)
    assert out.sum() == 36 - 4
    assert out[5, 5] == 0


def test_grid_has_about_the_pixel_asked():
    grid = plan_grid(Area(20, 53, 27, 57), 100)
    east_m, north_m = metres_per_degree(55.0)
    assert grid.dlon * float(east_m) == pytest.approx(100)
    assert grid.dlat * float(north_m) == pytest.approx(100)


def cover_of(mesh, word):
    return mesh.cover[:, COVER_WORDS.index(word)].astype(float)


def test_half_of_the_ground_is_forest(make_study):
    """Forest fills the western half of home: area adds up, cells on the line are mixed, shares sum to 1."""
    forest = gpd.GeoDataFrame(
        {"class": ["dense_forest"]}, geometry=[shapely.box(23.9, 54.9, 24.1, 55.2)], crs="EPSG:4326"
    )
    mesh = build_mesh(make_study({"forest": (forest, {"class_column": "class"})}))
    assert np.allclose(mesh.cover.sum(axis=1), 1, atol=1e-6)
    dense = cover_of(mesh, "dense_forest")
    assert np.all(dense[mesh.lon < 24.09] == 1)
    assert np.all(dense[mesh.lon > 24.11] == 0)
    near = np.argmin(np.abs(mesh.lon - 24.1) + 10 * (np.abs(mesh.lat - 55.05) > 0.03))
    offset_m = (24.1 - mesh.lon[near]) * 63994
    assert dense[near] == pytest.approx(0.5 + offset_m / 800, abs=0.1)


def test_slope_classes_are_measured_in_metres(make_study, tmp_path):
    """A plane that rises 15 m per 100 m to the east is 15 % steep everywhere."""
    step = 0.0005
    columns, rows = 1400, 700
    east_m = float(metres_per_degree(55.05)[0])
    values = np.tile((np.arange(columns) * step * east_m * 0.15).astype(np.float32), (rows, 1))
    path = tmp_path / "dem.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=columns, height=rows, count=1, dtype="float32", crs="EPSG:4326",
        transform=rasterio.Affine(step, 0, 23.85, 0, -step, 55.25),
    ) as file:  # fmt: skip
        file.write(values, 1)
    mesh = build_mesh(make_study({"elevation": (path, {})}))
    assert np.all(mesh.slope[:, 1] > 0.99)
    expected = (mesh.lon - 23.85) * east_m * 0.15
    assert np.allclose(mesh.elevation_m, expected, atol=8)


def test_people_of_polygons_are_kept(make_study):
    squares = [shapely.box(24.01, 55.02, 24.1, 55.08), shapely.box(24.1, 55.02, 24.19, 55.08)]
    tiny = shapely.box(24.15, 55.05, 24.15001, 55.05001)
    people = gpd.GeoDataFrame({"n": [1234.5, 777.0, 3.0]}, geometry=[*squares, tiny], crs="EPSG:4326")
    mesh = build_mesh(make_study({"population": (people, {"value_column": "n"})}))
    assert mesh.population.sum(dtype=float) == pytest.approx(2014.5, rel=1e-6)
    west = mesh.population[(mesh.lon < 24.09)].sum(dtype=float)
    assert 0.8 * 1234.5 < west < 1234.5


def test_people_of_places_live_in_built_up_ground(make_study):
    town = gpd.GeoDataFrame(geometry=[shapely.box(24.09, 55.045, 24.11, 55.055)], crs="EPSG:4326")
    mesh = build_mesh(make_study({"built_up": (town, {})}))
    assert mesh.population.sum(dtype=float) == pytest.approx(1000, rel=1e-6)
    assert np.all(cover_of(mesh, "built_up")[mesh.population > 0] > 0)
    alone = build_mesh(make_study())
    assert (alone.population > 0).sum() == 1
    assert any("1 places have no built-up ground" in note for note in alone.assumptions)


def test_protected_share_and_soil(make_study):
    park = gpd.GeoDataFrame(geometry=[shapely.box(23.9, 54.9, 24.1, 55.2)], crs="EPSG:4326")
    soil = gpd.GeoDataFrame({"s": ["peat"]}, geometry=[shapely.box(24.1, 54.9, 24.5, 55.2)], crs="EPSG:4326")
    mesh = build_mesh(make_study({"protected": (park, {}), "soil": (soil, {"class_column": "s"})}))
    assert np.all(mesh.protected[mesh.lon < 24.09] == 1)
    assert np.all(mesh.protected[mesh.lon > 24.11] == 0)
    assert np.all(mesh.soil[mesh.lon > 24.11, 3] == 1)
    assert np.all(mesh.soil[mesh.lon < 24.09, 0] == 1)
