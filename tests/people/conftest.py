"""A small study in Lithuania for law and clearance; nothing of its ground matters here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from abatis.ground.build import build_mesh
from abatis.model.mesh import Mesh
from abatis.model.study import Study, read_study
from abatis.show.new import write_new_study

sys.path.insert(0, str(Path(__file__).parent))

from people_cases import BELT, TRUST, write_table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The template, moved to Lithuania, with a reserve belt among its measures and options."""
    path = write_new_study(tmp_path / "study")
    settings = path / "study.toml"
    text = settings.read_text("utf-8")
    assert 'home = ["HOME"]' in text
    settings.write_text(text.replace('home = ["HOME"]', 'home = ["LT"]'), "utf-8")
    write_table(path, "measures", [BELT], keep=True)
    option = {
        "option": "belts",
        "name": "Belts",
        "open_measure": "belt",
        "road_measure": "block",
        "sites": "any",
    }
    write_table(path, "options", [{**option, **TRUST}], keep=True)
    return path


@pytest.fixture
def lithuania(folder: Path) -> Study:
    return read_study(folder)


@pytest.fixture(scope="session")
def lithuania_built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Mesh]:
    """The embedded Lithuania with its mesh; not to be changed."""
    path = write_new_study(tmp_path_factory.mktemp("built") / "lithuania", "lithuania")
    study = read_study(path)
    return study, build_mesh(study)
