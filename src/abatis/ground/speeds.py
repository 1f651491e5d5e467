"""Speeds and edge times: tables of speeds and crossings turned into hours per edge."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from abatis.ground.bearing import WETLAND, Level, find_ground_factor
from abatis.ground.exact_times import LIMIT_H, snap_times
from abatis.ground.travel import EdgeTimes
from abatis.model.errors import Fault, InputError
from abatis.model.mesh import Mesh
from abatis.model.study import Study
from abatis.model.words import (
    COVER_WORDS,
    ROAD_WORDS,
    SLOPE_WORDS,
    SOIL_WORDS,
    STRUCTURE_WORDS,
    SURFACE_WORDS,
)

HEXAGON_DETOUR = 6 / np.pi * (0.5 + (1 - np.cos(np.pi / 6)) / np.sqrt(3))


def find_speed(
    study: Study, vehicle: str, season: str, factor: str, word: str, level: Level = "mode"
) -> float:
    """Return one value of tables/speeds.csv: km/h for base and road, a factor for cover, slope and soil.

    Parameters
    ----------
    study : the study.
    vehicle, season, factor, word : the key; rows with 'any' serve where no row is more exact.
    level : low, mode or high.

    In words: the row that names vehicle and season wins, then the one that names the vehicle, then the
    season, then none of them.

    Raises
    ------
    InputError : no row serves.
    """
    value = _seek_speed(study, vehicle, season, factor, word, level)
    if value is not None:
        return value
    raise InputError(
        [
            Fault(
                f"has no {factor} value for {vehicle} in {season}: {word}",
                "tables/speeds.csv",
                remedy="add a row; vehicle and season may be 'any'",
            )
        ]
    )


def _seek_speed(
    study: Study, vehicle: str, season: str, factor: str, word: str, level: Level
) -> float | None:
    rows = study.tables["speeds"]
    rows = rows[(rows["factor"] == factor) & (rows["word"] == word)]
    for one, other in ((vehicle, season), (vehicle, "any"), ("any", season), ("any", "any")):
        exact = rows[(rows["vehicle"] == one) & (rows["season"] == other)]
        if not exact.empty:
            return float(exact.iloc[0][level])
    return None


def find_speeds(
    study: Study, vehicle: str, season: str, factor: str, words: Sequence[str], level: Level = "mode"
) -> np.ndarray:
    """Return the values of one factor for a list of words, f8[len(words)]."""
    return np.array([find_speed(study, vehicle, season, factor, word, level) for word in words])


def find_road_speeds(
    study: Study,
    vehicle: str,
    season: str,
    road_class: np.ndarray,
    surface: np.ndarray,
    structure: np.ndarray,
    max_weight_t: np.ndarray,
    level: Level = "mode",
) -> np.ndarray:
    """Speed on roads in km/h, f8[K], 0 where the road is closed to the vehicle.

    Parameters
    ----------
    study : the study.
    vehicle, season, level : as for `find_speed`.
    road_class : index into ROAD_WORDS [K].
    surface : index into SURFACE_WORDS [K], -1 unknown.
    structure : index into STRUCTURE_WORDS [K], -1 none.
    max_weight_t : weight limit in tonnes [K], inf for none.

    Formula: v = road(class) x surface(own) / surface(usual for the class) x structure.
    In words: the speed of a class already supposes its usual surface (tracks soft, all others paved), so only
    the difference counts; no factor without a row, but ferries are closed without one. A road with a limit
    below the vehicle's weight_t is closed to it; a vehicle without weight_t passes.

    Raises
    ------
    InputError : a road speed is missing in the table.
    """

    def find_factor(factor: str, word: str, otherwise: float) -> float:
        found = _seek_speed(study, vehicle, season, factor, word, level)
        return otherwise if found is None else found

    own = np.array([find_factor("surface", word, 1.0) for word in SURFACE_WORDS])
    usual = own[[SURFACE_WORDS.index("soft" if word == "track" else "paved") for word in ROAD_WORDS]]
    ratio = np.divide(own, usual[:, None], out=np.zeros((len(usual), len(own))), where=usual[:, None] > 0)
    ratio = np.column_stack([ratio, np.ones(len(usual))])
    passing = [find_factor("structure", word, float(word != "ferry")) for word in STRUCTURE_WORDS]
    speed = find_speeds(study, vehicle, season, "road", ROAD_WORDS, level)[road_class]
    speed = speed * ratio[road_class, surface] * np.array([*passing, 1.0])[structure]
    vehicles = study.tables["vehicles"]
    weight_t = vehicles.loc[vehicles["vehicle"] == vehicle, "weight_t"]
    if len(weight_t) and weight_t.iloc[0] > 0:
        speed = np.where(weight_t.iloc[0] > max_weight_t, 0.0, speed)
    return np.asarray(speed)


def find_crossing_h(study: Study, vehicle: str, season: str, width_m: np.ndarray) -> np.ndarray:
    """Return the hours to cross rivers away from bridges, inf where it cannot be done.

    Parameters
    ----------
    study : the study; without rows in tables/crossings.csv rivers cost nothing.
    vehicle, season : as in the table; the most exact rows serve.
    width_m : river widths [E], 0 where there is none.

    Formula: the most exact row with from_m <= width < to_m; narrower than every row: 0; in no row: inf.
    """
    table = study.tables["crossings"]
    if table.empty:
        return np.zeros(len(width_m))
    hours = np.where(width_m < table["from_m"].min(), 0.0, np.inf)
    for one, other in (("any", "any"), ("any", season), (vehicle, "any"), (vehicle, season)):
        rows = table[(table["vehicle"] == one) & (table["season"] == other)]
        for low, high, value in zip(rows["from_m"], rows["to_m"], rows["crossing_h"], strict=True):
            hours[(width_m >= low) & (width_m < high)] = np.inf if np.isnan(value) else value
    hours[width_m <= 0] = 0.0
    return hours


def list_uses(study: Study) -> list[tuple[str, str]]:
    """Return the different pairs of vehicle and season of the study's approaches, sorted."""
    table = study.tables["approaches"]
    return sorted(set(zip(table["vehicle"], table["season"], strict=True)))


def find_passable(study: Study) -> np.ndarray:
    """Return bool[9, 5]: cover word x slope class on which some vehicle of the approaches can move at all."""
    passable = np.zeros((len(COVER_WORDS), len(SLOPE_WORDS)), dtype=bool)
    for vehicle, season in list_uses(study):
        cover = find_cover_factors(study, vehicle, season) > 0
        slope = find_speeds(study, vehicle, season, "slope", SLOPE_WORDS) > 0
        passable |= cover[:, None] & slope[None, :]
    return passable


def find_closed_rivers(study: Study, width_m: np.ndarray) -> np.ndarray:
    """Return bool[E]: rivers that no vehicle of the approaches can cross in its season."""
    closed = width_m > 0
    for vehicle, season in list_uses(study):
        closed &= np.isinf(find_crossing_h(study, vehicle, season, width_m))
    return closed


def average_factor(shares: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Return the mean factor of each cell, f8[N], from shares [N, K]: (sum s f^(1/2))^2.

    Parameters
    ----------
    shares : shares of the parts.
    factors : one factor for each part [K], or for each cell and part [N, K].
    """
    if factors.ndim == 2:
        return np.asarray(np.sum(shares.astype(np.float64) * np.sqrt(factors), axis=1) ** 2)
    return np.asarray((shares.astype(np.float64) @ np.sqrt(factors)) ** 2)


def find_cover_factors(study: Study, vehicle: str, season: str, level: Level = "mode") -> np.ndarray:
    """Return the factor of each cover word, f8[9]; a bearing of wetland in tables/soils.csv goes first."""
    factors = find_speeds(study, vehicle, season, "cover", COVER_WORDS, level)
    wet = find_ground_factor(study, vehicle, season, "wetland", np.array([np.nan]), level)
    if wet is not None:
        factors[WETLAND] = wet[0]
    return factors


def find_soil_factors(
    study: Study, mesh: Mesh, vehicle: str, season: str, level: Level = "mode"
) -> np.ndarray:
    """Return the factor of each soil word, f8[4] when it is the same everywhere, else f8[N, 4]; 0 is no-go.

    Parameters
    ----------
    study, mesh : the study and its mesh (clay content).
    vehicle, season, level : as for `find_speed`.

    In words: bearing or soil strength of tables/soils.csv goes first, the soil rows of tables/speeds.csv
    stand where it says nothing.
    """
    factors = find_speeds(study, vehicle, season, "soil", SOIL_WORDS, level)
    own = [find_ground_factor(study, vehicle, season, word, mesh.clay_percent, level) for word in SOIL_WORDS]
    if all(one is None for one in own):
        return factors
    return np.column_stack(
        [
            np.full(mesh.cell_count, usual) if one is None else one
            for usual, one in zip(factors, own, strict=True)
        ]
    )


def compute_cell_speeds(
    study: Study, mesh: Mesh, vehicle: str, season: str, level: Level = "mode"
) -> np.ndarray:
    """Cross-country speed of each cell in km/h, f8[N].

    Parameters
    ----------
    study, mesh : the study and its mesh.
    vehicle, season : whose speed.
    level : low, mode or high values of the table.

    Formula: v = base x m(cover) x m(slope) x m(soil), m = (sum of share x factor^(1/2))^2; soil and wetland
    factors by bearing where tables/soils.csv gives it (see `find_soil_factors`).
    In words: a driver picks the better ground but cannot always stay on it, so the mean lies between the
    arithmetic one (all ground free to choose) and the harmonic one (all ground crossed in turn). Against
    raster least-cost paths of Tartu County (30 m, 32 directions) the exponents 1, 1/2, 1/4, -1/2 and -1 gave
    a 95th percentile of the difference of 15.1, 14.1, 16.1, 30.3, 44.5 % at resolution 8 and of 11.0, 9.7,
    9.7, 14.1, 21.3 % at 9.

    Examples
    --------
    Half forest (factor 0.25), half field (factor 1): (0.5 x 0.5 + 0.5 x 1)^2 = 0.5625.

    >>> round(float(average_factor(np.array([[0.5, 0.5]]), np.array([0.25, 1.0]))[0]), 4)
    0.5625
    """
    speed = np.full(mesh.cell_count, find_speed(study, vehicle, season, "base", "open", level))
    speed *= average_factor(mesh.cover, find_cover_factors(study, vehicle, season, level))
    slope = find_speeds(study, vehicle, season, "slope", SLOPE_WORDS, level)
    speed *= average_factor(mesh.slope, slope)
    speed *= average_factor(mesh.soil, find_soil_factors(study, mesh, vehicle, season, level))
    return speed


def compute_edge_times(
    study: Study, mesh: Mesh, vehicle: str, season: str, level: Level = "mode"
) -> EdgeTimes:
    """Hours to cross each edge, cross-country and by road.

    Parameters
    ----------
    study, mesh : the study and its mesh.
    vehicle : key of tables/vehicles.csv.
    season : dry, mud, frozen or thaw.
    level : low, mode or high values of tables/speeds.csv.

    Returns
    -------
    EdgeTimes with `open_h` and `road_h`, f8[E], inf where the mode is closed.

    Formula: open_h = distance / 2 (1/v_a + 1/v_b) / 1.103 + crossing_h; road_h = road length / road speed
    (see `find_road_speeds`).
    In words: half of the way is driven at the speed of each cell. 1.103 is the mean detour of hexagon steps
    over all directions, so that times are right on average. On a uniform plane they are -9.3 % to +4.7 %
    off by direction for regular hexagons; H3's are a little skewed (neighbours 53 to 66 degrees apart in
    Lithuania), which makes this -9.3 % to +7.7 % at resolution 8 and to +8.5 % at 7 and 9 (mean +0.2 %).
    A scale of its own for each of the three directions, of least spread and mean 1, would make this -10.4 %
    to +5.7 % at resolution 8 at 55 N 24 E: hardly narrower, so there is one for all. `open` is closed where
    the gap is 0, a cell's speed is 0 or the river too wide. Hours are rounded to 2^-36 h, so that their sums
    do not depend on the order of adding (`exact_times`).

    Raises
    ------
    InputError : a speed is missing in the table.
    """
    speed = compute_cell_speeds(study, mesh, vehicle, season, level)
    with np.errstate(divide="ignore"):
        slowness = 1.0 / speed
    distance_km = mesh.distance_m.astype(np.float64) / 1000
    open_h = distance_km / 2 * (slowness[mesh.edge_a] + slowness[mesh.edge_b]) / HEXAGON_DETOUR
    open_h += find_crossing_h(study, vehicle, season, mesh.river_m.astype(np.float64))
    open_h[mesh.gap_m <= 0] = np.inf
    road_h = np.full(mesh.edge_count, np.inf)
    road = mesh.road_class >= 0
    road_kmh = find_road_speeds(
        study,
        vehicle,
        season,
        mesh.road_class[road],
        mesh.surface[road],
        mesh.structure[road],
        mesh.max_weight_t[road],
        level,
    )
    with np.errstate(divide="ignore"):
        road_h[road] = mesh.road_m[road].astype(np.float64) / 1000 / road_kmh
    return EdgeTimes(_round_times(open_h), _round_times(road_h))


def _round_times(time_h: np.ndarray) -> np.ndarray:
    """Round to exact hours; an edge that takes more than `LIMIT_H`, some 15 years, is closed."""
    return snap_times(np.where(time_h > LIMIT_H, np.inf, time_h))
