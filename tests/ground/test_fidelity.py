"""The yardstick of travel times: least times over a raster with 8, 16 and 32 directions."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio.features
import shapely
from skimage.graph import MCP_Geometric

from abatis.ground._raster import cut_moves, list_moves, search_raster


@pytest.fixture(scope="module")
def patchy():
    random = np.random.default_rng(5)
    hours = np.kron(random.uniform(0.1, 3.0, (12, 12)), np.ones((5, 5)))
    hours[random.random(hours.shape) < 0.15] = -1.0
    hours[30, 30] = 1.0
    return hours


def test_eight_directions_are_those_of_skimage(patchy):
    expected, _ = MCP_Geometric(patchy).find_costs([(30, 30)])
    got = search_raster(patchy, 30, 30, 8)
    reached = np.isfinite(got)
    assert np.array_equal(reached, np.isfinite(expected) & (patchy > 0))
    assert np.allclose(got[reached], expected[reached], rtol=1e-12)


def test_more_directions_are_never_slower(patchy):
    eight, sixteen, most = (search_raster(patchy, 30, 30, count) for count in (8, 16, 32))
    reached = np.isfinite(eight)
    assert np.array_equal(reached, np.isfinite(most))
    assert np.all(sixteen[reached] <= eight[reached] + 1e-12)
    assert np.all(most[reached] <= sixteen[reached] + 1e-12)


@pytest.mark.parametrize(("count", "worst"), [(8, 0.0824), (16, 0.0275), (32, 0.0131)])
def test_error_on_even_ground(count, worst):
    times = search_raster(np.ones((201, 201)), 100, 100, count)
    row, column = np.mgrid[-100:101, -100:101]
    straight = np.hypot(row, column)
    far = straight > 60
    error = times[far] / straight[far] - 1
    assert error.min() > -1e-9
    assert error.max() == pytest.approx(worst, abs=5e-4)
    assert len(list_moves(count)) == count


def test_nothing_leaks_through_a_thin_wall():
    hours = np.ones((21, 21))
    hours[10, :] = -1.0
    assert np.isinf(search_raster(hours, 5, 5, 32)[11:]).all()
    hours[10, 20] = 1.0
    assert np.isfinite(search_raster(hours, 5, 5, 32)[11:]).all()


def test_moves_are_cut_to_their_whole_length():
    moves = list_moves(32)
    start, _, length = cut_moves(moves)
    assert np.allclose(np.add.reduceat(length, start[:-1]), np.hypot(*np.array(moves).T))


def test_the_search_may_end_at_its_targets(patchy):
    whole = search_raster(patchy, 30, 30, 32)
    rows, columns = np.nonzero(np.isfinite(whole))
    targets = np.column_stack([rows, columns])[[10, 200, 700]]
    short = search_raster(patchy, 30, 30, 32, targets)
    assert np.array_equal(short[tuple(targets.T)], whole[tuple(targets.T)])


@pytest.mark.parametrize("degrees", [0, 5, 10, 18, 27, 35, 45])
def test_ways_along_a_road_are_hardly_too_long(degrees):
    """Every pixel that a straight road touches is road: the way along it is no flight of stairs."""
    turn = np.radians(degrees)
    line = shapely.LineString([(20.3, 20.6), (20.3 + 200 * np.cos(turn), 20.6 + 200 * np.sin(turn))])
    road = rasterio.features.rasterize([(line, 1)], out_shape=(240, 240), all_touched=True)
    row, column = int(line.coords[1][1]), int(line.coords[1][0])
    times = search_raster(np.where(road > 0, 1.0, -1.0), 20, 20, 32)
    assert 1 - 1e-9 <= times[row, column] / np.hypot(row - 20, column - 20) < 1.015


def test_a_toll_is_paid_once_at_any_angle():
    """A river of one hour on ground where a pixel takes 0.001 h: it costs one hour however it runs."""
    for degrees in (0, 20, 45, 70):
        turn = np.radians(degrees)
        way = 100 * np.array([np.cos(turn), np.sin(turn)])
        line = shapely.LineString([(30.7 - way[0], 30.5 - way[1]), (30.7 + way[0], 30.5 + way[1])])
        river = rasterio.features.rasterize(
            [(line, 1.0)], out_shape=(61, 61), all_touched=True, dtype="float64"
        )
        across = np.round(20 * np.array([-np.sin(turn), np.cos(turn)])).astype(int)
        start, stop = (30 - across[1], 30 - across[0]), (30 + across[1], 30 + across[0])
        times = search_raster(np.full((61, 61), 1e-3), *start, 32, toll=river)
        assert times[stop] == pytest.approx(1.04, abs=0.005)
