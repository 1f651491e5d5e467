"""OpenStreetMap files: the right words and numbers, the same from every format, every fault named."""

from __future__ import annotations

import dataclasses

import geopandas as gpd
import numpy as np
import pytest
import shapely
from osm_cases import Scene, corners, draw_scene

from abatis.ground.build import build_mesh
from abatis.ground.sources import LAYER_WORDS, Area, Findings
from abatis.ground.sources import osm as osm_pass
from abatis.ground.sources.osm import OsmFiles, Want, read_osm_file
from abatis.ground.sources.osm_tags import list_layers, read_rules
from abatis.ground.sources.vectors import read_facility_layer, read_vector_layer
from abatis.ground.speeds import compute_edge_times, find_road_speeds
from abatis.model.errors import InputError
from abatis.model.mesh import read_mesh, write_mesh
from abatis.model.study import read_study
from abatis.model.words import FACILITY_WORDS, ROAD_WORDS, STRUCTURE_WORDS, TAG_MEANINGS

AREA = Area(24.0, 55.0, 24.4, 55.1)
LAYERS = ("roads", "rivers", "bridges", "water", "forest", "wetland", "built_up")


@pytest.fixture
def make_osm_study(make_study):
    """Write a scene into a study; `columns` may name a layer's keys."""

    def make(scene, layers=LAYERS, suffix=".osm.pbf", columns=None, **more):
        study = make_study({}, **more)
        path = scene.write(study.folder / "sources" / f"map{suffix}")
        rows = {layer: (path.name, (columns or {}).get(layer, {})) for layer in layers}
        return make_study(rows, **more)

    return make


def read(study, layer, files=None):
    findings = Findings()
    found = read_vector_layer(study, layer, AREA, findings, files)
    return found, [str(one) for one in findings.faults], findings.notes


def test_table_speaks_the_words_of_the_house():
    for rule in read_rules():
        assert rule.tag in TAG_MEANINGS
        assert rule.source
        words = LAYER_WORDS.get(rule.layer)
        assert words is None or rule.word in (*words, "-"), rule
    assert {rule.word for rule in read_rules() if rule.layer == "roads"} == {*ROAD_WORDS, "-"}
    assert {rule.surface for rule in read_rules() if rule.layer == "roads" and rule.word != "-"} == {
        "paved", "soft"
    }  # fmt: skip
    assert set(LAYERS) < set(list_layers())


def test_roads_have_class_surface_structure_and_weight_limit(make_osm_study):
    roads, faults, notes = read(make_osm_study(draw_scene()), "roads")
    assert faults == []
    own = {one: row for row, one in enumerate(roads.attributes["osm_id"])}
    assert "way 16" not in own
    words = {name: roads.words[row] for name, row in own.items()}
    assert words == {
        "way 10": "main", "way 11": "main", "way 12": "main", "way 13": "local", "way 14": "track",
        "way 15": "local", "way 17": "regional", "way 18": "track",
    }  # fmt: skip
    assert [roads.names[own[f"way {k}"]] for k in (10, 11, 13)] == ["A5", "A5", ""]
    assert roads.attributes["structure"][own["way 11"]] == "bridge"
    assert roads.attributes["structure"][own["way 10"]] == ""
    assert roads.attributes["max_weight_t"][own["way 11"]] == 12.0
    assert np.isnan(roads.attributes["max_weight_t"][own["way 14"]])
    assert roads.attributes["width_m"][own["way 18"]] == 3.5
    kinds = zip(roads.attributes["surface"], roads.attributes["surface_tag"], strict=True)
    assert dict(zip(own, kinds, strict=True)) == {
        "way 10": ("paved", "F"), "way 11": ("paved", "G"), "way 12": ("paved", "G"),
        "way 13": ("paved", "G"), "way 14": ("soft", "G"), "way 15": ("paved", "G"),
        "way 17": ("paved", "G"), "way 18": ("soft", "F"),
    }  # fmt: skip
    assert any("surface of 6 of 8 roads" in note for note in notes)
    assert any("1 roads of map.osm.pbf have no class (way 15): taken as local (G)" in note for note in notes)
    assert any("way 14 'heavy'" in note for note in notes)


def test_rivers_have_width_from_tag_water_or_kind(make_osm_study):
    rivers, faults, notes = read(make_osm_study(draw_scene()), "rivers")
    assert faults == []
    assert rivers.words.tolist() == ["river", "ditch", "stream"]
    assert rivers.names.tolist() == ["Grand", "", ""]
    assert rivers.attributes["width_tag"].tolist() == ["D", "G", "F"]
    # 0.001 degrees of longitude at 55.05 N: 111.32 km x cos(55.05) / 1000 = 63.8 m (63.9 on the spheroid).
    assert rivers.values[0] == pytest.approx(63.9, rel=0.01)
    assert rivers.values[1:].tolist() == [3.0, 7.0]
    assert any("1 of 3 rivers and ditches" in note and "ditch 3 (G)" in note for note in notes)


def test_areas_keep_islands_and_bridges_need_water(make_osm_study):
    study = make_osm_study(draw_scene())
    water = read(study, "water")[0]
    lake = water.geometry[water.names.tolist().index("Ring Lake")]
    ring = shapely.box(24.02, 55.06, 24.04, 55.08) - shapely.box(24.028, 55.068, 24.032, 55.072)
    assert shapely.symmetric_difference(lake, ring).area < 1e-12
    assert read(study, "forest")[0].words.tolist() == ["open_forest"]
    assert read(study, "wetland")[0].geometry[0].equals(shapely.box(24.25, 55.07, 24.27, 55.09))
    assert read(study, "built_up")[0].count == 1
    bridges = read(study, "bridges")[0]
    assert bridges.names.tolist() == ["Old bridge"]
    assert (bridges.geometry[0].x, bridges.geometry[0].y) == pytest.approx((24.1, 55.05))
    assert bridges.values[0] == pytest.approx(4 * 63.9, rel=0.01)


def test_facilities_are_points_without_doubles(make_osm_study):
    study = make_osm_study(draw_scene())
    findings = Findings()
    found = read_facility_layer(study, AREA, findings)
    assert findings.faults == []
    kinds = sorted(zip(found.words, found.attributes["osm_id"], strict=True))
    assert [(word, one.split()[0]) for word, one in kinds] == [
        ("crossing", "node"), ("dam", "way"), ("hospital", "node"), ("power_station", "way"),
        ("school", "way"),
    ]  # fmt: skip
    assert np.all(shapely.get_type_id(found.geometry) == 0)
    assert set(found.files) == {"map.osm.pbf"}


def test_a_long_dyke_is_seen_in_every_cell(make_osm_study):
    scene = draw_scene()
    scene.way(60, [(24.3, 55.05), (24.3, 55.06)], man_made="dyke")
    found = read_facility_layer(make_osm_study(scene), AREA, Findings())
    places = found.geometry[found.words == "dyke"]
    # 0.01 degrees of latitude are 1,113 m: five points, 223 m apart, the first half a step from the end.
    assert len(places) == 5
    assert np.diff(shapely.get_y(places)) == pytest.approx(0.002)
    assert shapely.get_y(places)[0] == pytest.approx(55.051)


@pytest.mark.parametrize("suffix", [".osm", ".osm.bz2", ".osm.gz", ".osm.xml"])
def test_every_format_gives_the_same_layers(make_osm_study, suffix):
    for layer in LAYERS:
        one = read(make_osm_study(draw_scene()), layer)[0]
        other = read(make_osm_study(draw_scene(), suffix=suffix), layer)[0]
        assert one.count > 0
        assert np.all(shapely.equals_exact(one.geometry, other.geometry))
        assert one.words.tolist() == other.words.tolist()
        assert one.names.tolist() == other.names.tolist()
        np.testing.assert_array_equal(one.values, other.values)
        for name, column in one.attributes.items():
            np.testing.assert_array_equal(column, other.attributes[name])


def test_the_file_is_read_once_for_all_layers(make_osm_study, monkeypatch):
    study = make_osm_study(draw_scene())
    reads, files = [], OsmFiles()
    monkeypatch.setattr(
        osm_pass, "read_osm_file", lambda *given: reads.append(given) or read_osm_file(*given)
    )
    for layer in LAYERS:
        read(study, layer, files)
    read_facility_layer(study, AREA, Findings(), files)
    assert len(reads) == 1
    scene = draw_scene()
    scene.way(70, [(24.0, 55.01), (24.01, 55.01)], highway="motorway")
    scene.write(study.folder / "sources" / "map.osm.pbf")
    assert "motorway" in read(study, "roads", files)[0].words
    assert len(reads) == 2


def test_only_the_area_is_read(make_osm_study):
    study = make_osm_study(draw_scene())
    path = study.folder / "sources" / "map.osm.pbf"
    found = read_osm_file(path, (Want("roads"),), Area(24.14, 55.0, 24.2, 55.1))
    assert found["roads"].ids == ["way 12", "way 17", "way 18"]
    assert "forest" not in found
    findings = Findings()
    assert read_vector_layer(study, "roads", Area(10.0, 40.0, 11.0, 41.0), findings).count == 0
    assert "has nothing for the layer roads on the study's ground" in str(findings.faults[0])


def test_keys_of_the_row_go_before_the_table(make_osm_study):
    columns = {
        "roads": {"name_column": "name", "class_column": "highway"},
        "water": {"class_column": "tags", "name_column": "water"},
    }
    codes = "roads,primary,motorway\nroads,track,-\nroads,secondary,local\n"
    codes += "roads,unclassified,local\nroads,road,track\n"
    study = make_osm_study(draw_scene(), columns=columns, classes=codes)
    roads, faults, _ = read(study, "roads")
    assert faults == []
    assert roads.words.tolist() == ["motorway"] * 3 + ["track", "local", "local"]
    assert roads.names[1] == "Old bridge"
    assert len(roads.attributes["surface"]) == roads.count
    assert sorted(read(study, "water")[0].names) == ["", "river"]
    study = make_osm_study(draw_scene(), columns=columns, classes=codes.replace("roads,track,-\n", ""))
    assert "codes without a row in tables/classes.csv: 'track'" in read(study, "roads")[1][0]


def draw_faulty():
    scene = draw_scene()
    scene.way(80, [(24.2, 55.07), (24.21, 55.07), (24.22, 55.07), (24.23, 55.07)], highway="tertiary")
    lost = scene.point((24.225, 55.075))
    scene.ways[-1][1].insert(2, lost)
    cross = corners(24.30, 55.06, 24.32, 55.08)
    scene.way(81, [cross[0], cross[2], cross[1], cross[3], cross[0]], natural="water")
    scene.way(82, cross[:3], natural="water")
    scene.box(83, 24.36, 55.06, 24.37, 55.07, natural="water")
    scene.ways[-1][1].insert(2, lost)
    scene.way(84, [(24.36, 55.08), (24.37, 55.08)])
    scene.relate(2, {84: "outer"}, natural="water")
    scene.relate(3, {999: "outer"}, natural="water")
    scene.way(85, [(24.39, 55.0), (24.39, 55.0)], highway="track")
    scene.numbers = {place: number for place, number in scene.numbers.items() if number != lost}
    return scene


def test_broken_elements_are_left_out_and_named(make_osm_study):
    study = make_osm_study(draw_faulty())
    water, faults, notes = read(study, "water")
    assert faults == []
    assert sorted(water.names) == ["", "Ring Lake"]
    text = "\n".join(notes)
    assert "2 elements of map.osm.pbf (water) have rings that cross themselves or do not close" in text
    assert "(way 81, relation 2)" in text
    assert "are tagged as areas but do not close (way 82)" in text
    assert "name nodes that the file lacks (way 83)" in text
    assert "lack member ways in the file (relation 3)" in text
    roads, faults, notes = read(study, "roads")
    assert faults == []
    # The road without its third node becomes the two pieces on either side of it.
    pieces = roads.geometry[roads.attributes["osm_id"] == "way 80"]
    assert [shapely.get_num_points(piece) for piece in pieces] == [2, 2]
    assert "name nodes that the file lacks (way 80)" in "\n".join(notes)
    assert "fewer than two places (way 85)" in "\n".join(notes)
    assert "cut the extract with complete ways" in "\n".join(notes)


def test_cut_off_files_are_named_and_nothing_is_built(make_osm_study):
    study = make_osm_study(draw_scene())
    path = study.folder / "sources" / "map.osm.pbf"
    whole = path.read_bytes()
    for share in (0.3, 0.6, 0.95):
        path.write_bytes(whole[: int(share * len(whole))])
        found, faults, _ = read(study, "roads")
        assert found.count == 0
        assert len(faults) == 1
        assert faults[0].startswith("sources/sources.csv (map.osm.pbf), row ")
        assert "cannot be read" in faults[0]
        assert "fetch the file again" in faults[0]
    before = sorted(study.folder.rglob("*"))
    with pytest.raises(InputError, match="cannot be read"):
        build_mesh(study)
    assert sorted(study.folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("suffix", "content", "words"),
    [
        (".osm.pbf", b"<osm version='0.6'/>", "name it .osm if"),
        (".osm.pbf", b"BZh9" + bytes(20), "name it .osm.bz2"),
        (".osm.pbf", b"", "is empty"),
        (".osm", b"\x00\x00\x00\x0d\x0a\x09OSMHeader" + bytes(9), "name it .osm.pbf"),
        (".osm.bz2", b"SQLite format 3\x00", "give OpenStreetMap data"),
        (".osm", b"<?xml version='1.0'?><osm version='0.6'><node id='1' la", "cannot be read"),
        (".osm.gz", b"\x1f\x8b\x08" + bytes(20), "cannot be read"),
    ],
)
def test_wrong_suffix_and_damage(make_osm_study, suffix, content, words):
    study = make_osm_study(draw_scene(), suffix=suffix)
    (study.folder / "sources" / f"map{suffix}").write_bytes(content)
    faults = read(study, "roads")[1]
    assert len(faults) == 1
    assert words in faults[0]


def test_layers_that_openstreetmap_has_not(make_osm_study):
    faults = read(make_osm_study(draw_scene(), layers=("soil", "roads")), "soil")[1]
    assert "is OpenStreetMap data, which has no layer soil" in faults[0]
    study = make_osm_study(draw_scene(), columns={"roads": {"sublayer": "lines"}})
    assert "leave it empty" in read(study, "roads")[1][0]
    empty = Scene()
    empty.point((24.1, 55.05), amenity="school")
    assert "has nothing for the layer roads" in read(make_osm_study(empty, layers=("roads",)), "roads")[1][0]


def test_a_study_is_built_from_one_file(make_osm_study):
    """The river closes the ground but for the bridge; the road runs from side to side."""
    mesh = build_mesh(make_osm_study(draw_scene()))
    crossing = mesh.river_m > 40
    assert crossing.any()
    assert np.all(mesh.gap_m[crossing] == 0)
    bridged = crossing & (mesh.road_class >= 0)
    assert bridged.sum() == 1
    assert mesh.bridge_m[bridged][0] == pytest.approx(4 * 63.9, rel=0.01)
    assert mesh.bridge_names[mesh.bridge_name[bridged][0]] == "Old bridge"
    roads = mesh.road_class == ROAD_WORDS.index("main")
    # Home is 0.2 degrees wide (12.8 km), the strip 4 km: the road crosses all but half a cell a side.
    assert mesh.road_m[roads].sum() == pytest.approx(16_780 - 900, rel=0.05)
    assert any("taken by kind" in note for note in mesh.assumptions)
    assert any("density of 1 forests" in note for note in mesh.assumptions)


def write_vehicles(study, rows):
    text = "vehicle,name,weight_t,source,tag\n" + "".join(f"{one},{one},{t},s,G\n" for one, t in rows)
    (study.folder / "tables" / "vehicles.csv").write_text(text)
    return read_study(study.folder)


def test_a_posted_limit_bars_heavier_vehicles_from_the_bridge(make_osm_study):
    study = write_vehicles(make_osm_study(draw_scene()), [("tracked", 60), ("light", 12), ("any_t", "")])
    mesh = build_mesh(study)
    bridge = np.flatnonzero(mesh.bridge_m > 0)
    assert mesh.max_weight_t[bridge].tolist() == [12.0]
    assert STRUCTURE_WORDS[mesh.structure[bridge[0]]] == "bridge"
    for vehicle, open_to in (("tracked", False), ("light", True), ("any_t", True)):
        assert np.isfinite(compute_edge_times(study, mesh, vehicle, "dry").road_h[bridge[0]]) == open_to
    free = (mesh.road_class >= 0) & np.isinf(mesh.max_weight_t)
    assert free.sum() > 10
    assert np.all(np.isfinite(compute_edge_times(study, mesh, "tracked", "dry").road_h[free]))
    assert any("posted weight limits bar heavier vehicles" in note for note in mesh.assumptions)
    assert mesh.surface[free].max() >= 0


@pytest.mark.parametrize(("word", "tags"), [("ford", {"ford": "yes"}), ("tunnel", {"tunnel": "yes"})])
def test_fords_and_tunnels_are_no_bridges(make_osm_study, word, tags):
    scene = draw_scene()
    at = next(row for row, way in enumerate(scene.ways) if way[0] == 11)
    scene.ways[at] = (11, scene.ways[at][1], {"highway": "primary", "ref": "A5", **tags})
    study = make_osm_study(scene)
    mesh = build_mesh(study)
    crossing = (mesh.river_m > 40) & (mesh.road_class >= 0)
    assert crossing.sum() == 1
    assert [STRUCTURE_WORDS[one] for one in mesh.structure[crossing]] == [word]
    assert np.all(mesh.bridge_m == 0)
    assert np.isfinite(compute_edge_times(study, mesh, "tracked", "thaw").road_h[crossing]).all()
    assert any(f"1 {word} crossings of roads are no bridges" in note for note in mesh.assumptions)
    with (study.folder / "tables" / "speeds.csv").open("a") as table:
        table.write(f"any,thaw,structure,{word},0,0,0,s,G\nany,dry,structure,{word},0.5,0.5,0.5,s,G\n")
    slow = read_study(study.folder)
    assert np.isinf(compute_edge_times(slow, mesh, "tracked", "thaw").road_h[crossing]).all()
    dry = [compute_edge_times(one, mesh, "tracked", "dry").road_h[crossing][0] for one in (study, slow)]
    assert dry[1] == pytest.approx(2 * dry[0])


def test_a_ferry_is_closed_until_the_table_opens_it(make_osm_study):
    scene = draw_scene()
    scene.way(61, [(24.075, 55.03), (24.125, 55.03)], route="ferry", name="Cable")
    study = make_osm_study(scene)
    mesh = build_mesh(study)
    ferry = mesh.structure == STRUCTURE_WORDS.index("ferry")
    assert ferry.sum() >= 2
    assert np.any(ferry & (mesh.river_m > 40))
    assert np.all(mesh.bridge_m[ferry] == 0)
    assert np.isinf(compute_edge_times(study, mesh, "tracked", "dry").road_h[ferry]).all()
    with (study.folder / "tables" / "speeds.csv").open("a") as table:
        table.write("any,any,structure,ferry,0.1,0.1,0.1,s,G\n")
    opened = read_study(study.folder)
    assert np.isfinite(compute_edge_times(opened, mesh, "tracked", "dry").road_h[ferry]).all()


def test_only_a_surface_other_than_the_usual_one_slows(make_osm_study):
    """Factor of gravel 0.8, soft 0.5: a gravel main road 0.8, a soft track 1, a gravel track 0.8 / 0.5."""
    study = make_osm_study(draw_scene())
    with (study.folder / "tables" / "speeds.csv").open("a") as table:
        table.write("any,any,surface,gravel,0.8,0.8,0.8,s,G\nany,any,surface,soft,0.5,0.5,0.5,s,G\n")
    study = read_study(study.folder)
    main, track = ROAD_WORDS.index("main"), ROAD_WORDS.index("track")
    road = np.array([main, main, main, track, track, track])
    surface = np.array([-1, 0, 1, 2, 1, -1])
    speed = find_road_speeds(study, "tracked", "dry", road, surface, np.full(6, -1), np.full(6, np.inf))
    assert speed == pytest.approx([36, 36, 36 * 0.8, 20, 20 * 1.6, 20])


def test_facilities_stand_beside_the_mesh(make_osm_study, tmp_path):
    scene = draw_scene()
    scene.point((24.12, 55.02), **{"power": "plant", "plant:source": "nuclear", "name": "Ina"})
    scene.way(60, [(24.05, 55.03), (24.05, 55.04)], man_made="dyke")
    mesh = build_mesh(make_osm_study(scene))
    found = mesh.facilities
    names = [FACILITY_WORDS[kind] for kind in found.kind]
    assert sorted(set(names)) == [
        "crossing", "dam", "dyke", "hospital", "nuclear_station", "power_station", "school",
    ]  # fmt: skip
    protected = {word for word, works in zip(names, found.mask_protected(), strict=True) if works}
    assert protected == {"dam", "dyke", "nuclear_station"}
    assert np.all(
        np.hypot((mesh.lon[found.cell] - found.lon) * 0.57, mesh.lat[found.cell] - found.lat) < 0.006
    )
    assert any("protected by Additional Protocol I" in note for note in mesh.assumptions)
    write_mesh(mesh, tmp_path)
    again = read_mesh(tmp_path).facilities
    for field in dataclasses.fields(found):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(found, field.name))
    shown = gpd.read_parquet(tmp_path / "mesh" / "facilities.parquet")
    assert shown.crs.name.startswith("WGS 84")
    assert shown.geometry.x.tolist() == found.lon.tolist()
    (tmp_path / "mesh" / "facilities.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match="is damaged"):
        read_mesh(tmp_path)


def test_facilities_of_other_files_need_a_kind(make_study):
    shape = [shapely.Point(24.1, 55.05), shapely.box(24.05, 55.02, 24.06, 55.03)]
    frame = gpd.GeoDataFrame({"kind": ["hospital", "dam"]}, geometry=shape, crs="EPSG:4326")
    mesh = build_mesh(make_study({"facilities": (frame, {"class_column": "kind"})}))
    assert sorted(FACILITY_WORDS[kind] for kind in mesh.facilities.kind) == ["dam", "hospital"]
    assert set(mesh.facilities.source) == {"facilities.gpkg"}
    with pytest.raises(InputError, match="names no attribute with the kind"):
        build_mesh(make_study({"facilities": (frame, {})}))
    frame["kind"] = "castle"
    with pytest.raises(InputError, match="means 'castle', which is not one of its words"):
        build_mesh(make_study({"facilities": (frame, {"class_column": "kind"})}))


def test_borders_come_from_relations(make_osm_study):
    scene = draw_scene()
    for number, west, code in ((90, 24.0, "H"), (91, 24.2, "X")):
        scene.box(number, west, 55.0, round(west + 0.2, 1), 55.1)
        tags = {"type": "boundary", "boundary": "administrative", "admin_level": "2"}
        scene.relate(number, {number: "outer"}, **tags, **{"ISO3166-1:alpha2": code})
    study = make_osm_study(scene)
    rows = (study.folder / "sources" / "sources.csv").read_text().splitlines()
    rows = [row for row in rows if not row.startswith("borders")]
    rows.insert(1, "borders,map.osm.pbf,,ISO3166-1:alpha2,,,own,s,G")
    (study.folder / "sources" / "sources.csv").write_text("\n".join(rows) + "\n")
    mesh = build_mesh(read_study(study.folder))
    assert mesh.country_codes[:2] == ("H", "X")


def test_real_extract(shared_data):
    """West Oakland, from a published test extract: streets are there, and every road keeps a class."""
    path = shared_data / "osm_fixture" / "West-Oakland.osm.bz2"
    found = read_osm_file(path, (Want("roads"), Want("water")), Area(-122.4, 37.7, -122.2, 37.9))
    roads = found["roads"]
    assert roads.count > 10
    assert {rule.word for rule in roads.rules} <= set(ROAD_WORDS)
    assert np.all(shapely.length(roads.geometry) > 0)
