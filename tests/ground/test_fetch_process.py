"""Fetching in a process of its own: stopped by the user, and twice at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fetch_cases import DEM, DEM_PATH, list_leftovers, make_tif, read_rows

RUN = "import sys; from abatis.show.cli import main; sys.exit(main())"
SIDE, HELD = 1500, 900_000


def start(folder: Path, mirror: str) -> subprocess.Popen[str]:
    words = ["fetch", str(folder), "--layer", "elevation", "--mirror", mirror, "--yes"]
    names = ("http_proxy", "https_proxy", "all_proxy")
    kept = {name: value for name, value in os.environ.items() if name.lower() not in names}
    return subprocess.Popen([sys.executable, "-c", RUN, *words], stderr=subprocess.PIPE, text=True, env=kept)


@pytest.fixture
def held(server, study_folder, tmp_path):
    """A fetch that has got a part of its file and waits for the rest; the file's bytes."""
    server.files[DEM_PATH] = body = make_tif(tmp_path, side=SIDE)
    server.held_after[DEM_PATH] = HELD
    running = start(study_folder, server.address)
    part = study_folder / "sources" / f"{DEM}.tif.part"
    try:
        until = time.monotonic() + 60
        while not (part.exists() and part.stat().st_size > HELD - 100_000):
            assert running.poll() is None and time.monotonic() < until, running.communicate()
            time.sleep(0.05)
        yield running, body
    finally:
        server.release.set()
        if running.poll() is None:
            running.kill()
            running.communicate()


def test_stopped_by_the_user_it_goes_on_later(held, server, study_folder):
    running, body = held
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=30)
    assert running.returncode == 130 and "Traceback" not in told
    assert list_leftovers(study_folder) == [f"{DEM}.tif.part", f"{DEM}.tif.part-mark"]
    assert not (study_folder / "sources" / f"{DEM}.tif").exists()
    assert f"{DEM}.tif" not in read_rows(study_folder)
    kept = (study_folder / "sources" / f"{DEM}.tif.part").stat().st_size
    server.release.set()
    second = start(study_folder, server.address)
    _, told = second.communicate(timeout=60)
    assert second.returncode == 0, told
    assert (study_folder / "sources" / f"{DEM}.tif").read_bytes() == body
    assert server.asked[-1] == ("GET", DEM_PATH, f"bytes={kept}-")
    assert list_leftovers(study_folder) == []


def test_second_fetch_leaves_the_first_alone(held, server, study_folder):
    running, body = held
    second = start(study_folder, server.address)
    _, told = second.communicate(timeout=60)
    assert second.returncode == 1 and "another fetch is at work here" in told
    server.release.set()
    _, told = running.communicate(timeout=60)
    assert running.returncode == 0, told
    assert (study_folder / "sources" / f"{DEM}.tif").read_bytes() == body
    assert list_leftovers(study_folder) == []
    assert server.count_gets(DEM_PATH) == 1


def test_killed_fetch_leaves_no_lock(held, server, study_folder):
    running, body = held
    running.kill()
    running.communicate()
    assert (study_folder / "sources" / ".fetch-lock").exists()
    server.release.set()
    second = start(study_folder, server.address)
    _, told = second.communicate(timeout=60)
    assert second.returncode == 0, told
    assert (study_folder / "sources" / f"{DEM}.tif").read_bytes() == body
    assert not (study_folder / "sources" / ".fetch-lock").exists()
