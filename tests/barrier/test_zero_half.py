"""Sums of rows, halved and rounded up: rows checked by eye, by all plans, and in certificates."""

import copy
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

from abatis.barrier._zero_half import add_pairs, find_triples, halve, list_parts
from abatis.barrier.certificate import check_certificate
from abatis.barrier.paths import SUM, BoxRows, halve_sums
from abatis.barrier.proof import make_certificate
from abatis.barrier.solve import solve_problem
from abatis.barrier.zero_half import LEAST_BROKEN, MOST_ALIKE, MOST_CUTS, find_zero_halves

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from solver.families import make_wood

TRIANGLE = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0], [1.0, 0.0, 1.0]])


def make_rows(share, needs=None, room_h=1.0):
    """Plain rows sum of share x >= need, given in hours: `room_h` hours are the whole need."""
    needs = np.ones(len(share), np.int64) if needs is None else np.asarray(needs)
    starts = np.append(0, np.cumsum((share != 0).sum(axis=1)))
    options = np.nonzero(share)[1].astype(np.int32)
    scale = np.repeat(room_h / needs, np.diff(starts))
    none = np.zeros(len(share))
    return BoxRows(
        numbers=np.arange(len(share)),
        starts=starts,
        options=options,
        coefficients=scale * share[share != 0],
        constants=np.full(len(share), room_h),
        fills=none,
        columns=none.astype(np.int64),
        sizes=np.full(len(share), 10.0 * room_h),
        needs=needs,
    )


def derive(rows, sums, option_count, silent=()):
    """Dense shares and needs of sums, lists of row numbers, on top of plain rows but the silent ones."""
    count = len(rows) + len(sums)
    row_path = np.append(np.zeros(len(rows), np.int32), np.full(len(sums), SUM, np.int32))
    sizes = np.append(np.zeros(len(rows), np.int64), [len(one) for one in sums])
    part_start = np.append(0, np.cumsum(sizes))
    parts = np.array([part for one in sums for part in one], np.int32)
    every = list_parts(np.arange(len(rows), count), row_path, part_start, parts, count)
    plain = rows.take(np.setdiff1d(every[every < len(rows)], silent))
    halves = halve_sums(every, row_path, part_start, parts, plain, option_count)
    share = np.zeros((len(halves), option_count))
    share[np.repeat(np.arange(len(halves)), np.diff(halves.starts)), halves.options] = halves.coefficients
    return halves.numbers.tolist(), share, halves.needs.tolist()


@pytest.mark.parametrize(
    ("total", "is_odd", "count"),
    [
        (1.0, True, 1.0),
        (0.5, True, 0.5),
        (2.0, True, 1.0),
        (2.5, True, 1.5),
        (3.0, True, 2.0),
        (3.0, False, 1.5),
    ],
)
def test_a_sum_is_halved_and_rounded_up(total, is_odd, count):
    assert halve(total, is_odd) == count


def test_three_pairs_of_three_sites_need_two_of_them():
    numbers, share, needs = derive(make_rows(TRIANGLE, room_h=4.0), [[0, 1, 2]], 3)
    assert (numbers, needs) == ([3], [2])
    assert share[0] == pytest.approx([1.0, 1.0, 1.0])
    assert (share >= 1.0).all(), "a coefficient is rounded up, never down"


def test_the_triangle_is_found_where_halves_would_do():
    rows = make_rows(TRIANGLE, room_h=4.0)
    assert [one.tolist() for one in find_zero_halves(rows, np.full(3, 0.5))] == [[0, 1, 2]]
    assert find_zero_halves(rows, np.array([1.0, 1.0, 0.0])) == []
    assert find_zero_halves(rows.take(np.arange(2)), np.full(3, 0.5)) == []


def test_an_odd_ring_of_five_is_found_by_adding_pairs():
    share = np.eye(5) + np.roll(np.eye(5), 1, axis=1)
    half, need = np.full(5, 0.5), np.ones(5, np.int64)
    members, broken = np.empty((64, 3), np.int64), np.empty(64)
    assert find_triples(share, need, half, LEAST_BROKEN, members, broken) == 0
    chosen = np.array([True, False, False, False, False])
    assert add_pairs(chosen, share, need, half, -1.0, 4) == pytest.approx(0.5)
    assert chosen.all()


def test_triples_are_those_that_trying_all_finds():
    for seed in range(20):
        random = np.random.default_rng(seed)
        share = np.round(random.random((8, 6)), 2) * (random.random((8, 6)) < 0.6)
        need, point = random.integers(1, 4, 8), random.random(6)
        members, broken = np.empty((64, 3), np.int64), np.empty(64)
        found = find_triples(share, need, point, LEAST_BROKEN, members, broken)
        wanted = {}
        for three in itertools.combinations(range(8), 3):
            count = int(need[list(three)].sum())
            counts = np.array([halve(one, True) for one in share[list(three)].sum(axis=0)])
            short = (count + 1) // 2 - float(counts @ point)
            if count % 2 and short > LEAST_BROKEN:
                wanted[three] = short
        assert dict(zip(map(tuple, members[:found].tolist()), broken[:found], strict=True)) == pytest.approx(
            wanted
        )


def test_no_plan_that_keeps_the_rows_breaks_a_sum_of_them_or_of_sums():
    """All plans of ten sites, forty draws of rows with parts, whole needs up to 2, and sums of sums."""
    plans = np.array(list(itertools.product((0.0, 1.0), repeat=10)))
    binding = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        share = random.choice([0.0, 0.35, 1.0], (7, 10), p=[0.6, 0.1, 0.3])
        needs = random.integers(1, 3, 7)
        rows = make_rows(share, needs, room_h=3.7)
        sums = [random.choice(7 + k, min(3, 7 + k), replace=False).tolist() for k in range(8)]
        numbers, halves, counts = derive(rows, sums, 10)
        assert numbers == list(range(7, 15))
        kept = plans[(plans @ share.T >= needs - 1e-12).all(axis=1)]
        reached = kept @ halves.T
        assert (reached >= np.array(counts) - 1e-9).all()
        binding += int((reached < np.array(counts) + 1e-9).any()) if len(kept) else 0
    assert binding > 5, "some plans should just reach a sum"


def test_a_sum_with_a_part_that_says_nothing_is_left_out():
    """The sum of the triangle stays; that with the fourth row, and a sum of that sum, go."""
    rows = make_rows(np.vstack([TRIANGLE, [[1.0, 1.0, 1.0]]]))
    sums = [[0, 1, 2], [0, 1, 3], [0, 1, 5]]
    assert derive(rows, sums, 3)[0] == [4, 5, 6]
    assert derive(rows, sums, 3, silent=[3])[0] == [4]


def test_cuts_are_few_and_unlike():
    """Each pair of eight sites needs one of them, said twice: a triangle is found in eight versions."""
    pairs = [[one in pair for one in range(8)] for pair in itertools.combinations(range(8), 2)]
    share = np.vstack([pairs, 0.98 * np.array(pairs)])
    point = np.full(8, 0.52)
    rows = make_rows(share)
    sets = find_zero_halves(rows, point)
    assert len(sets) == MOST_CUTS
    shapes = derive(rows, [one.tolist() for one in sets], 8)[1] * point
    shapes /= np.linalg.norm(shapes, axis=1)[:, None]
    assert (shapes @ shapes.T - np.eye(len(sets)) <= MOST_ALIKE + 1e-6).all()


@pytest.fixture(scope="module")
def proven():
    instance = make_wood(10, 10, 100, 200, 1, 5, 1)
    return instance.problem, make_certificate(solve_problem(instance.problem, instance.budget, gap=0.0))


def list_sums(certificate):
    return [row for row in certificate["rows"] if row[0] == SUM]


def drop_a_part(certificate):
    for row in list_sums(certificate):
        row[2] = row[2][1:]


def name_later_rows(certificate):
    for number, row in enumerate(certificate["rows"]):
        if row[0] == SUM:
            row[2] = [number, len(certificate["rows"]), -1]


def name_a_part_in_words(certificate):
    for row in list_sums(certificate):
        row[2] = ["first"]


@pytest.mark.parametrize(
    ("tamper", "reason"),
    [(drop_a_part, "only proves"), (name_later_rows, "only proves"), (name_a_part_in_words, "is damaged")],
)
def test_a_tampered_sum_proves_nothing(proven, tamper, reason):
    problem, honest = proven
    assert len(list_sums(honest)) > 5, "the case should need sums"
    assert check_certificate(problem, honest) == []
    certificate = copy.deepcopy(honest)
    tamper(certificate)
    reasons = check_certificate(problem, certificate)
    assert any(reason in one for one in reasons), reasons
