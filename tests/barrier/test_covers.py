"""The search over paths and covers together, against every path and every cover."""

import dataclasses
import itertools

import numpy as np
import pytest
from tests.barrier.problems import make_problem
from tests.barrier.test_solve import chain_problem

from abatis.barrier import _covers
from abatis.barrier.covers import ARCS_A_LABEL, STEPS, CoverFinder
from abatis.barrier.network import build_network


def list_walks(graph):
    """Every simple path from source to target as a tuple of arcs."""
    walks, stack = [], [(graph.source, (), (graph.source,))]
    while stack:
        node, arcs, seen = stack.pop()
        if node == graph.target:
            walks.append(arcs)
            continue
        for arc in range(graph.start[node], graph.start[node + 1]):
            head = int(graph.head[arc])
            if head not in seen:
                stack.append((head, (*arcs, arc), (*seen, head)))
    return walks


def list_ways(network, candidate, share):
    """Hours and share left of a crossing: open, or built to one (several sites: all at their longest)."""
    part = slice(network.candidate_start[candidate], network.candidate_start[candidate + 1])
    options, hours = network.candidate_option[part], network.candidate_delay_h[part]
    sites = network.problem.option_site[options]
    ways = [(0.0, share[options].sum())]
    if len(set(sites.tolist())) > 1:
        return [*ways, (sum(hours[sites == site].max() for site in set(sites.tolist())), 0.0)]
    return ways + [(hour, share[options[hours > hour]].sum()) for hour in hours]


def find_covers(finder, approach, limit_h):
    """All covers that leave less than one whole option open and arrive before an hour."""
    return [finder.trace_cover(approach, early) for early in finder.find_early(approach, [(limit_h, 1.0)])]


def test_two_ways_by_hand():
    """With half of each option, the short way built in full costs nothing; leaving it open weighs a half."""
    network = build_network(chain_problem())
    finder = CoverFinder(network)
    finder.set_choice(np.array([0.5, 0.5]))
    found = find_covers(finder, 0, 100.0)
    assert [(cover.time_h, cover.weight, cover.options) for cover in found] == [
        (2.0, 0.5, ()),
        (6.0, 0.0, (0,)),
    ]
    assert [cover.route.base_h for cover in found] == [2.0, 2.0]
    assert not finder.find_early(0, [(2.0, 1.0)]), "nothing arrives before 2 h"


def test_work_counts_every_arc_and_every_label_settled():
    """A search that cannot begin looks at the arcs alone; one that arrives settles seven labels as well.

    In words: the front and place 0, places 1 and 2 over open edges, the target over 1 (2 h); then place 1
    over the edge as built, and the target (6 h), where the search ends.
    """
    network = build_network(chain_problem())
    finder = CoverFinder(network)
    finder.set_choice(np.array([0.5, 0.5]))
    arcs = len(network.graphs[0].head)
    finder.find_early(0, [(2.0, 1.0)])
    assert finder.looked == arcs
    finder.find_early(0, [(100.0, 1.0)])
    assert finder.looked == 2 * arcs + 7 * ARCS_A_LABEL


@pytest.mark.parametrize("seed", range(12))
def test_least_times_equal_all_paths_and_covers(seed):
    problem = make_problem(seed, nodes=7, sites=5, approaches=2)
    network = build_network(problem)
    finder = CoverFinder(network)
    random = np.random.default_rng(seed)
    share = random.integers(0, STEPS // 3, problem.option_count) / STEPS
    finder.set_choice(share)
    ways = [list_ways(network, candidate, share) for candidate in range(len(network.candidate_edge))]
    for approach, graph in enumerate(network.graphs):
        least = {}
        for walk in list_walks(graph):
            crossed = [int(graph.candidate[arc]) for arc in walk if graph.candidate[arc] >= 0]
            base_h = float(graph.base_h[list(walk)].sum())
            for picks in itertools.product(*(ways[c] for c in crossed)):
                time_h = base_h + sum(delay_h for delay_h, _ in picks)
                step = round(sum(left for _, left in picks) * STEPS)
                if step < STEPS:
                    least[step] = min(least.get(step, np.inf), time_h)
        expected, best = [], np.inf
        for step in sorted(least):
            if least[step] < best - 1e-9:
                best = least[step]
                expected.append((best, step / STEPS))
        found = [(early.time_h, early.weight) for early in finder.find_early(approach, [(1e9, 1.0)])]
        assert found[::-1] == [pytest.approx(pair) for pair in expected]


def test_a_cover_names_the_options_taken_as_built():
    named = 0
    for seed in range(8):
        network = build_network(make_problem(seed, nodes=7, sites=5, approaches=1))
        finder = CoverFinder(network)
        finder.set_choice(np.full(network.problem.option_count, 0.25))
        for cover in find_covers(finder, 0, 1e9):
            crossed = {
                int(network.candidate_option[e])
                for c in cover.route.candidates
                for e in range(network.candidate_start[c], network.candidate_start[c + 1])
            }
            sites = network.problem.option_site[list(cover.options)].tolist()
            assert set(cover.options) <= crossed
            assert sites == sorted(set(sites)), "at most one option per site, by rising site"
            assert cover.time_h >= cover.route.base_h
            named += len(cover.options)
    assert named > 0


def test_a_site_may_be_built_to_its_shorter_option():
    """One site with 1 h and 4 h: built to 1 h, only the share of the 4 h option is left."""
    problem = dataclasses.replace(
        chain_problem(),
        option_keys=("short", "long"),
        option_site=np.array([0, 0], np.int32),
        option_edge=np.array([0, 0], np.int32),
        option_open_h=np.array([1.0, 4.0]),
        site_keys=("only",),
        site_names=("only",),
    )
    finder = CoverFinder(build_network(problem))
    finder.set_choice(np.array([0.5, 0.25]))
    found = [(c.time_h, c.weight, c.options) for c in find_covers(finder, 0, 2.999)]
    assert found == [(2.0, 0.75, ())], "the other way takes 3 h and costs nothing"
    found = [(c.time_h, c.weight, c.options) for c in find_covers(finder, 0, 3.001)]
    assert found == [(2.0, 0.75, ()), (3.0, 0.0, ())]


@pytest.mark.parametrize("seed", range(40))
def test_ways_to_cross_equal_those_listed_one_by_one(seed):
    """Up to 24 options a crossing, with equal delays, of one site or several."""
    random = np.random.default_rng(seed)
    widths = random.integers(1, 25, 8)
    start = np.append(0, np.cumsum(widths))
    site = random.integers(0, 40, start[-1]) if seed % 2 else np.repeat(np.arange(8), widths)
    option = np.arange(start[-1], dtype=np.int32)
    delay_h = random.integers(1, 30, start[-1]).astype(float)
    first, hours, built, owner, longer = _covers.list_ways(start, option, delay_h, site)
    for one in range(8):
        part = slice(start[one], start[one + 1])
        ways = list_crossing(option[part].tolist(), delay_h[part].tolist(), site)
        own = range(first[one], first[one + 1])
        assert [(hours[way], built[way]) for way in own] == ways
        for way, (delay, last) in zip(own, ways, strict=True):
            above = [] if last == _covers.ALL_LONGEST else [o for o in option[part] if delay_h[o] > delay]
            assert sorted(longer[owner == way].tolist()) == above


def list_crossing(options, hours, site):
    """Ways of one crossing as pairs (hours, option), of too many the shortest ones and the longest."""
    longest = {}
    for option, hour in zip(options, hours, strict=True):
        longest[int(site[option])] = max(longest.get(int(site[option]), 0.0), hour)
    if len(longest) > 1:
        return [(0.0, _covers.OPEN), (sum(longest.values()), _covers.ALL_LONGEST)]
    ways = [(0.0, _covers.OPEN), *sorted(dict(zip(hours, options, strict=True)).items())]
    return ways if len(ways) <= _covers.MOST_WAYS else [*ways[: _covers.MOST_WAYS - 1], ways[-1]]
