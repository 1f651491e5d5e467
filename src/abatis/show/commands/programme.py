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
    tables = tabulate_programme(found)
    if not tables["budgets"].rows:
        del tables["budgets"]
    show_tables(tables, as_json)
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
    from abatis.show.beside import keep_rows, mark_basis
    from abatis.show.stock import compute_stock, tabulate_stock

    with ShowProgress() as progress:
        results = compute_stock(study, plan, depots, variant, progress)
    tables = tabulate_stock(results)
    keep_rows(study / "plans" / plan, "stock", mark_basis("stock", results.study, results.plan), tables)
    show_tables(tables, as_json)


@app.command("risk")
def risk(
    study: StudyFolder,
    plan: Annotated[str, typer.Option(metavar="NAME", help="plan that is drawn")] = "base",
    against: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="another plan, same draws; may be repeated")
    ] = None,
    draws: Annotated[int, typer.Option(metavar="N", help="number of draws")] = 1000,
    workers: Annotated[int, typer.Option(metavar="N", help="threads that draw, or workers of Dask")] = 1,
    cluster: Annotated[bool, typer.Option("--cluster", help="draw on a Dask cluster, a local one")] = False,
    scheduler: Annotated[
        str, typer.Option(metavar="ADDRESS", help="with --cluster: a scheduler that runs already")
    ] = "",
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

    plans = (plan, *(against or ()))
    settings = RiskSettings(plans, draws, workers, speeds, shape, sensitivity, seed, cluster, scheduler)
    with ShowProgress() as progress:
        tables = tabulate_risk(study, settings, progress)
    keep_beside(study, plan, "risk", tables)
    show_tables(tables, as_json)


@app.command("split")
def split(
    study: StudyFolder,
    plans: Annotated[
        str, typer.Option(metavar="A,B,...", help="plans to compare; the splits of splits.csv when left out")
    ] = "",
    draws: Annotated[int, typer.Option(metavar="N", help="number of draws")] = 300,
    workers: Annotated[int, typer.Option(metavar="N", help="threads that draw")] = 1,
    gap: Annotated[float, typer.Option(help="gap to prove for the works of a split, a share")] = 0.02,
    time_limit: Annotated[float, typer.Option(help="seconds for all splits together")] = 60.0,
    seed: Annotated[int | None, typer.Option(help="seed of the draws; the study's when left out")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare splits of the money (mines, ditches, sensors), or plans, under the same draws."""
    from abatis.show.report.split import write_split_page
    from abatis.show.split import SplitSettings, compare_splits

    named = tuple(one.strip() for one in plans.split(",") if one.strip())
    settings = SplitSettings(named, draws, workers, gap, time_limit, seed)
    with ShowProgress() as progress:
        tables = compare_splits(study, settings, progress)
        page = write_split_page(study, tables, settings)
    show_tables(tables, as_json)
    if not as_json:
        print_message(f"page: {page}")


@app.command("robust")
def robust(
    study: StudyFolder,
    plan: Annotated[str, typer.Option(metavar="NAME", help="plan to compare with")] = "base",
    budget: Annotated[
        float | None, typer.Option(metavar="EUR", help="budget; the planned budget lines when left out")
    ] = None,
    scenarios: Annotated[int, typer.Option(metavar="N", help="scenarios to choose on, and to test on")] = 40,
    worst_weight: Annotated[
        float, typer.Option(help="weight of the worst share against the mean, 0 to 1")
    ] = 0.5,
    worst_share: Annotated[float, typer.Option(help="share of the scenarios that is the worst")] = 0.1,
    gap: Annotated[float | None, typer.Option(help="gap to prove, a share; that of study.toml")] = None,
    time_limit: Annotated[float | None, typer.Option(help="seconds for all searches together")] = None,
    seed: Annotated[int | None, typer.Option(help="seed of the scenarios; the study's when left out")] = None,
    as_json: AsJson = False,
) -> None:
    """Choose works that are best on average and in the worst tenth of drawn scenarios, with a bound."""
    from abatis.show.robust import RobustAsked, seek_robust

    asked = RobustAsked(plan, budget, scenarios, worst_weight, worst_share, gap, time_limit, seed)
    with ShowProgress() as progress:
        tables = seek_robust(study, asked, progress)
    show_tables(tables, as_json)
