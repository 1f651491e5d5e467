"""Observed barriers: edge by edge, by hand and on a study; without a watch result all stays as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tests.barrier.problems import make_problem

from abatis.barrier.observed import LEFT_WHEN_UNWATCHED, mark_observed, see_edges, weaken_unseen
from abatis.barrier.solve import solve_problem
from abatis.model.errors import InputError
from abatis.model.watched import Watched, read_watched, write_watched


@pytest.fixture
def row(bench):
    """Four cells in a row, an hour apart."""
    neighbor = np.full((4, 6), -1, np.int32)
    neighbor[1:, 3], neighbor[:-1, 0] = np.arange(3), np.arange(1, 4)
    return bench.fill_mesh(np.arange(4, dtype=np.uint64), np.zeros((4, 2)), neighbor)


def test_an_edge_is_watched_from_either_side(row):
    assert see_edges(row, np.array([False, True, False, False])).tolist() == [True, True, False]
    with pytest.raises(InputError, match="one true or false"):
        see_edges(row, np.ones(3, bool))


def test_delays_edge_by_edge():
    problem = make_problem(4)
    watched = np.random.default_rng(4).random(len(problem.tail)) < 0.5
    weak = weaken_unseen(problem, watched, 0.3)
    share = np.where(watched[problem.option_edge], 1.0, 0.3)
    assert np.abs(weak.option_open_h - share * problem.option_open_h).max() < 1e-10
    assert np.abs(weak.option_road_h - share * problem.option_road_h).max() < 1e-10
    seen = watched[problem.option_edge]
    assert (weak.option_open_h[seen] == problem.option_open_h[seen]).all()
    assert weak.option_cost_eur is problem.option_cost_eur
    full = weaken_unseen(problem, np.ones(len(problem.tail), bool), 0.3)
    assert (full.option_open_h == problem.option_open_h).all()
    assert weaken_unseen(problem, watched, 1.0) is problem
    with pytest.raises(InputError) as error:
        weaken_unseen(problem, watched[:-1], 1.5)
    assert {fault.column for fault in error.value.faults} == {"watched", "left"}


def test_more_eyes_never_lower_the_value():
    problem = make_problem(7, nodes=8, sites=5)
    random = np.random.default_rng(7).random(len(problem.tail))
    values = [
        solve_problem(weaken_unseen(problem, random < share), 12.0, gap=0.0).value_h
        for share in (0.0, 0.4, 0.8, 1.1)
    ]
    assert values == sorted(values) and values[-1] > values[0]
    assert values[-1] == solve_problem(problem, 12.0, gap=0.0).value_h


def test_share_and_factor_of_a_site(row, bench):
    mesh = bench.change_mesh(row, length_m=np.array([100.0, 300.0, 600.0], np.float32))
    problem = replace(
        make_problem(1), tail=mesh.edge_a, head=mesh.edge_b, option_edge=make_problem(1).option_edge % 3
    )
    sites = [SimpleNamespace(edges=np.array([0, 1, 2])), SimpleNamespace(edges=np.array([2]))]
    found = mark_observed(problem, mesh, sites, np.array([True, False, False, False]))
    assert found.share.tolist() == pytest.approx([0.1, 0.0])
    assert found.factor.tolist() == pytest.approx([0.1 + 0.9 * LEFT_WHEN_UNWATCHED, LEFT_WHEN_UNWATCHED])


class TestWatchedFile:
    def test_kept_and_read(self, row, tmp_path):
        assert read_watched(tmp_path, row) is None
        watched = Watched(np.array([0, 1, 2, 1], np.int32), np.array([0.0, 0.4, 0.9, 0.5]))
        write_watched(tmp_path / "watch", row, watched)
        again = read_watched(tmp_path, row)
        assert (again.seen_by == watched.seen_by).all() and (again.detection == watched.detection).all()
        assert again.mark_cells().tolist() == [False, False, True, True]
        assert again.mark_cells(0.3).tolist() == [False, True, True, True]

    def test_of_another_mesh_or_damaged(self, row, bench, tmp_path):
        watched = Watched(np.zeros(4, np.int32), np.zeros(4))
        write_watched(tmp_path / "watch", row, watched)
        with pytest.raises(InputError, match="another mesh"):
            read_watched(tmp_path, bench.change_mesh(row, study_hash="other"))
        with pytest.raises(InputError, match="another mesh"):
            read_watched(tmp_path, bench.change_mesh(row, cells=row.cells + np.uint64(1)))
        Path(tmp_path / "watch" / "seen.parquet").write_bytes(b"no parquet")
        with pytest.raises(InputError, match="damaged"):
            read_watched(tmp_path, row)

    def test_wrong_arrays(self, row, tmp_path):
        with pytest.raises(InputError) as error:
            write_watched(tmp_path, row, Watched(np.zeros(3, np.int32), np.zeros(5)))
        assert len(error.value.faults) == 2
        with pytest.raises(InputError) as error:
            write_watched(tmp_path, row, Watched(np.full(4, -1), np.full(4, 2.0)))
        assert len(error.value.faults) == 2
