"""Better schedules: a first one by priority, then windows of years solved again with everything else kept."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from abatis.model.plan import Rule
from abatis.programme.layer_search import LayerSearch
from abatis.programme.layers import Layer, join_layers
from abatis.programme.limits import Limits
from abatis.programme.terms import NEVER
from abatis.programme.timeline import Timeline

LEAST_GAIN = 1e-9


def place_serially(limits: Limits, order: Sequence[int], groups: Sequence[np.ndarray]) -> np.ndarray:
    """Start every option as early as the limits allow, in a given order; int64[n], NEVER where none does.

    Parameters
    ----------
    limits : what has to be kept.
    order : options, the most wanted first.
    groups : for each lot the options that use it; where an option alone is too small an order, the next
        wanted ones of its lot start with it.
    """
    start = np.full(len(limits.possible), NEVER, np.int64)
    use = np.zeros(len(limits.limit))
    roof = limits.limit + limits.spare
    left = [one for one in order if limits.possible[one].any()]
    for _ in range(2):
        waiting = []
        for option in left:
            if start[option] != NEVER:
                continue
            members = _find_place(limits, start, use, roof, option, left, groups)
            if members is None:
                waiting.append(option)
                continue
            chosen, year = members
            for one in chosen:
                start[one] = year
            use = limits.measure_use(start)
        if len(waiting) == len(left):
            break
        left = waiting
    return start


def _find_place(
    limits: Limits,
    start: np.ndarray,
    use: np.ndarray,
    roof: np.ndarray,
    option: int,
    order: Sequence[int],
    groups: Sequence[np.ndarray],
) -> tuple[list[int], int] | None:
    """First year in which an option fits, alone or with others of its lot."""
    years = limits.possible.shape[1]
    partners = {one for group in groups if option in group for one in group.tolist()}
    for year in np.flatnonzero(limits.possible[option]):
        members, total = [option], use + _column(limits, option * years + year)
        for other in order:
            if (total <= roof).all():
                return members, int(year)
            if (
                other in partners
                and other != option
                and start[other] == NEVER
                and limits.possible[other, year]
            ):
                members.append(other)
                total = total + _column(limits, other * years + year)
        if (total <= roof).all():
            return members, int(year)
    return None


def _column(limits: Limits, column: int) -> np.ndarray:
    values = np.zeros(len(limits.limit))
    part = slice(limits.columns.indptr[column], limits.columns.indptr[column + 1])
    values[limits.columns.indices[part]] = limits.columns.data[part]
    return values


class Improver:
    """Keeps the best schedule and tries to better it, window by window."""

    def __init__(self, timeline: Timeline, limits: Limits, seed: int) -> None:
        self.timeline, self.limits, self.seed = timeline, limits, seed
        self.start = np.full(timeline.terms.option_count, NEVER, np.int64)
        self.held_h = timeline.measure(self.start)
        self.objective_h = self._weigh(self.held_h)

    def _weigh(self, held_h: np.ndarray) -> float:
        return float(self.timeline.terms.weight @ self.timeline.value_years(held_h))

    def offer(self, start: np.ndarray) -> bool:
        """Take a schedule when it keeps every limit and holds more hours."""
        if not self.limits.keeps(start):
            return False
        held_h = self.timeline.measure(start)
        objective_h = self._weigh(held_h)
        if objective_h <= self.objective_h + LEAST_GAIN * abs(self.objective_h):
            return False
        self.start, self.held_h, self.objective_h = start.copy(), held_h, objective_h
        return True

    def shift_earlier(self) -> None:
        """Start options earlier wherever the limits allow: no effect ever comes later by that."""
        years = self.limits.possible.shape[1]
        start = self.start.copy()
        roof = self.limits.limit + self.limits.spare
        use = self.limits.measure_use(start)
        for option in np.argsort(start, kind="stable"):
            now = _column(self.limits, option * years + start[option]) if start[option] != NEVER else 0.0
            for year in np.flatnonzero(self.limits.possible[option]):
                if year >= start[option]:
                    break
                moved = use - now + _column(self.limits, option * years + year)
                if (moved <= roof).all():
                    start[option], use = year, moved
                    break
        if self.limits.keeps(start):
            held_h = self.timeline.measure(start)
            if self._weigh(held_h) >= self.objective_h - LEAST_GAIN * abs(self.objective_h):
                self.start, self.held_h, self.objective_h = start, held_h, self._weigh(held_h)

    def improve_window(self, first: int, last: int, gap: float, seconds: float) -> bool:
        """Solve the start years `first` to `last` again; options outside keep theirs.

        In words: an option of the window starts in any of its years. In the last window it may also be left
        out, and options never built may come in.
        """
        start = self.start
        ends = last == self.timeline.terms.year_count - 1
        inside = (start >= first) & (start <= last)
        free = inside | (start == NEVER) if ends else inside
        late = np.where(free, NEVER if ends else last, start)
        columns = self._list_columns(free, late, first, last)
        if len(columns) < 2:
            return False
        search = self._search_columns(columns, late, gap)
        if search is None:
            return False
        search.offer(start[columns[:, 0]] == columns[:, 1])
        search.run(time.monotonic() + seconds)
        trial = late.copy()
        chosen = columns[search.choice]
        trial[chosen[:, 0]] = chosen[:, 1]
        return self.offer(trial)

    def solve_whole(self, seconds: float) -> float:
        """Solve all options and years as one programme; returns the proven bound of the objective."""
        terms = self.timeline.terms
        late = np.full(terms.option_count, NEVER, np.int64)
        columns = self._list_columns(~terms.is_fixed, late, 0, terms.year_count - 1)
        search = self._search_columns(columns, late, 0.0) if len(columns) else None
        if search is None:
            return self.objective_h
        search.offer(self.start[columns[:, 0]] == columns[:, 1])
        bound_h = search.solve_programme(seconds)
        trial = late.copy()
        chosen = columns[search.choice]
        trial[chosen[:, 0]] = chosen[:, 1]
        self.offer(trial)
        return bound_h + self._rest_h

    def _list_columns(self, free: np.ndarray, late: np.ndarray, first: int, last: int) -> np.ndarray:
        """Pairs (option, start row) int64[columns, 2]: possible starts in the window, before the late one."""
        options, years = np.nonzero(self.limits.possible & free[:, None])
        kept = (years >= first) & (years <= last) & (years < late[options])
        return np.stack([options[kept], years[kept]], axis=1)

    def _search_columns(self, columns: np.ndarray, late: np.ndarray, gap: float) -> LayerSearch | None:
        """The joint problem of some columns against late starts; None when they change no year."""
        terms, timeline = self.timeline.terms, self.timeline
        options = columns[:, 0]
        finish = columns[:, 1] + terms.spans.years[options] - 1
        late_finish = terms.find_finish(late)
        layers, weights = [], []
        self._rest_h = 0.0
        held_h: np.ndarray | None = None
        for year in range(terms.year_count):
            before = timeline.share_effects(late_finish, year)[options]
            age = year - finish
            last_age = terms.growth.shape[2] - 1
            now = np.where((age >= 0)[:, None], terms.growth[options, :, np.clip(age, 0, last_age)], 0.0)
            added = np.maximum(0.0, now - before)
            if added.any():
                layers.append(Layer(float(terms.weight[year]), timeline.sum_delays(late_finish, year), added))
                weights.append(float(terms.weight[year]))
            else:
                held_h = timeline.measure(late) if held_h is None else held_h
                self._rest_h += float(terms.weight[year] * timeline.value_years(held_h)[year])
        if not layers:
            return None
        rules = self._restrict_rows(columns, late)
        cost = terms.cost_eur.sum(axis=1)[options]
        problem, network = join_layers(timeline, layers, options, cost, rules)
        return LayerSearch(problem, network, weights, gap, self.seed)

    def _restrict_rows(self, columns: np.ndarray, late: np.ndarray) -> list[Rule]:
        """The limits over some columns, with what the late starts use taken off."""
        years = self.limits.possible.shape[1]
        options = columns[:, 0]
        matrix = self.limits.columns[:, options * years + columns[:, 1]].tolil()
        dense = np.asarray(matrix.todense())
        built = np.flatnonzero(late[options] != NEVER)
        if len(built):
            fallback = self.limits.columns[:, options[built] * years + late[options[built]]]
            dense[:, built] -= np.asarray(fallback.todense())
        room = self.limits.limit - self.limits.measure_use(late)
        rules = []
        for row in range(len(room)):
            used = np.flatnonzero(dense[row])
            most = float(dense[row, used].clip(min=0.0).sum())
            if len(used) and most > room[row]:
                name = self.limits.names[row]
                rules.append(Rule(name, name, used.astype(np.int32), dense[row, used], float(room[row])))
        return rules
