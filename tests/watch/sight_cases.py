"""Reliefs and a plain sight-line oracle in Python for the tests of the watch."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

EARTH_M = 6_378_137.0


def make_hills(rows: int, columns: int, seed: int, rough_m: float = 40.0) -> np.ndarray:
    """Hills of several sizes, float32."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:rows, :columns]
    height = np.full((rows, columns), 100.0)
    for _ in range(12):
        length = random.uniform(3, max(rows, columns))
        angle, phase = random.uniform(0, 2 * math.pi, 2)
        wave = np.sin((x * math.cos(angle) + y * math.sin(angle)) * 2 * math.pi / length + phase)
        height += wave * rough_m * length / max(rows, columns)
    return (height + random.normal(0, rough_m / 40, height.shape)).astype(np.float32)


def see_cell(surface, ground, sizes, post, cell, target_m=0.0, refraction=1 / 7):
    """Whether one target is seen: profile points by whole fractions, heights by plain arithmetic."""
    row, column, eye_above_m = post
    width_m, height_m = sizes
    curve = (1 - refraction) / (2 * EARTH_M)
    down, right = cell[0] - row, cell[1] - column
    steps = max(abs(down), abs(right))
    if steps == 0:
        return True
    eye = float(ground[row, column]) + eye_above_m
    top = float(ground[cell]) + target_m
    if top < float(surface[cell]):
        return False
    length = math.hypot(down * height_m, right * width_m)
    seen_at = top - curve * length**2
    for step in range(1, steps):
        part = Fraction(step, steps)
        y, x = row + down * part, column + right * part
        r, c = math.floor(y), math.floor(x)
        near = float(surface[r, c])
        if y != r:
            near += float(y - r) * (float(surface[r + 1, c]) - near)
        elif x != c:
            near += float(x - c) * (float(surface[r, c + 1]) - near)
        line = eye + (seen_at - eye) * float(part)
        if near - curve * (length * float(part)) ** 2 > line + 1e-6:
            return False
    return True


def see_all(surface, ground, sizes, post, target_m=0.0, refraction=1 / 7):
    """Which cells are seen, bool[rows, columns]."""
    return np.array(
        [
            [
                see_cell(surface, ground, sizes, post, (r, c), target_m, refraction)
                for c in range(surface.shape[1])
            ]
            for r in range(surface.shape[0])
        ]
    )
