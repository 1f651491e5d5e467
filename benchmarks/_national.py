"""An invented country the size of Lithuania: cloud-like rasters, lakes, rivers and a dense net of roads."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from numba import njit
from rasterio.windows import Window

from abatis.show.new import write_new_study

MIDDLE = (24.0, 55.3)
HALF_KM, STRIP_KM = 127.5, 45
EAST_KM, NORTH_KM = 63.42, 111.33
ROADS = 2_000_000
# Code of the raster, its word, share of the ground below it.
CLASSES = (
    (80, "water", 0.04), (90, "wetland", 0.10), (10, "dense_forest", 0.30), (11, "open_forest", 0.38),
    (20, "shrub", 0.42), (30, "grass", 0.60), (40, "cropland", 0.94), (50, "built_up", 0.98),
    (60, "bare", 1.0),
)  # fmt: skip
HEADER = "layer,file,sublayer,class_column,name_column,value_column,sha256,licence,date,address,source,tag\n"
LAYERS = (
    ("borders", "borders.gpkg", "country", "", ""),
    ("landcover", "landcover_home.tif", "", "", ""),
    ("landcover", "landcover_strip.tif", "", "", ""),
    ("elevation", "elevation.tif", "", "", ""),
    ("population", "population.tif", "", "", ""),
    ("water", "water.gpkg", "", "", ""),
    ("rivers", "rivers.gpkg", "", "name", "width"),
    ("roads", "roads.gpkg", "class", "name", ""),
)


@njit(cache=True)
def _fill_clouds(out: np.ndarray, row0: int, steps: np.ndarray, noise: np.ndarray) -> None:
    """Sum noise of several step lengths (pixels), bilinear between the nodes, halved with each length."""
    rows, columns = out.shape
    side = noise.shape[1]
    for i in range(rows):
        for octave in range(len(steps)):
            weight = 0.5 ** (octave + 1)
            y = (row0 + i) / steps[octave]
            top, share_y = int(y) % side, y - int(y)
            below = (top + 1) % side
            for j in range(columns):
                x = j / steps[octave]
                left, share_x = int(x) % side, x - int(x)
                right = (left + 1) % side
                upper = noise[octave, top, left] * (1 - share_x) + noise[octave, top, right] * share_x
                lower = noise[octave, below, left] * (1 - share_x) + noise[octave, below, right] * share_x
                out[i, j] += weight * (upper * (1 - share_y) + lower * share_y)


def write_clouds(path: Path, half_km: float, pixel_m: float, seed: int, kind: str) -> int:
    """Write a raster of clouds as classes, heights or persons; return its pixels."""
    side = round(2000 * half_km / pixel_m)
    lon, lat = MIDDLE
    place = rasterio.Affine(
        2 * half_km / EAST_KM / side, 0, lon - half_km / EAST_KM,
        0, -2 * half_km / NORTH_KM / side, lat + half_km / NORTH_KM,
    )  # fmt: skip
    random = np.random.default_rng(seed)
    noise = random.random((4, 257, 257)).astype(np.float32)
    steps = np.maximum(np.array([20_000, 3_000, 600, 150]) / pixel_m, 2.0)
    options = {
        "driver": "GTiff", "width": side, "height": side, "count": 1, "crs": "EPSG:4326", "transform": place,
        "dtype": "uint8" if kind == "classes" else "float32", "tiled": True, "blockxsize": 512,
        "blockysize": 512, "compress": "deflate", "zlevel": 1, "bigtiff": "if_safer",
    }  # fmt: skip
    with rasterio.open(path, "w", **options) as file:
        for row0 in range(0, side, 1024):
            rows = min(1024, side - row0)
            cloud = np.zeros((rows, side), np.float32)
            _fill_clouds(cloud, row0, steps, noise)
            file.write(_translate(cloud, kind), 1, window=Window(0, row0, side, rows))
    return side * side


def _translate(cloud: np.ndarray, kind: str) -> np.ndarray:
    if kind == "heights":
        return np.round(cloud * 300, 1)
    if kind == "persons":
        return np.where(cloud > 0.55, np.round((cloud - 0.55) * 40, 1), 0).astype(np.float32)
    # The clouds lie around 0.47 with a spread of 0.11; this makes their shares about even.
    even = np.clip((cloud - 0.25) / 0.44, 0, 0.999)
    codes = np.array([code for code, _, _ in CLASSES], np.uint8)
    table = np.searchsorted([share for _, _, share in CLASSES], np.arange(1000) / 1000, side="right")
    return codes[table[(even * 1000).astype(np.int64)]]


def _lay_roads(half_km: float, count: int) -> gpd.GeoDataFrame:
    """Return a shaken grid of roads: each line between two junctions is one feature with a bend."""
    side = max(3, round(np.sqrt(count / 2)))
    random = np.random.default_rng(5)
    row, column = np.mgrid[0:side, 0:side]
    step = 2 * half_km / (side - 1)
    x = (column + random.uniform(-0.3, 0.3, row.shape)) * step - half_km
    y = (row + random.uniform(-0.3, 0.3, row.shape)) * step - half_km
    lon, lat = MIDDLE[0] + x / EAST_KM, MIDDLE[1] + y / NORTH_KM
    node = np.stack([lon, lat], axis=-1)
    start = np.concatenate([node[:, :-1].reshape(-1, 2), node[:-1].reshape(-1, 2)])
    stop = np.concatenate([node[:, 1:].reshape(-1, 2), node[1:].reshape(-1, 2)])
    line_of = np.concatenate([row[:, :-1].ravel(), column[:-1].ravel()])
    bend = (start + stop) / 2 + random.uniform(-0.1, 0.1, start.shape) * step / [EAST_KM, NORTH_KM]
    words = np.full(len(start), "local", object)
    for every, word in ((8, "regional"), (40, "main"), (160, "motorway")):
        words[line_of % every == 0] = word
    words[(line_of % 3 == 1) & (words == "local")] = "track"
    names = np.where(np.isin(words, ("main", "motorway")), np.char.add("A", line_of.astype(str)), "")
    lines = shapely.linestrings(np.stack([start, bend, stop], axis=1))
    return gpd.GeoDataFrame({"class": words, "name": names}, geometry=lines, crs="EPSG:4326")


def _lay_waters(half_km: float, count: int) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """Return lakes as polygons and winding rivers as lines."""
    random = np.random.default_rng(6)
    span = np.array([half_km / EAST_KM, half_km / NORTH_KM])
    centres = MIDDLE + random.uniform(-1, 1, (count, 2)) * span
    radius = random.exponential(0.003, count) + 0.0005
    lakes = shapely.buffer(shapely.points(centres), radius, quad_segs=6)
    rivers = []
    for lon in np.linspace(-0.95, 0.95, 24):
        along = np.linspace(-1, 1, 3000)
        across = lon + 0.02 * np.sin(40 * along + 9 * lon) + 0.004 * np.sin(400 * along)
        rivers.append(shapely.linestrings(MIDDLE + np.column_stack([across, along]) * span))
    width = random.choice([12.0, 25.0, 60.0, 150.0], len(rivers))
    names = [f"River {k}" for k in range(len(rivers))]
    river = gpd.GeoDataFrame({"name": names, "width": width}, geometry=rivers, crs="EPSG:4326")
    return gpd.GeoDataFrame(geometry=lakes, crs="EPSG:4326"), river


def _lay_borders(half_km: float, strip_km: float) -> gpd.GeoDataFrame:
    turn = np.linspace(0, 2 * np.pi, 4000, endpoint=False)
    reach = np.minimum(1 / np.maximum(np.abs(np.cos(turn)), 1e-9), 1 / np.maximum(np.abs(np.sin(turn)), 1e-9))
    radius = half_km * reach * (1 + 0.004 * np.sin(90 * turn))
    x, y = radius * np.cos(turn), radius * np.sin(turn)
    home = shapely.polygons(np.column_stack([MIDDLE[0] + x / EAST_KM, MIDDLE[1] + y / NORTH_KM]))
    far = half_km + 2 * strip_km
    around = shapely.box(
        MIDDLE[0] - far / EAST_KM, MIDDLE[1] - far / NORTH_KM, MIDDLE[0] + far / EAST_KM,
        MIDDLE[1] + far / NORTH_KM,
    )  # fmt: skip
    return gpd.GeoDataFrame(
        {"country": ["HOME", "OTHER"]}, geometry=[home, shapely.difference(around, home)], crs="EPSG:4326"
    )


def write_national(folder: Path, size: float = 1.0, pixel_m: float = 10.0) -> tuple[int, int]:
    """Write a study of an invented country and return the pixels of its fine land cover and its roads.

    Parameters
    ----------
    folder : where; must not exist.
    size : side of the country as a share of 255 km; 1 gives 1.2 million cells with the strip.
    pixel_m : working pixels, m.
    """
    write_new_study(folder, "")
    half_km, strip_km = HALF_KM * size, STRIP_KM * size
    wide_km = half_km + strip_km + 6
    sources = folder / "sources"
    for path in sources.glob("*.geojson"):
        path.unlink()
    pixels = write_clouds(sources / "landcover_home.tif", half_km, 10, 1, "classes")
    write_clouds(sources / "landcover_strip.tif", wide_km, 50, 2, "classes")
    write_clouds(sources / "elevation.tif", wide_km, 30, 3, "heights")
    write_clouds(sources / "population.tif", wide_km, 100, 4, "persons")
    roads = _lay_roads(half_km + strip_km, round(ROADS * size**2))
    lakes, rivers = _lay_waters(half_km + strip_km, round(20_000 * size**2))
    frames = {
        "borders": _lay_borders(half_km, strip_km), "roads": roads, "water": lakes, "rivers": rivers
    }  # fmt: skip
    for name, frame in frames.items():
        frame.to_file(sources / f"{name}.gpkg")
    rows = [f"{layer},{file},,{word},{name},{value},,own,,,s,G" for layer, file, word, name, value in LAYERS]
    (sources / "sources.csv").write_text(HEADER + "\n".join(rows) + "\n")
    _write_tables(folder, strip_km, pixel_m)
    return pixels, len(roads)


def _write_tables(folder: Path, strip_km: float, pixel_m: float) -> None:
    rows = [f"landcover,{code},{word}" for code, word, _ in CLASSES]
    (folder / "tables" / "classes.csv").write_text("layer,code,word\n" + "\n".join(rows) + "\n")
    lon, lat = MIDDLE
    places = (
        "place,name,lon,lat,population,kind,country,source,tag\n"
        f"capital,Capital,{lon},{lat},500000,city,HOME,invented,G\n"
        f"bordertown,Bordertown,{lon + 0.05},{lat},4000,town,HOME,invented,G\n"
    )
    (folder / "tables" / "places.csv").write_text(places)
    text = (folder / "study.toml").read_text()
    for old, new in (
        ("resolution = 7", "resolution = 9"),
        ("strip_km = 20", f"strip_km = {strip_km:g}"),
        ("pixel_m = 200", f"pixel_m = {pixel_m:g}"),
    ):
        assert old in text
        text = text.replace(old, new)
    (folder / "study.toml").write_text(text)
