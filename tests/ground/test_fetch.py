"""Fetching against a server in this process that cuts, stalls, redirects and lies as real ones do."""

from __future__ import annotations

import csv
import errno
import hashlib
import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import geopandas as gpd
import numpy as np
import osmium
import pytest
import rasterio
import shapely
from rasterio.transform import from_bounds

from abatis.examples.lithuania import write_example
from abatis.ground.fetching import download, run
from abatis.ground.fetching.download import Manners
from abatis.ground.fetching.layers import read_open_layers, read_regions
from abatis.ground.fetching.listing import put_source_row
from abatis.ground.fetching.planning import choose_layers, find_area, list_tiles, plan_fetch
from abatis.ground.fetching.run import FetchResult, fetch_study, list_work
from abatis.model.errors import InputError
from abatis.model.fields import fields_of, read_table
from abatis.model.study import read_study, read_study_to_fetch

DEM = "Copernicus_DSM_COG_10_N55_00_E024_00_DEM"
DEM_PATH = f"/copernicus-dem-30m.s3.amazonaws.com/{DEM}/{DEM}.tif"
OSM = "/download.geofabrik.de/europe/lithuania-latest.osm.pbf"
OSM_OTHER = "/download.geofabrik.de/europe/belarus-latest.osm.pbf"


class OpenServer(http.server.ThreadingHTTPServer):
    """Serves `files`; what it does wrong is set per path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.marks: dict[str, str] = {}
        self.cut_after: dict[str, int] = {}
        self.cuts_left: dict[str, int] = {}
        self.busy: dict[str, list[tuple[int, str]]] = {}
        self.redirects: dict[str, str] = {}
        self.without_length: set[str] = set()
        self.asked: list[tuple[str, str, str]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def count_gets(self, path: str = "") -> int:
        return sum(verb == "GET" and asked.startswith(path) for verb, asked, _ in self.asked)


class Handler(http.server.BaseHTTPRequestHandler):
    server: OpenServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        del format, args

    def do_HEAD(self) -> None:
        self.server.asked.append(("HEAD", self.path, ""))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        server, path = self.server, re.sub(r"^http://[^/]+", "", self.path)
        asked = self.headers.get("Range", "")
        server.asked.append(("GET", self.path, asked))
        if server.busy.get(path):
            status, wait = server.busy[path].pop(0)
            return self._end(status, {"Retry-After": wait} if wait else {})
        if path in server.redirects:
            return self._end(302, {"Location": server.redirects[path]})
        if path not in server.files:
            return self._end(404, {})
        body, mark = server.files[path], server.marks.get(path, '"one"')
        start = 0
        if asked and self.headers.get("If-Range") == mark:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(body):
                return self._end(416, {"Content-Range": f"bytes */{len(body)}"})
        self.send_response(206 if start else 200)
        if mark:
            self.send_header("ETag", mark)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if path in server.without_length:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        rest = body[start:]
        if server.cuts_left.get(path, 0) > 0 and len(rest) > server.cut_after[path]:
            server.cuts_left[path] -= 1
            rest = rest[: server.cut_after[path]]
            self.close_connection = True
        self.wfile.write(rest)
        self.close_connection |= path in server.without_length
        return None

    def _end(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()


def make_tif(folder: Path, bounds=(24.0, 55.0, 25.0, 56.0), side: int = 480) -> bytes:
    path = folder / "made.tif"
    noise = np.random.default_rng(1).integers(0, 200, (side, side), dtype=np.uint8)
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 1, "dtype": "uint8"}
    place = from_bounds(*bounds, side, side)
    with rasterio.open(path, "w", crs="EPSG:4326", transform=place, **profile) as raster:
        raster.write(noise, 1)
    return path.read_bytes()


def make_pbf(folder: Path) -> bytes:
    path = folder / "made.osm.pbf"
    path.unlink(missing_ok=True)
    with osmium.SimpleWriter(str(path)) as writer:
        for number in range(1, 50):
            writer.add_node(osmium.osm.mutable.Node(id=number, location=(24.0 + number / 1000, 55.05)))
    return path.read_bytes()


@pytest.fixture
def server() -> Iterator[OpenServer]:
    with OpenServer() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def study_folder(make_study) -> Path:
    """A study between LT and BY, 24.1 to 24.5 E and 55.1 to 55.2 N: inside one tile of 1 degree."""
    ground = [shapely.box(24.1, 55.1, 24.3, 55.2), shapely.box(24.3, 55.1, 24.5, 55.2)]
    borders = gpd.GeoDataFrame({"country": ["LT", "BY"]}, geometry=ground, crs="EPSG:4326")
    folder = make_study(borders=borders).folder
    for name, old, new in (
        ("study.toml", '"H"', '"LT"'),
        ("study.toml", '"X"', '"BY"'),
        ("tables/places.csv", ",H,", ",LT,"),
        ("tables/fronts.csv", ",X,", ",BY,"),
    ):
        path = folder / name
        path.write_text(path.read_text().replace(old, new))
    return folder


@pytest.fixture
def fetch(study_folder: Path, server: OpenServer):
    """Fetch into the study from the server, without waiting; `waits` and `notes` record."""

    def run_fetch(*layers: str, mirror: str | None = None, confirm: bool = True, **manners) -> FetchResult:
        run_fetch.shares.clear()
        kind = Manners(**{"wait": run_fetch.waits.append, "tries": 4, "probe_s": 3.0, **manners})
        return fetch_study(
            study_folder,
            layers,
            lambda work: confirm,
            lambda stage, share: run_fetch.shares.append(share),
            lambda note: None,
            server.address if mirror is None else mirror,
            kind,
        )

    run_fetch.waits, run_fetch.shares = [], []
    return run_fetch


def list_leftovers(folder: Path) -> list[str]:
    return sorted(
        path.name
        for path in (folder / "sources").iterdir()
        if path.suffix in (".part", ".part-mark") or path.name.startswith((".", "tmp"))
    )


def read_rows(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "sources" / "sources.csv").open(newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


class TestTables:
    def test_words_are_known(self):
        kinds = next(field for field in fields_of("sources") if field.column == "layer").choices
        tags = next(field for field in fields_of("sources") if field.column == "tag").choices
        for layer in read_open_layers().values():
            assert layer.kind in kinds
            assert layer.by in ("tile", "region", "country", "once")
            assert layer.format in ("tif", "pbf", "geojson")
            assert layer.tag in tags and layer.licence and layer.source and layer.attribution
            assert (layer.by == "tile") == (layer.degrees > 0)
            assert layer.address.startswith("https://")
        assert {one.country for one in read_regions()} >= {"LT", "LV", "EE", "PL", "FI", "BY", "RU"}
        for region in read_regions():
            assert -180 <= region.west < region.east <= 180 and -90 <= region.south < region.north <= 90
            assert region.osm_mb > 0 and region.population_mb > 0

    def test_lithuania_needs_the_known_tiles(self, tmp_path):
        """The five WorldCover tiles of Lithuania are known; a strip into Belarus may add one."""
        folder = write_example(tmp_path / "lt")
        study = read_study_to_fetch(folder)
        plan = plan_fetch(study, choose_layers([], True))
        names = {file.name for file in plan.files}
        cover = {name[-15:-8] for name in names if "WorldCover" in name}
        assert {"N51E021", "N51E024", "N54E018", "N54E021", "N54E024"} <= cover
        assert cover <= {"N51E021", "N51E024", "N54E018", "N54E021", "N54E024", "N54E027"}
        assert {"lithuania-latest.osm.pbf", "kaliningrad-latest.osm.pbf", "belarus-latest.osm.pbf"} <= names
        assert "podlaskie-latest.osm.pbf" in names
        assert not {"northwestern-fed-district-latest.osm.pbf", "slaskie-latest.osm.pbf"} & names
        assert "ltu_ppp_2020.tif" in names and len(names) == len(plan.files)
        assert plan.size_mb > 1000 and not plan.rough

    def test_every_tile_touches_and_none_is_missing(self):
        outline = shapely.Point(-0.4, 0.3).buffer(2.2)
        corners = list_tiles(outline, 1)
        boxes = shapely.union_all([shapely.box(x, y, x + 1, y + 1) for x, y in corners])
        assert shapely.covers(boxes, outline)
        assert all(outline.intersects(shapely.box(x, y, x + 1, y + 1)) for x, y in corners)
        assert (-3, 2) not in corners and (-3, -2) in corners and (-1, -1) in corners

    def test_unknown_layer_and_country_and_mirror(self, make_study, tmp_path):
        with pytest.raises(InputError, match="did you mean 'elevation'"):
            choose_layers(["elevatoin"], True)
        study = make_study()
        table = read_open_layers()
        with pytest.raises(InputError) as caught:
            plan_fetch(study, [table["osm"], table["population"]])
        assert {fault.problem for fault in caught.value.faults} >= {
            "country 'H' is not in the table of regions",
            "country 'X' is not in the table of regions",
        }
        with pytest.raises(InputError, match="is no address"):
            plan_fetch(study, [table["elevation"]], "mirror.lan")


class TestDownload:
    def test_file_and_row_are_whole(self, fetch, server, study_folder, tmp_path):
        server.files[DEM_PATH] = body = make_tif(tmp_path)
        before = (study_folder / "sources" / "sources.csv").read_text().splitlines()
        result = fetch("elevation")
        assert result.fetched == [f"{DEM}.tif"] and result.bytes == len(body)
        assert (study_folder / "sources" / f"{DEM}.tif").read_bytes() == body
        row = read_rows(study_folder)[f"{DEM}.tif"]
        assert row["sha256"] == hashlib.sha256(body).hexdigest()
        assert row["address"] == server.address + DEM_PATH
        assert row["layer"] == "elevation" and row["licence"].startswith("Copernicus") and row["attribution"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", row["fetched"])
        after = (study_folder / "sources" / "sources.csv").read_text().splitlines()
        for old, new in zip(before[1:], after[1:], strict=False):
            assert new.startswith(old) and set(new[len(old) :]) <= {","}
        assert len(read_study(study_folder).sources) == len(before)
        assert list_leftovers(study_folder) == []
        assert fetch.shares == sorted(fetch.shares) and fetch.shares[-1] == 1.0

    def test_second_run_asks_nobody(self, fetch, server, study_folder, tmp_path):
        server.files[DEM_PATH] = make_tif(tmp_path)
        fetch("elevation")
        listed = (study_folder / "sources" / "sources.csv").read_bytes()
        server.asked.clear()
        result = fetch("elevation")
        assert (result.fetched, result.present) == ([], [f"{DEM}.tif"])
        assert server.asked == []
        assert (study_folder / "sources" / "sources.csv").read_bytes() == listed

    def test_cut_ten_times_and_whole(self, fetch, server, study_folder, tmp_path):
        server.files[DEM_PATH] = body = make_tif(tmp_path)
        server.cut_after[DEM_PATH], server.cuts_left[DEM_PATH] = 20_000, 10
        result = fetch("elevation")
        assert (study_folder / "sources" / f"{DEM}.tif").read_bytes() == body
        assert server.cuts_left[DEM_PATH] == 0 and server.count_gets() == 11
        assert result.bytes < 1.01 * len(body)  # nothing came twice
        assert len(fetch.waits) == 10 and max(fetch.waits) == 1.0  # each had brought bytes

    def test_cut_without_progress_is_given_up(self, fetch, server, study_folder, tmp_path):
        server.files[DEM_PATH] = make_tif(tmp_path)
        server.cut_after[DEM_PATH], server.cuts_left[DEM_PATH] = 0, 100
        with pytest.raises(InputError, match="4 tries without progress"):
            fetch("elevation")
        assert fetch.waits == [1.0, 2.0, 4.0]
        assert not (study_folder / "sources" / f"{DEM}.tif").exists()
        assert f"{DEM}.tif" not in read_rows(study_folder)

    def test_interrupted_and_resumed(self, fetch, server, study_folder, tmp_path, monkeypatch):
        server.files[DEM_PATH] = body = make_tif(tmp_path, side=1500)
        seen = []

        def stop(self, done, total):
            seen.append(done)
            if done > 600_000:
                raise KeyboardInterrupt

        monkeypatch.setattr(run._Meter, "report", stop)
        with pytest.raises(KeyboardInterrupt):
            fetch("elevation")
        part = study_folder / "sources" / f"{DEM}.tif.part"
        kept = part.stat().st_size
        assert 0 < kept < len(body) and not part.with_suffix("").exists()
        assert list_leftovers(study_folder) == [f"{DEM}.tif.part", f"{DEM}.tif.part-mark"]
        monkeypatch.undo()
        result = fetch("elevation")
        assert part.with_suffix("").read_bytes() == body
        assert result.bytes == len(body) - kept
        assert list_leftovers(study_folder) == []

    def test_changed_file_is_begun_again(self, fetch, server, study_folder, tmp_path):
        server.files[DEM_PATH] = body = make_tif(tmp_path)
        part = study_folder / "sources" / f"{DEM}.tif.part"
        part.write_bytes(b"x" * 50_000)
        part.with_name(part.name + "-mark").write_text('"of yesterday"')
        fetch("elevation")
        assert part.with_suffix("").read_bytes() == body

    def test_complete_part_is_taken(self, fetch, server, study_folder, tmp_path):
        server.files[DEM_PATH] = body = make_tif(tmp_path)
        part = study_folder / "sources" / f"{DEM}.tif.part"
        part.write_bytes(body)
        part.with_name(part.name + "-mark").write_text('"one"')
        assert fetch("elevation").bytes == 0
        assert part.with_suffix("").read_bytes() == body

    def test_server_without_marks_or_length(self, fetch, server, study_folder, tmp_path):
        """No version to compare with: a part of an earlier run is not glued to what comes."""
        server.files[DEM_PATH] = body = make_tif(tmp_path)
        server.marks[DEM_PATH] = ""
        server.without_length.add(DEM_PATH)
        (study_folder / "sources" / f"{DEM}.tif.part").write_bytes(b"x" * 50_000)
        fetch("elevation")
        assert (study_folder / "sources" / f"{DEM}.tif").read_bytes() == body

    def test_busy_server_is_waited_for(self, fetch, server, study_folder, tmp_path):
        server.files[DEM_PATH] = make_tif(tmp_path)
        server.busy[DEM_PATH] = [(503, "7"), (429, ""), (500, "Wed, 21 Oct 2015 07:28:00 GMT")]
        assert fetch("elevation").fetched == [f"{DEM}.tif"]
        assert fetch.waits == [7.0, 2.0, 0.0]

    def test_too_long_a_wait_is_refused(self, fetch, server, tmp_path):
        server.files[DEM_PATH] = make_tif(tmp_path)
        server.busy[DEM_PATH] = [(503, "86400")]
        with pytest.raises(InputError, match="asks to wait 86400 s"):
            fetch("elevation")
        assert fetch.waits == []

    def test_redirect_is_followed(self, fetch, server, study_folder, tmp_path):
        server.files["/elsewhere.tif"] = make_tif(tmp_path)
        server.redirects[DEM_PATH] = "/elsewhere.tif"
        assert fetch("elevation").fetched == [f"{DEM}.tif"]
        server.redirects["/elsewhere.tif"] = "/elsewhere.tif"
        (study_folder / "sources" / f"{DEM}.tif").unlink()
        with pytest.raises(InputError, match="without end"):
            fetch("elevation")

    def test_web_page_is_no_data(self, fetch, server, study_folder):
        server.files[DEM_PATH] = b"<!DOCTYPE html><html>log in to the network</html>"
        with pytest.raises(InputError, match="is a web page"):
            fetch("elevation")
        assert list_leftovers(study_folder) == []
        assert f"{DEM}.tif" not in read_rows(study_folder)

    def test_speed_is_kept(self, fetch, server, tmp_path):
        server.files[DEM_PATH] = body = make_tif(tmp_path, side=1500)
        fetch("elevation", speed_mb_s=0.5)
        # Each wait makes up for the time that the bytes so far should have taken; here no wait is slept.
        assert max(fetch.waits) > 0.8 * len(body) / 0.5e6 - 1.0
        assert max(fetch.waits) <= len(body) / 0.5e6


class TestChecksums:
    def set_up(self, server, tmp_path) -> bytes:
        body = make_pbf(tmp_path)
        server.files |= {OSM: body, OSM_OTHER: body}
        for path in (OSM, OSM_OTHER):
            server.files[path + ".md5"] = f"{hashlib.md5(body).hexdigest()}  {path}\n".encode()
        return body

    def test_published_checksum_holds(self, fetch, server, study_folder, tmp_path):
        self.set_up(server, tmp_path)
        result = fetch("osm")
        assert sorted(result.fetched) == ["belarus-latest.osm.pbf", "lithuania-latest.osm.pbf"]
        assert read_rows(study_folder)["lithuania-latest.osm.pbf"]["layer"] == "osm"

    def test_wrong_checksum_stops_one_file_only(self, fetch, server, study_folder, tmp_path):
        self.set_up(server, tmp_path)
        server.files[OSM + ".md5"] = b"0" * 32
        with pytest.raises(InputError) as caught:
            fetch("osm")
        assert [fault.file for fault in caught.value.faults] == ["lithuania-latest.osm.pbf"]
        assert "checksum" in str(caught.value) and "publisher" in str(caught.value)
        assert set(read_rows(study_folder)) >= {"belarus-latest.osm.pbf"}
        assert not (study_folder / "sources" / "lithuania-latest.osm.pbf").exists()
        assert list_leftovers(study_folder) == []

    def test_file_changed_here_is_named(self, fetch, server, study_folder, tmp_path):
        server.files[DEM_PATH] = make_tif(tmp_path)
        fetch("elevation")
        path = study_folder / "sources" / f"{DEM}.tif"
        path.write_bytes(path.read_bytes() + b"x")
        with pytest.raises(InputError, match="its checksum differs"):
            fetch("elevation")
        assert path.read_bytes().endswith(b"x")

    def test_file_changed_there_is_named_or_renewed(self, fetch, server, study_folder, tmp_path):
        self.set_up(server, tmp_path)
        server.files[DEM_PATH] = make_tif(tmp_path)
        fetch("elevation", "osm")
        sources = study_folder / "sources"
        for name in (f"{DEM}.tif", "lithuania-latest.osm.pbf"):
            (sources / name).unlink()
        for path, body in ((DEM_PATH, make_tif(tmp_path, side=50)), (OSM, server.files[OSM] + b"\0")):
            server.files[path], server.marks[path] = body, '"two"'
        server.files[OSM + ".md5"] = hashlib.md5(server.files[OSM]).hexdigest().encode()
        with pytest.raises(InputError, match="not the one listed") as caught:
            fetch("elevation", "osm")
        assert [fault.file for fault in caught.value.faults] == [f"{DEM}.tif"]
        row = read_rows(study_folder)["lithuania-latest.osm.pbf"]
        assert row["sha256"] == hashlib.sha256(server.files[OSM]).hexdigest()

    def test_unlisted_file_is_listed(self, fetch, server, study_folder, tmp_path):
        body = make_tif(tmp_path)
        (study_folder / "sources" / f"{DEM}.tif").write_bytes(body)
        assert fetch("elevation").present == [f"{DEM}.tif"]
        assert read_rows(study_folder)[f"{DEM}.tif"]["sha256"] == hashlib.sha256(body).hexdigest()
        assert server.asked == []


class TestTilesAndHosts:
    def test_missing_tile_is_noted(self, fetch, server, study_folder, tmp_path):
        """Ground over two tiles of which one is sea."""
        wide = gpd.GeoDataFrame(
            {"country": ["LT", "BY"]},
            geometry=[shapely.box(23.9, 55.1, 24.3, 55.2), shapely.box(24.3, 55.1, 24.5, 55.2)],
            crs="EPSG:4326",
        )
        (study_folder / "sources" / "borders.gpkg").unlink()
        wide.to_file(study_folder / "sources" / "borders.gpkg")
        server.files[DEM_PATH] = make_tif(tmp_path)
        result = fetch("elevation")
        assert result.fetched == [f"{DEM}.tif"]
        assert result.absent == [f"{DEM.replace('E024', 'E023')}.tif"]

    def test_layer_without_any_file_is_a_fault(self, fetch):
        with pytest.raises(InputError, match="none of the 1 files of layer elevation"):
            fetch("elevation")

    def test_missing_country_file_is_a_fault(self, fetch):
        with pytest.raises(InputError, match="status 404"):
            fetch("population")

    def test_offline_says_so_at_once(self, fetch, server, study_folder):
        with pytest.raises(InputError, match="no connection: none of 1 hosts answers"):
            fetch("elevation", mirror="http://127.0.0.1:1")
        assert fetch.waits == [] and list_leftovers(study_folder) == []
        assert server.asked == []

    def test_proxy_of_the_environment_is_used(self, fetch, server, tmp_path, monkeypatch):
        server.files["/publisher.invalid" + DEM_PATH] = make_tif(tmp_path)
        monkeypatch.setenv("http_proxy", server.address)
        server.files["/open" + DEM_PATH] = server.files["/publisher.invalid" + DEM_PATH]
        assert fetch("elevation", mirror="http://publisher.invalid/open").fetched == [f"{DEM}.tif"]
        assert {path for _, path, _ in server.asked} == {"http://publisher.invalid/open" + DEM_PATH}

    def test_silent_proxy_is_named(self, fetch, monkeypatch):
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        with pytest.raises(InputError, match="the proxy does not answer"):
            fetch("elevation", mirror="http://publisher.invalid")

    def test_mirror_of_the_settings(self, study_folder, server):
        with (study_folder / "study.toml").open("a") as file:
            file.write(f'[fetch]\nmirror = "{server.address}/open"\nspeed_mb_s = 3\n')
        work = list_work(study_folder, ("elevation",))
        assert work.missing[0].address == f"{server.address}/open{DEM_PATH}"
        assert read_study(study_folder).fetch_speed_mb_s == 3.0
        assert list_work(study_folder, ("elevation",), "").missing[0].address.startswith("https://copernicus")
        assert server.asked == []

    def test_refused_question_gets_nothing(self, fetch, server):
        assert fetch("elevation", confirm=False) == FetchResult()
        assert server.asked == []

    def test_layer_with_a_login_is_named(self, fetch, server):
        result = fetch("corine")
        assert len(result.by_hand) == 1 and "needs a login" in result.by_hand[0]
        assert server.asked == []


class TestDisk:
    def test_too_little_space_is_said_before(self, fetch, server, monkeypatch):
        monkeypatch.setattr(run.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000})())
        with pytest.raises(InputError, match="about 30 MB will come but only 0 MB are free"):
            fetch("elevation")
        assert server.asked == []

    def test_disk_that_fills_up(self, fetch, server, study_folder, tmp_path, monkeypatch):
        server.files[DEM_PATH] = body = make_tif(tmp_path, side=1500)
        true_open = Path.open

        class FullFile:
            def __init__(self, file):
                self.file = file

            def __enter__(self):
                return self

            def __exit__(self, *rest):
                self.file.close()

            def write(self, block):
                if self.file.tell() > 500_000:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return self.file.write(block)

        def open_small(path, mode="r", *rest, **named):
            file = true_open(path, mode, *rest, **named)
            return FullFile(file) if mode == "ab" else file

        monkeypatch.setattr(download.Path, "open", open_small)
        with pytest.raises(InputError, match="the disk is full"):
            fetch("elevation")
        monkeypatch.undo()
        part = study_folder / "sources" / f"{DEM}.tif.part"
        assert part.stat().st_size > 500_000
        assert f"{DEM}.tif" not in read_rows(study_folder)
        assert fetch("elevation").bytes < len(body) - 500_000
        assert part.with_suffix("").read_bytes() == body

    def test_two_at_a_time_are_refused(self, fetch, study_folder):
        with run._lock_sources(study_folder), pytest.raises(InputError, match="another fetch"):
            fetch("elevation")


class TestBorders:
    def test_borders_come_first_and_say_where(self, fetch, server, study_folder, tmp_path):
        sources = study_folder / "sources"
        for path in sources.iterdir():
            path.unlink()
        with pytest.raises(InputError, match="is missing"):
            read_study(study_folder)
        rough = list_work(study_folder, ("borders", "elevation"))
        assert rough.plan.rough and "no borders yet" in rough.plan.notes[0]
        ground = [shapely.box(24.1, 55.1, 24.3, 55.2), shapely.box(24.3, 55.1, 24.5, 55.2)]
        names = {"CNTR_ID": ["LT", "BY"], "NAME_ENGL": ["Lithuania", "Belarus"]}
        frame = gpd.GeoDataFrame(names, geometry=ground, crs="EPSG:4326")
        path = read_open_layers()["borders"].address.removeprefix("https:/")
        server.files[path] = frame.to_json().encode()
        server.files[DEM_PATH] = make_tif(tmp_path)
        result = fetch("borders", "elevation")
        assert result.fetched == ["CNTR_RG_01M_2020_4326.geojson", f"{DEM}.tif"]
        area = find_area(read_study_to_fetch(study_folder))
        assert not area.rough and sorted(area.countries) == ["BY", "LT"]


class TestListing:
    HEAD = "layer,file,licence,source,tag,sha256"

    def test_hand_written_rows_keep_every_byte(self, tmp_path):
        path = tmp_path / "sources.csv"
        mine = 'roads , "my, roads.gpkg" ,own,"me ""here""",G,'
        path.write_bytes(f"\ufeff{self.HEAD}\r\n{mine}\r\n\r\n".encode())
        row = {
            "layer": "soil",
            "file": "s.tif",
            "licence": "l",
            "source": "a, b",
            "tag": "F",
            "fetched": "2026",
        }
        put_source_row(path, row)
        head, own, new, end = path.read_bytes().decode().split("\r\n")
        assert head == f"\ufeff{self.HEAD},fetched"
        assert own == mine + "," and new == "s.tif".join(["soil,", ',l,"a, b",F,,2026']) and end == ""

    def test_only_the_checksum_of_a_known_row_changes(self, tmp_path):
        path = tmp_path / "sources.csv"
        path.write_text(f"{self.HEAD}\nsoil,s.tif,my words,me,G,old\nsoil,t.tif,l,m,F,x\n")
        put_source_row(path, {"layer": "soil", "file": "s.tif", "licence": "l", "tag": "F", "sha256": "new"})
        assert path.read_text() == f"{self.HEAD}\nsoil,s.tif,my words,me,G,new\nsoil,t.tif,l,m,F,x\n"

    def test_new_file_is_read_by_the_reader(self, tmp_path):
        row = {
            "layer": "soil",
            "file": "s.tif",
            "licence": "l",
            "source": "a",
            "tag": "F",
            "fetched": "2026-01-02",
        }
        put_source_row(tmp_path / "sources.csv", row)
        frame, faults = read_table(tmp_path / "sources.csv", "sources")
        assert faults == [] and frame.iloc[0]["fetched"] == "2026-01-02"
