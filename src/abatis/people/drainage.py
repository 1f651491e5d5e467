"""Water beside the works: what lies upstream of a ditch, what it drains, and where rewetting backs up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from abatis.model.mesh import Mesh
from abatis.model.words import COVER_WORDS, SOIL_WORDS
from abatis.people._flow import add_upstream, mark_upstream, route_water
from abatis.people.clearance import Range, Term
from abatis.people.site_works import M2_PER_HA, SiteWork

DRAINING, WETTING = ("ditch",), ("wetland", "water")
LIMITS = (
    (
        "Upstream areas come from one mean height per cell of some hundred metres to two kilometres: they "
        "screen where a hydrologist must look and are never a design. Brooks, culverts and field drains "
        "narrower than a cell are not in it; hollows are filled, so lakes without an outlet pass all their "
        "water."
    ),
    (
        "Outside the mesh, and where heights are unknown, nothing is known: water that comes in from there "
        "is missing, so upstream areas near such ground are too small."
    ),
)


@dataclass(frozen=True)
class Flow:
    """How water runs over a mesh of N cells.

    `receiver` int32[N], the cell each drains to (-1 at the rim); `edge` int32[N], the edge it crosses there
    (-1); `order` int32[N], downstream first; `level_m` float64[N], height with hollows filled;
    `upstream_km2` float64[N], area of the cell and of all that drains through it; `known` bool[N], cells
    whose height is known. Cells without a height are their own rim: no water runs in, none runs out.
    """

    receiver: np.ndarray
    edge: np.ndarray
    order: np.ndarray
    level_m: np.ndarray
    upstream_km2: np.ndarray
    known: np.ndarray


@dataclass(frozen=True)
class SiteWater:
    """Water at one site: kind of its work, area upstream, flood flow, ground drained and backed up.

    Where heights beside the work are unknown, `upstream_km2`, the flood and the backwater are NaN.
    """

    site: str
    kind: str
    upstream_km2: float
    flood_m3_s: Range
    drained_ha: Range
    drained_wet_ha: Range
    backwater_ha: Range
    must_check: bool


@dataclass(frozen=True)
class WaterAccount:
    """Water at all sites of a plan that dig or wet; `upstream_km2` counts every cell once.

    `known` is false when the mesh has no heights: then upstream areas and backwater are NaN. The sum leaves
    out sites beside which heights are unknown.
    """

    known: bool
    sites: tuple[SiteWater, ...]
    upstream_km2: float
    limits: tuple[str, ...]


def route_flow(mesh: Mesh) -> Flow | None:
    """Find where the water of each cell runs; None when no height is known or all are the same.

    Formula: hollows are filled from the rim inwards, the lowest rim cell first (Barnes 2014); then each cell
    drains to the neighbour with the greatest fall (level - level of the neighbour) / distance; on filled
    ground it drains the way the flood came. Next to a cell without a height is a rim, as at the mesh's end.

    Source: R. Barnes et al., Priority-flood, Computers and Geosciences 62, 2014; O'Callaghan and Mark 1984
    for the steepest fall, here over six neighbours in place of eight.
    """
    height = mesh.elevation_m.astype(np.float64)
    known = np.isfinite(height)
    if not known.any() or np.ptp(height[known]) == 0.0:
        return None
    distance = np.where(mesh.edge >= 0, mesh.distance_m[mesh.edge], np.inf).astype(np.float64)
    joined = known[:, None] & (mesh.neighbor >= 0) & known[mesh.neighbor]
    neighbor = np.where(joined, mesh.neighbor, -1).astype(mesh.neighbor.dtype)
    receiver, order, level = route_water(neighbor, distance, np.where(known, height, 0.0))
    edge = np.full(mesh.cell_count, -1, np.int64)
    for side in range(6):
        here = (receiver >= 0) & (mesh.neighbor[:, side] == receiver)
        edge[here] = mesh.edge[here, side]
    upstream = add_upstream(receiver, order, mesh.area_km2.astype(np.float64))
    return Flow(receiver, edge, order, np.where(known, level, np.nan), upstream, known)


def mark_drained_through(mesh: Mesh, flow: Flow, edges: np.ndarray) -> np.ndarray:
    """Return bool[N], the cells whose water crosses one of some edges on its way down."""
    barred = np.zeros(mesh.edge_count, bool)
    barred[edges] = True
    start = (flow.edge >= 0) & barred[flow.edge]
    return np.asarray(mark_upstream(flow.receiver, flow.order, start))


def account_water(mesh: Mesh, works: Sequence[SiteWork], terms: Mapping[str, Term]) -> WaterAccount:
    """Screen ditches and rewetting for what they do to water.

    Parameters
    ----------
    mesh, works : the mesh and the works of a plan.
    terms : drain_m, runoff_l_s_km2, flood_km2, rise_m.

    Formula: drained = 2 x reach x length; flood = upstream area x runoff per km2; backwater = area of the
    cells that drain straight into the site's cells and lie at most `rise_m` above them.
    In words: a ditch gathers the water of all cells that drain over its boundary; ground on both sides falls
    dry; rewetting lifts the water and may back up into the next cells upstream. Of the drained ground, the
    wet part is wetland or peat, weighed by open length.
    """
    flow = route_flow(mesh)
    rows = []
    joined = np.zeros(mesh.cell_count, bool)
    for work in works:
        for kind, edges in ((work.open_kind, work.open_edges), (work.point_kind, work.point_edges)):
            if kind not in DRAINING + WETTING:
                continue
            km2, backwater = np.nan, Range(np.nan, np.nan, np.nan)
            beside = np.concatenate([mesh.edge_a[edges], mesh.edge_b[edges]])
            if flow is not None and flow.known[beside].all():
                through = mark_drained_through(mesh, flow, edges)
                joined |= through
                km2 = float(mesh.area_km2[through].sum(dtype=np.float64))
                backwater = _find_backwater(mesh, flow, beside, terms["rise_m"].value)
            if kind not in WETTING:
                backwater = Range(0.0, 0.0, 0.0)
            length_m = work.open_km * 1000.0 if kind in DRAINING and kind == work.open_kind else 0.0
            drained = terms["drain_m"].value.times(2.0 * length_m / M2_PER_HA)
            flood = terms["runoff_l_s_km2"].value.times(km2 / 1000.0)
            check = bool(km2 >= terms["flood_km2"].value.mode)
            soaked = drained.times(_share_wet(mesh, edges))
            rows.append(SiteWater(work.site.key, kind, km2, flood, drained, soaked, backwater, check))
    total = float(mesh.area_km2[joined].sum(dtype=np.float64)) if flow is not None else np.nan
    return WaterAccount(flow is not None, tuple(rows), total, LIMITS)


def _share_wet(mesh: Mesh, edges: np.ndarray) -> float:
    """Share of wetland or peat beside the open edges of a site, weighed by open length."""
    cells = np.stack([mesh.edge_a[edges], mesh.edge_b[edges]])
    bog = mesh.cover[cells, COVER_WORDS.index("wetland")].astype(np.float64)
    beside = np.maximum(bog, mesh.soil[cells, SOIL_WORDS.index("peat")]).mean(axis=0)
    weight = mesh.gap_m[edges].astype(np.float64)
    return float((weight * beside).sum() / weight.sum()) if weight.sum() > 0 else 0.0


def _find_backwater(mesh: Mesh, flow: Flow, beside: np.ndarray, rise_m: Range) -> Range:
    wetted = np.zeros(mesh.cell_count, bool)
    wetted[beside] = True
    next_up = np.flatnonzero((flow.receiver >= 0) & ~wetted & wetted[flow.receiver])
    above_m = flow.level_m[next_up] - flow.level_m[flow.receiver[next_up]]
    area_ha = mesh.area_km2[next_up].astype(np.float64) * 100.0
    low, mode, high = (float(area_ha[above_m <= one].sum()) for one in (rise_m.low, rise_m.mode, rise_m.high))
    return Range(low, mode, high)
