"""The joint line of several countries: national lines, seams, joint points, saving and fair shares."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from abatis.barrier.joint_chains import (
    Closing,
    Pairs,
    RingError,
    Walk,
    close_countries,
    find_crossings,
    join_costs,
    locate_vertex,
    share_cents,
)
from abatis.barrier.joint_ground import (
    CENT,
    HOSTILE,
    LENGTH_BITS,
    Ground,
    Territory,
    find_side_vertices,
    label_ground,
    sort_sides,
)
from abatis.barrier.joint_merge import match_sides, merge_meshes
from abatis.barrier.lines import find_closing_line
from abatis.model.errors import Fault, InputError
from abatis.model.mesh import Mesh

MOST_COUNTRIES = 12


@dataclass(frozen=True)
class Share:
    """What one country's ground costs, EUR: alone, in the joint line as it runs, and as a fair share."""

    key: str
    alone_eur: float
    joint_eur: float
    shapley_eur: float


@dataclass(frozen=True)
class JointPoint:
    """Where the joint line crosses the border of two countries; `place` is the nearest, `place_km` off."""

    between: tuple[str, str]
    lon: float
    lat: float
    place: str
    place_km: float


@dataclass(frozen=True)
class Seam:
    """A stretch of common border that the two national lines leave open between their ends.

    `km` along the border, `open_km` of it trafficable; `border_eur` to close it along the border itself (inf
    where that cannot be done); `ends` its two ends and `lon`, `lat` a corner in its middle; `sides`, rows of
    the first country's sides.
    """

    between: tuple[str, str]
    km: float
    open_km: float
    border_eur: float
    lon: float
    lat: float
    ends: tuple[tuple[float, float], ...]
    place: str
    sides: tuple[int, ...]


@dataclass(frozen=True)
class Joint:
    """The joint line and what it is compared with; all figures in EUR.

    `saving_eur` = sum of the lines alone + `mending_eur` - `joint_eur`; `coalitions` the cost of every set of
    countries; `line` the joint line, `alone` the national lines (none for countries read from an export).
    """

    countries: tuple[Share, ...]
    points: tuple[JointPoint, ...]
    seams: tuple[Seam, ...]
    joint_eur: float
    mending_eur: float
    saving_eur: float
    coalitions: dict[tuple[str, ...], float]
    line: Closing
    alone: tuple[Closing | None, ...]
    territories: tuple[Territory, ...]
    grounds: tuple[Ground | None, ...]


def close_alone(ground: Ground) -> tuple[Ground, Closing]:
    """Find a country's own line and mark in its territory what lies before it.

    Returns
    -------
    The ground, its territory with the cost of the line, with weights as if that line stood already, and with
    the border cells that lie before it; and the line.

    In words: alone means that hostile ground is closed off from the country's own protected ground over its
    own cells only. The neighbours' ground is left out, so the line ends at their border or at the coast, and
    a way round over their ground stays open: that is what seams count. A country without hostile ground
    beside it needs no line.

    Raises
    ------
    InfeasibleError : no line can be closed; with the place.
    """
    territory = ground.territory
    closing = Closing(())
    if (ground.hostile & _near(ground.mesh, ground.home)).any():
        try:
            closing = close_countries((territory,), {}, (0,))
        except RingError:
            closing = _close_mesh([ground], ground.mesh, (np.arange(ground.mesh.edge_count),), (0,))
    built = np.zeros(ground.mesh.edge_count, bool)
    built[list_edges(ground, closing, 0)] = True
    arcs, at = territory.arcs, territory.arcs.edge
    free = (at >= 0) & built[at]
    mend_main = np.where(free, arcs.main & ((1 << LENGTH_BITS) - 1), arcs.main)
    kind = sort_sides(ground.mesh, ground.home, ground.hostile)
    label = label_ground(ground.mesh, ground.home, ~built)
    outer = np.isin(label, np.unique(label[(kind == HOSTILE).any(axis=1)]))
    rows = np.searchsorted(ground.mesh.cells, territory.sides.cell)
    finished = dataclasses.replace(
        territory,
        arcs=dataclasses.replace(arcs, mend_main=mend_main),
        sides=dataclasses.replace(territory.sides, outer=outer[rows]),
        alone_cents=closing.cents,
    )
    return dataclasses.replace(ground, territory=finished), closing


def _near(mesh: Mesh, cells: np.ndarray) -> np.ndarray:
    return np.asarray((cells[mesh.neighbor] & (mesh.neighbor >= 0)).any(axis=1))


def list_edges(ground: Ground, closing: Closing, number: int) -> np.ndarray:
    """Return int32[], the mesh edges of a country inside its own ground that a line runs along."""
    found = []
    for walk in closing.walks:
        for place, owner in enumerate(walk.owner):
            if owner == (number,):
                arc = walk.arc[place]
                found.append(int(ground.territory.arcs.edge[arc]) if arc >= 0 else walk.edge[place])
    return np.array([one for one in found if one >= 0], np.int32)


def join_countries(countries: Sequence[Ground | Territory]) -> Joint:
    """Join the lines of several countries.

    Parameters
    ----------
    countries : grounds from `prepare_ground`, or territories read from exports; two or more.

    Returns
    -------
    National lines, seams, joint line, joint points, saving and shares.

    Formula: v(S) = cost of the cheapest line that closes the protected ground of all countries of S against
    hostile ground, drawn on the ground of S alone; alone_i = v({i}); joint = v(all);
    mending = cost of the cheapest additions that make the national lines one closed line;
    saving = sum of alone + mending - joint >= 0;
    fair share of i = sum over S without i of |S|! (n - |S| - 1)! / n! (v(S + i) - v(S)).
    In words: the national lines with their mending are one of the lines the joint line is chosen from, so it
    is never dearer. The fair share (Shapley value) is what a country adds to the cost on average over all
    orders in which the countries may join; shares add up to the joint cost, and countries that add the same
    pay the same. It may exceed the cost alone, because the line alone leaves the way round open.

    Raises
    ------
    InputError : see `match_sides`; protected ground in a ring of its own where an export takes part.
    InfeasibleError : no line can be closed.

    Source: Shapley 1953, "A value for n-person games".
    """
    if not 2 <= len(countries) <= MOST_COUNTRIES:
        raise InputError(
            [Fault(f"{len(countries)} countries are given", remedy=f"give 2 to {MOST_COUNTRIES}")]
        )
    alone: list[Closing | None] = []
    grounds: list[Ground | None] = []
    lands: list[Territory] = []
    for one in countries:
        if isinstance(one, Ground):
            ground, own_line = close_alone(one)
            grounds.append(ground)
            alone.append(own_line)
            lands.append(ground.territory)
        else:
            grounds.append(None)
            alone.append(None)
            lands.append(one)
    territories = tuple(lands)
    pairs = match_sides(territories)
    game = _Game(territories, pairs, grounds)
    everyone = tuple(range(len(territories)))
    line = game.close(everyone)
    mending = game.close(everyone, mend=True).cents
    fair = compute_shapley(len(everyone), game.values)
    shares = share_cents(line, len(everyone))
    total = sum(one.alone_cents for one in territories)
    return Joint(
        countries=tuple(
            Share(one.key, one.alone_cents / CENT, shares[number] / CENT, float(fair[number]) / CENT)
            for number, one in enumerate(territories)
        ),
        points=_find_points(territories, line),
        seams=find_seams(territories, pairs),
        joint_eur=line.cents / CENT,
        mending_eur=mending / CENT,
        saving_eur=(total + mending - line.cents) / CENT,
        coalitions={
            tuple(territories[one].key for one in members): cents / CENT
            for members, cents in game.values.items()
        },
        line=line,
        alone=tuple(alone),
        territories=territories,
        grounds=tuple(grounds),
    )


class _Game:
    """The cost of every set of countries; what does not touch adds up."""

    def __init__(
        self, territories: Sequence[Territory], pairs: Pairs, grounds: Sequence[Ground | None]
    ) -> None:
        self.territories, self.pairs, self.grounds = territories, pairs, grounds
        self.values: dict[tuple[int, ...], int] = {(): 0}
        self.merged: tuple[Mesh, tuple[np.ndarray, ...]] | None = None
        count = len(territories)
        for size in range(1, count + 1):
            for members in itertools.combinations(range(count), size):
                self.values[members] = self._value(members)

    def _value(self, members: tuple[int, ...]) -> int:
        if len(members) == 1:
            return self.territories[members[0]].alone_cents
        parts = self._split(members)
        if len(parts) > 1:
            return sum(self.values[part] for part in parts)
        return self.close(members).cents

    def _split(self, members: tuple[int, ...]) -> list[tuple[int, ...]]:
        parts: list[set[int]] = [{one} for one in members]
        for one, two in self.pairs:
            if one in members and two in members:
                joined = [part for part in parts if one in part or two in part]
                parts = [part for part in parts if part not in joined] + [set().union(*joined)]
        return [tuple(sorted(part)) for part in parts]

    def close(self, members: tuple[int, ...], mend: bool = False) -> Closing:
        """Close some countries; by way of one merged mesh where chains from rim to rim are not enough."""
        try:
            return close_countries(self.territories, self.pairs, members, mend)
        except RingError as error:
            grounds = [one for one in self.grounds if one is not None]
            if len(grounds) < len(self.grounds):
                names = " ".join(one.key for one in self.territories if one.exported)
                raise InputError(
                    [Fault(f"{error}: {names} cannot be joined from an export", remedy="give the study")]
                ) from error
        if self.merged is None:
            self.merged = merge_meshes(grounds)
        return _close_mesh(grounds, *self.merged, members, mend)


def _close_mesh(
    grounds: Sequence[Ground],
    mesh: Mesh,
    edge_rows: Sequence[np.ndarray],
    members: Sequence[int],
    mend: bool = False,
) -> Closing:
    """Close some countries on one mesh by the general closing line, which knows rings as well."""
    single = len(grounds) == 1 and mesh is grounds[0].mesh
    owner = np.full(mesh.cell_count, -1, np.int64)
    target, source = np.zeros((2, mesh.cell_count), bool)
    for number, ground in enumerate(grounds):
        rows = np.arange(mesh.cell_count) if single else np.searchsorted(mesh.cells, ground.mesh.cells)
        rows = np.minimum(rows, mesh.cell_count - 1)
        same = mesh.cells[rows] == ground.mesh.cells
        owner[rows[same & ground.home]] = number
        target[rows[same & ground.target]] = number in members
        source[rows[same & ground.hostile]] = True
    inside = np.isin(owner, members)
    cost = np.full(mesh.edge_count, np.inf)
    for ground, own in zip(grounds, edge_rows, strict=True):
        held = np.flatnonzero((own >= 0) & _touch_home(ground)[np.maximum(own, 0)])
        eur = ground.cost_eur[own[held]].copy()
        if mend:
            built = np.zeros(ground.mesh.edge_count, bool)
            arcs = ground.territory.arcs
            built[arcs.edge[(arcs.edge >= 0) & (arcs.mend_main != arcs.main)]] = True
            eur[built[own[held]]] = 0.0
        cost[held] = np.minimum(cost[held], eur)
    usable = inside[mesh.edge_a] & inside[mesh.edge_b]
    cost = np.where(usable, cost, np.inf)
    line = find_closing_line(mesh, cost, source, target, inside | source)
    return Closing(tuple(_walk_chain(mesh, cost, owner, chain) for chain in line.chains))


def _touch_home(ground: Ground) -> np.ndarray:
    """Return bool[E], the edges of a country's mesh that it has a say in: one of their cells is home."""
    return np.asarray(ground.home[ground.mesh.edge_a] | ground.home[ground.mesh.edge_b])


def _walk_chain(mesh: Mesh, cost: np.ndarray, owner: np.ndarray, chain: np.ndarray) -> Walk:
    """Turn a chain of edges of a mesh into a walk."""
    vertex = order_vertices([find_side_vertices(*_list_pair(mesh, one)) for one in chain.tolist()])
    owners = [tuple(sorted({int(owner[mesh.edge_a[one]]), int(owner[mesh.edge_b[one]])})) for one in chain]
    return Walk(
        owner=tuple(owners),
        cents=tuple(round(float(cost[one]) * CENT) for one in chain),
        arc=(-1,) * len(chain),
        edge=tuple(int(one) for one in chain),
        start=tuple(vertex[:-1]),
        end=tuple(vertex[1:]),
        meet=tuple((one,) for one in vertex[1:]),
    )


def _list_pair(mesh: Mesh, edge: int) -> tuple[int, int]:
    return int(mesh.cells[mesh.edge_a[edge]]), int(mesh.cells[mesh.edge_b[edge]])


def order_vertices(sides: Sequence[tuple[int, int]]) -> list[int]:
    """Return the corners of a chain of hexagon sides in walking order.

    Examples
    --------
    >>> order_vertices([(2, 1), (2, 3), (4, 3)])
    [1, 2, 3, 4]
    """
    first = sides[0]
    start = first[1] if len(sides) > 1 and first[0] in sides[1] else first[0]
    found = [start]
    for one, two in sides:
        found.append(two if found[-1] == one else one)
    return found


def compute_shapley(count: int, values: dict[tuple[int, ...], int]) -> list[Fraction]:
    """Compute the Shapley value of every player exactly.

    Parameters
    ----------
    count : number of players n, 0 to n - 1.
    values : cost of every set of players, keyed by its sorted members; () is 0.

    Formula: share_i = sum over S without i of |S|! (n - |S| - 1)! / n! (v(S + i) - v(S)).

    Examples
    --------
    Alone 10 and 20, together 24: each gains half of the 6 saved.

    >>> [float(one) for one in compute_shapley(2, {(): 0, (0,): 10, (1,): 20, (0, 1): 24})]
    [7.0, 17.0]
    """
    shares = [Fraction(0)] * count
    for members, value in values.items():
        size = len(members)
        for one in range(count):
            if one in members:
                continue
            weight = Fraction(math.factorial(size) * math.factorial(count - size - 1), math.factorial(count))
            with_one = tuple(sorted((*members, one)))
            shares[one] += weight * (values[with_one] - value)
    return shares


def _find_points(territories: Sequence[Territory], line: Closing) -> tuple[JointPoint, ...]:
    found = []
    for walk in line.walks:
        for one, two, vertex in find_crossings(territories, walk):
            lon, lat = locate_vertex(vertex)
            place, km = _name_vertex((territories[one], territories[two]), vertex)
            found.append(JointPoint((territories[one].key, territories[two].key), lon, lat, place, km))
    return tuple(sorted(found, key=lambda point: (point.between, point.lat, point.lon)))


def _name_vertex(both: Sequence[Territory], vertex: int) -> tuple[str, float]:
    """Return the nearest place of two countries to a port, and its distance in km."""
    named = []
    for one in both:
        port = np.flatnonzero(one.vertex == np.uint64(vertex))
        if len(port) and one.place[port[0]]:
            named.append((float(one.place_km[port[0]]), one.place[port[0]]))
    km, name = min(named, default=(math.inf, ""))
    return name, km


def find_seams(territories: Sequence[Territory], pairs: Pairs) -> tuple[Seam, ...]:
    """Find where national lines miss each other.

    Parameters
    ----------
    territories : with their own lines found (`close_alone`), or read from exports.
    pairs : from `match_sides`.

    In words: on a common border, the stretches where ground before the one country's line touches ground
    behind the other's. Who comes that far may cross there and is behind both lines. A stretch runs from the
    end of the one line to the end of the other.
    """
    seams = []
    for (one, two), rows in pairs.items():
        here, there = territories[one], territories[two]
        first, second = rows[:, 0], rows[:, 1]
        missed = here.sides.outer[first] != there.sides.outer[second]
        first, second = first[missed], second[missed]
        size = len(here.vertex)
        links = csr_matrix(
            (np.ones(len(first), np.int8), (here.sides.tail[first], here.sides.head[first])),
            shape=(size, size),
        )
        _, label = connected_components(links, directed=False)
        runs = label[here.sides.tail[first]]
        for run in np.unique(runs).tolist():
            seams.append(_describe_seam(here, there, first[runs == run], second[runs == run]))
    return tuple(sorted(seams, key=lambda seam: (seam.between, seam.lat, seam.lon)))


def _describe_seam(here: Territory, there: Territory, first: np.ndarray, second: np.ndarray) -> Seam:
    sides = here.sides
    ports = np.concatenate([sides.tail[first], sides.head[first]])
    port, count = np.unique(ports, return_counts=True)
    points = np.array([locate_vertex(int(one)) for one in here.vertex[port]])
    middle = int(np.argmin(np.hypot(*(points - points.mean(axis=0)).T)))
    weight = join_costs(sides.main[first], there.sides.main[second])
    opened = sides.open[first] | there.sides.open[second]
    length_m = sides.length_m[first].astype(np.float64)
    place, _ = _name_vertex((here, there), int(here.vertex[port[middle]]))
    return Seam(
        between=(here.key, there.key),
        km=float(length_m.sum()) / 1000,
        open_km=float(length_m[opened].sum()) / 1000,
        border_eur=math.inf if (weight < 0).any() else float((weight >> LENGTH_BITS).sum()) / CENT,
        lon=float(points[middle, 0]),
        lat=float(points[middle, 1]),
        ends=tuple((float(x), float(y)) for x, y in points[count == 1]),
        place=place,
        sides=tuple(int(one) for one in first),
    )


def trace_walk(joint: Joint, walk: Walk, alone: int | None = None) -> list[np.ndarray]:
    """Return lon/lat float64[K, 2] of the corners of a chain, one array per connected part.

    Parameters
    ----------
    joint : what the chain belongs to.
    walk : one of the joint line, or of a country's own line.
    alone : the number of that country; None for the joint line.

    In words: where a country is known by its export only, the chain is a straight line between its ports; a
    stretch from a port to the coast is then left out.
    """
    parts: list[np.ndarray] = []
    run: list[tuple[int, int]] = []
    for place in range(len(walk.owner) + 1):
        side = _find_step(joint, walk, place, alone) if place < len(walk.owner) else None
        if run and (side is None or not set(run[-1]) & set(side)):
            parts.append(np.array([locate_vertex(one) for one in order_vertices(run)]))
            run = []
        if side is not None:
            run.append(side)
        elif place < len(walk.owner) and walk.start[place] and walk.end[place]:
            parts.append(np.array([locate_vertex(one) for one in (walk.start[place], walk.end[place])]))
    return parts


def _find_step(joint: Joint, walk: Walk, place: int, alone: int | None) -> tuple[int, int] | None:
    """Return the H3 vertices at the ends of one step, None where it is no single side of a hexagon."""
    owner, arc = walk.owner[place], walk.arc[place]
    if arc < 0:
        return walk.start[place], walk.end[place]
    if len(owner) == 2:
        sides = joint.territories[owner[0]].sides
        return find_side_vertices(int(sides.cell[arc]), int(sides.other[arc]))
    ground = joint.grounds[owner[0] if alone is None else alone]
    edge = int(ground.territory.arcs.edge[arc]) if ground else -1
    return find_side_vertices(*_list_pair(ground.mesh, edge)) if ground and edge >= 0 else None
