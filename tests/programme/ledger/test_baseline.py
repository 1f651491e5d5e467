"""The plan that actuals are held against, read from the schedule kept beside a plan."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from abatis.model.plan import ChosenOption, Plan, write_plan
from abatis.programme.kept import Asked, KeptSchedule, keep_schedule
from abatis.programme.ledger.baseline import read_baseline
from abatis.programme.schedule import Schedule


def make_option(site: str, cost_eur: float) -> ChosenOption:
    return ChosenOption(site, "ditch", "Ditch", cost_eur)


@pytest.fixture
def study(tmp_path) -> Any:
    folder = tmp_path / "plans" / "base"
    folder.mkdir(parents=True)
    options = (make_option("a", 100.0), make_option("b", 200.0), make_option("c", 300.0))
    plan = Plan(
        name="base",
        title="Base",
        objective="sum",
        status="optimal",
        value_h=1.0,
        before_h=0.5,
        bound_h=1.0,
        gap=0.0,
        cost_eur=600.0,
        budget_eur=600.0,
        approaches=(),
        options=options,
        study_hash="",
        seed=1,
        seconds=0.0,
        version="0",
    )
    write_plan(plan, folder, {})
    schedule = Schedule(
        years=np.array([2026, 2027]),
        option_keys=("a/ditch", "b/ditch", "c/ditch"),
        lines=("x", "y"),
        start_year=np.array([2026, 2027, -1]),
        finish_year=np.array([2027, 2027, -1]),
        spend_eur=np.zeros((2, 2)),
        nominal_eur=np.array([[50.0, 254.0], [0.0, 0.0]]),
        held_h=np.zeros((0, 2)),
        value_h=np.zeros(2),
        bound_h=np.zeros(2),
        before_h=0.0,
        objective=0.0,
        bound=0.0,
        gap=0.0,
        gain_gap=0.0,
        exact=True,
        seconds=0.0,
    )
    keep_schedule(folder, KeptSchedule(Asked(None, 0.01, 1.0, 1), "mark", schedule))
    return SimpleNamespace(folder=tmp_path, home=("LT",), base_year=2025, indexation=0.02)


def test_sites_last_from_the_first_of_january_to_the_end_of_their_last_year(study):
    baseline = read_baseline(study, "base")
    assert (baseline.country, baseline.years, baseline.lines) == ("LT", (2026, 2027), ("x", "y"))
    assert baseline.spend_eur.tolist() == [[50.0, 254.0], [0.0, 0.0]]
    site = baseline.sites["a"]
    assert (date.fromordinal(site.start_day), date.fromordinal(site.finish_day)) == (
        date(2026, 1, 1),
        date(2027, 12, 31),
    )
    # One year of 2 % for a, two for b; c never starts.
    assert [baseline.sites[one].planned_eur for one in ("a", "b")] == [102.0, 208.08]
    assert set(baseline.sites) == {"a", "b"}


def test_a_plan_without_a_schedule_has_no_baseline(study):
    (study.folder / "plans" / "base" / "schedule.json").unlink()
    assert read_baseline(study, "base") is None
    assert read_baseline(study, "../../etc") is None
