"""Ground of one country as the joint line sees it: where a chain may run and where it may meet others."""

from __future__ import annotations

from dataclasses import dataclass, field

import h3.api.basic_int as h3
import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from abatis.barrier.lines import compute_closing_cost
from abatis.barrier.options import find_protected_works
from abatis.model.errors import Fault, InfeasibleError, InputError, SizeError
from abatis.model.mesh import Mesh
from abatis.model.study import Study

CENT = 100
LENGTH_STEP_M = 10.0
LENGTH_BITS = 20
TIE_BITS = 40
MOST_CENTS = 2**40
INTERIOR, HOSTILE, ALLY, OUTSIDE = range(4)
SETTLEMENTS = ("city", "town", "village")


@dataclass(frozen=True)
class Arcs:
    """Ways a chain may walk inside one country (A arcs between local nodes).

    `tail`, `head` int32; `main` int64, whole cents above `LENGTH_BITS` bits of length in 10 m; `tie` int64,
    settles equal chains; `mend_main`, `mend_tie` the same where the country's own line is already built;
    `edge` int32, mesh edge, -1 for a walk along the coast and for a walk known only by its ends.
    """

    tail: np.ndarray
    head: np.ndarray
    main: np.ndarray
    tie: np.ndarray
    mend_main: np.ndarray
    mend_tie: np.ndarray
    edge: np.ndarray


@dataclass(frozen=True)
class Sides:
    """The country's cells along its allies (B sides): one row per hexagon side between own and ally cell.

    `cell`, `other` uint64 H3; `code` int16, index of the ally in `Territory.allies`; `tail`, `head` int32,
    the ports at its ends; `far` bool, own cell is protected ground; `main`, `tie` int64, cost to close it
    (-1 cannot be closed); `length_m` float32; `open` bool, trafficable before anything is built; `outer`
    bool, own cell lies before the country's own line; `region`, `piece` int32, connected ground and connected
    protected ground.
    """

    cell: np.ndarray
    other: np.ndarray
    code: np.ndarray
    tail: np.ndarray
    head: np.ndarray
    far: np.ndarray
    main: np.ndarray
    tie: np.ndarray
    length_m: np.ndarray
    open: np.ndarray
    outer: np.ndarray
    region: np.ndarray
    piece: np.ndarray


@dataclass(frozen=True)
class Rim:
    """One stretch of a country's rim that faces no ally: its region, what touches it, ports at its ends."""

    region: int
    hostile: bool
    pieces: tuple[int, ...]
    ports: tuple[int, ...]


@dataclass(frozen=True)
class Territory:
    """A country ready to be joined; the same whether it comes from its study or from its export.

    Ports are nodes 0 to P - 1: corners of hexagons on a border with an ally; `vertex` uint64[P] their H3
    vertices, `place`, `place_km` the nearest place of the country. `odd` bool[V], ends of protected coast:
    line ends that are no ports. `alone_cents` is the cost of the country's own line.
    """

    key: str
    codes: tuple[str, ...]
    allies: tuple[str, ...]
    resolution: int
    depth_km: float
    node_count: int
    vertex: np.ndarray
    place: tuple[str, ...]
    place_km: np.ndarray
    odd: np.ndarray
    arcs: Arcs
    sides: Sides
    rims: tuple[Rim, ...]
    alone_cents: int = 0
    exported: bool = False


@dataclass(frozen=True)
class Ground:
    """A country with its study and mesh: `cost_eur` float64[E] (inf: no line here), `target` bool[N]."""

    study: Study
    mesh: Mesh
    cost_eur: np.ndarray
    home: np.ndarray
    hostile: np.ndarray
    target: np.ndarray
    territory: Territory = field(repr=False)


def name_country(study: Study) -> str:
    """Return the key of a study's country: its home codes, joined by + where there are several."""
    return "+".join(study.home)


def cost_ground(study: Study, mesh: Mesh) -> np.ndarray:
    """Return float64[E], EUR to close each edge between cells that are not hostile; inf where none may be.

    In words: as for the echelons, nothing is built on protected works, nor, if the study says so, on cells
    that are mostly protected nature; what nature closes may serve everywhere.
    """
    cost = compute_closing_cost(study, mesh)
    kept = find_protected_works(study, mesh)
    if study.avoid_protected:
        kept = kept | (mesh.protected > 0.5)
    hostile = mesh.mask_countries(study.hostile)
    barred = (cost > 0) & (kept[mesh.edge_a] | kept[mesh.edge_b])
    barred |= hostile[mesh.edge_a] | hostile[mesh.edge_b]
    return np.where(barred, np.inf, cost)


def prepare_ground(
    study: Study, mesh: Mesh, depth_km: float | None = None, cost_eur: np.ndarray | None = None
) -> Ground:
    """Prepare one country for the joint line; its own line is not found yet.

    Parameters
    ----------
    study, mesh : the study and its mesh; allies' ground beside the border (`strip_km`) must be in it.
    depth_km : ground at least this far from hostile ground is protected; the outermost echelon limit of the
        study when not given.
    cost_eur : float64[E], EUR to close each edge; from the study when not given.

    In words: a line may run between any two home cells that are not both protected. Ground beyond the depth
    that neither reaches a coast nor an ally's border is an island inside the belt and not counted as
    protected.

    Raises
    ------
    InputError : no ground lies beyond the depth.
    InfeasibleError : protected ground lies beside hostile ground.
    SizeError : costs beyond what is computed exactly.
    """
    depth_km = study.outer_km[-1] if depth_km is None else depth_km
    home, hostile = mesh.mask_countries(study.home), mesh.mask_countries(study.hostile)
    cost_eur = cost_ground(study, mesh) if cost_eur is None else np.asarray(cost_eur, np.float64)
    kind = sort_sides(mesh, home, hostile)
    target = _find_target(study, mesh, home & (mesh.border_km >= depth_km), kind, depth_km)
    beside = np.flatnonzero(target & (kind == HOSTILE).any(axis=1))
    if len(beside):
        place = f"{mesh.lon[beside[0]]:.4f} E, {mesh.lat[beside[0]]:.4f} N"
        raise InfeasibleError(
            f"{name_country(study)}: protected ground touches hostile ground at {place}", ("depth_km",)
        )
    main, tie = weigh_edges(mesh, cost_eur)
    return Ground(
        study,
        mesh,
        cost_eur,
        home,
        hostile,
        target,
        _lay_territory(study, mesh, kind, target, main, tie, depth_km),
    )


def weigh_edges(mesh: Mesh, cost_eur: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return int64[E] weights (cents, then length; -1 closed to lines) and int64[E] tie breakers.

    In words: of all chains of least cost a shortest one is taken, and of these the one with the least sum of
    tie breakers. These depend on the two H3 cells only, so every country finds the same chain.
    """
    usable = np.isfinite(cost_eur)
    cents = np.rint(np.where(usable, cost_eur, 0.0) * CENT)
    if cents.max(initial=0) >= MOST_CENTS:
        raise SizeError(
            f"an edge costs {cents.max() / CENT:.3g} EUR; at most {MOST_CENTS / CENT:.3g} EUR is computed "
            "exactly: give costs in EUR, not in cents"
        )
    steps = np.maximum(np.rint(mesh.length_m.astype(np.float64) / LENGTH_STEP_M), 1).astype(np.int64)
    main = np.where(usable, (cents.astype(np.int64) << LENGTH_BITS) + steps, np.int64(-1))
    return main, _hash_pairs(mesh.cells[mesh.edge_a], mesh.cells[mesh.edge_b])


def _hash_pairs(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return int64[], a number below 2**40 for each pair of cells, the same in both orders."""
    low, high = np.minimum(first, second).astype(np.uint64), np.maximum(first, second).astype(np.uint64)
    with np.errstate(over="ignore"):
        mixed = low * np.uint64(0x9E3779B97F4A7C15) ^ (high * np.uint64(0xC2B2AE3D27D4EB4F))
        mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(32)
    return np.asarray(mixed >> np.uint64(64 - TIE_BITS), np.int64)


def sort_sides(mesh: Mesh, home: np.ndarray, hostile: np.ndarray) -> np.ndarray:
    """Return int8[N, 6]: what each side of a home cell faces; INTERIOR for cells that are not home."""
    near = mesh.neighbor
    kind = np.where(home[near], INTERIOR, np.where(hostile[near], HOSTILE, ALLY))
    kind = np.where(near >= 0, kind, OUTSIDE)
    return np.asarray(np.where(home[:, None], kind, INTERIOR), np.int8)


def _find_target(study: Study, mesh: Mesh, deep: np.ndarray, kind: np.ndarray, depth_km: float) -> np.ndarray:
    piece = label_ground(mesh, deep)
    on_rim = ((kind == ALLY) | (kind == OUTSIDE)).any(axis=1)
    target = deep & np.isin(piece, np.unique(piece[deep & on_rim]))
    if not target.any():
        raise InputError(
            [
                Fault(
                    f"no ground of {name_country(study)} lies {depth_km:g} km or more from hostile ground",
                    f"{study.folder}/study.toml",
                    column="echelons.outer_km",
                    remedy="lower the last limit, or give a lower depth",
                )
            ]
        )
    return np.asarray(target)


def label_ground(mesh: Mesh, inside: np.ndarray, open_edges: np.ndarray | None = None) -> np.ndarray:
    """Label connected cells of `inside` bool[N] over `open_edges` bool[E] (all): int32[N], -1 outside."""
    keep = inside[mesh.edge_a] & inside[mesh.edge_b]
    if open_edges is not None:
        keep = keep & open_edges
    graph = csr_matrix(
        (np.ones(int(keep.sum()), np.int8), (mesh.edge_a[keep], mesh.edge_b[keep])),
        shape=(mesh.cell_count, mesh.cell_count),
    )
    _, label = connected_components(graph, directed=False)
    return np.asarray(np.where(inside, label, -1), np.int32)


def number_corners(near: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return int64[N, 6], a number for each corner of the cells `rows` int64[], shared where cells share it.

    Corner k of a cell lies between its neighbours k and k + 1; `near` int32[N, 6] holds -1 where no cell of
    the ground is. Numbers are 6 x cell + corner of the lowest cell that has it.
    """
    back = np.full(near.shape, -1, np.int64)
    for side in range(6):
        other = near[rows, side]
        held = other >= 0
        match = near[other[held]] == rows[held, None]
        back[rows[held], side] = match.argmax(axis=1)
    corner = np.full(near.shape, -1, np.int64)
    for side in range(6):
        one, two = near[rows, side].astype(np.int64), near[rows, (side + 1) % 6].astype(np.int64)
        least = rows * 6 + side
        least = np.where(one >= 0, np.minimum(least, one * 6 + (back[rows, side] + 5) % 6), least)
        least = np.where(two >= 0, np.minimum(least, two * 6 + back[rows, (side + 1) % 6]), least)
        corner[rows, side] = least
    return corner


def _lay_territory(
    study: Study,
    mesh: Mesh,
    kind: np.ndarray,
    target: np.ndarray,
    main: np.ndarray,
    tie: np.ndarray,
    depth_km: float,
) -> Territory:
    home = mesh.mask_countries(study.home)
    rows = np.flatnonzero(home).astype(np.int64)
    corner = number_corners(np.where(home[:, None] & (kind == INTERIOR), mesh.neighbor, -1), rows)
    cell, side = np.nonzero(
        (kind != INTERIOR) | (home[:, None] & (mesh.neighbor > np.arange(len(home))[:, None]))
    )
    tail, head, what = corner[cell, (side + 5) % 6], corner[cell, side], kind[cell, side]
    edge, other = mesh.edge[cell, side], mesh.neighbor[cell, side]
    both = target[cell] & target[other]
    inner = (what == INTERIOR) & ~both & (main[edge] >= 0)
    free = (what == OUTSIDE) & ~target[cell]
    ally = what == ALLY
    odd = np.zeros(6 * mesh.cell_count, bool)
    held = (what == OUTSIDE) & target[cell]
    for ends in (tail[held], head[held]):
        np.logical_xor.at(odd, ends, True)
    ports = np.unique(np.concatenate([tail[ally], head[ally]]))
    used = np.unique(np.concatenate([tail[inner | free], head[inner | free], np.flatnonzero(odd)]))
    nodes = np.concatenate([ports, used[~np.isin(used, ports)]])
    order = np.argsort(nodes)

    def find(corners: np.ndarray) -> np.ndarray:
        return order[np.searchsorted(nodes, corners, sorter=order)].astype(np.int32)

    walk = np.flatnonzero(inner | free)
    built = np.where(inner[walk], edge[walk], -1)
    weight, extra = np.where(built >= 0, main[built], 0), np.where(built >= 0, tie[built], 0)
    arcs = Arcs(find(tail[walk]), find(head[walk]), weight, extra, weight, extra, built.astype(np.int32))
    sides, allies, vertex = _list_sides(
        mesh, cell[ally], side[ally], find(tail[ally]), find(head[ally]), target, main, tie, len(ports)
    )
    region, piece = label_ground(mesh, home), label_ground(mesh, target)
    sides["region"], sides["piece"] = region[cell[ally]], piece[cell[ally]]
    rim = (what == OUTSIDE) | (what == HOSTILE)
    rims = _list_rims(tail[rim], head[rim], what[rim] == HOSTILE, region[cell[rim]], piece[cell[rim]], ports)
    place, place_km = _name_ports(study, vertex)
    return Territory(
        key=name_country(study),
        codes=study.home,
        allies=allies,
        resolution=h3.get_resolution(int(mesh.cells[0])),
        depth_km=depth_km,
        node_count=len(nodes),
        vertex=vertex,
        place=place,
        place_km=place_km,
        odd=odd[nodes],
        arcs=arcs,
        sides=Sides(**sides),
        rims=rims,
    )


def _list_sides(
    mesh: Mesh,
    cell: np.ndarray,
    side: np.ndarray,
    tail: np.ndarray,
    head: np.ndarray,
    target: np.ndarray,
    main: np.ndarray,
    tie: np.ndarray,
    port_count: int,
) -> tuple[dict[str, np.ndarray], tuple[str, ...], np.ndarray]:
    """Describe the sides that face allies, and find the H3 vertex of every port."""
    edge, other = mesh.edge[cell, side], mesh.neighbor[cell, side]
    codes = np.array([*mesh.country_codes, ""])[mesh.country[other]]
    allies, code = np.unique(codes, return_inverse=True)
    vertex = np.zeros(port_count, np.uint64)
    for number, (one, two) in enumerate(
        zip(mesh.cells[cell].tolist(), mesh.cells[other].tolist(), strict=True)
    ):
        vertex[tail[number]], vertex[head[number]] = find_side_vertices(one, two)
    columns = {
        "cell": mesh.cells[cell],
        "other": mesh.cells[other],
        "code": code.astype(np.int16),
        "tail": tail,
        "head": head,
        "far": target[cell],
        "main": main[edge],
        "tie": tie[edge],
        "length_m": mesh.length_m[edge],
        "open": (mesh.gap_m[edge] > 0) | (mesh.road_class[edge] >= 0),
        "outer": np.zeros(len(cell), bool),
    }
    return columns, tuple(str(one) for one in allies), vertex


def find_side_vertices(cell: int, other: int) -> tuple[int, int]:
    """Return the H3 vertices at the ends of the side between two cells, counter-clockwise round the first.

    Examples
    --------
    >>> cell = h3.latlng_to_cell(55.0, 24.0, 8)
    >>> other = h3.grid_ring(cell, 1)[0]
    >>> find_side_vertices(cell, other) == find_side_vertices(other, cell)[::-1]
    True
    """
    one, two = set(h3.cell_to_vertexes(cell)) & set(h3.cell_to_vertexes(other))
    lat, lon = h3.cell_to_latlng(cell)
    (lat_one, lon_one), (lat_two, lon_two) = h3.vertex_to_latlng(one), h3.vertex_to_latlng(two)
    turn = (lon_one - lon) * (lat_two - lat) - (lon_two - lon) * (lat_one - lat)
    return (one, two) if turn > 0 else (two, one)


def _list_rims(
    tail: np.ndarray,
    head: np.ndarray,
    hostile: np.ndarray,
    region: np.ndarray,
    piece: np.ndarray,
    ports: np.ndarray,
) -> tuple[Rim, ...]:
    """Join the rim sides that face no ally into stretches."""
    corners, place = np.unique(np.concatenate([tail, head]), return_inverse=True)
    first, second = place[: len(tail)], place[len(tail) :]
    graph = csr_matrix((np.ones(len(tail), np.int8), (first, second)), shape=(len(corners),) * 2)
    count, label = connected_components(graph, directed=False)
    stretch = label[first]
    port_rows = np.flatnonzero(np.isin(ports, corners))
    port_stretch = label[np.searchsorted(corners, ports[port_rows])]
    rims = []
    for one in range(count):
        inside = stretch == one
        pieces = np.unique(piece[inside & ~hostile & (piece >= 0)])
        rims.append(
            Rim(
                int(region[inside][0]),
                bool(hostile[inside].any()),
                tuple(pieces.tolist()),
                tuple(port_rows[port_stretch == one].tolist()),
            )
        )
    return tuple(rims)


def _name_ports(study: Study, vertex: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the name of and the distance [km] to the nearest place of the country, per port."""
    places = study.tables["places"]
    places = places[places["country"].isin(study.home) & places["kind"].isin(SETTLEMENTS)]
    if places.empty or not len(vertex):
        return ("",) * len(vertex), np.full(len(vertex), np.inf)
    points = np.array([h3.vertex_to_latlng(int(one)) for one in vertex])
    lon, lat = places["lon"].to_numpy(), places["lat"].to_numpy()
    km = np.round(measure_km(points[:, 1, None], points[:, 0, None], lon, lat), 3)
    nearest = km.argmin(axis=1)
    names = places["name"].to_numpy()
    return tuple(str(one) for one in names[nearest]), km[np.arange(len(vertex)), nearest]


def measure_km(lon: np.ndarray, lat: np.ndarray, lon_to: np.ndarray, lat_to: np.ndarray) -> np.ndarray:
    """Return great-circle kilometres between points in degrees.

    Examples
    --------
    >>> round(float(measure_km(np.array(24.0), np.array(55.0), np.array(24.0), np.array(56.0))), 1)
    111.2
    """
    x, y, u, v = (np.radians(one) for one in (lon, lat, lon_to, lat_to))
    half = np.sin((v - y) / 2) ** 2 + np.cos(y) * np.cos(v) * np.sin((u - x) / 2) ** 2
    return np.asarray(2 * 6371.0088 * np.arcsin(np.sqrt(half)))
