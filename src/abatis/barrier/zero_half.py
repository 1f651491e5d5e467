"""Zero-half cuts: an odd number of rows, added up, halved and rounded up.

In words: three demands of which every site helps two at most need two sites, though one and a half halves
would do for the linear programme. Source: Caprara and Fischetti (1996), {0, 1/2}-Chvatal-Gomory cuts; here
the halves are rounded by mixed-integer rounding, which keeps parts of delays.
"""

from __future__ import annotations

import numpy as np

from abatis.barrier._zero_half import MOST_FOUND, add_pairs, find_triples, pick_unlike
from abatis.barrier.paths import BoxRows

MOST_TIGHT = 80
MOST_SLACK = 0.05
LEAST_BROKEN = 0.02
MOST_COMPARED = 200
MOST_CUTS = 20
MOST_ALIKE = 0.9
WIDENED = 5
MOST_PAIRS = 4
LEAST_CHOICE = 1e-9


def find_zero_halves(rows: BoxRows, choice: np.ndarray) -> list[np.ndarray]:
    """Sets of rows, int32 numbers of the pool, whose halved sum a point float64[O] breaks; worst first."""
    tight, share, need, some = _measure_tight(rows, choice)
    if len(tight) < 3:
        return []
    value = choice[some]
    triples, broken = np.empty((MOST_FOUND, 3), np.int64), np.empty(MOST_FOUND)
    found = find_triples(share, need, value, LEAST_BROKEN, triples, broken)
    worst = np.argsort(-broken[:found], kind="stable")[:MOST_COMPARED]
    sets = np.zeros((len(worst) + min(WIDENED, len(worst)), len(tight)), bool)
    np.put_along_axis(sets[: len(worst)], triples[worst], True, axis=1)
    broken = np.append(broken[worst], broken[worst[:WIDENED]])
    for place in range(len(worst), len(sets)):
        sets[place] = sets[place - len(worst)]
        broken[place] = add_pairs(sets[place], share, need, value, broken[place], MOST_PAIRS)
    order = np.argsort(-broken, kind="stable")
    picked = np.empty(MOST_CUTS, np.int64)
    count = pick_unlike(sets, order, share, need, value, MOST_CUTS, MOST_ALIKE, picked)
    return [np.sort(tight[sets[one]]) for one in picked[:count]]


def _measure_tight(
    rows: BoxRows, choice: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows without band that a point just keeps: numbers, counts [M, N], needs, and the N options of it."""
    some = np.flatnonzero(choice > LEAST_CHOICE)
    column = np.full(len(choice), -1, np.int64)
    column[some] = np.arange(len(some))
    scale = np.where(rows.fills == 0.0, rows.needs / rows.room_h, 0.0)
    sums = np.append(0.0, np.cumsum(rows.coefficients * choice[rows.options]))
    slack = np.where(scale > 0.0, scale * np.diff(sums[rows.starts]) - rows.needs, np.inf)
    tight: list[int] = []
    counts: dict[bytes, np.ndarray] = {}
    for row in np.argsort(slack, kind="stable"):
        if slack[row] > MOST_SLACK or len(tight) == MOST_TIGHT:
            break
        part = slice(rows.starts[row], rows.starts[row + 1])
        at, own = column[rows.options[part]], np.zeros(len(some))
        own[at[at >= 0]] = scale[row] * rows.coefficients[part][at >= 0]
        if own.tobytes() not in counts:
            counts[own.tobytes()] = own
            tight.append(int(row))
    share = np.array([*counts.values()]).reshape(len(tight), len(some))
    return rows.numbers[tight].astype(np.int32), share, rows.needs[tight], some
