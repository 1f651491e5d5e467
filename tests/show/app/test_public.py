"""What the public gets on the wire: every address is walked and searched for what must not be there."""

from __future__ import annotations

import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.show.app.clients import add_user, log_in, open_client
from tests.show.app.ledger_rows import (
    SECRET_EUR,
    SECRET_NOTE,
    SECRET_SOURCE,
    SECRET_SUPPLIER,
    write_ledger,
)

from abatis.barrier.sites import site_study
from abatis.model.plan import read_plan
from abatis.show.app.answers.views import ViewAnswer
from abatis.show.app.public import hide_restricted, read_public
from abatis.show.app.security.roles import read_access
from abatis.show.app.tracing.tables import key_of, read_rows
from abatis.show.results import label_sites
from abatis.show.workflow import load_study

DAY = "date=2026-07-01"
# Longitude and latitude side by side: in GeoJSON, or as two members of a row.
PAIR = re.compile(r'(-?\d{1,3}\.\d+),\s*(?:"lat":\s*)?(-?\d{1,2}\.\d+)')
VIEWS = ("line", "watch", "people", "programme", "law")


@pytest.fixture(scope="module")
def folder(viewed_folder: Path, tmp_path_factory) -> Path:
    found = Path(shutil.copytree(viewed_folder, tmp_path_factory.mktemp("public") / "study"))
    write_ledger(found, read_plan(found / "plans" / "base").options[0].site)
    add_user(found, "vera", "viewer")
    return found


@pytest.fixture(scope="module")
def public(folder: Path):
    with open_client(folder, public=True) as client:
        yield client


@pytest.fixture(scope="module")
def viewer(folder: Path):
    with open_client(folder, public=True) as client:
        log_in(client, "vera")
        yield client


@pytest.fixture(scope="module")
def secrets(folder: Path) -> dict[str, list[str]]:
    """Texts that the public must never be sent, by what they are."""
    study, mesh = load_study(folder)
    siting = site_study(study, mesh)
    posts = json.loads((folder / "watch" / "watch.json").read_text("utf-8"))["tables"]["posts"]
    return {
        "keys of sites": [site.key for site in siting.sites],
        "names of sites": [site.name for site in siting.sites],
        "labels of sites": [f'"{label}"' for label in label_sites(siting).values()],
        "places of sites": [locate(site.lon, site.lat) for site in siting.sites],
        "keys of posts": [f'"{row["post"]}"' for row in posts],
        "places of posts": [locate(row["lon"], row["lat"]) for row in posts],
        "what is restricted in the ledger": [
            str(SECRET_EUR), f"{SECRET_EUR:,}", SECRET_SUPPLIER, SECRET_NOTE, SECRET_SOURCE,
            str(SECRET_EUR + 1_000_000),
        ],
    }  # fmt: skip


def list_addresses(client: Any, secrets: dict[str, list[str]], role: str) -> list[str]:
    """Every address that a role may read, its open parts filled with what is there."""
    site, found = secrets["keys of sites"][0], []
    collections = [one["id"] for one in client.get("/ogc/collections").json().get("collections", [])]
    for row in read_access():
        if (
            row.method != "GET"
            or not row.allows(role)
            or row.path.startswith("/assets")
            or row.path == "/{file}"
        ):
            continue
        paths = [row.path.replace("{name}", "base").replace("{site}", site).replace("{item}", "1")]
        if "{seq}" in row.path:
            paths = [row.path.replace("{seq}", str(seq)) for seq in range(1, 9)]
        if "{collection}" in row.path:
            paths = [one.replace("{collection}", name) for one in paths for name in collections]
        found += [one.replace("{id}", "1") for one in paths]
    found += [f"/api/law?states=all&{DAY}", f"/api/ledger/status?{DAY}", "/api/ledger/records?all=true"]
    found += [f"/api/ledger/status?{DAY}&plan=base", "/api/programme?plan=base", "/api/people?plan=base"]
    found += [f"/ogc/collections/{name}/items?limit=1000" for name in collections]
    return list(dict.fromkeys(found))


def locate(lon: float, lat: float) -> str:
    """A place to about a hundred metres, as text."""
    return f"at {math.floor(lon * 1000)} {math.floor(lat * 1000)}"


def locate_all(text: str) -> set[str]:
    """Every pair of neighbouring numbers in a text, read as a place."""
    return {locate(float(one[1]), float(one[2])) for one in PAIR.finditer(text)}


def find_secrets(text: str, secrets: dict[str, list[str]]) -> dict[str, list[str]]:
    near = locate_all(text)
    found = {words: [one for one in texts if one in text or one in near] for words, texts in secrets.items()}
    return {words: texts[:3] for words, texts in found.items() if texts}


def walk(client: Any, addresses: list[str], secrets: dict[str, list[str]]) -> tuple[dict[str, Any], int]:
    """Read every address; return what was found where, and how many answered."""
    found, answered = {}, 0
    for address in addresses:
        answer = client.get(address)
        assert answer.status_code < 500, (address, answer.text)
        answered += answer.status_code == 200
        leak = find_secrets(answer.text, secrets)
        if leak:
            found[address] = leak
    return found, answered


def test_nothing_restricted_is_sent_to_the_public(public, secrets):
    addresses = list_addresses(public, secrets, "public")
    assert {"/api/programme", "/api/people", "/api/line", "/api/law", "/api/study"} <= set(addresses)
    found, answered = walk(public, addresses, secrets)
    assert found == {}
    assert answered >= 15


def test_the_search_finds_what_is_there(viewer, secrets):
    """The same walk as somebody who may see more finds every kind of secret, so the walk can fail."""
    found, _ = walk(viewer, list_addresses(viewer, secrets, "viewer"), secrets)
    assert {words for leak in found.values() for words in leak} == set(secrets)


def test_no_other_address_answers_the_public(public, secrets):
    site = secrets["keys of sites"][0]
    for row in read_access():
        if row.allows("public"):
            continue
        path = row.path.replace("{name}", "base").replace("{site}", site).replace("{id}", "1")
        assert public.request(row.method, path).status_code in (401, 403, 421), path


def test_no_trace_leads_the_public_to_a_secret(public, viewer, folder: Path, secrets):
    """Ids of the public's own tables lead on; ids that only others are shown do not."""
    shown, other = set(), set()
    for address in (
        "/api/programme",
        "/api/people",
        f"/api/ledger/status?{DAY}",
        f"/api/law?{DAY}&states=all",
    ):
        shown |= set(list_ids(public.get(address).json()))
        other |= set(list_ids(viewer.get(address).json()))
    study, _ = load_study(folder)
    for table in ("options", "sensors", "fronts", "places", "approaches", "rules", "posts", "sites"):
        frame = read_rows(study, table)
        other.add(f"table:{table}")
        if frame is not None and len(frame):
            row = frame.iloc[0]
            other.add(f"table:{table}:{key_of(table, row, 2)}:{frame.columns[0]}")
    other |= {"record:4", "setting:seed", "source:roads", "plan:base:approach:x:after_h"}
    assert shown
    for of in sorted(shown):
        answer = public.get("/api/trace", params={"of": of})
        assert answer.status_code == 200, of
        assert find_secrets(answer.text, secrets) == {}
        for one in answer.json()["inputs"]:
            if one["of"]:
                deeper = public.get("/api/trace", params={"of": one["of"]})
                assert deeper.status_code == 200, one
                assert find_secrets(deeper.text, secrets) == {}
    refused = 0
    for of in sorted(other - shown):
        answer = public.get("/api/trace", params={"of": of})
        assert find_secrets(answer.text, secrets) == {}, of
        refused += answer.status_code == 404
    assert refused > 10


def list_ids(view: dict[str, Any]) -> list[str]:
    found = [
        of
        for table in view["tables"].values()
        for row in table["rows"]
        for of in row.get("_trace", {}).values()
    ]
    return found + [of for chart in view["charts"].values() for one in chart["series"] for of in one["trace"]]


def test_every_public_part_is_a_part_of_its_view(viewer):
    """A row of public.csv that opens nothing is a slip; and it names only columns that are there."""
    views = {view: viewer.get(f"/api/{view}").json() for view in VIEWS}
    places = {"table": "tables", "layer": "features", "chart": "charts"}
    for one in read_public().values():
        if one.view == "trace":
            continue
        part = views[one.view][places[one.part]]
        assert one.key in part, one
        if one.part == "table" and one.columns != ("*",):
            assert set(one.columns) <= {column["key"] for column in part[one.key]["columns"]}, one


def test_what_public_csv_does_not_name_is_left_out(viewer):
    whole = ViewAnswer.model_validate(viewer.get("/api/programme").json())
    whole.tables["new"] = whole.tables["years"]
    cut = hide_restricted("programme", whole)
    assert "new" not in cut.tables
    assert "starts" in whole.tables
    assert "starts" not in cut.tables
    assert cut.features == {}
    assert hide_restricted("unheard of", whole).tables == {}
