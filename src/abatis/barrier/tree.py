"""Branch and bound over boxes of arrival times: the proof that no plan is worth more than the bound."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from abatis.barrier.network import Network, RouteFinder
from abatis.barrier.paths import PathPool, PathRow
from abatis.barrier.programme import Box, Levels, NodeProgramme, Relaxation, StaticRows, bound_box

TOLERANCE_H = 1e-7
ROUNDS = 60
ROWS_PER_LEVEL = 8
NARROW_SHARE = 0.02


@dataclass
class Node:
    """One node of the tree: its box, its bound, and either two children or the multipliers that prove it."""

    box: Box
    bound_h: float
    rows: tuple[tuple[int, str, tuple[int, ...]], ...] = ()
    split: tuple[str, int, float] | None = None
    children: tuple[int, int] | None = None
    static_multipliers: tuple[float, ...] = ()
    row_multipliers: tuple[float, ...] = ()
    point: Relaxation | None = field(default=None, repr=False)


class Incumbent:
    """The best plan so far; offers are priced exactly before they are taken."""

    def __init__(self, network: Network, levels: Levels, static: StaticRows) -> None:
        self.network = network
        self.levels = levels
        self.static = static
        self.finder = RouteFinder(network)
        self.choice: np.ndarray | None = None
        self.value_h = -np.inf

    def keeps_rules(self, choice: np.ndarray) -> bool:
        """Say whether budget, rules and one option per site are kept (hours asked by rules apart)."""
        sites = self.network.problem.option_site[choice > 0.5]
        rows = zip(self.static.options, self.static.coefficients, self.static.limits, strict=True)
        return len(np.unique(sites)) == len(sites) and all(
            float(c @ choice[o]) <= b + 1e-9 * max(1.0, abs(b)) for o, c, b in rows
        )

    def measure_levels(self, choice: np.ndarray) -> np.ndarray:
        """Arrival time of every level under a whole choice, exact."""
        self.finder.set_choice(choice)
        times = np.array([self.finder.measure_time_h(k) for k in range(self.network.problem.approach_count)])
        level_h = np.full(len(self.levels.weight), np.inf)
        for approach, members in enumerate(self.levels.of_approach):
            level_h[list(members)] = np.minimum(level_h[list(members)], times[approach])
        return level_h

    def offer(self, choice: np.ndarray) -> bool:
        """Take a choice when it keeps the rules and is worth more than the present one."""
        if not self.keeps_rules(choice):
            return False
        level_h = self.measure_levels(choice)
        if (level_h < self.levels.low_h - TOLERANCE_H).any():
            return False
        value_h = float(self.levels.weight @ level_h)
        if value_h <= self.value_h + 1e-12:
            return False
        self.value_h, self.choice = value_h, choice.copy()
        return True

    def offer_cheaper(self, choice: np.ndarray) -> bool:
        """Take a choice when it keeps the rules and is worth exactly as much as the present one."""
        if not self.keeps_rules(choice):
            return False
        level_h = self.measure_levels(choice)
        value_h = float(self.levels.weight @ level_h)
        if value_h < self.value_h or (level_h < self.levels.low_h - TOLERANCE_H).any():
            return False
        self.value_h, self.choice = value_h, choice.copy()
        return True


class TreeSearch:
    """Best-bound-first search; `run` stops at the gap, the time limit or when the callback says so."""

    def __init__(
        self, network: Network, levels: Levels, static: StaticRows, incumbent: Incumbent, gap: float
    ) -> None:
        self.network = network
        self.levels = levels
        self.static = static
        self.incumbent = incumbent
        self.gap = gap
        self.pool = PathPool(network)
        self.programme = NodeProgramme(network.problem, levels, static)
        self.finder = RouteFinder(network)
        self.nodes: list[Node] = []
        self._open: list[tuple[float, int]] = []

    @property
    def bound_h(self) -> float:
        """Proven upper bound on the value of any plan."""
        leaves = [node.bound_h for node in self.nodes if node.children is None]
        return max(leaves, default=np.inf)

    def is_settled(self, bound_h: float, box: Box | None = None) -> bool:
        """Say whether a part with this bound needs no further search.

        In words: it cannot hold a plan better than the best one by more than the gap asked, or its bound lies
        below the least value that its own box allows, so that it holds no plan at all.
        """
        value = self.incumbent.value_h
        if box is not None and bound_h < float(self.levels.weight @ box.low_h) - TOLERANCE_H:
            return True
        return bound_h <= value + max(self.gap * abs(value), TOLERANCE_H)

    def run(
        self,
        deadline: float,
        improve: Callable[[Relaxation, float], None],
        report: Callable[[float, float], None],
    ) -> str:
        """Search until settled; `improve` is the incumbent search, `report` gets (value, bound).

        Returns
        -------
        `gap` when the gap is proven, `time_limit` when the deadline passed first.
        """
        self.add_node(Box(self.levels.low_h.copy(), self.levels.high_h.copy(), ()), (), deadline)
        while self._open:
            bound, index = self._open[0][0] * -1.0, self._open[0][1]
            report(self.incumbent.value_h, bound)
            if self.is_settled(bound):
                return "gap"
            if time.monotonic() > deadline:
                return "time_limit"
            heapq.heappop(self._open)
            point = self.nodes[index].point
            assert point is not None
            improve(point, bound)
            self._branch(index, deadline)
            self.nodes[index].point = None
        return "gap"

    def add_node(self, box: Box, rows: tuple[tuple[int, str, tuple[int, ...]], ...], deadline: float) -> int:
        """Bound a box, keep it as a leaf, and queue it when it is not settled."""
        node = self._bound_node(box, rows, deadline)
        self.nodes.append(node)
        index = len(self.nodes) - 1
        if not self.is_settled(node.bound_h, box):
            heapq.heappush(self._open, (-node.bound_h, index))
        else:
            node.point = None
        return index

    def _bound_node(
        self, box: Box, names: tuple[tuple[int, str, tuple[int, ...]], ...], deadline: float
    ) -> Node:
        top_h = float(self.levels.weight @ box.high_h)
        if self.is_settled(top_h):
            return Node(box, top_h)
        rows = [self._derive(name, box) for name in names]
        self.programme.set_box(box)
        self.programme.add_rows(rows, self.pool.level)
        seen = {(row.path, row.kind, row.covered) for row in rows}
        relaxation = self.programme.solve()
        last, stalled = np.inf, 0
        for _ in range(ROUNDS):
            if self.is_settled(relaxation.value_h, box) or time.monotonic() > deadline:
                break
            fresh = self._violated_rows(relaxation, box, seen)
            if not fresh:
                if not self._separate(relaxation, box):
                    break
                fresh = self._violated_rows(relaxation, box, seen)
                if not fresh:
                    break
            stalled = stalled + 1 if last - relaxation.value_h < 1e-4 * abs(last) else 0
            last = relaxation.value_h
            if stalled >= 6:
                break
            rows += fresh
            seen |= {(row.path, row.kind, row.covered) for row in fresh}
            self.programme.add_rows(fresh, self.pool.level)
            relaxation = self.programme.solve()
        return self._close_node(box, rows, relaxation)

    def _close_node(self, box: Box, rows: list[PathRow], relaxation: Relaxation) -> Node:
        multipliers = np.append(
            relaxation.row_multipliers, np.zeros(len(rows) - len(relaxation.row_multipliers))
        )
        used = [index for index in range(len(rows)) if multipliers[index] > 1e-10]
        kept = [rows[index] for index in used]
        bound = bound_box(
            self.network.problem,
            self.levels,
            self.static,
            box,
            kept,
            self.pool.level,
            relaxation.static_multipliers,
            multipliers[used],
        )
        top_h = float(self.levels.weight @ box.high_h)
        if top_h <= bound:
            return Node(box, top_h, rows=tuple((r.path, r.kind, r.covered) for r in kept), point=relaxation)
        return Node(
            box,
            bound,
            rows=tuple((row.path, row.kind, row.covered) for row in kept),
            static_multipliers=tuple(relaxation.static_multipliers.tolist()),
            row_multipliers=tuple(multipliers[used].tolist()),
            point=relaxation,
        )

    def _derive(self, name: tuple[int, str, tuple[int, ...]], box: Box) -> PathRow:
        path, kind, covered = name
        limits = box.high_h if kind == "top" else box.low_h
        return self.pool.derive_row(path, kind, covered, float(limits[self.pool.level[path]]))

    def _violated_rows(
        self, relaxation: Relaxation, box: Box, seen: set[tuple[int, str, tuple[int, ...]]]
    ) -> list[PathRow]:
        """Pick the most violated rows of the pool, a few per level."""
        if not len(self.pool):
            return []
        worst = self.pool.scan(relaxation.choice, relaxation.level_h, box.low_h, box.high_h)
        rows: list[PathRow] = []
        for kind, column, limits in (("top", 0, box.high_h), ("floor", 2, box.low_h)):
            for level in range(len(self.levels.weight)):
                mine = np.flatnonzero(
                    (self.pool.level[: len(self.pool)] == level) & (worst[:, column] > 1e-6)
                )
                for path in mine[np.argsort(-worst[mine, column], kind="stable")[:ROWS_PER_LEVEL]]:
                    row = self.pool.make_row(
                        int(path), kind, int(worst[path, column + 1]), relaxation.choice, float(limits[level])
                    )
                    if (row.path, row.kind, row.covered) not in seen:
                        rows.append(row)
        return rows

    def _separate(self, relaxation: Relaxation, box: Box) -> int:
        """Look for new paths that the point of a relaxation breaks; returns how many were added."""
        added = 0
        for approach, members in enumerate(self.levels.of_approach):
            for level in members:
                base_h = self.network.graphs[approach].before_h
                caps = [np.inf, box.high_h[level] - base_h, 0.5 * (box.high_h[level] - base_h)]
                if box.low_h[level] > base_h + TOLERANCE_H:
                    caps.append(box.low_h[level] - base_h)
                for cap_h in caps:
                    if cap_h <= 0:
                        continue
                    self.finder.set_capped_choice(relaxation.choice, cap_h)
                    time_h, route = self.finder.find_route(approach)
                    if route is not None and time_h < relaxation.level_h[level] - TOLERANCE_H:
                        added += self.pool.add_route(route, level) is not None
        return added

    def _branch(self, index: int, deadline: float) -> None:
        node = self.nodes[index]
        box = node.box
        assert node.point is not None
        split = self._choose_split(node)
        if split is None:
            return
        kind, item, value = split
        if kind == "level":
            low_h, high_h = box.low_h.copy(), box.high_h.copy()
            low_h[item] = high_h[item] = value
            boxes = [Box(box.low_h, high_h, box.fixed), Box(low_h, box.high_h, box.fixed)]
        else:
            boxes = [Box(box.low_h, box.high_h, (*box.fixed, (item, side))) for side in (0, 1)]
        first = self.add_node(boxes[0], node.rows, deadline)
        second = self.add_node(boxes[1], node.rows, deadline)
        node.split, node.children = split, (first, second)

    def _choose_split(self, node: Node) -> tuple[str, int, float] | None:
        """Split the widest weighted level while it is wide, else the most fractional option."""
        box, point = node.box, node.point
        assert point is not None
        width = self.levels.weight * (box.high_h - box.low_h)
        level = int(np.argmax(width))
        fractional = np.minimum(point.choice, 1.0 - point.choice)
        option = int(np.argmax(fractional))
        if width[level] > NARROW_SHARE * abs(self.incumbent.value_h) or (
            fractional[option] < 1e-6 and width[level] > TOLERANCE_H
        ):
            return "level", level, float(0.5 * (box.low_h[level] + box.high_h[level]))
        if fractional[option] >= 1e-6:
            return "option", option, 0.0
        return None
