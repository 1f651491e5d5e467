"""Jobs as they stand in the server's database: the list is right after any end of the server."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sql

from abatis.show.app.security.database import Database, jobs

QUEUED, RUNNING, DONE = "queued", "running", "done"
FAILED, CANCELLED, INTERRUPTED = "failed", "cancelled", "interrupted"
UNDER_WAY = (QUEUED, RUNNING)
MOST_KEPT = 500


@dataclass(frozen=True)
class Job:
    """One job: what was asked by whom, how far it is, what came of it."""

    id: str
    number: int
    kind: str
    plan: str
    settings: dict[str, Any]
    user: str
    state: str
    stage: str
    share: float
    note: str
    asked: str
    started: str | None
    finished: str | None
    result: dict[str, Any] | None
    error: list[dict[str, str]] | None


class JobRecords:
    """Reads and changes the jobs in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def interrupt_running(self) -> int:
        """Mark jobs that a server left running when it ended; returns how many."""
        values = {"state": INTERRUPTED, "finished": tell_time()}
        with self._database.change() as connection:
            return connection.execute(jobs.update().where(jobs.c.state == RUNNING).values(**values)).rowcount

    def add(self, kind: str, plan: str, settings: dict[str, Any], user: str) -> Job:
        """Add a job at the end of the queue; the oldest of more than 500 finished ones are forgotten."""
        key = secrets.token_hex(8)
        finished = sql.select(jobs.c.id).where(jobs.c.state.not_in(UNDER_WAY))
        old = finished.order_by(jobs.c.number.desc()).offset(MOST_KEPT)
        with self._database.change() as connection:
            last = connection.execute(sql.select(sql.func.max(jobs.c.number))).scalar() or 0
            values = {"id": key, "number": last + 1, "kind": kind, "plan": plan, "settings": settings}
            values |= {"user": user, "state": QUEUED, "stage": "", "share": 0.0, "note": ""}
            connection.execute(jobs.insert().values(**values, asked=tell_time()))
            connection.execute(jobs.delete().where(jobs.c.id.in_(old)))
        found = self.find(key)
        assert found is not None
        return found

    def find(self, key: str) -> Job | None:
        """Find a job by its id."""
        with self._database.read() as connection:
            row = connection.execute(sql.select(jobs).where(jobs.c.id == key)).first()
        return None if row is None else Job(**row._mapping)

    def list_all(self, most: int = 100) -> list[Job]:
        """List jobs, the newest first."""
        chosen = sql.select(jobs).order_by(jobs.c.number.desc()).limit(most)
        with self._database.read() as connection:
            return [Job(**row._mapping) for row in connection.execute(chosen)]

    def list_under_way(self) -> list[Job]:
        """List jobs that wait or run, the oldest first."""
        chosen = sql.select(jobs).where(jobs.c.state.in_(UNDER_WAY)).order_by(jobs.c.number)
        with self._database.read() as connection:
            return [Job(**row._mapping) for row in connection.execute(chosen)]

    def change(self, key: str, expected: tuple[str, ...], **values: Any) -> bool:
        """Change a job that is in one of some states; False when it is in none of them."""
        chosen = jobs.update().where(jobs.c.id == key, jobs.c.state.in_(expected))
        with self._database.change() as connection:
            return connection.execute(chosen.values(**values)).rowcount == 1


def tell_time() -> str:
    """Return the time now, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
