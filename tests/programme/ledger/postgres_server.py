"""A PostgreSQL server of its own for the tests: made in a fresh folder, listening on loopback only."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin")


def find_binaries() -> Path | None:
    """Folder with initdb and pg_ctl, the newest; None when there is no server on this machine."""
    folders = [folder for place in PLACES for folder in Path("/").glob(place[1:])]
    found = [folder for folder in folders if (folder / "initdb").exists() and (folder / "pg_ctl").exists()]
    if found:
        return max(found, key=lambda folder: [int(part) for part in folder.parts if part.isdigit()])
    known = shutil.which("pg_ctl")
    return Path(known).resolve().parent if known and shutil.which("initdb") else None


def find_owner() -> str | None:
    """User who runs the server (it refuses root); empty for the present user, None when there is none."""
    if os.geteuid() != 0:
        return ""
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        return None
    return "postgres" if shutil.which("runuser") or shutil.which("su") else None


class PostgresServer:
    """One server with its data in a temporary folder."""

    def __init__(self) -> None:
        binaries, owner = find_binaries(), find_owner()
        assert binaries is not None and owner is not None
        self._binaries, self._owner = binaries, owner
        self._folder = Path(tempfile.mkdtemp(prefix="abatis-pg-", dir="/tmp"))
        if owner:
            shutil.chown(self._folder, owner)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._run("initdb", "-D", self._data, "-U", "audit", "--auth=trust", "-E", "UTF8", "--no-sync")
        self.start()

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._binaries / program), *arguments]
        if self._owner:
            switch = ["runuser", "-u", self._owner, "--"]
            if not shutil.which("runuser"):
                switch = ["su", self._owner, "-s", "/bin/sh", "-c", 'exec "$0" "$@"', "--"]
            command = [*switch, *command]
        log = self._folder / "log"
        answer = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd="/"
        )
        said = log.read_text() if log.exists() else ""
        assert answer.returncode == 0, answer.stderr + said

    def start(self) -> None:
        """Start and wait until it answers.

        Without fsync: what a dying server leaves behind is in the system's hands all the same, and tests that
        wait for a busy disk would take minutes. Only a power cut would be another matter.
        """
        options = (
            f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories='' "
            "-c shared_buffers=32MB -c max_connections=20 -c fsync=off"
        )
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", self._data, "-l", log, "-o", options, "-w", "-t", "60", "start")

    def stop(self) -> None:
        """Stop at once, as when the machine dies."""
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "stop")

    def make_database(self, name: str) -> str:
        """Make an empty database and return its address."""
        import psycopg

        address = f"postgresql://audit@127.0.0.1:{self.port}"
        with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return f"{address}/{name}"

    def remove(self) -> None:
        """Stop and delete everything."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
