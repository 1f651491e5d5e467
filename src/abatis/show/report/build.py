"""Build the report: gather what the template shows, inline the maps, render."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from abatis.barrier.sites import Site
from abatis.model.fields import fields_of
from abatis.model.words import COVER_WORDS, TAG_MEANINGS
from abatis.show.avenue_tables import tabulate_findings
from abatis.show.civil import compute_account
from abatis.show.placeholders import list_tagged, share_placeholders
from abatis.show.report.answers import describe_status, describe_value, is_money_left, list_answers
from abatis.show.report.people import gather_civil
from abatis.show.results import Results, SpeedRange
from abatis.show.sheet import MapImage
from abatis.show.tables import Column, Table, format_value
from abatis.show.validate import read_validation

MOST_PLACES = 30


def build_report(results: Results, maps: Sequence[MapImage], ranges: Sequence[SpeedRange]) -> str:
    """Return the report as one HTML text that needs nothing outside itself.

    Parameters
    ----------
    results : the plan and all that was computed about it.
    maps : finished maps, shown in this order.
    ranges : arrival times at pessimistic and optimistic speeds.
    """
    template = make_environment().get_template("report.html")
    account = compute_account(results.study, results.mesh, results.siting, results.plan, results.impact)
    return template.render(
        plan=results.plan,
        schematic=results.study.schematic,
        study=results.study,
        mesh=results.mesh,
        impact=results.impact,
        answers=list_answers(results, account, share_placeholders(results.study)),
        civil=gather_civil(results, account),
        money_left=is_money_left(results),
        knows_people=bool(results.mesh.population.any()),
        knows_protected=bool(len(results.study.source_rows("protected"))),
        value_words=describe_value(results),
        status_words=describe_status(results.plan.status),
        maps=[(image, base64.b64encode(image.png).decode("ascii")) for image in maps],
        approaches=tabulate_approaches(results),
        sites=tabulate_sites(results),
        ways=tabulate_ways(results),
        works=tabulate_works(results),
        removed=results.siting.removed,
        lines=tabulate_lines(results),
        land=_tabulate_land(results),
        access=_tabulate_access(results),
        ranges=_tabulate_ranges(results, ranges),
        tags=_tabulate_tags(results),
        sources=_tabulate_sources(results),
        facts=_tabulate_facts(results),
        tag_meanings=TAG_MEANINGS,
        group=results.group,
        avenues=results.avenues,
        avenue_tables=tabulate_findings(results.study, results.mesh, results.avenues, results.siting),
        validation=read_validation(results.study, results.mesh),
    )


def make_environment() -> Environment:
    """Return the templates of all reports with the filter that writes values."""
    environment = Environment(
        loader=PackageLoader("abatis.show.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["value"] = format_value
    return environment


def tabulate_approaches(results: Results) -> Table:
    """Tabulate every approach: weight and hours before and with the plan."""
    table = results.study.tables["approaches"].set_index("approach")
    total = sum(one.weight for one in results.plan.approaches)
    rows = []
    for one in results.plan.approaches:
        row = table.loc[one.id]
        rows.append(
            {
                "id": one.id,
                "name": one.name,
                "vehicle": row["vehicle"],
                "season": row["season"],
                "weight": one.weight / total,
                "before_h": one.before_h,
                "after_h": one.after_h,
                "gained_h": one.after_h - one.before_h,
                "tag": row["tag"],
            }
        )
    columns = (
        Column("name", "approach"),
        Column("vehicle", "vehicle"),
        Column("season", "season"),
        Column("weight", "weight [share]", ".3f"),
        Column("before_h", "before [h]", ".2f"),
        Column("after_h", "with the plan [h]", ".2f"),
        Column("gained_h", "gained [h]", "+.2f"),
        Column("tag", "tag"),
    )
    return Table("Approaches", columns, tuple(rows))


def tabulate_sites(results: Results) -> Table:
    """Tabulate the chosen sites under the labels of the maps, in their order."""
    people = {one.site: one for one in results.impact.sites}
    rows = [
        {
            "label": one.label,
            "site": one.site.key,
            "name": _shorten_name(one.site),
            "option": one.option.option,
            "gap_km": one.site.gap_km,
            "cost_eur": one.option.cost_eur,
            "delay_open_h": one.option.delay_open_h,
            "delay_road_h": one.option.delay_road_h,
            "lead_months": one.option.lead_months,
            "people_near": people[one.site.key].people_near,
            "land_take_ha": people[one.site.key].land_take_ha,
        }
        for one in sorted(results.chosen, key=lambda one: one.label)
    ]
    columns = (
        Column("label", "label"),
        Column("name", "site"),
        Column("option", "closed by"),
        Column("gap_km", "open ground [km]", ".1f"),
        Column("cost_eur", "cost [EUR]", ",.0f"),
        Column("delay_open_h", "delay off road [h]", ".2f"),
        Column("delay_road_h", "delay on road [h]", ".2f"),
        Column("lead_months", "lead time [months]", ".0f"),
        Column("people_near", "people beside it", ",.0f"),
        Column("land_take_ha", "land [ha]", ",.1f"),
    )
    return Table("Chosen sites", columns, tuple(rows))


def _shorten_name(site: Site) -> str:
    """Return a site's name without the kind of site, which its label says."""
    name = site.name.removeprefix(f"Echelon {site.echelon}, ").removeprefix("Crossing, ")
    return name[:1].upper() + name[1:]


def tabulate_ways(results: Results) -> Table:
    """Tabulate the ways to close that the plan uses: what the word stands for, how often, for how much."""
    table = results.study.tables["options"].set_index("option")
    cost: dict[str, float] = {}
    count: Counter[str] = Counter()
    for one in results.chosen:
        cost[one.option.option] = cost.get(one.option.option, 0.0) + one.option.cost_eur
        count[one.option.option] += 1
    rows = [
        {"option": key, "name": row["name"], "sites": count[key], "cost_eur": cost[key], "tag": row["tag"]}
        for key, row in zip(table.index.astype(str), table.to_dict("records"), strict=True)
        if count[key]
    ]
    columns = (
        Column("option", "closed by"),
        Column("name", "what it is"),
        Column("sites", "sites", ".0f"),
        Column("cost_eur", "cost [EUR]", ",.0f"),
        Column("tag", "tag"),
    )
    return Table("Ways to close", columns, tuple(rows))


def tabulate_works(results: Results) -> Table:
    """Tabulate what is built over all sites, by measure."""
    amounts: dict[str, float] = {}
    for one in results.chosen:
        for measure, units in one.option.quantities:
            amounts[measure] = amounts.get(measure, 0.0) + units
    measures = results.study.tables["measures"].set_index("measure")
    rows = []
    for key in sorted(amounts):
        row = measures.loc[key]
        rows.append(
            {
                "measure": key,
                "name": row["name"],
                "units": amounts[key],
                "unit": row["unit"],
                "cost_eur": amounts[key] * row["unit_cost_eur"],
                "cost_low_eur": amounts[key] * row["unit_cost_low_eur"],
                "cost_high_eur": amounts[key] * row["unit_cost_high_eur"],
                "tag": row["tag"],
            }
        )
    columns = (
        Column("name", "measure"),
        Column("units", "units", ",.1f"),
        Column("unit", "unit"),
        Column("cost_eur", "cost [EUR]", ",.0f"),
        Column("cost_low_eur", "low [EUR]", ",.0f"),
        Column("cost_high_eur", "high [EUR]", ",.0f"),
        Column("tag", "tag"),
    )
    return Table("What is built", columns, tuple(rows))


def tabulate_lines(results: Results) -> Table:
    """Tabulate the closing line of each echelon with what the plan closes on it."""
    count: Counter[int] = Counter(one.site.echelon for one in results.chosen if one.site.kind == "line")
    rows = [
        {
            "line": line.key,
            "name": line.name,
            "length_km": line.length_km,
            "closed_by_nature": line.closed_by_nature,
            "cost_eur": line.cost_eur,
            "chosen": count[index],
        }
        for index, line in enumerate(results.siting.lines, start=1)
    ]
    columns = (
        Column("name", "line"),
        Column("length_km", "length [km]", ",.0f"),
        Column("closed_by_nature", "closed by nature [share]", ".2f"),
        Column("cost_eur", "cost to close all of it [EUR]", ",.0f"),
        Column("chosen", "sites chosen on it", ".0f"),
    )
    return Table("Closing lines", columns, tuple(rows))


def _tabulate_land(results: Results) -> Table:
    areas = results.impact.land_take_ha
    rows = [
        {"cover": word.replace("_", " "), "area_ha": areas[word]}
        for word in COVER_WORDS
        if areas[word] > 0.005
    ]
    return Table(
        "Land taken by cover", (Column("cover", "cover"), Column("area_ha", "land [ha]", ",.2f")), tuple(rows)
    )


def _tabulate_access(results: Results) -> Table:
    touched = [one for one in results.impact.access if one.cut_off or one.longer]
    touched.sort(
        key=lambda one: (not one.cut_off, -(one.after_h - one.before_h) if one.longer else 0.0, one.name)
    )
    rows = [
        {
            "name": one.name,
            "population": one.population,
            "before_min": 60 * one.before_h,
            "after_min": 60 * one.after_h,
        }
        for one in touched[:MOST_PLACES]
    ]
    columns = (
        Column("name", "place"),
        Column("population", "people", ",.0f"),
        Column("before_min", "to a city, before [min]", ",.0f"),
        Column("after_min", "with all chosen sites shut [min]", ",.0f"),
    )
    note = f"The {MOST_PLACES} most touched of {len(touched)} places." if len(touched) > MOST_PLACES else ""
    return Table("Places with a longer way", columns, tuple(rows), note)


def _tabulate_ranges(results: Results, ranges: Sequence[SpeedRange]) -> Table:
    names = {one.id: one.name for one in results.plan.approaches}
    rows = [
        {
            "name": names[one.approach],
            "before_fast_h": one.before_fast_h,
            "before_slow_h": one.before_slow_h,
            "after_fast_h": one.after_fast_h,
            "after_slow_h": one.after_slow_h,
        }
        for one in ranges
    ]
    columns = (
        Column("name", "approach"),
        Column("before_fast_h", "before, high speeds [h]", ".2f"),
        Column("before_slow_h", "before, low speeds [h]", ".2f"),
        Column("after_fast_h", "with the plan, high speeds [h]", ".2f"),
        Column("after_slow_h", "with the plan, low speeds [h]", ".2f"),
    )
    return Table("Arrival times at low and high speeds", columns, tuple(rows))


def _tabulate_tags(results: Results) -> Table:
    rows = []
    for name, frame in list_tagged(results.study).items():
        count = Counter(frame["tag"])
        rows.append({"table": name, "rows": len(frame), **{tag: count[tag] for tag in TAG_MEANINGS}})
    columns = (
        Column("table", "table"),
        Column("rows", "rows", ".0f"),
        *(Column(tag, f"{tag}: {meaning}", ".0f") for tag, meaning in TAG_MEANINGS.items()),
    )
    return Table("Where the values come from", columns, tuple(rows))


def _tabulate_sources(results: Results) -> Table:
    wanted = ["layer", "file", "licence", "date", "source", "tag"]
    wanted += [name for name in ("address", "attribution") if (results.study.sources[name] != "").any()]
    columns = tuple(
        Column(field.column, field.caption) for field in fields_of("sources") if field.column in wanted
    )
    rows = [
        {column.key: row[column.key] for column in columns} for _, row in results.study.sources.iterrows()
    ]
    return Table("Data", columns, tuple(rows))


def _tabulate_facts(results: Results) -> Table:
    columns = (Column("wording", "fact"), Column("source", "source"), Column("tag", "tag"))
    rows = [
        {column.key: row[column.key] for column in columns}
        for _, row in results.study.tables["facts"].iterrows()
    ]
    return Table("Facts", columns, tuple(rows))
