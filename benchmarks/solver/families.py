"""Published and geographic families of interdiction problems, each made from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from abatis.barrier.textbook import make_textbook_problem
from abatis.model.plan import Problem


@dataclass(frozen=True)
class Instance:
    """One problem with its budget; `name` says family, sizes and budget, `seed` the rest."""

    name: str
    seed: int
    problem: Problem
    budget: float


def make_wood(
    rows: int, columns: int, most_cost: int, most_delay: int, most_resource: int, budget: float, seed: int
) -> Instance:
    """Make a Wood grid: arcs to the right, up and down, whole numbers drawn evenly from 1.

    From (r, c) arcs lead to (r-1, c+1), (r, c+1), (r+1, c+1), and in the inner columns to (r-1, c) and
    (r+1, c). The source leads to the whole first column and the last column to the target, in no time and for
    good. Source: Israeli and Wood (2002).
    """
    random = np.random.default_rng(seed)
    r, c = (one.ravel() for one in np.mgrid[0:rows, 0:columns])
    tails, heads = [], []
    for step_r, step_c in ((0, 1), (-1, 1), (1, 1), (-1, 0), (1, 0)):
        inner = (c < columns - 1) if step_c else (c > 0) & (c < columns - 1)
        kept = inner & (r + step_r >= 0) & (r + step_r < rows)
        tails.append((r * columns + c)[kept])
        heads.append(((r + step_r) * columns + c + step_c)[kept])
    problem = _close_grid(tails, heads, rows, columns, (most_cost, most_delay, most_resource), random)
    size = f"{rows}" if rows == columns else f"{rows}x{columns}"
    resource = "" if most_resource == 1 else f"_r{most_resource}"
    return Instance(f"wood_{size}_{most_cost}_{most_delay}{resource}_B{budget:g}", seed, problem, budget)


def make_matta(size: int, budget: float, seed: int) -> Instance:
    """Make a Matta grid: arcs to the right and down, costs and delays 1 to 10, unit resource.

    Source: the family of Matta, Liu and Safro (2023).
    """
    random = np.random.default_rng(seed)
    r, c = (one.ravel() for one in np.mgrid[0:size, 0:size])
    tails, heads = [], []
    for step_r, step_c in ((0, 1), (1, 0)):
        kept = (r + step_r < size) & (c + step_c < size)
        tails.append((r * size + c)[kept])
        heads.append(((r + step_r) * size + c + step_c)[kept])
    problem = _close_grid(tails, heads, size, size, (10, 10, 1), random)
    return Instance(f"matta_{size}_B{budget:g}", seed, problem, budget)


def _close_grid(
    tails: list[np.ndarray],
    heads: list[np.ndarray],
    rows: int,
    columns: int,
    most: tuple[int, int, int],
    random: np.random.Generator,
) -> Problem:
    """Draw cost, delay and resource of the inner arcs, and join source and target to the outer columns."""
    inner = sum(len(one) for one in tails)
    cost, delay, resource = (random.integers(1, top + 1, inner).astype(float) for top in most)
    source, target = rows * columns, rows * columns + 1
    left = np.arange(rows) * columns
    none = np.zeros(2 * rows)
    return make_textbook_problem(
        np.concatenate([*tails, np.full(rows, source), left + columns - 1]),
        np.concatenate([*heads, left, np.full(rows, target)]),
        np.append(cost, none),
        np.append(delay, none),
        np.append(resource, none),
        source,
        target,
    )


SIDE_KM = 200.0
SPEED_KMH = 30.0
GOALS = ((0.15, 0.5), (0.3, 0.2), (0.35, 0.8), (0.5, 0.35), (0.5, 0.65))
WEIGHTS = (0.4, 0.15, 0.2, 0.1, 0.15)


def make_geographic(
    size: int, candidates: int, budget_share: float, seed: int, lines: int = 3, waves: int = 40
) -> Instance:
    """Make a geographic problem: a hexagonal mesh of size x size cells over 200 km, with closing lines.

    Speeds follow a smooth log-normal friction field that depends on the seed alone, not on `size`. Each of
    the north-south lines in the eastern third is cut into equal sites; a site delays every edge it closes by
    0.7 to 3 h and costs its length times 0.5 to 1.5. Five weighted approaches lead from the eastern rim to
    five places. The budget is a share of the cost of all sites.
    """
    random = np.random.default_rng(seed)
    x_km, y_km, tail, head = _make_hexagons(size)
    hours = _draw_speeds(x_km, y_km, tail, head, np.random.default_rng(12345 + seed), waves)
    shares = (0.70, 0.80, 0.90) if lines == 3 else tuple(np.linspace(0.62, 0.96, lines))
    names, cost, delay, members = [], [], [], []
    for line, share in enumerate(shares):
        across = np.flatnonzero((x_km[tail] < share * SIDE_KM) != (x_km[head] < share * SIDE_KM))
        middle = (y_km[tail[across]] + y_km[head[across]]) / 2 / (y_km.max() + 1e-9)
        per = candidates // lines
        place = np.minimum((middle * per).astype(int), per - 1)
        for one in np.unique(place):
            names.append(f"line {line + 1} part {one + 1}")
            cost.append(SIDE_KM / per * random.uniform(0.5, 1.5))
            delay.append(random.uniform(0.7, 3.0))
            members.append(across[place == one])
    sizes = np.array([len(one) for one in members])
    targets = tuple(
        np.array([np.argmin((x_km - a * SIDE_KM) ** 2 + (y_km - b * y_km.max()) ** 2)], np.int32)
        for a, b in GOALS
    )
    front = np.flatnonzero(np.arange(size * size) % size == size - 1).astype(np.int32)
    keys = tuple(f"approach {k + 1}" for k in range(len(GOALS)))
    problem = Problem(
        node_count=size * size,
        tail=tail,
        head=head,
        directed=False,
        open_h=hours[None, :],
        road_h=np.full((1, len(tail)), np.inf),
        approach_keys=keys,
        approach_names=keys,
        approach_group=np.zeros(len(GOALS), np.int32),
        approach_weight=np.array(WEIGHTS),
        approach_sources=(front,) * len(GOALS),
        approach_targets=targets,
        site_keys=tuple(names),
        site_names=tuple(names),
        option_keys=tuple(names),
        option_site=np.arange(len(names), dtype=np.int32),
        option_cost_eur=np.array(cost),
        option_start=np.append(0, np.cumsum(sizes)).astype(np.int64),
        option_edge=np.concatenate(members).astype(np.int32),
        option_open_h=np.repeat(delay, sizes),
        option_road_h=np.zeros(int(sizes.sum())),
        rules=(),
        least_hours={},
        least_hours_names={},
        objective="sum",
    )
    name = f"geographic_{size}_{candidates}_{budget_share:.0%}"
    return Instance(name, seed, problem, budget_share * float(np.sum(cost)))


def _make_hexagons(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Centres in km and the edges of a mesh whose odd rows are shifted by half a cell."""
    step_km = SIDE_KM / size
    row, column = np.mgrid[0:size, 0:size]
    x_km, y_km = (column + 0.5 * (row % 2)) * step_km, row * step_km
    tails, heads = [], []
    for down, even, odd in ((0, 1, 1), (1, 0, 1), (1, -1, 0)):
        for parity, aside in enumerate((even, odd)):
            to_row, to_column = row + down, column + aside
            kept = (row % 2 == parity) & (to_row < size) & (to_column >= 0) & (to_column < size)
            tails.append((row * size + column)[kept])
            heads.append((to_row * size + to_column)[kept])
    tail, head = np.concatenate(tails).astype(np.int32), np.concatenate(heads).astype(np.int32)
    return x_km.ravel(), y_km.ravel(), tail, head


def _draw_speeds(
    x_km: np.ndarray,
    y_km: np.ndarray,
    tail: np.ndarray,
    head: np.ndarray,
    random: np.random.Generator,
    waves: int,
) -> np.ndarray:
    """Hours to cross every edge: half the step at the speed of either end."""
    turn_x, turn_y = random.normal(0, 2 / 25, waves), random.normal(0, 2 / 25, waves)
    phase = random.uniform(0, 2 * np.pi, waves)
    sum_of_waves = np.zeros(len(x_km))
    for a, b, c in zip(turn_x, turn_y, phase, strict=True):
        sum_of_waves += np.cos(a * x_km + b * y_km + c)
    friction = np.exp(0.6 * np.sqrt(2 / waves) * sum_of_waves)
    step_km = SIDE_KM / round(len(x_km) ** 0.5)
    pace = friction / SPEED_KMH
    return step_km / 2 * (pace[tail] + pace[head])
