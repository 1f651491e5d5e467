"""Addresses of the study itself and of the base map."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from abatis.show.app.answers.study import BaseAnswer, StudyAnswer
from abatis.show.app.context import ServerHere, StudyHere, VisitorHere
from abatis.show.app.describing import describe_study
from abatis.show.app.ground_layers import draw_base
from abatis.show.app.sending import send_packed

router = APIRouter(prefix="/api", tags=["study"])


@router.get("/study")
def send_study(study: StudyHere, visitor: VisitorHere, server: ServerHere) -> StudyAnswer:
    """Say what the study is, what may be asked of it, and which plans it has.

    The public is told neither plans nor approaches.
    """
    answer = describe_study(study).model_copy(update={"tiles": server.settings.tiles})
    if visitor.role == "public":
        return answer.model_copy(update={"plans": [], "approaches": [], "faults": []})
    return answer


@router.get("/base", response_model=BaseAnswer)
def send_base(request: Request, study: StudyHere) -> Response:
    """Send the base map, drawn from the study's own sources."""
    now = study.snapshot()
    packed = study.pack(now, ("base",), lambda: draw_base(now).model_dump_json().encode(), "application/json")
    return send_packed(request, packed)
