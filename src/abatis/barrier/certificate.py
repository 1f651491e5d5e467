"""Re-check a plan without any solver: times by plain Dijkstra, cost, rules, and the bound from its proof."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from abatis.model.plan import Problem, find_grain, hash_problem

FORMAT = 1
SAFETY = 1e-12
CLOSE = 1e-9


def check_certificate(problem: Problem, certificate: Mapping[str, Any]) -> list[str]:
    """Check a certificate against the problem it claims to be about.

    Parameters
    ----------
    problem : the problem, built afresh from the study.
    certificate : the values of `certificate.json`.

    Returns
    -------
    Every reason why the certificate does not hold, in words; empty when it holds.

    In words: the chosen options must keep budget and rules; the value must equal the arrival times found by
    plain Dijkstra; every path must be a way of its approach; the leaves must cover the whole search space;
    and in every leaf the multipliers must prove the bound (weak duality, sums rounded upwards).
    """
    if certificate.get("format") != FORMAT:
        return [f"format {certificate.get('format')!r} is not {FORMAT}"]
    if certificate["problem"] != hash_problem(problem):
        return ["it was made for another problem: study, mesh, sites or options have changed"]
    reasons = _check_choice(problem, certificate)
    reasons += _check_value(problem, certificate)
    reasons += _check_root(problem, certificate)
    paths, wrong = _read_paths(problem, certificate["paths"])
    reasons += wrong
    if not wrong:
        reasons += _check_tree(problem, certificate, paths)
    return reasons


def measure_arrivals(problem: Problem, delay_open_h: np.ndarray, delay_road_h: np.ndarray) -> list[float]:
    """Arrival time of every approach by plain Dijkstra, delays float64[E] added per mode."""
    neighbors: list[list[tuple[int, int]]] = [[] for _ in range(problem.node_count)]
    for edge, (tail, head) in enumerate(zip(problem.tail.tolist(), problem.head.tolist(), strict=True)):
        neighbors[tail].append((head, edge))
        if not problem.directed:
            neighbors[head].append((tail, edge))
    arrivals = []
    for k in range(problem.approach_count):
        group = problem.approach_group[k]
        hours = np.minimum(
            problem.open_h[group] + delay_open_h, problem.road_h[group] + delay_road_h
        ).tolist()
        goals = set(problem.approach_targets[k].tolist())
        queue = [(0.0, int(node)) for node in problem.approach_sources[k]]
        best = {node: 0.0 for _, node in queue}
        arrival = math.inf
        while queue:
            reached, node = heapq.heappop(queue)
            if node in goals:
                arrival = reached
                break
            if reached > best[node]:
                continue
            for other, edge in neighbors[node]:
                total = reached + hours[edge]
                if total < best.get(other, math.inf):
                    best[other] = total
                    heapq.heappush(queue, (total, other))
        arrivals.append(arrival)
    return arrivals


def add_delays(
    problem: Problem, chosen: Sequence[int], longest: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Delays per edge and mode of the chosen options; `longest` counts only the longest of each site."""
    delays = np.zeros((2, len(problem.tail)))
    for mode, hours in enumerate((problem.option_open_h, problem.option_road_h)):
        of_site: dict[tuple[int, int], float] = {}
        for option in chosen:
            for entry in range(problem.option_start[option], problem.option_start[option + 1]):
                owner = int(problem.option_site[option]) if longest else int(option)
                key = (owner, int(problem.option_edge[entry]))
                of_site[key] = max(of_site.get(key, 0.0), float(hours[entry]))
        for (_, edge), hour in of_site.items():
            delays[mode, edge] += hour
    return delays[0], delays[1]


def _check_choice(problem: Problem, certificate: Mapping[str, Any]) -> list[str]:
    chosen, budget = certificate["chosen"], certificate["budget_eur"]
    sites = problem.option_site[chosen]
    reasons = []
    if len(set(sites.tolist())) < len(sites):
        reasons.append("two options are chosen at one site")
    cost = float(problem.option_cost_eur[chosen].sum())
    if cost > budget * (1 + CLOSE):
        reasons.append(f"the plan costs {cost:,.2f} EUR, more than the budget of {budget:,.2f} EUR")
    choice = np.zeros(problem.option_count)
    choice[chosen] = 1.0
    for rule in problem.rules:
        if rule.coefficients @ choice[rule.options] > rule.limit + CLOSE * max(1.0, abs(rule.limit)):
            reasons.append(f"rule '{rule.name}' is broken")
    return reasons


def _check_value(problem: Problem, certificate: Mapping[str, Any]) -> list[str]:
    after = measure_arrivals(problem, *add_delays(problem, certificate["chosen"]))
    least = problem.least_hours.items()
    broken = [k for k, hours in least if after[k] < hours - CLOSE]
    reasons = [f"rule '{problem.least_hours_names[k]}' is broken" for k in broken]
    value = min(after) if problem.objective == "minimum" else float(problem.approach_weight @ np.array(after))
    claimed = certificate["value_h"]
    if abs(value - claimed) > CLOSE * max(1.0, abs(value)):
        reasons.append(f"the value is {value:.9f} h, not {claimed:.9f} h")
    if certificate["bound_h"] < value - CLOSE * max(1.0, abs(value)):
        reasons.append("the bound lies below the value")
    return reasons


def _check_root(problem: Problem, certificate: Mapping[str, Any]) -> list[str]:
    """The root box must hold every plan: no faster than without barriers, no slower than with all of them."""
    none = np.zeros(len(problem.tail))
    before = measure_arrivals(problem, none, none)
    slowest = measure_arrivals(problem, *add_delays(problem, range(problem.option_count), longest=True))
    levels = certificate["levels"]
    own = problem.approach_weight.tolist() if problem.objective == "sum" else [1.0]
    reasons = [] if levels["weight"][: len(own)] == own else ["the weights are not the study's"]
    boxes = zip(levels["weight"], levels["low_h"], levels["high_h"], strict=True)
    for level, (weight, low, high) in enumerate(boxes):
        members = [k for k, of in enumerate(levels["of_approach"]) if level in of]
        expected = [level] if problem.objective == "sum" else list(range(len(before)))
        if level < len(own) and members != expected:
            reasons.append(f"level {level} does not stand for its approaches")
        if level >= len(own) and (weight != 0.0 or len(members) != 1):
            reasons.append(f"level {level} is not one rule's")
        floor = min(before[k] for k in members)
        if weight == 0.0 or problem.objective == "sum":
            floor = max([floor] + [problem.least_hours.get(k, 0.0) for k in members])
        ceiling = max(min(slowest[k] for k in members), floor)
        if low > floor + CLOSE * floor or high < ceiling - CLOSE * ceiling:
            reasons.append(f"the root box of level {level} leaves out possible times")
    return reasons


def _read_paths(problem: Problem, paths: Sequence[Any]) -> tuple[list[Any], list[str]]:
    """Walk every path; returns per path its level, hours and delay per option, and what is wrong."""
    entries: dict[int, list[tuple[int, float, float]]] = {}
    for option in range(problem.option_count):
        for entry in range(problem.option_start[option], problem.option_start[option + 1]):
            open_h, road_h = float(problem.option_open_h[entry]), float(problem.option_road_h[entry])
            entries.setdefault(int(problem.option_edge[entry]), []).append((option, open_h, road_h))
    read: list[Any] = []
    reasons: list[str] = []
    for number, (approach, level, steps) in enumerate(paths):
        group = problem.approach_group[approach]
        ends = set(problem.approach_sources[approach].tolist())
        way_h: list[float] = []
        delays: dict[int, float] = {}
        for step in steps:
            edge, mode = divmod(step, 2)
            tail, head = int(problem.tail[edge]), int(problem.head[edge])
            back = {tail} if head in ends and not problem.directed else set()
            ends = back | ({head} if tail in ends else set())
            way_h.append(float((problem.road_h if mode else problem.open_h)[group, edge]))
            for option, *delay in entries.get(edge, []):
                delays[option] = delays.get(option, 0.0) + delay[mode]
        if not ends & set(problem.approach_targets[approach].tolist()) or not math.isfinite(sum(way_h)):
            reasons.append(f"path {number} is not a way of approach '{problem.approach_keys[approach]}'")
        options = np.array(sorted(delays), np.int64)
        read.append((level, math.fsum(way_h), options, np.array([delays[o] for o in options])))
    return read, reasons


def _check_tree(problem: Problem, certificate: Mapping[str, Any], paths: list[Any]) -> list[str]:
    levels, nodes = certificate["levels"], certificate["nodes"]
    scale = max(1.0, certificate["budget_eur"])
    every = np.arange(problem.option_count)
    static = [(every, problem.option_cost_eur / scale, certificate["budget_eur"] / scale)]
    static += [(rule.options, rule.coefficients, rule.limit) for rule in problem.rules]
    upper = np.ones(problem.option_count)
    grain = find_grain(problem)
    grid = [np.array(edges) for edges in certificate["grid"]]
    roots = zip(grid, levels["low_h"], levels["high_h"], strict=True)
    if nodes and any(e[0] > low or e[-1] < high or (np.diff(e) < 0).any() for e, low, high in roots):
        return ["the grid does not span the root box"]
    stack = [
        (0, np.array(levels["low_h"]), np.array(levels["high_h"]), upper, np.zeros(problem.option_count))
    ]
    reasons = [] if nodes else _check_empty(certificate)
    while stack and nodes:
        index, low, high, upper, lower = stack.pop()
        node = nodes[index]
        if (low > high).any():
            continue
        if "split" not in node:
            bound = _bound_leaf(problem, levels["weight"], low, high, upper, lower, node, paths, static, grid)
            floor = math.fsum(w * h for w, h in zip(levels["weight"], low, strict=True))
            if bound > certificate["bound_h"] and bound >= floor - CLOSE * max(1.0, abs(floor)):
                reasons.append(f"leaf {index} only proves {bound:.9f} h, not {certificate['bound_h']:.9f} h")
            continue
        kind, item, value = node["split"]
        for side, child in enumerate(node["children"]):
            box = [low.copy(), high.copy(), upper.copy(), lower.copy()]
            if kind == "level":
                box[1 - side][item] = value + grain if side else value
            elif side:
                box[2][problem.option_site == problem.option_site[item]] = 0.0
                box[2][item] = box[3][item] = 1.0
            else:
                box[2][item] = 0.0
            if child <= index:
                return [*reasons, f"node {index} has a child before itself"]
            stack.append((child, *box))
    return reasons


def _check_empty(certificate: Mapping[str, Any]) -> list[str]:
    levels = certificate["levels"]
    top = math.fsum(w * h for w, h in zip(levels["weight"], levels["high_h"], strict=True))
    return [] if top <= certificate["bound_h"] * (1 + CLOSE) else ["the bound has no proof"]


def _weigh_band(a_h: float, b_h: float, low_h: float, time_h: float) -> tuple[float, float]:
    """Fill and constant of the row sum min(d, b - t) x >= constant + fill y, for a band [a, b] and t < b."""
    if time_h >= b_h:
        return 0.0, min(0.0, a_h - time_h)
    if a_h <= low_h:
        return b_h - a_h, a_h - time_h
    return (b_h - time_h, 0.0) if time_h <= a_h else (b_h - a_h, a_h - time_h)


def _bound_leaf(
    problem: Problem,
    weight: Sequence[float],
    low: np.ndarray,
    high: np.ndarray,
    upper: np.ndarray,
    lower: np.ndarray,
    node: Mapping[str, Any],
    paths: list[Any],
    static: list[Any],
    grid: list[np.ndarray],
) -> float:
    """Bound of a leaf by weak duality, rounded up by `SAFETY` times the sum of all terms' sizes."""
    gain, terms, size = np.zeros(problem.option_count), [], 0.0
    edges = [np.clip(one, low[level], high[level]) for level, one in enumerate(grid)]
    band_gain = [one * np.diff(edge) for one, edge in zip(weight, edges, strict=True)]
    for (options, coefficients, limit), multiplier in zip(static, node.get("static", []), strict=False):
        gain[options] -= max(0.0, multiplier) * coefficients
        terms.append(max(0.0, multiplier) * limit)
    for path, band, covered, multiplier in node.get("rows", []):
        level, time_h, options, delays = paths[path]
        sites = problem.option_site[options]
        for site in covered:
            time_h += float(delays[sites == site].max())
        a_h, b_h = (low[level], low[level]) if band < 0 else edges[level][band : band + 2]
        rest = ~np.isin(sites, covered)
        multiplier = max(0.0, multiplier)
        gain[options[rest]] += multiplier * np.minimum(delays[rest], max(0.0, b_h - time_h))
        fill, constant = _weigh_band(a_h, b_h, low[level], time_h)
        if band >= 0:
            band_gain[level][band] -= multiplier * fill
        terms.append(-multiplier * constant)
        size += multiplier * (abs(time_h) + abs(b_h) + float(delays.sum()))
    for level, gains in enumerate(band_gain):
        sums = np.append(0.0, np.cumsum(gains))
        terms += [weight[level] * float(low[level]), float(sums.max())]
        size += float(np.abs(gains).sum())
    best = np.zeros(len(problem.site_keys))
    np.maximum.at(best, problem.option_site, np.where(upper > 0, gain, 0.0))
    forced = np.flatnonzero(lower > 0)
    best[problem.option_site[forced]] = gain[forced]
    return math.fsum([*terms, *best.tolist()]) + SAFETY * (
        size + math.fsum(map(abs, [*terms, *best.tolist()]))
    )
