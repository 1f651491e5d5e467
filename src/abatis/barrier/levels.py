"""Levels (arrival times as variables) and boxes of them: the parts of the search space."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from abatis.model.plan import Problem

TOLERANCE_SHARE = 2e-8
LEAST_SPAN = 1e-7
PAIRS_EACH = 4
LEAST_RANGE_H = 1e-300
ROUNDING = 1e-9
NO_OPTIONS = np.empty(0, np.int32)


@dataclass(frozen=True)
class Levels:
    """The level variables: approaches that share one, their weights, and the box known at the root.

    With a weighted sum every approach has its own level; with the minimum all share one; an approach that a
    rule asks for hours has its own level of weight 0 as well.

    `onward` has (k, j, hours) where a mover of approach k, once there, reaches the objective of j within
    these hours under any plan, and may start where k starts: j arrives at most so much later than k.
    """

    of_approach: tuple[tuple[int, ...], ...]
    weight: np.ndarray
    low_h: np.ndarray
    high_h: np.ndarray
    onward: tuple[tuple[int, int, float], ...] = ()

    def tighten(self, box: Box) -> Box:
        """Cut a box by what arrivals owe each other: z_j <= z_k + h for every (k, j, h) of `onward`.

        Examples
        --------
        >>> two = np.array([1.0, 1.0])
        >>> levels = Levels(((0,), (1,)), two, 0 * two, 9 * two, ((0, 1, 2.0),))
        >>> box = levels.tighten(Box(np.array([0.0, 6.0]), np.array([5.0, 9.0]), ()))
        >>> box.low_h.tolist(), box.high_h.tolist()
        ([4.0, 6.0], [5.0, 7.0])
        """
        low_h, high_h = box.low_h.copy(), box.high_h.copy()
        for k, j, hours in self.onward:
            high_h[j], low_h[k] = min(high_h[j], high_h[k] + hours), max(low_h[k], low_h[j] - hours)
        return Box(low_h, high_h, box.fixed, box.closed)

    @cached_property
    def span_h(self) -> float:
        """Weighted hours between the slowest and the fastest plan imaginable: the scale of the problem."""
        top_h = float(self.weight @ self.high_h)
        return max(float(self.weight @ (self.high_h - self.low_h)), LEAST_SPAN * top_h) or 1.0

    @property
    def tolerance_h(self) -> float:
        """Hours that do not count: a small share of the span, so that any unit of time may be used."""
        return TOLERANCE_SHARE * self.span_h


@dataclass(frozen=True)
class Box:
    """A part of the search space: levels between `low_h` and `high_h`, some options fixed to 0 or 1.

    `closed` int32[n] are options that no plan worth finding has there (see `Exclusion`).
    """

    low_h: np.ndarray
    high_h: np.ndarray
    fixed: tuple[tuple[int, int], ...]
    closed: np.ndarray = field(default_factory=lambda: NO_OPTIONS)

    @property
    def is_empty(self) -> bool:
        """True when some level has no time left."""
        return bool((self.low_h > self.high_h).any())

    def levels_key(self) -> bytes:
        """Bytes that are equal when two boxes have the same levels."""
        return self.low_h.tobytes() + self.high_h.tobytes()

    def split(self, kind: str, item: int, value: float, grain_h: float) -> tuple[Box, Box]:
        """Split at a level (up to `value`, and from the next possible level on) or at an option (0 and 1)."""
        if kind == "option":
            return self.fix(item, 0), self.fix(item, 1)
        low_h, high_h = self.low_h.copy(), self.high_h.copy()
        high_h[item] = value
        low_h[item] = value + grain_h
        return replace(self, high_h=high_h), replace(self, low_h=low_h)

    def fix(self, option: int, value: int) -> Box:
        """Leave an option out (0) or choose it (1)."""
        return replace(self, fixed=(*self.fixed, (option, value)))

    def close(self, options: np.ndarray) -> Box:
        """Leave out many options, int32[n]."""
        return replace(self, closed=np.union1d(self.closed, options).astype(np.int32))

    def lower_top(self) -> Box:
        """The same with every level at its lower end."""
        return replace(self, high_h=self.low_h)

    def limit_options(self, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper limit of every option; choosing one closes the others of its site."""
        lower, upper = np.zeros(problem.option_count), np.ones(problem.option_count)
        upper[self.closed] = 0.0
        for option, value in self.fixed:
            if value:
                upper[problem.option_site == problem.option_site[option]] = 0.0
                upper[option] = lower[option] = 1.0
            else:
                upper[option] = 0.0
        return lower, upper


def list_onward(
    onward_h: np.ndarray, before_h: np.ndarray, slowest_h: np.ndarray
) -> tuple[tuple[int, int, float], ...]:
    """List the pairs of levels that bind each other most, see `Levels.onward`: up to `PAIRS_EACH` per level.

    Parameters
    ----------
    onward_h : float64[K, K], hours from the objective of k to that of j under any plan (inf: not comparable).
    before_h, slowest_h : float64[K], arrival times without barriers and with all of them.

    In words: the slack of (k, j) is the share of j's range that j could gain before it has to wait for k;
    pairs with the least slack come first, and hours are rounded up.

    Examples
    --------
    >>> hours = np.array([[np.inf, 2.0], [np.inf, np.inf]])
    >>> [(k, j, round(h, 6)) for k, j, h in list_onward(hours, np.array([1.0, 3.0]), np.array([4.0, 9.0]))]
    [(0, 1, 2.0)]
    """
    hours = onward_h * (1 + ROUNDING) + ROUNDING
    slack = (before_h[:, None] + hours - before_h) / np.maximum(slowest_h - before_h, LEAST_RANGE_H)
    pairs = [(int(k), int(j)) for k, j in zip(*np.nonzero(slack < 1.0), strict=True)]
    pairs = sorted(pairs, key=lambda pair: (slack[pair], pair))[: PAIRS_EACH * len(before_h)]
    return tuple((k, j, float(hours[k, j])) for k, j in pairs)
