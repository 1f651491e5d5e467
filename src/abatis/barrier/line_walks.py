"""Lines that pay for turns or pass through places: least-cost walks with a memory, made free of repeats."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass

import numpy as np

from abatis.barrier import _dual, _rings, _walks
from abatis.barrier.line_graph import CENT, LENGTH_BITS, Graph, name_position
from abatis.barrier.line_parity import open_rim
from abatis.barrier.line_terms import Terms
from abatis.model.errors import Fault, InfeasibleError, InputError, SizeError
from abatis.model.mesh import Mesh

MOST_STATES = 40_000_000
MOST_TRIALS = 400
WAYS = 10
_Bars = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class _Walk:
    """Walks from rim arc to rim arc: total weight, edges crossed, and arc and mask each was crossed in."""

    weight: int
    edges: np.ndarray
    layers: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class _Task:
    """What is searched: graph with open rim, its odd arcs, faces of dual edges, places, turn weight."""

    graph: Graph
    to: np.ndarray
    arcs: tuple[int, ...]
    left: np.ndarray
    right: np.ndarray
    places: np.ndarray
    masks: int
    turn: int


def walk_component(mesh: Mesh, graph: Graph, inside: np.ndarray, terms: Terms) -> np.ndarray:
    """Return bool[E], the line of least cost that keeps the terms, on one connected piece of ground.

    Parameters
    ----------
    mesh, graph : the mesh and its dual graph, weighed with the terms' `choice_eur`.
    inside : bool[N], the cells of the piece.
    terms : places to pass and EUR per turn.

    Formula: min over chains from rim to rim of sum of choice + turn_eur x number of turns, where a turn is
    two bends to the same hand in a row (a straight row of hexagon sides bends left and right by turns).
    In words: walks over states (corner, way in, last hand, places passed) are the exact least when no side
    is walked twice. Where one is, two cases are tried, each barring it in one of its two states (branch and
    bound), until the best walk repeats nothing.

    Raises
    ------
    InputError : ground that needs a ring, a place that no line can touch.
    InfeasibleError : no line passes all places; `proven` is false when the search was cut short.
    SizeError : too many states.
    """
    task = _prepare(mesh, graph, inside, terms)
    best = _branch(mesh, task, terms)
    cut = np.zeros(mesh.edge_count, bool)
    cut[best.edges] = True
    return cut


def describe_ring_fault(where: str) -> Fault:
    """Say that ground somewhere needs a ring, which lines with these terms cannot be."""
    return Fault(
        f"ground {where} needs a ring of its own, which terms of turns, places or several lines do not draw",
        "tables/line_terms.csv",
        column="kind",
        remedy="leave these terms out for this echelon, or widen the band so that its ground reaches the rim",
    )


def _prepare(mesh: Mesh, graph: Graph, inside: np.ndarray, terms: Terms) -> _Task:
    to, arcs, _ = open_rim(graph, inside)
    if len(arcs) < 2:
        raise InputError([describe_ring_fault(name_position(mesh, int(np.flatnonzero(inside)[0])))])
    usable = graph.weight >= 0
    faults = []
    places = np.zeros(mesh.edge_count, np.int64)
    for number, (name, edges) in enumerate(terms.must_pass):
        near = edges & usable
        if not near.any():
            row = int(np.flatnonzero(edges)[0]) if edges.any() else 0
            where = name_position(mesh, int(mesh.edge_a[row]))
            faults.append(
                Fault(
                    f"no line of this echelon can touch '{name}' {where}: it lies outside the band, or "
                    "nothing can be closed there",
                    "tables/line_terms.csv",
                    column="kind",
                    remedy="give the term its echelon, or move the place",
                )
            )
        places[near] |= 1 << number
    if faults:
        raise InputError(faults)
    masks = 1 << len(terms.must_pass)
    if len(to) * WAYS * masks > MOST_STATES:
        raise SizeError(
            f"{len(to)} corners and {len(terms.must_pass)} places make {len(to) * WAYS * masks:.3g} states, "
            f"at most {MOST_STATES:.3g}: lower the resolution or name fewer places"
        )
    left, right = _rings.list_faces(graph.neighbor, graph.corner, len(to))
    turn = round(terms.turn_eur * CENT) << LENGTH_BITS
    return _Task(graph, to, tuple(arcs), left, right, places, masks, turn)


def _branch(mesh: Mesh, task: _Task, terms: Terms) -> _Walk:
    """Best first over what is barred: edges in one arc's mask each, until no edge is walked twice."""
    counter = itertools.count()
    open_cases: list[tuple[int, int, _Bars, _Walk]] = []

    def add_case(bars: _Bars) -> None:
        walk = _search_case(task, bars)
        if walk is not None:
            heapq.heappush(open_cases, (walk.weight, next(counter), bars, walk))

    add_case(())
    names = ", ".join(f"'{name}'" for name, _ in terms.must_pass)
    for _ in range(MOST_TRIALS):
        if not open_cases:
            raise InfeasibleError(f"no line passes {names or 'from rim to rim'}", ("line_terms",))
        _, _, bars, walk = heapq.heappop(open_cases)
        repeated = _find_repeat(walk)
        if repeated is None:
            return walk
        for place in repeated:
            arc, mask = walk.layers[place]
            add_case((*bars, (int(walk.edges[place]), arc, mask)))
    edge = int(walk.edges[place])
    raise InfeasibleError(
        f"no line was found that passes {names} and does not run the same way twice "
        f"{name_position(mesh, int(mesh.edge_a[edge]))}; one may exist",
        ("line_terms",),
        proven=False,
    )


def _find_repeat(walk: _Walk) -> tuple[int, int] | None:
    seen: dict[int, int] = {}
    for place, edge in enumerate(walk.edges.tolist()):
        if edge in seen:
            return seen[edge], place
        seen[edge] = place
    return None


def _search_case(task: _Task, bars: _Bars) -> _Walk | None:
    graph, count = task.graph, len(task.arcs)
    weights = np.full((count, count, task.masks), _dual.FAR, np.int64)
    found: dict[tuple[int, int, int], tuple[np.ndarray, np.ndarray]] = {}
    for first in range(count - 1):
        barred = np.zeros(len(graph.weight), np.int64)
        for edge, arc, mask in bars:
            if arc == first:
                barred[edge] |= np.int64(1) << mask
        distance, parent, crossed = _walks.search_walks(
            task.to,
            graph.via,
            task.left,
            task.right,
            graph.weight,
            task.turn,
            task.places,
            task.masks,
            barred,
            task.arcs[first],
        )
        for second in range(first + 1, count, 2):
            begin = task.arcs[second] * WAYS * task.masks
            ends = distance[begin : begin + WAYS * task.masks].reshape(WAYS, task.masks)
            for mask in range(task.masks):
                way = int(np.argmin(ends[:, mask]))
                weights[first, second, mask] = ends[way, mask]
                if ends[way, mask] < _dual.FAR:
                    state = begin + way * task.masks + mask
                    found[first, second, mask] = _walks.follow_walk(parent, crossed, state, task.masks)
    return _join_walks(weights, found)


def _join_walks(
    weights: np.ndarray, found: dict[tuple[int, int, int], tuple[np.ndarray, np.ndarray]]
) -> _Walk | None:
    """Pair all arcs without crossings at least weight so that all places are passed by some walk."""
    count, masks = weights.shape[0], weights.shape[2]
    nothing: dict[int, tuple[int, tuple[tuple[int, int, int], ...]]] = {0: (0, ())}
    best = {(begin, begin - 1): nothing for begin in range(count + 1)}
    for width in range(2, count + 1, 2):
        for begin in range(count - width + 1):
            end = begin + width - 1
            least: dict[int, tuple[int, tuple[tuple[int, int, int], ...]]] = {}
            for middle in range(begin + 1, end + 1, 2):
                for mask in range(masks):
                    if weights[begin, middle, mask] >= _dual.FAR:
                        continue
                    own = int(weights[begin, middle, mask])
                    for one, (inner, parts) in best[begin + 1, middle - 1].items():
                        for two, (outer, others) in best[middle + 1, end].items():
                            total, key = own + inner + outer, mask | one | two
                            if key not in least or total < least[key][0]:
                                least[key] = (total, ((begin, middle, mask), *parts, *others))
            best[begin, end] = least
    answer = best[0, count - 1].get(masks - 1)
    if answer is None:
        return None
    weight, parts = answer
    edges = [found[part][0] for part in parts]
    layers = [(part[0], int(layer)) for part in parts for layer in found[part][1]]
    return _Walk(weight, np.concatenate([np.empty(0, np.int32), *edges]).astype(np.int32), tuple(layers))
