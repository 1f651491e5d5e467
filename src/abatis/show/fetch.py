"""Fetch open data from the command line: what would come, the question before, and what came."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import typer

from abatis.ground.fetching.download import Manners
from abatis.ground.fetching.run import FetchResult, FetchWork, fetch_study, list_work
from abatis.model.errors import Fault, InputError
from abatis.model.study import read_study_to_fetch
from abatis.show.progress import ShowProgress
from abatis.show.tables import Column, Table, print_message, print_table

FILE_COLUMNS = (
    Column("layer", "layer"),
    Column("file", "file"),
    Column("size_mb", "size [MB]", ",.0f"),
    Column("there", "here already"),
    Column("host", "from"),
)
LAYER_COLUMNS = (
    Column("layer", "layer"),
    Column("title", "title"),
    Column("files", "files", ",.0f"),
    Column("missing", "to fetch", ",.0f"),
    Column("size_mb", "size [MB]", ",.0f"),
    Column("licence", "licence"),
    Column("tag", "tag"),
)


def list_fetch(folder: Path, layers: tuple[str, ...], mirror: str | None) -> dict[str, Table]:
    """List what a fetch would get, without any connection."""
    return tabulate_work(list_work(folder, layers, mirror))


def fetch_layers(
    folder: Path, layers: tuple[str, ...], mirror: str | None, speed_mb_s: float | None, yes: bool
) -> dict[str, Table]:
    """Get the open data of a study, after a question unless `yes`.

    Raises
    ------
    InputError : faults of the study, of the connection and of single files; no terminal to ask on.
    """
    speed = read_study_to_fetch(folder).fetch_speed_mb_s if speed_mb_s is None else speed_mb_s
    with ShowProgress() as progress:

        def confirm(work: FetchWork) -> bool:
            if yes:
                print_message(describe_work(work))
                return True
            return _ask(work)

        result = fetch_study(
            folder, layers, confirm, progress, progress.set_note, mirror, replace(Manners(), speed_mb_s=speed)
        )
    return tabulate_result(result)


def describe_work(work: FetchWork) -> str:
    """Say in a line how many files and megabytes will come."""
    count = len(work.missing)
    files = "1 file" if count == 1 else f"{count} files"
    kept = f", {work.part_mb:,.0f} MB are here from before" if work.part_mb >= 1 else ""
    return f"{files}, about {work.size_mb:,.0f} MB to fetch{kept}."


def tabulate_work(work: FetchWork) -> dict[str, Table]:
    """Layers and files of a plan with sizes and licences, and what is to be got by hand."""
    missing, absent = set(work.missing), set(work.absent)
    layers = []
    for layer in dict.fromkeys(file.layer for file in work.plan.files):
        own = [file for file in work.plan.files if file.layer == layer]
        layers.append(
            {
                "layer": layer.layer,
                "title": layer.title,
                "files": len(own),
                "missing": sum(file in missing for file in own),
                "size_mb": sum(file.size_mb for file in own if file in missing),
                "licence": layer.licence,
                "tag": layer.tag,
            }
        )
    files = tuple(
        {
            "layer": file.layer.layer,
            "file": file.name,
            "size_mb": file.size_mb,
            "there": "not at the publisher" if file in absent else file not in missing,
            "host": file.host,
            "address": file.address,
        }
        for file in work.plan.files
    )
    by_hand = tuple({"text": f"{one.title}: {one.address} (needs a login)"} for one in work.plan.by_hand)
    notes = (*by_hand, *({"text": text} for text in work.plan.notes))
    return {
        "files": Table("Files", FILE_COLUMNS, files),
        "layers": Table(
            "Layers", LAYER_COLUMNS, tuple(layers), describe_work(work) + " Sizes are usual ones."
        ),
        "notes": Table("To know", (Column("text", ""),), notes),
    }


def tabulate_result(result: FetchResult) -> dict[str, Table]:
    """What came, what was here, what the publisher does not have, and what to know."""
    rows = [
        *({"file": name, "what": "fetched"} for name in result.fetched),
        *({"file": name, "what": "was here already"} for name in result.present),
        *({"file": name, "what": "not there: no such tile, as over sea"} for name in result.absent),
        *({"file": name, "what": "not there, as an earlier run found"} for name in result.known_absent),
        *(
            {"file": name, "what": "here, but not on the study's ground: not listed"}
            for name in result.beside
        ),
    ]
    note = f"{len(result.fetched)} fetched, {result.bytes / 1e6:,.1f} MB; listed in sources/sources.csv"
    tables = {"files": Table("Files", (Column("file", "file"), Column("what", "")), tuple(rows), note)}
    texts = tuple({"text": text} for text in (*result.by_hand, *result.notes))
    tables["notes"] = Table("To know", (Column("text", ""),), texts)
    return tables


def _ask(work: FetchWork) -> bool:
    if not sys.stdin.isatty():
        raise InputError(
            [
                Fault(
                    f"{describe_work(work)[:-1]}, and there is no terminal to ask on",
                    column="--yes",
                    remedy="give --yes to go on, or --dry-run to see the list",
                )
            ]
        )
    print_table(tabulate_work(work)["layers"])
    return typer.confirm("Fetch them?", err=True)
