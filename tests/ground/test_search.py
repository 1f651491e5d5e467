"""The compiled searches give exactly what scipy's Dijkstra gives."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from abatis.ground import _query as query
from abatis.ground import _search as search
from abatis.model.mesh import Mesh

sys.path.insert(0, str(Path(__file__).parent))
from ground_cases import cut_through, draw_times, make_disc

DISCS = {radius: make_disc(radius) for radius in (2, 6, 15, 50)}


def ask_scipy(mesh: Mesh, time_h: np.ndarray, sources: np.ndarray) -> np.ndarray:
    open_edge = np.isfinite(time_h)
    a, b, t = mesh.edge_a[open_edge], mesh.edge_b[open_edge], time_h[open_edge]
    graph = csr_matrix((np.r_[t, t], (np.r_[a, b], np.r_[b, a])), shape=(mesh.cell_count, mesh.cell_count))
    return np.asarray(dijkstra(graph, indices=sources, min_only=True))


def search_everywhere(
    mesh: Mesh, time_h: np.ndarray, sources: np.ndarray, limit_h: float = np.inf, factor: float = 1.0
) -> tuple[np.ndarray, int]:
    times = np.empty(mesh.cell_count)
    width = search.find_bucket_width(time_h) * factor
    slot_h = search.gather_times(mesh.edge, time_h)
    handled = search.search_all(mesh.neighbor, slot_h, sources.astype(np.int32), limit_h, width, times)
    return times, handled


@pytest.mark.parametrize("radius", [2, 6, 15, 50])
@pytest.mark.parametrize("closed", [0.0, 0.3, 0.7])
def test_all_times_equal_scipy(radius: int, closed: float) -> None:
    mesh = DISCS[radius]
    random = np.random.default_rng(radius)
    time_h = draw_times(mesh, random, closed)
    # A few delays far beyond one round of the buckets.
    time_h[random.random(mesh.edge_count) < 0.05] += 1000.0
    sources = np.unique(random.integers(0, mesh.cell_count, 3))
    expected = ask_scipy(mesh, time_h, sources)
    if closed == 0.7:
        assert np.isinf(expected).any()
    for factor in (0.01, 0.25, 1.0, 8.0, 1e6):
        times, handled = search_everywhere(mesh, time_h, sources, factor=factor)
        np.testing.assert_allclose(times, expected, rtol=1e-12)
        assert handled >= np.isfinite(expected).sum()


def test_limit_stops_the_search() -> None:
    mesh = DISCS[50]
    time_h = draw_times(mesh, np.random.default_rng(1))
    whole, all_handled = search_everywhere(mesh, time_h, np.array([100]))
    limit = float(np.median(whole[np.isfinite(whole)]))
    times, handled = search_everywhere(mesh, time_h, np.array([100]), limit)
    assert (times == np.where(whole <= limit, whole, np.inf)).all()
    assert handled < 0.7 * all_handled


@pytest.mark.parametrize("seed", range(5))
def test_guided_search_equals_dijkstra_and_returns_its_route(seed: int) -> None:
    mesh = DISCS[50]
    random = np.random.default_rng(seed)
    time_h = draw_times(mesh, random)
    target = np.array([int(random.integers(mesh.cell_count))])
    guide = search_everywhere(mesh, time_h, target)[0]
    slowed = time_h * random.uniform(1.0, 1.5, time_h.size)
    sources = random.integers(0, mesh.cell_count, 4).astype(np.int32)
    came = np.empty(mesh.cell_count, np.int8)
    expected = ask_scipy(mesh, slowed, sources)[target[0]]
    time, last, handled = search.search_to(mesh.neighbor, mesh.edge, slowed, sources, guide, came)
    assert time == pytest.approx(expected, rel=1e-12)
    route = search.trace_back(mesh.neighbor, came, last)
    assert route[0] in sources and route[-1] == target[0]
    total = 0.0
    for a, b in pairwise(route):
        total += slowed[mesh.edge[a][mesh.neighbor[a] == b][0]]
    assert total == pytest.approx(expected, rel=1e-12)
    assert handled < mesh.cell_count


def test_no_way_is_infinite() -> None:
    mesh = DISCS[6]
    time_h = np.full(mesh.edge_count, np.inf)
    guide = np.zeros(mesh.cell_count)
    guide[:] = 1.0
    guide[5] = 0.0
    came = np.empty(mesh.cell_count, np.int8)
    time, last, _ = search.search_to(mesh.neighbor, mesh.edge, time_h, np.array([0], np.int32), guide, came)
    assert time == np.inf and last == -1


@pytest.mark.parametrize("radius", [6, 50])
def test_forest_numbers_hold_exactly_the_cells_behind(radius: int) -> None:
    mesh = DISCS[radius]
    time_h = draw_times(mesh, np.random.default_rng(3), 0.4)
    times = search_everywhere(mesh, time_h, np.array([7, 11]))[0]
    slot = search.point_back(mesh.neighbor, mesh.edge, time_h, times)
    enter, leave = np.empty(mesh.cell_count, np.int32), np.empty(mesh.cell_count, np.int32)
    count = search.number_tree(mesh.neighbor, slot, times, enter, leave)
    reached = np.isfinite(times)
    assert count == reached.sum()
    assert sorted(enter[reached].tolist()) == list(range(count))
    assert (enter[~reached] == -1).all()
    random = np.random.default_rng(4)
    for cell in random.choice(np.flatnonzero(reached), 20):
        behind = set()
        for other in np.flatnonzero(reached):
            if cell in search.follow(mesh.neighbor, slot, other):
                behind.add(int(other))
        assert behind == set(np.flatnonzero((enter >= enter[cell]) & (enter < leave[cell])).tolist())


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.floats(0.02, 0.6), factor=st.sampled_from([1.5, 10.0, np.inf]))
def test_repair_equals_a_full_search(seed: int, share: float, factor: float) -> None:
    mesh = DISCS[15]
    random = np.random.default_rng(seed)
    fast = draw_times(mesh, random)
    sources = np.unique(random.integers(0, mesh.cell_count, 3))
    changed = cut_through(mesh, random, share)
    slow = fast.copy()
    slow[changed] *= factor
    before, after = search_everywhere(mesh, fast, sources)[0], search_everywhere(mesh, slow, sources)[0]
    slot = search.point_back(mesh.neighbor, mesh.edge, fast, before)
    enter, leave = np.empty(mesh.cell_count, np.int32), np.empty(mesh.cell_count, np.int32)
    search.number_tree(mesh.neighbor, slot, before, enter, leave)
    _, starts, stops = query.list_cut(changed, mesh.edge, mesh.edge_a, mesh.edge_b, slot, enter, leave)
    mended = before.copy()
    affected = search.mark_ranges(enter, starts, stops)
    assert (after[~affected] == before[~affected]).all()
    handled = search.repair_longer(mesh.neighbor, mesh.edge, slow, affected, mended)
    assert (mended == after).all()
    assert handled <= affected.sum()
    search.repair_shorter(mesh.neighbor, mesh.edge, fast, mesh.edge_a, mesh.edge_b, changed, mended)
    assert (mended == before).all()
