"""Addresses of the ground: cells and times as Arrow, isochrones and avenues."""

from __future__ import annotations

import math
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from abatis.model.errors import Fault, InputError
from abatis.show.app.answers.ground import AvenuesAnswer, IsochronesAnswer
from abatis.show.app.context import NAME_PATTERN, StudyHere, find_plan_folder
from abatis.show.app.ground_layers import (
    ARROW,
    describe_hours,
    draw_isochrones,
    find_avenues_now,
    read_plan_avenues,
    time_cells,
    write_cells,
    write_times,
)
from abatis.show.app.loaded import KeptPlan, LoadedStudy
from abatis.show.app.sending import send_packed

router = APIRouter(prefix="/api/ground", tags=["ground"])
Key = Annotated[str, Query(max_length=100, pattern=r"^[\w.-]*$")]
PlanKey = Annotated[str, Query(max_length=80, pattern=rf"^$|{NAME_PATTERN}", description="name of a plan")]
MOST_LIMITS = 24
MOST_HOURS = 1000.0
JSON = "application/json"


@router.get("/cells.arrow", response_class=Response, responses={200: {"content": {ARROW: {}}}})
def send_cells(request: Request, study: StudyHere) -> Response:
    """Send the cells of the mesh: Arrow IPC stream, rows in the order that `times.arrow` follows."""
    now = study.snapshot()
    return send_packed(request, study.pack(now, ("cells",), lambda: write_cells(now), ARROW))


@router.get("/times.arrow", response_class=Response, responses={200: {"content": {ARROW: {}}}})
def send_times(
    request: Request,
    study: StudyHere,
    approach: Key = "",
    vehicle: Key = "",
    season: Key = "",
    plan: PlanKey = "",
) -> Response:
    """Send hours of every cell: Arrow IPC stream with one column `hours` (float32, infinite: never).

    With an approach: from each cell to its objective. Without: from the nearest front of any approach to
    each cell. The metadata of the schema says which, under `from_words`.
    """
    kept = _find_plan(study, plan)
    now = study.snapshot()

    def make() -> bytes:
        hours, words = time_cells(now, approach, vehicle, season, kept.plan if kept else None)
        return write_times(now, hours, words, plan)

    key = ("times", approach, vehicle, season, plan, kept.version if kept else "")
    return send_packed(request, study.pack(now, key, make, ARROW))


@router.get("/isochrones", response_model=IsochronesAnswer)
def send_isochrones(
    request: Request,
    study: StudyHere,
    hours: Annotated[str, Query(max_length=200, description="hours split by commas")] = "1,2,4,6,8,12,24",
    approach: Key = "",
    vehicle: Key = "",
    season: Key = "",
    plan: PlanKey = "",
) -> Response:
    """Send lines of equal time; the time is that of `times.arrow`."""
    limits = read_limits(hours)
    kept = _find_plan(study, plan)
    now = study.snapshot()

    def make() -> bytes:
        times, words = time_cells(now, approach, vehicle, season, kept.plan if kept else None)
        answer = draw_isochrones(now, times, limits, words)
        answer.quantities.append(describe_hours(now, words))
        return answer.model_dump_json().encode()

    key = ("isochrones", limits, approach, vehicle, season, plan, kept.version if kept else "")
    return send_packed(request, study.pack(now, key, make, JSON))


@router.get("/avenues", response_model=AvenuesAnswer)
def send_avenues(request: Request, study: StudyHere, plan: PlanKey = "", approach: Key = "") -> Response:
    """Send avenues, the stretches they share, and chokepoints: with a plan, or before any barrier."""
    kept = _find_plan(study, plan)
    now = study.snapshot()
    mark: object = approach
    if kept is not None:
        beside = find_plan_folder(study.folder, plan) / "plan.gpkg"
        mark = beside.stat().st_mtime_ns if beside.is_file() else 0

    def make() -> bytes:
        if kept is None:
            return find_avenues_now(now, approach).model_dump_json().encode()
        folder = find_plan_folder(study.folder, plan)
        return read_plan_avenues(folder, now.siting, kept.plan).model_dump_json().encode()

    key = ("avenues", plan, kept.version if kept else "", mark)
    return send_packed(request, study.pack(now, key, make, JSON))


def read_limits(text: str) -> tuple[float, ...]:
    """Read hours split by commas: rising, above 0.

    Examples
    --------
    >>> read_limits("4, 1,2")
    (1.0, 2.0, 4.0)
    """
    try:
        found = sorted({float(part) for part in text.split(",")})
    except ValueError:
        found = []
    if (
        not found
        or len(found) > MOST_LIMITS
        or not all(math.isfinite(one) and 0 < one <= MOST_HOURS for one in found)
    ):
        remedy = f"write up to {MOST_LIMITS} hours above 0, split by commas"
        raise InputError([Fault(f"'{text}' is no list of hours", column="hours", remedy=remedy)])
    return tuple(found)


def _find_plan(study: LoadedStudy, name: str) -> KeptPlan | None:
    if not name:
        return None
    find_plan_folder(study.folder, name)
    return study.require_plan(name)
