"""The lightest ring between two pieces of ground: the dual graph cut open, then halved and halved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from abatis.barrier import _dual, _rings
from abatis.barrier.line_graph import Graph

NONE, ALONG, LEFT, RIGHT = range(4)


@dataclass(frozen=True)
class _Opened:
    """A dual graph cut open along a path of `size` corners: `right` and `left` int32[size] are their copies.

    `reach` int64[size]: weight of the path up to each of its corners.
    """

    to: np.ndarray
    via: np.ndarray
    right: np.ndarray
    left: np.ndarray
    reach: np.ndarray


def find_ring(graph: Graph, to: np.ndarray, inner: int, outer: int) -> tuple[int, np.ndarray] | None:
    """Find the lightest ring of dual edges that separates two pieces of ground.

    Parameters
    ----------
    graph : the dual graph; C corners.
    to : int32[C, 3], the dual edges that may be walked (rim edges may have been taken out).
    inner, outer : numbers of the two pieces.

    Returns
    -------
    The ring's weight and the mesh edges it crosses, or None when no walk joins the two pieces.

    In words: every such ring meets the lightest walk from one piece to the other, and some lightest ring
    crosses it once. So the graph is cut open along that walk, and the lightest ring through a corner of it is
    the lightest path between the corner's two copies. Rings through corners before and after the middle one
    need not cross the middle one's ring: the rest falls into two halves, again and again.

    Source: Reif 1983, SIAM J. Comput. 12:71; Itai and Shiloach 1979, SIAM J. Comput. 8:135.
    """
    opened = _open_between(graph, to, inner, outer)
    if opened is None:
        return None
    count = len(opened.to)
    stamp = np.zeros(count, np.int32)
    room = (
        np.full(count, _dual.FAR, np.int64),
        np.empty(3 * count + 4, np.int64),
        np.empty(3 * count + 4, np.int32),
        np.empty(count, np.int32),
        np.empty(count, np.int32),
    )
    best, ring = int(_dual.FAR), np.empty(0, np.int32)
    stack = [(0, len(opened.left), np.arange(count, dtype=np.int32), -1, -1)]
    task = 0
    while stack:
        begin, end, region, before, after = stack.pop()
        begin, end = _trim_range(opened.reach, begin, end, before, after, best)
        if begin >= end:
            continue
        task += 1
        stamp[region] = task
        middle = (begin + end) // 2
        weight, corners, edges = _rings.search_region(
            opened.to, opened.via, graph.weight, stamp, task, opened.right[middle], opened.left[middle], *room
        )
        if weight < best:
            best, ring = int(weight), edges[edges >= 0]
        if weight >= _dual.FAR:
            continue
        stamp[corners] = -1
        for first, last, low, high in (
            (begin, middle, before, int(weight)),
            (middle + 1, end, int(weight), after),
        ):
            if first < last:
                seeds = np.concatenate([opened.right[first:last], opened.left[first:last]])
                part = _rings.flood_region(opened.to, opened.via, graph.weight, stamp, task, seeds)
                stack.append((first, last, np.concatenate([part, corners]), low, high))
    return best, ring


def _trim_range(
    reach: np.ndarray, begin: int, end: int, before: int, after: int, best: int
) -> tuple[int, int]:
    """Leave out corners whose rings cannot be lighter than `best`.

    A ring through a corner, led along the path to a neighbouring corner and back, is a ring there; so it is
    lighter than the neighbour's by at most twice the way. `before` and `after` are the weights of the rings
    at the corners just outside the range, -1 where there is none.
    """
    while begin < end and (
        (before >= 0 and before - 2 * (reach[begin] - reach[begin - 1]) >= best)
        or (after >= 0 and after - 2 * (reach[end] - reach[begin]) >= best)
    ):
        before = max(before - 2 * int(reach[begin] - reach[begin - 1]), 0) if before >= 0 else -1
        begin += 1
    while begin < end and after >= 0 and after - 2 * (reach[end] - reach[end - 1]) >= best:
        after = max(after - 2 * int(reach[end] - reach[end - 1]), 0)
        end -= 1
    return begin, end


def _open_between(graph: Graph, to: np.ndarray, inner: int, outer: int) -> _Opened | None:
    count = len(to)
    start = _rings.mark_corners(graph.corner, graph.piece == inner, count)
    goal = _rings.mark_corners(graph.corner, graph.piece == outer, count)
    last, parent, distance = _rings.search_shortest(to, graph.via, graph.weight, start, goal)
    if last < 0:
        return None
    path = [int(last)]
    while parent[path[-1]] >= 0:
        path.append(int(parent[path[-1]]))
    path.reverse()
    place_of = {corner: number for number, corner in enumerate(path)}
    sides = _sort_slots(graph, to, path, inner, outer)
    new_to = np.concatenate([to, np.full((len(path), 3), -1, np.int32)])
    new_via = np.concatenate([graph.via, graph.via[path]])
    for number, corner in enumerate(path):
        for slot, side in enumerate(sides[number]):
            if side == NONE:
                continue
            end = int(to[corner, slot])
            back = int(np.flatnonzero((to[end] == corner) & (graph.via[end] == graph.via[corner, slot]))[0])
            far = place_of.get(end, -1)
            if side == ALONG:
                new_to[count + number, slot] = count + far
                continue
            if far >= 0 and sides[far][back] == LEFT:
                end = count + far
            own = count + number if side == LEFT else corner
            new_to[own, slot] = end
            if side == LEFT:
                new_to[corner, slot] = -1
                if far < 0:
                    new_to[end, back] = own
    copies = np.arange(count, count + len(path), dtype=np.int32)
    return _Opened(new_to, new_via, np.array(path, np.int32), copies, distance[path])


def _sort_slots(graph: Graph, to: np.ndarray, path: list[int], inner: int, outer: int) -> list[list[int]]:
    """Say of the dual edges at each corner of a path whether they lie along it, on its left or right."""
    left, right = _rings.list_faces(graph.neighbor, graph.corner, len(to))
    if len(path) == 1:
        return [_sort_lone_slots(graph, to, path[0], left, right, inner, outer)]
    sides = []
    for number, corner in enumerate(path):
        steps = []
        if number:
            slot = int(np.flatnonzero(to[path[number - 1]] == corner)[0])
            steps.append((path[number - 1], slot))
        if number + 1 < len(path):
            steps.append((corner, int(np.flatnonzero(to[corner] == path[number + 1])[0])))
        lefts = {int(left[step]) for step in steps}
        rights = {int(right[step]) for step in steps}
        near = {path[one] for one in (number - 1, number + 1) if 0 <= one < len(path)}
        row = []
        for slot in range(3):
            end = int(to[corner, slot])
            faces = {int(left[corner, slot]), int(right[corner, slot])}
            if end < 0:
                row.append(NONE)
            elif end in near:
                row.append(ALONG)
            elif len(steps) == 2:
                row.append(LEFT if len(lefts) == 2 else RIGHT)
            else:
                row.append(LEFT if faces & lefts else RIGHT)
        if len(steps) == 1 and lefts == rights:
            raise RuntimeError("a dual edge has the same cell on both hands: this is a fault in abatis")
        sides.append(row)
    return sides


def _sort_lone_slots(
    graph: Graph, to: np.ndarray, corner: int, left: np.ndarray, right: np.ndarray, inner: int, outer: int
) -> list[int]:
    """Where two pieces meet at one corner, the edge between them lies on one side, the rest on the other."""
    row = []
    for slot in range(3):
        faces = [int(left[corner, slot]), int(right[corner, slot])]
        pieces = {int(graph.piece[face]) for face in faces if face >= 0}
        between = {inner, outer} <= pieces and LEFT not in row
        row.append(NONE if to[corner, slot] < 0 else LEFT if between else RIGHT)
    return row
