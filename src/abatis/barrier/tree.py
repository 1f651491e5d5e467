"""Branch and bound over boxes of arrival times: the proof that no plan is worth more than the bound."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from abatis.barrier.bands import cut_bands, make_grid
from abatis.barrier.boxes import NO_ROWS, BoxWorker, Goal, Node, is_whole
from abatis.barrier.branching import OptionBranching
from abatis.barrier.crew import Crew
from abatis.barrier.descent import Descent
from abatis.barrier.incumbent import Incumbent
from abatis.barrier.levels import Box, Levels
from abatis.barrier.network import Network, Route
from abatis.barrier.paths import PathPool
from abatis.barrier.programme import NodeProgramme, Relaxation, StaticRows

NODES_AT_ONCE = 2
DIVE_EVERY = 20
TIE = 1e-6
ARCS_A_STEP = 4_000
NO_COVER = np.empty(0, np.int32)
Seek = Callable[[], np.ndarray | None]
Improve = Callable[[Relaxation, int], Seek | None]


@dataclass(frozen=True)
class _Part:
    """A box to come, the node it is cut from, and whether it is the rest that no test covers yet."""

    box: Box
    parent: int | None
    is_rest: bool


class TreeSearch:
    """Best-bound-first search; `run` stops at the gap, the time limit or when the callback says so.

    `grain_h` is the step of all arrival times (1 for whole-number data, 0 when there is none): a level above
    z is then at least z + grain. The search goes in rounds: the best nodes, at most `NODES_AT_ONCE`, are
    split, their boxes are bounded side by side, and what was found is merged in the order of the boxes.
    """

    def __init__(
        self,
        network: Network,
        levels: Levels,
        static: StaticRows,
        incumbent: Incumbent,
        gap: float,
        grain_h: float,
        crew: Crew | None = None,
    ) -> None:
        self.network = network
        self.levels = levels
        self.static = static
        self.incumbent = incumbent
        self.grain_h = grain_h
        self.goal = Goal(incumbent, gap, grain_h)
        self.crew = Crew(1) if crew is None else crew
        self.pool = PathPool(network)
        self.grid: list[np.ndarray] = []
        self.branching = OptionBranching(network.problem.option_count)
        self._descent = Descent(self.goal) if self.goal.is_stepped else None
        self._test_rows = NO_ROWS
        self._test_point: Relaxation | None = None
        self._start_rows = NO_ROWS
        self.nodes: list[Node] = []
        self._workers: list[BoxWorker] = []
        self._worker_of: dict[int, int] = {}
        self._open: list[tuple[float, float, int]] = []
        self._steps = 0
        self._diving: int | None = None

    @property
    def bound_h(self) -> float:
        """Proven upper bound on the value of any plan."""
        leaves_h = [node.bound_h for node in self.nodes if node.children is None]
        excluded_h = [one.bound_h for node in self.nodes for one in node.exclusions]
        return max(leaves_h + excluded_h, default=np.inf)

    @property
    def steps(self) -> int:
        """Simplex steps taken so far, and searches for covers counted as many."""
        looked = sum(worker.covers.looked for worker in self._workers)
        return sum(worker.programme.steps for worker in self._workers) + looked // ARCS_A_STEP

    def is_settled(self, bound_h: float, box: Box | None = None) -> bool:
        """Say whether a part with this bound needs no further search (see `Goal`)."""
        return self.goal.is_settled(bound_h, box)

    def run(self, deadline: float, improve: Improve, report: Callable[[float, float], None]) -> str:
        """Search until settled; `improve` is the search for plans, `report` gets (value, bound).

        `improve` may return a job that runs beside the boxes of the round and answers with a choice.

        Called again after the deadline, it goes on where it stopped.

        Returns
        -------
        `gap` when the gap is proven, `time_limit` when the deadline passed first, `rounding` when a box could
        neither be settled nor divided any further.
        """
        if not self.nodes:
            self.grid = self.grid or make_grid(self.levels, self.incumbent.value_h)
            root = Box(self.levels.low_h.copy(), self.levels.high_h.copy(), ())
            self._add_nodes([_Part(self.levels.tighten(root), None, self._descent is not None)], deadline)
        else:
            self._queue_leaves()
        while self._open:
            bound, index = -self._open[0][0], self._open[0][-1]
            report(self.incumbent.value_h, bound)
            if self.is_settled(bound, self.nodes[index].box):
                heapq.heappop(self._open)
                continue
            if self.crew.is_over(deadline):
                return "time_limit"
            picked = self._pick_nodes()
            points = [(self.nodes[one].point, one) for one in picked]
            sought = [improve(point, one) for point, one in points if point is not None]
            if not self._branch(picked, improve, deadline, [job for job in sought if job is not None]):
                return "time_limit"
        left = [node for node in self.nodes if node.children is None]
        settled = all(self.is_settled(node.bound_h, node.box) for node in left)
        return "gap" if settled else "rounding"

    def start_from(self, paths: Sequence[tuple[Route, int]]) -> None:
        """Start the root from rows of paths (route, level); every level is then one band.

        In words: paths of the whole problem's programme say what holds over the whole range of a level.
        """
        if self._descent is None and paths:
            self.grid = make_grid(self.levels, self.incumbent.value_h, 1)
            numbers = [self.pool.number_row(self.pool.add_route(*path), 0, NO_COVER) for path in paths]
            self._start_rows = np.unique(np.array(numbers, np.int64))

    def _queue_leaves(self) -> None:
        """Queue every leaf that is not settled: a search that was stopped may have taken one off."""
        leaves = [(index, node) for index, node in enumerate(self.nodes) if node.children is None]
        left = [index for index, node in leaves if not self.is_settled(node.bound_h, node.box)]
        self._open = [self._rank(index) for index in left]
        heapq.heapify(self._open)

    def _rank(self, index: int) -> tuple[float, float, int]:
        """Order of the queue: by falling bound, then by what the programme's plan costs."""
        return -self.nodes[index].bound_h, self.nodes[index].need, index

    def _pick_nodes(self) -> list[int]:
        """Take the nodes of a round off the queue: that of a dive first, then by falling bound."""
        picked = []
        dive = self._follow_dive()
        if dive is not None:
            self._open.remove(self._rank(dive))
            heapq.heapify(self._open)
            picked.append(dive)
        while self._open and len(picked) < NODES_AT_ONCE:
            index = heapq.heappop(self._open)[-1]
            if self.is_settled(self.nodes[index].bound_h, self.nodes[index].box):
                continue
            self._steps += 1
            if self._steps % DIVE_EVERY == 1 and dive is None:
                dive = index
            picked.append(index)
        self._diving = dive
        return picked

    def _follow_dive(self) -> int | None:
        """The better child of the node dived into, down to a whole plan or a settled box.

        In words: good plans are found there.
        """
        if self._diving is None:
            return None
        children = [
            child
            for child in self.nodes[self._diving].children or ()
            if self.nodes[child].point is not None
            and not self.is_settled(self.nodes[child].bound_h, self.nodes[child].box)
        ]
        return max(children, key=self._rank_dive, default=None)

    def _rank_dive(self, index: int) -> tuple[float, float, int]:
        return self.nodes[index].bound_h, -self.nodes[index].need, index

    def _add_nodes(self, parts: Sequence[_Part], deadline: float, sought: Sequence[Seek] = ()) -> list[int]:
        """Bound boxes (with their parents) side by side, keep them as leaves, queue those not settled."""
        weight, first = self.levels.weight, len(self.nodes)
        tops = [-np.inf if one.box.is_empty else float(weight @ one.box.high_h) for one in parts]
        nodes = [Node(one.box, top_h, is_rest=one.is_rest) for one, top_h in zip(parts, tops, strict=True)]
        left = [place for place, node in enumerate(nodes) if not self.is_settled(node.bound_h)]
        wanted = [place for place in left if not parts[place].is_rest]
        workers = self._share_out([parts[place] for place in wanted])
        jobs = []
        for place, worker in zip(wanted, workers, strict=True):
            self._workers[worker].refresh()
            rows = self._list_rows(parts[place])
            jobs.append(partial(self._workers[worker].bound_node, parts[place].box, rows, deadline))
        choices, found = self._run_round(sought, jobs)
        for place, worker, node in zip(wanted, workers, found, strict=True):
            nodes[place] = self._absorb(worker, node)
            self._worker_of[first + place] = worker
        for choice in choices:
            self.incumbent.offer(choice)
        for index, node in enumerate(nodes, start=first):
            if node.point is not None and is_whole(node.point.choice):
                self.incumbent.offer(np.round(node.point.choice))
            self.nodes.append(node)
            if self.is_settled(node.bound_h, node.box):
                node.point = None
            else:
                heapq.heappush(self._open, self._rank(index))
        return list(range(first, len(self.nodes)))

    def _list_rows(self, part: _Part) -> np.ndarray:
        """Rows to start a box from: those of its parent, or for a test those of the test before."""
        if self._descent is not None and not part.box.fixed:
            return self._test_rows
        return self._start_rows if part.parent is None else self.nodes[part.parent].rows

    def _absorb(self, worker: int, node: Node) -> Node:
        """Take in what a worker found with a node; returns the node with rows of the shared pool."""
        numbers = self.pool.absorb(self._workers[worker].pool)
        self.branching.absorb(self._workers[worker].branching)
        self._workers[worker].renumber(numbers)
        node.rows = numbers[node.rows]
        node.exclusions = tuple(one.renumber(numbers) for one in node.exclusions)
        if self._descent is not None and not node.box.fixed:
            self._test_rows = node.rows
        return node

    def _test_box(self, improve: Improve, deadline: float, box: Box) -> Node:
        """Bound a box that is no part of the tree; beside it runs a search for plans from the test before."""
        part = _Part(box, None, False)
        worker = self._share_out([part])[0]
        self._workers[worker].refresh()
        seek = None if self._test_point is None else improve(self._test_point, len(self.nodes))
        job = partial(self._workers[worker].bound_node, box, self._list_rows(part), deadline, is_leaf=False)
        choices, (found,) = self._run_round([] if seek is None else [seek], [job])
        for choice in choices:
            self.incumbent.offer(choice)
        node = self._absorb(worker, found)
        self._test_point = node.point
        return node

    def _run_round(
        self, sought: Sequence[Seek], jobs: Sequence[Callable[[], Node]]
    ) -> tuple[list[np.ndarray], list[Node]]:
        """Run the searches for plans, one after another, beside the boxes; returns choices and nodes."""
        choices: list[np.ndarray | None] = []

        def seek_all() -> None:
            choices.extend([job() for job in sought])

        answers = self.crew.run([seek_all, *jobs] if sought else jobs)
        nodes = [answer for answer in answers if answer is not None]
        return [choice for choice in choices if choice is not None], nodes

    def _share_out(self, parts: Sequence[_Part]) -> list[int]:
        """Choose a worker for every box: one that has its levels loaded (its parent's first), or any."""
        while len(self._workers) < len(parts):
            programme = NodeProgramme(self.network.problem, self.levels, self.static, self.grid)
            self._workers.append(BoxWorker(programme, self.pool, self.branching, self.goal, self.crew))
        free = list(range(len(self._workers)))
        chosen: dict[int, int] = {}
        for place, part in enumerate(parts):
            key = part.box.levels_key()
            loaded = [worker for worker in free if self._workers[worker].loaded_levels == key]
            if loaded:
                known = self._worker_of.get(-1 if part.parent is None else part.parent, -1)
                chosen[place] = known if known in loaded else loaded[0]
                free.remove(chosen[place])
        for place in range(len(parts)):
            if place not in chosen:
                chosen[place] = free.pop(0)
        return [chosen[place] for place in range(len(parts))]

    def _branch(
        self, picked: Sequence[int], improve: Improve, deadline: float, sought: Sequence[Seek]
    ) -> bool:
        """Split nodes and bound the parts; false when the deadline left one no bound: it is taken back."""
        splits = [(index, self._split_node(self.nodes[index], improve, deadline)) for index in picked]
        parts: list[_Part] = []
        kept: list[tuple[int, tuple[str, int, float]]] = []
        for index, split in splits:
            if split is not None:
                kept.append((index, split))
                parts += self._cut(index, split)
        children = self._add_nodes(parts, deadline, sought)
        over = self.crew.is_over(deadline)
        for place, (index, split) in enumerate(kept):
            node, pair = self.nodes[index], (children[2 * place], children[2 * place + 1])
            worst = max(self.nodes[child].bound_h for child in pair)
            if worst > node.bound_h and over:
                self._drop_nodes(pair[0])
                return False
            node.split, node.children = split, pair
        for index in picked:
            self.nodes[index].point = None
        return True

    def _cut(self, index: int, split: tuple[str, int, float]) -> tuple[_Part, _Part]:
        """Cut a node; of a rest the lower part stays the rest, or the upper one when the lower is settled."""
        node = self.nodes[index]
        below, above = (self.levels.tighten(box) for box in node.box.split(*split, grain_h=self.grain_h))
        is_settled = not below.is_empty and self.is_settled(float(self.levels.weight @ below.high_h))
        return _Part(below, index, node.is_rest), _Part(above, index, node.is_rest and is_settled)

    def _drop_nodes(self, first: int) -> None:
        """Forget the nodes from `first` on."""
        del self.nodes[first:]
        self._open = [one for one in self._open if one[-1] < first]
        heapq.heapify(self._open)

    def _split_node(self, node: Node, improve: Improve, deadline: float) -> tuple[str, int, float] | None:
        """Choose where to split a node; of a rest the next test is cut off."""
        if self._descent is None or not node.is_rest:
            return self.choose_split(node)
        settled = self._find_settled_level(node.box)
        return settled or self._descent.choose_split(node.box, partial(self._test_box, improve, deadline))

    def choose_split(self, node: Node) -> tuple[str, int, float] | None:
        """Cut off levels that cannot matter; then halve the most mixed wide level; then options."""
        box = node.box
        weight = self.levels.weight
        settled = self._find_settled_level(box)
        if settled is not None:
            return settled
        if self._descent is not None and node.option is not None:
            return "option", node.option, 0.0
        width = weight * (box.high_h - box.low_h)
        level = int(
            np.argmax(np.where(width > self.goal.narrow_h, self._measure_mixing(node) + TIE * width, -1.0))
        )
        if width[level] <= self.goal.narrow_h:
            level = int(np.argmax(width))
        least_h = max(self.levels.tolerance_h, 0.5 * weight[level] * self.grain_h)
        if width[level] > self.goal.narrow_h or (node.option is None and width[level] > least_h):
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

    def _find_settled_level(self, box: Box) -> tuple[str, int, float] | None:
        """Find the level of which the largest low part is settled by the other levels' upper limits alone."""
        weight = self.levels.weight
        top_h = float(weight @ box.high_h)
        goal_h = self.goal.value_h - self.levels.tolerance_h * 1e-3
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
