"""What-if questions against full re-runs of our own one-to-all search, approaches and sites."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np

from _case import Case, cut_line, make_case
from abatis.ground import _search as search
from abatis.ground.whatif import WhatIf, prepare_whatif, prepare_workspace


def run() -> list[dict[str, Any]]:
    """Measure four regimes at about 170 thousand and at 1.2 million cells."""
    rows = []
    for resolution, radius, sites, goal in ((8, 238, 60, 20), (9, 630, 20, 50)):
        case = make_case(resolution, radius)
        workspace = prepare_workspace(case)  # type: ignore[arg-type]
        start = time.perf_counter()
        plans = [
            prepare_whatif(case, case.time_h, case.front, int(one), workspace)  # type: ignore[arg-type]
            for one in case.objectives
        ]
        made = (time.perf_counter() - start) / len(plans)
        memory = (
            f"{plans[0].count_bytes() / case.cell_count:.0f} bytes per cell, approach; made in {made:.2f} s"
        )
        random = np.random.default_rng(3)
        mild = [_draw_site(case, random, None) for _ in range(sites)]
        rows.append(_measure(case, plans, mild, "random sites, mild", goal, memory))
        on_route = [_draw_site(case, random, plans[turn % len(plans)]) for turn in range(sites)]
        rows.append(_measure(case, plans, on_route, "sites on a route, mild", goal, memory))
        rows += _measure_echelons(case, plans[-1:], goal, memory, random, sites // 2)
    return rows


def _draw_site(case: Case, random: np.random.Generator, plan: WhatIf | None) -> tuple[Any, Any]:
    """Draw a chain of edges, on a plan's route if one is given, and its delays."""
    if plan is None:
        cell = int(random.integers(case.cell_count))
    else:
        route = plan.find_route()
        cell = int(route[int(random.integers(len(route) // 10, 9 * len(route) // 10))])
    edges = cut_line(case, cell, random.uniform(0, np.pi), random.uniform(2.0, 12.0))
    return edges, case.time_h[edges] + random.uniform(0.5, 3.0)


def _measure(
    case: Case, plans: list[WhatIf], sites: list[Any], name: str, goal: int, memory: str
) -> dict[str, Any]:
    """Ask every site of every approach and run each in full too."""
    slot_h = search.gather_times(case.edge, plans[0].time_h)
    width = search.find_bucket_width(plans[0].time_h)
    times = np.empty(case.cell_count)
    # Both are compiled before the clock runs.
    plans[0].query(*sites[0])
    search.search_all(case.neighbor, slot_h, np.array([plans[0].objective]), np.inf, width, times)
    ours, full, handled, changed, worst = [], [], [], 0, 0.0
    for edges, new in sites:
        start = time.perf_counter()
        answers = [plan.query(edges, new) for plan in plans]
        middle = time.perf_counter()
        ours.append(middle - start)
        slot_h = search.gather_times(case.edge, _replace(plans[0].time_h, edges, new))
        expected = []
        start = time.perf_counter()
        for plan in plans:
            search.search_all(case.neighbor, slot_h, np.array([plan.objective]), np.inf, width, times)
            expected.append(float(times[plan.front].min()))
        full.append(time.perf_counter() - start)
        handled.append(max(plan.query_counted(edges, new)[1] for plan in plans))
        changed += sum(answer != plan.arrival_h for answer, plan in zip(answers, plans, strict=True))
        worst = max(worst, *(abs(a / b - 1) for a, b in zip(answers, expected, strict=True)))
    mine, other = float(np.median(ours)), float(np.median(full))
    return {
        "name": f"what-if, {name}, {case.cell_count} cells, {len(plans)} approaches",
        "ours": 1e3 * mine, "peer": 1e3 * other, "ratio": other / mine, "goal": f"ratio >= {goal}",
        "unit": "ms",
        "note": f"median of {len(sites)} sites of {np.mean([len(e) for e, _ in sites]):.0f} edges; mean "
        f"ratio "
        f"{np.sum(full) / np.sum(ours):.0f}, slowest question {1e3 * max(ours):.2f} ms; {changed} of "
        f"{len(sites) * len(plans)} answers change; largest relative difference {worst:.1e}; cells "
        f"handled median "
        f"{np.median(handled):.0f}, most {max(handled)}; {memory}",
    }  # fmt: skip


def _measure_echelons(
    case: Case, plans: list[WhatIf], goal: int, memory: str, random: np.random.Generator, sites: int
) -> list[dict[str, Any]]:
    """Three closed rings of 10 h round one objective: the delays are several times the undelayed time."""
    plan = plans[0]
    objective = plan.objective
    x = (case.lon - case.lon[objective]) * 111.32 * np.cos(np.radians(55.0))
    away = np.hypot(x, (case.lat - case.lat[objective]) * 111.32)
    shortest = away[plan.front].min()
    held = np.isfinite(case.time_h)
    rings = [
        np.flatnonzero(((away[case.edge_a] > km) != (away[case.edge_b] > km)) & held)
        for km in (0.3 * shortest, 0.55 * shortest, 0.8 * shortest)
    ]
    undelayed = plan.arrival_h
    for ring in rings:
        plan = plan.apply(ring, plan.time_h[ring] + 10.0)
    note = f"arrival {undelayed:.1f} h, with three echelons {plan.arrival_h:.1f} h; {memory}"
    off, on, swap = [], [], []
    for turn in range(sites):
        ring, other = rings[turn % 3], rings[(turn + 1) % 3]
        part, more = _draw_part(case, ring, random), _draw_part(case, other, random)
        off.append((part, case.time_h[part]))
        on.append((part, plan.time_h[part] + 10.0))
        both = np.r_[part, more]
        swap.append((both, np.r_[case.time_h[part], plan.time_h[more] + 10.0]))
    whole = [(ring, case.time_h[ring]) for ring in rings] + [
        (ring, plan.time_h[ring] + 10.0) for ring in rings
    ]
    return [
        _measure(case, [plan], some, name, least, note)
        for some, name, least in (
            (off, "echelons: part switched off", goal),
            (on, "echelons: part doubled", goal),
            (swap, "echelons: swap of two parts", goal),
            # A whole echelon is no site: the goal is only not to be slower than a full run.
            (whole, "echelons: a whole one off or doubled", 1),
        )
    ]


def _draw_part(case: Case, ring: Any, random: np.random.Generator) -> Any:
    """Draw a stretch of a ring: the edges within 3 to 12 km of one of them."""
    middle = case.edge_a[ring[int(random.integers(len(ring)))]]
    x = (case.lon[case.edge_a[ring]] - case.lon[middle]) * 111.32 * np.cos(np.radians(55.0))
    y = (case.lat[case.edge_a[ring]] - case.lat[middle]) * 111.32
    return ring[np.hypot(x, y) < random.uniform(3.0, 12.0)]


def _replace(time_h: Any, edges: Any, new: Any) -> Any:
    out = time_h.copy()
    out[edges] = new
    return out


if __name__ == "__main__":
    for row in run():
        print(json.dumps(row))
