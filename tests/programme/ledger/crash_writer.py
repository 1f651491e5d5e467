"""Imports files in children that are forked and killed; run as a program by the test of crashes.

For each line `first rows wanted share` on standard input a child is forked, which imports file after file
and says what is acknowledged. It is killed after `wanted` acknowledgements and a share of the time that one
import takes. Forking keeps it fast: the libraries are loaded once.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import alembic.command
import alembic.config

import abatis.people.hazards
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


def follow_child(child: int, told: int, wanted: int, share: float, usual_s: float) -> tuple[str, float]:
    """Wait, kill, and return all that was told and how long one import took."""
    began, said = time.monotonic(), b""
    while said.count(b"\n") < wanted:
        said += os.read(told, 4096)
    taken_s = (time.monotonic() - began) / wanted if wanted else usual_s
    time.sleep(share * taken_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while more := os.read(told, 4096):
        said += more
    os.close(told)
    return said.decode(), taken_s


def main() -> None:
    """Read moments, fork, kill, and print what the children acknowledged."""
    folder = Path(sys.argv[1])
    # Loaded here and not in each child: what the first import and the first record ask for.
    assert alembic.command and alembic.config and abatis.people.hazards
    usual_s = 0.1
    for line in sys.stdin:
        first, rows, wanted, share = line.split()
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            import_files(folder, int(first), int(rows), writer)
            os._exit(0)
        os.close(writer)
        said, usual_s = follow_child(child, reader, int(wanted), float(share), usual_s)
        # A line cut by the kill was never acknowledged.
        print(";".join(said.split("\n")[:-1]), flush=True)


if __name__ == "__main__":
    main()
