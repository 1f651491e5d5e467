"""Options: the ways to close a site, with quantities, cost, delay and what they take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from abatis.model.errors import Fault, InputError
from abatis.model.mesh import Mesh
from abatis.model.study import Study
from abatis.model.words import COVER_WORDS, FACILITY_WORDS

if TYPE_CHECKING:
    import pandas as pd

    from abatis.barrier.sites import Site

BARRED_PLACES = ("dam", "power_station")
POINT_UNITS = ("piece", "site", "bridge")
EARTH_RADIUS_KM = 6371.0088


@dataclass(frozen=True)
class Measure:
    """One row of `tables/measures.csv`; figures are per unit, EUR of the base year, hours, months, m2."""

    key: str
    unit_cost_low_eur: float
    unit_cost_eur: float
    unit_cost_high_eur: float
    delay_h: float
    lead_months: float
    land_take_m2: float
    removal_cost_eur: float


@dataclass(frozen=True)
class Way:
    """One row of `tables/options.csv`: the measures for open ground, roads and bridges (None = untouched)."""

    key: str
    name: str
    open: Measure | None
    road: Measure | None
    bridge: Measure | None
    sites: str
    cover: tuple[str, ...]


@dataclass(frozen=True)
class Work:
    """What a set of edges asks for: `open_km` float64, `road` and `bridge` bool, one value per edge."""

    open_km: np.ndarray
    road: np.ndarray
    bridge: np.ndarray


@dataclass(frozen=True)
class SiteOption:
    """One way to close one site; costs in EUR of the base year, `quantities` as (measure, units).

    Measures held in stock (stocks.csv) stand in `quantities` but cost nothing here: a locked line buys them.
    """

    site: str
    option: str
    name: str
    cost_eur: float
    cost_low_eur: float
    cost_high_eur: float
    land_take_m2: float
    lead_months: float
    removal_cost_eur: float
    quantities: tuple[tuple[str, float], ...]
    delay_open_h: float
    delay_road_h: float
    delay_bridge_h: float


def read_ways(study: Study) -> tuple[Way, ...]:
    """Read the ways to close ground from the tables options and measures.

    Raises
    ------
    InputError : an open measure not counted in km, or a road or bridge measure not counted in pieces.
    """
    measures = {row["measure"]: row for _, row in study.tables["measures"].iterrows()}
    faults = []
    ways = []
    for number, row in study.tables["options"].iterrows():
        for column, units in (
            ("open_measure", ("km",)),
            ("road_measure", POINT_UNITS),
            ("bridge_measure", POINT_UNITS),
        ):
            if row[column] and measures[row[column]]["unit"] not in units:
                faults.append(
                    Fault(
                        f"measure '{row[column]}' is counted in {measures[row[column]]['unit']}",
                        "tables/options.csv",
                        int(str(number)),
                        column,
                        f"choose a measure counted in {' or '.join(units)}",
                    )
                )
        laid, road, bridge = (
            _read_measure(measures[row[column]]) if row[column] else None
            for column in ("open_measure", "road_measure", "bridge_measure")
        )
        ways.append(Way(row["option"], row["name"], laid, road, bridge, row["sites"], tuple(row["cover"])))
    if faults:
        raise InputError(faults)
    return tuple(ways)


def _read_measure(row: pd.Series) -> Measure:
    figures = ("unit_cost_low_eur", "unit_cost_eur", "unit_cost_high_eur", "delay_h", "lead_months")
    return Measure(
        str(row["measure"]),
        *(float(row[figure]) for figure in (*figures, "land_take_m2", "removal_cost_eur")),
    )


def measure_work(mesh: Mesh, edges: np.ndarray, way: Way) -> Work:
    """Measure what has to be closed on some edges; a bridge without a bridge measure counts as a road."""
    road = mesh.road_class[edges] >= 0
    bridge = road & (mesh.bridge_m[edges] > 0) & (way.bridge is not None)
    return Work(mesh.gap_m[edges].astype(np.float64) / 1000.0, road & ~bridge, bridge)


def cost_edges(study: Study, mesh: Mesh) -> np.ndarray:
    """Compute the least EUR to close each edge as part of a line, float64[E]; inf when no option can."""
    edges = np.arange(mesh.edge_count)
    best = np.where((mesh.gap_m == 0) & (mesh.road_class < 0), 0.0, np.inf)
    for way in read_ways(study):
        if way.sites == "crossing":
            continue
        work = measure_work(mesh, edges, way)
        cost = np.zeros(mesh.edge_count)
        for amount, measure in ((work.open_km, way.open), (work.road, way.road), (work.bridge, way.bridge)):
            unit = np.inf if measure is None else measure.unit_cost_eur
            cost += np.multiply(amount, unit, out=np.zeros(mesh.edge_count), where=amount > 0)
        if way.cover:
            cost[_share_cover(mesh, edges, way.cover) < 0.5] = np.inf
        best = np.minimum(best, cost)
    return best


def _share_cover(mesh: Mesh, edges: np.ndarray, words: Sequence[str]) -> np.ndarray:
    """Return the mean share of some cover words in the two cells of each edge."""
    columns = [COVER_WORDS.index(word) for word in words]
    share = mesh.cover[:, columns].sum(axis=1, dtype=np.float64)
    return np.asarray((share[mesh.edge_a[edges]] + share[mesh.edge_b[edges]]) / 2.0)


def find_protected_works(study: Study, mesh: Mesh) -> np.ndarray:
    """Return bool[N]: cells that hold a dam or a power station (Additional Protocol I, art. 56).

    In words: dams and power stations of tables/places.csv, dams and nuclear power stations of the facilities
    beside the mesh. Dykes are listed there too but bar nothing: they follow whole rivers.
    """
    places = study.tables["places"]
    works = places[places["kind"].isin(BARRED_PLACES)]
    found = np.zeros(mesh.cell_count, bool)
    for lon, lat in zip(works["lon"], works["lat"], strict=True):
        cell = find_cell(mesh, float(lon), float(lat))
        if cell >= 0:
            found[cell] = True
    kinds = [FACILITY_WORDS.index(word) for word in ("dam", "nuclear_station")]
    found[mesh.facilities.cell[np.isin(mesh.facilities.kind, kinds)]] = True
    return found


def find_cell(mesh: Mesh, lon: float, lat: float) -> int:
    """Return the row of the cell that holds a point, or -1 outside the mesh."""
    import h3.api.basic_int as h3

    wanted = np.uint64(h3.latlng_to_cell(lat, lon, h3.get_resolution(int(mesh.cells[0]))))
    row = int(np.searchsorted(mesh.cells, wanted))
    return row if row < mesh.cell_count and mesh.cells[row] == wanted else -1


def list_options(study: Study, mesh: Mesh, sites: Sequence[Site]) -> tuple[SiteOption, ...]:
    """List every option of the study that fits each site, in the order of sites and of `tables/options.csv`.

    Parameters
    ----------
    study : its tables options and measures.
    mesh : the mesh the sites lie on.
    sites : from `find_sites`.

    Formula: cost = sum over measures of quantity x unit cost; quantity = open length [km, to the metre] or
    number of road or bridge crossings; lead time = the longest of its measures.
    In words: an option fits when it may close this kind of site, when the cover it needs is found along half
    of the open length, and when it changes anything there. Ground or roads without a measure stay as they
    are.

    Raises
    ------
    InputError : see `read_ways`.

    Examples
    --------
    1.25 km of open ground at 200,000 EUR/km and two roads at 30,000 EUR each: 310,000 EUR.
    """
    ways = read_ways(study)
    stocked = list_stocked(study)
    options = []
    for site in sites:
        for way in ways:
            if way.sites not in ("any", site.kind) or not _fits_cover(mesh, site.edges, way):
                continue
            option = _price_option(mesh, site, way, stocked)
            if option is not None:
                options.append(option)
    return tuple(options)


def list_stocked(study: Study) -> frozenset[str]:
    """Measures that a locked line buys as stock (stocks.csv): the planned lines do not pay them."""
    budget = study.tables["budget"]
    planned = set(budget["line"][budget["planned"].astype(bool)])
    stocks = study.tables["stocks"]
    return frozenset(stocks["measure"][~stocks["line"].isin(planned)])


def _fits_cover(mesh: Mesh, edges: np.ndarray, way: Way) -> bool:
    if not way.cover:
        return True
    weight = mesh.gap_m[edges].astype(np.float64)
    if not weight.sum() > 0:
        weight = mesh.length_m[edges].astype(np.float64)
    share = _share_cover(mesh, edges, way.cover)
    return bool((weight * share).sum() >= 0.5 * weight.sum())


def _price_option(mesh: Mesh, site: Site, way: Way, stocked: frozenset[str]) -> SiteOption | None:
    work = measure_work(mesh, site.edges, way)
    amounts = (
        (way.open, round(float(work.open_km.sum()), 3)),
        (way.road, float(work.road.sum())),
        (way.bridge, float(work.bridge.sum())),
    )
    used = [(measure, units) for measure, units in amounts if measure is not None and units > 0]
    if not used:
        return None
    paid = [(measure, units) for measure, units in used if measure.key not in stocked]
    quantities: dict[str, float] = {}
    for measure, units in used:
        quantities[measure.key] = round(quantities.get(measure.key, 0.0) + units, 3)
    delays = [0.0 if m is None or not units > 0 else m.delay_h for m, units in amounts]
    if not any(delays):
        return None
    if way.bridge is None and bool((mesh.bridge_m[site.edges] > 0).any()):
        delays[2] = delays[1]
    return SiteOption(
        site=site.key,
        option=way.key,
        name=way.name,
        cost_eur=float(round(sum(m.unit_cost_eur * units for m, units in paid))),
        cost_low_eur=float(round(sum(m.unit_cost_low_eur * units for m, units in paid))),
        cost_high_eur=float(round(sum(m.unit_cost_high_eur * units for m, units in paid))),
        land_take_m2=float(sum(m.land_take_m2 * units for m, units in used)),
        lead_months=max(m.lead_months for m, _ in used),
        removal_cost_eur=float(round(sum(m.removal_cost_eur * units for m, units in used))),
        quantities=tuple(quantities.items()),
        delay_open_h=delays[0],
        delay_road_h=delays[1],
        delay_bridge_h=delays[2],
    )
