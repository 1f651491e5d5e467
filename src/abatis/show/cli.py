"""The command line of abatis: thin commands over the rooms below."""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

import abatis
from abatis.model.errors import AbatisError, Fault, InfeasibleError, InputError, nearest_word
from abatis.show.progress import ShowProgress
from abatis.show.tables import Column, Table, print_faults, print_json, print_message, show_tables

EXIT_FINE, EXIT_INPUT, EXIT_SIZE, EXIT_INTERRUPTED = 0, 1, 3, 130
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)

app = typer.Typer(
    help="Plan, check and monitor a national counter-mobility programme on open data.",
    epilog="Exit codes: 0 fine, 1 bad input, 2 no plan keeps the rules, 3 too large, 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)

StudyFolder = Annotated[Path, typer.Argument(metavar="STUDY", help="study folder")]
PlanFolder = Annotated[Path, typer.Argument(metavar="PLAN", help="plan folder, STUDY/plans/NAME")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON on standard output instead of tables")]


@app.callback(invoke_without_command=True)
def show_version(
    version: Annotated[bool, typer.Option("--version", help="print the version and end")] = False,
) -> None:
    """Plan, check and monitor a national counter-mobility programme on open data."""
    if version:
        sys.stdout.write(f"abatis {abatis.__version__}\n")
        raise typer.Exit


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
    """Check a study without building it: every fault, or the size and time to expect."""
    from abatis.ground.build import predict_size
    from abatis.model.study import read_study

    try:
        found = read_study(study)
        size = predict_size(found)
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
        table, path = validate_study(found, mesh, windows, progress)
    show_tables({"validation": table}, as_json)
    print_message(f"Written to {path}; abatis report shows it.")
    if strict:
        raise_missed(table, path)


@app.command("times")
def show_times(
    study: StudyFolder,
    approach: Annotated[str, typer.Option(help="key of one approach; all when left out")] = "",
    avenues: Annotated[int, typer.Option(min=0, max=20, help="how many separate avenues to show")] = 0,
    season: Annotated[str, typer.Option(help="move all approaches to dry, mud, frozen or thaw")] = "",
    tiles: Annotated[
        int | None,
        typer.Option(metavar="RESOLUTION", help="times once more, by H3 tiles kept in STUDY/tiles"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show arrival times of the approaches without barriers, and their avenues."""
    from abatis.show.times import change_season, tabulate_avenues, tabulate_limits, tabulate_times
    from abatis.show.workflow import load_study

    found, mesh = load_study(study)
    if approach:
        found.find_row("approaches", approach)
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
    show_tables(tables, as_json)


@app.command("line")
def show_line(study: StudyFolder, as_json: AsJson = False) -> None:
    """Show the cheapest closing line of every echelon."""
    from abatis.barrier.lines import find_echelon_lines
    from abatis.show.workflow import load_study

    found, mesh = load_study(study)
    with ShowProgress() as progress:
        progress("closing lines", 0.0)
        lines = find_echelon_lines(found, mesh)
        progress("closing lines", 1.0)
    rows = tuple(
        {
            "line": line.key,
            "name": line.name,
            "length_km": line.length_km,
            "closed_by_nature": line.closed_by_nature,
            "cost_eur": line.cost_eur,
        }
        for line in lines
    )
    columns = (
        Column("line", "key"),
        Column("name", "line"),
        Column("length_km", "length [km]", ",.1f"),
        Column("closed_by_nature", "closed by nature [share]", ".3f"),
        Column("cost_eur", "cost [EUR]", ",.0f"),
    )
    show_tables({"lines": Table("Cheapest closing lines", columns, rows)}, as_json)


@app.command("solve")
def solve(
    study: StudyFolder,
    name: Annotated[str, typer.Option(help="name of the plan")] = "base",
    budget: Annotated[
        float | None, typer.Option(metavar="EUR", help="budget; the planned budget lines when left out")
    ] = None,
    gap: Annotated[float | None, typer.Option(help="share at which the search stops")] = None,
    time_limit: Annotated[float | None, typer.Option(metavar="SECONDS", help="limit of the search")] = None,
    seed: Annotated[int | None, typer.Option(help="seed of the search")] = None,
    as_json: AsJson = False,
) -> None:
    """Choose the sites that buy the most hours within the budget, with a proven bound."""
    from abatis.show.workflow import choose_settings, load_study, solve_study

    found, mesh = load_study(study)
    settings = choose_settings(found, name, budget, gap, time_limit, seed)
    with ShowProgress() as progress:
        folder, results = solve_study(found, mesh, settings, progress, progress.set_note)
    _show_plan(folder, results.plan, as_json)


@app.command("why")
def why(
    plan: PlanFolder,
    site: Annotated[str, typer.Option(metavar="KEY", help="one chosen site, by label or key")] = "",
    alternatives: Annotated[int, typer.Option(min=0, max=20, help="how many other plans to look for")] = 3,
    loss: Annotated[float, typer.Option(min=0, max=1, help="share of the value they may lose")] = 0.02,
    time_limit: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="limit of all searches")] = 120,
    as_json: AsJson = False,
) -> None:
    """Say why each site of a plan is there, what could replace it, and which plans are nearly as good."""
    from abatis.show.explain import WhySettings, explain_plan

    settings = WhySettings(site, alternatives, loss, time_limit)
    with ShowProgress() as progress:
        tables = explain_plan(plan, settings, progress)
    show_tables(tables, as_json)


@app.command("curve")
def curve(
    study: StudyFolder,
    budgets: Annotated[
        str, typer.Option(metavar="EUR,EUR,...", help="budgets; 0 to 200 % of the planned one when left out")
    ] = "",
    land: Annotated[bool, typer.Option("--land", help="trace hours against land take as well")] = False,
    people: Annotated[bool, typer.Option("--people", help="trace hours against people near sites")] = False,
    gap: Annotated[float | None, typer.Option(help="share at which each search stops")] = None,
    time_limit: Annotated[float, typer.Option(metavar="SECONDS", help="limit of all searches")] = 300.0,
    seed: Annotated[int | None, typer.Option(help="seed of the searches")] = None,
    as_json: AsJson = False,
) -> None:
    """Trace the hours that every budget buys, with a bound, and what an extra million buys."""
    from abatis.show.explain import CurveSettings, read_budgets, trace_study

    settings = CurveSettings(read_budgets(budgets), land, people, gap, time_limit, seed)
    with ShowProgress() as progress:
        tables = trace_study(study, settings, progress)
    show_tables(tables, as_json)


@app.command("compare")
def compare(
    plan_a: Annotated[Path, typer.Argument(metavar="PLAN_A", help="plan folder")],
    plan_b: Annotated[Path, typer.Argument(metavar="PLAN_B", help="plan folder")],
    as_json: AsJson = False,
) -> None:
    """Compare two plans: what differs in results, choices and inputs."""
    from abatis.show.compare import compare_plans

    show_tables(compare_plans(plan_a, plan_b), as_json)


@app.command("report")
def report(plan: PlanFolder, as_json: AsJson = False) -> None:
    """Make the report and the GeoPackage of a plan anew."""
    from abatis.show.workflow import report_plan

    with ShowProgress() as progress:
        results = report_plan(plan, progress)
    _show_plan(plan, results.plan, as_json)


@app.command("verify")
def verify(plan: PlanFolder, as_json: AsJson = False) -> None:
    """Check a plan and its bound again, without the solver."""
    from abatis.barrier.planning import verify_plan

    with ShowProgress() as progress:
        progress("checking the certificate", 0.0)
        verdict = verify_plan(plan)
        progress("checking the certificate", 1.0)
    row = {
        "plan": str(plan),
        "holds": not verdict.reasons,
        "paths": verdict.paths,
        "leaves": verdict.leaves,
        "reasons": list(verdict.reasons),
    }
    columns = (
        Column("plan", "plan"),
        Column("holds", "holds"),
        Column("paths", "paths checked", ",.0f"),
        Column("leaves", "leaves checked", ",.0f"),
    )
    show_tables({"verify": Table("Certificate", columns, (row,))}, as_json)
    if verdict.reasons:
        raise InputError(
            [
                Fault(f"does not hold: {reason}", str(plan), remedy="solve the study again")
                for reason in verdict.reasons
            ]
        )


@app.command("interdict")
def interdict(
    arcs: Annotated[Path, typer.Argument(metavar="ARCS", help="CSV file: tail,head,cost,delay,resource")],
    source: Annotated[str, typer.Option(metavar="NODE", help="node the traveller starts from")],
    sink: Annotated[str, typer.Option(metavar="NODE", help="node the traveller wants to reach")],
    budget: Annotated[
        float | None, typer.Option(metavar="UNITS", help="resource that may be used up; needed to solve")
    ] = None,
    time_limit: Annotated[float, typer.Option(metavar="SECONDS", help="limit of the search")] = 60.0,
    gap: Annotated[float, typer.Option(help="share at which the search stops")] = 0.0,
    seed: Annotated[int, typer.Option(help="seed of the search")] = 1,
    certificate: Annotated[Path | None, typer.Option(metavar="FILE", help="where to write the proof")] = None,
    check: Annotated[
        Path | None, typer.Option(metavar="FILE", help="check this proof again instead of solving")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Solve a textbook instance: which arcs to delay so that the shortest way becomes longest.

    With --check FILE nothing is solved: the proof in FILE is checked again, without the solver.
    """
    if check is not None:
        _check_interdiction(arcs, source, sink, budget, check, as_json)
        return
    if budget is None:
        raise InputError([Fault("is missing", column="--budget", remedy="say how much may be used up")])
    from abatis.show.interdict import (
        InterdictSettings,
        describe_interdiction,
        interdict_arcs,
        tabulate_interdiction,
    )

    settings = InterdictSettings(source, sink, budget, time_limit, gap, seed)
    with ShowProgress() as progress:

        def report(value: float, bound: float, seconds: float) -> None:
            progress("search", min(seconds / time_limit, 1.0) if time_limit > 0 else 1.0)
            progress.set_note(f"value {value:g}, at most {bound:g}")

        answer = interdict_arcs(arcs, settings, certificate, report)
    if as_json:
        print_json(describe_interdiction(answer))
    else:
        show_tables(tabulate_interdiction(answer), as_json)
    if answer.reasons:
        raise AbatisError("The certificate does not hold: " + "; ".join(answer.reasons))


def _check_interdiction(
    arcs: Path, source: str, sink: str, budget: float | None, certificate: Path, as_json: bool
) -> None:
    from abatis.show.interdict import check_interdiction

    answer = check_interdiction(arcs, source, sink, budget, certificate)
    columns = (
        Column("certificate", "certificate"),
        Column("holds", "holds"),
        Column("value", "value", ",.12g"),
        Column("bound", "no plan is worth more than", ",.12g"),
        Column("paths", "paths checked", ",.0f"),
        Column("leaves", "leaves checked", ",.0f"),
    )
    if as_json:
        print_json(answer)
    else:
        show_tables({"check": Table("Certificate", columns, (answer,))}, as_json)
    if not answer["holds"]:
        raise InputError(
            [
                Fault(f"does not hold: {reason}", str(certificate), remedy="solve again")
                for reason in answer["reasons"]
            ]
        )


@app.command("demo")
def demo(
    folder: Annotated[Path, typer.Argument(metavar="[FOLDER]", help="where the study is written")] = Path(
        "demo/lithuania"
    ),
    as_json: AsJson = False,
) -> None:
    """Run the whole chain on the schematic example of Lithuania."""
    from abatis.show.demo import run_demo

    with ShowProgress() as progress:
        plan_folder, results = run_demo(folder, progress, progress.set_note)
    _show_plan(plan_folder, results.plan, as_json)


def _show_plan(folder: Path, plan: Any, as_json: bool) -> None:
    from abatis.show.workflow import PLAN_FILES, describe_plan

    answer = Table(
        f"Plan {plan.name}: {plan.title}",
        (Column("what", "what"), Column("value", "value", ",.12g"), Column("unit", "unit")),
        tuple(describe_plan(plan)),
    )
    files = Table("Files", (Column("file", ""),), tuple({"file": str(folder / name)} for name in PLAN_FILES))
    if as_json:
        show_tables({"answer": answer, "files": files}, as_json)
        return
    shown = Table(
        answer.title,
        (Column("what", "what"), Column("shown", "value", "s"), Column("unit", "unit")),
        answer.rows,
    )
    show_tables({"files": files, "answer": shown}, as_json)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; user errors end in words, never in a traceback.

    Parameters
    ----------
    arguments : words after the program's name; those of the process when not given.
    """
    try:
        app(args=list(arguments) if arguments is not None else None, prog_name="abatis")
    except SystemExit as end:
        return _translate_exit(end.code)
    except InfeasibleError as error:
        print_message(str(error), "bold red")
        for rule in error.rules:
            print_message(f"  rule: {rule}")
        return error.exit_code
    except InputError as error:
        print_faults(error.faults)
        return error.exit_code
    except AbatisError as error:
        print_message(str(error), "bold red")
        return error.exit_code
    except KeyboardInterrupt as stopped:
        if stopped.args:
            print_message(f"Stopped: {stopped}", "bold yellow")
        return _translate_exit(EXIT_INTERRUPTED)
    except MemoryError:
        print_message(
            "Not enough memory: lower resolution or strip_km, or raise pixel_m, in study.toml.", "bold red"
        )
        return EXIT_SIZE
    except BrokenPipeError:
        return EXIT_INPUT
    except OSError as error:
        print_message(describe_system_error(error), "bold red")
        return EXIT_INPUT
    return EXIT_FINE


def _translate_exit(code: object) -> int:
    if code == EXIT_INTERRUPTED:
        print_message("Interrupted; what was finished before stays as it was.", "yellow")
        return EXIT_INTERRUPTED
    if code is None or code == EXIT_FINE:
        return EXIT_FINE
    # A wrong option or command is bad input; code 2 is kept for plans that cannot be.
    return EXIT_INPUT


def describe_system_error(error: OSError) -> str:
    """Say in one line what the system refused.

    Examples
    --------
    >>> describe_system_error(OSError(errno.ENOSPC, "No space left on device", "plan.gpkg"))
    'The disk is full (plan.gpkg): free some space; earlier results were kept.'
    """
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in FULL_DISK:
        return f"The disk is full{where}: free some space; earlier results were kept."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"No right to read or write{where}: check the rights of the folder."
    return f"The system refused{where}: {(error.strerror or str(error)).lower()}."


if __name__ == "__main__":
    sys.exit(main())
