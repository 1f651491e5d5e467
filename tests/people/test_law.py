"""The treaty register and the law of measures: dates to the day, nothing surer than its tag."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from people_cases import BELT, TRUST, write_table

from abatis.model.errors import InputError
from abatis.model.law_kinds import LAW_KINDS, check_law_kinds
from abatis.model.study import hash_study, read_study
from abatis.people.law import (
    assess_measures,
    check_measures,
    check_programme_measures,
    list_norms,
    list_standings,
    read_law_rules,
)
from abatis.people.treaties import (
    add_months,
    check_register,
    find_standing,
    parse_span,
    read_instruments,
    read_register,
)
from abatis.show.cli import main

FIVE = ("LT", "LV", "EE", "PL", "FI")
EXITS = {"LT": "2025-12-27", "LV": "2025-12-27", "EE": "2025-12-27", "PL": "2026-02-20", "FI": "2026-01-10"}
NATIONAL = {
    "rule": "strip_law", "instrument": "national", "state": "LT", "article": "2", "kinds": "mine_reserve",
    "effect": "prohibits", "binding": "always", "wording": "No belts before the law of the strip.", **TRUST,
}  # fmt: skip


def test_exit_holds_on_its_very_day():
    register = read_register()
    for state, effect in EXITS.items():
        day = date.fromisoformat(effect)
        before = find_standing(register, state, "APMBC", date.fromordinal(day.toordinal() - 1))
        after = find_standing(register, state, "APMBC", day)
        assert (before.status, before.until, before.binds) == ("bound", effect, True)
        assert (after.status, after.since, after.binds, after.certain) == ("left", effect, False, True)


def test_packaged_exits_follow_their_notice_by_the_treatys_own_term():
    register = read_register()
    exits = register[register["event"] == "left"]
    assert len(exits) == 6
    for _, row in exits.iterrows():
        months = read_instruments()[row["instrument"]].exit_months
        assert add_months(date.fromisoformat(row["notice"]), months).isoformat() == row["effect"]


def test_packaged_register_and_rules_have_no_fault():
    register = read_register()
    assert check_register(register, "x", set(register["state"])) == []
    assert set(read_law_rules()["instrument"]) <= {*read_instruments(), "abatis"}
    for state in FIVE:
        for instrument in read_instruments():
            assert find_standing(register, state, instrument, date(2026, 11, 22)).status != "not known"


def test_a_placeholder_date_is_never_certain():
    register = read_register()
    shown = 0
    for state in sorted(set(register["state"])):
        for instrument in read_instruments():
            for day in (date(1999, 1, 1), date(2004, 6, 1), date(2026, 11, 22)):
                one = find_standing(register, state, instrument, day)
                if one.tag in ("G", "F-"):
                    assert not one.certain
                    assert not one.since or one.since.endswith("?"), one
                    shown += bool(one.since)
                    assert not one.until or one.until.endswith("?") or one.status == "bound"
                elif one.since:
                    assert one.certain or one.status == "not known"
    assert shown == 20


def test_unequal_precision_is_not_known_in_between():
    register = read_register()
    standing = [
        find_standing(register, "PL", "AP2", date(*day)).status
        for day in ((2004, 3, 31), (2004, 4, 15), (2004, 4, 30))
    ]
    assert standing == ["not yet bound", "not known", "bound"]
    assert find_standing(register, "UA", "APMBC", date(2026, 1, 1)).status == "contested"
    assert find_standing(register, "EE", "CCM", date(2026, 1, 1)).status == "never bound"


@pytest.mark.parametrize(
    ("ended", "status"),
    [("", "bound"), ("2025-12-26", "left"), ("2025-12-27", "left"), ("2025-12-28", "bound")],
)
def test_a_war_on_the_day_holds_the_exit_up(folder, ended, status):
    row = {
        "state": "LT", "instrument": "APMBC", "event": "left", "notice": "2025-06-27",
        "conflict_from": "2025-12-01", "conflict_until": ended, **TRUST,
    }  # fmt: skip
    write_table(folder, "treaties", [row])
    register = read_register(read_study(folder))
    assert find_standing(register, "LT", "APMBC", date(2025, 12, 27)).status == status
    assert find_standing(register, "LV", "APMBC", date(2025, 12, 27)).status == "left"


def test_bad_rows_of_the_register_are_named_all_at_once(folder):
    rows = [
        {"state": "LTU", "instrument": "APMBC", "event": "joined", "effect": "2003-11-01"},
        {"state": "LT", "instrument": "OTAWA", "event": "joined", "effect": "2003-11-01"},
        {"state": "LT", "instrument": "CCM", "event": "left", "notice": "2024-09-06", "effect": "2025-03-05"},
        {"state": "LV", "instrument": "APMBC", "event": "left", "vote": "2025-07-16", "notice": "2025-06-27"},
        {"state": "EE", "instrument": "AP2", "event": "joined", "effect": "2025-02-30"},
    ]
    write_table(folder, "treaties", [{**row, **TRUST} for row in rows])
    with pytest.raises(InputError) as caught:
        read_register(read_study(folder))
    found = [str(fault) for fault in caught.value.faults]
    expected = [
        "row 2, state: 'LTU' is a state",
        "row 3, instrument: 'OTAWA' is an unknown treaty",
        "row 4, effect: effect 2025-03-05 is less than 6 months after notice 2024-09-06",
        "row 5, notice: notice 2025-06-27 lies before vote 2025-07-16",
        "row 6, effect: is '2025-02-30', no day of the calendar",
    ]
    assert len(found) == len(expected)
    for text in expected:
        assert any(text in fault for fault in found), (text, found)
    write_table(folder, "treaties", [{"state": "EE", "instrument": "CCM", "event": "lft", **TRUST}])
    with pytest.raises(InputError, match="did you mean 'left'"):
        read_study(folder)


def test_nobody_leaves_before_joining(folder):
    row = {"state": "LT", "instrument": "CCM", "event": "left", "notice": "2001-01-01", **TRUST}
    write_table(folder, "treaties", [row])
    with pytest.raises(InputError, match="before joining on 2011-09-01"):
        read_register(read_study(folder))


def test_measures_are_lawful_with_the_duties_of_their_kind(lithuania):
    found = {one.measure: one for one in assess_measures(lithuania, date(2026, 1, 1)) if one.measure != "-"}
    assert found["block"].verdict == "lawful"
    assert found["belt"].lawful is True
    assert found["belt"].duties == ("own", "mark", "monitor", "warn", "record", "clear", "report")
    assert not any(one.certain for one in found["belt"].rulings)
    assert all(one.since == "1998-12-03?" for one in found["belt"].rulings)


@pytest.mark.parametrize("day", [date(1995, 1, 1), date(2020, 1, 1), date(2026, 1, 1), date(2090, 1, 1)])
def test_anti_personnel_mines_are_never_a_measure_whatever_the_register_says(lithuania, day):
    banned = [one for one in assess_measures(lithuania, day) if one.kind == "anti_personnel_mine"]
    assert [(one.measure, one.lawful) for one in banned] == [("-", False)]
    assert "never_anti_personnel" in {ruling.rule for ruling in banned[0].rulings}


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("name", "Anti-personnel mines"), ("name", "anti personnel belt"), ("measure", "AP_mines"),
        ("law_kind", "anti_personnel_mine"), ("name", "Priešpėstinės minos"), ("name", "Cluster munition"),
        ("name", "Kājnieku mīnas, pretkājnieku"),
    ],
)  # fmt: skip
def test_no_study_can_hold_them(folder, column, text):
    write_table(folder, "measures", [{**BELT, "measure": "second", column: text}], keep=True)
    with pytest.raises(InputError, match="never a measure, whatever the register says"):
        read_study(folder)


def test_a_belt_cannot_hide_as_an_obstacle():
    rows = [("a", "Anti-tank mines", ""), ("b", "Anti-tank ditch", "ditch"), ("c", "Minerals", "obstacle")]
    frame = pd.DataFrame(rows, columns=["measure", "name", "law_kind"], index=[2, 3, 4])
    assert check_law_kinds(frame) == []
    frame["law_kind"] = "obstacle"
    assert [fault.row for fault in check_law_kinds(frame)] == [2]
    frame["law_kind"] = "obstcle"
    assert "did you mean 'obstacle'" in str(check_law_kinds(frame)[1])
    assert len(LAW_KINDS) == len(set(LAW_KINDS))


def test_unlawful_measures_are_named_with_their_rule_and_only_where_options_use_them(folder):
    write_table(folder, "law_rules", [{**NATIONAL, "until": "2026-06-01"}])
    study = read_study(folder)
    (fault,) = check_measures(study, date(2026, 5, 31))
    assert "'belt' is unlawful in LT on 2026-05-31 by the rule strip_law (national, art. 2)" in fault.problem
    assert (fault.file, fault.row) == ("tables/measures.csv", 4)
    assert check_measures(study, date(2026, 6, 1)) == []
    # 2026 is the first year of the programme, so some of its days are still unlawful.
    assert len(check_programme_measures(study)) == 1
    options = folder / "tables" / "options.csv"
    options.write_text(options.read_text("utf-8").replace("belts,Belts,belt", "belts,Belts,ditch"), "utf-8")
    assert check_programme_measures(read_study(folder)) == []
    stock = {"measure": "belt", "line": "sites", "source": "test", "tag": "G"}
    write_table(folder, "stocks", [stock])
    assert len(check_programme_measures(read_study(folder))) == 1, "what is bought as stock counts too"


def test_a_rule_that_begins_during_the_programme_binds_too(folder):
    write_table(folder, "law_rules", [{**NATIONAL, "since": "2030-03-01"}])
    (fault,) = check_programme_measures(read_study(folder))
    assert "on 2030-03-01" in fault.problem
    write_table(folder, "law_rules", [{**NATIONAL, "since": "2036-01-01"}])
    assert check_programme_measures(read_study(folder)) == []


def test_a_treaty_rule_lets_go_on_the_day_of_the_exit(folder):
    rule = {**NATIONAL, "rule": "wide", "instrument": "APMBC", "binding": "party"}
    write_table(folder, "law_rules", [rule])
    study = read_study(folder)
    assert [len(check_measures(study, date(2025, 12, day))) for day in (26, 27)] == [1, 0]


def test_a_plan_that_would_be_unlawful_cannot_be_solved(folder, capsys):
    # The template's ground lies in HOME.
    text = (folder / "study.toml").read_text("utf-8").replace('home = ["LT"]', 'home = ["HOME"]')
    (folder / "study.toml").write_text(text, "utf-8")
    write_table(folder, "law_rules", [{**NATIONAL, "state": "any", "until": "2027"}])
    assert main(["build", str(folder)]) == 0
    capsys.readouterr()
    assert main(["solve", str(folder)]) == 1
    assert "by the rule strip_law (national, art. 2)" in capsys.readouterr().err
    assert main(["curve", str(folder)]) == 1
    assert "by the rule strip_law (national, art. 2)" in capsys.readouterr().err
    assert not (folder / "plans").exists()
    (folder / "tables" / "law_rules.csv").unlink()
    assert main(["solve", str(folder)]) == 0


def test_bad_rules_are_named(folder):
    rows = [
        {**NATIONAL, "rule": "a", "instrument": "OTTAWA"},
        {**NATIONAL, "rule": "b", "kinds": "mine_reserv"},
        {**NATIONAL, "rule": "c", "effect": "duty"},
        {**NATIONAL, "rule": "d", "binding": "party"},
        {**NATIONAL, "rule": "e", "since": "2030", "until": "2029"},
        {**NATIONAL, "rule": "never_anti_personnel", "instrument": "abatis", "until": "2000"},
        {**NATIONAL, "rule": "f", "state": "XX"},
    ]
    write_table(folder, "law_rules", rows)
    with pytest.raises(InputError) as caught:
        read_law_rules(read_study(folder))
    assert [fault.row for fault in caught.value.faults] == [2, 3, 4, 5, 6, 7, 8]


def test_an_unknown_home_state_is_neither_lawful_nor_unlawful(folder):
    text = (folder / "study.toml").read_text("utf-8").replace('home = ["LT"]', 'home = ["HOME"]')
    (folder / "study.toml").write_text(text, "utf-8")
    study = read_study(folder)
    assert {one.verdict for one in assess_measures(study, date(2026, 1, 1)) if one.measure != "-"} == {
        "not known"
    }
    assert check_programme_measures(study) == []
    assert {one.status for one in list_standings(study, date(2026, 1, 1))} == {"not known"}


def test_law_does_not_touch_the_hash_of_a_plan(folder):
    before = hash_study(read_study(folder))
    write_table(folder, "law_rules", [NATIONAL])
    assert hash_study(read_study(folder)) == before


def test_norms_are_answered_only_where_the_study_shows_them(lithuania):
    kept = {one.norm: one.kept for one in list_norms(lithuania)}
    assert kept.pop("no_anti_personnel") == "yes"
    assert set(kept.values()) == {"to be shown"}


def test_command_prints_the_contract(folder, capsys):
    assert main(["law", str(folder), "--date", "2025-12-27", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    row = next(one for one in answer["register"] if (one["state"], one["instrument"]) == ("LT", "APMBC"))
    assert {"state", "instrument", "status", "since", "duties", "tag", "source"} <= set(row)
    assert (row["status"], row["since"], row["duties"], row["tag"]) == ("left", "2025-12-27", [], "F")
    assert all("lawful" in one for one in answer["measures"])
    assert main(["law", str(folder), "--date", "2025-12-27"]) == 0
    plain = capsys.readouterr().out
    line = next(one for one in plain.splitlines() if one.startswith("LT     AP2"))
    assert "1998-12-03?" in line
    assert "1998-12-03 " not in plain


def test_command_names_what_is_wrong(folder, capsys):
    assert main(["law", str(folder), "--date", "27.12.2025"]) == 1
    assert "is '27.12.2025', no day" in capsys.readouterr().err
    assert main(["law", str(folder), "--date", "soon", "--state", "LX", "--state", "RX"]) == 1
    told = capsys.readouterr().err
    assert all(one in told for one in ("3 faults", "'soon'", "'LX'", "'RX'"))
    assert main(["law", str(folder), "--date", "2026-01-01", "--state", "LX"]) == 1
    assert "'LX' is not in the treaty register" in capsys.readouterr().err
    assert main(["law", str(folder), "--date", "2026-01-01", "--state", "all", "--json"]) == 0
    states = {one["state"] for one in json.loads(capsys.readouterr().out)["register"]}
    assert states == {*FIVE, "UA", "RU", "BY"}


@pytest.mark.parametrize("text", ["2025-13", "25-01-01", "2025-1-1", "soon", "2025-02-29"])
def test_wrong_dates_are_refused(text):
    with pytest.raises(ValueError, match=r"."):
        parse_span(text)


def test_example_of_lithuania_is_lawful_through_its_programme(tmp_path: Path):
    from abatis.show.new import write_study

    write_study(tmp_path / "lt", "lithuania", "", ())
    study = read_study(tmp_path / "lt")
    assert check_programme_measures(study) == []
    kinds = dict(study.tables["measures"][["measure", "law_kind"]].itertuples(index=False))
    assert kinds["R01"] == "mine_reserve"
