"""Plans over HTTP: what they hold, their sites, the curve, saving by hand, two side by side."""

from __future__ import annotations

import json
import re
import shutil
import threading
from pathlib import Path

import pytest
import shapely.geometry
from tests.show.app.clients import add_user, log_in

from abatis.model import storage
from abatis.model.mesh import read_mesh
from abatis.model.plan import read_plan
from abatis.show.app import plan_answers, saving
from abatis.show.app.loaded import KeptPlan, LoadedStudy
from abatis.show.cli import main


@pytest.fixture(scope="module")
def folder(solved_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(solved_folder, tmp_path_factory.mktemp("served") / "study"))


@pytest.fixture
def client(make_client, folder):
    return make_client(folder)


def test_a_plan_is_what_stands_on_disk(client, folder):
    answer, plan = client.get("/api/plans/base").json(), read_plan(folder / "plans" / "base")
    assert answer["value_h"] == plan.value_h and answer["bound_h"] == plan.bound_h
    assert answer["proven"] and answer["cost_eur"] == plan.cost_eur
    assert [one["after_h"] for one in answer["approaches"]] == [one.after_h for one in plan.approaches]
    assert [(one["site"], one["option"]) for one in answer["options"]] == [
        (one.site, one.option) for one in plan.options
    ]
    assert answer["broken_rules"] == [] and answer["rules"][0].startswith("the budget")
    assert answer["stale"] == ""


def test_prices_name_their_source(client):
    answer = client.get("/api/plans/base").json()
    for option in answer["options"]:
        total = sum(one["quantity"] * one["unit_cost_eur"] for one in option["measures"] if one["paid"])
        assert option["cost_eur"] == pytest.approx(total, abs=1.0)
        assert all(one["source"] and one["tag"] for one in option["measures"])


def test_no_such_plan(client):
    for path in ("/api/plans/none", "/api/plans/none/sites", "/api/plans/..%2f..%2fetc/curve"):
        assert client.get(path).status_code in (404, 422)


def test_effects_are_told_though_another_request_empties_what_is_held(tmp_path, monkeypatch):
    class Emptied(dict):
        """Is emptied after every look, as by another thread."""

        def __contains__(self, key):
            found = super().__contains__(key)
            self.clear()
            return found

        def get(self, key):
            found = super().get(key)
            self.clear()
            return found

    place = tmp_path / "plans" / "base"
    place.mkdir(parents=True)
    (place / "plan.gpkg").touch()
    layers = {"sites": {"site": ["s1", "s2"], "effect": ["slower", ""]}}
    monkeypatch.setattr(plan_answers, "read_plan_layers", lambda *_: layers)
    monkeypatch.setattr(plan_answers, "_effects", Emptied())
    kept = KeptPlan("base", None, "one", "")
    assert [plan_answers.read_effects(tmp_path, kept) for _ in range(2)] == [{"s1": "slower"}] * 2


def test_all_candidate_sites_are_lines_on_the_map(client, folder):
    layer = client.get("/api/plans/base/sites").json()
    siting = LoadedStudy(folder).siting
    assert [one["properties"]["key"] for one in layer["features"]] == [one.key for one in siting.sites]
    plan = {one.site: one.option for one in read_plan(folder / "plans" / "base").options}
    mesh = read_mesh(folder)
    for feature, site in zip(layer["features"], siting.sites, strict=True):
        words = feature["properties"]
        assert words["chosen_option"] == plan.get(site.key)
        own = [one for one in siting.options if one.site == site.key]
        assert [one["key"] for one in words["options"]] == [one.option for one in own]
        assert [one["cost_eur"] for one in words["options"]] == [one.cost_eur for one in own]
        shape = shapely.geometry.shape(feature["geometry"])
        assert shape.geom_type in ("LineString", "MultiLineString")
        # The sum of sides of hexagons: degrees to metres at this latitude within a few per cent.
        assert shape.length > 0.3 * mesh.length_m[site.edges].sum() / 111_000
    assert any(one["properties"]["effect"] for one in layer["features"])


def write_curve(folder: Path, **changes) -> None:
    plan = read_plan(folder / "plans" / "base")
    own = {one.site: one.option for one in plan.options}
    points = [
        {
            "budget_eur": 2e6,
            "value_h": 1.0,
            "bound_h": 1.2,
            "cost_eur": 1e6,
            "choices": dict([*own.items()][:1]),
        },
        {"budget_eur": 0.0, "value_h": 0.5, "bound_h": 0.5, "cost_eur": 0.0, "choices": {}},
        {"budget_eur": 9e6, "value_h": None, "bound_h": 2.0, "cost_eur": None, "choices": None},
    ]
    values = {"study_hash": plan.study_hash, "watch_hash": "", "points": points} | changes
    (folder / "plans" / "base" / "curve.json").write_text(json.dumps(values))


def test_the_curve_says_how_to_turn_the_plan_into_each_point(make_client, study_copy):
    client = make_client(study_copy)
    assert client.get("/api/plans/base/curve").json()["made"] is False
    write_curve(study_copy)
    answer = client.get("/api/plans/base/curve").json()
    assert answer["made"] and [one["budget_eur"] for one in answer["points"]] == [0.0, 2e6]
    own = [one.site for one in read_plan(study_copy / "plans" / "base").options]
    assert answer["points"][0]["changes"] == dict.fromkeys(own)
    assert answer["points"][1]["changes"] == dict.fromkeys(own[1:])
    none = client.post("/api/plans/base/switch", json={"choices": answer["points"][0]["changes"]}).json()
    assert none["cost_eur"] == 0 and none["value_h"] == none["before_value_h"] == answer["before_h"]


@pytest.mark.parametrize(
    "wrong",
    [{"study_hash": "x"}, {"points": [{"budget_eur": 1, "choices": {"nowhere": "x"}}]}, {"points": 7}],
)
def test_a_curve_that_does_not_fit_is_not_shown(make_client, study_copy, wrong):
    write_curve(study_copy, **wrong)
    answer = make_client(study_copy).get("/api/plans/base/curve").json()
    assert answer["made"] is False and answer["stale"] and answer["points"] == []


def test_what_the_job_why_found_is_shown_while_it_fits(make_client, study_copy):
    client = make_client(study_copy)
    plan = read_plan(study_copy / "plans" / "base")
    site = plan.options[0].site
    table = {"title": "Why", "columns": [], "rows": [{"site": site, "words": "so"}, {"site": "other"}]}
    path = study_copy / "plans" / "base" / "why.json"
    path.write_text(json.dumps({"study_hash": plan.study_hash, "tables": {"sites": table}}))
    answer = client.get(f"/api/plans/base/why/{site}").json()
    assert answer["full"]["rows"] == [{"site": site, "words": "so"}]
    assert client.get(f"/api/plans/base/why/{plan.options[1].site}").json()["full"] is None
    # The plan was solved again since.
    (study_copy / "plans" / "base" / "plan.json").touch()
    assert client.get(f"/api/plans/base/why/{site}").json()["full"] is None


def test_the_report_of_a_plan_by_hand_claims_no_proof(make_client, study_copy):
    save(make_client(study_copy))
    assert main(["report", str(study_copy / "plans" / "mine")]) == 0
    html = (study_copy / "plans" / "mine" / "report.html").read_text(encoding="utf-8")
    assert "nothing is proven of it" in html and "not proven" in html
    text = re.sub(r"data:[^\"]*", "", html)
    assert not re.findall(r".{60}\b(?:inf|nan)\b (?:%|h).{20}", text)


def save(client, name="mine", **body):
    return client.put(f"/api/plans/{name}", json={"against": "base", "title": "Mine", **body})


def test_a_plan_by_hand_is_kept_without_a_proof(make_client, study_copy):
    client = make_client(study_copy)
    own = client.get("/api/plans/base").json()["options"][0]
    asked = {own["site"]: None}
    answer = save(client, choices=asked)
    assert answer.status_code == 200, answer.text
    kept = answer.json()
    assert kept["bound_h"] is None and kept["gap"] is None and not kept["proven"]
    assert "nothing is proven" in kept["proof"] and kept["made_by"] == "local" and kept["title"] == "Mine"
    now = client.post("/api/plans/base/switch", json={"choices": asked}).json()
    assert kept["value_h"] == now["value_h"] and kept["cost_eur"] == now["cost_eur"]
    files = {path.name for path in (study_copy / "plans" / "mine").iterdir()}
    assert files == {"plan.json", "options.csv", "saved.json"}
    assert [one["name"] for one in client.get("/api/study").json()["plans"]] == ["base", "mine"]
    # The command line reads it, and its verdict is that nothing is proven.
    assert main(["compare", str(study_copy / "plans" / "base"), str(study_copy / "plans" / "mine")]) == 0
    assert main(["verify", str(study_copy / "plans" / "mine")]) == 1


def test_the_second_of_two_planners_is_told(make_client, study_copy):
    client = make_client(study_copy)
    first = save(client).json()
    site = client.get("/api/plans/base").json()["options"][0]["site"]
    one = save(client, against="", version=first["version"], choices={site: None}, title="One")
    assert one.status_code == 200
    other = save(client, against="", version=first["version"], title="Other")
    assert other.status_code == 409
    assert "local" in other.json()["faults"][0]["what"]
    assert "in the meantime" in other.json()["faults"][0]["what"]
    assert client.get("/api/plans/mine").json()["title"] == "One"


def test_only_one_of_many_saving_at_once_gets_through(make_client, study_copy):
    client = make_client(study_copy)
    version = save(client).json()["version"]
    sites = [one["site"] for one in client.get("/api/plans/base").json()["options"]]
    statuses: list[int] = []

    def work(number: int) -> None:
        body = {"version": version, "against": "base", "choices": {sites[number % len(sites)]: None}}
        statuses.append(client.put("/api/plans/mine", json={**body, "title": str(number)}).status_code)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(statuses) == [200, 409, 409, 409, 409, 409]


def test_a_new_plan_does_not_replace_one_that_is_there(make_client, study_copy):
    client = make_client(study_copy)
    assert save(client).status_code == 200
    assert save(client).status_code == 409


def test_the_plan_of_the_solver_is_not_written_over(make_client, study_copy):
    client = make_client(study_copy)
    version = client.get("/api/plans/base").json()["version"]
    before = (study_copy / "plans" / "base" / "plan.json").read_bytes()
    answer = save(client, "base", version=version)
    assert answer.status_code == 409 and "certificate" in answer.json()["faults"][0]["what"]
    assert (study_copy / "plans" / "base" / "plan.json").read_bytes() == before


def test_a_failed_save_leaves_everything_as_it_was(make_client, study_copy, monkeypatch):
    client = make_client(study_copy)
    kept = save(client).json()
    before = {path.name: path.read_bytes() for path in (study_copy / "plans" / "mine").iterdir()}

    def fail(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    for place, name in ((storage, "_swap_folders"), (saving, "write_saved")):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, fail)
            answer = save(client, against="", version=kept["version"], title="Never")
        assert answer.status_code >= 400
        after = {path.name: path.read_bytes() for path in (study_copy / "plans" / "mine").iterdir()}
        assert after == before
    names = {path.name for path in (study_copy / "plans").iterdir()}
    assert names == {"base", "mine", ".lock"}


def test_results_of_the_earlier_state_do_not_stay(make_client, study_copy):
    client = make_client(study_copy)
    kept = save(client).json()
    for name in ("report.html", "curve.json", "notes.txt"):
        (study_copy / "plans" / "mine" / name).write_text("{}")
    assert save(client, against="", version=kept["version"]).status_code == 200
    files = {path.name for path in (study_copy / "plans" / "mine").iterdir()}
    assert files == {"plan.json", "options.csv", "saved.json", "notes.txt"}


@pytest.mark.parametrize(
    "body",
    [
        {"against": "../base"}, {"against": "a\x00b"}, {"against": "none"}, {"title": "a\x00b"},
        {"version": "x"},
        {"choices": {"a\x00": None}}, {"choices": {"<script>": "x" * 500}}, {"choices": []}, {"against": ""},
    ],
)  # fmt: skip
def test_bodies_that_say_nonsense_are_refused(make_client, study_copy, body):
    answer = make_client(study_copy).put("/api/plans/mine", json={"against": "base", **body})
    assert answer.status_code in (400, 404, 422) and answer.json()["faults"]
    assert not (study_copy / "plans" / "mine").exists()


@pytest.mark.parametrize("name", ["..", ".hidden", "a/b", "a%2Fb", "%00", "_x", "x" * 81, "con|"])
def test_names_that_are_no_folder_are_refused(make_client, study_copy, name):
    answer = make_client(study_copy).put(f"/api/plans/{name}", json={"against": "base"})
    assert answer.status_code in (403, 404, 405, 422)
    assert {path.name for path in (study_copy / "plans").iterdir()} <= {"base", ".lock"}


def test_a_viewer_may_not_save(make_client, study_copy):
    add_user(study_copy, "one", "viewer")
    add_user(study_copy, "two", "planner")
    client = make_client(study_copy)
    log_in(client, "one")
    assert save(client).status_code == 403
    log_in(client, "two")
    assert save(client).json()["made_by"] == "two"


def test_two_plans_side_by_side(make_client, study_copy):
    client = make_client(study_copy)
    site = client.get("/api/plans/base").json()["options"][0]["site"]
    save(client, choices={site: None})
    answer = client.get("/api/compare", params={"a": "base", "b": "mine"}).json()
    assert answer["sites"][site] == "a"
    assert set(answer["sites"].values()) == {"a", "both"}
    assert set(answer["tables"]) == {"results", "choices", "inputs"}
    plans = [read_plan(study_copy / "plans" / name) for name in ("base", "mine")]
    for row, a, b in zip(answer["arrivals"], *(one.approaches for one in plans), strict=True):
        assert (row["a_h"], row["b_h"]) == (a.after_h, b.after_h)


def test_a_plan_that_cannot_be_read_hides_no_other(make_client, study_copy):
    broken = study_copy / "plans" / "broken"
    broken.mkdir()
    (broken / "plan.json").write_text('{"name": "bro', "utf-8")
    client = make_client(study_copy)
    answer = client.get("/api/study")
    assert answer.status_code == 200, answer.text
    assert [one["name"] for one in answer.json()["plans"]] == ["base"]
    answer = client.get("/ogc/collections?f=json")
    assert answer.status_code == 200, answer.text
    assert "base.sites" in {one["id"] for one in answer.json()["collections"]}
