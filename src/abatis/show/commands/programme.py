"""Commands of the programme: years, money, stock and risk."""

from __future__ import annotations

from typing import Annotated

import typer

from abatis.show.commands.arguments import AsJson, StudyFolder
from abatis.show.progress import ShowProgress
from abatis.show.tables import print_json, print_message, show_tables

app = typer.Typer()


@app.command("programme")
def show_programme(
    study: StudyFolder,
    plan: Annotated[str, typer.Option(metavar="NAME", help="plan that is laid out over years")] = "base",
    budget: Annotated[
        str,
        typer.Option(metavar="NAME", help="named budget of budgets.csv; that of study.toml when left out"),
    ] = "",
    gap: Annotated[float | None, typer.Option(help="gap to prove, a share; that of study.toml")] = None,
    time_limit: Annotated[float | None, typer.Option(help="seconds; that of study.toml")] = None,
    as_json: AsJson = False,
) -> None:
    """Lay a plan out over the years: money by line, hours held, bound, and what it asks of the country."""
    from abatis.show.programme import (
        ProgrammeSettings,
        describe_programme,
        make_programme,
        tabulate_programme,
    )
    from abatis.show.report.programme import write_programme_files

    settings = ProgrammeSettings(plan, budget or None, gap, time_limit)
    with ShowProgress() as progress:
        found = make_programme(study, settings, progress)
        page, workbook = write_programme_files(found)
    if as_json:
        print_json(describe_programme(found))
        return
    show_tables(tabulate_programme(found), as_json)
    print_message(f"page: {page}\nworkbook: {workbook}")


@app.command("stock")
def show_stock(
    study: StudyFolder,
    plan: Annotated[str, typer.Option(metavar="NAME", help="plan whose options count")] = "base",
    depots: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="most depots; that of study.toml when left out")
    ] = None,
    variant: Annotated[
        str, typer.Option(help="covering: fewest late sites; median: least hours")
    ] = "covering",
    as_json: AsJson = False,
) -> None:
    """Show which reserve sites are reached in time, where depots stand best, and stock by year."""
    from abatis.show.beside import keep_beside
    from abatis.show.stock import compute_stock, tabulate_stock

    with ShowProgress() as progress:
        results = compute_stock(study, plan, depots, variant, progress)
    tables = tabulate_stock(results)
    keep_beside(study, plan, "stock", tables)
    show_tables(tables, as_json)


@app.command("risk")
def risk(
    study: StudyFolder,
    plan: Annotated[str, typer.Option(metavar="NAME", help="plan that is drawn")] = "base",
    against: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="another plan, same draws; may be repeated")
    ] = None,
    draws: Annotated[int, typer.Option(metavar="N", help="number of draws")] = 1000,
    workers: Annotated[int, typer.Option(metavar="N", help="processes that draw")] = 1,
    speeds: Annotated[bool, typer.Option("--speeds", help="draw speeds and soils too (slower)")] = False,
    shape: Annotated[str, typer.Option(help="pert or triangular")] = "pert",
    sensitivity: Annotated[
        int, typer.Option(metavar="N", help="base draws to find which input matters; 0 for none")
    ] = 0,
    seed: Annotated[int | None, typer.Option(help="seed of the draws; the study's when left out")] = None,
    as_json: AsJson = False,
) -> None:
    """Draw cost, delay, lateness and failure: hours and euros by year with P10, P50, P90; compare plans."""
    from abatis.show.beside import keep_beside
    from abatis.show.risk import RiskSettings, tabulate_risk

    settings = RiskSettings((plan, *(against or ())), draws, workers, speeds, shape, sensitivity, seed)
    with ShowProgress() as progress:
        tables = tabulate_risk(study, settings, progress)
    keep_beside(study, plan, "risk", tables)
    show_tables(tables, as_json)
