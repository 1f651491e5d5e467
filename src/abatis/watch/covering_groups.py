"""Points seen by the same sites become one group: exact, in one pass over the lists, without hashing."""

from __future__ import annotations

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from abatis.watch._covering import (
    Pieces,
    find_dominated,
    list_kinds,
    refine_points,
    transpose_lists,
)

POINTS_PER_PART = 250_000
MOST_PARTS = 64


class Lists(NamedTuple):
    """Sets of points by site: `point[start[j]:start[j + 1]]` is what site j sees."""

    start: np.ndarray
    point: np.ndarray
    rising: bool


class Rows(NamedTuple):
    """Groups by row: weight, need, and the sites `site[start[g]:start[g + 1]]` in rising order."""

    weight: np.ndarray
    need: np.ndarray
    start: np.ndarray
    site: np.ndarray


def find_need(lists: Lists, taken: np.ndarray, times: int, point_count: int) -> np.ndarray:
    """How many more sites each point needs beside those taken, int8[m].

    Examples
    --------
    >>> lists = Lists(np.array([0, 2, 3]), np.array([0, 1, 1], np.int32), True)
    >>> find_need(lists, np.array([True, False]), 2, 3)
    array([1, 1, 2], dtype=int8)
    """
    need = np.full(point_count, times, np.int8)
    for site in np.flatnonzero(taken):
        # One step for each site: a point listed twice by a site is still seen once.
        seen = lists.point[lists.start[site] : lists.start[site + 1]]
        need[seen] = np.maximum(need[seen] - 1, 0)
    return need


def group_points(weight: np.ndarray, need: np.ndarray, lists: Lists, sites: np.ndarray) -> Rows:
    """Put points with the same need, seen by the same of `sites`, into one group with their weight.

    In words: the points are split by one site after another, those it sees from those it does not; what is
    left together at the end is seen by the same sites. Points are cut into parts that are split side by side,
    and the groups of the parts, few by then, are split again as if they were points. Groups of no weight, no
    need or too few sites are left out. Sites keep their numbers.

    Examples
    --------
    >>> lists = Lists(np.array([0, 3, 5]), np.array([0, 1, 2, 1, 2], np.int32), True)
    >>> rows = group_points(np.ones(4), np.ones(4, np.int8), lists, np.array([0, 1], np.int32))
    >>> rows.weight, rows.start, rows.site
    (array([1., 2.]), array([0, 1, 3]), array([0, 0, 1], dtype=int32))
    """
    count = len(weight)
    parts = min(MOST_PARTS, -(-count // POINTS_PER_PART)) if lists.rising else 1
    if parts <= 1:
        return _group_part(weight, need, lists, sites, 0, count)
    edges = np.linspace(0, count, parts + 1).astype(np.int64)
    with ThreadPoolExecutor(min(parts, os.cpu_count() or 1)) as pool:
        tasks = [
            pool.submit(_group_part, weight, need, lists, sites, int(low), int(high))
            for low, high in itertools.pairwise(edges)
        ]
        found = [task.result() for task in tasks]
    joined = _join_rows(found)
    return regroup_rows(joined, int(lists.start.size - 1), sites)


def regroup_rows(rows: Rows, site_count: int, sites: np.ndarray) -> Rows:
    """Group rows again by their need and those of `sites` that see them."""
    start, row = transpose_lists(rows.start, rows.site, site_count)
    return _group_part(rows.weight, rows.need, Lists(start, row, True), sites, 0, len(rows.weight))


def _join_rows(found: list[Rows]) -> Rows:
    lengths = np.concatenate([np.diff(rows.start) for rows in found])
    return Rows(
        np.concatenate([rows.weight for rows in found]),
        np.concatenate([rows.need for rows in found]),
        np.append(0, np.cumsum(lengths)),
        np.concatenate([rows.site for rows in found]),
    )


def _group_part(
    weight: np.ndarray, need: np.ndarray, lists: Lists, sites: np.ndarray, low: int, high: int
) -> Rows:
    """Group the points from `low` to `high`; a part of the points only when the lists rise."""
    starts, stops = lists.start[sites], lists.start[sites + 1]
    if high - low < len(weight):
        cut = [np.searchsorted(lists.point[a:b], (low, high)) for a, b in zip(starts, stops, strict=True)]
        found = np.array(cut, np.int64).reshape(-1, 2)
        starts, stops = starts + found[:, 0], starts + found[:, 1]
    kind = need[low:high].astype(np.int32)
    least = np.arange(3, dtype=np.int8)
    node, parent, origin = refine_points(kind, len(least), low, starts, stops, lists.point, sites)
    return Rows(*list_kinds(kind, weight[low:high], node, parent, origin, least))


def make_pieces(rows: Rows, sites: np.ndarray) -> Pieces:
    """Renumber the sites of the rows as 0, 1, ... and list the groups of each."""
    number = np.full(int(sites.max(initial=-1)) + 1, -1, np.int32)
    number[sites] = np.arange(len(sites), dtype=np.int32)
    site = number[rows.site]
    group_start, group = transpose_lists(rows.start, site, len(sites))
    return Pieces(rows.weight, rows.need, rows.start, site, group_start, group)


def drop_dominated(rows: Rows, sites: np.ndarray, cost_eur: np.ndarray) -> tuple[Rows, np.ndarray]:
    """Leave out sites that another replaces at no more cost, and group again; repeat while sites fall.

    `cost_eur` is that of all sites. A site falls when every group it sees needs one site and is seen by the
    other; of two alike the first stays.
    """
    while len(sites):
        out = find_dominated(make_pieces(rows, sites), cost_eur[sites])
        if not out.any():
            break
        sites = sites[~out]
        rows = regroup_rows(rows, len(cost_eur), sites)
    return rows, sites


def sort_rows(rows: Rows) -> Rows:
    """Order groups by their first site, so that groups side by side share sites."""
    if not len(rows.weight):
        return rows
    order = np.argsort(rows.site[rows.start[:-1]], kind="stable")
    lengths = np.diff(rows.start)[order]
    start = np.append(0, np.cumsum(lengths))
    take = np.repeat(rows.start[:-1][order] - start[:-1], lengths) + np.arange(start[-1])
    return Rows(rows.weight[order], rows.need[order], start, rows.site[take])
