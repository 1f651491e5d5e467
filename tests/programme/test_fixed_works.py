"""What is built or contracted already: a table that the schedule keeps, with all its faults at once."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.programme.book_reader import Book

from abatis.barrier.sites import site_study
from abatis.model.errors import InputError
from abatis.model.plan import read_plan
from abatis.model.study import read_study
from abatis.programme.schedule import pay_options
from abatis.programme.terms import NEVER, read_terms
from abatis.show.cli import main
from abatis.show.programme import ProgrammeSettings, make_programme
from abatis.show.report.programme import write_programme_files
from abatis.show.workflow import load_study

HEAD = "site,option,measure,start_year,finish_year,paid_eur,source,tag\n"


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    """Study folder of the template, its siting and plan; not to be changed."""
    folder = tmp_path_factory.mktemp("fixed") / "first"
    assert main(["new", str(folder)]) == 0
    assert main(["build", str(folder)]) == 0
    assert main(["solve", str(folder), "--time-limit", "5"]) == 0
    study, mesh = load_study(folder)
    return folder, site_study(study, mesh), read_plan(folder / "plans" / "base")


def write_fixed(solved, tmp_path, rows):
    folder = Path(shutil.copytree(solved[0], tmp_path / "copy"))
    (folder / "tables" / "fixed_works.csv").write_text(HEAD + rows, encoding="utf-8")
    return folder


def read(solved, folder):
    return read_terms(read_study(folder), solved[2], solved[1])


def list_chosen(solved):
    options = {(one.site, one.option): one for one in solved[1].options}
    return [options[one.site, one.option] for one in solved[2].options]


def test_years_and_money_come_from_the_table(solved, tmp_path):
    first, second, third = list_chosen(solved)[:3]
    rows = f"{first.site},{first.option},,2025,2028,100000,contract,F\n"
    rows += f"{second.site},,,2020,2024,,built,F\n"
    rows += "".join(
        f"{third.site},,{m},2026,{2027 + n},,contract,F\n" for n, (m, _) in enumerate(third.quantities)
    )
    terms = read(solved, write_fixed(solved, tmp_path, rows))
    row = {site: number for number, site in enumerate(terms.sites)}
    assert (terms.fixed_start[row[first.site]], terms.fixed_finish[row[first.site]]) == (0, 2)
    assert terms.paid_eur[row[first.site]].sum() == 100000
    assert terms.full_cost_eur[row[first.site]].sum() == pytest.approx(first.cost_eur, abs=0.004)
    assert terms.paid.tolist() == [site == second.site for site in terms.sites]
    assert terms.fixed_finish[row[third.site]] == len(third.quantities)
    paid = pay_options(terms, np.full(len(terms.sites), NEVER)).sum(axis=(1, 2))
    assert paid[row[first.site]] == pytest.approx(first.cost_eur - 100000, abs=0.02)
    assert paid[row[second.site]] == 0
    assert paid[row[third.site]] == pytest.approx(third.cost_eur, abs=0.02)


def test_totals_agree_with_fixed_works_in_plan_schedule_workbook_and_page(solved, tmp_path):
    first, second = sorted(list_chosen(solved), key=lambda one: one.cost_eur)[:2]
    before = round(first.cost_eur / 2 + 0.55, 2)
    rows = f"{first.site},,,2025,2034,{before},contract,F\n{second.site},,,2020,2024,,built,F\n"
    folder = write_fixed(solved, tmp_path, rows)
    found = make_programme(folder, ProgrammeSettings(time_limit_s=3.0), lambda *_: None)
    page, workbook = write_programme_files(found)
    book = Book(workbook.read_bytes())
    assert book.value("Checks", 2, book.depth["Checks"]) == "all agree"
    told = json.loads((folder / "plans" / "base" / "programme.json").read_text("utf-8"))
    assert round(100 * sum(one["cost_eur"] for one in told["options"])) == round(100 * found.plan.cost_eur)
    assert [one["site"] for one in told["options"] if one["is_fixed"]] == sorted(
        [first.site, second.site], key=found.terms.sites.index
    )
    assert "built or contracted already" in page.read_text("utf-8")


def test_all_faults_come_at_once(solved, tmp_path):
    first, second, third = list_chosen(solved)[:3]
    measure = third.quantities[0][0]
    rows = f"{first.site},,,2028,2027,,s,F\nnowhere,,,2026,2027,,s,F\n{second.site},,,2050,2051,,s,F\n"
    rows += (
        f"{second.site},,{second.quantities[0][0]},2026,2027,,s,F\n{third.site},,{measure},2026,2027,,s,F\n"
    )
    with pytest.raises(InputError) as caught:
        read(solved, write_fixed(solved, tmp_path, rows))
    shown = "\n".join(str(one) for one in caught.value.faults)
    for words in (
        "tables/fixed_works.csv, row 2, finish_year: is 2027, before the start in 2028",
        "tables/fixed_works.csv, row 3, site: site 'nowhere' is built or contracted but not in the plan",
        "tables/fixed_works.csv, row 4, start_year: is 2050, after the last year of the programme, 2035",
        f"tables/fixed_works.csv, row 5, measure: site '{second.site}' has a row for all of it and 1 more",
    ):
        assert words in shown, words
    if len(third.quantities) > 1:
        assert "row 6, measure: site" in shown and "a site is fixed as a whole" in shown


def test_a_site_stands_once_and_measures_are_known(solved, tmp_path, capsys):
    first = list_chosen(solved)[0]
    folder = write_fixed(solved, tmp_path, 2 * f"{first.site},,,2026,2027,,s,F\n")
    assert main(["programme", str(folder)]) == 1
    assert "has a row for all of it and 1 more" in capsys.readouterr().err
    rows = f"{first.site},dich,dich,2026,2027,,s,F\n{first.site},,,2026,2027,-1,s,F\n"
    (folder / "tables" / "fixed_works.csv").write_text(HEAD + rows, encoding="utf-8")
    assert main(["programme", str(folder)]) == 1
    told = capsys.readouterr().err
    assert "row 2, measure: 'dich' is not in tables/measures.csv" in told
    assert "row 2, option: 'dich' is not in tables/options.csv" in told
    assert "row 3, paid_eur: is -1 but must be at least 0" in told
