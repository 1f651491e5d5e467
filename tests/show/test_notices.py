"""The command `abatis notice`: tables, JSON, faults with exit codes."""

from __future__ import annotations

import json

import pytest

from abatis.model.fields import fields_of
from abatis.show.cli import main
from abatis.show.workflow import load_study


@pytest.fixture
def around(study_copy):
    """A study and an outline around all of its cells."""
    _, mesh = load_study(study_copy)
    west, east = mesh.lon.min() - 0.1, mesh.lon.max() + 0.1
    south, north = mesh.lat.min() - 0.1, mesh.lat.max() + 0.1
    ring = f"{west} {south}, {east} {south}, {east} {north}, {west} {north}, {west} {south}"
    return study_copy, mesh, f"POLYGON (({ring}))"


def write_register(folder, outline: str, ends: str = "2026-06-03", extra: str = "") -> None:
    header = ",".join(field.column for field in fields_of("notices"))
    row = f'n1,Exercise,"{outline}",2026-06-01,{ends},exercise,army staff,training,test,G'
    lines = [header + (f",{extra}" if extra else ""), row + (",1" if extra else "")]
    (folder / "tables" / "notices.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_everything_is_touched_by_an_area_over_everything(around, capsys):
    folder, mesh, outline = around
    write_register(folder, outline)
    assert main(["notice", str(folder), "--json"]) == 0
    tables = json.loads(capsys.readouterr().out)
    (row,) = tables["notices"]
    assert row["people"] == pytest.approx(float(mesh.population.sum()), rel=1e-6)
    cropland = float((mesh.cover[:, 0] * mesh.area_km2).sum()) * 100
    assert row["cropland_ha"] == pytest.approx(cropland, rel=1e-5)
    assert sum(one["people"] for one in tables["countries"]) == pytest.approx(row["people"])
    assert {one["country"] for one in tables["countries"]} == set(mesh.country_codes)
    assert tables["overlaps"] == []
    assert main(["notice", str(folder)]) == 0
    assert "army staff" in capsys.readouterr().out


def test_faults_end_with_code_one_and_are_told_together(around, capsys):
    folder, _, outline = around
    write_register(folder, outline, ends="2026-05-01", extra="frequency_mhz")
    assert main(["notice", str(folder)]) == 1
    told = capsys.readouterr().err
    assert "2 faults" in told
    assert "no parameters of emitters" in told
    assert "not after 2026-06-01" in told


def test_no_register_and_unknown_key(around, capsys):
    folder, _, outline = around
    assert main(["notice", str(folder)]) == 1
    assert "holds no emission notice" in capsys.readouterr().err
    write_register(folder, outline)
    assert main(["notice", str(folder), "--notice", "n2"]) == 1
    assert "there is no notice 'n2'" in capsys.readouterr().err
