"""Small problems for the solver's tests, made from a seed."""

import itertools

import numpy as np

from abatis.barrier.certificate import add_delays, measure_arrivals
from abatis.model.plan import Problem, Rule


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


def brute_force(problem, budget_eur):
    """Best value over every allowed choice, or None when no choice keeps the rules."""
    by_site = [[None, *np.flatnonzero(problem.option_site == s)] for s in range(len(problem.site_keys))]
    best = None
    for picks in itertools.product(*by_site):
        chosen = [int(o) for o in picks if o is not None]
        if problem.option_cost_eur[chosen].sum() > budget_eur + 1e-9:
            continue
        choice = np.zeros(problem.option_count)
        choice[chosen] = 1
        if any(rule.coefficients @ choice[rule.options] > rule.limit + 1e-9 for rule in problem.rules):
            continue
        value, times = value_of(problem, chosen)
        if any(times[k] < hours - 1e-9 for k, hours in problem.least_hours.items()):
            continue
        best = value if best is None else max(best, value)
    return best
