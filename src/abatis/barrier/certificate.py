"""Re-check a plan without any solver: times by plain Dijkstra, cost, rules, and the bound from its proof."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from abatis.barrier.arrivals import Graph, follow_way, measure_arrivals
from abatis.model.plan import Problem, add_delays, find_grain, hash_problem, list_delays, require_index

FORMAT, SAFETY, CLOSE, MOST_STEPS, MOST_LEFT = 6, 1e-12, 1e-9, 12, 0.95


def check_certificate(problem: Problem, certificate: dict[str, Any]) -> list[str]:
    """Why it does not hold. In words: times, cost, rules agree; paths are ways; leaves cover all, proven."""
    try:
        if certificate.get("format") != FORMAT:
            return [f"format {certificate.get('format')!r} is not {FORMAT}"]
        if certificate["problem"] != hash_problem(problem):
            return ["it was made for another problem: study, mesh, sites or options have changed"]
        reasons, *root = _check_root(problem, certificate["levels"])
        rows, wrong = _read_rows(problem, certificate)
        reasons += wrong or _check_tree(problem, certificate, rows, *root)
        return _check_plan(problem, certificate) + reasons
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        return [f"it is damaged: {type(error).__name__}: {error}"]


def _exceeds(parts: Any, limit: float) -> bool:
    return not math.fsum(parts) <= limit + CLOSE * (abs(limit) + np.abs(parts).sum())  # NaN never passes


def _check_plan(problem: Problem, certificate: dict[str, Any]) -> list[str]:
    chosen = [require_index(option, problem.option_count) for option in certificate["chosen"]]
    costs, budget = problem.option_cost_eur[chosen], certificate["budget_eur"]
    reasons = ["two options are chosen at one site"] * (len({*problem.option_site[chosen]}) < len(chosen))
    if _exceeds(costs, budget):
        reasons.append(f"the plan costs {costs.sum():,.2f} EUR, more than the budget of {budget:,.2f} EUR")
    broken = [r.name for r in problem.rules if _exceeds(r.coefficients * np.isin(r.options, chosen), r.limit)]
    after = measure_arrivals(problem, *add_delays(problem, chosen))
    broken += [problem.least_hours_names[k] for k, h in problem.least_hours.items() if after[k] < h - CLOSE]
    reasons += [f"rule '{name}' is broken" for name in broken]
    value = min(after) if problem.objective == "minimum" else math.fsum(problem.approach_weight * after)
    if _exceeds([value], certificate["value_h"]) or _exceeds([certificate["value_h"]], value):
        reasons.append(f"the value is {value:.9f} h, not {certificate['value_h']:.9f} h")
    return reasons + ["the bound lies below the value"] * _exceeds([value], certificate["bound_h"])


def _check_root(problem: Problem, levels: Any) -> tuple[list[str], list[float], list[float]]:
    """The root box must hold every plan, from without barriers to with all of them: why not, and its ends."""
    graph, longest = Graph(problem), add_delays(problem, range(problem.option_count), longest=True)
    before, slowest = (measure_arrivals(problem, *hours) for hours in (add_delays(problem, ()), longest))
    is_sum, everyone, asked = problem.objective == "sum", range(problem.approach_count), problem.least_hours
    own = problem.approach_weight.tolist() if is_sum else [1.0]
    low, high = [*levels["low_h"]], [*levels["high_h"]]
    reasons = [] if levels["weight"][: len(own)] == own else ["the weights are not the study's"]
    for level, weight in enumerate(levels["weight"]):
        members = [k for k, its_levels in enumerate(levels["of_approach"]) if level in its_levels]
        is_own = members == ([level] if is_sum else [*everyone])
        if not (is_own if level < len(own) else weight == 0.0 and len(members) == 1):
            return [*reasons, f"level {level} does not stand for its approaches"], low, high
        floor = min(before[k] for k in members)
        floor = max([floor] + [asked.get(k, 0.0) for k in members if is_sum or level >= len(own)])
        ceiling = max(min(slowest[k] for k in members), floor)
        if not (low[level] <= floor * (1 + CLOSE) and high[level] >= ceiling * (1 - CLOSE)):
            reasons.append(f"the root box of level {level} leaves out possible times")
        low[level], high[level] = min(low[level], floor), max(high[level], ceiling)
    groups, fronts, goals = problem.approach_group, problem.approach_sources, problem.approach_targets
    for k, j, hours in ((*map(require_index, pair), hours) for *pair, hours in levels["onward"]):
        after_h = graph.measure_hours(groups[k], goals[k], longest)[goals[j]].min()
        alike = len(goals[k]) == 1 and groups[k] == groups[j] and {*fronts[k]} <= {*fronts[j]}
        if not (is_sum and alike and hours >= after_h):
            reasons.append(f"level {j} may come more than {hours} h after level {k}")
    return reasons, low, high


def _read_rows(problem: Problem, certificate: dict[str, Any]) -> tuple[list[Any], list[str]]:
    """Per row level, hours, options, delays, band and step, of a sum its parts; and which paths are none."""
    paths, rows, reasons, entries = [], list[Any](), [], list_delays(problem)
    for number, (approach, level, steps) in enumerate(certificate["paths"]):
        way_h, delays = follow_way(problem, require_index(approach), [*map(require_index, steps)], entries)
        if not math.isfinite(way_h):
            reasons.append(f"path {number} is not a way of approach '{problem.approach_keys[approach]}'")
        if require_index(level) not in certificate["levels"]["of_approach"][approach]:
            reasons.append(f"path {number} belongs to another level than its approach")
        paths.append((level, way_h, np.array([*delays], np.int64), np.array([*delays.values()])))
    for path, band, covered, step_h in certificate["rows"]:
        if require_index(path, len(paths), -1) < 0:
            rows.append(([part for part in covered if 0 <= require_index(part, least=-1) < len(rows)], {}))
            continue
        level, time_h, options, delays = paths[path]
        for built in map(require_index, covered):
            built_h, site = delays[options == built].sum(), problem.option_site[built]
            time_h += float(built_h)
            delays = delays - np.where(problem.option_site[options] == site, np.minimum(delays, built_h), 0.0)
        rows.append((level, time_h, options, delays, require_index(band, least=-1), step_h))
    return rows, reasons


def _check_tree(problem: Problem, certificate: Any, rows: Any, *root: Any) -> list[str]:
    """Split the root box as the tree says; every leaf must prove the bound, or that its box holds no plan."""
    nodes, levels, reasons = dict(enumerate(certificate["nodes"] or [{}])), certificate["levels"], list[str]()
    bound_h, grain, count = certificate["bound_h"], find_grain(problem), problem.option_count
    weight, low, high = (np.array(one, float) for one in (levels["weight"], *root))
    grid = [np.ravel(edges).astype(float) for edges in certificate["grid"] or zip(low, high, strict=True)]
    spans = zip(grid, levels["low_h"], levels["high_h"], strict=True)
    if not all(e[0] <= a <= b <= e[-1] and (np.diff(e) >= 0).all() for e, a, b in spans):
        return ["the grid does not span the root box"]
    case = problem, certificate, rows, grid
    stack: list[Any] = [(0, (low, high, np.ones(count, bool), np.zeros(count, bool)))]
    while stack:
        index, box = stack.pop()
        node, (low, high, *_) = nodes.pop(require_index(index)), box
        for k, j, hours in levels["onward"]:
            high[j], low[k] = min(high[j], high[k] + hours), max(low[k], low[j] - hours)
        proven = []
        for options, static, paid in [] if (low > high).any() else node.get("excluded", []):
            proven.append(_bound_leaf(case, static, paid, box, [require_index(o, count) for o in options]))
            box[2][options] = False
        if "split" in node:
            (kind, item, value), (left, right) = node["split"], node["children"]
            item, below, above = require_index(item), [one.copy() for one in box], [one.copy() for one in box]
            if kind == "level":
                below[1][item] = min(high[item], value)
                above[0][item] = max(low[item], math.floor(value) + grain if grain else value)
            else:
                below[2][item] = above[2][problem.option_site == problem.option_site[item]] = False
                above[2][item] = above[3][item] = True
            stack += [(left, below), (right, above)]
        elif not (low > high).any():
            proven.append(_bound_leaf(case, node.get("static", []), node.get("rows", []), box))
        for half_h in proven:
            if not (half_h <= bound_h or half_h < math.fsum(weight * low) * (1 - SAFETY)):
                reasons.append(f"node {index} only proves {half_h:.9f} h, not {bound_h:.9f} h")
    return reasons


def _bound_leaf(case: Any, static_paid: Any, rows_paid: Any, box: Any, chosen: Any = None) -> float:
    """Bound of a box, with any of some options, by weak duality: `SAFETY` of all terms' sizes rounds up."""
    (problem, certificate, rows, grid), (low, high, allowed, forced) = case, box
    weight, scale = certificate["levels"]["weight"], max(1.0, certificate["budget_eur"])
    static: list[Any] = [(slice(None), problem.option_cost_eur / scale, certificate["budget_eur"] / scale)]
    static += [(rule.options, rule.coefficients, rule.limit) for rule in problem.rules]
    limits = [((0, 0), o, -a, -b, -b, np.abs(a).sum(), 1) for o, a, b in static]
    edges = [np.array([a, *one[1:-1].clip(a, b), b]) for one, a, b in zip(grid, low, high, strict=True)]
    derived = [(_derive(rows, require_index(row), low, edges), paid) for row, paid in rows_paid]
    fills = [share * np.diff(e) for share, e in zip(weight, edges, strict=True)]
    gain, terms, size = np.zeros(problem.option_count), list(weight * low), 0.0
    pairs = [*zip(limits, static_paid, strict=False), *derived]
    for ((level, band), options, delays, empty_h, full_h, row_size, _), paid in pairs:
        multiplier = max(0.0, paid)
        np.add.at(gain, options, multiplier * delays)
        fills[level][band] -= multiplier * (full_h - empty_h)
        terms.append(-multiplier * empty_h)
        size += multiplier * float(row_size)
    best = np.zeros(len(problem.site_keys))
    np.maximum.at(best, problem.option_site, np.where(allowed, gain, 0.0))
    best[problem.option_site[forced]] = gain[forced]
    terms += [(gain - best[problem.option_site])[chosen].max()] if chosen else []
    # Bands fill from below, so a level takes the first bands up to the best sum.
    terms += [*best.tolist(), *(float(np.cumsum(gains).max(initial=0.0)) for gains in fills)]
    return math.fsum(terms) + SAFETY * (size + math.fsum(map(abs, [*terms, *np.concatenate(fills)])))


def _derive(rows: list[Any], number: int, low: Any, edges: list[Any]) -> Any:
    """A row in a box: its level and band, options, delays, least sum where empty and full, size, steps."""
    if len(rows[number]) == 2:
        (parts, known), key = rows[number], low.tobytes()
        known[key] = known.get(key) or _halve([_derive(rows, part, low, edges) for part in parts])
        return known[key]
    level, time_h, options, delays, band, step_h = rows[number]
    a_h, b_h = (low[level], low[level]) if band < 0 else edges[level][band : band + 2]
    # The delays beyond the cover, each cut at b - t, sum to at least `empty_h`, and `full_h` at the top.
    full_h, delays, steps = b_h - time_h, np.minimum(delays, max(0.0, b_h - time_h)), 1
    empty_h = a_h - time_h if a_h <= low[level] else min(0.0, a_h - time_h)
    if 0 < step_h < full_h <= MOST_STEPS * step_h and -full_h / step_h % 1.0 <= MOST_LEFT:
        # Counted in whole steps, a rest as a share of the need's own; while the band fills, from below.
        steps, amounts = math.ceil(full_h / step_h), np.append(delays, a_h - time_h) / step_h
        unit_h, part = full_h / steps, full_h / step_h - steps + 1
        counted_h = unit_h * (np.floor(amounts) + np.minimum(1.0, amounts % 1.0 / part))
        corners = [(unit_h * w, w * step_h - a_h + time_h, full_h - w * step_h) for w in range(steps)]
        least_h = [(h * (b_h - a_h) - full_h * past) / left for h, past, left in corners if past > 0]
        delays, empty_h = counted_h[:-1], min([counted_h[-1] if empty_h > 0 else 0.0, *least_h])
    return (level, band), options, delays, empty_h, full_h, abs(time_h) + abs(b_h) + delays.sum(), steps


def _halve(parts: Any) -> Any:
    """Sum of rows without band in counts, halved and rounded up, a rest as a share of the need's own."""
    counts, need = dict[int, float](), 0
    for (_, band), options, delays, _, full_h, size, steps in parts:
        if band < 0 and full_h > 0:
            scale, need = steps / full_h * (1 + SAFETY * (1 + size / full_h)), need + steps
            for option, count in zip(options.tolist(), (scale * delays).tolist(), strict=True):
                counts[option] = counts.get(option, 0.0) + count
    half, full = 0.5 * np.array([*counts.values()]), (need + 1) // 2
    half = np.floor(half) + np.minimum(1.0, half % 1.0 / (0.5 if need % 2 else 1.0))
    return (0, -1), np.array([*counts], np.int64), half, full, full, full + half.sum(), full
