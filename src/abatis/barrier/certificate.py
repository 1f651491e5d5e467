"""Re-check a plan without any solver: times by plain Dijkstra, cost, rules, and the bound from its proof."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.sparse.csgraph import dijkstra

from abatis.model.plan import Problem, add_delays, find_grain, hash_problem, join_edges, list_delays

FORMAT, SAFETY, CLOSE, MOST_STEPS, MOST_LEFT = 4, 1e-12, 1e-9, 12, 0.95


def check_certificate(problem: Problem, certificate: Mapping[str, Any]) -> list[str]:
    """Every reason why a `certificate.json` does not hold for a problem built afresh; empty when it holds.

    In words: Dijkstra's times, costs and rules agree; paths are ways; leaves cover the space and are proven.
    """
    try:
        if certificate.get("format") != FORMAT:
            return [f"format {certificate.get('format')!r} is not {FORMAT}"]
        if certificate["problem"] != hash_problem(problem):
            return ["it was made for another problem: study, mesh, sites or options have changed"]
        reasons = _check_plan(problem, certificate) + _check_root(problem, certificate["levels"])
        paths, wrong = _read_paths(problem, certificate)
        return reasons + (wrong or _check_tree(problem, certificate, paths))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        return [f"it is damaged: {type(error).__name__}: {error}"]


def measure_hours(problem: Problem, group: int, sources: Any, delays: Any) -> Any:
    """Hours float64[N] from the nearest source by plain Dijkstra, delays (open, road) float64[E] added."""
    hours = np.minimum(problem.open_h[group] + delays[0], problem.road_h[group] + delays[1])
    return dijkstra(join_edges(problem, hours), indices=sources, min_only=True)


def measure_arrivals(problem: Problem, *delays: np.ndarray) -> list[float]:
    """Arrival time of every approach, hours, with delays float64[E] added on open ground and on roads."""
    ways = zip(problem.approach_group, problem.approach_sources, problem.approach_targets, strict=True)
    return [
        float(measure_hours(problem, group, fronts, delays)[goals].min()) for group, fronts, goals in ways
    ]


def _exceeds(amount: float, limit: float) -> bool:
    return not amount <= limit + CLOSE * max(1.0, abs(limit))  # so what is no number never passes


def _check_plan(problem: Problem, certificate: Mapping[str, Any]) -> list[str]:
    chosen, budget = [int(option) for option in certificate["chosen"]], certificate["budget_eur"]
    choice = np.bincount(np.array(chosen, np.int64), minlength=problem.option_count)
    cost, sites = math.fsum(problem.option_cost_eur[chosen]), set(problem.option_site[chosen].tolist())
    reasons = ["two options are chosen at one site"] * (len(sites) < len(chosen))
    if _exceeds(cost, budget):
        reasons.append(f"the plan costs {cost:,.2f} EUR, more than the budget of {budget:,.2f} EUR")
    broken = [r.name for r in problem.rules if _exceeds(r.coefficients @ choice[r.options], r.limit)]
    after = measure_arrivals(problem, *add_delays(problem, chosen))
    broken += [problem.least_hours_names[k] for k, h in problem.least_hours.items() if after[k] < h - CLOSE]
    reasons += [f"rule '{name}' is broken" for name in broken]
    value = min(after) if problem.objective == "minimum" else math.fsum(problem.approach_weight * after)
    if _exceeds(value, certificate["value_h"]) or _exceeds(certificate["value_h"], value):
        reasons.append(f"the value is {value:.9f} h, not {certificate['value_h']:.9f} h")
    return reasons + ["the bound lies below the value"] * _exceeds(value, certificate["bound_h"])


def _check_root(problem: Problem, levels: Mapping[str, Any]) -> list[str]:
    """The root box must hold every plan: no faster than without barriers, no slower than with all of them."""
    longest = add_delays(problem, range(problem.option_count), longest=True)
    before, slowest = (measure_arrivals(problem, *hours) for hours in (add_delays(problem, ()), longest))
    is_sum, everyone, asked = problem.objective == "sum", range(problem.approach_count), problem.least_hours
    own = problem.approach_weight.tolist() if is_sum else [1.0]
    reasons = [] if levels["weight"][: len(own)] == own else ["the weights are not the study's"]
    for level, weight in enumerate(levels["weight"]):
        members = [k for k in everyone if level in levels["of_approach"][k]]
        is_own = members == ([level] if is_sum else [*everyone])
        if not (is_own if level < len(own) else weight == 0.0 and len(members) == 1):
            return [*reasons, f"level {level} does not stand for its approaches"]
        floor = min(before[k] for k in members)
        floor = max([floor] + [asked.get(k, 0.0) for k in members if is_sum or level >= len(own)])
        floor, ceiling = floor * (1 + CLOSE), max(min(slowest[k] for k in members), floor) * (1 - CLOSE)
        if not (levels["low_h"][level] <= floor and levels["high_h"][level] >= ceiling):
            reasons.append(f"the root box of level {level} leaves out possible times")
    groups, fronts, goals = problem.approach_group, problem.approach_sources, problem.approach_targets
    for k, j, hours in levels["onward"]:
        after_h = measure_hours(problem, groups[k], goals[k], longest)[goals[j]].min() * (1 - CLOSE)
        alike = len(goals[k]) == 1 and groups[k] == groups[j] and {*fronts[k]} <= {*fronts[j]}
        if not (is_sum and alike and hours >= after_h):
            reasons.append(f"level {j} may come more than {hours} h after level {k}")
    return reasons


def _read_paths(problem: Problem, certificate: Mapping[str, Any]) -> tuple[list[Any], list[str]]:
    """Walk every path; returns per path its level, hours and delay per option, and what is wrong."""
    paths, reasons, entries = [], [], list_delays(problem)
    for number, (approach, level, steps) in enumerate(certificate["paths"]):
        group, ends = problem.approach_group[approach], set(problem.approach_sources[approach].tolist())
        way_h, delays = [0.0], dict[int, float]()
        for edge, mode in (divmod(abs(step), 2) for step in steps):
            pair = int(problem.tail[edge]), int(problem.head[edge])
            ends = {b for a, b in (pair, pair[::-1])[: 1 if problem.directed else 2] if a in ends}
            way_h.append(float((problem.road_h if mode else problem.open_h)[group, edge]))
            for option, *delay in entries.get(edge, []):
                delays[option] = delays.get(option, 0.0) + delay[mode]
        if not ends & set(problem.approach_targets[approach].tolist()) or not math.isfinite(sum(way_h)):
            reasons.append(f"path {number} is not a way of approach '{problem.approach_keys[approach]}'")
        if level < 0 or level not in certificate["levels"]["of_approach"][approach]:
            reasons.append(f"path {number} belongs to another level than its approach")
        paths.append((level, math.fsum(way_h), np.array([*delays], np.int64), np.array([*delays.values()])))
    return paths, reasons


def _check_tree(problem: Problem, certificate: Mapping[str, Any], paths: list[Any]) -> list[str]:
    """Split the root box as the tree says; every leaf must prove the bound, or that its box holds no plan."""
    nodes, bound_h, grain = certificate["nodes"] or [{}], certificate["bound_h"], find_grain(problem)
    weight, low, high = (np.array(certificate["levels"][key], float) for key in ("weight", "low_h", "high_h"))
    grid = [np.ravel(edges).astype(float) for edges in certificate["grid"] or zip(low, high, strict=True)]
    spans = zip(grid, low, high, strict=True)
    if not all(e[0] <= a and e[-1] >= b and (np.diff(e) >= 0).all() for e, a, b in spans):
        return ["the grid does not span the root box"]
    every, none = np.ones(problem.option_count, bool), np.zeros(problem.option_count, bool)
    reasons, stack = list[str](), list[Any]([(0, (low, high, every, none))])
    while stack:
        index, box = stack.pop()
        node, (low, high, *_) = nodes[index], box
        for k, j, hours in certificate["levels"]["onward"]:
            high[j], low[k] = min(high[j], high[k] + hours), max(low[k], low[j] - hours)
        if "split" in node:
            (kind, item, value), (left, right) = node["split"], node["children"]
            item, below, above = int(item), [one.copy() for one in box], [one.copy() for one in box]
            if kind == "level":
                below[1][item], above[0][item] = value, math.floor(value) + grain if grain else value
            else:
                below[2][item] = False
                above[2][problem.option_site == problem.option_site[item]] = False
                above[2][item] = above[3][item] = True
            if min(left, right) <= index:
                return [*reasons, f"node {index} has a child before itself"]
            stack += [(left, below), (right, above)]
        elif not (low > high).any():
            leaf_h = _bound_leaf(problem, certificate, paths, node, box, grid)
            least_h = math.fsum(weight * low)
            # A bound below what every plan in the box is worth says that no plan is in it.
            if not (leaf_h <= bound_h or leaf_h < least_h - CLOSE * max(1.0, abs(least_h))):
                reasons.append(f"leaf {index} only proves {leaf_h:.9f} h, not {bound_h:.9f} h")
    return reasons


def _bound_leaf(
    problem: Problem, certificate: Mapping[str, Any], paths: list[Any], leaf: Any, box: Any, grid: list[Any]
) -> float:
    """Bound of a leaf by weak duality, rounded up by `SAFETY` times the sum of all terms' sizes."""
    (low, high, allowed, forced), weight = box, certificate["levels"]["weight"]
    budget, scale = certificate["budget_eur"], max(1.0, certificate["budget_eur"])
    rows = [(np.arange(len(allowed)), problem.option_cost_eur / scale, budget / scale)]
    rows += [(rule.options, rule.coefficients, rule.limit) for rule in problem.rules]
    edges = [np.clip(one, a, b) for one, a, b in zip(grid, low, high, strict=True)]
    fills = [share * np.diff(e) for share, e in zip(weight, edges, strict=True)]
    gain, terms, size = np.zeros(problem.option_count), list(weight * low), 0.0
    for (options, coefficients, limit), multiplier in zip(rows, leaf.get("static", []), strict=False):
        multiplier = max(0.0, multiplier)
        np.subtract.at(gain, options, multiplier * coefficients)
        terms.append(multiplier * limit)
        size += multiplier * float(np.abs(coefficients).sum())
    for path, band, covered, multiplier, step_h in leaf.get("rows", []):
        level, time_h, options, delays = paths[path]
        delays, multiplier = delays.copy(), max(0.0, multiplier)
        for built in map(int, covered):
            built_h, site = delays[options == built].sum(), problem.option_site[built]
            time_h += float(built_h)
            delays -= np.where(problem.option_site[options] == site, np.minimum(delays, built_h), 0.0)
        a_h, b_h = (low[level], low[level]) if band < 0 else edges[level][int(band) : int(band) + 2]
        # The delays beyond the cover, each cut at b - t, sum to at least `empty_h`, and `full_h` at the top.
        full_h, delays = b_h - time_h, np.minimum(delays, max(0.0, b_h - time_h))
        empty_h = a_h - time_h if a_h <= low[level] else min(0.0, a_h - time_h)
        if 0 < step_h < full_h <= MOST_STEPS * step_h and -full_h / step_h % 1.0 <= MOST_LEFT:
            delays, empty_h = _count_steps(delays, a_h - time_h, empty_h, full_h, step_h)
        gain[options] += multiplier * delays
        fills[level][int(band)] -= multiplier * (full_h - empty_h)
        terms.append(-multiplier * empty_h)
        size += multiplier * (abs(time_h) + abs(b_h) + float(delays.sum()))
    best = np.zeros(len(problem.site_keys))
    np.maximum.at(best, problem.option_site, np.where(allowed, gain, 0.0))
    best[problem.option_site[forced]] = gain[forced]
    # Bands fill from below, so a level takes the first bands up to the best sum.
    terms += [*best.tolist(), *(float(np.cumsum(gains).max(initial=0.0)) for gains in fills)]
    return math.fsum(terms) + SAFETY * (size + math.fsum(map(abs, [*terms, *np.concatenate(fills)])))


def _count_steps(hours: Any, start_h: float, empty_h: float, full_h: float, step_h: float) -> Any:
    """Count a row in whole steps, a rest as a share of the need's own; while the band fills, from below."""
    steps, amounts = math.ceil(full_h / step_h), np.append(hours, start_h) / step_h
    unit_h, part = full_h / steps, full_h / step_h - steps + 1
    counted_h = unit_h * (np.floor(amounts) + np.minimum(1.0, amounts % 1.0 / part))
    corners = [(unit_h * w, w * step_h - start_h, full_h - w * step_h) for w in range(steps)]
    least_h = [(h * (full_h - start_h) - full_h * past) / left for h, past, left in corners if past > 0]
    return counted_h[:-1], min([counted_h[-1] if empty_h > 0 else 0.0, *least_h])
