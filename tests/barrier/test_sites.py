"""Sites, options and the problem: small cases by hand, and what must always hold."""

import itertools

import h3.api.basic_int as h3
import numpy as np
import pytest

from abatis.barrier.lines import find_echelon_lines
from abatis.barrier.options import find_protected_works, list_options
from abatis.barrier.sites import (
    Removal,
    build_problem,
    count_route_use,
    describe_place,
    find_sites,
    site_study,
)
from abatis.model.errors import InputError
from abatis.model.facilities import Facilities
from abatis.model.words import FACILITY_WORDS

CENTER = h3.latlng_to_cell(54.5, 24.5, 8)


@pytest.fixture(scope="module")
def mesh(bench):
    """A disk 17 km across: hostile in the west, a road to the east through a river with one bridge."""
    flat = bench.build_mesh(list(h3.grid_disk(CENTER, 10)))
    hostile = flat.lon < np.quantile(flat.lon, 0.2)
    km = np.where(hostile, 0.0, (flat.lon - flat.lon[hostile].max()) * 64.0).astype(np.float32)
    path = h3.grid_path_cells(int(flat.cells[np.argmin(flat.lon)]), int(flat.cells[np.argmax(flat.lon)]))
    rows = np.searchsorted(flat.cells, np.array(path, np.uint64))
    road_class, gap = flat.road_class.copy(), flat.gap_m.copy()
    road_m, road_name = flat.road_m.copy(), flat.road_name.copy()
    bridge, bridge_name = flat.bridge_m.copy(), flat.bridge_name.copy()
    river = (km[flat.edge_a] < 5) != (km[flat.edge_b] < 5)
    river &= ~hostile[flat.edge_a] & ~hostile[flat.edge_b]
    gap[river] = 0.0
    for a, b in itertools.pairwise(rows):
        edge = flat.edge[a, np.argmax(flat.neighbor[a] == b)]
        road_class[edge], road_m[edge], road_name[edge] = 1, 900.0, 0
        if river[edge]:
            bridge[edge], bridge_name[edge] = 120.0, 0
    return bench.change_mesh(
        flat,
        country=hostile.astype(np.int8),
        border_km=km,
        road_class=road_class,
        gap_m=gap,
        road_m=road_m,
        road_name=road_name,
        bridge_m=bridge,
        bridge_name=bridge_name,
    )


def tables(bench, mesh, **more):
    east = int(np.argmax(mesh.lon))
    speeds = [
        {
            "vehicle": "any",
            "season": "any",
            "factor": "base",
            "word": "open",
            "low": 20.0,
            "mode": 20.0,
            "high": 20.0,
        }
    ]
    from abatis.model.study import SPEED_WORDS

    for factor in ("cover", "slope", "soil"):
        speeds += [
            {
                "vehicle": "any",
                "season": "any",
                "factor": factor,
                "word": word,
                "low": 1.0,
                "mode": 1.0,
                "high": 1.0,
            }
            for word in SPEED_WORDS[factor]
        ]
    speeds += [
        {
            "vehicle": "any",
            "season": "any",
            "factor": "road",
            "word": word,
            "low": 60.0,
            "mode": 60.0,
            "high": 60.0,
        }
        for word in SPEED_WORDS["road"]
    ]
    town = {
        "place": "town",
        "name": "Eastham",
        "lon": mesh.lon[east],
        "lat": mesh.lat[east],
        "kind": "town",
        "country": "HH",
    }
    return {
        "measures": bench.measures,
        "options": bench.options,
        "speeds": speeds,
        "vehicles": [{"vehicle": "tracked", "name": "Tracked"}],
        "places": [town],
        "fronts": [
            {
                "front": "west",
                "name": "West",
                "countries": ("XX",),
                "west": np.nan,
                "south": np.nan,
                "east": np.nan,
                "north": np.nan,
            }
        ],
        "approaches": [
            {
                "approach": f"a{k}",
                "name": f"West to Eastham in {season}",
                "front": "west",
                "objective": "town",
                "vehicle": "tracked",
                "season": season,
                "weight": float(k),
            }
            for k, season in ((1, "dry"), (3, "mud"))
        ],
    } | more


@pytest.fixture(scope="module")
def study(bench, mesh):
    return bench.make_study(tables(bench, mesh), outer_km=(3.0, 8.0))


@pytest.fixture(scope="module")
def siting(study, mesh):
    return site_study(study, mesh)


def test_sites_share_no_edge_and_keep_their_length(siting, study, mesh):
    edges = np.concatenate([site.edges for site in siting.sites])
    assert len(set(edges.tolist())) == len(edges)
    assert len({site.key for site in siting.sites}) == len(siting.sites)
    assert {site.echelon for site in siting.sites if site.kind == "line"} == {1, 2}
    for site in siting.sites:
        assert mesh.length_m[site.edges].sum() <= study.longest_site_km * 1000 or len(site.edges) == 1
        assert ((mesh.gap_m[site.edges] > 0) | (mesh.road_class[site.edges] >= 0)).all()


def test_every_open_edge_of_the_lines_is_sited(siting, mesh):
    for number, line in enumerate(siting.lines, start=1):
        build = {int(e) for e in line.edges if mesh.gap_m[e] > 0 or mesh.road_class[e] >= 0}
        sited = {int(e) for site in siting.sites if site.echelon == number for e in site.edges}
        assert sited == build


def test_the_second_line_leans_on_the_river_and_goes_round_its_bridge(siting):
    """River and a bridge of 150,000 EUR: 300 m of ditch and one road block beside it are cheaper."""
    (site,) = [site for site in siting.sites if site.echelon == 2]
    assert (len(site.edges), site.roads, site.bridges) == (3, 1, 0)
    assert site.gap_km == pytest.approx(0.3)
    assert site.name.startswith("Echelon 2, ") and site.name.endswith("of Eastham, road 104")
    assert siting.lines[1].cost_eur == pytest.approx(0.3 * 200e3 + 30e3)
    assert siting.lines[1].closed_by_nature == pytest.approx(1 - 3 / len(siting.lines[1].edges))


@pytest.fixture(scope="module")
def bridge(siting):
    """The bridge: the most used narrow crossing."""
    (site,) = [site for site in siting.sites if site.bridges]
    assert (site.kind, len(site.edges), site.roads, site.gap_km) == ("crossing", 1, 0, 0.0)
    assert site.key.startswith("x-") and site.name.endswith("road 104, bridge Long bridge")
    return site


def test_costs_are_quantities_times_unit_cost(siting, study):
    measures = study.tables["measures"].set_index("measure")
    sites = {site.key: site for site in siting.sites}
    for option in siting.options:
        for figure, unit in (
            (option.cost_eur, "unit_cost_eur"),
            (option.cost_low_eur, "unit_cost_low_eur"),
            (option.cost_high_eur, "unit_cost_high_eur"),
            (option.removal_cost_eur, "removal_cost_eur"),
        ):
            assert figure == round(sum(units * measures.loc[key, unit] for key, units in option.quantities))
        assert option.lead_months == max(measures.loc[key, "lead_months"] for key, _ in option.quantities)
        site, units = sites[option.site], dict(option.quantities)
        if option.option == "full":
            assert units.get("ditch", 0) == pytest.approx(site.gap_km, abs=1e-3)
        assert units.get("block", 0) == site.roads and units.get("bridge", 0) == site.bridges


def test_options_by_hand(siting, bridge):
    """Bridge site: both ways cost one bridge; felling needs forest and fits nowhere on grass."""
    found = {o.option: o for o in siting.options if o.site == bridge.key}
    assert set(found) == {"full", "roads"}
    assert found["full"].cost_eur == found["roads"].cost_eur == 150e3
    assert (found["full"].delay_open_h, found["full"].delay_bridge_h) == (0.0, 12.0)
    assert not any(option.option == "felling" for option in siting.options)


def test_cover_is_needed_on_half_of_the_open_length(bench, siting, study, mesh):
    cover = np.zeros_like(mesh.cover)
    lines = {site.key for site in siting.sites if site.kind == "line"}
    for share, expected in ((0.6, lines), (0.4, set())):
        cover[:, 4], cover[:, 1] = share, 1 - share
        options = list_options(study, bench.change_mesh(mesh, cover=cover.copy()), siting.sites)
        assert {option.site for option in options if option.option == "felling"} == expected


def test_a_bridge_without_a_bridge_measure_is_a_road(bench, mesh, siting, bridge):
    option = bench.options[0] | {"bridge_measure": ""}
    study = bench.make_study(tables(bench, mesh, options=[option]))
    (found,) = list_options(study, mesh, [bridge])
    assert found.quantities == (("block", 1.0),) and found.delay_bridge_h == 2.0
    problem = build_problem(study, mesh, [bridge], [found])
    assert problem.option_road_h.tolist() == [2.0] and problem.option_open_h.tolist() == [0.0]


def test_problem_is_what_the_sites_say(siting, study, mesh):
    problem = siting.problem
    assert problem.approach_weight.tolist() == [0.25, 0.75]
    assert problem.open_h.shape == (2, mesh.edge_count) and problem.approach_group.tolist() == [0, 1]
    assert problem.option_start[-1] == len(problem.option_edge) == len(problem.option_open_h)
    for row, option in enumerate(siting.options):
        slot = slice(problem.option_start[row], problem.option_start[row + 1])
        edges = problem.option_edge[slot]
        site = siting.sites[problem.option_site[row]]
        assert site.key == option.site and set(edges) <= set(site.edges)
        gaps = mesh.gap_m[edges] > 0
        assert (problem.option_open_h[slot][gaps] == option.delay_open_h).all()
        assert (problem.option_open_h[slot][~gaps] == 0).all()
        roads = mesh.road_class[edges] >= 0
        assert (problem.option_road_h[slot][~roads] == 0).all()
        if option.option == "roads":
            assert len(edges) == site.roads + site.bridges and roads.all()
    again = site_study(study, mesh)
    assert [s.key for s in again.sites] == [s.key for s in siting.sites]


def test_crossings_are_used_roads_away_from_the_lines(siting, study, mesh):
    use = count_route_use(study, mesh)
    crossings = [site for site in siting.sites if site.kind == "crossing"]
    assert 0 < len(crossings) <= study.crossing_sites
    for site in crossings:
        (edge,) = site.edges
        assert use[edge] > 0 and mesh.road_class[edge] >= 0 and site.echelon == 0
        assert mesh.country[mesh.edge_a[edge]] == mesh.country[mesh.edge_b[edge]] == 0
    assert any(removal.reason == "off home ground" for removal in siting.removed)
    # 0.25 + 0.75: the best avenue of both approaches takes the road and its bridge
    assert use[mesh.bridge_m > 0].max() >= 1.0 - 1e-9


def test_long_runs_are_divided_evenly(bench, mesh):
    long = bench.make_study(tables(bench, mesh), outer_km=(3.0,), longest_site_km=1.0)
    lines = find_echelon_lines(long, mesh)
    sites, _ = find_sites(long, mesh, lines, np.zeros(mesh.edge_count))
    lengths = [float(mesh.length_m[site.edges].sum()) for site in sites]
    assert max(lengths) <= 1000 and min(lengths) >= 400
    assert len(sites) > 5


def test_protected_works_and_nature_are_never_sites(bench, mesh, siting):
    target = siting.sites[0]
    cell = int(mesh.edge_a[target.edges[0]])
    dam = {
        "place": "dam",
        "name": "Dam",
        "lon": mesh.lon[cell],
        "lat": mesh.lat[cell],
        "kind": "dam",
        "country": "HH",
    }
    base = tables(bench, mesh)
    with_dam = bench.make_study(base | {"places": base["places"] + [dam]}, outer_km=(3.0, 8.0))
    use = np.ones(mesh.edge_count)
    sites, removed = find_sites(with_dam, mesh, siting.lines, use)
    for site in sites:
        assert cell not in mesh.edge_a[site.edges] and cell not in mesh.edge_b[site.edges]
    line_edges = np.concatenate([line.edges for line in siting.lines])
    beside = [e for e in line_edges if cell in (mesh.edge_a[e], mesh.edge_b[e])]
    roads = [e for e in mesh.edge[cell] if e >= 0 and mesh.road_class[e] >= 0 and e not in line_edges]
    expected = len(beside) + len(roads)
    assert Removal("in a cell with a dam or power station", expected) in removed
    for word, bars in (("dam", True), ("nuclear_station", True), ("dyke", False), ("school", False)):
        beside_mesh = Facilities(
            np.array([FACILITY_WORDS.index(word)], np.int8), ("",), ("",), mesh.lon[[cell]], mesh.lat[[cell]],
            np.array([cell], np.int32),
        )  # fmt: skip
        works = find_protected_works(bench.make_study(base), bench.change_mesh(mesh, facilities=beside_mesh))
        assert np.flatnonzero(works).tolist() == ([cell] if bars else [])
    nature = np.zeros(mesh.cell_count, np.float32)
    nature[mesh.lat > 54.5] = 0.8
    wild = bench.change_mesh(mesh, protected=nature)
    careful = bench.make_study(base, outer_km=(3.0,), avoid_protected=True)
    for site in find_sites(careful, wild, siting.lines, use)[0]:
        assert (nature[mesh.edge_a[site.edges]] <= 0.5).all() and (
            nature[mesh.edge_b[site.edges]] <= 0.5
        ).all()


def test_rules(bench, mesh, siting):
    key = siting.sites[0].key
    rules = [
        {"rule": "r1", "name": "Start there", "kind": "lock_in", "subject": key},
        {"rule": "r2", "name": "Not there", "kind": "lock_out", "subject": siting.sites[1].key},
        {
            "rule": "r3",
            "name": "Ditch at most 5 km",
            "kind": "measure_limit",
            "subject": "ditch",
            "limit": 5.0,
        },
        {"rule": "r4", "name": "Half an hour", "kind": "least_hours", "subject": "a3", "limit": 0.5},
    ]
    study = bench.make_study(tables(bench, mesh, rules=rules), outer_km=(3.0, 8.0))
    problem = build_problem(study, mesh, siting.sites, siting.options)
    first, second, third = problem.rules
    mine = [row for row, option in enumerate(siting.options) if option.site == key]
    assert first.options.tolist() == mine and set(first.coefficients) == {-1.0} and first.limit == -1.0
    assert set(second.coefficients) == {1.0} and second.limit == 0.0
    kilometres = [dict(siting.options[row].quantities)["ditch"] for row in third.options]
    assert third.coefficients.tolist() == kilometres and third.limit == 5.0
    assert problem.least_hours == {1: 0.5} and problem.least_hours_names == {1: "Half an hour"}


def test_unknown_subjects_are_all_named(bench, mesh, siting):
    rules = [
        {"rule": "r1", "name": "x", "kind": "lock_in", "subject": siting.sites[0].key[:-1]},
        {"rule": "r2", "name": "x", "kind": "measure_limit", "subject": "dich", "limit": 1.0},
        {"rule": "r3", "name": "x", "kind": "least_hours", "subject": "a1", "limit": np.nan},
    ]
    base = tables(bench, mesh, rules=rules)
    base["approaches"][0]["objective"] = "nowhere"
    with pytest.raises(InputError) as caught:
        build_problem(bench.make_study(base, outer_km=(3.0, 8.0)), mesh, siting.sites, siting.options)
    faults = [(fault.row, fault.column) for fault in caught.value.faults if fault.file == "tables/rules.csv"]
    assert faults == [(2, "subject"), (3, "subject"), (4, "limit")]
    assert len(caught.value.faults) == 4 and "did you mean 'ditch'?" in str(caught.value)


def test_places_are_named_with_side_and_distance(bench):
    town = {"place": "s", "name": "Salcininkai", "lon": 25.0, "lat": 54.0, "kind": "town", "country": "HH"}
    study = bench.make_study({"places": [town]})
    assert describe_place(study, 25.065, 54.038) == "6 km north-east of Salcininkai"
    assert describe_place(study, 24.9, 54.0) == "7 km west of Salcininkai"
    assert describe_place(study, 25.0, 54.005) == "at Salcininkai"
    assert describe_place(bench.make_study({}), 25.0, 54.0) == "54.000 N 25.000 E"
