"""Hours to clear against a time-expanded network, and streams against counting minute by minute."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from access_cases import make_mesh, make_study
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import maximum_flow

from abatis.model.errors import InputError
from abatis.people.access_ground import prepare_access
from abatis.people.access_terms import read_access_terms
from abatis.people.evacuation import clear_places, measure_clearings
from abatis.people.streams import end_of, join_streams, pass_queue, scale_stream

STEPS_PER_HOUR = 8
VEHICLES_H = 640.0
PERSONS_PER_STEP = int(VEHICLES_H * 2.5 / STEPS_PER_HOUR)


def make_net(tmp_path, monkeypatch, seed: int):
    """A random net of seven cells with whole eighths of an hour; the last cell is safe."""
    random = np.random.default_rng(seed)
    count = 7
    pairs = {(i, i + 1) for i in range(count - 1)}
    while len(pairs) < 10:
        pairs.add(tuple(sorted(random.choice(count, 2, replace=False).tolist())))
    steps = {pair: int(random.integers(1, 5)) for pair in pairs}
    roads = [(a, b, steps[a, b] / STEPS_PER_HOUR, "local") for a, b in sorted(pairs)]
    places = [(f"p{cell}", cell, int(random.integers(1, 9)) * 150, "village") for cell in (0, 1, 3)]
    places += [("clinic", 6, 0, "hospital"), ("crossing", 2, 0, "crossing")]
    study, mesh = make_study(tmp_path, places, monkeypatch, roads), make_mesh(count, roads, safe=[6])
    terms = replace(read_access_terms(study), capacity=np.full(5, VEHICLES_H))
    return prepare_access(study, mesh, terms), study, mesh, steps, places


def find_least_steps(steps, places) -> int:
    """The least whole number of steps in which all can be safe: a copy of every cell for every step."""
    supply = {cell: persons for _, cell, persons, kind in places if kind == "village"}
    total = sum(supply.values())
    for horizon in range(1, 200):
        layers = horizon + 1
        tail, head, room = [], [], []
        source, sink = 7 * layers, 7 * layers + 1
        for now in range(layers):
            for cell in range(7):
                if now + 1 < layers:
                    tail.append(cell * layers + now), head.append(cell * layers + now + 1), room.append(total)
            for (a, b), length in steps.items():
                # Who enters during step `now` (before now + 1) arrives before now + 1 + length.
                if now + length < horizon:
                    for one, other in ((a, b), (b, a)):
                        tail.append(one * layers + now), head.append(other * layers + now + length)
                        room.append(PERSONS_PER_STEP)
            tail.append(6 * layers + now), head.append(sink), room.append(total)
        for cell, persons in supply.items():
            tail.append(source), head.append(cell * layers), room.append(persons)
        size = 7 * layers + 2
        matrix = csr_array(coo_array((np.array(room, np.int32), (tail, head)), shape=(size, size)))
        if maximum_flow(matrix, source, sink).flow_value >= total:
            return horizon
    raise AssertionError("no horizon is enough")


@pytest.mark.parametrize("seed", range(12))
def test_the_true_least_lies_between_bound_and_spread(tmp_path, monkeypatch, seed):
    ground, study, mesh, steps, places = make_net(tmp_path, monkeypatch, seed)
    found = clear_places(study, mesh, ground, np.empty(0, np.int32))
    least = find_least_steps(steps, places) / STEPS_PER_HOUR
    # With whole travel steps a whole horizon is enough in continuous time exactly when it is in steps.
    assert found.bound_h <= least + 1e-9
    assert found.spread_h > least - 1 / STEPS_PER_HOUR
    assert found.bound_h <= found.spread_h <= found.clear_h
    assert measure_clearings(ground, [np.empty(0, np.int32)]) == [(found.clear_h, 0.0)]
    # Nobody is lost on the way.
    assert found.persons == sum(group.persons for group in found.groups)
    assert found.clear_h == pytest.approx(max(group.clear_h for group in found.groups))


@pytest.mark.parametrize("seed", range(6))
def test_many_closings_give_what_each_gives_alone(tmp_path, monkeypatch, seed):
    ground, study, mesh, *_ = make_net(tmp_path, monkeypatch, seed)
    closings = [np.array([link], np.int32) for link in range(ground.graph.link_count)]
    (opened,) = measure_clearings(ground, [np.empty(0, np.int32)])
    slower = 0
    for closed, answer in zip(closings, measure_clearings(ground, closings), strict=True):
        whole = clear_places(study, mesh, ground, closed)
        assert answer == (pytest.approx(whole.clear_h), whole.stranded)
        slower += answer != opened
    assert slower >= 1


def test_bound_and_spread_are_close_on_average(tmp_path, monkeypatch):
    ratios = []
    for seed in range(12):
        ground, study, mesh, *_ = make_net(tmp_path / str(seed), monkeypatch, seed)
        found = clear_places(study, mesh, ground, np.empty(0, np.int32))
        ratios.append(found.spread_h / found.bound_h)
    assert min(ratios) >= 1.0
    assert np.mean(ratios) <= 1.25


def count_persons_in(stream):
    times, rates = stream
    return float(np.diff(times) @ rates)


@pytest.mark.parametrize("seed", range(10))
def test_a_queue_follows_its_formula(seed):
    random = np.random.default_rng(seed)
    times = np.sort(random.uniform(0, 5, 6))
    stream = (times, random.uniform(0, 100, 5))
    stock, rate = float(random.uniform(0, 150)), float(random.uniform(20, 120))
    leaving = pass_queue(stream, stock, rate)
    assert count_persons_in(leaving) == pytest.approx(count_persons_in(stream) + stock)

    def count_by(one, hour, start=0.0):
        steps = np.clip(hour - one[0][:-1], 0, np.diff(one[0]))
        return start + float(steps @ one[1])

    corners = np.concatenate([[0.0], times])
    for hour in np.linspace(0, end_of(leaving) + 1, 40):
        earlier = corners[corners <= hour]
        least = min(count_by(stream, one, stock) + rate * (hour - one) for one in earlier)
        # At hour 0 the stock stands there but nobody has left.
        least = min(least, rate * hour, count_by(stream, hour, stock))
        assert count_by(leaving, hour) == pytest.approx(least, abs=1e-6)


def test_streams_join_and_split_without_losing_anyone():
    one = (np.array([0.0, 1.0, 4.0]), np.array([10.0, 0.0]))
    two = (np.array([3.0, 5.0]), np.array([7.0]))
    both = join_streams([one, two, (np.zeros(1), np.zeros(0))])
    assert count_persons_in(both) == 10 + 14
    assert count_persons_in(scale_stream(both, 0.25)) == 6.0
    assert end_of(join_streams([])) == 0.0


def test_terms_that_cannot_be_are_refused(tmp_path, monkeypatch):
    ground, study, *_ = make_net(tmp_path, monkeypatch, 0)
    with pytest.raises(InputError) as found:
        replace(ground.terms, capacity=np.array([1.0, 1, 1, 0, 1]), persons_per_vehicle=0.0, safe_km=-1.0)
    for text in ("capacity: is 0 vehicles/h", "persons_per_vehicle: is 0", "safe_km: is -1"):
        assert text in str(found.value)
    own = tmp_path / "tables" / "access_terms.csv"
    own.write_text("term,value,unit,meaning,source,tag\npersons_per_vehicle,0,persons,x,t,G\n", "utf-8")
    with pytest.raises(InputError, match=r"access_terms\.csv, value: persons_per_vehicle is 0"):
        read_access_terms(study)
    assert math.isfinite(ground.terms.safe_km)
