"""The report: every number of its first screen is computed again from the plan, the mesh and the tables."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from abatis.model.plan import read_plan
from abatis.people.impact import PlaceAccess, assess_impact
from abatis.show.report import build_report
from abatis.show.results import Results, compute_ranges

# Checked in test_people.py, one by one.
CIVIL_ONLY = {
    "people_cut_off_closed", "places_cut_off_closed", "people_cut_off_peace", "evacuation_before",
    "evacuation_peace", "evacuation_closed", "spread_before", "spread_peace", "spread_closed",
    "stranded_before", "stranded_closed", "people_far_before", "people_far_closed", "near_m",
    "households_near", "liability_low", "liability_mode", "liability_high",
}  # fmt: skip
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Collects what the tests ask for: answers, headings, tables, addresses, open tags."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, tuple[float, str]] = {}
        self.headings: list[tuple[int, str]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.captions = 0
        self._open: list[str] = []
        self._answer: tuple[str, float] | None = None
        self._table = ""
        self.text: list[str] = []
        self.first_screen = ""
        self._sections: list[str] = []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag not in VOID:
            self._open.append(tag)
        if tag == "section":
            self._sections.append(values["id"])
        if values.get("id"):
            self.ids.append(values["id"])
        self.addresses += [values[key] for key in ("href", "src") if values.get(key)]
        if "data-key" in values:
            self._answer = (values["data-key"], float(values["data-value"]))
        if tag == "table":
            self._table = values["id"]
            self.tables[self._table] = []
        if tag == "caption":
            self.captions += 1
        if tag == "tr":
            self.tables[self._table].append([])
        if tag in ("td", "th"):
            self.tables[self._table][-1].append("")
        if tag == "img":
            self.images.append(values)
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append((int(tag[1]), ""))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag, tag
        if tag == "section":
            self._sections.pop()

    def handle_data(self, data):
        if self._answer is None and self._sections == ["answer"]:
            self.first_screen += data
        if self._answer is not None:
            key, value = self._answer
            self.answers.setdefault(key, (value, data))
            self._answer = None
        if self._open and self._open[-1] in ("td", "th"):
            self.tables[self._table][-1][-1] += data
        if self._open and re.fullmatch(r"h[1-6]", self._open[-1]):
            level, text = self.headings[-1]
            self.headings[-1] = (level, text + data)
        if "style" not in self._open:
            self.text.append(data)


@pytest.fixture(scope="session")
def html(solved_folder) -> str:
    return (solved_folder / "plans" / "base" / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def page(html) -> Page:
    found = Page()
    found.feed(html)
    return found


@pytest.fixture(scope="session")
def plan(solved_folder) -> dict:
    return json.loads((solved_folder / "plans" / "base" / "plan.json").read_text())


def read_rows(path: Path, key: str) -> dict[str, dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return {row[key]: row for row in csv.DictReader(file)}


def test_plan_numbers_are_those_of_plan_json(page, plan):
    weight = sum(one["weight"] for one in plan["approaches"])
    before = sum(one["weight"] * one["before_h"] for one in plan["approaches"]) / weight
    after = sum(one["weight"] * one["after_h"] for one in plan["approaches"]) / weight
    expected = {
        "hours_gained": after - before,
        "value_before": before,
        "value_after": after,
        "cost": sum(one["cost_eur"] for one in plan["options"]),
        "budget": plan["budget_eur"],
        "spent": sum(one["cost_eur"] for one in plan["options"]) / plan["budget_eur"],
        "approaches": len(plan["approaches"]),
        "sites_chosen": len(plan["options"]),
        "bound": plan["bound_h"],
        "gap": (plan["bound_h"] - plan["value_h"]) / plan["value_h"],
    }
    for key, value in expected.items():
        assert page.answers[key][0] == pytest.approx(value, rel=1e-9, abs=1e-12), key


def measure_arrivals(results, chosen: dict[int, list[int]]) -> list[float]:
    """Hours of every approach by another shortest-path program; `chosen` lists options by site.

    Every edge takes the longest delay that the listed options of one site put on it, summed over sites.
    """
    problem, mesh = results.siting.problem, results.mesh
    open_h, road_h = problem.open_h.astype(float), problem.road_h.astype(float)
    for options in chosen.values():
        most: dict[tuple[int, int], float] = {}
        for option in options:
            for entry in range(problem.option_start[option], problem.option_start[option + 1]):
                edge = int(problem.option_edge[entry])
                for mode, hours in ((0, problem.option_open_h[entry]), (1, problem.option_road_h[entry])):
                    most[mode, edge] = max(most.get((mode, edge), 0.0), float(hours))
        for (mode, edge), hours in most.items():
            (open_h if mode == 0 else road_h)[:, edge] += hours
    arrivals = []
    for index, group in enumerate(problem.approach_group.tolist()):
        hours = np.minimum(open_h[group], road_h[group])
        use = np.isfinite(hours)
        graph = coo_matrix((hours[use], (mesh.edge_a[use], mesh.edge_b[use])), shape=(mesh.cell_count,) * 2)
        reached = dijkstra(graph, directed=False, indices=problem.approach_targets[index], min_only=True)
        arrivals.append(float(reached[problem.approach_sources[index]].min()))
    return arrivals


def test_hours_are_those_of_another_shortest_path_program(page, plan, results):
    problem = results.siting.problem
    rows = {(one.site, one.option): row for row, one in enumerate(results.siting.options)}
    taken = [rows[one["site"], one["option"]] for one in plan["options"]]
    chosen = {int(problem.option_site[row]): [row] for row in taken}
    weights = np.array([one["weight"] for one in plan["approaches"]])
    before = np.average(measure_arrivals(results, {}), weights=weights)
    after = np.average(measure_arrivals(results, chosen), weights=weights)
    assert len(chosen) == len(plan["options"])
    assert page.answers["value_before"][0] == pytest.approx(before, rel=1e-9)
    assert page.answers["value_after"][0] == pytest.approx(after, rel=1e-9)


def test_ceiling_is_the_value_with_every_site_at_its_strongest(page, plan, results):
    problem = results.siting.problem
    every: dict[int, list[int]] = {}
    for row, site in enumerate(problem.option_site.tolist()):
        every.setdefault(site, []).append(row)
    weights = np.array([one["weight"] for one in plan["approaches"]])
    ceiling = np.average(measure_arrivals(results, every), weights=weights)
    assert page.answers["ceiling"][0] == pytest.approx(ceiling, rel=1e-9)
    assert plan["value_h"] < plan["bound_h"] + 1e-9 < ceiling


def test_report_says_so_when_more_money_buys_nothing(results, maps, html):
    enough = replace(results, ceiling_h=results.plan.value_h)
    enough = replace(enough, plan=replace(enough.plan, budget_eur=enough.plan.cost_eur + 1.0))
    assert "more money buys no more hours" in build_report(enough, maps, compute_ranges(results))
    spent = replace(enough, plan=replace(enough.plan, budget_eur=enough.plan.cost_eur))
    assert "more money buys no more hours" not in build_report(spent, maps, compute_ranges(results))
    assert "more money buys no more hours" not in html


def test_cost_range_and_placeholders_are_those_of_the_tables(page, touched_page, results, solved_folder):
    measures = read_rows(solved_folder / "tables" / "measures.csv", "measure")
    amounts = [quantity for one in results.chosen for quantity in one.option.quantities]
    for key, column in (("cost_low", "unit_cost_low_eur"), ("cost_high", "unit_cost_high_eur")):
        cost = sum(units * float(measures[measure][column]) for measure, units in amounts)
        assert page.answers[key][0] == pytest.approx(cost, rel=1e-9)
    tags = []
    for path in (*solved_folder.glob("tables/*.csv"), solved_folder / "sources" / "sources.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            tags += [row["tag"] for row in csv.DictReader(file) if "tag" in row]
    assert len(tags) > 30
    assert page.answers["placeholders"][0] == tags.count("G") / len(tags)
    assert touched_page.answers["placeholders"][0] == tags.count("G") / (len(tags) + 1)


def test_no_number_of_the_first_screen_goes_unchecked(touched_page, page, results):
    assert {
        "hours_gained", "value_before", "value_after", "cost", "budget", "spent", "approaches",
        "sites_chosen", "sites_all", "bound", "gap", "ceiling", "cost_low", "cost_high", "placeholders",
        "people_near", "places_cut_off", "people_cut_off", "places_longer", "people_longer",
        "longest_extra", "land_take", "protected", *CIVIL_ONLY,
    } == set(touched_page.answers)  # fmt: skip
    for one in (page, touched_page):
        assert re.findall(r"[0-9]+", one.first_screen) == [str(results.study.base_year)]


def test_first_screen_says_what_a_reader_has_to_know(page):
    text = " ".join(page.first_screen.split())
    for words in (
        "buys", "budget", "(the bound)", "gap", "cut off", "time to evacuate", "households within",
        "protected nature", "clearing one day", "duties of the state, by treaty", "How each number is made",
        "placeholders", "schematic: it shows the method, not the ground", "not a forecast",
    ):  # fmt: skip
        assert words in text, words


def test_people_not_known_are_not_counted_as_none(results, maps):
    empty = replace(results.mesh, population=np.zeros_like(results.mesh.population))
    text = build_report(replace(results, mesh=empty), maps, compute_ranges(results))
    assert 'data-key="people_near"' not in text
    assert "The study has no people" in text


@pytest.fixture(scope="session")
def touched(results) -> Results:
    """The same plan where a third of some cells is protected and one more place has a longer way."""
    protected = np.linspace(0.0, 0.6, results.mesh.cell_count).astype(np.float32)
    row = results.study.sources.iloc[[0]].assign(layer="protected", tag="F")
    study = replace(results.study, sources=pd.concat([results.study.sources, row], ignore_index=True))
    mesh = replace(results.mesh, protected=protected)
    impact = assess_impact(study, mesh, results.siting, results.plan)
    longer = (PlaceAccess("a", "A", 1200.0, 0.5, 0.9), PlaceAccess("b", "B", 300.0, 0.5, 0.6))
    impact = replace(impact, access=(*impact.access, *longer))
    return replace(results, study=study, mesh=mesh, impact=impact)


@pytest.fixture(scope="session")
def touched_page(touched, maps, results) -> Page:
    found = Page()
    found.feed(build_report(touched, maps, compute_ranges(results)))
    return found


def test_longer_ways_are_counted_with_their_people(touched_page, page):
    assert touched_page.answers["places_longer"][0] == 2
    assert touched_page.answers["people_longer"][0] == 1500
    assert touched_page.answers["longest_extra"][0] == pytest.approx(24.0)
    assert "no other place has a longer way" in " ".join("".join(page.text).split())


@pytest.mark.parametrize("with_nature", [False, True])
def test_people_land_and_nature_are_those_of_mesh_and_tables(
    page, touched_page, touched, plan, results, solved_folder, with_nature
):
    page, results = (touched_page, touched) if with_nature else (page, results)
    mesh, measures = results.mesh, read_rows(solved_folder / "tables" / "measures.csv", "measure")
    sites = {site.key: site for site in results.siting.sites}
    options = {(one.site, one.option): one for one in results.siting.options}
    home = set(results.study.home)
    beside: set[int] = set()
    land_m2 = protected_m2 = 0.0
    for chosen in plan["options"]:
        site, option = sites[chosen["site"]], options[chosen["site"], chosen["option"]]
        taken_m2 = sum(units * float(measures[key]["land_take_m2"]) for key, units in option.quantities)
        land_m2 += taken_m2
        share = total_m = 0.0
        for edge in site.edges.tolist():
            a, b = int(mesh.edge_a[edge]), int(mesh.edge_b[edge])
            beside |= {a, b}
            share += float(mesh.length_m[edge]) * (float(mesh.protected[a]) + float(mesh.protected[b])) / 2
            total_m += float(mesh.length_m[edge])
        protected_m2 += taken_m2 * share / total_m
    people = sum(
        float(mesh.population[cell]) for cell in beside if mesh.country_codes[mesh.country[cell]] in home
    )
    assert land_m2 > 0
    assert page.answers["land_take"][0] == pytest.approx(land_m2 / 10_000, rel=1e-6)
    if with_nature:
        assert protected_m2 > 0
        assert page.answers["protected"][0] == pytest.approx(protected_m2 / 10_000, rel=1e-6)
    else:
        assert "not known (no such layer)" in page.first_screen
    assert page.answers["people_near"][0] == pytest.approx(people, rel=1e-6)
    assert page.answers["sites_all"][0] == len(sites)


def test_access_is_that_of_another_shortest_path_program(page, plan, results, solved_folder):
    mesh = results.mesh
    speeds = read_rows(solved_folder / "tables" / "speeds.csv", "word")
    kmh = np.array(
        [float(speeds[word]["mode"]) for word in ("motorway", "main", "regional", "local", "track")]
    )
    road = np.flatnonzero(mesh.road_class >= 0)
    sites = {site.key: site for site in results.siting.sites}
    shut = {edge for one in plan["options"] for edge in sites[one["site"]].edges.tolist()}

    def measure_h(edges, start):
        hours = mesh.road_m[edges] / 1000.0 / kmh[mesh.road_class[edges]]
        graph = coo_matrix((hours, (mesh.edge_a[edges], mesh.edge_b[edges])), shape=(mesh.cell_count,) * 2)
        return dijkstra(graph, directed=False, indices=start)

    places = read_rows(solved_folder / "tables" / "places.csv", "place")
    cells = {}
    ends = np.unique(np.concatenate([mesh.edge_a[road], mesh.edge_b[road]]))
    for key, row in places.items():
        away = np.hypot((mesh.lon[ends] - float(row["lon"])) * 0.57, mesh.lat[ends] - float(row["lat"]))
        cells[key] = int(ends[np.argmin(away)])
    before = measure_h(road, cells["capital"])
    after = measure_h(np.array([edge for edge in road if edge not in shut]), cells["capital"])
    cut = [key for key, cell in cells.items() if np.isfinite(before[cell]) and np.isinf(after[cell])]
    longer = [
        key for key, cell in cells.items() if np.isfinite(after[cell]) and after[cell] > before[cell] + 1 / 60
    ]
    assert page.answers["places_cut_off"][0] == len(cut) == 1
    assert page.answers["people_cut_off"][0] == sum(float(places[key]["population"]) for key in cut)
    assert longer == []
    assert "no other place has a longer way" in " ".join("".join(page.text).split())


def test_numbers_are_written_as_their_values(page, touched_page):
    for key, (value, shown) in [*page.answers.items(), *touched_page.answers.items()]:
        digits = float(re.sub(r"[^0-9.-]", "", shown))
        factor = 100.0 if shown.endswith("%") else 1e-6 if shown.endswith("million") else 1.0
        decimals = len(re.sub(r"[^0-9]", "", shown.split(".")[1])) if "." in shown else 0
        assert digits == pytest.approx(value * factor, abs=0.5 * 10**-decimals + 1e-9), key


def test_tables_add_up_to_the_answer(page, plan):
    def column(table, name):
        header, *rows = page.tables[table]
        place = header.index(name)
        return [float(row[place].replace(",", "").replace("+", "")) for row in rows]

    assert sum(column("table-sites", "cost [EUR]")) == pytest.approx(
        plan["cost_eur"], abs=len(plan["options"])
    )
    assert sum(column("table-works", "cost [EUR]")) == pytest.approx(plan["cost_eur"], abs=5)
    assert sum(column("table-land", "land [ha]")) == pytest.approx(page.answers["land_take"][0], abs=0.05)
    assert sum(column("table-lines", "sites chosen on it")) + sum(
        row[0].startswith("X") for row in page.tables["table-sites"][1:]
    ) == len(plan["options"])
    gained = column("table-approaches", "gained [h]")
    assert gained == pytest.approx(
        [one["after_h"] - one["before_h"] for one in plan["approaches"]], abs=0.006
    )


def test_site_labels_are_those_of_the_map(page, maps):
    labels = {row[0] for row in page.tables["table-sites"][1:]}
    assert labels <= {text for text, _ in maps[0].labels}


def test_report_needs_nothing_from_outside(html, page):
    for address in page.addresses:
        assert address.startswith(("data:image/png;base64,", "#")), address[:60]
    for address in page.addresses:
        if address.startswith("#"):
            assert address[1:] in page.ids
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "<script" not in html


def test_report_is_well_formed_for_readers_and_printers(html, page):
    assert [text for level, text in page.headings if level == 1] == ["My first study, an invented country"]
    for (before, _), (after, text) in zip(page.headings, page.headings[1:], strict=False):
        assert after <= before + 1, text
    assert len(page.ids) == len(set(page.ids))
    assert page.captions == len(page.tables) >= 9
    assert all(image["alt"] for image in page.images)
    assert len(page.images) == 7
    for word in ("@page", "break-before: page", 'name="viewport"', 'lang="en"'):
        assert word in html


def test_first_heading_after_the_title_is_the_answer(page):
    assert page.headings[1] == (2, "The answer")


def test_report_says_what_it_rests_on(page, results):
    text = " ".join("".join(page.text).split())
    for assumption in results.mesh.assumptions:
        assert assumption in text
    for words in (
        "−9.3 % and +4.7 %", "must not be used to set out works", "schematic",
        "100 % of the rows are placeholders",
        "no plan within the budget", results.plan.study_hash, *results.impact.limits,
    ):  # fmt: skip
        assert words in text, words
    assert {row[0] for row in page.tables["table-sources"][1:]} == set(results.study.sources["layer"])


def test_same_results_give_the_same_bytes(results, maps, html):
    again = build_report(results, maps, compute_ranges(results))
    assert again == html


def test_ranges_hold_the_times_between_them(results):
    hours = {one.id: one for one in results.plan.approaches}
    for one in compute_ranges(results):
        assert one.before_fast_h <= hours[one.approach].before_h <= one.before_slow_h
        assert one.after_fast_h <= hours[one.approach].after_h <= one.after_slow_h


def test_words_from_tables_cannot_break_the_page(results, maps):
    wild = replace(results.study, title="<script>alert('x')</script> & co")
    text = build_report(replace(results, study=wild), maps, compute_ranges(results))
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_plan_file_and_results_agree(results, solved_folder):
    plan = read_plan(solved_folder / "plans" / "base")
    assert [one.option.cost_eur for one in results.chosen] == pytest.approx(
        [one.cost_eur for one in plan.options]
    )
    for approach, one in zip(results.approaches, plan.approaches, strict=True):
        start = int(approach.route_after[0])
        assert approach.after_h[start] == pytest.approx(one.after_h, rel=1e-9)
        assert approach.before_h[int(approach.route_before[0])] == pytest.approx(one.before_h, rel=1e-9)
