"""`abatis watch` from end to end: the template, the example, and the Suwalki region on real heights."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyproj
import pytest
import rasterio
import shapely

from abatis.examples.lithuania import write_example
from abatis.model.study import read_study
from abatis.model.watched import read_watched
from abatis.show.cli import main
from abatis.show.watch import WatchSettings, compute_watch, find_watch_budget
from abatis.show.watch_tables import list_states, tabulate_watch
from abatis.show.workflow import load_study
from abatis.watch.catalogue import read_catalogue
from abatis.watch.ground_raster import move_shapes, read_watch_sources
from abatis.watch.seen import make_view
from abatis.watch.sight import VISIBLE, Post, build_relief, compute_viewshed

POSTS = "post,name,lon,lat,sensor,built_year,renewal_year,renewal_paid,source,tag\n"


def quiet(_stage: str, _share: float) -> None:
    """No progress is shown."""


def run_json(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def watched(solved_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template with a budget line and two standing posts, one of which ages."""
    folder = Path(shutil.copytree(solved_folder, tmp_path_factory.mktemp("watch") / "study"))
    (folder / "tables" / "posts.csv").write_text(
        POSTS
        + "old,Old,24.03,55.0,radar,2015,2030,false,test,G\n"
        + "young,Young,24.03,54.9,camera,2024,2040,,test,G\n",
        "utf-8",
    )
    return folder


def test_answer_and_files_agree(watched: Path, capsys):
    tables = run_json(capsys, "watch", str(watched), "--budget", "6000000", "--plan", "base")
    assert set(tables) == {
        "watch", "posts", "border", "approaches", "warning", "low_air", "corridors", "closing",
    }  # fmt: skip
    answer = {row["what"]: row["value"] for row in tables["watch"]}
    folder = watched / "watch"
    with (folder / "posts.csv").open(encoding="utf-8") as file:
        posts = list(csv.DictReader(file))
    assert sum(float(row["cost_eur"]) for row in posts) == answer["cost"] <= answer["budget"] == 6e6
    states = [row["state"] for row in posts]
    assert states.count("new") == answer["new posts"]
    assert {row["post"]: row["state"] for row in posts if row["place"] == "standing"}["young"] == "stands"
    with (folder / "border.csv").open(encoding="utf-8") as file:
        border = list(csv.DictReader(file))
    for column, words in (("seen_today_by", "today"), ("seen_by", "in 2035 with the plan")):
        seen_km = sum(float(row["length_km"]) for row in border if int(row[column]) > 0)
        assert seen_km == pytest.approx(answer[f"border seen {words}"], abs=0.01)
    # The common border of the template is the meridian 24 E from 54.8 to 55.2 N.
    assert answer["border with hostile ground"] == pytest.approx(44.5, abs=0.2)
    assert {row["front"] for row in border} == {"west"}
    study, mesh = load_study(watched)
    kept = read_watched(watched, mesh)
    results = compute_watch(study, mesh, WatchSettings("vehicle", 6e6, 1, "base"), quiet)
    assert np.array_equal(kept.seen_by, results.plan.planned.seen_by)
    weight = results.cell_weight[kept.seen_by > 0].sum()
    weight += sum(float(row["weight"]) for row in border if int(row["seen_by"]) > 0)
    assert weight == pytest.approx(answer["weight seen in 2035 with the plan"], abs=1e-5)
    assert answer["weight seen in 2035 with the plan"] <= answer["no choice sees more than"]
    assert answer["weight seen in 2035 when nothing is done"] <= answer["weight seen today"]
    assert results.cell_weight.sum() + results.border_weight.sum() == pytest.approx(1.0)
    with sqlite3.connect(folder / "watch.gpkg") as base:
        assert base.execute("select count(*) from border_km").fetchone()[0] == len(border)
        assert base.execute("select count(*) from posts").fetchone()[0] == len(posts)
        styled = {row[0] for row in base.execute("select f_table_name from layer_styles")}
        assert styled == {"seen_cells", "border_km", "posts", "air_ways"}
        ways = base.execute("select count(*) from air_ways").fetchone()[0]
        assert ways == len(tables["corridors"])
    assert (folder / "coverage.png").read_bytes()[:4] == b"\x89PNG"
    assert [row["approach"] for row in tables["warning"]] == ["west_capital"]


def test_same_study_gives_the_same_bytes(watched: Path, capsys):
    names = ("watch.json", "posts.csv", "border.csv", "seen.parquet", "watch.gpkg")
    first = run_json(capsys, "watch", str(watched), "--budget", "6000000")
    before = {name: (watched / "watch" / name).read_bytes() for name in names}
    (watched / "watch" / "report.html").write_text("an earlier page", "utf-8")
    assert run_json(capsys, "watch", str(watched), "--budget", "6000000") == first
    assert {name: (watched / "watch" / name).read_bytes() for name in names} == before
    assert not (watched / "watch" / "report.html").exists()


def test_more_money_and_back_up(watched: Path):
    study, mesh = load_study(watched)
    poor, rich, twice = (
        compute_watch(study, mesh, WatchSettings("vehicle", budget, times), quiet).plan
        for budget, times in ((0.0, 1), (2e7, 1), (2e7, 2))
    )
    assert poor.cost_eur == 0.0
    assert poor.planned.share == poor.left_alone.share < rich.planned.share
    assert twice.planned.share <= rich.bound / rich.whole_weight
    assert (twice.planned.border_by > 1).sum() >= (rich.planned.border_by > 1).sum()


def test_low_air_uses_the_sensors_that_find_it(watched: Path):
    study, mesh = load_study(watched)
    results = compute_watch(study, mesh, WatchSettings("low_air", 1e6, 1), quiet)
    assert {one.kind for one in results.options.sensor} == {"camera_tower", "acoustic"}
    taken = {
        results.options.sensor[one].key
        for one in np.flatnonzero(results.plan.chosen & ~results.options.standing)
    }
    assert taken == {"acoustic"}
    # Without elevation all sight sensors look by range alone, and that is said.
    assert results.seen.by_range == sum(one.needs_sight for one in results.options.sensor) > 0
    assert "look by range alone" in tabulate_watch(results)["watch"].note


def test_faults_are_named_together(watched: Path, tmp_path: Path, capsys):
    folder = Path(shutil.copytree(watched, tmp_path / "study"))
    text = (folder / "tables" / "posts.csv").read_text("utf-8").replace(",radar,", ",rader,")
    (folder / "tables" / "posts.csv").write_text(text, "utf-8")
    assert main(["watch", str(folder), "--target", "vehicel"]) == 1
    told = " ".join(capsys.readouterr().err.split())
    for words in (
        "'vehicel' is no target",
        "did you mean 'vehicle'?",
        "has no line 'surveillance'",
        "did you mean 'radar'?",
    ):
        assert words in told, words
    (folder / "tables" / "posts.csv").write_text(POSTS + "far,Far,10.0,50.0,camera,2024,,,test,G\n", "utf-8")
    assert main(["watch", str(folder), "--budget", "1"]) == 1
    assert "post 'far' lies outside the ground of the study" in " ".join(capsys.readouterr().err.split())
    assert main(["watch", str(folder), "--budget", "-1"]) == 1


def test_packaged_example_has_sensors_posts_and_money(tmp_path: Path):
    study = read_study(write_example(tmp_path / "lt"))
    catalogue = read_catalogue(study)
    posts = catalogue.posts.items
    # Public text: 25 systems to renew by 2030, 19 of them not scheduled; their places are not public.
    assert len(posts) == 25
    assert sum(one.ages_by(2030) for one in posts) == 19
    assert all(one.tag == "G" and "schematic" in one.source and one.renewal_year <= 2030 for one in posts)
    assert {one.kind for one in catalogue.sensors.items} == {
        "camera_tower", "ground_radar", "acoustic", "rf_detection", "low_air_radar",
    }  # fmt: skip
    assert find_watch_budget(study) == 85_000_000


@pytest.mark.slow
def test_packaged_example_from_end_to_end(tmp_path: Path, capsys):
    folder = write_example(tmp_path / "lt")
    settings = (folder / "study.toml").read_text("utf-8").replace("pixel_m = 100", "pixel_m = 250")
    (folder / "study.toml").write_text(settings.replace("resolution = 8", "resolution = 7"), "utf-8")
    assert main(["build", str(folder)]) == 0
    answer = {row["what"]: row["value"] for row in run_json(capsys, "watch", str(folder))["watch"]}
    # 679 km with Belarus and 297 km with Russia in public figures; the drawn border lacks part of the spit.
    assert answer["border with hostile ground"] == pytest.approx(950, rel=0.03)
    assert answer["posts that stand to the end"] == 6
    assert answer["posts that are renewed"] + answer["posts that are lost"] == 19
    assert answer["weight seen in 2035 when nothing is done"] < answer["weight seen today"]
    assert answer["weight seen today"] < answer["weight seen in 2035 with the plan"]
    assert answer["gap"] <= 0.011


@pytest.mark.slow
def test_suwalki_on_real_heights(shared_data: Path, repository: Path, tmp_path: Path):
    """Heights of posts are those of the SRTM file, and what they see is what a plain viewshed sees."""
    folder = tmp_path / "suwalki"
    asked = [sys.executable, "recipes/suwalki/prepare.py", str(shared_data), str(folder)]
    subprocess.run([*asked, "--resolution", "7", "--pixel-m", "250"], cwd=repository, check=True, timeout=120)
    example = repository / "src" / "abatis" / "examples" / "lithuania" / "tables" / "sensors.csv"
    shutil.copy(example, folder / "tables" / "sensors.csv")
    assert main(["build", str(folder)]) == 0
    study, mesh = load_study(folder)
    results = compute_watch(study, mesh, WatchSettings("vehicle", 2e7, 1), quiet)
    ground, places = results.ground, results.places
    # The recipe knows main roads only, so few squares have a place; each lies beside one of these roads.
    roads = read_watch_sources(study, quiet).layers.vectors["roads"].geometry
    lines = shapely.union_all(move_shapes(roads, ground.grid.crs))
    to_metres = pyproj.Transformer.from_crs("EPSG:4326", ground.grid.crs, always_xy=True)
    points = shapely.points(*to_metres.transform(places.lon, places.lat))
    assert places.count > 10
    assert shapely.distance(points, lines).max() <= 500 + ground.grid.pixel_m
    with rasterio.open(shared_data / "dem_srtm3_suwalki_19_24E_53_56N.tif") as raster:
        inside = (places.lon > 19.1) & (places.lon < 23.9)
        points = list(zip(places.lon[inside], places.lat[inside], strict=True))
        sampled = np.array([value[0] for value in raster.sample(points)], float)
    # A pixel of 250 m averages some thirteen of the raster; hilltops lose a few metres.
    assert np.median(np.abs(sampled - places.height_m[inside])) < 8
    chosen = np.flatnonzero(results.plan.chosen)
    assert len(chosen) >= 5
    pixel_m = ground.grid.pixel_m
    relief = build_relief(ground.elevation, pixel_m, pixel_m, ground.canopy)
    for one in chosen[:3]:
        outlook = results.options.outlooks[one]
        post = Post(outlook.row, outlook.column, outlook.sensor.mast_height_m)
        view = compute_viewshed(relief, post, make_view(outlook, "vehicle", results.catalogue.terms))
        pixels = (view == VISIBLE) & ground.counted
        share = np.bincount(ground.cell[pixels], minlength=mesh.cell_count) / np.maximum(
            ground.cell_pixels, 1
        )
        assert np.array_equal(np.flatnonzero(share >= 0.5), results.seen.cells.take(int(one)))
    geod = pyproj.Geod(ellps="WGS84")
    rows = tabulate_watch(results)["posts"].rows
    assert len(rows) == sum(bool(state) for state in list_states(results))
    for row in rows[:3]:
        away = geod.inv(row["lon"], row["lat"], *nearest_piece(results, row))[2]
        assert away < 20_000 + 2_000
    assert np.isfinite([row.warning_posts_h for row in results.warning]).all()


def nearest_piece(results, row) -> tuple[float, float]:
    pieces = results.pieces
    away = np.hypot((pieces.lon - row["lon"]) * 0.58, pieces.lat - row["lat"])
    nearest = int(np.argmin(away))
    return float(pieces.lon[nearest]), float(pieces.lat[nearest])
