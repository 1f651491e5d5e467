"""Threads of the search: the answer does not depend on them, it can be ended at any time, none is left."""

import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from tests.barrier.problems import make_problem

from abatis.barrier.branching import OptionBranching
from abatis.barrier.certificate import check_certificate
from abatis.barrier.crew import Crew, count_threads
from abatis.barrier.network import RouteFinder, build_network
from abatis.barrier.paths import PathPool
from abatis.barrier.proof import make_certificate
from abatis.barrier.solve import Search, solve_problem
from abatis.model.errors import InputError

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from solver.families import make_geographic, make_wood

NO_COVER = np.empty(0, np.int32)


def list_crew():
    """Threads of a crew that are alive."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("abatis-crew")]


@pytest.mark.parametrize(
    ("instance", "nodes"),
    [
        (make_geographic(40, 40, 0.2, 1), 50),
        (make_wood(10, 10, 100, 200, 1, 10, 1), 20),
        (make_wood(10, 10, 100, 200, 1, 5, 0), 3),
    ],
)
def test_one_and_two_threads_give_the_same_certificate(instance, nodes):
    one, two, again = (
        solve_problem(instance.problem, instance.budget, gap=0.0, time_limit_s=100.0, threads=count)
        for count in (1, 2, 2)
    )
    assert one.status == "optimal" and len(one.nodes) >= nodes
    assert make_certificate(one) == make_certificate(two) == make_certificate(again)
    assert one.value_h == two.value_h and one.bound_h == two.bound_h
    assert check_certificate(instance.problem, make_certificate(two)) == []
    assert list_crew() == []


def test_a_search_near_the_best_plan_runs_beside_and_changes_nothing(monkeypatch):
    """With every node allowed to start it, the mixed-integer programme runs; threads do not matter."""
    monkeypatch.setattr("abatis.barrier.solve.FIRST_NEARBY", 1)
    monkeypatch.setattr("abatis.barrier.neighbourhood.EFFORT", 1e9)
    taken = []
    offer = "abatis.barrier.neighbourhood.LevelNeighbourhood._offer"
    monkeypatch.setattr(offer, lambda self, answer: taken.append((self.crew.threads, answer.steps)))
    instance = make_geographic(40, 40, 0.2, 1)
    one, two = (
        solve_problem(instance.problem, instance.budget, gap=0.0, time_limit_s=100.0, threads=count)
        for count in (1, 2)
    )
    assert make_certificate(one) == make_certificate(two)
    steps = [[step for threads, step in taken if threads == count] for count in (1, 2)]
    assert steps[0] == steps[1] and len(steps[0]) > 0
    assert list_crew() == []


@pytest.mark.parametrize("time_limit_s", [0.0, 0.05, 0.2, 0.6])
def test_a_time_limit_with_two_threads_leaves_a_plan_a_bound_and_no_thread(time_limit_s):
    instance = make_geographic(40, 60, 0.2, 0)
    problem = instance.problem
    solution = solve_problem(problem, instance.budget, gap=0.0, time_limit_s=time_limit_s, threads=2)
    assert solution.bound_h >= solution.value_h > 0
    assert check_certificate(problem, make_certificate(solution)) == []
    assert list_crew() == []


@pytest.mark.parametrize("delay_s", [0.005, 0.02, 0.1, 0.3, 0.7, 1.5])
def test_an_interruption_at_any_moment_leaves_a_plan_a_bound_and_no_thread(monkeypatch, delay_s):
    """A real signal while two threads are at work, wherever it finds the search."""
    run = Search.run

    def run_with_alarm(search, *limits):
        signal.setitimer(signal.ITIMER_REAL, delay_s)
        return run(search, *limits)

    monkeypatch.setattr(Search, "run", run_with_alarm)
    instance = make_geographic(50, 100, 0.3, 0)
    problem = instance.problem
    network = build_network(problem)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        started = time.monotonic()
        solution = solve_problem(
            problem, instance.budget, gap=0.0, time_limit_s=100.0, threads=2, network=network
        )
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert solution.status == "interrupted"
    assert time.monotonic() - started < delay_s + 10.0
    assert solution.bound_h >= solution.value_h > 0
    assert check_certificate(problem, make_certificate(solution)) == []
    assert list_crew() == []


def test_a_fault_in_a_job_is_raised_and_leaves_no_thread():
    def fail():
        raise RuntimeError("no optimum")

    with pytest.raises(RuntimeError, match="no optimum"), Crew(2) as crew:
        crew.run([lambda: 1, fail, lambda: 3])
    assert list_crew() == []


def test_jobs_run_side_by_side_and_answer_in_their_order():
    meeting = threading.Barrier(2, timeout=20)
    with Crew(2) as crew:
        assert crew.run([lambda: meeting.wait() * 0 + 7, lambda: meeting.wait() * 0 + 9]) == [7, 9]
        assert not crew.is_over(time.monotonic() + 60)
        ended = threading.Event()
        crew.start(lambda: ended.wait(20), ended.set)
    assert ended.is_set() and crew.is_over(time.monotonic() + 60)
    assert Crew(1).run([lambda: 1, lambda: 2]) == [1, 2]


def test_threads_are_counted_and_checked():
    assert count_threads(3) == 3 and count_threads() in (1, 2)
    with pytest.raises(InputError, match="at least 1"):
        solve_problem(make_problem(5), 15.0, threads=0)


def test_what_two_copies_of_a_pool_found_is_merged_without_loss():
    """Rows keep path, band, cover and step under their shared numbers; a path found twice is kept once."""
    network = build_network(make_problem(4, nodes=12, sites=8, approaches=2))
    finder, pool = RouteFinder(network), PathPool(network)
    count, copies = network.problem.option_count, (pool.copy(), pool.copy())
    for share in (0.0, 0.5, 1.0):
        rows = []
        for place, copy in enumerate(copies):
            copy.refresh()
            assert len(copy) == len(pool) and copy.row_count == pool.row_count
            for extra in (0.0, 0.3 * place):
                finder.set_choice(np.full(count, share + extra))
                for approach in range(2):
                    path = copy.add_route(finder.find_route(approach)[1], approach)
                    rows.append((place, copy.number_row(path, place, NO_COVER, 2.0 * share)))
        described = [
            (copies[p].base_h[copies[p].describe_row(r)[0]], *copies[p].describe_row(r)[1:]) for p, r in rows
        ]
        numbers = [pool.absorb(copy) for copy in copies]
        for (place, row), (base_h, *named) in zip(rows, described, strict=True):
            path, *rest = pool.describe_row(int(numbers[place][row]))
            assert pool.base_h[path] == base_h and rest == named
    arcs = [(int(pool.level[path]), pool.routes[path].arcs) for path in range(len(pool))]
    assert len(arcs) > 2 and len(set(arcs)) == len(arcs)
    with pytest.raises(ValueError, match="only a copy"):
        pool.refresh()


def test_probes_of_copies_are_merged_in_order():
    """Two copies that probe add up to one memory that probed both."""
    base, plain = OptionBranching(3), OptionBranching(3)
    copies = [base.copy(), base.copy()]
    for place, copy in enumerate(copies):
        copy.refresh()
        copy._learn(place, 1.0 + place, 2.0)
        plain._learn(place, 1.0 + place, 2.0)
    for copy in copies:
        base.absorb(copy)
    copies[0].refresh()
    for memory in (base, copies[0]):
        assert np.array_equal(memory._loss, plain._loss) and np.array_equal(memory._count, plain._count)
    with pytest.raises(ValueError, match="only a copy"):
        base.refresh()
