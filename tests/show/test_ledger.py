"""The ledger from the command line: import, show, export, status, verify, and their exit codes."""

from __future__ import annotations

import json
import re
import sqlite3
from datetime import date

import openpyxl
import pytest
from tests.programme.ledger.ledger_cases import unguarded

from abatis.programme.ledger.records import Draft
from abatis.programme.ledger.status import assess_ledger
from abatis.programme.ledger.store import open_ledger
from abatis.show.cli import main
from abatis.show.ledger_status import SHOWN_RECORDS, tabulate_status
from abatis.show.new import write_new_study

DITCH = {"country": "EE", "stage": "started", "done": 0.1, "site": "s1", "spent_eur": "not disclosed"}
LAW = {
    "country": "LV",
    "name": "Įstatymas, naujas",
    "due": "2024-12",
    "stage": "reached",
    "reached": "2025-10",
    "category": "law",
}
YEARS = range(2020, 2030)
ROWS = """\
key,on,country,line,stage,amount_eur,source,tag,access
lt_total,2025-05-05,LT,total,announced,1100000000,AFP,F,public
lt_mines,2026-02-09,LT,mines,planned,812000000,"caliber.az, 9 Feb 2026",F,public
lt_spent,2025,LT,total,spent,not disclosed,no public series found,F,restricted
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A folder that is enough of a study to have a ledger, and a file of three budgets in it."""
    (tmp_path / "study.toml").write_text('name = "x"\n')
    (tmp_path / "budget.csv").write_text(ROWS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def filled(study, capsys):
    assert main(["ledger", "import", "budget.csv", "--author", "Audit Office"]) == 0
    capsys.readouterr()
    return study


def ask(capsys, *arguments: str, code: int = 0):
    assert main(["ledger", *arguments]) == code
    return capsys.readouterr()


def test_a_dry_run_then_an_import_then_the_same_again(study, capsys):
    said = json.loads(ask(capsys, "import", "budget.csv", "--dry-run", "--json").out)
    assert said["import"][0] | {"file": ""} == {
        "file": "", "rows": 3, "new": 3, "stood": 0, "first_seq": None, "last_seq": None, "dry_run": True
    }  # fmt: skip
    assert not (study / "ledger.sqlite").exists()
    assert "nothing was recorded" in ask(capsys, "import", "budget.csv", "--dry-run").out
    said = json.loads(ask(capsys, "import", "budget.csv", "--json").out)
    assert (said["import"][0]["first_seq"], said["import"][0]["last_seq"]) == (1, 3)
    assert said["kinds"] == [{"kind": "budget", "rows": 3}]
    again = json.loads(ask(capsys, "import", "budget.csv", "--json").out)
    assert again["import"][0]["new"] == 0
    assert again["repeated"][0] == {"file": "budget.csv", "row": 2, "seq": 1}
    assert "Stood already" in ask(capsys, "import", "budget.csv").out


def test_faults_of_a_file_are_listed_and_nothing_is_recorded(study, capsys):
    (study / "bad_budget.csv").write_text(ROWS.replace("announced", "anounced").replace("budget", "x"))
    (study / "budget_bad.csv").write_text(ROWS.replace("announced", "anounced").replace("812", "-812"))
    told = ask(capsys, "import", "budget_bad.csv", code=1).err
    assert "2 faults in the input" in told
    assert "budget_bad.csv, row 2, stage: has the unknown word 'anounced' (did you mean 'announced'?)" in told
    assert "budget_bad.csv, row 3, amount_eur: is -812000000" in told
    assert "does not say which kind" in ask(capsys, "import", "bad_budget.csv", code=1).err
    assert not (study / "ledger.sqlite").exists()


def test_a_file_too_large_ends_with_its_own_code(study, capsys):
    with (study / "budget_large.csv").open("wb") as file:
        file.truncate(2**30)
    assert "at most 128 MB" in ask(capsys, "import", "budget_large.csv", code=3).err


def test_records_are_shown(filled, capsys):
    said = ask(capsys, "show").out
    assert "lt_total" in said and "amount_eur 1,100,000,000" in said and "amount_eur not disclosed" in said
    assert "lt_mines" not in ask(capsys, "show", "--key", "lt_total").out
    assert json.loads(ask(capsys, "show", "--json", "--last", "1").out)["records"][0]["seq"] == 3
    one = {
        row["what"]: row["value"]
        for row in json.loads(ask(capsys, "show", "--record", "2", "--json").out)["records"]
    }
    assert one["author"] == "Audit Office"
    assert one["amount_eur"] == 812000000
    assert one["source"] == "caliber.az, 9 Feb 2026"
    assert "it has 3 records" in ask(capsys, "show", "--record", "9", code=1).err
    assert "did you mean 'budget'" in ask(capsys, "show", "--kind", "bugdet", code=1).err


def test_a_corrected_record_says_by_which(filled, capsys):
    with open_ledger(filled) as ledger:
        first = ledger.find(1)
        draft = Draft(*(getattr(first, name) for name in Draft._fields))
        ledger.append([draft._replace(body={**first.body, "amount_eur": 1092e6}, corrects=1)], "audit")
    assert "Corrected by record 4." in ask(capsys, "show", "--record", "1").out
    listed = json.loads(ask(capsys, "show", "--json").out)["records"]
    assert [row["seq"] for row in listed] == [2, 3, 4]
    assert len(json.loads(ask(capsys, "show", "--all", "--json").out)["records"]) == 4


@pytest.mark.parametrize("ending", ["csv", "xlsx"])
def test_what_is_exported_can_be_imported(filled, capsys, ending):
    with open_ledger(filled) as ledger:
        ledger.append(
            [
                Draft("work", "ditch", "2026-02", DITCH, "err.ee", "F", "public"),
                Draft("milestone", "law", "2025-10", LAW, "press.lv", "F"),
            ],
            "audit",
        )
    ask(capsys, "export", f"all.{ending}")
    said = json.loads(ask(capsys, "import", f"all.{ending}", "--json").out)
    assert (said["import"][0]["rows"], said["import"][0]["stood"]) == (5, 5)
    other = filled / "other"
    other.mkdir()
    (other / "study.toml").write_text('name = "y"\n')
    ask(capsys, "import", f"all.{ending}", "--study", "other")
    with open_ledger(filled) as one, open_ledger(other) as two:
        said = [tuple(getattr(record, name) for name in Draft._fields) for record in one.read()]
        found = [tuple(getattr(record, name) for name in Draft._fields) for record in two.read()]
    assert sorted(said, key=repr) == sorted(found, key=repr)


def test_the_public_export_holds_no_restricted_record_and_no_site(filled, capsys):
    body = {"country": "EE", "stage": "started", "site": "secret_site"}
    with open_ledger(filled) as ledger:
        ledger.append([Draft("work", "ditch", "2026", body, "err.ee", "F", "public")], "audit")
        hashes = [one.hash for one in ledger.read(current=False)]
    for ending in ("csv", "jsonl"):
        ask(capsys, "export", f"public.{ending}", "--public")
        text = (filled / f"public.{ending}").read_text()
        assert "lt_mines" in text and "ditch" in text
        assert "lt_spent" not in text and "secret_site" not in text
        # A reader who knows the form of a record could try what was hidden against its hash.
        assert not any(one in text for one in hashes)


def test_the_lines_of_the_documentation_check_the_chain(filled, capsys, repository):
    """The Python of docs/ledger.md, run as it stands there."""
    ask(capsys, "export", "ledger.jsonl")
    lines = re.search(
        r"```python\n(.*?)```", (repository / "docs" / "ledger.md").read_text("utf-8"), re.DOTALL
    )[1]
    known: dict = {}
    exec(lines, known)
    assert known["previous"] in ask(capsys, "verify").out
    text = (filled / "ledger.jsonl").read_text("utf-8")
    (filled / "ledger.jsonl").write_text(text.replace("812000000", "712000000"), encoding="utf-8")
    with pytest.raises(AssertionError):
        exec(lines, {})


def test_an_export_that_cannot_be_is_told(filled, capsys):
    assert ".csv, .xlsx or .jsonl" in ask(capsys, "export", "all.pdf", code=1).err
    assert "cannot be written" in ask(capsys, "export", "budget.csv/all.csv", code=1).err


def test_text_that_a_spreadsheet_would_run_is_exported_as_text(filled, capsys):
    """The ledger refuses such text; here it was put in by force."""
    with unguarded(filled / "ledger.sqlite") as connection:
        connection.execute("UPDATE ledger_records SET source = '=cmd()' WHERE seq = 1")
    ask(capsys, "export", "all.csv")
    ask(capsys, "export", "all.xlsx")
    assert "'=cmd()" in (filled / "all.csv").read_text()
    book = openpyxl.load_workbook(filled / "all.xlsx")
    assert {cell.data_type for row in book["budget"].iter_rows() for cell in row} <= {"s", "n"}


def test_verify_prints_the_head_and_checks_one_that_was_kept(filled, capsys):
    said = json.loads(ask(capsys, "verify", "--json").out)["verify"][0]
    assert (said["sound"], said["records"], said["writings"]) == (True, 3, 1)
    assert ask(capsys, "verify", "--head", said["head"]).err == ""
    wrong = said["head"][:-1] + ("0" if said["head"][-1] != "0" else "1")
    assert "another hash than the one kept" in ask(capsys, "verify", "--head", wrong, code=1).out
    assert "is no head of a ledger" in ask(capsys, "verify", "--head", "3", code=1).err


def test_verify_ends_with_one_when_tampered(filled, capsys):
    with unguarded(filled / "ledger.sqlite") as connection:
        connection.execute("UPDATE ledger_records SET source = 'other' WHERE seq = 2")
    said = ask(capsys, "verify", code=1)
    assert "record 2 was changed" in said.out
    assert "tampered" in said.err
    listed = json.loads(ask(capsys, "verify", "--json", code=1).out)
    assert listed["problems"][0]["seq"] == 2


def test_a_study_without_a_ledger_says_so(study, capsys):
    for verb in ("verify", "show", "status"):
        assert "abatis ledger import FILE" in ask(capsys, verb, code=1).err
    assert "abatis ledger import FILE" in ask(capsys, "export", "all.csv", code=1).err


def test_a_folder_without_a_study_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "budget.csv").write_text(ROWS)
    assert "has no study.toml" in ask(capsys, "import", "budget.csv", code=1).err


def test_a_locked_or_lost_database_is_told_in_words(filled, capsys, monkeypatch):
    from abatis.programme.ledger import store

    monkeypatch.setattr(store, "BUSY_S", 0.05)
    (filled / "budget_2.csv").write_text(ROWS.replace("lt_", "lv_"))
    holder = sqlite3.connect(filled / "ledger.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert "another writer" in ask(capsys, "import", "budget_2.csv", code=1).err
    holder.close()
    (filled / "study.toml").write_text('name = "x"\nledger = "postgresql://audit:geheim@127.0.0.1:1/none"\n')
    told = ask(capsys, "show", code=1).err
    assert "cannot be reached" in told
    assert "geheim" not in told


def test_the_status_of_a_study(tmp_path, capsys):
    study = write_new_study(tmp_path / "new")
    (tmp_path / "budget.csv").write_text(ROWS)
    assert main(["ledger", "import", str(tmp_path / "budget.csv"), "--study", str(study)]) == 0
    capsys.readouterr()
    asked = ("status", "--study", str(study), "--date", "2026-11-22")
    said = ask(capsys, *asked).out
    assert "3 records on 2026-11-22" in said
    assert "812,000,000" in said and "spent_eur" in said
    whole = json.loads(ask(capsys, *asked, "--json").out)
    assert (whole["record_count"], whole["day"]) == (3, "2026-11-22")
    line = next(row for row in whole["lines"] if row["line"] == "mines")
    assert (line["planned_eur"], line["records"]) == (812e6, [2])
    public = json.loads(ask(capsys, *asked, "--json", "--public").out)
    assert public["record_count"] == 2
    assert "public view, 2 records" in ask(capsys, *asked, "--public").out
    assert "is '2026', no day" in ask(capsys, "status", "--study", str(study), "--date", "2026", code=1).err


def test_one_record_is_no_plural(tmp_path, monkeypatch, capsys):
    study = write_new_study(tmp_path / "new")
    monkeypatch.chdir(study)
    (study / "budget.csv").write_text("".join(ROWS.splitlines(keepends=True)[:2]))
    assert main(["ledger", "import", "budget.csv"]) == 0
    capsys.readouterr()
    assert "1 record: out.jsonl" in ask(capsys, "export", "out.jsonl").err
    assert "it has 1 record)" in ask(capsys, "show", "--record", "9", code=1).err
    assert "(1 record on 2026-11-22)" in ask(capsys, "status", "--date", "2026-11-22").out


def test_records_are_named_shortly_and_in_full(filled):
    """A figure may rest on thousands of records: the table names the first, the JSON all."""
    body = {"country": "LT", "line": "total", "stage": "planned", "amount_eur": 1.0}
    with open_ledger(filled) as ledger:
        drafts = [
            Draft("budget", f"part_{year}", "2026", {**body, "first_year": year}, "x", "F") for year in YEARS
        ]
        ledger.append(drafts, "audit")
        status = assess_ledger(ledger.read(current=False), date(2026, 11, 22))
    row = next(row for row in tabulate_status(status)["disclosure"].rows if row["line"] == "total")
    assert row["records"].endswith(f"+{row['told'] + row['undisclosed'] - SHOWN_RECORDS}")
