"""Options that no plan worth finding has in a box, or that all have there, each with its proof."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from abatis.barrier.bands import cut_bands
from abatis.barrier.branching import Lost
from abatis.barrier.incumbent import Incumbent
from abatis.barrier.levels import Box, Levels
from abatis.barrier.paths import PathPool
from abatis.barrier.programme import Relaxation, StaticRows, bound_box

LEAST_MULTIPLIER = 1e-10
LEAST_SHORT = 1e-9
ROOM_SHARE = 1e-3


@dataclass(frozen=True)
class Exclusion:
    """Options of which none can be chosen in a box (`value` 1), or one that cannot be left out (`value` 0).

    The multipliers prove it: with that value of the option, the box holds no plan at all, or none worth more
    than `bound_h`, which the best plan reaches.
    """

    value: int
    options: np.ndarray
    rows: np.ndarray
    static_multipliers: np.ndarray
    row_multipliers: np.ndarray
    bound_h: float

    def apply(self, box: Box) -> Box:
        """Return the box without what is excluded."""
        return box.close(self.options) if self.value else box.fix(int(self.options[0]), 1)

    def renumber(self, numbers: np.ndarray) -> Exclusion:
        """Take other numbers, int64[rows], for the rows."""
        return replace(self, rows=numbers[self.rows])


class Excluder:
    """Finds what one linear programme, or a probe of it, says of single options.

    Formula: with multipliers that bound the box by B, the plans with option o are worth at most
    B - (best gain of its site) + (gain of o). In words: the programme prices every option; where that price
    is more than what is left between its optimum and the best plan (or the budget), no plan with the option
    matters.

    Source: reduced-cost fixing and probing, Savelsbergh (1994), "Preprocessing and probing techniques for
    mixed integer programming problems".
    """

    def __init__(
        self,
        pool: PathPool,
        static: StaticRows,
        grid: list[np.ndarray],
        incumbent: Incumbent,
        is_stepped: bool,
    ) -> None:
        self._pool, self._static, self._grid, self._incumbent = pool, static, grid, incumbent
        self._problem, self._is_stepped = pool.network.problem, is_stepped

    def exclude_dear(self, box: Box, rows: np.ndarray, relaxation: Relaxation) -> list[Exclusion]:
        """Options that the multipliers of the box itself exclude."""
        lower, upper = box.limit_options(self._problem)
        options = np.flatnonzero((upper > 0) & (lower == 0)).astype(np.int32)
        static, paid = relaxation.priced_multipliers, relaxation.row_multipliers
        return self._prove(box, rows, Lost(options, 1, static, paid))

    def exclude_lost(self, box: Box, rows: np.ndarray, lost: Sequence[Lost]) -> list[Exclusion]:
        """Halves of the box that probes found to be lost; of a site that asks for two options the first."""
        found: list[Exclusion] = []
        asked: set[int] = set()
        for one in lost:
            site = int(self._problem.option_site[one.options[0]])
            if one.value == 0 and site in asked:
                continue
            proven = self._prove(box, rows, one)
            asked.update([site] if proven and one.value == 0 else [])
            found += proven
        return found

    def _prove(self, box: Box, rows: np.ndarray, lost: Lost) -> list[Exclusion]:
        """Keep the options for which the multipliers are a proof; with levels in steps they are raised first.

        In words: what is missing at the lower end of the box counts as often as it takes to outweigh its
        width.
        """
        options, used = lost.options, lost.row_multipliers > LEAST_MULTIPLIER
        rows, static, paid = rows[used], lost.static_multipliers, lost.row_multipliers[used]
        levels = self._incumbent.levels
        low_h = float(levels.weight @ box.low_h)
        if self._is_stepped:
            at_low_h = self._bound(box.lower_top(), rows, options, lost.value, static, paid)
            is_short = low_h - at_low_h > LEAST_SHORT * levels.span_h
            if not is_short.any():
                return []
            options = options[is_short]
            factor = find_factor(levels, box, float((low_h - at_low_h[is_short]).min()))
            static, paid = factor * static, factor * paid
        bound_h = self._bound(box, rows, options, lost.value, static, paid)
        is_empty = bound_h < low_h - levels.tolerance_h
        bound_h = np.where(is_empty, -np.inf, bound_h)
        kept = bound_h <= self._incumbent.value_h
        if not kept.any():
            return []
        return [Exclusion(lost.value, options[kept], rows, static, paid, float(bound_h[kept].max()))]

    def _bound(
        self,
        box: Box,
        rows: np.ndarray,
        options: np.ndarray,
        value: int,
        static: np.ndarray,
        paid: np.ndarray,
    ) -> np.ndarray:
        """Bound the plans of a box with each of some options (1) or without the first (0), float64[n]."""
        half = box if value else box.fix(int(options[0]), 0)
        bands = cut_bands(self._grid, box.low_h, box.high_h)
        derived = self._pool.derive(rows, bands)
        levels = self._incumbent.levels
        bound_h, chosen_h = bound_box(self._problem, levels, self._static, half, bands, derived, static, paid)
        return chosen_h[options] if value else np.array([bound_h])


def find_factor(levels: Levels, box: Box, short_h: float) -> float:
    """Times that multipliers count so that what is missing at a box's lower end outweighs its width."""
    low_h, top_h = float(levels.weight @ box.low_h), float(levels.weight @ box.high_h)
    return max(1.0, (top_h - low_h + ROOM_SHARE * max(abs(low_h), levels.span_h)) / short_h)
