"""Small meshes for the tests of the ground: a real H3 disc, or an ideal plane of regular hexagons."""

from __future__ import annotations

import h3.api.basic_int as h3_int
import h3.api.numpy_int as h3_numpy
import numpy as np

from abatis.ground.hexgrid import build_hexgrid, find_neighbors, number_edges
from abatis.model.mesh import Mesh, freeze_mesh
from abatis.model.words import COVER_WORDS, SLOPE_WORDS, SOIL_WORDS


def wrap_mesh(
    cells: np.ndarray, lon: np.ndarray, lat: np.ndarray, neighbor: np.ndarray, step_m: float
) -> Mesh:
    """Make a mesh whose travel columns are real and whose other columns are empty."""
    edge, edge_a, edge_b = number_edges(neighbor)
    n, e = len(cells), len(edge_a)
    zero_n, zero_e = np.zeros(n, np.float32), np.zeros(e, np.float32)
    none = np.full(e, -1, np.int32)
    return freeze_mesh(
        Mesh(
            cells=cells, lon=lon, lat=lat, country=np.zeros(n, np.int8), area_km2=zero_n,
            cover=np.zeros((n, len(COVER_WORDS)), np.float32),
            slope=np.zeros((n, len(SLOPE_WORDS)), np.float32),
            soil=np.zeros((n, len(SOIL_WORDS)), np.float32), elevation_m=zero_n, population=zero_n,
            protected=zero_n, border_km=zero_n, clay_percent=zero_n + np.float32(np.nan),
            neighbor=neighbor, edge=edge, edge_a=edge_a, edge_b=edge_b,
            length_m=zero_e, distance_m=np.full(e, step_m, np.float32), gap_m=zero_e,
            road_class=np.full(e, -1, np.int8), road_m=zero_e, surface=none.astype(np.int8),
            structure=none.astype(np.int8), max_weight_t=zero_e + np.float32(np.inf),
            bridge_m=zero_e, river_m=zero_e,
            road_name=none, bridge_name=none, country_codes=("LT",), road_names=(), bridge_names=(),
            assumptions=(), study_hash="",
        )
    )  # fmt: skip


def make_disc(radius: int, resolution: int = 8, holes: float = 0.0) -> Mesh:
    """Return a disc of H3 cells around 24 E 55 N, a share of them left out."""
    cells = np.sort(h3_numpy.grid_disk(h3_int.latlng_to_cell(55.0, 24.0, resolution), radius))
    grid = build_hexgrid(cells[np.random.default_rng(radius).random(len(cells)) >= holes])
    return wrap_mesh(grid.cells, grid.lon, grid.lat, find_neighbors(grid), 900.0)


def make_plane(radius: int) -> tuple[Mesh, np.ndarray, np.ndarray]:
    """Return a disc of regular hexagons 1 km apart, and the centres' x and y in km."""
    places = [
        (a, b) for a in range(-radius, radius + 1) for b in range(-radius, radius + 1) if abs(a + b) <= radius
    ]
    row_of = {place: row for row, place in enumerate(places)}
    steps = [(1, 0), (0, 1), (-1, 1), (-1, 0), (0, -1), (1, -1)]
    neighbor = np.array(
        [[row_of.get((a + p, b + q), -1) for p, q in steps] for a, b in places], dtype=np.int32
    )
    x = np.array([a + 0.5 * b for a, b in places])
    y = np.array([b * np.sqrt(0.75) for _, b in places])
    cells = np.arange(len(places), dtype=np.uint64)
    return wrap_mesh(cells, x, y, neighbor, 1000.0), x, y


def draw_times(mesh: Mesh, random: np.random.Generator, closed: float = 0.1) -> np.ndarray:
    """Return random hours per edge, a share of them closed."""
    time_h = np.exp(random.normal(-2.0, 0.8, mesh.edge_count))
    time_h[random.random(mesh.edge_count) < closed] = np.inf
    return time_h


def cut_through(mesh: Mesh, random: np.random.Generator, share: float) -> np.ndarray:
    """Return the edges across a random straight line, a random stretch of it."""
    turn = random.uniform(0, np.pi)
    x, y = (mesh.lon - mesh.lon.mean()) / np.ptp(mesh.lon), (mesh.lat - mesh.lat.mean()) / np.ptp(mesh.lat)
    across = x * np.sin(turn) - y * np.cos(turn) > random.uniform(-0.4, 0.4)
    along = x * np.cos(turn) + y * np.sin(turn)
    middle = random.uniform(-0.4, 0.4)
    crossed = across[mesh.edge_a] != across[mesh.edge_b]
    return np.flatnonzero(crossed & (np.abs(along[mesh.edge_a] - middle) < share))
