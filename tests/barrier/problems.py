"""Small problems for the solver's tests, made from a seed."""

import dataclasses
import itertools

import numpy as np

from abatis.barrier.arrivals import measure_arrivals
from abatis.model.plan import Problem, Rule, add_delays


def make_problem(
    seed,
    nodes=9,
    sites=6,
    approaches=2,
    objective="sum",
    rules=(),
    least_hours=None,
    directed=False,
    whole_numbers=False,
):
    """A random connected two-mode graph; some sites have two options, some close several edges."""
    random = np.random.default_rng(seed)
    pairs = [(n, n + 1) for n in range(nodes - 1)]
    pairs += [tuple(random.choice(nodes, 2, replace=False)) for _ in range(2 * nodes)]
    tail, head = np.array(pairs, np.int32).T
    groups = int(random.integers(1, 3))
    open_h = random.uniform(0.2, 3.0, (groups, len(pairs)))
    road_h = np.where(random.random(open_h.shape) < 0.4, open_h * random.uniform(0.3, 0.9), np.inf)
    open_h[random.random(open_h.shape) < 0.1] = np.inf
    open_h[:, : nodes - 1] = np.where(np.isfinite(open_h[:, : nodes - 1]), open_h[:, : nodes - 1], 2.5)
    shuffled = random.permutation(len(pairs))
    site_edges = [shuffled[i::sites][: int(random.integers(1, 3))] for i in range(sites)]
    owner, cost, start, edges, delay_open, delay_road = [], [], [0], [], [], []
    for site, members in enumerate(site_edges):
        for _ in range(int(random.integers(1, 3))):
            owner.append(site)
            cost.append(float(random.integers(1, 9)))
            edges += members.tolist()
            delay_open += [float(random.uniform(0, 4))] * len(members)
            delay_road += [float(random.choice([0.0, 1.5, 3.0]))] * len(members)
            start.append(len(edges))
    if whole_numbers:
        open_h = np.where(np.isfinite(open_h), np.ceil(open_h), np.inf)
        road_h = np.where(np.isfinite(road_h), np.ceil(road_h), np.inf)
        delay_open, delay_road = np.ceil(delay_open), np.ceil(delay_road)
    weight = random.uniform(0.1, 1.0, approaches)
    names = tuple(f"a{k}" for k in range(approaches))
    least_hours = dict(least_hours or {})
    return Problem(
        node_count=nodes,
        tail=tail,
        head=head,
        directed=directed,
        open_h=open_h,
        road_h=road_h,
        approach_keys=names,
        approach_names=names,
        approach_group=random.integers(0, groups, approaches).astype(np.int32),
        approach_weight=weight / weight.sum(),
        approach_sources=tuple(np.array([0, 1], np.int32)[: 1 + k % 2] for k in range(approaches)),
        approach_targets=tuple(np.array([nodes - 1 - k], np.int32) for k in range(approaches)),
        site_keys=tuple(f"s{i}" for i in range(sites)),
        site_names=tuple(f"site {i}" for i in range(sites)),
        option_keys=tuple(f"o{i}" for i in range(len(owner))),
        option_site=np.array(owner, np.int32),
        option_cost_eur=np.array(cost),
        option_start=np.array(start, np.int64),
        option_edge=np.array(edges, np.int32),
        option_open_h=np.array(delay_open, float),
        option_road_h=np.array(delay_road, float),
        rules=tuple(rules),
        least_hours=least_hours,
        least_hours_names={k: f"at least {hours} h for a{k}" for k, hours in least_hours.items()},
        objective=objective,
    )


def limit_rule(options, coefficients, limit, key="limit"):
    """A rule with short arguments."""
    return Rule(key, f"rule {key}", np.array(options, np.int32), np.array(coefficients, float), float(limit))


def value_of(problem, chosen):
    """Value and arrival times of a set of options by plain Dijkstra."""
    times = np.array(measure_arrivals(problem, *add_delays(problem, chosen)))
    if problem.objective == "minimum":
        return float(times.min()), times
    return float(problem.approach_weight @ times), times


def draw_study(seed):
    """A tiny study and its budget: rules, least hours, objective and whole numbers drawn with the seed."""
    random = np.random.default_rng(seed + 1000)
    problem = make_problem(
        seed,
        nodes=int(random.integers(6, 12)),
        sites=int(random.integers(3, 8)),
        approaches=int(random.integers(1, 4)),
        objective="minimum" if seed % 4 == 1 else "sum",
        directed=seed % 7 == 3,
        whole_numbers=seed % 6 == 2,
    )
    count = problem.option_count
    rules = []
    if seed % 3 == 0:  # a limit per measure: uses of some options
        rules.append(limit_rule([0, 1, 2], random.integers(1, 4, 3), 4))
    if seed % 10 == 4:  # at most so many sites
        rules.append(limit_rule(range(count), np.ones(count), int(random.integers(0, 3)), "few"))
    if seed % 5 == 0:  # a site locked in
        site = np.flatnonzero(problem.option_site == random.integers(len(problem.site_keys)))
        rules.append(limit_rule(site, -np.ones(len(site)), -1.0, "lock in"))
    if seed % 8 == 3:  # a site locked out
        site = np.flatnonzero(problem.option_site == random.integers(len(problem.site_keys)))
        rules.append(limit_rule(site, np.ones(len(site)), 0.0, "lock out"))
    least = {}
    if seed % 6 == 1:
        before = value_of(problem, [])[1]
        asked = random.choice(problem.approach_count, int(random.integers(1, 3)) % problem.approach_count + 1)
        least = {int(k): float(before[k] + random.choice([0.25, 0.5, 1.0, 3.0])) for k in sorted(set(asked))}
    names = {k: f"at least {hours} h for a{k}" for k, hours in least.items()}
    study = dataclasses.replace(problem, rules=tuple(rules), least_hours=least, least_hours_names=names)
    return study, float(random.choice([0, 3, 6, 9, 12, 18, 60]))


def list_choices(problem):
    """Every choice with at most one option per site, bool[C, O]."""
    by_site = [[-1, *np.flatnonzero(problem.option_site == s)] for s in range(len(problem.site_keys))]
    picks = np.array(list(itertools.product(*by_site)))
    choices = np.zeros((len(picks), problem.option_count + 1), bool)
    choices[np.arange(len(picks))[:, None], picks] = True
    return choices[:, :-1]


def measure_choices(problem, choices):
    """Arrival times float64[C, K] of all choices at once: every edge is tried until nothing gets earlier."""
    delays = np.zeros((2, problem.option_count, len(problem.tail)))
    owner = np.repeat(np.arange(problem.option_count), np.diff(problem.option_start))
    for mode, hours in enumerate((problem.option_open_h, problem.option_road_h)):
        np.add.at(delays[mode], (owner, problem.option_edge), hours)
    open_delay, road_delay = choices @ delays[0], choices @ delays[1]
    times = np.empty((len(choices), problem.approach_count))
    arcs = [*enumerate(zip(problem.tail.tolist(), problem.head.tolist(), strict=True))]
    if not problem.directed:
        arcs += [(edge, (head, tail)) for edge, (tail, head) in arcs]
    for k, group in enumerate(problem.approach_group):
        hours = np.minimum(problem.open_h[group] + open_delay, problem.road_h[group] + road_delay)
        reached = np.full((problem.node_count, len(choices)), np.inf)
        reached[problem.approach_sources[k]] = 0.0
        before = None
        while before is None or not np.array_equal(before, reached):
            before = reached.copy()
            for edge, (tail, head) in arcs:
                np.minimum(reached[head], reached[tail] + hours[:, edge], out=reached[head])
        times[:, k] = reached[problem.approach_targets[k]].min(axis=0)
    return times


def brute_force(problem, budget_eur):
    """Best value over every allowed choice, or None when no choice keeps the rules."""
    choices = list_choices(problem)
    fit = choices @ problem.option_cost_eur <= budget_eur + 1e-9
    for rule in problem.rules:
        fit &= choices[:, rule.options] @ rule.coefficients <= rule.limit + 1e-9
    times = measure_choices(problem, choices[fit])
    values = times.min(axis=1) if problem.objective == "minimum" else times @ problem.approach_weight
    for k, hours in problem.least_hours.items():
        values = np.where(times[:, k] < hours - 1e-9, -np.inf, values)
    return float(values.max()) if np.isfinite(values).any() else None
