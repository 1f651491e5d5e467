"""The view of the programme: money, works and hours by year, from the schedule kept beside the plan."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import shapely

from abatis.barrier.sites import Siting
from abatis.ground.hexgrid import build_hexgrid, find_corners
from abatis.model.mesh import Mesh
from abatis.model.plan import Plan
from abatis.model.study import Study
from abatis.programme.afford import weigh_affordability
from abatis.programme.kept import mark_terms, read_schedule
from abatis.programme.terms import read_terms
from abatis.show.app.answers.tables import TableAnswer, answer_table
from abatis.show.app.answers.trace import trace_id
from abatis.show.app.answers.views import (
    AxisAnswer,
    ChartAnswer,
    FeaturesAnswer,
    JobKind,
    SeriesAnswer,
    SpanAnswer,
    ViewAnswer,
    tell_missing,
)
from abatis.show.app.views.shapes import collect, make_feature
from abatis.show.basemap import locate_edge_corners
from abatis.show.beside import unpack_tables
from abatis.show.programme import Programme, read_bands, read_risk, tabulate_programme
from abatis.show.report.programme import list_bars, tabulate_approaches, tabulate_totals
from abatis.show.tables import Column, Table

JOB: JobKind = "programme"


def open_programme(study: Study, siting: Siting, plan: Plan) -> Programme | str:
    """Return a plan laid out over years as kept beside it, or why it is not there.

    Raises
    ------
    InputError : all faults of the programme's tables.
    """
    kept = read_schedule(study.folder / "plans" / plan.name)
    if kept is None:
        return f"Plan {plan.name} was not laid out over the years yet."
    terms = read_terms(study, plan, siting, kept.asked.fixed, kept.asked.named_budget)
    if kept.terms_mark != mark_terms(plan, terms):
        return "The schedule was made from another state of the study, its money or its rules."
    schedule = kept.schedule
    return Programme(
        study, plan, "", siting, terms, schedule, weigh_affordability(study, siting, terms, schedule, plan)
    )


def make_programme_view(
    study: Study, mesh: Mesh, siting: Siting, labels: Mapping[str, str], plan: Plan
) -> ViewAnswer:
    """Make the view of a plan's programme; says which job makes it where no schedule is kept.

    Parameters
    ----------
    study, mesh, siting, labels, plan : the study in memory and its plan.

    Raises
    ------
    InputError : all faults of the programme's tables.
    """
    found = open_programme(study, siting, plan)
    if isinstance(found, str):
        return tell_missing(JOB, found)
    bands = read_bands(found)
    tables = tabulate_programme(found)
    answer = ViewAnswer(
        made=True,
        job=JOB,
        notes=list(found.affordability.notes),
        tables={
            "years": _trace_years(found, tables["years"]),
            "totals": _trace_totals(found, tabulate_totals(found)),
            "starts": tabulate_starts(found, labels),
            "approaches": answer_table(tabulate_approaches(found)),
            "answer": answer_table(_shorten(tables["answer"])),
            "budgets": answer_table(tables["budgets"], "tables/budgets.csv"),
            "economy": answer_table(tables["economy"], "tables/economy.csv"),
            "after": answer_table(tables["after"]),
        },
        features={"sites": draw_sites(found, mesh, labels)},
        charts={
            "cash": chart_cash(found),
            "s_curve": chart_s_curve(found),
            "hours": chart_hours(found, bands),
            "works": chart_works(found),
        },
    )
    _add_risk(found, answer)
    return answer


def _shorten(answer: Table) -> Table:
    """Leave out what only the author needs."""
    return Table(answer.title, answer.columns, tuple(one for one in answer.rows if one["what"] != "seconds"))


def _trace_years(programme: Programme, table: Table) -> TableAnswer:
    name, lines = programme.plan.name, programme.schedule.lines
    traces = []
    for row in table.rows:
        parts = [*lines, "total", "held_h", "at_most_h"]
        traces.append({part: trace_id("programme", name, "year", row["year"], part) for part in parts})
    return answer_table(table, traces=traces)


def _trace_totals(programme: Programme, table: Table) -> TableAnswer:
    keys = ("money_eur", "nominal_eur", "base_eur")
    name, lines = programme.plan.name, set(programme.schedule.lines)
    traces = [
        {key: trace_id("programme", name, "line", row["line"], key) for key in keys}
        if row["line"] in lines
        else {}
        for row in table.rows
    ]
    return answer_table(table, traces=traces)


def _list_starts(programme: Programme, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    schedule, terms = programme.schedule, programme.terms
    names = {site.key: site.name for site in programme.siting.sites}
    options = [programme.siting.options[row] for row in terms.options.tolist()]
    return [
        {
            "site": option.site,
            "label": labels.get(option.site, ""),
            "name": names[option.site],
            "option": option.option,
            "option_name": option.name,
            "start_year": int(start) if start >= 0 else None,
            "finish_year": int(finish) if finish >= 0 else None,
            "cost_eur": round(float(terms.full_cost_eur[row].sum()), 2),
            "is_fixed": bool(terms.is_fixed[row]),
        }
        for row, (option, start, finish) in enumerate(
            zip(options, schedule.start_year.tolist(), schedule.finish_year.tolist(), strict=True)
        )
    ]


def tabulate_starts(programme: Programme, labels: Mapping[str, str]) -> TableAnswer:
    """Tabulate which work starts and ends in which year, and what it costs."""
    columns = (
        Column("label", "site"),
        Column("name", "place"),
        Column("option_name", "work"),
        Column("start_year", "starts", ".0f"),
        Column("finish_year", "stands at the end of", ".0f"),
        Column("cost_eur", f"cost [EUR of {programme.terms.base_year}]", ",.0f"),
        Column("is_fixed", "built or contracted"),
    )
    rows = sorted(
        _list_starts(programme, labels),
        key=lambda row: (row["start_year"] is None, row["start_year"], row["finish_year"], row["label"]),
    )
    traces = [
        {
            "cost_eur": trace_id(
                "plan", programme.plan.name, "option", f"{row['site']}/{row['option']}", "cost_eur"
            )
        }
        for row in rows
    ]
    return answer_table(Table("Works", columns, tuple(rows)), traces=traces)


def draw_sites(programme: Programme, mesh: Mesh, labels: Mapping[str, str]) -> FeaturesAnswer:
    """Draw the sites of the plan as lines with the years in which their work starts and stands."""
    corners, cell_corner = find_corners(build_hexgrid(np.asarray(mesh.cells)), np.asarray(mesh.neighbor))
    edges = corners[locate_edge_corners(mesh, cell_corner)]
    sites = {site.key: site for site in programme.siting.sites}
    return collect(
        make_feature(
            shapely.line_merge(shapely.MultiLineString(list(edges[np.asarray(sites[row["site"]].edges)]))),
            row,
        )
        for row in _list_starts(programme, labels)
    )


def _year_axis(programme: Programme, first: int = 0) -> AxisAnswer:
    years = programme.schedule.years.tolist()
    return AxisAnswer(caption="end of year" if first else "year", values=[*([years[0] - 1] * first), *years])


def chart_cash(programme: Programme) -> ChartAnswer:
    """Chart nominal money by budget line and year, stacked."""
    schedule, name = programme.schedule, programme.plan.name
    return ChartAnswer(
        title="Money by budget line and year",
        x=_year_axis(programme),
        y=AxisAnswer(caption="money, nominal", unit="MEUR"),
        series=[
            SeriesAnswer(
                key=line.key,
                name=line.name,
                kind="bar",
                stack="money",
                values=(schedule.nominal_eur[row] / 1e6).tolist(),
                trace=[trace_id("programme", name, "year", y, line.key) for y in schedule.years.tolist()],
            )
            for row, line in enumerate(programme.terms.funding.lines)
        ],
    )


def chart_s_curve(programme: Programme) -> ChartAnswer:
    """Chart money spent on works since the start beside the money at hand."""
    terms, schedule = programme.terms, programme.schedule
    served = [line for members in terms.funding.funds for line in members]
    spent = np.cumsum(schedule.nominal_eur[served].sum(axis=0)) / 1e6
    money = np.cumsum(terms.fund_eur.sum(axis=0)) / 1e6
    return ChartAnswer(
        title="Spent on works since the start",
        x=_year_axis(programme, 1),
        y=AxisAnswer(caption="money since the start, nominal", unit="MEUR"),
        series=[
            SeriesAnswer(key="spent", name="spent on works", kind="line", values=[0.0, *spent.tolist()]),
            SeriesAnswer(
                key="money",
                name="money of the lines that pay works",
                kind="line",
                values=[0.0, *money.tolist()],
            ),
        ],
    )


def chart_hours(programme: Programme, bands: list[dict[str, Any]]) -> ChartAnswer:
    """Chart hours held at the end of each year, the most a year could hold, and the band of the draws."""
    schedule, name = programme.schedule, programme.plan.name
    series = [
        SeriesAnswer(
            key="held_h",
            name="schedule",
            kind="line",
            values=[schedule.before_h, *schedule.value_h.tolist()],
            trace=[
                trace_id("plan", name, "before_h"),
                *(trace_id("programme", name, "year", year, "held_h") for year in schedule.years.tolist()),
            ],
        ),
        SeriesAnswer(
            key="at_most_h",
            name="no order of works can hold more",
            kind="line",
            values=[None, *schedule.bound_h.tolist()],
        ),
    ]
    if bands:
        series.append(
            SeriesAnswer(
                key="band",
                name="P10 to P90 of draws",
                kind="band",
                low=[None, *(one["held_p10_h"] for one in bands)],
                high=[None, *(one["held_p90_h"] for one in bands)],
            )
        )
        middle: list[float | str | None] = [None, *(one["held_p50_h"] for one in bands)]
        series.append(SeriesAnswer(key="p50", name="P50 of draws", kind="line", values=middle))
    return ChartAnswer(
        title="Hours held at the end of each year",
        x=_year_axis(programme, 1),
        y=AxisAnswer(caption="hours held", unit="h"),
        series=series,
    )


def chart_works(programme: Programme) -> ChartAnswer:
    """Chart works over the years as bars: waiting for land and delivery, then work."""
    bars, grouped = list_bars(programme)
    return ChartAnswer(
        title="Works over the years",
        x=_year_axis(programme),
        y=AxisAnswer(caption="work"),
        spans=[
            SpanAnswer(label=one.label, begin=one.begin, work=one.work, end=one.end, is_fixed=one.is_fixed)
            for one in bars
        ],
        note="Works of one kind with the same years are one bar." if grouped else "",
    )


def _add_risk(programme: Programme, answer: ViewAnswer) -> None:
    """Add the tables of `abatis risk` where they follow this very schedule, else say why they do not."""
    rows, missing = read_risk(programme)
    if rows is None:
        answer.notes.append(missing)
        return
    name = programme.plan.name
    wanted = {
        "plans": "risk",
        f"years_{name}": "risk_years",
        "uplift": "risk_uplift",
        "inputs": "risk_inputs",
    }
    file = programme.study.folder / "plans" / name / "risk.json"
    for key, table in unpack_tables(json.loads(file.read_text(encoding="utf-8"))).items():
        if key in wanted:
            answer.tables[wanted[key]] = answer_table(table)
