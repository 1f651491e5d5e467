"""Times whose sums are exact, so that the order in which they are added never shows in the last digit."""

from __future__ import annotations

import numpy as np

from abatis.ground.travel import check_times
from abatis.model.errors import Fault, InputError

UNIT_H = 2.0**-36
"""Times over edges are multiples of this: about 52 nanoseconds."""

LIMIT_H = 2.0**17
"""Sums of such times are exact up to here, 2^53 units: 131,072 hours, about 15 years."""


def snap_times(time_h: np.ndarray) -> np.ndarray:
    """Return float64[E], hours rounded to multiples of 2^-36 h (52 ns); inf stays inf.

    In words: sums of such times are exact, so they do not depend on the order in which they are added.

    Raises
    ------
    InputError : times that are not positive or finite ones over 131,072 h.

    Examples
    --------
    >>> bool(0.1 + (0.2 + 0.3) == (0.1 + 0.2) + 0.3)
    False
    >>> a, b, c = snap_times(np.array([0.1, 0.2, 0.3]))
    >>> bool(a + (b + c) == (a + b) + c), bool(abs(a - 0.1) < 1e-11)
    (True, True)
    """
    time_h = np.asarray(time_h, dtype=np.float64)
    check_times(time_h)
    snapped = np.asarray(np.round(time_h / UNIT_H) * UNIT_H)
    check_exact(snapped, "time_h")
    return snapped


def check_exact(times: np.ndarray, column: str) -> None:
    """Refuse finite times beyond 131,072 h, whose sums would be rounded.

    Examples
    --------
    >>> check_exact(np.array([5.0, np.inf]), "times")
    """
    beyond = int(np.count_nonzero((times > LIMIT_H) & (times < np.inf)))
    if beyond:
        raise InputError(
            [
                Fault(
                    f"{beyond} values lie over {LIMIT_H:,.0f} h, where sums are no longer exact",
                    column=column,
                    remedy="close such edges (inf)",
                )
            ]
        )
