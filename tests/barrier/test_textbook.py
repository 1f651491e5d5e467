"""Textbook instances: the reader, exact answers against trying everything, the peers, published graphs."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.barrier.problems import brute_force, limit_rule, make_problem, value_of

from abatis.barrier.certificate import check_certificate
from abatis.barrier.proof import make_certificate
from abatis.barrier.solve import solve_problem
from abatis.barrier.textbook import (
    Arcs,
    find_unit,
    make_textbook_problem,
    read_arcs,
    read_arspi,
    round_bound,
)
from abatis.model.errors import InputError

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from solver.families import make_geographic, make_matta, make_wood
from solver.peers import solve_path_cuts, solve_whole_model

KINDS = ("plain", "ties", "free", "no delay", "no budget", "whole budget", "tiny", "large", "tenths")
HEADER = "tail,head,cost,delay,resource\n"


def draw_arcs(seed: int, kind: str) -> tuple[Arcs, float]:
    """Tiny graph with parallel arcs, loops and ties, one to three scenarios, and a budget."""
    random = np.random.default_rng(seed)
    nodes = int(random.integers(4, 8))
    extra = int(random.integers(nodes + 2, 3 * nodes))
    tail = np.append(np.arange(nodes - 1), random.integers(0, nodes, extra)).astype(np.int32)
    head = np.append(np.arange(1, nodes), random.integers(0, nodes, extra)).astype(np.int32)
    count, scenarios = len(tail), int(random.integers(1, 4))
    cost = random.integers(0, 4, (scenarios, count)).astype(float)
    delay = random.integers(0, 5, count).astype(float)
    resource = np.where(random.random(count) < 9 / count, random.integers(1, 4, count), 0).astype(float)
    budget = float(random.integers(0, 6))
    if kind == "ties":
        cost[:], delay[:] = 1.0, 1.0
    if kind == "free":
        cost[:] = 0.0
    if kind == "no delay":
        delay[:] = 0.0
    budget = {"no budget": 0.0, "whole budget": float(resource.sum())}.get(kind, budget)
    scale = {"tiny": 1e-6, "large": 1e9, "tenths": 0.1}.get(kind, 1.0)
    if kind == "tenths":
        resource, budget = resource * 0.1, budget * 0.1
    names = tuple(f"n{k}" for k in range(nodes))
    cost, delay = np.round(cost * scale, 9), np.round(delay * scale, 9)
    return Arcs(names, tail, head, cost, delay, resource, 0, nodes - 1), budget


@pytest.mark.parametrize("kind", KINDS)
def test_equal_to_trying_everything(kind):
    """Ties, free arcs, no delay, tenths, micro and giga units: the optimum exactly, and a proof."""
    differing = []
    for seed in range(25):
        arcs, budget = draw_arcs(seed, kind)
        problem = arcs.make_problem(find_unit(arcs))
        best = brute_force(problem, budget)
        solution = solve_problem(problem, budget, gap=0.0, time_limit_s=20)
        bound = round_bound(problem, solution.value_h, solution.bound_h)
        wrong = check_certificate(problem, make_certificate(solution))
        if (
            solution.value_h != pytest.approx(best, rel=1e-12, abs=1e-12)
            or bound != solution.value_h
            or wrong
        ):
            differing.append((seed, best, solution.value_h, bound, wrong))
    assert differing == []


def test_value_is_the_mean_over_scenarios():
    problem = make_textbook_problem([0, 0], [1, 1], [[1, 9], [5, 3]], [4, 0], [1, 0], 0, 1)
    solution = solve_problem(problem, 1.0, gap=0.0)
    assert solution.before_h.tolist() == [1.0, 3.0]
    assert solution.after_h.tolist() == [5.0, 3.0]
    assert solution.value_h == 4.0


def test_parallel_arcs_are_told_apart():
    problem = make_textbook_problem([0, 0, 0], [1, 1, 1], [1, 1, 2], [1, 1, 1], [1, 1, 1], 0, 1)
    assert problem.site_keys == ("0>1", "0>1 #2", "0>1 #3")
    assert solve_problem(problem, 2.0, gap=0.0).value_h == 2.0


@pytest.mark.parametrize(
    ("values", "unit"),
    [([2, 4, 6], 2.0), ([0.1, 0.25], 0.05), ([3e9, 6e9], 3e9), ([0, 0], 1.0), ([1e-9, 123.456], 1.0)],
)
def test_unit(values, unit):
    arcs = Arcs(("a", "b"), np.zeros(1), np.ones(1), np.array([values[:1]]), np.array(values[1:]), 0, 0, 1)
    assert find_unit(dataclasses.replace(arcs, cost_h=np.array([values]))) == pytest.approx(unit, rel=1e-15)


class TestReader:
    @staticmethod
    def read(folder: Path, text: str, source: str = "s", sink: str = "t") -> Arcs:
        path = folder / "arcs.csv"
        path.write_text(text, encoding="utf-8")
        return read_arcs(path, source, sink)

    def test_reads_words_decimals_and_blank_lines(self, tmp_path):
        text = "\ufeffresource, tail,head,delay,cost\n1,s,Žemyna 2,0.5,1.5\n\n0,Žemyna 2,t,2,3\n"
        arcs = self.read(tmp_path, text)
        assert arcs.nodes == ("s", "Žemyna 2", "t")
        assert (arcs.source, arcs.target) == (0, 2)
        assert arcs.cost_h.tolist() == [[1.5, 3.0]]
        assert arcs.delay_h.tolist() == [0.5, 2.0]
        assert arcs.resource.tolist() == [1.0, 0.0]

    def test_reads_scenarios_in_order_of_their_number(self, tmp_path):
        names = ",".join(f"cost_{k}" for k in (2, 10, 1, 3, 4, 5, 6, 7, 8, 9))
        arcs = self.read(tmp_path, f"tail,head,{names},delay,resource\ns,t,2,10,1,3,4,5,6,7,8,9,1,1\n")
        assert arcs.cost_h[:, 0].tolist() == list(range(1, 11))

    def test_names_every_fault_at_once(self, tmp_path):
        rows = "s,a,-1,1,1\na,,x,1,1\na,t,1,inf,1\na,t,1,1,\na,t,1,nan,1_0\na,t,1\n"
        with pytest.raises(InputError) as caught:
            self.read(tmp_path, HEADER + rows, "S", "tt")
        found = [(fault.row, fault.column) for fault in caught.value.faults]
        assert found == [
            (2, "cost"),
            (3, "head"),
            (3, "cost"),
            (4, "delay"),
            (5, "resource"),
            (6, "delay"),
            (6, "resource"),
            (7, ""),
            (None, "--source"),
            (None, "--sink"),
        ]
        assert all(fault.remedy for fault in caught.value.faults if fault.column)

    @pytest.mark.parametrize(
        ("text", "columns"),
        [
            ("tail,head,kost,delay,resource\ns,t,1,1,1\n", ["kost", "cost"]),
            ("tail,head,cost_1,cost_3,delay,resource\ns,t,1,1,1,1\n", ["cost_2"]),
            ("tail,head,cost,cost_1,delay,resource\ns,t,1,1,1,1\n", ["cost"]),
            ("tail,head,cost,cost,delay\ns,t,1,1,1\n", ["cost", "resource"]),
        ],
    )
    def test_header(self, tmp_path, text, columns):
        with pytest.raises(InputError) as caught:
            self.read(tmp_path, text)
        assert [fault.column for fault in caught.value.faults] == columns
        assert {fault.row for fault in caught.value.faults} == {1}

    @pytest.mark.parametrize(
        ("text", "source", "sink", "words"),
        [
            ("", "s", "t", "is empty"),
            (HEADER, "s", "t", "has no arcs"),
            (HEADER + "t,s,1,1,1\n", "s", "t", "no way leads from 's' to 't'"),
            (HEADER + "s,t,1,1,1\n", "s", "s", "is the source as well"),
            (HEADER + "start,t,1,1,1\n", "stort", "t", "did you mean 'start'?"),
            (HEADER + "s,t,1,1,1e13\n", "s", "t", "may be at most 1e+12"),
            (HEADER + 's,t,1,1,"1\ns,t,1,1,1\n', "s", "t", "is not a CSV file"),
        ],
    )
    def test_files_that_cannot_be(self, tmp_path, text, source, sink, words):
        with pytest.raises(InputError) as caught:
            self.read(tmp_path, text, source, sink)
        assert words in str(caught.value)

    def test_a_file_that_is_missing_or_no_text(self, tmp_path):
        with pytest.raises(InputError, match="does not exist"):
            read_arcs(tmp_path / "none.csv", "s", "t")
        (tmp_path / "picture.csv").write_bytes(b"\x89PNG\xff\xfe\x00")
        with pytest.raises(InputError, match="is not a CSV file"):
            read_arcs(tmp_path / "picture.csv", "s", "t")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cost_h": [[1.0, -1.0]]}, "of arc 1 is -1"),
        ({"delay_h": [np.inf, 1.0]}, "of arc 0 is inf"),
        ({"resource": [np.nan, 1.0]}, "of arc 0 is nan"),
        ({"tail": [0, -1]}, "of arc 1 is negative"),
        ({"head": [1]}, "equally long"),
        ({"cost_h": [1.0]}, "has shape"),
        ({"target": 0}, "two different nodes"),
        ({"source": 1, "target": 0}, "no way leads"),
    ],
)
def test_arrays_that_cannot_be(change, words):
    given = {"tail": [0, 0], "head": [1, 1], "cost_h": [1.0, 2.0], "delay_h": [1.0, 1.0]}
    given |= {"resource": [1.0, 1.0], "source": 0, "target": 1}
    make_textbook_problem(**given)
    with pytest.raises(InputError, match=words):
        make_textbook_problem(**(given | change))


@pytest.mark.parametrize("seed", range(8))
def test_peers_equal_trying_everything(seed):
    """Two modes, several options per site, limits, directed and not: both peers find and prove the best."""
    rules = [limit_rule([0, 1, 2], [1, 2, 3], 4)] if seed % 3 == 0 else ()
    problem = make_problem(seed, rules=rules, directed=seed % 4 == 1, whole_numbers=seed % 2 == 0)
    best = brute_force(problem, 8)
    for solve in (solve_whole_model, solve_path_cuts):
        answer = solve(problem, 8, 30)
        assert answer.closed
        assert answer.value_h == pytest.approx(best, abs=1e-9)
        assert answer.bound_h == pytest.approx(best, abs=1e-5)
        assert value_of(problem, list(answer.chosen))[0] == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("size", [10, 20, 30, 40, 50, 60])
def test_wood_grids_have_the_published_sizes(size):
    """Nodes, arcs and interdictable arcs of the rule of Israeli and Wood for n = 10 .. 60."""
    known = {10: (102, 416, 396), 20: (402, 1826, 1786), 30: (902, 4236, 4176), 40: (1602, 7646, 7566)}
    known |= {50: (2502, 12056, 11956), 60: (3602, 17466, 17346)}
    problem = make_wood(size, size, 10, 5, 1, 5, 0).problem
    assert (problem.node_count, len(problem.tail), problem.option_count) == known[size]


def test_families_follow_their_seed():
    assert len(make_matta(50, 12, 0).problem.tail) == 5000
    for make in (lambda s: make_wood(7, 7, 10, 5, 2, 5, s), lambda s: make_geographic(20, 12, 0.2, s)):
        first, again, other = make(1).problem, make(1).problem, make(2).problem
        assert np.array_equal(first.open_h, again.open_h)
        assert np.array_equal(first.option_cost_eur, again.option_cost_eur)
        assert not np.array_equal(first.open_h, other.open_h)
    # The friction field is the same at every resolution: so are the times across the country.
    times = [solve_problem(make_geographic(size, 12, 0, 3).problem, 0).value_h for size in (40, 80)]
    assert times[0] == pytest.approx(times[1], rel=0.05)


@pytest.mark.parametrize("seed", [5005, 5006, 5007])
@pytest.mark.parametrize("budget", [5, 10])
def test_small_wood_grids_equal_the_whole_model(seed, budget):
    """Problems 13 and 14 of Israeli and Wood: 7 x 7, costs to 10, delays to 5."""
    instance = make_wood(7, 7, 10, 5, 1, budget, seed)
    peer = solve_whole_model(instance.problem, budget, 60)
    solution = solve_problem(instance.problem, budget, gap=0.0)
    assert peer.closed
    assert solution.value_h == peer.value_h == peer.bound_h
    assert round_bound(instance.problem, solution.value_h, solution.bound_h) == solution.value_h
    assert check_certificate(instance.problem, make_certificate(solution)) == []


@pytest.mark.parametrize("alone", [True, False], ids=["one scenario", "all scenarios"])
@pytest.mark.parametrize("name", ["5_3-5", "8_2-2", "11_2-2", "27_3-5", "52_3-5"])
def test_published_graphs_equal_the_whole_model(shared_data, name, alone):
    """ARSPI graphs to gap 0: the first scenario alone, and all with equal weights."""
    graph, costs = name.split("-")
    folder = shared_data / "interdiction" / "arspi_experiment3"
    arcs = read_arspi(folder / f"experiment3-{graph}.txt", folder / f"experiment3-{graph}-costs_{costs}.csv")
    assert len(arcs.cost_h) == int(costs)
    if alone:
        arcs = dataclasses.replace(arcs, cost_h=arcs.cost_h[:1])
    problem = arcs.make_problem()
    peer = solve_whole_model(problem, 3, 60)
    solution = solve_problem(problem, 3.0, gap=0.0)
    assert peer.closed
    assert solution.value_h == pytest.approx(peer.value_h, rel=1e-12)
    assert round_bound(problem, solution.value_h, solution.bound_h) == solution.value_h
    assert check_certificate(problem, make_certificate(solution)) == []


def test_graph_and_costs_that_do_not_fit(tmp_path):
    graph, costs = tmp_path / "g.txt", tmp_path / "c.csv"
    graph.write_text("0 1\n1 2\n")
    costs.write_text("1,2,3\n4,4,4\n")
    with pytest.raises(InputError, match="do not fit together"):
        read_arspi(graph, costs)
    costs.write_text("1,two\n4,4\n")
    with pytest.raises(InputError, match="is not a graph with costs"):
        read_arspi(graph, costs)


def test_a_ring_of_arcs_without_cost_hides_no_way():
    """0 to 3 are no time apart; 5 is reached over 1 for nothing, or for 5 when that arc is interdicted."""
    tail, head = [0, 2, 2, 3, 3, 1, 2, 3], [2, 3, 1, 2, 1, 5, 5, 5]
    cost, delay = [0, 0, 0, 0, 0, 0, 9, 9], [0, 0, 0, 0, 0, 5, 9, 9]
    problem = make_textbook_problem(tail, head, cost, delay, [0, 0, 0, 0, 0, 1, 1, 1], 0, 5)
    for budget, value in ((0.0, 0.0), (1.0, 5.0)):
        solution = solve_problem(problem, budget, gap=0.0)
        assert solution.value_h == pytest.approx(value)
        assert check_certificate(problem, make_certificate(solution)) == []
