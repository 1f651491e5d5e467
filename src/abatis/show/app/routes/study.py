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
JSON = "application/json"


@router.get("/study", response_model=StudyAnswer)
def send_study(request: Request, study: StudyHere, visitor: VisitorHere, server: ServerHere) -> Response:
    """Say what the study is, what may be asked of it, and which plans it has.

    The public is told neither plans nor approaches.
    """
    now, public = study.snapshot(), visitor.role == "public"

    def make() -> bytes:
        answer = describe_study(study).model_copy(update={"tiles": server.settings.tiles})
        if public:
            answer = answer.model_copy(update={"plans": [], "approaches": [], "faults": []})
        return answer.model_dump_json().encode()

    faults = tuple(one.what for one in now.faults)
    key = ("study", public, study.stamp_plans(), faults)
    return send_packed(request, study.pack(now, key, make, JSON))


@router.get("/base", response_model=BaseAnswer)
def send_base(request: Request, study: StudyHere) -> Response:
    """Send the base map, drawn from the study's own sources."""
    now = study.snapshot()
    return send_packed(
        request, study.pack(now, ("base",), lambda: draw_base(now).model_dump_json().encode(), JSON)
    )
