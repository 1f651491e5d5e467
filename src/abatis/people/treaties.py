"""The treaty register: which state is bound by which treaty on a day, since when, and how sure that is."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from itertools import pairwise
from pathlib import Path

import pandas as pd

from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.fields import KEYED_TABLES, read_table
from abatis.model.study import Study
from abatis.people.dates import FORM, UNSURE_TAGS, add_months, format_since, parse_span

BOUND, LEFT, NEVER, NOT_YET, CONTESTED, UNKNOWN = (
    "bound",
    "left",
    "never bound",
    "not yet bound",
    "contested",
    "not known",
)
# What is not known or contested is taken as binding: a duty is rather shown once too often.
BINDING = (BOUND, CONTESTED, UNKNOWN)
FILE = "tables/treaties.csv"
_DATES = ("vote", "notice", "effect", "conflict_from", "conflict_until")


@dataclass(frozen=True)
class Instrument:
    """A treaty: its name and how long after its notice a withdrawal takes effect."""

    key: str
    name: str
    exit_months: int
    exit_article: str
    waits_for_peace: bool
    source: str
    tag: str


@dataclass(frozen=True)
class Standing:
    """How a state stands to an instrument on a day.

    `since` and `until` are dates as text; one that is not verified ends with a question mark; empty when
    not known. `until` is the day of the next change that the register knows. `certain` is false when status
    or date rest on a placeholder or a weak source.
    """

    state: str
    instrument: str
    status: str
    since: str
    until: str
    certain: bool
    note: str
    tag: str
    source: str

    @property
    def binds(self) -> bool:
        """True when the state is bound or may be."""
        return self.status in BINDING


def read_packaged(name: str) -> pd.DataFrame:
    """Read a packaged table whose columns stand in `model/fields.csv`.

    Raises
    ------
    InputError : the packaged table is damaged.
    """
    with resources.as_file(resources.files("abatis.people").joinpath(f"{name}.csv")) as path:
        frame, faults = read_table(Path(path), name, f"people/{name}.csv")
    if faults:
        raise InputError(faults)
    return frame


def merge_own_rows(packaged: pd.DataFrame, own: pd.DataFrame, table: str) -> pd.DataFrame:
    """Put a study's own rows in the place of packaged rows with the same key, and others below them."""
    keys = list(KEYED_TABLES[table])
    taken = set(own[keys].itertuples(index=False, name=None))
    kept = [row not in taken for row in packaged[keys].itertuples(index=False, name=None)]
    frames = [frame for frame in (packaged[kept], own) if len(frame)]
    return pd.concat(frames, ignore_index=True) if frames else packaged


@cache
def read_instruments() -> Mapping[str, Instrument]:
    """Read the treaties that abatis knows, by key."""
    text = resources.files("abatis.people").joinpath("instruments.csv").read_text(encoding="utf-8")
    return {
        row["instrument"]: Instrument(
            row["instrument"],
            row["name"],
            int(row["exit_months"]),
            row["exit_article"],
            row["waits_for_peace"] == "true",
            row["source"],
            row["tag"],
        )
        for row in csv.DictReader(text.splitlines())
    }


def read_register(study: Study | None = None) -> pd.DataFrame:
    """Read the packaged register, with the rows of the study's own treaties.csv in place of the same ones.

    Raises
    ------
    InputError : every fault of the study's rows.
    """
    packaged = read_packaged("treaties")
    if study is None or study.tables["treaties"].empty:
        return packaged
    own = study.tables["treaties"]
    known = {*packaged["state"], *study.home, *study.hostile}
    faults = check_register(own, FILE, known)
    merged = merge_own_rows(packaged, own, "treaties")
    faults = faults or _check_sequence(merged, FILE)
    if faults:
        raise InputError(faults)
    return merged


def _check_sequence(register: pd.DataFrame, file: str) -> list[Fault]:
    """Nobody leaves a treaty before joining it."""
    faults = []
    for (state, instrument), rows in register.groupby(["state", "instrument"], sort=False):
        effects = {str(row["event"]): find_effect(row) for _, row in rows.iterrows()}
        joined, left = effects.get("joined"), effects.get("left")
        if joined is not None and left is not None and left[1] < joined[0]:
            text = (
                f"{state} leaves {instrument} on {_write_span(left)}, before joining on {_write_span(joined)}"
            )
            faults.append(Fault(text, file, column="effect", remedy="put the dates in order"))
    return faults


def check_register(register: pd.DataFrame, file: str, states: set[str]) -> list[Fault]:
    """List unknown states and treaties, impossible dates, and dates in the wrong order.

    Parameters
    ----------
    register : rows of the table treaties.
    file : how the file is named in faults.
    states : the country codes that are known.
    """
    faults = []
    for number, row in register.iterrows():
        line = int(str(number))
        if row["state"] not in states:
            text = f"'{row['state']}' is a state that neither the study nor the register knows"
            faults.append(Fault(text, file, line, "state", nearest_word(row["state"], sorted(states))))
        if row["instrument"] not in read_instruments():
            remedy = nearest_word(row["instrument"], read_instruments())
            faults.append(
                Fault(f"'{row['instrument']}' is an unknown treaty", file, line, "instrument", remedy)
            )
        faults += check_dates(row, _DATES, file, line)
        faults += check_order(row, ("vote", "notice", "effect"), file, line)
        faults += check_order(row, ("conflict_from", "conflict_until"), file, line)
        if row["event"] == LEFT and not row["notice"] and not row["effect"]:
            remedy = "give the day of the notice, or of the effect"
            faults.append(Fault("a withdrawal without any date", file, line, "notice", remedy))
        faults += _check_exit(row, file, line)
    return faults


def check_dates(row: pd.Series, columns: Sequence[str], file: str, line: int) -> list[Fault]:
    """List the dates of a row that the calendar does not have."""
    faults = []
    for column in columns:
        try:
            if row[column]:
                parse_span(row[column])
        except ValueError:
            faults.append(Fault(f"is '{row[column]}', no day of the calendar", file, line, column, FORM))
    return faults


def check_order(row: pd.Series, columns: Sequence[str], file: str, line: int) -> list[Fault]:
    """List dates of a row that surely stand in the wrong order; those that are empty are passed over."""
    faults = []
    given: list[tuple[str, date, date]] = []
    for column in columns:
        try:
            if row[column]:
                given.append((column, *parse_span(row[column])))
        except ValueError:
            continue
    for (before, first, _), (after, _, last) in pairwise(given):
        if last < first:
            text = f"{after} {row[after]} lies before {before} {row[before]}"
            faults.append(Fault(text, file, line, after, "put the dates in order"))
    return faults


def _check_exit(row: pd.Series, file: str, line: int) -> list[Fault]:
    """A withdrawal cannot take effect before the treaty's own term is over."""
    instrument = read_instruments().get(row["instrument"])
    if row["event"] != LEFT or instrument is None or not row["notice"] or not row["effect"]:
        return []
    try:
        earliest = add_months(parse_span(row["notice"])[0], instrument.exit_months)
        if parse_span(row["effect"])[1] >= earliest:
            return []
    except ValueError:
        return []
    text = f"effect {row['effect']} is less than {instrument.exit_months} months after notice {row['notice']}"
    remedy = f"{instrument.name}, art. {instrument.exit_article}: {earliest} at the earliest"
    return [Fault(text, file, line, "effect", remedy)]


def find_effect(row: pd.Series) -> tuple[date, date] | None:
    """Return the first and last day on which an event may take effect; None when no date is known.

    In words: a withdrawal takes effect so many months after its notice as the treaty says; when the state is
    then in an armed conflict and the treaty says so, only when that ends (None while it goes on).

    Examples
    --------
    >>> row = pd.Series({"instrument": "APMBC", "event": "left", "notice": "2025-06-27", "effect": "",
    ...                  "conflict_from": "", "conflict_until": ""})
    >>> find_effect(row)
    (datetime.date(2025, 12, 27), datetime.date(2025, 12, 27))
    """
    instrument = read_instruments()[row["instrument"]]
    if row["effect"]:
        first, last = parse_span(row["effect"])
    elif row["event"] == LEFT and row["notice"]:
        first, last = (add_months(day, instrument.exit_months) for day in parse_span(row["notice"]))
    else:
        return None
    if row["event"] != LEFT or not instrument.waits_for_peace or not row["conflict_from"]:
        return first, last
    if parse_span(row["conflict_from"])[0] > last:
        return first, last
    if not row["conflict_until"]:
        return None
    ended = parse_span(row["conflict_until"])
    return max(first, ended[0]), max(last, ended[1])


def find_standing(register: pd.DataFrame, state: str, instrument: str, day: date) -> Standing:
    """Say how a state stands to an instrument on a day.

    Parameters
    ----------
    register : rows of the table treaties.
    state, instrument : keys.
    day : the day asked for; a change holds from its very day on.

    Examples
    --------
    >>> register = read_register()
    >>> [find_standing(register, "LT", "APMBC", date(2025, 12, day)).status for day in (26, 27)]
    ['bound', 'left']
    >>> find_standing(register, "LT", "AP2", date(2026, 1, 1)).since
    '1998-12-03?'
    """
    rows = register[(register["state"] == state) & (register["instrument"] == instrument)]
    if rows.empty:
        return Standing(state, instrument, UNKNOWN, "", "", False, "not in the register", "", "")
    events = {str(row["event"]): row for _, row in rows.iterrows()}
    if "contested" in events:
        return _stand(events["contested"], CONTESTED, "", sure=False)
    if "never" in events and "joined" not in events:
        return _stand(events["never"], NEVER, "")
    leaving = find_effect(events["left"]) if "left" in events else None
    joining = find_effect(events["joined"]) if "joined" in events else None
    if leaving is not None and day >= leaving[0]:
        status = LEFT if day >= leaving[1] else UNKNOWN
        return _stand(events["left"], status, _write_span(leaving), sure=status == LEFT)
    until = format_since(_write_span(leaving), str(events["left"]["tag"])) if leaving is not None else ""
    row = events.get("joined", events.get("left"))
    if row is None:
        return Standing(state, instrument, UNKNOWN, "", until, False, "", "", "")
    if joining is None:
        return _stand(row, BOUND, "", until, sure=False)
    if day < joining[0]:
        return _stand(row, NOT_YET, "", format_since(_write_span(joining), str(row["tag"])))
    status = BOUND if day >= joining[1] else UNKNOWN
    return _stand(row, status, _write_span(joining), until, sure=status == BOUND)


def _stand(row: pd.Series, status: str, since: str, until: str = "", sure: bool = True) -> Standing:
    tag = str(row["tag"])
    return Standing(
        state=str(row["state"]),
        instrument=str(row["instrument"]),
        status=status,
        since=format_since(since, tag),
        until=until,
        certain=sure and tag not in UNSURE_TAGS,
        note=str(row["note"]),
        tag=tag,
        source=str(row["source"]),
    )


def _write_span(span: tuple[date, date]) -> str:
    """Write a span as the shortest date that means it.

    Examples
    --------
    >>> _write_span(parse_span("2004-04")), _write_span(parse_span("2005"))
    ('2004-04', '2005')
    """
    first, last = span
    for text in (first.isoformat(), first.isoformat()[:7], first.isoformat()[:4]):
        if parse_span(text) == span:
            return text
    return f"{first.isoformat()}/{last.isoformat()}"


def list_changes(register: pd.DataFrame, states: Sequence[str], first: date, last: date) -> tuple[date, ...]:
    """List the days from `first` to `last` on which the standing of one of the states may change."""
    days = set()
    for _, row in register[register["state"].isin(list(states))].iterrows():
        span = find_effect(row)
        days |= {day for day in span or () if first <= day <= last}
    return tuple(sorted(days))
