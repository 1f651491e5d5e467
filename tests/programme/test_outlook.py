"""What is told of draws: bands, the worst share, the reference class, which input to look into first."""

import numpy as np
import pytest

from abatis.programme.outlook import compute_uplift, compute_worst_mean, find_band, read_reference_class
from abatis.programme.sensitivity import InputShare, tell_first


def test_bands_and_the_worst_share():
    values = np.random.default_rng(1).normal(size=1000)
    band = find_band(values)
    assert np.mean(values <= band.p10) == 0.1
    assert np.mean(values <= band.p90) == 0.9
    assert compute_worst_mean(values) == pytest.approx(np.sort(values)[:100].mean())
    ends = np.linspace(values.min(), values.max(), 20_001)
    formula = max(e - np.maximum(e - values[:25], 0).mean() / 0.1 for e in ends)
    assert compute_worst_mean(values[:25]) == pytest.approx(formula, abs=1e-3)


def test_reference_class_carries_sources_and_uplifts_rise():
    cases = read_reference_class()
    assert len(cases) >= 5
    assert all(one.source and one.tag in ("F", "F-", "D", "G") and one.ratio > 1 for one in cases)
    ratios = [one.ratio for one in cases]
    assert compute_uplift(ratios, 0.5) <= compute_uplift(ratios, 0.8) <= max(ratios)


def test_inputs_level_within_their_error_are_named():
    def make(group, total):
        return InputShare("cost_eur", group, 0.0, 0.0, total, 0.1, (group,), ("G",))

    sentence = tell_first((make("a", 0.5), make("b", 0.4), make("c", 0.2), make("luck", 0.6)), "cost_eur")
    assert sentence.startswith("Research a first")
    assert "Within the error b may matter as much" in sentence
