"""Covering on the Cordeau-Furini-Ljubic family: proven optima against the plain model on HiGHS and spopt.

Sites and points lie anywhere on a square of side 30, each point weighs 1 to 100, each site costs 10, and a
site sees what is nearer than the radius. The generator follows the published one with numpy's random numbers.
Peers run on 2 threads, each in a process of its own. One that finds no proof within its limit, start
included, is stopped and counted with the limit: the ratio is then at least what is said.
"""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import time
from typing import Any

import highspy
import numpy as np
from numba import njit

from abatis.watch.covering import Covering, solve_covering

SIDE, COST_EUR, SITES = 30.0, 10.0, 100
RADIUS, BUDGET_SITES = 5.5, 15
PLAIN_LIMIT_S, MERGED_LIMIT_S, SPOPT_LIMIT_S = 150.0, 60.0, 90.0
RUNS = 5
GIB = 2.0**30


def run() -> list[dict[str, Any]]:
    """Measure one million points, a hundred thousand, ten million, and many sites."""
    warm = make_instance(10, 1000, RADIUS, 1)
    for times in (1, 2):
        solve_covering(*warm, 30.0, times=times)
    return [
        *_measure_million(),
        _measure_family(),
        _measure_spopt(),
        _measure_memory(),
        _measure_sites(),
        _measure_twice(),
    ]


def make_instance(
    sites: int, points: int, radius: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Weight, start, point and cost of one instance of the family."""
    random = np.random.default_rng(seed)
    place = random.uniform(0, SIDE, (sites, 2))
    spot = random.uniform(0, SIDE, (points, 2))
    weight = random.integers(1, 101, points).astype(float)
    start, point = list_seen(place, spot, radius)
    return weight, start, point, np.full(sites, COST_EUR)


@njit(cache=True)
def list_seen(place: np.ndarray, spot: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Points nearer than the radius to each site."""
    start = np.zeros(len(place) + 1, np.int64)
    for writing in (False, True):
        if writing:
            point = np.empty(start[-1], np.int32)
        for j in range(len(place)):
            fill = start[j]
            for p in range(len(spot)):
                across, up = spot[p, 0] - place[j, 0], spot[p, 1] - place[j, 1]
                if across * across + up * up < radius * radius:
                    if writing:
                        point[fill] = p
                    fill += 1
            start[j + 1] = fill
    return start, point


def solve_plain(weight: np.ndarray, start: np.ndarray, point: np.ndarray, sites: int, budget: int) -> float:
    """The value of the textbook model on HiGHS: one row x_p <= sum of y_j for each point.

    x is continuous, as it is whole by itself.
    """
    points, model = len(weight), highspy.Highs()
    for name, value in (("output_flag", False), ("threads", 2), ("mip_rel_gap", 0.0)):
        model.setOptionValue(name, value)
    programme = highspy.HighsLp()
    columns, rows = sites + points, points + 1
    programme.num_col_, programme.num_row_ = columns, rows
    programme.col_cost_ = np.append(np.zeros(sites), weight)
    programme.col_lower_, programme.col_upper_ = np.zeros(columns), np.ones(columns)
    programme.row_lower_ = np.full(rows, -highspy.kHighsInf)
    programme.row_upper_ = np.append(np.zeros(points), float(budget))
    length = np.append(np.diff(start) + 1, np.ones(points, np.int64))
    index = np.concatenate(
        [np.append(point[start[j] : start[j + 1]], points) for j in range(sites)] + [np.arange(points)]
    )
    value = np.append(np.where(index[: start[-1] + sites] == points, 1.0, -1.0), np.ones(points))
    matrix = programme.a_matrix_
    matrix.format_ = highspy.MatrixFormat.kColwise
    matrix.start_, matrix.index_, matrix.value_ = np.append(0, np.cumsum(length)), index, value
    programme.sense_ = highspy.ObjSense.kMaximize
    whole, free = highspy.HighsVarType.kInteger, highspy.HighsVarType.kContinuous
    programme.integrality_ = [whole] * sites + [free] * points
    model.passModel(programme)
    model.run()
    if model.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        raise RuntimeError(f"the peer's model ended as {model.getModelStatus()}")
    return float(model.getInfo().objective_function_value)


def group_plainly(
    weight: np.ndarray, start: np.ndarray, point: np.ndarray, sites: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Equal points merged with numpy alone, for the peer with aggregation: bits of the sites, then unique."""
    bits = np.zeros((len(weight), -(-sites // 64)), np.uint64)
    for j in range(sites):
        bits[point[start[j] : start[j + 1]], j // 64] |= np.uint64(1) << np.uint64(j % 64)
    order = np.lexsort(bits.T)
    first = np.append(True, (bits[order[1:]] != bits[order[:-1]]).any(axis=1))
    sets, merged = bits[order[first]], np.add.reduceat(weight[order], np.flatnonzero(first))
    lists = [
        np.flatnonzero(sets[:, j // 64] >> np.uint64(j % 64) & np.uint64(1)).astype(np.int32)
        for j in range(sites)
    ]
    return merged, np.append(0, np.cumsum([len(one) for one in lists])), np.concatenate(lists)


def _measure_million() -> list[dict[str, Any]]:
    """One million points: ours, the plain model, and the plain model on merged points."""
    instance = make_instance(SITES, 1_000_000, RADIUS, 1)
    found, seconds, used = _solve(instance, BUDGET_SITES)
    del instance
    rows = []
    for kind, limit_s, goal in (
        ("plain", PLAIN_LIMIT_S, "ratio >= 30"),
        ("merged", MERGED_LIMIT_S, "as large as possible"),
    ):
        told, peer_used = _ask_peer([sys.executable, __file__, kind], limit_s)
        peer_s = float(told["seconds"]) if told else limit_s
        state = f"proven, value {told['value']:.0f}" if told else f"no proof within {limit_s:g} s, counted so"
        name = f"covering, {SITES} sites, 1 M points, radius {RADIUS:g}, {BUDGET_SITES} posts, {kind} HiGHS"
        note = (
            f"HiGHS with 2 threads, {kind} model: {state}; processor time {used:.2f} s against "
            f"{peer_used:.0f} s; median of {RUNS} runs of ours; {describe(found)}"
        )
        rows.append(_row(name, seconds, peer_s, goal, "s", note))
    return rows


def _measure_family() -> dict[str, Any]:
    """The published radii and budgets at 100 k points, two seeds each: median and slowest."""
    cases = [(r, b, s) for r in (5.5, 5.75, 6.0, 6.25) for b in (10, 15, 20) for s in (1, 2)]
    seconds, nodes, open_ones = [], [], 0
    for radius, budget, seed in cases:
        instance = make_instance(SITES, 100_000, radius, seed)
        began = time.perf_counter()
        found = solve_covering(*instance, budget * COST_EUR, time_limit_s=20.0)
        seconds.append(time.perf_counter() - began)
        nodes.append(found.nodes)
        open_ones += found.status != "optimal"
    slowest = int(np.argmax(seconds))
    note = (
        f"{len(cases)} instances, {open_ones} without proof in 20 s; slowest {seconds[slowest]:.2f} s: "
        f"radius {cases[slowest][0]:g}, {cases[slowest][1]} posts; most nodes {max(nodes)}"
    )
    name = f"covering, {SITES} sites, 100 k points, radii 5.5 to 6.25, 10 to 20 posts: median"
    return _row(name, statistics.median(seconds), None, "as small as possible", "s", note)


def run_peer(kind: str) -> None:
    """Print what `_measure_million` asks for: seconds from lists to proof, and the value."""
    weight, start, point, _ = make_instance(SITES, 1_000_000, RADIUS, 1)
    began = time.perf_counter()
    if kind == "merged":
        weight, start, point = group_plainly(weight, start, point, SITES)
    value = solve_plain(weight, start, point, SITES, BUDGET_SITES)
    print(json.dumps({"seconds": time.perf_counter() - began, "value": value}))


def _ask_peer(command: list[str], limit_s: float) -> tuple[dict[str, Any], float]:
    """What a peer printed before its time was up ({} if nothing), and its processor time, in seconds."""

    def read_clock() -> float:
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        return spent.ru_utime + spent.ru_stime

    before = read_clock()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as peer:
        try:
            said, _ = peer.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            # Its group: a peer may have started a solver of its own.
            os.killpg(peer.pid, signal.SIGKILL)
            said = ""
    if peer.returncode not in (0, -signal.SIGKILL):
        raise RuntimeError(f"{command[0]} ended with {peer.returncode}")
    return (json.loads(said) if said else {}), read_clock() - before


def _measure_spopt() -> dict[str, Any]:
    """A hundred thousand points against spopt, model building included, each in a process of its own."""
    name = f"covering, {SITES} sites, 100 k points, spopt with model building"
    if importlib.util.find_spec("spopt") is None and "ABATIS_SPOPT_PYTHON" not in os.environ:
        return _row(name, None, None, "", "s", "spopt is not installed here: nothing was measured")
    instance = make_instance(SITES, 100_000, RADIUS, 1)
    found, seconds, used = _solve(instance, BUDGET_SITES)
    python = os.environ.get("ABATIS_SPOPT_PYTHON", sys.executable)
    script = _SPOPT.format(sites=SITES, radius=RADIUS, budget=BUDGET_SITES, side=SIDE)
    told, peer_used = _ask_peer([python, "-c", script], SPOPT_LIMIT_S)
    seconds_peer = float(told["seconds"]) if told else SPOPT_LIMIT_S
    state = f"value {told['value']:.0f}" if told else f"no end within {SPOPT_LIMIT_S:g} s, counted so"
    note = (
        f"spopt MCLP with CBC of PuLP, 2 threads: {state}; processor time {used:.2f} s against "
        f"{peer_used:.0f} s (without a solver that was stopped); {describe(found)}"
    )
    return _row(name, seconds, seconds_peer, "ratio >= 100", "s", note)


_SPOPT = """
import json, time
import numpy as np, pulp
from spopt.locate import MCLP
random = np.random.default_rng(1)
place = random.uniform(0, {side}, ({sites}, 2))
spot = random.uniform(0, {side}, (100_000, 2))
weight = random.integers(1, 101, 100_000).astype(float)
away = np.sqrt(((spot[:, None] - place[None]) ** 2).sum(axis=2))
began = time.perf_counter()
model = MCLP.from_cost_matrix(away, weight, {radius}, p_facilities={budget})
model = model.solve(pulp.PULP_CBC_CMD(msg=False, threads=2))
seconds = time.perf_counter() - began
print(json.dumps(dict(seconds=seconds, value=pulp.value(model.problem.objective))))
"""


def _measure_memory() -> dict[str, Any]:
    """Ten million points in a process of its own: seconds and the most memory it held, lists included."""
    said = subprocess.run(
        [sys.executable, __file__, "memory"], capture_output=True, text=True, check=True
    ).stdout
    found = json.loads(said.splitlines()[-1])
    note = (
        f"{found['seconds']:.1f} s to the proof ({found['text']}); {found['entries'] / 1e6:.0f} M entries "
        f"of the lists take {found['input']:.2f} GiB of it"
    )
    name = f"covering, {SITES} sites, 10 M points: most memory"
    return _row(name, found["peak"], None, "ours <= 24", "GiB", note)


def measure_ten_million() -> None:
    """Print what `_measure_memory` asks for."""
    instance = make_instance(SITES, 10_000_000, RADIUS, 1)
    found, seconds, _ = _solve(instance, BUDGET_SITES)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB
    size = sum(array.nbytes for array in instance) / GIB
    told = {
        "seconds": seconds,
        "text": describe(found),
        "entries": len(instance[2]),
        "input": size,
        "peak": peak,
    }
    print(json.dumps(told))


def _measure_sites() -> dict[str, Any]:
    """Many sites that see much: what gap is proven in a minute."""
    instance = make_instance(5000, 200_000, 3.0, 1)
    began = time.perf_counter()
    found = solve_covering(*instance, 100 * COST_EUR * 0.3, gap=0.01, time_limit_s=30.0)
    seconds = time.perf_counter() - began
    note = f"{len(instance[2]) / 1e6:.0f} M entries, {seconds:.0f} s, asked for 1 %; {describe(found)}"
    name = "covering, 5,000 sites, 200 k points, radius 3, 30 posts: gap"
    return _row(name, 100 * found.gap, None, "ours <= 1", "%", note)


def _measure_twice() -> dict[str, Any]:
    """Points count when seen by two: what gap is proven in half a minute."""
    instance = make_instance(SITES, 1_000_000, RADIUS, 1)
    found = solve_covering(*instance, BUDGET_SITES * COST_EUR, times=2, time_limit_s=30.0)
    name = f"covering by two, {SITES} sites, 1 M points, {BUDGET_SITES} posts: gap"
    return _row(name, 100 * found.gap, None, "as small as possible", "%", f"30 s; {describe(found)}")


def _solve(instance: tuple[np.ndarray, ...], budget: int) -> tuple[Covering, float, float]:
    """Our plan, the median wall-clock seconds of some runs, and the mean processor seconds."""
    seconds, used = [], time.process_time()
    for _ in range(RUNS):
        began = time.perf_counter()
        found = solve_covering(*instance, budget * COST_EUR, time_limit_s=120.0)
        seconds.append(time.perf_counter() - began)
    return found, statistics.median(seconds), (time.process_time() - used) / RUNS


def describe(found: Covering) -> str:
    """What ours found, in words."""
    return (
        f"ours {found.status}: {found.covered_weight:.0f}, bound {found.bound:.0f}, {found.groups} groups, "
        f"{found.nodes} nodes"
    )


def _row(
    name: str, ours: float | None, peer: float | None, goal: str, unit: str, note: str
) -> dict[str, Any]:
    ratio = peer / ours if peer is not None and ours else None
    return {
        "name": name,
        "ours": ours,
        "peer": peer,
        "ratio": ratio,
        "goal": goal,
        "unit": unit,
        "note": note,
    }


if __name__ == "__main__":
    if sys.argv[1:] == ["memory"]:
        measure_ten_million()
    elif sys.argv[1:]:
        run_peer(sys.argv[1])
    else:
        for row in run():
            print(json.dumps(row))
