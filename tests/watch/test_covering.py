"""Budgeted covering: against every plan there is, and its parts against plain Python."""

from __future__ import annotations

import _thread
import itertools
import threading
import time

import numpy as np
import pytest

from abatis.model.errors import InputError
from abatis.watch._covering import find_cuts, flip_site, make_standing
from abatis.watch.covering import solve_covering
from abatis.watch.covering_groups import (
    Lists,
    drop_dominated,
    find_need,
    group_points,
    make_pieces,
)


def make_case(random, sites, points, share, whole=True):
    """Random lists: `share` of the points for each site, some points unseen, some of no weight."""
    seen = random.random((sites, points)) < share
    weight = random.integers(0, 6, points).astype(float) if whole else random.random(points)
    start = np.append(0, np.cumsum(seen.sum(axis=1)))
    point = np.nonzero(seen)[1].astype(np.int32)
    cost = random.choice([0.0, 3.0, 4.0, 7.0], sites) if random.random() < 0.6 else np.full(sites, 10.0)
    return weight, start, point, cost, seen


def cover(seen, weight, chosen, times):
    return float(weight[seen[np.asarray(chosen, bool)].sum(axis=0) >= times].sum())


def search_all(seen, weight, cost, budget, times, fixed):
    best = 0.0
    for plan in itertools.product((False, True), repeat=len(cost)):
        chosen = np.array(plan) | fixed
        if cost[chosen & ~fixed].sum() <= budget:
            best = max(best, cover(seen, weight, chosen, times))
    return best


def make_discs(sites, points, radius, seed):
    """Sites and points on a square of side 30, weights 1 to 100; what lies within a radius is seen."""
    random = np.random.default_rng(seed)
    place, spot = random.uniform(0, 30, (sites, 2)), random.uniform(0, 30, (points, 2))
    seen = ((place[:, None] - spot[None]) ** 2).sum(axis=2) < radius**2
    weight = random.integers(1, 101, points).astype(float)
    return weight, np.append(0, np.cumsum(seen.sum(axis=1))), np.nonzero(seen)[1], np.full(sites, 10.0), seen


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("whole", [True, False])
def test_every_plan_of_small_cases(times, whole):
    """150 random cases for each of four kinds, with sites that stand, free sites, and any budget."""
    random = np.random.default_rng(7 + times + 10 * whole)
    nodes, fixed_cases = 0, 0
    for _ in range(150):
        sites, points = int(random.integers(1, 10)), int(random.integers(1, 40))
        weight, start, point, cost, seen = make_case(random, sites, points, random.uniform(0.05, 0.6), whole)
        fixed = random.random(sites) < (0.2 if random.random() < 0.5 else 0.0)
        budget = float(random.choice([0.0, 3.0, 11.0, 20.0, 33.0, 200.0]))
        found = solve_covering(weight, start, point, cost, budget, times=times, fixed=fixed)
        best = search_all(seen, weight, cost, budget, times, fixed)
        assert found.covered_weight == pytest.approx(best, rel=1e-8, abs=1e-12)
        assert cover(seen, weight, found.chosen, times) == pytest.approx(found.covered_weight, rel=1e-12)
        assert found.bound >= best * (1 - 1e-12)
        assert found.gap <= 1e-8
        assert found.status == "optimal"
        assert (found.chosen & fixed).sum() == fixed.sum()
        assert cost[found.chosen & ~fixed].sum() <= budget * (1 + 1e-9)
        if whole:
            assert found.covered_weight == found.bound == best
        nodes += found.nodes
        fixed_cases += bool(fixed.any())
    assert nodes > 20, "the search itself was hardly used"
    assert fixed_cases > 20


@pytest.mark.parametrize("times", [1, 2])
def test_search_beyond_the_root_is_exact(times):
    """Cases of discs that need splitting: all plans of four of 16 sites."""
    nodes = 0
    for seed in range(25):
        weight, start, point, cost, seen = make_discs(16, 300, 7.0, seed)
        found = solve_covering(weight, start, point, cost, 40.0, times=times)
        plans = (np.isin(np.arange(16), plan) for plan in itertools.combinations(range(16), 4))
        assert found.covered_weight == max(cover(seen, weight, plan, times) for plan in plans) == found.bound
        nodes += found.nodes
    assert nodes > 25


def test_groups_are_the_different_sets():
    """Against a dictionary of sets, in one part, in parts, and with lists that do not rise."""
    random = np.random.default_rng(3)
    for trial in range(60):
        weight, start, point, _, seen = make_case(random, int(random.integers(1, 9)), 60, 0.3)
        taken = random.random(len(seen)) < 0.2
        times = 1 + trial % 2
        if trial % 3 == 0:
            point = np.concatenate([random.permutation(part) for part in np.split(point, start[1:-1])])
        lists = Lists(start.astype(np.int64), point.astype(np.int32), trial % 3 != 0)
        need = find_need(lists, taken, times, len(weight))
        sites = np.flatnonzero(~taken).astype(np.int32)
        rows = group_points(weight, need, lists, sites)
        wanted = {}
        for p in range(len(weight)):
            key = (max(0, times - int(seen[taken, p].sum())), tuple(np.flatnonzero(seen[:, p] & ~taken)))
            if weight[p] > 0 and 0 < key[0] <= len(key[1]):
                wanted[key] = wanted.get(key, 0.0) + weight[p]
        sets = [tuple(row) for row in np.split(rows.site, rows.start[1:-1])] if len(rows.weight) else []
        assert dict(zip(zip(rows.need.tolist(), sets, strict=True), rows.weight, strict=True)) == wanted
        assert len(sets) == len(wanted)


def test_parts_give_the_same_groups(monkeypatch):
    weight, start, point, _, _ = make_discs(12, 900, 6.0, 4)
    lists = Lists(start, point.astype(np.int32), True)
    need, sites = np.full(900, 2, np.int8), np.arange(12, dtype=np.int32)
    whole = group_points(weight, need, lists, sites)
    monkeypatch.setattr("abatis.watch.covering_groups.POINTS_PER_PART", 100)
    parts = group_points(weight, need, lists, sites)
    for one, other in zip(whole, parts, strict=True):
        assert (one == other).all()
    assert 12 < len(whole.weight) < 500


def test_point_listed_twice_is_seen_once():
    found = solve_covering(
        np.array([5.0, 1.0]), np.array([0, 2, 3]), np.array([0, 0, 1]), np.array([1.0, 1.0]), 2.0, times=2
    )
    assert found.covered_weight == found.bound == 0.0
    fixed = np.array([True, False])
    found = solve_covering(
        np.array([5.0, 1.0]), np.array([0, 2, 3]), np.array([0, 0, 0]), np.ones(2), 1.0, times=2, fixed=fixed
    )
    assert found.covered_weight == found.bound == 5.0


def test_dominated_sites_fall_and_one_of_two_alike_stays():
    seen = np.array([[1, 1, 0], [1, 1, 0], [1, 0, 0], [0, 0, 1]], bool)
    lists = Lists(np.append(0, np.cumsum(seen.sum(axis=1))), np.nonzero(seen)[1].astype(np.int32), True)
    sites = np.arange(4, dtype=np.int32)
    for times, cost, left in (
        (1, [1.0, 1.0, 1.0, 1.0], [0, 3]),
        (1, [2.0, 1.0, 0.5, 1.0], [1, 2, 3]),
        (2, [1.0, 1.0, 1.0, 1.0], [0, 1, 2]),
    ):
        rows = group_points(np.ones(3), np.full(3, times, np.int8), lists, sites)
        assert drop_dominated(rows, sites, np.array(cost))[1].tolist() == left


@pytest.mark.parametrize("times", [1, 2])
def test_cuts_bound_every_plan_and_touch_at_whole_choices(times):
    random = np.random.default_rng(times)
    weight, start, point, _, seen = make_case(random, 6, 50, 0.4, whole=False)
    sites = np.arange(6, dtype=np.int32)
    lists = Lists(start, point, True)
    rows = group_points(weight, np.full(50, times, np.int8), lists, sites)
    pieces = make_pieces(rows, sites)
    block_start = np.array([0, len(rows.weight)])
    plans = [np.array(plan, float) for plan in itertools.product((0, 1), repeat=6)]
    for choice in [random.random(6) for _ in range(20)] + plans:
        cuts = find_cuts(pieces, block_start, choice, np.array([1e9]), 1e-9, 6)
        slope = np.zeros(6)
        slope[cuts[3]] = cuts[4]
        for plan in plans:
            assert cuts[1][0] + slope @ plan >= cover(seen, weight, plan, times) - 1e-9
        if (choice == np.round(choice)).all():
            assert cuts[5] == pytest.approx(cover(seen, weight, choice, times))


@pytest.mark.parametrize("times", [1, 2])
def test_moves_keep_their_books(times):
    """After random changes, what a change would win or lose is what it does."""
    random = np.random.default_rng(11)
    weight, start, point, cost, seen = make_case(random, 8, 60, 0.4)
    sites = np.arange(8, dtype=np.int32)
    rows = group_points(weight, np.full(60, times, np.int8), Lists(start, point, True), sites)
    at, pieces = None, make_pieces(rows, sites)
    at = make_standing(pieces)
    value = 0.0
    for _ in range(200):
        value += flip_site(pieces, at, cost, int(random.integers(8)))
        assert value == cover(seen, weight, at.chosen, times)
        for site in range(8):
            other = at.chosen.copy()
            other[site] = not other[site]
            assert at.moved[site] == abs(cover(seen, weight, other, times) - value)
        assert at.money[0] == pytest.approx(cost[at.chosen].sum())


def test_budget_for_nothing_and_for_everything():
    weight, start, point, cost, seen = make_discs(10, 100, 8.0, 1)
    nothing = solve_covering(weight, start, point, cost, 9.99)
    assert not nothing.chosen.any()
    assert nothing.covered_weight == nothing.bound == nothing.gap == 0.0
    all_of_it = solve_covering(weight, start, point, cost, 100.0)
    assert all_of_it.covered_weight == all_of_it.bound == weight[seen.any(axis=0)].sum()
    assert all_of_it.nodes == 0


def test_empty_covers_and_weights_of_zero():
    nothing = np.zeros(0, np.int32)
    found = solve_covering(np.ones(3), np.zeros(4, int), nothing, np.ones(3), 1.0)
    assert found.covered_weight == found.bound == 0.0
    found = solve_covering(np.zeros(2), np.array([0, 1, 2]), np.array([0, 1]), np.ones(2), 1.0)
    assert found.covered_weight == found.bound == 0.0
    found = solve_covering(np.zeros(0), np.zeros(1, int), nothing, np.zeros(0), 1.0)
    assert found.chosen.shape == (0,)


def test_same_seed_same_plan():
    weight, start, point, cost, _ = make_discs(40, 4000, 5.5, 5)
    first, again = (solve_covering(weight, start, point, cost, 60.0, seed=3) for _ in range(2))
    assert (first.chosen == again.chosen).all()
    assert (first.covered_weight, first.bound, first.nodes) == (
        again.covered_weight,
        again.bound,
        again.nodes,
    )


def test_time_limit_leaves_a_plan_and_a_bound():
    weight, start, point, cost, seen = make_discs(60, 4000, 6.0, 2)
    best = solve_covering(weight, start, point, cost, 60.0)
    assert best.status == "optimal"
    for times in (1, 2):
        short = solve_covering(weight, start, point, cost, 60.0, times=times, time_limit_s=0.0)
        assert short.covered_weight == cover(seen, weight, short.chosen, times) > 0
        assert cost[short.chosen].sum() <= 60.0
        assert short.bound >= short.covered_weight
        assert short.gap == pytest.approx((short.bound - short.covered_weight) / short.covered_weight)
        if times == 1:
            assert short.bound >= best.covered_weight >= short.covered_weight


def test_gap_asked_for_ends_the_search_early():
    weight, start, point, cost, _ = make_discs(60, 4000, 5.0, 2)
    best = solve_covering(weight, start, point, cost, 80.0)
    loose = solve_covering(weight, start, point, cost, 80.0, gap=0.05)
    assert loose.gap <= 0.05
    assert loose.bound >= best.covered_weight >= loose.covered_weight
    assert loose.nodes <= best.nodes


def test_interrupt_in_progress_leaves_a_plan_and_a_bound():
    weight, start, point, cost, seen = make_discs(60, 4000, 6.0, 2)

    def stop(stage, share):
        if stage == "search":
            raise KeyboardInterrupt

    found = solve_covering(weight, start, point, cost, 60.0, times=2, progress=stop)
    assert found.status == "interrupted"
    assert found.nodes == 1
    assert found.bound > found.covered_weight == cover(seen, weight, found.chosen, 2) > 0


def test_control_c_at_any_moment_leaves_a_plan_and_a_bound():
    """A real interrupt from outside, in a search that would run for long."""
    weight, start, point, cost, seen = make_discs(100, 4000, 6.0, 2)
    solve_covering(weight, start, point, cost, 60.0, times=2, time_limit_s=0.0)
    timer = threading.Timer(1.0, _thread.interrupt_main)
    timer.start()
    began = time.monotonic()
    found = solve_covering(weight, start, point, cost, 150.0, times=2, time_limit_s=600.0)
    timer.join()
    assert time.monotonic() - began < 300.0
    assert found.status == "interrupted"
    assert found.bound > found.covered_weight == cover(seen, weight, found.chosen, 2)


def test_all_faults_are_named():
    with pytest.raises(InputError) as caught:
        solve_covering(np.array([-1.0]), np.array([0, 1]), np.array([4]), np.array([np.nan]), 1.0)
    text = str(caught.value)
    assert len(caught.value.faults) == 3
    assert all(name in text for name in ("weight", "cost_eur", "point"))
    with pytest.raises(InputError) as caught:
        solve_covering(np.ones(1), np.array([0, 1]), np.array([0]), np.ones(1), -1.0, times=3, gap=-1.0)
    assert len(caught.value.faults) == 3
    with pytest.raises(InputError, match="start"):
        solve_covering(np.ones(1), np.array([0, 2]), np.array([0]), np.ones(1), 1.0)
    with pytest.raises(InputError, match="point"):
        solve_covering(np.ones(1), np.array([0, 1]), np.array([2**40]), np.ones(1), 1.0)
