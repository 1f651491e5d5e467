"""Terms of a line against linear programmes, by brute force and by hand."""

import itertools

import h3.api.basic_int as h3
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.sparse import csr_matrix

from abatis.barrier import _dual
from abatis.barrier.line_graph import build_graph, list_components
from abatis.barrier.line_parity import open_rim
from abatis.barrier.line_terms import find_leaning, make_terms, read_terms
from abatis.barrier.lines import (
    compute_closing_cost,
    find_closing_line,
    find_echelon_lines,
    find_echelon_sets,
    find_termed_lines,
)
from abatis.barrier.rings import find_ring
from abatis.model.errors import InfeasibleError, InputError
from abatis.model.words import COVER_WORDS

CENTER = h3.latlng_to_cell(54.5, 24.5, 8)


def build_disk(bench, radius):
    mesh = bench.build_mesh(list(h3.grid_disk(CENTER, radius)))
    west, east = np.quantile(mesh.lon, [0.2, 0.8])
    return mesh, mesh.lon < west, mesh.lon > east


@pytest.fixture(scope="module")
def disk(bench):
    return build_disk(bench, 4)


def test_plain_terms_give_the_closing_line(disk):
    mesh, west, east = disk
    cost = np.random.default_rng(1).integers(0, 50, mesh.edge_count).astype(float)
    (line,) = find_termed_lines(mesh, make_terms(cost), west, east)
    assert line.cost_eur == find_closing_line(mesh, cost, west, east).cost_eur


# ---- several lines that share no edge


def solve_nested_cuts(mesh, cost, source, target, count, shared):
    """Return the least total cost of `count` nested cuts by a linear programme (None: there are none)."""
    n, e = mesh.cell_count, mesh.edge_count
    rows = np.arange(e)
    one = np.ones(e)
    data = np.concatenate([one, -one, -one, -one, one, -one])
    row = np.concatenate([rows, rows, rows, rows + e, rows + e, rows + e])
    column = np.concatenate([mesh.edge_a, mesh.edge_b, n + rows, mesh.edge_a, mesh.edge_b, n + rows])
    bounds = [
        (0, 0) if s else (count, count) if t else (0, count) for s, t in zip(source, target, strict=True)
    ]
    bounds += [
        (0, count if both else 1) if np.isfinite(c) else (0, 0) for c, both in zip(cost, shared, strict=True)
    ]
    weight = np.concatenate([np.zeros(n), np.where(np.isfinite(cost), cost, 0.0)])
    upper = csr_matrix((data, (row, column)), shape=(2 * e, n + e))
    answer = linprog(weight, A_ub=upper, b_ub=np.zeros(2 * e), bounds=bounds, method="highs")
    return answer.fun if answer.status == 0 else None


def separates(mesh, line, source, target):
    from scipy.sparse.csgraph import connected_components

    keep = np.ones(mesh.edge_count, bool)
    keep[line.edges] = False
    n = mesh.cell_count
    graph = csr_matrix((np.ones(keep.sum()), (mesh.edge_a[keep], mesh.edge_b[keep])), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    return not set(label[source]) & set(label[target])


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32 - 1), st.integers(2, 5), st.integers(2, 4), st.booleans(), st.booleans())
def test_disjoint_lines_equal_a_linear_programme(bench, seed, radius, count, share, four):
    random = np.random.default_rng(seed)
    mesh, west, east = build_disk(bench, radius)
    if four:
        far = np.abs(mesh.lat - np.median(mesh.lat)) > 0.55 * np.ptp(mesh.lat) / 2
        ends = (mesh.lon < np.quantile(mesh.lon, 0.15)) | (mesh.lon > np.quantile(mesh.lon, 0.85))
        west, east = ends & ~far, far & ~ends
    cost = random.integers(0, 12, mesh.edge_count).astype(float)
    cost[random.random(mesh.edge_count) < 0.05] = np.inf
    terms = make_terms(cost)
    shared = terms.shared if share else np.zeros(mesh.edge_count, bool)
    terms = type(terms)(cost, cost, shared, (), 0.0, count)
    value = solve_nested_cuts(mesh, cost, west, east, count, shared)
    if value is None:
        with pytest.raises(InfeasibleError):
            find_termed_lines(mesh, terms, west, east)
        return
    lines = find_termed_lines(mesh, terms, west, east)
    assert len(lines) == count
    assert sum(line.cost_eur for line in lines) == pytest.approx(value)
    assert all(separates(mesh, line, west, east) for line in lines)
    uses = np.bincount(np.concatenate([line.edges for line in lines]), minlength=mesh.edge_count)
    assert (uses[~shared] <= 1).all()


def test_no_room_for_many_lines_is_named(disk):
    mesh, west, east = disk
    terms = make_terms(np.ones(mesh.edge_count))
    with pytest.raises(InfeasibleError, match=r"no room for 20 lines at 24\.\d+ E"):
        find_termed_lines(
            mesh, type(terms)(terms.cost_eur, terms.choice_eur, terms.shared, (), 0.0, 20), west, east
        )


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kind", ["count", "turn"])
def test_pockets_get_a_ring(bench, seed, kind):
    """Small pieces off the rim: every line still separates, shares nothing, and costs no less than a cut."""
    random = np.random.default_rng(seed)
    mesh, west, east = build_disk(bench, 9)
    cost = random.integers(1, 40, mesh.edge_count).astype(float)
    free = np.flatnonzero(~west & ~east & (mesh.neighbor >= 0).all(axis=1))
    first, second = random.choice(free, 2, replace=False)
    if h3.grid_distance(int(mesh.cells[first]), int(mesh.cells[second])) < 4:
        return
    west, east = west.copy(), east.copy()
    west[first], east[second] = True, True
    terms = make_terms(cost)
    count, turn_eur = (2, 0.0) if kind == "count" else (1, 10.0)
    terms = type(terms)(cost, cost, terms.shared, (), turn_eur, count)
    try:
        lines = find_termed_lines(mesh, terms, west, east)
    except InfeasibleError:
        assert kind == "count"
        return
    least = find_closing_line(mesh, cost, west, east).cost_eur
    for line in lines:
        assert separates(mesh, line, west, east)
        assert line.cost_eur >= least
    uses = np.bincount(np.concatenate([line.edges for line in lines]), minlength=mesh.edge_count)
    assert uses.max() == 1


# ---- places to pass and turns, against all walks


def list_chains(mesh, cost, source, target):
    """Every chain of hexagon sides from rim arc to rim arc without a repeated corner, as lists of edges."""
    graph = build_graph(mesh, cost, source, target)
    to, arcs, _ = open_rim(graph, list_components(graph)[0])
    assert len(arcs) == 2
    chains = []

    def walk(corner, seen, edges):
        if corner == arcs[1]:
            chains.append((list(edges), list(seen)))
            return
        for slot in range(3):
            end, edge = int(to[corner, slot]), int(graph.via[corner, slot])
            if end < 0 or end in seen or (edge >= 0 and graph.weight[edge] < 0):
                continue
            walk(end, [*seen, end], [*edges, edge])

    walk(arcs[0], [arcs[0]], [])
    return graph, chains


def locate_side(mesh, edge):
    a, b = int(mesh.cells[mesh.edge_a[edge]]), int(mesh.cells[mesh.edge_b[edge]])
    boundary = h3.directed_edge_to_boundary(h3.cells_to_directed_edge(a, b))
    return [tuple(np.round(boundary[one][::-1], 7)) for one in (0, -1)]


def count_turns(mesh, edges):
    """Bends to the same hand twice in a row, from the positions of the sides' ends; -1 is a rim side."""
    turns = 0
    for is_side, run in itertools.groupby(edges, key=lambda edge: edge >= 0):
        sides = [locate_side(mesh, edge) for edge in run] if is_side else []
        if len(sides) < 2:
            continue
        (start,) = set(sides[0]) - set(sides[1])
        corners = [start]
        for side in sides:
            corners += [end for end in side if end != corners[-1]]
        turns += count_bends(np.array(corners))
    return turns


def count_bends(corners):
    step = np.diff(corners, axis=0) * [np.cos(np.radians(54.5)), 1.0]
    hand = np.sign(step[:-1, 0] * step[1:, 1] - step[:-1, 1] * step[1:, 0])
    return int((hand[1:] == hand[:-1]).sum())


def find_best_chain(mesh, graph, chains, cost, turn_eur, groups, turns):
    best = np.inf
    for (edges, _), bends in zip(chains, turns, strict=True):
        used = [edge for edge in edges if edge >= 0]
        if all(group[used].any() for group in groups):
            best = min(best, cost[used].sum() + turn_eur * bends)
    return best


@pytest.fixture(scope="module")
def small(bench):
    mesh = bench.build_mesh(list(h3.grid_disk(CENTER, 2)))
    west, east = np.quantile(mesh.lon, [0.2, 0.8])
    return mesh, mesh.lon < west, mesh.lon > east


@pytest.mark.parametrize("seed", range(12))
def test_places_equal_brute_force(small, seed):
    mesh, west, east = small
    random = np.random.default_rng(seed)
    cost = random.integers(1, 40, mesh.edge_count).astype(float)
    graph, chains = list_chains(mesh, cost, west, east)
    free = np.flatnonzero(~west & ~east)
    cells = random.choice(free, 1 + seed % 3, replace=False)
    groups = [(mesh.edge_a == cell) | (mesh.edge_b == cell) for cell in cells]
    best = find_best_chain(mesh, graph, chains, cost, 0.0, groups, [0] * len(chains))
    terms = make_terms(cost)
    terms = type(terms)(
        cost, cost, terms.shared, tuple((str(c), g) for c, g in zip(cells, groups, strict=True))
    )
    if np.isinf(best):
        with pytest.raises(InfeasibleError):
            find_termed_lines(mesh, terms, west, east)
        return
    (line,) = find_termed_lines(mesh, terms, west, east)
    assert line.cost_eur == best
    assert all(group[line.edges].any() for group in groups)
    assert separates(mesh, line, west, east)


@pytest.mark.parametrize("seed", range(6))
def test_single_edges_to_pass_equal_brute_force(small, seed):
    """Single sides are harder than cells: a walk would like to go there and back."""
    mesh, west, east = small
    random = np.random.default_rng(100 + seed)
    cost = random.integers(1, 40, mesh.edge_count).astype(float)
    graph, chains = list_chains(mesh, cost, west, east)
    usable = np.flatnonzero(graph.weight >= 0)
    groups = [np.arange(mesh.edge_count) == edge for edge in random.choice(usable, 2, replace=False)]
    best = find_best_chain(mesh, graph, chains, cost, 0.0, groups, [0] * len(chains))
    terms = make_terms(cost)
    terms = type(terms)(cost, cost, terms.shared, tuple((str(n), g) for n, g in enumerate(groups)))
    if np.isinf(best):
        with pytest.raises(InfeasibleError):
            find_termed_lines(mesh, terms, west, east)
        return
    assert find_termed_lines(mesh, terms, west, east)[0].cost_eur == best


def count_line_turns(line):
    return sum(count_bends(corners) for corners in line.polylines)


@pytest.mark.parametrize("seed", range(8))
def test_turns_equal_brute_force(small, seed):
    mesh, west, east = small
    random = np.random.default_rng(seed)
    cost = random.integers(1, 40, mesh.edge_count).astype(float)
    cost[random.random(mesh.edge_count) < 0.1] = np.inf
    turn_eur = [5.0, 15.0, 60.0][seed % 3]
    try:
        graph, chains = list_chains(mesh, cost, west, east)
    except InfeasibleError:
        return
    turns = [count_turns(mesh, edges) for edges, _ in chains]
    best = find_best_chain(mesh, graph, chains, cost, turn_eur, [], turns)
    terms = make_terms(cost)
    terms = type(terms)(cost, cost, terms.shared, (), turn_eur)
    (line,) = find_termed_lines(mesh, terms, west, east)
    assert line.cost_eur + turn_eur * count_line_turns(line) == best
    assert separates(mesh, line, west, east)


def test_dear_turns_make_a_line_straighter(bench):
    mesh, west, east = build_disk(bench, 10)
    cost = np.random.default_rng(5).integers(1, 1000, mesh.edge_count).astype(float)
    bends = []
    for turn_eur in (0.0, 100.0, 1000.0, 10_000.0):
        terms = make_terms(cost)
        (line,) = find_termed_lines(mesh, type(terms)(cost, cost, terms.shared, (), turn_eur), west, east)
        bends.append((count_line_turns(line), line.cost_eur))
    assert bends[0][0] >= bends[1][0] >= bends[2][0] >= bends[3][0]
    assert bends[0][0] > bends[3][0]
    assert [euro for _, euro in bends] == sorted(euro for _, euro in bends)


# ---- rings


@pytest.mark.parametrize("seed", range(25))
def test_halving_finds_the_same_ring_as_a_search_from_every_corner(bench, seed):
    from abatis.barrier.line_parity import _reach_base

    random = np.random.default_rng(seed)
    cells = [cell for cell in h3.grid_disk(CENTER, 9) if random.random() > [0, 0.03, 0.1][seed % 3]]
    mesh = bench.build_mesh(cells)
    away = np.array([h3.grid_distance(CENTER, int(cell)) for cell in mesh.cells])
    source, target = away >= 8, away <= seed % 4
    cost = random.integers(0, 30, mesh.edge_count).astype(float)
    graph = build_graph(mesh, cost, source, target)
    inner = int(graph.piece[target][0])
    outer = int(np.argmax(np.bincount(graph.piece[source])))
    found = find_ring(graph, graph.to, inner, outer)
    signature = np.zeros(mesh.edge_count, np.int32)
    path, corners, end = _reach_base(graph, inner, {outer})
    assert end == outer
    signature[path] = 1
    single, _ = _dual.search_rings(graph.to, graph.via, graph.weight, signature, 1, np.unique(corners))
    assert found is not None and found[0] == single[1]
    assert np.bincount(found[1], minlength=mesh.edge_count)[path].sum() % 2 == 1


# ---- terms from the table


def banded(bench, mesh):
    hostile = mesh.lon < np.quantile(mesh.lon, 0.25)
    km = np.where(hostile, 0.0, (mesh.lon - mesh.lon[hostile].max()) * 64.0).astype(np.float32)
    return bench.change_mesh(mesh, country=hostile.astype(np.int8), border_km=km)


@pytest.fixture(scope="module")
def wide(bench):
    return banded(bench, bench.build_mesh(list(h3.grid_disk(CENTER, 10))))


def make_study(bench, rows, **settings):
    from dataclasses import replace

    study = bench.make_study({"measures": bench.measures, "options": bench.options}, **settings)
    conftest_table = bench.make_study.__globals__["make_table"]
    blank = {"radius_km": 0.0, "value": np.nan, "lon": np.nan, "lat": np.nan, "echelon": 0.0, "file": ""}
    rows = [blank | {"term": f"t{number}", "name": f"Term {number}"} | row for number, row in enumerate(rows)]
    return replace(study, tables={**study.tables, "line_terms": conftest_table("line_terms", rows)})


def test_a_fortress_draws_the_line_to_itself(bench, wide):
    study = make_study(bench, [], outer_km=(6.0,))
    (free,) = find_echelon_lines(study, wide)
    band = (wide.country == 0) & (wide.border_km > 1) & (wide.border_km < 5)
    on_line = np.zeros(wide.cell_count, bool)
    on_line[wide.edge_a[free.edges]] = on_line[wide.edge_b[free.edges]] = True
    cell = int(np.flatnonzero(band & ~on_line)[0])
    place = {"lon": wide.lon[cell], "lat": wide.lat[cell]}
    (drawn,) = find_echelon_lines(make_study(bench, [{"kind": "must_pass", **place}], outer_km=(6.0,)), wide)
    assert ((wide.edge_a[drawn.edges] == cell) | (wide.edge_b[drawn.edges] == cell)).any()
    assert drawn.cost_eur >= free.cost_eur


def test_existing_is_free_and_no_go_is_kept_off(bench, wide):
    study = make_study(bench, [], outer_km=(6.0,))
    (free,) = find_echelon_lines(study, wide)
    middle = int(wide.edge_a[free.edges[len(free.edges) // 2]])
    place = {"lon": wide.lon[middle], "lat": wide.lat[middle], "radius_km": 2.0}
    (cheaper,) = find_echelon_lines(make_study(bench, [{"kind": "existing", **place}], outer_km=(6.0,)), wide)
    assert cheaper.cost_eur < free.cost_eur
    barred = make_study(bench, [{"kind": "no_go", **place}], outer_km=(6.0,))
    (around,) = find_echelon_lines(barred, wide)
    assert middle not in wide.edge_a[around.edges] and middle not in wide.edge_b[around.edges]
    border = make_study(bench, [{"kind": "no_go_border", "value": 3.0}], outer_km=(6.0,))
    (deep,) = find_echelon_lines(border, wide)
    assert wide.border_km[wide.edge_a[deep.edges]].min() >= 3.0
    assert wide.border_km[wide.edge_b[deep.edges]].min() >= 3.0


def test_a_bog_is_leant_on(bench, wide):
    """An edge in the bog costs twice as much, but leaning takes 0.6 off when choosing."""
    bog = (wide.border_km > 3) & (wide.border_km < 4.5)
    cover = wide.cover.copy()
    cover[bog] = 0.0
    cover[bog, COVER_WORDS.index("wetland")] = 1.0
    gap = np.where(bog[wide.edge_a] & bog[wide.edge_b], 180.0, 100.0).astype(np.float32)
    mesh = bench.change_mesh(wide, cover=cover, gap_m=gap)
    share = {}
    for value in (0.0, 0.6):
        study = make_study(bench, [{"kind": "lean_bog", "value": value}], outer_km=(6.0,))
        (line,) = find_echelon_lines(study, mesh)
        share[value] = find_leaning(mesh, "lean_bog")[line.edges].mean()
        assert line.cost_eur == pytest.approx(compute_closing_cost(study, mesh)[line.edges].sum())
    assert share[0.6] > share[0.0]


def test_two_lines_in_a_band(bench, wide):
    study = make_study(bench, [{"kind": "line_count", "value": 2.0}], outer_km=(6.0, 9.0))
    sets = find_echelon_sets(study, wide)
    assert [[line.key for line in lines] for lines in sets] == [["e1", "e1-2"], ["e2", "e2-2"]]
    merged = find_echelon_lines(study, wide)
    assert [line.key for line in merged] == ["e1", "e2"]
    for line, lines in zip(merged, sets, strict=True):
        assert line.cost_eur == sum(one.cost_eur for one in lines)
        assert len(line.edges) == len(set(line.edges.tolist()))


def test_faults_of_terms_are_listed_together(bench, wide):
    lake = int(np.flatnonzero(wide.border_km > 2)[0])
    cover = wide.cover.copy()
    cover[lake] = 0.0
    cover[lake, COVER_WORDS.index("water")] = 1.0
    mesh = bench.change_mesh(wide, cover=cover)
    study = make_study(
        bench,
        [
            {"kind": "must_pass", "lon": mesh.lon[lake], "lat": mesh.lat[lake]},
            {"kind": "must_pass", "lon": 10.0, "lat": 50.0},
            {"kind": "no_go"},
            {"kind": "turn_cost"},
            {"kind": "lean_bog", "value": 1.5},
            {"kind": "existing", "file": "nothing.geojson"},
        ],
        outer_km=(6.0,),
    )
    with pytest.raises(InputError) as caught:
        read_terms(study, mesh, np.ones(mesh.edge_count), 1)
    problems = [fault.problem for fault in caught.value.faults]
    words = ("file does not exist", "lies in a lake", "outside the mesh", "neither", "is missing", "0 to 1")
    for word in words:
        assert any(word in problem for problem in problems), word
    assert len(problems) == len(words)
    assert {fault.row for fault in caught.value.faults} == set(range(2, 8))


def test_a_place_outside_the_band_is_named(bench, wide):
    far = int(np.argmax(wide.border_km))
    study = make_study(
        bench, [{"kind": "must_pass", "lon": wide.lon[far], "lat": wide.lat[far]}], outer_km=(4.0,)
    )
    with pytest.raises(InputError, match="outside the band"):
        find_echelon_lines(study, wide)


def test_terms_hold_for_their_echelon_only(bench, wide):
    study = make_study(bench, [{"kind": "turn_cost", "value": 7.0, "echelon": 2.0}])
    cost = np.ones(wide.edge_count)
    assert [read_terms(study, wide, cost, number).turn_eur for number in (1, 2)] == [0.0, 7.0]
    assert list(itertools.chain(read_terms(study, wide, cost, 1).must_pass)) == []
