"""Building tile by tile: the same mesh by any crew, resumed, and nothing half-written."""

from __future__ import annotations

import errno
import itertools
import multiprocessing
import os
import signal
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from types import SimpleNamespace

import geopandas as gpd
import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
import shapely

from abatis.ground.build import build_mesh
from abatis.ground.sources import straight
from abatis.ground.sources.rasters import RasterFile, RasterReader
from abatis.ground.tiling import crew as crews
from abatis.ground.tiling import inputs, squares, store
from abatis.ground.tiling.cluster import Cluster
from abatis.ground.tiling.crew import Processes, Single, WorkerError
from abatis.ground.tiling.run import MissingTilesError
from abatis.ground.tiling.store import TileStore
from abatis.model.errors import InputError
from abatis.model.mesh import write_mesh
from abatis.show.crews import choose_crew
from abatis.show.workflow import build_study


@pytest.fixture
def study(make_study, tmp_path, monkeypatch):
    """A study with every kind of layer; its ground is cut into a dozen tiles."""
    monkeypatch.setattr(squares, "TILE_SIDE", 160)
    return make_study(make_layers(tmp_path), classes="landcover,1,cropland\nlandcover,2,open_forest\n")


def make_layers(folder):
    random = np.random.default_rng(3)
    options = {
        "driver": "GTiff", "width": 300, "height": 200, "count": 1, "crs": "EPSG:4326",
        "transform": rasterio.transform.from_bounds(23.9, 54.9, 24.5, 55.2, 300, 200),
    }  # fmt: skip
    with rasterio.open(folder / "cover.tif", "w", dtype="uint8", **options) as file:
        file.write(random.integers(1, 3, (1, 200, 300)).astype(np.uint8))
    with rasterio.open(folder / "height.tif", "w", dtype="float32", **options) as file:
        file.write((100 * random.random((1, 200, 300))).astype(np.float32))
    lines = [
        shapely.LineString([(24.01, y), (24.2, 55.05), (24.39, 55.1 - y + 55.0)]) for y in (55.02, 55.09)
    ]
    road = gpd.GeoDataFrame({"class": ["main", "local"], "name": ["A1", ""]}, geometry=lines, crs="EPSG:4326")
    bends = shapely.LineString([(24.1, 54.9), (24.12, 55.05), (24.1, 55.2)])
    river = gpd.GeoDataFrame({"name": ["R"], "width": [80.0]}, geometry=[bends], crs="EPSG:4326")
    lake = gpd.GeoDataFrame(geometry=[shapely.Point(24.25, 55.05).buffer(0.02)], crs="EPSG:4326")
    boxes = [shapely.box(23.95, 55.0, 24.11, 55.12), shapely.box(24.11, 54.98, 24.45, 55.1)]
    people = gpd.GeoDataFrame({"n": [1234.0, 777.0]}, geometry=boxes, crs="EPSG:4326")
    return {
        "landcover": (folder / "cover.tif", {}),
        "elevation": (folder / "height.tif", {}),
        "roads": (road, {"class_column": "class", "name_column": "name"}),
        "rivers": (river, {"name_column": "name", "value_column": "width"}),
        "water": (lake, {}),
        "population": (people, {"value_column": "n"}),
    }


def read_bytes(mesh, folder):
    write_mesh(mesh, folder)
    return {path.name: path.read_bytes() for path in sorted((folder / "mesh").iterdir())}


@pytest.fixture
def expected(study, tmp_path):
    return read_bytes(build_mesh(study), tmp_path / "expected")


class Counting(Single):
    """Notes which tiles it counted; stops after some."""

    def __init__(self, most=10**9):
        self.numbers, self.most = [], most

    def count(self, tiles):
        for result in super().count(tiles):
            self.numbers.append(result.number)
            yield result
            if len(self.numbers) >= self.most:
                raise KeyboardInterrupt


def test_one_tile_or_many_give_the_same_mesh(study, expected, tmp_path, monkeypatch):
    crew = Counting()
    assert read_bytes(build_mesh(study, crew=crew), tmp_path / "many") == expected
    assert len(crew.numbers) >= 6
    monkeypatch.setattr(squares, "TILE_SIDE", 4096)
    crew = Counting()
    assert read_bytes(build_mesh(study, crew=crew), tmp_path / "one") == expected
    assert len(crew.numbers) == 1


def test_the_order_of_the_answers_does_not_matter(study, expected, tmp_path):
    class Backwards(Single):
        def count(self, tiles):
            return reversed(list(super().count(tiles)))

    assert read_bytes(build_mesh(study, crew=Backwards()), tmp_path / "back") == expected


def test_workers_give_the_same_bytes_and_one_may_die(study, expected, tmp_path):
    killed = []

    def kill(stage, share):
        workers = multiprocessing.active_children()
        if stage == "counting pixels" and share > 0.5 and not killed and workers:
            killed.append(workers[0].pid)
            os.kill(workers[0].pid, signal.SIGKILL)

    with Processes(2) as crew:
        first = read_bytes(build_mesh(study, crew=crew), tmp_path / "two")
        second = read_bytes(build_mesh(study, kill, crew), tmp_path / "killed")
    assert killed
    assert first == expected
    assert second == expected


def die(tile):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_tile_that_kills_every_worker_is_named(study):
    with (
        Processes(1, die) as crew,
        pytest.raises(WorkerError, match=r"died 3 times while it counted tile \d+"),
    ):
        build_mesh(study, crew=crew)
    assert not multiprocessing.active_children()


class BreakingPool:
    """Answers at once; breaks at the fifth tile that is handed in, until it is started anew."""

    def __init__(self):
        self.handed_in = 0

    def submit(self, work, tile):
        self.handed_in += 1
        if self.handed_in >= 5:
            raise BrokenProcessPool
        future = Future()
        future.set_result(work(tile))
        return future

    def shutdown(self, **_):
        pass


def test_no_tile_is_lost_when_the_workers_die_between_two_tiles(monkeypatch):
    monkeypatch.setattr(Processes, "_start", lambda self: setattr(self, "_pool", BreakingPool()))
    with Processes(1, lambda tile: tile.number) as crew:
        answers = list(crew.count(SimpleNamespace(number=number) for number in range(10)))
    assert sorted(answers) == list(range(10))


def test_a_crew_that_leaves_tiles_out_is_named(study):
    class Short(Single):
        def count(self, tiles):
            return itertools.islice(super().count(tiles), 2)

    with pytest.raises(MissingTilesError, match=r"Only 2 of \d+ tiles were counted"):
        build_mesh(study, crew=Short())


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_gives_the_same_bytes_and_a_worker_may_die(study, expected, tmp_path):
    pytest.importorskip("distributed")
    with Cluster(workers=2) as crew:
        first = read_bytes(build_mesh(study, crew=crew), tmp_path / "dask")
        killed = []

        def kill(stage, share):
            if stage == "counting pixels" and share > 0.5 and not killed:
                killed.extend(sorted(crew.client.run(os.getpid).values())[:1])
                os.kill(killed[0], signal.SIGKILL)

        second = read_bytes(build_mesh(study, kill, crew), tmp_path / "killed")
        address = crew.client.scheduler.address
        with Cluster(address) as other:
            third = read_bytes(build_mesh(study, crew=other), tmp_path / "address")
    assert killed
    assert first == second == third == expected


def test_a_scheduler_that_is_not_there_is_named(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("abatis.ground.tiling.cluster.CONNECT_S", 0.5)
    with (
        pytest.raises(InputError, match="no scheduler answers at tcp"),
        Cluster("tcp://127.0.0.1:9"),
    ):
        pass


def test_an_interrupted_build_goes_on_from_finished_tiles(study, expected, tmp_path):
    kept = TileStore(tmp_path / "tiles")
    with pytest.raises(KeyboardInterrupt):
        build_mesh(study, crew=Counting(3), store=kept)
    again, third = Counting(), Counting()
    assert read_bytes(build_mesh(study, crew=again, store=kept), tmp_path / "again") == expected
    # The third answer was interrupted after it was handed over and kept.
    tiles = len(list((tmp_path / "tiles").glob("tile=*")))
    assert len(again.numbers) == tiles - 3
    assert read_bytes(build_mesh(study, crew=third, store=kept), tmp_path / "third") == expected
    assert third.numbers == []


def test_only_tiles_whose_inputs_changed_are_counted_again(make_study, tmp_path, monkeypatch):
    monkeypatch.setattr(squares, "TILE_SIDE", 160)
    layers, kept = make_layers(tmp_path), TileStore(tmp_path / "tiles")
    classes = "landcover,1,cropland\nlandcover,2,open_forest\n"
    first, second = Counting(), Counting()
    build_mesh(make_study(layers, classes=classes), crew=first, store=kept)
    lakes = gpd.GeoDataFrame(
        geometry=[layers["water"][0].geometry[0], shapely.Point(24.03, 55.03).buffer(0.002)], crs="EPSG:4326"
    )
    study = make_study({**layers, "water": (lakes, {})}, classes=classes)
    mesh = build_mesh(study, crew=second, store=kept)
    assert 0 < len(second.numbers) < len(first.numbers) / 2
    assert read_bytes(mesh, tmp_path / "a") == read_bytes(build_mesh(study), tmp_path / "b")


def test_a_changed_raster_or_version_makes_tiles_stale(study, tmp_path, monkeypatch):
    kept = TileStore(tmp_path / "tiles")
    build_mesh(study, store=kept)
    os.utime(tmp_path / "cover.tif", ns=(1, 1))
    crew = Counting()
    build_mesh(study, crew=crew, store=kept)
    assert crew.numbers
    monkeypatch.setattr(inputs, "FORMAT", inputs.FORMAT + 1)
    crew = Counting()
    build_mesh(study, crew=crew, store=kept)
    assert crew.numbers


def test_damaged_tiles_are_counted_again_and_foreign_ones_deleted(study, expected, tmp_path):
    kept = TileStore(tmp_path / "tiles")
    build_mesh(study, store=kept)
    folders = sorted((tmp_path / "tiles").glob("tile=*"))
    (folders[0] / "edges.parquet").write_bytes(b"PAR1 cut off")
    (folders[1] / "zones.parquet").unlink()
    (tmp_path / "tiles" / "tile=99999").mkdir()
    (tmp_path / "tiles" / ".part-left").mkdir()
    crew = Counting()
    assert read_bytes(build_mesh(study, crew=crew, store=kept), tmp_path / "out") == expected
    assert [f"tile={number:05d}" for number in crew.numbers] == [folder.name for folder in folders[:2]]
    assert sorted((tmp_path / "tiles").iterdir()) == folders


def test_a_full_disk_is_said_and_leaves_the_old_mesh(study, tmp_path, monkeypatch):
    build_study(study.folder, lambda stage, share: None)
    before = {path: path.read_bytes() for path in sorted((study.folder / "mesh").iterdir())}
    os.utime(tmp_path / "cover.tif", ns=(1, 1))
    original, written = store.pq.write_table, []

    def fill(table, path, **options):
        written.append(path)
        if len(written) > 10:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        original(table, path, **options)

    monkeypatch.setattr(store.pq, "write_table", fill)
    with pytest.raises(InputError, match=r"tile=\d+: cannot be written: no space left on device"):
        build_study(study.folder, lambda stage, share: None)
    assert {path: path.read_bytes() for path in sorted((study.folder / "mesh").iterdir())} == before
    assert not list((study.folder / "tiles").glob(".part-*"))
    for folder in (study.folder / "tiles").glob("tile=*"):
        assert all(pq.read_metadata(path).num_rows >= 0 for path in folder.iterdir())


def test_tiles_are_geoparquet_and_hold_every_cell_once(study, tmp_path):
    mesh = build_mesh(study, store=TileStore(tmp_path / "tiles"))
    cells = [gpd.read_parquet(path) for path in sorted((tmp_path / "tiles").glob("*/cells.parquet"))]
    edges = [gpd.read_parquet(path) for path in sorted((tmp_path / "tiles").glob("*/edges.parquet"))]
    found = np.sort(np.concatenate([frame["h3"].to_numpy() for frame in cells]))
    assert np.array_equal(found, mesh.cells)
    area = sum(frame.to_crs("EPSG:3035").area.sum() for frame in cells if len(frame)) / 1e6
    assert area == pytest.approx(mesh.area_km2.sum(dtype=float), rel=1e-3)
    assert sum(len(frame) for frame in edges) == mesh.edge_count
    length = sum(frame.to_crs("EPSG:3035").length.sum() for frame in edges if len(frame))
    assert length == pytest.approx(mesh.length_m.sum(dtype=float), rel=2e-3)


def test_every_pixel_of_a_cell_is_counted_once(study):
    """Tiles overlap; the pixels of all cells still add up to their area."""
    seen = {}

    class Keep(Single):
        def count(self, tiles):
            for tile in tiles:
                result = crews.count_tile(tile)
                for cell, pixels in zip(
                    tile.cells.cells[: tile.own], result.counts.pixels[:, 0], strict=True
                ):
                    assert int(cell) not in seen
                    seen[int(cell)] = int(pixels)
                yield result

    mesh = build_mesh(study, crew=Keep())
    pixels = np.array([seen[int(cell)] for cell in mesh.cells])
    assert np.allclose(pixels * 50**2 / 1e6, mesh.area_km2, rtol=0.03)


def test_options_of_the_command_line_name_the_crew():
    assert choose_crew(1, False, "") is None
    assert isinstance(choose_crew(3, False, ""), Processes)
    assert isinstance(choose_crew(2, True, ""), Cluster)
    with pytest.raises(InputError, match="needs --cluster"):
        choose_crew(1, False, "tcp://host:8786")


@pytest.mark.parametrize("kind", ["uint8", "int16"])
def test_straight_reading_equals_warping(tmp_path, monkeypatch, kind):
    random = np.random.default_rng(8)
    path = tmp_path / "r.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=70, height=50, count=1, dtype=kind, crs="EPSG:4326", nodata=3,
        transform=rasterio.transform.from_bounds(24.0, 55.0, 24.7, 55.5, 70, 50),
    ) as file:  # fmt: skip
        file.write(random.integers(0, 6, (1, 50, 70)).astype(kind))
    files = [RasterFile(path, {0: "a", 1: "b", 2: "", 3: "a", 4: "c"})]
    for west, north, step, side in (
        (23.9, 55.6, 0.0031, 300),
        (24.2, 55.3, 0.0007, 200),
        (26.0, 55.0, 0.01, 9),
    ):
        window = rasterio.Affine(step, 0, west, 0, -step, north)
        with RasterReader(files, ("a", "b", "c"), step) as reader:
            ours = reader.read_classes(window, side, side, 255), reader.read_numbers(window, side, side)
            monkeypatch.setattr("abatis.ground.sources.rasters.read_straight", lambda *given: None)
            peer = reader.read_classes(window, side, side, 255), reader.read_numbers(window, side, side)
            monkeypatch.undo()
        assert np.array_equal(ours[0], peer[0])
        assert np.allclose(ours[1], peer[1], atol=1e-5, equal_nan=True)


def test_rasters_that_do_not_lie_straight_are_warped(tmp_path):
    turned = rasterio.Affine(0.01, 0.001, 24.0, 0.001, -0.01, 55.5)
    metric = rasterio.transform.from_bounds(5.2e6, 3.6e6, 5.3e6, 3.7e6, 70, 50)
    for crs, transform in (("EPSG:4326", turned), ("EPSG:3035", metric)):
        with rasterio.open(
            tmp_path / "r.tif", "w", driver="GTiff", width=70, height=50, count=1, dtype="uint8", crs=crs,
            transform=transform,
        ) as file:  # fmt: skip
            file.write(np.ones((1, 50, 70), np.uint8))
        with rasterio.open(tmp_path / "r.tif") as file:
            assert straight.read_straight(file, rasterio.Affine(0.01, 0, 24, 0, -0.01, 55.5), 9, 9) is None


def test_progress_counts_tiles(study):
    told = []
    build_mesh(study, lambda stage, share: told.append(share) if stage == "counting pixels" else None)
    assert told == sorted(told)
    assert len(told) >= 6
