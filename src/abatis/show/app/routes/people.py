"""Address of the view of people."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from abatis.show.app.answers.views import ViewAnswer
from abatis.show.app.context import StudyHere, VisitorHere
from abatis.show.app.views.answering import PlanQuery, ask, check_plan, send_view
from abatis.show.app.views.people import read_people

router = APIRouter(prefix="/api", tags=["views"])


@router.get("/people", response_model=ViewAnswer)
def send_people(request: Request, study: StudyHere, visitor: VisitorHere, plan: PlanQuery = "") -> Response:
    """Send the civil account of a plan by place and by area: the kept result of a job `people`."""
    asked = ask(study, plan)
    return send_view(
        request, visitor, "people", asked, lambda: check_plan(asked) or read_people(study.folder, asked.name)
    )
