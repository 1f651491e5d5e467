"""Small programmes, and their best schedule by trying every one."""

import itertools
from dataclasses import replace

import numpy as np
from tests.barrier.problems import make_problem

from abatis.barrier.arrivals import measure_arrivals
from abatis.programme.spans import Capacity, Lot, Order, measure_spans
from abatis.programme.terms import NEVER, make_terms


def draw_case(seed):
    """A problem with one option per site, and drawn terms: money, spans, growth, crews, lots, order."""
    random = np.random.default_rng(seed)
    problem = make_problem(
        seed, nodes=8, sites=4, approaches=2, objective="minimum" if seed % 4 == 3 else "sum"
    )
    options = np.unique(problem.option_site, return_index=True)[1]
    count, years = len(options), 3
    money = random.uniform(0.0, 0.7, years) * problem.option_cost_eur[options].sum()
    terms = make_terms(
        options,
        problem.option_cost_eur[options],
        money,
        None,
        float(random.choice([0.0, 0.1, -0.05])),
        float(random.choice([0.0, 0.05])),
        float(random.choice([1.0, 0.5, 0.0])),
    )
    wait, lead = random.choice([0.0, 6.0, 12.0], count), random.choice([0.0, 3.0, 12.0, 18.0], count)
    growth = np.sort(random.uniform(0, 1, (count, 2, years)), axis=2) if seed % 3 == 0 else terms.growth
    units = random.integers(0, 3, count).astype(float)
    capacities = (Capacity("crews", units, float(random.integers(1, 5))),) if seed % 2 else ()
    lots = (Lot("lot", units, 3.0),) if seed % 5 == 1 else ()
    orders = (Order("first", 2, np.array([0]), np.array([1, 2])),) if seed % 5 == 2 else ()
    terms = replace(
        terms,
        spans=measure_spans(wait, lead),
        growth=growth,
        capacities=capacities,
        lots=lots,
        orders=orders,
    )
    return problem, terms


def keeps_terms(terms, start):
    """Year by year, as a bookkeeper would do it."""
    years, share = terms.year_count, np.zeros((terms.option_count, terms.year_count))
    finish = np.full(terms.option_count, NEVER)
    for o, first in enumerate(start):
        if first == NEVER:
            continue
        finish[o] = first + terms.spans.years[o] - 1
        if finish[o] >= years:
            return False
        for offset in range(terms.spans.years[o]):
            share[o, first + offset] = terms.spans.profile[o, offset]
    for fund, money in enumerate(terms.fund_eur):
        left = 0.0
        for year in range(years):
            left = left * terms.carry_over + money[year]
            left -= float(terms.cost_eur[:, fund] @ share[:, year]) * terms.index[year]
            if left < -1e-7:
                return False
    for capacity in terms.capacities:
        if (capacity.units @ share > capacity.limit + 1e-9).any():
            return False
    for lot in terms.lots:
        for year in range(years):
            ordered = lot.units[np.array(start) == year].sum()
            if 0 < ordered < lot.least:
                return False
    for order in terms.orders:
        for later in order.after:
            if start[later] != NEVER and (finish[order.before] >= start[later]).any():
                return False
    return True


def value_schedule(problem, terms, start, known):
    """Discounted value by plain Dijkstra on the whole graph."""
    total = 0.0
    for year in range(terms.year_count):
        delays = np.zeros((2, len(problem.tail)))
        shares = []
        for o, option in enumerate(terms.options):
            age = year - (start[o] + terms.spans.years[o] - 1) if start[o] != NEVER else -1
            shares.append(terms.growth[o, :, age] if age >= 0 else np.zeros(2))
            part = slice(problem.option_start[option], problem.option_start[option + 1])
            np.add.at(delays[0], problem.option_edge[part], problem.option_open_h[part] * shares[-1][0])
            np.add.at(delays[1], problem.option_edge[part], problem.option_road_h[part] * shares[-1][1])
        key = np.concatenate(shares).tobytes()
        if key not in known:
            times = np.array(measure_arrivals(problem, *delays))
            known[key] = (
                times.min() if problem.objective == "minimum" else float(problem.approach_weight @ times)
            )
        total += terms.weight[year] * known[key]
    return total


def try_all(problem, terms):
    """The best value of any schedule that keeps the terms."""
    known, best = {}, -np.inf
    for start in itertools.product([*range(terms.year_count), NEVER], repeat=terms.option_count):
        if keeps_terms(terms, start):
            best = max(best, value_schedule(problem, terms, start, known))
    return best
