"""The view of the law: register, measures and duties on a day, and what changes over the programme."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from abatis.model.study import Study
from abatis.people.law import assess_measures, list_standings
from abatis.people.treaties import list_changes, read_instruments, read_register
from abatis.show.app.answers.tables import TableAnswer, answer_table
from abatis.show.app.answers.trace import trace_id
from abatis.show.app.answers.views import ViewAnswer
from abatis.show.law import describe_law
from abatis.show.tables import Column, Table

MOST_STATES = 40
YEARS_BEFORE = 10
# Verdicts of a measure from the mildest to the strictest.
VERDICTS = ("lawful", "lawful with duties", "not known", "unlawful")


def make_law_view(study: Study, day: date, states: Sequence[str] = ()) -> ViewAnswer:
    """Make the view of the law of a study on a day.

    Parameters
    ----------
    study : the study.
    day : the day asked for.
    states : states of the register; those of the study when empty.

    Raises
    ------
    InputError : every fault of the study's own rows of register and rules.
    """
    tables = describe_law(study.folder, day, states)
    answer = ViewAnswer(made=True, tables={key: answer_table(table) for key, table in tables.items()})
    for key in ("register", "duties"):
        answer.tables[key] = _trace_register(tables[key])
    answer.tables["by_year"] = answer_table(tabulate_years(study))
    answer.tables["changes"] = answer_table(tabulate_changes(study, states))
    return answer


def _trace_register(table: Table) -> TableAnswer:
    traces = []
    for row in table.rows:
        of = trace_id("law", row["state"], row["instrument"])
        traces.append({key: of for key in ("instrument", "status", "since", "until") if key in row})
    return answer_table(table, traces=traces)


def tabulate_years(study: Study) -> Table:
    """Tabulate for each measure and home state whether it is lawful in each year of the programme."""
    years = range(study.first_year, study.first_year + study.programme_years)
    # Kinds that are never a measure have no key of their own, only a name.
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for year in years:
        # Whatever binds at any time of the year counts for the year: the worse of its first and last day.
        for day in (date(year, 1, 1), date(year, 12, 31)):
            for one in assess_measures(study, day):
                key = (one.state, one.measure, one.name)
                row = rows.setdefault(key, dict(zip(("state", "measure", "name"), key, strict=True)))
                before = row.get(str(year), one.verdict)
                row[str(year)] = max(before, one.verdict, key=VERDICTS.index)
    columns = (
        Column("state", "state"),
        Column("name", "measure"),
        *(Column(str(year), str(year)) for year in years),
    )
    note = "The verdict of the year's first day, or of its last where that is stricter."
    return Table("Which measure is lawful in which year", columns, tuple(rows.values()), note)


def tabulate_changes(study: Study, states: Sequence[str] = ()) -> Table:
    """Tabulate the days, from ten years before the programme to its end, on which a standing changes."""
    register = read_register(study)
    asked = tuple(states) if states and tuple(states) != ("all",) else (*study.home, *study.hostile)
    known = [state for state in asked if state in set(register["state"])][:MOST_STATES]
    first = date(study.first_year - YEARS_BEFORE, 1, 1)
    last = date(study.first_year + study.programme_years - 1, 12, 31)
    names = read_instruments()
    rows = []
    for day in list_changes(register, known, first, last):
        before = {
            (one.state, one.instrument): one for one in list_standings(study, day - timedelta(1), known)
        }
        for one in list_standings(study, day, known):
            earlier = before.get((one.state, one.instrument))
            if earlier is not None and earlier.status == one.status:
                continue
            rows.append(
                {
                    "day": day.isoformat(),
                    "state": one.state,
                    "instrument": one.instrument,
                    "title": names[one.instrument].name,
                    "was": earlier.status if earlier is not None else "",
                    "becomes": one.status,
                    "certain": one.certain,
                    "tag": one.tag,
                    "source": one.source,
                }
            )
    columns = (
        Column("day", "day"),
        Column("state", "state"),
        Column("title", "treaty"),
        Column("was", "was"),
        Column("becomes", "becomes"),
        Column("certain", "verified"),
        Column("tag", "tag"),
        Column("source", "source"),
    )
    return Table(f"Changes from {first.year} to {last.year}", columns, tuple(rows))
