"""Risk: exact times of every draw against scipy, money to the cent, the same bytes however it is run."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace

import numpy as np
import pytest
import scipy.sparse as sparse
from scipy import stats
from scipy.sparse.csgraph import dijkstra

from abatis.barrier.network import build_network
from abatis.barrier.observed import weaken_unseen
from abatis.barrier.sites import site_study
from abatis.barrier.solve import measure_times
from abatis.ground.speeds import compute_edge_times
from abatis.model.errors import InputError
from abatis.model.plan import read_plan
from abatis.model.words import SEASONS
from abatis.programme import sensitivity
from abatis.programme.drawn_works import DatedPlan, date_schedule, find_options, spread_years
from abatis.programme.draws import Quantity
from abatis.programme.kept import read_schedule
from abatis.programme.outlook import (
    describe_outcome,
    find_band,
    sum_value,
)
from abatis.programme.risk import (
    draw_delays,
    make_draws,
    measure_draws,
    prepare_case,
    run_draws,
)
from abatis.programme.schedule import solve_schedule
from abatis.programme.sensitivity import group_inputs, rank_inputs, tell_first
from abatis.programme.split import Split, compare_outcomes, plan_split, tell_difference
from abatis.programme.terms import NEVER, read_terms
from abatis.show.cli import main
from abatis.show.programme import ProgrammeSettings, make_programme, read_risk
from abatis.show.workflow import load_study

YEARS = np.arange(2026, 2031)


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    """Study, mesh, siting and plan of the template."""
    folder = tmp_path_factory.mktemp("risk") / "study"
    for words in (
        ["new", str(folder)],
        ["build", str(folder)],
        ["solve", str(folder), "--budget", "20000000"],
    ):
        assert main(words) == 0
    study, mesh = load_study(folder)
    return study, mesh, site_study(study, mesh), read_plan(folder / "plans" / "base")


def date_plan(plan, problem, start_year, finish_year, budget_eur):
    options = find_options(plan, problem)
    watched = np.ones(len(options), bool)
    return DatedPlan(plan.name, options, start_year, finish_year, plan.budget_eur, budget_eur, watched)


@pytest.fixture(scope="module")
def dated(solved):
    _, _, siting, plan = solved
    costs = np.array([one.cost_eur for one in plan.options])
    finish = spread_years(costs, YEARS)
    return date_plan(plan, siting.problem, finish, finish, np.full(5, plan.budget_eur / 5))


@pytest.fixture(scope="module")
def half(dated):
    """A second plan: every other option, built in the first year."""
    options = dated.options[::2]
    first = np.full(len(options), YEARS[0])
    return DatedPlan("half", options, first, first, 1e9, np.empty(0), np.ones(len(options), bool))


@pytest.fixture(scope="module")
def case(solved, dated, half):
    study, mesh, siting, _ = solved
    return prepare_case(study, mesh, siting, [dated, half], YEARS)


@pytest.fixture(scope="module")
def ground_case(solved, dated, half):
    study, mesh, siting, _ = solved
    return prepare_case(study, mesh, siting, [dated, half], YEARS, with_speeds=True)


def freeze(case, **free):
    """The case with every input at its likely value, but for those given as key=(low, mode, high)."""
    quantities = tuple(
        Quantity(one.key, *free.get(one.key.replace(":", "_"), (one.mode, one.mode, one.mode)), "", "G")
        for one in case.inputs.quantities
    )
    return replace(case, inputs=replace(case.inputs, quantities=quantities))


def still(case, **free):
    """The same without lateness and failures."""
    names = {key.replace(":", "_") for key in case.inputs.keys}
    zero = {
        name: (0.0, 0.0, 0.0) for name in names if name.startswith(("slip_years", "land_years", "failure"))
    }
    return freeze(case, **(zero | {"price_level": (1.0, 1.0, 1.0)} | free))


@pytest.mark.parametrize("with_speeds", [False, True])
def test_what_posts_do_not_see_loses_delay_edge_by_edge(solved, dated, with_speeds):
    """Without spread a draw gives the hours of the problem that a watch result leaves, and the same money."""
    study, mesh, siting, _ = solved
    seen = np.random.default_rng(3).random(mesh.edge_count) < 0.5
    weak = weaken_unseen(siting.problem, seen)
    watched = replace(siting, problem=weak, seen_edges=seen)
    blind = replace(
        siting, problem=weaken_unseen(siting.problem, ~np.ones_like(seen)), seen_edges=~np.ones_like(seen)
    )
    found = {}
    for name, one in (("all", siting), ("half", watched), ("none", blind)):
        case = still(prepare_case(study, mesh, one, [dated], YEARS, with_speeds))
        outcome = run_draws(case, 1, 2)
        network = build_network(one.problem)
        choice = np.isin(np.arange(one.problem.option_count), dated.options).astype(float)
        assert outcome.hours[0, 0, -1] == pytest.approx(measure_times(network, choice), rel=1e-9)
        found[name] = outcome
    weight = siting.problem.approach_weight
    values = [float(found[name].hours[0, 0, -1] @ weight) for name in ("all", "half", "none")]
    assert values[0] > values[1] > values[2]
    assert (
        found["all"].spend_eur.tolist()
        == found["half"].spend_eur.tolist()
        == found["none"].spend_eur.tolist()
    )


def measure_by_scipy(mesh, problem, case, draws, plan, draw, year, times):
    """Arrival times of one draw and year by scipy on the whole mesh."""
    works = case.works
    pair_h = draw_delays(case.inputs, works, draws, case.plan_watched)[plan, draw]
    late = np.floor(
        np.array(
            [
                max(
                    draws.values[draw, case.inputs.keys.index(f"slip_years:{works.measures[m]}")]
                    for m in works.pair_measure[works.pair_option == o]
                )
                + works.takes_land[o] * draws.values[draw, case.inputs.keys.index("land_years")]
                for o in range(len(works.options))
            ]
        )
        + 0.5
    )
    built = case.plan_last[plan] + late <= year
    open_delay, road_delay = np.zeros(mesh.edge_count), np.zeros(mesh.edge_count)
    for o in np.flatnonzero(built):
        part = slice(works.start[o], works.start[o + 1])
        for total, pairs in ((open_delay, works.edge_open), (road_delay, works.edge_road)):
            used = pairs[part] >= 0
            total[works.edge[part][used]] += pair_h[pairs[part][used]]
    hours = []
    for k in range(problem.approach_count):
        one = times[k]
        edge_h = np.minimum(one.open_h + open_delay, one.road_h + road_delay)
        kept = np.isfinite(edge_h)
        graph = sparse.csr_matrix(
            (edge_h[kept], (mesh.edge_a[kept], mesh.edge_b[kept])), shape=(mesh.cell_count, mesh.cell_count)
        )
        reached = dijkstra(graph, directed=False, indices=int(problem.approach_targets[k][0]))
        hours.append(reached[problem.approach_sources[k]].min())
    return np.array(hours)


def list_times(study, mesh, season=None):
    table = study.tables["approaches"]
    return [
        compute_edge_times(study, mesh, vehicle, season or own)
        for vehicle, own in zip(table["vehicle"], table["season"], strict=True)
    ]


def test_times_of_draws_are_exact(solved, case):
    study, mesh, siting, _ = solved
    draws = make_draws(case, 11, 0, 4)
    outcome = measure_draws(case, draws)
    times = list_times(study, mesh)
    for plan in range(2):
        for draw in range(4):
            for year in (0, 2, 4):
                expected = measure_by_scipy(mesh, siting.problem, case, draws, plan, draw, year, times)
                assert (outcome.hours[plan, draw, year] == expected).all()
    assert len(np.unique(outcome.hours[0, :, -1, 0])) == 4


def with_speeds_of(study, case, values):
    """The study with the speeds and soils of one draw as likely values."""
    tables = dict(study.tables)
    of = dict(zip(case.inputs.keys, values, strict=True))
    speeds = tables["speeds"].copy()
    speeds["mode"] = [
        of[f"speed:{r.vehicle}:{r.season}:{r.factor}:{r.word}"] for r in speeds.itertuples(index=False)
    ]
    soils = tables["soils"].copy()
    for row, soil in soils.iterrows():
        column = "bearing_kpa" if soil["bearing_kpa"] >= 0 else "moisture_percent"
        soils.loc[row, column] = of[f"soil:{soil['ground']}:{soil['season']}"]
    return replace(study, tables=tables | {"speeds": speeds, "soils": soils})


def test_times_on_drawn_ground_are_exact(solved, ground_case):
    study, mesh, siting, _ = solved
    draws = make_draws(ground_case, 11, 0, 3)
    outcome = measure_draws(ground_case, draws)
    for draw in range(3):
        times = list_times(with_speeds_of(study, ground_case, draws.values[draw]), mesh)
        for plan in range(2):
            for year in (0, 2, 4):
                expected = measure_by_scipy(mesh, siting.problem, ground_case, draws, plan, draw, year, times)
                assert outcome.hours[plan, draw, year] == pytest.approx(expected, rel=1e-9)
    assert len(np.unique(outcome.hours[0, :, 0, 0])) == 3


def test_both_machines_agree_when_speeds_stand_still(case, ground_case):
    here, there = freeze(case, delay_ditch=(0.5, 1, 2)), freeze(ground_case, delay_ditch=(0.5, 1, 2))
    one, other = run_draws(here, 3, 10), run_draws(there, 3, 10)
    assert one.hours == pytest.approx(other.hours, rel=1e-9)
    assert one.spend_eur.tobytes() == other.spend_eur.tobytes()


def test_seasons_are_drawn_for_all_approaches(solved, dated):
    study, mesh, siting, _ = solved
    case = prepare_case(study, mesh, siting, [dated], YEARS)
    shares = (("dry", 0.5), ("mud", 0.5))
    inputs = replace(case.inputs, season_share=shares)
    from abatis.programme import risk

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(risk, "collect_inputs", lambda *_: inputs)
        case = prepare_case(study, mesh, siting, [dated], YEARS)
    draws = make_draws(case, 2, 0, 6)
    assert set(draws.seasons) == {0, 1}
    outcome = measure_draws(case, draws)
    for draw in range(6):
        times = list_times(study, mesh, SEASONS[draws.seasons[draw]])
        expected = measure_by_scipy(mesh, siting.problem, case, draws, 0, draw, 4, times)
        assert (outcome.hours[0, draw, 4] == expected).all()


def test_the_same_bytes_for_one_and_two_workers(case):
    one, two = run_draws(case, 5, 60), run_draws(case, 5, 60, workers=2)
    assert one.hours.tobytes() == two.hours.tobytes()
    assert one.spend_eur.tobytes() == two.spend_eur.tobytes()
    with ThreadPoolExecutor(2) as pool:
        assert run_draws(case, 5, 60, executor=pool).hours.tobytes() == one.hours.tobytes()
    assert run_draws(case, 6, 60).hours.tobytes() != one.hours.tobytes()


def test_more_draws_begin_with_the_same_ones(case):
    few, many = run_draws(case, 5, 30), run_draws(case, 5, 70)
    assert (many.hours[:, :30] == few.hours).all()


def test_plans_see_the_same_draws_alone_and_together(solved, case, half):
    study, mesh, siting, _ = solved
    alone = run_draws(prepare_case(study, mesh, siting, [half], YEARS), 5, 40)
    assert (alone.hours[0] == run_draws(case, 5, 40).hours[1]).all()
    assert alone.spend_eur[0] == pytest.approx(run_draws(case, 5, 40).spend_eur[1], rel=1e-12)


def test_without_uncertainty_the_draw_is_the_plan(solved, case):
    _, _, _, plan = solved
    outcome = run_draws(still(case), 1, 3)
    assert outcome.hours[0, :, -1] == pytest.approx(np.array([[one.after_h for one in plan.approaches]] * 3))
    assert outcome.cost_eur[0] == pytest.approx(plan.cost_eur, abs=0.5 * len(plan.options))
    assert (outcome.spend_eur[:, :, -1] == 0).all()


def test_frozen_draws_hold_what_the_schedule_holds(solved):
    study, mesh, siting, plan = solved
    terms = read_terms(study, plan, siting)
    schedule = solve_schedule(siting.problem, terms, time_limit_s=5)
    dated = date_schedule("base", terms, schedule)
    case = prepare_case(study, mesh, siting, [dated], terms.years, index=terms.index)
    outcome = run_draws(still(case), 1, 1)
    assert pytest.approx(schedule.held_h) == outcome.hours[0, 0].T
    assert (schedule.start_year >= 0).any()


def test_the_command_prints_bands_and_json(solved, capsys):
    folder = str(solved[0].folder)
    assert main(["risk", folder, "--draws", "20", "--sensitivity", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"plans", "uplift", "years_base", "inputs", "notes"} == set(found)
    row = found["plans"][0]
    assert row["cost_p10_eur"] <= row["cost_p50_eur"] <= row["cost_p90_eur"]
    assert len(found["years_base"]) == 10
    assert main(["risk", folder, "--draws", "20"]) == 0
    assert "chance it holds" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["--draws", "0"],
        ["--workers", "0"],
        ["--shape", "bell"],
        ["--plan", "none"],
        ["--against", "base"],
        ["--sensitivity", "1"],
        ["--scheduler", "tcp://127.0.0.1:1"],
    ],
)
def test_the_command_names_bad_input(solved, capsys, words):
    assert main(["risk", str(solved[0].folder), *words]) == 1
    assert "fault" in capsys.readouterr().err


def test_a_year_late_is_a_year_later(case):
    on_time = run_draws(still(case), 1, 1)
    late = run_draws(still(case, slip_years_ditch=(1.0, 1.0, 1.0), slip_years_block=(1.0, 1.0, 1.0)), 1, 1)
    assert (late.hours[:, :, 1:] == on_time.hours[:, :, :-1]).all()
    assert (late.hours[:, :, 0] <= on_time.hours[:, :, 0]).all()
    assert late.cost_eur == pytest.approx(on_time.cost_eur)
    assert late.spend_eur[0, 0, -1] > 0


def test_barriers_held_by_nobody_keep_the_share_left(case):
    unwatched = replace(case, plan_watched=np.zeros_like(case.plan_watched))
    share = {"left_share": (0.25, 0.25, 0.25)}
    weak = run_draws(still(unwatched, **share), 1, 1)
    failed = run_draws(
        still(case, failure_ditch=(1.0, 1.0, 1.0), failure_block=(1.0, 1.0, 1.0), **share), 1, 1
    )
    assert (weak.hours == failed.hours).all()
    assert (weak.hours[0, 0, -1] < run_draws(still(case), 1, 1).hours[0, 0, -1]).any()


def test_effects_that_grow_arrive_with_their_lag(solved, dated):
    study, mesh, siting, _ = solved
    effects = study.tables["effects"].copy()
    for years_after, share in ((2, 1.0),):
        effects.loc[len(effects) + 2] = {
            "measure": "ditch", "years_after": years_after, "share": share, "source": "", "tag": "G",
        }  # fmt: skip
    grown = replace(study, tables=dict(study.tables) | {"effects": effects})
    first = replace(dated, start_year=dated.start_year * 0 + 2026, finish_year=dated.finish_year * 0 + 2026)
    lag = prepare_case(grown, mesh, siting, [first], YEARS)
    none = prepare_case(study, mesh, siting, [first], YEARS)
    ditch = [lag.works.measures[m] for m in lag.works.pair_measure].index("ditch")
    assert lag.works.pair_growth[0, ditch].tolist() == [0.0, 0.5, 1.0]
    slow, full = run_draws(still(lag), 1, 1).hours[0, 0], run_draws(still(none), 1, 1).hours[0, 0]
    assert (slow[2:] == full[2:]).all()
    assert (slow[0] <= slow[1]).all() and (slow[1] <= slow[2]).all()
    assert slow[0].sum() < full[0].sum()


def test_chance_that_the_budget_holds(case):
    """A triangular price level from 1 to 3 stays below 1.5 in 1 - (3 - 1.5)^2 / 4 of all draws."""
    loose = replace(still(case, price_level=(1.0, 1.0, 3.0)))
    loose = replace(loose, inputs=replace(loose.inputs, shape="triangular"))
    cost = run_draws(still(case), 1, 1).cost_eur[0, 0]
    plans = (
        replace(case.plans[0], total_budget_eur=1.5 * cost, budget_eur=np.full(5, 0.3 * cost)),
        case.plans[1],
    )
    outlook = describe_outcome(replace(loose, plans=plans), run_draws(loose, 3, 2000))[0]
    assert outlook.budget_holds == pytest.approx(1 - 1.5**2 / 4, abs=0.03)
    assert outlook.years[-1].budget_holds == pytest.approx(outlook.budget_holds)
    assert [one.year for one in outlook.years] == YEARS.tolist()
    assert outlook.years[-1].spent_so_far_eur.p50 == pytest.approx(outlook.cost_eur.p50)


def test_sensitivity_finds_the_only_input_that_matters(case):
    shares = rank_inputs(still(case, price_level=(1.0, 1.2, 2.0)), 1, 256)
    cost = [one for one in shares if one.output == "cost_eur"]
    assert cost[0].group == "price_level"
    assert cost[0].total == pytest.approx(1, abs=0.1)
    assert all(one.total == 0 for one in cost[1:])
    assert all(one.total == 0 for one in shares if one.output.startswith("hours"))
    assert tell_first(shares, "cost_eur").startswith("Research price_level first")
    assert "No input stands out" in tell_first(shares, "hours_mean")


def test_sensitivity_splits_a_sum_as_its_variances(case):
    """Cost is linear in two unit costs: their shares are those of their variances."""
    loose = still(case, cost_ditch=(1e5, 2e5, 3e5), cost_block=(2e4, 1e5, 1.8e5))
    loose = replace(loose, inputs=replace(loose.inputs, shape="triangular"))
    works = case.works
    units = [
        works.pair_units[(works.pair_measure == m) & (case.plan_last[0][works.pair_option] < NEVER)].sum()
        for m in range(2)
    ]
    spread = {"block": 8e4, "ditch": 1e5}
    variance = {f"cost:{key}": (units[m] * spread[key]) ** 2 for m, key in enumerate(works.measures)}
    shares = {one.group: one for one in rank_inputs(loose, 1, 256) if one.output == "cost_eur"}
    for key, part in variance.items():
        expected = part / sum(variance.values())
        assert shares[key].total == pytest.approx(expected, abs=0.12)
        assert shares[key].first == pytest.approx(expected, abs=0.2)


def test_sensitivity_finds_the_shares_of_ishigami(case, monkeypatch):
    """Ishigami and Homma 1990: shares of y = sin x1 + 7 sin^2 x2 + 0.1 x3^4 sin x1 are known in full."""
    keys = ("price_level", "cost:ditch", "cost:block")
    free = still(case, **{key.replace(":", "_"): (1.0, 2.0, 4.0) for key in keys})

    def answer(_case, draws, _plan):
        columns = [case.inputs.keys.index(key) for key in keys]
        # Back from the hill of each input to an even spread over -pi to pi.
        even = stats.beta(1 + 4 / 3, 1 + 8 / 3).cdf((draws.values[:, columns] - 1) / 3)
        x = np.pi * (2 * even - 1)
        y = np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])
        return np.column_stack([y, y, y])

    monkeypatch.setattr(sensitivity, "_answer", answer)
    shares = {one.group: one for one in rank_inputs(free, 3, 4096) if one.output == "cost_eur"}
    pi4 = np.pi**4
    whole = 49 / 8 + 0.1 * pi4 / 5 + 0.01 * pi4**2 / 18 + 0.5
    alone = [0.5 * (1 + 0.1 * pi4 / 5) ** 2, 49 / 8, 0.0]
    both = 8 * 0.01 * pi4**2 / 225
    total = [alone[0] + both, alone[1], both]
    for key, first, every in zip(keys, alone, total, strict=True):
        assert shares[key].first == pytest.approx(first / whole, abs=0.06)
        assert shares[key].total == pytest.approx(every / whole, abs=0.04)
    assert shares["luck"].total == 0


def test_inputs_that_hang_together_are_one_group(case):
    matrix = case.inputs.correlation.copy()
    i, j = (case.inputs.keys.index(key) for key in ("cost:ditch", "cost:block"))
    matrix[i, j] = matrix[j, i] = 0.5
    groups = group_inputs(replace(case, inputs=replace(case.inputs, correlation=matrix)))
    assert groups["cost:block + cost:ditch"] == tuple(sorted((i, j)))


def test_a_plan_against_itself_and_against_less(solved, dated, half):
    study, mesh, siting, _ = solved
    case = prepare_case(study, mesh, siting, [dated, replace(dated, name="twin"), half], YEARS)
    outcome = run_draws(case, 1, 50)
    twin, less = compare_outcomes(case, outcome)
    assert twin.last_h == find_band(np.zeros(1))
    assert twin.cost_eur == find_band(np.zeros(1))
    assert less.cost_eur.p90 < 0
    value = sum_value(case, outcome.hours)[:, :, -1]
    assert less.better_share == np.mean(value[2] > value[0])
    assert "half" in tell_difference([twin, less])
    assert "do not tell these plans apart" in tell_difference([twin])


def test_split_of_money_keeps_each_family_within_its_own(solved):
    study, mesh, siting, _ = solved
    families = {"ditches": ("ditch",), "blocks": ("block",)}
    units = {key: float(study.find_row("measures", key)["unit_cost_eur"]) for key in ("ditch", "block")}
    rich = Split("rich", families, {"ditches": 2e7, "blocks": 2e6}, 0.0)
    watched = Split("watched", families, {"ditches": 1.5e7, "blocks": 2e6}, 5e6)
    plans = [plan_split(study, mesh, siting, one, YEARS, 0.02, 10.0) for one in (rich, watched)]
    for split, made in zip((rich, watched), plans, strict=True):
        assert made.bound_h >= made.value_h
        for family, (key,) in families.items():
            spent = sum(
                dict(siting.options[o].quantities).get(key, 0.0) * units[key] for o in made.plan.options
            )
            assert spent <= split.money_eur[family] + 1
    assert not plans[0].plan.watched.any()
    assert plans[1].plan.watched.any()
    assert plans[1].watch_cost_eur <= 5e6
    case = prepare_case(study, mesh, siting, [one.plan for one in plans], YEARS)
    assert len(compare_outcomes(case, run_draws(case, 1, 30))) == 1


def test_splits_that_make_no_sense_are_named(solved):
    study, mesh, siting, _ = solved
    split = Split("odd", {"a": ("dich",), "b": ("block",)}, {"a": -1.0, "c": 5.0}, -2.0)
    with pytest.raises(InputError) as caught:
        plan_split(study, mesh, siting, split, YEARS)
    told = " ".join(one.problem for one in caught.value.faults)
    for word in ("'dich'", "no money to 'b'", "-1 EUR to 'a'", "5 EUR to 'c'", "-2 EUR to 'watch'"):
        assert word in told


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"years": np.array([2026, 2028])}, "do not rise by one"),
        ({"years": np.arange(2027, 2031)}, "before 2027"),
        ({"plans": []}, "no plan"),
        ({"index": np.ones(3)}, "has 3 values"),
    ],
)
def test_faults_of_a_case(solved, dated, change, words):
    study, mesh, siting, _ = solved
    with pytest.raises(InputError, match=words):
        prepare_case(study, mesh, siting, **({"plans": [dated], "years": YEARS} | change))


def test_faults_of_a_run(case):
    with pytest.raises(InputError, match="draws"):
        run_draws(case, 1, 0)
    with pytest.raises(InputError, match="workers"):
        run_draws(case, 1, 5, workers=0)
    with pytest.raises(InputError, match="at least 2"):
        rank_inputs(case, 1, 1)


def test_options_that_the_problem_does_not_have_are_named(solved):
    _, _, siting, plan = solved
    other = replace(plan, options=(replace(plan.options[0], option="moat"),))
    with pytest.raises(InputError, match="'moat'"):
        find_options(other, siting.problem)


SURE = """risk,low,mode,high,source,tag
price_level,1,1,1,test,G
slip_years,0,0,0,test,G
land_years,0,0,0,test,G
failure,0,0,0,test,G
left_share,1,1,1,test,G
"""
FUNDS = """line,name,amount_eur,planned,source,tag
ditches,Ditches,9000000.01,true,test,G
blocks,Blocks,3000000.07,true,test,G
locked,Locked,1000000,false,test,G
"""
GROWTH = """measure,years_after,share,source,tag
ditch,0,0.3,test,G
ditch,4,1,test,G
block,0,0.55,test,G
block,2,1,test,G
"""


@pytest.fixture(scope="module")
def sure(solved, tmp_path_factory):
    """A study without any spread: two funds, works of one and a half years, effects that grow."""
    folder = tmp_path_factory.mktemp("sure") / "study"
    shutil.copytree(solved[0].folder, folder)
    tables = folder / "tables"
    text = (tables / "measures.csv").read_text(encoding="utf-8")
    for old, new in (
        ("100000,200000,400000,0.5,1,2,12", "200000.37,200000.37,200000.37,1,1,1,18"),
        ("20000,50000,90000,0.5,1.5,3,3", "50000.11,50000.11,50000.11,1.5,1.5,1.5,3"),
    ):
        assert old in text
        text = text.replace(old, new)
    (tables / "measures.csv").write_text(text, encoding="utf-8")
    given = {
        "risks": SURE,
        "budget": FUNDS,
        "effects": GROWTH,
        "budget_measures": "line,measure,source,tag\nditches,ditch,test,G\nblocks,block,test,G\n",
    }
    for name, content in given.items():
        (tables / f"{name}.csv").write_text(content, encoding="utf-8")
    assert main(["solve", str(folder), "--budget", "12000000", "--time-limit", "2"]) == 0
    assert main(["programme", str(folder), "--time-limit", "3"]) == 0
    return folder


def test_without_spread_every_draw_is_the_schedule_that_the_page_shows(sure, capsys):
    place = sure / "plans" / "base"
    kept = (place / "schedule.json").read_bytes()
    assert main(["risk", str(sure), "--draws", "7", "--workers", "2"]) == 0
    capsys.readouterr()
    assert main(["programme", str(sure), "--time-limit", "3", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (place / "schedule.json").read_bytes() == kept
    works = 0.0
    for year in shown["years"]:
        planned = sum(round(100 * year["planned_eur"][line]) for line in ("ditches", "blocks"))
        for part in ("p10", "p50", "p90"):
            assert round(100 * year[part]["spent_eur"], 4) == planned
            assert year[part]["held_h"] == pytest.approx(year["held_h"], abs=1e-9, rel=0)
        works += planned
    assert works > 5e8
    values = [year["held_h"] for year in shown["years"]]
    assert values[-1] > values[0] and len(set(values)) > 3
    risk = json.loads((place / "risk.json").read_text(encoding="utf-8"))["tables"]
    row = risk["plans"][0]
    assert round(100 * row["cost_p10_eur"], 4) == round(100 * row["cost_p90_eur"], 4) == works
    assert row["late_p50_eur"] == 0
    assert "draws slip and re-cost this very schedule" in (place / "programme.html").read_text("utf-8")


def test_a_schedule_is_kept_until_what_it_rests_on_changes(sure, tmp_path, capsys):
    folder = tmp_path / "study"
    shutil.copytree(sure, folder)
    place = folder / "plans" / "base"
    (place / "risk.json").unlink(missing_ok=True)
    kept = (place / "schedule.json").read_bytes()
    assert main(["programme", str(folder), "--time-limit", "3"]) == 0
    assert (place / "schedule.json").read_bytes() == kept
    assert main(["risk", str(folder), "--draws", "3"]) == 0
    assert (place / "schedule.json").read_bytes() == kept
    programme = make_programme(folder, ProgrammeSettings(time_limit_s=3.0), lambda *_: None)
    assert read_risk(programme)[0] is not None
    again = read_schedule(place)
    assert again is not None
    assert all(
        np.array_equal(getattr(again.schedule, one.name), getattr(programme.schedule, one.name))
        for one in fields(again.schedule)
    )
    (folder / "tables" / "risks.csv").write_text(SURE.replace("0,0,0", "0,0,1"), encoding="utf-8")
    programme = make_programme(folder, ProgrammeSettings(time_limit_s=3.0), lambda *_: None)
    assert (place / "schedule.json").read_bytes() == kept
    rows, why = read_risk(programme)
    assert rows is None and "other risks" in why
    effects = GROWTH.replace("ditch,4", "ditch,5")
    (folder / "tables" / "effects.csv").write_text(effects, encoding="utf-8")
    assert main(["risk", str(folder), "--draws", "3"]) == 0
    assert read_schedule(place).terms_mark != again.terms_mark
    (place / "schedule.json").write_text("{}", encoding="utf-8")
    assert read_schedule(place) is None
    capsys.readouterr()


def test_late_works_stretch_their_payments(solved):
    """A work of two years, 30 and 70, that is a year late: its planned years last a year and a half each."""
    study, mesh, siting, plan = solved
    finish = np.full(len(plan.options), 2027)
    one = date_plan(plan, siting.problem, finish - 1, finish, np.empty(0))
    one = replace(one, options=one.options[:1], start_year=one.start_year[:1], watched=one.watched[:1])
    one = replace(one, finish_year=one.finish_year[:1], paid_eur=np.array([[[30.0, 70.0, 0.0, 0.0, 0.0]]]))
    case = still(prepare_case(study, mesh, siting, [one], YEARS))
    assert run_draws(case, 1, 1).spend_eur[0, 0].tolist() == [30, 70, 0, 0, 0, 0]
    names = {f"slip_years_{key}": (1.0, 1.0, 1.0) for key in ("ditch", "block")}
    late = run_draws(still(case, **names), 1, 1)
    assert late.spend_eur[0, 0] == pytest.approx([20.0, 10 + 70 / 3, 140 / 3, 0, 0, 0], abs=0.01)
    likely = (case.works.pair_units * [study_cost(study, m) for m in named(case)]).sum()
    dear = run_draws(still(case, price_level=(1.5, 1.5, 1.5)), 1, 1)
    extra = 100 * (0.5 * likely) / likely
    assert dear.spend_eur[0, 0].sum() == pytest.approx(100 + extra, abs=0.02)


def named(case):
    return [case.works.measures[m] for m in case.works.pair_measure]


def study_cost(study, measure):
    return float(study.find_row("measures", measure)["unit_cost_eur"])
