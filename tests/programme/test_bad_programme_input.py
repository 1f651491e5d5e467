"""Bad input that a programme can be given is refused by the command, named with file, row and column."""

import shutil
from pathlib import Path

import pytest

from abatis.model.study import read_study
from abatis.show.cli import main

TRUST = ",s,G\n"
BUDGET = "line,name,amount_eur,planned,source,tag\n"


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    """Study folder of the template with a plan; not to be changed."""
    folder = tmp_path_factory.mktemp("bad") / "first"
    assert main(["new", str(folder)]) == 0
    assert main(["build", str(folder)]) == 0
    assert main(["solve", str(folder), "--time-limit", "5"]) == 0
    return folder


def change(solved, tmp_path, tables):
    folder = Path(shutil.copytree(solved, tmp_path / "copy"))
    for name, text in tables.items():
        (folder / "tables" / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


CASES = {
    "a year without budget": (
        "programme",
        {
            "budget_years": "line,year,amount_eur,source,tag\n"
            + "".join(f"sites,{year},{3e6 / 9:.2f}" + TRUST for year in range(2026, 2035))
        },
        "tables/budget_years.csv, row 10, year: line 'sites' has no money for 2035",
    ),
    "a lot larger than its line": (
        "programme",
        {"lots": "measure,minimum_order_units,delivery_months,source,tag\nblock,61,0" + TRUST},
        "tables/lots.csv, row 2, minimum_order_units: a lot of 61 block costs 3,050,000 EUR",
    ),
    "lead time past the last year": (
        "programme",
        {"lots": "measure,minimum_order_units,delivery_months,source,tag\nblock,0,130" + TRUST},
        "past the last year 2035",
    ),
    "order rules in a circle": (
        "programme",
        {"order_rules": "before,after,source,tag\nditch,block" + TRUST + "block,ditch" + TRUST},
        "tables/order_rules.csv, row 2, before: the rules of rows 2, 3 go round in a circle",
    ),
    "low above mode above high": (
        "programme",
        {"liabilities": "liability,name,low_eur,amount_eur,high_eur,source,tag\nx,X,5,4,3" + TRUST},
        "tables/liabilities.csv, row 2, amount_eur: low_eur, amount_eur, high_eur do not rise",
    ),
    "low above mode of a risk": (
        "risk",
        {"risks": "risk,low,mode,high,source,tag\nprice_level,2,1,3" + TRUST},
        "tables/risks.csv, row 2",
    ),
    "correlations that cannot be": (
        "risk",
        {
            "risk_correlations": "a,b,correlation,source,tag\ncost:ditch,cost:block,0.9"
            + TRUST
            + "cost:ditch,delay:ditch,0.9"
            + TRUST
            + "cost:block,delay:ditch,-0.9"
            + TRUST
        },
        "tables/risk_correlations.csv",
    ),
    "overlapping budget lines": (
        "programme",
        {
            "budget": BUDGET + "sites,A,3000000,true" + TRUST + "other,B,1000000,true" + TRUST,
            "budget_measures": "line,measure,source,tag\nsites,ditch" + TRUST + "other,ditch" + TRUST,
        },
        "row 3, measure: measure 'ditch' is paid by line 'sites' already: the lines overlap",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_named(solved, tmp_path, capsys, name):
    command, tables, words = CASES[name]
    folder = change(solved, tmp_path, tables)
    if "budget" in tables:
        # Other lines make another plan: it is solved anew before the programme is asked for.
        assert main(["solve", str(folder), "--time-limit", "2"]) == 0
    capsys.readouterr()
    assert main([command, str(folder), *(["--draws", "5"] if command == "risk" else [])]) == 1
    told = capsys.readouterr().err
    assert words in told, told


@pytest.mark.parametrize(
    "words",
    [("programme",), ("risk", "--draws", "5"), ("stock",), ("split",), ("robust",), ("joint",)],
    ids=lambda words: words[0],
)
def test_an_unlawful_measure_is_refused_by_its_rule(solved, tmp_path, capsys, words):
    folder = change(solved, tmp_path, {})
    columns = list(read_study(folder).tables["law_rules"].columns)
    row = dict.fromkeys(columns, "")
    row |= {
        "rule": "no_ditches", "instrument": "national", "article": "5", "state": "any", "kinds": "obstacle",
        "effect": "prohibits", "binding": "always", "wording": "no obstacles at all", "source": "s",
        "tag": "G",
    }  # fmt: skip
    text = ",".join(columns) + "\n" + ",".join(row[column] for column in columns) + "\n"
    (folder / "tables" / "law_rules.csv").write_text(text, encoding="utf-8")
    splits = "split,name,family,measures,amount_eur,source,tag\na,A,works,ditch block,1e6,s,G\n"
    splits += "b,B,works,,2e6,s,G\n"
    (folder / "tables" / "splits.csv").write_text(splits, encoding="utf-8")
    capsys.readouterr()
    more = [str(solved)] if words == ("joint",) else []
    before = sorted((folder / "plans").rglob("*"))
    assert main([*words, str(folder), *more]) == 1
    assert sorted((folder / "plans").rglob("*")) == before
    told = capsys.readouterr().err
    assert "is unlawful in HOME" in told
    assert "by the rule no_ditches (national, art. 5): no obstacles at all" in told
