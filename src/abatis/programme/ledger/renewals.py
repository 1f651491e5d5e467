"""The renewal calendar: what reaches the end of its life, what is to be reviewed, what the law changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from abatis.people.dates import add_months
from abatis.programme.ledger.settings import Life
from abatis.programme.ledger.states import (
    NO_DAY,
    TAG_RANK,
    KindTable,
    collect_records,
    find_weakest,
    say_day,
    say_number,
    say_text,
    write_day,
)

TOLD, LIFE_TOLD, LIFE_OF_MEASURE, NO_DATE = "told", "life told", "life of the measure", "no date"
LAST_YEAR = 2200
REVIEWS = ("review", "report")
SPEAKS_OF_EFFECT = ("vote", "notice", "effect", "left", "joined", "suspended")


@dataclass(frozen=True)
class Renewal:
    """One date of the calendar; `due` is None where equipment has no date and no life that could give one.

    `kind` is equipment, work, stock, treaty, review or law; `days_left` is negative when the date has passed.
    """

    due: str | None
    kind: str
    key: str
    name: str
    country: str
    line: str
    measure: str
    quantity: float | None
    unit: str
    basis: str
    days_left: int | None
    tag: str
    records: tuple[int, ...]


@dataclass(frozen=True)
class Change:
    """A day on which the law changes for a state, from the treaty register of the study."""

    country: str
    name: str
    day: date
    tag: str


def list_renewals(
    tables: Mapping[str, KindTable],
    day: date,
    lives: Mapping[str, Life],
    years_ahead: float,
    changes: Iterable[Change] = (),
    stocks: Iterable[Renewal] = (),
) -> tuple[Renewal, ...]:
    """List what is to be renewed, reviewed or changed, in the order of dates; what has no date comes last.

    Parameters
    ----------
    tables : records of the kinds delivery, work, milestone and treaty_event.
    day : the day asked for; what was due before it and not renewed is listed too, but for changes of the law.
    lives : service life by measure.
    years_ahead : how far the calendar looks.
    changes : changes of the law from the treaty register.
    stocks : stock that expires.

    Formula: due = the date told; else last day of work or delivery + life told; else + life of its measure.
    In words: a date that somebody told goes before one that is reckoned from a service life, and the calendar
    says which it is.
    """
    rows = [
        *_renew_deliveries(tables["delivery"], lives),
        *_renew_works(tables["work"], lives),
        *_list_reviews(tables["treaty_event"], day),
        *_list_law(tables["milestone"]),
        *stocks,
        *(
            Renewal(
                due=one.day.isoformat(), kind="treaty", key=one.name, name=one.name, country=one.country,
                line="", measure="", quantity=None, unit="", basis="treaty register", days_left=None,
                tag=one.tag, records=(),
            )
            for one in changes
        ),
    ]  # fmt: skip
    last = add_months(day, min(int(round(12 * years_ahead)), 12 * (LAST_YEAR - day.year)))
    limit = last.isoformat()
    dated = [
        replace(one, days_left=(date.fromisoformat(one.due) - day).days)
        for one in _merge_treaties(rows)
        if one.due is not None and one.due <= limit
    ]
    undated = [one for one in rows if one.due is None]
    return (*sorted(dated, key=_order), *sorted(undated, key=_order))


def _order(row: Renewal) -> tuple[str, str, str, str]:
    return row.due or "", row.country, row.kind, row.key


def _merge_treaties(rows: list[Renewal]) -> list[Renewal]:
    """One row where the ledger and the register speak of the same change on the same day."""
    told = {(one.due, one.country, one.name) for one in rows if one.kind == "treaty" and one.records}
    return [
        one
        for one in rows
        if one.kind != "treaty" or one.records or (one.due, one.country, one.name) not in told
    ]


def _end_lives(
    begins: np.ndarray, told: np.ndarray, years: np.ndarray, measures: Iterable[str], lives: Mapping[str, Life]
) -> tuple[list[str | None], list[str]]:
    """Due dates and what they rest on: told, life told, or life of the measure."""
    due: list[str | None] = []
    basis = []
    for begin, given, life, measure in zip(
        begins.tolist(), told.tolist(), years.tolist(), measures, strict=True
    ):
        known = lives.get(measure)
        if given > NO_DAY:
            due.append(write_day(given))
            basis.append(TOLD)
        elif life > 0:
            due.append(_add_years(begin, life))
            basis.append(LIFE_TOLD)
        elif known is not None and known.years > 0:
            due.append(_add_years(begin, known.years))
            basis.append(LIFE_OF_MEASURE)
        else:
            due.append(None)
            basis.append("" if known is not None or life == 0 else NO_DATE)
    return due, basis


def _add_years(begin: int, years: float) -> str:
    months = min(round(12 * years), 12 * (LAST_YEAR - date.fromordinal(begin).year))
    return add_months(date.fromordinal(begin), max(months, 0)).isoformat()


def _renew_deliveries(table: KindTable, lives: Mapping[str, Life]) -> list[Renewal]:
    """Deliveries of one thing that end on the same day stand in one row."""
    if not len(table):
        return []
    quantity, _ = table.read_numbers("quantity")
    measure = table.read_texts("measure")
    due, basis = _end_lives(
        table.last_day, table.read_days("renewal")[1], table.read_numbers("life_years")[0], measure, lives
    )
    groups: dict[tuple[str | None, str, str, str, str], list[int]] = defaultdict(list)
    for row, record in enumerate(table.records):
        if basis[row]:
            country, line = str(record.body.get("country") or ""), str(record.body.get("line") or "")
            groups[due[row], record.key, country, line, measure[row]].append(row)
    found = []
    for (ends, key, country, line, of_measure), rows in groups.items():
        known = quantity[rows][~np.isnan(quantity[rows])]
        tags = [table.records[row].tag for row in rows]
        of_life = lives.get(of_measure)
        if basis[rows[0]] == LIFE_OF_MEASURE and of_life is not None:
            tags.append(of_life.tag)
        body = table.records[rows[-1]].body
        found.append(
            Renewal(
                due=ends,
                kind="equipment",
                key=key,
                name=str(body.get("name") or key),
                country=country,
                line=line,
                measure=of_measure,
                quantity=float(known.sum()) if len(known) else None,
                unit=str(body.get("unit") or ""),
                basis=basis[rows[0]],
                days_left=None,
                tag=min(tags, key=lambda one: TAG_RANK[one]),
                records=tuple(sorted(table.records[row].seq for row in rows)),
            )
        )
    return found


def _renew_works(table: KindTable, lives: Mapping[str, Life]) -> list[Renewal]:
    if not len(table):
        return []
    stage, stage_row = say_text(table, "stage")
    finish, finish_row = say_day(table, "finish", last=True)
    told, told_row = say_day(table, "renewal", last=True)
    life = say_number(table, "life_years")
    measure, measure_row = say_text(table, "measure")
    begins = np.where(finish > NO_DAY, finish, table.last_day[table.starts[1:] - 1])
    due, basis = _end_lives(begins, told, life.value, measure, lives)
    rows = [stage_row, finish_row, told_row, life.row, measure_row]
    records, tags = collect_records(table, rows), find_weakest(table, rows)
    quantity, texts = say_number(table, "quantity").value, {}
    for name in ("name", "country", "line", "unit"):
        texts[name] = say_text(table, name)[0]
    found = []
    for one in np.flatnonzero((stage == "finished") | (told > NO_DAY)).tolist():
        if not basis[one]:
            continue
        of_life = lives.get(measure[one])
        tag = tags[one]
        if basis[one] == LIFE_OF_MEASURE and of_life is not None:
            tag = min(tag, of_life.tag, key=lambda word: TAG_RANK[word])
        found.append(
            Renewal(
                due=due[one],
                kind="work",
                key=table.keys[one],
                name=texts["name"][one] or table.keys[one],
                country=texts["country"][one],
                line=texts["line"][one],
                measure=measure[one],
                quantity=None if np.isnan(quantity[one]) else float(quantity[one]),
                unit=texts["unit"][one],
                basis=basis[one],
                days_left=None,
                tag=tag,
                records=records[one],
            )
        )
    return found


def _list_reviews(table: KindTable, day: date) -> list[Renewal]:
    """Reviews and reports that a treaty event names, and effects that lie ahead."""
    effect = table.read_days("effect")[1]
    now = day.toordinal()
    found = []
    for row, record in enumerate(table.records):
        event, ends = str(record.body.get("event")), int(effect[row])
        ahead = event in SPEAKS_OF_EFFECT and ends >= now
        if ends > NO_DAY and (event in REVIEWS or ahead):
            found.append(_date_row(record.seq, record.tag, record.body, record.key, ends, "treaty" if ahead else "review"))
    return found


def _list_law(table: KindTable) -> list[Renewal]:
    """Milestones of the law that are not reached."""
    if not len(table):
        return []
    category, category_row = say_text(table, "category")
    stage, stage_row = say_text(table, "stage")
    due, due_row = say_day(table, "due", last=True)
    records = collect_records(table, [category_row, stage_row, due_row])
    tags = find_weakest(table, [category_row, stage_row, due_row])
    found = []
    for one in np.flatnonzero((category == "law") & np.isin(stage, ("planned", "missed"))).tolist():
        body = table.records[int(table.starts[one + 1]) - 1].body
        row = _date_row(records[one][0], tags[one], body, table.keys[one], int(due[one]), "law")
        found.append(replace(row, records=records[one]))
    return found


def _date_row(
    seq: int, tag: str, body: Mapping[str, object], key: str, ends: int, kind: str
) -> Renewal:
    instrument = str(body.get("instrument") or "")
    return Renewal(
        due=write_day(ends),
        kind=kind,
        key=key,
        name=str(body.get("name") or "") if kind != "treaty" or not instrument else instrument,
        country=str(body.get("country") or ""),
        line=str(body.get("line") or ""),
        measure="",
        quantity=None,
        unit="",
        basis=TOLD,
        days_left=None,
        tag=tag,
        records=(seq,),
    )
