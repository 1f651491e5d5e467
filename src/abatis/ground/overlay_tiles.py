"""Tiles of the overlay: the cells under one coarser H3 cell, their edges, and one file for each tile."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from abatis.ground import _overlay as kernel
from abatis.ground import _search as search
from abatis.ground.exact_times import snap_times
from abatis.model.errors import Fault, InputError
from abatis.model.storage import write_whole

MAGIC = int.from_bytes(b"abatile1", "little")
HEADER = 8
SUFFIX = ".tile"


@dataclass(frozen=True)
class Arcs:
    """What other tiles need to know of a tile: its rim and the least times across it.

    `rim` uint64[K], sorted, the cells it shares with other tiles; the arcs from rim cell i go to `head`
    int32[A] (places in the rim) and take `arc_h` float64[A] for places `start`[i] to `start`[i + 1] - 1.
    """

    rim: np.ndarray
    start: np.ndarray
    head: np.ndarray
    arc_h: np.ndarray


@dataclass(frozen=True)
class Tile:
    """One tile, which can be read and worked on alone.

    `cells` uint64[n]: first its own cells, sorted, then the guests, cells of lower tiles that an edge of this
    tile ends at. `edges` int64[e] are the rows of its edges in the mesh, `time_h` float64[e] their hours;
    `neighbor` and `edge` int32[n, 6] speak of places in `cells` and `edges`. `rim` int32[K] are the places of
    the cells it shares with other tiles. `arcs` is None until `measure_arcs` has run.
    """

    tile: int
    own: int
    cells: np.ndarray
    neighbor: np.ndarray
    edge: np.ndarray
    edges: np.ndarray
    time_h: np.ndarray
    rim: np.ndarray
    arcs: Arcs | None = None

    def holds_same(self, other: Tile) -> bool:
        """Say whether another tile has the same cells, edges and hours; arcs are not looked at.

        Examples
        --------
        >>> none = np.empty(0)
        >>> tile = Tile(1, 0, none, none, none, none, np.array([1.0]), none)
        >>> tile.holds_same(tile), tile.holds_same(replace(tile, time_h=np.array([2.0])))
        (True, False)
        """
        names = ("cells", "neighbor", "edge", "edges", "time_h", "rim")
        same = (self.tile, self.own) == (other.tile, other.own)
        return same and all(np.array_equal(getattr(self, name), getattr(other, name)) for name in names)

    @property
    def slot_h(self) -> np.ndarray:
        """Hours over each of a cell's edges, float64[n, 6], inf where there is none."""
        return np.asarray(search.gather_times(self.edge, self.time_h))

    @property
    def rim_cells(self) -> np.ndarray:
        """The shared cells in the order of `rim` (places in `cells`), uint64[K]."""
        return np.asarray(self.cells[self.rim])


def find_parents(cells: np.ndarray, resolution: int) -> np.ndarray:
    """Return uint64[N], the coarser H3 cell that each cell belongs to.

    Formula: bits 52 to 55 hold the resolution; every digit beyond it is set to 7.

    Raises
    ------
    InputError : a resolution that is not coarser than the cells'.

    Examples
    --------
    >>> hex(find_parents(np.array([0x891f1d48b07ffff], dtype=np.uint64), 5)[0])
    '0x851f1d4bfffffff'
    """
    cells = np.asarray(cells, dtype=np.uint64)
    finest = int((cells[0] >> np.uint64(52)) & np.uint64(15)) if cells.size else 15
    if not 0 <= resolution < finest:
        raise InputError(
            [
                Fault(
                    f"tiles of resolution {resolution} for cells of resolution {finest}",
                    column="resolution",
                    remedy=f"give 0 to {finest - 1}",
                )
            ]
        )
    bare = cells & np.uint64(~(15 << 52) & (2**64 - 1))
    return np.asarray(bare | np.uint64((resolution << 52) | ((1 << 3 * (15 - resolution)) - 1)))


def make_tile(
    tile: int,
    own: np.ndarray,
    cell_a: np.ndarray,
    cell_b: np.ndarray,
    edges: np.ndarray,
    time_h: np.ndarray,
    resolution: int,
) -> Tile:
    """Make a tile from its own cells and every edge that touches one of them.

    Parameters
    ----------
    tile : H3 index of the coarser cell.
    own : uint64[], H3 indices of the mesh's cells under it.
    cell_a, cell_b : uint64[], the two cells of each edge that touches an own cell.
    edges : int64[], the edges' rows in the mesh.
    time_h : float64[], hours per edge, inf where closed.
    resolution : H3 resolution of the tiles.

    In words: an edge between two tiles belongs to the higher one, where its lower cell is a guest. So every
    edge has one tile, and tiles meet only in cells. Nothing beyond the tile's own edges is looked at.

    Raises
    ------
    InputError : an own cell repeats, an edge repeats or touches no own cell, or times that are not valid.
    """
    own = np.unique(np.asarray(own, dtype=np.uint64))
    a, b = np.asarray(cell_a, dtype=np.uint64), np.asarray(cell_b, dtype=np.uint64)
    tile_a, tile_b = find_parents(a, resolution), find_parents(b, resolution)
    here = np.uint64(tile)
    if np.any((tile_a != here) & (tile_b != here)):
        raise InputError(
            [Fault(f"tile {tile:x} is given edges that touch none of its cells", column="edges")]
        )
    mine = np.maximum(tile_a, tile_b) == here
    given_away = np.concatenate((a[~mine & (tile_a == here)], b[~mine & (tile_b == here)]))
    a, b, edges = a[mine], b[mine], np.asarray(edges, dtype=np.int64)[mine]
    ends = np.concatenate((a, b))
    guests = np.unique(ends[np.concatenate((tile_a[mine], tile_b[mine])) != here])
    cells = np.concatenate((own, guests))
    # Guests are sorted too, but not after the own cells: one sorted list with its order serves both.
    order = np.argsort(cells)
    places = order[np.searchsorted(cells[order], ends)] if cells.size else np.empty(0, np.int64)
    if np.any(cells[places] != ends):
        raise InputError([Fault(f"tile {tile:x} has edges at cells it does not hold", column="own")])
    place_a, place_b = places[: a.size].astype(np.int32), places[a.size :].astype(np.int32)
    neighbor, edge = kernel.link_edges(cells.size, place_a, place_b)
    if cells.size and neighbor[0, 0] == -2:
        raise InputError([Fault(f"a cell of tile {tile:x} has over six edges", column="edges")])
    shared = np.unique(np.concatenate((given_away, guests)))
    rim = order[np.searchsorted(cells[order], shared)].astype(np.int32)
    times = snap_times(np.asarray(time_h)[mine])
    return Tile(int(tile), own.size, cells, neighbor, edge, edges, times, rim)


def set_times(tile: Tile, time_h: np.ndarray) -> Tile:
    """Return the tile with new hours per edge, in the order of `tile.edges`, and without arcs.

    Raises
    ------
    InputError : another number of times, or times that are not valid.
    """
    time_h = np.asarray(time_h, dtype=np.float64)
    if time_h.shape != tile.time_h.shape:
        raise InputError(
            [
                Fault(
                    f"has shape {time_h.shape}, tile {tile.tile:x} has {tile.edges.size} edges",
                    column="time_h",
                )
            ]
        )
    return replace(tile, time_h=snap_times(time_h), arcs=None)


def measure_arcs(tile: Tile) -> Tile:
    """Return the tile with the least times between its rim cells, as few as carry them all.

    Formula: L(i, j) least time inside the tile; the arc i - j is kept unless L(i, v) + L(v, j) = L(i, j) for
    some third rim cell v.
    In words: one search from each rim cell; what two shorter arcs make up is left out. All of these may go at
    once, because times are positive and so every arc is replaced by strictly shorter ones.
    """
    width = search.find_bucket_width(tile.time_h)
    least = kernel.measure_rim(tile.neighbor, tile.slot_h, tile.rim, width)
    start, head, arc_h = kernel.list_arcs(least)
    return replace(tile, arcs=Arcs(tile.rim_cells, start, head, arc_h))


def search_inside(tile: Tile, seeds: np.ndarray, seed_h: np.ndarray) -> np.ndarray:
    """Return float64[n], the least hours to every cell of the tile on ways inside it.

    Parameters
    ----------
    seeds : int32[], places in `tile.cells` that are reached after `seed_h` hours, inf where they are not.
    """
    width = search.find_bucket_width(tile.time_h)
    return np.asarray(kernel.search_tile(tile.neighbor, tile.slot_h, seeds, seed_h, width))


def write_tile(tile: Tile, path: Path) -> None:
    """Write a tile whole or not at all: a header of eight numbers, the arcs, then the cells and edges."""
    arcs = tile.arcs
    count = -1 if arcs is None else arcs.head.size
    header = [MAGIC, tile.tile, tile.own, tile.cells.size, tile.edges.size, tile.rim.size, count, 0]
    blocks: list[np.ndarray] = [np.array(header, dtype=np.int64), tile.rim_cells]
    if arcs is not None:
        blocks += [arcs.start, arcs.arc_h, arcs.head, np.zeros(count % 2, np.int32)]
    blocks += [tile.cells, tile.edges, tile.time_h, tile.neighbor, tile.edge, tile.rim]
    with write_whole(path) as temporary, temporary.open("wb") as stream:
        for block in blocks:
            stream.write(np.ascontiguousarray(block).tobytes())


def read_tile(path: Path) -> Tile:
    """Read a tile without its arcs, which only `read_arcs` gives.

    Raises
    ------
    InputError : there is no such file, or it is not a whole tile.
    """
    header, (cells, edges, time_h, neighbor, edge, rim) = _read_blocks(path, arcs=False)
    shape = (header[3], 6)
    return Tile(header[1], header[2], cells, neighbor.reshape(shape), edge.reshape(shape), edges, time_h, rim)


def read_arcs(path: Path) -> tuple[int, Arcs | None]:
    """Read what other tiles need to know of a tile: the count of its own cells, and its arcs if measured.

    Raises
    ------
    InputError : there is no such file, or it is not a whole tile.
    """
    header, (rim, start, arc_h, head) = _read_blocks(path, arcs=True)
    return header[2], None if header[6] < 0 else Arcs(rim, start, head, arc_h)


def _read_blocks(path: Path, arcs: bool) -> tuple[list[int], list[np.ndarray]]:
    """Return the header and the arrays of the arcs, or those of the cells and edges."""
    remedy = "cut the tiles again"
    try:
        with path.open("rb") as stream:
            start = stream.read(8 * HEADER)
            header = np.frombuffer(start.ljust(8 * HEADER, b"\0"), dtype=np.int64).tolist()
            if header[0] != MAGIC or min(header[2:6]) < 0:
                raise InputError([Fault("is not a tile of an overlay", str(path), remedy=remedy)])
            _, _, _, n, e, k, measured, _ = header
            count = max(measured, 0)
            arc_bytes = 8 * k + (0 if measured < 0 else 8 * (k + 1) + 12 * count + 4 * (count % 2))
            rest_bytes = 56 * n + 16 * e + 4 * k
            size = 8 * HEADER + arc_bytes + rest_bytes
            if path.stat().st_size != size:
                raise InputError([Fault(f"is cut off: {size} bytes expected", str(path), remedy=remedy)])
            if not arcs:
                stream.seek(arc_bytes, 1)
            data = stream.read(arc_bytes if arcs else rest_bytes)
    except OSError as error:
        raise InputError([Fault(f"cannot be read: {error.strerror}", str(path), remedy=remedy)]) from error
    if arcs:
        lengths = [k, 0 if measured < 0 else k + 1, count, count]
        kinds: list[type] = [np.uint64, np.int64, np.float64, np.int32]
    else:
        lengths = [n, e, e, 6 * n, 6 * n, k]
        kinds = [np.uint64, np.int64, np.float64, np.int32, np.int32, np.int32]
    blocks: list[np.ndarray] = []
    at = 0
    for length, kind in zip(lengths, kinds, strict=True):
        blocks.append(np.frombuffer(data, dtype=kind, count=length, offset=at))
        at += blocks[-1].nbytes
    return header, blocks
