"""Imports files in children that are forked and killed; run as a program by the test of crashes.

For each moment given on standard input a child is forked, which says what is acknowledged, and killed after so
many seconds. Forking keeps it fast: the libraries are loaded once.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from abatis.programme.ledger.importing import import_records
from abatis.programme.ledger.store import open_ledger


def write_file(folder: Path, number: int, rows: int) -> Path:
    """A file of budgets that no other file holds."""
    path = folder / f"budget_{number}.csv"
    lines = ["key,on,country,line,stage,amount_eur,source,tag"]
    lines += [f"k{number}_{row},2026,LT,total,planned,{row},made up,G" for row in range(rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def import_files(folder: Path, first: int, rows: int, told: int) -> None:
    """Import file after file; after each, tell its number and its last record, as the command line would."""
    with open_ledger(folder / "ledger.sqlite") as ledger:
        for number in range(first, first + 1000):
            report = import_records(ledger, write_file(folder, number, rows), "audit")
            last = report.added[-1]
            os.write(told, f"{number} {last.seq} {last.hash}\n".encode())


def main() -> None:
    """Read `first rows seconds` from each line, fork, kill, and print what the child acknowledged."""
    folder = Path(sys.argv[1])
    for line in sys.stdin:
        first, rows, seconds = line.split()
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            import_files(folder, int(first), int(rows), writer)
            os._exit(0)
        os.close(writer)
        time.sleep(float(seconds))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with os.fdopen(reader) as told:
            said = told.read().split("\n")
        # A line cut by the kill was never acknowledged.
        print(";".join(said[:-1]), flush=True)


if __name__ == "__main__":
    main()
