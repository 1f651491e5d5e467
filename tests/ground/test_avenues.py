"""Avenues, shared stretches and chokepoints: small meshes checked by eye, networkx, and laws."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abatis.ground.avenues import (
    find_avenues,
    find_separate_avenues,
    find_shared_stretches,
    mark_near,
    measure_displacement_km,
    measure_route_km,
)
from abatis.ground.chokepoints import (
    Betweenness,
    add_betweenness,
    compute_betweenness,
    pick_chokepoints,
    round_times,
)
from abatis.ground.travel import HEX_DETOUR, EdgeTimes, compute_times, list_edges
from abatis.model.errors import InputError

sys.path.insert(0, str(Path(__file__).parent))
from ground_cases import draw_times, make_disc, make_plane, wrap_mesh

STEPS = ((1, 0), (0, 1), (-1, 1), (-1, 0), (0, -1), (1, -1))


def make_patch(places):
    """A mesh of regular hexagons at the given (a, b), and the row of each."""
    row_of = {place: row for row, place in enumerate(places)}
    neighbor = np.array([[row_of.get((a + p, b + q), -1) for p, q in STEPS] for a, b in places], np.int32)
    x = np.array([a + 0.5 * b for a, b in places]) / 60.0
    y = np.array([b * np.sqrt(0.75) for _, b in places]) / 110.0 + 55.0
    mesh = wrap_mesh(np.arange(len(places), dtype=np.uint64), x, y, neighbor, 1000.0)
    return mesh, row_of


def make_rhombus(width, height):
    return make_patch([(a, b) for a in range(width) for b in range(height)])


def enumerate_shares(mesh, time_h, sources, target):
    """The definition, word for word: every shortest route listed by networkx."""
    graph = nx.Graph()
    for edge, (a, b) in enumerate(zip(mesh.edge_a.tolist(), mesh.edge_b.tolist(), strict=True)):
        if np.isfinite(time_h[edge]):
            graph.add_edge(a, b, weight=round(time_h[edge] * 1024), edge=edge)
    graph.add_nodes_from(range(mesh.cell_count))
    cell, edge_share = np.zeros(mesh.cell_count), np.zeros(mesh.edge_count)
    counted = [int(one) for one in sources if nx.has_path(graph, int(one), target)]
    for start in counted:
        routes = list(nx.all_shortest_paths(graph, start, target, weight="weight"))
        for route in routes:
            cell[route] += 1 / len(routes) / len(counted)
            for pair in pairwise(route):
                edge_share[graph.edges[pair]["edge"]] += 1 / len(routes) / len(counted)
    return cell, edge_share


class TestBetweenness:
    def test_three_ways_through_a_small_rhombus(self):
        """From (2, 1) to (0, 0) three ways tie: two pass (1, 1), two pass (1, 0), one each the corners."""
        mesh, row = make_rhombus(3, 2)
        share = compute_betweenness(mesh, np.full(mesh.edge_count, 0.1), [row[2, 1]], row[0, 0])
        wanted = {(0, 0): 1, (1, 0): 2 / 3, (2, 0): 1 / 3, (0, 1): 1 / 3, (1, 1): 2 / 3, (2, 1): 1}
        assert {place: share.cell[one] for place, one in row.items()} == pytest.approx(wanted)
        assert share.edge[list_edges(mesh, np.array([row[2, 0], row[1, 0]]))] == pytest.approx(1 / 3)

    def test_more_routes_than_any_number_of_the_machine_holds(self):
        """1,200 rhombi in a chain make 2^1200 routes; half of them pass either side of each."""
        length = 1200
        places = [(i, i) for i in range(length + 1)]
        places += [(i + 1, i) for i in range(length)] + [(i, i + 1) for i in range(length)]
        mesh, row = make_patch(places)
        share = compute_betweenness(mesh, np.full(mesh.edge_count, 0.1), [row[length, length]], 0)
        assert (share.cell[: length + 1] == 1.0).all()
        assert (share.cell[length + 1 :] == 0.5).all()

    @settings(max_examples=40, deadline=None)
    @given(seed=st.integers(0, 10_000), steps=st.integers(1, 4))
    def test_equals_the_list_of_all_shortest_routes(self, seed, steps):
        """Times of few sizes make many ties; networkx lists every route."""
        random = np.random.default_rng(seed)
        mesh = make_disc(3, holes=0.1)
        time_h = random.integers(1, steps + 1, mesh.edge_count) / 8.0
        time_h[random.random(mesh.edge_count) < 0.1] = np.inf
        target = int(random.integers(mesh.cell_count))
        sources = np.unique(random.integers(0, mesh.cell_count, 6))
        if not np.isfinite(compute_times(mesh, time_h, np.array([target]))[sources]).any():
            with pytest.raises(InputError, match="no way"):
                compute_betweenness(mesh, time_h, sources, target)
            return
        share = compute_betweenness(mesh, time_h, sources, target)
        cell, edge = enumerate_shares(mesh, time_h, sources, target)
        np.testing.assert_allclose(share.cell, cell, atol=1e-13)
        np.testing.assert_allclose(share.edge, edge, atol=1e-13)

    @settings(max_examples=25, deadline=None)
    @given(seed=st.integers(0, 10_000))
    def test_laws(self, seed):
        """What enters a cell leaves it; shares times hours add up to the mean time; the target has all."""
        random = np.random.default_rng(seed)
        mesh = make_disc(12)
        time_h = np.round(draw_times(mesh, random, 0.05), int(random.integers(1, 4))) + 0.001
        target = int(random.integers(mesh.cell_count))
        sources = np.unique(random.integers(0, mesh.cell_count, 30))
        share = compute_betweenness(mesh, time_h, sources, target)
        times = compute_times(mesh, round_times(time_h), np.array([target]))
        starts = sources[np.isfinite(times[sources])]
        assert share.cell[target] == pytest.approx(1.0)
        assert share.cell.min() >= 0 and share.edge.min() >= 0 and share.cell.max() <= 1 + 1e-12
        used = share.edge > 0
        hours = (share.edge[used] * round_times(time_h)[used]).sum()
        assert hours == pytest.approx(times[starts].mean(), rel=1e-12)
        later = times[mesh.edge_a] < times[mesh.edge_b]
        head, tail = np.where(later, mesh.edge_a, mesh.edge_b), np.where(later, mesh.edge_b, mesh.edge_a)
        own = np.zeros(mesh.cell_count)
        own[starts] = 1 / starts.size
        entering = np.bincount(head, share.edge, mesh.cell_count)
        leaving = np.bincount(tail, share.edge, mesh.cell_count)
        np.testing.assert_allclose(share.cell, own + entering, atol=1e-12)
        others = np.arange(mesh.cell_count) != target
        np.testing.assert_allclose(share.cell[others], leaving[others], atol=1e-12)

    def test_a_door_between_two_rooms_has_share_one(self):
        mesh, x, _ = make_plane(8)
        time_h = np.full(mesh.edge_count, 0.1)
        wall = (x[mesh.edge_a] > 0.1) != (x[mesh.edge_b] > 0.1)
        door = np.flatnonzero(wall)[3]
        time_h[wall] = np.inf
        time_h[door] = 0.1
        share = compute_betweenness(mesh, time_h, np.flatnonzero(x < -5), int(np.argmax(x)))
        assert share.edge[door] == pytest.approx(1.0)
        assert (share.edge[wall] > 0).sum() == 1

    def test_mean_over_approaches(self):
        one, other = Betweenness(np.array([1.0, 0.0]), np.ones(1)), Betweenness(np.ones(2), np.zeros(1))
        both = add_betweenness([one, other], [1.0, 3.0])
        assert both.cell.tolist() == [1.0, 0.75] and both.edge.tolist() == [0.25]

    def test_picks_the_door_and_the_bridge_but_nothing_beside_the_ends(self):
        """A corridor one cell wide joins two rooms; its middle cells tie, one stands for them."""
        places = [(a, b) for a in range(30) for b in range(7) if not 12 <= a <= 18 or b == 3]
        mesh, row = make_patch(places)
        bridge = int(list_edges(mesh, np.array([row[14, 3], row[15, 3]]))[0])
        bridge_m = np.zeros(mesh.edge_count, np.float32)
        bridge_m[bridge] = 40.0
        object.__setattr__(mesh, "bridge_m", bridge_m)
        front, target = np.array([row[0, b] for b in range(7)]), row[29, 3]
        share = compute_betweenness(mesh, np.full(mesh.edge_count, 0.1), front, target)
        found = pick_chokepoints(mesh, share, np.append(front, target), cells=1, bridges=5)
        assert [one.edge for one in found] == [-1, bridge]
        assert 11 <= places[found[0].cell][0] <= 19 and places[found[0].cell][1] == 3
        assert [one.share for one in found] == pytest.approx([1.0, 1.0])
        near = mark_near(mesh, np.append(front, target), 5.0)
        many = pick_chokepoints(mesh, share, np.append(front, target), cells=50, bridges=0)
        assert len(many) > 1 and not any(near[one.cell] for one in many)
        for one in many:
            others = np.array([other.cell for other in many if other != one])
            assert not mark_near(mesh, others, 5.0)[one.cell]


@pytest.fixture(scope="module")
def lanes():
    """Three fast lanes from west to east, 17.5 km apart."""
    mesh, x, y = make_plane(30)
    time_h = np.full(mesh.edge_count, 0.1)
    for lane, hours in ((0.0, 0.02), (17.5, 0.025), (-17.5, 0.03)):
        on = np.abs(y - lane) < 0.6
        time_h[on[mesh.edge_a] & on[mesh.edge_b]] = hours
    return mesh, x, y, time_h, np.flatnonzero(x < -20.0), int(np.argmin(np.hypot(x - 29, y)))


class TestAvenues:
    def test_they_keep_apart(self, lanes):
        mesh, _, y, time_h, front, target = lanes
        avenues = find_avenues(mesh, time_h, front, target, 3, separation_km=5.0)
        assert len(avenues) == 3
        times = compute_times(mesh, time_h, np.array([target]))
        assert avenues[0].time_h == pytest.approx(times[front].min(), rel=1e-12)
        assert [a.time_h for a in avenues] == sorted(a.time_h for a in avenues)
        assert {round(float(np.median(y[a.cells])) / 17.5) for a in avenues} == {-1, 0, 1}
        for avenue in avenues:
            assert avenue.cells[0] in front and avenue.cells[-1] == target
            assert time_h[list_edges(mesh, avenue.cells)].sum() == pytest.approx(avenue.time_h)
            assert avenue.apart >= 0.5
        guided = find_avenues(mesh, time_h, front, target, 3, guide_h=times)
        assert [a.cells.tolist() for a in guided] == [a.cells.tolist() for a in avenues]

    def test_faults(self, lanes):
        mesh, _, _, time_h, front, target = lanes
        with pytest.raises(InputError) as caught:
            find_avenues(mesh, time_h, front, target, 0, penalty=-1.0, separation_km=0.0)
        assert len(caught.value.faults) == 3
        with pytest.raises(InputError, match="meeting_km"):
            find_separate_avenues(mesh, time_h, front, target, 2, meeting_km=np.nan)
        closed = np.full(mesh.edge_count, np.inf)
        for search in (find_avenues, find_separate_avenues):
            with pytest.raises(InputError, match="no way"):
                search(mesh, closed, np.array([0]), 5, 2)

    def test_separate_ones_take_the_three_lanes(self, lanes):
        mesh, _, y, time_h, front, target = lanes
        avenues = find_separate_avenues(mesh, time_h, front, target, 3)
        assert {round(float(np.median(y[a.cells])) / 17.5) for a in avenues} == {-1, 0, 1}
        assert avenues[0].time_h == find_avenues(mesh, time_h, front, target, 1)[0].time_h

    @settings(max_examples=25, deadline=None)
    @given(seed=st.integers(0, 10_000), separation=st.floats(0.5, 6.0), meeting=st.floats(1.0, 12.0))
    def test_separate_ones_share_no_cell_and_keep_their_distance(self, seed, separation, meeting):
        random = np.random.default_rng(seed)
        mesh, x, _ = make_plane(16)
        time_h = draw_times(mesh, random, 0.03)
        front, target = np.flatnonzero(x < -8), int(np.argmax(x + random.random(x.size)))
        try:
            avenues = find_separate_avenues(mesh, time_h, front, target, 4, separation, meeting)
        except InputError:
            times = compute_times(mesh, time_h, np.array([target]))
            assert not np.isfinite(times[front]).any()
            return
        ground = mark_near(mesh, np.array([target]), meeting)
        parts = [one.cells[~ground[one.cells]] for one in avenues]
        for number, part in enumerate(parts):
            assert avenues[number].cells[-1] == target and avenues[number].cells[0] in front
            assert not any(np.isin(part, other).any() for other in parts[number + 1 :])
            if part.size:
                near = mark_near(mesh, part, separation)
                assert not any(near[other].any() for other in parts[number + 1 :])

    def test_no_more_avenues_than_the_ground_has(self):
        """Two gates in a wall give two separate ways; a third is not made up."""
        mesh, x, y = make_plane(14)
        time_h = np.full(mesh.edge_count, 0.1)
        wall = (x[mesh.edge_a] > -4) != (x[mesh.edge_b] > -4)
        gate = np.abs(np.abs(y[mesh.edge_a]) - 7.0) < 0.5
        time_h[wall & ~gate] = np.inf
        front, target = np.flatnonzero(x < -10), int(np.argmax(x))
        found = find_separate_avenues(mesh, time_h, front, target, 5, separation_km=2.0, meeting_km=5.0)
        assert len(found) == 2
        assert {int(np.sign(y[one.cells[len(one.cells) // 2]])) for one in found} == {-1, 1}


class TestSharedStretches:
    def test_two_routes_meet_part_and_meet_again(self):
        mesh, row = make_rhombus(9, 3)
        straight = np.array([row[a, 1] for a in range(9)])
        other = np.array(
            [row[0, 2], row[1, 1], row[2, 1], row[3, 1], row[4, 0], row[5, 0], row[5, 1], row[6, 1]]
        )
        crossing = np.array([row[3, 2], row[4, 1], row[5, 0]])
        found = find_shared_stretches(mesh, [straight, other, crossing])
        assert [(one.cells.tolist(), one.avenues) for one in found] == [
            ([row[1, 1], row[2, 1], row[3, 1]], (0, 1)),
            ([row[5, 1], row[6, 1]], (0, 1)),
        ]
        three = find_shared_stretches(mesh, [straight, straight[2:6], straight[4:]])
        assert [(len(one.cells), one.avenues) for one in three] == [
            (3, (0, 1)),
            (2, (0, 1, 2)),
            (4, (0, 2)),
        ]
        assert find_shared_stretches(mesh, [straight, straight[:1]]) == ()

    def test_stretches_cover_exactly_what_is_shared(self):
        mesh = make_disc(20)
        time_h = draw_times(mesh, np.random.default_rng(5))
        front, target = np.arange(40), mesh.cell_count - 1
        routes = [one.cells for one in find_avenues(mesh, time_h, front, target, 4, separation_km=1.0)]
        used = np.bincount(np.concatenate([list_edges(mesh, one) for one in routes]))
        stretches = find_shared_stretches(mesh, routes)
        covered = np.concatenate([list_edges(mesh, one.cells) for one in stretches])
        assert sorted(covered.tolist()) == np.flatnonzero(used > 1).tolist()
        for one in stretches:
            assert (used[list_edges(mesh, one.cells)] == len(one.avenues)).all()


class TestMeasures:
    def test_length_takes_the_road_where_it_is_driven(self):
        mesh, row = make_rhombus(4, 1)
        object.__setattr__(mesh, "road_m", np.full(mesh.edge_count, 1200.0, np.float32))
        route = np.array([row[a, 0] for a in range(4)])
        road_h = np.full(mesh.edge_count, 9.0)
        road_h[list_edges(mesh, route[:2])] = 0.05
        times = EdgeTimes(np.full(mesh.edge_count, 0.1), road_h)
        assert measure_route_km(mesh, times, route) == pytest.approx(1.2 + 2 / HEX_DETOUR)
        assert measure_route_km(mesh, times, route[:1]) == 0.0

    def test_displacement_is_the_farthest_cell_from_the_old_route(self):
        mesh, row = make_rhombus(10, 6)
        old = np.array([row[a, 0] for a in range(10)])
        new = np.array([row[0, 0], row[0, 1], row[0, 2], row[0, 3], row[1, 2], row[2, 1], row[3, 0]])
        top = row[0, 3]
        away = np.hypot(
            (mesh.lon[top] - mesh.lon[old]) * 111.19 * np.cos(np.radians(55.0)),
            (mesh.lat[top] - mesh.lat[old]) * 111.19,
        )
        assert measure_displacement_km(mesh, old, new) == pytest.approx(away.min(), rel=2e-3)
        assert measure_displacement_km(mesh, old, old[2:5]) == 0.0

    def test_near_is_measured_over_the_mesh(self):
        mesh, x, y = make_plane(8)
        middle = int(np.argmin(np.hypot(x, y)))
        near = mark_near(mesh, np.array([middle]), 3.0)
        hops = compute_times(mesh, np.ones(mesh.edge_count), np.array([middle]))
        assert (near == (hops <= 3.0 * HEX_DETOUR)).all() and near.sum() == 37
