"""Evacuation by road with capacity: hours until everyone near the border is safe, and a bound."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import maximum_flow

from abatis.barrier.sites import describe_place
from abatis.model.mesh import Mesh
from abatis.model.study import Study
from abatis.people.access_ground import SAFE, AccessGround
from abatis.people.streams import Stream, delay_stream, end_of, join_streams, pass_queue, scale_stream

BOUND_STEP = 1e-3
SPREAD_TRIES = (1.0, 1.15, 1.4, 2.0)
LEAST_PERSONS = 1e-6


@dataclass(frozen=True)
class EvacuationGroup:
    """Places that reach safe ground by the same road.

    `drive_h` is the longest drive without traffic; `clear_h` when the last of them is safe; `narrow` the road
    that most hours of traffic must pass, with its capacity.
    """

    exit: str
    name: str
    places: tuple[str, ...]
    persons: float
    drive_h: float
    clear_h: float
    narrow: str
    narrow_vehicles_per_hour: float


@dataclass(frozen=True)
class Evacuation:
    """Hours to bring everyone from ground that is not safe to safe ground, in one state of the roads.

    `persons` have a way, `stranded` have none. `clear_h`: everyone takes the fastest way and queues where a
    road is full. `spread_h`: the best spread over several ways that was found, at most `clear_h`. `bound_h`:
    no spread whatsoever is faster. `passed_h` float64[L]: when the last of those on their fastest way has
    left each stretch of road, 0 where nobody drives.
    """

    groups: tuple[EvacuationGroup, ...]
    persons: float
    stranded: float
    clear_h: float
    spread_h: float
    bound_h: float
    passed_h: np.ndarray


@dataclass(frozen=True)
class _Drive:
    """One way of driving: end of traffic per stretch, hours to clear."""

    passed_h: np.ndarray
    clear_h: float


def clear_places(study: Study, mesh: Mesh, ground: AccessGround, closed: np.ndarray) -> Evacuation:
    """Compute the hours to clear all places on ground that is not safe.

    Parameters
    ----------
    ground : from `prepare_access`.
    closed : int32[], rows of closed stretches of road.

    Formula (fastest way): every stretch e passes at most c_e = vehicles/h x persons per vehicle; with A_e(t)
    persons arrived by t, D_e(t) = min over s <= t of A_e(s) + c_e (t - s) have left its entrance; clear_h =
    the last arrival on safe ground. Formula (bound): the least T for which all persons fit through the roads
    when stretch e takes at most c_e (T - a_e - b_e) of them, a_e the least hours from any place to it, b_e
    from it to safe ground.
    In words: everyone leaves at once, by car, on the fastest open way, and waits in line where a road is
    full. The bound says what no traffic control could beat: a road serves nobody before the first can reach
    it, nor so late that the last no longer arrives in time. Source of the bound: max-flow and min-cut (Ford
    and Fulkerson 1962) on a road's hours of use.

    Raises
    ------
    InputError : never by itself; see `prepare_access`.
    """
    hours, onward, link = ground.graph.compute_forest(ground.aims[SAFE], closed)
    supply, stranded = _collect_supply(ground, hours)
    flows = _list_fastest(supply, onward, link)
    fastest = _drive(ground, supply, flows)
    bound_h = _bound_hours(ground, supply, hours, closed, fastest.clear_h)
    spread_h = _spread_ways(ground, supply, hours, closed, bound_h, fastest.clear_h)
    return Evacuation(
        groups=_describe_groups(study, mesh, ground, hours, onward, link, fastest),
        persons=float(sum(supply.values())),
        stranded=float(sum(ground.places[row].persons for row in stranded)),
        clear_h=fastest.clear_h,
        spread_h=spread_h,
        bound_h=bound_h,
        passed_h=fastest.passed_h,
    )


def measure_clearings(ground: AccessGround, closings: Sequence[np.ndarray]) -> list[tuple[float, float]]:
    """Return the hours to clear by fastest ways and the persons without a way, for several closings.

    Parameters
    ----------
    closings : rows of closed stretches int32[], one list for each question.

    In words: where nobody's fastest way runs over a closed stretch, nothing changes and nothing is computed.
    """
    open_answer, used = _measure_one(ground, np.empty(0, np.int32))
    answers = []
    for closed in closings:
        touched = bool(used[np.asarray(closed, np.int32)].any())
        answers.append(_measure_one(ground, closed)[0] if touched else open_answer)
    return answers


def _measure_one(ground: AccessGround, closed: np.ndarray) -> tuple[tuple[float, float], np.ndarray]:
    """Return hours and stranded persons, and bool[L], the stretches that somebody drives on."""
    hours, onward, link = ground.graph.compute_forest(ground.aims[SAFE], closed)
    supply, stranded = _collect_supply(ground, hours)
    drive = _drive(ground, supply, _list_fastest(supply, onward, link))
    lost = float(sum(ground.places[row].persons for row in stranded))
    return (drive.clear_h, lost), drive.passed_h > 0


def _collect_supply(ground: AccessGround, hours: np.ndarray) -> tuple[dict[int, float], list[int]]:
    """Return persons by node for places that have a way, and the rows of places that have none."""
    supply: dict[int, float] = defaultdict(float)
    stranded = []
    for row in np.flatnonzero(ground.zone).tolist():
        place = ground.places[row]
        if place.node < 0:
            continue
        if np.isinf(hours[place.node]):
            stranded.append(row)
        elif place.persons > LEAST_PERSONS:
            supply[place.node] += place.persons
    return dict(supply), stranded


def _list_fastest(
    supply: Mapping[int, float], onward: np.ndarray, link: np.ndarray
) -> dict[int, dict[int, tuple[int, float]]]:
    """Return per node the next nodes with (stretch, share): on fastest ways one node with share 1."""
    flows: dict[int, dict[int, tuple[int, float]]] = {}
    for start in supply:
        node = start
        while onward[node] >= 0 and node not in flows:
            flows[node] = {int(onward[node]): (int(link[node]), 1.0)}
            node = int(onward[node])
    return flows


def _drive(
    ground: AccessGround, supply: Mapping[int, float], flows: Mapping[int, Mapping[int, tuple[int, float]]]
) -> _Drive:
    """Let everyone drive along given shares of ways, which must hold no circle."""
    graph, persons = ground.graph, ground.terms.persons_per_vehicle
    passed_h = np.zeros(graph.link_count)
    waiting: dict[int, list[Stream]] = defaultdict(list)
    clear_h = 0.0
    for node in _order_nodes(flows, supply):
        arriving = join_streams(waiting.pop(node, []))
        stock = supply.get(node, 0.0)
        if node not in flows:
            clear_h = max(clear_h, end_of(arriving))
            continue
        for onward, (link, share) in flows[node].items():
            leaving = pass_queue(
                scale_stream(arriving, share), stock * share, float(graph.capacity[link]) * persons
            )
            there = delay_stream(leaving, float(graph.time_h[link]))
            passed_h[link] = max(passed_h[link], end_of(there))
            waiting[onward].append(there)
    return _Drive(passed_h, clear_h)


def _order_nodes(
    flows: Mapping[int, Mapping[int, tuple[int, float]]], supply: Mapping[int, float]
) -> list[int]:
    """Return all nodes on the ways so that each comes after those that lead to it."""
    before: dict[int, int] = defaultdict(int)
    nodes = set(supply) | set(flows)
    for steps in flows.values():
        for onward in steps:
            before[onward] += 1
            nodes.add(onward)
    ready = sorted(node for node in nodes if before[node] == 0)
    order = []
    while ready:
        node = ready.pop()
        order.append(node)
        for onward in flows.get(node, {}):
            before[onward] -= 1
            if before[onward] == 0:
                ready.append(onward)
    assert len(order) == len(nodes)
    return order


@dataclass(frozen=True)
class _Arcs:
    """Both directions of the open stretches, without those out of safe ground."""

    tail: np.ndarray
    head: np.ndarray
    link: np.ndarray
    rate: np.ndarray
    idle_h: np.ndarray


def _list_arcs(
    ground: AccessGround, supply: Mapping[int, float], hours: np.ndarray, closed: np.ndarray
) -> _Arcs:
    graph = ground.graph
    from_places = graph.compute_times(np.array(sorted(supply), np.int32), closed)
    tail, head = np.concatenate([graph.tail, graph.head]), np.concatenate([graph.head, graph.tail])
    link = np.tile(np.arange(graph.link_count), 2)
    idle_h = from_places[tail] + graph.time_h[link] + hours[head]
    used = np.isfinite(idle_h) & ~ground.safe[tail] & ~np.isin(link, closed)
    rate = graph.capacity[link] * ground.terms.persons_per_vehicle
    return _Arcs(tail[used], head[used], link[used], rate[used], idle_h[used])


def _bound_hours(
    ground: AccessGround, supply: Mapping[int, float], hours: np.ndarray, closed: np.ndarray, most_h: float
) -> float:
    if not supply:
        return 0.0
    low, high = max(float(hours[node]) for node in supply), most_h
    arcs = _list_arcs(ground, supply, hours, closed)
    while high - low > BOUND_STEP * max(high, 1e-9):
        middle = (low + high) / 2
        if _fits(ground, supply, arcs, middle):
            high = middle
        else:
            low = middle
    return low


def _fits(ground: AccessGround, supply: Mapping[int, float], arcs: _Arcs, hours: float) -> bool:
    """Say whether all persons fit through the roads in the hours each road can be of use."""
    nodes = ground.graph.node_count
    source, sink = nodes, nodes + 1
    total = sum(int(count) for count in supply.values())
    room = np.minimum(np.ceil(arcs.rate * np.maximum(hours - arcs.idle_h, 0.0)), total).astype(np.int32)
    safe = np.flatnonzero(ground.safe)
    tail = np.concatenate([arcs.tail, np.full(len(supply), source), safe])
    head = np.concatenate([arcs.head, np.array(list(supply)), np.full(len(safe), sink)])
    most = np.concatenate([room, np.array([int(one) for one in supply.values()]), np.full(len(safe), total)])
    matrix = csr_array(coo_array((most.astype(np.int32), (tail, head)), shape=(nodes + 2, nodes + 2)))
    return bool(maximum_flow(matrix, source, sink).flow_value >= total)


def _spread_ways(
    ground: AccessGround,
    supply: Mapping[int, float],
    hours: np.ndarray,
    closed: np.ndarray,
    bound_h: float,
    clear_h: float,
) -> float:
    """Return the best hours of some spreads over several ways, each driven in full with its queues."""
    best = clear_h
    if not supply or clear_h <= bound_h * (1 + BOUND_STEP):
        return best
    arcs = _list_arcs(ground, supply, hours, closed)
    for factor in SPREAD_TRIES:
        aim_h = (bound_h + BOUND_STEP * clear_h) * factor
        if aim_h >= clear_h:
            break
        flows = _choose_spread(ground, supply, arcs, aim_h)
        if flows is not None:
            best = min(best, _drive(ground, supply, flows).clear_h)
    return best


def _choose_spread(
    ground: AccessGround, supply: Mapping[int, float], arcs: _Arcs, aim_h: float
) -> dict[int, dict[int, tuple[int, float]]] | None:
    """Return shares of ways with the least driving that fit into `aim_h`, None where nothing fits."""
    room = arcs.rate * np.maximum(aim_h - arcs.idle_h, 0.0)
    open_row = np.flatnonzero(~ground.safe)
    row_of = np.full(ground.graph.node_count, -1)
    row_of[open_row] = np.arange(len(open_row))
    count = len(arcs.tail)
    into = ~ground.safe[arcs.head]
    rows = np.concatenate([row_of[arcs.tail], row_of[arcs.head[into]]])
    columns = np.concatenate([np.arange(count), np.flatnonzero(into)])
    signs = np.concatenate([np.ones(count), -np.ones(int(into.sum()))])
    balance = csr_array(coo_array((signs, (rows, columns)), shape=(len(open_row), count)))
    wanted = np.zeros(len(open_row))
    for node, persons in supply.items():
        wanted[row_of[node]] = persons
    cost = ground.graph.time_h[arcs.link]
    answer = linprog(cost, A_eq=balance, b_eq=wanted, bounds=np.column_stack([np.zeros(count), room]))
    if answer.x is None:
        return None
    flows: dict[int, dict[int, tuple[int, float]]] = defaultdict(dict)
    least = 1e-7 * max(supply.values())
    out = np.bincount(arcs.tail, weights=np.where(answer.x > least, answer.x, 0.0), minlength=len(row_of))
    for arc in np.flatnonzero(answer.x > least).tolist():
        tail = int(arcs.tail[arc])
        flows[tail][int(arcs.head[arc])] = int(arcs.link[arc]), float(answer.x[arc] / out[tail])
    return dict(flows)


def _describe_groups(
    study: Study,
    mesh: Mesh,
    ground: AccessGround,
    hours: np.ndarray,
    onward: np.ndarray,
    link: np.ndarray,
    drive: _Drive,
) -> tuple[EvacuationGroup, ...]:
    members: dict[int, list[int]] = defaultdict(list)
    load: dict[int, float] = defaultdict(float)
    ways: dict[int, set[int]] = defaultdict(set)
    for row in np.flatnonzero(ground.zone).tolist():
        node = ground.places[row].node
        if node < 0 or np.isinf(hours[node]):
            continue
        used = []
        while onward[node] >= 0:
            used.append(int(link[node]))
            load[used[-1]] += ground.places[row].persons
            node = int(onward[node])
        members[node].append(row)
        ways[node] |= set(used)
    capacity = ground.graph.capacity
    groups = []
    for node, rows in members.items():
        narrow = max(ways[node], key=lambda one: (load[one] / capacity[one], -one), default=-1)
        cell = int(ground.graph.cells[node])
        groups.append(
            EvacuationGroup(
                exit=f"{int(mesh.cells[cell]):x}",
                name=describe_place(study, float(mesh.lon[cell]), float(mesh.lat[cell])),
                places=tuple(ground.places[row].place for row in rows),
                persons=float(sum(ground.places[row].persons for row in rows)),
                drive_h=float(max(hours[ground.places[row].node] for row in rows)),
                clear_h=float(max((drive.passed_h[one] for one in ways[node]), default=0.0)),
                narrow=_name_link(study, mesh, ground, narrow),
                narrow_vehicles_per_hour=float(capacity[narrow]) if narrow >= 0 else float("inf"),
            )
        )
    return tuple(sorted(groups, key=lambda one: (-one.clear_h, one.exit)))


def _name_link(study: Study, mesh: Mesh, ground: AccessGround, link: int) -> str:
    """Name a stretch of road by its road and the town near its middle."""
    if link < 0:
        return ""
    edges = ground.graph.edges[link]
    edge = int(edges[len(edges) // 2])
    place = describe_place(study, float(mesh.lon[mesh.edge_a[edge]]), float(mesh.lat[mesh.edge_a[edge]]))
    number = int(mesh.road_name[edge])
    name = mesh.road_names[number] if number >= 0 else ""
    return f"{name}, {place}" if name else place
