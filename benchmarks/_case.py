"""A synthetic mesh for the benchmarks: a disc of cells, a smooth friction field, a few roads."""

from __future__ import annotations

from dataclasses import dataclass

import h3.api.basic_int as h3_int
import h3.api.numpy_int as h3_numpy
import numpy as np
from numpy.typing import NDArray

from abatis.ground.hexgrid import build_hexgrid, find_neighbors, number_edges

EDGE_KM = {7: 2.4, 8: 0.92, 9: 0.35}


@dataclass(frozen=True)
class Case:
    """Arrays of a synthetic mesh, with a front along its eastern rim and objectives inside."""

    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    neighbor: NDArray[np.int32]
    edge: NDArray[np.int32]
    edge_a: NDArray[np.int32]
    edge_b: NDArray[np.int32]
    time_h: NDArray[np.float64]
    front: NDArray[np.int32]
    objectives: NDArray[np.int32]

    @property
    def cell_count(self) -> int:
        """Number of cells."""
        return len(self.lon)

    @property
    def edge_count(self) -> int:
        """Number of edges."""
        return len(self.edge_a)


def make_case(resolution: int, radius: int, seed: int = 7) -> Case:
    """Build the disc around 24 E 55 N with the given radius in cells."""
    random = np.random.default_rng(seed)
    cells = np.sort(h3_numpy.grid_disk(h3_int.latlng_to_cell(55.0, 24.0, resolution), radius))
    grid = build_hexgrid(cells)
    neighbor = find_neighbors(grid)
    edge, edge_a, edge_b = number_edges(neighbor)
    x_km = (grid.lon - 24.0) * 111.32 * np.cos(np.radians(55.0))
    y_km = (grid.lat - 55.0) * 111.32
    friction = np.zeros(len(cells))
    for length_km in (60.0, 25.0, 8.0, 3.0):
        for _ in range(6):
            turn, phase = random.uniform(0, 2 * np.pi, 2)
            wave = (x_km * np.cos(turn) + y_km * np.sin(turn)) * 2 * np.pi / length_km
            friction += 0.22 * np.sin(wave + phase)
    friction += 0.25 * random.standard_normal(len(cells))
    speed_kmh = 14.0 * np.exp(-friction)
    speed_kmh[random.random(len(cells)) < 0.03] = 0.0
    step_km = np.hypot(x_km[edge_a] - x_km[edge_b], y_km[edge_a] - y_km[edge_b])
    with np.errstate(divide="ignore"):
        time_h = step_km / 2 * (1 / speed_kmh[edge_a] + 1 / speed_kmh[edge_b]) / 1.103
    for _ in range(12):
        turn, away = random.uniform(0, np.pi), random.uniform(-0.6, 0.6) * x_km.max()
        apart = x_km * np.sin(turn) - y_km * np.cos(turn) + 6 * np.sin(0.05 * (x_km + y_km)) - away
        on_road = np.abs(apart) < 0.6 * EDGE_KM[resolution]
        both = on_road[edge_a] & on_road[edge_b]
        time_h[both] = np.minimum(time_h[both], 1.15 * step_km[both] / 55.0)
    rim = (neighbor < 0).any(axis=1)
    front = np.flatnonzero(rim & (x_km > 0.6 * x_km.max()) & (speed_kmh > 0)).astype(np.int32)
    wanted = [(-0.5, 0.1), (0.2, 0.3), (0.0, -0.5), (0.55, 0.0)]
    size = x_km.max()
    open_cells = np.flatnonzero(speed_kmh > 0)
    objectives = [
        open_cells[np.argmin(np.hypot(x_km[open_cells] - a * size, y_km[open_cells] - b * size))]
        for a, b in wanted
    ]
    return Case(
        grid.lon,
        grid.lat,
        neighbor,
        edge,
        edge_a,
        edge_b,
        time_h,
        front,
        np.array(objectives, dtype=np.int32),
    )


def cut_line(case: Case, cell: int, turn: float, half_km: float) -> NDArray[np.int64]:
    """Return the chain of open edges across a straight line through a cell, so far to both sides."""
    x = (case.lon - case.lon[cell]) * 111.32 * np.cos(np.radians(55.0))
    y = (case.lat - case.lat[cell]) * 111.32
    side = x * np.sin(turn) - y * np.cos(turn) > 0.0
    along = x * np.cos(turn) + y * np.sin(turn)
    crossed = side[case.edge_a] != side[case.edge_b]
    middle = (along[case.edge_a] + along[case.edge_b]) / 2
    return np.flatnonzero(crossed & (np.abs(middle) < half_km) & np.isfinite(case.time_h))
