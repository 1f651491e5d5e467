"""Rows of paths: every plan whose times lie in the box keeps them, in hours and in steps."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from abatis.barrier._rows import count_steps, derive_rows, is_stepped, round_up, weigh_steps


def derive_one(base_h, delays, sites, box, band, cover, step_h):
    """Coefficients by option, constant and fill of one row; None when it says nothing."""
    low, a_h, b_h = box[0], *band
    count = len(delays)
    kept, _starts, options, coefficients, constants, fills, needs = derive_rows(
        np.array([0]),
        np.zeros(1, np.int32),
        np.array([0 if b_h > a_h else -1], np.int32),
        np.array([0, len(cover)], np.int64),
        np.array(cover, np.int32),
        np.array([step_h]),
        np.zeros(1, np.int32),
        np.array([base_h]),
        np.array([0, count], np.int64),
        np.arange(count, dtype=np.int32),
        np.array(delays, float),
        np.array(sites, np.int32),
        np.array([low], float),
        np.array([0, 1], np.int64),
        np.array([a_h], float),
        np.array([b_h], float),
    )
    if not len(kept):
        return None
    room_h = b_h - base_h - sum(delays[option] for option in cover)
    assert needs[0] == (count_steps(room_h, step_h)[0] if is_stepped(room_h, step_h) else 1)
    row = np.zeros(count)
    row[options] = coefficients
    return row, constants[0], fills[0]


def list_plans(sites):
    """Every choice of at most one option per site, as 0/1 arrays."""
    groups = [[None, *np.flatnonzero(np.array(sites) == site)] for site in dict.fromkeys(sites)]
    for chosen in itertools.product(*groups):
        plan = np.zeros(len(sites))
        plan[[option for option in chosen if option is not None]] = 1.0
        yield plan


def test_two_delays_of_two_hours_are_both_needed_for_three():
    row, constant, fill = derive_one(10.0, [2.0, 2.0], [0, 1], (13.0, 15.0), (13.0, 13.0), [], 2.0)
    assert row.tolist() == [1.5, 1.5]
    assert (constant, fill) == (3.0, 0.0)
    row, constant, fill = derive_one(10.0, [2.0, 2.0], [0, 1], (13.0, 15.0), (13.0, 13.0), [], 0.0)
    assert row.tolist() == [2.0, 2.0], "in hours, one and a half of them would do"


def test_a_rest_counts_as_its_share_of_the_last_step():
    assert count_steps(5.0, 2.0) == (3, 0.5)
    assert [round_up(h, 2.0, 0.5) for h in (0.0, 0.5, 1.0, 2.0, 2.5, 4.0, 5.0)] == [0, 0.5, 1, 1, 1.5, 2, 3]


def test_the_line_stays_below_the_bend():
    # A need that grows from 1 to 3 hours takes 1 step of 2 h up to 2 h, then up to 2 steps.
    assert weigh_steps(1.0, 3.0, True, 2.0) == 0.0
    assert weigh_steps(2.0, 3.0, True, 2.0) == 1.0


def test_a_last_step_that_is_a_rounding_error_is_refused():
    assert is_stepped(3.0, 2.0)
    assert not is_stepped(2.0 + 1e-12, 2.0)
    assert not is_stepped(2.0, 2.0)
    assert not is_stepped(30.0, 2.0)
    assert not is_stepped(3.0, 0.0)


@pytest.mark.parametrize("seed", range(300))
def test_every_plan_keeps_every_row_of_its_box(seed):
    random = np.random.default_rng(seed)
    count = int(random.integers(2, 7))
    sites = np.sort(random.integers(0, count, count)).tolist()
    whole = seed % 2 == 0
    delays = random.integers(1, 7, count).astype(float) if whole else random.uniform(0.2, 4.0, count)
    base_h = float(random.integers(0, 5))
    low = base_h + (float(random.integers(0, 9)) if whole else random.uniform(0, 8))
    edges = low + np.cumsum(random.integers(0, 4, 3) if whole else random.uniform(0, 3, 3))
    steps = [0.0, *delays, *(0.5 * delays)]
    for plan in list_plans(sites):
        time_h = base_h + float(delays @ plan)
        for z in np.unique([low, time_h, *np.linspace(low, max(low, time_h), 6)]):
            if not low <= z <= time_h:
                continue
            for a_h, b_h in ((low, low), (low, edges[0]), (edges[0], edges[1]), (edges[1], edges[2])):
                if b_h < a_h or (a_h == b_h and a_h != low):
                    continue
                filled = float(np.clip((z - a_h) / (b_h - a_h), 0, 1)) if b_h > a_h else 0.0
                for cover in ([], [int(np.argmax(delays))]):
                    for step_h in steps:
                        found = derive_one(base_h, delays, sites, (low,), (a_h, b_h), cover, step_h)
                        if found is not None:
                            row, constant, fill = found
                            assert row @ plan >= constant + fill * filled - 1e-9
