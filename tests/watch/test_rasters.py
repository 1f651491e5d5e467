"""Rasters of heights: reading, faults, scratch files, the command, and agreement with GDAL."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import rasterio
import sight_cases as cases
from rasterio.transform import from_origin
from rasterio.warp import Resampling, reproject

from abatis.model.errors import InputError, UnitError
from abatis.show.cli import main
from abatis.watch.rasters import locate_posts, read_terrain
from abatis.watch.sight import OUTSIDE, VISIBLE, Post, View, compute_viewshed, trace_cells

GRID = from_origin(500_000, 6_000_000, 60, 60)


def write(path: Path, heights: np.ndarray, transform=GRID, crs="EPSG:3346", nodata=None) -> Path:
    bands = heights if heights.ndim == 3 else heights[None]
    with rasterio.open(
        path, "w", driver="GTiff", width=bands.shape[2], height=bands.shape[1], count=len(bands),
        dtype=bands.dtype, crs=crs, transform=transform, nodata=nodata,
    ) as target:  # fmt: skip
        target.write(bands)
    return path


@pytest.fixture
def hills(tmp_path) -> Path:
    return write(tmp_path / "hills.tif", cases.make_hills(60, 80, 1))


def sight(path: Path, out: Path, *more: str) -> int:
    given = [str(path), "--observer-height", "10", "--target-height", "2", "--out", str(out), *more]
    return main(["sight", *given])


def test_command_writes_the_viewshed_on_the_rasters_own_grid(hills, tmp_path, capsys):
    out = tmp_path / "seen.tif"
    x, y = GRID @ (40.5, 30.5)
    assert sight(hills, out, "--x", str(x), "--y", str(y), "--range", "1500", "--json") == 0
    table = {row["what"]: row["value"] for row in json.loads(capsys.readouterr().out)["sight"]}
    terrain = read_terrain(hills)
    expected = compute_viewshed(terrain.relief, Post(30, 40, 10.0), View(2.0, 1500.0))
    with rasterio.open(out) as written, rasterio.open(hills) as given:
        marks = written.read(1)
        assert (written.transform, written.crs, written.shape) == (given.transform, given.crs, given.shape)
        assert written.nodata == OUTSIDE
    assert np.array_equal(marks, expected)
    assert set(np.unique(marks)) == {0, 1, 255}
    assert table["seen [km2]"] == pytest.approx((expected == VISIBLE).sum() * 0.0036, abs=1e-3)
    assert table["in range [km2]"] == pytest.approx((expected != OUTSIDE).sum() * 0.0036, abs=1e-3)


def test_command_counts_many_posts(hills, tmp_path, capsys):
    posts = tmp_path / "posts.csv"
    cells = [(30, 40), (5, 70), (30, 40)]
    points = [GRID @ (column + 0.2, row + 0.7) for row, column in cells]
    posts.write_text("x,y\n" + "".join(f"{x},{y}\n" for x, y in points), "utf-8")
    assert sight(hills, tmp_path / "count.tif", "--posts", str(posts), "--range", "2000") == 0
    relief = read_terrain(hills).relief
    expected = sum(
        (compute_viewshed(relief, Post(*cell, 10.0), View(2.0, 2000.0)) == VISIBLE).astype(int)
        for cell in cells
    )
    with rasterio.open(tmp_path / "count.tif") as written:
        assert written.dtypes == ("uint32",)
        assert np.array_equal(written.read(1), expected)


def test_sector_and_cover_reach_the_kernel(hills, tmp_path):
    cover = write(tmp_path / "cover.tif", np.full((60, 80), 15, np.uint8))
    place = ["--x", "502400", "--y", "5998200"]
    for name, more in [("open", []), ("cover", ["--cover", str(cover)]), ("sector", ["--sector", "0", "90"])]:
        assert sight(hills, tmp_path / f"{name}.tif", *place, *more) == 0
    marks = {}
    for name in ("open", "cover", "sector"):
        with rasterio.open(tmp_path / f"{name}.tif") as written:
            marks[name] = written.read(1)
    assert (
        marks["cover"] == VISIBLE
    ).sum() == 1  # targets of 2 m under trees of 15 m: the post's own cell is 15 too
    assert (marks["sector"] == OUTSIDE).mean() > 0.6
    inside = marks["sector"] != OUTSIDE
    assert np.array_equal(marks["sector"][inside], marks["open"][inside])


def test_voids_are_told_and_left_blank(tmp_path, capsys):
    heights = cases.make_hills(40, 40, 3)
    heights[5:9, 5:12] = -32768
    path = write(tmp_path / "holes.tif", heights, nodata=-32768)
    assert sight(path, tmp_path / "o.tif", "--x", "501230", "--y", "5998770", "--json") == 0
    assert {row["what"]: row["value"] for row in json.loads(capsys.readouterr().out)["sight"]}[
        "cells without height"
    ] == 28
    with rasterio.open(tmp_path / "o.tif") as written:
        assert (written.read(1)[5:9, 5:12] == OUTSIDE).all()
    assert sight(path, tmp_path / "p.tif", "--x", "500400", "--y", "5999600") == 1
    assert "has no height" in capsys.readouterr().err
    assert not (tmp_path / "p.tif").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--x", "24", "--y", "54"], ["outside the raster", "500000 to 504800"]),
        (["--x", "501000", "--y", "5999000", "--observer-height", "-1"], ["--observer-height: is -1"]),
        (
            ["--x", "501000", "--y", "5999000", "--target-height", "-1", "--range", "0"],
            ["2 faults", "--target-height: is -1", "--range: is 0"],
        ),
        (["--x", "501000", "--y", "5999000", "--refraction", "3"], ["--refraction: is 3"]),
        (["--x", "501000"], ["--x and --y"]),
        ([], ["--x and --y"]),
        (["--x", "501000", "--y", "5999000", "--out", "map.png"], ["GeoTIFF"]),
    ],
)
def test_bad_settings_are_named(hills, tmp_path, more, words, capsys):
    assert sight(hills, tmp_path / "o.tif", *more) == 1
    said = capsys.readouterr().err
    for word in words:
        assert word in said
    assert not (tmp_path / "o.tif").exists()


def test_faults_of_files_and_settings_are_named_together(tmp_path, capsys):
    more = ["--observer-height", "nan", "--target-height", "-1", "--sector", "5", "5", "--out", "o.png"]
    more += ["--cover", str(tmp_path / "trees.tif"), "--posts", str(tmp_path / "posts.csv"), "--range", "nan"]
    assert sight(tmp_path / "none.tif", tmp_path / "o.tif", *more) == 1
    said = capsys.readouterr().err
    assert "8 faults" in said
    for word in (
        "none.tif: cannot be read", "trees.tif: cannot be read", "--observer-height: is nan",
        "--target-height: is -1", "--range: is nan", "--sector: is 5.0 to 5.0", "o.png: is not a GeoTIFF",
        "posts.csv: cannot be read",
    ):  # fmt: skip
        assert word in said, word


def test_bad_rasters_are_named(tmp_path):
    flat = np.zeros((4, 5), np.float32)
    degrees = from_origin(24, 55, 0.001, 0.001)
    with pytest.raises(UnitError, match="degrees"):
        read_terrain(write(tmp_path / "a.tif", flat, degrees, "EPSG:4326"))
    with pytest.raises(UnitError, match="not in metres"):
        read_terrain(write(tmp_path / "b.tif", flat, GRID, "EPSG:2263"))
    with pytest.raises(InputError, match="no reference system"):
        read_terrain(write(tmp_path / "c.tif", flat, GRID, None))
    with pytest.raises(InputError, match="turned"):
        read_terrain(write(tmp_path / "d.tif", flat, GRID @ rasterio.Affine.rotation(10)))
    with pytest.raises(InputError, match="2 bands"):
        read_terrain(write(tmp_path / "e.tif", np.zeros((2, 4, 5), np.float32)))
    with pytest.raises(InputError, match="void everywhere"):
        read_terrain(write(tmp_path / "f.tif", flat, nodata=0))
    (tmp_path / "g.tif").write_text("no raster")
    with pytest.raises(InputError, match="cannot be read"):
        read_terrain(tmp_path / "g.tif")
    good = write(tmp_path / "h.tif", flat)
    with pytest.raises(InputError, match="another one"):
        read_terrain(good, write(tmp_path / "i.tif", flat, from_origin(500_030, 6_000_000, 60, 60)))
    with pytest.raises(InputError, match="below 0"):
        read_terrain(good, write(tmp_path / "j.tif", flat - 1))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a,b\n1,2\n", "columns x and y"),
        ("x,y\n1,?\n,3\n", "row 3"),
        ("x,y\n", "columns x and y"),
        ("x,y\n1,2\n\n3,?\n", "row 4"),
        ('x,y\n1,"2\n', "cannot be read"),
    ],
)
def test_bad_post_files_are_named(hills, tmp_path, text, word, capsys):
    posts = tmp_path / "posts.csv"
    posts.write_text(text, "utf-8")
    assert sight(hills, tmp_path / "o.tif", "--posts", str(posts)) == 1
    assert word in capsys.readouterr().err


def test_points_on_the_edges_have_cells(hills):
    terrain = read_terrain(hills)
    posts = locate_posts(terrain, [(500_000, 6_000_000), (504_799.99, 5_996_400.01)], 2.0)
    assert [(post.row, post.column) for post in posts] == [(0, 0), (59, 79)]
    with pytest.raises(InputError) as caught:
        locate_posts(terrain, [(504_800, 5_999_000), (502_000, 5_996_400)], 2.0)
    assert len(caught.value.faults) == 2


def test_raster_larger_than_memory_gives_the_same(hills, tmp_path):
    small, large = read_terrain(hills), read_terrain(hills, scratch=tmp_path, most_bytes=1000)
    assert small.scratch is None
    assert large.scratch == tmp_path
    assert isinstance(large.relief.surface, np.memmap)
    view, post = View(2.0), Post(30, 40, 10.0)
    assert np.array_equal(
        compute_viewshed(large.relief, post, view), compute_viewshed(small.relief, post, view)
    )
    assert list(tmp_path.iterdir()) == [hills]


@pytest.fixture(scope="module")
def suwalki(shared_data, tmp_path_factory) -> Path:
    """Real relief around Suwalki, 900 x 1000 cells of 60 m."""
    path = tmp_path_factory.mktemp("relief") / "suwalki.tif"
    heights = np.zeros((900, 1000), np.float32)
    grid = from_origin(300_000, 6_050_000, 60, 60)
    with rasterio.open(shared_data / "dem_srtm3_suwalki_19_24E_53_56N.tif") as source:
        reproject(
            rasterio.band(source, 1), heights, dst_transform=grid, dst_crs="EPSG:3346",
            resampling=Resampling.bilinear,
        )  # fmt: skip
    assert heights.min() > 0
    return write(path, heights, grid)


def test_real_relief_is_exact_and_nearer_than_gdal(suwalki, tmp_path):
    """All 900,000 cells against their own sight lines; GDAL's reference planes differ in more."""
    relief = read_terrain(suwalki).relief
    post, view = Post(450, 500, 30.0), View(2.0)
    seen = compute_viewshed(relief, post, view) == VISIBLE
    exact = trace_cells(relief, post, view, np.argwhere(np.ones(seen.shape, bool))).reshape(seen.shape)
    assert np.array_equal(seen, exact)
    assert 0.02 < seen.mean() < 0.9
    if shutil.which("gdal_viewshed") is None and not os.environ.get("CI"):
        pytest.skip("gdal_viewshed is not installed: agreement with GDAL is left out")
    x, y = from_origin(300_000, 6_050_000, 60, 60) @ (500.5, 450.5)
    out = tmp_path / "gdal.tif"
    asked = ["gdal_viewshed", "-q", "-ox", str(x), "-oy", str(y), "-oz", "30", "-tz", "2", "-md", "0"]
    subprocess.run([*asked, "-cc", str(6 / 7), str(suwalki), str(out)], check=True, capture_output=True)
    with rasterio.open(out) as written:
        peer = written.read(1) == 255
    differ = float((peer != exact).mean())
    assert 0 < differ < 0.03
