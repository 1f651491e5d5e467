"""Compiled kernels of the covering: equal points, cuts, dominance of sites, and moves between plans.

A group is a set of points seen by the same sites; `covering.py` says how the method works. Lists are in
compressed rows throughout: the entries of row r are `list[start[r]:start[r + 1]]`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

TIGHT = 1e-9
NONE = np.int32(-1)
KINDS, NODES, FREE = 0, 1, 2


class Pieces(NamedTuple):
    """Groups as the kernels see them: weight float64[G], need int8[G], lists both ways.

    `site_start`, `site` list the sites of each group in rising order; `group_start`, `group` the groups of
    each site. `need` is how many sites must be chosen for the group to count: 1 or 2.
    """

    weight: np.ndarray
    need: np.ndarray
    site_start: np.ndarray
    site: np.ndarray
    group_start: np.ndarray
    group: np.ndarray


@njit(cache=True, nogil=True)
def check_lists(start: np.ndarray, point: np.ndarray, point_count: int) -> tuple[int, bool]:
    """Return how many entries lie outside the points, and whether every list rises strictly."""
    outside, rising = 0, True
    for site in range(len(start) - 1):
        last = -1
        for a in range(start[site], start[site + 1]):
            p = point[a]
            if p < 0 or p >= point_count:
                outside += 1
            if p <= last:
                rising = False
            last = p
    return outside, rising


@njit(cache=True, nogil=True)
def _grow(array: np.ndarray, size: int) -> np.ndarray:
    larger = np.empty(size, array.dtype)
    larger[: len(array)] = array
    return larger


@njit(cache=True, nogil=True)
def refine_points(
    kind: np.ndarray,
    first_kinds: int,
    low: int,
    starts: np.ndarray,
    stops: np.ndarray,
    point: np.ndarray,
    sites: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split points into those with equal sets of sites: one pass, a set at a time.

    `kind` int32[points] begins with kinds below `first_kinds` and ends with the kind of each point; points
    are numbered from `low` on. Entries of site `sites[s]` stand at `starts[s]:stops[s]`. Returns `node` int32
    of each kind, and for each node the node it was split from and the site that split it: a kind's set of
    sites is read by going up (nodes below `first_kinds` have none).
    """
    room = max(64, 2 * first_kinds)
    size, node = np.zeros(room, np.int32), np.zeros(room, np.int32)
    target, split_at, born_at = np.empty(room, np.int32), np.full(room, NONE), np.full(room, NONE)
    free = np.empty(room, np.int32)
    parent, origin = np.full(room, NONE), np.full(room, NONE)
    counts = np.array([first_kinds, first_kinds, 0], np.int32)
    node[:first_kinds] = np.arange(first_kinds)
    for p in range(len(kind)):
        size[kind[p]] += 1
    for s in range(len(sites)):
        # A site splits each kind at most once.
        most = min(int(counts[KINDS]), stops[s] - starts[s])
        if counts[KINDS] + most > len(size):
            room = 2 * (counts[KINDS] + most)
            size, node, target = _grow(size, room), _grow(node, room), _grow(target, room)
            split_at, born_at, free = _grow(split_at, room), _grow(born_at, room), _grow(free, room)
            born_at[counts[KINDS] :], split_at[counts[KINDS] :] = NONE, NONE
        if counts[NODES] + most > len(parent):
            room = 2 * (counts[NODES] + most)
            parent, origin = _grow(parent, room), _grow(origin, room)
        members = point[starts[s] : stops[s]]
        _split_kinds(
            members,
            low,
            s,
            sites[s],
            kind,
            size,
            node,
            target,
            split_at,
            born_at,
            free,
            parent,
            origin,
            counts,
        )
    return node[: counts[KINDS]], parent[: counts[NODES]], origin[: counts[NODES]]


@njit(cache=True, nogil=True)
def _split_kinds(
    members: np.ndarray,
    low: int,
    s: int,
    site: int,
    kind: np.ndarray,
    size: np.ndarray,
    node: np.ndarray,
    target: np.ndarray,
    split_at: np.ndarray,
    born_at: np.ndarray,
    free: np.ndarray,
    parent: np.ndarray,
    origin: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Move the points that one site sees to kinds of their own; a kind left empty is used again."""
    for a in range(len(members)):
        p = members[a] - low
        old = kind[p]
        if born_at[old] == s:
            continue
        if split_at[old] != s:
            split_at[old] = s
            if counts[FREE] > 0:
                counts[FREE] -= 1
                new = free[counts[FREE]]
            else:
                new = counts[KINDS]
                counts[KINDS] += 1
            at = counts[NODES]
            counts[NODES] += 1
            parent[at], origin[at], node[new] = node[old], site, at
            size[new], split_at[new], born_at[new] = 0, NONE, s
            target[old] = new
        new = target[old]
        kind[p] = new
        size[new] += 1
        size[old] -= 1
        if size[old] == 0:
            free[counts[FREE]] = old
            counts[FREE] += 1


@njit(cache=True, nogil=True)
def list_kinds(
    kind: np.ndarray,
    weight: np.ndarray,
    node: np.ndarray,
    parent: np.ndarray,
    origin: np.ndarray,
    least: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Gather the kinds that have points, weight and enough sites.

    `least` int8[first kinds] says how many sites a point of that first kind needs. Returns weight, need,
    start and sites (rising) of each kind kept, in the order of their first points.
    """
    row = np.full(len(node), NONE)
    total = np.zeros(len(node))
    order = np.empty(len(node), np.int32)
    seen = 0
    for p in range(len(kind)):
        k = kind[p]
        if weight[p] > 0.0:
            if row[k] < 0:
                row[k] = seen
                order[seen] = k
                seen += 1
            total[k] += weight[p]
    rows, entries = 0, 0
    for r in range(seen):
        length, at = 0, node[order[r]]
        while parent[at] >= 0:
            length, at = length + 1, parent[at]
        if least[at] > 0 and length >= least[at]:
            order[rows] = order[r]
            rows += 1
            entries += length
    start, site = np.zeros(rows + 1, np.int64), np.empty(entries, np.int32)
    weights, need = np.empty(rows), np.empty(rows, np.int8)
    fill = 0
    for r in range(rows):
        at = node[order[r]]
        while parent[at] >= 0:
            site[fill] = origin[at]
            fill, at = fill + 1, parent[at]
        start[r + 1] = fill
        site[start[r] : fill] = site[start[r] : fill][::-1].copy()
        weights[r], need[r] = total[order[r]], least[at]
    return weights, need, start, site


@njit(cache=True, nogil=True)
def transpose_lists(start: np.ndarray, column: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Turn lists by row into lists by column; rows rise in each."""
    out_start = np.zeros(columns + 1, np.int64)
    for a in range(len(column)):
        out_start[column[a] + 1] += 1
    for c in range(columns):
        out_start[c + 1] += out_start[c]
    fill, out = out_start[:-1].copy(), np.empty(len(column), np.int32)
    for r in range(len(start) - 1):
        for a in range(start[r], start[r + 1]):
            c = column[a]
            out[fill[c]] = r
            fill[c] += 1
    return out_start, out


@njit(cache=True, nogil=True)
def find_dominated(pieces: Pieces, cost: np.ndarray) -> np.ndarray:
    """Mark sites whose groups all need one site and are all seen by one other site that costs no more.

    The sites in every group of the site are kept as a shrinking list, so few groups are looked at.
    """
    sites = len(pieces.group_start) - 1
    out = np.zeros(sites, np.bool_)
    shared, stamp = np.empty(sites, np.int32), np.full(sites, np.int64(-1))
    mark = 0
    for j in range(sites - 1, -1, -1):
        first, last = pieces.group_start[j], pieces.group_start[j + 1]
        count = 0
        for a in range(first, last):
            g = pieces.group[a]
            if pieces.need[g] > 1:
                count = 0
                break
            mark += 1
            for b in range(pieces.site_start[g], pieces.site_start[g + 1]):
                i = pieces.site[b]
                stamp[i] = mark
                if a == first and i != j and not out[i] and cost[i] <= cost[j]:
                    shared[count] = i
                    count += 1
            kept = 0
            for c in range(count):
                if stamp[shared[c]] == mark:
                    shared[kept] = shared[c]
                    kept += 1
            count = kept
            if count == 0:
                break
        out[j] = first == last or count > 0
    return out


@njit(cache=True, nogil=True)
def count_covered(pieces: Pieces, chosen: np.ndarray) -> float:
    """Weight of the groups that have as many chosen sites as they need."""
    total = 0.0
    for g in range(len(pieces.weight)):
        count = 0
        for a in range(pieces.site_start[g], pieces.site_start[g + 1]):
            count += chosen[pieces.site[a]]
        if count >= pieces.need[g]:
            total += pieces.weight[g]
    return total


@njit(cache=True, nogil=True)
def measure_support(pieces: Pieces, block_start: np.ndarray) -> int:
    """Number of different sites in each block of groups, added up: the most entries of one round of cuts."""
    last = np.full(len(pieces.group_start) - 1, NONE)
    total = 0
    for k in range(len(block_start) - 1):
        for a in range(pieces.site_start[block_start[k]], pieces.site_start[block_start[k + 1]]):
            if last[pieces.site[a]] != k:
                last[pieces.site[a]] = k
                total += 1
    return total


@njit(cache=True, nogil=True)
def find_cuts(
    pieces: Pieces,
    block_start: np.ndarray,
    choice: np.ndarray,
    filled: np.ndarray,
    least: float,
    entries: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    """Tangents of the blocks' weight at a fractional choice, for blocks whose `filled` exceeds it by `least`.

    A group with sum s and largest part t of its sites counts min(1, s) when it needs one site and
    min(1, s / 2, s - t) when it needs two: concave, and exact where the choice is whole. Returns block,
    constant, start, site and coefficient of each cut, and the weight of the choice over all blocks.
    """
    sites = len(pieces.group_start) - 1
    slope, touched, is_touched = np.zeros(sites), np.empty(sites, np.int32), np.zeros(sites, np.bool_)
    blocks = len(block_start) - 1
    block, constant = np.empty(blocks, np.int32), np.empty(blocks)
    start, site, coefficient = np.zeros(blocks + 1, np.int64), np.empty(entries, np.int32), np.empty(entries)
    cuts, fill, whole = 0, 0, 0.0
    for k in range(blocks):
        base, count = 0.0, 0
        for g in range(block_start[k], block_start[k + 1]):
            first, last = pieces.site_start[g], pieces.site_start[g + 1]
            total, most, at = 0.0, -1.0, NONE
            for a in range(first, last):
                part = choice[pieces.site[a]]
                total += part
                if part > most:
                    most, at = part, pieces.site[a]
            rate, skip = pieces.weight[g], NONE
            if pieces.need[g] == 2:
                if total - most < 0.5 * total:
                    total, skip = total - most, at
                else:
                    total, rate = 0.5 * total, 0.5 * rate
            if total >= 1.0 - TIGHT:
                base += pieces.weight[g]
                continue
            for a in range(first, last):
                j = pieces.site[a]
                if j == skip:
                    continue
                if not is_touched[j]:
                    is_touched[j] = True
                    touched[count] = j
                    count += 1
                slope[j] += rate
        value = base
        for c in range(count):
            value += slope[touched[c]] * choice[touched[c]]
        whole += value
        wanted = filled[k] - value > least
        for c in range(count):
            j = touched[c]
            if wanted:
                site[fill], coefficient[fill] = j, slope[j]
                fill += 1
            slope[j], is_touched[j] = 0.0, False
        if wanted:
            block[cuts], constant[cuts] = k, base
            cuts += 1
            start[cuts] = fill
    return block[:cuts], constant[:cuts], start[: cuts + 1], site[:fill], coefficient[:fill], whole


class Standing(NamedTuple):
    """A plan in the making: chosen bool[n], counted int32[G], and for each site what a change of it moves.

    `moved` float64[n] is the weight won by adding a site, or lost by dropping it when it is chosen; `near`
    the weight of groups of the site that would still need one more after it. `money` float64[1] is spent,
    `work` int64[1] counts entries touched.
    """

    chosen: np.ndarray
    counted: np.ndarray
    moved: np.ndarray
    near: np.ndarray
    money: np.ndarray
    work: np.ndarray


@njit(cache=True, nogil=True)
def make_standing(pieces: Pieces) -> Standing:
    """Nothing chosen yet."""
    sites, groups = len(pieces.group_start) - 1, len(pieces.weight)
    moved, near = np.zeros(sites), np.zeros(sites)
    for g in range(groups):
        for a in range(pieces.site_start[g], pieces.site_start[g + 1]):
            if pieces.need[g] == 1:
                moved[pieces.site[a]] += pieces.weight[g]
            else:
                near[pieces.site[a]] += pieces.weight[g]
    return Standing(
        np.zeros(sites, np.bool_), np.zeros(groups, np.int32), moved, near, np.zeros(1), np.zeros(1, np.int64)
    )


@njit(cache=True, nogil=True)
def flip_site(pieces: Pieces, at: Standing, cost: np.ndarray, i: int) -> float:
    """Add the site if it is out, drop it if it is in; return the change of the covered weight."""
    adding = not at.chosen[i]
    sign = 1.0 if adding else -1.0
    for a in range(pieces.group_start[i], pieces.group_start[i + 1]):
        g = pieces.group[a]
        before = at.counted[g]
        at.counted[g] = before + (1 if adding else -1)
        # How many are missing with the site out: 1 when the site decides, 0 or 2 when it is one off.
        missing = pieces.need[g] - (before if adding else before - 1)
        if missing < 0 or missing > 2:
            continue
        change = sign * pieces.weight[g]
        first, last = pieces.site_start[g], pieces.site_start[g + 1]
        at.work[0] += last - first
        for b in range(first, last):
            j = pieces.site[b]
            if missing == 2:
                at.near[j] -= change
            if j == i:
                continue
            if at.chosen[j]:
                if missing == 1:
                    at.moved[j] += change
                elif missing == 0:
                    at.moved[j] -= change
            elif missing == 1:
                at.moved[j] -= change
            elif missing == 2:
                at.moved[j] += change
    at.chosen[i] = adding
    at.money[0] += sign * cost[i]
    return sign * at.moved[i]


@njit(cache=True, nogil=True)
def _draw(state: np.ndarray) -> float:
    """Next number of [0, 1) of a xorshift generator with 64 bits of state."""
    x = state[0]
    x ^= x << np.uint64(13)
    x ^= x >> np.uint64(7)
    x ^= x << np.uint64(17)
    state[0] = x
    return float(x >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(cache=True, nogil=True)
def fill_plan(
    pieces: Pieces,
    at: Standing,
    cost: np.ndarray,
    budget: float,
    allowed: np.ndarray,
    lure: np.ndarray,
    power: float,
    near_share: float,
    added: np.ndarray,
) -> tuple[float, int]:
    """Add the best affordable site again and again; return the weight won and how many were added.

    Best is (weight won + near_share x weight nearly won) x lure / cost**power.
    """
    won, count = 0.0, 0
    while True:
        best, top = NONE, 0.0
        for j in range(len(cost)):
            if at.chosen[j] or not allowed[j] or at.money[0] + cost[j] > budget:
                continue
            score = (at.moved[j] + near_share * at.near[j]) * lure[j]
            if power > 0.0:
                score /= cost[j] ** power
            if score > top:
                best, top = np.int32(j), score
        at.work[0] += len(cost)
        if best < 0:
            return won, count
        won += flip_site(pieces, at, cost, int(best))
        added[count] = best
        count += 1


@njit(cache=True, nogil=True)
def improve_plan(
    pieces: Pieces,
    at: Standing,
    cost: np.ndarray,
    budget: float,
    state: np.ndarray,
    power: float,
    near_share: float,
    least: float,
    work: int,
) -> float:
    """Drop one to three sites and refill, keeping what is not worse, until `work` entries were touched.

    First every chosen site is dropped once, again until no drop wins; then two or three random sites with
    slightly random scores. Returns the weight won; the standing ends at the best plan found.
    """
    sites = len(cost)
    allowed, lure = np.ones(sites, np.bool_), np.ones(sites)
    added, dropped = np.empty(sites + 1, np.int32), np.empty(4, np.int32)
    won = 0.0
    until = at.work[0] + work
    cursor, quiet = 0, 0
    while at.work[0] < until:
        members = np.flatnonzero(at.chosen)
        if len(members) == 0:
            return won
        systematic = quiet <= len(members)
        if systematic:
            drops = 1
            cursor = (cursor + 1) % len(members)
            dropped[0] = members[cursor]
        else:
            drops = min(len(members), 2 + int(2.0 * _draw(state)))
            for d in range(drops):
                pick = d + int((len(members) - d) * _draw(state))
                members[d], members[pick] = members[pick], members[d]
                dropped[d] = members[d]
            for j in range(sites):
                lure[j] = 0.8 + 0.4 * _draw(state)
        change = 0.0
        for d in range(drops):
            change += flip_site(pieces, at, cost, dropped[d])
        allowed[dropped[0]] = False
        gain, count = fill_plan(pieces, at, cost, budget, allowed, lure, power, near_share, added)
        allowed[dropped[0]] = True
        change += gain
        at.work[0] += sites
        if systematic:
            quiet += 1
        else:
            lure[:] = 1.0
        if change > least or (change >= 0.0 and not systematic):
            won += change
            if change > least:
                quiet = 0
            continue
        for c in range(count):
            flip_site(pieces, at, cost, added[count - 1 - c])
        for d in range(drops):
            flip_site(pieces, at, cost, dropped[d])
    return won
