"""Facilities beside the mesh: what must be spared or kept reachable, as points in their cells."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from abatis.model.errors import Fault, InputError
from abatis.model.words import FACILITY_WORDS, PROTECTED_WORKS

_GEO = {
    "version": "1.0.0",
    "primary_column": "geometry",
    "columns": {"geometry": {"encoding": "WKB", "geometry_types": ["Point"]}},
}


@dataclass(frozen=True, eq=False)
class Facilities:
    """Points of facilities (P points; a long dam or dyke is several).

    `kind` int8[P] (index into FACILITY_WORDS); `name`, `source` (P texts); `lon`, `lat` f8[P] (EPSG:4326);
    `cell` int32[P], row of the cell of the mesh.
    """

    kind: np.ndarray
    name: tuple[str, ...]
    source: tuple[str, ...]
    lon: np.ndarray
    lat: np.ndarray
    cell: np.ndarray

    @classmethod
    def empty(cls) -> Facilities:
        """Return no facilities."""
        nothing = np.zeros(0)
        return cls(nothing.astype(np.int8), (), (), nothing, nothing, nothing.astype(np.int32))

    def __eq__(self, other: object) -> bool:
        """Say whether all columns are the same."""
        if not isinstance(other, Facilities):
            return NotImplemented
        columns = ((getattr(self, one.name), getattr(other, one.name)) for one in fields(self))
        return all(np.array_equal(mine, theirs) for mine, theirs in columns)

    __hash__ = None  # type: ignore[assignment]

    @property
    def count(self) -> int:
        """Number of points."""
        return len(self.kind)

    def mask_protected(self) -> np.ndarray:
        """Return bool[P], true for works that may not be attacked: dams, dykes, nuclear power stations.

        In words: Additional Protocol I to the Geneva Conventions, article 56; installations built to defend
        such works are protected too, other military objectives should not be placed near them.
        """
        return np.isin(self.kind, [FACILITY_WORDS.index(word) for word in PROTECTED_WORKS])


def write_facility_file(facilities: Facilities, path: Path) -> None:
    """Write facilities as GeoParquet 1.0: kind, name, source, protected_work, cell, geometry."""
    points = np.asarray(shapely.to_wkb(shapely.points(facilities.lon, facilities.lat)), dtype=object)
    table = pa.table(
        {
            "kind": pa.array([FACILITY_WORDS[kind] for kind in facilities.kind.tolist()], pa.string()),
            "name": pa.array(facilities.name, pa.string()),
            "source": pa.array(facilities.source, pa.string()),
            "protected_work": pa.array(facilities.mask_protected(), pa.bool_()),
            "cell": pa.array(facilities.cell, pa.int32()),
            "geometry": pa.array(points.tolist(), pa.binary()),
        }
    )
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(_GEO)}), path, compression="zstd")


def read_facility_file(path: Path, remedy: str) -> Facilities:
    """Read what `write_facility_file` wrote.

    Parameters
    ----------
    path : the file.
    remedy : what to do when it is missing or damaged.

    Raises
    ------
    InputError : it is missing or damaged.
    """
    try:
        table = pq.read_table(path)
        points = shapely.from_wkb(table["geometry"].to_pylist())
        kind = [FACILITY_WORDS.index(word) for word in table["kind"].to_pylist()]
        return Facilities(
            np.array(kind, np.int8),
            tuple(table["name"].to_pylist()),
            tuple(table["source"].to_pylist()),
            np.array(shapely.get_x(points), np.float64),
            np.array(shapely.get_y(points), np.float64),
            np.array(table["cell"], np.int32),
        )
    except FileNotFoundError as error:
        raise InputError([Fault("is missing", str(path), remedy=remedy)]) from error
    except (OSError, pa.ArrowException, KeyError, ValueError, shapely.errors.ShapelyError) as error:
        raise InputError([Fault(f"is damaged: {error}", str(path), remedy=remedy)]) from error
