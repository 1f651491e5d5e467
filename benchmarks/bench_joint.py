"""Joint line over four countries at resolution 8: lines alone, coalitions, seams with hours, fair shares."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from abatis.barrier.joint import join_countries
from abatis.barrier.joint_ground import CENT, prepare_ground
from abatis.barrier.joint_hours import measure_seams
from abatis.barrier.joint_merge import merge_meshes, settle_borders
from abatis.barrier.lines import find_closing_line
from abatis.examples.baltic import write_baltic
from abatis.ground.build import build_mesh
from abatis.model.study import read_study

RUNS = 3


def run() -> list[dict[str, object]]:
    """Time the whole answer without building meshes; the joint line's cost is checked on one merged mesh."""
    with tempfile.TemporaryDirectory() as place:
        studies = [read_study(folder) for folder in write_baltic(Path(place) / "baltic")]
        meshes = [build_mesh(study) for study in studies]
    seconds, line_seconds = [], []
    for _ in range(RUNS + 1):
        begin = time.perf_counter()
        settled, _ = settle_borders(studies, meshes)
        grounds = [prepare_ground(study, mesh) for study, mesh in zip(studies, settled, strict=True)]
        joint = join_countries(grounds)
        line_seconds.append(time.perf_counter() - begin)
        measure_seams(joint, [one for one in joint.grounds if one is not None])
        seconds.append(time.perf_counter() - begin)
    merged, rows = merge_meshes(grounds)
    cost = np.full(merged.edge_count, np.inf)
    home, target = merged.country > 0, np.zeros(merged.cell_count, bool)
    for ground, row in zip(grounds, rows, strict=True):
        own = ground.home[ground.mesh.edge_a] | ground.home[ground.mesh.edge_b]
        held = (row >= 0) & own[np.maximum(row, 0)]
        cost[held] = np.minimum(cost[held], ground.cost_eur[row[held]])
        target[np.searchsorted(merged.cells, ground.mesh.cells[ground.target])] = True
    cost[~(home[merged.edge_a] & home[merged.edge_b])] = np.inf
    begin = time.perf_counter()
    line = find_closing_line(merged, cost, ~home, target)
    peer = time.perf_counter() - begin
    if abs(line.cost_eur - joint.joint_eur) > len(line.edges) / CENT:
        raise RuntimeError(f"joint line {joint.joint_eur} EUR, closing line {line.cost_eur} EUR")
    ours = float(np.median(seconds[1:]))
    note = (
        f"{sum(mesh.cell_count for mesh in meshes)} cells in 4 meshes, {len(joint.coalitions) - 1} "
        f"coalitions, {len(joint.seams)} seams; without hours {np.median(line_seconds[1:]):.1f} s; peer: the "
        f"joint line alone by find_closing_line on the merged mesh, {joint.joint_eur:.0f} EUR both"
    )
    return [
        {
            "name": "joint_four_countries",
            "ours": ours,
            "peer": peer,
            "ratio": peer / ours,
            "goal": "ours < 10",
            "unit": "s",
            "note": note,
        }
    ]


if __name__ == "__main__":
    for row in run():
        print(row)
