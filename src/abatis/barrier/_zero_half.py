"""Compiled kernels for zero-half cuts: sums of rows, halved and rounded up, and the search for them."""

from __future__ import annotations

import numpy as np
from numba import njit

from abatis.barrier.certificate import SAFETY

MOST_FOUND = 4096
LEAST_GAIN = 1e-6


@njit(cache=True, nogil=True)
def list_parts(
    rows: np.ndarray, row_path: np.ndarray, part_start: np.ndarray, part_row: np.ndarray, row_count: int
) -> np.ndarray:
    """Rows and all that they are sums of, by rising number; a sum (`row_path` -1) names earlier rows."""
    wanted = np.zeros(row_count, np.bool_)
    last = -1
    for row in rows:
        wanted[row] = True
        last = max(last, row)
    for row in range(last, -1, -1):
        if wanted[row] and row_path[row] < 0:
            for place in range(part_start[row], part_start[row + 1]):
                wanted[part_row[place]] = True
    return np.flatnonzero(wanted)


@njit(cache=True, nogil=True)
def halve(total: float, is_odd: bool) -> float:
    """Count of half a sum: whole ones, and the rest as a share of what the need has beyond whole ones."""
    whole = np.floor(0.5 * total)
    rest = 0.5 * total - whole
    return float(whole + (min(1.0, 2.0 * rest) if is_odd else rest))


@njit(cache=True, nogil=True)
def derive_sums(
    rows: np.ndarray,
    row_path: np.ndarray,
    part_start: np.ndarray,
    part_row: np.ndarray,
    plain_rows: np.ndarray,
    starts: np.ndarray,
    options: np.ndarray,
    coefficients: np.ndarray,
    room: np.ndarray,
    sizes: np.ndarray,
    needs: np.ndarray,
    option_count: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Derive the sums among `rows` (by rising number, with all their parts) from plain rows as CSR.

    Plain rows come with their numbers, room, the size of their terms and their needs in counts. Returns
    numbers, CSR, sizes and needs of the sums. A sum with a part that says nothing is left out.
    """
    plain = len(plain_rows)
    place = np.full(len(row_path), -1, np.int64)
    place[plain_rows] = np.arange(plain)
    room_for = max(64, 4 * len(options))
    out_options, out_coefficients = np.empty(room_for, np.int32), np.empty(room_for)
    numbers, out_sizes = np.empty(len(rows), np.int64), np.empty(len(rows))
    out_needs, out_starts = np.empty(len(rows), np.int64), np.zeros(len(rows) + 1, np.int64)
    total = np.zeros(option_count)
    touched = np.empty(option_count, np.int32)
    count = 0
    for row in rows:
        if row_path[row] >= 0:
            continue
        need, seen, is_whole = 0, 0, True
        for part in range(part_start[row], part_start[row + 1]):
            at = place[part_row[part]]
            if at < 0:
                is_whole = False
            elif at < plain:
                scale = needs[at] / room[at] * (1.0 + SAFETY * (1.0 + sizes[at] / room[at]))
                need += needs[at]
                seen = _add_counts(
                    starts[at], starts[at + 1], options, coefficients, scale, total, touched, seen
                )
            else:
                at -= plain
                scale = 1.0 + SAFETY * (1.0 + out_sizes[at] / out_needs[at])
                need += out_needs[at]
                first, last = out_starts[at], out_starts[at + 1]
                seen = _add_counts(first, last, out_options, out_coefficients, scale, total, touched, seen)
        first = out_starts[count]
        if first + seen > len(out_options):
            more = max(len(out_options), seen)
            out_options = np.append(out_options, np.empty(more, np.int32))
            out_coefficients = np.append(out_coefficients, np.empty(more))
        out_needs[count] = (need + 1) // 2
        out_sizes[count] = out_needs[count]
        for index in range(seen):
            option = touched[index]
            out_options[first + index] = option
            out_coefficients[first + index] = halve(total[option], need % 2 == 1)
            out_sizes[count] += out_coefficients[first + index]
            total[option] = 0.0
        if is_whole:
            numbers[count] = row
            place[row] = plain + count
            count += 1
            out_starts[count] = first + seen
    used = out_starts[count]
    return (
        numbers[:count],
        out_starts[: count + 1],
        out_options[:used],
        out_coefficients[:used],
        out_sizes[:count],
        out_needs[:count],
    )


@njit(cache=True, nogil=True)
def _add_counts(
    first: int,
    last: int,
    options: np.ndarray,
    coefficients: np.ndarray,
    scale: float,
    total: np.ndarray,
    touched: np.ndarray,
    seen: int,
) -> int:
    """Add the entries of a row to `total`, options new there to `touched`; returns how many it has."""
    for entry in range(first, last):
        option = options[entry]
        if total[option] == 0.0:
            touched[seen] = option
            seen += 1
        total[option] += scale * coefficients[entry]
    return seen


@njit(cache=True, nogil=True)
def find_triples(
    share: np.ndarray,
    need: np.ndarray,
    choice: np.ndarray,
    least: float,
    members: np.ndarray,
    broken: np.ndarray,
) -> int:
    """Three rows float64[M, N] (in counts) whose halved sum a point float64[N] breaks by over `least`.

    Writes rows to members[F, 3] and by how much to broken[F]; returns how many there are.
    """
    rows, columns = share.shape
    pair = np.empty(columns)
    found = 0
    for first in range(rows):
        for second in range(first + 1, rows):
            least_sum = 0.0
            for column in range(columns):
                pair[column] = share[first, column] + share[second, column]
                least_sum += halve(pair[column], True) * choice[column]
            both = need[first] + need[second]
            for third in range(second + 1, rows):
                if (both + need[third]) % 2 == 0:
                    continue
                left = (both + need[third] + 1) // 2 - least
                if least_sum >= left:
                    continue
                for column in range(columns):
                    left -= halve(pair[column] + share[third, column], True) * choice[column]
                    if left <= 0.0:
                        break
                if left > 0.0:
                    members[found, 0], members[found, 1], members[found, 2] = first, second, third
                    broken[found] = left + least
                    found += 1
                    if found == len(broken):
                        return found
    return found


@njit(cache=True, nogil=True)
def add_pairs(
    chosen: np.ndarray, share: np.ndarray, need: np.ndarray, choice: np.ndarray, broken: float, most: int
) -> float:
    """Add pairs of rows to an odd sum (chosen bool[M]) while a point breaks it more and more."""
    rows, columns = share.shape
    total = np.zeros(columns)
    whole = 0
    for row in range(rows):
        if chosen[row]:
            total += share[row]
            whole += need[row]
    for _ in range(most):
        best_first, best_second, best = -1, -1, broken + LEAST_GAIN
        for first in range(rows):
            if chosen[first]:
                continue
            for second in range(first + 1, rows):
                if chosen[second] or (whole + need[first] + need[second]) % 2 == 0:
                    continue
                left = (whole + need[first] + need[second] + 1) // 2 - best
                for column in range(columns):
                    both = share[first, column] + share[second, column]
                    left -= halve(total[column] + both, True) * choice[column]
                    if left <= 0.0:
                        break
                if left > 0.0:
                    best_first, best_second, best = first, second, best + left
        if best_first < 0:
            break
        chosen[best_first] = chosen[best_second] = True
        total += share[best_first] + share[best_second]
        whole += need[best_first] + need[best_second]
        broken = best
    return broken


@njit(cache=True, nogil=True)
def pick_unlike(
    sets: np.ndarray,
    order: np.ndarray,
    share: np.ndarray,
    need: np.ndarray,
    choice: np.ndarray,
    most: int,
    most_alike: float,
    picked: np.ndarray,
) -> int:
    """Pick sets of rows (bool[S, M]) in an order whose cuts point in different directions at a point.

    Writes the places of the picked to `picked`; returns how many. Two cuts are alike by the cosine between
    their counts times the point.
    """
    columns = share.shape[1]
    shape = np.empty((most, columns))
    count = 0
    for one in order:
        total = np.zeros(columns)
        for row in range(len(need)):
            if sets[one, row]:
                total += share[row]
        length = 0.0
        for column in range(columns):
            shape[count, column] = halve(total[column], True) * choice[column]
            length += shape[count, column] ** 2
        shape[count] /= np.sqrt(length)
        alike = False
        for other in range(count):
            cosine = 0.0
            for column in range(columns):
                cosine += shape[count, column] * shape[other, column]
            if cosine > most_alike:
                alike = True
                break
        if not alike:
            picked[count] = one
            count += 1
            if count == most:
                return count
    return count
