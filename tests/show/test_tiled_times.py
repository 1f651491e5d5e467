"""`abatis times --tiles`: the same hours by tiles, and only tiles that changed are measured again."""

from __future__ import annotations

import json

import pytest

from abatis.show.cli import main


def ask(study, capsys, *arguments: str) -> dict[str, list[dict]]:
    capsys.readouterr()
    assert main(["times", str(study), *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_times_by_tiles_are_the_plain_times(study_copy, capsys) -> None:
    first = ask(study_copy, capsys, "--tiles", "5")
    assert len(first["tiled"]) == len(first["times"]) > 0
    for plain, tiled in zip(first["times"], first["tiled"], strict=True):
        assert tiled["approach"] == plain["approach"]
        # Times in tiles are rounded to 2^-36 h.
        assert tiled["hours"] == pytest.approx(plain["hours"], abs=1e-7)
        assert 0 < tiled["filled"] <= tiled["tiles"] == tiled["redone"]
    again = ask(study_copy, capsys, "--tiles", "5")
    assert [row["redone"] for row in again["tiled"]] == [0] * len(again["tiled"])
    assert [row["hours"] for row in again["tiled"]] == [row["hours"] for row in first["tiled"]]
    assert "tiled" not in ask(study_copy, capsys)


def test_slower_roads_redo_only_the_tiles_that_have_them(study_copy, capsys) -> None:
    before = ask(study_copy, capsys, "--tiles", "6")
    speeds = study_copy / "tables" / "speeds.csv"
    lines = speeds.read_text().splitlines()
    header = lines[0].split(",")
    assert header[:7] == ["vehicle", "season", "factor", "word", "low", "mode", "high"]
    changed = []
    for line in lines:
        values = line.split(",")
        if values[2] == "road":
            values[4:7] = [str(0.5 * float(value)) for value in values[4:7]]
        changed.append(",".join(values))
    assert changed != lines
    speeds.write_text("\n".join(changed) + "\n")
    assert main(["build", str(study_copy)]) == 0
    after = ask(study_copy, capsys, "--tiles", "6")
    for plain, tiled, old in zip(after["times"], after["tiled"], before["tiled"], strict=True):
        assert tiled["hours"] == pytest.approx(plain["hours"], abs=1e-7)
        assert 0 < tiled["redone"] < tiled["tiles"] == old["tiles"]


@pytest.mark.parametrize("wrong", ["15", "-1", "many"])
def test_wrong_tiles_are_refused(study_copy, capsys, wrong) -> None:
    assert main(["times", str(study_copy), "--tiles", wrong]) == 1
    assert "tiles" in capsys.readouterr().err
