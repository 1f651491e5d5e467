"""Addresses of OGC API - Features: what a GIS connects to."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Path as InPath
from fastapi.responses import Response

from abatis.show.app.context import StudyHere, Visitor, VisitorHere
from abatis.show.app.security.roles import RIGHTS

# The standard's own OpenAPI document, /ogc/openapi, describes these addresses.
router = APIRouter(prefix="/ogc", tags=["features"], include_in_schema=False)
Name = Annotated[str, InPath(max_length=200)]


def _answer(request: Request, study: Any, visitor: Visitor, question: str, *names: str) -> Response:
    from abatis.show.app.features import answer, list_shelves, make_desk

    shelves = list_shelves(study, public="viewer" not in RIGHTS[visitor.role])
    desk = make_desk(f"{request.base_url}ogc", study.study.title, shelves)
    return answer(desk, shelves, request, question, *names)


@router.get("")
@router.get("/")
def send_landing(request: Request, study: StudyHere, visitor: VisitorHere) -> Response:
    """Send the landing page."""
    return _answer(request, study, visitor, "landing")


@router.get("/openapi")
def send_description(request: Request, study: StudyHere, visitor: VisitorHere) -> Response:
    """Send the OpenAPI document of the collections that the visitor sees."""
    return _answer(request, study, visitor, "openapi")


@router.get("/conformance")
def send_conformance(request: Request, study: StudyHere, visitor: VisitorHere) -> Response:
    """Send the classes of the standard that are kept."""
    return _answer(request, study, visitor, "conformance")


@router.get("/collections")
def send_collections(request: Request, study: StudyHere, visitor: VisitorHere) -> Response:
    """Send the list of collections."""
    return _answer(request, study, visitor, "collections")


@router.get("/collections/{collection}")
def send_collection(request: Request, study: StudyHere, visitor: VisitorHere, collection: Name) -> Response:
    """Send what is known of one collection."""
    return _answer(request, study, visitor, "collections", collection)


@router.get("/collections/{collection}/schema")
def send_schema(request: Request, study: StudyHere, visitor: VisitorHere, collection: Name) -> Response:
    """Send the columns of a collection."""
    return _answer(request, study, visitor, "schema", collection)


@router.get("/collections/{collection}/queryables")
def send_queryables(request: Request, study: StudyHere, visitor: VisitorHere, collection: Name) -> Response:
    """Send the columns that can be asked for."""
    return _answer(request, study, visitor, "queryables", collection)


@router.get("/collections/{collection}/items")
def send_items(request: Request, study: StudyHere, visitor: VisitorHere, collection: Name) -> Response:
    """Send a page of features."""
    return _answer(request, study, visitor, "items", collection)


@router.get("/collections/{collection}/items/{item}")
def send_item(
    request: Request, study: StudyHere, visitor: VisitorHere, collection: Name, item: Name
) -> Response:
    """Send one feature."""
    return _answer(request, study, visitor, "item", collection, item)
