"""Fifty logged-in users read from one server at once, each asking again as soon as it was answered.

The server is `abatis serve` in a process of its own on a copy of demo/lithuania; this process reads.
ABATIS_BENCH_S says for how many seconds (60), ABATIS_BENCH_THINK_S how long each user waits between two
questions (0).
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import httpx

from abatis.model.errors import Fault, InputError
from abatis.show.app.security.database import Database
from abatis.show.app.security.guard import COOKIE
from abatis.show.app.security.sessions import Logins
from abatis.show.app.security.users import Users
from abatis.show.app.settings import Limits

EXAMPLE = Path(__file__).resolve().parents[1] / "demo" / "lithuania"
USERS = 50
SECONDS = float(os.environ.get("ABATIS_BENCH_S", "60"))
THINK_S = float(os.environ.get("ABATIS_BENCH_THINK_S", "0"))
GOAL_MS = 300.0
# What the page reads while somebody looks around; the mesh and the base map are read once and then kept.
SMALL = (
    "/api/me",
    "/api/study",
    "/api/plans/base",
    "/api/plans/base/curve",
    "/api/law",
    "/api/ledger/status",
    "/api/ledger/records",
    "/api/jobs",
)


def run() -> list[dict[str, Any]]:
    """Measure how long small reads take with fifty users, and how long the server takes to answer first."""
    if not (EXAMPLE / "plans" / "base" / "plan.json").is_file():
        raise InputError([Fault("has no plan yet", str(EXAMPLE), remedy="run: make demo")])
    with tempfile.TemporaryDirectory() as folder:
        study = shutil.copytree(EXAMPLE, Path(folder) / "study", ignore=shutil.ignore_patterns("server.*"))
        tokens = _make_logins(study)
        start = time.perf_counter()
        server = subprocess.Popen(
            [sys.executable, "-m", "abatis.show.cli", "serve", str(study), "--port", "0", "--no-open"],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stdout is not None
            found = re.search(r"http://[\d.]+:\d+", server.stdout.readline())
            if found is None:
                raise RuntimeError("the server did not start")
            httpx.get(f"{found[0]}/api/health", timeout=60).raise_for_status()
            first_s = time.perf_counter() - start
            ready_s = _warm(found[0], tokens[0]) - start
            taken, errors = asyncio.run(_read_all(found[0], tokens))
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(30)
    return [_judge(taken, errors), _tell_start(first_s, ready_s)]


def _make_logins(study: Path) -> list[str]:
    """Make fifty users, each with a login; logging in itself is slow on purpose and not measured."""
    database = Database(study / "server.sqlite")
    users, logins = Users(database), Logins(database, Limits())
    tokens = []
    for number in range(USERS):
        users.add(f"reader{number}", "long enough words", "viewer")
        tokens.append(logins.begin(f"reader{number}")[0])
    database.close()
    return tokens


def _warm(address: str, token: str) -> float:
    """Ask everything once; returns the moment when all of it was answered."""
    with httpx.Client(base_url=address, cookies={COOKIE: token}, timeout=120) as client:
        for path in (*SMALL, "/api/plans/base/sites"):
            client.get(path).raise_for_status()
    return time.perf_counter()


async def _read_all(address: str, tokens: list[str]) -> tuple[dict[str, list[float]], list[str]]:
    taken: dict[str, list[float]] = defaultdict(list)
    errors: list[str] = []
    end = time.perf_counter() + SECONDS
    users = [_read(address, token, number, end, taken, errors) for number, token in enumerate(tokens)]
    await asyncio.gather(*users)
    return taken, errors


async def _read(
    address: str, token: str, number: int, end: float, taken: dict[str, list[float]], errors: list[str]
) -> None:
    """Read as one user on one connection that is kept, until the time is over."""
    dice = random.Random(number)
    place = address.removeprefix("http://")
    host, port = place.split(":")
    lines = (f"Host: {place}", f"Cookie: {COOKIE}={token}", "Accept-Encoding: gzip", "", "")
    head = "\r\n".join(lines)
    reader, writer = await asyncio.open_connection(host, int(port), limit=2**20)
    while time.perf_counter() < end:
        path = dice.choice(SMALL)
        start = time.perf_counter()
        writer.write(f"GET {path} HTTP/1.1\r\n{head}".encode())
        try:
            answer = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", answer)
            await reader.readexactly(int(length[1]) if length else 0)
        except (OSError, asyncio.IncompleteReadError) as error:
            errors.append(f"{path}: {error!r}")
            reader, writer = await asyncio.open_connection(host, int(port), limit=2**20)
            continue
        taken[path].append(1000 * (time.perf_counter() - start))
        if b" 200 " not in answer[:20]:
            errors.append(f"{path}: {answer[:20]!r}")
        if THINK_S:
            await asyncio.sleep(dice.uniform(0, 2 * THINK_S))
    writer.close()


def _find_share(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _judge(taken: dict[str, list[float]], errors: list[str]) -> dict[str, Any]:
    every = [one for values in taken.values() for one in values]
    p95 = _find_share(every, 0.95)
    slowest = max(taken, key=lambda path: _find_share(taken[path], 0.95))
    note = (
        f"{USERS} users, {SECONDS:g} s, {THINK_S:g} s between questions, {os.cpu_count()} cores shared with "
        f"them: {len(every)} answers ({len(every) / SECONDS:.0f} a second), {len(errors)} errors, "
        f"median {_find_share(every, 0.5):.0f} ms, p99 {_find_share(every, 0.99):.0f} ms; slowest {slowest} "
        f"p95 {_find_share(taken[slowest], 0.95):.0f} ms"
    )
    note += f"; first error {errors[0]}" if errors else ""
    return {
        "name": "small reads of 50 users at once, p95" if not errors else "50 users at once, WITH ERRORS",
        "ours": round(p95, 1),
        "peer": None,
        "ratio": round(p95 / GOAL_MS, 3),
        "goal": f"ours <= {GOAL_MS:g}",
        "unit": "ms",
        "note": note,
    }


def _tell_start(first_s: float, ready_s: float) -> dict[str, Any]:
    return {
        "name": "abatis serve: from the command to GET /api/health",
        "ours": round(first_s, 2),
        "peer": None,
        "ratio": None,
        "goal": "as small as possible",
        "unit": "s",
        "note": f"every small read answered once after {ready_s:.1f} s",
    }
