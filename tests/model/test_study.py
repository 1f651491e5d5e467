"""Reading a study: every fault at once, with file, row, column and remedy."""

import numpy as np
import pytest

from abatis.model.errors import InputError
from abatis.model.fields import fields_of, parse_value, read_fields, read_table, table_names
from abatis.model.study import hash_mesh_inputs, hash_study, read_study
from abatis.show.new import write_new_study


@pytest.fixture
def folder(tmp_path):
    return write_new_study(tmp_path / "study")


def replace(path, old, new):
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def read_faults(folder):
    with pytest.raises(InputError) as caught:
        read_study(folder)
    return [str(fault) for fault in caught.value.faults]


def test_all_faults_of_all_files_come_at_once(folder):
    replace(folder / "study.toml", "resolution = 7", "resolution = 12\nresolutoin = 7")
    replace(folder / "tables" / "places.csv", "60000", "-5")
    replace(folder / "tables" / "approaches.csv", "tracked,dry", "trackd,dyr")
    replace(folder / "tables" / "measures.csv", "100000,200000,400000", "300000,200000,400000")
    replace(folder / "sources" / "sources.csv", "roads.geojson", "rods.geojson")
    faults = read_faults(folder)
    expected = [
        "study.toml, resolutoin: is an unknown key (did you mean 'resolution'?)",
        "study.toml, resolution: is 12 but must be at most 9",
        "tables/places.csv, row 2, population: is -5 but must be at least 0 (give a number in persons)",
        "tables/approaches.csv, row 2, season: has the unknown word 'dyr' (did you mean 'dry'?)",
        "tables/approaches.csv, row 2, vehicle: 'trackd' is not in tables/vehicles.csv (did you mean",
        "tables/measures.csv, row 2, unit_cost_eur: unit_cost_low_eur, unit_cost_eur, unit_cost_high",
        "sources/sources.csv, row 5, file: file 'rods.geojson' does not exist",
    ]
    for text in expected:
        assert any(text in fault for fault in faults), (text, faults)
    assert len(faults) == len(expected)


@pytest.mark.parametrize(
    ("file", "old", "new", "fault"),
    [
        ("study.toml", 'name = "first_study"', "", "study.toml, name: is missing"),
        ("study.toml", "resolution = 7", "resolution = [", "study.toml: cannot be read"),
        ("study.toml", "[10, 30]", "[30, 10]", "echelons.outer_km: must rise"),
        ("study.toml", '["OTHER"]', '["HOME"]', "is both home and hostile"),
        ("study.toml", "schematic = true", "schematic = 1", "schematic: is '1' (write true or false)"),
        ("tables/places.csv", "bordertown", "capital", "row 3, place: 'capital' stands in row 2 already"),
        ("tables/places.csv", "24.6,", '"24,6",', "is '24,6', not a number (use a point, not a comma)"),
        ("tables/places.csv", "24.6,", "nan,", "row 2, lon: is nan"),
        ("tables/places.csv", "24.6,", "246000,", "is 246000 but must be at most 180 (give a number in deg)"),
        ("tables/places.csv", "place,name", "place,title", "has the unknown column 'title'"),
        ("tables/places.csv", ",HOME,", ",HOME,,", "values under"),
        ("tables/measures.csv", "200000", "-1", "unit_cost_eur: is -1 but must be at least 0"),
        (
            "tables/speeds.csv",
            "dense_forest",
            "dence_forest",
            "is not a cover word (did you mean 'dense_forest'?)",
        ),
        (
            "tables/speeds.csv",
            "any,any,base,open",
            "any,mud,base,open",
            "has no base value for tracked in dry",
        ),
        ("tables/crossings.csv", ",0,30,", ",40,30,", "from_m is not below to_m"),
        ("tables/budget.csv", "3000000", "lots", "is 'lots', not a number (give a number in EUR)"),
        ("tables/fronts.csv", "OTHER", "OTHR", "'OTHR' is not a hostile country (did you mean 'OTHER'?)"),
        ("tables/approaches.csv", ",capital,", ",capitol,", "'capitol' is not in tables/places.csv"),
        ("sources/sources.csv", "borders,borders", "bordres,borders", "has the unknown word 'bordres'"),
    ],
)
def test_one_fault_is_named(folder, file, old, new, fault):
    replace(folder / file, old, new)
    faults = read_faults(folder)
    assert any(fault in one for one in faults), faults


def test_a_changed_source_file_is_noticed_by_its_checksum(folder):
    sources = folder / "sources" / "sources.csv"
    columns = sources.read_text("utf-8").splitlines()[0].split(",")
    line = sources.read_text("utf-8").splitlines()[1].split(",")
    line[columns.index("sha256")] = "0" * 64
    replace(sources, sources.read_text("utf-8").splitlines()[1], ",".join(line))
    assert any("is not the one that was listed" in fault for fault in read_faults(folder))


def test_missing_tables_and_folders_are_named(folder, tmp_path):
    (folder / "tables" / "vehicles.csv").unlink()
    (folder / "tables" / "places.csv").write_bytes(b"\xff\xfe\x00bad")
    faults = read_faults(folder)
    assert any("tables/vehicles.csv: is missing" in fault for fault in faults)
    assert any("tables/places.csv: cannot be read" in fault for fault in faults)
    with pytest.raises(InputError, match=r"has no study\.toml"):
        read_study(tmp_path)


def test_every_column_has_a_meaning_and_defaults_that_pass_their_own_check():
    for field in read_fields():
        assert field.meaning, field
        if field.default not in ("required", "-"):
            assert parse_value(field, "")[1] == "", field


def test_every_table_that_the_fields_know_can_be_read_empty(tmp_path):
    for table in table_names():
        path = tmp_path / "table.csv"
        path.write_text(",".join(field.column for field in fields_of(table)) + "\n", "utf-8")
        frame, faults = read_table(path, table)
        assert not faults
        assert len(frame) == 0
        assert list(frame.columns) == [field.column for field in fields_of(table)]


def test_hashes_follow_what_they_stand_for(folder):
    study = read_study(folder)
    mesh, whole = hash_mesh_inputs(study), hash_study(study)
    replace(folder / "tables" / "budget.csv", "3000000", "4000000")
    assert hash_mesh_inputs(read_study(folder)) == mesh
    assert hash_study(read_study(folder)) != whole
    replace(folder / "study.toml", "strip_km = 20", "strip_km = 15")
    assert hash_mesh_inputs(read_study(folder)) != mesh


def test_empty_numbers_are_nan_and_row_numbers_are_line_numbers(folder):
    study = read_study(folder)
    assert np.isnan(study.tables["fronts"]["west"].iloc[0])
    assert study.tables["places"].index.tolist() == [2, 3]


def test_a_quotation_mark_that_is_never_closed_takes_no_rows_along(tmp_path):
    path = tmp_path / "classes.csv"
    path.write_text('layer,code,word\nroads,1,main\nroads,2,"open street\nroads,3,local\n', "utf-8")
    frame, faults = read_table(path, "classes", "classes.csv")
    assert len(frame) == 0
    assert len(faults) == 1
    assert str(faults[0]).startswith("classes.csv, row 3: cannot be read: ")
    assert "close the quotation mark" in str(faults[0])


def test_a_line_break_in_quotes_stays_and_shifts_no_row_number(tmp_path):
    path = tmp_path / "classes.csv"
    path.write_text('layer,code,word\nroads,1,"two\nlines"\n\nriver,2,last\n', "utf-8")
    frame, faults = read_table(path, "classes", "classes.csv")
    assert frame["word"].iloc[0] == "two\nlines"
    assert frame.index.tolist() == [2, 5]
    assert [fault.row for fault in faults] == [5]
