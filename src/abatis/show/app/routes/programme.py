"""Address of the view of the programme."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from abatis.show.app.answers.views import ViewAnswer
from abatis.show.app.context import StudyHere, VisitorHere
from abatis.show.app.views.answering import Asked, PlanQuery, ask, check_plan, send_view
from abatis.show.app.views.programme import make_programme_view

router = APIRouter(prefix="/api", tags=["views"])


@router.get("/programme", response_model=ViewAnswer)
def send_programme(
    request: Request, study: StudyHere, visitor: VisitorHere, plan: PlanQuery = ""
) -> Response:
    """Send money, works and hours by year: the schedule kept by a job `programme`, bands by a job `risk`."""
    asked = ask(study, plan)
    return send_view(request, visitor, "programme", asked, lambda: make_programme(asked))


def make_programme(asked: Asked) -> ViewAnswer:
    """Make the view of the programme, or say which job makes it."""
    missing = check_plan(asked)
    if missing is not None or asked.kept is None:
        return missing or ViewAnswer(made=False)
    now = asked.now
    return make_programme_view(now.study, now.mesh, now.siting, now.labels, asked.kept.plan)
