"""Addresses of plans: what they hold, sites, switches, routes, why, curve, saving and comparing."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from abatis.show.app.answers.plans import (
    CompareAnswer,
    CurveAnswer,
    PlanAnswer,
    RoutesAnswer,
    RoutesQuestion,
    SaveQuestion,
    SwitchAnswer,
    SwitchQuestion,
    WhyAnswer,
)
from abatis.show.app.answers.views import FeaturesAnswer
from abatis.show.app.context import NAME_PATTERN, PlanName, StudyHere, VisitorHere, find_plan_folder
from abatis.show.app.loaded import KeptPlan, LoadedStudy
from abatis.show.app.plan_answers import (
    answer_plan,
    compare_two,
    draw_sites,
    read_curve,
    read_effects,
    read_full_reason,
)
from abatis.show.app.saving import save_plan
from abatis.show.app.sending import send_packed
from abatis.show.app.switching import draw_routes, explain_site, switch_sites

router = APIRouter(prefix="/api", tags=["plans"])
SiteWord = Annotated[str, Path(max_length=100, description="key or label of a site")]
PlanKey = Annotated[str, Query(max_length=80, pattern=NAME_PATTERN)]
JSON = "application/json"


@router.get("/plans/{name}", response_model=PlanAnswer)
def send_plan(request: Request, name: PlanName, study: StudyHere) -> Response:
    """Say what a plan holds, what it is worth, and what is proven of it."""
    find_plan_folder(study.folder, name)
    now, kept = study.snapshot(), study.read_plan(name)

    def make() -> bytes:
        return answer_plan(study, kept).model_dump_json().encode()

    return send_packed(request, study.pack(now, ("plan", name, kept.version), make, JSON))


@router.get("/plans/{name}/sites", response_model=FeaturesAnswer)
def send_sites(request: Request, name: PlanName, study: StudyHere) -> Response:
    """Send every candidate site as lines, with its options and the one that the plan chooses."""
    kept = _require(study, name)
    now, beside = study.snapshot(), study.folder / "plans" / name / "plan.gpkg"
    mark = beside.stat().st_mtime_ns if beside.is_file() else 0

    def make() -> bytes:
        return draw_sites(now, kept, read_effects(study.folder, kept)).model_dump_json().encode()

    return send_packed(request, study.pack(now, ("sites", name, kept.version, mark), make, JSON))


@router.post("/plans/{name}/switch")
def switch(name: PlanName, question: SwitchQuestion, study: StudyHere) -> SwitchAnswer:
    """Say what the plan is worth after some sites are switched on, off, or to another option.

    Nothing is changed on disk. `choices` are changes against the plan, several at once.
    """
    kept = _require(study, name)
    return switch_sites(study.snapshot(), kept, question.choices)


@router.post("/plans/{name}/routes")
def send_routes(name: PlanName, question: RoutesQuestion, study: StudyHere) -> RoutesAnswer:
    """Draw the fastest routes without barriers, with the plan, and with the plan as changed."""
    kept = _require(study, name)
    return draw_routes(study.snapshot(), kept, question.approach, question.choices)


@router.get("/plans/{name}/why/{site}")
def send_why(name: PlanName, site: SiteWord, study: StudyHere) -> WhyAnswer:
    """Say what the plan loses without a site, and which other single site wins back most.

    This is the quick answer; the job `why` searches whole plans, and `full` holds what it found.
    """
    kept = _require(study, name)
    now = study.snapshot()
    effects = read_effects(study.folder, kept)
    key = {label: one for one, label in now.labels.items()}.get(site, site)
    answer = explain_site(now, kept, site, effects.get(key, ""))
    return answer.model_copy(update={"full": read_full_reason(study, kept, answer.site)})


@router.get("/plans/{name}/curve")
def send_curve(name: PlanName, study: StudyHere) -> CurveAnswer:
    """Send the solved plans of many budgets, as the job `curve` left them."""
    kept = _require(study, name)
    return read_curve(study, kept)


@router.put("/plans/{name}")
def put_plan(name: PlanName, question: SaveQuestion, study: StudyHere, visitor: VisitorHere) -> PlanAnswer:
    """Keep a plan made by hand.

    It is written whole or not at all. 409 when somebody saved it since `version` was read; the answer says
    who and when. A plan of the solver is never written over: save the changed plan under another name.
    """
    return answer_plan(study, save_plan(study, name, question, visitor.name))


@router.get("/compare")
def send_comparison(a: PlanKey, b: PlanKey, study: StudyHere) -> CompareAnswer:
    """Put two plans side by side: arrivals, sites, results, choices and inputs."""
    return compare_two(study, _require(study, a), _require(study, b))


def _require(study: LoadedStudy, name: str) -> KeptPlan:
    find_plan_folder(study.folder, name)
    return study.require_plan(name)
