"""GeoParquet 1.1: one file per layer, for programs that count rather than draw."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd

from abatis.model.storage import write_whole


def write_geoparquet(path: Path, frame: gpd.GeoDataFrame) -> None:
    """Write one layer, whole or not at all: WKB in EPSG:4326, and the box of every shape as a column.

    Parameters
    ----------
    path : file to write.
    frame : rows with shapes in EPSG:4326.

    Raises
    ------
    InputError : when the file cannot be written.

    Source: GeoParquet 1.1.0, geoparquet.org/releases/v1.1.0.
    """
    with write_whole(path) as temporary:
        frame.reset_index(drop=True).to_parquet(
            temporary,
            index=False,
            compression="zstd",
            geometry_encoding="WKB",
            schema_version="1.1.0",
            write_covering_bbox=True,
        )
