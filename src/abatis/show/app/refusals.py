"""Refusals over HTTP: every error is a list of faults, each with what, where and a remedy."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from abatis.model.errors import AbatisError, Fault, InfeasibleError, InputError, SizeError

log = logging.getLogger("abatis.server")
REMEDIES = {
    401: "log in",
    403: "ask an administrator for the right to do this",
    404: "check the address",
    405: "check the address and the method",
    415: "send JSON with the header Content-Type: application/json",
}


class FaultAnswer(BaseModel):
    """One thing that is wrong: what, where it stands, how to mend it."""

    what: str
    where: str = ""
    remedy: str = ""


class FaultsAnswer(BaseModel):
    """The body of every answer that is an error."""

    faults: list[FaultAnswer]


class Refusal(Exception):  # noqa: N818
    """Ends a request with a status and one fault.

    Parameters
    ----------
    status : HTTP status, 400 to 599.
    what, where, remedy : the fault.
    headers : more headers of the answer.
    """

    def __init__(
        self,
        status: int,
        what: str,
        where: str = "",
        remedy: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(what)
        self.status = status
        self.faults = [FaultAnswer(what=what, where=where, remedy=remedy or REMEDIES.get(status, ""))]
        self.headers = dict(headers or {})


def answer_faults(
    status: int, faults: Sequence[FaultAnswer], headers: Mapping[str, str] | None = None
) -> Response:
    """Make the answer that carries some faults."""
    text = json.dumps({"faults": [one.model_dump() for one in faults]}, ensure_ascii=False)
    return Response(text, status, dict(headers or {}), "application/json")


def describe_fault(fault: Fault) -> FaultAnswer:
    """Turn a fault of the command line into one for the page.

    Examples
    --------
    >>> describe_fault(Fault("is missing", "tables/budget.csv", 3, "line", "name it")).where
    'tables/budget.csv, row 3, line'
    """
    row = f"row {fault.row}" if fault.row else ""
    where = ", ".join(part for part in (fault.file, row, fault.column) if part)
    return FaultAnswer(what=fault.problem, where=where, remedy=fault.remedy)


def describe_error(error: AbatisError) -> list[FaultAnswer]:
    """Turn any error of abatis into faults."""
    if isinstance(error, InputError):
        return [describe_fault(fault) for fault in error.faults]
    faults = [FaultAnswer(what=str(error))]
    if isinstance(error, InfeasibleError):
        faults += [FaultAnswer(what=f"rule: {rule}") for rule in error.rules]
    return faults


def _answer_error(error: AbatisError) -> Response:
    status = 413 if isinstance(error, SizeError) else 422 if isinstance(error, InfeasibleError) else 400
    return answer_faults(status, describe_error(error))


def _answer_validation(errors: Sequence[Any]) -> Response:
    faults = [
        FaultAnswer(
            what=str(one.get("msg", "is not valid")),
            where=".".join(str(part) for part in one.get("loc", ())),
            remedy="see /api/openapi.json for what is asked",
        )
        for one in errors[:50]
    ]
    return answer_faults(422, faults)


def answer_surprise(error: Exception) -> Response:
    """Make the answer to an error nobody foresaw; the traceback goes to the log under a number."""
    number = secrets.token_hex(4)
    log.error("error %s", number, exc_info=error)
    fault = FaultAnswer(
        what="The server failed at this.",
        where=f"error {number}",
        remedy="try again; the server's log says more under this number",
    )
    return answer_faults(500, [fault])


def handle_errors(app: FastAPI) -> None:
    """Teach an application to answer its errors with faults."""

    async def refuse(request: Request, error: Exception) -> Response:  # noqa: ARG001
        assert isinstance(error, Refusal)
        return answer_faults(error.status, error.faults, error.headers)

    async def refuse_input(request: Request, error: Exception) -> Response:  # noqa: ARG001
        assert isinstance(error, AbatisError)
        return _answer_error(error)

    async def refuse_shape(request: Request, error: Exception) -> Response:  # noqa: ARG001
        assert isinstance(error, RequestValidationError)
        return _answer_validation(error.errors())

    async def refuse_plain(request: Request, error: Exception) -> Response:  # noqa: ARG001
        assert isinstance(error, HTTPException)
        fault = FaultAnswer(what=str(error.detail), remedy=REMEDIES.get(error.status_code, ""))
        return answer_faults(error.status_code, [fault], error.headers)

    app.add_exception_handler(Refusal, refuse)
    app.add_exception_handler(AbatisError, refuse_input)
    app.add_exception_handler(RequestValidationError, refuse_shape)
    app.add_exception_handler(HTTPException, refuse_plain)
