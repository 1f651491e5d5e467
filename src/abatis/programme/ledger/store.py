"""The ledger in its database: SQLite in the study folder, or PostgreSQL by address."""

from __future__ import annotations

import gc
import json
import sqlite3
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from abatis.model.errors import AbatisError, Fault, InputError
from abatis.programme.ledger import schema
from abatis.programme.ledger.chain import ChainChecker, ChainReport, Seal
from abatis.programme.ledger.records import FIRST_HASH, Draft, Record
from abatis.programme.ledger.scope import show_plain
from abatis.programme.ledger.writing import (
    Place,
    Review,
    check_author,
    insert_prepared,
    prepare_drafts,
    read_head,
    read_seals,
    review_prepared,
)

DEFAULT_FILE = "ledger.sqlite"
BUSY_S = 30.0
# One writer at a time: the lock of PostgreSQL that every writer of this ledger asks for.
ADVISORY_LOCK = 0x6162617469
ROWS_AT_ONCE = 5000
_COLUMNS = (
    "seq, recorded_at, author, kind, key, corrects, event_on, body, source, tag, access, previous_hash, hash"
)


class LedgerError(AbatisError):
    """The ledger's database cannot be reached or refuses; nothing that was acknowledged is lost."""


def find_address(study: Path | str) -> str:
    """Return the address of a study's ledger, as SQLAlchemy writes addresses.

    Parameters
    ----------
    study : a study folder, a file ending in .sqlite, or an address postgresql://user@host/name.

    Raises
    ------
    InputError : the setting `ledger` of study.toml is no file in the folder and no such address.

    Examples
    --------
    >>> find_address("postgresql://audit@127.0.0.1/ledger")
    'postgresql+psycopg://audit@127.0.0.1/ledger'
    """
    text = str(study)
    if "://" in text:
        return _read_address(text)
    path = Path(study)
    if path.suffix == ".sqlite":
        return f"sqlite:///{path.absolute()}"
    try:
        settings = tomllib.loads((path / "study.toml").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        fault = Fault("has no study.toml", str(path), remedy="make a study with: abatis new FOLDER")
        raise InputError([fault]) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError([Fault(f"cannot be read: {error}", str(path / "study.toml"))]) from error
    given = settings.get("ledger", DEFAULT_FILE)
    if isinstance(given, str) and "://" in given:
        return _read_address(given)
    file = path / str(given)
    if not isinstance(given, str) or not given or path.resolve() not in file.resolve().parents:
        remedy = f"write {DEFAULT_FILE}, or an address postgresql://user@host/name"
        raise InputError([Fault("is no file inside the study folder", "study.toml", None, "ledger", remedy)])
    return f"sqlite:///{file.absolute()}"


def _read_address(text: str) -> str:
    scheme, _, rest = text.partition("://")
    if scheme not in ("postgresql", "postgres", "postgresql+psycopg"):
        fault = Fault(
            f"is an address of '{scheme}'",
            "study.toml",
            None,
            "ledger",
            "use a file, or postgresql://user@host/name",
        )
        raise InputError([fault])
    return f"postgresql+psycopg://{rest}"


def open_ledger(study: Path | str) -> Ledger:
    """Open the ledger of a study; nothing is written before the first record.

    Parameters
    ----------
    study : a study folder, a file ending in .sqlite, or an address postgresql://user@host/name.

    Raises
    ------
    InputError : the address is wrong.
    LedgerError : later, when the database cannot be reached.

    In words: a ledger that does not exist yet is empty; its tables are made with the first record, and
    brought to the present form when an older program made them.
    """
    return Ledger(find_address(study))


class Ledger:
    """An append-only ledger: records are added, read and verified; never changed."""

    def __init__(self, address: str) -> None:
        self._url = sa.make_url(address)
        self._engine = _make_engine(self._url)
        self._prepared = False

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    @property
    def place(self) -> str:
        """Where the ledger is, without any password."""
        if self._url.get_backend_name() == "sqlite":
            return str(self._url.database)
        return self._url.set(drivername="postgresql").render_as_string(hide_password=True)

    def exists(self) -> bool:
        """True when there is a ledger, be it empty."""
        if self._url.get_backend_name() == "sqlite" and not Path(str(self._url.database)).is_file():
            return False
        with self._connect() as connection:
            return schema.read_revision(connection) is not None

    def append(
        self,
        drafts: Sequence[Draft],
        author: str,
        origin: str = "",
        origin_hash: str = "",
        places: Sequence[Place] | None = None,
    ) -> list[Record]:
        """Record drafts in one transaction, all or none.

        Parameters
        ----------
        drafts : what is to be recorded, in this order; one whose content stands already is left out.
        author : who records; an institution or an office.
        origin, origin_hash : name and SHA-256 of the file they come from, or empty.
        places : file and row of each draft, as faults name them.

        Returns
        -------
        The new records. When this returns they are on disk.

        Raises
        ------
        InputError : every fault of every draft; nothing is recorded then.
        LedgerError : the database cannot be reached, or another writer held it for too long.
        """
        check_author(author)
        prepared, faults = prepare_drafts(drafts, places)
        if faults:
            raise InputError(faults)
        if not drafts:
            return []
        with self._write() as connection:
            review = review_prepared(connection, prepared)
            if review.faults:
                raise InputError(review.faults)
            came_from = (show_plain(origin), origin_hash)
            return insert_prepared(connection, prepared, review.repeated, author, came_from)

    def review(self, drafts: Sequence[Draft], places: Sequence[Place] | None = None) -> Review:
        """Say what `append` would do with drafts, and do nothing."""
        prepared, faults = prepare_drafts(drafts, places)
        if len(prepared.contents) < len(drafts):
            return Review({}, tuple(faults))
        if self._is_there():
            with self._connect() as connection:
                found = review_prepared(connection, prepared)
        else:
            found = review_prepared(None, prepared)
        return Review(found.repeated, (*faults, *found.faults))

    def read(
        self,
        kind: str | None = None,
        key: str | None = None,
        current: bool = True,
        access: str | None = None,
        after: int = 0,
        limit: int | None = None,
    ) -> list[Record]:
        """Read records in the order of their numbers.

        Parameters
        ----------
        kind, key, access : only records with these.
        current : leave out records that were corrected or withdrawn.
        after, limit : only records with a higher number, and at most so many.
        """
        if not self._is_there():
            return []
        where, values = ["seq > :after"], {"after": after}  # type: list[str], dict[str, Any]
        for column, value in (("kind", kind), ("key", key), ("access", access)):
            if value is not None:
                where.append(f"{column} = :{column}")
                values[column] = value  # type: ignore[assignment]
        if current:
            where.append("NOT EXISTS (SELECT 1 FROM ledger_records c WHERE c.corrects = r.seq)")
            where.append("NOT (corrects IS NOT NULL AND body LIKE :withdrawn)")
            values["withdrawn"] = '%"withdrawn":true%'
        text = f"SELECT {_COLUMNS} FROM ledger_records r WHERE {' AND '.join(where)} ORDER BY seq"
        if limit is not None:
            text += f" LIMIT {int(limit):d}"
        with pause_collection():
            with self._connect() as connection:
                rows = connection.execute(sa.text(text), values).fetchall()
            return self._parse_rows(rows)

    def find(self, seq: int) -> Record | None:
        """Return one record by its number, corrected or not; None when there is none."""
        found = self.read(current=False, after=seq - 1, limit=1)
        return found[0] if found and found[0].seq == seq else None

    def count(self) -> int:
        """Return the number of records."""
        if not self._is_there():
            return 0
        with self._connect() as connection:
            return int(connection.execute(sa.text("SELECT count(*) FROM ledger_records")).scalar_one())

    def read_head(self) -> tuple[int, str]:
        """Return number and hash of the last record; 0 and zeros when there is none."""
        if not self._is_there():
            return 0, FIRST_HASH
        with self._connect() as connection:
            return read_head(connection)

    def read_seals(self) -> list[Seal]:
        """Read who added which records when, and from which file."""
        if not self._is_there():
            return []
        with self._connect() as connection:
            return read_seals(connection)

    def verify(self, kept: tuple[int, str] | None = None) -> ChainReport:
        """Check the whole chain, the seals, and the guards of the database.

        Parameters
        ----------
        kept : number and hash of a record that an auditor noted earlier.

        In words: what was changed, deleted, swapped or cut off shows, as long as whoever did it did not write
        all that follows anew; against that, keep the hash of the last record elsewhere and give it here.
        """
        checker = ChainChecker()
        if self._is_there():
            with self._connect(snapshot=True) as connection:
                for name in schema.find_missing_guards(connection):
                    checker.add_problem(None, f"the guard '{name}' of the database is gone")
                checker.check_seals(read_seals(connection))
                for rows in _read_chunks(connection):
                    checker.check_rows(rows)
                checker.finish()
                if kept is not None:
                    _check_kept(connection, checker, kept)
        elif kept is not None and kept != (0, FIRST_HASH):
            checker.add_problem(kept[0], f"record {kept[0]} was kept, but there is no ledger")
        return checker.report()

    def _is_there(self) -> bool:
        if self._prepared:
            return True
        if not self.exists():
            return False
        self._prepare()
        return True

    def _prepare(self) -> None:
        """Bring tables that an older program made to the present form."""
        if self._prepared:
            return
        with self._connect() as connection:
            found = schema.read_revision(connection)
        if found is not None and found > schema.REVISION:
            raise LedgerError(f"{self.place} was made by a newer abatis (revision {found}): update abatis.")
        if found != schema.REVISION:
            with self._begin_writing() as connection:
                if schema.read_revision(connection) != schema.REVISION:
                    schema.upgrade_tables(connection)
        self._prepared = True

    @contextmanager
    def _connect(self, snapshot: bool = False) -> Iterator[sa.Connection]:
        """A connection for reading; with `snapshot`, all of its questions see the same moment."""
        with self._translate_errors(), self._engine.connect() as connection:
            if snapshot and connection.dialect.name == "postgresql":
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        self._prepare()
        with self._begin_writing() as connection:
            yield connection

    @contextmanager
    def _begin_writing(self) -> Iterator[sa.Connection]:
        """One transaction that no other writer shares; committed at the end, undone by any error."""
        with self._translate_errors(), self._engine.connect() as connection:
            connection = connection.execution_options(ledger_writes=True)
            with connection.begin():
                if connection.dialect.name == "postgresql":
                    connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
                yield connection

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise LedgerError(_describe_failure(self.place, error)) from error
        except (SQLAlchemyError, ImportError) as error:
            raise LedgerError(f"The ledger at {self.place} cannot be used: {_one_line(error)}.") from error

    def _parse_rows(self, rows: Sequence[sa.Row]) -> list[Record]:
        """Make records; bodies are read as one JSON text, several times faster than one by one."""
        try:
            bodies = json.loads("[" + ",".join([row[7] for row in rows]) + "]")
            if len(bodies) != len(rows):
                raise ValueError("a body is no single value")
        except (ValueError, TypeError) as error:
            text = f"The ledger at {self.place} holds a record that cannot be read ({error})"
            raise LedgerError(f"{text}: run abatis ledger verify.") from error
        columns = list(zip(*rows, strict=True))
        if columns:
            columns[7] = bodies
        # Record._make without a Python call for each of them.
        return list(map(tuple.__new__, repeat(Record), zip(*columns, strict=True)))


@contextmanager
def pause_collection() -> Iterator[None]:
    """Make many objects that all stay: looking through them for garbage would take half of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            # What was made goes to the oldest generation unread: else it would be looked through at once.
            gc.freeze()
            gc.unfreeze()
            gc.enable()


def _make_engine(url: sa.URL) -> sa.Engine:
    if url.get_backend_name() == "sqlite":
        engine = sa.create_engine(url, connect_args={"timeout": BUSY_S})
        sa.event.listen(engine, "connect", _set_up_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        return sa.create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 10})
    except (ImportError, SQLAlchemyError) as error:
        fault = Fault("PostgreSQL needs the package psycopg", remedy="install it, or use a file")
        raise InputError([fault]) from error


def _set_up_sqlite(connection: Any, _: object) -> None:
    # The driver would begin transactions by itself, and too late for a reader that means to write.
    connection.isolation_level = None
    _switch_to_wal(connection)
    for setting in ("synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF", "cache_size=-65536"):
        connection.execute(f"PRAGMA {setting}").close()


def _switch_to_wal(connection: Any) -> None:
    """Keep a log ahead of the file, so that readers never wait; SQLite does not wait for this by itself."""
    end = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.02)


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("ledger_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _read_chunks(connection: sa.Connection) -> Iterator[Sequence[sa.Row]]:
    """All records with the hash of their content, some thousand at a time."""
    asked = sa.text(
        f"SELECT {_COLUMNS}, content FROM ledger_records WHERE seq > :after ORDER BY seq LIMIT {ROWS_AT_ONCE}"
    )
    after = -(2**31)
    while rows := connection.execute(asked, {"after": after}).fetchall():
        yield rows
        after = rows[-1][0]


def _check_kept(connection: sa.Connection, checker: ChainChecker, kept: tuple[int, str]) -> None:
    seq, digest = kept
    asked = sa.text("SELECT hash FROM ledger_records WHERE seq = :seq")
    found = connection.execute(asked, {"seq": seq}).scalar() if seq else FIRST_HASH
    if found is None:
        checker.add_problem(seq, f"record {seq} was kept, but the ledger ends before it")
    elif found != digest:
        text = f"record {seq} has another hash than the one kept: the ledger was written anew"
        checker.add_problem(seq, text)


def _describe_failure(place: str, error: DBAPIError) -> str:
    """Say in one line what the database refused; its own words, without the statement."""
    said = _one_line(error.orig if error.orig is not None else error)
    if "append-only" in said or "is a chain" in said:
        return f"The ledger at {place} refused: {said}."
    if "locked" in said:
        return f"The ledger at {place} is held by another writer: try again; nothing was recorded."
    if "not a database" in said or "malformed" in said:
        return f"The ledger at {place} is damaged ({said}): restore it from a copy and verify that."
    return (
        f"The ledger at {place} cannot be reached: {said}. What was acknowledged stands; "
        "record the rest again, and what stands already is left out."
    )


def _one_line(error: object) -> str:
    return " ".join(str(error).split()).rstrip(".")[:300]
