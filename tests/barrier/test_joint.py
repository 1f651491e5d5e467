"""The joint line by hand, by law, against maximum flow, and from exports."""

import dataclasses
import itertools
import json
import math
from fractions import Fraction

import h3.api.basic_int as h3
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_flow

from abatis.barrier.joint import close_alone, compute_shapley, join_countries, trace_walk
from abatis.barrier.joint_exchange import condense_territory, read_export, write_export
from abatis.barrier.joint_ground import prepare_ground
from abatis.barrier.joint_hours import compute_closing_delay, measure_seams
from abatis.barrier.joint_merge import match_sides, merge_meshes, settle_borders
from abatis.model.errors import InfeasibleError, InputError

CENTER = h3.latlng_to_cell(54.5, 24.5, 8)
CODES = ("AA", "BB", "CC", "DD")
BIG = 10**7


class Case:
    """A ground of H3 cells with countries side by side, hostile ground in the south, protected in the north.

    `code` per cell; `cost` per pair of cells and country; each country's mesh holds its own cells, the
    hostile ones near them and two rings of its allies' cells.
    """

    def __init__(self, bench, code, deep, cost, places=None):
        self.bench, self.code, self.deep, self.cost = bench, code, deep, cost
        self.keys = sorted(set(code.values()) - {"XX"})
        self.places = places or {}

    def study(self, key, **more):
        places = [
            {"place": name, "name": name, "lon": lon, "lat": lat, "kind": "town", "country": key}
            for name, lon, lat in self.places.get(key, ())
        ]
        tables = {"places": places, "measures": self.bench.measures, "options": self.bench.options}
        return self.bench.make_study(
            tables, name=key, title=key, home=(key,), hostile=("XX",), outer_km=(1.0,), **more
        )

    def mesh(self, key):
        own = [cell for cell, code in self.code.items() if code == key]
        near = {one for cell in own for one in h3.grid_disk(cell, 2)} & set(self.code)
        mesh = self.bench.build_mesh(sorted(near))
        names = ("XX", *CODES)
        country = np.array([names.index(self.code[int(cell)]) for cell in mesh.cells], np.int8)
        border_km = np.array([2.0 if int(cell) in self.deep else 0.0 for cell in mesh.cells], np.float32)
        return self.bench.change_mesh(mesh, country=country, country_codes=names, border_km=border_km)

    def ground(self, key):
        mesh = self.mesh(key)
        pairs = zip(mesh.cells[mesh.edge_a].tolist(), mesh.cells[mesh.edge_b].tolist(), strict=True)
        cost = np.array([self.cost(key, *pair) for pair in pairs])
        hostile = mesh.country == 0
        cost[hostile[mesh.edge_a] | hostile[mesh.edge_b]] = np.inf
        return prepare_ground(self.study(key), mesh, 1.0, cost)

    def grounds(self):
        return [self.ground(key) for key in self.keys]

    def cut(self, members, free=()):
        """Least cost of closing the members' deep ground on their own cells, by maximum flow; whole euro."""
        cells = sorted(cell for cell, code in self.code.items() if code in members or code == "XX")
        row = {cell: number for number, cell in enumerate(cells)}
        n = len(cells)
        entries = {}
        for cell in cells:
            for other in h3.grid_disk(cell, 1):
                if other == cell or other not in row:
                    continue
                if frozenset((cell, other)) in free:
                    value = 0.0
                else:
                    codes = {self.code[cell], self.code[other]}
                    value = BIG if "XX" in codes else min(self.cost(one, cell, other) for one in codes)
                entries[row[cell], row[other]] = min(value, BIG)
            if self.code[cell] == "XX":
                entries[n, row[cell]] = BIG
            elif cell in self.deep:
                entries[row[cell], n + 1] = BIG
        places = np.array(list(entries))
        graph = csr_matrix(
            (np.array(list(entries.values())).astype(np.int32), (places[:, 0], places[:, 1])),
            shape=(n + 2, n + 2),
        )
        return maximum_flow(graph, n, n + 1).flow_value


def make_case(bench, seed, radius=5, countries=3, holes=0.0, most=30, deep_share=0.7, own_costs=True):
    """A disk cut into countries by longitude, with random whole-euro costs."""
    random = np.random.default_rng(seed)
    cells = [cell for cell in h3.grid_disk(CENTER, radius) if random.random() >= holes]
    lat, lon = np.array([h3.cell_to_latlng(cell) for cell in cells]).T
    cuts = np.quantile(lon, np.arange(1, countries) / countries)
    wobble = random.normal(0, (lon.max() - lon.min()) / 40, len(cells))
    slot = np.searchsorted(cuts, lon + wobble)
    south, north = np.quantile(lat, [0.2, deep_share])
    code = {cell: "XX" if y < south else CODES[one] for cell, y, one in zip(cells, lat, slot, strict=True)}
    deep = {cell for cell, y in zip(cells, lat, strict=True) if y > north}

    def cost(key, first, second):
        pair = (min(first, second), max(first, second))
        salt = CODES.index(key) if own_costs and key in CODES else 0
        draw = np.random.default_rng([seed, salt, *pair]).integers(0, most)
        return math.inf if draw == most - 1 and own_costs else float(draw)

    known = {}

    def cached(key, first, second):
        where = key, min(first, second), max(first, second)
        if where not in known:
            known[where] = cost(key, first, second)
        return known[where]

    return Case(bench, code, deep, cached)


def test_merged_edges(bench):
    case = make_case(bench, 3)
    grounds = case.grounds()
    mesh, rows = merge_meshes(grounds)
    wanted = {cell for cell, code in case.code.items() if code != "XX"}
    assert wanted <= set(mesh.cells.tolist()) <= set(case.code)
    for ground, row in zip(grounds, rows, strict=True):
        held = np.flatnonzero(row >= 0)
        for one in held[::7]:
            pair = {int(mesh.cells[mesh.edge_a[one]]), int(mesh.cells[mesh.edge_b[one]])}
            own = ground.mesh
            assert pair == {int(own.cells[own.edge_a[row[one]]]), int(own.cells[own.edge_b[row[one]]])}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.integers(0, 2**32 - 1),
    st.integers(3, 6),
    st.integers(2, 4),
    st.sampled_from([0.0, 0.0, 0.05, 0.15]),
)
def test_joint_line_equals_maximum_flow_and_is_never_dearer(bench, seed, radius, countries, holes):
    """Law: joint <= sum alone + mending; every coalition and the mending equal the minimum cut."""
    case = make_case(bench, seed, radius, countries, holes)
    if len(case.keys) < 2:
        return
    try:
        joint = join_countries(case.grounds())
    except InputError as error:
        assert "touches none" in str(error) or "no ground of" in str(error)
        return
    except InfeasibleError:
        islands = [
            case.cut(members)
            for size in (1, len(case.keys))
            for members in itertools.combinations(case.keys, size)
        ]
        assert max(islands) >= BIG
        return
    kept = {int(g.mesh.cells[r]) for g in joint.grounds for r in np.flatnonzero(g.target)}
    case.deep = kept
    for members, cost in joint.coalitions.items():
        if members:
            assert cost == case.cut(members), members
    built = set()
    for ground, line in zip(joint.grounds, joint.alone, strict=True):
        for walk in line.walks:
            for owner, arc, edge in zip(
                walk.owner, walk.arc, walk.edge or (-1,) * len(walk.arc), strict=True
            ):
                row = int(ground.territory.arcs.edge[arc]) if arc >= 0 else edge
                assert owner == (0,)
                if row >= 0:
                    cells = ground.mesh.cells[[ground.mesh.edge_a[row], ground.mesh.edge_b[row]]]
                    built.add(frozenset(cells.tolist()))
    assert joint.mending_eur == case.cut(case.keys, built)
    alone = sum(one.alone_eur for one in joint.countries)
    assert joint.joint_eur <= alone + joint.mending_eur
    assert joint.saving_eur == alone + joint.mending_eur - joint.joint_eur >= 0
    assert sum(one.joint_eur for one in joint.countries) == pytest.approx(joint.joint_eur, abs=1e-6)
    assert sum(one.shapley_eur for one in joint.countries) == pytest.approx(joint.joint_eur, abs=1e-6)


def list_figures(joint):
    """Everything that must be the same from studies and from exports."""
    return (
        joint.countries,
        joint.points,
        [dataclasses.replace(seam, sides=()) for seam in joint.seams],
        joint.joint_eur,
        joint.mending_eur,
        joint.saving_eur,
        joint.coalitions,
    )


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.integers(0, 2**32 - 1),
    st.integers(3, 6),
    st.integers(2, 4),
    st.sampled_from([0.0, 0.1]),
    st.booleans(),
)
def test_exports_give_the_same_as_studies(bench, tmp_path_factory, seed, radius, countries, holes, flat):
    """Also where nearly all chains cost the same, and for every mixture of studies and exports."""
    case = make_case(bench, seed, radius, countries, holes, 2 if flat else 30, own_costs=not flat)
    try:
        grounds = case.grounds()
        full = join_countries(grounds)
    except (InputError, InfeasibleError):
        return
    folder = tmp_path_factory.mktemp("exports")
    exports = []
    for ground in full.grounds:
        write_export(ground.territory, folder / "one.json")
        exports.append(read_export(folder / "one.json"))
    try:
        assert list_figures(join_countries(exports)) == list_figures(full)
    except InputError as error:
        assert "cannot be joined from an export" in str(error)
        assert any(-1 in walk.arc for walk in full.line.walks) or not full.line.walks
        return
    assert list_figures(join_countries([exports[0], *grounds[1:]])) == list_figures(full)
    assert list_figures(join_countries([*grounds[:-1], exports[-1]])) == list_figures(full)


def test_matrix_is_complete_and_least(bench):
    """Every pair of ports has the weight of the least chain inside the country, found by plain Dijkstra."""
    from scipy.sparse.csgraph import dijkstra

    ground, _ = close_alone(make_case(bench, 5, 4).ground("BB"))
    whole, small = ground.territory, condense_territory(ground.territory)
    weights = {}
    for tail, head, main in zip(whole.arcs.tail, whole.arcs.head, whole.arcs.main, strict=True):
        key = tuple(sorted((int(tail), int(head))))
        weights[key] = min(weights.get(key, math.inf), main + 1e-6)
    rows, columns = np.array(list(weights)).T
    graph = csr_matrix((np.array(list(weights.values())), (rows, columns)), shape=(whole.node_count,) * 2)
    truth = dijkstra(graph, directed=False)
    ports = len(whole.vertex)
    found = np.full((ports, ports), np.inf)
    for tail, head, main in zip(small.arcs.tail, small.arcs.head, small.arcs.main, strict=True):
        if tail < ports and head < ports:
            found[tail, head] = found[head, tail] = main
    np.fill_diagonal(found, 0)
    np.testing.assert_allclose(found, truth[:ports, :ports], atol=0.5)
    assert np.isfinite(found).any() and ports > 8


def test_export_holds_nothing_but_what_is_promised(bench, tmp_path):
    case = make_case(bench, 7, 6)
    ground, _ = close_alone(case.ground("BB"))
    path = tmp_path / "bb.json"
    write_export(ground.territory, path)
    content = json.loads(path.read_text())
    assert set(content) == {
        "format", "version", "key", "codes", "allies", "resolution", "depth_km", "alone_cents", "nodes",
        "ports", "odd", "chains", "border", "rims",
    }  # fmt: skip
    assert set(content["ports"]) == {"vertex", "place", "place_km"}
    assert set(content["chains"]) == {"tail", "head", "main", "tie", "mend_main", "mend_tie"}
    assert set(content["rims"][0]) == {"region", "hostile", "pieces", "ports"}
    own = {cell for cell, code in case.code.items() if code == "BB"}
    border = {
        cell for cell in own if any(case.code.get(o, "XX") not in ("BB", "XX") for o in h3.grid_disk(cell, 1))
    }
    text = path.read_text()
    assert {int(one, 16) for one in content["border"]["cell"]} == border
    assert len(own - border) == 8
    assert not [cell for cell in own - border if f"{cell:x}" in text]
    assert not [
        measure for measure in ("ditch", "block", "bridge", "option", "gap_m") if f'"{measure}' in text
    ]
    corners = {one for cell in border for one in h3.cell_to_vertexes(cell)}
    assert {int(one, 16) for one in content["ports"]["vertex"]} <= corners
    assert content["nodes"] - len(content["ports"]["vertex"]) == len(
        [one for one in content["odd"] if one >= len(content["ports"]["vertex"])]
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.pop("rims"), "damaged"),
        (lambda c: c.update(version=9), "version 9"),
        (lambda c: c.update(format="x"), "no export"),
        (lambda c: c["chains"]["main"].pop(), "differ in length"),
        (lambda c: c["chains"]["tail"].__setitem__(0, 10**6), "outside its table"),
        (lambda c: c["chains"]["main"].__setitem__(0, -5), "below 0"),
        (lambda c: c["odd"].append(10**7), "damaged"),
    ],
)
def test_damaged_export_is_named(bench, tmp_path, change, words):
    ground, _ = close_alone(make_case(bench, 7, 4).ground("BB"))
    path = tmp_path / "bb.json"
    write_export(ground.territory, path)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=words):
        read_export(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_export(tmp_path / "none.json")


def make_step(bench, cheap_west, cheap_east):
    """Two countries; every edge costs 100 but the rows of `cheap` latitude of each, which cost 1."""
    cells = h3.grid_disk(CENTER, 7)
    lat, lon = np.array([h3.cell_to_latlng(cell) for cell in cells]).T
    low, high = np.quantile(lat, [0.15, 0.85])
    code = {
        cell: "XX" if y < low else ("AA" if x < 24.5 else "BB")
        for cell, y, x in zip(cells, lat, lon, strict=True)
    }
    deep = {cell for cell, y in zip(cells, lat, strict=True) if y > high}
    where = {cell: (y - low) / (high - low) for cell, y in zip(cells, lat, strict=True)}

    def cost(key, first, second):
        middle = (where[first] + where[second]) / 2
        cheap = cheap_west if key == "AA" else cheap_east
        return 1.0 if abs(middle - cheap) < 0.12 else 100.0

    return Case(bench, code, deep, cost, {"AA": [("West", 24.4, 54.5)], "BB": [("East", 24.6, 54.5)]})


def test_lines_that_meet_have_no_seam(bench):
    joint = join_countries(make_step(bench, 0.5, 0.5).grounds())
    assert [one.between for one in joint.points] == [("AA", "BB")]
    assert joint.points[0].lon == pytest.approx(24.5, abs=0.02)
    assert joint.points[0].place in ("West", "East")
    assert joint.mending_eur <= 200
    assert sum(seam.km for seam in joint.seams) <= 1.2


def test_lines_that_miss_each_other_leave_a_seam(bench):
    """AA builds in the south, BB in the north: the seam is the border between the two line ends."""
    case = make_step(bench, 0.2, 0.8)
    joint = join_countries(case.grounds())
    assert len(joint.seams) == 1 and len(joint.points) == 1
    seam = joint.seams[0]
    ends = []
    for closing, ground in zip(joint.alone, joint.grounds, strict=True):
        vertex = ground.territory.vertex.tolist()
        touched = {
            one for walk in closing.walks for one in (walk.start[0], walk.end[-1]) if one and one in vertex
        }
        assert len(touched) == 1
        lat, lon = h3.vertex_to_latlng(touched.pop())
        ends.append((lon, lat))
    np.testing.assert_allclose(sorted(seam.ends), sorted(ends))
    assert seam.km == pytest.approx(0.4 * len(seam.sides)) and len(seam.sides) > 5
    assert seam.km == seam.open_km
    assert seam.border_eur >= joint.mending_eur > 0
    assert joint.saving_eur == joint.mending_eur + sum(c.alone_eur for c in joint.countries) - joint.joint_eur
    drawn = [part for walk in joint.line.walks for part in trace_walk(joint, walk)]
    assert len(drawn) == 1
    assert len(drawn[0]) == sum(len(walk.arc) for walk in joint.line.walks) + 1


def test_hours_through_the_seam(bench):
    """A closed edge takes 3 h longer: through the seam an approach saves that at most."""
    case = make_step(bench, 0.2, 0.8)
    speeds = [
        {"vehicle": "any", "season": "any", "factor": factor, "word": word, "low": v, "mode": v, "high": v}
        for factor, word, v in [
            ("base", "open", 8.0),
            *[("cover", word, 1.0) for word in bench_words("COVER_WORDS")],
            *[("slope", word, 1.0) for word in bench_words("SLOPE_WORDS")],
            *[("soil", word, 1.0) for word in bench_words("SOIL_WORDS")],
            *[("road", word, 30.0) for word in bench_words("ROAD_WORDS")],
        ]
    ]
    grounds = []
    for ground in case.grounds():
        tables = {
            "speeds": speeds,
            "approaches": [{"approach": "x", "vehicle": "any", "season": "dry", "weight": 1.0}],
            "measures": bench.measures,
            "options": bench.options[:1],
        }
        study = bench.make_study(tables, name=ground.study.name, home=ground.study.home)
        grounds.append(dataclasses.replace(ground, study=study))
    joint = join_countries(grounds)
    open_h, road_h = compute_closing_delay(grounds[0].study, grounds[0].mesh)
    assert set(open_h.tolist()) == {3.0} and set(road_h.tolist()) == {0.0}
    hours = measure_seams(joint, [one for one in joint.grounds if one])
    assert len(hours) == len(joint.seams) == 1
    assert hours[0].vehicle == "any" and hours[0].season == "dry"
    assert 0 < hours[0].hours <= 3.0 + 1e-9


def bench_words(name):
    from abatis.model import words

    return getattr(words, name)


def test_country_without_hostile_ground_builds_nothing_alone(bench):
    case = make_step(bench, 0.5, 0.5)
    for cell, code in case.code.items():
        lon = h3.cell_to_latlng(cell)[1]
        if code == "XX" and lon > 24.5:
            case.code[cell] = "BB"
    near = {cell for cell in case.code if case.code[cell] == "XX"}
    for cell, code in list(case.code.items()):
        if code == "BB" and near & set(h3.grid_disk(cell, 1)):
            case.code[cell] = "AA"
    joint = join_countries(case.grounds())
    alone = {one.key: one.alone_eur for one in joint.countries}
    assert alone["BB"] == 0 < alone["AA"]
    assert joint.joint_eur <= sum(alone.values()) + joint.mending_eur


def test_ground_in_a_hole_is_closed_by_the_general_line(bench):
    """Protected ground on the border of two countries, all round it nearer ground: a ring, no chain."""
    cells = h3.grid_disk(CENTER, 5)
    rim = set(h3.grid_ring(CENTER, 5))
    code = {cell: "XX" if cell in rim else CODES[h3.cell_to_latlng(cell)[1] > 24.5] for cell in cells}
    draw = np.random.default_rng(2).integers(1, 30, 10**4)

    def cost(key, first, second):
        return float(draw[((first ^ second) + CODES.index(key)) % 9973])

    case = Case(bench, code, set(h3.grid_disk(CENTER, 1)), cost)
    joint = join_countries(case.grounds())
    for members, eur in joint.coalitions.items():
        if members:
            assert eur == case.cut(members)
    assert joint.joint_eur <= sum(one.alone_eur for one in joint.countries) + joint.mending_eur
    assert len(joint.points) == 2 and joint.saving_eur >= 0
    assert sum(one.joint_eur for one in joint.countries) == pytest.approx(joint.joint_eur)
    exports = [condense_territory(one.territory) for one in joint.grounds]
    with pytest.raises(InputError, match="AA BB cannot be joined from an export"):
        join_countries(exports)


def test_island_inside_the_belt_is_not_protected(bench):
    """Far ground with nearer ground all round it that reaches neither coast nor border does not count."""
    case = make_step(bench, 0.5, 0.5)
    inner = [cell for cell in h3.grid_disk(CENTER, 7) if h3.cell_to_latlng(cell)[1] < 24.46]
    lone = min(inner, key=lambda cell: h3.grid_distance(cell, CENTER))
    assert lone not in case.deep
    case.deep.add(lone)
    ground = case.ground("AA")
    row = int(np.searchsorted(ground.mesh.cells, np.uint64(lone)))
    assert ground.mesh.border_km[row] == 2.0 and not ground.target[row]


def test_shapley_of_three_by_hand_and_its_laws():
    """Glove game: one left, two right gloves; 2/3, 1/6, 1/6."""
    values = {s: 0 for size in range(4) for s in itertools.combinations(range(3), size)}
    values |= {(0, 1): 6, (0, 2): 6, (0, 1, 2): 6}
    assert compute_shapley(3, values) == [4, 1, 1]


@given(st.integers(1, 5), st.data())
def test_shapley_is_efficient_symmetric_and_the_mean_over_orders(count, data):
    sets = [s for size in range(count + 1) for s in itertools.combinations(range(count), size)]
    values = {s: data.draw(st.integers(0, 1000)) if s else 0 for s in sets}
    shares = compute_shapley(count, values)
    assert sum(shares) == values[tuple(range(count))]
    orders = list(itertools.permutations(range(count)))
    for one in range(count):
        added = 0
        for order in orders:
            before = tuple(sorted(order[: order.index(one)]))
            added += values[tuple(sorted((*before, one)))] - values[before]
        assert shares[one] == Fraction(added, len(orders))
    if count > 1:
        swap = {0: 1, 1: 0}
        even = {s: values[min(s, tuple(sorted(swap.get(one, one) for one in s)))] for s in sets}
        fair = compute_shapley(count, even)
        assert fair[0] == fair[1]


def test_bad_input_is_named_with_its_place(bench):
    case = make_case(bench, 11, 6)
    grounds = case.grounds()
    with pytest.raises(InputError, match="1 countries are given"):
        join_countries(grounds[:1])
    with pytest.raises(InputError, match=r"^STUDY: AA is given twice \(give every country once"):
        join_countries([grounds[0], grounds[0]])
    with pytest.raises(
        InputError, match=r"the border of CC touches none of the others: it comes nearest at 24\.\d+ E"
    ):
        join_countries([grounds[0], grounds[2]])
    coarse = dataclasses.replace(
        grounds[1], territory=dataclasses.replace(grounds[1].territory, resolution=7)
    )
    with pytest.raises(InputError, match="has H3 resolution 7"):
        join_countries([grounds[0], coarse])
    sides = grounds[1].territory.sides
    less = dataclasses.replace(
        sides, **{f.name: getattr(sides, f.name)[1:] for f in dataclasses.fields(sides)}
    )
    torn = dataclasses.replace(condense_territory(close_alone(grounds[1])[0].territory), sides=less)
    with pytest.raises(InputError, match=r"do not agree on their border.* first at 24\.\d+ E, 54\.\d+ N"):
        join_countries([grounds[0], torn, grounds[2]])
    with pytest.raises(InputError, match="no ground of AA lies 9 km or more"):
        prepare_ground(grounds[0].study, grounds[0].mesh, 9.0, grounds[0].cost_eur)


def test_studies_that_differ_by_single_cells_are_settled(bench):
    case = make_case(bench, 4, 6, 2)
    meshes = [case.mesh(key) for key in case.keys]
    studies = [case.study(key) for key in case.keys]
    shared = set(meshes[0].cells.tolist()) & set(meshes[1].cells.tolist())
    claimed = next(
        cell for cell in sorted(shared)
        if case.code[cell] == "BB" and {case.code.get(o) for o in h3.grid_ring(cell, 1)} == {"AA", "BB"}
    )  # fmt: skip
    country = np.array(meshes[0].country)
    country[np.searchsorted(meshes[0].cells, np.uint64(claimed))] = 1
    torn = (bench.change_mesh(meshes[0], country=country), meshes[1])
    settled, notes = settle_borders(studies, torn)
    assert len(notes) == 1 and "1 cells" in notes[0]
    for mesh in settled:
        assert mesh.country[np.searchsorted(mesh.cells, np.uint64(claimed))] == 1
    grounds = [
        prepare_ground(study, mesh, 1.0, np.ones(mesh.edge_count))
        for study, mesh in zip(studies, settled, strict=True)
    ]
    assert match_sides([one.territory for one in grounds])
    wide = np.where(
        np.isin(meshes[0].cells, np.array(sorted(shared), np.uint64)) & (meshes[0].country == 2),
        1,
        meshes[0].country,
    )
    with pytest.raises(
        InputError, match=r"overlap: \d+ cells are claimed by both or left by both, first at 24\."
    ):
        settle_borders(studies, (bench.change_mesh(meshes[0], country=wide.astype(np.int8)), meshes[1]))
    with pytest.raises(InputError, match="has H3 resolution 7"):
        other = bench.build_mesh(list(h3.grid_disk(h3.cell_to_parent(CENTER, 7), 3)))
        settle_borders(studies, (meshes[0], other))


def test_exports_written_anew_agree_on_the_border(bench):
    """Each country takes the other's first export beside it; both come to what `settle_borders` says."""
    from abatis.barrier.joint_merge import settle_with_exports

    case = make_case(bench, 4, 6, 2)
    studies = [case.study(key) for key in case.keys]
    meshes = [case.mesh(key) for key in case.keys]
    torn = []
    random = np.random.default_rng(3)
    for mesh, mine in zip(meshes, (1, 2), strict=True):
        country = np.array(mesh.country)
        near = mesh.country[mesh.neighbor]
        edgy = np.flatnonzero(
            (mesh.country == 3 - mine) & ((near == mine) & (mesh.neighbor >= 0)).any(axis=1)
        )
        country[random.choice(edgy, 1)] = mine
        torn.append(bench.change_mesh(mesh, country=country))
    settled, _ = settle_borders(studies, torn)

    def close(meshes):
        return [
            close_alone(prepare_ground(study, mesh, 1.0, np.ones(mesh.edge_count)))[0].territory
            for study, mesh in zip(studies, meshes, strict=True)
        ]

    first = [condense_territory(one) for one in close(torn)]
    with pytest.raises(InputError, match="overlap"):
        match_sides(first)
    anew = [
        settle_with_exports(studies[0], torn[0], [first[1]], fixed=False)[0],
        settle_with_exports(studies[1], torn[1], [first[0]], fixed=False)[0],
    ]
    second = [condense_territory(one) for one in close(anew)]
    whole = join_countries(
        [prepare_ground(s, m, 1.0, np.ones(m.edge_count)) for s, m in zip(studies, settled, strict=True)]
    )
    assert list_figures(join_countries(second)) == list_figures(whole)
    mesh, changed = settle_with_exports(studies[1], torn[1], [second[0]], fixed=True)
    mixed = [second[0], prepare_ground(studies[1], mesh, 1.0, np.ones(mesh.edge_count))]
    assert changed > 0 and list_figures(join_countries(mixed)) == list_figures(whole)
