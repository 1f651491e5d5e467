"""The overlay gives what one search over the whole mesh gives, to the last bit, also after changes."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h3.api.basic_int as h3_int
import h3.api.numpy_int as h3_numpy
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from abatis.ground.exact_times import LIMIT_H, UNIT_H, snap_times
from abatis.ground.hexgrid import build_hexgrid, find_neighbors
from abatis.ground.overlay import (
    Overlay,
    change_tile,
    compute_tiled_times,
    cut_tiles,
    fill_tile,
    fill_tiles,
    finish_cut,
    measure_tiles,
    open_overlay,
    repair_reach,
    search_overlay,
)
from abatis.ground.overlay_tiles import (
    find_parents,
    make_tile,
    measure_arcs,
    read_arcs,
    read_tile,
    search_inside,
    set_times,
    write_tile,
)
from abatis.ground.travel import compute_times
from abatis.model.errors import InputError
from abatis.model.mesh import Mesh

sys.path.insert(0, str(Path(__file__).parent))
from ground_cases import draw_times, make_disc, wrap_mesh

MESH = make_disc(22, holes=0.05)


def prepare(mesh: Mesh, time_h: np.ndarray, folder: Path, resolution: int) -> Overlay:
    cut_tiles(mesh, time_h, folder, resolution)
    measure_tiles(folder)
    return open_overlay(folder)


def search_plainly(mesh: Mesh, time_h: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return compute_times(mesh, snap_times(time_h), rows)


def draw_even_times(mesh: Mesh, random: np.random.Generator, closed: float) -> np.ndarray:
    """Few different times: very many ways tie, and unrounded sums would differ by the order of adding."""
    time_h = random.choice([0.1, 0.2, 0.3, 0.7], mesh.edge_count)
    time_h[random.random(mesh.edge_count) < closed] = np.inf
    return time_h


@pytest.mark.parametrize("resolution", [4, 5, 6, 7])
@pytest.mark.parametrize("closed", [0.0, 0.3, 0.7])
@pytest.mark.parametrize("draw", [draw_times, draw_even_times])
def test_field_is_that_of_the_plain_search(tmp_path, resolution, closed, draw) -> None:
    random = np.random.default_rng(resolution)
    time_h = draw(MESH, random, closed)
    overlay = prepare(MESH, time_h, tmp_path, resolution)
    assert overlay.cell_count == MESH.cell_count
    for count in (1, 5, 60):
        rows = np.unique(random.integers(0, MESH.cell_count, count))
        expected = search_plainly(MESH, time_h, rows)
        times = compute_tiled_times(overlay, search_overlay(overlay, MESH.cells[rows]))
        assert np.array_equal(times, expected)
        if closed == 0.7:
            assert np.isinf(expected).any() and np.isfinite(expected).sum() > count


def test_unrounded_times_would_depend_on_the_order_of_adding() -> None:
    """Why times are rounded: without it, adding stretch by stretch gives other bits than cell by cell."""
    random = np.random.default_rng(1)
    time_h = draw_even_times(MESH, random, 0.1)
    rows = np.array([40])
    raw, snapped = compute_times(MESH, time_h, rows), search_plainly(MESH, time_h, rows)
    reached = np.isfinite(raw)
    back = np.array([compute_times(MESH, time_h, np.array([row]))[40] for row in range(0, 200, 10)])
    assert (back != raw[0:200:10]).any(), "the same ways, added from the other end"
    back = np.array([search_plainly(MESH, time_h, np.array([row]))[40] for row in range(0, 200, 10)])
    assert np.array_equal(back, snapped[0:200:10])
    steps = 200
    assert np.abs(raw[reached] - snapped[reached]).max() <= steps * UNIT_H


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000),
    closed=st.sampled_from([0.0, 0.2, 0.5, 0.8]),
    resolution=st.sampled_from([4, 5, 6, 7]),
    sources=st.integers(1, 4),
)
def test_random_changes_are_repaired_exactly(tmp_path_factory, seed, closed, resolution, sources) -> None:
    random = np.random.default_rng(seed)
    mesh = make_disc(9, holes=0.15)
    draw = draw_times if seed % 2 else draw_even_times
    time_h = draw(mesh, random, closed)
    overlay = prepare(mesh, time_h, tmp_path_factory.mktemp("overlay"), resolution)
    rows = random.integers(0, mesh.cell_count, sources)
    reach = search_overlay(overlay, mesh.cells[rows])
    field = compute_tiled_times(overlay, reach)
    for _ in range(4):
        for number in random.choice(overlay.tiles.size, random.integers(1, 3)):
            edges = read_tile(overlay.locate_tile(int(number))).edges
            kind = random.integers(4)
            if kind == 0:
                time_h[edges] = draw(mesh, random, closed)[edges]
            elif kind == 1:
                time_h[edges] *= 3.0
            elif kind == 2:
                time_h[edges] /= 4.0
            else:
                time_h[edges[random.random(edges.size) < 0.5]] = np.inf
            change_tile(overlay, int(number), time_h[edges])
        for number in repair_reach(overlay, reach).tolist():
            field[overlay.first[number] : overlay.first[number + 1]] = fill_tile(overlay, reach, number)
        assert np.array_equal(field, search_plainly(mesh, time_h, rows))
    # What lies in the files is the same overlay.
    again = open_overlay(overlay.folder)
    assert np.array_equal(compute_tiled_times(again, search_overlay(again, mesh.cells[rows])), field)


def test_a_change_far_from_all_ways_touches_one_tile(tmp_path) -> None:
    time_h = np.full(MESH.edge_count, 0.25)
    overlay = prepare(MESH, time_h, tmp_path, 6)
    row = 0
    reach = search_overlay(overlay, MESH.cells[[row]])
    times = compute_tiled_times(overlay, reach)
    last = int(np.searchsorted(overlay.first, np.argmax(times), side="right")) - 1
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "tiles").iterdir()}
    # The farthest tile gets slower: only the tiles that it serves may differ.
    edges = read_tile(overlay.locate_tile(last)).edges
    time_h[edges] = 0.5
    change_tile(overlay, last, time_h[edges])
    touched = repair_reach(overlay, reach)
    assert last in touched and touched.size < overlay.tiles.size / 4
    written = [path for path, stamp in stamps.items() if path.stat().st_mtime_ns != stamp]
    assert written == [overlay.locate_tile(last)]
    expected = search_plainly(MESH, time_h, np.array([row]))
    for number in range(overlay.tiles.size):
        mine = slice(overlay.first[number], overlay.first[number + 1])
        if number in touched:
            assert np.array_equal(fill_tile(overlay, reach, number), expected[mine])
        else:
            assert np.array_equal(times[mine], expected[mine])


def test_reach_must_be_repaired_before_it_is_used(tmp_path) -> None:
    time_h = np.full(MESH.edge_count, 0.25)
    overlay = prepare(MESH, time_h, tmp_path, 5)
    reach = search_overlay(overlay, MESH.cells[[3]])
    tile = read_tile(overlay.locate_tile(1))
    change_tile(overlay, 1, tile.time_h)
    with pytest.raises(InputError, match="repair the reach"):
        fill_tile(overlay, reach, 0)
    # The same times again: only the tile itself is named.
    assert repair_reach(overlay, reach).tolist() == [1]
    assert repair_reach(overlay, reach).size == 0
    fill_tile(overlay, reach, 0)


def make_islands() -> Mesh:
    """Three discs that do not touch: at resolution 4 two of them lie inside one tile each, without a rim."""
    centres = [h3_int.cell_to_center_child(h3_int.latlng_to_cell(lat, 24.0, 4), 8) for lat in (54.0, 56.0)]
    discs = [h3_numpy.grid_disk(centre, 2) for centre in centres]
    strip = h3_numpy.grid_disk(h3_int.latlng_to_cell(57.2, 24.0, 8), 25)
    grid = build_hexgrid(np.unique(np.concatenate([*discs, strip])))
    return wrap_mesh(grid.cells, grid.lon, grid.lat, find_neighbors(grid), 900.0)


def test_tiles_without_a_rim_and_parts_that_cannot_be_reached(tmp_path) -> None:
    mesh = make_islands()
    time_h = draw_times(mesh, np.random.default_rng(5))
    overlay = prepare(mesh, time_h, tmp_path, 4)
    rims = [overlay.list_rim(number).size for number in range(overlay.tiles.size)]
    assert 0 in rims and max(rims) > 0
    for rows in (np.array([0]), np.array([mesh.cell_count - 1]), np.array([0, mesh.cell_count // 2])):
        expected = search_plainly(mesh, time_h, rows)
        assert np.isinf(expected).any()
        reach = search_overlay(overlay, mesh.cells[rows])
        assert np.array_equal(compute_tiled_times(overlay, reach), expected)
        alone = rims.index(0)
        tile = read_tile(overlay.locate_tile(alone))
        change_tile(overlay, alone, tile.time_h * 2)
        time_h[tile.edges] = tile.time_h * 2
        assert repair_reach(overlay, reach).tolist() == [alone]
        expected = search_plainly(mesh, time_h, rows)
        assert np.array_equal(compute_tiled_times(overlay, reach), expected)


def test_a_mesh_of_one_tile(tmp_path) -> None:
    mesh = make_disc(2)
    time_h = draw_times(mesh, np.random.default_rng(0))
    resolution = 2
    assert np.unique(find_parents(mesh.cells, resolution)).size == 1
    overlay = prepare(mesh, time_h, tmp_path, resolution)
    assert overlay.shared.size == overlay.arc_count == 0
    times = compute_tiled_times(overlay, search_overlay(overlay, mesh.cells[:1]))
    assert np.array_equal(times, search_plainly(mesh, time_h, np.array([0])))


def test_every_edge_has_one_tile_and_tiles_meet_in_shared_cells(tmp_path) -> None:
    overlay = prepare(MESH, np.full(MESH.edge_count, 1.0), tmp_path, 6)
    tiles = [read_tile(overlay.locate_tile(number)) for number in range(overlay.tiles.size)]
    edges = np.concatenate([tile.edges for tile in tiles])
    assert np.array_equal(np.sort(edges), np.arange(MESH.edge_count))
    seen, counts = np.unique(np.concatenate([tile.cells for tile in tiles]), return_counts=True)
    assert np.array_equal(seen, MESH.cells)
    assert np.array_equal(seen[counts > 1], overlay.shared)
    assert np.array_equal(np.concatenate([tile.cells[: tile.own] for tile in tiles]), MESH.cells)


def test_arcs_are_few_and_carry_all_least_times(tmp_path) -> None:
    time_h = draw_times(MESH, np.random.default_rng(8))
    overlay = prepare(MESH, time_h, tmp_path, 5)
    for number in range(overlay.tiles.size):
        tile = read_tile(overlay.locate_tile(number))
        size = tile.rim.size
        if size < 3:
            continue
        direct = np.array(
            [search_inside(tile, tile.rim[i : i + 1], np.zeros(1))[tile.rim] for i in range(size)]
        )
        assert np.array_equal(direct, direct.T)
        _, arcs = read_arcs(overlay.locate_tile(number))
        assert np.array_equal(arcs.rim, tile.rim_cells)
        joined = np.full((size, size), np.inf)
        for i in range(size):
            here = slice(arcs.start[i], arcs.start[i + 1])
            joined[i, arcs.head[here]] = arcs.arc_h[here]
        assert np.isfinite(joined).sum() < np.isfinite(direct).sum()
        np.fill_diagonal(joined, 0.0)
        for via in range(size):
            joined = np.minimum(joined, joined[:, [via]] + joined[[via], :])
        assert np.array_equal(joined, direct)


def test_cut_again_redoes_only_what_differs(tmp_path) -> None:
    random = np.random.default_rng(6)
    time_h = draw_times(MESH, random)
    overlay = prepare(MESH, time_h, tmp_path, 6)
    assert cut_tiles(MESH, time_h, tmp_path, 6) == ()
    assert measure_tiles(tmp_path) == 0
    edges = read_tile(overlay.locate_tile(4)).edges
    time_h[edges[0]] = 7.0
    overlay.locate_tile(2).write_bytes(b"damaged")
    assert cut_tiles(MESH, time_h, tmp_path, 6) == (int(overlay.tiles[2]), int(overlay.tiles[4]))
    assert measure_tiles(tmp_path) == 2
    again = open_overlay(tmp_path)
    times = compute_tiled_times(again, search_overlay(again, MESH.cells[[9]]))
    assert np.array_equal(times, search_plainly(MESH, time_h, np.array([9])))


def test_tiles_of_an_earlier_cut_are_removed(tmp_path) -> None:
    time_h = np.full(MESH.edge_count, 1.0)
    first = cut_tiles(MESH, time_h, tmp_path, 6)
    second = cut_tiles(MESH, time_h, tmp_path, 5)
    names = {path.name for path in (tmp_path / "tiles").iterdir()}
    assert names == {f"{tile:x}.tile" for tile in second} and len(second) < len(first)


def test_a_cut_broken_off_does_not_pass_for_a_whole_one(tmp_path, monkeypatch) -> None:
    time_h = np.full(MESH.edge_count, 1.0)
    prepare(MESH, time_h, tmp_path, 6)
    calls = []

    def write_two(tile, path):
        calls.append(path)
        if len(calls) == 3:
            raise KeyboardInterrupt
        write_tile(tile, path)

    monkeypatch.setattr("abatis.ground.overlay.write_tile", write_two)
    with pytest.raises(KeyboardInterrupt):
        cut_tiles(MESH, 2 * time_h, tmp_path, 6)
    with pytest.raises(InputError, match="holds no overlay"):
        open_overlay(tmp_path)


def test_arcs_that_outgrow_their_room_move_and_stay_right(tmp_path) -> None:
    """All closed, then all open: from no arcs to many, tile after tile."""
    random = np.random.default_rng(7)
    closed = np.full(MESH.edge_count, np.inf)
    overlay = prepare(MESH, closed, tmp_path, 6)
    assert overlay.arc_count == 0
    size = overlay.head.size
    reach = search_overlay(overlay, MESH.cells[[20]])
    time_h = draw_times(MESH, random, 0.0)
    for number in range(overlay.tiles.size):
        edges = read_tile(overlay.locate_tile(number)).edges
        change_tile(overlay, number, time_h[edges])
        if number % 7 == 0:
            repair_reach(overlay, reach)
    repair_reach(overlay, reach)
    assert overlay.head.size > size
    expected = search_plainly(MESH, time_h, np.array([20]))
    assert np.array_equal(compute_tiled_times(overlay, reach), expected)
    assert np.array_equal(open_overlay(tmp_path).shared, overlay.shared)
    assert open_overlay(tmp_path).arc_count == overlay.arc_count


def test_parents_are_those_of_h3() -> None:
    random = np.random.default_rng(2)
    for resolution in (1, 5, 9, 15):
        lat, lon = random.uniform(-89, 89, 200), random.uniform(-180, 180, 200)
        cells = [h3_int.latlng_to_cell(a, b, resolution) for a, b in zip(lat, lon, strict=True)]
        for coarse in range(resolution):
            expected = [h3_int.cell_to_parent(cell, coarse) for cell in cells]
            assert find_parents(np.array(cells, dtype=np.uint64), coarse).tolist() == expected


def test_workers_do_not_change_a_bit(tmp_path) -> None:
    time_h = draw_times(MESH, np.random.default_rng(3))
    cut_tiles(MESH, time_h, tmp_path / "one", 5)
    measure_tiles(tmp_path / "one")
    cut_tiles(MESH, time_h, tmp_path / "two", 5)
    with ThreadPoolExecutor(2) as pool:
        assert measure_tiles(tmp_path / "two", pool.map) == len(list((tmp_path / "two" / "tiles").iterdir()))
        for path in (tmp_path / "one" / "tiles").iterdir():
            assert path.read_bytes() == (tmp_path / "two" / "tiles" / path.name).read_bytes()
        overlay = open_overlay(tmp_path / "two")
        reach = search_overlay(overlay, MESH.cells[[7]])
        expected = search_plainly(MESH, time_h, np.array([7]))
        assert np.array_equal(compute_tiled_times(overlay, reach, pool.map), expected)
        numbers = [2, 0]
        parts = list(fill_tiles(overlay, reach, numbers, pool.map))
        assert [part.size for part in parts] == np.diff(overlay.first)[numbers].tolist()
    assert measure_tiles(tmp_path / "two") == 0, "what is measured is not measured again"


def test_a_cluster_measures_and_fills(tmp_path) -> None:
    distributed = pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")
    time_h = draw_times(MESH, np.random.default_rng(3))
    cut_tiles(MESH, time_h, tmp_path, 5)
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        spread = client.get_executor().map
        assert measure_tiles(tmp_path, spread) > 3
        overlay = open_overlay(tmp_path)
        times = compute_tiled_times(overlay, search_overlay(overlay, MESH.cells[[7]]), spread)
    assert np.array_equal(times, search_plainly(MESH, time_h, np.array([7])))


def test_tiles_made_part_by_part_without_the_whole_mesh(tmp_path) -> None:
    """Each part knows its own cells and the edges that touch them, in any order, and nothing else."""
    random = np.random.default_rng(4)
    time_h = draw_times(MESH, random)
    parents = find_parents(MESH.cells, 6)
    cell_a, cell_b = MESH.cells[MESH.edge_a], MESH.cells[MESH.edge_b]
    for tile in np.unique(parents).tolist():
        touches = (find_parents(cell_a, 6) == tile) | (find_parents(cell_b, 6) == tile)
        rows = random.permutation(np.flatnonzero(touches))
        own = random.permutation(MESH.cells[parents == tile])
        part = make_tile(tile, own, cell_b[rows], cell_a[rows], rows, time_h[rows], 6)
        write_tile(measure_arcs(part), tmp_path / "tiles" / f"{tile:x}.tile")
    finish_cut(tmp_path, 6, tuple(np.unique(parents).tolist()))
    overlay = open_overlay(tmp_path)
    times = compute_tiled_times(overlay, search_overlay(overlay, MESH.cells[[11, 500]]))
    assert np.array_equal(times, search_plainly(MESH, time_h, np.array([11, 500])))


class TestBadInput:
    def test_times(self, tmp_path) -> None:
        time_h = np.full(MESH.edge_count, 1.0)
        for wrong, words in ((-1.0, "no valid time"), (np.nan, "no valid time"), (2 * LIMIT_H, "exact")):
            with pytest.raises(InputError, match=words):
                cut_tiles(MESH, np.where(np.arange(time_h.size) == 5, wrong, time_h), tmp_path, 5)
        with pytest.raises(InputError, match="has shape"):
            cut_tiles(MESH, time_h[1:], tmp_path, 5)
        with pytest.raises(InputError, match="give 0 to 7"):
            cut_tiles(MESH, time_h, tmp_path, 8)
        overlay = prepare(MESH, time_h, tmp_path, 5)
        with pytest.raises(InputError, match="edges"):
            change_tile(overlay, 0, np.ones(3))
        with pytest.raises(InputError, match="no valid time"):
            set_times(read_tile(overlay.locate_tile(0)), np.zeros(overlay_edges(overlay, 0)))

    def test_totals_beyond_the_limit(self, tmp_path) -> None:
        time_h = np.full(MESH.edge_count, LIMIT_H / 4)
        overlay = prepare(MESH, time_h, tmp_path, 5)
        with pytest.raises(InputError, match="no longer exact"):
            compute_tiled_times(overlay, search_overlay(overlay, MESH.cells[:1]))

    def test_sources(self, tmp_path) -> None:
        overlay = prepare(MESH, np.full(MESH.edge_count, 1.0), tmp_path, 5)
        with pytest.raises(InputError, match="no cell is given"):
            search_overlay(overlay, np.empty(0, np.uint64))
        with pytest.raises(InputError, match="there is no tile"):
            search_overlay(overlay, np.array([h3_int.latlng_to_cell(-10.0, 24.0, 8)], dtype=np.uint64))
        ring = h3_numpy.grid_ring(h3_int.latlng_to_cell(55.0, 24.0, 8), 23)
        inside = ring[np.isin(find_parents(ring, 5), overlay.tiles)]
        with pytest.raises(InputError) as caught:
            search_overlay(overlay, inside)
        assert all("not in the mesh" in fault.problem for fault in caught.value.faults)

    def test_files(self, tmp_path) -> None:
        with pytest.raises(InputError, match="holds no overlay"):
            open_overlay(tmp_path)
        time_h = np.full(MESH.edge_count, 1.0)
        tiles = cut_tiles(MESH, time_h, tmp_path, 5)
        with pytest.raises(InputError, match="not measured yet"):
            open_overlay(tmp_path)
        measure_tiles(tmp_path)
        paths = [tmp_path / "tiles" / f"{tile:x}.tile" for tile in tiles[:3]]
        paths[0].write_bytes(paths[0].read_bytes()[:-1])
        paths[1].unlink()
        paths[2].write_bytes(b"x" * 500)
        with pytest.raises(InputError) as caught:
            open_overlay(tmp_path)
        problems = [fault.problem for fault in caught.value.faults]
        assert len(problems) == 3
        for problem, word in zip(problems, ("cut off", "cannot be read", "not a tile"), strict=True):
            assert word in problem
        listed = json.loads((tmp_path / "overlay.json").read_text())
        (tmp_path / "overlay.json").write_text(json.dumps({**listed, "format": 99}))
        with pytest.raises(InputError, match="format 99"):
            open_overlay(tmp_path)
        (tmp_path / "overlay.json").write_text("{")
        with pytest.raises(InputError, match="damaged"):
            open_overlay(tmp_path)

    def test_parts(self) -> None:
        own = MESH.cells[find_parents(MESH.cells, 6) == find_parents(MESH.cells, 6)[0]]
        tile = int(find_parents(own, 6)[0])
        far = MESH.cells[-2:]
        with pytest.raises(InputError, match="touch none"):
            make_tile(tile, own, far[:1], far[1:], np.array([0]), np.ones(1), 6)
        with pytest.raises(InputError, match="does not hold"):
            make_tile(tile, own[1:], own[:1], own[1:2], np.array([0]), np.ones(1), 6)
        with pytest.raises(InputError, match="over six edges"):
            make_tile(tile, own, np.repeat(own[:1], 7), np.repeat(own[1:2], 7), np.arange(7), np.ones(7), 6)


def overlay_edges(overlay: Overlay, number: int) -> int:
    return read_tile(overlay.locate_tile(number)).edges.size
