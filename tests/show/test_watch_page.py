"""The page of the watch on a small study with hills, notices and a plan: every figure computed again."""

from __future__ import annotations

import json
import math
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import rasterio
from rasterio.transform import from_origin
from tests.show.test_report import Page
from tests.show.watch_checks import (
    count_seen,
    detect_air,
    list_alive,
    pass_air,
    price_posts,
    share_cells,
    view_whole,
    warn_again,
)

from abatis.barrier.planning import make_plan
from abatis.barrier.proof import make_certificate
from abatis.barrier.sites import site_study
from abatis.barrier.solve import solve_problem
from abatis.model.plan import read_plan, write_plan
from abatis.model.study import read_study
from abatis.show.cli import main
from abatis.show.low_air import find_forest_sites, tabulate_clearing
from abatis.show.report.watch import (
    build_watch_page,
    list_border_strips,
    tabulate_heights,
    tabulate_kinds,
    tabulate_rests,
    tabulate_sensors,
    tabulate_tags,
)
from abatis.show.tables import Table, format_value
from abatis.show.watch import WatchSettings, assign_fronts
from abatis.show.watch_air_maps import measure_seen_shares
from abatis.show.watch_answer import answer_watch, list_planned, tabulate_all
from abatis.show.watch_export import write_watch
from abatis.show.workflow import load_study
from abatis.watch.clearing import find_kept_cells

POSTS = "post,name,lon,lat,sensor,built_year,renewal_year,renewal_paid,source,tag\n"
NOTICES = """\
notice,name,area,starts,ends,kind,author,reason,source,tag
n1,Exercise one,"POLYGON ((24.0 54.9, 24.3 54.9, 24.3 55.1, 24.0 55.1, 24.0 54.9))",2026-05-01,2026-05-03,\
exercise,army staff,yearly exercise,test,G
n2,Trial two,"POLYGON ((24.2 54.9, 24.5 54.9, 24.5 55.0, 24.2 55.0, 24.2 54.9))",2026-05-02,2026-05-04,trial,\
border guard,trial of a system,test,G
"""
NATURE = """\
{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, "geometry":
{"type": "Polygon",
"coordinates": [[[23.9, 54.7], [24.6, 54.7], [24.6, 55.3], [23.9, 55.3], [23.9, 54.7]]]}}]}
"""
CUT_TABLES = ("clearing_cells", "joint_warning")
PAGE_TABLES = {
    "table-kept": "closing", "table-posts": "posts", "table-watch": "watch", "table-approaches": "approaches",
    "table-border": "border", "table-patient": "warning", "table-fast": "warning", "table-joint": "joint",
    "table-splits": "splits", "table-joint-warning": "joint_warning", "table-low-air": "low_air",
    "table-corridors": "corridors", "table-closing": "closing", "table-clearing": "clearing",
    "table-clearing-cells": "clearing_cells", "table-notices": "notices", "table-touched": "touched",
    "table-countries": "countries", "table-ways": "ways", "table-overlaps": "overlaps",
}  # fmt: skip


def quiet(_stage: str, _share: float) -> None:
    """No progress is shown."""


def add_hills(folder: Path) -> None:
    """Rolling heights and protected nature as sources of the study."""
    y, x = np.mgrid[:400, :600]
    heights = 120 + 25 * np.sin(x / 23.0) * np.cos(y / 31.0) + 15 * np.sin(x / 7.0 + y / 11.0)
    shape = {"driver": "GTiff", "height": 400, "width": 600, "count": 1, "dtype": "float32"}
    transform = from_origin(23.0, 55.8, 0.005, 0.004)
    with rasterio.open(folder / "sources" / "hills.tif", "w", crs=4326, transform=transform, **shape) as file:
        file.write(heights.astype(np.float32), 1)
    (folder / "sources" / "nature.geojson").write_text(NATURE, "utf-8")
    with (folder / "sources" / "sources.csv").open("a", encoding="utf-8") as file:
        file.write("elevation,hills.tif,,,,,,test,,,invented,G\n")
        file.write("protected,nature.geojson,,,,,,test,,,invented,G\n")
        file.write("landcover_areas,forest.geojson,,cover,,,,test,,,invented,G\n")
    # The forest of the template has no land cover and lies far from the posts; a wide net can close the air.
    forest = (folder / "sources" / "forest.geojson").read_text("utf-8")
    forest = forest.replace('"properties": {}', '"properties": {"cover": "dense_forest"}')
    for old, new in (("24.2,", "24.045,"), ("24.35,", "24.2,"), ("54.85", "54.75"), ("54.97", "55.25")):
        forest = forest.replace(old, new)
    (folder / "sources" / "forest.geojson").write_text(forest, "utf-8")
    sensors = (folder / "tables" / "sensors.csv").read_text("utf-8")
    (folder / "tables" / "sensors.csv").write_text(sensors.replace(",,,3500,0.7,", ",,,20000,0.7,"), "utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("watch_page") / "study"
    assert main(["new", str(place)]) == 0
    add_hills(place)
    (place / "tables" / "posts.csv").write_text(
        POSTS
        + "old,Old,24.03,55.0,radar,2015,2030,false,test,G\n"
        + "young,Young,24.03,54.9,camera,2024,2040,,test,G\n"
        + "ear,Ear,24.05,55.05,acoustic,2024,2040,,test,G\n"
        + "deaf,Deaf,24.05,55.08,acoustic,2015,2030,,test,G\n",
        "utf-8",
    )
    (place / "tables" / "notices.csv").write_text(NOTICES, "utf-8")
    assert main(["check", str(place)]) == 0
    assert main(["build", str(place)]) == 0
    make_quick_plan(place)
    return place


def make_quick_plan(place: Path) -> None:
    """The plan `base` as `abatis solve` makes it, without maps and report."""
    study, mesh = load_study(place)
    siting = site_study(study, mesh)
    solution = solve_problem(siting.problem, 3e6, 0.01, 5.0, 1)
    plan = make_plan(study, siting, solution, "base", 1)
    folder = place / "plans" / "base"
    folder.mkdir(parents=True, exist_ok=True)
    write_plan(plan, folder, make_certificate(solution))


@pytest.fixture(scope="module")
def answer(folder: Path):
    study, mesh = load_study(folder)
    return answer_watch(study, mesh, WatchSettings("vehicle", 6e6, 1, "base"), 5e6, quiet)


@pytest.fixture(scope="module")
def page(answer, folder: Path) -> Page:
    written = write_watch(answer, tabulate_all(answer), True, quiet)
    found = Page()
    found.feed((written / "report.html").read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def recount(answer) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    return {state: count_seen(answer, rows) for state, rows in list_alive(answer).items()}


def test_numbers_of_the_first_screen_are_computed_again(answer, page, recount):
    results, said = answer.results, {key: value for key, (value, _) in page.answers.items()}
    options, plan = results.options, results.plan
    length = results.pieces.length_km
    alive = list_alive(answer)
    bought = np.setdiff1d(alive["plan"], alive["left"])
    renewed = [row for row in bought if options.post[row] >= 0]
    wanted = {
        "new": len(bought) - len(renewed),
        "renewed": len(renewed),
        "lost": len(np.setdiff1d(alive["today"], alive["plan"])),
        "cost": price_posts(answer),
        "budget": 6e6,
        "border": length.sum(),
        "border_today": length[recount["today"][1] > 0].sum(),
        "border_plan": length[recount["plan"][1] > 0].sum(),
        "approaches": len(read_study(results.study.folder).tables["approaches"]),
        "seen_most": plan.bound / (results.cell_weight.sum() + results.border_weight.sum()),
    }
    for key in ("today", "left", "plan"):
        cells, border, _ = recount[key]
        wanted[f"seen_{key}"] = results.cell_weight[cells > 0].sum() + results.border_weight[border > 0].sum()
    assert wanted["seen_plan"] <= wanted["seen_most"] + 1e-9
    rows = warn_again(answer)
    weight = results.study.tables["approaches"]["weight"].to_numpy(float)
    wanted["blind"] = sum(row["warning_plan_h"] == 0 for row in rows)
    for word in ("today", "plan"):
        hours = np.array([row[f"fast_{word}_h"] for row in rows])
        wanted[f"fast_{word}"] = float(weight @ hours / weight.sum())
    least = {}
    pairs = results.study.tables["approaches"][["front", "objective"]].drop_duplicates()
    for height_m in (30.0, 50.0, 100.0, 300.0):
        detection = detect_air(answer, list_planned(results), height_m)
        for front, objective in pairs.itertuples(index=False):
            least[height_m] = min(
                pass_air(answer, detection, front, objective), least.get(height_m, math.inf)
            )
    wanted["air_least"] = min(least.values())
    wanted["air_height"] = answer.picture.closed.height_m
    closing, candidates = answer.picture.closing, answer.candidates
    assert closing.kept
    wanted["closing_kept"] = len(closing.kept)
    wanted["closing_cost"] = sum(candidates.cost_eur[one] for one in closing.kept)
    added = [*list_planned(results), *(candidates.outlooks[one] for one in closing.kept)]
    detection = detect_air(answer, added, wanted["air_height"])
    wanted["closing_chance"] = pass_air(
        answer, detection, answer.picture.closed.front, answer.picture.closed.objective
    )
    marks = answer.conflict.marks
    wanted["clearing"] = marks.sum() * results.ground.grid.pixel_m**2 / 1e4
    assert wanted["clearing"] > 0
    assert set(said) == set(wanted), "a number of the first screen goes unchecked"
    for key, value in wanted.items():
        assert said[key] == pytest.approx(value, rel=1e-6, abs=1e-6), key
    rest = re.sub(r"2035", "", page.first_screen)
    told = " ".join(str(note) for note in tabulate_all(answer)["watch"].note.split("; "))
    left = [one for one in re.findall(r"\d[\d.,]*", rest) if one not in re.findall(r"\d[\d.,]*", told)]
    assert not left, f"numbers without a key: {left}"


def test_every_table_is_that_of_the_functions(answer, page):
    tables = tabulate_all(answer)
    for key, name in PAGE_TABLES.items():
        shown = [row for row in page.tables[key][1:] if row != ["none"]]
        table = tables[name]
        if key == "table-kept":
            table = Table("", table.columns, tuple(row for row in table.rows if row["kept"]))
        if name == "clearing":
            beside = [row["what"].startswith("site ") for row in table.rows]
            assert beside[0] is False
            rows = tuple(row for row, held in zip(table.rows, beside, strict=True) if not held)
            table = Table("", table.columns, rows)
        assert len(shown) == (min(len(table.rows), 15) if name in CUT_TABLES else len(table.rows)), key
        if key == "table-watch":
            continue
        for cells, row in zip(shown, table.rows, strict=False):
            columns = dict(zip(page.tables[key][0], cells, strict=True))
            wanted = {}
            for column in table.columns:
                if column.caption in columns:
                    wanted.setdefault(column.caption, set()).add(format_value(row[column.key], column.format))
            for caption, values in wanted.items():
                assert columns[caption] in values, (key, caption)
    made = {
        "table-kinds": tabulate_kinds(tables["posts"]),
        "table-heights": tabulate_heights(answer), "table-sensors": tabulate_sensors(answer),
        "table-rests": tabulate_rests(answer), "table-tags": tabulate_tags(answer),
    }  # fmt: skip
    for key, table in made.items():
        wanted = [[format_value(row[one.key], one.format) for one in table.columns] for row in table.rows]
        assert page.tables[key][1:] == wanted, key
    assert set(page.tables) == set(PAGE_TABLES) | set(made), "a table goes unchecked"
    answers = {row["what"]: row for row in tables["watch"].rows}
    factor = {"share": 100.0}
    for what, value, _ in page.tables["table-watch"][1:]:
        row = answers[what]
        exact = factor.get(row["unit"], 1.0) * row["value"]
        assert float(value.replace(",", "")) == pytest.approx(exact, abs=0.51 if abs(exact) > 1000 else 0.051)


def test_rows_of_the_tables_are_computed_again(answer, recount):
    results, tables = answer.results, tabulate_all(answer)
    length = results.pieces.length_km
    owner = np.array(assign_fronts(results.study, results.mesh, results.pieces))
    for row in tables["border"].rows:
        own = owner == row["front"]
        assert row["length_km"] == pytest.approx(length[own].sum(), abs=1e-3)
        for state in ("today", "left", "plan"):
            seen_km = length[own & (recount[state][1] > 0)].sum()
            assert row[f"{state}_km"] == pytest.approx(seen_km, abs=1e-3)
        assert row["twice_km"] == pytest.approx(length[own & (recount["plan"][1] > 1)].sum(), abs=1e-3)
    demand, border = results.demand, results.catalogue.terms["border_share"].value
    for index, row in enumerate(tables["approaches"].rows):
        for state in ("today", "left", "plan"):
            cells, pieces, _ = recount[state]
            cell = demand.cell[index][cells > 0].sum() / demand.cell[index].sum()
            line = demand.border[index][pieces > 0].sum() / demand.border[index].sum()
            assert row[f"{state}_share"] == pytest.approx((1 - border) * cell + border * line, abs=1e-5)
    for shown, again in zip(tables["warning"].rows, warn_again(answer), strict=True):
        for key, hours in again.items():
            assert shown[key] == pytest.approx(hours, abs=1e-6), key
        assert shown["total_h"] == pytest.approx(again["warning_plan_h"] - again["warning_today_h"], abs=1e-6)
    for row in tables["posts"].rows:
        assert row["area_km2"] >= 0
    options = [one for one in range(results.options.count) if results.plan.chosen[one]]
    seen_km2 = {
        one: results.mesh.area_km2[
            share_cells(answer, view_whole(answer, results.options.outlooks[one], "vehicle")) >= 0.5
        ].sum()
        for one in options
    }
    kept = [row for row in tables["posts"].rows if row["state"] != "lost"]
    assert sorted(row["area_km2"] for row in kept) == pytest.approx(sorted(seen_km2.values()), abs=1e-3)


def test_low_air_rows_and_strips_are_computed_again(answer, recount):
    results, mesh = answer.results, answer.results.mesh
    home = mesh.mask_countries(results.study.home)
    area = mesh.area_km2.astype(float)
    tables = tabulate_all(answer)
    for row in tables["low_air"].rows:
        detection = detect_air(answer, list_planned(results), row["height_m"])
        assert row["watched_share"] == pytest.approx(area[home & (detection >= 0.5)].sum() / area[home].sum())
        assert row["open_share"] == pytest.approx(area[home & (detection < 0.1)].sum() / area[home].sum())
        assert row["mean_detection"] == pytest.approx((area * detection)[home].sum() / area[home].sum())
        strip = home & (mesh.border_km <= 5)
        near = area[strip & (detection >= 0.5)].sum() / area[strip].sum()
        assert row["border_share"] == pytest.approx(near)
        for way in tables["corridors"].rows:
            if way["height_m"] == row["height_m"]:
                again = pass_air(answer, detection, way["front"], way["objective"])
                assert way["chance"] == pytest.approx(again, abs=1e-6)
    strips = list_border_strips(answer)
    assert sum(len(one.length_km) for one in strips) == results.pieces.count
    for index, state in enumerate(("today", "left", "plan")):
        found = np.concatenate([one.counts[index] for one in strips])
        assert sorted(found.tolist()) == sorted(recount[state][1].tolist())
    joined = np.zeros(results.ground.grid.shape, bool)
    for one in list_planned(results):
        if "vehicle" in one.sensor.range_m:
            joined |= view_whole(answer, one, "vehicle")
    assert measure_seen_shares(answer) == pytest.approx(share_cells(answer, joined))


def test_posts_for_other_targets_count_in_the_air(answer):
    """The acoustic post finds no vehicle, so it is no option, but it stands; the other is past its life."""
    planned = list_planned(answer.results)
    assert [one.sensor.key for one in planned].count("acoustic") == 1
    assert len(planned) == int(answer.results.plan.chosen.sum()) + 1
    assert "acoustic" not in {one.key for one in answer.results.options.sensor}


def test_conflict_table_adds_up(answer):
    results, mesh, conflict = answer.results, answer.results.mesh, answer.conflict
    tables = tabulate_clearing(mesh, conflict)
    hectare = conflict.marks * (results.ground.grid.pixel_m**2 / 1e4)
    kept = find_kept_cells(mesh, {})["protected"]
    assert hectare[~kept[np.maximum(results.ground.cell, 0)]].sum() == 0
    by = {(row["by"], row["what"]): row["clearing_ha"] for row in tables["clearing"].rows}
    assert by["reason", "protected"] == pytest.approx(hectare.sum())
    assert sum(area for (word, _), area in by.items() if word == "country") == pytest.approx(hectare.sum())
    cells = tables["clearing_cells"].rows
    assert sum(row["clearing_ha"] for row in cells) == pytest.approx(hectare.sum())
    assert all(row["reasons"] == ("protected",) for row in cells)
    assert f"{conflict.demand_km2:,.0f} km2 looked for" in tables["clearing"].note
    assert conflict.seen_with_km2 < conflict.seen_without_km2 <= conflict.demand_km2


def test_forest_sites_are_those_whose_measures_are_forest():
    measures = pd.DataFrame({"measure": ["ditch", "wood"], "law_kind": ["", "forest"]})
    options = pd.DataFrame(
        {
            "option": ["a", "b"],
            "open_measure": ["ditch", "ditch"],
            "road_measure": ["ditch", "wood"],
            "bridge_measure": ["", ""],
        }
    )
    study = SimpleNamespace(tables={"measures": measures, "options": options})
    sites = [SimpleNamespace(key=key, edges=np.array([number])) for number, key in enumerate("xyz")]
    plan = SimpleNamespace(
        options=[SimpleNamespace(site="x", option="a"), SimpleNamespace(site="z", option="b")]
    )
    found = find_forest_sites(study, SimpleNamespace(sites=sites), plan)
    assert {key: edges.tolist() for key, edges in found.items()} == {"z": [2]}


def test_joint_choice_keeps_its_budget_and_its_bound(answer):
    joint = answer.joint
    choice = joint.choice
    assert choice.posts_eur + choice.sites_eur <= 5e6 + 0.01
    assert choice.posts_eur == pytest.approx(answer.results.options.cost_eur[joint.posts].sum())
    assert choice.sites_eur == pytest.approx(joint.problem.option_cost_eur[list(choice.options)].sum())
    assert choice.value_h <= choice.bound_h + 1e-9
    before = joint.problem.approach_weight @ choice.before_h
    assert choice.value_h >= before
    rows = {row["what"]: row["value"] for row in tabulate_all(answer)["joint"].rows}
    assert rows["value with sites and posts"] == pytest.approx(choice.value_h)
    # A plan that ends the search sees to it that no range of money can beat it.
    assert max(one.bound_h for one in choice.tries) >= choice.value_h - 1e-9


def test_page_stands_alone_and_says_the_same_twice(answer, page, folder):
    html = (folder / "watch" / "report.html").read_text("utf-8")
    assert not [one for one in page.addresses if not one.startswith(("#", "data:"))]
    assert len(page.images) >= 4 and all(image["alt"] for image in page.images)
    assert len(page.ids) == len(set(page.ids))
    assert build_watch_page(answer, tabulate_all(answer), ()) == build_watch_page(
        answer, tabulate_all(answer), ()
    )
    kept = json.loads((folder / "watch" / "watch.json").read_text("utf-8"))["tables"]
    assert set(kept) == set(tabulate_all(answer))
    assert "plan base was made before the watch result" not in html


def test_plans_made_before_the_watch_result_are_refused(page, folder, tmp_path, capsys):
    """verify, report, risk, programme and why say so; after another solve all is well."""
    place = Path(shutil.copytree(folder, tmp_path / "study"))
    plan = place / "plans" / "base"
    capsys.readouterr()
    for words in (
        ("verify", str(plan)),
        ("report", str(plan)),
        ("why", str(plan)),
        ("risk", str(place), "--draws", "10"),
        ("programme", str(place)),
    ):
        assert main(list(words)) == 1, words
        told = " ".join(capsys.readouterr().err.split())
        assert "was made before the watch result" in told, words
        assert "solve" in told, words
    make_quick_plan(place)
    assert main(["verify", str(plan)]) == 0
    assert read_plan(plan).watch_hash
    shutil.rmtree(place / "watch")
    capsys.readouterr()
    assert main(["verify", str(plan)]) == 1
    assert "rests on a watch result that is gone" in " ".join(capsys.readouterr().err.split())


def test_check_reads_the_tables_of_the_watch(folder, tmp_path, capsys):
    place = Path(shutil.copytree(folder, tmp_path / "study"))
    tables = place / "tables"
    (tables / "posts.csv").write_text(
        POSTS + "a,A,24.03,55.0,rader,2015,2030,,t,G\na,B,24.03,955.0,radar,2015,2010,,t,G\n", "utf-8"
    )
    (tables / "notices.csv").write_text(NOTICES.replace("reason,source", "reason,power_w,source"), "utf-8")
    (tables / "watch_terms.csv").write_text(
        "term,value,unit,meaning,source,tag\nseen_sare,0.5,share,x,t,G\n", "utf-8"
    )
    capsys.readouterr()
    assert main(["check", str(place)]) == 1
    told = " ".join(capsys.readouterr().err.split())
    for words in (
        "did you mean 'radar'?",
        "'a' stands in row 2 already",
        "955",
        "did you mean 'seen_share'?",
        "a notice says only where, when, by whom and why",
    ):
        assert words in told, words
