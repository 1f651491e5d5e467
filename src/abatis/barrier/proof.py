"""Write down what proves a solution: paths edge by edge, and the tree with the multipliers of its leaves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from abatis.barrier._paths import collect_legs
from abatis.barrier.boxes import NO_ROWS, Node
from abatis.barrier.certificate import FORMAT
from abatis.barrier.compression import ROUNDING, Arcs, make_arcs
from abatis.barrier.exclusion import Exclusion
from abatis.barrier.network import Network, Route
from abatis.barrier.paths import SUM, PathPool
from abatis.barrier.solve import Solution
from abatis.model.plan import hash_problem


def make_certificate(solution: Solution) -> dict[str, Any]:
    """Collect the certificate of a solution as plain JSON values.

    Returns
    -------
    A dictionary with `format, problem, budget_eur, chosen, value_h, bound_h, levels, grid, paths, rows` and
    `nodes`. A path is `[approach, level, [edge * 2 + mode, ...]]`; a row `[path, band, [options], step_h]`,
    or, with path -1, half the sum of the earlier rows that it names; a node is
    `{"split": [kind, item, value], "children": [a, b]}`
    or a leaf `{"static": [...], "rows": [[row, multiplier], ...]}`. Either may begin with
    `"excluded": [[[options], static, rows], ...]`: no plan of the node with one of them is worth more than
    the bound.
    """
    pool = solution.pool
    named = [node.rows for node in solution.nodes if node.children is None]
    named += [one.rows for node in solution.nodes for one in node.exclusions]
    rows = pool.list_parts(np.unique(np.concatenate([NO_ROWS, *named])))
    used = np.unique(pool.row_path[rows[pool.row_path[rows] != SUM]]).tolist()
    steps = expand_routes(solution.network, [pool.routes[path] for path in used])
    levels = solution.levels
    return {
        "format": FORMAT,
        "problem": hash_problem(solution.problem),
        "budget_eur": solution.budget_eur,
        "chosen": solution.chosen.tolist(),
        "value_h": solution.value_h,
        "bound_h": solution.bound_h,
        "levels": {
            "of_approach": [list(members) for members in levels.of_approach],
            "weight": levels.weight.tolist(),
            "low_h": levels.low_h.tolist(),
            "high_h": levels.high_h.tolist(),
            "onward": [list(pair) for pair in levels.onward],
        },
        "grid": [edges.tolist() for edges in solution.grid],
        "paths": [
            [pool.routes[path].approach, int(pool.level[path]), step]
            for path, step in zip(used, steps, strict=True)
        ],
        "rows": _describe_rows(pool, rows, used),
        "nodes": _describe_nodes(solution.nodes, rows),
    }


def _describe_rows(pool: PathPool, rows: np.ndarray, paths: list[int]) -> list[list[Any]]:
    """Rows by their place in `rows`; paths by their place in `paths`."""
    number = {path: place for place, path in enumerate(paths)}
    described: list[list[Any]] = []
    for row in rows.tolist():
        path, band, cover, step_h = pool.describe_row(row)
        if path == SUM:
            described.append([SUM, band, np.searchsorted(rows, cover).tolist(), step_h])
        else:
            described.append([number[path], band, cover, step_h])
    return described


def _describe_nodes(nodes: Sequence[Node], rows: np.ndarray) -> list[dict[str, Any]]:
    """Nodes by their place; where an option must not be left out, a split whose one half is lost."""
    described: list[dict[str, Any]] = [{} for _ in nodes]
    for number, node in enumerate(nodes):
        place, part = number, dict[str, Any]()
        for one in node.exclusions:
            if one.value:
                part.setdefault("excluded", []).append([one.options.tolist(), *_describe_proof(one, rows)])
                continue
            split, lost = ["option", int(one.options[0]), 0.0], len(described)
            described[place] = {**part, "split": split, "children": [lost, lost + 1]}
            described += [_describe_leaf(one, rows), {}]
            place, part = lost + 1, {}
        if node.children is not None and node.split is not None:
            described[place] = {**part, "split": list(node.split), "children": list(node.children)}
        else:
            described[place] = {**part, **_describe_leaf(node, rows)}
    return described


def _describe_leaf(proven: Node | Exclusion, rows: np.ndarray) -> dict[str, Any]:
    if not proven.row_multipliers.any() and not proven.static_multipliers.any():
        return {}
    static, paid = _describe_proof(proven, rows)
    return {"static": static, "rows": paid}


def _describe_proof(proven: Node | Exclusion, rows: np.ndarray) -> tuple[list[float], list[list[Any]]]:
    """Multipliers of budget and rules, and of rows by their place in `rows`."""
    places, paid = np.searchsorted(rows, proven.rows).tolist(), proven.row_multipliers.tolist()
    return proven.static_multipliers.tolist(), [list(pair) for pair in zip(places, paid, strict=True)]


def expand_routes(network: Network, routes: list[Route]) -> list[list[int]]:
    """Write routes of the compressed network as steps `edge * 2 + mode` on the problem's graph."""
    wanted: dict[int, dict[int, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for route in routes:
        graph = network.graphs[route.approach]
        for arc in route.arcs:
            if graph.edge[arc] < 0:
                tail = int(np.searchsorted(graph.start, arc, side="right") - 1)
                wanted[route.approach][tail][int(graph.head[arc])] = float(graph.base_h[arc])
    legs = {}
    for approach, heads_of in wanted.items():
        tracer = _LegTracer(network, approach)
        for tail in sorted(heads_of):
            for head, steps in tracer.trace(tail, heads_of[tail]).items():
                legs[approach, tail, head] = steps
    delayed_roads = set(network.candidate_edge[network.candidate_mode == 1].tolist())
    return [_write_steps(network, route, legs, delayed_roads) for route in routes]


def _write_steps(
    network: Network, route: Route, legs: dict[tuple[int, int, int], list[int]], delayed_roads: set[int]
) -> list[int]:
    graph = network.graphs[route.approach]
    road_h = network.problem.road_h[network.problem.approach_group[route.approach]]
    steps: list[int] = []
    for arc in route.arcs:
        edge, candidate = int(graph.edge[arc]), int(graph.candidate[arc])
        if edge < 0:
            tail = int(np.searchsorted(graph.start, arc, side="right") - 1)
            steps += legs[route.approach, tail, int(graph.head[arc])]
        elif candidate >= 0:
            steps.append(2 * edge + int(network.candidate_mode[candidate]))
        else:
            # Where both ways take as long, the one that no option delays.
            steps.append(2 * edge + int(graph.base_h[arc] == road_h[edge] and edge not in delayed_roads))
    return steps


class _LegTracer:
    """Repeats the compression's searches of an approach and writes down the edges they took."""

    def __init__(self, network: Network, approach: int) -> None:
        problem, graph = network.problem, network.graphs[approach]
        group = problem.approach_group[approach]
        self._open_h, self._road_h = problem.open_h[group], problem.road_h[group]
        self._free_h = np.minimum(self._open_h, self._road_h)
        self._free_h[np.unique(problem.option_edge)] = np.inf
        self._problem, self._nodes, self._graph = problem, graph.nodes, graph
        self._arcs = make_arcs(problem, self._free_h)
        self._fronts = np.asarray(problem.approach_sources[approach], np.int32)
        self._goals = np.asarray(problem.approach_targets[approach], np.int32)
        ends = graph.nodes[:-2]
        self._end_of = np.full(problem.node_count, -1, np.int32)
        self._end_of[ends] = np.arange(len(ends), dtype=np.int32)
        self._no_ends = np.full(problem.node_count, -1, np.int32)
        self._distance_h = np.empty(problem.node_count)
        self._parent = np.empty(problem.node_count, np.int64)

    @cached_property
    def _back_arcs(self) -> Arcs:
        return make_arcs(self._problem, self._free_h, backward=True)

    def trace(self, tail: int, heads: Mapping[int, float]) -> dict[int, list[int]]:
        """Edges, `edge * 2 + mode`, of the legs from a node to others, which are given with their hours."""
        from_front, target = tail == self._graph.source, self._graph.target
        legs: dict[int, list[int]] = {}
        if target in heads and from_front:
            self._search(self._arcs, self._fronts, self._no_ends, heads[target])
            nearest = self._goals[np.argmin(self._distance_h[self._goals])]
            legs[target] = self._walk(self._arcs, int(nearest))[::-1]
        elif target in heads:
            self._search(self._back_arcs, self._goals, self._end_of, heads[target])
            legs[target] = self._walk(self._back_arcs, int(self._nodes[tail]))
        others = heads.keys() - {target}
        if others:
            longest_h = max(heads[head] for head in others)
            seeds = self._fronts if from_front else np.array([self._nodes[tail]], np.int32)
            self._search(self._arcs, seeds, self._end_of, longest_h, -1 if from_front else tail)
        return legs | {head: self._walk(self._arcs, int(self._nodes[head]))[::-1] for head in others}

    def _search(
        self, arcs: Arcs, seeds: np.ndarray, end_of: np.ndarray, longest_h: float, own: int = -1
    ) -> None:
        # Nothing farther than the longest leg lies on one; hours added in another order differ by rounding.
        nodes, room = len(self._parent), len(arcs[1]) + len(seeds) + 16
        self._distance_h[:] = np.inf
        collect_legs(
            *arcs[:3],
            end_of,
            seeds,
            own,
            np.full(1, longest_h * (1.0 + ROUNDING) + ROUNDING),
            np.zeros((nodes, 1)),
            self._distance_h,
            self._parent,
            np.full(nodes, -1, np.int64),
            np.zeros(nodes, np.int8),
            0,
            np.empty(room),
            np.empty(room, np.int32),
        )

    def _walk(self, arcs: Arcs, node: int) -> list[int]:
        """Edges from a node back to where the search began."""
        start, _, _, edges = arcs
        steps: list[int] = []
        while self._parent[node] >= 0:
            arc = int(self._parent[node])
            edge = int(edges[arc])
            steps.append(2 * edge + int(self._road_h[edge] < self._open_h[edge]))
            node = int(np.searchsorted(start, arc, side="right") - 1)
        return steps
