"""Commands of the ground: from a new study to its mesh, times and avenues."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from abatis.model.errors import Fault, InputError, nearest_word
from abatis.show.commands.arguments import AsJson, StudyFolder
from abatis.show.progress import ShowProgress
from abatis.show.tables import Column, Table, print_json, print_message, show_tables

app = typer.Typer()


@app.command("new")
def make_new(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="folder to make")],
    example: Annotated[str, typer.Option(help="copy a packaged example: lithuania")] = "",
    country: Annotated[
        str, typer.Option(metavar="CODE", help="a country whose data abatis fetch gets, e.g. LT")
    ] = "",
    hostile: Annotated[
        list[str] | None, typer.Option(metavar="CODE", help="where movement starts, may be repeated")
    ] = None,
) -> None:
    """Make a study folder: a small runnable template, a copy of an example, or a country to fetch."""
    from abatis.show.new import write_study

    write_study(folder, example, country, tuple(hostile or ()))
    print_message(f"Study written to {folder}.", "green")
    print_message(f"Next: abatis {'fetch' if country else 'check'} {folder}")


@app.command("fields")
def show_fields(
    table: Annotated[str, typer.Argument(metavar="[TABLE]", help="one table; all when left out")] = "",
    as_json: AsJson = False,
) -> None:
    """Show the columns of the study's tables: type, unit, bounds, default and meaning."""
    from abatis.model.fields import fields_of, table_names

    if table and table not in table_names():
        raise InputError([Fault(f"there is no table '{table}'", remedy=nearest_word(table, table_names()))])
    columns = (
        Column("column", "column"),
        Column("type", "type"),
        Column("unit", "unit"),
        Column("minimum", "least", "g"),
        Column("maximum", "most", "g"),
        Column("default", "default"),
        Column("choices", "choices"),
        Column("meaning", "meaning"),
    )
    shown = {}
    for name in [table] if table else table_names():
        rows = tuple(
            {
                **{column.key: getattr(field, column.key) for column in columns},
                "minimum": None if field.minimum == float("-inf") else field.minimum,
                "maximum": None if field.maximum == float("inf") else field.maximum,
            }
            for field in fields_of(name)
        )
        shown[name] = Table(name, columns, rows, "default: required must be given; - may be empty")
    show_tables(shown, as_json)


@app.command("fetch")
def fetch(
    study: StudyFolder,
    layer: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="one open layer, may be repeated; the usual ones")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="list files and sizes, get nothing")] = False,
    mirror: Annotated[
        str | None, typer.Option(metavar="URL", help="mirror; that of study.toml when left out")
    ] = None,
    speed: Annotated[
        float | None, typer.Option(metavar="MB_PER_S", min=0, help="limit; that of study.toml when left out")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask before fetching")] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch open data for the ground of a study into its sources/."""
    from abatis.show.fetch import fetch_layers, list_fetch

    layers = tuple(layer or ())
    tables = list_fetch(study, layers, mirror) if dry_run else fetch_layers(study, layers, mirror, speed, yes)
    show_tables({name: table for name, table in tables.items() if table.rows or as_json}, as_json)


@app.command("check")
def check_study(study: StudyFolder, as_json: AsJson = False) -> None:
    """Check tables and sources of a study without building it: every fault, or size and time to expect.

    Small sources are read whole; large ones are opened and read in part.
    """
    from abatis.show.check import check_whole_study

    try:
        found, size = check_whole_study(study)
    except InputError as error:
        if as_json:
            print_json({"fine": False, "faults": [vars(fault) for fault in error.faults]})
        raise
    rows = (
        {"what": "cells", "value": size.cells},
        {"what": "edges", "value": size.edges},
        {"what": "memory [MiB]", "value": round(size.memory_mib)},
        {"what": "minutes to build", "value": round(size.minutes, 2)},
    )
    table = Table(
        f"{found.title}: fine", (Column("what", "expected"), Column("value", "value", ",.10g")), rows
    )
    if as_json:
        print_json(
            {"fine": True, "faults": [], **{key: getattr(size, key) for key in size.__dataclass_fields__}}
        )
        return
    show_tables({"size": table}, as_json)


@app.command("build")
def build(
    study: StudyFolder,
    workers: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="processes that count")] = 1,
    cluster: Annotated[bool, typer.Option("--cluster", help="count on a Dask cluster, a local one")] = False,
    scheduler: Annotated[
        str, typer.Option(metavar="ADDRESS", help="with --cluster: a scheduler that runs already")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Build the mesh of a study from its sources."""
    from abatis.show.crews import choose_crew
    from abatis.show.workflow import build_study

    crew = choose_crew(workers, cluster, scheduler)
    with ShowProgress() as progress:
        found, mesh = build_study(study, progress, crew)
    rows = [{"what": "cells", "value": mesh.cell_count}, {"what": "edges", "value": mesh.edge_count}]
    for code in mesh.country_codes:
        inside = mesh.mask_countries((code,))
        rows.append({"what": f"area of {code} [km2]", "value": round(float(mesh.area_km2[inside].sum()), 1)})
    rows.append({"what": "people", "value": round(float(mesh.population.sum()))})
    table = Table(
        f"Mesh of {found.title}", (Column("what", "what"), Column("value", "value", ",.10g")), tuple(rows)
    )
    notes = tuple({"assumption": text} for text in mesh.assumptions)
    tables = {"mesh": table}
    if notes or as_json:
        tables["assumptions"] = Table(
            "What was missing and what was assumed", (Column("assumption", ""),), notes
        )
    show_tables(tables, as_json)


@app.command("validate")
def validate(
    study: StudyFolder,
    windows: Annotated[
        int, typer.Option(min=0, max=100, help="pieces of ground on which times are compared")
    ] = 8,
    strict: Annotated[bool, typer.Option("--strict", help="exit with 1 when a limit is missed")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare the mesh of a study with its sources: areas, people, roads, rivers, borders, times."""
    from abatis.show.validate import raise_missed, validate_study
    from abatis.show.workflow import load_study

    found, mesh = load_study(study)
    with ShowProgress() as progress:
        tables, path = validate_study(found, mesh, windows, progress)
    show_tables({"validation": tables.rows, "summary": tables.summary}, as_json)
    print_message(f"Written to {path}; abatis report shows it.")
    if strict:
        raise_missed(tables, path)


@app.command("times")
def show_times(
    study: StudyFolder,
    approach: Annotated[str, typer.Option(help="key of one approach; all when left out")] = "",
    avenues: Annotated[int, typer.Option(min=0, max=20, help="how many separate avenues to show")] = 0,
    season: Annotated[str, typer.Option(help="move all approaches to dry, mud, frozen or thaw")] = "",
    tiles: Annotated[
        int | None,
        typer.Option(metavar="RESOLUTION", help="times once more, by H3 tiles kept in STUDY/overlay"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show arrival times of the approaches without barriers, and their avenues."""
    from abatis.show.placeholders import add_placeholders
    from abatis.show.times import (
        change_season,
        check_times,
        tabulate_avenues,
        tabulate_limits,
        tabulate_times,
    )
    from abatis.show.workflow import load_study

    found, mesh = load_study(study)
    check_times(found, mesh, approach, season, tiles)
    moved = change_season(found, season) if season else found
    with ShowProgress() as progress:
        tables = {"times": tabulate_times(moved, mesh, approach, progress)}
        if avenues:
            tables["avenues"] = tabulate_avenues(moved, mesh, approach, avenues, progress)
        if tiles is not None:
            from abatis.show.tiled_times import tabulate_tiled_times

            tables["tiled"] = tabulate_tiled_times(moved, mesh, approach, tiles, progress)
    limits = tabulate_limits(found, mesh, moved) if season else None
    if limits:
        tables["limits"] = limits
    show_tables(add_placeholders(tables, found), as_json)


@app.command("avenues")
def show_avenues(
    study: StudyFolder,
    plan: Annotated[str, typer.Option(metavar="NAME", help="plan whose sites are judged")] = "",
    approach: Annotated[str, typer.Option(help="key of one approach; all when left out")] = "",
    count: Annotated[int, typer.Option(min=1, max=10, help="avenues per approach")] = 3,
    separate: Annotated[bool, typer.Option("--separate", help="avenues that share no ground")] = False,
    corridor: Annotated[float, typer.Option(metavar="KM", help="half the width of an avenue")] = 5.0,
    turn: Annotated[float, typer.Option(metavar="KM", help="a route moved so far is turned")] = 5.0,
    disrupt: Annotated[float, typer.Option(metavar="H", help="least delay that disrupts")] = 0.25,
    fix: Annotated[float, typer.Option(metavar="H", help="least delay that fixes")] = 1.0,
    block: Annotated[float, typer.Option(metavar="H", help="least delay that blocks")] = 6.0,
    as_json: AsJson = False,
) -> None:
    """Show avenues, where they run together, chokepoints, and what each site of a plan does to them."""
    from abatis.barrier.effects import EffectLimits
    from abatis.model.study import read_study
    from abatis.show.avenue_listing import list_avenues
    from abatis.show.avenues import AvenueSettings
    from abatis.show.placeholders import add_placeholders

    limits = EffectLimits(count, corridor, turn, min(disrupt, 1.0 / 60.0), disrupt, fix, block)
    with ShowProgress() as progress:
        tables = list_avenues(study, plan, AvenueSettings(limits, separate, approach), progress)
    show_tables(add_placeholders(tables, read_study(study)), as_json)
