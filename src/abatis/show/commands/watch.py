"""Commands of the watch: what posts see."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from abatis.show.commands.arguments import AsJson, StudyFolder
from abatis.show.progress import ShowProgress
from abatis.show.tables import print_message, show_tables

app = typer.Typer()


@app.command("sight")
def show_sight(
    raster: Annotated[
        Path, typer.Argument(metavar="RASTER", help="elevation in metres, projected in metres")
    ],
    observer_height: Annotated[float, typer.Option(metavar="M", help="eye above ground")],
    target_height: Annotated[float, typer.Option(metavar="M", help="target above ground")],
    out: Annotated[
        Path, typer.Option(metavar="FILE.tif", help="result: 255 seen, 0 not, nodata not looked at")
    ],
    x: Annotated[float | None, typer.Option(metavar="M", help="post, east on the raster's map")] = None,
    y: Annotated[float | None, typer.Option(metavar="M", help="post, north on the raster's map")] = None,
    posts: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="many posts, columns x and y: count who sees what")
    ] = None,
    reach: Annotated[
        float | None, typer.Option("--range", metavar="M", help="range; to the raster's edge when left out")
    ] = None,
    refraction: Annotated[
        float, typer.Option(metavar="K", help="share of the Earth's curvature taken back by refraction")
    ] = 1.0 / 7.0,
    sector: Annotated[
        tuple[float, float], typer.Option(metavar="FROM TO", help="degrees clockwise from grid north")
    ] = (0.0, 360.0),
    cover: Annotated[
        Path | None, typer.Option(metavar="RASTER", help="height of trees and buildings on the same grid")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write what a post sees on an elevation raster, or how many of many posts see each place."""
    from abatis.show.sight import SightSettings, map_sight
    from abatis.watch.sight import View

    view = View(target_height, math.inf if reach is None else reach, refraction, *sector)
    with ShowProgress() as progress:
        settings = SightSettings(raster, out, observer_height, view, x, y, posts, cover)
        table = map_sight(settings, progress)
    show_tables({"sight": table}, as_json)
    print_message(f"Written to {out}.")


@app.command("watch")
def watch(
    study: StudyFolder,
    budget: Annotated[
        float | None, typer.Option(metavar="EUR", help="money; the budget line surveillance when left out")
    ] = None,
    plan: Annotated[str, typer.Option(metavar="NAME", help="plan whose delays the warning counts")] = "",
    target: Annotated[str, typer.Option(help="person, vehicle or low_air")] = "vehicle",
    backup: Annotated[bool, typer.Option("--backup", help="a place counts when two sensors see it")] = False,
    joint_budget: Annotated[
        float | None, typer.Option(metavar="EUR", help="choose posts and barrier sites with this money too")
    ] = None,
    report: Annotated[bool, typer.Option("--report", help="write the page watch/report.html too")] = False,
    as_json: AsJson = False,
) -> None:
    """Choose posts to build and renew, and show what they see, how early, and what stays hidden."""
    from abatis.show.watch import WatchSettings
    from abatis.show.watch_answer import answer_watch, list_outdated_plans, tabulate_all
    from abatis.show.watch_export import write_watch
    from abatis.show.workflow import load_study

    found, mesh = load_study(study)
    settings = WatchSettings(target, budget, 2 if backup else 1, plan)
    with ShowProgress() as progress:
        answer = answer_watch(found, mesh, settings, joint_budget, progress)
        tables = tabulate_all(answer)
        folder = write_watch(answer, tables, report, progress)
    show_tables(tables, as_json)
    print_message(f"Written to {folder}.")
    for name in list_outdated_plans(found):
        print_message(f"Plan {name} was made before this watch result: solve again (abatis solve).", "yellow")


@app.command("notice")
def show_notices(
    study: StudyFolder,
    file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="notices in a .csv or .geojson; tables/notices.csv when left out"),
    ] = None,
    notice: Annotated[str, typer.Option(metavar="KEY", help="show this notice only")] = "",
    near: Annotated[
        float, typer.Option(metavar="KM", min=0, max=500, help="list facilities this near to the area too")
    ] = 10.0,
    as_json: AsJson = False,
) -> None:
    """Say what civil life an emission notice touches: airports, ports, hospitals, farms, people; overlaps."""
    from abatis.show.notices import describe_notices

    with ShowProgress() as progress:
        tables = describe_notices(study, progress, file, notice, near)
    show_tables(tables, as_json)
