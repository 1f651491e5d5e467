"""Choose posts within a budget so that they see as much weight as possible, with a proven bound."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from abatis.model.errors import Fault, InputError
from abatis.model.interrupts import hear_interrupts
from abatis.watch._covering import check_lists, count_covered
from abatis.watch.covering_groups import (
    Lists,
    drop_dominated,
    find_need,
    group_points,
    make_pieces,
    sort_rows,
)
from abatis.watch.covering_tree import CoverTree, Incumbent

Progress = Callable[[str, float], None]
PAID = 1e-9
LARGEST_WHOLE = 2.0**53


@dataclass(frozen=True)
class Covering:
    """A choice of posts and its proof.

    Parameters
    ----------
    chosen : bool[n], the posts chosen, fixed ones among them.
    covered_weight : weight of the points seen by enough chosen posts.
    bound : no choice within the budget covers more.
    gap : (bound - covered_weight) / covered_weight.
    seconds : time taken, s.
    nodes : boxes of the search.
    groups : groups of points that the search worked on.
    status : "optimal" (the gap asked for is proven), "time limit" or "interrupted".
    """

    chosen: np.ndarray
    covered_weight: float
    bound: float
    gap: float
    seconds: float
    nodes: int
    groups: int
    status: str


def solve_covering(
    weight: np.ndarray,
    start: np.ndarray,
    point: np.ndarray,
    cost_eur: np.ndarray,
    budget_eur: float,
    *,
    times: int = 1,
    fixed: np.ndarray | None = None,
    gap: float = 0.0,
    time_limit_s: float = 60.0,
    seed: int = 1,
    progress: Progress | None = None,
) -> Covering:
    """Choose posts within a budget for the largest weight of points seen by `times` of them.

    Parameters
    ----------
    weight : weight of each point, float[m], at least 0.
    start, point : points that post j sees are `point[start[j]:start[j + 1]]`; int[n + 1] and int[start[n]].
    cost_eur : cost of each post, EUR, float[n].
    budget_eur : what the chosen posts may cost together, EUR; sums are compared to one part in a billion.
    times : 1, or 2 when a point counts only if two chosen posts see it.
    fixed : posts that stand already, bool[n]: always chosen, at no cost.
    gap : stop when (bound - covered) / covered is proven to be at most this.
    time_limit_s : stop after this many seconds with the best plan and its bound.
    seed : seed of the plan search; same input and seed give the same plan unless time ran out.
    progress : called with (stage, share); KeyboardInterrupt inside it, or at any moment of the search, ends
        the search with the best plan so far.

    Formula: max sum_p w_p [sum_{j sees p} y_j >= times] with sum_j c_j y_j <= budget, y whole. In words: the
    weight of all points that enough chosen posts see, as large as money allows. Sources: Church and ReVelle
    (1974); cuts as in Cordeau, Furini and Ljubic (2019).

    Raises
    ------
    InputError : lists, weights, costs or settings make no sense.

    Examples
    --------
    Two posts see points 0, 1 and 1, 2; money is there for one:

    >>> found = solve_covering(
    ...     np.array([1.0, 2.0, 4.0]), np.array([0, 2, 4]), np.array([0, 1, 1, 2]), np.array([5.0, 5.0]), 9.0
    ... )
    >>> found.chosen, found.covered_weight, found.bound
    (array([False,  True]), 6.0, 6.0)
    """
    began = time.monotonic()
    weight, cost = np.asarray(weight, float), np.asarray(cost_eur, float)
    stands = np.zeros(len(cost), bool) if fixed is None else np.asarray(fixed)
    lists = _check_input(weight, np.asarray(start), np.asarray(point), cost, stands)
    _check_settings(budget_eur, times, gap, time_limit_s)
    report = progress or _say_nothing
    report("points", 0.0)
    limit = budget_eur * (1 + PAID)
    payable = ~stands & (cost <= limit) & (np.diff(lists.start) > 0)
    taken = stands | (payable & (cost == 0))
    if float(cost[payable].sum()) <= limit:
        taken |= payable
    need = find_need(lists, taken, times, len(weight))
    base = float(weight[need == 0].sum())
    sites = np.flatnonzero(payable & ~taken).astype(np.int32)
    rows = group_points(weight, need, lists, sites)
    del need
    rows, sites = drop_dominated(rows, sites, cost)
    rows = sort_rows(rows)
    pieces = make_pieces(rows, sites)
    report("points", 1.0)
    if not len(sites) or not len(rows.weight):
        return Covering(taken, base, base, 0.0, time.monotonic() - began, 0, 0, "optimal")
    incumbent = Incumbent(pieces, cost[sites], find_money(cost[sites], limit), seed)
    tree = CoverTree(incumbent, base, gap, find_grain(pieces.weight))
    status = "interrupted"

    def tell(value: float, bound: float) -> None:
        report("search", (base + value) / (base + bound) if base + bound else 1.0)

    with hear_interrupts(tree.stop), contextlib.suppress(KeyboardInterrupt):
        status = tree.run(began + time_limit_s, tell)
    chosen = taken.copy()
    chosen[sites[incumbent.chosen]] = True
    covered = base + float(count_covered(pieces, incumbent.chosen))
    bound = max(covered, base + tree.bound)
    spread = gap_of(covered, bound)
    if spread <= gap:
        status = "optimal"
    return Covering(
        chosen, covered, bound, spread, time.monotonic() - began, tree.nodes, len(rows.weight), status
    )


def gap_of(covered: float, bound: float) -> float:
    """Return (bound - covered) / covered; infinite when nothing is covered but something could be.

    Examples
    --------
    >>> gap_of(4.0, 5.0), gap_of(0.0, 0.0)
    (0.25, 0.0)
    """
    if bound <= covered:
        return 0.0
    return (bound - covered) / covered if covered else math.inf


def find_grain(weight: np.ndarray) -> float:
    """Largest number that all weights are multiples of, when they are whole; 0 when they are not.

    Examples
    --------
    >>> find_grain(np.array([4.0, 6.0])), find_grain(np.array([0.5]))
    (2.0, 0.0)
    """
    if not (weight == np.floor(weight)).all() or float(weight.sum()) >= LARGEST_WHOLE:
        return 0.0
    return float(np.gcd.reduce(weight.astype(np.int64)))


def find_money(cost: np.ndarray, limit: float) -> float:
    """The most that plans within the limit can cost, when all costs are multiples of a whole number.

    In words: with posts at 10 EUR each, 57 EUR buy no more than 50. Exact, and the bound gets better.

    Examples
    --------
    >>> find_money(np.array([10.0, 20.0]), 57.0), find_money(np.array([0.5]), 57.0)
    (50.0, 57.0)
    """
    grain = find_grain(cost)
    return math.floor(limit / grain) * grain if grain else limit


def _say_nothing(stage: str, share: float) -> None:
    """Report to nobody."""


def _check_input(
    weight: np.ndarray, start: np.ndarray, point: np.ndarray, cost: np.ndarray, fixed: np.ndarray
) -> Lists:
    """Return the lists in the types of the kernels, or raise all faults."""
    faults = []
    if weight.ndim != 1 or not (np.isfinite(weight).all() and (weight >= 0).all()):
        faults.append(_fault("weight", "is negative or not finite in places", "give one number >= 0 a point"))
    if cost.ndim != 1 or not (np.isfinite(cost).all() and (cost >= 0).all()):
        faults.append(_fault("cost_eur", "is negative or not finite in places", "give EUR, at least 0"))
    if fixed.shape != cost.shape or fixed.dtype != bool:
        faults.append(_fault("fixed", f"has the shape {fixed.shape}", "give true or false for each post"))
    shaped = start.ndim == 1 and len(start) == len(cost) + 1 and start.dtype.kind in "iu"
    if not shaped or start[0] != 0 or (np.diff(start) < 0).any() or start[-1] != len(point):
        faults.append(
            _fault(
                "start", "does not cut the points into one list for each post", "rise from 0 to their number"
            )
        )
        raise InputError(faults)
    if point.ndim != 1 or (point.dtype.kind not in "iu" and len(point)):
        raise InputError([*faults, _fault("point", f"holds {point.dtype}", "give whole numbers of points")])
    if point.dtype != np.int32:
        wide = int(np.abs(point.astype(np.int64)).max(initial=0)) >= 2**31
        point = np.full(len(point), -1, np.int32) if wide else point.astype(np.int32)
    start = np.ascontiguousarray(start, np.int64)
    outside, rising = check_lists(start, np.ascontiguousarray(point), len(weight))
    if outside:
        faults.append(
            _fault("point", f"{outside} entries are no points", f"give numbers from 0 to {len(weight) - 1}")
        )
    if faults:
        raise InputError(faults)
    return Lists(start, np.ascontiguousarray(point), rising)


def _check_settings(budget_eur: float, times: int, gap: float, time_limit_s: float) -> None:
    faults = []
    if not (math.isfinite(budget_eur) and budget_eur >= 0):
        faults.append(_fault("budget_eur", f"is {budget_eur:g}", "give EUR, at least 0"))
    if times not in (1, 2):
        faults.append(_fault("times", f"is {times}", "give 1 or 2"))
    if not gap >= 0:
        faults.append(_fault("gap", f"is {gap:g}", "give a share, at least 0"))
    if not time_limit_s >= 0:
        faults.append(_fault("time_limit_s", f"is {time_limit_s:g}", "give seconds, at least 0"))
    if faults:
        raise InputError(faults)


def _fault(name: str, problem: str, remedy: str) -> Fault:
    return Fault(problem, "", None, name, remedy)
