"""Layers of a study from OpenStreetMap features: words, names, numbers, and what was assumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import shapely
from pyproj import Geod

from abatis.ground.sources import Area, Findings, translate_codes
from abatis.ground.sources.osm import (
    SHOWN_IDS,
    Features,
    OsmError,
    OsmFiles,
    Want,
)
from abatis.ground.sources.osm_tags import list_layers, parse_metres, parse_tonnes, read_surfaces
from abatis.model.errors import nearest_word
from abatis.model.study import Study

TABLE_WORD = "tags"
_ELLIPSOID = Geod(ellps="WGS84")
_MEANING = {
    "nodes": ("name nodes that the file lacks", "the pieces that remain are used, areas are left out"),
    "members": ("lack member ways in the file", "they are left out"),
    "rings": ("have rings that cross themselves or do not close", "they are left out"),
    "open": ("are tagged as areas but do not close", "they are left out"),
    "short": ("have fewer than two places", "they are left out"),
}
_REMEDY = {
    "nodes": "cut the extract with complete ways",
    "members": "cut the extract with complete relations",
    "rings": "mend them in OpenStreetMap or give the layer as polygons",
    "open": "mend them in OpenStreetMap",
    "short": "mend them in OpenStreetMap",
}


@dataclass(frozen=True)
class OsmLayer:
    """One layer from a file, in EPSG:4326.

    `geometry`, `words`, `names`, `values` as in `VectorLayer`; `attributes` holds further columns by name:
    `osm_id`; for roads `surface`, `surface_tag`, `max_weight_t`, `width_m`, `structure`; for rivers
    `width_tag`.
    """

    geometry: np.ndarray
    words: np.ndarray
    names: np.ndarray
    values: np.ndarray
    attributes: Mapping[str, np.ndarray] = field(default_factory=dict)


def list_wants(study: Study, file: str, layer: str) -> tuple[Want, ...]:
    """Return all layers that the study wants from a file; borders come alone, they are read before the rest.

    Parameters
    ----------
    study : the study.
    file : absolute path of the file.
    layer : the layer that is being read.
    """
    wants = []
    for one in dict.fromkeys(study.sources["layer"]):
        if one not in list_layers() or (one == "borders") != (layer == "borders"):
            continue
        rows = study.source_rows(one)
        columns = ("class_column", "name_column", "value_column")
        own = rows[rows["file"] == file]
        keys = [key for column in columns for key in own[column] if key and key != TABLE_WORD]
        if not own.empty:
            wants.append(Want(one, tuple(dict.fromkeys(keys))))
    return tuple(wants)


def read_osm_layer(
    study: Study,
    layer: str,
    row: pd.Series,
    number: int,
    area: Area,
    findings: Findings,
    files: OsmFiles,
) -> OsmLayer | None:
    """Read one layer of an OpenStreetMap file named in sources.csv.

    Parameters
    ----------
    study : the study.
    layer : the layer.
    row, number : the row of sources.csv and its line. `class_column` empty or `tags`: classes by the table of
        tags; otherwise, like `name_column` and `value_column`, an OpenStreetMap key.
    area : ground to be read.
    findings : faults and assumptions are added here.
    files : reads the file, or still holds it.

    Returns
    -------
    The layer, or None when there is a fault.

    In words: the file is read once for all its layers; then this layer gets words, names and numbers.
    """
    path = Path(row["file"])
    if not _check_row(path, layer, row, number, findings):
        return None
    try:
        found = files.read(path, list_wants(study, row["file"], layer), area)
    except OsmError as error:
        findings.add_fault(error.problem, path.name, number, "file", error.remedy)
        return None
    features, result = _make_layer(layer, found, path.name, findings)
    note_problems(layer, found, path.name, findings)
    if features.count:
        result = _rename(study, layer, features, result, row, number, findings)
    if not len(result.geometry):
        findings.add_empty(
            f"has nothing for the layer {layer} on the study's ground",
            path.name,
            number,
            "file",
            "give the extract of the study's ground or delete the row",
            fetched=bool(row["fetched"]),
        )
        return None
    return result


def _check_row(path: Path, layer: str, row: pd.Series, number: int, findings: Findings) -> bool:
    before = len(findings.faults)
    if not path.is_file():
        findings.add_fault(
            "file does not exist", path.name, number, "file", "put it into sources/ or delete the row"
        )
    if layer not in list_layers():
        findings.add_fault(
            f"is OpenStreetMap data, which has no layer {layer}",
            path.name,
            number,
            "layer",
            nearest_word(layer, list_layers()),
        )
    if row["sublayer"]:
        findings.add_fault(
            f"is OpenStreetMap data and has no layer '{row['sublayer']}'",
            path.name,
            number,
            "sublayer",
            "leave it empty",
        )
    return len(findings.faults) == before


def _make_layer(
    layer: str, found: Mapping[str, Features], file: str, findings: Findings
) -> tuple[Features, OsmLayer]:
    if layer == "bridges":
        features = find_bridges(found)
        lengths = [parse_metres(text) for text in features.texts["length"]]
        return features, _draw_bridges(features, np.array(lengths, dtype=np.float64))
    features = found[layer]
    values = np.full(features.count, np.nan)
    attributes: dict[str, np.ndarray] = {}
    names = features.texts["name"]
    if layer == "roads":
        names = np.where(features.texts["ref"] != "", features.texts["ref"], names)
        attributes = _describe_roads(features, found.get("structures"), file, findings)
    elif layer == "rivers":
        values, tags = measure_rivers(features, found.get("water"), file, findings)
        attributes = {"width_tag": tags}
    elif layer == "places":
        values = pd.to_numeric(pd.Series(features.texts["population"]), errors="coerce").to_numpy(np.float64)
    elif layer == "forest" and features.count:
        findings.notes.append(
            f"density of {features.count} forests of {file} is taken as {_guesses(features)} (G)"
        )
    geometry = features.geometry
    words = np.array([rule.word for rule in features.rules], dtype=object)
    attributes["osm_id"] = np.array(features.ids, dtype=object)
    return features, OsmLayer(geometry, words, names, values, attributes)


def _guesses(features: Features) -> str:
    return " or ".join(dict.fromkeys(rule.word for rule in features.rules))


def _describe_roads(
    features: Features, structures: Features | None, file: str, findings: Findings
) -> dict[str, np.ndarray]:
    """Surface, weight limit, width and structure of roads; says what was assumed."""
    known = read_surfaces()
    given = [known.get(text, "") for text in features.texts["surface"]]
    surface = [own or rule.surface for own, rule in zip(given, features.rules, strict=True)]
    assumed = given.count("")
    if assumed:
        findings.notes.append(
            f"surface of {assumed} of {features.count} roads of {file} is not known: taken by their class (G)"
        )
    unsure = [one for one, rule in zip(features.ids, features.rules, strict=True) if rule.unsure]
    if unsure:
        words = " or ".join(dict.fromkeys(rule.word for rule in features.rules if rule.unsure))
        findings.notes.append(
            f"{len(unsure)} roads of {file} have no class ({show_ids(unsure)}): taken as {words} (G)"
        )
    limits = np.array([parse_tonnes(text) for text in features.texts["maxweight"]], dtype=np.float64)
    unread = [
        f"{one} '{text}'"
        for one, text, limit in zip(features.ids, features.texts["maxweight"], limits, strict=True)
        if text not in ("", "none", "default", "unsigned") and np.isnan(limit)
    ]
    if unread:
        findings.notes.append(
            f"weight limits of {len(unread)} roads of {file} cannot be read ({show_ids(unread)})"
        )
    kinds: dict[str, str] = {}
    if structures is not None:
        kinds = {one: rule.word for one, rule in zip(structures.ids, structures.rules, strict=True)}
    return {
        "surface": np.array(surface, dtype=object),
        "surface_tag": np.array(["F" if own else "G" for own in given], dtype=object),
        "max_weight_t": limits,
        "width_m": np.array([parse_metres(text) for text in features.texts["width"]], dtype=np.float64),
        "structure": np.array([kinds.get(one, "") for one in features.ids], dtype=object),
    }


def measure_rivers(
    rivers: Features, water: Features | None, file: str, findings: Findings
) -> tuple[np.ndarray, np.ndarray]:
    """Width of each river in metres, and the tag of that number.

    Parameters
    ----------
    rivers : river lines.
    water : water areas of the same file, or None.
    file, findings : for the notes.

    Returns
    -------
    widths f8[F] and tags: F from `width` or `est_width`, D measured on the water areas, G by kind.

    Formula: measured width = 2 x distance from the middle of the line to the shore.
    In words: where a river has no width but its middle lies in a water area, the area tells it; else the
    table of tags gives one for each kind.
    """
    texts = zip(rivers.texts["width"], rivers.texts["est_width"], strict=True)
    width = np.array([parse_metres(one or other) for one, other in texts], dtype=np.float64)
    tags = np.where(np.isnan(width), "G", "F").astype(object)
    lost = np.flatnonzero(np.isnan(width))
    if lost.size and water is not None and water.count:
        middle = shapely.line_interpolate_point(rivers.geometry[lost], 0.5, normalized=True)
        inside, body = shapely.STRtree(water.geometry).query(middle, predicate="within")
        if inside.size:
            north_m, east_m = find_scale(rivers.geometry)
            lines = shapely.boundary(move_to_metres(water.geometry[body], east_m, north_m))
            apart = shapely.distance(move_to_metres(middle[inside], east_m, north_m), lines)
            width[lost[inside]] = 2 * apart
            tags[lost[inside]] = "D"
            count = len(set(inside.tolist()))
            findings.notes.append(f"widths of {count} rivers of {file} are measured on its water areas (D)")
    lost = np.flatnonzero(np.isnan(width))
    width[lost] = [rivers.rules[row].width_m for row in lost]
    if lost.size:
        guesses = {rivers.rules[row].word: rivers.rules[row].width_m for row in lost}
        shown = ", ".join(f"{word} {metres:g}" for word, metres in sorted(guesses.items()))
        findings.notes.append(
            f"widths of {lost.size} of {rivers.count} rivers and ditches of {file} are taken by kind, "
            f"metres: {shown} (G)"
        )
    return width, tags


def find_scale(geometry: np.ndarray) -> tuple[float, float]:
    """Metres per degree north and east in the middle of the features."""
    _, south, _, north = shapely.total_bounds(geometry)
    middle = (south + north) / 2
    metres = _ELLIPSOID.inv([0.0, 0.0], [middle, middle - 0.005], [0.01, 0.0], [middle, middle + 0.005])[2]
    return float(metres[1]) * 100, float(metres[0]) * 100


def move_to_metres(geometry: np.ndarray, east_m: float, north_m: float) -> np.ndarray:
    """Stretch degrees to local metres."""
    moved: np.ndarray = shapely.transform(geometry, lambda points: points * np.array([east_m, north_m]))
    return moved


def find_bridges(found: Mapping[str, Features]) -> Features:
    """Return the bridges and tunnels of roads that pass water, and all fords.

    Parameters
    ----------
    found : layers of a file; roads' structures, rivers and water among them.

    In words: a bridge over a railway is no way across a river, so a bridge or tunnel counts only when its
    line meets a river or a water area of the same file.
    """
    structures = found["structures"]
    if not structures.count:
        return structures
    wet = np.array([rule.word == "ford" for rule in structures.rules], dtype=bool)
    for layer in ("rivers", "water"):
        if found[layer].count:
            tree = shapely.STRtree(found[layer].geometry)
            wet[tree.query(structures.geometry, predicate="intersects")[0]] = True
    return structures.take(wet)


def _draw_bridges(features: Features, length_m: np.ndarray) -> OsmLayer:
    lines = shapely.get_dimensions(features.geometry) == 1
    points = features.geometry.copy()
    if lines.any():
        points[lines] = shapely.line_interpolate_point(features.geometry[lines], 0.5, normalized=True)
        north_m, east_m = find_scale(features.geometry)
        drawn = shapely.length(move_to_metres(features.geometry[lines], east_m, north_m))
        length_m[lines] = np.where(np.isnan(length_m[lines]), drawn, length_m[lines])
    words = np.array([rule.word for rule in features.rules], dtype=object)
    attributes = {"osm_id": np.array(features.ids, dtype=object)}
    return OsmLayer(points, words, features.texts["name"], length_m, attributes)


def _rename(
    study: Study,
    layer: str,
    features: Features,
    made: OsmLayer,
    row: pd.Series,
    number: int,
    findings: Findings,
) -> OsmLayer:
    """Take class, name and number from the keys that the row names."""
    words, names, values = made.words, made.names, made.values
    keep = np.ones(len(made.geometry), dtype=bool)
    file = Path(row["file"]).name
    if row["class_column"] not in ("", TABLE_WORD):
        codes = features.texts[row["class_column"]]
        lost = [one for one, code in zip(features.ids, codes, strict=True) if not code]
        if lost:
            findings.notes.append(
                f"{len(lost)} features of {file} ({layer}) have no tag {row['class_column']} "
                f"({show_ids(lost)}): they are left out"
            )
        table = translate_codes(study, layer, sorted(set(codes) - {""}), file, number, findings)
        words = np.array([table.get(code, "") for code in codes], dtype=object)
        keep = words != ""
    if row["name_column"]:
        names = features.texts[row["name_column"]]
    if row["value_column"]:
        values = np.array(
            [parse_metres(text) for text in features.texts[row["value_column"]]], dtype=np.float64
        )
    return OsmLayer(
        made.geometry[keep],
        words[keep],
        names[keep],
        values[keep],
        {name: column[keep] for name, column in made.attributes.items()},
    )


def note_problems(layer: str, found: Mapping[str, Features], file: str, findings: Findings) -> None:
    """Name the elements of a layer that something is wrong with, what becomes of them, and the remedy."""
    features = found["structures" if layer == "bridges" else layer]
    for what, ids in features.problems.items():
        problem, result = _MEANING[what]
        findings.notes.append(
            f"{len(ids)} elements of {file} ({layer}) {problem} ({show_ids(ids)}): {result}; {_REMEDY[what]}"
        )


def show_ids(ids: list[str]) -> str:
    """Name the first elements of a list.

    Examples
    --------
    >>> show_ids([f"way {k}" for k in range(1, 8)])
    'way 1, way 2, way 3, way 4, way 5 and 2 more'
    """
    more = f" and {len(ids) - SHOWN_IDS} more" if len(ids) > SHOWN_IDS else ""
    return ", ".join(ids[:SHOWN_IDS]) + more
