"""OGC API - Features: what a GIS reads is the plan, and the public reads no more than it may."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess

import geopandas as gpd
import numpy as np
import pytest
import shapely
from tests.serving import serve_study
from tests.show.app.clients import BASE, PASSWORD, add_user, log_in, open_client

from abatis.show.app.features import MOST_ITEMS
from abatis.show.interchange.layers import PUBLIC_COLUMNS

LAYERS = {
    "cells", "needed_cells", "avenues", "shared_stretches", "chokepoints", "lines", "sites", "routes",
    "places",
}  # fmt: skip
PUBLIC = {"cells", "places"}


@pytest.fixture(scope="module")
def client(solved_folder, tmp_path_factory):
    """A visitor of an open server; nothing in its study is changed."""
    folder = shutil.copytree(solved_folder, tmp_path_factory.mktemp("gis") / "study")
    with open_client(folder) as visitor:
        visitor.headers["X-CSRF-Token"] = visitor.get("/api/me").json()["csrf"]
        yield visitor


@pytest.fixture(scope="session")
def package(solved_folder):
    return solved_folder / "plans" / "base" / "plan.gpkg"


def ask(client, path, status=200):
    answer = client.get(f"/ogc{path}")
    assert answer.status_code == status, answer.text
    return answer.json()


def read_all(client, key, page=7):
    """Every feature of a collection, by following the links called next."""
    found, address = [], f"/collections/{key}/items?limit={page}"
    while address:
        answer = ask(client, address)
        assert answer["numberReturned"] == len(answer["features"]) <= page
        found += answer["features"]
        following = [link["href"] for link in answer["links"] if link["rel"] == "next"]
        address = following[0].removeprefix(f"{BASE}/ogc") if following else ""
    assert answer["numberMatched"] == len(found)
    return found


def test_every_layer_is_a_collection_and_every_link_works(client):
    landing = ask(client, "")
    assert ask(client, "/") == landing
    listed = {one["id"] for one in ask(client, "/collections")["collections"]}
    assert listed == PUBLIC | {f"base.{name}" for name in LAYERS}
    links = list(landing["links"])
    for key in listed:
        links += ask(client, f"/collections/{key}")["links"]
    assert len(links) > 40
    for address in {link["href"] for link in links}:
        assert address.startswith(f"{BASE}/ogc")
        assert client.get(address.removeprefix(BASE)).status_code == 200, address


def test_it_claims_only_what_it_does(client):
    classes = ask(client, "/conformance")["conformsTo"]
    assert "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core" in classes
    assert not [one for one in classes if re.search("html|create|crs|coverage|process|stac", one)]
    described = ask(client, "/openapi")
    assert all(set(methods) <= {"get", "parameters"} for methods in described["paths"].values())
    assert "/collections/base.sites/items" in described["paths"]
    # Asked again and again, it answers the same.
    assert ask(client, "/conformance")["conformsTo"] == classes


@pytest.mark.parametrize("name", sorted(LAYERS - {"cells"}))
def test_features_are_those_of_the_plan(name, client, package):
    wanted = gpd.read_file(package, layer=name)
    found = gpd.GeoDataFrame.from_features(read_all(client, f"base.{name}"), crs=4326)
    assert len(found) == len(wanted)
    assert shapely.equals_exact(found.geometry.to_numpy(), wanted.geometry.to_numpy(), 1e-7).all()
    for column in wanted.columns.drop("geometry"):
        if wanted[column].dtype.kind in "fiu":
            assert np.array_equal(found[column].astype(float), wanted[column].astype(float), equal_nan=True)
        else:
            assert found[column].fillna("").tolist() == wanted[column].fillna("").tolist()


def test_questions_choose_sort_and_shorten(client, package):
    sites = gpd.read_file(package, layer="sites")
    chosen = sites[sites["chosen"]]
    answer = ask(
        client, "/collections/base.sites/items?chosen=true&sortby=-cost_eur&properties=site,cost_eur"
    )
    costs = [one["properties"]["cost_eur"] for one in answer["features"]]
    assert costs == sorted(chosen["cost_eur"], reverse=True)
    assert {tuple(one["properties"]) for one in answer["features"]} == {("site", "cost_eur")}
    ordered = ask(client, "/collections/base.sites/items?sortby=echelon,-gap_km&skipGeometry=true")[
        "features"
    ]
    assert {one["geometry"] for one in ordered} == {None}
    wanted = sites.sort_values(["echelon", "gap_km"], ascending=[True, False], kind="stable")["site"].tolist()
    assert [one["properties"]["site"] for one in ordered] == wanted
    hits = ask(client, "/collections/base.sites/items?resulttype=hits&kind=line")
    assert (hits["numberMatched"], hits["features"]) == ((sites["kind"] == "line").sum(), [])
    row = ask(client, f"/collections/base.sites/items?site={chosen['site'].iloc[0]}")["features"]
    assert ask(client, f"/collections/base.sites/items/{row[0]['id']}")["properties"] == row[0]["properties"]


def test_boxes_find_what_lies_in_them(client, package):
    cells = gpd.read_file(package, layer="cells")
    west, south, east, north = cells.total_bounds
    box = ((west + east) / 2, (south + north) / 2, east, north)
    words = ",".join(str(one) for one in box)
    found = ask(client, f"/collections/cells/items?limit=10000&bbox={words}")
    inside = cells[cells.intersects(shapely.box(*box))]
    assert {one["properties"]["h3"] for one in found["features"]} == set(inside["h3"])
    assert 0 < len(inside) < len(cells)


@pytest.mark.parametrize(
    "question",
    [
        "limit=0", "limit=-1", "limit=x", "offset=-1", "bbox=1,2,3", "bbox=a,b,c,d",
        "bbox=5,0,1", "nonsense=1",
        "filter=chosen=true", "q=x", "sortby=nothing", "properties=nothing", "cost_eur=x", "chosen=perhaps",
        "crs=http://www.opengis.net/def/crs/EPSG/0/3857", "f=html", "f=jsonld",
        "resulttype=all", "cost_eur=nan",
        "bbox-crs=http://www.opengis.net/def/crs/OGC/1.3/CRS84",
    ],
)  # fmt: skip
def test_bad_questions_are_refused_in_words(question, client):
    told = ask(client, f"/collections/base.sites/items?{question}", 400)
    assert told["description"]


@pytest.mark.parametrize(
    "words", ["' OR '1'='1", "x' UNION SELECT * FROM sites --", '" OR 1=1 --', "%00", "a\x00b", "') OR (1=1"]
)
def test_texts_are_never_part_of_the_question(words, client):
    answer = client.get("/ogc/collections/base.sites/items", params={"site": words})
    assert answer.status_code in (200, 400)
    assert answer.json().get("features", []) == []


@pytest.mark.parametrize("item", ["0", "-1", "x", "1.5", "99999999999999999999999", "1%20OR%201=1", "²"])
def test_items_that_are_not_there(item, client):
    assert ask(client, f"/collections/base.sites/items/{item}", 404)["description"]
    assert ask(client, f"/collections/{item}/items", 404)["description"]


def test_pages_are_never_longer_than_promised(client):
    answer = ask(client, f"/collections/cells/items?limit={MOST_ITEMS * 100}")
    assert len(answer["features"]) <= MOST_ITEMS
    assert ask(client, "/collections/cells/items?offset=100000000")["features"] == []


def test_only_reading_is_offered(client):
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = client.request(method, "/ogc/collections/base.sites/items", json={})
        assert answer.status_code in (403, 404, 405)


def test_the_public_gets_its_columns_and_not_one_word_more(study_copy, make_client, results):
    add_user(study_copy, "ona", "viewer")
    client = make_client(study_copy, public=True)
    assert {one["id"] for one in ask(client, "/collections")["collections"]} == PUBLIC
    secret = {one.site.key for one in results.chosen} | {one.option.name for one in results.chosen}
    secret |= {line.name for line in results.siting.lines} | set(results.labels.values())
    secret |= {"base.", "gained_h", "_after_h", "_before_h", "echelon", "objective", "cost_eur"}
    sent = []
    for path in ("", "/openapi", "/conformance", "/collections"):
        sent.append(client.get(f"/ogc{path}").text)
    for name in PUBLIC:
        for part in ("", "/schema", "/queryables", "/items?limit=10000"):
            answer = client.get(f"/ogc/collections/{name}{part}")
            assert answer.status_code == 200
            sent.append(answer.text)
        columns = {key for one in json.loads(sent[-1])["features"] for key in one["properties"]}
        assert columns
        assert columns <= set(PUBLIC_COLUMNS[name])
    assert len(secret) > 10
    for text in sent:
        assert not [word for word in secret if word in text]
    for name in LAYERS:
        for part in ("", "/items", "/schema", "/queryables", "/items/1"):
            assert client.get(f"/ogc/collections/base.{name}{part}").status_code == 404
    # What is hidden cannot be asked for either: neither chosen by, nor sorted by.
    for question in ("gained_h=1", "sortby=gained_h", "properties=gained_h", "objective=true"):
        name = "places" if "objective" in question else "cells"
        assert client.get(f"/ogc/collections/{name}/items?{question}").status_code == 400
    log_in(client, "ona")
    assert len(ask(client, "/collections")["collections"]) == len(PUBLIC) + len(LAYERS)


def test_without_a_public_view_nobody_reads_anything(study_copy, make_client):
    add_user(study_copy, "ona", "viewer")
    client = make_client(study_copy)
    for path in ("", "/collections", "/collections/cells/items"):
        assert client.get(f"/ogc{path}").status_code == 401


def test_layers_of_another_plan_are_not_shown(study_copy, make_client):
    plan = study_copy / "plans" / "base" / "plan.json"
    values = json.loads(plan.read_text("utf-8"))
    values["options"] = values["options"][1:]
    values["cost_eur"] -= 1.0
    other = study_copy / "plans" / "other"
    shutil.copytree(plan.parent, other)
    (other / "plan.json").write_text(json.dumps({**values, "name": "other"}), "utf-8")
    client = make_client(study_copy)
    assert not [one for one in ask(client, "/collections")["collections"] if one["id"].startswith("other.")]
    (study_copy / "plans" / "base" / "plan.gpkg").unlink()
    assert ask(client, "/collections")["collections"] == []
    assert ask(client, "/collections/base.sites/items", 404)["description"]


def test_gdal_connects_as_a_gis_does(study_copy, package):
    program = shutil.which("ogrinfo")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("ogrinfo (package gdal-bin) is missing: the runner must have it")
        pytest.skip("ogrinfo is not installed: no GIS connects to the server")

    def run(*words, user=""):
        settings = {**os.environ, **({"GDAL_HTTP_USERPWD": user} if user else {})}
        asked = [program, "-ro", *words]
        return subprocess.run(asked, capture_output=True, text=True, timeout=120, check=False, env=settings)

    def read(*words, user=""):
        answer = run(*words, user=user)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    with serve_study(study_copy) as address:
        source = f"OAPIF:{address}/ogc"
        listed = set(re.findall(r"^\d+: (\S+)", read(source), re.MULTILINE))
        assert listed == PUBLIC | {f"base.{name}" for name in LAYERS}
        for name in LAYERS:
            told = read("-so", "-oo", "PAGE_SIZE=100", source, f"base.{name}")
            assert int(re.search(r"Feature Count: (\d+)", told)[1]) == len(gpd.read_file(package, layer=name))
        sites = gpd.read_file(package, layer="sites")
        told = read("-oo", "PAGE_SIZE=5", source, "base.sites")
        found = re.findall(r"site \(String\) = (\S+)", told)
        assert found == sites["site"].tolist()
        costs = [float(one) for one in re.findall(r"cost_eur \(Real\) = (\S+)", told)]
        assert costs == sites["cost_eur"].tolist()
        told = read("-spat", "24.0", "54.8", "24.05", "55.0", source, "base.sites")
        near = sites[sites.intersects(shapely.box(24.0, 54.8, 24.05, 55.0))]
        assert set(re.findall(r"site \(String\) = (\S+)", told)) == set(near["site"])
    add_user(study_copy, "ona", "viewer")
    with serve_study(study_copy) as address:
        source = f"OAPIF:{address}/ogc"
        assert run(source).returncode != 0
        assert run(source, user="ona:wrong").returncode != 0
        told = read("-so", source, "base.sites", user=f"ona:{PASSWORD}")
        assert f"Feature Count: {len(sites)}" in told
