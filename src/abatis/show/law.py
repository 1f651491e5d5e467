"""The law of a study as tables: register, measures, duties, and norms kept of one's own will."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from abatis.model.errors import Fault, InputError
from abatis.model.study import Study, read_study
from abatis.people.law import (
    HAZARD,
    assess_measures,
    find_rulings,
    list_norms,
    list_standings,
    read_law_rules,
)
from abatis.people.treaties import Standing, read_instruments, read_register
from abatis.show.tables import Column, Table

ALL = "all"
NOTE = (
    "A date with a question mark is not verified (tags G and F-). Tags: F found, F- weak, D derived, "
    "G placeholder. This table helps to find the questions; it is no legal advice."
)


def read_day(text: str) -> date:
    """Read the day asked for; today when none is given.

    Raises
    ------
    InputError : it is no day of the calendar.
    """
    if not text:
        return date.today()
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        fault = Fault(f"is '{text}', no day", column="--date", remedy="write YYYY-MM-DD")
        raise InputError([fault]) from error


def answer_law(folder: Path, date_text: str, states: Sequence[str] = ()) -> dict[str, Table]:
    """Lay out the law of a study on a day as it was typed; the rest as in `describe_law`.

    Raises
    ------
    InputError : a day or states that are not there, together with every fault of the study.
    """
    faults: list[Fault] = []
    day = date.today()
    try:
        day = read_day(date_text)
    except InputError as error:
        faults += error.faults
    try:
        tables = describe_law(folder, day, states)
    except InputError as error:
        raise InputError([*faults, *error.faults]) from error
    if faults:
        raise InputError(faults)
    return tables


def describe_law(folder: Path, day: date, states: Sequence[str] = ()) -> dict[str, Table]:
    """Lay out register, measures, duties and norms of a study on a day.

    Parameters
    ----------
    folder : study folder.
    day : the day asked for.
    states : states of the register to show; the study's home and hostile ones when empty, `all` for all.

    Raises
    ------
    InputError : every fault of the study and of its own register rows and rules.
    """
    study = read_study(folder)
    if tuple(states) == (ALL,):
        states = tuple(dict.fromkeys(read_register(study)["state"]))
    return {
        "register": _lay_out_register(study, day, states),
        "measures": _lay_out_measures(study, day),
        "duties": _lay_out_duties(study, day),
        "norms": _lay_out_norms(study),
    }


def _lay_out_register(study: Study, day: date, states: Sequence[str]) -> Table:
    rules, register = read_law_rules(study), read_register(study)
    names = read_instruments()
    duties: dict[tuple[str, str], list[str]] = {}
    standings = list_standings(study, day, states)
    for state in dict.fromkeys(one.state for one in standings):
        kinds = tuple({kind for row in rules["kinds"] for kind in row})
        for ruling in find_rulings(rules, register, state, kinds, day):
            if ruling.effect == "duty":
                duties.setdefault((state, ruling.instrument), []).append(ruling.duty)
    rows = tuple(
        _row_of(one, names, tuple(dict.fromkeys(duties.get((one.state, one.instrument), ()))))
        for one in standings
    )
    columns = (
        Column("state", "state"),
        Column("instrument", "treaty"),
        Column("status", "status"),
        Column("since", "since"),
        Column("until", "until"),
        Column("duties", "duties"),
        Column("tag", "tag"),
        Column("source", "source"),
    )
    return Table(f"Treaty register on {day.isoformat()}", columns, rows, NOTE)


def _row_of(one: Standing, names: Mapping[str, Any], duties: tuple[str, ...]) -> dict[str, Any]:
    return {
        "state": one.state,
        "instrument": one.instrument,
        "title": names[one.instrument].name,
        "status": one.status,
        "since": one.since or None,
        "until": one.until or None,
        "certain": one.certain,
        "duties": duties,
        "tag": one.tag or None,
        "source": one.source or None,
        "note": one.note,
    }


def _lay_out_measures(study: Study, day: date) -> Table:
    rows = tuple(
        {
            "measure": one.measure,
            "name": one.name,
            "kind": one.kind,
            "state": one.state,
            "lawful": one.lawful,
            "verdict": one.verdict,
            "duties": one.duties,
            "rules": tuple(f"{rule.instrument} {rule.article}" for rule in one.rulings),
            "certain": all(rule.certain for rule in one.rulings),
        }
        for one in assess_measures(study, day)
    )
    columns = (
        Column("measure", "measure"),
        Column("name", "name"),
        Column("state", "state"),
        Column("verdict", "verdict"),
        Column("duties", "duties"),
    )
    return Table("Measures", columns, rows)


def _lay_out_duties(study: Study, day: date) -> Table:
    rules, register = read_law_rules(study), read_register(study)
    kinds = (*dict.fromkeys(study.tables["measures"]["law_kind"]), HAZARD)
    rows = tuple(
        {
            "state": state,
            "duty": one.duty,
            "instrument": one.instrument,
            "article": one.article,
            "since": one.since or None,
            "certain": one.certain,
            "wording": one.wording,
            "tag": one.tag,
            "source": one.source,
        }
        for state in study.home
        for one in find_rulings(rules, register, state, kinds, day)
        if one.effect == "duty"
    )
    columns = tuple(
        Column(key, caption)
        for key, caption in (
            ("state", "state"),
            ("duty", "duty"),
            ("instrument", "treaty"),
            ("article", "article"),
            ("since", "since"),
            ("wording", "in plain words"),
            ("tag", "tag"),
        )
    )
    return Table("Duties that go with the measures and with affected ground", columns, rows)


def _lay_out_norms(study: Study) -> Table:
    rows = tuple(
        {
            "norm": one.norm,
            "asks": one.asks,
            "basis": one.basis,
            "evidence": one.evidence,
            "kept": one.kept,
            "tag": one.tag,
        }
        for one in list_norms(study)
    )
    columns = (
        Column("asks", "norm"),
        Column("basis", "comes from"),
        Column("kept", "kept"),
        Column("evidence", "shown by"),
    )
    return Table("Norms that can be kept without being bound", columns, rows)
