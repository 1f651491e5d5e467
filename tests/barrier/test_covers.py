"""The search over paths and covers together, against every path and every cover."""

import itertools

import numpy as np
import pytest
from tests.barrier.problems import make_problem
from tests.barrier.test_solve import chain_problem

from abatis.barrier.covers import STEPS, CoverFinder
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


def test_two_ways_by_hand():
    """With half of each option, closing the short way in full costs nothing; leaving it open weighs a half."""
    network = build_network(chain_problem())
    finder = CoverFinder(network)
    finder.set_choice(np.array([0.5, 0.5]))
    found = finder.find_covers(0, 100.0)
    assert [(cover.time_h, cover.weight, cover.sites) for cover in found] == [
        (2.0, 0.5, ()),
        (6.0, 0.0, (0,)),
    ]
    assert [cover.route.base_h for cover in found] == [2.0, 2.0]
    assert not finder.find_covers(0, 2.0), "nothing arrives before 2 h"


@pytest.mark.parametrize("seed", range(12))
def test_least_times_equal_all_paths_and_covers(seed):
    problem = make_problem(seed, nodes=7, sites=5, approaches=2)
    network = build_network(problem)
    finder = CoverFinder(network)
    random = np.random.default_rng(seed)
    share = random.integers(0, STEPS // 3, problem.option_count) / STEPS
    finder.set_choice(share)
    longest = [
        sum(
            max(
                network.candidate_delay_h[e]
                for e in range(network.candidate_start[c], network.candidate_start[c + 1])
                if problem.option_site[network.candidate_option[e]] == site
            )
            for site in {
                int(problem.option_site[network.candidate_option[e]])
                for e in range(network.candidate_start[c], network.candidate_start[c + 1])
            }
        )
        for c in range(len(network.candidate_edge))
    ]
    weight = [
        sum(
            share[network.candidate_option[e]]
            for e in range(network.candidate_start[c], network.candidate_start[c + 1])
        )
        for c in range(len(network.candidate_edge))
    ]
    for approach, graph in enumerate(network.graphs):
        least = {}
        for walk in list_walks(graph):
            crossed = [int(graph.candidate[arc]) for arc in walk if graph.candidate[arc] >= 0]
            base_h = float(graph.base_h[list(walk)].sum())
            for closed in itertools.product((False, True), repeat=len(crossed)):
                time_h = base_h + sum(longest[c] for c, one in zip(crossed, closed, strict=True) if one)
                left = sum(weight[c] for c, one in zip(crossed, closed, strict=True) if not one)
                step = round(left * STEPS)
                if step < STEPS:
                    least[step] = min(least.get(step, np.inf), time_h)
        expected, best = [], np.inf
        for step in sorted(least):
            if least[step] < best - 1e-9:
                best = least[step]
                expected.append((best, step / STEPS))
        found = [(cover.time_h, cover.weight) for cover in finder.find_covers(approach, 1e9)]
        assert found[::-1] == [pytest.approx(pair) for pair in expected]


def test_a_cover_names_the_sites_taken_as_closed():
    network = build_network(make_problem(3, nodes=7, sites=5, approaches=1))
    finder = CoverFinder(network)
    finder.set_choice(np.full(network.problem.option_count, 0.25))
    for cover in finder.find_covers(0, 1e9):
        crossed = {
            int(network.problem.option_site[network.candidate_option[e]])
            for c in cover.route.candidates
            for e in range(network.candidate_start[c], network.candidate_start[c + 1])
        }
        assert set(cover.sites) <= crossed
        assert cover.time_h >= cover.route.base_h
