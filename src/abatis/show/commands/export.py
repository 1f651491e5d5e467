"""The command that hands a plan to other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from abatis.show.commands.arguments import AsJson, PlanFolder
from abatis.show.progress import ShowProgress
from abatis.show.tables import show_tables

app = typer.Typer()


@app.command("export")
def export(
    plan: PlanFolder,
    formats: Annotated[
        str,
        typer.Option("--format", metavar="NAME,...", help="gpkg, geoparquet, geojson, kml, nvg, xlsx"),
    ],
    write: Annotated[Path, typer.Option(metavar="FOLDER", help="folder to write, whole or not at all")],
    public: Annotated[bool, typer.Option("--public", help="only what the public may see")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a plan in formats that other programs read: maps, tables, overlays."""
    from abatis.show.interchange.exporting import check_target, export_plan, read_formats

    wanted = read_formats(formats, public)
    check_target(write)
    with ShowProgress() as progress:
        table = export_plan(plan, wanted, write, public, progress)
    show_tables({"files": table}, as_json)
