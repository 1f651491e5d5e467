"""Address of the view of the line."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from abatis.show.app.answers.views import ViewAnswer
from abatis.show.app.context import StudyHere, VisitorHere
from abatis.show.app.views.answering import Asked, PlanQuery, ask, send_view
from abatis.show.app.views.line import make_line_view

router = APIRouter(prefix="/api", tags=["views"])


@router.get("/line", response_model=ViewAnswer)
def send_line(request: Request, study: StudyHere, visitor: VisitorHere, plan: PlanQuery = "") -> Response:
    """Send the echelon lines, what they cost and hold, where a plan leaves them open, and joint points."""
    asked = ask(study, plan)
    return send_view(request, visitor, "line", asked, lambda: make_line(asked))


def make_line(asked: Asked) -> ViewAnswer:
    """Make the view of the line; of a plan from another state of the study no leaks are shown."""
    now, kept = asked.now, asked.kept
    plan = kept.plan if kept is not None and not kept.stale else None
    answer = make_line_view(now.study, now.mesh, now.siting, plan, lambda _words, _share: None)
    if kept is not None and kept.stale:
        answer.notes.append(f"Leaks are not shown: plan {asked.name} {kept.stale}.")
    return answer
