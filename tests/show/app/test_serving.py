"""Real server processes: how they start and refuse to, large and slow bodies, kill -9 at any moment."""

from __future__ import annotations

import io
import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest
from tests.show.app.clients import PASSWORD, add_user, open_client

from abatis.programme.ledger.store import open_ledger
from abatis.show.cli import main

MOMENTS = 50
MIB = 1024 * 1024


class Servers:
    """Starts real servers and ends them."""

    def __init__(self) -> None:
        self._starter = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("forked_servers.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, study: Path, limits: dict | None = None, **settings: object) -> tuple[int, str]:
        """Return the number of the server's process and its address, or what it says instead."""
        asked = {"study": str(study), "limits": limits or {}, "settings": settings}
        self._starter.stdin.write(json.dumps(asked) + "\n")
        self._starter.stdin.flush()
        pid, words = 0, ""
        while not pid or not words:
            line = self._starter.stdout.readline()
            assert line, "the starter of servers ended"
            if line.strip().isdigit():
                pid = int(line)
            elif not line.startswith("ended"):
                words = line
        found = re.search(r"http://\S+?(?=/ )", words)
        return pid, found[0] if found else words

    @contextmanager
    def run(self, study: Path, **more: object):
        pid, address = self.start(study, **more)
        try:
            yield pid, address
        finally:
            if psutil.pid_exists(pid):
                os.kill(pid, signal.SIGKILL)
            wait_gone(pid)

    def close(self) -> None:
        self._starter.stdin.close()
        self._starter.wait(10)
        self._starter.stdout.close()


def wait_gone(pid: int) -> None:
    end = time.monotonic() + 10
    while psutil.pid_exists(pid) and time.monotonic() < end:
        time.sleep(0.01)


@pytest.fixture(scope="module")
def servers():
    started = Servers()
    yield started
    started.close()


def ask_token(address: str) -> dict[str, str]:
    return {"X-CSRF-Token": httpx.get(f"{address}/api/me").json()["csrf"]}


def test_the_command_serves_and_ends_with_ctrl_c(bare_study):
    command = [sys.executable, "-m", "abatis.show.cli", "serve", str(bare_study), "--port", "0", "--no-open"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        address = re.search(r"http://127\.0\.0\.1:\d+", server.stdout.readline())[0]
        health = httpx.get(f"{address}/api/health", timeout=10).json()
        assert health["status"] == "ok"
        server.send_signal(signal.SIGINT)
        assert server.wait(20) == 130
        assert "Traceback" not in server.stderr.read()


@pytest.mark.parametrize(
    "options", [["--host", "0.0.0.0"], ["--public"], ["--behind-proxy"], ["--host", "::"]]
)
def test_an_address_outside_needs_users(bare_study, capsys, options):
    assert main(["serve", str(bare_study), "--port", "0", "--no-open", *options]) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert "there are no users" in told
    assert "abatis users add" in told


def test_a_port_that_is_taken_is_named(bare_study, capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main(["serve", str(bare_study), "--port", str(port), "--no-open"]) == 1
    assert f"port {port} is taken" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("host", "words"), [("no.such.host.invalid", "is no address"), ("203.0.113.7", "cannot be")]
)
def test_an_address_of_another_machine_is_named(bare_study, capsys, host, words):
    add_user(bare_study, "ona", "admin")
    assert main(["serve", str(bare_study), "--host", host, "--port", "0", "--no-open"]) == 1
    assert words in " ".join(capsys.readouterr().err.split())


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for localhost with OpenSSL."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    asked = ["openssl", *words, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(asked, check=True, capture_output=True)
    return certificate, key


@pytest.mark.skipif(shutil.which("openssl") is None, reason="OpenSSL makes the certificate of this test")
def test_the_server_speaks_https_with_a_certificate(bare_study, tmp_path, capsys):
    certificate, key = make_certificate(tmp_path)
    add_user(bare_study, "ona", "admin")
    start = ["serve", str(bare_study), "--port", "0", "--no-open"]
    for wrong in (["--certificate", str(certificate)], ["--certificate", str(key), "--key", str(key)]):
        assert main([*start, *wrong]) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert "belong together" in told
    assert "cannot be used with its key" in told
    start += ["--certificate", str(certificate), "--key", str(key)]
    command = [sys.executable, "-m", "abatis.show.cli", *start]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        address = re.search(r"https://127\.0\.0\.1:\d+", server.stdout.readline())[0]
        trust = ssl.create_default_context(cafile=str(certificate))
        trust.check_hostname = False
        question = {"name": "ona", "password": PASSWORD}
        answer = httpx.post(f"{address}/api/login", json=question, verify=trust, timeout=10)
        server.send_signal(signal.SIGINT)
        server.wait(20)
    assert answer.status_code == 200
    assert "; secure" in answer.headers["set-cookie"].lower()
    assert "strict-transport-security" in answer.headers


def test_a_folder_that_is_no_study_is_named(tmp_path, capsys):
    assert main(["serve", str(tmp_path)]) == 1
    assert "is no study" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_study_is_served_once(servers, bare_study):
    with servers.run(bare_study) as (pid, _):
        _, words = servers.start(bare_study)
        assert f"is served already by process {pid}" in words


def test_users_are_managed_on_the_command_line(bare_study, capsys, monkeypatch):
    def give(text: str) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO(text))

    study = str(bare_study)
    give(f"{PASSWORD}\n")
    assert main(["users", "add", study, "ona", "--role", "planner"]) == 0
    give("short\n")
    assert main(["users", "add", study, "jonas"]) == 1
    assert "the password has 5 characters" in capsys.readouterr().err
    assert main(["users", "role", study, "ona", "auditor"]) == 0
    assert main(["users", "role", study, "ona", "king"]) == 1
    capsys.readouterr()
    assert main(["users", "list", study, "--json"]) == 0
    assert [(row["name"], row["role"]) for row in json.loads(capsys.readouterr().out)["users"]] == [
        ("ona", "auditor")
    ]
    give("another password\n")
    assert main(["users", "password", study, "ona"]) == 0
    assert main(["users", "remove", study, "onna"]) == 1
    assert "did you mean 'ona'?" in capsys.readouterr().err
    assert main(["users", "remove", study, "ona"]) == 0
    assert main(["serve", study, "--host", "0.0.0.0"]) == 1


def send_much(address: str, count: int, sized: bool) -> tuple[httpx.Response, int]:
    """POST `count` MiB piece by piece; returns the answer and the bytes that were sent before it came."""
    sent = 0

    def pieces():
        nonlocal sent
        piece = bytes(MIB)
        for _ in range(count):
            sent += len(piece)
            yield piece

    headers = {**ask_token(address), "content-type": "text/csv"}
    if sized:
        headers["content-length"] = str(count * MIB)
    answer = httpx.post(f"{address}/api/ledger/import", content=pieces(), headers=headers, timeout=60)
    return answer, sent


def read_peak_mib(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text("ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", text)[1]) / 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
@pytest.mark.parametrize("sized", [True, False], ids=["with its length", "in chunks"])
def test_a_gigabyte_is_refused_without_reading_it_into_memory(servers, bare_study, sized):
    with servers.run(bare_study) as (pid, address):
        ask_token(address)
        before = read_peak_mib(pid)
        answer, _ = send_much(address, 1024, sized)
        assert answer.status_code == 413
        assert "larger than 33,554,432 bytes" in answer.json()["faults"][0]["what"]
        grown = read_peak_mib(pid) - before
        assert grown < 120, f"{grown:.0f} MiB more"
        assert httpx.get(f"{address}/api/health").status_code == 200


def test_a_body_where_none_belongs_is_refused(servers, bare_study):
    with servers.run(bare_study) as (_, address):
        answer = httpx.request("GET", f"{address}/api/health", content=b"x" * 2000)
        assert answer.status_code == 413


def test_who_connects_and_says_nothing_is_hung_up_on(servers, bare_study):
    with servers.run(bare_study, limits={"head_wait_s": 0.5}) as (_, address):
        host, port = address.removeprefix("http://").split(":")
        for words in (b"", b"GET /api/health HTTP/1.1\r\nHost: 127"):
            with socket.create_connection((host, int(port)), timeout=10) as line:
                line.sendall(words)
                started = time.monotonic()
                with suppress(ConnectionResetError):
                    assert line.recv(100) == b""
                assert 0.2 < time.monotonic() - started < 5
        assert httpx.get(f"{address}/api/health").status_code == 200


def test_a_body_that_comes_too_slowly_is_given_up(servers, bare_study):
    with servers.run(bare_study, limits={"body_wait_s": 0.5}) as (_, address):
        host, port = address.removeprefix("http://").split(":")
        token = ask_token(address)["X-CSRF-Token"]
        head = (
            f"POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nX-CSRF-Token: {token}\r\n"
            "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        )
        with socket.create_connection((host, int(port)), timeout=10) as line:
            line.sendall(head.encode())
            assert line.recv(4000).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    "words",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/me HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET /api/health\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_what_is_no_http_ends_no_server(servers, bare_study, words):
    with servers.run(bare_study) as (_, address):
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=5) as line:
            line.sendall(words)
            line.shutdown(socket.SHUT_WR)
            told = b""
            while piece := line.recv(4000):
                told += piece
        assert not told or re.match(rb"HTTP/1\.[01] 4\d\d ", told), told[:200]
        assert httpx.get(f"{address}/api/health").status_code == 200


def test_jobs_under_way_stand_as_interrupted_after_kill_9(servers, study_copy):
    with servers.run(study_copy) as (pid, address):
        headers = ask_token(address)
        asked = {"kind": "solve", "plan": "slow", "settings": {"gap": 0, "time_limit_s": 600}}
        first = httpx.post(f"{address}/api/jobs", json=asked, headers=headers).json()["id"]
        second = httpx.post(f"{address}/api/jobs", json={**asked, "plan": "next"}, headers=headers).json()[
            "id"
        ]
        end = time.monotonic() + 60
        while (
            httpx.get(f"{address}/api/jobs/{first}").json()["state"] != "running" and time.monotonic() < end
        ):
            time.sleep(0.05)
        workers = [one for one in psutil.Process(pid).children() if "worker" in " ".join(one.cmdline())]
        assert len(workers) == 1
        os.kill(pid, signal.SIGKILL)
        wait_gone(pid)
        # The work does not outlive the server that would tell of it.
        _, alive = psutil.wait_procs(workers, timeout=30)
        assert alive == []
    with servers.run(study_copy) as (_, address):
        job = httpx.get(f"{address}/api/jobs/{first}").json()
        assert job["state"] == "interrupted"
        headers = ask_token(address)
        answer = httpx.post(f"{address}/api/jobs/{first}/restart", headers=headers)
        assert answer.status_code == 202
        for key in (second, first):
            httpx.post(f"{address}/api/jobs/{key}/cancel", headers=headers)


HEADER = "kind,key,on,country,line,stage,amount_eur,source,tag,access\n"


def write_rows(number: int) -> str:
    row = "budget,k{0}_{1},2026-01-01,LT,total,planned,{0}{1},test,G,public\n"
    return HEADER + "".join(row.format(number, part) for part in range(3))


def kill_after(pid: int, seconds: float) -> threading.Timer:
    timer = threading.Timer(seconds, os.kill, [pid, signal.SIGKILL])
    timer.start()
    return timer


@pytest.mark.slow
def test_killed_at_fifty_moments_nothing_acknowledged_is_lost(servers, bare_study):
    """One server after the other is killed: while it starts, at its first records, or when it has some."""
    draw = random.Random(20261122)
    acknowledged: set[int] = set()
    asked = 0
    for moment in range(MOMENTS):
        pid, address = servers.start(bare_study)
        phase = moment % 5
        timer = kill_after(pid, draw.uniform(0.0, 0.5)) if phase == 0 else None
        with httpx.Client(base_url=address, timeout=20) as client, suppress(httpx.TransportError):
            client.headers.update({**ask_token(address), "content-type": "text/csv"})
            timer = timer or (kill_after(pid, draw.uniform(0.0, 1.0)) if phase < 3 else None)
            while True:
                asked += 1
                answer = client.post("/api/ledger/import", content=write_rows(asked))
                if answer.status_code == 429:
                    time.sleep(0.05)
                    continue
                assert answer.status_code == 200, answer.text
                acknowledged.add(asked)
                timer = timer or kill_after(pid, draw.uniform(0.0, 0.4))
        timer.join()
        wait_gone(pid)
    assert len(acknowledged) > MOMENTS
    with open_ledger(bare_study) as ledger:
        assert ledger.verify().sound
        keys = [record.key for record in ledger.read()]
    whole = Counter(int(key[1:].partition("_")[0]) for key in keys)
    assert {number for number in acknowledged if whole[number] != 3} == set()
    assert set(whole.values()) == {3}, "half an import was recorded"
    assert len(keys) == len(set(keys))


def test_readers_of_parameters_are_made_before_the_first_request(bare_study, monkeypatch):
    with open_client(bare_study) as client:
        made = []
        monkeypatch.setattr("fastapi.routing.get_dependant", lambda **asked: made.append(asked["path"]))
        assert client.get("/api/me").status_code == 200
        assert made == []
