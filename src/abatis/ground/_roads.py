"""Compiled kernels of the roads: pairing the ends of features, walking them, cutting roads at cells."""

from __future__ import annotations

import numpy as np
from numba import njit

from abatis.ground._hexgrid import label_point_and_room


@njit(cache=True)
def pair_ends(
    end: np.ndarray, node_start: np.ndarray, way: np.ndarray, name: np.ndarray, partner: np.ndarray
) -> None:
    """Write into `partner` which end continues each end, -1 for none.

    End 2 k is the start of feature k, 2 k + 1 its stop; `end` lists the ends by node; `way` f8[2 P, 2] points
    from an end into its feature; `name` int64[P] is the number of its name, -1 for none.
    """
    for node in range(len(node_start) - 1):
        here = end[node_start[node] : node_start[node + 1]]
        size = len(here)
        if size < 2:
            continue
        # A pair is free (0), taken or not allowed (1); the best free one is taken until none is left.
        gone = np.zeros((size, size), np.uint8)
        while True:
            best, best_turn, best_named, first, second = False, 0.0, False, 0, 0
            for i in range(size):
                for j in range(i + 1, size):
                    one, other = here[i], here[j]
                    if gone[i, j] or partner[one] >= 0 or partner[other] >= 0 or one >> 1 == other >> 1:
                        continue
                    turn = way[one, 0] * way[other, 0] + way[one, 1] * way[other, 1]
                    named = name[one >> 1] >= 0 and name[one >> 1] == name[other >> 1]
                    if not (turn < 0 or size == 2 or named):
                        gone[i, j] = 1
                        continue
                    if not best or (named and not best_named) or (named == best_named and turn < best_turn):
                        best, best_turn, best_named, first, second = True, turn, named, i, j
            if not best:
                break
            partner[here[first]], partner[here[second]] = here[second], here[first]


@njit(cache=True)
def walk_features(partner: np.ndarray, walk: np.ndarray, road_start: np.ndarray) -> int:
    """Write the ends by which features are entered, road by road; return the number of roads.

    Roads begin at ends without a partner; rings that are left begin at their lowest feature.
    """
    features = len(partner) // 2
    used = np.zeros(features, np.bool_)
    roads, count = 0, 0
    for turn in range(2):
        for first in range(2 * features):
            if used[first >> 1] or (turn == 0 and partner[first] >= 0) or (turn == 1 and first & 1):
                continue
            road_start[roads] = count
            roads += 1
            end = first
            while True:
                used[end >> 1] = True
                walk[count] = end
                count += 1
                follower = partner[end ^ 1]
                if follower < 0 or used[follower >> 1]:
                    break
                end = follower
    road_start[roads] = count
    return roads


@njit(cache=True)
def list_points(
    walk: np.ndarray,
    road_start: np.ndarray,
    first: np.ndarray,
    point: np.ndarray,
    feature: np.ndarray,
    point_start: np.ndarray,
) -> int:
    """Write the points of each road and the feature that begins at each point (-1 at a road's last point).

    `first` int64[P + 1] says where the points of each feature start. Returns the number of points.
    """
    count = 0
    for road in range(len(road_start) - 1):
        point_start[road] = count
        for place in range(road_start[road], road_start[road + 1]):
            own = walk[place] >> 1
            size = first[own + 1] - first[own]
            skip = 0 if place == road_start[road] else 1
            for k in range(skip, size):
                point[count] = first[own] + (k if walk[place] & 1 == 0 else size - 1 - k)
                feature[count] = own
                count += 1
            # The piece that begins at the point shared with the feature before belongs to this one.
            if skip:
                feature[count - size] = own
        feature[count - 1] = -1
    point_start[len(road_start) - 1] = count
    return count


@njit(cache=True)
def sum_along(step_m: np.ndarray, first: np.ndarray, along: np.ndarray) -> None:
    """Write each point's distance from the start of its road; `step_m` leads from a point to the next."""
    for road in range(len(first) - 1):
        total = 0.0
        for k in range(first[road], first[road + 1]):
            along[k] = total
            total += step_m[k]


@njit(cache=True)
def _find_cell(
    place: float,
    k: int,
    along: np.ndarray,
    points: np.ndarray,
    normal: np.ndarray,
    axis_a: np.ndarray,
    axis_b: np.ndarray,
    outward: np.ndarray,
    reach: float,
    extent: np.ndarray,
    coarse: np.ndarray,
    fine: np.ndarray,
) -> tuple[int, float]:
    """Row of the cell at a place between points k and k + 1, and its room in lattice units."""
    long = along[k + 1] - along[k]
    share = (place - along[k]) / long if long > 0 else 0.0
    lon = points[k, 0] + share * (points[k + 1, 0] - points[k, 0])
    lat = points[k, 1] + share * (points[k + 1, 1] - points[k, 1])
    return label_point_and_room(lon, lat, normal, axis_a, axis_b, outward, reach, extent, coarse, fine)


@njit(cache=True)
def cut_road(
    points: np.ndarray,
    along: np.ndarray,
    step_m: float,
    room_m: float,
    halvings: int,
    normal: np.ndarray,
    axis_a: np.ndarray,
    axis_b: np.ndarray,
    outward: np.ndarray,
    reach: float,
    extent: np.ndarray,
    coarse: np.ndarray,
    fine: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells int64[R] that a road runs through in turn, and where each run ends, f8[R].

    The road is looked at at its own points and every `step_m`; a change of cell is then found by halving.
    Places that cannot have left the cell are passed over: it takes at least `room_m` to move by one lattice
    unit.
    """
    total = along[-1]
    samples = max(2, int(np.ceil(total / step_m)) + 1)
    cells, stops = np.empty(64, np.int64), np.empty(64)
    count, k, sample = 0, 0, 1
    before, sure_m = 0.0, 0.0
    cell, room = _find_cell(
        0.0, 0, along, points, normal, axis_a, axis_b, outward, reach, extent, coarse, fine
    )
    sure_m = room * room_m
    while before < total:
        regular = total if sample >= samples - 1 else sample * (total / (samples - 1))
        place = min(regular, along[k + 1])
        if place > sure_m or place == total:
            now, room = _find_cell(
                place, k, along, points, normal, axis_a, axis_b, outward, reach, extent, coarse, fine
            )
            sure_m = place + room * room_m
        else:
            now = cell
        if now != cell:
            low, high = before, place
            for _ in range(halvings):
                middle = (low + high) / 2
                there, _ = _find_cell(
                    middle, k, along, points, normal, axis_a, axis_b, outward, reach, extent, coarse, fine
                )
                if there == cell:
                    low = middle
                else:
                    high = middle
            if count + 2 > len(cells):
                cells = np.concatenate((cells, np.empty_like(cells)))
                stops = np.concatenate((stops, np.empty_like(stops)))
            cells[count], stops[count] = cell, (low + high) / 2
            count += 1
            cell = now
        before = place
        if place >= regular:
            sample += 1
        while k < len(along) - 2 and along[k + 1] <= place:
            k += 1
    cells[count], stops[count] = cell, total
    return cells[: count + 1], stops[: count + 1]


@njit(cache=True)
def _close_chain(stack: np.ndarray, size: int, total: float, steps: np.ndarray, count: int) -> int:
    """Write the steps of one unbroken chain; where the road itself begins or ends, up to its very end."""
    for k in range(size - 1):
        start = (stack[k, 1] + stack[k, 2]) / 2
        if k == 0 and stack[k, 1] == 0.0:
            start = stack[k, 1]
        stop = (stack[k + 1, 1] + stack[k + 1, 2]) / 2
        if k + 2 == size and stack[k + 1, 2] == total:
            stop = stack[k + 1, 2]
        row = (stack[k, 0], stack[k + 1, 0], start, stop, 0.0)
        for column in range(5):
            steps[count, column] = row[column]
        count += 1
    return count


@njit(cache=True)
def chain_runs(cells: np.ndarray, stops: np.ndarray, loop_m: float) -> np.ndarray:
    """Return steps f8[S, 5]: cell, next cell, from m, to m, 1 for a spur.

    A road that leaves a cell and soon comes back stays one run of that cell; the cells of the kink become
    spurs.
    """
    steps = np.empty((4 * len(cells) + 4, 5))
    stack = np.empty((len(cells) + 1, 3))
    count, size, start, total = 0, 0, 0.0, stops[-1]
    for run in range(len(cells)):
        cell, stop = cells[run], stops[run]
        if cell < 0:
            count, size = _close_chain(stack, size, total, steps, count), 0
            start = stop
            continue
        back = size - 1
        # Runs lie on the stack in the order of the road: once one ended too far back all others did.
        while back >= 0 and start - stack[back, 2] <= loop_m and stack[back, 0] != cell:
            back -= 1
        if back >= 0 and start - stack[back, 2] > loop_m:
            back = -1
        stack[size, 0], stack[size, 1], stack[size, 2] = cell, start, stop
        size += 1
        if back >= 0:
            for k in range(back, size - 1):
                row = (
                    stack[k, 0], stack[k + 1, 0], (stack[k, 1] + stack[k, 2]) / 2,
                    (stack[k + 1, 1] + stack[k + 1, 2]) / 2, 1.0,
                )  # fmt: skip
                for column in range(5):
                    steps[count, column] = row[column]
                count += 1
            stack[back, 2] = stop
            size = back + 1
        start = stop
    return steps[: _close_chain(stack, size, total, steps, count)]


@njit(cache=True)
def step_roads(
    points: np.ndarray,
    along: np.ndarray,
    first: np.ndarray,
    step_m: float,
    room_m: float,
    halvings: int,
    loop_m: float,
    normal: np.ndarray,
    axis_a: np.ndarray,
    axis_b: np.ndarray,
    outward: np.ndarray,
    reach: float,
    extent: np.ndarray,
    coarse: np.ndarray,
    fine: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the steps of all roads f8[S, 5], their road int64[S], and the point their middle follows."""
    table = np.empty((1024, 5))
    road_of, point_of = np.empty(1024, np.int64), np.empty(1024, np.int64)
    count = 0
    for road in range(len(first) - 1):
        low, high = first[road], first[road + 1]
        own = along[low:high]
        cells, stops = cut_road(
            points[low:high],
            own,
            step_m,
            room_m,
            halvings,
            normal,
            axis_a,
            axis_b,
            outward,
            reach,
            extent,
            coarse,
            fine,
        )
        steps = chain_runs(cells, stops, loop_m)
        while count + len(steps) > len(table):
            table = np.concatenate((table, np.empty_like(table)))
            road_of = np.concatenate((road_of, np.empty_like(road_of)))
            point_of = np.concatenate((point_of, np.empty_like(point_of)))
        for k in range(len(steps)):
            table[count] = steps[k]
            road_of[count] = road
            piece = np.searchsorted(own, (steps[k, 2] + steps[k, 3]) / 2) - 1
            point_of[count] = low + min(max(piece, 0), high - low - 2)
            count += 1
    return table[:count], road_of[:count], point_of[:count]
