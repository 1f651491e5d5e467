"""The roads of a mesh as a small graph: junctions and places joined by stretches of road."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from abatis.model.errors import Fault, InputError
from abatis.model.mesh import Mesh

KM_PER_DEGREE = 111.2


@dataclass(frozen=True)
class RoadGraph:
    """Stretches of road (L) between nodes (R); a stretch is used in both directions.

    `cells` int32[R], cell of each node; `node_of_cell` int32[N], -1 where a cell is no node; `tail`, `head`
    int32[L]; `time_h` float64[L]; `capacity` float64[L], vehicles per hour and direction of the narrowest
    edge; `edges` rows of mesh edges per stretch; `link_of_edge` int32[E], -1 where no stretch uses an edge.
    `indptr`, `indices`, `slot_link` hold both directions as a sparse matrix.
    """

    cells: np.ndarray
    node_of_cell: np.ndarray
    tail: np.ndarray
    head: np.ndarray
    time_h: np.ndarray
    capacity: np.ndarray
    edges: tuple[np.ndarray, ...]
    link_of_edge: np.ndarray
    indptr: np.ndarray
    indices: np.ndarray
    slot_link: np.ndarray

    @property
    def node_count(self) -> int:
        """Number of nodes."""
        return len(self.cells)

    @property
    def link_count(self) -> int:
        """Number of stretches."""
        return len(self.tail)

    def find_links(self, edges: np.ndarray) -> np.ndarray:
        """Return int32[], the stretches that hold some mesh edges, each once."""
        found = np.unique(self.link_of_edge[np.asarray(edges, np.int32)])
        return found[found >= 0]

    def compute_times(self, sources: np.ndarray, closed: np.ndarray | None = None) -> np.ndarray:
        """Return float64[R], hours between each node and its nearest source; inf where no road leads.

        Parameters
        ----------
        sources : int32[], rows of nodes; may be empty.
        closed : rows of closed stretches.
        """
        if len(sources) == 0 or self.node_count == 0:
            return np.full(self.node_count, np.inf)
        matrix = self._weigh(closed)
        return np.asarray(dijkstra(matrix, directed=True, indices=sources, min_only=True))

    def compute_forest(
        self, sources: np.ndarray, closed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the hours float64[R], and per node the next node and stretch towards its source (-1 none).

        In words: each node knows where to go next to reach the nearest source fastest.
        """
        if len(sources) == 0 or self.node_count == 0:
            nowhere = np.full(self.node_count, -1, np.int32)
            return np.full(self.node_count, np.inf), nowhere, nowhere.copy()
        matrix = self._weigh(closed)
        hours, back, _ = dijkstra(
            matrix, directed=True, indices=sources, min_only=True, return_predecessors=True
        )
        onward = np.where(back >= 0, back, -1).astype(np.int32)
        link = np.full(self.node_count, -1, np.int32)
        for node in np.flatnonzero(onward >= 0).tolist():
            slots = slice(self.indptr[node], self.indptr[node + 1])
            here = self.slot_link[slots][self.indices[slots] == onward[node]]
            link[node] = here[0]
        return np.asarray(hours), onward, link

    def _weigh(self, closed: np.ndarray | None) -> csr_array:
        hours = self.time_h
        if closed is not None and len(closed):
            hours = hours.copy()
            hours[closed] = np.inf
        shape = (self.node_count, self.node_count)
        return csr_array((hours[self.slot_link], self.indices, self.indptr), shape=shape)


def build_road_graph(
    mesh: Mesh, road_h: np.ndarray, vehicles_per_hour: np.ndarray, kept: np.ndarray, barred: np.ndarray
) -> RoadGraph:
    """Contract the road edges of a mesh to stretches between junctions and cells that must be kept.

    Parameters
    ----------
    road_h : float64[E], hours by road, inf where there is none.
    vehicles_per_hour : float64[E], capacity of the road on each edge and direction.
    kept : bool[N], cells that must stay nodes: places, hospitals, the first cells that are safe.
    barred : bool[N], cells that nobody drives through (hostile ground).

    Formula: time of a stretch = sum of its edges; capacity = least of its edges.
    In words: cells where a road only passes are left out; nothing is lost, because nobody starts, ends or
    turns there. Two stretches between the same nodes keep a middle node, so that each pair has one stretch.
    """
    used = np.isfinite(road_h) & (mesh.road_class >= 0) & ~barred[mesh.edge_a] & ~barred[mesh.edge_b]
    rows = np.flatnonzero(used)
    near: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for edge, a, b in zip(rows.tolist(), mesh.edge_a[rows].tolist(), mesh.edge_b[rows].tolist(), strict=True):
        near[a].append((b, edge))
        near[b].append((a, edge))
    nodes = {cell for cell, steps in near.items() if kept[cell] or len(steps) != 2}
    chains = _split_doubles(_walk_chains(near, nodes), nodes)
    cells = np.array(sorted(nodes), np.int32)
    node_of_cell = np.full(mesh.cell_count, -1, np.int32)
    node_of_cell[cells] = np.arange(len(cells), dtype=np.int32)
    link_of_edge = np.full(mesh.edge_count, -1, np.int32)
    edges = tuple(np.array(chain, np.int32) for _, chain in chains)
    for link, chain in enumerate(edges):
        link_of_edge[chain] = link
    tail = node_of_cell[[path[0] for path, _ in chains]] if chains else np.empty(0, np.int32)
    head = node_of_cell[[path[-1] for path, _ in chains]] if chains else np.empty(0, np.int32)
    both = np.concatenate([tail, head])
    order = np.argsort(both, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(both, minlength=len(cells)))]).astype(np.int32)
    return RoadGraph(
        cells=cells,
        node_of_cell=node_of_cell,
        tail=tail,
        head=head,
        time_h=np.array([road_h[chain].sum() for chain in edges], np.float64),
        capacity=np.array([vehicles_per_hour[chain].min() for chain in edges], np.float64),
        edges=edges,
        link_of_edge=link_of_edge,
        indptr=indptr,
        indices=np.concatenate([head, tail])[order].astype(np.int32),
        slot_link=np.tile(np.arange(len(chains), dtype=np.int32), 2)[order],
    )


Chain = tuple[list[int], list[int]]


def _walk_chains(near: Mapping[int, list[tuple[int, int]]], nodes: set[int]) -> list[Chain]:
    """Return the cells and edges of every stretch between two nodes, each stretch once."""
    chains: list[Chain] = []
    seen: set[int] = set()
    for start in sorted(nodes):
        for step, edge in near[start]:
            if edge in seen:
                continue
            seen.add(edge)
            path, chain = [start, step], [edge]
            while path[-1] not in nodes:
                here = path[-1]
                onward, after = next(one for one in near[here] if one[1] != chain[-1])
                seen.add(after)
                path.append(onward)
                chain.append(after)
            if path[0] != path[-1]:
                chains.append((path, chain))
    return chains


def _split_doubles(chains: list[Chain], nodes: set[int]) -> list[Chain]:
    """Give stretches between the same two nodes a node in their middle, but for the shortest of them."""
    by_pair: dict[tuple[int, int], list[Chain]] = defaultdict(list)
    for path, chain in chains:
        by_pair[min(path[0], path[-1]), max(path[0], path[-1])].append((path, chain))
    result = []
    for pair in sorted(by_pair):
        group = sorted(by_pair[pair], key=lambda one: len(one[1]))
        result.append(group[0])
        for path, chain in group[1:]:
            middle = len(chain) // 2
            nodes.add(path[middle])
            result += [(path[: middle + 1], chain[:middle]), (path[middle:], chain[middle:])]
    return result


def snap_points(
    mesh: Mesh, road_h: np.ndarray, barred: np.ndarray, lon: Sequence[float], lat: Sequence[float], km: float
) -> np.ndarray:
    """Return int32[P], the nearest cell with a road that is not barred, -1 where none lies within `km`.

    Parameters
    ----------
    road_h : float64[E], hours by road, inf where there is none.
    barred : bool[N], cells that nobody drives through.
    lon, lat : P points, degrees.
    """
    used = np.isfinite(road_h) & (mesh.road_class >= 0) & ~barred[mesh.edge_a] & ~barred[mesh.edge_b]
    cells = np.unique(np.concatenate([mesh.edge_a[used], mesh.edge_b[used]]))
    found = np.full(len(lon), -1, np.int32)
    if len(cells) == 0:
        return found
    for place, (east, north) in enumerate(zip(lon, lat, strict=True)):
        dx = (mesh.lon[cells] - east) * KM_PER_DEGREE * np.cos(np.radians(north))
        dy = (mesh.lat[cells] - north) * KM_PER_DEGREE
        away = np.hypot(dx, dy)
        nearest = int(np.argmin(away))
        if away[nearest] <= km:
            found[place] = cells[nearest]
    return found


def weigh_capacity(mesh: Mesh, capacity: np.ndarray) -> np.ndarray:
    """Return float64[E], vehicles per hour and direction on each edge; 0 where there is no road.

    Raises
    ------
    InputError : a class of road that the mesh holds has no capacity.
    """
    road = mesh.road_class >= 0
    result = np.zeros(mesh.edge_count)
    result[road] = np.asarray(capacity, np.float64)[mesh.road_class[road]]
    if (result[road] <= 0).any():
        raise InputError([Fault("is 0 vehicles/h", column="capacity", remedy="give more than 0")])
    return result
