"""A server of its own process for tests: `abatis serve` as a user starts it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def find_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def serve_study(folder: Path, *options: str, wait_s: float = 90.0) -> Iterator[str]:
    """Start `abatis serve` on a study and give its address once the study is loaded; end it afterwards."""
    port = find_port()
    asked = [sys.executable, "-m", "abatis.show.cli", "serve", str(folder)]
    asked += ["--port", str(port), "--no-open", *options]
    log = folder.parent / f"serve-{port}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(asked, stdout=out, stderr=subprocess.STDOUT, env={**os.environ})
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(process, address, log, wait_s)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


def _wait_until_ready(process: subprocess.Popen, address: str, log: Path, wait_s: float) -> None:
    end = time.monotonic() + wait_s
    while time.monotonic() < end:
        if process.poll() is not None:
            raise AssertionError(f"abatis serve ended: {log.read_text('utf-8', 'replace')[-3000:]}")
        try:
            with urllib.request.urlopen(f"{address}/api/health", timeout=5) as answer:
                if json.load(answer).get("study") == "ready":
                    return
        except OSError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"abatis serve is not ready: {log.read_text('utf-8', 'replace')[-3000:]}")
