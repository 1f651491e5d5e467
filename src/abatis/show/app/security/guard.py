"""The door: every request passes here before any route sees it, and what no rule allows is refused."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable
from http.cookies import CookieError, SimpleCookie
from typing import Any, TypeVar

import anyio.to_thread
import sqlalchemy as sql
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from abatis.show.app.context import Server, Visitor
from abatis.show.app.refusals import FaultAnswer, Refusal, answer_faults, answer_surprise
from abatis.show.app.security.basic import PATHS, BasicLogins, read_basic
from abatis.show.app.security.body import BodyGate, drain
from abatis.show.app.security.database import DatabaseGoneError
from abatis.show.app.security.roles import Access, find_access
from abatis.show.app.settings import KIB, LOOPBACK, Rate

log = logging.getLogger("abatis.server")
COOKIE = "abatis_login"
ASK_BASIC = {"WWW-Authenticate": 'Basic realm="abatis", charset="UTF-8"'}
# More of them would only fill the disk.
NOTED_REFUSALS = Rate(60, 0.5)
SAFE = ("GET", "HEAD")
FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")
Answer = TypeVar("Answer")


class Guard:
    """Checks host, address, origin, login, role, token, rate, size and time of every request.

    Parameters
    ----------
    app : the application behind the door.
    server : what lives as long as the server.
    """

    def __init__(self, app: ASGIApp, server: Server) -> None:
        self.app = app
        self.server = server
        self._local_csrf = server.users.keep_local_token()
        self._limiter: anyio.CapacityLimiter | None = None
        self._basic = BasicLogins(server.users)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with the faults that stand in its way."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            # WebSockets are not spoken here.
            await send({"type": "websocket.close", "code": 1008})
            return
        watched = _Watched(send)
        try:
            await self._serve(scope, receive, watched)
        except Exception as error:
            if watched.status:
                # The answer has begun: all that is left is to cut it off.
                log.error("an answer broke off", exc_info=error)
                raise
            await _answer_trouble(error)(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: _Watched) -> None:
        headers = Headers(scope=scope)
        access: Access | None = None
        visitor = Visitor("", "anyone")
        try:
            self._check_host(headers)
            access = _find_row(scope)
            visitor = await self._find_visitor(scope, headers)
            self._check_rights(access, visitor)
            if scope["method"] not in SAFE:
                _check_origin(headers)
                if access.path != "/api/login":
                    _check_token(headers, visitor)
            self._check_rate(access, visitor, scope)
            gate = BodyGate(receive, access.body_kib * KIB, self.server.settings.limits.body_wait_s)
            gate.check_length(headers)
        except Refusal as refusal:
            await self._note(scope, visitor, access, refusal.status)
            await _refuse(refusal, scope, receive, send)
            return
        scope.setdefault("state", {})
        scope["state"]["visitor"] = visitor
        scope["abatis_access"] = access
        await self._pass_on(scope, gate, send)
        await self._note(scope, visitor, access, send.status)

    async def _pass_on(self, scope: Scope, gate: BodyGate, send: _Watched) -> None:
        """Run the route; when its body breaks a limit or it takes too long, its own words are dropped."""
        limit_s = self.server.settings.limits.answer_s
        work: asyncio.Future[Any] = asyncio.ensure_future(self.app(scope, gate.receive, send))
        first: set[asyncio.Future[Any]] = {work, gate.broken}
        try:
            await asyncio.wait(first, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            if not work.done() and not send.status:
                late = send.take_over()
                work.cancel()
                await _answer_instead(scope, gate, late)
                return
            await work
        finally:
            if not work.done():
                work.cancel()

    def _check_host(self, headers: Headers) -> None:
        """Refuse names that are not this server's: another site's name may point to this machine."""
        settings = self.server.settings
        allowed = {*settings.names, settings.host, *(LOOPBACK if settings.is_loopback else ())}
        if not settings.is_loopback and not settings.names:
            return
        name = strip_port(headers.get("host", ""))
        if name not in {one.lower() for one in allowed}:
            raise Refusal(
                421, f"This server is not called '{name[:100]}'.", "header Host",
                "open the address that abatis serve printed, or name it with --name",
            )  # fmt: skip

    async def _find_visitor(self, scope: Scope, headers: Headers) -> Visitor:
        token = read_cookie(headers)
        found = self.server.logins.recall(token) if token else None
        if token and found is None:
            found = await self._ask(self.server.logins.find, token)
        if found is not None:
            return found
        if scope["path"].startswith(PATHS) and (basic := read_basic(headers.get("authorization", ""))):
            return await self._find_basic(scope, *basic)
        if self.server.users.count() > 0:
            return Visitor("", "public" if self.server.settings.public else "anyone")
        if not self.server.settings.is_open:
            return Visitor("", "anyone")
        if any(name in headers for name in FORWARDED):
            raise Refusal(
                403, "A proxy stands before a server that asks nobody to log in.", "header X-Forwarded-For",
                "add a user (abatis users add), then start with --behind-proxy",
            )  # fmt: skip
        return Visitor("local", "admin", self._local_csrf)

    async def _find_basic(self, scope: Scope, name: str, password: str) -> Visitor:
        """Find the user of a map program, which sends name and password with every request."""
        known = await self._ask(self._basic.is_known, name, password)
        if known is not None:
            return known
        slow_logins(self.server, name, find_address(scope))
        found = await self._ask(self._basic.check, name, password)
        if found is None:
            raise Refusal(401, "Name or password is wrong.", headers=ASK_BASIC)
        return found

    async def _ask(self, question: Callable[..., Answer], *arguments: object) -> Answer:
        """Ask the database in a thread of its own, so that slow routes do not keep logins waiting."""
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(6)
        return await anyio.to_thread.run_sync(question, *arguments, limiter=self._limiter)

    def _check_rights(self, access: Access, visitor: Visitor) -> None:
        if access.allows(visitor.role):
            return
        if visitor.role in ("anyone", "public"):
            ask = ASK_BASIC if access.path.startswith(PATHS) else {}
            raise Refusal(401, "This needs a login.", remedy="log in: POST /api/login", headers=ask)
        roles = " or ".join(sorted(access.roles | {"admin"}))
        raise Refusal(403, f"The role {visitor.role} may not do this.", remedy=f"it takes the role {roles}")

    def _check_rate(self, access: Access, visitor: Visitor, scope: Scope) -> None:
        rate = self.server.settings.limits.calls.get(access.cost)
        if rate is None:
            return
        wait_s = self.server.rates.take((visitor.name or find_address(scope), access.cost), rate)
        if wait_s > 0:
            raise slow_down(wait_s)

    async def _note(self, scope: Scope, visitor: Visitor, access: Access | None, status: int) -> None:
        """Write into the audit log what changes something, and what was refused for want of a right."""
        audited = access is not None and access.audited and scope["method"] not in SAFE
        refused = status == 403
        if not (audited or refused) or status == 429:
            return
        address = find_address(scope)
        if refused and self.server.rates.take(("refused", address), NOTED_REFUSALS) > 0:
            return
        action = f"{scope['method']} {scope['path']}"
        note = scope.get("state", {}).get("audit_note", "")
        user = scope.get("state", {}).get("audit_user", visitor.name)
        await self._ask(self.server.audit.append, user, address, action, status, note)


class _Watched:
    """Notes the status that is sent; can be taken over, after which the route's own words are dropped."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._taken = False
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if not self._taken:
            await self.send(message)

    async def send(self, message: Message) -> None:
        """Send, also after the route was cut off."""
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
        await self._send(message)

    def take_over(self) -> Send:
        """Drop whatever the route sends from now on; returns the way to the visitor."""
        self._taken = True
        return self.send


async def _answer_instead(scope: Scope, gate: BodyGate, send: Send) -> None:
    """Answer for a route that was cut off."""
    if gate.broken.done():
        await _refuse(gate.broken.result(), scope, gate.source, send)
        return
    late = Refusal(503, "This took too long.", remedy="ask for less, or later", headers={"Retry-After": "30"})
    await _refuse(late, scope, gate.source, send)


async def _refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    """Send a refusal; the rest of the body is thrown away, for who is still sending reads no answer."""
    answer = answer_faults(refusal.status, refusal.faults, refusal.headers)
    if scope["method"] in SAFE:
        await answer(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": refusal.status, "headers": answer.raw_headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": True})
    await drain(receive)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _find_row(scope: Scope) -> Access:
    found = find_access(scope["method"], scope["path"])
    if isinstance(found, Access):
        return found
    if found:
        allowed = {"Allow": ", ".join(sorted(set(found)))}
        raise Refusal(405, f"{scope['method']} is not possible here.", headers=allowed)
    raise Refusal(
        404, "There is nothing at this address.", remedy="GET /api/openapi.json lists the addresses"
    )


def _check_origin(headers: Headers) -> None:
    """Refuse changes that another site's page asks for."""
    origin = headers.get("origin")
    refusal = Refusal(403, "Another site asked for this.", "header Origin", "use the page of this server")
    if origin is not None:
        if origin.partition("://")[2].lower() != headers.get("host", "").lower() or not origin:
            raise refusal
    elif headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise refusal


def _check_token(headers: Headers, visitor: Visitor) -> None:
    given = headers.get("x-csrf-token", "")
    if not visitor.csrf or not secrets.compare_digest(given.encode(), visitor.csrf.encode()):
        raise Refusal(
            403, "The token of this login is missing or wrong.", "header X-CSRF-Token",
            "GET /api/me gives it; reload the page",
        )  # fmt: skip


def slow_logins(server: Server, name: str, address: str) -> None:
    """Refuse a login when too many were tried from an address, or for a name from there."""
    limits, rates = server.settings.limits, server.rates
    wait_s = max(
        rates.take(("login from", address), limits.logins_per_address),
        rates.take(("login of", name, address), limits.logins_per_name),
    )
    if wait_s > 0:
        raise slow_down(wait_s)


def slow_down(wait_s: float) -> Refusal:
    """The refusal of somebody who asks too often."""
    seconds = max(1, round(wait_s + 0.5))
    return Refusal(
        429, "Asked too often.", remedy=f"ask again in {seconds} s", headers={"Retry-After": str(seconds)}
    )


def find_address(scope: Scope) -> str:
    """Return the address a request came from."""
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def strip_port(host: str) -> str:
    """Take the port off a Host header.

    Examples
    --------
    >>> strip_port("localhost:8000"), strip_port("[::1]:8000"), strip_port("Abatis.Example.")
    ('localhost', '::1', 'abatis.example')
    """
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".")


def read_cookie(headers: Headers) -> str:
    """Read the login's token out of the cookies; an empty string when there is none."""
    for text in _list_cookies(headers):
        cookies: SimpleCookie = SimpleCookie()
        try:
            cookies.load(text)
        except CookieError:
            continue
        if COOKIE in cookies:
            return cookies[COOKIE].value
    return ""


def _list_cookies(headers: Headers) -> Iterable[str]:
    for line in headers.getlist("cookie"):
        # One at a time: a bad cookie of another site on this host must not hide ours.
        yield from line.split(";")


def _answer_trouble(error: Exception) -> Response:
    if isinstance(error, Refusal):
        return answer_faults(error.status, error.faults, error.headers)
    if isinstance(error, sql.exc.SQLAlchemyError | DatabaseGoneError):
        log.error("the database does not answer: %s", error)
        fault = FaultAnswer(
            what="The database does not answer; nothing was changed.",
            remedy="check that its file or server is there, then try again",
        )
        return answer_faults(503, [fault], {"Retry-After": "10"})
    return answer_surprise(error)
