"""Sites switched on and off at the server, on the Lithuanian example: the whole answer, in milliseconds."""

from __future__ import annotations

import json
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from abatis.model.errors import Fault, InputError
from abatis.show.app.ground_layers import draw_base, write_cells
from abatis.show.app.loaded import KeptPlan, LoadedStudy, Snapshot
from abatis.show.app.sending import pack
from abatis.show.app.switching import change_rows, explain_site, switch_sites

EXAMPLE = Path(__file__).resolve().parents[1] / "demo" / "lithuania"
TURNS = 20
CELLS = 170_000
MEGA = 1e6


def run() -> list[dict[str, Any]]:
    """Measure switches of 1, 5 and 100 sites, the quick reason for a site, and bytes on the wire."""
    if not (EXAMPLE / "plans" / "base" / "plan.json").is_file():
        raise InputError([Fault("has no plan yet", str(EXAMPLE), remedy="run: make demo")])
    with tempfile.TemporaryDirectory() as folder:
        study = shutil.copytree(EXAMPLE, Path(folder) / "study")
        loaded = LoadedStudy(study)
        kept, now = loaded.require_plan("base"), loaded.snapshot()
        rows = [_measure(now, kept, count, "before the network is there") for count in (1, 100)]
        start = time.perf_counter()
        _ = now.network
        made_s = time.perf_counter() - start
        rows += [_measure(now, kept, count, f"network made in {made_s:.1f} s") for count in (1, 5, 100)]
        rows.append(_measure_why(now, kept))
        rows += _weigh(now)
        held = ", ".join(f"{name} {size / MEGA:.0f} MB" for name, size in loaded.count_bytes().items())
        rows[-1]["note"] += f"; held in memory: {held}"
    return rows


def _draw(now: Snapshot, dice: random.Random, count: int) -> dict[str, str | None]:
    options: dict[str, list[str | None]] = {}
    for one in now.siting.options:
        options.setdefault(one.site, [None]).append(one.option)
    return {site: dice.choice(options[site]) for site in dice.sample(sorted(options), count)}


def _time(work: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds on the clock, and of the processor: the latter are the former on a quiet machine."""
    start, used = time.perf_counter(), time.thread_time()
    work()
    return 1000 * (time.perf_counter() - start), 1000 * (time.thread_time() - used)


def _measure(now: Snapshot, kept: KeptPlan, count: int, note: str) -> dict[str, Any]:
    """Ask about changes at some sites, and compute the same anew over the whole mesh."""
    dice = random.Random(count)
    switch_sites(now, kept, _draw(now, dice, count))
    asked = [_draw(now, dice, count) for _ in range(TURNS)]
    ours = [_time(lambda one=one: switch_sites(now, kept, one)) for one in asked]
    rows = [change_rows(now, now.find_rows(kept.plan), one) for one in asked[:5]]
    peer = [_time(lambda one=one: now.measure_fully(one)) for one in rows]
    mine, other = (statistics.median(wall for wall, _ in times) for times in (ours, peer))
    used, peer_used = (statistics.median(cpu for _, cpu in times) for times in (ours, peer))
    return {
        "name": f"switch of {count} sites, {now.problem.approach_count} approaches",
        "ours": mine,
        "peer": other,
        "ratio": other / mine,
        "goal": "ours <= 200",
        "unit": "ms",
        "note": f"{now.mesh.cell_count:,} cells; {note}; slowest of {TURNS}: {max(ours)[0]:.1f} ms; "
        f"processor time {used:.1f} ms, peer {peer_used:.1f} ms; peer: arrivals alone by full searches",
    }


def _measure_why(now: Snapshot, kept: KeptPlan) -> dict[str, Any]:
    sites = [one.site for one in kept.plan.options[:: max(1, len(kept.plan.options) // 5)]]
    ours = [_time(lambda one=one: explain_site(now, kept, one, "")) for one in sites]
    wall, used = (statistics.median(values) for values in zip(*ours, strict=True))
    return {
        "name": "why a site, quick answer",
        "ours": wall,
        "peer": None,
        "ratio": None,
        "goal": "",
        "unit": "ms",
        "note": f"median of {len(sites)} sites; slowest {max(ours)[0]:.0f} ms; processor time {used:.0f} ms",
    }


def _weigh(now: Snapshot) -> list[dict[str, Any]]:
    cells = pack(write_cells(now), "")
    base = pack(draw_base(now).model_dump_json().encode(), "")
    scale = CELLS / now.mesh.cell_count
    rows = []
    for name, packed, factor, goal, note in (
        ("cells.arrow for 170,000 cells", cells, scale, "ours <= 8", "scaled by the number of cells"),
        ("base map", base, 1.0, "ours <= 3", "all layers together"),
    ):
        rows.append(
            {
                "name": name,
                "ours": factor * len(packed.plain) / MEGA,
                "peer": None,
                "ratio": None,
                "goal": goal,
                "unit": "MB",
                "note": f"{note}; {factor * len(packed.squeezed) / MEGA:.2f} MB compressed",
            }
        )
    return rows


if __name__ == "__main__":
    for row in run():
        print(json.dumps(row))
