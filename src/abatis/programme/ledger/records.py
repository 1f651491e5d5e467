"""Records of the ledger: nine kinds, their columns (tables `ledger_<kind>` of fields.csv), canonical form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, NamedTuple, get_args

from abatis.model.fields import Field, fields_of

Kind = Literal[
    "budget",
    "contract",
    "delivery",
    "work",
    "milestone",
    "hazard",
    "incident",
    "treaty_event",
    "statement",
]
KINDS: tuple[str, ...] = get_args(Kind)
# Columns that every kind has; all others stand in `body`.
COMMON = ("key", "on", "corrects", "source", "tag", "access")
ACCESS = ("public", "restricted")
NOT_DISCLOSED = "not disclosed"
# Never shown to the public, whatever the record's access: they would say where a barrier is.
RESTRICTED_COLUMNS = ("site",)
FIRST_HASH = "0" * 64


class Draft(NamedTuple):
    """What is to be recorded: a record before it has a number, an author and a place in the chain.

    `body` holds the columns of the kind that were given: numbers, texts, booleans, or the words
    `not disclosed` where the column allows them. A column left empty is not in it.
    """

    kind: str
    key: str
    on: str
    body: Mapping[str, Any]
    source: str
    tag: str
    access: str = "restricted"
    corrects: int | None = None


class Record(NamedTuple):
    """One record as it stands in the ledger.

    Attributes: `seq` counts from 1; `recorded_at` is UTC (ISO 8601); `on` is the date of the event (year,
    month or day); `corrects` is the number of the record that this one takes the place of; `hash` seals all
    other attributes, `previous_hash` among them.
    """

    seq: int
    recorded_at: str
    author: str
    kind: str
    key: str
    corrects: int | None
    on: str
    body: Mapping[str, Any]
    source: str
    tag: str
    access: str
    previous_hash: str
    hash: str

    @property
    def withdrawn(self) -> bool:
        """True when the record takes another back and puts nothing in its place."""
        return bool(self.body.get("withdrawn"))


@cache
def columns_of(kind: str) -> tuple[Field, ...]:
    """Return the columns of a kind, common ones among them, in the order of the table of fields.

    Examples
    --------
    >>> [field.column for field in columns_of("treaty_event")][:5]
    ['key', 'on', 'country', 'name', 'instrument']
    """
    return fields_of(f"ledger_{kind}")


@cache
def body_columns(kind: str) -> tuple[Field, ...]:
    """Return the columns of a kind that stand in the body of its records."""
    return tuple(field for field in columns_of(kind) if field.column not in COMMON)


def may_stay_undisclosed(field: Field) -> bool:
    """True when a column may hold the words `not disclosed` in place of a number."""
    return field.type.endswith("or not disclosed")


def write_canonical(value: Any) -> str:
    """Write a value as canonical JSON: keys sorted, no spaces, letters as they are.

    In words: a whole number is written without a point, so that 3 and 3.0 are the same figure.

    Examples
    --------
    >>> write_canonical({"unit": "km", "amount_eur": 2e6, "done": 0.25})
    '{"amount_eur":2000000,"done":0.25,"unit":"km"}'
    """
    return json.dumps(
        _make_whole(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def _make_whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _make_whole(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [_make_whole(one) for one in value]
    return value


def redact_record(record: Record) -> Record | None:
    """Return what the public may see of a record, or None when that is nothing.

    In words: restricted records are left out whole; of public ones the columns that would say where a
    barrier stands are left out, and the hashes, because a reader could guess what was hidden and try.
    """
    if record.access != "public":
        return None
    kept = {key: value for key, value in record.body.items() if key not in RESTRICTED_COLUMNS}
    return record._replace(body=kept, previous_hash="", hash="")
