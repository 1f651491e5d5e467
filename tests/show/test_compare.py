"""Comparing plans: results, choices and inputs that differ."""

from __future__ import annotations

import json
import shutil

import pytest

from abatis.model.errors import InputError
from abatis.show.compare import compare_plans


@pytest.fixture
def two_plans(study_copy):
    first, second = study_copy / "plans" / "base", study_copy / "plans" / "other"
    shutil.copytree(first, second)
    plan = json.loads((second / "plan.json").read_text())
    dropped = plan["options"].pop(0)
    plan |= {
        "name": "other",
        "budget_eur": plan["budget_eur"] - 1,
        "cost_eur": plan["cost_eur"] - dropped["cost_eur"],
    }
    plan["value_h"] -= 0.25
    plan["approaches"][0]["after_h"] -= 0.25
    (second / "plan.json").write_text(json.dumps(plan))
    return first, second, dropped


def test_a_plan_does_not_differ_from_itself(study_copy):
    plan = study_copy / "plans" / "base"
    tables = compare_plans(plan, plan)
    assert tables["choices"].rows == ()
    assert tables["inputs"].rows == ()
    assert all(row["difference"] == 0 for row in tables["results"].rows)


def test_differences_are_named_with_both_values(two_plans):
    first, second, dropped = two_plans
    tables = compare_plans(first, second)
    assert [(row["site"], row["a"], row["b"]) for row in tables["choices"].rows] == [
        (dropped["site"], dropped["option"], None)
    ]
    assert tables["choices"].rows[0]["cost_a_eur"] == dropped["cost_eur"]
    by_key = {row["what"]: row for row in tables["results"].rows}
    assert by_key["value_h"]["difference"] == pytest.approx(-0.25)
    assert by_key["after_h:west_capital"]["difference"] == pytest.approx(-0.25)
    assert by_key["cost_meur"]["difference"] == pytest.approx(-dropped["cost_eur"] / 1e6)
    assert [row["key"] for row in tables["inputs"].rows] == ["budget_eur"]


def test_the_same_option_at_another_cost_is_a_difference(study_copy):
    first, second = study_copy / "plans" / "base", study_copy / "plans" / "dearer"
    shutil.copytree(first, second)
    plan = json.loads((second / "plan.json").read_text())
    plan["options"][0]["cost_eur"] += 1000
    (second / "plan.json").write_text(json.dumps(plan))
    (row,) = compare_plans(first, second)["choices"].rows
    assert row["a"] == row["b"] == plan["options"][0]["option"]
    assert row["cost_b_eur"] - row["cost_a_eur"] == 1000


def test_plans_of_two_studies_show_which_rows_differ(study_copy, tmp_path):
    other = tmp_path / "second"
    shutil.copytree(study_copy, other)
    settings = other / "study.toml"
    settings.write_text(settings.read_text().replace("strip_km = 20", "strip_km = 25"))
    places = other / "tables" / "places.csv"
    places.write_text(places.read_text().replace("4000", "4500"))
    rows = compare_plans(study_copy / "plans" / "base", other / "plans" / "base")["inputs"].rows
    found = {(row["file"], row["key"]): (row["a"], row["b"]) for row in rows}
    assert found == {
        ("study.toml", "strip_km"): (20, 25),
        ("tables/places.csv", "bordertown: population"): ("4000", "4500"),
    }


def test_a_folder_without_a_plan_is_refused(study_copy, tmp_path):
    with pytest.raises(InputError, match=r"plan\.json"):
        compare_plans(study_copy / "plans" / "base", tmp_path)
