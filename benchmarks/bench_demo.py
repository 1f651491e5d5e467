"""How long does the demo take, and how much memory? `abatis demo` as its own process, in an empty folder."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

LIMIT_S, LIMIT_MIB = 60.0, 2048.0
COMMAND = "import sys; from abatis.show.cli import main; sys.exit(main())"


def run_command(folder: Path) -> tuple[float, float]:
    """Run the demo; return wall seconds and the peak memory of its process in MiB.

    Raises
    ------
    RuntimeError : the command failed; with the end of what it printed.
    """
    log = folder / "demo.log"
    start_s = time.perf_counter()
    with log.open("wb") as out:
        child = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "demo", str(folder / "lithuania")],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(child.pid, 0)
    wall_s = time.perf_counter() - start_s
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        tail = log.read_text(encoding="utf-8", errors="replace")[-1500:]
        raise RuntimeError(f"abatis demo ended with {child.returncode}: {tail}")
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return wall_s, usage.ru_maxrss / scale


def make_row(name: str, value: float, limit: float, unit: str, note: str) -> dict[str, Any]:
    """One line of the table: a value against its limit; there is no peer."""
    return {
        "name": name,
        "ours": round(value, 1),
        "peer": None,
        "ratio": round(value / limit, 3),
        "goal": f"ours <= {limit:g}",
        "unit": unit,
        "note": note,
    }


def run() -> list[dict[str, Any]]:
    """Run the demo twice in fresh folders: the first run may compile kernels, the second shows the rule."""
    rows = []
    for name, what in (("first", "kernels compiled where not yet cached"), ("demo", "kernels cached")):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        with tempfile.TemporaryDirectory() as temporary:
            wall_s, peak_mib = run_command(Path(temporary))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        note = f"abatis demo, fresh folder, {what}; {cpu_s:.0f} s of processor time, {os.cpu_count()} cores"
        if name == "first":
            print(f"{note}: {wall_s:.1f} s", file=sys.stderr)
            continue
        rows.append(make_row("demo_wall", wall_s, LIMIT_S, "s", note))
        rows.append(make_row("demo_memory", peak_mib, LIMIT_MIB, "MiB", note + "; peak of the process"))
    return rows


if __name__ == "__main__":
    for line in run():
        print(json.dumps(line))
