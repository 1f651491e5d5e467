"""Run the benchmarks: one JSON line for each row, then the table.

A benchmark is a file ``bench_NAME.py`` in this folder with a function ``run() -> list[dict]``. Each row has

* ``name``: what is compared;
* ``ours``, ``peer``: the two measured numbers, both from this run, or None where there is no peer;
* ``ratio``: the number that the goal speaks of, for example ``peer / ours``;
* ``goal``: the goal in words, for example ``"ratio >= 2"``;
* ``unit``: unit of ``ours`` and ``peer``;
* ``note``: what was run, on which input, with which settings of the peer.

``python benchmarks/run.py NAME`` runs the files whose name holds NAME. The exit code is 1 if a benchmark
raised or returned a malformed row, or if no file matches; a missed goal is a number to report, not an error.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
COLUMNS = ("name", "ours", "peer", "ratio", "goal", "unit", "note")
GOAL = re.compile(r"^(ours|ratio)\s*(<=|>=|<|>)\s*(-?\d+(?:\.\d+)?)\b")


def find_benchmarks(name: str, folder: Path = HERE) -> list[Path]:
    """List the benchmark files whose name holds `name`, in order; an empty `name` lists all."""
    return [path for path in sorted(folder.glob("bench_*.py")) if name in path.stem.removeprefix("bench_")]


def check_row(row: dict[str, Any], file: str) -> dict[str, Any]:
    """Return the row with its columns in order, or raise ValueError if one is missing or unknown."""
    missing = [column for column in COLUMNS if column not in row]
    unknown = [column for column in row if column not in COLUMNS]
    if missing or unknown:
        raise ValueError(
            f"{file}: a row lacks {missing} and has unknown {unknown}; the columns are {COLUMNS}"
        )
    return {column: row[column] for column in COLUMNS}


def judge_goal(row: dict[str, Any]) -> str:
    """Say whether a row meets its goal: "yes", "no", or "" where the goal is not of the form "ratio >= 2"."""
    found = GOAL.match(str(row["goal"]))
    if found is None or row[found[1]] is None:
        return ""
    value, limit = float(row[found[1]]), float(found[3])
    met = {"<=": value <= limit, ">=": value >= limit, "<": value < limit, ">": value > limit}[found[2]]
    return "yes" if met else "no"


def run_file(path: Path) -> list[dict[str, Any]]:
    """Import one benchmark file and return its checked rows."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return [check_row(row, path.name) for row in module.run()]


def format_value(value: object) -> str:
    """Write a cell of the table: four significant digits or all of a large number, a dash for None."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)


def format_table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of the table, numbers to the right, notes below it."""
    heads = ("name", "ours", "peer", "unit", "ratio", "goal", "met")
    cells = [[*(format_value(row[head]) for head in heads[:-1]), judge_goal(row)] for row in rows]
    widths = [max(len(line[k]) for line in [list(heads), *cells]) for k in range(len(heads))]
    for line in [list(heads), ["-" * width for width in widths], *cells]:
        parts = [
            cell.rjust(width) if head in {"ours", "peer", "ratio"} else cell.ljust(width)
            for head, cell, width in zip(heads, line, widths, strict=True)
        ]
        yield "  ".join(parts).rstrip()
    yield ""
    for row in rows:
        if row["note"]:
            yield f"{row['name']}: {row['note']}"


def main(arguments: list[str]) -> int:
    """Run what matches, print the lines and the table, return the exit code."""
    if len(arguments) > 1:
        print("usage: python benchmarks/run.py [NAME]", file=sys.stderr)
        return 1
    name = arguments[0] if arguments else ""
    paths = find_benchmarks(name)
    if not paths:
        known = ", ".join(path.stem.removeprefix("bench_") for path in find_benchmarks("")) or "none yet"
        print(f"no benchmark is called {name!r}; there are: {known}", file=sys.stderr)
        return 1
    sys.path.insert(0, str(HERE))
    rows: list[dict[str, Any]] = []
    failed = []
    for path in paths:
        start_s = time.perf_counter()
        try:
            found = run_file(path)
        except Exception:  # noqa: BLE001 - one broken benchmark must not hide the others' numbers
            traceback.print_exc()
            failed.append(path.name)
            continue
        for row in found:
            print(json.dumps(row, ensure_ascii=False), flush=True)
        rows.extend(found)
        print(f"{path.name}: {time.perf_counter() - start_s:.1f} s", file=sys.stderr, flush=True)
    print()
    for line in format_table(rows):
        print(line)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
