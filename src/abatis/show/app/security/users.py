"""Users of a server: names, roles and argon2 passwords."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from functools import cached_property

import sqlalchemy as sql
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from abatis.model.errors import Fault, InputError, nearest_word
from abatis.show.app.security.database import Database, logins, users
from abatis.show.app.security.roles import USER_ROLES

NAME = re.compile(r"[^\W_][\w.@-]{0,63}")
SHORTEST, LONGEST = 10, 256
PASSWORD_REMEDY = f"use {SHORTEST} to {LONGEST} characters"


@dataclass(frozen=True)
class User:
    """One user, without the password."""

    name: str
    role: str
    made_at: float


class Users:
    """The users kept in a database.

    Parameters
    ----------
    database : where they are kept.
    hasher : argon2 with its cost; the library's default (RFC 9106, low memory) when left out.
    """

    def __init__(self, database: Database, hasher: PasswordHasher | None = None) -> None:
        self._database = database
        self._hasher = hasher or PasswordHasher()
        # Each check takes 64 MiB: many at once would fill the memory.
        self._turn = threading.Semaphore(2)
        self._counted: tuple[int, int] | None = None

    def keep_local_token(self) -> str:
        """Return the token that changes need on a server without users."""
        return self._database.keep_word("local csrf")

    def count(self) -> int:
        """Count the users; asks the database only when it has changed."""
        version = self._database.read_version()
        if self._counted is None or self._counted[0] != version:
            with self._database.read() as connection:
                found = connection.execute(sql.select(sql.func.count()).select_from(users)).scalar_one()
            self._counted = (version, found)
        return self._counted[1]

    def list_all(self) -> list[User]:
        """List the users by name."""
        chosen = sql.select(users.c.name, users.c.role, users.c.made_at).order_by(users.c.name)
        with self._database.read() as connection:
            return [User(*row) for row in connection.execute(chosen)]

    def add(self, name: str, password: str, role: str) -> None:
        """Add a user.

        Raises
        ------
        InputError : every fault of name, password and role; or the name is taken.
        """
        faults = [*_check_name(name), *_check_password(password), *_check_role(role)]
        if faults:
            raise InputError(faults)
        hashed = self._hasher.hash(password)
        try:
            with self._database.change() as connection:
                connection.execute(
                    users.insert().values(name=name, role=role, password=hashed, made_at=time.time())
                )
        except sql.exc.IntegrityError as error:
            fault = Fault(
                f"there is a user '{name}' already", remedy="choose another name, or change the role"
            )
            raise InputError([fault]) from error

    def set_password(self, name: str, password: str) -> None:
        """Give a user another password and end the user's logins, both or neither.

        Raises
        ------
        InputError : the password is too short or too long, or there is no such user.
        """
        faults = _check_password(password)
        if faults:
            raise InputError(faults)
        hashed = self._hasher.hash(password)
        with self._database.change() as connection:
            done = connection.execute(users.update().where(users.c.name == name).values(password=hashed))
            connection.execute(logins.delete().where(logins.c.user == name))
        if done.rowcount == 0:
            raise InputError([self._miss(name)])

    def set_role(self, name: str, role: str) -> None:
        """Give a user another role; it holds from the user's next request on."""
        faults = _check_role(role)
        if faults:
            raise InputError(faults)
        self._change(name, role=role)

    def _change(self, name: str, **values: str) -> None:
        with self._database.change() as connection:
            done = connection.execute(users.update().where(users.c.name == name).values(**values))
        if done.rowcount == 0:
            raise InputError([self._miss(name)])

    def remove(self, name: str) -> None:
        """Remove a user and the user's logins."""
        with self._database.change() as connection:
            done = connection.execute(users.delete().where(users.c.name == name))
        if done.rowcount == 0:
            raise InputError([self._miss(name)])

    def _miss(self, name: str) -> Fault:
        known = [user.name for user in self.list_all()]
        return Fault(f"there is no user '{name}'", remedy=nearest_word(name, known))

    def find(self, name: str) -> tuple[str, str] | None:
        """Find the role of a user and the hash kept of the password; None when there is no such user."""
        chosen = sql.select(users.c.role, users.c.password).where(users.c.name == name)
        with self._database.read() as connection:
            row = connection.execute(chosen).first()
        return None if row is None else (str(row.role), str(row.password))

    @cached_property
    def _nobody(self) -> str:
        return self._hasher.hash("nobody has this password")

    def check(self, name: str, password: str) -> bool:
        """Say whether a password is a user's; an unknown name takes as long as a known one."""
        if len(password) > LONGEST:
            return False
        with self._database.read() as connection:
            found = connection.execute(sql.select(users.c.password).where(users.c.name == name)).scalar()
        with self._turn:
            try:
                self._hasher.verify(found or self._nobody, password)
            except (VerifyMismatchError, VerificationError, InvalidHashError):
                return False
        if found is None:
            return False
        if self._hasher.check_needs_rehash(found):
            self._change(name, password=self._hasher.hash(password))
        return True


def _check_name(name: str) -> list[Fault]:
    if NAME.fullmatch(name):
        return []
    remedy = "begin with a letter or digit; letters, digits, . @ - and _ may follow, 64 at most"
    return [Fault(f"{name!r} is no name for a user", column="NAME", remedy=remedy)]


def _check_password(password: str) -> list[Fault]:
    if SHORTEST <= len(password) <= LONGEST:
        return []
    words = f"the password has {len(password)} characters"
    return [Fault(words, column="password", remedy=PASSWORD_REMEDY)]


def _check_role(role: str) -> list[Fault]:
    if role in USER_ROLES:
        return []
    return [Fault(f"there is no role '{role}'", column="--role", remedy=nearest_word(role, USER_ROLES))]
