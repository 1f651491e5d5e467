"""Logins kept on the server: a random token in a cookie, its hash in the database, two ends in time."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable

import sqlalchemy as sql

from abatis.show.app.context import Visitor
from abatis.show.app.security.database import Database, logins, users
from abatis.show.app.settings import Limits

SEEN_EVERY_S = 60.0
MOST_RECALLED = 10_000


class Logins:
    """The logins of a server.

    Parameters
    ----------
    database : where they are kept.
    limits : how long a login lasts unused, and at most.
    clock : seconds since 1970; another one in tests.
    """

    def __init__(self, database: Database, limits: Limits, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._limits = limits
        self._clock = clock
        self._recalled: dict[str, tuple[Visitor, int, float]] = {}

    def begin(self, user: str) -> tuple[str, str]:
        """Begin a login.

        Returns
        -------
        The token for the cookie, and the token that changes need.
        """
        token, csrf, now = secrets.token_urlsafe(32), secrets.token_urlsafe(32), self._clock()
        with self._database.change() as connection:
            connection.execute(logins.delete().where(sql.or_(*self._list_ends(now))))
            connection.execute(
                logins.insert().values(
                    token_hash=hash_token(token), user=user, csrf=csrf, made_at=now, seen_at=now
                )
            )
        return token, csrf

    def recall(self, token: str) -> Visitor | None:
        """Find who holds a token without asking the database; None when it has to be asked.

        In words: what `find` found holds until the database changes or the login has to be looked at again.
        """
        held = self._recalled.get(token)
        if held is None:
            return None
        visitor, version, ends = held
        return visitor if version == self._database.read_version() and self._clock() < ends else None

    def find(self, token: str) -> Visitor | None:
        """Find who holds a token, with the role the user has now; None for a wrong or expired one."""
        if not token or len(token) > 200:
            return None
        now, key, version = self._clock(), hash_token(token), self._database.read_version()
        chosen = (
            sql.select(users.c.name, users.c.role, logins.c.csrf, logins.c.seen_at, logins.c.made_at)
            .join(users, users.c.name == logins.c.user)
            .where(logins.c.token_hash == key, sql.not_(sql.or_(*self._list_ends(now))))
        )
        with self._database.read() as connection:
            row = connection.execute(chosen).first()
        if row is None:
            return None
        again_s = min(SEEN_EVERY_S, self._limits.login_idle_s / 4)
        visitor = Visitor(row.name, row.role, row.csrf, key)
        if now - row.seen_at > again_s:
            with self._database.change() as connection:
                connection.execute(logins.update().where(logins.c.token_hash == key).values(seen_at=now))
            return visitor
        ends = min(row.seen_at + again_s, row.made_at + self._limits.login_longest_s)
        if len(self._recalled) >= MOST_RECALLED:
            self._recalled.clear()
        self._recalled[token] = (visitor, version, ends)
        return visitor

    def _list_ends(self, now: float) -> tuple[sql.ColumnElement[bool], ...]:
        return (
            logins.c.seen_at < now - self._limits.login_idle_s,
            logins.c.made_at < now - self._limits.login_longest_s,
        )

    def end(self, key: str) -> None:
        """End a login by the hash of its token."""
        with self._database.change() as connection:
            connection.execute(logins.delete().where(logins.c.token_hash == key))


def hash_token(token: str) -> str:
    """Hash a token: who reads the database cannot log in with what stands there."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
