"""Commands of people, land, law and clearance."""

from __future__ import annotations

from typing import Annotated

import typer

from abatis.show.commands.arguments import AsJson, StudyFolder
from abatis.show.tables import show_tables

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
    from abatis.show.law import describe_law, read_day

    show_tables(describe_law(study, read_day(date), tuple(state or ())), as_json)
