"""Search for better plans: aim at times a little above those of the best, swap options until they hold."""

from __future__ import annotations

import numpy as np

from abatis.barrier._fill import JoinedGraphs, OptionTable, make_scratch
from abatis.barrier._targets import (
    BETTER,
    FULL,
    ROUTES,
    STEP,
    WORK,
    WORK_DONE,
    Routes,
    Swaps,
    aim,
    begin_target,
    link_entries,
)
from abatis.barrier.crew import Crew
from abatis.barrier.incumbent import Incumbent
from abatis.barrier.levels import Box

STEPS_A_TARGET = 1000
STEPS_ONE_LEVEL = 4000
WORK_A_CALL = 10_000_000
CALL_WORK = 5_000
SPREAD = 0.03
SHIFTED_SHARE = 0.7
GAIN = 0.001
FIRST_ROUTES = 1024
FIRST_ENTRIES = 32_768
MOST_ENTRIES = 4_000_000
RAISES = 5
LEAST_SHARE = 1e-12


class TargetSearch:
    """Row-weighting local search around the best plan of an incumbent.

    In words: choose arrival times that together are worth a little more than the best plan. Every known
    route that is faster than its time is a demand; options are swapped until no demand is left. A demand
    that stays unmet weighs more with every step. When all are met, the fastest routes under the plan are
    looked for: either they keep the times, and the plan is better, or they are new demands.

    Source: Gao, Yao, Weise and Li (2015), row weighting for set covering; here demands are found on the way.
    """

    def __init__(
        self,
        incumbent: Incumbent,
        grain_h: float,
        graphs: JoinedGraphs,
        table: OptionTable,
        random: np.random.Generator,
    ) -> None:
        self.incumbent = incumbent
        self.random = random
        self._graphs, self._table = graphs, table
        self._scratch = make_scratch(graphs, table)
        levels = incumbent.levels
        single = np.count_nonzero(levels.weight) == 1
        self._grain_h = grain_h if single else 0.0
        self._steps = STEPS_ONE_LEVEL if single else STEPS_A_TARGET
        self._routes = make_routes(FIRST_ROUTES, FIRST_ENTRIES, len(table.site), levels.tolerance_h)
        self._swaps = make_swaps(len(table.site))
        self._member = np.zeros((len(graphs.source), len(levels.weight)), bool)
        for approach, members in enumerate(levels.of_approach):
            self._member[approach, list(members)] = True
        self._target_h = np.empty(0)
        self._aimed_from_h = -np.inf
        self._best_h, self._best_work = -np.inf, 0

    @property
    def work(self) -> int:
        """Work done so far: entries of routes and arcs of graphs looked at; a call counts as many of them."""
        return int(self._swaps.clock[WORK])

    @property
    def idle_work(self) -> int:
        """Work done since the best plan became better."""
        return self.work - self._best_work

    def improve(self, start: np.ndarray, work: int, crew: Crew, deadline: float) -> None:
        """Search for `work` more entries and arcs from the best plan, or from `start` before there is one."""
        end = self.work + work
        while self.work < end and not crew.is_over(deadline):
            best = self.incumbent.choice
            self._follow(start if best is None else best, min(WORK_A_CALL, end - self.work))

    def _follow(self, choice: np.ndarray, work: int) -> None:
        """Go on with the present target, or begin another one from a choice."""
        best, levels, swaps = self.incumbent, self.incumbent.levels, self._swaps
        if best.value_h > self._best_h:
            self._best_h, self._best_work = best.value_h, self.work
        if best.value_h > self._aimed_from_h or not len(self._target_h):
            self._target_h, self._aimed_from_h = self._draw_target(choice), best.value_h
            begin_target(choice, self._target_h, self._table, self._scratch, self._routes, swaps)
        swaps.clock[WORK] += CALL_WORK
        answer = aim(
            self._target_h,
            self._member,
            levels.weight,
            levels.low_h - levels.tolerance_h,
            best.value_h + levels.tolerance_h,
            self._steps,
            work,
            self._graphs,
            self._table,
            self._scratch,
            self._routes,
            swaps,
            self.random,
        )
        if answer == BETTER:
            best.offer(swaps.trial)
        if answer == FULL:
            self._make_room()
        if answer != WORK_DONE or swaps.clock[STEP] >= self._steps:
            self._target_h = np.empty(0)

    def _draw_target(self, choice: np.ndarray) -> np.ndarray:
        """Arrival times, float64[K], that are worth more than a choice: its own, shifted and raised."""
        levels = self.incumbent.levels
        level_h = self.incumbent.measure_levels(choice)
        value_h = float(levels.weight @ level_h)
        counts = levels.weight > 0
        gain_h = self._grain_h or GAIN * abs(value_h)
        wanted_h = value_h + max(gain_h, 2.0 * levels.tolerance_h)
        target_h = np.where(counts, level_h, levels.low_h)
        if counts.sum() > 1 and self.random.random() < SHIFTED_SHARE:
            target_h = target_h + SPREAD * level_h * self.random.normal(size=len(level_h)) * counts
        share = self.random.dirichlet(np.ones(len(level_h))) * counts
        share /= max(float(levels.weight @ share), LEAST_SHARE)
        for _ in range(RAISES):
            target_h = np.clip(target_h, levels.low_h, levels.high_h)
            target_h = levels.tighten(Box(levels.low_h, target_h, ())).high_h
            lack_h = wanted_h - float(levels.weight @ target_h)
            target_h = target_h + share * lack_h
        approach_h: np.ndarray = np.where(self._member, target_h, -np.inf).max(axis=1)
        return approach_h

    def _make_room(self) -> None:
        """Double the room for routes; where it is large, forget those that the choice delays most instead."""
        old = self._routes
        rows, entries = len(old.start) - 1, len(old.option)
        kept = np.arange(old.counts[ROUTES])
        if entries < MOST_ENTRIES:
            rows, entries = 2 * rows, 2 * entries
        else:
            spare_h = (old.delayed_h - old.need_h)[: len(kept)]
            kept = np.sort(np.argsort(spare_h, kind="stable")[: len(kept) // 2])
        self._routes = make_routes(rows, entries, len(old.first), old.room_h)
        copy_routes(old, kept, self._routes)


def make_routes(rows: int, entries: int, options: int, room_h: float) -> Routes:
    """Make empty room for `rows` routes with `entries` options on them together."""
    return Routes(
        start=np.zeros(rows + 1, np.int64),
        base_h=np.zeros(rows),
        approach=np.zeros(rows, np.int32),
        weight=np.ones(rows),
        need_h=np.zeros(rows),
        delayed_h=np.zeros(rows),
        broken=np.zeros(rows, np.int32),
        place=np.full(rows, -1, np.int32),
        option=np.zeros(entries, np.int32),
        delay_h=np.zeros(entries),
        owner=np.zeros(entries, np.int32),
        following=np.zeros(entries, np.int32),
        first=np.full(options, -1, np.int32),
        counts=np.zeros(3, np.int64),
        room_h=room_h,
    )


def copy_routes(old: Routes, kept: np.ndarray, new: Routes) -> None:
    """Copy routes, by number, to an empty store; what a choice does to them is left out."""
    sizes = np.diff(old.start)[kept]
    ends = np.cumsum(sizes)
    entries = np.repeat(old.start[kept] - (ends - sizes), sizes) + np.arange(sizes.sum())
    new.start[1 : len(kept) + 1] = ends
    new.base_h[: len(kept)] = old.base_h[kept]
    new.approach[: len(kept)] = old.approach[kept]
    new.option[: len(entries)] = old.option[entries]
    new.delay_h[: len(entries)] = old.delay_h[entries]
    new.counts[ROUTES] = len(kept)
    link_entries(new)


def make_swaps(options: int) -> Swaps:
    """Make the books of a search that has not begun."""
    return Swaps(
        trial=np.zeros(options),
        chosen=np.zeros(options, np.int32),
        chosen_place=np.zeros(options, np.int32),
        banned_until=np.zeros(options, np.int64),
        changed=np.zeros(options, np.int64),
        mark=np.full(options, -1, np.int64),
        clock=np.zeros(2, np.int64),
    )
