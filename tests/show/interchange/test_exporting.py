"""`abatis export`: all or nothing, the public's part, the same bytes again."""

from __future__ import annotations

import errno
import hashlib
import json

import geopandas as gpd
import pyogrio
import pytest
from tests.show.interchange.conftest import keep_quiet

from abatis.model.errors import InputError
from abatis.show.cli import main
from abatis.show.interchange.exporting import WRITERS, export_results, read_formats

PUBLIC = ("gpkg", "geoparquet", "geojson", "kml", "xlsx")


def list_bytes(folder):
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_contents_list_every_file_with_its_hash(exported):
    contents = json.loads((exported / "export.json").read_text("utf-8"))
    files = list_bytes(exported)
    files.pop("export.json")
    assert {one["file"]: one["sha256"] for one in contents["files"]} == {
        name: hashlib.sha256(data).hexdigest() for name, data in files.items()
    }
    assert {one["format"] for one in contents["files"]} == set(WRITERS)
    assert contents["public"] is False
    assert any("hexagons" in one for one in contents["left_out"])


def test_same_plan_gives_the_same_bytes(exported, results, tmp_path):
    export_results(results, tuple(WRITERS), tmp_path / "again", False, keep_quiet)
    assert list_bytes(tmp_path / "again") == list_bytes(exported)


def test_public_part_holds_no_place_of_a_work(results, tmp_path):
    folder = tmp_path / "public"
    export_results(results, PUBLIC, folder, True, keep_quiet)
    assert set(pyogrio.list_layers(folder / "base.gpkg")[:, 0]) == {"cells", "places", "layer_styles"}
    assert [path.name for path in sorted((folder / "geojson").iterdir())] == [
        "cells.geojson",
        "places.geojson",
    ]
    assert pyogrio.list_layers(folder / "base.kml")[:, 0].tolist() == ["Places"]
    assert set(gpd.read_file(folder / "base.gpkg", layer="cells").columns) == {
        "h3", "country", "main_cover", "population", "protected_share", "border_km", "geometry",
    }  # fmt: skip
    secret = {one.site.key for one in results.chosen} | {one.option.name for one in results.chosen}
    secret |= {one.key for one in results.siting.lines} | {one.name for one in results.siting.lines}
    secret |= {f"{approach.key}_after_h" for approach in results.approaches} | {
        "delay_",
        "gained_h",
        "_before_h",
    }
    # Words of two letters stand by chance in any binary file.
    secret = {word for word in secret if len(word) > 4}
    assert len(secret) > 8
    for name, data in list_bytes(folder).items():
        assert not [word for word in secret if word.encode() in data], name
    sheets = gpd.list_layers(folder / "base.xlsx")["name"].tolist()
    assert sheets == ["Read me", "Plan", "Budget"]
    rows = [list(gpd.read_file(folder / "base.xlsx", layer=one).to_numpy().ravel()) for one in sheets]
    assert not [word for word in secret for row in rows for cell in row if word in str(cell)]


def test_styles_of_the_public_part_name_its_columns(results, tmp_path):
    export_results(results, ("gpkg",), tmp_path / "public", True, keep_quiet)
    path = tmp_path / "public" / "base.gpkg"
    columns = {name: set(gpd.read_file(path, layer=name, rows=1).columns) for name in ("cells", "places")}
    styles = pyogrio.read_dataframe(path, layer="layer_styles")
    assert set(styles["f_table_name"]) == set(columns)
    for _, row in styles.iterrows():
        assert "objective" not in row["styleQML"]
        assert "gained_h" not in row["styleQML"]
    assert 'attr="border_km"' in styles.set_index("f_table_name")["styleQML"]["cells"]


def test_a_public_export_leaves_nothing_of_an_earlier_full_one(results, tmp_path):
    folder = tmp_path / "out"
    export_results(results, tuple(WRITERS), folder, False, keep_quiet)
    assert (folder / "base.nvg").exists()
    export_results(results, ("geojson",), folder, True, keep_quiet)
    assert set(list_bytes(folder)) == {"export.json", "geojson/cells.geojson", "geojson/places.geojson"}
    assert [one.name for one in tmp_path.iterdir()] == ["out"]


def test_a_folder_with_other_things_is_refused(results, tmp_path):
    folder = tmp_path / "mine"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "letter.txt").write_text("keep me")
    with pytest.raises(InputError, match=r"deep/letter\.txt"):
        export_results(results, ("kml",), folder, False, keep_quiet)
    assert list_bytes(folder) == {"deep/letter.txt": b"keep me"}
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is not a folder"):
        export_results(results, ("kml",), tmp_path / "file", False, keep_quiet)


@pytest.mark.parametrize("format_name", list(WRITERS))
def test_a_failure_in_any_format_leaves_the_earlier_export(format_name, results, tmp_path, monkeypatch):
    folder = tmp_path / "out"
    export_results(results, ("geojson",), folder, True, keep_quiet)
    before = list_bytes(folder)
    real = WRITERS[format_name]

    def fail_at_the_end(part, given):
        real(part, given)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setitem(WRITERS, format_name, fail_at_the_end)
    with pytest.raises(InputError, match="no space left"):
        export_results(results, tuple(WRITERS), folder, False, keep_quiet)
    assert list_bytes(folder) == before
    assert [one.name for one in tmp_path.iterdir()] == ["out"]


def test_the_earlier_export_comes_back_when_the_last_step_fails(results, tmp_path, monkeypatch):
    folder = tmp_path / "out"
    export_results(results, ("geojson",), folder, True, keep_quiet)
    before = list_bytes(folder)
    kind = type(folder)
    real = kind.replace

    def refuse(self, target):
        if self.name == "new":
            raise OSError(errno.EIO, "Input/output error")
        return real(self, target)

    monkeypatch.setattr(kind, "replace", refuse)
    with pytest.raises(InputError, match="input/output error"):
        export_results(results, ("kml",), folder, False, keep_quiet)
    monkeypatch.undo()
    assert list_bytes(folder) == before
    assert [one.name for one in tmp_path.iterdir()] == ["out"]


def test_the_folder_one_stands_in_can_be_written(results, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    export_results(results, ("kml",), type(tmp_path)("."), False, keep_quiet)
    assert set(list_bytes(tmp_path / "here")) == {"base.kml", "export.json"}
    assert [one.name for one in tmp_path.iterdir()] == ["here"]


def test_formats_are_read_with_all_faults():
    with pytest.raises(InputError) as caught:
        read_formats("gpgk,nvg,shape", public=True)
    told = [str(fault) for fault in caught.value.faults]
    assert len(told) == 3
    assert "did you mean 'gpkg'?" in told[0]
    assert "public" in told[2]
    with pytest.raises(InputError, match="names no format"):
        read_formats(" , ", public=False)


def test_command_writes_and_tells(solved_folder, tmp_path, capsys):
    plan, folder = solved_folder / "plans" / "base", tmp_path / "out"
    asked = ["export", str(plan), "--format", "geojson,xlsx", "--write", str(folder), "--json"]
    assert main(asked) == 0
    rows = json.loads(capsys.readouterr().out)["files"]
    assert {row["file"] for row in rows} == {str(folder.resolve() / one["file"]) for one in json.loads(
        (folder / "export.json").read_text("utf-8"))["files"]}  # fmt: skip
    assert main([*asked[:3], "doc", *asked[4:]]) == 1
    assert main(["export", str(solved_folder / "plans" / "none"), *asked[2:5], str(tmp_path / "o2")]) == 1
    assert not (tmp_path / "o2").exists()
