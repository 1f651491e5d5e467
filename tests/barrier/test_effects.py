"""Effects of sites: lanes whose answer is known by eye, and random ground against a search from scratch."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abatis.barrier.effects import (
    EFFECTS,
    ApproachEffect,
    EffectLimits,
    assess_effects,
    classify_effect,
    define_effects,
    find_main_effect,
)
from abatis.ground.avenues import find_avenues, mark_near, measure_displacement_km
from abatis.ground.travel import compute_times
from abatis.model.errors import InputError
from abatis.model.plan import Problem, add_delays

sys.path.insert(0, str(Path(__file__).parents[1] / "ground"))
from ground_cases import draw_times, make_plane


def state_problem(mesh, open_h, sites, approaches, road_h=None):
    """A problem with one option per site; `sites` (edges, delay_h), `approaches` (front, target, weight)."""
    start = np.cumsum([0, *(len(edges) for edges, _ in sites)]).astype(np.int32)
    hours = np.concatenate([np.full(len(edges), delay) for edges, delay in sites])
    return Problem(
        node_count=mesh.cell_count,
        tail=mesh.edge_a,
        head=mesh.edge_b,
        directed=False,
        open_h=open_h[None],
        road_h=np.full((1, mesh.edge_count), np.inf) if road_h is None else road_h[None],
        approach_keys=tuple(f"a{k}" for k in range(len(approaches))),
        approach_names=tuple(f"Approach {k}" for k in range(len(approaches))),
        approach_group=np.zeros(len(approaches), np.int32),
        approach_weight=np.array([weight for _, _, weight in approaches]),
        approach_sources=tuple(np.asarray(front, np.int32) for front, _, _ in approaches),
        approach_targets=tuple(np.array([target], np.int32) for _, target, _ in approaches),
        site_keys=tuple(f"s{k}" for k in range(len(sites))),
        site_names=tuple(f"Site {k}" for k in range(len(sites))),
        option_keys=("wall",) * len(sites),
        option_site=np.arange(len(sites), dtype=np.int32),
        option_cost_eur=np.ones(len(sites)),
        option_start=start,
        option_edge=np.concatenate([edges for edges, _ in sites]).astype(np.int32),
        option_open_h=hours,
        option_road_h=hours,
        rules=(),
        least_hours={},
        least_hours_names={},
        objective="sum",
    )


@pytest.fixture(scope="module")
def lanes():
    """A fast lane through the middle, a slightly slower one 10 km north; front west, objective east."""
    mesh, x, y = make_plane(24)
    # Degrees that make the centres 1 km apart, so that displacements can be checked.
    object.__setattr__(mesh, "lon", x / 111.195 / np.cos(np.radians(0.1)))
    object.__setattr__(mesh, "lat", y / 111.195)
    time_h = np.full(mesh.edge_count, 0.2)
    north = float(y[np.argmin(np.abs(y - 10.0))])
    for lane, hours in ((0.0, 0.02), (north, 0.022)):
        on = np.abs(y - lane) < 0.1
        time_h[on[mesh.edge_a] & on[mesh.edge_b]] = hours
    # In the east the lanes join on open, fast ground.
    time_h[(x[mesh.edge_a] > 16) & (x[mesh.edge_b] > 16)] = 0.02
    return mesh, x, y, time_h, np.flatnonzero(x < -12), int(np.argmin(np.hypot(x - 22, y)))


def find_wall(mesh, x, y, low=-99.0, high=99.0):
    a, b = mesh.edge_a, mesh.edge_b
    middle = (y[a] + y[b]) / 2
    return np.flatnonzero(((x[a] > 0.1) != (x[b] > 0.1)) & (middle > low) & (middle < high))


class TestByEye:
    @pytest.mark.parametrize(
        ("delay_h", "word"), [(0.01, "none"), (0.3, "disrupt"), (1.5, "fix"), (7.0, "block")]
    )
    def test_a_wall_without_a_way_round(self, lanes, delay_h, word):
        """Whoever comes pays the delay and stays in the lane."""
        mesh, x, y, time_h, front, target = lanes
        wall = find_wall(mesh, x, y)
        found = assess_effects(
            mesh, state_problem(mesh, time_h, [(wall, delay_h)], [(front, target, 1.0)]), [0]
        )
        assert [one.effect for one in found] == [word]
        (only,) = found[0].approaches
        assert only.delay_h[0] == pytest.approx(delay_h)
        assert only.moved_km == 0.0
        assert only.leaving_share == 0.0

    def test_a_wall_across_the_lane_alone_turns_to_the_other_lane(self, lanes):
        mesh, x, y, time_h, front, target = lanes
        part = find_wall(mesh, x, y, -4.0, 4.0)
        problem = state_problem(mesh, time_h, [(part, 5.0)], [(front, target, 1.0)])
        (found,) = assess_effects(mesh, problem, [0])
        assert found.effect == "turn"
        (only,) = found.approaches
        times = compute_times(mesh, time_h, np.array([target]))
        time_after = np.where(np.isin(np.arange(mesh.edge_count), part), time_h + 5.0, time_h)
        after = compute_times(mesh, time_after, np.array([target]))
        assert only.delay_h[0] == pytest.approx(after[front].min() - times[front].min())
        assert only.moved_km == pytest.approx(10.0, abs=0.6)
        assert 0 < only.leaving_share <= 1

    def test_a_short_wall_that_is_passed_beside_it_does_not_turn(self, lanes):
        """The way round leaves the lane by two kilometres and comes back: not another avenue."""
        mesh, x, y, time_h, front, target = lanes
        front = front[np.abs(y[front]) < 3.0]
        short = find_wall(mesh, x, y, -0.6, 0.6)
        problem = state_problem(mesh, time_h, [(short, 5.0)], [(front, target, 1.0)])
        (found,) = assess_effects(mesh, problem, [0])
        (only,) = found.approaches
        assert 0 < only.moved_km < 5.0
        assert found.effect == "disrupt"
        assert 0.25 <= only.delay_h[0] < 1.0

    def test_two_walls_behind_each_other_each_add_their_own(self, lanes):
        mesh, x, y, time_h, front, target = lanes
        first, second = find_wall(mesh, x, y), find_wall(mesh, x - 5, y)
        problem = state_problem(mesh, time_h, [(first, 1.5), (second, 0.3)], [(front, target, 1.0)])
        found = assess_effects(mesh, problem, [0, 1])
        assert [one.effect for one in found] == ["fix", "disrupt"]
        assert [one.approaches[0].delay_h[0] for one in found] == pytest.approx([1.5, 0.3])

    def test_a_site_on_ground_out_of_reach_touches_nobody(self, lanes):
        """Water at x = 2 closes the east; the objective lies west of it, the site east."""
        mesh, x, y, time_h, front, _ = lanes
        target = int(np.argmin(np.hypot(x + 2, y)))
        shut = time_h.copy()
        shut[find_wall(mesh, x - 2, y)] = np.inf
        problem = state_problem(mesh, shut, [(find_wall(mesh, x - 10, y), 3.0)], [(front, target, 1.0)])
        (found,) = assess_effects(mesh, problem, [0])
        assert found.effect == "none" and found.approaches == ()

    def test_a_limit_that_is_moved_moves_the_word(self, lanes):
        mesh, x, y, time_h, front, target = lanes
        problem = state_problem(mesh, time_h, [(find_wall(mesh, x, y), 1.5)], [(front, target, 1.0)])
        words = [
            assess_effects(mesh, problem, [0], EffectLimits(fix_h=fix, block_h=block))[0].effect
            for fix, block in ((1.0, 6.0), (2.0, 6.0), (1.0, 1.5))
        ]
        assert words == ["fix", "disrupt", "block"]

    def test_the_approach_with_more_weight_names_the_site(self, lanes):
        """One approach meets the wall, the other starts behind it; weights decide only among effects."""
        mesh, x, y, time_h, front, target = lanes
        behind = np.flatnonzero((x > 10) & (x < 12))
        problem = state_problem(
            mesh, time_h, [(find_wall(mesh, x, y), 1.5)], [(front, target, 0.1), (behind, target, 0.9)]
        )
        (found,) = assess_effects(mesh, problem, [0])
        assert found.effect == "fix"
        assert {one.approach: one.effect for one in found.approaches}["a0"] == "fix"
        assert sum(one.weight for one in found.approaches if one.effect != "none") == pytest.approx(0.1)


class TestAgainstASearchFromScratch:
    @settings(max_examples=12, deadline=None)
    @given(seed=st.integers(0, 10_000))
    def test_random_ground(self, seed):
        random = np.random.default_rng(seed)
        mesh, x, y = make_plane(14)
        open_h, road_h = draw_times(mesh, random, 0.05), draw_times(mesh, random, 0.6)
        sites = []
        for place in (-6, -2, 2, 6):
            wall = find_wall(mesh, x - place, y, *np.sort(random.uniform(-12, 12, 2)))
            if wall.size and not any(np.isin(wall, other).any() for other, _ in sites):
                sites.append((wall, float(random.uniform(0.1, 3.0))))
        if not sites:
            return
        approaches = [(np.flatnonzero(x < -8), int(np.argmax(x)), 0.3), (np.flatnonzero(y > 9), 5, 0.7)]
        problem = state_problem(mesh, open_h, sites, approaches, road_h)
        chosen = list(range(len(sites)))
        limits = EffectLimits(corridor_km=2.0, turn_km=2.0)
        found = assess_effects(mesh, problem, chosen, limits)
        assert [one.site for one in found] == list(problem.site_keys)
        for option, one in zip(chosen, found, strict=True):
            touched = {effect.approach: effect for effect in one.approaches}
            for index, (front, target, _) in enumerate(approaches):
                routes = []
                for rows in ([row for row in chosen if row != option], chosen):
                    delay_open, delay_road = add_delays(problem, rows)
                    time_h = np.minimum(open_h + delay_open, road_h + delay_road)
                    arrival = compute_times(mesh, time_h, np.array([target]))[front].min()
                    routes.append(
                        find_avenues(mesh, time_h, front, target, 3, separation_km=2.0)
                        if np.isfinite(arrival)
                        else []
                    )
                before, after = routes
                effect = touched.get(f"a{index}")
                if effect is None:
                    assert not before or after[0].time_h == pytest.approx(before[0].time_h, rel=1e-12)
                    continue
                delays = [
                    after[rank].time_h - before[rank].time_h if rank < len(after) else np.inf
                    for rank in range(len(before))
                ]
                assert effect.delay_h == pytest.approx(delays, abs=1e-9)
                assert effect.delay_h[0] >= -1e-12
                moved = measure_displacement_km(mesh, before[0].cells, after[0].cells)
                assert effect.moved_km == pytest.approx(moved, abs=1e-9)
                ends = np.unique(
                    np.concatenate([mesh.edge_a[sites[option][0]], mesh.edge_b[sites[option][0]]])
                )
                corridor = mark_near(mesh, ends, 2.0)
                assert effect.inside == sum(bool(corridor[each.cells].any()) for each in before)


class TestWords:
    def test_every_word_has_a_definition_with_its_limits(self):
        limits = EffectLimits(avenues=4, corridor_km=3.0, turn_km=7.0, disrupt_h=0.5, fix_h=2.0, block_h=9.0)
        words = define_effects(limits)
        assert tuple(words) == EFFECTS
        assert "9 h" in words["block"] and "2 h" in words["fix"] and "0.5 h" in words["disrupt"]
        assert "3 km" in words["turn"] and "7 km" in words["turn"] and "4 avenues" in words["disrupt"]
        assert "1 min" in words["none"]

    @pytest.mark.parametrize(
        ("delay_h", "moved_km", "leaves", "word"),
        [
            ((6.0, 0.0), 0.0, False, "block"),
            ((np.inf,), 20.0, True, "block"),
            ((5.9,), 20.0, True, "turn"),
            ((0.02,), 5.0, True, "turn"),
            ((0.01,), 20.0, True, "none"),
            ((1.0,), 4.9, True, "fix"),
            ((1.0,), 20.0, False, "fix"),
            ((0.25,), 0.0, False, "disrupt"),
            ((0.0, 0.0, 0.4), 0.0, False, "disrupt"),
            ((0.0, 0.0, np.inf), 0.0, False, "disrupt"),
            ((0.2, 0.2, -0.1), 4.0, True, "none"),
        ],
    )
    def test_the_strongest_that_fits(self, delay_h, moved_km, leaves, word):
        assert classify_effect(delay_h, moved_km, leaves, EffectLimits()) == word

    def test_main_effect(self):
        def make(word, weight):
            return ApproachEffect("a", weight, word, (1.0,), 0.0, 1, 0.0)

        assert find_main_effect([make("none", 0.9), make("disrupt", 0.1)]) == "disrupt"
        assert find_main_effect([make("turn", 0.2), make("fix", 0.1), make("fix", 0.2)]) == "fix"
        assert find_main_effect([make("turn", 0.2), make("block", 0.2)]) == "block"
        assert find_main_effect([make("none", 0.9)]) == "none"

    def test_limits_out_of_order_are_all_named(self):
        with pytest.raises(InputError) as caught:
            EffectLimits(avenues=0, corridor_km=-1.0, disrupt_h=2.0, fix_h=1.0)
        assert [fault.column for fault in caught.value.faults][:2] == ["--count", "--corridor"]
        assert "let them rise" in str(caught.value)
        with pytest.raises(InputError, match="least_h --disrupt --fix --block: limits of delay are 1"):
            EffectLimits(least_h=1.0)
