"""Observed barriers: a barrier that nobody watches keeps only a share of its delay."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from abatis.ground.exact_times import UNIT_H
from abatis.model.errors import Fault, InputError
from abatis.model.mesh import Mesh
from abatis.model.plan import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from abatis.barrier.sites import Site

LEFT_WHEN_UNWATCHED = 0.3
"""Share of its delay that an unobserved obstacle keeps (G: proposed planning default, 0.1 to 0.6)."""


@dataclass(frozen=True)
class Observed:
    """What is seen of S sites, and the problem with the delays that then count.

    `share` float64[S], share of the chain's length that is seen; `factor` float64[S], mean share of its delay
    that the chain keeps, 1 where all of it is seen.
    """

    share: np.ndarray
    factor: np.ndarray
    problem: Problem


def see_edges(mesh: Mesh, seen: np.ndarray) -> np.ndarray:
    """Return bool[E], edges that are watched: a mover that crosses stands in both cells, one is enough.

    Parameters
    ----------
    seen : bool[N], cells in which a mover is seen.

    Raises
    ------
    InputError : a mask of another type or length.
    """
    seen = np.asarray(seen)
    if seen.dtype != bool or seen.shape != (mesh.cell_count,):
        problem = f"is {seen.dtype} with shape {seen.shape}, the mesh has {mesh.cell_count} cells"
        raise InputError([Fault(problem, column="seen", remedy="give one true or false per cell")])
    return np.asarray(seen[mesh.edge_a] | seen[mesh.edge_b])


def weaken_unseen(problem: Problem, watched: np.ndarray, left: float = LEFT_WHEN_UNWATCHED) -> Problem:
    """Return the problem in which options delay unwatched edges by only a share of their hours.

    Parameters
    ----------
    problem : E edges.
    watched : bool[E], edges that are watched.
    left : share of its delay that an unwatched barrier keeps, 0 to 1.

    Formula: delay'(o, e) = delay(o, e) x (1 if watched(e) else left), rounded to multiples of 2^-36 h.
    In words: edge by edge, because a mover crosses a barrier where nobody looks; a mean over the site would
    hide that. Costs, rules and undelayed times stay.

    Raises
    ------
    InputError : a mask of another length, or a share outside 0 to 1.
    """
    watched = np.asarray(watched)
    faults = []
    if watched.dtype != bool or watched.shape != (len(problem.tail),):
        shape = f"is {watched.dtype} with shape {watched.shape}, the problem has {len(problem.tail)} edges"
        faults.append(Fault(shape, column="watched", remedy="give one true or false per edge"))
    if not 0.0 <= left <= 1.0:
        faults.append(Fault(f"is {left:g} but must be 0 to 1", column="left", remedy="give a share"))
    if faults:
        raise InputError(faults)
    if left == 1.0:
        return problem
    blind = ~watched[problem.option_edge]
    open_h, road_h = problem.option_open_h.copy(), problem.option_road_h.copy()
    for hours in (open_h, road_h):
        hours[blind] = np.round(left * hours[blind] / UNIT_H) * UNIT_H
    return replace(problem, option_open_h=open_h, option_road_h=road_h)


def mark_observed(
    problem: Problem,
    mesh: Mesh,
    sites: Sequence[Site],
    seen: np.ndarray,
    left: float = LEFT_WHEN_UNWATCHED,
) -> Observed:
    """Say how much of each site is seen, and state the problem with the delays that then count.

    Parameters
    ----------
    problem : the problem with every barrier at full delay.
    mesh, sites : the mesh and the sites of the problem, in its order.
    seen : bool[N], cells in which a mover is seen.
    left : share of its delay that an unwatched barrier keeps.

    Formula: share = seen length / length of the chain; factor = share + (1 - share) x left.
    In words: the factor is for tables; the solver sees the delays edge by edge (`weaken_unseen`).

    Raises
    ------
    InputError : see `see_edges` and `weaken_unseen`.
    """
    watched = see_edges(mesh, seen)
    weakened = weaken_unseen(problem, watched, left)
    share = np.array(
        [
            float(mesh.length_m[site.edges] @ watched[site.edges]) / float(mesh.length_m[site.edges].sum())
            for site in sites
        ]
    )
    share = np.minimum(share, 1.0)
    return Observed(share, share + (1.0 - share) * left, weakened)
