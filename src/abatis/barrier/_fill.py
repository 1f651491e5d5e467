"""Compiled parts of the plan search: fastest routes under a choice, and filling a plan along them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from abatis.barrier._paths import find_guided

PRIOR_FLOOR = 0.03
LEAST_GAIN_H = 1e-9
SMALL_COST = 1e-6


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
    """Working arrays of a search."""

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


def make_scratch(graphs: JoinedGraphs, table: OptionTable) -> Scratch:
    """Allocate the working arrays of a search.

    Not compiled: compiled code that hands over a named tuple crashes where Ctrl-C falls into it.
    """
    approaches, options = len(graphs.source), len(table.site)
    most = int(np.diff(graphs.node_start).max(initial=0))
    room = len(graphs.head) + 16
    return Scratch(
        extra_h=np.zeros(max(1, len(table.candidate_start) - 1)),
        usage=np.zeros(len(table.limits)),
        distance=np.empty(most),
        parent=np.empty(most, np.int64),
        keys=np.empty(room),
        items=np.empty(room, np.int32),
        ways=np.empty((approaches, most), np.int64),
        way_count=np.zeros(approaches, np.int64),
        times=np.zeros(approaches),
        delay_h=np.zeros(options),
        touched=np.empty(options, np.int64),
        score=np.empty(options),
        barred=np.zeros(options, bool),
        at_site=np.full(table.site_count, -1, np.int64),
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
def pick_option(count: int, prior: np.ndarray, table: OptionTable, scratch: Scratch) -> int:
    """Pick the touched option with the best score, the first of several; -1 none."""
    best = score_options(count, prior, table, scratch)
    if best > 0.0:
        for index in range(count):
            if scratch.score[index] == best:
                return int(scratch.touched[index])
    return -1


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
def fill(
    choice: np.ndarray,
    prior: np.ndarray,
    minimum: bool,
    graphs: JoinedGraphs,
    table: OptionTable,
    scratch: Scratch,
) -> np.ndarray:
    """Add options, or better ones in place of chosen ones, while rules allow; returns the fuller choice.

    `scratch` is newly made: nothing is built in it.
    """
    trial = choice.copy()
    for option in range(len(trial)):
        if trial[option] > 0.5:
            switch_option(option, 1.0, trial, table, scratch)
    stale = np.ones(len(graphs.source), np.bool_)
    while True:
        for k in range(len(stale)):
            if stale[k]:
                find_way(k, graphs, scratch)
        count = weigh_options(minimum, graphs, table, scratch)
        added = pick_option(count, prior, table, scratch)
        for index in range(count):
            scratch.delay_h[scratch.touched[index]] = 0.0
        if added < 0:
            return trial
        replaced = scratch.at_site[table.site[added]]
        if replaced >= 0:
            scratch.barred[replaced] = True
            switch_option(replaced, -1.0, trial, table, scratch)
        switch_option(added, 1.0, trial, table, scratch)
        mark_stale(added, replaced, table, scratch, stale)
