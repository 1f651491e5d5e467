"""Three clicks from a number on screen to its record and its source."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tests.show.app.clients import open_client
from tests.show.app.ledger_rows import write_ledger

from abatis.model.plan import read_plan
from abatis.show.app.tracing.words import read_words
from abatis.show.app.views.ledger_words import SECTIONS


@pytest.fixture(scope="module")
def folder(viewed_folder: Path, tmp_path_factory) -> Path:
    found = Path(shutil.copytree(viewed_folder, tmp_path_factory.mktemp("trace") / "study"))
    write_ledger(found, read_plan(found / "plans" / "base").options[0].site)
    return found


@pytest.fixture(scope="module")
def client(folder: Path):
    with open_client(folder) as found:
        yield found


def ask(client, of: str) -> dict[str, Any]:
    answer = client.get(f"/api/trace?of={quote(of, safe='')}")
    assert answer.status_code == 200, f"{of}: {answer.text}"
    return answer.json()


def list_traces(view: dict[str, Any]) -> list[tuple[str, Any]]:
    """Every id that the rows and charts of a view carry, with the value shown."""
    found = [
        (of, row.get(key))
        for table in view["tables"].values()
        for row in table["rows"]
        for key, of in row.get("_trace", {}).items()
    ]
    for chart in view.get("charts", {}).values():
        for one in chart["series"]:
            found += [(of, None) for of in one["trace"]]
    return found


@pytest.mark.parametrize(
    "path",
    [
        "/api/plans/base",
        "/api/programme",
        "/api/people",
        "/api/ledger/status?date=2026-07-01",
        "/api/law?states=all&date=2026-07-01",
    ],
)
def test_every_id_on_screen_leads_somewhere(client, path):
    traces = list_traces(client.get(path).json())
    assert traces
    for of, _ in dict(traces).items():
        answer = ask(client, of)
        assert answer["what"]
        assert answer["formula"]
        assert answer["tag"] or path.startswith("/api/ledger"), of


def test_money_of_a_year_is_traced_to_measures_and_records(client):
    """Click 1: the cell. Click 2: an option or a record. Click 3: the row of the catalogue."""
    view = client.get("/api/programme").json()
    row = max(view["tables"]["years"]["rows"], key=lambda one: one["sites"])
    first = ask(client, row["_trace"]["sites"])
    assert first["value"] == pytest.approx(1e6 * row["sites"])
    assert first["records"] == [7]
    record = ask(client, f"record:{first['records'][0]}")
    assert record["source"] == "budget act, mended"
    assert record["value"]["amount_eur"] == 3_200_000
    works = [one for one in first["inputs"] if one["of"].startswith("plan:base:option:")]
    assert works
    second = ask(client, works[0]["of"])
    measures = [one for one in second["inputs"] if one["file"] == "tables/measures.csv"]
    assert measures
    third = ask(client, measures[0]["of"])
    assert third["source"]
    assert third["tag"] == "G"
    money = next(one for one in first["inputs"] if one["file"] == "tables/budget.csv")
    assert ask(client, money["of"])["value"] == 3_000_000


def test_options_add_up_to_the_plan(folder: Path, client):
    plan = read_plan(folder / "plans" / "base")
    answer = ask(client, "plan:base:cost_eur")
    assert sum(one["value"] for one in answer["inputs"]) == pytest.approx(answer["value"]) == plan.cost_eur
    value = ask(client, "plan:base:value_h")
    weights = sum(one.weight for one in plan.approaches)
    assert sum(one.weight * one.after_h for one in plan.approaches) / weights == pytest.approx(value["value"])
    assert {one["of"] for one in value["inputs"]} == {
        f"plan:base:approach:{one.id}:after_h" for one in plan.approaches
    }
    arrival = ask(client, value["inputs"][0]["of"])
    assert arrival["value"] == plan.approaches[0].after_h
    assert any(one["of"] == "table:speeds" for one in arrival["inputs"])
    site = plan.options[0]
    option = ask(client, f"plan:base:option:{quote(site.site + '/' + site.option, safe='')}:cost_eur")
    assert option["records"] == [5]


def test_a_figure_of_the_monitor_is_traced_to_its_records(client):
    view = client.get("/api/ledger/status?date=2026-07-01").json()
    row = next(one for one in view["tables"]["lines"]["rows"] if one["line"] == "sites")
    answer = ask(client, row["_trace"]["contracted_eur"])
    assert answer["value"] == row["contracted_eur"]
    assert answer["records"] == [3, 4]
    assert answer["formula"].startswith("sum of contracts")
    assert "register of contracts" in answer["source"]
    record = ask(client, answer["inputs"][0]["of"])
    assert record["records"] == [3]
    assert record["value"]["amount_eur"] == 1_000_000


def test_tables_settings_and_layers_are_traced(client):
    whole = ask(client, "table:measures")
    assert whole["value"] == len(whole["inputs"])
    cell = ask(client, whole["inputs"][0]["of"])
    assert cell["value"] == whole["inputs"][0]["value"]
    seed = ask(client, "setting:seed")
    assert (seed["value"], seed["source"]) == (1, "study.toml")
    roads = ask(client, "source:roads")
    assert roads["inputs"][0]["file"] == "sources/sources.csv"
    assert ask(client, "law:LT:APMBC")["inputs"]


@pytest.mark.parametrize(
    "of",
    [
        "plan", "plan:nothing:cost_eur", "plan:base:colour", "plan:base:option:x/y:cost_eur", "record:999999",
        "record:1e3", "table:nothing:a:b", "table:ledger_work", "ledger:soon::lines:a:b", "setting:password",
        "setting:ledger", "ledger:2026-01-01:x:lines:a:b",
        "programme:base:year:1066:held_h", "programme:base:year:2026:line", "people:base:figure:x", "..",
        "%00",
        "source:nothing", "law:LT:NONE", "plan:..%2F..:cost_eur",
    ],
)  # fmt: skip
def test_what_is_not_there_is_refused(client, of):
    answer = client.get(f"/api/trace?of={quote(of, safe='')}")
    assert answer.status_code == 404
    assert answer.json()["faults"]


def test_words_speak_of_columns_that_are_shown():
    shown = {(one.part, column.key) for one in SECTIONS for column in one.columns if column.format}
    parts = {one.part for one in SECTIONS}
    assert {(kind, figure) for kind, figure in read_words() if kind in parts} <= shown
