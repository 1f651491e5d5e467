"""Nature beside the works: forest ways between protected patches, carbon, habitat, the EU's peat target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components, dijkstra

from abatis.model.mesh import Mesh
from abatis.model.words import COVER_WORDS, SOIL_WORDS
from abatis.people.clearance import Range, Term
from abatis.people.site_works import BUILT, PLANTED, REWETTED, USES, SiteWork, Taken

BARS_WILDLIFE = ("ditch", "fence")
TARGET_YEARS = (2030, 2040, 2050)
FOREST = tuple(COVER_WORDS.index(word) for word in ("open_forest", "dense_forest"))
FARMED = tuple(COVER_WORDS.index(word) for word in ("cropland", "grass"))
NATURAL = tuple(
    COVER_WORDS.index(word) for word in ("grass", "shrub", "open_forest", "dense_forest", "wetland")
)
PEAT = SOIL_WORDS.index("peat")
DOUBLE_COUNTING = (
    "A rewetted hectare is one hectare, whatever it serves. Towards the EU target it counts when it was "
    "drained peat under cropland or grass and stays wet, also when defence pays. What a nature programme has "
    "counted or paid already (counted_elsewhere) is not a gain of this plan: its hectares, tonnes and money "
    "are left out of `additional`. The hours a wet place adds are never also booked as a nature benefit, and "
    "money from a nature fund is not also defence money."
)
LIMITS = (
    (
        "Protected patches are groups of neighbouring cells that are at least half protected, joined by "
        "ways through cells with at least half forest. The best way stands for a link; animals use others "
        "too. Only ditches and fences count as bars, and only on the edges that a plan closes. Real "
        "corridor maps should take the place of this."
    ),
    (
        "Carbon is a yearly rate on mapped hectares, without the years until it is reached, without methane "
        "peaks after flooding, and not a credit."
    ),
)


@dataclass(frozen=True)
class Link:
    """Two protected patches joined by forest: length of the best way [km], sites on it, and what is left."""

    patches: tuple[int, int]
    length_km: float
    sites: tuple[str, ...]
    after_km: float


@dataclass(frozen=True)
class Corridors:
    """Links between protected patches: all, those whose best way a site crosses, lengthened and cut ones.

    `patches_entered` counts the protected patches through which a ditch or fence of the plan runs.
    """

    patches: int
    links: int
    crossed: tuple[Link, ...]
    lengthened: int
    cut: int
    patches_entered: int


@dataclass(frozen=True)
class NatureGain:
    """Hectares rewetted and planted, tonnes CO2e a year saved, forest cleared and habitat lost.

    `additional_ha` and `additional_t_per_year` leave out what a nature programme has counted.
    """

    rewetted_ha: float
    rewetted_peat_ha: float
    planted_ha: float
    saved_t_per_year: Range
    additional_ha: Range
    additional_t_per_year: Range
    forest_cleared_ha: float
    cleared_t: Range
    habitat_gained_ha: float
    habitat_lost_ha: float


@dataclass(frozen=True)
class PeatTarget:
    """Share of one year of the EU's target that the plan's rewetting meets on the home ground of the mesh."""

    year: int
    drained_farmed_ha: float
    needed_ha: float
    planned_ha: float
    share: float


def find_corridors(
    mesh: Mesh, home: np.ndarray, works: Sequence[SiteWork], terms: Mapping[str, Term]
) -> Corridors | None:
    """Find the forest links between protected patches that the works of a plan cross.

    Parameters
    ----------
    mesh : N cells. home : bool[N]. works : works of a plan.
    terms : corridor_km, lengthened_km.

    Returns
    -------
    None when no cell of the home ground is protected: then nothing is known.

    In words: from all patches at once the nearest way through forest is found (Dijkstra); where the grounds
    of two patches meet, they are linked if the way is at most `corridor_km` long. A link is cut when no
    way through forest or protected ground remains with all bars of the plan, lengthened when its way grows
    by more than `lengthened_km` or beyond `corridor_km`.
    """
    if not (mesh.protected[home] > 0).any():
        return None
    patch = _label_patches(mesh, home)
    nature = (patch >= 0) | (home & (mesh.cover[:, FOREST].sum(axis=1) >= 0.5))
    bars = {work.site.key: work.open_edges for work in works if work.open_kind in BARS_WILDLIFE}
    barred = np.zeros(mesh.edge_count, bool)
    barred[np.concatenate([np.empty(0, np.int64), *bars.values()]).astype(np.int64)] = True
    usable = nature[mesh.edge_a] & nature[mesh.edge_b]
    longest_km = terms["corridor_km"].value.mode
    before = _link_patches(mesh, patch, usable, longest_km)
    after = _link_patches(mesh, patch, usable & ~barred, longest_km)
    rest = usable & ~barred
    inside = (patch[mesh.edge_a] >= 0) & (patch[mesh.edge_a] == patch[mesh.edge_b])
    # A patch stays one place here: what runs through it is counted by itself.
    group = _label_groups(mesh, rest | inside)
    member = np.full(int(patch.max()) + 1, -1)
    member[patch[patch >= 0]] = group[patch >= 0]
    crossed, cut, lengthened = [], 0, 0
    for pair, (length_km, way) in sorted(before.items()):
        on_way = tuple(key for key, edges in bars.items() if np.isin(way, edges).any())
        if not on_way:
            continue
        after_km = after[pair][0] if pair in after else np.inf
        if member[pair[0]] != member[pair[1]]:
            cut += 1
        elif after_km - length_km > terms["lengthened_km"].value.mode:
            lengthened += 1
        crossed.append(Link(pair, length_km, on_way, after_km))
    entered = len(np.unique(patch[mesh.edge_a[barred & inside]]))
    return Corridors(int(patch.max()) + 1, len(before), tuple(crossed), lengthened, cut, entered)


def _label_patches(mesh: Mesh, home: np.ndarray) -> np.ndarray:
    """Number the groups of neighbouring protected cells, int[N], -1 elsewhere."""
    held = home & (mesh.protected >= 0.5)
    group = _label_groups(mesh, held[mesh.edge_a] & held[mesh.edge_b])
    patch = np.full(mesh.cell_count, -1)
    patch[held] = np.unique(group[held], return_inverse=True)[1]
    return patch


def _label_groups(mesh: Mesh, edges: np.ndarray) -> np.ndarray:
    pairs = (mesh.edge_a[edges], mesh.edge_b[edges])
    graph = csr_matrix((np.ones(len(pairs[0]), np.int8), pairs), shape=(mesh.cell_count,) * 2)
    return np.asarray(connected_components(graph, directed=False)[1])


def _link_patches(
    mesh: Mesh, patch: np.ndarray, usable: np.ndarray, longest_km: float
) -> dict[tuple[int, int], tuple[float, np.ndarray]]:
    """Best way between patches whose grounds meet: length in km and its edges, by pair of patches."""
    seeds = np.flatnonzero(patch >= 0)
    rows = np.flatnonzero(usable)
    if not len(seeds) or not len(rows):
        return {}
    a, b = mesh.edge_a[rows], mesh.edge_b[rows]
    km = mesh.distance_m[rows].astype(np.float64) / 1000.0
    graph = csr_matrix((km, (a, b)), shape=(mesh.cell_count,) * 2)
    away_km, before, source = dijkstra(
        graph, directed=False, indices=seeds, min_only=True, return_predecessors=True, limit=longest_km
    )
    owner = np.where(source >= 0, patch[np.maximum(source, 0)], -1)
    total_km = away_km[a] + km + away_km[b]
    meet = (owner[a] >= 0) & (owner[b] >= 0) & (owner[a] != owner[b]) & (total_km <= longest_km)
    best: dict[tuple[int, int], int] = {}
    for place in np.flatnonzero(meet)[np.argsort(total_km[meet], kind="stable")].tolist():
        first, second = sorted((int(owner[a[place]]), int(owner[b[place]])))
        best.setdefault((first, second), place)
    return {
        pair: (
            float(total_km[place]),
            np.array(
                [
                    rows[place],
                    *_trace_edges(mesh, before, int(a[place])),
                    *_trace_edges(mesh, before, int(b[place])),
                ]
            ),
        )
        for pair, place in best.items()
    }


def _trace_edges(mesh: Mesh, before: np.ndarray, cell: int) -> list[int]:
    edges = []
    while before[cell] >= 0:
        side = int(np.flatnonzero(mesh.neighbor[cell] == before[cell])[0])
        edges.append(int(mesh.edge[cell, side]))
        cell = int(before[cell])
    return edges


def account_gain(mesh: Mesh, taken: Taken, terms: Mapping[str, Term]) -> NatureGain:
    """Count what rewetting and planting gain and what works lose.

    Formula: saved = sum over rewetted ground of ha x (peat share x rate of its cover + rest x rewet_mineral)
    + planted ha x plant_forest; cleared = forest ha under other works x clear_forest, once.
    In words: only peat that was drained saves; ground that is wetland or water already gains nothing.
    """
    peat = mesh.soil[taken.cells, PEAT].astype(np.float64)[:, None]
    wet, planted, built = (taken.ha[USES.index(use)] for use in (REWETTED, PLANTED, BUILT))
    rates = dict.fromkeys(("open_forest", "dense_forest", "shrub"), terms["rewet_forest"])
    rates |= {"cropland": terms["rewet_cropland"], "grass": terms["rewet_grass"]}
    saved = Range(0.0, 0.0, 0.0)
    for number, word in enumerate(COVER_WORDS):
        if word in rates:
            saved += rates[word].value.times(float((wet[:, number] * peat[:, 0]).sum()))
            saved += terms["rewet_mineral"].value.times(float((wet[:, number] * (1 - peat[:, 0])).sum()))
    bare = [number for number in range(len(COVER_WORDS)) if number not in FOREST]
    planted_ha = float(planted[:, bare].sum())
    grown = terms["plant_forest"].value.times(planted_ha)
    wet_already = [COVER_WORDS.index(word) for word in ("wetland", "water")]
    wet_ha = float(wet.sum() - wet[:, wet_already].sum())
    own = terms["counted_elsewhere"].value
    additional = Range(1.0 - own.high, 1.0 - own.mode, 1.0 - own.low)
    cleared_ha = float(built[:, FOREST].sum())
    return NatureGain(
        rewetted_ha=wet_ha,
        rewetted_peat_ha=float((wet * peat)[:, FARMED].sum()),
        planted_ha=planted_ha,
        saved_t_per_year=saved + grown,
        additional_ha=additional.times(wet_ha),
        additional_t_per_year=grown
        + Range(additional.low * saved.low, additional.mode * saved.mode, additional.high * saved.high),
        forest_cleared_ha=cleared_ha,
        cleared_t=terms["clear_forest"].value.times(cleared_ha),
        habitat_gained_ha=wet_ha + planted_ha,
        habitat_lost_ha=float(built[:, NATURAL].sum()),
    )


def account_peat_target(
    mesh: Mesh, home: np.ndarray, gain: NatureGain, terms: Mapping[str, Term]
) -> tuple[PeatTarget, ...]:
    """Compare the plan's rewetted farmed peat with the EU's target on the home ground of the mesh.

    Formula: needed = drained farmed peat x eu_drained x eu_rewet; drained farmed peat = area x peat share x
    (cropland + grass).
    In words: peat under cropland or grass is taken as drained. Empty when the mesh shows no such peat: then
    nothing is known.

    Source: Regulation (EU) 2024/1991.
    """
    farmed = mesh.cover[:, FARMED].sum(axis=1, dtype=np.float64)
    drained_ha = float((mesh.area_km2 * 100.0 * mesh.soil[:, PEAT] * farmed)[home].sum(dtype=np.float64))
    if not drained_ha > 0:
        return ()
    targets = []
    for year in TARGET_YEARS:
        needed = drained_ha * terms[f"eu_drained_{year}"].value.mode * terms[f"eu_rewet_{year}"].value.mode
        share = gain.rewetted_peat_ha / needed if needed > 0 else np.inf
        targets.append(PeatTarget(year, drained_ha, needed, gain.rewetted_peat_ha, share))
    return tuple(targets)
