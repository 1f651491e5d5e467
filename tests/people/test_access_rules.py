"""Rules of access against trying every plan; orders of closing against trying every order."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
from access_cases import make_mesh, make_plan, make_siting, make_study

from abatis.barrier.solve import solve_problem
from abatis.model.errors import InfeasibleError, InputError
from abatis.model.plan import Problem
from abatis.people.access_ground import prepare_access
from abatis.people.access_rules import (
    AccessJudge,
    AccessRule,
    add_access_rows,
    check_access_rows,
    list_access_rules,
    read_access_rows,
    solve_with_access,
    write_access_rows,
)
from abatis.people.closing_order import LossCounter, order_closing, order_exactly, order_greedily

KEEP = AccessRule("keep", "Every place keeps a road to safety", "safe", math.inf)
SOON = AccessRule("soon", "No place over 60 minutes", "ambulance", 1.0)


def make_problem(siting, mesh, random) -> Problem:
    """A barrier problem on the same sites: one approach from the last cell to the first, open ground shut."""
    sites = [site.key for site in siting.sites]
    starts, edges = [0], []
    for option in siting.options:
        edges.append(next(site.edges for site in siting.sites if site.key == option.site))
        starts.append(starts[-1] + len(edges[-1]))
    joined = np.concatenate(edges).astype(np.int32)
    return Problem(
        node_count=mesh.cell_count, tail=mesh.edge_a.astype(np.int32), head=mesh.edge_b.astype(np.int32),
        directed=False, open_h=np.full((1, mesh.edge_count), np.inf),
        road_h=random.integers(1, 5, (1, mesh.edge_count)).astype(float), approach_keys=("a",),
        approach_names=("A",), approach_group=np.zeros(1, np.int32), approach_weight=np.ones(1),
        approach_sources=(np.array([mesh.cell_count - 1], np.int32),),
        approach_targets=(np.array([0], np.int32),), site_keys=tuple(sites), site_names=tuple(sites),
        option_keys=tuple(one.option for one in siting.options),
        option_site=np.array([sites.index(one.site) for one in siting.options], np.int32),
        option_cost_eur=random.integers(1, 6, len(siting.options)).astype(float),
        option_start=np.array(starts, np.int32), option_edge=joined, option_open_h=np.zeros(len(joined)),
        option_road_h=np.repeat(random.integers(1, 9, len(siting.options)), np.diff(starts)).astype(float),
        rules=(), least_hours={}, least_hours_names={}, objective="sum",
    )  # fmt: skip


def make_case(tmp_path, monkeypatch, seed: int, count: int = 9, sites: int = 6):
    """A random net with villages, a hospital in the middle, safe ground at one end, and random sites."""
    random = np.random.default_rng(seed)
    pairs = {(i, i + 1) for i in range(count - 1)}
    while len(pairs) < count + 3:
        pair = tuple(sorted(random.choice(count, 2, replace=False).tolist()))
        degree = np.bincount([end for one in [*pairs, pair] for end in one])
        if degree.max() <= 5:
            pairs.add(pair)
    roads = [
        (a, b, float(random.integers(1, 5)) / 8, "local", *(["bridge"] if random.random() < 0.4 else []))
        for a, b in sorted(pairs)
    ]
    places = [(f"p{cell}", cell, int(random.integers(1, 9)) * 100, "village") for cell in range(count - 1)]
    places += [("clinic", count // 2, 0, "hospital")]
    study = make_study(tmp_path, places, monkeypatch, roads)
    mesh = make_mesh(count, roads, safe=[count - 1])
    edges = random.permutation(len(roads))
    groups = np.array_split(edges[: sites + 2], sites)
    listed = [(f"s{number}", group.tolist(), ["block", "bridge"]) for number, group in enumerate(groups)]
    siting = make_siting(listed)
    siting.problem = make_problem(siting, mesh, random)
    return study, mesh, siting, random


def list_choices(siting):
    """Every choice of at most one option per site, as tuples of option rows."""
    per_site: dict[str, list[int | None]] = {}
    for row, option in enumerate(siting.options):
        per_site.setdefault(option.site, [None]).append(row)
    for choice in itertools.product(*per_site.values()):
        yield tuple(one for one in choice if one is not None)


def try_every_plan(siting, value, budget, keeps):
    """The best value of all choices within budget that a test keeps."""
    cost = siting.problem.option_cost_eur
    return max(
        (sum(value[one] for one in choice), choice)
        for choice in list_choices(siting)
        if sum(cost[one] for one in choice) <= budget and keeps(choice)
    )


@pytest.mark.parametrize("seed", range(6))
def test_rows_lead_to_the_best_plan_of_all_that_keep_the_rules(tmp_path, monkeypatch, seed):
    study, mesh, siting, random = make_case(tmp_path, monkeypatch, seed)
    rules = (KEEP, SOON)
    judge = AccessJudge(study, mesh, siting, rules, prepare_access(study, mesh))
    value = random.integers(1, 100, len(siting.options)).astype(float)
    budget = 14.0

    def fits(problem, choice):
        filled = np.zeros(problem.option_count)
        filled[list(choice)] = 1
        return all(filled[rule.options] @ rule.coefficients <= rule.limit for rule in problem.rules)

    def solve(problem):
        found = try_every_plan(siting, value, budget, lambda choice: fits(problem, choice))
        return SimpleNamespace(chosen=np.array(found[1], int), value_h=found[0])

    answer = solve_with_access(study, mesh, siting, rules, solve)
    best = try_every_plan(
        siting, value, budget, lambda choice: not any(len(judge.find_broken(rule, choice)) for rule in rules)
    )
    free = try_every_plan(siting, value, budget, lambda _choice: True)
    assert answer.solution.value_h == best[0] <= free[0]
    assert not any(len(judge.find_broken(rule, answer.solution.chosen)) for rule in rules)
    # No row forbids any plan that keeps the rules.
    for choice in list_choices(siting):
        if not any(len(judge.find_broken(rule, choice)) for rule in rules):
            assert fits(answer.problem, choice)
    assert check_access_rows(judge, answer.rows, answer.solution.chosen) == []


def test_the_rules_bind_at_all(tmp_path, monkeypatch):
    """In the cases above the rules do cost something; else they would prove little."""
    costs = 0
    for seed in range(6):
        study, mesh, siting, _ = make_case(tmp_path, monkeypatch, seed)
        judge = AccessJudge(study, mesh, siting, (KEEP, SOON), prepare_access(study, mesh))
        every = [row for row, one in enumerate(siting.options) if one.option == "block"]
        costs += any(len(judge.find_broken(rule, every)) for rule in judge.rules)
    assert costs >= 4


@pytest.mark.parametrize("seed", [1, 3])
def test_the_solver_obeys_the_rows_and_its_bound_holds(tmp_path, monkeypatch, seed):
    study, mesh, siting, _ = make_case(tmp_path, monkeypatch, seed)
    budget, rules = 14.0, (KEEP,)
    answer = solve_with_access(
        study, mesh, siting, rules, lambda problem: solve_problem(problem, budget, gap=0.0, threads=1)
    )
    judge = AccessJudge(study, mesh, siting, rules, prepare_access(study, mesh))
    best = 0.0
    for choice in list_choices(siting):
        if siting.problem.option_cost_eur[list(choice)].sum() > budget or len(
            judge.find_broken(KEEP, choice)
        ):
            continue
        best = max(best, time_approach(siting.problem, choice))
    assert answer.solution.value_h == pytest.approx(best)
    assert answer.solution.bound_h == pytest.approx(best)


def time_approach(problem, choice) -> float:
    """Arrival of the one approach under a choice, by the Bellman-Ford rule."""
    hours = problem.road_h[0].copy()
    for option in choice:
        part = slice(problem.option_start[option], problem.option_start[option + 1])
        hours[problem.option_edge[part]] += problem.option_road_h[part]
    times = np.full(problem.node_count, np.inf)
    times[problem.approach_sources[0]] = 0
    for _ in range(problem.node_count):
        for a, b, time_h in zip(problem.tail, problem.head, hours, strict=True):
            times[b], times[a] = min(times[b], times[a] + time_h), min(times[a], times[b] + time_h)
    return float(times[problem.approach_targets[0]].min())


def test_rules_that_nothing_keeps_are_named(tmp_path, monkeypatch):
    study, mesh, siting, _ = make_case(tmp_path, monkeypatch, 0)
    judge = AccessJudge(study, mesh, siting, (KEEP,), prepare_access(study, mesh))
    every = [row for row, one in enumerate(siting.options) if one.option == "block"]
    (row, *_) = judge.find_rows(every)
    problem = add_access_rows(siting.problem, siting, [row])
    assert problem.rules[-1].key == "keep_1"
    assert problem.rules[-1].name.startswith("Every place keeps a road to safety: ")
    assert problem.rules[-1].limit == len(row.sites) - 1
    from dataclasses import replace

    from abatis.model.plan import Rule

    locks = tuple(
        Rule(f"in_{site}", f"{site} is built", rows, -np.ones(len(rows)), -1.0)
        for site in row.sites
        for rows in [
            np.array(
                [
                    number
                    for number, one in enumerate(siting.options)
                    if one.site == site and one.option in row.options[row.sites.index(site)]
                ],
                np.int32,
            )
        ]
    )
    siting.problem = replace(siting.problem, rules=locks)
    with pytest.raises(InfeasibleError):
        solve_with_access(study, mesh, siting, (KEEP,), lambda one: solve_problem(one, 1e6, threads=1))


def test_rows_are_kept_and_checked_again(tmp_path, monkeypatch):
    study, mesh, siting, _ = make_case(tmp_path, monkeypatch, 2)
    judge = AccessJudge(study, mesh, siting, (KEEP, SOON), prepare_access(study, mesh))
    every = [row for row, one in enumerate(siting.options) if one.option == "block"]
    rows = judge.find_rows(every)
    write_access_rows(rows, (KEEP, SOON), tmp_path)
    assert read_access_rows(tmp_path) == ((KEEP, SOON), tuple(rows))
    assert read_access_rows(tmp_path / "none") == ((), ())
    wrong = type(rows[0])(rows[0].rule, rows[0].name, rows[0].place, rows[0].sites[1:], rows[0].options[1:])
    reasons = check_access_rows(judge, [wrong], every)
    assert any("does not follow from its rule" in one for one in reasons)
    assert any("breaks the rule 'Every place keeps a road to safety'" in one for one in reasons)
    (tmp_path / "access_rows.json").write_text("{", "utf-8")
    with pytest.raises(InputError, match="is damaged"):
        read_access_rows(tmp_path)


def test_rules_are_read_from_a_table(tmp_path, monkeypatch):
    study, *_ = make_case(tmp_path, monkeypatch, 0)
    assert list_access_rules(study) == ()
    head = "rule,name,kind,state,limit_h,source,tag\n"
    path = tmp_path / "tables" / "access_rules.csv"
    path.write_text(f"{head}a,A,most_ambulance_h,,1,test,G\nb,B,keep_safe,peace,,test,G\n", "utf-8")
    assert list_access_rules(study) == (
        AccessRule("a", "A", "ambulance", 1.0), AccessRule("b", "B", "safe", math.inf, "peace")
    )  # fmt: skip
    path.write_text(f"{head}a,A,most_ambulance_h,,,test,G\nb,B,keep_sefe,,,test,G\n", "utf-8")
    with pytest.raises(InputError) as found:
        list_access_rules(study)
    assert "row 2, limit_h: is missing" in str(found.value)
    assert "row 3, kind: has the unknown word 'keep_sefe'" in str(found.value)


def test_places_over_the_limit_before_are_exempt(tmp_path, monkeypatch):
    study, mesh, siting, _ = make_case(tmp_path, monkeypatch, 0)
    rule = AccessRule("at_once", "No place over a minute", "ambulance", 1 / 60)
    judge = AccessJudge(study, mesh, siting, (rule,), prepare_access(study, mesh))
    assert {place for _, place in judge.exempt} == {f"p{cell}" for cell in range(8) if cell != 4}
    with pytest.raises(InputError, match="has aim 'work'"):
        AccessJudge(study, mesh, siting, (AccessRule("x", "X", "work", 1.0),), judge.ground)


@pytest.mark.parametrize("seed", range(8))
def test_no_order_of_closing_is_better(tmp_path, monkeypatch, seed):
    study, mesh, siting, _ = make_case(tmp_path, monkeypatch, seed)
    plan = make_plan(siting)
    order = order_closing(study, mesh, siting, plan)
    ground = prepare_access(study, mesh)
    links = {site.key: ground.graph.find_links(site.edges) for site in siting.sites}
    counter = LossCounter(ground, "safe", links)
    sites = list(links)
    assert sorted(one.site for one in order.steps) == sorted(sites)
    assert order.method == "exact"
    # Sites that nobody needs go first and lose nobody; their order does not matter.
    assert counter.count(order.first) == 0.0
    every = [[*order.first, *rest] for rest in itertools.permutations(set(sites) - set(order.first))]
    assert order.lost == min(counter.sum_lost(one) for one in every)
    assert order.lost == counter.sum_lost([one.site for one in order.steps])
    whole = min(counter.sum_lost(one) for one in itertools.permutations(sites))
    assert order.lost == whole
    # The greedy order is never better than the exact one, and here at most a fifth worse.
    needed = counter.find_needed()
    greedy = counter.sum_lost(order_greedily(counter, needed))
    assert counter.sum_lost(order_exactly(counter, needed)) <= greedy <= 1.2 * order.lost + 1e-9
    assert sorted(order_greedily(counter, needed)) == sorted(needed)


def test_the_way_of_the_many_is_closed_last(tmp_path, monkeypatch):
    # few(0) -- 2 safe -- many(1); and 3, whose road nobody needs because it has two.
    roads = [(0, 2, 0.5, "local"), (1, 2, 0.25, "local"), (3, 2, 0.5, "local"), (3, 1, 0.5, "local")]
    places = [("few", 0, 100, "village"), ("many", 1, 3000, "town"), ("clinic", 2, 0, "hospital")]
    study, mesh = make_study(tmp_path, places, monkeypatch, roads), make_mesh(4, roads, safe=[2])
    siting = make_siting([("a", [1], ["block"]), ("b", [0], ["block"]), ("c", [2], ["block"])])
    order = order_closing(study, mesh, siting)
    assert [one.site for one in order.steps][-1] in ("a", "c")
    assert order.steps[0].site in ("a", "b", "c")
    # few are lost first (100 in two steps), then nobody, then the 3,000 with the last of their two roads;
    # or nobody, then 100, then 3,100: the second is better.
    assert order.lost == 0 + 100 + 3100
    last = {one.site: one.passed_h for one in order.steps}
    # 3,000 persons over 1,500 an hour and a quarter of an hour of driving.
    assert last["a"] == pytest.approx(2.25)
    assert last["b"] == pytest.approx(100 / 1500 + 0.5)
    assert last["c"] == 0.0
    with pytest.raises(InputError, match="aim"):
        order_closing(study, mesh, siting, aim="shop")
