"""Places for depots: brute force, laws, the bound without its solver, and roads on a real mesh."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra, maximum_flow

from abatis.ground.speeds import compute_edge_times
from abatis.programme.choice import Choice, drop_dominated, improve_choice, measure_cost, open_greedily
from abatis.programme.depots import (
    Depots,
    Reach,
    find_fewest,
    find_road_heads,
    make_choice,
    make_room,
    measure_reach,
    open_roads,
    read_depots,
    shorten_ways,
    site_depots,
    store_belts,
)
from abatis.programme.placement import _Programme, place_best


def list_choices(choice: Choice):
    """Every set of places that keeps the limits."""
    places = range(len(choice.must))
    must = set(np.flatnonzero(choice.must).tolist())
    for size in range(len(must), choice.count + 1):
        for chosen in itertools.combinations(places, size):
            paid = sum(choice.price[one] for one in chosen if one not in must)
            if must <= set(chosen) and paid <= choice.money:
                yield np.array(chosen, int)


def find_best(choice: Choice) -> float:
    return min(measure_cost(choice, chosen) for chosen in list_choices(choice))


@st.composite
def choices(draw) -> Choice:
    places, sites = draw(st.integers(1, 7)), draw(st.integers(1, 8))
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    kind = draw(st.sampled_from(["covering", "whole", "hours"]))
    if kind == "covering":
        cost, cap = random.integers(0, 2, (places, sites)).astype(float), np.ones(sites)
    elif kind == "whole":
        cost, cap = random.integers(0, 6, (places, sites)).astype(float), random.integers(1, 6, sites) * 1.0
    else:
        cost, cap = random.uniform(0, 3, (places, sites)), random.uniform(0.5, 3, sites)
        cost[random.random((places, sites)) < 0.2] = np.inf
    must = random.random(places) < 0.2
    weight = np.ones(sites) if draw(st.booleans()) else random.integers(0, 4, sites).astype(float)
    price = random.integers(0, 4, places).astype(float)
    money = draw(st.sampled_from([math.inf, 0.0, 2.0, 5.0]))
    count = draw(st.integers(int(must.sum()), places))
    return Choice(cost, cap, weight, must, price, count, money)


@settings(max_examples=300, deadline=None)
@given(choices())
def test_best_of_all_sets(choice):
    found = place_best(choice)
    assert found.status == "optimal"
    assert found.value == pytest.approx(find_best(choice), abs=1e-8)
    assert found.bound <= found.value + 1e-9
    assert any(np.array_equal(found.chosen, one) for one in list_choices(choice))
    for site, place in enumerate(found.served_by.tolist()):
        cheapest = min([choice.cost[one, site] for one in found.chosen], default=math.inf)
        if place < 0:
            assert cheapest >= choice.cap[site]
        else:
            assert choice.cost[place, site] == cheapest < choice.cap[site]


@settings(max_examples=100, deadline=None)
@given(choices(), st.integers(0, 2**32 - 1))
def test_any_multipliers_give_a_true_bound(choice, seed):
    """The bound is recomputed from whatever multipliers it is given, so wrong ones cannot make it wrong."""
    random = np.random.default_rng(seed)
    open_ = choice.weight > 0
    small = replace(choice, cost=choice.cost[:, open_], cap=choice.cap[open_], weight=choice.weight[open_])
    if not open_.any():
        return
    programme = _Programme(small, np.minimum(small.cost, small.cap))
    places = len(small.must)
    lower, upper = small.must.astype(float), np.ones(places)
    programme.bound_node(lower, upper, lambda _bound: False, math.inf)
    rows = programme.fixed_rows + sum(len(one) for one in programme.row_site)
    for _ in range(5):
        bound, _ = programme._prove(random.normal(0, 2, rows), lower, upper)
        assert bound <= find_best(choice) + 1e-9


@settings(max_examples=60, deadline=None)
@given(choices())
def test_more_depots_and_more_money_never_hurt(choice):
    value = place_best(choice).value
    if choice.count < len(choice.must):
        assert place_best(replace(choice, count=choice.count + 1)).value <= value + 1e-9
    assert place_best(replace(choice, money=choice.money + 1.0)).value <= value + 1e-9


@settings(max_examples=60, deadline=None)
@given(choices(), st.sampled_from([1e-3, 1e6]))
def test_another_currency_changes_nothing(choice, factor):
    other = replace(choice, price=choice.price * factor, money=choice.money * factor)
    assert place_best(other).value == pytest.approx(place_best(choice).value, abs=1e-8)


def draw_case(places: int, sites: int, seed: int) -> np.ndarray:
    """Hours between random points."""
    random = np.random.default_rng(seed)
    here, there = random.random((places, 2)) * 100, random.random((sites, 2)) * 100
    return np.hypot(*(here[:, None] - there).transpose(2, 0, 1)) / 40


def solve_plain(choice: Choice) -> float:
    """Peer: the plain programme with one column per pair, by HiGHS."""
    places, sites = choice.cost.shape
    cost = np.vstack([np.minimum(choice.cost, choice.cap), choice.cap]) * choice.weight
    pairs = (places + 1) * sites
    serve = csr_matrix((np.ones(pairs), (np.tile(np.arange(sites), places + 1), np.arange(pairs))))
    link = csr_matrix((np.ones(places * sites), (np.arange(places * sites), np.arange(places * sites))),
                      (places * sites, pairs))  # fmt: skip
    opened = csr_matrix(
        (-np.ones(places * sites), (np.arange(places * sites), np.repeat(np.arange(places), sites)))
    )
    from scipy.sparse import bmat

    found = milp(
        np.concatenate([cost.ravel(), np.zeros(places)]),
        integrality=np.append(np.zeros(pairs), np.ones(places)),
        bounds=Bounds(np.append(np.zeros(pairs), choice.must), 1.0),
        constraints=[
            LinearConstraint(bmat([[serve, csr_matrix((sites, places))]]), 1.0, 1.0),
            LinearConstraint(bmat([[link, opened]]), -np.inf, 0.0),
            LinearConstraint(np.append(np.zeros(pairs), np.ones(places))[None, :], 0.0, choice.count),
            LinearConstraint(np.append(np.zeros(pairs), choice.priced)[None, :], 0.0, min(choice.money, 1e9)),
        ],
        options={"mip_rel_gap": 0.0},
    )
    return float(found.fun)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("variant", ["covering", "median"])
def test_same_as_the_plain_programme(seed, variant):
    hours = draw_case(24, 50, seed)
    cost = (hours > 0.35).astype(float) if variant == "covering" else hours
    must = np.arange(24) < 2
    price = np.random.default_rng(seed).uniform(0.5, 2.0, 24)
    choice = Choice(
        cost, np.full(50, 1.0 if variant == "covering" else 9.0), np.ones(50), must, price, 7, 5.0
    )
    found = place_best(choice)
    assert found.value == pytest.approx(solve_plain(choice), abs=1e-6)
    assert found.bound == pytest.approx(found.value, abs=1e-6)


def test_time_limit_keeps_the_bound_below():
    hours = draw_case(60, 150, 3)
    choice = Choice(
        (hours > 0.42).astype(float), np.ones(150), np.ones(150), np.zeros(60, bool), np.ones(60), 7
    )
    short, long = place_best(choice, 0.0), place_best(choice)
    assert long.status == "optimal"
    assert long.nodes > 1
    assert short.status == "time_limit"
    assert 0 < short.bound <= long.value <= short.value


def test_dominated_places_go_but_never_those_in_use():
    cost = np.array([[0.0, 1.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
    ones = np.ones(3)
    choice = Choice(
        cost, ones, ones, np.array([True, False, False, False]), np.array([1.0, 2.0, 1.0, 3.0]), 2
    )
    assert drop_dominated(choice).tolist() == [0, 1]
    cheaper = replace(choice, price=np.array([1.0, 2.0, 1.0, 1.0]))
    assert drop_dominated(cheaper).tolist() == [0, 3]


def test_exchange_mends_a_greedy_choice():
    """Greedy takes the middle place, which is in the way of the two good ones."""
    cost = np.array([[0.0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 1]])
    choice = Choice(cost, np.ones(6), np.ones(6), np.zeros(3, bool), np.ones(3), 2)
    greedy = open_greedily(choice)
    assert 2 in greedy.tolist()
    assert improve_choice(choice, greedy).tolist() == [0, 1]


def test_nothing_to_choose():
    none = Choice(np.zeros((0, 3)), np.ones(3), np.ones(3), np.zeros(0, bool), np.zeros(0), 0)
    found = place_best(none)
    assert (found.value, found.bound, found.status, found.served_by.tolist()) == (
        3.0,
        3.0,
        "optimal",
        [-1] * 3,
    )
    empty = Choice(np.zeros((2, 0)), np.ones(0), np.ones(0), np.zeros(2, bool), np.ones(2), 1)
    assert place_best(empty).value == 0.0


def make_depots(count: int, existing=(), capacity_km: float = math.inf) -> Depots:
    keys = tuple(f"d{one}" for one in range(count))
    flags = np.isin(np.arange(count), existing)
    zero = np.zeros(count)
    room = np.full(count, capacity_km)
    return Depots(keys, keys, zero, zero, flags, np.ones(count), room, zero.astype(np.int32), ("G",) * count)


def make_reach(hours: np.ndarray, notice_h: float) -> Reach:
    sites = hours.shape[1]
    return Reach(hours, np.full(sites, notice_h), np.full(sites, 2.0), np.ones(sites, bool))


def test_late_belts_by_hand():
    """Three places in a row, belts at 1, 3 and 5 h from the first; the last belt has no road."""
    hours = np.array([[1.0, 3.0, 5.0, np.inf], [3.0, 1.0, 3.0, np.inf], [5.0, 3.0, 1.0, np.inf]])
    plan = site_depots(make_depots(3, existing=[0]), make_reach(hours, 1.0), 2)
    assert plan.late_now.tolist() == [1, 2, 3]
    assert plan.placement.value == plan.placement.bound == 2.0
    assert len(plan.late) == 2
    assert plan.late_all.tolist() == [3]
    assert plan.fewest == 2
    assert plan.serves[3] == -1
    everywhere = site_depots(make_depots(3, existing=[0]), make_reach(hours, 3.0), 3)
    assert everywhere.late.tolist() == [3]
    assert everywhere.fewest == 2
    median = site_depots(make_depots(3), make_reach(hours, 1.0), 1, variant="median")
    assert median.chosen.tolist() == [1]
    assert median.placement.value == 7.0


@pytest.mark.parametrize("seed", range(6))
def test_fewest_and_shorter_ways(seed):
    reach = make_reach(draw_case(12, 30, seed), 0.6)
    depots = make_depots(12, existing=[0])
    choice = make_choice(depots, reach, "covering", 8, math.inf)
    best = place_best(choice)
    least = min(len(one) for one in list_choices(choice) if measure_cost(choice, one) == best.value)
    assert find_fewest(choice, best, 60.0) == least
    shorter = shorten_ways(choice, reach, best.chosen)
    assert len(reach.list_late(shorter)) == best.value
    assert len(shorter) <= 8
    assert 0 in shorter
    few = place_best(replace(choice, count=least))
    before = reach.hours[few.chosen].min(axis=0)
    after = reach.hours[shorten_ways(choice, reach, few.chosen)].min(axis=0)
    assert after.sum() <= before.sum()


@pytest.mark.parametrize("seed", range(6))
def test_storage_is_a_largest_flow(seed):
    random = np.random.default_rng(seed)
    reach = replace(
        make_reach(draw_case(6, 10, seed), 0.8), length_km=random.integers(1, 6, 10).astype(float)
    )
    depots = replace(make_depots(6), capacity_km=random.integers(1, 9, 6).astype(float))
    chosen = np.array([0, 2, 3, 5])
    stored = store_belts(depots, reach, chosen)
    arrows = np.zeros((18, 18), np.int32)
    arrows[0, 1:7][chosen] = depots.capacity_km[chosen].astype(int)
    arrows[1:7, 7:17] = np.where(reach.in_time, 100, 0)
    arrows[7:17, 17] = reach.length_km.astype(int)
    assert stored.sum() == pytest.approx(maximum_flow(csr_matrix(arrows), 0, 17).flow_value, abs=1e-6)
    assert (stored.sum(axis=1) <= depots.capacity_km + 1e-6).all()
    assert (stored.sum(axis=0) <= reach.length_km + 1e-6).all()
    assert not stored[~reach.in_time].any()
    assert not stored[[1, 4]].any()
    choice = make_choice(depots, reach, "covering", 5, math.inf)
    more = make_room(choice, depots, reach, chosen)
    assert set(chosen) <= set(more)
    assert store_belts(depots, reach, more).sum() >= stored.sum() - 1e-6


def test_roads_of_a_mesh(stock_study):
    """Hours are those of Dijkstra on roads outside hostile ground; heads lie within reach."""
    found, mesh = stock_study
    found = replace(found, haul_vehicle="tracked", access_km=2.0)
    faults = []
    roads = open_roads(found, mesh, faults)
    assert faults == []
    road_h = compute_edge_times(found, mesh, "tracked", "dry").road_h.copy()
    hostile = mesh.mask_countries(found.hostile)
    road_h[hostile[mesh.edge_a] | hostile[mesh.edge_b]] = np.inf
    assert not roads.has_road[hostile].any()
    kept = np.isfinite(road_h)
    assert 0 < kept.sum() < np.isfinite(compute_edge_times(found, mesh, "tracked", "dry").road_h).sum()
    a, b = mesh.edge_a[kept], mesh.edge_b[kept]
    n = mesh.cell_count
    graph = csr_matrix((np.r_[road_h[kept], road_h[kept]], (np.r_[a, b], np.r_[b, a])), (n, n))
    table = found.tables["depots"]
    depots = read_depots(found, mesh, roads, 2, faults)
    assert faults == []
    assert roads.has_road[depots.cells].all()
    belts = make_belts(found, mesh)
    reach = measure_reach(mesh, roads, depots, belts, 2.0)
    assert 0 < reach.has_head.sum() < len(belts)
    for number, belt in enumerate(belts):
        heads = find_road_heads(mesh, roads, belt.cells, 2.0)
        assert reach.has_head[number] == (len(heads) > 0)
        if len(heads) == 0:
            assert np.isinf(reach.hours[:, number]).all()
            assert min(_distance_km(mesh, belt.cells, one) for one in np.flatnonzero(roads.has_road)) > 1.99
            continue
        away = [_distance_km(mesh, belt.cells, head) for head in heads]
        assert max(away) <= 2.0
        assert away == sorted(away)
        expected = dijkstra(graph, indices=depots.cells)[:, heads].min(axis=1)
        assert np.allclose(reach.hours[:, number], expected, rtol=0, atol=1e-9)
    assert len(table) == depots.count == 4


def make_belts(found, mesh):
    from abatis.barrier.sites import site_study
    from abatis.model.plan import read_plan
    from abatis.programme.belts import read_belts

    faults = []
    siting = site_study(found, mesh)
    belts = read_belts(found, mesh, siting, read_plan(found.folder / "plans" / "base"), faults)
    assert faults == []
    assert belts
    return belts


def _distance_km(mesh, cells, other):
    import h3.api.basic_int as h3

    here = (mesh.lat[other], mesh.lon[other])
    return min(h3.great_circle_distance(here, (mesh.lat[one], mesh.lon[one])) for one in cells) - 2e-3


def test_faults_of_places_come_all_at_once(stock_study):
    found, mesh = stock_study
    table = found.tables["depots"].copy()
    hostile = np.flatnonzero(mesh.mask_countries(found.hostile))[0]
    table.loc[table.index[0], ["lon", "lat"]] = [0.0, 0.0]
    table.loc[table.index[1], ["lon", "lat"]] = [mesh.lon[hostile], mesh.lat[hostile]]
    faults = []
    roads = open_roads(found, mesh, faults)
    home = np.flatnonzero(mesh.mask_countries(found.home))
    road = np.flatnonzero(roads.has_road)
    away = [_distance_km(mesh, road, one) for one in home]
    lonely = home[int(np.argmax(away))]
    table.loc[table.index[2], ["lon", "lat"]] = [mesh.lon[lonely], mesh.lat[lonely]]
    wrong = replace(found, tables={**found.tables, "depots": table}, access_km=0.5 * max(away))
    read_depots(wrong, mesh, roads, 9, faults)
    assert [(fault.file, fault.row, fault.column) for fault in faults] == [
        ("tables/depots.csv", 2, "lon"),
        ("tables/depots.csv", 3, "lon"),
        ("tables/depots.csv", 4, "lon"),
        ("study.toml", None, "programme.depots"),
    ]
    words = " ".join(fault.problem for fault in faults)
    assert "outside the mesh" in words
    assert "hostile ground" in words
    assert "no road within" in words
    assert "asks for 9 depots but tables/depots.csv has 4 places" in words
    few = []
    read_depots(found, mesh, roads, 0, few)
    assert "asks for 0 depots but 1 are in use already" in few[0].problem


@pytest.mark.parametrize(("vehicle", "words"), [(None, "is missing"), ("sledge", "is no vehicle")])
def test_vehicle_that_hauls_must_be_known(stock_study, vehicle, words):
    found, mesh = stock_study
    faults = []
    roads = open_roads(replace(found, haul_vehicle=vehicle), mesh, faults)
    assert [words in fault.problem for fault in faults] == [True]
    assert not roads.has_road.any()
