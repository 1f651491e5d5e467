"""Pockets: ground that lines from rim to rim leave on the wrong side gets a ring of its own."""

from __future__ import annotations

import numpy as np

from abatis.barrier import _dual
from abatis.barrier.line_graph import Graph, build_graph, list_components
from abatis.barrier.line_parity import cut_component, open_rim
from abatis.barrier.line_terms import Terms
from abatis.model.mesh import Mesh


def ring_pockets(
    mesh: Mesh, graph: Graph, inside: np.ndarray, terms: Terms, cuts: list[np.ndarray]
) -> list[np.ndarray]:
    """Complete lines so that pockets off the rim lie on their right side too.

    Parameters
    ----------
    mesh, graph : the mesh and the dual graph the lines were found on.
    inside : bool[N], one connected piece of ground.
    terms : the terms of the lines.
    cuts : bool[E] per line, right for all ground that reaches the rim.

    Returns
    -------
    bool[E] per line, right for all ground.

    In words: each pocket is cut off at least cost from what lies on the wrong side with it; the line drawn
    already helps. Rings keep off the edges of other lines. Turns are not paid for on rings. The cost of line
    and ring together is the least where no pocket needs a ring; else each is the least by itself, the ring
    after the line.

    Raises
    ------
    InfeasibleError : a pocket that cannot be cut off; names the place.
    """
    _, _, held = open_rim(graph, inside)
    anchor = int(held[0])
    done = [cut.copy() for cut in cuts]
    for number in range(len(done)):
        color = _dual.color_cells(graph.neighbor, graph.edge, done[number], anchor)
        behind = (color == 1) != (graph.label[anchor] == 2)
        others = np.any([cut for place, cut in enumerate(done) if place != number], axis=0)
        price = np.where(others & ~terms.shared, np.inf, terms.choice_eur)
        for side, wrong in ((behind, 1), (~behind, 2)):
            ground = inside & side
            pockets = ground & (graph.label == wrong)
            rest = ground & (graph.label == 3 - wrong)
            if not pockets.any() or not rest.any():
                continue
            # On the wrong side of the line both kinds stand on one ground: there they must be cut apart.
            source, target = (pockets, rest) if wrong == 1 else (rest, pockets)
            part = build_graph(mesh, price, source, target, ground)
            for piece in list_components(part):
                done[number] |= cut_component(part, piece)
    return done
