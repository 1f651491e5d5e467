"""Hexagon grid: compiled H3 labels, neighbours and corners for a known set of cells.

H3 lays a hexagon lattice on each of the twenty faces of an icosahedron (gnomonic projection). Here a point is
projected on its nearest face and rounded to that face's lattice; the lattice position is then looked up in a
table of the mesh's own cells, so no H3 index has to be built. Source: H3 documentation, "Overview of the H3
Geospatial Indexing System", h3geo.org (Apache-2.0); the faces are derived from H3's twelve pentagons.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any

import h3.api.basic_int as h3_int
import h3.api.numpy_int as h3_numpy
import numpy as np
import shapely

from abatis.ground import _hexgrid as kernel
from abatis.model.errors import Fault, InputError, SizeError

# Lattice units per unit of the gnomonic plane at resolution 0: the square of the golden ratio.
RESOLUTION_ZERO_SCALE = (3.0 + math.sqrt(5.0)) / 2.0
# H3 turns the lattice of odd resolutions by this angle against that of even ones.
ODD_TURN_RAD = math.asin(math.sqrt(3.0 / 28.0))
# Cells whose centre is nearer than this (lattice units) to a face edge are known on the next face too;
# a neighbour's centre lies at most 1 beyond the edge.
EDGE_MARGIN = 1.7
LARGEST_COARSE = 200_000_000


@dataclass(frozen=True)
class _Frames:
    """The twenty faces at one resolution: axes, and the motion that carries a face's plane to the next."""

    normal: np.ndarray
    axis_a: np.ndarray
    axis_b: np.ndarray
    plane_x: np.ndarray
    plane_y: np.ndarray
    outward: np.ndarray
    across: np.ndarray
    turn: np.ndarray
    shift: np.ndarray
    reach: float
    unit: float


@dataclass(frozen=True)
class HexGrid:
    """A known set of H3 cells of one resolution with the tables to look them up by place.

    `cells` uint64[N] sorted; `lon`, `lat` float64[N], centres in degrees; `face` int64[N], `a`, `b` int64[N]
    lattice position on that face; the rest are look-up tables.
    """

    cells: np.ndarray
    resolution: int
    lon: np.ndarray
    lat: np.ndarray
    face: np.ndarray
    a: np.ndarray
    b: np.ndarray
    extent: np.ndarray
    coarse: np.ndarray
    fine: np.ndarray
    frames: _Frames


def build_hexgrid(cells: np.ndarray) -> HexGrid:
    """Prepare the look-up tables of a set of cells.

    Parameters
    ----------
    cells : uint64[N], H3 cells of one resolution, sorted, each once.

    Raises
    ------
    InputError : cells unsorted, repeated, of several resolutions, not H3 cells, or pentagons.

    Examples
    --------
    >>> import h3.api.numpy_int as h3
    >>> grid = build_hexgrid(np.sort(h3.grid_disk(h3.latlng_to_cell(55.0, 24.0, 8), 1)))
    >>> len(grid.cells), grid.resolution
    (7, 8)
    """
    cells = np.ascontiguousarray(cells, dtype=np.uint64)
    _check_cells(cells)
    resolution = int(h3_int.get_resolution(int(cells[0])))
    centres = np.array([h3_int.cell_to_latlng(cell) for cell in cells.tolist()])
    lat, lon = np.ascontiguousarray(centres[:, 0]), np.ascontiguousarray(centres[:, 1])
    frames = _find_frames(resolution)
    face, a, b = (np.empty(len(cells), np.int64) for _ in range(3))
    kernel.place_points(lon, lat, frames.normal, frames.axis_a, frames.axis_b, face, a, b)
    extent, coarse, fine = _build_tables(face, a, b, frames)
    return HexGrid(cells, resolution, lon, lat, face, a, b, extent, coarse, fine, frames)


def label_points(grid: HexGrid, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Return int32[M], the row of the cell that holds each point, -1 outside the mesh.

    Parameters
    ----------
    lon, lat : float64[M], degrees (EPSG:4326); a point that is not finite gets -1.

    In words: the same answer as asking H3 for the cell of every point and then for its row, but compiled.

    Examples
    --------
    >>> import h3.api.numpy_int as h3
    >>> grid = build_hexgrid(np.sort(h3.grid_disk(h3.latlng_to_cell(55.0, 24.0, 8), 1)))
    >>> label_points(grid, np.array([24.0, 30.0]), np.array([55.0, 55.0])).tolist()
    [3, -1]
    """
    lon = np.ascontiguousarray(lon, dtype=np.float64)
    lat = np.ascontiguousarray(lat, dtype=np.float64)
    if lon.shape != lat.shape or lon.ndim != 1:
        raise InputError(
            [Fault(f"lon has shape {lon.shape}, lat {lat.shape}", remedy="give two equal lists")]
        )
    out = np.empty(lon.size, np.int32)
    f = grid.frames
    kernel.label_points_kernel(
        lon, lat, f.normal, f.axis_a, f.axis_b, grid.extent, grid.coarse, grid.fine, out
    )
    return out


def label_window(
    grid: HexGrid,
    west: float,
    north: float,
    dlon: float,
    dlat: float,
    rows: int,
    columns: int,
    out: np.ndarray,
) -> None:
    """Write the row of the cell that holds each pixel centre of a window into `out`, -1 outside the mesh.

    Parameters
    ----------
    west, north : degrees, the upper left corner of the window.
    dlon, dlat : degrees, size of a pixel, both positive; row 0 is the northernmost.
    out : int32[rows, columns], C order, written in place.

    Formula: centre of pixel (i, j) = (west + (j + 1/2) dlon, north - (i + 1/2) dlat).
    In words: sines and cosines are taken once per row and column; a pixel then costs one division, one
    rounding and two table reads.

    Raises
    ------
    InputError : a pixel size that is not positive, a window beyond a pole, or an `out` of another shape.
    """
    faults = []
    if not (dlon > 0 and dlat > 0):
        faults.append(Fault(f"pixel size is {dlon} x {dlat} degrees", remedy="give positive sizes"))
    if north > 90 or north - rows * dlat < -90:
        faults.append(Fault(f"window runs from {north} to {north - rows * dlat} degrees north"))
    if out.shape != (rows, columns) or out.dtype != np.int32 or not out.flags.c_contiguous:
        faults.append(Fault(f"out is {out.dtype}{out.shape}", remedy=f"give int32 ({rows}, {columns})"))
    if faults:
        raise InputError(faults)
    lon = west + (np.arange(columns) + 0.5) * dlon
    lat = north - (np.arange(rows) + 0.5) * dlat
    label_centres(grid, lon, lat, dlon, out)


def label_centres(grid: HexGrid, lon: np.ndarray, lat: np.ndarray, dlon: float, out: np.ndarray) -> None:
    """Write the row of the cell that holds each pixel centre of a window into `out`, -1 outside the mesh.

    Parameters
    ----------
    lon, lat : float64[columns], float64[rows], places of the centres in degrees.
    dlon : distance between columns in degrees.
    out : int32[rows, columns], C order, written in place.

    In words: as `label_window`, for a window that names its centres itself; a part of a larger window then
    gets the very same labels.
    """
    lon, lat = np.radians(lon), np.radians(lat)
    f = grid.frames
    stacked = np.ascontiguousarray(np.stack([f.normal, f.axis_a, f.axis_b], axis=1))
    kernel.label_window_kernel(
        np.cos(lon), np.sin(lon), np.cos(lat), np.sin(lat), math.radians(dlon), stacked,
        f.normal, f.axis_a, f.axis_b, f.outward, f.reach, grid.extent, grid.coarse, grid.fine, out,
    )  # fmt: skip


def take_cells(grid: HexGrid, rows: np.ndarray) -> HexGrid:
    """Return a grid of some of the cells, in the order of `rows` int64[M]; labels are then 0 to M - 1.

    Examples
    --------
    >>> import h3.api.numpy_int as h3
    >>> grid = build_hexgrid(np.sort(h3.grid_disk(h3.latlng_to_cell(55.0, 24.0, 8), 1)))
    >>> part = take_cells(grid, np.array([5, 3]))
    >>> label_points(part, np.array([24.0]), np.array([55.0])).tolist()
    [1]
    """
    face, a, b = grid.face[rows], grid.a[rows], grid.b[rows]
    tables = _build_tables(face, a, b, grid.frames)
    return HexGrid(
        grid.cells[rows], grid.resolution, grid.lon[rows], grid.lat[rows], face, a, b, *tables, grid.frames
    )


def find_neighbors(grid: HexGrid) -> np.ndarray:
    """Return int32[N, 6], the neighbours of every cell counter-clockwise, -1 where the mesh has none.

    Examples
    --------
    >>> import h3.api.numpy_int as h3
    >>> grid = build_hexgrid(np.sort(h3.grid_disk(h3.latlng_to_cell(55.0, 24.0, 8), 1)))
    >>> (find_neighbors(grid) >= 0).sum(axis=1).tolist()
    [3, 3, 3, 6, 3, 3, 3]
    """
    out = np.empty((len(grid.cells), 6), np.int32)
    kernel.find_neighbors_kernel(grid.face, grid.a, grid.b, grid.extent, grid.coarse, grid.fine, out)
    return out


def find_corners(grid: HexGrid, neighbor: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners' places float64[C, 2] (lon, lat degrees) and int32[N, 6], each cell's corners.

    Corner k of a cell stands between its neighbours k and k + 1; cells that meet in a corner share its
    number, at the rim of the mesh too. `neighbor` is found when it is not given.

    Examples
    --------
    >>> import h3.api.numpy_int as h3
    >>> grid = build_hexgrid(np.sort(h3.grid_disk(h3.latlng_to_cell(55.0, 24.0, 8), 1)))
    >>> places, cell_corner = find_corners(grid)
    >>> len(places), cell_corner.shape
    (24, (7, 6))
    """
    if neighbor is None:
        neighbor = find_neighbors(grid)
    cell_corner = np.empty((len(grid.cells), 6), np.int32)
    count = kernel.number_corners(neighbor, cell_corner)
    lonlat = np.empty((count, 2))
    f = grid.frames
    kernel.place_corners(
        grid.face, grid.a, grid.b, cell_corner, f.outward, f.reach, f.across, f.turn, f.shift,
        f.normal, f.plane_x, f.plane_y, f.unit, lonlat,
    )  # fmt: skip
    return lonlat, cell_corner


def number_edges(neighbor: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return edge int32[N, 6] (-1 where no neighbour) and edge_a < edge_b int32[E], each edge's cells.

    Examples
    --------
    >>> edge, edge_a, edge_b = number_edges(np.array([[1, -1, -1, -1, -1, -1], [-1, -1, -1, 0, -1, -1]]))
    >>> edge.tolist()[1], edge_a.tolist(), edge_b.tolist()
    ([-1, -1, -1, 0, -1, -1], [0], [1])
    """
    neighbor = np.ascontiguousarray(neighbor, dtype=np.int32)
    count = int((neighbor >= 0).sum()) // 2
    edge = np.empty(neighbor.shape, np.int32)
    edge_a, edge_b = np.empty(count, np.int32), np.empty(count, np.int32)
    found = kernel.number_edges_kernel(neighbor, edge, edge_a, edge_b)
    assert found == count, "a cell names a neighbour that does not name it back"
    return edge, edge_a, edge_b


def cover_polygon(geometry: Any, resolution: int) -> np.ndarray:
    """Return uint64[], sorted, the H3 cells whose centre lies inside a polygon or multipolygon.

    Parameters
    ----------
    geometry : shapely polygon or multipolygon in degrees (EPSG:4326), not across the 180th meridian.
    resolution : H3 resolution.

    In words: coarse cells that reach the polygon are split and each centre is tested against the polygon.

    Raises
    ------
    InputError : another kind of geometry, coordinates that are not degrees, or a polygon with no area.

    Examples
    --------
    >>> len(cover_polygon(shapely.box(24.0, 55.0, 24.1, 55.1), 8))
    113
    """
    bounds = shapely.bounds(geometry)
    if shapely.get_type_id(geometry) not in (3, 6) or shapely.is_empty(geometry):
        raise InputError([Fault("outline is not a polygon", remedy="give a polygon or multipolygon")])
    if bounds[0] < -180 or bounds[2] > 180 or bounds[1] < -90 or bounds[3] > 90:
        raise InputError([Fault(f"outline reaches {bounds}, not degrees", remedy="give EPSG:4326")])
    parent = max(0, resolution - 4)
    shape = h3_numpy.geo_to_h3shape(geometry)
    coarse = h3_numpy.polygon_to_cells_experimental(shape, parent, "overlap")
    # A child's centre may lie outside its parent, but never farther than in one of the parent's neighbours.
    wide = {near for cell in coarse.tolist() for near in h3_int.grid_disk(cell, 1)}
    shapely.prepare(geometry)
    found = [np.empty(0, np.uint64)]
    for cell in wide:
        children = h3_numpy.cell_to_children(cell, resolution)
        centres = np.array([h3_int.cell_to_latlng(child) for child in children.tolist()])
        found.append(children[shapely.contains_xy(geometry, centres[:, 1], centres[:, 0])])
    return np.sort(np.concatenate(found))


def _check_cells(cells: np.ndarray) -> None:
    """Collect every fault of a list of cells."""
    if cells.ndim != 1 or cells.size == 0:
        raise InputError([Fault("the mesh holds no cells", remedy="give at least one H3 cell")])
    faults = []
    if np.any(cells[1:] <= cells[:-1]):
        faults.append(Fault("cells are not sorted or repeat", remedy="sort them and keep each once"))
    wrong = [cell for cell in cells.tolist() if not h3_int.is_valid_cell(cell)]
    for cell in wrong[:10]:
        faults.append(Fault(f"{cell:x} is not an H3 cell", remedy="give H3 version 4 cells"))
    resolutions = np.unique((cells >> np.uint64(52)) & np.uint64(15))
    if resolutions.size > 1:
        faults.append(Fault(f"cells of resolutions {resolutions.tolist()}", remedy="give one resolution"))
    elif not wrong:
        for cell in h3_int.get_pentagons(int(resolutions[0])):
            # Not isin: numpy's hashing of integers is very slow on H3 indices.
            if np.any(cells == np.uint64(cell)):
                faults.append(
                    Fault(f"cell {cell:x} is a pentagon", remedy="leave it out or move the study area")
                )
    if faults:
        raise InputError(faults)


def _build_tables(
    face: np.ndarray, a: np.ndarray, b: np.ndarray, frames: _Frames
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number the blocks of lattice positions that hold cells and fill them."""
    keys = [np.empty(4 * face.size, np.int64) for _ in range(4)]
    count = kernel.list_keys(
        face, a, b, frames.outward, frames.reach, EDGE_MARGIN, frames.across, frames.turn, frames.shift, *keys
    )
    key_face, key_a, key_b, key_row = (key[:count] for key in keys)
    extent = np.zeros((20, 5), np.int64)
    size = 0
    for number in np.unique(key_face):
        here = key_face == number
        block_a, block_b = key_a[here] >> kernel.BLOCK_BITS, key_b[here] >> kernel.BLOCK_BITS
        first_a, first_b = block_a.min(), block_b.min()
        extent[number] = (first_a, first_b, block_a.max() - first_a + 1, block_b.max() - first_b + 1, size)
        size += int(extent[number, 2] * extent[number, 3])
    if size > LARGEST_COARSE:
        raise SizeError(f"the cells lie too far apart: {size} blocks, at most {LARGEST_COARSE}")
    place = (
        extent[key_face, 4]
        + ((key_a >> kernel.BLOCK_BITS) - extent[key_face, 0]) * extent[key_face, 3]
        + ((key_b >> kernel.BLOCK_BITS) - extent[key_face, 1])
    )
    used = np.zeros(size, np.bool_)
    used[place] = True
    coarse = np.full(size, -1, np.int32)
    coarse[used] = np.arange(int(used.sum()), dtype=np.int32)
    fine = np.full((int(used.sum()), kernel.BLOCK_SIDE**2), -1, np.int32)
    clashes = kernel.fill_blocks(key_face, key_a, key_b, key_row, extent, coarse, fine)
    assert clashes == 0, "two cells claim one lattice position"
    return extent, coarse, fine


@lru_cache(maxsize=16)
def _find_frames(resolution: int) -> _Frames:
    """Derive the twenty faces, their lattice axes and the motions between them from H3's pentagons."""
    latlng = np.radians([h3_int.cell_to_latlng(cell) for cell in h3_int.get_pentagons(0)])
    lat, lon = latlng[:, 0], latlng[:, 1]
    vertex = np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    near = vertex @ vertex.T > 0.4
    triples = [
        t for t in combinations(range(12), 3) if near[t[0], t[1]] and near[t[1], t[2]] and near[t[0], t[2]]
    ]
    # The corners of a face counter-clockwise seen from outside.
    triples = [
        t if np.linalg.det(vertex[list(t)]) > 0 else (t[0], t[2], t[1]) for t in triples
    ]  # fmt: skip
    reach = math.sqrt(7.0) ** resolution
    scale = reach * RESOLUTION_ZERO_SCALE
    turn = ODD_TURN_RAD if resolution % 2 else 0.0
    normal = np.array([vertex[list(t)].sum(axis=0) for t in triples])
    normal /= np.linalg.norm(normal, axis=1)[:, None]
    first = vertex[[t[0] for t in triples]]
    east = first - (first * normal).sum(axis=1)[:, None] * normal
    east /= np.linalg.norm(east, axis=1)[:, None]
    up = np.cross(normal, east)
    plane_x = math.cos(turn) * east + math.sin(turn) * up
    plane_y = math.cos(turn) * up - math.sin(turn) * east
    angle = 2.0 * math.pi / 3.0 * np.arange(3) - turn
    corner = 2.0 * reach * np.exp(1j * angle)
    across = np.empty((20, 3), np.int64)
    motion = np.empty((2, 20, 3), np.complex128)
    for number, t in enumerate(triples):
        for side in range(3):
            p, q = t[(side + 1) % 3], t[(side + 2) % 3]
            other = next(n for n, o in enumerate(triples) if n != number and p in o and q in o)
            ours = corner[(side + 1) % 3], corner[(side + 2) % 3]
            theirs = corner[triples[other].index(p)], corner[triples[other].index(q)]
            across[number, side] = other
            motion[0, number, side] = (theirs[1] - theirs[0]) / (ours[1] - ours[0])
            motion[1, number, side] = theirs[0] - motion[0, number, side] * ours[0]
    return _Frames(
        normal=normal,
        axis_a=scale * (plane_x - plane_y / math.sqrt(3.0)),
        axis_b=scale * plane_y * 2.0 / math.sqrt(3.0),
        plane_x=plane_x,
        plane_y=plane_y,
        outward=-np.column_stack([np.cos(angle), np.sin(angle)]),
        across=across,
        turn=np.ascontiguousarray(np.stack([motion[0].real, motion[0].imag], axis=2)),
        shift=np.ascontiguousarray(np.stack([motion[1].real, motion[1].imag], axis=2)),
        reach=reach,
        unit=1.0 / scale,
    )
