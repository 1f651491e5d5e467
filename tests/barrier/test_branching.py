"""Probing an option must say what fixing it costs, and leave the programme as it was."""

import numpy as np
import pytest
from tests.barrier.problems import make_problem

from abatis.barrier.bands import cut_bands, make_grid
from abatis.barrier.branching import OptionBranching
from abatis.barrier.levels import Box
from abatis.barrier.network import RouteFinder, build_network
from abatis.barrier.paths import PathPool
from abatis.barrier.programme import NodeProgramme, make_static_rows
from abatis.barrier.solve import make_levels

NO_COVER = np.empty(0, np.int32)


def load_root(seed, fixed=()):
    """A programme of the root box with the rows of every approach's fastest ways, and its optimum."""
    problem = make_problem(seed, nodes=10, sites=7, approaches=2)
    budget_eur = 0.04 * float(problem.option_cost_eur.sum())
    network = build_network(problem)
    levels = make_levels(network, np.array([graph.before_h for graph in network.graphs]))
    grid = make_grid(levels, float(levels.weight @ levels.low_h))
    programme = NodeProgramme(problem, levels, make_static_rows(problem, budget_eur), grid)
    box = Box(levels.low_h, levels.high_h, fixed)
    bands = cut_bands(grid, box.low_h, box.high_h)
    programme.set_box(box, bands, keep_rows=False)
    pool, finder, rows = PathPool(network), RouteFinder(network), []
    for share in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        finder.set_choice(np.full(problem.option_count, share))
        for approach in range(2):
            path = pool.add_route(finder.find_route(approach)[1], approach)
            rows += [pool.number_row(path, band, NO_COVER) for band in range(len(grid[approach]) - 1)]
    programme.add_rows(pool.derive(np.unique(rows), bands))
    return problem, programme, programme.solve()


@pytest.mark.parametrize("seed", range(6))
def test_a_probe_equals_fixing_the_option(seed):
    problem, programme, before = load_root(seed)
    for option in np.flatnonzero(np.minimum(before.choice, 1 - before.choice) > 1e-6):
        losses = [probe.loss for probe in programme.probe_option(int(option))]
        for value, loss in enumerate(losses):
            fixed = load_root(seed, ((int(option), value),))[2]
            shares = (before.value_h - fixed.value_h) / loss if loss > 1e-9 else 0.0
            assert loss >= 0 and (loss < 1e-9) == (before.value_h - fixed.value_h < 1e-9)
            assert shares == pytest.approx(_unit_h(problem), rel=1e-6) or shares == 0.0
    assert programme.solve().value_h == pytest.approx(before.value_h, abs=1e-9)


def test_multipliers_come_with_a_half_that_loses_more_than_the_room():
    _, programme, before = load_root(1)
    option = int(np.flatnonzero(np.minimum(before.choice, 1 - before.choice) > 1e-6)[0])
    losses = [probe.loss for probe in programme.probe_option(option)]
    room = 0.5 * max(losses)
    probes = programme.probe_option(option, room)
    assert [probe.multipliers is not None for probe in probes] == [loss > room for loss in losses]
    assert any(loss > room for loss in losses)


def _unit_h(problem):
    """A programme counts hours in tenths of the span between the slowest and the fastest plan."""
    network = build_network(problem)
    return 0.1 * make_levels(network, np.array([g.before_h for g in network.graphs])).span_h


def test_only_fractional_options_are_chosen():
    found = 0
    for seed in range(6):
        problem, programme, relaxation = load_root(seed)
        option = OptionBranching(problem.option_count).choose(programme, relaxation.choice, np.inf).option
        fractional = np.flatnonzero(np.minimum(relaxation.choice, 1 - relaxation.choice) > 1e-6)
        assert (option is None) == (len(fractional) == 0)
        assert option is None or option in fractional
        found += option is not None
    assert found >= 3


def test_whole_points_have_nothing_to_branch_on():
    problem, programme, _ = load_root(0)
    branching = OptionBranching(problem.option_count)
    assert branching.choose(programme, np.ones(problem.option_count), np.inf) == (None, [])
