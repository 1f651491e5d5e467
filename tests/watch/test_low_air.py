"""The low air picture: looks, detection, least-seen corridors and what closes them."""

from __future__ import annotations

import itertools
import math
import time

import numpy as np
import pytest
from air_cases import (
    TERMS,
    draw_looks,
    join_looks,
    list_ways,
    make_ground,
    make_hilly,
    make_plane,
    make_sensor,
    miss_way,
    search_plainly,
)

from abatis.model.errors import InputError
from abatis.watch.low_air import (
    AirGraph,
    compute_detection,
    find_corridors,
    find_looks,
    measure_single,
)
from abatis.watch.low_air_closing import close_gap
from abatis.watch.seen import Outlook
from abatis.watch.sight import Post, View, build_relief, trace_cells


class TestLooks:
    def test_net_is_a_disc_at_any_height_and_ground(self):
        ground = make_ground(make_hilly())
        y, x = np.mgrid[:150, :150]
        disc = np.hypot(x - 70, y - 60) * 50.0 <= 3000.0
        share = np.bincount(ground.cell.ravel(), disc.ravel()) / 100
        for height_m in (0.0, 300.0):
            looks = find_looks(ground, [Outlook(60, 70, make_sensor("acoustic"))], height_m, TERMS)
            assert np.allclose(compute_detection(225, looks), 0.8 * share)
            assert looks.by_range == 0

    @pytest.mark.parametrize("kind", ["camera_tower", "low_air_radar"])
    def test_sight_is_that_of_exact_lines(self, kind):
        ground = make_ground(make_hilly(), canopy_m=5.0)
        relief = build_relief(ground.elevation, 50.0, 50.0, ground.canopy)
        y, x = np.mgrid[:150, :150]
        near = np.hypot(x - 70, y - 60) * 50.0 <= 3000.0
        sums = []
        for height_m in (30.0, 50.0, 100.0, 300.0):
            looks = find_looks(ground, [Outlook(60, 70, make_sensor(kind))], height_m, TERMS)
            view = View(height_m, refraction=0.25 if kind == "low_air_radar" else 0.13)
            cells = np.column_stack([y.ravel(), x.ravel()])
            seen = trace_cells(relief, Post(60, 70, 10.0), view, cells).reshape(near.shape) & near
            share = np.bincount(ground.cell.ravel(), seen.ravel()) / 100
            assert np.allclose(compute_detection(225, looks), 0.8 * share)
            sums.append(share.sum())
        assert sums == sorted(sums)
        assert sums[0] < sums[-1]

    def test_sector_and_small_shares_count(self):
        ground = make_ground(np.zeros((150, 150)))
        outlook = Outlook(60, 70, make_sensor("rf_detection"), 0.0, 90.0)
        looks = find_looks(ground, [outlook], 30.0, TERMS)
        y, x = np.mgrid[:150, :150]
        quarter = (np.hypot(x - 70, y - 60) * 50.0 <= 3000.0) & (x >= 70) & (y <= 60)
        share = np.bincount(ground.cell.ravel(), quarter.ravel()) / 100
        assert np.allclose(compute_detection(225, looks), 0.8 * share)
        assert 0 < looks.chance.min() < 0.1

    def test_without_elevation_by_range_and_told(self):
        ground = make_ground(make_hilly(), elevation=False)
        posts = [Outlook(60, 70, make_sensor()), Outlook(60, 70, make_sensor("acoustic"))]
        looks = find_looks(ground, posts, 30.0, TERMS)
        assert looks.by_range == 1
        assert np.array_equal(looks.take(0)[1], looks.take(1)[1])

    def test_several_sensors_miss_each_on_its_own(self):
        ground = make_ground(make_hilly())
        sensors = [make_sensor(weather_factor=0.7), make_sensor("acoustic", weather_factor=0.4)]
        posts = [Outlook(60, 70, sensors[0]), Outlook(50, 80, sensors[1])]
        looks = find_looks(ground, posts, 100.0, TERMS)
        alone = [compute_detection(225, looks, [k]) for k in range(2)]
        assert np.allclose(compute_detection(225, looks), 1 - (1 - alone[0]) * (1 - alone[1]))

    def test_every_fault_at_once(self):
        ground = make_ground(np.zeros((20, 20)))
        blind = make_sensor(range_m={"person": 1000.0})
        with pytest.raises(InputError) as caught:
            find_looks(ground, [Outlook(5, 5, blind)], -1.0, TERMS)
        assert [fault.column for fault in caught.value.faults] == ["range_low_air_m", "height"]


class TestCorridor:
    @pytest.mark.parametrize("seed", range(12))
    def test_is_best_of_all_ways(self, seed):
        random = np.random.default_rng(seed)
        graph, _ = make_plane(4, 3)
        barred = random.random(12) < 0.15
        barred[[0, 1, 11]] = False
        graph = AirGraph(graph.neighbor, graph.step_m, barred)
        looks = draw_looks(12, 4, random)
        detection = compute_detection(12, looks)
        found = find_corridors(graph, detection, np.array([0, 1]), [11], looks)[0]
        ways = {tuple(way): miss_way(way, detection) for way in list_ways(graph, [0, 1], 11)}
        if not ways:
            assert found is None
            return
        unseen = max(ways.values())
        assert found.chance == pytest.approx(1 - unseen, abs=1e-8)
        equal = [way for way, chance in ways.items() if chance > unseen * (1 - 1e-9)]
        assert tuple(found.cells) in equal
        assert len(found.cells) == min(len(way) for way in equal)
        assert found.length_m == 1000.0 * (len(found.cells) - 1)
        parts = [(place > 0) / 2 + (place < len(found.cells) - 1) / 2 for place in range(len(found.cells))]
        single = 1.0
        for sensor in range(4):
            chance = dict(zip(*(one.tolist() for one in looks.take(sensor)), strict=True))
            missed = [1 - chance.get(cell, 0.0) for cell in found.cells.tolist()]
            all_looks = np.prod([miss**part for miss, part in zip(missed, parts, strict=True)])
            single *= max(all_looks, min(missed))
        assert found.single_chance == pytest.approx(1 - single)
        assert found.single_chance <= found.chance + 1e-9

    @pytest.mark.parametrize("seed", range(4))
    def test_is_that_of_a_plain_search(self, seed):
        random = np.random.default_rng(seed)
        graph, _ = make_plane(20, 20)
        graph = AirGraph(
            graph.neighbor, random.uniform(800, 1000, graph.step_m.shape), random.random(400) < 0.1
        )
        barred = graph.barred.copy()
        barred[[0, 399, 205]] = False
        graph = AirGraph(graph.neighbor, graph.step_m, barred)
        looks = draw_looks(400, 8, random)
        detection = compute_detection(400, looks)
        targets = [399, 205]
        for target, found in zip(
            targets, find_corridors(graph, detection, np.array([0]), targets, looks), strict=True
        ):
            least = search_plainly(graph, detection, [0], target)
            assert found is None if math.isinf(least) else found.chance == pytest.approx(-math.expm1(-least))

    def test_open_ways_are_straight_and_gap_is_told(self):
        graph, places = make_plane(9, 5)
        row = {tuple(place): number for number, place in enumerate(places.tolist())}
        wall = [row[4, b] for b in range(5)]
        looks = join_looks([(wall, [0.9, 0.9, 0.5, 0.9, 0.9])])
        detection = compute_detection(45, looks)
        found = find_corridors(graph, detection, np.array([row[0, 2]]), [row[8, 2]], looks)[0]
        assert [tuple(places[cell]) for cell in found.cells] == [(a, 2) for a in range(9)]
        assert found.chance == pytest.approx(0.5)
        # Cells 0-3 and 5-8 are open: 3 km each, the first is told.
        assert found.gap == (0, 3)
        assert found.gap_m == 3000.0

    def test_a_sure_sensor_leaves_a_way_and_it_is_certain(self):
        graph, _ = make_plane(3, 1)
        looks = join_looks([([1], [1.0])])
        found = find_corridors(graph, compute_detection(3, looks), np.array([0]), [2], looks)[0]
        assert found.chance == pytest.approx(1.0, abs=2e-9)
        assert found.gap == (0, 0)
        assert found.gap_m == 0.0

    def test_no_way(self):
        graph, _ = make_plane(3, 1)
        graph = AirGraph(graph.neighbor, graph.step_m, np.array([False, True, False]))
        looks = join_looks([([1], [0.5])])
        assert find_corridors(graph, np.zeros(3), np.array([0]), [2], looks) == (None,)

    def test_finer_cells_with_the_same_detection_give_the_same_chance(self):
        """Looks go with the length of the way, so the size of cells does not matter."""
        chances = []
        for parts in (1, 4):
            graph, _ = make_plane(10 * parts + 1, 1, 1000.0 / parts)
            looks = join_looks([(list(range(10 * parts + 1)), [0.1] * (10 * parts + 1))])
            detection = compute_detection(10 * parts + 1, looks)
            chances.append(find_corridors(graph, detection, np.array([0]), [10 * parts], looks)[0].chance)
        assert chances[0] == pytest.approx(1 - 0.9**10, abs=1e-8)
        assert chances[1] == pytest.approx(chances[0], abs=1e-8)

    def test_single_looks_of_one_sensor_do_not_add_up(self):
        looks = join_looks([([0, 1, 2], [0.5, 0.6, 0.5]), ([2], [0.5])])
        parts = np.array([0.5, 1.0, 0.5])
        assert measure_single(4, looks, np.array([0, 1, 2]), parts) == pytest.approx(1 - 0.4 * 0.5**0.5)
        assert measure_single(4, looks, np.array([3]), np.array([1.0])) == 0.0


class TestClosing:
    @pytest.mark.parametrize("seed", range(10))
    def test_first_step_is_best_per_euro(self, seed):
        random = np.random.default_rng(seed)
        graph, _ = make_plane(4, 3)
        looks = draw_looks(12, 3, random)
        detection = compute_detection(12, looks)
        candidates = draw_looks(12, 6, random)
        cost = random.integers(1, 9, 6).astype(float)
        found = close_gap(graph, detection, np.array([0]), 11, candidates, cost, least_chance=0.999)
        ways = list(list_ways(graph, [0], 11))

        def least(chosen):
            miss = 1 - detection
            for one in chosen:
                cell, chance = candidates.take(one)
                miss[cell] *= 1 - chance
            return min(-math.log(max(miss_way(way, 1 - miss), 1e-300)) for way in ways)

        need = -math.log(1 - 0.999) - least([])
        gains = [min(least([one]) - least([]), need) / cost[one] for one in range(6)]
        first = found.steps[0]
        if max(gains) > 1e-8:
            assert not first.moved
            assert gains[first.candidate] == pytest.approx(max(gains), rel=1e-6)
        else:
            assert first.moved
        taken = []
        for step in found.steps:
            taken.append(step.candidate)
            assert step.chance == pytest.approx(-math.expm1(-least(taken)), abs=1e-7)
        assert found.chance == pytest.approx(-math.expm1(-least(found.kept)), abs=1e-7)
        assert found.before == pytest.approx(-math.expm1(-least([])), abs=1e-7)
        assert found.cost_eur == sum(cost[one] for one in found.kept)
        reachable = -math.expm1(-least(range(6)))
        assert found.reached == (found.chance >= 0.999)
        if not found.reached and len(found.steps) == 6:
            assert found.chance == pytest.approx(reachable, abs=1e-7)

    def test_two_open_ways_need_two_sensors(self):
        """A wall with two gates: one sensor alone raises nothing, the way moves, then both are shut."""
        graph, places = make_plane(5, 6)
        row = {tuple(place): number for number, place in enumerate(places.tolist())}
        wall = [row[2, b] for b in range(6) if b not in (1, 4)]
        detection = np.zeros(30)
        detection[wall] = 0.99
        candidates = join_looks([([row[2, 1]], [0.9]), ([row[2, 4]], [0.9]), ([row[0, 5]], [0.9])])
        cost = np.array([3.0, 4.0, 1.0])
        found = close_gap(
            graph, detection, np.array([row[0, 2]]), row[4, 2], candidates, cost, least_chance=0.8
        )
        assert found.reached
        assert sorted(found.kept) == [0, 1]
        assert found.cost_eur == 7.0
        assert found.before == 0.0
        assert found.chance == pytest.approx(0.9)
        assert found.steps[0].moved
        assert not found.steps[-1].moved

    def test_cheapest_by_trying_all(self):
        """On small cases the greedy price is compared with the least over all sets; it may be higher."""
        graph, _ = make_plane(4, 3)
        parts = np.zeros((0, 12))
        for way in list_ways(graph, [0], 11):
            part = np.zeros(12)
            part[way] = 1.0
            part[[way[0], way[-1]]] = 0.5
            parts = np.vstack([parts, part])
        dearer = []
        for seed in range(12):
            random = np.random.default_rng(seed)
            candidates = draw_looks(12, 7, random)
            cost = random.integers(1, 9, 7).astype(float)
            weight = np.zeros((7, 12))
            for one in range(7):
                cell, chance = candidates.take(one)
                weight[one, cell] = -np.log1p(-chance)
            chosen = np.array(list(itertools.product([0, 1], repeat=7)))
            reached = 1 - np.exp(-(chosen @ weight @ parts.T).min(axis=1)) >= 0.7
            found = close_gap(graph, np.zeros(12), np.array([0]), 11, candidates, cost, least_chance=0.7)
            assert found.reached == reached.any()
            if found.reached:
                least = (chosen[reached] @ cost).min()
                assert found.cost_eur >= least
                dearer.append(found.cost_eur / least)
        assert len(dearer) >= 6
        assert np.mean(dearer) < 1.5

    def test_budget_and_useless_candidates(self):
        graph, _ = make_plane(3, 1)
        candidates = join_looks([([1], [0.5]), ([1], [0.9]), ([], [])])
        cost = np.array([2.0, 10.0, 0.0])
        found = close_gap(graph, np.zeros(3), np.array([0]), 2, candidates, cost, budget_eur=5.0)
        assert (found.kept, found.reached) == ((0,), False)
        assert found.chance == pytest.approx(0.5)
        nothing = close_gap(graph, np.zeros(3), np.array([0]), 2, candidates, cost, budget_eur=1.0)
        assert (nothing.kept, nothing.chance, nothing.steps) == ((), 0.0, ())

    def test_faults_at_once(self):
        graph, _ = make_plane(3, 1)
        with pytest.raises(InputError) as caught:
            close_gap(graph, np.zeros(3), np.array([0]), 2, join_looks([([1], [0.5])]), np.array([-1.0, 2.0]),
                      least_chance=1.0)  # fmt: skip
        assert len(caught.value.faults) == 3

    def test_a_country_takes_moments(self):
        random = np.random.default_rng(1)
        graph, _ = make_plane(300, 300)
        looks = draw_looks(90_000, 1, random)
        detection = compute_detection(90_000, looks)
        find_corridors(graph, detection, np.arange(300), [89_850], looks)
        began = time.perf_counter()
        find_corridors(graph, detection, np.arange(300), [89_850], looks)
        assert time.perf_counter() - began < 3.0
