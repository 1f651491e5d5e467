"""Which files of open data a study needs, and how they are listed."""

from __future__ import annotations

import datetime

import geopandas as gpd
import pytest
import shapely

from abatis.examples.lithuania import write_example
from abatis.ground.fetching.absent import AbsentFile, read_absent, write_absent
from abatis.ground.fetching.layers import (
    find_hostile,
    list_town_countries,
    read_classes,
    read_open_layers,
    read_regions,
    read_towns,
)
from abatis.ground.fetching.listing import append_rows, put_source_row
from abatis.ground.fetching.planning import choose_layers, list_tiles, plan_fetch
from abatis.ground.sources import LAYER_WORDS
from abatis.model.errors import InputError
from abatis.model.fields import fields_of, read_table
from abatis.model.study import read_study_to_fetch


class TestTables:
    def test_words_are_known(self):
        kinds = next(field for field in fields_of("sources") if field.column == "layer").choices
        tags = next(field for field in fields_of("sources") if field.column == "tag").choices
        for layer in read_open_layers().values():
            assert layer.kinds and set(layer.kinds) <= set(kinds)
            assert layer.by in ("tile", "region", "country", "once")
            assert layer.format in ("tif", "pbf", "zip", "geojson")
            assert layer.tag in tags and layer.licence and layer.source and layer.attribution
            assert (layer.by == "tile") == (layer.degrees > 0)
            assert layer.address.startswith("https://")
        assert {one.country for one in read_regions()} >= {"LT", "LV", "EE", "PL", "FI", "BY", "RU"}
        for region in read_regions():
            assert -180 <= region.west < region.east <= 180 and -90 <= region.south < region.north <= 90
            assert region.osm_mb > 0 and region.population_mb > 0

    def test_lithuania_needs_the_known_tiles(self, tmp_path):
        """The five WorldCover tiles of Lithuania are known; a strip into Belarus may add one."""
        folder = write_example(tmp_path / "lt")
        study = read_study_to_fetch(folder)
        plan = plan_fetch(study, choose_layers([], True))
        names = {file.name for file in plan.files}
        cover = {name[-15:-8] for name in names if "WorldCover" in name}
        assert {"N51E021", "N51E024", "N54E018", "N54E021", "N54E024"} <= cover
        assert cover <= {"N51E021", "N51E024", "N54E018", "N54E021", "N54E024", "N54E027"}
        assert {"lithuania-latest.osm.pbf", "kaliningrad-latest.osm.pbf", "belarus-latest.osm.pbf"} <= names
        assert "podlaskie-latest.osm.pbf" in names
        assert not {"northwestern-fed-district-latest.osm.pbf", "slaskie-latest.osm.pbf"} & names
        assert {name for name in names if "GHS_POP" in name} == {
            "GHS_POP_E2020_GLOBE_R2023A_4326_3ss_V1_0_R4_C21.tif"
        }
        assert len(names) == len(plan.files)
        assert plan.size_mb > 1000 and not plan.rough

    def test_every_country_that_the_ground_touches_has_a_file(self, tmp_path):
        study = read_study_to_fetch(write_example(tmp_path / "lt"))
        plan = plan_fetch(study, choose_layers(["worldpop"], True))
        countries = {file.name[:3] for file in plan.files}
        assert countries == {"ltu", "lva", "pol", "blr", "rus"}

    @pytest.mark.parametrize(
        ("lon", "lat", "name"),
        [
            (-112.1, 33.5, "R6_C7"),
            (-81.4, 28.5, "R7_C10"),
            (100.5, 13.7, "R8_C29"),
            (16.4, 48.2, "R5_C20"),
            (38.7, 9.05, "R9_C22"),
            (38.7, 9.15, "R8_C22"),
        ],
    )
    def test_population_tiles_are_named_by_row_and_column(self, make_study, lon, lat, name):
        """Places and tiles as other public programs name them; 9.1 N is a seam of the grid."""
        ground = [
            shapely.box(lon - 0.01, lat, lon, lat + 0.005),
            shapely.box(lon, lat, lon + 0.01, lat + 0.005),
        ]
        borders = gpd.GeoDataFrame({"country": ["H", "X"]}, geometry=ground, crs="EPSG:4326")
        place = f"place,name,lon,lat,population,kind,country,source,tag\nt,T,{lon},{lat},1,town,H,s,G\n"
        places = place.replace("\nt,", "\ntown,")
        study = make_study(borders=borders, places=places, settings="")
        table = read_open_layers()["population"]
        assert [file.name[-len(name) - 5 :] for file in plan_fetch(study, [table]).files] == [f"_{name}.tif"]

    def test_people_are_not_counted_twice(self, make_study):
        study = make_study()
        table = read_open_layers()
        with pytest.raises(InputError, match="population and worldpop would count people twice"):
            plan_fetch(study, [table["population"], table["worldpop"]])
        (study.folder / "sources" / "mine.tif").write_bytes(b"")
        put_source_row(
            study.folder / "sources" / "sources.csv",
            {"layer": "population", "file": "mine.tif", "licence": "l", "source": "me", "tag": "F"},
        )
        with pytest.raises(InputError, match="another population layer"):
            plan_fetch(read_study_to_fetch(study.folder), [table["population"]])

    def test_words_of_codes_are_known(self):
        """Every code once, every word one of abatis; WorldCover, WRB and CORINE whole."""
        table = read_open_layers()
        for name, count in (("landcover", 12), ("soil", 32), ("corine", 92)):
            rows = read_classes(name)
            assert len({row.code for row in rows}) == len(rows) == count
            assert {row.word for row in rows} <= {*LAYER_WORDS[table[name].kind], "-"}
            assert all(row.source and row.tag == "G" for row in rows)
        covered = {int(row.code) for row in read_classes("landcover")}
        assert {10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100} <= covered

    def test_towns_lie_in_their_countries(self):
        """Inside the box of an extract of the country; hostile neighbours and towns are known countries."""
        for code in list_town_countries():
            boxes = [shapely.box(*one.bounds) for one in read_regions() if one.country == code]
            towns = read_towns(code)
            assert towns[0].population == max(town.population for town in towns)
            assert all(any(box.covers(shapely.Point(one.lon, one.lat)) for box in boxes) for one in towns)
            assert len({town.place for town in towns}) == len(towns)
            assert set(find_hostile(code)) <= {one.country for one in read_regions()} - {code}

    def test_every_tile_touches_and_none_is_missing(self):
        outline = shapely.Point(-0.4, 0.3).buffer(2.2)
        corners = list_tiles(outline, 1)
        boxes = shapely.union_all([shapely.box(x, y, x + 1, y + 1) for x, y in corners])
        assert shapely.covers(boxes, outline)
        assert all(outline.intersects(shapely.box(x, y, x + 1, y + 1)) for x, y in corners)
        assert (-3, 2) not in corners and (-3, -2) in corners and (-1, -1) in corners

    def test_unknown_layer_and_country_and_mirror(self, make_study, tmp_path):
        with pytest.raises(InputError, match="did you mean 'elevation'"):
            choose_layers(["elevatoin"], True)
        study = make_study()
        table = read_open_layers()
        with pytest.raises(InputError) as caught:
            plan_fetch(study, [table["osm"], table["population"]])
        assert {fault.problem for fault in caught.value.faults} >= {
            "country 'H' is not in the table of regions",
            "country 'X' is not in the table of regions",
        }
        with pytest.raises(InputError, match="is no address"):
            plan_fetch(study, [table["elevation"]], "mirror.lan")


class TestAbsent:
    ROW = AbsentFile("elevation", "a.tif", "https://x/a.tif", "2026-01-01", "no such file")

    def test_kept_until_it_is_old(self, tmp_path):
        write_absent(tmp_path, {self.ROW.address: self.ROW})
        asked = datetime.date(2026, 1, 1)
        assert read_absent(tmp_path, asked) == {self.ROW.address: self.ROW}
        assert read_absent(tmp_path, asked + datetime.timedelta(180))
        assert read_absent(tmp_path, asked + datetime.timedelta(181)) == {}
        assert read_absent(tmp_path, asked - datetime.timedelta(1)) == {}  # a clock that was wrong
        write_absent(tmp_path, {})
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"layer,file\nx", b"address,asked\na,yesterday\n"])
    def test_spoilt_file_counts_as_never_asked(self, tmp_path, body):
        (tmp_path / "not_there.csv").write_bytes(body)
        assert read_absent(tmp_path, datetime.date(2026, 1, 1)) == {}


class TestListing:
    HEAD = "layer,file,licence,source,tag,sha256"

    def test_hand_written_rows_keep_every_byte(self, tmp_path):
        path = tmp_path / "sources.csv"
        mine = 'roads , "my, roads.gpkg" ,own,"me\u2028 ""here""",G,'
        path.write_bytes(f"\ufeff{self.HEAD}\r\n{mine}\r\n\r\n".encode())
        row = {
            "layer": "soil",
            "file": "s.tif",
            "licence": "l",
            "source": "a, b",
            "tag": "F",
            "fetched": "2026",
        }
        put_source_row(path, row)
        head, own, new, end = path.read_bytes().decode().split("\r\n")
        assert head == f"\ufeff{self.HEAD},fetched"
        assert own == mine + "," and new == "s.tif".join(["soil,", ',l,"a, b",F,,2026']) and end == ""

    def test_only_the_checksum_of_a_known_row_changes(self, tmp_path):
        path = tmp_path / "sources.csv"
        path.write_text(f"{self.HEAD}\nsoil,s.tif,my words,me,G,old\nsoil,t.tif,l,m,F,x\n")
        put_source_row(path, {"layer": "soil", "file": "s.tif", "licence": "l", "tag": "F", "sha256": "new"})
        assert path.read_text() == f"{self.HEAD}\nsoil,s.tif,my words,me,G,new\nsoil,t.tif,l,m,F,x\n"

    def test_new_file_is_read_by_the_reader(self, tmp_path):
        row = {
            "layer": "soil",
            "file": "s.tif",
            "licence": "l",
            "source": "a",
            "tag": "F",
            "fetched": "2026-01-02",
        }
        put_source_row(tmp_path / "sources.csv", row)
        frame, faults = read_table(tmp_path / "sources.csv", "sources")
        assert faults == [] and frame.iloc[0]["fetched"] == "2026-01-02"

    def test_rows_are_added_to_a_table(self, tmp_path):
        path = tmp_path / "classes.csv"
        path.write_bytes(b"word,layer,code\r\n wetland , landcover,90")
        append_rows(path, "classes", [{"layer": "landcover", "code": "10", "word": "grass"}])
        assert path.read_bytes() == b"word,layer,code\r\n wetland , landcover,90\r\ngrass,landcover,10\r\n"
        path.unlink()
        append_rows(path, "classes", [{"layer": "landcover", "code": "10", "word": "grass"}])
        assert path.read_text() == "layer,code,word\nlandcover,10,grass\n"
