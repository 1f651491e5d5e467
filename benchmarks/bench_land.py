"""Land and shelter accounts of the packaged example, with works at every site."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from abatis.barrier.lines import find_echelon_lines
from abatis.barrier.options import list_options
from abatis.barrier.sites import find_sites
from abatis.people.land import account_land
from abatis.people.shelter import account_shelter
from abatis.show.new import write_new_study
from abatis.show.workflow import build_study, load_study

REPEATS = 5
GOAL = "ours <= 5"


def run() -> list[dict[str, Any]]:
    """Measure both accounts; reading and building the study is not counted, compiling neither."""
    with tempfile.TemporaryDirectory() as name:
        folder = write_new_study(Path(name) / "lithuania", "lithuania")
        build_study(folder, lambda _words, _share: None)
        study, mesh = load_study(folder)
        sites, _ = find_sites(study, mesh, find_echelon_lines(study, mesh), np.zeros(mesh.edge_count))
        options = list_options(study, mesh, sites)
        first = {option.site: option for option in reversed(options)}
        siting: Any = SimpleNamespace(sites=sites, options=options)
        chosen = tuple(SimpleNamespace(site=one.site, option=one.option) for one in first.values())
        plan: Any = SimpleNamespace(name="all", options=chosen)
        land_s, land = _measure(lambda: account_land(study, mesh, siting, plan))
        shelter_s, shelter = _measure(lambda: account_shelter(study, mesh))
    note = f"{len(chosen)} sites, {mesh.cell_count} cells, {land.land_ha:.0f} ha, median of {REPEATS}"
    rows = [_row("land account", land_s, note)]
    note = f"{shelter.length_km:.0f} km in {len(shelter.sections)} sections, {len(shelter.options)} options"
    return [*rows, _row("shelter account", shelter_s, f"{note}, median of {REPEATS}")]


def _measure(work: Callable[[], Any]) -> tuple[float, Any]:
    found, times = work(), []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        found = work()
        times.append(time.perf_counter() - begun)
    return statistics.median(times), found


def _row(name: str, ours: float, note: str) -> dict[str, Any]:
    return {
        "name": name, "ours": ours, "peer": None, "ratio": None, "goal": GOAL, "unit": "s", "note": note,
    }  # fmt: skip


if __name__ == "__main__":
    for row in run():
        print(json.dumps(row))
