"""`abatis interdict`: the contract of its JSON, its tables, its certificate, and its refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from abatis.barrier.certificate import check_certificate
from abatis.barrier.textbook import find_unit, read_arcs
from abatis.show import interdict
from abatis.show.cli import main

# From s to t over a (2) and over b (3); one unit closes the first way, two units both.
ARCS = "tail,head,cost,delay,resource\ns,a,1,4,1\na,t,1,4,0\ns,b,1,4,1\nb,t,2,1,2\n"


@pytest.fixture
def arcs(tmp_path: Path) -> Path:
    path = tmp_path / "arcs.csv"
    path.write_text(ARCS)
    return path


def ask(path: Path, *more: str, source: str = "s", sink: str = "t", budget: str = "1") -> int:
    return main(["interdict", str(path), "--source", source, "--sink", sink, "--budget", budget, *more])


@pytest.mark.parametrize(
    ("budget", "value", "chosen"),
    [("0", 2, []), ("1", 3, ["s>a"]), ("2", 6, ["s>a", "s>b"]), ("99", 6, None)],
)
def test_json_by_hand(arcs, capsys, budget, value, chosen):
    assert ask(arcs, "--json", budget=budget) == 0
    answer = json.loads(capsys.readouterr().out)
    assert {"value", "bound", "gap", "chosen", "seconds", "certificate"} <= set(answer)
    assert (answer["value"], answer["bound"], answer["gap"]) == (value, value, 0)
    assert (answer["verified"], answer["reasons"], answer["certificate"]) == (True, [], None)
    assert answer["status"] == "optimal"
    assert answer["seconds"] > 0
    if chosen is not None:
        assert [f"{arc['tail']}>{arc['head']}" for arc in answer["chosen"]] == chosen
        assert answer["spent"] == len(chosen)


def test_decimals_and_scenarios(tmp_path, capsys):
    """Means over scenarios in tenths are exact: (0.1 + 0.5) / 2 before, (0.7 + 0.5) / 2 after."""
    path = tmp_path / "arcs.csv"
    path.write_text("tail,head,cost_1,cost_2,delay,resource\ns,t,0.1,0.9,0.6,0.5\ns,t,0.7,0.5,0,0\n")
    assert ask(path, "--json", budget="0.5") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["value"], answer["bound"], answer["gap"]) == (0.6, 0.6, 0)
    assert ask(path, "--json", budget="0.4") == 0
    assert json.loads(capsys.readouterr().out)["value"] == 0.3


def test_tables_for_people(arcs, capsys):
    assert ask(arcs) == 0
    text = capsys.readouterr().out
    assert "Arcs to interdict" in text
    assert "no plan is worth more than" in text


def test_certificate_can_be_checked_again(arcs, tmp_path, capsys):
    file = tmp_path / "proof.json"
    assert ask(arcs, "--certificate", str(file), "--json") == 0
    assert json.loads(capsys.readouterr().out)["certificate"] == str(file)
    values = json.loads(file.read_text())
    table = read_arcs(arcs, "s", "t")
    assert values["unit"] == find_unit(table)
    problem = table.make_problem(values["unit"])
    assert check_certificate(problem, values) == []
    assert check_certificate(problem, {**values, "value_h": values["value_h"] + 1}) != []
    assert check_certificate(problem, {**values, "bound_h": values["bound_h"] - 0.5}) != []


def keep_proof(arcs, tmp_path, capsys):
    file = tmp_path / "proof.json"
    assert ask(arcs, "--certificate", str(file), "--json", budget="2") == 0
    capsys.readouterr()
    return file


def check(arcs, file, *more):
    words = ["interdict", str(arcs), "--source", "s", "--sink", "t", "--check", str(file), *more]
    return main(words)


def test_a_kept_proof_is_checked_again_without_solving(arcs, tmp_path, capsys, monkeypatch):
    file = keep_proof(arcs, tmp_path, capsys)
    monkeypatch.setattr(interdict, "solve_problem", None)
    assert check(arcs, file, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["holds"], answer["value"], answer["bound"], answer["budget"]) == (True, 6, 6, 2)
    assert [f"{arc['tail']}>{arc['head']}" for arc in answer["chosen"]] == ["s>a", "s>b"]
    assert answer["leaves"] >= 1
    assert check(arcs, file) == 0
    assert "no plan is worth more than" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"value_h": 7}, "the value is 6.0"),
        ({"bound_h": 5.0}, "the bound lies below the value"),
        ({"chosen": [0]}, "the value is 3.0"),
        ({"chosen": [0.0, 1.0]}, "0.0 is no index"),
        ({"chosen": ["0", "1"]}, "'0' is no index"),
        ({"budget_eur": 1.0}, "the plan costs 2.00"),
        ({"unit": 5}, "it counts in units of 5"),
        ({"nodes": 5}, "is damaged"),
        ({"problem": "other"}, "another problem"),
    ],
)
def test_a_tampered_proof_does_not_hold(arcs, tmp_path, capsys, change, reason):
    file = keep_proof(arcs, tmp_path, capsys)
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    assert check(arcs, file, "--json") == 1
    captured = capsys.readouterr()
    assert reason in captured.err
    answer = json.loads(captured.out)
    assert (answer["holds"], answer["value"], answer["bound"]) == (False, None, None)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[" * 100_000, "recursion"),
        ('{"format":' + "9" * 5000 + "}", "digits"),
        ('{"format": 5, "format": 5}', "'format' stands there twice"),
        ("[]", "holds no object"),
    ],
)
def test_a_damaged_proof_is_named(arcs, tmp_path, capsys, text, word):
    file = tmp_path / "proof.json"
    file.write_text(text)
    assert check(arcs, file) == 1
    assert word in " ".join(capsys.readouterr().err.split())


def test_a_proof_for_another_budget_or_file_is_refused(arcs, tmp_path, capsys):
    file = keep_proof(arcs, tmp_path, capsys)
    assert check(arcs, file, "--budget", "2") == 0
    assert check(arcs, file, "--budget", "1") == 1
    assert "made for a budget of 2, not 1" in capsys.readouterr().err
    arcs.write_text(ARCS.replace("s,a,1,4,1", "s,a,1,5,1"))
    assert check(arcs, file) == 1
    assert "another problem" in capsys.readouterr().err
    assert check(arcs, tmp_path / "none.json") == 1
    assert "is missing" in capsys.readouterr().err


def test_solving_needs_a_budget(arcs, capsys):
    assert main(["interdict", str(arcs), "--source", "s", "--sink", "t"]) == 1
    assert "--budget: is missing" in capsys.readouterr().err


def test_a_certificate_that_does_not_hold_is_an_error(arcs, capsys, monkeypatch):
    monkeypatch.setattr(interdict, "check_certificate", lambda *_: ["leaf 0 proves nothing"])
    assert ask(arcs, "--json") == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["verified"] is False
    assert "leaf 0 proves nothing" in captured.err


def test_same_seed_same_answer(arcs, capsys):
    answers = []
    for _ in range(2):
        assert ask(arcs, "--json", "--seed", "7", budget="2") == 0
        answers.append(json.loads(capsys.readouterr().out))
        answers[-1].pop("seconds")
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"budget": "-1"}, "--budget: is -1"),
        ({"budget": "nan"}, "--budget: is nan"),
        ({"budget": "inf"}, "--budget: is inf"),
        ({"source": "S"}, "no arc touches the node 'S'"),
        ({"sink": "b", "source": "a"}, "no way leads from 'a' to 'b'"),
        ({"more": ("--time-limit", "-2")}, "--time-limit: is -2"),
        ({"more": ("--gap", "-0.1")}, "--gap: is -0.1"),
        ({"more": ("--seed", "-1")}, "--seed: is -1"),
        ({"more": ("--certificate", "nowhere/proof.json")}, "has no such folder"),
    ],
)
def test_refusals(arcs, capsys, words, message):
    more = words.pop("more", ())
    assert ask(arcs, *more, **words) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("budget", [("--budget", "-1"), ()])
def test_faults_of_settings_and_file_are_named_together(arcs, capsys, budget):
    words = ["--source", "x", "--sink", "z", "--gap", "nan", "--seed", "-1", *budget]
    assert main(["interdict", str(arcs), *words]) == 1
    told = [line.strip().split(":")[0] for line in capsys.readouterr().err.splitlines()[1:]]
    assert sorted(filter(None, told)) == ["--budget", "--gap", "--seed", "--sink", "--source"]


def test_every_fault_of_the_file_is_shown(tmp_path, capsys):
    path = tmp_path / "arcs.csv"
    path.write_text("tail,head,cost,delay,resource\ns,t,-1,x,\n")
    assert ask(path) == 1
    text = capsys.readouterr().err
    assert "3 faults" in text
    assert "row 2, cost: is -1" in text
