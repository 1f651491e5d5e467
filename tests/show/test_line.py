"""`abatis line`: its tables, the lines it writes, and the check of a drawn line."""

from __future__ import annotations

import json

import geopandas as gpd
import pytest
import shapely

from abatis.show.cli import main


def run_json(capsys, *arguments):
    capsys.readouterr()
    code = main([*map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_line_tables_agree_with_one_another(solved_folder, capsys):
    code, answer = run_json(capsys, "line", solved_folder)
    assert code == 0
    assert set(answer) == {"lines", "measures", "works", "weakest", "depth", "placeholders"}
    for line in answer["lines"]:
        for table in ("measures", "works"):
            total = sum(row["cost_eur"] for row in answer[table] if row["line"] == line["line"])
            assert total == pytest.approx(line["cost_eur"])
    assert [row["key"] for row in answer["depth"]] == [line["line"] for line in answer["lines"]]


@pytest.mark.parametrize("name", ["lines.gpkg", "lines.geojson"])
def test_written_lines_close_when_read_back(solved_folder, tmp_path, capsys, name):
    assert main(["line", str(solved_folder), "--write", str(tmp_path / name)]) == 0
    code, answer = run_json(capsys, "line", solved_folder, "--check", tmp_path / name)
    assert code == 0
    assert answer["closed"] is True and answer["leaks"] == []
    assert answer["mending_eur"] == 0 and answer["tolerance_m"] > 0


def test_a_drawn_line_with_a_hole_leaks(solved_folder, tmp_path, capsys):
    assert main(["line", str(solved_folder), "--write", str(tmp_path / "lines.gpkg")]) == 0
    frame = gpd.read_file(tmp_path / "lines.gpkg")
    first = frame[frame["line"] == "e1"]
    corners = shapely.get_coordinates(first.geometry.iloc[0])
    half = len(corners) // 2
    pieces = [shapely.LineString(corners[: half - 2]), shapely.LineString(corners[half + 2 :])]
    gpd.GeoDataFrame(geometry=pieces, crs=frame.crs).to_file(tmp_path / "hole.geojson")
    code, answer = run_json(capsys, "line", solved_folder, "--check", tmp_path / "hole.geojson")
    assert code == 0
    assert answer["closed"] is False and answer["leaks"]
    assert {"gap_m", "mode", "lon", "lat", "hours", "cost_eur"} <= set(answer["leaks"][0])
    hours = [leak["hours"] for leak in answer["leaks"]]
    assert hours == sorted(hours, reverse=True) and hours[0] > 0
    assert main(["line", str(solved_folder), "--check", str(tmp_path / "hole.geojson")]) == 0
    out = capsys.readouterr().out
    assert "hole.geojson leaks at" in out and "to close [EUR]" in out


def test_other_echelons(solved_folder, capsys):
    code, answer = run_json(capsys, "line", solved_folder, "--echelons", "8/20")
    assert code == 0
    assert [line["name"] for line in answer["lines"]] == ["Echelon 1, 0-8 km", "Echelon 2, 8-20 km"]
    assert main(["line", str(solved_folder), "--echelons", "deep"]) == 1
    assert main(["line", str(solved_folder), "--write", "lines.txt"]) == 1
    assert "is no .geojson or .gpkg" in capsys.readouterr().err


def test_terms_in_the_study_change_the_lines(study_copy, capsys):
    before = run_json(capsys, "line", study_copy)[1]
    header = "term,name,kind,echelon,lon,lat,radius_km,file,value,source,tag\n"
    table = study_copy / "tables" / "line_terms.csv"
    table.write_text(header + "smooth,Straight,turn_cost,0,,,,,1000000,test,G\n")
    after = run_json(capsys, "line", study_copy)[1]
    for one, two in zip(before["lines"], after["lines"], strict=True):
        assert two["cost_eur"] >= one["cost_eur"]
    table.write_text(header + "twice,Two lines,line_count,1,,,,,2,test,G\n")
    keys = [line["line"] for line in run_json(capsys, "line", study_copy)[1]["lines"]]
    assert keys == ["e1", "e1-2", "e2"]
    table.write_text(header + "far,Far,must_pass,0,1,50,,,,test,G\nodd,Odd,bend,0,,,,,,test,G\n")
    assert main(["line", str(study_copy)]) == 1
    assert "bend" in capsys.readouterr().err
    table.write_text(header + "far,Far,must_pass,0,1,50,,,,test,G\n")
    assert main(["line", str(study_copy)]) == 1
    assert "'Far' at 1.0000 E, 50.0000 N lies outside the mesh" in capsys.readouterr().err
