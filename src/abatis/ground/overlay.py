"""Overlay: least times over a mesh that is cut into tiles, each of which is loaded and redone alone.

1. **Cut** (`cut_tiles`). Cells are grouped by a coarser H3 cell. An edge between two tiles belongs to the
   higher one, so every edge has exactly one tile and tiles meet only in shared cells.
2. **Measure** (`measure_tiles`). Each tile alone: the least times between its shared cells, on ways inside.
3. **Search** (`search_overlay`). From the sources inside their tiles to their shared cells, then over the
   arcs of all tiles, which is all that is held in memory at once.
4. **Fill** (`fill_tile`). Each tile alone, in any order, on any worker: from shared cells to all its cells.

After a change inside a tile, `change_tile` redoes that tile alone and `repair_reach` only those shared cells
whose least way the change touches; it names the tiles whose times differ, and only these are filled again.

Why the answer is that of one search over the whole mesh, to the last bit:

* Times are rounded to multiples of u = 2^-36 h (`snap_times`). A double holds every multiple of u up to
  2^53 u, so sums of times up to 131,072 h are exact, whatever the order of adding. Sums above it are rounded,
  but rounding keeps order: such a sum never falls below the limit. No final time may lie above it (this is
  checked), so no rounded sum is ever part of an answer.
* Every way is a chain of stretches, each inside one tile; it changes tiles only where edges of two tiles
  meet, in a shared cell. Hence least times between shared cells, then over these, then from these to all
  cells make up the least time of any way, for exact sums.
* The plain search gives the least over all ways of the same sums, which are exact there as well. Two equal
  numbers below the limit are the same bits.

The plain run this speaks of is `travel.compute_times` with the same rounded times. Source of the method:
Delling, Goldberg, Pajor, Werneck (2017), "Customizable Route Planning in Road Networks", Transportation
Science 51(2); repair after Ramalingam and Reps (1996), Journal of Algorithms 21(2).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from abatis.ground import _overlay as kernel
from abatis.ground.exact_times import check_exact
from abatis.ground.overlay_tiles import (
    SUFFIX,
    Arcs,
    Tile,
    find_parents,
    make_tile,
    measure_arcs,
    read_arcs,
    read_tile,
    search_inside,
    set_times,
    write_tile,
)
from abatis.model.errors import Fault, InputError
from abatis.model.mesh import Mesh
from abatis.model.storage import write_text_whole

Spread = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""Applies a function to every item and gives the answers in order: `map`, or an executor's `map`."""

Graph = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]

FORMAT = 1
LIST = "overlay.json"
# Room kept for a tile's arcs beyond those it has, and for tiles that outgrow theirs, as shares.
ROOM_IN_TILE, ROOM_AT_END = 0.1, 0.1
# Beyond this share of shared cells that lose their time, a new search is faster than mending.
MOST_LOST = 0.2


@dataclass
class Overlay:
    """The shared cells of all tiles and the arcs between them; `change_tile` changes it in place.

    `tiles` uint64[T] sorted; the own cells of tile t are rows `first`[t] to `first`[t + 1] - 1 of the sorted
    mesh. `shared` uint64[S] sorted, the cells that tiles share. The rim of tile t is `rim_shared` (rows of
    `shared`) from `rim_start`[t] on; rim place r has the arcs `row_start`[r] to `row_stop`[r] - 1, each with
    `head` (row of `shared`) and `arc_h` hours. `vertex_row` lists the rim places of shared cell v from
    `vertex_start`[v] on. `room` int64[T, 2] is the part of the arcs that tile t may fill. `changes` lists the
    tiles changed since the overlay was opened.
    """

    folder: Path
    resolution: int
    tiles: np.ndarray
    first: np.ndarray
    shared: np.ndarray
    rim_start: np.ndarray
    rim_shared: np.ndarray
    row_start: np.ndarray
    row_stop: np.ndarray
    room: np.ndarray
    head: np.ndarray
    arc_h: np.ndarray
    vertex_start: np.ndarray
    vertex_row: np.ndarray
    changes: list[int] = field(default_factory=list)

    @property
    def cell_count(self) -> int:
        """Number of cells of all tiles."""
        return int(self.first[-1])

    @property
    def arc_count(self) -> int:
        """Number of arcs, each direction counted."""
        return int((self.row_stop - self.row_start).sum())

    def count_bytes(self) -> int:
        """Return the bytes held in memory for the overlay, without any tile."""
        return sum(value.nbytes for value in vars(self).values() if isinstance(value, np.ndarray))

    def find_tile(self, tile: int) -> int:
        """Return the number of a tile given by its H3 index.

        Raises
        ------
        InputError : there is no such tile.
        """
        number = int(np.searchsorted(self.tiles, np.uint64(tile)))
        if number == self.tiles.size or int(self.tiles[number]) != tile:
            raise InputError([Fault(f"there is no tile {tile:x}", str(self.folder))])
        return number

    def locate_tile(self, number: int) -> Path:
        """Return the file of a tile given by its number."""
        return _name_file(self.folder, int(self.tiles[number]))

    def list_rim(self, number: int) -> np.ndarray:
        """Return int32[K], the rows of `shared` on the rim of a tile."""
        return self.rim_shared[self.rim_start[number] : self.rim_start[number + 1]]


@dataclass
class Reach:
    """Least hours from a set of sources to the shared cells; `repair_reach` changes it in place.

    `sources` uint64[] sorted H3 cells; `seeds`, for the number of each tile that holds sources, the hours
    from these to its rim on ways inside it; `shared_h` float64[S], hours over the whole mesh, inf where there
    is no way. `serial` counts the changes of the overlay that it knows of.
    """

    sources: np.ndarray
    seeds: dict[int, np.ndarray]
    shared_h: np.ndarray
    serial: int


def cut_tiles(mesh: Mesh, time_h: np.ndarray, folder: Path, resolution: int) -> tuple[int, ...]:
    """Cut a mesh into tiles, one file each in a folder; return the H3 indices of those that were written.

    Parameters
    ----------
    time_h : float64[E], hours per edge, the same in both directions; inf closes an edge. Rounded to 2^-36 h.
    folder : where the tiles are written; made when missing.
    resolution : H3 resolution of the tiles, coarser than the mesh; 3 or 4 steps are a good choice.

    In words: tiles that lie there already with the same cells and hours stay as they are, with their arcs, so
    after a change only what differs is measured again; tiles of an earlier cut are removed. For a mesh that
    is never whole in one place, call `make_tile` and `write_tile` for each part, then `finish_cut`.

    Raises
    ------
    InputError : times that are not valid, a length other than E, or a resolution that is not coarser.
    """
    time_h = np.asarray(time_h, dtype=np.float64)
    if time_h.shape != (mesh.edge_count,):
        raise InputError(
            [Fault(f"has shape {time_h.shape}, the mesh has {mesh.edge_count} edges", column="time_h")]
        )
    tiles, first = np.unique(find_parents(mesh.cells, resolution), return_index=True)
    bounds = np.append(first, mesh.cell_count)
    tile_a = np.searchsorted(first, mesh.edge_a, side="right") - 1
    tile_b = np.searchsorted(first, mesh.edge_b, side="right") - 1
    cut = np.flatnonzero(tile_a != tile_b)
    touching = np.concatenate((tile_a, tile_b[cut]))
    rows = np.concatenate((np.arange(mesh.edge_count), cut))
    order = np.argsort(touching, kind="stable")
    starts = np.searchsorted(touching[order], np.arange(tiles.size + 1))
    written: list[int] = []
    for number, tile in enumerate(tiles.tolist()):
        edges = rows[order[starts[number] : starts[number + 1]]]
        cell_a, cell_b = mesh.cells[mesh.edge_a[edges]], mesh.cells[mesh.edge_b[edges]]
        own = mesh.cells[bounds[number] : bounds[number + 1]]
        part = make_tile(tile, own, cell_a, cell_b, edges, time_h[edges], resolution)
        path = _name_file(folder, tile)
        if _is_current(part, path):
            continue
        if not written:
            # A cut that is broken off must not pass for a whole one.
            (folder / LIST).unlink(missing_ok=True)
        write_tile(part, path)
        written.append(tile)
    finish_cut(folder, resolution, tuple(tiles.tolist()))
    known = {_name_file(folder, tile) for tile in tiles.tolist()}
    for path in (folder / "tiles").glob(f"*{SUFFIX}"):
        if path not in known:
            path.unlink()
    return tuple(written)


def finish_cut(folder: Path, resolution: int, tiles: tuple[int, ...]) -> None:
    """Write the list of tiles; a folder without it is not an overlay."""
    text = {"format": FORMAT, "resolution": resolution, "tiles": [f"{tile:x}" for tile in sorted(tiles)]}
    write_text_whole(folder / LIST, json.dumps(text, indent=1) + "\n")


def measure_tiles(folder: Path, spread: Spread = map) -> int:
    """Measure every tile that has no arcs yet; return how many were measured.

    Parameters
    ----------
    spread : applies a function to every item: `map`, or the `map` of an executor (of processes, of a
        cluster); a run that was cut short goes on where it stopped.
    """
    _, tiles = _read_list(folder)
    paths = [_name_file(folder, tile) for tile in tiles]
    return sum(spread(_measure_file, paths))


def open_overlay(folder: Path) -> Overlay:
    """Read the arcs of all tiles of a folder.

    Raises
    ------
    InputError : the folder holds no overlay, or tiles that are missing, damaged or not measured; all of them
        are named.
    """
    resolution, tiles = _read_list(folder)
    sizes, parts = [], []
    faults: list[Fault] = []
    for tile in tiles:
        path = _name_file(folder, tile)
        try:
            own, arcs = read_arcs(path)
        except InputError as error:
            faults += error.faults
            continue
        if arcs is None:
            faults.append(Fault("is not measured yet", str(path), remedy="measure the tiles"))
            continue
        sizes.append(own)
        parts.append(arcs)
    if faults:
        raise InputError(faults)
    first = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    return _join_arcs(folder, resolution, np.array(tiles, dtype=np.uint64), first, parts)


def search_overlay(overlay: Overlay, sources: np.ndarray) -> Reach:
    """Return the least hours from the nearest source to every shared cell.

    Parameters
    ----------
    sources : uint64[], H3 cells of the mesh.

    Raises
    ------
    InputError : no source, or cells that no tile holds.
    """
    sources = np.unique(np.atleast_1d(np.asarray(sources, dtype=np.uint64)))
    if sources.size == 0:
        raise InputError([Fault("no cell is given", column="sources", remedy="give at least one cell")])
    held = find_parents(sources, overlay.resolution)
    numbers = [overlay.find_tile(tile) for tile in np.unique(held).tolist()]
    seeds = {number: _seed_tile(overlay, sources, number) for number in numbers}
    shared_h = kernel.search_shared(*_graph(overlay), _join_seeds(overlay, seeds))
    check_exact(shared_h, "times")
    return Reach(sources, seeds, shared_h, len(overlay.changes))


def fill_tile(overlay: Overlay, reach: Reach, number: int) -> np.ndarray:
    """Return float64[], the least hours to a tile's own cells, in order of their H3 index; inf without a way.

    Raises
    ------
    InputError : the overlay has changed and the reach was not repaired, or the tile is damaged.
    """
    return _fill_file(_order_fill(overlay, reach, number))


def fill_tiles(overlay: Overlay, reach: Reach, numbers: Iterable[int], spread: Spread = map) -> Iterable[Any]:
    """Return the answers of `fill_tile` for several tiles, in order."""
    return spread(_fill_file, [_order_fill(overlay, reach, number) for number in numbers])


def compute_tiled_times(overlay: Overlay, reach: Reach, spread: Spread = map) -> np.ndarray:
    """Return float64[N], the least hours to every cell: what `travel.compute_times` gives, to the last bit.

    In words: all tiles, one after the other or spread over workers. Only for meshes whose field fits memory.
    """
    parts = fill_tiles(overlay, reach, range(overlay.tiles.size), spread)
    times = np.empty(overlay.cell_count)
    for number, part in enumerate(parts):
        times[overlay.first[number] : overlay.first[number + 1]] = part
    return times


def change_tile(overlay: Overlay, number: int, time_h: np.ndarray) -> Tile:
    """Give the edges of one tile new hours: its file and its arcs are redone, no other tile is touched.

    Parameters
    ----------
    number : number of the tile, see `Overlay.find_tile`.
    time_h : float64[e], hours in the order of the tile's `edges`.

    Raises
    ------
    InputError : another number of times, or times that are not valid.
    """
    path = overlay.locate_tile(number)
    tile = measure_arcs(set_times(read_tile(path), time_h))
    write_tile(tile, path)
    assert tile.arcs is not None
    _put_arcs(overlay, number, tile.arcs)
    overlay.changes.append(number)
    return tile


def repair_reach(overlay: Overlay, reach: Reach) -> np.ndarray:
    """Mend a reach after changes of the overlay; return int64[], the tiles whose times may differ.

    In words: shared cells at the changed tiles whose time nothing accounts for any longer lose it, and so do
    those that had their time from them; these, and what got faster, are searched again. A tile has to be
    filled again if it changed itself or a cell of its rim has another time.
    """
    changed = sorted(set(overlay.changes[reach.serial :]))
    reach.serial = len(overlay.changes)
    if not changed:
        return np.empty(0, np.int64)
    for number in reach.seeds.keys() & set(changed):
        reach.seeds[number] = _seed_tile(overlay, reach.sources, number)
    before = reach.shared_h.copy()
    suspects = np.unique(np.concatenate([overlay.list_rim(number) for number in changed]))
    seed_h = _join_seeds(overlay, reach.seeds)
    most = int(MOST_LOST * before.size) + 1
    if kernel.repair_shared(*_graph(overlay), seed_h, suspects, most, reach.shared_h) > most:
        reach.shared_h = kernel.search_shared(*_graph(overlay), seed_h)
    check_exact(reach.shared_h, "times")
    differ = reach.shared_h != before
    on_rim = np.add.reduceat(
        np.append(differ[overlay.rim_shared], False).astype(np.int64), overlay.rim_start[:-1]
    )
    # reduceat gives a tile without a rim the first place of the next one.
    on_rim[overlay.rim_start[1:] == overlay.rim_start[:-1]] = 0
    on_rim[changed] = 1
    return np.flatnonzero(on_rim)


def _graph(overlay: Overlay) -> Graph:
    return (
        overlay.vertex_start, overlay.vertex_row, overlay.row_start, overlay.row_stop, overlay.head,
        overlay.arc_h,
    )  # fmt: skip


def _name_file(folder: Path, tile: int) -> Path:
    return folder / "tiles" / f"{tile:x}{SUFFIX}"


def _read_list(folder: Path) -> tuple[int, list[int]]:
    path = folder / LIST
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            raise InputError(
                [Fault(f"has format {found['format']}", str(path), remedy="cut the tiles again")]
            )
        return int(found["resolution"]), [int(tile, 16) for tile in found["tiles"]]
    except OSError as error:
        raise InputError([Fault("holds no overlay", str(folder), remedy="cut the tiles first")]) from error
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError([Fault("is damaged", str(path), remedy="cut the tiles again")]) from error


def _is_current(tile: Tile, path: Path) -> bool:
    """Say whether a file holds the same tile already; a damaged one does not."""
    if not path.exists():
        return False
    try:
        return tile.holds_same(read_tile(path))
    except InputError:
        return False


def _measure_file(path: Path) -> int:
    """Measure one tile in its file; return 1, or 0 if it was measured before."""
    if read_arcs(path)[1] is not None:
        return 0
    write_tile(measure_arcs(read_tile(path)), path)
    return 1


def _seed_tile(overlay: Overlay, sources: np.ndarray, number: int) -> np.ndarray:
    """Return float64[K], the hours from the sources inside a tile to its rim."""
    held = sources[find_parents(sources, overlay.resolution) == overlay.tiles[number]]
    tile = read_tile(overlay.locate_tile(number))
    return np.asarray(search_inside(tile, _find_own(tile, held), np.zeros(held.size))[tile.rim])


def _join_seeds(overlay: Overlay, seeds: dict[int, np.ndarray]) -> np.ndarray:
    """Return float64[S], the least hours to each shared cell from sources in a tile beside it."""
    seed_h = np.full(overlay.shared.size, np.inf)
    for number, times in seeds.items():
        rim = overlay.list_rim(number)
        seed_h[rim] = np.minimum(seed_h[rim], times)
    return seed_h


def _find_own(tile: Tile, cells: np.ndarray) -> np.ndarray:
    """Return int32[], the places of own cells of a tile."""
    own = tile.cells[: tile.own]
    places = np.minimum(np.searchsorted(own, cells), max(tile.own - 1, 0))
    missing = cells[own[places] != cells] if tile.own else cells
    if missing.size:
        raise InputError(
            [Fault(f"cell {cell:x} is not in the mesh", column="sources") for cell in missing.tolist()]
        )
    return places.astype(np.int32)


def _order_fill(overlay: Overlay, reach: Reach, number: int) -> tuple[Path, np.ndarray, np.ndarray]:
    """Return all that a worker needs to fill a tile: its file, hours on its rim, sources in it."""
    if reach.serial != len(overlay.changes):
        raise InputError([Fault("the overlay has changed since", column="reach", remedy="repair the reach")])
    held = reach.sources[find_parents(reach.sources, overlay.resolution) == overlay.tiles[number]]
    return overlay.locate_tile(number), reach.shared_h[overlay.list_rim(number)], held


def _fill_file(order: tuple[Path, np.ndarray, np.ndarray]) -> np.ndarray:
    path, rim_h, held = order
    tile = read_tile(path)
    seeds, seed_h = tile.rim, rim_h
    if held.size:
        seeds = np.concatenate((seeds, _find_own(tile, held)))
        seed_h = np.concatenate((seed_h, np.zeros(held.size)))
    times = search_inside(tile, seeds, seed_h)[: tile.own]
    check_exact(times, "times")
    return times


def _join_arcs(
    folder: Path, resolution: int, tiles: np.ndarray, first: np.ndarray, parts: list[Arcs]
) -> Overlay:
    """Join the arcs of all tiles into one graph on the shared cells."""
    sizes = [part.rim.size for part in parts]
    rim_start = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    rims = np.concatenate([part.rim for part in parts]) if parts else np.empty(0, np.uint64)
    shared, rim_shared = np.unique(rims, return_inverse=True)
    order = np.argsort(rim_shared, kind="stable")
    vertex_start = np.searchsorted(rim_shared[order], np.arange(shared.size + 1)).astype(np.int64)
    counts = np.array([part.head.size for part in parts], dtype=np.int64)
    ends = np.cumsum(counts + (ROOM_IN_TILE * counts).astype(np.int64) + 64)
    room = np.column_stack((np.concatenate(([0], ends[:-1])), ends))
    size = int((1.0 + ROOM_AT_END) * ends[-1])
    row_start, row_stop = np.zeros(rims.size, np.int64), np.zeros(rims.size, np.int64)
    overlay = Overlay(
        folder, resolution, tiles, first, shared, rim_start, rim_shared.astype(np.int32), row_start, row_stop,
        room, np.empty(size, np.int32), np.empty(size), vertex_start, order.astype(np.int32),
    )  # fmt: skip
    for number, part in enumerate(parts):
        _put_arcs(overlay, number, part)
    return overlay


def _put_arcs(overlay: Overlay, number: int, arcs: Arcs) -> None:
    """Put a tile's arcs in its room of the graph; where that is too small it moves to the end."""
    count = arcs.head.size
    low, high = overlay.room[number]
    if count > high - low:
        low = int(overlay.room.max())
        high = low + int((1.0 + ROOM_IN_TILE) * count)
        overlay.room[number] = low, high
        if high > overlay.head.size:
            more = high + int(ROOM_AT_END * high) - overlay.head.size
            overlay.head = np.concatenate((overlay.head, np.empty(more, np.int32)))
            overlay.arc_h = np.concatenate((overlay.arc_h, np.empty(more)))
    rim = overlay.list_rim(number)
    overlay.head[low : low + count] = rim[arcs.head]
    overlay.arc_h[low : low + count] = arcs.arc_h
    rows = slice(overlay.rim_start[number], overlay.rim_start[number + 1])
    overlay.row_start[rows] = low + arcs.start[:-1]
    overlay.row_stop[rows] = low + arcs.start[1:]
