"""Draws: distributions, correlations, streams that do not depend on what else is drawn, named faults."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from abatis.model.errors import InputError
from abatis.model.study import read_study
from abatis.programme.draws import (
    Quantity,
    RiskInputs,
    build_correlation,
    collect_inputs,
    draw_seasons,
    draw_uniforms,
    draw_values,
    invert_distribution,
)
from abatis.show.new import write_study


@pytest.fixture
def folder(tmp_path):
    write_study(tmp_path / "study", "", "", ())
    return tmp_path / "study"


def write_rows(folder, name, header, rows):
    (folder / "tables" / name).write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def make_inputs(correlation, shape="pert"):
    quantities = tuple(Quantity(f"cost:M{i}", 1.0, 2.0, 5.0, "", "G") for i in range(len(correlation)))
    return RiskInputs(quantities, np.array(correlation, float), shape, (), ())


def test_pert_has_its_mean_and_bounds():
    drawn = draw_values(make_inputs(np.eye(1)), 3, 0, 20_000)[:, 0]
    assert drawn.min() >= 1 and drawn.max() <= 5
    assert drawn.mean() == pytest.approx((1 + 4 * 2 + 5) / 6, abs=0.02)
    a, b = 1 + 4 * 0.25, 1 + 4 * 0.75
    assert stats.kstest((drawn - 1) / 4, stats.beta(a, b).cdf).pvalue > 0.001


def test_triangle_is_that_of_scipy():
    chance = np.linspace(0, 1, 101)
    expected = stats.triang(0.25, loc=1, scale=4).ppf(chance)
    assert invert_distribution(chance, 1.0, 2.0, 5.0, "triangular") == pytest.approx(expected)


def test_a_value_without_spread_is_itself():
    assert (invert_distribution(np.array([0.1, 0.9]), 2.0, 2.0, 2.0) == 2.0).all()


def test_draws_do_not_depend_on_blocks_or_neighbours():
    keys = ["cost:M1", "delay:M1", "luck:x"]
    whole = draw_uniforms(keys, 7, 0, 103)
    parts = np.concatenate([draw_uniforms(keys, 7, first, 1) for first in range(103)])
    assert (whole == parts).all()
    assert (draw_uniforms(["luck:x"], 7, 5, 9)[:, 0] == whole[5:14, 2]).all()
    assert not (draw_uniforms(keys, 8, 0, 103) == whole).any()
    assert stats.kstest(draw_uniforms(["a"], 1, 0, 5000)[:, 0], "uniform").pvalue > 0.001


def test_correlated_values_do_not_depend_on_blocks():
    inputs = make_inputs([[1, 0.6, 0], [0.6, 1, -0.3], [0, -0.3, 1]])
    whole = draw_values(inputs, 1, 0, 50)
    parts = np.concatenate([draw_values(inputs, 1, first, 7) for first in range(0, 49, 7)])
    assert (whole[:49] == parts).all()


def test_correlation_is_met_and_leaves_each_distribution_alone():
    inputs = make_inputs([[1, 0.7, 0], [0.7, 1, 0], [0, 0, 1]])
    drawn = draw_values(inputs, 5, 0, 20_000)
    ranks = stats.spearmanr(drawn).statistic
    expected = 6 / np.pi * np.arcsin(0.7 / 2)  # rank correlation of a Gaussian copula
    assert ranks[0, 1] == pytest.approx(expected, abs=0.02)
    assert abs(ranks[0, 2]) < 0.02
    assert (drawn[:, 2] == draw_values(make_inputs(np.eye(3)), 5, 0, 20_000)[:, 2]).all()
    assert stats.kstest((drawn[:, 1] - 1) / 4, stats.beta(2, 4).cdf).pvalue > 0.001


def test_full_correlation_moves_inputs_together():
    drawn = draw_values(make_inputs(np.ones((3, 3))), 5, 0, 200)
    assert drawn[:, 1] == pytest.approx(drawn[:, 0])
    assert drawn[:, 2] == pytest.approx(drawn[:, 0])


def correlate(rows, keys=("cost:M1", "cost:M2", "cost:M3", "delay:M1")):
    table = pd.DataFrame(rows, columns=["a", "b", "correlation"], index=range(2, 2 + len(rows)))
    return build_correlation(table, keys)


def test_an_exact_pair_goes_before_its_family():
    matrix, faults = correlate([("cost:M1", "cost:M2", 0.9), ("cost", "cost", 0.5), ("cost", "delay", 0.2)])
    assert not faults
    assert matrix.tolist() == [
        [1, 0.9, 0.5, 0.2],
        [0.9, 1, 0.5, 0.2],
        [0.5, 0.5, 1, 0.2],
        [0.2, 0.2, 0.2, 1],
    ]


def test_correlations_that_cannot_be_are_named():
    _, faults = correlate(
        [("cost:M1", "cost:M2", -0.9), ("cost:M1", "cost:M3", -0.9), ("cost:M2", "cost:M3", -0.9)]
    )
    assert len(faults) == 1
    assert "not positive semi-definite" in faults[0].problem
    assert "cost:M1, cost:M2, cost:M3" in faults[0].problem


def test_unknown_and_repeated_correlations_are_named():
    _, faults = correlate([("cost:M9", "delay", 0.1), ("cost", "delay", 0.1), ("delay", "cost", 0.2)])
    assert [(one.row, one.column) for one in faults] == [(2, "a"), (4, "a")]


def test_no_draws_are_refused():
    with pytest.raises(InputError, match="at least 1 draw"):
        draw_values(make_inputs(np.eye(1)), 1, 0, 0)


def test_inputs_of_a_study_with_defaults(folder):
    study = read_study(folder)
    inputs = collect_inputs(study)
    assert {"cost:ditch", "delay:block", "slip_years:ditch", "failure:block", "price_level"} <= set(
        inputs.keys
    )
    assert not any(key.startswith("speed:") for key in inputs.keys)
    assert any("independently" in note for note in inputs.notes)
    speeds = [key for key in collect_inputs(study, with_speeds=True).keys if key.startswith("speed:")]
    assert len(speeds) == len(study.tables["speeds"])


def test_tables_of_risks_are_read(folder):
    write_rows(
        folder,
        "risks.csv",
        "risk,low,mode,high,source,tag",
        [
            "price_level,1,1.1,1.5,invented,G",
            "slip_years:ditch,0,1,3,invented,G",
            "season:dry,0,0.75,1,invented,G",
            "season:mud,0,0.25,1,invented,G",
        ],
    )
    write_rows(folder, "risk_correlations.csv", "a,b,correlation,source,tag", ["cost,cost,0.5,invented,G"])
    inputs = collect_inputs(read_study(folder))
    of = {one.key: one for one in inputs.quantities}
    assert (of["price_level"].high, of["slip_years:ditch"].high, of["slip_years:block"].high) == (1.5, 3, 1)
    assert inputs.season_share == (("dry", 0.75), ("mud", 0.25))
    assert inputs.correlation[inputs.keys.index("cost:ditch"), inputs.keys.index("cost:block")] == 0.5
    seasons = draw_seasons(inputs, 1, 0, 4000)
    assert np.mean(seasons == 0) == pytest.approx(0.75, abs=0.03)
    assert set(seasons) == {0, 1}


def test_all_faults_of_the_tables_at_once(folder):
    write_rows(
        folder,
        "risks.csv",
        "risk,low,mode,high,source,tag",
        [
            "price_level,1.2,1.1,1.5,invented,G",
            "slip_yaers,0,0,1,invented,G",
            "failure,0,0.5,1.5,invented,G",
            "season:dry,0,0.5,1,invented,G",
            "land_years,0,1,2,invented,G",
            "land_years,0,1,2,invented,G",
        ],
    )
    write_rows(folder, "risk_correlations.csv", "a,b,correlation,source,tag", ["cots,delay,0.5,invented,G"])
    with pytest.raises(InputError) as caught:
        collect_inputs(read_study(folder))
    told = [(one.row, one.problem) for one in caught.value.faults]
    assert (2, "low, mode, high do not rise") in told
    assert (3, "'slip_yaers' is not a risk") in told
    assert (4, "is 1.5") in told
    assert (7, "'land_years' stands twice") in told
    assert (None, "season shares add up to 0.5") in told
    assert (2, "'cots' is not an uncertain input") in told
    assert len(told) == 6


def test_low_above_high_in_the_catalogue_is_a_fault(folder):
    path = folder / "tables" / "measures.csv"
    path.write_text(path.read_text("utf-8").replace("0.5,1,2,12", "3,1,2,12"), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_study(folder)
    assert "do not rise" in caught.value.faults[0].problem


def test_unknown_shape_is_a_fault(folder):
    with pytest.raises(InputError, match="is no shape"):
        collect_inputs(read_study(folder), shape="bell")
