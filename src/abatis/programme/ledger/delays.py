"""Delays: what is late, by how many days, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from abatis.programme.ledger.states import (
    NO_DAY,
    KindTable,
    collect_records,
    find_end,
    find_weakest,
    say_day,
    say_first_day,
    say_number,
    say_text,
    write_day,
)

NOT_SAID = "not said"


@dataclass(frozen=True)
class Delay:
    """One thing that is late, or was: `due` is the day first named, `until` when it came or is due now."""

    kind: str
    key: str
    name: str
    country: str
    line: str
    work: str
    cause: str
    due: str
    until: str
    days: int
    ended: bool
    planned_eur: float | None
    tag: str
    records: tuple[int, ...]


@dataclass(frozen=True)
class DelayCause:
    """Delays of one cause in one country: how many things, days together and on average, money they hold up.

    `planned_eur` is the planned cost of the late works and the value of the late contracts, None when not
    known of any.
    """

    country: str
    cause: str
    works: int
    milestones: int
    contracts: int
    deliveries: int
    open_count: int
    days: int
    mean_days: float
    planned_eur: float | None
    tags: str
    records: tuple[int, ...]


def list_delays(tables: Mapping[str, KindTable], day: date) -> tuple[Delay, ...]:
    """List what is late on a day, or came late.

    Parameters
    ----------
    tables : records of the kinds work, milestone, contract and delivery.
    day : the day asked for.

    Formula: days = last day in fact, as told now, or the day asked for (the latest) - day first named.
    In words: the day first named counts, so that a plan that was moved does not hide its slip. A date that
    names only a month or year is taken at its latest. What ended without naming its last day ended with the
    first record that says so (`find_end`). Cancelled things and tenders are not late.
    """
    found = [
        *_delay_states(tables["work"], "planned_finish", "finish", "planned_eur", day),
        *_delay_states(tables["milestone"], "due", "reached", "", day),
    ]
    late_works = {one.key for one in found if one.kind == "work"}
    contracts = _delay_states(tables["contract"], "due", "", "amount_eur", day)
    found += [one for one in contracts if one.work not in late_works]
    return (*found, *_delay_deliveries(tables["delivery"]))


def _delay_states(table: KindTable, planned: str, actual: str, money: str, day: date) -> list[Delay]:
    """Delays of works, milestones or contracts: what they say of themselves, against the day first named."""
    if not len(table):
        return []
    first, first_row = say_first_day(table, planned)
    if table.kind == "milestone":
        named, named_row = say_first_day(table, "first_due")
        first, first_row = (
            np.where(named > NO_DAY, named, first),
            np.where(named > NO_DAY, named_row, first_row),
        )
    moved, moved_row = say_day(table, planned, last=True)
    stage, stage_row = say_text(table, "stage")
    end_row = find_end(table)
    ended = end_row >= 0
    running = np.isin(stage, ("planned", "started", "suspended", "missed", "signed", "changed"))
    told, told_row = say_day(table, actual, last=True) if actual else (np.zeros_like(first), first_row)
    came = np.where(told > NO_DAY, told, table.last_day[end_row])
    until = np.where(ended, came, np.maximum(np.maximum(moved, told), day.toordinal()))
    late = (first > NO_DAY) & (ended | running) & (until > first)
    cause, cause_row = say_text(table, "delay_cause")
    rows = [first_row, moved_row, stage_row, told_row, cause_row, np.where(told > NO_DAY, -1, end_row)]
    amount = say_number(table, money) if money else None
    records, tags = collect_records(table, rows), find_weakest(table, rows)
    texts = {name: say_text(table, name)[0] for name in ("name", "country", "line", "work")}
    return [
        Delay(
            kind=table.kind,
            key=table.keys[one],
            name=texts["name"][one],
            country=texts["country"][one],
            line=texts["line"][one],
            work=texts["work"][one],
            cause=cause[one] or NOT_SAID,
            due=write_day(first[one]) or "",
            until=write_day(until[one]) or "",
            days=int(until[one] - first[one]),
            ended=bool(ended[one]),
            planned_eur=None if amount is None or np.isnan(amount.value[one]) else float(amount.value[one]),
            tag=tags[one],
            records=records[one],
        )
        for one in np.flatnonzero(late).tolist()
    ]


def _delay_deliveries(table: KindTable) -> list[Delay]:
    """Every delivery that came after its due date."""
    if not len(table):
        return []
    due = table.read_days("due")[1]
    late = np.flatnonzero((due > NO_DAY) & (table.last_day > due))
    found = []
    for row in late.tolist():
        record = table.records[row]
        body = record.body
        found.append(
            Delay(
                kind="delivery",
                key=record.key,
                name=str(body.get("name") or ""),
                country=str(body.get("country") or ""),
                line=str(body.get("line") or ""),
                work=str(body.get("work") or ""),
                cause=str(body.get("delay_cause") or NOT_SAID),
                due=write_day(due[row]) or "",
                until=write_day(table.last_day[row]) or "",
                days=int(table.last_day[row] - due[row]),
                ended=True,
                planned_eur=None,
                tag=record.tag,
                records=(record.seq,),
            )
        )
    return found


def sum_causes(delays: tuple[Delay, ...]) -> tuple[DelayCause, ...]:
    """Sum delays by country and cause, the most days first.

    Examples
    --------
    >>> told = ("work", "w", "", "EE", "", "", "land", "2026-12-31", "2027-12-31", 365, False, None, "F")
    >>> one = Delay(*told, (3,))
    >>> [(row.cause, row.works, row.days, row.records) for row in sum_causes((one, one))]
    [('land', 2, 730, (3,))]
    """
    groups: dict[tuple[str, str], list[Delay]] = defaultdict(list)
    for one in delays:
        groups[one.country, one.cause].append(one)
    rows = []
    for (country, cause), every in groups.items():
        kinds = [one.kind for one in every]
        money = [one.planned_eur for one in every if one.planned_eur is not None]
        days = sum(one.days for one in every)
        rows.append(
            DelayCause(
                country=country,
                cause=cause,
                works=kinds.count("work"),
                milestones=kinds.count("milestone"),
                contracts=kinds.count("contract"),
                deliveries=kinds.count("delivery"),
                open_count=sum(not one.ended for one in every),
                days=days,
                mean_days=days / len(every),
                planned_eur=round(sum(money), 2) if money else None,
                tags=" ".join(sorted({one.tag for one in every})),
                records=tuple(sorted({seq for one in every for seq in one.records})),
            )
        )
    return tuple(sorted(rows, key=lambda row: (-row.days, row.country, row.cause)))
