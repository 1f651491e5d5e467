"""Closing lines against maximum flow, by hand and by law."""

import h3.api.basic_int as h3
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components, maximum_flow

from abatis.barrier.lines import Line, compute_closing_cost, find_closing_line, find_echelon_lines
from abatis.model.errors import InfeasibleError, InputError, SizeError

CENTER = h3.latlng_to_cell(54.5, 24.5, 8)
BIG = 10**8


def cut_by_flow(mesh, cost, source, target, ground=None):
    """Return the minimum cut by scipy's maximum flow; costs are whole euro, inf becomes BIG."""
    n = mesh.cell_count
    capacity = np.where(np.isinf(cost), BIG, cost).astype(np.int64)
    keep = np.ones(mesh.edge_count, bool)
    if ground is not None:
        keep = ground[mesh.edge_a] & ground[mesh.edge_b]
        source, target = source & ground, target & ground
    a, b, c = mesh.edge_a[keep], mesh.edge_b[keep], capacity[keep]
    s, t = np.flatnonzero(source), np.flatnonzero(target)
    rows = np.concatenate([a, b, np.full(len(s), n), t])
    columns = np.concatenate([b, a, s, np.full(len(t), n + 1)])
    values = np.concatenate([c, c, np.full(len(s), BIG), np.full(len(t), BIG)]).astype(np.int32)
    graph = csr_matrix((values, (rows, columns)), shape=(n + 2, n + 2))
    return maximum_flow(graph, n, n + 1).flow_value


def separates(mesh, line: Line, source, target, ground=None) -> bool:
    keep = np.ones(mesh.edge_count, bool)
    keep[line.edges] = False
    if ground is not None:
        keep &= ground[mesh.edge_a] & ground[mesh.edge_b]
    n = mesh.cell_count
    graph = csr_matrix((np.ones(keep.sum()), (mesh.edge_a[keep], mesh.edge_b[keep])), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    return not set(label[source]) & set(label[target])


def check_chains(mesh, line: Line) -> None:
    """Chains share no edge, and every polyline runs from corner to corner without a jump."""
    assert len(set(line.edges.tolist())) == len(line.edges)
    for chain, corners in zip(line.chains, line.polylines, strict=True):
        assert len(corners) == len(chain) + 1
        for edge, start, end in zip(chain, corners[:-1], corners[1:], strict=True):
            ends = {(round(x, 7), round(y, 7)) for x, y in (start, end)}
            a, b = int(mesh.cells[mesh.edge_a[edge]]), int(mesh.cells[mesh.edge_b[edge]])
            boundary = h3.directed_edge_to_boundary(h3.cells_to_directed_edge(a, b))
            assert ends == {(round(x, 7), round(y, 7)) for y, x in (boundary[0], boundary[-1])}


@pytest.fixture(scope="module")
def disk(bench):
    return bench.build_mesh(list(h3.grid_disk(CENTER, 4)))


def test_ring_around_the_center_cell(disk):
    """A target in the middle of a disk: the six edges around it, one ring."""
    row = int(np.flatnonzero(disk.cells == np.uint64(CENTER))[0])
    target = np.zeros(disk.cell_count, bool)
    target[row] = True
    far = np.array([h3.grid_distance(CENTER, int(cell)) == 4 for cell in disk.cells])
    line = find_closing_line(disk, np.ones(disk.edge_count), far, target)
    assert line.cost_eur == 6 and len(line.chains) == 1
    assert sorted(line.edges) == sorted(disk.edge[row])
    np.testing.assert_array_equal(line.polylines[0][0], line.polylines[0][-1])
    assert line.length_km == pytest.approx(2.4) and line.closed_by_nature == 0
    check_chains(disk, line)


def test_two_cells(bench):
    pair = bench.build_mesh([CENTER, h3.grid_ring(CENTER, 1)[0]])
    line = find_closing_line(pair, np.array([7.5]), np.array([True, False]), np.array([False, True]))
    assert line.edges.tolist() == [0] and line.cost_eur == 7.5


def test_four_rim_pieces_in_turn_need_two_chains(disk):
    """Source, target, source, target around the rim: no single path closes them."""
    corners = [int(cell) for cell in h3.grid_ring(CENTER, 4)]
    at = [int(np.flatnonzero(disk.cells == np.uint64(corners[k]))[0]) for k in (0, 6, 12, 18)]
    source, target = np.zeros((2, disk.cell_count), bool)
    source[[at[0], at[2]]] = True
    target[[at[1], at[3]]] = True
    line = find_closing_line(disk, np.ones(disk.edge_count), source, target)
    assert len(line.chains) == 2
    assert line.cost_eur == cut_by_flow(disk, np.ones(disk.edge_count), source, target)
    check_chains(disk, line)


def test_source_is_on_the_left_hand(disk):
    west = disk.lon < np.quantile(disk.lon, 0.2)
    east = disk.lon > np.quantile(disk.lon, 0.8)
    line = find_closing_line(disk, np.ones(disk.edge_count), west, east)
    (x0, y0), (x1, y1) = line.polylines[0][0], line.polylines[0][-1]
    center = np.array([disk.lon[west].mean(), disk.lat[west].mean()])
    assert (x1 - x0) * (center[1] - y0) - (y1 - y0) * (center[0] - x0) > 0


def test_equal_cost_is_settled_by_length(disk, bench):
    west = disk.lon < np.quantile(disk.lon, 0.2)
    east = disk.lon > np.quantile(disk.lon, 0.8)
    lengths = np.random.default_rng(3).integers(10, 60, disk.edge_count).astype(np.float32) * 10
    uneven = bench.change_mesh(disk, length_m=lengths)
    line = find_closing_line(uneven, np.zeros(disk.edge_count), west, east)
    assert line.cost_eur == 0
    assert line.length_km * 100 == pytest.approx(cut_by_flow(disk, lengths / 10, west, east))


def test_what_cannot_be_closed_is_named_with_its_place(disk):
    west = disk.lon < np.quantile(disk.lon, 0.2)
    east = disk.lon > np.quantile(disk.lon, 0.8)
    with pytest.raises(InfeasibleError, match=r"at 24\.\d+ E, 54\.\d+ N"):
        find_closing_line(disk, np.full(disk.edge_count, np.inf), west, east)


def test_bad_input_lists_every_fault(disk):
    cost = np.ones(disk.edge_count)
    none, some = np.zeros(disk.cell_count, bool), np.ones(disk.cell_count, bool)
    with pytest.raises(InputError) as caught:
        find_closing_line(disk, -cost, none, none)
    assert len(caught.value.faults) == 3
    with pytest.raises(InputError, match="source and target"):
        find_closing_line(disk, cost, some, some)
    with pytest.raises(SizeError, match="in cents"):
        find_closing_line(disk, cost * 1e15, disk.lon < 24.5, disk.lon >= 24.5)


@st.composite
def ragged_cases(draw):
    """A ragged mesh with holes, random costs and scattered pieces of both kinds."""
    seed = draw(st.integers(0, 2**32 - 1))
    radius = draw(st.integers(1, 6))
    return seed, radius, draw(st.sampled_from([0.0, 0.05, 0.3])), draw(st.integers(1, 4))


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(ragged_cases())
def test_cost_equals_maximum_flow(bench, case):
    seed, radius, holes, pieces = case
    random = np.random.default_rng(seed)
    cells = [cell for cell in h3.grid_disk(CENTER, radius) if random.random() >= holes]
    if len(cells) < 2:
        return
    mesh = bench.build_mesh(cells)
    cost = random.integers(0, 12, mesh.edge_count).astype(float)
    cost[random.random(mesh.edge_count) < 0.08] = np.inf
    picked = random.choice(mesh.cell_count, min(2 * pieces, mesh.cell_count // 2 * 2), replace=False)
    source, target = np.zeros((2, mesh.cell_count), bool)
    source[picked[::2]], target[picked[1::2]] = True, True
    ground = random.random(mesh.cell_count) < 0.95
    ground[picked] = True
    grow = mesh.neighbor[picked[0]]
    grow = grow[grow >= 0]
    source[grow] = ~target[grow]
    flow = cut_by_flow(mesh, cost, source, target, ground)
    if flow >= BIG:
        with pytest.raises(InfeasibleError):
            find_closing_line(mesh, cost, source, target, ground)
        return
    line = find_closing_line(mesh, cost, source, target, ground)
    assert line.cost_eur == flow
    assert separates(mesh, line, source & ground, target & ground, ground)
    check_chains(mesh, line)
    if mesh.edge_count == 0:
        assert line.cost_eur == 0 and line.chains == ()
        return
    dearer = cost.copy()
    dearer[random.integers(mesh.edge_count)] += 5
    assert find_closing_line(mesh, dearer, source, target, ground).cost_eur >= line.cost_eur
    more = target | (random.random(mesh.cell_count) < 0.05) & ~source
    if cut_by_flow(mesh, cost, source, more, ground) < BIG:
        assert find_closing_line(mesh, cost, source, more, ground).cost_eur >= line.cost_eur


def test_twenty_thousand_cells_equal_maximum_flow(bench):
    from abatis.ground.hexgrid import build_hexgrid, find_neighbors

    cells = np.array(sorted(h3.grid_disk(CENTER, 80)), np.uint64)
    neighbor = find_neighbors(build_hexgrid(cells))
    lonlat = np.array([h3.cell_to_latlng(int(cell))[::-1] for cell in cells])
    mesh = bench.fill_mesh(cells, lonlat, neighbor)
    random = np.random.default_rng(7)
    cost = random.integers(0, 5000, mesh.edge_count).astype(float)
    west, east = np.quantile(mesh.lon, [0.15, 0.85])
    source, target = mesh.lon < west, mesh.lon > east
    line = find_closing_line(mesh, cost, source, target)
    assert line.cost_eur == cut_by_flow(mesh, cost, source, target)
    assert separates(mesh, line, source, target)
    middle = np.hypot(mesh.lon - 24.5, (mesh.lat - 54.5) * 1.7) < 0.15
    ring = find_closing_line(mesh, cost, source | target, middle)
    assert ring.cost_eur == cut_by_flow(mesh, cost, source | target, middle)
    assert separates(mesh, ring, source | target, middle)


def test_closing_cost_by_hand(bench, disk):
    """500 m of ditch and a road block; a bridge; nature; a road through a swamp."""
    gap, road, bridge = disk.gap_m.copy(), disk.road_class.copy(), disk.bridge_m.copy()
    gap[:4] = [500, 0, 0, 0]
    road[[0, 1, 3]] = 1
    bridge[1] = 80
    mesh = bench.change_mesh(disk, gap_m=gap, road_class=road, bridge_m=bridge)
    study = bench.make_study({"measures": bench.measures, "options": bench.options})
    cost = compute_closing_cost(study, mesh)
    assert cost[:5].tolist() == [130e3, 150e3, 0.0, 30e3, 20e3]
    only_roads = bench.make_study({"measures": bench.measures, "options": bench.options[1:2]})
    assert compute_closing_cost(only_roads, mesh)[:4].tolist() == [np.inf, 150e3, 0.0, 30e3]


def test_open_measure_must_be_counted_in_km(bench, disk):
    options = [bench.options[0] | {"open_measure": "block", "road_measure": "ditch"}]
    with pytest.raises(InputError) as caught:
        compute_closing_cost(bench.make_study({"measures": bench.measures, "options": options}), disk)
    assert [fault.column for fault in caught.value.faults] == ["open_measure", "road_measure"]


def banded(bench, disk):
    """West hostile, then home; border_km grows by longitude."""
    hostile = disk.lon < np.quantile(disk.lon, 0.25)
    edge = disk.lon[hostile].max()
    km = np.where(hostile, 0.0, (disk.lon - edge) * 64.0).astype(np.float32)
    return bench.change_mesh(disk, country=hostile.astype(np.int8), border_km=km)


@pytest.fixture(scope="module")
def wide(bench):
    return bench.build_mesh(list(h3.grid_disk(CENTER, 10)))


def test_echelons_stay_in_their_bands_and_share_no_built_edge(bench, wide):
    mesh = banded(bench, wide)
    study = bench.make_study({"measures": bench.measures, "options": bench.options}, outer_km=(3.0, 6.0, 9.0))
    lines = find_echelon_lines(study, mesh)
    assert [line.key for line in lines] == ["e1", "e2", "e3"]
    everything = np.concatenate([line.edges for line in lines])
    assert len(set(everything.tolist())) == len(everything)
    for line, inner, outer in zip(lines, (0, 3, 6), (3, 6, 9), strict=True):
        nearer = np.minimum(mesh.border_km[mesh.edge_a[line.edges]], mesh.border_km[mesh.edge_b[line.edges]])
        farther = np.maximum(mesh.border_km[mesh.edge_a[line.edges]], mesh.border_km[mesh.edge_b[line.edges]])
        assert (nearer < outer).all() and (farther >= inner).all()
        assert separates(mesh, line, mesh.country == 1, (mesh.country == 0) & (mesh.border_km >= outer))
        assert (mesh.country[mesh.edge_a[line.edges]] == 0).all()
        assert (mesh.country[mesh.edge_b[line.edges]] == 0).all()


def test_two_lines_drawn_to_the_same_narrows_do_not_share_it(bench, wide):
    """The limit between two bands is the cheapest place for both: the second line has to look elsewhere."""
    mesh = banded(bench, wide)
    inside = mesh.border_km < 3.0
    gap = np.where(inside[mesh.edge_a] != inside[mesh.edge_b], 10.0, 400.0).astype(np.float32)
    mesh = bench.change_mesh(mesh, gap_m=gap)
    study = bench.make_study({"measures": bench.measures, "options": bench.options}, outer_km=(3.0, 6.0))
    first, second = find_echelon_lines(study, mesh)
    assert (mesh.gap_m[first.edges] == 10).all()
    assert not set(first.edges.tolist()) & set(second.edges.tolist())


def test_allied_ground_ends_the_line(bench, wide):
    mesh = banded(bench, wide)
    country = mesh.country.copy()
    country[(mesh.lat > np.quantile(mesh.lat, 0.7)) & (country == 0)] = 2
    mesh = bench.change_mesh(mesh, country=country)
    study = bench.make_study({"measures": bench.measures, "options": bench.options}, outer_km=(4.0,))
    (line,) = find_echelon_lines(study, mesh)
    assert (mesh.country[mesh.edge_a[line.edges]] == 0).all()
    assert separates(mesh, line, mesh.country == 1, (mesh.country == 0) & (mesh.border_km >= 4), country != 2)


def test_band_faults_are_named(bench, wide):
    study = bench.make_study({"measures": bench.measures, "options": bench.options}, outer_km=(500.0,))
    with pytest.raises(InputError, match="no hostile ground") as caught:
        find_echelon_lines(study, wide)
    assert len(caught.value.faults) == 2
    roads_only = bench.make_study(
        {"measures": bench.measures, "options": bench.options[1:2]}, outer_km=(3.0,)
    )
    with pytest.raises(InfeasibleError, match=r"echelon 1 \(0-3 km\): no line can be closed at"):
        find_echelon_lines(roads_only, banded(bench, wide))


def test_a_line_keeps_off_dams(bench, wide):
    mesh = banded(bench, wide)
    study = bench.make_study({"measures": bench.measures, "options": bench.options}, outer_km=(6.0,))
    (line,) = find_echelon_lines(study, mesh)
    cell = int(mesh.edge_a[line.edges[len(line.edges) // 2]])
    dam = {
        "place": "dam",
        "name": "Dam",
        "lon": mesh.lon[cell],
        "lat": mesh.lat[cell],
        "kind": "dam",
        "country": "HH",
    }
    study = bench.make_study(
        {"measures": bench.measures, "options": bench.options, "places": [dam]}, outer_km=(6.0,)
    )
    (around,) = find_echelon_lines(study, mesh)
    assert cell in mesh.edge_a[line.edges]
    assert cell not in mesh.edge_a[around.edges] and cell not in mesh.edge_b[around.edges]
