"""The schedule: which option starts in which year, what holds at the end of each year, and how far from best."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from abatis.model.errors import Fault, InfeasibleError, InputError
from abatis.model.plan import Problem
from abatis.programme.improving import Improver, place_serially
from abatis.programme.limits import Limits, lay_out_fixed, make_limits
from abatis.programme.terms import NEVER, Terms
from abatis.programme.timeline import make_timeline
from abatis.programme.yearly_bounds import YearBound, bound_year

Progress = Callable[[str, float], None]
SMALL_COLUMNS = 120
FIRST_SHARE = 0.35
WINDOW_S = 1.0
YEAR_GAP_SHARE = 0.25


@dataclass(frozen=True)
class Schedule:
    """A plan laid out over years.

    `years` int64[Y]; `start_year`, `finish_year` int64[n], calendar years, -1 when never; the effect holds at
    the end of the finish year. `spend_eur` float64[L, Y] by budget line in base-year prices, `nominal_eur` the
    same in prices of the year; locked lines spend what they have. `held_h` float64[K, Y] are arrival times at
    the end of each year, `value_h` float64[Y] their weighted sum (or least), `objective` the discounted sum of
    these, `bound` what no schedule can exceed, `gap` = (bound - objective) / objective. `gain_gap` is the same
    over the hours that the programme adds.
    """

    years: np.ndarray
    option_keys: tuple[str, ...]
    lines: tuple[str, ...]
    start_year: np.ndarray
    finish_year: np.ndarray
    spend_eur: np.ndarray
    nominal_eur: np.ndarray
    held_h: np.ndarray
    value_h: np.ndarray
    bound_h: np.ndarray
    before_h: float
    objective: float
    bound: float
    gap: float
    gain_gap: float
    exact: bool
    seconds: float
