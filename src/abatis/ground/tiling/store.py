"""Finished tiles on disk as partitioned GeoParquet: an interrupted build goes on from them."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from abatis.ground.composition import CellCounts
from abatis.ground.tiling.counting import TileResult
from abatis.ground.tiling.shapes import describe_geometry, write_lines, write_polygons
from abatis.model.storage import write_folder_whole
from abatis.model.words import COVER_WORDS, SLOPE_WORDS, SOIL_WORDS

_SHARED = {"cover": COVER_WORDS, "slope": SLOPE_WORDS, "soil": SOIL_WORDS, "protected": ("no", "yes")}


@dataclass(frozen=True)
class TilePlaces:
    """Where a tile's own cells and edges lie: H3 indices, corners f8[N, 6, 2], ends f8[E, 4] (degrees)."""

    cells: np.ndarray
    corners: np.ndarray
    edge_cells: np.ndarray
    ends: np.ndarray


class TileStore:
    """A folder with one folder per finished tile, `tile=NUMBER/`, each written whole or not at all.

    `cells.parquet` (GeoParquet polygons) holds pixels counted per cell, `edges.parquet` (GeoParquet lines)
    samples per edge, `stretches.parquet` and `zones.parquet` what roads and population polygons need. A tile
    counts as finished while the hash of its inputs, kept in `cells.parquet`, is the same.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place(self, number: int) -> Path:
        """Return the folder of a tile."""
        return self.folder / f"tile={number:05d}"

    def write(self, result: TileResult, places: TilePlaces, digest: str) -> None:
        """Keep a finished tile.

        Raises
        ------
        InputError : the disk is full or the folder cannot be written; nothing half-written stays.
        """
        counts = result.counts
        note = {"hash": digest, "unknown": counts.unknown_cover, "stateless": counts.stateless_cover}
        cells: dict[str, Any] = {"h3": places.cells}
        for name, words in (*_SHARED.items(), ("country", range(counts.country.shape[1]))):
            cells |= {f"{name}_{word}": getattr(counts, name)[:, k] for k, word in enumerate(words)}
        cells |= {
            "pixels": counts.pixels[:, 0], "height_sum": counts.height_sum,
            "height_count": counts.height_count,
        }  # fmt: skip
        edges = {"cell_a": places.edge_cells[:, 0], "cell_b": places.edge_cells[:, 1]}
        edges |= {name: getattr(result, name) for name in ("passed", "seen", "joined")}
        zones = {name: getattr(counts, name) for name in ("zone", "zone_cell", "zone_pixels")}
        with write_folder_whole(self.place(result.number)) as folder:
            _write(folder / "edges.parquet", edges | {"geometry": write_lines(places.ends)}, "LineString")
            _write(folder / "stretches.parquet", {"wet": result.wet})
            _write(folder / "zones.parquet", zones)
            shapes = write_polygons(places.corners)
            _write(folder / "cells.parquet", cells | {"geometry": shapes}, "Polygon", note)

    def read(self, number: int, digest: str) -> TileResult | None:
        """Return a finished tile, or None when there is none of these inputs or its files are damaged."""
        folder = self.place(number)
        try:
            cells = pq.read_table(folder / "cells.parquet")
            note = json.loads(cells.schema.metadata[b"abatis"])
            if note["hash"] != digest:
                return None
            edges, stretches, zones = (
                pq.read_table(folder / f"{name}.parquet") for name in ("edges", "stretches", "zones")
            )
        except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
            return None
        counts = _read_counts(cells, zones, note)
        taken = {name: _column(edges, name) for name in ("passed", "seen", "joined")}
        return TileResult(number, counts, **taken, wet=_column(stretches, "wet"))

    def keep_only(self, numbers: list[int]) -> None:
        """Delete the folders of tiles that are not among these, and what an interrupted write left."""
        wanted = {self.place(number).name for number in numbers}
        for path in self.folder.glob("*"):
            if path.is_dir() and path.name.startswith(("tile=", ".part-")) and path.name not in wanted:
                shutil.rmtree(path, ignore_errors=True)


def _write(path: Path, columns: dict[str, Any], shape: str = "", note: dict[str, Any] | None = None) -> None:
    table = pa.table(columns)
    notes = {"geo": describe_geometry(shape)} if shape else {}
    if note is not None:
        notes["abatis"] = json.dumps(note, sort_keys=True)
    # Without dictionaries and statistics the many small files are written twice as fast, hardly larger.
    pq.write_table(
        table.replace_schema_metadata(notes),
        path,
        compression="zstd",
        use_dictionary=False,
        write_statistics=False,
    )


def _read_counts(cells: pa.Table, zones: pa.Table, note: dict[str, Any]) -> CellCounts:
    names = cells.column_names
    countries = tuple(str(k) for k in range(sum(name.startswith("country_") for name in names)))
    shared = {
        name: np.column_stack([_column(cells, f"{name}_{word}") for word in words])
        for name, words in (*_SHARED.items(), ("country", countries))
    }
    rest = {name: _column(cells, name) for name in ("height_sum", "height_count")}
    taken = {name: _column(zones, name) for name in ("zone", "zone_cell", "zone_pixels")}
    return CellCounts(
        **shared, **rest, **taken, pixels=_column(cells, "pixels")[:, None],
        unknown_cover=note["unknown"], stateless_cover=note["stateless"],
    )  # fmt: skip


def _column(table: pa.Table, name: str) -> np.ndarray:
    return np.asarray(table[name].to_numpy())
