"""Commands of the barrier: lines, plans, their proof and what stands around them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from abatis.model.errors import AbatisError, Fault, InputError, nearest_word
from abatis.show.commands.arguments import AsJson, PlanFolder, StudyFolder
from abatis.show.progress import ShowProgress
from abatis.show.tables import Column, Table, print_json, print_message, show_tables

if TYPE_CHECKING:
    from abatis.show.results import Results

app = typer.Typer()


@app.command("line")
def show_line(
    study: StudyFolder,
    check: Annotated[
        Path | None, typer.Option(metavar="FILE", help="say whether the line drawn in FILE closes")
    ] = None,
    layer: Annotated[str, typer.Option(metavar="NAME", help="layer of that file, when it has several")] = "",
    echelons: Annotated[
        str,
        typer.Option(metavar="KM/KM/...", help="outer limits or a preset: 5-20-50, 3-20-50, widths-5-15-30"),
    ] = "",
    write: Annotated[
        Path | None, typer.Option(metavar="FILE", help="write the lines (.geojson or .gpkg)")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the cheapest closing line of every echelon, its works and hours; or check a drawn line."""
    from abatis.model.study import read_study
    from abatis.show.line import check_drawn_line, describe_check, describe_lines
    from abatis.show.placeholders import add_placeholders

    with ShowProgress() as progress:
        if check is None:
            tables = describe_lines(study, echelons, write, progress)
        else:
            found, tables = check_drawn_line(study, check, layer, progress)
    if check is not None and as_json:
        print_json(describe_check(found, tables["leaks"]))
        return
    show_tables(add_placeholders(tables, read_study(study)), as_json)


@app.command("joint")
def joint(
    countries: Annotated[
        list[Path], typer.Argument(metavar="STUDY|EXPORT...", help="study folders, exports")
    ],
    export: Annotated[
        Path | None, typer.Option(metavar="FILE", help="write what neighbours need of one study, no more")
    ] = None,
    map_file: Annotated[Path | None, typer.Option("--map", metavar="FILE", help="write a map (PNG)")] = None,
    geopackage: Annotated[
        Path | None, typer.Option(metavar="FILE", help="write lines, seams and joint points")
    ] = None,
    depth: Annotated[
        float | None, typer.Option(metavar="KM", min=0, help="ground this far in is protected; last echelon")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find the joint line of two or more countries: joint points, seams, saving and fair shares."""
    from abatis.show.joint import JointOutput, show_joint

    show_joint(countries, JointOutput(export, map_file, geopackage), depth, as_json)


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
    _show_plan(folder, results, as_json)


def _show_plan(folder: Path, results: Results, as_json: bool) -> None:
    from abatis.show.placeholders import add_placeholders
    from abatis.show.workflow import describe_plan, list_plan_files

    plan = results.plan
    answer = Table(
        f"Plan {plan.name}: {plan.title}",
        (Column("what", "what"), Column("value", "value", ",.12g"), Column("unit", "unit")),
        tuple(describe_plan(plan)),
    )
    files = Table(
        "Files", (Column("file", ""),), tuple({"file": str(one)} for one in list_plan_files(folder))
    )
    if as_json:
        show_tables(add_placeholders({"answer": answer, "files": files}, results.study), as_json)
        return
    shown = Table(
        answer.title,
        (Column("what", "what"), Column("shown", "value", "s"), Column("unit", "unit")),
        answer.rows,
    )
    show_tables(add_placeholders({"files": files, "answer": shown}, results.study), as_json)


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
    from abatis.barrier.planning import find_study_folder
    from abatis.model.study import read_study
    from abatis.show.explain import WhySettings, explain_plan
    from abatis.show.placeholders import add_placeholders

    settings = WhySettings(site, alternatives, loss, time_limit)
    with ShowProgress() as progress:
        tables = explain_plan(plan, settings, progress)
    show_tables(add_placeholders(tables, read_study(find_study_folder(plan))), as_json)


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
    from abatis.model.study import read_study
    from abatis.show.explain import CurveSettings, read_budgets, trace_study
    from abatis.show.placeholders import add_placeholders

    settings = CurveSettings(read_budgets(budgets), land, people, gap, time_limit, seed)
    with ShowProgress() as progress:
        tables = trace_study(study, settings, progress)
    show_tables(add_placeholders(tables, read_study(study)), as_json)


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
    _show_plan(plan, results, as_json)


@app.command("verify")
def verify(plan: PlanFolder, as_json: AsJson = False) -> None:
    """Check a plan and its bound again, without the solver."""
    from abatis.people.access_plan import verify_ruled_plan

    with ShowProgress() as progress:
        progress("checking the certificate", 0.0)
        verdict = verify_ruled_plan(plan)
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
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="where it is written; demo/CASE when left out")
    ] = None,
    case: Annotated[str, typer.Option(help="lithuania: a plan; baltic: the joint line")] = "lithuania",
    as_json: AsJson = False,
) -> None:
    """Run a whole case on schematic examples: a plan for Lithuania, or the joint line of four countries."""
    from abatis.show.demo import run_demo, run_joint_demo
    from abatis.show.joint import describe_joint, tabulate_joint

    cases = ("lithuania", "baltic")
    if case not in cases:
        fault = Fault(f"there is no case '{case}'", column="--case", remedy=nearest_word(case, cases))
        raise InputError([fault])
    folder = folder or Path("demo") / case
    with ShowProgress() as progress:
        if case == "baltic":
            page, answer = run_joint_demo(folder, progress)
        else:
            plan_folder, results = run_demo(folder, progress, progress.set_note)
    if case == "lithuania":
        _show_plan(plan_folder, results, as_json)
    elif as_json:
        print_json(describe_joint(answer))
    else:
        show_tables(tabulate_joint(answer), as_json)
        print_message(f"Report: {page}", "green")
