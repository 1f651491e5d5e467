"""A study as one HTML file: the built page with the server's answers recorded into it; it needs no server."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import re
import secrets
import tempfile
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
import pyarrow as pa
from fastapi import FastAPI

from abatis.model.errors import AbatisError, Fault, InputError
from abatis.model.storage import write_text_whole
from abatis.show.app.application import create_app
from abatis.show.app.ground_layers import write_arrow
from abatis.show.app.pages import STATIC
from abatis.show.app.security.database import Database
from abatis.show.app.security.users import Users
from abatis.show.app.settings import Limits, Settings
from abatis.show.app.views.people import read_people, write_people_view

Progress = Callable[[str, float], None]
HOST = "127.0.0.1"
MOST_TRACES = 3000
MOST_RECORDS = 3000
MOST_PAGES = 50
VIEWS = ("line", "watch", "people", "programme")
# The file asks nothing of any server: scripts, styles and pictures come from the file itself.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' blob: data:; worker-src blob: data:; "
    "style-src 'unsafe-inline'; img-src data: blob:; font-src data:; connect-src blob: data:; "
    "base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True)
class PageSettings:
    """What is recorded.

    `plans` are the plans shown (all when empty); `public` records what the public may see, and nothing else;
    `why` records why each site is chosen; `people` computes the civil account of each plan that has none
    kept; `hours` are the lines of equal time.
    """

    plans: tuple[str, ...] = ()
    public: bool = False
    why: bool = False
    people: bool = False
    hours: tuple[int, ...] = (2, 4, 6, 12)


class Recorder:
    """Asks an application within this process and keeps what it answers.

    Parameters
    ----------
    app : the application.
    """

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self.answers: dict[str, Any] = {}
        self.refused: dict[str, int] = {}

    async def ask(self, path: str) -> Any:
        """Ask for a path (with query) and keep its answer; returns it, or None when it was refused."""
        status, kind, body = await self._call(path)
        if status != 200:
            self.refused[path] = status
            return None
        if kind.startswith("application/json"):
            self.answers[path] = json.loads(body)
        else:
            body = round_hours(body) if path.startswith("/api/ground/times.arrow") else body
            self.answers[path] = {"gzip": base64.b64encode(gzip.compress(body, 9, mtime=0)).decode()}
        return self.answers[path]

    async def _call(self, path: str) -> tuple[int, str, bytes]:
        route, _, query = path.partition("?")
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
            "scheme": "http", "path": unquote(route), "raw_path": route.encode(),
            "query_string": query.encode(), "root_path": "", "headers": [(b"host", HOST.encode())],
            "client": (HOST, 1), "server": (HOST, 80), "state": {},
        }  # fmt: skip
        found: dict[str, Any] = {"status": 500, "kind": "", "body": []}
        asked = False

        async def receive() -> dict[str, Any]:
            nonlocal asked
            if asked:
                await asyncio.Event().wait()
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                found["status"] = int(message["status"])
                kinds = [value for name, value in message["headers"] if name.lower() == b"content-type"]
                found["kind"] = kinds[0].decode() if kinds else ""
            elif message["type"] == "http.response.body":
                found["body"].append(message.get("body", b""))

        await self._app(scope, receive, send)
        return found["status"], found["kind"], b"".join(found["body"])


def write_page(study: Path, file: Path, settings: PageSettings, progress: Progress) -> dict[str, Any]:
    """Write a study as one HTML file.

    Parameters
    ----------
    study : study folder with a mesh.
    file : HTML file, written whole or not at all.
    settings : what is recorded.
    progress : callback (stage, share done).

    Returns
    -------
    Its size, how many answers it holds, and how many were refused (views that are not made yet).

    Raises
    ------
    InputError : no built page, no such plan, or the study cannot be read.
    """
    page = read_bundle(STATIC)
    recorder = record_answers(study, settings, progress)
    text = fill_page(page, recorder.answers)
    write_text_whole(file, text)
    return {
        "file": str(file),
        "bytes": len(text.encode()),
        "answers": len(recorder.answers),
        "refused": sorted(recorder.refused),
    }


def record_answers(study: Path, settings: PageSettings, progress: Progress) -> Recorder:
    """Ask a server of the study, within this process, everything that the page may ask.

    Raises
    ------
    InputError : no such plan, or the study cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="abatis-page-") as beside:
        database = Path(beside) / "server.sqlite"
        if settings.public:
            # With a user there, whoever has no login is the public, exactly as on the wire.
            held = Database(database)
            Users(held).add("nobody", secrets.token_hex(16), "viewer")
            held.close()
        limits = replace(Limits(), calls={}, answer_s=3600.0)
        app = create_app(Settings(study, HOST, public=settings.public, database=database, limits=limits))
        recorder = Recorder(app)
        asyncio.run(_record(app, recorder, settings, progress))
    return recorder


async def _record(app: FastAPI, recorder: Recorder, settings: PageSettings, progress: Progress) -> None:
    async with app.router.lifespan_context(app):
        while app.state.server.study.state == "loading":
            await asyncio.sleep(0.05)
        me = await recorder.ask("/api/me")
        # A file can be looked at, not changed.
        me |= {"role": "public" if settings.public else "viewer", "csrf": "", "login_needed": False}
        study = await recorder.ask("/api/study")
        if study is None:
            error = app.state.server.study.error
            if isinstance(error, AbatisError):
                raise error
            _, _, body = await recorder._call("/api/study")
            faults = json.loads(body)["faults"]
            raise InputError([Fault(one["what"], one["where"], remedy=one["remedy"]) for one in faults])
        plans = choose_plans(study, settings)
        if settings.people:
            loaded = app.state.server.study.get()
            # The public sees one plan's account, that of the first.
            make_accounts(loaded.folder, plans or loaded.list_plans()[:1], progress)
        study["plans"] = [one for one in study["plans"] if one["name"] in plans]
        paths = list(list_paths(study, plans, settings))
        for place, path in enumerate(paths):
            progress("recording answers", place / len(paths))
            await recorder.ask(path)
        await _record_ledger(recorder)
        if settings.why:
            await _record_reasons(recorder, plans, progress)
        await _record_traces(recorder, progress)
        progress("recording answers", 1.0)


def choose_plans(study: dict[str, Any], settings: PageSettings) -> list[str]:
    """Return the names of the plans to be recorded.

    Raises
    ------
    InputError : a plan that the study does not have.
    """
    known = [one["name"] for one in study["plans"]]
    missing = [name for name in settings.plans if name not in known]
    if missing and not settings.public:
        remedy = f"known plans: {', '.join(known) or 'none'}"
        raise InputError(
            [Fault(f"there is no plan '{name}'", column="--plan", remedy=remedy) for name in missing]
        )
    return list(settings.plans or known) if not settings.public else []


def make_accounts(study_folder: Path, plans: Sequence[str], progress: Progress) -> None:
    """Compute the civil account of every plan that has none kept, and keep it beside the plan.

    Raises
    ------
    InputError : see `write_people_view`.
    """
    for plan in plans:
        if not read_people(study_folder, plan).made:
            write_people_view(study_folder, plan, progress)


def list_paths(study: dict[str, Any], plans: list[str], settings: PageSettings) -> Iterable[str]:
    """List what the page may ask for, in the order in which it matters."""
    yield from ("/api/base", "/api/ground/cells.arrow")
    today = datetime.now(UTC).date()
    yield from list_view_paths(plans, today)
    for plan in plans:
        name = encode(plan)
        yield f"/api/plans/{name}"
        yield f"/api/plans/{name}/sites"
        yield f"/api/plans/{name}/curve"
        yield f"/api/ground/avenues?plan={name}"
        for other in plans:
            if other != plan:
                yield f"/api/compare?a={name}&b={encode(other)}"
    limits = encode(",".join(str(one) for one in settings.hours))
    for row in study["approaches"]:
        pair = (
            f"approach={encode(row['key'])}&vehicle={encode(row['vehicle'])}&season={encode(row['season'])}"
        )
        yield f"/api/ground/avenues?approach={encode(row['key'])}"
        for tail in ("", *(f"&plan={encode(plan)}" for plan in plans)):
            yield f"/api/ground/times.arrow?{pair}{tail}"
            yield f"/api/ground/isochrones?{pair}{tail}&hours={limits}"


def list_view_paths(plans: list[str], today: date) -> list[str]:
    """List what the views of tables ask for."""
    found = [f"/api/{view}?plan={encode(plan)}" for plan in plans for view in VIEWS]
    found += [] if plans else [f"/api/{view}" for view in VIEWS]
    found += [f"/api/law?date={today.isoformat()}", "/api/law"]
    found += [f"/api/ledger/status?date={today.isoformat()}"]
    found += [f"/api/ledger/status?date={today.isoformat()}&plan={encode(plan)}" for plan in plans]
    return found


async def _record_ledger(recorder: Recorder) -> None:
    """Record the pages of records, as long as there are more."""
    for page in range(1, MOST_PAGES + 1):
        found = await recorder.ask(f"/api/ledger/records?page={page}")
        if found is None or page >= int(found.get("pages", 1)):
            return


async def _record_reasons(recorder: Recorder, plans: list[str], progress: Progress) -> None:
    """Record why each plan has each of its sites."""
    for plan in plans:
        options = recorder.answers.get(f"/api/plans/{encode(plan)}", {}).get("options", [])
        for place, one in enumerate(options):
            progress(f"why the sites of {plan}", place / len(options))
            await recorder.ask(f"/api/plans/{encode(plan)}/why/{encode(one['site'])}")


async def _record_traces(recorder: Recorder, progress: Progress) -> None:
    """Record where the figures come from: every trace that an answer names, then every record they name."""
    ids: dict[str, None] = {}
    seqs: dict[int, None] = {}
    for answer in list(recorder.answers.values()):
        find_traces(answer, ids, seqs)
    for place, one in enumerate(list(ids)[:MOST_TRACES]):
        progress("recording sources of figures", place / max(1, len(ids)))
        found = await recorder.ask(f"/api/trace?of={encode(one)}")
        find_traces(found, {}, seqs)
    for seq in list(seqs)[:MOST_RECORDS]:
        await recorder.ask(f"/api/ledger/records/{seq}")


def find_traces(value: Any, ids: dict[str, None], seqs: dict[int, None]) -> None:
    """Collect ids of traces and numbers of records from an answer.

    Examples
    --------
    >>> ids, seqs = {}, {}
    >>> find_traces({"rows": [{"a": 1, "_trace": {"a": "x:1"}}], "records": [4]}, ids, seqs)
    >>> list(ids), list(seqs)
    (['x:1'], [4])
    """
    if isinstance(value, list):
        for one in value:
            find_traces(one, ids, seqs)
        return
    if not isinstance(value, dict):
        return
    for key, one in value.items():
        if key == "_trace" and isinstance(one, dict):
            ids.update(dict.fromkeys(str(word) for word in one.values()))
        elif key in ("trace", "of") and one:
            words = one if isinstance(one, list) else [one]
            ids.update(dict.fromkeys(word for word in words if isinstance(word, str) and word))
        elif key == "records" and isinstance(one, list) and all(isinstance(seq, int) for seq in one):
            seqs.update(dict.fromkeys(one))
        else:
            find_traces(one, ids, seqs)


def round_hours(body: bytes) -> bytes:
    """Round the hours of cells to 1/512 h (7 s), which compresses to half the size."""
    table = pa.ipc.open_stream(body).read_all()
    hours = np.round(table["hours"].to_numpy() * 512.0) / 512.0
    notes = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    return write_arrow({"hours": hours.astype(np.float32)}, notes)


def encode(word: str) -> str:
    """Write a word for an address as browsers do (encodeURIComponent).

    Examples
    --------
    >>> encode("a plan, (new)")
    'a%20plan%2C%20(new)'
    """
    return quote(word, safe="!~*'()")


@dataclass(frozen=True)
class Bundle:
    """The built page: its HTML and its other files by name."""

    html: str
    files: dict[str, bytes]


def read_bundle(folder: Path) -> Bundle:
    """Read the built page.

    Raises
    ------
    InputError : it was not built.
    """
    index = folder / "index.html"
    if not index.is_file():
        remedy = "build it once, in the folder web: npm ci, npm run build; an installed package holds it"
        raise InputError([Fault("the page was not built", "show/app/static", remedy=remedy)])
    files = {path.name: path.read_bytes() for path in sorted((folder / "assets").glob("*")) if path.is_file()}
    return Bundle(index.read_text(encoding="utf-8"), files)


def fill_page(page: Bundle, answers: dict[str, Any]) -> str:
    """Put scripts, styles and recorded answers into the page.

    In words: whatever stands inside a script is written so that no text of the study can end it.

    Raises
    ------
    InputError : the page names a file that is not there.
    """
    used: set[str] = set()

    def take(name: str) -> str:
        if name not in page.files:
            raise InputError(
                [Fault(f"'{name}' is missing", "show/app/static", remedy="build the page again")]
            )
        used.add(name)
        return page.files[name].decode("utf-8")

    def put_script(found: re.Match[str]) -> str:
        text = re.sub(r"</(?=script)", r"<\\/", take(found[1]), flags=re.IGNORECASE)
        text = text.replace("<!--", "<\\!--")
        return f'<script type="module">{text}</script>'

    def put_style(found: re.Match[str]) -> str:
        return f"<style>{take(found[1])}</style>"

    # Replaced by a function: the texts hold backslashes.
    html = re.sub(r'<script[^>]*\bsrc="(?:\./)?assets/([^"]+)"[^>]*></script>', put_script, page.html)
    html = re.sub(r'<link[^>]*\bhref="(?:\./)?assets/([^"]+\.css)"[^>]*>', put_style, html)
    rest = {name: base64.b64encode(data).decode() for name, data in page.files.items() if name not in used}
    recorded = write_json(
        {"made_at": datetime.now(UTC).isoformat(timespec="seconds"), "answers": answers, "files": rest}
    )
    first = (
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}" />\n'
        f"    <script>window.__abatis = {recorded};</script>\n    "
    )
    place = html.index("<script")
    return html[:place] + first + html[place:]


def write_json(value: Any) -> str:
    """Write JSON that may stand inside a script.

    Examples
    --------
    >>> "<" in write_json("<b>")
    False
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
