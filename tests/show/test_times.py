"""Arrival times in another season than the approaches name."""

from __future__ import annotations

import dataclasses
import json

import pandas as pd
import pytest

from abatis.model.errors import InputError
from abatis.show.cli import main
from abatis.show.times import change_season, check_times, tabulate_limits


def test_times_in_another_season(study_copy, capsys):
    """The template knows no seasons: only what is asked changes; a thaw row slows; a wrong word is named."""

    def read_hours(*options):
        capsys.readouterr()
        assert main(["times", str(study_copy), "--json", *options]) == 0
        return json.loads(capsys.readouterr().out)

    dry, thaw = read_hours(), read_hours("--season", "thaw")
    assert {row["season"] for row in thaw["times"]} == {"thaw"}
    assert [row["hours"] for row in thaw["times"]] == [row["hours"] for row in dry["times"]]
    assert main(["times", str(study_copy), "--season", "thew"]) == 1
    assert "did you mean 'thaw'?" in capsys.readouterr().err
    assert main(["times", str(study_copy), "--season", "thew", "--approach", "esat", "--tiles", "9"]) == 1
    told = capsys.readouterr().err
    assert all(word in told for word in ("3 faults", "--approach: there is no", "--season", "--tiles: tiles"))


@pytest.mark.parametrize(
    ("approach", "season", "tiles", "columns"),
    [
        ("", "", None, []),
        ("esat", "wet", 9, ["--approach", "--season", "--tiles"]),
        ("", "dry", -1, ["--tiles"]),
    ],
)
def test_faults_of_what_is_asked_are_named_together(results, approach, season, tiles, columns):
    faults = []
    try:
        check_times(results.study, results.mesh, approach, season, tiles)
    except InputError as error:
        faults = list(error.faults)
    assert [fault.column for fault in faults] == columns
    assert all(fault.remedy and not fault.file for fault in faults)


def test_what_a_mesh_cannot_show_of_another_season(results):
    """Wetland opened by frost was closed when the mesh was built for dry ground: that is said."""
    study, mesh = results.study, results.mesh
    assert tabulate_limits(study, mesh, change_season(study, "frozen")) is None
    speeds = study.tables["speeds"]
    shut = speeds.copy()
    shut.loc[shut["word"] == "wetland", ["low", "mode", "high"]] = 0.0
    frost = shut[shut["word"] == "wetland"].assign(season="frozen", low=0.1, mode=0.2, high=0.3)
    closed = dataclasses.replace(study, tables={**study.tables, "speeds": pd.concat([shut, frost])})
    told = tabulate_limits(closed, mesh, change_season(closed, "frozen"))
    assert "wetland can be passed in this season but is closed in the mesh" in told.rows[0]["limit"]
    bare = shut[~((shut["factor"] == "road") & (shut["word"] == "track"))].assign(season="dry")
    lost = dataclasses.replace(study, tables={**study.tables, "speeds": bare})
    with pytest.raises(InputError, match="has no base value for tracked in thaw") as caught:
        change_season(lost, "thaw")
    assert "has no road value" in str(caught.value)
