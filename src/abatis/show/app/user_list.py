"""Users on the command line: add, list, remove, another role, another password."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from abatis.model.errors import Fault, InputError
from abatis.show.app.security.audit import AuditLog
from abatis.show.app.security.database import Database
from abatis.show.app.security.users import PASSWORD_REMEDY, Users
from abatis.show.app.settings import Settings
from abatis.show.tables import Column, Table

COLUMNS = (Column("name", "name"), Column("role", "role"), Column("since", "since"))


@contextmanager
def open_users(study: Path) -> Iterator[tuple[Users, AuditLog]]:
    """Open the users of a study, and the log that changes of them go into.

    Raises
    ------
    InputError : the folder is no study, or the database cannot be opened.
    """
    if not (study / "study.toml").is_file():
        raise InputError([Fault("is no study", str(study), remedy="give a study folder")])
    database = Database(Settings(study).database_file)
    try:
        yield Users(database), AuditLog(database)
    finally:
        database.close()


def add_user(study: Path, name: str, role: str) -> None:
    """Add a user; the password is asked for."""
    with open_users(study) as (users, audit):
        users.add(name, ask_password(), role)
        _note(audit, f"users add {name}: {role}")


def remove_user(study: Path, name: str) -> None:
    """Remove a user and end the user's logins."""
    with open_users(study) as (users, audit):
        users.remove(name)
        _note(audit, f"users remove {name}")


def change_role(study: Path, name: str, role: str) -> None:
    """Give a user another role."""
    with open_users(study) as (users, audit):
        users.set_role(name, role)
        _note(audit, f"users role {name}: {role}")


def change_password(study: Path, name: str) -> None:
    """Give a user another password, which is asked for, and end the user's logins."""
    with open_users(study) as (users, audit):
        users.set_password(name, ask_password())
        _note(audit, f"users password {name}")


def tabulate_users(study: Path) -> Table:
    """Tabulate names and roles."""
    with open_users(study) as (users, _):
        rows = tuple(
            {
                "name": user.name,
                "role": user.role,
                "since": datetime.fromtimestamp(user.made_at, UTC).date().isoformat(),
            }
            for user in users.list_all()
        )
    note = "" if rows else "No users: the server listens on this machine only and asks nobody to log in."
    return Table("Users", COLUMNS, rows, note)


def ask_password() -> str:
    """Ask for a password twice; when standard input is no terminal, its first line is the password.

    Raises
    ------
    InputError : nothing was given, or two different ones.
    """
    if not sys.stdin.isatty():
        given = sys.stdin.readline().rstrip("\r\n")
        if not given:
            raise InputError([Fault("no password was given", "standard input", remedy=PASSWORD_REMEDY)])
        return given
    given = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != given:
        raise InputError([Fault("the two passwords differ", remedy="try again")])
    return given


def _note(audit: AuditLog, action: str) -> None:
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = ""
    audit.append(name, "command line", action, 200)
