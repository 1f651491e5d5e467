"""Compiled kernels for path rows: which are violated, with which cover, and their coefficients in a box."""

from __future__ import annotations

import numpy as np
from numba import njit

LONGEST_COVER = 24
COVER_WEIGHT = 0.05
TOP = 0
FLOOR = 1


@njit(cache=True)
def scan_paths(
    level: np.ndarray,
    base_h: np.ndarray,
    start: np.ndarray,
    option: np.ndarray,
    delay_h: np.ndarray,
    option_site: np.ndarray,
    choice: np.ndarray,
    level_h: np.ndarray,
    low_h: np.ndarray,
    high_h: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write per path the worst violation and its cover's size, `top` then `floor` rows, into out[P, 4]."""
    most = 0
    for path in range(len(base_h)):
        most = max(most, start[path + 1] - start[path])
    weight = np.empty(most + 1)
    longest = np.empty(most + 1)
    rank = np.empty(most + 1, np.int64)
    first_of = np.empty(most + 2, np.int64)
    for path in range(len(base_h)):
        sites = _group_sites(
            start[path], start[path + 1], option, delay_h, option_site, choice, weight, longest, first_of
        )
        _rank_sites(sites, weight, rank)
        this = level[path]
        for kind in range(2):
            limit = high_h[this] if kind == TOP else low_h[this]
            want = level_h[this] if kind == TOP else low_h[this]
            worst, size = _worst_cover(
                sites, rank, weight, longest, first_of, option, delay_h, choice, base_h[path], limit, want
            )
            out[path, 2 * kind] = worst
            out[path, 2 * kind + 1] = size


@njit(cache=True)
def list_cover(
    first: int,
    last: int,
    option: np.ndarray,
    delay_h: np.ndarray,
    option_site: np.ndarray,
    choice: np.ndarray,
    size: int,
) -> np.ndarray:
    """The `size` sites of a path with the largest choice, as `scan_paths` ranked them, in rising order."""
    most = last - first
    weight = np.empty(most + 1)
    longest = np.empty(most + 1)
    rank = np.empty(most + 1, np.int64)
    first_of = np.empty(most + 2, np.int64)
    sites = _group_sites(first, last, option, delay_h, option_site, choice, weight, longest, first_of)
    _rank_sites(sites, weight, rank)
    cover = np.empty(size, np.int32)
    for index in range(size):
        cover[index] = option_site[option[first_of[rank[index]]]]
    cover.sort()
    return cover


@njit(cache=True)
def _group_sites(
    first: int,
    last: int,
    option: np.ndarray,
    delay_h: np.ndarray,
    option_site: np.ndarray,
    choice: np.ndarray,
    weight: np.ndarray,
    longest: np.ndarray,
    first_of: np.ndarray,
) -> int:
    sites = 0
    for entry in range(first, last):
        if entry == first or option_site[option[entry]] != option_site[option[entry - 1]]:
            first_of[sites] = entry
            weight[sites] = 0.0
            longest[sites] = 0.0
            sites += 1
        weight[sites - 1] += choice[option[entry]]
        longest[sites - 1] = max(longest[sites - 1], delay_h[entry])
    first_of[sites] = last
    return sites


@njit(cache=True)
def _rank_sites(sites: int, weight: np.ndarray, rank: np.ndarray) -> None:
    for index in range(sites):
        place = index
        while place > 0 and weight[rank[place - 1]] < weight[index]:
            rank[place] = rank[place - 1]
            place -= 1
        rank[place] = index


@njit(cache=True)
def _worst_cover(
    sites: int,
    rank: np.ndarray,
    weight: np.ndarray,
    longest: np.ndarray,
    first_of: np.ndarray,
    option: np.ndarray,
    delay_h: np.ndarray,
    choice: np.ndarray,
    base_h: float,
    limit: float,
    want: float,
) -> tuple[float, int]:
    """Largest violation of want - t_F <= sum min(d, limit - t_F) x over prefixes F of the ranked sites."""
    time_h = base_h
    worst = -1e300
    size = 0
    for prefix in range(min(sites, LONGEST_COVER) + 1):
        if prefix > 0:
            site = rank[prefix - 1]
            if weight[site] < COVER_WEIGHT:
                break
            time_h += longest[site]
        room = limit - time_h
        if room <= 0.0:
            break
        total = 0.0
        for index in range(prefix, sites):
            site = rank[index]
            if weight[site] <= 0.0:
                break
            for entry in range(first_of[site], first_of[site + 1]):
                total += min(delay_h[entry], room) * choice[option[entry]]
        violation = want - time_h - total
        if violation > worst:
            worst = violation
            size = prefix
    return worst, size


@njit(cache=True)
def derive_rows(
    rows: np.ndarray,
    row_path: np.ndarray,
    row_kind: np.ndarray,
    cover_start: np.ndarray,
    cover_site: np.ndarray,
    level: np.ndarray,
    base_h: np.ndarray,
    start: np.ndarray,
    option: np.ndarray,
    delay_h: np.ndarray,
    option_site: np.ndarray,
    low_h: np.ndarray,
    high_h: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Derive rows in a box: useful row numbers, CSR (starts, options, coefficients) and constants.

    The constant is t_F for a `top` row and limit - t_F for a `floor` row; rows whose covered time reaches the
    limit say nothing in the box and are left out.
    """
    size = 0
    for row in rows:
        size += start[row_path[row] + 1] - start[row_path[row]]
    kept = np.empty(len(rows), np.int64)
    starts = np.zeros(len(rows) + 1, np.int64)
    options = np.empty(size, np.int32)
    coefficients = np.empty(size)
    constants = np.empty(len(rows))
    count = 0
    used = 0
    for row in rows:
        path = row_path[row]
        limit = high_h[level[path]] if row_kind[row] == TOP else low_h[level[path]]
        time_h = base_h[path]
        place = cover_start[row]
        stop = cover_start[row + 1]
        first = used
        entry = start[path]
        while entry < start[path + 1]:
            site = option_site[option[entry]]
            while place < stop and cover_site[place] < site:
                place += 1
            covered = place < stop and cover_site[place] == site
            longest = 0.0
            while entry < start[path + 1] and option_site[option[entry]] == site:
                if covered:
                    longest = max(longest, delay_h[entry])
                else:
                    options[used] = option[entry]
                    coefficients[used] = delay_h[entry]
                    used += 1
                entry += 1
            time_h += longest
        room = limit - time_h
        if room <= 0.0:
            used = first
            continue
        for index in range(first, used):
            coefficients[index] = min(coefficients[index], room)
        constants[count] = time_h if row_kind[row] == TOP else room
        kept[count] = row
        count += 1
        starts[count] = used
    return kept[:count], starts[: count + 1], options[:used], coefficients[:used], constants[:count]
