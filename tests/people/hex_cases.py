"""Small meshes of real hexagons, drawn by two coordinates: (1, 0) is one step from (0, 0), so is (1, 1).

The six steps are (1, 0), (1, 1), (0, 1) and their opposites. Every cell has 1 km2, every distance 1 km and
every boundary 500 m, all of it open ground.
"""

from __future__ import annotations

from collections.abc import Iterable

import h3.api.basic_int as h3
import numpy as np

from abatis.model.mesh import Mesh
from abatis.model.words import COVER_WORDS

STEPS = ((1, 0), (1, 1), (0, 1), (-1, 0), (-1, -1), (0, -1))
ORIGIN = h3.latlng_to_cell(54.9, 25.0, 8)
Spot = tuple[int, int]


def draw_disk(radius: int) -> list[Spot]:
    """Spots within so many steps of (0, 0)."""
    span = range(-radius, radius + 1)
    return [(i, j) for i in span for j in span if max(abs(i), abs(j), abs(i - j)) <= radius]


def find_cell(spot: Spot) -> int:
    i, j = h3.cell_to_local_ij(ORIGIN, ORIGIN)
    return h3.local_ij_to_cell(ORIGIN, i + spot[0], j + spot[1])


def make_mesh(spots: Iterable[Spot], **changes: np.ndarray) -> tuple[Mesh, dict[Spot, int]]:
    """Mesh of some spots, all cropland without people, and the row of each spot."""
    cells = sorted((find_cell(spot), spot) for spot in spots)
    at = {spot: row for row, (_, spot) in enumerate(cells)}
    count = len(cells)
    neighbor, edge = np.full((count, 6), -1, np.int32), np.full((count, 6), -1, np.int32)
    ends = []
    for (i, j), row in at.items():
        for side, (di, dj) in enumerate(STEPS):
            other = at.get((i + di, j + dj), -1)
            neighbor[row, side] = other
            if other > row:
                edge[row, side] = edge[other, (side + 3) % 6] = len(ends)
                ends.append((row, other))
    centres = np.array([h3.cell_to_latlng(cell) for cell, _ in cells])
    cover = np.zeros((count, len(COVER_WORDS)))
    cover[:, COVER_WORDS.index("cropland")] = 1.0
    soil = np.zeros((count, 4))
    soil[:, 0] = 1.0
    one, none = np.ones(len(ends)), np.full(len(ends), -1, np.int8)
    pairs = np.array(ends, np.int32).reshape(-1, 2)
    values = {
        "cells": np.array([cell for cell, _ in cells], np.uint64), "lon": centres[:, 1], "lat": centres[:, 0],
        "country": np.zeros(count, np.int8), "area_km2": np.ones(count), "cover": cover,
        "slope": np.zeros((count, 5)), "soil": soil, "elevation_m": np.zeros(count),
        "population": np.zeros(count), "protected": np.zeros(count), "border_km": np.ones(count),
        "clay_percent": np.full(count, np.nan), "neighbor": neighbor, "edge": edge, "edge_a": pairs[:, 0],
        "edge_b": pairs[:, 1], "length_m": 500.0 * one, "distance_m": 1000.0 * one, "gap_m": 500.0 * one,
        "road_class": none, "road_m": 0.0 * one, "surface": none, "structure": none,
        "max_weight_t": np.inf * one, "bridge_m": 0.0 * one,
        "river_m": 0.0 * one, "road_name": none, "bridge_name": none,
    }  # fmt: skip
    texts = {
        "road_names": (),
        "bridge_names": (),
        "assumptions": (),
        "study_hash": "",
        "country_codes": ("LT",),
    }
    return Mesh(**{**values, **texts, **changes}), at


def find_edge(mesh: Mesh, at: dict[Spot, int], first: Spot, second: Spot) -> int:
    """Row of the edge between two spots."""
    side = np.flatnonzero(mesh.neighbor[at[first]] == at[second])[0]
    return int(mesh.edge[at[first], side])


def fill(at: dict[Spot, int], values: dict[Spot, float], rest: float = 0.0) -> np.ndarray:
    """One value per cell."""
    return np.array([values.get(spot, rest) for spot in at])


def cover_with(
    mesh_cells: int, at: dict[Spot, int], words: dict[Spot, str], rest: str = "cropland"
) -> np.ndarray:
    """Cover shares: each spot wholly of one cover."""
    cover = np.zeros((mesh_cells, len(COVER_WORDS)))
    for spot, row in at.items():
        cover[row, COVER_WORDS.index(words.get(spot, rest))] = 1.0
    return cover
