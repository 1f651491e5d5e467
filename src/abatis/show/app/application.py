"""The application: the door, the routes of every view, the page."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

import abatis
from abatis.show.app import pages, routes
from abatis.show.app.context import LedgerHolder, Server, StudyHolder
from abatis.show.app.jobs.queue import JobQueue
from abatis.show.app.refusals import FaultsAnswer, Refusal, handle_errors
from abatis.show.app.security.audit import AuditLog
from abatis.show.app.security.database import Database
from abatis.show.app.security.guard import Guard
from abatis.show.app.security.headers import SendHeaders
from abatis.show.app.security.limits import RateKeeper
from abatis.show.app.security.sessions import Logins
from abatis.show.app.security.users import Users
from abatis.show.app.settings import Settings

REFUSALS = (400, 401, 403, 404, 405, 408, 409, 413, 415, 421, 422, 429, 503)
ERRORS: dict[int | str, dict[str, Any]] = {status: {"model": FaultsAnswer} for status in REFUSALS}


def create_app(settings: Settings) -> FastAPI:
    """Make the application of a study; nothing heavy is loaded yet.

    Parameters
    ----------
    settings : the study, where it listens, its limits.

    Raises
    ------
    InputError : the server's database cannot be opened.
    """
    server, database = make_server(settings)

    @asynccontextmanager
    async def live(app: FastAPI) -> AsyncIterator[None]:
        bind_routes(app)
        server.study.start()
        server.jobs.start()
        yield
        server.jobs.stop()
        server.ledger.close()
        database.close()

    app = FastAPI(
        title="abatis",
        version=abatis.__version__,
        description="Read and change the plans of one study.",
        # It is described by a route of our own, in a thread: it takes a second or two. The usual pages for it
        # load scripts from elsewhere.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=live,
        responses=ERRORS,
        dependencies=[Depends(check_row)],
        redirect_slashes=False,
        middleware=[
            Middleware(SendHeaders, tiles=settings.tiles, https=settings.https),
            Middleware(GZipMiddleware, minimum_size=1000, compresslevel=5),
            Middleware(Guard, server=server),
        ],
    )
    app.state.server = server
    handle_errors(app)
    for router in find_routers():
        app.include_router(router)
    app.include_router(pages.router)
    return app


def make_server(settings: Settings) -> tuple[Server, Database]:
    """Put together what lives as long as the server."""
    database = Database(settings.database_file)
    server = Server(
        settings=settings,
        study=StudyHolder(settings.study),
        users=Users(database),
        logins=Logins(database, settings.limits),
        audit=AuditLog(database),
        rates=RateKeeper(),
        jobs=JobQueue(database, settings),
        ledger=LedgerHolder(settings.study),
    )
    return server, database


def bind_routes(app: FastAPI) -> None:
    """Make the readers of all parameters now, not with the first request.

    In words: making them changes Python's list of warnings for a moment, which no two threads may do at once,
    and the study is read in a thread of its own.
    """
    nowhere = {"type": "http", "method": "GET", "path": "", "root_path": "", "headers": []}
    for route in app.routes:
        route.matches(dict(nowhere))


def find_routers() -> list[APIRouter]:
    """Find the routers of all files in routes/, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(routes.__path__))
    found = [importlib.import_module(f"{routes.__name__}.{name}").router for name in names]
    return [router for router in found if isinstance(router, APIRouter)]


async def check_row(request: Request) -> None:
    """Refuse a route that answers under another address than the one the guard has looked up.

    Raises
    ------
    Refusal : 403; a route is missing in access.csv.
    """
    access = request.scope.get("abatis_access")
    if access is None or access.path != request.scope["route"].path:
        raise Refusal(403, "Nobody may call this address.", remedy="access.csv has no row for it")
