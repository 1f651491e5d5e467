"""Compiled kernels of the hexagon grid: plane coordinates, look-up, labels, neighbours and corners."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

# Blocks of 32 x 32 lattice positions: a mesh of one country fills them densely, so a look-up is two array
# reads.
BLOCK_BITS = 5
BLOCK_SIDE = 1 << BLOCK_BITS
BLOCK_MASK = BLOCK_SIDE - 1

# The six neighbours of a lattice position, counter-clockwise seen from outside the earth.
STEP_A = np.array([1, 0, -1, -1, 0, 1], dtype=np.int64)
STEP_B = np.array([0, 1, 1, 0, -1, -1], dtype=np.int64)

SQRT3 = math.sqrt(3.0)
SEGMENT = 64


@njit(cache=True, inline="always")
def _round_hexagon(qa: float, qb: float) -> tuple[int, int]:
    """Return the lattice position whose hexagon holds the point."""
    qc = -qa - qb
    ra = math.floor(qa + 0.5)
    rb = math.floor(qb + 0.5)
    rc = math.floor(qc + 0.5)
    da = abs(ra - qa)
    db = abs(rb - qb)
    dc = abs(rc - qc)
    if da > db and da > dc:
        ra = -rb - rc
    elif db > dc:
        rb = -ra - rc
    return int(ra), int(rb)


@njit(cache=True, inline="always")
def _look_up(face: int, a: int, b: int, extent: np.ndarray, coarse: np.ndarray, fine: np.ndarray) -> int:
    """Return the row of the cell at a lattice position of a face, or -1."""
    block_a = (a >> BLOCK_BITS) - extent[face, 0]
    block_b = (b >> BLOCK_BITS) - extent[face, 1]
    if block_a < 0 or block_b < 0 or block_a >= extent[face, 2] or block_b >= extent[face, 3]:
        return -1
    block = coarse[extent[face, 4] + block_a * extent[face, 3] + block_b]
    if block < 0:
        return -1
    return int(fine[block, ((a & BLOCK_MASK) << BLOCK_BITS) | (b & BLOCK_MASK)])


@njit(cache=True)
def _find_face(px: float, py: float, pz: float, normal: np.ndarray) -> int:
    """Return the face whose centre is nearest to a unit vector."""
    best = 0
    best_dot = -2.0
    for face in range(20):
        dot = px * normal[face, 0] + py * normal[face, 1] + pz * normal[face, 2]
        if dot > best_dot:
            best_dot = dot
            best = face
    return best


@njit(cache=True)
def place_points(
    lon: np.ndarray,
    lat: np.ndarray,
    normal: np.ndarray,
    axis_a: np.ndarray,
    axis_b: np.ndarray,
    face_out: np.ndarray,
    a_out: np.ndarray,
    b_out: np.ndarray,
) -> None:
    """Write the nearest face and the lattice position of every point (degrees)."""
    for m in range(lon.size):
        u = math.radians(lon[m])
        v = math.radians(lat[m])
        c = math.cos(v)
        px, py, pz = c * math.cos(u), c * math.sin(u), math.sin(v)
        f = _find_face(px, py, pz, normal)
        w = 1.0 / (px * normal[f, 0] + py * normal[f, 1] + pz * normal[f, 2])
        qa = (px * axis_a[f, 0] + py * axis_a[f, 1] + pz * axis_a[f, 2]) * w
        qb = (px * axis_b[f, 0] + py * axis_b[f, 1] + pz * axis_b[f, 2]) * w
        face_out[m] = f
        a_out[m], b_out[m] = _round_hexagon(qa, qb)


@njit(cache=True)
def label_point(
    lon: float,
    lat: float,
    normal: np.ndarray,
    axis_a: np.ndarray,
    axis_b: np.ndarray,
    extent: np.ndarray,
    coarse: np.ndarray,
    fine: np.ndarray,
) -> int:
    """Return the row of the cell that holds a point (degrees), or -1."""
    if not (math.isfinite(lon) and math.isfinite(lat)):
        return -1
    u = math.radians(lon)
    v = math.radians(lat)
    c = math.cos(v)
    px, py, pz = c * math.cos(u), c * math.sin(u), math.sin(v)
    f = _find_face(px, py, pz, normal)
    w = 1.0 / (px * normal[f, 0] + py * normal[f, 1] + pz * normal[f, 2])
    qa = (px * axis_a[f, 0] + py * axis_a[f, 1] + pz * axis_a[f, 2]) * w
    qb = (px * axis_b[f, 0] + py * axis_b[f, 1] + pz * axis_b[f, 2]) * w
    a, b = _round_hexagon(qa, qb)
    return _look_up(f, a, b, extent, coarse, fine)


@njit(cache=True)
def label_point_and_room(
    lon: float,
    lat: float,
    normal: np.ndarray,
    axis_a: np.ndarray,
    axis_b: np.ndarray,
    outward: np.ndarray,
    reach: float,
    extent: np.ndarray,
    coarse: np.ndarray,
    fine: np.ndarray,
) -> tuple[int, float]:
    """Return the row of the cell that holds a point, or -1, and how far the cell's rim is in lattice units.

    The distance is 0 where the next face is near: its lattice may cut the cell otherwise.
    """
    u = math.radians(lon)
    v = math.radians(lat)
    c = math.cos(v)
    px, py, pz = c * math.cos(u), c * math.sin(u), math.sin(v)
    f = _find_face(px, py, pz, normal)
    w = 1.0 / (px * normal[f, 0] + py * normal[f, 1] + pz * normal[f, 2])
    qa = (px * axis_a[f, 0] + py * axis_a[f, 1] + pz * axis_a[f, 2]) * w
    qb = (px * axis_b[f, 0] + py * axis_b[f, 1] + pz * axis_b[f, 2]) * w
    a, b = _round_hexagon(qa, qb)
    row = _look_up(f, a, b, extent, coarse, fine)
    if _room_inside(px, py, pz, f, normal, axis_a, axis_b, outward, reach) < 2.0:
        return row, 0.0
    # Along each of the three directions to neighbours the rim lies half a unit from the centre.
    da, db = qa - a, qb - b
    along = max(abs(da + 0.5 * db), abs(0.5 * da + db), abs(0.5 * (da - db)))
    return row, max(0.0, 0.5 - along)


@njit(cache=True)
def label_points_kernel(
    lon: np.ndarray,
    lat: np.ndarray,
    normal: np.ndarray,
    axis_a: np.ndarray,
    axis_b: np.ndarray,
    extent: np.ndarray,
    coarse: np.ndarray,
    fine: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write the row of the cell that holds every point, or -1."""
    for m in range(lon.size):
        out[m] = label_point(lon[m], lat[m], normal, axis_a, axis_b, extent, coarse, fine)


@njit(cache=True)
def _room_inside(
    px: float,
    py: float,
    pz: float,
    face: int,
    normal: np.ndarray,
    axis_a: np.ndarray,
    axis_b: np.ndarray,
    outward: np.ndarray,
    reach: float,
) -> float:
    """Return how far (lattice units) a point lies inside the triangle of a face; negative outside."""
    depth = px * normal[face, 0] + py * normal[face, 1] + pz * normal[face, 2]
    if depth < 0.5:
        return -1.0
    qa = (px * axis_a[face, 0] + py * axis_a[face, 1] + pz * axis_a[face, 2]) / depth
    qb = (px * axis_b[face, 0] + py * axis_b[face, 1] + pz * axis_b[face, 2]) / depth
    x = qa + 0.5 * qb
    y = 0.5 * SQRT3 * qb
    room = reach
    for k in range(3):
        room = min(room, reach - (x * outward[k, 0] + y * outward[k, 1]))
    return room


@njit(cache=True, fastmath={"contract", "nsz", "arcp"})
def _label_segment(
    row: np.ndarray,
    cos_lon: np.ndarray,
    sin_lon: np.ndarray,
    frame: np.ndarray,
    cos_lat: float,
    sin_lat: float,
    face: int,
    extent: np.ndarray,
    coarse: np.ndarray,
    fine: np.ndarray,
    a_buffer: np.ndarray,
    b_buffer: np.ndarray,
) -> None:
    """Label pixels of one row that all lie on one face."""
    nx, ny, nz = cos_lat * frame[0, 0], cos_lat * frame[0, 1], sin_lat * frame[0, 2]
    ax, ay, az = cos_lat * frame[1, 0], cos_lat * frame[1, 1], sin_lat * frame[1, 2]
    bx, by, bz = cos_lat * frame[2, 0], cos_lat * frame[2, 1], sin_lat * frame[2, 2]
    for j in range(row.size):
        c = cos_lon[j]
        s = sin_lon[j]
        w = 1.0 / (c * nx + s * ny + nz)
        qa = (c * ax + s * ay + az) * w
        qb = (c * bx + s * by + bz) * w
        qc = -qa - qb
        ra = math.floor(qa + 0.5)
        rb = math.floor(qb + 0.5)
        rc = math.floor(qc + 0.5)
        da = abs(ra - qa)
        db = abs(rb - qb)
        dc = abs(rc - qc)
        fix_a = da > db and da > dc
        fix_b = (not fix_a) and db > dc
        a_buffer[j] = np.int32(-rb - rc if fix_a else ra)
        b_buffer[j] = np.int32(-ra - rc if fix_b else rb)
    first_a, first_b = extent[face, 0], extent[face, 1]
    blocks_a, blocks_b, offset = extent[face, 2], extent[face, 3], extent[face, 4]
    for j in range(row.size):
        a = np.int64(a_buffer[j])
        b = np.int64(b_buffer[j])
        block_a = (a >> BLOCK_BITS) - first_a
        block_b = (b >> BLOCK_BITS) - first_b
        found = np.int32(-1)
        if 0 <= block_a < blocks_a and 0 <= block_b < blocks_b:
            block = coarse[offset + block_a * blocks_b + block_b]
            if block >= 0:
                found = fine[block, ((a & BLOCK_MASK) << BLOCK_BITS) | (b & BLOCK_MASK)]
        row[j] = found


@njit(cache=True, nogil=True)
def label_window_kernel(
    cos_lon: np.ndarray,
    sin_lon: np.ndarray,
    cos_lat: np.ndarray,
    sin_lat: np.ndarray,
    pixel_rad: float,
    frames: np.ndarray,
    normal: np.ndarray,
    axis_a: np.ndarray,
    axis_b: np.ndarray,
    outward: np.ndarray,
    reach: float,
    extent: np.ndarray,
    coarse: np.ndarray,
    fine: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write the row of the cell that holds every pixel centre, or -1."""
    rows, columns = out.shape
    a_buffer = np.empty(SEGMENT, np.int32)
    b_buffer = np.empty(SEGMENT, np.int32)
    for i in range(rows):
        cl = cos_lat[i]
        sl = sin_lat[i]
        # Gnomonic stretch inside a face is below 1.6; 2 keeps a whole segment on the face for certain.
        for start in range(0, columns, SEGMENT):
            stop = min(columns, start + SEGMENT)
            length = 2.0 * (stop - start) * pixel_rad * cl * reach * 2.618033988749895
            px, py = cl * cos_lon[start], cl * sin_lon[start]
            face = _find_face(px, py, sl, normal)
            room = _room_inside(px, py, sl, face, normal, axis_a, axis_b, outward, reach)
            if room > length:
                _label_segment(
                    out[i, start:stop], cos_lon[start:stop], sin_lon[start:stop], frames[face], cl, sl, face,
                    extent, coarse, fine, a_buffer, b_buffer,
                )  # fmt: skip
                continue
            for j in range(start, stop):
                px, py = cl * cos_lon[j], cl * sin_lon[j]
                face = _find_face(px, py, sl, normal)
                w = 1.0 / (px * normal[face, 0] + py * normal[face, 1] + sl * normal[face, 2])
                qa = (px * axis_a[face, 0] + py * axis_a[face, 1] + sl * axis_a[face, 2]) * w
                qb = (px * axis_b[face, 0] + py * axis_b[face, 1] + sl * axis_b[face, 2]) * w
                a, b = _round_hexagon(qa, qb)
                out[i, j] = _look_up(face, a, b, extent, coarse, fine)


@njit(cache=True)
def list_keys(
    face: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    outward: np.ndarray,
    reach: float,
    margin: float,
    across: np.ndarray,
    turn: np.ndarray,
    shift: np.ndarray,
    key_face: np.ndarray,
    key_a: np.ndarray,
    key_b: np.ndarray,
    key_row: np.ndarray,
) -> int:
    """List every lattice position of every cell: its own and, near a face edge, that on the next face."""
    count = 0
    for row in range(face.size):
        f = face[row]
        key_face[count], key_a[count], key_b[count], key_row[count] = f, a[row], b[row], row
        count += 1
        x = a[row] + 0.5 * b[row]
        y = 0.5 * SQRT3 * b[row]
        for k in range(3):
            if reach - (x * outward[k, 0] + y * outward[k, 1]) > margin:
                continue
            other_x = turn[f, k, 0] * x - turn[f, k, 1] * y + shift[f, k, 0]
            other_y = turn[f, k, 1] * x + turn[f, k, 0] * y + shift[f, k, 1]
            other_b = 2.0 * other_y / SQRT3
            key_face[count] = across[f, k]
            key_a[count], key_b[count] = _round_hexagon(other_x - 0.5 * other_b, other_b)
            key_row[count] = row
            count += 1
    return count


@njit(cache=True)
def fill_blocks(
    key_face: np.ndarray,
    key_a: np.ndarray,
    key_b: np.ndarray,
    key_row: np.ndarray,
    extent: np.ndarray,
    coarse: np.ndarray,
    fine: np.ndarray,
) -> int:
    """Write the rows into the numbered blocks and return how many positions were claimed by two cells."""
    clashes = 0
    for n in range(key_face.size):
        f = key_face[n]
        block_a = (key_a[n] >> BLOCK_BITS) - extent[f, 0]
        block_b = (key_b[n] >> BLOCK_BITS) - extent[f, 1]
        block = coarse[extent[f, 4] + block_a * extent[f, 3] + block_b]
        place = ((key_a[n] & BLOCK_MASK) << BLOCK_BITS) | (key_b[n] & BLOCK_MASK)
        if fine[block, place] >= 0 and fine[block, place] != key_row[n]:
            clashes += 1
        fine[block, place] = key_row[n]
    return clashes


@njit(cache=True)
def find_neighbors_kernel(
    face: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    extent: np.ndarray,
    coarse: np.ndarray,
    fine: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write the six neighbours of every cell, counter-clockwise, -1 where the mesh has none."""
    for row in range(face.size):
        for k in range(6):
            out[row, k] = _look_up(face[row], a[row] + STEP_A[k], b[row] + STEP_B[k], extent, coarse, fine)


@njit(cache=True)
def find_back(neighbor: np.ndarray, row: int, other: int) -> int:
    """Return the place of a row among the neighbours of another, or -1."""
    for k in range(6):
        if neighbor[other, k] == row:
            return k
    return -1


@njit(cache=True)
def number_corners(neighbor: np.ndarray, cell_corner: np.ndarray) -> int:
    """Number the corners; the cell with the lowest row names a corner, the others take over its number."""
    count = 0
    for row in range(neighbor.shape[0]):
        for k in range(6):
            before = neighbor[row, k]
            after = neighbor[row, (k + 1) % 6]
            if 0 <= before < row:
                cell_corner[row, k] = cell_corner[before, (find_back(neighbor, row, before) + 5) % 6]
            elif 0 <= after < row:
                cell_corner[row, k] = cell_corner[after, find_back(neighbor, row, after)]
            else:
                cell_corner[row, k] = count
                count += 1
    return count


@njit(cache=True)
def place_corners(
    face: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    cell_corner: np.ndarray,
    outward: np.ndarray,
    reach: float,
    across: np.ndarray,
    turn: np.ndarray,
    shift: np.ndarray,
    normal: np.ndarray,
    plane_x: np.ndarray,
    plane_y: np.ndarray,
    unit: float,
    lonlat: np.ndarray,
) -> None:
    """Write longitude and latitude (degrees) of every corner."""
    done = np.zeros(lonlat.shape[0], np.bool_)
    for row in range(face.size):
        for k in range(6):
            corner = cell_corner[row, k]
            if done[corner]:
                continue
            done[corner] = True
            after = (k + 1) % 6
            qa = a[row] + (STEP_A[k] + STEP_A[after]) / 3.0
            qb = b[row] + (STEP_B[k] + STEP_B[after]) / 3.0
            x = qa + 0.5 * qb
            y = 0.5 * SQRT3 * qb
            f = face[row]
            for side in range(3):
                if x * outward[side, 0] + y * outward[side, 1] > reach:
                    other_x = turn[f, side, 0] * x - turn[f, side, 1] * y + shift[f, side, 0]
                    y = turn[f, side, 1] * x + turn[f, side, 0] * y + shift[f, side, 1]
                    x = other_x
                    f = across[f, side]
                    break
            px = normal[f, 0] + unit * (x * plane_x[f, 0] + y * plane_y[f, 0])
            py = normal[f, 1] + unit * (x * plane_x[f, 1] + y * plane_y[f, 1])
            pz = normal[f, 2] + unit * (x * plane_x[f, 2] + y * plane_y[f, 2])
            lonlat[corner, 0] = math.degrees(math.atan2(py, px))
            lonlat[corner, 1] = math.degrees(math.atan2(pz, math.hypot(px, py)))


@njit(cache=True)
def number_edges_kernel(
    neighbor: np.ndarray, edge: np.ndarray, edge_a: np.ndarray, edge_b: np.ndarray
) -> int:
    """Number the edges by their lower row, then counter-clockwise."""
    count = 0
    for row in range(neighbor.shape[0]):
        for k in range(6):
            other = neighbor[row, k]
            if other < 0:
                edge[row, k] = -1
            elif other > row:
                edge[row, k] = count
                edge_a[count] = row
                edge_b[count] = other
                count += 1
            else:
                edge[row, k] = edge[other, find_back(neighbor, row, other)]
    return count
