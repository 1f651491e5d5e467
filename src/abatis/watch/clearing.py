"""Agencies in conflict: sight lines that would need clearing through forest that rules keep standing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from abatis.model.errors import Fault, InputError
from abatis.model.mesh import Mesh
from abatis.model.words import COVER_WORDS
from abatis.watch._clearing import mark_lines
from abatis.watch._sight import Relief
from abatis.watch.catalogue import WatchTerms
from abatis.watch.ground_raster import WatchGround
from abatis.watch.seen import Outlook, look_from, make_relief, make_view
from abatis.watch.sight import EARTH_RADIUS_M, VISIBLE, View, build_relief

WOODS = ("open_forest", "dense_forest")
PROTECTED_FROM = 0.5
M2_PER_HA = 10_000.0


@dataclass(frozen=True)
class ConflictCell:
    """One cell of the mesh with kept trees in sight lines: hectares to clear, and why they are kept."""

    cell: int
    clearing_ha: float
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class ClearingConflict:
    """What sight lines would ask of forest that rules keep.

    `clearing_ha` kept trees in sight lines, also `by_reason` and `by_country`, and `by_owner` where owners
    are known (None: not known); `sites` whose kept forest is touched. `seen_with_km2`, `seen_without_km2`:
    ground of the cells looked for that is seen with all trees, and without the kept ones. `marks`
    bool[rows, columns], the pixels of `clearing_ha`.
    """

    clearing_ha: float
    by_reason: Mapping[str, float]
    by_country: Mapping[str, float]
    by_owner: Mapping[str, float] | None
    sites: tuple[str, ...]
    cells: tuple[ConflictCell, ...]
    seen_with_km2: float
    seen_without_km2: float
    demand_km2: float
    marks: np.ndarray


def mask_wood(ground: WatchGround, terms: WatchTerms) -> np.ndarray:
    """Return bool[rows, columns], pixels under trees: those with the height of open or dense forest.

    Raises
    ------
    InputError : another land cover has the same height, so that trees cannot be told from it.
    """
    heights = {word: np.float32(terms[f"canopy_{word}_m"].value) for word in COVER_WORDS}
    woods = {heights[word] for word in WOODS if heights[word] > 0}
    doubled = [word for word, height in heights.items() if word not in WOODS and height in woods]
    if doubled:
        faults = [
            Fault(f"is as high as forest ({heights[word]:g} m)", "tables/watch_terms.csv", None,
                  f"canopy_{word}_m", "give it another height, so that trees can be told from it")
            for word in doubled
        ]  # fmt: skip
        raise InputError(faults)
    return np.isin(ground.canopy, list(woods))


def find_kept_cells(mesh: Mesh, site_edges: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return for each reason bool[N], the cells whose forest must stay.

    Parameters
    ----------
    mesh : share of protected nature of each cell; cells beside edges.
    site_edges : edges of the sites of a plan that plant, restore or keep forest, by key.

    In words: `protected` are cells that are protected for half or more; `site KEY` are the cells on both
    sides of a site's edges.
    """
    kept = {"protected": np.asarray(mesh.protected >= PROTECTED_FROM)}
    for key, edges in site_edges.items():
        beside = np.zeros(mesh.cell_count, bool)
        beside[mesh.edge_a[np.asarray(edges)]] = beside[mesh.edge_b[np.asarray(edges)]] = True
        kept[f"site {key}"] = beside
    return kept


def find_conflict(
    mesh: Mesh,
    ground: WatchGround,
    outlooks: Sequence[Outlook],
    target: str,
    terms: WatchTerms,
    demand: np.ndarray,
    kept: Mapping[str, np.ndarray],
    owners: Mapping[str, np.ndarray] | None = None,
) -> ClearingConflict:
    """Find where sight lines of posts need trees cleared that rules keep.

    Parameters
    ----------
    mesh : countries of cells.
    ground, terms : heights, trees, cells of pixels.
    outlooks : chosen posts; those that need no sight or do not find the target are passed over.
    target : person, vehicle or low_air.
    demand : bool[N], cells that should be seen.
    kept : bool[N] by reason, cells whose forest must stay, see `find_kept_cells`.
    owners : float64[N] by kind of owner, their shares of each cell's forest, when known.

    In words: what the posts see is counted twice, with all trees and without the trees of kept cells. For
    every pixel of a demand cell that no post sees with trees, but one would without, the kept trees that
    stand in that line are marked: clearing just these is enough. Where several posts would gain a pixel, all
    their lines are marked, so the area is an upper figure. A line is one pixel wide.

    Raises
    ------
    InputError : no elevation (nothing can be hidden), trees that cannot be told from other cover.
    """
    if ground.elevation is None:
        fault = Fault("the study has no elevation: no tree stands in a sight line", remedy="add elevation")
        raise InputError([fault])
    held = ground.cell >= 0
    row = np.maximum(ground.cell, 0)
    keep_any = np.logical_or.reduce([np.asarray(mask) for mask in kept.values()], axis=0)
    wood = mask_wood(ground, terms) & held & np.broadcast_to(keep_any, mesh.cell_count)[row]
    wanted = ground.counted & held & np.asarray(demand)[row]
    used = [one for one in outlooks if one.sensor.needs_sight and target in one.sensor.range_m]
    full = make_relief(ground)
    bare = build_relief(
        ground.elevation, full.width_m, full.height_m, np.where(wood, np.float32(0), ground.canopy)
    )
    views = [make_view(one, target, terms) for one in used]
    with_trees, without = np.zeros(wood.shape, bool), np.zeros(wood.shape, bool)
    for one, view in zip(used, views, strict=True):
        for relief, seen in ((full, with_trees), (bare, without)):
            part, window = _look(relief, one, view)
            seen[part] |= window
    with_trees &= wanted
    without &= wanted
    marks = np.zeros(wood.shape, bool)
    for one, view in zip(used, views, strict=True):
        part, window = _look(bare, one, view)
        gained = np.argwhere(window & wanted[part] & ~with_trees[part])
        gained += np.array([part[0].start, part[1].start])
        eye_m = float(full.ground[one.row, one.column]) + one.sensor.mast_height_m
        curve = (1.0 - view.refraction) / (2.0 * EARTH_RADIUS_M)
        post = (one.row, one.column, eye_m)
        size_m = ground.grid.pixel_m
        mark_lines(full.surface, full.ground, wood, post, gained, size_m, view.target_height_m, curve, marks)
    return _sum_up(mesh, ground, marks, kept, owners, (with_trees, without, wanted))


def _look(relief: Relief, outlook: Outlook, view: View) -> tuple[tuple[slice, slice], np.ndarray]:
    """Window of one post and what it sees there."""
    pixels = np.array([(outlook.row, outlook.column)], np.int64)
    corners, windows = look_from(relief, pixels, outlook.sensor.mast_height_m, view, True)
    top, left = (int(one) for one in corners[0])
    window = windows[0] == VISIBLE
    return (slice(top, top + window.shape[0]), slice(left, left + window.shape[1])), window


def _sum_up(
    mesh: Mesh,
    ground: WatchGround,
    marks: np.ndarray,
    kept: Mapping[str, np.ndarray],
    owners: Mapping[str, np.ndarray] | None,
    seen: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> ClearingConflict:
    pixel_m2 = ground.grid.pixel_m**2
    cell_ha = np.bincount(ground.cell[marks], minlength=mesh.cell_count) * (pixel_m2 / M2_PER_HA)

    def split(groups: Mapping[str, np.ndarray]) -> dict[str, float]:
        sums = {word: float(cell_ha @ np.asarray(part, float)) for word, part in groups.items()}
        return {word: area for word, area in sums.items() if area > 0}

    countries = {code: mesh.mask_countries((code,)) for code in mesh.country_codes}
    by_reason = split(kept)
    cells = tuple(
        ConflictCell(cell, float(cell_ha[cell]), tuple(word for word, mask in kept.items() if mask[cell]))
        for cell in sorted(np.flatnonzero(cell_ha).tolist(), key=lambda one: (-cell_ha[one], one))
    )
    with_km2, without_km2, demand_km2 = (float(part.sum()) * pixel_m2 / 1e6 for part in seen)
    return ClearingConflict(
        clearing_ha=float(cell_ha.sum()),
        by_reason=by_reason,
        by_country=split(countries),
        by_owner=None if owners is None else split(owners),
        sites=tuple(word.removeprefix("site ") for word in by_reason if word.startswith("site ")),
        cells=cells,
        seen_with_km2=with_km2,
        seen_without_km2=without_km2,
        demand_km2=demand_km2,
        marks=marks,
    )
