"""The table of access: every route stands in it, every role gets what it says and no more, on the wire."""

from __future__ import annotations

import re
import warnings

import pytest
from fastapi.routing import APIRoute
from tests.show.app.clients import add_user, log_in, open_client

from abatis.show.app.application import find_routers
from abatis.show.app.pages import router as pages
from abatis.show.app.security.roles import RIGHTS, USER_ROLES, find_access, read_access

ROLES = ("anyone", "public", *USER_ROLES)


def list_routes() -> set[tuple[str, str]]:
    found = set()
    for router in (*find_routers(), pages):
        for route in router.routes:
            assert isinstance(route, APIRoute), route
            found |= {(method, route.path) for method in route.methods}
    return found


def test_every_route_stands_in_the_table_and_every_row_has_a_route():
    rows = {(row.method, row.path) for row in read_access()}
    routes = list_routes()
    assert routes - rows == set(), "these routes are missing from access.csv: nobody may call them"
    assert rows - routes == set(), "access.csv has rows for routes that do not exist"


def test_what_changes_something_is_never_for_the_public_and_is_audited():
    changing = [row for row in read_access() if row.method not in ("GET", "HEAD")]
    open_to_all = {row.path for row in changing if row.roles & {"anyone", "public"}}
    assert open_to_all == {"/api/login"}
    asking_only = {row.path for row in changing if not row.audited}
    assert all(path.endswith(("/switch", "/routes", "/compare")) for path in asking_only), asking_only


def test_fixed_addresses_are_found_before_open_ones():
    assert find_access("GET", "/api/plans/x/sites").path == "/api/plans/{name}/sites"
    assert find_access("HEAD", "/api/health").method == "GET"
    assert find_access("GET", "/api/plans/a/b/c/d") == []
    assert find_access("TRACE", "/api/health") == ["GET"]
    assert find_access("GET", "/api/new") == []


@pytest.mark.parametrize("role", ROLES)
def test_each_role_gets_what_the_table_says_on_the_wire(make_client, bare_study, role):
    add_user(bare_study, "root", "admin")
    client = make_client(bare_study, public=role == "public")
    if role in USER_ROLES:
        add_user(bare_study, "one", role)
        log_in(client, "one")
    for row in read_access():
        if row.path == "/api/logout":
            continue
        path = re.sub(r"\{id\}", "00ff", re.sub(r"\{seq\}", "1", row.path))
        path = re.sub(r"\{[^}]+\}", "x", path)
        headers = {"content-type": "application/json"}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            body = b"{}" if row.method != "GET" else None
            answer = client.request(row.method, path, content=body, headers=headers)
        allowed = not RIGHTS[role].isdisjoint(row.roles)
        what = f"{role} {row.method} {path}: {answer.status_code} {answer.text[:200]}"
        if allowed:
            assert answer.status_code not in (401, 403, 405, 500), what
        elif role in ("anyone", "public"):
            assert answer.status_code == 401, what
        else:
            assert answer.status_code == 403, what
        assert "Content-Security-Policy" in answer.headers


def test_a_route_that_the_table_does_not_know_is_refused(bare_study):
    client = open_client(bare_study)
    app = client.app

    @app.get("/api/forgotten")
    def forgotten() -> str:
        return "secret"

    @app.get("/api/{part}/twice")
    def twice(part: str) -> str:
        return "secret"

    with client:
        assert client.get("/api/forgotten").status_code == 404
        assert client.get("/api/x/twice").status_code == 404


def test_a_route_behind_the_row_of_another_is_refused(bare_study):
    client = open_client(bare_study)
    app = client.app

    # The guard finds the row of /{file}, which anyone may call; the route is another one.
    def hidden() -> str:
        return "secret"

    app.add_api_route("/hidden", hidden)
    app.router.routes.insert(0, app.router.routes.pop())
    with client:
        answer = client.get("/hidden")
    assert answer.status_code == 403
    assert "secret" not in answer.text
