"""Facilities of OpenStreetMap files: what must be spared or kept reachable, as points."""

from __future__ import annotations

import numpy as np
import shapely

from abatis.ground.sources import Area, Findings
from abatis.ground.sources.osm import Features, OsmError, OsmFiles, is_osm_file
from abatis.ground.sources.osm_layers import (
    OsmLayer,
    find_scale,
    list_wants,
    move_to_metres,
    note_problems,
)
from abatis.model.study import Study

POINT_STEP_M = 250.0


def read_facilities(
    study: Study, area: Area, findings: Findings, osm: OsmFiles
) -> tuple[OsmLayer, np.ndarray]:
    """Read border crossings, dams, dykes, power stations, airports, hospitals, schools and ports.

    Parameters
    ----------
    study : the study; every OpenStreetMap file in its sources.csv is looked at, whatever layer it is for.
    area : ground to be read.
    findings : faults and notes are added here.
    osm : reads the files, or still holds the one read last.

    Returns
    -------
    Points with the kind in `words`, and the file of each; empty when the study has no such file.

    In words: areas become a point inside them; a dam or dyke becomes a point every 250 m, so that every
    cell it stands in knows it; a point inside an area of its own kind is left out.
    """
    parts: list[OsmLayer] = []
    files: list[str] = []
    seen: set[str] = set()
    for number, row in study.sources.iterrows():
        path = study.folder / "sources" / row["file"]
        if not is_osm_file(path) or str(path) in seen or row["layer"] == "borders":
            continue
        seen.add(str(path))
        try:
            found = osm.read(path, list_wants(study, str(path), str(row["layer"])), area)
        except OsmError as error:
            findings.add_fault(error.problem, path.name, int(str(number)), "file", error.remedy)
            continue
        note_problems("facilities", found, path.name, findings)
        parts.append(spread_facilities(found["facilities"]))
        files += [path.name] * len(parts[-1].geometry)
    if not parts:
        nothing = np.array([], dtype=object)
        return OsmLayer(nothing, nothing, nothing, np.array([]), {"osm_id": nothing}), nothing
    columns = ("geometry", "words", "names", "values")
    joined = OsmLayer(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in columns},
        attributes={"osm_id": np.concatenate([part.attributes["osm_id"] for part in parts])},
    )
    return joined, np.array(files, dtype=object)


def spread_facilities(features: Features) -> OsmLayer:
    """Turn facilities of any shape into points; `values` is NaN.

    Parameters
    ----------
    features : facilities of one file.
    """
    words = np.array([rule.word for rule in features.rules], dtype=object)
    points, rows = spread_shapes(features.geometry, words)
    ids = np.array(features.ids, dtype=object)
    return OsmLayer(
        points, words[rows], features.texts["name"][rows], np.full(len(rows), np.nan), {"osm_id": ids[rows]}
    )


def spread_shapes(geometry: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn points, lines and areas into points.

    Parameters
    ----------
    geometry : shapely objects [F].
    words : their kinds [F].

    Returns
    -------
    points, and the row of the feature each stands for, int64.
    """
    dimension = shapely.get_dimensions(geometry)
    areas = np.flatnonzero(dimension == 2)
    keep = np.ones(len(geometry), dtype=bool)
    if areas.size:
        point, body = shapely.STRtree(geometry[areas]).query(geometry, predicate="within")
        doubled = (dimension[point] == 0) & (words[point] == words[areas[body]])
        keep[point[doubled]] = False
    points: list[shapely.Geometry] = []
    rows: list[int] = []
    for row in np.flatnonzero(keep).tolist():
        own = [geometry[row]]
        if dimension[row] == 2:
            own = [shapely.point_on_surface(geometry[row])]
        elif dimension[row] == 1:
            own = [point for part in shapely.get_parts(geometry[row]) for point in _step_along(part)]
        elif dimension[row] == 0:
            own = list(shapely.get_parts(geometry[row]))
        points += own
        rows += [row] * len(own)
    spread = np.empty(len(points), dtype=object)
    spread[:] = points
    return spread, np.array(rows, np.int64)


def _step_along(line: shapely.Geometry) -> list[shapely.Geometry]:
    north_m, east_m = find_scale(np.array([line], dtype=object))
    moved = move_to_metres(np.array([line], dtype=object), east_m, north_m)[0]
    count = max(1, int(np.ceil(shapely.length(moved) / POINT_STEP_M)))
    places = shapely.line_interpolate_point(moved, (np.arange(count) + 0.5) / count, normalized=True)
    return list(move_to_metres(places, 1 / east_m, 1 / north_m))
