"""What a build could not read is named without building: small files read whole, large ones opened."""

from __future__ import annotations

import dataclasses

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from osm_cases import draw_scene

from abatis.ground import checking
from abatis.ground.build import build_mesh, predict_size
from abatis.ground.checking import check_sources, mark_small
from abatis.ground.outline import read_ground
from abatis.ground.sources import Findings
from abatis.model.errors import InputError

ROAD = shapely.LineString([(24.05, 55.02), (24.15, 55.08)])
LAKE = shapely.box(24.05, 55.02, 24.08, 55.04)
FILES = ("water.gpkg", "rivers.parquet", "height.tif", "map.osm.pbf")


@pytest.fixture
def study(make_study):
    """A study with a GeoPackage, a GeoParquet file, a raster and an OpenStreetMap file."""
    bare = make_study({})
    sources = bare.folder / "sources"
    gpd.GeoDataFrame(geometry=[ROAD], crs="EPSG:4326").to_parquet(sources / "rivers.parquet")
    draw_scene().write(sources / "map.osm.pbf")
    transform = rasterio.transform.from_origin(23.8, 55.3, 0.001, 0.001)
    shape = {"height": 500, "width": 800, "count": 1, "dtype": "float32"}
    with rasterio.open(
        sources / "height.tif", "w", driver="GTiff", crs="EPSG:4326", transform=transform, **shape
    ) as raster:
        raster.write(np.full((500, 800), 120.0, np.float32), 1)
    return make_study(
        {
            "water": (gpd.GeoDataFrame(geometry=[LAKE], crs="EPSG:4326"), {}),
            "rivers": ("rivers.parquet", {}),
            "elevation": ("height.tif", {}),
            "roads": ("map.osm.pbf", {}),
        }
    )


@pytest.fixture(params=["whole", "glance"])
def way(request, monkeypatch):
    """Both ways in which a file is looked at."""
    if request.param == "glance":
        monkeypatch.setattr(checking, "WHOLE_BYTES", 0)
    return request.param


def list_faults(ask, study) -> list[str]:
    with pytest.raises(InputError) as told:
        ask(study)
    return [str(fault) for fault in told.value.faults]


def test_a_sound_study_has_no_fault_and_its_ground_is_that_of_a_build(study, way):
    ground = check_sources(study)
    known = read_ground(study, Findings())
    assert known is not None and ground.area == known.area
    assert predict_size(study, ground) == predict_size(study)


def test_every_file_that_cannot_be_read_is_named_at_once(study, way):
    for name in FILES:
        (study.folder / "sources" / name).write_bytes(b"x" * 300)
    faults = list_faults(check_sources, study)
    for name in FILES:
        (one,) = [fault for fault in faults if f"({name})" in fault]
        assert one.startswith("sources/sources.csv") and "row " in one and one.endswith(")")
    assert len(faults) == len(FILES)
    assert set(faults) == set(list_faults(build_mesh, study))


def test_damage_behind_the_head_is_found_where_the_file_is_read(study, way):
    """A file cut in half still says what it is."""
    for name in ("height.tif", "map.osm.pbf"):
        path = study.folder / "sources" / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    faults = "\n".join(list_faults(check_sources, study))
    assert "(height.tif)" in faults and "cannot be read" in faults
    if way == "whole":
        assert "(map.osm.pbf)" in faults


def test_wrong_attributes_and_places_are_told_of_large_files_too(study, way):
    sources = study.sources.copy()
    sources.loc[sources["layer"] == "water", "name_column"] = "nmae"
    gpd.GeoDataFrame(geometry=[ROAD], crs="EPSG:4326").translate(5, 0).to_frame("geometry").to_parquet(
        study.folder / "sources" / "rivers.parquet"
    )
    faults = "\n".join(list_faults(check_sources, dataclasses.replace(study, sources=sources)))
    assert "has no attribute 'nmae'" in faults
    assert "has nothing on the study's ground" in faults


def test_faults_of_borders_and_of_other_files_come_together(study):
    for name in ("borders.gpkg", "height.tif"):
        (study.folder / "sources" / name).write_bytes(b"x" * 300)
    faults = "\n".join(list_faults(check_sources, study))
    assert "(borders.gpkg)" in faults and "(height.tif)" in faults


def test_the_smallest_files_are_read_whole(study, monkeypatch):
    sizes = {name: (study.folder / "sources" / name).stat().st_size for name in FILES}
    ordered = sorted(sizes, key=sizes.__getitem__)
    others = study.sources[study.sources["file"].isin(FILES)]
    monkeypatch.setattr(checking, "WHOLE_BYTES", sizes[ordered[0]] + sizes[ordered[1]])
    assert set(others["file"][mark_small(study, others)]) == set(ordered[:2])
    monkeypatch.setattr(checking, "WHOLE_BYTES", sum(sizes.values()))
    assert mark_small(study, others).all()
    (study.folder / "sources" / "tiles.vrt").write_text("x")
    assert not mark_small(study, others.assign(file="tiles.vrt")).any()
