"""All layers of a study as read, and what is said about those that are missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from abatis.ground.composition import DEFAULT_COVER, DEFAULT_SLOPE, DEFAULT_SOIL
from abatis.ground.sources import Area, Findings
from abatis.ground.sources.osm import OsmFiles
from abatis.ground.sources.rasters import RasterFile, list_rasters
from abatis.ground.sources.vectors import (
    CLASS_DEFAULTS,
    VectorLayer,
    empty_layer,
    read_facility_layer,
    read_vector_layer,
)
from abatis.model.study import Study

Progress = Callable[[str, float], None]
DEFAULT_ROAD = CLASS_DEFAULTS["roads"]
DEFAULT_FOREST = CLASS_DEFAULTS["forest"]
COVER_LAYERS = (
    ("landcover_areas", DEFAULT_COVER),
    ("forest", DEFAULT_FOREST),
    ("wetland", "wetland"),
    ("built_up", "built_up"),
    ("water", "water"),
)


@dataclass(frozen=True)
class Layers:
    """All layers as read."""

    vectors: dict[str, VectorLayer]
    rasters: dict[str, list[RasterFile]]


def read_layers(study: Study, area: Area, findings: Findings, tell: Progress) -> Layers:
    """Read every layer of a study but the borders within an area; faults go into `findings`."""
    names = [name for name in dict.fromkeys(study.sources["layer"]) if name not in ("borders", "facilities")]
    osm = OsmFiles()
    vectors: dict[str, VectorLayer] = {
        name: empty_layer(name)
        for name in (
            *(layer for layer, _ in COVER_LAYERS),
            "rivers",
            "roads",
            "bridges",
            "places",
            "population",
            "protected",
            "soil",
        )
    }
    rasters: dict[str, list[RasterFile]] = {
        name: [] for name in ("elevation", "landcover", "soil", "population", "clay")
    }
    for step, name in enumerate(names):
        tell(f"reading {name}", 0.05 + 0.25 * step / len(names))
        if name not in ("elevation", "landcover", "clay"):
            vectors[name] = read_vector_layer(study, name, area, findings, osm)
        if name in rasters:
            rasters[name] = list_rasters(study, name, area, findings)
    vectors["facilities"] = read_facility_layer(study, area, findings, osm)
    _check_values(study, vectors, findings)
    return Layers(vectors, rasters)


def _check_values(study: Study, vectors: dict[str, VectorLayer], findings: Findings) -> None:
    """Ask for the attributes without which a layer says nothing."""
    for layer, column, what in (
        ("population", "value_column", "persons"),
        ("landcover_areas", "class_column", "cover"),
        ("soil", "class_column", "soil"),
    ):
        for number, row in study.source_rows(layer).iterrows():
            name = str(row["file"]).rsplit("/", 1)[-1]
            if vectors[layer].count and name in set(vectors[layer].files) and not row[column]:
                findings.add_fault(
                    f"names no attribute with the {what}",
                    name,
                    int(str(number)),
                    column,
                    f"name the attribute that holds the {what}",
                )


def note_missing(study: Study, layers: Layers) -> list[str]:
    """Say in words which optional layers are missing and what is assumed instead."""
    present = set(study.sources["layer"])
    meaning = {
        "elevation": f"no elevation: all ground is taken as {DEFAULT_SLOPE} % slope; heights stay unknown",
        "soil": f"no soil: all ground is taken as {DEFAULT_SOIL}",
        "water": "no lakes: water is known from land cover and wide rivers only",
        "rivers": "no rivers: no river slows or closes any edge",
        "roads": "no roads: all movement is cross-country",
        "bridges": "no bridges: every road is taken to cross every river on a bridge",
        "protected": "no protected areas: no ground is taken as protected",
        "population": "no population layer: people of places are put into built-up ground around them",
    }
    notes = [text for layer, text in meaning.items() if layer not in present]
    if not present & {"landcover", "landcover_areas"}:
        notes.append(f"no land cover: ground without another layer is taken as {DEFAULT_COVER}")
    if layers.vectors["forest"].count and not np.all(layers.vectors["forest"].words != ""):
        notes.append(f"forest without a class is taken as {DEFAULT_FOREST}")
    if layers.vectors["roads"].count and not np.all(layers.vectors["roads"].words != ""):
        notes.append(f"roads without a class are taken as {DEFAULT_ROAD}")
    if study.tables["crossings"].empty and "rivers" in present:
        notes.append("no rows in tables/crossings.csv: rivers are crossed at no cost")
    return notes
