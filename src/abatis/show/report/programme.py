"""The programme page and workbook: money, works and hours by year, for readers outside the study."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

import abatis
from abatis.barrier.options import list_stocked
from abatis.model.storage import write_text_whole, write_whole
from abatis.model.words import TAG_MEANINGS
from abatis.programme.book_checks import BookInput
from abatis.programme.funding import list_readings
from abatis.programme.terms import drop_stock
from abatis.programme.workbook import build_workbook
from abatis.show.app.saved import lock_plan
from abatis.show.beside import Rows, mark_basis, read_beside
from abatis.show.programme import Programme, describe_programme, read_bands, read_risk, tabulate_programme
from abatis.show.report.build import make_environment
from abatis.show.report.figure import Chart
from abatis.show.report.programme_charts import (
    MOST_BARS,
    Bar,
    draw_cash_flow,
    draw_hours,
    draw_s_curve,
    draw_works,
)
from abatis.show.report.programme_more import (
    arrange_robust,
    arrange_split,
    arrange_stock,
    chart_risk,
    list_placeholders,
)
from abatis.show.report.split import make_chart
from abatis.show.tables import Column, Table

TABLES = (
    ("measures", "unit costs, delays and lead times of measures"),
    ("options", "ways to close a site"),
    ("speeds", "speeds of vehicles"),
    ("soils", "speed on soils"),
    ("crossings", "hours to cross rivers"),
    ("rules", "rules of the plan"),
    ("budget", "budget lines in use"),
    ("budgets", "readings of the public figures"),
    ("budget_years", "money of a line by year"),
    ("budget_measures", "which line pays what"),
    ("fixed_works", "built or contracted already"),
    ("order_rules", "order of works"),
    ("regions", "work regions"),
    ("capacities", "crews and plant"),
    ("lots", "least orders and delivery"),
    ("effects", "effects that grow with the years"),
    ("economy", "GDP and defence money"),
    ("eu_money", "money of the European Union"),
    ("upkeep", "yearly upkeep"),
    ("liabilities", "duties that outlive the programme"),
    ("belts", "reserve sites"),
    ("stocks", "reserve stock"),
    ("depots", "parks and depots"),
    ("clearance_terms", "figures of clearing"),
    ("risks", "what is uncertain"),
    ("risk_correlations", "what hangs together"),
    ("splits", "splits of the money"),
    ("split_options", "ways to close a site in splits"),
)


def write_programme_files(programme: Programme) -> tuple[Path, Path]:
    """Write programme.html and programme.xlsx beside the plan and return their paths.

    Parameters
    ----------
    programme : a plan laid out over years.

    Raises
    ------
    InputError : the plan was replaced or deleted since it was read; nothing is written then.
    """
    place = programme.study.folder / "plans" / programme.plan.name
    risk, risk_missing = read_risk(programme)
    basis = mark_basis("stock", programme.study, programme.plan)
    stock, stock_missing = read_beside(place, "stock", programme.plan.name, basis)
    page = build_programme_page(programme, risk, stock, (risk_missing, stock_missing))
    given = BookInput(
        programme.study,
        programme.plan,
        programme.siting,
        programme.terms,
        programme.schedule,
        programme.affordability,
    )
    workbook = build_workbook(given)
    with lock_plan(programme.study.folder, place, programme.plan_hash):
        write_text_whole(place / "programme.html", page)
        with write_whole(place / "programme.xlsx") as temporary:
            temporary.write_bytes(workbook)
    return place / "programme.html", place / "programme.xlsx"


def build_programme_page(
    programme: Programme, risk: Rows | None, stock: Rows | None, missing: tuple[str, str]
) -> str:
    """Return the programme page as one HTML text that needs nothing outside itself.

    Parameters
    ----------
    programme : a plan laid out over years.
    risk, stock : rows of the tables of these commands, None when not there.
    missing : why risk and stock are not there, in words.
    """
    shown = describe_programme(programme)
    tables = tabulate_programme(programme)
    bands = read_bands(programme)
    return (
        make_environment()
        .get_template("programme.html")
        .render(
            version=abatis.__version__,
            schematic=programme.study.schematic,
            study=programme.study,
            plan=programme.plan,
            shown=shown,
            lead=_write_lead(programme, shown),
            cards=_list_cards(programme, shown, risk, stock),
            charts=_draw_charts(programme, bands),
            tables=tables,
            answer=_shorten_answer(tables["answer"]),
            totals=tabulate_totals(programme),
            approaches=tabulate_approaches(programme),
            bands=_tabulate_bands(bands),
            bands_told=_tell_bands(programme, bands),
            risk=_tabulate_risk(risk),
            risk_charts=chart_risk(risk, bands),
            stock=arrange_stock(stock),
            robust=arrange_robust(programme),
            split=arrange_split(programme),
            clearing=_tabulate_clearing(programme),
            placeholders=list_placeholders(programme.study, TABLES, bool(bands)),
            missing=missing,
            works=_tabulate_works(programme),
            readings=_tabulate_readings(programme),
            readings_told=_tell_readings(programme),
            notes=programme.affordability.notes,
            trust=_tabulate_trust(programme),
            trust_told=_tell_trust(programme),
            settings=programme.study,
            tag_meanings=TAG_MEANINGS,
        )
    )


def _shorten_answer(answer: Table) -> Table:
    """The answer without what only its author needs; works not built stand in the table of works."""
    kept = [one for one in answer.rows if one["what"] not in ("seconds", "not built within the years")]
    return Table(answer.title, answer.columns, tuple(kept))


def tabulate_totals(programme: Programme) -> Table:
    """Tabulate money and spending of every line over all years, to the cent."""
    schedule, funding = programme.schedule, programme.terms.funding
    money = funding.money_eur.sum(axis=1)
    rows: list[dict[str, Any]] = [
        {
            "line": line.key,
            "name": line.name,
            "money_eur": float(money[row]),
            "nominal_eur": float(schedule.nominal_eur[row].sum()),
            "base_eur": float(schedule.spend_eur[row].sum()),
            "tag": line.tag,
        }
        for row, line in enumerate(funding.lines)
    ]
    sums = {key: sum(one[key] for one in rows) for key in ("money_eur", "nominal_eur", "base_eur")}
    columns = (
        Column("line", "line"),
        Column("name", "name"),
        Column("money_eur", "money [EUR, nominal]", ",.2f"),
        Column("nominal_eur", "spent [EUR, nominal]", ",.2f"),
        Column("base_eur", f"spent [EUR, prices of {programme.terms.base_year}]", ",.2f"),
        Column("tag", "tag"),
    )
    total = {"line": "all lines", "name": "", **sums, "tag": ""}
    return Table("All years by budget line", columns, (*rows, total))


def _million(eur: float) -> str:
    return f"EUR {eur / 1e6:,.1f} million"


def _value_words(programme: Programme) -> str:
    if programme.siting.problem.objective == "minimum":
        return "the earliest arrival time of all approaches"
    return "the weighted arrival time of all approaches"


def _write_lead(programme: Programme, shown: dict[str, Any]) -> str:
    schedule, totals = programme.schedule, shown["totals"]
    first, last = int(schedule.years[0]), int(schedule.years[-1])
    works = _works_eur(programme)
    return (
        f"From {first} to {last}, {totals['built']} of the {totals['options']} works of plan "
        f"{programme.plan.name} are started and finished for {_million(works)} in prices of their years. "
        f"With them, {_value_words(programme)} rises from {schedule.before_h:.2f} h to "
        f"{schedule.value_h[-1]:.2f} h at the end of {last}."
    )


def _works_eur(programme: Programme) -> float:
    """Nominal EUR spent by the lines that pay works."""
    served = [line for members in programme.terms.funding.funds for line in members]
    return float(programme.schedule.nominal_eur[served].sum())


def _list_cards(
    programme: Programme, shown: dict[str, Any], risk: Rows | None, stock: Rows | None
) -> list[dict[str, str]]:
    schedule, terms = programme.schedule, programme.terms
    locked = float(schedule.nominal_eur.sum()) - _works_eur(programme)
    left = float(terms.fund_eur.sum()) - _works_eur(programme)
    half = next(
        (
            int(year)
            for year, held in zip(schedule.years, schedule.value_h, strict=True)
            if held - schedule.before_h >= 0.5 * (schedule.value_h[-1] - schedule.before_h)
        ),
        int(schedule.years[-1]),
    )
    cards = [
        {
            "title": "All budget lines",
            "figure": _million(shown["totals"]["total_eur"]),
            "text": f"nominal; {_million(locked)} of it on lines that are not planned here.",
        },
        {
            "title": "Not spent",
            "figure": _million(left),
            "text": "nominal, left at the end on the lines that pay works.",
        },
        {
            "title": "Half of the hours",
            "figure": f"end of {half}",
            "text": "first year that holds at least half of the hours added by the programme.",
        },
        {
            "title": "Distance to the best",
            "figure": f"{100 * schedule.gap:.2f}\u00a0%",
            "text": "No other order of these works can hold more than this share above it over the years, "
            f"later hours counting {100 * programme.study.discount:g}\u00a0% less a year.",
        },
    ]
    plan_row = next(
        (one for one in (risk or {}).get("plans", []) if one["plan"] == programme.plan.name), None
    )
    if plan_row is not None:
        cards.append(
            {
                "title": "Chance that the money suffices",
                "figure": f"{100 * plan_row['budget_holds']:.0f}\u00a0%",
                "text": "of the draws of cost, delay and lateness.",
            }
        )
    if stock and stock.get("reach"):
        now, best = stock["reach"][0], stock["reach"][1]
        cards.append(
            {
                "title": "Reserve sites not reached in time",
                "figure": f"{now['late']:,.0f} of {len(stock['belts']):,.0f}",
                "text": f"from the depots in use; {best['late']:,.0f} with {best['depots']:,.0f} depots.",
            }
        )
    return cards


def _draw_charts(programme: Programme, bands: list[dict[str, Any]]) -> dict[str, Chart]:
    schedule, terms = programme.schedule, programme.terms
    years = schedule.years.tolist()
    span = f"{years[0]} to {years[-1]}"
    served = [line for members in terms.funding.funds for line in members]
    names = {line.name: schedule.nominal_eur[row] for row, line in enumerate(terms.funding.lines)}
    spent = schedule.nominal_eur[served].sum(axis=0)
    band = [(one["held_p10_h"], one["held_p50_h"], one["held_p90_h"]) for one in bands]
    bars, grouped = list_bars(programme)
    built = int((schedule.start_year != -1).sum())
    works_alt = f"Chart of {built} works from {span}" + (", grouped by kind and years" if grouped else "")
    return {
        "cash": make_chart(
            draw_cash_flow(years, names),
            f"Stacked bars of money by budget line and year, {span}; the table below holds the numbers",
            "Money by budget line and year in prices of each year.",
        ),
        "s_curve": make_chart(
            draw_s_curve(years, spent, terms.fund_eur.sum(axis=0)),
            f"Money spent on works since the start and money at hand, {span}; "
            f"{_million(float(spent.sum()))} spent of {_million(float(terms.fund_eur.sum()))}",
            "Money spent on works since the start beside the money of the lines that pay them.",
        ),
        "hours": make_chart(
            draw_hours(years, schedule.before_h, schedule.value_h, schedule.bound_h, band),
            f"Hours held at the end of each year, from {schedule.before_h:.2f} h before the programme to "
            f"{schedule.value_h[-1]:.2f} h at the end of {years[-1]}",
            f"Hours held at the end of each year: {_value_words(programme)}.",
        ),
        "works": make_chart(
            draw_works(years, bars),
            works_alt,
            f"{built} works"
            + (", grouped by kind, start and end; the table below lists each." if grouped else "."),
        ),
    }


def list_bars(programme: Programme) -> tuple[list[Bar], bool]:
    """Rows of the chart of works in order of start; grouped when there are more than 40 works."""
    schedule, terms, siting = programme.schedule, programme.terms, programme.siting
    rows = np.flatnonzero(schedule.start_year != -1)
    site_names = {site.key: site.name for site in siting.sites}
    grouped = len(rows) > MOST_BARS
    groups: dict[tuple[Any, ...], list[int]] = {}
    for row in rows.tolist():
        option = siting.options[terms.options[row]]
        span = int(schedule.start_year[row]), int(schedule.finish_year[row])
        name = option.name if grouped else f"{site_names[option.site]}: {option.name}"
        key = (*span, name, bool(terms.is_fixed[row]), "" if grouped else option.site)
        groups.setdefault(key, []).append(row)
    bars = []
    for (start, finish, name, fixed, _), members in sorted(groups.items()):
        wait = 0.0 if fixed else float(np.mean(terms.spans.wait_months[members])) / 12
        lead = float(np.mean(terms.spans.lead_months[members])) / 12
        work = start + wait
        end = finish + 1.0 if fixed or not lead else max(work + lead, work + 0.05)
        label = name if len(name) <= 62 else f"{name[:60]}…"
        bars.append(Bar(f"{len(members)} × {label}" if grouped else label, float(start), work, end, fixed))
    return bars, grouped


def tabulate_approaches(programme: Programme) -> Table:
    """Tabulate the arrival time of every approach at the end of every year."""
    schedule, problem = programme.schedule, programme.siting.problem
    years = schedule.years.tolist()
    names = programme.study.tables["approaches"].set_index("approach")["name"]
    columns = (
        Column("name", "approach"),
        Column("weight", "weight [share]", ".3f"),
        *(Column(str(year), f"{year} [h]", ".2f") for year in years),
    )
    rows = [
        {
            "name": names[key],
            "weight": float(problem.approach_weight[row]),
            **{str(year): float(schedule.held_h[row, place]) for place, year in enumerate(years)},
        }
        for row, key in enumerate(problem.approach_keys)
    ]
    return Table("Arrival time of each approach at the end of the year", columns, tuple(rows))


def _tabulate_bands(bands: list[dict[str, Any]]) -> Table | None:
    if not bands:
        return None
    columns = [Column("year", "year", ".0f")]
    columns += [Column(f"held_{part}_h", f"held {part.upper()} [h]", ".2f") for part in ("p10", "p50", "p90")]
    columns += [
        Column(f"spent_{part}_eur", f"spent in the year {part.upper()} [EUR, nominal]", ",.0f")
        for part in ("p10", "p50", "p90")
    ]
    columns.append(Column("budget_holds", "chance the money so far suffices [share]", ".2f"))
    note = "P10: one draw in ten is lower; P90: one in ten is higher"
    return Table("Hours and money by year over the draws", tuple(columns), tuple(bands), note)


def _tell_bands(programme: Programme, bands: list[dict[str, Any]]) -> str:
    """Say how the schedule lies to the draws."""
    held = zip(programme.schedule.value_h, bands, strict=bool(bands))
    above = sum(bool(value > one["held_p90_h"] + 1e-9) for value, one in held)
    return (
        f"In {above} of {len(bands)} years the schedule above holds more than nine of ten draws: it "
        "counts on likely values and no lateness, the draws do not. The draws slip and re-cost this very "
        "schedule."
    )


def _tabulate_risk(risk: Rows | None) -> Table | None:
    rows = (risk or {}).get("inputs", [])
    if not rows:
        return None
    columns = (
        Column("output", "spread of"),
        Column("group", "input"),
        Column("first", "alone [share]", ".2f"),
        Column("total", "with others [share]", ".2f"),
    )
    return Table("Which input makes the spread", columns, tuple(rows))


def _tabulate_clearing(programme: Programme) -> Table:
    rows = [
        {
            "name": one.name,
            "measure": one.measure or "laid already",
            "low_eur": one.low_eur,
            "amount_eur": one.amount_eur,
            "high_eur": one.high_eur,
            "source": one.source,
            "tag": one.tag,
        }
        for one in programme.affordability.liabilities
        if one.belt
    ]
    columns = (
        Column("name", "duty"),
        Column("measure", "measure"),
        Column("low_eur", "low [EUR]", ",.0f"),
        Column("amount_eur", "likely [EUR]", ",.0f"),
        Column("high_eur", "high [EUR]", ",.0f"),
        Column("source", "how it is counted"),
        Column("tag", "tag"),
    )
    title = f"Clearing of reserve belts if all of them were laid, prices of {programme.terms.base_year}"
    return Table(title, columns, tuple(rows))


def _tabulate_works(programme: Programme) -> Table:
    schedule, terms, siting = programme.schedule, programme.terms, programme.siting
    names = {site.key: site.name for site in siting.sites}
    rows = []
    for row in range(terms.option_count):
        start, finish = int(schedule.start_year[row]), int(schedule.finish_year[row])
        option = siting.options[terms.options[row]]
        rows.append(
            {
                "site": names[option.site],
                "option": option.name,
                "start": start if start != -1 else None,
                "finish": finish if start != -1 else None,
                "cost_eur": float(terms.full_cost_eur[row].sum()),
            }
        )
    rows.sort(key=lambda one: (one["start"] is None, one["start"] or 0, str(one["site"])))
    columns = (
        Column("site", "site"),
        Column("option", "way to close it"),
        Column("start", "start", ".0f"),
        Column("finish", "holds at the end of", ".0f"),
        Column("cost_eur", f"cost [EUR, prices of {terms.base_year}]", ",.2f"),
    )
    note = "- : not built within the years"
    return Table("Works", columns, tuple(rows), note)


def _tabulate_readings(programme: Programme) -> Table:
    columns = (
        Column("name", "reading"),
        Column("line", "line"),
        Column("amount_eur", "amount [EUR, nominal]", ",.0f"),
        Column("source", "source"),
        Column("tag", "tag"),
    )
    table = programme.study.tables["budgets"]
    rows = [{column.key: row[column.key] for column in columns} for _, row in table.iterrows()]
    return Table("Readings of the public figures, line by line", columns, tuple(rows))


def _tell_readings(programme: Programme) -> list[str]:
    used = programme.terms.funding.budget
    told = []
    for one in list_readings(programme.study):
        lines = one["lines"]
        assert isinstance(lines, dict)
        parts = ", ".join(f"{line.replace('_', ' ')} {eur / 1e6:,.1f}" for line, eur in lines.items())
        use = " This page uses this reading." if one["budget"] == used else ""
        told.append(f"{one['name']}: {_million(sum(lines.values()))} ({parts}).{use}")
    if not any(used == one["budget"] for one in list_readings(programme.study)):
        told.append(f"This page uses the amounts of {used}, not a named reading.")
    return told


def _tabulate_trust(programme: Programme) -> Table:
    rows = []
    for key, meaning in TABLES:
        frame = programme.study.tables[key]
        if "tag" not in frame or frame.empty:
            continue
        count = Counter(frame["tag"])
        rows.append({"table": meaning, "rows": len(frame), **{tag: count[tag] for tag in TAG_MEANINGS}})
    columns = (
        Column("table", "table"),
        Column("rows", "rows", ".0f"),
        *(Column(tag, f"{tag}: {meaning}", ".0f") for tag, meaning in TAG_MEANINGS.items()),
    )
    return Table("Rows by how they are known", columns, tuple(rows))


def _tell_trust(programme: Programme) -> str:
    table = programme.study.tables["measures"]
    tags = dict(zip(table["measure"], table["tag"], strict=True))
    unit = dict(zip(table["measure"], table["unit_cost_eur"], strict=True))
    eur: Counter[str] = Counter()
    stocked = list_stocked(programme.study)
    rows = programme.terms.options[programme.schedule.start_year != -1]
    for row in rows.tolist():
        for measure, units in drop_stock(programme.siting.options[row], stocked).quantities:
            eur[tags[measure]] += unit[measure] * units
    total = sum(eur.values())
    share = 100 * eur["G"] / total if total else 0.0
    return (
        f"{share:.0f} % of the cost of the works rests on measures whose cost, delay or lead time is a "
        "placeholder (tag G). Placeholders have to be replaced before money is decided by these figures."
    )
