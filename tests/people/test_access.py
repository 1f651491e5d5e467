"""Access on road nets small enough to count by hand: a village on a peninsula, a bridge as the only way."""

from __future__ import annotations

import math

import numpy as np
import pytest
from access_cases import (
    LOCAL_PERSONS_H,
    REGIONAL_PERSONS_H,
    make_mesh,
    make_plan,
    make_siting,
    make_study,
)

from abatis.model.errors import InputError
from abatis.people.access import (
    compute_access,
    find_causes,
    list_corridors,
    list_cut_off,
    list_evacuation,
    list_evacuation_states,
    list_longer,
)
from abatis.people.access_ground import prepare_access
from abatis.people.access_rules import find_blocking_sets
from abatis.people.access_terms import read_access_terms
from abatis.people.evacuation import clear_places
from abatis.people.roads import build_road_graph

# village(0) -- 1 -- 2 -- 3 hospital -- 4 safe; the only way from the tip of the peninsula is the road 1-2.
PENINSULA = [(0, 1, 0.25, "local"), (1, 2, 0.25, "local"), (2, 3, 0.5, "regional"), (3, 4, 0.5, "regional")]
PENINSULA_PLACES = [
    ("village", 0, 3000, "village"),
    ("town", 2, 0, "town"),
    ("clinic", 3, 0, "hospital"),
    ("far", 4, 100, "town"),
]
# Two towns on either side of a river: bridge 1-2 (0.1 h), and a long way round by 3-4 (2 x 1 h).
RIVER = [
    (0, 1, 0.2, "regional"),
    (1, 2, 0.1, "regional", "bridge"),
    (2, 5, 0.2, "regional"),
    (1, 3, 1.0, "local"),
    (3, 4, 0.5, "local"),
    (4, 2, 1.0, "local"),
]
RIVER_PLACES = [("west", 0, 4500, "town"), ("clinic", 5, 0, "hospital"), ("east", 5, 50, "town")]


@pytest.fixture
def peninsula(tmp_path, monkeypatch):
    return make_study(tmp_path, PENINSULA_PLACES, monkeypatch, PENINSULA), make_mesh(5, PENINSULA, safe=[4])


@pytest.fixture
def river(tmp_path, monkeypatch):
    return make_study(tmp_path, RIVER_PLACES, monkeypatch, RIVER), make_mesh(6, RIVER, safe=[5])


def test_a_village_on_a_peninsula_has_exact_hours(peninsula):
    study, mesh = peninsula
    siting = make_siting([("neck", [1], ["block"])])
    access = compute_access(study, mesh, siting, make_plan(siting))
    village = access.places[0]
    assert village.hours["ambulance"].before_h == 1.0
    assert village.hours["safe"].before_h == 1.5
    assert (village.hours["safe"].peace_h, village.hours["safe"].closed_h) == (1.5, math.inf)
    assert "school" not in village.hours
    # 3,000 persons over a local road of 1,500 persons an hour: two hours in line, then 1.5 h of driving.
    before, peace, closed = list_evacuation_states(access)
    assert before["clear_h"] == pytest.approx(3000 / LOCAL_PERSONS_H + 1.5) == 3.5
    assert before["spread_h"] == before["clear_h"]
    assert before["clear_h"] * 0.998 <= before["bound_h"] <= before["clear_h"]
    assert {**peace, "state": ""} == {**before, "state": ""}
    assert (closed["persons"], closed["stranded"], closed["clear_h"]) == (0.0, 3000.0, 0.0)


def test_who_is_cut_off_is_listed_with_what_is_lost(peninsula):
    study, mesh = peninsula
    siting = make_siting([("neck", [1], ["block"])])
    (row,) = list_cut_off(compute_access(study, mesh, siting, make_plan(siting)))
    assert (row["place"], row["persons"], row["lost"]) == ("village", 3000.0, ["ambulance", "safe"])
    assert row["before_h"] == {"ambulance": 1.0, "safe": 1.5}
    assert row["also_in_peace"] is False


def test_a_wall_is_closed_in_peace_and_a_block_is_not(peninsula):
    study, mesh = peninsula
    siting = make_siting([("neck", [1], ["wall", "block"])])
    access = compute_access(study, mesh, siting, make_plan(siting))
    assert list_cut_off(access, "peace")[0]["also_in_peace"] is True
    own = study.folder / "tables" / "peace_roads.csv"
    own.write_text("law_kind,open,meaning,source,tag\nfence,true,gates stay open,test,G\n", "utf-8")
    assert list_cut_off(compute_access(study, mesh, siting, make_plan(siting)), "peace") == []


def test_a_bridge_as_the_only_way_closes_only_as_a_bridge(peninsula, tmp_path, monkeypatch):
    roads = [*PENINSULA[:1], (*PENINSULA[1], "bridge"), *PENINSULA[2:]]
    study = make_study(tmp_path, PENINSULA_PLACES, monkeypatch, roads)
    mesh = make_mesh(5, roads, safe=[4])
    # The option "bridge" has no measure for roads: a site on a plain road leaves it open.
    for edges, cut in (([1], ["village"]), ([2], [])):
        siting = make_siting([("s", edges, ["bridge"])])
        access = compute_access(study, mesh, siting, make_plan(siting))
        assert [row["place"] for row in list_cut_off(access)] == cut
    (cause, _) = find_causes(study, mesh, make_siting([("s", [1], ["bridge"])]))
    assert (cause.site, cause.place, cause.alone, cause.restores, cause.gain_h) == (
        "s", "village", True, True, math.inf
    )  # fmt: skip


def test_the_long_way_round_and_its_cause(river):
    study, mesh = river
    siting = make_siting([("bridge", [1], ["bridge"]), ("road", [4], ["block"]), ("idle", [2], ["bridge"])])
    access = compute_access(study, mesh, siting, make_plan(siting, "bridge"))
    (row,) = list_longer(access, "ambulance")
    assert (row["before_h"], row["after_h"]) == (pytest.approx(0.5), pytest.approx(0.2 + 2.5 + 0.2))
    # Both closed: opening either one gives the way back, though neither cuts the town off alone.
    causes = {one.site: one for one in find_causes(study, mesh, siting, make_plan(siting), ["ambulance"])}
    assert set(causes) == {"bridge", "road"}
    assert not causes["bridge"].alone and not causes["road"].alone
    assert causes["bridge"].restores and causes["road"].restores
    assert causes["bridge"].without_h == pytest.approx(0.5)
    assert causes["road"].without_h == pytest.approx(2.9)
    assert causes["bridge"].alone_h == pytest.approx(2.9)
    # Only the bridge closed: its replacement value is the detour.
    (cause,) = find_causes(study, mesh, siting, make_plan(siting, "bridge"), ["ambulance"])
    assert cause.gain_h == pytest.approx(2.4)


def test_sites_that_cut_only_together_are_found_as_a_set(river):
    study, mesh = river
    siting = make_siting([("bridge", [1], ["bridge"]), ("road", [4], ["block"]), ("idle", [2], ["bridge"])])
    (found,) = find_blocking_sets(study, mesh, siting, make_plan(siting))
    assert (found.place, found.sites) == ("west", ("bridge", "road"))
    assert find_blocking_sets(study, mesh, siting, make_plan(siting, "bridge", "idle")) == ()
    # In peace the bridge only has fixtures and the block stands beside the road.
    assert find_blocking_sets(study, mesh, siting, make_plan(siting), state="peace") == ()


def test_people_spread_over_two_roads_and_no_plan_beats_the_bound(tmp_path, monkeypatch):
    # Two roads of the same 1 h from the town to safe ground; the fastest-way rule uses one of them.
    roads = [(0, 1, 0.5, "local"), (1, 3, 0.5, "local"), (0, 2, 0.5, "local"), (2, 3, 0.5, "local")]
    study = make_study(tmp_path, [("town", 0, 6000, "town"), ("city", 3, 60000, "city")], monkeypatch, roads)
    mesh = make_mesh(4, roads, safe=[3])
    ground = prepare_access(study, mesh)
    found = clear_places(study, mesh, ground, np.empty(0, np.int32))
    assert found.clear_h == pytest.approx(6000 / LOCAL_PERSONS_H + 1)
    assert found.spread_h == pytest.approx(3000 / LOCAL_PERSONS_H + 1, rel=5e-3)
    assert 2.98 <= found.bound_h <= 3.0


def test_a_narrow_road_ahead_makes_two_places_wait_for_each_other(tmp_path, monkeypatch):
    # near(1) and back(0) share the road 1-2: 1,500 + 3,000 persons at 1,500 an hour.
    roads = [(0, 1, 0.5, "regional"), (1, 2, 0.5, "local")]
    places = [("back", 0, 3000, "town"), ("near", 1, 1500, "village"), ("city", 2, 60000, "city")]
    study, mesh = make_study(tmp_path, places, monkeypatch, roads), make_mesh(3, roads, safe=[2])
    access = compute_access(study, mesh, make_siting([("x", [0], ["block"])]))
    (group, *_) = list_evacuation(access)
    # From hour 0 the village fills the road for 1 h; the town's first arrive at 0.5 h; all is through at 3 h.
    assert group["clear_h"] == pytest.approx(3.5)
    assert group["persons"] == 4500.0
    assert group["narrow_vehicles_per_hour"] == 600.0
    assert REGIONAL_PERSONS_H > LOCAL_PERSONS_H
    assert access.evacuation["before"].bound_h == pytest.approx(3.5, rel=2e-3)


def test_trade_and_mobility_corridors(tmp_path, monkeypatch):
    roads = [(0, 1, 1.0, "main"), (1, 2, 1.0, "main"), (2, 3, 1.0, "main"), (1, 4, 0.5, "local")]
    places = [
        ("goal", 1, 900, "town"), ("gate", 0, 0, "crossing"), ("city", 2, 60000, "city"),
        ("port", 4, 0, "port"),
    ]  # fmt: skip
    study, mesh = make_study(tmp_path, places, monkeypatch, roads), make_mesh(5, roads, safe=[3])
    siting = make_siting([("gate", [0], ["wall"]), ("quay", [3], ["block"])])
    rows = {row["corridor"]: row for row in list_corridors(compute_access(study, mesh, siting))}
    assert set(rows) == {"trade_gate", "port_goal"}
    # A wall shuts the gate in peace too; blocks beside the road to the quay let traffic through.
    assert (rows["trade_gate"]["before_h"], rows["trade_gate"]["peace_h"]) == (2.0, None)
    assert rows["trade_gate"]["cut_in_peace"] and rows["trade_gate"]["cut_closed"]
    port = rows["port_goal"]
    assert (port["before_h"], port["peace_h"], port["closed_h"]) == (0.5, 0.5, None)
    assert (port["cut_in_peace"], port["cut_closed"]) == (False, True)
    text = "corridor,name,kind,start,target,source,tag\nc,Own,mobility,port,city,test,G\n"
    (study.folder / "tables" / "corridors.csv").write_text(text, "utf-8")
    (own,) = list_corridors(compute_access(study, mesh, siting))
    assert (own["corridor"], own["before_h"]) == ("c", 1.5)
    (study.folder / "tables" / "corridors.csv").write_text(text.replace(",port,", ",prt,"), "utf-8")
    with pytest.raises(InputError, match=r"corridors\.csv, row 2, start: there is no place 'prt'.*port"):
        compute_access(study, mesh, siting)


def test_nobody_drives_through_hostile_ground(tmp_path, monkeypatch):
    # The only road from the village runs through cell 1, hostile.
    roads = [(0, 1, 0.1, "main"), (1, 2, 0.1, "main")]
    study = make_study(tmp_path, [("v", 0, 10, "village"), ("city", 2, 60000, "city")], monkeypatch, roads)
    mesh = make_mesh(3, roads, safe=[2], hostile=[1])
    with pytest.raises(InputError, match="no safe area"):
        prepare_access(study, mesh)
    roads = [*roads, (2, 3, 0.1, "main")]
    study = make_study(tmp_path, [("v", 0, 10, "village"), ("city", 2, 60000, "city")], monkeypatch, roads)
    ground = prepare_access(study, make_mesh(4, roads, safe=[2, 3], hostile=[1]))
    assert ground.places[0].node == -1


def test_hospitals_fall_back_to_large_cities_and_say_so(tmp_path, monkeypatch):
    roads = [(0, 1, 0.5, "main")]
    study = make_study(tmp_path, [("v", 0, 10, "village"), ("city", 1, 60000, "city")], monkeypatch, roads)
    ground = prepare_access(study, make_mesh(2, roads, safe=[1]))
    assert "no hospital in the data: the 1 home cities of at least 50,000" in ground.hospital_basis
    assert ground.time_places("ambulance").tolist() == [0.5, 0.0]


def test_bad_input_is_named_all_at_once(peninsula):
    study, mesh = peninsula
    study.tables["places"].loc[2, "population"] = -5.0
    safe_nowhere = make_mesh(5, PENINSULA, safe=[])
    with pytest.raises(InputError) as found:
        prepare_access(study, safe_nowhere)
    text = str(found.value)
    assert "tables/places.csv, row 2, population: is -5 but must be at least 0" in text
    assert "there is no safe area" in text
    study.tables["places"].loc[2, "population"] = 5.0
    path = study.folder / "tables" / "road_capacities.csv"
    path.write_text(
        "road_class,lanes,vehicles_per_hour,source,tag\nlocal,1,0,test,G\nlocla,1,9,test,G\n", "utf-8"
    )
    with pytest.raises(InputError) as found:
        prepare_access(study, mesh)
    assert "road_capacities.csv, row 2, vehicles_per_hour: is 0 but must be at least 1" in str(found.value)
    assert "road_capacities.csv, row 3, road_class: has the unknown word 'locla'" in str(found.value)
    path.write_text("road_class,lanes,vehicles_per_hour,source,tag\nlocal,2,300,test,D\n", "utf-8")
    (study.folder / "tables" / "access_terms.csv").write_text(
        "term,value,unit,meaning,source,tag\nsafe_kmm,5,km,x,test,G\n", "utf-8"
    )
    with pytest.raises(InputError, match=r"'safe_kmm' is unknown .did you mean 'safe_km'"):
        read_access_terms(study)


def test_contracted_roads_give_the_hours_of_all_roads(tmp_path, monkeypatch):
    random = np.random.default_rng(5)
    for _ in range(30):
        count = 14
        pairs = {(i, i + 1) for i in range(count - 1) if random.random() < 0.8}
        pairs |= {tuple(sorted(random.choice(count, 2, replace=False).tolist())) for _ in range(6)}
        roads = [(a, b, float(random.uniform(0.1, 1)), "local") for a, b in sorted(pairs)]
        if np.bincount([end for a, b, *_ in roads for end in (a, b)]).max() > 6:
            continue
        mesh = make_mesh(count, roads, safe=[])
        kept = np.zeros(count, bool)
        kept[[0, count - 1]] = True
        hours = np.array([one[2] for one in roads])
        graph = build_road_graph(mesh, hours, np.ones(len(roads)), kept, np.zeros(count, bool))
        closed = random.choice(len(roads), 2, replace=False)
        least = np.full((count, count), np.inf)
        np.fill_diagonal(least, 0)
        for number, (a, b, time_h, _) in enumerate(roads):
            if number not in closed:
                least[a, b] = least[b, a] = time_h
        for middle in range(count):
            least = np.minimum(least, least[:, [middle]] + least[[middle]])
        for source in (0, count - 1):
            node = graph.node_of_cell[source]
            if node >= 0:
                times = graph.compute_times(np.array([node]), graph.find_links(closed))
                assert times == pytest.approx(least[source][graph.cells])
