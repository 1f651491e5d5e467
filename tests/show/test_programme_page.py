"""The programme page and workbook of a small study: same money everywhere, nothing outside the page."""

import base64
import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from tests.programme.book_reader import Book

from abatis.show.beside import read_beside
from abatis.show.cli import main
from abatis.show.programme import ProgrammeSettings, make_programme, tabulate_programme
from abatis.show.report.programme import list_bars, write_programme_files


@pytest.fixture(scope="module")
def folder(solved_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("programme") / "study"
    shutil.copytree(solved_folder, place)
    return place


@pytest.fixture(scope="module")
def programme(folder: Path):
    found = make_programme(folder, ProgrammeSettings(time_limit_s=3.0), lambda _words, _share: None)
    write_programme_files(found)
    return found


@pytest.fixture(scope="module")
def page(programme, folder: Path) -> str:
    return (folder / "plans" / "base" / "programme.html").read_text(encoding="utf-8")


def read_table(page: str, key: str) -> list[list[str]]:
    body = re.search(rf'<table id="{key}">.*?<tbody>(.*?)</tbody>', page, re.S)[1]
    rows = re.findall(r"<tr.*?>(.*?)</tr>", body, re.S)
    return [[re.sub(r"<.*?>", "", cell) for cell in re.findall(r"<td.*?>(.*?)</td>", row)] for row in rows]


def to_cents(shown: str) -> int:
    return round(float(shown.replace(",", "")) * 100)


def test_totals_agree_to_the_cent_across_plan_schedule_workbook_json_and_page(programme, folder, page):
    place = folder / "plans" / "base"
    schedule, terms = programme.schedule, programme.terms
    stated = json.loads((place / "programme.json").read_text(encoding="utf-8"))
    book = Book((place / "programme.xlsx").read_bytes())
    checks = {book.value("Checks", 1, row): row for row in range(3, book.depth["Checks"] + 1)}

    def compute(what: str) -> int:
        return round(book.value("Checks", 2, checks[what]) * 100)

    shown = {row[0]: row for row in read_table(page, "table-totals")}
    answer = {row[0]: row[1] for row in read_table(page, "table-answer")}
    plan_cents = round(json.loads((place / "plan.json").read_text(encoding="utf-8"))["cost_eur"] * 100)
    assert compute("plan, base-year prices [EUR]") == plan_cents == round(terms.cost_eur.sum() * 100)
    assert to_cents(answer["plan, base-year prices [EUR]"]) == plan_cents
    total = round(schedule.nominal_eur.sum() * 100)
    assert compute("all lines, all years, nominal [EUR]") == total == to_cents(shown["all lines"][3])
    assert round(stated["totals"]["total_eur"] * 100) == total
    for number, line in enumerate(schedule.lines):
        cents = round(schedule.nominal_eur[number].sum() * 100)
        assert compute(f"{line}, all years, nominal [EUR]") == cents == to_cents(shown[line][3])
        assert round(stated["totals"]["planned_eur"][line] * 100) == cents
    for place_of_year, year in enumerate(stated["years"]):
        cents = round(schedule.nominal_eur[:, place_of_year].sum() * 100)
        assert compute(f"all lines {year['year']}, nominal [EUR]") == cents
        assert round(year["total_eur"] * 100) == cents
    assert book.value("Read me", 1, book.depth["Read me"]) == "all agree"


def test_notes_and_tables_without_content_are_left_out(programme, folder, capsys):
    tables = tabulate_programme(programme)
    assert all(line.planned for line in programme.terms.funding.lines) and not tables["budgets"].rows
    assert tables["years"].note.endswith(f"before the programme {programme.schedule.before_h:.2f} h.")
    assert main(["programme", str(folder), "--time-limit", "3"]) == 0
    printed = capsys.readouterr().out
    assert "Answer" in printed and "Readings of the public figures" not in printed
    assert "spend their money" not in printed
    assert main(["programme", str(folder), "--time-limit", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["budgets"] == []
    locked = tuple(replace(line, planned=False) for line in programme.terms.funding.lines)
    funding = replace(programme.terms.funding, lines=locked)
    other = replace(programme, terms=replace(programme.terms, funding=funding))
    note = tabulate_programme(other)["years"].note
    assert note.endswith(
        f"h. Lines not planned here spend their money evenly unless budget_years.csv "
        f"says otherwise: {', '.join(line.key for line in locked)}."
    )


def test_page_stands_alone_and_every_chart_has_words(page):
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    figures = re.findall(r'<img alt="([^"]+)" src="data:image/png;base64,([^"]+)"', page)
    assert len(figures) == page.count("<img") == 4
    for alt, data in figures:
        assert len(alt) > 30
        image = Image.open(io.BytesIO(base64.b64decode(data)))
        assert image.width > 1000
        assert len(set(image.convert("L").resize((60, 40)).tobytes())) > 5
    targets = re.findall(r'href="#([^"]+)"', page)
    assert [one for one in targets if f'id="{one}"' not in page] == []


def test_page_tells_hours_and_what_is_missing(programme, page):
    schedule = programme.schedule
    lead = re.search(r'<p class="lead">(.*?)</p>', page)[1]
    assert f"from {schedule.before_h:.2f} h to {schedule.value_h[-1]:.2f} h" in lead
    assert "not computed: abatis risk STUDY --plan base writes risk.json" in page
    assert "not computed: abatis stock STUDY --plan base writes stock.json" in page
    assert f"amounts of {programme.terms.funding.budget}" in page or "uses this reading" in page


def test_works_are_drawn_once_each_and_grouped_when_many(programme, monkeypatch):
    built = int((programme.schedule.start_year != -1).sum())
    bars, grouped = list_bars(programme)
    assert not grouped
    assert len(bars) == built > 1
    years = programme.schedule.years
    assert all(years[0] <= bar.begin <= bar.work < bar.end <= years[-1] + 1 for bar in bars)
    monkeypatch.setattr("abatis.show.report.programme.MOST_BARS", 0)
    bars, grouped = list_bars(programme)
    assert grouped
    assert sum(int(bar.label.split(" × ")[0]) for bar in bars) == built


def test_bands_of_risk_reach_page_and_json_until_the_study_changes(programme, folder, tmp_path):
    own = tmp_path / "own"
    shutil.copytree(folder, own)
    assert main(["risk", str(own), "--draws", "20"]) == 0
    assert main(["programme", str(own), "--time-limit", "3", "--json"]) == 0
    place = own / "plans" / "base"
    page = (place / "programme.html").read_text(encoding="utf-8")
    stated = json.loads((place / "programme.json").read_text(encoding="utf-8"))
    rows = read_table(page, "table-bands")
    assert len(rows) == len(stated["years"])
    for row, year in zip(rows, stated["years"], strict=True):
        assert year["p10"]["held_h"] <= year["p50"]["held_h"] <= year["p90"]["held_h"]
        assert row[1] == f"{year['p10']['held_h']:.2f}"
    assert "Chance that the money suffices" in page
    above = sum(year["held_h"] > year["p90"]["held_h"] + 1e-9 for year in stated["years"])
    assert f"In {above} of {len(rows)} years the schedule above" in page
    text = (place / "risk.json").read_text(encoding="utf-8")
    (place / "risk.json").write_text(text.replace(programme.plan.study_hash, "other"), encoding="utf-8")
    found, why = read_beside(place, "risk", "base", programme.plan.study_hash)
    assert found is None
    assert "another state" in why
