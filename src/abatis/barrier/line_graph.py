"""The dual graph of a mesh with its sources and targets, and the drawing of a cut as a line."""

from __future__ import annotations

from dataclasses import dataclass

import h3.api.basic_int as h3
import numpy as np

from abatis.barrier import _dual
from abatis.model.errors import Fault, InfeasibleError, InputError, SizeError
from abatis.model.mesh import Mesh

CENT = 100
LENGTH_STEP_M = 10.0
LENGTH_BITS = 20


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
class Graph:
    """The ground a line is drawn on, with its dual graph.

    `neighbor`, `edge` int32[N, 6], -1 off the ground; `corner` int32[N, 6]; `to`, `via` int32[C, 3] (see
    `_dual.build_dual`); `weight` int64[E], -1 where no line may run; `label` int8[N]: 1 source, 2 target, 0
    free; `piece` int32[N], connected pieces of one label, -1 free; `component` int32[N], connected ground.
    """

    neighbor: np.ndarray
    edge: np.ndarray
    corner: np.ndarray
    to: np.ndarray
    via: np.ndarray
    weight: np.ndarray
    label: np.ndarray
    piece: np.ndarray
    component: np.ndarray


def build_graph(
    mesh: Mesh,
    cost_eur: np.ndarray,
    source: np.ndarray,
    target: np.ndarray,
    ground: np.ndarray | None = None,
) -> Graph:
    """Check the sets of a line and build the dual graph that it is searched on.

    Parameters
    ----------
    mesh : the mesh; N cells, E edges.
    cost_eur : EUR to close each edge, float64[E]; inf where it cannot be closed.
    source, target : bool[N], disjoint, both with at least one cell.
    ground : bool[N], the cells the line is drawn on; all when not given.

    Formula: weight = cost in whole cents x 2^20 + length in steps of 10 m (at least 1).
    In words: what cannot be separated from the sources is joined to them; the length settles which of two
    equally dear lines is taken.

    Raises
    ------
    InputError, InfeasibleError, SizeError : see `lines.find_closing_line`.
    """
    whole = ground is None
    ground = np.ones(mesh.cell_count, bool) if ground is None else np.asarray(ground, bool)
    source, target = source & ground, target & ground
    _check_input(mesh, cost_eur, source, target)
    neighbor, edge = mesh.neighbor, mesh.edge
    if not whole:
        neighbor, edge = _dual.restrict_ground(neighbor, edge, ground)
    source = _absorb_closed(mesh, neighbor, edge, cost_eur, source, target)
    label = source.astype(np.int8)
    label[target] = 2
    weight, dearest_eur, longest_m = _dual.weigh_edges(
        mesh.edge_a, mesh.edge_b, cost_eur, mesh.length_m, label, ground, CENT, LENGTH_BITS, LENGTH_STEP_M
    )
    if dearest_eur * CENT >= 2.0 ** (58 - LENGTH_BITS) or longest_m / LENGTH_STEP_M >= 2.0**LENGTH_BITS - 1:
        raise SizeError(
            f"an edge costs {dearest_eur:.3g} EUR; at most {2.0 ** (58 - LENGTH_BITS) / CENT:.3g} EUR "
            "is computed exactly: give costs in EUR, not in cents"
        )
    corner, count = _dual.number_corners(neighbor, label)
    to, via = _dual.build_dual(neighbor, edge, corner, count)
    piece, _ = _dual.label_components(neighbor, label)
    component, _ = _dual.label_components(neighbor, ground.astype(np.int8))
    return Graph(neighbor, edge, corner, to, via, weight, label, piece, component)


def list_components(graph: Graph) -> list[np.ndarray]:
    """Return bool[N] of every connected piece of ground that holds both sources and targets."""
    both = np.intersect1d(graph.component[graph.label == 1], graph.component[graph.label == 2])
    return [graph.component == one for one in both]


def _check_input(mesh: Mesh, cost_eur: np.ndarray, source: np.ndarray, target: np.ndarray) -> None:
    faults = []
    if not source.any():
        faults.append(Fault("has no source cell", "line", remedy="name ground that movement comes from"))
    if not target.any():
        faults.append(Fault("has no target cell", "line", remedy="name ground to protect"))
    both = np.flatnonzero(source & target)
    if len(both):
        faults.append(
            Fault(f"{len(both)} cells are source and target, first {name_position(mesh, both[0])}", "line")
        )
    if len(cost_eur) != mesh.edge_count:
        faults.append(Fault(f"has {len(cost_eur)} costs for {mesh.edge_count} edges", "line"))
    elif np.isnan(cost_eur).any() or (cost_eur < 0).any():
        wrong = int(np.flatnonzero(np.isnan(cost_eur) | (cost_eur < 0))[0])
        faults.append(Fault(f"edge {wrong} has no cost of 0 or more", "line", remedy="give EUR, or inf"))
    if faults:
        raise InputError(faults)


def name_position(mesh: Mesh, cell: int) -> str:
    """Say where the centre of a cell lies, in degrees."""
    return f"at {mesh.lon[cell]:.4f} E, {mesh.lat[cell]:.4f} N"


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
            f"no line can be closed {name_position(mesh, path[len(path) // 2])}: {len(path) - 1} edges "
            f"in a row from a source to a target cannot be closed by any option"
        )
    return np.asarray(reached)


def draw_line(mesh: Mesh, graph: Graph, cut: np.ndarray, cost_eur: np.ndarray, key: str, name: str) -> Line:
    """Draw a cut bool[E] as chains and polylines with the source side on the left hand."""
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
