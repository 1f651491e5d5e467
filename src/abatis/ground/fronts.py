"""Where movement starts and where it ends: cells of a front, cell of an objective."""

from __future__ import annotations

import h3.api.numpy_int as h3
import numpy as np
import pandas as pd

from abatis.model.errors import Fault, InputError
from abatis.model.mesh import Mesh
from abatis.model.study import Study


def find_front_cells(study: Study, mesh: Mesh, front: str) -> np.ndarray:
    """Return int32[], the cells of a front: hostile ground that touches home ground.

    Parameters
    ----------
    study, mesh : the study and its mesh.
    front : key of tables/fronts.csv; its limits west, south, east, north cut the front.

    Raises
    ------
    InputError : no such front, or none of its cells is in the mesh.
    """
    row = study.find_row("fronts", front)
    hostile = mesh.mask_countries(tuple(row["countries"]))
    home = mesh.mask_countries(study.home)
    touches = (home[mesh.neighbor] & (mesh.neighbor >= 0)).any(axis=1)
    found = hostile & touches & _mask_box(mesh, row)
    cells = np.flatnonzero(found).astype(np.int32)
    if cells.size == 0:
        countries = " ".join(row["countries"])
        raise InputError(
            [
                Fault(
                    f"front '{front}' lies outside the mesh: no cell of {countries} within its limits "
                    "touches home ground",
                    "tables/fronts.csv",
                    int(str(row.name)),
                    "front",
                    "widen west, south, east, north or check the countries",
                )
            ]
        )
    return cells


def _mask_box(mesh: Mesh, row: pd.Series) -> np.ndarray:
    inside = np.ones(mesh.cell_count, dtype=bool)
    for column, place, sign in (
        ("west", mesh.lon, 1),
        ("south", mesh.lat, 1),
        ("east", mesh.lon, -1),
        ("north", mesh.lat, -1),
    ):
        if not np.isnan(row[column]):
            inside &= sign * (place - row[column]) >= 0
    return inside


def find_objective_cell(study: Study, mesh: Mesh, place: str) -> int:
    """Return the row of the cell that holds a place.

    Parameters
    ----------
    study, mesh : the study and its mesh.
    place : key of tables/places.csv.

    Raises
    ------
    InputError : no such place, a place outside the mesh, or one that nothing can drive to (in a lake).
    """
    row = study.find_row("places", place)
    cell = np.uint64(h3.latlng_to_cell(float(row["lat"]), float(row["lon"]), study.resolution))
    index = int(np.searchsorted(mesh.cells, cell))
    if index >= mesh.cell_count or mesh.cells[index] != cell:
        raise InputError(
            [
                _describe_place(
                    row, "lies outside the mesh", "check lon and lat, or raise strip_km in study.toml"
                )
            ]
        )
    edges = mesh.edge[index][mesh.edge[index] >= 0]
    if not np.any((mesh.gap_m[edges] > 0) | (mesh.road_m[edges] > 0)):
        raise InputError(
            [
                _describe_place(
                    row,
                    "cannot be driven to: it lies in water or on closed ground",
                    "move it to the nearest shore or road",
                )
            ]
        )
    return index


def _describe_place(row: pd.Series, problem: str, remedy: str) -> Fault:
    name = f"place '{row['place']}' ({row['name']})"
    return Fault(f"{name} {problem}", "tables/places.csv", int(str(row.name)), "place", remedy)
