"""Compiled search for the paths and covers that a fractional plan breaks most."""

from __future__ import annotations

import numpy as np
from numba import njit

from abatis.barrier._heap import pop_heap, push_heap

MOST_WAYS = 16
OPEN = -1
ALL_LONGEST = -2


@njit(cache=True, nogil=True)
def list_ways(
    start: np.ndarray, option: np.ndarray, delay_h: np.ndarray, site: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Per candidate the ways to cross it: open, or built to each of its options by rising delay.

    Candidate c has the options `option[start[c]:start[c + 1]]`. Where options of several sites delay one
    crossing, it is open or all these sites are at their longest. Returns the first way of each candidate,
    hours and option (or `OPEN`, `ALL_LONGEST`) of each way, and pairs of a way and an option longer than it.
    """
    widths = np.diff(start)
    most = int(widths.max()) if len(widths) else 0
    way_start = np.zeros(len(start), np.int64)
    hours, built = np.empty(len(option) + len(widths)), np.empty(len(option) + len(widths), np.int64)
    room = int((widths * np.minimum(widths + 1, MOST_WAYS)).sum())
    owner, longer = np.empty(room, np.int64), np.empty(room, np.int64)
    ways = pairs = 0
    rising = np.empty(most, np.int64)
    for c in range(len(widths)):
        entries = _sort_entries(start[c], start[c + 1], delay_h, rising)
        hours[ways], built[ways] = 0.0, OPEN
        for entry in rising[:entries]:
            if delay_h[entry] > 0.0:
                owner[pairs], longer[pairs] = ways, option[entry]
                pairs += 1
        ways += 1
        total_h = _sum_longest_of_sites(rising[:entries], option, delay_h, site)
        if total_h >= 0.0:
            hours[ways], built[ways] = total_h, ALL_LONGEST
            ways += 1
            way_start[c + 1] = ways
            continue
        for i in range(entries):
            last = i == entries - 1
            if not last and delay_h[rising[i]] == delay_h[rising[i + 1]]:
                continue
            if not last and ways - way_start[c] == MOST_WAYS - 1:
                continue
            hours[ways], built[ways] = delay_h[rising[i]], option[rising[i]]
            for other in rising[i + 1 : entries]:
                owner[pairs], longer[pairs] = ways, option[other]
                pairs += 1
            ways += 1
        way_start[c + 1] = ways
    return way_start, hours[:ways], built[:ways], owner[:pairs], longer[:pairs]


@njit(cache=True, nogil=True)
def _sort_entries(first: int, last: int, delay_h: np.ndarray, rising: np.ndarray) -> int:
    """Put the entries `first:last` into `rising` by rising delay, ties as they come; returns how many."""
    for entry in range(first, last):
        i = entry - first
        while i > 0 and delay_h[rising[i - 1]] > delay_h[entry]:
            rising[i] = rising[i - 1]
            i -= 1
        rising[i] = entry
    return last - first


@njit(cache=True, nogil=True)
def _sum_longest_of_sites(
    rising: np.ndarray, option: np.ndarray, delay_h: np.ndarray, site: np.ndarray
) -> float:
    """Longest hours of each site of one crossing, summed; -1 where all its options are of one site.

    `rising` holds the entries by rising delay.
    """
    total_h, sites = 0.0, 0
    for i in range(len(rising) - 1, -1, -1):
        is_seen = False
        for j in range(i + 1, len(rising)):
            if site[option[rising[j]]] == site[option[rising[i]]]:
                is_seen = True
        if not is_seen:
            total_h += delay_h[rising[i]]
            sites += 1
    return total_h if sites > 1 else -1.0


@njit(cache=True, nogil=True)
def search_covers(
    start: np.ndarray,
    head: np.ndarray,
    base_h: np.ndarray,
    candidate: np.ndarray,
    way_start: np.ndarray,
    way_delay_h: np.ndarray,
    way_weight: np.ndarray,
    guide_h: np.ndarray,
    source: int,
    target: int,
    steps: int,
    limit_h: np.ndarray,
    time_h: np.ndarray,
    parent: np.ndarray,
    least: np.ndarray,
    keys: np.ndarray,
    items: np.ndarray,
) -> int:
    """Least hours to the target for every weight below `steps`; returns the number of labels settled.

    A candidate c is crossed in one of the ways `way_start[c]:way_start[c + 1]`, by rising `way_delay_h` and
    falling `way_weight`; the first is open.
    `time_h[node * steps + w]` receives the least hours with weight w (inf when beaten by a lower weight) and
    `parent` the arc used times `MOST_WAYS` plus the way; labels of weight w that cannot reach the target
    before `limit_h[w]` (falling with w) are left out.
    """
    time_h[:] = np.inf
    parent[:] = -2
    least[:] = steps
    if not guide_h[source] < limit_h[0]:
        return 0
    settled = 0
    time_h[source * steps] = 0.0
    parent[source * steps] = -1
    size = push_heap(keys, items, 0, guide_h[source], source * steps)
    while size > 0:
        key = keys[0]
        label = items[0]
        size = pop_heap(keys, items, size)
        node = label // steps
        spent = label - node * steps
        reached = time_h[label]
        if spent >= least[node] or key > reached + guide_h[node]:
            continue
        least[node] = spent
        settled += 1
        if node == target:
            if spent == 0:
                break
            continue
        for arc in range(start[node], start[node + 1]):
            other = head[arc]
            crossed = candidate[arc]
            first = way_start[crossed] if crossed >= 0 else 0
            ways = way_start[crossed + 1] - first if crossed >= 0 else 1
            for way in range(ways):
                total = reached + base_h[arc]
                after = spent
                if crossed >= 0:
                    if way > 0 and way_weight[first + way] == way_weight[first + way - 1]:
                        continue
                    total += way_delay_h[first + way]
                    after += way_weight[first + way]
                if after >= least[other] or not total + guide_h[other] < limit_h[after]:
                    continue
                place = other * steps + after
                if total < time_h[place]:
                    time_h[place] = total
                    parent[place] = MOST_WAYS * arc + way
                    if size == len(keys):
                        keys = np.append(keys, np.empty(size, np.float64))
                        items = np.append(items, np.empty(size, np.int32))
                    size = push_heap(keys, items, size, total + guide_h[other], place)
    return settled


@njit(cache=True, nogil=True)
def trace_steps(
    place: int,
    steps: int,
    tail: np.ndarray,
    candidate: np.ndarray,
    way_start: np.ndarray,
    way_weight: np.ndarray,
    parent: np.ndarray,
) -> np.ndarray:
    """The entries of `parent` from the source to a settled label, in order of travel."""
    length = 0
    label = place
    for turn in range(2):
        if turn == 1:
            found = np.empty(length, np.int64)
            label = place
        index = length
        while parent[label] >= 0:
            step = parent[label]
            arc = step // MOST_WAYS
            index -= 1
            if turn == 1:
                found[index] = step
            else:
                length += 1
            spent = label - (label // steps) * steps
            if candidate[arc] >= 0:
                spent -= way_weight[way_start[candidate[arc]] + step - arc * MOST_WAYS]
            label = tail[arc] * steps + spent
    return found
