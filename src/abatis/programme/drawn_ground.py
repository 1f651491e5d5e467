"""Arrival times on drawn ground: every draw has speeds of its own and is searched afresh on the mesh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from abatis.ground import _search as search
from abatis.ground.bearing import WETLAND, compute_slowdown, compute_soil_strength, find_need, find_soil_row
from abatis.ground.exact_times import snap_times
from abatis.ground.speeds import find_crossing_h
from abatis.model.errors import Fault, InputError
from abatis.model.mesh import Mesh
from abatis.model.plan import Problem
from abatis.model.study import Study
from abatis.model.words import (
    COVER_WORDS,
    ROAD_WORDS,
    SEASONS,
    SLOPE_WORDS,
    SOIL_WORDS,
    STRUCTURE_WORDS,
    SURFACE_WORDS,
)
from abatis.programme import _kernels as kernel
from abatis.programme.drawn_works import Works


@dataclass(frozen=True)
class SoilRule:
    """How one ground of one vehicle and season follows from its drawn bearing or moisture."""

    word: int
    column: int
    need: float
    full_ratio: float
    bears: bool
    clay_percent: np.ndarray


@dataclass(frozen=True)
class Use:
    """One vehicle in one season: the columns of the drawn values that make its speeds, and what is fixed.

    `cover`, `slope`, `soil`, `road` columns per word; `surface`, `structure` columns (-1 no row); `heavy`
    bool per road edge closed to its weight.
    """

    base: int
    cover: np.ndarray
    slope: np.ndarray
    soil: np.ndarray
    road: np.ndarray
    surface: np.ndarray
    structure: np.ndarray
    soils: tuple[SoilRule, ...]
    crossing_h: np.ndarray
    heavy: np.ndarray


@dataclass(frozen=True)
class Job:
    """One search: seeds, and the approaches it answers; mark m of a cell stands for `approaches[m]`."""

    seeds: np.ndarray
    mark: np.ndarray
    approaches: tuple[int, ...]


@dataclass(frozen=True)
class GroundTimes:
    """Arrival times where speeds are drawn; approaches of one front (or objective) and use share a search.

    In words: drawn speeds change every edge, so nothing can be compressed; a bucket search from the side
    that meets fewer cells ends as soon as all approaches it answers are settled.
    """

    years: int
    approaches: int
    vehicles: tuple[str, ...]
    own_season: tuple[int, ...]
    uses: dict[tuple[str, int], Use]
    jobs: dict[tuple[str, int], tuple[Job, ...]]
    cover: np.ndarray
    slope: np.ndarray
    soil: np.ndarray
    neighbor: np.ndarray
    edge_a: np.ndarray
    edge_b: np.ndarray
    position: np.ndarray
    distance_km: np.ndarray
    road_edge: np.ndarray
    road_km: np.ndarray
    road_kind: np.ndarray
    touched: np.ndarray
    touched_road: np.ndarray
    slot_touched: np.ndarray
    entry_start: np.ndarray
    entry_open: np.ndarray
    entry_road: np.ndarray
    pair_growth: np.ndarray

    def measure(
        self,
        values: np.ndarray,
        seasons: np.ndarray | None,
        pair_delay_h: np.ndarray,
        pair_year: np.ndarray,
    ) -> np.ndarray:
        """Return hours float64[plans, D, Y, K]; see `arrivals.Arrivals`."""
        hours = np.full((pair_year.shape[0], len(values), self.years, self.approaches), np.inf)
        scratch = _Scratch(len(self.neighbor))
        for draw in range(len(values)):
            for vehicle, season in self._list_uses(None if seasons is None else int(seasons[draw])):
                self._measure_use(
                    (vehicle, season),
                    values[draw],
                    pair_delay_h[:, draw],
                    pair_year[:, draw],
                    scratch,
                    hours[:, draw],
                )
        return hours

    def _list_uses(self, season: int | None) -> list[tuple[str, int]]:
        return sorted(
            {
                (vehicle, own if season is None else season)
                for vehicle, own in zip(self.vehicles, self.own_season, strict=True)
            }
        )

    def compute_ground(self, use: Use, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return hours per km of each cell [N] and hours over each road edge [R] of one draw."""
        roots = [np.sqrt(values[columns]) for columns in (use.cover, use.slope, use.soil)]
        soil_root = roots[2][None, :]
        for rule in use.soils:
            factor = np.sqrt(_bear(rule, values[rule.column]))
            if rule.word < 0:
                roots[0][WETLAND] = factor[0]
            else:
                if len(factor) > len(soil_root):
                    soil_root = np.repeat(soil_root, len(factor), axis=0)
                soil_root = soil_root.copy()
                soil_root[:, rule.word] = factor
        slowness = np.empty(len(self.neighbor))
        kernel.compute_slowness(
            self.cover, self.slope, self.soil, roots[0], roots[1], np.ascontiguousarray(soil_root),
            float(values[use.base]), slowness,
        )  # fmt: skip
        return slowness, self._compute_roads(use, values)

    def _compute_roads(self, use: Use, values: np.ndarray) -> np.ndarray:
        """Hours over the road edges, by the rules of `ground.speeds.find_road_speeds`."""
        padded = np.append(values, 1.0)
        own = padded[use.surface]
        usual = own[[SURFACE_WORDS.index("soft" if word == "track" else "paved") for word in ROAD_WORDS]]
        ratio = np.divide(own, usual[:, None], out=np.zeros((len(usual), len(own))), where=usual[:, None] > 0)
        ratio = np.column_stack([ratio, np.ones(len(usual))])
        ferry_closed = (use.structure < 0) & (np.array(STRUCTURE_WORDS) == "ferry")
        passing = np.append(np.where(ferry_closed, 0.0, padded[use.structure]), 1.0)
        road_class, surface, structure = self.road_kind.T
        speed = values[use.road][road_class] * ratio[road_class, surface] * passing[structure]
        speed[use.heavy] = 0.0
        with np.errstate(divide="ignore"):
            return snap_times(self.road_km / speed)

    def _measure_use(
        self,
        key: tuple[str, int],
        values: np.ndarray,
        pair_delay_h: np.ndarray,
        pair_year: np.ndarray,
        scratch: _Scratch,
        hours: np.ndarray,
    ) -> None:
        """Fill `hours` [plans, Y, K] for the approaches of one use in one draw."""
        use = self.uses[key]
        slowness, road_h = self.compute_ground(use, values)
        ground = (self.edge_a, self.edge_b, self.position, self.distance_km, use.crossing_h, slowness)
        kernel.fill_slots(*ground, self.road_edge, road_h, scratch.slot_h)
        width = search.find_bucket_width(scratch.slot_h)
        touched_road_h = np.append(road_h, np.inf)[self.touched_road]
        entries = (self.entry_start, self.entry_open, self.entry_road)
        jobs = self.jobs[key]
        for plan in range(len(hours)):
            routes = [np.empty(0, np.int64)] * len(jobs)
            for year in range(self.years):
                kernel.delay_slots(
                    self.touched, *ground, touched_road_h, *entries, pair_delay_h[plan], pair_year[plan],
                    self.pair_growth, year, scratch.slot_h,
                )  # fmt: skip
                for number, job in enumerate(jobs):
                    asked = list(job.approaches)
                    # Works only add time: routes that no new work touches stay the fastest.
                    if year and not kernel.meets_year(
                        routes[number], *entries, pair_year[plan], self.pair_growth, year
                    ):
                        hours[plan, year, asked] = hours[plan, year - 1, asked]
                        continue
                    hours[plan, year, asked] = self.search(job, width, scratch)[0]
                    size = kernel.list_touched(
                        self.neighbor, scratch.slot_h, self.slot_touched, scratch.times, scratch.found,
                        scratch.route,
                    )  # fmt: skip
                    routes[number] = scratch.route[:size].copy()

    def search(self, job: Job, width: float, scratch: _Scratch) -> tuple[np.ndarray, int]:
        """Run one search on the times in the scratch slots; return hours per mark and the cells handled."""
        best = np.empty(len(job.approaches))
        scratch.found = np.empty(len(job.approaches), np.int64)
        handled = kernel.search_marked(
            self.neighbor, scratch.slot_h, job.seeds, job.mark, width, scratch.times, scratch.link,
            scratch.ends, best, scratch.found,
        )  # fmt: skip
        return best, handled


class _Scratch:
    """Scratch arrays of the searches on one mesh."""

    def __init__(self, cells: int) -> None:
        self.slot_h = np.full(6 * cells, np.inf)
        self.times = np.empty(cells)
        self.link = np.empty((cells, 2), np.int32)
        self.ends = np.empty((search.BUCKETS + 1, 2), np.int32)
        self.found = np.empty(0, np.int64)
        self.route = np.empty(cells, np.int64)


def _bear(rule: SoilRule, value: float) -> np.ndarray:
    """Speed factor of a ground that bears (or holds water) like this, by the rules of `ground.bearing`."""
    strength = np.array([value]) if rule.bears else compute_soil_strength(max(value, 1e-6), rule.clay_percent)
    return compute_slowdown(strength, rule.need, rule.full_ratio)


def prepare_ground(
    study: Study,
    mesh: Mesh,
    problem: Problem,
    works: Works,
    keys: Sequence[str],
    likely: np.ndarray,
    seasons: tuple[str, ...],
    years: int,
) -> GroundTimes:
    """Lay out the ground for draws of speeds.

    Parameters
    ----------
    problem, works : the problem of the study and what the plans build.
    keys : names of the Q drawn inputs, speeds among them.
    likely : their most likely values [Q], used to choose the side each search starts from.
    seasons : seasons that may be drawn; empty when approaches keep their own.
    years : number of years.

    Raises
    ------
    InputError : a speed that tables/speeds.csv does not give.
    """
    table = study.tables["approaches"]
    vehicles = tuple(str(one) for one in table["vehicle"])
    own = tuple(SEASONS.index(one) for one in table["season"])
    wanted = [SEASONS.index(one) for one in seasons]
    pairs = {(v, s) for v, season in zip(vehicles, own, strict=True) for s in (wanted or [season])}
    column_of = {key: column for column, key in enumerate(keys)}
    road_edge = np.flatnonzero(mesh.road_class >= 0)
    uses = {pair: _prepare_use(study, mesh, column_of, pair, road_edge) for pair in sorted(pairs)}
    distance_km = mesh.distance_m.astype(np.float64) / 1000
    distance_km[mesh.gap_m <= 0] = np.inf
    position = np.empty((mesh.edge_count, 2), np.int64)
    flat = mesh.edge.ravel()
    places = np.flatnonzero(flat >= 0)
    order = places[np.argsort(flat[places], kind="stable")]
    position[:] = order.reshape(-1, 2)
    touched, entry_start, entry_open, entry_road = _list_entries(works)
    road_row = np.full(mesh.edge_count, len(road_edge), np.int64)
    road_row[road_edge] = np.arange(len(road_edge))
    slot_touched = np.full(flat.size, -1, np.int32)
    slot_touched[position[touched]] = np.arange(len(touched), dtype=np.int32)[:, None]
    kind = np.column_stack([mesh.road_class[road_edge], mesh.surface[road_edge], mesh.structure[road_edge]])
    ground = GroundTimes(
        years, problem.approach_count, vehicles, own, uses, {}, mesh.cover, mesh.slope, mesh.soil,
        mesh.neighbor, mesh.edge_a, mesh.edge_b, position, distance_km, road_edge,
        mesh.road_m[road_edge].astype(np.float64) / 1000, kind.astype(np.int64), touched, road_row[touched],
        slot_touched, entry_start, entry_open, entry_road, works.pair_growth,
    )  # fmt: skip
    _choose_jobs(ground, problem, likely, bool(seasons))
    return ground


def _prepare_use(
    study: Study, mesh: Mesh, column_of: dict[str, int], pair: tuple[str, int], road_edge: np.ndarray
) -> Use:
    vehicle, season = pair[0], SEASONS[pair[1]]

    def find(factor: str, word: str) -> int:
        for one, other in ((vehicle, season), (vehicle, "any"), ("any", season), ("any", "any")):
            column = column_of.get(f"speed:{one}:{other}:{factor}:{word}", -1)
            if column >= 0:
                return column
        return -1

    columns = {
        factor: np.array([find(factor, word) for word in words])
        for factor, words in (
            ("base", ("open",)), ("cover", COVER_WORDS), ("slope", SLOPE_WORDS), ("soil", SOIL_WORDS),
            ("road", ROAD_WORDS), ("surface", SURFACE_WORDS), ("structure", STRUCTURE_WORDS),
        )
    }  # fmt: skip
    missing = [f for f in ("base", "cover", "slope", "soil", "road") if (columns[f] < 0).any()]
    if missing:
        told = f"has no {' '.join(missing)} value for {vehicle} in {season}"
        raise InputError(
            [Fault(told, "tables/speeds.csv", remedy="add rows; vehicle and season may be 'any'")]
        )
    table = study.tables["vehicles"]
    weight_t = float(table.loc[table["vehicle"] == vehicle, "weight_t"].iloc[0])
    heavy = weight_t > mesh.max_weight_t[road_edge] if weight_t > 0 else np.zeros(len(road_edge), bool)
    return Use(
        int(columns["base"][0]), columns["cover"], columns["slope"], columns["soil"], columns["road"],
        columns["surface"], columns["structure"], _list_soils(study, mesh, column_of, vehicle, season),
        find_crossing_h(study, vehicle, season, mesh.river_m.astype(np.float64)), heavy,
    )  # fmt: skip


def _list_soils(
    study: Study, mesh: Mesh, column_of: dict[str, int], vehicle: str, season: str
) -> tuple[SoilRule, ...]:
    rules = []
    for place, word in [(-1, "wetland"), *enumerate(SOIL_WORDS)]:
        row = find_soil_row(study, word, season)
        need = None if row is None else find_need(study, vehicle, row)
        if row is None or need is None:
            continue
        bears = bool(row["bearing_kpa"] >= 0)
        clay = np.full(1, float(row["clay_percent"]))
        if place >= 0 and not bears and not np.isnan(mesh.clay_percent).all():
            clay = np.where(np.isnan(mesh.clay_percent), clay[0], mesh.clay_percent).astype(np.float64)
        column = column_of[f"soil:{word}:{row['season']}"]
        rules.append(SoilRule(place, column, need, float(row["full_ratio"]), bears, clay))
    return tuple(rules)


def _list_entries(works: Works) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the touched edges [U] and, per edge, the pairs that delay its open ground and road (CSR)."""
    order = np.argsort(works.edge, kind="stable")
    touched, first = np.unique(works.edge[order], return_index=True)
    start = np.append(first, len(order)).astype(np.int64)
    return touched, start, works.edge_open[order], works.edge_road[order]


def _choose_jobs(ground: GroundTimes, problem: Problem, likely: np.ndarray, any_season: bool) -> None:
    """Choose per approach the side its search starts from: the one that handles fewer cells."""
    for key, use in ground.uses.items():
        scratch = _Scratch(len(ground.neighbor))
        slowness, road_h = ground.compute_ground(use, likely)
        kernel.fill_slots(
            ground.edge_a, ground.edge_b, ground.position, ground.distance_km, use.crossing_h, slowness,
            ground.road_edge, road_h, scratch.slot_h,
        )  # fmt: skip
        width = search.find_bucket_width(scratch.slot_h)
        sides: dict[tuple[int, ...], list[tuple[int, np.ndarray]]] = {}
        for k, vehicle in enumerate(ground.vehicles):
            if vehicle != key[0] or (key[1] != ground.own_season[k] and not any_season):
                continue
            ends = [
                np.asarray(one[k], np.int64) for one in (problem.approach_sources, problem.approach_targets)
            ]
            counted = []
            for seeds, aims in (ends, ends[::-1]):
                job = Job(seeds, _mark(len(ground.neighbor), [aims]), (k,))
                counted.append(ground.search(job, width, scratch)[1])
            seeds, aims = ends if counted[0] <= counted[1] else ends[::-1]
            sides.setdefault(tuple(seeds.tolist()), []).append((k, aims))
        ground.jobs[key] = tuple(
            job for seeds, asked in sides.items() for job in _join(seeds, asked, len(ground.neighbor))
        )


def _join(seeds: tuple[int, ...], asked: list[tuple[int, np.ndarray]], cells: int) -> list[Job]:
    """Join approaches with the same seeds; aims that share a cell stay apart."""
    groups: list[list[tuple[int, np.ndarray]]] = []
    for one in asked:
        for group in groups:
            if not any(np.isin(one[1], other[1]).any() for other in group):
                group.append(one)
                break
        else:
            groups.append([one])
    return [
        Job(np.array(seeds, np.int64), _mark(cells, [aims for _, aims in group]), tuple(k for k, _ in group))
        for group in groups
    ]


def _mark(cells: int, aims: list[np.ndarray]) -> np.ndarray:
    mark = np.full(cells, -1, np.int8)
    for number, one in enumerate(aims):
        mark[one] = number
    return mark
