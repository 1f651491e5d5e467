"""Branch and bound over boxes of arrival times: the proof that no plan is worth more than the bound."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from abatis.barrier.bands import Bands, cut_bands, make_grid
from abatis.barrier.branching import WHOLE, OptionBranching
from abatis.barrier.covers import CoverFinder
from abatis.barrier.incumbent import Incumbent
from abatis.barrier.levels import Box, Levels
from abatis.barrier.network import Network
from abatis.barrier.paths import PathPool
from abatis.barrier.programme import NodeProgramme, Relaxation, StaticRows, bound_box

MOST_ROUNDS = 400
WIDE_ROUNDS = 16
STALLED_ROUNDS = 25
ROWS_PER_LEVEL = 20
NARROW_SHARE = 0.01
DIVE_EVERY = 20
LEAST_MULTIPLIER = 1e-10
LEAST_VIOLATION = 2e-7
LEAST_COVERED = 0.02
LEAST_SHARE = 1e-6
TIE = 1e-6
SPARE_ROWS = 800
NO_ROWS = np.empty(0, np.int64)
NOTHING = np.empty(0)


@dataclass
class Node:
    """One node of the tree: its box, its bound, and either two children or the multipliers that prove it."""

    box: Box
    bound_h: float
    rows: np.ndarray = field(default_factory=lambda: NO_ROWS)
    split: tuple[str, int, float] | None = None
    children: tuple[int, int] | None = None
    static_multipliers: np.ndarray = field(default_factory=lambda: NOTHING)
    row_multipliers: np.ndarray = field(default_factory=lambda: NOTHING)
    point: Relaxation | None = field(default=None, repr=False)
    option: int | None = None


class TreeSearch:
    """Best-bound-first search; `run` stops at the gap, the time limit or when the callback says so.

    `grain_h` is the step of all arrival times (1 for whole-number data, 0 when there is none): a level above
    z is then at least z + grain.
    """

    def __init__(
        self,
        network: Network,
        levels: Levels,
        static: StaticRows,
        incumbent: Incumbent,
        gap: float,
        grain_h: float,
    ) -> None:
        self.network = network
        self.levels = levels
        self.static = static
        self.incumbent = incumbent
        self.gap = gap
        self.grain_h = grain_h
        self.pool = PathPool(network)
        self.grid: list[np.ndarray] = []
        self.covers = CoverFinder(network)
        self.branching = OptionBranching(network.problem.option_count)
        self.nodes: list[Node] = []
        self._open: list[tuple[float, int]] = []
        self._loaded = (b"", NO_ROWS)

    @property
    def bound_h(self) -> float:
        """Proven upper bound on the value of any plan."""
        return max((node.bound_h for node in self.nodes if node.children is None), default=np.inf)

    def is_settled(self, bound_h: float, box: Box | None = None) -> bool:
        """Say whether a part with this bound needs no further search.

        In words: it cannot hold a plan better than the best one by more than the gap asked, or its bound lies
        below the least value that its own box allows, so that it holds no plan at all.
        """
        empty_h = -np.inf if box is None else float(self.levels.weight @ box.low_h) - self.levels.tolerance_h
        return bound_h < empty_h or bound_h <= self._goal_h()

    def _goal_h(self) -> float:
        value = self.incumbent.value_h
        return value + max(self.gap * abs(value), self.levels.tolerance_h)

    def run(
        self,
        deadline: float,
        improve: Callable[[Relaxation, int], None],
        report: Callable[[float, float], None],
    ) -> str:
        """Search until settled; `improve` is the search for plans, `report` gets (value, bound).

        Called again after the deadline, it goes on where it stopped.

        Returns
        -------
        `gap` when the gap is proven, `time_limit` when the deadline passed first, `rounding` when a box could
        neither be settled nor divided any further.
        """
        if not self.nodes:
            self.grid = make_grid(self.levels, self.incumbent.value_h)
            self.programme = NodeProgramme(self.network.problem, self.levels, self.static, self.grid)
            self._add_node(Box(self.levels.low_h.copy(), self.levels.high_h.copy(), ()), NO_ROWS, deadline)
        else:
            self._queue_leaves()
        steps = 0
        while self._open:
            bound, index = -self._open[0][0], self._open[0][1]
            report(self.incumbent.value_h, bound)
            if self.is_settled(bound, self.nodes[index].box):
                heapq.heappop(self._open)
                continue
            if time.monotonic() > deadline:
                return "time_limit"
            heapq.heappop(self._open)
            self._expand(index, deadline, improve)
            steps += 1
            if steps % DIVE_EVERY == 1:
                self._dive(index, deadline, improve)
        left = [node for node in self.nodes if node.children is None]
        settled = all(self.is_settled(node.bound_h, node.box) for node in left)
        return "gap" if settled else "rounding"

    def _queue_leaves(self) -> None:
        """Queue every leaf that is not settled: a search that was stopped may have taken one off."""
        leaves = [(index, node) for index, node in enumerate(self.nodes) if node.children is None]
        self._open = [(-node.bound_h, i) for i, node in leaves if not self.is_settled(node.bound_h, node.box)]
        heapq.heapify(self._open)

    def _expand(self, index: int, deadline: float, improve: Callable[[Relaxation, int], None]) -> None:
        node = self.nodes[index]
        if node.point is not None:
            improve(node.point, index)
        self._branch(index, deadline)
        node.point = None

    def _dive(self, index: int, deadline: float, improve: Callable[[Relaxation, int], None]) -> None:
        """Follow the better child down to a whole plan or a settled box: good plans are found there."""
        while self.nodes[index].children is not None and time.monotonic() < deadline:
            children = [
                child
                for child in self.nodes[index].children or ()
                if self.nodes[child].point is not None
                and not self.is_settled(self.nodes[child].bound_h, self.nodes[child].box)
            ]
            if not children:
                return
            index = max(children, key=lambda child: (self.nodes[child].bound_h, child))
            self._open.remove((-self.nodes[index].bound_h, index))
            heapq.heapify(self._open)
            self._expand(index, deadline, improve)

    def _add_node(self, box: Box, rows: np.ndarray, deadline: float) -> int:
        """Bound a box, keep it as a leaf, and queue it when it is not settled."""
        node = self._bound_node(box, rows, deadline)
        self.nodes.append(node)
        index = len(self.nodes) - 1
        if self.is_settled(node.bound_h, box):
            node.point = None
        else:
            heapq.heappush(self._open, (-node.bound_h, index))
        return index

    def _bound_node(self, box: Box, rows: np.ndarray, deadline: float) -> Node:
        top_h = float(self.levels.weight @ box.high_h)
        if self.is_settled(top_h):
            return Node(box, top_h)
        bands = cut_bands(self.grid, box.low_h, box.high_h)
        rows = self._load(box, bands, rows)
        relaxation = self.programme.solve()
        seen = set(rows.tolist())
        last, stalled = np.inf, 0
        wide = bool((self.levels.weight * (box.high_h - box.low_h) > self._narrow_h()).any())
        for _ in range(WIDE_ROUNDS if wide else MOST_ROUNDS):
            if self.is_settled(relaxation.value_h, box) or time.monotonic() > deadline:
                break
            fresh = self._find_fresh(relaxation, bands, seen)
            if not len(fresh):
                break
            stalled = stalled + 1 if last - relaxation.value_h < 1e-4 * abs(last) else 0
            last = relaxation.value_h
            if stalled >= STALLED_ROUNDS and not _is_whole(relaxation.choice):
                break
            rows = np.append(rows, self._add_rows(fresh, bands))
            seen.update(fresh.tolist())
            relaxation = self.programme.solve()
        self._loaded = (box.levels_key(), rows)
        node = self._close_node(box, bands, rows, relaxation)
        if not wide and not self.is_settled(node.bound_h, box):
            node.option = self.branching.choose(self.programme, relaxation.choice)
        return node

    def _load(self, box: Box, bands: Bands, rows: np.ndarray) -> np.ndarray:
        """Put a box into the programme; rows already there stay when the levels are the same."""
        key, present = self._loaded
        if key == box.levels_key() and len(present) <= SPARE_ROWS + 4 * len(rows):
            self.programme.set_box(box, bands, keep_rows=True)
            missing = rows[~np.isin(rows, present)]
            return np.append(present, self._add_rows(missing, bands))
        self.programme.set_box(box, bands, keep_rows=False)
        return self._add_rows(rows, bands)

    def _add_rows(self, rows: np.ndarray, bands: Bands) -> np.ndarray:
        derived = self.pool.derive(rows, bands)
        self.programme.add_rows(derived)
        return derived.numbers

    def _find_fresh(self, relaxation: Relaxation, bands: Bands, seen: set[int]) -> np.ndarray:
        """Violated rows of paths in the pool, or else of new paths and covers."""
        least_h = LEAST_VIOLATION * self.levels.span_h
        rows = self.pool.find_violated(relaxation.choice, bands, relaxation.filled, least_h, ROWS_PER_LEVEL)
        fresh = self._keep_violated(rows, relaxation, bands, seen)
        return (
            fresh
            if len(fresh)
            else self._keep_violated(self._find_covers(relaxation, bands), relaxation, bands, seen)
        )

    def _keep_violated(
        self, rows: np.ndarray, relaxation: Relaxation, bands: Bands, seen: set[int]
    ) -> np.ndarray:
        """Keep the rows that are new here and broken by more than the slack that all rows share."""
        fresh = np.array([row for row in rows.tolist() if row not in seen], np.int64)
        derived = self.pool.derive(fresh, bands)
        violation = derived.measure_violation(relaxation.choice, relaxation.filled)
        return derived.numbers[violation > relaxation.slack + LEAST_SHARE]

    def _find_covers(self, relaxation: Relaxation, bands: Bands) -> np.ndarray:
        """Rows with the covers that a search over paths and covers together finds."""
        self.covers.set_choice(relaxation.choice)
        rows: list[int] = []
        for approach, members in enumerate(self.levels.of_approach):
            for level in members:
                part = slice(bands.start[level], bands.start[level + 1])
                filled = np.where(bands.b_h[part] > bands.a_h[part], relaxation.filled[part], 0.0)
                wanted = np.flatnonzero(filled > LEAST_COVERED)
                limits = [(-1, float(bands.low_h[level]), 1.0)]
                limits += [(int(b), float(bands.b_h[part][b]), float(filled[b])) for b in wanted]
                top_h = max(limit for _, limit, _ in limits) - self.levels.tolerance_h
                found = self.covers.find_covers(approach, top_h)
                for band, limit_h, share in limits:
                    early = [c for c in found if c.time_h < limit_h - self.levels.tolerance_h]
                    if early and early[-1].weight < share:
                        path = self.pool.add_route(early[-1].route, level)
                        cover = np.array(early[-1].options, np.int32)
                        rows.append(self.pool.number_row(path, band, cover))
        return np.unique(np.array(rows, np.int64))

    def _close_node(self, box: Box, bands: Bands, rows: np.ndarray, relaxation: Relaxation) -> Node:
        if _is_whole(relaxation.choice):
            self.incumbent.offer(np.round(relaxation.choice))
        multipliers = relaxation.row_multipliers
        used = multipliers > LEAST_MULTIPLIER
        kept = self.pool.derive(rows[used], bands)
        bound = bound_box(
            self.network.problem,
            self.levels,
            self.static,
            box,
            bands,
            kept,
            relaxation.static_multipliers,
            multipliers[used],
        )
        top_h = float(self.levels.weight @ box.high_h)
        if top_h <= bound:
            return Node(box, top_h, point=relaxation)
        if bound < float(self.levels.weight @ box.low_h) - self.levels.tolerance_h:
            bound = -np.inf
        return Node(
            box,
            bound,
            rows=rows[used],
            static_multipliers=relaxation.static_multipliers,
            row_multipliers=multipliers[used],
            point=relaxation,
        )

    def _branch(self, index: int, deadline: float) -> None:
        node = self.nodes[index]
        split = self._choose_split(node)
        if split is None:
            return
        before = len(self.nodes)
        boxes = node.box.split(*split, grain_h=self.grain_h)
        first = self._add_node(boxes[0], node.rows, deadline)
        second = self._add_node(boxes[1], node.rows, deadline)
        worst = max(self.nodes[first].bound_h, self.nodes[second].bound_h)
        if worst > node.bound_h and time.monotonic() > deadline:
            del self.nodes[before:]
            self._open = [one for one in self._open if one[1] < before]
            heapq.heapify(self._open)
            return
        node.split, node.children = split, (first, second)

    def _choose_split(self, node: Node) -> tuple[str, int, float] | None:
        """Cut off levels that cannot matter; then halve the most mixed wide level; then options."""
        box = node.box
        weight = self.levels.weight
        settled = self._find_settled_level(box)
        if settled is not None:
            return settled
        width = weight * (box.high_h - box.low_h)
        level = int(
            np.argmax(np.where(width > self._narrow_h(), self._measure_mixing(node) + TIE * width, -1.0))
        )
        if width[level] <= self._narrow_h():
            level = int(np.argmax(width))
        least_h = max(self.levels.tolerance_h, 0.5 * weight[level] * self.grain_h)
        if width[level] > self._narrow_h() or (node.option is None and width[level] > least_h):
            middle = 0.5 * (box.low_h[level] + box.high_h[level])
            if self.grain_h:
                middle = np.floor(middle / self.grain_h) * self.grain_h
            return "level", level, float(middle)
        return None if node.option is None else ("option", node.option, 0.0)

    def _measure_mixing(self, node: Node) -> np.ndarray:
        """Weighted hours of every level that the relaxation holds only in part: bands neither full nor empty.

        In words: a relaxation that mixes an early and a late arrival is what a split at a level takes apart.
        """
        mixing = np.zeros(len(self.levels.weight))
        if node.point is not None:
            bands = cut_bands(self.grid, node.box.low_h, node.box.high_h)
            filled = node.point.filled
            partly = (bands.b_h - bands.a_h) * np.minimum(filled, 1.0 - filled)
            owner = np.repeat(np.arange(len(mixing)), np.diff(bands.start))
            mixing = self.levels.weight * np.bincount(owner, partly, minlength=len(mixing))
        return mixing

    def _narrow_h(self) -> float:
        """Weighted hours below which a level counts as narrow; plans worth nothing give no scale."""
        if self.grain_h and np.count_nonzero(self.levels.weight) == 1:
            return 0.5 * self.grain_h
        value = self.incumbent.value_h
        return NARROW_SHARE * (abs(value) if np.isfinite(value) and value else self.levels.span_h)

    def _find_settled_level(self, box: Box) -> tuple[str, int, float] | None:
        """Find the level of which the largest low part is settled by the other levels' upper limits alone."""
        weight = self.levels.weight
        top_h = float(weight @ box.high_h)
        goal_h = self._goal_h() - self.levels.tolerance_h * 1e-3
        with np.errstate(divide="ignore", invalid="ignore"):
            floor = np.where(weight > 0, (goal_h - (top_h - weight * box.high_h)) / weight, -np.inf)
        floor = np.minimum(floor, box.high_h)
        if self.grain_h:
            floor = np.floor(floor / self.grain_h + 1e-9) * self.grain_h
        counts = weight > 0
        gain = np.full(len(weight), -np.inf)
        gain[counts] = weight[counts] * (floor - box.low_h)[counts]
        level = int(np.argmax(gain))
        least = max(1e-4 * abs(self.incumbent.value_h), self.levels.tolerance_h)
        if not np.isfinite(gain[level]) or gain[level] < (0.0 if self.grain_h else least):
            return None
        if floor[level] >= box.high_h[level]:
            return None
        return "level", level, float(floor[level])


def _is_whole(choice: np.ndarray) -> bool:
    """Say whether every option is chosen wholly or not at all."""
    return not (np.minimum(choice, 1.0 - choice) > WHOLE).any()
