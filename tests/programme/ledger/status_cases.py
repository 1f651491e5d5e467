"""Records written by hand for the tests of the monitor."""

from __future__ import annotations

from datetime import date
from typing import Any

from abatis.programme.ledger.records import Record
from abatis.programme.ledger.states import Calendar, KindTable, select_current, tabulate_kind
from abatis.programme.ledger.status import Status, assess_ledger


class Book:
    """A ledger in memory: every call adds one record and returns its number."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def add(
        self,
        kind: str,
        key: str,
        on: str,
        corrects: int | None = None,
        tag: str = "F",
        access: str = "public",
        **body: Any,
    ) -> int:
        """Add a record; the country is LT and the line x where nothing else is said."""
        said = {"country": "LT", "line": "x"} | body
        said = {name: value for name, value in said.items() if value is not None}
        seq = len(self.records) + 1
        self.records.append(
            Record(seq, "2026-01-01T00:00:00Z", "audit", kind, key, corrects, on, said, "source", tag, access,
                   "0" * 64, f"{seq:064d}")
        )  # fmt: skip
        return seq

    def work(self, key: str, on: str, **body: Any) -> int:
        """Add what is said of a work."""
        return self.add("work", key, on, **body)

    def table(self, kind: str, day: str | None = None) -> KindTable:
        """Records of a kind as columns."""
        calendar = Calendar()
        chosen = select_current(self.records, date.fromisoformat(day) if day else None, calendar=calendar)
        return tabulate_kind(chosen, kind, calendar)

    def assess(self, day: str, **more: Any) -> Status:
        """Status on a day."""
        return assess_ledger(self.records, date.fromisoformat(day), **more)


TEN_DAYS = {"planned_start": "2026-01-01", "planned_finish": "2026-01-10"}


def find(rows: Any, **asked: Any) -> Any:
    """The one row whose attributes are those asked for."""
    found = [row for row in rows if all(getattr(row, name) == value for name, value in asked.items())]
    assert len(found) == 1, (asked, found)
    return found[0]
