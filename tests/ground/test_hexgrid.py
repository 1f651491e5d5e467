"""The compiled hexagon grid gives the answers of H3 itself."""

from __future__ import annotations

import h3.api.basic_int as h3_int
import h3.api.numpy_int as h3_numpy
import numpy as np
import pytest
import shapely

from abatis.ground.hexgrid import (
    HexGrid,
    build_hexgrid,
    cover_polygon,
    find_corners,
    find_neighbors,
    label_points,
    label_window,
    number_edges,
)
from abatis.model.errors import InputError


def disk_grid(lon: float, lat: float, resolution: int, radius: int) -> HexGrid:
    return build_hexgrid(np.sort(h3_numpy.grid_disk(h3_int.latlng_to_cell(lat, lon, resolution), radius)))


def ask_h3(grid: HexGrid, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    asked = np.array(
        [h3_int.latlng_to_cell(y, x, grid.resolution) for x, y in zip(lon, lat, strict=True)], dtype=np.uint64
    )
    row = np.minimum(np.searchsorted(grid.cells, asked), len(grid.cells) - 1)
    return np.where(grid.cells[row] == asked, row, -1)


# Two places across an edge between two faces of the icosahedron and one beside a corner of it (a pentagon).
def find_face_edges() -> list[tuple[float, float]]:
    places = []
    for lat in (-50.0, 40.0):
        for lon in np.arange(-170.0, 170.0, 0.5):
            if len(h3_int.get_icosahedron_faces(h3_int.latlng_to_cell(lat, float(lon), 4))) > 1:
                places.append((float(lon), lat))
                break
    return places


@pytest.mark.parametrize("resolution", [7, 8, 9])
def test_labels_equal_h3_over_the_baltic(resolution: int) -> None:
    step = {7: 2.0, 8: 0.7, 9: 0.25}[resolution]
    random = np.random.default_rng(resolution)
    checked = differ = 0
    for west, south in [(19.0, 53.0), (22.3, 54.9), (24.6, 53.8), (26.9, 57.7), (28.6, 59.6), (20.8, 55.4)]:
        grid = build_hexgrid(cover_polygon(shapely.box(west, south, west + step, south + step), resolution))
        lon = random.uniform(west - 0.05, west + step + 0.05, 40_000)
        lat = random.uniform(south - 0.05, south + step + 0.05, 40_000)
        differ += int((label_points(grid, lon, lat) != ask_h3(grid, lon, lat)).sum())
        checked += lon.size
    assert checked == 240_000
    assert differ == 0


@pytest.mark.parametrize("resolution", [6, 7, 8, 9])
@pytest.mark.parametrize("place", find_face_edges())
def test_labels_and_neighbors_equal_h3_across_a_face_edge(
    place: tuple[float, float], resolution: int
) -> None:
    lon, lat = place
    # Walk to a cell that really straddles the edge.
    for cell in h3_numpy.cell_to_children(h3_int.latlng_to_cell(lat, lon, 4), resolution).tolist():
        if len(h3_int.get_icosahedron_faces(cell)) > 1:
            lat, lon = h3_int.cell_to_latlng(cell)
            break
    grid = disk_grid(lon, lat, resolution, 40)
    assert len(set(grid.face.tolist())) == 2
    wide = np.ptp(grid.lon), np.ptp(grid.lat)
    random = np.random.default_rng(5)
    x = lon + wide[0] * random.uniform(-0.55, 0.55, 30_000)
    y = lat + wide[1] * random.uniform(-0.55, 0.55, 30_000)
    assert (label_points(grid, x, y) != ask_h3(grid, x, y)).sum() == 0
    check_neighbors(grid)
    check_window(grid, lon, lat, wide)


@pytest.mark.parametrize("resolution", [6, 7])
def test_labels_and_neighbors_equal_h3_beside_a_pentagon(resolution: int) -> None:
    pentagon = h3_int.get_pentagons(resolution)[3]
    lat, lon = h3_int.cell_to_latlng(pentagon)
    cells = set(h3_int.grid_disk(pentagon, 12)) - {pentagon}
    grid = build_hexgrid(np.array(sorted(cells), dtype=np.uint64))
    assert len(set(grid.face.tolist())) == 5
    random = np.random.default_rng(6)
    x = lon + np.ptp(grid.lon) * random.uniform(-0.5, 0.5, 30_000)
    y = lat + np.ptp(grid.lat) * random.uniform(-0.5, 0.5, 30_000)
    assert (label_points(grid, x, y) != ask_h3(grid, x, y)).sum() == 0
    check_neighbors(grid)


def check_neighbors(grid: HexGrid) -> None:
    neighbor = find_neighbors(grid)
    row_of = {int(cell): row for row, cell in enumerate(grid.cells)}
    for row, cell in enumerate(grid.cells.tolist()):
        expected = {row_of[near] for near in h3_int.grid_ring(cell, 1) if near in row_of}
        assert set(neighbor[row][neighbor[row] >= 0].tolist()) == expected
        whole = neighbor[row]
        if (whole >= 0).all():
            east = (grid.lon[whole] - grid.lon[row] + 180) % 360 - 180
            angle = np.arctan2(grid.lat[whole] - grid.lat[row], east * np.cos(np.radians(grid.lat[row])))
            turns = (np.diff(np.append(angle, angle[0])) + 2 * np.pi) % (2 * np.pi)
            assert turns.sum() == pytest.approx(2 * np.pi), "neighbours go round once, counter-clockwise"


def check_window(grid: HexGrid, lon: float, lat: float, wide: tuple[float, float]) -> None:
    rows, columns = 150, 333
    west, north = lon - 0.6 * wide[0], lat + 0.6 * wide[1]
    dlon, dlat = 1.2 * wide[0] / columns, 1.2 * wide[1] / rows
    out = np.empty((rows, columns), np.int32)
    label_window(grid, west, north, dlon, dlat, rows, columns, out)
    x, y = np.meshgrid(west + (np.arange(columns) + 0.5) * dlon, north - (np.arange(rows) + 0.5) * dlat)
    assert (out.ravel() == label_points(grid, x.ravel(), y.ravel())).all()
    assert (out >= 0).mean() > 0.3


@pytest.mark.parametrize("resolution", [7, 8, 9])
def test_window_equals_points(resolution: int) -> None:
    grid = disk_grid(24.0, 55.0, resolution, 60)
    check_window(grid, 24.0, 55.0, (np.ptp(grid.lon), np.ptp(grid.lat)))


@pytest.mark.parametrize("resolution", [7, 8])
def test_corners_are_those_of_h3_and_shared(resolution: int) -> None:
    lon, lat = find_face_edges()[0]
    for place in ((24.0, 55.0), (lon, lat)):
        grid = disk_grid(*place, resolution, 25)
        places, cell_corner = find_corners(grid)
        neighbor = find_neighbors(grid)
        for row, cell in enumerate(grid.cells.tolist()):
            boundary = np.array(h3_int.cell_to_boundary(cell))
            ours = places[cell_corner[row]]
            apart = np.hypot(ours[:, None, 0] - boundary[None, :, 1], ours[:, None, 1] - boundary[None, :, 0])
            assert apart.min(axis=1).max() < 1e-9
            for k in range(6):
                other = neighbor[row, k]
                if other >= 0:
                    shared = {cell_corner[row, k], cell_corner[row, (k + 5) % 6]}
                    assert shared == set(cell_corner[row]) & set(cell_corner[other])
        assert sorted(set(cell_corner.ravel().tolist())) == list(range(len(places)))
        # Euler's formula of a disc in the plane: corners - boundary segments + cells = 1.
        segments = 6 * len(grid.cells) - (neighbor >= 0).sum() // 2
        assert len(places) - segments + len(grid.cells) == 1


def test_edges_are_numbered_once() -> None:
    neighbor = find_neighbors(disk_grid(24.0, 55.0, 8, 6))
    edge, edge_a, edge_b = number_edges(neighbor)
    assert (edge_a < edge_b).all()
    assert ((edge >= 0) == (neighbor >= 0)).all()
    for row in range(len(neighbor)):
        for k in range(6):
            if edge[row, k] >= 0:
                assert {edge_a[edge[row, k]], edge_b[edge[row, k]]} == {row, neighbor[row, k]}
    assert (np.bincount(edge[edge >= 0]) == 2).all()


@pytest.mark.parametrize("resolution", [5, 6, 7, 8])
def test_cover_equals_h3(resolution: int) -> None:
    ring = shapely.Point(24.3, 55.2).buffer(0.4).difference(shapely.Point(24.2, 55.2).buffer(0.15))
    both = shapely.MultiPolygon([ring, shapely.box(25.0, 55.0, 25.3, 55.1)])
    ours = cover_polygon(both, resolution)
    assert ours.tolist() == sorted(h3_numpy.geo_to_cells(both, resolution).tolist())


def test_faults_are_named() -> None:
    pentagon = h3_int.get_pentagons(5)[0]
    with pytest.raises(InputError, match="pentagon"):
        build_hexgrid(np.sort(np.array(h3_int.grid_disk(pentagon, 1), dtype=np.uint64)))
    cells = np.sort(h3_numpy.grid_disk(h3_int.latlng_to_cell(55.0, 24.0, 8), 1))
    with pytest.raises(InputError, match="not sorted"):
        build_hexgrid(cells[::-1])
    with pytest.raises(InputError, match="resolutions"):
        mixed = np.append(cells, np.uint64(h3_int.latlng_to_cell(55.0, 24.0, 7)))
        build_hexgrid(np.sort(mixed))
    with pytest.raises(InputError, match="no cells"):
        build_hexgrid(np.empty(0, np.uint64))
    with pytest.raises(InputError, match="not an H3 cell"):
        build_hexgrid(np.array([17], np.uint64))
    with pytest.raises(InputError, match="degrees"):
        cover_polygon(shapely.box(500_000, 6_000_000, 500_100, 6_000_100), 8)
    with pytest.raises(InputError, match="not a polygon"):
        cover_polygon(shapely.Point(24, 55), 8)
    with pytest.raises(InputError) as caught:
        label_window(build_hexgrid(cells), 24.0, 95.0, -1.0, 1.0, 2, 2, np.empty((2, 3), np.int32))
    assert len(caught.value.faults) == 3
