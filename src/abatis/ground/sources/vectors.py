"""Vector layers: one layer of the study read, checked, clipped to the area and brought to EPSG:4326."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, GeometryError
from pyproj import CRS, Transformer

from abatis.ground.sources import Area, Findings, check_place, format_code, translate_codes
from abatis.ground.sources.facilities import read_facilities, spread_shapes
from abatis.ground.sources.geoparquet import (
    READ_ERRORS,
    inspect_geoparquet,
    is_geoparquet,
    load_geoparquet,
)
from abatis.ground.sources.osm import OsmError, OsmFiles, glance_at_osm, is_osm_file
from abatis.ground.sources.osm_layers import OsmLayer, read_osm_layer
from abatis.model.errors import nearest_word
from abatis.model.study import Study

POLYGON_LAYERS = (
    "borders",
    "landcover_areas",
    "water",
    "forest",
    "wetland",
    "built_up",
    "protected",
    "municipalities",
    "soil",
    "population",
)
LINE_LAYERS = ("rivers", "roads")
POINT_LAYERS = ("bridges", "places")
GLANCED = 1000
_READ_ERRORS = (
    DataSourceError,
    DataLayerError,
    FeatureError,
    GeometryError,
    OSError,
    RuntimeError,
    *READ_ERRORS,
)
_DIMENSION = (
    dict.fromkeys(POLYGON_LAYERS, ("polygons", 2))
    | dict.fromkeys(LINE_LAYERS, ("lines", 1))
    | dict.fromkeys(POINT_LAYERS, ("points", 0))
)


@dataclass(frozen=True)
class VectorLayer:
    """Features of one layer in EPSG:4326, in the order of sources.csv and of the files.

    `geometry` shapely objects [F]; `words` class words ('' none) [F]; `names` ('' none) [F]; `values` f8[F]
    (NaN none); `files` says which file each feature came from [F]; `attributes` further columns by name [F],
    from OpenStreetMap files only.
    """

    layer: str
    geometry: np.ndarray
    words: np.ndarray
    names: np.ndarray
    values: np.ndarray
    files: np.ndarray
    attributes: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Number of features."""
        return len(self.geometry)


def empty_layer(layer: str) -> VectorLayer:
    """Return a layer without features."""
    nothing = np.array([], dtype=object)
    return VectorLayer(layer, nothing, nothing, nothing, np.array([], dtype=np.float64), nothing)


def read_vector_layer(
    study: Study, layer: str, area: Area, findings: Findings, osm: OsmFiles | None = None
) -> VectorLayer:
    """Read all files of one vector layer.

    Parameters
    ----------
    study : the study.
    layer : a layer of polygons, lines or points (see `fields.csv`, table sources).
    area : ground to be read, degrees.
    findings : faults and assumptions are added here; nothing is raised.
    osm : reads OpenStreetMap files; give the same one for all layers, so that each file is read once.

    Returns
    -------
    The features that touch the area; empty when the study has no such layer or a file has a fault.

    In words: each file is looked at before it is read (layer, columns, CRS, place), then read, mended,
    translated and brought to EPSG:4326.
    """
    osm = osm or OsmFiles()
    parts = []
    for number, row in study.source_rows(layer).iterrows():
        if Path(row["file"]).suffix.lower() in RASTER_SUFFIXES:
            continue
        part = _read_file(study, layer, row, int(str(number)), area, findings, osm)
        if part is not None:
            parts.append(part)
    return _join_parts(layer, parts)


def glance_at_vectors(study: Study, area: Area, findings: Findings) -> None:
    """Look at the vector files of a study without reading them whole; faults are added to `findings`.

    Parameters
    ----------
    study : the study; rasters among its sources are left out.
    area : the study's ground, degrees.
    findings : faults are added here; nothing is raised.

    In words: layer, columns, CRS and place are checked as `read_vector_layer` does, then some features are
    read; of an OpenStreetMap file, however many layers it is for, the first element.
    """
    seen: set[Path] = set()
    for name in dict.fromkeys(study.sources["layer"]):
        for index, row in study.source_rows(name).iterrows():
            path, number = Path(row["file"]), int(str(index))
            if not is_osm_file(path):
                if path.suffix.lower() not in RASTER_SUFFIXES:
                    _glance_at_file(path, row, number, area, findings)
            elif path not in seen:
                seen.add(path)
                try:
                    glance_at_osm(path)
                except OsmError as error:
                    findings.add_fault(error.problem, path.name, number, "file", error.remedy)


def _glance_at_file(path: Path, row: pd.Series, number: int, area: Area, findings: Findings) -> None:
    examined = _examine_file(row, number, area, findings)
    # GeoParquet comes in one piece: its shapes were read when it was examined.
    if examined is None or is_geoparquet(path):
        return
    sublayer, columns, _ = examined
    try:
        pyogrio.read_dataframe(path, layer=sublayer, columns=columns, max_features=GLANCED, force_2d=True)
    except _READ_ERRORS as error:
        findings.add_fault(
            f"cannot be read: {error}", path.name, number, "file", "fetch the file again; it may be damaged"
        )


def _join_parts(layer: str, parts: list[VectorLayer]) -> VectorLayer:
    if not parts:
        return empty_layer(layer)
    columns = ("geometry", "words", "names", "values", "files")
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in columns}
    return VectorLayer(layer, **joined, attributes=_join_attributes(parts))


def read_facility_layer(
    study: Study, area: Area, findings: Findings, osm: OsmFiles | None = None
) -> VectorLayer:
    """Read what must be spared or kept reachable: dams, power stations, hospitals, schools ...

    Parameters
    ----------
    study : the study; all its OpenStreetMap files are looked at, and the other files of layer facilities.
    area : ground to be read, degrees.
    findings : faults and notes are added here; nothing is raised.
    osm : as for `read_vector_layer`.

    Returns
    -------
    Points; the kind stands in `words`. See `facilities.read_facilities`.
    """
    osm = osm or OsmFiles()
    found, files = read_facilities(study, area, findings, osm)
    parts = [_wrap_osm("facilities", found, files)] if len(files) else []
    for number, row in study.source_rows("facilities").iterrows():
        if is_osm_file(Path(row["file"])):
            continue
        if not row["class_column"]:
            findings.add_fault(
                "names no attribute with the kind",
                Path(row["file"]).name,
                int(str(number)),
                "class_column",
                "name the attribute that holds the kind of facility",
            )
            continue
        part = _read_file(study, "facilities", row, int(str(number)), area, findings, osm)
        if part is not None:
            points, rows = spread_shapes(part.geometry, part.words)
            columns = (part.words, part.names, part.values, part.files)
            parts.append(VectorLayer("facilities", points, *(column[rows] for column in columns)))
    return _join_parts("facilities", parts)


def _wrap_osm(layer: str, found: OsmLayer, files: np.ndarray) -> VectorLayer:
    return VectorLayer(layer, found.geometry, found.words, found.names, found.values, files, found.attributes)


def _join_attributes(parts: list[VectorLayer]) -> dict[str, np.ndarray]:
    """Join the further columns; features of files without one get '' or NaN."""
    known = {name: column.dtype for part in parts for name, column in part.attributes.items()}
    return {
        name: np.concatenate(
            [
                part.attributes.get(name, np.full(part.count, np.nan if kind == np.float64 else "", kind))
                for part in parts
            ]
        )
        for name, kind in known.items()
    }


# What a feature without a class is taken as; a road as a main one, because that is the quicker way in.
CLASS_DEFAULTS = {"roads": "main", "forest": "open_forest", "wetland": "wetland"}
CLASS_DEFAULTS |= {"built_up": "built_up", "water": "water"}
RASTER_SUFFIXES = (".tif", ".tiff", ".vrt", ".img", ".asc", ".hgt", ".bil", ".jp2", ".nc")


def _read_file(
    study: Study, layer: str, row: pd.Series, number: int, area: Area, findings: Findings, osm: OsmFiles
) -> VectorLayer | None:
    path = Path(row["file"])
    shown = path.name
    if is_osm_file(path):
        return _read_osm(study, layer, row, number, area, findings, osm)
    examined = _examine_file(row, number, area, findings)
    if examined is None:
        return None
    sublayer, columns, crs = examined
    frame = _load_frame(path, sublayer, columns, crs, area, shown, number, findings)
    if frame is None:
        return None
    if frame.empty or frame.geometry.isna().all():
        findings.add_empty(
            "has no features on the study's ground",
            shown,
            number,
            "file",
            "check its CRS or delete the row",
            fetched=bool(row["fetched"]),
        )
        return None
    return _translate_frame(study, layer, frame, row, number, shown, findings)


def _examine_file(
    row: pd.Series, number: int, area: Area, findings: Findings
) -> tuple[str | None, list[str], CRS] | None:
    """Check what a file says about itself: sublayer, attributes and CRS to read; None with a fault."""
    path = Path(row["file"])
    shown = path.name
    sublayer, info = _inspect_file(path, row, number, findings)
    if info is None:
        return None
    before = len(findings.faults)
    columns = _check_columns(row, list(info["fields"]), number, shown, findings)
    if info["crs"] is None:
        findings.add_fault(
            "has no CRS", shown, number, "file", "write the CRS into the file, for example EPSG:4326"
        )
    if len(findings.faults) > before:
        return None
    if info["features"] == 0:
        findings.add_empty(
            "has no features",
            shown,
            number,
            "file",
            "fill the layer or delete the row",
            fetched=bool(row["fetched"]),
        )
        return None
    crs = CRS.from_user_input(info["crs"])
    bounds = info["total_bounds"]
    if not np.all(np.isfinite(bounds)):
        findings.add_fault("has no geometry", shown, number, "file", "give a layer with geometry")
        return None
    return (sublayer, columns, crs) if check_place(bounds, crs, area, shown, number, findings) else None


def _read_osm(
    study: Study, layer: str, row: pd.Series, number: int, area: Area, findings: Findings, osm: OsmFiles
) -> VectorLayer | None:
    found = read_osm_layer(study, layer, row, number, area, findings, osm)
    if found is None:
        return None
    shown = Path(row["file"]).name
    geometry = _mend_geometry(layer, found.geometry, number, shown, findings)
    mended = replace(found, geometry=geometry)
    return _wrap_osm(layer, mended, np.full(len(geometry), shown, dtype=object))


def _inspect_file(
    path: Path, row: pd.Series, number: int, findings: Findings
) -> tuple[str | None, dict[str, Any] | None]:
    """Return the sublayer to read and what the file says about itself."""
    sublayer = row["sublayer"] or None
    if not path.is_file():
        findings.add_fault(
            "file does not exist", path.name, number, "file", "put it into sources/ or delete the row"
        )
        return None, None
    try:
        if is_geoparquet(path):
            if sublayer is not None:
                findings.add_fault(
                    f"is GeoParquet and has no layer '{sublayer}'",
                    path.name,
                    number,
                    "sublayer",
                    "leave it empty",
                )
                return None, None
            return None, inspect_geoparquet(path)
        names = [str(name) for name, _ in pyogrio.list_layers(path)]
        if sublayer is not None and sublayer not in names:
            findings.add_fault(
                f"has no layer '{sublayer}'", path.name, number, "sublayer", nearest_word(sublayer, names)
            )
            return None, None
        if sublayer is None and len(names) > 1:
            findings.add_fault(
                f"has {len(names)} layers and none is named",
                path.name,
                number,
                "sublayer",
                nearest_word("", names),
            )
            return None, None
        return sublayer, pyogrio.read_info(path, layer=sublayer, force_total_bounds=True)
    except _READ_ERRORS as error:
        findings.add_fault(
            f"cannot be read: {error}", path.name, number, "file", "fetch the file again; it may be damaged"
        )
        return None, None


def _check_columns(
    row: pd.Series, known: list[str], number: int, shown: str, findings: Findings
) -> list[str]:
    columns = []
    for column in ("class_column", "name_column", "value_column"):
        wanted = row[column]
        if wanted and wanted not in known:
            findings.add_fault(
                f"has no attribute '{wanted}'", shown, number, column, nearest_word(wanted, known)
            )
        elif wanted:
            columns.append(wanted)
    return list(dict.fromkeys(columns))


def _load_frame(
    path: Path,
    sublayer: str | None,
    columns: list[str],
    crs: CRS,
    area: Area,
    shown: str,
    number: int,
    findings: Findings,
) -> gpd.GeoDataFrame | None:
    box: tuple[float, float, float, float] | None = area.bounds
    if not crs.is_geographic:
        transformer = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
        box = transformer.transform_bounds(*area.bounds, densify_pts=21)
        if not np.all(np.isfinite(box)):
            box = None
    try:
        if is_geoparquet(path):
            frame = load_geoparquet(path, columns, box)
        else:
            frame = pyogrio.read_dataframe(path, layer=sublayer, columns=columns, bbox=box, force_2d=True)
    except _READ_ERRORS as error:
        findings.add_fault(
            f"cannot be read: {error}", shown, number, "file", "fetch the file again; it may be damaged"
        )
        return None
    return frame.to_crs("EPSG:4326")


def _translate_frame(
    study: Study,
    layer: str,
    frame: gpd.GeoDataFrame,
    row: pd.Series,
    number: int,
    shown: str,
    findings: Findings,
) -> VectorLayer | None:
    geometry = _mend_geometry(layer, np.asarray(frame.geometry.array), number, shown, findings)
    count = len(frame)
    words = np.full(count, "", dtype=object)
    keep = np.array([one is not None and not shapely.is_empty(one) for one in geometry], dtype=bool)
    if row["class_column"]:
        codes = [format_code(value) for value in frame[row["class_column"]]]
        table = translate_codes(study, layer, sorted(set(codes) - {""}), shown, number, findings)
        words = np.array([table.get(code, "") for code in codes], dtype=object)
        empty = np.array([code == "" for code in codes], dtype=bool) & keep
        taken = CLASS_DEFAULTS.get(layer, "")
        keep &= (words != "") | (empty & bool(taken))
        if empty.any():
            result = f"taken as {taken}" if taken else "left out"
            findings.notes.append(
                f"{int(empty.sum())} of {count} features of {shown} ({layer}) have no class in "
                f"{row['class_column']}: they are {result}"
            )
    names = np.full(count, "", dtype=object)
    if row["name_column"]:
        names = np.array([format_code(value) for value in frame[row["name_column"]]], dtype=object)
    values = np.full(count, np.nan)
    if row["value_column"]:
        values = pd.to_numeric(frame[row["value_column"]], errors="coerce").to_numpy(dtype=np.float64)
        unread = frame[row["value_column"]].notna().to_numpy() & np.isnan(values)
        if unread.any():
            example = frame[row["value_column"]].to_numpy()[unread][0]
            findings.add_fault(
                f"has '{example}' where a number belongs", shown, number, "value_column", "write a number"
            )
        if np.any(values < 0):
            findings.add_fault(
                f"has the negative number {np.nanmin(values):g}",
                shown,
                number,
                "value_column",
                "numbers here are at least 0",
            )
    files = np.full(count, shown, dtype=object)
    return VectorLayer(layer, geometry[keep], words[keep], names[keep], values[keep], files[keep])


def _mend_geometry(
    layer: str, geometry: np.ndarray, number: int, shown: str, findings: Findings
) -> np.ndarray:
    if layer == "facilities":
        return geometry
    expected, dimension = _DIMENSION[layer]
    found = shapely.get_dimensions(geometry)
    wrong = (found != dimension) & (found >= 0)
    if wrong.any():
        kind = geometry[wrong][0].geom_type
        findings.add_fault(
            f"has {int(wrong.sum())} features of type {kind} but layer {layer} holds {expected}",
            shown,
            number,
            "file",
            f"give {expected}",
        )
        return np.array([None if bad else one for bad, one in zip(wrong, geometry, strict=True)], object)
    if dimension != 2:
        return geometry
    broken = ~shapely.is_valid(geometry) & (found >= 0)
    if broken.any():
        geometry = geometry.copy()
        geometry[broken] = [_keep_polygons(one) for one in shapely.make_valid(geometry[broken])]
        findings.notes.append(f"{int(broken.sum())} self-crossing polygons of {shown} ({layer}) were mended")
    return geometry


def _keep_polygons(geometry: shapely.Geometry) -> shapely.Geometry:
    parts = [part for part in shapely.get_parts(geometry) if shapely.get_dimensions(part) == 2]
    return shapely.union_all(parts) if parts else shapely.Polygon()
