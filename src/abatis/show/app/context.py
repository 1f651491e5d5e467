"""What a route is handed: the study in memory, the ledger, who asks, and checked names."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request
from fastapi import Path as InPath
from starlette.concurrency import run_in_threadpool

from abatis.model.errors import AbatisError
from abatis.show.app.refusals import Refusal, describe_error
from abatis.show.app.settings import Settings

if TYPE_CHECKING:
    from abatis.show.app.jobs.queue import JobQueue
    from abatis.show.app.security.audit import AuditLog
    from abatis.show.app.security.limits import RateKeeper
    from abatis.show.app.security.sessions import Logins
    from abatis.show.app.security.users import Users

NAME_PATTERN = r"^[^\W_][\w .,()+-]{0,79}$"
RETRY_S = 2.0
PlanName = Annotated[str, InPath(max_length=80, pattern=NAME_PATTERN, description="name of a plan")]


@dataclass(frozen=True)
class Visitor:
    """Who asks: name, role (public, viewer, planner, auditor, admin), the token that changes need."""

    name: str
    role: str
    csrf: str = ""
    login: str = ""


class StudyHolder:
    """Loads the study once, in a thread, and hands it to every request.

    Parameters
    ----------
    folder : study folder.
    load : how a folder becomes a study in memory; `loaded.open_study` when left out.
    """

    def __init__(self, folder: Path, load: Callable[[Path], Any] | None = None) -> None:
        self.folder = folder
        self._load = load or _open_study
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self._found: Any = None
        self._error: Exception | None = None
        self._started = False
        self._ended_s = 0.0

    def start(self) -> None:
        """Begin to load, without waiting; what could not be loaded is tried again after two seconds."""
        with self._lock:
            if self.state == "failed" and time.monotonic() - self._ended_s > RETRY_S:
                self._ready.clear()
                self._started, self._error = False, None
            if self._started:
                return
            self._started = True
        threading.Thread(target=self._run, name="load study", daemon=True).start()

    def _run(self) -> None:
        try:
            self._found = self._load(self.folder)
        except Exception as error:  # noqa: BLE001
            self._error = error
        self._ended_s = time.monotonic()
        self._ready.set()

    @property
    def state(self) -> str:
        """One of loading, ready, failed."""
        if not self._ready.is_set():
            return "loading"
        return "failed" if self._error is not None else "ready"

    @property
    def error(self) -> Exception | None:
        """Why the study could not be loaded the last time; None while it loads and when it is in memory."""
        return self._error if self._ready.is_set() else None

    def get(self, wait_s: float = 60.0) -> Any:
        """Return the study in memory.

        Raises
        ------
        Refusal : 503 while it is loading for longer than `wait_s` or when it cannot be loaded.
        """
        self.start()
        if not self._ready.wait(wait_s):
            later = {"Retry-After": "5"}
            raise Refusal(503, "The study is still loading.", remedy="ask again", headers=later)
        error = self._error
        if error is None:
            return self._found
        if isinstance(error, AbatisError):
            refusal = Refusal(503, "The study cannot be opened.")
            refusal.faults += describe_error(error)
            raise refusal
        raise error


def _open_study(folder: Path) -> Any:
    from abatis.show.app.loaded import open_study

    return open_study(folder)


@dataclass
class Server:
    """Everything that lives as long as the server; `request.app.state.server`."""

    settings: Settings
    study: StudyHolder
    users: Users
    logins: Logins
    audit: AuditLog
    rates: RateKeeper
    jobs: JobQueue
    ledger: LedgerHolder


class LedgerHolder:
    """Opens the ledger of a study at the first request that needs it, and notices when its file goes away.

    Parameters
    ----------
    folder : study folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._ledger: Any = None
        self._file: Path | None = None
        self._inode = 0

    @property
    def is_open(self) -> bool:
        """True when it was opened already."""
        return self._ledger is not None

    def get(self) -> Any:
        """Return the ledger.

        Raises
        ------
        Refusal : 503 when its file was deleted or replaced since it was opened: what is written into an open
            file that has no name any more is lost.
        """
        with self._lock:
            if self._ledger is None:
                from abatis.programme.ledger.store import find_address, open_ledger

                address = find_address(self.folder)
                self._ledger = open_ledger(self.folder)
                name = address.removeprefix("sqlite:///")
                self._file = Path(name) if name != address else None
                self.note_file()
            self._check_file()
            return self._ledger

    def _check_file(self) -> None:
        if self._file is None or self._inode in (0, _find_inode(self._file)):
            return
        raise Refusal(
            503, "The ledger's file was deleted or replaced while the server ran; nothing was recorded.",
            self._file.name, "put it back, or end the server and start it again",
        )  # fmt: skip

    def note_file(self) -> None:
        """Remember which file the ledger is; its first record makes it."""
        if self._file is not None and self._inode == 0:
            self._inode = _find_inode(self._file)

    def close(self) -> None:
        """Close the ledger if it was opened."""
        with self._lock:
            if self._ledger is not None:
                self._ledger.close()
            self._ledger = None


def _find_inode(file: Path) -> int:
    """Return the number of a file on its disk; 0 when it is not there."""
    try:
        return file.stat().st_ino
    except OSError:
        return 0


# These are asynchronous because FastAPI would run each of them in a thread otherwise, for every request.
async def get_server(request: Request) -> Server:
    """Return what lives as long as the server."""
    return request.app.state.server


async def get_visitor(request: Request) -> Visitor:
    """Return who asks; the guard has already checked that the role may call this route."""
    return request.state.visitor


async def get_study(request: Request) -> Any:
    """Return the study in memory (`loaded.open_study`)."""
    holder: StudyHolder = request.app.state.server.study
    return holder.get() if holder.state == "ready" else await run_in_threadpool(holder.get)


async def get_ledger(request: Request) -> AsyncIterator[Any]:
    """Return the open ledger of the study."""
    holder: LedgerHolder = request.app.state.server.ledger
    yield holder.get() if holder.is_open else await run_in_threadpool(holder.get)
    holder.note_file()


ServerHere = Annotated[Server, Depends(get_server)]
VisitorHere = Annotated[Visitor, Depends(get_visitor)]
StudyHere = Annotated[Any, Depends(get_study)]
LedgerHere = Annotated[Any, Depends(get_ledger)]


def find_plan_folder(study: Path, name: str) -> Path:
    """Return the folder of a plan, and nothing outside the folder plans/.

    Raises
    ------
    Refusal : 404 when there is no such plan, or the name leads elsewhere.
    """
    plans = (study / "plans").resolve()
    folder = (plans / name).resolve()
    if folder.parent != plans or not (folder / "plan.json").is_file():
        raise Refusal(404, f"There is no plan '{name}'.", remedy="GET /api/study lists the plans")
    return folder
