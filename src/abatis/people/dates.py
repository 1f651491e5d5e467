"""Dates of unequal precision: a year, a month or a day, found or not verified."""

from __future__ import annotations

import calendar
import re
from datetime import date

UNSURE_TAGS = ("F-", "G")
FORM = "write YYYY, YYYY-MM or YYYY-MM-DD"


def parse_span(text: str) -> tuple[date, date]:
    """Return the first and last day that a date of any precision may mean.

    Raises
    ------
    ValueError : it is no date of the calendar.

    Examples
    --------
    >>> parse_span("2004-02")
    (datetime.date(2004, 2, 1), datetime.date(2004, 2, 29))
    """
    if not re.fullmatch(r"\d{4}(-\d{2}){0,2}", text):
        raise ValueError(f"'{text}' is no date")
    parts = [int(part) for part in text.split("-")]
    if len(parts) == 3:
        day = date(*parts)
        return day, day
    first = date(parts[0], parts[1] if len(parts) == 2 else 1, 1)
    month = parts[1] if len(parts) == 2 else 12
    return first, date(parts[0], month, calendar.monthrange(parts[0], month)[1])


def add_months(day: date, months: int) -> date:
    """Return the same day so many months later, or the last of that month when it is shorter.

    Examples
    --------
    >>> add_months(date(2025, 6, 27), 6), add_months(date(2025, 8, 31), 6)
    (datetime.date(2025, 12, 27), datetime.date(2026, 2, 28))
    """
    month = day.month - 1 + months
    year, month = day.year + month // 12, month % 12 + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def format_since(text: str, tag: str) -> str:
    """Write a date so that it never looks surer than its tag.

    In words: a date that is not verified ends with a question mark, as in ISO 8601-2.

    Examples
    --------
    >>> format_since("1998-12-03", "G"), format_since("2025-12-27", "F")
    ('1998-12-03?', '2025-12-27')
    """
    return f"{text}?" if text and tag in UNSURE_TAGS else text
