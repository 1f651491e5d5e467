"""What tests of the server share: a client in this process, a study without a mesh, one with all results."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.show.app.clients import TestClient, open_client


@pytest.fixture
def make_client() -> Iterator[Callable[..., TestClient]]:
    """Make clients of a study's server, in this process: make_client(folder, public=True, ...)."""
    with ExitStack() as stack:

        def make(folder: Path, **settings: Any) -> TestClient:
            client = stack.enter_context(open_client(folder, **settings))
            client.headers["X-CSRF-Token"] = client.get("/api/me").json()["csrf"]
            return client

        yield make


@pytest.fixture
def bare_study(tmp_path: Path) -> Path:
    """A folder that looks like a study but cannot be loaded: rights are checked before any study is read."""
    folder = tmp_path / "bare"
    folder.mkdir()
    (folder / "study.toml").write_text("name = 'bare'\n")
    return folder


@pytest.fixture(scope="session")
def viewed_folder(solved_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small study with every result that the views show: watch, plan, programme, risk, people."""
    from abatis.show.app.views.people import write_people_view
    from abatis.show.cli import main

    folder = Path(shutil.copytree(solved_folder, tmp_path_factory.mktemp("viewed") / "study"))
    assert main(["watch", str(folder), "--budget", "4000000"]) == 0
    assert main(["solve", str(folder)]) == 0
    assert main(["programme", str(folder)]) == 0
    assert main(["risk", str(folder), "--draws", "20"]) == 0
    write_people_view(folder, "base", lambda _words, _share: None)
    return folder
