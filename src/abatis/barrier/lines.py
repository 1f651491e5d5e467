"""Closing lines: the cheapest chains of edges that separate two sets of cells, exactly, by the dual graph."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import h3.api.basic_int as h3
import numpy as np

from abatis.barrier import _dual
from abatis.barrier.options import cost_edges, find_protected_works
from abatis.model.errors import Fault, InfeasibleError, InputError, SizeError
from abatis.model.mesh import Mesh
from abatis.model.study import Study

CENT = 100
LENGTH_STEP_M = 10.0
LENGTH_BITS = 20
MOST_RINGS = 10
MOST_STATES = 1 << 24


@dataclass(frozen=True)
class Line:
    """A closing line: removing its edges separates its sources from its targets.

    `chains`: one int32 array of edge rows per connected piece, in walking order with the source side on the
    left hand; `polylines`: float64[n + 1, 2] lon/lat of the corners walked, one per chain; `cost_eur`,
    `length_km`; `closed_by_nature`: share of the length with gap 0 and no road.
    """

    key: str
    name: str
    chains: tuple[np.ndarray, ...]
    polylines: tuple[np.ndarray, ...]
    cost_eur: float
    length_km: float
    closed_by_nature: float

    @property
    def edges(self) -> np.ndarray:
        """Edge rows of all chains, int32."""
        return np.concatenate(self.chains) if self.chains else np.empty(0, np.int32)


@dataclass(frozen=True)
class _Graph:
    """One connected piece of ground with its dual graph; `label` int8[N]: 1 source, 2 target, 0 free."""

    neighbor: np.ndarray
    edge: np.ndarray
    corner: np.ndarray
    to: np.ndarray
    via: np.ndarray
    weight: np.ndarray
    label: np.ndarray
    piece: np.ndarray


def find_closing_line(
    mesh: Mesh,
    cost_eur: np.ndarray,
    source: np.ndarray,
    target: np.ndarray,
    ground: np.ndarray | None = None,
    key: str = "line",
    name: str = "Closing line",
) -> Line:
    """Find the cheapest set of edges that separates every source cell from every target cell.

    Parameters
    ----------
    mesh : the mesh; N cells, E edges.
    cost_eur : EUR to close each edge, float64[E]; 0 where nature closes it, inf where it cannot be closed.
    source, target : bool[N], disjoint, both with at least one cell.
    ground : bool[N], the cells the line is drawn on; all when not given.
    key, name : carried into the result.

    Returns
    -------
    The line. Of all cheapest lines (on whole cents) it is a shortest one (on steps of 10 m).

    Formula: min over X (source in X, target outside X) of sum of cost over edges between X and the rest
    = min weight of a set of dual edges with odd degree at those rim arcs that lie between a source and a
    target, even degree at all other corners, and the right parity across a reference path to each inner
    piece.
    In words: a line that separates two sets of hexagons is a chain of hexagon sides. Chains from rim to rim
    and rings are found by least-cost walks over hexagon corners; rim sides are free, except where a source
    or target lies on the outer rim, since these count as joined to the outside. Chains are paired by trying
    all pairings that do not cross, so several pieces on either side still give the true minimum cut.

    Raises
    ------
    InputError : empty or overlapping sets, a negative or missing cost.
    InfeasibleError : a path from source to target crosses only edges that cannot be closed; names the place.
    SizeError : the costs or the number of inner pieces are beyond what is computed exactly.

    Source: planar duality of cuts and cycles (Ford and Fulkerson 1956; Reif 1983, SIAM J. Comput. 12:71).

    Examples
    --------
    See `tests/barrier/test_lines.py` for strips of a few cells checked by eye.
    """
    ground = np.ones(mesh.cell_count, bool) if ground is None else np.asarray(ground, bool)
    source, target = source & ground, target & ground
    _check_input(mesh, cost_eur, source, target)
    neighbor, edge = _restrict_ground(mesh, ground)
    source = _absorb_closed(mesh, neighbor, edge, cost_eur, source, target)
    label = np.where(source, 1, np.where(target, 2, 0)).astype(np.int8)
    weight = _weigh_edges(mesh, cost_eur, label, ground)
    corner, count = _dual.number_corners(neighbor)
    to, via = _dual.build_dual(neighbor, edge, corner, count)
    piece, _ = _dual.label_components(neighbor, label)
    component, _ = _dual.label_components(neighbor, ground.astype(np.int8))
    graph = _Graph(neighbor, edge, corner, to, via, weight, label, piece)
    cut = np.zeros(mesh.edge_count, bool)
    for one in np.intersect1d(component[source], component[target]):
        cut ^= _cut_component(graph, component == one)
    return _draw_line(mesh, graph, cut, cost_eur, key, name)


def _check_input(mesh: Mesh, cost_eur: np.ndarray, source: np.ndarray, target: np.ndarray) -> None:
    faults = []
    if not source.any():
        faults.append(Fault("has no source cell", "line", remedy="name ground that movement comes from"))
    if not target.any():
        faults.append(Fault("has no target cell", "line", remedy="name ground to protect"))
    both = np.flatnonzero(source & target)
    if len(both):
        faults.append(
            Fault(f"{len(both)} cells are source and target, first {_place(mesh, both[0])}", "line")
        )
    if len(cost_eur) != mesh.edge_count:
        faults.append(Fault(f"has {len(cost_eur)} costs for {mesh.edge_count} edges", "line"))
    elif np.isnan(cost_eur).any() or (cost_eur < 0).any():
        wrong = int(np.flatnonzero(np.isnan(cost_eur) | (cost_eur < 0))[0])
        faults.append(Fault(f"edge {wrong} has no cost of 0 or more", "line", remedy="give EUR, or inf"))
    if faults:
        raise InputError(faults)


def _place(mesh: Mesh, cell: int) -> str:
    return f"at {mesh.lon[cell]:.4f} E, {mesh.lat[cell]:.4f} N"


def _restrict_ground(mesh: Mesh, ground: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    inside = (mesh.neighbor >= 0) & ground[:, None] & ground[mesh.neighbor]
    return np.where(inside, mesh.neighbor, np.int32(-1)), np.where(inside, mesh.edge, np.int32(-1))


def _absorb_closed(
    mesh: Mesh,
    neighbor: np.ndarray,
    edge: np.ndarray,
    cost_eur: np.ndarray,
    source: np.ndarray,
    target: np.ndarray,
) -> np.ndarray:
    """Add to the sources what cannot be separated from them."""
    endless = np.isinf(cost_eur)
    if not endless.any():
        return source
    reached, parent = _dual.spread_cells(neighbor, edge, endless, source)
    lost = np.flatnonzero(reached & target)
    if len(lost):
        path = [int(lost[0])]
        while parent[path[-1]] >= 0:
            path.append(int(parent[path[-1]]))
        raise InfeasibleError(
            f"no line can be closed {_place(mesh, path[len(path) // 2])}: {len(path) - 1} edges in a row "
            f"from a source to a target cannot be closed by any option"
        )
    return np.asarray(reached)


def _weigh_edges(mesh: Mesh, cost_eur: np.ndarray, label: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """Return int64[E]: whole cents and, below them, length in steps; -1 where the line may not run."""
    first, second = label[mesh.edge_a], label[mesh.edge_b]
    usable = np.isfinite(cost_eur) & ~((first == second) & (first > 0))
    usable &= ground[mesh.edge_a] & ground[mesh.edge_b]
    cents = np.rint(np.where(usable, cost_eur, 0.0) * CENT)
    steps = np.rint(mesh.length_m.astype(np.float64) / LENGTH_STEP_M)
    if cents.max(initial=0) >= 2.0 ** (58 - LENGTH_BITS) or steps.max(initial=0) >= 2.0**LENGTH_BITS:
        raise SizeError(
            f"an edge costs {cents.max() / CENT:.3g} EUR; at most {2.0 ** (58 - LENGTH_BITS) / CENT:.3g} EUR "
            "is computed exactly: give costs in EUR, not in cents"
        )
    weight = (cents.astype(np.int64) << LENGTH_BITS) + np.maximum(steps.astype(np.int64), 1)
    return np.where(usable, weight, np.int64(-1))


def _cut_component(graph: _Graph, inside: np.ndarray) -> np.ndarray:
    """Return bool[E], the cheapest cut of one connected piece of ground that holds sources and targets."""
    to, arcs, on_rim = _open_rim(graph, inside)
    base = set(np.unique(graph.piece[on_rim]).tolist()) if len(on_rim) else set()
    sizes = np.bincount(graph.piece[inside & (graph.piece >= 0)])
    if not base:
        base = {int(np.argmax(sizes))}
    pieces, first = np.unique(graph.piece, return_index=True)
    kind = {int(p): int(graph.label[c]) for p, c in zip(pieces.tolist(), first.tolist(), strict=True)}
    signature = np.zeros(len(graph.weight), np.int32)
    starts: list[np.ndarray] = []
    wanted = 0
    anchor = int(np.flatnonzero(np.isin(graph.piece, list(base)))[0])
    for ring in range(MOST_RINGS + 1):
        cut = _solve_parities(graph, to, arcs, signature, ring, starts, wanted)
        color = _dual.color_cells(graph.neighbor, graph.edge, cut, anchor)
        odd = (color == 1) != (graph.label != graph.label[anchor])
        wrong = np.unique(graph.piece[inside & (graph.piece >= 0) & odd])
        if not len(wrong):
            return cut
        if ring == MOST_RINGS or len(to) << (ring + 1) > MOST_STATES:
            break
        new = int(wrong[np.argmax(sizes[wrong])])
        path, corners, end = _reach_base(graph, new, base)
        signature[path] ^= np.int32(1 << ring)
        starts.append(corners)
        wanted |= (kind[new] != kind[end]) << ring
        base.add(new)
    raise SizeError(
        f"more than {ring} pieces of ground need a ring of their own: join or leave out small pieces"
    )


def _open_rim(graph: _Graph, inside: np.ndarray) -> tuple[np.ndarray, list[int], np.ndarray]:
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


def _reach_base(graph: _Graph, piece: int, base: set[int]) -> tuple[np.ndarray, np.ndarray, int]:
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
    graph: _Graph,
    to: np.ndarray,
    arcs: Sequence[int],
    signature: np.ndarray,
    bits: int,
    starts: Sequence[np.ndarray],
    wanted: int,
) -> np.ndarray:
    """Return bool[E]: the lightest dual edges, odd at `arcs`, whose signatures add up to `wanted`."""
    cut = np.zeros(len(graph.weight), bool)
    rings, ring_parts = _weigh_rings(graph, to, signature, bits, starts)
    weights, routes = _weigh_chains(graph, to, arcs, signature, bits)
    chains, chain_parts = _pair_arcs(weights)
    total = [chains[one] + rings[one ^ wanted] for one in range(1 << bits)]
    best = min(range(1 << bits), key=lambda one: (total[one], one))
    if total[best] >= int(_dual.FAR):
        raise SizeError("the line costs more than is computed exactly: give costs in EUR, not in cents")
    for first, second, one in chain_parts(best):
        for edge in routes[first, second, one]:
            cut[edge] ^= True
    for start, one in ring_parts(best ^ wanted):
        goal = np.zeros(len(to), bool)
        goal[start] = True
        _, parent, crossed = _dual.search_paths(to, graph.via, graph.weight, signature, bits, start, goal, 1)
        for edge in _dual.follow_path(parent, crossed, (start << bits) | one):
            cut[edge] ^= True
    return cut


_RingParts = Callable[[int], list[tuple[int, int]]]
_ChainParts = Callable[[int], list[tuple[int, int, int]]]


def _weigh_rings(
    graph: _Graph, to: np.ndarray, signature: np.ndarray, bits: int, starts: Sequence[np.ndarray]
) -> tuple[list[int], _RingParts]:
    """Return the least weight of rings per total signature, and a function that lists (start, signature)."""
    if bits == 0:
        return [0], lambda _: []
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

    def list_parts(one: int) -> list[tuple[int, int]]:
        parts = []
        while one:
            parts.append((int(begin[last[one]]), last[one]))
            one ^= last[one]
        return parts

    return total, list_parts


def _weigh_chains(
    graph: _Graph, to: np.ndarray, arcs: Sequence[int], signature: np.ndarray, bits: int
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


def _draw_line(mesh: Mesh, graph: _Graph, cut: np.ndarray, cost_eur: np.ndarray, key: str, name: str) -> Line:
    reached, _ = _dual.spread_cells(graph.neighbor, graph.edge, ~cut, graph.label == 1)
    if (reached & (graph.label == 2)).any():
        raise RuntimeError("the closing line leaks: this is a fault in abatis")
    rows = np.flatnonzero(cut)
    left = np.where(reached[mesh.edge_a[rows]], mesh.edge_a[rows], mesh.edge_b[rows])
    right = np.where(reached[mesh.edge_a[rows]], mesh.edge_b[rows], mesh.edge_a[rows])
    sides = np.argmax(graph.neighbor[left] == right[:, None], axis=1)
    tail, head = graph.corner[left, (sides + 5) % 6], graph.corner[left, sides]
    follow = {int(corner): place for place, corner in enumerate(tail)}
    starts = np.flatnonzero(~np.isin(tail, head)).tolist()
    chains, polylines = [], []
    left_over = dict.fromkeys(range(len(rows)))
    for start in [*starts, *range(len(rows))]:
        if start not in left_over:
            continue
        chain = []
        place: int | None = start
        while place is not None and place in left_over:
            del left_over[place]
            chain.append(place)
            place = follow.get(int(head[place]))
        chains.append(rows[chain].astype(np.int32))
        polylines.append(_locate_corners(mesh, left[chain], right[chain]))
    length_m = mesh.length_m[rows].astype(np.float64)
    natural = (mesh.gap_m[rows] == 0) & (mesh.road_class[rows] < 0)
    return Line(
        key=key,
        name=name,
        chains=tuple(chains),
        polylines=tuple(polylines),
        cost_eur=float(cost_eur[rows].sum()),
        length_km=float(length_m.sum()) / 1000.0,
        closed_by_nature=float(length_m[natural].sum() / length_m.sum()) if len(rows) else 1.0,
    )


def _locate_corners(mesh: Mesh, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return lon/lat float64[n + 1, 2] of the corners between cells on the left and on the right hand."""
    points: list[tuple[float, ...]] = []
    for first, second in zip(mesh.cells[left].tolist(), mesh.cells[right].tolist(), strict=True):
        boundary = h3.directed_edge_to_boundary(h3.cells_to_directed_edge(first, second))
        if not points:
            points.append(boundary[0][::-1])
        points.append(boundary[-1][::-1])
    return np.array(points, np.float64)


def compute_closing_cost(study: Study, mesh: Mesh) -> np.ndarray:
    """Compute the least EUR at which each edge can be closed, float64[E].

    Parameters
    ----------
    study : its tables options and measures give the ways to close an edge.
    mesh : the mesh; E edges.

    Formula: min over options of gap_m / 1000 x unit cost of the open measure + that of the road or bridge
    measure.
    In words: an edge without a gap and without a road is closed by nature and costs 0; any other costs what
    the cheapest option asks that closes both its open ground and its road; inf when no option does.

    Raises
    ------
    InputError : an option asks for a measure in a unit that cannot be laid that way.

    Source: unit costs of `tables/measures.csv`, each with its own source and tag.

    Examples
    --------
    500 m of open ground and one road, a ditch at 200,000 EUR/km and a road block at 30,000 EUR: 130,000 EUR.
    """
    return cost_edges(study, mesh)


def find_echelon_lines(study: Study, mesh: Mesh) -> tuple[Line, ...]:
    """Find the cheapest closing line inside every echelon band of the home ground.

    Parameters
    ----------
    study : `outer_km` bounds the bands (0 to the first, first to second, ...), distance from hostile ground.
    mesh : the mesh.

    Returns
    -------
    One line per band, keys e1, e2, ...; where bands are wider than a cell, no two build on the same edge.

    In words: everything nearer than the band is a source, home ground beyond it a target. Allies' ground is
    left out, so the line ends at their border. It runs between home cells only, and where something has to
    be built it keeps off protected works (and, if the study says so, off cells that are mostly protected
    nature).

    Raises
    ------
    InputError : no hostile ground beside home ground, or nothing lies beyond a band.
    InfeasibleError : a band that no line can pass; names the place.

    Source: echelons as Lithuania's programme describes them (outer limits in study.toml).
    """
    home, hostile = mesh.mask_countries(study.home), mesh.mask_countries(study.hostile)
    ground = home | hostile
    both_home = home[mesh.edge_a] & home[mesh.edge_b]
    cost = compute_closing_cost(study, mesh)
    cost = np.where(both_home & ~((cost > 0) & _forbid_edges(study, mesh)), cost, np.inf)
    source = hostile.copy()
    touched = np.zeros(mesh.cell_count, bool)
    lines: list[Line] = []
    inner_km = 0.0
    for number, outer_km in enumerate(study.outer_km, start=1):
        source |= home & (mesh.border_km < inner_km)
        target = home & (mesh.border_km >= outer_km)
        source |= touched & ~target
        _check_band(source, target & ~source, number, inner_km, outer_km)
        try:
            line = find_closing_line(
                mesh,
                cost,
                source,
                target,
                ground,
                f"e{number}",
                f"Echelon {number}, {inner_km:g}-{outer_km:g} km",
            )
        except InfeasibleError as error:
            rules = ("echelons.outer_km",) + (("sites.avoid_protected",) if study.avoid_protected else ())
            raise InfeasibleError(
                f"echelon {number} ({inner_km:g}-{outer_km:g} km): {error}", rules
            ) from error
        lines.append(line)
        touched |= _touch_line(mesh, line, cost)
        inner_km = outer_km
    return tuple(lines)


def _forbid_edges(study: Study, mesh: Mesh) -> np.ndarray:
    cells = find_protected_works(study, mesh)
    if study.avoid_protected:
        cells = cells | (mesh.protected > 0.5)
    return np.asarray(cells[mesh.edge_a] | cells[mesh.edge_b])


def _check_band(
    source: np.ndarray, target: np.ndarray, number: int, inner_km: float, outer_km: float
) -> None:
    faults = []
    if not source.any():
        faults.append(
            Fault(
                "no hostile ground lies in the mesh", "study.toml", column="hostile", remedy="widen strip_km"
            )
        )
    if not target.any():
        faults.append(
            Fault(
                f"echelon {number} ({inner_km:g}-{outer_km:g} km): no home ground lies beyond it",
                "study.toml",
                column="echelons.outer_km",
                remedy="lower or drop this limit",
            )
        )
    if faults:
        raise InputError(faults)


def _touch_line(mesh: Mesh, line: Line, cost_eur: np.ndarray) -> np.ndarray:
    """Return bool[N]: cells beside the line's built edges, so that the next line cannot use these edges."""
    edges = line.edges[cost_eur[line.edges] > 0]
    touched = np.zeros(mesh.cell_count, bool)
    touched[mesh.edge_a[edges]] = True
    touched[mesh.edge_b[edges]] = True
    return touched
