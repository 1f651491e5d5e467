"""Drafts and ledgers for the tests."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from abatis.programme.ledger.records import Draft


def make_budget(number: int = 1, **changed: Any) -> Draft:
    """A budget of a made-up line; the same number gives the same draft."""
    body = {"country": "LT", "line": "total", "stage": "planned", "amount_eur": 1000.0 * number}
    body |= changed.pop("body", {})
    draft = Draft("budget", f"lt_{number}", "2026-02-09", body, "made up", "G", "public")
    return draft._replace(**changed)


def make_budgets(count: int, start: int = 1) -> list[Draft]:
    """So many different budgets."""
    return [make_budget(number) for number in range(start, start + count)]


@contextmanager
def unguarded(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a ledger file whose guards were taken away, as one who tampers would."""
    connection = sqlite3.connect(path)
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
    texts = [row[0] for row in connection.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'")]
    for name in names:
        connection.execute(f"DROP TRIGGER {name}")
    yield connection
    # Put back, so that only the chain can tell.
    for text in texts:
        connection.execute(text)
    connection.commit()
    connection.close()
