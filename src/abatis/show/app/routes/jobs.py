"""Long work: ask for it, see how far it is, cancel it, start it again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi import Path as InPath
from pydantic import BaseModel, Field, ValidationError

from abatis.show.app.context import NAME_PATTERN, ServerHere, VisitorHere, find_plan_folder
from abatis.show.app.jobs.kinds import KINDS
from abatis.show.app.jobs.records import Job
from abatis.show.app.refusals import FaultAnswer, Refusal

router = APIRouter(prefix="/api/jobs", tags=["jobs"])
JobId = Annotated[str, InPath(max_length=32, pattern="^[0-9a-f]+$", description="id of a job")]
Kind = Literal["solve", "curve", "programme", "risk", "watch", "people", "why", "report"]


class JobQuestion(BaseModel):
    """A job: its kind, the plan it is about (solve makes it), settings of the kind."""

    kind: Kind
    plan: str = Field("", max_length=80)
    settings: dict[str, Any] = Field(default_factory=dict, max_length=20)


class JobAnswer(BaseModel):
    """A job: who asked for what, its state, stage and share done, what came of it, what went wrong."""

    id: str
    kind: Kind
    plan: str
    settings: dict[str, Any]
    user: str
    state: Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
    stage: str
    share: float
    note: str
    asked: str
    started: str | None
    finished: str | None
    result: dict[str, Any] | None
    error: list[FaultAnswer] | None


def _answer(job: Job) -> JobAnswer:
    return JobAnswer(**{name: getattr(job, name) for name in JobAnswer.model_fields})


@router.post("", status_code=202)
def ask_job(question: JobQuestion, request: Request, server: ServerHere, visitor: VisitorHere) -> JobAnswer:
    """Put a job into the queue; the same job asked for twice is one job."""
    kind = KINDS[question.kind]
    _check_plan(question, server.settings.study, kind.needs_plan)
    try:
        asked = kind.asked.model_validate(question.settings)
    except ValidationError as error:
        raise _refuse_settings(error) from error
    settings = asked.model_dump(mode="json", exclude_defaults=True)
    job = server.jobs.add(question.kind, question.plan, settings, visitor.name)
    request.state.audit_note = f"{job.kind} {job.plan} {job.id}"
    return _answer(job)


def _check_plan(question: JobQuestion, study: Path, needs_plan: bool) -> None:
    if question.plan and not re.fullmatch(NAME_PATTERN, question.plan):
        remedy = "begin with a letter or digit; letters, digits, blanks and .,()+- may follow"
        raise Refusal(422, "This is no name for a plan.", "plan", remedy)
    if question.kind == "solve" and not question.plan:
        raise Refusal(422, "The plan to be made has no name.", "plan", "name it")
    if needs_plan or (question.kind == "watch" and question.plan):
        find_plan_folder(study, question.plan)


def _refuse_settings(error: ValidationError) -> Refusal:
    refusal = Refusal(422, "The settings are not valid.", "settings")
    refusal.faults = [
        FaultAnswer(what=one["msg"], where=".".join(["settings", *map(str, one["loc"])]))
        for one in error.errors()[:50]
    ]
    return refusal


@router.get("")
def list_jobs(server: ServerHere) -> list[JobAnswer]:
    """List jobs, the newest first."""
    return [_answer(job) for job in server.jobs.list_all()]


@router.get("/{id}")
def show_job(id: JobId, server: ServerHere) -> JobAnswer:
    """Say how far a job is."""
    return _answer(server.jobs.find(id))


@router.post("/{id}/cancel")
def cancel_job(id: JobId, server: ServerHere) -> JobAnswer:
    """Stop a job cleanly; the best plan so far of a solve is kept as NAME-interrupted."""
    return _answer(server.jobs.cancel(id))


@router.post("/{id}/restart", status_code=202)
def restart_job(id: JobId, server: ServerHere) -> JobAnswer:
    """Put a job that was interrupted, cancelled or failed into the queue again."""
    return _answer(server.jobs.restart(id))
