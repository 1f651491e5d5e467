"""One line of the table of `abatis validate`: the mesh's number beside its source's."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Comparison:
    """A number of the mesh, the same from its sources, and how far they may lie apart.

    `check` and `subject` say what is compared, `unit` in what; `difference_percent` lies within `low_percent`
    to `high_percent` when the mesh is true to its sources; `note` explains the limits.
    """

    check: str
    subject: str
    unit: str
    mesh: float
    source: float
    difference_percent: float
    low_percent: float
    high_percent: float
    note: str = ""

    @property
    def fits(self) -> bool:
        """True when the difference lies within its limits."""
        return self.low_percent <= self.difference_percent <= self.high_percent


def compare_numbers(
    check: str,
    subject: str,
    unit: str,
    numbers: tuple[float, float],
    limits: float | tuple[float, float],
    note: str = "",
) -> Comparison:
    """Compare a number of the mesh with its source's.

    Parameters
    ----------
    check, subject, unit : what is compared.
    numbers : the mesh's and the source's.
    limits : allowed difference in percent, the same on both sides or (lowest, highest).
    note : what the limits rest on.

    Formula: difference = 100 (mesh / source - 1); 0 when both are 0, infinite when only the source is.

    Examples
    --------
    >>> row = compare_numbers("people", "LT", "persons", (103.0, 100.0), 2.0)
    >>> round(row.difference_percent, 6), row.fits
    (3.0, False)
    """
    mesh, source = numbers
    without_source = math.inf if mesh else 0.0
    difference = 100 * (mesh / source - 1) if source else without_source
    low, high = limits if isinstance(limits, tuple) else (-limits, limits)
    return Comparison(check, subject, unit, mesh, source, difference, low, high, note)
