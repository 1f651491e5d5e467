"""The part of the report on people, land, law and clearance: tables, sentences and charts."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from abatis.people.access_terms import CLOSED
from abatis.show.balance_tables import read_balance, tabulate_kept
from abatis.show.civil import (
    DUTY_WORDS,
    CivilAccount,
    tabulate_causes,
    tabulate_closing,
    tabulate_cut_off,
    tabulate_duties,
    tabulate_evacuation,
    tabulate_figures,
    tabulate_land,
    tabulate_shelter,
    tabulate_standings,
)
from abatis.show.clearance import tabulate_clearance
from abatis.show.report.figure import Chart
from abatis.show.report.programme_charts import COLORS, encode_figure, open_figure
from abatis.show.results import Results
from abatis.show.tables import Column, Table

MOST_ROWS = 30


@dataclass(frozen=True)
class CivilPage:
    """What the template shows of the civil account; `balance_missing` says why there is no front."""

    account: CivilAccount
    duty_words: tuple[str, ...]
    tables: Mapping[str, Table]
    fronts: tuple[tuple[Chart, Table], ...]
    least: Table | None
    balance_missing: str


def gather_civil(results: Results, account: CivilAccount) -> CivilPage:
    """Gather tables and charts of the civil account of a plan."""
    place = results.study.folder / "plans" / results.plan.name
    kept, missing = read_balance(place, results.plan)
    fronts: tuple[tuple[Chart, Table], ...] = ()
    least = None
    if kept is not None:
        found = tabulate_kept(kept)
        least = found.pop("least")
        fronts = tuple((_draw_front(table), table) for table in found.values())
    words = dict.fromkeys(DUTY_WORDS.get(one.duty, one.duty) for one in account.duties)
    clearing = tabulate_clearance(account.clearance)
    return CivilPage(
        account=account,
        duty_words=tuple(words),
        tables={
            "figures": tabulate_figures(account),
            "cut_off": _cut(tabulate_cut_off(account)),
            "causes": _cut(tabulate_causes(account)),
            "evacuation": tabulate_evacuation(account),
            "closing": tabulate_closing(account),
            "exits": tabulate_exits(account),
            "corridors": tabulate_changed_corridors(account),
            "land": tabulate_land(account),
            "shelter": tabulate_shelter(account),
            "clearing": clearing["totals"],
            "jobs": clearing["duties"],
            "teams": clearing["capacity"],
            "standings": tabulate_standings(account),
            "duties": tabulate_duties(account),
            "measures": _tabulate_measures(account),
            "norms": _tabulate_norms(account),
        },
        fronts=fronts,
        least=least,
        balance_missing=missing,
    )


def _cut(table: Table) -> Table:
    if len(table.rows) <= MOST_ROWS:
        return table
    note = (
        f"The first {MOST_ROWS} of {len(table.rows)}; abatis people --json lists all. {table.note}".rstrip()
    )
    return Table(table.title, table.columns, table.rows[:MOST_ROWS], note)


def tabulate_exits(account: CivilAccount) -> Table:
    """Tabulate the ways into safe ground with all sites closed, the slowest first."""
    groups = account.access.evacuation[CLOSED].groups
    rows = tuple(asdict(one) for one in sorted(groups, key=lambda one: (-one.clear_h, one.name)))
    columns = (
        Column("name", "way into safe ground"),
        Column("persons", "people", ",.0f"),
        Column("drive_h", "longest drive [h]", ",.1f"),
        Column("clear_h", "all out after [h]", ",.1f"),
        Column("narrow", "narrowest road"),
        Column("narrow_vehicles_per_hour", "vehicles an hour", ",.0f"),
    )
    return _cut(Table("Ways out with all sites closed, the slowest first", columns, rows))


def tabulate_changed_corridors(account: CivilAccount) -> Table:
    """Tabulate the corridors whose time changes by over a minute."""
    every = account.access.corridors
    rows = [
        {"name": one.corridor.name, "kind": one.corridor.kind, **asdict(one.hours)}
        for one in every
        if one.hours.cut_off() or one.hours.longer()
    ]
    columns = (
        Column("name", "corridor"),
        Column("kind", "kind"),
        Column("before_h", "before [h]", ",.2f"),
        Column("peace_h", "with the plan in peace [h]", ",.2f"),
        Column("closed_h", "with all sites closed [h]", ",.2f"),
    )
    note = f"{len(rows)} of {len(every)} corridors change by over a minute; the others keep their time."
    return Table("Trade routes and mobility corridors that change", columns, tuple(rows), note)


def _tabulate_measures(account: CivilAccount) -> Table:
    rows = tuple(
        {"name": one.name, "state": one.state, "verdict": one.verdict, "duties": ", ".join(one.duties)}
        for one in account.measures
    )
    columns = (
        Column("name", "measure"),
        Column("state", "state"),
        Column("verdict", "lawful there"),
        Column("duties", "duties"),
    )
    return Table(f"Measures of the plan in law on {account.day.isoformat()}", columns, rows)


def _tabulate_norms(account: CivilAccount) -> Table:
    columns = (
        Column("asks", "norm"),
        Column("basis", "comes from"),
        Column("kept", "kept"),
        Column("evidence", "shown by"),
        Column("tag", "tag"),
    )
    return Table(
        "Norms that a state can keep without being bound",
        columns,
        tuple(asdict(one) for one in account.norms),
    )


def _draw_front(table: Table) -> Chart:
    """Draw hours won and their bound against the limit of one civil cost."""
    figure, axes = open_figure(3.0)
    rows: Sequence[Mapping[str, Any]] = [row for row in table.rows if row["won_h"] is not None]
    limit = [row["limit"] for row in rows]
    won, most = [row["won_h"] for row in rows], [row["bound_won_h"] for row in rows]
    # Between two limits only the plan of the lower and the bound of the upper are proven: steps, no slopes.
    axes.step(limit, most, where="pre", color=COLORS[1], label="no plan wins more than this")
    axes.step(limit, won, where="post", color=COLORS[0], label="best plan found")
    axes.plot(limit, won, "o", color=COLORS[0], ms=4)
    axes.set_xlabel(table.columns[0].caption)
    axes.set_ylabel("hours won")
    axes.set_ylim(0, None)
    axes.grid(color="#d9dee5", lw=0.6)
    axes.set_axisbelow(True)
    axes.legend(fontsize=8, frameon=False, loc="lower right")
    png = base64.b64encode(encode_figure(figure)).decode("ascii")
    caption = "Each point is a plan of its own under the same budget."
    return Chart(png, f"Chart: {table.title}", f"{table.title}. {caption}")
