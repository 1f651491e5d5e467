"""The hazard register: one area suspected, confirmed, cancelled, reduced, cleared; what is refused; files."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import date
from pathlib import Path

import numpy as np
import openpyxl
import pytest
import shapely
from people_cases import ACTIVITIES, AREA, PIECE, RELEASES, WORK, draw_box, write_register, write_table
from pyproj import Geod

from abatis.model.errors import InputError
from abatis.model.study import read_study
from abatis.people.hazard_files import (
    export_hazards,
    format_table,
    import_hazards,
    make_global_id,
    read_exchange_names,
)
from abatis.people.hazards import TABLES, count_people, measure_area, read_hazards
from abatis.show.cli import main

BOX = draw_box(25.0, 54.9, 25.01, 54.91)


@pytest.fixture
def register(folder):
    write_register(folder, [AREA], ACTIVITIES, RELEASES)
    return folder


def find_faults(folder) -> list[str]:
    with pytest.raises(InputError) as caught:
        read_hazards(read_study(folder))
    return [str(fault) for fault in caught.value.faults]


def hash_tables(folder) -> dict[str, str]:
    return {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in (folder / "tables").iterdir()}


def test_an_area_is_suspected_confirmed_cancelled_reduced_cleared_and_handed_over(register):
    study = read_study(register)
    expected = {
        "2024-01-09": None,
        "2024-01-10": ("SHA", "open", 0, 0, 0, 100000),
        "2024-02-01": ("SHA", "open", 20000, 0, 0, 80000),
        "2024-03-01": ("CHA", "open", 20000, 0, 0, 80000),
        "2024-05-01": ("CHA", "open", 20000, 0, 0, 80000),
        "2024-05-02": ("CHA", "open", 20000, 30000, 0, 50000),
        "2025-06-02": ("CHA", "open", 20000, 30000, 50000, 0),
        "2025-06-30": ("CHA", "closed", 20000, 30000, 50000, 0),
        "2025-07-15": ("CHA", "handed_over", 20000, 30000, 50000, 0),
    }
    for day, values in expected.items():
        found = read_hazards(study, date.fromisoformat(day))
        if values is None:
            assert found == ()
            continue
        (one,) = found
        account = one.account
        assert values == (
            one.kind,
            one.status,
            account.cancelled_m2,
            account.reduced_m2,
            account.cleared_m2,
            account.remaining_m2,
        ), day
    assert read_hazards(study) == read_hazards(study, date(2025, 7, 15))


def test_outlines_are_measured_on_the_ellipsoid_whichever_way_they_turn():
    box = shapely.from_wkt(BOX)
    east = Geod(ellps="WGS84").inv(25.0, 54.905, 25.01, 54.905)[2]
    north = Geod(ellps="WGS84").inv(25.0, 54.9, 25.0, 54.91)[2]
    assert measure_area(box) == pytest.approx(east * north, rel=1e-4)
    assert measure_area(shapely.reverse(box)) == measure_area(box)


@pytest.mark.parametrize(
    ("table", "change", "fault"),
    [
        ("hazards", {"state": "LTU"}, "row 2, state: 'LTU' is an unknown state"),
        (
            "hazards",
            {"perimeter": "POLYGON ((25 54.9, 25.01 54.91, 25.01 54.9, 25 54.91, 25 54.9))"},
            "crosses itself",
        ),
        ("hazards", {"perimeter": BOX, "area_m2": 900000}, "says 900,000 m2, the outline 71"),
        (
            "hazards",
            {"perimeter": draw_box(25.0, 54.9, 25.00001, 54.90001), "area_m2": ""},
            "no place of single devices",
        ),
        ("hazards", {"perimeter": draw_box(500000, 6000000, 500900, 6000900)}, "is not in degrees"),
        ("hazards", {"perimeter": "POINT (25 54.9)"}, "is a Point, not a polygon"),
        ("hazards", {"area_m2": ""}, "row 2, area_m2: has neither an area nor an outline"),
        ("hazards", {"closed": "2024-02-28"}, "closed 2024-02-28 lies before confirmed 2024-03-01"),
        ("hazards", {"handed_over": "2025-06-29"}, "handed_over 2025-06-29 lies before closed"),
        ("hazards", {"opened": "2024-02-30"}, "row 2, opened: is '2024-02-30', no day of the calendar"),
        ("hazards", {"status": "open"}, "closed: is 2025-06-30 while the status is open"),
        ("hazards", {"handed_over": ""}, "handed_over: is missing while the status is handed_over"),
        ("hazards", {"evidence": "indirect"}, "a confirmed area without direct evidence"),
        ("hazards", {"kind": "SHA"}, "kind: a suspected area with direct evidence"),
        ("hazards", {"blocked_use": "farm roda"}, "has the unknown word 'roda' (did you mean 'road'?)"),
        ("hazards", {"origin": "reserve_belt"}, "belt: is missing while the origin is a reserve belt"),
        ("hazards", {"belt": "b9"}, "belt: 'b9' is not in tables/belts.csv"),
        (
            "hazards",
            {"owner": "ona@example.org"},
            "owner: holds 'ona@example.org': abatis keeps no personal data",
        ),
        ("hazards", {"area_m2": 120000}, "is handed_over while 20,000 m2 remain"),
        ("hazards", {"area_m2": 90000}, "100,000 m2 are released of 'h1', which has 90,000 m2"),
        (
            "hazard_activities",
            {"end": "2023-11-30"},
            "row 2, end: end 2023-11-30 lies before start 2023-12-01",
        ),
        ("hazard_activities", {"end": ""}, "end: is missing while the work is completed"),
        ("hazard_activities", {"status": "planned"}, "'survey' is planned: it releases nothing yet"),
        ("hazard_activities", {"kind": "TS", "start": "2024-01-12"}, "ground is cancelled by NTS, not by TS"),
        ("hazard_activities", {"lat": ""}, "row 2, lon: has no reference point"),
        ("hazard_activities", {"kind": "EOD"}, "the place of a disposal is the place of a device"),
        ("hazard_activities", {"method": "call +370 600 12345"}, "abatis keeps no personal data"),
        ("hazard_releases", {"area_m2": ""}, "row 2, area_m2: has neither an area nor an outline"),
        ("hazard_releases", {"kind": "cleared"}, "row 2, depth_m: is missing"),
        ("hazard_releases", {"date": "2023-12-31"}, "date 2023-12-31 lies before opened 2024-01-10"),
        ("hazard_releases", {"date": "2025-07-01"}, "closed 2025-06-30 lies before date 2025-07-01"),
        ("hazard_releases", {"activity": "technical"}, "ground is cancelled by NTS, not by TS"),
    ],
)
def test_one_fault_is_named(register, table, change, fault):
    first = {"hazards": AREA, "hazard_activities": ACTIVITIES[0], "hazard_releases": RELEASES[0]}[table]
    rows = {"hazards": [AREA], "hazard_activities": ACTIVITIES, "hazard_releases": RELEASES}
    rows[table] = [{**first, **change}, *rows[table][1:]]
    write_register(register, *rows.values())
    faults = find_faults(register)
    assert any(fault in one for one in faults), faults


def test_negative_people_and_areas_are_refused_with_everything_else(register):
    bad = {**AREA, "beneficiaries": -3, "area_m2": -1, "kind": "XHA"}
    write_register(register, [bad], [{**ACTIVITIES[0], "hazard": "h9"}], RELEASES[:1])
    with pytest.raises(InputError) as caught:
        read_study(register)
    faults = "\n".join(str(fault) for fault in caught.value.faults)
    for text in (
        "beneficiaries: is -3 but must be at least 0",
        "area_m2: is -1 but",
        "'XHA'",
        "'h9' is not in",
    ):
        assert text in faults


def test_releases_lie_inside_and_count_no_ground_twice(folder):
    area = {**AREA, "perimeter": BOX, "area_m2": "", "status": "open", "closed": "", "handed_over": ""}
    pieces = [
        {**RELEASES[0], "area_m2": "", "perimeter": draw_box(25.0, 54.9, 25.004, 54.91)},
        {**RELEASES[1], "area_m2": "", "perimeter": draw_box(25.002, 54.9, 25.006, 54.91)},
        {**RELEASES[2], "area_m2": "", "perimeter": draw_box(25.008, 54.9, 25.012, 54.91)},
    ]
    write_register(folder, [area], ACTIVITIES, pieces)
    faults = find_faults(folder)
    assert len(faults) == 3
    assert any("856,891 m2 are released of 'h1', which has 714,076 m2" in one for one in faults)
    assert any("row 3, perimeter: releases ground that row 2 released already" in one for one in faults)
    assert any("row 4, perimeter: 50% of it lie outside the hazardous area" in one for one in faults)
    pieces[1]["perimeter"] = draw_box(25.004, 54.9, 25.006, 54.91)
    pieces[2]["perimeter"] = draw_box(25.006, 54.9, 25.008, 54.91)
    write_register(folder, [area], ACTIVITIES, pieces)
    (one,) = read_hazards(read_study(folder))
    assert one.account.cancelled_m2 == pytest.approx(0.4 * one.account.area_m2)
    assert one.account.remaining_m2 == pytest.approx(0.2 * one.account.area_m2)


def test_people_within_1_and_5_km_are_exact_around_a_box():
    box = shapely.from_wkt(draw_box(25.0, 54.9, 25.02, 54.91))
    geod = Geod(ellps="WGS84")
    # Cells due north of the box's edge at known distances, one inside, one east of it.
    lat = [geod.fwd(25.01, 54.91, 0.0, km * 1000)[1] for km in (0.99, 1.01, 4.99, 5.01)]
    east = geod.fwd(25.02, 54.905, 90.0, 999.0)
    lon = np.array([25.01] * 4 + [25.01, east[0]])
    population = np.array([1.0, 10.0, 100.0, 1000.0, 10000.0, 100000.0])
    found = count_people(lon, np.array([*lat, 54.905, east[1]]), population, box, (1.0, 5.0))
    assert found == (110001.0, 110111.0)


@pytest.mark.parametrize("name", ["exchange", "register.xlsx", "register.geojson"])
def test_what_is_exported_is_imported_again(register, tmp_path, name):
    area = {**AREA, "hazard": "h2", "perimeter": BOX, "area_m2": "", "kind": "SHA", "evidence": "indirect"}
    area |= {"status": "open", "confirmed": "", "closed": "", "handed_over": "", "marked": "true"}
    area |= {"name": 'Miškas, "šiaurė"', "inspected": "2025-05"}
    work = {
        **WORK,
        "hazard": "h2",
        "activity": "second",
        "kind": "NTS",
        "start": "2025-01-01",
        "end": "2025-01-02",
    }
    piece = {
        **PIECE,
        "hazard": "h2",
        "release": "r9",
        "activity": "second",
        "kind": "cancelled",
        "date": "2025-01-03",
    }
    piece["perimeter"] = draw_box(25.0, 54.9, 25.005, 54.91)
    write_register(register, [AREA, area], [*ACTIVITIES, work], [*RELEASES, piece])
    study = read_study(register)
    path = tmp_path / name
    assert export_hazards(study, path) == {"hazards": 2, "hazard_activities": 5, "hazard_releases": 4}
    for table in TABLES:
        (register / "tables" / f"{table}.csv").unlink()
    empty = read_study(register)
    assert import_hazards(empty, path) == {"hazards": 2, "hazard_activities": 5, "hazard_releases": 4}
    again = read_study(register)
    for table in TABLES:
        assert format_table(again.tables[table], table) == format_table(study.tables[table], table)
    assert read_hazards(again) == read_hazards(study)
    # Reading the same file once more changes nothing.
    before = hash_tables(register)
    import_hazards(again, path)
    assert hash_tables(register) == before


def test_exchanged_names_cover_every_column_once():
    from abatis.model.fields import fields_of

    for table, names in read_exchange_names().items():
        assert list(names) == [field.column for field in fields_of(table)]
        assert len(set(names.values())) == len(names)
    assert make_global_id("hazards", "a") != make_global_id("hazard_releases", "a")


def test_geojson_keeps_longitude_first_and_spot_work_without_a_place(register, tmp_path):
    export_hazards(read_study(register), tmp_path / "x.geojson")
    features = json.loads((tmp_path / "x.geojson").read_text("utf-8"))["features"]
    by_key = {
        one["properties"].get("activity_id"): one
        for one in features
        if one["properties"]["object"] == "activity"
    }
    assert by_key["survey"]["geometry"] == {"type": "Point", "coordinates": [25.0, 54.9]}
    assert by_key["spot"]["geometry"] is None


def export_csv(register, tmp_path) -> Path:
    export_hazards(read_study(register), tmp_path / "csv")
    return tmp_path / "csv"


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def import_faults(register, path) -> list[str]:
    before = hash_tables(register)
    with pytest.raises(InputError) as caught:
        import_hazards(read_study(register), path)
    assert hash_tables(register) == before
    return [str(fault) for fault in caught.value.faults]


def test_an_import_that_fails_names_all_faults_and_changes_nothing(register, tmp_path):
    folder = export_csv(register, tmp_path)
    change(folder / "hazards.csv", ",LT,", ",LTU,")
    change(folder / "hazards.csv", "2024-03-01", "2024-13-01")
    change(folder / "hazard_releases.csv", ",20000,", ",-20000,")
    change(folder / "hazard_activities.csv", ",NTS,", ",NTX,")
    faults = import_faults(register, folder)
    assert len(faults) == 2
    for text in (
        "csv/hazard_releases.csv, row 2, area_m2: is -20000",
        "csv/hazard_activities.csv, row 2, kind: has the",
    ):
        assert any(text in one for one in faults), faults
    change(folder / "hazard_releases.csv", ",-20000,", ",20000,")
    change(folder / "hazard_activities.csv", ",NTX,", ",NTS,")
    faults = import_faults(register, folder)
    assert any("csv/hazards.csv, row 2, state: 'LTU' is an unknown state" in one for one in faults)
    assert any("confirmed: is '2024-13-01', no day" in one for one in faults)


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ("device_latitude", "no place of single devices"), ("ordnance_x", "no place of single devices"),
        ("Location of mine", "no place of single devices"), ("mine_depth", "no place of single devices"),
        ("victim_name", "no personal data"), ("Date of birth", "no personal data"),
        ("contact_phone", "no personal data"), ("colour", "has the unknown column 'colour'"),
    ],
)  # fmt: skip
def test_columns_out_of_scope_are_refused_with_the_reason(register, tmp_path, column, reason):
    folder = export_csv(register, tmp_path)
    path = folder / "hazards.csv"
    header, *lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([f"{header},{column}", *(f"{line},1" for line in lines)]) + "\n", "utf-8")
    faults = import_faults(register, folder)
    assert len(faults) == 1
    assert reason in faults[0]
    assert column in faults[0]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("victims", "no personal data"),
        ("accidents", "no personal data"),
        ("devices", "no place of single devices"),
    ],
)
def test_parts_out_of_scope_are_refused_with_the_reason(register, tmp_path, name, reason):
    folder = export_csv(register, tmp_path)
    (folder / f"{name}.csv").write_text("a\n1\n", "utf-8")
    assert [reason in fault for fault in import_faults(register, folder)] == [True]
    export_hazards(read_study(register), tmp_path / "x.xlsx")
    book = openpyxl.load_workbook(tmp_path / "x.xlsx")
    book.create_sheet(name).append(["a"])
    book.save(tmp_path / "x.xlsx")
    assert [reason in fault for fault in import_faults(register, tmp_path / "x.xlsx")] == [True]
    export_hazards(read_study(register), tmp_path / "x.geojson")
    value = json.loads((tmp_path / "x.geojson").read_text("utf-8"))
    value["features"].append({"type": "Feature", "geometry": None, "properties": {"object": name}})
    (tmp_path / "x.geojson").write_text(json.dumps(value), "utf-8")
    (fault,) = import_faults(register, tmp_path / "x.geojson")
    assert reason in fault
    assert f"row {len(value['features'])}" in fault


def test_faults_against_rows_already_there_name_the_studys_own_table(register, tmp_path):
    folder = tmp_path / "csv"
    folder.mkdir()
    row = {**RELEASES[0], "release": "r8", "area_m2": 5000}
    names = ",".join(row)
    (folder / "hazard_releases.csv").write_text(f"{names}\n{','.join(map(str, row.values()))}\n", "utf-8")
    (fault,) = import_faults(register, folder)
    assert "105,000 m2 are released of 'h1', which has 100,000 m2" in fault
    change(folder / "hazard_releases.csv", "h1", "h7")
    (fault,) = import_faults(register, folder)
    assert "csv/hazard_releases.csv, row 2, hazard: 'h7' is no hazard of the register" in fault


@pytest.mark.parametrize(
    "name", ["missing.geojson", "register.shp", "empty", "rubbish.geojson", "rubbish.xlsx"]
)
def test_unusable_files_are_named(register, tmp_path, name):
    path = tmp_path / name
    if name == "empty":
        path.mkdir()
    elif name.startswith("rubbish"):
        path.write_text("{]", "utf-8")
    (fault,) = import_faults(register, path)
    assert name in fault


def test_xlsx_holds_numbers_as_numbers(register, tmp_path):
    export_hazards(read_study(register), tmp_path / "x.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "x.xlsx")["hazards"]
    header = [cell.value for cell in sheet[1]]
    assert sheet[2][header.index("area_size_m2")].value == 100000
    assert re.fullmatch(r"\{[0-9A-F-]{36}\}", sheet[2][header.index("globalid")].value)


def test_command_moves_the_register(register, tmp_path, capsys):
    path = tmp_path / "x.geojson"
    assert main(["clearance", str(register), "--export", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["register"][0] == {
        "what": "written",
        "table": "hazards",
        "rows": 1,
    }
    write_table(register, "hazard_releases", [])
    write_table(register, "hazard_activities", [])
    write_table(register, "hazards", [])
    assert main(["clearance", str(register), "--import", str(path)]) == 0
    assert read_hazards(read_study(register))[0].account.cleared_m2 == 50000
    capsys.readouterr()
    path.write_text(path.read_text("utf-8").replace('"LT"', '"XX"'), "utf-8")
    before = hash_tables(register)
    assert main(["clearance", str(register), "--import", str(path)]) == 1
    assert "'XX' is an unknown state" in capsys.readouterr().err
    assert hash_tables(register) == before
