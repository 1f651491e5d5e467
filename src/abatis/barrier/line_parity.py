"""The cheapest cut of one connected piece of ground: paths between rim arcs, rings, and their parities."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from abatis.barrier import _between, _dual
from abatis.barrier.line_graph import Graph
from abatis.barrier.rings import find_ring
from abatis.model.errors import SizeError

MOST_RINGS = 10
MOST_STATES = 1 << 24


def cut_component(graph: Graph, inside: np.ndarray) -> np.ndarray:
    """Return bool[E], the cheapest cut of one connected piece of ground that holds sources and targets.

    `inside` bool[N] marks its cells.
    """
    to, arcs, on_rim = open_rim(graph, inside)
    held = graph.piece[inside & (graph.piece >= 0)]
    sizes = np.bincount(held)
    pieces = set(np.flatnonzero(sizes).tolist())
    kind = np.zeros(len(sizes), np.int8)
    kind[held] = graph.label[inside & (graph.piece >= 0)]
    base = set(np.unique(graph.piece[on_rim]).tolist()) if len(on_rim) else {int(np.argmax(sizes))}
    signature = np.zeros(len(graph.weight), np.int32)
    starts: list[np.ndarray] = []
    pairs: list[tuple[int, int]] = []
    wanted = 0
    anchor = int(np.flatnonzero(graph.piece == min(base))[0])
    for ring in range(MOST_RINGS + 1):
        cut = _solve_parities(graph, to, arcs, signature, ring, starts, wanted, pairs)
        if pieces <= base:
            return cut
        wrong = list_wrong_pieces(graph, inside, cut, anchor)
        if not len(wrong):
            return cut
        if ring == MOST_RINGS or len(to) << (ring + 1) > MOST_STATES:
            break
        new = int(wrong[np.argmax(sizes[wrong])])
        path, corners, end = _reach_base(graph, new, base)
        signature[path] ^= np.int32(1 << ring)
        starts.append(corners)
        pairs.append((new, end))
        wanted |= int(kind[new] != kind[end]) << ring
        base.add(new)
    raise SizeError(
        f"more than {ring} pieces of ground need a ring of their own: join or leave out small pieces"
    )


def list_wrong_pieces(graph: Graph, inside: np.ndarray, cut: np.ndarray, anchor: int) -> np.ndarray:
    """Return the pieces that a cut bool[E] leaves on the wrong side, seen from cell `anchor`."""
    color = _dual.color_cells(graph.neighbor, graph.edge, cut, anchor)
    odd = (color == 1) != (graph.label != graph.label[anchor])
    return np.unique(graph.piece[inside & (graph.piece >= 0) & odd])


def open_rim(graph: Graph, inside: np.ndarray) -> tuple[np.ndarray, list[int], np.ndarray]:
    """Choose the outer rim, close it along sources and targets, and list its odd arcs (one corner each)."""
    cells, sides, starts = _dual.trace_rims(graph.neighbor, inside)
    best: tuple[int, int] = (0, 0)
    held = np.empty(0, np.int64)
    for begin, end in itertools.pairwise(starts):
        marks = begin + np.flatnonzero(graph.label[cells[begin:end]])
        labels = graph.label[cells[marks]]
        rank = (int(np.count_nonzero(labels != np.roll(labels, -1))), len(marks))
        if rank > best:
            best, held = rank, marks
    to = graph.to.copy()
    if not len(held):
        return to, [], held
    corner = graph.corner
    tail, head = corner[cells[held], (sides[held] + 5) % 6], corner[cells[held], sides[held]]
    for first, second in ((tail, head), (head, tail)):
        match = (graph.to[first] == second[:, None]) & (graph.via[first] < 0)
        rows, slots = np.nonzero(match)
        to[first[rows], slots] = -1
    labels = graph.label[cells[held]]
    arcs = head[labels != np.roll(labels, -1)].tolist()
    return to, arcs, cells[held]


def _reach_base(graph: Graph, piece: int, base: set[int]) -> tuple[np.ndarray, np.ndarray, int]:
    """Find a shortest way from a piece to the base: edges crossed, a corner of each usable one, piece met."""
    start = graph.piece == piece
    here, parent = _dual.find_nearest(graph.neighbor, start, np.isin(graph.piece, list(base)))
    end = int(graph.piece[here])
    edges, corners = [], []
    while parent[here] >= 0:
        side = _dual.find_side(graph.neighbor, here, parent[here])
        edges.append(int(graph.edge[here, side]))
        if graph.weight[edges[-1]] >= 0:
            corners.append(int(graph.corner[here, side]))
        here = int(parent[here])
    return np.array(edges, np.int32), np.array(corners, np.int32), end


def _solve_parities(
    graph: Graph,
    to: np.ndarray,
    arcs: Sequence[int],
    signature: np.ndarray,
    bits: int,
    starts: Sequence[np.ndarray],
    wanted: int,
    pairs: Sequence[tuple[int, int]],
) -> np.ndarray:
    """Return bool[E]: the lightest dual edges, odd at `arcs`, whose signatures add up to `wanted`."""
    cut = np.zeros(len(graph.weight), bool)
    if bits == 0 and len(arcs) == 2:
        weight, edges = _between.search_between(to, graph.via, graph.weight, arcs[0], arcs[1])
        _check_weight(int(weight))
        for edge in edges:
            cut[edge] ^= True
        return cut
    rings, ring_parts = _weigh_rings(graph, to, signature, bits, starts, pairs)
    weights, routes = _weigh_chains(graph, to, arcs, signature, bits)
    chains, chain_parts = _pair_arcs(weights)
    total = [chains[one] + rings[one ^ wanted] for one in range(1 << bits)]
    best = min(range(1 << bits), key=lambda one: (total[one], one))
    _check_weight(total[best])
    for first, second, one in chain_parts(best):
        for edge in routes[first, second, one]:
            cut[edge] ^= True
    for edges in ring_parts(best ^ wanted):
        for edge in edges:
            cut[edge] ^= True
    return cut


def _check_weight(weight: int) -> None:
    if weight >= int(_dual.FAR):
        raise SizeError("the line costs more than is computed exactly: give costs in EUR, not in cents")


_RingParts = Callable[[int], list[np.ndarray]]
_ChainParts = Callable[[int], list[tuple[int, int, int]]]


def _weigh_rings(
    graph: Graph,
    to: np.ndarray,
    signature: np.ndarray,
    bits: int,
    starts: Sequence[np.ndarray],
    pairs: Sequence[tuple[int, int]],
) -> tuple[list[int], _RingParts]:
    """Return the least weight of rings per total signature, and a function that lists their edges."""
    if bits == 0:
        return [0], lambda _: []
    if bits == 1:
        found = find_ring(graph, to, *pairs[0])
        if found is not None:
            weight, edges = found
            return [0, weight], lambda one: [edges] if one else []
    corners = np.unique(np.concatenate(starts)).astype(np.int32)
    single, begin = _dual.search_rings(to, graph.via, graph.weight, signature, bits, corners)
    total = [int(one) for one in single]
    last = list(range(1 << bits))
    changed = True
    while changed:
        changed = False
        for one in range(1, 1 << bits):
            for part in range(1, 1 << bits):
                weight = int(single[part]) + total[one ^ part]
                if weight < total[one]:
                    total[one], last[one], changed = weight, part, True

    def follow_ring(part: int) -> np.ndarray:
        start = int(begin[part])
        goal = np.zeros(len(to), bool)
        goal[start] = True
        _, parent, crossed = _dual.search_paths(to, graph.via, graph.weight, signature, bits, start, goal, 1)
        return np.asarray(_dual.follow_path(parent, crossed, (start << bits) | part))

    def list_parts(one: int) -> list[np.ndarray]:
        parts = []
        while one:
            parts.append(follow_ring(last[one]))
            one ^= last[one]
        return parts

    return total, list_parts


def _weigh_chains(
    graph: Graph, to: np.ndarray, arcs: Sequence[int], signature: np.ndarray, bits: int
) -> tuple[np.ndarray, dict[tuple[int, int, int], np.ndarray]]:
    """Return the least weight between every two odd arcs per signature, and the edges of each such chain."""
    count = len(arcs)
    weights = np.full((count, count, 1 << bits), _dual.FAR, np.int64)
    routes = {}
    for first in range(count - 1):
        goal = np.zeros(len(to), bool)
        goal[list(arcs[first + 1 :])] = True
        distance, parent, crossed = _dual.search_paths(
            to, graph.via, graph.weight, signature, bits, arcs[first], goal, int(goal.sum())
        )
        for second in range(first + 1, count):
            for one in range(1 << bits):
                state = (arcs[second] << bits) | one
                weights[first, second, one] = distance[state]
                routes[first, second, one] = _dual.follow_path(parent, crossed, state)
    return weights, routes


def _pair_arcs(weights: np.ndarray) -> tuple[list[int], _ChainParts]:
    """Pair all arcs at least weight, per total signature; pairs never cross, so intervals are enough."""
    count, signatures = weights.shape[0], weights.shape[2]
    far = int(_dual.FAR)
    nothing = [0] + [far] * (signatures - 1)
    best: dict[tuple[int, int], list[int]] = {(begin, begin - 1): nothing for begin in range(count + 1)}
    choice: dict[tuple[int, int, int], tuple[int, int, int]] = {}
    for width in range(2, count + 1, 2):
        for begin in range(count - width + 1):
            end = begin + width - 1
            least = [far] * signatures
            for middle in range(begin + 1, end + 1, 2):
                inner, outer = best[begin + 1, middle - 1], best[middle + 1, end]
                for pair in range(signatures):
                    for one in range(signatures):
                        for two in range(signatures):
                            weight = int(weights[begin, middle, pair]) + inner[one] + outer[two]
                            if weight < least[pair ^ one ^ two]:
                                least[pair ^ one ^ two] = weight
                                choice[begin, end, pair ^ one ^ two] = (middle, pair, one)
            best[begin, end] = least

    def list_parts(total: int) -> list[tuple[int, int, int]]:
        parts, stack = [], [(0, count - 1, total)]
        while stack:
            begin, end, wanted = stack.pop()
            if end < begin:
                continue
            middle, pair, one = choice[begin, end, wanted]
            parts.append((begin, middle, pair))
            stack += [(begin + 1, middle - 1, one), (middle + 1, end, wanted ^ pair ^ one)]
        return parts

    return best[0, count - 1], list_parts
