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
    code = {
        cell: "XX" if y < south else CODES[one] for cell, y, one in zip(cells, lat, slot, strict=True)
    }
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


def has_all(case):
    """Every country has deep ground, and no deep cell is an island or lies beside hostile ground."""
    for key in case.keys:
        if not any(case.code[cell] == key for cell in case.deep):
            return False
    return True


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
        islands = [case.cut(members) for size in (1, len(case.keys)) for members in itertools.combinations(case.keys, size)]
        assert max(islands) >= BIG or holes > 0
        return
    kept = {int(g.mesh.cells[r]) for g in joint.grounds for r in np.flatnonzero(g.target)}
    case.deep = kept
    for members, cost in joint.coalitions.items():
        if members:
            assert cost == case.cut(members), members
    built = set()
    for ground, line in zip(joint.grounds, joint.alone, strict=True):
        for walk in line.walks:
            for owner, arc, edge in zip(walk.owner, walk.arc, walk.edge or (-1,) * len(walk.arc), strict=True):
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
