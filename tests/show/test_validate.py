"""`abatis validate` as a user runs it: table, file, exit codes, and the section of the report."""

from __future__ import annotations

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from abatis.ground.comparison import compare_numbers
from abatis.model.mesh import read_mesh
from abatis.model.study import read_study
from abatis.show.cli import main
from abatis.show.validate import describe_row, read_validation


@pytest.fixture(scope="module")
def validated(solved_folder, tmp_path_factory):
    """A copy of the template's study, validated with one window."""
    folder = tmp_path_factory.mktemp("validated") / "first"
    shutil.copytree(solved_folder, folder)
    assert main(["validate", str(folder), "--windows", "1"]) == 0
    return folder


@pytest.fixture
def copy(validated, tmp_path):
    return shutil.copytree(validated, tmp_path / "copy")


def double_people(folder):
    """Damage the mesh on disk: twice the people in every cell."""
    path = folder / "mesh" / "cells.parquet"
    table = pq.read_table(path)
    place = table.column_names.index("population")
    twice = pa.array(2 * table["population"].to_numpy())
    pq.write_table(table.set_column(place, "population", twice), path)


def test_the_file_says_what_was_compared(validated):
    found = json.loads((validated / "mesh" / "validation.json").read_text())
    mesh = read_mesh(validated)
    assert found["study_hash"] == mesh.study_hash
    assert {"area", "cover", "people"} <= {row["check"] for row in found["rows"]}
    assert found["fits"] == all(row["fits"] for row in found["rows"])
    for row in found["rows"]:
        within = row["low_percent"] <= row["difference_percent"] <= row["high_percent"]
        assert row["fits"] == within, row
    areas = {row["subject"]: row["mesh"] for row in found["rows"] if row["check"] == "area"}
    assert sum(areas.values()) == pytest.approx(float(mesh.area_km2.sum()), rel=1e-4)


def test_json_is_the_file(copy, capsys):
    assert main(["validate", str(copy), "--windows", "0", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    kept = json.loads((copy / "mesh" / "validation.json").read_text())
    assert shown["validation"] == kept["rows"]
    assert sum(row["numbers"] for row in shown["summary"]) == len(kept["rows"])
    assert not any(row["check"] in ("times", "ways") for row in kept["rows"])


def test_a_wrong_mesh_is_told_and_refused_when_strict(copy, capsys):
    double_people(copy)
    assert main(["validate", str(copy), "--windows", "0"]) == 0
    assert "+100.00" in capsys.readouterr().out
    assert main(["validate", str(copy), "--windows", "0", "--strict"]) == 1
    complaint = capsys.readouterr().err
    assert "people, all ground: +100.00 % is not within" in complaint
    # Written before it is refused.
    assert not json.loads((copy / "mesh" / "validation.json").read_text())["fits"]


def test_without_a_mesh_there_is_nothing_to_validate(copy, capsys):
    shutil.rmtree(copy / "mesh")
    assert main(["validate", str(copy)]) == 1
    assert "abatis build" in capsys.readouterr().err


def test_the_report_shows_it(copy):
    assert main(["report", str(copy / "plans" / "base")]) == 0
    html = (copy / "plans" / "base" / "report.html").read_text()
    found = json.loads((copy / "mesh" / "validation.json").read_text())
    section = html.split('<section id="validation"')[1].split("</section>")[0]
    assert 'href="#validation"' in html
    assert f"{len(found['rows'])} numbers of the mesh" in section
    rows = section.split('id="table-validation"')[1].count("<tr")
    assert rows == len(found["rows"]) + 1
    assert section.count('class="missed"') == sum(not row["fits"] for row in found["rows"])


def test_the_report_is_silent_without_it(solved_folder):
    assert 'id="validation"' not in (solved_folder / "plans" / "base" / "report.html").read_text()


def test_a_validation_of_another_mesh_is_left_out(copy):
    study, mesh = read_study(copy), read_mesh(copy)
    assert read_validation(study, mesh) is not None
    double_people(copy)
    assert read_validation(study, read_mesh(copy)) is None


@pytest.mark.parametrize("text", ["", "[]", "{", '{"study_hash": "x"}', '{"rows": 3}'])
def test_a_damaged_file_is_left_out(copy, text):
    (copy / "mesh" / "validation.json").write_text(text)
    assert read_validation(read_study(copy), read_mesh(copy)) is None


def test_a_number_without_a_source_survives_the_file(copy):
    """A difference from nothing is null in JSON and may not break the report."""
    path = copy / "mesh" / "validation.json"
    found = json.loads(path.read_text())
    row = describe_row(compare_numbers("people", "X", "persons", (5.0, 0.0), 1.0))
    assert row["difference_percent"] is None
    assert not row["fits"]
    found["rows"].append(row)
    path.write_text(json.dumps(found))
    assert main(["report", str(copy / "plans" / "base")]) == 0
