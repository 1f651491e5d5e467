"""Commands of the ledger: import, show, export, status, verify."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from abatis.show.commands.arguments import AsJson
from abatis.show.tables import print_json, print_message, show_tables

app = typer.Typer()
group = typer.Typer(
    help="Record what really happened and compare it with the plan.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(group, name="ledger")

Study = Annotated[Path, typer.Option("--study", metavar="STUDY", help="study folder")]
Kind = Annotated[str, typer.Option(metavar="KIND", help="only this kind: budget, contract, delivery ...")]
HERE = Path()


@group.command("import")
def import_file(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help=".csv or .xlsx file with records, or a folder of .csv")
    ],
    study: Study = HERE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="check everything and record nothing")] = False,
    author: Annotated[
        str, typer.Option(metavar="NAME", help="office that records; the user of this machine when left out")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Record the rows of a file, all or none; rows that stand already are told and left out."""
    from abatis.programme.ledger.importing import import_records
    from abatis.programme.ledger.store import open_ledger
    from abatis.show.ledger import tabulate_import

    with open_ledger(study) as ledger:
        report = import_records(ledger, file, author or getpass.getuser(), dry_run)
        tables = tabulate_import(report, ledger.read_head())
    shown = {name: table for name, table in tables.items() if table.rows or as_json}
    show_tables(shown, as_json)


@group.command("show")
def show_records(
    study: Study = HERE,
    kind: Kind = "",
    key: Annotated[str, typer.Option(metavar="KEY", help="only records about this thing")] = "",
    seq: Annotated[
        int | None, typer.Option("--record", metavar="N", min=1, help="one record with all it says")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="corrected and withdrawn records too")] = False,
    last: Annotated[int, typer.Option(metavar="N", min=1, help="at most so many, the latest")] = 100,
    as_json: AsJson = False,
) -> None:
    """List records, or show one."""
    from abatis.programme.ledger.store import open_ledger
    from abatis.show.ledger import list_records, require_ledger, show_record

    with open_ledger(study) as ledger:
        require_ledger(ledger)
        if seq is not None:
            table = show_record(ledger, seq)
        else:
            table = list_records(ledger, kind, key, everything, last)
    show_tables({"records": table}, as_json)


@group.command("export")
def export_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=".csv, .xlsx or .jsonl file to write")],
    study: Study = HERE,
    kind: Kind = "",
    current: Annotated[
        bool, typer.Option("--current", help="leave out what was corrected or withdrawn")
    ] = False,
    public: Annotated[bool, typer.Option("--public", help="only what the public may see")] = False,
) -> None:
    """Write the records into a file that can be imported again; .jsonl holds the hashes too."""
    from abatis.programme.ledger.store import open_ledger
    from abatis.show.ledger import check_kind, count_records, export_records, require_ledger

    with open_ledger(study) as ledger:
        require_ledger(ledger)
        count = export_records(ledger, file, check_kind(kind), current, public)
    print_message(f"{count_records(count)}: {file}")


@group.command("status")
def show_status(
    study: Study = HERE,
    date: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="the day; today when left out")] = "",
    plan: Annotated[
        str, typer.Option(metavar="NAME", help="plan whose schedule actuals are held against")
    ] = "base",
    public: Annotated[bool, typer.Option("--public", help="as the public may see it")] = False,
    as_json: AsJson = False,
) -> None:
    """Hold the plan against what happened: money, earned value, delays, disclosure, renewals, alerts."""
    from abatis.programme.ledger.store import open_ledger
    from abatis.show.law import read_day
    from abatis.show.ledger_status import assess, tabulate_status

    with open_ledger(study) as ledger:
        status = assess(ledger, study, read_day(date), plan, public)
    if as_json:
        print_json(status.describe())
    else:
        show_tables(tabulate_status(status), as_json)


@group.command("verify")
def verify(
    study: Study = HERE,
    head: Annotated[
        str, typer.Option(metavar="NUMBER:HASH", help="a head that was kept; it must still stand")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Check the chain of hashes; ends with exit code 1 when anything was changed."""
    from abatis.programme.ledger.store import open_ledger
    from abatis.show.ledger import read_kept_head, require_ledger, tabulate_verification

    kept = read_kept_head(head)
    with open_ledger(study) as ledger:
        require_ledger(ledger)
        report = ledger.verify(kept)
    show_tables(tabulate_verification(report), as_json)
    if not report.sound:
        print_message("The ledger was tampered with: see the problems above.", "bold red")
        raise typer.Exit(1)
