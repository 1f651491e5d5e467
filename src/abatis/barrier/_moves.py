"""Compiled search for plans: drop some options, refill along the fastest routes, keep what is better."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from abatis.barrier._paths import find_guided

GREED = 3.0
PRIOR_FLOOR = 0.03
LEAST_GAIN_H = 1e-9
SMALL_COST = 1e-6
SLIP = 0.002


class JoinedGraphs(NamedTuple):
    """All approaches' graphs in one set of arrays: arcs numbered through, nodes within each graph."""

    start: np.ndarray
    head: np.ndarray
    base_h: np.ndarray
    candidate: np.ndarray
    tail: np.ndarray
    guide_h: np.ndarray
    node_start: np.ndarray
    source: np.ndarray
    target: np.ndarray
    weight: np.ndarray


class OptionTable(NamedTuple):
    """Options by candidate and candidates by option (CSR both ways), sites, costs, rules [R, O], limits."""

    candidate_start: np.ndarray
    candidate_option: np.ndarray
    candidate_delay_h: np.ndarray
    entry_start: np.ndarray
    entry_candidate: np.ndarray
    entry_delay_h: np.ndarray
    site: np.ndarray
    cost: np.ndarray
    rules: np.ndarray
    limits: np.ndarray
    locked: np.ndarray
    site_count: int


class Scratch(NamedTuple):
    """Working arrays of one walk."""

    extra_h: np.ndarray
    usage: np.ndarray
    distance: np.ndarray
    parent: np.ndarray
    keys: np.ndarray
    items: np.ndarray
    ways: np.ndarray
    way_count: np.ndarray
    times: np.ndarray
    delay_h: np.ndarray
    touched: np.ndarray
    score: np.ndarray
    barred: np.ndarray
    at_site: np.ndarray


@njit(cache=True, nogil=True)
def make_scratch(graphs: JoinedGraphs, table: OptionTable) -> Scratch:
    """Allocate the working arrays once per walk."""
    approaches = len(graphs.source)
    options = len(table.site)
    most = 0
    for k in range(approaches):
        most = max(most, graphs.node_start[k + 1] - graphs.node_start[k])
    room = len(graphs.head) + 16
    return Scratch(
        np.zeros(max(1, len(table.candidate_start) - 1)),
        np.zeros(len(table.limits)),
        np.empty(most),
        np.empty(most, np.int64),
        np.empty(room),
        np.empty(room, np.int32),
        np.empty((approaches, most), np.int64),
        np.zeros(approaches, np.int64),
        np.zeros(approaches),
        np.zeros(options),
        np.empty(options, np.int64),
        np.empty(options),
        np.zeros(options, np.bool_),
        np.full(table.site_count, -1, np.int64),
    )


@njit(cache=True, nogil=True)
def switch_option(option: int, sign: float, trial: np.ndarray, table: OptionTable, scratch: Scratch) -> None:
    """Choose (sign 1) or give back (sign -1) an option: its delays, its site, what it uses of every rule."""
    for entry in range(table.entry_start[option], table.entry_start[option + 1]):
        scratch.extra_h[table.entry_candidate[entry]] += sign * table.entry_delay_h[entry]
    for rule in range(len(table.limits)):
        scratch.usage[rule] += sign * table.rules[rule, option]
    trial[option] = 1.0 if sign > 0 else 0.0
    scratch.at_site[table.site[option]] = option if sign > 0 else -1


@njit(cache=True, nogil=True)
def find_way(k: int, graphs: JoinedGraphs, scratch: Scratch) -> None:
    """Find the fastest route of one approach; its hours and candidates go to the scratch arrays."""
    first, last = graphs.node_start[k], graphs.node_start[k + 1]
    parent = scratch.parent[: last - first]
    scratch.times[k] = find_guided(
        graphs.start[first : last + 1],
        graphs.head,
        graphs.base_h,
        graphs.candidate,
        scratch.extra_h,
        graphs.guide_h[first:last],
        graphs.source[k],
        graphs.target[k],
        scratch.distance[: last - first],
        parent,
        scratch.keys,
        scratch.items,
    )
    count = 0
    node = graphs.target[k]
    while parent[node] >= 0:
        arc = parent[node]
        if graphs.candidate[arc] >= 0:
            scratch.ways[k, count] = graphs.candidate[arc]
            count += 1
        node = graphs.tail[arc]
    scratch.way_count[k] = count


@njit(cache=True, nogil=True)
def weigh_options(minimum: bool, graphs: JoinedGraphs, table: OptionTable, scratch: Scratch) -> int:
    """Sum the weighted delay of every option on the present routes; returns how many options were touched.

    With the minimum as objective only the earliest approach counts.
    """
    count = 0
    earliest = np.argmin(scratch.times)
    for k in range(len(graphs.source)):
        if minimum and k != earliest:
            continue
        for index in range(scratch.way_count[k]):
            crossed = scratch.ways[k, index]
            for entry in range(table.candidate_start[crossed], table.candidate_start[crossed + 1]):
                option = table.candidate_option[entry]
                if scratch.delay_h[option] == 0.0:
                    scratch.touched[count] = option
                    count += 1
                scratch.delay_h[option] += graphs.weight[k] * table.candidate_delay_h[entry]
    return count


@njit(cache=True, nogil=True)
def is_allowed(option: int, present: int, table: OptionTable, usage: np.ndarray) -> bool:
    """Say whether the rules allow an option in place of the one now at its site (-1 none)."""
    for rule in range(len(table.limits)):
        after = usage[rule] + table.rules[rule, option]
        if present >= 0:
            after -= table.rules[rule, present]
        if after > table.limits[rule] and after > usage[rule]:
            return False
    return True


@njit(cache=True, nogil=True)
def score_options(count: int, prior: np.ndarray, table: OptionTable, scratch: Scratch) -> float:
    """Score the touched options by weighted gain x prior / cost; returns the best score (0 none)."""
    best = 0.0
    for index in range(count):
        option = scratch.touched[index]
        present = scratch.at_site[table.site[option]]
        scratch.score[index] = 0.0
        if scratch.barred[option] or present == option:
            continue
        gain = scratch.delay_h[option]
        extra = table.cost[option]
        if present >= 0:
            gain -= scratch.delay_h[present]
            extra -= table.cost[present]
        if gain >= LEAST_GAIN_H and is_allowed(option, present, table, scratch.usage):
            scratch.score[index] = gain * (PRIOR_FLOOR + prior[option]) / max(extra, SMALL_COST)
            best = max(best, scratch.score[index])
    return best


@njit(cache=True, nogil=True)
def pick_option(
    count: int,
    prior: np.ndarray,
    greedy: bool,
    table: OptionTable,
    scratch: Scratch,
    random: np.random.Generator,
) -> int:
    """Pick a touched option by roulette over the cubed score, or the best one when `greedy`; -1 none."""
    best = score_options(count, prior, table, scratch)
    if best <= 0.0:
        return -1
    total = 0.0
    for index in range(count):
        if greedy and scratch.score[index] == best:
            return int(scratch.touched[index])
        scratch.score[index] = (scratch.score[index] / best) ** GREED
        total += scratch.score[index]
    spin = random.random() * total
    chosen = -1
    for index in range(count):
        if scratch.score[index] > 0.0:
            chosen = int(scratch.touched[index])
            spin -= scratch.score[index]
            if spin <= 0.0:
                break
    return chosen


@njit(cache=True, nogil=True)
def mark_stale(added: int, replaced: int, table: OptionTable, scratch: Scratch, stale: np.ndarray) -> None:
    """Mark the approaches whose route must be found again: those that cross the added option, or all."""
    for k in range(len(stale)):
        stale[k] = replaced >= 0
        for index in range(scratch.way_count[k]):
            if stale[k]:
                break
            for entry in range(table.entry_start[added], table.entry_start[added + 1]):
                if table.entry_candidate[entry] == scratch.ways[k, index]:
                    stale[k] = True
                    break


@njit(cache=True, nogil=True)
def refill(
    trial: np.ndarray,
    prior: np.ndarray,
    greedy: bool,
    minimum: bool,
    graphs: JoinedGraphs,
    table: OptionTable,
    scratch: Scratch,
    random: np.random.Generator,
) -> float:
    """Add options, or better ones in place of chosen ones, while rules allow; returns the plan's value."""
    scratch.extra_h[:] = 0.0
    scratch.usage[:] = 0.0
    scratch.at_site[:] = -1
    scratch.barred[:] = False
    for option in range(len(trial)):
        if trial[option] > 0.5:
            switch_option(option, 1.0, trial, table, scratch)
    stale = np.ones(len(graphs.source), np.bool_)
    while True:
        for k in range(len(stale)):
            if stale[k]:
                find_way(k, graphs, scratch)
        count = weigh_options(minimum, graphs, table, scratch)
        added = pick_option(count, prior, greedy, table, scratch, random)
        for index in range(count):
            scratch.delay_h[scratch.touched[index]] = 0.0
        if added < 0:
            break
        replaced = scratch.at_site[table.site[added]]
        if replaced >= 0:
            scratch.barred[replaced] = True
            switch_option(replaced, -1.0, trial, table, scratch)
        switch_option(added, 1.0, trial, table, scratch)
        mark_stale(added, replaced, table, scratch, stale)
    if minimum:
        return float(scratch.times.min())
    return float((graphs.weight * scratch.times).sum())


@njit(cache=True, nogil=True)
def drop_options(trial: np.ndarray, locked: np.ndarray, random: np.random.Generator) -> None:
    """Drop at most a third of the chosen options, scattered or a run of neighbours; locked ones stay."""
    chosen = np.flatnonzero(trial > 0.5)
    count = len(chosen)
    if count == 0:
        return
    wanted = int(random.integers(1, max(2, count // 3) + 1))
    scattered = random.random() < 0.5
    first = int(random.integers(0, count))
    for index in range(min(wanted, count)):
        place = first + index
        if scattered:
            place = index
            other = int(random.integers(index, count))
            chosen[index], chosen[other] = chosen[other], chosen[index]
        if place < count and not locked[chosen[place]]:
            trial[chosen[place]] = 0.0


@njit(cache=True, nogil=True)
def walk(
    choice: np.ndarray,
    prior: np.ndarray,
    moves: int,
    greedy: bool,
    minimum: bool,
    graphs: JoinedGraphs,
    table: OptionTable,
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Best and last plan of a walk of drop-and-refill moves; with 0 moves the choice is only refilled.

    In words: a slightly worse plan is sometimes kept as the place to go on from, the best is remembered.
    """
    scratch = make_scratch(graphs, table)
    present = choice.copy()
    best = choice.copy()
    trial = choice.copy()
    best_value = -np.inf
    present_value = -np.inf
    for _ in range(max(1, moves)):
        trial[:] = present
        if moves > 0:
            drop_options(trial, table.locked, random)
        value = refill(trial, prior, greedy, minimum, graphs, table, scratch, random)
        if value > best_value + 1e-12:
            best_value = value
            best[:] = trial
        if value > present_value - SLIP * abs(best_value) * random.random():
            present_value = value
            present[:] = trial
    return best, present
