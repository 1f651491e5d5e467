"""The audit log: who did what, when, from where, and what came of it. Rows are only ever appended."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sql

from abatis.show.app.security.database import Database, audit


class AuditLog:
    """The audit log of a server; the database itself refuses to change or delete its rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, user: str, address: str, action: str, status: int, note: str = "") -> None:
        """Append one row.

        Parameters
        ----------
        user : name, or an empty string for a visitor without a login.
        address : where the request came from; ``command line`` for commands.
        action : what was asked, such as ``POST /api/jobs``.
        status : HTTP status of the answer.
        note : more in words; never a password or token.
        """
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        row = {"at": at, "user": user[:64], "address": address[:64], "action": action[:300]}
        with self._database.change() as connection:
            connection.execute(audit.insert().values(**row, status=status, note=note[:500]))

    def read(self, before: int | None = None, most: int = 100) -> list[dict[str, Any]]:
        """Read rows, the newest first; `before` is the number of the row to go on from."""
        chosen = sql.select(audit).order_by(audit.c.number.desc()).limit(most)
        if before is not None:
            chosen = chosen.where(audit.c.number < before)
        with self._database.read() as connection:
            return [dict(row._mapping) for row in connection.execute(chosen)]
