"""The compressed network checked by eye, and against plain Dijkstra where approaches share searches."""

import dataclasses

import numpy as np
import pytest
from scipy.sparse.csgraph import dijkstra
from tests.barrier.problems import make_problem

from abatis.barrier.arrivals import Graph
from abatis.barrier.certificate import check_certificate
from abatis.barrier.crew import Crew
from abatis.barrier.network import build_network
from abatis.barrier.proof import make_certificate
from abatis.barrier.solve import solve_problem


def list_legs(graph):
    """Arcs free of candidates: (tail, head) by problem node (front -2, objective -3) and hours."""
    nodes = np.append(graph.nodes[:-2], [-2, -3])
    tails = np.repeat(np.arange(len(graph.nodes)), np.diff(graph.start))
    free = graph.edge < 0
    pairs = zip(nodes[tails[free]].tolist(), nodes[graph.head[free]].tolist(), strict=True)
    return dict(zip(pairs, graph.base_h[free].tolist(), strict=True))


def make_chain(targets=(3,)):
    """Nodes 0-1-2-3 in a row, 1 h each, an option on the edge 1-2, and a way round it from 0 to 3 in 5 h."""
    problem = make_problem(0, nodes=4, sites=1, approaches=1)
    return dataclasses.replace(
        problem,
        tail=np.array([0, 1, 2, 0], np.int32),
        head=np.array([1, 2, 3, 3], np.int32),
        directed=False,
        open_h=np.array([[1.0, 1.0, 1.0, 5.0]]),
        road_h=np.full((1, 4), np.inf),
        approach_group=np.zeros(1, np.int32),
        approach_sources=(np.array([0], np.int32),),
        approach_targets=(np.array(targets, np.int32),),
        option_keys=("o",),
        option_site=np.zeros(1, np.int32),
        option_cost_eur=np.ones(1),
        option_start=np.array([0, 1]),
        option_edge=np.array([1], np.int32),
        option_open_h=np.array([9.0]),
        option_road_h=np.zeros(1),
    )


def test_a_chain_keeps_its_candidate_and_the_ways_beside_it():
    (graph,) = build_network(make_chain()).graphs
    assert graph.nodes.tolist() == [1, 2, -1, -1]
    assert list_legs(graph) == {(-2, 1): 1.0, (2, -3): 1.0, (-2, -3): 5.0}
    assert (graph.before_h, graph.slowest_h) == (3.0, 5.0)


def test_an_objective_at_a_candidate_is_joined_in_no_time():
    (graph,) = build_network(make_chain(targets=(2,))).graphs
    assert list_legs(graph)[2, -3] == 0.0


@pytest.mark.parametrize("directed", [False, True])
def test_legs_are_least_times_past_all_candidates(directed):
    """Every leg is the least time between its ends on the graph without candidate edges."""
    compared = 0
    for seed in range(30):
        problem = make_problem(seed, nodes=24, sites=6, approaches=4, directed=directed)
        network = build_network(problem)
        for approach, graph in enumerate(network.graphs):
            group = problem.approach_group[approach]
            free_h = np.minimum(problem.open_h[group], problem.road_h[group])
            free_h[problem.option_edge] = np.inf
            hours = dijkstra(Graph(problem).join(free_h))
            starts = {-2: problem.approach_sources[approach]}
            goals = {-3: problem.approach_targets[approach]}
            for (tail, head), leg_h in list_legs(graph).items():
                ways = hours[np.ix_(starts.get(tail, [tail]), goals.get(head, [head]))]
                assert leg_h == pytest.approx(ways.min(), rel=1e-12)
                compared += 1
    assert compared > 300


def test_shared_searches_give_what_each_approach_needs_alone():
    """Approaches of one group, solved together and alone: the same times before and with all barriers."""
    for seed in range(20):
        problem = make_problem(seed, nodes=16, sites=5, approaches=4)
        problem = dataclasses.replace(problem, approach_group=np.zeros(4, np.int32))
        together = build_network(problem)
        for k, graph in enumerate(together.graphs):
            alone = dataclasses.replace(
                problem,
                approach_keys=("a",),
                approach_names=("a",),
                approach_group=np.zeros(1, np.int32),
                approach_weight=np.ones(1),
                approach_sources=problem.approach_sources[k : k + 1],
                approach_targets=problem.approach_targets[k : k + 1],
            )
            (own,) = build_network(alone).graphs
            assert (graph.before_h, graph.slowest_h) == (own.before_h, own.slowest_h)
            assert set(own.nodes[:-2]) <= set(graph.nodes[:-2])


def test_threads_change_nothing():
    problem = make_problem(3, nodes=40, sites=12, approaches=5)
    graphs = []
    for threads in (1, 2):
        with Crew(threads) as crew:
            graphs.append(build_network(problem, crew).graphs)
    for one, two in zip(*graphs, strict=True):
        for name in ("start", "head", "base_h", "candidate", "edge", "nodes", "guide_h"):
            assert getattr(one, name).tobytes() == getattr(two, name).tobytes()


@pytest.mark.parametrize("directed", [False, True])
def test_legs_of_a_proof_are_written_down_edge_by_edge(directed):
    """With ways round all candidates, through several ends and from fronts of two nodes."""
    for seed in range(8):
        problem = make_problem(seed, nodes=20, sites=6, approaches=3, directed=directed)
        certificate = make_certificate(solve_problem(problem, 12.0, gap=0.0))
        assert check_certificate(problem, certificate) == []
