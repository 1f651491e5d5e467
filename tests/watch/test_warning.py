"""Warning: against enumeration of all routes and against plain Dijkstra, and by hand on a row of cells."""

from __future__ import annotations

import heapq
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from abatis.ground.travel import compute_times, find_route, list_edges
from abatis.model.errors import InputError
from abatis.model.plan import Problem
from abatis.watch.warning import find_first_sight, find_warning, measure_unseen_h

sys.path.insert(0, str(Path(__file__).parents[1] / "ground"))
from ground_cases import draw_times, make_disc, make_plane, wrap_mesh


def list_arcs(mesh, time_h):
    """Neighbours of each cell with hours, as plain lists."""
    arcs = [[] for _ in range(mesh.cell_count)]
    for edge, hours in enumerate(time_h.tolist()):
        if math.isfinite(hours):
            a, b = int(mesh.edge_a[edge]), int(mesh.edge_b[edge])
            arcs[a].append((b, hours))
            arcs[b].append((a, hours))
    return arcs


def walk_everything(mesh, time_h, front, objective, seen, longest_h=math.inf):
    """Least warning by its definition: all simple ways, each cut at the first cell that is seen."""
    arcs = list_arcs(mesh, time_h)
    goals = set(objective)
    best = math.inf

    def go(cell, visited, since_seen, whole):
        nonlocal best
        if whole > longest_h + 1e-9:
            return
        if since_seen is None and seen[cell]:
            since_seen = 0.0
        if cell in goals:
            best = min(best, since_seen or 0.0)
            return
        for other, hours in arcs[cell]:
            if other not in visited:
                left = None if since_seen is None else since_seen + hours
                go(other, visited | {other}, left, whole + hours)

    for start in set(front):
        go(start, {start}, None, 0.0)
    return best


def search_plainly(mesh, time_h, front, objective, seen):
    """The same by two passes in plain Python: which cells can be met first, and how far they are."""
    arcs = list_arcs(mesh, time_h)
    far = {int(cell): 0.0 for cell in objective}
    heap = [(0.0, cell) for cell in far]
    while heap:
        hours, cell = heapq.heappop(heap)
        if hours > far[cell]:
            continue
        for other, step in arcs[cell]:
            if hours + step < far.get(other, math.inf):
                far[other] = hours + step
                heapq.heappush(heap, (hours + step, other))
    met, stack = set(), [int(cell) for cell in front]
    while stack:
        cell = stack.pop()
        if cell in met:
            continue
        met.add(cell)
        if not seen[cell]:
            stack += [other for other, _ in arcs[cell]]
    goals = {int(cell) for cell in objective}
    return min((far.get(c, math.inf) for c in met if seen[c] or c in goals), default=math.inf)


def check_way(mesh, time_h, front, objective, seen, found):
    """The way that is named is a way, unseen as long as it says, and leaves just the warning found."""
    way = found.way
    assert way[0] in front and way[-1] in objective and found.cell in way
    assert not seen[way[: found.hidden]].any()
    assert seen[way[found.hidden]] if found.hidden < len(way) else found.warning_h == 0
    place = min(found.hidden, len(way) - 1)
    assert way[place] == found.cell
    hours = time_h[list_edges(mesh, way)] if len(way) > 1 else np.empty(0)
    assert np.isfinite(hours).all()
    assert hours[place:].sum() == pytest.approx(found.warning_h, abs=1e-12)
    assert hours[:place].sum() == pytest.approx(found.hidden_h, abs=1e-12)


@pytest.mark.parametrize("seed", range(40))
def test_every_way_of_small_meshes(seed):
    random = np.random.default_rng(seed)
    mesh, _, _ = make_plane(int(random.integers(1, 3)))
    if mesh.cell_count > 12:
        keep = np.sort(random.choice(mesh.cell_count, 11, replace=False))
        row = np.full(mesh.cell_count + 1, -1)
        row[keep] = np.arange(len(keep))
        neighbor = row[mesh.neighbor[keep]].astype(np.int32)
        mesh = wrap_mesh(mesh.cells[keep], mesh.lon[keep], mesh.lat[keep], neighbor, 1000.0)
    time_h = draw_times(mesh, random)
    front = random.choice(mesh.cell_count, int(random.integers(1, 4)), replace=False)
    objective = random.choice(mesh.cell_count, int(random.integers(1, 3)), replace=False)
    seen = random.random(mesh.cell_count) < random.choice([0.0, 0.2, 0.5, 1.0])
    found = find_first_sight(mesh, time_h, front, objective, seen)
    assert found.warning_h == pytest.approx(
        walk_everything(mesh, time_h, front.tolist(), objective.tolist(), seen), abs=1e-12
    )
    if found.cell < 0:
        return
    check_way(mesh, time_h, front, objective, seen, found)
    arrival_h = compute_times(mesh, time_h, objective)[front].min()
    before_h = math.inf
    for share in (0.0, 0.1, 0.25, 1.0, 5.0):
        longest_h = (1.0 + share) * arrival_h
        fast = find_first_sight(mesh, time_h, front, objective, seen, longest_h=longest_h)
        wanted = walk_everything(mesh, time_h, front.tolist(), objective.tolist(), seen, longest_h)
        assert fast.warning_h == pytest.approx(wanted, abs=1e-12)
        check_way(mesh, time_h, front, objective, seen, fast)
        assert found.warning_h <= fast.warning_h <= before_h, "patience costs warning"
        before_h = fast.warning_h


@pytest.mark.parametrize("radius", [1, 2, 3, 5, 8, 13, 21, 34])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 0.6, 1.0])
def test_meshes_of_every_size(radius, share):
    random = np.random.default_rng(radius)
    mesh = make_disc(radius, holes=0.1)
    time_h = draw_times(mesh, random)
    for _ in range(3):
        front = random.choice(mesh.cell_count, min(4, mesh.cell_count), replace=False)
        objective = random.choice(mesh.cell_count, 1)
        seen = random.random(mesh.cell_count) < share
        found = find_first_sight(mesh, time_h, front, objective, seen)
        assert found.warning_h == pytest.approx(
            search_plainly(mesh, time_h, front, objective, seen), abs=1e-12
        )
        arrival_h = compute_times(mesh, time_h, objective)[front].min()
        assert found.warning_h <= arrival_h
        if found.cell >= 0:
            check_way(mesh, time_h, front, objective, seen, found)
        if share == 1.0:
            assert found.warning_h == arrival_h
        if share == 0.0 and math.isfinite(arrival_h):
            assert found.warning_h == 0.0


def make_row(count):
    """A row of cells, each next to the last."""
    neighbor = np.full((count, 6), -1, np.int32)
    neighbor[1:, 3] = np.arange(count - 1)
    neighbor[:-1, 0] = np.arange(1, count)
    cells = np.arange(count, dtype=np.uint64)
    return wrap_mesh(cells, np.arange(count) * 1.0, np.zeros(count), neighbor, 1000.0)


def make_problem(mesh, time_h, delay_h, front, target):
    """One approach; option o delays edge o by delay_h across country and half of it by road."""
    edges = np.arange(mesh.edge_count)
    return Problem(
        node_count=mesh.cell_count,
        tail=mesh.edge_a,
        head=mesh.edge_b,
        directed=False,
        open_h=np.array([time_h]),
        road_h=np.array([np.where(edges % 2 == 0, time_h * 0.8, np.inf)]),
        approach_keys=("a",),
        approach_names=("A to B",),
        approach_group=np.zeros(1, np.int32),
        approach_weight=np.ones(1),
        approach_sources=(np.asarray(front, np.int32),),
        approach_targets=(np.asarray(target, np.int32),),
        site_keys=tuple(f"s{e}" for e in edges),
        site_names=tuple(f"site {e}" for e in edges),
        option_keys=tuple(f"o{e}" for e in edges),
        option_site=edges.astype(np.int32),
        option_cost_eur=np.ones(mesh.edge_count),
        option_start=np.arange(mesh.edge_count + 1),
        option_edge=edges.astype(np.int32),
        option_open_h=np.full(mesh.edge_count, delay_h),
        option_road_h=np.full(mesh.edge_count, delay_h / 2),
        rules=(),
        least_hours={},
        least_hours_names={},
        objective="sum",
    )


def test_a_row_of_cells_by_hand():
    """Six cells an hour apart; today the fourth is seen, then the second; a barrier stands at each end."""
    mesh = make_row(6)
    problem = make_problem(mesh, np.full(5, 1.0), 3.0, [0], [5])
    problem = replace(problem, road_h=np.full((1, 5), np.inf))
    today = np.isin(np.arange(6), [3])
    posted = np.isin(np.arange(6), [1, 3])
    (row,) = find_warning(mesh, problem, [0, 4], today, posted)
    assert (row.arrival_h, row.arrival_plan_h, row.delay_h) == (5.0, 11.0, 6.0)
    # From cell 3 two hours are left, from cell 1 four, and of the two barriers one comes after cell 1.
    assert (row.warning_today_h, row.warning_posts_h, row.warning_plan_h) == (2.0, 4.0, 7.0)
    assert (row.posts_won_h, row.plan_won_h, row.total_h) == (2.0, 3.0, 5.0)
    assert row.worst.way.tolist() == [0, 1, 2, 3, 4, 5] and row.worst.cell == 1 and row.worst.hidden == 1
    # Today all but the two halves beside cell 3; then an hour less; the barriers add 1.5 h and 3 h unseen.
    assert (row.unseen_today_h, row.unseen_posts_h, row.unseen_plan_h) == (4.0, 3.0, 7.5)


@pytest.mark.parametrize("seed", range(25))
def test_rows_are_the_definition_and_count_no_hour_twice(seed):
    random = np.random.default_rng(seed)
    mesh = make_disc(int(random.integers(1, 7)))
    problem = make_problem(mesh, draw_times(mesh, random, 0.0), 2.0, [0, 1], [mesh.cell_count - 1])
    chosen = np.flatnonzero(random.random(mesh.edge_count) < 0.4)
    today = random.random(mesh.cell_count) < 0.1
    posted = today | (random.random(mesh.cell_count) < 0.3)
    (row,) = find_warning(mesh, problem, chosen, today, posted)
    plain = np.minimum(problem.open_h[0], problem.road_h[0])
    hit = np.isin(np.arange(mesh.edge_count), chosen)
    planned = np.minimum(problem.open_h[0] + 2.0 * hit, problem.road_h[0] + 1.0 * hit)
    front, target = problem.approach_sources[0], problem.approach_targets[0]
    for hours, seen, time_h in (
        (row.warning_today_h, today, plain),
        (row.warning_posts_h, posted, plain),
        (row.warning_plan_h, posted, planned),
    ):
        assert hours == pytest.approx(search_plainly(mesh, time_h, front, target, seen), abs=1e-12)
    check_way(mesh, planned, front, target, posted, row.worst)
    check_way(mesh, plain, front, target, today, row.worst_today)
    plain_h = compute_times(mesh, plain, target)
    for hours, seen in ((row.fast_today_h, today), (row.fast_posts_h, posted)):
        fast = find_first_sight(mesh, plain, front, target, seen, plain_h, 1.25 * row.arrival_h)
        assert fast.warning_h == hours
    assert row.worst_fast.warning_h == row.fast_plan_h
    assert row.worst_fast.hidden_h + row.fast_plan_h <= 1.25 * row.arrival_plan_h + 1e-9
    assert row.fast_today_h <= row.fast_posts_h and row.warning_plan_h <= row.fast_plan_h
    # Seeing more and building more never cost warning; the hours won lie within the time after first sight.
    assert 0 <= row.warning_today_h <= row.warning_posts_h <= row.warning_plan_h <= row.arrival_plan_h
    assert row.total_h == pytest.approx(row.posts_won_h + row.plan_won_h)
    assert row.total_h <= row.arrival_plan_h - row.warning_today_h + 1e-12
    everything = np.ones(mesh.cell_count, bool)
    (full,) = find_warning(mesh, problem, chosen, everything, everything)
    assert full.total_h == full.delay_h, "where all is seen, the hours won are the delay"
    assert full.unseen_plan_h == 0.0


def join_hours(mesh, pairs, usual_h):
    """Hours per edge: the usual ones, and others between some pairs of cells."""
    time_h = np.full(mesh.edge_count, usual_h)
    for a, b, hours in pairs:
        time_h[(mesh.edge_a == min(a, b)) & (mesh.edge_b == max(a, b))] = hours
    return time_h


def test_warning_can_be_won_without_any_delay():
    """The fastest way through the middle is never touched; what counts is the slow one round it."""
    mesh, x, y = make_plane(1)
    middle, left, right = int(np.argmin(np.hypot(x, y))), int(np.argmin(x)), int(np.argmax(x))
    high, low = (int(np.argmax((x > 0) * side * y)) for side in (1, -1))
    time_h = join_hours(
        mesh, [(left, middle, 5.0), (middle, right, 5.0), (high, right, 3.0), (low, right, 3.0)], 8.0
    )
    problem = make_problem(mesh, time_h, 4.0, [left], [right])
    problem = replace(problem, road_h=np.full((1, mesh.edge_count), np.inf))
    last = np.flatnonzero((mesh.edge_b == right) & np.isin(mesh.edge_a, [high, low]))
    last = np.union1d(last, np.flatnonzero((mesh.edge_a == right) & np.isin(mesh.edge_b, [high, low])))
    today = np.isin(np.arange(mesh.cell_count), [middle])
    posted = np.isin(np.arange(mesh.cell_count), [middle, high, low])
    (row,) = find_warning(mesh, problem, last, today, posted)
    assert (row.arrival_h, row.delay_h) == (10.0, 0.0)
    assert row.warning_today_h == 0.0 and row.worst_today.hidden == len(row.worst_today.way) == 4
    assert row.warning_posts_h == 3.0, "first seen beside the objective"
    assert row.warning_plan_h == 5.0, "the barriers make that 7 h; now the middle is the least warned"
    assert (row.posts_won_h, row.plan_won_h, row.total_h) == (3.0, 2.0, 5.0)


def test_no_way_and_bad_input():
    mesh = make_row(4)
    closed = np.array([1.0, np.inf, 1.0])
    found = find_first_sight(mesh, closed, np.array([0]), np.array([3]), np.ones(4, bool))
    assert found.warning_h == math.inf and found.cell == -1 and len(found.way) == 0
    with pytest.raises(InputError, match="cannot reach"):
        find_warning(
            mesh, replace(make_problem(mesh, closed, 1.0, [0], [3]), road_h=np.full((1, 3), np.inf)),
            [], np.ones(4, bool), np.ones(4, bool),
        )  # fmt: skip
    with pytest.raises(InputError, match="tolerance"):
        find_warning(
            mesh, make_problem(mesh, np.ones(3), 1.0, [0], [3]), [], np.ones(4, bool), np.ones(4, bool),
            tolerance=-0.1,
        )  # fmt: skip
    with pytest.raises(InputError, match="one true or false"):
        find_first_sight(mesh, np.ones(3), np.array([0]), np.array([3]), np.ones(3, bool))
    with pytest.raises(InputError, match="one true or false"):
        find_first_sight(mesh, np.ones(3), np.array([0]), np.array([3]), np.ones(4))
    with pytest.raises(InputError, match="no cell"):
        find_first_sight(mesh, np.ones(3), np.array([], int), np.array([3]), np.ones(4, bool))


def test_threshold_of_detection():
    """A lower threshold sees more, so it never leaves less warning."""
    random = np.random.default_rng(5)
    mesh = make_disc(12)
    time_h = draw_times(mesh, random)
    detection = random.random(mesh.cell_count)
    front, target = np.arange(3), np.array([mesh.cell_count - 1])
    hours = [
        find_first_sight(mesh, time_h, front, target, detection >= least).warning_h
        for least in (0.1, 0.5, 0.7, 0.9, 1.0)
    ]
    assert hours == sorted(hours, reverse=True) and hours[0] > hours[-1]


def test_unseen_hours_of_a_route():
    mesh = make_disc(6)
    time_h = draw_times(mesh, np.random.default_rng(1), 0.0)
    times = compute_times(mesh, time_h, np.array([0]))
    route = find_route(mesh, time_h, times, mesh.cell_count - 1)
    nobody = np.zeros(mesh.cell_count, bool)
    assert measure_unseen_h(mesh, time_h, route, nobody) == pytest.approx(times[mesh.cell_count - 1])
    assert measure_unseen_h(mesh, time_h, route, ~nobody) == 0.0
    assert measure_unseen_h(mesh, time_h, route[:1], nobody) == 0.0
