"""Compiled kernels of the viewshed: wedges of sight lines, swept outwards ring by ring.

Within one of four quadrants a ring is a row (north, south) or a column (east, west) of the raster, a whole
number of cells from the post. Places on a ring are counted along it ("across"), from the post's own row or
column. A sight line has the slope across / ring; the slopes from -1 to 1 are cut into wedges 2**-bits wide,
so narrow that a ring cuts a wedge into at most one cell. `sight.py` says how the method works.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, prange

HIDDEN, OUTSIDE, VISIBLE = np.uint8(0), np.uint8(1), np.uint8(255)
UNSURE = np.uint8(2)
TOUCH_M = 1e-6
MOST_RINGS = 32_767
BLOCK_RINGS = 32
GROUP_WEDGES = 64
TILE_BITS = 4
FULL_BITS = np.int32(15)
FULL_MASK = np.int32((1 << 15) - 1)
FULL_SCALE = np.float32(1.0 / (1 << 15))
# More than four times what float32 loses on the way from two heights to a slope.
ROUNDING = np.float32(1e-6)
ONE, TWO = np.float32(1.0), np.float32(2.0)
LOWEST = np.float32(-1e30)
NORTH, SOUTH, WEST, EAST = 0, 1, 2, 3


class Relief(NamedTuple):
    """Heights float32[rows, columns]: the surface that hides, and the ground that targets stand on.

    `tile_most` greatest height of the surface in each tile of 16 x 16 places.
    """

    surface: np.ndarray
    ground: np.ndarray
    tile_most: np.ndarray
    covered: bool
    width_m: float
    height_m: float


class Place(NamedTuple):
    """Cell of a post and the height of its eye."""

    row: int
    column: int
    eye_m: float


class Reach(NamedTuple):
    """Height of targets above ground, range, and drop by curvature per square metre of distance (1/m)."""

    target_m: float
    range_m: float
    curve_per_m: float


class Fan(NamedTuple):
    """Wedges first..stop-1 of one quadrant, swept over a number of rings."""

    quadrant: int
    first: int
    stop: int
    bits: int
    rings: int


class Bounds(NamedTuple):
    """Of each wedge, as slopes: least horizon, most horizon of finished blocks, and of the present block.

    `least_fall` and `most_fall` are the drop by curvature at ring one.
    """

    least: np.ndarray
    most: np.ndarray
    recent: np.ndarray
    least_fall: np.ndarray
    most_fall: np.ndarray


class Block(NamedTuple):
    """Rings first..stop-1 as lines[ring, across - low], heights above the eye; tops: those of the ground."""

    first: int
    stop: int
    low: int
    lines: np.ndarray
    tops: np.ndarray


@njit(cache=True)
def find_place(quadrant: int, place: Place, ring: int, across: int) -> tuple[int, int]:
    """Row and column of a place of a quadrant."""
    if quadrant == NORTH:
        return place.row - ring, place.column + across
    if quadrant == SOUTH:
        return place.row + ring, place.column + across
    if quadrant == WEST:
        return place.row + across, place.column - ring
    return place.row + across, place.column + ring


@njit(cache=True)
def find_limits(quadrant: int, place: Place, relief: Relief) -> tuple[int, int, int]:
    """Rings of a quadrant to the edge of the raster, and the first and last place across."""
    rows, columns = relief.surface.shape
    if quadrant == NORTH:
        return place.row, -place.column, columns - 1 - place.column
    if quadrant == SOUTH:
        return rows - 1 - place.row, -place.column, columns - 1 - place.column
    if quadrant == WEST:
        return place.column, -place.row, rows - 1 - place.row
    return columns - 1 - place.column, -place.row, rows - 1 - place.row


@njit(cache=True)
def find_sides(quadrant: int, relief: Relief) -> tuple[float, float]:
    """Metres from ring to ring and from place to place across."""
    if quadrant >= WEST:
        return relief.width_m, relief.height_m
    return relief.height_m, relief.width_m


@njit(cache=True)
def find_bend(quadrant: int, relief: Relief, reach: Reach) -> tuple[float, float]:
    """Drop by curvature at ring one straight ahead, and what a slope of one adds to it; metres."""
    ahead_m, aside_m = find_sides(quadrant, relief)
    return reach.curve_per_m * ahead_m * ahead_m, reach.curve_per_m * aside_m * aside_m


@njit(cache=True)
def find_width(ring: int, ahead_m: float, aside_m: float, range_m: float) -> int:
    """Greatest distance across, in cells, at which a place of a ring is in range; -1 if none."""
    if range_m > 1e300:
        return 1 << 40
    left = range_m * range_m * (1.0 + 1e-12) - (ring * ahead_m) ** 2
    return int(np.floor(np.sqrt(left) / aside_m)) if left >= 0.0 else -1


@njit(cache=True)
def measure_fan(quadrant: int, part: int, parts: int, place: Place, reach: Reach, relief: Relief) -> Fan:
    """Cut out one of `parts` fans of a quadrant, with as many wedges as its last ring needs."""
    rings = find_limits(quadrant, place, relief)[0]
    ahead_m = find_sides(quadrant, relief)[0]
    if reach.range_m < rings * ahead_m:
        rings = int(np.floor(reach.range_m / ahead_m * (1.0 + 1e-12)))
    bits = 1
    while (1 << bits) < rings:
        bits += 1
    size = 2 << bits
    first, stop = part * size // parts - size // 2, (part + 1) * size // parts - size // 2
    return Fan(quadrant, first, stop, bits, rings)


@njit(cache=True)
def make_bounds(fan: Fan, bend: tuple[float, float]) -> Bounds:
    """Bounds of a fan before the first ring."""
    count = fan.stop - fan.first
    least, most = np.full(count, LOWEST, np.float32), np.full(count, LOWEST, np.float32)
    least_fall, most_fall = np.empty(count, np.float32), np.empty(count, np.float32)
    for w in range(count):
        s0, s1 = (fan.first + w) / (1 << fan.bits), (fan.first + w + 1) / (1 << fan.bits)
        near, far = min(abs(s0), abs(s1)), max(abs(s0), abs(s1))
        least_fall[w] = np.float32((bend[0] + bend[1] * near * near) * (1.0 - 1e-6))
        most_fall[w] = np.float32((bend[0] + bend[1] * far * far) * (1.0 + 1e-6))
    return Bounds(least, most, most.copy(), least_fall, most_fall)


@njit(cache=True)
def load_lines(
    heights: np.ndarray,
    fan: Fan,
    place: Place,
    first: int,
    low: int,
    limits: tuple[int, int],
    lines: np.ndarray,
) -> None:
    """Copy rings into lines[ring, across - low] as heights above the eye; past the edge the last repeats."""
    count, width = lines.shape
    start, stop = max(low, limits[0]), min(low + width - 1, limits[1])
    size = stop - start + 1
    eye = np.float32(place.eye_m)
    if fan.quadrant < WEST:
        for k in range(count):
            row = find_place(fan.quadrant, place, first + k, 0)[0]
            given = heights[row, place.column + start : place.column + stop + 1]
            taken = lines[k, start - low :]
            for m in range(size):
                taken[m] = given[m] - eye
    else:
        west = fan.quadrant == WEST
        begin = place.column - first - count + 1 if west else place.column + first
        for m in range(size):
            given = heights[place.row + start + m, begin : begin + count]
            taken = lines[:, start - low + m]
            if west:
                for k in range(count):
                    taken[count - 1 - k] = given[k] - eye
            else:
                for k in range(count):
                    taken[k] = given[k] - eye
    for k in range(count):
        lines[k, : start - low] = lines[k, start - low]
        lines[k, stop + 1 - low :] = lines[k, stop - low]


@njit(cache=True)
def load_block(
    relief: Relief, fan: Fan, place: Place, first: int, group: tuple[int, int], limits: tuple[int, int]
) -> Block:
    """Copy the rings of one block that a group of wedges reaches."""
    stop = min(first + BLOCK_RINGS, fan.rings + 1)
    low, high = find_span(fan, group, first, stop)
    low, high = max(low - 1, limits[0] - 2), min(high + 1, limits[1] + 2)
    lines = np.empty((stop - first, high - low + 1), np.float32)
    load_lines(relief.surface, fan, place, first, low, limits, lines)
    tops = lines
    if relief.covered:
        tops = np.empty(lines.shape, np.float32)
        load_lines(relief.ground, fan, place, first, low, limits, tops)
    return Block(first, stop, low, lines, tops)


@njit(cache=True)
def find_span(fan: Fan, group: tuple[int, int], first: int, stop: int) -> tuple[int, int]:
    """First and last place across whose height can matter to a group of wedges in rings first..stop-1."""
    begin, end = fan.first + group[0], fan.first + group[1]
    low = min((begin * first) >> fan.bits, (begin * (stop - 1)) >> fan.bits)
    high = max((end * first) >> fan.bits, (end * (stop - 1)) >> fan.bits)
    return low, high + 1


@njit(cache=True, parallel=True)
def find_tile_most(surface: np.ndarray) -> np.ndarray:
    """Greatest height in each tile, float32; NaN where a tile holds a NaN."""
    rows, columns = surface.shape
    side = 1 << TILE_BITS
    most = np.full(((rows + side - 1) >> TILE_BITS, (columns + side - 1) >> TILE_BITS), LOWEST, np.float32)
    for tile_row in prange(most.shape[0]):
        line = np.full(most.shape[1] << TILE_BITS, LOWEST, np.float32)
        for row in range(tile_row << TILE_BITS, min((tile_row + 1) << TILE_BITS, rows)):
            given = surface[row]
            for m in range(columns):
                # Not max(): a NaN must stay.
                line[m] = line[m] if line[m] >= given[m] or line[m] != line[m] else given[m]
        for column in range(columns):
            tile, height = column >> TILE_BITS, line[column]
            if not height <= most[tile_row, tile] and most[tile_row, tile] == most[tile_row, tile]:
                most[tile_row, tile] = height
    return most


@njit(cache=True)
def find_highest(
    relief: Relief, quadrant: int, place: Place, rings: tuple[int, int], across: tuple[int, int]
) -> float:
    """Height above the eye that no place of some rings, from one place across to another, exceeds."""
    r0, c0 = find_place(quadrant, place, rings[0], across[0])
    r1, c1 = find_place(quadrant, place, rings[1], across[1])
    tiles = relief.tile_most[
        min(r0, r1) >> TILE_BITS : (max(r0, r1) >> TILE_BITS) + 1,
        min(c0, c1) >> TILE_BITS : (max(c0, c1) >> TILE_BITS) + 1,
    ]
    height = -1e30
    for r in range(tiles.shape[0]):
        for c in range(tiles.shape[1]):
            height = max(height, float(tiles[r, c]))
    return height - place.eye_m


@njit(cache=True)
def needs_work(
    relief: Relief, place: Place, reach: Reach, fan: Fan, first: int, group: tuple[int, int],
    limits: tuple[int, int], bounds: Bounds,
) -> bool:  # fmt: skip
    """Say whether a group of wedges can change in a block: a place may be seen, or a bound be raised."""
    stop = min(first + BLOCK_RINGS, fan.rings + 1)
    ahead_m, aside_m = find_sides(fan.quadrant, relief)
    width = find_width(first, ahead_m, aside_m, reach.range_m) + 1
    low, high = find_span(fan, group, first, stop)
    low, high = max(low, limits[0], -width), min(high, limits[1], width)
    if low > high:
        return False
    height = find_highest(relief, fan.quadrant, place, (first, stop - 1), (low, high)) + reach.target_m
    least, fall = bounds.least[group[0]], bounds.least_fall[group[0]]
    for w in range(group[0], group[1]):
        least, fall = min(least, bounds.least[w]), min(fall, bounds.least_fall[w])
    rise = height / first if height > 0.0 else height / (stop - 1)
    bent = fall * first
    margin = ROUNDING * (1.0 + abs(rise) + 2.0 * bent + abs(least))
    return rise - bent + margin >= least


@njit(cache=True)
def classify_ring(
    line: np.ndarray, tops: np.ndarray, begin: int, ring: int, fan: Fan, bend: tuple[float, float],
    bounds: Bounds, target_m: float, marks: np.ndarray,
) -> int:  # fmt: skip
    """Mark places `begin`.. of one ring as seen, hidden, or unsure; returns how many are unsure."""
    least, most, recent = bounds.least, bounds.most, bounds.recent
    last = np.int32(least.size - 1)
    unit = np.float64(1 << fan.bits) / ring
    offset = begin * unit - fan.first
    inverse, target, start = np.float32(1.0 / ring), np.float32(target_m), np.float32(begin)
    ring_bend, side_bend = np.float32(bend[0] * ring), np.float32(bend[1] / ring)
    unsure = 0
    for m in range(marks.size):
        w = np.uint32(min(max(np.int32(m * unit + offset), np.int32(0)), last))
        across = start + np.float32(m)
        fall = ring_bend + side_bend * across * across
        top = tops[m] + target
        rise = top * inverse - fall
        high, under = max(most[w], recent[w]), least[w]
        margin = ROUNDING * (ONE + abs(rise) + TWO * fall)
        sure = rise - margin - ROUNDING * abs(high) >= high
        lost = (rise + margin + ROUNDING * abs(under) < under) | (top < line[m])
        mark = HIDDEN if lost else (VISIBLE if sure else UNSURE)
        marks[m] = mark
        unsure += int(mark == UNSURE)
    return unsure


@njit(cache=True)
def raise_bounds(
    line: np.ndarray, low: int, ring: int, fan: Fan, active: tuple[int, int], bounds: Bounds,
    scratch: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:  # fmt: skip
    """Raise the bounds of wedges active[0]..active[1]-1 of a fan by one ring."""
    step = np.int32((1 << (FULL_BITS - fan.bits)) * ring)
    start = np.int32((fan.first + active[0]) * step - (low << FULL_BITS))
    count = active[1] - active[0]
    inverse, k = np.float32(1.0 / ring), np.float32(ring)
    height, corner, base = scratch
    for b in range(count + 1):
        q = np.int32(np.int32(b) * step + start)
        spot = np.uint32(q >> FULL_BITS)
        z = line[spot]
        corner[b] = z
        base[b] = spot
        height[b] = z + np.float32(np.int32(q & FULL_MASK)) * FULL_SCALE * (line[spot + np.uint32(1)] - z)
    least, recent = bounds.least[active[0] :], bounds.recent[active[0] :]
    least_fall, most_fall = bounds.least_fall[active[0] :], bounds.most_fall[active[0] :]
    for w in range(count):
        h0, h1 = height[w], height[w + 1]
        inside = corner[w + 1] if base[w + 1] != base[w] else h1
        top, bottom = max(h0, h1, inside), min(h0, h1, inside)
        recent[w] = max(recent[w], top * inverse - least_fall[w] * k)
        least[w] = max(least[w], bottom * inverse - most_fall[w] * k)


@njit(cache=True)
def is_blocked(
    surface: np.ndarray, place: Place, quadrant: int, target: tuple[int, int], top_m: float, bend_m: float,
    rings: tuple[int, int],
) -> bool:  # fmt: skip
    """Say whether a ring first..last rises above the sight line to a target (ring, across) with a given top.

    `bend_m` drop by curvature at ring one along this line.
    """
    slope = target[1] / target[0]
    rise = (top_m - place.eye_m) / target[0] - bend_m * target[0]
    for ring in range(rings[1], rings[0] - 1, -1):
        y = slope * ring
        base = int(np.floor(y))
        share = y - base
        row, column = find_place(quadrant, place, ring, base)
        height = np.float64(surface[row, column])
        if share > 1e-9:
            row, column = find_place(quadrant, place, ring, base + 1)
            height += share * (np.float64(surface[row, column]) - height)
        if height - place.eye_m - bend_m * ring * ring - rise * ring > TOUCH_M:
            return True
    return False


@njit(cache=True)
def settle_unsure(
    relief: Relief, place: Place, fan: Fan, ring: int, begin: int, bend: tuple[float, float], bounds: Bounds,
    block_most: np.ndarray, target_m: float, marks: np.ndarray,
) -> None:  # fmt: skip
    """Settle unsure places of a ring by their exact sight lines, in the blocks that could hide them."""
    present = (ring - 1) // BLOCK_RINGS
    unit = np.float64(1 << fan.bits) / ring
    offset = begin * unit - fan.first
    last = block_most.shape[1] - 1
    for m in range(marks.size):
        if marks[m] != UNSURE:
            continue
        w = min(max(np.int64(m * unit + offset), 0), last)
        across = begin + m
        slope = across / ring
        own = bend[0] + bend[1] * slope * slope
        row, column = find_place(fan.quadrant, place, ring, across)
        top_m = np.float64(relief.ground[row, column]) + target_m
        rise = (top_m - place.eye_m) / ring - own * ring
        margin = ROUNDING * (1.0 + abs(rise) + 2.0 * own * ring)
        marks[m] = VISIBLE
        for back in range(present + 1):
            block = present - back
            high = block_most[block, w] if back else bounds.recent[w]
            if rise - margin - ROUNDING * abs(high) >= high:
                continue
            rings = (block * BLOCK_RINGS + 1, min((block + 1) * BLOCK_RINGS, ring - 1))
            if is_blocked(relief.surface, place, fan.quadrant, (ring, across), top_m, own, rings):
                marks[m] = HIDDEN
                break


@njit(cache=True)
def store_ring(
    seen: np.ndarray,
    origin: tuple[int, int],
    place: Place,
    quadrant: int,
    ring: int,
    begin: int,
    marks: np.ndarray,
) -> None:
    """Copy what is seen of one ring into the result."""
    row, column = find_place(quadrant, place, ring, begin)
    row, column = row - origin[0], column - origin[1]
    size = marks.size
    taken = seen[row, column : column + size] if quadrant < WEST else seen[row : row + size, column]
    for m in range(marks.size):
        if marks[m] == VISIBLE:
            taken[m] = VISIBLE


@njit(cache=True)
def sweep_block(
    relief: Relief, place: Place, reach: Reach, fan: Fan, group: tuple[int, int], block: Block,
    limits: tuple[int, int], bounds: Bounds, block_most: np.ndarray,
    scratch: tuple[np.ndarray, np.ndarray, np.ndarray], seen: np.ndarray, origin: tuple[int, int],
) -> int:  # fmt: skip
    """Sweep some wedges through one block of rings: classify each ring, then raise the bounds by it."""
    ahead_m, aside_m = find_sides(fan.quadrant, relief)
    bend = find_bend(fan.quadrant, relief, reach)
    begin_wedge, end_wedge = fan.first + group[0], fan.first + group[1]
    all_marks = np.empty(block.lines.shape[1], np.uint8)
    total = 0
    for ring in range(block.first, block.stop):
        line, tops = block.lines[ring - block.first], block.tops[ring - block.first]
        width = find_width(ring, ahead_m, aside_m, reach.range_m)
        # The diagonals belong to the quadrants of west and east.
        edge = min(width, ring if fan.quadrant >= WEST else ring - 1)
        begin = max(-((-begin_wedge * ring) >> fan.bits), limits[0], -edge)
        end = min(limits[1], edge) + 1
        if end_wedge < 1 << fan.bits:
            end = min(-((-end_wedge * ring) >> fan.bits), end)
        if begin < end:
            inner = slice(begin - block.low, end - block.low)
            marks = all_marks[inner]
            unsure = classify_ring(
                line[inner], tops[inner], begin, ring, fan, bend, bounds, reach.target_m, marks
            )
            if unsure:
                settle_unsure(
                    relief, place, fan, ring, begin, bend, bounds, block_most, reach.target_m, marks
                )  # fmt: skip
                total += unsure
            store_ring(seen, origin, place, fan.quadrant, ring, begin, marks)
        begin, end = max(limits[0], -width), min(limits[1], width)
        start = max((begin << fan.bits) // ring - 1 - fan.first, group[0])
        last = min(-((-(end << fan.bits)) // ring) + 1 - fan.first, group[1])
        if start < last:
            raise_bounds(line, block.low, ring, fan, (start, last), bounds, scratch)
    return total


@njit(cache=True)
def sweep_fan(
    relief: Relief, place: Place, reach: Reach, fan: Fan, seen: np.ndarray, origin: tuple[int, int]
) -> int:
    """Sweep a fan outwards; `seen` must be HIDDEN before. Returns how many places the bounds left unsure.

    `seen` uint8, whose [0, 0] is place `origin` (row, column) of the raster.
    """
    _, lowest, highest = find_limits(fan.quadrant, place, relief)
    limits = (lowest, highest)
    count = fan.stop - fan.first
    if count < 1 or fan.rings < 1:
        return 0
    bounds = make_bounds(fan, find_bend(fan.quadrant, relief, reach))
    blocks = (fan.rings + BLOCK_RINGS - 1) // BLOCK_RINGS
    block_most = np.full((blocks, count), LOWEST, np.float32)
    scratch = (
        np.empty(count + 1, np.float32),
        np.empty(count + 1, np.float32),
        np.empty(count + 1, np.int32),
    )
    total = 0
    for one in range(blocks):
        first = one * BLOCK_RINGS + 1
        bounds.recent[:] = LOWEST
        start = 0
        while start < count:
            end = start
            while end < count and needs_work(
                relief, place, reach, fan, first, (end, min(end + GROUP_WEDGES, count)), limits, bounds
            ):
                end = min(end + GROUP_WEDGES, count)
            if end > start:
                block = load_block(relief, fan, place, first, (start, end), limits)
                total += sweep_block(
                    relief, place, reach, fan, (start, end), block, limits, bounds, block_most, scratch, seen,
                    origin,
                )  # fmt: skip
            start = end + GROUP_WEDGES
        block_most[one] = bounds.recent
        for w in range(count):
            bounds.most[w] = max(bounds.most[w], bounds.recent[w])
    return total


@njit(cache=True, parallel=True)
def sweep_post(
    relief: Relief, place: Place, reach: Reach, parts: int, seen: np.ndarray, origin: tuple[int, int]
) -> int:
    """Sweep the whole circle of one post on all threads: four quadrants, each cut into `parts` fans."""
    unsure = np.zeros(4 * parts, np.int64)
    for task in prange(4 * parts):
        fan = measure_fan(task // parts, task % parts, parts, place, reach, relief)
        unsure[task] = sweep_fan(relief, place, reach, fan, seen, origin)
    seen[place.row - origin[0], place.column - origin[1]] = VISIBLE
    return unsure.sum()


@njit(cache=True)
def is_inside(dx: float, dy: float, range_m: float, sector: tuple[float, float, float, float, bool]) -> bool:
    """Say whether a place east and north of the post by dx, dy metres lies in range and sector.

    `sector` directions (east, north) of its two sides, clockwise, and whether it is wider than 180 degrees.
    """
    if dx * dx + dy * dy > range_m * range_m * (1.0 + 1e-12):
        return False
    x0, y0, x1, y1, wide = sector
    slack = 1e-9 * (abs(dx) + abs(dy))
    after_first, before_last = x0 * dy - y0 * dx <= slack, dx * y1 - dy * x1 <= slack
    return (after_first or before_last) if wide else (after_first and before_last)


@njit(cache=True)
def mark_outside(
    seen: np.ndarray, origin: tuple[int, int], place: Place, relief: Relief, range_m: float,
    sector: tuple[float, float, float, float, bool], mark: int,
) -> None:  # fmt: skip
    """Put `mark` on every place of a result that is out of range or out of the sector."""
    for r in range(seen.shape[0]):
        dy = (place.row - origin[0] - r) * relief.height_m
        line = seen[r]
        if abs(dy) > range_m * (1.0 + 1e-12):
            line[:] = mark
            continue
        for c in range(line.size):
            dx = (c + origin[1] - place.column) * relief.width_m
            if not is_inside(dx, dy, range_m, sector) and (dx != 0.0 or dy != 0.0):
                line[c] = mark


@njit(cache=True, parallel=True)
def count_posts(
    relief: Relief, places: np.ndarray, eyes_m: np.ndarray, reach: Reach,
    sector: tuple[float, float, float, float, bool], whole: bool, windows: np.ndarray, counts: np.ndarray,
) -> None:  # fmt: skip
    """Add to `counts` how many of some posts see each place; each post by one thread.

    `places` int64[posts, 2] rows and columns; `windows` uint8[posts, height, width], room for their results;
    `whole` when the sector is the whole circle; `counts` uint32[rows, columns].
    """
    rows, columns = counts.shape
    height, width = windows.shape[1], windows.shape[2]
    tops, lefts = np.empty(len(places), np.int64), np.empty(len(places), np.int64)
    for p in prange(len(places)):
        tops[p] = min(max(places[p, 0] - height // 2, 0), rows - height)
        lefts[p] = min(max(places[p, 1] - width // 2, 0), columns - width)
        place, origin = Place(places[p, 0], places[p, 1], eyes_m[p]), (tops[p], lefts[p])
        windows[p] = HIDDEN
        for quadrant in range(4):
            fan = measure_fan(quadrant, 0, 1, place, reach, relief)
            sweep_fan(relief, place, reach, fan, windows[p], origin)
        windows[p, place.row - origin[0], place.column - origin[1]] = VISIBLE
        if not whole:
            mark_outside(windows[p], origin, place, relief, reach.range_m, sector, int(HIDDEN))
    for r in prange(rows):
        for p in range(len(places)):
            if 0 <= r - tops[p] < height:
                line, total = windows[p, r - tops[p]], counts[r, lefts[p] : lefts[p] + width]
                for c in range(width):
                    total[c] += np.uint32(line[c] == VISIBLE)
