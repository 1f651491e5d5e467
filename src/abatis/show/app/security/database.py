"""The server's own database: users, logins, the audit log, jobs. One SQLite file beside the study."""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import OperationalError

from abatis.model.errors import Fault, InputError

VERSION = 1
metadata = sql.MetaData()

users = sql.Table(
    "users",
    metadata,
    sql.Column("name", sql.Text, primary_key=True),
    sql.Column("role", sql.Text, nullable=False),
    sql.Column("password", sql.Text, nullable=False),
    sql.Column("made_at", sql.Float, nullable=False),
)
logins = sql.Table(
    "logins",
    metadata,
    sql.Column("token_hash", sql.Text, primary_key=True),
    sql.Column("user", sql.Text, sql.ForeignKey("users.name", ondelete="CASCADE"), nullable=False),
    sql.Column("csrf", sql.Text, nullable=False),
    sql.Column("made_at", sql.Float, nullable=False),
    sql.Column("seen_at", sql.Float, nullable=False),
)
audit = sql.Table(
    "audit",
    metadata,
    sql.Column("number", sql.Integer, primary_key=True, autoincrement=True),
    sql.Column("at", sql.Text, nullable=False),
    sql.Column("user", sql.Text, nullable=False),
    sql.Column("address", sql.Text, nullable=False),
    sql.Column("action", sql.Text, nullable=False),
    sql.Column("status", sql.Integer, nullable=False),
    sql.Column("note", sql.Text, nullable=False),
    sqlite_autoincrement=True,
)
jobs = sql.Table(
    "jobs",
    metadata,
    sql.Column("id", sql.Text, primary_key=True),
    sql.Column("number", sql.Integer, nullable=False, unique=True),
    sql.Column("kind", sql.Text, nullable=False),
    sql.Column("plan", sql.Text, nullable=False),
    sql.Column("settings", sql.JSON, nullable=False),
    sql.Column("user", sql.Text, nullable=False),
    sql.Column("state", sql.Text, nullable=False),
    sql.Column("stage", sql.Text, nullable=False, default=""),
    sql.Column("share", sql.Float, nullable=False, default=0.0),
    sql.Column("note", sql.Text, nullable=False, default=""),
    sql.Column("asked", sql.Text, nullable=False),
    sql.Column("started", sql.Text),
    sql.Column("finished", sql.Text),
    sql.Column("result", sql.JSON),
    sql.Column("error", sql.JSON),
)
words = sql.Table(
    "words",
    metadata,
    sql.Column("key", sql.Text, primary_key=True),
    sql.Column("value", sql.Text, nullable=False),
)

REFUSE = "BEGIN SELECT RAISE(ABORT, 'the audit log is only appended to'); END"
ONLY_APPENDED = (
    f"CREATE TRIGGER IF NOT EXISTS audit_is_not_changed BEFORE UPDATE ON audit {REFUSE}",
    f"CREATE TRIGGER IF NOT EXISTS audit_is_not_cut BEFORE DELETE ON audit {REFUSE}",
)


class Database:
    """One SQLite file; every change is one transaction on disk.

    Parameters
    ----------
    file : database file; made when missing, readable by its owner only.

    Raises
    ------
    InputError : the file cannot be opened, or a newer abatis wrote it.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._version_lock = threading.Lock()
        self._version_reader: sqlite3.Connection | None = None
        try:
            _make_file(file)
            self.engine = sql.create_engine(
                f"sqlite:///file:{_quote(file)}?mode=rw&uri=true",
                connect_args={"timeout": 10, "check_same_thread": False},
                pool_size=8,
                max_overflow=24,
            )
            sql.event.listen(self.engine, "connect", _prepare)
            self._inode = file.stat().st_ino
            with self.change() as connection:
                self._make_tables(connection)
        except (OSError, OperationalError, sql.exc.DatabaseError) as error:
            reason = getattr(error, "orig", None) or error
            fault = Fault(f"cannot be opened: {reason}", str(file), remedy="check the file and its rights")
            raise InputError([fault]) from error

    def _make_tables(self, connection: sql.Connection) -> None:
        found = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        if found > VERSION:
            fault = Fault(f"is of version {found}, newer than {VERSION}", str(self.file))
            raise InputError([Fault(fault.problem, fault.file, remedy="use the newer abatis that wrote it")])
        metadata.create_all(connection)
        for trigger in ONLY_APPENDED:
            connection.exec_driver_sql(trigger)
        if found < VERSION:
            connection.exec_driver_sql(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def read(self) -> Iterator[sql.Connection]:
        """Give a connection to read from."""
        self._check_there()
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def change(self) -> Iterator[sql.Connection]:
        """Give a transaction: all of it is on disk when this ends, or nothing is."""
        self._check_there()
        with self.engine.begin() as connection:
            yield connection

    def _check_there(self) -> None:
        """Refuse to write into a file that was deleted or replaced: it would be lost."""
        try:
            same = self.file.stat().st_ino == self._inode
        except OSError:
            same = False
        if not same:
            raise DatabaseGoneError(self.file)

    def read_version(self) -> int:
        """Return a number that changes with every change of the database, by any process; takes microseconds.

        In words: what was read under one number still holds while the number is the same.
        """
        self._check_there()
        with self._version_lock:
            if self._version_reader is None:
                address = f"file:{_quote(self.file)}?mode=ro"
                self._version_reader = sqlite3.connect(address, uri=True, check_same_thread=False)
            return int(self._version_reader.execute("PRAGMA data_version").fetchone()[0])

    def keep_word(self, key: str) -> str:
        """Return a secret word of this database, made at the first call."""
        with self.change() as connection:
            fresh = insert(words).values(key=key, value=secrets.token_urlsafe(32))
            connection.execute(fresh.on_conflict_do_nothing())
            found = connection.execute(sql.select(words.c.value).where(words.c.key == key))
            return str(found.scalar_one())

    def close(self) -> None:
        """Close every connection."""
        with self._version_lock:
            if self._version_reader is not None:
                self._version_reader.close()
                self._version_reader = None
        self.engine.dispose()


class DatabaseGoneError(OSError):
    """The database file was deleted or replaced while the server ran."""

    def __init__(self, file: Path) -> None:
        super().__init__(f"{file} was deleted or replaced")


def _make_file(file: Path) -> None:
    if not file.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {file.parent}")
    if not file.exists():
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))


def _quote(file: Path) -> str:
    from urllib.parse import quote

    return quote(str(file.resolve()))


def _prepare(connection: Any, record: Any) -> None:  # noqa: ARG001
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()
