"""The state of the real programme as tables: plan against actual, earned value, delays, alerts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from abatis.model.study import read_study
from abatis.programme.ledger.status import Status, read_status
from abatis.programme.ledger.store import Ledger
from abatis.show.ledger import count_records, require_ledger
from abatis.show.tables import Column, Table

SHOWN_RECORDS = 6
EUR, COUNT, SHARE, INDEX = ",.0f", ",.0f", ".0%", ".2f"
_PLACE = (("country", "country", ""), ("line", "line", ""))
_END = (("tag", "tag", ""), ("records", "records", ""))
# Section of the status -> title and columns: key, caption, format.
SECTIONS: Mapping[str, tuple[str, tuple[tuple[str, str, str], ...]]] = {
    "alerts": (
        "Alerts",
        (
            ("severity", "severity", ""),
            ("rule", "rule", ""),
            ("country", "country", ""),
            ("text", "what", ""),
            ("since", "since", ""),
            *_END,
        ),
    ),
    "lines": (
        "Plan against actual",
        (
            *_PLACE,
            ("year", "year", ".0f"),
            ("planned_eur", "planned [EUR]", EUR),
            ("contracted_eur", "contracted [EUR]", EUR),
            ("spent_eur", "spent [EUR]", EUR),
            ("delivered_eur", "delivered [EUR]", EUR),
            ("spent_share", "spent", SHARE),
            ("undisclosed", "not disclosed", ""),
            *_END,
        ),
    ),
    "earned": (
        "Earned value",
        (
            ("level", "level", ""),
            *_PLACE,
            ("works", "works", COUNT),
            ("pv_eur", "PV [EUR]", EUR),
            ("ev_eur", "EV [EUR]", EUR),
            ("ac_eur", "AC [EUR]", EUR),
            ("spi", "SPI", INDEX),
            ("cpi", "CPI", INDEX),
            ("forecast_eur", "forecast [EUR]", EUR),
            ("planned_finish", "planned end", ""),
            ("forecast_finish", "forecast end", ""),
            *_END,
        ),
    ),
    "delays_by_cause": (
        "Delays by cause",
        (
            ("country", "country", ""),
            ("cause", "cause", ""),
            ("works", "works", COUNT),
            ("milestones", "milestones", COUNT),
            ("contracts", "contracts", COUNT),
            ("deliveries", "deliveries", COUNT),
            ("open_count", "still open", COUNT),
            ("mean_days", "mean [days]", COUNT),
            ("records", "records", ""),
        ),
    ),
    "disclosure": (
        "Disclosure",
        (
            *_PLACE,
            ("told", "told", COUNT),
            ("weak", "weakly told", COUNT),
            ("undisclosed", "not disclosed", COUNT),
            ("share", "score", SHARE),
            ("records", "records", ""),
        ),
    ),
    "renewals": (
        "Renewals",
        (
            ("due", "due", ""),
            ("kind", "kind", ""),
            ("name", "what", ""),
            ("country", "country", ""),
            ("basis", "rests on", ""),
            ("days_left", "days left", COUNT),
            *_END,
        ),
    ),
    "contradictions": (
        "Records that contradict each other",
        (
            ("kind", "kind", ""),
            ("key", "key", ""),
            ("column", "column", ""),
            ("on", "on", ""),
            ("values", "values", ""),
            ("records", "records", ""),
        ),
    ),
}


def assess(ledger: Ledger, study: Path, day: date, plan: str, public: bool) -> Status:
    """Assess a study's programme by its ledger on a day.

    Raises
    ------
    InputError : there is no ledger, or every fault of the study.
    """
    require_ledger(ledger)
    return read_status(read_study(study), ledger, day, plan, public)


def tabulate_status(status: Status) -> dict[str, Table]:
    """Lay out the sections of a status that have rows."""
    tables = {}
    for section, (title, columns) in SECTIONS.items():
        rows = tuple(_shorten(row) for row in status.list_rows(section))
        if section == "earned":
            # Each work has its row in the JSON; for people the sums come first and are enough.
            rows = tuple(row for row in rows if row["level"] != "work")
        if rows:
            tables[section] = Table(title, tuple(Column(*column) for column in columns), rows)
    if tables:
        first, table = next(iter(tables.items()))
        view = "public view, " if status.public else ""
        title = f"{table.title} ({view}{count_records(status.record_count)} on {status.day})"
        tables[first] = Table(title, table.columns, table.rows, table.note)
    return tables


def _shorten(row: Mapping[str, Any]) -> dict[str, Any]:
    """Name the first records a figure rests on, and how many more there are."""
    records = row.get("records") or ()
    more = f" +{len(records) - SHOWN_RECORDS}" if len(records) > SHOWN_RECORDS else ""
    shown = " ".join(str(seq) for seq in records[:SHOWN_RECORDS])
    values = row.get("values")
    return {**row, "records": shown + more, **({"values": "; ".join(values)} if values else {})}
