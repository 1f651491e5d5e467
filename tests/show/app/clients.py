"""Clients and users of the tests of the server."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

with warnings.catch_warnings():
    # Starlette would like another client than httpx; it says so when this is imported for the first time.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

from argon2 import PasswordHasher

from abatis.show.app.application import create_app
from abatis.show.app.security.database import Database
from abatis.show.app.security.users import Users
from abatis.show.app.settings import Settings

BASE = "http://127.0.0.1:8000"
PASSWORD = "long enough words"


def open_client(folder: Path, **settings: Any) -> TestClient:
    """Make a client of a study's server, in this process; to be used as a context manager."""
    app = create_app(Settings(folder, **settings))
    return TestClient(app, base_url=BASE, raise_server_exceptions=False, client=("127.0.0.1", 50000))


def add_user(folder: Path, name: str, role: str, password: str = PASSWORD) -> None:
    """Add a user to the server of a study, with a cheap hash."""
    database = Database(folder / "server.sqlite")
    Users(database, PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)).add(name, password, role)
    database.close()


def log_in(client: TestClient, name: str, password: str = PASSWORD) -> None:
    """Log a client in; its token goes with every request from then on."""
    answer = client.post("/api/login", json={"name": name, "password": password})
    assert answer.status_code == 200, answer.text
    client.headers["X-CSRF-Token"] = answer.json()["csrf"]
