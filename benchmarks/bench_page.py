"""The page in a headless browser with software rendering: 170 thousand cells on the screen."""

from __future__ import annotations

import contextlib
import gzip
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h3
import numpy as np
import uvicorn

from abatis.model.errors import Fault, InputError
from abatis.model.words import COVER_WORDS
from abatis.show.app.application import create_app
from abatis.show.app.ground_layers import ARROW, write_arrow
from abatis.show.app.pages import STATIC
from abatis.show.app.settings import Settings

EXAMPLE = Path(__file__).resolve().parents[1] / "demo" / "lithuania"
CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"]
MIDDLE = (55.3, 24.0)
RADIUS = 238  # 170,647 cells
TURNS = 5
GOAL_S = 5.0
MEGA = 1e6


def run() -> list[dict[str, Any]]:
    """Measure from opening the page to the first frame with all cells, and the bytes of the mesh."""
    check_built()
    bodies = make_cells()
    with tempfile.TemporaryDirectory() as folder:
        study = shutil.copytree(EXAMPLE, Path(folder) / "study")
        with serve_study(study, bodies) as address:
            seen = [open_page(address) for _ in range(TURNS + 1)][1:]
    cells_s = statistics.median(one["cells"] for one in seen) / 1000
    squeezed = sum(len(gzip.compress(body, 6)) for body in bodies.values())
    count = 3 * RADIUS * (RADIUS + 1) + 1
    note = f"{count:,} cells, median of {TURNS} new browsers, software rendering, server beside it"
    return [
        make_row("page: opening to all cells drawn", cells_s, f"ours < {GOAL_S:g}", "s", note),
        make_row(
            "page: opening to base map drawn",
            statistics.median(one["map"] for one in seen) / 1000, "shown, no goal", "s", note,
        ),
        make_row(
            "page: mesh and times on the wire", squeezed / MEGA, "ours < 8", "MB",
            f"{count:,} cells, gzip; {sum(map(len, bodies.values())) / MEGA:.1f} MB unpacked",
        ),
        make_row("page: scripts and styles", measure_bundle() / MEGA, "shown, no goal", "MB", "gzip"),
    ]  # fmt: skip


def make_row(name: str, ours: float, goal: str, unit: str, note: str) -> dict[str, Any]:
    """Return one row of the table of benchmarks."""
    figures = {"name": name, "ours": round(ours, 3), "peer": None, "ratio": None}
    return {**figures, "goal": goal, "unit": unit, "note": note}


def check_built() -> None:
    """Say what is missing before anything is started."""
    faults = []
    if not (EXAMPLE / "plans" / "base" / "plan.json").is_file():
        faults.append(Fault("has no plan yet", str(EXAMPLE), remedy="run: make demo"))
    if not (STATIC / "index.html").is_file():
        faults.append(
            Fault("the page was not built", str(STATIC), remedy="cd web && npm ci && npm run build")
        )
    if not Path(CHROMIUM).is_file():
        faults.append(Fault("is missing", CHROMIUM, remedy="install Debian's chromium"))
    if faults:
        raise InputError(faults)


def make_cells() -> dict[str, bytes]:
    """Return the bodies of cells.arrow and times.arrow for a disk of cells, hours rising from its middle."""
    cells = np.sort(
        np.array(
            [h3.str_to_int(one) for one in h3.grid_disk(h3.latlng_to_cell(*MIDDLE, 8), RADIUS)],
            dtype=np.uint64,
        )
    )
    random = np.random.default_rng(1)
    points = np.array([h3.cell_to_latlng(h3.int_to_str(int(one))) for one in cells])
    away = np.hypot((points[:, 0] - MIDDLE[0]) * 111, (points[:, 1] - MIDDLE[1]) * 63)
    hours = (away / 25 + random.uniform(0, 0.3, len(cells))).astype(np.float32)
    columns = {
        "cell_low": (cells & np.uint64(0xFFFFFFFF)).astype(np.uint32),
        "cell_high": (cells >> np.uint64(32)).astype(np.uint32),
        "country": np.zeros(len(cells), np.uint8),
        "cover": random.integers(0, len(COVER_WORDS), len(cells)).astype(np.uint8),
        "population": random.integers(0, 900, len(cells)).astype(np.float32),
        "border_km": np.round(away, 2).astype(np.float32),
        "elevation_m": random.integers(0, 290, len(cells)).astype(np.int16),
        "protected": random.integers(0, 100, len(cells)).astype(np.uint8),
    }
    notes = {"country": "LT", "cover": " ".join(COVER_WORDS)}
    return {
        "/api/ground/cells.arrow": write_arrow(columns, notes),
        "/api/ground/times.arrow": write_arrow({"hours": hours}, {"unit": "h", "from_words": "invented"}),
    }


@contextlib.contextmanager
def serve_study(study: Path, bodies: dict[str, bytes]) -> Iterator[str]:
    """Serve a study on a free port, its cells and times replaced by `bodies`."""
    app = create_app(Settings(study))
    packed = {path: gzip.compress(body, 6) for path, body in bodies.items()}

    async def replace(scope: Any, receive: Any, send: Any) -> None:
        body = packed.get(scope.get("path", ""))
        if body is None:
            await app(scope, receive, send)
            return
        headers = [(b"content-type", ARROW.encode()), (b"content-encoding", b"gzip")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    server = uvicorn.Server(uvicorn.Config(replace, port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        thread.join(20)


def open_page(address: str) -> dict[str, float]:
    """Open the page in a new browser and return its marks, milliseconds since it was opened."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(address)
        end = time.monotonic() + 60
        while not page.evaluate("!!window.__abatis_ready"):
            if time.monotonic() > end:
                raise TimeoutError("the page did not become ready within 60 s")
            page.wait_for_timeout(50)
        marks: dict[str, float] = page.evaluate("window.__abatis_marks")
        browser.close()
    return marks


def measure_bundle() -> int:
    """Return the bytes of all files of the page, each compressed."""
    return sum(len(gzip.compress(path.read_bytes(), 6)) for path in STATIC.rglob("*") if path.is_file())
