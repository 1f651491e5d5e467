"""Address of the view of the watch."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from abatis.show.app.answers.views import ViewAnswer
from abatis.show.app.context import StudyHere, VisitorHere
from abatis.show.app.views.answering import ask, send_view
from abatis.show.app.views.kept import stamp_files
from abatis.show.app.views.watch import read_watch

router = APIRouter(prefix="/api", tags=["views"])


@router.get("/watch", response_model=ViewAnswer)
def send_watch(request: Request, study: StudyHere, visitor: VisitorHere) -> Response:
    """Send what posts see: the kept result of a job `watch`."""
    asked = ask(study, "")
    files = stamp_files([study.folder / "watch" / "watch.json", study.folder / "watch" / "watch.gpkg"])
    return send_view(request, visitor, "watch", asked, lambda: read_watch(asked.now.study), files)
