"""The whole build: determinism, sizes, borders, gaps, lakes, fronts."""

from __future__ import annotations

import dataclasses
import re

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from abatis.ground import build
from abatis.ground.build import build_mesh, predict_size
from abatis.ground.fronts import find_front_cells, find_objective_cell
from abatis.ground.tiling import squares
from abatis.model.errors import InputError, SizeError
from abatis.model.mesh import read_mesh, write_mesh

LAKE = gpd.GeoDataFrame(geometry=[shapely.box(24.04, 55.02, 24.09, 55.08)], crs="EPSG:4326")


def test_same_study_same_bytes(make_study, tmp_path):
    road = gpd.GeoDataFrame(
        {"class": ["main", "local"], "name": ["A1", "B2"]},
        geometry=[
            shapely.LineString([(24.02, 55.02), (24.3, 55.08)]),
            shapely.LineString([(24.02, 55.08), (24.3, 55.02)]),
        ],
        crs="EPSG:4326",
    )
    layers = {"water": (LAKE, {}), "roads": (road, {"class_column": "class", "name_column": "name"})}
    texts = []
    for _ in range(2):
        write_mesh(build_mesh(make_study(layers)), tmp_path / "out")
        texts.append([(tmp_path / "out" / "mesh" / f"{n}.parquet").read_bytes() for n in ("cells", "edges")])
    assert texts[0] == texts[1]
    mesh = read_mesh(tmp_path / "out")
    assert mesh.road_names == ("A1", "B2")


def test_tiles_do_not_change_the_mesh(make_study, monkeypatch):
    study = make_study({"water": (LAKE, {})})
    whole = build_mesh(study)
    monkeypatch.setattr(squares, "TILE_SIDE", 128)
    tiled = build_mesh(study)
    for field in dataclasses.fields(whole):
        one, other = getattr(whole, field.name), getattr(tiled, field.name)
        same = np.array_equal(one, other, equal_nan=getattr(one, "dtype", None) == np.float32)
        assert same, field.name


def test_strip_border_and_countries(make_study):
    mesh = build_mesh(make_study())
    assert mesh.country_codes == ("H", "X")
    assert mesh.lon.min() > 24.0
    assert 24.2 + 3.5 / 64 < mesh.lon.max() < 24.2 + 4.0 / 63.9
    home = mesh.mask_countries(("H",))
    assert np.all(mesh.border_km[~home] == 0)
    expected = (24.2 - mesh.lon[home]) * 63.9
    assert np.allclose(mesh.border_km[home], np.maximum(expected, 0), atol=0.12)
    size = predict_size(make_study())
    assert size.cells == pytest.approx(mesh.cell_count, rel=0.05)
    assert size.edges == pytest.approx(mesh.edge_count, rel=0.15)


def test_too_large_is_refused_with_a_remedy(make_study, monkeypatch):
    monkeypatch.setattr(build, "MOST_CELLS", 10)
    with pytest.raises(SizeError, match="lower resolution or strip_km"):
        build_mesh(make_study())


def test_a_lake_closes_its_edges(make_study):
    mesh = build_mesh(make_study({"water": (LAKE, {})}))
    wet = mesh.cover[:, -1] == 1
    assert wet.any()
    both = wet[mesh.edge_a] & wet[mesh.edge_b]
    assert np.all(mesh.gap_m[both] == 0)
    dry = mesh.cover[:, -1] == 0
    open_edges = dry[mesh.edge_a] & dry[mesh.edge_b]
    assert np.allclose(mesh.gap_m[open_edges], mesh.length_m[open_edges])
    assert np.all(mesh.gap_m <= mesh.length_m * 1.000001)


def test_water_polygons_cannot_be_crossed_inside_a_cell(make_study):
    """A strip of water 150 m wide from rim to rim: no way across, though most boundaries are dry."""
    strip = shapely.LineString([(23.9, 55.03), (24.1, 55.055), (24.5, 55.05)]).buffer(0.0012)
    water = gpd.GeoDataFrame(geometry=[strip], crs="EPSG:4326")
    study = make_study({"water": (water, {})})
    mesh = build_mesh(study)
    line = shapely.LineString([(23.9, 55.03), (24.1, 55.055), (24.5, 55.05)])
    below = np.interp(mesh.lon, *np.array(line.coords).T) > mesh.lat
    open_edges = mesh.gap_m > 0
    graph = csr_matrix(
        (np.ones(open_edges.sum()), (mesh.edge_a[open_edges], mesh.edge_b[open_edges])),
        shape=(mesh.cell_count,) * 2,
    )
    part = connected_components(graph, directed=False)[1]
    north, south = part[np.argmax(mesh.lat)], part[np.argmin(mesh.lat)]
    assert north != south
    dry = shapely.distance(shapely.points(mesh.lon, mesh.lat), strip) > 0.004
    assert (part[dry & ~below] == north).mean() > 0.95
    assert (part[dry & below] == south).mean() > 0.95


def test_a_pond_closes_nothing(make_study):
    pond = gpd.GeoDataFrame(geometry=[shapely.Point(24.1, 55.05).buffer(0.0015)], crs="EPSG:4326")
    mesh = build_mesh(make_study({"water": (pond, {})}))
    assert (mesh.cover[:, -1] > 0).any()
    assert (mesh.gap_m > 0).all()


def test_predicted_size_grows_with_cells_and_pixels(make_study):
    study = make_study()
    base = predict_size(study)
    fine = predict_size(dataclasses.replace(study, resolution=study.resolution + 1))
    sharp = predict_size(dataclasses.replace(study, pixel_m=study.pixel_m / 4))
    assert fine.cells == pytest.approx(7 * base.cells, rel=0.02)
    assert fine.minutes > base.minutes
    assert fine.memory_mib > base.memory_mib
    assert sharp.cells == base.cells
    assert sharp.minutes > base.minutes


def test_objective_in_a_lake_or_outside(make_study):
    places = (
        "place,name,lon,lat,population,kind,country,source,tag\n"
        "town,Town,24.15,55.05,10,town,H,s,G\nlake,Lake town,24.065,55.05,10,town,H,s,G\n"
        "away,Far town,25.5,55.05,10,town,H,s,G\n"
    )
    study = make_study({"water": (LAKE, {})}, places=places)
    mesh = build_mesh(study)
    assert mesh.lon[find_objective_cell(study, mesh, "town")] == pytest.approx(24.15, abs=0.01)
    with pytest.raises(InputError, match=r"'lake' \(Lake town\) cannot be driven to"):
        find_objective_cell(study, mesh, "lake")
    with pytest.raises(InputError, match="outside the mesh"):
        find_objective_cell(study, mesh, "away")


def test_front_cells_touch_home_within_limits(make_study):
    study = make_study()
    mesh = build_mesh(study)
    cells = find_front_cells(study, mesh, "east")
    home = mesh.mask_countries(("H",))
    assert cells.size
    assert not home[cells].any()
    assert all(home[row[row >= 0]].any() for row in mesh.neighbor[cells])
    fronts = study.tables["fronts"].copy()
    fronts["south"] = 55.05
    north = dataclasses.replace(study, tables={**study.tables, "fronts": fronts})
    assert set(find_front_cells(north, mesh, "east")) == set(cells[mesh.lat[cells] >= 55.05])
    fronts["south"] = 60.0
    with pytest.raises(InputError, match="front 'east' lies outside the mesh"):
        find_front_cells(north, mesh, "east")


def test_missing_layers_are_said(make_study):
    notes = " / ".join(build_mesh(make_study()).assumptions)
    for word in ("no elevation", "no soil", "no rivers", "no roads", "no protected", "no lakes"):
        assert word in notes


def test_progress_rises_to_one(make_study):
    told = []
    build_mesh(make_study(), lambda stage, share: told.append(share))
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_ground_beyond_the_layers_is_said(make_study):
    """Land cover over the west half; the mesh also reaches past borders that end in the middle of a cell."""
    field = gpd.GeoDataFrame(
        {"class": ["cropland"]}, geometry=[shapely.box(23.9, 54.9, 24.1, 55.2)], crs="EPSG:4326"
    )
    mesh = build_mesh(make_study({"landcover_areas": (field, {"class_column": "class"})}))
    unknown = read_percent(mesh, "cover of")
    inside = mesh.lon > 24.1
    assert unknown == pytest.approx(100 * inside.sum() / mesh.cell_count, abs=4)
    stateless = read_percent(mesh, "outside all borders")
    assert 0.5 < stateless < 15
    whole = build_mesh(make_study({"water": (LAKE, {})}))
    assert not any("cover of" in note for note in whole.assumptions)
    assert not any("outside all borders" in note for note in whole.assumptions)


def test_relief_that_ends_early_is_said(make_study, tmp_path):
    path = tmp_path / "half.tif"
    heights = np.full((1, 400, 200), 100, np.float32)
    place = rasterio.transform.from_bounds(23.9, 54.9, 24.1, 55.2, 200, 400)
    with rasterio.open(
        path, "w", driver="GTiff", width=200, height=400, count=1, dtype="float32", crs="EPSG:4326",
        transform=place,
    ) as file:  # fmt: skip
        file.write(heights)
    mesh = build_mesh(make_study({"elevation": (str(path), {})}))
    beyond = (mesh.lon > 24.1).sum() / mesh.cell_count
    assert read_percent(mesh, "elevation of") == pytest.approx(100 * beyond, abs=4)
    assert np.isnan(mesh.elevation_m[mesh.lon > 24.12]).all()
    assert (mesh.elevation_m[mesh.lon < 24.08] == 100).all()


def read_percent(mesh, words: str) -> float:
    (note,) = [note for note in mesh.assumptions if words in note]
    return float(re.search(r"([\d.]+) %", note)[1])
