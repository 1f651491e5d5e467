"""Sites switched on and off: the answer equals a full computation anew, by other means."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from abatis.barrier.arrivals import measure_arrivals
from abatis.model.mesh import read_mesh
from abatis.model.plan import add_delays, read_plan
from abatis.model.watched import Watched, write_watched
from abatis.people.access_ground import prepare_access
from abatis.people.access_rules import AccessJudge, list_access_rules
from abatis.show.app.answers.plans import SwitchQuestion
from abatis.show.app.loaded import LoadedStudy
from abatis.show.app.switching import (
    assess_choice,
    change_rows,
    draw_routes,
    explain_site,
    switch_sites,
)


@pytest.fixture(scope="module")
def loaded(solved_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> LoadedStudy:
    folder = shutil.copytree(solved_folder, tmp_path_factory.mktemp("switch") / "study")
    found = LoadedStudy(folder)
    _ = found.snapshot().network
    return found


def compute_anew(problem, rows) -> np.ndarray:
    """Arrival times by scipy's Dijkstra over a graph made from nothing but problem and options."""
    return np.array(measure_arrivals(problem, *add_delays(problem, rows)))


def draw_choices(loaded: LoadedStudy, dice: random.Random, count: int) -> dict[str, str | None]:
    """Some sites switched on, off, or to another option."""
    options: dict[str, list[str]] = {}
    for one in loaded.siting.options:
        options.setdefault(one.site, []).append(one.option)
    sites = dice.sample(sorted(options), count)
    return {site: dice.choice([None, *options[site]]) for site in sites}


def test_nothing_switched_is_the_plan(loaded):
    kept = loaded.require_plan("base")
    answer = switch_sites(loaded.snapshot(), kept, {})
    plan = read_plan(loaded.folder / "plans" / "base")
    assert [one.now_h for one in answer.arrivals] == [one.after_h for one in plan.approaches]
    assert [one.before_h for one in answer.arrivals] == [one.before_h for one in plan.approaches]
    assert answer.value_h == pytest.approx(plan.value_h, abs=1e-9)
    assert answer.cost_eur == plan.cost_eur
    assert answer.proven and answer.broken_rules == [] and answer.changes == []


@pytest.mark.parametrize("count", [1, 2, 3, 8, 1000])
def test_a_switch_equals_a_full_computation(loaded, count):
    now, kept = loaded.snapshot(), loaded.require_plan("base")
    dice = random.Random(count)
    differs = 0
    for _ in range(6):
        choices = draw_choices(loaded, dice, min(count, len(now.siting.sites)))
        answer = switch_sites(now, kept, choices)
        rows = change_rows(now, now.find_rows(kept.plan), choices)
        anew = compute_anew(now.problem, rows)
        assert np.array_equal([one.now_h for one in answer.arrivals], anew)
        assert np.array_equal(now.measure_fully(rows), anew)
        assert answer.value_h == pytest.approx(float(now.problem.approach_weight @ anew), abs=1e-9)
        assert answer.cost_eur == pytest.approx(sum(now.siting.options[row].cost_eur for row in rows))
        differs += answer.value_h != answer.plan_value_h
    assert count < 8 or differs


def test_before_the_network_is_there_the_answer_is_the_same(loaded):
    cold = LoadedStudy(loaded.folder)
    choices = draw_choices(loaded, random.Random(5), 5)
    first = switch_sites(cold.snapshot(), cold.require_plan("base"), choices)
    assert cold.snapshot().keeper.peek("network") is None
    second = switch_sites(loaded.snapshot(), loaded.require_plan("base"), choices)
    assert first.model_dump(exclude={"server_ms"}) == second.model_dump(exclude={"server_ms"})


def test_off_and_on_again_is_the_plan(loaded):
    now, kept = loaded.snapshot(), loaded.require_plan("base")
    own = kept.plan.options[0]
    off = switch_sites(now, kept, {own.site: None})
    assert off.cost_eur == pytest.approx(kept.plan.cost_eur - own.cost_eur)
    assert [(one.site, one.before, one.now) for one in off.changes] == [(own.site, own.option, None)]
    assert off.value_h <= off.plan_value_h and not off.proven
    on = switch_sites(now, kept, {own.site: own.option})
    assert on.value_h == off.plan_value_h and on.changes == []


def test_labels_name_sites_too(loaded):
    now, kept = loaded.snapshot(), loaded.require_plan("base")
    site = kept.plan.options[0].site
    by_key, by_label = (switch_sites(now, kept, {one: None}) for one in (site, now.labels[site]))
    assert by_key.arrivals == by_label.arrivals and by_key.changes == by_label.changes


def test_broken_rules_are_named(loaded):
    now, kept = loaded.snapshot(), loaded.require_plan("base")
    dearest = {}
    for one in now.siting.options:
        if one.cost_eur >= dearest.get(one.site, (0.0, ""))[0]:
            dearest[one.site] = (one.cost_eur, one.option)
    answer = switch_sites(now, kept, {site: option for site, (_, option) in dearest.items()})
    assert answer.cost_eur > answer.budget_eur
    assert answer.broken_rules[0] == f"the budget of EUR {kept.plan.budget_eur:,.0f}"


def test_rules_of_the_study_are_named(study_copy):
    table = study_copy / "tables" / "rules.csv"
    site = read_plan(study_copy / "plans" / "base").options[0].site
    columns = "rule,name,kind,subject,limit,source,tag"
    approach = read_plan(study_copy / "plans" / "base").approaches[0].id
    rows = f'a,"Keep this one",lock_in,{site},,test,G\nb,Hold them,least_hours,{approach},1000,test,G\n'
    table.write_text(f"{columns}\n{rows}")
    now = LoadedStudy(study_copy).snapshot()
    choice = assess_choice(now, (), 0.0)
    assert choice.broken == ("Keep this one", "Hold them")


def test_rules_of_access_are_named_with_the_place(study_copy):
    head = "rule,name,kind,state,limit_h,source,tag\n"
    rule = "road,Every place keeps a road,keep_safe,closed,,invented,G\n"
    (study_copy / "tables" / "access_rules.csv").write_text(head + rule, "utf-8")
    now = LoadedStudy(study_copy).snapshot()
    every = change_rows(now, (), {site.key: closing_option(now, site.key) for site in now.siting.sites})
    broken = [name for name in assess_choice(now, every, 1e12).broken if name.startswith("Every place")]
    ground = prepare_access(now.study, now.mesh)
    judge = AccessJudge(now.study, now.mesh, now.siting, list_access_rules(now.study), ground)
    places = [ground.places[row].name for row in judge.find_broken(judge.rules[0], every).tolist()]
    assert broken == [f"Every place keeps a road: {place}" for place in places]
    assert places
    assert not assess_choice(now, (), 1e12).broken


def closing_option(now, site: str) -> str:
    """The option of a site that closes its roads for longest."""
    own = [one for one in now.siting.options if one.site == site]
    return max(own, key=lambda one: one.delay_road_h).option


def test_all_faults_come_at_once(make_client, loaded):
    client = make_client(loaded.folder)
    body = {"choices": {"nowhere": None, loaded.siting.sites[0].key: "no-option", "<b>": "x"}}
    answer = client.post("/api/plans/base/switch", json=body)
    assert answer.status_code == 400
    assert len(answer.json()["faults"]) == 3


def test_a_site_named_twice_is_refused(loaded):
    now, kept = loaded.snapshot(), loaded.require_plan("base")
    site = now.siting.sites[0].key
    with pytest.raises(ValueError, match="named twice"):
        switch_sites(now, kept, {site: None, now.labels[site]: None})


def test_unseen_barriers_count_as_in_the_solver(study_copy):
    mesh = read_mesh(study_copy)
    shutil.copytree(study_copy, study_copy.parent / "bare")
    unseen = Watched(np.zeros(mesh.cell_count, np.int32), np.zeros(mesh.cell_count))
    write_watched(study_copy / "watch", mesh, unseen)
    loaded = LoadedStudy(study_copy)
    assert "watch" in loaded.read_plan("base").stale
    now, whole = loaded.snapshot(), LoadedStudy(study_copy.parent / "bare").snapshot()
    weakened = now.problem.option_open_h / np.maximum(whole.problem.option_open_h, 1e-9)
    assert weakened[whole.problem.option_open_h > 0] == pytest.approx(0.3, abs=1e-6)
    dice, lower = random.Random(1), 0
    for count in (3, 8, 1000):
        rows = change_rows(now, (), draw_choices(loaded, dice, min(count, len(now.siting.sites))))
        weak, full = (one.measure(rows) for one in (now, whole))
        assert np.array_equal(weak, compute_anew(now.problem, rows))
        assert np.all(weak <= full)
        lower += bool(np.any(weak < full))
    assert lower


def test_routes_end_where_the_times_say(loaded):
    now, kept = loaded.snapshot(), loaded.require_plan("base")
    choices = {one.site: None for one in kept.plan.options}
    answer = draw_routes(now, kept, "", choices)
    held = {(one["properties"]["approach"], one["properties"]["state"]): one for one in answer.features}
    for approach in kept.plan.approaches:
        before, plan, open_now = (held[approach.id, state] for state in ("before", "plan", "now"))
        assert before["properties"]["hours"] == approach.before_h
        assert plan["properties"]["hours"] == approach.after_h
        assert open_now["geometry"] == before["geometry"]
        row = now.study.find_row("approaches", approach.id)
        aim = now.study.find_row("places", row["objective"])
        ends = before["geometry"]["coordinates"]
        assert min(np.hypot(ends[end][0] - aim["lon"], ends[end][1] - aim["lat"]) for end in (0, -1)) < 0.02


def test_why_a_site_is_its_loss(loaded):
    now, kept = loaded.snapshot(), loaded.require_plan("base")
    losses = []
    for one in kept.plan.options[:5]:
        why = explain_site(now, kept, now.labels[one.site], "")
        rest = [row for row in now.find_rows(kept.plan) if now.siting.options[row].site != one.site]
        lost_h = kept.plan.value_h - now.weigh(compute_anew(now.problem, rest))
        assert why.loss_h == pytest.approx(lost_h, abs=1e-9)
        assert all(other.loss_h < why.loss_h for other in why.replacements)
        assert all(other.site not in {o.site for o in kept.plan.options} for other in why.replacements)
        losses.append(why.loss_h)
    assert max(losses) > 0


def test_why_refuses_an_open_site(loaded):
    now, kept = loaded.snapshot(), loaded.require_plan("base")
    chosen = {one.site for one in kept.plan.options}
    left = [site.key for site in now.siting.sites if site.key not in chosen]
    with pytest.raises(ValueError, match="does not close"):
        explain_site(now, kept, left[0] if left else "x", "")


def test_a_switch_is_quick(loaded):
    now, kept = loaded.snapshot(), loaded.require_plan("base")
    dice, taken = random.Random(3), []
    for _ in range(15):
        started = time.perf_counter()
        switch_sites(now, kept, draw_choices(loaded, dice, 3))
        taken.append(time.perf_counter() - started)
    assert sorted(taken)[7] < 0.2


def test_too_many_changes_are_refused():
    with pytest.raises(ValueError, match="at most"):
        SwitchQuestion(choices={str(number): None for number in range(20_001)})
