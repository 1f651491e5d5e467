"""GeoJSON as RFC 7946 has it: EPSG:4326, rings counter-clockwise outside, one file per layer."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import shapely

from abatis.model.storage import write_text_whole
from abatis.show.interchange.layers import list_records


def write_geojson(path: Path, frame: gpd.GeoDataFrame, title: str) -> None:
    """Write one layer, whole or not at all.

    Parameters
    ----------
    path : file to write.
    frame : rows with shapes in EPSG:4326.
    title : what the layer is, kept as the member `title`.

    In words: longitude before latitude, no `crs` member, a bounding box, outer rings counter-clockwise; a
    number that is missing or without end is null. One feature to a line, so that two exports can be compared.

    Raises
    ------
    InputError : when the file cannot be written.

    Source: RFC 7946, The GeoJSON Format, 2016, sections 3.1.6, 4, 5 and 6.1.
    """
    shapes = shapely.orient_polygons(frame.geometry.to_numpy(), exterior_cw=False)
    head: dict[str, object] = {"type": "FeatureCollection", "title": title}
    if len(frame):
        head["bbox"] = [float(one) for one in frame.total_bounds]
    features = ",\n".join(
        json.dumps(
            {"type": "Feature", "id": number, "properties": record, "geometry": shape.__geo_interface__},
            ensure_ascii=False,
            allow_nan=False,
        )
        for number, (record, shape) in enumerate(zip(list_records(frame), shapes, strict=True), 1)
    )
    opening = json.dumps(head, ensure_ascii=False)[:-1]
    write_text_whole(path, f'{opening}, "features": [\n{features}\n]}}\n')
