"""A server in this process that cuts, stalls, redirects and lies as real ones do, and small real files."""

from __future__ import annotations

import contextlib
import csv
import http.server
import io
import json
import re
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import geopandas as gpd
import numpy as np
import osmium
import pytest
import rasterio
import shapely
from rasterio.transform import from_bounds

from abatis.ground.fetching.download import Manners
from abatis.ground.fetching.run import FetchResult, fetch_study, list_work

DEM = "Copernicus_DSM_COG_10_N55_00_E024_00_DEM"
DEM_PATH = f"/copernicus-dem-30m.s3.amazonaws.com/{DEM}/{DEM}.tif"
OSM = "/download.geofabrik.de/europe/lithuania-latest.osm.pbf"
OSM_OTHER = "/download.geofabrik.de/europe/belarus-latest.osm.pbf"
POP = "GHS_POP_E2020_GLOBE_R2023A_4326_3ss_V1_0_R4_C21"
POP_PATH = (
    "/jeodpp.jrc.ec.europa.eu/ftp/jrc-opendata/GHSL/GHS_POP_GLOBE_R2023A/"
    f"GHS_POP_E2020_GLOBE_R2023A_4326_3ss/V1-0/tiles/{POP}.zip"
)


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
        self.held_after: dict[str, int] = {}
        self.release = threading.Event()
        self.asked: list[tuple[str, str, str]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def count_gets(self, path: str = "") -> int:
        return sum(verb == "GET" and asked.startswith(path) for verb, asked, _ in self.asked)


class Handler(http.server.BaseHTTPRequestHandler):
    server: OpenServer
    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # the other side went away
            super().handle()

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
        if path in server.held_after and not server.release.is_set():
            self.wfile.write(rest[: server.held_after[path]])
            self.wfile.flush()
            rest = rest[server.held_after[path] :]
            server.release.wait(60)
        self.wfile.write(rest)
        self.close_connection |= path in server.without_length
        return None

    def _end(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()


def make_tif(
    folder: Path, bounds=(24.0, 55.0, 25.0, 56.0), side: int = 480, values=None, nodata=None
) -> bytes:
    """A GeoTIFF in degrees; noise unless `values` [side, side] are given."""
    path = folder / "made.tif"
    if values is None:
        values = np.random.default_rng(1).integers(0, 200, (side, side), dtype=np.uint8)
    height, width = values.shape
    profile = {"driver": "GTiff", "width": width, "height": height, "count": 1, "dtype": values.dtype.name}
    place = from_bounds(*bounds, width, height)
    with rasterio.open(path, "w", crs="EPSG:4326", transform=place, nodata=nodata, **profile) as raster:
        raster.write(values, 1)
    return path.read_bytes()


def pack_zip(**members: bytes) -> bytes:
    """A ZIP archive; `__` in a name stands for the dot."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members.items():
            archive.writestr(name.replace("__", "."), body)
    return packed.getvalue()


def make_sites(**sites: shapely.Geometry) -> bytes:
    """GeoJSON of protected sites as the map service gives it."""
    features = [
        {
            "type": "Feature",
            "properties": {"SITECODE": code, "SITENAME": code.lower()},
            "geometry": json.loads(shapely.to_geojson(shape)),
        }
        for code, shape in sites.items()
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def make_pbf(folder: Path, box: tuple[float, float, float, float] | None = None) -> bytes:
    """An extract with a few nodes; `box` is what its header says it covers."""
    path = folder / "made.osm.pbf"
    path.unlink(missing_ok=True)
    header = osmium.io.Header()
    if box is not None:
        corners = osmium.osm.Location(box[0], box[1]), osmium.osm.Location(box[2], box[3])
        header.add_box(osmium.osm.Box(*corners))
    with osmium.SimpleWriter(str(path), header=header) as writer:
        for number in range(1, 50):
            writer.add_node(osmium.osm.mutable.Node(id=number, location=(24.0 + number / 1000, 55.05)))
    return path.read_bytes()


@pytest.fixture
def server(no_proxy: None) -> Iterator[OpenServer]:
    with OpenServer() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
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
        kind = Manners(
            **{"wait": run_fetch.waits.append, "tries": 4, "probe_s": 3.0, "between_s": 0.0, **manners}
        )
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
    """First row of each file in sources.csv."""
    rows: dict[str, dict[str, str]] = {}
    with (folder / "sources" / "sources.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            rows.setdefault(row["file"], row)
    return rows


def list_paths(folder: Path, server: OpenServer, *layers: str) -> dict[str, str]:
    """Name of each file of a plan -> its path on the server."""
    files = list_work(folder, layers, server.address).plan.files
    return {file.name: file.address.removeprefix(server.address) for file in files}
