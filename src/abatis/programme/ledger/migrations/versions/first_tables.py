"""Records, seals, and the triggers that refuse to change them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

REFUSAL = "the ledger is append-only: record a correction"
ORDER = "the ledger is a chain: a record follows on the last one"
FIRST_HASH = "0" * 64
TABLES = (("records", "seq"), ("seals", "seal"))


def upgrade() -> None:
    """Make the tables and their guards."""
    _make_tables()
    dialect = op.get_bind().dialect.name
    guards = GUARDS[dialect]()
    if dialect == "postgresql":
        for name, body in _list_functions().items():
            op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")
    for statement, _ in guards.values():
        op.execute(statement)


def downgrade() -> None:
    """Refuse: going back would lose what was recorded."""
    raise NotImplementedError("a ledger is never taken back")


def _text(name: str) -> sa.Column:
    return sa.Column(name, sa.Text, nullable=False)


def _make_tables() -> None:
    op.create_table(
        "ledger_records",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        *(_text(name) for name in ("recorded_at", "author", "kind", "key")),
        sa.Column("corrects", sa.Integer, sa.ForeignKey("ledger_records.seq"), unique=True),
        *(_text(name) for name in ("event_on", "body", "source", "tag", "access", "previous_hash")),
        sa.Column("hash", sa.Text, nullable=False, unique=True),
        sa.Column("content", sa.Text, nullable=False, unique=True),
        sa.CheckConstraint("corrects < seq", name="ledger_corrects_earlier"),
    )
    op.create_index("ledger_records_kind_key", "ledger_records", ["kind", "key"])
    op.create_table(
        "ledger_seals",
        sa.Column("seal", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("first_seq", sa.Integer, nullable=False),
        sa.Column("last_seq", sa.Integer, nullable=False),
        *(_text(name) for name in ("sealed_at", "author", "origin", "origin_hash", "head_hash")),
        _text("previous_hash"),
        sa.Column("hash", sa.Text, nullable=False, unique=True),
    )


def guard_sqlite() -> dict[str, tuple[str, str]]:
    """Triggers of SQLite by name: the statement that makes it, and nothing more.

    INSERT OR REPLACE deletes without asking a delete trigger, so inserting is guarded too.
    """
    made = {}
    for table, number in TABLES:
        for what in ("update", "delete"):
            name = f"ledger_{table}_no_{what}"
            made[name] = (
                f"CREATE TRIGGER {name} BEFORE {what.upper()} ON ledger_{table} "
                f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
            )
        once = ("hash",) if table == "seals" else ("hash", "content", "corrects")
        twice = " ".join(
            f"OR EXISTS (SELECT 1 FROM ledger_{table} WHERE {column} = NEW.{column})" for column in once
        )
        made[f"ledger_{table}_in_order"] = (
            f"CREATE TRIGGER ledger_{table}_in_order BEFORE INSERT ON ledger_{table} "
            f"WHEN NEW.{number} <> (SELECT coalesce(max({number}), 0) + 1 FROM ledger_{table}) "
            f"OR NEW.previous_hash <> coalesce((SELECT hash FROM ledger_{table} "
            f"ORDER BY {number} DESC LIMIT 1), '{FIRST_HASH}') {twice} "
            f"BEGIN SELECT RAISE(ABORT, '{ORDER}'); END"
        )
    return {name: (statement, "") for name, statement in made.items()}


def guard_postgresql() -> dict[str, tuple[str, str]]:
    """Triggers of PostgreSQL by name: the statement that makes it, and the body of its function."""
    functions = _list_functions()
    made = {}
    for table, _ in TABLES:
        for what in ("update", "delete", "truncate"):
            name = f"ledger_{table}_no_{what}"
            statement = (
                f"CREATE TRIGGER {name} BEFORE {what.upper()} ON ledger_{table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse()"
            )
            made[name] = (statement, functions["ledger_refuse"])
        name, function = f"ledger_{table}_in_order", f"ledger_{table}_follow"
        statement = (
            f"CREATE TRIGGER {name} BEFORE INSERT ON ledger_{table} "
            f"FOR EACH ROW EXECUTE FUNCTION {function}()"
        )
        made[name] = (statement, functions[function])
    return made


def _list_functions() -> dict[str, str]:
    made = {"ledger_refuse": f"BEGIN RAISE EXCEPTION '{REFUSAL}'; END"}
    for table, number in TABLES:
        made[f"ledger_{table}_follow"] = (
            f"DECLARE last RECORD; BEGIN SELECT {number} AS number, hash INTO last "
            f"FROM ledger_{table} ORDER BY {number} DESC LIMIT 1; "
            f"IF NEW.{number} <> coalesce(last.number, 0) + 1 "
            f"OR NEW.previous_hash <> coalesce(last.hash, '{FIRST_HASH}') THEN "
            f"RAISE EXCEPTION '{ORDER}'; END IF; RETURN NEW; END"
        )
    return made


GUARDS = {"sqlite": guard_sqlite, "postgresql": guard_postgresql}
