"""Closing lines: the cheapest chains of edges that separate two sets of cells, exactly, by the dual graph."""

from __future__ import annotations

import numpy as np

from abatis.barrier.line_graph import Line, build_graph, draw_line, list_components
from abatis.barrier.line_parity import cut_component
from abatis.barrier.line_sets import find_disjoint_cuts
from abatis.barrier.line_terms import Terms, read_terms
from abatis.barrier.line_walks import walk_component
from abatis.barrier.options import cost_edges, find_protected_works
from abatis.barrier.pockets import ring_pockets
from abatis.model.errors import Fault, InfeasibleError, InputError
from abatis.model.mesh import Mesh
from abatis.model.study import Study

__all__ = ["Line", "compute_closing_cost", "find_closing_line", "find_echelon_lines", "find_termed_lines"]


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
    graph = build_graph(mesh, cost_eur, source, target, ground)
    cut = np.zeros(mesh.edge_count, bool)
    for inside in list_components(graph):
        cut ^= cut_component(graph, inside)
    return draw_line(mesh, graph, cut, cost_eur, key, name)


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


def find_termed_lines(
    mesh: Mesh,
    terms: Terms,
    source: np.ndarray,
    target: np.ndarray,
    ground: np.ndarray | None = None,
    key: str = "line",
    name: str = "Closing line",
) -> tuple[Line, ...]:
    """Find the lines of least cost that keep some terms; see `line_terms.Terms`.

    Parameters
    ----------
    mesh, source, target, ground, key, name : as for `find_closing_line`.
    terms : costs, places to pass, price of turns, number of lines.

    Returns
    -------
    `terms.count` lines, the one nearest to the sources first; each alone separates sources from targets. The
    second has the key KEY-2, and so on.

    In words: without places, turns and further lines this is the cheapest cut; see `walk_component` and
    `find_disjoint_cuts` for what is exact with them, and `ring_pockets` for ground off the rim.

    Raises
    ------
    InputError, InfeasibleError, SizeError : as for `find_closing_line`, and when the terms cannot be kept.
    """
    graph = build_graph(mesh, terms.choice_eur, source, target, ground)
    cuts = [np.zeros(mesh.edge_count, bool) for _ in range(terms.count)]
    for inside in list_components(graph):
        if terms.count > 1:
            parts = find_disjoint_cuts(mesh, graph, inside, terms.count, terms.shared)
            parts = ring_pockets(mesh, graph, inside, terms, parts)
        elif terms.is_plain:
            parts = [cut_component(graph, inside)]
        else:
            parts = ring_pockets(mesh, graph, inside, terms, [walk_component(mesh, graph, inside, terms)])
        for cut, part in zip(cuts, parts, strict=True):
            cut ^= part
    return tuple(
        draw_line(
            mesh,
            graph,
            cut,
            terms.cost_eur,
            key if number == 1 else f"{key}-{number}",
            name if terms.count == 1 else f"{name}, line {number}",
        )
        for number, cut in enumerate(cuts, start=1)
    )


def find_echelon_lines(study: Study, mesh: Mesh) -> tuple[Line, ...]:
    """Find the cheapest closing line inside every echelon band of the home ground.

    Parameters
    ----------
    study : `outer_km` bounds the bands (0 to the first, first to second, ...), distance from hostile ground;
        its table line_terms says what else is asked.
    mesh : the mesh.

    Returns
    -------
    One line per band, keys e1, e2, ...; where bands are wider than a cell, no two build on the same edge.
    Where line_terms asks for several lines in a band, their chains are in one.

    In words: everything nearer than the band is a source, home ground beyond it a target. Allies' ground is
    left out, so the line ends at their border. It runs between home cells only, and where something has to
    be built it keeps off protected works (and, if the study says so, off cells that are mostly protected
    nature).

    Raises
    ------
    InputError : no hostile ground beside home ground, nothing lies beyond a band, or terms with faults.
    InfeasibleError : a band that no line can pass; names the place.

    Source: echelons as Lithuania's programme describes them (outer limits in study.toml).
    """
    return tuple(join_lines(lines) for lines in find_echelon_sets(study, mesh))


def find_echelon_sets(study: Study, mesh: Mesh) -> tuple[tuple[Line, ...], ...]:
    """Find the lines of every echelon as `find_echelon_lines` does, several lines of one echelon apart."""
    home, hostile = mesh.mask_countries(study.home), mesh.mask_countries(study.hostile)
    ground = home | hostile
    both_home = home[mesh.edge_a] & home[mesh.edge_b]
    cost = compute_closing_cost(study, mesh)
    cost = np.where(both_home & ~((cost > 0) & _forbid_edges(study, mesh)), cost, np.inf)
    source = hostile.copy()
    touched = np.zeros(mesh.cell_count, bool)
    found: list[tuple[Line, ...]] = []
    inner_km = 0.0
    for number, outer_km in enumerate(study.outer_km, start=1):
        source |= home & (mesh.border_km < inner_km)
        target = home & (mesh.border_km >= outer_km)
        source |= touched & ~target
        _check_band(source, target & ~source, number, inner_km, outer_km)
        terms = read_terms(study, mesh, cost, number)
        try:
            lines = find_termed_lines(
                mesh,
                terms,
                source,
                target,
                ground,
                f"e{number}",
                f"Echelon {number}, {inner_km:g}-{outer_km:g} km",
            )
        except InfeasibleError as error:
            rules = ("echelons.outer_km",) + (("sites.avoid_protected",) if study.avoid_protected else ())
            raise InfeasibleError(
                f"echelon {number} ({inner_km:g}-{outer_km:g} km): {error}",
                tuple(dict.fromkeys((*rules, *error.rules))),
                error.proven,
            ) from error
        found.append(lines)
        for line in lines:
            touched |= _touch_line(mesh, line, terms.cost_eur)
        inner_km = outer_km
    return tuple(found)


def join_lines(lines: tuple[Line, ...]) -> Line:
    """Join the lines of one echelon into one line with all their chains."""
    if len(lines) == 1:
        return lines[0]
    length_km = sum(line.length_km for line in lines)
    natural_km = sum(line.closed_by_nature * line.length_km for line in lines)
    return Line(
        key=lines[0].key,
        name=f"{lines[0].name.rsplit(', line', 1)[0]}, {len(lines)} lines",
        chains=tuple(chain for line in lines for chain in line.chains),
        polylines=tuple(one for line in lines for one in line.polylines),
        cost_eur=sum(line.cost_eur for line in lines),
        length_km=length_km,
        closed_by_nature=natural_km / length_km if length_km > 0 else 1.0,
    )


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
