"""Address of traces: from any number on the page to its records and sources."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from abatis.show.app.answers.trace import TraceAnswer
from abatis.show.app.context import LedgerHere, StudyHere, VisitorHere
from abatis.show.app.refusals import Refusal
from abatis.show.app.tracing.finding import find_trace
from abatis.show.app.views.answering import PUBLIC
from abatis.show.app.views.ledger import read_ledger

router = APIRouter(prefix="/api", tags=["views"])
Of = Annotated[
    str, Query(min_length=1, max_length=600, description="id of a number, as rows carry in _trace")
]


@router.get("/trace")
def send_trace(of: Of, study: StudyHere, ledger: LedgerHere, visitor: VisitorHere) -> TraceAnswer:
    """Say what a number is, how it is made, its source and tag, and the records and inputs it rests on."""
    found = find_trace(study, read_ledger(ledger), of, visitor.role == PUBLIC)
    if found is None:
        raise Refusal(404, "There is no such number.", "of", "take the id from a row of a table")
    return found
