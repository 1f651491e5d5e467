"""Every fault of a source file is named, all at once."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from pyproj import CRS

from abatis.ground.build import build_mesh
from abatis.ground.sources import Area, Findings, check_place
from abatis.ground.sources.rasters import RasterReader, list_rasters, read_population_points
from abatis.ground.sources.vectors import read_vector_layer
from abatis.model.errors import InputError, UnitError
from abatis.model.study import read_study
from abatis.model.words import ROAD_WORDS

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


def test_a_fetched_file_without_anything_here_is_noted_not_refused(make_study):
    beside = frame([shapely.box(23.9, 55.3, 24.5, 55.4), shapely.box(24.0, 54.7, 24.1, 54.8)])
    own = make_study({"water": (beside, {})})
    assert "has no features on the study's ground" in faults_of(own)[0][0]
    table = own.folder / "sources" / "sources.csv"
    rows = pd.read_csv(table, dtype=str, keep_default_na=False)
    rows.assign(fetched="2026-01-02").to_csv(table, index=False)
    faults, findings, layer = faults_of(read_study(own.folder))
    assert faults == []
    assert findings.notes == ["water.gpkg has no features on the study's ground"]
    assert layer.count == 0


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


def test_shapefile_and_geoparquet_are_read_like_geopackage(make_study, tmp_path):
    ground = frame([LAKE, shapely.box(24.1, 55.02, 24.12, 55.04)], name=["Lake", "Pond"])
    layers = []
    for suffix, crs in (
        (".gpkg", 4326),
        (".shp", 4326),
        (".parquet", 4326),
        (".parquet", 3346),
        (".shp", 3346),
    ):
        path = tmp_path / f"water_{crs}{suffix}"
        moved = ground.to_crs(crs)
        moved.to_parquet(path) if suffix == ".parquet" else moved.to_file(path)
        faults, _, layer = faults_of(make_study({"water": (path, {"name_column": "name"})}))
        assert faults == []
        layers.append(layer)
    for other in layers[1:]:
        assert other.names.tolist() == layers[0].names.tolist() == ["Lake", "Pond"]
        apart = shapely.symmetric_difference(layers[0].geometry, other.geometry)
        assert np.all(shapely.area(apart) < 1e-4 * LAKE.area)


def test_faults_of_geoparquet(make_study, tmp_path):
    path = tmp_path / "water.parquet"
    frame([LAKE], name=["Lake"]).to_parquet(path)
    whole = path.read_bytes()
    study = make_study({"water": (path, {"name_column": "nmae"})})
    assert "did you mean 'name'?" in faults_of(study)[0][0]
    study = make_study({"water": (path, {"sublayer": "lakes"})})
    assert "leave it empty" in faults_of(study)[0][0]
    study = make_study({"water": (path, {})})
    path.write_bytes(whole[: len(whole) // 2])
    assert "cannot be read" in faults_of(study)[0][0]
    pd.DataFrame({"name": ["Lake"]}).to_parquet(path)
    assert "no GeoParquet metadata" in faults_of(study)[0][0]
    frame([LAKE], crs=None).to_parquet(path)
    assert "has no CRS" in faults_of(study)[0][0]
    frame([shapely.box(10, 40, 11, 41)]).to_parquet(path)
    assert "nothing on the study's ground" in faults_of(study)[0][0]


def test_files_of_one_layer_may_have_different_crs(make_study, tmp_path):
    pond = shapely.box(24.1, 55.02, 24.12, 55.04)
    frame([LAKE]).to_file(tmp_path / "a.gpkg")
    frame([pond]).to_crs(3346).to_file(tmp_path / "b.shp")
    study = make_study({"water": (tmp_path / "a.gpkg", {})})
    listed = study.folder / "sources" / "sources.csv"
    listed.write_text(listed.read_text() + f"water,{tmp_path / 'b.shp'},,,,,own,s,G\n")
    faults, _, layer = faults_of(read_study(study.folder))
    assert faults == []
    for got, wanted in zip(layer.geometry, (LAKE, pond), strict=True):
        assert shapely.symmetric_difference(got, wanted).area < 1e-4 * LAKE.area


def test_features_without_a_class_are_kept_or_left_out_and_said(make_study):
    line = [shapely.LineString([(24.02, y), (24.3, y)]) for y in (55.02, 55.05, 55.08)]
    roads = frame(line, kind=["local", None, ""])
    layers = {"roads": (roads, {"class_column": "kind"})}
    for classes in ("", "roads,local,local\n"):
        faults, findings, layer = faults_of(make_study(layers, classes=classes), "roads")
        assert faults == []
        assert layer.words.tolist() == ["local", "", ""]
        assert (
            "2 of 3 features of roads.gpkg (roads) have no class in kind: they are taken as main"
            in findings.notes
        )
    mesh = build_mesh(make_study(layers))
    assert {ROAD_WORDS[one] for one in mesh.road_class[mesh.road_class >= 0]} == {"local", "main"}
    areas = frame([LAKE, LAKE], kind=["grass", None])
    study = make_study({"landcover_areas": (areas, {"class_column": "kind"})})
    faults, findings, layer = faults_of(study, "landcover_areas")
    assert (faults, layer.words.tolist()) == ([], ["grass"])
    assert "they are left out" in findings.notes[0]


def list_of(study, layer):
    findings = Findings()
    return list_rasters(study, layer, AREA, findings), [str(one) for one in findings.faults], findings.notes


def list_tiles(study, paths):
    listed = study.folder / "sources" / "sources.csv"
    rows = [f"elevation,{path},,,,,own,s,G" for path in paths]
    listed.write_text("\n".join([*listed.read_text().splitlines(), *rows]) + "\n")
    return read_study(study.folder)


def test_a_tile_missing_in_the_middle_is_named(make_study, tmp_path):
    paths = [tmp_path / f"dem{k}.tif" for k in range(4)]
    for k, path in enumerate(paths):
        write_raster(path, np.full((20, 20), 100, np.int16), 24.0 + 0.1 * k, 55.1, 0.005)
    whole = list_of(list_tiles(make_study(), paths), "elevation")
    assert (len(whole[0]), whole[1], whole[2]) == (4, [], [])
    lost = [path for k, path in enumerate(paths) if k != 2]
    study = list_tiles(make_study(), lost)
    found, faults, notes = list_of(study, "elevation")
    assert (len(found), faults) == (3, [])
    assert "the 3 files of layer elevation leave ground between them uncovered (24.20 to 24.30 E" in notes[0]
    told = "\n".join(build_mesh(study).assumptions)
    assert "leave ground between them uncovered" in told
    assert "of the ground is unknown: taken as 0-10 % slope" in told


def test_raster_without_crs_or_cut_off(make_study, tmp_path):
    path = tmp_path / "dem.tif"
    values = np.random.default_rng(1).integers(50, 200, (200, 800)).astype(np.int16)
    write_raster(path, values, 24.0, 55.1, 0.0005, crs=None)
    assert "has no CRS" in list_of(make_study({"elevation": (path, {})}), "elevation")[1][0]
    write_raster(path, values, 24.0, 55.1, 0.0005)
    path.write_bytes(path.read_bytes()[:100_000])
    faults = list_of(make_study({"elevation": (path, {})}), "elevation")[1]
    assert "cannot be read" in faults[0]
    assert "fetch the file again" in faults[0]


def test_undeclared_nodata_of_every_layer_is_named(make_study, tmp_path):
    path = tmp_path / "r.tif"
    for layer, values, words in (
        ("elevation", np.full((20, 80), 90, np.float32), "set the nodata value"),
        ("population", np.full((20, 80), 3, np.float32), "set the nodata value"),
        ("landcover", np.full((20, 80), 1, np.uint8), "'255'"),
    ):
        values[2, 3] = 255 if layer == "landcover" else -99999
        write_raster(path, values, 24.0, 55.1, 0.005)
        study = make_study({layer: (path, {})}, classes="landcover,1,grass\n")
        faults = list_of(study, layer)[1]
        assert len(faults) == 1
        assert words in faults[0]
        write_raster(path, values, 24.0, 55.1, 0.005, nodata=255 if layer == "landcover" else -99999)
        assert list_of(make_study({layer: (path, {})}, classes="landcover,1,grass\n"), layer)[1] == []


def test_rasters_of_one_layer_may_have_different_crs(make_study, tmp_path):
    values = np.full((40, 80), 120, np.int16)
    write_raster(tmp_path / "a.tif", values, 23.95, 55.15, 0.005)
    west, _, _, north = frame([shapely.box(24.3, 54.95, 24.5, 55.15)]).to_crs(3346).total_bounds
    write_raster(tmp_path / "b.tif", np.full((400, 300), 150, np.int16), west, north, 60.0, crs="EPSG:3346")
    study = list_tiles(make_study(), [tmp_path / "a.tif", tmp_path / "b.tif"])
    mesh = build_mesh(study)
    assert np.allclose(mesh.elevation_m[mesh.lon < 24.3], 120, atol=1)
    assert not any("unknown" in note for note in mesh.assumptions)
