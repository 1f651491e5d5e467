"""Does a drawn line close: against connected ground, maximum flow and arrival times computed afresh."""

from dataclasses import replace

import geopandas as gpd
import numpy as np
import pytest
import shapely
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components, maximum_flow

from abatis.barrier.closures import choose_closures, delay_times, list_runs
from abatis.barrier.depth import PRESETS, choose_echelons, measure_depth
from abatis.barrier.drawn import list_crossed
from abatis.barrier.integrity import Drawn, check_line, find_fold, read_drawn_line
from abatis.barrier.lines import compute_closing_cost, find_echelon_lines
from abatis.barrier.works import find_weak_places, list_works, name_areas
from abatis.ground.build import build_mesh
from abatis.ground.travel import compute_times
from abatis.model.errors import InputError
from abatis.model.study import read_study
from abatis.show.new import write_study


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """The template study, its mesh and echelon lines."""
    folder = tmp_path_factory.mktemp("study") / "first"
    write_study(folder, "", "", ())
    study = read_study(folder)
    mesh = build_mesh(study)
    return study, mesh, find_echelon_lines(study, mesh)


def write_shapes(path, shapes, crs="EPSG:4326"):
    gpd.GeoDataFrame(geometry=list(shapes), crs="EPSG:4326").to_crs(crs).to_file(path)
    return path


def connects(mesh, closed, source, target):
    keep = ~closed & ((mesh.gap_m > 0) | (mesh.road_class >= 0))
    n = mesh.cell_count
    graph = csr_matrix((np.ones(keep.sum()), (mesh.edge_a[keep], mesh.edge_b[keep])), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    return bool(set(label[source]) & set(label[target]))


def find_sides(study, mesh, drawn):
    home, hostile = mesh.mask_countries(study.home), mesh.mask_countries(study.hostile)
    cells = np.concatenate([mesh.edge_a[drawn], mesh.edge_b[drawn]])
    return hostile, home & (mesh.border_km > mesh.border_km[cells[home[cells]]].max()), home


def list_pieces(line, holes):
    """The polylines of a line without the sides whose place along it is in `holes`."""
    pieces = []
    for corners in line.polylines:
        keep = [one for one in range(len(corners) - 1) if one not in holes]
        runs = np.split(keep, np.flatnonzero(np.diff(keep) > 1) + 1)
        pieces += [shapely.LineString(corners[run[0] : run[-1] + 2]) for run in runs if len(run)]
    return pieces


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3346", "EPSG:3857"])
@pytest.mark.parametrize("suffix", ["geojson", "gpkg"])
def test_our_own_line_closes_in_any_crs(case, tmp_path, crs, suffix):
    study, mesh, lines = case
    file = write_shapes(tmp_path / f"line.{suffix}", list_pieces(lines[1], set()), crs)
    drawn = read_drawn_line(mesh, file)
    assert set(np.flatnonzero(drawn.edges)) >= set(lines[1].edges.tolist())
    found = check_line(study, mesh, drawn)
    assert found.closed and found.leaks == () and found.mending_eur == 0
    assert not connects(mesh, drawn.edges, *find_sides(study, mesh, drawn.edges)[:2])


def test_holes_are_leaks_with_place_and_price(case, tmp_path):
    study, mesh, lines = case
    line = lines[0]
    assert len(line.chains) == 1
    holes = {20, 21, 22, 30}
    drawn = read_drawn_line(mesh, write_shapes(tmp_path / "holes.gpkg", list_pieces(line, holes)))
    found = check_line(study, mesh, drawn)
    assert not found.closed
    assert connects(mesh, drawn.edges, *find_sides(study, mesh, drawn.edges)[:2])
    removed = line.edges[sorted(holes)]
    # A side that the rest of the drawing happens to touch is still on it.
    open_edges = {int(edge) for edge in removed if not drawn.edges[edge]}
    cost = compute_closing_cost(study, mesh)
    assert found.mending_eur <= cost[sorted(open_edges)].sum() + 1e-6
    assert {leak.hole for leak in found.leaks} == {1, 2}
    assert found.mending_eur == pytest.approx(sum(leak.cost_eur for leak in found.leaks))
    assert list(found.leaks) == sorted(found.leaks, key=lambda leak: (-leak.hours, -leak.gap_m, leak.edge))
    for leak in found.leaks:
        a, b = mesh.edge_a[leak.edge], mesh.edge_b[leak.edge]
        assert leak.lon == pytest.approx((mesh.lon[a] + mesh.lon[b]) / 2)
        assert leak.gap_m == mesh.gap_m[leak.edge]
        is_road = mesh.road_class[leak.edge] >= 0
        assert leak.mode == ("open" if not is_road else "bridge" if mesh.bridge_m[leak.edge] > 0 else "road")


@pytest.mark.parametrize("seed", range(10))
def test_random_drawings_against_components_and_flow(case, seed):
    study, mesh, lines = case
    random = np.random.default_rng(seed)
    edges = np.zeros(mesh.edge_count, bool)
    edges[lines[seed % 2].edges] = True
    edges[random.choice(lines[seed % 2].edges, seed, replace=False)] = False
    edges[random.choice(mesh.edge_count, 30)] = True
    home = mesh.mask_countries(study.home)
    edges &= home[mesh.edge_a] & home[mesh.edge_b]
    found = check_line(study, mesh, Drawn(edges, np.zeros(mesh.cell_count, bool)))
    source, target, _ = find_sides(study, mesh, edges)
    assert found.closed == (not connects(mesh, edges, source, target))
    mended = edges.copy()
    mended[[leak.edge for leak in found.leaks]] = True
    assert not connects(mesh, mended, source, target)
    cost = np.where(edges, 0.0, compute_closing_cost(study, mesh))
    cost = np.where(home[mesh.edge_a] & home[mesh.edge_b], cost, 1e8)
    n, big = mesh.cell_count, 10**9
    s, t = np.flatnonzero(source), np.flatnonzero(target)
    # scipy takes whole numbers: euros, so the value may be off by half a euro per edge cut.
    values = np.rint(np.concatenate([cost, cost, np.full(len(s) + len(t), big)])).astype(np.int32)
    rows = np.concatenate([mesh.edge_a, mesh.edge_b, np.full(len(s), n), t])
    columns = np.concatenate([mesh.edge_b, mesh.edge_a, s, np.full(len(t), n + 1)])
    graph = csr_matrix((values, (rows, columns)), shape=(n + 2, n + 2))
    assert maximum_flow(graph, n, n + 1).flow_value == pytest.approx(found.mending_eur, abs=50)


def test_hours_gained_equal_a_search_with_only_that_leak_open(case, tmp_path):
    study, mesh, lines = case
    drawn = np.zeros(mesh.edge_count, bool)
    drawn[lines[0].edges] = True
    drawn[lines[0].edges[::4]] = False
    found = check_line(study, mesh, Drawn(drawn, np.zeros(mesh.cell_count, bool)))
    assert len(found.leaks) > 3
    assert max(leak.hours for leak in found.leaks) > 0
    closed = drawn.copy()
    closed[[leak.edge for leak in found.leaks]] = True
    closures = choose_closures(study, mesh)
    for leak in found.leaks:
        gains = {}
        for run in list_runs(study, mesh):
            opened = closed.copy()
            opened[leak.edge] = False
            times = [
                compute_times(mesh, delay_times(run, closures, one), run.targets)[run.sources].min()
                for one in (closed, opened)
            ]
            gains[run.key] = times[0] - times[1]
        assert leak.hours == pytest.approx(max(gains.values()), abs=1e-9)
        if leak.hours > 0:
            assert gains[leak.approach] == pytest.approx(leak.hours)


def test_a_ring_protects_what_it_holds(case, tmp_path):
    study, mesh, _ = case
    home = mesh.mask_countries(study.home)
    middle = int(np.argmax(np.where(home, mesh.border_km, -1)))
    ring = shapely.Point(mesh.lon[middle], mesh.lat[middle]).buffer(0.12).exterior
    drawn = read_drawn_line(mesh, write_shapes(tmp_path / "ring.geojson", [ring]))
    assert drawn.ringed[middle]
    found = check_line(study, mesh, drawn)
    assert found.closed
    gate = np.flatnonzero(drawn.edges & (mesh.gap_m > 0))[:1]
    broken = drawn.edges.copy()
    broken[gate] = False
    leaks = check_line(study, mesh, replace(drawn, edges=broken)).leaks
    assert [leak.edge for leak in leaks] == gate.tolist()


def test_faults_of_a_drawing_are_listed_with_their_places(case, tmp_path):
    _, mesh, lines = case
    (good,) = list_pieces(lines[0], set())
    there = shapely.LineString([(24.0, 55.0), (24.2, 55.0), (24.1, 55.0)])
    far = shapely.LineString([(10.0, 50.0), (11.0, 50.0)])
    swapped = shapely.LineString([(55.0, 24.0), (55.2, 24.2)])
    file = write_shapes(tmp_path / "bad.gpkg", [good, there, far, swapped, shapely.Point(24, 55)])
    with pytest.raises(InputError) as caught:
        read_drawn_line(mesh, file)
    text = str(caught.value)
    assert len(caught.value.faults) == 4
    assert "line 2 is doubled back or crosses itself at 24." in text
    assert "line 3 from 10.0000 E, 50.0000 N lies outside the mesh" in text
    assert "line 4 from 55.0000 E, 24.0000 N" in text
    assert "shape 5 is a Point" in text


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3346"])
def test_a_line_there_and_back_is_doubled_in_any_crs(case, tmp_path, crs):
    """The file is written in its own CRS: what was drawn is what is judged."""
    _, mesh, _ = case
    corners = np.array([[24.0, 55.0], [24.213, 55.017], [24.0, 55.0]])
    points = gpd.GeoSeries(shapely.points(corners), crs="EPSG:4326").to_crs(crs)
    frame = gpd.GeoDataFrame(geometry=[shapely.LineString(points.tolist())], crs=crs)
    frame.to_file(tmp_path / "back.gpkg")
    with pytest.raises(InputError, match="doubled back"):
        read_drawn_line(mesh, tmp_path / "back.gpkg")


def test_files_that_cannot_be_read(case, tmp_path):
    _, mesh, lines = case
    with pytest.raises(InputError, match="does not exist"):
        read_drawn_line(mesh, tmp_path / "none.gpkg")
    (tmp_path / "damaged.gpkg").write_bytes(b"not a GeoPackage")
    with pytest.raises(InputError, match="cannot be read"):
        read_drawn_line(mesh, tmp_path / "damaged.gpkg")
    frame = gpd.GeoDataFrame(geometry=list_pieces(lines[0], set()), crs="EPSG:4326")
    for name in ("one", "two"):
        frame.to_file(tmp_path / "two.gpkg", layer=name)
    with pytest.raises(InputError, match="has 2 layers and none is named"):
        read_drawn_line(mesh, tmp_path / "two.gpkg")
    assert read_drawn_line(mesh, tmp_path / "two.gpkg", "one").edges.any()
    with pytest.raises(InputError, match="has no layer 'three'"):
        read_drawn_line(mesh, tmp_path / "two.gpkg", "three")


def test_a_line_with_nothing_behind_it(case, tmp_path):
    study, mesh, _ = case
    home = mesh.mask_countries(study.home)
    deepest = int(np.argmax(np.where(home, mesh.border_km, -1)))
    x, y = mesh.lon[deepest], mesh.lat[deepest]
    file = write_shapes(tmp_path / "deep.gpkg", [shapely.LineString([(x - 0.1, y), (x + 0.1, y)])])
    with pytest.raises(InputError, match="behind the line"):
        check_line(study, mesh, read_drawn_line(mesh, file))


def test_fold_of_a_plain_ring_and_a_loop():
    ring = shapely.LineString([(0, 0), (1, 0), (1, 1), (0, 0)])
    assert find_fold(ring) is None
    loop = shapely.LineString([(0, 0), (2, 0), (2, 1), (1, 1), (1, -1)])
    assert find_fold(loop) == (1.0, 0.0)


def test_a_straight_cut_crosses_what_it_separates(case):
    """All edges between cells west and east of a meridian, by their centres."""
    _, mesh, _ = case
    x = float(np.median(mesh.lon)) + 1e-4
    found = list_crossed(mesh, shapely.LineString([(x, -89), (x, 89)]))
    west = mesh.lon < x
    assert sorted(found) == np.flatnonzero(west[mesh.edge_a] != west[mesh.edge_b]).tolist()


# ---- works, weak places and depth


def test_works_add_up_to_the_cost_of_the_line(case):
    study, mesh, lines = case
    closures = choose_closures(study, mesh)
    np.testing.assert_array_equal(closures.cost_eur, compute_closing_cost(study, mesh))
    share = np.ones(mesh.edge_count)
    for line in lines:
        names, kind = name_areas(study, mesh, line.edges)
        assert kind == "nearest town"
        for works in (
            list_works(mesh, closures, line, share),
            list_works(mesh, closures, line, share, names),
        ):
            assert sum(work.cost_eur for work in works) == pytest.approx(line.cost_eur)
        weak = find_weak_places(mesh, closures, line)
        assert [one.delay_h for one in weak] == sorted(one.delay_h for one in weak)
        assert {one.edge for one in weak} <= set(line.edges.tolist())


def test_municipalities_name_the_works(case, tmp_path_factory):
    study, mesh, lines = case
    west, east = mesh.lon.min() - 0.1, mesh.lon.max() + 0.1
    south, north, middle = mesh.lat.min() - 0.1, mesh.lat.max() + 0.1, float(np.median(mesh.lat))
    file = study.folder / "sources" / "municipalities.geojson"
    frame = gpd.GeoDataFrame(
        {"name": ["South", "North"]},
        geometry=[shapely.box(west, south, east, middle), shapely.box(west, middle, east, north)],
        crs="EPSG:4326",
    )
    frame.to_file(file)
    row = dict.fromkeys(study.sources.columns, "") | {
        "layer": "municipalities",
        "file": file.name,
        "name_column": "name",
    }
    sources = study.sources.copy()
    sources.loc[99] = row
    names, kind = name_areas(replace(study, sources=sources), mesh, lines[0].edges)
    file.unlink()
    lat = (mesh.lat[mesh.edge_a[lines[0].edges]] + mesh.lat[mesh.edge_b[lines[0].edges]]) / 2
    assert kind == "municipality"
    assert names.tolist() == ["North" if y > middle else "South" for y in lat]


def test_depth_equals_arrival_times_computed_afresh(case):
    study, mesh, lines = case
    closures, runs = choose_closures(study, mesh), list_runs(study, mesh)

    def average(chosen):
        closed = np.zeros(mesh.edge_count, bool)
        for line in chosen:
            closed[line.edges] = True
        hours = [
            compute_times(mesh, delay_times(run, closures, closed), run.targets)[run.sources].min()
            for run in runs
        ]
        return np.average(hours, weights=[run.weight for run in runs])

    first, second = lines
    none, both = average([]), average(lines)
    depth = measure_depth(study, mesh, lines)
    assert [one.key for one in depth] == ["e1", "e2"]
    assert [one.alone_h for one in depth] == pytest.approx(
        [average([first]) - none, average([second]) - none]
    )
    assert [one.added_h for one in depth] == pytest.approx([average([first]) - none, both - average([first])])
    assert [one.left_h for one in depth] == pytest.approx([average([second]) - none, average([first]) - none])
    assert all(one.all_h == pytest.approx(both - none) for one in depth)
    assert both - none > 0


def test_presets_and_limits(case):
    study, _, _ = case
    assert choose_echelons(study, "5-20-50").outer_km == (5.0, 20.0, 50.0)
    widths = np.cumsum([5, 15, 30])
    assert PRESETS["widths-5-15-30"].outer_km == tuple(widths)
    assert choose_echelons(study, "3/20/50").outer_km == PRESETS["3-20-50"].outer_km
    assert {preset.tag for preset in PRESETS.values()} <= {"F", "F-", "D", "G"}
    for words in ("deep", "20/5", "0/5", "5/5"):
        with pytest.raises(InputError, match=words):
            choose_echelons(study, words)
