"""Settings of access: capacity of roads, distance that counts as safe, and which sites stay open in peace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from abatis.barrier.options import Way, read_ways
from abatis.barrier.sites import Site, Siting
from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.fields import read_table
from abatis.model.mesh import Mesh
from abatis.model.plan import Plan
from abatis.model.study import Study
from abatis.model.words import ROAD_WORDS
from abatis.people.treaties import read_packaged

BEFORE, PEACE, CLOSED = "before", "peace", "closed"
STATES = (BEFORE, PEACE, CLOSED)
CAPACITIES, TERMS, PEACE_ROADS = "road_capacities", "access_terms", "peace_roads"


@dataclass(frozen=True)
class AccessTerms:
    """Figures that access rests on.

    `capacity` float64[5], vehicles per hour and direction by ROAD_WORDS; `safe_km` from hostile ground;
    `persons_per_vehicle`; `hospital_city_persons`; `snap_km`; `open_in_peace` by kind of measure;
    `placeholders` names the figures with tag G.
    """

    capacity: np.ndarray
    safe_km: float
    persons_per_vehicle: float
    hospital_city_persons: float
    snap_km: float
    open_in_peace: Mapping[str, bool]
    placeholders: tuple[str, ...]

    def __post_init__(self) -> None:
        faults = []
        if not (np.asarray(self.capacity) > 0).all():
            worst = float(np.min(self.capacity))
            faults.append(
                Fault(
                    f"is {worst:g} vehicles/h", column="capacity", remedy="give more than 0 for every class"
                )
            )
        if not self.persons_per_vehicle > 0:
            text = f"is {self.persons_per_vehicle:g}"
            faults.append(Fault(text, column="persons_per_vehicle", remedy="give more than 0"))
        if not self.safe_km >= 0:
            faults.append(Fault(f"is {self.safe_km:g}", column="safe_km", remedy="give km, at least 0"))
        if faults:
            raise InputError(faults)


def read_access_terms(study: Study) -> AccessTerms:
    """Read the figures of access; the study's own rows go before the packaged ones.

    Parameters
    ----------
    study : its tables/road_capacities.csv, access_terms.csv and peace_roads.csv may each hold own rows.

    Raises
    ------
    InputError : every fault of the study's rows: capacity 0, unknown class or term, a key that stands twice.
    """
    faults: list[Fault] = []
    roads = _merge_rows(study, CAPACITIES, "road_class", faults)
    terms = _merge_rows(study, TERMS, "term", faults)
    peace = _merge_rows(study, PEACE_ROADS, "law_kind", faults)
    if faults:
        raise InputError(faults)
    by_class = roads.set_index("road_class")
    capacity = [by_class["lanes"][word] * by_class["vehicles_per_hour"][word] for word in ROAD_WORDS]
    value = {str(term): float(number) for term, number in zip(terms["term"], terms["value"], strict=True)}
    if not value["persons_per_vehicle"] > 0:
        shown = f"tables/{TERMS}.csv"
        raise InputError([Fault("persons_per_vehicle is 0", shown, column="value", remedy="give persons")])
    placeholders = [f"capacity of {word} roads" for word in roads[roads["tag"] == "G"]["road_class"]]
    placeholders += list(terms[terms["tag"] == "G"]["term"])
    return AccessTerms(
        capacity=np.array(capacity, np.float64),
        safe_km=value["safe_km"],
        persons_per_vehicle=value["persons_per_vehicle"],
        hospital_city_persons=value["hospital_city_persons"],
        snap_km=value["snap_km"],
        open_in_peace=dict(zip(peace["law_kind"], peace["open"], strict=True)),
        placeholders=tuple(placeholders),
    )


def read_own_table(study: Study, table: str, key: str, faults: list[Fault]) -> pd.DataFrame | None:
    """Read a table of the study that access knows, None where the study has none; faults are added."""
    path = study.folder / "tables" / f"{table}.csv"
    if not path.is_file():
        return None
    shown = f"tables/{table}.csv"
    frame, wrong = read_table(path, table, shown)
    faults += wrong
    twice = frame[key].duplicated()
    faults += [
        Fault(f"'{frame[key][row]}' stands twice", shown, int(str(row)), key, "delete one")
        for row in frame.index[twice]
    ]
    return frame[~twice]


def _merge_rows(study: Study, table: str, key: str, faults: list[Fault]) -> pd.DataFrame:
    packaged = read_packaged(table)
    own = read_own_table(study, table, key, faults)
    if own is None or own.empty:
        return packaged
    known = set(packaged[key])
    faults += [
        Fault(f"'{word}' is unknown", f"tables/{table}.csv", int(str(row)), key, nearest_word(word, known))
        for row, word in own[key].items()
        if word not in known
    ]
    kept = packaged[~packaged[key].isin(set(own[key]))]
    return pd.concat([kept, own], ignore_index=True) if len(kept) else own.reset_index(drop=True)


def list_closed_edges(
    study: Study, mesh: Mesh, siting: Siting, terms: AccessTerms, state: str
) -> dict[tuple[str, str], np.ndarray]:
    """List the road edges that each option of each site closes to civil traffic.

    Parameters
    ----------
    siting : its sites and options.
    state : peace or closed.

    Returns
    -------
    (site, option) -> rows of edges int32[], empty where no road is closed.

    In words: an option closes a road by its road measure and a bridge by its bridge measure; roads without a
    measure stay open. In peace only those are closed whose kind of measure stands in the way
    (peace_roads.csv); a measure without a kind is an obstacle, a kind that is not listed is taken as closed.
    """
    measures = study.tables["measures"]
    kinds = {str(one): str(kind) for one, kind in zip(measures["measure"], measures["law_kind"], strict=True)}
    ways = {way.key: way for way in read_ways(study)}
    sites = {site.key: site for site in siting.sites}
    found = {}
    for option in siting.options:
        site, way = sites[option.site], ways[option.option]
        found[option.site, option.option] = _close_roads(mesh, site, way, kinds, terms, state)
    return found


def _close_roads(
    mesh: Mesh, site: Site, way: Way, kinds: Mapping[str, str], terms: AccessTerms, state: str
) -> np.ndarray:
    edges = np.asarray(site.edges, np.int32)
    road = mesh.road_class[edges] >= 0
    bridge = road & (mesh.bridge_m[edges] > 0) & (way.bridge is not None)
    closed = np.zeros(len(edges), bool)
    for crossed, measure in ((road & ~bridge, way.road), (bridge, way.bridge)):
        if measure is None:
            continue
        passes = state == PEACE and terms.open_in_peace.get(kinds.get(measure.key, ""), False)
        closed |= crossed & (not passes)
    return np.asarray(edges[closed])


def list_site_edges(closed: Mapping[tuple[str, str], np.ndarray], plan: Plan | None) -> dict[str, np.ndarray]:
    """Return the road edges that a plan closes at each of its sites, in the order of the plan.

    Without a plan: those that some option of the site closes, for every site of the study.

    Raises
    ------
    InputError : the plan has options that the study has not.
    """
    if plan is not None:
        strange = [one for one in plan.options if (one.site, one.option) not in closed]
        if strange:
            raise InputError(
                [
                    Fault(
                        f"the plan has option '{one.option}' at '{one.site}', the study has not",
                        remedy="solve the study again",
                    )
                    for one in strange
                ]
            )
        return {one.site: closed[one.site, one.option] for one in plan.options}
    every: dict[str, np.ndarray] = {}
    for (site, _), edges in closed.items():
        every[site] = np.union1d(every[site], edges).astype(np.int32) if site in every else edges
    return every
