"""Cheapest closing chains over the ground of several countries, each given by its ground or by its export."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import h3.api.basic_int as h3
import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from abatis.barrier import _joint
from abatis.barrier.joint_ground import LENGTH_BITS, Territory
from abatis.model.errors import InfeasibleError

MOST_ENDS = 14
Pairs = Mapping[tuple[int, int], np.ndarray]


@dataclass(frozen=True)
class Walk:
    """One chain of a closing line from end to end, without free walks along a rim.

    Per step: `owner`, the countries it lies in (two on a common border); `cents`; `arc`, row of the country's
    arcs, or of the first country's sides on a common border, -1 where the chain comes from a merged mesh;
    `edge`, row of that mesh, else -1; `start`, `end`, H3 vertices, 0 where it is no port; `meet`, the ports
    where the step may hand over to the next one: several where a rim that is free to walk lies in between.
    """

    owner: tuple[tuple[int, ...], ...]
    cents: tuple[int, ...]
    arc: tuple[int, ...]
    edge: tuple[int, ...]
    start: tuple[int, ...]
    end: tuple[int, ...]
    meet: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Closing:
    """A closing line of some countries and its cost in whole cents."""

    walks: tuple[Walk, ...]

    @cached_property
    def cents(self) -> int:
        """Cost in whole cents."""
        return sum(sum(walk.cents) for walk in self.walks)


class RingError(Exception):
    """Some protected or hostile ground lies inside a hole: chains from end to end are not enough."""


@dataclass(frozen=True)
class _Graph:
    """Graph of some countries: arcs with their owners, and the odd nodes where chains must end."""

    vertex: np.ndarray
    port_count: int
    tail: np.ndarray
    head: np.ndarray
    main: np.ndarray
    tie: np.ndarray
    owner: np.ndarray
    partner: np.ndarray
    arc: np.ndarray
    odd: np.ndarray


def close_countries(
    territories: Sequence[Territory], pairs: Pairs, members: Sequence[int], mend: bool = False
) -> Closing:
    """Find the cheapest line that closes the members' protected ground, drawn on the members' ground alone.

    Parameters
    ----------
    territories : all countries.
    pairs : from `match_sides`.
    members : which of them take part; the others' ground is left out, lines end at its border.
    mend : true to count every member's own line as built already.

    Formula: min over sets J of arcs of the sum of their weights, J having odd degree exactly at the ends of
    protected coast (a T-join); = min over pairings of these ends of the sum of least chains between them.
    In words: colour the ground before the line and behind it. Both change over along a line, so a line may
    end only where the rim changes from hostile or free ground to protected ground; the free rim costs
    nothing to walk. Conversely the chains of a T-join, together with the protected rim, meet every corner an
    even number of times, so they colour the plane in two; and where all hostile and protected ground lies on
    one and the same rim, that colouring has it on the right sides.

    Why exports are enough: take any chain and cut it at every corner on a common border that it visits, be it
    once, several times or back and forth. Every part then lies in one country or is a side of the common
    border. A part inside a country starts and ends at ports of that country (corners on its borders, ends of
    its protected coast) and can be replaced by the cheapest chain between these two without making the whole
    dearer. So the cheapest chain over the countries is the cheapest walk over ports whose arcs are the
    cheapest chains within each country between all pairs of its ports, plus the sides of the borders.

    Raises
    ------
    RingError : protected ground lies in a ring of its own, or there are more than 14 ends.
    InfeasibleError : no line can be closed.

    Source: T-joins by matching (Edmonds and Johnson 1973, Math. Programming 5:88).
    """
    _check_rims(territories, pairs, members)
    graph = _assemble(territories, pairs, members, mend)
    stretch = _label_stretches(graph)
    marked = np.flatnonzero(graph.odd)
    _, first, count = np.unique(stretch[marked], return_index=True, return_counts=True)
    ends = sorted(int(marked[one]) for one in first[count % 2 == 1])
    if not ends:
        return Closing(())
    if len(ends) > MOST_ENDS:
        raise RingError(f"{len(ends)} ends of protected coast")
    names = " ".join(territories[one].key for one in members)
    return Closing(tuple(_pair_ends(graph, stretch, ends, names)))


def _assemble(territories: Sequence[Territory], pairs: Pairs, members: Sequence[int], mend: bool) -> _Graph:
    vertex = np.unique(np.concatenate([territories[one].vertex for one in members]))
    count = len(vertex)
    nodes = {}
    for one in members:
        here = territories[one]
        private = here.node_count - len(here.vertex)
        nodes[one] = np.concatenate(
            [np.searchsorted(vertex, here.vertex), np.arange(count, count + private)]
        ).astype(np.int32)
        count += private
    odd = np.zeros(count, bool)
    columns: list[tuple[np.ndarray, ...]] = []
    for one in members:
        here, arcs = territories[one], territories[one].arcs
        np.logical_xor.at(odd, nodes[one], here.odd)
        main, tie = (arcs.mend_main, arcs.mend_tie) if mend else (arcs.main, arcs.tie)
        columns.append(
            _make_arcs(nodes[one][arcs.tail], nodes[one][arcs.head], main, tie, one, -1, np.arange(len(main)))
        )
        sides = here.sides
        away = np.flatnonzero(~_mask_present(territories, pairs, members, one))
        tail, head = nodes[one][sides.tail[away]], nodes[one][sides.head[away]]
        for ends in (tail, head):
            np.logical_xor.at(odd, ends[sides.far[away]], True)
        free = ~sides.far[away]
        zero = np.zeros(int(free.sum()), np.int64)
        columns.append(_make_arcs(tail[free], head[free], zero, zero, one, -1, zero - 1))
    for (one, two), rows in pairs.items():
        if one in members and two in members:
            sides, others = territories[one].sides, territories[two].sides
            first, second = rows[:, 0], rows[:, 1]
            keep = ~(sides.far[first] & others.far[second])
            first, second = first[keep], second[keep]
            main = join_costs(sides.main[first], others.main[second])
            columns.append(
                _make_arcs(
                    nodes[one][sides.tail[first]],
                    nodes[one][sides.head[first]],
                    main,
                    sides.tie[first],
                    one,
                    two,
                    first,
                )
            )
    tail, head, main, tie, owner, partner, arc = (
        np.concatenate(parts) for parts in zip(*columns, strict=True)
    )
    names = np.concatenate([vertex, np.zeros(count - len(vertex), np.uint64)])
    return _Graph(names, len(vertex), tail, head, main, tie, owner, partner, arc, odd)


def _make_arcs(
    tail: np.ndarray,
    head: np.ndarray,
    main: np.ndarray,
    tie: np.ndarray,
    owner: int,
    partner: int,
    arc: np.ndarray,
) -> tuple[np.ndarray, ...]:
    full = [np.full(len(tail), one, np.int16) for one in (owner, partner)]
    return tail.astype(np.int32), head.astype(np.int32), main, tie, *full, arc.astype(np.int32)


def join_costs(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the weight of sides on a common border: the cheaper country's, -1 where neither can close it.

    Examples
    --------
    >>> join_costs(np.array([5, -1, -1]), np.array([3, 4, -1])).tolist()
    [3, 4, -1]
    """
    both = (first >= 0) & (second >= 0)
    return np.asarray(np.where(both, np.minimum(first, second), np.maximum(first, second)))


def _mask_present(
    territories: Sequence[Territory], pairs: Pairs, members: Sequence[int], one: int
) -> np.ndarray:
    """Return bool[B], the sides of a country that face another member."""
    present = np.zeros(len(territories[one].sides.cell), bool)
    for (first, second), rows in pairs.items():
        if first in members and second in members and one in (first, second):
            present[rows[:, 0 if first == one else 1]] = True
    return present


def _label_stretches(graph: _Graph) -> np.ndarray:
    """Return int32[V], the same number for nodes that a rim free to walk joins."""
    free = np.flatnonzero(graph.main == 0)
    size = len(graph.odd)
    links = csr_matrix(
        (np.ones(len(free), np.int8), (graph.tail[free], graph.head[free])), shape=(size, size)
    )
    _, label = connected_components(links, directed=False)
    return np.asarray(label)


def _pair_ends(graph: _Graph, stretch: np.ndarray, ends: Sequence[int], names: str) -> Iterable[Walk]:
    """Pair the ends at least weight and trace the chains."""
    first, end, arc = _joint.link_nodes(len(graph.odd), graph.tail, graph.head)
    found = []
    for number, start in enumerate(ends[:-1]):
        goal = np.zeros(len(graph.odd), bool)
        goal[list(ends[number + 1 :])] = True
        found.append(_joint.search_chains(first, end, arc, graph.main, graph.tie, start, goal))
    far = (int(_joint.FAR), 0)
    best: dict[int, tuple[tuple[int, int], int, int]] = {0: ((0, 0), -1, -1)}
    full = (1 << len(ends)) - 1
    for taken in range(full):
        if taken not in best:
            continue
        weight = best[taken][0]
        one = next(place for place in range(len(ends)) if not taken >> place & 1)
        for two in range(one + 1, len(ends)):
            if taken >> two & 1:
                continue
            main, tie = int(found[one][0][ends[two]]), int(found[one][1][ends[two]])
            total = (weight[0] + main, weight[1] + tie)
            key = taken | 1 << one | 1 << two
            if total < best.get(key, (far, 0, 0))[0] and main < far[0]:
                best[key] = (total, one, two)
    if full not in best:
        raise InfeasibleError(f"no line can be closed for {names}: some edges cannot be closed by any option")
    while full:
        _, one, two = best[full]
        yield _trace(graph, stretch, found[one][2], found[one][3], ends[two])
        full ^= 1 << one | 1 << two


def _trace(graph: _Graph, stretch: np.ndarray, reached_by: np.ndarray, before: np.ndarray, node: int) -> Walk:
    """Follow a chain back to its start and leave out the free walks along a rim."""
    steps = []
    while reached_by[node] >= 0:
        arc, last = int(reached_by[node]), int(before[node])
        if graph.main[arc] > 0:
            steps.append((arc, node, last))
        node = last
    meet = []
    for _, _, last in steps:
        ports = graph.vertex[: graph.port_count][stretch[: graph.port_count] == stretch[last]]
        meet.append(tuple(ports.tolist()))
    return Walk(
        owner=tuple(
            (int(graph.owner[arc]),) + ((int(graph.partner[arc]),) if graph.partner[arc] >= 0 else ())
            for arc, _, _ in steps
        ),
        cents=tuple(int(graph.main[arc]) >> LENGTH_BITS for arc, _, _ in steps),
        arc=tuple(int(graph.arc[arc]) for arc, _, _ in steps),
        edge=(-1,) * len(steps),
        start=tuple(int(graph.vertex[one]) for _, one, _ in steps),
        end=tuple(int(graph.vertex[one]) for _, _, one in steps),
        meet=tuple(meet),
    )


class _Groups:
    """Sets of things that were joined."""

    def __init__(self) -> None:
        self.above: dict[Hashable, Hashable] = {}

    def find(self, one: Hashable) -> Hashable:
        root = one
        while (above := self.above.get(root, root)) != root:
            root = above
        while one != root:
            self.above[one], one = root, self.above.get(one, one)
        return root

    def join(self, one: Hashable, two: Hashable) -> None:
        self.above[self.find(one)] = self.find(two)


def _check_rims(territories: Sequence[Territory], pairs: Pairs, members: Sequence[int]) -> None:
    """Raise RingError unless all hostile and protected ground of connected countries lies on one rim."""
    ground, rims = _Groups(), _Groups()
    for (one, two), rows in pairs.items():
        if one not in members or two not in members:
            continue
        sides, others = territories[one].sides, territories[two].sides
        first, second = rows[:, 0], rows[:, 1]
        touch = np.column_stack([sides.region[first], others.region[second]])
        for near, far in np.unique(touch, axis=0).tolist():
            ground.join(("region", one, near), ("region", two, far))
        both = sides.far[first] & others.far[second]
        touch = np.column_stack([sides.piece[first[both]], others.piece[second[both]]])
        for near, far in np.unique(touch, axis=0).tolist():
            ground.join(("piece", one, near), ("piece", two, far))
    hostile: dict[Hashable, set[Hashable]] = defaultdict(set)
    touched: dict[Hashable, set[Hashable]] = defaultdict(set)
    pieces: dict[Hashable, set[Hashable]] = defaultdict(set)
    entries = list(_list_rims(territories, pairs, members))
    for number, (_, _, _, _, ports) in enumerate(entries):
        for port in ports:
            rims.join(("port", port), ("rim", number))
    for number, (one, region, is_hostile, held, _) in enumerate(entries):
        root, rim = ground.find(("region", one, region)), rims.find(("rim", number))
        if is_hostile:
            hostile[root].add(rim)
        for piece in held:
            touched[ground.find(("piece", one, piece))].add(rim)
    for one in members:
        sides = territories[one].sides
        found = {(rim.region, piece) for rim in territories[one].rims for piece in rim.pieces}
        found |= set(zip(sides.region[sides.far].tolist(), sides.piece[sides.far].tolist(), strict=True))
        for region, piece in found:
            pieces[ground.find(("region", one, region))].add(ground.find(("piece", one, piece)))
    for root, around in hostile.items():
        if pieces[root] and (len(around) > 1 or any(not around <= touched[one] for one in pieces[root])):
            raise RingError("protected or hostile ground lies inside a hole of the ground of others")


def _list_rims(
    territories: Sequence[Territory], pairs: Pairs, members: Sequence[int]
) -> Iterable[tuple[int, int, bool, tuple[int, ...], tuple[int, ...]]]:
    """List the stretches of rim: country, region, hostile, protected pieces on it, H3 vertices it ends at."""
    for one in members:
        here, sides = territories[one], territories[one].sides
        vertex = here.vertex.tolist()
        for rim in here.rims:
            yield one, rim.region, rim.hostile, rim.pieces, tuple(vertex[port] for port in rim.ports)
        for row in np.flatnonzero(~_mask_present(territories, pairs, members, one)).tolist():
            held = (int(sides.piece[row]),) if sides.far[row] else ()
            ports = (vertex[sides.tail[row]], vertex[sides.head[row]])
            yield one, int(sides.region[row]), False, held, ports


def find_crossings(territories: Sequence[Territory], walk: Walk) -> list[tuple[int, int, int]]:
    """Return where a chain goes from one country into another: both countries and an H3 vertex.

    In words: where it runs along the common border in between, the middle corner of that run; where it goes
    round along a coast, the end of the border there. Of several the lowest number, so that the answer does
    not depend on the way the chain is walked.
    """
    found = []
    inside = [place for place, owner in enumerate(walk.owner) if len(owner) == 1]
    for here, there in itertools.pairwise(inside):
        one, two = sorted((walk.owner[here][0], walk.owner[there][0]))
        if one == two:
            continue
        steps = there - here - 1
        middle = here + 1 + steps // 2
        if steps % 2:
            ports = {walk.start[middle], walk.end[middle]}
        elif steps:
            ports = {walk.end[middle - 1], walk.start[middle]}
        else:
            both = [set(territories[side].vertex.tolist()) & set(walk.meet[here]) for side in (one, two)]
            ports = both[0] & both[1] or both[0] | both[1]
        found.append((one, two, min(ports)))
    return found


def share_cents(closing: Closing, count: int) -> list[float]:
    """Return the cents of a line inside each of `count` countries; common borders go half and half.

    Examples
    --------
    >>> walk = Walk(((0,), (0, 1)), (500, 300), (0, 0), (-1, -1), (0, 1), (1, 2), ((1,), (2,)))
    >>> share_cents(Closing((walk,)), 2)
    [650.0, 150.0]
    """
    shares = [0.0] * count
    for walk in closing.walks:
        for owner, cents in zip(walk.owner, walk.cents, strict=True):
            for one in owner:
                shares[one] += cents / len(owner)
    return shares


def locate_vertex(vertex: int) -> tuple[float, float]:
    """Return lon and lat of an H3 vertex in degrees."""
    lat, lon = h3.vertex_to_latlng(vertex)
    return float(lon), float(lat)
