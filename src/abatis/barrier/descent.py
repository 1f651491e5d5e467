"""One level in whole steps: the hours to test one after another, so that few tests prove the bound."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from abatis.barrier.boxes import Goal, Node
from abatis.barrier.levels import Box

FIRST_STEP_SHARE = 0.005
LAST_STEPS = 4
Test = Callable[[Box], Node]


class Descent:
    """Chooses where to split the part of the range that no test covers yet, the rest.

    No plan reaches L hours, so none reaches more: one covering problem at L empties the whole box from L up.
    Where the linear programme alone rules out the first hours above the best plan, that one test is enough.
    Else the first test lies where the programme proves nothing any more; the next ones go down from
    there in steps that double, at most halfway to the best plan at a time. Each test is a tree over options.
    In words: proving 370, 369, 368 one by one would take a tree each; 361 takes hardly more than 368, and
    proves them all. But a test below what the best plan can be is in vain, so the steps begin small.
    """

    def __init__(self, goal: Goal) -> None:
        self._level = int(np.argmax(goal.levels.weight))
        self._grain_h = goal.grain_h
        self._step_h = 0.0

    def choose_split(self, box: Box, test: Test) -> tuple[str, int, float]:
        """Split the rest: its upper part is tested next, its lower part stays the rest.

        The lower part is empty when all of the rest is tested. `test` bounds a box.
        """
        low_h, high_h = float(box.low_h[self._level]), float(box.high_h[self._level])
        if self._step_h == 0.0:
            is_proven = not np.isfinite(test(box).bound_h)
            top_h = low_h - self._grain_h if is_proven else self._find_start(box, test)
            self._step_h = max(self._grain_h, self._round(FIRST_STEP_SHARE * abs(top_h)))
            if top_h < high_h:
                return "level", self._level, top_h
        first_h = max(low_h, high_h + self._grain_h - self._step_h)
        if high_h - low_h > LAST_STEPS * self._grain_h:
            first_h = max(first_h, low_h + self._round(0.5 * (high_h - low_h)))
        self._step_h *= 2.0
        return "level", self._level, first_h - self._grain_h

    def _find_start(self, box: Box, test: Test) -> float:
        """The most hours that the linear programme without fixed options does not rule out, by halving."""
        low_h, high_h = float(box.low_h[self._level]), float(box.high_h[self._level])
        while high_h > low_h:
            middle_h = max(low_h + self._grain_h, self._round(0.5 * (low_h + high_h)))
            part = box.split("level", self._level, middle_h - self._grain_h, self._grain_h)[1]
            if np.isfinite(test(part).bound_h):
                low_h = middle_h
            else:
                high_h = middle_h - self._grain_h
        return high_h

    def _round(self, hours: float) -> float:
        """Round down to a whole step."""
        return float(np.floor(hours / self._grain_h) * self._grain_h)
