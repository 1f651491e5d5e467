"""Sections of roads: chains of edges of one road, cut into pieces of about equal length."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np

from abatis.model.mesh import Mesh

NEAREST_KM = 3.0


def cut_sections(mesh: Mesh, edges: np.ndarray, longest_km: float) -> list[np.ndarray]:
    """Cut roads into sections.

    Parameters
    ----------
    edges : int[], edges with a road.
    longest_km : no section is longer than this, but for a single longer edge.

    Returns
    -------
    Edges of each section in walking order, int32[]; every edge given stands in one section.

    In words: edges of the same class and number that meet end to end form a chain; chains end where more than
    two of them meet. A chain of length L is cut into ceil(L / longest) pieces of about equal length.
    """
    by_road: dict[tuple[int, int], list[int]] = defaultdict(list)
    for edge in np.asarray(edges).tolist():
        by_road[int(mesh.road_class[edge]), int(mesh.road_name[edge])].append(edge)
    sections = []
    for road in sorted(by_road):
        for chain in _list_chains(mesh, by_road[road]):
            km = mesh.road_m[chain].astype(np.float64) / 1000.0
            pieces = max(1, math.ceil(float(km.sum()) / longest_km - 1e-9))
            middle = np.cumsum(km) - km / 2.0
            place = np.minimum((middle / km.sum() * pieces).astype(int), pieces - 1)
            sections += [chain[place == piece] for piece in range(pieces) if (place == piece).any()]
    return sections


def _list_chains(mesh: Mesh, edges: list[int]) -> list[np.ndarray]:
    """Walk the edges of one road from ends and junctions; what is left are rings."""
    at: dict[int, list[int]] = defaultdict(list)
    for edge in edges:
        at[int(mesh.edge_a[edge])].append(edge)
        at[int(mesh.edge_b[edge])].append(edge)
    left = dict.fromkeys(edges)
    chains = []
    starts = [cell for cell in sorted(at) if len(at[cell]) != 2] + sorted(at)
    for cell in starts:
        for first in at[cell]:
            if first not in left:
                continue
            chain, here, edge = [], cell, first
            while True:
                chain.append(edge)
                del left[edge]
                here = int(mesh.edge_a[edge]) + int(mesh.edge_b[edge]) - here
                onward = [one for one in at[here] if one in left]
                if len(at[here]) != 2 or not onward:
                    break
                edge = onward[0]
            chains.append(np.array(chain, np.int32))
    return chains


def find_road_cells(mesh: Mesh, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Return for each place the row of the nearest cell with a road within 3 km, -1 when there is none."""
    used = mesh.road_m > 0
    cells = np.unique(np.concatenate([mesh.edge_a[used], mesh.edge_b[used]]))
    found = np.full(len(lon), -1)
    if not len(cells):
        return found
    for number, (x, y) in enumerate(zip(lon, lat, strict=True)):
        east_km = (mesh.lon[cells] - x) * 111.32 * np.cos(np.radians(y))
        north_km = (mesh.lat[cells] - y) * 110.57 * 1.006
        away_km = np.hypot(east_km, north_km)
        nearest = int(np.argmin(away_km))
        if away_km[nearest] <= NEAREST_KM:
            found[number] = cells[nearest]
    return found
