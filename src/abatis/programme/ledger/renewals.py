"""The renewal calendar: what reaches the end of its life, what is to be reviewed, what the law changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from abatis.programme.ledger.settings import Life
from abatis.programme.ledger.states import (
    NO_DAY,
    TAG_RANK,
    KindTable,
    collect_records,
    find_end,
    find_weakest,
    say_day,
    say_number,
    say_text,
    write_day,
)

TOLD, LIFE_TOLD, LIFE_OF_MEASURE, NO_DATE = "told", "life told", "life of the measure", "no date"
MOST_YEARS = 200
EPOCH = date(1970, 1, 1).toordinal()
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
    now = day.toordinal()
    limit = int(_add_years(np.array([now]), np.array([years_ahead]))[0])
    told = [*_list_reviews(tables["treaty_event"], now), *_list_law(tables["milestone"], now)]
    known = {(one.due, one.country, one.name) for one in told if one.kind == "treaty"}
    registered = [
        Renewal(
            due=one.day.isoformat(), kind="treaty", key=one.name, name=one.name, country=one.country,
            line="", measure="", quantity=None, unit="", basis="treaty register",
            days_left=one.day.toordinal() - now, tag=one.tag, records=(),
        )
        for one in changes
        if (one.day.isoformat(), one.country, one.name) not in known
    ]  # fmt: skip
    expiring = [replace(one, days_left=date.fromisoformat(one.due or "").toordinal() - now) for one in stocks]
    rows = [
        one
        for one in (*told, *registered, *expiring)
        if one.days_left is not None and one.days_left <= limit - now
    ]
    rows += _renew_deliveries(tables["delivery"], lives, now, limit)
    rows += _renew_works(tables["work"], lives, now, limit)
    return tuple(sorted(rows, key=_order))


def _order(row: Renewal) -> tuple[str, str, str, str]:
    return row.due or "9999", row.country, row.kind, row.key


def _add_years(begins: np.ndarray, years: np.ndarray) -> np.ndarray:
    """Return the same day so many years later, ordinals int64[n]; the last of a month that is shorter.

    Examples
    --------
    >>> day = np.array([date(2024, 2, 29).toordinal()])
    >>> [date.fromordinal(int(_add_years(day, np.array([one]))[0])).isoformat() for one in (1.0, 0.5)]
    ['2025-02-28', '2024-08-29']
    """
    days = (begins - EPOCH).astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    added = np.clip(np.round(12 * years), 0, 12 * MOST_YEARS).astype(np.int64)
    later = months + added
    length = ((later + 1).astype("datetime64[D]") - later.astype("datetime64[D]")).astype(np.int64)
    of_month = (days - months.astype("datetime64[D]")).astype(np.int64)
    found = later.astype("datetime64[D]").astype(np.int64) + np.minimum(of_month, length - 1) + EPOCH
    return np.asarray(found, np.int64)


def _end_lives(
    begins: np.ndarray, told: np.ndarray, years: np.ndarray, measures: np.ndarray, lives: Mapping[str, Life]
) -> tuple[np.ndarray, np.ndarray]:
    """Due days int64[n] (0 for none) and what they rest on, object[n]: '' where nothing is to be renewed."""
    of_measure = {one: lives[one].years if one in lives else np.nan for one in set(measures.tolist())}
    known = np.array([of_measure[one] for one in measures.tolist()], float)
    due, basis = np.zeros(len(begins), np.int64), np.full(len(begins), NO_DATE, object)
    endless = (years == 0) | (np.isnan(years) & (known == 0))
    for word, lasting in ((LIFE_OF_MEASURE, known), (LIFE_TOLD, years)):
        has = lasting > 0
        due[has], basis[has] = _add_years(begins[has], lasting[has]), word
    given = told > NO_DAY
    due[given], basis[given] = told[given], TOLD
    due[endless & ~given], basis[endless & ~given] = NO_DAY, ""
    return due, basis


def _renew_deliveries(table: KindTable, lives: Mapping[str, Life], now: int, limit: int) -> list[Renewal]:
    """Deliveries of one thing that end on the same day stand in one row."""
    if not len(table):
        return []
    quantity, _ = table.read_numbers("quantity")
    told, years = table.read_days("renewal")[1], table.read_numbers("life_years")[0]
    due, basis = _end_lives(table.last_day, told, years, table.read_texts("measure"), lives)
    shown = np.flatnonzero((basis != "") & (due <= limit))
    country, line, name, unit, measure = (
        table.read_texts(column)[shown].tolist() for column in ("country", "line", "name", "unit", "measure")
    )
    ends, group, seq = due[shown].tolist(), table.group[shown].tolist(), table.seq[shown].tolist()
    amount, on_what = quantity[shown].tolist(), basis[shown].tolist()
    tag = [table.records[row].tag for row in shown.tolist()]
    places: dict[tuple[int, int, str], list[int]] = defaultdict(list)
    for place, key in enumerate(zip(ends, group, measure, strict=True)):
        places[key].append(place)
    found = []
    for (last_day, of_key, of_measure), every in places.items():
        last = every[-1]
        known = [amount[one] for one in every if amount[one] == amount[one]]
        found.append(
            Renewal(
                due=write_day(last_day),
                kind="equipment",
                key=table.keys[of_key],
                name=name[last] or table.keys[of_key],
                country=country[last],
                line=line[last],
                measure=of_measure,
                quantity=sum(known) if known else None,
                unit=unit[last],
                basis=on_what[last],
                days_left=last_day - now if last_day > NO_DAY else None,
                tag=_weaken({tag[one] for one in every}, on_what[last], lives.get(of_measure)),
                records=tuple(sorted(seq[one] for one in every)),
            )
        )
    return found


def _weaken(tags: set[str], basis: str, life: Life | None) -> str:
    """The weakest tag, that of the measure's service life among them where the date rests on it."""
    every = tags | {life.tag} if basis == LIFE_OF_MEASURE and life is not None else tags
    return min(every, key=TAG_RANK.__getitem__)


def _renew_works(table: KindTable, lives: Mapping[str, Life], now: int, limit: int) -> list[Renewal]:
    if not len(table):
        return []
    stage, stage_row = say_text(table, "stage")
    finish, finish_row = say_day(table, "finish", last=True)
    told, told_row = say_day(table, "renewal", last=True)
    life = say_number(table, "life_years")
    measure, measure_row = say_text(table, "measure")
    end_row = find_end(table)
    begins = np.where(finish > NO_DAY, finish, table.last_day[np.maximum(end_row, 0)])
    due, basis = _end_lives(begins, told, life.value, measure, lives)
    ended_row = np.where(finish > NO_DAY, -1, end_row)
    rows = [stage_row, finish_row, ended_row, told_row, life.row, measure_row]
    records, tags = collect_records(table, rows), find_weakest(table, rows)
    quantity = say_number(table, "quantity").value
    texts = {name: say_text(table, name)[0] for name in ("name", "country", "line", "unit")}
    stands = (stage == "finished") | (told > NO_DAY)
    return [
        Renewal(
            due=write_day(due[one]),
            kind="work",
            key=table.keys[one],
            name=texts["name"][one] or table.keys[one],
            country=texts["country"][one],
            line=texts["line"][one],
            measure=measure[one],
            quantity=None if np.isnan(quantity[one]) else float(quantity[one]),
            unit=texts["unit"][one],
            basis=basis[one],
            days_left=int(due[one]) - now if due[one] > NO_DAY else None,
            tag=_weaken({tags[one]}, basis[one], lives.get(measure[one])),
            records=records[one],
        )
        for one in np.flatnonzero(stands & (basis != "") & (due <= limit)).tolist()
    ]


def _list_reviews(table: KindTable, now: int) -> list[Renewal]:
    """Reviews and reports that a treaty event names, and effects that lie ahead."""
    effect = table.read_days("effect")[1]
    found = []
    for row, record in enumerate(table.records):
        event, ends = str(record.body.get("event")), int(effect[row])
        ahead = event in SPEAKS_OF_EFFECT and ends >= now
        if ends > NO_DAY and (event in REVIEWS or ahead):
            kind = "treaty" if ahead else "review"
            found.append(_date_row((record.seq,), record.tag, record.body, record.key, ends, kind, now))
    return found


def _list_law(table: KindTable, now: int) -> list[Renewal]:
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
        found.append(_date_row(records[one], tags[one], body, table.keys[one], int(due[one]), "law", now))
    return found


def _date_row(
    records: tuple[int, ...], tag: str, body: Mapping[str, object], key: str, ends: int, kind: str, now: int
) -> Renewal:
    instrument = str(body.get("instrument") or "")
    return Renewal(
        due=write_day(ends),
        kind=kind,
        key=key,
        name=instrument if kind == "treaty" and instrument else str(body.get("name") or instrument or key),
        country=str(body.get("country") or ""),
        line=str(body.get("line") or ""),
        measure="",
        quantity=None,
        unit="",
        basis=TOLD,
        days_left=ends - now,
        tag=tag,
        records=records,
    )
