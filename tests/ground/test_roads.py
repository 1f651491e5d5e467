"""Rivers, roads and bridges on tiny meshes."""

from __future__ import annotations

import dataclasses

import geopandas as gpd
import h3.api.basic_int as h3
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from abatis.ground.bridges import find_crossings, place_bridges
from abatis.ground.build import build_mesh
from abatis.ground.gaps import EdgeGeometry, measure_m
from abatis.ground.hexgrid import build_hexgrid, label_points
from abatis.ground.rivers import compute_river_widths, split_rivers
from abatis.ground.roads import (
    Road,
    StretchMarks,
    burn_roads,
    choose_stretches,
    join_roads,
    mark_stretches,
    measure_along,
)
from abatis.ground.sources.vectors import VectorLayer
from abatis.model.words import SURFACE_WORDS

GEOD = Geod(ellps="WGS84")
CELLS = np.array(sorted(h3.grid_disk(h3.latlng_to_cell(55.05, 24.1, 8), 8)), np.uint64)
GRID = build_hexgrid(CELLS)
GEOMETRY = EdgeGeometry(GRID)
SPACING = float(GEOMETRY.distance_m.mean())
MIDDLE = int(np.searchsorted(CELLS, np.uint64(h3.latlng_to_cell(55.05, 24.1, 8))))


def lines(geometry, names=None, words=None, values=None):
    count = len(geometry)
    return VectorLayer(
        "roads",
        np.array(geometry, dtype=object),
        np.array(words or ["main"] * count, dtype=object),
        np.array(names or [""] * count, dtype=object),
        np.array(values if values is not None else [np.nan] * count, dtype=float),
        np.array(["f"] * count, dtype=object),
    )


def burn(layer):
    roads = join_roads(layer, "main")
    return roads, burn_roads(roads, GRID, GEOMETRY.neighbor, GEOMETRY.edge, SPACING)


def true_length(line):
    x, y = shapely.get_coordinates(line).T
    return GEOD.line_length(x, y)


def centre(cell):
    return GRID.lon[cell], GRID.lat[cell]


def edge_between(a, b):
    return int(GEOMETRY.edge[a][list(GEOMETRY.neighbor[a]).index(b)])


def test_geometry_of_edges_against_the_geodesic():
    a, b = GEOMETRY.edge_a, GEOMETRY.edge_b
    _, _, true = GEOD.inv(GRID.lon[a], GRID.lat[a], GRID.lon[b], GRID.lat[b])
    assert np.allclose(GEOMETRY.distance_m, true, rtol=1e-6)
    _, _, true = GEOD.inv(*GEOMETRY.ends.T)
    assert np.allclose(GEOMETRY.length_m, true, rtol=1e-6)
    for cell in (0, MIDDLE):
        ring = np.array(h3.cell_to_boundary(int(CELLS[cell])))
        area = abs(GEOD.polygon_area_perimeter(ring[:, 1], ring[:, 0])[0]) / 1e6
        assert GEOMETRY.area_km2[cell] == pytest.approx(area, rel=1e-4)


def test_a_road_over_three_cells_sums_to_its_true_length():
    neighbor = GEOMETRY.neighbor[MIDDLE]
    line = shapely.LineString([centre(neighbor[0]), centre(MIDDLE), centre(neighbor[3])])
    _, stretches = burn(lines([line]))
    assert stretches.edge.tolist() == [edge_between(neighbor[0], MIDDLE), edge_between(MIDDLE, neighbor[3])]
    assert stretches.length_m.sum() == pytest.approx(true_length(line), rel=1e-6)


def test_a_kink_neither_loses_nor_doubles_length():
    """The road dips into a side cell: its chain keeps the whole length, the side cell is a spur."""
    neighbor = GEOMETRY.neighbor[MIDDLE]
    a, b = np.array(centre(MIDDLE)), np.array(centre(neighbor[1]))
    dip = a + 0.6 * (b - a)
    line = shapely.LineString([centre(neighbor[0]), a, dip, a, centre(neighbor[3])])
    _, stretches = burn(lines([line]))
    chain = ~stretches.spur
    assert stretches.edge[chain].tolist() == [
        edge_between(neighbor[0], MIDDLE), edge_between(MIDDLE, neighbor[3])
    ]  # fmt: skip
    assert stretches.length_m[chain].sum() == pytest.approx(true_length(line), rel=1e-6)
    assert set(stretches.edge[~chain]) == {edge_between(MIDDLE, neighbor[1])}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-0.05, 0.05), st.floats(-0.03, 0.03)), min_size=2, max_size=8, unique=True)
)
def test_chains_keep_the_true_length(steps):
    """Whatever its shape, the chain of a road inside the mesh is as long as the road."""
    points = np.array([(24.1 + x, 55.05 + y) for x, y in sorted(steps)])
    if np.any(np.hypot(*np.diff(points, axis=0).T) < 1e-4):
        return
    road = Road(points, ("",) * (len(points) - 1), 1, np.zeros(len(points) - 1, np.int64))
    if np.any(label_points(GRID, *points.T) < 0):
        return
    stretches = burn_roads([road], GRID, GEOMETRY.neighbor, GEOMETRY.edge, SPACING)
    chain = ~stretches.spur
    if chain.any():
        assert stretches.length_m[chain].sum() == pytest.approx(measure_along(points)[-1], rel=1e-6)
        assert np.all(stretches.length_m > 0)


def test_cut_features_are_joined_and_the_side_road_does_not_cut():
    left, right = (24.05, 55.05), (24.15, 55.05)
    side = shapely.LineString([(24.1, 55.07), (24.1, 55.05)])
    parts = [shapely.LineString([left, (24.1, 55.05)]), shapely.LineString([right, (24.1, 55.05)]), side]
    roads, _ = burn(lines(parts, ["A1", "A1", "101"]))
    assert sorted(len(road.points) for road in roads) == [2, 3]
    whole = next(road for road in roads if len(road.points) == 3)
    assert whole.names == ("A1", "A1")


def test_the_faster_of_two_parallel_roads_is_kept():
    neighbor = GEOMETRY.neighbor[MIDDLE]
    line = shapely.LineString([centre(MIDDLE), centre(neighbor[0])])
    _, stretches = burn(lines([line, line], ["slow", "fast"], ["local", "motorway"]))
    speed = np.array([80.0, 60, 50, 40, 20])[stretches.word]
    chosen = choose_stretches(stretches, np.ones(2, bool), speed)
    assert [stretches.name[row] for row in chosen] == ["fast"]
    closed = choose_stretches(stretches, np.array([s != "fast" for s in stretches.name]), np.full(2, 50.0))
    assert [stretches.name[row] for row in closed] == ["slow"]


def widths(layer):
    rivers, _ = split_rivers(layer)
    return compute_river_widths(
        rivers, GRID, GEOMETRY.neighbor, GEOMETRY.edge, GEOMETRY.edge_a, GEOMETRY.edge_b, SPACING
    )


def test_a_river_separates_exactly_the_banks():
    line = shapely.LineString([(23.5, 55.0499), (24.7, 55.0511)])
    river_m = widths(lines([line], values=[70.0]))
    south = GRID.lat < 55.0499 + (GRID.lon - 23.5) * 0.001
    across = south[GEOMETRY.edge_a] != south[GEOMETRY.edge_b]
    assert across.any()
    assert np.array_equal(river_m > 0, across)
    assert set(river_m[across]) == {70.0}


def test_features_of_one_river_count_as_one_whatever_the_cut():
    whole = shapely.LineString([(23.5, 55.05), (24.1, 55.0512), (24.7, 55.05)])
    halves = [shapely.LineString(whole.coords[:2]), shapely.LineString(whole.coords[1:])]
    for names in (["N", "N"], ["", ""]):
        assert np.array_equal(
            widths(lines([whole], values=[30.0])), widths(lines(halves, names, None, [30.0, 30.0]))
        )


def test_a_bend_that_returns_separates_nothing():
    a, b = np.array(centre(MIDDLE)), np.array(centre(GEOMETRY.neighbor[MIDDLE][0]))
    side = np.array([-(b - a)[1], (b - a)[0]]) * 0.1
    bend = shapely.LineString([a + 0.4 * (b - a) + side, a + 0.4 * (b - a) - side, a + 0.6 * (b - a) - side,
                               a + 0.6 * (b - a) + side])  # fmt: skip
    assert widths(lines([bend], values=[30.0])).max() == 0


def bridge_case(width, bridges, told=""):
    road = shapely.LineString([(24.07, 55.03), (24.13, 55.07)])
    rivers, _ = split_rivers(lines([shapely.LineString([(23.5, 55.05), (24.7, 55.0501)])], values=[width]))
    roads, stretches = burn(lines([road]))
    crossings = find_crossings(roads, stretches, rivers)
    assert len(crossings.stretch) == 1
    count = len(stretches.edge)
    placed = place_bridges(
        stretches, crossings, np.array([told]), np.full(count, -1), np.zeros(count), bridges, SPACING, 50.0
    )
    return placed, int(crossings.stretch[0])


@pytest.mark.parametrize("bend", [55.051, 55.05, 55.049])
def test_a_road_through_the_rivers_own_vertex_crosses_once(bend):
    """Road east along 55.05; the river runs from north to south with a vertex on or near the road."""
    road = shapely.LineString([(24.07, 55.05), (24.13, 55.05)])
    river = shapely.LineString([(24.1, 55.2), (24.1, bend), (24.101, 54.9)])
    roads, stretches = burn(lines([road]))
    rivers, _ = split_rivers(lines([river], values=[20.0]))
    assert len(find_crossings(roads, stretches, rivers).stretch) == 1


def test_a_river_that_only_touches_the_road_crosses_nothing():
    road = shapely.LineString([(24.07, 55.05), (24.13, 55.05)])
    roads, stretches = burn(lines([road]))
    for side in (55.2, 54.9):
        touch = shapely.LineString([(24.08, side), (24.1, 55.05), (24.12, side)])
        rivers, _ = split_rivers(lines([touch], values=[20.0]))
        assert len(find_crossings(roads, stretches, rivers).stretch) == 0


def test_bridges_are_found_assumed_or_missed():
    near = lines([shapely.Point(24.103, 55.0505)], ["Old bridge"], values=[120.0])
    far = lines([shapely.Point(24.05, 55.05)], ["Far"], values=[120.0])
    with_bridge, at = bridge_case(90.0, near)
    assert (with_bridge.bridge_m[at], with_bridge.name[at]) == (120.0, "Old bridge")
    assert with_bridge.usable.all()
    missed, at = bridge_case(90.0, far)
    assert not missed.usable[at]
    assert missed.closed == 1
    small, at = bridge_case(25.0, far)
    assert small.bridge_m[at] == 25.0
    assert small.usable.all()
    assumed, at = bridge_case(90.0, None)
    assert (assumed.bridge_m[at], assumed.assumed, assumed.closed) == (90.0, 1, 0)


def test_what_the_road_says_goes_before_the_bridge_layer():
    """A ford is no bridge though one is near; a bridge of the road needs no bridge layer to stand."""
    near = lines([shapely.Point(24.103, 55.0505)], ["Old bridge"], ["bridge"], [120.0])
    far = lines([shapely.Point(24.05, 55.05)], ["Far"], [""], [120.0])
    for word, index in (("ford", 2), ("tunnel", 1), ("ferry", 3)):
        other, at = bridge_case(90.0, near, word)
        assert (other.bridge_m[at], other.structure[at], other.name[at]) == (0.0, index, "")
        assert other.usable.all()
        assert other.assumed == other.closed == 0
    told, at = bridge_case(90.0, far, "bridge")
    assert (told.bridge_m[at], told.structure[at], told.assumed, told.closed) == (90.0, 0, 0, 0)
    ford = lines([shapely.Point(24.103, 55.0505)], ["Wade"], ["ford"])
    waded, at = bridge_case(90.0, ford)
    assert (waded.bridge_m[at], waded.structure[at]) == (0.0, 2)
    # A ford beside the road's own bridge takes nothing from it.
    both, at = bridge_case(90.0, ford, "bridge")
    assert (both.bridge_m[at], both.structure[at]) == (90.0, 0)


def mark_turned(layer, stretches):
    """Marks of the same road drawn the other way round, in the order of the stretches given."""
    back = dataclasses.replace(layer, geometry=shapely.reverse(layer.geometry))
    roads, turned = burn(back)
    marks = mark_stretches(roads, turned, back)
    rows = [turned.edge.tolist().index(edge) for edge in stretches.edge]
    return StretchMarks(marks.surface[rows], marks.max_weight_t[rows], marks.structure[rows])


def test_marks_take_the_lowest_limit_and_the_surface_of_most_of_the_way():
    a, b = np.array(centre(MIDDLE)), np.array(centre(GEOMETRY.neighbor[MIDDLE][0]))
    c = np.array(centre(GEOMETRY.neighbor[MIDDLE][3]))
    parts = [c, a, a + 0.3 * (b - a), a + 0.4 * (b - a), b]
    drawn = lines([shapely.LineString([parts[k], parts[k + 1]]) for k in range(4)], ["A"] * 4)
    marked = {
        "surface": np.array(["gravel", "paved", "gravel", "soft"], dtype=object),
        "structure": np.array(["", "", "ford", "bridge"], dtype=object),
        "max_weight_t": np.array([44.0, np.nan, 12.0, 30.0]),
    }
    layer = dataclasses.replace(drawn, attributes=marked)
    roads, stretches = burn(layer)
    marks = mark_stretches(roads, stretches, layer)
    near = stretches.edge == edge_between(MIDDLE, GEOMETRY.neighbor[MIDDLE][0])
    assert len(near) == 2
    for one in (marks, mark_turned(layer, stretches)):
        assert one.max_weight_t[near].tolist() == [12.0]
        assert SURFACE_WORDS[one.surface[near][0]] == "soft"
        assert one.structure[near].tolist() == [2]
        # The road runs from centre to centre: the other stretch ends where the paved piece begins.
        assert one.max_weight_t[~near].tolist() == [44.0]
        assert SURFACE_WORDS[one.surface[~near][0]] == "gravel"
        assert one.structure[~near].tolist() == [-1]
    plain = mark_stretches(roads, stretches, drawn)
    assert np.all(np.isinf(plain.max_weight_t))
    assert np.all(plain.surface == -1)


def test_mesh_notes_roads_without_bridges(make_study):
    road = gpd.GeoDataFrame(
        {"class": ["main"]}, geometry=[shapely.LineString([(24.1, 55.01), (24.1, 55.09)])], crs="EPSG:4326"
    )
    river = gpd.GeoDataFrame(
        {"w": [90.0]}, geometry=[shapely.LineString([(23.9, 55.05), (24.5, 55.05)])], crs="EPSG:4326"
    )
    bridge = gpd.GeoDataFrame({"n": ["B"]}, geometry=[shapely.Point(24.18, 55.05)], crs="EPSG:4326")
    layers = {"roads": (road, {"class_column": "class"}), "rivers": (river, {"value_column": "w"})}
    open_mesh = build_mesh(make_study(layers))
    assert (open_mesh.bridge_m > 0).sum() == 1
    closed = build_mesh(make_study({**layers, "bridges": (bridge, {"name_column": "n"})}))
    assert (closed.bridge_m > 0).sum() == 0
    assert (closed.road_m > 0).sum() == (open_mesh.road_m > 0).sum() - 1
    assert any(
        "1 road crossings of rivers wider than 40 m have no bridge" in note for note in closed.assumptions
    )
    over = open_mesh.river_m > 0
    assert over.any()
    assert np.all(open_mesh.gap_m[over] == 0)


def test_measure_matches_the_geodesic_over_ten_kilometres():
    got = measure_m(np.array([24.0]), np.array([55.0]), np.array([24.1]), np.array([55.07]))
    assert got[0] == pytest.approx(GEOD.inv(24.0, 55.0, 24.1, 55.07)[2], rel=1e-6)
