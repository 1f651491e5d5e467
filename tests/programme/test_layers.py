"""Years as layers of one problem: what binds arrivals to each other holds under every choice."""

from dataclasses import replace

import numpy as np
import pytest
from tests.barrier.problems import make_problem
from tests.programme.schedule_cases import keeps_terms, try_all
from tests.programme.test_yearly_bounds import list_best, prove_years

from abatis.barrier.network import RouteFinder
from abatis.programme import schedule as schedule_module
from abatis.programme.layer_search import make_layer_levels
from abatis.programme.layers import Layer, join_layers, rises
from abatis.programme.schedule import solve_schedule
from abatis.programme.terms import NEVER, make_terms
from abatis.programme.timeline import make_timeline


def draw_shared_case(seed):
    """Three objectives reached from one front by one vehicle; every third case with growing effects."""
    random = np.random.default_rng(seed)
    problem = make_problem(seed, nodes=8, sites=4, approaches=3)
    problem = replace(
        problem,
        approach_group=np.zeros(3, problem.approach_group.dtype),
        approach_sources=tuple(np.array([0], np.int32) for _ in range(3)),
    )
    options = np.unique(problem.option_site, return_index=True)[1]
    cost = problem.option_cost_eur[options]
    money = random.uniform(0.1, 0.5, 3) * cost.sum()
    terms = make_terms(options, cost, money, None, 0.02, 0.03)
    if seed % 3 == 0:
        terms = replace(terms, growth=np.sort(random.uniform(0, 1, (4, 2, 3)), axis=2))
    return problem, terms


def join_starts(timeline, layers, options):
    """The joint network of some layers without limits."""
    count = len(options)
    return join_layers(timeline, layers, options, np.ones(count), [])[1]


def choose_columns(random, options):
    """At most one column of every option, float64[columns]."""
    choice = np.zeros(len(options))
    for option in np.unique(options):
        if random.random() < 0.7:
            choice[random.choice(np.flatnonzero(options == option))] = 1.0
    return choice


def draw_layers(seed, timeline):
    """Three years over columns (option, start year), some options built anyway; as windows make them."""
    random = np.random.default_rng(seed)
    terms = timeline.terms
    count = terms.option_count
    options, start = np.repeat(np.arange(count), 2), np.tile([0, 1], count)
    late = np.where(random.random(count) < 0.5, 2, NEVER)
    layers = []
    for year in range(3):
        before = timeline.share_effects(late, year)[options]
        age = year - start
        now = np.where((age >= 0)[:, None], terms.growth[options, :, np.clip(age, 0, 2)], 0.0)
        layers.append(Layer(1.0, timeline.sum_delays(late, year), np.maximum(0.0, now - before)))
    return layers, options


def test_no_choice_breaks_the_pairs_within_and_between_years():
    within = between = 0
    for seed in range(60):
        problem, terms = draw_shared_case(seed)
        timeline = make_timeline(problem, terms)
        layers, options = draw_layers(seed, timeline)
        network = join_starts(timeline, layers, options)
        levels = make_layer_levels(network, [1.0] * 3)
        random = np.random.default_rng(seed)
        within += sum(k // 3 == j // 3 for k, j, _ in levels.onward)
        between += sum(k // 3 > j // 3 for k, j, _ in levels.onward)
        assert not any(k // 3 < j // 3 for k, j, _ in levels.onward)
        finder = RouteFinder(network)
        for _ in range(10):
            finder.set_choice(choose_columns(random, options))
            held_h = [finder.measure_time_h(k) for k in range(9)]
            for k, j, hours in levels.onward:
                assert held_h[j] <= held_h[k] + hours + 1e-9
    assert within > 100
    assert between > 100


def test_years_are_not_bound_where_an_effect_may_shrink():
    problem, terms = draw_shared_case(1)
    timeline = make_timeline(problem, terms)
    options = np.arange(terms.option_count)
    nothing = np.zeros(len(timeline.network.candidate_edge))
    full, part = np.ones((4, 2)), np.ones((4, 2))
    part[2] = 0.5
    high, low = Layer(1.0, nothing, full), Layer(1.0, nothing, part)
    assert rises(timeline, low, high, options)
    assert not rises(timeline, high, low, options)
    built = np.zeros(4, np.int64)
    held = Layer(1.0, timeline.sum_delays(built, 0), np.zeros((4, 2)))
    assert rises(timeline, high, held, options), "what holds anyway makes up for what columns add"
    assert not rises(timeline, held, high, options), "a column may be left out"
    network = join_starts(timeline, [high, low], options)
    assert all(k // 3 == j // 3 for k, j, _ in make_layer_levels(network, [1.0] * 2).onward)


def test_delays_beyond_those_of_the_study_bind_nothing():
    problem, terms = draw_shared_case(2)
    timeline = make_timeline(problem, terms)
    options = np.arange(terms.option_count)
    nothing = np.zeros(len(timeline.network.candidate_edge))
    for share, known in ((1.0, True), (1.5, False)):
        network = join_starts(timeline, [Layer(1.0, nothing, np.full((4, 2), share))], options)
        assert np.isfinite([graph.onward_h for graph in network.graphs]).any() == known


@pytest.mark.parametrize("seed", range(30))
def test_bounds_hold_where_approaches_share_a_front(seed, monkeypatch):
    """By year, carried to earlier years, and for the schedule of windows, against trying all."""
    problem, terms = draw_shared_case(seed)
    best = list_best(problem, terms)
    yearly = prove_years(problem, terms, 1.0 if seed % 3 else 1e-4, range(terms.year_count))
    for one in yearly:
        assert one.bound_h >= best[one.year] * (1 - 1e-9)
        for later in yearly[one.year :]:
            assert later.bound_earlier(one) >= best[one.year] * (1 - 1e-9)
    monkeypatch.setattr(schedule_module, "SMALL_COLUMNS", 0)
    answer = solve_schedule(problem, terms, gap=0.0, time_limit_s=1.0)
    whole = try_all(problem, terms)
    assert keeps_terms(terms, np.where(answer.start_year < 0, NEVER, answer.start_year - terms.years[0]))
    assert whole * (1 - 1e-9) <= answer.bound
    assert 0.97 * whole <= answer.objective <= whole * (1 + 1e-9)
