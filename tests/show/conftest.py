"""A small invented study, built and solved once for all tests of the show room."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from abatis.barrier.sites import site_study
from abatis.model.plan import read_plan
from abatis.show.avenue_maps import draw_avenue_maps
from abatis.show.basemap import prepare_base_map
from abatis.show.cli import main
from abatis.show.maps import draw_maps
from abatis.show.results import compute_results
from abatis.show.workflow import load_study


@pytest.fixture(scope="session")
def solved_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Study folder of the template with a mesh and the plan `base`; not to be changed."""
    folder = tmp_path_factory.mktemp("study") / "first"
    assert main(["new", str(folder)]) == 0
    assert main(["build", str(folder)]) == 0
    assert main(["solve", str(folder)]) == 0
    return folder


@pytest.fixture
def study_copy(solved_folder: Path, tmp_path: Path) -> Path:
    """A copy of the solved study that a test may change."""
    return Path(shutil.copytree(solved_folder, tmp_path / "copy"))


@pytest.fixture(scope="session")
def results(solved_folder: Path):
    study, mesh = load_study(solved_folder)
    plan = read_plan(solved_folder / "plans" / "base")
    return compute_results(study, mesh, site_study(study, mesh), plan)


@pytest.fixture(scope="session")
def base_map(results):
    return prepare_base_map(results.study, results.mesh)


@pytest.fixture(scope="session")
def maps(results, base_map):
    return (*draw_maps(results, base_map), *draw_avenue_maps(results, base_map))
