"""Hours that an approach gains through a seam between two national lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from abatis.barrier.joint import Joint, list_edges
from abatis.barrier.joint_ground import Ground
from abatis.barrier.joint_merge import choose_edge_owner, merge_meshes
from abatis.barrier.options import measure_work, read_ways
from abatis.ground.speeds import compute_edge_times, list_uses
from abatis.ground.travel import compute_times
from abatis.model.mesh import Mesh
from abatis.model.study import Study
from abatis.model.words import COVER_WORDS


@dataclass(frozen=True)
class SeamHours:
    """Most hours gained through a seam, and the vehicle and season that gain them (empty: nobody gains)."""

    hours: float
    vehicle: str
    season: str


def compute_closing_delay(study: Study, mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """Return hours of delay of the cheapest way to close each edge, across country and by road, float64[E].

    Parameters
    ----------
    study : its tables options and measures.
    mesh : the mesh.

    In words: what has to be crossed where the edge is closed as cheaply as `compute_closing_cost` says. Zero
    where nature closes it or nothing can.

    Examples
    --------
    A ditch of 3 h over open ground and a road block of 2 h: 3 h across country, 2 h by road.
    """
    edges = np.arange(mesh.edge_count)
    best = np.where((mesh.gap_m == 0) & (mesh.road_class < 0), 0.0, np.inf)
    open_h, road_h = np.zeros((2, mesh.edge_count))
    for way in read_ways(study):
        if way.sites == "crossing":
            continue
        work = measure_work(mesh, edges, way)
        cost, delays = np.zeros(mesh.edge_count), []
        for amount, measure in ((work.open_km, way.open), (work.road, way.road), (work.bridge, way.bridge)):
            unit = np.inf if measure is None else measure.unit_cost_eur
            cost += np.multiply(amount, unit, out=np.zeros(mesh.edge_count), where=amount > 0)
            delays.append(np.where(amount > 0, 0.0 if measure is None else measure.delay_h, 0.0))
        if way.cover:
            share = mesh.cover[:, [COVER_WORDS.index(word) for word in way.cover]].sum(axis=1)
            cost[(share[mesh.edge_a] + share[mesh.edge_b]) / 2 < 0.5] = np.inf
        better = cost < best
        best[better] = cost[better]
        open_h[better], road_h[better] = delays[0][better], (delays[1] + delays[2])[better]
    return open_h, road_h


def measure_seams(joint: Joint, grounds: Sequence[Ground]) -> tuple[SeamHours, ...]:
    """Measure what each seam is worth in hours, in the order of `joint.seams`.

    Parameters
    ----------
    joint : the joint line of these countries.
    grounds : all countries with their studies; a country known by its export only has no ground to drive on.

    Formula: hours(s) = max over protected cells of T(all national lines and all seams closed) - T(the same
    but s); T(c) = least hours from hostile ground to c.
    In words: everything is closed as cheaply as can be, and one seam is left as it is: how much earlier does
    an approach arrive at the place behind the lines that it matters most to. Over all vehicles and seasons
    that the approaches of every study name. Closed edges take their delay longer; what cannot be closed stays
    as it is.
    """
    if not joint.seams:
        return ()
    mesh, rows = merge_meshes(grounds)
    country = mesh.country.astype(np.int64) - 1
    owner = choose_edge_owner(rows, country[mesh.edge_a], country[mesh.edge_b])
    lines, seams = _mark_closed(mesh, joint, grounds, rows)
    open_delay, road_delay = _spread(
        mesh, rows, owner, [compute_closing_delay(one.study, one.mesh) for one in grounds], 0.0
    )
    far = np.zeros(mesh.cell_count, bool)
    for one in grounds:
        far[np.searchsorted(mesh.cells, one.mesh.cells[one.target])] = True
    home = mesh.country > 0
    beside = (home[mesh.neighbor] & (mesh.neighbor >= 0)).any(axis=1)
    sources = np.flatnonzero(~home & beside)
    best = [SeamHours(0.0, "", "") for _ in joint.seams]
    uses = set(list_uses(grounds[0].study)).intersection(*(list_uses(one.study) for one in grounds[1:]))
    for vehicle, season in sorted(uses):
        times = [compute_edge_times(one.study, one.mesh, vehicle, season) for one in grounds]
        open_h, road_h = _spread(mesh, rows, owner, [(one.open_h, one.road_h) for one in times], np.inf)

        def arrive(closed: np.ndarray, by_field: np.ndarray, by_road: np.ndarray) -> np.ndarray:
            field_h, way_h = by_field + closed * open_delay, by_road + closed * road_delay
            return compute_times(mesh, np.minimum(field_h, way_h), sources)[far]

        shut = lines.copy()
        for mask in seams:
            shut |= mask
        with_all = arrive(shut, open_h, road_h)
        for number, mask in enumerate(seams):
            without = arrive(shut & (~mask | lines), open_h, road_h)
            reached = np.isfinite(without)
            gain = float((with_all[reached] - without[reached]).max(initial=0.0))
            if gain > best[number].hours:
                best[number] = SeamHours(gain, vehicle, season)
    return tuple(best)


def _spread(
    mesh: Mesh,
    rows: Sequence[np.ndarray],
    owner: np.ndarray,
    values: Sequence[tuple[np.ndarray, np.ndarray]],
    nothing: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Bring two values per edge of every country's mesh onto the merged mesh."""
    found = np.full((2, mesh.edge_count), nothing)
    for number, (row, pair) in enumerate(zip(rows, values, strict=True)):
        mine = owner == number
        for place, value in enumerate(pair):
            found[place, mine] = value[row[mine]]
    return found[0], found[1]


def _mark_closed(
    mesh: Mesh, joint: Joint, grounds: Sequence[Ground], rows: Sequence[np.ndarray]
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return bool[E], the edges of all national lines, and bool[E] per seam."""
    lines = np.zeros(mesh.edge_count, bool)
    for ground, row, closing in zip(grounds, rows, joint.alone, strict=True):
        if closing is not None:
            built = np.zeros(ground.mesh.edge_count, bool)
            built[list_edges(ground, closing, 0)] = True
            lines |= (row >= 0) & built[np.maximum(row, 0)]
    seams = []
    keys = [one.key for one in joint.territories]
    for seam in joint.seams:
        sides = joint.territories[keys.index(seam.between[0])].sides
        here = np.searchsorted(mesh.cells, sides.cell[list(seam.sides)])
        there = np.searchsorted(mesh.cells, sides.other[list(seam.sides)])
        side = (mesh.neighbor[here] == there[:, None]).argmax(axis=1)
        mask = np.zeros(mesh.edge_count, bool)
        mask[mesh.edge[here, side]] = True
        seams.append(mask)
    return lines, seams
