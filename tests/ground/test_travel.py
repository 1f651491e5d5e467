"""Times and routes on small meshes that can be checked."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from abatis.ground.travel import (
    HEX_DETOUR,
    EdgeTimes,
    compute_times,
    find_route,
    list_edges,
)
from abatis.model.errors import InputError

sys.path.insert(0, str(Path(__file__).parent))
from ground_cases import draw_times, make_disc, make_plane

# Time over cells against the straight way's, in the most and the least favourable direction.
LEAST_RATIO = 1.0 / HEX_DETOUR
MOST_RATIO = 2.0 / np.sqrt(3.0) / HEX_DETOUR


def test_constants_are_those_of_the_hexagonal_distance() -> None:
    angle = np.linspace(0.0, np.pi / 6, 200_001)
    assert pytest.approx(np.mean(np.cos(angle) + np.sin(angle) / np.sqrt(3)), rel=1e-5) == HEX_DETOUR
    assert pytest.approx(1.103, abs=5e-4) == HEX_DETOUR
    assert pytest.approx(-0.093, abs=5e-4) == LEAST_RATIO - 1
    assert pytest.approx(0.047, abs=5e-4) == MOST_RATIO - 1


def test_error_on_a_uniform_plane_is_as_stated_in_all_directions() -> None:
    mesh, x, y = make_plane(40)
    speed_kmh = 10.0
    time_h = np.full(mesh.edge_count, 1.0 / speed_kmh / HEX_DETOUR)
    middle = int(np.argmin(np.hypot(x, y)))
    times = compute_times(mesh, time_h, np.array([middle]))
    away = np.hypot(x, y)
    ratio = times[away > 0] / (away[away > 0] / speed_kmh)
    assert ratio.min() == pytest.approx(LEAST_RATIO, rel=1e-12)
    assert ratio.max() == pytest.approx(MOST_RATIO, rel=1e-12)
    ring = (away > 31) & (away < 34)
    direction = np.degrees(np.arctan2(y[ring], x[ring]))
    assert len(np.unique(direction.round())) > 300, "nearly all directions are covered"
    assert np.mean(times[ring] / (away[ring] / speed_kmh)) == pytest.approx(1.0, abs=0.01)


def test_route_adds_up_to_its_time() -> None:
    mesh = make_disc(20)
    time_h = draw_times(mesh, np.random.default_rng(2))
    sources = np.array([3, 99])
    times = compute_times(mesh, time_h, sources)
    for start in np.flatnonzero(np.isfinite(times))[::50]:
        route = find_route(mesh, time_h, times, int(start))
        assert route[0] == start and route[-1] in sources
        total = time_h[list_edges(mesh, route)].sum() if len(route) > 1 else 0.0
        assert total == pytest.approx(times[start], rel=1e-12)
    with pytest.raises(InputError, match="do not belong"):
        find_route(mesh, time_h * 1.01, times, int(np.nanargmax(np.where(np.isfinite(times), times, -1))))


def test_slower_edges_never_shorten_a_time() -> None:
    mesh = make_disc(20)
    random = np.random.default_rng(3)
    time_h = draw_times(mesh, random)
    before = compute_times(mesh, time_h, np.array([0]))
    slow = time_h + np.where(random.random(mesh.edge_count) < 0.2, 2.0, 0.0)
    after = compute_times(mesh, slow, np.array([0]))
    assert (after >= before).all() and (after > before).any()
    # Time scales with time.
    np.testing.assert_allclose(compute_times(mesh, 3 * time_h, np.array([0])), 3 * before, rtol=1e-12)


def test_faults_name_what_is_wrong() -> None:
    mesh = make_disc(2)
    with pytest.raises(InputError, match="2 edges have no valid time, the first is edge 1"):
        EdgeTimes(np.array([1.0, -1.0, np.nan]), np.array([1.0, 1.0, 1.0]))
    with pytest.raises(InputError, match="shape"):
        EdgeTimes(np.ones(2), np.ones(3))
    with pytest.raises(InputError, match="edges"):
        compute_times(mesh, np.ones(3), np.array([0]))
    with pytest.raises(InputError, match="19 cells"):
        compute_times(mesh, np.ones(mesh.edge_count), np.array([19]))
    closed = np.full(mesh.edge_count, np.inf)
    times = compute_times(mesh, closed, np.array([0]))
    with pytest.raises(InputError, match="cannot be reached"):
        find_route(mesh, closed, times, 5)
