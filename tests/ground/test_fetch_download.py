"""One file over HTTP: cuts, waits, redirects, checksums, full disks and second fetches."""

from __future__ import annotations

import errno
import hashlib
import re
from pathlib import Path

import pytest
from fetch_cases import DEM, DEM_PATH, OSM, OSM_OTHER, list_leftovers, make_pbf, make_tif, read_rows

from abatis.ground.fetching import download, run
from abatis.model.errors import InputError
from abatis.model.study import read_study


class TestDownload:
    def test_file_and_row_are_whole(self, fetch, server, study_folder, tmp_path):
        server.files[DEM_PATH] = body = make_tif(tmp_path)
        before = (study_folder / "sources" / "sources.csv").read_text().splitlines()
        result = fetch("elevation")
        assert result.fetched == [f"{DEM}.tif"] and result.bytes == len(body)
        assert (study_folder / "sources" / f"{DEM}.tif").read_bytes() == body
        row = read_rows(study_folder)[f"{DEM}.tif"]
        assert row["sha256"] == hashlib.sha256(body).hexdigest()
        assert row["address"] == server.address + DEM_PATH
        assert row["layer"] == "elevation" and row["licence"].startswith("Copernicus") and row["attribution"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", row["fetched"])
        after = (study_folder / "sources" / "sources.csv").read_text().splitlines()
        for old, new in zip(before[1:], after[1:], strict=False):
            assert new.startswith(old) and set(new[len(old) :]) <= {","}
        assert len(read_study(study_folder).sources) == len(before)
        assert list_leftovers(study_folder) == []
        assert fetch.shares == sorted(fetch.shares) and fetch.shares[-1] == 1.0

    def test_second_run_asks_nobody(self, fetch, server, study_folder, tmp_path):
        server.files[DEM_PATH] = make_tif(tmp_path)
        fetch("elevation")
        listed = (study_folder / "sources" / "sources.csv").read_bytes()
        server.asked.clear()
        result = fetch("elevation")
        assert (result.fetched, result.present) == ([], [f"{DEM}.tif"])
        assert server.asked == []
        assert (study_folder / "sources" / "sources.csv").read_bytes() == listed

    def test_cut_ten_times_and_whole(self, fetch, server, study_folder, tmp_path):
        server.files[DEM_PATH] = body = make_tif(tmp_path)
        server.cut_after[DEM_PATH], server.cuts_left[DEM_PATH] = 20_000, 10
        result = fetch("elevation")
        assert (study_folder / "sources" / f"{DEM}.tif").read_bytes() == body
        assert server.cuts_left[DEM_PATH] == 0 and server.count_gets() == 11
        assert result.bytes < 1.01 * len(body)  # nothing came twice
        assert len(fetch.waits) == 10 and max(fetch.waits) == 1.0  # each had brought bytes

    def test_cut_without_progress_is_given_up(self, fetch, server, study_folder, tmp_path):
        server.files[DEM_PATH] = make_tif(tmp_path)
        server.cut_after[DEM_PATH], server.cuts_left[DEM_PATH] = 0, 100
        with pytest.raises(InputError, match="4 tries without progress"):
            fetch("elevation")
        assert fetch.waits == [1.0, 2.0, 4.0]
        assert not (study_folder / "sources" / f"{DEM}.tif").exists()
        assert f"{DEM}.tif" not in read_rows(study_folder)

    def test_interrupted_and_resumed(self, fetch, server, study_folder, tmp_path, monkeypatch):
        server.files[DEM_PATH] = body = make_tif(tmp_path, side=1500)
        seen = []

        def stop(self, done, total):
            seen.append(done)
            if done > 600_000:
                raise KeyboardInterrupt

        monkeypatch.setattr(run._Meter, "report", stop)
        with pytest.raises(KeyboardInterrupt):
            fetch("elevation")
        part = study_folder / "sources" / f"{DEM}.tif.part"
        kept = part.stat().st_size
        assert 0 < kept < len(body) and not part.with_suffix("").exists()
        assert list_leftovers(study_folder) == [f"{DEM}.tif.part", f"{DEM}.tif.part-mark"]
        monkeypatch.undo()
        result = fetch("elevation")
        assert part.with_suffix("").read_bytes() == body
        assert result.bytes == len(body) - kept
        assert list_leftovers(study_folder) == []

    def test_changed_file_is_begun_again(self, fetch, server, study_folder, tmp_path):
        server.files[DEM_PATH] = body = make_tif(tmp_path)
        part = study_folder / "sources" / f"{DEM}.tif.part"
        part.write_bytes(b"x" * 50_000)
        part.with_name(part.name + "-mark").write_text('"of yesterday"')
        fetch("elevation")
        assert part.with_suffix("").read_bytes() == body

    def test_complete_part_is_taken(self, fetch, server, study_folder, tmp_path):
        server.files[DEM_PATH] = body = make_tif(tmp_path)
        part = study_folder / "sources" / f"{DEM}.tif.part"
        part.write_bytes(body)
        part.with_name(part.name + "-mark").write_text('"one"')
        assert fetch("elevation").bytes == 0
        assert part.with_suffix("").read_bytes() == body

    def test_server_without_marks_or_length(self, fetch, server, study_folder, tmp_path):
        """No version to compare with: a part of an earlier run is not glued to what comes."""
        server.files[DEM_PATH] = body = make_tif(tmp_path)
        server.marks[DEM_PATH] = ""
        server.without_length.add(DEM_PATH)
        (study_folder / "sources" / f"{DEM}.tif.part").write_bytes(b"x" * 50_000)
        fetch("elevation")
        assert (study_folder / "sources" / f"{DEM}.tif").read_bytes() == body

    def test_busy_server_is_waited_for(self, fetch, server, study_folder, tmp_path):
        server.files[DEM_PATH] = make_tif(tmp_path)
        server.busy[DEM_PATH] = [(503, "7"), (429, ""), (500, "Wed, 21 Oct 2015 07:28:00 GMT")]
        assert fetch("elevation").fetched == [f"{DEM}.tif"]
        assert fetch.waits == [7.0, 2.0, 0.0]

    def test_too_long_a_wait_is_refused(self, fetch, server, tmp_path):
        server.files[DEM_PATH] = make_tif(tmp_path)
        server.busy[DEM_PATH] = [(503, "86400")]
        with pytest.raises(InputError, match="asks to wait 86400 s"):
            fetch("elevation")
        assert fetch.waits == []

    def test_redirect_is_followed(self, fetch, server, study_folder, tmp_path):
        server.files["/elsewhere.tif"] = make_tif(tmp_path)
        server.redirects[DEM_PATH] = "/elsewhere.tif"
        assert fetch("elevation").fetched == [f"{DEM}.tif"]
        server.redirects["/elsewhere.tif"] = "/elsewhere.tif"
        (study_folder / "sources" / f"{DEM}.tif").unlink()
        with pytest.raises(InputError, match="without end"):
            fetch("elevation")

    def test_web_page_is_no_data(self, fetch, server, study_folder):
        server.files[DEM_PATH] = b"<!DOCTYPE html><html>log in to the network</html>"
        with pytest.raises(InputError, match="is a web page"):
            fetch("elevation")
        assert list_leftovers(study_folder) == []
        assert f"{DEM}.tif" not in read_rows(study_folder)

    def test_speed_is_kept(self, fetch, server, tmp_path):
        server.files[DEM_PATH] = body = make_tif(tmp_path, side=1500)
        fetch("elevation", speed_mb_s=0.5)
        # Each wait makes up for the time that the bytes so far should have taken; here no wait is slept.
        assert max(fetch.waits) > 0.8 * len(body) / 0.5e6 - 1.0
        assert max(fetch.waits) <= len(body) / 0.5e6


class TestChecksums:
    def set_up(self, server, tmp_path) -> bytes:
        body = make_pbf(tmp_path)
        server.files |= {OSM: body, OSM_OTHER: body}
        for path in (OSM, OSM_OTHER):
            server.files[path + ".md5"] = f"{hashlib.md5(body).hexdigest()}  {path}\n".encode()
        return body

    def test_published_checksum_holds(self, fetch, server, study_folder, tmp_path):
        self.set_up(server, tmp_path)
        result = fetch("osm")
        assert sorted(result.fetched) == ["belarus-latest.osm.pbf", "lithuania-latest.osm.pbf"]
        assert read_rows(study_folder)["lithuania-latest.osm.pbf"]["layer"] == "roads"

    def test_wrong_checksum_stops_one_file_only(self, fetch, server, study_folder, tmp_path):
        self.set_up(server, tmp_path)
        server.files[OSM + ".md5"] = b"0" * 32
        with pytest.raises(InputError) as caught:
            fetch("osm")
        assert [fault.file for fault in caught.value.faults] == ["lithuania-latest.osm.pbf"]
        assert "checksum" in str(caught.value) and "publisher" in str(caught.value)
        assert set(read_rows(study_folder)) >= {"belarus-latest.osm.pbf"}
        assert not (study_folder / "sources" / "lithuania-latest.osm.pbf").exists()
        assert list_leftovers(study_folder) == []

    def test_file_changed_here_is_named(self, fetch, server, study_folder, tmp_path):
        server.files[DEM_PATH] = make_tif(tmp_path)
        fetch("elevation")
        path = study_folder / "sources" / f"{DEM}.tif"
        path.write_bytes(path.read_bytes() + b"x")
        with pytest.raises(InputError, match="its checksum differs"):
            fetch("elevation")
        assert path.read_bytes().endswith(b"x")

    def test_file_changed_there_is_named_or_renewed(self, fetch, server, study_folder, tmp_path):
        self.set_up(server, tmp_path)
        server.files[DEM_PATH] = make_tif(tmp_path)
        fetch("elevation", "osm")
        sources = study_folder / "sources"
        for name in (f"{DEM}.tif", "lithuania-latest.osm.pbf"):
            (sources / name).unlink()
        for path, body in ((DEM_PATH, make_tif(tmp_path, side=50)), (OSM, server.files[OSM] + b"\0")):
            server.files[path], server.marks[path] = body, '"two"'
        server.files[OSM + ".md5"] = hashlib.md5(server.files[OSM]).hexdigest().encode()
        with pytest.raises(InputError, match="not the one listed") as caught:
            fetch("elevation", "osm")
        assert [fault.file for fault in caught.value.faults] == [f"{DEM}.tif"]
        row = read_rows(study_folder)["lithuania-latest.osm.pbf"]
        assert row["sha256"] == hashlib.sha256(server.files[OSM]).hexdigest()

    def test_unlisted_file_is_listed(self, fetch, server, study_folder, tmp_path):
        body = make_tif(tmp_path)
        (study_folder / "sources" / f"{DEM}.tif").write_bytes(body)
        assert fetch("elevation").present == [f"{DEM}.tif"]
        assert read_rows(study_folder)[f"{DEM}.tif"]["sha256"] == hashlib.sha256(body).hexdigest()
        assert server.asked == []


class TestDisk:
    def test_too_little_space_is_said_before(self, fetch, server, monkeypatch):
        monkeypatch.setattr(run.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000})())
        with pytest.raises(InputError, match="about 30 MB will come but only 0 MB are free"):
            fetch("elevation")
        assert server.asked == []

    def test_disk_that_fills_up(self, fetch, server, study_folder, tmp_path, monkeypatch):
        server.files[DEM_PATH] = body = make_tif(tmp_path, side=1500)
        true_open = Path.open

        class FullFile:
            def __init__(self, file):
                self.file = file

            def __enter__(self):
                return self

            def __exit__(self, *rest):
                self.file.close()

            def write(self, block):
                if self.file.tell() > 500_000:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return self.file.write(block)

        def open_small(path, mode="r", *rest, **named):
            file = true_open(path, mode, *rest, **named)
            return FullFile(file) if mode == "ab" else file

        monkeypatch.setattr(download.Path, "open", open_small)
        with pytest.raises(InputError, match="the disk is full"):
            fetch("elevation")
        monkeypatch.undo()
        part = study_folder / "sources" / f"{DEM}.tif.part"
        assert part.stat().st_size > 500_000
        assert f"{DEM}.tif" not in read_rows(study_folder)
        assert fetch("elevation").bytes < len(body) - 500_000
        assert part.with_suffix("").read_bytes() == body

    def test_two_at_a_time_are_refused(self, fetch, study_folder):
        with run._lock_sources(study_folder), pytest.raises(InputError, match="another fetch"):
            fetch("elevation")
