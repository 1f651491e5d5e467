"""Liability and capacity: hand-made cases with exact numbers, and the order against all others."""

from __future__ import annotations

import itertools
import json
from datetime import date
from types import SimpleNamespace

import numpy as np
import pytest
from people_cases import ACTIVITIES, AREA, BELT, RELEASES, TRUST, draw_box, write_register, write_table

from abatis.model.errors import InputError
from abatis.model.study import read_study
from abatis.people.clearance import (
    ClearanceSettings,
    Duty,
    Range,
    assess_liability,
    count_teams,
    find_rates,
    list_belts,
    order_duties,
    plan_capacity,
    read_terms,
    schedule_jobs,
)
from abatis.show.cli import main

OPEN = {"status": "open", "closed": "", "handed_over": ""}
BELTS = {"belt": "north", "name": "North corridor", "measure": "belt", "lon": 25.0, "lat": 54.9, **TRUST}


def make_duty(key: str, area_m2: float, points: float = 0.0, kind: str = "find") -> Duty:
    return Duty(key, key, kind, "LT", area_m2, "owner", points, (), points, None, "G")


def assess(folder, **settings):
    return assess_liability(read_study(folder), settings=ClearanceSettings(**settings))


def test_what_remains_costs_area_times_price(folder):
    write_register(folder, [{**AREA, **OPEN}], ACTIVITIES, RELEASES[:2])
    liability, _, _ = assess(folder)
    (job,) = liability.jobs
    # 100,000 - 20,000 cancelled - 30,000 reduced, at 0.15, 1 and 4 EUR.
    assert (job.duty.area_m2, job.cost) == (50000, Range(7500.0, 50000.0, 200000.0))
    assert (job.duty.owner, job.duty.kind) == ("state fire and rescue service", "find")
    # 40 people, a farm (50) and a road (200).
    assert job.duty.points == 290
    earlier, _, _ = assess(folder, day=date(2024, 2, 1))
    assert earlier.cost.mode == 80000


def test_what_is_released_costs_nothing(folder):
    write_register(folder, [AREA], ACTIVITIES, RELEASES)
    liability, capacity, hazards = assess(folder)
    assert (liability.jobs, liability.cost, liability.teams) == ((), Range(0.0, 0.0, 0.0), 0)
    assert len(hazards) == 1
    assert {one.teams_high for one in capacity} == {0}


def test_a_belt_costs_its_length_times_its_land_and_its_owner_is_the_state(folder):
    write_table(folder, "belts", [{**BELTS, "length_km": 5}])
    liability, _, _ = assess(folder)
    (job,) = liability.jobs
    assert (job.duty.area_m2, job.cost) == (1e6, Range(150000.0, 1e6, 4e6))
    assert job.duty.owner == "state LT (AP2 art. 3(2))"


def test_a_belt_in_the_hazard_register_is_not_counted_twice(folder):
    write_table(folder, "belts", [{**BELTS, "length_km": 5}])
    laid = {**AREA, **OPEN, "origin": "reserve_belt", "belt": "north"}
    write_register(folder, [laid], [], [])
    liability, _, _ = assess(folder)
    (job,) = liability.jobs
    assert (job.duty.key, job.duty.kind, job.duty.area_m2) == ("h1", "belt", 100000)


def test_belts_of_a_plan_count_and_their_rows_replace_the_length(folder):
    rows = [
        {**BELTS, "site": "s1", "lon": "", "lat": "", "length_km": 3},
        {**BELTS, "belt": "later", "lon": 26},
    ]
    write_table(folder, "belts", rows)
    study = read_study(folder)
    sites = tuple(SimpleNamespace(key=key, name=f"Site {key}", lon=25.0, lat=54.9) for key in ("s1", "s2"))
    options = tuple(
        SimpleNamespace(site=site.key, option="belts", quantities=(("belt", 2.0), ("block", 4.0)))
        for site in sites
    )
    siting = SimpleNamespace(sites=sites, options=options)
    plan = SimpleNamespace(options=tuple(SimpleNamespace(site=one.key, option="belts") for one in sites))
    found, left_out = list_belts(study, set(), date(2026, 1, 1), None, siting, plan)
    assert {one.key: one.area_m2 for one in found} == {"north": 600000, "s2": 400000}
    assert left_out == ["later: no length in belts.csv, and no plan that lays it"]
    alone, left_out = list_belts(study, set(), date(2026, 1, 1), None)
    assert [one.key for one in alone] == ["north"]
    assert len(left_out) == 1


def test_years_and_discount_by_hand():
    duties = [make_duty("a", 150.0), make_duty("b", 50.0), make_duty("c", 100.0)]
    price, discount = Range(1.0, 2.0, 4.0), Range(0.0, 0.1, 0.25)
    first, second, third = schedule_jobs(duties, 100.0, 2030, price, discount, 2030)
    assert [(one.start_year, one.release_year) for one in (first, second, third)] == [
        (2030, 2031),
        (2031, 2031),
        (2032, 2032),
    ]
    # a: two thirds in 2030, one third in 2031; b wholly in 2031; c in 2032.
    assert first.cost == Range(150.0, 300.0, 600.0)
    assert first.present.mode == pytest.approx(300 * (2 / 3 + 1 / 3 / 1.1))
    assert first.present.low == pytest.approx(150 * (2 / 3 + 1 / 3 / 1.25))
    assert first.present.high == pytest.approx(600)
    assert second.present.mode == pytest.approx(100 / 1.1)
    assert third.present.mode == pytest.approx(200 / 1.21)
    (earlier,) = schedule_jobs(duties[:1], 1000.0, 2030, price, discount, 2025)
    assert earlier.present.mode == pytest.approx(300 / 1.1**5)


@pytest.mark.parametrize(
    ("area_m2", "rate", "years", "teams"),
    [
        (0, 48000, 10, 0),
        (1, 48000, 10, 1),
        (480000, 48000, 10, 1),
        (480001, 48000, 10, 2),
        (25e6, 48000, 10, 53),
    ],
)
def test_teams_to_clear_in_time(area_m2, rate, years, teams):
    assert count_teams(area_m2, rate, years) == teams
    if teams:
        (job,) = schedule_jobs(
            [make_duty("a", area_m2)], teams * rate, 2026, Range(1, 1, 1), Range(0, 0, 0), 2026
        )
        assert job.release_year <= 2026 + years - 1


def test_capacity_is_counted_for_finds_belts_and_both():
    duties = [make_duty("a", 480001.0), make_duty("b", 480000.0, kind="belt")]
    found = {(one.team, one.group): one for one in plan_capacity(duties, read_terms(), 10)}
    manual = {group: found["manual", group].teams_mode for group in ("finds", "belts", "all")}
    assert manual == {"finds": 2, "belts": 1, "all": 3}
    all_kinds = found["manual", "all"]
    # 960,001 m2 in ten years at 100,000, 48,000 and 12,000 m2 a year and team.
    assert (all_kinds.teams_low, all_kinds.teams_mode, all_kinds.teams_high) == (1, 3, 9)


def test_the_order_lets_people_wait_least_of_all_orders():
    random = np.random.default_rng(7)
    for _ in range(20):
        duties = [
            make_duty(str(k), float(random.integers(1, 50)), float(random.integers(0, 30))) for k in range(6)
        ]

        def wait(order) -> float:
            ends = np.cumsum([one.area_m2 for one in order])
            return float(ends @ [one.points for one in order])

        best = min(wait(order) for order in itertools.permutations(duties))
        assert wait(order_duties(duties)) == pytest.approx(best)


def test_finds_come_before_belts_and_blocked_uses_count(folder):
    few = {**AREA, **OPEN, "hazard": "h2", "beneficiaries": 0, "blocked_use": "forest"}
    school = {**AREA, **OPEN, "hazard": "h3", "beneficiaries": 0, "blocked_use": "school"}
    write_register(folder, [few, school, {**AREA, **OPEN}], [], [])
    write_table(folder, "belts", [{**BELTS, "length_km": 0.1}])
    liability, _, _ = assess(folder)
    assert [(one.duty.key, one.duty.points) for one in liability.jobs] == [
        ("h3", 500),
        ("h1", 290),
        ("h2", 10),
        ("north", 0),
    ]


def test_people_near_are_counted_where_there_is_a_mesh(folder):
    write_register(
        folder, [{**AREA, **OPEN, "area_m2": "", "perimeter": draw_box(25.0, 54.9, 25.01, 54.91)}], [], []
    )
    mesh = SimpleNamespace(
        lon=np.array([25.005, 25.005, 25.5]),
        lat=np.array([54.905, 54.94, 54.9]),
        population=np.array([7.0, 50.0, 900.0]),
    )
    liability, _, _ = assess_liability(read_study(folder), mesh)
    assert liability.jobs[0].duty.near == (7.0, 57.0)


def test_terms_of_the_study_go_before_the_packaged_ones(folder):
    price = {"term": "price", "low": 2, "mode": 3, "high": 5, "unit": "EUR/m2", "meaning": "tender", **TRUST}
    own = {"term": "team_own", "low": 1, "mode": 2, "high": 3, "unit": "m2/day", "meaning": "own", **TRUST}
    write_table(folder, "clearance_terms", [price, own])
    write_register(folder, [{**AREA, **OPEN}], [], [])
    liability, capacity, _ = assess(folder, team="own", teams=10)
    assert liability.cost == Range(200000.0, 300000.0, 500000.0)
    assert find_rates(read_terms(read_study(folder)), "own") == Range(120.0, 320.0, 600.0)
    assert "own" in {one.team for one in capacity}
    # 100,000 m2 with ten teams of 320 m2 a year: 31.25 years.
    assert liability.jobs[0].release_year == 2026 + 31


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ({"term": "prise"}, "'prise' is an unknown term (did you mean 'price'?)"),
        ({"term": "price", "low": 9}, "low, mode, high do not rise"),
        ({"term": "price", "low": -1}, "low: is -1 but must be at least 0"),
    ],
)
def test_bad_terms_are_named(folder, row, fault):
    whole = {"low": 1, "mode": 2, "high": 3, "unit": "EUR/m2", "meaning": "x", **TRUST, **row}
    write_table(folder, "clearance_terms", [whole])
    with pytest.raises(InputError) as caught:
        read_terms(read_study(folder))
    assert fault in str(caught.value)


def test_packaged_terms_are_ranges_with_the_known_prices():
    terms = read_terms()
    assert terms["price"].value == Range(0.15, 1.0, 4.0)
    assert (terms["price"].unit, terms["price"].tag) == ("EUR/m2", "D")
    for one in terms.values():
        assert one.value.low <= one.value.mode <= one.value.high
        assert one.source


def test_command_gives_the_contract_and_the_tables(folder, capsys):
    write_register(folder, [{**AREA, **OPEN}], ACTIVITIES, RELEASES[:2])
    write_table(folder, "belts", [{**BELTS, "length_km": 5}])
    assert main(["clearance", str(folder), "--teams", "2", "--start", "2030", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["liability_eur"] == {"low": 157500.0, "mode": 1050000.0, "high": 4200000.0}
    assert answer["finds_eur"]["mode"] == 50000.0
    assert [one["duty"] for one in answer["duties"]] == ["h1", "north"]
    # 50,000 m2, then a million, at 96,000 m2 a year: done after 10.94 years.
    assert [one["release_year"] for one in answer["duties"]] == [2030, 2040]
    assert answer["hazards"][0]["remaining_m2"] == 50000
    assert any("no mesh" in note for note in answer["notes"])
    assert main(["clearance", str(folder)]) == 0
    plain = capsys.readouterr().out
    assert "state fire and rescue service" in plain
    assert "Teams to clear within 10 years" in plain


def test_command_names_what_is_wrong(folder, capsys):
    assert main(["clearance", str(folder), "--team", "dog"]) == 1
    assert "did you mean 'dogs'" in capsys.readouterr().err
    assert main(["clearance", str(folder), "--date", "yesterday", "--team", "dog"]) == 1
    told = capsys.readouterr().err
    assert all(
        one in told for one in ("2 faults", "--date: is 'yesterday'", "--team: there is no team 'dog'")
    )
    assert main(["clearance", str(folder), "--teams", "0"]) == 1
    capsys.readouterr()
    assert main(["clearance", str(folder), "--plan", "base"]) == 1
    assert "mesh" in capsys.readouterr().err


def test_belt_measures_need_their_kind(folder):
    write_table(
        folder,
        "measures",
        [{**BELT, "measure": "other", "name": "Ground closed from stock", "law_kind": "depot"}],
        keep=True,
    )
    write_table(folder, "belts", [{**BELTS, "measure": "other", "length_km": 5}])
    liability, _, _ = assess(folder)
    assert liability.jobs == ()
    assert liability.left_out == ("north: measure other is not of the law_kind mine_reserve",)


def test_people_near_a_site_are_those_near_its_boundaries(folder):
    study = read_study(folder)
    site = SimpleNamespace(key="s1", name="Site", lon=0.0, lat=0.0, edges=np.array([0, 1]))
    options = (SimpleNamespace(site="s1", option="belts", quantities=(("belt", 2.0),)),)
    siting = SimpleNamespace(sites=(site,), options=options)
    plan = SimpleNamespace(options=(SimpleNamespace(site="s1", option="belts"),))
    # Cells 0.01 degrees of latitude apart (1.11 km): boundaries lie half way between 0 and 1, and 1 and 2.
    mesh = SimpleNamespace(
        lon=np.full(5, 25.0),
        lat=54.9 + 0.01 * np.arange(5),
        population=np.array([1.0, 10.0, 100.0, 1000.0, 10000.0]),
        edge_a=np.array([0, 1]),
        edge_b=np.array([1, 2]),
    )
    (belt,), _ = list_belts(study, set(), date(2026, 1, 1), mesh, siting, plan)
    assert belt.near == (111.0, 11111.0)
    assert belt.points == 111.0


def test_check_names_faults_of_law_and_register_together(folder, capsys):
    write_register(folder, [{**AREA, "state": "LTU"}], ACTIVITIES, RELEASES)
    rule = {
        "rule": "a",
        "instrument": "OTTAWA",
        "article": "1",
        "kinds": "any",
        "effect": "prohibits",
        "wording": "x",
    }
    write_table(folder, "law_rules", [{**rule, **TRUST}])
    assert main(["check", str(folder)]) == 1
    shown = capsys.readouterr().err
    assert "'LTU' is an unknown state" in shown
    assert "'OTTAWA' is an unknown treaty" in shown
