"""One tree of boxes for years that differ in money and capacity alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from abatis.barrier.bands import cut_bands, make_grid
from abatis.barrier.boxes import NO_ROWS, BoxWorker, Goal, Node, is_whole
from abatis.barrier.branching import Lost
from abatis.barrier.crew import Crew
from abatis.barrier.exclusion import Exclusion
from abatis.barrier.levels import Box
from abatis.barrier.programme import INFINITE, NodeProgramme, Relaxation, StaticRows, bound_box
from abatis.barrier.tree import NODES_AT_ONCE, TreeSearch
from abatis.programme.layer_search import ROUNDING, STEP_SHARE, LayerSearch
from abatis.programme.yearly_bounds import YearBound

PASSES = 8
MANY_PATHS = 2500


@dataclass(eq=False)
class Leaf:
    """A box that is not divided yet.

    `bound_h` float64[Y] bounds every year there, -inf where it holds no plan; `is_solved` bool[Y] says for
    which years a programme was solved, `node` is the last one (None before the first), `rows` its rows.
    """

    box: Box
    bound_h: np.ndarray
    is_solved: np.ndarray
    rows: np.ndarray = field(default_factory=lambda: NO_ROWS)
    node: Node | None = None
    worker: int = -1


class LimitProgramme(NodeProgramme):
    """The programme of a box whose limits of money and capacity change from year to year."""

    def take_limits(self, static: StaticRows) -> None:
        """Take other limits for the same rows; the last optimum stays a start for the next."""
        if static is not self.static:
            self.static = static
            for row, limit in enumerate(static.limits):
                self._model.changeRowBounds(row, -INFINITE, float(limit))


class SpreadWorker(BoxWorker):
    """Bounds boxes with many paths from each programme: those found are closed and the search goes on."""

    programme: LimitProgramme

    def _count_passes(self) -> int:
        """Many while the pool has few paths; with many it needs no such help."""
        return PASSES if len(self.pool) < MANY_PATHS else 0

    def _exclude(self, box: Box, relaxation: Relaxation, lost: Sequence[Lost]) -> list[Exclusion]:
        """Nothing: what one year cannot hold another may."""
        return []


class CommonTree:
    """Boxes of arrival times for all years at once; `prove` lowers `bound_h` float64[Y].

    Formula: with m the multipliers that prove a box for the limits l of one year, its bound for the limits l'
    of another is bound + m (l' - l). In words: rows of paths say nothing about money, so they and their
    multipliers stay a proof when there is more or less of it; every euro more adds at most its price. The
    bound of a year is the largest over the boxes of the least that is known for the year there.
    """

    def __init__(
        self,
        searches: Sequence[LayerSearch],
        limits: np.ndarray,
        weight: np.ndarray,
        gap: float,
        crew: Crew | None = None,
    ) -> None:
        """Take the searches of the years, the same but for `limits` float64[Y, rows], and their weights."""
        tree = searches[-1].tree
        self._searches, self._limits, self._weight, self._asked = searches, limits, weight, gap
        self._statics = [replace(tree.static, limits=row) for row in limits]
        self._goals = [Goal(one.incumbent, gap, tree.grain_h) for one in searches]
        self._shared = [
            TreeSearch(tree.network, tree.levels, tree.static, one.incumbent, gap, tree.grain_h, crew)
            for one in searches
        ]
        self.levels, self.pool, self.crew = tree.levels, self._shared[-1].pool, self._shared[-1].crew
        self.branching = self._shared[-1].branching
        root = self.levels.tighten(Box(self.levels.low_h.copy(), self.levels.high_h.copy(), ()))
        top_h = np.full(len(searches), float(self.levels.weight @ root.high_h))
        self.leaves = [Leaf(root, top_h, np.zeros(len(searches), bool))]
        self._closed_h = np.full(len(searches), -np.inf)
        self._workers: list[SpreadWorker] = []
        self.is_over = False

    @property
    def bound_h(self) -> np.ndarray:
        """No plan within the limits of a year is worth more, hours float64[Y]."""
        worst = np.max([self._closed_h, *(leaf.bound_h for leaf in self.leaves)], axis=0)
        return np.maximum(worst + ROUNDING * np.abs(worst), self._value_h)

    @property
    def _value_h(self) -> np.ndarray:
        return np.array([one.incumbent.value_h for one in self._searches])

    def prove(self, deadline: float) -> None:
        """Lower the bounds until nothing is left to divide or the deadline (monotonic s) has passed."""
        if not np.isfinite(self._value_h).all():
            return
        if not self._shared[0].grid:
            grid = make_grid(self.levels, float(np.median(self._value_h)))
            for tree in self._shared:
                tree.grid = grid
        while not self.crew.is_over(deadline):
            self._close_settled()
            year = self._choose_year()
            if year is None:
                self.is_over = True
                return
            self._solve(
                [job for leaf in self._pick_leaves(year) for job in self._divide(leaf, year)],
                deadline,
            )

    def _choose_year(self) -> int | None:
        """The year with most weighted room above its best set; the goals of all come a step nearer."""
        value_h, bound_h = self._value_h, self.bound_h
        open_h = bound_h - value_h
        for goal, value, room in zip(self._goals, value_h, open_h, strict=True):
            goal.gap = max(self._asked, STEP_SHARE * room / abs(value)) if value else self._asked
        room = np.where(open_h > self._asked * np.abs(value_h), self._weight * open_h, -np.inf)
        left = np.array([leaf.bound_h for leaf in self.leaves]).reshape(-1, len(room))
        room[(left <= [goal.value_h for goal in self._goals]).all(axis=0)] = -np.inf
        year = int(np.argmax(room))
        return year if np.isfinite(room[year]) else None

    def _pick_leaves(self, year: int) -> list[Leaf]:
        """The worst boxes of a year."""
        goal_h = self._goals[year].value_h
        worst = sorted(self.leaves, key=lambda leaf: -leaf.bound_h[year])[:NODES_AT_ONCE]
        return [leaf for leaf in worst if leaf.bound_h[year] > goal_h]

    def _divide(self, leaf: Leaf, year: int) -> list[tuple[Leaf, int]]:
        """Boxes to solve for a year: the leaf where that was not done, else those it is split into."""
        if leaf.node is None or not leaf.is_solved[year]:
            return [(leaf, year)]
        self.leaves.remove(leaf)
        split = self._shared[year].choose_split(leaf.node)
        if split is None:
            self._closed_h = np.maximum(self._closed_h, leaf.bound_h)
            return []
        jobs = []
        for part in leaf.box.split(*split, grain_h=self._shared[year].grain_h):
            box = self.levels.tighten(part)
            if box.is_empty:
                continue
            child = Leaf(
                box, leaf.bound_h.copy(), np.zeros_like(leaf.is_solved), leaf.rows, None, leaf.worker
            )
            self._lower(child, np.full(len(leaf.bound_h), float(self.levels.weight @ box.high_h)))
            self.leaves.append(child)
            if child.bound_h[year] > self._goals[year].value_h:
                jobs.append((child, year))
        return jobs

    def _solve(self, jobs: Sequence[tuple[Leaf, int]], deadline: float) -> None:
        """Bound boxes for years side by side; what was found is merged in the order of the jobs."""
        workers = self._share_out([leaf for leaf, _ in jobs])
        tasks = [
            partial(self._bound, self._workers[worker], leaf, year, deadline)
            for (leaf, year), worker in zip(jobs, workers, strict=True)
        ]
        answers = self.crew.run(tasks)
        is_whole_time = not self.crew.is_over(deadline)
        for (leaf, year), number, (node, bound_h) in zip(jobs, workers, answers, strict=True):
            worker = self._workers[number]
            renumbered = self.pool.absorb(worker.pool)
            self.branching.absorb(worker.branching)
            worker.renumber(renumbered)
            node.rows = renumbered[node.rows]
            leaf.rows = node.rows if len(node.rows) else leaf.rows
            if is_whole_time:
                leaf.node, leaf.worker, leaf.is_solved[year] = node, number, True
            self._lower(leaf, bound_h)
            if node.point is not None and is_whole(node.point.choice):
                self._searches[year].incumbent.offer(np.round(node.point.choice))

    def _bound(self, worker: SpreadWorker, leaf: Leaf, year: int, deadline: float) -> tuple[Node, np.ndarray]:
        """Bound a box for a year; the second answer is what that says of all years, float64[Y]."""
        worker.refresh()
        static = self._statics[year]
        worker.programme.take_limits(static)
        worker.goal = self._goals[year]
        node = worker.bound_node(leaf.box, leaf.rows, deadline)
        carried_h = np.full(len(self._limits), np.inf)
        price = node.static_multipliers
        if len(price):
            bands = cut_bands(worker.programme.grid, leaf.box.low_h, leaf.box.high_h)
            rows = worker.pool.derive(node.rows, bands)
            problem, paid = worker.network.problem, node.row_multipliers
            proven_h = bound_box(problem, self.levels, static, leaf.box, bands, rows, price, paid)[0]
            carried_h = proven_h + (self._limits - self._limits[year]) @ price
            carried_h += ROUNDING * np.abs(carried_h)
        carried_h[year] = min(carried_h[year], node.bound_h)
        return node, carried_h

    def _lower(self, leaf: Leaf, bound_h: np.ndarray) -> None:
        """Lower the bounds of a box; below the least that its times allow it holds no plan."""
        leaf.bound_h = np.minimum(leaf.bound_h, bound_h)
        least_h = float(self.levels.weight @ leaf.box.low_h) - self.levels.tolerance_h
        leaf.bound_h[leaf.bound_h < least_h] = -np.inf

    def _close_settled(self) -> None:
        """Take off the boxes that no year needs to know better."""
        value_h = self._value_h
        goal_h = value_h + np.maximum(self._asked * np.abs(value_h), self.levels.tolerance_h)
        settled = [leaf for leaf in self.leaves if (leaf.bound_h <= goal_h).all()]
        self._closed_h = np.max([self._closed_h, *(leaf.bound_h for leaf in settled)], axis=0)
        self.leaves = [leaf for leaf in self.leaves if not (leaf.bound_h <= goal_h).all()]

    def _share_out(self, leaves: Sequence[Leaf]) -> list[int]:
        """Choose a worker for every box, one that has its levels loaded where there is one."""
        while len(self._workers) < len(leaves):
            tree = self._shared[-1]
            programme = LimitProgramme(tree.network.problem, tree.levels, self._statics[-1], tree.grid)
            self._workers.append(
                SpreadWorker(programme, self.pool, self.branching, self._goals[-1], self.crew)
            )
        free, chosen = list(range(len(self._workers))), []
        for leaf in leaves:
            key = leaf.box.levels_key()
            loaded = [one for one in free if self._workers[one].loaded_levels == key]
            chosen.append(leaf.worker if leaf.worker in loaded else (loaded or free)[0])
            free.remove(chosen[-1])
        return chosen


class JoinedYears:
    """Years whose bounds come from one tree."""

    def __init__(self, years: Sequence[YearBound], weight: np.ndarray, gap: float, crew: Crew | None) -> None:
        """Take years that `YearBound.has_problem_of` calls the same, and the weights float64[Y] of all."""
        self.years = years
        searches = [one.search for one in years if one.search is not None]
        limits = np.array([years[-1].limit_rows(one) for one in years])
        self.tree = CommonTree(searches, limits, weight[[one.year for one in years]], gap, crew)

    def prove(self, seconds: float) -> None:
        """Lower the bounds of the years for some seconds."""
        self.tree.prove(time.monotonic() + seconds)
        for one, bound_h in zip(self.years, self.tree.bound_h, strict=True):
            one.bound_h = min(one.bound_h, float(bound_h))
            one.read_search()
            one.is_over = self.tree.is_over


def join_years(
    yearly: Sequence[YearBound], weight: np.ndarray, gap: float, crew: Crew | None = None
) -> list[JoinedYears]:
    """Collect the years that differ in money and capacity alone; years alone are left out.

    Parameters
    ----------
    yearly : bounds of all years.
    weight : of every year, float64[Y].
    gap : gap to prove for each year.
    crew : threads of the search.
    """
    groups: list[list[YearBound]] = []
    for one in yearly:
        if one.search is not None:
            group = next((group for group in groups if one.has_problem_of(group[0])), None)
            if group is None:
                groups.append([one])
            else:
                group.append(one)
    return [JoinedYears(group, weight, gap, crew) for group in groups if len(group) > 1]
