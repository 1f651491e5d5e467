"""Two regions from open data, through the commands that docs/real_input.md gives to its reader."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from pyproj import Geod
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from abatis.barrier.lines import compute_closing_cost, find_echelon_lines
from abatis.ground.fronts import find_front_cells, find_objective_cell
from abatis.ground.speeds import compute_edge_times, find_speed, find_speeds
from abatis.ground.travel import compute_times
from abatis.model.mesh import Mesh
from abatis.model.plan import Plan, read_plan
from abatis.model.study import Study
from abatis.model.words import COVER_WORDS, ROAD_WORDS
from abatis.show.cli import main
from abatis.show.workflow import choose_settings, load_study

# The settings of the recipes take minutes in all; a coarser mesh and a shorter search show the same.
COARSE = {"suwalki": ["--resolution", "7", "--pixel-m", "250"], "tartu": ["--pixel-m", "60"]}
QUICK = ["--time-limit", "5"]
NEAREST_STEP = 1.12  # hexagon steps are up to 9.3 % too quick, H3's skew adds a little


@dataclass(frozen=True)
class Chain:
    """One region after all commands: their words and exit codes, and what they left behind."""

    region: str
    codes: dict[str, int]
    study: Study
    mesh: Mesh
    plan: Plan

    @property
    def plan_folder(self) -> Path:
        return self.study.folder / "plans" / "base"


def read_commands(repository: Path, region: str) -> list[list[str]]:
    """Commands of the first `sh` block under the region's heading in docs/real_input.md."""
    text = (repository / "docs" / "real_input.md").read_text("utf-8")
    block = re.search(rf"<!-- tested: {region} -->\n```sh\n(.*?)```", text, re.S)
    assert block is not None
    return [line.split() for line in block[1].splitlines()]


def run_command(words: list[str], folder: Path, repository: Path) -> int:
    words = [
        str(folder) + word.removeprefix(f"demo/{folder.name}") if "demo/" in word else word for word in words
    ]
    program, rest = words[0], words[1:]
    if program.endswith("abatis"):
        return main(rest + (QUICK if rest[0] == "solve" else []))
    assert program.endswith("python")
    asked = [sys.executable, *rest, *COARSE[folder.name]]
    return subprocess.run(asked, cwd=repository, check=False, timeout=60).returncode


@pytest.fixture(scope="module", params=["suwalki", "tartu"])
def chain(request, repository: Path, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    region = request.param
    folder = tmp_path_factory.mktemp("real") / region
    commands = read_commands(repository, region)
    codes = {words[1]: run_command(words, folder, repository) for words in commands}
    study, mesh = load_study(folder)
    return Chain(region, codes, study, mesh, read_plan(folder / "plans" / "base"))


def test_every_command_ends_well(chain):
    verbs = ["check", "build", "times", "line", "solve", "report", "verify"]
    assert chain.codes == {f"recipes/{chain.region}/prepare.py": 0} | dict.fromkeys(verbs, 0)


def test_times_are_positive_and_grow_with_distance(chain):
    study, mesh = chain.study, chain.mesh
    hostile = mesh.mask_countries(study.hostile)
    home = mesh.mask_countries(study.home)
    front = np.unique(
        np.concatenate([find_front_cells(study, mesh, front) for front in study.tables["fronts"]["front"]])
    ).astype(np.int32)
    times = compute_times(mesh, compute_edge_times(study, mesh, "tracked", "dry").time_h, front)
    assert np.all(times[~hostile] > 0)
    reached = home & np.isfinite(times)
    assert reached.sum() > 0.97 * home.sum()
    bands = np.quantile(mesh.border_km[reached], np.linspace(0, 1, 7))
    # Medians: a bog beside the border takes longer to enter than the far end of the county.
    middle_h = [
        np.median(times[reached & (mesh.border_km >= low) & (mesh.border_km <= high)])
        for low, high in pairwise(bands)
    ]
    assert middle_h == sorted(middle_h)
    assert middle_h[-1] > 2 * middle_h[0]


def test_no_approach_is_faster_than_its_fastest_speed(chain):
    study, mesh = chain.study, chain.mesh
    rows = study.tables["approaches"].set_index("approach")
    for result in chain.plan.approaches:
        row = rows.loc[result.id]
        goal = find_objective_cell(study, mesh, row["objective"])
        front = find_front_cells(study, mesh, row["front"])
        count = len(front)
        _, _, metres = Geod(ellps="WGS84").inv(
            mesh.lon[front], mesh.lat[front], np.full(count, mesh.lon[goal]), np.full(count, mesh.lat[goal])
        )
        vehicle, season = row["vehicle"], row["season"]
        fastest = max(
            find_speed(study, vehicle, season, "base", "open"),
            find_speeds(study, vehicle, season, "road", ROAD_WORDS).max(),
        )
        least_h = metres.min() / 1000 / fastest
        assert least_h / NEAREST_STEP < result.before_h < 20 * least_h
        assert result.after_h >= result.before_h


def test_lines_close(chain):
    study, mesh = chain.study, chain.mesh
    cost = compute_closing_cost(study, mesh)
    home, hostile = mesh.mask_countries(study.home), mesh.mask_countries(study.hostile)
    ground = home | hostile
    passable = (cost > 0) & ground[mesh.edge_a] & ground[mesh.edge_b]
    lines = find_echelon_lines(study, mesh)
    assert len(lines) == len(study.outer_km)
    for line, outer_km in zip(lines, study.outer_km, strict=True):
        beyond = home & (mesh.border_km >= outer_km)
        assert join_ground(mesh, passable, hostile, beyond)
        closed = passable.copy()
        closed[line.edges] = False
        assert not join_ground(mesh, closed, hostile, beyond)
        assert line.cost_eur == pytest.approx(cost[line.edges].sum(), rel=1e-6)
    # Every built part of the first line is needed: opening any one lets movement through.
    first = passable.copy()
    first[lines[0].edges] = False
    built = lines[0].edges[cost[lines[0].edges] > 0]
    for edge in built[:: max(1, len(built) // 12)]:
        opened = first.copy()
        opened[edge] = True
        assert join_ground(mesh, opened, hostile, home & (mesh.border_km >= study.outer_km[0]))


def join_ground(mesh: Mesh, edges: np.ndarray, one: np.ndarray, other: np.ndarray) -> bool:
    """Whether some cell of one set reaches some cell of the other over the edges given."""
    a, b = mesh.edge_a[edges], mesh.edge_b[edges]
    count = mesh.cell_count
    _, label = connected_components(coo_array((np.ones(len(a)), (a, b)), (count, count)), directed=False)
    return bool(np.intersect1d(label[one], label[other]).size)


def test_plan_keeps_the_budget_and_its_bound(chain):
    plan = chain.plan
    assert plan.budget_eur == choose_settings(chain.study).budget_eur
    assert 0 < plan.cost_eur <= plan.budget_eur
    assert plan.cost_eur == pytest.approx(sum(option.cost_eur for option in plan.options))
    assert plan.before_h < plan.value_h <= plan.bound_h
    weights = np.array([result.weight for result in plan.approaches])
    after = np.array([result.after_h for result in plan.approaches])
    assert plan.value_h == pytest.approx(weights @ after / weights.sum())


def test_report_names_what_is_missing(chain):
    text = (chain.plan_folder / "report.html").read_text("utf-8")
    words = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", text)))
    assert {"no soil", "no bridges", "no protected areas"} <= {
        note.split(":")[0] for note in chain.mesh.assumptions
    }
    assert [note for note in chain.mesh.assumptions if note not in words] == []
    assert chain.study.title in words
    sources = {re.sub(r"\s+", " ", source) for source in chain.study.sources["source"]}
    assert [source for source in sources if source not in words] == []
    assert (chain.plan_folder / "plan.gpkg").stat().st_size > 100_000


@pytest.mark.parametrize("chain", ["suwalki"], indirect=True)
def test_suwalki_ground_is_that_of_its_sources(chain, shared_data):
    mesh, folder = chain.mesh, chain.study.folder
    borders = gpd.read_file(folder / "sources" / "borders.gpkg").set_index("adm0_a3").geometry
    expected_km2 = abs(Geod(ellps="WGS84").geometry_area_perimeter(borders["LTU"])[0]) / 1e6
    home = mesh.mask_countries(("LT",))
    assert mesh.area_km2[home].sum() == pytest.approx(expected_km2, rel=0.01)
    assert set(mesh.country_codes) >= {"LT", "RU", "BY", "PL"}
    rows = np.flatnonzero(home & (mesh.lon < 23.9))[::50]
    with rasterio.open(shared_data / "dem_srtm3_suwalki_19_24E_53_56N.tif") as relief:
        heights = np.array([next(relief.sample([(mesh.lon[r], mesh.lat[r])]))[0] for r in rows])
    assert np.abs(mesh.elevation_m[rows] - heights).mean() < 12
    assert np.corrcoef(mesh.elevation_m[rows], heights)[0, 1] > 0.95
    assert (mesh.river_m == 120).sum() > 50
    assert ((mesh.bridge_m > 0) & (mesh.road_class == ROAD_WORDS.index("main"))).sum() >= 3
    # The link across the border is what makes the road from the Kaliningrad region to Taurage quick.
    hours = {result.id: result.before_h for result in chain.plan.approaches}
    assert hours["kgd_taurage"] < 1.5


@pytest.mark.parametrize("chain", ["tartu"], indirect=True)
def test_tartu_ground_is_that_of_its_sources(chain, shared_data):
    mesh = chain.mesh
    county = shared_data / "tartu_county_estonia.gpkg"
    cover = gpd.read_file(county, layer="corine_2012")
    classes = pd.read_csv(chain.study.folder / "tables" / "classes.csv", dtype=str)
    word_of = classes[classes["layer"] == "landcover_areas"].set_index("code")["word"]
    expected = cover.area.groupby(cover["code_12"].map(word_of)).sum() / 1e6
    found = pd.Series((mesh.cover * mesh.area_km2[:, None]).sum(axis=0), COVER_WORDS)
    for word in expected.index:
        assert found[word] == pytest.approx(expected[word], rel=0.03, abs=3), word
    people = gpd.read_file(county, layer="population_1km")
    on_cover = people[people.representative_point().within(cover.union_all().buffer(1))]
    assert mesh.population.sum() == pytest.approx(on_cover["population"].sum(), rel=0.02)
    # Estonian letters arrive: every class of road is there.
    assert set(np.unique(mesh.road_class)) == {
        -1,
        *(map(ROAD_WORDS.index, ("main", "regional", "local", "track"))),
    }
    main_km = mesh.road_m[mesh.road_class == ROAD_WORDS.index("main")].sum() / 1000
    roads = gpd.read_file(county, layer="main_roads")
    true_km = roads[roads["road_class_et"] == "Põhimaantee"].length.sum() / 1000
    assert 0.75 * true_km < main_km < 1.05 * true_km


def test_tartu_runs_at_resolution_9(repository, shared_data, tmp_path):
    folder = tmp_path / "fine"
    asked = [sys.executable, "recipes/tartu/prepare.py", str(shared_data), str(folder)]
    subprocess.run([*asked, "--resolution", "9", "--pixel-m", "50"], cwd=repository, check=True, timeout=60)
    for words in (["check"], ["build"], ["times"], ["line"]):
        assert main([*words, str(folder)]) == 0
    _, mesh = load_study(folder)
    assert 35_000 < mesh.cell_count < 45_000


@pytest.mark.parametrize("region", ["suwalki", "tartu"])
def test_recipe_refuses_what_it_cannot_use(region, repository, tmp_path):
    script = repository / "recipes" / region / "prepare.py"
    asked = [sys.executable, str(script), str(tmp_path / "nothing"), str(tmp_path / "study")]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=60)
    assert answer.returncode == 1
    assert "lacks: " in answer.stderr
    assert not (tmp_path / "study").exists()


def test_recipe_keeps_off_a_folder_in_use(repository, shared_data, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    asked = [sys.executable, "recipes/tartu/prepare.py", str(shared_data), str(tmp_path)]
    answer = subprocess.run(asked, cwd=repository, capture_output=True, text=True, check=False, timeout=60)
    assert answer.returncode == 1
    assert "not an empty folder" in answer.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]
