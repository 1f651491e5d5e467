"""Tables of the ledger's database and how it is brought to the present form."""

from __future__ import annotations

import threading
from importlib import resources

import sqlalchemy as sa

REVISION = "0001"
VERSION_TABLE = "ledger_version"
metadata = sa.MetaData()
# Alembic keeps the revision it works on in a module of its own: one at a time.
_UPGRADING = threading.Lock()

records = sa.Table(
    "ledger_records",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("recorded_at", sa.Text, nullable=False),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("corrects", sa.Integer),
    sa.Column("event_on", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("tag", sa.Text, nullable=False),
    sa.Column("access", sa.Text, nullable=False),
    sa.Column("previous_hash", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    sa.Column("content", sa.Text, nullable=False),
)
seals = sa.Table(
    "ledger_seals",
    metadata,
    sa.Column("seal", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("first_seq", sa.Integer, nullable=False),
    sa.Column("last_seq", sa.Integer, nullable=False),
    sa.Column("sealed_at", sa.Text, nullable=False),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("origin_hash", sa.Text, nullable=False),
    sa.Column("head_hash", sa.Text, nullable=False),
    sa.Column("previous_hash", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
)


def read_revision(connection: sa.Connection) -> str | None:
    """Return the revision of the ledger's tables, or None when there are none."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    return None if found is None else str(found)


def upgrade_tables(connection: sa.Connection) -> None:
    """Bring the tables to the present form inside the transaction of `connection`."""
    import alembic.command
    import alembic.config

    config = alembic.config.Config()
    inside = resources.files("abatis.programme.ledger") / "migrations"
    with _UPGRADING, resources.as_file(inside) as folder:
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, REVISION)


def find_missing_guards(connection: sa.Connection) -> tuple[str, ...]:
    """Return the names of triggers that should refuse changes and are gone, switched off or rewritten."""
    from abatis.programme.ledger.migrations.versions.first_tables import GUARDS

    dialect = connection.dialect.name
    asked = {
        "sqlite": "SELECT name, sql, '' FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT t.tgname, pg_get_triggerdef(t.oid, true), p.prosrc FROM pg_trigger t "
        "JOIN pg_proc p ON p.oid = t.tgfoid WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' "
        "AND t.tgrelid IN (to_regclass('ledger_records'), to_regclass('ledger_seals'))",
    }
    found = {row[0]: (row[1], row[2].strip()) for row in connection.execute(sa.text(asked[dialect]))}
    return tuple(name for name, text in GUARDS[dialect]().items() if found.get(name) != text)
