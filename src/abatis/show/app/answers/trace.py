"""Where a number comes from: ids of numbers, and the answer of ``/api/trace``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, unquote

from pydantic import BaseModel, Field


class InputAnswer(BaseModel):
    """One thing that a number rests on; `of` can be asked in turn, '' when it goes no further.

    `file`, `key`, `column` say where it stands in the study: a table, the row's key, the column.
    """

    of: str
    what: str
    value: Any = None
    unit: str = ""
    tag: str = ""
    file: str = ""
    key: str = ""
    column: str = ""


class TraceAnswer(BaseModel):
    """What a number is, how it is made, where it comes from, and which records of the ledger it rests on.

    `tag` is the weakest of its inputs: F found, D derived, F- weak, G placeholder.
    """

    of: str
    what: str
    value: Any = None
    unit: str = ""
    formula: str = ""
    source: str = ""
    tag: str = ""
    records: list[int] = Field(default_factory=list)
    inputs: list[InputAnswer] = Field(default_factory=list)


def trace_id(*parts: object) -> str:
    """Join the parts of an id: what kind of number, and which one.

    Examples
    --------
    >>> trace_id("plan", "base", "option", "e1:a/blocks", "cost_eur")
    'plan:base:option:e1%3Aa%2Fblocks:cost_eur'
    """
    return ":".join(quote(str(one), safe="#,. ()+-_") for one in parts)


def split_id(text: str) -> tuple[str, ...]:
    """Return the parts that `trace_id` joined.

    Examples
    --------
    >>> split_id("plan:base:option:e1%3Aa%2Fblocks:cost_eur")
    ('plan', 'base', 'option', 'e1:a/blocks', 'cost_eur')
    """
    return tuple(unquote(one) for one in text.split(":"))


def trace_cells(*parts: object, columns: Sequence[str]) -> dict[str, str]:
    """Return the ids of some columns of a row, whose other parts are the same.

    Examples
    --------
    >>> trace_cells("plan", "base", "approach", "a1", columns=("before_h",))
    {'before_h': 'plan:base:approach:a1:before_h'}
    """
    return {column: trace_id(*parts, column) for column in columns}
