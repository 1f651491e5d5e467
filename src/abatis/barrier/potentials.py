"""The whole problem as one compact mixed-integer programme over arrival times at end nodes (potentials)."""

from __future__ import annotations

import highspy
import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from abatis.barrier.levels import Levels
from abatis.barrier.network import Network, sum_longest_delays
from abatis.barrier.programme import INFINITE, StaticRows

LEAST_ROOM = 1e-9
LEAST_HOURS = 1e-300
SOURCE = 0
BUDGET = 0


class Potentials:
    """Arrival times p at the end nodes of all approaches; those with the same front and vehicle share them.

    Arcs `tail`, `head`, `base_h`, `candidate`; node 0 is every front. A choice x allows the times p with
    p[head] - p[tail] <= base + sum of d x, and the largest such p are the arrival times. Between the limits
    L <= p <= U a delay needs to count only up to U[head] - L[tail] - base, which is what makes the programme
    of a narrow box strong.
    """

    def __init__(self, network: Network, levels: Levels, static: StaticRows) -> None:
        self.network, self.levels, self.static = network, levels, static
        self._number: dict[tuple[object, ...], int] = {}
        self.goal = np.zeros(len(network.graphs), np.int64)
        self._collect_arcs()
        self._longest_h = np.append(sum_longest_delays(network), 0.0)
        every = self._longest_h[self.candidate]
        zero = np.zeros(len(every))
        self._near_h = self._measure(zero, [SOURCE], backward=False)[0]
        self._far_h = self._measure(every, [SOURCE], backward=False)[0]
        self._left_h = self._measure(zero, self.goal, backward=True)
        self._most_left_h = self._measure(every, self.goal, backward=True)

    def _collect_arcs(self) -> None:
        keys, hours = [], []
        for approach, graph in enumerate(self.network.graphs):
            number = self.number_nodes(approach)
            self.goal[approach] = number[graph.target]
            tail = np.repeat(number, np.diff(graph.start))
            keys.append(np.stack([tail, number[graph.head], graph.candidate], axis=1))
            hours.append(graph.base_h)
        key, base_h = np.concatenate(keys), np.concatenate(hours)
        kept = key[:, 1] != SOURCE
        key, base_h = key[kept], base_h[kept]
        order = np.lexsort((base_h, *key.T))
        key, base_h = key[order], base_h[order]
        first = np.append(True, (key[1:] != key[:-1]).any(axis=1))
        self.tail, self.head, self.candidate = key[first].T
        self.base_h = base_h[first]
        self.node_count = len(self._number) + 1

    def number_nodes(self, approach: int) -> np.ndarray:
        """The node here, int64[n], of every node of an approach's graph."""
        problem, graph = self.network.problem, self.network.graphs[approach]
        field = (int(problem.approach_group[approach]), problem.approach_sources[approach].tobytes())
        number = np.array([self._find_node((*field, int(node))) for node in graph.nodes], np.int64)
        number[graph.source] = SOURCE
        number[graph.target] = self._find_node(("goal", approach))
        return number

    def _find_node(self, key: tuple[object, ...]) -> int:
        return self._number.setdefault(key, len(self._number) + 1)

    def _measure(self, delay_h: np.ndarray, seeds: object, backward: bool) -> np.ndarray:
        """Least hours [S, N] from (to, when `backward`) every seed with delays [A] on the arcs."""
        tail, head = (self.head, self.tail) if backward else (self.tail, self.head)
        time_h = np.maximum(self.base_h + delay_h, LEAST_HOURS)
        order = np.lexsort((time_h, head, tail))
        tail, head, time_h = tail[order], head[order], time_h[order]
        first = np.append(True, (tail[1:] != tail[:-1]) | (head[1:] != head[:-1]))
        size = (self.node_count, self.node_count)
        matrix = csr_matrix((time_h[first], (tail[first], head[first])), size)
        return np.atleast_2d(dijkstra(matrix, indices=seeds))

    def limit_times(self, low_h: np.ndarray, high_h: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Least and largest useful time at every node when the levels lie between `low_h` and `high_h`.

        Formula: U = min(slowest, max_k high_k - left_k), L = min(U, max(fastest, max_k low_k - most left_k)).
        In words: later than needed for the highest level does not count; earlier than the lowest level allows
        cannot be.
        """
        low = np.array([max(low_h[level] for level in of) for of in self.levels.of_approach])
        high = np.array([max(high_h[level] for level in of) for of in self.levels.of_approach])
        upper = np.minimum(self._far_h, (high[:, None] - self._left_h).max(axis=0))
        upper[np.isneginf(upper)] = 0.0  # no goal lies behind these nodes
        lower = np.maximum(self._near_h, (low[:, None] - self._most_left_h).max(axis=0))
        lower[self.goal] = np.maximum(lower[self.goal], low)
        return np.minimum(lower, upper), upper

    def make_programme(self, low_h: np.ndarray, high_h: np.ndarray, least_h: float) -> highspy.Highs:
        """Mixed-integer programme of the plans worth `least_h` or more in a box of levels.

        Columns: times, then options, then levels.
        """
        lower, upper = self.limit_times(low_h, high_h)
        levels, options = self.levels, self.network.problem.option_count
        model = self._start_programme(
            np.concatenate([lower, np.zeros(options), low_h]),
            np.concatenate([upper, np.ones(options), high_h]),
        )
        model.changeObjectiveSense(highspy.ObjSense.kMaximize)
        model.changeColsCost(len(levels.weight), self.level_columns, levels.weight)
        whole = np.full(options, highspy.HighsVarType.kInteger)
        model.changeColsIntegrality(options, self.option_columns, whole)
        model.addRow(least_h, INFINITE, len(levels.weight), self.level_columns, levels.weight)
        self._add_arc_rows(model, lower, upper)
        return model

    def make_relaxation(self, money_share: float) -> highspy.Highs:
        """Linear programme of the whole problem with a share of the budget; it minimises minus the value.

        Columns as in `make_programme`; rows: budget and rules, (approach, level) as in `list_members`, sites
        with several options, then one per arc. No time has a limit but that of its arcs, so that the
        multipliers of the arcs are a flow from the fronts to the goals.
        """
        count, options = len(self.levels.weight), self.network.problem.option_count
        lower = np.concatenate([np.zeros(self.node_count + options), np.full(count, -INFINITE)])
        upper = np.concatenate(
            [np.full(self.node_count, INFINITE), np.ones(options), np.full(count, INFINITE)]
        )
        upper[SOURCE] = 0.0
        model = self._start_programme(lower, upper)
        model.changeRowBounds(BUDGET, -INFINITE, money_share * float(self.static.limits[BUDGET]))
        model.changeColsCost(count, self.level_columns, -self.levels.weight)
        every, one = np.arange(len(self.tail)), np.ones(len(self.tail))
        self._add_rows(model, every, np.full(len(every), INFINITE), one, one, self.base_h)
        return model

    @property
    def option_columns(self) -> np.ndarray:
        """Columns int32[O] of the options."""
        first = self.node_count
        return np.arange(first, first + self.network.problem.option_count, dtype=np.int32)

    @property
    def level_columns(self) -> np.ndarray:
        """Columns int32[L] of the levels."""
        first = self.node_count + self.network.problem.option_count
        return np.arange(first, first + len(self.levels.weight), dtype=np.int32)

    def list_members(self) -> list[tuple[int, int]]:
        """Pairs (approach, level), in the order of their rows."""
        of = self.levels.of_approach
        return [(approach, level) for approach, members in enumerate(of) for level in members]

    def _start_programme(self, lower: np.ndarray, upper: np.ndarray) -> highspy.Highs:
        """Programme with columns, budget and rules, levels up to the times at the goals, and sites."""
        model = highspy.Highs()
        for name, value in (("output_flag", False), ("threads", 1), ("parallel", "off")):
            model.setOptionValue(name, value)
        model.addVars(len(lower), lower, upper)
        for chosen, values, limit in zip(
            self.static.options, self.static.coefficients, self.static.limits, strict=True
        ):
            columns = self.option_columns[chosen]
            model.addRow(-INFINITE, float(limit), len(columns), columns, values.astype(float))
        for approach, level in self.list_members():
            pair = np.array([self.level_columns[level], self.goal[approach]], np.int32)
            model.addRow(-INFINITE, 0.0, 2, pair, np.array([1.0, -1.0]))
        _add_site_rows(model, self.network.problem.option_site, self.node_count)
        return model

    def _add_arc_rows(self, model: highspy.Highs, lower: np.ndarray, upper: np.ndarray) -> None:
        """Add p[head] - p[tail] <= base + delay, and for candidates the same with either end at its limit."""
        tail, head, base_h = self.tail, self.head, self.base_h
        room = upper[head] - lower[tail] - base_h
        kept = np.flatnonzero(room > LEAST_ROOM)
        one = np.ones(len(kept))
        self._add_rows(model, kept, room[kept], one, one, base_h[kept])
        crossed = kept[self.candidate[kept] >= 0]
        above = upper[head[crossed]] - upper[tail[crossed]] - base_h[crossed]
        late = crossed[above > LEAST_ROOM]
        one, none = np.ones(len(late)), np.zeros(len(late))
        self._add_rows(model, late, above[above > LEAST_ROOM], one, none, (base_h + upper[tail])[late])
        below = lower[head[crossed]] - lower[tail[crossed]] - base_h[crossed]
        soon = crossed[below > LEAST_ROOM]
        one, none = np.ones(len(soon)), np.zeros(len(soon))
        self._add_rows(model, soon, below[below > LEAST_ROOM], none, one, (base_h - lower[head])[soon])

    def _add_rows(
        self,
        model: highspy.Highs,
        arcs: np.ndarray,
        room_h: np.ndarray,
        of_head: np.ndarray,
        of_tail: np.ndarray,
        limit_h: np.ndarray,
    ) -> None:
        """Rows of_head p[head] - of_tail p[tail] - sum min(d, room) x <= limit for the arcs."""
        network, crossed = self.network, self.candidate[arcs]
        counts = np.where(
            crossed >= 0, network.candidate_start[crossed + 1] - network.candidate_start[crossed], 0
        )
        starts = np.append(0, np.cumsum(counts + 2))
        indices, values = np.empty(starts[-1], np.int32), np.empty(starts[-1])
        indices[starts[:-1]], values[starts[:-1]] = self.head[arcs], of_head
        indices[starts[:-1] + 1], values[starts[:-1] + 1] = self.tail[arcs], -of_tail
        row = np.repeat(np.arange(len(arcs)), counts)
        offset = np.arange(len(row)) - np.repeat(np.append(0, np.cumsum(counts))[:-1], counts)
        entry = network.candidate_start[crossed[row]] + offset
        place = starts[row] + 2 + offset
        indices[place] = self.node_count + network.candidate_option[entry]
        values[place] = -np.minimum(network.candidate_delay_h[entry], room_h[row])
        model.addRows(
            len(arcs),
            np.full(len(arcs), -INFINITE),
            limit_h,
            len(indices),
            starts[:-1].astype(np.int32),
            indices,
            values,
        )


def _add_site_rows(model: highspy.Highs, option_site: np.ndarray, first: int) -> None:
    """At most one option per site."""
    for site in np.flatnonzero(np.bincount(option_site) > 1):
        members = (first + np.flatnonzero(option_site == site)).astype(np.int32)
        model.addRow(-INFINITE, 1.0, len(members), members, np.ones(len(members)))
