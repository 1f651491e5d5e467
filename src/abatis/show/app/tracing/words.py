"""What each traced figure is called, its unit, and its formula in words: the table words.csv."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from typing import NamedTuple

TABLE = Path(__file__).with_name("words.csv")


class Words(NamedTuple):
    """Name, unit and formula of a figure."""

    what: str
    unit: str
    formula: str


@cache
def read_words() -> dict[tuple[str, str], Words]:
    """Read the words by kind and figure."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return {
            (row["kind"], row["figure"]): Words(row["what"], row["unit"], row["formula"])
            for row in csv.DictReader(file)
        }


def find_words(kind: str, figure: str) -> Words | None:
    """Return the words of a figure; None where it cannot be traced.

    Examples
    --------
    >>> find_words("plan", "cost_eur").unit, find_words("plan", "colour")
    ('EUR', None)
    """
    return read_words().get((kind, figure))
