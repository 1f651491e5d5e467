"""What access is measured on: roads, places with their people, hospitals, schools, safe ground, corridors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.spatial import KDTree

from abatis.ground.speeds import compute_edge_times
from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.mesh import Mesh
from abatis.model.study import Study
from abatis.model.words import FACILITY_WORDS
from abatis.people.access_terms import AccessTerms, read_access_terms, read_own_table
from abatis.people.impact import choose_civil_vehicle
from abatis.people.roads import RoadGraph, build_road_graph, snap_points, weigh_capacity

SETTLED = ("city", "town", "village")
AMBULANCE, SCHOOL, SAFE = "ambulance", "school", "safe"
AIMS = (AMBULANCE, SCHOOL, SAFE)
SEASON = "dry"
TRADE, MOBILITY = "trade", "mobility"
PLACES = "tables/places.csv"


@dataclass(frozen=True)
class Place:
    """A home place: its people, its distance from hostile ground, and its node of the roads (-1 none)."""

    place: str
    name: str
    persons: float
    border_km: float
    node: int


@dataclass(frozen=True)
class Corridor:
    """A way that must be kept in mind: from any of `starts` to any of `targets` (rows of nodes)."""

    key: str
    name: str
    kind: str
    start: str
    target: str
    starts: np.ndarray
    targets: np.ndarray


@dataclass(frozen=True)
class AccessGround:
    """Everything that access is measured on; made by `prepare_access`.

    `aims` gives the nodes of hospitals, schools and safe ground, int32[]; `hospital_basis` says what stands
    for hospitals; `safe` bool[R] marks safe nodes; `zone` bool[P] marks places on ground that is not safe.
    """

    graph: RoadGraph
    terms: AccessTerms
    places: tuple[Place, ...]
    aims: dict[str, np.ndarray]
    safe: np.ndarray
    zone: np.ndarray
    corridors: tuple[Corridor, ...]
    hospital_basis: str
    people_basis: str
    vehicle: str

    @property
    def nodes(self) -> np.ndarray:
        """Node of each place, int32[P]; -1 where none is near."""
        return np.array([one.node for one in self.places], np.int32)

    @property
    def persons(self) -> np.ndarray:
        """Persons of each place, float64[P]."""
        return np.array([one.persons for one in self.places], np.float64)

    def time_places(self, aim: str, closed: np.ndarray | None = None) -> np.ndarray:
        """Return float64[P], hours from each place to the nearest aim; inf where no open road leads there.

        Parameters
        ----------
        aim : ambulance, school or safe.
        closed : int32[], rows of closed stretches of road.
        """
        hours = self.graph.compute_times(self.aims[aim], closed)
        nodes = self.nodes
        return np.where(nodes >= 0, np.append(hours, np.inf)[nodes], np.inf)


def prepare_access(study: Study, mesh: Mesh, terms: AccessTerms | None = None) -> AccessGround:
    """Collect roads, places and aims of a study.

    Parameters
    ----------
    study, mesh : the study and its mesh.
    terms : figures of access; those of the study when not given.

    In words: nobody drives through hostile ground. Ground counts as safe when it lies farther than `safe_km`
    from hostile ground, at home or with allies. Each place uses the nearest road within `snap_km`.

    Raises
    ------
    InputError : negative population, a place that is not in the mesh, no safe ground, bad corridors.
    """
    terms = terms or read_access_terms(study)
    faults: list[Fault] = []
    frame = _select_places(study, faults)
    barred = mesh.mask_countries(study.hostile)
    safe_cell = ~barred & (mesh.border_km > terms.safe_km)
    if not safe_cell.any():
        faults.append(_describe_unsafe(terms))
    vehicle = choose_civil_vehicle(study)
    road_h = np.asarray(compute_edge_times(study, mesh, vehicle, SEASON).road_h, np.float64)
    every = study.tables["places"]
    lon, lat = every["lon"].tolist(), every["lat"].tolist()
    snapped = snap_points(mesh, road_h, barred, lon, lat, terms.snap_km)
    cell_of = dict(zip(every["place"], snapped.tolist(), strict=True))
    aims, basis = _find_aims(study, mesh, terms, frame, cell_of, road_h, barred)
    entries = _find_entries(study, mesh, road_h)
    kept = np.zeros(mesh.cell_count, bool)
    ends = [*aims.values(), *entries.values(), np.array([c for c in cell_of.values() if c >= 0], np.int32)]
    kept[np.concatenate(ends).astype(np.int32)] = True
    flip = safe_cell[mesh.edge_a] != safe_cell[mesh.edge_b]
    kept[mesh.edge_a[flip]] = kept[mesh.edge_b[flip]] = True
    graph = build_road_graph(mesh, road_h, weigh_capacity(mesh, terms.capacity), kept, barred)
    safe = safe_cell[graph.cells]
    if safe_cell.any() and not safe.any():
        faults.append(_describe_unsafe(terms))
    node_of = {place: int(graph.node_of_cell[cell]) if cell >= 0 else -1 for place, cell in cell_of.items()}
    node_lists = {aim: _keep_nodes(graph, cells) for aim, cells in aims.items()}
    node_lists[SAFE] = np.flatnonzero(safe).astype(np.int32)
    starts = {country: _keep_nodes(graph, cells) for country, cells in entries.items()}
    corridors = _list_corridors(study, terms, frame, node_of, starts, faults)
    if faults:
        raise InputError(faults)
    border_km = _measure_border(mesh, frame)
    persons, people_basis = count_persons(study, mesh, frame)
    places = tuple(
        Place(str(place), str(name), float(count), float(km), node_of[place])
        for place, name, count, km in zip(frame["place"], frame["name"], persons, border_km, strict=True)
    )
    zone = border_km <= terms.safe_km
    return AccessGround(graph, terms, places, node_lists, safe, zone, corridors, basis, people_basis, vehicle)


def _select_places(study: Study, faults: list[Fault]) -> pd.DataFrame:
    places = study.tables["places"]
    frame = places[places["country"].isin(study.home) & places["kind"].isin(SETTLED)]
    for row, persons in frame["population"].items():
        if not persons >= 0:
            text = f"is {persons:g} but must be at least 0"
            faults.append(Fault(text, PLACES, int(str(row)), "population", "give persons"))
    if frame.empty:
        faults.append(Fault("has no city, town or village of the home country", PLACES, remedy="add places"))
    return frame


def _describe_unsafe(terms: AccessTerms) -> Fault:
    return Fault(
        f"is {terms.safe_km:g} km, and no road of the mesh lies farther from hostile ground: "
        "there is no safe area",
        "tables/access_terms.csv",
        column="safe_km",
        remedy="give fewer km",
    )  # fmt: skip


def _find_aims(
    study: Study,
    mesh: Mesh,
    terms: AccessTerms,
    frame: pd.DataFrame,
    cell_of: dict[str, int],
    road_h: np.ndarray,
    barred: np.ndarray,
) -> tuple[dict[str, np.ndarray], str]:
    """Return cells of hospitals and schools, and what stands for hospitals."""
    aims = {}
    for aim, word in ((AMBULANCE, "hospital"), (SCHOOL, "school")):
        chosen = mesh.facilities.kind == FACILITY_WORDS.index(word)
        home = mesh.mask_countries(study.home)
        chosen &= home[mesh.facilities.cell]
        lon, lat = mesh.facilities.lon[chosen], mesh.facilities.lat[chosen]
        cells = snap_points(mesh, road_h, barred, lon.tolist(), lat.tolist(), terms.snap_km).tolist()
        listed = study.tables["places"]
        listed = listed[(listed["kind"] == word) & listed["country"].isin(study.home)]
        cells += [cell_of[place] for place in listed["place"]]
        aims[aim] = np.array(sorted({cell for cell in cells if cell >= 0}), np.int32)
    if len(aims[AMBULANCE]):
        return aims, f"{len(aims[AMBULANCE])} hospitals of the data"
    large = frame[frame["population"] >= terms.hospital_city_persons]["place"]
    aims[AMBULANCE] = np.array(sorted({cell_of[place] for place in large} - {-1}), np.int32)
    return aims, (
        f"no hospital in the data: the {len(aims[AMBULANCE])} home cities of at least "
        f"{terms.hospital_city_persons:,.0f} persons stand for them"
    )


def _find_entries(study: Study, mesh: Mesh, road_h: np.ndarray) -> dict[str, np.ndarray]:
    """Return per allied country the home cells of the roads that come from it."""
    road = np.isfinite(road_h) & (mesh.road_class >= 0)
    home = mesh.mask_countries(study.home)
    entries = {}
    for index, code in enumerate(mesh.country_codes):
        if code in study.home or code in study.hostile:
            continue
        there = mesh.country == index
        a, b = mesh.edge_a, mesh.edge_b
        cells = np.concatenate([a[road & home[a] & there[b]], b[road & home[b] & there[a]]])
        if len(cells):
            entries[code] = np.unique(cells).astype(np.int32)
    return entries


def _keep_nodes(graph: RoadGraph, cells: np.ndarray) -> np.ndarray:
    nodes = graph.node_of_cell[cells]
    return np.unique(nodes[nodes >= 0]).astype(np.int32)


def _measure_border(mesh: Mesh, frame: pd.DataFrame) -> np.ndarray:
    """Return float64[P], km between the cell of each place and hostile ground."""
    tree = KDTree(_flatten(mesh.lon, mesh.lat))
    _, cells = tree.query(_flatten(frame["lon"].to_numpy(float), frame["lat"].to_numpy(float)))
    return np.asarray(mesh.border_km[cells], np.float64)


def _flatten(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    return np.column_stack([lon * np.cos(np.radians(lat)), lat])


def count_persons(study: Study, mesh: Mesh, frame: pd.DataFrame) -> tuple[np.ndarray, str]:
    """Return persons of each place float64[P], and what they were taken from.

    In words: with a population layer every home cell's people belong to the nearest place; without one a
    place has the people that places.csv gives.
    """
    own = frame["population"].to_numpy(float)
    if "population" not in set(study.sources["layer"]) or frame.empty:
        return own, "people of tables/places.csv; people outside the places are not counted"
    home = np.flatnonzero(mesh.mask_countries(study.home) & (mesh.population > 0))
    tree = KDTree(_flatten(frame["lon"].to_numpy(float), frame["lat"].to_numpy(float)))
    _, nearest = tree.query(_flatten(mesh.lon[home], mesh.lat[home]))
    persons = np.bincount(nearest, weights=mesh.population[home].astype(np.float64), minlength=len(frame))
    return persons, "people of the population layer, each with the nearest place"


def _list_corridors(
    study: Study,
    terms: AccessTerms,
    frame: pd.DataFrame,
    node_of: dict[str, int],
    entries: dict[str, np.ndarray],
    faults: list[Fault],
) -> tuple[Corridor, ...]:
    own = read_own_table(study, "corridors", "corridor", faults)
    places = study.tables["places"]
    names = dict(zip(places["place"], places["name"], strict=True))
    if own is not None:
        return tuple(_read_corridors(own, names, node_of, entries, faults))
    home = places[places["country"].isin(study.home)]
    cities = frame[frame["population"] >= terms.hospital_city_persons]["place"]
    targets = _list_nodes(node_of[place] for place in cities)
    words = f"nearest city of {terms.hospital_city_persons:,.0f} persons"
    found = []
    for place in home[home["kind"] == "crossing"]["place"]:
        start = _list_nodes([node_of[place]])
        found.append(Corridor(f"trade_{place}", names[place], TRADE, place, words, start, targets))
    goals = [
        one for one in dict.fromkeys(study.tables["approaches"]["objective"]) if one in set(home["place"])
    ]
    hubs = {
        place: _list_nodes([node_of[place]])
        for place in home[home["kind"].isin(["airport", "port"])]["place"]
    }
    for start_key, start in {**hubs, **entries}.items():
        from_name = names.get(start_key, f"border with {start_key}")
        for goal in goals:
            key, name = f"{start_key}_{goal}", f"{from_name} to {names[goal]}"
            end = _list_nodes([node_of[goal]])
            found.append(Corridor(key, name, MOBILITY, start_key, names[goal], start, end))
    return tuple(found)


def _list_nodes(nodes: Iterable[int]) -> np.ndarray:
    return np.array(sorted({node for node in nodes if node >= 0}), np.int32)


def _read_corridors(
    own: pd.DataFrame,
    names: dict[str, str],
    node_of: dict[str, int],
    entries: dict[str, np.ndarray],
    faults: list[Fault],
) -> Sequence[Corridor]:
    found = []
    for row, line in own.iterrows():
        ends = {}
        for column, known in (("start", {**node_of, **entries}), ("target", node_of)):
            key = str(line[column])
            if key not in known:
                text, remedy = f"there is no place '{key}'", nearest_word(key, known)
                faults.append(Fault(text, "tables/corridors.csv", int(str(row)), column, remedy))
            else:
                ends[column] = entries[key] if key in entries else _list_nodes([node_of[key]])
        if len(ends) == 2:
            target = names[str(line["target"])]
            found.append(
                Corridor(
                    str(line["corridor"]), str(line["name"]), str(line["kind"]), str(line["start"]), target,
                    ends["start"], ends["target"],
                )
            )  # fmt: skip
    return found
