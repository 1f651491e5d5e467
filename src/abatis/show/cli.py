"""The command line of abatis: thin commands over the rooms below."""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

import abatis
from abatis.model.errors import AbatisError, InfeasibleError, InputError, is_interrupt
from abatis.show.commands import export, ground, ledger, page, people, plan, programme, serve, watch
from abatis.show.tables import print_faults, print_message

EXIT_FINE, EXIT_INPUT, EXIT_SIZE, EXIT_INTERRUPTED = 0, 1, 3, 130
# Whoever reads has read enough: what the shell itself says of a program that a closed pipe ends.
EXIT_PIPE = 141
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)

app = typer.Typer(
    help="Plan, check and monitor a national counter-mobility programme on open data.",
    epilog="Exit codes: 0 fine, 1 bad input, 2 no plan keeps the rules, 3 too large, 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)

for commands in (ground, plan, people, programme, watch, ledger, export, serve, page):
    app.add_typer(commands.app)


@app.callback(invoke_without_command=True)
def show_version(
    version: Annotated[bool, typer.Option("--version", help="print the version and end")] = False,
) -> None:
    """Plan, check and monitor a national counter-mobility programme on open data."""
    if version:
        sys.stdout.write(f"abatis {abatis.__version__}\n")
        raise typer.Exit


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; user errors end in words, never in a traceback.

    Parameters
    ----------
    arguments : words after the program's name; those of the process when not given.
    """
    try:
        app(args=list(arguments) if arguments is not None else None, prog_name="abatis")
    except SystemExit as end:
        if _find_reason(end, BrokenPipeError):
            return EXIT_PIPE
        return _translate_exit(end.code, str(_find_reason(end, KeyboardInterrupt) or ""))
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
        return _translate_exit(EXIT_INTERRUPTED, str(stopped))
    except SystemError as error:
        if not is_interrupt(error):
            raise
        return _translate_exit(EXIT_INTERRUPTED)
    except MemoryError:
        print_message(
            "Not enough memory: lower resolution or strip_km, or raise pixel_m, in study.toml.", "bold red"
        )
        return EXIT_SIZE
    except BrokenPipeError:
        return EXIT_PIPE
    except OSError as error:
        print_message(describe_system_error(error), "bold red")
        return EXIT_INPUT
    return EXIT_FINE


def _find_reason(end: BaseException, kind: type[BaseException]) -> BaseException | None:
    """Find what typer turned into an exit code; None where it was no error of that kind."""
    reason: BaseException | None = end
    while reason is not None and not isinstance(reason, kind):
        reason = reason.__cause__ or reason.__context__
    return reason


def _translate_exit(code: object, words: str = "") -> int:
    if code == EXIT_INTERRUPTED:
        if words:
            print_message(f"Stopped: {words}", "bold yellow")
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
