"""What-if: the exact arrival time of one approach after some edges change, without a full search.

Kept per approach under the present plan: the time from the front and the time to the objective of every cell,
and the forests of least-time routes behind them.

* Edges became slower (a site switched on). A cell's time still holds unless its route uses a slower edge. A
  least-time way under the change consists of a part whose times from the front still hold, perhaps a part in
  cells cut off on both sides, and a part whose times to the objective still hold. The cells cut off from the
  objective form connected patches of the plane, and the cells that are not are connected too, so one walk
  round each patch meets every edge where such a way can change over; only cells cut off on both sides are
  searched.
* Edges became faster (a site switched off). A way over one of them costs the two fields and that edge. Fields
  change no faster than time passes, which bounds every way over several of them from below; only where that
  bound leaves room is anything searched.
* Both at once (a swap): the two together; where they cannot settle it, A* guided by the same bounds. Very
  large changes are searched in full.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from abatis.ground import _query as kernel
from abatis.ground import _search as search
from abatis.ground.travel import check_cells, check_times
from abatis.model.errors import Fault, InputError
from abatis.model.mesh import Mesh

# Measured on 0.17 and 1.2 million cells: beyond these a full search is faster than bounds and A*.
MOST_FASTER = 600
MIXED_SHARE = 0.02


@dataclass(frozen=True)
class Workspace:
    """Scratch arrays, shared by all approaches on one mesh (24 bytes per cell); one thread at a time."""

    cost: np.ndarray
    key: np.ndarray
    heap: np.ndarray
    place: np.ndarray


@dataclass(frozen=True)
class Field:
    """Times from a set of cells and the forest of least-time routes: `times` float64[N], `slot` int8[N].

    `enter`, `leave` int32[N] number the forest: the cells whose route passes c are those numbered from
    enter[c] to leave[c] - 1; -1 where unreachable.
    """

    times: np.ndarray
    slot: np.ndarray
    enter: np.ndarray
    leave: np.ndarray


@dataclass(frozen=True)
class WhatIf:
    """One approach under the present plan, ready for questions; made by `prepare_whatif`.

    `arrival_h` is the arrival time now. `query` never changes the object; `apply` returns a new one.
    """

    mesh: Mesh
    time_h: np.ndarray
    front: np.ndarray
    objective: int
    from_front: Field
    to_objective: Field
    arrival_h: float
    workspace: Workspace

    def query(self, edges: np.ndarray, new_time_h: np.ndarray) -> float:
        """Return the arrival time (hours) if these edges took these times; inf if no way is left.

        Parameters
        ----------
        edges : int[K], edges that change, each once.
        new_time_h : float64[K], their new times; inf closes an edge.

        Raises
        ------
        InputError : edges outside the mesh, or times that are not positive.
        """
        return self.query_counted(edges, new_time_h)[0]

    def query_counted(self, edges: np.ndarray, new_time_h: np.ndarray) -> tuple[float, int]:
        """Return the same as `query` and the number of cells handled."""
        edges, new_time_h = self._check_change(edges, new_time_h)
        mesh, far, near, work = self.mesh, self.from_front, self.to_objective, self.workspace
        old = self.time_h[edges]
        slower, faster = edges[new_time_h > old], edges[new_time_h < old]
        arrival, handled = self.arrival_h, 0
        scratch = (work.cost, work.key, work.heap, work.place)
        ground = (mesh.neighbor, mesh.edge, mesh.edge_a, mesh.edge_b, self.time_h)
        fields = (
            far.times, far.slot, far.enter, far.leave, near.times, near.slot, near.enter, near.leave,
        )  # fmt: skip
        try:
            if faster.size > MOST_FASTER:
                self.time_h[edges] = new_time_h
                return self._search_fully()
            if slower.size:
                self.time_h[slower] = new_time_h[new_time_h > old]
                arrival, handled = kernel.query_longer(*ground, slower, self.front, *fields, *scratch)
            if faster.size:
                self.time_h[faster] = new_time_h[new_time_h < old]
                if slower.size:
                    most = int(MIXED_SHARE * mesh.cell_count) + 1
                    arrival, more = kernel.query_mixed(
                        *ground, slower, faster, arrival, most, self.front, *fields, *scratch
                    )
                else:
                    arrival, more = kernel.query_shorter(
                        *ground, faster, arrival, far.times, near.times, *scratch
                    )
                handled += more
                if np.isnan(arrival):
                    arrival, more = self._search_fully()
                    handled += more
        finally:
            self.time_h[edges] = old
        return float(arrival), int(handled)

    def _search_fully(self) -> tuple[float, int]:
        """Search everything: the way out where a change is so large that no bound helps."""
        times = np.empty(self.mesh.cell_count)
        slot_h = search.gather_times(self.mesh.edge, self.time_h)
        width = search.find_bucket_width(self.time_h)
        sources = np.array([self.objective])
        handled = search.search_all(self.mesh.neighbor, slot_h, sources, np.inf, width, times)
        return float(times[self.front].min()), int(handled)

    def apply(self, edges: np.ndarray, new_time_h: np.ndarray) -> WhatIf:
        """Return the approach with the change made: both fields are repaired where they differ.

        Raises
        ------
        InputError : as `query`.
        """
        edges, new_time_h = self._check_change(edges, new_time_h)
        old = self.time_h[edges]
        time_h = self.time_h.copy()
        time_h[edges] = new_time_h
        slower, faster = edges[new_time_h > old], edges[new_time_h < old]
        fields = [
            _repair_field(self.mesh, time_h, one, slower, faster)
            for one in (self.from_front, self.to_objective)
        ]
        return _assemble(self.mesh, time_h, self.front, self.objective, fields[0], fields[1], self.workspace)

    def find_route(self) -> np.ndarray:
        """Return int32[], the cells of the present least-time route from the front to the objective.

        Raises
        ------
        InputError : there is no way.
        """
        start = int(self.front[0])
        if not np.isfinite(self.to_objective.times[start]):
            raise InputError([Fault("no way leads from the front to the objective")])
        return search.follow(self.mesh.neighbor, self.to_objective.slot, start)

    def count_bytes(self) -> int:
        """Return the bytes kept for this approach, without the mesh and the shared workspace."""
        arrays = [self.time_h, self.front]
        for one in (self.from_front, self.to_objective):
            arrays += [one.times, one.slot, one.enter, one.leave]
        return sum(array.nbytes for array in arrays)

    def _check_change(self, edges: np.ndarray, new_time_h: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        edges = np.ascontiguousarray(np.atleast_1d(edges), dtype=np.int64)
        new_time_h = np.ascontiguousarray(np.atleast_1d(new_time_h), dtype=np.float64)
        if edges.shape != new_time_h.shape:
            raise InputError([Fault(f"{edges.size} edges but {new_time_h.size} times", column="new_time_h")])
        if edges.size and (edges.min() < 0 or edges.max() >= self.mesh.edge_count):
            raise InputError([Fault(f"an edge lies outside 0 to {self.mesh.edge_count - 1}", column="edges")])
        check_times(new_time_h, "new_time_h")
        return edges, new_time_h


def prepare_workspace(mesh: Mesh) -> Workspace:
    """Make the scratch arrays of a mesh."""
    n = mesh.cell_count
    return Workspace(np.full(n, np.inf), np.empty(n), np.empty(n, np.int32), np.full(n, -1, np.int32))


def prepare_whatif(
    mesh: Mesh,
    time_h: np.ndarray,
    front: np.ndarray,
    objective: int,
    workspace: Workspace | None = None,
) -> WhatIf:
    """Prepare an approach: two full searches and their forests.

    Parameters
    ----------
    time_h : float64[E], hours per edge under the present plan; copied.
    front : int32[], rows of the cells where movement starts.
    objective : row of the cell where movement ends; one cell, because the walk round the cells cut off relies
        on all cells that are not being connected.
    workspace : shared scratch arrays; made when not given.

    In words: the arrival time is the least time from any front cell to the objective.

    Raises
    ------
    InputError : cells outside the mesh, or times that are not positive.
    """
    front = np.unique(check_cells(front, mesh.cell_count, "front"))
    objective = int(check_cells(np.array([objective]), mesh.cell_count, "objective")[0])
    time_h = np.array(time_h, dtype=np.float64)
    if time_h.shape != (mesh.edge_count,):
        raise InputError(
            [Fault(f"has shape {time_h.shape}, the mesh has {mesh.edge_count} edges", column="time_h")]
        )
    check_times(time_h)
    slot_h = search.gather_times(mesh.edge, time_h)
    width = search.find_bucket_width(time_h)
    fields = []
    for sources in (front, np.array([objective], dtype=np.int32)):
        times = np.empty(mesh.cell_count)
        search.search_all(mesh.neighbor, slot_h, sources, np.inf, width, times)
        fields.append(_number_field(mesh, time_h, times))
    return _assemble(
        mesh, time_h, front, objective, fields[0], fields[1], workspace or prepare_workspace(mesh)
    )


def _assemble(
    mesh: Mesh,
    time_h: np.ndarray,
    front: np.ndarray,
    objective: int,
    from_front: Field,
    to_objective: Field,
    workspace: Workspace,
) -> WhatIf:
    order = np.argsort(to_objective.times[front], kind="stable")
    front = np.ascontiguousarray(front[order])
    arrival = float(to_objective.times[front[0]])
    return WhatIf(mesh, time_h, front, objective, from_front, to_objective, arrival, workspace)


def _number_field(mesh: Mesh, time_h: np.ndarray, times: np.ndarray) -> Field:
    slot = search.point_back(mesh.neighbor, mesh.edge, time_h, times)
    enter, leave = np.empty(times.size, np.int32), np.empty(times.size, np.int32)
    search.number_tree(mesh.neighbor, slot, times, enter, leave)
    return Field(times, slot, enter, leave)


def _repair_field(
    mesh: Mesh, time_h: np.ndarray, field: Field, slower: np.ndarray, faster: np.ndarray
) -> Field:
    """Mend a field: first the cells cut off by slower edges, then the cells that faster edges improve."""
    times = field.times.copy()
    if slower.size:
        _, starts, stops = kernel.list_cut(
            slower, mesh.edge, mesh.edge_a, mesh.edge_b, field.slot, field.enter, field.leave
        )
        affected = search.mark_ranges(field.enter, starts, stops)
        search.repair_longer(mesh.neighbor, mesh.edge, time_h, affected, times)
    if faster.size:
        search.repair_shorter(mesh.neighbor, mesh.edge, time_h, mesh.edge_a, mesh.edge_b, faster, times)
    return _number_field(mesh, time_h, times)
