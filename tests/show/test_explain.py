"""The commands `why` and `curve`: tables, files, words, refusals."""

from __future__ import annotations

import csv
import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest

from abatis.model.errors import InputError
from abatis.model.plan import read_plan
from abatis.show.cli import main
from abatis.show.explain import _say_sharpness, count_people, mark_front, read_budgets
from abatis.show.tables import clean_json


def run_json(capsys, *arguments):
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_why_rates_every_chosen_site_and_finds_other_plans(study_copy, capsys):
    folder = study_copy / "plans" / "base"
    plan = read_plan(folder)
    tables = run_json(capsys, "why", folder, "--time-limit", "20")
    assert sorted(row["site"] for row in tables["sites"]) == sorted(one.site for one in plan.options)
    for row in tables["sites"]:
        assert row["removal_loss_h"] >= -1e-9
        if row["replaceable"]:
            assert row["replacement_low_h"] <= row["replacement_high_h"] <= row["removal_loss_h"] + 1e-9
        assert row["words"].startswith("Without it the plan loses")
    for row in tables["alternatives"]:
        assert row["value_h"] >= 0.98 * plan.value_h - 1e-9
        assert row["cost_eur"] <= plan.budget_eur
        assert {one["site"] for one in row["chosen"]} != {one.site for one in plan.options}
    assert tables["alternatives"] and 0 < tables["placeholders"][0]["share_percent"] <= 100
    assert main(["why", str(folder), "--time-limit", "5"]) == 0
    printed = capsys.readouterr().out
    assert "alternative" in printed and "placeholders [%]" in printed


def test_why_of_one_site_by_key_or_label(study_copy, capsys):
    folder = study_copy / "plans" / "base"
    key = read_plan(folder).options[0].site
    (by_key,) = run_json(capsys, "why", folder, "--site", key)["sites"]
    (by_label,) = run_json(capsys, "why", folder, "--site", by_key["label"])["sites"]
    assert by_key == by_label
    assert by_key["site"] == key
    assert main(["why", str(folder), "--site", key]) == 0
    assert "Without it the plan loses" in capsys.readouterr().out


def test_why_refuses_a_site_that_is_not_chosen_and_a_folder_without_a_plan(study_copy, capsys):
    assert main(["why", str(study_copy / "plans" / "base"), "--site", "nowhere"]) == 1
    assert "'nowhere' is not chosen" in capsys.readouterr().err
    assert main(["why", str(study_copy / "plans" / "none")]) == 1
    assert "plan.json" in capsys.readouterr().err


def test_curve_is_written_whole_and_rises(study_copy, capsys):
    planned = read_plan(study_copy / "plans" / "base").budget_eur
    budgets = f"{planned},0,{planned / 2}"
    rows = run_json(capsys, "curve", study_copy, "--budgets", budgets, "--time-limit", "20")["curve"]
    assert [row["budget_eur"] for row in rows] == [0.0, planned / 2, planned]
    for earlier, later in itertools.pairwise(rows):
        assert earlier["value_h"] <= later["value_h"]
        assert earlier["bound_h"] <= later["bound_h"]
        assert earlier["next_million_low_h"] <= earlier["next_million_high_h"]
    for row in rows:
        assert row["value_h"] <= row["bound_h"]
        assert row["cost_eur"] <= row["budget_eur"]
        assert row["sites"] == len(row["chosen"])
    with (study_copy / "plans" / "curve.csv").open(encoding="utf-8") as file:
        kept = list(csv.DictReader(file))
    assert [float(row["value_h"]) for row in kept] == [row["value_h"] for row in rows]
    assert [path.name for path in (study_copy / "plans").glob(".part-*")] == []


def test_curve_against_land_take(study_copy, capsys):
    tables = run_json(capsys, "curve", study_copy, "--land", "--time-limit", "20")
    assert len(tables["curve"]) == 7
    rows = [row for row in tables["land"] if row["value_h"] is not None]
    assert rows
    for row in rows:
        assert row["land_take_m2"] <= row["land_limit_m2"] * (1 + 1e-9)
    values = [row["value_h"] for row in rows]
    assert values == sorted(values)
    assert (study_copy / "plans" / "land.csv").is_file()


def test_curve_against_people_near_sites(study_copy, capsys, monkeypatch):
    """The template's plan closes sites where nobody lives, so the test puts people beside every site."""
    monkeypatch.setattr(
        "abatis.show.explain.count_people",
        lambda _mesh, _study, siting: np.array([100.0 + len(option.site) for option in siting.options]),
    )
    tables = run_json(capsys, "curve", study_copy, "--people", "--budgets", "3e6", "--time-limit", "20")
    rows = tables["people"]
    assert [row["people_limit"] > 0 for row in rows] == [False, True, True, True, True]
    for row in rows:
        assert row["people_near"] == sum(100.0 + len(one["site"]) for one in row["chosen"])
        assert row["people_near"] <= row["people_limit"] * (1 + 1e-9)
    assert rows[0]["chosen"] == []
    values = [row["value_h"] for row in rows]
    assert values == sorted(values)
    assert values[0] < values[-1] == pytest.approx(tables["curve"][-1]["value_h"], rel=0.02)
    with (study_copy / "plans" / "people.csv").open(encoding="utf-8") as file:
        assert [float(row["people_near"]) for row in csv.DictReader(file)] == [
            row["people_near"] for row in rows
        ]


def test_people_near_a_site_are_those_of_its_home_cells():
    """Three cells in a row with 5, 7 and 11 people, the last one abroad; a site on each of the two edges."""
    mesh = SimpleNamespace(
        population=np.array([5.0, 7.0, 11.0]),
        edge_a=np.array([0, 1]),
        edge_b=np.array([1, 2]),
        mask_countries=lambda codes: np.array([True, True, False]),
    )
    sites = (SimpleNamespace(key="west", edges=(0,)), SimpleNamespace(key="east", edges=(1,)))
    options = tuple(SimpleNamespace(site=key) for key in ("west", "west", "east"))
    siting = SimpleNamespace(sites=sites, options=options)
    people = count_people(mesh, SimpleNamespace(home=("HH",)), siting)
    assert people.tolist() == [12.0, 12.0, 7.0]


def test_why_says_how_sharp_its_answers_are(study_copy, capsys):
    folder = study_copy / "plans" / "base"
    assert main(["why", str(folder), "--alternatives", "0", "--time-limit", "0"]) == 0
    rows = [
        {"replaceable": True, "removal_loss_h": 1.0, "replacement_low_h": 0.0, "replacement_high_h": high}
        for high in (0.05, 0.5)
    ]
    assert _say_sharpness(rows).startswith("1 of 2 sites are known to within 10 % of their loss")
    assert _say_sharpness(rows[:1]) == ""
    assert _say_sharpness(rows[1:]).startswith("It is not known to within 10 % of its loss")


def test_wrong_budgets_are_all_named(study_copy, capsys):
    assert main(["curve", str(study_copy), "--budgets", "5,many,-3,nan"]) == 1
    printed = capsys.readouterr().err
    assert "3 faults" in printed
    for word in ("'many'", "'-3'", "'nan'"):
        assert word in printed
    with pytest.raises(InputError):
        read_budgets("1e6;2e6")


def test_beaten_plans_are_not_on_the_front():
    def plan(value, cost, land):
        return {"value_h": value, "cost_eur": cost, "land_take_m2": land}

    rows = [plan(4, 0, 0), plan(5, 2, 9), plan(5, 3, 9), plan(5, 3, 8), plan(None, None, None)]
    assert [row["on_front"] for row in mark_front(rows)] == [True, True, False, True, False]
    assert clean_json(mark_front(rows))
