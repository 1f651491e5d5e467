"""The low air picture of a study: coverage by height, least-seen ways, gaps at the border, closing them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from abatis.ground.fronts import find_front_cells, find_objective_cell
from abatis.ground.gaps import measure_m
from abatis.model.mesh import Mesh
from abatis.model.study import Study
from abatis.watch.catalogue import WatchTerms
from abatis.watch.ground_raster import WatchGround
from abatis.watch.low_air import (
    HEIGHTS_M,
    AirGraph,
    Corridor,
    Looks,
    compute_detection,
    find_corridors,
    find_looks,
)
from abatis.watch.low_air_closing import Closing, close_gap
from abatis.watch.seen import Outlook

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class AirSettings:
    """Stated figures of the low air picture; `choose_air_settings` takes them from the terms of the watch.

    `heights_m` above ground; `look_m` metres of way that one look takes; a cell is open with less detection
    than `open_below` and watched from `watched_from` on; `border_km` depth of the strip that is told apart;
    `least_chance` to be noticed that closing asks for; `budget_eur` for closing.
    """

    look_m: float
    open_below: float
    watched_from: float
    border_km: float
    least_chance: float
    heights_m: tuple[float, ...] = HEIGHTS_M
    budget_eur: float = math.inf


def choose_air_settings(terms: WatchTerms) -> AirSettings:
    """Take the stated figures of the low air picture from the terms of the watch (all tag G as packaged)."""
    return AirSettings(
        look_m=terms["air_look_m"].value,
        open_below=terms["air_open_below"].value,
        watched_from=terms["air_watched_from"].value,
        border_km=terms["air_border_km"].value,
        least_chance=terms["air_least_chance"].value,
    )


@dataclass(frozen=True)
class HeightCover:
    """Home ground at one height: shares of its area that are watched and open, and its mean detection.

    `border_share` is the share watched of home ground within `border_km` of the hostile border.
    """

    height_m: float
    watched_share: float
    open_share: float
    mean_detection: float
    border_share: float


@dataclass(frozen=True)
class PairCorridor:
    """The least-seen way of one front and objective at one height; None where no way leads there.

    `border_gap_m` is the width of the widest stretch of open home ground along this front, see
    `find_border_gap`.
    """

    front: str
    objective: str
    height_m: float
    corridor: Corridor | None
    border_gap_m: float


@dataclass(frozen=True)
class AirPicture:
    """All that is told of the low air: `detection` float64[N] by height; sensors that took part, by name.

    `closing` belongs to `closed`, the pair and height that is noticed least; None when not asked for.
    """

    settings: AirSettings
    detection: Mapping[float, np.ndarray]
    covers: tuple[HeightCover, ...]
    corridors: tuple[PairCorridor, ...]
    sensors: tuple[str, ...]
    false_alarms_per_day: float
    closed: PairCorridor | None
    closing: Closing | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class AirCandidates:
    """Sensors that could be added: `outlooks` K, `cost_eur` float64[K], names K."""

    outlooks: Sequence[Outlook]
    cost_eur: np.ndarray
    names: Sequence[str]


def picture_low_air(
    study: Study,
    mesh: Mesh,
    ground: WatchGround,
    terms: WatchTerms,
    outlooks: Sequence[Outlook],
    *,
    settings: AirSettings | None = None,
    candidates: AirCandidates | None = None,
    progress: Progress | None = None,
) -> AirPicture:
    """Describe the low air picture of a study.

    Parameters
    ----------
    study, mesh : fronts and objectives of the approaches, home ground.
    ground, terms : pixels that sensors look over, refraction.
    outlooks : standing and planned posts; those without a range for low air are passed over.
    settings : stated figures; those of `terms` when left out.
    candidates : what could be added; when given, the least-seen way of all is closed with them.
    progress : callback (stage, share done).

    In words: for every height the detection of each cell, and for every front and objective of the approaches
    the least-seen way. Ways start in hostile cells at the front and may cross any ground but other hostile
    cells. The way that is noticed least (equal ones: the lowest, then the first) is the one that is closed.

    Raises
    ------
    InputError : fronts or objectives outside the mesh; bad settings.
    """
    settings = settings or choose_air_settings(terms)
    tell = progress or (lambda _stage, _share: None)
    used = [one for one in outlooks if "low_air" in one.sensor.range_m]
    pairs = list(
        dict.fromkeys(study.tables["approaches"][["front", "objective"]].itertuples(index=False, name=None))
    )
    graph = build_air_graph(study, mesh)
    detection: dict[float, np.ndarray] = {}
    covers: list[HeightCover] = []
    corridors: list[PairCorridor] = []
    looks = Looks(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0))
    for number, height_m in enumerate(settings.heights_m):
        tell("low air picture", number / len(settings.heights_m))
        looks = find_looks(ground, used, height_m, terms)
        detection[height_m] = compute_detection(mesh.cell_count, looks)
        covers.append(_cover(study, mesh, detection[height_m], height_m, settings))
        corridors += _find_pairs(study, mesh, graph, pairs, detection[height_m], looks, height_m, settings)
    closed, closing = None, None
    known = [one for one in corridors if one.corridor is not None]
    if candidates is not None and known:
        closed = min(known, key=lambda one: (one.corridor.chance if one.corridor else 1.0, one.height_m))
        closing = _close(study, mesh, ground, terms, graph, detection, closed, candidates, settings, tell)
    notes = []
    if looks.by_range:
        notes.append(f"{looks.by_range} sensors see as far as their range: the study has no elevation")
    if not used:
        notes.append("no post has a range for low air: everything is open")
    return AirPicture(
        settings,
        detection,
        tuple(covers),
        tuple(corridors),
        tuple(one.sensor.name for one in used),
        math.fsum(one.sensor.false_alarms_per_day for one in used),
        closed,
        closing,
        tuple(notes),
    )


def build_air_graph(study: Study, mesh: Mesh) -> AirGraph:
    """Build the ways of low flights: every neighbour, over land and water; hostile cells are barred."""
    step_m = np.where(mesh.neighbor >= 0, mesh.distance_m[mesh.edge].astype(np.float64), 0.0)
    return AirGraph(np.asarray(mesh.neighbor), step_m, mesh.mask_countries(study.hostile))


def _cover(
    study: Study, mesh: Mesh, detection: np.ndarray, height_m: float, settings: AirSettings
) -> HeightCover:
    home = mesh.mask_countries(study.home)
    area = mesh.area_km2.astype(np.float64)

    def share(part: np.ndarray, of: np.ndarray) -> float:
        whole = float(area[of].sum())
        return float(area[of & part].sum()) / whole if whole else 0.0

    watched = detection >= settings.watched_from
    strip = home & (mesh.border_km <= settings.border_km)
    whole = float(area[home].sum())
    mean = float((area * detection)[home].sum()) / whole if whole else 0.0
    opened = detection < settings.open_below
    return HeightCover(height_m, share(watched, home), share(opened, home), mean, share(watched, strip))


def _find_pairs(
    study: Study,
    mesh: Mesh,
    graph: AirGraph,
    pairs: Sequence[tuple[str, str]],
    detection: np.ndarray,
    looks: Looks,
    height_m: float,
    settings: AirSettings,
) -> list[PairCorridor]:
    found = []
    for front in dict.fromkeys(one for one, _ in pairs):
        sources = find_front_cells(study, mesh, front)
        objectives = [objective for one, objective in pairs if one == front]
        targets = [find_objective_cell(study, mesh, one) for one in objectives]
        ways = find_corridors(graph, detection, sources, targets, looks, settings.look_m, settings.open_below)
        touches = np.unique(mesh.neighbor[sources])
        beside = touches[(touches >= 0)]
        beside = beside[mesh.mask_countries(study.home)[beside]]
        _, gap_m = find_border_gap(mesh, beside[detection[beside] < settings.open_below])
        found += [
            PairCorridor(front, objective, height_m, way, gap_m)
            for objective, way in zip(objectives, ways, strict=True)
        ]
    return found


def find_border_gap(mesh: Mesh, cells: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the widest group of joined cells, int32[] sorted, and its width in metres.

    Parameters
    ----------
    mesh : neighbours and places of cells.
    cells : rows of open cells along a border.

    In words: cells that are neighbours belong together; the width of a group is the greatest straight
    distance between centres of two of its cells, plus the mean width of a cell.
    """
    left = set(cells.tolist())
    best, best_m = np.empty(0, np.int32), 0.0
    while left:
        group, queue = [], [left.pop()]
        while queue:
            cell = queue.pop()
            group.append(cell)
            near = left.intersection(mesh.neighbor[cell].tolist())
            left -= near
            queue += near
        rows = np.array(sorted(group), np.int32)
        lon, lat = mesh.lon[rows], mesh.lat[rows]
        far = measure_m(lon[:, None], lat[:, None], lon[None, :], lat[None, :]).max()
        width = float(far) + math.sqrt(float(mesh.area_km2[rows].mean()) * 1e6)
        if width > best_m:
            best, best_m = rows, width
    return best, best_m


def _close(
    study: Study,
    mesh: Mesh,
    ground: WatchGround,
    terms: WatchTerms,
    graph: AirGraph,
    detection: Mapping[float, np.ndarray],
    closed: PairCorridor,
    candidates: AirCandidates,
    settings: AirSettings,
    tell: Progress,
) -> Closing:
    looks = find_looks(ground, candidates.outlooks, closed.height_m, terms, tell)
    return close_gap(
        graph,
        detection[closed.height_m],
        find_front_cells(study, mesh, closed.front),
        find_objective_cell(study, mesh, closed.objective),
        looks,
        np.asarray(candidates.cost_eur),
        least_chance=settings.least_chance,
        budget_eur=settings.budget_eur,
        look_m=settings.look_m,
        progress=tell,
    )
