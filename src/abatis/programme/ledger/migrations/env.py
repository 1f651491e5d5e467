"""How alembic reaches the ledger: through the connection, and in the transaction, that it is given."""

from __future__ import annotations

from alembic import context

from abatis.programme.ledger.schema import VERSION_TABLE, metadata


def run_migrations() -> None:
    """Run the revisions that are missing."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


# Alembic runs this file as a script; importing it elsewhere does nothing.
if getattr(context, "_proxy", None) is not None:
    run_migrations()
