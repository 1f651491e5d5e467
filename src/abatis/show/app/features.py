"""OGC API - Features over the layers of the plans, read-only; pygeoapi speaks the standard."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyogrio
from fastapi import Request
from fastapi.responses import Response
from pygeoapi import api as standard
from pygeoapi.api import itemtypes
from pygeoapi.openapi import get_oas

from abatis.model.errors import InputError
from abatis.show.app.loaded import KeptPlan, LoadedStudy
from abatis.show.interchange.layers import PUBLIC_COLUMNS

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
DEFAULT_ITEMS, MOST_ITEMS = 100, 10_000
SPOKEN = (
    "application/json",
    "application/geo+json",
    "application/schema+json",
    "application/vnd.oai.openapi+json",
)
# Links to what this server does not have.
ABSENT = ("processes", "job-list", "tiling-schemes", "about")
KEPT_CLASSES = (
    "ogcapi-common-1/1.0/conf/core",
    "ogcapi-common-2/1.0/conf/collections",
    "ogcapi-features-1/1.0/conf/core",
    "ogcapi-features-1/1.0/conf/oas30",
    "ogcapi-features-1/1.0/conf/geojson",
    "ogcapi-features-3/1.0/conf/queryables",
    "ogcapi-features-3/1.0/conf/queryables-query-parameters",
)
PAGE_WORDS = ("f", "limit", "offset", "bbox", "bbox-crs", "crs", "datetime", "properties", "sortby",
              "skipGeometry", "resulttype")  # fmt: skip
TITLES = {
    "cells": "Hexagons",
    "needed_cells": "Cells that shortest routes need",
    "avenues": "Avenues",
    "shared_stretches": "Shared stretches",
    "chokepoints": "Chokepoints",
    "lines": "Closing lines",
    "sites": "Sites",
    "routes": "Routes",
    "places": "Places",
    "facilities": "Facilities",
}
_making = threading.Lock()


@dataclass(frozen=True)
class Shelf:
    """One collection: its key and title, the file and layer it is read from, and the columns it shows."""

    key: str
    title: str
    file: str
    layer: str
    columns: tuple[str, ...]
    stamp: tuple[int, int]
    bounds: tuple[float, float, float, float]


def list_shelves(study: LoadedStudy, public: bool) -> tuple[Shelf, ...]:
    """List the collections: what the public may see, and for others all layers of every plan.

    Parameters
    ----------
    study : the study in memory.
    public : only the columns and layers of `PUBLIC_COLUMNS`.

    In words: layers are read from plan.gpkg beside each plan. A plan made from another state of the study has
    no collections until it is solved again; one whose plan.gpkg shows other sites than plan.json, until
    `abatis report` (or the job report) makes its layers anew. A plan that cannot be read has none.
    """
    found: list[Shelf] = []
    for name in study.list_plans():
        try:
            one = study.read_plan(name)
        except InputError:
            continue
        if one.stale:
            continue
        path = study.folder / "plans" / one.name / "plan.gpkg"
        layers = _open_layers(path, one)
        if not found:
            found += _list_public(path, layers)
        if not public:
            found += _list_of_plan(path, one, layers)
    return tuple(found)


def _open_layers(path: Path, kept: KeptPlan) -> dict[str, dict[str, Any]]:
    """What is known of the layers of a plan; none where the file is missing or shows another plan."""
    try:
        state = path.stat()
    except OSError:
        return {}
    chosen = frozenset((one.site, round(100 * one.cost_eur)) for one in kept.plan.options)
    return _describe_layers(str(path), (state.st_mtime_ns, state.st_size), chosen)


@lru_cache(maxsize=64)
def _describe_layers(
    file: str, stamp: tuple[int, int], chosen: frozenset[tuple[str, int]]
) -> dict[str, dict[str, Any]]:
    names = [str(name) for name, kind in pyogrio.list_layers(file) if kind is not None]
    if "sites" not in names:
        return {}
    sites = pyogrio.read_dataframe(
        file, layer="sites", columns=["site", "chosen", "cost_eur"], read_geometry=False
    )
    shown = {
        (str(site), round(100 * float(cost)))
        for site, is_chosen, cost in zip(sites["site"], sites["chosen"], sites["cost_eur"], strict=True)
        if is_chosen
    }
    if shown != chosen:
        return {}
    described = {name: pyogrio.read_info(file, layer=name, force_total_bounds=True) for name in names}
    return {name: {**about, "stamp": stamp} for name, about in described.items() if about["features"]}


def _list_public(path: Path, layers: dict[str, dict[str, Any]]) -> list[Shelf]:
    return [
        _make_shelf(name, TITLES[name], path, name, layers[name], columns)
        for name, columns in PUBLIC_COLUMNS.items()
        if name in layers
    ]


def _list_of_plan(path: Path, kept: KeptPlan, layers: dict[str, dict[str, Any]]) -> list[Shelf]:
    key = name_plan(kept.name)
    return [
        _make_shelf(
            f"{key}.{name}",
            f"{TITLES[name]}, plan {kept.name}",
            path,
            name,
            layers[name],
            layers[name]["fields"],
        )
        for name in TITLES
        if name in layers
    ]


def _make_shelf(
    key: str, title: str, path: Path, layer: str, about: dict[str, Any], columns: Iterable[str]
) -> Shelf:
    fields = set(about["fields"])
    west, south, east, north = (float(one) for one in about["total_bounds"])
    return Shelf(
        key=key,
        title=title,
        file=str(path),
        layer=layer,
        columns=tuple(str(one) for one in columns if one in fields),
        stamp=about["stamp"],
        bounds=(west, south, east, north),
    )


def name_plan(name: str) -> str:
    """Return a plan's name as a part of an address: other letters become dashes, and a hash keeps it apart.

    Examples
    --------
    >>> name_plan("base"), name_plan("base 2")
    ('base', 'base-2-cadd')
    """
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name)
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:4]}"


@dataclass(frozen=True)
class Desk:
    """pygeoapi set up for one visitor's collections, and the classes of the standard that it keeps."""

    api: standard.API
    classes: tuple[str, ...]


@lru_cache(maxsize=16)
def make_desk(url: str, title: str, shelves: tuple[Shelf, ...]) -> Desk:
    """Set up pygeoapi for some collections.

    Parameters
    ----------
    url : address of the landing page as the visitor calls it.
    title : title of the study.
    shelves : from `list_shelves`.
    """
    config = _configure(url, title, shelves)
    described = get_oas(config, fail_on_invalid_collection=True)
    _correct_description(described)
    root = logging.getLogger()
    with _making:
        # pygeoapi sets up the root logger and grows a list of its own; neither may reach the server.
        handlers, level, classes = list(root.handlers), root.level, list(standard.CONFORMANCE_CLASSES)
        api = standard.API(config, described)
        asked = standard.APIRequest(Request({**_EMPTY_SCOPE}), api.locales)
        told = json.loads(standard.conformance(api, asked)[2])["conformsTo"]
        standard.CONFORMANCE_CLASSES[:] = classes
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.getLogger("pygeoapi").setLevel(logging.CRITICAL)
    return Desk(api, tuple(one for one in told if one.endswith(KEPT_CLASSES)))


_EMPTY_SCOPE: dict[str, Any] = {
    "type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [], "server": ("local", 80),
    "scheme": "http",
}  # fmt: skip


def _configure(url: str, title: str, shelves: tuple[Shelf, ...]) -> dict[str, Any]:
    about = "Layers of the plans of one study, as abatis has them. Read-only; longitude and latitude."
    return {
        "server": {
            "bind": {"host": "localhost", "port": 0},
            "url": url,
            "mimetype": "application/json; charset=UTF-8",
            "encoding": "utf-8",
            "languages": ["en-US"],
            "limits": {"default_items": DEFAULT_ITEMS, "max_items": MOST_ITEMS, "on_exceed": "throttle"},
            "map": {"url": "", "attribution": ""},
        },
        "logging": {"level": "CRITICAL"},
        "metadata": {
            "identification": {
                "title": title,
                "description": about,
                "keywords": ["counter-mobility"],
                "keywords_type": "theme",
                "terms_of_service": url,
                "url": url,
            },
            "license": {"name": "see the sources of the study", "url": url},
            "provider": {"name": "abatis", "url": url},
            "contact": {"name": "abatis"},
        },
        "resources": {
            one.key: {
                "type": "collection",
                "title": one.title,
                "description": f"{one.title}.",
                "keywords": [one.layer],
                "links": [],
                "extents": {"spatial": {"bbox": list(one.bounds), "crs": CRS84}},
                "providers": [
                    {
                        "type": "feature",
                        "name": "abatis.show.app.layer_provider.LayerProvider",
                        "data": {"file": one.file, "layer": one.layer, "columns": list(one.columns)},
                        "id_field": "fid",
                        "crs": [CRS84],
                        "storage_crs": CRS84,
                    }
                ],
            }
            for one in shelves
        },
    }


def _correct_description(described: dict[str, Any]) -> None:
    """Take out of the OpenAPI document what is not offered here."""
    described["components"]["parameters"]["f"]["schema"] = {"type": "string", "enum": ["json"]}
    kept = ("/", "/openapi", "/conformance", "/collections")
    described["paths"] = {
        path: {method: told for method, told in methods.items() if method in ("get", "parameters")}
        for path, methods in described["paths"].items()
        if path in kept or path.startswith("/collections/")
    }


QUESTIONS: dict[str, Callable[..., tuple[dict[str, str], int, Any]]] = {
    "landing": standard.landing_page,
    "openapi": standard.openapi_,
    "collections": standard.describe_collections,
    "schema": standard.get_collection_schema,
    "queryables": itemtypes.get_collection_queryables,
    "items": itemtypes.get_collection_items,
    "item": itemtypes.get_collection_item,
}


def answer(desk: Desk, shelves: tuple[Shelf, ...], request: Request, question: str, *names: str) -> Response:
    """Answer one question of the standard as JSON, whatever the visitor's program would like to see.

    Parameters
    ----------
    desk : from `make_desk`.
    shelves : the collections of the desk.
    request : the visitor's request.
    question : a key of `QUESTIONS`, or conformance.
    names : the collection, and the item.

    In words: pages in HTML would load scripts from elsewhere, so only JSON is spoken, and links to other
    forms are taken out. A parameter that is unknown is refused, as the standard asks.
    """
    fault = _check_words(request, shelves, question, names)
    if fault:
        return _send({"code": "InvalidParameterValue", "description": fault}, 400, "application/json")
    if question == "conformance":
        return _send({"conformsTo": list(desk.classes)}, 200, "application/json")
    headers = [(key, value) for key, value in request.scope["headers"] if not key.startswith(b"accept")]
    scope = {**request.scope, "headers": [*headers, (b"accept", b"application/json")]}
    asked = standard.APIRequest(Request(scope), desk.api.locales)
    told, status, content = QUESTIONS[question](desk.api, asked, *names)
    found = json.loads(content)
    for part in (found, *found.get("collections", ())):
        if "links" in part:
            part["links"] = [link for link in part["links"] if _is_kept(link)]
    media_type = told.get("Content-Type", "application/json")
    if question in ("items", "item") and status == 200:
        media_type = "application/geo+json"
    return _send(found, int(status), media_type, told.get("Content-Crs", ""))


def _send(content: dict[str, Any], status: int, media_type: str, crs: str = "") -> Response:
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    return Response(text, status, {"Content-Crs": crs} if crs else None, media_type)


def _is_kept(link: dict[str, Any]) -> bool:
    kind = str(link.get("type", "")).split(";")[0]
    return kind in SPOKEN and str(link.get("rel", "")).rsplit("/", 1)[-1] not in ABSENT


def _check_words(request: Request, shelves: tuple[Shelf, ...], question: str, names: tuple[str, ...]) -> str:
    """Say what is wrong with the parameters; nothing when all are known."""
    asked = request.query_params
    form = asked.get("f", "json")
    if form != "json":
        return f"f={form[:50]}: only json is offered"
    known = {"f", "crs"} if question == "item" else {"f"}
    if question == "items":
        known = {*PAGE_WORDS, *(name for one in shelves if one.key in names for name in one.columns)}
    unknown = sorted(set(asked) - known)
    if unknown:
        return f"unknown parameters: {', '.join(one[:50] for one in unknown[:10])}"
    if asked.get("resulttype", "results") not in ("results", "hits"):
        return "resulttype is results or hits"
    return ""
