"""Emission notices: the register, what it refuses, and what civil life an area touches."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

import h3.api.basic_int as h3_int
import h3.api.numpy_int as h3_numpy
import numpy as np
import pandas as pd
import pytest
import shapely

from abatis.ground.hexgrid import build_hexgrid, find_neighbors, number_edges
from abatis.model.errors import InputError
from abatis.model.facilities import Facilities
from abatis.model.mesh import Mesh, freeze_mesh
from abatis.model.words import COVER_WORDS, FACILITY_WORDS, SLOPE_WORDS, SOIL_WORDS
from abatis.watch.notice_effects import assess_notice, find_cell_shares, sum_ways
from abatis.watch.notices import Notice, find_overlaps, measure_area_km2, read_notices

HEADER = "notice,name,area,starts,ends,kind,author,reason,source,tag"
BOX = "POLYGON ((25 55, 25.2 55, 25.2 55.1, 25 55.1, 25 55))"


def write_rows(folder, *rows: str, header: str = HEADER):
    path = folder / "notices.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def make_row(key="n1", area=BOX, starts="2026-05-01", ends="2026-05-03", kind="exercise", **other) -> str:
    author, reason = other.get("author", "army staff"), other.get("reason", "yearly exercise")
    return f'{key},Exercise {key},"{area}",{starts},{ends},{kind},{author},{reason},test,G'


def list_faults(path) -> list[tuple[int | None, str, str]]:
    with pytest.raises(InputError) as caught:
        read_notices(None, path)
    return [(fault.row, fault.column, fault.problem) for fault in caught.value.faults]


def make_notice(outline, key="n1", starts="2026-05-01T00:00", ends="2026-05-02T00:00") -> Notice:
    moments = (datetime.fromisoformat(one) for one in (starts, ends))
    return Notice(key, "Exercise", outline, *moments, "exercise", "army staff", "training", "test", "G")


class TestRegister:
    def test_reads_a_table(self, tmp_path):
        path = write_rows(
            tmp_path, make_row(), make_row("n2", starts="2026-05-02T08:30", ends="2026-05-02T09:00")
        )
        first, second = read_notices(None, path)
        assert (first.key, first.kind, first.author) == ("n1", "exercise", "army staff")
        assert first.starts == datetime(2026, 5, 1)
        assert first.ends > datetime(2026, 5, 3, 23, 59)
        assert second.starts == datetime(2026, 5, 2, 8, 30)
        assert first.outline.equals(shapely.box(25, 55, 25.2, 55.1))
        # By hand: 0.2 degrees east are 12.8 km, 0.1 north 11.1 km.
        assert first.area_km2 == pytest.approx(12.8 * 11.1, rel=0.01)

    def test_outline_from_a_file(self, tmp_path):
        shape = {
            "type": "Feature",
            "properties": {},
            "geometry": json.loads(shapely.to_geojson(shapely.box(25, 55, 26, 56))),
        }
        (tmp_path / "area.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [shape]}))
        found = read_notices(None, write_rows(tmp_path, make_row(area="area.geojson")))[0]
        assert found.outline.area == pytest.approx(1.0)

    def test_geojson_with_properties(self, tmp_path):
        names = HEADER.split(",")
        values = [
            "n1",
            "Exercise",
            None,
            "2026-05-01",
            "2026-05-02",
            "trial",
            "army staff",
            "test of nets",
            "test",
            "G",
        ]
        properties = {name: value for name, value in zip(names, values, strict=True) if name != "area"}
        geometry = json.loads(shapely.to_geojson(shapely.box(25.123456789, 55, 26, 56)))
        feature = {"type": "Feature", "properties": properties, "geometry": geometry}
        content = {"type": "FeatureCollection", "features": [feature]}
        path = tmp_path / "notices.geojson"
        path.write_text(json.dumps(content), encoding="utf-8")
        assert read_notices(None, path)[0].outline.bounds[0] == pytest.approx(25.123456789, abs=1e-9)
        content["features"][0]["properties"]["EIRP dBm"] = 40
        content["features"][0]["properties"]["starts"] = "2026-06-01"
        path.write_text(json.dumps(content), encoding="utf-8")
        found = list_faults(path)
        assert [(row, column) for row, column, _ in found] == [(None, "EIRP dBm"), (1, "ends")]

    @pytest.mark.parametrize(
        "column",
        ["power_w", "Power", "frequency_mhz", "centreFrequency", "waveform", "bandwidth", "pulse_width",
         "jammer", "antenna_gain", "modulation", "erp", "beam_azimuth", "signal", "W", "spoofing", "dBm"],
    )  # fmt: skip
    def test_parameters_of_emitters_are_refused_with_the_reason(self, tmp_path, column):
        path = write_rows(tmp_path, make_row() + ",5", header=f"{HEADER},{column}")
        (fault,) = list_faults(path)
        assert fault[:2] == (1, column)
        assert "no parameters of emitters" in fault[2]

    def test_parameters_in_words_are_refused(self, tmp_path):
        path = write_rows(tmp_path, make_row(kind="test at 1575.42 MHz"), make_row("n2", reason="about 50 W"))
        assert [(row, column) for row, column, _ in list_faults(path)] == [(2, "kind"), (3, "reason")]

    def test_plain_numbers_and_words_are_not_refused(self, tmp_path):
        path = write_rows(tmp_path, make_row(kind="exercise 2026", reason="3 weeks of Watch 2026"))
        assert len(read_notices(None, path)) == 1

    def test_all_faults_at_once(self, tmp_path):
        path = write_rows(
            tmp_path,
            make_row(starts="2026-05-04") + ",x",
            make_row(area="POLYGON ((25 55, 26 56, 26 55, 25 56, 25 55))") + ",x",
            make_row("n3", area="POINT (25 55)", starts="2026-02-30") + ",x",
            make_row("n4", area="POLYGON ((250 55, 260 55, 260 56, 250 55))", author="ona@army.lt") + ",x",
            make_row("n5", area="lost.geojson") + ",x",
            make_row("n6", area="") + ",x",
            header=f"{HEADER},colour",
        )
        found = list_faults(path)
        assert [(row, column) for row, column, _ in found] == [
            (1, "colour"), (7, "area"), (3, "notice"), (2, "ends"), (3, "area"), (4, "starts"), (4, "area"),
            (5, "author"), (5, "area"), (6, "area"),
        ]  # fmt: skip
        assert "Self-intersection" in found[4][2]
        assert "does not exist" in found[-1][2]

    @pytest.mark.parametrize(
        "content",
        ["no json", "[]", '{"features": 3}', '{"features": [{"properties": null}]}',
         '{"features": [{"properties": {}, "geometry": {"type": "Polygon", "coordinates": [[1]]}}]}'],
    )  # fmt: skip
    def test_damaged_geojson_is_named(self, tmp_path, content):
        path = tmp_path / "n.geojson"
        path.write_text(content, encoding="utf-8")
        with pytest.raises(InputError, match=r"n\.geojson: cannot be read"):
            read_notices(None, path)
        with pytest.raises(InputError, match="does not exist"):
            read_notices(None, tmp_path / "lost.geojson")

    def test_overlaps_need_ground_and_time(self):
        first = make_notice(shapely.box(25, 55, 25.2, 55.2), "a")
        second = make_notice(shapely.box(25.1, 55.1, 25.3, 55.3), "b", "2026-05-01T12:00", "2026-05-03T00:00")
        beside = make_notice(shapely.box(25.2, 55.0, 25.4, 55.1), "c")
        later = make_notice(shapely.box(25, 55, 25.2, 55.2), "d", "2026-05-02T00:00", "2026-05-02T12:00")
        found = {(one.first, one.second): one for one in find_overlaps([first, second, beside, later])}
        # b touches c only in a corner (0.1 x 0 degrees), a and d meet in time only at a moment.
        assert set(found) == {("a", "b"), ("b", "d")}
        one = found["a", "b"]
        assert one.area_km2 == pytest.approx(measure_area_km2(shapely.box(25.1, 55.1, 25.2, 55.2)))
        assert (one.starts, one.ends) == (datetime(2026, 5, 1, 12), datetime(2026, 5, 2))


@pytest.fixture(scope="module")
def mesh() -> Mesh:
    """A disc of real cells around 24 E 55 N, 100 people and half cropland each, a road along every edge."""
    cells = np.sort(h3_numpy.grid_disk(h3_int.latlng_to_cell(55.0, 24.0, 8), 10))
    grid = build_hexgrid(cells)
    neighbor = find_neighbors(grid)
    edge, edge_a, edge_b = number_edges(neighbor)
    n, e = len(cells), len(edge_a)
    zero_n, zero_e = np.zeros(n, np.float32), np.zeros(e, np.float32)
    none = np.full(e, -1, np.int32)
    cover = np.zeros((n, len(COVER_WORDS)), np.float32)
    cover[:, COVER_WORDS.index("cropland")] = 0.5
    area = np.array([h3_int.cell_area(int(cell), "km^2") for cell in grid.cells])
    return freeze_mesh(
        Mesh(
            cells=grid.cells, lon=grid.lon, lat=grid.lat, country=(grid.lon > 24.0).astype(np.int8),
            area_km2=area, cover=cover, slope=np.zeros((n, len(SLOPE_WORDS)), np.float32),
            soil=np.zeros((n, len(SOIL_WORDS)), np.float32), elevation_m=zero_n,
            population=np.full(n, 100, np.float32), protected=zero_n, border_km=zero_n,
            clay_percent=zero_n, neighbor=neighbor, edge=edge, edge_a=edge_a, edge_b=edge_b, length_m=zero_e,
            distance_m=zero_e + 900, gap_m=zero_e, road_class=none.astype(np.int8) * 0, road_m=zero_e + 900,
            surface=none.astype(np.int8), structure=none.astype(np.int8), max_weight_t=zero_e,
            bridge_m=zero_e, river_m=zero_e, road_name=none, bridge_name=none,
            country_codes=("LT", "LV"), road_names=(),
            bridge_names=(), assumptions=(), study_hash="",
        )
    )  # fmt: skip


def make_places(*rows) -> pd.DataFrame:
    columns = ["place", "name", "lon", "lat", "population", "kind", "country", "source", "tag"]
    return pd.DataFrame([(*row, "LT", "test", "G") for row in rows], columns=columns)


def make_facilities(*rows) -> Facilities:
    kinds = np.array([FACILITY_WORDS.index(row[0]) for row in rows], np.int8)
    lon, lat = (np.array([row[k] for row in rows], float) for k in (2, 3))
    names, sources = tuple(row[1] for row in rows), tuple("test" for _ in rows)
    return Facilities(kinds, names, sources, lon, lat, np.zeros(len(rows), np.int32))


class TestEffects:
    def test_shares_are_those_of_areas(self, mesh):
        """Any outline inside the mesh: the shares give back its area, cell by cell as polygons say."""
        outline = shapely.Point(24.0, 55.0).buffer(0.05)
        shares = find_cell_shares(mesh, outline)
        # Areas of H3 are on a sphere, that of the outline on the ellipsoid: some 0.3 % apart.
        assert (shares * mesh.area_km2).sum() == pytest.approx(measure_area_km2(outline), rel=0.006)
        assert {0.0, 1.0} < set(np.round(shares, 12))
        for row in np.flatnonzero((shares > 0) & (shares < 1))[:20]:
            corners = [(lon, lat) for lat, lon in h3_int.cell_to_boundary(int(mesh.cells[row]))]
            hexagon = shapely.Polygon(corners)
            assert shares[row] == pytest.approx(hexagon.intersection(outline).area / hexagon.area, abs=1e-6)

    def test_small_outline_in_one_cell(self, mesh):
        row = int(np.argmin(np.hypot(mesh.lon - 24.0, mesh.lat - 55.0)))
        outline = shapely.Point(mesh.lon[row], mesh.lat[row]).buffer(1e-4)
        shares = find_cell_shares(mesh, outline)
        assert np.flatnonzero(shares).tolist() == [row]
        effect = assess_notice(mesh, Facilities.empty(), make_places(), make_notice(outline))
        assert effect.people == pytest.approx(100 * shares[row])
        assert effect.covered_share == pytest.approx(1.0, abs=0.01)

    def test_people_and_cropland_by_country(self, mesh):
        outline = shapely.box(23.0, 54.0, 25.0, 56.0)
        effect = assess_notice(mesh, Facilities.empty(), make_places(), make_notice(outline))
        by_code = {one.country: one for one in effect.countries}
        assert effect.people == pytest.approx(100 * mesh.cell_count)
        assert by_code["LT"].people == pytest.approx(100 * (mesh.country == 0).sum())
        assert by_code["LV"].cropland_ha == pytest.approx(50 * mesh.area_km2[mesh.country == 1].sum())
        assert effect.cropland_ha == pytest.approx(50 * mesh.area_km2.sum())
        assert any("outside the ground of the study" in note for note in effect.notes)
        assert any("no airports" in note for note in effect.notes)
        assert effect.ways is None

    def test_facilities_inside_and_near_each_once(self, mesh):
        outline = shapely.box(23.9, 54.9, 24.1, 55.1)
        facilities = make_facilities(
            ("airport", "A field", 24.0, 55.0), ("hospital", "H", 24.12, 55.0), ("school", "S", 24.0, 55.0),
            ("port", "Far port", 24.5, 55.0),
        )  # fmt: skip
        places = make_places(
            ("air", "The same field", 24.01, 55.0, 0, "airport"), ("p", "Port", 24.0, 55.05, 0, "port"),
            ("t", "Town", 24.0, 55.0, 500, "town"),
        )  # fmt: skip
        effect = assess_notice(mesh, facilities, places, make_notice(outline))
        assert [(one.kind, one.name, one.inside) for one in effect.touched] == [
            ("airport", "A field", True), ("port", "Port", True), ("hospital", "H", False),
        ]  # fmt: skip
        # 0.02 degrees of longitude at 55 N are 1.28 km.
        assert effect.touched[2].distance_km == pytest.approx(1.28, abs=0.01)
        assert [effect.count(kind) for kind in ("airport", "port", "hospital")] == [1, 1, 0]

    def test_ways_to_hospital(self, mesh):
        """A hospital in the east, the area in the middle: the western town's way leads through it."""
        facilities = make_facilities(("hospital", "H", 24.08, 55.0))
        places = make_places(
            ("w", "West", 23.92, 55.0, 700, "town"), ("e", "East", 24.05, 55.0, 300, "village"),
            ("far", "Far", 26.0, 55.0, 50, "village"), ("a", "Field", 23.92, 55.0, 0, "airport"),
        )  # fmt: skip
        middle = shapely.box(23.99, 54.0, 24.01, 56.0)
        road_h = np.full(mesh.edge_count, 0.01)
        effect = assess_notice(mesh, facilities, places, make_notice(middle), road_h)
        assert [(one.name, one.population) for one in effect.ways] == [("West", 700.0)]
        assert effect.without_way == ("Far",)
        assert sum_ways(effect) == 700.0
        # Around 18 steps of about 0.57 km east each; with cut roads in the middle there is no way at all.
        assert 0.08 < effect.ways[0].hours < 0.25
        cut = road_h.copy()
        crossing = (mesh.lon[mesh.edge_a] > 24.0) != (mesh.lon[mesh.edge_b] > 24.0)
        cut[crossing] = np.inf
        lost = assess_notice(mesh, facilities, places, make_notice(middle), cut)
        assert lost.ways == ()
        assert lost.without_way == ("West", "Far")
        none = assess_notice(mesh, Facilities.empty(), places, make_notice(middle), road_h)
        assert none.ways is None
        assert sum_ways(none) is None
        assert any("no hospitals" in note for note in none.notes)

    def test_outside_the_mesh(self, mesh):
        effect = assess_notice(
            mesh, Facilities.empty(), make_places(), make_notice(shapely.box(10, 50, 11, 51))
        )
        assert (effect.people, effect.countries, effect.covered_share) == (0.0, (), 0.0)
        assert any("100% of the area" in note for note in effect.notes)

    def test_people_scale_with_the_mesh(self, mesh):
        double = replace(mesh, population=mesh.population * 2)
        notice = make_notice(shapely.Point(24.0, 55.0).buffer(0.03))
        counts = [
            assess_notice(one, Facilities.empty(), make_places(), notice).people for one in (mesh, double)
        ]
        assert counts[1] == pytest.approx(2 * counts[0])
