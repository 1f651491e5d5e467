"""Every route that the API describes, asked with thousands of made-up questions: no answer is a 5xx."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from tests.show.app.clients import BASE, open_client

from abatis.show.app.security.roles import read_access
from abatis.show.app.settings import Limits

EXAMPLES = 15
NO_JOBS = Limits(jobs_at_once=0, jobs_waiting=3, calls={})
ROUTES = sorted(
    {
        (row.method, row.path)
        for row in read_access()
        if row.path.startswith(("/api/", "/ogc")) and row.path != "/api/openapi.json"
    }
)
OUR_OWN = ("traceback", 'file "', "site-packages", "sqlalchemy")


@pytest.fixture(scope="module")
def opened(solved_folder: Path, tmp_path_factory: pytest.TempPathFactory):
    """A client of the small study with a ledger, and what its API says of itself."""
    folder = Path(shutil.copytree(solved_folder, tmp_path_factory.mktemp("fuzz") / "study"))
    with open_client(folder, limits=NO_JOBS) as client:
        client.headers["X-CSRF-Token"] = client.get("/api/me").json()["csrf"]
        own = schemathesis.openapi.from_dict(client.get("/api/openapi.json").json())
        yield client, own, schemathesis.openapi.from_dict(describe_map_layers())


def describe_map_layers() -> dict:
    """What map programs may ask: described here, since the library's own description points outside."""
    anything = {"type": "string"}
    words = (
        "f lang limit offset bbox bbox-crs crs datetime properties sortby q skipGeometry resulttype filter"
    )
    asked = [{"name": word, "in": "query", "schema": anything} for word in (*words.split(), "filter-lang")]
    known = {"anyOf": [{"enum": ["base.places", "base.sites", "base.land"]}, anything]}
    in_path = {
        part: {"name": part, "in": "path", "required": True, "schema": schema}
        for part, schema in (("collection", known), ("item", anything))
    }
    paths = {}
    for method, path in ROUTES:
        if path.startswith("/ogc"):
            parts = [one for part, one in in_path.items() if f"{{{part}}}" in path]
            found = {"parameters": parts + asked, "responses": {"200": {"description": ""}}}
            paths[path] = {method.lower(): found}
    return {"openapi": "3.1.0", "info": {"title": "layers", "version": "1"}, "paths": paths}


def describe_routes(client) -> set[tuple[str, str]]:
    paths = client.get("/api/openapi.json").json()["paths"]
    return {(method.upper(), path) for path, methods in paths.items() for method in methods}


def test_the_api_describes_every_route(opened):
    client, _, _ = opened
    described = describe_routes(client)
    own = {(method, path) for method, path in ROUTES if path.startswith("/api/")}
    assert described == own


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_no_made_up_question_breaks_a_route(opened, method, path):
    client, own, layers = opened
    operation = (layers if path.startswith("/ogc") else own)[path][method]
    seen = set()
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        try:
            strategy = operation.as_strategy(generation_mode=mode)
        except schemathesis.errors.SchemathesisError:
            # A route without parameters cannot be asked wrongly.
            continue

        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=strategy)
        def ask(case):
            answer = send(client, case)
            seen.add(answer.status_code)
            check(answer)

        try:
            ask()
        except BaseException as error:
            if type(error).__name__ not in ("Unsatisfiable", "SkipTest", "Skipped"):
                raise
    assert seen


def send(client, case):
    """Send a made-up question as it would stand on the wire."""
    kwargs = case.as_transport_kwargs(base_url=BASE)
    headers = kwargs.pop("headers", {})
    try:
        asked = requests.Request(**{key: kwargs[key] for key in kwargs if key in REQUEST_WORDS}).prepare()
    except (requests.RequestException, UnicodeError, ValueError):
        asked = requests.Request(case.method, BASE + case.operation.path.replace("{", "").replace("}", ""))
        asked = asked.prepare()
    own = {key: value for key, value in dict(headers).items() if is_header(value)}
    own |= {key: value for key, value in asked.headers.items() if key.lower() != "content-length"}
    body = asked.body.encode() if isinstance(asked.body, str) else asked.body
    own.pop("Transfer-Encoding", None)
    content = body if isinstance(body, bytes) or body is None else b"".join(body)
    return client.request(asked.method, asked.url, headers=own, content=content)


REQUEST_WORDS = ("method", "url", "params", "data", "json", "files", "cookies")


def is_header(value: object) -> bool:
    text = str(value)
    return text.isascii() and text.isprintable()


def check(answer) -> None:
    assert answer.status_code < 500, f"{answer.request.method} {answer.request.url}: {answer.text[:500]}"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    if answer.status_code >= 400:
        said = answer.json()
        if "/ogc" in str(answer.request.url) and "faults" not in said:
            # The standard of map layers has its own words for what is wrong.
            said = {"faults": [{"what": said["code"] and said["description"]}]}
        assert said["faults"]
        assert all(fault["what"] for fault in said["faults"])
        assert not [word for word in OUR_OWN if word in answer.text.lower()], answer.text[:500]
