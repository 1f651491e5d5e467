"""Sites: runs of open edges along the echelon lines, the most used crossings, and the problem they make."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from abatis.barrier.lines import Line, find_echelon_lines
from abatis.barrier.observed import mark_observed, see_edges
from abatis.barrier.options import EARTH_RADIUS_KM, SiteOption, find_protected_works, list_options
from abatis.barrier.stocked import limit_stocks
from abatis.ground.avenues import find_avenues
from abatis.ground.fronts import find_front_cells, find_objective_cell
from abatis.ground.speeds import compute_edge_times
from abatis.ground.travel import EdgeTimes
from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.mesh import Mesh
from abatis.model.plan import Problem, Rule
from abatis.model.study import Study
from abatis.model.watched import read_watched

Progress = Callable[[str, float], None]
TOWN_KINDS = ("city", "town", "village")
COMPASS = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")
AVENUES = 3
AVENUE_PENALTY = 0.5
AVENUE_SEPARATION_KM = 5.0


@dataclass(frozen=True)
class Site:
    """A chain of edges that is closed together.

    `kind` is line or crossing; `echelon` counts from 1, 0 for crossings away from the lines; `edges` int32
    edge rows in walking order; `gap_km` open length; `roads` and `bridges` crossed; `lon`, `lat` of its
    middle.
    """

    key: str
    name: str
    kind: str
    echelon: int
    edges: np.ndarray
    gap_km: float
    roads: int
    bridges: int
    lon: float
    lat: float


@dataclass(frozen=True)
class Removal:
    """How many edges were left out of the sites, and why."""

    reason: str
    count: int


@dataclass(frozen=True)
class Siting:
    """Lines, sites, their options, what was left out of the sites, and the problem for the solver.

    `seen_share` float64[S] is the share of each site that posts see, `seen_edges` bool[E] the edges that they
    see; both None where the study has no watch result and every barrier counts as observed.
    """

    lines: tuple[Line, ...]
    sites: tuple[Site, ...]
    options: tuple[SiteOption, ...]
    removed: tuple[Removal, ...]
    problem: Problem
    seen_share: np.ndarray | None = None
    seen_edges: np.ndarray | None = None


def site_study(study: Study, mesh: Mesh, progress: Progress | None = None) -> Siting:
    """Draw the echelon lines, cut them into sites, add crossings, list options and state the problem.

    Parameters
    ----------
    study, mesh : the study and its mesh.
    progress : called with the stage in words and the share done.

    In words: where the study has a watch result (STUDY/watch), barriers that no post sees count with a share
    of their delay (`observed.mark_observed`); without one, all count in full.

    Raises
    ------
    InputError, InfeasibleError : see `find_echelon_lines`, `list_options`, `build_problem` and
        `read_watched`.
    """
    report = progress or (lambda _words, _share: None)
    report("drawing the echelon lines", 0.0)
    lines = find_echelon_lines(study, mesh)
    report("finding the most used crossings", 0.3)
    use = count_route_use(study, mesh)
    sites, removed = find_sites(study, mesh, lines, use)
    report("listing options", 0.7)
    options = list_options(study, mesh, sites)
    report("stating the problem", 0.9)
    problem = build_problem(study, mesh, sites, options)
    watched = read_watched(study.folder, mesh)
    seen_share = seen_edges = None
    if watched is not None:
        seen = watched.mark_cells()
        observed = mark_observed(problem, mesh, sites, seen)
        problem, seen_share, seen_edges = observed.problem, observed.share, see_edges(mesh, seen)
    report("stating the problem", 1.0)
    return Siting(lines, sites, options, removed, problem, seen_share, seen_edges)


def forget_watch(study: Study, mesh: Mesh, siting: Siting) -> Siting:
    """Return the siting as if the study had no watch result: every barrier counts as observed."""
    if siting.seen_edges is None:
        return siting
    problem = build_problem(study, mesh, siting.sites, siting.options)
    return replace(siting, problem=problem, seen_share=None, seen_edges=None)


def count_route_use(study: Study, mesh: Mesh) -> np.ndarray:
    """Count how much the avenues of all approaches use each edge, float64[E].

    Formula: use(e) = sum over approaches of weight share x number of its avenues through e.
    In words: every approach has up to three fast routes that keep apart; an edge that many need is a
    chokepoint.
    """
    use = np.zeros(mesh.edge_count)
    approaches = study.tables["approaches"]
    times = _compute_groups(study, mesh)
    sources, targets, faults = _locate_approaches(study, mesh)
    if faults:
        raise InputError(faults)
    for place, (_, row) in enumerate(approaches.iterrows()):
        avenues = find_avenues(
            mesh,
            times[row["vehicle"], row["season"]].time_h,
            sources[place],
            int(targets[place][0]),
            AVENUES,
            AVENUE_PENALTY,
            AVENUE_SEPARATION_KM,
        )
        for avenue in avenues:
            use[_list_route_edges(mesh, avenue.cells)] += row["weight"] / approaches["weight"].sum()
    return use


def _compute_groups(study: Study, mesh: Mesh) -> dict[tuple[str, str], EdgeTimes]:
    pairs = study.tables["approaches"][["vehicle", "season"]].drop_duplicates()
    return {(v, s): compute_edge_times(study, mesh, v, s) for v, s in pairs.itertuples(index=False)}


def _list_route_edges(mesh: Mesh, cells: np.ndarray) -> np.ndarray:
    here, there = cells[:-1], cells[1:]
    side = np.argmax(mesh.neighbor[here] == there[:, None], axis=1)
    return np.asarray(mesh.edge[here, side])


def find_sites(
    study: Study, mesh: Mesh, lines: Sequence[Line], use: np.ndarray
) -> tuple[tuple[Site, ...], tuple[Removal, ...]]:
    """Cut lines into sites and add the most used crossings beside them; no edge is in two sites.

    Parameters
    ----------
    study : `longest_site_km`, `crossing_sites`, `avoid_protected` and the places apply.
    mesh : the mesh; E edges.
    lines : echelon lines, the first is echelon 1.
    use : how much routes use each edge, float64[E].

    Returns
    -------
    The sites, and how many edges were left out for which reason.

    In words: along a line, the edges between two natural closures make one site; a run longer than
    `longest_site_km` is divided into nearly equal parts. Crossings are the road edges most used, bridges and
    narrow ground first; those without a bridge keep at least `longest_site_km` apart. Nothing is sited off
    home ground, in a cell with a dam or power station, or (on request) in cells that are mostly protected
    nature.
    """
    barred = _bar_edges(study, mesh)
    removed: Counter[str] = Counter()
    taken = np.zeros(mesh.edge_count, bool)
    sites: list[Site] = []
    for echelon, line in enumerate(lines, start=1):
        for chain in line.chains:
            for run in _split_runs(mesh, chain, barred, taken, removed):
                for part in _divide_run(mesh, run, study.longest_site_km):
                    taken[part] = True
                    sites.append(_describe_site(study, mesh, part, "line", echelon))
    for edge in _pick_crossings(study, mesh, use, barred, taken, removed):
        sites.append(_describe_site(study, mesh, np.array([edge], np.int32), "crossing", 0))
    return _number_keys(sites), tuple(Removal(reason, removed[reason]) for reason in sorted(removed))


def _bar_edges(study: Study, mesh: Mesh) -> dict[str, np.ndarray]:
    """Return bool[E] per reason why nothing may be built on an edge."""
    home = mesh.mask_countries(study.home)
    works = find_protected_works(study, mesh)
    a, b = mesh.edge_a, mesh.edge_b
    barred = {
        "off home ground": ~(home[a] & home[b]),
        "in a cell with a dam or power station": works[a] | works[b],
    }
    if study.avoid_protected:
        nature = mesh.protected > 0.5
        barred["in cells that are mostly protected nature"] = nature[a] | nature[b]
    return barred


def _split_runs(
    mesh: Mesh, chain: np.ndarray, barred: Mapping[str, np.ndarray], taken: np.ndarray, removed: Counter[str]
) -> list[np.ndarray]:
    """Return the runs of edges of a chain that have to be built, without those that may not."""
    build = ((mesh.gap_m[chain] > 0) | (mesh.road_class[chain] >= 0)) & ~taken[chain]
    for reason, edges in barred.items():
        count = int((build & edges[chain]).sum())
        if count:
            removed[reason] += count
        build = build & ~edges[chain]
    if not build.any():
        return []
    is_ring = len(chain) > 2 and _meets(mesh, chain[-1], chain[0])
    if is_ring and not build.all():
        turn = int(np.argmin(build))
        chain, build = np.roll(chain, -turn), np.roll(build, -turn)
    cuts = np.flatnonzero(np.diff(build.astype(np.int8))) + 1
    return [part for part, used in zip(np.split(chain, cuts), np.split(build, cuts), strict=True) if used[0]]


def _meets(mesh: Mesh, first: int, second: int) -> bool:
    """Say whether two edges share a corner: then some cell of one touches both cells of the other."""
    one = {int(mesh.edge_a[first]), int(mesh.edge_b[first])}
    two = {int(mesh.edge_a[second]), int(mesh.edge_b[second])}
    common = one & two
    if len(common) != 1:
        return False
    (left,), (right,) = one - common, two - common
    return bool((mesh.neighbor[left] == right).any())


def _divide_run(mesh: Mesh, run: np.ndarray, longest_km: float) -> list[np.ndarray]:
    """Divide a run into the fewest nearly equal parts no longer than asked, each of one edge at least."""
    ends_km = np.cumsum(mesh.length_m[run].astype(np.float64)) / 1000.0
    for count in range(max(1, math.ceil(ends_km[-1] / longest_km - 1e-9)), len(run) + 1):
        middles_km = ends_km - np.diff(ends_km, prepend=0.0) / 2.0
        part_of = np.minimum((middles_km * count / ends_km[-1]).astype(int), count - 1)
        parts = [part for part in np.split(run, np.flatnonzero(np.diff(part_of)) + 1) if len(part)]
        if all(len(part) == 1 or mesh.length_m[part].sum() <= longest_km * 1000.0 for part in parts):
            return parts
    return [run[place : place + 1] for place in range(len(run))]


def _pick_crossings(
    study: Study,
    mesh: Mesh,
    use: np.ndarray,
    barred: Mapping[str, np.ndarray],
    taken: np.ndarray,
    removed: Counter[str],
) -> list[int]:
    wanted = (use > 0) & (mesh.road_class >= 0) & ~taken
    for reason, edges in barred.items():
        count = int((wanted & edges).sum())
        if count:
            removed[reason] += count
        wanted &= ~edges
    rows = np.flatnonzero(wanted)
    plain = mesh.bridge_m[rows] <= 0
    order = rows[np.lexsort((rows, mesh.gap_m[rows], plain, -np.round(use[rows], 9)))]
    lon = (mesh.lon[mesh.edge_a] + mesh.lon[mesh.edge_b]) / 2
    lat = (mesh.lat[mesh.edge_a] + mesh.lat[mesh.edge_b]) / 2
    picked: list[int] = []
    for edge in order.tolist():
        if len(picked) >= study.crossing_sites:
            break
        near = picked and (
            measure_km(lon[picked], lat[picked], lon[edge], lat[edge]).min() < study.longest_site_km
        )
        if near and not mesh.bridge_m[edge] > 0:
            continue
        picked.append(edge)
    return picked


def measure_km(lon: np.ndarray, lat: np.ndarray, to_lon: float, to_lat: float) -> np.ndarray:
    """Great-circle distance in km from some points to one point, all in degrees.

    Examples
    --------
    >>> round(float(measure_km(np.array([25.0]), np.array([54.0]), 25.0, 55.0)[0]), 1)
    111.2
    """
    x, y, to_x, to_y = (np.radians(value) for value in (lon, lat, to_lon, to_lat))
    half = np.sin((y - to_y) / 2) ** 2 + np.cos(y) * np.cos(to_y) * np.sin((x - to_x) / 2) ** 2
    return np.asarray(2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(half)))


def describe_place(study: Study, lon: float, lat: float) -> str:
    """Say where a point lies: distance and compass side from the nearest town."""
    places = study.tables["places"]
    towns = places[places["kind"].isin(TOWN_KINDS)]
    if towns.empty:
        return f"{lat:.3f} N {lon:.3f} E"
    away = measure_km(towns["lon"].to_numpy(float), towns["lat"].to_numpy(float), lon, lat)
    town = towns.iloc[int(np.argmin(away))]
    if away.min() < 1.0:
        return f"at {town['name']}"
    east = (lon - town["lon"]) * math.cos(math.radians(lat))
    side = COMPASS[round(math.degrees(math.atan2(east, lat - town["lat"])) / 45.0) % 8]
    return f"{away.min():.0f} km {side} of {town['name']}"


def _describe_site(study: Study, mesh: Mesh, edges: np.ndarray, kind: str, echelon: int) -> Site:
    middle = int(edges[len(edges) // 2])
    a, b = int(mesh.edge_a[middle]), int(mesh.edge_b[middle])
    lon, lat = float(mesh.lon[a] + mesh.lon[b]) / 2, float(mesh.lat[a] + mesh.lat[b]) / 2
    road = mesh.road_class[edges] >= 0
    bridge = road & (mesh.bridge_m[edges] > 0)
    words = [f"Echelon {echelon}" if echelon else "Crossing", describe_place(study, lon, lat)]
    for single, plural, column, names, used in (
        ("road", "roads", mesh.road_name, mesh.road_names, road),
        ("bridge", "bridges", mesh.bridge_name, mesh.bridge_names, bridge),
    ):
        known = sorted({names[one] for one in column[edges[used]].tolist() if one >= 0 and names[one]})
        if known:
            words.append(f"{single if len(known) == 1 else plural} {', '.join(known)}")
    prefix = f"e{echelon}" if echelon else "x"
    return Site(
        key=f"{prefix}-{int(mesh.cells[min(a, b)]):x}",
        name=", ".join(words),
        kind=kind,
        echelon=echelon,
        edges=edges.astype(np.int32),
        gap_km=float(mesh.gap_m[edges].sum(dtype=np.float64)) / 1000.0,
        roads=int((road & ~bridge).sum()),
        bridges=int(bridge.sum()),
        lon=lon,
        lat=lat,
    )


def _number_keys(sites: Sequence[Site]) -> tuple[Site, ...]:
    """Give sites whose middle lies in the same cell a number behind their key."""
    seen: Counter[str] = Counter()
    numbered = []
    for site in sites:
        seen[site.key] += 1
        key = site.key if seen[site.key] == 1 else f"{site.key}-{seen[site.key]}"
        numbered.append(Site(**(site.__dict__ | {"key": key})))
    return tuple(numbered)


def build_problem(study: Study, mesh: Mesh, sites: Sequence[Site], options: Sequence[SiteOption]) -> Problem:
    """State the problem that the solver sees.

    Parameters
    ----------
    study, mesh : the study and its mesh.
    sites, options : from `find_sites` and `list_options`, in their order.

    Formula: weight_k = w_k / sum of w; groups are the distinct pairs of vehicle and season.
    In words: movement may use all ground of the mesh, allied and hostile too; only sites carry delays. An
    option delays the open mode of each of its edges with a gap, and the road mode of each with a road or
    bridge it closes. Measures held in stock are limited by what their line buys, not charged to the plan.

    Raises
    ------
    InputError : approaches without front or objective in the mesh, rules about something unknown; all at
    once.
    """
    times = _compute_groups(study, mesh)
    groups = list(times)
    approaches = study.tables["approaches"]
    sources, targets, faults = _locate_approaches(study, mesh)
    rules, least_hours, least_names, wrong = _read_rules(study, sites, options)
    if faults or wrong:
        raise InputError([*faults, *wrong])
    row_of = {site.key: row for row, site in enumerate(sites)}
    start, edge, open_h, road_h = _list_delays(mesh, [sites[row_of[o.site]] for o in options], options)
    weight = approaches["weight"].to_numpy(np.float64)
    return Problem(
        node_count=mesh.cell_count,
        tail=mesh.edge_a,
        head=mesh.edge_b,
        directed=False,
        open_h=np.array([times[group].open_h for group in groups]),
        road_h=np.array([times[group].road_h for group in groups]),
        approach_keys=tuple(approaches["approach"]),
        approach_names=tuple(approaches["name"]),
        approach_group=np.array(
            [groups.index(pair) for pair in zip(approaches["vehicle"], approaches["season"], strict=True)],
            np.int32,
        ),
        approach_weight=weight / weight.sum(),
        approach_sources=tuple(sources),
        approach_targets=tuple(targets),
        site_keys=tuple(site.key for site in sites),
        site_names=tuple(site.name for site in sites),
        option_keys=tuple(option.option for option in options),
        option_site=np.array([row_of[option.site] for option in options], np.int32),
        option_cost_eur=np.array([option.cost_eur for option in options], np.float64),
        option_start=start,
        option_edge=edge,
        option_open_h=open_h,
        option_road_h=road_h,
        rules=(*rules, *limit_stocks(study, options)),
        least_hours=least_hours,
        least_hours_names=least_names,
        objective=study.objective,
    )


def _locate_approaches(study: Study, mesh: Mesh) -> tuple[list[np.ndarray], list[np.ndarray], list[Fault]]:
    sources, targets = [], []
    faults: dict[Fault, None] = {}
    for _, row in study.tables["approaches"].iterrows():
        try:
            sources.append(find_front_cells(study, mesh, row["front"]))
        except InputError as error:
            faults |= dict.fromkeys(error.faults)
        try:
            targets.append(np.array([find_objective_cell(study, mesh, row["objective"])], np.int32))
        except InputError as error:
            faults |= dict.fromkeys(error.faults)
    return sources, targets, list(faults)


def _list_delays(
    mesh: Mesh, sites: Sequence[Site], options: Sequence[SiteOption]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return slice starts and each delayed edge with its delays, option by option; `sites` one per option."""
    start, edges, open_h, road_h = [0], [], [], []
    for site, option in zip(sites, options, strict=True):
        road = mesh.road_class[site.edges] >= 0
        bridge = road & (mesh.bridge_m[site.edges] > 0)
        open_delay = np.where(mesh.gap_m[site.edges] > 0, option.delay_open_h, 0.0)
        road_delay = np.where(bridge, option.delay_bridge_h, np.where(road, option.delay_road_h, 0.0))
        used = (open_delay > 0) | (road_delay > 0)
        edges.append(site.edges[used])
        open_h.append(open_delay[used])
        road_h.append(road_delay[used])
        start.append(start[-1] + int(used.sum()))
    return (
        np.array(start, np.int32),
        np.concatenate([np.empty(0, np.int32), *edges]).astype(np.int32),
        np.concatenate([np.empty(0), *open_h]),
        np.concatenate([np.empty(0), *road_h]),
    )


def _read_rules(
    study: Study, sites: Sequence[Site], options: Sequence[SiteOption]
) -> tuple[list[Rule], dict[int, float], dict[int, str], list[Fault]]:
    rules: list[Rule] = []
    least: dict[int, float] = {}
    names: dict[int, str] = {}
    faults = []
    approaches = list(study.tables["approaches"]["approach"])
    known = {
        "lock_in": [site.key for site in sites],
        "lock_out": [site.key for site in sites],
        "measure_limit": list(study.tables["measures"]["measure"]),
        "least_hours": approaches,
    }
    for number, row in study.tables["rules"].iterrows():
        kind, subject, limit = row["kind"], row["subject"], row["limit"]
        problem, column, remedy = "", "subject", ""
        if subject not in known[kind]:
            what = {"measure_limit": "measure", "least_hours": "approach"}.get(kind, "site")
            problem, remedy = f"there is no {what} '{subject}'", nearest_word(subject, known[kind][:2000])
        elif kind in ("measure_limit", "least_hours") and math.isnan(limit):
            problem, column, remedy = "is missing", "limit", "give the units or hours"
        elif kind == "lock_in" and not any(option.site == subject for option in options):
            problem, remedy = (
                f"site '{subject}' has no option",
                "add a row to tables/options.csv that fits it",
            )
        if problem:
            faults.append(Fault(problem, "tables/rules.csv", int(str(number)), column, remedy))
        elif kind == "least_hours":
            place = approaches.index(subject)
            if limit >= least.get(place, 0.0):
                least[place], names[place] = float(limit), row["name"]
        else:
            rules.append(_state_rule(row["rule"], row["name"], kind, subject, limit, options))
    return rules, least, names, faults


def _state_rule(
    key: str, name: str, kind: str, subject: str, limit: float, options: Sequence[SiteOption]
) -> Rule:
    if kind == "measure_limit":
        units = {row: dict(option.quantities).get(subject, 0.0) for row, option in enumerate(options)}
        factors = {row: amount for row, amount in units.items() if amount > 0}
    else:
        sign = -1.0 if kind == "lock_in" else 1.0
        factors = {row: sign for row, option in enumerate(options) if option.site == subject}
        limit = -1.0 if kind == "lock_in" else 0.0
    return Rule(
        key,
        name,
        np.array(list(factors), np.int32),
        np.array(list(factors.values()), np.float64),
        float(limit),
    )
