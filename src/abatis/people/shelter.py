"""Shelter: how much of the key roads near the border trees cover, and what planting or screens would add."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import shapely

from abatis.ground.speeds import compute_edge_times
from abatis.ground.travel import compute_times, find_route, list_edges
from abatis.model.mesh import Mesh
from abatis.model.study import Study
from abatis.model.words import COVER_WORDS, ROAD_WORDS
from abatis.people.clearance import Range, Term
from abatis.people.impact import CITY_PERSONS, choose_civil_vehicle
from abatis.people.land import PRICE_OF_COVER
from abatis.people.land_terms import (
    Growth,
    LandLayer,
    find_worst_tag,
    read_growth,
    read_land_layer,
    read_land_terms,
    read_owners,
)
from abatis.people.road_sections import cut_sections, find_road_cells

KEY_ROADS = ("motorway", "main")
PLANT, SCREEN = "plant", "screen"
GROWN = 0.9
PLANTED_COVERS = ("cropland", "grass", "shrub", "wetland", "bare")
NAMES = {PLANT: "Tree rows on both sides", SCREEN: "Screens on one side"}
M2_PER_HA = 10_000.0
COVER_TERMS = {
    "dense_forest": "cover_dense_forest", "open_forest": "cover_open_forest", "shrub": "cover_shrub",
    "built_up": "cover_built_up",
}  # fmt: skip
LIMITS = (
    (
        "Cover of a road is judged from the cover shares of the two cells it runs through (and mapped tree "
        "rows where the study has them), as if the road met each cover in proportion. Gaps and heights are "
        "not seen; a survey along the road must replace it before anything is ordered."
    ),
    (
        "Cover hides from sight along the ground and partly from the air in leaf; in winter it hides less. "
        "It is not protection against fire."
    ),
    (
        "Supply ways are the fastest roads from the nearest city to each home place within the depth; their "
        "number says how much hangs on a road, not its traffic."
    ),
    (
        "Options are ranked over the years of the programme, which favours screens: rows stand for decades "
        "after it. The kilometres at full growth stand beside."
    ),
    (
        "Rows beside a road lie against sight strips that border guards keep clear, against road safety "
        "rules and against farmland: these are to be settled road by road. Growth, prices and shares are "
        "placeholders."
    ),
)


@dataclass(frozen=True)
class Section:
    """A stretch of one key road: class, number, middle, length, covered share, ways and persons that use it.

    `edges` int32[] of the mesh; `supply_ways` number of home places supplied over it, on average along it;
    `persons` who live in them.
    """

    key: str
    road: str
    road_class: str
    lon: float
    lat: float
    length_km: float
    covered: Range
    supply_ways: float
    persons: float
    edges: np.ndarray

    @property
    def bare_km(self) -> float:
        """Likely kilometres without cover."""
        return self.length_km * (1.0 - self.covered.mode)


@dataclass(frozen=True)
class ShelterOption:
    """One way to cover a section: what it costs, how soon it works and what it brings.

    `added_km` kilometres covered once it works fully; `added_supply_km` the same times the supply ways, mean
    over the years of the programme; `full_supply_km` once it works fully; `cost_eur` over these years with
    renewals; `full_years` until nine tenths of the likely effect; `rank` counts from 1, most supply
    kilometres per euro first.
    """

    rank: int
    section: str
    option: str
    name: str
    length_km: float
    added_km: Range
    added_supply_km: float
    full_supply_km: float
    cost_eur: Range
    full_years: float
    supply_km_per_meur: float


@dataclass(frozen=True)
class Shelter:
    """Cover of the key roads within `depth_km` of the border.

    `by_year` gives km covered at the end of each calendar year if all rows are ordered in the first year.
    """

    depth_km: float
    roads: tuple[str, ...]
    length_km: float
    covered_km: Range
    bare_km: float
    supply_km: float
    bare_supply_km: float
    sections: tuple[Section, ...]
    options: tuple[ShelterOption, ...]
    by_year: tuple[tuple[int, Range], ...]
    tree_rows: str
    ground_tag: str
    tags: Mapping[str, str]
    limits: tuple[str, ...]

    @property
    def bare_range_km(self) -> Range:
        """Kilometres without cover: low with the high cover, high with the low one."""
        low, mode, high = (self.length_km - one for one in _ends(self.covered_km)[::-1])
        return Range(low, mode, high)

    @property
    def supply_covered_share(self) -> float:
        """Likely covered share of the supply ways on key roads; 0 where there are none."""
        return 1.0 - self.bare_supply_km / self.supply_km if self.supply_km > 0 else 0.0

    @property
    def covered_share(self) -> float:
        """Likely covered share of the key roads; 0 where there are none."""
        return self.covered_km.mode / self.length_km if self.length_km > 0 else 0.0


def account_shelter(study: Study, mesh: Mesh) -> Shelter:
    """Judge the cover of the key roads near the border, and list what would add to it.

    Parameters
    ----------
    study, mesh : the study and its mesh; tables land_terms.csv, tree_growth.csv and land_layers.csv (layer
        tree_rows) are read when they are there. Depth is the outermost echelon limit of the study.

    Formula: covered(e) = 1 - (1 - forest(e)) x (1 - rows(e)); forest(e) = mean over the two cells of the sum
    over covers of share x cover term; rows(e) = min(1, km of rows / km of key road in the two cells) x
    cover_tree_rows.
    In words: a stretch is covered where it runs through forest or beside tree rows. Options are ranked by
    bare supply kilometres covered, as a mean over the years of the programme, per euro.

    Raises
    ------
    InputError : faults of those tables.
    """
    terms = read_land_terms(study)
    growth, growth_tags = read_growth(study)
    rows = read_land_layer(study, "tree_rows")
    depth_km = float(study.outer_km[-1])
    key = find_key_roads(study, mesh, depth_km)
    covered = cover_roads(mesh, key, terms, rows)
    ways, persons = count_supply(study, mesh, depth_km)
    km = mesh.road_m.astype(np.float64) / 1000.0
    sections = _make_sections(mesh, key, covered, ways, persons, terms["section_km"].value.mode)
    options = _rank_options(study, mesh, sections, growth, terms)
    length_km = float(km[key].sum())
    covered_km = Range(*(float((km[key] * one[key]).sum()) for one in covered))
    bare = km[key] * (1.0 - covered[1][key])
    return Shelter(
        depth_km=depth_km,
        roads=KEY_ROADS,
        length_km=length_km,
        covered_km=covered_km,
        bare_km=float(bare.sum()),
        supply_km=float((km[key] * ways[key]).sum()),
        bare_supply_km=float((bare * ways[key]).sum()),
        sections=sections,
        options=options,
        by_year=_grow(study, covered_km, sections, options, growth, terms),
        tree_rows=rows.source if rows is not None else "no source of tree rows: forest alone counts",
        ground_tag=find_worst_tag(study.sources["tag"]),
        tags={name: term.tag for name, term in terms.items()} | {"growth": " ".join(growth_tags)},
        limits=LIMITS,
    )


def find_key_roads(study: Study, mesh: Mesh, depth_km: float) -> np.ndarray:
    """Return bool[E]: roads of the class main and above on home ground within a depth of the border."""
    home = mesh.mask_countries(study.home)
    near = home & (mesh.border_km <= depth_km)
    classes = [ROAD_WORDS.index(word) for word in KEY_ROADS]
    return np.asarray(np.isin(mesh.road_class, classes) & near[mesh.edge_a] & near[mesh.edge_b])


def cover_roads(
    mesh: Mesh, key: np.ndarray, terms: Mapping[str, Term], rows: LandLayer | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the covered share of every edge, low, likely, high, float64[E] each; see `account_shelter`."""
    beside = np.zeros(mesh.cell_count)
    if rows is not None:
        beside = _share_rows(mesh, key, rows)
    found = []
    for level in ("low", "mode", "high"):
        cell = np.zeros(mesh.cell_count)
        for word, term in COVER_TERMS.items():
            cell += mesh.cover[:, COVER_WORDS.index(word)] * getattr(terms[term].value, level)
        forest = (cell[mesh.edge_a] + cell[mesh.edge_b]) / 2.0
        lined = (beside[mesh.edge_a] + beside[mesh.edge_b]) / 2.0
        lined *= getattr(terms["cover_tree_rows"].value, level)
        found.append(np.clip(1.0 - (1.0 - forest) * (1.0 - lined), 0.0, 1.0))
    return found[0], found[1], found[2]


def _share_rows(mesh: Mesh, key: np.ndarray, rows: LandLayer) -> np.ndarray:
    """Km of tree rows over km of key road per cell, at most 1, float64[N]; rows go to the nearest centre."""
    scale = np.cos(np.radians(mesh.lat.mean()))
    road_km = np.zeros(mesh.cell_count)
    for ends in (mesh.edge_a, mesh.edge_b):
        np.add.at(road_km, ends[key], mesh.road_m[key] / 2000.0)
    points, km = [], []
    for line in shapely.get_parts(rows.shapes):
        xy = shapely.get_coordinates(line)
        step = np.hypot(np.diff(xy[:, 0]) * scale, np.diff(xy[:, 1])) * 111.195
        points.append((xy[1:] + xy[:-1]) / 2.0)
        km.append(step)
    middle, length_km = np.concatenate(points), np.concatenate(km)
    tree = shapely.STRtree([shapely.Point(x, y) for x, y in zip(mesh.lon * scale, mesh.lat, strict=True)])
    nearest = tree.query_nearest(shapely.points(middle[:, 0] * scale, middle[:, 1]), all_matches=False)
    row_km = np.zeros(mesh.cell_count)
    np.add.at(row_km, nearest[1], length_km[nearest[0]])
    share = np.divide(row_km, road_km, out=np.zeros(mesh.cell_count), where=road_km > 0)
    return np.asarray(np.minimum(share, 1.0))


def count_supply(study: Study, mesh: Mesh, depth_km: float) -> tuple[np.ndarray, np.ndarray]:
    """Count how many home places near the border are supplied over each edge, and who lives there.

    Returns
    -------
    Number of ways and persons, float64[E] each.

    In words: each home place within the depth is reached from the nearest city by the fastest roads; every
    edge of that way counts one way and the place's people. Places that are a city themselves, or that no
    road of the study reaches, add nothing.
    """
    places = study.tables["places"]
    places = places[places["country"].isin(study.home) & places["kind"].isin(["city", "town", "village"])]
    ways, persons = np.zeros(mesh.edge_count), np.zeros(mesh.edge_count)
    cells = find_road_cells(mesh, places["lon"].to_numpy(float), places["lat"].to_numpy(float))
    city = ((places["kind"] == "city") | (places["population"] >= CITY_PERSONS)).to_numpy(bool)
    sources = np.unique(cells[city & (cells >= 0)])
    if not len(sources):
        return ways, persons
    road_h = np.asarray(compute_edge_times(study, mesh, choose_civil_vehicle(study), "dry").road_h, float)
    times = compute_times(mesh, road_h, sources.astype(np.int32))
    for cell, people in zip(cells, places["population"], strict=True):
        if cell < 0 or not np.isfinite(times[cell]) or mesh.border_km[cell] > depth_km:
            continue
        edges = list_edges(mesh, find_route(mesh, road_h, times, int(cell)))
        ways[edges] += 1.0
        persons[edges] += float(people)
    return ways, persons


def _make_sections(
    mesh: Mesh,
    key: np.ndarray,
    covered: tuple[np.ndarray, np.ndarray, np.ndarray],
    ways: np.ndarray,
    persons: np.ndarray,
    section_km: float,
) -> tuple[Section, ...]:
    sections = []
    for edges in cut_sections(mesh, np.flatnonzero(key), section_km):
        km = mesh.road_m[edges].astype(np.float64) / 1000.0
        total = float(km.sum())
        number = int(mesh.road_name[edges[0]])
        middle = int(edges[len(edges) // 2])
        a, b = int(mesh.edge_a[middle]), int(mesh.edge_b[middle])
        sections.append(
            Section(
                key=f"road-{int(mesh.cells[a]):x}-{int(mesh.cells[b]):x}",
                road=mesh.road_names[number] if number >= 0 else "",
                road_class=ROAD_WORDS[int(mesh.road_class[edges[0]])],
                lon=float(mesh.lon[a] + mesh.lon[b]) / 2.0,
                lat=float(mesh.lat[a] + mesh.lat[b]) / 2.0,
                length_km=total,
                covered=Range(*(float(km @ one[edges]) / total for one in covered)),
                supply_ways=float(km @ ways[edges]) / total,
                persons=float(persons[edges].max()),
                edges=edges,
            )
        )
    return tuple(sections)


def _rank_options(
    study: Study, mesh: Mesh, sections: tuple[Section, ...], growth: Growth, terms: Mapping[str, Term]
) -> tuple[ShelterOption, ...]:
    years = study.programme_years
    wait = terms["plant_lead_years"].value.mode
    grown = float(np.mean([growth.at(year - wait).mode for year in range(1, years + 1)]))
    full = float(np.interp(GROWN * growth.mode[-1], growth.mode, growth.years)) + wait
    lon, lat = (np.array([getattr(one, name) for one in sections]) for name in ("lon", "lat"))
    private = read_owners(study, lon, lat, terms["private"]).shares[:, :, 0]
    found = []
    for section, share_private in zip(sections, private, strict=True):
        if section.bare_km < terms["least_section_km"].value.mode:
            continue
        bare = Range(*(section.length_km * (1.0 - one) for one in _ends(section.covered)[::-1]))
        for option, share, part, ready in (
            (PLANT, terms["cover_tree_rows"].value, grown, full),
            (SCREEN, terms["screen_cover"].value, 1.0, 1.0),
        ):
            cost = (
                _price_rows(mesh, section, share_private, terms)
                if option == PLANT
                else _price_screens(study.programme_years, section, terms)
            )
            full_km = bare.mode * share.mode * section.supply_ways
            supply_km = full_km * part
            per_meur = supply_km / cost.mode * 1e6 if cost.mode > 0 else 0.0
            added = Range(bare.low * share.low, bare.mode * share.mode, bare.high * share.high)
            found.append(
                ShelterOption(
                    0, section.key, option, NAMES[option], section.length_km, added, supply_km,
                    full_km, cost, ready, per_meur,
                )
            )  # fmt: skip
    found.sort(
        key=lambda one: (-round(one.supply_km_per_meur, 9), one.cost_eur.mode, one.section, one.option)
    )
    return tuple(ShelterOption(**{**vars(one), "rank": place}) for place, one in enumerate(found, start=1))


def _ends(value: Range) -> tuple[float, float, float]:
    return value.low, value.mode, value.high


def _price_rows(mesh: Mesh, section: Section, private: np.ndarray, terms: Mapping[str, Term]) -> Range:
    """EUR for rows on the likely bare km: km x (price per km + strip x private share x price of ground)."""
    cells = np.unique(np.concatenate([mesh.edge_a[section.edges], mesh.edge_b[section.edges]]))
    cover = mesh.cover[cells].mean(axis=0, dtype=np.float64)
    found = []
    for level in ("low", "mode", "high"):
        ha_eur = 0.0
        for word in PLANTED_COVERS:
            number = COVER_WORDS.index(word)
            ha_eur += cover[number] * private[number] * getattr(terms[PRICE_OF_COVER[word]].value, level)
        strip_ha_km = getattr(terms["plant_strip_m"].value, level) * 1000.0 / M2_PER_HA
        price = getattr(terms["plant_eur_km"].value, level)
        found.append(float(section.bare_km * (price + strip_ha_km * ha_eur)))
    return Range(*found)


def _price_screens(years: int, section: Section, terms: Mapping[str, Term]) -> Range:
    """EUR for screens over some years: km x price x ceil(years / life); longest life with the low price."""
    life, price = terms["screen_life_years"].value, terms["screen_eur_km"].value
    low, mode, high = (
        section.bare_km * eur * math.ceil(years / lasts)
        for eur, lasts in zip(_ends(price), _ends(life)[::-1], strict=True)
    )
    return Range(low, mode, high)


def _grow(
    study: Study,
    covered_km: Range,
    sections: tuple[Section, ...],
    options: tuple[ShelterOption, ...],
    growth: Growth,
    terms: Mapping[str, Term],
) -> tuple[tuple[int, Range], ...]:
    """Km covered at the end of each year when every row is ordered in the first year of the programme."""
    planted = {one.section for one in options if one.option == PLANT}
    rows, wait = terms["cover_tree_rows"].value, terms["plant_lead_years"].value
    full = [
        sum(one.length_km * (1.0 - _ends(one.covered)[level]) for one in sections if one.key in planted)
        * _ends(rows)[level]
        for level in range(3)
    ]
    found = []
    for year in range(1, study.programme_years + 1):
        share = (
            growth.at(year - wait.high).low, growth.at(year - wait.mode).mode, growth.at(year - wait.low).high
        )  # fmt: skip
        now = (base + most * part for base, most, part in zip(_ends(covered_km), full, share, strict=True))
        found.append((study.first_year + year - 1, Range(*now)))
    return tuple(found)


def list_shelter(shelter: Shelter) -> list[dict[str, Any]]:
    """List the account as rows `figure, low, mode, high, unit, tag, note`."""
    near = f"class main and above, within {shelter.depth_km:g} km of the border"
    length = shelter.length_km
    rows = [
        _row("key roads near the border", Range(length, length, length), "km", shelter.ground_tag, near),
        _row("covered by trees", shelter.covered_km, "km", "G", shelter.tree_rows),
        _row("without cover", shelter.bare_range_km, "km", "G", near),
        _row(
            "supply ways without cover",
            Range(*(shelter.bare_supply_km,) * 3),
            "km x ways",
            "G",
            f"of {shelter.supply_km:.0f}",
        ),
    ]
    for year, covered in shelter.by_year:
        rows.append(
            _row(f"covered at the end of {year}", covered, "km", "G", "all rows ordered in the first year")
        )
    return rows


def _row(figure: str, value: Range, unit: str, tag: str, note: str) -> dict[str, Any]:
    return {"figure": figure, **asdict(value), "unit": unit, "tag": tag, "note": note}


def list_shelter_options(shelter: Shelter, most: int | None = None) -> list[dict[str, Any]]:
    """List the options in their order, best first; at most so many."""
    road = {one.key: one for one in shelter.sections}
    return [
        {
            "rank": one.rank,
            "section": one.section,
            "road": road[one.section].road,
            "road_class": road[one.section].road_class,
            "lon": round(road[one.section].lon, 4),
            "lat": round(road[one.section].lat, 4),
            "option": one.option,
            "name": one.name,
            "length_km": one.length_km,
            "bare_km": road[one.section].bare_km,
            "supply_ways": road[one.section].supply_ways,
            "persons": road[one.section].persons,
            "added_km": asdict(one.added_km),
            "added_supply_km": one.added_supply_km,
            "full_supply_km": one.full_supply_km,
            "cost_eur": asdict(one.cost_eur),
            "full_years": one.full_years,
            "supply_km_per_meur": one.supply_km_per_meur,
            "tag": "G",
        }
        for one in shelter.options[:most]
    ]


def describe_shelter(shelter: Shelter, most: int | None = 20) -> dict[str, Any]:
    """Return the account as plain values for JSON, with at most so many options."""
    return {
        "depth_km": shelter.depth_km,
        "road_classes": list(shelter.roads),
        "length_km": shelter.length_km,
        "covered_km": asdict(shelter.covered_km),
        "covered_share": shelter.covered_share,
        "bare_km": asdict(shelter.bare_range_km),
        "supply_covered_share": shelter.supply_covered_share,
        "supply_km": shelter.supply_km,
        "bare_supply_km": shelter.bare_supply_km,
        "tree_rows": shelter.tree_rows,
        "by_year": [{"year": year, "covered_km": asdict(covered)} for year, covered in shelter.by_year],
        "options": list_shelter_options(shelter, most),
        "option_count": len(shelter.options),
        "limits": list(shelter.limits),
    }
