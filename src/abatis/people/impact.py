"""Who is affected by a plan: people beside the sites, land and nature taken, road access to a city."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from abatis.barrier.sites import Site, Siting
from abatis.ground.speeds import compute_edge_times
from abatis.ground.travel import compute_times
from abatis.model.mesh import Mesh
from abatis.model.plan import Plan
from abatis.model.study import Study
from abatis.model.words import COVER_WORDS, SEASONS

CITY_PERSONS = 50_000.0
LONGER_H = 1.0 / 60.0
M2_PER_HA = 10_000.0
LIMITS = (
    (
        "People near a site are those of the home cells on both sides of its closed edges: within about one "
        "cell of the work (some 0.9 km at resolution 8). Who owns or uses the land is not known here."
    ),
    (
        "Land take is the measure's area per unit times its units; it is shared among covers and protected "
        "nature as in the cells beside the site, not by a surveyed outline."
    ),
    (
        "Road access is driving time over the roads of the study only, from each home place to the nearest "
        "home city, with every road at a chosen site shut. In peace most sites stay open: this is the worst "
        "day, not every day. Local roads that the study does not hold may offer a way round."
    ),
)


@dataclass(frozen=True)
class PlaceAccess:
    """Road time from one place to its nearest city, before and with all chosen sites shut (inf: none)."""

    place: str
    name: str
    population: float
    before_h: float
    after_h: float

    @property
    def cut_off(self) -> bool:
        """True when no road leads to a city any more."""
        return bool(np.isfinite(self.before_h) and np.isinf(self.after_h))

    @property
    def longer(self) -> bool:
        """True when the way takes more than a minute longer; false when it is cut off."""
        return bool(np.isfinite(self.after_h) and self.after_h - self.before_h > LONGER_H)


@dataclass(frozen=True)
class SiteImpact:
    """People (persons) and land (hectares) of one chosen site."""

    site: str
    people_near: float
    land_take_ha: float
    protected_ha: float


@dataclass(frozen=True)
class Impact:
    """What a plan takes from people and nature.

    `people_near` counts every person once, also where sites touch. `land_take_ha` is by cover word.
    `access` lists the home places with a road to a city before; `no_road` those that had none in the data.
    """

    people_near: float
    land_take_ha: dict[str, float]
    protected_ha: float
    sites: tuple[SiteImpact, ...]
    access: tuple[PlaceAccess, ...]
    no_road: tuple[str, ...]
    cities: tuple[str, ...]
    vehicle: str
    limits: tuple[str, ...]

    @property
    def land_total_ha(self) -> float:
        """Land taken, all covers, hectares."""
        return sum(self.land_take_ha.values())

    @property
    def places_cut_off(self) -> tuple[PlaceAccess, ...]:
        """Places without any road to a city while the sites are shut."""
        return tuple(one for one in self.access if one.cut_off)

    @property
    def places_longer(self) -> tuple[PlaceAccess, ...]:
        """Places whose way to a city takes longer while the sites are shut."""
        return tuple(one for one in self.access if one.longer)


def assess_impact(study: Study, mesh: Mesh, siting: Siting, plan: Plan) -> Impact:
    """Assess who and what a plan touches.

    Parameters
    ----------
    study, mesh : the study and its mesh.
    siting : sites and options the plan chose from.
    plan : the plan.

    Returns
    -------
    People near the sites (persons), land taken (ha by cover, ha protected), road access of home places (h).

    land of cover c = sum over chosen sites of land_take x mean share of c in the cells beside the site's
    edges, weighed by boundary length.

    In words: the cells that share a closed edge stand for the ground beside the work; the land a site takes
    is spread over them by the length of their common boundary; places are driven to the nearest city twice,
    once with all roads and once without those at chosen sites.
    """
    sites = {site.key: site for site in siting.sites}
    options = {(option.site, option.option): option for option in siting.options}
    home = mesh.mask_countries(study.home)
    land = np.zeros(len(COVER_WORDS))
    touched = np.zeros(mesh.cell_count, dtype=bool)
    details = []
    for chosen in plan.options:
        site = sites[chosen.site]
        beside = find_cells_beside(mesh, site)
        shares, protected = measure_shares(mesh, site)
        area_ha = float(options[chosen.site, chosen.option].land_take_m2) / M2_PER_HA
        land += area_ha * shares
        touched[beside] = True
        people = count_people_beside(mesh, home, site)
        details.append(SiteImpact(site.key, people, area_ha, area_ha * protected))
    vehicle = choose_civil_vehicle(study)
    access, no_road, cities = _assess_access(study, mesh, vehicle, [sites[one.site] for one in plan.options])
    return Impact(
        people_near=float(mesh.population[touched & home].sum(dtype=np.float64)),
        land_take_ha={word: float(area) for word, area in zip(COVER_WORDS, land, strict=True)},
        protected_ha=sum(one.protected_ha for one in details),
        sites=tuple(details),
        access=access,
        no_road=no_road,
        cities=cities,
        vehicle=vehicle,
        limits=LIMITS,
    )


def find_cells_beside(mesh: Mesh, site: Site) -> np.ndarray:
    """Return the rows of the cells on both sides of a site's edges, int, sorted, each once."""
    edges = np.asarray(site.edges)
    return np.unique(np.concatenate([mesh.edge_a[edges], mesh.edge_b[edges]]))


def choose_civil_vehicle(study: Study) -> str:
    """Return the vehicle class that is fastest on motorways: it stands for cars, buses and ambulances."""
    speeds = study.tables["speeds"]
    rows = speeds[(speeds["factor"] == "road") & (speeds["word"] == "motorway")]
    by_vehicle = {
        vehicle: float(rows[rows["vehicle"].isin([vehicle, "any"])]["mode"].max())
        for vehicle in study.tables["vehicles"]["vehicle"]
    }
    return max(by_vehicle, key=lambda vehicle: (by_vehicle[vehicle], vehicle))


def count_people_beside(mesh: Mesh, home: np.ndarray, site: Site) -> float:
    """Count the persons of home cells (bool[N]) on both sides of a site's edges."""
    beside = find_cells_beside(mesh, site)
    return float(mesh.population[beside][home[beside]].sum(dtype=np.float64))


def measure_shares(mesh: Mesh, site: Site) -> tuple[np.ndarray, float]:
    """Measure cover shares float64[C] and the protected share of the ground beside a site.

    In words: the mean over the site's edges of the two cells of each, weighed by boundary length.
    """
    edges = np.asarray(site.edges)
    weight = mesh.length_m[edges].astype(np.float64)
    weight = weight / weight.sum()
    cover = (mesh.cover[mesh.edge_a[edges]] + mesh.cover[mesh.edge_b[edges]]).astype(np.float64) / 2
    shares = weight @ cover
    total = shares.sum()
    protected = (mesh.protected[mesh.edge_a[edges]] + mesh.protected[mesh.edge_b[edges]]) / 2
    return (shares / total if total > 0 else shares), float(weight @ protected)


def _assess_access(
    study: Study, mesh: Mesh, vehicle: str, sites: list[Site]
) -> tuple[tuple[PlaceAccess, ...], tuple[str, ...], tuple[str, ...]]:
    places = study.tables["places"]
    places = places[places["country"].isin(study.home)]
    settled = places[places["kind"].isin(["city", "town", "village"])]
    is_city = (settled["kind"] == "city") | (settled["population"] >= CITY_PERSONS)
    cells = {
        place: _find_road_cell(mesh, lon, lat)
        for place, lon, lat in settled[["place", "lon", "lat"]].itertuples(index=False)
    }
    sources = sorted({cells[place] for place in settled[is_city]["place"]} - {-1})
    if not sources:
        return (), tuple(settled["name"]), ()
    season = "dry" if "dry" in SEASONS else SEASONS[0]
    road_h = np.array(compute_edge_times(study, mesh, vehicle, season).road_h, dtype=np.float64)
    before_h = compute_times(mesh, road_h, np.array(sources, dtype=np.int32))
    for site in sites:
        road_h[np.asarray(site.edges)] = np.inf
    after_h = compute_times(mesh, road_h, np.array(sources, dtype=np.int32))
    access, no_road = [], []
    for place, name, population in settled[["place", "name", "population"]].itertuples(index=False):
        cell = cells[place]
        if cell < 0 or not np.isfinite(before_h[cell]):
            no_road.append(name)
            continue
        access.append(
            PlaceAccess(place, name, float(population), float(before_h[cell]), float(after_h[cell]))
        )
    return tuple(access), tuple(no_road), tuple(settled[is_city]["name"])


def _find_road_cell(mesh: Mesh, lon: float, lat: float) -> int:
    """Return the nearest cell with a road within 3 km of a place, -1 when there is none."""
    has_road = np.zeros(mesh.cell_count, dtype=bool)
    used = mesh.road_m > 0
    has_road[mesh.edge_a[used]] = True
    has_road[mesh.edge_b[used]] = True
    east_km = (mesh.lon - lon) * 111.32 * np.cos(np.radians(lat))
    north_km = (mesh.lat - lat) * 110.57 * 1.006
    distance_km = np.where(has_road, np.hypot(east_km, north_km), np.inf)
    nearest = int(np.argmin(distance_km)) if mesh.cell_count else -1
    return nearest if nearest >= 0 and distance_km[nearest] <= 3.0 else -1
