"""Splits, plans and robust plans from the command line to the pages, on a small study."""

import json
import re
import shutil
from pathlib import Path

import pytest

from abatis.model.errors import InputError
from abatis.model.study import read_study
from abatis.programme.split_table import read_splits, widen_study
from abatis.show.cli import main

HEAD = "split,name,family,measures,amount_eur,source,tag\n"
SPLITS = HEAD + (
    "even,Even,ditches,ditch,1500000,s,G\neven,Even,blocks,block,1500000,s,G\n"
    "watch,With sensors,ditches,,1000000,s,G\nwatch,With sensors,blocks,,1000000,s,G\n"
    "watch,With sensors,watch,,1000000,s,G\n"
)


@pytest.fixture(scope="module")
def folder(solved_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("split") / "study"
    shutil.copytree(solved_folder, place)
    (place / "tables" / "splits.csv").write_text(SPLITS, encoding="utf-8")
    ways = "option,name,open_measure,road_measure,bridge_measure,sites,cover,source,tag\n"
    ways += "blocks,Blocks alone,,block,block,any,,s,G\n"
    (place / "tables" / "split_options.csv").write_text(ways, encoding="utf-8")
    return place


def call(capsys, *words: str) -> dict:
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_splits_stay_within_their_money_and_reach_both_pages(folder, tmp_path, capsys):
    own = str(shutil.copytree(folder, tmp_path / "own"))
    capsys.readouterr()
    told = call(capsys, "split", own, "--draws", "20", "--time-limit", "10")
    rows = {row["plan"]: row for row in told["plans"]}
    assert list(rows) == ["even", "watch"]
    assert rows["even"]["watched"] == 0
    assert 0 < rows["watch"]["watched"] <= rows["watch"]["works"]
    assert rows["watch"]["watch_cost_eur"] <= 1e6
    for row in rows.values():
        assert row["budget_eur"] == 3e6
        assert row["value_h"] <= row["bound_h"] + 1e-9
        assert row["held_p10_h"] <= row["held_p50_h"] <= row["held_p90_h"]
    (difference,) = told["differences"]
    assert (difference["plan"], difference["against"]) == ("watch", "even")
    assert [row["total_eur"] for row in told["money"]] == [3e6, 3e6]
    assert len(told["years"]) == 2 * 10
    page = (Path(own) / "plans" / "split.html").read_text(encoding="utf-8")
    answer = re.search(r'<p class="lead">(.*?)</p>', page)[1]
    assert answer == told["answer"][0]["answer"].replace("'", "&#39;")
    assert page.count("<img") == 3
    assert "http" not in re.sub(r"data:image[^\"]+", "", page)
    assert main(["programme", own, "--time-limit", "2"]) == 0
    shown = (Path(own) / "plans" / "base" / "programme.html").read_text(encoding="utf-8")
    assert answer in shown
    assert 'id="table-split"' in shown
    table = Path(own) / "tables" / "splits.csv"
    table.write_text(table.read_text("utf-8").replace("Even", "Equal"), encoding="utf-8")
    assert main(["programme", own, "--time-limit", "2"]) == 0
    shown = (Path(own) / "plans" / "base" / "programme.html").read_text(encoding="utf-8")
    assert "split.json is of another state of the study" in shown


def test_plans_are_compared_in_the_same_way(folder, tmp_path, capsys):
    own = str(shutil.copytree(folder, tmp_path / "own"))
    assert main(["solve", own, "--name", "less", "--budget", "1000000", "--time-limit", "5"]) == 0
    capsys.readouterr()
    told = call(capsys, "split", own, "--plans", "base,less", "--draws", "20")
    assert [row["plan"] for row in told["plans"]] == ["base", "less"]
    assert told["differences"][0]["cost_eur_p90"] < 0
    assert told["answer"][0]["answer"].startswith(("What matters", "Hours do not", "No difference"))
    assert "plans side by side" in (Path(own) / "plans" / "split.html").read_text(encoding="utf-8")


def test_robust_plans_are_bounded_and_measured_elsewhere(folder, tmp_path, capsys):
    own = str(shutil.copytree(folder, tmp_path / "own"))
    capsys.readouterr()
    told = call(capsys, "robust", own, "--scenarios", "6", "--time-limit", "9")
    rows = {row["answer"]: row for row in told["robust"]}
    assert list(rows) == ["plan", "weight_0", "weight_0.5", "weight_1"]
    for key, weight in (("weight_0", 0.0), ("weight_0.5", 0.5), ("weight_1", 1.0)):
        row = rows[key]
        mixed = (1 - weight) * row["mean_h"] + weight * row["worst_h"]
        assert row["score_h"] == pytest.approx(mixed, abs=1e-9)
        assert row["score_h"] <= row["bound_h"] + 1e-9
        own_mix = (1 - weight) * rows["plan"]["mean_h"] + weight * rows["plan"]["worst_h"]
        assert own_mix <= row["score_h"] + 1e-9
        assert row["cost_eur"] <= 3e6
        assert row["other_worst_h"] <= row["other_mean_h"] + 1e-9
    assert main(["programme", own, "--time-limit", "2"]) == 0
    shown = (Path(own) / "plans" / "base" / "programme.html").read_text(encoding="utf-8")
    assert told["answer"][0]["answer"] in shown
    assert 'id="table-robust"' in shown


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("a,A,ditches,ditch,1,s,G\n", "has 1 split: nothing to compare"),
        ("a,A,d,ditsch,1,s,G\nb,B,d,,1,s,G\n", "'ditsch' is no measure (did you mean 'ditch'?)"),
        ("a,A,d,ditch,1,s,G\nb,B,d,block,1,s,G\n", "family 'd' is ditch in another row"),
        ("a,A,d,ditch,1,s,G\nb,B,e,ditch,1,s,G\n", "'ditch' is of family 'd' too"),
        ("a,A,d,,1,s,G\nb,B,d,,1,s,G\n", "family 'd' has no measures"),
        ("a,A,watch,ditch,1,s,G\nb,B,d,ditch,1,s,G\n", "money to watch sites buys no measures"),
    ],
)
def test_splits_that_make_no_sense_are_named(folder, tmp_path, rows, words):
    own = Path(shutil.copytree(folder, tmp_path / "own"))
    (own / "tables" / "splits.csv").write_text(HEAD + rows, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_splits(read_study(own))
    assert words in "\n".join(str(one) for one in caught.value.faults)
    assert all(one.file == "tables/splits.csv" for one in caught.value.faults)


def test_ways_of_splits_are_checked_in_their_own_table(folder, tmp_path):
    own = Path(shutil.copytree(folder, tmp_path / "own"))
    table = own / "tables" / "split_options.csv"
    text = table.read_text("utf-8") + "ditch_block,Twice,block,,,any,,s,G\n"
    table.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        widen_study(read_study(own))
    shown = [str(one) for one in caught.value.faults]
    assert any("row 3, option: 'ditch_block' stands in tables/options.csv already" in one for one in shown)
    assert any("row 3, open_measure: measure 'block' is counted in piece" in one for one in shown)
    assert all(one.startswith("tables/split_options.csv") for one in shown)


@pytest.mark.parametrize(
    ("words", "columns"),
    [
        ("split --draws -1 --gap 3 --seed -1", ["--draws", "--seed", "--gap"]),
        ("split --plans base,xx,yy --workers 0", ["--workers", "--plans", "--plans"]),
        ("split --plans base,base --seed 4294967296", ["--seed", "--plans"]),
        ("risk --draws 0 --workers 0 --shape per --seed -1", ["--draws", "--workers", "--seed", "--shape"]),
        ("risk --plan xx --against yy --sensitivity 1", ["--plan", "--against", "--sensitivity"]),
        (
            "robust --plan xx --scenarios 0 --worst-weight 2 --worst-share nan --budget -1 --gap 2 --seed -1",
            ["--plan", "--budget", "--scenarios", "--worst-weight", "--worst-share", "--gap", "--seed"],
        ),
        ("robust --budget inf --time-limit nan", ["--budget", "--time-limit"]),
    ],
)
def test_faults_of_settings_are_named_together(folder, capsys, monkeypatch, words, columns):
    for module in ("split", "risk", "robust"):
        monkeypatch.setattr(f"abatis.show.{module}.load_study", None)
    command, *options = words.split()
    assert main([command, str(folder), *options]) == 1
    told = [line.strip() for line in capsys.readouterr().err.splitlines()[1:]]
    assert [line.split(":")[0] for line in told if line] == columns


def test_a_missing_study_is_named_before_its_plans(tmp_path, capsys):
    assert main(["risk", str(tmp_path / "none")]) == 1
    assert "no plan" not in capsys.readouterr().err


def test_bad_settings_are_named(folder, capsys):
    for words in (
        ("split", "--plans", "base"),
        ("split", "--draws", "0"),
        ("split", "--gap", "2"),
        ("robust", "--scenarios", "1"),
        ("robust", "--worst-share", "0"),
        ("robust", "--worst-weight", "2"),
        ("robust", "--plan", "none"),
    ):
        assert main([words[0], str(folder), *words[1:]]) == 1, words
        told = capsys.readouterr().err
        assert words[1].lstrip("-") in told or words[-1] == "none", told
