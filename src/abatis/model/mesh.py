"""Mesh: H3 cells and the edges between neighbouring cells, as plain frozen arrays."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from abatis.model.errors import Fault, InputError
from abatis.model.facilities import Facilities, read_facility_file, write_facility_file
from abatis.model.storage import write_folder_whole
from abatis.model.words import COVER_WORDS, SLOPE_WORDS, SOIL_WORDS


@dataclass(frozen=True)
class Mesh:
    """Cells sorted by H3 index and the edges between them (N cells, E edges).

    Per cell: `cells` uint64[N]; `lon`, `lat` float64[N] (EPSG:4326, centre); `country` int8[N] (index into
    `country_codes`); `area_km2`; shares `cover` [N, 9], `slope` [N, 5], `soil` [N, 4] in the order of
    `model/words.py`; `elevation_m` (NaN unknown); `population` (persons); `protected` (share); `border_km`
    (distance from the cell's centre to the nearest hostile ground, 0 in hostile cells); `clay_percent` of the
    fine soil (NaN unknown).
    `neighbor` and `edge` int32[N, 6], counter-clockwise, -1 where there is none.

    Per edge: rows `edge_a` < `edge_b`; `length_m` of the shared boundary; `distance_m` between the centres;
    `gap_m`, the trafficable width (0 where nature closes it); `road_class` int8 (index into ROAD_WORDS, -1
    none); `road_m`, true length of the road from centre to centre; `surface` int8 (index into SURFACE_WORDS,
    -1 unknown); `structure` int8, on what the road passes water (index into STRUCTURE_WORDS, -1 none);
    `max_weight_t`, weight limit of the road (inf none); `bridge_m` (0 none; fords, tunnels and ferries are no
    bridges); `river_m`, width of the widest river between the centres (0 none); `road_name`, `bridge_name`
    (index into the names, -1 none).

    Beside them: `facilities`, what must be spared or kept reachable.
    """

    cells: np.ndarray
    lon: np.ndarray
    lat: np.ndarray
    country: np.ndarray
    area_km2: np.ndarray
    cover: np.ndarray
    slope: np.ndarray
    soil: np.ndarray
    elevation_m: np.ndarray
    population: np.ndarray
    protected: np.ndarray
    border_km: np.ndarray
    clay_percent: np.ndarray
    neighbor: np.ndarray
    edge: np.ndarray
    edge_a: np.ndarray
    edge_b: np.ndarray
    length_m: np.ndarray
    distance_m: np.ndarray
    gap_m: np.ndarray
    road_class: np.ndarray
    road_m: np.ndarray
    surface: np.ndarray
    structure: np.ndarray
    max_weight_t: np.ndarray
    bridge_m: np.ndarray
    river_m: np.ndarray
    road_name: np.ndarray
    bridge_name: np.ndarray
    country_codes: tuple[str, ...]
    road_names: tuple[str, ...]
    bridge_names: tuple[str, ...]
    assumptions: tuple[str, ...]
    study_hash: str
    facilities: Facilities = field(default_factory=Facilities.empty)

    @property
    def cell_count(self) -> int:
        """Number of cells."""
        return len(self.cells)

    @property
    def edge_count(self) -> int:
        """Number of edges."""
        return len(self.edge_a)

    def mask_countries(self, codes: tuple[str, ...]) -> np.ndarray:
        """Return bool[N], true for cells of the countries named."""
        wanted = [index for index, code in enumerate(self.country_codes) if code in codes]
        return np.isin(self.country, wanted)


_CELL_COLUMNS = (
    "cells",
    "lon",
    "lat",
    "country",
    "area_km2",
    "elevation_m",
    "population",
    "protected",
    "border_km",
    "clay_percent",
)
_SHARE_COLUMNS = {"cover": COVER_WORDS, "slope": SLOPE_WORDS, "soil": SOIL_WORDS}
_EDGE_COLUMNS = (
    "edge_a",
    "edge_b",
    "length_m",
    "distance_m",
    "gap_m",
    "road_class",
    "road_m",
    "surface",
    "structure",
    "max_weight_t",
    "bridge_m",
    "river_m",
    "road_name",
    "bridge_name",
)
_WORD_COLUMNS = ("country_codes", "road_names", "bridge_names", "assumptions", "study_hash")


def write_mesh(mesh: Mesh, folder: Path) -> None:
    """Write cells, edges and facilities (GeoParquet) into `mesh/` of a study folder, whole or not at all."""
    notes = json.dumps({name: getattr(mesh, name) for name in _WORD_COLUMNS}, sort_keys=True)
    cells = {"h3" if name == "cells" else name: getattr(mesh, name) for name in _CELL_COLUMNS}
    for name, words in _SHARE_COLUMNS.items():
        shares = getattr(mesh, name)
        cells |= {f"{name}_{word}": shares[:, index] for index, word in enumerate(words)}
    for side in range(6):
        cells[f"neighbor_{side}"] = mesh.neighbor[:, side]
        cells[f"edge_{side}"] = mesh.edge[:, side]
    edges = {name: getattr(mesh, name) for name in _EDGE_COLUMNS}
    with write_folder_whole(folder / "mesh") as temporary:
        for name, columns in (("cells", cells), ("edges", edges)):
            table = pa.table({key: np.ascontiguousarray(value) for key, value in columns.items()})
            table = table.replace_schema_metadata({"abatis": notes})
            pq.write_table(table, temporary / f"{name}.parquet", compression="zstd")
        write_facility_file(mesh.facilities, temporary / "facilities.parquet")


def read_mesh(folder: Path) -> Mesh:
    """Read the mesh of a study folder.

    Raises
    ------
    InputError : when there is none, a file is damaged, or an older abatis wrote it without columns that are
        needed now.
    """
    tables = {}
    for name in ("cells", "edges"):
        path = folder / "mesh" / f"{name}.parquet"
        try:
            tables[name] = pq.read_table(path)
        except FileNotFoundError as error:
            raise InputError(
                [Fault("has no mesh yet", str(folder), remedy=f"run: abatis build {folder}")]
            ) from error
        except (OSError, pa.ArrowException) as error:
            raise InputError(
                [Fault(f"is damaged: {error}", str(path), remedy=f"run: abatis build {folder}")]
            ) from error
    cells, edges = tables["cells"], tables["edges"]
    _check_columns(folder, cells, edges)
    notes = json.loads(cells.schema.metadata[b"abatis"])
    values: dict[str, Any] = {
        name: _column(cells, "h3" if name == "cells" else name) for name in _CELL_COLUMNS
    }
    for name, words in _SHARE_COLUMNS.items():
        values[name] = np.column_stack([_column(cells, f"{name}_{word}") for word in words])
    for name in ("neighbor", "edge"):
        values[name] = np.column_stack([_column(cells, f"{name}_{side}") for side in range(6)])
    values |= {name: _column(edges, name) for name in _EDGE_COLUMNS}
    listed: dict[str, Any] = {name: tuple(notes[name]) for name in _WORD_COLUMNS[:-1]}
    facilities = read_facility_file(folder / "mesh" / "facilities.parquet", f"run: abatis build {folder}")
    return freeze_mesh(Mesh(**values, **listed, study_hash=notes["study_hash"], facilities=facilities))


def _check_columns(folder: Path, cells: pa.Table, edges: pa.Table) -> None:
    """Refuse a mesh that lacks columns: it cannot be guessed what roads or ground it was built from."""
    wanted = {
        "cells": {"h3" if name == "cells" else name for name in _CELL_COLUMNS}
        | {f"{name}_{word}" for name, words in _SHARE_COLUMNS.items() for word in words}
        | {f"{name}_{side}" for name in ("neighbor", "edge") for side in range(6)},
        "edges": set(_EDGE_COLUMNS),
    }
    faults = []
    for name, table in (("cells", cells), ("edges", edges)):
        lost = sorted(wanted[name] - set(table.column_names))
        if lost:
            shown = str(folder / "mesh" / f"{name}.parquet")
            problem = f"was written by an older abatis and has no column {', '.join(lost)}"
            faults.append(Fault(problem, shown, remedy=f"run: abatis build {folder}"))
    if faults:
        raise InputError(faults)


def freeze_mesh(mesh: Mesh) -> Mesh:
    """Make every array of a mesh contiguous and read-only."""
    for column in fields(mesh):
        value = getattr(mesh, column.name)
        if isinstance(value, np.ndarray):
            value = np.ascontiguousarray(value)
            value.setflags(write=False)
            object.__setattr__(mesh, column.name, value)
    return mesh


def _column(table: pa.Table, name: str) -> np.ndarray:
    return np.asarray(table[name].combine_chunks().to_numpy(zero_copy_only=False))
