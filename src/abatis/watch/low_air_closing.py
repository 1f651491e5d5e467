"""What closes a gap in the low air picture: sensors added one by one until the least-seen way is seen."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from abatis.model.errors import Fault, InputError
from abatis.watch._low_air import FAR
from abatis.watch.low_air import (
    COST_UNITS,
    LOOK_M,
    AirGraph,
    Looks,
    find_weight,
    search_least,
    share_way,
    trace_back,
)

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class ClosingStep:
    """One added sensor: row of the candidate, its price, the chance to be noticed after it, and the new way.

    `moved` is true when it only moved the least-seen way: another way as open as the last one was left.
    """

    candidate: int
    cost_eur: float
    chance: float
    cells: np.ndarray
    moved: bool


@dataclass(frozen=True)
class Closing:
    """Sensors that close a gap: `kept` rows of candidates, what they cost, the chance before and after.

    `steps` as they were added; those that turned out not to be needed are not in `kept`. `reached` says
    whether the wanted chance was reached.
    """

    steps: tuple[ClosingStep, ...]
    kept: tuple[int, ...]
    cost_eur: float
    before: float
    chance: float
    cells: np.ndarray
    reached: bool


@dataclass(frozen=True)
class _Task:
    """What does not change while sensors are added."""

    graph: AirGraph
    sources: np.ndarray
    target: int
    looks: Looks
    look_m: float
    goal: int


def close_gap(
    graph: AirGraph, detection: np.ndarray, sources: np.ndarray, target: int, candidates: Looks,
    cost_eur: np.ndarray, *, least_chance: float = 0.9, budget_eur: float = math.inf, look_m: float = LOOK_M,
    progress: Progress | None = None,
) -> Closing:  # fmt: skip
    """Add sensors until the least-seen way to a target is noticed with a chance, or the money is spent.

    Parameters
    ----------
    graph, detection, sources, look_m : as for `find_corridors`.
    target : row of the cell where ways end.
    candidates : cells and chances of sensors that could be added.
    cost_eur : float64[K], price of each.
    least_chance : the chance to be noticed that is wanted, below 1.
    budget_eur : most money.

    In words: each step takes the sensor that raises the cost of the least-seen way most per euro, counted no
    further than needed; the least-seen way is found anew, exactly, with each sensor that could be best (a
    sensor cannot raise it by more than it adds along the present way, which leaves most out). Where no single
    one raises it, because another way is as open, the one that adds most along the present way per euro is
    taken and the way moves. In the end sensors that are not needed are given back, dearest first. This is a
    greedy choice: the chance it reaches is exact, that nothing cheaper would do is not proven.

    Raises
    ------
    InputError : a wanted chance outside 0 to 1, prices of another length or below 0, no way to the target.

    Examples
    --------
    A chain of three cells; a sensor over the middle one is worth its price, one over nothing is not bought.

    >>> graph = AirGraph(np.array([[1, -1, -1, -1, -1, -1], [2, -1, -1, 0, -1, -1], [-1, -1, -1, 1, -1, -1]]),
    ...                  np.full((3, 6), 1000.0), np.zeros(3, bool))
    >>> looks = Looks(np.array([0, 1, 1]), np.array([1]), np.array([0.95]))
    >>> found = close_gap(graph, np.zeros(3), np.array([0]), 2, looks, np.array([5.0, 1.0]))
    >>> found.kept, found.cost_eur, found.before, round(found.chance, 6), found.reached
    ((0,), 5.0, 0.0, 0.95, True)
    """
    _check(least_chance, cost_eur, candidates)
    goal = math.ceil(-math.log1p(-least_chance) * COST_UNITS)
    task = _Task(graph, np.asarray(sources), int(target), candidates, look_m, goal)
    weight = find_weight(detection)
    now, cells = _measure(task, weight)
    if now == FAR:
        raise InputError([Fault("no way leads from the border to it", column="target")])
    before, left = now, budget_eur
    added: list[int] = []
    steps: list[ClosingStep] = []
    while now < goal:
        picked = _pick(task, weight, cells, now, np.where(cost_eur <= left, cost_eur, np.nan), added)
        if picked is None:
            break
        candidate, moved = picked
        weight = weight + _weigh(task, candidate, len(weight))
        left -= float(cost_eur[candidate])
        added.append(candidate)
        now, cells = _measure(task, weight)
        steps.append(ClosingStep(candidate, float(cost_eur[candidate]), _to_chance(now), cells, moved))
        if progress is not None:
            progress("close the gap", min(1.0, now / goal))
    kept = _give_back(task, find_weight(detection), added, cost_eur, min(now, goal))
    now, cells = _measure(task, _add_all(task, find_weight(detection), kept))
    spent = float(sum(cost_eur[one] for one in kept))
    return Closing(tuple(steps), tuple(kept), spent, _to_chance(before), _to_chance(now), cells, now >= goal)


def _check(least_chance: float, cost_eur: np.ndarray, candidates: Looks) -> None:
    faults = []
    if not 0 < least_chance < 1:
        faults.append(
            Fault(f"is {least_chance:g}", column="least_chance", remedy="give more than 0, below 1")
        )
    if len(cost_eur) != candidates.count:
        problem = f"has {len(cost_eur)} prices for {candidates.count} candidates"
        faults.append(Fault(problem, column="cost_eur", remedy="give one price for each"))
    if not np.all(np.asarray(cost_eur) >= 0):
        faults.append(Fault("holds prices below 0 or unknown", column="cost_eur", remedy="give euros"))
    if faults:
        raise InputError(faults)


def _measure(task: _Task, weight: np.ndarray) -> tuple[int, np.ndarray]:
    cost, _, before = search_least(task.graph, weight, task.sources, task.target, task.look_m)
    return int(cost[task.target]), trace_back(before, task.target)


def _to_chance(units: int) -> float:
    return 0.0 - math.expm1(-units / COST_UNITS)


def _weigh(task: _Task, candidate: int, count: int) -> np.ndarray:
    """Cost of one look that a candidate adds to each cell."""
    cell, chance = task.looks.take(candidate)
    weight = np.zeros(count)
    weight[cell] = find_weight(chance)
    return weight


def _pick(
    task: _Task, weight: np.ndarray, cells: np.ndarray, now: int, cost_eur: np.ndarray, added: list[int]
) -> tuple[int, bool] | None:
    """Choose the next candidate, and say whether it only moves the way; None when none touches it."""
    need = task.goal - now
    bound = _bound(task, cells, len(weight))
    free = np.maximum(cost_eur, 1.0)
    worth = np.minimum(bound, need) / free
    worth[np.isnan(worth)] = 0.0
    worth[added] = 0.0
    order = np.argsort(-worth, kind="stable")
    best, best_worth = -1, 0.0
    for candidate in order.tolist():
        if worth[candidate] <= best_worth:
            break
        after, _ = _measure(task, weight + _weigh(task, candidate, len(weight)))
        gain = min(after - now, need) / float(free[candidate])
        if gain > best_worth:
            best, best_worth = candidate, gain
    if best >= 0:
        return best, False
    first = int(order[0]) if order.size else -1
    return (first, True) if first >= 0 and worth[first] > 0 else None


def _bound(task: _Task, cells: np.ndarray, count: int) -> np.ndarray:
    """Units that each candidate adds along a way, a little too many: no sensor raises the least way more."""
    part = np.zeros(count)
    part[cells] = share_way(task.graph, cells)
    found = np.zeros(task.looks.count)
    for candidate in range(task.looks.count):
        cell, chance = task.looks.take(candidate)
        found[candidate] = float(part[cell] @ find_weight(chance)) / task.look_m * COST_UNITS
    # Each step is rounded to a whole unit; the bound must not fall below the truth.
    return np.where(found > 0, found + len(cells), 0.0)


def _add_all(task: _Task, weight: np.ndarray, chosen: list[int]) -> np.ndarray:
    for candidate in chosen:
        weight = weight + _weigh(task, candidate, len(weight))
    return weight


def _give_back(
    task: _Task, weight: np.ndarray, added: list[int], cost_eur: np.ndarray, wanted: int
) -> list[int]:
    """Drop, dearest first, what the reached cost does not need; `weight` is that before any was added."""
    kept = list(added)
    for candidate in sorted(added, key=lambda one: (-float(cost_eur[one]), one)):
        fewer = [one for one in kept if one != candidate]
        if _measure(task, _add_all(task, weight, fewer))[0] >= wanted:
            kept = fewer
    return kept
