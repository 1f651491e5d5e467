"""Commands of people, land, law and clearance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from abatis.show.commands.arguments import AsJson, StudyFolder
from abatis.show.progress import ShowProgress
from abatis.show.tables import print_json, show_tables

app = typer.Typer()


@app.command("law")
def law(
    study: StudyFolder,
    date: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="the day; today when left out")] = "",
    state: Annotated[
        list[str] | None,
        typer.Option(metavar="CODE", help="show this state, may be repeated; all for all of them"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say which treaties bind on a day, which measures are lawful, and which duties go with them."""
    from abatis.show.law import answer_law

    show_tables(answer_law(study, date, tuple(state or ())), as_json)


@app.command("clearance")
def clearance(
    study: StudyFolder,
    plan: Annotated[str, typer.Option(metavar="NAME", help="count the belts of this plan too")] = "",
    date: Annotated[
        str,
        typer.Option(metavar="YYYY-MM-DD", help="the register as on this day; as it stands when left out"),
    ] = "",
    team: Annotated[str, typer.Option(metavar="KIND", help="manual, dogs, machine or your own")] = "manual",
    teams: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="teams; as many as needed when left out")
    ] = None,
    within: Annotated[int, typer.Option(metavar="YEARS", min=1, max=200, help="years allowed")] = 10,
    start: Annotated[
        int | None, typer.Option(metavar="YEAR", min=2000, max=2200, help="first year of the work")
    ] = None,
    import_file: Annotated[
        Path | None,
        typer.Option(
            "--import", metavar="PATH", help="read a folder of CSV, .xlsx or .geojson; all or nothing"
        ),
    ] = None,
    export_file: Annotated[
        Path | None, typer.Option("--export", metavar="PATH", help="write a folder of CSV, .xlsx or .geojson")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what must be cleared: hazard register, cost, order, release years, teams, who owns the duty."""
    from abatis.people.clearance import ClearanceSettings
    from abatis.show.clearance import (
        choose_day,
        compute_clearance,
        describe_clearance,
        move_hazards,
        tabulate_clearance,
    )

    if import_file is not None or export_file is not None:
        show_tables({"register": move_hazards(study, import_file, export_file)}, as_json)
        return
    settings = ClearanceSettings(choose_day(study, date, team, plan), team, teams, start, within)
    with ShowProgress() as progress:
        found = compute_clearance(study, settings, plan, progress)
    if as_json:
        print_json(describe_clearance(found))
        return
    show_tables(tabulate_clearance(found), as_json)


@app.command("people")
def people(
    study: StudyFolder,
    plan: Annotated[str, typer.Option(metavar="NAME", help="name of the plan")] = "base",
    balance: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COST",
            help="trace hours against people, land, liability, nature, weighted or all; may be repeated",
        ),
    ] = None,
    weights: Annotated[
        str, typer.Option(metavar="LIST", help="weights of the weighted cost, such as people=2,land=1")
    ] = "",
    points: Annotated[int, typer.Option(metavar="N", help="limits of the front")] = 10,
    keep: Annotated[float, typer.Option(metavar="SHARE", help="share of the hours won to keep")] = 0.95,
    gap: Annotated[float, typer.Option(help="share at which each search stops")] = 0.02,
    time_limit: Annotated[float, typer.Option(metavar="SECONDS", help="limit of all searches")] = 300.0,
    as_json: AsJson = False,
) -> None:
    """Show the civil account of a plan: who is cut off, leaving, land, nature, clearing, duties."""
    from abatis.show.balance import choose_balance, trace_study_balance
    from abatis.show.people import compute_people, describe_people, tabulate_people

    settings = choose_balance(balance or (), weights, points, keep, gap, time_limit)
    if balance:
        with ShowProgress() as progress:
            tables = trace_study_balance(study, plan, settings, progress)
        show_tables(tables, as_json)
        return
    with ShowProgress() as progress:
        found = compute_people(study, plan, progress)
    if as_json:
        print_json(describe_people(found))
        return
    show_tables(tabulate_people(found), as_json)
