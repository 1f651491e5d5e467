"""The solver on published and geographic families, beside HiGHS on the whole model and the path-cut loop.

``python benchmarks/bench_solver.py [NAME] [--seeds N] [--limit SECONDS] [--peer-limit SECONDS] [--full]``
prints a line per solve, one JSON line per row, and the table; NAME is a part of an instance's name, such as
wood, wood_20, matta, geographic_100 or arspi. Every value is priced again by plain Dijkstra and every bound
of ours re-checked from its certificate.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from abatis.barrier.arrivals import measure_arrivals
from abatis.barrier.certificate import check_certificate
from abatis.barrier.proof import make_certificate
from abatis.barrier.solve import gap_of, solve_problem
from abatis.barrier.textbook import read_arspi, round_bound
from abatis.model.plan import add_delays
from abatis.model.storage import write_text_whole
from solver.families import Instance, make_geographic, make_matta, make_wood
from solver.peers import Answer, solve_path_cuts, solve_whole_model

GRAPHS = Path(__file__).resolve().parents[2] / "shared" / "data" / "interdiction" / "arspi_experiment3"
PAIRS = ((10, 5), (10, 20), (100, 50), (100, 200))
CLOSE = 1e-9
DOCS = Path(__file__).resolve().parents[1] / "docs" / "solver.md"
MARKS = ("<!-- table of families -->", "<!-- end of table -->")
DOCS_HEAD = (
    "| instance | solver | limit [s] | value | bound | gap [%] | seconds | nodes | proved |",
    "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
)
WRONG = "SECOND CHECK FAILED"
SHORT_SEEDS, SHORT_LIMIT_S, SHORT_PEER_LIMIT_S = 1, 10.0, 20.0
Make = Callable[[int], Instance]
MEANS = {"wood": "ratio >= 100", "easy": "ratio >= 1"}
PEERS = (("whole model", solve_whole_model), ("path cuts", solve_path_cuts))


@dataclass(frozen=True)
class Case:
    """One line of a family: how to make its instances, our limit, the goal, and whether the peers run too."""

    family: str
    make: Make
    limit_s: float
    goal: str
    measure: str
    against: bool
    gap: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """Our answer to one instance, the peers' answers, and what the second check has against any of them."""

    instance: Instance
    ours: Answer
    peers: dict[str, Answer]
    faults: tuple[str, ...]


def list_cases(full: bool) -> Iterator[Case]:
    """Cases of the goals; the short set takes one size of each family."""
    yield from _list_wood(full)
    yield from _list_easy(full)
    for size in (50, 80, 110) if full else (50,):
        for share in (0.005, 0.01):
            budget = float(int(share * size * size))
            for limit, goal in ((120, "ours <= 2"), (600, "ours <= 1")) if full else ((120, "ours <= 2"),):
                make = lambda seed, n=size, b=budget: make_matta(n, b, seed)  # noqa: E731
                yield Case("matta", make, limit, goal, "gap", False)
    yield from _list_geographic(full)
    yield from _list_arspi(full)


def _list_wood(full: bool) -> Iterator[Case]:
    """Grids to be proved within a limit."""
    for size in (10, 20, 30, 40, 50, 60) if full else (20,):
        limit_s = 60 if size <= 20 else 600
        for cost, delay in PAIRS if full else ((10, 5), (100, 200)):
            for budget in (3, 5, 10) if full else (5,):
                make = _wood(size, cost, delay, budget)
                yield Case("wood", make, limit_s, f"ours <= {limit_s}", "seconds", True)


def _list_easy(full: bool) -> Iterator[Case]:
    """The problems 13 to 20 of Israeli and Wood: small grids, where nobody may be slower."""
    for size in (7, 8, 9, 12) if full else (7, 12):
        for budget in (5, 10):
            yield Case("easy", _wood(size, 10, 5, budget), 60, "ours <= 60", "seconds", True)


def _wood(size: int, cost: int, delay: int, budget: float) -> Make:
    return lambda seed: make_wood(size, size, cost, delay, 1, budget, seed)


def _list_geographic(full: bool) -> Iterator[Case]:
    goals = ((0.1, 10, "ours <= 0.1"), (0.2, 10, "ours <= 0.1"), (0.4, 120, "ours <= 1"))
    for size in (50, 100, 200) if full else (50,):
        for share, limit, goal in goals:
            yield Case("geographic", _geographic(size, 150, share, 3), limit, goal, "gap", size == 50)
    if full:
        yield Case("geographic", _geographic(200, 500, 0.2, 3), 120, "ours <= 1", "gap", False)
        yield Case("geographic", _geographic(300, 2000, 0.2, 8), 300, "ours <= 5", "gap", False)
        yield Case("geographic", _geographic(300, 2000, 0.2, 8), 1800, "ours <= 2", "gap", False)


def _geographic(size: int, candidates: int, share: float, lines: int) -> Make:
    return lambda seed: make_geographic(size, candidates, share, seed, lines)


def _list_arspi(full: bool) -> Iterator[Case]:
    """Published graphs, where they are at hand: the first scenario alone, then all with equal weights."""
    for name, costs in (("27_3", 5), ("52_3", 5), ("202_3", 5), ("502_3", 5)) if GRAPHS.is_dir() else ():
        if full or name != "502_3":
            for alone in (True, False):
                yield Case("arspi", _arspi(name, costs, alone), 120, "ours <= 120", "seconds", True)


def _arspi(name: str, costs: int, alone: bool) -> Make:
    def make(seed: int) -> Instance:
        arcs = read_arspi(
            GRAPHS / f"experiment3-{name}.txt", GRAPHS / f"experiment3-{name}-costs_{costs}.csv"
        )
        if alone:
            arcs = replace(arcs, cost_h=arcs.cost_h[:1])
        return Instance(f"arspi_{name}_{'one' if alone else 'all'}_B3", seed, arcs.make_problem(), 3.0)

    return make


def solve_case(case: Case, seed: int, limit_s: float, peer_limit_s: float) -> Outcome:
    """Solve one instance by abatis and the peers, and check every answer again."""
    instance = case.make(seed)
    started = time.monotonic()
    solution = solve_problem(instance.problem, instance.budget, case.gap, limit_s, 1)
    seconds = time.monotonic() - started
    reasons = check_certificate(instance.problem, make_certificate(solution))
    faults = [f"abatis: {reason}" for reason in reasons]
    bound = solution.bound_h
    if instance.problem.approach_weight.max() == instance.problem.approach_weight.min():
        bound = round_bound(instance.problem, solution.value_h, bound)
    chosen = tuple(solution.chosen.tolist())
    closed = gap_of(solution.value_h, bound) <= max(case.gap, 100 * CLOSE)
    ours = Answer(chosen, solution.value_h, bound, seconds, len(solution.nodes), closed)
    peers = {}
    for name, solve in PEERS if case.against else ():
        gc.collect()
        peers[name] = solve(instance.problem, instance.budget, peer_limit_s, case.gap)
    for name, answer in (("abatis", ours), *peers.items()):
        faults += _check_answer(instance, name, answer)
        _print_answer(instance, name, answer)
    faults += _check_agreement({"abatis": ours, **peers})
    for fault in faults:
        print(f"{instance.name:24} seed {seed}  WRONG: {fault}", flush=True)
    return Outcome(instance, ours, peers, tuple(faults))


def _check_answer(instance: Instance, name: str, answer: Answer) -> list[str]:
    """Price an answer by plain Dijkstra and add up what it costs."""
    problem, chosen = instance.problem, list(answer.chosen)
    spent = float(problem.option_cost_eur[chosen].sum())
    value = float(problem.approach_weight @ measure_arrivals(problem, *add_delays(problem, chosen)))
    if spent > instance.budget * (1 + CLOSE) + CLOSE or abs(value - answer.value_h) > 1e-7 * max(1.0, value):
        return [f"{name} claims {answer.value_h}, is {value}, spends {spent} of {instance.budget}"]
    return []


def _check_agreement(answers: dict[str, Answer]) -> list[str]:
    """No plan of one solver may be worth more than the bound of another."""
    best = max(answer.value_h for answer in answers.values())
    return [
        f"bound {answer.bound_h} of {name} is below a plan of {best}"
        for name, answer in answers.items()
        if answer.bound_h < best - 1e-6 * max(1.0, best)
    ]


def _print_answer(instance: Instance, name: str, answer: Answer) -> None:
    gap = gap_of(answer.value_h, answer.bound_h)
    print(
        f"{instance.name:24} seed {instance.seed}  {name:12} value {answer.value_h:12.6f}  "
        f"bound {answer.bound_h:12.6f}  gap {gap:9.4%}  {answer.seconds:8.2f} s  nodes {answer.nodes}",
        flush=True,
    )


def measure_case(
    case: Case, seeds: int, limit_s: float | None, peer_limit_s: float
) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows of one case, and its lines for the docs: medians over the seeds, ours and each peer's."""
    limit_s = case.limit_s if limit_s is None else min(limit_s, case.limit_s)
    if case.family == "arspi":
        seeds = 1
    outcomes = [solve_case(case, seed, limit_s, peer_limit_s) for seed in range(seeds)]
    name = outcomes[0].instance.name
    gaps = [100 * gap_of(one.ours.value_h, one.ours.bound_h) for one in outcomes]
    proved = sum(one.ours.closed for one in outcomes)
    seconds = statistics.median(one.ours.seconds for one in outcomes)
    note = f"seeds 0..{seeds - 1}, limit {limit_s:g} s, proved {proved} of {seeds}, "
    note += f"largest gap {max(gaps):.3g} %"
    wrong = sum(bool(one.faults) for one in outcomes)
    if wrong:
        note = f"{WRONG} of {wrong} instances; " + note
    rows = []
    if case.measure == "gap":
        note += f", median {seconds:.1f} s"
        rows.append(_make_row(f"{name}, gap", statistics.median(gaps), None, None, case.goal, "%", note))
    else:
        ours = seconds if proved == seeds else None
        rows.append(_make_row(f"{name}, proof", ours, None, None, case.goal, "s", note))
    for peer in outcomes[0].peers:
        rows.append(_compare_peer(name, case, outcomes, peer, peer_limit_s))
    return rows, _write_lines(name, outcomes, limit_s, peer_limit_s)


def _write_lines(name: str, outcomes: list[Outcome], limit_s: float, peer_limit_s: float) -> list[str]:
    """Lines of the table in the docs: one per solver, medians over the seeds."""
    lines = []
    for solver in ("abatis", *outcomes[0].peers):
        wrong = any(solver in fault for one in outcomes for fault in one.faults)
        answers = [one.ours if solver == "abatis" else one.peers[solver] for one in outcomes]
        value, bound, gap, seconds, nodes = (
            statistics.median(column)
            for column in zip(
                *(
                    (a.value_h, a.bound_h, 100 * gap_of(a.value_h, a.bound_h), a.seconds, a.nodes)
                    for a in answers
                ),
                strict=True,
            )
        )
        proved = f"{sum(a.closed for a in answers)} of {len(answers)}" + (" (check failed)" if wrong else "")
        limit = limit_s if solver == "abatis" else peer_limit_s
        lines.append(
            f"| {name} | {solver} | {limit:g} | {value:.6g} | {bound:.6g} | {gap:.3g} | {seconds:.2f} "
            f"| {nodes:.0f} | {proved} |"
        )
    return lines


def write_docs(lines: list[str]) -> None:
    """Put lines into the table of docs/solver.md, in place of those with the same instance, solver, limit."""
    text = DOCS.read_text(encoding="utf-8")
    first, last = text.index(MARKS[0]) + len(MARKS[0]), text.index(MARKS[1])
    old = [line for line in text[first:last].splitlines() if line.startswith("|") and line not in DOCS_HEAD]
    table = {tuple(line.split("|")[1:4]): line for line in (*old, *lines)}
    ordered = "\n".join([*DOCS_HEAD, *(table[key] for key in sorted(table, key=_sort_instance))])
    write_text_whole(DOCS, f"{text[:first]}\n{ordered}\n{text[last:]}")


def _sort_instance(key: tuple[str, ...]) -> tuple[object, ...]:
    """Sort by family, then by the numbers in the name, then abatis first."""
    words = re.split(r"(\d+)", key[0].strip())
    return words[0], [int(word) for word in words[1::2]], key[0], key[1], float(key[2])


def _compare_peer(
    name: str, case: Case, outcomes: list[Outcome], peer: str, peer_limit_s: float
) -> dict[str, Any]:
    """A row that compares seconds where the peer closed, and gaps where it did not."""
    answers = [one.peers[peer] for one in outcomes]
    closed = sum(answer.closed for answer in answers)
    note = f"peer: {peer} in HiGHS, 2 threads, limit {peer_limit_s:g} s, closed {closed} of {len(answers)}"
    if case.measure == "seconds" and closed == len(answers):
        ours = statistics.median(one.ours.seconds for one in outcomes)
        theirs = statistics.median(answer.seconds for answer in answers)
        goal = _choose_goal(peer, theirs)
        return _make_row(f"{name} against {peer}", ours, theirs, theirs / ours, goal, "s", note)
    ours = statistics.median(100 * gap_of(one.ours.value_h, one.ours.bound_h) for one in outcomes)
    theirs = statistics.median(100 * gap_of(answer.value_h, answer.bound_h) for answer in answers)
    ratio = theirs / ours if ours > 0 else None
    return _make_row(f"{name} against {peer}", ours, theirs, ratio, "smaller gap", "%", note)


def _choose_goal(peer: str, peer_s: float) -> str:
    """100 times (geometric mean) the whole model, 20 times path cuts beyond 10 s, and never slower."""
    if peer == "path cuts" and peer_s > 10:
        return "ratio >= 20"
    return "ratio >= 1"


def summarize_ratios(rows: list[dict[str, Any]], family: str, goal: str) -> list[dict[str, Any]]:
    """One row with the geometric mean of the speed-ups over the whole model on the grids it closed."""
    ratios = [row["ratio"] for row in rows if "whole model" in row["name"] and row["unit"] == "s"]
    if not ratios:
        return []
    mean = math.exp(statistics.fmean(math.log(ratio) for ratio in ratios))
    note = f"geometric mean of peer seconds / our seconds over {len(ratios)} grids that the peer closed"
    return [_make_row(f"{family} against whole model", None, None, mean, goal, "", note)]


def _make_row(
    name: str, ours: float | None, peer: float | None, ratio: float | None, goal: str, unit: str, note: str
) -> dict[str, Any]:
    return {
        "name": name,
        "ours": ours,
        "peer": peer,
        "ratio": ratio,
        "goal": goal,
        "unit": unit,
        "note": note,
    }


def measure_families(
    name: str, seeds: int, limit_s: float | None, peer_limit_s: float, full: bool, docs: bool = False
) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows and docs lines of the cases whose instances' names hold `name`; `docs` writes each at once."""
    warm = make_wood(4, 4, 10, 5, 1, 2, 0)
    solve_problem(warm.problem, warm.budget, 0.0, 10.0)  # compiled code is loaded before anything is timed
    rows: dict[str, list[dict[str, Any]]] = {}
    lines: list[str] = []
    for case in list_cases(full):
        if name in case.make(0).name:
            fresh_rows, fresh_lines = measure_case(case, seeds, limit_s, peer_limit_s)
            rows.setdefault(case.family, []).extend(fresh_rows)
            lines += fresh_lines
            if docs:
                write_docs(fresh_lines)
    means = [
        row for family, goal in MEANS.items() for row in summarize_ratios(rows.get(family, []), family, goal)
    ]
    return [row for family in rows.values() for row in family] + means, lines


def run() -> list[dict[str, Any]]:
    """Short set for `make bench`."""
    return measure_families("", SHORT_SEEDS, SHORT_LIMIT_S, SHORT_PEER_LIMIT_S, full=False)[0]


def main() -> int:
    """Run the families named on the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", nargs="?", default="", help="part of the instances' names, such as wood_20")
    parser.add_argument("--seeds", type=int, default=None, help="seeds 0..N-1; 1, or 5 with --full")
    parser.add_argument("--limit", type=float, default=None, help="most seconds for abatis per instance")
    parser.add_argument("--peer-limit", type=float, default=None, help="most seconds for a peer per instance")
    parser.add_argument("--full", action="store_true", help="every size and budget of the goals (many hours)")
    parser.add_argument("--docs", action="store_true", help="write the table into docs/solver.md")
    asked = parser.parse_args()
    seeds = asked.seeds or (5 if asked.full else SHORT_SEEDS)
    limit_s = asked.limit or (None if asked.full else SHORT_LIMIT_S)
    peer_limit_s = asked.peer_limit or (3600.0 if asked.full else SHORT_PEER_LIMIT_S)
    rows, _ = measure_families(asked.name, seeds, limit_s, peer_limit_s, asked.full, asked.docs)
    for row in rows:
        print(json.dumps(row, ensure_ascii=False), flush=True)
    from run import format_table

    print()
    for line in format_table(rows):
        print(line)
    return int(any(WRONG in row["note"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
