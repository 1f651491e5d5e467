"""The bound of one box: linear programme, rows and covers, with working space of its own.

Several boxes are worked on at once. A worker reads what all share and writes only its own programme, its own
copy of the pool and its own memory of probes; what it found is merged afterwards in the order of the boxes.
So the answers do not depend on how many threads there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from abatis.barrier.bands import Bands, cut_bands
from abatis.barrier.branching import WHOLE, Lost, OptionBranching
from abatis.barrier.covers import CoverFinder
from abatis.barrier.crew import Crew
from abatis.barrier.exclusion import LEAST_MULTIPLIER, LEAST_SHORT, Excluder, Exclusion, find_factor
from abatis.barrier.incumbent import Incumbent
from abatis.barrier.levels import Box
from abatis.barrier.paths import PathPool
from abatis.barrier.programme import NodeProgramme, Relaxation, bound_box
from abatis.barrier.zero_half import find_zero_halves

MOST_ROUNDS = 400
WIDE_ROUNDS = 16
STALLED_ROUNDS = 25
STEPPED_STALLED_ROUNDS = 4
NEAR_NEED = 0.97
NEAR_STALLED_ROUNDS = 30
HALVED_ROUNDS = 2
STEPPED_PASSES = 6
ROWS_PER_LEVEL = 20
NARROW_SHARE = 0.01
LEAST_VIOLATION = 2e-7
LEAST_COVERED = 0.02
LEAST_SHARE = 1e-6
SPARE_ROWS = 800
THIN_POOL = 400
LARGE_ARCS = 100_000
NO_ROWS = np.empty(0, np.int64)
NOTHING = np.empty(0)


@dataclass
class Node:
    """One node of the tree: its box, its bound, and either two children or the multipliers that prove it.

    `need` is what the programme's plan costs, as a share of the budget; it orders nodes of one bound. A
    `is_rest` node is to be cut into tests before anything is asked of it (see `Descent`). `box` is what is
    left after `exclusions`, in their order.
    """

    box: Box
    bound_h: float
    rows: np.ndarray = field(default_factory=lambda: NO_ROWS)
    split: tuple[str, int, float] | None = None
    children: tuple[int, int] | None = None
    static_multipliers: np.ndarray = field(default_factory=lambda: NOTHING)
    row_multipliers: np.ndarray = field(default_factory=lambda: NOTHING)
    point: Relaxation | None = field(default=None, repr=False)
    option: int | None = None
    need: float = 0.0
    is_rest: bool = False
    exclusions: tuple[Exclusion, ...] = ()


class Goal:
    """What a box must be worth to matter, given the best plan so far and the gap asked."""

    def __init__(self, incumbent: Incumbent, gap: float, grain_h: float) -> None:
        self.incumbent = incumbent
        self.levels = incumbent.levels
        self.gap = gap
        self.grain_h = grain_h

    @property
    def is_stepped(self) -> bool:
        """True with one level in whole steps: a box is then a test whether any plan reaches its lower end."""
        return bool(self.grain_h) and np.count_nonzero(self.levels.weight) == 1

    @property
    def value_h(self) -> float:
        """Boxes with a bound up to this are settled."""
        value = self.incumbent.value_h
        return value + max(self.gap * abs(value), self.levels.tolerance_h)

    @property
    def narrow_h(self) -> float:
        """Weighted hours below which a level counts as narrow; plans worth nothing give no scale."""
        value = self.incumbent.value_h
        return NARROW_SHARE * (abs(value) if np.isfinite(value) and value else self.levels.span_h)

    def is_settled(self, bound_h: float, box: Box | None = None) -> bool:
        """Say whether a part with this bound needs no further search.

        In words: it cannot hold a plan better than the best one by more than the gap asked, or its bound lies
        below the least value that its own box allows, so that it holds no plan at all.
        """
        empty_h = -np.inf if box is None else float(self.levels.weight @ box.low_h) - self.levels.tolerance_h
        return bound_h < empty_h or bound_h <= self.value_h


class BoxWorker:
    """Bounds one box after another; between boxes it takes over what the others found."""

    def __init__(
        self, programme: NodeProgramme, pool: PathPool, branching: OptionBranching, goal: Goal, crew: Crew
    ) -> None:
        self.programme = programme
        self.goal = goal
        self.crew = crew
        self.levels = goal.levels
        self.network = pool.network
        self.pool = pool.copy()
        self.branching = branching.copy()
        self.covers = CoverFinder(pool.network)
        self._is_large = sum(len(graph.head) for graph in pool.network.graphs) > LARGE_ARCS
        self._broken: set[int] = set()
        self.loaded_levels = b""
        self._loaded_rows = NO_ROWS
        self._seen: set[int] = set()
        self._excluder = Excluder(
            self.pool, programme.static, programme.grid, goal.incumbent, goal.is_stepped
        )

    def refresh(self) -> None:
        """Take over the pool and the probes that all workers share now."""
        self.pool.refresh()
        self.branching.refresh()

    def renumber(self, numbers: np.ndarray) -> None:
        """Take the shared numbers, int64[rows], of the rows that this worker's copy has."""
        self._loaded_rows = numbers[self._loaded_rows]

    def bound_node(self, box: Box, rows: np.ndarray, deadline: float, is_leaf: bool = True) -> Node:
        """Bound a box, starting from `rows` of the shared pool; the node names rows of the own copy.

        A node that becomes no leaf of the tree needs no option to be split at. Options that the box cannot
        hold, or not do without, are excluded before it is split at one, and the box is bounded again.
        """
        top_h = box.low_h if self.goal.is_stepped else box.high_h
        bands = cut_bands(self.programme.grid, box.low_h, top_h)
        wide = bool((self.levels.weight * (top_h - box.low_h) > self.goal.narrow_h).any())
        self._start_box(box, bands, rows)
        relaxation = self._run_rounds(box, bands, wide, deadline)
        node = self._close_node(box, relaxation)
        exclusions: list[Exclusion] = []
        while is_leaf and not wide and not self.goal.is_settled(node.bound_h, box):
            room = self.programme.measure_room(relaxation, self.goal.incumbent.value_h)
            node.option, lost = self.branching.choose(self.programme, relaxation.choice, room)
            found = self._exclude(box, relaxation, lost)
            for one in found:
                box = one.apply(box)
            exclusions += found
            node.box = box
            if not lost or not found or self.crew.is_over(deadline):
                break
            self.programme.set_box(box, bands, keep_rows=True)
            relaxation = self._run_rounds(box, bands, wide, deadline, 0)
            node = self._close_node(box, relaxation)
        node.exclusions = tuple(exclusions)
        return node

    def _run_rounds(
        self, box: Box, bands: Bands, wide: bool, deadline: float, halved_rounds: int = HALVED_ROUNDS
    ) -> Relaxation:
        """Solve the programme of the box loaded, and again with the rows that its point breaks."""
        goal, relaxation = self.goal, self.programme.solve()
        last, need, stalled = np.inf, 0.0, 0
        for number in range(WIDE_ROUNDS if wide else MOST_ROUNDS):
            if goal.is_settled(relaxation.value_h, box) or self.crew.is_over(deadline):
                break
            is_near = goal.is_stepped and not box.fixed and relaxation.need >= NEAR_NEED
            fresh = self._find_fresh(relaxation, bands)
            if goal.is_stepped and (number < halved_rounds or (is_near and stalled)):
                fresh = np.union1d(fresh, self._halve_sums(relaxation, bands))
            if not len(fresh):
                break
            fell = last - relaxation.value_h >= 1e-4 * abs(last)
            rose = goal.is_stepped and relaxation.need - need >= 1e-3 * need
            stalled = 0 if fell or rose else stalled + 1
            last, need = relaxation.value_h, relaxation.need
            if stalled >= self._allow_stalled(is_near) and not is_whole(relaxation.choice):
                break
            self._loaded_rows = np.append(self._loaded_rows, self._add_rows(fresh, bands))
            self._seen.update(fresh.tolist())
            relaxation = self.programme.solve()
        return relaxation

    def _allow_stalled(self, is_near: bool) -> int:
        """Rounds without progress after which a box is split instead.

        In words: a test that takes nearly all of the budget is soon proven; it deserves patience.
        """
        if not self.goal.is_stepped:
            return STALLED_ROUNDS
        return NEAR_STALLED_ROUNDS if is_near else STEPPED_STALLED_ROUNDS

    def _exclude(self, box: Box, relaxation: Relaxation, lost: Sequence[Lost]) -> list[Exclusion]:
        """What the programme of the box and the probes of its options exclude."""
        found = self._excluder.exclude_dear(box, self._loaded_rows, relaxation)
        return found + self._excluder.exclude_lost(box, self._loaded_rows, lost)

    def _start_box(self, box: Box, bands: Bands, rows: np.ndarray) -> None:
        """Load a box with its rows."""
        self._loaded_rows = self._load(box, bands, rows)
        self.loaded_levels = box.levels_key()
        self._seen = set(self._loaded_rows.tolist())

    def _load(self, box: Box, bands: Bands, rows: np.ndarray) -> np.ndarray:
        """Put a box into the programme; rows already there stay when the levels are the same."""
        present = self._loaded_rows
        if self.loaded_levels == box.levels_key() and len(present) <= SPARE_ROWS + 4 * len(rows):
            self.programme.set_box(box, bands, keep_rows=True)
            missing = rows[~np.isin(rows, present)]
            return np.append(present, self._add_rows(missing, bands))
        self.programme.set_box(box, bands, keep_rows=False)
        return self._add_rows(rows, bands)

    def _add_rows(self, rows: np.ndarray, bands: Bands) -> np.ndarray:
        derived = self.pool.derive(rows, bands)
        self.programme.add_rows(derived)
        return derived.numbers

    def _find_fresh(self, relaxation: Relaxation, bands: Bands) -> np.ndarray:
        """Violated rows of paths in the pool, and of new ones where there are none or few paths."""
        least_h = LEAST_VIOLATION * self.levels.span_h
        rows = self.pool.find_violated(relaxation.choice, bands, relaxation.filled, least_h, ROWS_PER_LEVEL)
        fresh = self._keep_violated(rows, relaxation, bands)
        if len(fresh) and len(self.pool) >= THIN_POOL:
            return fresh
        return np.union1d(fresh, self._find_new(relaxation, bands))

    def _find_new(self, relaxation: Relaxation, bands: Bands) -> np.ndarray:
        """Violated rows of new paths.

        In words: on large networks, where a search takes as long as a programme, the approaches that had some
        last time are searched first, and the others only where these have none.
        """
        every = set(range(len(self.levels.of_approach)))
        for approaches in [self._broken, every - self._broken] if self._is_large else [every]:
            rows = self._find_covers(sorted(approaches), relaxation, bands)
            fresh = self._keep_violated(rows, relaxation, bands)
            if len(fresh):
                broken = self.pool.level[self.pool.row_path[fresh]]
                self._broken = {k for k in every if np.isin(self.levels.of_approach[k], broken).any()}
                return fresh
        return NO_ROWS

    def _halve_sums(self, relaxation: Relaxation, bands: Bands) -> np.ndarray:
        """Violated sums of rows, halved and rounded up."""
        sets = find_zero_halves(self.pool.derive(self._loaded_rows, bands), relaxation.choice)
        numbers = np.array([self.pool.number_sum(one) for one in sets], np.int64)
        return self._keep_violated(np.unique(numbers), relaxation, bands)

    def _keep_violated(self, rows: np.ndarray, relaxation: Relaxation, bands: Bands) -> np.ndarray:
        """Keep the rows that are new here and broken by more than the slack that all rows share."""
        fresh = np.array([row for row in rows.tolist() if row not in self._seen], np.int64)
        derived = self.pool.derive(fresh, bands)
        violation = derived.measure_violation(relaxation.choice, relaxation.filled)
        return derived.numbers[violation > relaxation.slack + LEAST_SHARE]

    def _count_passes(self) -> int:
        """How often covers are looked for beside those already found; one level gives one row a pass."""
        return STEPPED_PASSES if self.goal.is_stepped else 0

    def _find_covers(self, approaches: Sequence[int], relaxation: Relaxation, bands: Bands) -> np.ndarray:
        """Rows of several passes, each with the options of the rows before taken as built.

        In words: options built in addition break no more rows, so every row found is broken by the point
        itself.
        """
        fresh = rows = self._find_pass(approaches, relaxation.choice, relaxation.filled, bands)
        choice = relaxation.choice.copy()
        for _ in range(self._count_passes()):
            if not len(fresh):
                break
            choice[self.pool.derive(fresh, bands).options] = 1.0
            fresh = self._find_pass(approaches, choice, relaxation.filled, bands)
            rows = np.union1d(rows, fresh)
        return rows

    def _find_pass(
        self, approaches: Sequence[int], choice: np.ndarray, filled: np.ndarray, bands: Bands
    ) -> np.ndarray:
        """Rows with the covers that a search over paths and covers together finds."""
        self.covers.set_choice(choice)
        rows: list[int] = []
        for approach in approaches:
            for level in self.levels.of_approach[approach]:
                part = slice(bands.start[level], bands.start[level + 1])
                held = np.where(bands.b_h[part] > bands.a_h[part], filled[part], 0.0)
                wanted = np.flatnonzero(held > LEAST_COVERED)
                limits = [(-1, float(bands.low_h[level]), 1.0)]
                limits += [(int(b), float(bands.b_h[part][b]), float(held[b])) for b in wanted]
                limits = [(band, limit_h - self.levels.tolerance_h, share) for band, limit_h, share in limits]
                found = self.covers.find_early(approach, [limit[1:] for limit in limits])
                for band, limit_h, share in limits:
                    early = [one for one in found if one.time_h < limit_h]
                    if early and early[-1].weight < share:
                        cover = self.covers.trace_cover(approach, early[-1])
                        path = self.pool.add_route(cover.route, level)
                        rows.append(self.pool.number_row(path, band, np.array(cover.options, np.int32)))
        return np.unique(np.array(rows, np.int64))

    def _close_node(self, box: Box, relaxation: Relaxation) -> Node:
        low_h, top_h = self.levels.weight @ box.low_h, float(self.levels.weight @ box.high_h)
        used = relaxation.row_multipliers > LEAST_MULTIPLIER
        node = Node(box, top_h, point=relaxation, rows=self._loaded_rows[used])
        node.static_multipliers = relaxation.static_multipliers
        node.row_multipliers = relaxation.row_multipliers[used]
        if self.goal.is_stepped:
            node.need = relaxation.need
            self._raise_multipliers(node)
        bound_h = self._bound(node, box)
        if bound_h < low_h - self.levels.tolerance_h:
            node.bound_h = -np.inf
        elif bound_h < top_h:
            node.bound_h = bound_h
        else:
            node.static_multipliers, node.row_multipliers = NOTHING, np.zeros(len(node.rows))
        return node

    def _raise_multipliers(self, node: Node) -> None:
        """Multiply the proof that no plan reaches the lower end until it says so of the whole box.

        In words: what is missing at the lower end counts as often as it takes to outweigh the box's width.
        """
        low_h = float(self.levels.weight @ node.box.low_h)
        short_h = low_h - self._bound(node, node.box.lower_top())
        if short_h > LEAST_SHORT * self.levels.span_h:
            factor = find_factor(self.levels, node.box, short_h)
            node.static_multipliers = factor * node.static_multipliers
            node.row_multipliers = factor * node.row_multipliers

    def _bound(self, node: Node, box: Box) -> float:
        """Bound a box by the rows and multipliers of a node."""
        bands = cut_bands(self.programme.grid, box.low_h, box.high_h)
        return bound_box(
            self.network.problem,
            self.levels,
            self.programme.static,
            box,
            bands,
            self.pool.derive(node.rows, bands),
            node.static_multipliers,
            node.row_multipliers,
        )[0]


def is_whole(choice: np.ndarray) -> bool:
    """Say whether every option is chosen wholly or not at all."""
    return not (np.minimum(choice, 1.0 - choice) > WHOLE).any()
