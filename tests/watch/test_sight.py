"""The fast viewshed against plain sight lines, by hand and by law."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sight_cases as cases
from hypothesis import given, settings
from hypothesis import strategies as st

from abatis.model.errors import InputError, SizeError
from abatis.watch import _sight
from abatis.watch.sight import (
    HIDDEN,
    OUTSIDE,
    VISIBLE,
    Post,
    View,
    build_relief,
    compute_viewshed,
    count_views,
    sweep_view,
    trace_cells,
)


@pytest.mark.parametrize(
    ("rows", "columns", "row", "column", "height", "target", "refraction", "sizes"),
    [
        (60, 47, 30, 20, 2.0, 0.0, 1 / 7, (60.0, 60.0)),
        (45, 80, 0, 0, 5.0, 1.5, 0.0, (25.0, 90.0)),
        (80, 33, 79, 32, 12.0, 30.0, 1.0, (100.0, 30.0)),
        (70, 70, 3, 66, 0.0, 0.0, -0.5, (1000.0, 700.0)),
        (1, 90, 0, 40, 3.0, 0.0, 1 / 7, (60.0, 60.0)),
        (90, 1, 89, 0, 3.0, 0.0, 1 / 7, (60.0, 60.0)),
    ],
)
def test_agrees_with_plain_sight_lines_everywhere(
    rows, columns, row, column, height, target, refraction, sizes
):
    ground = cases.make_hills(rows, columns, seed=rows + column)
    relief = build_relief(ground, *sizes)
    seen = compute_viewshed(relief, Post(row, column, height), View(target, refraction=refraction))
    expected = cases.see_all(ground, ground, sizes, (row, column, height), target, refraction)
    assert np.array_equal(seen == VISIBLE, expected)
    assert 0 < expected.sum() <= expected.size
    cells = np.argwhere(np.ones_like(expected))
    traced = trace_cells(relief, Post(row, column, height), View(target, refraction=refraction), cells)
    assert np.array_equal(traced, expected.ravel())


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rough=st.sampled_from([0.0, 0.5, 30.0, 400.0]),
    steps=st.sampled_from([0.0, 1.0, 10.0]),
    place=st.tuples(st.integers(0, 89), st.integers(0, 119)),
    height=st.sampled_from([0.0, 2.0, 30.0]),
)
def test_agrees_with_traced_lines_on_any_relief(seed, rough, steps, place, height):
    ground = cases.make_hills(90, 120, seed, rough)
    if steps:
        ground = np.float32(steps) * np.round(ground / np.float32(steps))
    relief = build_relief(ground, 60.0, 60.0)
    post, view = Post(*place, height), View(2.0)
    seen = compute_viewshed(relief, post, view)
    expected = trace_cells(relief, post, view, np.argwhere(np.ones(ground.shape, bool)))
    assert np.array_equal((seen == VISIBLE).ravel(), expected)


def test_bounds_settle_most_and_unsure_places_exist():
    relief = build_relief(cases.make_hills(300, 400, 5), 60.0, 60.0)
    seen = np.zeros((300, 400), np.uint8)
    unsure = sweep_view(relief, Post(150, 200, 5.0), View(0.0), seen)
    assert 0 < unsure < 0.1 * seen.size
    assert not (seen == _sight.UNSURE).any()


def test_a_wedge_is_never_wider_than_a_cell():
    """What makes the bounds bounds: at the last ring a wedge holds at most one cell centre inside."""
    for rings in (1, 2, 3, 500, 2048, 2049, 32_767):
        relief = build_relief(np.zeros((1, rings + 1), np.float32), 1.0, 1.0)
        fan = _sight.measure_fan(
            _sight.EAST, 0, 1, _sight.Place(0, 0, 0.0), _sight.Reach(0.0, math.inf, 0.0), relief
        )
        assert fan.rings == rings
        assert fan.rings <= 1 << fan.bits
        assert fan.bits <= _sight.FULL_BITS


def test_flat_earth_shows_all_and_curved_earth_has_a_horizon():
    relief = build_relief(np.zeros((1, 400), np.float32), 100.0, 100.0)
    flat = compute_viewshed(relief, Post(0, 0, 10.0), View(0.0, refraction=1.0))
    assert (flat == VISIBLE).all()
    bent = compute_viewshed(relief, Post(0, 0, 10.0), View(0.0, refraction=0.0))
    # Horizon of an eye 10 m high without air: sqrt(2 R h) = 11.29 km.
    assert int((bent == VISIBLE).sum()) - 1 == round(math.sqrt(2 * 6_378_137 * 10) / 100)


def test_mutual_sight():
    """Two towers of one height see each other or neither does."""
    ground = cases.make_hills(60, 60, 9)
    relief, view = build_relief(ground, 50.0, 50.0), View(7.0)
    random = np.random.default_rng(0)
    places = random.integers(0, 60, (12, 2))
    maps = [compute_viewshed(relief, Post(*map(int, place), 7.0), view) for place in places]
    for i, a in enumerate(places):
        for j, b in enumerate(places):
            assert maps[i][tuple(b)] == maps[j][tuple(a)]


def test_higher_eyes_and_targets_see_no_less():
    relief = build_relief(cases.make_hills(120, 90, 2), 60.0, 60.0)
    low = compute_viewshed(relief, Post(60, 45, 2.0), View(0.0)) == VISIBLE
    tall = compute_viewshed(relief, Post(60, 45, 2.0), View(20.0)) == VISIBLE
    assert (tall | ~low).all()
    assert tall.sum() > low.sum()


def test_range_and_sector_cut_the_same_picture():
    relief = build_relief(cases.make_hills(81, 101, 3), 60.0, 40.0)
    post = Post(40, 50, 10.0)
    full = compute_viewshed(relief, post, View(2.0))
    y, x = np.mgrid[:81, :101]
    dx, dy = (x - 50) * 60.0, (40 - y) * 40.0
    azimuth = np.degrees(np.arctan2(dx, dy)) % 360
    for range_m, first, last in [(900.0, 0, 360), (1500.0, 350.5, 20.5), (math.inf, 20.5, 300.5)]:
        cut = compute_viewshed(relief, post, View(2.0, range_m, from_deg=first, to_deg=last))
        inside = np.hypot(dx, dy) <= range_m
        if last - first != 360:
            inside &= (azimuth - first) % 360 <= (last - first) % 360
            inside[40, 50] = True
        assert np.array_equal(cut == OUTSIDE, ~inside)
        assert np.array_equal(cut[inside], full[inside])


def test_cover_hides_but_not_under_the_mast():
    ground = cases.make_hills(50, 60, 4, rough_m=10.0)
    cover = np.where(np.random.default_rng(1).random((50, 60)) < 0.3, 18.0, 0.0)
    cover[25, 30] = 18.0
    relief = build_relief(ground, 60.0, 60.0, cover)
    seen = compute_viewshed(relief, Post(25, 30, 30.0), View(3.0)) == VISIBLE
    expected = cases.see_all(relief.surface, relief.ground, (60.0, 60.0), (25, 30, 30.0), 3.0)
    assert np.array_equal(seen, expected)
    hidden_under_trees = (cover > 3.0) & seen
    hidden_under_trees[25, 30] = False
    assert not hidden_under_trees.any()
    bare = compute_viewshed(build_relief(ground, 60.0, 60.0), Post(25, 30, 30.0), View(3.0)) == VISIBLE
    assert bare.sum() > seen.sum()
    assert (bare | ~seen).all()


def test_void_hides_nothing():
    ground = np.array([[0.0, 5.0, 0.0, 0.0]])
    view = View(0.0)
    assert compute_viewshed(build_relief(ground, 9.0, 9.0), Post(0, 0, 2.0), view)[0, 3] == HIDDEN
    ground[0, 1] = np.nan
    assert compute_viewshed(build_relief(ground, 9.0, 9.0), Post(0, 0, 2.0), view)[0, 3] == VISIBLE


@pytest.mark.parametrize(
    "view", [View(2.0, 1000.0), View(2.0), View(2.0, 2000.0, from_deg=90.0, to_deg=200.0)]
)
def test_counts_are_the_sum_of_single_viewsheds(view):
    relief = build_relief(cases.make_hills(70, 90, 6), 60.0, 55.0)
    random = np.random.default_rng(2)
    posts = [
        Post(int(r), int(c), 8.0)
        for r, c in zip(random.integers(0, 70, 9), random.integers(0, 90, 9), strict=True)
    ]
    posts += [Post(0, 0, 3.0), Post(69, 89, 3.0), Post(0, 0, 3.0)]
    stages = []
    counts = count_views(relief, posts, view, lambda stage, share: stages.append(share))
    expected = sum((compute_viewshed(relief, post, view) == VISIBLE).astype(np.uint32) for post in posts)
    assert counts.dtype == np.uint32
    assert np.array_equal(counts, expected)
    assert stages[-1] == 1.0


def test_more_than_255_posts_are_counted():
    relief = build_relief(np.zeros((3, 3), np.float32), 60.0, 60.0)
    assert (count_views(relief, [Post(1, 1, 2.0)] * 300, View(0.0, 500.0)) == 300).all()


def test_no_posts_see_nothing():
    relief = build_relief(np.zeros((3, 3), np.float32), 60.0, 60.0)
    assert not count_views(relief, [], View(0.0, 500.0)).any()


def test_all_faults_are_named_at_once():
    ground = np.zeros((5, 5), np.float32)
    ground[2, 2] = np.nan
    relief = build_relief(ground, 60.0, 60.0)
    posts = [Post(9, 0, 2.0), Post(2, 2, 2.0), Post(1, 1, -2.0), Post(1, 1, math.nan)]
    with pytest.raises(InputError) as caught:
        count_views(relief, posts, View(-1.0, 0.0, 2.0, 10.0, 10.0))
    said = str(caught.value)
    assert len(caught.value.faults) == 8
    for word in ("target height", "range", "refraction", "sector", "outside", "unknown", "below ground"):
        assert word in said, word


@pytest.mark.parametrize(
    ("ground", "cover", "word"),
    [
        (np.zeros(4), None, "shape"),
        (np.full((2, 2), np.nan), None, "void everywhere"),
        (np.zeros((2, 2)), np.zeros((2, 3)), "shape"),
        (np.zeros((2, 2)), np.array([[0, -1], [0, 0]]), "below 0"),
    ],
)
def test_unusable_heights_are_refused(ground, cover, word):
    with pytest.raises(InputError, match=word):
        build_relief(ground, 60.0, 60.0, cover)


def test_too_wide_a_sweep_is_refused():
    relief = build_relief(np.zeros((1, 40_000), np.float32), 60.0, 60.0)
    with pytest.raises(SizeError, match="shorten the range"):
        compute_viewshed(relief, Post(0, 0, 2.0), View(0.0))
    seen = compute_viewshed(relief, Post(0, 0, 2.0), View(0.0, range_m=32_767 * 60.0))
    assert int((seen == OUTSIDE).sum()) == 40_000 - 32_768
