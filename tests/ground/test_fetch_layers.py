"""Layers as they come from their publishers: sea tiles, archives, repeated features, codes, hosts."""

from __future__ import annotations

import errno
import hashlib
import re

import geopandas as gpd
import numpy as np
import pytest
import shapely
from fetch_cases import (
    DEM,
    DEM_PATH,
    OSM,
    OSM_OTHER,
    POP,
    POP_PATH,
    list_leftovers,
    list_paths,
    make_pbf,
    make_sites,
    make_tif,
    pack_zip,
    read_rows,
)

from abatis.ground.fetching import finishing
from abatis.ground.fetching.absent import ABSENT_NAME
from abatis.ground.fetching.layers import read_open_layers
from abatis.ground.fetching.planning import find_area
from abatis.ground.fetching.run import FetchResult, list_work
from abatis.model.errors import InputError
from abatis.model.study import read_study, read_study_to_fetch


class TestTilesAndHosts:
    def test_missing_tile_is_noted(self, fetch, server, study_folder, tmp_path):
        """Ground over two tiles of which one is sea."""
        wide = gpd.GeoDataFrame(
            {"country": ["LT", "BY"]},
            geometry=[shapely.box(23.9, 55.1, 24.3, 55.2), shapely.box(24.3, 55.1, 24.5, 55.2)],
            crs="EPSG:4326",
        )
        (study_folder / "sources" / "borders.gpkg").unlink()
        wide.to_file(study_folder / "sources" / "borders.gpkg")
        server.files[DEM_PATH] = make_tif(tmp_path)
        result = fetch("elevation")
        sea = f"{DEM.replace('E024', 'E023')}.tif"
        assert result.fetched == [f"{DEM}.tif"]
        assert result.absent == [sea]
        assert sea in (study_folder / "sources" / ABSENT_NAME).read_text()
        server.asked.clear()
        again = fetch("elevation")
        assert (again.present, again.absent, again.known_absent) == ([f"{DEM}.tif"], [], [sea])
        assert server.asked == []
        old = (study_folder / "sources" / ABSENT_NAME).read_text()
        (study_folder / "sources" / ABSENT_NAME).write_text(re.sub(r"\d{4}-\d\d-\d\d", "2020-01-01", old))
        assert fetch("elevation").absent == [sea]
        assert server.count_gets() == 1
        assert "2020-01-01" not in (study_folder / "sources" / ABSENT_NAME).read_text()

    def test_layer_without_any_file_is_a_fault(self, fetch, study_folder):
        with pytest.raises(InputError, match="none of the 1 files of layer elevation"):
            fetch("elevation")
        assert not (study_folder / "sources" / ABSENT_NAME).exists()  # the address may be wrong

    def test_missing_country_file_is_a_fault(self, fetch):
        with pytest.raises(InputError, match="status 404"):
            fetch("worldpop")

    def test_offline_says_so_at_once(self, fetch, server, study_folder):
        with pytest.raises(InputError, match="no connection: none of 1 hosts answers"):
            fetch("elevation", mirror="http://127.0.0.1:1")
        assert fetch.waits == [] and list_leftovers(study_folder) == []
        assert server.asked == []

    def test_proxy_of_the_environment_is_used(self, fetch, server, tmp_path, monkeypatch):
        server.files["/publisher.invalid" + DEM_PATH] = make_tif(tmp_path)
        monkeypatch.setenv("http_proxy", server.address)
        server.files["/open" + DEM_PATH] = server.files["/publisher.invalid" + DEM_PATH]
        assert fetch("elevation", mirror="http://publisher.invalid/open").fetched == [f"{DEM}.tif"]
        assert {path for _, path, _ in server.asked} == {"http://publisher.invalid/open" + DEM_PATH}

    def test_silent_proxy_is_named(self, fetch, monkeypatch):
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        with pytest.raises(InputError, match="the proxy does not answer"):
            fetch("elevation", mirror="http://publisher.invalid")

    def test_mirror_of_the_settings(self, study_folder, server):
        with (study_folder / "study.toml").open("a") as file:
            file.write(f'[fetch]\nmirror = "{server.address}/open"\nspeed_mb_s = 3\n')
        work = list_work(study_folder, ("elevation",))
        assert work.missing[0].address == f"{server.address}/open{DEM_PATH}"
        assert read_study(study_folder).fetch_speed_mb_s == 3.0
        assert list_work(study_folder, ("elevation",), "").missing[0].address.startswith("https://copernicus")
        assert server.asked == []

    def test_refused_question_gets_nothing(self, fetch, server):
        assert fetch("elevation", confirm=False) == FetchResult()
        assert server.asked == []

    def test_layer_with_a_login_is_named(self, fetch, server):
        result = fetch("corine")
        assert len(result.by_hand) == 1 and "needs a login" in result.by_hand[0]
        assert server.asked == []


class TestArchives:
    def serve(self, server, tmp_path, people=2.5, **more: bytes) -> bytes:
        values = np.full((240, 240), people, np.float32)
        body = make_tif(tmp_path, (19.9921, 49.0996, 29.9921, 59.0996), values=values, nodata=-200)
        server.files[POP_PATH] = pack_zip(**{f"{POP}__tif": body, "readme__pdf": b"x", **more})
        return body

    def test_raster_is_unpacked_and_listed(self, fetch, server, study_folder, tmp_path):
        body = self.serve(server, tmp_path)
        assert fetch("population").fetched == [f"{POP}.tif"]
        assert (study_folder / "sources" / f"{POP}.tif").read_bytes() == body
        assert not (study_folder / "sources" / f"{POP}.zip").exists()
        row = read_rows(study_folder)[f"{POP}.tif"]
        assert row["layer"] == "population" and row["sha256"] == hashlib.sha256(body).hexdigest()
        server.asked.clear()
        assert fetch("population").present == [f"{POP}.tif"]
        assert server.asked == [] and list_leftovers(study_folder) == []

    def test_cut_archive_goes_on(self, fetch, server, study_folder, tmp_path):
        body = self.serve(server, tmp_path, noise=np.random.default_rng(1).bytes(60_000))
        server.cut_after[POP_PATH], server.cuts_left[POP_PATH] = 20_000, 2
        fetch("population")
        assert (study_folder / "sources" / f"{POP}.tif").read_bytes() == body
        assert server.count_gets() == 3

    @pytest.mark.parametrize("spoil", ["middle", "two rasters", "no archive"])
    def test_damaged_archive_is_deleted(self, fetch, server, study_folder, tmp_path, spoil):
        self.serve(server, tmp_path, **({"other__TIF": b"II*\0"} if spoil == "two rasters" else {}))
        packed = bytearray(server.files[POP_PATH])
        if spoil == "middle":
            packed[100:140] = bytes(40)
        server.files[POP_PATH] = b"II*\0" if spoil == "no archive" else bytes(packed)
        told = "is not a ZIP archive" if spoil == "no archive" else "is a damaged archive"
        with pytest.raises(InputError, match=told):
            fetch("population")
        assert list_leftovers(study_folder) == [] and f"{POP}.tif" not in read_rows(study_folder)
        assert not [path for path in (study_folder / "sources").iterdir() if POP in path.name]
        self.serve(server, tmp_path)
        assert fetch("population").fetched == [f"{POP}.tif"]

    def test_full_disk_while_unpacking_keeps_the_archive(
        self, fetch, server, study_folder, tmp_path, monkeypatch
    ):
        self.serve(server, tmp_path)

        def fill(archive, target):
            target.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(finishing, "unpack_raster", fill)
        with pytest.raises(InputError, match="the disk is full"):
            fetch("population")
        monkeypatch.undo()
        assert [path.name for path in (study_folder / "sources").glob(f"{POP}*")] == [f"{POP}.zip"]
        server.asked.clear()
        assert fetch("population").fetched == [f"{POP}.tif"]
        assert server.count_gets() == 0

    def test_tile_without_people_on_the_ground_is_not_listed(self, fetch, server, study_folder, tmp_path):
        """All its pixels here are nodata: reading it would be a fault."""
        self.serve(server, tmp_path, people=-200)
        result = fetch("population")
        assert (result.fetched, result.beside) == ([], [f"{POP}.tif"])
        assert f"{POP}.tif" not in read_rows(study_folder)
        server.asked.clear()
        assert fetch("population").beside == [f"{POP}.tif"]
        assert server.asked == []


class TestFeatures:
    @pytest.fixture
    def paths(self, study_folder, server):
        """Ground over three tiles of protected sites."""
        wide = gpd.GeoDataFrame(
            {"country": ["LT", "BY"]},
            geometry=[shapely.box(23.5, 55.1, 24.3, 55.2), shapely.box(24.3, 55.1, 25.5, 55.2)],
            crs="EPSG:4326",
        )
        (study_folder / "sources" / "borders.gpkg").unlink()
        wide.to_file(study_folder / "sources" / "borders.gpkg")
        (study_folder / "study.toml").write_text(
            (study_folder / "study.toml").read_text().replace("strip_km = 4", "strip_km = 60")
        )
        return list_paths(study_folder, server, "protected")

    def test_site_on_a_seam_is_kept_once(self, fetch, server, study_folder, paths):
        seam, west, east = (shapely.box(x, 55.12, x + 0.3, 55.18) for x in (23.9, 23.6, 24.5))
        one, two, three = paths
        server.files |= {
            paths[one]: make_sites(LTSEAM=seam, LTWEST=west),
            paths[two]: make_sites(LTSEAM=seam, LTEAST=east),
            paths[three]: make_sites(),
        }
        result = fetch("protected")
        assert (result.fetched, result.absent) == ([one, two], [three])
        frames = [gpd.read_file(study_folder / "sources" / name) for name in (one, two)]
        assert sorted(code for frame in frames for code in frame["SITECODE"]) == [
            "LTEAST",
            "LTSEAM",
            "LTWEST",
        ]
        assert not (study_folder / "sources" / three).exists()
        server.asked.clear()
        assert fetch("protected").known_absent == [three]
        assert server.asked == []
        # Got again, the first tile leaves to the second what stands there by now.
        (study_folder / "sources" / one).unlink()
        (study_folder / "sources" / two).write_bytes(make_sites(LTSEAM=seam))
        table = study_folder / "sources" / "sources.csv"
        table.write_text("\n".join(line for line in table.read_text().splitlines() if two not in line) + "\n")
        fetch("protected")
        assert list(gpd.read_file(study_folder / "sources" / one)["SITECODE"]) == ["LTWEST"]

    def test_sites_without_a_code_are_told_apart_by_ground(self, fetch, server, study_folder, paths):
        one, two, three = paths
        nameless = make_sites(A=shapely.box(23.9, 55.12, 24.2, 55.18)).replace(b"SITECODE", b"OTHERKEY")
        server.files |= {paths[one]: nameless, paths[two]: nameless, paths[three]: make_sites()}
        result = fetch("protected")
        assert (result.fetched, result.absent) == ([one], [two, three])

    def test_sites_beside_the_ground_wait_for_a_wider_strip(self, fetch, server, study_folder, paths):
        """A tile whose sites all lie off the ground is kept but not listed: reading it would be a fault."""
        one, two, three = paths
        server.files |= {
            paths[one]: make_sites(A=shapely.box(23.55, 55.85, 23.8, 55.9)),
            paths[two]: make_sites(B=shapely.box(24.1, 55.12, 24.2, 55.18)),
            paths[three]: make_sites(),
        }
        assert fetch("protected").beside == [one]
        assert one not in read_rows(study_folder) and (study_folder / "sources" / one).is_file()
        file = study_folder / "sources" / "borders.gpkg"
        wider = gpd.read_file(file)
        wider.geometry = [shapely.box(23.5, 55.1, 24.3, 55.95), wider.geometry[1]]
        file.unlink()
        wider.to_file(file)
        assert one in fetch("protected").present
        assert one in read_rows(study_folder)


class TestExtracts:
    def test_one_row_for_each_layer_and_one_checksum(self, fetch, server, study_folder, tmp_path):
        body = make_pbf(tmp_path)
        server.files |= {OSM: body, OSM_OTHER: body}
        fetch("osm")
        rows = read_study(study_folder).sources
        mine = rows[rows["file"] == "lithuania-latest.osm.pbf"]
        assert list(mine["layer"]) == ["roads", "rivers", "bridges", "water", "wetland"]
        assert (mine["sha256"] != "").tolist() == [True, False, False, False, False]
        assert set(mine["licence"]) == {"ODbL-1.0"} and set(mine["attribution"]) == {
            "© OpenStreetMap contributors"
        }
        server.asked.clear()
        assert sorted(fetch("osm").present) == ["belarus-latest.osm.pbf", "lithuania-latest.osm.pbf"]
        assert server.asked == []

    def test_extract_beside_the_ground_is_not_listed(self, fetch, server, study_folder, tmp_path):
        server.files |= {
            OSM: make_pbf(tmp_path, box=(24.0, 55.0, 24.4, 55.3)),
            OSM_OTHER: make_pbf(tmp_path, box=(30.0, 52.0, 31.0, 53.0)),
        }
        result = fetch("osm")
        assert (result.fetched, result.beside) == (["lithuania-latest.osm.pbf"], ["belarus-latest.osm.pbf"])
        assert "belarus-latest.osm.pbf" not in read_rows(study_folder)

    def test_damaged_file_put_there_by_hand_is_named(self, fetch, server, study_folder, tmp_path):
        made = make_pbf(tmp_path)
        for name, body in (("lithuania-latest.osm.pbf", made[:40]), ("belarus-latest.osm.pbf", made)):
            (study_folder / "sources" / name).write_bytes(body)
        with pytest.raises(InputError, match=r"sources/lithuania-latest\.osm\.pbf: cannot be read"):
            fetch("osm")
        assert server.asked == []


class TestCodes:
    def set_up(self, server, study_folder, tmp_path) -> None:
        for path in list_paths(study_folder, server, "landcover").values():
            server.files[path] = make_tif(tmp_path, (24.0, 54.0, 27.0, 57.0), side=60)

    def test_words_are_added_once_and_the_users_stay(self, fetch, server, study_folder, tmp_path):
        self.set_up(server, study_folder, tmp_path)
        classes = study_folder / "tables" / "classes.csv"
        classes.write_text("layer,code,word\nlandcover,10,dense_forest\nroads,A1,main\n")
        notes = " ".join(fetch("landcover").notes)
        assert "11 codes of ESA WorldCover" in notes and "kept: 10 = dense_forest" in notes
        assert classes.read_text().startswith("layer,code,word\nlandcover,10,dense_forest\nroads,A1,main\n")
        table = read_study(study_folder).tables["classes"]
        words = {row["code"]: row["word"] for _, row in table[table["layer"] == "landcover"].iterrows()}
        assert len(words) == 12 and words["80"] == "water" and words["10"] == "dense_forest"
        before = classes.read_bytes()
        assert not any("were added" in note for note in fetch("landcover").notes)
        assert classes.read_bytes() == before

    def test_own_files_with_words_for_codes_stay_readable(self, fetch, server, study_folder, tmp_path):
        self.set_up(server, study_folder, tmp_path)
        (study_folder / "sources" / "mine.tif").write_bytes(make_tif(tmp_path))
        with (study_folder / "sources" / "sources.csv").open("a") as file:
            file.write("landcover,mine.tif,,,,,own,me,F\n")
        assert any("no rows for landcover were added" in note for note in fetch("landcover").notes)
        assert not (study_folder / "tables" / "classes.csv").exists()

    def test_codes_of_a_layer_got_by_hand(self, fetch, study_folder):
        fetch("corine")
        table = read_study(study_folder).tables["classes"]
        assert dict(zip(table["code"], table["word"], strict=True))["512"] == "water"

    def test_nothing_is_added_for_what_is_not_there(self, fetch, study_folder, server):
        assert fetch("landcover", confirm=False) == FetchResult()
        assert not (study_folder / "tables" / "classes.csv").exists()

    def test_country_written_in_another_way(self, fetch, server, study_folder):
        """The study says LTU where the borders say LT."""
        for path in (study_folder / "sources").iterdir():
            path.unlink()
        for name in ("study.toml", "tables/places.csv"):
            path = study_folder / name
            path.write_text(path.read_text().replace('"LT"', '"LTU"').replace(",LT,", ",LTU,"))
        ground = [shapely.box(24.1, 55.1, 24.3, 55.2), shapely.box(24.3, 55.1, 24.5, 55.2)]
        names = {"CNTR_ID": ["LT", "BY"], "NAME_ENGL": ["Lithuania", "Belarus"]}
        frame = gpd.GeoDataFrame(names, geometry=ground, crs="EPSG:4326")
        server.files[read_open_layers()["borders"].address.removeprefix("https:/")] = frame.to_json().encode()
        fetch("borders")
        study = read_study_to_fetch(study_folder)
        table = study.tables["classes"]
        assert dict(zip(table["code"], table["word"], strict=True)) == {"LT": "LTU", "BY": "BY"}
        assert sorted(find_area(study).countries) == ["BY", "LTU"]


class TestPoliteness:
    def test_pause_between_files_of_one_host(self, fetch, server, study_folder, tmp_path):
        body = make_pbf(tmp_path)
        server.files |= {OSM: body, OSM_OTHER: body, DEM_PATH: make_tif(tmp_path)}
        fetch("osm", "elevation", between_s=3.0, mirror=server.address)
        assert fetch.waits == [3.0, 3.0]  # one mirror is one host
        assert not any(verb == "GET" and path == DEM_PATH for verb, path, _ in server.asked[:3])


class TestBorders:
    def test_borders_come_first_and_say_where(self, fetch, server, study_folder, tmp_path):
        sources = study_folder / "sources"
        for path in sources.iterdir():
            path.unlink()
        with pytest.raises(InputError, match="is missing"):
            read_study(study_folder)
        rough = list_work(study_folder, ("borders", "elevation"))
        assert rough.plan.rough and "no borders yet" in rough.plan.notes[0]
        ground = [shapely.box(24.1, 55.1, 24.3, 55.2), shapely.box(24.3, 55.1, 24.5, 55.2)]
        names = {"CNTR_ID": ["LT", "BY"], "NAME_ENGL": ["Lithuania", "Belarus"]}
        frame = gpd.GeoDataFrame(names, geometry=ground, crs="EPSG:4326")
        path = read_open_layers()["borders"].address.removeprefix("https:/")
        server.files[path] = frame.to_json().encode()
        server.files[DEM_PATH] = make_tif(tmp_path)
        result = fetch("borders", "elevation")
        assert result.fetched == ["CNTR_RG_01M_2020_4326.geojson", f"{DEM}.tif"]
        area = find_area(read_study_to_fetch(study_folder))
        assert not area.rough and sorted(area.countries) == ["BY", "LT"]
