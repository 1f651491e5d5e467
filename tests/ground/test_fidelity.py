"""The yardstick of travel times: least times over a raster with 8, 16 and 32 directions."""

from __future__ import annotations

import numpy as np
import pytest
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
