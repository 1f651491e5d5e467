"""Terms of a programme: everything wrong is said at once, with its place; figures load as published."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from abatis.barrier.sites import site_study
from abatis.examples.lithuania import write_example
from abatis.model.errors import InputError
from abatis.model.plan import read_plan
from abatis.model.study import PROGRAMME_TABLES, hash_study, read_study
from abatis.programme.afford import weigh_affordability
from abatis.programme.funding import list_readings, spread_evenly
from abatis.programme.schedule import solve_schedule
from abatis.programme.spans import measure_spans
from abatis.programme.terms import FixedWork, read_terms
from abatis.programme.yearly_bounds import limit_purchases
from abatis.show.cli import main
from abatis.show.programme import ProgrammeSettings, describe_programme, make_programme
from abatis.show.workflow import load_study

BUDGET_HEAD = "line,name,amount_eur,planned,source,tag\n"


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    """Study folder of the template, its siting and plan; not to be changed."""
    folder = tmp_path_factory.mktemp("programme") / "first"
    assert main(["new", str(folder)]) == 0
    assert main(["build", str(folder)]) == 0
    assert main(["solve", str(folder), "--time-limit", "5"]) == 0
    study, mesh = load_study(folder)
    return folder, site_study(study, mesh), read_plan(folder / "plans" / "base")


def change_study(solved, tmp_path, tables=None, settings=None):
    """A copy of the solved study with some tables and settings replaced."""
    folder = Path(shutil.copytree(solved[0], tmp_path / "copy"))
    for name, text in (tables or {}).items():
        (folder / "tables" / f"{name}.csv").write_text(text, encoding="utf-8")
    path = folder / "study.toml"
    text = path.read_text(encoding="utf-8")
    for old, new in (settings or {}).items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return read_study(folder)


def list_faults(solved, study, **given):
    with pytest.raises(InputError) as caught:
        read_terms(study, solved[2], solved[1], **given)
    return [str(fault) for fault in caught.value.faults]


def used_measures(solved):
    _, siting, plan = solved
    keys = {(one.site, one.option) for one in plan.options}
    options = [one for one in siting.options if (one.site, one.option) in keys]
    return sorted({measure for one in options for measure, _ in one.quantities}), options


def test_defaults_need_no_table(solved):
    study = read_study(solved[0])
    terms = read_terms(study, solved[2], solved[1])
    assert terms.years.tolist() == list(range(2026, 2036))
    assert terms.cost_eur.sum() == pytest.approx(solved[2].cost_eur, abs=0.004)
    assert terms.fund_eur.sum() == pytest.approx(study.tables["budget"]["amount_eur"].sum())
    assert terms.index[0] == pytest.approx(1.02)
    assert (terms.growth == 1).all()


def test_all_faults_come_at_once_with_their_places(solved, tmp_path):
    measures, options = used_measures(solved)
    first, second = measures[0], measures[-1]
    site = options[0].site
    study = change_study(
        solved,
        tmp_path,
        {
            "budget": BUDGET_HEAD + "works,Works,3000000,true,source,G\nother,Other,1000000,false,source,G\n",
            "budget_years": "line,year,amount_eur,source,tag\nworks,2026,1500000,source,G\n"
            "works,2028,1000000,source,G\nworks,2050,400000,source,G\n",
            "budget_measures": f"line,measure,source,tag\nworks,{first},source,G\nother,{first},source,G\n",
            "lots": f"measure,minimum_order_units,delivery_months,source,tag\n{first},1000000,6,source,G\n"
            f"{second},0.5,200,source,G\n",
            "order_rules": f"before,after,source,tag\n{first},{second},source,G\n{second},{first},source,G\n"
            f"nothing,{site},source,G\n",
            "effects": f"measure,years_after,share,source,tag\n{first},0,0.8,source,G\n"
            f"{first},3,0.5,source,G\n",
            "regions": "region,name,west,south,east,north,source,tag\na,A,-180,-90,180,90,source,G\n"
            "b,B,-180,-90,180,90,source,G\n",
        },
    )
    fixed = (FixedWork(site, 2027, 2026), FixedWork("no-site", 2026, 2026))
    faults = "\n".join(list_faults(solved, study, fixed=fixed))
    for words in (
        "tables/budget_years.csv, row 4, year: line 'works' has no money for 2027",
        "tables/budget_years.csv, row 4, year: 2050 lies outside the programme, 2026 to 2035",
        "tables/budget_years.csv, row 2, amount_eur: the years of line 'works' add up to 2,900,000.00 EUR",
        f"tables/budget_measures.csv, row 3, measure: measure '{first}' is paid by line 'works' already",
        f"tables/lots.csv, row 2, minimum_order_units: a lot of 1e+06 {first} costs",
        "tables/order_rules.csv, row 2, before: the rules of rows 2, 3 go round in a circle",
        "tables/order_rules.csv, row 4, before: 'nothing' is neither a measure nor a site",
        f"tables/effects.csv, row 3, share: share of '{first}' falls with the years",
        "tables/regions.csv, row 3, region: regions 'a' and 'b' both hold the site",
        f"site '{site}' finishes in 2026, before it starts in 2027",
        "site 'no-site' is built or contracted but not in the plan",
        "lead_months: lead time of",
        "past the last year 2035",
    ):
        assert words in faults, words
    assert f"measure '{second}' of the plan is paid by no line" in faults


def test_named_budgets_are_known_and_speak_of_every_line(solved, tmp_path):
    study = change_study(
        solved,
        tmp_path,
        {
            "budget": BUDGET_HEAD + "works,Works,3000000,true,source,G\nother,Other,1000000,false,source,G\n",
            "budgets": "budget,name,line,amount_eur,source,tag\nhigh,High,works,5000000,source,F\n",
        },
    )
    assert list_faults(solved, study, named_budget="hihg") == [
        "tables/budgets.csv, budget: has no budget 'hihg' (did you mean 'high'?)"
    ]
    assert (
        "budget 'high' does not say what line 'other' has"
        in list_faults(solved, study, named_budget="high")[0]
    )


def test_order_of_low_mode_and_high_is_checked_when_the_study_is_read(solved, tmp_path):
    tables = {
        "economy": "year,gdp_eur,defence_low_share,defence_share,defence_high_share,source,tag\n"
        "2026,1000000,0.06,0.05,0.07,source,G\n",
        "liabilities": "liability,name,low_eur,amount_eur,high_eur,source,tag\nx,X,5,4,6,source,G\n",
    }
    with pytest.raises(InputError) as caught:
        change_study(solved, tmp_path, tables)
    shown = [str(fault) for fault in caught.value.faults]
    assert [text.partition(",")[0] for text in shown] == ["tables/economy.csv", "tables/liabilities.csv"]


def test_programme_tables_do_not_make_a_plan_stale(solved, tmp_path):
    before = hash_study(read_study(solved[0]))
    study = change_study(solved, tmp_path, {"upkeep": "measure,yearly_share,source,tag\n"})
    assert hash_study(study) == before
    assert set(PROGRAMME_TABLES) <= set(study.tables)


def test_money_is_spread_to_the_cent():
    for amount, parts in ((112e6, 10), (100.0, 7), (0.05, 3)):
        money = spread_evenly(amount, parts)
        assert round(money.sum(), 2) == amount
        assert money.max() - money.min() <= 0.1


def test_spans_follow_the_calendar():
    spans = measure_spans(np.array([0.0, 12.0, 6.0, 24.0]), np.array([0.0, 6.0, 12.0, 0.0]))
    assert spans.years.tolist() == [1, 2, 2, 2]
    assert spans.profile.tolist() == [[1, 0], [0, 1], [0.5, 0.5], [0, 1]]


def test_purchases_are_never_more_than_money_buys(solved, tmp_path):
    """Two years of 100 at 10 % inflation from a base year before: 100 / 1.1 + 100 / 1.21."""
    study = change_study(
        solved,
        tmp_path,
        {"budget": BUDGET_HEAD + "works,Works,200,true,source,G\n"},
        {
            "indexation = 0.02": "indexation = 0.1",
            "\nyears = 10": "\nyears = 2",
            "land_months = 12": "land_months = 0",
        },
    )
    terms = read_terms(study, solved[2], solved[1])
    assert limit_purchases(terms, 0, 1) == pytest.approx(100 / 1.1 + 100 / 1.21)
    assert limit_purchases(terms, 0, 0) == pytest.approx(100 / 1.1)


def test_programme_adds_up_to_the_cent_from_plan_to_file(solved, tmp_path):
    study = change_study(solved, tmp_path)
    found = make_programme(study.folder, ProgrammeSettings(time_limit_s=5.0), lambda *_: None)
    told = describe_programme(found)
    schedule, totals = found.schedule, told["totals"]
    cents = round(100 * sum(one["cost_eur"] for one in told["options"] if one["start_year"] is not None))
    assert cents == round(100 * totals["built_cost_eur"])
    assert cents == round(100 * sum(year["base_price_eur"] for year in told["years"]))
    assert round(100 * totals["total_eur"]) == round(100 * sum(year["total_eur"] for year in told["years"]))
    assert round(100 * sum(one["cost_eur"] for one in told["options"])) == round(100 * found.plan.cost_eur)
    assert {"year", "planned_eur", "held_h", "p10", "p50", "p90"} <= set(told["years"][0])
    assert schedule.value_h[-1] <= found.plan.value_h * (1 + 1e-9)
    assert schedule.value_h[0] >= found.plan.before_h * (1 - 1e-9)
    assert (study.folder / "plans" / "base" / "programme.json").is_file()


def test_upkeep_renewal_and_shares_by_hand(solved, tmp_path):
    measures, _ = used_measures(solved)
    rows = "".join(f"{measure},0.1,source,G\n" for measure in measures)
    study = change_study(
        solved,
        tmp_path,
        {
            "upkeep": "measure,yearly_share,source,tag\n" + rows,
            "economy": "year,gdp_eur,defence_low_share,defence_share,defence_high_share,source,tag\n"
            "2026,1000000000,0.04,0.05,0.1,source,G\n",
            "eu_money": "line,name,amount_eur,kind,certain,source,tag\n"
            f"{read_study(solved[0]).tables['budget']['line'].iloc[0]},Loan,500,loan,false,source,F\n",
            "liabilities": "liability,name,low_eur,amount_eur,high_eur,source,tag\nx,X,4,5,6,source,G\n",
        },
        {"indexation = 0.02": "indexation = 0", "tail_years = 15": "tail_years = 30"},
    )
    terms = read_terms(study, solved[2], solved[1])
    schedule = solve_schedule(solved[1].problem, terms, time_limit_s=3.0)
    found = weigh_affordability(study, solved[1], terms, schedule)
    unit = dict(
        zip(study.tables["measures"]["measure"], study.tables["measures"]["unit_cost_eur"], strict=True)
    )
    life = dict(zip(study.tables["measures"]["measure"], study.tables["measures"]["life_years"], strict=True))
    upkeep, renewal = {}, {}
    for row, finish in zip(terms.options, schedule.finish_year, strict=True):
        for measure, units in solved[1].options[row].quantities if finish > 0 else ():
            for year in range(int(finish) + 1, 2066):
                upkeep[year] = upkeep.get(year, 0.0) + 0.1 * units * unit[measure]
                if (year - finish) % life[measure] == 0:
                    renewal[year] = renewal.get(year, 0.0) + units * unit[measure]
    for one in found.tail:
        assert one.upkeep_eur == pytest.approx(upkeep.get(one.year, 0.0), abs=0.01)
        assert one.renewal_eur == pytest.approx(renewal.get(one.year, 0.0), abs=0.01)
        assert one.in_programme == (one.year <= 2035)
    assert sum(one.renewal_eur for one in found.tail) > 0
    first = found.economy[0]
    assert first.defence_share == pytest.approx(first.programme_eur / 50e6)
    assert first.defence_share_low == pytest.approx(first.programme_eur / 100e6)
    assert first.defence_share_high == pytest.approx(first.programme_eur / 40e6)
    assert any("2027" in note for note in found.notes)
    assert (found.eu_hoped_eur, found.eu_certain_eur, found.grant_eur) == (500.0, 0.0, 0.0)
    removal = sum(solved[1].options[row].removal_cost_eur for row in terms.options[schedule.finish_year > 0])
    assert [one.amount_eur for one in found.liabilities] == [removal, 5.0]


def test_lithuania_loads_both_readings_of_the_public_figures(tmp_path):
    study = read_study(write_example(tmp_path / "lt"))
    readings = {one["budget"]: one for one in list_readings(study)}
    stated, announced = readings["stated_2026"], readings["announced_2025"]
    assert stated["lines"] == {
        "mines": 812e6, "counter_mobility": 112e6, "engineering": 83e6, "surveillance": 85e6
    }  # fmt: skip
    assert stated["total_eur"] == 1092e6
    assert stated["tags"] == "F"
    assert announced["lines"]["mines"] == 800e6
    assert announced["total_eur"] == 1100e6
    facts = study.tables["facts"].set_index("fact")["value"]
    assert facts["total_2025"] * 1e6 == announced["total_eur"]
    assert facts["split_sum"] * 1e6 == stated["total_eur"]
    for table in PROGRAMME_TABLES:
        frame = study.tables[table]
        assert (frame["source"].str.len() > 5).all(), table


def test_command_line_says_years_lines_and_bad_settings(solved, tmp_path, capsys):
    import json

    folder = str(shutil.copytree(solved[0], tmp_path / "copy"))
    assert main(["programme", folder, "--time-limit", "2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["year"] for one in told["years"]] == list(range(2026, 2036))
    assert told["gap"] >= 0
    assert main(["programme", folder, "--time-limit", "1"]) == 0
    assert "Against defence budget and GDP" in capsys.readouterr().out
    assert main(["programme", folder, "--gap", "2"]) == 1
    assert main(["programme", folder, "--plan", "none"]) == 1
    assert main(["programme", folder, "--budget", "none"]) == 1
    assert "has no budget 'none'" in capsys.readouterr().err
