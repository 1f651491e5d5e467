"""Command of the one-file page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from abatis.show.commands.arguments import AsJson, StudyFolder
from abatis.show.progress import ShowProgress
from abatis.show.tables import print_json, print_message

app = typer.Typer()


@app.command("page")
def page(
    study: StudyFolder,
    write: Annotated[Path, typer.Option(metavar="FILE", help="HTML file to write")],
    plan: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="plan to show; may be repeated; all when left out"),
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="only what the public may see")] = False,
    why: Annotated[
        bool, typer.Option("--why", help="also why each site is chosen; a second for each")
    ] = False,
    people: Annotated[
        bool, typer.Option("--people", help="also the civil account of each plan; half a minute for each")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write the page with all its answers as one HTML file that opens without a server."""
    from abatis.show.app.single_page import PageSettings, write_page

    with ShowProgress() as progress:
        found = write_page(study, write, PageSettings(tuple(plan or ()), public, why, people), progress)
    if as_json:
        print_json(found)
        return
    view = "what the public may see" if public else "everything a viewer sees: keep it as the study itself"
    print_message(f"{write}: {found['bytes'] / 1e6:.1f} MB, {found['answers']} answers; it shows {view}.")
