"""The civil account: every figure of the report's first page is computed again from the rooms below."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import pytest

from abatis.barrier.sites import site_study
from abatis.model.plan import read_plan
from abatis.people.access import compute_access
from abatis.people.balance import PARTS, list_parts
from abatis.people.clearance import assess_liability, read_terms
from abatis.people.impact import assess_impact
from abatis.people.land import account_land
from abatis.people.law import list_duties
from abatis.show.balance import read_weights
from abatis.show.balance_tables import read_balance
from abatis.show.civil import compute_account, tabulate_duties
from abatis.show.civil_figures import join_tags
from abatis.show.cli import main
from abatis.show.report import build_report
from abatis.show.results import compute_ranges
from abatis.show.workflow import load_study

REGISTER = """hazard,name,state,kind,status,category,category_basis,evidence,evidence_kind,benchmark_lon,\
benchmark_lat,area_m2,opened,confirmed,beneficiaries,beneficiaries_basis,blocked_use,origin,owner,source,tag
h1,Old battle ground,LT,CHA,open,explosive_remnants,confirmed,direct,finds during ploughing,{lon},{lat},\
40000,2024-01-10,2024-03-01,40,expected,farm,past_war,state fire and rescue service,test,G
"""


class Answers(HTMLParser):
    """Numbers of the page by key, the titles of its sections, and cells of its tables."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.values: dict[str, float] = {}
        self.ids: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if "data-key" in values:
            self.values[values["data-key"]] = float(values["data-value"])
        if values.get("id"):
            self.ids.append(values["id"])

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def baltic(solved_folder, tmp_path_factory) -> Path:
    """The template moved to Lithuania, with a find of past wars in its register; solved in seconds."""
    folder = Path(shutil.copytree(solved_folder, tmp_path_factory.mktemp("people") / "lt"))
    for path in (folder / "study.toml", *folder.glob("tables/*.csv"), *folder.glob("sources/*.geojson")):
        path.write_text(path.read_text("utf-8").replace('"HOME"', '"LT"').replace(",HOME,", ",LT,"), "utf-8")
    mesh = load_study(solved_folder)[1]
    text = REGISTER.format(lon=float(mesh.lon.mean()), lat=float(mesh.lat.mean()))
    (folder / "tables" / "hazards.csv").write_text(text, "utf-8")
    assert main(["build", str(folder)]) == 0
    assert main(["solve", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def chain(baltic):
    study, mesh = load_study(baltic)
    return study, mesh, site_study(study, mesh), read_plan(baltic / "plans" / "base")


@pytest.fixture(scope="module")
def page(baltic) -> Answers:
    return Answers((baltic / "plans" / "base" / "report.html").read_text("utf-8"))


def test_every_civil_figure_of_the_first_page_is_that_of_the_functions(page, chain):
    study, mesh, siting, plan = chain
    access = compute_access(study, mesh, siting, plan)
    land = account_land(study, mesh, siting, plan)
    impact = assess_impact(study, mesh, siting, plan)
    cost = assess_liability(study, mesh, siting, plan)[0].cost
    lost = [one for one in access.places if any(hours.cut_off("closed") for hours in one.hours.values())]
    in_peace = [one for one in access.places if any(hours.cut_off("peace") for hours in one.hours.values())]
    expected = {
        "places_cut_off_closed": len(lost),
        "people_cut_off_closed": sum(one.persons for one in lost),
        "people_cut_off_peace": sum(one.persons for one in in_peace),
        "near_m": 500.0,
        "households_near": land.households_near.mode,
        "land_take": land.land_ha,
        "protected": land.protected_ha,
        "liability_low": cost.low,
        "liability_mode": cost.mode,
        "liability_high": cost.high,
        "people_near": impact.people_near,
    }
    for state in ("before", "peace", "closed"):
        one = access.evacuation[state]
        expected |= {f"evacuation_{state}": one.clear_h, f"spread_{state}": one.spread_h}
        if state != "peace":
            expected[f"stranded_{state}"] = one.stranded
            expected[f"people_far_{state}"] = sum(
                place.persons for place in access.places if place.hours["ambulance"].pick(state) > 1.0
            )
    owed = {
        rule.rule
        for kind in (*_kinds_of(study, siting, plan), "hazard")
        for rule in list_duties(study, "LT", (kind,), date(study.first_year, 1, 1))
    }
    assert owed
    expected["duties"] = len(owed)
    for key, value in expected.items():
        if key == "protected":
            assert key not in page.values and "not known (no such layer)" in page.text
        else:
            assert page.values[key] == pytest.approx(value, rel=1e-6, abs=1e-9), key
    assert page.values["places_cut_off_closed"] > 0
    # 40,000 m2 of ground at the packaged prices, nothing else: the template has no belts.
    price = read_terms(study)["price"].value
    assert (cost.low, cost.mode, cost.high) == (40e3 * price.low, 40e3 * price.mode, 40e3 * price.high)


def _kinds_of(study, siting, plan) -> set[str]:
    kind = study.tables["measures"].set_index("measure")["law_kind"]
    options = {(one.site, one.option): one for one in siting.options}
    return {kind[key] for one in plan.options for key, _ in options[one.site, one.option].quantities}


def test_every_civil_figure_has_formula_source_and_tag(page, chain):
    account = compute_account(*chain)
    assert page.text.count("APMBC") > 1
    for one in account.figures.values():
        assert one.formula and one.source and one.tag in ("F", "F-", "D", "G"), one.key
        assert one.formula in page.text.replace("\n", " "), one.key
    assert {"duties", "table-duties", "table-figures", "table-norms", "balance"} <= set(page.ids)


def test_a_reviewer_finds_the_duties_by_whom_and_never_a_sure_date_from_a_placeholder(page, chain):
    table = tabulate_duties(compute_account(*chain))
    assert {row["asked"] for row in table.rows} >= {"record", "warn", "clear"}
    assert {row["who"] for row in table.rows} == {"state LT"}
    for row in table.rows:
        if not row["certain"]:
            assert row["bound"] == "date not known" or "?" in row["bound"]
    for one in compute_account(*chain).standings:
        assert one.certain or not one.since or one.since.endswith("?")
        assert f"{one.since}" in page.text
    for row in table.rows:
        assert row["wording"] in page.text and row["basis"] in page.text


def test_unknown_state_has_no_duties_and_the_page_says_so(results):
    account = compute_account(results.study, results.mesh, results.siting, results.plan)
    assert account.unknown_states == results.study.home and account.duties == ()
    page = Answers(build_report(results, (), compute_ranges(results)))
    assert "duties" not in page.values
    assert "The hazard register of this study is empty" in page.text
    assert f"not known for {results.study.home[0]}" in " ".join(page.text.split())


def test_people_command_keeps_its_contract(baltic, chain, capsys):
    assert main(["people", str(baltic), "--plan", "base", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    study, mesh, siting, plan = chain
    assert found["liability_eur"] == {"low": 6000.0, "mode": 40000.0, "high": 160000.0}
    assert found["land_ha"] == pytest.approx(assess_impact(study, mesh, siting, plan).land_total_ha)
    assert [row["place"] for row in found["cut_off"]] and found["evacuation"]
    assert {"persons", "lost", "name"} <= set(found["cut_off"][0])
    assert {"state", "persons", "clear_h"} <= set(found["evacuation"][0])
    order = [row["persons"] for row in found["closing_order"]]
    assert sum(order) == sum(row["persons"] for row in found["cut_off"] if "safe" in row["lost"])
    alone = {(row["site"], row["aim"]): row["alone"] for row in found["causes"]}
    causes = compute_account(study, mesh, siting, plan).causes
    for (site, aim), persons in alone.items():
        cut = [one.persons for one in causes if (one.site, one.aim) == (site, aim) and one.alone]
        assert persons == sum(cut)
    assert len(alone) == len(found["causes"])
    assert main(["people", str(baltic)]) == 0
    text = capsys.readouterr().out
    assert "number by number" in text and "Duties that come with the plan" in text


def test_faults_of_the_people_command_are_named(baltic, capsys):
    assert main(["people", str(baltic), "--plan", "none"]) == 1
    assert "plan.json" in capsys.readouterr().err
    for words, told in (
        (["--balance", "lnad"], "land"),
        (["--balance", "land", "--points", "1"], "at least 2"),
        (["--balance", "land", "--keep", "2"], "share"),
        (["--balance", "weighted", "--weights", "people"], "people=2"),
        (["--balance", "land", "--time-limit", "-1"], "at least 0"),
    ):
        assert main(["people", str(baltic), *words]) == 1, words
        assert told in capsys.readouterr().err


def test_the_parts_of_a_study_are_those_that_settings_may_name(chain):
    study, mesh, siting, _ = chain
    assert tuple(part.key for part in list_parts(study, mesh, siting)) == PARTS


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--balance", "land", "--gap", "nan"], ["--gap: is nan"]),
        (["--gap", "2"], ["--gap: is 2"]),
        (
            ["--balance", "foo", "--gap", "nan", "--time-limit", "-3", "--points", "1", "--keep", "0"],
            ["--balance: 'foo'", "--points: is 1", "--keep: is 0", "--gap: is nan", "--time-limit: is -3"],
        ),
        (["--weights", "foo=2"], ["'foo' is no civil cost", "add --balance weighted"]),
        (["--balance", "land", "--weights", "people=x"], ["'people=x'", "add --balance weighted"]),
        (["--balance", "weighted", "--weights", "people=x,foo=2"], ["'people=x'", "'foo' is no civil cost"]),
        (["--balance", "all", "--weights", "people=-1,foo=nan"], ["'foo'", "people is -1", "foo is nan"]),
    ],
)
def test_faults_of_a_balance_are_named_together(baltic, capsys, words, told):
    assert main(["people", str(baltic), *words]) == 1
    shown = capsys.readouterr().err
    assert f"{len(told)} fault" in shown
    for one in told:
        assert one in shown, one


def test_balance_is_kept_beside_the_plan_and_shown_in_the_report(baltic, chain, capsys, tmp_path):
    folder = Path(shutil.copytree(baltic, tmp_path / "copy"))
    words = ["--balance", "land", "--balance", "weighted", "--points", "4", "--time-limit", "20", "--json"]
    assert main(["people", str(folder), *words]) == 0
    found = json.loads(capsys.readouterr().out)
    _, _, siting, plan = chain
    land_ha = {(one.site, one.option): one.land_take_m2 / 1e4 for one in siting.options}
    values = [row["value_h"] for row in found["land"]]
    assert values == sorted(values) and len(values) == 4
    assert values[-1] == pytest.approx(plan.value_h)
    for row in found["land"]:
        assert row["amount"] <= row["limit"] + 1e-9 and row["won_h"] <= row["bound_won_h"] + 1e-9
    for row in found["least"]:
        assert row["least_amount"] <= row["amount"] <= row["free_amount"] + 1e-9
        assert row["won_h"] >= 0.95 * (plan.value_h - plan.before_h) - 1e-6
    least = found["least"][0]
    assert least["amount"] == pytest.approx(
        math.fsum(land_ha[one["site"], one["option"]] for one in least["chosen"])
    )
    assert main(["report", str(folder / "plans" / "base")]) == 0
    page = Answers((folder / "plans" / "base" / "report.html").read_text("utf-8"))
    assert {"table-least", "table-front-1", "table-front-2"} <= set(page.ids)
    other = replace(plan, options=plan.options[1:])
    assert read_balance(folder / "plans" / "base", other)[0] is None
    assert read_balance(folder / "plans" / "base", plan)[0] is not None


def test_weights_and_tags():
    assert read_weights("") is None
    assert read_weights("people=2,land=1") == {"people": 2.0, "land": 1.0}
    assert join_tags(["F", "F-", "D"]) == "F-"
