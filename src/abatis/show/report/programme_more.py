"""Sections of the programme page that other commands fill: stock, robust plans, splits, placeholders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from abatis.model.fields import KEYED_TABLES
from abatis.model.study import Study
from abatis.people.clearance import read_terms as read_clearance_terms
from abatis.programme.draws import collect_inputs
from abatis.programme.split_table import mark_splits
from abatis.show.beside import Rows, mark_basis, read_beside, read_rows
from abatis.show.programme import Programme
from abatis.show.report.compare_charts import (
    draw_inputs,
    draw_reach,
    draw_stock,
    draw_trade,
    draw_year_bands,
)
from abatis.show.report.figure import Chart
from abatis.show.report.split import chart_splits, make_chart
from abatis.show.stock import RENEWAL_COLUMNS, STOCK_COLUMNS
from abatis.show.tables import Column, Table

PLACEHOLDER = "G"
MOST_INPUTS = 8
SETTINGS = (
    ("programme.indexation", "indexation", "rise of prices [share a year]"),
    ("programme.discount", "discount", "what a later hour counts less [share a year]"),
    ("programme.carry_over", "carry_over", "unspent money that moves to the next year [share]"),
    ("programme.land_months", "land_months", "time to acquire land [months]"),
    ("programme.notice_h", "notice_h", "usual notice of a reserve site [h]"),
    ("programme.access_km", "access_km", "longest way from a road head to a belt [km]"),
)


def chart_risk(rows: Rows | None, bands: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """Draw what `abatis risk` kept: money by year over the draws, and which input makes the spread.

    Parameters
    ----------
    rows : tables of risk.json; None when not there.
    bands : its rows by year for this plan.
    """
    charts = []
    if bands:
        years = [int(one["year"]) for one in bands]
        spent = [
            (one["spent_p10_eur"] / 1e6, one["spent_p50_eur"] / 1e6, one["spent_p90_eur"] / 1e6)
            for one in bands
        ]
        charts.append(
            make_chart(
                draw_year_bands(years, {"spent on works": spent}, "EUR million, nominal"),
                f"Money spent on works by year, {years[0]} to {years[-1]}, over the draws; see the table",
                "Money spent on works in each year over the draws: P50 as a line, P10 to P90 as a band.",
            )
        )
    shares: dict[str, list[tuple[str, float]]] = {}
    for row in (rows or {}).get("inputs", []):
        shares.setdefault(str(row["output"]), []).append((str(row["group"]), float(row["total"])))
    if shares:
        largest = {key: sorted(own, key=lambda one: -one[1])[:MOST_INPUTS] for key, own in shares.items()}
        first = "; ".join(f"{key}: {own[0][0]} {100 * own[0][1]:.0f} %" for key, own in largest.items())
        charts.append(
            make_chart(
                draw_inputs(largest),
                f"Share of the spread by input; first of each result: {first}",
                "Which input makes the spread, with all it acts together with (Sobol).",
            )
        )
    return charts


def arrange_stock(rows: Rows | None) -> dict[str, Any]:
    """Arrange what `abatis stock` kept: the late sites first, then stock by year and depots.

    Parameters
    ----------
    rows : tables of stock.json; None when not there.
    """
    if not rows or not rows.get("reach"):
        return {"reach": None}
    reach, belts = rows["reach"], rows["belts"]
    now, best = reach[0], reach[1]
    told = (
        f"{now['late']:,.0f} of {len(belts)} reserve sites cannot be reached in time from the depots in use. "
        f"With {best['depots']:,.0f} depots {best['late']:,.0f} of them stay late."
    )
    order = sorted(belts, key=lambda one: (one["hours"] is None, one["hours"] or 0.0), reverse=True)
    chart = make_chart(
        draw_reach(
            [one["name"] for one in order],
            [one["hours"] for one in order],
            [one["notice_h"] for one in order],
        ),
        f"Hours by road from the nearest depot to {len(belts)} reserve sites; {best['late']:,.0f} are late",
        f"Hours by road to each reserve site with {best['depots']:,.0f} depots, beside its notice.",
    )
    return {
        "reach": _table_reach(reach),
        "told": told,
        "charts": {"reach": chart, "years": _chart_years(rows["stock"])},
        "years": _table_years(rows["stock"]),
        "renewal": _table_renewal(rows.get("renewal", [])),
        "depots": _table_depots(rows["depots"]),
        "belts": _table_belts(belts),
    }


def _table_reach(rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = (
        Column("case", "case"),
        Column("depots", "depots", ".0f"),
        Column("late", "reserve sites not reached in time", ".0f"),
        Column("late_km", "their length [km]", ",.1f"),
        Column("late_delay_h", "their delay [h]", ",.1f"),
        Column("share", "share", ".0%"),
    )
    return Table("Reserve sites by road within their notice", columns, tuple(rows))


def _chart_years(rows: Sequence[Mapping[str, Any]]) -> list[Chart]:
    charts = []
    for measure in dict.fromkeys(row["measure"] for row in rows):
        own = [row for row in rows if row["measure"] == measure]
        years = [int(row["year"]) for row in own]
        parts = ([float(row[key]) for row in own] for key in ("need_km", "stock_km", "ordered_km"))
        last = own[-1]
        charts.append(
            make_chart(
                draw_stock(years, *parts),
                f"Belt-kilometres of {measure} {years[0]} to {years[-1]}: {last['stock_km']:,.1f} km "
                f"in stock at the end, {last['need_km']:,.1f} km needed",
                f"Stock of {measure} by year.",
            )
        )
    return charts


def _table_years(rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = tuple(one for one in STOCK_COLUMNS if one.key != "money_eur")
    note = "Stock is bought within its locked line; what goes out of life is bought again."
    return Table("Belt-kilometres by year", columns, tuple(rows), note)


def _table_renewal(rows: Sequence[Mapping[str, Any]]) -> Table | None:
    if not rows:
        return None
    title = "Replacement after the last year; no line holds this money"
    return Table(title, RENEWAL_COLUMNS, tuple(rows))


def _table_depots(rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = (
        Column("name", "depot"),
        Column("existing", "in use"),
        Column("cost_eur", "to open [EUR]", ",.0f"),
        Column("sites", "nearest for sites", ".0f"),
        Column("late", "late", ".0f"),
        Column("longest_h", "longest way [h]", ".2f"),
        Column("stored_km", "belt held [km]", ",.1f"),
        Column("capacity_km", "room [km]", ",.1f"),
        Column("tag", "tag"),
    )
    return Table("Parks and depots of the best choice", columns, tuple(rows))


def _table_belts(rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = (
        Column("name", "reserve site"),
        Column("length_km", "length [km]", ",.1f"),
        Column("delay_h", "delay [h]", ".1f"),
        Column("notice_h", "notice [h]", ".1f"),
        Column("depot", "nearest depot"),
        Column("hours", "by road [h]", ".2f"),
        Column("in_time", "in time"),
        Column("tag", "tag"),
    )
    return Table("Reserve sites", columns, tuple(rows))


def arrange_robust(programme: Programme) -> dict[str, Any]:
    """Arrange what `abatis robust` kept beside the plan; `missing` says why nothing is there."""
    place = programme.study.folder / "plans" / programme.plan.name
    basis = mark_basis("robust", programme.study, programme.plan)
    rows, missing = read_beside(place, "robust", programme.plan.name, basis)
    if rows is None:
        return {"table": None, "missing": missing}
    columns = (
        Column("name", "plan"),
        Column("mean_h", "mean [h]", ".3f"),
        Column("worst_h", "worst share [h]", ".3f"),
        Column("score_h", "asked for [h]", ".3f"),
        Column("bound_h", "no plan scores more [h]", ".3f"),
        Column("gap", "gap [share]", ".3f"),
        Column("cost_eur", "cost [EUR]", ",.0f"),
        Column("shared", "works also in this plan", ".0f"),
        Column("other_mean_h", "other scenarios: mean [h]", ".3f"),
        Column("other_worst_h", "other scenarios: worst share [h]", ".3f"),
    )
    points = [
        (row["name"], *(float(row[key]) for key in ("mean_h", "worst_h", "other_mean_h", "other_worst_h")))
        for row in rows["robust"]
    ]
    chart = make_chart(
        draw_trade(points, "share"),
        "Plans by mean and worst share of the hours; the table below holds the numbers",
        "Mean and worst share of the hours: hollow on the scenarios of the choice, full on others.",
    )
    return {
        "table": Table("Plans over drawn scenarios", columns, tuple(rows["robust"])),
        "told": rows["answer"][0]["answer"],
        "chart": chart,
    }


def arrange_split(programme: Programme) -> dict[str, Any]:
    """Arrange what `abatis split` kept for this state of the study; `missing` says why nothing is there."""
    rows, missing = read_rows(programme.study.folder / "plans", "split", mark_splits(programme.study))
    if rows is None:
        return {"table": None, "missing": missing}
    of_money = "money" in rows
    columns = (
        Column("name" if of_money else "plan", "split" if of_money else "plan"),
        *(
            (
                Column("budget_eur", "money [EUR]", ",.0f"),
                Column("works", "works", ",.0f"),
                Column("watched", "of them watched", ",.0f"),
                Column("held_p10_h", "held at the end P10 [h]", ".2f"),
                Column("held_p50_h", "P50 [h]", ".2f"),
                Column("held_p90_h", "P90 [h]", ".2f"),
            )
            if of_money
            else (Column("mean_h", "held at the end, mean [h]", ".2f"),)
        ),
        Column("worst_tenth_h", "worst tenth [h]", ".2f"),
        Column("cost_p50_eur", "cost P50 [EUR, nominal]", ",.0f"),
    )
    charts = chart_splits(rows)
    return {
        "table": Table("Under the same draws", columns, tuple(rows["plans"])),
        "told": rows["answer"][0]["answer"],
        "charts": [charts[key] for key in ("money", "spans") if key in charts],
    }


def list_placeholders(study: Study, tables: Sequence[tuple[str, str]], drawn: bool) -> Table:
    """List every placeholder that the programme rests on: each row with tag G, and the author's settings.

    Parameters
    ----------
    study : the study.
    tables : key and meaning of each table of the programme.
    drawn : true when the page shows draws; then the general inputs of the draws count too.
    """
    rows = [
        {
            "table": meaning,
            "row": " ".join(str(part) for part in _name_row(key, row)),
            "source": str(row["source"]),
        }
        for key, meaning in tables
        for _, row in study.tables[key].iterrows()
        if "tag" in row and row["tag"] == PLACEHOLDER
    ]
    rows += [
        {
            "table": "settings of study.toml",
            "row": f"{key} = {getattr(study, attribute):g}",
            "source": f"{meaning}: set by the study's author",
        }
        for key, attribute, meaning in SETTINGS
        if getattr(study, attribute) is not None
    ]
    if drawn:
        own = set(study.tables["risks"]["risk"])
        rows += [
            {
                "table": "general inputs of the draws",
                "row": f"{one.key} {one.low:g} to {one.high:g}",
                "source": "default of abatis",
            }
            for one in collect_inputs(study).quantities
            if one.tag == PLACEHOLDER
            and one.low < one.high
            and one.key.partition(":")[0] not in ("cost", "delay")
            and not {one.key, one.key.partition(":")[0]} & own
        ]
    own_terms = set(study.tables["clearance_terms"]["term"])
    rows += [
        {"table": "figures of clearing", "row": one.key, "source": one.source}
        for one in read_clearance_terms(study).values()
        if one.tag == PLACEHOLDER and one.key not in own_terms
    ]
    columns = (Column("table", "table"), Column("row", "row"), Column("source", "what it rests on"))
    return Table("Every placeholder (tag G)", columns, tuple(rows))


def _name_row(table: str, row: pd.Series) -> list[str]:
    parts = [str(row[column]) for column in KEYED_TABLES.get(table, ()) if column in row]
    return [part for part in parts if part]
