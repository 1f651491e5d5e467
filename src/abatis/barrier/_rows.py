"""Compiled kernels for path rows: which are violated, with which cover, and their coefficients in a box."""

from __future__ import annotations

import numpy as np
from numba import njit

from abatis.barrier.certificate import MOST_LEFT, MOST_STEPS

LONGEST_COVER = 24
COVER_WEIGHT = 0.05
FLOOR = -1
LEAST_FILL = 1e-6


@njit(cache=True, nogil=True)
def scan_paths(
    level: np.ndarray,
    base_h: np.ndarray,
    start: np.ndarray,
    option: np.ndarray,
    delay_h: np.ndarray,
    option_site: np.ndarray,
    choice: np.ndarray,
    low_h: np.ndarray,
    band_start: np.ndarray,
    band_a: np.ndarray,
    band_b: np.ndarray,
    filled: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write per path (worst violation, band, cover size, step) of bands, then of its floor, to out[P, 8].

    Bands of level l are `band_start[l]:band_start[l + 1]` with limits `band_a`, `band_b` inside the box;
    `filled` is how far each is filled at the point (0 to 1).
    """
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
        low = low_h[this]
        out[path, 0] = -1e300
        for band in range(band_start[this], band_start[this + 1]):
            if filled[band] <= LEAST_FILL or band_b[band] <= base_h[path]:
                continue
            worst, size, step = _worst_cover(
                sites, rank, weight, longest, first_of, option, delay_h, choice,
                base_h[path], band_a[band], band_b[band], low, filled[band],
            )  # fmt: skip
            if worst > out[path, 0]:
                out[path, 0] = worst
                out[path, 1] = band - band_start[this]
                out[path, 2] = size
                out[path, 3] = step
        worst, size, step = _worst_cover(
            sites, rank, weight, longest, first_of, option, delay_h, choice, base_h[path], low, low, low, 0.0
        )
        out[path, 4] = worst
        out[path, 5] = FLOOR
        out[path, 6] = size
        out[path, 7] = step


@njit(cache=True, nogil=True)
def list_cover(
    first: int,
    last: int,
    option: np.ndarray,
    delay_h: np.ndarray,
    option_site: np.ndarray,
    choice: np.ndarray,
    size: int,
) -> np.ndarray:
    """The longest options of the `size` sites of a path with the largest choice, by rising site."""
    most = last - first
    weight = np.empty(most + 1)
    longest = np.empty(most + 1)
    rank = np.empty(most + 1, np.int64)
    first_of = np.empty(most + 2, np.int64)
    sites = _group_sites(first, last, option, delay_h, option_site, choice, weight, longest, first_of)
    _rank_sites(sites, weight, rank)
    entries = np.empty(size, np.int64)
    for index in range(size):
        site = rank[index]
        entries[index] = first_of[site]
        for entry in range(first_of[site], first_of[site + 1]):
            if delay_h[entry] > delay_h[entries[index]]:
                entries[index] = entry
    entries.sort()
    cover = np.empty(size, np.int32)
    for index in range(size):
        cover[index] = option[entries[index]]
    return cover


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def _rank_sites(sites: int, weight: np.ndarray, rank: np.ndarray) -> None:
    for index in range(sites):
        place = index
        while place > 0 and weight[rank[place - 1]] < weight[index]:
            rank[place] = rank[place - 1]
            place -= 1
        rank[place] = index


@njit(cache=True, nogil=True)
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
    a_h: float,
    b_h: float,
    low_h: float,
    filled: float,
) -> tuple[float, int, float]:
    """Largest violation of a row of band [a, b], its cover and its step (0 when it counts hours).

    Covers are prefixes of the ranked sites, steps the delays of sites beyond the cover.
    """
    time_h = base_h
    worst = -1e300
    size = 0
    best_step = 0.0
    for prefix in range(min(sites, LONGEST_COVER) + 1):
        if prefix > 0:
            site = rank[prefix - 1]
            if weight[site] < COVER_WEIGHT:
                break
            time_h += longest[site]
        room = b_h - time_h
        if room <= 0.0:
            break
        total = 0.0
        for index in range(prefix, sites):
            site = rank[index]
            if weight[site] <= 0.0:
                break
            for entry in range(first_of[site], first_of[site + 1]):
                total += min(delay_h[entry], room) * choice[option[entry]]
        fill, constant = weigh_band(a_h, b_h, low_h, time_h)
        violation = constant + fill * filled - total
        if violation > worst:
            worst = violation
            size = prefix
            best_step = 0.0
        for chosen in range(prefix, sites):
            step_h = longest[rank[chosen]]
            if weight[rank[chosen]] <= 0.0 or not is_stepped(room, step_h):
                continue
            steps, part = count_steps(room, step_h)
            empty = weigh_steps(a_h - time_h, room, a_h <= low_h, step_h)
            total = 0.0
            for index in range(prefix, sites):
                site = rank[index]
                if weight[site] <= 0.0:
                    break
                for entry in range(first_of[site], first_of[site + 1]):
                    total += round_up(min(delay_h[entry], room), step_h, part) * choice[option[entry]]
            violation = (empty + (steps - empty) * filled - total) * room / steps
            if violation > worst:
                worst = violation
                size = prefix
                best_step = step_h
    return worst, size, best_step


@njit(cache=True, nogil=True)
def is_stepped(room_h: float, step_h: float) -> bool:
    """Say whether a need counts in steps: 2 to `MOST_STEPS`, and a last one that is no rounding error."""
    if not 0.0 < step_h < room_h <= MOST_STEPS * step_h:
        return False
    return -room_h / step_h % 1.0 <= MOST_LEFT


@njit(cache=True, nogil=True)
def count_steps(room_h: float, step_h: float) -> tuple[int, float]:
    """Steps that a need takes, and the part of the last one that it uses."""
    steps = int(np.ceil(room_h / step_h))
    return steps, room_h / step_h - (steps - 1)


@njit(cache=True, nogil=True)
def round_up(hours: float, step_h: float, part: float) -> float:
    """Steps that hours count for: whole steps, and the rest as a share of `part`, at most one more."""
    if hours <= 0.0:
        return 0.0
    whole: float = np.floor(hours / step_h)
    return whole + min(1.0, (hours / step_h - whole) / part)


@njit(cache=True, nogil=True)
def weigh_steps(a_h: float, room_h: float, is_lowest: bool, step_h: float) -> float:
    """Largest e such that the line from e at a to all steps at the top stays below the steps needed."""
    steps, part = count_steps(room_h, step_h)
    if room_h <= a_h:
        return float(steps)
    empty = round_up(a_h, step_h, part) if is_lowest else 0.0
    first = max(0, int(np.floor(a_h / step_h)))
    for whole in range(first, steps):
        at_h = whole * step_h
        if a_h < at_h < room_h:
            empty = min(empty, (whole * (room_h - a_h) - steps * (at_h - a_h)) / (room_h - at_h))
    return empty


@njit(cache=True, nogil=True)
def weigh_band(a_h: float, b_h: float, low_h: float, time_h: float) -> tuple[float, float]:
    """Coefficient of the band's filling and constant of the row sum min(d, b - t) x >= constant + c y.

    The lowest band starts at the box's lower limit, which every plan in the box reaches; a floor is a lowest
    band without width.
    """
    if a_h <= low_h:
        return b_h - a_h, a_h - time_h
    if time_h <= a_h:
        return b_h - time_h, 0.0
    return b_h - a_h, a_h - time_h


@njit(cache=True, nogil=True)
def derive_rows(
    rows: np.ndarray,
    row_path: np.ndarray,
    row_band: np.ndarray,
    cover_start: np.ndarray,
    cover_option: np.ndarray,
    row_step: np.ndarray,
    level: np.ndarray,
    base_h: np.ndarray,
    start: np.ndarray,
    option: np.ndarray,
    delay_h: np.ndarray,
    option_site: np.ndarray,
    low_h: np.ndarray,
    band_start: np.ndarray,
    band_a: np.ndarray,
    band_b: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Derive rows in a box: useful row numbers, CSR (starts, options, coefficients), constants, fills, needs.

    A row reads sum coefficient x - fill y >= constant; rows whose band lies outside the box, or whose covered
    time reaches the band's upper limit, say nothing there and are left out.
    """
    size = 0
    for row in rows:
        size += start[row_path[row] + 1] - start[row_path[row]]
    kept = np.empty(len(rows), np.int64)
    starts = np.zeros(len(rows) + 1, np.int64)
    options = np.empty(size, np.int32)
    coefficients = np.empty(size)
    constants = np.empty(len(rows))
    fills = np.empty(len(rows))
    needs = np.ones(len(rows), np.int64)
    count = 0
    used = 0
    for row in rows:
        path = row_path[row]
        low = low_h[level[path]]
        a_h = low
        b_h = low
        if row_band[row] != FLOOR:
            band = band_start[level[path]] + row_band[row]
            a_h = band_a[band]
            b_h = band_b[band]
            if b_h <= a_h:
                continue
        time_h = base_h[path]
        place = cover_start[row]
        stop = cover_start[row + 1]
        first = used
        entry = start[path]
        while entry < start[path + 1]:
            site = option_site[option[entry]]
            while place < stop and option_site[cover_option[place]] < site:
                place += 1
            built_h = 0.0
            if place < stop and option_site[cover_option[place]] == site:
                for other in range(entry, start[path + 1]):
                    if option[other] == cover_option[place]:
                        built_h = delay_h[other]
            while entry < start[path + 1] and option_site[option[entry]] == site:
                if delay_h[entry] > built_h:
                    options[used] = option[entry]
                    coefficients[used] = delay_h[entry] - built_h
                    used += 1
                entry += 1
            time_h += built_h
        room = b_h - time_h
        if room <= 0.0:
            used = first
            continue
        for index in range(first, used):
            coefficients[index] = min(coefficients[index], room)
        fills[count], constants[count] = weigh_band(a_h, b_h, low, time_h)
        step_h = row_step[row]
        if is_stepped(room, step_h):
            steps, part = count_steps(room, step_h)
            unit = room / steps
            empty = weigh_steps(a_h - time_h, room, a_h <= low, step_h)
            for index in range(first, used):
                coefficients[index] = unit * round_up(coefficients[index], step_h, part)
            fills[count] = (steps - empty) * unit
            constants[count] = empty * unit
            needs[count] = steps
        kept[count] = row
        count += 1
        starts[count] = used
    return (
        kept[:count],
        starts[: count + 1],
        options[:used],
        coefficients[:used],
        constants[:count],
        fills[:count],
        needs[:count],
    )
