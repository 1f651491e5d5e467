"""Evacuation and ambulance times of the packaged example: before, every site closed alone, all closed."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from abatis.barrier.sites import site_study
from abatis.people.access import compute_access, find_causes, link_sites, list_cut_off, list_evacuation_states
from abatis.people.access_ground import AMBULANCE, prepare_access
from abatis.people.closing_order import order_closing
from abatis.people.evacuation import measure_clearings
from abatis.show.new import write_new_study
from abatis.show.workflow import build_study, load_study


def run() -> list[dict[str, Any]]:
    """Measure all of access on the packaged Lithuania; reading and building the study is not counted."""
    with tempfile.TemporaryDirectory() as name:
        folder = write_new_study(Path(name) / "lithuania", "lithuania")
        build_study(folder, lambda _words, _share: None)
        study, mesh = load_study(folder)
    siting = site_study(study, mesh)
    begun, used = time.perf_counter(), time.process_time()
    ground = prepare_access(study, mesh)
    links = link_sites(study, mesh, siting, ground, None)
    ambulance = [ground.time_places(AMBULANCE, own) for own in links.values()]
    clearing = measure_clearings(ground, list(links.values()))
    access = compute_access(study, mesh, siting, ground=ground)
    wall_s, cpu_s = time.perf_counter() - begun, time.process_time() - used
    before = list_evacuation_states(access)[0]
    slower = sum(hours > before["clear_h"] + 1 / 60 for hours, _ in clearing)
    reached = np.isfinite(ground.time_places(AMBULANCE))
    cutting = sum(bool(np.isinf(one[reached]).any()) for one in ambulance)
    note = (
        f"{len(ground.places)} places, {len(links)} sites each closed alone and all together, "
        f"{ground.graph.node_count} nodes of roads; CPU {cpu_s:.2f} s; {len(list_cut_off(access))} places "
        f"cut off by all sites; alone {cutting} sites leave some place without an ambulance and {slower} "
        f"make the evacuation longer; evacuation before: {before['clear_h']:.1f} h on fastest ways, "
        f"{before['spread_h']:.1f} h spread, at least {before['bound_h']:.1f} h"
    )
    rows = [_row("evacuation and ambulance, all places and sites", wall_s, "ours <= 10", note)]
    begun = time.perf_counter()
    causes = find_causes(study, mesh, siting, ground=ground)
    rows.append(_row("causes of every site", time.perf_counter() - begun, "", f"{len(causes)} rows"))
    begun = time.perf_counter()
    order = order_closing(study, mesh, siting, ground=ground)
    note = f"{len(order.steps)} sites, method {order.method}"
    rows.append(_row("order of closing", time.perf_counter() - begun, "", note))
    return rows


def _row(name: str, ours: float, goal: str, note: str) -> dict[str, Any]:
    return {
        "name": name, "ours": ours, "peer": None, "ratio": None, "goal": goal, "unit": "s", "note": note,
    }  # fmt: skip


if __name__ == "__main__":
    for row in run():
        print(json.dumps(row))
