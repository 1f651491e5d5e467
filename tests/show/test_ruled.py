"""Rules of access from the command line: solving, verifying, explaining, and what is refused."""

from __future__ import annotations

import fcntl
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from abatis.barrier.sites import site_study
from abatis.barrier.solve import solve_problem
from abatis.model import storage
from abatis.model.plan import read_plan
from abatis.model.study import hash_study, read_study
from abatis.people.access_ground import prepare_access
from abatis.people.access_rules import AccessJudge, AccessRule
from abatis.show import workflow
from abatis.show.cli import main
from abatis.show.workflow import load_study

HEAD = "rule,name,kind,state,limit_h,source,tag\n"
KEEP = "road,Every place keeps a road to safety,keep_safe,closed,,invented,G\n"


@pytest.fixture(scope="module", autouse=True)
def _no_report(solved_folder):
    """Maps and reports are tested elsewhere; they would take most of the time here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workflow, "show_plan", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def free(solved_folder) -> Path:
    """The template solved without rules of access; not to be changed."""
    return solved_folder


@pytest.fixture(scope="module")
def ruled(free, tmp_path_factory) -> Path:
    """The same study solved with the rule that every place keeps a road."""
    folder = Path(shutil.copytree(free, tmp_path_factory.mktemp("ruled") / "study"))
    (folder / "tables" / "access_rules.csv").write_text(HEAD + KEEP, "utf-8")
    assert main(["solve", str(folder)]) == 0
    return folder


@pytest.fixture
def copy(ruled, tmp_path) -> Path:
    return Path(shutil.copytree(ruled, tmp_path / "study"))


def count_broken(folder: Path, plan) -> int:
    """Count the places that a plan leaves without a road to safety."""
    study, mesh = load_study(folder)
    siting, rule = site_study(study, mesh), AccessRule("road", "Road", "safe", math.inf)
    judge = AccessJudge(study, mesh, siting, [rule], prepare_access(study, mesh))
    return len(judge.find_broken(rule, [judge.row_of[one.site, one.option] for one in plan.options]))


def change_rows(folder: Path, change) -> None:
    path = folder / "plans" / "base" / "access_rows.json"
    values = json.loads(path.read_text("utf-8"))
    change(values)
    path.write_text(json.dumps(values), "utf-8")


def refuse(folder: Path, capsys) -> str:
    """What verify says against a plan."""
    capsys.readouterr()
    assert main(["verify", str(folder / "plans" / "base")]) == 1
    return " ".join(capsys.readouterr().err.split())


def test_a_plan_under_a_rule_keeps_the_road_that_the_free_plan_closes(free, ruled, capsys):
    before, after = (read_plan(folder / "plans" / "base") for folder in (free, ruled))
    assert count_broken(free, before) == 1
    assert count_broken(ruled, after) == 0
    assert after.options
    assert after.value_h < before.value_h
    assert after.bound_h >= after.value_h
    capsys.readouterr()
    assert main(["verify", str(ruled / "plans" / "base"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verify"][0]["holds"] is True


def test_without_the_table_nothing_is_added(free, ruled):
    assert not (free / "plans" / "base" / "access_rows.json").exists()
    assert main(["verify", str(free / "plans" / "base")]) == 0
    assert hash_study(read_study(free)) != hash_study(read_study(ruled))


def test_a_rule_given_later_makes_the_plan_stale(free, tmp_path, capsys):
    folder = Path(shutil.copytree(free, tmp_path / "study"))
    (folder / "tables" / "access_rules.csv").write_text(HEAD + KEEP, "utf-8")
    said = refuse(folder, capsys)
    assert "tables have changed" in said
    assert "access_rows.json is missing" in said


def test_missing_rows_are_refused(copy, capsys):
    (copy / "plans" / "base" / "access_rows.json").unlink()
    assert "access_rows.json is missing" in refuse(copy, capsys)
    assert main(["why", str(copy / "plans" / "base")]) == 1


def test_a_row_left_out_does_not_fit_the_certificate(copy, capsys):
    change_rows(copy, lambda values: values["rows"].pop())
    assert "rows of access_rows.json may have been changed" in refuse(copy, capsys)


def test_a_row_that_follows_from_no_rule_is_refused(copy, capsys):
    study, mesh = load_study(copy)
    named = {site for row in json.loads((copy / "plans/base/access_rows.json").read_text("utf-8"))["rows"]
             for site in row["sites"]}  # fmt: skip
    other = next(one for one in site_study(study, mesh).options if one.site not in named)

    def bar(values):
        row = {**values["rows"][0], "sites": [other.site], "options": [[other.option]]}
        values["rows"].append(row)

    change_rows(copy, bar)
    assert "does not follow from its rule" in refuse(copy, capsys)


def test_a_row_of_an_unknown_site_is_refused(copy, capsys):
    change_rows(copy, lambda values: values["rows"][0].update(sites=["nowhere"]))
    assert "does not follow from its rule" in refuse(copy, capsys)


def test_softer_rules_beside_the_plan_are_refused(copy, capsys):
    change_rows(copy, lambda values: values["rules"][0].update(state="peace"))
    assert "written for other rules" in refuse(copy, capsys)


def test_a_damaged_file_is_named(copy, capsys):
    (copy / "plans" / "base" / "access_rows.json").write_text("{", "utf-8")
    assert "is damaged" in refuse(copy, capsys)


def test_every_plan_of_the_curve_keeps_the_rules(ruled, capsys):
    capsys.readouterr()
    assert main(["curve", str(ruled), "--budgets", "0,3e6,9e6", "--time-limit", "20", "--json"]) == 0
    points = json.loads(capsys.readouterr().out)["curve"]
    plan = read_plan(ruled / "plans" / "base")
    at_budget = next(one for one in points if one["budget_eur"] == plan.budget_eur)
    assert at_budget["value_h"] <= plan.bound_h + 1e-9
    assert plan.value_h <= at_budget["bound_h"] + 1e-9
    assert np.isfinite([one["value_h"] for one in points]).all()


def test_why_looks_for_plans_under_the_rows(ruled, capsys):
    capsys.readouterr()
    words = ["why", str(ruled / "plans" / "base"), "--alternatives", "1", "--time-limit", "6"]
    assert main(words) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "replacements keep the rows found for this plan" in said
    assert "Left out because they break rules of access: " in said


def test_rules_that_cannot_be_kept_are_named(copy, capsys):
    rich = ["solve", str(copy), "--budget", "60e6", "--name"]
    assert main([*rich, "rich"]) == 0
    hours = read_plan(copy / "plans" / "rich").bound_h + 0.01
    approach = read_study(copy).tables["approaches"]["approach"].iloc[0]
    with (copy / "tables" / "rules.csv").open("a", encoding="utf-8") as file:
        file.write(f"late,Late arrival,least_hours,{approach},{hours},invented,G\n")
    capsys.readouterr()
    assert main([*rich, "late"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "rules of access were to be kept too: Every place keeps a road to safety" in said
    assert "rule: Every place keeps a road to safety: Bordertown" in said
    assert "rule: Late arrival" in said
    assert not (copy / "plans" / "late").exists()
    # Without the rule of access there is such a plan.
    (copy / "tables" / "access_rules.csv").unlink()
    assert main([*rich, "late"]) == 0
    assert not (copy / "plans" / "late" / "access_rows.json").exists()


def test_an_interrupted_search_under_rules_keeps_no_plan(copy, monkeypatch, capsys):
    found = []

    def stop(*arguments, **words):
        found.append(solve_problem(*arguments, **words))
        return replace(found[-1], status="interrupted")

    monkeypatch.setattr(workflow, "solve_problem", stop)
    assert main(["solve", str(copy), "--name", "other"]) == 130
    assert len(found) == 1
    assert [one.name for one in (copy / "plans").iterdir() if one.is_dir()] == ["base"]


def test_a_new_solve_leaves_nothing_of_the_earlier_plan(copy):
    place = copy / "plans" / "base"
    for name in ("programme.html", "stock.json", "saved.json", "notes.txt"):
        (place / name).write_text("{}", "utf-8")
    assert (place / "access_rows.json").is_file()
    (copy / "tables" / "access_rules.csv").unlink()
    assert main(["solve", str(copy)]) == 0
    kept = {path.name for path in place.iterdir()}
    assert kept == {"plan.json", "options.csv", "certificate.json", "notes.txt"}
    assert main(["verify", str(place)]) == 0


def test_a_solve_takes_its_turn_for_the_swap_alone(copy, monkeypatch):
    place, held = copy / "plans" / "base", []

    def try_turn():
        with (copy / "plans" / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    swap = storage._swap_folders

    def look(new, folder, outdated):
        if folder == place:
            held.append(try_turn())
        swap(new, folder, outdated)

    monkeypatch.setattr(storage, "_swap_folders", look)
    monkeypatch.setattr(workflow, "show_plan", lambda *_: held.append(try_turn()))
    assert main(["solve", str(copy)]) == 0
    assert held == [False, True]


def test_a_report_is_not_put_beside_a_plan_that_came_meanwhile(free, tmp_path, monkeypatch, capsys):
    folder = Path(shutil.copytree(free, tmp_path / "study"))
    place = folder / "plans" / "base"
    before = (place / "report.html").read_bytes()

    def draw(part, *_rest):
        for name in ("plan.gpkg", "report.html"):
            (part / name).write_text("new", "utf-8")
        if change:
            (place / "plan.json").write_text((place / "plan.json").read_text("utf-8") + " ", "utf-8")

    monkeypatch.setattr(workflow, "show_plan", draw)
    change = True
    assert main(["report", str(place)]) == 1
    assert "was replaced or deleted while its results" in " ".join(capsys.readouterr().err.split())
    assert (place / "report.html").read_bytes() == before
    assert not list(folder.glob("plans/.part-*"))
    change = False
    assert main(["report", str(place)]) == 0
    assert (place / "report.html").read_text("utf-8") == "new"
