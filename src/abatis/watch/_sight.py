"""Compiled kernels of the viewshed: wedges of sight lines, swept outwards ring by ring.

Within one of four quadrants a ring is a row (north, south) or a column (east, west) of the raster at a whole
number of cells from the post. Places on a ring are counted along it ("across"), from the post's own row or
column. A sight line has the slope across / ring; the slopes from -1 to 1 are cut into wedges of width 2**-bits,
narrow enough that a ring cuts a wedge into less than one cell. See `sight.py` for the method.
"""

from __future__ import annotations

import numba
import numpy as np

HIDDEN, OUTSIDE, VISIBLE = np.uint8(0), np.uint8(1), np.uint8(255)
UNSURE = np.uint8(2)
TOUCH_M = 1e-6
BLOCK_RINGS = 32
GROUP = 64
ROUNDING = np.float32(1e-6)
LOWEST = np.float32(-1e30)
NORTH, SOUTH, WEST, EAST = 0, 1, 2, 3


@numba.njit(cache=True)
def find_place(quadrant, row, column, ring, across):
    """Row and column of a place of a quadrant."""
    if quadrant == NORTH:
        return row - ring, column + across
    if quadrant == SOUTH:
        return row + ring, column + across
    if quadrant == WEST:
        return row + across, column - ring
    return row + across, column + ring


@numba.njit(cache=True)
def find_limits(quadrant, row, column, shape):
    """Rings of a quadrant to the edge of the raster, and the first and last place across."""
    rows, columns = shape
    if quadrant == NORTH:
        return row, -column, columns - 1 - column
    if quadrant == SOUTH:
        return rows - 1 - row, -column, columns - 1 - column
    if quadrant == WEST:
        return column, -row, rows - 1 - row
    return columns - 1 - column, -row, rows - 1 - row


@numba.njit(cache=True)
def is_blocked(surface, place, quadrant, target, top_m, bend, first, last):
    """Say whether a ring in first..last rises above the sight line from the post to a target.

    `place` row, column and eye height of the post; `target` (ring, across); `top_m` height of the target's top;
    `bend` drop by curvature at one ring along this line, in metres.
    """
    row, column, eye_m = place
    ring, across = target
    slope = across / ring
    rise = (top_m - eye_m) / ring - bend * ring
    for k in range(last, first - 1, -1):
        y = slope * k
        base = int(np.floor(y))
        share = y - base
        r0, c0 = find_place(quadrant, row, column, k, base)
        height = np.float64(surface[r0, c0])
        if share > 0.0:
            r1, c1 = find_place(quadrant, row, column, k, min(base + 1, max(across, 0)))
            height += share * (np.float64(surface[r1, c1]) - height)
        if height - eye_m - bend * k * k - rise * k > TOUCH_M:
            return True
    return False


@numba.njit(cache=True)
def load_block(surface, place, quadrant, first, count, low, limits, lines):
    """Copy rings first..first+count-1 into lines[ring, across - low], as heights above the eye.

    Beyond the raster the last place is repeated.
    """
    row, column, eye_m = place
    width = lines.shape[1]
    start, stop = max(low, limits[0]), min(low + width - 1, limits[1])
    eye = np.float32(eye_m)
    if quadrant == NORTH or quadrant == SOUTH:
        for k in range(count):
            r = row - first - k if quadrant == NORTH else row + first + k
            for m in range(start, stop + 1):
                lines[k, m - low] = surface[r, column + m] - eye
    else:
        for m in range(start, stop + 1):
            for k in range(count):
                c = column - first - k if quadrant == WEST else column + first + k
                lines[k, m - low] = surface[row + m, c] - eye
    for k in range(count):
        for m in range(low, start):
            lines[k, m - low] = lines[k, start - low]
        for m in range(stop + 1, low + width):
            lines[k, m - low] = lines[k, stop - low]


@numba.njit(cache=True)
def store_block(seen, origin, quadrant, first, marks, spans, low):
    """Copy marks[ring, across - low] of the spans of each ring into the result."""
    row, column = origin
    count = len(spans)
    if quadrant == NORTH or quadrant == SOUTH:
        for k in range(count):
            r = row - first - k if quadrant == NORTH else row + first + k
            for m in range(spans[k, 0], spans[k, 1]):
                seen[r, column + m] = marks[k, m - low]
        return
    lowest, highest = 0, 0
    for k in range(count):
        lowest, highest = min(lowest, spans[k, 0]), max(highest, spans[k, 1])
    for k in range(count):
        if spans[k, 0] < spans[k, 1]:
            lowest, highest = spans[k, 0], spans[k, 1]
            break
    for k in range(count):
        if spans[k, 0] < spans[k, 1]:
            lowest, highest = min(lowest, spans[k, 0]), max(highest, spans[k, 1])
    for m in range(lowest, highest):
        for k in range(count):
            if spans[k, 0] <= m < spans[k, 1]:
                c = column - first - k if quadrant == WEST else column + first + k
                seen[row + m, c] = marks[k, m - low]


@numba.njit(cache=True)
def classify_ring(line, low, span, ring, wedges, bend, bounds, target_m, marks):
    """Mark the places of one ring: seen, hidden, or unsure where the bounds do not tell.

    `wedges` (first wedge, bits); `bend` (drop at one ring straight ahead, its part across);
    `bounds` (least, most of finished blocks, most of this block) horizon of each wedge.
    """
    first_wedge, bits = wedges
    straight, aside = bend
    least, most, recent = bounds
    last = len(least) - 1
    unit = np.float64(1 << bits) / ring
    inverse = np.float32(1.0 / ring)
    ring_bend = np.float32(straight * ring)
    side_bend = np.float32(aside / ring)
    target = np.float32(target_m)
    unsure = 0
    for m in range(span[0], span[1]):
        w = min(max(np.int64(np.floor(m * unit)) - first_wedge, 0), last)
        across = np.float32(m)
        fall = ring_bend + side_bend * across * across
        rise = (line[m - low] + target) * inverse - fall
        high = max(most[w], recent[w])
        under = least[w]
        margin = ROUNDING * (1.0 + abs(rise) + 2.0 * fall)
        sure = rise - margin * 1.0 - ROUNDING * abs(high) >= high
        lost = rise + margin + ROUNDING * abs(under) < under
        mark = VISIBLE if sure else (HIDDEN if lost else UNSURE)
        marks[m - low] = mark
        unsure += np.int64(mark == UNSURE)
    return unsure


@numba.njit(cache=True)
def raise_bounds(line, low, ring, wedges, active, falls, bounds, scratch):
    """Raise the bounds of the wedges by one ring.

    `active` first and last+1 wedge, counted from the first wedge of the task; `falls` (least, most) drop by
    curvature at one ring in each wedge.
    """
    first_wedge, bits = wedges
    least_fall, most_fall = falls
    least, _, recent = bounds
    mask = (1 << bits) - 1
    scale = np.float32(1.0 / (1 << bits))
    inverse = np.float32(1.0 / ring)
    k = np.float32(ring)
    height, corner, base = scratch
    for b in range(active[0], active[1] + 1):
        q = (first_wedge + b) * ring
        share = np.float32(q & mask) * scale
        place = (q >> bits) - low
        z = line[place]
        corner[b] = z
        base[b] = place
        height[b] = z + share * (line[place + 1] - z)
    for w in range(active[0], active[1]):
        h0, h1 = height[w], height[w + 1]
        inside = corner[w + 1] if base[w + 1] != base[w] else h1
        top = max(max(h0, h1), inside)
        bottom = min(min(h0, h1), inside)
        recent[w] = max(recent[w], top * inverse - least_fall[w] * k)
        least[w] = max(least[w], bottom * inverse - most_fall[w] * k)


@numba.njit(cache=True)
def settle_unsure(surface, place, quadrant, ring, low, span, wedges, bend, block_most, bounds, target_m, marks):
    """Settle the unsure places of one ring by the exact sight line, in the blocks that could hide them."""
    row, column, eye_m = place
    first_wedge, bits = wedges
    straight, aside = bend
    recent = bounds[2]
    block = (ring - 1) // BLOCK_RINGS
    unit = np.float64(1 << bits) / ring
    last = block_most.shape[1] - 1
    for m in range(span[0], span[1]):
        if marks[m - low] != UNSURE:
            continue
        w = min(max(np.int64(np.floor(m * unit)) - first_wedge, 0), last)
        slope = m / ring
        own = straight + aside * slope * slope
        r, c = find_place(quadrant, row, column, ring, m)
        top_m = np.float64(surface[r, c]) + target_m
        rise = (top_m - eye_m) / ring - own * ring
        margin = ROUNDING * (1.0 + abs(rise) + 2.0 * own * ring)
        blocked = False
        for back in range(block + 1):
            one = block - back
            high = recent[w] if one == block else block_most[one, w]
            if rise - margin - ROUNDING * abs(high) >= high:
                continue
            first = one * BLOCK_RINGS + 1
            stop = min(first + BLOCK_RINGS, ring) - 1
            if is_blocked(surface, place, quadrant, (ring, m), top_m, own, first, stop):
                blocked = True
                break
        marks[m - low] = HIDDEN if blocked else VISIBLE


@numba.njit(cache=True)
def find_columns_most(lines, most):
    """Greatest height of each place across over the rings of a block."""
    for m in range(lines.shape[1]):
        most[m] = lines[0, m]
    for k in range(1, lines.shape[0]):
        for m in range(lines.shape[1]):
            most[m] = max(most[m], lines[k, m])


@numba.njit(cache=True)
def needs_work(columns_most, low, rings, wedges, group, bounds, falls, target_m):
    """Say whether a group of wedges can change in a block: a place seen, or a bound raised."""
    first_wedge, bits = wedges
    first, stop = rings
    begin, end = (first_wedge + group[0]), (first_wedge + group[1])
    left = max(min((begin * first) >> bits, (begin * (stop - 1)) >> bits) - low, 0)
    right = min(max((end * first) >> bits, (end * (stop - 1)) >> bits) + 1 - low, len(columns_most) - 1)
    height = LOWEST
    for m in range(left, right + 1):
        height = max(height, columns_most[m])
    least, fall = bounds[0][group[0]], falls[0][group[0]]
    for w in range(group[0], group[1]):
        least = min(least, bounds[0][w])
        fall = min(fall, falls[0][w])
    height += target_m
    rise = height / first if height > 0.0 else height / (stop - 1)
    bent = fall * first
    margin = ROUNDING * (1.0 + abs(rise) + 2.0 * bent + abs(least))
    return rise - bent + margin >= least


@numba.njit(cache=True)
def measure_falls(wedges, bend):
    """Least and most drop by curvature at one ring in each wedge."""
    first_wedge, stop_wedge, bits = wedges
    count = stop_wedge - first_wedge
    least, most = np.empty(count, np.float32), np.empty(count, np.float32)
    for w in range(count):
        s0, s1 = (first_wedge + w) / (1 << bits), (first_wedge + w + 1) / (1 << bits)
        near, far = min(abs(s0), abs(s1)), max(abs(s0), abs(s1))
        least[w] = np.float32((bend[0] + bend[1] * near * near) * (1.0 - 1e-6))
        most[w] = np.float32((bend[0] + bend[1] * far * far) * (1.0 + 1e-6))
    return least, most


@numba.njit(cache=True)
def find_reach(ring, ahead_m, aside_m, range_m):
    """Greatest distance across, in cells, at which a place of a ring is in range."""
    if range_m > 1e300:
        return np.int64(1) << 40
    left = range_m * range_m * (1.0 + 1e-12) - (ring * ahead_m) ** 2
    return np.int64(np.floor(np.sqrt(left) / aside_m)) if left >= 0.0 else np.int64(-1)


@numba.njit(cache=True)
def sweep_wedges(surface, place, quadrant, wedges, rings, view, cells, seen, origin):
    """Sweep the wedges first..stop-1 of one quadrant outwards over a number of rings.

    `place` row, column, eye height; `wedges` (first, stop, bits); `view` (target height, range in metres,
    drop by curvature per square metre); `cells` (width, height in metres); `seen` the result whose [0, 0] is
    place `origin` of the raster; its places in range are HIDDEN. Returns how many the bounds left unsure.
    """
    row, column, _ = place
    first_wedge, stop_wedge, bits = wedges
    target_m, range_m, curve = view
    ahead_m, aside_m = cells if quadrant >= WEST else (cells[1], cells[0])
    _, lowest, highest = find_limits(quadrant, row, column, surface.shape)
    count = stop_wedge - first_wedge
    bend = (curve * ahead_m * ahead_m, curve * aside_m * aside_m)
    falls = measure_falls(wedges, bend)
    blocks = (rings + BLOCK_RINGS - 1) // BLOCK_RINGS
    block_most = np.full((blocks, count), LOWEST, np.float32)
    least, most = np.full(count, LOWEST, np.float32), np.full(count, LOWEST, np.float32)
    scratch = (np.empty(count + 1, np.float32), np.empty(count + 1, np.float32), np.empty(count + 1, np.int32))
    total = 0
    for block in range(blocks):
        first = block * BLOCK_RINGS + 1
        stop = min(first + BLOCK_RINGS, rings + 1)
        low = min((first_wedge * first) >> bits, (first_wedge * (stop - 1)) >> bits) - 1
        high = max((stop_wedge * first) >> bits, (stop_wedge * (stop - 1)) >> bits) + 2
        low, high = max(low, lowest - 2), min(high, highest + 2)
        if low > highest or high < lowest:
            break
        lines = np.empty((stop - first, high - low + 1), np.float32)
        load_block(surface, place, quadrant, first, stop - first, low, (lowest, highest), lines)
        columns_most = np.empty(lines.shape[1], np.float32)
        find_columns_most(lines, columns_most)
        bounds = (least, most, block_most[block])
        start = 0
        while start < count:
            end = start
            while end < count and needs_work(
                columns_most, low, (first, stop), (first_wedge, bits), (end, min(end + GROUP, count)), bounds, falls,
                target_m,
            ):  # fmt: skip
                end = min(end + GROUP, count)
            if end > start:
                total += sweep_block(
                    surface, place, quadrant, (first_wedge, bits), (start, end), (first, stop), view,
                    (ahead_m, aside_m), lines, low, (lowest, highest), bounds, falls, block_most, scratch,
                    seen, origin,
                )  # fmt: skip
            start = end + GROUP
        for w in range(count):
            most[w] = max(most[w], block_most[block, w])
    return total


@numba.njit(cache=True)
def sweep_block(
    surface, place, quadrant, wedges, group, rings, view, sizes, lines, low, limits, bounds, falls, block_most,
    scratch, seen, origin,
):  # fmt: skip
    """Sweep some wedges through one block of rings: classify each ring, then raise the bounds by it."""
    first_wedge, bits = wedges
    target_m, range_m, curve = view
    ahead_m, aside_m = sizes
    lowest, highest = limits
    bend = (curve * ahead_m * ahead_m, curve * aside_m * aside_m)
    begin_wedge, end_wedge = first_wedge + group[0], first_wedge + group[1]
    spans = np.zeros((rings[1] - rings[0], 2), np.int64)
    marks = np.empty(lines.shape, np.uint8)
    total = 0
    for ring in range(rings[0], rings[1]):
        k = ring - rings[0]
        reach = find_reach(ring, ahead_m, aside_m, range_m)
        edge = min(reach, ring if quadrant >= WEST else ring - 1)
        begin = max(-((-begin_wedge * ring) >> bits), max(lowest, -edge))
        end = min(-((-end_wedge * ring) >> bits), min(highest, edge) + 1)
        if end_wedge == 1 << bits:
            end = min(highest, edge) + 1
        spans[k, 0], spans[k, 1] = begin, max(begin, end)
        if begin < end:
            unsure = classify_ring(lines[k], low, spans[k], ring, wedges, bend, bounds, target_m, marks[k])
            if unsure:
                settle_unsure(
                    surface, place, quadrant, ring, low, spans[k], wedges, bend, block_most, bounds, target_m,
                    marks[k],
                )  # fmt: skip
                total += unsure
        begin, end = max(lowest, -reach), min(highest, reach)
        start = max((begin << bits) // ring - 1 - first_wedge, group[0])
        last = min(-((-(end << bits)) // ring) + 1 - first_wedge, group[1])
        if start < last:
            raise_bounds(lines[k], low, ring, wedges, (start, last), falls, bounds, scratch)
    store_block(seen, (place[0] - origin[0], place[1] - origin[1]), quadrant, rings[0], marks, spans, low)
    return total


@numba.njit(cache=True)
def choose_bits(rings):
    """Least number of bits with 2**bits >= rings."""
    bits = 1
    while (1 << bits) < rings:
        bits += 1
    return bits


@numba.njit(cache=True, parallel=True)
def sweep_post(surface, place, view, cells, seen, origin, parts):
    """Viewshed of one post by all threads: four quadrants, each cut into `parts` fans of wedges."""
    unsure = np.zeros(4 * parts, np.int64)
    for task in numba.prange(4 * parts):
        quadrant, part = task // parts, task % parts
        unsure[task] = sweep_part(surface, place, view, cells, seen, origin, quadrant, part, parts)
    return unsure.sum()


@numba.njit(cache=True)
def sweep_part(surface, place, view, cells, seen, origin, quadrant, part, parts):
    """Sweep one of `parts` fans of a quadrant."""
    ahead_m = cells[0] if quadrant >= WEST else cells[1]
    rings = find_limits(quadrant, place[0], place[1], surface.shape)[0]
    if view[1] < rings * ahead_m:
        rings = np.int64(np.floor(view[1] / ahead_m * (1.0 + 1e-12)))
    bits = choose_bits(rings)
    size = 2 << bits
    first, stop = part * size // parts - size // 2, (part + 1) * size // parts - size // 2
    if first >= stop or rings < 1:
        return 0
    return sweep_wedges(surface, place, quadrant, (first, stop, bits), rings, view, cells, seen, origin)
