"""Who one is, logging in and out, the audit log, health."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

import abatis
from abatis.show.app.context import ServerHere, VisitorHere
from abatis.show.app.refusals import Refusal
from abatis.show.app.security.guard import COOKIE, find_address, slow_logins
from abatis.show.app.security.users import LONGEST
from abatis.show.app.sending import PackedCache, send_packed

router = APIRouter(prefix="/api", tags=["access"])
_descriptions = PackedCache(8 * 1024 * 1024)


class HealthAnswer(BaseModel):
    """Whether the server runs, its version, and whether the study is ready: loading, ready or failed."""

    status: str
    version: str
    study: str


class MeAnswer(BaseModel):
    """Who asks: name, role, the token that changes need, whether a login would give more."""

    user: str
    role: str
    csrf: str
    login_needed: bool
    public: bool


class LoginQuestion(BaseModel):
    """Name and password of a user."""

    name: str = Field(max_length=64)
    password: str = Field(max_length=LONGEST)


class AuditRow(BaseModel):
    """One line of the audit log."""

    number: int
    at: str
    user: str
    address: str
    action: str
    status: int
    note: str


class AuditAnswer(BaseModel):
    """Lines of the audit log, the newest first; `next` is where to go on, null at the end."""

    rows: list[AuditRow]
    next: int | None


class UserRow(BaseModel):
    """A user and the user's role."""

    name: str
    role: str


@router.get("/health")
async def check_health(server: ServerHere) -> HealthAnswer:
    """Say that the server runs."""
    return HealthAnswer(status="ok", version=abatis.__version__, study=server.study.state)


@router.get("/openapi.json", include_in_schema=False)
def describe_routes(request: Request) -> Response:
    """Describe what can be asked (OpenAPI)."""
    app = request.app
    packed = _descriptions.get(id(app), lambda: json.dumps(app.openapi()).encode())
    return send_packed(request, packed)


@router.get("/me")
async def show_me(visitor: VisitorHere) -> MeAnswer:
    """Say who asks and what role they have."""
    stranger = visitor.role in ("anyone", "public")
    return MeAnswer(
        user=visitor.name,
        role=visitor.role,
        csrf=visitor.csrf,
        login_needed=stranger,
        public=visitor.role == "public",
    )


@router.post("/login")
def log_in(question: LoginQuestion, request: Request, response: Response, server: ServerHere) -> MeAnswer:
    """Begin a login; the cookie is for this server only and no script can read it."""
    limits = server.settings.limits
    address = find_address(request.scope)
    request.state.audit_user = question.name
    slow_logins(server, question.name, address)
    if not server.users.check(question.name, question.password):
        raise Refusal(401, "Name or password is wrong.", remedy="try again, or ask an administrator")
    token, csrf = server.logins.begin(question.name)
    visitor = server.logins.find(token)
    if visitor is None:
        raise Refusal(401, "This user was removed just now.")
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(limits.login_longest_s),
        path="/",
        secure=server.settings.https or request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return MeAnswer(user=visitor.name, role=visitor.role, csrf=csrf, login_needed=False, public=False)


@router.post("/logout", status_code=204)
def log_out(response: Response, server: ServerHere, visitor: VisitorHere) -> None:
    """End this login on the server; its token opens nothing any more."""
    if visitor.login:
        server.logins.end(visitor.login)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")


@router.get("/audit")
def show_audit(
    server: ServerHere,
    before: Annotated[
        int | None, Query(ge=1, le=2**53, description="number of the row to go on from")
    ] = None,
    most: Annotated[int, Query(ge=1, le=500)] = 100,
) -> AuditAnswer:
    """Show the audit log, the newest lines first."""
    rows: list[dict[str, Any]] = server.audit.read(before, most)
    last = rows[-1]["number"] if len(rows) == most else None
    return AuditAnswer(rows=[AuditRow(**row) for row in rows], next=last)


@router.get("/users")
def list_users(server: ServerHere) -> list[UserRow]:
    """List users and roles."""
    return [UserRow(name=user.name, role=user.role) for user in server.users.list_all()]
