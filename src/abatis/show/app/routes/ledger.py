"""Addresses of the ledger: records, the state of the programme, import."""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from abatis.programme.ledger.importing import import_records
from abatis.programme.ledger.records import Kind
from abatis.programme.ledger.store import Ledger
from abatis.show.app.answers.ledger import (
    HistoryAnswer,
    ImportAnswer,
    RecordsAnswer,
    RepeatedAnswer,
    answer_record,
)
from abatis.show.app.answers.tables import answer_table
from abatis.show.app.answers.views import ViewAnswer
from abatis.show.app.context import LedgerHere, StudyHere, VisitorHere
from abatis.show.app.refusals import Refusal
from abatis.show.app.sending import send_packed
from abatis.show.app.views.answering import PUBLIC, PlanQuery, ask, mark_status
from abatis.show.app.views.ledger import assess, count_kinds, make_monitor_view, read_ledger
from abatis.show.ledger import tabulate_record

router = APIRouter(prefix="/api/ledger", tags=["ledger"])
PAGE = 50
LOCAL = "local"
KindAsked = Literal["", Kind]
Key = Annotated[str, Query(max_length=200, description="key of the thing that records speak of")]
Page = Annotated[int, Query(ge=1, le=1_000_000)]
Seq = Annotated[int, InPath(ge=1, le=2**53, description="number of the record")]
Day = Annotated[date | None, Query(alias="date", description="YYYY-MM-DD; today when left out")]


@router.get("/records")
def list_records(
    ledger: LedgerHere,
    visitor: VisitorHere,
    kind: KindAsked = "",
    key: Key = "",
    page: Page = 1,
    everything: Annotated[bool, Query(alias="all", description="corrected ones too")] = False,
) -> RecordsAnswer:
    """Send one page of records, newest first."""
    public = visitor.role == PUBLIC
    snapshot = read_ledger(ledger)
    found = snapshot.select("", "", everything, public)
    chosen = snapshot.select(kind, key, everything, public) if kind or key else found
    part = chosen[(page - 1) * PAGE : page * PAGE]
    return RecordsAnswer(
        total=len(chosen),
        page=page,
        pages=max(1, -(-len(chosen) // PAGE)),
        kinds=count_kinds(found),
        records=[answer_record(one, snapshot.find_corrector(one.seq, public), public) for one in part],
    )


@router.get("/records/{seq}")
def send_record(ledger: LedgerHere, visitor: VisitorHere, seq: Seq) -> HistoryAnswer:
    """Send one record, and what else was recorded of the same thing."""
    public = visitor.role == PUBLIC
    snapshot = read_ledger(ledger)
    record = snapshot.find(seq, public)
    if record is None:
        raise Refusal(404, f"There is no record {seq}.", remedy="GET /api/ledger/records lists them")
    history = snapshot.select(record.kind, record.key, True, public)
    corrected_by = snapshot.find_corrector(seq, public)
    shown = record._replace(previous_hash="", hash="") if public else record
    return HistoryAnswer(
        record=answer_record(record, corrected_by, public),
        history=[
            answer_record(one, snapshot.find_corrector(one.seq, public), public) for one in reversed(history)
        ],
        table=answer_table(tabulate_record(shown, corrected_by), record.source),
    )


@router.get("/status", response_model=ViewAnswer)
def send_status(
    request: Request,
    study: StudyHere,
    ledger: LedgerHere,
    visitor: VisitorHere,
    day: Day = None,
    plan: PlanQuery = "",
) -> Response:
    """Send plan against actual on a day: lines, earned value, delays, disclosure, renewals, alerts."""
    public = visitor.role == PUBLIC
    asked, when = ask(study, "" if public else plan), day or date.today()
    snapshot = read_ledger(ledger)
    # The public's state knows nothing of plans, so that none shows through.
    name = "" if public else asked.name
    version = mark_status(study, name)

    def write() -> bytes:
        status = assess(snapshot, asked.now.study, version, name, when, public)
        return make_monitor_view(status).model_dump_json().encode()

    packed = study.pack(
        asked.now, ("status", name, when, public, snapshot.head, version), write, "application/json"
    )
    return send_packed(request, packed)


@router.post(
    "/import",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "text/csv": {"schema": {"type": "string"}},
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            },
        }
    },
)
async def import_file(
    request: Request,
    ledger: LedgerHere,
    visitor: VisitorHere,
    dry_run: bool = False,
    kind: KindAsked = "",
    form: Annotated[Literal["csv", "xlsx"], Query(description="what the body is")] = "csv",
) -> ImportAnswer:
    """Record the rows of a CSV or XLSX file (the body), all or none; with `dry_run` only check them.

    Every fault of every row is told at once. The author of the records is who is logged in.
    """
    body = await request.body()
    if not body:
        raise Refusal(400, "The body is empty.", remedy="send the file as the body")
    name = f"{kind or 'records'}.{form}"
    return await run_in_threadpool(_import, ledger, body, name, visitor.name or LOCAL, dry_run)


def _import(ledger: Ledger, body: bytes, name: str, author: str, dry_run: bool) -> ImportAnswer:
    with tempfile.TemporaryDirectory(prefix="abatis-") as folder:
        path = Path(folder) / name
        path.write_bytes(body)
        report = import_records(ledger, path, author, dry_run)
    return ImportAnswer(
        dry_run=report.dry_run,
        rows=report.rows,
        new=dict(report.new),
        added=[one.seq for one in report.added],
        repeated=[
            RepeatedAnswer(file=Path(place[0]).name, row=place[1], seq=seq)
            for place, seq in report.repeated.items()
        ],
    )
