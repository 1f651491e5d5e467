"""The civil account by area: by municipality where the study has their outlines, else by nearest town."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from abatis.barrier.sites import TOWN_KINDS, Siting
from abatis.ground.sources import Area, Findings
from abatis.ground.sources.vectors import read_vector_layer
from abatis.model.mesh import Mesh
from abatis.model.plan import Plan
from abatis.model.study import Study
from abatis.people.access_terms import CLOSED, PEACE
from abatis.show.app.answers.views import FeaturesAnswer
from abatis.show.app.views.shapes import collect, make_feature
from abatis.show.civil import CivilAccount
from abatis.show.civil_figures import AMBULANCE, AMBULANCE_H
from abatis.show.results import find_option_rows
from abatis.show.tables import Column, Table

LAYER = "municipalities"
OUTSIDE = "outside every municipality"
SIMPLIFY_DEG = 0.002


@dataclass(frozen=True)
class Areas:
    """Where places and sites are counted: `kind` says what an area is, `shapes` are outlines by name."""

    kind: str
    shapes: dict[str, BaseGeometry]
    towns: tuple[str, ...]
    town_lonlat: np.ndarray

    def name_points(self, lon: Sequence[float] | np.ndarray, lat: Sequence[float] | np.ndarray) -> list[str]:
        """Return the name of the area of each point (degrees)."""
        x, y = np.asarray(lon, np.float64), np.asarray(lat, np.float64)
        if self.shapes:
            names = list(self.shapes)
            found = [OUTSIDE] * len(x)
            tree = shapely.STRtree(list(self.shapes.values()))
            for point, shape in tree.query(shapely.points(x, y), predicate="intersects").T.tolist():
                found[point] = names[shape]
            return found
        if not self.towns:
            return ["the whole study"] * len(x)
        east = np.cos(np.radians(y))[:, None]
        away = np.hypot((x[:, None] - self.town_lonlat[:, 0]) * east, y[:, None] - self.town_lonlat[:, 1])
        return [self.towns[row] for row in np.argmin(away, axis=1).tolist()]


@dataclass
class AreaAccount:
    """What a plan asks of one area: its people, those who lose a way, and the works on its ground."""

    area: str
    persons: float = 0.0
    places: int = 0
    cut_off_peace: float = 0.0
    cut_off_closed: float = 0.0
    far_before: float = 0.0
    far_closed: float = 0.0
    sites: int = 0
    cost_eur: float = 0.0
    land_take_ha: float = 0.0
    protected_ha: float = 0.0
    people_near: float = 0.0


COLUMNS = {
    "area": ("", ""),
    "persons": ("people in its places", ",.0f"),
    "places": ("places with a road", ",.0f"),
    "cut_off_peace": ("people cut off, plan in peace", ",.0f"),
    "cut_off_closed": ("people cut off, all sites closed", ",.0f"),
    "far_before": ("people over 60 min from a hospital before", ",.0f"),
    "far_closed": ("people over 60 min from a hospital, all sites closed", ",.0f"),
    "sites": ("sites of the plan", ",.0f"),
    "cost_eur": ("cost of works [EUR]", ",.0f"),
    "land_take_ha": ("land taken [ha]", ",.1f"),
    "protected_ha": ("of it protected [ha]", ",.1f"),
    "people_near": ("people beside the sites", ",.0f"),
}


def read_areas(study: Study, mesh: Mesh) -> Areas:
    """Read the outlines of municipalities; without them the towns of home ground.

    Raises
    ------
    InputError : the layer municipalities has faults.
    """
    if len(study.source_rows(LAYER)):
        findings = Findings()
        ground = Area(mesh.lon.min(), mesh.lat.min(), mesh.lon.max(), mesh.lat.max())
        layer = read_vector_layer(study, LAYER, ground, findings)
        findings.raise_faults()
        parts: dict[str, list[BaseGeometry]] = {}
        for name, shape in zip(layer.names, layer.geometry, strict=True):
            parts.setdefault(str(name), []).append(shape)
        return Areas(
            "municipality",
            {name: shapely.union_all(own) for name, own in sorted(parts.items())},
            (),
            np.empty((0, 2)),
        )
    places = study.tables["places"]
    towns = places[places["kind"].isin(TOWN_KINDS) & places["country"].isin(study.home)]
    lonlat = towns[["lon", "lat"]].to_numpy(np.float64)
    return Areas("nearest town", {}, tuple(str(name) for name in towns["name"]), lonlat)


def count_areas(study: Study, areas: Areas, siting: Siting, plan: Plan, account: CivilAccount) -> Table:
    """Tabulate the civil account by area, most people cut off first.

    Parameters
    ----------
    areas : from `read_areas`.
    siting, plan, account : the plan and its civil account.

    In words: a place counts where it lies, a site where its middle lies. People beside a site that two areas
    share count in one of them, and people beside two sites twice: this column may add up to more than the
    plan's total.
    """
    found: dict[str, AreaAccount] = {}

    def take(name: str) -> AreaAccount:
        return found.setdefault(name, AreaAccount(name))

    _count_places(study, areas, account, take)
    chosen = {siting.options[row].site: siting.options[row] for row in find_option_rows(siting, plan)}
    sites = [site for site in siting.sites if site.key in chosen]
    impact = {one.site: one for one in account.impact.sites}
    names = areas.name_points([one.lon for one in sites], [one.lat for one in sites])
    for site, name in zip(sites, names, strict=True):
        area, touched = take(name), impact[site.key]
        area.sites += 1
        area.cost_eur += chosen[site.key].cost_eur
        area.land_take_ha += touched.land_take_ha
        area.protected_ha += touched.protected_ha
        area.people_near += touched.people_near
    rows = sorted(found.values(), key=lambda one: (-one.cut_off_closed, -one.sites, -one.persons, one.area))
    columns = tuple(
        Column(one.name, COLUMNS[one.name][0] or areas.kind, COLUMNS[one.name][1])
        for one in fields(AreaAccount)
    )
    note = "A place counts where it lies, a site where its middle lies."
    if areas.kind != "municipality":
        note += " The study has no outlines of municipalities (layer municipalities): towns stand for them."
    return Table(f"The civil account by {areas.kind}", columns, tuple(vars(one) for one in rows), note)


def _count_places(
    study: Study, areas: Areas, account: CivilAccount, take: Callable[[str], AreaAccount]
) -> None:
    places = study.tables["places"].set_index("place")
    ways = account.access.places
    lonlat = places.loc[[one.place for one in ways], ["lon", "lat"]].to_numpy(np.float64)
    for one, name in zip(ways, areas.name_points(*lonlat.T), strict=True):
        area = take(name)
        area.persons += one.persons
        area.places += 1
        area.cut_off_peace += one.persons if one.list_lost(PEACE) else 0.0
        area.cut_off_closed += one.persons if one.list_lost(CLOSED) else 0.0
        if AMBULANCE in one.hours:
            hours = one.hours[AMBULANCE]
            area.far_before += one.persons if hours.before_h > AMBULANCE_H else 0.0
            area.far_closed += one.persons if hours.closed_h > AMBULANCE_H else 0.0


def draw_areas(areas: Areas, table: Table) -> FeaturesAnswer:
    """Draw the outlines of areas with their account; nothing where the study has no outlines."""
    rows = {str(row["area"]): row for row in table.rows}
    return collect(
        make_feature(shapely.simplify(shape, SIMPLIFY_DEG), rows.get(name, {"area": name}))
        for name, shape in areas.shapes.items()
    )
