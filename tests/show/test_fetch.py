"""The command `abatis fetch`: list, question, faults and exit codes."""

from __future__ import annotations

import json

import pytest

from abatis.show.cli import main
from abatis.show.new import write_new_study


@pytest.fixture
def folder(tmp_path):
    return write_new_study(tmp_path / "new")


def test_dry_run_lists_files_and_gets_nothing(folder, capsys):
    before = sorted(path.name for path in (folder / "sources").iterdir())
    words = ["fetch", str(folder), "--layer", "elevation", "--layer", "landcover", "--dry-run"]
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {row["layer"] for row in told["files"]} == {"elevation", "landcover"}
    assert sum(row["size_mb"] for row in told["layers"]) == sum(row["size_mb"] for row in told["files"])
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert f"{len(told['files'])} files, about" in shown and "CC-BY-4.0" in shown
    assert sorted(path.name for path in (folder / "sources").iterdir()) == before


def test_without_a_terminal_yes_is_needed(folder, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", type("Pipe", (), {"isatty": lambda self: False})())
    assert main(["fetch", str(folder), "--layer", "soil"]) == 1
    assert "--yes" in capsys.readouterr().err


def test_faults_end_in_words(folder, tmp_path, capsys):
    assert main(["fetch", str(folder), "--layer", "sol", "--dry-run"]) == 1
    assert "did you mean 'soil'" in capsys.readouterr().err
    assert main(["fetch", str(folder), "--dry-run"]) == 1
    assert "country 'HOME' is not in the table of regions" in capsys.readouterr().err
    assert main(["fetch", str(tmp_path), "--yes"]) == 1
    assert "has no study.toml" in capsys.readouterr().err
    assert main(["fetch", str(folder), "--layer", "soil", "--mirror", "http://127.0.0.1:1", "--yes"]) == 1
    told = capsys.readouterr().err
    assert "to fetch" in told and "no connection" in told
