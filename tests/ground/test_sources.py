"""Every fault of a source file is named, all at once."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from pyproj import CRS

from abatis.ground.build import build_mesh
from abatis.ground.sources import Area, Findings, check_place
from abatis.ground.sources.rasters import RasterReader, list_rasters, read_population_points
from abatis.ground.sources.vectors import read_vector_layer
from abatis.model.errors import InputError, UnitError

AREA = Area(24.0, 55.0, 24.4, 55.1)
LAKE = shapely.box(24.05, 55.02, 24.08, 55.04)


def frame(geometry, crs="EPSG:4326", **columns):
    return gpd.GeoDataFrame(columns, geometry=list(geometry), crs=crs)


def faults_of(study, layer="water"):
    findings = Findings()
    read = read_vector_layer(study, layer, AREA, findings)
    return [str(one) for one in findings.faults], findings, read


def test_good_layer_is_read_and_other_crs_lands_in_the_same_place(make_study):
    metric = frame([LAKE], name=["Lake"]).to_crs("EPSG:3346")
    faults, _, layer = faults_of(make_study({"water": (metric, {"name_column": "name"})}))
    assert faults == []
    assert layer.names.tolist() == ["Lake"]
    assert shapely.symmetric_difference(layer.geometry[0], LAKE).area < 1e-4 * LAKE.area


def test_missing_and_corrupt_files(make_study):
    study = make_study({"water": (frame([LAKE]), {})})
    path = study.folder / "sources" / "water.gpkg"
    path.write_bytes(b"not a map" * 50)
    assert "cannot be read" in faults_of(study)[0][0]
    path.unlink()
    assert "does not exist" in faults_of(study)[0][0]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"name_column": "nmae"}, ["has no attribute 'nmae'", "did you mean 'name'?"]),
        ({"sublayer": "watr"}, ["has no layer 'watr'", "did you mean 'water'?"]),
        ({"value_column": "name"}, ["has 'Lake' where a number belongs"]),
    ],
)
def test_unknown_names_get_the_nearest(make_study, columns, words):
    faults = faults_of(make_study({"water": (frame([LAKE], name=["Lake"]), columns)}))[0]
    assert len(faults) == 1
    assert all(word in faults[0] for word in words)


@pytest.mark.filterwarnings("ignore:'crs' was not provided")
def test_no_crs_empty_wrong_geometry_negative(make_study):
    assert "has no CRS" in faults_of(make_study({"water": (frame([LAKE], crs=None), {})}))[0][0]
    empty = frame([LAKE], name=["a"]).iloc[:0]
    assert "has no features" in faults_of(make_study({"water": (empty, {})}))[0][0]
    line = shapely.LineString([(24.1, 55.05), (24.2, 55.05)])
    found = faults_of(make_study({"water": (frame([line]), {})}))[0]
    assert "LineString" in found[0]
    assert "polygons" in found[0]
    rivers = frame([line], width=[-3.0])
    study = make_study({"rivers": (rivers, {"value_column": "width"})})
    assert "negative number -3" in faults_of(study, "rivers")[0][0]


def test_units_and_axes(make_study):
    swapped = frame([shapely.box(55.02, 24.05, 55.04, 24.08)])
    faults, findings, _ = faults_of(make_study({"water": (swapped, {})}))
    assert "they are swapped" in faults[0]
    with pytest.raises(UnitError):
        findings.raise_faults()
    metres = frame([LAKE]).to_crs("EPSG:3346").set_crs("EPSG:4326", allow_override=True)
    assert "look like metres" in faults_of(make_study({"water": (metres, {})}))[0][0]
    degrees = frame([LAKE]).set_crs("EPSG:3346", allow_override=True)
    assert "coordinates in degrees" in faults_of(make_study({"water": (degrees, {})}))[0][0]
    away = frame([shapely.box(10, 40, 11, 41)])
    faults, findings, _ = faults_of(make_study({"water": (away, {})}))
    assert "nothing on the study's ground" in faults[0]
    assert not findings.wrong_unit


def test_metric_axes_swapped_are_found():
    findings = Findings()
    bounds = frame([LAKE]).to_crs("EPSG:3346").total_bounds
    turned = (bounds[1], bounds[0], bounds[3], bounds[2])
    assert not check_place(turned, CRS(3346), AREA, "f", 2, findings)
    assert "swapped" in str(findings.faults[0])


def test_self_crossing_polygon_is_mended_and_noted(make_study):
    bow = shapely.Polygon([(24.05, 55.02), (24.08, 55.04), (24.08, 55.02), (24.05, 55.04)])
    faults, findings, layer = faults_of(make_study({"water": (frame([bow]), {})}))
    assert faults == []
    assert shapely.is_valid(layer.geometry[0])
    assert "1 self-crossing" in findings.notes[0]


def test_codes_need_rows_and_dash_leaves_out(make_study):
    areas = frame([LAKE, LAKE, LAKE], code=[211, 312, 999])
    layers = {"landcover_areas": (areas, {"class_column": "code"})}
    study = make_study(layers, classes="landcover_areas,211,cropland\nlandcover_areas,312,-\n")
    faults, _, layer = faults_of(study, "landcover_areas")
    assert "'999'" in faults[0]
    assert "classes.csv" in faults[0]
    assert layer.words.tolist() == ["cropland"]
    plain = {"landcover_areas": (frame([LAKE], code=["gras"]), {"class_column": "code"})}
    (study.folder / "tables" / "classes.csv").unlink()
    assert "did you mean 'grass'?" in faults_of(make_study(plain), "landcover_areas")[0][0]


@pytest.mark.filterwarnings("ignore:'crs' was not provided")
def test_all_layers_report_at_once(make_study):
    line = shapely.LineString([(24.1, 55.05), (24.2, 55.05)])
    layers = {
        "water": (frame([LAKE], crs=None), {}),
        "rivers": (frame([LAKE]), {}),
        "roads": (frame([line], kind=["x"]), {"class_column": "kind"}),
    }
    with pytest.raises(InputError) as caught:
        build_mesh(make_study(layers))
    text = str(caught.value)
    assert "has no CRS" in text
    assert "holds lines" in text
    assert "'x'" in text


def test_borders_must_hold_home_and_hostile(make_study):
    ground = gpd.GeoDataFrame(
        {"country": ["H", "Y"]},
        geometry=[shapely.box(24.0, 55.0, 24.2, 55.1), shapely.box(24.2, 55.0, 24.4, 55.1)],
        crs="EPSG:4326",
    )
    with pytest.raises(InputError, match="country 'X' has no polygon"):
        build_mesh(make_study(borders=ground))


def write_raster(path, values, west, north, size, nodata=None, crs="EPSG:4326"):
    with rasterio.open(
        path, "w", driver="GTiff", width=values.shape[1], height=values.shape[0], count=1, dtype=values.dtype,
        crs=crs, transform=rasterio.Affine(size, 0, west, 0, -size, north), nodata=nodata,
    ) as file:  # fmt: skip
        file.write(values, 1)


def test_class_raster_with_nodata_and_unknown_code(make_study, tmp_path):
    values = np.full((20, 80), 1, np.uint8)
    values[:, 40:] = 2
    values[:5] = 0
    write_raster(tmp_path / "cover.tif", values, 24.0, 55.1, 0.005, nodata=0)
    layers = {"landcover": (tmp_path / "cover.tif", {})}
    study = make_study(layers, classes="landcover,1,grass\n")
    findings = Findings()
    list_rasters(study, "landcover", AREA, findings)
    assert "'2'" in str(findings.faults[0])
    study = make_study(layers, classes="landcover,1,grass\nlandcover,2,bare\n")
    rasters = list_rasters(study, "landcover", AREA, Findings())
    with RasterReader(rasters, ("grass", "bare"), 0.001) as reader:
        out = reader.read_classes(rasterio.Affine(0.001, 0, 24.0, 0, -0.001, 55.1), 100, 400, 255)
    assert set(np.unique(out[:25])) == {255}
    assert set(np.unique(out[26:, :199])) == {0}
    assert set(np.unique(out[26:, 201:])) == {1}


def test_raster_faults(make_study, tmp_path):
    deep = np.full((20, 80), -9999, np.int16)
    write_raster(tmp_path / "dem.tif", deep, 24.0, 55.1, 0.005)
    (tmp_path / "bad.tif").write_bytes(b"II*\0 nothing")
    write_raster(tmp_path / "away.tif", deep, 10.0, 40.0, 0.005)
    for file, words in (("dem.tif", "-9999"), ("bad.tif", "cannot be read"), ("away.tif", "nothing on the")):
        findings = Findings()
        list_rasters(make_study({"elevation": (tmp_path / file, {})}), "elevation", AREA, findings)
        assert words in str(findings.faults[0]), file


def test_population_raster_keeps_its_total(make_study, tmp_path):
    values = np.arange(1600, dtype=np.float32).reshape(20, 80)
    write_raster(tmp_path / "people.tif", values, 24.0, 55.1, 0.005)
    rasters = list_rasters(
        make_study({"population": (tmp_path / "people.tif", {})}), "population", AREA, Findings()
    )
    lon, _, people = read_population_points(rasters, AREA, 100.0)
    assert len(lon) > 1600
    assert people.sum() == pytest.approx(values.sum(), rel=1e-9)
