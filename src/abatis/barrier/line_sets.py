"""Several lines behind one another that share no edge, at least total cost, by flow on the dual graph."""

from __future__ import annotations

import numpy as np

from abatis.barrier import _rings, _walks
from abatis.barrier.line_graph import Graph, name_position
from abatis.barrier.line_parity import open_rim
from abatis.barrier.line_walks import describe_ring_fault
from abatis.model.errors import InfeasibleError, InputError
from abatis.model.mesh import Mesh


def find_disjoint_cuts(
    mesh: Mesh, graph: Graph, inside: np.ndarray, count: int, shared: np.ndarray
) -> list[np.ndarray]:
    """Find `count` cuts that share no edge, at least total weight, on one connected piece of ground.

    Parameters
    ----------
    mesh, graph : the mesh and its dual graph.
    inside : bool[N], the cells of the piece.
    count : how many lines.
    shared : bool[E], edges that several lines may have in common.

    Returns
    -------
    One bool[E] per line, the first nearest to the sources.

    Formula: min sum over edges of weight x |p(a) - p(b)| with p = 0 at sources, `count` at targets and
    |p(a) - p(b)| <= 1 unless shared; line l separates p < l from p >= l.
    In words: every walk from a source to a target has to cross each line. On the dual graph this is a flow
    of least cost from the rim places where sources give way to targets to those where targets give way to
    sources, found by one least-cost walk after the other, which may take back parts of earlier ones.

    Raises
    ------
    InfeasibleError : fewer lines have room; says how many and where.
    InputError : ground that needs a ring of its own.

    Source: Suurballe 1974, Networks 4:125; Bhandari 1999, Survivable Networks.
    """
    to, arcs, held = open_rim(graph, inside)
    if len(arcs) < 2:
        raise InputError([describe_ring_fault(name_position(mesh, int(np.flatnonzero(inside)[0])))])
    left, _ = _rings.list_faces(graph.neighbor, graph.corner, len(to))
    supply = np.zeros(len(to), np.int32)
    labels = graph.label[held]
    for label, arc in zip(labels[labels != np.roll(labels, -1)].tolist(), arcs, strict=True):
        supply[arc] += count if label == 1 else -count
    flow = np.zeros(mesh.edge_count, np.int32)
    price = np.zeros(len(to), np.int64)
    chains = int(supply[supply > 0].sum())
    for sent in range(chains):
        if not _walks.send_unit(to, graph.via, left, graph.weight, mesh.edge_a, shared, flow, supply, price):
            corner = int(np.flatnonzero(supply > 0)[0])
            cell = int(left[corner].max())
            raise InfeasibleError(
                f"no room for {count} lines {name_position(mesh, cell)}: only {sent} of {chains} chains "
                "can be drawn without a common edge",
                ("line_count",),
            )
    level = _walks.level_cells(graph.neighbor, graph.edge, mesh.edge_a, flow, int(held[labels == 1][0]))
    a, b = level[mesh.edge_a], level[mesh.edge_b]
    on = (flow != 0) & inside[mesh.edge_a]
    return [on & ((a < line) != (b < line)) for line in range(1, count + 1)]
