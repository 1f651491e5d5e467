"""Checks of a draft before it is recorded: every column, and what columns owe each other."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from datetime import date
from functools import cache, lru_cache
from typing import Any

from abatis.model.errors import Fault, nearest_word
from abatis.model.fields import Field
from abatis.people.dates import FORM, parse_span
from abatis.programme.ledger.records import (
    ACCESS,
    KINDS,
    NOT_DISCLOSED,
    Draft,
    body_columns,
    columns_of,
    may_stay_undisclosed,
)
from abatis.programme.ledger.scope import refuse_scope, refuse_text

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")
_ORDERED = {
    "budget": (("first_year", "last_year"),),
    "contract": (("start", "due"),),
    "work": (("planned_start", "planned_finish"), ("start", "finish")),
}
_QUANTITIES = {"contract": ("quantity",), "delivery": ("quantity", "ordered"), "work": ("quantity",)}
Problem = tuple[str, str, str]
# A file names the same days again and again.
_read_span = lru_cache(maxsize=8192)(parse_span)


def check_draft(draft: Draft, file: str = "", row: int | None = None) -> list[Fault]:
    """List everything that is wrong with a draft, taken by itself.

    Parameters
    ----------
    draft : what is to be recorded.
    file, row : how its place is named in faults.

    Examples
    --------
    >>> said = {"country": "LT", "line": "mines", "stage": "spent", "amount_eur": -1.0}
    >>> print(check_draft(Draft("budget", "lt_mines", "2026-02-30", said, "x", "F"))[0])
    on: is '2026-02-30', no date of the calendar (write YYYY, YYYY-MM or YYYY-MM-DD)
    """
    if draft.kind not in KINDS:
        text = f"has the unknown word '{draft.kind}'"
        return [Fault(text, file, row, "kind", nearest_word(str(draft.kind), KINDS))]
    problems = [*_check_common(draft), *_check_body(draft)]
    problems += check_together(draft, {column for column, _, _ in problems})
    return [Fault(problem, file, row, column, remedy) for column, problem, remedy in problems]


def _check_common(draft: Draft) -> list[Problem]:
    given = {"key": draft.key, "on": draft.on, "source": draft.source, "tag": draft.tag}
    problems: list[Problem] = []
    for column, value in given.items():
        problems += check_value(draft.kind, _fields(draft.kind)[column], value)
    if draft.access not in ACCESS:
        text = f"has the unknown word '{draft.access}'"
        problems.append(("access", text, nearest_word(str(draft.access), ACCESS)))
    corrects = draft.corrects
    if corrects is not None and (type(corrects) is not int or corrects < 1):
        problems.append(("corrects", f"is {corrects!r}, no number of a record", "give its number"))
    return problems


def _check_body(draft: Draft) -> list[Problem]:
    fields = _body(draft.kind)
    problems: list[Problem] = []
    for column, value in draft.body.items():
        field = fields.get(column)
        if field is None:
            text = f"a {draft.kind} has no column '{column}'"
            problems.append((str(column), text, nearest_word(str(column), fields)))
        else:
            problems += check_value(draft.kind, field, value)
    problems += [
        (column, "is missing", f"give the {fields[column].meaning}")
        for column in _required(draft.kind)
        if column not in draft.body
    ]
    return problems


@cache
def _fields(kind: str) -> Mapping[str, Field]:
    return {field.column: field for field in columns_of(kind)}


@cache
def _body(kind: str) -> Mapping[str, Field]:
    return {field.column: field for field in body_columns(kind)}


@cache
def _required(kind: str) -> tuple[str, ...]:
    return tuple(field.column for field in body_columns(kind) if field.default == "required")


def check_value(kind: str, field: Field, value: Any) -> tuple[Problem, ...]:
    """List what is wrong with one value of a record of a kind: column, problem and remedy."""
    if isinstance(value, str):
        return _check_text(kind, field.column, value)
    sort = field.type.split()[0]
    good = {"number": (int, float), "integer": (int,), "boolean": (bool,)}.get(sort, ())
    if type(value) not in good:
        return ((field.column, f"is {value!r}", f"give the {field.meaning}"),)
    if sort == "boolean":
        return ()
    if not math.isfinite(value) or not field.minimum <= value <= field.maximum:
        bounds = f"{field.minimum:.12g} to {field.maximum:.12g}"
        return ((field.column, f"is {value:.12g}", f"give a number from {bounds}"),)
    return ()


@lru_cache(maxsize=65536)
def _check_text(kind: str, column: str, text: str) -> tuple[Problem, ...]:
    field = _fields(kind)[column]
    if not text or text != text.strip():
        return ((column, "is empty" if not text.strip() else "has spaces around it", "leave them out"),)
    sort = field.type.split()[0]
    if sort in ("number", "integer", "boolean"):
        if text == NOT_DISCLOSED and may_stay_undisclosed(field):
            return ()
        return ((column, f"is '{text[:40]}', not a number", f"give the {field.meaning}"),)
    refused = refuse_text(text) or refuse_scope(kind, column, text)
    if refused:
        return ((column, *refused),)
    if sort == "word" and not _KEY.fullmatch(text):
        return ((column, f"is '{text[:40]}', not a key", "use letters, digits, _ . and -"),)
    if sort == "date":
        try:
            _read_span(text)
        except ValueError:
            return ((column, f"is '{text[:40]}', no date of the calendar", FORM),)
    if sort in ("choice", "tag") and text not in field.choices:
        return ((column, f"has the unknown word '{text[:40]}'", nearest_word(text, field.choices)),)
    return ()


def check_together(draft: Draft, bad: Collection[str] = ()) -> list[Problem]:
    """List what columns of a draft owe each other: column, problem and remedy.

    Parameters
    ----------
    draft : what is to be recorded.
    bad : columns with a fault of their own; what others owe them cannot be judged.

    Examples
    --------
    >>> said = {"first_year": 2027, "last_year": 2025}
    >>> draft = Draft("budget", "lt_mines", "2099-01-01", said, "", "F")
    >>> [column for column, _, _ in check_together(draft, {"source"})]
    ['on', 'last_year']
    """
    body, kind = draft.body, draft.kind
    if bad:
        body = {column: value for column, value in body.items() if column not in bad}
    problems: list[Problem] = []
    if "on" not in bad and _read_span(draft.on)[0] > date.today():
        text = f"is {draft.on}, in the future"
        remedy = "the ledger holds what happened: give the day it was said or decided"
        problems.append(("on", text, remedy))
    if body.get("withdrawn") and draft.corrects is None and "corrects" not in bad:
        problems.append(("withdrawn", "takes nothing back", "name the record in corrects"))
    for first, last in _ORDERED.get(kind, ()):
        if first in body and last in body and _first_day(body[first]) > _last_day(body[last]):
            problems.append((last, f"{body[last]} is before {first}, {body[first]}", "correct one"))
    for column in _QUANTITIES.get(kind, ()):
        if isinstance(body.get(column), int | float) and "unit" not in body and "unit" not in bad:
            problems.append(("unit", f"is missing while {column} is given", "give km, m2, ha, pieces, sites"))
            break
    if kind == "milestone":
        problems += _check_milestone(body, bad)
    return problems


def _check_milestone(body: Mapping[str, Any], bad: Collection[str]) -> list[Problem]:
    problems: list[Problem] = []
    known = "stage" in body and "reached" not in bad
    if known and (body["stage"] == "reached") != ("reached" in body):
        given = f"is {body['reached']}" if "reached" in body else "is missing"
        problems.append(("reached", f"{given} while the stage is {body['stage']}", "let them agree"))
    known = "country" in body and "neighbour" not in bad
    if known and body.get("category") == "seam" and body.get("neighbour", body["country"]) == body["country"]:
        problems.append(("neighbour", "is no neighbour", "a seam has a country on each side"))
    return problems


def _first_day(value: Any) -> date:
    return _read_span(str(value))[0]


def _last_day(value: Any) -> date:
    return _read_span(str(value))[1]
