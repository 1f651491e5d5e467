"""Least times from one cell to all others against scipy's Dijkstra on the same mesh."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from _case import make_case
from abatis.ground import _search as search

REPEATS = 7


def run() -> list[dict[str, Any]]:
    """Measure at about 170 thousand and 1.2 million cells, in turns, medians."""
    return [_compare(resolution, radius) for resolution, radius in ((8, 238), (9, 630))]


def _compare(resolution: int, radius: int) -> dict[str, Any]:
    case = make_case(resolution, radius)
    n = case.cell_count
    keep = np.isfinite(case.time_h)
    a, b, t = case.edge_a[keep], case.edge_b[keep], case.time_h[keep]
    graph = csr_matrix((np.r_[t, t], (np.r_[a, b], np.r_[b, a])), shape=(n, n))
    slot_h = search.gather_times(case.edge, case.time_h)
    width = search.find_bucket_width(case.time_h)
    times = np.empty(n)
    ours, peer, gather = [], [], []
    handled = differ = 0
    for turn in range(REPEATS + 1):
        source = case.objectives[turn % len(case.objectives)]
        start = time.perf_counter()
        handled = search.search_all(case.neighbor, slot_h, np.array([source]), np.inf, width, times)
        middle = time.perf_counter()
        expected = dijkstra(graph, indices=int(source))
        stop = time.perf_counter()
        search.gather_times(case.edge, case.time_h)
        end = time.perf_counter()
        differ += int((times != expected).sum())
        # The first turn compiles.
        if turn:
            ours.append(middle - start)
            peer.append(stop - middle)
            gather.append(end - stop)
    mine, other = float(np.median(ours)), float(np.median(peer))
    return {
        "name": f"one to all, {n} cells", "ours": 1e3 * mine, "peer": 1e3 * other, "ratio": other / mine,
        "goal": "ratio >= 2", "unit": "ms",
        "note": f"scipy csgraph.dijkstra, matrix ready; our layout of times per cell ready too (made in "
        f"{1e3 * np.median(gather):.1f} ms); {handled} cells handled, {differ} times differ; "
        f"{24 + 48 + 8 + 8} bytes per cell",
    }  # fmt: skip


if __name__ == "__main__":
    for row in run():
        print(json.dumps(row))
