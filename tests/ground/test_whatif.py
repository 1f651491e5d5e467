"""What-if answers equal full searches, in every regime."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abatis.ground.travel import compute_times, list_edges
from abatis.ground.whatif import WhatIf, prepare_whatif
from abatis.model.errors import InputError
from abatis.model.mesh import Mesh

sys.path.insert(0, str(Path(__file__).parent))
from ground_cases import cut_through, draw_times, make_disc

DISCS = {radius: make_disc(radius) for radius in (3, 12, 40)}
# Meshes with holes, as lakes or a ragged border make them.
DISCS |= {-radius: make_disc(radius, holes=0.25) for radius in (4, 12)}


def pick_ends(mesh: Mesh, random: np.random.Generator) -> tuple[np.ndarray, int]:
    rim = np.flatnonzero((mesh.neighbor < 0).any(axis=1))
    turn = random.uniform(0, 2 * np.pi)
    side = (mesh.lon - 24.0) / np.ptp(mesh.lon) * np.cos(turn) + (mesh.lat - 55.0) / np.ptp(
        mesh.lat
    ) * np.sin(turn)
    front = rim[side[rim] > 0.25]
    inner = np.flatnonzero(side < 0.2)
    return front, int(random.choice(inner))


def run_fully(mesh: Mesh, time_h: np.ndarray, front: np.ndarray, objective: int) -> float:
    return float(compute_times(mesh, time_h, np.array([objective]))[front].min())


def check_equal(found: float, expected: float) -> None:
    assert found == pytest.approx(expected, rel=1e-12) or (np.isinf(found) and np.isinf(expected))


def draw_case(radius: int, seed: int) -> tuple[Mesh, np.random.Generator, WhatIf]:
    mesh = DISCS[radius]
    random = np.random.default_rng(seed)
    front, objective = pick_ends(mesh, random)
    base = draw_times(mesh, random, closed=random.choice([0.0, 0.1, 0.3]))
    return mesh, random, prepare_whatif(mesh, base, front, objective)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 100_000),
    radius=st.sampled_from([3, 12, -4, -12]),
    delay_h=st.sampled_from([0.01, 0.1, 0.5, 3.0, 30.0, np.inf]),
    share=st.floats(0.05, 1.0),
    lines=st.integers(1, 3),
)
def test_switching_on_and_off_is_exact(
    seed: int, radius: int, delay_h: float, share: float, lines: int
) -> None:
    mesh, random, now = draw_case(radius, seed)
    changed = np.unique(np.concatenate([cut_through(mesh, random, share) for _ in range(lines)]))
    slow = now.time_h[changed] + delay_h
    kept = now.time_h.copy()
    found = now.query(changed, slow)
    assert (now.time_h == kept).all()
    assert found >= now.arrival_h * (1 - 1e-12), "a barrier never shortens a time"
    full = kept.copy()
    full[changed] = slow
    expected = run_fully(mesh, full, now.front, now.objective)
    check_equal(found, expected)
    on = now.apply(changed, slow)
    check_equal(on.arrival_h, expected)
    check_equal(on.query(changed, kept[changed]), now.arrival_h)
    off = on.apply(changed, kept[changed])
    assert (off.to_objective.times == now.to_objective.times).all()
    assert (off.from_front.times == now.from_front.times).all()
    assert (now.workspace.place == -1).all() and np.isinf(now.workspace.cost).all()


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 100_000),
    radius=st.sampled_from([3, 12, -4, -12]),
    delay_h=st.sampled_from([0.1, 1.0, 10.0]),
)
def test_any_changes_are_exact(seed: int, radius: int, delay_h: float) -> None:
    """Slower and faster together, scattered edges and lines, several in a row."""
    mesh, random, now = draw_case(radius, seed)
    for _ in range(4):
        parts = [cut_through(mesh, random, random.uniform(0.05, 0.6)), cut_through(mesh, random, 0.3)]
        parts.append(random.integers(0, mesh.edge_count, int(random.integers(1, 12))))
        changed = np.unique(np.concatenate(parts))
        new = now.time_h[changed] * 1.0
        kind = random.random(changed.size)
        new[kind < 0.4] += delay_h
        new[kind > 0.7] = np.minimum(new[kind > 0.7], 50.0) * random.uniform(0.05, 1.0)
        full = now.time_h.copy()
        full[changed] = new
        expected = run_fully(mesh, full, now.front, now.objective)
        check_equal(now.query(changed, new), expected)
        now = now.apply(changed, new)
        check_equal(now.arrival_h, expected)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 100_000))
def test_only_faster_edges_are_exact(seed: int) -> None:
    """Scattered faster edges invite ways over many of them at once."""
    mesh, random, now = draw_case(12, seed)
    changed = np.unique(random.integers(0, mesh.edge_count, int(random.integers(1, 120))))
    new = np.minimum(now.time_h[changed], 5.0) * random.uniform(0.001, 1.0, changed.size)
    full = now.time_h.copy()
    full[changed] = new
    check_equal(now.query(changed, new), run_fully(mesh, full, now.front, now.objective))


def test_three_echelons_on_a_short_approach() -> None:
    """Delays many times the undelayed time, switched on one after the other and off again."""
    mesh = DISCS[40]
    random = np.random.default_rng(9)
    time_h = draw_times(mesh, random, 0.05)
    front = np.flatnonzero((mesh.neighbor < 0).any(axis=1) & (mesh.lon > 24.0))
    objective = int(np.argmin(np.hypot(mesh.lon - 24.0, mesh.lat - 55.0)))
    base = now = prepare_whatif(mesh, time_h, front, objective)
    far = np.hypot((mesh.lon - 24.0) * np.cos(np.radians(55.0)), mesh.lat - 55.0) * 111.0
    rings = [np.flatnonzero((far[mesh.edge_a] > km) != (far[mesh.edge_b] > km)) for km in (8.0, 15.0, 22.0)]
    for ring in rings:
        slow = now.time_h[ring] + 10.0
        expected = run_fully(mesh, replace(now.time_h, ring, slow), front, objective)
        check_equal(now.query(ring, slow), expected)
        now = now.apply(ring, slow)
    assert now.arrival_h > base.arrival_h + 30.0 - 1e-9
    for ring in rings:
        half = ring[: len(ring) // 2]
        expected = run_fully(mesh, replace(now.time_h, half, time_h[half]), front, objective)
        check_equal(now.query(half, time_h[half]), expected)
        now = now.apply(ring, time_h[ring])
    assert now.arrival_h == base.arrival_h


def replace(time_h: np.ndarray, edges: np.ndarray, new: np.ndarray) -> np.ndarray:
    out = time_h.copy()
    out[edges] = new
    return out


def test_by_hand() -> None:
    """One ring of cells: the way round the other side takes over when one side is closed."""
    mesh = make_disc(1)
    time_h = np.full(mesh.edge_count, np.inf)
    middle = int(np.flatnonzero((mesh.neighbor >= 0).all(axis=1))[0])
    ring = [int(cell) for cell in mesh.neighbor[middle]]
    for step in range(6):
        a, b = ring[step], ring[(step + 1) % 6]
        time_h[mesh.edge[a][mesh.neighbor[a] == b]] = 1.0 if step < 3 else 2.0
    now = prepare_whatif(mesh, time_h, np.array([ring[0]]), ring[3])
    assert now.arrival_h == 3.0
    assert now.find_route().tolist() == ring[:4]
    cut = list_edges(mesh, np.array(ring[1:3]))
    assert now.query(cut, np.array([3.5])) == 5.5
    assert now.query(cut, np.array([np.inf])) == 6.0
    assert now.query(cut, np.array([0.25])) == 2.25
    both = np.array([cut[0], list_edges(mesh, np.array(ring[4:]))[0]])
    assert now.query(both, np.array([np.inf, np.inf])) == np.inf
    assert now.query(both, np.array([np.inf, 1.5])) == 5.5
    assert now.query(np.array([], dtype=int), np.array([])) == 3.0


def test_faults() -> None:
    mesh = DISCS[3]
    time_h = np.ones(mesh.edge_count)
    now = prepare_whatif(mesh, time_h, np.array([0]), 5)
    with pytest.raises(InputError, match="2 edges but 1 times"):
        now.query(np.array([0, 1]), np.array([1.0]))
    with pytest.raises(InputError, match="outside"):
        now.query(np.array([mesh.edge_count]), np.array([1.0]))
    with pytest.raises(InputError, match="no valid time"):
        now.query(np.array([0]), np.array([0.0]))
    with pytest.raises(InputError, match="no cell"):
        prepare_whatif(mesh, time_h, np.array([], dtype=int), 5)
    with pytest.raises(InputError, match="no way"):
        prepare_whatif(mesh, time_h * np.inf, np.array([0]), 5).find_route()
    # 17 bytes per cell and field with its forest, 8 per edge, 4 for each end.
    assert now.count_bytes() == mesh.cell_count * 2 * (8 + 1 + 4 + 4) + mesh.edge_count * 8 + 4
