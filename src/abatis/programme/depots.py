"""Parks and depots: where stock lies so that every reserve belt is reached by road within its notice."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from abatis.barrier.options import EARTH_RADIUS_KM, find_cell
from abatis.ground.speeds import compute_edge_times
from abatis.ground.travel import compute_times
from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.mesh import Mesh
from abatis.model.study import Study
from abatis.programme.belts import PLACE as BELTS
from abatis.programme.belts import Belt
from abatis.programme.choice import Choice, assign_sites, improve_choice, open_greedily
from abatis.programme.placement import Placement, place_best

PLACE = "tables/depots.csv"
METRE_KM = 0.001
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Roads:
    """Roads that stock is hauled on: `time_h` float64[E], inf where closed; `has_road` bool[N] by cell.

    Ground of hostile countries is closed.
    """

    time_h: np.ndarray
    has_road: np.ndarray


@dataclass(frozen=True)
class Depots:
    """Places for parks and depots (D): keys, names, positions, and the cell of the road that serves each."""

    keys: tuple[str, ...]
    names: tuple[str, ...]
    lon: np.ndarray
    lat: np.ndarray
    existing: np.ndarray
    cost_eur: np.ndarray
    capacity_km: np.ndarray
    cells: np.ndarray
    tags: tuple[str, ...]

    @property
    def count(self) -> int:
        """Number of places."""
        return len(self.keys)


@dataclass(frozen=True)
class Reach:
    """Hours by road `hours` float64[D, S] from every place to every belt, inf where no road leads.

    `notice_h`, `length_km` float64[S]; `has_head` bool[S], false where no road comes near the belt.
    """

    hours: np.ndarray
    notice_h: np.ndarray
    length_km: np.ndarray
    has_head: np.ndarray

    @property
    def in_time(self) -> np.ndarray:
        """Whether a place reaches a belt within its notice, bool[D, S]."""
        return self.hours <= self.notice_h

    def list_late(self, chosen: np.ndarray) -> np.ndarray:
        """Belts that none of some places reaches in time, int64[]."""
        return np.flatnonzero(~self.in_time[chosen].any(axis=0))


@dataclass(frozen=True)
class DepotPlan:
    """Where stock lies: the places `chosen`, with the bound that proves them, and what they reach.

    `late_now`, `late`, `late_all` int64[] are the belts not reached in time from the places in use, from the
    chosen ones, and from all places together. `placement` holds the bound: fewest late belts, or least hours
    in all in the median variant; `fewest` is the proven least number of places that leave no more late (None
    when unknown). `serves` int64[S] is the nearest chosen place of each belt, -1 none; `stored_km`
    float64[D], belt-kilometres laid up within the capacities for belts in time.
    """

    variant: str
    count: int
    money_eur: float
    placement: Placement
    chosen: np.ndarray
    serves: np.ndarray
    late_now: np.ndarray
    late: np.ndarray
    late_all: np.ndarray
    fewest: int | None
    stored_km: np.ndarray


def open_roads(study: Study, mesh: Mesh, faults: list[Fault]) -> Roads:
    """Hours on roads for the vehicle that hauls stock.

    Parameters
    ----------
    study, mesh : programme.haul_vehicle and haul_season apply.
    faults : a vehicle that is missing, unknown or without speeds is added; all roads are closed then.
    """
    closed = Roads(np.full(mesh.edge_count, np.inf), np.zeros(mesh.cell_count, bool))
    known = study.tables["vehicles"]["vehicle"]
    column = "programme.haul_vehicle"
    if study.haul_vehicle is None:
        text = "is missing: it says which vehicle hauls the stock by road"
        faults.append(Fault(text, "study.toml", None, column, nearest_word("", known)))
        return closed
    if study.haul_vehicle not in set(known):
        remedy = nearest_word(study.haul_vehicle, known)
        faults.append(Fault(f"'{study.haul_vehicle}' is no vehicle", "study.toml", None, column, remedy))
        return closed
    try:
        times = compute_edge_times(study, mesh, study.haul_vehicle, study.haul_season)
    except InputError as error:
        faults += error.faults
        return closed
    hostile = mesh.mask_countries(study.hostile)
    road_h = np.where(hostile[mesh.edge_a] | hostile[mesh.edge_b], np.inf, times.road_h)
    has_road = np.zeros(mesh.cell_count, bool)
    used = np.isfinite(road_h)
    has_road[mesh.edge_a[used]] = True
    has_road[mesh.edge_b[used]] = True
    return Roads(road_h, has_road)


def find_road_heads(mesh: Mesh, roads: Roads, cells: np.ndarray, access_km: float) -> np.ndarray:
    """Cells with a road no farther than `access_km` from one of some cells, nearest first, int32[].

    Distances are straight lines between the centres of cells, 0 to the cells themselves.
    """
    road = np.flatnonzero(roads.has_road)
    if road.size == 0 or len(cells) == 0:
        return np.empty(0, np.int32)
    east = np.cos(np.radians(mesh.lat[cells]))[:, None]
    away = np.radians(np.hypot((mesh.lon[road] - mesh.lon[cells][:, None]) * east,
                               mesh.lat[road] - mesh.lat[cells][:, None]))  # fmt: skip
    away_km = EARTH_RADIUS_KM * away.min(axis=0)
    near = np.flatnonzero(away_km <= access_km)
    return np.asarray(road[near[np.argsort(away_km[near], kind="stable")]], np.int32)


def read_depots(study: Study, mesh: Mesh, roads: Roads, count: int | None, faults: list[Fault]) -> Depots:
    """Read the places of depots.csv and the limits of study.toml.

    Parameters
    ----------
    study, mesh, roads : the study, its mesh and roads.
    count : most places in all; those in use when None.
    faults : places off the mesh, on hostile ground or without a road, more depots than places, fewer than
        are in use.
    """
    table = study.tables["depots"]
    hostile = mesh.mask_countries(study.hostile)
    cells = np.full(len(table), -1, np.int32)
    for number, (row, place) in enumerate(table.iterrows()):
        cell = find_cell(mesh, float(place["lon"]), float(place["lat"]))
        name = f"depot '{place['depot']}'"
        if cell < 0:
            faults.append(
                Fault(f"{name} lies outside the mesh", PLACE, int(str(row)), "lon", "check lon and lat")
            )
        elif hostile[cell]:
            faults.append(
                Fault(f"{name} lies on hostile ground", PLACE, int(str(row)), "lon", "move it home")
            )
        elif roads.has_road.any():
            heads = find_road_heads(mesh, roads, np.array([cell]), study.access_km)
            if heads.size == 0:
                text = f"{name} has no road within {study.access_km:g} km"
                remedy = "move it to a road, or raise programme.access_km"
                faults.append(Fault(text, PLACE, int(str(row)), "lon", remedy))
            else:
                cells[number] = heads[0]
    existing = table["existing"].to_numpy(bool)
    wanted = int(existing.sum()) if count is None else count
    column = "programme.depots"
    if wanted > len(table):
        text = f"asks for {wanted} depots but tables/depots.csv has {len(table)} places"
        faults.append(Fault(text, "study.toml", None, column, "add places or lower it"))
    elif wanted < existing.sum():
        text = f"asks for {wanted} depots but {int(existing.sum())} are in use already"
        faults.append(Fault(text, "study.toml", None, column, "raise it, or mark fewer as existing"))
    return Depots(
        keys=tuple(table["depot"]),
        names=tuple(table["name"]),
        lon=table["lon"].to_numpy(float),
        lat=table["lat"].to_numpy(float),
        existing=existing,
        cost_eur=table["cost_eur"].to_numpy(float),
        capacity_km=table["capacity_km"].fillna(math.inf).to_numpy(float),
        cells=cells,
        tags=tuple(table["tag"]),
    )


def measure_reach(
    mesh: Mesh, roads: Roads, depots: Depots, belts: Sequence[Belt], access_km: float,
    progress: Progress | None = None,
) -> Reach:  # fmt: skip
    """Hours by road from every place to every belt.

    Formula: hours(d, s) = min over road heads c of s of T_d(c), T_d the least road hours from the road of d.
    In words: stock drives on roads alone to the nearest road head of the belt, a cell with a road within
    `access_km` of it; the last stretch counts nothing.
    """
    report = progress or (lambda _words, _share: None)
    heads = [find_road_heads(mesh, roads, belt.cells, access_km) for belt in belts]
    hours = np.full((depots.count, len(belts)), np.inf)
    cells, inverse = np.unique(depots.cells, return_inverse=True)
    reached = [number for number, cells_of in enumerate(heads) if cells_of.size]
    for number, cell in enumerate(cells):
        report("hours by road from every depot", number / len(cells))
        times = compute_times(mesh, roads.time_h, np.array([cell]))
        row = np.full(len(belts), np.inf)
        row[reached] = [times[heads[belt]].min() for belt in reached]
        hours[inverse == number] = row
    return Reach(
        hours,
        np.array([belt.notice_h for belt in belts], float),
        np.array([belt.length_km for belt in belts], float),
        np.array([cells_of.size > 0 for cells_of in heads], bool),
    )


def make_choice(depots: Depots, reach: Reach, variant: str, count: int, money_eur: float) -> Choice:
    """State the choice of places: covering counts late belts, median adds up hours.

    In words: in the median a belt that no chosen place reaches by road counts one hour more than the longest
    way there is; a belt that no place at all reaches changes nothing and is left out.
    """
    if variant == "covering":
        cost, cap = np.where(reach.in_time, 0.0, 1.0), np.ones(reach.hours.shape[1])
    else:
        finite = reach.hours[np.isfinite(reach.hours)]
        longest = float(finite.max(initial=0.0)) + 1.0
        cost, cap = np.minimum(reach.hours, longest), np.full(reach.hours.shape[1], longest)
    weight = np.isfinite(reach.hours).any(axis=0).astype(float)
    if variant == "covering":
        weight = np.ones(len(weight))
    return Choice(cost, cap, weight, depots.existing, depots.cost_eur, count, money_eur)


def site_depots(
    depots: Depots,
    reach: Reach,
    count: int,
    money_eur: float = math.inf,
    variant: str = "covering",
    time_limit_s: float = 60.0,
) -> DepotPlan:
    """Choose the places for at most `count` parks and depots in all, those in use included.

    Parameters
    ----------
    depots, reach : places and hours.
    count : most places; at least as many as are in use.
    money_eur : most money for new ones at base-year prices.
    variant : covering (fewest late belts) or median (least hours in all).
    time_limit_s : for the proof.

    In words: see `place_best` for choice and bound; capacity plays no part in it. In the covering, places
    that are left over then make room for more belt-kilometres and shorten the ways, without making a belt
    late; that second step is good, not proven. At the end belts are laid up in the chosen places within their
    capacities, as many kilometres as can be (a linear programme).
    """
    choice = make_choice(depots, reach, variant, count, money_eur)
    placement = place_best(choice, time_limit_s)
    chosen = placement.chosen
    fewest = None
    if variant == "covering":
        if placement.status == "optimal":
            fewest = find_fewest(choice, placement, time_limit_s)
        chosen = make_room(choice, depots, reach, chosen)
        shorter = shorten_ways(choice, reach, chosen)
        if store_belts(depots, reach, shorter).sum() >= store_belts(depots, reach, chosen).sum() - METRE_KM:
            chosen = shorter
    everything = np.arange(depots.count)
    by_hours = replace(choice, cost=reach.hours, cap=np.full(reach.hours.shape[1], np.inf))
    return DepotPlan(
        variant=variant,
        count=count,
        money_eur=money_eur,
        placement=placement,
        chosen=chosen,
        serves=assign_sites(by_hours, chosen),
        late_now=reach.list_late(np.flatnonzero(depots.existing)),
        late=reach.list_late(chosen),
        late_all=reach.list_late(everything),
        fewest=fewest,
        stored_km=store_belts(depots, reach, chosen).sum(axis=1).round(3),
    )


def find_fewest(choice: Choice, best: Placement, time_limit_s: float) -> int | None:
    """Fewest places that leave no more cost than the best choice; None when time was too short to prove it.

    In words: bisection over the number of places; each step is solved to the end.
    """
    low, high = int(choice.must.sum()), len(best.chosen)
    left_s = time_limit_s - best.seconds
    while low < high:
        middle = (low + high) // 2
        found = place_best(replace(choice, count=middle), max(0.0, left_s))
        left_s -= found.seconds
        if found.value <= best.value + 1e-9:
            high = middle
        elif found.status == "optimal" or found.bound > best.value + 1e-9:
            low = middle + 1
        else:
            return None
    return high


def shorten_ways(choice: Choice, reach: Reach, chosen: np.ndarray) -> np.ndarray:
    """Use the places left over, and exchange some, so that ways grow shorter and no more belts are late.

    Formula: cost 1 + h of a late belt, h of another, with h = hours / (2 S (hours + 1)) < 1 / (2 S).
    In words: all hours together weigh less than one belt.
    """
    belts = max(1, reach.hours.shape[1])
    small = 0.5 / belts
    with np.errstate(invalid="ignore"):
        share = np.where(np.isfinite(reach.hours), small * reach.hours / (reach.hours + 1.0), small)
    fine = replace(choice, cost=choice.cost + share, cap=choice.cap + small)
    kept = np.zeros(len(choice.must), bool)
    kept[chosen] = True
    left = choice.money - choice.priced[chosen].sum()
    more = open_greedily(replace(fine, must=choice.must | kept, money=left))
    return improve_choice(fine, more)


def make_room(choice: Choice, depots: Depots, reach: Reach, chosen: np.ndarray) -> np.ndarray:
    """Add places, as count and money allow, while they hold belt-kilometres that found no room, int64[].

    In words: each time the place that could take most of what found no room, the nearer one of equals.
    """
    left = choice.money - choice.priced[chosen].sum()
    while len(chosen) < choice.count:
        missing = reach.length_km - store_belts(depots, reach, chosen).sum(axis=0)
        gain = np.minimum(
            depots.capacity_km, np.where(reach.in_time, np.maximum(0.0, missing), 0.0).sum(axis=1)
        )
        gain[chosen] = 0.0
        gain[choice.priced > left] = 0.0
        if gain.max(initial=0.0) <= METRE_KM:
            break
        way = np.where(reach.in_time, reach.hours, 0.0).sum(axis=1)
        best = int(np.lexsort((way, -np.round(gain, 3)))[0])
        chosen = np.sort(np.append(chosen, best))
        left -= choice.priced[best]
    return chosen


def store_belts(depots: Depots, reach: Reach, chosen: np.ndarray) -> np.ndarray:
    """Kilometres laid up in each place for each belt it reaches in time, float64[D, S], as many as can be.

    Formula: max sum f_ds, sum_d f_ds <= length_s, sum_s f_ds <= capacity_d, f_ds >= 0 where d is chosen and
    reaches s in time. In words: a belt's stock may lie in several places; near ones are preferred.
    """
    from scipy.optimize import linprog
    from scipy.sparse import coo_matrix

    stored = np.zeros(reach.hours.shape)
    place, belt = np.nonzero(reach.in_time[chosen])
    if place.size == 0:
        return stored
    columns = np.arange(place.size)
    ones = np.ones(place.size)
    rows = np.concatenate([belt, len(reach.length_km) + place])
    shape = (len(reach.length_km) + len(chosen), place.size)
    table = coo_matrix((np.tile(ones, 2), (rows, np.tile(columns, 2))), shape)
    room = np.minimum(depots.capacity_km[chosen], reach.length_km.sum())
    # Hours count far less than kilometres: they only choose among equals.
    way = reach.hours[chosen][place, belt] / (1.0 + float(reach.notice_h.max()))
    found = linprog(1e-3 * way - 1.0, A_ub=table.tocsr(), b_ub=np.concatenate([reach.length_km, room]))
    stored[chosen[place], belt] = np.maximum(0.0, found.x)
    return stored


def check_heads(study: Study, belts: Sequence[Belt], reach: Reach) -> tuple[str, ...]:
    """Say in words which belts no road comes near; they are late whatever is chosen."""
    return tuple(
        f"{belt.name} has no road within {study.access_km:g} km"
        + (f" ({BELTS}, row {belt.row})" if belt.row else "")
        for belt, has in zip(belts, reach.has_head, strict=True)
        if not has
    )
