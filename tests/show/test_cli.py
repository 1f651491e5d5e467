"""The command line: what it prints, what it returns, what it leaves behind."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from abatis.barrier.proof import make_certificate
from abatis.barrier.solve import solve_problem
from abatis.model.errors import AbatisError, InfeasibleError, InputError, SizeError
from abatis.show import cli, workflow
from abatis.show.cli import app, main

COMMANDS = [
    "new",
    "fields",
    "build",
    "check",
    "times",
    "line",
    "solve",
    "compare",
    "report",
    "verify",
    "demo",
    "why",
    "curve",
    "interdict",
]


def run_process(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "abatis.show.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)


def hash_files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def add_row(path: Path, **values: str) -> None:
    with path.open(encoding="utf-8") as file:
        header = next(csv.reader(file))
    with path.open("a", encoding="utf-8", newline="") as file:
        csv.DictWriter(file, header, lineterminator="\n").writerow(values)


def test_help_names_every_command():
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    listed = {
        line.split()[0] for line in result.stdout.splitlines() if line.startswith("  ") and line.split()
    }
    assert set(COMMANDS) <= listed
    for command in COMMANDS:
        assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0


def test_version_and_wrong_use_in_a_real_process():
    fine = run_process("--version")
    assert (fine.returncode, fine.stdout.split()[0]) == (0, "abatis")
    for wrong in (["nosuch"], ["solve"], ["times", "x", "--avenues", "many"], []):
        ended = run_process(*wrong)
        assert ended.returncode == 1, wrong
        assert "Traceback" not in ended.stderr


def test_new_study_is_fine_and_is_not_overwritten(tmp_path, capsys):
    folder = tmp_path / "new"
    assert main(["new", str(folder)]) == 0
    assert main(["check", str(folder), "--json"]) == 0
    printed = capsys.readouterr().out
    size = json.loads(printed)
    assert size["fine"] is True
    assert size["cells"] > 0
    before = hash_files(folder)
    assert main(["new", str(folder)]) == 1
    assert hash_files(folder) == before
    assert main(["new", str(tmp_path / "other"), "--example", "lithuaina"]) == 1
    assert "did you mean 'lithuania'" in capsys.readouterr().err


def test_new_explains_every_setting(tmp_path):
    from abatis.model.fields import fields_of

    assert main(["new", str(tmp_path / "new")]) == 0
    text = (tmp_path / "new" / "study.toml").read_text(encoding="utf-8")
    for field in fields_of("study.toml"):
        assert f"# {field.meaning}" in text


def test_check_lists_every_fault_at_once(tmp_path, capsys):
    folder = tmp_path / "bad"
    main(["new", str(folder)])
    settings = folder / "study.toml"
    settings.write_text(settings.read_text().replace("resolution = 7", "resolution = 12\nresolutoin = 7"))
    places = folder / "tables" / "places.csv"
    places.write_text(places.read_text().replace("4000", "-4000").replace("town", "twon", 1))
    capsys.readouterr()
    assert main(["check", str(folder)]) == 1
    errors = capsys.readouterr().err
    for word in ("resolutoin", "did you mean 'resolution'", "at most 9", "-4000", "row 3", "did you mean"):
        assert word in errors
    assert main(["check", str(folder), "--json"]) == 1
    listed = json.loads(capsys.readouterr().out)
    assert listed["fine"] is False
    assert {fault["file"] for fault in listed["faults"]} >= {"study.toml", "tables/places.csv"}


def test_check_names_sources_that_a_build_cannot_read(tmp_path, capsys):
    folder = tmp_path / "torn"
    main(["new", str(folder)])
    for name in ("roads", "water"):
        with (folder / "sources" / f"{name}.geojson").open("a", encoding="utf-8") as file:
            file.write("x")
    (folder / "tables" / "sensors.csv").write_text("sensor,nonsense\na,b\n", encoding="utf-8")
    capsys.readouterr()
    assert main(["check", str(folder), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["fine"] is False
    torn = {fault["file"]: fault for fault in told["faults"] if "cannot be read" in fault["problem"]}
    assert set(torn) == {f"sources/sources.csv ({name}.geojson)" for name in ("roads", "water")}
    assert all(fault["remedy"] and fault["row"] for fault in torn.values())
    assert any("sensors" in fault["file"] for fault in told["faults"]), "tables and sources come together"
    assert main(["build", str(folder)]) == 1
    assert "(roads.geojson)" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "STUDY"], ["times", "STUDY", "--avenues", "2"], ["line", "STUDY"], ["fields", "places"],
        ["compare", "PLAN", "PLAN"], ["verify", "PLAN"], ["report", "PLAN"],
    ],
    ids=lambda arguments: arguments[0],
)  # fmt: skip
def test_json_is_pure_on_standard_output(study_copy, arguments, capsys):
    words = {"STUDY": str(study_copy), "PLAN": str(study_copy / "plans" / "base")}
    assert main([words.get(word, word) for word in arguments] + ["--json"]) == 0
    printed = capsys.readouterr()
    assert isinstance(json.loads(printed.out), dict)
    assert main([words.get(word, word) for word in arguments]) == 0
    plain = capsys.readouterr().out
    assert plain.strip()
    assert "\x1b" not in plain


def test_solve_prints_what_the_plan_holds(study_copy, capsys):
    assert (
        main(["solve", str(study_copy), "--name", "small", "--budget", "1000000", "--seed", "4", "--json"])
        == 0
    )
    printed = json.loads(capsys.readouterr().out)
    values = {row["what"]: row["value"] for row in printed["answer"]}
    plan = json.loads((study_copy / "plans" / "small" / "plan.json").read_text())
    assert values["cost"] == plan["cost_eur"] <= 1_000_000 == plan["budget_eur"]
    assert values["hours bought"] == pytest.approx(plan["value_h"] - plan["before_h"])
    assert plan["seed"] == 4
    assert all(Path(row["file"]).is_file() for row in printed["files"])


def test_budget_of_zero_is_an_honest_plan_without_sites(study_copy):
    assert main(["solve", str(study_copy), "--name", "nothing", "--budget", "0"]) == 0
    plan = json.loads((study_copy / "plans" / "nothing" / "plan.json").read_text())
    assert (plan["options"], plan["cost_eur"]) == ([], 0)
    assert plan["value_h"] == plan["before_h"]
    assert "0 %" in (study_copy / "plans" / "nothing" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "wrong",
    [
        ["--budget", "-1"],
        ["--budget", "inf"],
        ["--gap", "2"],
        ["--time-limit", "-5"],
        ["--time-limit", "nan"],
        ["--name", "../x"],
        ["--name", " "],
        ["--name", ".hidden"],
        ["--seed", "-3"],
        ["--seed", "99999999999"],
    ],
)
def test_wrong_solve_settings_are_named(study_copy, wrong, capsys):
    before = hash_files(study_copy)
    assert main(["solve", str(study_copy), *wrong]) == 1
    assert wrong[0] in capsys.readouterr().err
    assert hash_files(study_copy) == before


def test_all_wrong_solve_settings_are_named_at_once(study_copy, capsys):
    assert main(["solve", str(study_copy), "--gap", "-0.1", "--time-limit", "nan", "--seed", "-3"]) == 1
    printed = capsys.readouterr().err
    assert "3 faults" in printed and all(one in printed for one in ("--gap", "--time-limit", "--seed"))


def test_an_interrupted_solve_keeps_its_plan_and_says_where(study_copy, monkeypatch, capsys):
    def stop(*arguments, **words):
        return replace(solve_problem(*arguments, **words), status="interrupted")

    def insist(solution):
        os.kill(os.getpid(), signal.SIGINT)
        return make_certificate(solution)

    monkeypatch.setattr(workflow, "solve_problem", stop)
    monkeypatch.setattr(workflow, "make_certificate", insist)
    before = hash_files(study_copy / "plans" / "base")
    assert main(["solve", str(study_copy)]) == 130
    kept = study_copy / "plans" / "base-interrupted"
    assert "Stopped: the best plan so far is in" in " ".join(capsys.readouterr().err.split())
    assert hash_files(study_copy / "plans" / "base") == before
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
    assert main(["verify", str(kept)]) == 0


def test_verify_names_a_mesh_of_another_state(study_copy, capsys):
    places = study_copy / "tables" / "places.csv"
    places.write_text(places.read_text("utf-8").replace("60000", "61000"), "utf-8")
    assert main(["verify", str(study_copy / "plans" / "base")]) == 1
    assert "the mesh was built from another state" in " ".join(capsys.readouterr().err.split())


def test_changed_study_asks_for_a_new_mesh(study_copy, capsys):
    budget = study_copy / "tables" / "budget.csv"
    budget.write_text(budget.read_text().replace("3000000", "4000000"))
    assert main(["times", str(study_copy)]) == 0, "money is not in the mesh"
    places = study_copy / "tables" / "places.csv"
    places.write_text(places.read_text().replace("60000", "61000"))
    assert main(["report", str(study_copy / "plans" / "base")]) == 1
    assert "abatis build" in capsys.readouterr().err


def test_rules_that_cannot_be_kept_end_with_two(study_copy, capsys):
    add_row(
        study_copy / "tables" / "rules.csv", rule="slow", name="A thousand hours", kind="least_hours",
        subject="west_capital", limit="1000", source="test", tag="G",
    )  # fmt: skip
    assert main(["build", str(study_copy)]) == 0
    before = hash_files(study_copy / "plans")
    assert main(["solve", str(study_copy), "--time-limit", "3"]) == 2
    assert "A thousand hours" in capsys.readouterr().err
    assert hash_files(study_copy / "plans") == before


def test_too_large_ends_with_three(study_copy, monkeypatch, capsys):
    monkeypatch.setattr("abatis.ground.build.MOST_CELLS", 10)
    before = hash_files(study_copy)
    assert main(["build", str(study_copy)]) == 3
    assert "resolution" in capsys.readouterr().err
    assert hash_files(study_copy) == before


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (InputError([]), 1, "0 faults"),
        (AbatisError("cannot"), 1, "cannot"),
        (InfeasibleError("no plan", ["rule one"]), 2, "rule one"),
        (InfeasibleError("none found in time", proven=False), 2, "none found in time"),
        (SizeError("too many"), 3, "too many"),
        (MemoryError(), 3, "memory"),
        (KeyboardInterrupt(), 130, "Interrupted"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "disk is full"),
        (OSError(errno.EROFS, "Read-only file system", "x"), 1, "rights"),
        (KeyboardInterrupt("the plan is in x"), 130, "Stopped: the plan is in x"),
        (BrokenPipeError(), 141, ""),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 141, ""),
    ],
)
def test_every_kind_of_end_has_its_code_and_words(error, code, words, monkeypatch, capsys):
    def fail(*_):
        raise error

    monkeypatch.setattr("abatis.show.compare.compare_plans", fail)
    assert main(["compare", "a", "b"]) == code
    assert words in capsys.readouterr().err


def test_ctrl_c_in_compiled_code_is_no_mistake_of_the_program(monkeypatch, capsys):
    def fail(*_):
        raise SystemError("returned a result with an exception set") from KeyboardInterrupt()

    monkeypatch.setattr("abatis.show.compare.compare_plans", fail)
    assert main(["compare", "a", "b"]) == 130
    assert "Interrupted" in capsys.readouterr().err


def test_a_mistake_in_the_program_is_not_hidden(monkeypatch):
    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("abatis.show.compare.compare_plans", fail)
    with pytest.raises(ZeroDivisionError):
        main(["compare", "a", "b"])


@pytest.mark.parametrize("place", ["file/below", "/proc/abatis"])
def test_folder_that_cannot_be_written(tmp_path, place, capsys):
    (tmp_path / "file").write_text("here")
    folder = str(tmp_path / place) if not place.startswith("/") else place
    for command in (["new", folder], ["demo", folder]):
        assert main(command) == 1
        assert "cannot be written" in capsys.readouterr().err


def test_full_disk_keeps_the_earlier_report(study_copy, monkeypatch, capsys):
    plan = study_copy / "plans" / "base"
    before = hash_files(study_copy)

    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    monkeypatch.setattr("abatis.show.export._write_layer", refuse)
    assert main(["report", str(plan)]) == 1
    monkeypatch.undo()
    assert "no space left" in capsys.readouterr().err
    assert hash_files(study_copy) == before


def test_output_to_a_full_device_ends_in_words(solved_folder):
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "abatis.show.cli", "fields"]
        ended = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert ended.returncode == 1
    assert "disk is full" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_interrupted_demo_leaves_earlier_results_whole(tmp_path):
    from abatis.examples.lithuania import write_example

    folder = write_example(tmp_path / "lithuania")
    for name in ("mesh/cells.parquet", "plans/base/plan.json", "plans/base/report.html"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"earlier {name}")
    before = hash_files(folder)
    command = [sys.executable, "-m", "abatis.show.cli", "demo", str(folder)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("reading roads"):
            break
    time.sleep(0.2)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted" in errors
    assert "Traceback" not in errors
    assert hash_files(folder) == before


def test_main_returns_zero_for_help():
    assert main(["--help"]) == cli.EXIT_FINE
