"""A real browser on a real server: studies, servers, and visits that may reach nothing outside."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.serving import serve_study

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = Path("/usr/bin/chromium")
STATIC = ROOT / "src" / "abatis" / "show" / "app" / "static" / "index.html"
FLAGS = (
    "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--no-pings",
    # A window that lies behind another one must go on drawing.
    "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding",
    "--disable-background-timer-throttling",
)  # fmt: skip
WAIT_MS = 90_000
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
READY = "window.__abatis_ready === true"


def say_nothing(_stage: str, _share: float) -> None:
    """Progress that nobody watches."""


def leave_out(reason: str) -> None:
    """Skip, but never on the runner of the project: there it is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


# What Chromium asks its makers by itself, whatever page is open; each is let through to nobody.
OF_THE_BROWSER = {
    "update.googleapis.com", "accounts.google.com", "content-autofill.googleapis.com", "clients2.google.com",
    "optimizationguide-pa.googleapis.com", "android.clients.google.com", "redirector.gvt1.com",
}  # fmt: skip


class Outside:
    """The only way out of the browser: it notes who knocks and lets nobody through.

    Every address but this machine's goes to this proxy, also what workers and the browser itself ask for.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._listen, name="way out", daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                caller, _ = self._socket.accept()
            except OSError:
                return
            with caller:
                caller.settimeout(5)
                try:
                    self._note(caller.recv(2000).split(b"\r\n")[0].decode("latin-1"))
                except OSError:
                    self.asked.append("somebody who said nothing")

    def _note(self, line: str) -> None:
        address = line.split(" ")[1] if " " in line else line
        host = urlsplit(address if "://" in address else f"//{address}").hostname
        if host not in OF_THE_BROWSER:
            self.asked.append(line)

    def close(self) -> None:
        """Close the way out."""
        self._socket.close()


class Visit:
    """One window of the browser: what it asked outside, what went wrong in it, where its pictures go."""

    def __init__(self, context, address: str, pictures: Path) -> None:
        self.context, self.address, self.pictures = context, address.rstrip("/"), pictures
        self.outside: list[str] = []
        self.troubles: list[str] = []
        self.refused: list[str] = []
        self.bodies: list[str] = []
        self._host = urlsplit(address).netloc
        self.page = context.new_page()
        self.page.set_default_timeout(WAIT_MS)
        self.page.on("pageerror", lambda error: self.troubles.append(f"error: {error}"))
        self.page.on("console", self._note)
        self.page.on("request", self._ask)
        self.page.on("response", self._look)
        self.page.on("websocket", lambda socket: self.outside.append(socket.url))

    def _is_inside(self, url: str) -> bool:
        parts = urlsplit(url)
        return parts.scheme in ("data", "blob") or (
            parts.netloc == self._host and parts.scheme == urlsplit(self.address).scheme
        )

    def _ask(self, request) -> None:
        if not self._is_inside(request.url):
            self.outside.append(request.url)

    def _note(self, message) -> None:
        # A refused answer is noted by its status; the browser repeats it as an error without saying more.
        is_status = message.text.startswith("Failed to load resource: the server responded")
        if message.type in ("error", "warning") and not is_status and "GPU stall" not in message.text:
            self.troubles.append(f"{message.type}: {message.text}")

    def _look(self, response) -> None:
        if response.status >= 400:
            self.refused.append(f"{response.status} {urlsplit(response.url).path}")

    def open(self, hash_words: str = "", file: str = "/") -> None:
        """Open the page and wait until it is drawn."""
        self.page.goto(f"{self.address}{file}#{hash_words}")
        self.wait()

    def wait(self) -> None:
        """Wait until everything that was asked is on the screen."""
        self.wait_for(READY)

    def wait_for(self, question: str) -> None:
        """Ask the page until the answer is yes; Playwright's own way needs eval, which the page forbids."""
        end = time.monotonic() + WAIT_MS / 1000
        while not self.page.evaluate(question):
            if time.monotonic() > end:
                self.page.screenshot(path=self.pictures / "waiting.png", timeout=WAIT_MS)
                raise AssertionError(f"never came true: {question}; {self.troubles} {self.refused}")
            self.page.wait_for_timeout(50)

    def choose(self, view: str) -> None:
        """Click on the tab of a view."""
        self.page.click(f"nav [data-view={view}]")
        self.page.wait_for_selector(f"nav [data-view={view}][aria-current=page]")
        self.wait()

    def keep(self, name: str) -> bytes:
        """Keep a picture of the screen; an empty one is a failure."""
        picture = self.page.screenshot(path=self.pictures / f"{name}.png", timeout=WAIT_MS)
        assert len(picture) > 15_000, f"{name}.png is nearly empty"
        return picture

    def check(self, *expected: str) -> None:
        """No trouble in the console, nothing refused but what was expected, nothing asked outside."""
        assert self.outside == []
        assert self.troubles == []
        assert [one for one in self.refused if one not in expected] == []


@pytest.fixture(scope="session")
def way_out() -> Iterator[Outside]:
    """What the browser asked of the world; it must stay empty."""
    outside = Outside()
    yield outside
    outside.close()


@pytest.fixture(scope="module")
def browser(way_out: Outside):
    """Chromium of the system, without a screen."""
    if not CHROMIUM.exists():
        leave_out(f"{CHROMIUM} is missing: no view is opened in a real browser")
    if not STATIC.exists():
        leave_out("the page is not built (npm run build in web/): there is nothing to open")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        one = play.chromium.launch(
            executable_path=str(CHROMIUM), args=[*FLAGS, f"--proxy-server=http://127.0.0.1:{way_out.port}"]
        )
        yield one
        one.close()


@pytest.fixture
def visit(browser, way_out: Outside, tmp_path: Path) -> Iterator[Callable[..., Visit]]:
    """Open windows: visit(address, size=PHONE, language="lt-LT"); none may have asked anything outside."""
    made: list[Visit] = []

    def make(address: str, size=DESK, language: str = "en-GB", **more) -> Visit:
        context = browser.new_context(viewport=size, locale=language, reduced_motion="reduce", **more)
        made.append(Visit(context, address, tmp_path))
        return made[-1]

    yield make
    outside = [url for one in made for url in one.outside]
    for one in made:
        one.context.close()
    assert outside == []
    assert way_out.asked == []


@pytest.fixture(scope="session")
def built_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small study with every result that the views show; not to be changed."""
    from tests.show.app.ledger_rows import write_ledger

    from abatis.show.app.views.people import write_people_view
    from abatis.show.cli import main

    folder = tmp_path_factory.mktemp("built") / "study"
    for asked in (
        ("new", str(folder)),
        ("build", str(folder)),
        ("watch", str(folder), "--budget", "4000000"),
        ("solve", str(folder)),
        ("programme", str(folder)),
        ("risk", str(folder), "--draws", "20"),
    ):
        assert main(asked) == 0, asked
    write_people_view(folder, "base", say_nothing)
    plan = json.loads((folder / "plans" / "base" / "plan.json").read_text("utf-8"))
    write_ledger(folder, plan["options"][0]["site"])
    return folder


@pytest.fixture(scope="session")
def served(built_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address and folder of a server on this machine without users: everything is allowed."""
    folder = Path(shutil.copytree(built_study, tmp_path_factory.mktemp("open") / "study"))
    with serve_study(folder) as address:
        yield address, folder


@pytest.fixture(scope="session")
def guarded(built_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The same with a viewer and a planner, and a public view for everybody else."""
    from tests.show.app.clients import add_user

    folder = Path(shutil.copytree(built_study, tmp_path_factory.mktemp("guarded") / "study"))
    add_user(folder, "ona", "viewer")
    add_user(folder, "jonas", "planner")
    with serve_study(folder, "--public") as address:
        yield address, folder
