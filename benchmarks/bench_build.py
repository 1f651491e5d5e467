"""Building the mesh of an invented country of national size, and what a second worker gains."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import psutil

from _national import write_national
from abatis.ground.build import build_mesh
from abatis.ground.tiling.cluster import Cluster
from abatis.ground.tiling.crew import Processes
from abatis.ground.tiling.store import TileStore
from abatis.model.mesh import write_mesh
from abatis.model.study import read_study

NEEDED_GB = 3.0
# Side of the smaller country on which the workers of the cluster are compared.
SMALL = 0.45


class Watch:
    """Seconds per stage, and the most memory that this process and its children hold together."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self.peak = 0
        self._now: tuple[str, float] | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        own = psutil.Process()
        while not self._done.wait(0.2):
            held = 0
            for process in (own, *own.children(recursive=True)):
                try:
                    held += process.memory_info().rss
                except psutil.Error:
                    continue
            self.peak = max(self.peak, held)

    def tell(self, stage: str, _: float) -> None:
        """Note when a stage begins."""
        now = time.perf_counter()
        if self._now is None or self._now[0] != stage:
            self._close(now)
            self._now = (stage, now)

    def stop(self) -> None:
        """End the last stage."""
        self._close(time.perf_counter())
        self._done.set()
        self._thread.join()

    def _close(self, now: float) -> None:
        if self._now is not None:
            self.stages[self._now[0]] = self.stages.get(self._now[0], 0.0) + now - self._now[1]


def measure_build(folder: Path, crew: str) -> dict[str, Any]:
    """Build a study anew in this process and report what it took; `crew` is 1, 2, dask1, ..."""
    shutil.rmtree(folder / "tiles", ignore_errors=True)
    watch, start = Watch(), time.perf_counter()
    if crew.startswith("dask"):
        chosen: Any = Cluster(workers=int(crew[4:]))
    else:
        chosen = Processes(int(crew)) if int(crew) > 1 else nullcontext()
    with chosen as workers:
        ready = time.perf_counter()
        mesh = build_mesh(read_study(folder), watch.tell, workers, TileStore(folder / "tiles"))
        write_mesh(mesh, folder)
    watch.stop()
    return {
        "seconds": time.perf_counter() - start, "start_s": ready - start, "stages": watch.stages,
        "processor_s": sum(map(_read_processor_s, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))),
        "peak_gib": watch.peak / 2**30, "cells": mesh.cell_count, "edges": mesh.edge_count,
    }  # fmt: skip


def _read_processor_s(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def _measure_apart(folder: Path, crew: str) -> dict[str, Any]:
    """Measure in a fresh process, so that memory of one build does not count for the next."""
    asked = [sys.executable, __file__, str(folder), crew]
    answer = subprocess.run(asked, capture_output=True, text=True, check=True)
    return json.loads(answer.stdout.splitlines()[-1])


def run() -> list[dict[str, Any]]:
    """Build the whole country with two workers, and a smaller one with one and two workers of Dask."""
    with tempfile.TemporaryDirectory() as scratch:
        free_gb = shutil.disk_usage(scratch).free / 1e9
        if free_gb < NEEDED_GB:
            raise OSError(f"{scratch} has {free_gb:.1f} GB free, the country needs {NEEDED_GB:g}")
        whole, small = Path(scratch) / "whole", Path(scratch) / "small"
        pixels, roads = write_national(whole)
        rows = _describe_whole(_measure_apart(whole, "2"), pixels, roads)
        shutil.rmtree(whole)
        write_national(small, SMALL)
        one, two = _measure_apart(small, "dask1"), _measure_apart(small, "dask2")
    return [*rows, _compare_crews(one, two)]


def _describe_whole(found: dict[str, Any], pixels: int, roads: int) -> list[dict[str, Any]]:
    stages = ", ".join(f"{name} {seconds:.1f}" for name, seconds in found["stages"].items() if seconds > 0.5)
    note = (
        f"{found['cells']:,} cells, {found['edges']:,} edges; land cover of {pixels / 1e6:,.0f} million "
        f"pixels (10 m) and of 50 m in the strip, elevation of 30 m, {roads:,} road segments; two workers, "
        f"{found['processor_s']:.0f} s of processor time; s: {stages}"
    )
    base = {"peer": None, "ratio": None, "note": note}
    return [
        {"name": "national build", "ours": found["seconds"], "unit": "s", "goal": "ours <= 300", **base},
        {
            "name": "national build, memory of all processes", "ours": found["peak_gib"], "unit": "GiB",
            "goal": "ours <= 6", **base, "note": "most resident memory, looked at five times a second",
        },
    ]  # fmt: skip


def _compare_crews(one: dict[str, Any], two: dict[str, Any]) -> dict[str, Any]:
    counting = "counting pixels"
    whole = (one["seconds"] - one["start_s"]) / (two["seconds"] - two["start_s"])
    return {
        "name": "Dask, two workers against one, counting", "ours": two["stages"][counting],
        "peer": one["stages"][counting], "ratio": one["stages"][counting] / two["stages"][counting],
        "goal": "ratio >= 1.6", "unit": "s",
        "note": f"{one['cells']:,} cells; the whole build {whole:.2f} times as fast: reading, roads and "
        "rivers are done by one process",
    }  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(measure_build(Path(sys.argv[1]), sys.argv[2])))
    else:
        for row in run():
            print(json.dumps(row))
