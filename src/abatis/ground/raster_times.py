"""Travel times of a mesh, held against a search over a fine raster of the sources."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from abatis.ground._raster import search_raster
from abatis.ground.comparison import Comparison
from abatis.ground.hexgrid import build_hexgrid, label_points
from abatis.ground.pixels import metres_per_degree
from abatis.ground.raster_window import RasterWindow, WindowReader, price_window
from abatis.ground.sources import Area
from abatis.ground.speeds import compute_edge_times
from abatis.ground.travel import compute_times
from abatis.ground.truth import Truth
from abatis.model.mesh import Mesh
from abatis.model.study import Study

Tell = Callable[[float], None]
DIRECTIONS = 32
MOST_USES = 3
PIXELS_PER_CELL = 20
SIDE_CELLS = 50.0
NEAR_CELLS, FAR_CELLS = 20.0, 35.0
TARGETS = 12
RIM_CELLS = 4.0
LIMITS_PERCENT = {7: (8.0, 25.0), 8: (5.0, 15.0), 9: (4.0, 10.0)}
"""Allowed median and 95th percentile of the absolute difference, by resolution."""

UNREACHED_PERCENT = 5.0


def compare_times(study: Study, truth: Truth, mesh: Mesh, windows: int, tell: Tell) -> list[Comparison]:
    """Compare least times between cells of the mesh with those on a raster of the sources.

    Parameters
    ----------
    study, truth, mesh : the study, its sources, its mesh.
    windows : how many pieces of ground are looked at.
    tell : called with the share done.

    In words: each window is 50 cells wide, around a pair of places 20 to 35 cells apart (random cells where
    there are too few places; drawn by the study's seed). It is made a raster of 20 pixels per cell with the
    study's speeds, and times from one place to the other and to 12 random cells are found on raster and mesh,
    both cut at the window. The raster search has 32 directions and is at most 1.3 % too long. The three pairs
    of vehicle and season with most weight are compared. Limits of the difference are the goals of the
    method, on ground of every kind. A cell stands for its centre, with a road for the
    road's pixel nearest to it.
    """
    uses = choose_uses(study)
    random = np.random.default_rng(study.seed)
    times = {use: compute_edge_times(study, mesh, *use).time_h for use in uses}
    blocks = draw_windows(study, truth, mesh, windows, times[uses[0]], random)
    found: dict[tuple[str, str], list[np.ndarray]] = {use: [] for use in uses}
    with WindowReader(study, truth, mesh) as reader:
        for number, cells in enumerate(blocks):
            tell(number / len(blocks))
            window = reader.read(_bound_window(truth, mesh, cells[:2]), truth.spacing_m / PIXELS_PER_CELL)
            for use in uses:
                found[use].append(_measure_window(study, truth, mesh, window, use, times[use], cells))
    tell(1.0)
    rows: list[Comparison] = []
    for use, pairs in found.items():
        if pairs:
            rows += _describe_times(study, use, len(blocks), np.concatenate(pairs))
    return rows


def choose_uses(study: Study) -> list[tuple[str, str]]:
    """Return up to three pairs of vehicle and season, those with most weight first."""
    table = study.tables["approaches"]
    weight: dict[tuple[str, str], float] = {}
    for vehicle, season, own in zip(table["vehicle"], table["season"], table["weight"], strict=True):
        weight[(vehicle, season)] = weight.get((vehicle, season), 0.0) + float(own)
    return sorted(weight, key=lambda use: (-weight[use], use))[:MOST_USES]


def draw_windows(
    study: Study, truth: Truth, mesh: Mesh, windows: int, time_h: np.ndarray, random: np.random.Generator
) -> list[np.ndarray]:
    """Draw the cells of each window, int64[]: two ends, then random cells between which times are taken."""
    east_m, north_m = metres_per_degree(mesh.lat)
    x, y = mesh.lon * float(east_m.mean()) / truth.spacing_m, mesh.lat * north_m / truth.spacing_m
    open_cell = np.zeros(mesh.cell_count, dtype=bool)
    for end in (mesh.edge_a, mesh.edge_b):
        open_cell[end[np.isfinite(time_h)]] = True
    table = study.tables["places"]
    rows = label_points(build_hexgrid(mesh.cells), table["lon"].to_numpy(float), table["lat"].to_numpy(float))
    rows = np.unique(rows[(rows >= 0) & open_cell[rows]]).astype(np.int64)
    candidates = np.flatnonzero(open_cell)
    first, second = np.triu_indices(len(rows), 1)
    apart = np.hypot(x[rows[first]] - x[rows[second]], y[rows[first]] - y[rows[second]])
    fit = np.flatnonzero((apart >= NEAR_CELLS) & (apart <= FAR_CELLS))
    chosen = random.choice(fit, min(windows, len(fit)), replace=False)
    pairs = [(int(rows[first[k]]), int(rows[second[k]])) for k in chosen]
    for _ in range(10 * windows):
        if len(pairs) == windows or not candidates.size:
            break
        one = int(random.choice(candidates))
        far = np.hypot(x[candidates] - x[one], y[candidates] - y[one])
        ring = candidates[(far >= NEAR_CELLS) & (far <= FAR_CELLS)]
        if ring.size:
            pairs.append((one, int(random.choice(ring))))
    blocks = []
    for one, other in pairs:
        middle = (x[one] + x[other]) / 2, (y[one] + y[other]) / 2
        inner = SIDE_CELLS / 2 - RIM_CELLS
        near = (np.abs(x[candidates] - middle[0]) < inner) & (np.abs(y[candidates] - middle[1]) < inner)
        near &= np.hypot(x[candidates] - x[one], y[candidates] - y[one]) >= NEAR_CELLS
        drawn = random.choice(candidates[near], min(TARGETS, int(near.sum())), replace=False)
        blocks.append(np.array([one, other, *drawn], dtype=np.int64))
    return blocks


def _bound_window(truth: Truth, mesh: Mesh, ends: np.ndarray) -> Area:
    """Box of 50 cells around the middle of two cells."""
    lon, lat = float(mesh.lon[ends].mean()), float(mesh.lat[ends].mean())
    east_m, north_m = metres_per_degree(lat)
    half_m = SIDE_CELLS / 2 * truth.spacing_m
    east, north = half_m / float(east_m), half_m / float(north_m)
    return Area(lon - east, lat - north, lon + east, lat + north)


def _measure_window(
    study: Study,
    truth: Truth,
    mesh: Mesh,
    window: RasterWindow,
    use: tuple[str, str],
    time_h: np.ndarray,
    cells: np.ndarray,
) -> np.ndarray:
    """Hours on the mesh and on the raster from the first cell to the others, f8[n, 2]."""
    hours, toll, road = price_window(study, truth, mesh, window, use)
    pixels = place_cells(mesh, window, cells, hours, toll, road)
    placed = pixels[:, 0] >= 0
    if not placed[0]:
        return np.zeros((0, 2))
    ends = pixels[placed]
    raster = search_raster(hours, int(ends[0, 0]), int(ends[0, 1]), DIRECTIONS, ends[1:], toll)
    x, y = window.grid.to_pixels(mesh.lon, mesh.lat)
    inside = (x >= 0) & (y >= 0) & (x < window.grid.columns) & (y < window.grid.rows)
    kept = np.where(inside[mesh.edge_a] & inside[mesh.edge_b], time_h, np.inf)
    ours = compute_times(mesh, kept, cells[:1])
    return np.column_stack([ours[cells[placed][1:]], raster[ends[1:, 0], ends[1:, 1]]])


def place_cells(
    mesh: Mesh,
    window: RasterWindow,
    cells: np.ndarray,
    hours: np.ndarray,
    toll: np.ndarray,
    road: np.ndarray,
) -> np.ndarray:
    """Return the pixel (row, column) that stands for each cell, int64[n, 2], -1 where none is open.

    In words: the open pixel nearest to the centre; in cells with a road the road pixel nearest to it, because
    the mesh measures roads from the middle of their way through one cell to that in the next.
    """
    paved = np.zeros(mesh.cell_count, dtype=bool)
    held = mesh.road_class >= 0
    paved[mesh.edge_a[held]] = paved[mesh.edge_b[held]] = True
    x, y = window.grid.to_pixels(mesh.lon[cells], mesh.lat[cells])
    reach = PIXELS_PER_CELL // 2
    found = []
    for cell, column, row in zip(cells.tolist(), x.astype(int).tolist(), y.astype(int).tolist(), strict=True):
        near = find_nearest(road & (hours >= 0), row, column, reach) if paved[cell] else None
        near = near or find_nearest((hours >= 0) & (toll == 0), row, column, reach)
        found.append(near or (-1, -1))
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def find_nearest(wanted: np.ndarray, row: int, column: int, reach: int) -> tuple[int, int] | None:
    """Return the wanted pixel nearest to one, at most `reach` rows and columns away, or None.

    Examples
    --------
    >>> find_nearest(np.array([[True, False, False, True]]), 0, 2, 2)
    (0, 3)
    """
    top, left = max(0, row - reach), max(0, column - reach)
    near = np.argwhere(wanted[top : row + reach + 1, left : column + reach + 1])
    if len(near) == 0:
        return None
    near += (top, left)
    best = near[np.argmin(((near - (row, column)) ** 2).sum(axis=1))]
    return int(best[0]), int(best[1])


def _describe_times(study: Study, use: tuple[str, str], windows: int, pairs: np.ndarray) -> list[Comparison]:
    ours, theirs = np.isfinite(pairs[:, 0]), np.isfinite(pairs[:, 1])
    both = ours & theirs
    name = f"{use[0]}, {use[1]}"
    mesh_count, raster_count = int(ours.sum()), int(theirs.sum())
    apart = 100 * float((ours != theirs).sum()) / max(len(pairs), 1)
    note = f"pairs with a way, of {len(pairs)} in {windows} windows; differing in either direction"
    rows = [Comparison("ways", name, "pairs", mesh_count, raster_count, apart, 0.0, UNREACHED_PERCENT, note)]
    if not both.any():
        return rows
    mesh_h, raster_h = (float(one) for one in np.median(pairs[both], axis=0))
    signed = 100 * (pairs[both, 0] / pairs[both, 1] - 1)
    low, high = np.percentile(signed, (5, 95))
    median, most = LIMITS_PERCENT[study.resolution]
    note = (
        f"{int(both.sum())} pairs in {windows} windows, median hours; signed: median "
        f"{np.median(signed):+.1f} %, 5 to 95 % of pairs {low:+.1f} to {high:+.1f} %"
    )
    for words, value, limit in (
        ("median", float(np.median(np.abs(signed))), median),
        ("95th percentile", float(np.percentile(np.abs(signed), 95)), most),
    ):
        rows.append(Comparison("times", f"{name}, {words}", "h", mesh_h, raster_h, value, 0.0, limit, note))
    return rows
