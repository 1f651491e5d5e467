"""Draws on several workers: the same bytes from threads and from processes of Dask, one of them killed."""

import os
import signal
import time
from dataclasses import replace

import numpy as np
import pytest

from abatis.barrier.sites import site_study
from abatis.programme.cluster import ClusterExecutor
from abatis.programme.drawn_works import DatedPlan
from abatis.programme.risk import BLOCK, make_draws, measure_draws, prepare_case, run_draws
from abatis.show.cli import main
from abatis.show.workflow import load_study

YEARS = np.arange(2026, 2029)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The template with a plan."""
    folder = tmp_path_factory.mktemp("workers") / "study"
    assert main(["new", str(folder)]) == 0
    assert main(["build", str(folder)]) == 0
    assert main(["solve", str(folder), "--budget", "3000000", "--time-limit", "1"]) == 0
    assert main(["programme", str(folder), "--time-limit", "1"]) == 0
    return folder


@pytest.fixture(scope="module")
def cases(folder):
    """The template with one option at every site, without and with drawn speeds."""
    study, mesh = load_study(folder)
    siting = site_study(study, mesh)
    options = np.unique(siting.problem.option_site, return_index=True)[1].astype(np.int64)
    year = np.resize(YEARS, len(options))
    plan = DatedPlan("all", options, year, year, 1e7, np.empty(0), np.ones(len(options), bool))
    return [prepare_case(study, mesh, siting, [plan], YEARS, with_speeds) for with_speeds in (False, True)]


def same(one, other):
    return (
        one.hours.tobytes() == other.hours.tobytes() and one.spend_eur.tobytes() == other.spend_eur.tobytes()
    )


@pytest.mark.parametrize("with_speeds", [False, True])
def test_any_number_of_threads_gives_the_same_bytes(cases, with_speeds):
    case = cases[with_speeds]
    one = run_draws(case, 5, 37)
    assert len(np.unique(one.hours[0, :, -1].sum(axis=1))) > 5
    assert len(np.unique(one.spend_eur[0, :, 0])) == 37
    for workers in (2, 3, 40):
        assert same(one, run_draws(case, 5, 37, workers))


def test_a_draw_does_not_depend_on_its_block(cases):
    case = cases[False]
    whole = measure_draws(case, make_draws(case, 9, 0, 2 * BLOCK))
    alone = measure_draws(case, make_draws(case, 9, BLOCK + 3, 1))
    assert (alone.hours[:, 0] == whole.hours[:, BLOCK + 3]).all()
    assert (alone.spend_eur[:, 0] == whole.spend_eur[:, BLOCK + 3]).all()


def test_a_fault_in_one_block_reaches_the_caller(cases):
    class Broken:
        def measure(self, *_):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_draws(replace(cases[False], arrivals=Broken()), 1, 50, workers=2)


def only_copy_left(client, executor):
    """The worker that holds the case last sent, when all copies but one are dropped."""
    (_, sent), *_ = executor._sent
    until = time.monotonic() + 20
    while len(holders := client.who_has([sent])[sent.key]) > 1 and time.monotonic() < until:
        client.amm.run_once()
        time.sleep(0.05)
    assert len(holders) == 1
    return holders[0]


def test_two_processes_of_dask_give_the_same_bytes_and_one_may_die(cases, folder, capsys):
    distributed = pytest.importorskip(
        "distributed", reason="draws on Dask are left out: the extra 'cluster' is missing"
    )
    case = cases[True]
    count = 80
    expected = run_draws(case, 5, count)
    settings = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "memory_limit": 0}
    with distributed.LocalCluster(**settings) as local, distributed.Client(local) as client:
        before = set(client.run(os.getpid).values())
        assert len(before | {os.getpid()}) == 3
        executor = ClusterExecutor(client)
        assert same(expected, run_draws(case, 5, count, 2, executor))
        tables = []
        for words in ([], ["--cluster", "--scheduler", local.scheduler_address]):
            capsys.readouterr()
            assert main(["risk", str(folder), "--draws", "30", "--json", *words]) == 0
            tables.append(capsys.readouterr().out)
        assert tables[0] == tables[1]
        victim = min(before)
        killed = []

        def kill_once(_stage, _share):
            if not killed:
                os.kill(victim, signal.SIGKILL)
                killed.append(victim)

        assert same(expected, run_draws(case, 5, count, 2, executor, kill_once))
        assert killed == [victim]
        until = time.monotonic() + 10
        while victim in client.run(os.getpid, on_error="ignore").values() and time.monotonic() < until:
            time.sleep(0.1)
        assert victim not in client.run(os.getpid, on_error="ignore").values()
        # Dask drops copies that nobody waits for; who kept the only one dies, and the case is sent once more.
        holder = only_copy_left(client, executor)
        os.kill(client.run(os.getpid, workers=[holder])[holder], signal.SIGKILL)
        assert same(expected, run_draws(case, 5, count, 2, executor))
