"""Address of the view of the law."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from abatis.show.app.answers.views import ViewAnswer
from abatis.show.app.context import StudyHere, VisitorHere
from abatis.show.app.views.answering import ask, send_view
from abatis.show.app.views.law import make_law_view

router = APIRouter(prefix="/api", tags=["views"])
Day = Annotated[date | None, Query(alias="date", description="YYYY-MM-DD; today when left out")]
States = Annotated[
    str, Query(max_length=400, pattern=r"^[A-Za-z,]*$", description="codes split by commas, or all")
]


@router.get("/law", response_model=ViewAnswer)
def send_law(
    request: Request, study: StudyHere, visitor: VisitorHere, day: Day = None, states: States = ""
) -> Response:
    """Send treaty register, lawful measures and duties on a day, and what changes over the programme."""
    asked, when = ask(study, ""), day or date.today()
    of = tuple(dict.fromkeys(one for one in states.split(",") if one))
    return send_view(
        request, visitor, "law", asked, lambda: make_law_view(asked.now.study, when, of), when.isoformat(), of
    )
