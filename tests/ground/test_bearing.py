"""Bearing and soil strength by hand: who passes which ground in which season."""

from __future__ import annotations

import math

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely

from abatis.ground.bearing import (
    LARGE_MOBILITY_INDEX,
    compute_cone_index,
    compute_slowdown,
    compute_soil_strength,
    find_ground_factor,
    find_soil_row,
)
from abatis.ground.build import build_mesh
from abatis.ground.speeds import (
    compute_cell_speeds,
    compute_edge_times,
    find_cover_factors,
    find_passable,
    find_soil_factors,
)
from abatis.model.errors import InputError
from abatis.model.mesh import read_mesh, write_mesh
from abatis.model.study import read_study
from abatis.model.words import COVER_WORDS, SOIL_WORDS

KG_PER_CM2_KPA = 98.0665
SOIL_HEADER = (
    "ground,season,bearing_low_kpa,bearing_kpa,bearing_high_kpa,"
    "moisture_low_percent,moisture_percent,moisture_high_percent,clay_percent,full_ratio,source,tag\n"
)
PEAT = (
    "peat,dry,80,98,115,,,,,2,s,F\npeat,mud,15,24.5,40,,,,,2,s,F\npeat,thaw,15,24.5,40,,,,,2,s,F\n"
    "peat,frozen,300,500,800,,,,,2,s,G\n"
)
CLAY = "clay,any,,,,25,30,40,30,2,s,G\n"
VEHICLES = (
    "vehicle,name,ground_pressure_kpa,cone_index,mobility_index,tyre_deflection_share,source,tag\n"
    "tracked,Tank,87,25,,,s,F-\ncarrier,Carrier,17,,,,s,F-\ntruck,Truck,,,60,0.15,s,G\nother,Other,,,,,s,G\n"
)
GROUND = [shapely.box(23.9, 54.9, 24.15, 55.2), shapely.box(24.15, 54.9, 24.5, 55.2)]


@pytest.fixture
def make_soft_study(make_study):
    """Peat west of 24.15 E, clay east of it; tables soils and vehicles as given."""

    def make(soils=PEAT + CLAY, vehicles=VEHICLES, layers=None):
        soil = gpd.GeoDataFrame({"soil": ["peat", "clay"]}, geometry=GROUND, crs="EPSG:4326")
        study = make_study({"soil": (soil, {"class_column": "soil"}), **(layers or {})})
        (study.folder / "tables" / "soils.csv").write_text(SOIL_HEADER + soils)
        (study.folder / "tables" / "vehicles.csv").write_text(vehicles)
        return read_study(study.folder)

    return make


def test_soil_strength_by_hand():
    """ln RCI = 4.605 + (2.123 + 0.008 x 30 - 0.693 ln 40) / (0.149 + 0.06) = 3.680."""
    by_hand = math.exp(4.605 + (2.123 + 0.24 - 0.693 * math.log(40)) / 0.209)
    assert compute_soil_strength(40, np.array([30.0]))[0] == pytest.approx(by_hand)
    strength = [compute_soil_strength(m, np.array([5.0, 20.0, 50.0])) for m in (15, 20, 30, 40)]
    assert np.all(np.diff(strength, axis=0) < 0)
    # Wet clay keeps strength that wet sandy soil has lost.
    assert np.all(np.diff(strength[2]) > 0)


def test_cone_index_joins_at_its_seam_and_soft_tyres_need_less():
    below, above = (compute_cone_index(LARGE_MOBILITY_INDEX + step, 0.15) for step in (0, 1e-6))
    assert below == pytest.approx(above, rel=0.005)
    assert below == pytest.approx(11.48 + 23 - 39.2 / 118.74)
    assert compute_cone_index(60, 0.3) == pytest.approx(compute_cone_index(60, 0.15) * 0.5**0.25)


def test_peat_flips_tanks_but_not_light_carriers_and_not_in_frost(make_soft_study):
    study = make_soft_study()
    clay = np.array([np.nan])

    def factor(vehicle, season, level="mode"):
        return float(find_ground_factor(study, vehicle, season, "peat", clay, level)[0])

    assert factor("tracked", "dry") == pytest.approx(98 / 87 - 1)
    assert factor("tracked", "dry", "low") == 0
    assert factor("tracked", "dry", "high") == pytest.approx(115 / 87 - 1)
    for season in ("mud", "thaw"):
        assert factor("tracked", season) == factor("tracked", season, "high") == 0
        assert factor("carrier", season) == pytest.approx(24.5 / 17 - 1)
    assert factor("tracked", "frozen") == factor("carrier", "dry") == 1
    assert find_ground_factor(study, "other", "thaw", "peat", clay) is None
    assert find_ground_factor(study, "tracked", "thaw", "sand", clay) is None
    assert find_soil_row(study, "clay", "thaw")["moisture_percent"] == 30


def test_clay_passes_by_its_strength_in_each_cell(make_soft_study):
    study = make_soft_study()
    own = np.array([np.nan, 30.0, 10.0])
    factor = find_ground_factor(study, "tracked", "mud", "clay", own)
    by_hand = compute_slowdown(compute_soil_strength(30, np.array([30.0, 30.0, 10.0])), 25.0, 2.0)
    assert np.allclose(factor, by_hand)
    assert factor[2] < factor[1]
    # The pessimistic value is the wettest state.
    low, high = (find_ground_factor(study, "tracked", "mud", "clay", own, one) for one in ("low", "high"))
    assert np.all(low <= factor)
    assert np.all(factor <= high)
    assert low[2] == 0
    truck = find_ground_factor(study, "truck", "mud", "clay", own)
    need = compute_cone_index(60, 0.15)
    assert truck[1] == pytest.approx(min(1, compute_soil_strength(30, np.array([30.0]))[0] / need - 1))


def test_thaw_closes_peat_all_through(make_soft_study):
    """Speeds, edge times and the words of the mesh: the same ground is open dry and closed in the thaw."""
    study = make_soft_study()
    mesh = build_mesh(study)
    peat = mesh.soil[:, SOIL_WORDS.index("peat")] == 1
    clay = mesh.soil[:, SOIL_WORDS.index("clay")] == 1
    assert peat.any()
    assert clay.any()
    dry, thaw, frozen = (
        compute_cell_speeds(study, mesh, "tracked", one) for one in ("dry", "thaw", "frozen")
    )
    assert np.allclose(dry[peat], 30 * 0.6 * (98 / 87 - 1))
    assert np.all(thaw[peat] == 0)
    assert np.allclose(frozen[peat], 30 * 0.6)
    strong = compute_soil_strength(30, np.array([30.0]))
    assert np.allclose(thaw[clay], 30 * 0.6 * compute_slowdown(strong, 25.0, 2.0))
    inside = peat[mesh.edge_a] & peat[mesh.edge_b]
    assert np.all(np.isinf(compute_edge_times(study, mesh, "tracked", "thaw").open_h[inside]))
    assert np.all(np.isfinite(compute_edge_times(study, mesh, "tracked", "dry").open_h[inside]))
    # Without a number for the vehicle the table of speeds stands (soil factor 1 in this study).
    assert find_soil_factors(study, mesh, "other", "thaw").tolist() == [1, 1, 1, 1]
    told = [note for note in mesh.assumptions if note.startswith(("peat (dry)", "clay (dry)"))]
    assert told[0] == (
        "clay (dry) with 30 (25 to 40) % moisture and 30 % clay against a soil strength of 25 (RCI) of "
        "tracked: factor 1.00, 0.59 to 1.00 over the range (G)"
    )
    assert told[1] == (
        "peat (dry) with 98 (80 to 115) kPa against 87 kPa of tracked: factor 0.13, 0.00 to 0.32 over the "
        "range (F-)"
    )


def test_missing_numbers_are_said(make_soft_study):
    study = make_soft_study(vehicles="vehicle,name,source,tag\ntracked,Tank,s,G\n")
    mesh = build_mesh(study)
    assert "tracked has no ground_pressure_kpa in tables/vehicles.csv: on peat (dry)" in "\n".join(
        mesh.assumptions
    )
    assert "tracked has no cone_index" in "\n".join(mesh.assumptions)
    plain = compute_cell_speeds(study, mesh, "tracked", "thaw")
    assert np.allclose(plain, 30 * 0.6)


def test_wetland_rows_change_cover_and_what_is_passable(make_soft_study):
    wet = "wetland,dry,20,200,250,,,,,2,s,G\nwetland,thaw,15,24.5,40,,,,,2,s,F\n"
    study = make_soft_study(PEAT + wet)
    at = COVER_WORDS.index("wetland")
    assert find_cover_factors(study, "tracked", "dry")[at] == 1
    assert find_cover_factors(study, "tracked", "dry", "low")[at] == 0
    assert find_cover_factors(study, "tracked", "thaw")[at] == 0
    assert find_passable(study)[at, 0]
    assert not find_passable(make_soft_study(PEAT))[at, 0]


def write_clay(path, values, nodata=-32768):
    with rasterio.open(
        path, "w", driver="GTiff", width=values.shape[1], height=values.shape[0], count=1, dtype="int16",
        crs="EPSG:4326", transform=rasterio.Affine(0.005, 0, 24.0, 0, -0.005, 55.1), nodata=nodata,
    ) as file:  # fmt: skip
        file.write(values.astype(np.int16), 1)


def test_clay_raster_gives_each_cell_its_mean(make_soft_study, tmp_path):
    values = np.full((20, 80), 200)
    values[:, 40:] = 400
    values[:, 70:] = -32768
    write_clay(tmp_path / "clay.tif", values)
    study = make_soft_study(layers={"clay": (tmp_path / "clay.tif", {})})
    mesh = build_mesh(study)
    assert mesh.clay_percent[mesh.lon < 24.19] == pytest.approx(20)
    assert mesh.clay_percent[mesh.lon > 24.21] == pytest.approx(40)
    middle = mesh.clay_percent[(mesh.lon > 24.19) & (mesh.lon < 24.21)]
    assert np.all((middle >= 20) & (middle <= 40))
    write_mesh(mesh, tmp_path / "out")
    np.testing.assert_array_equal(read_mesh(tmp_path / "out").clay_percent, mesh.clay_percent)
    unused = build_mesh(make_soft_study(PEAT, layers={"clay": (tmp_path / "clay.tif", {})}))
    assert any("layer clay is not used" in note for note in unused.assumptions)


def test_clay_raster_in_the_wrong_unit_or_nodata(make_soft_study, tmp_path):
    write_clay(tmp_path / "clay.tif", np.full((20, 80), 25))
    told = build_mesh(make_soft_study(layers={"clay": (tmp_path / "clay.tif", {})})).assumptions
    assert any("reach only 25: read in g/kg" in note for note in told)
    values = np.full((20, 80), 250)
    values[3, 3] = -32768
    write_clay(tmp_path / "clay.tif", values, nodata=None)
    with pytest.raises(InputError, match=r"clay contents from -32768 to 250 g/kg"):
        build_mesh(make_soft_study(layers={"clay": (tmp_path / "clay.tif", {})}))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("peat,dry,,98,,,,,,2,s,F\n", "is given without its range"),
        ("peat,dry,100,98,120,,,,,2,s,F\n", "do not rise"),
        ("clay,dry,80,98,120,20,30,40,30,2,s,F\n", "stands beside a bearing"),
        ("clay,dry,,,,,,,30,2,s,F\n", "is missing, and moisture too"),
        ("clay,dry,,,,20,30,40,,2,s,F\n", "clay_percent: is missing beside moisture"),
        ("peat,dry,,,,20,30,40,30,2,s,F\n", "says nothing about peat"),
        ("moor,dry,80,98,120,,,,,2,s,F\n", "has the unknown word 'moor'"),
        ("peat,dry,80,98,120,,,,,1,s,F\n", "must be at least 1.01"),
    ],
)
def test_faults_of_the_soil_table(make_soft_study, row, words):
    with pytest.raises(InputError, match=r"tables/soils\.csv, row 2") as caught:
        make_soft_study(row)
    assert words in str(caught.value)


def test_older_meshes_are_refused_with_the_way_out(make_soft_study, tmp_path):
    import pyarrow.parquet as pq

    mesh = build_mesh(make_soft_study())
    write_mesh(mesh, tmp_path)
    path = tmp_path / "mesh" / "edges.parquet"
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["surface", "max_weight_t"]), path)
    with pytest.raises(InputError, match="older abatis and has no column max_weight_t, surface") as caught:
        read_mesh(tmp_path)
    assert "run: abatis build" in str(caught.value)
