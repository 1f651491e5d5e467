"""The page of the watch: posts, what is seen, warning, low air, trees in sight lines, notices."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import abatis
from abatis.barrier.observed import LEFT_WHEN_UNWATCHED
from abatis.model.watched import LEAST_DETECTION
from abatis.model.words import TAG_MEANINGS
from abatis.show.low_air import AIR_WAY_COLUMNS
from abatis.show.report.answers import Answer
from abatis.show.report.build import make_environment
from abatis.show.report.figure import Chart
from abatis.show.report.watch_charts import BorderStrip, WarningBar, draw_border_strips, draw_warning_bars
from abatis.show.sheet import MapImage
from abatis.show.tables import Column, Table
from abatis.show.watch import assign_fronts
from abatis.show.watch_air_maps import pick_least
from abatis.show.watch_answer import WatchAnswer
from abatis.show.watch_tables import list_notes, list_states
from abatis.watch.clearing import find_kept_cells, mask_wood
from abatis.watch.warning import FAST_TOLERANCE

MOST_CELLS = 15
MOST_ROWS = 30
POSTS = (
    "state",
    "sensor",
    "lon",
    "lat",
    "cost_eur",
    "upkeep_eur_per_year",
    "renewal_year",
    "area_km2",
    "border_km",
)
UNIT_STYLES = {"share": (100.0, ",.1f", "%"), "km": (1.0, ",.1f", "km"), "EUR": (1.0, ",.0f", "EUR")}
PATIENT = ("warning_today_h", "warning_posts_h", "warning_plan_h", "posts_won_h", "plan_won_h", "total_h")
FAST = ("fast_today_h", "fast_posts_h", "fast_plan_h", "fast_total_h")
BESIDE = ("delay_h", "unseen_today_h", "unseen_plan_h")


def build_watch_page(answer: WatchAnswer, tables: dict[str, Table], maps: Sequence[MapImage]) -> str:
    """Return the page as one HTML text that needs nothing outside itself.

    Parameters
    ----------
    answer : everything that was found.
    tables : all tables of the answer, by name.
    maps : finished maps, shown in this order.
    """
    results = answer.results
    shown = dict(tables)
    # What its note says stands in the text of the page.
    warning = replace(tables["warning"], note="")
    for name in ("clearing_cells", "joint_warning"):
        if name in shown:
            shown[name] = _cut_table(shown[name])
    return (
        make_environment()
        .get_template("watch.html")
        .render(
            version=abatis.__version__,
            schematic=results.study.schematic,
            study=results.study,
            settings=results.settings,
            last_year=results.last_year,
            tables=shown,
            answers=list_watch_answers(answer),
            maps={one.key: (one, base64.b64encode(one.png).decode("ascii")) for one in maps},
            charts=_draw_charts(answer),
            posts=_take_columns(tables["posts"], "Posts", POSTS),
            kinds=tabulate_kinds(tables["posts"]),
            most_rows=MOST_ROWS,
            closing_kept=_pick_rows(tables.get("closing"), lambda row: row["kept"], "What closes it"),
            clearing=_pick_rows(tables.get("clearing"), lambda row: not _is_site(row)),
            clearing_sites=_pick_rows(
                tables.get("clearing"), _is_site, "Trees kept beside sites of the plan"
            ),
            watch=_write_units(tables["watch"]),
            knows_trees=knows_trees(answer),
            patient=_take_columns(warning, "Patient mover: warning by approach", PATIENT),
            fast=_take_columns(warning, "Fast ways: warning by approach", (*FAST, *BESIDE)),
            fast_percent=100.0 * FAST_TOLERANCE,
            by_height=tabulate_heights(answer),
            notes=list_notes(results),
            air_notes=answer.picture.notes,
            sensors=tabulate_sensors(answer),
            rests=tabulate_rests(answer),
            tags=tabulate_tags(answer),
            tag_meanings=TAG_MEANINGS,
        )
    )


def list_watch_answers(answer: WatchAnswer) -> dict[str, Answer]:
    """Return the numbers of the page's first screen by key."""
    results, picture, conflict = answer.results, answer.picture, answer.conflict
    plan, states, length = results.plan, list_states(results), results.pieces.length_km
    rows = results.warning
    blind = sum(one.warning_plan_h == 0 for one in rows)
    weight = sum(one.weight for one in rows)
    mean = [
        sum(one.weight * value(one) for one in rows) / weight if weight > 0 else 0.0
        for value in (lambda one: one.fast_today_h, lambda one: one.fast_plan_h)
    ]
    found = [
        Answer("new", states.count("new"), "", ",.0f", "new sensors"),
        Answer("renewed", states.count("renewed"), "", ",.0f", "renewed"),
        Answer("lost", states.count("lost"), "", ",.0f", "lost"),
        Answer("cost", plan.cost_eur, "EUR", ",.0f", "cost"),
        Answer("budget", plan.budget_eur, "EUR", ",.0f", "budget"),
        Answer("seen_today", plan.today.share, "%", ".0f", "weight seen today"),
        Answer("seen_left", plan.left_alone.share, "%", ".0f", "weight seen when nothing is done"),
        Answer("seen_plan", plan.planned.share, "%", ".0f", "weight seen with the plan"),
        Answer("seen_most", plan.bound / plan.whole_weight if plan.whole_weight else 0.0, "%", ".0f",
               "no choice sees more"),
        Answer("border", float(length.sum()), "km", ",.0f", "border with hostile ground"),
        Answer("border_today", float(length[plan.today.border_by > 0].sum()), "km", ",.0f", "seen today"),
        Answer("border_plan", float(length[plan.planned.border_by > 0].sum()), "km", ",.0f", "with the plan"),
        Answer("approaches", len(rows), "", ",.0f", "objectives and ways to them"),
        Answer("blind", blind, "", ",.0f", "of them can be reached unseen"),
        Answer("fast_today", mean[0], "h", ",.2f", "mean warning on fast ways today"),
        Answer("fast_plan", mean[1], "h", ",.2f", "with posts and plan"),
    ]  # fmt: skip
    least = pick_least(picture)
    if least is not None and least.corridor is not None:
        found.append(Answer("air_least", least.corridor.chance, "%", ".0f", "chance to be noticed"))
        found.append(Answer("air_height", least.height_m, "m", ",.0f", "above ground"))
    if picture.closing is not None and picture.closing.kept:
        found += [
            Answer("closing_cost", picture.closing.cost_eur, "EUR", ",.0f", "to close it"),
            Answer("closing_kept", len(picture.closing.kept), "", ",.0f", "sensors"),
            Answer("closing_chance", picture.closing.chance, "%", ".0f", "then"),
        ]
    if conflict is not None:
        found.append(Answer("clearing", conflict.clearing_ha, "ha", ",.0f", "kept trees in sight lines"))
    return {one.key: one for one in found}


def list_border_strips(answer: WatchAnswer) -> list[BorderStrip]:
    """Pieces of border by front, in the order of the study's fronts."""
    results = answer.results
    plan, owner = results.plan, np.array(assign_fronts(results.study, results.mesh, results.pieces), object)
    strips = []
    for front, name in results.study.tables["fronts"][["front", "name"]].itertuples(index=False):
        own = owner == front
        if own.any():
            counts = (plan.today.border_by[own], plan.left_alone.border_by[own], plan.planned.border_by[own])
            strips.append(BorderStrip(str(name), results.pieces.length_km[own], counts))
    return strips


def _draw_charts(answer: WatchAnswer) -> dict[str, Chart]:
    results = answer.results
    charts = {}
    strips = list_border_strips(answer)
    if strips:
        charts["border"] = _make_chart(
            draw_border_strips(strips),
            "Border with hostile ground, kilometre by kilometre, and by how many posts it is seen",
            "Every kilometre of border with hostile ground by how many posts see it. All of them stand in "
            "border.csv beside this page.",
        )
    bars = [
        WarningBar(
            one.name,
            (one.warning_today_h, one.warning_posts_h, one.warning_plan_h),
            (one.fast_today_h, one.fast_posts_h, one.fast_plan_h),
        )
        for one in results.warning
    ]
    charts["warning"] = _make_chart(
        draw_warning_bars(bars, bool(results.settings.plan)),
        "Hours of warning by approach today, with posts, and with posts and plan",
        "Bars: a mover on fast ways. Diamonds: a patient mover.",
    )
    return charts


def _make_chart(png: bytes, alt: str, caption: str) -> Chart:
    return Chart(base64.b64encode(png).decode("ascii"), alt, caption)


def _take_columns(table: Table, title: str, keys: Sequence[str]) -> Table:
    """The same rows with the name and some columns only."""
    columns = {one.key: one for one in table.columns}
    return Table(title, (columns["name"], *(columns[key] for key in keys)), table.rows, table.note)


def _write_units(table: Table) -> Table:
    """Write every value of a table of what, value, unit in the way of its unit."""
    rows = []
    for row in table.rows:
        factor, style, unit = UNIT_STYLES.get(row["unit"], (1.0, ",.0f", row["unit"]))
        rows.append({**row, "value": format(factor * row["value"], style), "unit": unit})
    columns = (table.columns[0], Column("value", "value", "s"), table.columns[2])
    return Table(table.title, columns, tuple(rows))


def knows_trees(answer: WatchAnswer) -> bool:
    """Whether the study shows forest that a rule keeps; without it no conflict can be found."""
    results, mesh = answer.results, answer.results.mesh
    kept = np.flatnonzero(find_kept_cells(mesh, {})["protected"])
    wood = mask_wood(results.ground, results.catalogue.terms)
    under = np.unique(results.ground.cell[wood & (results.ground.cell >= 0)])
    return bool(len(np.intersect1d(under, kept))) or (
        answer.conflict is not None and answer.conflict.clearing_ha > 0
    )


def _pick_rows(table: Table | None, wanted: Callable[[Mapping[str, Any]], bool], title: str = "") -> Table:
    """Some rows of a table; without a new title it keeps its note."""
    if table is None:
        return Table(title, (), ())
    rows = tuple(row for row in table.rows if wanted(row))
    return Table(title or table.title, table.columns, rows, "" if title else table.note)


def _is_site(row: Mapping[str, Any]) -> bool:
    return bool(row["by"] == "reason" and str(row["what"]).startswith("site "))


def tabulate_kinds(posts: Table) -> Table:
    """Sum posts by state and sensor: number, cost, upkeep."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in posts.rows:
        groups.setdefault((row["state"], row["sensor"]), []).append(row)
    rows = [
        {
            "state": state,
            "sensor": sensor,
            "count": len(some),
            "cost_eur": sum(row["cost_eur"] for row in some),
            "upkeep_eur_per_year": sum(row["upkeep_eur_per_year"] for row in some),
        }
        for (state, sensor), some in sorted(groups.items())
    ]
    columns = (
        Column("state", "state"),
        Column("sensor", "sensor"),
        Column("count", "posts", ",.0f"),
        Column("cost_eur", "cost [EUR]", ",.0f"),
        Column("upkeep_eur_per_year", "upkeep [EUR/year]", ",.0f"),
    )
    return Table("Posts by what becomes of them", columns, tuple(rows), posts.note)


def _cut_table(table: Table) -> Table:
    if len(table.rows) <= MOST_CELLS:
        return table
    note = f"The first {MOST_CELLS} of {len(table.rows)}; all stand in watch.json. {table.note}".strip()
    return replace(table, rows=table.rows[:MOST_CELLS], note=note)


def tabulate_heights(answer: WatchAnswer) -> Table:
    """For each height the front and objective that are noticed least."""
    results = answer.results
    rows = []
    for height_m in answer.picture.settings.heights_m:
        known = [
            one for one in answer.picture.corridors if one.height_m == height_m and one.corridor is not None
        ]
        if not known:
            continue
        least = min(known, key=lambda one: one.corridor.chance if one.corridor else 1.0)
        way = least.corridor
        assert way is not None
        rows.append(
            {
                "height_m": height_m,
                "front": results.study.find_row("fronts", least.front)["name"],
                "objective": results.study.find_row("places", least.objective)["name"],
                "chance": way.chance,
                "single_chance": way.single_chance,
                "length_km": way.length_m / 1000,
                "gap_km": way.gap_m / 1000,
                "border_gap_km": least.border_gap_m / 1000,
            }
        )
    columns = (
        Column("height_m", "height [m]", ".0f"),
        Column("front", "front"),
        Column("objective", "objective"),
        *AIR_WAY_COLUMNS,
        Column("border_gap_km", "widest gap at the border [km]", ",.0f"),
    )
    return Table("The least-seen way at each height", columns, tuple(rows))


def tabulate_sensors(answer: WatchAnswer) -> Table:
    """The catalogue: ranges, chances, prices, and what they rest on."""
    rows = [
        {
            "name": one.name, "mast_height_m": one.mast_height_m, "cost_eur": one.cost_eur,
            "cost_low_eur": one.cost_low_eur, "cost_high_eur": one.cost_high_eur,
            "life_years": one.life_years,
            **{target: one.range_m.get(target) for target in ("person", "vehicle", "low_air")},
            "detection": one.detection_probability, "weather": one.weather_factor,
            "false_alarms": one.false_alarms_per_day, "tag": one.tag, "source": one.source,
        }
        for one in answer.results.catalogue.sensors.items
    ]  # fmt: skip
    columns = (
        Column("name", "sensor"),
        Column("mast_height_m", "mast [m]", ".0f"),
        Column("cost_low_eur", "low [EUR]", ",.0f"),
        Column("cost_eur", "cost [EUR]", ",.0f"),
        Column("cost_high_eur", "high [EUR]", ",.0f"),
        Column("life_years", "life [years]", ".0f"),
        Column("person", "range person [m]", ",.0f"),
        Column("vehicle", "vehicle [m]", ",.0f"),
        Column("low_air", "low air [m]", ",.0f"),
        Column("detection", "detection", ".2f"),
        Column("weather", "weather factor", ".2f"),
        Column("false_alarms", "false alarms a day", ",.3g"),
        Column("tag", "tag"),
        Column("source", "source"),
    )
    return Table("Sensors", columns, tuple(rows))


def tabulate_rests(answer: WatchAnswer) -> Table:
    """Every figure of the watch besides sensors and posts: value, unit, source and tag."""
    air = answer.picture.settings
    rows = [
        {
            "meaning": one.meaning,
            "value": f"{one.value:g}",
            "unit": one.unit,
            "tag": one.tag,
            "source": one.source,
        }
        for one in answer.results.catalogue.terms.values()
    ]
    fixed = [
        ("from this chance of detection on a mover counts as seen", f"{LEAST_DETECTION:g}", "share"),
        ("share of its delay that a barrier keeps where nobody looks", f"{LEFT_WHEN_UNWATCHED:g}", "share"),
        ("ways up to this much slower than the fastest are fast (warning)", f"{FAST_TOLERANCE:g}", "share"),
        ("heights of low flights", ", ".join(f"{one:g}" for one in air.heights_m), "m"),
        ("way of a low flight that one look takes", f"{air.look_m:g}", "m"),
        ("low air is open below this chance", f"{air.open_below:g}", "share"),
        ("low air is watched from this chance on", f"{air.watched_from:g}", "share"),
        ("depth of the strip near the border", f"{air.border_km:g}", "km"),
        ("chance to be noticed that closing asks for", f"{air.least_chance:g}", "share"),
    ]
    rows += [
        {"meaning": meaning, "value": value, "unit": unit, "tag": "G", "source": "setting of abatis"}
        for meaning, value, unit in fixed
    ]
    columns = (
        Column("meaning", "figure"), Column("value", "value"), Column("unit", "unit"), Column("tag", "tag"),
        Column("source", "source"),
    )  # fmt: skip
    return Table("Figures of the watch", columns, tuple(rows))


def tabulate_tags(answer: WatchAnswer) -> Table:
    """Count rows of the watch's tables by tag."""
    catalogue = answer.results.catalogue
    groups = {
        "sensors": [one.tag for one in catalogue.sensors.items],
        "posts that stand": [one.tag for one in catalogue.posts.items],
        "figures of the watch": [str(row["tag"]) for row in tabulate_rests(answer).rows],
        "emission notices": [one.tag for one in answer.notices],
    }
    rows = [
        {"table": name, "rows": len(tags), **{tag: tags.count(tag) for tag in TAG_MEANINGS}}
        for name, tags in groups.items()
        if tags
    ]
    columns = (
        Column("table", "table"),
        Column("rows", "rows", ".0f"),
        *(Column(tag, f"{tag}: {meaning}", ".0f") for tag, meaning in TAG_MEANINGS.items()),
    )
    return Table("Where the values come from", columns, tuple(rows))
