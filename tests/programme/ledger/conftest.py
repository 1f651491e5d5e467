"""What the tests of the ledger share: a PostgreSQL server of their own."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.programme.ledger.postgres_server import PostgresServer, find_binaries, find_owner


@pytest.fixture(scope="session")
def memory_folder() -> Iterator[Path]:
    """A folder in memory where there is one: a ledger waits for the disk, and some tests write hundreds."""
    shared = Path("/dev/shm")
    place = shared if shared.is_dir() and os.access(shared, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="abatis-ledger-", dir=place) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real PostgreSQL on loopback; without one on the machine these tests are left out, but never in CI."""
    missing = ""
    if find_binaries() is None:
        missing = "no PostgreSQL server is installed: the ledger on PostgreSQL is not tested"
    elif find_owner() is None:
        missing = "there is no user 'postgres' to run a server as: the ledger on PostgreSQL is not tested"
    if missing:
        assert os.environ.get("CI", "").lower() != "true", missing
        pytest.skip(missing)
    server = PostgresServer()
    yield server
    server.remove()


@pytest.fixture
def postgres_address(postgres_server: PostgresServer) -> str:
    """Address of an empty database."""
    return postgres_server.make_database(f"ledger_{uuid.uuid4().hex[:12]}")
