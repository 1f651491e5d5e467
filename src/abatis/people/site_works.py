"""What a plan lays where: edges and kinds of work of each site, and the ground it takes by cell and cover."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from abatis.barrier.options import measure_work, read_ways
from abatis.barrier.sites import Site, Siting
from abatis.model.errors import Fault, InputError
from abatis.model.mesh import Mesh
from abatis.model.plan import Plan
from abatis.model.study import Study
from abatis.model.words import COVER_WORDS

M2_PER_HA = 10_000.0
REWETTED, PLANTED, BUILT = "rewetted", "planted", "built"
USES = (REWETTED, PLANTED, BUILT)
_USE_OF_KIND = {"wetland": REWETTED, "forest": PLANTED}


@dataclass(frozen=True)
class SiteWork:
    """Work of one chosen site.

    `open_edges` int32[] carry a work along open ground of the kind `open_kind` (word of law_kind, empty when
    none) over `open_km`; `point_edges` int32[] a work at a road or bridge, of the kind `point_kind`;
    `taken_ha` ground by use.
    """

    site: Site
    open_edges: np.ndarray
    point_edges: np.ndarray
    open_kind: str
    open_km: float
    taken_ha: dict[str, float]
    point_kind: str = ""


@dataclass(frozen=True)
class Taken:
    """Ground taken in hectares: `cells` int[T] rows of cells, `ha` float64[uses, T, covers]."""

    cells: np.ndarray
    ha: np.ndarray


def list_site_works(study: Study, mesh: Mesh, siting: Siting, plan: Plan) -> tuple[SiteWork, ...]:
    """List the works of every site of a plan, in the order of the plan.

    Raises
    ------
    InputError : the plan names sites or options that the study does not offer.
    """
    sites = {site.key: site for site in siting.sites}
    options = {(one.site, one.option): one for one in siting.options}
    faults = [
        Fault(
            f"has option '{one.option}' at site '{one.site}'",
            f"plan {plan.name}",
            remedy="solve the study again",
        )
        for one in plan.options
        if (one.site, one.option) not in options or one.site not in sites
    ]
    if faults:
        raise InputError(faults)
    ways = {way.key: way for way in read_ways(study)}
    measures = study.tables["measures"].set_index("measure")
    works = []
    for chosen in plan.options:
        site, way = sites[chosen.site], ways[chosen.option]
        edges = np.asarray(site.edges)
        work = measure_work(mesh, edges, way)
        laid = (work.open_km > 0) & (way.open is not None)
        point = (work.road & (way.road is not None)) | (work.bridge & (way.bridge is not None))
        taken = dict.fromkeys(USES, 0.0)
        for measure, units in options[chosen.site, chosen.option].quantities:
            use = _USE_OF_KIND.get(str(measures["law_kind"][measure]), BUILT)
            taken[use] += float(measures["land_take_m2"][measure]) * units / M2_PER_HA
        kind = str(measures["law_kind"][way.open.key]) if way.open is not None and laid.any() else ""
        open_km = float(work.open_km[laid].sum())
        point_kind = ""
        for measure_at, there in ((way.bridge, work.bridge), (way.road, work.road)):
            if measure_at is not None and there.any():
                point_kind = str(measures["law_kind"][measure_at.key])
        works.append(SiteWork(site, edges[laid], edges[point], kind, open_km, taken, point_kind))
    return tuple(works)


def spread_ground(mesh: Mesh, works: tuple[SiteWork, ...]) -> Taken:
    """Spread the ground each site takes over the cells beside its edges and over their covers.

    Formula: ha(cell, cover) = sum over edges e of the cell of site's ha x length(e) / (2 x length of all) x
    share of the cover; scaled so that the site's covers add up to its hectares.
    In words: the two cells at a boundary take half each, as in `impact.assess_impact`. Where no cover is
    known, nothing is spread.
    """
    edges = [np.asarray(work.site.edges) for work in works]
    joined = np.concatenate([np.empty(0, np.int64), *edges])
    cells = np.unique(np.concatenate([mesh.edge_a[joined], mesh.edge_b[joined]]))
    ha = np.zeros((len(USES), len(cells), len(COVER_WORDS)))
    for work, mine in zip(works, edges, strict=True):
        weight = mesh.length_m[mine].astype(np.float64)
        weight = np.concatenate([weight, weight]) / (2.0 * weight.sum())
        beside = np.concatenate([mesh.edge_a[mine], mesh.edge_b[mine]])
        part = weight[:, None] * mesh.cover[beside].astype(np.float64)
        if part.sum() > 0:
            part /= part.sum()
        rows = np.searchsorted(cells, beside)
        for number, use in enumerate(USES):
            if work.taken_ha[use] > 0:
                np.add.at(ha[number], rows, part * work.taken_ha[use])
    return Taken(cells, ha)
