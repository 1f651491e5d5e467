"""What lies on the edges of the mesh: rivers, bridges and the road kept on each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from abatis.ground.bridges import Bridges, find_crossings, place_bridges
from abatis.ground.gaps import EdgeGeometry
from abatis.ground.hexgrid import HexGrid
from abatis.ground.layers import Layers
from abatis.ground.rivers import RiverLines, compute_river_widths, split_rivers
from abatis.ground.roads import Road, RoadStretches, StretchMarks, choose_stretches
from abatis.ground.speeds import find_road_speeds, list_uses
from abatis.model.study import Study
from abatis.model.words import STRUCTURE_WORDS

_MEANING = {
    "ford": "the road goes on through the water",
    "tunnel": "the road goes on below the water",
    "ferry": "closed unless tables/speeds.csv gives the structure a speed factor",
}


def lay_rivers(
    layers: Layers,
    grid: HexGrid,
    geometry: EdgeGeometry,
    spacing_m: float,
    notes: list[str],
) -> tuple[RiverLines, np.ndarray]:
    """Return the rivers as lines and the widest river on each edge in m, f8[E]; guesses go into `notes`."""
    lines, unknown = split_rivers(layers.vectors["rivers"])
    if unknown:
        notes.append(f"{unknown} rivers without a width are taken as 20 m wide")
    river_m = compute_river_widths(
        lines, grid, geometry.neighbor, geometry.edge, geometry.edge_a, geometry.edge_b, spacing_m
    )
    return lines, river_m


def lay_bridges(
    study: Study,
    layers: Layers,
    roads: list[Road],
    stretches: RoadStretches,
    marks: StretchMarks,
    rivers: RiverLines,
    water_m: np.ndarray,
    spacing_m: float,
    notes: list[str],
) -> Bridges:
    """Find where roads cross water and which bridge carries each; guesses go into `notes`."""
    layer = layers.vectors["bridges"]
    crossings = find_crossings(roads, stretches, rivers)
    told = layers.vectors["roads"].attributes.get("structure")
    bridges = place_bridges(
        stretches,
        crossings,
        np.full(len(crossings.stretch), "") if told is None else told[crossings.feature],
        marks.structure,
        water_m,
        layer if layer.count else None,
        spacing_m,
        study.pixel_m,
    )
    for index, word in enumerate(STRUCTURE_WORDS[1:], start=1):
        count = int(np.sum(bridges.structure == index))
        if count:
            notes.append(f"{count} {word} crossings of roads are no bridges: {_MEANING[word]}")
    if bridges.assumed:
        notes.append(f"{bridges.assumed} road crossings of water are taken to have a bridge or culvert")
    if bridges.closed:
        notes.append(
            f"{bridges.closed} road crossings of rivers wider than 40 m have no bridge near them in the "
            "bridge layer: the road is not continued over them"
        )
    return bridges


@dataclass(frozen=True)
class EdgeRoads:
    """The road kept on each edge that has one, and the names used."""

    edge: np.ndarray
    road_class: np.ndarray
    road_m: np.ndarray
    bridge_m: np.ndarray
    surface: np.ndarray
    structure: np.ndarray
    max_weight_t: np.ndarray
    road: tuple[str, ...]
    bridge: tuple[str, ...]

    def fill(self, edges: int) -> dict[str, Any]:
        """Return the mesh's road columns for all edges."""
        columns: dict[str, Any] = {}
        for name, kind, nothing in (
            ("road_class", np.int8, -1),
            ("road_m", np.float32, 0),
            ("bridge_m", np.float32, 0),
            ("surface", np.int8, -1),
            ("structure", np.int8, -1),
            ("max_weight_t", np.float32, np.inf),
        ):
            column = np.full(edges, nothing, kind)
            column[self.edge] = getattr(self, name)
            columns[name] = column
        for name, texts in (("road", self.road), ("bridge", self.bridge)):
            known = sorted({text for text in texts if text})
            index = {text: place for place, text in enumerate(known)}
            column = np.full(edges, -1, np.int32)
            column[self.edge] = [index.get(text, -1) for text in texts]
            columns[f"{name}_name"] = column
            columns[f"{name}_names"] = tuple(known)
        return columns


def describe_edges(
    study: Study, stretches: RoadStretches, marks: StretchMarks, bridges: Bridges, notes: list[str]
) -> EdgeRoads:
    """Keep the fastest usable road of each edge, by the best speed of any approach; guesses go into `notes`.

    In words: a road that no vehicle of the approaches may or can use in its season is left out where another
    one serves the edge.
    """
    speed_kmh = np.max(
        [
            find_road_speeds(
                study,
                vehicle,
                season,
                stretches.word,
                marks.surface,
                bridges.structure,
                marks.max_weight_t,
            )
            for vehicle, season in list_uses(study)
        ],
        axis=0,
    )
    chosen = choose_stretches(stretches, bridges.usable, speed_kmh)
    _note_limits(study, marks.max_weight_t[chosen], notes)
    return EdgeRoads(
        stretches.edge[chosen],
        stretches.word[chosen],
        np.maximum(stretches.length_m[chosen], 1.0),
        bridges.bridge_m[chosen],
        marks.surface[chosen],
        bridges.structure[chosen],
        marks.max_weight_t[chosen],
        tuple(stretches.name[row] for row in chosen),
        tuple(bridges.name[row] for row in chosen),
    )


def _note_limits(study: Study, limit_t: np.ndarray, notes: list[str]) -> None:
    count = int(np.isfinite(limit_t).sum())
    if not count:
        return
    vehicles = study.tables["vehicles"]
    used = vehicles[vehicles["vehicle"].isin(study.tables["approaches"]["vehicle"])]
    light = used[used["weight_t"].isna()]["vehicle"].tolist()
    told = f"; vehicles without weight_t pass them all: {', '.join(light)}" if light else ""
    notes.append(
        f"posted weight limits bar heavier vehicles from the roads of {count} edges: a limit is taken as "
        f"what the road bears{told}"
    )
