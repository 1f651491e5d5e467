"""Compiled search for a plan that reaches target arrival times: swap options while routes are too fast."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from abatis.barrier._fill import SMALL_COST, JoinedGraphs, OptionTable, Scratch, find_way, switch_option

MOST_SAMPLED = 40
BAN_STEPS = 2
WORK_DONE, BETTER, FULL, OVER = range(4)


class Routes(NamedTuple):
    """Routes found so far, options on them, and how far the present choice delays each.

    Entries `start[r]` to `start[r + 1]` are the options of route r, with `delay_h` each; `first` and
    `following` link the entries of one option. `broken` lists the routes that are too fast now, by more than
    `room_h`.
    """

    start: np.ndarray
    base_h: np.ndarray
    approach: np.ndarray
    weight: np.ndarray
    need_h: np.ndarray
    delayed_h: np.ndarray
    broken: np.ndarray
    place: np.ndarray
    option: np.ndarray
    delay_h: np.ndarray
    owner: np.ndarray
    following: np.ndarray
    first: np.ndarray
    counts: np.ndarray
    room_h: float


class Swaps(NamedTuple):
    """The present choice, and until which step a dropped option stays away; `clock` counts steps and work."""

    trial: np.ndarray
    chosen: np.ndarray
    chosen_place: np.ndarray
    banned_until: np.ndarray
    changed: np.ndarray
    mark: np.ndarray
    clock: np.ndarray


ROUTES, BROKEN, CHOSEN = range(3)
STEP, WORK = range(2)


@njit(cache=True, nogil=True)
def link_entries(routes: Routes) -> None:
    """Link the entries of each option anew."""
    routes.first[:] = -1
    for route in range(routes.counts[ROUTES]):
        for entry in range(routes.start[route], routes.start[route + 1]):
            routes.owner[entry] = route
            routes.following[entry] = routes.first[routes.option[entry]]
            routes.first[routes.option[entry]] = entry


@njit(cache=True, nogil=True)
def note_route(route: int, routes: Routes) -> None:
    """Put a route on the list of broken ones, or take it off."""
    broken = routes.delayed_h[route] < routes.need_h[route] - routes.room_h
    place = routes.place[route]
    if broken and place < 0:
        routes.place[route] = routes.counts[BROKEN]
        routes.broken[routes.counts[BROKEN]] = route
        routes.counts[BROKEN] += 1
    elif not broken and place >= 0:
        routes.counts[BROKEN] -= 1
        last = routes.broken[routes.counts[BROKEN]]
        routes.broken[place] = last
        routes.place[last] = place
        routes.place[route] = -1


@njit(cache=True, nogil=True)
def shift_option(
    option: int, sign: float, table: OptionTable, scratch: Scratch, routes: Routes, swaps: Swaps
) -> None:
    """Choose (sign 1) or give back (sign -1) an option and count what it does to the known routes."""
    switch_option(option, sign, swaps.trial, table, scratch)
    if sign > 0:
        swaps.chosen_place[option] = routes.counts[CHOSEN]
        swaps.chosen[routes.counts[CHOSEN]] = option
        routes.counts[CHOSEN] += 1
    else:
        routes.counts[CHOSEN] -= 1
        last = swaps.chosen[routes.counts[CHOSEN]]
        swaps.chosen[swaps.chosen_place[option]] = last
        swaps.chosen_place[last] = swaps.chosen_place[option]
    entry = routes.first[option]
    while entry >= 0:
        route = routes.owner[entry]
        routes.delayed_h[route] += sign * routes.delay_h[entry]
        note_route(route, routes)
        swaps.clock[WORK] += 1
        entry = routes.following[entry]


@njit(cache=True, nogil=True)
def begin_target(
    choice: np.ndarray,
    target_h: np.ndarray,
    table: OptionTable,
    scratch: Scratch,
    routes: Routes,
    swaps: Swaps,
) -> None:
    """Start from a choice towards other arrival times, float64[K]."""
    scratch.extra_h[:] = 0.0
    scratch.usage[:] = 0.0
    scratch.at_site[:] = -1
    swaps.trial[:] = 0.0
    swaps.banned_until[:] = 0
    swaps.changed[:] = 0
    swaps.clock[STEP] = 0
    routes.counts[CHOSEN] = 0
    swaps.clock[WORK] += routes.counts[ROUTES] + len(choice)
    for route in range(routes.counts[ROUTES]):
        routes.delayed_h[route] = 0.0
        routes.weight[route] = 1.0
        routes.need_h[route] = target_h[routes.approach[route]] - routes.base_h[route]
        note_route(route, routes)
    for option in range(len(choice)):
        if choice[option] > 0.5:
            shift_option(option, 1.0, table, scratch, routes, swaps)


@njit(cache=True, nogil=True)
def add_route(
    k: int,
    target_h: np.ndarray,
    table: OptionTable,
    scratch: Scratch,
    routes: Routes,
    swaps: Swaps,
) -> int:
    """Remember the route that approach k takes now; OVER when no options delay it enough, or FULL."""
    route = routes.counts[ROUTES]
    if route + 1 >= len(routes.start):
        return FULL
    first = routes.start[route]
    end = first
    delayed_h = 0.0
    most_h = 0.0
    room = True
    for index in range(scratch.way_count[k]):
        crossed = scratch.ways[k, index]
        delayed_h += scratch.extra_h[crossed]
        for place in range(table.candidate_start[crossed], table.candidate_start[crossed + 1]):
            option = table.candidate_option[place]
            most_h += table.candidate_delay_h[place]
            if swaps.mark[option] >= 0:
                routes.delay_h[swaps.mark[option]] += table.candidate_delay_h[place]
            elif end < len(routes.option):
                swaps.mark[option] = end
                routes.option[end] = option
                routes.delay_h[end] = table.candidate_delay_h[place]
                end += 1
            else:
                room = False
    for entry in range(first, end):
        swaps.mark[routes.option[entry]] = -1
    if not room:
        return FULL
    for entry in range(first, end):
        routes.owner[entry] = route
        routes.following[entry] = routes.first[routes.option[entry]]
        routes.first[routes.option[entry]] = entry
    routes.start[route + 1] = end
    routes.base_h[route] = scratch.times[k] - delayed_h
    routes.approach[route] = k
    routes.weight[route] = 1.0
    routes.need_h[route] = target_h[k] - routes.base_h[route]
    routes.delayed_h[route] = delayed_h
    routes.place[route] = -1
    routes.counts[ROUTES] += 1
    note_route(route, routes)
    swaps.clock[WORK] += end - first
    return OVER if most_h < routes.need_h[route] - routes.room_h else WORK_DONE


@njit(cache=True, nogil=True)
def measure_gain(option: int, routes: Routes, swaps: Swaps) -> float:
    """What an option would add to the broken routes: weighted shares of what they need."""
    gain = 0.0
    entry = routes.first[option]
    while entry >= 0:
        route = routes.owner[entry]
        short_h = routes.need_h[route] - routes.delayed_h[route]
        if short_h > routes.room_h:
            gain += routes.weight[route] * min(short_h, routes.delay_h[entry]) / routes.need_h[route]
        swaps.clock[WORK] += 1
        entry = routes.following[entry]
    return gain


@njit(cache=True, nogil=True)
def measure_loss(option: int, most: float, routes: Routes, swaps: Swaps) -> float:
    """What the routes would lose with an option, in the same shares; counting ends above `most`."""
    loss = 0.0
    entry = routes.first[option]
    while entry >= 0 and loss <= most:
        route = routes.owner[entry]
        short_h = routes.need_h[route] - routes.delayed_h[route]
        after_h = short_h + routes.delay_h[entry]
        if after_h > routes.room_h and routes.need_h[route] > routes.room_h:
            loss += routes.weight[route] * (after_h - max(0.0, short_h)) / routes.need_h[route]
        swaps.clock[WORK] += 1
        entry = routes.following[entry]
    return loss


@njit(cache=True, nogil=True)
def choose_added(
    route: int,
    table: OptionTable,
    scratch: Scratch,
    routes: Routes,
    swaps: Swaps,
    random: np.random.Generator,
) -> int:
    """The option on a broken route that gains most per cost, of at most `MOST_SAMPLED` drawn; -1 none."""
    first, count = routes.start[route], routes.start[route + 1] - routes.start[route]
    best, best_score = -1, -np.inf
    for index in range(min(count, MOST_SAMPLED)):
        entry = first + (index if count <= MOST_SAMPLED else int(random.random() * count))
        option = routes.option[entry]
        if swaps.trial[option] > 0.5 or swaps.banned_until[option] > swaps.clock[STEP]:
            continue
        present = scratch.at_site[table.site[option]]
        if present >= 0 and table.locked[present]:
            continue
        score = measure_gain(option, routes, swaps) / max(table.cost[option], SMALL_COST)
        if present >= 0:
            lost = measure_loss(present, np.inf, routes, swaps)
            score -= lost / max(table.cost[present], SMALL_COST)
        if score > best_score or (score == best_score and swaps.changed[option] < swaps.changed[best]):
            best, best_score = option, score
    return best


@njit(cache=True, nogil=True)
def choose_dropped(rule: int, added: int, table: OptionTable, routes: Routes, swaps: Swaps) -> int:
    """The chosen option that a rule wants gone and that is missed least per cost; -1 none."""
    best, least = -1, np.inf
    for index in range(routes.counts[CHOSEN]):
        option = swaps.chosen[index]
        if option == added or table.locked[option] or table.rules[rule, option] <= 0.0:
            continue
        cost = max(table.cost[option], SMALL_COST)
        loss = measure_loss(option, least * cost, routes, swaps) / cost
        if loss < least or (loss == least and swaps.changed[option] < swaps.changed[best]):
            best, least = option, loss
    return best


@njit(cache=True, nogil=True)
def find_broken_rule(table: OptionTable, scratch: Scratch) -> int:
    """The first rule that the present choice breaks; -1 none."""
    for rule in range(len(table.limits)):
        if scratch.usage[rule] > table.limits[rule]:
            return rule
    return -1


@njit(cache=True, nogil=True)
def swap_in(added: int, table: OptionTable, scratch: Scratch, routes: Routes, swaps: Swaps) -> None:
    """Choose an option and drop others until all rules are kept; without a way to do so it is given back."""
    step = swaps.clock[STEP]
    present = scratch.at_site[table.site[added]]
    if present >= 0:
        shift_option(present, -1.0, table, scratch, routes, swaps)
        swaps.banned_until[present] = step + BAN_STEPS
    shift_option(added, 1.0, table, scratch, routes, swaps)
    swaps.changed[added] = step
    while True:
        rule = find_broken_rule(table, scratch)
        if rule < 0:
            return
        dropped = choose_dropped(rule, added, table, routes, swaps)
        if dropped < 0:
            dropped = added
        if swaps.trial[dropped] < 0.5:
            return
        shift_option(dropped, -1.0, table, scratch, routes, swaps)
        swaps.changed[dropped] = step
        swaps.banned_until[dropped] = step + BAN_STEPS


@njit(cache=True, nogil=True)
def find_fast_routes(
    target_h: np.ndarray,
    graphs: JoinedGraphs,
    table: OptionTable,
    scratch: Scratch,
    routes: Routes,
    swaps: Swaps,
) -> int:
    """Find the fastest route of every approach and remember those faster than the target."""
    for k in range(len(target_h)):
        find_way(k, graphs, scratch)
        swaps.clock[WORK] += graphs.start[graphs.node_start[k + 1] - 1] - graphs.start[graphs.node_start[k]]
    for k in range(len(target_h)):
        if scratch.times[k] < target_h[k] - routes.room_h:
            answer = add_route(k, target_h, table, scratch, routes, swaps)
            if answer != WORK_DONE:
                return answer
    return WORK_DONE


@njit(cache=True, nogil=True)
def value_times(
    times_h: np.ndarray, member: np.ndarray, weight: np.ndarray, least_h: np.ndarray, level_h: np.ndarray
) -> float:
    """Value of arrival times, -inf when a level misses `least_h`.

    Every level counts its earliest approach (`member` bool[K, L]); `level_h` receives the levels.
    """
    level_h[:] = np.inf
    for k in range(member.shape[0]):
        for level in range(member.shape[1]):
            if member[k, level]:
                level_h[level] = min(level_h[level], times_h[k])
    for level in range(len(level_h)):
        if level_h[level] < least_h[level]:
            return -np.inf
    return float((weight * level_h).sum())


@njit(cache=True, nogil=True)
def aim(
    target_h: np.ndarray,
    member: np.ndarray,
    weight: np.ndarray,
    least_h: np.ndarray,
    above_h: float,
    steps: int,
    work: int,
    graphs: JoinedGraphs,
    table: OptionTable,
    scratch: Scratch,
    routes: Routes,
    swaps: Swaps,
    random: np.random.Generator,
) -> int:
    """Swap options towards the target, up to `steps` since its begin and `work` entries and arcs from now.

    Returns BETTER with a choice worth more than `above_h` in `swaps.trial`, FULL when no route can be added,
    OVER when no choice reaches the target or this one does and is no better, else WORK_DONE.

    In words: a broken route drawn at random gets the option that helps all broken routes most; what is
    missed least makes room for it. Routes that stay broken count more and more, so that the search leaves
    every dead end. When no known route is broken, the graphs are asked for one.
    """
    level_h = np.empty(member.shape[1])
    end = swaps.clock[WORK] + work
    while swaps.clock[STEP] < steps and swaps.clock[WORK] < end:
        swaps.clock[STEP] += 1
        if routes.counts[BROKEN] == 0:
            answer = find_fast_routes(target_h, graphs, table, scratch, routes, swaps)
            if value_times(scratch.times, member, weight, least_h, level_h) > above_h:
                return BETTER
            if answer != WORK_DONE:
                return answer
            if routes.counts[BROKEN] == 0:
                return OVER
        route = routes.broken[int(random.random() * routes.counts[BROKEN])]
        added = choose_added(route, table, scratch, routes, swaps, random)
        if added >= 0:
            swap_in(added, table, scratch, routes, swaps)
        for index in range(routes.counts[BROKEN]):
            routes.weight[routes.broken[index]] += 1.0
        swaps.clock[WORK] += routes.counts[BROKEN] + MOST_SAMPLED
    return WORK_DONE
