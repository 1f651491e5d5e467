"""Compiled kernels of the risk draws: times over years on compressed graphs and on the drawn mesh, money.

Those called from Python let other threads run meanwhile.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from abatis.barrier._paths import find_guided
from abatis.ground._search import BUCKETS, NOWHERE, _link, _put_back, _unlink

HEXAGON_DETOUR = 6 / math.pi * (0.5 + (1 - math.cos(math.pi / 6)) / math.sqrt(3))
UNITS_PER_H = 2.0**36


@njit(cache=True)
def snap(hours: float) -> float:
    """Round to multiples of 2^-36 h, as `ground.exact_times` does."""
    return np.rint(hours * UNITS_PER_H) / UNITS_PER_H


@njit(cache=True, nogil=True)
def measure_years(
    start: np.ndarray,
    head: np.ndarray,
    base_h: np.ndarray,
    candidate: np.ndarray,
    guide_h: np.ndarray,
    source: int,
    target: int,
    entry_start: np.ndarray,
    entry_pair: np.ndarray,
    entry_growth: np.ndarray,
    rows: np.ndarray,
    pair_delay_h: np.ndarray,
    pair_year: np.ndarray,
    growth: np.ndarray,
    hours: np.ndarray,
) -> None:
    """Write the arrival time of one approach for some draws and all years into `hours` [D, Y].

    `entry_start`, `entry_pair` list per candidate the works that delay it; `pair_delay_h` [D, P] their
    drawn delays and `pair_year` [D, P] the first year row in which they hold; `entry_growth` the row of each
    in `growth` [G, A], the share of the delay by age in years. Only `rows` are measured.
    """
    count = len(start) - 1
    distance = np.empty(count)
    parent = np.empty(count, np.int64)
    keys = np.empty(len(head) + 16)
    items = np.empty(len(head) + 16, np.int32)
    extra_h = np.zeros(max(1, len(entry_start) - 1))
    route = np.empty(count, np.int64)
    for d in rows:
        size = 0
        for year in range(hours.shape[1]):
            # Works only add time: a route that no new work touches stays the fastest.
            if year > 0 and not _meets_year(
                route[:size], entry_start, entry_pair, entry_growth, pair_year[d], growth, year
            ):
                hours[d, year] = hours[d, year - 1]
                continue
            for one in range(len(entry_start) - 1):
                total = 0.0
                for entry in range(entry_start[one], entry_start[one + 1]):
                    pair = entry_pair[entry]
                    share = growth[entry_growth[entry]]
                    total += _grow(pair_delay_h[d, pair], share, year - pair_year[d, pair])
                extra_h[one] = total
            hours[d, year] = find_guided(
                start,
                head,
                base_h,
                candidate,
                extra_h,
                guide_h,
                source,
                target,
                distance,
                parent,
                keys,
                items,
            )
            size = _list_crossed(start, candidate, parent, target, hours[d, year], route)


@njit(cache=True)
def _list_crossed(
    start: np.ndarray,
    candidate: np.ndarray,
    parent: np.ndarray,
    target: int,
    time_h: float,
    route: np.ndarray,
) -> int:
    """Write the candidates on the route to the target; return their number."""
    size = 0
    if time_h == math.inf:
        return size
    node = target
    while parent[node] != -1:
        arc = parent[node]
        if candidate[arc] >= 0:
            route[size] = candidate[arc]
            size += 1
        node = np.searchsorted(start, arc, side="right") - 1
    return size


@njit(cache=True)
def _grow(delay_h: float, growth: np.ndarray, age: int) -> float:
    """Delay of a work of this age; 0 before it holds."""
    if age < 0:
        return 0.0
    return snap(delay_h * growth[min(age, len(growth) - 1)])


@njit(cache=True)
def _meets_year(
    route: np.ndarray,
    entry_start: np.ndarray,
    entry_pair: np.ndarray,
    entry_growth: np.ndarray,
    pair_year: np.ndarray,
    growth: np.ndarray,
    year: int,
) -> bool:
    """Say whether a work on one of these rows begins to hold, or grows, in this year."""
    for one in route:
        for entry in range(entry_start[one], entry_start[one + 1]):
            pair = entry_pair[entry]
            if pair < 0:
                continue
            age = year - pair_year[pair]
            share = growth[entry_growth[entry]]
            last = len(share) - 1
            if age == 0 or (age > 0 and share[min(age, last)] != share[min(age - 1, last)]):
                return True
    return False


@njit(cache=True, nogil=True)
def meets_year(
    route: np.ndarray,
    entry_start: np.ndarray,
    entry_open: np.ndarray,
    entry_road: np.ndarray,
    pair_year: np.ndarray,
    pair_growth: np.ndarray,
    year: int,
) -> bool:
    """Say whether a work on one of these touched edges begins to hold, or grows, in this year."""
    return _meets_year(
        route, entry_start, entry_open, entry_open, pair_year, pair_growth[0], year
    ) or _meets_year(route, entry_start, entry_road, entry_road, pair_year, pair_growth[1], year)


@njit(cache=True, nogil=True)
def spread_money(
    first_year: np.ndarray,
    last_year: np.ndarray,
    late_years: np.ndarray,
    paid_eur: np.ndarray,
    share: np.ndarray,
    extra_eur: np.ndarray,
    spend_eur: np.ndarray,
) -> None:
    """Add what the built options cost in each draw to `spend_eur` [D, F, Y + 1] (last: after the years).

    `first_year`, `last_year` [B] rows of the building years, 0 or later; `late_years` [D, B]; `paid_eur`
    [B, F, H] planned payments; `extra_eur` [D, B, F] what the draw adds, paid by `share` [B, F, H].

    In words: payments are stretched evenly over the building years and the late ones.
    """
    horizon = spend_eur.shape[2] - 1
    for d in range(spend_eur.shape[0]):
        for option in range(len(first_year)):
            first = first_year[option]
            span = last_year[option] - first + 1
            whole = span + late_years[d, option]
            for fund in range(spend_eur.shape[1]):
                extra = extra_eur[d, option, fund]
                for year in range(span):
                    part = paid_eur[option, fund, first + year] + extra * share[option, fund, first + year]
                    if part == 0.0:
                        continue
                    if whole == span:
                        spend_eur[d, fund, min(first + year, horizon)] += part
                        continue
                    # The planned year covers year * whole / span to (year + 1) * whole / span.
                    for other in range(year * whole // span, min(whole, (year + 1) * whole // span + 1)):
                        begin = max(other * span, year * whole)
                        end = min((other + 1) * span, (year + 1) * whole)
                        if end > begin:
                            piece = part * (end - begin) / whole
                            spend_eur[d, fund, min(first + other, horizon)] += piece


@njit(cache=True, nogil=True)
def compute_slowness(
    cover: np.ndarray,
    slope: np.ndarray,
    soil: np.ndarray,
    cover_root: np.ndarray,
    slope_root: np.ndarray,
    soil_root: np.ndarray,
    base_kmh: float,
    slowness: np.ndarray,
) -> None:
    """Write hours per km of each cell [N]; `*_root` are square roots of factors, `soil_root` [1 or N, 4]."""
    single = soil_root.shape[0] == 1
    for cell in range(cover.shape[0]):
        a = 0.0
        for k in range(cover.shape[1]):
            a += cover[cell, k] * cover_root[k]
        b = 0.0
        for k in range(slope.shape[1]):
            b += slope[cell, k] * slope_root[k]
        c = 0.0
        row = 0 if single else cell
        for k in range(soil.shape[1]):
            c += soil[cell, k] * soil_root[row, k]
        speed = base_kmh * (a * a) * (b * b) * (c * c)
        slowness[cell] = 1.0 / speed if speed > 0.0 else math.inf


@njit(cache=True, inline="always")
def _time_open(
    e: int,
    edge_a: np.ndarray,
    edge_b: np.ndarray,
    distance_km: np.ndarray,
    crossing_h: np.ndarray,
    slowness: np.ndarray,
) -> float:
    """Hours across country over one edge; distance_km is inf where the edge is closed to it."""
    both = slowness[edge_a[e]] + slowness[edge_b[e]]
    return snap(distance_km[e] / 2 * both / HEXAGON_DETOUR + crossing_h[e])


@njit(cache=True, nogil=True)
def fill_slots(
    edge_a: np.ndarray,
    edge_b: np.ndarray,
    position: np.ndarray,
    distance_km: np.ndarray,
    crossing_h: np.ndarray,
    slowness: np.ndarray,
    road_edge: np.ndarray,
    road_h: np.ndarray,
    slot_h: np.ndarray,
) -> None:
    """Write the undelayed time of every edge to both its places in `slot_h` [N * 6]."""
    for e in range(len(edge_a)):
        time_h = _time_open(e, edge_a, edge_b, distance_km, crossing_h, slowness)
        slot_h[position[e, 0]] = time_h
        slot_h[position[e, 1]] = time_h
    for r in range(len(road_edge)):
        for side in range(2):
            place = position[road_edge[r], side]
            slot_h[place] = min(slot_h[place], road_h[r])


@njit(cache=True, nogil=True)
def delay_slots(
    touched: np.ndarray,
    edge_a: np.ndarray,
    edge_b: np.ndarray,
    position: np.ndarray,
    distance_km: np.ndarray,
    crossing_h: np.ndarray,
    slowness: np.ndarray,
    touched_road_h: np.ndarray,
    entry_start: np.ndarray,
    entry_open: np.ndarray,
    entry_road: np.ndarray,
    pair_delay_h: np.ndarray,
    pair_year: np.ndarray,
    pair_growth: np.ndarray,
    year: int,
    slot_h: np.ndarray,
) -> None:
    """Write the delayed times of the touched edges for one year; `pair_*` [P] are those of one draw.

    `pair_growth` [2, P, A]: shares by age on open ground and on roads.
    """
    for i in range(len(touched)):
        e = touched[i]
        open_h = _time_open(e, edge_a, edge_b, distance_km, crossing_h, slowness)
        road_h = touched_road_h[i]
        for entry in range(entry_start[i], entry_start[i + 1]):
            pair = entry_open[entry]
            if pair >= 0:
                open_h += _grow(pair_delay_h[pair], pair_growth[0, pair], year - pair_year[pair])
            pair = entry_road[entry]
            if pair >= 0:
                road_h += _grow(pair_delay_h[pair], pair_growth[1, pair], year - pair_year[pair])
        slot_h[position[e, 0]] = min(open_h, road_h)
        slot_h[position[e, 1]] = min(open_h, road_h)


@njit(cache=True, nogil=True)
def search_marked(
    neighbor: np.ndarray,
    slot_h: np.ndarray,
    seeds: np.ndarray,
    mark: np.ndarray,
    width_h: float,
    times: np.ndarray,
    link: np.ndarray,
    ends: np.ndarray,
    best: np.ndarray,
    found: np.ndarray,
) -> int:
    """Write the least time to the nearest cell of each mark into `best`, that cell into `found` (-1 none).

    Returns the number of cells handled.

    `slot_h` [N * 6]; `mark` int8[N], -1 where a cell is not asked for. The bucket search of
    `ground._search.search_all`, which ends once nothing can come nearer to the farthest mark.
    """
    times[:] = math.inf
    link[:] = NOWHERE
    ends[:] = -1
    best[:] = math.inf
    found[:] = -1
    scale = 1.0 / width_h
    limit_h = math.inf
    waiting = 0
    handled = 0
    turn = 0
    for s in seeds:
        if times[s] > 0.0:
            times[s] = 0.0
            if mark[s] >= 0:
                best[mark[s]] = 0.0
                found[mark[s]] = s
            _link(s, 0, ends, link)
            waiting += 1
    limit_h = best.max()
    while waiting > 0 and turn <= limit_h * scale:
        slot = turn & (BUCKETS - 1)
        cell = ends[slot, 0]
        while cell >= 0:
            _unlink(cell, ends, link)
            here = np.uint64(cell)
            base = times[here]
            if np.int64(base * scale) > turn:
                _link(cell, BUCKETS, ends, link)
                cell = ends[slot, 0]
                continue
            waiting -= 1
            handled += 1
            for k in range(np.uint64(6)):
                total = base + slot_h[here * np.uint64(6) + k]
                if total == math.inf or total > limit_h:
                    continue
                other = neighbor[here, k]
                there = np.uint64(other)
                if total < times[there]:
                    times[there] = total
                    if mark[there] >= 0 and total < best[mark[there]]:
                        best[mark[there]] = total
                        found[mark[there]] = other
                        limit_h = best.max()
                    if link[there, 1] == NOWHERE:
                        waiting += 1
                    else:
                        _unlink(other, ends, link)
                    _link(other, int(total * scale) & (BUCKETS - 1), ends, link)
            cell = ends[slot, 0]
        _put_back(slot, BUCKETS, ends, link)
        turn += 1
    return handled


@njit(cache=True, nogil=True)
def list_touched(
    neighbor: np.ndarray,
    slot_h: np.ndarray,
    slot_touched: np.ndarray,
    times: np.ndarray,
    found: np.ndarray,
    route: np.ndarray,
) -> int:
    """Write the touched edges on the routes from the found cells back to the seeds; return their number."""
    size = 0
    for last in found:
        cell = last
        while cell >= 0 and times[cell] > 0.0:
            for k in range(6):
                other = neighbor[cell, k]
                if other >= 0 and times[other] + slot_h[6 * cell + k] == times[cell]:
                    if slot_touched[6 * cell + k] >= 0 and size < len(route):
                        route[size] = slot_touched[6 * cell + k]
                        size += 1
                    cell = other
                    break
    return size
