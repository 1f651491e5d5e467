"""Closing line on resolution 8 meshes of 172,000 and 1.2 million cells against maximum flow, same optimum."""

from __future__ import annotations

import time

import h3.api.basic_int as h3
import numpy as np

from abatis.barrier.lines import Line, find_closing_line
from abatis.ground.hexgrid import build_hexgrid, find_neighbors, number_edges
from abatis.model.mesh import Mesh
from abatis.model.words import COVER_WORDS, SLOPE_WORDS, SOIL_WORDS

CENTER = (55.0, 24.5)
RADIUS = 239
LARGE_RADIUS = 632
REPEATS = 5
GOAL = "ratio >= 50"
SECONDS_GOAL = "ours < 1"
LARGE_GOAL = "ours < 2"


def make_mesh(radius: int, seed: int = 1) -> tuple[Mesh, np.ndarray]:
    """Make a disk of cells with random whole-euro closing costs, a third of them free."""
    cells = np.sort(np.array(h3.grid_disk(h3.latlng_to_cell(*CENTER, 8), radius), np.uint64))
    neighbor = find_neighbors(build_hexgrid(cells))
    edge, edge_a, edge_b = number_edges(neighbor)
    lonlat = np.array([h3.cell_to_latlng(int(cell))[::-1] for cell in cells])
    count, edges = len(cells), len(edge_a)
    random = np.random.default_rng(seed)
    cost = random.integers(1, 100_000, edges).astype(np.float64)
    cost[random.random(edges) < 1 / 3] = 0.0
    zero, line = np.zeros(count, np.float32), np.zeros(edges, np.float32)
    mesh = Mesh(
        cells=cells,
        lon=lonlat[:, 0].copy(),
        lat=lonlat[:, 1].copy(),
        country=np.zeros(count, np.int8),
        area_km2=zero,
        cover=np.zeros((count, len(COVER_WORDS)), np.float32),
        slope=np.zeros((count, len(SLOPE_WORDS)), np.float32),
        soil=np.zeros((count, len(SOIL_WORDS)), np.float32),
        elevation_m=zero,
        population=zero,
        protected=zero,
        border_km=zero,
        clay_percent=np.full(count, np.nan, np.float32),
        neighbor=neighbor,
        edge=edge,
        edge_a=edge_a,
        edge_b=edge_b,
        length_m=line + 500,
        distance_m=line + 900,
        gap_m=line + 100,
        road_class=np.full(edges, -1, np.int8),
        road_m=line,
        surface=np.full(edges, -1, np.int8),
        structure=np.full(edges, -1, np.int8),
        max_weight_t=np.full(edges, np.inf, np.float32),
        bridge_m=line,
        river_m=line,
        road_name=np.full(edges, -1, np.int32),
        bridge_name=np.full(edges, -1, np.int32),
        country_codes=("HH",),
        road_names=(),
        bridge_names=(),
        assumptions=(),
        study_hash="",
    )
    return mesh, cost


def cut_by_flow(mesh: Mesh, cost: np.ndarray, source: np.ndarray, target: np.ndarray) -> tuple[float, str]:
    """Minimum cut by maximum flow: PyMaxflow, or scipy where it is missing."""
    try:
        import maxflow
    except ImportError:
        from scipy.sparse import csr_matrix
        from scipy.sparse.csgraph import maximum_flow

        n, far = mesh.cell_count, 2**30
        a, b, c = mesh.edge_a, mesh.edge_b, cost.astype(np.int32)
        s, t = np.flatnonzero(source), np.flatnonzero(target)
        rows = np.concatenate([a, b, np.full(len(s), n), t])
        columns = np.concatenate([b, a, s, np.full(len(t), n + 1)])
        values = np.concatenate([c, c, np.full(len(s) + len(t), far, np.int32)]).astype(np.int32)
        graph = csr_matrix((values, (rows, columns)), shape=(n + 2, n + 2))
        return float(maximum_flow(graph, n, n + 1).flow_value), "scipy"
    graph = maxflow.Graph[float](mesh.cell_count, mesh.edge_count)
    nodes = graph.add_nodes(mesh.cell_count)
    graph.add_edges(mesh.edge_a, mesh.edge_b, cost, cost)
    graph.add_grid_tedges(nodes, np.where(source, 1e15, 0.0), np.where(target, 1e15, 0.0))
    return float(graph.maxflow()), "PyMaxflow"


def time_line(mesh: Mesh, cost: np.ndarray, source: np.ndarray, target: np.ndarray) -> tuple[Line, float]:
    """Return the line and the median of some runs in seconds, after one that loads the kernels."""
    line = find_closing_line(mesh, cost, source, target)
    seconds = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        find_closing_line(mesh, cost, source, target)
        seconds.append(time.perf_counter() - begin)
    return line, float(np.median(seconds))


def measure_large(name: str, costs: str) -> dict[str, object]:
    """Time a line on 1.2 million cells, where maximum flow does not end in minutes: nothing is compared."""
    mesh, uneven = make_mesh(LARGE_RADIUS)
    low, high = np.quantile(mesh.lon, [0.05, 0.95])
    even = np.random.default_rng(2).integers(900, 1100, mesh.edge_count).astype(np.float64)
    cost = even if costs == "even" else uneven
    line, ours = time_line(mesh, cost, mesh.lon < low, mesh.lon > high)
    note = f"{mesh.cell_count} cells, {len(line.edges)} edges, {line.cost_eur:.0f} EUR"
    return {
        "name": name,
        "ours": ours,
        "peer": None,
        "ratio": None,
        "goal": LARGE_GOAL,
        "unit": "s",
        "note": note,
    }


def measure_case(
    name: str, mesh: Mesh, cost: np.ndarray, source: np.ndarray, target: np.ndarray
) -> dict[str, object]:
    """Time both on one pair of sets and stop when their optimal values differ."""
    line, ours = time_line(mesh, cost, source, target)
    begin = time.perf_counter()
    value, peer_name = cut_by_flow(mesh, cost, source, target)
    peer = time.perf_counter() - begin
    if abs(value - line.cost_eur) > 0.5:
        raise RuntimeError(f"{name}: line {line.cost_eur} EUR, maximum flow {value} EUR")
    note = f"{mesh.cell_count} cells, {len(line.edges)} edges, {line.cost_eur:.0f} EUR both; peer {peer_name}"
    return {
        "name": name,
        "ours": ours,
        "peer": peer,
        "ratio": peer / ours,
        "goal": GOAL,
        "unit": "s",
        "note": note,
    }


def run() -> list[dict[str, object]]:
    """Run the benchmark: from rim to rim over the whole mesh, inside one band, and around an inner target."""
    mesh, cost = make_mesh(RADIUS)
    low, high = np.quantile(mesh.lon, [0.05, 0.95])
    west, east = mesh.lon < low, mesh.lon > high
    middle = np.hypot((mesh.lon - CENTER[1]) * 0.57, mesh.lat - CENTER[0]) < 0.3
    even = np.random.default_rng(2).integers(900, 1100, mesh.edge_count).astype(np.float64)
    km = np.abs((mesh.lon - high) * 63.8)
    inner, outer = (mesh.lon > high) | (km < 20), (mesh.lon < high) & (km >= 50)
    return [
        measure_case("line_uneven_costs", mesh, cost, west, east),
        measure_case("line_even_costs", mesh, even, west, east),
        measure_case("line_band_20_50_km", mesh, cost, inner, outer) | {"goal": SECONDS_GOAL},
        measure_case("line_ring", mesh, cost, west, middle) | {"goal": SECONDS_GOAL},
        measure_large("line_1_2_million_uneven", "uneven"),
        measure_large("line_1_2_million_even", "even"),
    ]


if __name__ == "__main__":
    for row in run():
        print(row)
